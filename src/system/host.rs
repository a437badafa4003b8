//! Which machine this is, for what only it has.

use sha2::{Digest, Sha256};

use super::text::hex;

/// Where systems keep what tells one installation from another.
const IDS: [&str; 2] = ["/etc/machine-id", "/var/lib/dbus/machine-id"];

/// Whether two of them are the same machine: by their ids where both have one, because a name may change.
pub fn is_same_host(one: &str, other: &str) -> bool {
    match (one.rsplit_once('/'), other.rsplit_once('/')) {
        (Some((_, one)), Some((_, other))) => one == other,
        _ => one == other,
    }
}

/// This machine's name, and where it has an id of its own, a digest of that: `box/0f1e2d3c4b5a`.
pub fn host() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let id = IDS.iter().find_map(|path| std::fs::read_to_string(path).ok().filter(|id| !id.trim().is_empty()));
    match id {
        // The id itself is nobody else's business.
        Some(id) => format!("{name}/{}", hex(&Sha256::digest(format!("whsec {}", id.trim()))[..6])),
        None => name,
    }
}
