//! `aws-sm:NAME[#key]`: versions of one secret in AWS Secrets Manager, told apart by their stages: AWSPENDING, AWSCURRENT,
//! AWSPREVIOUS. With a key, the secret is a JSON object of which one member is ours.
//!
//! To go live is one move of AWSCURRENT, which a reader sees whole. The new secret's version has the rotation's id, so that
//! what is sent twice is one version. Plain signed REST: the vendor's SDK more than doubles what is built, for four calls.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::json::{Document, Flaw};
use super::{Access, Change, Slot, SlotNames, Store, StoreError, Surroundings, bare};
use crate::secret::Secret;

mod access;
mod api;
mod credentials;
mod profile;
mod sign;

pub use access::{AwsAccess, aws_access};
use api::{Api, Refusal};

const CURRENT: &str = "AWSCURRENT";
const PENDING: &str = "AWSPENDING";
const PREVIOUS: &str = "AWSPREVIOUS";
const CHECK: &str = "WHSEC_CHECK";

/// The largest text that a version may have, in bytes.
const LARGEST: usize = 65_536;

/// How many tokens are tried where earlier ones have been used for other values.
const TOKENS: u32 = 8;

/// Versions of one secret.
pub(super) struct AwsSecret {
    reference: String,
    key: Option<String>,
    rotation: Option<Uuid>,
    api: Api,
}

/// A version: its id, and its text as far as it is ours to read.
#[derive(Clone)]
struct Version {
    id: String,
    text: Text,
}

/// What a version holds.
#[derive(Clone)]
enum Text {
    Bare(Secret),
    Keyed(Document),
}

/// The versions that have a stage, as last looked at.
struct Stages(BTreeMap<Slot, Version>);

impl AwsSecret {
    /// Names the secret; the environment is not looked at yet. AWS itself names the stages.
    pub fn new(
        name: &str,
        key: Option<&str>,
        names: &SlotNames,
        surroundings: &Surroundings,
    ) -> Result<Self, StoreError> {
        let reference = super::Reference::AwsSm { name: name.to_owned(), key: key.map(str::to_owned) }.to_string();
        if *names != SlotNames::default() {
            return Err(StoreError::Refused {
                store: reference,
                why: "its slots are AWS's own stages and have no other names".to_owned(),
                hint: "leave `slots` out, or give this store a target of its own".into(),
            });
        }
        let api = Api::new(reference.clone(), name.to_owned(), surroundings);
        Ok(Self { reference, key: key.map(str::to_owned), rotation: surroundings.rotation, api })
    }

    fn look(&self, slots: &[Slot]) -> Result<Stages, StoreError> {
        let stages = self.api.stages()?;
        let mut texts: BTreeMap<&str, Text> = BTreeMap::new();
        let mut found = BTreeMap::new();
        for slot in slots {
            let Some(id) = stages.get(stage(*slot)) else { continue };
            if !texts.contains_key(id.as_str()) {
                texts.insert(id, self.text(&self.api.value(id)?)?);
            }
            if let Some(text) = texts.get(id.as_str()) {
                found.insert(*slot, Version { id: id.clone(), text: text.clone() });
            }
        }
        Ok(Stages(found))
    }

    fn text(&self, value: &Secret) -> Result<Text, StoreError> {
        match self.key {
            None => Ok(Text::Bare(value.clone())),
            Some(_) => {
                let document = Document::within(value.expose().as_bytes(), &[]);
                Ok(Text::Keyed(document.map_err(|flaw| self.malformed(flaw))?))
            }
        }
    }

    /// What a version holds for us.
    fn value(&self, text: &Text) -> Result<Option<Secret>, StoreError> {
        match (text, &self.key) {
            (Text::Keyed(document), Some(key)) => document.get(key).map_err(|flaw| self.malformed(flaw)),
            (Text::Bare(value), _) => Ok(Some(value.clone()).filter(|value| !value.is_empty())),
            (Text::Keyed(_), None) => Ok(None),
        }
    }

