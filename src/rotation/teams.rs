//! Several machines at one shared journal in memory, for tests.

use std::rc::Rc;
use std::time::Duration;

use uuid::Uuid;

use super::lock::{EndpointLock, LockError};
use super::shared::Shared;
use super::tests::{noon, rotation};
use super::{Direction, Rotation};
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
