//! The only writer: data on stdout, everything else on stderr, and one JSON object last where it is asked for.
//!
//! A closed pipe or a full disk behind stdout never stops a rotation in the middle: what cannot be written is
//! dropped, and the exit code says what happened at the provider, not at the pipe. Only where it would be 0 it says that what was to
//! be read on stdout is lost; a reader that has gone, as `head` does, has read enough.

use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::mpsc::Sender;
use std::sync::{Arc, OnceLock};

use serde::Serialize;
use serde_json::Value;

pub mod board;
pub mod countdown;
pub mod dialog;
pub mod difference;
mod json;
mod narrate;
pub mod preview;
pub mod probes;
pub mod prompt;
pub mod text;
pub mod wall;

/// When to use colour, as `--color` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    Always,
    Never,
}

/// Where lines go. One per process.
#[derive(Clone, Debug)]
pub struct Output {
    json: bool,
    quiet: bool,
    verbose: bool,
    /// Why something that was written to stdout is lost.
    lost: Arc<OnceLock<String>>,
    /// Who gets all of it in place of the terminal.
    heard_by: Option<Sender<Said>>,
}

/// What one of several at work says.
#[derive(Clone, Debug)]
pub enum Said {
    /// For whoever looks on.
    Line(String),
    /// Of what was asked for.
    Data(String),
    /// The result.
    Object(Value),
}

impl Output {
    /// An output for these global options. Sets the process-wide choice of colour.
    pub fn new(json: bool, quiet: bool, verbose: bool, color: Color) -> Self {
        match color {
            Color::Auto => {}
            Color::Always => anstream::ColorChoice::Always.write_global(),
            Color::Never => anstream::ColorChoice::Never.write_global(),
        }
        Self { json, quiet, verbose, lost: Arc::default(), heard_by: None }
    }

    /// The same for one of several at work, who is heard and writes nothing.
    pub fn heard_by(&self, sender: Sender<Said>) -> Self {
        Self { json: true, quiet: false, heard_by: Some(sender), ..self.clone() }
    }

    /// The same for people, whatever `--json` says.
    pub fn for_people(&self) -> Self {
        Self { json: false, ..self.clone() }
    }

    /// Why something that was to be read on stdout is lost, if something is.
    pub fn lost(&self) -> Option<&str> {
        self.lost.get().map(String::as_str)
    }

    /// Whether `--json` was given.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Whether a person can see stderr and answer on stdin.
    pub fn is_terminal(&self) -> bool {
        self.heard_by.is_none() && std::io::stderr().is_terminal() && std::io::stdin().is_terminal()
    }

    /// Whether lines may be drawn over again on stderr.
    pub fn draws(&self) -> bool {
        !self.quiet && self.heard_by.is_none() && std::io::stderr().is_terminal()
    }

    /// Whether stdout is a terminal.
    pub fn stdout_is_terminal(&self) -> bool {
        self.heard_by.is_none() && std::io::stdout().is_terminal()
    }

    /// Says something to whoever hears this one. `false` where nobody does.
    fn tells(&self, said: impl FnOnce() -> Said) -> bool {
        // There is nobody left to tell.
        self.heard_by.as_ref().map(|sender| drop(sender.send(said()))).is_some()
    }

    fn emit(&self, line: &str) {
        if !self.tells(|| Said::Line(line.to_owned())) {
            emit_folded(line);
        }
    }

    /// A line of data for stdout; nothing with `--json`, whose object carries the data.
    pub fn data(&self, line: &str) {
        if !self.tells(|| Said::Data(line.to_owned())) && !self.json {
            self.note(write(&mut anstream::stdout(), &text::printable(line)));
        }
    }

    /// A secret, on purpose: bare into a pipe, with a newline on a terminal.
    pub fn secret(&self, secret: &crate::secret::Secret) -> std::io::Result<()> {
        if self.heard_by.is_some() {
            return Err(std::io::Error::other("it is shared by several targets"));
        }
        let mut stdout = std::io::stdout().lock();
        if self.stdout_is_terminal() {
            // A sealed answer is foreign text, which may not drive the terminal.
            let shown: zeroize::Zeroizing<String> = text::escaped(secret.expose()).into();
            writeln!(stdout, "{}", *shown)?;
        } else {
            refuse_device()?;
            write!(stdout, "{}", secret.expose())?;
        }
        stdout.flush()
    }

    /// A line that tells the operator what happens; not with `-q`.
    pub fn say(&self, line: &str) {
        if !self.quiet {
            self.emit(line);
        }
    }

    /// A text of several lines that the operator has to see even with `-q`.
    pub fn show(&self, text: &str) {
        text.lines().for_each(|line| self.emit(line));
    }

    /// A line for `-v`.
    pub fn detail(&self, line: &str) {
        if self.verbose && !self.quiet {
            self.emit(line);
        }
    }

    /// Something the operator has to know even with `-q`.
    pub fn warn(&self, line: &str) {
        let style = anstyle::AnsiColor::Yellow.on_default().bold();
        self.emit(&format!("{style}warning:{style:#} {line}"));
    }

    /// What went wrong, and what mends it.
    pub fn error(&self, message: &str, hint: Option<&str>) {
        let style = anstyle::AnsiColor::Red.on_default().bold();
        self.emit(&format!("{style}error:{style:#} {message}"));
        if let Some(hint) = hint {
            let style = anstyle::AnsiColor::Cyan.on_default().bold();
            self.emit(&format!(" {style}hint:{style:#} {hint}"));
        }
    }

    /// One JSON object as a line on stdout, with `--json` only. The last one of a command is its result.
    pub fn json<T: Serialize>(&self, object: &T) {
        if self.heard_by.is_some() {
            self.tells(|| Said::Object(serde_json::to_value(object).unwrap_or_default()));
        } else if self.json {
            self.note(json::write_line(std::io::stdout().lock(), object));
        }
    }

    /// Keeps in mind that something that was written to stdout is lost.
    fn note(&self, written: std::io::Result<()>) {
        if let Err(error) = written
            && error.kind() != ErrorKind::BrokenPipe
        {
            // The first reason is the one that is told.
            let _ = self.lost.set(error.to_string());
        }
    }
}

fn write(stream: &mut dyn Write, line: &str) -> std::io::Result<()> {
    writeln!(stream, "{line}")?;
    stream.flush()
}

/// `/dev/null` stands in for a standard output that is closed, and loses what nothing else may have.
fn refuse_device() -> std::io::Result<()> {
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileTypeExt;
    let stdout = std::fs::File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
    if stdout.metadata()?.file_type().is_char_device() {
        return Err(std::io::Error::other("it is closed, or a device that keeps nothing"));
    }
    Ok(())
}

/// A line for stderr, folded to the terminal's width where that is one.
/// Our standard error, for a program that talks to whoever looks on.
pub fn for_a_program() -> std::process::Stdio {
    std::io::stderr().into()
}

fn emit_folded(line: &str) {
    let term = console::Term::stderr();
    let width = if term.is_term() { usize::from(term.size().1) } else { usize::MAX };
    // There is nobody left to tell.
    let _ = write(&mut anstream::stderr(), &text::folded(&text::printable(line), width));
}
