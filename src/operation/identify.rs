//! Brings the journal's keys of endpoints in line with what the descriptions of providers say of ids and addresses now.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::context::Context;
use crate::http::Url;
use crate::provider::Provider;
use crate::rotation::journal::{Journal, JournalError};

/// What is open under another spelling of an endpoint's name is found by the usual one from here on. A provider whose
/// description is gone or broken keeps its keys until it is back.
pub fn identify(context: &Context, journal: &Journal) -> Result<(), JournalError> {
    // Where many are at work it was done before the first of them.
    if context.neighbours().is_some() {
        return Ok(());
    }
    let providers: RefCell<BTreeMap<String, Option<Arc<Provider>>>> = RefCell::default();
    let provider = |name: &str| {
        let read = || context.catalog().ok().and_then(|catalog| catalog.get(name).ok());
        providers.borrow_mut().entry(name.to_owned()).or_insert_with(read).clone()
    };
    journal.identify(&|plan| {
        let base_url = Url::parse(&plan.base_url).ok()?;
        Some(provider(&plan.provider)?.identity(&base_url, &plan.ids))
    })
}