    /// What a slot holds. A version that was made for another member of the object holds ours as it was, which is no
    /// value of that slot.
    fn slot(&self, found: &Stages, slot: Slot) -> Result<Option<Secret>, StoreError> {
        let Some(version) = found.0.get(&slot) else { return Ok(None) };
        let value = self.value(&version.text)?;
        let Some(current) = found.0.get(&Slot::Current) else { return Ok(value) };
        let is_anothers = slot != Slot::Current && self.key.is_some() && version.id != current.id;
        if is_anothers && value == self.value(&current.text)? { Ok(None) } else { Ok(value) }
    }

    /// The text of a version like the live one, but for our value.
    fn with(&self, found: &Stages, value: Option<&Secret>) -> Result<Text, StoreError> {
        let Some(key) = &self.key else {
            let unsaid = || {
                self.api.refused(
                    "its live stage cannot be emptied",
                    "AWS keeps one version live: delete the secret instead",
                )
            };
            return value.map(|value| Text::Bare(value.clone())).ok_or_else(unsaid);
        };
        let live = match found.0.get(&Slot::Current) {
            Some(Version { text: Text::Keyed(document), .. }) => document.clone(),
            _ => Document::empty(),
        };
        Ok(Text::Keyed(live.with(key, key, value).map_err(|flaw| self.malformed(flaw))?))
    }

    /// Whether a version is the live one but for our value, and so may go live.
    fn is_fresh(&self, found: &Stages, version: &Version) -> Result<bool, StoreError> {
        match (&version.text, found.0.get(&Slot::Current).map(|current| &current.text), &self.key) {
            (Text::Keyed(ours), Some(Text::Keyed(live)), Some(key)) => {
                ours.is_same_besides(live, key).map_err(|flaw| self.malformed(flaw))
            }
            _ => Ok(true),
        }
    }

    /// A coming version that somebody else made for another member would lose its stage to ours.
    fn refuse_anothers_pending(&self, found: &Stages) -> Result<(), StoreError> {
        let Some(pending) = found.0.get(&Slot::Next) else { return Ok(()) };
        if self.slot(found, Slot::Next)?.is_some() || self.is_fresh(found, pending)? {
            return Ok(());
        }
        let hint = "let that one go live, or take its stage off, before this one is rotated";
        Err(self.api.refused("its AWSPENDING version is a change of another member of the object", hint))
    }

    fn set(&self, slot: Slot, value: &Secret) -> Result<(), StoreError> {
        let found = self.look(&SLOTS)?;
        if slot == Slot::Next {
            self.refuse_anothers_pending(&found)?;
        }
        let mut holder = None;
        for version in found.0.values() {
            if self.value(&version.text)?.as_ref() == Some(value) && self.is_fresh(&found, version)? {
                holder = Some(version);
            }
        }
        match holder {
            Some(holder) => self.attach(slot, &holder.id),
            None => self.put(&found, slot, value),
        }
    }

    fn put(&self, found: &Stages, slot: Slot, value: &Secret) -> Result<(), StoreError> {
        let text = self.with(found, Some(value))?;
        self.put_text(slot, &text)
    }

    fn put_text(&self, slot: Slot, text: &Text) -> Result<(), StoreError> {
        let bytes = match text {
            Text::Bare(value) => value.expose().as_bytes(),
            Text::Keyed(document) => document.bytes(),
        };
        if bytes.len() > LARGEST {
            let why = "the text would be longer than AWS takes";
            return Err(StoreError::Unrepresentable { store: self.reference.clone(), why });
        }
        for attempt in 0..TOKENS {
            let token = self.token(slot, attempt);
            match self.api.put(&token, bytes, stage(slot)) {
                // A version that was there before is left as it is, without the stage.
                Ok(()) if slot == Slot::Next => return self.attach(slot, &token),
                Ok(()) => return Ok(()),
                Err(Refusal::TokenUsed) => {}
                Err(Refusal::Failed(error)) => return Err(error),
            }
        }
        Err(StoreError::Contended { store: self.reference.clone() })
    }

    /// The id of a new version: the rotation's own for its secret, and one made from it where that was used for another
    /// text, as for another state of the object's other members. Anything else gets one of its own.
    fn token(&self, slot: Slot, attempt: u32) -> String {
        match self.rotation.filter(|_| slot == Slot::Next) {
            None => Uuid::new_v4().to_string(),
            Some(rotation) if attempt == 0 => rotation.to_string(),
            Some(rotation) => {
                let digest = Sha256::digest(format!("{rotation} {attempt}"));
                let mut bytes = [0; 16];
                bytes.copy_from_slice(&digest[..16]);
                uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
            }
        }
    }

