//! What endpoints are called in the journal: their keys follow what descriptions say of them now.

use std::collections::BTreeSet;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::Plan;
use super::heads::{self, Standing};
use super::journal_error::not_as_written;
use super::row::Row;
use super::rows;
use crate::stamp::StampKey;

/// The key of a plan's endpoint by now; nothing where that cannot be told, and then the key stays.
type Key<'a> = dyn Fn(&Plan) -> Option<String> + 'a;

/// Gives every rotation whose endpoint has another key by now that key. Of two open ones with the same, the second is marked.
pub(super) fn rename(connection: &Connection, stamps: &StampKey, key: &Key<'_>) -> rusqlite::Result<()> {
    let takes_nothing: bool = connection.query_row("PRAGMA query_only", [], |row| row.get(0))?;
    if takes_nothing || connection.is_readonly("main")? {
        return Ok(());
    }
    let snapshot = connection.unchecked_transaction()?;
    let is_current = renamed(&snapshot, stamps, key)?.is_empty();
    snapshot.commit()?;
    if is_current {
        return Ok(());
    }
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    let (mut open, mut endpoints) = (Vec::new(), BTreeSet::new());
    // Another process may have done it while this one waited.
    for (id, key) in renamed(&transaction, stamps, key)? {
        let mut row = rows::find(&transaction, &id)?.ok_or_else(not_as_written)?.verified(stamps)?;
        let before = Standing::of(&row);
        endpoints.extend([row.key().to_owned(), key.clone()]);
        row.endpoint = if row.is_open() && is_taken(&transaction, &row, &key)? { format!("{key}#{id}") } else { key };
        row.identified = 1;
        row.save(&transaction, stamps)?;
        if row.is_open() {
            open.push((before, row));
        }
    }
    heads::renamed(&transaction, stamps, &open, &endpoints)?;
    transaction.commit()
}

/// Whether another rotation is open under this key.
fn is_taken(connection: &Connection, row: &Row, key: &str) -> rusqlite::Result<bool> {
    let taken = "SELECT EXISTS (SELECT 1 FROM rotations WHERE endpoint = ?1 AND id <> ?2 AND closed_at IS NULL)";
    connection.query_row(taken, params![key, row.id], |row| row.get(0))
}

/// The ids of rotations whose endpoint has another key by now, or was never looked at, with that key.
fn renamed(connection: &Connection, stamps: &StampKey, key: &Key<'_>) -> rusqlite::Result<Vec<(String, String)>> {
    let now = |row: Row| {
        // A plan that cannot be read is an error for whoever needs it.
        let now = serde_json::from_str(&row.plan).ok().and_then(|plan| key(&plan))?;
        (row.identified == 0 || row.key() != now).then_some((row.id, now))
    };
    let open = heads::of_journal(connection, stamps)?.rows(connection, stamps, |_| true)?;
    let mut renamed: Vec<(String, String)> = open.into_iter().filter_map(now).collect();
    let mut never = connection.prepare("SELECT id FROM rotations WHERE identified = 0 AND closed_at IS NOT NULL")?;
    let mut never = never.query([])?;
    while let Some(id) = never.next()? {
        let row = rows::find(connection, &id.get::<_, String>(0)?)?.ok_or_else(not_as_written)?;
        // One that is damaged is left to whoever asks for it.
        renamed.extend(row.verified(stamps).ok().and_then(now));
    }
    Ok(renamed)
}
