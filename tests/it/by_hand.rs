//! A person has the provider make the new secret: it is asked for at a terminal without being shown, or taken out of a pipe; sealed at
//! once, and judged before a store is touched. The receivers here verify by the providers' own documents, and not by our descriptions.

use std::sync::{Arc, Mutex};

use hmac::{Hmac, KeyInit, Mac};

use crate::sandbox::{Run, Sandbox};
use crate::screen::Terminal;
use crate::servers::http::{Answer, Request, Server};

/// An app whose page can be pressed, and a receiver that verifies with what its deploy has read.
struct Scene {
    sandbox: Sandbox,
    accepted: Arc<Mutex<Vec<String>>>,
    _receiver: Server,
}

impl Scene {
    fn new(provider: &str) -> Self {
        let sandbox = Sandbox::new(provider);
        let accepted = Arc::new(Mutex::new(vec![sandbox.newest().expose().to_owned()]));
        let known = Arc::clone(&accepted);
        let receiver = Server::start(move |request| {
            let is_ours = known.lock().unwrap().iter().any(|secret| is_signed(request, secret));
            Answer::Json(if is_ours { 204 } else { 401 }, String::new())
        });
        sandbox.edit_config("store = ", &format!("receivers = [\"{}/hooks\"]\nstore = ", receiver.url()));
        Self { sandbox, accepted, _receiver: receiver }
    }

    fn deploy(&self, suffixes: &[&str]) {
        let read = suffixes.iter().filter_map(|suffix| self.sandbox.slot(suffix));
        *self.accepted.lock().unwrap() = read.map(|secret| secret.expose().to_owned()).collect();
    }

    fn run(&self, words: &str) -> Run {
        self.sandbox.run(&words.split_whitespace().collect::<Vec<_>>())
    }

    fn piped(&self, words: &str, secret: &str) -> Run {
        self.sandbox.run_with_stdin(&words.split_whitespace().collect::<Vec<_>>(), secret)
    }
}

