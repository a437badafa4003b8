//! A rotation whose journal is lost is adopted and goes on to its end: nothing is rotated anew, no delivery is refused on the way,
//! and what admits of two readings is refused.

use std::time::Duration;

use whsec::secret::Secret;

use crate::receivers::{Kind, Receiver};
use crate::sandbox::{KEY, Sandbox};
use crate::screen::Terminal;

const ADOPT: [&str; 4] = ["adopt", "hooks", "--reason", "its runner is gone"];
const DEPLOYED: [&str; 6] = ["cutover", "hooks", "--done", "deploy", "--done", "verify"];

/// The journal is gone, wherever it was, and every seal with it.
fn lose(sandbox: &Sandbox) {
    match sandbox.journal {
        Some(_) => drop(sandbox.sql("DELETE FROM whsec.docs WHERE key <> 'journal.json'")),
        None => std::fs::remove_dir_all(sandbox.state()).unwrap(),
    }
}

fn rotated_and_lost(sandbox: &Sandbox) {
    sandbox.rotate().exits(0);
    lose(sandbox);
}

/// Fails where receivers that read these slots would refuse a delivery as the provider may sign it now.
#[track_caller]
pub fn is_accepted(sandbox: &Sandbox, slots: &[&str]) {
    let has: Vec<Secret> = slots.iter().filter_map(|slot| sandbox.slot(slot)).collect();
    for signing in sandbox.stand_in.signings() {
        assert!(signing.iter().any(|secret| has.contains(secret)), "a delivery is refused");
    }
}

/// Gives the slots of the dotenv file other contents, by what they are.
fn arrange(sandbox: &Sandbox, contents: [Option<&Secret>; 3]) {
    let text = std::fs::read_to_string(sandbox.dotenv()).unwrap();
    let others = text.lines().filter(|line| !line.starts_with(KEY)).map(|line| format!("{line}\n"));
    let slots = ["_NEW", "", "_OLD"].into_iter().zip(contents);
    let slots = slots.filter_map(|(slot, secret)| Some(format!("{KEY}{slot}={}\n", secret?.expose())));
    std::fs::write(sandbox.dotenv(), others.chain(slots).collect::<String>()).unwrap();
}

/// Goes on from the adoption to the end.
fn to_the_end(sandbox: &Sandbox, reads: &[&str]) {
    let drop = || sandbox.run(&["cutover", "hooks", "--done", "drop"]);
    is_accepted(sandbox, reads);
    let mut run = sandbox.run(&DEPLOYED);
    is_accepted(sandbox, reads);
    while run.stderr.contains("next: wait") {
        std::thread::sleep(Duration::from_millis(200));
        run = drop();
        is_accepted(sandbox, reads);
    }
    let run = if run.code == 11 { drop() } else { run };
    run.exits(0);
    is_accepted(sandbox, reads);
}

