//! `whsec probe`: what do the receivers accept?

use std::path::PathBuf;

use clap::ValueHint;
use clap_complete::engine::ArgValueCandidates;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::exit::{self, Exit, Fault};
use super::options::TargetOptions;
use super::session::Session;
use super::{complete, result};
use crate::delivery::probe::{Case, Event as ProbeEvent, Prober, Report, Secrets, Tried, Verdict};
use crate::http::shown_address;
use crate::operation::Error;
use crate::operation::key;
use crate::operation::known::{self, Knowledge, Role};
use crate::provider::Tested;
use crate::rotation::person_steps::probed;
use crate::rotation::{CLOCK_SET_BACK, Event, RunError, newest_sent};
use crate::ui::probes;

/// Ask the receivers what they accept: new, old, both, forged
///
/// Sends marked, harmless deliveries, signed in the provider's scheme in several ways, right and wrong, to the target's
/// receivers, and says what each accepts; a minute each at most. No secret is sent, and no redirect is followed. What is found is noted in the
/// journal of an open rotation; `cutover` probes again for itself.
///
/// Exits 0 if every receiver accepts the new secret (where no rotation is open: the live one) and nothing forged; with --with,
/// if each case that was tried is answered as it should be; with --expect, if every verdict is that one; else 9.
///
/// Examples:
///   whsec probe payments
///   whsec probe payments --url https://hooks.example.com/layers --with new,old,garbage
///   whsec probe payments --expect new-only
///   whsec probe payments --via-provider
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// A target's name, or PROVIDER/ID[/ID]
    #[arg(add = ArgValueCandidates::new(complete::targets))]
    target: String,
    /// Probe this receiver in place of the target's; repeat it
    #[arg(long = "url", value_name = "URL", value_hint = ValueHint::Url)]
    urls: Vec<String>,
    /// Try these alone: new, old, both, unsigned, garbage, empty, prefix, stale, first-wrong
    #[arg(long, value_name = "CASES", value_parser = case_word, value_delimiter = ',', value_hint = ValueHint::Other)]
    with: Vec<Case>,
    /// Send this body in place of the provider's test event
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    body: Option<PathBuf>,
    /// Exit 0 only if this is every receiver's verdict, such as accepts-both or new-only
    #[arg(long, value_name = "VERDICT", value_parser = verdict_word, value_hint = ValueHint::Other)]
    expect: Option<Verdict>,
    /// Have the provider send its own test delivery, and say what came back
    #[arg(long, conflicts_with_all = ["urls", "with", "body", "expect"])]
    via_provider: bool,
    #[command(flatten)]
    options: TargetOptions,
}

/// Largest body that is sent, in bytes.
const LARGEST_BODY: u64 = 1 << 20;

/// Runs the command.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let mut options = args.options.clone();
    options.receivers.extend(args.urls.iter().cloned());
    let mut knowledge = known::look(session.context()?, &args.target, &options.asked())?;
    if args.via_provider {
        return via_provider(args, session, &knowledge);
    }
    let urls = urls(&options, &knowledge)?;
    let provider = &knowledge.target.endpoint.provider;
    let client = session.context()?.prober_client(&knowledge.target)?;
    let Some(mut prober) = Prober::new(provider, client, Timestamp::now, Some(knowledge.journal.stamps().clone()))
    else {
        let message = format!("how {} signs deliveries is not described", provider.title());
        let hint = "describe it in a file of your own (`[signature]` in whsec-provider(5)), or let it send one: --via-provider";
        return Err(Fault::new(Exit::Usage, message, hint));
    };
    if !args.with.is_empty() {
        prober.cases.retain(|case| args.with.contains(case));
    }
    if let Some(file) = &args.body {
        prober.event = ProbeEvent::Bytes(read_body(file)?);
    }
    let secrets = Secrets { new: knowledge.of(Role::New), old: knowledge.of(Role::Old) };
    let history = knowledge.journal.of_endpoint(&knowledge.target.endpoint.key())?;
    if newest_sent(&history).is_some_and(|rotation| rotation.is_unsettled(session.now())) {
        let message = format!("which secret of `{}` is alive is not known", knowledge.target.name);
        let hint = format!("`whsec status` says why; {} finds it out", session.come_back("cutover", &args.target));
        return Err(Fault::new(Exit::Gate, message, hint));
    }
    if secrets.new.is_none() {
        let message = format!("no slot of `{}` holds a live secret to sign with", knowledge.target.name);
        return Err(Fault::new(
            Exit::NotFound,
            message,
            format!("`{}` shows which slots hold what", session.come_back("inspect", &args.target)),
        ));
    }
    if secrets.old.is_none() {
        session.output.detail("no slot holds an old secret, so `old` and `both` are not tried");
    }
    let signals = session.signals()?;
    let now = session.now();
    if knowledge.open.as_ref().is_some_and(|rotation| rotation.is_clock_set_back(now)) {
        session.output.warn(CLOCK_SET_BACK);
    }
    let ahead = knowledge.open.as_ref().map_or(SignedDuration::ZERO, |rotation| rotation.clock_ahead(now));
    let mut reports = Vec::new();
    for url in &urls {
        let report = prober.probe(url, &secrets, ahead, &|| signals.arrived());
        if signals.arrived() {
            return Ok(signals.exit());
        }
        if !reports.is_empty() {
            session.output.data("");
        }
        probes::table(&report).iter().for_each(|line| session.output.data(line));
        reports.push(report);
    }
    record(session, &mut knowledge, &reports);
    Ok(conclude(args, session, &knowledge, &reports))
}

