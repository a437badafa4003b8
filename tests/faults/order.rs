//! Promises 1, 9 and 10, as the system saw it: what is written is synced before a byte of the request is sent, the seal
//! before a store is touched, and every rename stands between a sync of the file and one of its folder.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::ensure;
use crate::scene::{ALL, IDEMPOTENT, Kind, Scene};
use crate::server::{Act, Then};
use crate::tally::{Case, skip, sweep};
use crate::trace;

static SENDS: AtomicUsize = AtomicUsize::new(0);
static RENAMES: AtomicUsize = AtomicUsize::new(0);
static SEALS: AtomicUsize = AtomicUsize::new(0);

/// The calls that say in which order things were done, each with all of its bytes.
const OPTIONS: [&str; 4] = [
    "-s",
    "65536",
    "-e",
    "trace=write,writev,pwrite64,sendto,sendmsg,fsync,fdatasync,rename,renameat,renameat2,linkat,unlink,unlinkat",
];

/// A system call, with the lines of the trace at which it began and had ended.
struct Call {
    name: String,
    text: String,
    began: usize,
    ended: usize,
}

/// The calls of a trace in the order in which they began. One that another thread came in between of has two lines.
fn calls(log: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    let mut open: HashMap<&str, usize> = HashMap::new();
    for (at, line) in log.lines().enumerate() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if rest.starts_with("<... ") {
            if let Some(call) = open.remove(thread).and_then(|call| calls.get_mut(call)) {
                call.ended = at;
                call.text.push_str(rest);
            }
            continue;
        }
        let Some((name, _)) = rest.split_once('(') else { continue };
        if rest.ends_with("<unfinished ...>") {
            open.insert(thread, calls.len());
        }
        calls.push(Call { name: name.to_owned(), text: rest.to_owned(), began: at, ended: at });
    }
    calls
}

impl Call {
    fn is_sync_of(&self, file: &str) -> bool {
        matches!(self.name.as_str(), "fsync" | "fdatasync")
            && self.text.contains(&format!("<{file}>"))
            && self.is_done()
    }

    fn is_done(&self) -> bool {
        self.text.trim_end().ends_with("= 0")
    }

    /// The file that is written to.
    fn file(&self) -> &str {
        self.text.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or("", |(file, _)| file)
    }

    /// The paths that it names, each in the folder of the descriptor before it.
    fn paths(&self) -> Vec<String> {
        let mut parts = self.text.split('"');
        let mut paths = Vec::new();
        while let (Some(before), Some(name)) = (parts.next(), parts.next()) {
            let folder =
                before.rsplit_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or("", |(path, _)| path);
            paths.push(Path::new(folder).join(name).display().to_string());
        }
        paths
    }

    /// What is renamed, and what it becomes.
    fn renames(&self) -> Option<(String, String)> {
        if !(self.name.starts_with("rename") || self.name == "linkat") || !self.is_done() {
            return None;
        }
        let mut paths = self.paths().into_iter();
        Some((paths.next()?, paths.next()?)).filter(|(_, to)| !to.ends_with(".tmp"))
    }

    /// The path that is removed, or taken away to be looked at once more.
    fn removes(&self) -> Option<String> {
        let takes = self.name.starts_with("rename") && self.paths().last().is_some_and(|to| to.ends_with(".tmp"));
        (self.name.starts_with("unlink") || takes).then(|| self.paths().into_iter().next())?
    }

    /// Whether these are the first bytes of a rotate call.
    fn is_rotate_call(&self) -> bool {
        let is_send = matches!(self.name.as_str(), "write" | "writev" | "sendto" | "sendmsg");
        let text = self.text.split('"').nth(1).unwrap_or_default();
        let line = text.split("\\r\\n").next().unwrap_or_default();
        is_send && line.ends_with(" HTTP/1.1") && crate::server::is_rotation(line)
    }
}

