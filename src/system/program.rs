//! Starts programs: the only place that does. What goes to one goes to its standard input, never into its arguments or
//! environment; what it prints is bounded and never repeated. One that hangs is killed with all that it started.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::ProgramError;

/// How long a program may take: some ask for a fingerprint or a network.
pub const COMMAND_DEADLINE: Duration = Duration::from_secs(20);

/// The most that a program may print where nothing else is said, in bytes.
const OUTPUT_LIMIT: usize = 64 * 1024;

/// How long the shell may take to find one.
const LOOK_UP_DEADLINE: Duration = Duration::from_secs(3);

/// How long to wait before looking again whether a program has ended.
const PAUSE: Duration = Duration::from_millis(5);

/// Runs a program that prints something, such as `op read …`, and returns what it printed. `private` names variables that it
/// does not get to see. Fails if it does not exit with 0 within the deadline, or prints too much.
pub fn output(
    program_and_args: &[String],
    deadline: Duration,
    private: &[String],
) -> Result<Zeroizing<Vec<u8>>, ProgramError> {
    let ended = Run { deadline, ..Run::new(program_and_args, private) }.end()?;
    if ended.status.success() { Ok(ended.output) } else { Err(failed(program_and_args, said(ended.status))) }
}

/// Runs a program with this text on its stdin; what it prints is not kept. The text is not a secret. Fails if it does not exit
/// with 0 within the deadline.
pub fn feed(
    program_and_args: &[String],
    input: &str,
    deadline: Duration,
    private: &[String],
) -> Result<(), ProgramError> {
    let run = Run::new(program_and_args, private);
    let ended = Run { input: Some(input.as_bytes()), deadline, ..run }.end()?;
    if ended.status.success() { Ok(()) } else { Err(failed(program_and_args, said(ended.status))) }
}

/// A program that talks to whoever looks on, for as long as it runs. It is killed where this is dropped before that.
pub struct Visible(Child);

impl Visible {
    /// Starts a program with exactly these variables. What it prints goes to `output`, what it says to our standard error, and it reads
    /// what we would.
    pub fn start(
        program: &Path,
        arguments: &[String],
        variables: &[(String, OsString)],
        output: Stdio,
    ) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(variables.iter().map(|(name, value)| (name, value)));
        command.stdout(output).spawn().map(Self)
    }

    /// How it has ended, if it has.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.0.try_wait()
    }

    /// Asks it to stop.
    pub fn interrupt(&self) {
        if let Some(process) = rustix::process::Pid::from_raw(self.0.id() as i32) {
            // One that has ended needs no signal.
            let _ = rustix::process::kill_process(process, rustix::process::Signal::INT);
        }
    }

    /// Kills it where it stands.
    pub fn kill(&mut self) -> io::Result<ExitStatus> {
        self.0.kill()?;
        self.0.wait()
    }
}

impl Drop for Visible {
    fn drop(&mut self) {
        if !matches!(self.0.try_wait(), Ok(Some(_))) {
            let _ = self.kill();
        }
    }
}

/// A program to be run to its end.
pub struct Run<'a> {
    pub arguments: &'a [String],
    /// Variables that it does not get to see.
    pub private: &'a [String],
    /// For its standard input.
    pub input: Option<&'a [u8]>,
    /// Variables that it gets beside our own.
    pub variables: &'a [(String, String)],
    /// The most that it may print, in bytes.
    pub most: usize,
    /// Whether what it says on standard error is kept, to tell one failure from another; never to be repeated.
    pub hears: bool,
    pub deadline: Duration,
}

/// How a program ended, and what it printed.
pub struct Ended {
    pub status: ExitStatus,
    pub output: Zeroizing<Vec<u8>>,
    /// What it said on standard error, where that was asked for.
    pub complaint: Zeroizing<Vec<u8>>,
}

impl<'a> Run<'a> {
    /// A program, then its arguments; nothing on its standard input.
    pub fn new(arguments: &'a [String], private: &'a [String]) -> Self {
        Self {
            arguments,
            private,
            input: None,
            variables: &[],
            most: OUTPUT_LIMIT,
            hears: false,
            deadline: COMMAND_DEADLINE,
        }
    }