/// The receivers to ask: those named by a flag, else the target's own, unless a checkout's file names them.
fn urls(options: &TargetOptions, knowledge: &Knowledge) -> anyhow::Result<Vec<String>> {
    let target = &knowledge.target;
    if !options.receivers.is_empty() {
        return Ok(options.receivers.clone());
    }
    if target.receivers.is_empty() {
        let message = format!("`{}` names no receiver", target.name);
        return Err(Fault::new(
            Exit::Usage,
            message,
            "name one: --url URL, or `receivers = [\"https://…\"]` in the target",
        ));
    }
    if !target.may_probe {
        let message = "the receivers are named by a checkout's file that you do not trust, so they are not probed";
        let hint = "look at it, then `whsec target trust`; or name one: --url URL";
        return Err(Fault::new(Exit::Usage, message, hint));
    }
    Ok(target.receivers.clone())
}

fn read_body(file: &std::path::Path) -> anyhow::Result<Vec<u8>> {
    let failed = |why: String| {
        Fault::new(
            Exit::Usage,
            format!("cannot read the body `{}`: {why}", file.display()),
            "name a file with an event's exact body",
        )
    };
    let length = std::fs::metadata(file).map_err(|error| failed(error.to_string()))?.len();
    if length > LARGEST_BODY {
        return Err(failed(format!("it is larger than {} MiB", LARGEST_BODY >> 20)));
    }
    std::fs::read(file).map_err(|error| failed(error.to_string()))
}

/// Journals what was found for an open rotation. A journal that cannot take it is no reason to fail.
fn record(session: &Session, knowledge: &mut Knowledge, reports: &[Report]) {
    let Some(mut rotation) = knowledge.open.clone().filter(|rotation| rotation.new_secret().is_some()) else { return };
    // What was asked of another address by the way is no fact about this rotation, nor is a part of the cases.
    let ours = |report: &&Report| rotation.plan.receivers.contains(&report.url) && report.verdict != Verdict::Undecided;
    let receivers: Vec<_> = reports.iter().filter(ours).map(probed).collect();
    if receivers.is_empty() {
        return;
    }
    let found = Event::Probed { receivers };
    match knowledge.journal.append(&mut rotation, &session.actor(), session.now(), &[found]) {
        Ok(()) => session.output.detail("noted in the journal of the open rotation"),
        Err(error) => session.output.warn(&format!("it was not noted in the journal: {error}")),
    }
}

fn conclude(args: &Args, session: &Session, knowledge: &Knowledge, reports: &[Report]) -> Exit {
    let failing = reports.iter().find(|report| match args.expect {
        Some(expected) => report.verdict != expected,
        None if args.with.is_empty() => report.accepts_new() != Some(true) || accepts_forged(report),
        None => report.tried.is_empty() || refuses_sound(report) || accepts_forged(report),
    });
    let (exit, error) = match failing {
        None => (Exit::Done, Value::Null),
        Some(report) => {
            let wanted = match args.expect {
                Some(expected) => format!(", and not `{}`", expected.words()),
                None => String::new(),
            };
            let message = format!("{} {}{wanted}", shown_address(&report.url), report.verdict.finds());
            let fault = Fault { exit: Exit::Gate, message, hint: Some(report.verdict.advice().into()) };
            // The table has said what to do about it.
            session.output.error(&fault.message, fault.hint_words().filter(|_| session.output.is_json()).as_deref());
            (Exit::Gate, exit::error_object(&fault))
        }
    };
    let receivers: Vec<Value> = reports.iter().map(object).collect();
    let fields = json!({ "target": knowledge.target.name, "receivers": receivers, "error": error });
    session.output.json(&result::object("probe", exit, fields));
    exit
}

