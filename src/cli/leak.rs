//! `whsec leak`: which files hold a secret of ours, without printing it.

use std::io::{IsTerminal, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::ValueHint;
use serde_json::{Value, json};

use super::exit::{self, Exit, Fault};
use super::result;
use super::session::Session;
use crate::advice::{Verb, advice};
use crate::operation::known::{self, Everything, FileId, Known};
use crate::operation::whose::{Past, Whose};
use crate::operation::{Error, find};
use crate::search::files::{Met, walk};
use crate::search::{Form, Hit, MARK, Marked, Search, Searched};
use crate::secret::{Fingerprint, shown_path};
use crate::store::Slot;
use crate::ui::text::one_line;

/// Find files that hold a secret of yours
///
/// Looks for everything that the slots of all targets hold, and for what is sealed: as it is, in base64 (wherever it stands in
/// what was encoded) and base64url, in hex, percent-encoded, and as JSON escapes it. Folders are gone through whole, binary files
/// too. What a link in a folder leads to, and what is packed or encrypted, is not looked into: for what a repository once had, pipe it
/// in. A file's own name is looked at as well. Nothing is written.
///
/// Prints file and byte, target, slot, form and fingerprint; never the secret, nor the line that it is in. Where a slot's own file
/// is among the files, the secret in it is where it belongs: it is said and does not count, as often as that file has slots that
/// hold it.
///
/// Secrets of rotations that are over, and of stores that let nothing out, are known by their fingerprints alone: they are found where
/// they begin with `whsec_`, as many do. What begins so and is nobody's here is listed as not ours, and does not count. Exits 9 if something was found, 0 if not; 1 where not everything could be read, and 6
/// where a store could not.
///
/// Examples:
///   whsec leak .
///   git log -p --all | whsec leak -
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Files and folders; `-` or nothing: stdin
    #[arg(value_name = "PATH|-", value_hint = ValueHint::AnyPath)]
    paths: Vec<PathBuf>,
}

/// A secret in a file, or in its name.
struct Finding {
    path: String,
    /// Absent where it is in the name.
    offset: Option<u64>,
    secret: usize,
    form: Form,
    /// Whether it is where it belongs.
    own: bool,
}

/// Something that looks like a signing secret, and is in no slot and no seal that could be read.
struct Stranger {
    path: String,
    offset: u64,
    fingerprint: Fingerprint,
    /// Whose the journal knows it to be, or to have been.
    known: Vec<Whose>,
}

/// What has been read so far, and what was found.
struct Sweep<'a> {
    session: &'a Session,
    known: &'a Everything,
    search: &'a Search,
    findings: Vec<Finding>,
    strangers: Vec<Stranger>,
    past: &'a Past,
    /// Paths with why each was not read.
    unread: Vec<(String, String)>,
    /// Paths with what each is.
    skipped: Vec<(String, &'static str)>,
    files: u64,
    bytes: u64,
}

/// Runs the command.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let is_stdin = |path: &PathBuf| path.as_os_str() == "-";
    if args.paths.is_empty() && std::io::stdin().is_terminal() {
        let hint = "name files or folders, or pipe something in: git log -p --all | whsec leak -";
        return Err(Fault::new(Exit::Usage, "there is nothing to look into", hint));
    }
    if args.paths.iter().filter(|path| is_stdin(path)).count() > 1 {
        return Err(Fault::new(Exit::Usage, "stdin can be read once only", "name `-` once"));
    }
    let known = known::everything(session.context()?)?;
    for missed in &known.not_covered {
        let (target, place) = (&missed.target, &missed.place);
        session
            .output
            .warn(&format!("not covered: {place} of `{target}`: {}; what it holds is not looked for", missed.why));
    }
    // Every secret is in it many times over: it lives as long as this run reads.
    let search = Search::new(known.secrets.iter().map(|known| &known.secret));
    let past = Past::of(&find::journal(session.context()?)?).map_err(Error::from)?;
    let mut sweep = Sweep {
        session,
        known: &known,
        search: &search,
        findings: Vec::new(),
        strangers: Vec::new(),
        past: &past,
        unread: Vec::new(),
        skipped: Vec::new(),
        files: 0,
        bytes: 0,
    };
    if !known.secrets.is_empty() || !past.is_empty() {
        for path in &args.paths {
            if is_stdin(path) { sweep.stdin() } else { walk(path, &mut |path, met| sweep.meet(path, met)) }
        }
        if args.paths.is_empty() {
            sweep.stdin();
        }
    }
    sweep.end()
}

