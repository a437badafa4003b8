//! An endpoint's head as a document: its lease, its open rotations, and those that are over and that something still depends on.
//!
//! Pure. Who writes one, and that it is written only as the next after the one that was read, is `shared.rs`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::row::{Row, Stored};
use super::{Entry, Rotation, exposure};
use crate::documents::Tag;

/// How much longer than its lease a holder counts as alive: clocks of one place may differ by that.
const MARGIN: Duration = Duration::from_secs(10);

/// What is known of an endpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Head {
    pub endpoint: String,
    /// Another one with every write, so that no two are the same bytes.
    pub nonce: Uuid,
    /// How often the endpoint was taken: whoever has an earlier one records nothing any more.
    pub fence: u64,
    pub lease: Option<Lease>,
    /// How many rotations there are, over ones included.
    pub rotations: u64,
    /// Those that anything still depends on, in the order in which they were begun.
    pub standing: Vec<Row>,
    /// The journal that the endpoint is in by now, if it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<String>,
    /// The journal that it is being moved here from: as long as that is said, all of it need not be here, and nobody goes on with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrives_from: Option<String>,
}

/// Who works on the endpoint, from the moment at which the head was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lease {
    pub holder: String,
    pub seconds: u64,
    /// How much of it had passed already when somebody else wrote the head, in milliseconds.
    #[serde(default)]
    pub spent_ms: u64,
}

/// An endpoint that this process has.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub fence: u64,
    pub head: Head,
    pub tag: Tag,
    /// Until when by the clock of this machine, which is counted from before the head was written.
    pub until: Duration,
    /// What is in `head` and goes to the place with the next write: entries of a rotation as it was before them.
    pub soon: Vec<(Rotation, Vec<Entry>)>,
}

/// A rotation cannot be recorded.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unrecorded {
    /// The endpoint has an open one already.
    AlreadyOpen,
    Unwritable,
}

impl Head {
    /// Of an endpoint of which nothing is known.
    pub fn new(endpoint: &str) -> Self {
        let (lease, standing) = (None, Vec::new());
        let nonce = Uuid::nil();
        let (moved_to, arrives_from) = (None, None);
        Self { endpoint: endpoint.to_owned(), nonce, fence: 0, lease, rotations: 0, standing, moved_to, arrives_from }
    }

    /// For how long somebody may still be at work on it, of a head that was written so long ago; nothing where nobody is.
    pub fn is_held_for(&self, age: Duration) -> Option<Duration> {
        let lease = self.lease.as_ref()?;
        let whole = Duration::from_secs(lease.seconds) + MARGIN;
        whole.checked_sub(age + Duration::from_millis(lease.spent_ms)).filter(|left| !left.is_zero())
    }

    /// The same lease in a head that somebody else writes after so long: nobody's lease is made longer by others.
    pub fn spend(&mut self, age: Duration) {
        if let Some(lease) = &mut self.lease {
            lease.spent_ms = lease.spent_ms.saturating_add(u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        }
    }

    /// Records entries of a rotation; the first ones also record it as open. `over` is its row where it is over and not named here.
    pub fn record(&mut self, rotation: &Rotation, entries: &[Entry], over: Option<Row>) -> Result<(), Unrecorded> {
        let id = rotation.id.to_string();
        if let Some((earlier, closed)) = rotation.makes_way(entries) {
            self.add(&earlier.to_string(), &[closed])?;
        }
        if !self.standing.iter().any(|row| row.id == id) {
            let row = match over {
                Some(row) => row,
                None => self.begin(rotation)?,
            };
            self.standing.push(row);
        }
        self.add(&id, entries)?;
        if rotation.makes_way(entries).is_some()
            && let Some(row) = self.standing.iter_mut().find(|row| row.id == id)
        {
            row.replaces = None;
        }
        Ok(())
    }

    fn begin(&mut self, rotation: &Rotation) -> Result<Row, Unrecorded> {
        let plan = serde_json::to_string(&rotation.plan).map_err(|_| Unrecorded::Unwritable)?;
        let mut row = Row::new(rotation, plan);
        // One may be open, and one beside it that is to replace it.
        if self.standing.iter().any(|other| other.is_open() && other.replaces.is_some() == row.replaces.is_some()) {
            return Err(Unrecorded::AlreadyOpen);
        }
        self.rotations += 1;
        row.number = i64::try_from(self.rotations).unwrap_or(i64::MAX);
        Ok(row)
    }

    fn add(&mut self, id: &str, entries: &[Entry]) -> Result<(), Unrecorded> {
        let row = self.standing.iter_mut().find(|row| row.id == id).ok_or(Unrecorded::Unwritable)?;
        for entry in entries {
            let stored = row.take(entry).map_err(|_| Unrecorded::Unwritable)?;
            // Where the answer to a write was lost, and others have written since, it is there already.
            let is_there =
                |known: &&Stored| known.at == stored.at && known.by == stored.by && known.event == stored.event;
            if row.events.iter().find(is_there).is_none() {
                row.events.push(stored);
            }
        }
        Ok(())
    }

    /// Leaves out what nothing depends on any more, and yields it. What cannot be read here stays. Of a head as it was read: what
    /// leaves it is as it was written, whoever moves it.
    pub fn leave(&mut self) -> Vec<Row> {
        self.standing.sort_by_key(Row::begun);
        let known: Vec<Option<Rotation>> = self.standing.iter().map(Row::rotation).collect();
        let newest_first: Vec<&Rotation> = known.iter().rev().flatten().collect();
        let counts = exposure::that_count(&newest_first);
        let stays = |row: &Row, known: &Option<Rotation>| {
            row.is_open() || known.as_ref().is_none_or(|rotation| counts.contains(&rotation.id))
        };
        let rows = std::mem::take(&mut self.standing).into_iter().zip(&known);
        let (stay, leave): (Vec<_>, Vec<_>) = rows.partition(|(row, known)| stays(row, known));
        self.standing = stay.into_iter().map(|(row, _)| row).collect();
        leave.into_iter().map(|(row, _)| row).collect()
    }
}
