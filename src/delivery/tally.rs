//! Counts deliveries by the secret that signed them, in constant memory: the evidence that traffic signed with the old
//! secret alone has ended.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::examine::{Cause, Examination};

/// How often something was seen, and when it was seen last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub count: u64,
    pub last: Option<Timestamp>,
}

/// Counts since the beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub deliveries: Count,
    /// For each secret, the deliveries that it signed, alone or with others.
    pub secrets: Vec<Count>,
    /// The same without those that are marked as probes: what shows that the provider signs with a secret.
    pub proofs: Vec<Count>,
    /// Deliveries that only old secrets signed.
    pub old_only: Count,
    /// Deliveries that no secret signed, by the word for the reason.
    pub causes: BTreeMap<&'static str, Count>,
    /// Deliveries that were signed rightly, too long ago.
    pub stale: Count,
    /// Probes of whsec's own, which count as nothing else.
    pub probes: u64,
    /// Lines that are no delivery.
    pub unreadable: u64,
    is_old: Vec<bool>,
}

impl Count {
    fn add(&mut self, at: Option<Timestamp>) {
        self.count += 1;
        self.last = self.last.max(at);
    }
}

impl Tally {
    /// A tally of nothing yet; `is_old` says of each secret whether it is an old one.
    pub fn new(is_old: Vec<bool>) -> Self {
        let none = vec![Count::default(); is_old.len()];
        Self { secrets: none.clone(), proofs: none, is_old, ..Self::default() }
    }

    /// Goes on with these secrets, the ones from before in their places; `is_old` as in [`Self::new`].
    pub fn know(&mut self, is_old: Vec<bool>) {
        self.secrets.resize(is_old.len(), Count::default());
        self.proofs.resize(is_old.len(), Count::default());
        self.is_old = is_old;
    }

    /// Counts one delivery, which was signed at this time. One that is too old is evidence of nothing, and neither is one that is
    /// marked as a probe.
    pub fn add(&mut self, examination: &Examination, at: Option<Timestamp>, is_marked: bool) {
        self.deliveries.add(at);
        if examination.matches.is_empty() {
            let kind = examination.causes.first().map_or("no_match", Cause::kind);
            self.causes.entry(kind).or_default().add(at);
            return;
        }
        if examination.causes.iter().any(|cause| matches!(cause, Cause::Stale { .. })) {
            self.stale.add(at);
            return;
        }
        for (index, (count, proof)) in self.secrets.iter_mut().zip(&mut self.proofs).enumerate() {
            if examination.matches.iter().any(|found| found.secret == index) {
                count.add(at);
                if !is_marked {
                    proof.add(at);
                }
            }
        }
        let is_old = |index: usize| self.is_old.get(index).copied().unwrap_or(false);
        if examination.matches.iter().all(|found| is_old(found.secret)) {
            self.old_only.add(at);
        }
    }

    /// Counts a line that is no delivery.
    pub fn add_unreadable(&mut self) {
        self.unreadable += 1;
    }

    /// How many deliveries no secret signed.
    pub fn unmatched(&self) -> u64 {
        self.causes.values().map(|count| count.count).sum()
    }
}
