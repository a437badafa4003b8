//! A rotation on its way from one person to another whose journals have nothing in common: all its events and what is sealed of it, in
//! one file that its recipients alone can open.
//!
//! Anybody can encrypt for a recipient, and no stamp of another journal is believed: what is inside is a proposal, to be compared with the
//! config of whoever takes it in, and to be agreed to.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::journal::{Journal, JournalError};
use super::leak::seals_from_before;
use super::moving::{NotTakenIn, Recorded};
use super::person_steps::overruled_seal;
use super::row::Row;
use super::seal::{SealError, Sealed, Seals};
use super::{Entry, Event, Outcome, Plan, Record, Rotation, Step};
use crate::advice::{Advice, Verb, advice};
use crate::store::envelope;

/// The version of what is inside.
const FORMAT: u64 = 1;

/// Largest bundle that is read, in bytes; one of a usual rotation has a hundredth of it.
pub const LARGEST: u64 = 4 << 20;

/// A rotation as it is handed over. Who did that, when and for whom is its last event.
#[derive(Serialize, Deserialize)]
pub struct Bundle {
    format: u64,
    rotation: Row,
    seals: BTreeMap<Uuid, Sealed>,
}

/// A bundle was not made or is not taken in.
#[derive(Debug, Error)]
pub enum BundleError {
    #[error("it does not open with this machine's identity: it is damaged, or for somebody else")]
    DoesNotOpen { own: String },
    #[error("a newer whsec has made it (format {found}, and this one knows {FORMAT})")]
    Newer { found: u64 },
    #[error("what is in it is no rotation that was handed over")]
    Senseless,
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl BundleError {
    /// What can be done about it.
    pub fn hint(&self) -> Option<Advice> {
        match self {
            Self::DoesNotOpen { own } => {
                let export = Verb::HandoffExport.of("TARGET").with("to", own).bare();
                Some(advice!["have it made for this machine, and sent whole: ", export])
            }
            Self::Newer { .. } => Some("take it in with the whsec that made it, or a later one".into()),
            Self::Senseless => Some("ask whoever has sent it what it is".into()),
            Self::Seal(error) => error.hint(),
            Self::Journal(error) => error.hint(),
        }
    }
}

/// What a journal knows of a rotation that is handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing, or that it was handed over from there before any of what has come since.
    Before,
    /// It has come in already, and is open.
    Here,
    /// More than that, or something else.
    FurtherOn,
}

/// A rotation with the word that it has come in, beside all that the journal knows of its endpoint.
pub struct Arrived {
    recorded: Recorded,
    /// The plan as it was decided, whatever has come of it since.
    pub decided: Plan,
    pub rotation: Rotation,
}

impl Record {
    /// Why nobody else can go on with it yet: who has sent something has to find out what came of it.
    pub fn keeps_from_handing_over(&self) -> Option<&'static str> {
        let done = |step| self.done.contains_key(&step);
        match () {
            () if self.lacks_answer() => Some("what came of its call is not known"),
            () if self.answered().is_none() || !done(Step::Issue) => Some("it has brought no new secret yet"),
            () if self.ending.is_some() && !done(Step::End) => Some("whether the old endpoint is removed is not known"),
            () if self.second().is_some() && self.rolled_back.is_some() && !done(Step::End) => {
                Some("whether the new endpoint is removed is not known")
            }
            () => None,
        }
    }
}

impl Rotation {
    /// Who has it, where it was handed over from here and nobody has said that this is dealt with.
    pub fn is_with(&self) -> Option<&super::Handed> {
        self.handed_over.as_ref().filter(|_| self.closed_as(Outcome::HandedOver) && !self.acknowledged)
    }
}

impl Bundle {
    /// What is recorded and sealed of a rotation, and `last`, by which it is over here.
    pub fn of(journal: &Journal, rotation: &Rotation, last: &Entry, seals: &Seals) -> Result<Self, BundleError> {
        let known = Recorded::of_endpoint(journal, &rotation.plan.endpoint_key)?;
        let mut row = known.row(&rotation.id.to_string()).cloned().ok_or(BundleError::Senseless)?;
        row.add_stored(last)?;
        Ok(Self { format: FORMAT, rotation: row.by_itself(), seals: sealed(rotation, seals)? })
    }

    /// Encrypted for these recipients, and for everybody whom seals are for here: whoever hands it over can take it back.
    pub fn close(&self, to: &[String], seals: &Seals) -> Result<Vec<u8>, BundleError> {
        let plain = Zeroizing::new(serde_json::to_vec(self).map_err(|_| SealError::Encrypt)?);
        let all: BTreeSet<String> = to.iter().cloned().chain(seals.recipients()).collect();
        let all: Vec<String> = all.into_iter().collect();
        Ok(envelope::encrypt_for(&all, &plain).ok_or(SealError::Encrypt)?)
    }

    /// Opens one with this machine's identity, and yields it with the rotation as it was handed over.
    pub fn open(cipher: &[u8], seals: &Seals) -> Result<(Self, Rotation), BundleError> {
        let own = || seals.own_recipient().unwrap_or_default();
        let plain = seals.envelope()?.open(cipher).ok_or_else(|| BundleError::DoesNotOpen { own: own() })?;
        let Format { format } = serde_json::from_slice(&plain).map_err(|_| BundleError::Senseless)?;
        if format > FORMAT {
            return Err(BundleError::Newer { found: format });
        }
        let bundle: Self = serde_json::from_slice(&plain).map_err(|_| BundleError::Senseless)?;
        let rotation = bundle.read().ok_or(BundleError::Senseless)?;
        Ok((Self { rotation: bundle.rotation.by_itself(), ..bundle }, rotation))
    }

