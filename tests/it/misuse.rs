//! What an operator can get wrong: each has one clear message, a way out, its exit code, and nothing is sent.

use serde_json::Value;
use whsec::provider::stand_in::Fault;
use whsec::rotation::lock::EndpointLock;

use crate::sandbox::{KEY, Run, Sandbox};

/// A command line, its exit code, and what it says.
type Row<'a> = (&'a [&'a str], i32, &'a str, &'a str);

/// Runs each, and sees that nothing reached the provider and no file changed.
fn nothing_is_sent(sandbox: &Sandbox, rows: &[Row<'_>]) {
    let before = std::fs::read(sandbox.dotenv()).unwrap();
    for (arguments, exit, message, hint) in rows {
        let run = sandbox.run(arguments).exits(*exit).says(message).says(hint);
        assert_eq!(run.stderr.matches("error:").count(), 1, "{arguments:?} has one message:\n{}", run.stderr);
        assert_eq!(run.stdout, "", "{arguments:?}");
        let mut with_json = arguments.to_vec();
        with_json.push("--json");
        let json = sandbox.run(&with_json).exits(*exit).json();
        assert_eq!((json["schema"].as_str(), json["exit"].as_i64()), (Some("whsec/v1"), Some(i64::from(*exit))));
        assert!(json["error"]["message"].as_str().unwrap().contains(message), "{json}");
        assert!(
            json["error"]["hint"].as_str().unwrap_or_default().contains(hint.trim_start_matches("hint: ")),
            "{json}"
        );
    }
    assert_eq!(sandbox.requests(), 0);
    assert_eq!(std::fs::read(sandbox.dotenv()).unwrap(), before);
}

#[test]
fn names_that_nobody_has_are_answered_with_the_nearest_one() {
    let sandbox = Sandbox::new("layers");
    nothing_is_sent(
        &sandbox,
        &[
            (&["rotate", "hoks", "--yes"], 4, "there is no target `hoks`", "hint: did you mean `hooks`?"),
            (&["cutover", "hoks"], 4, "there is no target `hoks`", "hint: did you mean `hooks`?"),
            (&["inspect", "zzz"], 4, "there is no target `zzz`", "hint: `whsec target list` shows them"),
            (&["rotate", "layrs/x", "--yes"], 2, "no provider is called `layrs`", "hint: did you mean `layers`?"),
            (
                &["rotate", "hooks", "--yes", "--store", "dotnev:a#B"],
                2,
                "there is no such scheme",
                "hint: did you mean `dotenv:`?",
            ),
            (&["rotate", "hooks", "--yes", "--store", "attic"], 2, "it has no scheme", "hint: the schemes are"),
            (&["rotate", "hooks", "--yes", "--store", "command:op"], 2, "there is no [commands.op]", ""),
            (
                &["rotate", "hooks", "--yes", "--id", "endpoint=x"],
                2,
                "has no id called `endpoint`",
                "hint: did you mean `endpointId`?",
            ),
            (
                &["rotate", "layers/x", "--yes"],
                2,
                "`layers/x` has no store to keep the new secret in",
                "hint: name one: --store",
            ),
        ],
    );
    sandbox.run(&["reveal", "hooks", "--slot", "curent"]).exits(2).says("similar value exists: 'current'");
    sandbox.run(&["rotat", "hooks"]).exits(2).says("'rotate'");
    sandbox.run(&["cutover", "hooks", "--done", "depoly"]).exits(2).says("'deploy'");
}

#[test]
fn b11_a_secret_in_the_place_of_a_name_is_not_repeated() {
    let sandbox = Sandbox::new("layers");
    let id = sandbox.id();
    let lines = [
        "rotate SECRET --yes",
        "force-rotate SECRET --reason x",
        "force-rotate hooks --reason x --leaked SECRET",
        "cutover SECRET",
        "finish SECRET",
        "rollback SECRET",
        "abandon SECRET --reason x",
        "inspect SECRET",
        "status SECRET",
        "history SECRET",
        "verify SECRET",
        "verify hooks SECRET",
        "probe SECRET",
        "probe hooks --receiver SECRET",
        "fingerprint SECRET",
        "reveal SECRET",
        "reveal SECRET --unsafe-stdout",
        "target show SECRET",
        "target remove SECRET --yes",
        "target trust SECRET",
        "target add other SECRET",
        "target edit SECRET --owner x",
        "target edit hooks --unset SECRET",
        "target edit hooks --store SECRET --yes",
        "target edit hooks --receiver SECRET --yes",
        "target edit hooks --api-key-from SECRET --yes",
        "target edit hooks --max-age SECRET --yes",
        "target edit hooks --auth SECRET --yes",
        "target edit hooks --base-url SECRET --yes",
        "target edit hooks --label SECRET --yes",
        "import SECRET",
        "discover SECRET --dry-run",
        "discover layers --store SECRET",
        "provider show SECRET",
        "provider check SECRET",
        "rehearse SECRET",
        "login SECRET",
        "logout SECRET",
        "store check SECRET",
        "store check fiel:SECRET",
        "rotate SECRET/x --yes",
        "rotate hooks --yes --store SECRET",
        "rotate hooks --yes --base-url SECRET",
        "rotate hooks --yes --api-key-file SECRET",
        "cutover hooks --done deploy=SECRET",
        "status --config SECRET",
    ];
    for line in lines {
        let words = line.replace("SECRET", "whsec_c2VjcmV0LWluLXRoZS13cm9uZw");
        let words: Vec<&str> = words.split(' ').collect();
        for json in [&[][..], &["--json"]] {
            let run = sandbox.run(&[&words, json].concat());
            assert_eq!(run.code == 0, line.starts_with("history"), "{line}");
            let said = format!("{}{}", run.stdout, run.stderr);
            assert!(!said.contains("c2VjcmV0"), "{line}: {said}");
        }
    }
    // What is no secret is, for whoever reads the log of a job.
    sandbox.run(&["inspect", "payments-production"]).exits(4).says("there is no target `payments-production`");
    sandbox.run(&["verify", "hooks", "delivery.http"]).exits(2).says("cannot read `delivery.http`");
    // Nor is what is near enough to a known name, however it looks.
    let text = sandbox.config_text().replace("[targets.hooks]", "[targets.hooks20261121production]");
    sandbox.config(&text.replace(&id, "another"));
    let run = sandbox.run(&["inspect", "hooks20261121productoin"]).exits(4);
    run.says("there is no target `hooks20261121productoin`").says("did you mean `hooks20261121production`?");
    assert_eq!(sandbox.requests(), 0);
}

#[test]
fn ids_that_could_name_another_path_are_refused() {
    let sandbox = Sandbox::new("layers");
    nothing_is_sent(
        &sandbox,
        &[
            (&["rotate", "layers/", "--yes"], 2, "is empty", "hint: copy the id as the provider shows it"),
            (&["rotate", "layers/..", "--yes"], 2, "would name another path", "hint: copy the id"),
            (&["rotate", "layers/a/b", "--yes"], 2, "gives 2 of the 1 ids", "hint: write `layers/endpointId`"),
            (&["rotate", "hooks", "--yes", "--id", "endpointId=a/b"], 2, "has a slash in it", "hint: copy the id"),
            (&["rotate", "hooks", "--yes", "--id", "endpointId=a\nb"], 2, "a control character", "hint: copy the id"),
            (
                &["rotate", "kadosei/a", "--yes"],
                2,
                "gives 1 of the 2 ids",
                "hint: write `kadosei/applicationId/webhookId`",
            ),
            (
                &["rotate", "kadosei/a/b", "--yes"],
                2,
                "`kadosei` has no default `base_url`",
                "hint: give it as `base_url`",
            ),
        ],
    );
    sandbox.edit_config("\"id0-7Qx\"", "\"../whk_2\"");
    nothing_is_sent(&sandbox, &[(&["rotate", "hooks", "--yes"], 2, "has a slash in it", "hint: copy the id")]);
}

#[test]
fn a_key_never_goes_over_plain_http_to_another_machine() {
    let sandbox = Sandbox::new("signa");
    let rows: &[Row<'_>] = &[
        (
            &["rotate", "hooks", "--yes", "--base-url", "http://signa.example"],
            2,
            "http goes only to this machine; use https",
            "hint: write it as https://HOST",
        ),
        (
            &["rotate", "hooks", "--yes", "--base-url", "https://u:p@signa.example"],
            2,
            "it has a user or a password in it",
            "hint: write it as https://HOST",
        ),
        (
            &["rotate", "hooks", "--yes", "--receiver", "http://hooks.example"],
            2,
            "is not https; http is for loopback only",
            "",
        ),
    ];
    nothing_is_sent(&sandbox, rows);
}

#[test]
fn a_config_that_cannot_be_read_is_named_with_line_and_column() {
    let sandbox = Sandbox::new("signa");
    let whole = sandbox.config_text();
    let file = sandbox.path("home/.config/whsec/config.toml");
    let place = |line: usize, column: usize| format!("{}:{line}:{column}: ", file.display());
    let cases = [
        (format!("{whole}\n[targets"), place(11, 9), ""),
        (whole.replace("[targets.hooks]", "[targets.hooks]\nprovider = \"signa\""), place(3, 1), ""),
        (whole.replace("provider =", "provder ="), place(2, 1), "hint: did you mean `provider`?"),
        (whole.replace("\"signa\"", "\"sigma\""), place(2, 12), "hint: did you mean `signa`?"),
        (whole.replace("dotenv:", "dotenf:"), place(5, 9), "hint: did you mean `dotenv:`?"),
        (whole.replace("api_key = \"file:", "api_key = \"sk_live_123:"), place(6, 11), "never holds the key itself"),
    ];
    for (text, place, hint) in cases {
        sandbox.config(&text);
        let run = sandbox.run(&["rotate", "hooks", "--yes"]).exits(2).says(&place).says(hint);
        assert!(!run.stderr.contains("sk_live_123"));
    }
    sandbox.run(&["status", "--config", "/nowhere.toml"]).exits(2).says("there is no config file `/nowhere.toml`");
    assert_eq!(sandbox.requests(), 0);
}

#[test]
fn a_missing_or_refused_key_is_exit_3_with_the_ways_to_give_one() {
    let sandbox = Sandbox::new("signa");
    let key_line = format!("api_key = \"file:{}\"\n", sandbox.path("key").display());
    sandbox.edit_config(&key_line, "");
    nothing_is_sent(
        &sandbox,
        &[(
            &["rotate", "hooks", "--yes"],
            3,
            "there is no API key for `signa` at http://127.0.0.1",
            "hint: set SIGNA_API_KEY",
        )],
    );
    sandbox.run(&["rotate", "hooks", "--yes", "--api-key-file", "none"]).exits(3).says("cannot read the API key file");
    std::fs::write(sandbox.path("work/wrong"), "wrong_key_000000000").unwrap();
    let old = sandbox.newest();
    let run = sandbox.run(&["rotate", "hooks", "--yes", "--api-key-file", "wrong", "--json"]).exits(3);
    assert_eq!((run.json()["error"]["kind"].as_str(), run.json()["status"].as_str()), (Some("auth"), Some("failed")));
    let wrong = sandbox.path("work/wrong");
    run.says("Signa does not accept this API key (status 401")
        .says(&format!("hint: the API key came from the file `{}`: replace it there", wrong.display()));
    let mut command = sandbox.command(&["inspect", "hooks"]);
    let run = sandbox.watch(command.env("SIGNA_API_KEY", "wrong_key_000000000").output().unwrap()).exits(3);
    run.says("hint: the API key came from the environment variable `SIGNA_API_KEY`: replace it there");
    assert_eq!((sandbox.rotations(), sandbox.rotate_requests().len()), (0, 0));
    assert_eq!(sandbox.slot(""), Some(old));

    let verifa = Sandbox::new("verifa");
    std::fs::write(verifa.path("key"), "vk_pub_live_0123456789").unwrap();
    verifa.rotate().exits(3).says("that is a publishable key, which may not manage webhooks");
    assert_eq!(verifa.requests(), 0);
}

#[test]
fn a_provider_that_wants_to_be_left_alone_for_long_is_quoted() {
    let sandbox = Sandbox::new("signa");
    let busy = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 120\r\nContent-Length: 2\r\n\r\n{}".to_vec();
    sandbox.stand_in.fault(Fault::Raw(busy));
    let run = sandbox.rotate().exits(13);
    run.says("rate limited (status 429)").says("hint: nothing was rotated; run it again in 2m 00s");
}

#[test]
fn an_endpoint_that_the_provider_does_not_know_is_exit_4() {
    for name in ["layers", "signa", "hopae", "kadosei", "verifa"] {
        let sandbox = Sandbox::new(name);
        sandbox.edit_config("-7Qx\"", "-8Qx\"");
        let id = sandbox.id().replace("-7Qx", "-8Qx");
        sandbox
            .run(&["rotate", "hooks", "--yes", "--confirm", &id, "--done", "prepare"])
            .exits(4)
            .says("hint: check the ids");
        assert_eq!(sandbox.rotate_requests().len(), 0, "{name}");
    }
}

#[test]
fn a_second_rotation_in_an_open_overlap_is_refused() {
    for name in ["layers", "signa"] {
        let sandbox = Sandbox::new(name);
        sandbox.rotate().exits(0);
        let run = sandbox.run(&["rotate", "hooks", "--yes", "--json"]).exits(5);
        assert_eq!(run.json()["error"]["kind"], "conflict");
        run.says("a rotation of `id0-7Qx` is open already").says("hint: go on with it: whsec cutover hooks");
        assert_eq!(sandbox.rotate_requests().len(), 1, "{name}");
    }
}

#[test]
fn a_second_process_on_the_same_endpoint_is_refused_at_once() {
    let sandbox = Sandbox::new("signa");
    sandbox.run(&["status"]).exits(0);
    let key = sandbox.endpoint().key();
    let lock = EndpointLock::take(&sandbox.state(), &key, "ana@box, process 7, since noon").unwrap();
    let id = sandbox.id();
    for arguments in [
        vec!["rotate", "hooks", "--yes"],
        vec!["cutover", "hooks"],
        vec!["finish", "hooks"],
        vec!["rollback", "hooks"],
        vec!["abandon", "hooks", "--reason", "x", "--yes"],
        vec!["force-rotate", "hooks", "--reason", "x", "--confirm", &id, "--done", "prepare"],
    ] {
        sandbox
            .run(&arguments)
            .exits(5)
            .says("another whsec works on this endpoint (ana@box, process 7, since noon)")
            .says("hint: wait until it is through");
        // A script waits for it, and for no other conflict.
        let object = sandbox.run(&[&arguments[..], &["--json"]].concat()).exits(5).json();
        assert_eq!(object["error"]["busy"], true, "{object}");
    }
    assert_eq!(sandbox.requests(), 0);
    drop(lock);
    // A program that another test starts at this moment may hold it until it is started.
    sandbox.until("the lock to be free", |sandbox| sandbox.rotate().code == 0);
    let object = sandbox.run(&["rotate", "hooks", "--yes", "--json"]).exits(5).json();
    assert_eq!(object["error"]["busy"], serde_json::Value::Null, "{object}");
}

#[test]
fn twenty_processes_at_once_rotate_once() {
    let sandbox = Sandbox::new("hopae");
    let id = sandbox.id();
    let children: Vec<_> =
        (0..20).map(|_| sandbox.spawn(&["rotate", "hooks", "--confirm", &id, "--done", "prepare"])).collect();
    let mut codes: Vec<i32> = children.into_iter().map(|child| sandbox.finish(child).code).collect();
    codes.sort_unstable();
    assert_eq!(codes[0], 0);
    assert!(codes[1..].iter().all(|code| *code == 5), "{codes:?}");
    assert_eq!(sandbox.rotations(), 1);
}

#[test]
fn a_question_without_a_terminal_names_the_flag_that_answers_it() {
    let sandbox = Sandbox::new("layers");
    nothing_is_sent(
        &sandbox,
        &[
            (
                &["rotate", "hooks"],
                2,
                "`--yes` is needed, and there is nobody to ask",
                "hint: give --yes on the command line",
            ),
            (&["rotate", "hooks", "--no-input"], 2, "`--yes` is needed", "hint: give --yes"),
        ],
    );
    let verifa = Sandbox::new("verifa");
    let rows: &[Row<'_>] =
        &[(&["rotate", "hooks", "--yes"], 2, "`--confirm id0-7Qx` is needed", "hint: give --confirm id0-7Qx")];
    nothing_is_sent(&verifa, rows);
    verifa.rotate().exits(0);
    let run = verifa.run(&["cutover", "hooks"]).exits(11);
    assert!(run.stderr.contains("--done deploy"), "the flag that answers is named:\n{}", run.stderr);
}

#[test]
fn keys_of_ones_own_are_checked_before_anything_is_sent() {
    let sandbox = Sandbox::new("layers");
    nothing_is_sent(
        &sandbox,
        &[(&["rotate", "hooks", "--yes", "--idempotency-key", "not a uuid"], 2, "the idempotency key", "hint: leave")],
    );
    let kadosei = Sandbox::new("kadosei");
    nothing_is_sent(
        &kadosei,
        &[(
            &["rotate", "hooks", "--confirm", "id1-7Qx", "--done", "prepare", "--idempotency-key", "k"],
            2,
            "`kadosei` takes no idempotency key",
            "hint: leave `--idempotency-key` out; a repeated call would rotate again",
        )],
    );
}

#[test]
fn a_clap_error_is_an_object_as_well_with_json() {
    let sandbox = Sandbox::new("layers");
    let run: Run = sandbox.run(&["rotate", "--json", "--frobnicate"]).exits(2);
    let json = run.json();
    assert_eq!((json["exit"].as_i64(), json["error"]["kind"].as_str()), (Some(2), Some("usage")));
    assert_eq!(json["status"], Value::from("failed"));
}

#[test]
fn stdout_cannot_be_a_store_and_carry_json() {
    let sandbox = Sandbox::new("hopae");
    let id = sandbox.id();
    let line = ["rotate", "hooks", "--confirm", &id, "--done", "prepare", "--store", "stdout:", "--json"];
    sandbox.run(&line).exits(2).says("`stdout:` cannot share stdout");
    assert_eq!(sandbox.requests(), 0);
    let run = sandbox
        .run_revealing(&["rotate", "hooks", "--confirm", &id, "--done", "prepare", "--store", "stdout:"])
        .exits(0);
    assert_eq!(run.stdout.trim_end(), sandbox.newest().expose());
    assert!(!run.stderr.contains(sandbox.newest().expose()));
    assert!(std::fs::read_to_string(sandbox.dotenv()).unwrap().contains(KEY));
}

#[test]
fn a18_who_had_no_turn_to_look_goes_on_waiting() {
    use rustix::process::{Pid, Signal, kill_process};
    use std::time::Duration;

    let sandbox = Sandbox::new("signa");
    let held = std::fs::File::open(sandbox.dotenv().parent().unwrap()).unwrap();
    held.lock().unwrap();
    let child = sandbox.spawn(&["rotate", "hooks", "--yes"]);
    let process = Pid::from_child(&child);
    // The endpoint is asked before the store is tried.
    sandbox.until("the store's turn", |sandbox| sandbox.requests() > 0);
    std::thread::sleep(Duration::from_millis(500));
    kill_process(process, Signal::STOP).unwrap();
    std::thread::sleep(Duration::from_secs(4));
    kill_process(process, Signal::CONT).unwrap();
    // It looks once more before the lock is free.
    std::thread::sleep(Duration::from_millis(300));
    drop(held);
    sandbox.finish(child).exits(0);
}
