//! `whsec target trust`: the user has read a checkout's config file and takes its word, as long as it stays the same.

use std::path::PathBuf;

use clap::ValueHint;
use serde_json::json;

use super::super::exit::{Exit, Fault};
use super::super::session::Session;
use super::super::{ask, result};
use crate::config::{Config, ConfigFile, Trust, trust, write};
use crate::operation::context::CHECKOUT_FILE;
use crate::rotation::state_key::StateKey;
use crate::ui::dialog;

/// Trust the whsec.toml in this folder as it is now
///
/// A file that came with a checkout may only name targets whose secrets go into files inside the checkout. Once you
/// have read and trusted it, all of it is honoured, until its content changes, or that of a script or CA file beside it which
/// it uses.
///
/// Examples:
///   whsec target trust
///   whsec target trust --revoke
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Trust this file in place of ./whsec.toml
    #[arg(value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// Stop trusting it
    #[arg(long)]
    revoke: bool,
}

/// Shows the file, asks, and records its path and digest.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let output = &session.output;
    let path = match &args.file {
        Some(path) => session.folders()?.current.join(path),
        None => session.context()?.checkout_path(),
    };
    // The folder's links are resolved, as the current folder's are when the file is looked up.
    let path = match (path.parent().map(std::path::Path::canonicalize), path.file_name()) {
        (Some(Ok(folder)), Some(name)) => folder.join(name),
        _ => path,
    };
    let mut ledger = session.context()?.ledger()?;
    if args.revoke {
        ledger.revoke(&path);
        record(session, &ledger)?;
        output.say(&format!("`{}` is not trusted any more", path.display()));
        output.json(&result::object("target trust", Exit::Done, json!({ "file": path, "trusted": false })));
        return Ok(Exit::Done);
    }
    let Some(found) = ConfigFile::checkout(&path, |file| ledger.holds(&file.path, &trust::digest(file)))? else {
        let message = format!("there is no `{}`", crate::secret::shown_path(&path));
        return Err(Fault::new(Exit::Usage, message, format!("go to the folder that has a {CHECKOUT_FILE}")));
    };
    let (digest, covered) = (trust::digest(&found), trust::covered(&found));
    if found.trust == Trust::Checkout {
        // A file that cannot be used is not worth trusting.
        let granted = ConfigFile { trust: Trust::Granted, ..found.clone() };
        Config::load(&[granted], session.catalog()?, session.folders()?.home.as_deref())?;
        if !session.global.yes {
            ask::may_ask(session, "--yes")?;
            // Not silenced by -q: nobody should agree to what was not shown.
            output.warn("this is all that will be honoured:");
            output.show(found.text.trim_end());
            for path in &covered {
                output.warn(&format!("as it is now, it uses {}: look into it as well", path.display()));
            }
            let question = format!("Honour all of {} as shown above?", path.display());
            if !ask::answer(dialog::confirm(&question, false), "--yes")? {
                return Err(Fault::new(Exit::Failed, "not trusted", "nothing was changed"));
            }
        }
        ledger.grant(&path, &digest);
        record(session, &ledger)?;
    }
    let with = match covered.len() {
        0 => String::new(),
        files => format!(" (with {files} of the checkout's files that it uses)"),
    };
    output.say(&format!("trusted until it changes: {}{with}", path.display()));
    let fields = json!({ "file": path, "sha256": digest, "trusted": true, "covers": covered });
    output.json(&result::object("target trust", Exit::Done, fields));
    Ok(Exit::Done)
}

fn record(session: &Session, ledger: &crate::config::trust::Ledger) -> anyhow::Result<()> {
    let state = session.folders()?.private_state_dir()?;
    let path = state.join("trusted");
    let key = StateKey::open(state)?;
    let old = ConfigFile::own(&path)?.map(|file| file.text);
    let text = ledger.to_text(&key.stamps).ok_or_else(|| {
        Fault::new(Exit::Usage, "the file's path cannot be recorded", "move it to a folder whose name is plain text")
    })?;
    Ok(write::replace(&path, old.as_deref(), &text)?)
}
