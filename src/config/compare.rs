//! In what two descriptions of a target differ, whatever words they are written in.

use super::Target;

/// The keys under which they say something else.
pub fn differences(one: &Target, other: &Target) -> Vec<&'static str> {
    let stores = |target: &Target| -> Vec<_> {
        target.stores.iter().map(|store| (store.reference.to_string(), store.names.clone())).collect()
    };
    let (ours, theirs) = (&one.endpoint, &other.endpoint);
    let ids = |target: &Target| -> Vec<_> {
        target.endpoint.ids.iter().map(|id| (id.name.clone(), id.value.clone())).collect()
    };
    [
        ("provider", ours.provider.name() == theirs.provider.name()),
        ("ids", ids(one) == ids(other)),
        ("base_url", ours.base_url == theirs.base_url),
        ("auth", ours.auth == theirs.auth),
        ("store", stores(one) == stores(other)),
        ("receivers", one.receivers == other.receivers),
        ("api_key", one.api_key == other.api_key),
        ("cutover", one.cutover == other.cutover),
        ("owner", one.owner == other.owner),
        ("labels", one.labels == other.labels),
        ("max_age", one.max_age == other.max_age),
        ("options", ours.options == theirs.options),
        ("ca", one.ca == other.ca),
    ]
    .into_iter()
    .filter(|(_, is_same)| !is_same)
    .map(|(key, _)| key)
    .collect()
}
