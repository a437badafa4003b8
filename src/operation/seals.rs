//! The seals of a state folder, with the identity that opens them.

use std::sync::Arc;

use super::error::Error;
use super::folders::Folders;
use crate::config::{self, Config, IdentityPlace};
use crate::rotation::seal::{Places, Seals};
use crate::store::{self, Environment, Reference, SlotNames, Store, Surroundings};

/// The keychain entry, and the file in the state folder, that keep the identity which opens seals.
const IDENTITY_SERVICE: &str = "whsec";
const IDENTITY_NAME: &str = "seal-identity";

/// What the identity's store needs.
#[derive(Clone)]
pub struct Keeper {
    settings: config::Seal,
    folders: Folders,
    surroundings: Surroundings,
}

impl Keeper {
    /// What a config says of it. The environment is one without an identity of its own.
    pub fn new(config: &Config, folders: &Folders, environment: Environment) -> Self {
        let surroundings = Surroundings {
            commands: Arc::clone(config.commands()),
            target: String::new(),
            folder: folders.current.clone(),
            private: Arc::clone(config.private_variables()),
            environment,
            rotation: None,
        };
        Self { settings: config.seal.clone(), folders: folders.clone(), surroundings }
    }

    /// The seals of the state folder. Their identity is where the config says, else where it already is, else in the
    /// keychain if there is one that works, else in a private file. One that a team shares is made only where `may_make` says so.
    pub fn seals(&self, may_make: bool) -> Result<Seals, Error> {
        let state = self.folders.private_state_dir()?;
        let file = state.join(IDENTITY_NAME);
        let in_file = || {
            let reference = Reference::File { path: file.clone() };
            store::open(&reference, &SlotNames::default(), &Surroundings::default())
        };
        let in_keychain = || -> Box<dyn Store> { Box::new(store::keychain_entry(IDENTITY_SERVICE, IDENTITY_NAME)) };
        let only = |first| Places { first, otherwise: None };
        if let Some(IdentityPlace::Store(reference)) = &self.settings.identity {
            let store = store::open(reference, &SlotNames::default(), &self.surroundings)?;
            return Ok(Seals::of_team(state, &self.settings.recipients, store, may_make)?);
        }
        let places = || {
            Ok(match self.settings.identity {
                Some(IdentityPlace::File) => only(in_file()?),
                Some(IdentityPlace::Keychain) => only(in_keychain()),
                _ if file.exists() => only(in_file()?),
                _ => Places { first: in_keychain(), otherwise: Some(in_file()?) },
            })
        };
        Ok(Seals::open(state, &self.settings.recipients, &places)?)
    }
}