    /// Runs it. Fails if it cannot be started, does not end in time, or prints too much; how it ended is for the caller.
    pub fn end(self) -> Result<Ended, ProgramError> {
        let Self { arguments, private, input, variables, most, hears, deadline } = self;
        let ends = Instant::now() + deadline;
        let Some((program, rest)) = arguments.split_first() else {
            return Err(failed(arguments, "has no name".to_owned()));
        };
        let Some(found) = look_up(program) else { return Err(failed(arguments, NOT_THERE.to_owned())) };
        let mut command = Command::new(found);
        // A program that starts others finds them in the same folders.
        if let Some(path) = search_path() {
            command.env("PATH", path);
        }
        command.args(rest).stdout(Stdio::piped()).stderr(if hears { Stdio::piped() } else { Stdio::null() });
        command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
        for name in private {
            command.env_remove(name);
        }
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command.spawn().map_err(|error| failed(arguments, not_started(&error)))?;
        let mut running = Running { child, ended: None };

        // All ends have threads of their own, so that neither a full pipe nor a silent program outlasts the deadline.
        let written = running.child.stdin.take().zip(input).map(|(mut pipe, value)| {
            let bytes = Zeroizing::new(value.to_vec());
            in_background(move || pipe.write_all(&bytes))
        });
        let read = running.child.stdout.take().map(|pipe| in_background(move || read_bounded(pipe, most)));
        let heard = running.child.stderr.take().map(|pipe| in_background(move || read_bounded(pipe, OUTPUT_LIMIT)));

        let late = || {
            let program = arguments.first().cloned().unwrap_or_default();
            ProgramError::Late { program, seconds: deadline.as_secs() }
        };
        let status = running.wait(ends).map_err(|error| failed(arguments, not_started(&error)))?.ok_or_else(late)?;
        let left = || ends.saturating_duration_since(Instant::now());
        if let Some(written) = written {
            let written = written.recv_timeout(left()).map_err(|_| late())?;
            if written.is_err() && status.success() {
                return Err(failed(arguments, "did not read all of its standard input".to_owned()));
            }
        }
        let taken = |end: Option<mpsc::Receiver<io::Result<Zeroizing<Vec<u8>>>>>| match end {
            Some(end) => {
                let read = end.recv_timeout(left()).map_err(|_| late())?;
                read.map_err(|_| failed(arguments, "printed too much, or could not be read".to_owned()))
            }
            None => Ok(Zeroizing::default()),
        };
        Ok(Ended { status, output: taken(read)?, complaint: taken(heard)? })
    }
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

fn read_bounded(pipe: impl Read, most: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    // Reserved at once, so that no smaller buffer with a secret is left behind in memory.
    let mut output = Zeroizing::new(Vec::with_capacity(most + 1));
    pipe.take(most as u64 + 1).read_to_end(&mut output)?;
    if output.len() > most {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(output)
}

const NOT_THERE: &str = "is not there";

/// The folders in which programs are looked up, as the environment names them.
static FOLDERS: OnceLock<Vec<PathBuf>> = OnceLock::new();

/// Sets where programs are looked up, once. Folders that are not named from the root are left out: an empty one or `.` is the
/// current folder, where a checkout could bring its own `kubectl`.
pub fn search_in(folders: impl IntoIterator<Item = PathBuf>) {
    // Whoever comes second finds it set.
    let _ = FOLDERS.set(folders.into_iter().filter(|folder| folder.is_absolute()).collect());
}

fn search_path() -> Option<OsString> {
    let mut path = OsString::new();
    for (at, folder) in FOLDERS.get()?.iter().enumerate() {
        if at > 0 {
            path.push(":");
        }
        path.push(folder);
    }
    Some(path)
}

/// Where a program is: a name without `/` in the first of the folders that has it, another one as it is written.
fn look_up(program: &str) -> Option<PathBuf> {
    let Some(folders) = FOLDERS.get().filter(|_| !program.contains('/')) else {
        return Some(PathBuf::from(program));
    };
    folders.iter().map(|folder| folder.join(program)).find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

/// Fails if there is no such program. A name without `/` is looked up as a shell does.
pub fn find(arguments: &[String], private: &[String]) -> Result<(), ProgramError> {
    let missing = || failed(arguments, NOT_THERE.to_owned());
    let program = arguments.first().ok_or_else(missing)?;
    if program.contains('/') {
        return if Path::new(program).is_file() { Ok(()) } else { Err(missing()) };
    }
    if FOLDERS.get().is_some() {
        return look_up(program).map(|_| ()).ok_or_else(missing);
    }
    let look_up = ["/bin/sh", "-c", "command -v -- \"$1\"", "sh", program].map(str::to_owned);
    let ended = Run { deadline: LOOK_UP_DEADLINE, ..Run::new(&look_up, private) }.end()?;
    if ended.status.success() { Ok(()) } else { Err(missing()) }
}

/// How it ended, in words.
pub fn said(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("exited with {code}"),
        None => "was killed".to_owned(),
    }
}

fn not_started(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => NOT_THERE.to_owned(),
        kind => format!("could not be run: {kind}"),
    }
}

/// Names the program only: its arguments are the user's, but need not be repeated.
pub fn failed(arguments: &[String], why: String) -> ProgramError {
    let program = arguments.first().cloned().unwrap_or_default();
    ProgramError::Failed { program, why }
}

#[cfg(test)]
#[path = "program_tests.rs"]
mod tests;
