//! Several machines at one shared journal in memory, and what is in a journal, for tests.

use std::rc::Rc;
use std::time::Duration;

use uuid::Uuid;

use super::journal::Journal;
use super::lock::{EndpointLock, LockError};
use super::shared::Shared;
use super::tests::{events, noon, rotation};
use super::{Direction, Event, Outcome, Rotation, Step};
use crate::documents::Memory;
use crate::store::envelope::{Envelope, Identity};

/// The longest that a call may take.
pub const CALL: Duration = Duration::from_secs(30);

pub fn envelope() -> Envelope {
    thread_local!(static IDENTITY: Identity = Identity::generate());
    IDENTITY.with(|identity| Envelope { recipients: vec![identity.to_public()], identity: identity.clone() })
}

pub fn shared(memory: &Memory) -> Rc<Shared> {
    Rc::new(Shared::make(memory.open(), None, &envelope(), "identity").unwrap())
}

pub fn lease(shared: &Rc<Shared>, key: &str, holder: &str) -> Result<EndpointLock, LockError> {
    EndpointLock::lease(Rc::clone(shared), key, holder, CALL)
}

pub fn begun() -> Rotation {
    Rotation::new(Uuid::new_v4(), rotation(Direction::OverlapSwitch).plan.clone(), noon())
}

pub fn begin(journal: &Journal, direction: Direction, replaces: Option<Uuid>) -> Rotation {
    let mut it = rotation(direction);
    (it.id, it.plan.replaces) = (Uuid::new_v4(), replaces);
    journal.append(&mut it, "ana@box", noon(), &events(direction, Step::Check)).unwrap();
    it
}

pub fn add(journal: &Journal, it: &mut Rotation, event: Event) {
    journal.append(it, "ana@box", noon(), &[event]).unwrap();
}

/// What can be asked of a journal.
pub fn said(journal: &Journal, endpoint: &str) -> String {
    let plans = |rotations: Vec<Rotation>| {
        let of = |it: &Rotation| (it.id, it.closed.clone(), it.done.clone(), it.call.clone(), it.plan.replaces);
        format!("{:?}", rotations.iter().map(of).collect::<Vec<_>>())
    };
    let closed = journal.closed_since(noon()).unwrap();
    [journal.of_endpoint(endpoint), journal.open_of(endpoint), journal.standing_of(endpoint), Ok(closed)]
        .map(|asked| plans(asked.unwrap()))
        .join("\n")
}

/// Four that are over, one that is open and one that stands beside it.
pub fn filled(folder: &std::path::Path) -> (Journal, Rotation, Rotation) {
    let journal = Journal::open(folder).unwrap();
    for _ in 0..4 {
        let mut over = begin(&journal, Direction::OverlapEither, None);
        for step in [Step::Issue, Step::Stage] {
            events(Direction::OverlapEither, step).into_iter().for_each(|event| add(&journal, &mut over, event));
        }
        add(&journal, &mut over, Event::Closed { outcome: Outcome::Done, reason: None });
    }
    let open = begin(&journal, Direction::OverlapEither, None);
    let beside = begin(&journal, Direction::Force, Some(open.id));
    (journal, open, beside)
}
