//! Runs a program under ptrace and strikes it at one of its system calls, counted across all its threads, or has one fail.
//!
//! Safe API only: a shell waits on its stdin until it is seized, then becomes the program.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::process::{Command, Output, Stdio};

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// `PTRACE_EVENT_EXEC` and the kinds of stop that are a call's entry and its exit, from `<linux/ptrace.h>`.
const EVENT_EXEC: i32 = 4;
const SYSCALL_ENTRY: u8 = 1;
const SYSCALL_EXIT: u8 = 2;

/// What is done at the entry into a system call.
pub enum Act {
    /// The call is made.
    Pass,
    /// The program is sent this signal.
    Signal(Signal),
    /// The call is not made, and comes back with this error.
    #[cfg(target_arch = "x86_64")]
    Fail(Errno),
}

/// What became of the program.
pub struct Traced {
    /// Entries into system calls that were seen, `execve` not among them.
    pub calls: u64,
    /// Whether it was struck before it ended.
    pub struck: bool,
    pub output: Output,
}

/// Runs a command and sends it `signal` at each entry into a system call for which `strike` holds; it is given the
/// number of the entry, from 1. A process killed at an entry does not do the call.
pub fn run(command: &Command, signal: Signal, mut strike: impl FnMut(u64) -> bool) -> Traced {
    run_with(command, |call, _| if strike(call) { Act::Signal(signal) } else { Act::Pass })
}

/// Text that the call which a thread is about to make names, and the files behind its descriptors: what it may touch.
pub fn operands(thread: Pid) -> Vec<String> {
    let Ok(call) = std::fs::read_to_string(format!("/proc/{thread}/syscall")) else { return Vec::new() };
    let Ok(memory) = std::fs::File::open(format!("/proc/{thread}/mem")) else { return Vec::new() };
    let mut found = Vec::new();
    // The number of the call, then its arguments, each of which may be a descriptor or the address of a path.
    for argument in call.split_whitespace().skip(1).take(4) {
        let Ok(value) = u64::from_str_radix(argument.trim_start_matches("0x"), 16) else { continue };
        if value < FEW_DESCRIPTORS {
            let target = std::fs::read_link(format!("/proc/{thread}/fd/{value}"));
            found.extend(target.map(|target| target.to_string_lossy().into_owned()));
            continue;
        }
        let mut bytes = [0; LONGEST_PATH];
        let length = std::os::unix::fs::FileExt::read_at(&memory, &mut bytes, value).unwrap_or(0);
        let text = bytes[..length].split(|byte| *byte == 0).next().unwrap_or_default();
        found.extend(std::str::from_utf8(text).map(str::to_owned));
    }
    found
}

/// Descriptors are small numbers; an address never is.
const FEW_DESCRIPTORS: u64 = 1024;
/// Longer than every path of a sandbox.
const LONGEST_PATH: usize = 256;

/// Runs a command and does at each entry into a system call what `act` says, which is given the number of the entry, from
/// 1, and the thread that makes it.
#[expect(clippy::zombie_processes, reason = "the tracer itself reaps it, thread by thread")]
pub fn run_with(command: &Command, mut act: impl FnMut(u64, Pid) -> Act) -> Traced {
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", "read go; exec \"$@\" <\"${WHSEC_TEST_STDIN:-/dev/null}\"", "sh"])
        .arg(command.get_program())
        .args(command.get_args());
    shell.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(folder) = command.get_current_dir() {
        shell.current_dir(folder);
    }
    let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let leader = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let options = Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_EXITKILL;
    ptrace::seize(leader, options).unwrap();
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    // Nothing else may wait for the threads of this process than the thread that traces them.
    let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
    let (mut calls, mut struck, mut begun) = (0, false, false);
    let mut failing: HashMap<Pid, Errno> = HashMap::new();
    let status = loop {
        let stopped = waitpid(Pid::from_raw(-1), Some(flags)).unwrap();
        let (pid, pass) = match stopped {
            WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, _, _) => {
                if pid == leader {
                    break stopped;
                }
                continue;
            }
            WaitStatus::PtraceEvent(pid, _, event) => {
                begun |= event == EVENT_EXEC;
                (pid, None)
            }
            WaitStatus::PtraceSyscall(pid) => {
                // A thread that is being killed cannot be asked any more.
                match ptrace::syscall_info(pid).map(|info| info.op) {
                    Ok(SYSCALL_ENTRY) if begun => {
                        calls += 1;
                        match act(calls, pid) {
                            Act::Pass => {}
                            Act::Signal(signal) => {
                                struck = true;
                                kill(leader, signal).unwrap();
                            }
                            #[cfg(target_arch = "x86_64")]
                            Act::Fail(error) => {
                                struck = true;
                                skip(pid);
                                failing.insert(pid, error);
                            }
                        }
                    }
                    Ok(SYSCALL_EXIT) => {
                        if let Some(error) = failing.remove(&pid) {
                            come_back(pid, error);
                        }
                    }
                    _ => {}
                }
                (pid, None)
            }
            WaitStatus::Stopped(pid, signal) => (pid, Some(signal)),
            _ => continue,
        };
        // It may have been killed meanwhile; then its end is reported next.
        let _ = ptrace::syscall(pid, pass);
    };
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    child.stdout.take().unwrap().read_to_end(&mut stdout).unwrap();
    child.stderr.take().unwrap().read_to_end(&mut stderr).unwrap();
    let raw = match status {
        WaitStatus::Exited(_, code) => code << 8,
        WaitStatus::Signaled(_, signal, _) => signal as i32,
        _ => unreachable!("the loop ends with the leader"),
    };
    let status = std::os::unix::process::ExitStatusExt::from_raw(raw);
    Traced { calls, struck, output: Output { status, stdout, stderr } }
}

/// Has the kernel make no call in place of the one that a thread enters.
#[cfg(target_arch = "x86_64")]
fn skip(thread: Pid) {
    let mut registers = ptrace::getregs(thread).unwrap();
    registers.orig_rax = u64::MAX;
    ptrace::setregs(thread, registers).unwrap();
}

/// Has a call come back with this error.
#[cfg(target_arch = "x86_64")]
fn come_back(thread: Pid, error: Errno) {
    let mut registers = ptrace::getregs(thread).unwrap();
    registers.rax = (-i64::from(error as i32)).cast_unsigned();
    ptrace::setregs(thread, registers).unwrap();
}

#[cfg(not(target_arch = "x86_64"))]
fn come_back(_: Pid, _: Errno) {}
