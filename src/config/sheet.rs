//! A table of targets, as a spreadsheet writes it (CSV): the first line names the columns, each further line is a target. Here are the
//! words and the lines they are on; whether a target can be is seen where every target is.

use std::collections::BTreeMap;

use super::settings::{KEYS, Settings, Words};
use super::{ConfigError, Position};
use crate::provider::Catalog;
use crate::secret::could_be_secret;

/// What names a target.
const NAME: &str = "target";
/// An endpoint in one word, in place of `provider` and `id`.
const ENDPOINT: &str = "endpoint";
/// Between the entries of a list.
const BETWEEN: char = ';';
/// Columns that hold secrets have such words in their names.
const SECRETIVE: [&str; 6] = ["secret", "password", "token", "signing", "private", "apikey"];
/// Columns whose words are never as long as a secret's.
const SHORT: [&str; 4] = ["auth", "cutover", "owner", "max_age"];

/// A line of the table.
#[derive(Debug)]
pub struct Row {
    pub line: u64,
    pub name: String,
    pub settings: Settings,
}

/// A line that says nothing usable, with the target that it names, if it does.
#[derive(Debug)]
pub struct BadRow {
    pub line: u64,
    pub name: Option<String>,
    pub error: ConfigError,
}

/// Reads a table: every line, whatever is wrong with others. An error is one of the first line, which concerns all.
pub fn read(bytes: &[u8], catalog: &Catalog) -> Result<Vec<Result<Row, BadRow>>, ConfigError> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
    let mut records = reader.byte_records();
    let cells = |record: csv::Result<csv::ByteRecord>| match record {
        Err(_) => Err((0, "cannot be read".to_owned())),
        Ok(record) => {
            let line = record.position().map_or(0, |begins| line(bytes, begins));
            let cells = record.iter().map(|cell| Ok(std::str::from_utf8(cell)?.trim().to_owned()));
            let cells: Result<Vec<String>, std::str::Utf8Error> = cells.collect();
            cells.map(|cells| (line, cells)).map_err(|_| (line, "is not UTF-8".to_owned()))
        }
    };
    let (_, head) = records
        .next()
        .ok_or_else(|| bad(1, "the table", "is empty: its first line names the columns"))
        .and_then(|record| cells(record).map_err(|(_, why)| bad(1, "the first line", &why)))?;
    let columns = columns(&head)?;
    let mut seen = BTreeMap::<String, u64>::new();
    let mut rows = Vec::new();
    for record in records {
        let (line, cells) = match cells(record) {
            Ok((_, cells)) if cells.iter().all(String::is_empty) => continue,
            Ok(found) => found,
            Err((line, why)) => {
                rows.push(Err(BadRow { line, name: None, error: bad(line, "it", &why) }));
                continue;
            }
        };
        let name = columns.iter().position(|column| *column == NAME).and_then(|at| cells.get(at)).cloned();
        let name = name.filter(|name| !name.is_empty());
        rows.push(row(line, &cells, &columns, &mut seen, catalog).map_err(|error| BadRow { line, name, error }));
    }
    Ok(rows)
}

/// The line of a record. What ends the one before it, and empty lines, are read as a part of it.
fn line(bytes: &[u8], begins: &csv::Position) -> u64 {
    let rest = usize::try_from(begins.byte()).ok().and_then(|byte| bytes.get(byte..)).unwrap_or_default();
    let ends = rest.iter().take_while(|byte| b"\r\n".contains(byte)).filter(|byte| **byte == b'\n');
    begins.line() + ends.count() as u64
}

/// The columns by their names, which are the keys of a target.
fn columns(head: &[String]) -> Result<Vec<&'static str>, ConfigError> {
    let known: Vec<&'static str> = [NAME, ENDPOINT].into_iter().chain(KEYS).collect();
    let mut columns = Vec::new();
    for word in head {
        let plain = word.to_ascii_lowercase();
        let Some(column) = known.iter().find(|known| **known == plain) else {
            let is_secretive = plain == "key" || SECRETIVE.iter().any(|part| plain.contains(part));
            if is_secretive || could_be_secret(&plain) {
                let why = "has no place in a table of targets: secrets and keys stay in their stores, which `store` and `api_key` name";
                return Err(bad(1, &format!("the column `{}`", crate::secret::shown(&plain)), why));
            }
            let nearest = super::nearest(&plain, known.iter().copied());
            let known = known.iter().map(|known| (*known).to_owned()).collect();
            return Err(ConfigError::UnknownKey { place: Position::Row(1), key: plain, nearest, known });
        };
        if columns.contains(column) {
            return Err(bad(1, &format!("the column `{column}`"), "is there twice"));
        }
        columns.push(*column);
    }
    let has = |column| columns.contains(&column);
    if !has(NAME) {
        return Err(bad(
            1,
            "the first line",
            "names no column `target`: it names the columns, with commas between them",
        ));
    }
    if !has("provider") && !has(ENDPOINT) {
        return Err(bad(1, "the first line", "names no column `provider` (with `id` or `ids`) and no `endpoint`"));
    }
    Ok(columns)
}

