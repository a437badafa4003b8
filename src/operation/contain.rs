//! Whether a rotation that is open, and has brought a new secret, contains a leak: that makes a second call needless, unless it is
//! the new secret that has leaked.

use super::context::{Asked, Context};
use super::error::{Error, Kind, Stop};
use super::find;
use crate::advice::{Advice, Verb, advice};
use crate::config::Target;
use crate::provider::Force;
use crate::rotation::journal::Journal;
use crate::rotation::{Leaked, Rotation, Step, at_hand};
use crate::secret::Fingerprint;
use crate::store::{Slot, readable};
use crate::time::moment;

/// An open rotation that may contain a leak.
pub struct Candidate {
    pub rotation: Rotation,
    /// Whether the provider cannot end a secret early.
    cannot_force: bool,
    /// Whether the old secret is still alive at the provider.
    old_lives: bool,
}

/// How a leak is contained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By a call, which makes another secret.
    Call,
    /// By the rotation that is open.
    GoOn,
    /// By no way of ours yet: the new secret has leaked, and the provider takes no further rotation.
    NotYet,
}

/// The open rotation of a target that may contain a leak. Refuses a fingerprint that is not of what is live, where there is none.
pub fn candidate(
    context: &Context,
    name: &str,
    asked: &Asked,
    said: Option<&Fingerprint>,
) -> Result<Option<Candidate>, Error> {
    let journal = find::journal(context)?;
    let target = find::target(context, &journal, name, asked)?;
    let known = journal.of_endpoint(&target.endpoint.key())?;
    let open = at_hand(&known).and_then(|at| known.get(at)).filter(|rotation| rotation.closed.is_none());
    // One that is pending is settled first, and one of which nothing was sent has brought nothing, unless its secret is ours.
    let Some(open) = open.filter(|open| (open.may_be_applied() || open.is_unsent()) && !open.is_pending()) else {
        refuse_unknown(context, &journal, &target, asked, said)?;
        return Ok(None);
    };
    let now = context.now();
    // What is live may be dead, and the provider keep one all the same that nobody has live.
    let kept = open.replaced_until().is_some_and(|end| open.provider_now(now) < end);
    Ok(Some(Candidate {
        // One whose secret of ours was not sent yet is what ends the old one; and where that has leaked, nothing is in the way of another.
        cannot_force: target.endpoint.provider.force() == Force::Unavailable || open.is_unsent(),
        old_lives: !open.is_unsent() && (kept || open.old_secret_lives(now)),
        rotation: open.clone(),
    }))
}

impl Candidate {
    /// Which secret was said to have leaked.
    pub fn said(&self, said: &Fingerprint) -> Result<Leaked, Error> {
        let open = &self.rotation;
        open.which(said).ok_or_else(|| {
            let shown = |secret: Option<&Fingerprint>| secret.map_or("not known".to_owned(), ToString::to_string);
            let message = format!("{said} is neither secret of the open rotation of `{}`", open.plan.target);
            let new = open.new_secret();
            let hint = format!("the old one is {}, the new one {}", shown(open.before.current.as_ref()), shown(new));
            Stop::new(Kind::Usage, message, hint)
        })
    }

    /// Whether it makes a difference which secret has leaked, where nobody has said it.
    pub fn is_open_which(&self) -> bool {
        self.cannot_force && self.rotation.answered().is_some()
    }

    /// How the leak is contained. Whoever names the old secret of a rotation that has ended it needs no other.
    pub fn way(&self, leaked: Leaked, is_said: bool) -> Way {
        way(leaked, is_said, self.cannot_force, self.old_lives)
    }
}

fn way(leaked: Leaked, is_said: bool, cannot_force: bool, old_lives: bool) -> Way {
    match leaked {
        Leaked::New if cannot_force && old_lives => Way::NotYet,
        Leaked::Old if cannot_force || (is_said && !old_lives) => Way::GoOn,
        Leaked::New | Leaked::Old => Way::Call,
    }
}

/// The new secret has leaked, and the provider takes no further rotation while the old one lives.
pub fn no_way_yet(target: &Target, open: &Rotation) -> Error {
    let (title, name) = (target.endpoint.provider.title(), &target.name);
    if let Some(second) = open.second() {
        let message = format!("nothing was sent: the new secret of `{name}` is that of a second endpoint, `{second}`");
        let back = Verb::Rollback.of(name).open("reason", "TEXT").bare();
        let hint = advice!["remove that one: ", back, "; then rotate again: ", Verb::Rotate.of(name).bare()];
        return Stop::new(Kind::Conflict, message, hint);
    }
    let until = open.replaced_until().map_or_else(|| "the old one has ended".to_owned(), moment);
    let message = format!(
        "nothing was sent: {title} takes no further rotation until {until}, and the new secret of `{name}` stays alive there"
    );
    let back = match open.done.contains_key(&Step::Promote) {
        true => advice![Verb::Rollback.of(name).open("reason", "TEXT").bare(), " puts the old one back; "],
        false => Advice::default(),
    };
    let hint = advice![
        "receivers that know the old secret alone contain it until then: ",
        back,
        "deploy that; from that time on this same command replaces it"
    ];
    Stop::new(Kind::Conflict, message, hint)
}

fn refuse_unknown(
    context: &Context,
    journal: &Journal,
    target: &Target,
    asked: &Asked,
    said: Option<&Fingerprint>,
) -> Result<(), Error> {
    let Some(said) = said else { return Ok(()) };
    let mut live = Vec::new();
    for store in readable(&find::stores(context, journal, target, asked)?) {
        live.extend(store.get(Slot::Current)?.map(|secret| secret.fingerprint()));
    }
    if live.iter().any(|live| live == said) {
        return Ok(());
    }
    let live = live.first().map_or_else(|| "nothing is".to_owned(), |live| format!("{live} is"));
    let message = format!("{said} is not live at `{}`, and no rotation that brought it is open", target.name);
    Err(Stop::new(Kind::Usage, message, format!("{live}; leave --leaked out to replace what is live")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_call_is_made_only_where_the_open_rotation_does_not_contain_the_leak() {
        for (leaked, is_said, cannot_force, old_lives, expected) in [
            (Leaked::Old, false, true, true, Way::GoOn),
            (Leaked::Old, false, true, false, Way::GoOn),
            (Leaked::Old, false, false, true, Way::Call),
            // Nobody has said that it is the one which has ended already.
            (Leaked::Old, false, false, false, Way::Call),
            (Leaked::Old, true, false, true, Way::Call),
            (Leaked::Old, true, false, false, Way::GoOn),
            (Leaked::New, true, true, true, Way::NotYet),
            (Leaked::New, true, true, false, Way::Call),
            (Leaked::New, true, false, true, Way::Call),
        ] {
            let found = way(leaked, is_said, cannot_force, old_lives);
            assert_eq!(found, expected, "{leaked:?} {is_said} {cannot_force} {old_lives}");
        }
    }
}
