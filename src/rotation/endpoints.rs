//! What endpoints are called in the journal: their keys follow what descriptions say of them now.

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::Plan;
use super::rows::without_mark;
use super::sums::Sums;

/// The key of a plan's endpoint by now; nothing where that cannot be told, and then the key stays.
type Key<'a> = dyn Fn(&Plan) -> Option<String> + 'a;

/// Gives every rotation whose endpoint has another key by now that key. Of two open ones with the same, the second is marked.
pub(super) fn rename(connection: &Connection, sums: &Sums<'_>, key: &Key<'_>) -> rusqlite::Result<()> {
    if connection.is_readonly("main")? {
        return Ok(());
    }
    if renamed(connection, key)?.is_empty() {
        return Ok(());
    }
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    // Another process may have done it while this one waited.
    for (id, key, is_open) in renamed(connection, key)? {
        let taken = "SELECT count(*) FROM rotations WHERE endpoint = ?1 AND id <> ?2 AND closed_at IS NULL";
        let taken: i64 = transaction.query_row(taken, params![key, id], |row| row.get(0))?;
        let endpoint = if is_open && taken > 0 { format!("{key}#{id}") } else { key };
        transaction
            .execute("UPDATE rotations SET endpoint = ?2, identified = 1 WHERE id = ?1", params![id, endpoint])?;
        sums.add_up(&transaction, &id)?;
    }
    transaction.commit()
}

/// The rotations whose endpoint has another key by now, or was never looked at: their ids, their keys, and whether
/// they are open.
fn renamed(connection: &Connection, key: &Key<'_>) -> rusqlite::Result<Vec<(String, String, bool)>> {
    let mut statement = connection.prepare(
        "SELECT id, endpoint, plan, closed_at IS NULL, identified FROM rotations WHERE closed_at IS NULL
             UNION ALL
             SELECT id, endpoint, plan, 0, identified FROM rotations WHERE identified = 0 AND closed_at IS NOT NULL",
    )?;
    let mut rows = statement.query([])?;
    let mut renamed = Vec::new();
    while let Some(row) = rows.next()? {
        let (endpoint, plan, is_identified): (String, String, bool) = (row.get(1)?, row.get(2)?, row.get(4)?);
        // A plan that cannot be read is an error for whoever needs it.
        let Some(now) = serde_json::from_str(&plan).ok().and_then(|plan| key(&plan)) else { continue };
        if !is_identified || without_mark(&endpoint) != now {
            renamed.push((row.get(0)?, now, row.get(3)?));
        }
    }
    Ok(renamed)
}
