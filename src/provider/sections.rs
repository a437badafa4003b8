//! Rules for the sections of a description, and for what one of them says about another.

use super::form::FORM;
use super::options;
use super::rules::{self, Checked, MOST_ENTRIES, flaw, optional_pointer, pointer, require};
use super::spec::{ErrorsSpec, KeyDecoding, Method, OverlapKind, RotateKind, SecretForm, SecretSpec, Spec};

/// Bounds of what a secret is made of: 128 random bits, and no more than one block of HMAC-SHA256.
const FEWEST_BYTES: usize = 16;
const MOST_BYTES: usize = 64;

/// Where the operator's reason goes in the body of a force call.
pub(crate) const REASON: &str = "{reason}";

/// Fixed and optional headers: legal, and each set in one place.
pub(crate) fn headers(spec: &Spec) -> Checked {
    let mut taken: Vec<String> = spec.auth.schemes.iter().map(|scheme| scheme.header.clone()).collect();
    taken.extend(spec.idempotency.iter().filter_map(|idempotency| idempotency.header.clone()));
    options::check(spec, &mut taken)?;
    taken.push("content-type".to_owned());
    rules::headers("headers", &spec.headers, &taken)?;
    if spec.rotate.body.is_none() {
        taken.pop();
    }
    if let Some(media_type) = &spec.rotate.media_type {
        let subtype = media_type.strip_prefix("application/");
        let is_json = |subtype: &str| subtype == "json" || subtype.strip_suffix("+json").is_some_and(rules::is_token);
        require(
            subtype.is_some_and(is_json) || media_type == FORM,
            "rotate.type",
            "is no media type of JSON, and not that of a form",
            "write it like `application/vnd.api+json`, or `application/x-www-form-urlencoded`; left out, it is `application/json`",
        )?;
        require(spec.rotate.body.is_some(), "rotate.type", "needs `rotate.body`", "say what is sent, or take it out")?;
    }
    taken.extend(spec.headers.keys().cloned());
    rules::headers("rotate.headers", &spec.rotate.headers, &taken)
}

/// Where things are in the answers, and how a list is walked.
pub(crate) fn answers(spec: &Spec) -> Checked {
    if let Some(rotate) = &spec.rotate.answer {
        pointer("rotate.answer.secret", &rotate.secret)?;
        require(!rotate.secret.is_empty(), "rotate.answer.secret", "is empty", "write it like `/secret`")?;
        let fields = [
            &rotate.list,
            &rotate.without,
            &rotate.id,
            &rotate.version,
            &rotate.fingerprint,
            &rotate.old_expires_at,
            &rotate.notice,
        ];
        fields.iter().try_for_each(|field| optional_pointer("rotate.answer", field.as_ref()))?;
        require(
            rotate.list.is_some() == rotate.without.is_some(),
            "rotate.answer.list",
            "goes with `without`",
            "say which entry of the list is the new secret's: the one that has nothing at `without`",
        )?;
    }
    let is_call = spec.rotate.kind != RotateKind::Hand;
    require(spec.rotate.method.is_some() || !is_call, "rotate.method", "is missing", "write the method that rotates")?;
    require(
        spec.rotate.method != Some(Method::Get),
        "rotate.method",
        "is GET, which must not change anything",
        "write the method that rotates",
    )?;
    let Some(inspect) = &spec.inspect else { return Ok(()) };
    let is_post = inspect.method == Method::Post && inspect.reads;
    require(
        inspect.method == Method::Get || is_post,
        "inspect.method",
        "is not GET",
        "only a call that changes nothing can inspect: where a POST only shows, write `reads = true` beside it",
    )?;
    let has_post_words = inspect.reads || inspect.body.is_some();
    require(is_post || !has_post_words, "inspect", "has `reads` or `body`, which go with POST", "take them out")?;
    let is_paged = is_post && inspect.list.is_some();
    require(!is_paged, "inspect.list", "goes with GET", "describe a call that shows one endpoint")?;
    let shown = &inspect.answer;
    let fields = [
        &shown.url,
        &shown.status,
        &shown.version,
        &shown.fingerprint,
        &shown.updated_at,
        &shown.old_expires_at,
        &shown.secret,
    ];
    fields.iter().try_for_each(|field| optional_pointer("inspect.answer", field.as_ref()))?;
    let Some(list) = &inspect.list else { return Ok(()) };
    pointer("inspect.list.items", &list.items)?;
    pointer("inspect.list.id", &list.id)?;
    pointer("inspect.list.more", &list.more)?;
    rules::id_name("inspect.list.page", &list.page)?;
    rules::id_name("inspect.list.size", &list.size)?;
    require(list.page != list.size, "inspect.list.size", "is the same as `page`", "name the two parameters")?;
    let fits = (1..=1_000).contains(&list.size_value);
    require(
        fits,
        "inspect.list.size_value",
        "is not between 1 and 1000",
        "write the largest size that the provider takes",
    )
}

