//! The gate: steps of a person are done on proof, on a verified delivery or on a recorded word, and never silently
//! against what receivers were found to do.

use std::io::Write;
use std::process::Stdio;

use crate::probes::in_overlap;
use crate::receivers::{Kind, Receiver};
use crate::sandbox::{OVERLAP, Run, Sandbox};
use crate::screen::Terminal;
use crate::verify::{http, line, signed};
use jiff::{SignedDuration, Timestamp};
use whsec::secret::Secret;

/// How a step was done, by the JSON of a command.
pub fn how(run: &Run, step: &str) -> String {
    let json = run.json();
    let steps = json["steps"].as_array().unwrap();
    let found = steps.iter().find(|found| found["step"] == step).unwrap();
    found["how"].as_str().unwrap_or("open").to_owned()
}

#[test]
fn receivers_that_accept_the_new_secret_prove_deploy_and_verify() {
    let (sandbox, receiver) = in_overlap("layers", Kind::LiveOnly);
    let run = sandbox.run(&["cutover", "hooks", "--json"]).exits(11);
    assert_eq!(how(&run, "deploy"), "open", "{}", run.stderr);
    run.says("old only").says("it does not know the new secret yet: deploy it there");
    receiver.becomes(Kind::Both);
    let run = sandbox.run(&["cutover", "hooks", "--json"]).exits(11);
    assert_eq!((how(&run, "deploy"), how(&run, "verify")), ("probe".to_owned(), "probe".to_owned()));
    assert_eq!(run.json()["next"]["step"], "wait");
    run.says("accepts both").says("verify: proved by every receiver");
}

#[test]
fn a_word_against_what_a_receiver_does_needs_a_reason() {
    let (sandbox, _receiver) = in_overlap("layers", Kind::LiveOnly);
    let run = sandbox.run(&["cutover", "hooks", "--done", "deploy", "--done", "verify"]).exits(9);
    run.says("`verify` is not done: ").says("accepts the old secret alone").says("--done verify --reason TEXT");
    let words = ["cutover", "hooks", "--done", "verify", "--reason", "blue green", "--json"];
    let run = sandbox.run(&words).exits(11);
    assert_eq!(how(&run, "verify"), "word");
    run.says("accepts the old secret alone; going on, as was said");
}

#[test]
fn a_receiver_that_a_flag_leaves_out_is_named() {
    let (sandbox, receiver) = in_overlap("layers", Kind::LiveOnly);
    let tunnel = Receiver::start(Kind::Both);
    tunnel.reads(&sandbox.dotenv());
    let run = sandbox.run(&["cutover", "hooks", "--receiver", &tunnel.url, "--json"]).exits(11);
    assert_eq!(how(&run, "verify"), "probe");
    run.says(&format!("--receiver leaves out {}: ", receiver.url));
    let words = ["cutover", "hooks", "--receiver", &tunnel.url, "--receiver", &receiver.url];
    sandbox.run(&words).exits(11).says_not("leaves out");
}

#[test]
fn probes_bear_the_time_of_the_providers_clock() {
    let sandbox = Sandbox::with_clock("layers", || Timestamp::now() + SignedDuration::from_hours(1));
    sandbox.run(&["rotate", "hooks", "--yes"]).exits(0);
    let receiver = Receiver::start(Kind::Both);
    receiver.is_ahead(3600);
    receiver.reads(&sandbox.dotenv());
    sandbox.edit_config("api_key = ", &format!("receivers = [\"{}\"]\napi_key = ", receiver.url));
    let run = sandbox.run(&["probe", "hooks"]).exits(0);
    assert!(run.stdout.contains("accepts both") && !run.stdout.contains("its clock"), "{}", run.stdout);
    let run = sandbox.run(&["cutover", "hooks", "--json"]).exits(11);
    assert_eq!((how(&run, "deploy"), how(&run, "verify")), ("probe".to_owned(), "probe".to_owned()), "{}", run.stderr);
}

#[test]
fn a_deploy_that_is_half_done_is_a_receiver_that_refuses() {
    let (sandbox, _receiver) = in_overlap("layers", Kind::HalfDeployed);
    let run = sandbox.run(&["cutover", "hooks", "--done", "deploy", "--done", "verify"]).exits(9);
    run.says("accepts a secret one time and rejects it another");
}

