//! The only imperative part: a rotation set among everything that it acts on, and what every step needs of that.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;

use super::agreed::Agreed;
use super::journal::{Journal, JournalError};
use super::lock::EndpointLock;
use super::operator::{News, Operator};
use super::seal::Seals;
use super::shared_error::SharedError;
use super::{Answered, Call, Event, KeyOrigin, Rotation, RunError, Step};
use crate::delivery::probe::Prober;
use crate::provider::client::Client;
use crate::provider::{Carried, Endpoint};
use crate::secret::Secret;
use crate::store::{Access, Slot, Store, readable, slots};

/// How long the endpoint has to be this process's beyond what a call may take, and for a change of a store.
pub(super) const BEFORE_A_CALL: Duration = Duration::from_secs(15);
pub(super) const BEFORE_A_STORE: Duration = Duration::from_secs(30);

/// A rotation and everything that it acts on.
pub struct Runner<'a> {
    pub journal: &'a Journal,
    pub client: &'a Client,
    pub endpoint: &'a Endpoint,
    /// Needed for the call and to ask the provider's clock; other steps go on without.
    pub api_key: Option<&'a Secret>,
    /// Where that came from.
    pub key_origin: Option<&'a KeyOrigin>,
    pub stores: &'a [Box<dyn Store>],
    pub seals: &'a Seals,
    pub operator: &'a mut dyn Operator,
    pub now: fn() -> Timestamp,
    /// How it waits.
    pub sleep: fn(Duration),
    /// `user@host`, for the record.
    pub by: &'a str,
    pub rotation: &'a mut Rotation,
    /// Let go of while a person or the clock is waited for.
    pub lock: &'a EndpointLock,
    /// How often this process may still send a request again whose answer was lost.
    pub replays_left: u32,
    /// The new secret, where it arrived in this process.
    pub arrived: Option<Secret>,
    /// What was read a moment ago of the endpoint, to be sent back with the secret that arrived.
    pub carried: Carried,
    /// How often this process may still send the request at all.
    pub attempts_left: u32,
    /// Sends probes to the receivers, where that is wanted and possible.
    pub prober: Option<&'a Prober>,
    /// Whether this process has probed the receivers since the last change that it knows of.
    pub probed: bool,
    /// Whether this process has looked at what the provider shows since anybody was waited for, and whether what only asks was
    /// asked about then.
    pub looked: Option<bool>,
    /// What somebody has agreed to in this process for the removal of the first of two endpoints.
    pub agreed: Agreed,
}

impl<'a> Runner<'a> {
    /// The API key, for a call that cannot do without.
    pub(super) fn key(&self) -> Result<&'a Secret, RunError> {
        self.api_key.ok_or_else(|| RunError::KeyNeeded { provider: self.endpoint.provider.title().to_owned() })
    }

    /// The endpoint under its id of now: one that has taken the place of another has one of its own.
    pub(super) fn endpoint_now(&self) -> Cow<'a, Endpoint> {
        match self.rotation.own_id() {
            own if self.rotation.second().is_none() || own == self.endpoint.own_id() => Cow::Borrowed(self.endpoint),
            own => Cow::Owned(self.endpoint.at(own)),
        }
    }
}

impl Runner<'_> {
    /// Journals events; they count only once this has returned.
    pub(super) fn record(&mut self, events: &[Event]) -> Result<(), RunError> {
        self.append(events).map_err(|error| self.unrecorded(error))
    }

    /// The same for what a power cut may take back: before the call nothing was sent, and an answer is in its seal.
    pub(super) fn record_soon(&mut self, events: &[Event]) -> Result<(), RunError> {
        self.append_soon(events).map_err(|error| self.unrecorded(error))
    }

    pub(super) fn append_soon(&mut self, events: &[Event]) -> Result<(), JournalError> {
        self.journal.append_soon(self.rotation, self.by, (self.now)(), events)?;
        events.iter().for_each(|event| self.operator.tell(self.rotation, News::Recorded(event)));
        Ok(())
    }

    pub(super) fn append(&mut self, events: &[Event]) -> Result<(), JournalError> {
        self.journal.append(self.rotation, self.by, (self.now)(), events)?;
        events.iter().for_each(|event| self.operator.tell(self.rotation, News::Recorded(event)));
        Ok(())
    }

    /// Sees to it that nobody else can act on the endpoint for so long from now on, or fails.
    pub(super) fn hold(&self, at_least: Duration) -> Result<(), RunError> {
        self.lock.keep(at_least).map_err(|error| self.unrecorded(error.into()))
    }

    /// A failing journal means that nothing happened only as long as nothing was sent.
    pub(super) fn unrecorded(&self, source: JournalError) -> RunError {
        if let JournalError::Shared(SharedError::TakenOver { by }) = source {
            let sealed = self.seals.exists(self.rotation.id).then(|| self.seals.path(self.rotation.id));
            return RunError::TakenOver { by, sealed };
        }
        match self.rotation.call {
            Call::NotApplied => RunError::Journal(source),
            Call::Answered(_) => RunError::NotRecorded { is_answered: true, source },
            Call::Unknown { .. } | Call::Unreadable { .. } | Call::Unread => {
                RunError::NotRecorded { is_answered: false, source }
            }
        }
    }

    /// The new secret: from this process, the seal, or a store that has it.
    pub(super) fn secret(&self) -> Result<Secret, RunError> {
        if let Some(secret) = &self.arrived {
            return Ok(secret.clone());
        }
        let says = self.rotation.new_secret();
        let unsealed = match self.seals.secret_of(self.rotation.id, says) {
            Ok(secret) => return Ok(secret),
            Err(error) => error,
        };
        for store in readable(self.stores) {
            for slot in [Slot::Next, Slot::Current] {
                if let (Ok(Some(secret)), Some(says)) = (store.get(slot), says)
                    && secret.fingerprint() == *says
                {
                    return Ok(secret);
                }
            }
        }
        Err(RunError::SealFailed(unsealed))
    }

    /// Whether a store that can be read has the new secret, or one that cannot has taken it.
    pub(super) fn is_stored(&self, answered: &Answered) -> bool {
        let has = |store: &dyn Store, slot| slots::holds(store, slot, &answered.fingerprint).unwrap_or(false);
        self.stores.iter().any(|store| match store.access() {
            Access::ReadWrite => has(store.as_ref(), Slot::Next) || has(store.as_ref(), Slot::Current),
            _ => self.rotation.stores_done.contains(&(Step::Stage, store.reference())),
        })
    }

    pub(super) fn answered(&self) -> Result<&Answered, RunError> {
        let provider = || self.endpoint.provider.title().to_owned();
        self.rotation.answered().ok_or_else(|| RunError::Lost {
            provider: provider(),
            why: "no answer is recorded".to_owned(),
            replayable: false,
            comparison: None,
        })
    }
}