    /// The rotation inside; `None` where anything of it does not hang together.
    fn read(&self) -> Option<Rotation> {
        let (row, rotation) = (&self.rotation, self.rotation.rotation()?);
        let is_in_order = row.events.iter().zip(1..).all(|(event, seq)| event.seq == seq);
        let is_named = row.id == rotation.id.to_string()
            && (&row.target, &row.provider) == (&rotation.plan.target, &rotation.plan.provider);
        let last = serde_json::from_str(&row.events.last()?.event).ok()?;
        let is_over = matches!(last, Event::HandedOver { .. }) && rotation.is_with().is_some();
        let holds = |(id, sealed): (&Uuid, &Sealed)| {
            let is_new = *id != rotation.id || Some(&sealed.secret().fingerprint()) == rotation.new_secret();
            is_new && ids(&rotation).contains(id)
        };
        let is_sound = is_in_order && is_named && is_over && self.seals.iter().all(holds);
        (is_sound && rotation.keeps_from_handing_over().is_none()).then_some(rotation)
    }

    /// What a journal knows of it.
    pub fn known_to(&self, journal: &Journal) -> Result<Known, JournalError> {
        let known = Recorded::of_endpoint(journal, self.rotation.key())?;
        Ok(compared(known.row(&self.rotation.id), &self.rotation))
    }

    /// The rotation as it goes on in a journal that knows nothing of it, or what it goes on from. What that one has decided it with
    /// stays as it is recorded there.
    pub fn arrived(&self, journal: &Journal, by: &str, now: Timestamp) -> Result<Arrived, BundleError> {
        let recorded = Recorded::of_endpoint(journal, self.rotation.key())?;
        let events = self.rotation.events.clone();
        let mut row = Row { events, ..recorded.row(&self.rotation.id).unwrap_or(&self.rotation).clone() };
        row.add_stored(&Entry { at: now, by: by.to_owned(), event: Event::Received })?;
        let (decided, rotation) = row.plan().zip(row.rotation()).ok_or(BundleError::Senseless)?;
        Ok(Arrived { recorded: recorded.with(row), decided, rotation })
    }

    /// Seals here what was sealed there. It comes before the rotation is recorded: one whose secret is nowhere is of no use, and a
    /// seal of which nothing is recorded does no harm.
    pub fn seal(&self, seals: &Seals) -> Result<(), SealError> {
        self.seals.iter().try_for_each(|(id, sealed)| seals.seal(*id, sealed))
    }
}

impl Arrived {
    /// Records it, unless others have recorded something of the endpoint meanwhile.
    pub fn take_into(&self, journal: &Journal) -> Result<(), NotTakenIn> {
        self.recorded.take_into(journal)
    }
}

impl Row {
    fn add_stored(&mut self, entry: &Entry) -> Result<(), BundleError> {
        let stored = self.take(entry).map_err(|_| BundleError::Senseless)?;
        self.events.push(stored);
        Ok(())
    }

    /// Without what is said of it by others of the same journal.
    fn by_itself(self) -> Self {
        Self { number: 0, endpoint: self.key().to_owned(), identified: 1, replaces: None, ..self }
    }
}

/// A bundle's format alone, which a newer whsec's has too.
#[derive(Deserialize)]
struct Format {
    format: u64,
}

fn compared(known: Option<&Row>, handed: &Row) -> Known {
    match known {
        None => Known::Before,
        Some(known) if !known.is_open() && handed.events.starts_with(&known.events) => Known::Before,
        Some(known) if known.is_open() && known.events.starts_with(&handed.events) => Known::Here,
        Some(_) => Known::FurtherOn,
    }
}

/// The seals that there may be of a rotation.
fn ids(rotation: &Rotation) -> BTreeSet<Uuid> {
    let overruled = rotation.overruled.iter().filter_map(|overruled| overruled.found.as_ref());
    let overruled = overruled.map(|found| overruled_seal(rotation.id, found));
    [rotation.id].into_iter().chain(seals_from_before(rotation)).chain(overruled).collect()
}

/// What is sealed of a rotation.
fn sealed(rotation: &Rotation, seals: &Seals) -> Result<BTreeMap<Uuid, Sealed>, SealError> {
    let mut found = BTreeMap::new();
    for id in ids(rotation) {
        let copies = seals.copies.of(id)?;
        // Of the new secret a machine that came too late may have sealed another one after it.
        let says = rotation.new_secret().filter(|_| id == rotation.id);
        let fits = |sealed: &Sealed| says.is_none_or(|says| sealed.secret().fingerprint() == *says);
        let mut opened = copies.iter().filter_map(|copy| seals.opened(id, &copy.cipher).ok());
        match opened.find(fits) {
            Some(sealed) => drop(found.insert(id, sealed)),
            None if copies.is_empty() => {}
            // It may be the only copy, and whoever goes on would do so without it.
            None => return Err(seals.secret_of(id, says).err().unwrap_or(SealError::Encrypt)),
        }
    }
    Ok(found)
}

#[cfg(test)]
#[path = "handoff_tests.rs"]
mod tests;
