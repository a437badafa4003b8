//! `command:NAME`: a program of the user's own that keeps secrets. The only place that starts programs.
//!
//! A secret goes to a program's standard input, never into its arguments or environment; what a program prints
//! is the secret or nothing we look at. Programs that hang are killed with all that they started.

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::names::Names;
use super::{Access, Change, CommandSpec, Slot, SlotNames, Store, StoreError, Surroundings, bare};
use crate::secret::Secret;

/// How long a program may take: longer than other stores, because some ask for a fingerprint or a network.
pub const COMMAND_DEADLINE: Duration = Duration::from_secs(20);

/// The most that a program may print, in bytes.
const OUTPUT_LIMIT: u64 = 64 * 1024;

/// How long to wait before looking again whether a program has ended.
const PAUSE: Duration = Duration::from_millis(5);

/// Programs that put, get and clear a value.
pub struct CommandStore {
    reference: String,
    spec: CommandSpec,
    target: String,
    private: Vec<String>,
    names: Names,
}

impl CommandStore {
    /// Finds the programs by name; none is started. Fails with [`StoreError::Refused`] if the user's config has no
    /// such command, or one that could read what it cannot clear.
    pub fn open(name: &str, names: &SlotNames, surroundings: &Surroundings) -> Result<Self, StoreError> {
        let reference = format!("command:{name}");
        let refused =
            |why: &str, hint: String| StoreError::Refused { store: reference.clone(), why: why.to_owned(), hint };
        let Some(spec) = surroundings.commands.get(name) else {
            return Err(refused(
                "no such command is configured",
                format!("write `[commands.{name}]` into your own config"),
            ));
        };
        let programs = [Some(&spec.put), spec.get.as_ref(), spec.clear.as_ref()];
        if programs.into_iter().flatten().any(|arguments| arguments.first().is_none_or(String::is_empty)) {
            return Err(refused(
                "one of its programs is empty",
                format!("name a program first in `[commands.{name}]`"),
            ));
        }
        if spec.get.is_some() && spec.clear.is_none() {
            let hint = format!("add `clear` to `[commands.{name}]`, or leave out `get` to write only");
            return Err(refused("it has `get` but no `clear`", hint));
        }
        let names = Names::words(&reference, names)?;
        Ok(Self {
            reference,
            spec: spec.clone(),
            target: surroundings.target.clone(),
            private: surroundings.private.clone(),
            names,
        })
    }

    /// The arguments for one slot. Fails where a name would be read as an option.
    fn arguments(&self, template: &[String], slot: Slot) -> Result<Vec<String>, StoreError> {
        let mut arguments = Vec::with_capacity(template.len());
        for (at, part) in template.iter().enumerate() {
            let filled = if at == 0 { part.clone() } else { filled(part, &self.slot_name(slot), &self.target) };
            if filled.starts_with('-') && !part.starts_with('-') {
                return Err(self.failed(template, "would take a name for an option".to_owned()));
            }
            arguments.push(filled);
        }
        Ok(arguments)
    }

    fn put(&self, slot: Slot, value: &Secret) -> Result<(), StoreError> {
        let ended =
            run(&self.reference, &self.arguments(&self.spec.put, slot)?, Some(value), COMMAND_DEADLINE, &self.private)?;
        self.succeeded(&self.spec.put, &ended)
    }

    fn clear(&self, program: &[String], slot: Slot) -> Result<(), StoreError> {
        let ended = run(&self.reference, &self.arguments(program, slot)?, None, COMMAND_DEADLINE, &self.private)?;
        if ended.status.code() == Some(self.spec.absent) { Ok(()) } else { self.succeeded(program, &ended) }
    }

    fn succeeded(&self, program: &[String], ended: &Ended) -> Result<(), StoreError> {
        if ended.status.success() { Ok(()) } else { Err(self.failed(program, said(ended.status))) }
    }

    fn failed(&self, program: &[String], why: String) -> StoreError {
        failed(&self.reference, program, why)
    }
}

impl Store for CommandStore {
    fn reference(&self) -> String {
        self.reference.clone()
    }

    fn slot_name(&self, slot: Slot) -> String {
        self.names.of(slot).to_owned()
    }

    fn access(&self) -> Access {
        if self.spec.get.is_some() { Access::ReadWrite } else { Access::WriteOnly }
    }

    fn get(&self, slot: Slot) -> Result<Option<Secret>, StoreError> {
        let Some(program) = &self.spec.get else {
            return Err(StoreError::NotReadable { store: self.reference() });
        };
        let ended = run(&self.reference, &self.arguments(program, slot)?, None, COMMAND_DEADLINE, &self.private)?;
        if ended.status.code() == Some(self.spec.absent) {
            return Ok(None);
        }
        self.succeeded(program, &ended)?;
        bare::value(&ended.output).map_err(|_| self.failed(program, "printed something that is not UTF-8".to_owned()))
    }