/// Who makes the new secret, and what goes with that.
pub(crate) fn maker(spec: &Spec) -> Checked {
    let rotate = &spec.rotate;
    if rotate.kind == RotateKind::Hand {
        // What the page makes is looked at in `by_hand`.
        return Ok(());
    }
    let Some(made) = &rotate.secret else {
        require(
            rotate.carry.is_empty() && rotate.may_carry.is_empty() || rotate.kind == RotateKind::Replace,
            "rotate.carry",
            "goes with `kind = \"set\"` or `\"replace\"`",
            "take it out: where the endpoint stays as it is, nothing is sent back",
        )?;
        let is_set = rotate.kind == RotateKind::Set;
        require(!is_set, "rotate.secret", "is missing", "say what it is made like: `{ form = \"hex\", bytes = 32 }`")?;
        carry(spec)?;
        return require(
            rotate.answer.is_some(),
            "rotate.answer",
            "is missing",
            "say where the new secret is in the answer",
        );
    };
    let is_set = rotate.kind == RotateKind::Set;
    require(
        is_set,
        "rotate.secret",
        "goes with `kind = \"set\"`",
        "set the kind, or take it out where the provider makes the secret",
    )?;
    require(
        made.form != SecretForm::Text && made.prefix.is_none(),
        "rotate.secret",
        "says too little to make one",
        "`form` is `hex`, `base64`, `base64url` or `whsec`, without `prefix`",
    )?;
    let fits = made.bytes.is_some_and(|bytes| (FEWEST_BYTES..=MOST_BYTES).contains(&bytes));
    require(fits, "rotate.secret.bytes", "is not between 16 and 64", "32 is what most providers make themselves")?;
    require(
        is_once(spec, "{secret}"),
        "rotate.body",
        "does not have `{secret}` in it once, as a whole value",
        "write `secret = \"{secret}\"`",
    )?;
    carry(spec)?;
    let none = |is_none, key, fix| require(is_none, key, "is of no use where whsec makes the secret", fix);
    none(rotate.answer.is_none(), "rotate.answer", "take it out: what was sent is the secret")?;
    none(rotate.read.is_none(), "rotate.read", "take it out: what was sent is the secret")?;
    none(spec.idempotency.is_none(), "idempotency", "take it out: the same secret may be sent again at any time")?;
    let dies = spec.overlap.kind == OverlapKind::None;
    require(
        dies,
        "overlap.kind",
        "does not go with `kind = \"set\"`",
        "write `none`: what is sent replaces what was there",
    )?;
    decodable(spec, made)
}

/// Whether a word stands in the body of the rotate call once, as a whole value.
fn is_once(spec: &Spec, word: &str) -> bool {
    let Some(body) = &spec.rotate.body else { return false };
    let count = |word: &str| body.to_string().matches(word).count();
    has_value(body, word) && count(&format!("\"{word}\"")) == 1 && count(word) == 1
}