/// Whether a receiver refused what the new secret signed.
fn refuses_sound(report: &Report) -> bool {
    let mut sound = report.tried.iter().filter(|tried| tried.case.is_sound() && tried.case != Case::Old);
    sound.any(|tried| tried.is_accepted() != Some(true))
}

/// Whether a receiver accepted something that nobody with a secret signed just now.
fn accepts_forged(report: &Report) -> bool {
    report.tried.iter().any(|tried| !tried.case.is_sound() && tried.is_accepted() != Some(false))
}

fn object(report: &Report) -> Value {
    let case = |tried: &Tried| {
        let statuses: Vec<Value> = tried
            .answers
            .iter()
            .map(|answer| match &answer.status {
                Ok(status) => json!(status),
                Err(why) => json!(why),
            })
            .collect();
        let millis = tried.answers.iter().map(|answer| answer.took.as_millis()).max();
        json!({ "case": tried.case.name(), "accepted": tried.is_accepted(), "answers": statuses, "slowest_ms": millis })
    };
    json!({
        "url": shown_address(&report.url), "verdict": report.verdict, "accepts_new": report.accepts_new(),
        "rejects_old": report.rejects_old(), "median_ms": report.took().map(|took| took.as_millis()),
        "clock_ahead_s": report.clock_off().map(|off| off.as_secs()),
        "cases": report.tried.iter().map(case).collect::<Vec<_>>(),
    })
}

/// Has the provider send a test delivery.
fn via_provider(args: &Args, session: &Session, knowledge: &Knowledge) -> anyhow::Result<Exit> {
    let target = &knowledge.target;
    let provider = &target.endpoint.provider;
    let context = session.context()?;
    let key = key::find(context, target, args.options.api_key_file.as_deref())?;
    let Some(tested) = context.client(target)?.test_delivery(&target.endpoint, &key.secret) else {
        let message = format!("{} has no call that sends a test delivery", provider.title());
        return Err(Fault::new(Exit::Usage, message, "probe the receivers from here: leave --via-provider out"));
    };
    let failed = |outcome| match RunError::from_outcome(provider.title().to_owned(), "send a test delivery", outcome) {
        RunError::CheckFailed { provider, why } => {
            let message = format!("the test delivery failed: {provider} did not answer as it should: {why}");
            Fault::new(Exit::Unavailable, message, "run it again later, or leave --via-provider out to probe from here")
        }
        other => Error::of_key(other, &key.origin).into(),
    };
    let tested = tested.map_err(failed)?;
    let Tested { accepted, status, error: why, id } = tested;
    let about = provider.spec().test_delivery.as_ref().map(|test| test.about.clone()).unwrap_or_default();
    let mut words = match accepted {
        Some(true) => "the receiver accepted it".to_owned(),
        Some(false) => "the receiver did not accept it".to_owned(),
        None => about,
    };
    for (name, value) in [("status", &status), ("error", &why), ("delivery", &id)] {
        words.extend(value.iter().map(|value| format!(", {name} {value}")));
    }
    session.output.data(&format!("{} was asked for a test delivery: {words}", provider.title()));
    let exit = if accepted == Some(false) { Exit::Gate } else { Exit::Done };
    let error = if exit == Exit::Done {
        Value::Null
    } else {
        let probe = session.come_back("probe", &target.name);
        let hint = Some(format!("`{probe}` shows what the receiver accepts").into());
        let fault =
            Fault { exit, message: format!("the receiver did not accept {}'s test delivery", provider.title()), hint };
        exit::say(&session.output, &fault)
    };
    let fields = json!({
        "target": target.name, "error": error,
        "via_provider": { "accepted": accepted, "status": status, "why": why, "delivery": id },
    });
    session.output.json(&result::object("probe", exit, fields));
    Ok(exit)
}

fn case_word(text: &str) -> Result<Case, String> {
    let names = Case::ALL.map(Case::name).join(", ");
    Case::ALL.into_iter().find(|case| case.name() == text).ok_or_else(|| format!("it is one of {names}"))
}

fn verdict_word(text: &str) -> Result<Verdict, String> {
    serde_json::from_value(Value::String(text.to_owned())).map_err(|_| {
        "it is accepts-both, new-only, old-only, accepts-new, first-signature-only, accepts-anything, \
         no-timestamp-check, compares-prefix, rejects-all, inconsistent, failing, too-slow, unreachable or redirects"
            .to_owned()
    })
}