#[test]
fn what_is_left_of_a_rotation_goes_on_to_its_end_in_every_kind() {
    let window = Duration::from_secs(3);
    for (sandbox, reads, waits, before) in [
        (Sandbox::with_window("layers", window), &["_NEW", ""][..], true, ["new", "old", "empty"]),
        (Sandbox::with_window("signa", window), &[""], true, ["empty", "new", "old"]),
        (Sandbox::new("verifa"), &[""], false, ["empty", "new", "old"]),
        (Sandbox::new("hopae"), &[""], false, ["empty", "new", "old"]),
    ] {
        let old = sandbox.newest();
        rotated_and_lost(&sandbox);
        let name = sandbox.provider.name();
        let text = std::fs::read_to_string(sandbox.dotenv()).unwrap();
        let lost = sandbox.run(&["cutover", "hooks", "--done", "deploy"]).exits(4);
        lost.says("a rotation that this machine does not know").says("`whsec adopt hooks` takes it over");
        let run = sandbox.run(&[&ADOPT[..], &["--json"]].concat()).exits(0);
        let json = run.json();
        assert_eq!(
            (&json["adopted"], &json["adopted_because"]),
            (&true.into(), &"its runner is gone".into()),
            "{name}"
        );
        assert!(json["adopted_by"].as_str().unwrap().starts_with("oncall@"), "{json}");
        assert_eq!((&json["command"], &json["status"]), (&"adopt".into(), &"stored".into()), "{name}");
        assert_eq!(json["secret"]["fingerprint"], sandbox.newest().fingerprint().to_string());
        assert_eq!(json["previous"]["fingerprint"], old.fingerprint().to_string());
        assert_eq!(json["previous"]["expires_source"], if waits { "documented" } else { "call" }, "{name}");
        assert_eq!(json["next"]["step"], "deploy", "{name}: what nobody sees is asked for again");
        assert_eq!(std::fs::read_to_string(sandbox.dotenv()).unwrap(), text, "no store is written");
        // Whoever comes second goes on with that one.
        sandbox.run(&ADOPT).exits(5).says("is open already");
        let status = sandbox.run(&["status"]).exits(0).stdout;
        assert!(status.contains("adopted at") && status.contains("(its runner is gone)"), "{status}");
        assert_eq!(sandbox.slots(&old), before, "{name}");
        sandbox.run(&["cutover", "hooks"]).exits(11).says("next: deploy");
        to_the_end(&sandbox, reads);
        assert_eq!((sandbox.slots(&old), sandbox.rotations()), (["empty", "new", "empty"], 1), "{name}");
        assert_eq!(sandbox.rotate_requests().len(), 1, "{name}");
        assert!(sandbox.leftovers().is_empty(), "{:?}", sandbox.leftovers());

        let history = sandbox.run(&["history"]).exits(0).stdout;
        assert!(history.contains("done") && history.contains("adopted at"), "{history}");
        assert!(history.contains("oncall@") && history.contains("(its runner is gone)"), "{history}");
        // Nobody knows how old the secret is, and nobody says that it is young.
        let status = sandbox.run(&["status"]).exits(0).stdout;
        assert!(status.contains("closed") && status.contains("age unknown") && status.contains("adopted"), "{status}");
        let aged = sandbox.run(&["status", "--json", "--exit-code", "--max-age", "90d"]).exits(12).json();
        assert!(aged["targets"][0]["rotated_at"].is_null(), "{aged}");
        assert_eq!(aged["targets"][0]["adopted"]["reason"], "its runner is gone", "{aged}");
        let whose = sandbox.run_with_stdin(&["fingerprint", "-"], sandbox.newest().expose()).exits(0);
        assert!(whose.stdout.contains("was adopted at"), "{}", whose.stdout);
        // The next one is as any other.
        sandbox.rotate().exits(0);
        assert!(sandbox.run(&["status"]).exits(0).stdout.contains("next: deploy"));
        assert!(sandbox.run(&["status", "--json"]).json()["targets"][0]["adopted"].is_null());
    }
}

#[test]
fn receivers_that_accept_either_are_seen_to_before_anything_is_taken_from_them() {
    let receiver = Receiver::start(Kind::Both);
    let sandbox = Sandbox::with_receiver("layers", &receiver.url, Some(Duration::from_secs(3)));
    receiver.reads(&sandbox.dotenv());
    let old = sandbox.newest();
    rotated_and_lost(&sandbox);
    sandbox.run(&ADOPT).exits(0).says("deploy");
    // It runs with the old one alone, whatever somebody had said before.
    receiver.becomes(Kind::LiveOnly);
    let refused = sandbox.run(&DEPLOYED).exits(9);
    refused.says("accepts the old secret alone");
    receiver.becomes(Kind::Both);
    sandbox.until("the end, which is proved", |sandbox| sandbox.run(&["cutover", "hooks"]).code == 0);
    assert_eq!((sandbox.slots(&old), sandbox.rotations()), (["empty", "new", "empty"], 1));
}

