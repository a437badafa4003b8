//! From the words of a description to a `Provider` in which impossible and dangerous states are gone.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::path::PathTemplate;
use super::rules::{self, Checked, Flaw, flaw, require};
use super::signature::Scheme;
use super::spec::{Cutover, RotateKind, SecretSpec, Signs, Spec};
use super::{
    Id, Idempotency, ProviderError, auth, by_hand, idempotency, overlap, parse, placeholders, replace, sections,
};
use crate::http::{Url, parse_base_url};

/// Most ids that an endpoint is named by.
const MOST_IDS: usize = 8;

/// Most other addresses of a provider.
const MOST_SAME: usize = 16;

/// A checked description.
#[derive(Debug)]
pub struct Provider {
    spec: Spec,
    base_url: Option<Url>,
    overlap: Overlap,
    choice: Option<RangeInclusive<Duration>>,
    idempotency: Option<Idempotency>,
    signature: Option<Scheme>,
    /// Absent where a person rotates.
    pub(crate) rotate_path: Option<PathTemplate>,
    pub(crate) read_path: Option<PathTemplate>,
    pub(crate) inspect_path: Option<PathTemplate>,
    pub(crate) test_path: Option<PathTemplate>,
    /// Absent where a person ends the old secret, and where nobody has to.
    pub(crate) end_path: Option<PathTemplate>,
    /// Absent where endpoints are not listed, or nobody has to look for one.
    pub(crate) list_path: Option<PathTemplate>,
    /// Of the call that lists all endpoints.
    pub(crate) endpoints_path: Option<PathTemplate>,
}

/// How long the old secret lives after a rotate call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// As long as documented; the answer may say it more exactly.
    Fixed(Duration),
    /// As long as the answer says.
    Answered,
    /// It dies with the call.
    None,
    /// Nobody says; handled as `None`.
    Unknown,
    /// Until somebody ends it; after that deliveries may bear it for so long.
    UntilEnded { signs: Signs, settles: Option<Duration> },
}

/// How an old secret can be ended at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// By a call of its own.
    Call,
    /// By the rotate call, which always does it.
    SameCall,
    /// Not at the provider.
    Unavailable,
}

impl Provider {
    /// Reads and checks a description. `file` serves the messages only.
    pub fn parse(text: &str, file: &str) -> Result<Self, ProviderError> {
        check(parse::parse(text, file)?).map_err(|flaw| named(flaw, file))
    }

    /// Checks a description that was made in memory.
    pub fn from_spec(spec: Spec) -> Result<Self, ProviderError> {
        let file = format!("provider `{}`", super::plain_text(&spec.name));
        check(spec).map_err(|flaw| named(flaw, &file))
    }

    /// The name in commands.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// The name that people know it by.
    pub fn title(&self) -> &str {
        &self.spec.title
    }

    /// The words as written.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The base URL where the target names none.
    pub fn base_url(&self) -> Option<&Url> {
        self.base_url.as_ref()
    }

    /// How long the old secret lives after a rotate call.
    pub fn overlap(&self) -> Overlap {
        self.overlap
    }

    /// Whether both secrets live for a while after a rotate call, and then the old one ends by itself.
    pub fn overlaps(&self) -> bool {
        matches!(self.overlap, Overlap::Fixed(_) | Overlap::Answered)
    }

    /// Within which bounds the caller says how long the old secret lives; `None` where that is not the caller's to say.
    pub fn choice(&self) -> Option<&RangeInclusive<Duration>> {
        self.choice.as_ref()
    }

    /// How an old secret can be ended at once.
    pub fn force(&self) -> Force {
        match (&self.spec.force, self.overlap) {
            (Some(_), _) => Force::Call,
            (None, Overlap::None | Overlap::Unknown) => Force::SameCall,
            (None, Overlap::Fixed(_) | Overlap::Answered | Overlap::UntilEnded { .. }) => Force::Unavailable,
        }
    }

    /// How receivers take a new secret unless the target says otherwise.
    pub fn default_cutover(&self) -> Cutover {
        self.spec.cutover.unwrap_or(Cutover::Either)
    }

    /// Whether a call is described that shows the endpoint, or its secret.
    pub fn shows(&self) -> bool {
        self.spec.inspect.is_some() || self.read_path.is_some()
    }

    /// What the new secret is made like, where it is ours to make.
    pub fn takes(&self) -> Option<&SecretSpec> {
        self.spec.rotate.secret.as_ref().filter(|_| self.spec.rotate.kind == RotateKind::Set)
    }

    /// Where a person rotates, with the endpoint's ids in it; `None` where there is a call for that.
    pub fn page(&self, ids: &[Id]) -> Option<String> {
        self.spec.rotate.page.as_deref().map(|page| with_ids(page, ids))
    }

    /// Where a person ends the old secret, with the endpoint's ids in it; `None` where it ends by itself, or by a call.
    pub fn end_page(&self, ids: &[Id]) -> Option<String> {
        self.spec.end.as_ref()?.page.as_deref().map(|page| with_ids(page, ids))
    }

