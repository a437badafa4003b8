//! `whsec probe`: what do the receivers accept?

use std::path::PathBuf;

use clap::ValueHint;
use serde_json::{Value, json};

use super::exit::{self, Exit, Fault};
use super::fleet;
use super::options::TargetOptions;
use super::result;
use super::select::Selection;
use super::session::Session;
use super::waves::Many;
use crate::delivery::probe::{Case, Report, Tried, Verdict};
use crate::http::shown_address;
use crate::operation::probe::{self, ByProvider, Must, Probe, Wanted};
use crate::provider::Tested;
use crate::ui::probes;

/// Ask the receivers what they accept: new, old, both, forged
///
/// Sends marked, harmless deliveries, signed in the provider's scheme in several ways, right and wrong, to the target's
/// receivers, and says what each accepts; a minute each at most. No secret is sent, unless the provider's own deliveries bear it
/// in place of a signature (Telegram): then probes do, to receivers of your config alone. No redirect is followed. What is found is noted in the
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
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    many: Many,
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
    let several = fleet::Several { command: "probe", selection: &args.selection, many: &args.many, asserts: false };
    several.refuse(&[("--url", !args.urls.is_empty())])?;
    several.each(session, &args.options, &|session, name| one(args, session, name))
}

fn one(args: &Args, session: &Session, name: &str) -> anyhow::Result<Exit> {
    if args.via_provider {
        return via_provider(args, session, name);
    }
    let mut asked = args.options.asked();
    asked.overrides.receivers.extend(args.urls.iter().cloned());
    let body = args.body.as_deref().map(read_body).transpose()?;
    let wanted = Wanted { cases: args.with.clone(), body };
    let mut probe = Probe::begin(session.context()?, name, &asked, wanted)?;
    let signals = session.signals()?;
    let mut reports = Vec::new();
    for url in probe.urls() {
        let report = probe.ask(url, &|| signals.arrived());
        if signals.arrived() {
            return Ok(signals.exit());
        }
        if !reports.is_empty() {
            session.output.data("");
        }
        probes::table(&report).iter().for_each(|line| session.output.data(line));
        reports.push(report);
    }
    probe.record(session.context()?, &reports);
    Ok(conclude(args, session, &probe.target().name, &reports))
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

fn conclude(args: &Args, session: &Session, target: &str, reports: &[Report]) -> Exit {
    let must = match args.expect {
        Some(verdict) => Must::Be(verdict),
        None if args.with.is_empty() => Must::BeReady,
        None => Must::AnswerEach,
    };
    let (exit, error) = match reports.iter().find(|report| !must.holds(report)) {
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
    let fields = json!({ "target": target, "receivers": receivers, "error": error });
    session.output.json(&result::object("probe", exit, fields));
    exit
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
fn via_provider(args: &Args, session: &Session, name: &str) -> anyhow::Result<Exit> {
    let ByProvider { target, tested } = probe::via_provider(session.context()?, name, &args.options.asked())?;
    let provider = &target.endpoint.provider;
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
