//! Heads: what the journal vouches for of an endpoint without reading all of its history, and of itself.
//!
//! An endpoint's head counts its rotations and names, with their sums, those that anything still depends on. The journal's own
//! names the open ones of all endpoints. So a rotation that is looked for and is not there was taken away, and what is over
//! and done with is read only by whoever asks for it.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::journal_error::not_as_written;
use super::row::Row;
use super::rows;
use super::sums::has_no_orphans;
use super::{Rotation, exposure};
use crate::stamp::StampKey;

/// What a head's stamp is for.
const STAMPED: &str = "head";
/// In the place of an endpoint's key: the head of the journal itself.
const JOURNAL: &str = "";

/// What is known of an endpoint at once.
#[derive(Clone, Debug)]
pub(super) struct Head {
    endpoint: String,
    /// How often it was written: who writes has to have seen the newest.
    changes: i64,
    /// How many rotations there are, over ones included.
    rotations: i64,
    /// Those that anything still depends on, in the order in which they were begun.
    standing: Vec<Standing>,
}

/// A rotation as a head names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Standing {
    pub id: String,
    pub sum: String,
    pub open: bool,
}

/// The head of the journal itself. One that is not as it was written is damage.
pub(super) fn of_journal(connection: &Connection, key: &StampKey) -> rusqlite::Result<Head> {
    read(connection, key, JOURNAL)?.ok_or_else(not_as_written)
}

/// The keys of all endpoints, none of them missing.
pub(super) fn endpoints(connection: &Connection, key: &StampKey) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare("SELECT endpoint FROM heads WHERE endpoint <> ?1")?;
    let names: Vec<String> = statement.query_map([JOURNAL], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let mut counted = 0;
    for name in &names {
        counted += read(connection, key, name)?.map_or(0, |head| head.rotations);
    }
    if counted == of_journal(connection, key)?.rotations { Ok(names) } else { Err(not_as_written()) }
}

/// Fails where rotations are missing, or are there that nobody began.
pub(super) fn count(connection: &Connection, key: &StampKey) -> rusqlite::Result<()> {
    let found: i64 = connection.query_row("SELECT count(*) FROM rotations", [], |row| row.get(0))?;
    if found == of_journal(connection, key)?.rotations { Ok(()) } else { Err(not_as_written()) }
}

/// Fails where anything that is recorded is not as it was written.
pub(super) fn verify_all(connection: &Connection, key: &StampKey) -> rusqlite::Result<()> {
    count(connection, key)?;
    let journal = of_journal(connection, key)?;
    let named: BTreeSet<String> = journal.rows(connection, key, |_| true)?.into_iter().map(|row| row.id).collect();
    let mut open = BTreeSet::new();
    for endpoint in endpoints(connection, key)? {
        let head = read(connection, key, &endpoint)?.ok_or_else(not_as_written)?;
        let mut rotations = 0;
        let mut ids = connection.prepare(&format!("SELECT id FROM rotations WHERE {}", rows::OF_ENDPOINT))?;
        let mut ids = ids.query([&endpoint])?;
        while let Some(id) = ids.next()? {
            let row = rows::find(connection, &id.get::<_, String>(0)?)?.ok_or_else(not_as_written)?.verified(key)?;
            rotations += 1;
            let named = head.standing.iter().find(|standing| standing.id == row.id);
            if named.is_some_and(|named| !named.names(&row)) || (named.is_none() && row.is_open()) {
                return Err(not_as_written());
            }
            open.extend(row.is_open().then_some(row.id));
        }
        if rotations != head.rotations {
            return Err(not_as_written());
        }
    }
    if named == open && has_no_orphans(connection)? { Ok(()) } else { Err(not_as_written()) }
}

/// Makes the heads of a journal that has none, and stamps every row anew.
pub(super) fn build(connection: &Connection, key: &StampKey) -> rusqlite::Result<()> {
    let ids = ids(connection, "", [])?;
    for id in &ids {
        rows::find(connection, id)?.ok_or_else(not_as_written)?.save(connection, key)?;
    }
    let mut journal = Head::new(JOURNAL);
    journal.rotations = i64::try_from(ids.len()).unwrap_or(i64::MAX);
    let open = rows::select(connection, "WHERE closed_at IS NULL ORDER BY opened_at, rowid", [])?;
    journal.standing = open.iter().map(Standing::of).collect();
    journal.write(connection, key)?;
    make(connection, key, ids)
}