#[test]
fn a_receiver_that_the_config_names_since_counts() {
    let sandbox = Sandbox::new("layers");
    sandbox.run(&["rotate", "hooks", "--yes"]).exits(0);
    let receiver = Receiver::start(Kind::RejectsAll);
    sandbox.edit_config("api_key = ", &format!("receivers = [\"{}\"]\napi_key = ", receiver.url));
    let run = sandbox.run(&["cutover", "hooks", "--done", "deploy", "--done", "verify"]).exits(9);
    run.says("rejects every secret");
}

#[test]
fn probe_first_never_overwrites_the_only_copy_of_a_secret() {
    let receiver = Receiver::start(Kind::Both);
    let sandbox = Sandbox::with_receiver("verifa", &receiver.url, None);
    receiver.reads(&sandbox.dotenv());
    let id = sandbox.id();
    // The old secret died with the call, and the new one is in `next` alone.
    let kill = ["abandon", "hooks", "--reason", "tried", "--yes"];
    sandbox.run(&["rotate", "hooks", "--yes", "--confirm", &id, "--done", "prepare", "--detach"]).exits(0);
    sandbox.run(&kill).exits(0);
    let only = sandbox.newest();
    let run = sandbox.run(&["rotate", "hooks", "--yes", "--confirm", &id, "--probe-first"]).exits(6);
    run.says("that --probe-first would overwrite").says("the only copy");
    assert_eq!(sandbox.slot("_NEW"), Some(only));
    assert_eq!(sandbox.rotations(), 1);
}

#[test]
fn where_nothing_is_proved_a_word_is_enough() {
    for kind in [Kind::Down, Kind::Redirects] {
        let (sandbox, _receiver) = in_overlap("layers", kind);
        let run = sandbox.run(&["cutover", "hooks", "--done", "deploy", "--done", "verify", "--json"]).exits(11);
        assert_eq!(how(&run, "verify"), "word", "{kind:?}");
    }
}

#[test]
fn a_receiver_that_accepts_anything_proves_nothing() {
    let (sandbox, _receiver) = in_overlap("layers", Kind::Anything);
    let run = sandbox.run(&["cutover", "hooks", "--done", "deploy", "--json"]).exits(11);
    assert_eq!(how(&run, "verify"), "open");
    run.says("it does not verify at all");
}

#[test]
fn a_verified_delivery_is_evidence() {
    let (sandbox, _receiver) = in_overlap("layers", Kind::Down);
    let signed = |at: Timestamp| http(&signed("layers", &[&sandbox.newest()], at.as_second(), "{}"), "{}");
    let request = signed(Timestamp::now() - SignedDuration::from_secs(5));
    let verify = ["verify", "hooks"];
    sandbox.run_with_stdin(&verify, &request).exits(0).says("noted for the step `verify`");
    let run = sandbox.run(&["cutover", "hooks", "--done", "deploy", "--json"]).exits(11);
    assert_eq!(how(&run, "verify"), "open", "what came before the deploy says nothing of the receivers");
    let marked = request.replacen("\r\n", "\r\nX-Whsec-Probe: 1\r\n", 1);
    let run = sandbox.run_with_stdin(&verify, &marked).exits(0);
    assert!(run.stdout.contains("a probe of whsec's own") && !run.stderr.contains("noted"), "{}", run.stdout);
    assert_eq!(how(&sandbox.run(&["cutover", "hooks", "--json"]).exits(11), "verify"), "open");
    sandbox.run_with_stdin(&verify, &request).exits(0).says("noted for the step `verify`");
    let run = sandbox.run(&["cutover", "hooks", "--json"]).exits(11);
    assert_eq!(how(&run, "verify"), "open", "it was signed before the deploy, whenever it is looked at");
    sandbox.run_with_stdin(&verify, &signed(Timestamp::now())).exits(0).says("noted for the step `verify`");
    let run = sandbox.run(&["cutover", "hooks", "--json"]).exits(11);
    assert_eq!(how(&run, "verify"), "delivery");
}

#[test]
fn a_log_that_is_followed_is_evidence_while_it_goes_on() {
    let (sandbox, _receiver) = in_overlap("layers", Kind::Down);
    sandbox.run(&["cutover", "hooks", "--done", "deploy"]).exits(11);
    let mut follow = sandbox.command(&["verify", "hooks", "--follow"]);
    let mut follow = follow.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let at = Timestamp::now().as_second();
    let mut log = follow.stdin.take().unwrap();
    write!(log, "{}", line(&signed("layers", &[&sandbox.newest()], at, "{}"), "{}", at)).unwrap();
    sandbox.until("the delivery is evidence", |sandbox| {
        how(&sandbox.run(&["cutover", "hooks", "--json"]).exits(11), "verify") == "delivery"
    });
    drop(log);
    sandbox.finish(follow).exits(0).says("noted for the step `verify`");
}