fn row(
    line: u64,
    cells: &[String],
    columns: &[&'static str],
    seen: &mut BTreeMap<String, u64>,
    catalog: &Catalog,
) -> Result<Row, ConfigError> {
    if cells.len() != columns.len() {
        let why = format!("has {} fields, and the first line names {} columns", cells.len(), columns.len());
        return Err(bad(line, "it", &why));
    }
    let mut name = String::new();
    let mut settings = Settings::new();
    for (column, cell) in columns.iter().zip(cells).filter(|(_, cell)| !cell.is_empty()) {
        if cell.starts_with("whsec_") || (SHORT.contains(column) && could_be_secret(cell)) {
            let why = "holds what could be a secret: those stay in their stores, which `store` and `api_key` name";
            return Err(bad(line, &format!("`{column}`"), why));
        }
        match *column {
            NAME => name.clone_from(cell),
            ENDPOINT => settings.extend(endpoint(line, cell, catalog)?),
            "store" | "receivers" => settings.push((column, Words::list(entries(cell)))),
            "ids" | "slots" | "labels" | "options" => settings.push((column, pairs(line, column, cell)?)),
            _ => settings.push((column, Words::One(cell.clone()))),
        }
    }
    super::normalise::check_name(&name, &Position::Row(line))?;
    let has = |key: &str| settings.iter().filter(|(name, _)| *name == key).count();
    if has("provider") > 1 || has("id") + has("ids") > 1 {
        return Err(bad(line, "`endpoint`", "says the same as `provider` and `id`: keep one of them"));
    }
    if has("provider") == 0 {
        return Err(bad(line, "it", "names no provider: fill in `provider` and `id`, or `endpoint` as PROVIDER/ID"));
    }
    if let Some(first) = seen.insert(name.clone(), line) {
        return Err(bad(line, &format!("the target `{name}`"), &format!("is in line {first} as well")));
    }
    Ok(Row { line, name, settings })
}

/// `PROVIDER/ID[/ID]`, as everywhere.
fn endpoint(line: u64, text: &str, catalog: &Catalog) -> Result<Settings, ConfigError> {
    let mut parts = text.split('/').map(str::to_owned);
    let name = parts.next().unwrap_or_default();
    let blame = |source| ConfigError::Provider {
        place: Position::Row(line),
        target: crate::secret::shown(text).to_owned(),
        source: Box::new(source),
    };
    let provider = catalog.get(&name).map_err(blame)?;
    let (known, ids) = (&provider.spec().ids, parts.collect::<Vec<String>>());
    if known.len() != ids.len() {
        let form = format!("has {} ids, and is written {name}/{}", ids.len(), known.join("/"));
        return Err(bad(line, "`endpoint`", &form));
    }
    let ids = match ids.as_slice() {
        [id] => ("id", Words::One(id.clone())),
        _ => ("ids", Words::Pairs(known.iter().cloned().zip(ids).collect())),
    };
    Ok(vec![("provider", Words::One(name)), ids])
}

fn entries(cell: &str) -> Vec<String> {
    cell.split(BETWEEN).map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
}

fn pairs(line: u64, column: &str, cell: &str) -> Result<Words, ConfigError> {
    let mut found = Vec::<(String, String)>::new();
    for entry in entries(cell) {
        let (name, value) = entry.split_once('=').unwrap_or((&entry, ""));
        let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
        let is_pair = entry.contains('=') && !name.is_empty();
        if !is_pair || value.starts_with("whsec_") || found.iter().any(|(other, _)| *other == name) {
            return Err(bad(line, &format!("`{column}`"), "is written NAME=VALUE;NAME=VALUE, each name once"));
        }
        found.push((name, value));
    }
    Ok(Words::Pairs(found))
}

fn bad(line: u64, key: &str, why: &str) -> ConfigError {
    ConfigError::BadValue { place: Position::Row(line), key: key.to_owned(), why: why.to_owned() }
}
