//! What is written: the names of the metrics, and what each is.

/// What becomes of two samples of one series.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Join {
    Least,
    Most,
    /// Of what is counted.
    Sum,
}

/// Samples of one name.
pub struct Family {
    pub name: &'static str,
    pub help: &'static str,
    pub join: Join,
}

impl Family {
    pub fn kind(&self) -> &'static str {
        if self.join == Join::Sum { "counter" } else { "gauge" }
    }
}

const fn family(name: &'static str, join: Join, help: &'static str) -> Family {
    Family { name, help, join }
}

// Moments and no durations: what was written an hour ago is still true, and `time() - …` is right at every evaluation.
pub const ROTATED: Family =
    family("whsec_secret_rotated_timestamp_seconds", Join::Least, "When the secret that is newest came.");
pub const MAX_AGE: Family =
    family("whsec_secret_max_age_seconds", Join::Least, "The age from which the config calls a secret too old.");
pub const OPEN: Family = family("whsec_rotation_open", Join::Most, "1 where a rotation is open, with its next step.");
pub const OVERLAP_END: Family =
    family("whsec_overlap_end_timestamp_seconds", Join::Least, "When the old secret ends, on this machine's clock.");
pub const OVERDUE: Family = family("whsec_rotation_overdue", Join::Most, "1 where something has to be done now.");
pub const LEAK: Family = family(
    "whsec_leak_uncontained_since_timestamp_seconds",
    Join::Least,
    "When the leak was declared that is not contained yet.",
);
pub const ACCEPTS_OLD: Family = family(
    "whsec_receiver_accepts_old",
    Join::Most,
    "Whether the last probe found that a receiver accepts the old secret; absent where it did not show.",
);
pub const ROTATIONS: Family = family("whsec_rotations", Join::Sum, "Rotations that ended, by how.");
pub const READABLE: Family = family("whsec_journal_readable", Join::Least, "0 where the journal could not be read.");
pub const WRITTEN: Family =
    family("whsec_metrics_written_timestamp_seconds", Join::Most, "When these metrics were written.");

/// All, in the order in which they are written.
pub const ALL: [&Family; 10] =
    [&ROTATED, &MAX_AGE, &OPEN, &OVERLAP_END, &OVERDUE, &LEAK, &ACCEPTS_OLD, &ROTATIONS, &READABLE, &WRITTEN];