/// Each rotate call: the attempt and its key were written to the journal, and that was synced, before it began.
fn written_ahead(calls: &[Call]) -> Result<usize, String> {
    let sends: Vec<&Call> = calls.iter().filter(|call| call.is_rotate_call()).collect();
    for (attempt, send) in (1..).zip(&sends) {
        let is_written = |what: &str| {
            let holds = |call: &&Call| {
                call.name == "pwrite64" && call.file().contains("/journal.sqlite") && call.text.contains(what)
            };
            let mut writes = calls.iter().filter(holds);
            writes.any(|write| {
                let synced =
                    |sync: &Call| sync.is_sync_of(write.file()) && sync.began > write.ended && sync.ended < send.began;
                write.ended < send.began && calls.iter().any(synced)
            })
        };
        let sent = format!("\\\"event\\\":\\\"sent\\\",\\\"attempt\\\":{attempt},");
        ensure!(is_written(&sent), "attempt {attempt} is not in the journal when it is sent");
        if let Some((_, rest)) = send.text.to_lowercase().split_once("idempotency-key: ") {
            let key = rest.split("\\r\\n").next().unwrap_or_default().to_owned();
            ensure!(key.len() > 20 && is_written(&key), "the key `{key}` is not in the journal when it is sent");
        }
        SENDS.fetch_add(1, Ordering::Relaxed);
    }
    Ok(sends.len())
}