/// As Slack's page has it, `v0:TIMESTAMP:BODY`, and as Stripe's, `TIMESTAMP.BODY`.
fn is_signed(request: &Request, secret: &str) -> bool {
    let header = |name: &str| request.headers.get(name).cloned().unwrap_or_default();
    let hex = |before: String| {
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(before.as_bytes());
        mac.update(&request.body);
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let now = jiff::Timestamp::now().as_second();
    let is_fresh = |stamp: &str| stamp.parse::<i64>().is_ok_and(|stamp| now.abs_diff(stamp) <= 300);
    let (stamp, stripe) = (header("x-slack-request-timestamp"), header("stripe-signature"));
    if !stamp.is_empty() {
        return is_fresh(&stamp) && header("x-slack-signature") == format!("v0={}", hex(format!("v0:{stamp}:")));
    }
    // As Shopify's page has it: base64 of the MAC of the body alone.
    if request.headers.contains_key("x-shopify-hmac-sha256") {
        use base64::Engine;
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(&request.body);
        let bytes = mac.finalize().into_bytes();
        return header("x-shopify-hmac-sha256") == base64::engine::general_purpose::STANDARD.encode(bytes);
    }
    let part = |name: &str| stripe.split(',').filter_map(|pair| pair.strip_prefix(name)).collect::<Vec<_>>();
    let stamp = part("t=").first().copied().unwrap_or_default().to_owned();
    is_fresh(&stamp) && part("v1=").contains(&hex(format!("{stamp}.")).as_str())
}

#[test]
fn a_script_pipes_the_new_secret_in_and_the_walk_ends_by_probes() {
    let scene = Scene::new("slack");
    let old = scene.sandbox.newest();
    let new = scene.sandbox.stand_in.rotate_by_hand();
    let run = scene.piped("rotate hooks --yes --secret - --json", &format!("{}\n", new.expose())).exits(0);
    assert_eq!(run.json()["direction"], "hand");
    assert_eq!(scene.sandbox.slots(&old), ["empty", "new", "old"]);
    scene.deploy(&[""]);
    scene.run("cutover hooks --done deploy").exits(0).says("verify: proved by every receiver");
    assert_eq!((scene.sandbox.slot(""), scene.sandbox.slot("_OLD")), (Some(new), None));
    assert_eq!(scene.sandbox.requests(), 0, "nothing is ever sent to the provider");
    assert!(scene.sandbox.leftovers().is_empty());
}

#[test]
fn at_a_provider_that_keeps_the_old_one_for_a_day_both_are_accepted_until_then() {
    let scene = Scene::new("stripe");
    let old = scene.sandbox.newest();
    let new = scene.sandbox.stand_in.rotate_by_hand();
    let run = scene.piped("rotate hooks --yes --secret - --json", new.expose()).exits(0).json();
    assert_eq!(
        (run["direction"].as_str(), run["previous"]["expires_source"].as_str()),
        (Some("hand-either"), Some("documented"))
    );
    assert_eq!(scene.sandbox.slots(&old), ["new", "old", "empty"]);
    scene.deploy(&["", "_NEW"]);
    scene.run("cutover hooks --done deploy").exits(11).says("accepts both");
    assert_eq!(scene.sandbox.slot(""), Some(old));
}

#[test]
fn at_a_terminal_it_is_asked_for_last_hidden_and_again_where_it_is_not_the_new_one() {
    let scene = Scene::new("slack");
    let old = scene.sandbox.newest();
    let mut terminal = Terminal::run(&scene.sandbox, &["rotate", "hooks"]);
    terminal.expect("nothing: you make the new secret").expect("Rotate now?").types("y").expect("prepare: done?");
    terminal.types("y").expect("New secret (hidden)").listens();
    assert_eq!((scene.sandbox.slot(""), scene.sandbox.slot("_NEW")), (Some(old.clone()), None));
    terminal.types(&format!("{}\r", old.expose())).expect("it is the one that is live");
    terminal.expect("(hidden)").listens().types("short\r").expect("it has 5 characters").expect("(hidden)").listens();
    let new = scene.sandbox.stand_in.rotate_by_hand();
    terminal.types(&format!("{}\r", new.expose())).expect("taken and sealed").expect("deploy: done?");
    scene.deploy(&[""]);
    terminal.types("y").expect("done: hooks lives on");
    let seen = terminal.exits(0);
    assert!([&old, &new].iter().all(|secret| !seen.contains(secret.expose())) && !seen.contains("short"), "{seen}");
    assert_eq!((scene.sandbox.slot(""), scene.sandbox.requests()), (Some(new), 0));
}

#[test]
fn whoever_leaves_at_the_page_comes_back_to_it_and_a_pipe_may_take_over() {
    let scene = Scene::new("slack");
    let old = scene.sandbox.newest();
    let mut terminal = Terminal::run(&scene.sandbox, &["rotate", "hooks", "--yes", "--done", "prepare"]);
    terminal.expect("(hidden)").listens().types("\u{3}");
    terminal.exits(130);
    assert_eq!((scene.sandbox.slot(""), scene.sandbox.slot("_NEW")), (Some(old), None));
    scene.run("cutover hooks --yes --done prepare").exits(11).says("cutover hooks --secret - --yes");
    let new = scene.sandbox.stand_in.rotate_by_hand();
    scene.piped("cutover hooks --yes --secret -", new.expose()).exits(11).says("next: deploy");
    assert_eq!(scene.sandbox.slot(""), Some(new));
}

#[test]
fn what_is_not_the_new_secret_is_refused_before_anything_is_touched() {
    let scene = Scene::new("stripe");
    let old = scene.sandbox.newest();
    let before = std::fs::read(scene.sandbox.dotenv()).unwrap();
    let two = format!("{} {}", old.expose(), old.expose());
    for (given, why) in [
        ("", "nothing was given"),
        ("whsec_1", "it has 7 characters"),
        (two.as_str(), "white space in the middle"),
        ("sk_live_0123456789abcdef", "they begin with `whsec_`"),
        (old.expose(), "it is the one that is live"),
    ] {
        scene.piped("rotate hooks --yes --secret -", given).exits(2).says(why).says("no store was touched");
        assert_eq!(std::fs::read(scene.sandbox.dotenv()).unwrap(), before);
        scene.run("status --exit-code").exits(0);
    }
    assert!(scene.sandbox.leftovers().is_empty());
    // None of it stands in the way of the right one.
    let new = scene.sandbox.stand_in.rotate_by_hand();
    scene.piped("rotate hooks --yes --secret -", new.expose()).exits(0);
    assert_eq!(scene.sandbox.slot("_NEW"), Some(new));
}

#[test]
fn a_secret_never_comes_by_the_command_line_and_where_nobody_gives_one_the_flag_is_named() {
    let sandbox = Sandbox::new("slack");
    let run =
        sandbox.run(&["rotate", "hooks", "--yes", "--secret", "whsec_0123456789abcdef"]).exits(2).says("pipe it in");
    assert!(!run.stderr.contains("0123456789"), "{}", run.stderr);
    sandbox.run(&["rotate", "hooks", "--yes"]).exits(2).says("nobody to ask").says("--secret -").says("id0-7Qx");
    sandbox.run(&["rotate", "hooks", "--yes", "--api-key-file", "key"]).exits(2).says("is never called");
    sandbox.run(&["login", "slack"]).exits(2).says("it needs no API key");
    sandbox.run(&["rotate", "hooks", "-n"]).exits(0).says("nothing: you make the new secret");
    sandbox.run(&["doctor"]).exits(0);
    let called = Sandbox::new("signa");
    called
        .run_with_stdin(&["rotate", "hooks", "--yes", "--secret", "-"], "whsec_0123456789")
        .exits(2)
        .says("`hand/NAME`");
    assert_eq!(called.requests(), 0);
}

#[test]
fn what_is_piped_in_is_kept_whatever_is_wrong_with_the_stores() {
    let sandbox = Sandbox::new("slack");
    let (old, store) = (sandbox.newest(), sandbox.dotenv());
    let new = sandbox.stand_in.rotate_by_hand();
    let away = sandbox.path("away");
    std::fs::rename(&store, &away).unwrap();
    std::fs::create_dir(&store).unwrap();
    let run = sandbox.run_with_stdin(&["rotate", "hooks", "--yes", "--secret", "-"], new.expose()).exits(8);
    run.says("was sealed in").says("cutover hooks");
    sandbox.run(&["status"]).exits(0);
    // To begin again is no way: what is sealed may be nowhere else.
    sandbox.run_with_stdin(&["rotate", "hooks", "--yes", "--secret", "-"], new.expose()).exits(5).says("cutover hooks");
    std::fs::remove_dir(&store).unwrap();
    std::fs::rename(&away, &store).unwrap();
    sandbox.run(&["cutover", "hooks"]).exits(11).says("next: deploy");
    assert_eq!(sandbox.slots(&old), ["empty", "new", "old"]);
}

#[test]
fn any_endpoint_can_be_rotated_by_hand_without_a_description() {
    let sandbox = Sandbox::new("slack");
    let file = sandbox.path("work/billing.env");
    std::fs::write(&file, "BILLING_SECRET=the-secret-from-before-0123\n").unwrap();
    let arguments =
        ["rotate", "hand/billing", "--store", "dotenv:billing.env#BILLING_SECRET", "--yes", "--secret", "-"];
    let new = "a-secret-of-a-provider-that-nobody-has-described";
    sandbox.run_with_stdin(&arguments, new).exits(0).says("cutover hand/billing");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains(&format!("BILLING_SECRET={new}\n")) && text.contains("_OLD=the-secret"), "{text}");
    let shown = sandbox.run(&["status"]).exits(0);
    assert!(shown.stdout.contains("hand/billing") && !shown.stdout.contains("invalid"), "{}", shown.stdout);
    sandbox.run(&["inspect", "hand/billing"]).exits(0);
    sandbox.run(&["cutover", "hand/billing", "--done", "deploy", "--done", "verify", "--done", "drop"]).exits(0);
}

