//! A command at a pseudo-terminal: what is on the screen, what is typed, and how the terminal is left.

use std::process::Command;
use std::time::{Duration, Instant};

use expectrl::session::OsSession;
use expectrl::{Eof, Expect, Session};

use crate::sandbox::Sandbox;

/// A shell at a terminal that runs whsec and then tells the exit code and how the terminal was left.
pub struct Terminal {
    session: OsSession,
    seen: String,
}

impl Terminal {
    /// Runs whsec with these arguments.
    pub fn run(sandbox: &Sandbox, arguments: &[&str]) -> Self {
        Self::run_command(&sandbox.command(arguments))
    }

    /// Runs a command that is made already.
    pub fn run_command(inner: &Command) -> Self {
        let mut command = Command::new("bash");
        command.args(["-c", "trap : INT; stty sane; \"$0\" \"$@\"; echo \"exit=$?\"; stty -a; echo over"]);
        command.arg(inner.get_program()).args(inner.get_args()).env_clear();
        command.current_dir(inner.get_current_dir().unwrap());
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("TERM", "xterm");
        let mut session = Session::spawn(command).unwrap();
        session.set_expect_timeout(Some(Duration::from_secs(60)));
        Self { session, seen: String::new() }
    }

    /// Waits until this is on the screen.
    #[track_caller]
    pub fn expect(&mut self, text: &str) -> &mut Self {
        match self.session.expect(text) {
            Ok(found) => {
                self.seen.push_str(&String::from_utf8_lossy(found.before()));
                self.seen.push_str(text);
            }
            Err(error) => panic!("no `{text}` on the screen ({error}):\n{}", self.seen),
        }
        self
    }

    /// The same wherever the terminal's width folds it: each word, one after the other.
    #[track_caller]
    pub fn expect_folded(&mut self, text: &str) -> &mut Self {
        for word in text.split(' ') {
            self.expect(word);
        }
        self
    }

    /// Waits until whsec sleeps: a question that is on the screen sleeps when it listens to the keyboard.
    pub fn listens(&mut self) -> &mut Self {
        let shell = self.session.get_process().pid().to_string();
        let begun = Instant::now();
        while !is_asleep_below(&shell) {
            assert!(begun.elapsed() < Duration::from_secs(20), "nobody listens:\n{}", self.seen);
            std::thread::sleep(Duration::from_millis(5));
        }
        self
    }

    /// Types these keys.
    pub fn types(&mut self, keys: &str) -> &mut Self {
        self.session.send(keys).unwrap();
        self
    }

    /// Waits for the end with this exit code; yields the screen.
    #[track_caller]
    pub fn exits(self, code: i32) -> String {
        let seen = self.ends();
        assert!(seen.contains(&format!("exit={code}\r")), "{seen}");
        seen
    }

    /// Waits for the end, whatever the exit code, and sees how the terminal is left; yields the screen.
    #[track_caller]
    pub fn ends(mut self) -> String {
        self.expect("exit=").expect("over");
        if let Ok(rest) = self.session.expect(Eof) {
            self.seen.push_str(&String::from_utf8_lossy(rest.before()));
        }
        let seen = self.seen;
        let hidden = seen.rfind("\u{1b}[?25l");
        assert!(hidden.is_none() || hidden < seen.rfind("\u{1b}[?25h"), "the cursor is left hidden:\n{seen:?}");
        let settings = seen.rsplit("exit=").next().unwrap_or_default();
        for setting in ["echo", "icanon", "isig"] {
            let is_set = settings.split_whitespace().any(|word| word == setting);
            assert!(is_set, "the terminal is left without {setting}:\n{settings}");
        }
        seen
    }
}

/// Whether a process that this one has begun sleeps, and does not wait for the processor.
fn is_asleep_below(parent: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let states = processes.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok());
    // After the name, which is in brackets: state, parent.
    let mut fields = states.filter_map(|stat| stat.rsplit_once(") ").map(|(_, rest)| rest.to_owned()));
    fields.any(|rest| rest.split(' ').take(2).eq(["S", parent]))
}
