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

#[cfg(all(test, unix))]
mod tests {
    use super::super::{SlotNames, Surroundings, open};
    use super::*;

    fn of(text: &str) -> Vec<(Slot, String)> {
        let reference = Reference::parse(text).unwrap();
        let store = open(&reference, &SlotNames::default(), &Surroundings::default()).unwrap();
        places(&reference, store.as_ref())
    }

    #[cfg(unix)]
    #[test]
    fn a10_one_place_has_one_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::create_dir(path("a")).unwrap();
        std::fs::write(path("a/.env"), "").unwrap();
        std::os::unix::fs::symlink(path("a"), path("b")).unwrap();
        std::os::unix::fs::symlink(path("a/.env"), path("linked")).unwrap();
        let own = of(&format!("dotenv:{}#K", path("a/.env")));
        for other in ["a/../a/.env", "b/.env", "linked"] {
            assert_eq!(of(&format!("dotenv:{}#K", path(other))), own, "{other}");
        }
        assert_ne!(of(&format!("dotenv:{}#L", path("a/.env"))), own);
        // What is not there yet, and what another store names as its live slot.
        assert_eq!(of(&format!("file:{}", path("a/new"))), of(&format!("file:{}", path("b/new"))));
        let [next, _, _] = of(&format!("file:{}", path("a/new"))).try_into().unwrap();
        let [_, current, _] = of(&format!("file:{}", path("b/new.next"))).try_into().unwrap();
        assert_eq!(next.1, current.1);
    }
}
