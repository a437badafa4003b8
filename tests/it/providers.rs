//! All five providers from rotate to the last step, off a terminal: exit codes, JSON, slots, and the bytes on the wire.

use serde_json::{Value, json};
use whsec::secret::Secret;

use crate::sandbox::{OVERLAP, Run, Sandbox};

/// Replaces what differs from run to run by a word for it.
fn shape(sandbox: &Sandbox, old: &Secret, value: &Value) -> Value {
    let text = |text: &str| {
        let text = text.replace(&sandbox.path("").to_string_lossy().into_owned(), "BOX/");
        let text = text.replace(&sandbox.newest().fingerprint().to_string(), "NEW");
        let text = text.replace(&old.fingerprint().to_string(), "OLD");
        let is_time = text.parse::<jiff::Timestamp>().is_ok();
        let is_id = uuid::Uuid::parse_str(&text).is_ok();
        match () {
            () if is_time => "TIME".to_owned(),
            () if is_id => "UUID".to_owned(),
            () if text.starts_with("oncall@") => "BY".to_owned(),
            () => text,
        }
    };
    match value {
        Value::String(string) => Value::String(text(string)),
        Value::Array(items) => items.iter().map(|item| shape(sandbox, old, item)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, field)| (name.clone(), shape(sandbox, old, field))).collect()
        }
        other => other.clone(),
    }
}

/// The steps of a result as `step:state`, done ones with how.
fn steps(run: &Run) -> Vec<String> {
    let json = run.json();
    let word = |step: &Value| match step["how"].as_str() {
        Some(how) => format!("{} {how}", step["step"].as_str().unwrap()),
        None => step["step"].as_str().unwrap().to_owned(),
    };
    json["steps"].as_array().unwrap().iter().map(word).collect()
}

/// What the provider's own page shows of a request, with the page's ids and key replaced by the sandbox's.
fn assert_as_on_the_page(sandbox: &Sandbox, fixture: &str, ids: &[&str], key: &str, ours: &[(&str, &str)]) {
    let path = format!("{}/tests/fixtures/{fixture}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let (head, body) = text.split_once("\n\n").unwrap_or((text.trim_end(), ""));
    let mut lines = head.lines();
    let (method, url) = lines.next().unwrap().split_once(' ').unwrap();
    let mut page_path = format!("/{}", url.splitn(4, '/').nth(3).unwrap());
    for (at, id) in ids.iter().enumerate() {
        page_path = page_path.replacen(&format!("/{id}/"), &format!("/id{at}-7Qx/"), 1);
    }
    let seen = sandbox.rotate_requests().pop().unwrap();
    assert_eq!((seen.method.as_str(), seen.path.as_str()), (method, page_path.as_str()), "{fixture}");
    let mut expected: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.replace(key, sandbox.api_key.expose())))
        .chain(ours.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
        .collect();
    let plumbing = ["host", "accept", "user-agent", "content-length"];
    let mut sent: Vec<(String, String)> =
        seen.headers.into_iter().filter(|(name, _)| !plumbing.contains(&name.as_str())).collect();
    for (name, value) in expected.iter_mut().chain(&mut sent) {
        // Every call has a key of its own.
        if name == "idempotency-key" {
            assert!(!value.is_empty());
            "a key".clone_into(value);
        }
    }
    sent.sort();
    expected.sort();
    assert_eq!(sent, expected, "{fixture}");
    let json = |text: &str| serde_json::from_str::<Value>(text).ok();
    assert_eq!(json(&seen.body), json(body.trim_end()), "{fixture}");
    assert_eq!(seen.body.is_empty(), body.trim_end().is_empty(), "{fixture}");
}

