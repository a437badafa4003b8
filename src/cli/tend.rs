//! `whsec tend`: does everything that is due and needs nobody, at targets that are named or wherever a rotation is open.

use serde_json::{Value, json};

use super::exit::{self, Exit};
use super::select::Selection;
use super::session::Session;
use super::status::{self, line};
use super::{Global, cutover, outcome, person, result};
use crate::operation::resume::{self, Needs, Open, Stand};
use crate::operation::status::{Looked, Row};
use crate::operation::workspace::Workspace;
use crate::operation::{Error, find, report};
use crate::rotation::Rotation;
use crate::rotation::journal::JournalError;
use crate::ui::prompt::Answers;

/// Do what is due and needs nobody, wherever a rotation is open
///
/// For cron, CI and Kubernetes: each rotation goes on as by `whsec cutover` where nobody can be asked. An answer that was lost is
/// asked for again where that is safe, what is sealed is stored, receivers are probed, waits end with the provider's clock, secrets
/// are promoted and retired. It begins no rotation, gives no provider a secret of ours that it was not given yet, says nothing that a
/// person has to say, and overrides nothing. It may run as often as you like, and beside itself; while receivers are waited for each
/// run probes them, so every few minutes is often enough.
///
/// Exits 0 where nothing is open, 11 where a person or the clock is waited for, 12 where something is overdue, 10 where some of several
/// failed and the failure's own code where all failed with it.
///
/// Examples:
///   whsec tend --all
///   whsec tend payments orders --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[command(flatten)]
    selection: Selection,
}

/// What came of one target.
struct Tended {
    name: String,
    /// The exit code that it would have alone.
    exit: Exit,
    /// Its object of JSON; nothing where there was nothing to do.
    told: Option<Value>,
    /// Whether there is such a target.
    is_known: bool,
}

impl Tended {
    fn has_failed(&self) -> bool {
        !matches!(self.exit, Exit::Done | Exit::Open)
    }
}

/// Runs the command.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    // Nobody is asked, whoever looks on: what a question would have shown is said.
    let session = &Session::new(Global { no_input: true, ..session.global.clone() }, session.output.clone());
    let names = args.selection.of_open(session, || Ok(resume::open_ones(session.operating()?)?))?;
    let is_all = args.selection.is_all();
    if names.is_empty() {
        session.output.say("nothing to do: no rotation is open");
    }
    let signals = session.signals()?;
    let mut tended = Vec::new();
    for name in names.iter().take_while(|_| !signals.arrived()) {
        if names.len() > 1 {
            session.output.say(&format!("{name}:"));
        }
        let one = tend(session, name).unwrap_or_else(|error| failed(session, name, &error));
        tended.push(one);
    }
    let left: Vec<String> = names.iter().skip(tended.len()).cloned().collect();
    if !left.is_empty() {
        session.output.warn(&format!("not come to before the signal: {}", left.join(", ")));
    }
    let is_whole = left.is_empty();
    let rows = match looked(is_all, session, &tended) {
        Ok((rows, damage)) => {
            tended.extend(damage.map(|error| failed(session, "the journal", &error.into())));
            rows
        }
        // What was done is told all the same.
        Err(error) => {
            tended.push(failed(session, "where they stand", &error));
            Vec::new()
        }
    };
    if let (true, Err(error)) = (is_all, session.config()) {
        tended.push(failed(session, "the config", &error));
    }
    let now = session.now();
    tell_of_moments(session, &names)?;
    for row in rows.iter().filter(|_| !session.global.quiet) {
        session.output.data(&line(row, now));
    }
    let exit = match of_failures(&tended) {
        _ if signals.arrived() && !is_whole => signals.exit(),
        Some(failed) => failed,
        None => status::exit_of(&rows),
    };
    let error = error_of(session, exit, &tended, &rows);
    let told: Vec<&Value> = tended.iter().filter_map(|one| one.told.as_ref()).collect();
    let state = if matches!(exit, Exit::Done | Exit::Open | Exit::Overdue) { "done" } else { "failed" };
    let fields = json!({ "status": state, "targets": rows, "tended": told, "left": left, "error": error });
    session.output.json(&result::object("tend", exit, fields));
    Ok(exit)
}

/// Tells the notifier of moments that have passed: where nobody counts down and nobody watches, this is who looks at the clock.
fn tell_of_moments(session: &Session, names: &[String]) -> anyhow::Result<()> {
    let context = session.context()?;
    if context.config().is_ok_and(|config| config.notify.is_some()) {
        let notifier = person::notifier(session, context);
        let open = find::journal(context)?.open_rotations().map_err(Error::from)?;
        let tended = open.iter().filter(|rotation| names.contains(&rotation.plan.target));
        tended.for_each(|rotation| notifier.look_at_clock(rotation, session.now()));
    }
    Ok(())
}

/// Where the targets stand by now, but for those that there are none of; and what is wrong with a part of the journal that nothing
/// open is in.
fn looked(is_all: bool, session: &Session, tended: &[Tended]) -> anyhow::Result<(Vec<Row>, Option<JournalError>)> {
    let mut known: Vec<String> = tended.iter().filter(|one| one.is_known).map(|one| one.name.clone()).collect();
    if known.is_empty() && !is_all {
        return Ok((Vec::new(), None));
    }
    if is_all {
        // Where nothing is open the stores are asked: this may not be the machine that a rotation was begun on.
        known = if tended.is_empty() { session.target_names() } else { Vec::new() };
    }
    let Looked { mut rows, damage, .. } = status::look(session, &known, None)?;
    // What is wrong with a target that nothing is open of is no business of this command.
    rows.retain(|row| !is_all || row.status.is_some() || row.overdue);
    Ok((rows, damage))
}

