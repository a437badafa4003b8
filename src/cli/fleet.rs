//! A command at several targets side by side: each as it would be done alone where nobody can be asked, a line as each comes to rest,
//! and one table last.

use std::num::NonZeroUsize;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::exit::{Exit, Fault};
use super::options::TargetOptions;
use super::rest::{self, Rest};
use super::select::{self, Chosen, Selected, Selection};
use super::session::{Crew, Session};
use super::waves::{Many, Waves};
use super::{person, result};
use crate::operation::fleet::{Canary, Course, Item, Next, Outcome, Rules, Share};
use crate::provider::pace::Paces;
use crate::ui::wall::Wall;
use crate::ui::{Output, Said};

/// How often somebody who waits looks up.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A command at several targets.
pub struct Fleet<'a> {
    pub command: &'static str,
    rules: Rules,
    pause: Duration,
    max_wait: Duration,
    /// What was agreed to for all of them.
    pub yes: bool,
    /// Whether what each of them shows is what was asked for, and no table.
    pub shows: bool,
    /// Whether each is told of as it comes to rest, and all of them in a table, although something is shown.
    pub tells: bool,
    /// What is left out, each with why.
    pub skipped: Vec<(Item, String)>,
    /// The digest of the plan that is carried out, of one from a file.
    pub plan: Option<String>,
    /// Does it at one target.
    pub work: &'a (dyn Fn(&Session, &str) -> anyhow::Result<Exit> + Sync),
    /// What that came to, of the exit code and the object that it ended with.
    pub judge: fn(Exit, &Value) -> Outcome,
}

impl<'a> Fleet<'a> {
    /// Changes targets, in waves.
    pub fn in_waves(
        command: &'static str,
        waves: &Waves,
        work: &'a (dyn Fn(&Session, &str) -> anyhow::Result<Exit> + Sync),
        judge: fn(Exit, &Value) -> Outcome,
    ) -> Self {
        let (pause, max_wait) = (waves.pause, waves.many.max_wait);
        Self::by_rules(command, waves.rules(), (pause, max_wait), work, judge)
    }

    /// The same by these rules, with the pause between waves, and for how long at most a target waits for its provider.
    pub fn by_rules(
        command: &'static str,
        rules: Rules,
        (pause, max_wait): (Duration, Duration),
        work: &'a (dyn Fn(&Session, &str) -> anyhow::Result<Exit> + Sync),
        judge: fn(Exit, &Value) -> Outcome,
    ) -> Self {
        let (yes, shows, tells, skipped, plan) = (false, false, true, Vec::new(), None);
        Self { command, rules, pause, max_wait, yes, shows, tells, skipped, plan, work, judge }
    }

    /// Goes through targets, none of which stops another.
    pub fn through(
        command: &'static str,
        many: &Many,
        work: &'a (dyn Fn(&Session, &str) -> anyhow::Result<Exit> + Sync),
    ) -> Self {
        let rules = Rules {
            jobs: many.jobs,
            canary: Canary::Count(0),
            wave: None,
            max_failures: Some(Share::Count(NonZeroUsize::MAX)),
        };
        let fleet = Self::by_rules(command, rules, (Duration::ZERO, many.max_wait), work, rest::judge);
        Self { shows: true, tells: false, ..fleet }
    }

    /// The waves that these targets come in.
    pub fn course(&self, items: Vec<Item>) -> Course {
        Course::new(items, &self.rules)
    }
}

/// A command that does the same at each target, as it would at one.
pub struct Several<'a> {
    pub command: &'static str,
    pub selection: &'a Selection,
    pub many: &'a Many,
    /// Whether something is said of the rotations that it goes on with, so that there have to be some.
    pub asserts: bool,
}

impl Several<'_> {
    /// Refuses options that only one target can have.
    pub fn refuse(&self, given: &[(&str, bool)]) -> anyhow::Result<()> {
        if self.selection.is_one() { Ok(()) } else { refuse_of_one(given) }
    }

    /// Does it.
    pub fn each(
        &self,
        session: &Session,
        options: &TargetOptions,
        work: &(dyn Fn(&Session, &str) -> anyhow::Result<Exit> + Sync),
    ) -> anyhow::Result<Exit> {
        let chosen = match self.selection.need(session)? {
            Selected::One(name) => return work(session, &name),
            Selected::Several(chosen) => chosen,
        };
        self.refuse(&options.of_one())?;
        if chosen.is_empty() {
            return select::nothing(session, self.command, self.asserts);
        }
        let mut fleet = Fleet::through(self.command, self.many, work);
        fleet.yes = session.global.yes;
        // What these do is what was asked for, and not what they show.
        fleet.tells = matches!(self.command, "cutover" | "finish");
        let (items, skipped) = taken(session, chosen);
        fleet.skipped = skipped;
        let course = fleet.course(items);
        run(session, fleet, course)
    }
}

