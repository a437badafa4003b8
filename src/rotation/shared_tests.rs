//! A shared journal: what is found in it and beside its heads, what is refused, and where its seals are.

use std::rc::Rc;
use std::time::Duration;

use uuid::Uuid;

use super::*;
use crate::documents::{Memory, Mishap};
use crate::rotation::journal::{Journal, JournalError};
use crate::rotation::lock::EndpointLock;
use crate::rotation::teams::{CALL, begun, envelope, shared};
use crate::rotation::tests::{answered, events, noon};
use crate::rotation::{Direction, Event, Outcome, Rotation, Step};
use crate::secret::Secret;
use crate::store::envelope::Identity;

fn done(journal: &Journal, rotation: &mut Rotation) {
    for step in Direction::OverlapSwitch.steps() {
        journal.append(rotation, "ana@box", noon(), &events(Direction::OverlapSwitch, *step)).unwrap();
    }
    journal.append(rotation, "ana@box", noon(), &[Event::Closed { outcome: Outcome::Done, reason: None }]).unwrap();
}

#[test]
fn what_is_over_leaves_the_head_and_is_found_beside_it() {
    let memory = Memory::default();
    let shared = shared(&memory);
    let journal = Journal::Shared(Rc::clone(&shared));
    let mut known = Vec::new();
    for _ in 0..4 {
        let mut rotation = begun();
        done(&journal, &mut rotation);
        known.insert(0, rotation);
    }
    let key = known[0].plan.endpoint_key.clone();
    let found = journal.of_endpoint(&key).unwrap();
    assert_eq!(found.iter().map(|it| it.id).collect::<Vec<_>>(), known.iter().map(|it| it.id).collect::<Vec<_>>());
    let beside = memory.bodies().into_iter().filter(|(name, _)| name.starts_with("closed/")).count();
    assert!(beside >= 2, "{beside}");
    assert!(journal.standing_of(&key).unwrap().len() + beside >= 4);
    assert_eq!(journal.closed_since(jiff::Timestamp::UNIX_EPOCH).unwrap().len(), 4);
    assert_eq!(journal.endpoints().unwrap(), std::slice::from_ref(&key));
    // One that is over takes another word all the same.
    let mut oldest = known.pop().unwrap();
    journal.append(&mut oldest, "ben@box", noon(), &[Event::Acknowledged { reason: "seen".to_owned() }]).unwrap();
    assert!(journal.find(&key, oldest.id).unwrap().unwrap().acknowledged);
    assert_eq!(journal.of_endpoint(&key).unwrap().len(), 4);
    journal.verify().unwrap();
    // What somebody has taken out beside the head is missed. Whatever is done next moves out what came back for that word.
    shared.change(&key, |_| Ok::<_, SharedError>(())).unwrap();
    let name = memory.bodies().into_iter().map(|(name, _)| name).find(|name| name.starts_with("closed/")).unwrap();
    memory.delete(&name).unwrap();
    assert!(journal.of_endpoint(&key).is_err() && journal.verify().is_err());
    assert!(journal.open_of(&key).unwrap().is_empty(), "what is over hides nothing that is open");
}

#[test]
fn one_rotation_is_open_and_one_that_is_to_replace_it_beside_it() {
    let memory = Memory::default();
    let journal = Journal::Shared(shared(&memory));
    let (mut first, mut second, mut third) = (begun(), begun(), begun());
    let check = events(Direction::OverlapSwitch, Step::Check);
    journal.append(&mut first, "ana@box", noon(), &check).unwrap();
    let refused = journal.append(&mut second, "ben@box", noon(), &check);
    assert!(matches!(refused, Err(JournalError::AlreadyOpen { .. })), "{refused:?}");
    second.plan.replaces = Some(first.id);
    journal.append(&mut second, "ben@box", noon(), &check).unwrap();
    third.plan.replaces = Some(first.id);
    assert!(journal.append(&mut third, "cem@box", noon(), &check).is_err());
    let key = &first.plan.endpoint_key;
    assert_eq!(journal.find_open(key).unwrap().map(|open| open.id), Some(second.id));
    journal.append(&mut second, "ben@box", noon(), &[Event::Answered(answered(Direction::OverlapSwitch))]).unwrap();
    let open: Vec<Uuid> = journal.open_of(key).unwrap().into_iter().map(|open| open.id).collect();
    assert_eq!(open, [second.id], "the one that is replaced is closed in the same write");
}

