//! Makes a call to the disk fail: the n-th of its name on a file of the sandbox, whichever thread makes it.
//!
//! What is counted are calls on these files alone. All calls together shift from run to run, as threads wake each other by
//! writes, the more so the busier the machine is, and a fault counted by them hits whatever is there.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace;
use nix::unistd::Pid;

use crate::sandbox::{Run, Sandbox};
use crate::tracer::{self, Act};

/// One fault.
#[derive(Clone, Debug)]
pub struct Fault {
    pub call: &'static str,
    /// The how many-eth call of this name on a file of state or store.
    pub at: usize,
    pub error: Errno,
    /// Whether every later one fails as well.
    pub stays: bool,
}

/// A run, the calls on files of state or store in their order, and the first of them that failed on purpose.
pub struct Broken {
    pub run: Run,
    pub calls: Vec<(&'static str, PathBuf)>,
    pub hit: Option<PathBuf>,
}

/// Where a call names the file that it acts on: by a descriptor, or by a path that may start at one. Of two paths, what it
/// becomes.
enum Named {
    Descriptor,
    Path(usize),
    At(usize, usize),
}

/// Calls that write, or make what is written last.
const CALLS: [(i64, &str, Named); 13] = [
    (libc::SYS_write, "write", Named::Descriptor),
    (libc::SYS_pwrite64, "pwrite64", Named::Descriptor),
    (libc::SYS_fsync, "fsync", Named::Descriptor),
    (libc::SYS_fdatasync, "fdatasync", Named::Descriptor),
    (libc::SYS_ftruncate, "ftruncate", Named::Descriptor),
    (libc::SYS_rename, "rename", Named::Path(1)),
    (libc::SYS_renameat, "renameat", Named::At(2, 3)),
    (libc::SYS_renameat2, "renameat2", Named::At(2, 3)),
    (libc::SYS_linkat, "linkat", Named::At(2, 3)),
    (libc::SYS_unlink, "unlink", Named::Path(0)),
    (libc::SYS_unlinkat, "unlinkat", Named::At(0, 1)),
    (libc::SYS_openat, "openat", Named::At(0, 1)),
    (libc::SYS_openat2, "openat2", Named::At(0, 1)),
];

/// Longest path that is read from a process.
const LONGEST: usize = 4096;

/// Runs the binary in its sandbox with a fault, or with none.
pub fn run(sandbox: &Sandbox, fault: Option<&Fault>, arguments: &[&str]) -> Broken {
    let own = ["state", "work"].map(|name| sandbox.path(name));
    let mut calls = Vec::new();
    let mut hit = None;
    let traced = tracer::run_with(&sandbox.command(arguments), |_, thread| {
        let Some((call, path)) = call_of(thread) else { return Act::Pass };
        if !own.iter().any(|folder| path.starts_with(folder)) {
            return Act::Pass;
        }
        calls.push((call, path.clone()));
        let Some(fault) = fault.filter(|fault| fault.call == call) else { return Act::Pass };
        let made = calls.iter().filter(|(name, _)| *name == call).count();
        if made == fault.at || (fault.stays && made > fault.at) {
            hit.get_or_insert(path);
            return Act::Fail(fault.error);
        }
        Act::Pass
    });
    Broken { run: sandbox.watch(traced.output), calls, hit }
}

/// The call to the disk that a thread enters, and on which file.
fn call_of(thread: Pid) -> Option<(&'static str, PathBuf)> {
    let registers = ptrace::getregs(thread).ok()?;
    let (_, call, named) = CALLS.iter().find(|(number, ..)| *number == registers.orig_rax.cast_signed())?;
    let arguments = [registers.rdi, registers.rsi, registers.rdx, registers.r10];
    let path = match named {
        Named::Descriptor => descriptor(thread, arguments[0])?,
        Named::Path(at) => text(thread, arguments[*at])?,
        Named::At(folder, at) => {
            let path = text(thread, arguments[*at])?;
            // Only a path that is relative starts there.
            if path.is_absolute() { path } else { descriptor(thread, arguments[*folder])?.join(path) }
        }
    };
    Some((call, path))
}

/// The file behind a descriptor, or the current folder behind the number that stands for it.
#[expect(clippy::cast_possible_truncation, reason = "a descriptor is a C int in a wider register")]
fn descriptor(thread: Pid, number: u64) -> Option<PathBuf> {
    let link = match number as i32 {
        libc::AT_FDCWD => format!("/proc/{thread}/cwd"),
        number => format!("/proc/{thread}/fd/{number}"),
    };
    std::fs::read_link(link).ok()
}

/// The path at this address of a process.
fn text(thread: Pid, address: u64) -> Option<PathBuf> {
    let memory = std::fs::File::open(format!("/proc/{thread}/mem")).ok()?;
    let mut bytes = vec![0; LONGEST];
    // The page may be the last one.
    let count = memory.read_at(&mut bytes, address).ok()?;
    let text = bytes[..count].split(|byte| *byte == 0).next()?;
    Some(Path::new(std::str::from_utf8(text).ok()?).to_owned())
}
