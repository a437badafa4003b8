//! Where a delivery comes from: a file, stdin, or headers and a body on the command line.

use std::path::Path;

use jiff::Timestamp;

use super::Args;
use crate::cli::exit::{Exit, Fault};
use crate::cli::read::file_or_stdin;
use crate::delivery::{Delivery, capture, examine};

/// Largest capture that is read, in bytes.
const LARGEST: u64 = 64 << 20;

/// Whether stdin holds the delivery.
pub fn is_stdin(args: &Args) -> bool {
    args.header.is_empty() && args.file.as_deref().is_none_or(|file| file == Path::new("-"))
}

/// Gives away the deliveries of the capture that was named, one after the other.
pub fn each(args: &Args, mut take: impl FnMut(&Delivery<'_>)) -> anyhow::Result<()> {
    if !args.header.is_empty() {
        let Some(body) = &args.body else {
            return Err(Fault::new(Exit::Usage, "--header needs the body", "name its file: --body FILE, or --body -"));
        };
        take(&examine::from_parts(&args.header, read(body)?));
        return Ok(());
    }
    let file = args.file.as_deref().unwrap_or(Path::new("-"));
    let bytes = read(file)?;
    capture::each(&bytes, take).map_err(|error| {
        let name = if file == Path::new("-") { "stdin".to_owned() } else { format!("`{}`", file.display()) };
        Fault::new(Exit::Usage, format!("{name} holds no delivery: {error}"), error.hint())
    })
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    file_or_stdin(path, LARGEST, "name the file of a captured delivery, or `-` for stdin")
}

/// Reads `NAME: VALUE`.
pub fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.trim().to_owned())),
        _ => Err("it is written 'NAME: VALUE'".to_owned()),
    }
}

/// Reads RFC 3339 or Unix seconds.
pub fn time(text: &str) -> Result<Timestamp, String> {
    let seconds = text.parse::<i64>().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    let moment = seconds.or_else(|| text.parse().ok());
    moment.ok_or_else(|| "it is no time such as `2026-04-21T18:28:00Z` or `1776796080`".to_owned())
}
