//! A bare value: nothing but the secret, as a file of its own, a program or a pipe holds it.
//!
//! Editors and `echo` leave one line break at the end, which receivers strip; so it is stripped here too, and
//! a secret that ends in one is not taken, because it would not come back the same.

use zeroize::Zeroizing;

use super::{Change, StoreError};
use crate::secret::Secret;

/// The bytes are not text.
#[derive(Debug)]
pub(super) struct NotText;

/// Reads a bare value, less one line break at the end (`\n` or `\r\n`). `None` where nothing is left.
pub(super) fn value(bytes: &[u8]) -> Result<Option<Secret>, NotText> {
    let text = std::str::from_utf8(bytes).map_err(|_| NotText)?;
    let text = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    Ok((!text.is_empty()).then(|| Secret::new(text)))
}

/// The bytes to write for a value: its own, and no line break.
pub(super) fn bytes(value: &Secret) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(value.expose().as_bytes().to_vec())
}

/// Refuses values that would not come back the same, before anything is written.
pub(super) fn admit(store: &str, changes: &[Change<'_>]) -> Result<(), StoreError> {
    admit_values(store, changes)?;
    match changes.iter().any(|(_, value)| value.is_some_and(|value| value.expose().ends_with('\n'))) {
        true => Err(StoreError::Unrepresentable { store: store.to_owned(), why: "it ends in a line break" }),
        false => Ok(()),
    }
}

/// Refuses empty values, which every store reads as an empty slot.
pub(super) fn admit_values(store: &str, changes: &[Change<'_>]) -> Result<(), StoreError> {
    match changes.iter().any(|(_, value)| value.is_some_and(Secret::is_empty)) {
        true => Err(StoreError::Unrepresentable { store: store.to_owned(), why: "it is empty" }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_break_at_the_end_is_not_part_of_the_value() {
        for (bytes, read) in
            [("s", "s"), ("s\n", "s"), ("s\r\n", "s"), ("s\n\n", "s\n"), ("a\nb", "a\nb"), ("s\r", "s\r")]
        {
            assert_eq!(value(bytes.as_bytes()).unwrap().unwrap().expose(), read);
        }
        assert!(value(b"\n").unwrap().is_none());
        assert!(value(b"\xff").is_err());
    }
}