    /// Whether a second endpoint is made beside the first, whose place it takes.
    pub fn replaces(&self) -> bool {
        self.spec.rotate.kind == RotateKind::Replace
    }

    /// Whether a person rotates, and nothing is ever sent.
    pub fn is_by_hand(&self) -> bool {
        self.spec.rotate.kind == RotateKind::Hand
    }

    /// How a repeated request is recognised; `None` where it would rotate again.
    pub fn idempotency(&self) -> Option<&Idempotency> {
        self.idempotency.as_ref()
    }

    /// Whether its deliveries bear the secret itself, and so do probes.
    pub fn bears_secret(&self) -> bool {
        self.signature.as_ref().is_some_and(Scheme::bears_secret)
    }

    /// How deliveries are signed, where that is described.
    pub(crate) fn signature(&self) -> Option<&Scheme> {
        self.signature.as_ref()
    }
}

/// Words for people with the endpoint's ids in them.
fn with_ids(words: &str, ids: &[Id]) -> String {
    ids.iter().fold(words.to_owned(), |words, id| words.replace(&format!("{{{}}}", id.name), &id.value))
}

fn named(flaw: Flaw, file: &str) -> ProviderError {
    ProviderError::Invalid { file: file.to_owned(), key: flaw.key, why: flaw.why, fix: flaw.fix }
}

fn check(spec: Spec) -> Result<Provider, Flaw> {
    require(spec.version == 1, "version", "is not one that this whsec knows", "write `version = 1`")?;
    rules::word("name", &spec.name)?;
    rules::words("title", &spec.title)?;
    ids(&spec.ids)?;
    forms(&spec)?;
    let is_by_hand = spec.rotate.kind == RotateKind::Hand;
    let base_url = match &spec.base_url {
        Some(text) => Some(parse_base_url(text).map_err(|why| {
            flaw("base_url", format!("cannot be used: {why}"), "write `https://HOST` or `https://HOST/PREFIX`")
        })?),
        // Nothing is sent there, and it is a part of the endpoint's identity alone: `.invalid` is nobody's (RFC 2606).
        None if is_by_hand => crate::http::Url::parse(&format!("https://{}.invalid", spec.name)).ok(),
        None => None,
    };
    same(&spec.same, base_url.as_ref())?;
    if is_by_hand {
        by_hand::check(&spec)?;
    } else {
        require(
            spec.rotate.page.is_none(),
            "rotate.where",
            "goes with `kind = \"hand\"`",
            "set the kind, or take it out",
        )?;
        require(!spec.auth.is_absent(), "auth", "is missing", "say how requests prove who sends them: `[auth]`")?;
        auth::check(&spec.auth)?;
    }
    sections::headers(&spec)?;
    sections::answers(&spec)?;
    sections::maker(&spec)?;
    sections::errors(&spec.errors)?;
    placeholders::check(&spec)?;
    sections::bodies(&spec)?;
    sections::words(&spec)?;
    let overlap = overlap::check(&spec)?;
    replace::check(&spec)?;
    require(
        spec.cutover.is_none() || matches!(overlap, Overlap::Fixed(_) | Overlap::Answered),
        "cutover",
        "needs an overlap, and there is none",
        "leave it out; an instant rotation has one order of steps",
    )?;
    let path = |key: &str, text: &str| {
        rules::require(text.len() <= 512, key, "is too long", "keep it below 512 bytes")?;
        PathTemplate::parse(text, &spec.ids)
            .map_err(|why| flaw(key, why, format!("write it like `/v1/hooks/{{{}}}`", spec.ids.join("}/{"))))
    };
    let rotate_path = match (&spec.rotate.path, is_by_hand) {
        (Some(text), _) => Some(path("rotate.path", text)?),
        (None, true) => None,
        (None, false) => return Err(flaw("rotate.path", "is missing", "say which call rotates")),
    };
    let read_path = spec.rotate.read.as_ref().map(|read| path("rotate.read", read)).transpose()?;
    let inspect_path = spec.inspect.as_ref().map(|inspect| path("inspect.path", &inspect.path)).transpose()?;
    let test_path = spec.test_delivery.as_ref().map(|test| path("test_delivery.path", &test.path)).transpose()?;
    let end = spec.end.as_ref().and_then(|end| end.path.as_ref());
    let end_path = end.map(|end| path("end.path", end)).transpose()?;
    let listed = spec.inspect.as_ref().is_some_and(|inspect| inspect.list.is_some());
    let named: Vec<&String> = spec.ids.iter().filter(|id| !spec.is_label(id)).collect();
    let list_path = spec.rotate.list.as_ref().map(|list| path("rotate.list.path", &list.path)).transpose()?;
    let endpoints_path = spec.list.as_ref().map(|list| path("list.path", &list.path)).transpose()?;
    super::listing::check(&spec, endpoints_path.as_ref())?;
    // What makes another endpoint does not name the first.
    let own = spec.ids.last().filter(|_| spec.rotate.kind == RotateKind::Replace);
    let not_in_body: Vec<&String> =
        named.iter().copied().filter(|id| !is_in_body(&spec, id) && Some(*id) != own).collect();
    uses_all("rotate.path", rotate_path.as_ref(), &not_in_body)?;
    labels(&spec, [&rotate_path, &read_path, &inspect_path, &test_path, &end_path, &list_path])?;
    require(
        spec.force.is_none() || named.iter().all(|id| rotate_path.as_ref().is_some_and(|path| path.uses(id))),
        "force",
        "is the rotate call with another body, and an id is in that body alone",
        "leave it out, or describe a call with the id in its path",
    )?;
    uses_all("rotate.read", read_path.as_ref(), &named)?;
    uses_all("end.path", end_path.as_ref(), &named)?;
    uses_all("test_delivery.path", test_path.as_ref(), &named)?;
    let not_in_look: Vec<&String> = named.iter().copied().filter(|id| !is_in_look(&spec, id)).collect();
    uses_all("inspect.path", inspect_path.as_ref().filter(|_| !listed), &not_in_look)?;
    let idempotency = idempotency::check(&spec)?;
    let signature = spec.signature.as_ref().map(Scheme::check).transpose()?;
    let choice = overlap::choice(&spec)?;
    Ok(Provider {
        base_url,
        overlap,
        choice,
        idempotency,
        signature,
        rotate_path,
        read_path,
        inspect_path,
        test_path,
        end_path,
        list_path,
        endpoints_path,
        spec,
    })
}

