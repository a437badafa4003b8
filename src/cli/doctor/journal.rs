//! Looks at the journal and at the key that opens sealed copies.

use super::Check;
use crate::cli::session::Session;
use crate::documents::{Location, Versions};
use crate::rotation::Rotation;
use crate::rotation::journal::{Journal, JournalError};
use crate::rotation::seal::Sealed;
use crate::system::private;

/// Whether all of the journal is as it was written, and whether a sealed copy can be made and opened.
pub fn look(session: &Session) -> Vec<Check> {
    match session.context().and_then(|context| Ok(context.location()?)) {
        Ok(Some(location)) => {
            let (journal, versions) = (shared(session, &location), versions(session, &location));
            return [journal].into_iter().chain(versions).chain([seal(session)]).collect();
        }
        Ok(None) => {}
        Err(error) => return vec![Check::failed("journal", &error)],
    }
    let exists = session.folders().and_then(|folders| Ok(folders.state_dir()?.is_dir())).unwrap_or(false);
    if !exists {
        return vec![Check::note("journal", "there is none yet", "the first rotation makes it")];
    }
    vec![journal(session), seal(session)]
}

/// The journal that several machines share.
fn shared(session: &Session, location: &Location) -> Check {
    let open = session.context().and_then(|context| {
        let doubts = context.doubts(location)?;
        let journal = context.journal()?;
        journal.verify()?;
        Ok((doubts, journal.open_rotations()?))
    });
    match open {
        Err(error) => Check::failed("journal", &error),
        Ok((doubts, _)) if !doubts.is_empty() => {
            Check::bad("journal", format!("{location}: {}", doubts.join("; ")), "see to that at the server")
        }
        Ok((_, open)) => Check::ok("journal", format!("{location}, shared; {}", words(&open))),
    }
}

/// What is to be had of a journal in a bucket that somebody has written over.
fn versions(session: &Session, location: &Location) -> Option<Check> {
    let asked = session.context().and_then(|context| Ok(context.versions(location)?));
    Some(match asked.ok()?? {
        Versions::Kept => {
            Check::ok("versions", "the bucket keeps them: a document that was written over or removed can be had again")
        }
        Versions::Lost => Check::note(
            "versions",
            "the bucket keeps none: a document that somebody else writes over or removes is gone",
            "switch on the bucket's versioning, with a rule that ends old versions",
        ),
        Versions::Forbidden => Check::note(
            "versions",
            "whether the bucket keeps them may not be asked",
            "allow s3:GetBucketVersioning to know",
        ),
        Versions::Untold => return None,
    })
}

fn words(open: &[Rotation]) -> String {
    let names: Vec<&str> = open.iter().map(|rotation| rotation.plan.target.as_str()).collect();
    if names.is_empty() { "no rotation is open".to_owned() } else { format!("open rotations: {}", names.join(", ")) }
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
        Ok(open) if open.is_empty() => Check::ok("journal", words(&open)),
        Ok(open) => Check::note("journal", words(&open), "whsec status"),
        Err(error) => Check::failed("journal", &error),
    }
}

/// Makes a seal of nothing, opens it and removes it: a seal that cannot be opened would be found too late.
fn seal(session: &Session) -> Check {
    let id = uuid::Uuid::new_v4();
    let tried = session.context().and_then(|context| Ok(context.seals()?)).and_then(|seals| {
        seals.seal(id, &Sealed::new(None, "doctor"))?;
        let opened = seals.unseal(id);
        seals.remove(id, None)?;
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
