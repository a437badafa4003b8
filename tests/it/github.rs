//! GitHub: the secret is ours to make, and GitHub keeps one. Against a server and a receiver that were written from GitHub's own
//! documents, and not from our description of it.

use std::sync::{Arc, Mutex};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;
use whsec::secret::Secret;

use crate::sandbox::{Run, Sandbox};
use crate::screen::Terminal;
use crate::servers::http::{Answer, Request, Server};

/// What the server knows of one webhook.
struct Hook {
    secret: String,
    updated_at: jiff::Timestamp,
    /// Every secret that a request brought.
    given: Vec<String>,
    /// How many of the next requests are carried out, and their answers lost.
    lost: u32,
    /// What the next requests are refused with.
    refuses: Option<u16>,
    /// Whether somebody's page stands in front of it.
    is_in_maintenance: bool,
}

pub struct GitHub {
    pub sandbox: Sandbox,
    hook: Arc<Mutex<Hook>>,
    /// What the receiver accepts.
    accepted: Arc<Mutex<Vec<String>>>,
    receiver: Server,
    _server: Server,
}

fn answer(hook: &mut Hook, api_key: &Secret, request: &Request) -> Answer {
    let message = |status, text: &str| Answer::Json(status, json!({ "message": text }).to_string());
    if !request.headers.contains_key("user-agent") {
        return message(
            403,
            "Request forbidden by administrative rules. Please make sure your request has a User-Agent header",
        );
    }
    if request.headers.get("authorization") != Some(&format!("Bearer {}", api_key.expose())) {
        return message(401, "Bad credentials");
    }
    let Some(path) = request.target.strip_prefix("/repos/id0-7Qx/id1-7Qx/hooks/id2-7Qx") else {
        return message(404, "Not Found");
    };
    let config =
        json!({ "content_type": "json", "insecure_ssl": "0", "secret": "********", "url": "https://hooks.example/" });
    match (request.method.as_str(), path) {
        ("GET", "") => {
            let shown = json!({
                "type": "Repository", "id": 12345678, "name": "web", "active": true, "events": ["push"], "config": config,
                "updated_at": hook.updated_at, "last_response": { "code": null, "status": "unused", "message": null },
            });
            Answer::Json(200, shown.to_string())
        }
        ("PATCH", "/config") => {
            if let Some(status) = hook.refuses {
                return message(status, "Resource not accessible by personal access token");
            }
            if hook.is_in_maintenance {
                return Answer::Json(200, "<html>maintenance</html>".to_owned());
            }
            let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
            let given = body["secret"].as_str().unwrap().to_owned();
            hook.given.push(given.clone());
            hook.secret = given;
            hook.updated_at = jiff::Timestamp::now();
            if hook.lost > 0 {
                hook.lost -= 1;
                return Answer::Silence;
            }
            Answer::Json(200, config.to_string())
        }
        _ => message(404, "Not Found"),
    }
}

/// Verifies as GitHub tells receivers to: the whole header, `sha256=` included.
fn is_signed(request: &Request, secret: &str) -> bool {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(&request.body);
    let digits: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    request.headers.get("x-hub-signature-256") == Some(&format!("sha256={digits}"))
}

impl GitHub {
    /// With a receiver that is named in the config, and accepts the live secret.
    pub fn new() -> Self {
        let github = Self::without_receiver();
        let receivers = format!("receivers = [\"{}/hooks\"]\nstore = ", github.receiver.url());
        github.sandbox.edit_config("store = ", &receivers);
        github
    }

    fn without_receiver() -> Self {
        let sandbox = Sandbox::new("github");
        let first = sandbox.newest().expose().to_owned();
        let accepted = Arc::new(Mutex::new(vec![first.clone()]));
        let long_ago = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(900);
        let hook = Hook {
            secret: first,
            updated_at: long_ago,
            given: Vec::new(),
            lost: 0,
            refuses: None,
            is_in_maintenance: false,
        };
        let hook = Arc::new(Mutex::new(hook));
        let (served, api_key) = (Arc::clone(&hook), sandbox.api_key.clone());
        let server = Server::start(move |request| answer(&mut served.lock().unwrap(), &api_key, request));
        sandbox.edit_config(&sandbox.stand_in.base_url(), &server.url());
        let known = Arc::clone(&accepted);
        let receiver = Server::start(move |request| {
            let is_ours = known.lock().unwrap().iter().any(|secret| is_signed(request, secret));
            Answer::Json(if is_ours { 204 } else { 401 }, String::new())
        });
        Self { sandbox, hook, accepted, receiver, _server: server }
    }

