//! Promise 19: a `./whsec.toml` that comes with a checkout cannot send a key elsewhere, run a program, or write outside
//! its folder. Every case: exit 2, no connection anywhere, no program started, no file written.

use std::io::ErrorKind;
use std::net::TcpListener;

use crate::sandbox::Sandbox;

/// A target that would be harmless, to which each case adds one thing.
const HARMLESS: &str = "[targets.theirs]\nprovider = \"layers\"\nid = \"abc\"\nstore = \"dotenv:.env#KEY\"\n";

/// What is added within the target, and what is added after it. `{listener}` is a server that must hear nothing,
/// `{marker}` a file that a started program would make, `{outside}` a folder outside the checkout.
const CASES: &[(&str, &str)] = &[
    ("base_url = \"{listener}\"", ""),
    ("base_url = \"https://attacker.example\"", ""),
    ("base_url = \"http://127.0.0.1:9\"", ""),
    ("api_key = \"env:LAYERS_API_KEY\"", ""),
    ("api_key = \"file:/etc/hostname\"", ""),
    ("api_key = \"keychain:whsec/layers@https://api.layers.com\"", ""),
    ("api_key = { command = [\"touch\", \"{marker}\"] }", ""),
    ("auth = \"bearer\"", ""),
    ("options = { version = \"2026-01-01\" }", ""),
    ("ca = \"attacker.pem\"", ""),
    ("", "ca = \"attacker.pem\""),
    ("", "[commands.run]\nput = [\"touch\", \"{marker}\"]\n"),
    ("", "[commands.run]\nput = [\"true\"]\nget = [\"touch\", \"{marker}\"]\nclear = [\"true\"]\n"),
    ("", "[seal]\nrecipients = [\"age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p\"]\n"),
    ("", "[seal]\nidentity = \"file\"\n"),
    ("store:command:run", ""),
    ("store:keychain:payments", ""),
    ("store:keychain:whsec/layers@https://api.layers.com", ""),
    ("store:stdout:", ""),
    ("store:vault:secret/app/hooks#key", ""),
    ("store:aws-sm:prod/hooks#key", ""),
    ("store:k8s:payments/hooks#key", ""),
    ("store:age:{outside}/x.age", ""),
    ("", "[commands.run]\npreset = \"pass\"\nkey = \"k\"\n"),
    ("store:dotenv:../outside.env#KEY", ""),
    ("store:dotenv:{outside}/x.env#KEY", ""),
    ("store:dotenv:~/x.env#KEY", ""),
    ("store:file:{outside}/authorized_keys", ""),
    ("store:file:.git/hooks/post-checkout", ""),
    ("store:json:link-to-outside/settings.json#/secret", ""),
    ("store:dotenv:a/../../outside.env#KEY", ""),
    ("slots = { next = \"../../escaped\" }", ""),
    ("surprise = true", ""),
];

#[test]
fn a_hostile_checkout_reaches_nobody_and_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    for (within, after) in CASES {
        let sandbox = Sandbox::new("layers");
        let outside = sandbox.path("outside");
        std::fs::create_dir(&outside).unwrap();
        std::os::unix::fs::symlink(&outside, sandbox.path("work/link-to-outside")).unwrap();
        let marker = sandbox.path("marker");
        let fill = |text: &str| {
            text.replace("{listener}", &url)
                .replace("{marker}", &marker.display().to_string())
                .replace("{outside}", &outside.display().to_string())
        };
        let target = match within.strip_prefix("store:") {
            Some(store) => HARMLESS.replace("dotenv:.env#KEY", &fill(store)),
            None => format!("{HARMLESS}{}\n", fill(within)),
        };
        // A key of the root table has to stand before the first table.
        let after = fill(after);
        let text = if after.starts_with('[') { format!("{target}{after}") } else { format!("{after}\n{target}") };
        std::fs::write(sandbox.path("work/whsec.toml"), &text).unwrap();
        // whsec's own state folder may come to be; nothing else may.
        let state = sandbox.path("state");
        let files = || sandbox.all_files().iter().filter(|(path, _)| !path.starts_with(&state)).count();
        let before = files();
        for command in [&["rotate", "theirs", "--yes"][..], &["inspect", "theirs"], &["rotate", "hooks", "--yes"]] {
            let mut run = sandbox.command(command);
            run.env("LAYERS_API_KEY", sandbox.api_key.expose());
            run.env("VAULT_ADDR", &url).env("VAULT_TOKEN", "t").env("AWS_ENDPOINT_URL", &url).env("AWS_REGION", "r");
            let run = sandbox.watch(run.output().unwrap()).exits(2);
            assert!(run.stderr.contains("whsec.toml"), "the file is named:\n{text}\n{}", run.stderr);
        }
        assert!(!marker.exists(), "a program ran:\n{text}");
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0, "a file was written outside:\n{text}");
        assert_eq!(sandbox.requests(), 0, "something was sent:\n{text}");
        assert_eq!(files(), before, "a file was written:\n{text}");
    }
    assert_eq!(listener.accept().map_err(|error| error.kind()).err(), Some(ErrorKind::WouldBlock));
    println!(
        "PROMISE 19 | a checkout's config is not trusted | cases {} | failures 0 | 0 connects, 0 execs",
        CASES.len()
    );
}

#[test]
fn what_a_harmless_checkout_says_is_used() {
    // The table above would pass if every checkout's file were refused.
    let sandbox = Sandbox::new("layers");
    std::fs::write(sandbox.path("work/whsec.toml"), HARMLESS).unwrap();
    sandbox.run(&["target", "show", "theirs"]).exits(0);
}
