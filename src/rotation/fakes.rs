//! Fakes for the engine's tests: a clock, stores and a person, all of them data.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::SignedDuration;

use super::operator::{Awaited, Comparison, Countdown, Doubt, Gift, News, Operator, Reply, Ruling};
use super::tests::noon;
use super::*;
use crate::secret::Secret;
use crate::store::{Access, Change, Slot, Store, StoreError};

/// A secret by its letter: `o` the old one, `n` the new one, any other somebody's.
pub fn secret(letter: char) -> Secret {
    Secret::new(format!("whsec_{}", letter.to_string().repeat(32)))
}

pub fn print(letter: char) -> Fingerprint {
    secret(letter).fingerprint()
}

thread_local! {
    static NOW: Cell<Timestamp> = Cell::new(noon());
    static SLEEPING: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
}

pub fn now() -> Timestamp {
    NOW.get()
}

/// Our clock goes on, or is set.
pub fn pass(seconds: i64) {
    NOW.set(now() + SignedDuration::from_secs(seconds));
}

/// What happens while somebody sleeps the next time.
pub fn while_sleeping(act: impl FnOnce() + 'static) {
    SLEEPING.set(Some(Box::new(act)));
}

/// The clock as a world begins.
pub fn set_clock() {
    NOW.set(noon());
    SLEEPING.set(None);
}

pub fn sleep(time: Duration) {
    NOW.set(now() + SignedDuration::try_from(time).unwrap());
    if let Some(act) = SLEEPING.take() {
        act();
    }
}

/// A store in memory, which its test keeps a hand on.
#[derive(Clone)]
pub struct Shelf {
    pub name: String,
    pub access: Access,
    slots: Arc<Mutex<BTreeMap<Slot, Secret>>>,
    /// How many more calls go well before every one fails.
    pub well: Arc<Mutex<Option<u32>>>,
    pub keeps_history: bool,
    /// Whether somebody empties it to write it anew as soon as a canary is gone from it.
    pub is_rewritten: Arc<Mutex<bool>>,
}

impl Shelf {
    /// An empty one.
    pub fn new(name: &str, access: Access) -> Self {
        let (slots, well, is_rewritten) = (Arc::default(), Arc::default(), Arc::default());
        Self { name: name.to_owned(), access, slots, well, keeps_history: false, is_rewritten }
    }

    /// Sets `next`, `current` and `previous` by letters; `-` empties.
    pub fn put(&self, letters: &str) {
        let mut slots = self.slots.lock().unwrap();
        slots.clear();
        let kept = Slot::KEPT.into_iter().zip(letters.chars()).filter(|(_, letter)| *letter != '-');
        slots.extend(kept.map(|(slot, letter)| (slot, secret(letter))));
    }

    /// The same as it is now; `?` for a secret that no letter has.
    pub fn letters(&self) -> String {
        let slots = self.slots.lock().unwrap();
        let letter = |found: &Secret| ('a'..='z').find(|letter| secret(*letter) == *found).unwrap_or('?');
        Slot::KEPT.map(|slot| slots.get(&slot).map_or('-', letter)).into_iter().collect()
    }

    /// Puts any text into a slot.
    pub fn put_text(&self, slot: Slot, text: &str) {
        self.slots.lock().unwrap().insert(slot, Secret::new(text));
    }

    /// Goes well so many times more.
    pub fn fail_after(&self, calls: u32) {
        *self.well.lock().unwrap() = Some(calls);
    }

    pub fn mend(&self) {
        *self.well.lock().unwrap() = None;
    }

