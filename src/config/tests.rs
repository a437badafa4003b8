//! Tables of config files: what they mean, what is wrong with them, and what a checkout's file may not say.

use std::path::Path;

use super::edit::{self, NewTarget};
use super::*;

#[cfg(test)]
#[path = "target_tests.rs"]
mod targets;

const HOME: &str = "/home/ada";
const OWN: &str = "/home/ada/.config/whsec/config.toml";

fn file(path: &str, text: &str, trust: Trust) -> ConfigFile {
    ConfigFile { path: PathBuf::from(path), text: text.to_owned(), trust, places: places::Places::default() }
}

/// The config, or what is wrong with it or with the first target that is broken.
fn load(files: &[ConfigFile]) -> Result<Config, ConfigError> {
    let catalog = Catalog::builtin();
    let config = Config::load(files, &catalog, Some(Path::new(HOME)))?;
    let broken = config.names().find_map(|name| config.named(name, &catalog).err());
    match broken {
        None => Ok(config),
        Some(ConfigError::Broken(error)) => {
            drop(config);
            Err(Arc::into_inner(error).unwrap())
        }
        Some(error) => Err(error),
    }
}

fn own(text: &str) -> Result<Config, ConfigError> {
    load(&[file(OWN, text, Trust::Own)])
}

/// An error as the operator reads it: message, source, hint.
fn words(error: &ConfigError) -> (String, String) {
    let mut message = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        message.push_str(&format!(": {error}"));
        source = error.source();
    }
    (message.replace("/home/ada/.config/whsec/", ""), error.hint().unwrap_or_default().to_string())
}

#[test]
fn a_target_that_is_broken_hides_no_variable_that_holds_a_key() {
    let text = "targets.a = { provider = \"gone\", api_key = \"env:OTHER\" }\ntargets.b = { provider = \"signa\", api_key = \"env:1\" }";
    let file = file(OWN, text, Trust::Own);
    let draft = |(name, raw): (toml::Spanned<String>, _)| {
        Draft::from_file(name.into_inner(), Position::Flag("x"), raw, &file).unwrap()
    };
    let drafts: Vec<Draft> = raw::parse(&file).unwrap().targets.into_iter().map(draft).collect();
    let names = normalise::private_variables(drafts.iter(), &[], &Catalog::builtin());
    let catalog = Catalog::builtin();
    let built_in: std::collections::BTreeSet<String> = catalog.key_variables().collect();
    assert!(built_in.len() > 7 && built_in.iter().all(|name| names.contains(name)), "{names:?}");
    assert!(names.contains(&"OTHER".to_owned()), "{names:?}");
}

#[test]
fn a12_what_is_wrong_with_one_target_concerns_no_other() {
    let good = "[targets.good]\nprovider = \"signa\"\nid = \"1\"\nstore = \"file:good\"\n";
    for (bad, why) in [
        ("provider = \"nobody\"\nid = \"2\"", "no provider is called `nobody`"),
        ("provider = \"signa\"\nid = \"2\"\nfrobnicate = 1", "there is no key `frobnicate`"),
        ("provider = \"signa\"\nid = 2", "expected a string"),
        ("provider = \"signa\"\nid = \"2\"\nids = { id = \"2\" }", "two ways of saying the same"),
        ("provider = \"signa\"\nid = \"2\"\nstore = \"command:gone\"", "there is no [commands.gone]"),
        ("provider = \"signa\"\nid = \"2\"\napi_key = \"env:BAD_KEY\"\nsurprise = 1", "there is no key `surprise`"),
    ] {
        let text = format!("{good}[targets.bad]\n{bad}\n[targets.last]\nprovider = \"signa\"\nid = \"3\"\n");
        let config = Config::load(&[file(OWN, &text, Trust::Own)], &Catalog::builtin(), None).unwrap();
        assert_eq!(config.names().collect::<Vec<_>>(), ["bad", "good", "last"], "{bad}");
        assert!(config.has("bad"));
        for name in ["good", "last"] {
            config.named(name, &Catalog::builtin()).unwrap();
        }
        for error in [
            config.named("bad", &Catalog::builtin()).unwrap_err(),
            config.target("bad", &Overrides::default(), &Catalog::builtin()).unwrap_err(),
        ] {
            let (message, _) = words(&error);
            assert!(message.starts_with("config.toml:") && message.contains(why), "{bad}: {message}");
        }
        let is_private = config.private_variables().contains(&"BAD_KEY".to_owned());
        assert_eq!(is_private, bad.contains("BAD_KEY"), "{bad}");
    }
}