/// What is sent back as it was read: where it is read, and where it goes.
fn carry(spec: &Spec) -> Checked {
    let [carry, may_carry] = [("carry", &spec.rotate.carry), ("may_carry", &spec.rotate.may_carry)]
        .map(|(word, all)| all.iter().map(move |it| (word, it)));
    for (word, (name, pointer)) in carry.chain(may_carry) {
        let key = format!("rotate.{word}.{name}");
        require(
            word == "carry" || !spec.rotate.carry.contains_key(name),
            &key,
            "is the name of something in `carry`, too",
            "give each a name of its own",
        )?;
        rules::id_name(&key, name)?;
        rules::pointer(&key, pointer)?;
        require(
            spec.inspect.is_some(),
            &key,
            "needs `[inspect]`, which it is read from",
            "describe the call that shows the endpoint",
        )?;
        require(
            is_once(spec, &format!("{{carry.{name}}}")),
            &key,
            "is not sent back once, as a whole value",
            "write `\"{carry.NAME}\"` with its name into `rotate.body`, or take it out",
        )?;
    }
    Ok(())
}

/// Whether keys can be made of secrets in this form, as far as it says anything.
pub(crate) fn decodable(spec: &Spec, secret: &SecretSpec) -> Checked {
    use SecretForm::{Base64, Hex, Text, Whsec};
    let (fits, fix) = match spec.signature.as_ref().and_then(|signature| signature.key) {
        None | Some(KeyDecoding::Raw) => return Ok(()),
        Some(KeyDecoding::Base64AfterPrefix) => {
            (matches!(secret.form, Whsec | Base64 | Text), "write `whsec` or `base64`")
        }
        Some(KeyDecoding::Base64) => (matches!(secret.form, Base64 | Text), "write `base64`"),
        Some(KeyDecoding::Hex) => (matches!(secret.form, Hex | Text), "write `hex`"),
    };
    require(fits, "rotate.secret.form", "is not what `signature.key` decodes", fix)
}

/// Whether a value of a body is this word; a name that is stands for nothing.
pub(crate) fn has_value(body: &serde_json::Value, word: &str) -> bool {
    match body {
        serde_json::Value::String(text) => text == word,
        serde_json::Value::Array(items) => items.iter().any(|item| has_value(item, word)),
        serde_json::Value::Object(fields) => fields.values().any(|field| has_value(field, word)),
        _ => false,
    }
}

/// `[errors]`: bounded rows of error statuses.
pub(crate) fn errors(errors: &ErrorsSpec) -> Checked {
    let fields = [&errors.code, &errors.message, &errors.within, &errors.request_id];
    fields.iter().try_for_each(|field| optional_pointer("errors", field.as_ref()))?;
    let is_place = errors.within.as_ref().is_none_or(|within| !within.is_empty());
    require(is_place, "errors.within", "is the whole answer", "say what only an answer with errors has: `/errors/0`")?;
    require(
        errors.table.len() <= MOST_ENTRIES,
        "errors.table",
        "has too many rows",
        "describe what the provider documents",
    )?;
    for (index, row) in errors.table.iter().enumerate() {
        let key = format!("errors.table.{}", index + 1);
        let within = errors.within.is_some() && row.status == 200;
        let fits = within || (300..600).contains(&row.status);
        require(fits, &key, "has a status that is no error", "write one from 300 to 599, or 200 with `errors.within`")?;
        require(
            row.code.is_none() || errors.code.is_some(),
            &key,
            "has a code, but nothing says where codes are",
            "set `errors.code`",
        )?;
        row.code.as_ref().map_or(Ok(()), |code| rules::words(&key, code))?;
        row.says.as_ref().map_or(Ok(()), |says| rules::words(&key, says))?;
        let earlier = |other: &super::spec::ErrorSpec| {
            other.status == row.status && (other.code.is_none() || other.code == row.code)
        };
        let shadowed = errors.table.iter().take(index).any(earlier);
        require(
            !shadowed,
            &key,
            "can never fit: an earlier row takes its place",
            "put rows with a code before the one without",
        )?;
    }
    Ok(())
}

