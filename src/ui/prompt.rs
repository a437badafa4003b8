//! The operator at this terminal, or the flags that speak for one where there is none.

use std::collections::BTreeSet;
use std::time::Duration;

use super::dialog;
use super::{Output, countdown, narrate};
use crate::provider::Provider;
use crate::rotation::changed::Change;
use crate::rotation::guide::{self, StoreNames};
use crate::rotation::operator::{Awaited, Comparison, Countdown, Doubt, Gift, News, Operator, Reply, Ruling};
use crate::rotation::{Call, Ending, Event, Rotation, Step};
use crate::secret::Secret;

/// What was decided before anybody is asked.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// Steps that were done elsewhere, by `--done`.
    pub done: BTreeSet<Step>,
    /// The reason for the record, by `--reason`.
    pub reason: Option<String>,
    /// The same where it was given for going on over a doubt, and not along with a step that was done.
    pub over_doubts: Option<String>,
    /// Block until a countdown ends, by `--wait`.
    pub wait: bool,
    /// What came of a lost call, by `--resolve`.
    pub ruling: Option<Ruling>,
    /// Whether the new secret of a rotation by hand comes out of a pipe.
    pub is_piped: bool,
    /// Whether there is a person at a terminal who may be asked.
    pub may_ask: bool,
}

impl Answers {
    /// Whether somebody can be asked for a person's step, or has said already that it is done.
    pub fn speaks_for(&self, step: Step) -> bool {
        self.may_ask || self.done.contains(&step)
    }

    /// The reason that was given for going on over this. That the old secret has ended is said by its own word.
    fn said_over(&self, doubt: &Doubt) -> Option<String> {
        match doubt {
            Doubt::Clock { .. } => self.reason.clone().filter(|_| self.done.contains(&Step::Wait)),
            _ => self.over_doubts.clone(),
        }
    }
}

/// Told of what happens beside the person.
pub type Notify<'a> = Box<dyn Fn(&Rotation, Notice<'_>) + 'a>;

/// Looks for a store that the config names by now, and that the rotation does not know.
pub type Joined<'a> = Box<dyn Fn(&Rotation) -> Vec<Change> + 'a>;

/// Tells and asks the person who runs the command.
pub struct Person<'a> {
    pub output: &'a Output,
    pub provider: &'a Provider,
    pub stores: Vec<StoreNames>,
    pub answers: Answers,
    /// The command that comes back to this rotation.
    pub come_back: String,
    /// Whether there is nothing to come back to.
    pub is_rehearsal: bool,
    /// Whether a signal asked to stop.
    pub stopped: &'a dyn Fn() -> bool,
    /// Takes what is to be said to a signal that comes while an answer is awaited, and `None` once none is.
    pub awaits: Box<dyn Fn(Option<String>) + 'a>,
    /// What the config names by now, and the rotation does not know.
    pub joined: Joined<'a>,
    /// Told of what is journaled, and that time passes.
    pub notify: Notify<'a>,
    /// Whether a countdown has been shown; what is left after it is a moment until the provider's clock agrees.
    pub counted: bool,
    /// The step whose heading has been shown.
    pub headed: Option<Step>,
}

/// What a notifier may have to be told of.
#[derive(Clone, Copy, Debug)]
pub enum Notice<'a> {
    /// This is in the journal.
    Recorded(&'a Event),
    /// Time has passed.
    Clock,
}

