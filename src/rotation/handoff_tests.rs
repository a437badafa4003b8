//! Bundles that are made, opened and compared, from a journal of any kind into any other.

use std::path::Path;

use super::super::seal::Places;
use super::super::teams::{lease, shared};
use super::super::tests::{answered, events, noon, rotation};
use super::super::{Direction, Handed, PlannedStore};
use super::*;
use crate::documents::Memory;
use crate::secret::Secret;
use crate::store::{self, Reference, SlotNames, Surroundings};

const SECRET: &str = "whsec_sealed_and_in_no_store_yet";

fn seals(state: &Path) -> Seals {
    let reference = Reference::File { path: state.join("identity") };
    let open = || store::open(&reference, &SlotNames::default(), &Surroundings::default());
    Seals::open(state, &[], &|| Ok(Places { first: open()?, otherwise: None })).unwrap()
}

fn store(server: Option<&str>) -> PlannedStore {
    let (reference, names) = ("file:/secret".to_owned(), SlotNames::default());
    PlannedStore { reference, names, server: server.map(str::to_owned) }
}

/// A journal with one rotation that is over, and one that is answered and sealed.
fn begun(journal: &Journal, seals: &Seals) -> Rotation {
    let begin = |id| {
        let mut it = rotation(Direction::OverlapEither);
        (it.id, it.plan.stores) = (id, vec![store(None)]);
        for step in [Step::Check, Step::Issue] {
            let mut of_step = events(Direction::OverlapEither, step);
            for event in &mut of_step {
                if let Event::Answered(answered) = event {
                    answered.fingerprint = Secret::new(SECRET).fingerprint();
                }
            }
            journal.append(&mut it, "ana@box", noon(), &of_step).unwrap();
        }
        it
    };
    let mut over = begin(Uuid::new_v4());
    journal.append(&mut over, "ana@box", noon(), &[Event::Closed { outcome: Outcome::Done, reason: None }]).unwrap();
    let open = begin(Uuid::new_v4());
    let mut facts = answered(Direction::OverlapEither);
    facts.fingerprint = Secret::new(SECRET).fingerprint();
    seals.seal(open.id, &Sealed::new(Some(facts), SECRET)).unwrap();
    open
}

fn handing_over() -> Event {
    let bound = vec![store(Some("host:box/0f1e2d3c4b5a"))];
    Event::HandedOver { to: vec!["age1ben".to_owned()], reason: None, bound }
}

/// Exports as an operation does, for the recipient of other seals.
fn export(journal: &Journal, from: &Seals, to: &Seals, it: &mut Rotation) -> Vec<u8> {
    let entry = Entry { at: noon(), by: "ana@box".to_owned(), event: handing_over() };
    let bundle = Bundle::of(journal, it, &entry, from).unwrap();
    let cipher = bundle.close(&[to.own_recipient().unwrap()], from).unwrap();
    journal.append(it, &entry.by, entry.at, &[entry.event]).unwrap();
    cipher
}

fn import(journal: &Journal, seals: &Seals, cipher: &[u8]) -> Result<Rotation, Known> {
    let (bundle, rotation) = Bundle::open(cipher, seals).unwrap();
    match bundle.known_to(journal).unwrap() {
        Known::Before => {}
        known => return Err(known),
    }
    let arrived = bundle.arrived(journal, "ben@desk", noon()).unwrap();
    bundle.seal(seals).unwrap();
    arrived.take_into(journal).unwrap();
    Ok(journal.find(&rotation.plan.endpoint_key, rotation.id).unwrap().unwrap())
}

#[test]
fn it_goes_from_any_journal_to_any_other_and_back_with_what_is_sealed() {
    for (from_shared, to_shared) in [(false, false), (false, true), (true, false), (true, true)] {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let (ana, ben) = (seals(folders[0].path()), seals(folders[1].path()));
        let key = rotation(Direction::OverlapEither).plan.endpoint_key.clone();
        let memories = [Memory::default(), Memory::default()];
        let journal = |at: usize, is_shared| match is_shared {
            true => Journal::Shared(shared(&memories[at])),
            false => Journal::open(folders[at].path()).unwrap(),
        };
        let (here, there) = (journal(0, from_shared), journal(1, to_shared));
        let _leases = [&here, &there].map(|journal| journal.shared().map(|shared| lease(shared, &key, "me").unwrap()));
        let mut it = begun(&here, &ana);
        let first = export(&here, &ana, &ben, &mut it);
        assert!(here.find_open(&key).unwrap().is_none() && here.verify().is_ok());
        assert_eq!(it.is_with().map(|handed: &Handed| handed.to.as_slice()), Some(&["age1ben".to_owned()][..]));

        let mut open = import(&there, &ben, &first).unwrap();
        assert!(open.closed.is_none() && open.is_with().is_none() && there.verify().is_ok());
        assert_eq!((open.id, open.answered(), &open.done), (it.id, it.answered(), &it.done));
        assert_eq!(open.plan.stores[0].server.as_deref(), Some("host:box/0f1e2d3c4b5a"));
        assert_eq!(ben.secret_of(open.id, open.new_secret()).unwrap().expose(), SECRET);
        // Once more: it is there. Further on it is still, and once it is over it is known.
        assert_eq!(import(&there, &ben, &first).unwrap_err(), Known::Here);
        for event in events(Direction::OverlapEither, Step::Stage) {
            there.append(&mut open, "ben@desk", noon(), &[event]).unwrap();
        }
        assert_eq!(import(&there, &ben, &first).unwrap_err(), Known::Here);
        // Back to where it was, with what has come of it; the first bundle is of no use there from then on.
        let second = export(&there, &ben, &ana, &mut open);
        assert_eq!(import(&there, &ben, &first).unwrap_err(), Known::FurtherOn);
        let mut back = import(&here, &ana, &second).unwrap();
        assert!(back.done.contains_key(&Step::Stage) && here.find_open(&key).unwrap().is_some());
        here.append(&mut back, "ana@box", noon(), &[Event::Closed { outcome: Outcome::Done, reason: None }]).unwrap();
        assert_eq!(import(&here, &ana, &first).unwrap_err(), Known::FurtherOn);
        assert_eq!(import(&here, &ana, &second).unwrap_err(), Known::FurtherOn);
        assert_eq!(here.of_endpoint(&key).unwrap().len(), 2);
        assert!(here.verify().is_ok() && there.verify().is_ok());
    }
}

