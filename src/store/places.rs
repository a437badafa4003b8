//! Where the slots of a store are, by names that are the same however a path is written: through links, or over `..`.

use std::path::{Path, PathBuf};

use super::{Reference, Slot, Store};

/// The places of a store's slots, with the slot of each. None for a store whose slots cannot be told apart from here: a program
/// may keep those of several targets, and what went into a pipe is gone.
pub fn places(reference: &Reference, store: &dyn Store) -> Vec<(Slot, String)> {
    let place = |slot: Slot| {
        let name = store.slot_name(slot);
        Some(match reference {
            Reference::Dotenv { path, .. } => format!("dotenv:{}#{name}", resolved(path).display()),
            Reference::Json { path, .. } => format!("json:{}#{name}", resolved(path).display()),
            Reference::Age { path } => format!("age:{}#{name}", resolved(path).display()),
            Reference::File { .. } => format!("file:{}", resolved(Path::new(&name)).display()),
            Reference::Keychain { service, .. } => format!("keychain:{service}/{name}"),
            Reference::Vault { mount, path, .. } => format!("vault:{mount}/{path}#{name}"),
            Reference::Kubernetes { namespace, name: secret, .. } => format!("k8s:{namespace}/{secret}#{name}"),
            Reference::AwsSm { .. } => format!("{reference} {name}"),
            Reference::Command { .. } | Reference::Stdout => return None,
        })
    };
    Slot::KEPT.into_iter().filter_map(|slot| Some((slot, place(slot)?))).collect()
}

/// The path without links and `..`; of a file that is not there yet, its folder's.
fn resolved(path: &Path) -> PathBuf {
    let of_folder = || Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?));
    path.canonicalize().ok().or_else(of_folder).unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
#[path = "places_tests.rs"]
mod tests;
