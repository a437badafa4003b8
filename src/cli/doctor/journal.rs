//! Looks at the journal and at the key that opens sealed copies.

use super::Check;
use crate::cli::session::Session;
use crate::rotation::journal::{Journal, JournalError};
use crate::rotation::seal::Sealed;
use crate::system::private;

/// Whether all of the journal is as it was written, and whether a sealed copy can be made and opened.
pub fn look(session: &Session) -> Vec<Check> {
    let exists = session.folders().and_then(|folders| Ok(folders.state_dir()?.is_dir())).unwrap_or(false);
    if !exists {
        return vec![Check::note("journal", "there is none yet", "the first rotation makes it")];
    }
    vec![journal(session), seal(session)]
}

fn journal(session: &Session) -> Check {
    let open = session.folders().and_then(|folders| {
        let folder = folders.private_state_dir()?;
        // It could be looked at, and the next rotation would fail.
        if private::is_read_only(folder) {
            return Err(JournalError::ReadOnly { folder: folder.to_owned() }.into());
        }
        let journal = Journal::open(folder)?;
        journal.verify()?;
        Ok(journal.open_rotations()?)
    });
    match open {
        Ok(open) if open.is_empty() => Check::ok("journal", "no rotation is open"),
        Ok(open) => {
            let names: Vec<String> = open.iter().map(|rotation| rotation.plan.target.clone()).collect();
            Check::note("journal", format!("open rotations: {}", names.join(", ")), "whsec status")
        }
        Err(error) => Check::failed("journal", &error),
    }
}

/// Makes a seal of nothing, opens it and removes it: a seal that cannot be opened would be found too late.
fn seal(session: &Session) -> Check {
    let id = uuid::Uuid::new_v4();
    let tried = session.context().and_then(|context| Ok(context.seals()?)).and_then(|seals| {
        seals.seal(id, &Sealed::new(None, "doctor"))?;
        let opened = seals.unseal(id);
        seals.remove(id)?;
        opened?;
        Ok((seals.identity_place(), seals.own_recipient().unwrap_or_default()))
    });
    match tried {
        Ok((place, recipient)) => Check::ok(
            "seal",
            format!("sealed copies open with the identity in {place}, whose recipient is {recipient}"),
        ),
        Err(error) => Check::failed("seal", &error),
    }
}
