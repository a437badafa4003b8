//! The person in a rehearsal, with hands: what they say is done is done to the stand-in receiver.

use std::time::{Duration, Instant};

use super::PATIENCE;
use super::stage::Stage;
use crate::rotation::changed::Change;
use crate::rotation::operator::{Awaited, Comparison, Countdown, Doubt, Gift, News, Operator, Reply, Ruling};
use crate::rotation::{Ending, Rotation, Step};
use crate::secret::Secret;
use crate::ui::prompt::Person;
use crate::ui::{Output, dialog};

/// A person on a stage.
pub struct Rehearsed<'a> {
    pub person: Person<'a>,
    pub actor: Actor<'a>,
}

impl Operator for Rehearsed<'_> {
    fn tell(&mut self, rotation: &Rotation, news: News<'_>) {
        self.person.tell(rotation, news);
    }

    fn takes_time(&self, rotation: &Rotation, awaited: Awaited<'_>) -> bool {
        // The page is pressed when its turn comes.
        matches!(awaited, Awaited::Step(Step::Issue)) || self.person.takes_time(rotation, awaited)
    }

    fn do_step(&mut self, rotation: &Rotation, step: Step) -> Reply {
        if self.takes_time(rotation, Awaited::Step(step)) {
            self.person.head(rotation, step);
            self.actor.announce(rotation, step);
        }
        let reply = self.person.do_step(rotation, step);
        if matches!(reply, Reply::Done { .. } | Reply::LookAgain) {
            self.actor.go_along(rotation, step);
        }
        reply
    }

    fn take_secret(&mut self, rotation: &Rotation, admitted: &dyn Fn(&Secret) -> Result<(), String>) -> Gift {
        self.person.head(rotation, Step::Issue);
        if self.person.answers.may_ask {
            self.person.instruct(rotation, Step::Issue);
            self.actor.announce(rotation, Step::Issue);
            if !dialog::confirm("issue: press it?", true).unwrap_or(false) {
                return Gift::NotNow;
            }
        }
        let secret = self.actor.stage.press();
        self.actor.output.say("      (rehearsal: the stand-in's page has made one, and it is pasted for you)");
        match admitted(&secret) {
            Ok(()) => Gift::Secret(secret),
            Err(why) => {
                self.actor.output.warn(&format!("not taken: {why}"));
                Gift::NobodyToAsk
            }
        }
    }

    fn resolve_call(&mut self, rotation: &Rotation, comparison: &Comparison) -> Ruling {
        self.person.resolve_call(rotation, comparison)
    }

    fn resolve_doubt(&mut self, rotation: &Rotation, doubt: &Doubt) -> Reply {
        self.person.resolve_doubt(rotation, doubt)
    }

    fn watch(&mut self, rotation: &Rotation, countdown: Countdown, moved: &dyn Fn() -> bool) -> Reply {
        self.person.watch(rotation, countdown, moved)
    }

    fn awaits_answer(&mut self, at_most: Option<Duration>) {
        self.person.awaits_answer(at_most);
    }

    fn joined(&self, rotation: &Rotation) -> Vec<Change> {
        self.person.joined(rotation)
    }

    fn wants_to_stop(&self) -> bool {
        self.person.wants_to_stop()
    }
}

/// What happens on the stage when a person says that a step is done.
pub struct Actor<'a> {
    pub output: &'a Output,
    pub stage: &'a Stage,
    /// The secret before the rotation.
    pub old: Option<Secret>,
}

impl Actor<'_> {
    /// Says what will happen once the person says yes.
    fn announce(&self, rotation: &Rotation, step: Step) {
        let is_call = matches!(rotation.plan.ending, Some(Ending::Call(_)));
        self.output.say(match step {
            Step::Issue => "      (rehearsal: say yes, and the stand-in's page is pressed)",
            // How this provider signs is not documented, so nothing is delivered, and nobody would verify it.
            _ if self.stage.receiver().is_none() => "      (rehearsal: there is no receiver on this stage, so say yes)",
            Step::Prepare => "      (rehearsal: the stand-in receiver is ready, so say yes)",
            Step::End if is_call => "      (rehearsal: type it, and the stand-in is asked to remove its old endpoint)",
            Step::End => "      (rehearsal: type it, and the old secret is ended on the stand-in's page)",
            Step::Deploy => "      (rehearsal: say yes, and the stand-in receiver reads its file again)",
            Step::Verify => "      (rehearsal: say yes, and the stand-in receiver's last delivery is looked at)",
            Step::Drop => "      (rehearsal: probe, and the stand-in receiver reads its file once more)",
            // Not a person's.
            Step::Check | Step::Stage | Step::Promote | Step::Retire | Step::Wait => return,
        });
    }

    fn go_along(&self, rotation: &Rotation, step: Step) {
        if self.stage.receiver().is_some()
            && let Err(error) = self.act(rotation, step)
        {
            self.output.warn(&format!("the stand-in receiver failed: {error}"));
        }
    }

    fn act(&self, rotation: &Rotation, step: Step) -> anyhow::Result<()> {
        let output = self.output;
        match step {
            Step::Deploy | Step::Drop => {
                let accepted = self.stage.reload()?;
                let names: Vec<String> = accepted.iter().map(ToString::to_string).collect();
                output.say(&format!("      ✓ the stand-in receiver accepts {}", names.join(" and ")));
            }
            Step::Verify => self.look_for_delivery(rotation),
            Step::End if matches!(rotation.plan.ending, Some(Ending::ByHand { .. })) => {
                self.stage.end();
                output.say("      ✓ the stand-in has ended the old secret");
            }
            _ => {}
        }
        if step == Step::Drop
            && let Some(old) = &self.old
            && self.stage.is_accepted(old) == Some(false)
        {
            output.say("      ✓ a delivery forged with the old secret is refused");
        }
        Ok(())
    }

    fn look_for_delivery(&self, rotation: &Rotation) {
        let (Some(receiver), Some(new)) = (self.stage.receiver(), rotation.new_secret()) else { return };
        let before = receiver.deliveries().accepted;
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let deliveries = receiver.deliveries();
            if deliveries.accepted > before {
                let with = deliveries.last_accepted_with;
                let which = if with.as_ref() == Some(new) { "the new secret" } else { "the old secret" };
                self.output.say(&format!("      ✓ the last delivery was verified with {which}"));
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        self.output.warn("no delivery was accepted in the last seconds");
    }
}