impl Operator for Person<'_> {
    fn tell(&mut self, rotation: &Rotation, news: News<'_>) {
        if let News::Begins(step) = news {
            self.headed = Some(step);
        }
        narrate::tell(self.output, rotation, &news);
        if let News::Recorded(event) = news {
            (self.notify)(rotation, Notice::Recorded(event));
        }
    }

    fn takes_time(&self, rotation: &Rotation, awaited: Awaited<'_>) -> bool {
        let answers = &self.answers;
        match awaited {
            Awaited::Step(Step::Issue) => answers.may_ask && !answers.is_piped,
            Awaited::Step(step) => answers.may_ask && !answers.done.contains(&step),
            Awaited::Outcome => answers.may_ask && answers.ruling.is_none() && !has_nothing_to_guess(rotation),
            Awaited::Doubt(doubt) => answers.may_ask && answers.said_over(doubt).is_none(),
            Awaited::Clock => answers.may_ask || answers.wait,
        }
    }

    fn do_step(&mut self, rotation: &Rotation, step: Step) -> Reply {
        let said = self.answers.done.remove(&step);
        if said || self.answers.may_ask {
            self.head(rotation, step);
        }
        if said {
            let is_ours = step == Step::End && matches!(rotation.plan.ending, Some(Ending::Call(_)));
            self.output.say(if is_ours { "      agreed to, as was said" } else { "      done elsewhere, as was said" });
            return Reply::Done { reason: self.answers.reason.clone() };
        }
        if !self.answers.may_ask {
            return Reply::NobodyToAsk;
        }
        self.instruct(rotation, step);
        if step == Step::End {
            return self.ask_for_end(rotation);
        }
        if self.asks_for_proof(rotation, step) {
            return ask_for_proof(step);
        }
        match dialog::confirm(&format!("{}: done?", step.name()), false) {
            Ok(true) => match &self.answers.reason {
                // Nothing shows it yet, so that a yes alone says too little.
                None if step == Step::Verify && rotation.is_unsent() => ask_why(),
                reason => Reply::Done { reason: reason.clone() },
            },
            Ok(false) | Err(_) => Reply::NotNow,
        }
    }

    fn take_secret(&mut self, rotation: &Rotation, admitted: &dyn Fn(&Secret) -> Result<(), String>) -> Gift {
        if std::mem::take(&mut self.answers.is_piped) {
            self.head(rotation, Step::Issue);
            return match dialog::piped() {
                Ok(secret) => Gift::Secret(secret),
                Err(error) => Gift::Unreadable { why: format!("stdin cannot be read: {error}") },
            };
        }
        if !self.answers.may_ask {
            return Gift::NobodyToAsk;
        }
        self.instruct(rotation, Step::Issue);
        loop {
            let secret = match dialog::password("New secret") {
                Ok(secret) => secret,
                Err(error) => {
                    // While it is hidden the key for that is a letter like any other.
                    if matches!(error, dialog::DialogError::Interrupted) {
                        dialog::interrupt();
                    }
                    return Gift::NotNow;
                }
            };
            match admitted(&secret) {
                Ok(()) => return Gift::Secret(secret),
                Err(why) => self.output.warn(&format!("not taken: {why}. Paste it again, or leave with Ctrl-C")),
            }
        }
    }

    fn resolve_call(&mut self, rotation: &Rotation, comparison: &Comparison) -> Ruling {
        if let Some(ruling) = &self.answers.ruling {
            return ruling.clone();
        }
        if has_nothing_to_guess(rotation) {
            return Ruling::NotNow;
        }
        if !self.answers.may_ask {
            return Ruling::NobodyToAsk;
        }
        for line in comparison.words() {
            self.output.say(&format!("      {line}"));
        }
        let choices =
            ["I do not know yet: leave it open", "it did NOT rotate", "it DID rotate, and the new secret is lost"];
        match dialog::select("What happened at the provider?", &choices.map(str::to_owned)) {
            Ok(said @ (1 | 2)) => {
                let (applied, reason) = (said == 2, self.answers.reason.clone());
                if reason.is_some() || !comparison.needs_reason(applied) {
                    return Ruling::Said { applied, reason };
                }
                match ask_why() {
                    Reply::Done { reason } => Ruling::Said { applied, reason },
                    _ => Ruling::NotNow,
                }
            }
            Ok(_) | Err(_) => Ruling::NotNow,
        }
    }

    fn resolve_doubt(&mut self, _: &Rotation, doubt: &Doubt) -> Reply {
        if let Some(reason) = self.answers.said_over(doubt) {
            if matches!(doubt, Doubt::Clock { .. }) {
                self.answers.done.remove(&Step::Wait);
            }
            return Reply::Done { reason: Some(reason) };
        }
        if !self.answers.may_ask {
            return Reply::NobodyToAsk;
        }
        self.output.warn(&doubt.to_string());
        match dialog::confirm(doubt.question(), false) {
            Ok(true) => ask_why(),
            Ok(false) | Err(_) => Reply::NotNow,
        }
    }

    fn watch(&mut self, rotation: &Rotation, countdown: Countdown, moved: &dyn Fn() -> bool) -> Reply {
        if !self.answers.wait && self.answers.done.remove(&Step::Wait) {
            self.output.warn("`wait` is the clock's step: --done does not end it");
        }
        if !self.answers.may_ask && !self.answers.wait {
            return Reply::NobodyToAsk;
        }
        let first = !std::mem::replace(&mut self.counted, true);
        if first {
            self.output.say(&narrate::heading(rotation, Step::Wait));
            if self.answers.may_ask {
                self.output.say(&match self.is_rehearsal {
                    true => "      • Leave whenever you like; a rehearsal is gone then".to_owned(),
                    false => format!("      • Leave whenever you like; come back with: {}", self.come_back),
                });
            }
        }
        let ended = || {
            (self.notify)(rotation, Notice::Clock);
            moved()
        };
        if countdown::run(self.output, countdown, first, self.stopped, &ended) {
            Reply::Done { reason: None }
        } else {
            Reply::NotNow
        }
    }

    fn awaits_answer(&mut self, at_most: Option<Duration>) {
        let word = at_most.map(|at_most| narrate::stops_later(self.provider.title(), at_most, &self.come_back));
        (self.awaits)(word);
    }

    fn joined(&self, rotation: &Rotation) -> Vec<Change> {
        (self.joined)(rotation)
    }

    fn wants_to_stop(&self) -> bool {
        (self.stopped)()
    }
}