/// Bodies, and whether a force call is one.
pub(crate) fn bodies(spec: &Spec) -> Checked {
    let rotate = spec.rotate.body.as_ref();
    let test = spec.test_delivery.as_ref();
    rotate.map_or(Ok(()), |body| rules::body("rotate.body", body))?;
    let look = spec.inspect.as_ref().and_then(|inspect| inspect.body.as_ref());
    look.map_or(Ok(()), |body| rules::body("inspect.body", body))?;
    test.and_then(|test| test.body.as_ref()).map_or(Ok(()), |body| rules::body("test_delivery.body", body))?;
    if let Some(test) = test {
        require(
            test.method != Method::Get,
            "test_delivery.method",
            "is GET",
            "write the method that sends a delivery",
        )?;
        let keyed = !test.idempotency || spec.idempotency.as_ref().is_some_and(|key| key.header.is_some());
        require(
            keyed,
            "test_delivery.idempotency",
            "needs `[idempotency]` with a `header`",
            "describe the key, or take this out",
        )?;
        let answer = &test.answer;
        optional_pointer("test_delivery.answer.success", answer.success.as_ref())?;
        optional_pointer("test_delivery.answer.status", answer.status.as_ref())?;
        optional_pointer("test_delivery.answer.error", answer.error.as_ref())?;
        optional_pointer("test_delivery.answer.id", answer.id.as_ref())?;
    }
    if let Some(probe) = &spec.probe {
        rules::body("probe.body", &probe.body)?;
        require(spec.signature.is_some(), "probe", "needs `[signature]`", "describe how deliveries are signed")?;
    }
    let Some(force) = &spec.force else { return Ok(()) };
    let overlaps = matches!(spec.overlap.kind, OverlapKind::Fixed | OverlapKind::Chosen | OverlapKind::Answered);
    require(
        overlaps,
        "force",
        "needs an overlap that it can end",
        "take `[force]` out: a plain rotate already ends the old secret",
    )?;
    let Some(body) = &force.body else {
        return Err(flaw("force.body", "is missing", "say what makes the rotate call a force call"));
    };
    rules::body("force.body", body)?;
    require(
        Some(body) != rotate,
        "force.body",
        "is the same as `rotate.body`",
        "say what makes the rotate call a force call",
    )?;
    let reasons = body.to_string().matches(REASON).count();
    let whole = body
        .as_object()
        .is_some_and(|body| body.values().filter(|value| value.as_str() == Some(REASON)).count() == reasons);
    require(
        reasons <= 1 && whole,
        "force.body",
        "has `{reason}` in the wrong place",
        "write it once, as a whole value: `reason = \"{reason}\"`",
    )?;
    let bounded = force.reason_max.is_none_or(|most| (1..=10_000).contains(&most))
        && force.reason_max.is_some() == (reasons == 1);
    require(bounded, "force.reason_max", "goes with `{reason}` in the body", "set both or neither")
}

/// Words, counts and dates that only people read.
pub(crate) fn words(spec: &Spec) -> Checked {
    spec.scope.as_ref().map_or(Ok(()), |scope| rules::words("scope", scope))?;
    spec.test_delivery.as_ref().map_or(Ok(()), |test| rules::words("test_delivery.about", &test.about))?;
    if let Some(rate) = &spec.rate {
        let is_some = rate.per_second.is_some() || rate.at_once.is_some();
        let is_sound = rate.per_second.is_none_or(|calls| (0.001..=10_000.0).contains(&calls));
        let why = "is no number of calls";
        require(
            is_some && is_sound && rate.at_once != Some(0),
            "rate",
            why,
            "write `per_second = 5.0`, `at_once = 2` or both",
        )?;
    }
    require(spec.hazards.len() <= MOST_ENTRIES, "hazards", "has too many entries", "keep what has surprised people")?;
    spec.hazards.iter().try_for_each(|hazard| rules::words("hazards", hazard))?;
    require(spec.sources.len() <= MOST_ENTRIES, "sources", "has too many entries", "name the pages that were read")?;
    for source in &spec.sources {
        rules::words("sources.facts", &source.facts)?;
        rules::words("sources.url", &source.url)?;
        let dated = source.read.len() == 10 && source.read.parse::<jiff::civil::Date>().is_ok();
        require(dated, "sources.read", "is not a day", "write it like `2026-11-20`")?;
    }
    Ok(())
}
