//! What is trusted of a checkout: one content, at one path, with what it uses, by the state folder's word.

use super::*;

#[test]
fn b6_what_a_trusted_file_uses_of_its_checkout_is_trusted_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir(folder.path().join("bin")).unwrap();
    let absolute = folder.path().join("bin/absolute").display().to_string();
    write(
        "whsec.toml",
        &format!(
            "ca = \"ca.pem\"\n[notify]\ncommand = [\"python3\", \"notify.py\"]\n[commands.a]\nput = [\"./bin/put\", \"{{slot}}\"]\n\
         get = [\"sh\", \"-c\", \". bin/lib.sh; get\"]\nclear = [\"{absolute}\"]\n[targets.a]\nprovider = \"layers\"\nid = \"1\"\n\
         store = \"command:a\"\napi_key = {{ command = [\"bin/key\"] }}\n"
        ),
    );
    let used = ["bin/absolute", "bin/key", "bin/lib.sh", "bin/put", "ca.pem", "notify.py"];
    let digested = || digest(&ConfigFile::checkout(&folder.path().join("whsec.toml"), |_| false).unwrap().unwrap());
    let mut before = digested();
    for name in used {
        for text in ["one", "two"] {
            write(name, text);
            let after = digested();
            assert_ne!(after, before, "{name} {text}");
            before = after;
        }
    }
    write("other", "x");
    assert_eq!(digested(), before, "what is not used does not matter");
    std::fs::remove_file(folder.path().join("ca.pem")).unwrap();
    assert_ne!(digested(), before);
}

#[test]
fn trust_is_for_one_content_at_one_path() {
    let (here, there) = (Path::new("/a/whsec.toml"), Path::new("/b/whsec.toml"));
    let mut ledger = Ledger::default();
    ledger.grant(here, "11");
    ledger.grant(here, "22");
    ledger.grant(there, "33");
    let key = StampKey::generate();
    let text = ledger.to_text(&key).unwrap();
    let ledger = Ledger::parse(&text, &key);
    assert!(ledger.holds(here, "22") && ledger.holds(there, "33"));
    assert!(!ledger.holds(here, "11") && !ledger.holds(there, "22"));
    // A line that another folder stamped, one that was changed, and one of version 0.1.0, which had no stamp.
    assert_eq!(Ledger::parse(&text, &StampKey::generate()), Ledger::default());
    assert!(!Ledger::parse(&text.replace("  33  ", "  44  "), &key).knows(there));
    assert_eq!(Ledger::parse("33  /b/whsec.toml\n", &key), Ledger::default());
}