    pub fn receiver_address(&self) -> String {
        self.receiver.address.to_string()
    }

    /// What deliveries are signed with, whenever it is asked for.
    pub fn signer(&self) -> impl Fn() -> Secret + Send + use<> {
        let hook = Arc::clone(&self.hook);
        move || Secret::new(hook.lock().unwrap().secret.as_str())
    }

    fn set(&self, change: impl FnOnce(&mut Hook)) {
        change(&mut self.hook.lock().unwrap());
    }

    pub fn secret(&self) -> Option<Secret> {
        Some(Secret::new(self.hook.lock().unwrap().secret.as_str()))
    }

    fn given(&self) -> Vec<String> {
        self.hook.lock().unwrap().given.clone()
    }

    /// The receiver reads these slots from now on.
    pub fn deploy(&self, suffixes: &[&str]) {
        let read = suffixes.iter().filter_map(|suffix| self.sandbox.slot(suffix));
        *self.accepted.lock().unwrap() = read.map(|secret| secret.expose().to_owned()).collect();
    }

    pub fn run(&self, words: &str) -> Run {
        let run = self.sandbox.run(&words.replace("ID", &self.sandbox.id()).split_whitespace().collect::<Vec<_>>());
        let secrets = ["", "_NEW", "_OLD"].iter().filter_map(|suffix| self.sandbox.slot(suffix));
        for secret in secrets.chain(self.secret()) {
            assert!(!format!("{}{}", run.stdout, run.stderr).contains(secret.expose()), "a secret came out");
            for (path, bytes) in self.sandbox.all_files() {
                let is_in = bytes.windows(secret.len()).any(|part| part == secret.expose().as_bytes());
                // What a run that was killed has begun to write goes with the next change.
                let is_begun = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".whsec-"));
                assert!(!is_in || is_begun || path == self.sandbox.dotenv(), "a secret in {}", path.display());
            }
        }
        run
    }

    fn begin(&self) -> Secret {
        self.run("rotate hooks --yes --confirm ID").exits(0).says("nothing was sent yet").says("deploy");
        self.sandbox.slot("_NEW").expect("a new secret")
    }

    fn seals(&self) -> usize {
        std::fs::read_dir(self.sandbox.state().join("seals")).map_or(0, |seals| {
            seals.flatten().filter(|seal| seal.path().extension().is_some_and(|is| is == "age")).count()
        })
    }
}

#[test]
fn a_secret_of_ours_is_in_the_stores_and_the_receivers_before_the_provider_has_it() {
    let github = GitHub::new();
    let old = github.secret();
    let new = github.begin();
    assert_eq!((new.len(), github.given().len(), github.sandbox.slot("")), (64, 0, old.clone()));
    assert_eq!(github.seals(), 1, "until the provider has it, a store is not its only place");
    let open = github.run("status hooks --json").exits(0).json();
    assert_eq!(open["targets"][0]["status"], "stored", "{open}");
    github.run("rotate hooks --yes --confirm ID").exits(5).says("is open already");

    github.deploy(&["", "_NEW"]);
    let run = github.run("cutover hooks --done deploy").exits(11).says("accepts both").says("has taken the new secret");
    assert!(run.stderr.find("accepts both") < run.stderr.find("has taken the new secret"));
    assert_eq!((github.secret(), github.given().len()), (Some(new.clone()), 1));
    assert_eq!(
        (github.sandbox.slot(""), github.sandbox.slot("_NEW"), github.sandbox.slot("_OLD")),
        (Some(new), None, None)
    );
    assert_eq!(github.seals(), 1, "the old one, to see that it is refused");

    github.run("cutover hooks --done drop").exits(9).says("accepts the old secret as well");
    github.deploy(&[""]);
    let done = github.run("cutover hooks --json").exits(0).json();
    assert_eq!((done["direction"].as_str(), done["status"].as_str()), (Some("set"), Some("done")));
    assert_eq!(github.seals(), 0);
    assert_eq!(github.given().len(), 1);
}

