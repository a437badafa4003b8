//! Many targets at once into the user's own config file: all of them are looked at before a word is written, and what is there
//! already stays as it is.

use std::path::PathBuf;

use super::context::Context;
use super::error::{Error, Kind, Stop};
use super::shared;
use crate::advice::{Value, Verb, advice};
use crate::config::compare::differences;
use crate::config::edit;
use crate::config::settings::{Settings, make_absolute};
use crate::config::sheet::{BadRow, Row};
use crate::config::{Config, ConfigFile, Position, Target, file};

/// What would come of it.
#[derive(Debug)]
pub struct Enlisted {
    pub path: PathBuf,
    /// The file's text as it is, and as it would be.
    pub old: Option<String>,
    pub text: String,
    /// What would be new in it.
    pub new: String,
    pub added: Vec<String>,
    /// Those that are there already, with all that their rows say.
    pub unchanged: Vec<String>,
    pub refused: Vec<Refused>,
}

/// A row that cannot be taken.
#[derive(Debug)]
pub struct Refused {
    pub line: u64,
    pub name: Option<String>,
    pub error: Error,
}

/// Looks at each row by itself, and at all of them beside what the config has. Writes nothing.
pub fn enlist(context: &Context, rows: Vec<Result<Row, BadRow>>) -> Result<Enlisted, Error> {
    let (catalog, folders, path) = (context.catalog()?, context.folders(), context.own_file()?);
    let old = ConfigFile::own(&path)?.map(|file| file.text);
    let before = old.as_deref().unwrap_or_default();
    let load = |text: &str| Config::load(&[ConfigFile::own_with(&path, text)], catalog, folders.home.as_deref());
    let (present, mut refused) = (edit::names(before, &path)?, Vec::new());
    let (mut known, mut fresh) = (Vec::new(), Vec::new());
    for row in rows {
        match row {
            Ok(mut row) => {
                make_absolute(&mut row.settings, &folders.current, folders.home.as_deref());
                if present.contains(&row.name) { known.push(row) } else { fresh.push(row) }
            }
            Err(BadRow { line, name, error }) => refused.push(Refused { line, name, error: error.into() }),
        }
    }
    let mut unchanged = Vec::new();
    let (there, changed) = (load(before)?, load(&edit::change(before, &path, &settings(&known))?)?);
    let mut judged = Vec::new();
    for row in known {
        let both = there.named(&row.name, catalog).and_then(|old| Ok((old, changed.named(&row.name, catalog)?)));
        match both {
            Ok((old, new)) => match differences(&old, &new).as_slice() {
                [] => unchanged.push(row.name),
                keys => judged.push((row.line, row.name.clone(), Err(differs(&row, &path, keys)))),
            },
            Err(error) => judged.push((row.line, row.name, Ok(error))),
        }
    }
    // What is wrong with a target is nobody else's once the config is gone, and is told by its line.
    drop((there, changed));
    let (text, new) = edit::append(before, &path, &settings(&fresh))?;
    let config = load(&text)?;
    let (mut targets, mut added) = (Vec::<(u64, Target)>::new(), Vec::new());
    for row in fresh {
        match config.named(&row.name, catalog) {
            Ok(target) => {
                added.push(row.name);
                targets.push((row.line, target));
            }
            Err(error) => judged.push((row.line, row.name, Ok(error))),
        }
    }
    for (at, error) in shared::refuse_each(context, &config, targets.iter().map(|(_, target)| target))? {
        if let Some((line, target)) = targets.get(at) {
            judged.push((*line, target.name.clone(), Err(error)));
        }
    }
    drop((config, targets));
    refused.extend(judged.into_iter().map(|(line, name, error)| {
        let error = error.map_or_else(|error| error, |error| error.at(Position::Row(line), 0).into());
        Refused { line, name: Some(name), error }
    }));
    refused.sort_by_key(|refused| refused.line);
    if text.len() as u64 > file::LONGEST {
        let message = format!("`{}` would be larger than 1 MiB, and nothing reads it then", path.display());
        return Err(Stop::new(Kind::Usage, message, "take fewer targets, or keep some in another file: --config FILE"));
    }
    Ok(Enlisted { path, old, text, new, added, unchanged, refused })
}

fn settings(rows: &[Row]) -> Vec<(String, Settings)> {
    rows.iter().map(|row| (row.name.clone(), row.settings.clone())).collect()
}

fn differs(row: &Row, path: &std::path::Path, keys: &[&str]) -> Error {
    let keys = keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
    let message = format!(
        "line {}: the target `{}` is in `{}` already, and differs in {keys}",
        row.line,
        row.name,
        path.display()
    );
    let edit = Verb::TargetEdit.on([Value::Given(row.name.clone())]);
    Stop::new(Kind::Usage, message, advice!["change it there: ", edit, ", or take the line out"])
}