/// A rotation whose overlap is over, with deploy and verify said. The receiver keeps a copy of what it was deployed with.
pub fn overlap_over(kind: Kind) -> (Sandbox, Receiver, Secret) {
    let receiver = Receiver::start(kind);
    let sandbox = Sandbox::with_receiver("layers", &receiver.url, Some(OVERLAP));
    let old = sandbox.newest();
    sandbox.run(&["rotate", "hooks", "--yes"]).exits(0);
    let kept = sandbox.path("kept.env");
    std::fs::copy(sandbox.dotenv(), &kept).unwrap();
    receiver.reads(&kept);
    let words = ["cutover", "hooks", "--done", "deploy", "--done", "verify", "--reason", "said"];
    sandbox.run(&words).exits(11);
    sandbox.until_the_overlap_is_over();
    (sandbox, receiver, old)
}

#[test]
fn finish_refuses_while_a_receiver_rejects_the_new_secret() {
    let (sandbox, _receiver, old) = overlap_over(Kind::RejectsAll);
    let run = sandbox.run(&["finish", "hooks"]).exits(9);
    run.says("it is not safe yet: ").says("rejects every secret").says("--override --reason TEXT");
    assert_eq!(sandbox.slot("").unwrap(), old, "nothing was promoted");
    sandbox.run(&["finish", "hooks", "--override"]).exits(2).says("--reason");
    let run = sandbox.run(&["finish", "hooks", "--override", "--reason", "a firewall eats probes"]).exits(0);
    run.says("going on, as was said");
    assert_eq!(sandbox.slot("").unwrap(), sandbox.newest());
    let journal = std::fs::read(sandbox.state().join("journal.sqlite")).unwrap();
    assert!(String::from_utf8_lossy(&journal).contains("a firewall eats probes"), "the override is recorded");
}

#[test]
fn drop_is_proved_once_no_receiver_accepts_the_old_secret() {
    let (sandbox, receiver, old) = overlap_over(Kind::Both);
    let run = sandbox.run(&["finish", "hooks", "--json"]).exits(0);
    assert_eq!(run.json()["next"]["step"], "drop", "{}", run.stderr);
    assert!(sandbox.slot("_OLD").is_none() && sandbox.slot("") != Some(old));
    let run = sandbox.run(&["cutover", "hooks", "--done", "drop"]).exits(9);
    run.says("`drop` is not done: ").says("accepts the old secret as well as the new one");
    receiver.reads(&sandbox.dotenv());
    let run = sandbox.run(&["cutover", "hooks", "--json"]).exits(0);
    assert_eq!((how(&run, "drop"), run.json()["status"].clone()), ("probe".to_owned(), "done".into()));
    assert!(sandbox.leftovers().is_empty(), "{:?}", sandbox.leftovers());
}

#[test]
fn finish_drains_until_retries_signed_before_are_over() {
    let (sandbox, receiver, _) = overlap_over(Kind::Both);
    let ends = sandbox.run(&["inspect", "hooks", "--json"]).json()["rotation"]["previous"]["expires_at"].clone();
    let ends: jiff::Timestamp = ends.as_str().unwrap().parse().unwrap();
    sandbox.run(&["finish", "hooks", "--drain", "20s"]).exits(0).says("draining: what was signed with the old secret");
    assert!(jiff::Timestamp::now().duration_since(ends).as_secs() >= 20);
    receiver.reads(&sandbox.dotenv());
    sandbox.run(&["cutover", "hooks"]).exits(0);
}

#[test]
fn force_is_contained_once_every_receiver_rejects_the_old_secret() {
    let receiver = Receiver::start(Kind::Both);
    let sandbox = Sandbox::with_receiver("signa", &receiver.url, None);
    let stale = sandbox.path("stale.env");
    std::fs::copy(sandbox.dotenv(), &stale).unwrap();
    receiver.reads(&stale);
    let id = sandbox.id();
    let force = ["force-rotate", "hooks", "--yes", "--confirm", &id, "--done", "prepare", "--reason", "leaked"];
    sandbox.run(&force).exits(0);
    let run = sandbox.run(&["status", "--json"]).exits(0);
    let row = &run.json()["targets"][0];
    assert_eq!(row["contained"], false);
    assert!(row["leaking_since"].is_string(), "{}", run.stdout);
    let shown = sandbox.run(&["status"]).exits(0).stdout;
    assert!(shown.contains("contained: no, ") && shown.contains(" since the leak was declared"), "{shown}");
    sandbox.run(&["cutover", "hooks"]).exits(11).says("old only");
    receiver.reads(&sandbox.dotenv());
    let run = sandbox.run(&["cutover", "hooks", "--json"]).exits(0);
    assert_eq!((how(&run, "drop"), run.json()["contained"].clone()), ("probe".to_owned(), true.into()));
}