#[test]
fn nothing_is_sent_before_every_receiver_is_seen_to_accept_the_new_secret() {
    let github = GitHub::new();
    github.begin();
    github.run("cutover hooks --done deploy --done verify").exits(9).says("accepts the old secret alone");
    assert!(github.given().is_empty());
    // Deployed, proved, and refused by the provider; by the time of the next call the receiver is back at the old one.
    github.deploy(&["", "_NEW"]);
    github.set(|hook| hook.refuses = Some(403));
    github.run("cutover hooks").exits(3).says("may not change this webhook");
    github.set(|hook| hook.refuses = None);
    github.deploy(&[""]);
    github.run("cutover hooks --done verify").exits(9).says("accepts the old secret alone");
    assert!(github.given().is_empty());
    github.run("cutover hooks --done verify --reason behind-a-firewall").exits(11).says("going on, as was said");
    assert_eq!(github.given().len(), 1);

    let github = GitHub::without_receiver();
    let new = github.begin();
    github
        .run("cutover hooks --done deploy --done verify")
        .exits(9)
        .says("no receiver was seen to accept the new secret");
    assert!(github.given().is_empty());
    github.run("cutover hooks --done verify --reason tried-by-hand").exits(11).says("drop");
    assert_eq!((github.secret(), github.sandbox.slot("")), (Some(new.clone()), Some(new)));
    github.run("cutover hooks --done drop").exits(0);
}

#[test]
fn a_lost_answer_is_answered_by_the_very_same_secret() {
    for lost in [1, 4, 6] {
        let github = GitHub::new();
        let new = github.begin();
        github.deploy(&["", "_NEW"]);
        github.set(|hook| hook.lost = lost);
        let run = github.run("cutover hooks --done deploy");
        if lost >= 4 {
            run.exits(7)
                .says("was sent, but its outcome is unknown")
                .says("which of the two the provider has is not known");
            assert_eq!(github.sandbox.slot("_NEW"), Some(new.clone()), "it stays where receivers read it");
            github.run("abandon hooks --yes").exits(2).says("--reason");
            github.run("finish hooks").exits(7).says("find it out: whsec cutover hooks");
            github.run("cutover hooks").exits(11);
        } else {
            run.exits(11);
        }
        let given = github.given();
        assert!(given.len() as u32 == lost + 1 && given.iter().all(|given| given == new.expose()), "{}", given.len());
        assert_eq!((github.secret(), github.sandbox.slot("")), (Some(new.clone()), Some(new)));
    }
}

#[test]
fn what_somebody_else_has_changed_is_asked_about_before_it_is_replaced() {
    let github = GitHub::new();
    let theirs = "a secret of theirs";
    github.begin();
    github.deploy(&["", "_NEW"]);
    github.set(|hook| (hook.secret, hook.updated_at) = (theirs.to_owned(), jiff::Timestamp::now()));
    github.run("cutover hooks --done deploy").exits(9).says("the time of change is");
    assert_eq!((github.secret(), github.given().len()), (Some(Secret::new(theirs)), 0));
    let open = github.run("status hooks --json").exits(0).json();
    assert!(open["targets"][0]["doubt"].is_string(), "{open}");
    github.run("cutover hooks --reason it-was-the-url").exits(11).says("has taken the new secret");
    assert_eq!(github.given().len(), 1);

    // The same after a lost answer: what they did since then is not overwritten by a repetition.
    let github = GitHub::new();
    github.begin();
    github.deploy(&["", "_NEW"]);
    github.set(|hook| hook.lost = 4);
    github.run("cutover hooks --done deploy").exits(7);
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    github.set(|hook| (hook.secret, hook.updated_at) = (theirs.to_owned(), later));
    github.run("cutover hooks").exits(9).says("the time of change is");
    assert_eq!((github.secret(), github.given().len()), (Some(Secret::new(theirs)), 4));
}

