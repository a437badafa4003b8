//! Rules for `[auth]`: how requests prove who sends them.

use super::rules::{self, Checked, MOST_ENTRIES, require};
use super::spec::{AuthSchemeSpec, AuthSpec};

/// `[auth]`: at least one scheme, each with the key in it once.
pub(super) fn check(auth: &AuthSpec) -> Checked {
    rules::environment("auth.env", &auth.env)?;
    rules::words("auth.about", &auth.about)?;
    let count = auth.schemes.len();
    require(
        (1..=8).contains(&count),
        "auth.schemes",
        "has no or too many entries",
        "describe one to eight ways to send the key",
    )?;
    for (index, scheme) in auth.schemes.iter().enumerate() {
        rules::word("auth.schemes.name", &scheme.name)?;
        let twice = auth.schemes.iter().take(index).any(|other| other.name == scheme.name);
        require(!twice, "auth.schemes.name", "is used twice", "give each scheme a name of its own")?;
        if let Some(path) = &scheme.path {
            in_path(scheme, path)?;
            continue;
        }
        if !scheme.header.eq_ignore_ascii_case("authorization") {
            rules::header_name("auth.schemes.header", &scheme.header)?;
        }
        let once = scheme.value.matches("{key}").count() == 1;
        require(once, "auth.schemes.value", "does not have `{key}` in it once", "write `{key}` or `Bearer {key}`")?;
        rules::header_value("auth.schemes.value", &scheme.value)?;
    }
    require(auth.refuse.len() <= MOST_ENTRIES, "auth.refuse", "has too many entries", "keep the likely mistakes")?;
    for row in &auth.refuse {
        let fits =
            !row.prefix.is_empty() && row.prefix.len() <= 64 && row.prefix.bytes().all(|byte| byte.is_ascii_graphic());
        require(fits, "auth.refuse.prefix", "is not the start of a key", "write the first few characters")?;
        rules::words("auth.refuse.why", &row.why)?;
    }
    Ok(())
}

/// A scheme that has the key in front of every path.
fn in_path(scheme: &AuthSchemeSpec, path: &str) -> Checked {
    let key = "auth.schemes.path";
    let is_alone = scheme.header.is_empty() && scheme.value.is_empty() && scheme.encode.is_none();
    require(is_alone, key, "is in place of a header", "leave `header`, `value` and `encode` out")?;
    let rest = path.strip_prefix('/').and_then(|rest| rest.split_once("{key}"));
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    let fits = rest.is_some_and(|(before, behind)| is_plain(before) && behind.is_empty());
    require(fits, key, "is no segment with `{key}` at its end", "write it like `/bot{key}`")
}