#[test]
fn whoever_hands_it_over_can_take_it_back_as_it_was_and_only_so() {
    let folder = tempfile::tempdir().unwrap();
    let (ana, journal) = (seals(folder.path()), Journal::open(folder.path()).unwrap());
    let other = tempfile::tempdir().unwrap();
    let mut it = begun(&journal, &ana);
    let before = it.clone();
    let cipher = export(&journal, &ana, &seals(other.path()), &mut it);
    let mut back = import(&journal, &ana, &cipher).unwrap();
    assert_eq!((back.closed.clone(), back.step(), &back.call), (None, before.step(), &before.call));
    journal.append(&mut back, "ana@box", noon(), &[handing_over()]).unwrap();
    journal.append(&mut back, "ana@box", noon(), &[Event::Acknowledged { reason: "over".to_owned() }]).unwrap();
    assert!(back.is_with().is_none());
    assert_eq!(import(&journal, &ana, &cipher).unwrap_err(), Known::FurtherOn);
}

#[test]
fn what_does_not_hang_together_is_no_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let (ana, journal) = (seals(folder.path()), Journal::open(folder.path()).unwrap());
    let mut it = begun(&journal, &ana);
    let cipher = export(&journal, &ana, &ana, &mut it);
    let plain = ana.envelope().unwrap().open(&cipher).unwrap();
    let opened = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut json: serde_json::Value = serde_json::from_slice(&plain).unwrap();
        change(&mut json);
        let cipher = envelope::encrypt_for(&ana.recipients(), json.to_string().as_bytes()).unwrap();
        Bundle::open(&cipher, &ana)
    };
    assert!(opened(&|_| ()).is_ok());
    assert!(matches!(opened(&|json| json["format"] = 2.into()), Err(BundleError::Newer { found: 2 })));
    let changes: [&dyn Fn(&mut serde_json::Value); 8] = [
        &|json| *json = 1.into(),
        &|json| json["rotation"]["events"].as_array_mut().unwrap().clear(),
        // It is not handed over, or nothing has come of its call.
        &|json| drop(json["rotation"]["events"].as_array_mut().unwrap().pop()),
        &|json| drop(json["rotation"]["events"].as_array_mut().unwrap().drain(1..3)),
        &|json| json["rotation"]["events"][0]["seq"] = 7.into(),
        &|json| json["rotation"]["target"] = "another".into(),
        &|json| json["rotation"]["events"][0]["event"] = "{\"event\":\"of_a_newer_one\"}".into(),
        // Another secret than the answer's.
        &|json| json["seals"][it.id.to_string()]["secret"] = "whsec_theirs".into(),
    ];
    for (at, change) in changes.iter().enumerate() {
        assert!(matches!(opened(change), Err(BundleError::Senseless)), "{at}");
    }
    let stray = Uuid::new_v4().to_string();
    let beside = |json: &mut serde_json::Value| json["seals"][&stray] = json["seals"][it.id.to_string()].clone();
    assert!(matches!(opened(&beside), Err(BundleError::Senseless)));
}

/// A leak is contained by whoever has the rotation; of what nobody has, it is still said here.
#[test]
fn what_is_handed_over_is_no_leak_here_and_no_end() {
    let mut it = rotation(Direction::Force);
    it.plan.forced = true;
    for step in [Step::Check, Step::Issue, Step::Stage, Step::Promote] {
        for event in events(Direction::Force, step) {
            it.fold(&Entry { at: noon(), by: "ana@box".to_owned(), event });
        }
    }
    let known = |it: &Rotation| vec![it.clone()];
    it.closed = None;
    assert!(super::super::leaking(&known(&it)).is_some());
    it.fold(&Entry { at: noon(), by: "ana@box".to_owned(), event: handing_over() });
    assert!(super::super::leaking(&known(&it)).is_none());
    assert!(!it.left_a_dead_secret(noon()) && !it.gave_up_before_live() && !it.lost_its_secret());
    it.fold(&Entry { at: noon(), by: "ana@box".to_owned(), event: Event::Received });
    assert!(super::super::leaking(&known(&it)).is_some() && it.closed.is_none());
    // It opens nothing that has come to its end.
    it.fold(&Entry {
        at: noon(),
        by: "ana@box".to_owned(),
        event: Event::Closed { outcome: Outcome::Done, reason: None },
    });
    it.fold(&Entry { at: noon(), by: "ana@box".to_owned(), event: Event::Received });
    assert!(it.closed_as(Outcome::Done));
}
