//! One identity of an endpoint: which spellings of its ids, and which addresses, name one and the same.
//!
//! Two names that are one endpoint would be rotated one after the other, each with a lock and a journal of its own.

use uuid::Uuid;

use super::spec::IdForm;
use super::{Id, Provider, Url, request};

impl Provider {
    /// The same for every way of naming an endpoint: provider, origin and ids, each percent-encoded.
    pub fn identity(&self, base_url: &Url, ids: &[Id]) -> String {
        let origin = comparable(base_url);
        let is_same = self.spec().same.iter().filter_map(|same| Url::parse(same).ok()).any(|same| {
            // What is listed answers for the very endpoints that are at the description's own address.
            comparable(&same) == origin
        });
        let origin = self.base_url().filter(|_| is_same).map_or(origin, comparable);
        let mut parts = vec![self.name().to_owned(), origin];
        parts.extend(ids.iter().map(|id| self.spelled(&id.name, &id.value)));
        parts.iter().map(|part| request::encode_segment(part)).collect::<Vec<_>>().join("/")
    }

    /// An id in the one spelling in which it is sent, shown and compared.
    pub fn spelled(&self, name: &str, value: &str) -> String {
        match self.spec().id.get(name).map(|id| id.form) {
            Some(IdForm::Uuid) => as_uuid(value).unwrap_or_else(|| value.to_owned()),
            Some(IdForm::Label) | None => value.to_owned(),
        }
    }

    /// Whether two texts are one id.
    pub fn is_same_id(&self, name: &str, one: &str, other: &str) -> bool {
        self.spelled(name, one) == self.spelled(name, other)
    }
}

/// Whether two base URLs are one address: this machine has three names.
pub fn is_same_address(one: &Url, other: &Url) -> bool {
    comparable(one) == comparable(other) && one.path().trim_end_matches('/') == other.path().trim_end_matches('/')
}

fn comparable(url: &Url) -> String {
    let origin = url.origin().ascii_serialization();
    ["//localhost", "//[::1]"].iter().fold(origin, |origin, name| origin.replace(name, "//127.0.0.1"))
}

/// A UUID in small letters and with hyphens. Whatever is none is left to the provider.
fn as_uuid(value: &str) -> Option<String> {
    // The other forms of RFC 9562 and Microsoft's braces are not what stands in a path.
    let fits = matches!(value.len(), 32 | 36);
    Uuid::try_parse(value).ok().filter(|_| fits).map(|uuid| uuid.hyphenated().to_string())
}

#[cfg(test)]
mod tests {
    use super::super::Catalog;
    use super::super::spec::Spec;
    use super::*;

    const LAYERS: &str = "d4c71b62-7f08-4dc9-9d2c-8f7e2b9c4411";

    fn identity(provider: &Provider, base_url: &str, id: &str) -> String {
        let name = provider.spec().ids.last().unwrap().clone();
        provider.identity(&Url::parse(base_url).unwrap(), &[Id { name, value: id.to_owned() }])
    }

    #[test]
    fn a5_a_uuid_is_the_same_in_every_spelling_and_other_ids_are_as_they_stand() {
        let layers = Catalog::builtin().get("layers").unwrap();
        let at = "https://api.layers.com";
        let own = identity(&layers, at, LAYERS);
        assert_eq!(identity(&layers, at, &LAYERS.to_uppercase()), own);
        assert_eq!(identity(&layers, at, &LAYERS.replace('-', "")), own);
        assert_ne!(identity(&layers, at, &LAYERS.replace('d', "e")), own);
        assert_ne!(identity(&layers, at, "Hook"), identity(&layers, at, "hook"), "no UUID, so case may count");
        assert_ne!(identity(&layers, at, &format!("{{{LAYERS}}}")), own);
        let signa = Catalog::builtin().get("signa").unwrap();
        assert_ne!(
            identity(&signa, "https://api.signa.so", LAYERS),
            identity(&signa, "https://api.signa.so", &LAYERS.to_uppercase()),
            "nothing says that Signa's ids are UUIDs"
        );
    }

    #[test]
    fn a5_addresses_that_a_description_lists_are_one() {
        let verifa = Catalog::builtin().get("verifa").unwrap();
        let own = identity(&verifa, "https://devapi.withverifa.com", "we_1");
        assert_eq!(identity(&verifa, "https://api.withverifa.com", "we_1"), own);
        assert_ne!(identity(&verifa, "https://api.withverifa.example", "we_1"), own);
        let hopae = Catalog::builtin().get("hopae").unwrap();
        assert_ne!(
            identity(&hopae, "https://api.hopae.com/connect", "app"),
            identity(&hopae, "https://sandbox.api.hopae.com/connect", "app"),
            "a sandbox has endpoints of its own"
        );
    }

    #[test]
    fn a5_this_machine_has_three_names_and_a_path_is_part_of_an_address() {
        let url = |text: &str| Url::parse(text).unwrap();
        assert!(is_same_address(&url("http://localhost:81/"), &url("http://127.0.0.1:81")));
        assert!(!is_same_address(&url("http://localhost:81/"), &url("http://localhost:82")));
        assert!(!is_same_address(&url("https://a.example/v1"), &url("https://a.example/v2")));
    }

    #[test]
    fn a5_a_description_says_forms_and_addresses_of_what_it_has() {
        let refused = |change: &dyn Fn(&mut Spec)| {
            let mut spec = Catalog::builtin().get("verifa").unwrap().spec().clone();
            change(&mut spec);
            Provider::from_spec(spec).unwrap_err().to_string()
        };
        let unknown = refused(&|spec| {
            spec.id.insert("hook".to_owned(), super::super::spec::IdSpec { form: IdForm::Uuid });
        });
        assert!(unknown.contains("`id.hook` is not one of `ids`"), "{unknown}");
        for (same, why) in [
            ("http://api.withverifa.com", "cannot be used: http goes only to this machine"),
            ("https://api.withverifa.com/v2", "has a path"),
            ("https://devapi.withverifa.com", "is there twice"),
        ] {
            let said = refused(&|spec| spec.same = vec![same.to_owned()]);
            assert!(said.contains(why), "{same}: {said}");
        }
        let homeless = refused(&|spec| spec.base_url = None);
        assert!(homeless.contains("`same` needs `base_url`"), "{homeless}");
    }
}
