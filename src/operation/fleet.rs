//! Many targets in one run: which one is begun next, and when nothing more is begun. Pure: whoever runs it brings threads and time.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::error::Kind;
use crate::system::text::hex;

/// How many calls that do not get through in a row are as many as it takes to leave a provider alone.
const UNREACHABLE: u32 = 3;
/// From how many targets on some go first.
const LARGE: usize = 6;

/// One target of a run.
#[derive(Clone, Debug, Default)]
pub struct Item {
    pub name: String,
    pub provider: String,
    /// What its stores are in: a server, or a folder.
    pub places: Vec<String>,
}

/// A number of targets, or a part of all of them: `20`, `25%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Share {
    Count(NonZeroUsize),
    Percent(u8),
}

impl TryFrom<String> for Share {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || "it is a number such as `20`, or a part such as `25%`".to_owned();
        match text.strip_suffix('%') {
            Some(percent) => match percent.parse() {
                Ok(percent @ 1..=100) => Ok(Self::Percent(percent)),
                _ => Err(wrong()),
            },
            None => text.parse().map(Self::Count).map_err(|_| wrong()),
        }
    }
}

impl From<Share> for String {
    fn from(share: Share) -> Self {
        match share {
            Share::Count(count) => count.to_string(),
            Share::Percent(percent) => format!("{percent}%"),
        }
    }
}

impl Share {
    /// How many that are, of so many: at least one, and rounded up.
    pub fn of(self, all: usize) -> usize {
        match self {
            Self::Count(count) => count.get(),
            Self::Percent(percent) => (all * usize::from(percent)).div_ceil(100).max(1),
        }
    }
}

/// Which targets go first, alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Canary {
    /// One of each provider, where there are many targets.
    #[default]
    Usual,
    Count(usize),
    Named(Vec<String>),
}

/// How a run goes.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Targets under way at once.
    pub jobs: NonZeroUsize,
    pub canary: Canary,
    /// The size of each wave behind that.
    pub wave: Option<Share>,
    /// As soon as so many have failed, no further one is begun.
    pub max_failures: Option<Share>,
}

/// What a target comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    Failed,
    Unknown,
    Sealed,
    Stale,
    NotBegun,
    Open,
    Stored,
    Done,
    Skipped,
}

impl Outcome {
    /// All of them, those that need somebody first.
    pub const ALL: [Self; 9] = [
        Self::Unknown,
        Self::Sealed,
        Self::Failed,
        Self::Stale,
        Self::NotBegun,
        Self::Open,
        Self::Stored,
        Self::Done,
        Self::Skipped,
    ];

    /// The word in JSON and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Sealed => "sealed",
            Self::Stale => "stale",
            Self::NotBegun => "not_begun",
            Self::Open => "open",
            Self::Stored => "stored",
            Self::Done => "done",
            Self::Skipped => "skipped",
        }
    }

    /// Whether it has failed, or was never come to.
    pub fn is_bad(self) -> bool {
        self.has_failed() || matches!(self, Self::Stale | Self::NotBegun)
    }

    fn has_failed(self) -> bool {
        matches!(self, Self::Failed | Self::Unknown | Self::Sealed)
    }
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Begin(usize),
    /// Those that are under way come to rest first.
    Wait,
    /// A wave is over, and another one follows: whoever is told of it rests, and says when it [`Course::goes_on`].
    Pause,
    Over,
}

/// What tells a plan of many rotations from another one.
///
/// SHA-256 of its JSON with all keys sorted and nothing between them, so that anybody can say whether it fits.
pub fn digest(plan: &Value) -> String {
    format!("sha256:{}", hex(&Sha256::digest(sorted(plan).to_string().as_bytes())))
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<&String, Value> = fields.iter().map(|(name, value)| (name, sorted(value))).collect();
            fields.into_iter().map(|(name, value)| (name.clone(), value)).collect()
        }
        Value::Array(values) => values.iter().map(sorted).collect(),
        value => value.clone(),
    }
}

/// A run as far as it has come.
#[derive(Debug)]
pub struct Course {
    items: Vec<Item>,
    waves: Vec<Vec<usize>>,
    /// The wave that is under way, and how many of it were begun or left out.
    wave: usize,
    begun: usize,
    /// Whether nothing is begun before the pause between two waves is over.
    pauses: bool,
    has_paused: bool,
    under_way: usize,
    jobs: usize,
    canaries: bool,
    most: usize,
    failures: usize,
    /// Why nothing more is begun.
    stopped: Option<String>,
    /// Providers of which nothing more is begun, and places that nothing more is put into, each with why.
    closed: BTreeMap<String, String>,
    unreachable: BTreeMap<String, u32>,
    left: Vec<(usize, String)>,
}