#[test]
fn layers_waits_before_the_new_secret_goes_live() {
    let sandbox = Sandbox::with_window("layers", OVERLAP);
    let old = sandbox.newest();

    let run = sandbox.run(&["rotate", "hooks", "--yes", "--json"]).exits(0);
    assert_eq!(sandbox.slots(&old), ["new", "old", "empty"]);
    let new = sandbox.newest();
    let store = "dotenv:BOX/work/receiver.env#HOOK_SECRET";
    let done =
        |step: &str| json!({"step": step, "state": "done", "at": "TIME", "by": "BY", "how": "tool", "reason": null});
    let open = |step: &str| json!({"step": step, "state": "open"});
    assert_eq!(
        shape(&sandbox, &old, &run.json()),
        json!({
            "schema": "whsec/v1", "command": "rotate", "status": "stored", "exit": 0,
            "target": "hooks", "provider": "layers", "endpoint": "id0-7Qx", "new_endpoint": null, "rotation": "UUID",
            "replaces": null, "direction": "overlap-either", "owner": null, "reason": null, "opened_at": "TIME",
            "adopted": false, "adopted_by": null, "adopted_because": null, "handed_over": null, "closed_at": null, "closed_because": null,
            "secret": {"fingerprint": "NEW", "version": null, "provider_fingerprint": null},
            "previous": {"fingerprint": "OLD", "expires_at": "TIME", "expires_source": "provider"},
            "stores": [{"store": store, "slot": "next", "state": "stored"}],
            "steps": [done("check"), done("issue"), done("stage"), open("deploy"), open("verify"), open("wait"),
                      open("promote"), open("retire"), open("drop")],
            "contained": null,
            "leaking_since": null,
            "receivers": [],
            "deliveries": [],
            "next": {"step": "deploy", "command": "whsec cutover hooks"},
            "error": null,
        })
    );
    assert_as_on_the_page(&sandbox, "layers/rotate.request.http", &["d4c71b62-..."], "$LAYERS_API_KEY", &[]);

    let run = sandbox.run(&["cutover", "hooks", "--done", "deploy", "--done", "verify", "--json"]).exits(11);
    assert_eq!(run.json()["status"], "waiting");
    assert_eq!(run.json()["next"], json!({"step": "wait", "command": "whsec cutover hooks"}));
    assert_eq!(sandbox.slots(&old), ["new", "old", "empty"]);

    let run = sandbox.run(&["cutover", "hooks", "--wait", "--json"]).exits(11);
    assert_eq!(run.json()["next"]["step"], "drop");
    assert_eq!(sandbox.slots(&old), ["empty", "new", "empty"]);

    let run = sandbox.run(&["cutover", "hooks", "--done", "drop", "--reason", "release 214", "--json"]).exits(0);
    assert_eq!(
        steps(&run),
        [
            "check tool",
            "issue tool",
            "stage tool",
            "deploy word",
            "verify word",
            "wait clock",
            "promote tool",
            "retire tool",
            "drop word"
        ]
    );
    assert_eq!((&run.json()["status"], &run.json()["next"]), (&json!("done"), &Value::Null));
    assert_eq!(sandbox.newest(), new);
    assert_eq!(sandbox.rotations(), 1);
    assert!(sandbox.leftovers().is_empty(), "{:?}", sandbox.leftovers());
    let text = std::fs::read_to_string(sandbox.dotenv()).unwrap();
    assert_eq!(text, format!("# receiver\nPORT=8080\nHOOK_SECRET={}\nLAST=1\n", new.expose()));
}

#[test]
fn signa_goes_live_at_once_and_removes_the_old_secret_after_the_overlap() {
    let sandbox = Sandbox::with_window("signa", OVERLAP);
    let old = sandbox.newest();
    let run = sandbox.run(&["rotate", "hooks", "--yes", "--json"]).exits(0);
    assert_eq!(sandbox.slots(&old), ["empty", "new", "old"]);
    let json = run.json();
    assert_eq!((&json["status"], &json["direction"]), (&json!("stored"), &json!("overlap-switch")));
    assert_eq!(json["secret"]["version"], "2");
    assert_eq!(json["previous"]["expires_source"], "documented");
    assert_as_on_the_page(&sandbox, "signa/rotate.request.http", &["whk_01HK..."], "$SIGNA_API_KEY", &[]);

    sandbox.run(&["cutover", "hooks", "--done", "deploy"]).exits(11).says("next: verify");
    assert_eq!(sandbox.slots(&old), ["empty", "new", "old"]);
    sandbox.run(&["cutover", "hooks", "--done", "verify", "--wait"]).exits(11).says("next: drop");
    assert_eq!(sandbox.slots(&old), ["empty", "new", "empty"]);
    let run = sandbox.run(&["cutover", "hooks", "--done", "drop", "--json"]).exits(0);
    assert_eq!(
        steps(&run),
        [
            "check tool",
            "issue tool",
            "stage tool",
            "promote tool",
            "deploy word",
            "verify word",
            "wait clock",
            "retire tool",
            "drop word"
        ]
    );
    assert_eq!(sandbox.rotations(), 1);
    assert!(sandbox.leftovers().is_empty());
}

