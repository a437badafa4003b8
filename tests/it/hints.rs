//! A hint is true for this provider, this store and this state: every command that one of the table names is run in the state
//! that printed it, and comes further. A usage error, or the same message again, is a dead end at 3 a.m.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use whsec::provider::stand_in::Fault;

use crate::sandbox::{Run, Sandbox};
use crate::screen::Terminal;

/// A command that fails with a hint.
pub struct Case {
    name: &'static str,
    /// A state in which it does.
    pub arrange: fn() -> Sandbox,
    pub line: &'static str,
    code: i32,
    /// How many commands its hint names.
    commands: usize,
}

/// A line with the endpoint's id where it says `ID`, and the newest secret's fingerprint where it says `NEW`.
fn words(sandbox: &Sandbox, line: &str) -> Vec<String> {
    let line = line.replace("ID", &sandbox.id());
    let line = line.replace("NEW", &sandbox.newest().fingerprint().to_string());
    shlex::split(&line).unwrap()
}

pub fn run(sandbox: &Sandbox, line: &str) -> Run {
    let words = words(sandbox, line);
    sandbox.run(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

/// What went wrong, without its hint.
fn error(run: &Run) -> String {
    let lines = run.stderr.lines().skip_while(|line| !line.starts_with("error:"));
    lines.take_while(|line| !line.trim_start().starts_with("hint:")).collect::<Vec<_>>().join(" ")
}

/// The hint, folded lines put together again.
fn hint(run: &Run) -> String {
    let lines = run.stderr.lines().skip_while(|line| !line.trim_start().starts_with("hint:"));
    let lines = lines.take_while(|line| !line.trim_start().starts_with("note:") && !line.starts_with("warning:"));
    lines.map(str::trim).collect::<Vec<_>>().join(" ").trim_start_matches("hint:").trim().to_owned()
}

/// The commands that a hint names: in backticks, or up to the end of the clause.
fn commands(hint: &str) -> Vec<String> {
    let starts = ["whsec ", "chmod "];
    let mut found = Vec::new();
    let mut rest = hint;
    while let Some(at) = starts.iter().filter_map(|start| rest.find(start)).min() {
        let quoted = rest[..at].ends_with('`');
        let tail = &rest[at..];
        let end = match quoted {
            true => tail.find('`'),
            false => [";", " puts ", " --yes)", " (", " finds it out"].iter().filter_map(|end| tail.find(end)).min(),
        };
        let end = end.unwrap_or(tail.len());
        found.push(tail[..end].trim_end_matches([')', '.']).to_owned());
        rest = &tail[end..];
    }
    found
}

/// Runs a command of a hint as somebody would paste it, and answers the questions that it may ask by their flags.
fn paste(sandbox: &Sandbox, command: &str) -> Run {
    if let Some(path) = command.strip_prefix("chmod ") {
        let status = Command::new("sh").arg("-c").arg(format!("chmod {path}")).status().unwrap();
        assert!(status.success(), "{command}");
        return Run { code: 0, stdout: String::new(), stderr: String::new() };
    }
    let mut words: Vec<String> = shlex::split(&command.replace("TEXT", "because")).unwrap().split_off(1);
    for _ in 0..3 {
        let arguments: Vec<&str> = words.iter().map(String::as_str).collect();
        // A secret may be printed on purpose.
        let output = sandbox.command(&arguments).stdin(Stdio::null()).output().unwrap();
        let run = Run::from(output);
        let wanted = if run.stderr.contains("stdout is not a terminal") {
            "--unsafe-stdout".to_owned()
        } else if let Some((_, flag)) = hint(&run).split_once("give ").filter(|_| run.code == 2) {
            flag.trim_end_matches(" on the command line").to_owned()
        } else {
            return run;
        };
        words.extend(shlex::split(&wanted).unwrap());
    }
    panic!("`{command}` asks and asks");
}

fn rotated(provider: &str) -> Sandbox {
    let sandbox = Sandbox::new(provider);
    sandbox.rotate().exits(0);
    sandbox
}

fn abandoned(provider: &str) -> Sandbox {
    let sandbox = rotated(provider);
    run(&sandbox, "abandon hooks --reason over --yes").exits(0);
    sandbox
}

fn lost(provider: &str, fault: Fault) -> Sandbox {
    let sandbox = Sandbox::new(provider);
    sandbox.stand_in.fault(fault);
    sandbox.rotate().exits(7);
    sandbox
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

const FORCE: &str = "force-rotate hooks --reason leaked --confirm ID --done prepare";
const ROTATE: &str = "rotate hooks --yes --confirm ID --done prepare";

pub const TABLE: &[Case] = &[
    Case { name: "a rotation is open", arrange: || rotated("layers"), line: ROTATE, code: 5, commands: 1 },
    Case {
        name: "an overlap is open that force ends",
        arrange: || abandoned("signa"),
        line: ROTATE,
        code: 5,
        commands: 1,
    },
    Case {
        name: "an overlap is open that nothing ends",
        arrange: || abandoned("layers"),
        line: ROTATE,
        code: 5,
        commands: 1,
    },
    Case {
        name: "a leak in an overlap that nothing ends",
        arrange: || abandoned("layers"),
        line: FORCE,
        code: 5,
        commands: 1,
    },
    Case {
        name: "the provider knows of an overlap that the journal does not",
        arrange: || {
            let sandbox = rotated("signa");
            let moved = sandbox.path("elsewhere");
            std::fs::rename(sandbox.state(), moved).unwrap();
            let text = std::fs::read_to_string(sandbox.dotenv()).unwrap();
            let kept: Vec<&str> =
                text.lines().filter(|line| !line.contains("_OLD") && !line.contains("_NEW")).collect();
            std::fs::write(sandbox.dotenv(), kept.join("\n") + "\n").unwrap();
            sandbox
        },
        line: ROTATE,
        code: 5,
        commands: 1,
    },
    Case {
        name: "an outcome that nobody knows",
        arrange: || lost("verifa", Fault::LoseAnswer),
        line: "cutover hooks",
        code: 7,
        commands: 1,
    },
    Case {
        name: "a word against the evidence",
        arrange: || lost("kadosei", Fault::LoseAnswer),
        line: "cutover hooks --resolve not-applied",
        code: 7,
        commands: 1,
    },
    Case {
        name: "an answer that cannot be read",
        arrange: || lost("verifa", Fault::StatusAfter(200, "<html>".to_owned())),
        line: "cutover hooks",
        code: 7,
        commands: 2,
    },
    Case {
        name: "a secret that nobody has",
        arrange: || lost("verifa", Fault::LoseAnswer),
        line: "cutover hooks --resolve applied",
        code: 4,
        commands: 1,
    },
    Case { name: "finished too early", arrange: || rotated("layers"), line: "finish hooks", code: 9, commands: 1 },
    Case {
        name: "nothing to go back from",
        arrange: || rotated("layers"),
        line: "rollback hooks",
        code: 9,
        commands: 1,
    },
    Case {
        name: "back to a secret that has leaked",
        arrange: || {
            let sandbox = Sandbox::new("layers");
            run(&sandbox, FORCE).exits(0);
            sandbox
        },
        line: "rollback hooks",
        code: 9,
        commands: 2,
    },
    Case {
        name: "the new secret has leaked, and is live",
        arrange: || {
            let sandbox = Sandbox::new("layers");
            sandbox.edit_config("api_key = ", "cutover = \"switch\"\napi_key = ");
            sandbox.rotate().exits(0);
            sandbox
        },
        line: "force-rotate hooks --reason leaked --confirm ID --done prepare --leaked NEW",
        code: 5,
        commands: 1,
    },
    Case {
        name: "the new secret has leaked, and is not live",
        arrange: || rotated("layers"),
        line: "force-rotate hooks --reason leaked --confirm ID --done prepare --leaked NEW",
        code: 5,
        commands: 0,
    },
    Case {
        name: "the call for a leak was refused",
        arrange: || {
            let sandbox = Sandbox::new("layers");
            sandbox.stand_in.fault(Fault::Status(403, "{}".to_owned()));
            run(&sandbox, FORCE).exits(3);
            sandbox
        },
        line: "cutover hooks",
        code: 4,
        commands: 2,
    },
    Case {
        name: "what somebody else has replaced is live still",
        arrange: || {
            let sandbox = rotated("kadosei");
            sandbox.stand_in.rotate_by_hand();
            run(&sandbox, "cutover hooks --done deploy --done verify --done drop").exits(5);
            sandbox
        },
        line: "abandon hooks --reason over --yes",
        code: 9,
        commands: 2,
    },
    Case { name: "nothing is open", arrange: || abandoned("layers"), line: "finish hooks", code: 4, commands: 1 },
    Case {
        name: "which secret is alive is not known",
        arrange: || {
            let sandbox = lost("verifa", Fault::LoseAnswer);
            sandbox.edit_config("api_key = ", "receivers = [\"http://127.0.0.1:9/\"]\napi_key = ");
            sandbox
        },
        line: "probe hooks",
        code: 9,
        commands: 2,
    },
    Case {
        name: "a secret for a pipe",
        arrange: || Sandbox::new("layers"),
        line: "reveal hooks",
        code: 2,
        commands: 1,
    },
    Case {
        name: "a name that is taken",
        arrange: || Sandbox::new("layers"),
        line: "target add hooks layers/other --store file:/tmp/never-written",
        code: 2,
        commands: 1,
    },
    Case {
        name: "a target that there is not",
        arrange: || Sandbox::new("layers"),
        line: "rotate hoks",
        code: 4,
        commands: 1,
    },
    Case {
        name: "a checkout with more than it may say",
        arrange: || {
            let sandbox = Sandbox::new("layers");
            let text = "[targets.theirs]\nprovider = \"layers\"\nid = \"a\"\nbase_url = \"https://example.com\"\n";
            std::fs::write(sandbox.path("work/whsec.toml"), text).unwrap();
            sandbox
        },
        line: "inspect theirs",
        code: 2,
        commands: 1,
    },
    Case {
        name: "a folder that everybody can write to",
        arrange: || {
            let sandbox = Sandbox::new("layers");
            std::fs::create_dir(sandbox.path("work/open")).unwrap();
            chmod(&sandbox.path("work/open"), 0o777);
            sandbox.stores(&["file:./open/secret"]);
            sandbox
        },
        line: ROTATE,
        code: 6,
        commands: 1,
    },
    Case {
        name: "a key that others can write",
        arrange: || {
            let sandbox = Sandbox::new("layers");
            chmod(&sandbox.path("key"), 0o622);
            sandbox
        },
        line: ROTATE,
        code: 3,
        commands: 1,
    },
    Case {
        name: "a config that others can write",
        arrange: || {
            let sandbox = Sandbox::new("layers");
            chmod(&sandbox.path("home/.config/whsec/config.toml"), 0o666);
            sandbox
        },
        line: ROTATE,
        code: 2,
        commands: 1,
    },
    Case {
        name: "a key that is refused",
        arrange: || {
            let sandbox = Sandbox::new("layers");
            std::fs::write(sandbox.path("key"), "not-of-this-account").unwrap();
            sandbox
        },
        line: ROTATE,
        code: 3,
        commands: 0,
    },
    Case {
        name: "a target that is near to none",
        arrange: || Sandbox::new("layers"),
        line: "inspect zzz",
        code: 4,
        commands: 1,
    },
    Case {
        name: "a provider that there is not",
        arrange: || Sandbox::new("layers"),
        line: "provider show nobody",
        code: 2,
        commands: 1,
    },
    Case {
        name: "a provider's name that is mistyped",
        arrange: || Sandbox::new("layers"),
        line: "provider show layrs",
        code: 2,
        commands: 1,
    },
    Case {
        name: "a description that is not there",
        arrange: || Sandbox::new("layers"),
        line: "rehearse ./none.toml",
        code: 2,
        commands: 1,
    },
    Case {
        name: "nothing was ever begun",
        arrange: || Sandbox::new("layers"),
        line: "finish hooks",
        code: 4,
        commands: 1,
    },
    Case {
        name: "the last one failed",
        arrange: || {
            let sandbox = Sandbox::new("signa");
            sandbox.stand_in.fault(Fault::Status(422, "{}".to_owned()));
            sandbox.rotate().exits(1);
            sandbox
        },
        line: "cutover hooks",
        code: 4,
        commands: 1,
    },
    Case {
        name: "a target with an open rotation is removed",
        arrange: || rotated("layers"),
        line: "target remove hooks --yes",
        code: 5,
        commands: 1,
    },
    Case {
        name: "a target with an open rotation is made another endpoint",
        arrange: || rotated("layers"),
        line: "target edit hooks --id endpointId=another --yes",
        code: 5,
        commands: 1,
    },
    Case {
        name: "somebody wrote into a slot",
        arrange: || {
            let sandbox = rotated("layers");
            let text = std::fs::read_to_string(sandbox.dotenv()).unwrap();
            let lines = text.lines().map(|line| match line.split_once("_NEW=") {
                Some((key, _)) => format!("{key}_NEW=whsec_c29tZWJvZHktZWxzZXM\n"),
                None => format!("{line}\n"),
            });
            std::fs::write(sandbox.dotenv(), lines.collect::<String>()).unwrap();
            sandbox
        },
        line: "cutover hooks --done deploy",
        code: 9,
        commands: 3,
    },
    Case {
        name: "a file that was emptied",
        arrange: || {
            let sandbox = rotated("layers");
            std::fs::write(sandbox.dotenv(), "").unwrap();
            sandbox
        },
        line: "cutover hooks",
        code: 9,
        commands: 1,
    },
    Case {
        name: "finished after it was taken back",
        arrange: || {
            let sandbox = rotated("signa");
            run(&sandbox, "rollback hooks --reason refused").exits(0);
            sandbox
        },
        line: "finish hooks",
        code: 9,
        commands: 1,
    },
    Case {
        name: "a delivery that nobody signed",
        arrange: || {
            let sandbox = Sandbox::new("layers");
            let zeros = "0".repeat(64);
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
            let head = format!("POST / HTTP/1.1\r\nX-Layers-Signature: t={now},v1={zeros}\r\n\r\n{{}}");
            std::fs::write(sandbox.path("work/d.http"), head).unwrap();
            sandbox
        },
        line: "verify hooks d.http",
        code: 9,
        commands: 1,
    },
];

#[test]
fn c7_every_command_that_a_hint_names_comes_further() {
    for case in TABLE {
        let said = run(&(case.arrange)(), case.line);
        assert_eq!(said.code, case.code, "{}: {}", case.name, said.stderr);
        let named = commands(&hint(&said));
        assert_eq!(named.len(), case.commands, "{}: {named:?} in {}", case.name, said.stderr);
        for (at, _) in named.iter().enumerate() {
            // Each in a state of its own, which has files and fingerprints of its own.
            let sandbox = (case.arrange)();
            let before = run(&sandbox, case.line);
            let command = commands(&hint(&before)).swap_remove(at);
            let mut after = paste(&sandbox, &command);
            if command.starts_with("chmod ") {
                after = run(&sandbox, case.line);
            }
            let what = format!("{}: `{command}` after\n{}\nsays\n{}", case.name, before.stderr, after.stderr);
            assert_ne!(after.code, 2, "{what}");
            assert!(error(&after).is_empty() || error(&after) != error(&before), "{what}");
        }
    }
}

#[test]
fn c7_no_hint_sends_from_one_refusal_to_another_and_back() {
    // In an overlap that nothing can end, neither command names the other.
    let sandbox = abandoned("layers");
    for line in [ROTATE, FORCE] {
        let said = hint(&run(&sandbox, line).exits(5));
        assert!(!said.contains("whsec rotate") && !said.contains("whsec force-rotate"), "{line}: {said}");
    }
    // Nor does a force that was itself refused.
    let sandbox = Sandbox::new("signa");
    sandbox.stand_in.fault(Fault::Status(409, "{}".to_owned()));
    let said = hint(&run(&sandbox, FORCE).exits(5));
    assert!(!said.contains("force-rotate") && said.contains("nothing was rotated"), "{said}");
    // A refusal of what only asks says nothing of a rotation that went out before.
    let sandbox = rotated("signa");
    std::fs::write(sandbox.path("key"), "not-of-this-account").unwrap();
    for line in ["inspect hooks", FORCE] {
        assert!(!run(&sandbox, line).exits(3).stderr.contains("nothing was rotated"), "{line}");
    }
}

#[test]
fn c7_a_way_that_is_closed_is_not_named() {
    // An instant provider to which nothing was sent has no new secret that could be deployed.
    let sandbox = Sandbox::new("verifa");
    let mut terminal = Terminal::run(&sandbox, &["rotate", "hooks"]);
    terminal.expect("Type the endpoint's id").types(&format!("{}\r", sandbox.id()));
    terminal.expect("prepare: done?").types("n");
    terminal.exits(0);
    let said = hint(&run(&sandbox, "rollback hooks").exits(9).says("nothing has been rotated"));
    assert!(!said.contains("deploy the new secret"), "{said}");
    // And one that was sent has no other way.
    let sandbox = rotated("verifa");
    assert!(hint(&run(&sandbox, "rollback hooks").exits(9)).contains("deploy the new secret"));
}
