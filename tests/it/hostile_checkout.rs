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

#[test]
fn b3_a_config_in_a_folder_of_others_sends_and_runs_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new("layers");
    let marker = sandbox.path("marker");
    let ca = sandbox.path("shared/ca.pem");
    std::fs::create_dir(sandbox.path("shared")).unwrap();
    std::fs::copy("tests/fixtures/tls/ca.pem", &ca).unwrap();
    let own = "home/.config/whsec";
    let description = std::fs::read_to_string("src/provider/builtin/layers.toml").unwrap();
    sandbox.description("layers", &description);
    sandbox.run(&["inspect", "hooks"]).exits(0);
    let asked = sandbox.requests();
    let text = sandbox.config_text();
    let command =
        text.replacen("api_key = ", &format!("api_key = {{ command = [\"touch\", \"{}\"] }} #", marker.display()), 1);
    let open = |folder: &str, mode: u32| {
        std::fs::set_permissions(sandbox.path(folder), PermissionsExt::from_mode(mode)).unwrap();
    };
    for folder in ["home", "home/.config", own, "home/.config/whsec/providers"] {
        let before = std::fs::metadata(sandbox.path(folder)).unwrap().permissions().mode() & 0o7777;
        open(folder, 0o777);
        sandbox
            .run(&["inspect", "hooks"])
            .exits(2)
            .says("other users may write a folder above it")
            .says("hint: look into it, then: chmod go-w");
        open(folder, before);
    }
    sandbox.config(&command);
    open(own, 0o777);
    sandbox.run(&["inspect", "hooks"]).exits(2);
    open(own, 0o755);
    assert!(!marker.exists(), "a program ran");
    assert_eq!(sandbox.requests(), asked, "something was sent");
    sandbox.run(&["inspect", "hooks"]).exits(3);
    assert!(marker.exists(), "the program runs where nobody else could have named it");
    sandbox.config(&format!("ca = \"{}\"\n{text}", ca.display()));
    open("shared", 0o777);
    sandbox.run(&["inspect", "hooks"]).exits(2).says("ca.pem` is not used: other users may write a folder above it");
    open("shared", 0o755);
    sandbox.run(&["inspect", "hooks"]).exits(0);
}

#[test]
fn b11_what_a_checkout_planted_verifies_nothing() {
    use crate::verify::{http, signed};
    let sandbox = Sandbox::new("layers");
    let planted = whsec::secret::Secret::new("whsec_cGxhbnRlZC1wbGFudGVkLXBsYW50ZWQtcGxhbnRlZA");
    std::fs::write(sandbox.path("work/.env"), format!("KEY={}\n", planted.expose())).unwrap();
    std::fs::write(sandbox.path("work/whsec.toml"), HARMLESS).unwrap();
    let forged = http(&signed("layers", &[&planted], jiff::Timestamp::now().as_second(), "{}"), "{}");
    let run = sandbox.run_with_stdin(&["verify", "theirs"], &forged).exits(2);
    run.says("a checkout's file that you do not trust, so what they hold shows nothing").says("target trust");
    let trusted = ["verify", "theirs", "--store", "dotenv:.env#KEY"];
    sandbox.run_with_stdin(&trusted, &forged).exits(0);
}

#[test]
fn b11_a_program_is_not_taken_from_the_current_folder() {
    use std::os::unix::fs::PermissionsExt;
    for path in ["", ".", ":/usr/bin", ".:/usr/bin", "relative:/usr/bin:"] {
        let sandbox = Sandbox::new("layers");
        let marker = sandbox.path("marker");
        for folder in ["work", "work/relative"] {
            std::fs::create_dir_all(sandbox.path(folder)).unwrap();
            let program = sandbox.path(folder).join("key-program");
            std::fs::write(&program, format!("#!/bin/sh\n/usr/bin/touch '{}'\necho key\n", marker.display())).unwrap();
            std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        }
        let text = sandbox.config_text();
        let line = text.lines().find(|line| line.starts_with("api_key")).unwrap();
        sandbox.config(&text.replace(line, "api_key = { command = [\"key-program\"] }"));
        let mut inspect = sandbox.command(&["inspect", "hooks"]);
        let run = sandbox.watch(inspect.env("PATH", path).output().unwrap());
        assert!(!marker.exists(), "a program of the current folder ran with PATH={path:?}: {}", run.stderr);
    }
}

#[test]
fn b11_an_environment_that_could_show_the_key_gets_none() {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    proxy.set_nonblocking(true).unwrap();
    let sandbox = Sandbox::new("layers");
    let target = ["inspect", "layers/x", "--base-url", "https://api.layers.example"];
    for (authority, way) in
        [("SSL_CERT_FILE", "HTTPS_PROXY"), ("SSL_CERT_DIR", "https_proxy"), ("SSL_CERT_FILE", "ALL_PROXY")]
    {
        let mut command = sandbox.command(&target);
        command.env("LAYERS_API_KEY", sandbox.api_key.expose());
        command.env(authority, "tests/fixtures/tls").env(way, format!("http://{}", proxy.local_addr().unwrap()));
        let run = sandbox.watch(command.output().unwrap()).exits(2);
        run.says("SSL_CERT_FILE or SSL_CERT_DIR and a proxy variable together").says("`ca = \"FILE\"`");
        assert_eq!(proxy.accept().map_err(|error| error.kind()).err(), Some(ErrorKind::WouldBlock), "{way}");
    }
}

#[test]
fn b11_a_token_in_a_receivers_address_is_not_shown() {
    use crate::receivers::{Kind, Receiver};
    let receiver = Receiver::start(Kind::RejectsAll);
    let url = format!("{}?token=canary-5f1d0c9a", receiver.url);
    let sandbox = Sandbox::with_receiver("layers", &url, None);
    sandbox.edit_config("provider = ", "cutover = \"either\"\nprovider = ");
    for line in [
        "rotate hooks --yes --json",
        "probe hooks --json",
        "probe hooks",
        "cutover hooks --done deploy --json",
        "finish hooks --json",
        "status --json",
        "status",
        "inspect hooks --json",
        "target show hooks --json",
        "target show hooks",
        "target list --json",
        "rotate hooks --yes --dry-run",
    ] {
        let run = sandbox.run(&line.split_whitespace().collect::<Vec<_>>());
        assert!(
            !format!("{}{}", run.stdout, run.stderr).contains("canary-5f1d0c9a"),
            "{line}:\n{}{}",
            run.stdout,
            run.stderr
        );
    }
    assert!(receiver.requests().iter().any(|request| request.path.contains("canary-5f1d0c9a")), "it is used");
}