#[test]
fn a12_of_two_targets_in_each_others_way_neither_is_used_and_a_third_is() {
    let target = |name: &str, store: &str| {
        format!("[targets.{name}]\nprovider = \"signa\"\nid = \"{name}\"\nstore = \"{store}\"\n")
    };
    for (one, other, why) in [
        ("file:/x", "file:/x", "names the store `file:/x` as the target"),
        ("file:/x", "file:/x.next", "has a slot `/x.next`, where the target"),
    ] {
        let text = [target("a", one), target("b", other), target("c", "file:/y")].concat();
        let config = Config::load(&[file(OWN, &text, Trust::Own)], &Catalog::builtin(), None).unwrap();
        config.named("c", &Catalog::builtin()).unwrap();
        for (name, rival) in [("a", "b"), ("b", "a")] {
            let (message, _) = words(&config.named(name, &Catalog::builtin()).unwrap_err());
            assert!(message.contains(why) && message.contains(&format!("`{rival}`")), "{name}: {message}");
        }
    }
}

#[test]
fn a_full_target_is_normalised() {
    let config = own(r#"
        ca = "ca.pem"
        [targets.payments]
        provider = "layers"
        id = "d4c71b62"
        store = ["keychain:payments", "dotenv:~/app/.env#SECRET", "file:sub/secret"]
        receivers = "https://hooks.example.com/layers"
        api_key = "keychain:layers"
        cutover = "switch"
        auth = "bearer"
        base_url = "http://127.0.0.1:8080/v"
        owner = "on-call"
        max_age = "90d"
        [seal]
        recipients = ["age1qqqq"]
        identity = "file"
        "#)
    .unwrap();
    let target = config.named("payments", &Catalog::builtin()).unwrap();
    let stores: Vec<String> = target.stores.iter().map(|store| store.reference.to_string()).collect();
    let expected = ["keychain:payments", "dotenv:/home/ada/app/.env#SECRET", "file:/home/ada/.config/whsec/sub/secret"];
    assert_eq!(stores, expected);
    assert_eq!(target.endpoint.own_id(), "d4c71b62");
    assert_eq!(target.endpoint.base_url.as_str(), "http://127.0.0.1:8080/v");
    assert_eq!(target.endpoint.auth, 1);
    assert_eq!(target.receivers, ["https://hooks.example.com/layers"]);
    let key = KeySource::Keychain { service: "layers".to_owned(), account: "api-key".to_owned() };
    assert_eq!(target.api_key, Some(key));
    assert_eq!(target.cutover, Cutover::Switch);
    assert_eq!(target.max_age, Some(Duration::from_secs(90 * 86_400)));
    assert_eq!(target.ca.as_deref(), Some(Path::new("/home/ada/.config/whsec/ca.pem")));
    assert_eq!(config.seal.recipients, ["age1qqqq"]);
    assert_eq!(config.seal.identity, Some(IdentityPlace::File));
}

#[test]
fn every_mistake_is_named_with_its_place_and_a_way_out() {
    let target = "[targets.a]\nprovider = \"layers\"\nid = \"1\"\n";
    for (text, message, hint) in [
        ("[targets.a]\nprovder = \"layers\"", "config.toml:2:1: there is no key `provder`", "did you mean `provider`?"),
        ("[target.a]\n", "config.toml:1:2: there is no key `target`", "did you mean `targets`?"),
        ("[seal]\nzzzzz = 1", "config.toml:2:1: there is no key `zzzzz`", "the keys are `recipients`, `identity`"),
        ("[targets.a]\nprovider = \"layers", "config.toml:2:19: invalid basic string, expected `\"`", ""),
        (
            "[targets.a]\nprovider = \"layerz\"\nid = \"1\"",
            "config.toml:2:12: the target `a` cannot be used: no provider is called `layerz`",
            "did you mean `layers`? `whsec provider list` names them all",
        ),
        (
            "[targets.a]\nprovider = \"kadosei\"\nid = \"1\"",
            "config.toml:3:6: `targets.a` gives 1 of the 2 ids that `kadosei` needs",
            "write ids = { applicationId = \"…\", webhookId = \"…\" }",
        ),
        (
            "[targets.a]\nprovider = \"layers\"\nids = { endpointID = \"1\" }",
            "config.toml:3:7: the target `a` cannot be used: `layers` has no id called `endpointID`",
            "did you mean `endpointId`?",
        ),
        (
            "[targets.a]\nprovider = \"layers\"\nid = \"1\"\nids = { endpointId = \"1\" }",
            "config.toml:4:7: `ids` and `id` are two ways of saying the same; keep one",
            "",
        ),
        (
            "[targets.\"a/b\"]\nprovider = \"layers\"\nid = \"1\"",
            "config.toml:1:10: a target's name may hold letters, digits, `.`, `_` and `-`, starting with a letter or digit, at most 64",
            "",
        ),
    ] {
        let error = own(text).unwrap_err();
        assert_eq!(words(&error), (message.to_owned(), hint.to_owned()), "{text}");
    }
    for (line, message) in [
        ("max_age = 90", "config.toml:4:11: expected a string"),
        ("max_age = \"soon\"", "config.toml:4:11: `max_age` is not a duration such as `90d`, `24h` or `30m`"),
        ("cutover = \"both\"", "config.toml:4:11: expected `either` or `switch`"),
        (
            "receivers = \"http://hooks.example.com\"",
            "config.toml:4:13: the receiver `http://hooks.example.com` is not https; http is for loopback only",
        ),
        (
            "receivers = [\"https://u:p@hooks.example.com\"]",
            "config.toml:4:13: a receiver's URL holds a user or password",
        ),
        (
            "store = \"command:vault\"",
            "config.toml:4:9: `store` names the program `vault`, but there is no [commands.vault]",
        ),
        ("store = [\"file:a\", \"file:./a\"]", "config.toml:4:9: the target `a` names the store `file:a` twice"),
        (
            "store = \"keychain:whsec/x\"",
            "config.toml:4:9: `store` names the keychain service `whsec`, which keeps whsec's own keys",
        ),
        (
            "store = \"file:s\"\nslots = { next = \"s\" }",
            "config.toml:4:9: the target `a` cannot be used: `file:s`: two of its slots are named `s`",
        ),
        ("store = 3", "config.toml:4:9: expected a string or a list of strings"),
        (
            "base_url = \"http://api.example.com\"",
            "config.toml:4:12: the target `a` cannot be used: the base URL `http://api.example.com` cannot be used: http goes only to this machine; use https",
        ),
        (
            "auth = \"basic\"",
            "config.toml:3:6: the target `a` cannot be used: `layers` has no authentication scheme called `basic`",
        ),
        ("api_key = \"env:\"", "config.toml:4:11: `api_key` names no environment variable after `env:`"),
        ("api_key = { command = [] }", "config.toml:4:11: `api_key` names no program"),
        (
            "api_key = \"vault:layers\"",
            "config.toml:4:11: `api_key` names nothing that a store could hold; it is written like a `store` with `vault:`",
        ),
        ("api_key = \"stdout:\"", "config.toml:4:11: `api_key` names a store that cannot be read"),
    ] {
        let error = own(&format!("{target}{line}")).unwrap_err();
        assert_eq!(words(&error).0, message, "{line}");
    }
}

#[test]
fn a_key_pasted_into_the_config_is_never_repeated() {
    for value in [
        "\"lp_live_hidden\"",
        "\"vault:lp_live_hidden\"",
        "\"command:lp_live_hidden\"",
        "{ value = \"lp_live_hidden\" }",
        "[\"lp_live_hidden\"]",
        "\"keychain:lp_live_hidden/\"",
    ] {
        let text = format!("[targets.a]\nprovider = \"layers\"\nid = \"1\"\napi_key = {value}");
        let (message, hint) = words(&own(&text).unwrap_err());
        assert!(!format!("{message}{hint}").contains("hidden"), "{message}");
    }
    for line in ["max_age = [\"lp_live_hidden\"]", "cutover = \"lp_live_hidden\"", "options = \"lp_live_hidden\""] {
        let (message, _) = words(&own(&format!("[targets.a]\nprovider = \"layers\"\nid = \"1\"\n{line}")).unwrap_err());
        assert!(!message.contains("hidden"), "{message}");
    }
    let (message, _) = words(&own("[seal]\nrecipients = [\"AGE-SECRET-KEY-1HIDDEN\"]").unwrap_err());
    assert!(!message.contains("HIDDEN"), "{message}");
}

#[test]
fn b5_a_presets_files_are_those_beside_the_config_that_names_them() {
    let text = "[commands.a]\npreset = \"sops\"\nkey = \"k\"\nwith = { file = \"secrets.yaml\" }\n\
                [commands.b]\npreset = \"vercel\"\nkey = \"k\"\nwith = { dir = \"~/app\", environment = \"prod\" }\n";
    let config = load(&[file(OWN, text, Trust::Own)]).unwrap();
    let with = |name: &str, word: &str| config.commands()[name].with[word].clone();
    let beside = Path::new(OWN).with_file_name("secrets.yaml");
    assert_eq!(with("a", "file"), beside.display().to_string());
    assert_eq!(with("b", "dir"), format!("{HOME}/app"));
    assert_eq!(with("b", "environment"), "prod");
}

#[test]
fn a_checkouts_file_is_held_to_files_of_the_checkout() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    std::fs::create_dir(root.join("linked-beside")).unwrap();
    std::os::unix::fs::symlink("/etc", root.join("out")).unwrap();
    std::os::unix::fs::symlink("/home/ada/.bashrc", root.join(".env.link")).unwrap();
    std::os::unix::fs::symlink("/home/ada/.bashrc", root.join("linked-beside/s.next")).unwrap();
    let checkout = |text: &str| file(root.join("whsec.toml").to_str().unwrap(), text, Trust::Checkout);
    let mine =
        file(OWN, "[targets.mine]\nprovider = \"layers\"\nid = \"own\"\n[commands.op]\nput = [\"op\"]", Trust::Own);
    let target = "[targets.t]\nprovider = \"layers\"\nid = \"1\"\n";

    let allowed = "store = [\"dotenv:.env#A\", \"json:conf/a.json#/s\", \"file:secret\"]\nreceivers = \"https://r.example\"\nslots = { next = \"A_NEXT\" }\nowner = \"o\"\nmax_age = \"9d\"\ncutover = \"either\"";
    load(&[checkout(&format!("{target}{allowed}")), mine.clone()]).unwrap();

    for (line, key) in [
        ("base_url = \"https://evil.example\"", "base_url"),
        ("api_key = \"env:AWS_SECRET_ACCESS_KEY\"", "api_key"),
        ("api_key = { command = [\"sh\", \"-c\", \"evil\"] }", "api_key"),
        ("auth = \"bearer\"", "auth"),
        ("options = { x = \"1\" }", "options"),
        ("ca = \"ca.pem\"", "ca"),
        ("[seal]\nrecipients = [\"age1evil\"]", "seal"),
        ("[commands.x]\nput = [\"sh\"]", "commands"),
        ("store = \"command:op\"", "store = \"command:op\""),
        ("store = \"keychain:mine\"", "store = \"keychain:mine\""),
        ("store = \"stdout:\"", "store = \"stdout:\""),
        ("store = \"dotenv:/home/ada/.profile#A\"", "store = \"dotenv:/home/ada/.profile#A\""),
        ("store = \"dotenv:../x/.env#A\"", "store = \"dotenv:../x/.env#A\""),
        ("store = \"dotenv:a/../../x/.env#A\"", "store = \"dotenv:a/../../x/.env#A\""),
        ("store = \"file:~/.ssh/authorized_keys\"", "store = \"file:~/.ssh/authorized_keys\""),
        ("store = \"file:.git/hooks/pre-commit\"", "store = \"file:.git/hooks/pre-commit\""),
        ("store = [\"file:ok\", \"file:.GIT/config\"]", "store = \"file:.GIT/config\""),
        ("store = \"dotenv:out/environment#A\"", "store = \"dotenv:out/environment#A\""),
        ("store = \"dotenv:.env.link#A\"", "store = \"dotenv:.env.link#A\""),
        ("store = \"file:linked-beside/s\"", "store = \"file:linked-beside/s\""),
        ("store = \"file:s\"\nslots = { next = \"../../x\" }", "slots"),
        ("[targets.mine]\nprovider = \"signa\"\nid = \"2\"", "targets.mine"),
        ("[targets.twin]\nprovider = \"layers\"\nid = \"own\"", "targets.twin (your `mine`)"),
    ] {
        let files = [checkout(&format!("{target}{line}")), mine.clone()];
        let error = load(&files).unwrap_err();
        let ConfigError::NotTrusted { place, key: refused, .. } = &error else { panic!("{line}: {error}") };
        assert_eq!(refused, key, "{line}");
        assert!(place.to_string().starts_with(&format!("{}/whsec.toml:", root.display())), "{place}");
        assert_eq!(
            error.hint().unwrap().to_string(),
            "read the file; if it says what you want: `whsec target trust`; or run it from another folder"
        );
    }
}