#[test]
fn a_document_that_is_not_as_it_was_written_or_of_a_newer_whsec_is_refused() {
    let memory = Memory::default();
    let first = shared(&memory);
    let journal = Journal::Shared(Rc::clone(&first));
    let mut rotation = begun();
    journal.append(&mut rotation, "ana@box", noon(), &events(Direction::OverlapSwitch, Step::Check)).unwrap();
    let key = &rotation.plan.endpoint_key;
    let name = head_name(key);
    let body = memory.read(&name).unwrap().unwrap().body;
    for at in 0..body.len() {
        memory.tamper(&name, |mut body| {
            body[at] ^= 1;
            body
        });
        let error = journal.open_of(key).unwrap_err();
        assert!(matches!(error, JournalError::Shared(SharedError::Damaged { .. })), "{at}: {error}");
        memory.tamper(&name, |_| body.clone());
    }
    // A later format says so first, whatever else it holds.
    let newer = br#"{"format":2,"heads":"elsewhere"}"#;
    let stamp = first.stamps.stamp(STAMPED, &[name.as_bytes(), newer]);
    memory.tamper(&name, |_| [newer, b"\n".as_slice(), stamp.as_bytes()].concat());
    assert!(matches!(journal.open_of(key), Err(JournalError::Shared(SharedError::Newer { found: 2, known: 1, .. }))));
    // Another journal in the place of the one that is named.
    let other = Memory::default();
    let key = shared(&other).fingerprint();
    let opened = Shared::open(memory.open(), Some(&key), &envelope(), "identity");
    assert!(matches!(opened, Err(SharedError::OtherKey { .. })));
    let (own, identity) = (first.fingerprint(), Identity::generate());
    assert!(Shared::open(memory.open(), Some(&own), &envelope(), "identity").is_ok());
    let stranger = Envelope { recipients: vec![identity.to_public()], identity };
    assert!(matches!(Shared::open(memory.open(), None, &stranger, "theirs"), Err(SharedError::DoesNotOpen { .. })));
}

/// A seal is a document of its own: one that comes too late takes nobody's place, and goes with no other.
#[test]
fn seals_of_two_machines_lie_side_by_side() {
    use crate::rotation::fakes::Shelf;
    use crate::rotation::seal::{Places, Sealed, Seals};
    use crate::store::Access;
    let (memory, folder, identity) =
        (Memory::default(), tempfile::tempdir().unwrap(), Shelf::new("i", Access::ReadWrite));
    let places = || Ok(Places { first: Box::new(identity.clone()), otherwise: None });
    let opened = || {
        let own = Seals::open(folder.path(), &[], &places).unwrap();
        let shared = Rc::new(Shared::make(memory.open(), None, &own.envelope().unwrap(), "i").unwrap());
        (own.in_journal(Rc::clone(&shared)).unwrap(), shared)
    };
    let ((ana, first), (ben, second)) = (opened(), opened());
    let id = Uuid::new_v4();
    let lock = EndpointLock::lease(first, "e", "ana", CALL).unwrap();
    let sealed = |text: &str| Sealed::new(None, text);
    memory.age(Duration::from_secs(200));
    let taken = EndpointLock::lease(second, "e", "ben", CALL).unwrap();
    ben.seal(id, &sealed("the one that counts")).unwrap();
    // It was sent before the endpoint was taken, and is answered after that.
    ana.seal(id, &sealed("the late one")).unwrap();
    assert_eq!(ben.unseal(id).unwrap().secret(), Secret::new("the one that counts"));
    let late = Secret::new("the late one").fingerprint();
    assert_eq!(ben.secret_of(id, Some(&late)).unwrap(), Secret::new("the late one"));
    let counts = Secret::new("the one that counts").fingerprint();
    ben.remove(id, Some(&counts)).unwrap();
    assert!(ben.exists(id), "what nobody knows of is not removed");
    assert_eq!(ana.unseal(id).unwrap().secret(), Secret::new("the late one"));
    ben.remove(id, None).unwrap();
    assert!(!ben.exists(id));
    // Whoever was taken over believes in what it has put there until it looks.
    assert!(ana.unseal(id).is_err());
    // Where the journal is away the file of this machine takes its place.
    memory.with_whim(|_| Mishap::Unsent);
    ana.seal(id, &sealed("kept here")).unwrap();
    assert!(folder.path().join("seals").join(format!("{id}.age")).exists());
    memory.without_whim();
    assert_eq!(ana.unseal(id).unwrap().secret(), Secret::new("kept here"));
    ana.share(id).unwrap();
    assert!(!folder.path().join("seals").join(format!("{id}.age")).exists(), "others find it now");
    assert_eq!(ben.unseal(id).unwrap().secret(), Secret::new("kept here"));
    ana.remove(id, None).unwrap();
    assert!(!ana.exists(id) && memory.bodies().iter().all(|(name, _)| !name.starts_with("seals/")));
    drop((lock, taken));
}