/// Makes the heads of endpoints anew after rotations have gone from one to another, which are saved already. Of the `open` ones
/// it is said what each was before.
pub(super) fn renamed(
    connection: &Connection,
    key: &StampKey,
    open: &[(Standing, Row)],
    endpoints: &BTreeSet<String>,
) -> rusqlite::Result<()> {
    let mut journal = of_journal(connection, key)?;
    for (before, row) in open {
        journal.take(row, Some(before), true)?;
    }
    journal.write(connection, key)?;
    for endpoint in endpoints {
        connection.execute("DELETE FROM heads WHERE endpoint = ?1", [endpoint])?;
        make(connection, key, ids(connection, &format!("WHERE {}", rows::OF_ENDPOINT), [endpoint])?)?;
    }
    Ok(())
}

/// The ids of rotations, in the order in which they were begun.
fn ids(connection: &Connection, filter: &str, values: impl rusqlite::Params) -> rusqlite::Result<Vec<String>> {
    let mut ids = connection.prepare(&format!("SELECT id FROM rotations {filter} ORDER BY opened_at, rowid"))?;
    ids.query_map(values, |row| row.get(0))?.collect()
}

/// Makes the heads of endpoints that have none, from all of their rotations.
fn make(connection: &Connection, key: &StampKey, ids: Vec<String>) -> rusqlite::Result<()> {
    let mut heads: BTreeMap<String, (Head, Vec<Known>)> = BTreeMap::new();
    for id in ids {
        let row = rows::find(connection, &id)?.ok_or_else(not_as_written)?;
        let (head, known) = heads.entry(row.key().to_owned()).or_insert_with(|| (Head::new(row.key()), Vec::new()));
        head.rotations += 1;
        let (named, begun) = (Standing::of(&row), row.begun());
        known.push(Known { named, begun, rotation: row.verified(key).ok().and_then(|row| row.rotation()) });
        leave_out_what_is_over(known);
    }
    for (mut head, known) in heads.into_values() {
        head.standing = known.into_iter().map(|known| known.named).collect();
        head.write(connection, key)?;
    }
    Ok(())
}

/// Takes into the heads what has become of a row, which is saved already; `before` is what it was, if it was there.
pub(super) fn note(
    connection: &Connection,
    key: &StampKey,
    row: &Row,
    before: Option<&Standing>,
) -> rusqlite::Result<()> {
    let mut journal = of_journal(connection, key)?;
    let mut head = match read(connection, key, row.key())? {
        Some(head) => head,
        None => {
            // That there is none is believed where none is missing.
            endpoints(connection, key)?;
            Head::new(row.key())
        }
    };
    if before.is_none() {
        journal.rotations += 1;
        head.rotations += 1;
    }
    journal.take(row, before, row.is_open())?;
    head.take(row, before, true)?;
    // As long as it is open everything depends on it.
    if !row.is_open() {
        head.settle(connection, key)?;
    }
    head.write(connection, key)?;
    journal.write(connection, key)
}

/// A rotation that a head names; nothing is known of one that is damaged, or of a newer whsec's, and it stays named.
struct Known {
    named: Standing,
    begun: (String, i64),
    rotation: Option<Rotation>,
}

fn leave_out_what_is_over(known: &mut Vec<Known>) {
    known.sort_by(|one, other| one.begun.cmp(&other.begun));
    let newest_first: Vec<&Rotation> = known.iter().rev().filter_map(|known| known.rotation.as_ref()).collect();
    let counts = exposure::that_count(&newest_first);
    known.retain(|known| known.rotation.as_ref().is_none_or(|rotation| counts.contains(&rotation.id)));
}

impl Head {
    fn new(endpoint: &str) -> Self {
        Self { endpoint: endpoint.to_owned(), changes: 0, rotations: 0, standing: Vec::new() }
    }

    /// The rows that it names and that are `wanted`, in the order in which they were begun; each has to be there, and to be the one
    /// that it names.
    pub fn rows(
        &self,
        connection: &Connection,
        key: &StampKey,
        wanted: impl Fn(&Standing) -> bool,
    ) -> rusqlite::Result<Vec<Row>> {
        let named: Vec<&Standing> = self.standing.iter().filter(|standing| wanted(standing)).collect();
        let rows = rows::among(connection, named.iter().map(|standing| standing.id.as_str()))?;
        let mut found = Vec::new();
        for (row, named) in rows.into_iter().zip(named) {
            let row = row.ok_or_else(not_as_written)?.verified(key)?;
            if !named.names(&row) {
                return Err(not_as_written());
            }
            found.push(row);
        }
        found.sort_by_key(Row::begun);
        Ok(found)
    }