/// What failures come to together: that of all of them, where all have failed alike; `None` where none has.
fn of_failures(tended: &[Tended]) -> Option<Exit> {
    let first = tended.iter().find(|one| one.has_failed())?.exit;
    let are_alike = tended.iter().all(|one| one.exit == first);
    Some(if are_alike { first } else { Exit::Partial })
}

/// The error that goes with an exit code: that of the first target with it, or which of them have failed.
fn error_of(session: &Session, exit: Exit, tended: &[Tended], rows: &[Row]) -> Value {
    if exit != Exit::Partial {
        let first = tended.iter().find(|one| one.exit == exit).and_then(|one| one.told.as_ref());
        return first.map_or(Value::Null, |told| told["error"].clone());
    }
    let failed: Vec<&str> = tended.iter().filter(|one| one.has_failed()).map(|one| one.name.as_str()).collect();
    let message = format!("{} of {} targets failed: {}", failed.len(), tended.len(), failed.join(", "));
    let overdue: Vec<&str> = rows.iter().filter(|row| row.overdue).map(|row| row.target.as_str()).collect();
    let hint = match overdue.as_slice() {
        [] => "what each of them says stands above".to_owned(),
        overdue => format!("what each of them says stands above; overdue: {}", overdue.join(", ")),
    };
    exit::say(&session.output, &exit::Fault { exit, message, hint: Some(hint.into()) })
}

fn failed(session: &Session, name: &str, error: &anyhow::Error) -> Tended {
    // What another process is at is tended.
    if error.downcast_ref::<Error>().is_some_and(Error::is_busy) {
        session.output.say(&format!("another whsec is at work on `{name}`: left to it"));
        let told = result::object("tend", Exit::Open, json!({ "target": name, "status": "open", "error": null }));
        return Tended { name: name.to_owned(), exit: Exit::Open, told: Some(told), is_known: true };
    }
    let fault = session.fault(error, Some(name));
    let said = exit::say(&session.output, &fault);
    let told = result::object("tend", fault.exit, json!({ "target": name, "error": said }));
    // What is wrong with a target of the config is in its row; a name that is none has no row.
    let is_of_config = error.downcast_ref::<Error>().is_some_and(Error::is_of_config);
    let is_known = !is_of_config || session.trouble(name).is_some();
    Tended { name: name.to_owned(), exit: fault.exit, told: Some(told), is_known }
}

fn tend(session: &Session, name: &str) -> anyhow::Result<Tended> {
    match resume::stand(session.operating()?, name, &Default::default(), false)? {
        Stand::Never => Ok(nothing(
            session,
            name,
            &format!("nothing to do: `{name}` has never been rotated with whsec on this machine"),
        )),
        // What there is to be done about one that is over is in its row.
        Stand::Over { refused: None, .. } => {
            Ok(nothing(session, name, &format!("nothing to do: no rotation of `{name}` is open")))
        }
        Stand::Over { refused: Some(error), .. } => Err(error.into()),
        Stand::Open(open) => match open.needs() {
            Needs::Nothing if !open.rotation.is_unsent() => go_on(session, name, open),
            // Whoever began it has not agreed to it, somebody has gone back, or the provider has not been given our secret, which may
            // end the old one at once: what it waits for is a person.
            Needs::Nothing | Needs::Consent | Needs::Forward(_) => {
                told(session, name, &open.rotation, &open.found.workspace, Ok(report::End::Open))
            }
        },
    }
}

/// Does what is due at one target: its exit code, and the object of its rotation where there was something to do.
pub fn one(session: &Session, name: &str) -> anyhow::Result<(Exit, Option<Value>)> {
    let tended = tend(session, name)?;
    Ok((tended.exit, tended.told))
}

fn nothing(session: &Session, name: &str, words: &str) -> Tended {
    session.output.say(words);
    Tended { name: name.to_owned(), exit: Exit::Done, told: None, is_known: true }
}

fn go_on(session: &Session, name: &str, open: Open) -> anyhow::Result<Tended> {
    let Open { found, mut rotation } = open;
    let (workspace, mut resources) = (found.workspace, found.resources);
    let settled = cutover::take_in(session, &workspace, &mut resources, &mut rotation, &found.changes, (&[], None))?;
    let outcome = match settled {
        Ok(()) => {
            resume::refuse_shared(session.context()?, &workspace, &resources, &rotation)?;
            let signals = session.signals()?;
            let stopped = || signals.arrived();
            let mut person = person::of(session, &workspace, &resources, Answers::default(), &stopped)?;
            let rest = cutover::run_on(&mut workspace.runner(&mut rotation, &resources, &mut person));
            rest.map(|rest| cutover::end_of(rest, &rotation)).map_err(Error::from)
        }
        Err(error) => Err(error),
    };
    told(session, name, &rotation, &workspace, outcome)
}

fn told(
    session: &Session,
    name: &str,
    rotation: &Rotation,
    workspace: &Workspace,
    outcome: Result<report::End, Error>,
) -> anyhow::Result<Tended> {
    let (exit, object) = outcome::told(session, "tend", rotation, workspace, outcome)?;
    Ok(Tended { name: name.to_owned(), exit, told: Some(object), is_known: true })
}
