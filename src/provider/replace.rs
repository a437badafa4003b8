//! Rules for a second endpoint that takes the place of the first: what makes it, what shows it, and what removes the first.

use super::rules::{self, Checked, require};
use super::spec::{EndKind, EndSpec, Method, RotateKind, Signs, Spec};

/// `kind = "replace"`: what it needs, and what would speak of the first endpoint where the second is meant.
pub(super) fn check(spec: &Spec) -> Checked {
    let (rotate, without) = (&spec.rotate, "take it out: what is made is another endpoint");
    if rotate.kind != RotateKind::Replace {
        let fix = "take it out: the endpoint stays the one that it is";
        require(rotate.list.is_none(), "rotate.list", "goes with `kind = \"replace\"`", fix)?;
        return require(rotate.uncarried.is_empty(), "rotate.uncarried", "goes with `kind = \"replace\"`", fix);
    }
    if let Some(list) = &rotate.list {
        let pointers = [("items", &list.items), ("id", &list.id), ("url", &list.url)];
        pointers.iter().try_for_each(|(word, pointer)| rules::pointer(&format!("rotate.list.{word}"), pointer))?;
        let url = spec.inspect.as_ref().and_then(|inspect| inspect.answer.url.as_ref());
        require(url.is_some(), "rotate.list", "needs `inspect.answer.url`", "say where the endpoint's own address is")?;
    }
    for (pointer, words) in &rotate.uncarried {
        rules::pointer("rotate.uncarried", pointer)?;
        rules::words("rotate.uncarried", words)?;
    }
    require(
        rotate.method == Some(Method::Post),
        "rotate.method",
        "is not POST",
        "write the method that makes a second endpoint",
    )?;
    let is_named = rotate.answer.as_ref().is_some_and(|answer| answer.id.is_some());
    require(is_named, "rotate.answer.id", "is missing", "say where the id of the new endpoint is: `/id`")?;
    require(rotate.read.is_none(), "rotate.read", "does not go with `kind = \"replace\"`", without)?;
    require(spec.test_delivery.is_none(), "test_delivery", "does not go with `kind = \"replace\"`", without)?;
    let Some(inspect) = &spec.inspect else {
        return require(false, "inspect", "is missing", "describe the call that shows one endpoint, old or new");
    };
    require(
        inspect.list.is_none(),
        "inspect.list",
        "does not go with `kind = \"replace\"`",
        "show one endpoint alone",
    )?;
    let shown = &inspect.answer;
    let told = [&shown.version, &shown.fingerprint, &shown.updated_at, &shown.old_expires_at, &shown.secret];
    require(
        told.iter().all(|field| field.is_none()),
        "inspect.answer",
        "has more than `url` and `status`",
        "take it out: each of two endpoints has its own",
    )?;
    require(
        spec.overlap.signs == Some(Signs::Apart),
        "overlap.signs",
        "is not `apart`",
        "two endpoints deliver until one of them is removed, each with its own secret",
    )
}

/// `[end]`: a page where a person does it, or a call; the second only where it removes one of two endpoints.
pub(super) fn check_end(spec: &Spec, end: &EndSpec) -> Checked {
    let replaces = spec.rotate.kind == RotateKind::Replace;
    require(
        !replaces || end.kind == EndKind::Call,
        "end.kind",
        "is not `call`",
        "what a call has made is removed by a call: `kind = \"call\"` and `path`",
    )?;
    match (end.kind, &end.page, &end.path) {
        (EndKind::Hand, Some(page), None) => rules::words("end.where", page),
        (EndKind::Hand, None, _) => require(false, "end.where", "is missing", "say where to look and what to press"),
        (EndKind::Hand, Some(_), Some(_)) => {
            require(false, "end.path", "is of no use where a person ends it", "take it out, or write `kind = \"call\"`")
        }
        (EndKind::Call, _, None) => {
            require(false, "end.path", "is missing", "say what is deleted: `/v1/hooks/{hook_id}`")
        }
        (EndKind::Call, Some(_), _) => {
            require(false, "end.where", "is of no use where a call ends it", "take it out, or write `kind = \"hand\"`")
        }
        (EndKind::Call, None, Some(_)) => require(
            replaces,
            "end.kind",
            "needs `kind = \"replace\"` of `[rotate]`",
            "where a person rotates, a person ends the old secret: `kind = \"hand\"` and `where`",
        ),
    }
}
