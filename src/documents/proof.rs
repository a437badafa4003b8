//! Whether a place keeps what it promises: a place that writes whatever was there before would let two machines rotate at once.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use uuid::Uuid;

use super::{Documents, DocumentsError, Tag};

/// How many write at once, and how often.
const WRITERS: usize = 8;
const ROUNDS: usize = 10;
/// A document that was written this moment is no older.
const YOUNG: Duration = Duration::from_secs(60);

/// Proves it with documents of its own, which are removed again. `open` opens the place anew, once for every writer.
pub fn prove(open: &(dyn Fn() -> Result<Documents, DocumentsError> + Sync)) -> Result<(), DocumentsError> {
    let documents = open()?;
    let name = format!("proof/{}", Uuid::new_v4());
    let proved = proved(&documents, &name, open);
    let removed = documents.delete(&name);
    proved?;
    removed?;
    match documents.read(&name)? {
        None => Ok(()),
        Some(_) => Err(unfit(&documents, "it still shows a document that was removed")),
    }
}

fn proved(
    documents: &Documents,
    name: &str,
    open: &(dyn Fn() -> Result<Documents, DocumentsError> + Sync),
) -> Result<(), DocumentsError> {
    let ignores = || unfit(documents, "it writes without looking at what was there before");
    let Some(first) = documents.write_if(name, b"one", None)? else {
        return Err(unfit(documents, "it does not take a document that is new"));
    };
    if documents.write_if(name, b"two", None)?.is_some() {
        return Err(ignores());
    }
    let Some(second) = documents.write_if(name, b"three", Some(&first))? else {
        return Err(unfit(documents, "it does not take a document as the next after what was read"));
    };
    if second == first || documents.write_if(name, b"four", Some(&first))?.is_some() {
        return Err(ignores());
    }
    match documents.read(name)? {
        Some(found) if found.age > YOUNG => {
            return Err(unfit(documents, "its clock is not that by which it says when something was written"));
        }
        Some(found) if found.body == b"three" && found.tag == second => {}
        _ => return Err(unfit(documents, "it shows something else than what was written last")),
    }
    if !documents.list("proof/")?.iter().any(|(listed, tag)| listed == name && *tag == second) {
        return Err(unfit(documents, "it does not list what was written last"));
    }
    race(documents, name, second, open)
}

/// Lets several write at once, and exactly one of them may.
fn race(
    documents: &Documents,
    name: &str,
    mut tag: Tag,
    open: &(dyn Fn() -> Result<Documents, DocumentsError> + Sync),
) -> Result<(), DocumentsError> {
    for round in 0..ROUNDS {
        let start = Barrier::new(WRITERS);
        let write = |writer: usize| {
            let documents = open();
            let ready = documents.and_then(|documents| documents.read(name).map(|_| documents));
            start.wait();
            ready?.write_if(name, format!("{round} {writer}").as_bytes(), Some(&tag))
        };
        let written: Vec<_> = thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(move || write(writer))).collect();
            writers.into_iter().filter_map(|writer| writer.join().ok()).collect()
        });
        let won: Vec<Tag> = written.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
        match won.as_slice() {
            [next] => tag = next.clone(),
            _ => return Err(unfit(documents, &format!("{} of {WRITERS} that wrote at once were let", won.len()))),
        }
    }
    Ok(())
}

fn unfit(documents: &Documents, why: &str) -> DocumentsError {
    DocumentsError::Unfit { at: documents.place().to_owned(), why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::{Lie, Memory};
    use super::*;

    #[test]
    fn a_place_that_keeps_what_it_promises_is_proved_and_one_that_lies_is_not() {
        let sound = Memory::default();
        prove(&|| Ok(sound.open())).unwrap();
        assert!(sound.bodies().is_empty(), "nothing is left of it");
        for (lie, why) in [
            (Lie::IgnoresWhatWas, "without looking"),
            (Lie::IgnoresThatThereIs, "without looking"),
            (Lie::ListsNothing, "list"),
            (Lie::RemovesNothing, "removed"),
            (Lie::WrongClock, "clock"),
        ] {
            let place = Memory::default();
            place.lies(lie);
            let error = prove(&|| Ok(place.open())).unwrap_err().to_string();
            assert!(error.contains(why), "{lie:?}: {error}");
        }
    }

    /// The real one, which `tests/postgres/session.sh` starts.
    #[test]
    #[ignore = "needs PostgreSQL; run by tests/run"]
    fn postgres_keeps_what_it_promises() {
        let location: super::super::Location = std::env::var("WHSEC_TEST_POSTGRES").unwrap().parse().unwrap();
        let super::super::Place::Postgres(server) = location.place() else { panic!("no server") };
        let login = super::super::Login::Postgres(server.login(&|_| None, None).unwrap());
        let open = || Documents::at(&location, login.clone());
        let documents = open().unwrap();
        assert!(matches!(documents.read("a"), Err(DocumentsError::Missing { .. })));
        documents.prepare().unwrap();
        documents.prepare().unwrap();
        prove(&open).unwrap();
        for name in ["a/1", "a/%", "a_", "b/1"] {
            documents.write_if(name, name.as_bytes(), None).unwrap().unwrap();
        }
        let names =
            |prefix: &str| documents.list(prefix).unwrap().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(
            (names("a/"), names("a/%"), names("c")),
            (vec!["a/%".into(), "a/1".into()], vec!["a/%".into()], vec![])
        );
        let all = documents.read_all("a/").unwrap();
        assert!(all.iter().all(|(name, found)| found.body == name.as_bytes() && found.age < YOUNG));
        documents.delete("a/1").unwrap();
        documents.delete("a/1").unwrap();
        assert!(documents.read("a/1").unwrap().is_none());
        // A server that was put back to an earlier state counts anew.
        let before = documents.read("b/1").unwrap().unwrap().tag;
        documents.delete("b/1").unwrap();
        documents.write_if("b/1", b"another one", None).unwrap().unwrap();
        assert!(documents.write_if("b/1", b"over it", Some(&before)).unwrap().is_none());
        // A connection that is cut is made anew, and the write is done once.
        let tag = documents.read("b/1").unwrap().unwrap().tag;
        let other = open().unwrap();
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'whsec' AND pid <> pg_backend_pid()";
        other.read("b/1").unwrap();
        other.ask(cut);
        assert!(documents.write_if("b/1", b"anew", Some(&tag)).unwrap().is_some());
        assert_eq!(documents.read("b/1").unwrap().unwrap().body, b"anew");
    }
}
