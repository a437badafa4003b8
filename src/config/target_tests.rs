//! Targets beside each other: none shares a store or a slot with another, and an ad hoc name is an endpoint.

use super::*;

#[test]
fn two_targets_do_not_share_a_store() {
    let two = "[targets.a]\nprovider = \"layers\"\nid = \"1\"\nstore = \"file:s\"\n[targets.b]\nprovider = \"layers\"\nid = \"2\"\nstore = \"file:./s\"";
    let (message, _) = words(&own(two).unwrap_err());
    assert!(message.ends_with("the target `a` names the store `file:s` as the target `b` does"), "{message}");
}

#[test]
fn a_targets_store_is_no_other_slot_of_anothers() {
    for (one, two, slot) in [
        ("dotenv:.env#K", "dotenv:.env#K_OLD", "K_OLD"),
        ("dotenv:.env#K_NEW", "dotenv:.env#K", "K_NEW"),
        ("json:a.json#/k", "json:a.json#/k_new", "k_new"),
        ("file:s", "file:s.previous", "s.previous"),
        ("keychain:svc/a", "keychain:svc/a.next", "a.next"),
    ] {
        let text = |slots: &str| {
            format!(
                "[targets.a]\nprovider = \"layers\"\nid = \"1\"\nstore = \"{one}\"\n\
                 [targets.b]\nprovider = \"layers\"\nid = \"2\"\nstore = \"{two}\"\n{slots}"
            )
        };
        let (message, _) = words(&own(&text("")).unwrap_err());
        assert!(message.contains("where the target `b` has one too"), "{message}");
        assert!(message.contains(slot), "{message}");
    }
    let apart = "[targets.a]\nprovider = \"layers\"\nid = \"1\"\nstore = \"dotenv:.env#A\"\n\
                 [targets.b]\nprovider = \"layers\"\nid = \"2\"\nstore = \"dotenv:.env#B\"";
    own(apart).unwrap();
}

#[test]
fn ad_hoc_names_and_flags_describe_an_endpoint() {
    let config =
        own("[targets.mine]\nprovider = \"layers\"\nid = \"1\"\nstore = \"file:s\"\nslots = { next = \"n\" }").unwrap();
    let catalog = Catalog::builtin();
    let flags = Overrides { folder: PathBuf::from("/somewhere"), ..Overrides::default() };
    let ids = |target: Target| target.endpoint.ids.into_iter().map(|id| id.value).collect::<Vec<_>>();

    let target = config.target("layers/a%2Fb", &flags, &catalog).unwrap();
    assert!(target.stores.is_empty());
    assert_eq!(ids(target), ["a%2Fb"]);

    let base_url = Some("https://k.example".to_owned());
    let with_url = Overrides { base_url, ..flags.clone() };
    assert_eq!(ids(config.target("kadosei/app/hook", &with_url, &catalog).unwrap()), ["app", "hook"]);
    let with_id = Overrides { ids: vec![("webhookId".to_owned(), "w".to_owned())], ..with_url };
    assert_eq!(ids(config.target("kadosei/app", &with_id, &catalog).unwrap()), ["app", "w"]);

    let replaced = Overrides {
        stores: vec!["dotenv:.env#A".to_owned()],
        ids: vec![("endpointId".to_owned(), "2".to_owned())],
        ..flags.clone()
    };
    let target = config.target("mine", &replaced, &catalog).unwrap();
    assert_eq!(target.stores[0].reference.to_string(), "dotenv:/somewhere/.env#A");
    assert_eq!(target.stores[0].names, SlotNames::default());
    assert_eq!(ids(target), ["2"]);

    for (name, message, hint) in [
        ("mien", "there is no target `mien`", "did you mean `mine`? `whsec target list` shows them all"),
        (
            "kadosei/app",
            "`TARGET`: `kadosei/app` gives 1 of the 2 ids that `kadosei` needs",
            "write `kadosei/applicationId/webhookId`, or give each id as --id NAME=VALUE",
        ),
        (
            "nobody/1",
            "`TARGET`: the target `nobody/1` cannot be used: no provider is called `nobody`",
            "`whsec provider list` names them all; `hand/NAME` is any endpoint, by hand",
        ),
        (
            "kadosei/a/b",
            "`TARGET`: the target `kadosei/a/b` cannot be used: `kadosei` has no default `base_url`",
            "give it as `base_url` in your own config file or by `--base-url URL`",
        ),
    ] {
        let error = config.target(name, &flags, &catalog).unwrap_err();
        assert_eq!(words(&error), (message.to_owned(), hint.to_owned()), "{name}");
    }
}
