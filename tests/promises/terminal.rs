//! Promises 17, 21 and 30 at a pseudo-terminal: a provider's words and hostile names move nothing on it, and Ctrl-C at any question or in a
//! countdown leaves cursor and echo as they were.

use std::collections::BTreeSet;

use expectrl::{Eof, Expect, Session};
use whsec::provider::stand_in::Fault;

use crate::report::{Dice, Tally, is_full, seed};
use crate::screen::Terminal;
use crate::world::{Clock, FILES, World};

/// A question or countdown: provider, commands before it, the command, what is typed at which words, and the last words.
type Place =
    (&'static str, &'static [&'static str], &'static str, &'static [(&'static str, &'static str)], &'static str);

const PLACES: &[Place] = &[
    ("layers", &[], "rotate hooks", &[], "Rotate now?"),
    ("layers", &[], "rotate hooks", &[("Rotate now?", "y")], "deploy: done?"),
    ("layers", &[], "rotate hooks --yes", &[("deploy: done?", "y")], "verify: done?"),
    ("layers", &[], "rotate hooks --yes", &[("deploy: done?", "y"), ("verify: done?", "y")], "left, until"),
    ("signa", &["rotate hooks --yes"], "cutover hooks --done deploy --done verify", &[], "left, until"),
    ("signa", &["rotate hooks --yes", "jump"], "cutover hooks --done deploy --done verify", &[], "drop: done?"),
    ("signa", &[], "force-rotate hooks --reason leaked", &[], "Type the endpoint's id"),
    ("signa", &[], "force-rotate hooks --reason leaked", &[("Type the endpoint's id", "id0-7Qx\r")], "deploy: done?"),
    ("verifa", &[], "rotate hooks", &[("Type the endpoint's id", "id0-7Qx\r")], "prepare: done?"),
    (
        "verifa",
        &["lose", "rotate hooks --yes --confirm ID --done prepare"],
        "cutover hooks",
        &[],
        "What happened at the provider?",
    ),
    ("layers", &[], "login layers", &[], "(hidden)"),
    ("layers", &[], "target add", &[], "Name of the target"),
    ("layers", &[], "target add", &[("Name of the target", "other\r")], "Provider"),
    ("layers", &[], "target add other --provider layers --id endpointId=x", &[], "Keep the secret in"),
    ("layers", &[], "target remove hooks", &[], "Remove `hooks`"),
    ("layers", &[], "target edit hooks --owner me", &[], "Write this into"),
    ("layers", &[], "status --watch", &[], "hooks"),
    ("layers", &["rotate hooks --yes"], "abandon hooks --reason tried", &[], "?"),
    ("layers", &["rotate hooks --yes", "lose the journal"], "adopt hooks", &[], "shall it go on here?"),
    ("hopae", &[], "rehearse hopae", &[], "Type the endpoint's id"),
];

#[test]
#[ignore = "sweep: run by tests/run"]
fn ctrl_c_at_every_question_and_countdown_leaves_the_terminal_as_it_was() {
    let mut tally = Tally::default();
    let clock = Clock::new();
    for (provider, before, line, typed, words) in PLACES {
        tally.case(&format!("`{line}` at `{words}`"), || {
            let world = World::new(provider, FILES, &clock);
            for earlier in *before {
                match *earlier {
                    "jump" => world.jump(),
                    "lose the journal" => std::fs::remove_dir_all(world.sandbox.state()).unwrap(),
                    "lose" => world.sandbox.stand_in.fault(Fault::LoseAnswer),
                    earlier => drop(world.run(earlier)),
                }
            }
            let made = world.rotations();
            let words_of_line: Vec<&str> = line.split_whitespace().collect();
            let mut terminal = Terminal::run_command(&world.command(&words_of_line));
            for (question, keys) in *typed {
                terminal.expect(question).types(keys);
            }
            terminal.expect(words).listens().types("\u{3}");
            // `exits` looks at cursor, echo and line mode; an open question about a lost call stays exit 7.
            let code = if words.contains("What happened") { 7 } else { 130 };
            let seen = terminal.exits(code);
            if seen.contains(world.sandbox.newest().expose()) {
                return Err("a secret is on the screen".to_owned());
            }
            world.check_moment(true)?;
            match world.rotations() <= made.max(1) {
                true => Ok(()),
                false => Err(format!("{} rotations", world.rotations())),
            }
        });
    }
    let figure = "cursor, echo, line mode and signals restored after Ctrl-C at each";
    tally.promise(21, "questions and countdowns at a terminal", figure);
}

/// What terminals act on: cursor, screen, title, clipboard, colour, answers typed back, direction of text.
const PAYLOADS: &[&str] = &[
    "\u{1b}[2J",
    "\u{1b}[H",
    "\u{1b}[1A\u{1b}[2K",
    "\u{1b}[31m",
    "\u{1b}[8m",
    "\u{1b}[?25l",
    "\u{1b}[?1049h",
    "\u{1b}[6n",
    "\u{1b}[c",
    "\u{1b}]0;owned\u{7}",
    "\u{1b}]52;c;b3duZWQ=\u{7}",
    "\u{1b}]8;;http://evil.example\u{1b}\\here\u{1b}]8;;\u{1b}\\",
    "\u{1b}P$q\"p\u{1b}\\",
    "\u{1b}^private\u{1b}\\",
    "\u{1b}_app\u{1b}\\",
    "\u{1b}c",
    "\u{1b}#8",
    "\u{1b}(0",
    "\u{1b}[20h",
    "\u{1b}[?5h",
    "\u{1b}[5i",
    "\u{1b}[21t",
    "\u{9b}2J",
    "\u{9d}0;owned\u{9c}",
    "\u{90}q\u{9c}",
    "\u{85}",
    "\u{84}",
    "\u{8d}",
    "\r",
    "\n",
    "\u{b}",
    "\u{c}",
    "\u{8}\u{8}\u{8}",
    "\u{7}",
    "\u{0}",
    "\u{e}",
    "\u{f}",
    "\u{5}",
    "\u{18}",
    "\u{1a}",
    "\u{7f}",
    "\t",
    "\u{202e}",
    "\u{2066}",
    "\u{200f}",
    "\u{200b}",
    "\u{2028}",
    "\u{2029}",
    "\u{feff}",
    "\u{61c}",
    "\u{2060}",
    "\r\n\u{1b}[32mdone: rotated\u{1b}[0m",
    "\u{1b}[",
    "\u{1b}",
    "\u{1b}[38;5;1m",
    "\u{1b}[0;0;0m",
];

/// One text out of several payloads with plain words between them.
fn payload(dice: &mut Dice) -> String {
    (0..1 + dice.below(4)).fold("words".to_owned(), |text, _| {
        let at = usize::try_from(dice.below(PAYLOADS.len() as u64)).unwrap();
        format!("{text} {}{}", PAYLOADS[at], ["", "owned", "m", "31m"][usize::try_from(dice.below(4)).unwrap()])
    })
}

/// Everything that a command writes to a terminal, as it is.
fn screen(world: &World, line: &[&str]) -> String {
    let inner = world.command(line);
    let mut command = std::process::Command::new(inner.get_program());
    command.args(inner.get_args()).env_clear().current_dir(inner.get_current_dir().unwrap());
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("TERM", "xterm");
    let mut session = Session::spawn(command).unwrap();
    session.set_expect_timeout(Some(std::time::Duration::from_secs(20)));
    let seen = session.expect(Eof).unwrap();
    String::from_utf8(seen.as_bytes().to_vec()).expect("what is written to a terminal is UTF-8")
}

/// Characters that a terminal acts on, line ends aside, and the sequences of colour that are in the text.
fn acting(text: &str) -> (BTreeSet<char>, BTreeSet<String>) {
    let mut colours = BTreeSet::new();
    let mut rest = text.replace("\r\n", "\n");
    while let Some(at) = rest.find("\u{1b}[") {
        let Some(end) = rest[at + 2..].find(|c: char| !c.is_ascii_digit() && c != ';').map(|end| at + 2 + end) else {
            break;
        };
        if !rest[end..].starts_with('m') {
            break;
        }
        colours.insert(rest[at..=end].to_owned());
        rest.replace_range(at..=end, "");
    }
    let acts = |c: &char| {
        (c.is_control() && *c != '\n')
            || matches!(*c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    (rest.chars().filter(acts).collect(), colours)
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn a_providers_words_move_nothing_on_the_terminal() {
    let wanted = if is_full() { 1000 } else { 120 };
    let mut dice = Dice::new("payloads");
    let clock = Clock::new();
    let mut tally = Tally::default();
    let refuse = |world: &World, words: [&str; 3]| {
        let body = serde_json::json!({ "error": { "code": words[0], "message": words[1], "requestId": words[2] } });
        world.sandbox.stand_in.fault(Fault::Status(422, body.to_string()));
    };
    let rotate = ["rotate", "hooks", "--yes", "--detach", "--color", "always"];
    let world = World::new("layers", FILES, &clock);
    refuse(&world, ["code", "message", "id"]);
    let mut own = acting(&screen(&world, &rotate)).1;
    own.extend(acting(&screen(&World::new("layers", FILES, &clock), &rotate)).1);
    while tally.cases < wanted {
        let words: [String; 3] = std::array::from_fn(|_| payload(&mut dice));
        // One in four as the notice of an answer that is good, the others as a refusal: code, message and request id.
        let notice = dice.below(4) == 0;
        let seen = if notice {
            let world = World::new("layers", FILES, &clock);
            let until = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
            let body = serde_json::json!({
                "signingSecret": format!("whsec_{}", uuid::Uuid::new_v4().simple()),
                "endpointId": world.sandbox.id(), "previousSecretExpiresAt": until, "warning": words[0],
            })
            .to_string();
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
            world.sandbox.stand_in.fault(Fault::Raw([head.as_bytes(), body.as_bytes()].concat()));
            screen(&world, &rotate)
        } else {
            refuse(&world, words.each_ref().map(String::as_str));
            screen(&world, &rotate)
        };
        let shown = if notice { "says: words" } else { "words" };
        for text in words.iter().take(if notice { 1 } else { 3 }) {
            tally.case(&format!("{text:?}"), || {
                let (hostile, colours) = acting(&seen);
                if !seen.contains(shown) {
                    return Err(format!("the provider's words are not shown at all: {seen}"));
                }
                if !hostile.is_empty() || !colours.is_subset(&own) {
                    return Err(format!("{hostile:?} {:?} in {seen:?}", colours.difference(&own)));
                }
                Ok(())
            });
        }
    }
    tally.promise(
        17,
        "a provider's words at a terminal",
        &format!("0 control bytes from the provider (seed {})", seed()),
    );
}

/// A payload as a folder's or a target's file may have it.
fn name(dice: &mut Dice) -> String {
    payload(dice).replace(['/', '\u{0}'], "_")
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn hostile_names_move_nothing_on_the_terminal() {
    let rounds = if is_full() { 250 } else { 20 };
    let (mut dice, clock, mut tally) = (Dice::new("names"), Clock::new(), Tally::default());
    for _ in 0..rounds {
        let world = World::new("layers", FILES, &clock);
        let (folder, file, owner, header) = (name(&mut dice), name(&mut dice), name(&mut dice), name(&mut dice));
        let checkout = world.sandbox.path("work").join(&folder);
        std::fs::create_dir_all(&checkout).unwrap();
        std::fs::write(checkout.join("whsec.toml"), "[notify]\ncommand = [\"true\"]\n").unwrap();
        let quoted = serde_json::Value::from(owner.as_str()).to_string().replace('\u{7f}', "\\u007f");
        world.sandbox.edit_config("api_key = ", &format!("owner = {quoted}\napi_key = "));
        let capture =
            serde_json::json!({ "headers": { "X-Layers-Signature": format!("t=1,{header}=y") }, "body": "{}" });
        std::fs::write(world.sandbox.path("work").join(&file), capture.to_string()).unwrap();
        let lines: [&[&str]; 6] = [
            &["target", "trust"],
            &["target", "show", "hooks"],
            &["status"],
            &["verify", "hooks", &file],
            &["inspect", &owner],
            &["rotate", "hooks", "--dry-run", "--store", &header],
        ];
        for line in lines {
            tally.case(&format!("{line:?} in {folder:?}, owner {owner:?}, header {header:?}"), || {
                let (mut inner, asks) = (world.command(line), line.contains(&"trust"));
                if asks {
                    inner.current_dir(&checkout);
                }
                let mut terminal = Terminal::run_command(&inner);
                if asks {
                    terminal.expect("as shown above?").types("n");
                }
                let seen = terminal.ends();
                let (mut hostile, colours) = acting(&seen);
                // A question hides the cursor while it is asked, and gives it back.
                if asks {
                    hostile.retain(|acts| !['\u{1b}', '\r'].contains(acts));
                }
                let bad = [
                    "\u{1b}[2J",
                    "\u{1b}[H",
                    "\u{1b}]",
                    "\u{1b}P",
                    "\u{1b}c",
                    "\u{1b}[8m",
                    "\u{1b}[6n",
                    "\u{1b}[?1049h",
                ];
                let acts: Vec<&&str> = bad.iter().filter(|bad| seen.contains(**bad)).collect();
                match hostile.is_empty() && acts.is_empty() && (asks || colours.iter().all(|it| it.len() <= 5)) {
                    true => Ok(()),
                    false => Err(format!("{hostile:?} {acts:?} {colours:?} in {seen:?}")),
                }
            });
        }
    }
    let figure = format!("0 control bytes from folders, files, owners, headers and arguments (seed {})", seed());
    tally.promise(30, "hostile names at a terminal", &figure);
}