/// Each rename: the file was synced before it, and its folder after it and before anything else is sent or renamed.
fn durable(calls: &[Call], root: &str) -> Result<(), String> {
    let own = |path: &str| path.starts_with(root);
    let next = |at: usize| {
        let later = calls.iter().filter(|call| call.began > at);
        later.filter(|call| call.is_rotate_call() || call.renames().is_some()).map(|call| call.began).next()
    };
    for call in calls {
        let changed = match (call.renames(), call.removes()) {
            (Some((from, to)), _) if own(&to) => {
                let synced = calls.iter().any(|sync| sync.is_sync_of(&from) && sync.ended < call.began);
                ensure!(synced, "{to} is renamed before it is synced");
                to
            }
            // A slot that is a file goes by being removed. Seals may stay: they are encrypted, and looked for.
            (None, Some(path)) if own(&path) && path.contains("/work/") && !path.ends_with(".tmp") => path,
            _ => continue,
        };
        let folder = Path::new(&changed).parent().unwrap_or(Path::new("/")).display().to_string();
        let until = next(call.began).unwrap_or(usize::MAX);
        let synced = |sync: &Call| sync.is_sync_of(&folder) && sync.began > call.ended && sync.ended < until;
        ensure!(calls.iter().any(synced), "{changed} is replaced and {folder} is not synced after it");
        RENAMES.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// After the call the seal comes before the stores.
fn sealed_first(calls: &[Call], work: &str) -> Result<(), String> {
    let Some(send) = calls.iter().rfind(|call| call.is_rotate_call()) else {
        return Err("nothing was sent".to_owned());
    };
    let renamed = |wanted: &dyn Fn(&str) -> bool| {
        let after = calls.iter().filter(|call| call.began > send.ended);
        after.filter(|call| call.renames().is_some_and(|(_, to)| wanted(&to))).map(|call| call.began).next()
    };
    let seal = renamed(&|to| to.contains("/seals/") && to.ends_with(".age")).ok_or("no seal was made")?;
    let store = renamed(&|to| to.starts_with(work)).ok_or("no store was written")?;
    ensure!(seal < store, "a store was written before the seal was");
    Ok(())
}

/// A seal goes only once the journal says, on the disk, that the stores have the secret.
fn sealed_until_journaled(calls: &[Call]) -> Result<(), String> {
    let is_seal = |path: &String| path.contains("/seals/") && path.ends_with(".age");
    for gone in calls.iter().filter(|call| call.name.starts_with("unlink") && call.paths().last().is_some_and(is_seal))
    {
        let holds = |call: &&Call| {
            let is_journal = call.name == "pwrite64" && call.file().contains("/journal.sqlite");
            is_journal && call.ended < gone.began && call.text.contains("\\\"step\\\":\\\"stage\\\"")
        };
        let synced = |write: &Call| {
            let is_between = |sync: &&Call| sync.began > write.ended && sync.ended < gone.began;
            calls.iter().filter(is_between).any(|sync| sync.is_sync_of(write.file()))
        };
        ensure!(calls.iter().filter(holds).any(synced), "{} goes before the journal has what it is for", gone.text);
        SEALS.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

fn drive(provider: &str, kind: Kind, arguments: &[&str], script: &[Act]) -> Result<(), String> {
    let scene = Scene::with_own_store(provider, kind);
    scene.server.script(script);
    let id = scene.sandbox.id();
    let arguments: Vec<&str> = arguments.iter().map(|word| if *word == "ID" { &id } else { *word }).collect();
    let traced = trace::run(&scene.sandbox, &OPTIONS, &arguments);
    ensure!(traced.run.code == 0, "exit {}:\n{}", traced.run.code, traced.run.stderr);
    let calls = calls(&traced.log);
    let sends = written_ahead(&calls)?;
    ensure!(sends == scene.server.arrivals() && sends == script.len(), "{sends} rotate calls are in the trace");
    let root = scene.sandbox.path("");
    durable(&calls, &root.display().to_string())?;
    sealed_until_journaled(&calls)?;
    sealed_first(&calls, &format!("{}/", scene.sandbox.path("work").display()))
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn what_is_sent_was_written_ahead_and_what_comes_is_sealed_first() {
    if !trace::is_here() {
        return skip("the order of system calls", "strace is missing or may not trace");
    }
    const ROTATE: [&str; 7] = ["rotate", "hooks", "--yes", "--confirm", "ID", "--done", "prepare"];
    const FORCE: [&str; 8] = ["force-rotate", "hooks", "--confirm", "ID", "--done", "prepare", "--reason", "leaked"];
    let mut cases: Vec<Case<'_>> = Vec::new();
    for kind in Kind::ALL {
        for provider in ALL {
            let label = format!("{provider}, {kind:?}");
            cases.push((label, Box::new(move || drive(provider, kind, &ROTATE, &[Act::Honest]))));
        }
        cases.push((format!("force, {kind:?}"), Box::new(move || drive("signa", kind, &FORCE, &[Act::Honest]))));
        for provider in IDEMPOTENT {
            let lost = || Act::Commit(Then::Send(Vec::new()));
            let label = format!("{provider}, {kind:?}, at the third attempt");
            cases.push((label, Box::new(move || drive(provider, kind, &ROTATE, &[lost(), lost(), Act::Honest]))));
        }
    }
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    sweep(1, "written ahead, in the order of system calls", cases, || {
        format!(
            "{} rotate calls, each after its attempt and key were synced; {} renames, each between two syncs; sealed before \
             stored, and {} seals gone after the journal had what they were for: 0 violations",
            count(&SENDS),
            count(&RENAMES),
            count(&SEALS)
        )
    });
}

#[test]
fn a_trace_in_the_wrong_order_is_noticed() {
    let journal =
        "7 pwrite64(5</s/journal.sqlite-wal>, \"{\\\"event\\\":\\\"sent\\\",\\\"attempt\\\":1,\", 9, 0) = 9\n";
    let sync =
        "7 fdatasync(5</s/journal.sqlite-wal> <unfinished ...>\n8 fsync(3</x>) = 0\n7 <... fdatasync resumed>) = 0\n";
    let send = "9 sendto(6<socket:[1]>, \"PATCH /v1/hooks/x HTTP/1.1\\r\\nhost: x\\r\\n\", 30, 0) = 30\n";
    assert_eq!(written_ahead(&calls(&[journal, sync, send].concat())), Ok(1));
    assert!(written_ahead(&calls(&[journal, send, sync].concat())).is_err());
    assert!(written_ahead(&calls(&[sync, journal, send].concat())).is_err());
    let renamed = "7 fsync(5</s/.t.tmp>) = 0\n7 renameat2(AT_FDCWD, \"/s/.t.tmp\", AT_FDCWD, \"/s/a\", 0) = 0\n";
    assert_eq!(durable(&calls(&[renamed, "7 fsync(4</s>) = 0\n"].concat()), "/s/"), Ok(()));
    assert!(durable(&calls(renamed), "/s/").is_err());
    assert!(durable(&calls(&[renamed, send, "7 fsync(4</s>) = 0\n"].concat()), "/s/").is_err());
}
