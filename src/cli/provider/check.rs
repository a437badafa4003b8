//! `whsec provider check`: validates a description and shows what each request would look like. Sends nothing.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueHint;
use serde_json::json;

use super::super::exit::{Exit, Fault};
use super::super::result;
use super::super::session::Session;
use super::show;
use crate::provider::{Provider, preview};

/// Check a provider description
///
/// Shows what each request would look like, with the ids and the key left open. Nothing is sent.
///
/// Examples:
///   whsec provider check ~/.config/whsec/providers/acme.toml
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Name the description's file
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,
}

/// Largest description that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// Reads the file as the catalog would, and prints facts and requests.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let path = args.file.display().to_string();
    let unreadable = |error: std::io::Error| {
        Fault::new(
            Exit::Usage,
            format!("cannot read `{}`: {error}", crate::secret::shown_path(&args.file)),
            "name a TOML file, as whsec-provider(5) describes",
        )
    };
    let size = fs::metadata(&args.file).map_err(unreadable)?.len();
    if size > LARGEST {
        return Err(unreadable(std::io::Error::from(std::io::ErrorKind::FileTooLarge)));
    }
    let provider = Arc::new(Provider::parse(&fs::read_to_string(&args.file).map_err(unreadable)?, &path)?);
    show::print(&provider, session);
    let requests = preview::describe(&provider);
    for request in &requests {
        session.output.data("");
        session.output.data(&format!("{}:", request.call));
        request.lines.iter().for_each(|line| session.output.data(&format!("  {line}")));
    }
    let fields = json!({ "provider": provider.name(), "file": args.file, "requests": requests });
    session.output.json(&result::object("provider check", Exit::Done, fields));
    Ok(Exit::Done)
}