    /// Puts a slot's stage on a version.
    fn attach(&self, slot: Slot, id: &str) -> Result<(), StoreError> {
        let stages = self.api.stages()?;
        let holder = stages.get(stage(slot)).map(String::as_str);
        if holder == Some(id) { Ok(()) } else { self.api.move_stage(stage(slot), holder, Some(id)) }
    }

    fn clear(&self, slot: Slot) -> Result<(), StoreError> {
        if slot == Slot::Current {
            let found = self.look(&SLOTS)?;
            if self.slot(&found, slot)?.is_none() {
                return Ok(());
            }
            return self.put_text(slot, &self.with(&found, None)?);
        }
        match self.api.stages()?.get(stage(slot)) {
            Some(id) => self.api.move_stage(stage(slot), Some(id), None),
            None => Ok(()),
        }
    }

    fn malformed(&self, flaw: Flaw) -> StoreError {
        let why = match flaw {
            Flaw::Malformed { what, .. } => format!("what it holds cannot be taken apart: {what}"),
            Flaw::NoParent { .. } => "it holds no JSON object, so that it has no members".to_owned(),
        };
        self.api.refused(&why, "write `aws-sm:NAME` for a secret that is nothing but the value")
    }
}

/// All slots.
const SLOTS: [Slot; 4] = [Slot::Next, Slot::Current, Slot::Previous, Slot::Canary];

fn stage(slot: Slot) -> &'static str {
    match slot {
        Slot::Next => PENDING,
        Slot::Current => CURRENT,
        Slot::Previous => PREVIOUS,
        Slot::Canary => CHECK,
    }
}

impl Store for AwsSecret {
    fn reference(&self) -> String {
        self.reference.clone()
    }

    fn slot_name(&self, slot: Slot) -> String {
        stage(slot).to_owned()
    }

    fn access(&self) -> Access {
        Access::ReadWrite
    }

    /// AWSPREVIOUS is on the version before the live one, whoever put that there.
    fn keeps_history(&self) -> bool {
        true
    }

    fn server(&self) -> Result<Option<String>, StoreError> {
        self.api.server().map(Some)
    }

    fn get(&self, slot: Slot) -> Result<Option<Secret>, StoreError> {
        self.slot(&self.look(&[Slot::Current, slot])?, slot)
    }

    /// Moves stages one after the other, in an order in which no version is ever without one while it is needed. When
    /// AWSCURRENT moves, AWS moves AWSPREVIOUS to the version it was on.
    fn apply(&self, changes: &[Change<'_>]) -> Result<(), StoreError> {
        bare::admit_values(&self.reference, changes)?;
        let found = self.look(&SLOTS)?;
        if changes.is_empty() {
            self.refuse_anothers_pending(&found)?;
        }
        if !found.0.contains_key(&Slot::Current) {
            let hint = "put the live value there first: `aws secretsmanager put-secret-value`";
            return Err(self.api.refused("the secret has no value yet, and its first one would be live at once", hint));
        }
        let moves_current = changes.iter().any(|(slot, value)| *slot == Slot::Current && value.is_some());
        let previous = match changes.iter().rev().find(|(slot, _)| *slot == Slot::Previous) {
            Some((_, value)) => value.cloned(),
            None => self.slot(&found, Slot::Previous)?,
        };
        for (slot, value) in changes {
            match (slot, value) {
                // AWS does it when AWSCURRENT moves; what it comes to is looked at below.
                (Slot::Previous, _) if moves_current => {}
                (_, Some(value)) if self.slot(&found, *slot)?.as_ref() == Some(value) => {}
                (_, Some(value)) => self.set(*slot, value)?,
                (_, None) => self.clear(*slot)?,
            }
        }
        if !changes.iter().any(|(slot, _)| *slot == Slot::Current) {
            return Ok(());
        }
        let now = self.look(&[Slot::Current, Slot::Previous])?;
        match previous {
            None if now.0.contains_key(&Slot::Previous) => self.clear(Slot::Previous),
            Some(value) if self.slot(&now, Slot::Previous)?.as_ref() != Some(&value) => {
                self.set(Slot::Previous, &value)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod credentials_tests;
#[cfg(test)]
mod tests;