/// Refuses options that only one target can have, where several are selected.
pub fn refuse_of_one(given: &[(&str, bool)]) -> anyhow::Result<()> {
    match given.iter().find(|(_, is_given)| *is_given) {
        Some((flag, _)) => {
            let message = format!("`{flag}` is for one target, and several are selected");
            Err(Fault::new(Exit::Usage, message, "name the one that it is for"))
        }
        None => Ok(()),
    }
}

/// The targets that are come to, and the others with why they are left out.
pub fn taken(session: &Session, chosen: Vec<Chosen>) -> (Vec<Item>, Vec<(Item, String)>) {
    let config = session.config().ok();
    let provider = |name: &str| match config.and_then(|config| config.traits(name)) {
        Some((provider, ..)) => provider.to_owned(),
        None if config.is_some_and(|config| config.has(name)) => "?".to_owned(),
        None => name.split('/').next().unwrap_or_default().to_owned(),
    };
    let (mut items, mut left) = (Vec::new(), Vec::new());
    for Chosen { name, skipped } in chosen {
        let item = Item { provider: provider(&name), name, places: Vec::new() };
        match skipped {
            Some(why) => left.push((item, why)),
            None => items.push(item),
        }
    }
    (items, left)
}

/// What the main thread is told.
enum Told {
    Begins(usize),
    Rests(Box<Rest>),
    /// A wave is over.
    Pauses,
}

/// A run that is over.
pub struct Ended {
    pub rested: Vec<Rest>,
    pub course: Course,
    paces: Arc<Paces>,
    began_at: Timestamp,
}

/// Runs it, and yields the exit code of all of it.
pub fn run(session: &Session, fleet: Fleet<'_>, course: Course) -> anyhow::Result<Exit> {
    let Ended { mut rested, course, paces, began_at } = carry_out(session, &fleet, course)?;
    for (item, why) in &fleet.skipped {
        rested.push(Rest::skipped(item, why));
    }
    let signals = session.signals()?;
    let exit = match rest::exit(&rested, fleet.shows) {
        _ if signals.arrived() => signals.exit(),
        exit => exit,
    };
    if fleet.tells {
        rest::table(session, &rested, course.stopped().filter(|_| !course.left().is_empty()));
    }
    let limited: Vec<Value> = paces
        .figures()
        .into_iter()
        .map(|(origin, figures)| {
            let waited_ms = u64::try_from(figures.waited.as_millis()).unwrap_or(u64::MAX);
            json!({ "origin": origin, "calls": figures.calls, "limited": figures.limited, "waited_ms": waited_ms })
        })
        .collect();
    let mut objects: Vec<(usize, Value)> = rested.iter().map(|rest| (rest.at, rest.object(fleet.shows))).collect();
    objects.sort_by_key(|(at, _)| *at);
    let fields = json!({
        "status": rest::status(exit, &rested),
        "run": { "plan": fleet.plan, "began_at": began_at, "ended_at": session.now() },
        "counts": rest::counts(&rested),
        "exits": rest::exits(&rested),
        "stopped": course.stopped(),
        "providers": limited,
        "targets": objects.into_iter().map(|(_, object)| object).collect::<Vec<_>>(),
        "error": rest::error(session, exit, &rested),
    });
    let object = result::object(fleet.command, exit, fields);
    if !fleet.shows {
        person::notifier(session, session.context()?).ended(&object);
    }
    session.output.json(&object);
    Ok(exit)
}