    /// Names a row as it is now, or no more. It has to be named as it was.
    fn take(&mut self, row: &Row, before: Option<&Standing>, is_named: bool) -> rusqlite::Result<()> {
        let at = self.standing.iter().position(|standing| standing.id == row.id);
        let was_named = at.and_then(|at| self.standing.get(at));
        if was_named.is_some_and(|named| Some(named) != before)
            || (was_named.is_none() && before.is_some_and(|it| it.open))
        {
            return Err(not_as_written());
        }
        match (at.and_then(|at| self.standing.get_mut(at)), is_named) {
            (Some(standing), true) => *standing = Standing::of(row),
            (None, true) => self.standing.push(Standing::of(row)),
            (_, false) => self.standing.retain(|standing| standing.id != row.id),
        }
        Ok(())
    }

    /// Whether these are all rows of the endpoint, as far as it names them.
    pub fn is_of(&self, rows: &[Row]) -> bool {
        let is_there = |named: &Standing| rows.iter().any(|row| row.id == named.id && named.names(row));
        i64::try_from(rows.len()) == Ok(self.rotations) && self.standing.iter().all(is_there)
    }

    /// Of the journal's own: fails where not so many rotations are over.
    pub fn expects_closed(&self, rows: usize) -> rusqlite::Result<()> {
        match usize::try_from(self.rotations) == Ok(rows + self.standing.len()) {
            true => Ok(()),
            false => Err(not_as_written()),
        }
    }

    /// Leaves out what nothing depends on any more.
    fn settle(&mut self, connection: &Connection, key: &StampKey) -> rusqlite::Result<()> {
        let ids = self.standing.iter().map(|standing| standing.id.as_str());
        let mut known = Vec::new();
        for (row, named) in rows::among(connection, ids)?.into_iter().zip(&self.standing) {
            let row = row.and_then(|row| row.verified(key).ok()).filter(|row| named.names(row));
            let begun = row.as_ref().map(Row::begun).unwrap_or_default();
            known.push(Known { named: named.clone(), begun, rotation: row.and_then(|row| row.rotation()) });
        }
        leave_out_what_is_over(&mut known);
        self.standing = known.into_iter().map(|known| known.named).collect();
        Ok(())
    }

    fn write(&mut self, connection: &Connection, key: &StampKey) -> rusqlite::Result<()> {
        self.changes += 1;
        let standing = serde_json::to_string(&self.standing)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        let sum = self.stamp(connection, key, &standing)?;
        connection
            .execute(
                "INSERT OR REPLACE INTO heads (endpoint, changes, rotations, standing, sum) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![self.endpoint, self.changes, self.rotations, standing, sum],
            )
            .map(|_| ())
    }

    /// The journal's own also covers the tables, so that nobody adds to them what acts by itself.
    fn stamp(&self, connection: &Connection, key: &StampKey, standing: &str) -> rusqlite::Result<String> {
        let mut stamper = key.stamper(STAMPED);
        let (changes, rotations) = (self.changes.to_string(), self.rotations.to_string());
        for text in [&self.endpoint, &changes, &rotations, standing] {
            stamper.add(text.as_bytes());
        }
        if self.endpoint == JOURNAL {
            let mut statement =
                connection.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")?;
            let mut tables = statement.query([])?;
            while let Some(table) = tables.next()? {
                stamper.add(table.get::<_, String>(0)?.as_bytes());
            }
        }
        Ok(stamper.finish())
    }
}

impl Standing {
    /// A row as it is.
    pub fn of(row: &Row) -> Self {
        Self { id: row.id.clone(), sum: row.sum.clone(), open: row.is_open() }
    }

    fn names(&self, row: &Row) -> bool {
        *self == Self::of(row)
    }
}

/// An endpoint's head, if there is one.
pub(super) fn read(connection: &Connection, key: &StampKey, endpoint: &str) -> rusqlite::Result<Option<Head>> {
    let mut statement =
        connection.prepare("SELECT changes, rotations, standing, sum FROM heads WHERE endpoint = ?1")?;
    let found = statement.query_row([endpoint], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?, row.get::<_, String>(3)?))
    });
    let Some((changes, rotations, standing, sum)) = found.optional()? else { return Ok(None) };
    let mut head = Head { endpoint: endpoint.to_owned(), changes, rotations, standing: Vec::new() };
    if sum != head.stamp(connection, key, &standing)? {
        return Err(not_as_written());
    }
    head.standing = serde_json::from_str(&standing).map_err(|_| not_as_written())?;
    Ok(Some(head))
}

#[cfg(test)]
#[path = "heads_tests.rs"]
mod tests;
