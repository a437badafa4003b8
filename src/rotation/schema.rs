//! The journal's tables, as they came to be: a journal of an older whsec is brought up from where it stands.

/// Marks a SQLite file as ours (`PRAGMA application_id`): the letters `whse`.
pub(super) const APPLICATION_ID: i32 = 0x7768_7365;
/// Each entry brings the file from its index to the next version.
pub(super) const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE rotations (
        id         TEXT PRIMARY KEY,
        endpoint   TEXT NOT NULL,
        target     TEXT NOT NULL,
        provider   TEXT NOT NULL,
        plan       TEXT NOT NULL,
        opened_at  TEXT NOT NULL,
        closed_at  TEXT
    ) STRICT;
    CREATE UNIQUE INDEX one_open_rotation_per_endpoint ON rotations (endpoint) WHERE closed_at IS NULL;
    CREATE TABLE events (
        rotation  TEXT NOT NULL REFERENCES rotations (id),
        seq       INTEGER NOT NULL,
        at        TEXT NOT NULL,
        by        TEXT NOT NULL,
        event     TEXT NOT NULL,
        PRIMARY KEY (rotation, seq)
    ) STRICT, WITHOUT ROWID;
",
    "
    ALTER TABLE rotations ADD COLUMN sum TEXT NOT NULL DEFAULT '';
",
    // Sums are stamps from here on.
    "",
    "
    ALTER TABLE rotations ADD COLUMN identified INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX rotations_not_identified ON rotations (id) WHERE identified = 0;
    CREATE INDEX rotations_by_endpoint ON rotations (endpoint);
",
    "
    ALTER TABLE rotations ADD COLUMN replaces TEXT;
    DROP INDEX one_open_rotation_per_endpoint;
    CREATE UNIQUE INDEX one_open_rotation_per_endpoint ON rotations (endpoint)
        WHERE closed_at IS NULL AND replaces IS NULL;
    CREATE UNIQUE INDEX one_pending_rotation_per_endpoint ON rotations (endpoint)
        WHERE closed_at IS NULL AND replaces IS NOT NULL;
",
    "
    CREATE TABLE heads (
        endpoint   TEXT PRIMARY KEY,
        changes    INTEGER NOT NULL,
        rotations  INTEGER NOT NULL,
        standing   TEXT NOT NULL,
        sum        TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
",
];
/// The versions from which on there are sums, from which on they are stamps, and from which on there are heads.
pub(super) const SUMMED: usize = 2;
pub(super) const STAMPED: usize = 3;
pub(super) const HEADED: usize = 6;
