//! Questions to the person at the terminal. The answers are theirs; what follows from them is decided elsewhere.
//!
//! What is asked is one line in which nothing drives the terminal, whatever folder or file it names.
//! "Could not ask" and "gave up" differ from every answer, so that nothing is ever agreed to by accident.

use std::io::{self, Read};

use console::Term;
use dialoguer::theme::{ColorfulTheme, SimpleTheme, Theme};
use dialoguer::{Confirm, Input, Select};
use thiserror::Error;
use zeroize::Zeroizing;

use super::text::one_line;
use crate::secret::Secret;

/// A question got no answer.
#[derive(Debug, Error)]
pub enum DialogError {
    /// There is no terminal, or nobody at it.
    #[error("there is nobody to ask")]
    NobodyThere,
    /// The person pressed Ctrl-C or Escape.
    #[error("interrupted")]
    Interrupted,
}

/// Asks for a line; `check` says what is wrong with one. An empty answer is taken only with `default`.
pub fn text(question: &str, default: Option<&str>, check: impl Fn(&str) -> Result<(), String>) -> Answer<String> {
    let theme = theme();
    let mut input = Input::<String>::with_theme(theme.as_ref())
        .with_prompt(one_line(question))
        .validate_with(|line: &String| check(line.trim()).map_err(|why| one_line(&why)));
    if let Some(default) = default {
        input = input.default(one_line(default)).show_default(!default.is_empty());
    }
    answered(input.interact_text()).map(|line| line.trim().to_owned())
}

/// Asks for one of several; the answer is its place in the list.
pub fn select(question: &str, items: &[String]) -> Answer<usize> {
    forget_typed_ahead();
    let theme = theme();
    let select = Select::with_theme(theme.as_ref())
        .with_prompt(one_line(question))
        .items(items.iter().map(|item| one_line(item)))
        .default(0);
    answered(select.interact_opt())?.ok_or(DialogError::Interrupted)
}

/// Forgets keys that were pressed before the question was on the screen: they answer another one.
fn forget_typed_ahead() {
    let _ = rustix::termios::tcflush(std::io::stdin(), rustix::termios::QueueSelector::IFlush);
}

/// Asks for yes or no.
pub fn confirm(question: &str, default: bool) -> Answer<bool> {
    forget_typed_ahead();
    let theme = theme();
    let confirm = Confirm::with_theme(theme.as_ref()).with_prompt(one_line(question)).default(default);
    answered(confirm.interact_opt())?.ok_or(DialogError::Interrupted)
}

/// Asks for a value that is not shown while it is typed.
pub fn password(question: &str) -> Answer<Secret> {
    let term = Term::stderr();
    if !term.is_term() {
        return Err(DialogError::NobodyThere);
    }
    let line = term.write_str(&format!("{} (hidden): ", one_line(question))).and_then(|()| hidden_line(&term));
    let line = line.map_err(|error| from_io(&error))?;
    if line.ends_with(INTERRUPTS) {
        return Err(DialogError::Interrupted);
    }
    Ok(Secret::new(line.trim()))
}

/// Has this process be interrupted, as by the key for it.
pub fn interrupt() {
    use rustix::process::{Signal, getpid, kill_process};
    // It is a signal to ourselves; without it the question is left all the same.
    let _ = kill_process(getpid(), Signal::INT);
}

/// Takes a value out of what is piped into this process.
pub fn piped() -> io::Result<Secret> {
    let mut text = Zeroizing::new(String::with_capacity(LONGEST_PIPED));
    io::stdin().lock().take(LONGEST_PIPED as u64).read_to_string(&mut text)?;
    Ok(Secret::new(text.trim()))
}

/// Most bytes that are taken out of a pipe: more than any secret has.
const LONGEST_PIPED: usize = 8192;

/// What Ctrl-C and Ctrl-\ type.
const INTERRUPTS: [char; 2] = ['\u{3}', '\u{1c}'];

/// Reads a line that is not shown. The keys that interrupt end the line in place of the process, which would leave the
/// terminal without its echo.
fn hidden_line(term: &Term) -> io::Result<Zeroizing<String>> {
    use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};
    let stdin = io::stdin();
    let shown = tcgetattr(&stdin)?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
    hidden.special_codes[SpecialCodeIndex::VEOL] = INTERRUPTS[0] as u8;
    hidden.special_codes[SpecialCodeIndex::VEOL2] = INTERRUPTS[1] as u8;
    tcsetattr(&stdin, OptionalActions::Flush, &hidden)?;
    let mut line = Zeroizing::new([0; LONGEST_LINE]);
    // A terminal hands over one line at a time.
    let read = rustix::io::retry_on_intr(|| rustix::io::read(&stdin, line.as_mut_slice()));
    tcsetattr(&stdin, OptionalActions::Flush, &shown)?;
    term.write_line("")?;
    let text = std::str::from_utf8(&line[..read?]).map_err(|_| io::ErrorKind::InvalidData)?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Longest line that a terminal takes, in bytes.
const LONGEST_LINE: usize = 4096;

type Answer<T> = Result<T, DialogError>;

fn theme() -> Box<dyn Theme> {
    if console::colors_enabled_stderr() { Box::new(ColorfulTheme::default()) } else { Box::new(SimpleTheme) }
}

fn answered<T>(answer: dialoguer::Result<T>) -> Answer<T> {
    answer.map_err(|dialoguer::Error::IO(error)| {
        // A question that was cut off leaves the cursor hidden; there is nobody to tell if that cannot be mended.
        let _ = Term::stderr().show_cursor();
        let _ = Term::stderr().write_line("");
        from_io(&error)
    })
}

fn from_io(error: &io::Error) -> DialogError {
    match error.kind() {
        io::ErrorKind::Interrupted => DialogError::Interrupted,
        _ => DialogError::NobodyThere,
    }
}