#[test]
fn a_trusted_checkouts_file_wins_over_the_users_own() {
    let theirs = "[targets.mine]\nprovider = \"signa\"\nid = \"2\"\nbase_url = \"https://api.example\"";
    let mine = file(OWN, "[targets.mine]\nprovider = \"layers\"\nid = \"1\"", Trust::Own);
    let config = load(&[file("/src/whsec.toml", theirs, Trust::Granted), mine]).unwrap();
    let target = config.named("mine", &Catalog::builtin()).unwrap();
    assert_eq!(target.endpoint.origin(), "https://api.example");
    assert_eq!(target.file.as_deref(), Some(Path::new("/src/whsec.toml")));
}

#[test]
fn editing_keeps_comments_and_refuses_a_taken_name() {
    let old = "# mine\n[targets.a] # first\nprovider = \"layers\" # who\nid = \"1\"\n";
    let new = NewTarget {
        name: "b".to_owned(),
        provider: "signa".to_owned(),
        ids: vec![("id".to_owned(), "2".to_owned())],
        ..NewTarget::default()
    };
    let added = edit::add(old, Path::new(OWN), &new).unwrap();
    assert_eq!(added, format!("{old}\n[targets.b]\nprovider = \"signa\"\nid = \"2\"\n"));
    assert_eq!(edit::remove(&added, Path::new(OWN), "b").unwrap(), old);
    let taken = NewTarget { name: "a".to_owned(), ..new };
    assert!(matches!(edit::add(old, Path::new(OWN), &taken), Err(ConfigError::TargetExists { .. })));
    assert!(matches!(edit::remove(old, Path::new(OWN), "z"), Err(ConfigError::TargetElsewhere { .. })));
}