#[test]
fn a_refused_call_leaves_everything_as_it_was_and_is_made_again_with_the_same_secret() {
    let github = GitHub::new();
    let new = github.begin();
    github.deploy(&["", "_NEW"]);
    for (status, exit) in [(401, 3), (404, 4), (422, 1)] {
        github.set(|hook| hook.refuses = Some(status));
        github.run("cutover hooks --done deploy").exits(exit);
        assert_eq!(github.sandbox.slot("_NEW"), Some(new.clone()), "{status}");
    }
    github.set(|hook| hook.refuses = None);
    github.run("cutover hooks").exits(11);
    assert_eq!((github.given(), github.sandbox.slot("")), (vec![new.expose().to_owned()], Some(new)));
}

#[test]
fn receivers_with_one_secret_switch_once_somebody_says_that_they_are_ready() {
    let github = GitHub::new();
    github.sandbox.edit_config("store = ", "cutover = \"switch\"\nstore = ");
    github.run("rotate hooks --yes --confirm ID").exits(2).says("--done prepare");
    github.run("rotate hooks --yes --confirm ID --probe-first").exits(2).says("keep one secret");
    assert!(github.given().is_empty());
    let run = github.run("rotate hooks --yes --confirm ID --done prepare --json").exits(0).json();
    assert_eq!(run["direction"], "set-switch", "{run}");
    let new = github.secret();
    assert_eq!((github.given().len(), github.sandbox.slot("")), (1, new));
    github.deploy(&[""]);
    github.run("cutover hooks --done deploy").exits(0);
}

#[test]
fn a_leak_is_contained_by_a_secret_of_ours_without_a_delivery_refused() {
    let github = GitHub::new();
    let old = github.secret();
    github.run("force-rotate hooks --reason leaked --confirm ID --yes").exits(0);
    assert_eq!((github.secret(), github.given().len()), (old, 0), "receivers come first");
    github.deploy(&["", "_NEW"]);
    let run = github.run("cutover hooks --done deploy --json").exits(11).json();
    assert_eq!((run["contained"].as_bool(), github.given().len()), (Some(false), 1), "{run}");
    github.deploy(&[""]);
    assert_eq!(github.run("cutover hooks --json").exits(0).json()["contained"], true);
}

#[test]
fn one_that_is_given_up_before_the_call_leaves_the_provider_as_it_is() {
    let github = GitHub::new();
    let old = github.secret();
    let first = github.begin();
    github.run("rollback hooks --reason nothing-to-undo").exits(9).says("live slot holds it still");
    github.run("finish hooks").exits(9).says("the call comes first").says("whsec cutover hooks");
    github.run("abandon hooks --yes --reason not-today").exits(0);
    assert_eq!((github.secret(), github.sandbox.slot(""), github.given().len()), (old.clone(), old, 0));
    assert_eq!(github.seals(), 0, "nobody was given it");
    github.run("status hooks --exit-code").exits(0);
    let second = github.begin();
    assert_ne!(first, second);
}

#[test]
fn a_slot_that_others_have_filled_is_not_given_to_the_provider() {
    let github = GitHub::new();
    let new = github.begin();
    let theirs = Secret::new("theirs_0123456789abcdef0123456789abcdef");
    github.sandbox.edit_dotenv(&new, &theirs);
    github.run("cutover hooks --done deploy").exits(9).says(&theirs.fingerprint().to_string());
    assert!(github.given().is_empty());
    // Where they have removed it, it is put there again.
    github.sandbox.edit_dotenv(&theirs, &new);
    let text = std::fs::read_to_string(github.sandbox.dotenv()).unwrap();
    let kept: Vec<&str> = text.lines().filter(|line| !line.contains(new.expose())).collect();
    std::fs::write(github.sandbox.dotenv(), kept.join("\n") + "\n").unwrap();
    github.run("cutover hooks").exits(11).says("is in").says("again");
    assert_eq!(github.sandbox.slot("_NEW"), Some(new));
}