fn ids(ids: &[String]) -> Checked {
    require(
        !ids.is_empty() && ids.len() <= MOST_IDS,
        "ids",
        "has no or too many entries",
        "name each id in the rotate path",
    )?;
    for (index, id) in ids.iter().enumerate() {
        rules::id_name("ids", id)?;
        require(
            !super::words::is_taken(id),
            "ids",
            "has a word of descriptions in it",
            "call the id by what the provider calls it, as `hook_id`",
        )?;
        require(!ids.iter().take(index).any(|other| other == id), "ids", "has an entry twice", "name each id once")?;
    }
    Ok(())
}

fn forms(spec: &Spec) -> Checked {
    match spec.id.keys().find(|name| !spec.ids.contains(name)) {
        None => Ok(()),
        Some(name) => Err(flaw(
            &format!("id.{}", super::plain_text(name)),
            "is not one of `ids`",
            format!("the ids are `{}`", spec.ids.join("`, `")),
        )),
    }
}

/// `same`: addresses without a path, each another one than `base_url`.
fn same(same: &[String], base_url: Option<&Url>) -> Checked {
    require(same.len() <= MOST_SAME, "same", "has too many entries", "keep the addresses that the provider documents")?;
    let Some(base_url) = base_url else {
        return require(same.is_empty(), "same", "needs `base_url`", "say which address it is the same as");
    };
    let mut origins = vec![base_url.origin()];
    for text in same {
        let url = parse_base_url(text)
            .map_err(|why| flaw("same", format!("cannot be used: {why}"), "write it like `https://HOST`"))?;
        require(url.path() == "/", "same", "has a path", "write it like `https://HOST`")?;
        require(
            !origins.contains(&url.origin()),
            "same",
            "has an address that is there twice",
            "name each address once",
        )?;
        origins.push(url.origin());
    }
    Ok(())
}

/// Whether an id stands in the body of the rotate call.
fn is_in_body(spec: &Spec, id: &str) -> bool {
    spec.rotate.body.as_ref().is_some_and(|body| sections::has_value(body, &format!("{{{id}}}")))
}

fn is_in_look(spec: &Spec, id: &str) -> bool {
    let body = spec.inspect.as_ref().and_then(|inspect| inspect.body.as_ref());
    body.is_some_and(|body| sections::has_value(body, &format!("{{{id}}}")))
}

/// A label stands in no call, and no answer can be compared with one.
fn labels(spec: &Spec, paths: [&Option<PathTemplate>; 6]) -> Checked {
    let in_path = |id: &str| paths.into_iter().flatten().any(|path| path.uses(id));
    for id in spec.ids.iter().filter(|id| spec.is_label(id)) {
        let is_sent = in_path(id) || is_in_body(spec, id) || is_in_look(spec, id);
        require(!is_sent, &format!("id.{id}"), "is a label, and stands in a call", "take one of the two out")?;
    }
    let is_own = spec.ids.last().is_some_and(|id| spec.is_label(id));
    let is_compared = spec.rotate.answer.as_ref().is_some_and(|answer| answer.id.is_some())
        || spec.inspect.as_ref().is_some_and(|inspect| inspect.list.is_some());
    require(
        !(is_own && is_compared),
        "rotate.answer.id",
        "cannot be a label, which is the operator's own name",
        "take `rotate.answer.id` and `inspect.list` out",
    )
}

fn uses_all(key: &str, path: Option<&PathTemplate>, ids: &[&String]) -> Checked {
    match ids.iter().find(|id| path.is_some_and(|path| !path.uses(id))) {
        None => Ok(()),
        Some(id) => Err(flaw(
            key,
            format!("does not use the id `{id}`"),
            format!("put `{{{id}}}` in, or take `{id}` out of `ids`"),
        )),
    }
}