#[test]
fn a_provider_that_signs_with_a_key_pair_says_that_there_is_nothing_to_rotate() {
    let sandbox = Sandbox::new("slack");
    let run = sandbox.run(&["rotate", "discord/1234", "--store", "dotenv:x.env#Y", "--secret", "-"]).exits(2);
    run.says("Discord signs with a key pair of its own, so there is no secret to rotate");
    sandbox.run(&["rotate", "acme/1", "--store", "dotenv:x.env#Y"]).exits(2).says("`hand/NAME` is any endpoint");
}

#[test]
fn a_leak_is_contained_where_the_page_keeps_the_old_secret() {
    let scene = Scene::new("stripe");
    let old = scene.sandbox.newest();
    let new = scene.sandbox.stand_in.rotate_by_hand();
    let id = scene.sandbox.id();
    let line = format!("force-rotate hooks --reason leaked --yes --confirm {id} --secret - --json");
    assert_eq!(scene.piped(&line, new.expose()).exits(0).json()["direction"], "hand-contain");
    assert_eq!(scene.sandbox.slots(&old), ["empty", "new", "old"]);
    scene.deploy(&[""]);
    scene.run("cutover hooks --done deploy").exits(11).says("drop: proved by every receiver");
}

#[test]
fn the_old_secret_is_ended_by_the_endpoints_id_and_not_before_receivers_accept_the_new_one() {
    let scene = Scene::new("shopify");
    let old = scene.sandbox.newest();
    let new = scene.sandbox.stand_in.rotate_by_hand();
    assert_eq!(scene.sandbox.stand_in.signings(), [[old.clone()]], "a new one does not sign yet");
    let run = scene.piped("rotate hooks --yes --secret - --json", new.expose()).exits(0);
    assert_eq!(
        (run.json()["direction"].as_str(), run.json()["previous"]["expires_at"].is_null()),
        (Some("until-ended"), true)
    );
    // Of no use before the receivers have both.
    scene.run("cutover hooks --done deploy --done end --confirm id0-7Qx").exits(11).says("--done end had no effect");
    scene.deploy(&["", "_NEW"]);
    scene.run("cutover hooks").exits(11).says("accepts both").says("cutover hooks --done end --confirm id0-7Qx");
    scene.run("cutover hooks --done end").exits(2).says("--confirm id0-7Qx");
    scene.run("cutover hooks --done end --confirm another").exits(2).says("that is not the endpoint's id");
    assert_eq!((scene.sandbox.slot(""), scene.sandbox.slot("_NEW")), (Some(old.clone()), Some(new.clone())));
    // Somebody deploys what does not know the new one, and the old one is about to be ended.
    scene.deploy(&[""]);
    scene.run("cutover hooks --done end --confirm id0-7Qx").exits(9).says("old only");
    scene.deploy(&["", "_NEW"]);
    scene.sandbox.stand_in.end_by_hand();
    let waits = scene.run("cutover hooks --done end --confirm id0-7Qx --json").exits(11).json();
    assert_eq!((waits["next"]["step"].as_str(), waits["previous"]["expires_at"].is_null()), (Some("wait"), false));
    scene.run("rollback hooks").exits(9).says("it was ended at the provider");
    assert_eq!(scene.sandbox.slot(""), Some(old));
}