    /// Starts one program a change. Without `clear`, a slot that should be emptied keeps its value, and the canary is
    /// not put; only that the program is there is looked at.
    fn apply(&self, changes: &[Change<'_>]) -> Result<(), StoreError> {
        bare::admit(&self.reference, changes)?;
        for (slot, value) in changes {
            match (value, &self.spec.clear) {
                (Some(_), None) if *slot == Slot::Canary => find(&self.reference, &self.spec.put, &self.private)?,
                (Some(value), _) => self.put(*slot, value)?,
                (None, Some(program)) => self.clear(program, *slot)?,
                (None, None) => {}
            }
        }
        Ok(())
    }
}

/// Runs a program that prints one value, such as `op read …`, and returns that value less one line break at the
/// end. `private` names variables that it does not get to see. Fails if it does not exit with 0 within the deadline, or prints nothing.
pub fn run_for_output(
    program_and_args: &[String],
    deadline: Duration,
    private: &[String],
) -> Result<Secret, StoreError> {
    let store = "command";
    let ended = run(store, program_and_args, None, deadline, private)?;
    if !ended.status.success() {
        return Err(failed(store, program_and_args, said(ended.status)));
    }
    match bare::value(&ended.output) {
        Ok(Some(value)) => Ok(value),
        Ok(None) => Err(failed(store, program_and_args, "printed nothing".to_owned())),
        Err(bare::NotText) => Err(failed(store, program_and_args, "printed something that is not UTF-8".to_owned())),
    }
}

/// How a program ended, and what it printed.
struct Ended {
    status: ExitStatus,
    output: Zeroizing<Vec<u8>>,
}

fn run(
    store: &str,
    arguments: &[String],
    input: Option<&Secret>,
    deadline: Duration,
    private: &[String],
) -> Result<Ended, StoreError> {
    let ends = Instant::now() + deadline;
    let Some((program, rest)) = arguments.split_first() else {
        return Err(failed(store, arguments, "has no name".to_owned()));
    };
    let mut command = Command::new(program);
    command.args(rest).stdout(Stdio::piped()).stderr(Stdio::null());
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    for name in private {
        command.env_remove(name);
    }
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let child = command.spawn().map_err(|error| failed(store, arguments, not_started(&error)))?;
    let mut running = Running { child, ended: None };

    // Both ends have threads of their own, so that neither a full pipe nor a silent program outlasts the deadline.
    let written = running.child.stdin.take().zip(input).map(|(mut pipe, value)| {
        let bytes = bare::bytes(value);
        in_background(move || pipe.write_all(&bytes))
    });
    let read = running.child.stdout.take().map(|pipe| in_background(move || read_bounded(pipe)));

    let late = || StoreError::TimedOut { store: store.to_owned(), seconds: deadline.as_secs() };
    let status = running.wait(ends).map_err(|error| failed(store, arguments, not_started(&error)))?.ok_or_else(late)?;
    let left = || ends.saturating_duration_since(Instant::now());
    if let Some(written) = written {
        let written = written.recv_timeout(left()).map_err(|_| late())?;
        if written.is_err() && status.success() {
            return Err(failed(store, arguments, "did not read all of its standard input".to_owned()));
        }
    }
    let output = match read {
        Some(read) => read.recv_timeout(left()).map_err(|_| late())?,
        None => Ok(Zeroizing::default()),
    };
    let output = output.map_err(|_| failed(store, arguments, "printed too much, or could not be read".to_owned()))?;
    Ok(Ended { status, output })
}

/// A program and all that it started, killed when this is dropped before the program has ended.
struct Running {
    child: Child,
    ended: Option<ExitStatus>,
}

impl Running {
    /// How it ended, or `None` if it still runs then.
    fn wait(&mut self, until: Instant) -> io::Result<Option<ExitStatus>> {
        loop {
            self.ended = self.child.try_wait()?;
            if self.ended.is_some() || Instant::now() >= until {
                return Ok(self.ended);
            }
            thread::sleep(PAUSE);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Whoever it left behind may still hold the pipe; the group outlives its leader.
        #[cfg(unix)]
        if let Some(group) = rustix::process::Pid::from_raw(self.child.id() as i32) {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        if self.ended.is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn in_background<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> mpsc::Receiver<T> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        // Nobody listens any more once the deadline is over.
        let _ = sender.send(work());
    });
    receiver
}

fn read_bounded(pipe: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut output = Zeroizing::new(Vec::with_capacity(OUTPUT_LIMIT as usize + 1));
    pipe.take(OUTPUT_LIMIT + 1).read_to_end(&mut output)?;
    if output.len() as u64 > OUTPUT_LIMIT {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(output)
}

/// Fails if there is no such program. A name without `/` is looked up as a shell does.
fn find(store: &str, arguments: &[String], private: &[String]) -> Result<(), StoreError> {
    let missing = || failed(store, arguments, "is not there".to_owned());
    let program = arguments.first().ok_or_else(missing)?;
    if cfg!(not(unix)) || program.contains('/') {
        return if cfg!(not(unix)) || Path::new(program).is_file() { Ok(()) } else { Err(missing()) };
    }
    let look_up = ["/bin/sh", "-c", "command -v -- \"$1\"", "sh", program].map(str::to_owned);
    let ended = run(store, &look_up, None, super::STORE_DEADLINE, private)?;
    if ended.status.success() { Ok(()) } else { Err(missing()) }
}

/// `{slot}` and `{target}` filled in, once: what is filled in is not looked at again.
fn filled(part: &str, slot: &str, target: &str) -> String {
    let with_slots = part.split("{slot}").map(|piece| piece.replace("{target}", target));
    with_slots.collect::<Vec<_>>().join(slot)
}

fn said(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("exited with {code}"),
        None => "was killed".to_owned(),
    }
}

fn not_started(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "is not there".to_owned(),
        kind => format!("could not be run: {kind}"),
    }
}

/// Names the program only: its arguments are the user's, but need not be repeated.
fn failed(store: &str, arguments: &[String], why: String) -> StoreError {
    let program = arguments.first().cloned().unwrap_or_default();
    StoreError::Program { store: store.to_owned(), program, why }
}

#[cfg(all(test, unix))]
#[path = "command_tests.rs"]
mod tests;
