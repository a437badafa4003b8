//! A rotation and its events as they are stored, wherever that is: the stamp over all of them, and what they say.

use serde::{Deserialize, Serialize};

use super::{Entry, Event, Plan, Rotation};
use crate::stamp::StampKey;

/// What a rotation's stamp is for.
const STAMPED: &str = "rotation";

/// A rotation as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Row {
    /// Where it stands in the order in which rotations were begun.
    pub number: i64,
    pub id: String,
    /// The endpoint's key, perhaps with the mark of a second open rotation.
    pub endpoint: String,
    pub target: String,
    pub provider: String,
    pub plan: String,
    pub opened_at: String,
    pub closed_at: Option<String>,
    pub identified: i64,
    pub replaces: Option<String>,
    /// The stamp over all of it, where each has one of its own.
    #[serde(skip)]
    pub sum: String,
    pub events: Vec<Stored>,
}

/// An event as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stored {
    pub seq: i64,
    pub at: String,
    pub by: String,
    pub event: String,
}

impl Row {
    /// A rotation of which nothing has happened yet.
    pub fn new(rotation: &Rotation, plan: String) -> Self {
        let Plan { endpoint_key, target, provider, replaces, .. } = rotation.plan.clone();
        Self {
            number: 0,
            id: rotation.id.to_string(),
            endpoint: endpoint_key,
            target,
            provider,
            plan,
            opened_at: rotation.opened_at.to_string(),
            closed_at: None,
            identified: 1,
            replaces: replaces.filter(|_| rotation.is_pending()).map(|earlier| earlier.to_string()),
            sum: String::new(),
            events: Vec::new(),
        }
    }

    /// The next event as it is stored, once it is pushed; closes the row where it says so.
    pub fn take(&mut self, entry: &Entry) -> serde_json::Result<Stored> {
        let event = serde_json::to_string(&entry.event)?;
        let seq = self.events.last().map_or(0, |last| last.seq) + 1;
        let stored = Stored { seq, at: entry.at.to_string(), by: entry.by.clone(), event };
        match entry.event {
            Event::Closed { .. } | Event::HandedOver { .. } => self.closed_at = Some(stored.at.clone()),
            Event::Received => self.closed_at = None,
            _ => {}
        }
        Ok(stored)
    }

    /// The stamp over all of it.
    pub fn stamp(&self, key: &StampKey) -> String {
        let mut stamper = key.stamper(STAMPED);
        let (closed_at, replaces) = (self.closed_at.as_deref(), self.replaces.as_deref());
        for text in [&self.id, &self.endpoint, &self.target, &self.provider, &self.plan, &self.opened_at] {
            stamper.add(text.as_bytes());
        }
        for text in [closed_at, replaces] {
            stamper.add(text.unwrap_or_default().as_bytes());
        }
        stamper.add(self.identified.to_string().as_bytes());
        for Stored { seq, at, by, event } in &self.events {
            stamper.add(seq.to_string().as_bytes());
            [at, by, event].iter().for_each(|text| stamper.add(text.as_bytes()));
        }
        stamper.finish()
    }

    /// What rotations of an endpoint are in order by.
    pub fn begun(&self) -> (String, i64) {
        (self.opened_at.clone(), self.number)
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        self.closed_at.is_none()
    }

    /// The endpoint's key alone.
    pub fn key(&self) -> &str {
        without_mark(&self.endpoint)
    }

    /// What it was decided to do, under the name that its endpoint has by now; `None` where it says nothing that this whsec knows.
    pub fn plan(&self) -> Option<Plan> {
        let plan = serde_json::from_str::<Plan>(&self.plan).ok()?;
        Some(Plan { endpoint_key: self.key().to_owned(), ..plan })
    }

    /// The rotation with all that has come of it; `None` as above.
    pub fn rotation(&self) -> Option<Rotation> {
        let mut rotation = Rotation::new(self.id.parse().ok()?, self.plan()?, self.opened_at.parse().ok()?);
        for Stored { at, by, event, .. } in &self.events {
            let event = serde_json::from_str(event).ok()?;
            rotation.fold(&Entry { at: at.parse().ok()?, by: by.clone(), event });
        }
        Some(rotation)
    }
}

/// An endpoint's key without the mark of its second open rotation; keys themselves have no `#`.
pub(super) fn without_mark(endpoint: &str) -> &str {
    endpoint.split('#').next().unwrap_or_default()
}
