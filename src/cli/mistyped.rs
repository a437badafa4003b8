//! What clap says of a command line that it cannot read, without the values that were typed: one of them may be a secret in the
//! wrong place, and errors end up in logs.

use clap::Error;
use clap::error::{ContextKind, ContextValue};

use crate::secret;

/// What stands in the place of a value.
const HIDDEN: &str = "…";

/// The same error with every value hidden. A flag is shown up to its `=`, and what is near enough to a known word is shown: it is
/// a slip of that word.
pub fn without_values(mut error: Error) -> Error {
    let is_near = [ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue, ContextKind::SuggestedArg]
        .iter()
        .any(|kind| error.get(*kind).is_some());
    for kind in [ContextKind::InvalidValue, ContextKind::InvalidSubcommand, ContextKind::InvalidArg] {
        let Some(ContextValue::String(typed)) = error.get(kind) else { continue };
        let shown = match kind {
            _ if typed.starts_with('-') => typed.split('=').next().unwrap_or_default().to_owned(),
            // What a known argument is called is no value.
            ContextKind::InvalidArg if typed.starts_with(['<', '[']) => continue,
            _ if typed.is_empty() || (is_near && !secret::could_be_secret(typed)) => continue,
            _ => HIDDEN.to_owned(),
        };
        error.insert(kind, ContextValue::String(shown));
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b11_a_value_that_was_typed_is_not_repeated() {
        const SECRET: &str = "whsec_c2VjcmV0LXNlY3JldA";
        let inline = format!("--api-key={SECRET}");
        let lines: &[&[&str]] = &[
            &[SECRET],
            &["reveal", "hooks", SECRET],
            &["rotate", "hooks", &inline],
            &["rotate", "hooks", "--timeout", SECRET],
            &["rotate", "hooks", "--color", SECRET],
            &["rotate", "hooks", "--id", SECRET],
            &["cutover", "hooks", "--done", SECRET],
            &["cutover", "hooks", "--done", "deploy=whsec_c2VjcmV0LXNlY3JldA"],
            &["cutover", "hooks", "--resolve", SECRET],
            &["force-rotate", "hooks", "--reason", "x", "--leaked", SECRET],
            &["verify", "hooks", "--at", SECRET],
            &["verify", "hooks", "--header", SECRET],
            &["probe", "hooks", "--with", SECRET],
            &["probe", "hooks", "--expect", SECRET],
            &["reveal", "hooks", "--slot", SECRET],
            &["target", "add", "hooks", "--cutover", SECRET],
            &["completions", SECRET],
        ];
        for line in lines {
            let arguments = ["whsec"].iter().chain(*line);
            let error = super::super::command().try_get_matches_from(arguments).unwrap_err();
            let said = without_values(error).to_string();
            assert!(!said.contains("c2VjcmV0"), "{line:?}: {said}");
            assert!(said.contains("error: "), "{said}");
        }
        let said = |line: &[&str]| {
            let arguments = ["whsec"].iter().chain(line);
            without_values(super::super::command().try_get_matches_from(arguments).unwrap_err()).to_string()
        };
        assert!(said(&["rotat"]).contains("'rotate'") && said(&["rotate", "x", "--detatch"]).contains("--detach"));
        assert!(said(&["rollback"]).contains("<TARGET>"), "{}", said(&["rollback"]));
    }
}