/// What anybody may have put where a seal is keeps none from being made.
#[test]
fn junk_beside_a_seal_keeps_no_secret_from_being_sealed() {
    use crate::rotation::fakes::Shelf;
    use crate::rotation::seal::{Places, Sealed, Seals};
    use crate::store::Access;
    let (memory, folder, identity) =
        (Memory::default(), tempfile::tempdir().unwrap(), Shelf::new("i", Access::ReadWrite));
    let places = || Ok(Places { first: Box::new(identity.clone()), otherwise: None });
    let own = Seals::open(folder.path(), &[], &places).unwrap();
    let shared = Rc::new(Shared::make(memory.open(), None, &own.envelope().unwrap(), "i").unwrap());
    let seals = own.in_journal(Rc::clone(&shared)).unwrap();
    let id = Uuid::new_v4();
    memory.write_if(&format!("seals/{id}/x"), b"junk", None).unwrap();
    assert!(seals.exists(id) && !seals.keeps(id));
    seals.seal(id, &Sealed::new(None, "kept")).unwrap();
    assert!(seals.keeps(id));
    assert_eq!(seals.unseal(id).unwrap().secret(), Secret::new("kept"));
    // Where nobody can tell it is not taken for sealed.
    memory.with_whim(|_| Mishap::Unsent);
    assert!(seals.exists(id) && !seals.keeps(id));
}

/// Whoever has read an old head changes nothing of what others have recorded since.
#[test]
fn what_is_over_is_never_written_over_by_less_or_by_something_else() {
    let memory = Memory::default();
    let (shared, mut rotation) = (shared(&memory), begun());
    let journal = Journal::Shared(Rc::clone(&shared));
    done(&journal, &mut rotation);
    let key = rotation.plan.endpoint_key.clone();
    let row = shared.head(&key).unwrap().head.standing.pop().unwrap();
    let with = |reason: &str| {
        let mut row = row.clone();
        let event = Event::Acknowledged { reason: reason.to_owned() };
        let stored = row.take(&crate::rotation::Entry { at: noon(), by: "x".to_owned(), event }).unwrap();
        row.events.push(stored);
        row
    };
    assert!(shared.write_over(&row).unwrap() && shared.write_over(&row).unwrap());
    assert!(shared.write_over(&with("one")).unwrap());
    assert!(!shared.write_over(&row).unwrap(), "an old one");
    assert!(shared.write_over(&with("another")).is_err());
    let found = shared.one_over(&key, &row.opened_at, &row.id).unwrap().unwrap();
    assert_eq!(found.events, with("one").events);
}