impl Sweep<'_> {
    fn stdin(&mut self) {
        self.read("stdin".to_owned(), None, &mut std::io::stdin().lock());
    }

    fn meet(&mut self, path: &Path, met: Met) {
        let in_name = self.search.is_in(path.as_os_str().as_bytes());
        // A name is as good a place for a secret as a file, and is not printed then.
        let shown = match in_name {
            Some(_) => "…".to_owned(),
            None => one_line(&shown_path(path)),
        };
        if let Some((secret, form)) = in_name {
            self.found(Finding { path: shown.clone(), offset: None, secret, form, own: false });
        }
        match met {
            Met::File(mut file) => {
                let id = file.metadata().ok().map(|found| (found.dev(), found.ino()));
                self.read(shown, id, &mut file);
            }
            Met::Skipped(what) => {
                let line = format!("{shown} was not looked into: a {what}");
                if what == "symbolic link" {
                    self.session.output.detail(&line)
                } else {
                    self.session.output.warn(&line)
                }
                self.skipped.push((shown, what));
            }
            Met::Unread(error) => self.unread(shown, &error),
        }
    }

    fn unread(&mut self, shown: String, error: &std::io::Error) {
        self.session.output.warn(&format!("{shown} was not read: {error}"));
        self.unread.push((shown, error.to_string()));
    }

    fn read(&mut self, shown: String, id: Option<FileId>, stream: &mut dyn Read) {
        let search = self.search;
        let Searched { hits, marked, bytes, cut_off } = search.stream(stream);
        self.bytes += bytes;
        for (at, hit) in hits.iter().enumerate() {
            let own = is_own(&self.known.secrets[hit.secret], &hits[..at], hit, id);
            let Hit { offset, secret, form } = *hit;
            self.found(Finding { path: shown.clone(), offset: Some(offset), secret, form, own });
        }
        marked.into_iter().for_each(|marked| self.meet_stranger(&shown, marked));
        match cut_off {
            Some(error) => self.unread(shown, &error),
            None => self.files += 1,
        }
    }

    fn meet_stranger(&mut self, path: &str, Marked { offset, fingerprint }: Marked) {
        let known = self.past.whose(&fingerprint, self.session.now());
        if known.is_empty() {
            self.session.output.say(&format!("{path}:{offset} is not ours: `{MARK}…`, {fingerprint}"));
        }
        for of in &known {
            self.session.output.data(&format!("{path}:{offset}  {}  {fingerprint}  {}", of.target, of.words()));
        }
        self.strangers.push(Stranger { path: path.to_owned(), offset, fingerprint, known });
    }

    fn found(&mut self, finding: Finding) {
        let (targets, slots) = held_by(&self.known.secrets[finding.secret]);
        let place = match finding.offset {
            Some(offset) => format!("{}:{offset}", finding.path),
            None => format!("{} (the name of a file)", finding.path),
        };
        if finding.own {
            self.session.output.say(&format!("{place} is the secret's own slot: {targets}, {slots}"));
        } else {
            let (form, fingerprint) = (finding.form.name(), &self.known.secrets[finding.secret].fingerprint);
            self.session.output.data(&format!("{place}  {targets}  {slots}  {form}  {fingerprint}"));
        }
        self.findings.push(finding);
    }

    fn end(self) -> anyhow::Result<Exit> {
        let (output, count) = (&self.session.output, self.known.secrets.len());
        let alive = self.strangers.iter().filter(|stranger| stranger.alive().is_some()).count();
        let leaks = self.findings.iter().filter(|finding| !finding.own).count() + alive;
        let failed = self.known.not_covered.iter().filter(|missed| missed.failed).count();
        output.say(&format!("searched: files {}, bytes {}, secrets {count}; found: {leaks}", self.files, self.bytes));
        let fault = self.fault(leaks, failed);
        let exit = fault.as_ref().map_or(Exit::Done, |fault| fault.exit);
        let mut fields = json!({
            "findings": self.findings.iter().map(|finding| self.object(finding)).collect::<Vec<_>>(),
            "others": self.strangers.iter().map(|stranger| json!({
                "path": stranger.path, "offset": stranger.offset, "fingerprint": stranger.fingerprint, "known": stranger.known,
            })).collect::<Vec<_>>(),
            "not_covered": self.known.not_covered.iter().map(|missed| json!({
                "target": missed.target, "place": missed.place, "why": missed.why, "failed": missed.failed,
            })).collect::<Vec<_>>(),
            "unread": self.unread.iter().map(|(path, why)| json!({ "path": path, "why": why })).collect::<Vec<_>>(),
            "skipped": self.skipped.iter().map(|(path, what)| json!({ "path": path, "what": what })).collect::<Vec<_>>(),
            "secrets": count,
            "files": self.files,
            "bytes": self.bytes,
        });
        if let Some(fault) = fault {
            fields["error"] = exit::say(output, &fault);
        }
        output.json(&result::object("leak", exit, fields));
        Ok(exit)
    }

    /// Why the answer is not that there is nothing.
    fn fault(&self, leaks: usize, failed: usize) -> Option<Fault> {
        let first = self.findings.iter().find(|finding| !finding.own);
        let stranger = self.strangers.iter().find_map(Stranger::alive);
        let error = if let Some(found) = first {
            let Known { places, fingerprint, .. } = &self.known.secrets[found.secret];
            // What waits in `next` would go live if it were not said that it is the one.
            let held = places.iter().find(|held| held.slot != Slot::Previous.name());
            let target = held.or(places.first()).map(|held| held.target.clone()).unwrap_or_default();
            let mut force = Verb::ForceRotate.of(target).open("reason", "TEXT");
            if held.is_some() {
                force = force.with("leaked", fingerprint.to_string());
            }
            let others = self.findings.iter().any(|other| !other.own && other.secret != found.secret);
            let and_so_on = if others { "; and so for each of the others" } else { "" };
            let hint = advice!["if others could read that, the secret has leaked: ", force, and_so_on];
            Fault::new(Exit::Gate, format!("secrets found where they do not belong: {leaks}"), hint)
        } else if let Some((of, fingerprint)) = stranger {
            let force = Verb::ForceRotate.of(&of.target).open("reason", "TEXT").with("leaked", fingerprint.to_string());
            let hint = advice!["if others could read that, the secret has leaked: ", force];
            Fault::new(Exit::Gate, format!("secrets found where they do not belong: {leaks}"), hint)
        } else if !self.unread.is_empty() {
            let hint = "nothing was found in the rest; what was not read is not known to be clean";
            Fault::new(Exit::Failed, format!("paths that were not read: {}", self.unread.len()), hint)
        } else if failed > 0 {
            let hint = "nothing was found of the other secrets; those that were not read are not known to be nowhere";
            Fault::new(Exit::Store, format!("slots and seals that could not be read: {failed}"), hint)
        } else if self.known.secrets.is_empty() && self.past.is_empty() {
            let hint = advice!["what is configured: ", Verb::TargetList.alone()];
            Fault::new(Exit::NotFound, "no secret is known that could be looked for", hint)
        } else {
            return None;
        };
        Some(self.session.fault(&error, None))
    }

    fn object(&self, finding: &Finding) -> Value {
        let known = &self.known.secrets[finding.secret];
        let held: Vec<Value> = known
            .places
            .iter()
            .map(|held| json!({ "target": held.target, "slot": held.slot, "store": held.store }))
            .collect();
        json!({
            "path": finding.path,
            "offset": finding.offset,
            "form": finding.form.name(),
            "fingerprint": known.fingerprint,
            "held": held,
            "own": finding.own,
        })
    }
}