#[test]
fn of_a_rotation_that_went_live_already_the_rest_is_adopted_wherever_live_comes_last() {
    let sandbox = Sandbox::with_window("layers", Duration::from_secs(3));
    let old = sandbox.newest();
    rotated_and_lost(&sandbox);
    let new = sandbox.newest();
    arrange(&sandbox, [None, Some(&new), Some(&old)]);
    let json = sandbox.run(&[&ADOPT[..], &["--json"]].concat()).exits(0).json();
    let steps: Vec<&str> =
        json["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(steps, ["check", "issue", "stage", "promote", "deploy", "verify", "wait", "retire", "drop"]);
    assert_eq!((&json["direction"], &json["next"]["step"]), (&"overlap-either".into(), &"deploy".into()));
    to_the_end(&sandbox, &["", "_OLD"]);
    assert_eq!((sandbox.slots(&old), sandbox.rotations()), (["empty", "new", "empty"], 1));
}

#[test]
fn several_stores_of_every_kind_that_hold_the_same_are_adopted_together() {
    let sandbox = Sandbox::with_window("signa", Duration::from_secs(3));
    std::fs::write(sandbox.path("work/settings.json"), "{\"hooks\": {}}").unwrap();
    let text = sandbox.newest();
    std::fs::write(sandbox.path("work/mounted"), text.expose()).unwrap();
    sandbox.stores(&["json:./settings.json#/hooks/secret", "file:./mounted"]);
    sandbox
        .run(&[
            "store",
            "copy",
            &format!("file:{}", sandbox.path("work/mounted").display()),
            &format!("json:{}#/hooks/secret", sandbox.path("work/settings.json").display()),
        ])
        .exits(0);
    rotated_and_lost(&sandbox);
    let run = sandbox.run(&[&ADOPT[..], &["--json"]].concat()).exits(0);
    let stores = run.json()["stores"].as_array().unwrap().clone();
    assert!(stores.len() == 2 && stores.iter().all(|store| store["slot"] == "current"), "{stores:?}");
    sandbox.run(&DEPLOYED).exits(11);
    sandbox.until("the end of the wait", |sandbox| !sandbox.run(&["cutover", "hooks"]).stderr.contains("next: wait"));
    sandbox.run(&["cutover", "hooks", "--done", "drop"]).exits(0);
    let new = sandbox.newest();
    assert_eq!(std::fs::read_to_string(sandbox.path("work/mounted")).unwrap(), new.expose());
    assert!(!sandbox.path("work/mounted.previous").exists());
    let json = std::fs::read_to_string(sandbox.path("work/settings.json")).unwrap();
    assert!(json.contains(new.expose()) && !json.contains(text.expose()));
    assert_eq!(sandbox.rotations(), 1);
}

#[test]
fn what_a_person_had_made_and_what_a_person_ends_is_adopted_as_well() {
    let stripe = Sandbox::new("stripe");
    let old = stripe.newest();
    let new = stripe.stand_in.rotate_by_hand();
    let rotate = ["rotate", "hooks", "--yes", "--secret", "-"];
    stripe.run_with_stdin(&rotate, new.expose()).exits(0);
    lose(&stripe);
    let json = stripe.run(&[&ADOPT[..], &["--json"]].concat()).exits(0).json();
    assert_eq!((&json["direction"], &json["adopted"]), (&"hand-either".into(), &true.into()), "{json}");
    assert_eq!((&json["next"]["step"], stripe.slots(&old)), (&"deploy".into(), ["new", "old", "empty"]));
    stripe.run(&DEPLOYED).exits(11).says("next: wait");

    let shopify = Sandbox::new("shopify");
    let (old, id) = (shopify.newest(), shopify.id());
    let new = shopify.stand_in.rotate_by_hand();
    shopify.run_with_stdin(&rotate, new.expose()).exits(0);
    lose(&shopify);
    shopify.run(&ADOPT).exits(0).says("lives on until you end it at the provider");
    // That it is ended somebody says by the endpoint's id, as ever.
    shopify.run(&DEPLOYED).exits(11).says("next: end");
    shopify.run(&["cutover", "hooks", "--done", "end"]).exits(2).says("--confirm");
    let ended = shopify.run(&["cutover", "hooks", "--done", "end", "--confirm", &id, "--json"]).exits(11).json();
    assert_eq!(ended["next"]["step"], "wait", "{ended}");
    assert_eq!((shopify.slots(&old), shopify.requests() + stripe.requests()), (["new", "old", "empty"], 0));
}

#[test]
fn what_the_provider_was_given_of_ours_is_adopted_once_it_is_live() {
    let sandbox = Sandbox::new("github");
    let (old, id) = (sandbox.newest(), sandbox.id());
    sandbox.run(&["rotate", "hooks", "--yes", "--confirm", &id]).exits(0);
    lose(&sandbox);
    let refused = sandbox.run(&ADOPT).exits(9);
    refused.says("nobody can see whether GitHub was given it");
    let next = sandbox.slot("_NEW").unwrap();
    arrange(&sandbox, [None, Some(&next), Some(&old)]);
    let json = sandbox.run(&[&ADOPT[..], &["--json"]].concat()).exits(0).json();
    assert_eq!((&json["direction"], &json["next"]["step"]), (&"set".into(), &"deploy".into()), "{json}");
    sandbox.run(&DEPLOYED).exits(11);
    sandbox.run(&["cutover", "hooks", "--done", "drop"]).exits(0);
    assert_eq!((sandbox.slot(""), sandbox.slot("_OLD"), sandbox.slot("_NEW")), (Some(next), None, None));
    assert!(sandbox.rotate_requests().iter().all(|seen| seen.method == "GET"), "it was given by hand");
}

/// A file in which the slots are filled by letters: `n` the new secret, `o` the old one, `x` another, `-` none.
fn lettered(sandbox: &Sandbox, old: &Secret, letters: &str) {
    let (new, other) = (sandbox.newest(), Secret::new("whsec_c29tZWJvZHkncyBvd24gc2VjcmV0IG9mIDMyIGI="));
    let secret = |letter: char| match letter {
        'n' => Some(&new),
        'o' => Some(old),
        'x' => Some(&other),
        _ => None,
    };
    let contents: Vec<Option<&Secret>> = letters.chars().map(secret).collect();
    arrange(sandbox, [contents[0], contents[1], contents[2]]);
}

#[test]
fn what_can_be_read_in_two_ways_is_refused_and_says_what_to_do() {
    for (provider, letters, code, says, hint) in [
        ("layers", "-o-", 4, "there is nothing to adopt: dotenv:", "what is live, and where: "),
        ("layers", "n--", 4, "there is nothing to adopt: dotenv:", "put the secret that the receivers live on"),
        ("layers", "---", 4, "holds nothing", "put the secret that the receivers live on"),
        ("layers", "nn-", 9, "`HOOK_SECRET_NEW` and `HOOK_SECRET` of dotenv:", "take the copy out of `next`"),
        ("layers", "nox", 9, "more than one rotation", "find out which of the three"),
        // What the provider shows of its secret counts for more than any slot.
        ("hopae", "on-", 9, "which is the one that the slots show as the old one", "nothing is rotated, or"),
        ("hopae", "xo-", 5, "somebody rotated since", "put the provider's own secret into the live slot"),
        ("github", "no-", 9, "nobody can see whether GitHub was given it", "whsec reveal hooks --slot next"),
        ("stripe-api", "no-", 9, "a new secret is a second endpoint", "put its id into the target"),
    ] {
        let sandbox = Sandbox::new(provider);
        let old = match provider {
            "layers" | "hopae" => {
                let old = sandbox.newest();
                rotated_and_lost(&sandbox);
                old
            }
            _ => Secret::new("whsec_dGhlIG9sZCBzZWNyZXQgb2YgdGhpcyB0ZXN0IDMyYg=="),
        };
        lettered(&sandbox, &old, letters);
        if provider == "hopae" {
            sandbox.stand_in.show_secret();
        }
        let (text, calls) = (std::fs::read_to_string(sandbox.dotenv()).unwrap(), sandbox.rotate_requests().len());
        let run = sandbox.run(&ADOPT).exits(code).says("the rotation of `hooks` is not adopted: ").says(says);
        run.says(hint);
        assert_eq!(std::fs::read_to_string(sandbox.dotenv()).unwrap(), text, "{provider} {letters}");
        assert_eq!(sandbox.rotate_requests().len(), calls, "{provider} {letters}");
        let open = sandbox.run(&["status", "hooks", "--json"]).json();
        assert!(open["targets"][0]["status"].is_null(), "{provider} {letters}: {open}");
    }
}

#[test]
fn stores_that_differ_or_cannot_be_read_are_named() {
    let sandbox = Sandbox::new("signa");
    let (dotenv, other) = (sandbox.dotenv(), sandbox.path("work/mounted"));
    std::fs::write(&other, sandbox.newest().expose()).unwrap();
    sandbox.stores(&[&format!("dotenv:{}#{KEY}", dotenv.display()), "file:./mounted"]);
    rotated_and_lost(&sandbox);
    let previous = sandbox.path("work/mounted.previous");
    std::fs::rename(&previous, sandbox.path("aside")).unwrap();
    sandbox.run(&ADOPT).exits(9).says("the stores do not hold the same: dotenv:").says("file:").says("--store REF");
    // One that is in the way of a look is no empty one.
    std::fs::create_dir(&previous).unwrap();
    sandbox.run(&ADOPT).exits(6);
    std::fs::remove_dir(&previous).unwrap();
    // Who knows better names the stores that count.
    let named = format!("dotenv:{}#{KEY}", dotenv.display());
    let json = sandbox.run(&[&ADOPT[..], &["--store", &named, "--json"]].concat()).exits(0).json();
    assert_eq!(json["stores"].as_array().unwrap().len(), 1, "{json}");
}

#[test]
fn what_the_journal_knows_is_not_adopted() {
    let sandbox = Sandbox::new("layers");
    sandbox.rotate().exits(0);
    sandbox.run(&ADOPT).exits(5).says("is open already (stored").says("go on with it: whsec cutover hooks");
    sandbox.run(&["abandon", "hooks", "--reason", "over", "--yes"]).exits(0);
    sandbox.run(&ADOPT).exits(5).says("is known here").says("(abandoned)");
    assert_eq!(sandbox.rotations(), 1);
}

#[test]
fn a_person_says_so_by_a_yes_or_by_a_reason() {
    let sandbox = Sandbox::new("layers");
    rotated_and_lost(&sandbox);
    for flags in [&[][..], &["--yes"], &["--no-input"], &["--no-input", "--yes"]] {
        sandbox.run(&[&["adopt", "hooks"], flags].concat()).exits(2).says("`--reason` is needed");
    }
    Terminal::run(&sandbox, &["adopt", "hooks", "--no-input"]).exits(2);
    let mut terminal = Terminal::run(&sandbox, &["adopt", "hooks"]);
    terminal.expect("at the latest").expect("shall it go on here?").types("n").expect("not adopted, as you said");
    terminal.exits(1);
    sandbox.run(&["cutover", "hooks", "--wait"]).exits(4);
    let mut terminal = Terminal::run(&sandbox, &["adopt", "hooks"]);
    terminal.expect("shall it go on here?").types("y").expect("next: deploy");
    terminal.exits(0);
    let status = sandbox.run(&["status"]).exits(0).stdout;
    assert!(status.contains("(no reason given)"), "{status}");
}

#[test]
fn slots_that_change_while_somebody_is_asked_are_not_what_was_agreed_to() {
    let sandbox = Sandbox::new("layers");
    let old = sandbox.newest();
    rotated_and_lost(&sandbox);
    let mut terminal = Terminal::run(&sandbox, &["adopt", "hooks"]);
    terminal.expect("shall it go on here?");
    lettered(&sandbox, &old, "xo-");
    terminal.types("y").expect("somebody has changed the slots meanwhile");
    terminal.exits(5);
    lettered(&sandbox, &old, "no-");
    let mut terminal = Terminal::run(&sandbox, &["adopt", "hooks"]);
    terminal.expect("shall it go on here?");
    sandbox.run(&ADOPT).exits(0);
    terminal.types("y").expect("is open already");
    terminal.exits(5);
    assert_eq!(sandbox.run(&["cutover", "hooks"]).exits(11).stderr.matches("next: deploy").count(), 1);
}

#[test]
fn the_end_is_the_providers_own_where_it_is_shown_and_going_back_takes_a_reason_where_it_is_not() {
    let kit = Sandbox::new("kit");
    rotated_and_lost(&kit);
    let json = kit.run(&[&ADOPT[..], &["--json"]].concat()).exits(0).says("as the provider says").json();
    assert_eq!(json["previous"]["expires_source"], "provider", "{json}");

    // Of what the caller chose nobody knows any more: it may have been the longest there is.
    let svix = Sandbox::new("svix");
    svix.run(&["rotate", "hooks", "--yes", "--overlap", "2h"]).exits(0);
    lose(&svix);
    let longest = *svix.provider.choice().unwrap().end();
    let json =
        svix.run(&[&ADOPT[..], &["--json"]].concat()).exits(0).says_not("shows no secret to compare with").json();
    let end: jiff::Timestamp = json["previous"]["expires_at"].as_str().unwrap().parse().unwrap();
    let lives = end.duration_since(jiff::Timestamp::now()).as_secs().unsigned_abs();
    assert!(lives.abs_diff(longest.as_secs()) < 60, "{lives} s, and not {longest:?}");

    let sandbox = Sandbox::new("signa");
    let old = sandbox.newest();
    rotated_and_lost(&sandbox);
    sandbox.run(&ADOPT).exits(0);
    sandbox
        .run(&["rollback", "hooks"])
        .exits(9)
        .says("nobody knows when it began")
        .says("say how: whsec rollback hooks");
    assert_eq!(sandbox.slots(&old), ["empty", "new", "old"]);
    sandbox.run(&["rollback", "hooks", "--reason", "the dashboard shows both"]).exits(0);
    assert_eq!(sandbox.slots(&old), ["new", "old", "empty"]);
    sandbox.run(&["cutover", "hooks", "--yes"]).exits(11).says("next: deploy");
    assert_eq!(sandbox.slots(&old), ["empty", "new", "old"]);
}

#[test]
fn of_several_that_adopt_at_once_one_does() {
    let sandbox = Sandbox::new("signa");
    rotated_and_lost(&sandbox);
    let children: Vec<_> = (0..8).map(|_| sandbox.spawn(&ADOPT)).collect();
    let mut codes: Vec<i32> = children.into_iter().map(|child| sandbox.finish(child).code).collect();
    codes.sort_unstable();
    assert_eq!(codes, [0, 5, 5, 5, 5, 5, 5, 5]);
    let open = sandbox.run(&["status", "--json"]).exits(0).json();
    assert_eq!((open["targets"].as_array().unwrap().len(), &open["targets"][0]["status"]), (1, &"stored".into()));
}

#[test]
fn one_that_is_killed_has_adopted_all_or_nothing() {
    let sandbox = Sandbox::with_window("layers", Duration::from_secs(3));
    let old = sandbox.newest();
    rotated_and_lost(&sandbox);
    for after in 0..40 {
        let mut child = sandbox.spawn(&ADOPT);
        std::thread::sleep(Duration::from_millis(4 * after));
        let _ = child.kill();
        child.wait().unwrap();
        sandbox.let_leases_end();
        let row = sandbox.run(&["status", "--json"]).exits(0).json()["targets"][0].clone();
        if row["status"] == "stored" {
            assert_eq!(
                (row["adopted"]["reason"].as_str(), row["step"].as_str()),
                (Some("its runner is gone"), Some("deploy"))
            );
            break;
        }
        assert!(row["status"].is_null() && row["adopted"].is_null(), "{row}");
    }
    let code = sandbox.run(&ADOPT).code;
    assert!([0, 5].contains(&code), "{code}");
    to_the_end(&sandbox, &["_NEW", ""]);
    assert_eq!((sandbox.slots(&old), sandbox.rotations()), (["empty", "new", "empty"], 1));
}