#[test]
fn where_the_old_secret_dies_with_the_call_receivers_can_be_proved_ready_before_it() {
    let receiver = Receiver::start(Kind::LiveOnly);
    let sandbox = Sandbox::with_receiver("verifa", &receiver.url, None);
    receiver.reads(&sandbox.dotenv());
    let (id, before) = (sandbox.id(), std::fs::read(sandbox.dotenv()).unwrap());
    let rotate = ["rotate", "hooks", "--yes", "--confirm", &id, "--probe-first"];
    let run = sandbox.run(&rotate).exits(9);
    run.says("does not take a second secret yet").says("under either of two secrets").says("HOOK_SECRET_NEW");
    assert_eq!(sandbox.rotations(), 0, "nothing was sent");
    assert_eq!(std::fs::read(sandbox.dotenv()).unwrap(), before, "the throw-away secret is gone");
    receiver.becomes(Kind::Both);
    let run = sandbox.run(&[&rotate[..], &["--json"]].concat()).exits(0);
    assert_eq!((how(&run, "prepare"), sandbox.rotations()), ("probe".to_owned(), 1));
    // It reads its file anew for each delivery, so that it runs with the new secret already.
    let run = sandbox.run(&["cutover", "hooks", "--json"]).exits(0);
    assert_eq!((how(&run, "verify"), how(&run, "drop")), ("probe".to_owned(), "probe".to_owned()));
}

#[test]
fn c2_agreeing_to_the_old_secrets_end_is_no_word_on_receivers() {
    let sandbox = Sandbox::new("hopae");
    let id = sandbox.id();
    let rotate = ["rotate", "hooks", "--yes", "--confirm", &id];
    let run = sandbox.run(&rotate).exits(2).says("`--done prepare` is needed, and there is nobody to ask");
    run.says("--receiver URL").says_not("done elsewhere");
    sandbox.run(&["force-rotate", "hooks", "--reason", "leak", "--confirm", &id]).exits(2).says("--done prepare");
    assert_eq!((sandbox.rotations(), sandbox.run(&["status", "--exit-code"]).code), (0, 0));
    let run = sandbox.run(&[&rotate[..], &["--done", "prepare", "--json"]].concat()).exits(0);
    assert_eq!((how(&run, "prepare"), sandbox.rotations()), ("word".to_owned(), 1));
    // It is no matter where the old secret outlives the call.
    let sandbox = Sandbox::new("layers");
    sandbox.run(&["rotate", "hooks", "--yes", "--confirm", "id0-7Qx"]).exits(0);
}

#[test]
fn c2_receivers_that_are_named_are_probed_before_the_call() {
    let receiver = Receiver::start(Kind::LiveOnly);
    let sandbox = Sandbox::with_receiver("hopae", &receiver.url, None);
    receiver.reads(&sandbox.dotenv());
    let id = sandbox.id();
    let rotate = ["rotate", "hooks", "--yes", "--confirm", &id, "--json"];
    let run = sandbox.run(&rotate).exits(9).says("does not take a second secret yet");
    assert_eq!(sandbox.rotations(), 0, "nothing was sent");
    run.says("say so: --done prepare");
    receiver.becomes(Kind::Both);
    let run = sandbox.run(&rotate).exits(0);
    assert_eq!((how(&run, "prepare"), sandbox.rotations()), ("probe".to_owned(), 1));
}