#[test]
fn the_users_own_file_is_refused_when_others_may_write_it() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    assert!(ConfigFile::own(&path).unwrap().is_none());
    write::replace(&path, None, "ca = \"x\"").unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(ConfigFile::own(&path).unwrap().is_some());
    let link = folder.path().join("link.toml");
    symlink(&path, &link).unwrap();
    write::replace(&link, Some("ca = \"x\""), "ca = \"y\"").unwrap();
    assert!(std::fs::symlink_metadata(&link).unwrap().file_type().is_symlink());
    assert!(write::replace(&path, Some("ca = \"x\""), "").is_err(), "somebody else wrote it meanwhile");
    for mode in [0o620, 0o602, 0o666] {
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        assert!(matches!(ConfigFile::own(&path), Err(ConfigError::NotPrivate { .. })), "{mode:o}");
    }
}

#[test]
fn every_key_is_in_the_manual() {
    let page = include_str!("../../man/whsec-config.5").replace("\\fB", " ").replace("\\fR", " ").replace("\\fI", " ");
    let words: Vec<&str> = page.split(|c: char| c.is_whitespace() || "\"(),:;[]{}".contains(c)).collect();
    let mut keys = Vec::new();
    for text in [
        "no-such-key = 1",
        "[targets.a]\nno-such-key = 1",
        "[targets.a]\nprovider = \"layers\"\n[targets.a.slots]\nno-such-key = 1",
        "[seal]\nno-such-key = 1",
        "[commands.a]\nno-such-key = 1",
        "[policy]\nno-such-key = 1",
        "[policy]\napprovals = { no-such-key = 1 }",
    ] {
        let Err(ConfigError::UnknownKey { known, .. }) = own(text) else { panic!("{text}") };
        keys.extend(known);
    }
    assert!(keys.len() > 25, "the list of keys is suspiciously short: {keys:?}");
    keys.retain(|key| !words.contains(&key.as_str()));
    assert!(keys.is_empty(), "whsec-config.5 does not mention {keys:?}");
}
