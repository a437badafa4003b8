//! What endpoints are called in the journal: their keys follow what descriptions say of them now.

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::Plan;
use super::heads::{self, Standing};
use super::rows::{self, Row};
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
    // Another process may have done it while this one waited.
    for (mut row, key) in renamed(&transaction, stamps, key)? {
        let taken = "SELECT count(*) FROM rotations WHERE endpoint = ?1 AND id <> ?2 AND closed_at IS NULL";
        let taken: i64 = transaction.query_row(taken, params![key, row.id], |row| row.get(0))?;
        let (before, endpoint) = (Standing::of(&row), row.key().to_owned());
        row.endpoint = if row.is_open() && taken > 0 { format!("{key}#{}", row.id) } else { key };
        row.identified = 1;
        row.save(&transaction, stamps)?;
        heads::rename(&transaction, stamps, &row, &before, &endpoint)?;
    }
    transaction.commit()
}

/// The rotations whose endpoint has another key by now, or was never looked at, with that key.
fn renamed(connection: &Connection, stamps: &StampKey, key: &Key<'_>) -> rusqlite::Result<Vec<(Row, String)>> {
    let mut rows = heads::of_journal(connection, stamps)?.rows(connection, stamps, |_| true)?;
    let never = rows::select(connection, "WHERE identified = 0 AND closed_at IS NOT NULL", [])?;
    // One that is damaged is left to whoever asks for it.
    rows.extend(never.into_iter().filter_map(|row| row.verified(stamps).ok()));
    let now = |row: Row| {
        // A plan that cannot be read is an error for whoever needs it.
        let now = serde_json::from_str(&row.plan).ok().and_then(|plan| key(&plan))?;
        (row.identified == 0 || row.key() != now).then_some((row, now))
    };
    Ok(rows.into_iter().filter_map(now).collect())
}