impl Person<'_> {
    /// Says the heading of a step, once.
    pub fn head(&mut self, rotation: &Rotation, step: Step) {
        if self.headed.replace(step) != Some(step) {
            self.output.say(&narrate::heading(rotation, step));
        }
    }

    /// Says what a person does at a step, below its heading.
    pub fn instruct(&mut self, rotation: &Rotation, step: Step) {
        self.head(rotation, step);
        for line in guide::instructions(rotation, self.provider, &self.stores, step) {
            self.output.say(&format!("      • {line}"));
        }
    }

    /// Asks for the endpoint's id once the old secret is ended, which nobody takes back.
    fn ask_for_end(&self, rotation: &Rotation) -> Reply {
        let id = rotation.plan.own_id();
        let is_it = |text: &str| match text == id || text.is_empty() {
            true => Ok(()),
            false => Err(format!("that is not the endpoint's id, `{id}`")),
        };
        let question = match rotation.plan.ending {
            Some(Ending::Call(_)) => "To remove it, type the old endpoint's id (empty: not now)",
            _ => "Once it is ended, type the endpoint's id (empty: not now)",
        };
        match dialog::text(question, Some(""), is_it) {
            Ok(text) if text == id => Reply::Done { reason: self.answers.reason.clone() },
            Ok(_) | Err(_) => Reply::NotNow,
        }
    }

    /// Whether receivers that are probed have not proved the step.
    fn asks_for_proof(&self, rotation: &Rotation, step: Step) -> bool {
        match step {
            Step::Prepare => rotation.plan.probe_first,
            _ => !rotation.contradicting(step).is_empty() && step != Step::Deploy,
        }
    }
}

fn ask_for_proof(step: Step) -> Reply {
    let choices = ["probe the receivers", "it is done, whatever the probe says: say why", "not now"];
    match dialog::select(&format!("{}: done?", step.name()), &choices.map(str::to_owned)) {
        Ok(0) => Reply::LookAgain,
        Ok(1) => ask_why(),
        Ok(_) | Err(_) => Reply::NotNow,
    }
}

/// Whether evidence does not tell what came of the call: the sealed answer, or what the provider shows, has to be looked at first.
fn has_nothing_to_guess(rotation: &Rotation) -> bool {
    matches!(rotation.call, Call::Unreadable { .. } | Call::Unread)
}

/// Asks for the reason of what goes against what was found.
fn ask_why() -> Reply {
    let given = |reason: &str| if reason.is_empty() { Err("say why".to_owned()) } else { Ok(()) };
    match dialog::text("Reason, for the record", None, given) {
        Ok(reason) => Reply::Done { reason: Some(reason) },
        Err(_) => Reply::NotNow,
    }
}
