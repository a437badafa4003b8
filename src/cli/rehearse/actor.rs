//! The person in a rehearsal, with hands: what they say is done is done to the stand-in receiver.

use std::time::Instant;

use super::PATIENCE;
use super::stage::Stage;
use crate::rotation::{Rotation, Step};
use crate::secret::Secret;
use crate::ui::Output;
use crate::ui::prompt::Moment;

/// What happens on the stage when a person says that a step is done.
pub struct Actor<'a> {
    pub output: &'a Output,
    pub stage: &'a Stage,
    /// The secret before the rotation.
    pub old: Option<Secret>,
}

impl Actor<'_> {
    /// Says what will happen, then does it.
    pub fn go_along(&self, rotation: &Rotation, step: Step, moment: Moment) {
        if self.stage.receiver().is_none() {
            // How this provider signs is not documented, so nothing is delivered, and nobody would verify it.
            if moment == Moment::Before {
                self.output.say("      (rehearsal: there is no receiver on this stage, so say yes)");
            }
        } else if moment == Moment::Before {
            self.output.say(match step {
                Step::Prepare => "      (rehearsal: the stand-in receiver is ready, so say yes)",
                Step::Deploy => "      (rehearsal: say yes, and the stand-in receiver reads its file again)",
                Step::Verify => "      (rehearsal: say yes, and the stand-in receiver's last delivery is looked at)",
                _ => "      (rehearsal: probe, and the stand-in receiver reads its file once more)",
            });
        } else if let Err(error) = self.act(rotation, step) {
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
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        self.output.warn("no delivery was accepted in the last seconds");
    }
}