#[test]
fn a_secret_that_is_gone_before_the_call_is_made_anew() {
    let github = GitHub::new();
    let (old, first) = (github.secret(), github.begin());
    let text = std::fs::read_to_string(github.sandbox.dotenv()).unwrap();
    let kept: Vec<&str> = text.lines().filter(|line| !line.contains(first.expose())).collect();
    std::fs::write(github.sandbox.dotenv(), kept.join("\n") + "\n").unwrap();
    std::fs::remove_dir_all(github.sandbox.state().join("seals")).unwrap();
    github.run("cutover hooks --done deploy").exits(1).says("begin again: `whsec rotate hooks`");
    assert_eq!((github.secret(), github.given().len()), (old, 0));
    assert_ne!(github.begin(), first);
}

#[test]
fn a_yes_at_a_terminal_is_asked_how_that_is_known() {
    let github = GitHub::without_receiver();
    github.begin();
    let mut terminal = Terminal::run(&github.sandbox, &["cutover", "hooks"]);
    terminal.expect("deploy: done?").types("y").expect("verify: done?").types("y");
    terminal.expect("Reason, for the record");
    assert!(github.given().is_empty());
    terminal.types("a signed request by curl\r").expect("has taken the new secret").expect("drop: done?").types("y");
    terminal.exits(0);
    github.run("history --json").exits(0);
    assert_eq!(github.given().len(), 1);
}

#[test]
fn a_page_that_is_no_answer_is_no_yes() {
    let github = GitHub::new();
    let (old, new) = (github.secret(), github.begin());
    github.deploy(&["", "_NEW"]);
    github.set(|hook| hook.is_in_maintenance = true);
    github.run("cutover hooks --done deploy").exits(7).says("the answer is not JSON");
    assert_eq!((github.secret(), github.sandbox.slot("")), (old.clone(), old));
    github.set(|hook| hook.is_in_maintenance = false);
    github.run("cutover hooks").exits(11);
    assert_eq!(github.secret(), Some(new));
}

#[test]
fn what_the_provider_may_sign_with_is_staged_over_by_no_later_rotation() {
    let github = GitHub::new();
    let new = github.begin();
    github.deploy(&["", "_NEW"]);
    github.set(|hook| hook.lost = 9);
    github.run("cutover hooks --done deploy").exits(7);
    github.run("abandon hooks --yes --reason tired").exits(0);
    github.run("rotate hooks --yes --confirm ID").exits(6).says("GitHub may sign with");
    github.run("force-rotate hooks --yes --confirm ID --reason leaked").exits(6).says("GitHub may sign with");
    assert_eq!((github.secret(), github.sandbox.slot("_NEW")), (Some(new.clone()), Some(new)));
}

#[test]
fn a_leak_of_the_old_secret_is_contained_by_the_one_that_is_deployed_already() {
    let github = GitHub::new();
    let new = github.begin();
    github.deploy(&["", "_NEW"]);
    github.run("force-rotate hooks --yes --confirm ID --reason leaked").exits(0);
    // Nobody has to be asked: the receiver has it, and is seen to accept it.
    assert_eq!((github.secret(), github.given().len()), (Some(new.clone()), 1), "it is not made anew");
    assert_eq!(github.sandbox.slot(""), Some(new));
    github.deploy(&[""]);
    assert_eq!(github.run("cutover hooks --json").exits(0).json()["contained"], true);

    // If it is the new one that has leaked, it is replaced before anybody has it.
    let github = GitHub::new();
    let (old, leaked) = (github.secret(), github.begin());
    let said = format!("force-rotate hooks --yes --confirm ID --reason leaked --leaked {}", leaked.fingerprint());
    github.run(&said).exits(0);
    assert_ne!(github.sandbox.slot("_NEW"), Some(leaked));
    assert_eq!((github.secret(), github.given().len()), (old, 0));
}

#[test]
fn a_repetition_is_not_sent_to_receivers_that_were_rolled_back() {
    let github = GitHub::new();
    github.begin();
    github.deploy(&["", "_NEW"]);
    github.set(|hook| hook.lost = 4);
    github.run("cutover hooks --done deploy").exits(7);
    github.deploy(&[""]);
    github.run("cutover hooks").exits(9).says("the call may never have arrived").says("whsec cutover hooks");
    assert_eq!(github.given().len(), 4);
    github.run("cutover hooks --reason nothing-is-delivered-there").exits(11);
    assert_eq!(github.given().len(), 5);
}
