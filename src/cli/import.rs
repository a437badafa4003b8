//! `whsec import`: targets out of a table that somebody keeps elsewhere, into the user's own config file.

use std::path::PathBuf;

use clap::ValueHint;
use serde_json::{Value, json};

use super::exit::{self, Exit, Fault};
use super::session::Session;
use super::{ask, read, result};
use crate::config::{file, sheet, write};
use crate::operation::enlist::{Enlisted, Refused, enlist};
use crate::ui::dialog;

/// The command's name in JSON.
const NAME: &str = "import";

/// Set up targets from a table (CSV)
///
/// The first line names the columns: `target`, `endpoint` (PROVIDER/ID[/ID]) or `provider` and `id`, and any key of a target in
/// the config: `store`, `receivers`, `owner`, `labels`, `max_age` and so on. Entries of a list stand between `;`, labels and ids
/// are written NAME=VALUE;NAME=VALUE. What would be written is shown and asked about. All lines are looked at first: where one
/// cannot be used nothing is written. A target that is there already with all that its line says stays as it is; one that
/// differs is refused. Nothing is sent, and no store is opened.
///
/// Examples:
///   whsec import endpoints.csv --dry-run
///   whsec import - --yes <endpoints.csv
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Read the table here; `-` is stdin
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// Show what would be written, and write nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// Reads the table, and writes what is new in it.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let bytes = read::file_or_stdin(&args.file, file::LONGEST, "name a table of targets (CSV), or `-` for stdin")?;
    let rows = sheet::read(&bytes, session.catalog()?)?;
    let found = enlist(session.context()?, rows)?;
    finish(NAME, found, args.dry_run, json!({}), session)
}

/// Says what is wrong, or shows what would be new, asks, and writes it. `fields` go into the object.
pub fn finish(command: &str, found: Enlisted, dry_run: bool, fields: Value, session: &Session) -> anyhow::Result<Exit> {
    match found.refused.is_empty() {
        true => settle(command, &found, dry_run, fields, session),
        false => Ok(refuse(command, found, fields, session)),
    }
}

/// Shows what would be new, asks, and writes it.
fn settle(
    command: &str,
    found: &Enlisted,
    dry_run: bool,
    mut fields: Value,
    session: &Session,
) -> anyhow::Result<Exit> {
    let output = &session.output;
    found.new.lines().for_each(|line| output.data(format!("+ {line}").trim_end()));
    let (added, path) = (found.added.len(), found.path.display());
    let there = match found.unchanged.len() {
        0 => String::new(),
        known => format!(", {known} there already"),
    };
    if added + found.unchanged.len() > 0 {
        output.say(&format!("{added} new{there}"));
    }
    let is_written = added > 0 && !dry_run;
    if is_written {
        if !session.global.yes {
            ask::may_ask(session, "--yes")?;
            if !ask::answer(dialog::confirm(&format!("Write {added} into {path}?"), true), "--yes")? {
                return Err(Fault::new(Exit::Failed, "not written", "nothing was changed"));
            }
        }
        write::replace(&found.path, found.old.as_deref(), &found.text)?;
        output.say(&format!("written into {path}"));
    }
    let told = json!({
        "file": found.path,
        "added": found.added,
        "unchanged": found.unchanged,
        "toml": found.new,
        "written": is_written,
    });
    add(&mut fields, told);
    output.json(&result::object(command, Exit::Done, fields));
    Ok(Exit::Done)
}

/// Says of each line that cannot be used what is wrong with it.
fn refuse(command: &str, found: Enlisted, mut fields: Value, session: &Session) -> Exit {
    let Enlisted { added, unchanged, refused, .. } = found;
    let (bad, of) = (refused.len(), added.len() + unchanged.len() + refused.len());
    let lines: Vec<Value> = refused
        .into_iter()
        .map(|Refused { line, name, error }| {
            let mut fault = exit::report(&error.into());
            let head = format!("line {line}: ");
            let bare = fault.message.strip_prefix(&head).unwrap_or(&fault.message);
            // What no table has is on no line.
            fault.message = match name.as_ref().filter(|_| command != NAME) {
                Some(name) => format!("`{name}`: {bare}"),
                None => format!("{head}{bare}"),
            };
            json!({ "line": line, "target": name, "error": exit::say(&session.output, &fault) })
        })
        .collect();
    let hint = match command == NAME {
        true => "mend those lines, and run it again",
        false => "set those up by themselves, or say it in another way",
    };
    let message = format!("{bad} of {of} targets cannot be taken, and nothing was written");
    let fault = Fault { exit: Exit::Usage, message, hint: Some(hint.into()) };
    let error = exit::say(&session.output, &fault);
    add(&mut fields, json!({ "lines": lines, "error": error }));
    session.output.json(&result::object(command, Exit::Usage, fields));
    Exit::Usage
}

fn add(fields: &mut Value, more: Value) {
    if let (Value::Object(fields), Value::Object(more)) = (fields, more) {
        fields.extend(more);
    }
}
