//! What is read of a file, or of stdin.

use std::io::Read;
use std::path::Path;

use super::exit::{Exit, Fault};
use crate::secret::shown_path;

/// The bytes of a file, or for `-` of stdin: so many at most. The hint says what is to be named.
pub fn file_or_stdin(path: &Path, largest: u64, hint: &str) -> anyhow::Result<Vec<u8>> {
    let failed = |why: String| Fault::new(Exit::Usage, format!("cannot read `{}`: {why}", shown_path(path)), hint);
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(largest + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(largest + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| failed(error.to_string()))?;
    if bytes.len() as u64 > largest {
        return Err(failed(format!("it is larger than {} MiB", largest >> 20)));
    }
    Ok(bytes)
}
