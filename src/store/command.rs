//! `command:NAME`: a program of the user's own that keeps secrets.
//!
//! A secret goes to a program's standard input, never into its arguments or environment; what a program prints
//! is the secret or nothing we look at.

use std::sync::Arc;

use super::names::Names;
use super::preset::{self, Filled, Input};
use super::{Access, Change, CommandSpec, Slot, SlotNames, Store, StoreError, Surroundings, bare};
use crate::advice::{Advice, Verb, advice};
use crate::secret::Secret;
use crate::system::program::{self, Ended, Run};

/// Programs that put, get and clear a value.
pub struct CommandStore {
    reference: String,
    spec: CommandSpec,
    target: String,
    private: Arc<[String]>,
    names: Names,
    input: Input,
}

impl CommandStore {
    /// Finds the programs by name; none is started. Fails with [`StoreError::Refused`] if the user's config has no
    /// such command, or one that could read what it cannot clear.
    pub fn open(name: &str, names: &SlotNames, surroundings: &Surroundings) -> Result<Self, StoreError> {
        let reference = format!("command:{name}");
        let refused =
            |why: &str, hint: Advice| StoreError::Refused { store: reference.clone(), why: why.to_owned(), hint };
        let Some(spec) = surroundings.commands.get(name) else {
            return Err(refused(
                "no such command is configured",
                format!("write `[commands.{name}]` into your own config").into(),
            ));
        };
        let Filled { spec, names, input } = preset::fill(&reference, spec, names)?;
        let programs = [Some(&spec.put), spec.get.as_ref(), spec.clear.as_ref()];
        if programs.into_iter().flatten().any(|arguments| arguments.first().is_none_or(String::is_empty)) {
            return Err(refused(
                "one of its programs is empty",
                format!("name a program first in `[commands.{name}]`").into(),
            ));
        }
        let named = programs.into_iter().flatten().flatten().any(|argument| argument.contains("{target}"));
        if named && surroundings.target.is_empty() {
            return Err(refused(
                "its programs are told a target's name, and there is no target here",
                advice![
                    "name another store; ",
                    Verb::Rotate.here().flag("dry-run"),
                    " shows what a target's stores are",
                ],
            ));
        }
        if spec.get.is_some() && spec.clear.is_none() {
            let hint = format!("add `clear` to `[commands.{name}]`, or leave out `get` to write only");
            return Err(refused("it has `get` but no `clear`", hint.into()));
        }
        Ok(Self {
            reference,
            spec,
            target: surroundings.target.clone(),
            private: surroundings.private.clone(),
            names,
            input,
        })
    }

    /// A command by itself, with nothing around it.
    #[cfg(test)]
    pub(super) fn of(filled: Filled) -> Self {
        let Filled { spec, names, input } = filled;
        Self { reference: "command:x".to_owned(), spec, target: String::new(), private: Arc::default(), names, input }
    }

    /// The arguments for one slot. Fails where a name would be read as an option.
    fn arguments(&self, template: &[String], slot: Slot) -> Result<Vec<String>, StoreError> {
        let mut arguments = Vec::with_capacity(template.len());
        for (at, part) in template.iter().enumerate() {
            let filled = if at == 0 { part.clone() } else { filled(part, &self.slot_name(slot), &self.target) };
            if filled.starts_with('-') && !part.starts_with('-') {
                return Err(self.failed(template, "would take a name for an option".to_owned()));
            }
            arguments.push(filled);
        }
        Ok(arguments)
    }

    fn put(&self, slot: Slot, value: &Secret) -> Result<(), StoreError> {
        let input = self.input.bytes(&self.reference, self.names.of(slot), value)?;
        let arguments = self.arguments(&self.spec.put, slot)?;
        let ended = self.run(Run { input: Some(&input), ..Run::new(&arguments, &self.private) })?;
        self.succeeded(&self.spec.put, &ended)
    }

    fn clear(&self, program: &[String], slot: Slot) -> Result<(), StoreError> {
        let ended = self.run(Run::new(&self.arguments(program, slot)?, &self.private))?;
        if ended.status.code() == Some(self.spec.absent) { Ok(()) } else { self.succeeded(program, &ended) }
    }

    fn succeeded(&self, program: &[String], ended: &Ended) -> Result<(), StoreError> {
        if ended.status.success() { Ok(()) } else { Err(self.failed(program, program::said(ended.status))) }
    }

    fn failed(&self, program: &[String], why: String) -> StoreError {
        StoreError::program(&self.reference)(program::failed(program, why))
    }

    fn run(&self, program: Run<'_>) -> Result<Ended, StoreError> {
        program.end().map_err(StoreError::program(&self.reference))
    }

    fn find(&self) -> Result<(), StoreError> {
        program::find(&self.spec.put, &self.private).map_err(StoreError::program(&self.reference))
    }
}

impl Store for CommandStore {
    fn reference(&self) -> String {
        self.reference.clone()
    }

    fn slot_name(&self, slot: Slot) -> String {
        self.names.of(slot).to_owned()
    }

    fn access(&self) -> Access {
        if self.spec.get.is_some() { Access::ReadWrite } else { Access::WriteOnly }
    }

    fn caution(&self) -> Option<String> {
        (self.access() == Access::WriteOnly).then(|| {
            format!(
                "`{}` cannot be read back: that it took the secret is its word, and the sealed copy is kept until another \
                 store or a verified delivery bears it out",
                self.reference
            )
        })
    }

    fn get(&self, slot: Slot) -> Result<Option<Secret>, StoreError> {
        let Some(program) = &self.spec.get else {
            return Err(StoreError::NotReadable { store: self.reference() });
        };
        let ended = self.run(Run::new(&self.arguments(program, slot)?, &self.private))?;
        if ended.status.code() == Some(self.spec.absent) {
            return Ok(None);
        }
        self.succeeded(program, &ended)?;
        bare::value(&ended.output).map_err(|_| self.failed(program, "printed something that is not UTF-8".to_owned()))
    }

    /// Starts one program a change; without changes, looks whether there is a program. Without `clear`, a slot that should be emptied keeps its value, and the canary is
    /// not put; only that the program is there is looked at.
    fn apply(&self, changes: &[Change<'_>]) -> Result<(), StoreError> {
        bare::admit(&self.reference, changes)?;
        if changes.is_empty() {
            return self.find();
        }
        for (slot, value) in changes {
            match (value, &self.spec.clear) {
                (Some(_), None) if *slot == Slot::Canary => self.find()?,
                (Some(value), _) => self.put(*slot, value)?,
                // What a program does with an empty slot is its own affair, so that none is cleared twice.
                (None, Some(_)) if self.spec.get.is_some() && self.get(*slot)?.is_none() => {}
                (None, Some(program)) => self.clear(program, *slot)?,
                (None, None) => {}
            }
        }
        Ok(())
    }
}

/// `{slot}` and `{target}` filled in, once: what is filled in is not looked at again.
fn filled(part: &str, slot: &str, target: &str) -> String {
    let with_slots = part.split("{slot}").map(|piece| piece.replace("{target}", target));
    with_slots.collect::<Vec<_>>().join(slot)
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
