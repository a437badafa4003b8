//! The seals of a state folder, with the identity that opens them.

use super::error::Error;
use super::folders::Folders;
use crate::config::{self, IdentityPlace};
use crate::rotation::seal::{Places, Seals};
use crate::store::{self, Reference, Store};

/// The keychain entry, and the file in the state folder, that keep the identity which opens seals.
const IDENTITY_SERVICE: &str = "whsec";
const IDENTITY_NAME: &str = "seal-identity";

/// The seals of a state folder. Their identity is where the config says, else where it already is, else in the
/// keychain if there is one that works, else in a private file.
pub fn open(folders: &Folders, settings: &config::Seal) -> Result<Seals, Error> {
    let state = folders.private_state_dir()?;
    let file = state.join(IDENTITY_NAME);
    let in_file = || {
        let reference = Reference::File { path: file.clone() };
        store::open(&reference, &store::SlotNames::default(), &store::Surroundings::default())
    };
    let in_keychain = || -> Box<dyn Store> { Box::new(store::keychain_entry(IDENTITY_SERVICE, IDENTITY_NAME)) };
    let only = |first| Places { first, otherwise: None };
    let places = || {
        Ok(match settings.identity {
            Some(IdentityPlace::File) => only(in_file()?),
            Some(IdentityPlace::Keychain) => only(in_keychain()),
            None if file.exists() => only(in_file()?),
            None => Places { first: in_keychain(), otherwise: Some(in_file()?) },
        })
    };
    Ok(Seals::open(state, &settings.recipients, &places)?)
}
