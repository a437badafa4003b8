//! `stdout:`: the bare value, once, into a pipe or a file. Nothing is kept, and nothing can be read back.

use std::io::{self, Write};

use super::{Access, Change, Slot, Store, StoreError, bare};
use crate::secret::Secret;
use crate::system::FileError;

const REFERENCE: &str = "stdout:";

/// This process's standard output.
pub(super) struct Stdout;

impl Store for Stdout {
    fn reference(&self) -> String {
        REFERENCE.to_owned()
    }

    fn slot_name(&self, _: Slot) -> String {
        "standard output".to_owned()
    }

    fn access(&self) -> Access {
        Access::Once
    }

    fn get(&self, _: Slot) -> Result<Option<Secret>, StoreError> {
        Err(StoreError::NotReadable { store: self.reference() })
    }

    /// Writes the value for `next`, with no line break after it; other changes do nothing. Refuses a terminal,
    /// and standard output that is closed or goes nowhere, even where there is nothing to write.
    fn apply(&self, changes: &[Change<'_>]) -> Result<(), StoreError> {
        refuse_device()?;
        emit(&mut io::stdout().lock(), changes)
    }
}

fn emit(out: &mut impl Write, changes: &[Change<'_>]) -> Result<(), StoreError> {
    bare::admit_values(REFERENCE, changes)?;
    for (slot, value) in changes {
        if let (Slot::Next, Some(value)) = (slot, value) {
            let written = out.write_all(value.expose().as_bytes()).and_then(|()| out.flush());
            let failed = |source| FileError::failed("write to", "standard output".as_ref(), source);
            written.map_err(|source| StoreError::file(REFERENCE)(failed(source)))?;
        }
    }
    Ok(())
}

/// A terminal shows the secret and keeps it in its scrollback; `/dev/null`, which stands in for a closed standard
/// output as well, and other devices lose it.
fn refuse_device() -> Result<(), StoreError> {
    let refused = |why: &str| {
        let hint = "pipe it into a program: `whsec … | program`".into();
        Err(StoreError::Refused { store: REFERENCE.to_owned(), why: why.to_owned(), hint })
    };
    if io::IsTerminal::is_terminal(&io::stdout()) {
        return refused("standard output is a terminal");
    }
    let kind = rustix::fs::fstat(io::stdout()).map(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode));
    match kind {
        Ok(rustix::fs::FileType::CharacterDevice) => return refused("standard output is closed or a device"),
        Ok(_) => {}
        Err(_) => return refused("standard output is closed"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_new_secret_goes_out_and_nothing_else() {
        let (new, other) = (Secret::new("whsec_new"), Secret::new("whsec_other"));
        let mut out = Vec::new();
        let changes =
            [(Slot::Canary, Some(&other)), (Slot::Next, Some(&new)), (Slot::Current, Some(&other)), (Slot::Next, None)];
        emit(&mut out, &changes).unwrap();
        assert_eq!(out, b"whsec_new");
    }

    #[test]
    fn a_closed_pipe_is_an_error() {
        let (reader, mut writer) = io::pipe().unwrap();
        drop(reader);
        assert!(matches!(emit(&mut writer, &[(Slot::Next, Some(&Secret::new("s")))]), Err(StoreError::File { .. })));
    }
}