impl Course {
    /// The waves in which these targets are come to.
    pub fn new(items: Vec<Item>, rules: &Rules) -> Self {
        let first: Vec<usize> = match &rules.canary {
            Canary::Usual if items.len() < LARGE => Vec::new(),
            Canary::Usual => {
                let mut seen = BTreeSet::new();
                (0..items.len()).filter(|at| seen.insert(items[*at].provider.clone())).collect()
            }
            Canary::Count(count) => (0..items.len().min(*count)).collect(),
            Canary::Named(names) => (0..items.len()).filter(|at| names.contains(&items[*at].name)).collect(),
        };
        let rest: Vec<usize> = (0..items.len()).filter(|at| !first.contains(at)).collect();
        let size = rules.wave.map_or(rest.len().max(1), |wave| wave.of(items.len()));
        let canaries = !first.is_empty() && !rest.is_empty();
        let mut waves: Vec<Vec<usize>> = rest.chunks(size).map(<[usize]>::to_vec).collect();
        if !first.is_empty() {
            waves.insert(0, first);
        }
        let most = rules.max_failures.unwrap_or(Share::Percent(5)).of(items.len());
        Self {
            items,
            waves,
            wave: 0,
            begun: 0,
            pauses: false,
            has_paused: false,
            under_way: 0,
            jobs: rules.jobs.get(),
            canaries,
            most,
            failures: 0,
            stopped: None,
            closed: BTreeMap::new(),
            unreachable: BTreeMap::new(),
            left: Vec::new(),
        }
    }

    /// The targets, in the order in which they were named.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The waves, each with its targets.
    pub fn waves(&self) -> &[Vec<usize>] {
        &self.waves
    }

    /// Whether some go first, before others.
    pub fn has_canaries(&self) -> bool {
        self.canaries
    }

    /// The wave of a target, counted from 0.
    pub fn wave_of(&self, at: usize) -> usize {
        self.waves.iter().position(|wave| wave.contains(&at)).unwrap_or_default()
    }

    /// Why nothing more is begun, where that is so.
    pub fn stopped(&self) -> Option<&str> {
        self.stopped.as_deref()
    }

    /// The targets that were not begun, each with why.
    pub fn left(&self) -> &[(usize, String)] {
        &self.left
    }

    /// The wave that is under way, counted from 0.
    pub fn wave(&self) -> usize {
        self.wave.min(self.waves.len().saturating_sub(1))
    }

    /// The pause between two waves is over.
    pub fn goes_on(&mut self) {
        self.pauses = false;
    }

    /// Begins nothing more.
    pub fn stop(&mut self, why: &str) {
        self.stopped.get_or_insert_with(|| why.to_owned());
    }

    /// What to do now. A target that is to be begun counts as under way.
    pub fn come_next(&mut self) -> Next {
        loop {
            if self.pauses {
                return Next::Wait;
            }
            let Some(wave) = self.waves.get(self.wave) else { return Next::Over };
            let Some(at) = wave.get(self.begun).copied() else {
                if self.under_way > 0 {
                    return Next::Wait;
                }
                let is_last = self.wave + 1 >= self.waves.len();
                if !is_last && self.stopped.is_none() && !self.has_paused {
                    (self.pauses, self.has_paused) = (true, true);
                    return Next::Pause;
                }
                (self.wave, self.begun, self.has_paused) = (self.wave + 1, 0, false);
                continue;
            };
            let item = &self.items[at];
            let is_closed =
                || std::iter::once(&item.provider).chain(&item.places).find_map(|name| self.closed.get(name));
            if let Some(why) = self.stopped.as_ref().or_else(is_closed) {
                self.left.push((at, why.clone()));
                self.begun += 1;
                continue;
            }
            if self.under_way >= self.jobs {
                return Next::Wait;
            }
            self.begun += 1;
            self.under_way += 1;
            return Next::Begin(at);
        }
    }

    /// A target that was begun has come to rest.
    pub fn came(&mut self, at: usize, outcome: Outcome, kind: Option<Kind>) {
        self.under_way = self.under_way.saturating_sub(1);
        let item = &self.items[at];
        let is_first = self.canaries && self.wave == 0;
        let mut close = |what: &String, why: String| {
            self.closed.entry(what.clone()).or_insert(why);
        };
        match kind {
            Some(Kind::Auth) => close(&item.provider, format!("the API key was refused at `{}`", item.name)),
            Some(Kind::Unknown) => {
                close(&item.provider, format!("what came of the call is unknown at `{}`", item.name));
            }
            Some(Kind::Unavailable) => {
                let times = self.unreachable.entry(item.provider.clone()).or_default();
                *times += 1;
                // Those that go first are there to find that out.
                if is_first {
                    close(&item.provider, format!("`{}`, which goes first, could not be reached", item.name));
                } else if *times >= UNREACHABLE {
                    close(&item.provider, format!("{} could not be reached {UNREACHABLE} times", item.provider));
                }
            }
            Some(Kind::Sealed) => {
                for place in &item.places {
                    close(place, format!("`{}` could not be kept there: {place}", item.name));
                }
            }
            _ => {
                self.unreachable.remove(&item.provider);
            }
        }
        if outcome.has_failed() {
            self.failures += 1;
            match is_first {
                true => self.stop("one of those that go first has failed"),
                false if self.failures >= self.most => {
                    self.stop(&format!("{} failed, and --max-failures is {}", self.failures, self.most));
                }
                false => {}
            }
        }
    }
}

#[cfg(test)]
#[path = "fleet_tests.rs"]
mod tests;