/// Runs it, and yields what each target has come to.
pub fn carry_out(session: &Session, fleet: &Fleet<'_>, course: Course) -> anyhow::Result<Ended> {
    let stops = session.signals()?.clone();
    let paces = Arc::new(Paces::new(fleet.max_wait, move || stops.arrived()));
    let crew = session.crew(Some(Arc::clone(&paces)))?;
    let began_at = session.now();
    let (total, waves) = (course.items().len(), course.waves().len());
    let shared = Shared { course: Mutex::new(course), changed: Condvar::new(), crew, output: session.output.clone() };
    let mut rested: Vec<Rest> = Vec::new();
    let mut wall = Wall::new(&session.output, total);
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        for _ in 0..fleet.rules.jobs.get().min(total) {
            let (sender, shared) = (sender.clone(), &shared);
            scope.spawn(move || shared.work(fleet, &sender));
        }
        drop(sender);
        for told in receiver {
            match told {
                Told::Begins(at) => wall.begins(at, &held(&shared.course).items()[at].name),
                Told::Pauses => {
                    wall.say(&format!("a wave is over; the next one begins in {} s", fleet.pause.as_secs()))
                }
                Told::Rests(rest) => {
                    wall.rests(rest.at);
                    rest.say(&wall, fleet.shows, fleet.tells, session.global.verbose);
                    rested.push(*rest);
                }
            }
            let wave =
                if waves > 1 { format!("wave {}/{waves}  ", held(&shared.course).wave() + 1) } else { String::new() };
            wall.head(&wave, &rest::brief(&rested, &paces.paused()));
        }
    });
    drop(wall);
    let course = shared.course.into_inner().unwrap_or_else(PoisonError::into_inner);
    for (at, why) in course.left() {
        rested.push(Rest::left(&course, *at, why));
    }
    Ok(Ended { rested, course, paces, began_at })
}

/// What the threads have in common.
struct Shared {
    course: Mutex<Course>,
    changed: Condvar,
    crew: Crew,
    output: Output,
}

impl Shared {
    fn work(&self, fleet: &Fleet<'_>, sender: &Sender<Told>) {
        while let Some(at) = self.next(fleet, sender) {
            let _ = sender.send(Told::Begins(at));
            let (item, wave) = {
                let course = held(&self.course);
                (course.items()[at].clone(), course.wave_of(at))
            };
            let (said, hears) = mpsc::channel();
            let (exit, fault) = self.one(fleet, &item.name, said);
            let rest = Rest::of(at, wave, &item, exit, fault, heard(&hears), fleet.judge);
            held(&self.course).came(at, rest.outcome, rest.kind());
            self.changed.notify_all();
            let _ = sender.send(Told::Rests(Box::new(rest)));
        }
        self.changed.notify_all();
    }

    /// Does it at one target, which is heard by nobody but whoever tells of it.
    fn one(&self, fleet: &Fleet<'_>, name: &str, said: Sender<Said>) -> (Exit, Option<Value>) {
        let output = self.output.heard_by(said);
        let done = self.crew.member(output, fleet.yes).map(|session| {
            let done = (fleet.work)(&session, name);
            done.map_err(|error| rest::fault(&session, name, &error))
        });
        match done {
            Ok(Ok(exit)) => (exit, None),
            Ok(Err((exit, error))) => (exit, Some(error)),
            Err(error) => {
                let fault = super::exit::report(&error);
                (fault.exit, Some(super::exit::error_object(&fault)))
            }
        }
    }

    /// The next target, once its turn has come; `None` once there is none any more.
    fn next(&self, fleet: &Fleet<'_>, sender: &Sender<Told>) -> Option<usize> {
        let mut course = held(&self.course);
        loop {
            if self.crew.has_arrived() {
                course.stop("a signal came first");
            }
            match course.come_next() {
                Next::Begin(at) => return Some(at),
                Next::Over => return None,
                Next::Wait => {
                    course = self.changed.wait_timeout(course, LOOK_EVERY).unwrap_or_else(PoisonError::into_inner).0;
                }
                Next::Pause => {
                    drop(course);
                    self.rest(fleet.pause, sender);
                    course = held(&self.course);
                    course.goes_on();
                    self.changed.notify_all();
                }
            }
        }
    }

    /// Rests between two waves, unless a signal comes.
    fn rest(&self, pause: Duration, sender: &Sender<Told>) {
        if pause.is_zero() {
            return;
        }
        let _ = sender.send(Told::Pauses);
        let until = Instant::now() + pause;
        while Instant::now() < until && !self.crew.has_arrived() {
            thread::sleep(LOOK_EVERY);
        }
    }
}

fn heard(hears: &Receiver<Said>) -> Vec<Said> {
    hears.try_iter().collect()
}

fn held(course: &Mutex<Course>) -> MutexGuard<'_, Course> {
    course.lock().unwrap_or_else(PoisonError::into_inner)
}
