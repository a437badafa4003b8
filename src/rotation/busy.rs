//! Stores in whose folders others write, once the new secret is there.

use super::operator::News;
use super::runner::Runner;
use crate::store::{Store, StoreError};
use crate::system::LOCK_DEADLINE;

/// How often such a store is tried; each try waits for [`LOCK_DEADLINE`].
const TRIES: u32 = 100;

impl Runner<'_> {
    /// Changes a store. Waits as long as minutes for others who write where it is, and says so: with the new secret there, to
    /// be left without it is worse than late.
    pub(super) fn patiently(
        &mut self,
        store: &dyn Store,
        act: impl Fn(&dyn Store) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        for tries in 1.. {
            match act(store) {
                Err(busy) if busy.is_busy() && tries < TRIES && !self.operator.wants_to_stop() => {
                    if tries == 1 {
                        let minutes = (LOCK_DEADLINE * TRIES).as_secs() / 60;
                        let warning = format!("{busy}; waited for, {minutes} minutes at most");
                        self.operator.tell(self.rotation, News::Warning(&warning));
                    }
                }
                done => return done,
            }
        }
        Ok(())
    }
}
