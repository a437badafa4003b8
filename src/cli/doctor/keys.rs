//! Looks at the keychain.

use super::Check;
use crate::cli::session::Session;
use crate::config::{KeySource, Target};
use crate::operation::key::KEY_SERVICE;
use crate::store::{self, Reference, Slot, Store};

/// Whether the keychain answers within its deadline; a need only where a target keeps something in it.
pub fn look(session: &Session) -> Vec<Check> {
    let needed = super::targets::all(session).iter().any(uses_keychain);
    let check = match store::keychain_entry(KEY_SERVICE, "doctor").get(Slot::Current) {
        Ok(_) => Check::ok("keychain", "it answers"),
        Err(error) if needed => Check::failed("keychain", &error.into()),
        Err(error) => {
            let fix = "not needed as things are; keys can come from the environment or from files";
            Check::note(
                "keychain",
                error.to_string(),
                error.hint().map_or_else(|| fix.to_owned(), |hint| hint.to_string()),
            )
        }
    };
    vec![check]
}

fn uses_keychain(target: &Target) -> bool {
    matches!(target.api_key, Some(KeySource::Keychain { .. }))
        || target.stores.iter().any(|store| matches!(store.reference, Reference::Keychain { .. }))
}