#[test]
fn a_second_endpoint_is_walked_to_the_end_of_the_first_at_a_terminal() {
    let sandbox = Sandbox::new("clerk");
    let new = sandbox.stand_in.rotate_by_hand();
    let mut terminal = Terminal::run(&sandbox, &["rotate", "hooks"]);
    terminal.expect("lives on until you end it").expect("every event").expect("Rotate now?").types("y");
    terminal.expect("(hidden)").listens().types(&format!("{}\r", new.expose())).expect("until you end it");
    terminal.expect("deploy: done?").types("y").expect("verify: done?").types("y");
    terminal
        .expect("delete the")
        .expect("type the endpoint's id")
        .listens()
        .types("another\r")
        .expect("not the endpoint's id");
    terminal.types("\u{15}id0-7Qx\r").expect("drop: done?").types("y").expect("done: hooks lives on");
    terminal.exits(0);
    assert_eq!((sandbox.slot(""), sandbox.slot("_OLD")), (Some(new), None));
}

#[test]
fn receivers_that_keep_one_secret_are_refused_where_both_are_in_use() {
    let sandbox = Sandbox::new("shopify");
    sandbox.edit_config("store = ", "cutover = \"switch\"\nstore = ");
    sandbox.run(&["rotate", "hooks", "-n"]).exits(2).says("until the old one is ended").says("accept either");
}

#[test]
fn the_wrong_secret_for_a_leak_leaves_what_is_open_as_it_is() {
    let scene = Scene::new("slack");
    let new = scene.sandbox.stand_in.rotate_by_hand();
    scene.piped("rotate hooks --yes --secret -", new.expose()).exits(0);
    let id = scene.sandbox.id();
    let line = format!("force-rotate hooks --reason leaked --yes --confirm {id} --secret -");
    scene.piped(&line, new.expose()).exits(2).says("it is the one that is live");
    scene.run("cutover hooks").exits(11).says("next: deploy");
    let newer = scene.sandbox.stand_in.rotate_by_hand();
    scene.piped(&line, newer.expose()).exits(0);
    assert_eq!(scene.sandbox.slot(""), Some(newer));
}

#[test]
fn what_is_piped_where_nothing_is_asked_for_is_not_taken_in_silence() {
    let scene = Scene::new("stripe");
    scene.piped("cutover hooks --secret -", "whsec_0123456789abcdef").exits(4);
    let new = scene.sandbox.stand_in.rotate_by_hand();
    scene.piped("rotate hooks --yes --secret -", new.expose()).exits(0);
    scene.piped("cutover hooks --secret -", "whsec_0123456789abcdef").exits(11).says("--secret had no effect");
    let line = format!("force-rotate hooks --reason leaked --yes --confirm {} --secret -", scene.sandbox.id());
    scene.piped(&line, "whsec_0123456789abcdef").exits(2).says("has its new secret already");
    let run = Sandbox::new("slack");
    let file = run.path("bytes");
    std::fs::write(&file, [0xff, 0xfe, b'x']).unwrap();
    let mut command = run.command(&["rotate", "hooks", "--yes", "--secret", "-"]);
    command.stdin(std::fs::File::open(file).unwrap());
    run.watch(command.output().unwrap()).exits(2).says("stdin cannot be read");
}