#[test]
fn c1_deliveries_that_fail_come_first_and_are_overdue() {
    let receiver = Receiver::start(Kind::LiveOnly);
    let sandbox = Sandbox::with_receiver("hopae", &receiver.url, None);
    let stale = sandbox.path("stale.env");
    std::fs::copy(sandbox.dotenv(), &stale).unwrap();
    receiver.reads(&stale);
    let another = sandbox.config_text().replace("[targets.hooks]", "[targets.another]").replace("id0-7Qx", "id9-7Qx");
    let another = another.replace("receiver.env", "another.env");
    let another = another.split("[seal]").next().unwrap();
    sandbox.config(&format!("{another}\n{}", sandbox.config_text()));
    sandbox.rotate().exits(0);
    // Nothing is known of the receiver yet, and the call was a moment ago.
    let run = sandbox.run(&["status", "--exit-code"]).exits(11);
    assert!(!run.stdout.contains("may be failing"), "{}", run.stdout);
    sandbox.run(&["probe", "hooks"]).exits(9);
    let run = sandbox.run(&["status", "--exit-code", "--color", "always"]).exits(12);
    let first = run.stdout.lines().next().unwrap();
    assert!(first.contains("hooks") && first.contains("deliveries may be failing since "), "{}", run.stdout);
    assert!(first.contains("\u{1b}[31m") || first.contains("\u{1b}[1m\u{1b}[31m"), "it is not red: {first:?}");
    let json = sandbox.run(&["status", "--exit-code", "--json"]).exits(12).json();
    assert!(json["targets"][0]["failing_since"].is_string() && json["targets"][0]["overdue"] == true, "{json}");
    // Somebody is at it: what goes on with the rotation says only that it is open.
    sandbox.run(&["cutover", "hooks"]).exits(11);
    receiver.reads(&sandbox.dotenv());
    sandbox.run(&["cutover", "hooks", "--json"]).exits(0);
    sandbox.run(&["status", "--exit-code"]).exits(0);
}

#[test]
fn probe_first_says_where_there_is_nothing_to_prove() {
    let receiver = Receiver::start(Kind::Both);
    let sandbox = Sandbox::with_receiver("layers", &receiver.url, None);
    sandbox.run(&["rotate", "hooks", "--yes", "--probe-first"]).exits(2).says("Layers does not").says("leave it out");
    let sandbox = Sandbox::new("verifa");
    let run = sandbox.run(&["rotate", "hooks", "--yes", "--confirm", "id0-7Qx", "--probe-first"]).exits(2);
    run.says("names no receiver that may be probed");
    assert_eq!(sandbox.rotations(), 0);
}

#[test]
fn at_a_terminal_the_walk_shows_what_receivers_accept_and_asks_again() {
    let receiver = Receiver::start(Kind::LiveOnly);
    let sandbox = Sandbox::with_receiver("layers", &receiver.url, None);
    receiver.reads(&sandbox.dotenv());
    let mut terminal = Terminal::run(&sandbox, &["rotate", "hooks"]);
    terminal.expect("Rotate now?").types("y").expect("deploy: done?").types("y");
    terminal.expect("old only").expect("deploy it there").expect("verify: done?").expect("not now");
    receiver.becomes(Kind::Both);
    // The first choice: probe them again.
    terminal.types("\r").expect("accepts both").expect("verify: proved by every receiver").expect("left, until");
    terminal.listens().types("\u{3}");
    terminal.exits(130);
}

#[test]
fn at_a_terminal_a_word_against_a_receiver_asks_for_the_reason() {
    let (sandbox, _receiver) = in_overlap("layers", Kind::LiveOnly);
    let mut terminal = Terminal::run(&sandbox, &["cutover", "hooks"]);
    terminal.expect("deploy: done?").types("y").expect("verify: done?").expect("not now");
    terminal.types("\u{1b}[B\r").expect("Reason, for the record").types("canary only\r").expect("left, until");
    terminal.listens().types("\u{3}");
    terminal.exits(130);
    let json = sandbox.run(&["inspect", "hooks", "--json"]).exits(0).json();
    let steps = json["rotation"]["steps"].as_array().unwrap();
    let verify = steps.iter().find(|step| step["step"] == "verify").unwrap();
    assert_eq!((&verify["how"], &verify["reason"]), (&"word".into(), &"canary only".into()));
}

#[test]
fn at_a_terminal_receivers_are_made_ready_before_the_call_that_ends_the_old_secret() {
    let receiver = Receiver::start(Kind::LiveOnly);
    let sandbox = Sandbox::with_receiver("hopae", &receiver.url, None);
    receiver.reads(&sandbox.dotenv());
    let mut terminal = Terminal::run(&sandbox, &["rotate", "hooks", "--probe-first"]);
    terminal.expect("Type the endpoint's id to go on").types(&format!("{}\r", sandbox.id()));
    terminal.expect("A throw-away secret is in").expect("prepare: done?").expect("not now").types("\r");
    terminal.expect("old only").expect("prepare: done?").expect("not now");
    assert_eq!(sandbox.rotations(), 0);
    receiver.becomes(Kind::Both);
    terminal.types("\r").expect("accepts both").expect("received and sealed").expect("deploy: done?").types("y");
    terminal.expect("done: hooks lives on");
    terminal.exits(0);
}
