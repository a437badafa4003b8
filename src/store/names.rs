//! What each slot of one store is called: the store's own names, or those that a target sets.

use super::{Slot, SlotNames, StoreError};

/// One name a slot, all different.
pub(super) struct Names {
    current: String,
    next: String,
    previous: String,
    canary: String,
}

/// What a store adds to the name of `current` to name its other slots.
pub(super) struct Suffixes<'a> {
    pub next: &'a str,
    pub previous: &'a str,
    pub canary: &'a str,
}

impl Names {
    /// Names the slots after `own`, the name in the reference, except where `set` says otherwise. Fails with
    /// [`StoreError::Refused`] for a name that is empty or holds control characters, and where two slots would share
    /// one, since a change of one would change both.
    pub fn new(store: &str, own: &str, suffixes: &Suffixes<'_>, set: &SlotNames) -> Result<Self, StoreError> {
        let names = Self::unchecked(own, suffixes, set);
        let refused = |why: String| {
            let hint = "give each of `next`, `current` and `previous` a name of its own in `slots`".into();
            Err(StoreError::Refused { store: store.to_owned(), why, hint })
        };
        let all: Vec<&str> = names.iter().collect();
        for (at, name) in all.iter().enumerate() {
            if name.is_empty() || name.chars().any(char::is_control) {
                return refused(format!("`{}` is no name for a slot", name.escape_debug()));
            }
            if all[at + 1..].contains(name) {
                return refused(format!("two of its slots are named `{name}`"));
            }
        }
        Ok(names)
    }

    /// Names the slots by words of their own, which are not made from the name of `current`.
    pub fn words(store: &str, set: &SlotNames) -> Result<Self, StoreError> {
        let own = |set: &Option<String>, own: &str| Some(set.clone().unwrap_or_else(|| own.to_owned()));
        let set = SlotNames {
            next: own(&set.next, "next"),
            current: own(&set.current, "current"),
            previous: own(&set.previous, "previous"),
        };
        Self::new(store, "", &Suffixes { next: "", previous: "", canary: ".whsec-check" }, &set)
    }

    /// Names the slots after `own`, with these added for `next`, `previous` and the canary.
    pub fn after(store: &str, own: &str, suffixes: [&str; 3], set: &SlotNames) -> Result<Self, StoreError> {
        let [next, previous, canary] = suffixes;
        Self::new(store, own, &Suffixes { next, previous, canary }, set)
    }

    /// The store's own names, which cannot collide.
    pub fn own(own: &str, suffixes: &Suffixes<'_>) -> Self {
        Self::unchecked(own, suffixes, &SlotNames::default())
    }

    /// The name of a slot.
    pub fn of(&self, slot: Slot) -> &str {
        match slot {
            Slot::Next => &self.next,
            Slot::Current => &self.current,
            Slot::Previous => &self.previous,
            Slot::Canary => &self.canary,
        }
    }

    /// All names.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        [&self.next, &self.current, &self.previous, &self.canary].into_iter().map(String::as_str)
    }

    fn unchecked(own: &str, suffixes: &Suffixes<'_>, set: &SlotNames) -> Self {
        let current = set.current.clone().unwrap_or_else(|| own.to_owned());
        let name = |set: &Option<String>, suffix| set.clone().unwrap_or_else(|| format!("{current}{suffix}"));
        Self {
            next: name(&set.next, suffixes.next),
            previous: name(&set.previous, suffixes.previous),
            canary: name(&None, suffixes.canary),
            current,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUFFIXES: Suffixes<'static> = Suffixes { next: "_NEW", previous: "_OLD", canary: "_CHECK" };

    #[test]
    fn a_target_names_some_and_the_store_the_rest() {
        let set = SlotNames { previous: Some("WAS".to_owned()), ..SlotNames::default() };
        let names = Names::new("dotenv:x#K", "K", &SUFFIXES, &set).unwrap();
        assert_eq!(names.iter().collect::<Vec<_>>(), ["K_NEW", "K", "WAS", "K_CHECK"]);
    }

    #[test]
    fn two_slots_of_one_name_and_names_that_are_none_are_refused() {
        for name in ["K", "K_OLD", "K_CHECK", "", "a\nb"] {
            let set = SlotNames { next: Some(name.to_owned()), ..SlotNames::default() };
            assert!(
                matches!(Names::new("dotenv:x#K", "K", &SUFFIXES, &set), Err(StoreError::Refused { .. })),
                "{name}"
            );
        }
    }
}
