//! A second endpoint beside the first: what makes it, and how one of the two is removed.

use zeroize::Zeroizing;

use super::state::{Act, Live};
use super::{Seen, Shared, StandInOptions, wording};
use crate::provider::{Carried, Provider, request};

impl Shared {
    /// The body that makes an endpoint just as the one that there is.
    pub(super) fn carries_over(&self, key: Option<&str>) -> Option<Zeroizing<Vec<u8>>> {
        let endpoint = self.provider.endpoint(None, &self.options.ids, None, &Default::default()).ok()?;
        let shown = Carried::read(&wording::item(self, &self.state()), &self.provider.spec().rotate).ok()?;
        request::rotate(&endpoint, key)?.body_with(None, &shown).ok()
    }

    /// Removes an endpoint with its secret.
    pub(super) fn remove(&self, seen: &Seen) -> Act {
        let mut state = self.state();
        let path = seen.path.split('?').next().unwrap_or_default();
        let is_asked_for = |live: &Live| path.split('/').any(|part| part == request::encode_segment(&live.own));
        state.live.retain(|live| !is_asked_for(live));
        drop(state);
        let fault = self.state().faults.pop_front();
        self.break_or_answer(fault, String::new())
    }
}

/// The own id of the endpoint that there is.
pub(super) fn own_id(provider: &Provider, options: &StandInOptions) -> String {
    let own = provider.spec().ids.last();
    options.ids.iter().find(|(id, _)| Some(id) == own).map_or_else(String::new, |(_, value)| value.clone())
}