    fn works(&self) -> Result<(), StoreError> {
        let mut well = self.well.lock().unwrap();
        match well.as_mut() {
            Some(0) => Err(StoreError::TimedOut { store: self.name.clone(), seconds: 3 }),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Store for Shelf {
    fn reference(&self) -> String {
        self.name.clone()
    }
    fn slot_name(&self, slot: Slot) -> String {
        slot.name().to_uppercase()
    }
    fn access(&self) -> Access {
        self.access
    }
    fn keeps_history(&self) -> bool {
        self.keeps_history
    }
    fn get(&self, slot: Slot) -> Result<Option<Secret>, StoreError> {
        self.works()?;
        Ok(self.slots.lock().unwrap().get(&slot).cloned())
    }
    fn apply(&self, changes: &[Change<'_>]) -> Result<(), StoreError> {
        self.works()?;
        let mut slots = self.slots.lock().unwrap();
        for (slot, secret) in changes {
            match secret {
                Some(secret) => slots.insert(*slot, (*secret).clone()),
                None => slots.remove(slot),
            };
            if matches!((slot, secret), (Slot::Canary, None)) && *self.is_rewritten.lock().unwrap() {
                slots.clear();
            }
        }
        Ok(())
    }
}

/// What others do while somebody is waited for, in the state folder.
pub type Others = Box<dyn FnOnce(&Path)>;

/// The human: what is said next, and all that was heard.
pub struct Person {
    pub replies: VecDeque<Reply>,
    pub rulings: VecDeque<Ruling>,
    /// The new secrets that are given, one a question.
    pub gifts: VecDeque<String>,
    /// Whether they come out of a pipe, and nobody looks at what is said of them.
    pub is_piped: bool,
    /// What is done while the person is waited for, one a question.
    pub others: VecDeque<Others>,
    /// What the config names by now.
    pub joined: Vec<changed::Change>,
    /// Stops as soon as this was heard.
    pub stop_at: Option<&'static str>,
    /// Everything, in short.
    pub heard: Vec<String>,
    /// What was recorded, in short.
    pub recorded: Vec<String>,
    /// What is said once there are no more replies.
    pub always: Option<Reply>,
    folder: PathBuf,
}

impl Person {
    /// Somebody who cannot be asked, at this state folder.
    pub fn new(folder: &Path) -> Self {
        Self {
            replies: VecDeque::new(),
            rulings: VecDeque::new(),
            gifts: VecDeque::new(),
            is_piped: false,
            others: VecDeque::new(),
            joined: Vec::new(),
            stop_at: None,
            heard: Vec::new(),
            recorded: Vec::new(),
            always: None,
            folder: folder.to_owned(),
        }
    }

    fn asked(&mut self, what: String) -> Reply {
        self.heard.push(what);
        if let Some(act) = self.others.pop_front() {
            act(&self.folder);
        }
        self.replies.pop_front().or_else(|| self.always.clone()).unwrap_or(Reply::NobodyToAsk)
    }
}

/// The first word of what something is, small.
pub fn first_word(what: &impl std::fmt::Debug) -> String {
    let text = format!("{what:?}");
    text.split(|letter: char| !letter.is_alphanumeric()).next().unwrap_or_default().to_lowercase()
}

/// An event in short: `stage@a`, `deploy:word`, `closed:done`.
pub fn short(event: &Event) -> String {
    match event {
        Event::StoreDone { step, store } => format!("{}@{store}", step.name()),
        Event::Done { step, how } => format!("{}:{}", step.name(), first_word(how)),
        Event::Closed { outcome, .. } => format!("closed:{}", first_word(outcome)),
        Event::Sent { attempt, .. } => format!("sent{attempt}"),
        other => first_word(other),
    }
}

impl Operator for Person {
    fn tell(&mut self, _: &Rotation, news: News<'_>) {
        if let News::Recorded(event) = news {
            self.recorded.push(short(event));
        }
        self.heard.push(match news {
            News::Recorded(event) => short(event),
            News::Warning(text) => format!("! {text}"),
            News::StoreProved { store } => format!("proved {store}"),
            News::Retrying { seconds, .. } => format!("again in {seconds}"),
            News::Proved(step, _) | News::Begins(step) => format!("{} {}", first_word(&news), step.name()),
            News::Probed(report) => format!("probed {} {}", report.url, report.verdict.words()),
            other => format!("({})", first_word(&other)),
        });
    }
    fn takes_time(&self, _: &Rotation, awaited: Awaited<'_>) -> bool {
        !self.others.is_empty() || (matches!(awaited, Awaited::Step(Step::Issue)) && !self.is_piped)
    }
    fn take_secret(&mut self, _: &Rotation, admitted: &dyn Fn(&Secret) -> Result<(), String>) -> Gift {
        self.heard.push("? secret".to_owned());
        if let Some(act) = self.others.pop_front() {
            act(&self.folder);
        }
        while let Some(gift) = self.gifts.pop_front() {
            let secret = Secret::new(gift.as_str());
            match admitted(&secret) {
                Err(why) if !self.is_piped => self.heard.push(format!("not taken: {why}")),
                _ => return Gift::Secret(secret),
            }
        }
        Gift::NobodyToAsk
    }
    fn do_step(&mut self, _: &Rotation, step: Step) -> Reply {
        self.asked(format!("? {}", step.name()))
    }
    fn resolve_call(&mut self, _: &Rotation, comparison: &Comparison) -> Ruling {
        self.asked(format!("? settle {:?}", comparison.changed()));
        self.rulings.pop_front().unwrap_or(Ruling::NobodyToAsk)
    }
    fn resolve_doubt(&mut self, _: &Rotation, doubt: &Doubt) -> Reply {
        self.asked(format!("? {}", first_word(doubt)))
    }
    fn watch(&mut self, _: &Rotation, countdown: Countdown, moved: &dyn Fn() -> bool) -> Reply {
        let left = countdown.until.duration_since(countdown.provider_now).as_secs();
        let reply = self.asked(format!("? watch {left}"));
        match moved() {
            true => self.heard.push("moved".to_owned()),
            false if reply != Reply::NobodyToAsk => pass(left),
            false => {}
        }
        reply
    }
    fn awaits_answer(&mut self, at_most: Option<Duration>) {
        self.heard.push(at_most.map_or("answered?".to_owned(), |time| format!("awaits {}", time.as_secs())));
    }
    fn joined(&self, rotation: &Rotation) -> Vec<changed::Change> {
        let is_new = |change: &&changed::Change| match change {
            changed::Change::ReceiverJoined { url } => !rotation.plan.receivers.contains(url),
            _ => true,
        };
        self.joined.iter().filter(is_new).cloned().collect()
    }
    fn wants_to_stop(&self) -> bool {
        self.stop_at.is_some_and(|word| self.heard.iter().any(|heard| heard.starts_with(word)))
    }
}
