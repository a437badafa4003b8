//! What stands around the signatures in their header, as a description says it: read and checked.

use super::rules::{Flaw, flaw, require};
use super::spec::{Grammar, SignatureSpec};

/// What stands for a signature in `entry`: a MAC, or the secret itself.
const MAC: &str = "{mac}";
const SECRET: &str = "{secret}";
/// What may stand before it in `entry`.
const TIMESTAMP: &str = "{timestamp}";
/// Longest text before a signature, in bytes.
const LONGEST: usize = 16;

/// The words around signatures, without what they stand around.
pub(super) struct Tags {
    /// In front of the time, where that comes once, before all signatures.
    pub(super) lead: Option<String>,
    /// In front of the time, where that comes in each signature.
    pub(super) inside: Option<String>,
    /// In front of each signature, and behind its time.
    pub(super) tag: String,
    /// Between two signatures.
    pub(super) between: Option<String>,
    /// Whether it is the secret itself that stands there.
    pub(super) bears_secret: bool,
}

impl Tags {
    /// Checks the words.
    pub(super) fn check(spec: &SignatureSpec) -> Result<Self, Flaw> {
        let bears_secret = spec.entry.as_ref().is_some_and(|entry| entry.ends_with(SECRET));
        let (lead, tag, between) = match spec.grammar {
            Some(grammar) => short(spec, grammar)?,
            None => written(spec, if bears_secret { SECRET } else { MAC })?,
        };
        let (inside, tag) = match tag.split_once(TIMESTAMP) {
            Some((inside, tag)) => (Some(inside.to_owned()), tag.to_owned()),
            None => (None, tag),
        };
        let is_apart = inside.as_ref().is_none_or(|inside| !inside.is_empty() && !tag.is_empty());
        let fix = "write it like `t={timestamp},v1={mac}`";
        require(is_apart, "signature.entry", "has nothing around its timestamp", fix)?;
        Ok(Self { lead, inside, tag, between, bears_secret })
    }
}

/// The two grammars that have a name: what is before the time, before a signature, and between two.
fn short(spec: &SignatureSpec, grammar: Grammar) -> Result<(Option<String>, String, Option<String>), Flaw> {
    for (key, word) in
        [("signature.lead", &spec.lead), ("signature.entry", &spec.entry), ("signature.between", &spec.between)]
    {
        require(word.is_none(), key, "does not go with `grammar`, which says it", "say one of the two")?;
    }
    let fits = spec.timestamp_header.is_some() == (grammar == Grammar::Spaced);
    require(
        fits,
        "signature.timestamp_header",
        "does not go with the grammar",
        "`t=,v1=` has its timestamp within; `v1, v1,` needs a header for it",
    )?;
    Ok(match grammar {
        Grammar::Pairs => (Some("t=".to_owned()), "v1=".to_owned(), Some(",".to_owned())),
        Grammar::Spaced => (None, "v1,".to_owned(), Some(" ".to_owned())),
    })
}

/// The same in the words for any other header.
fn written(spec: &SignatureSpec, word: &str) -> Result<(Option<String>, String, Option<String>), Flaw> {
    let Some(entry) = &spec.entry else {
        return Err(flaw("signature.entry", "is missing", "write it like `sha256={mac}`, or say a `grammar`"));
    };
    let tag = before("signature.entry", entry, word, "write it like `sha256={mac}`, or `{secret}`")?;
    let lead =
        spec.lead.as_ref().map(|lead| before("signature.lead", lead, "{timestamp}", "write it like `t={timestamp}`"));
    let lead = lead.transpose()?;
    let Some(between) = &spec.between else {
        require(
            lead.is_none(),
            "signature.between",
            "is missing, and there is something in front of the signature",
            "say what stands between the two: `between = \",\"`",
        )?;
        return Ok((None, tag, None));
    };
    require(
        matches!(between.as_bytes(), [mark] if b" ,;|&".contains(mark)),
        "signature.between",
        "is not what can stand between two signatures",
        "write one of `,`, `;`, `|`, `&` and a space",
    )?;
    require(
        !tag.contains(between) && !lead.as_ref().is_some_and(|lead| lead.contains(between)),
        "signature.between",
        "stands within a signature, too",
        "write it as the provider does",
    )?;
    if let Some(lead) = &lead {
        let apart = !lead.is_empty() && !tag.is_empty() && !lead.starts_with(&tag) && !tag.starts_with(lead);
        require(apart, "signature.lead", "begins like a signature does", "write both as the provider does")?;
    }
    Ok((lead, tag, Some(between.clone())))
}

/// What stands before a word at the end of a text.
fn before(key: &str, text: &str, word: &str, fix: &str) -> Result<String, Flaw> {
    let tag = text.strip_suffix(word).filter(|tag| {
        // A signature's own time, which only `entry` has.
        let plain = if word == MAC { tag.replacen(TIMESTAMP, "", 1) } else { (*tag).to_owned() };
        plain.len() <= LONGEST && plain.bytes().all(|byte| byte.is_ascii_graphic() && !b"{}\"".contains(&byte))
    });
    tag.map(str::to_owned).ok_or_else(|| {
        flaw(key, format!("does not end with `{word}`, or has something before it that no header has"), fix)
    })
}