#[test]
fn at_instant_providers_the_new_secret_goes_live_as_soon_as_it_is_stored() {
    type Page = (&'static str, &'static [&'static str], &'static str, &'static [(&'static str, &'static str)]);
    let pages: [Page; 3] = [
        ("hopae", &["abc123"], "sk_workspace_test_...", &[("idempotency-key", "a key")]),
        ("kadosei", &["example_string", "example_string"], "YOUR_API_TOKEN (JWT)", &[]),
        ("verifa", &["wh_abc123"], "<apiKey>", &[("key-inflection", "snake")]),
    ];
    for (name, ids, key, ours) in pages {
        let sandbox = Sandbox::new(name);
        let old = sandbox.newest();
        let id = sandbox.id();
        let run = sandbox.run(&["rotate", "hooks", "--confirm", &id, "--done", "prepare", "--json"]).exits(0);
        assert_eq!(sandbox.slots(&old), ["empty", "new", "old"], "{name}");
        let json = run.json();
        assert_eq!((&json["status"], &json["direction"]), (&json!("stored"), &json!("instant")), "{name}");
        assert_eq!(json["previous"]["expires_source"], "call", "{name}");
        assert_eq!(json["next"]["step"], "deploy", "{name}");
        assert_eq!(json["secret"]["provider_fingerprint"].is_string(), name == "kadosei");
        assert_as_on_the_page(&sandbox, &format!("{name}/rotate.request.http"), ids, key, ours);

        let run = sandbox.run(&["cutover", "hooks", "--done", "deploy", "--done", "verify", "--json"]).exits(11);
        assert_eq!(run.json()["next"]["step"], "drop", "{name}");
        assert_eq!(sandbox.slots(&old), ["empty", "new", "empty"], "{name}");
        let run = sandbox.run(&["cutover", "hooks", "--done", "drop", "--json"]).exits(0);
        assert_eq!(
            steps(&run),
            [
                "check tool",
                "prepare word",
                "issue tool",
                "stage tool",
                "promote tool",
                "deploy word",
                "verify word",
                "retire tool",
                "drop word"
            ]
        );
        assert_eq!(sandbox.rotations(), 1, "{name}");
        assert_eq!(sandbox.rotate_requests().len(), 1, "{name}");
        assert!(sandbox.leftovers().is_empty(), "{name}");
        sandbox.run(&["cutover", "hooks"]).exits(0).says("nothing to do");
        sandbox.run(&["finish", "hooks"]).exits(4).says("no rotation of `hooks` is open");
    }
}

#[test]
fn several_stores_change_together() {
    let sandbox = Sandbox::new("verifa");
    let old = sandbox.newest();
    std::fs::write(sandbox.path("work/app.json"), format!("{{\"hooks\": {{\"key\": \"{}\"}}}}", old.expose())).unwrap();
    std::fs::write(sandbox.path("work/mounted"), old.expose()).unwrap();
    sandbox.stores(&["dotenv:./receiver.env#HOOK_SECRET", "json:./app.json#/hooks/key", "file:./mounted"]);
    let run = sandbox.rotate().exits(0);
    let new = sandbox.newest();
    assert_eq!(sandbox.slots(&old), ["empty", "new", "old"]);
    let json: Value = serde_json::from_slice(&std::fs::read(sandbox.path("work/app.json")).unwrap()).unwrap();
    assert_eq!(json, json!({"hooks": {"key": new.expose(), "key_old": old.expose()}}));
    assert_eq!(std::fs::read_to_string(sandbox.path("work/mounted")).unwrap(), new.expose());
    assert_eq!(std::fs::read_to_string(sandbox.path("work/mounted.previous")).unwrap(), old.expose());
    assert!(!sandbox.path("work/mounted.next").exists());
    assert!(run.stderr.contains("mounted: "));
    sandbox.run(&["cutover", "hooks", "--done", "deploy", "--done", "verify", "--done", "drop"]).exits(0);
    assert!(!sandbox.path("work/mounted.previous").exists());
    assert!(sandbox.leftovers().is_empty());
}

#[test]
fn detach_stops_as_soon_as_every_store_has_the_secret() {
    let sandbox = Sandbox::new("signa");
    let old = sandbox.newest();
    sandbox.run(&["rotate", "hooks", "--yes", "--detach"]).exits(0).says("next: promote");
    assert_eq!(sandbox.slots(&old), ["new", "old", "empty"]);
    sandbox.run(&["cutover", "hooks"]).exits(11).says("next: deploy");
    assert_eq!(sandbox.slots(&old), ["empty", "new", "old"]);
}

#[test]
fn a_dry_run_shows_the_plan_and_sends_nothing() {
    for name in ["layers", "signa", "hopae", "kadosei", "verifa"] {
        let sandbox = Sandbox::new(name);
        let old = sandbox.newest();
        let run = sandbox.run(&["rotate", "hooks", "--dry-run", "--json"]).exits(0);
        assert_eq!(run.json()["status"], "planned", "{name}");
        assert!(run.stderr.contains("dry run: nothing was sent"), "{name}");
        assert_eq!(sandbox.requests(), 0, "{name}");
        assert_eq!(sandbox.slots(&old), ["empty", "new", "empty"], "{name}: the first secret is the newest");
        sandbox.run(&["cutover", "hooks"]).exits(0).says("never been rotated");
    }
}

#[test]
fn d1_a_word_in_braces_that_stands_for_nothing_is_never_sent() {
    let sandbox = Sandbox::new("signa");
    let text = std::fs::read_to_string("src/provider/builtin/signa.toml").unwrap();
    sandbox.description("signa", &text.replacen("[rotate]\n", "[rotate]\nbody = { secret = \"{secret}\" }\n", 1));
    let file = sandbox.path("home/.config/whsec/providers/signa.toml");
    let checked = sandbox.run(&["provider", "check", &file.display().to_string()]).exits(2);
    checked.says("`rotate.body.secret` has `{secret}`, which stands for nothing there and would be sent as it stands");
    sandbox.rotate().exits(2).says("`{secret}`");
    assert_eq!(sandbox.requests(), 0);
}
