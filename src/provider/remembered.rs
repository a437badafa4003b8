//! A provider whose description is gone: what the journal knows of an endpoint is enough to name it, to open its stores and to
//! close its rotation. Nothing that could be sent is known of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Endpoint, Id, Provider, ProviderError, Url};

/// A variable that holds nobody's key.
const NO_KEY: &str = "KEY_OF_A_PROVIDER_WITHOUT_A_DESCRIPTION";

/// An endpoint as a rotation has it that was begun while its provider was still described. `key` is what the journal calls it.
pub fn remembered(name: &str, ids: &[Id], base_url: &Url, key: &str) -> Result<Endpoint, ProviderError> {
    let names: Vec<String> = ids.iter().map(|id| format!("{:?}", id.name)).collect();
    let path: String = ids.iter().map(|id| format!("/{{{}}}", id.name)).collect();
    // The least that a description has to say. Only its rotate call could be made, and no command that sends takes it.
    let text = format!(
        "version = 1\nname = {name:?}\ntitle = {name:?}\nids = [{}]\n\
         [auth]\nenv = \"{NO_KEY}\"\nabout = \"nothing is known of its keys\"\n\
         schemes = [{{ name = \"none\", header = \"X-None\", value = \"{{key}}\" }}]\n\
         [rotate]\nmethod = \"POST\"\npath = {path:?}\n[rotate.answer]\nsecret = \"/none\"\n\
         [overlap]\nkind = \"unknown\"\n",
        names.join(", ")
    );
    let provider = Arc::new(Provider::parse(&text, &format!("{name} (from the journal)"))?);
    Ok(Endpoint {
        provider,
        base_url: base_url.clone(),
        ids: ids.to_vec(),
        auth: 0,
        options: BTreeMap::new(),
        present: None,
        known_as: Some(key.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::super::request;
    use super::*;

    #[test]
    fn a12_a_provider_without_a_description_is_named_and_cannot_be_asked_anything() {
        let ids =
            [("app", "a"), ("hook", "b")].map(|(name, value)| Id { name: name.to_owned(), value: value.to_owned() });
        let base_url = Url::parse("https://api.example/v1").unwrap();
        let endpoint = remembered("acme", &ids, &base_url, "acme/key").unwrap();
        assert_eq!((endpoint.key().as_str(), endpoint.own_id()), ("acme/key", "b"));
        assert_eq!(endpoint.provider.title(), "acme");
        assert!(request::inspect(&endpoint, 1).is_none() && request::test_delivery(&endpoint, None).is_none());
        assert!(endpoint.provider.signature().is_none());
    }
}