impl Stranger {
    /// Whose it is, where receivers may accept it: a store that lets nothing out may have it live.
    fn alive(&self) -> Option<(&Whose, &Fingerprint)> {
        self.known.iter().find(|of| of.is_alive()).map(|of| (of, &self.fingerprint))
    }
}

/// Whether a secret is where it belongs: in the file of a slot that holds it, as a store writes it, and not once more than that file
/// has such slots.
fn is_own(known: &Known, before: &[Hit], hit: &Hit, id: Option<FileId>) -> bool {
    let is_stored = |form: Form| [Form::Raw, Form::Json].contains(&form);
    let slots = known.places.iter().filter(|held| id.is_some() && held.file == id);
    let mut names: Vec<_> = slots.map(|held| (&held.store, held.slot)).collect();
    names.sort_unstable();
    names.dedup();
    let earlier = before.iter().filter(|earlier| earlier.secret == hit.secret && is_stored(earlier.form)).count();
    is_stored(hit.form) && earlier < names.len()
}

/// Targets and slots that hold a secret, each once.
fn held_by(known: &Known) -> (String, String) {
    let once = |words: Vec<&str>, between: &str| {
        let mut once: Vec<&str> = Vec::new();
        words.into_iter().for_each(|word| {
            if !once.contains(&word) {
                once.push(word)
            }
        });
        once.join(between)
    };
    let targets = known.places.iter().map(|held| held.target.as_str()).collect();
    let slots = known.places.iter().map(|held| held.slot).collect();
    (once(targets, ","), once(slots, ","))
}
