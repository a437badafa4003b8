//! `whsec provider show`: what is known about one provider, where it was read, and when.

use clap_complete::engine::ArgValueCandidates;
use serde_json::json;

use super::super::exit::Exit;
use super::super::session::Session;
use super::super::{complete, result};
use crate::provider::recipe::{self, Recipe};
use crate::provider::signature::Scheme;
use crate::provider::spec::RateSpec;
use crate::provider::{Force, Overlap, Provider, duration_text};

/// Show what is known about a provider
///
/// With a receiver of its deliveries in Python, in JavaScript and in Go, which accepts the live secret and the coming one.
///
/// Examples:
///   whsec provider show layers
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Name the provider
    #[arg(add = ArgValueCandidates::new(complete::providers))]
    provider: String,
}

/// Prints the description in words; with `--json` as it is written.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let provider = session.catalog()?.get(&args.provider)?;
    print(&provider, session);
    let receivers = Scheme::of(&provider).map(|scheme| recipe::receivers(&scheme));
    for recipe in receivers.iter().flatten() {
        let head = [String::new(), format!("a receiver in {}:", recipe.language), String::new()];
        // A tab would be shown as what it is.
        let lines = head.iter().chain(&recipe.lines).map(|line| line.replace('\t', "    "));
        lines.for_each(|line| session.output.data(&line));
    }
    let code = |recipe: &Recipe| (recipe.language.to_lowercase(), recipe.lines.join("\n").into());
    let receivers: serde_json::Map<_, _> = receivers.iter().flatten().map(code).collect();
    let fields = json!({ "provider": provider.name(), "description": provider.spec(), "receivers": receivers });
    session.output.json(&result::object("provider show", Exit::Done, fields));
    Ok(Exit::Done)
}

/// How long the old secret lives, in a few words.
pub fn overlap(provider: &Provider) -> String {
    match provider.overlap() {
        Overlap::Fixed(window) => duration_text(window),
        Overlap::UntilEnded { .. } => "until it is ended".to_owned(),
        Overlap::Answered => "as long as the answer says".to_owned(),
        Overlap::None => "no longer".to_owned(),
        Overlap::Unknown => "unknown".to_owned(),
    }
}

/// The same with the bounds within which the caller chooses.
fn chosen(provider: &Provider) -> String {
    let lives = overlap(provider);
    match provider.choice() {
        Some(bounds) => {
            let (least, most) = (duration_text(*bounds.start()), duration_text(*bounds.end()));
            format!("{lives}, or as long as --overlap says, {least} to {most}")
        }
        None => match provider.overlap() {
            Overlap::None => "not at all: it ends with the call".to_owned(),
            Overlap::Unknown => "not known; handled as ended by the call".to_owned(),
            Overlap::Fixed(_) | Overlap::Answered | Overlap::UntilEnded { .. } => lives,
        },
    }
}

/// Whether the old secret can be ended early, in a few words.
pub fn force(provider: &Provider) -> &'static str {
    match provider.force() {
        Force::Call => "yes",
        Force::SameCall => "by every rotation",
        Force::Unavailable => "no",
    }
}

/// How its endpoints are named.
fn endpoint(provider: &Provider) -> String {
    let spec = provider.spec();
    let labels: Vec<&str> = spec.ids.iter().map(String::as_str).filter(|id| spec.is_label(id)).collect();
    let own = if labels.is_empty() { String::new() } else { format!(" ({}: a name of your own)", labels.join(", ")) };
    format!("{}/{}{own}", provider.name(), spec.ids.join("/"))
}

/// What a delivery bears, in a line.
fn signature(scheme: &Scheme) -> String {
    let what = match scheme.signed() {
        Some(signed) => format!("HMAC-{} over `{signed}` in {}", scheme.hash().name(), scheme.encoding().name()),
        None => "the secret itself".to_owned(),
    };
    format!("{}: {what}", scheme.sketch())
}

/// Who makes the new secret.
fn maker(provider: &Provider) -> String {
    match provider.takes() {
        None if provider.is_by_hand() => {
            "made by the provider when a person asks for it, who gives it to whsec".to_owned()
        }
        Some(made) => {
            format!(
                "made by whsec, {} random bytes as {}; given once receivers accept it",
                made.bytes.unwrap_or_default(),
                made.form.name()
            )
        }
        None if provider.replaces() => {
            "made by the provider with a second endpoint, which takes the place of the first".to_owned()
        }
        None => "made by the provider".to_owned(),
    }
}

/// Prints the facts that matter to an operator.
pub fn print(provider: &Provider, session: &Session) {
    let spec = provider.spec();
    let schemes: Vec<&str> = spec.auth.schemes.iter().map(|scheme| scheme.name.as_str()).collect();
    let idempotency = provider.idempotency().map_or_else(
        || match provider.takes() {
            None if provider.is_by_hand() => "nothing is sent".to_owned(),
            Some(_) => "yes: the same secret is sent again".to_owned(),
            None => "no: a repeated call would rotate again".to_owned(),
        },
        |found| {
            let place =
                found.header.as_ref().map_or_else(|| "a key in the body".to_owned(), |header| format!("`{header}`"));
            format!("by {place} for {}", duration_text(found.window))
        },
    );
    let no_base_url = if provider.is_by_hand() { "" } else { "none: the target has to name one" };
    let mut lines = vec![
        ("provider", format!("{} ({})", provider.name(), provider.title())),
        ("base URL", spec.base_url.clone().unwrap_or_else(|| no_base_url.to_owned())),
        ("the same", spec.same.join(", ")),
        ("endpoint", endpoint(provider)),
        ("by hand", spec.rotate.page.clone().unwrap_or_default()),
        ("ended by hand", spec.end.as_ref().and_then(|end| end.page.clone()).unwrap_or_default()),
        (
            "API key",
            if provider.is_by_hand() { String::new() } else { format!("{}: {}", spec.auth.env, spec.auth.about) },
        ),
        ("sent as", schemes.join(", ")),
        ("new secret", maker(provider)),
        ("old secret lives", chosen(provider)),
        ("end it early", force(provider).to_owned()),
        ("safe to repeat", idempotency),
        ("inspect", if spec.inspect.is_some() { "yes" } else { "no" }.to_owned()),
        ("signature", Scheme::of(provider).map_or("not described".to_owned(), |scheme| signature(&scheme))),
        ("test delivery", spec.test_delivery.as_ref().map_or("none".to_owned(), |test| test.about.clone())),
    ];
    lines.extend(spec.options.iter().map(|(name, option)| ("option", format!("{name}: {}", option.about))));
    lines.extend(spec.rate.iter().map(|rate| ("takes", rate_words(*rate))));
    lines.extend(spec.scope.iter().map(|scope| ("scope", scope.clone())));
    lines.extend(spec.hazards.iter().map(|hazard| ("beware", hazard.clone())));
    lines.extend(
        spec.sources.iter().map(|source| ("source", format!("{} ({}): {}", source.url, source.read, source.facts))),
    );
    lines.retain(|(_, value)| !value.is_empty());
    let width = lines.iter().map(|(word, _)| word.len()).max().unwrap_or(0);
    for (word, value) in lines {
        session.output.data(&format!("{word:<width$}  {value}"));
    }
}

fn rate_words(rate: RateSpec) -> String {
    let calls = rate.per_second.map(|calls| format!("{calls} calls a second"));
    let at_once = rate.at_once.map(|calls| format!("{calls} at once"));
    calls.into_iter().chain(at_once).collect::<Vec<_>>().join(", ")
}
