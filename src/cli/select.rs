//! Which targets a command acts on: names, globs, labels, and how their rotations stand.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Read};

use clap::builder::PossibleValuesParser;
use clap_complete::engine::ArgValueCandidates;

use super::exit::{Exit, Fault};
use super::session::Session;
use super::{complete, parse_duration};
use crate::advice::Verb;
use crate::config::is_label;
use crate::operation::resume;
use crate::operation::status::{Row, Wanted, look};
use crate::rotation::{Plan, Rotation, Status, Step};
use crate::secret;

/// Longest list of names that is read, in bytes.
const LONGEST_LIST: u64 = 4 << 20;

/// Targets by their names, or all, and what narrows them.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Selection {
    /// A target's name, PROVIDER/ID[/ID], or a glob such as 'pay-*'; `-` reads names from stdin, one a line
    #[arg(id = "selected", value_name = "TARGET", add = ArgValueCandidates::new(complete::targets))]
    targets: Vec<String>,
    /// Every target of the config
    #[arg(long, conflicts_with = "selected", help_heading = "Selection")]
    all: bool,
    #[command(flatten)]
    filters: Filters,
}

/// What narrows a selection. The same one twice is an or, different ones are an and.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Selection")]
pub struct Filters {
    /// Only targets with these labels: env=prod, env!=dev, tier, !legacy, with commas between
    #[arg(short = 'l', long = "label", value_name = "LABELS", value_parser = labels)]
    labels: Vec<Labels>,
    /// Only targets of this provider
    #[arg(long, value_name = "NAME", id = "of_provider")]
    provider: Vec<String>,
    /// Only targets of this owner
    #[arg(long, value_name = "TEXT", id = "of_owner")]
    owner: Vec<String>,
    /// Only targets whose live secret is older than this, or than their `max_age`: 90d, policy
    #[arg(long, value_name = "DURATION", value_parser = age)]
    older_than: Option<Age>,
    /// Only targets whose open rotation stands before this step
    #[arg(long, value_name = "STEP", value_parser = step)]
    at: Vec<Step>,
    /// Only targets with an open rotation in this state: stored, deployed, verified, waiting, sealed, unknown
    #[arg(long = "status", value_name = "WORD", id = "of_status",
          value_parser = PossibleValuesParser::new(Status::OPEN.map(Status::name)), hide_possible_values = true)]
    status: Vec<String>,
    /// Only targets with something overdue
    #[arg(long)]
    overdue: bool,
    /// Leave out targets that this glob names
    #[arg(long, value_name = "GLOB")]
    except: Vec<String>,
}

/// Requirements of labels, all of which have to be met.
#[derive(Clone, Debug)]
pub struct Labels(Vec<(String, Label)>);

#[derive(Clone, Debug)]
enum Label {
    Is(String),
    IsNot(String),
    IsThere,
    IsNotThere,
}

/// How old a secret has to be.
#[derive(Clone, Copy, Debug)]
pub enum Age {
    Than(std::time::Duration),
    Policy,
}

/// What a command acts on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selected {
    /// One target, by its name: as if there were no selections.
    One(String),
    Several(Vec<Chosen>),
}

impl Selected {
    /// All of them, however many there are.
    pub fn all(self) -> Vec<Chosen> {
        match self {
            Self::One(name) => vec![Chosen { name, skipped: None }],
            Self::Several(chosen) => chosen,
        }
    }
}

/// One of several targets; or why it is left out after all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    pub name: String,
    pub skipped: Option<String>,
}

impl Selection {
    /// Whether nothing is named, and nothing narrows it.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty() && !self.all && !self.filters.narrow()
    }

    /// Whether it is one target and nothing else.
    pub fn is_one(&self) -> bool {
        self.one().is_some()
    }

    /// What is named as typed, where it is one target and nothing else.
    fn one(&self) -> Option<&String> {
        match self.targets.as_slice() {
            [one] if one != "-" && !is_glob(one) && !self.filters.narrow() => Some(one),
            _ => None,
        }
    }

    /// The targets of a command that changes something: some have to be named.
    pub fn need(&self, session: &Session) -> anyhow::Result<Selected> {
        if self.targets.is_empty() && !self.all {
            return Err(unnamed());
        }
        self.resolve(session)
    }

    /// The targets; all of the config where none is named.
    pub fn resolve(&self, session: &Session) -> anyhow::Result<Selected> {
        if let Some(one) = self.one() {
            return Ok(Selected::One(one.clone()));
        }
        Ok(Selected::Several(self.narrow(session, self.known(session)?)?))
    }

    /// The names of the targets to be looked at; none where nothing is named and nothing narrows it, which means all that there are.
    pub fn names(&self, session: &Session) -> anyhow::Result<Vec<String>> {
        if self.is_empty() {
            return Ok(Vec::new());
        }
        Ok(match self.resolve(session)? {
            Selected::One(name) => vec![name],
            Selected::Several(chosen) => chosen.into_iter().map(|chosen| chosen.name).collect(),
        })
    }

    /// Leaves out rotations of other targets; none where nothing is named and nothing narrows it.
    pub fn keep(&self, session: &Session, rotations: &mut Vec<Rotation>) -> anyhow::Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let names = self.names(session)?;
        let key = |name: &String| Some(session.target(name, &Default::default()).ok()?.endpoint.key());
        let keys: BTreeSet<String> = names.iter().filter_map(key).collect();
        rotations
            .retain(|rotation| names.contains(&rotation.plan.target) || keys.contains(&rotation.plan.endpoint_key));
        Ok(())
    }

    /// The names of targets to go on with, where `open` are all that are.
    pub fn of_open(
        &self,
        session: &Session,
        open: impl FnOnce() -> anyhow::Result<Vec<String>>,
    ) -> anyhow::Result<Vec<String>> {
        if let Some(one) = self.one() {
            return Ok(vec![one.clone()]);
        }
        if self.targets.is_empty() && !self.all {
            return Err(unnamed());
        }
        let names = if self.all { open()? } else { self.named(session)? };
        if !self.filters.narrow() {
            return Ok(names);
        }
        let chosen = self.narrow(session, names)?.into_iter().filter(|chosen| chosen.skipped.is_none());
        Ok(chosen.map(|chosen| chosen.name).collect())
    }

    /// Whether all targets are meant.
    pub fn is_all(&self) -> bool {
        self.all && !self.filters.narrow()
    }

    fn narrow(&self, session: &Session, mut names: Vec<String>) -> anyhow::Result<Vec<Chosen>> {
        let filters = &self.filters;
        let config = session.config()?;
        let known = session.catalog()?.names();
        // One that a target has may have lost its description.
        let is_known = |wanted: &String| {
            known.contains(wanted)
                || names.iter().any(|name| config.traits(name).is_some_and(|(provider, ..)| provider == wanted))
        };
        if let Some(unknown) = filters.provider.iter().find(|wanted| !is_known(wanted)) {
            let message = format!("there is no provider `{}`", secret::shown(unknown));
            let hint = crate::advice::advice!["which there are: ", Verb::ProviderList.alone()];
            return Err(Fault::new(Exit::NotFound, message, hint));
        }
        for glob in &filters.except {
            let left_out = pattern(glob)?;
            if !names.iter().any(|name| left_out.matches(name)) {
                session
                    .output
                    .warn(&format!("--except leaves nothing out: none of these targets is `{}`", secret::shown(glob)));
            }
            names.retain(|name| !left_out.matches(name));
        }
        names.retain(|name| {
            let Some((provider, owner, labels)) = config.traits(name) else {
                // Of what is not in the config nothing but a provider is known, which is the first part of its name.
                let provider = name.split('/').next().unwrap_or_default();
                let is_of = filters.provider.is_empty() || filters.provider.iter().any(|wanted| wanted == provider);
                return is_of && filters.owner.is_empty() && filters.labels.is_empty();
            };
            (filters.provider.is_empty() || filters.provider.iter().any(|wanted| wanted == provider))
                && (filters.owner.is_empty() || filters.owner.iter().any(|wanted| owner == Some(wanted.as_str())))
                && (filters.labels.is_empty() || filters.labels.iter().any(|wanted| wanted.are_met(&labels)))
        });
        let chosen = |name: String| Chosen { name, skipped: None };
        if !filters.look_at_rotations() || names.is_empty() {
            return Ok(names.into_iter().map(chosen).collect());
        }
        let again = |verb: Verb, plan: &Plan| session.again(verb.name(), plan);
        let rows = look(session.context()?, Wanted { targets: &names, max_age: None, again: &again })?.rows;
        let now = session.now();
        let found = names.into_iter().filter_map(|name| {
            let row = rows.iter().find(|row| row.target == name)?;
            Some(Chosen { name, skipped: filters.admit(row, now)? })
        });
        Ok(found.collect())
    }

    /// The names, before anything narrows them; each once, in the order of the command line and then of the config.
    fn named(&self, session: &Session) -> anyhow::Result<Vec<String>> {
        let known = || Ok::<_, anyhow::Error>(session.config()?.names().map(str::to_owned).collect::<Vec<_>>());
        if self.targets.is_empty() {
            return known();
        }
        let mut names = Vec::new();
        for text in &self.targets {
            match text.as_str() {
                "-" => names.extend(listed()?),
                glob if is_glob(glob) => {
                    let pattern = pattern(glob)?;
                    names.extend(known()?.into_iter().filter(|name| pattern.matches(name)));
                }
                name => names.push(name.to_owned()),
            }
        }
        let mut seen = BTreeSet::new();
        names.retain(|name| seen.insert(name.clone()));
        Ok(names)
    }

    /// The same, each of them one: a name that is none is said before anything is done.
    fn known(&self, session: &Session) -> anyhow::Result<Vec<String>> {
        let (names, config) = (self.named(session)?, session.config()?);
        let unknown: Vec<&String> = names.iter().filter(|name| !config.has(name)).collect();
        if !unknown.is_empty() {
            let open = resume::open_ones(session.context()?).unwrap_or_default();
            for name in unknown.into_iter().filter(|name| !open.contains(name)) {
                session.target(name, &Default::default())?;
            }
        }
        Ok(names)
    }
}

impl Filters {
    fn narrow(&self) -> bool {
        !(self.labels.is_empty() && self.provider.is_empty() && self.owner.is_empty() && self.except.is_empty())
            || self.look_at_rotations()
    }

    fn look_at_rotations(&self) -> bool {
        self.older_than.is_some() || self.overdue || !self.at.is_empty() || !self.status.is_empty()
    }

    /// Whether a target is one of these by how it stands; `Some(Some(why))` where that cannot be told, and it is left out.
    fn admit(&self, row: &Row, now: jiff::Timestamp) -> Option<Option<String>> {
        let is_at = self.at.is_empty() || self.at.iter().any(|step| row.step == Some(step.name()));
        let is_in = |word: &String| row.status.is_some_and(|status| status.name() == word);
        let is_in = self.status.is_empty() || self.status.iter().any(is_in);
        if !(is_at && is_in && (!self.overdue || row.overdue)) {
            return None;
        }
        let most = match self.older_than {
            None => return Some(None),
            Some(Age::Than(most)) => most,
            Some(Age::Policy) => match row.max_age_seconds {
                Some(seconds) => std::time::Duration::from_secs(seconds),
                None => return Some(Some("it has no `max_age`".to_owned())),
            },
        };
        // A machine that knows nothing yet would rotate everything.
        let unknown = || Some(Some("how old its secret is is not known here".to_owned()));
        let Some(rotated_at) = row.rotated_at else { return unknown() };
        let age = now.duration_since(rotated_at);
        (age > jiff::SignedDuration::try_from(most).unwrap_or(jiff::SignedDuration::MAX)).then_some(None)
    }
}

impl Labels {
    fn are_met(&self, labels: &std::collections::BTreeMap<&str, &str>) -> bool {
        self.0.iter().all(|(name, wanted)| {
            let value = labels.get(name.as_str());
            match wanted {
                Label::Is(wanted) => value.is_some_and(|value| value == wanted),
                Label::IsNot(wanted) => value.is_none_or(|value| value != wanted),
                Label::IsThere => value.is_some(),
                Label::IsNotThere => value.is_none(),
            }
        })
    }
}

fn labels(text: &str) -> Result<Labels, String> {
    let one = |text: &str| {
        let (name, wanted) = match (text.split_once("!="), text.split_once('='), text.strip_prefix('!')) {
            (Some((name, value)), _, _) => (name, Label::IsNot(value.to_owned())),
            (_, Some((name, value)), _) => (name, Label::Is(value.trim_start_matches('=').to_owned())),
            (_, _, Some(name)) => (name, Label::IsNotThere),
            _ => (text, Label::IsThere),
        };
        match is_label(name) {
            true => Ok((name.to_owned(), wanted)),
            false => Err("it is written env=prod, env!=dev, tier or !legacy, with commas between".to_owned()),
        }
    };
    text.split(',').map(|text| one(text.trim())).collect::<Result<_, _>>().map(Labels)
}

fn age(text: &str) -> Result<Age, String> {
    if text == "policy" { Ok(Age::Policy) } else { parse_duration(text).map(Age::Than) }
}

fn step(text: &str) -> Result<Step, String> {
    Step::named(text).ok_or_else(|| {
        let names: Vec<&str> = Step::ALL.iter().map(|step| step.name()).collect();
        format!("it is none of the steps {}", names.join(", "))
    })
}

fn unnamed() -> anyhow::Error {
    Fault::new(Exit::Usage, "no target is named", "name one, several or a glob, or say --all")
}

fn is_glob(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

fn pattern(text: &str) -> anyhow::Result<glob::Pattern> {
    glob::Pattern::new(text).map_err(|error| {
        let message = format!("`{}` is no glob: {}", secret::shown(text), error.msg);
        Fault::new(Exit::Usage, message, "a glob is written with `*`, `?` and `[…]`, in quotes: 'pay-*'")
    })
}

/// The names on stdin, one a line.
fn listed() -> anyhow::Result<Vec<String>> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        let hint = "pipe them in, one a line";
        return Err(Fault::new(Exit::Usage, "`-` takes names from stdin, which is a terminal", hint));
    }
    let mut text = String::new();
    let read = stdin.lock().take(LONGEST_LIST).read_to_string(&mut text);
    if let Err(error) = read {
        return Err(Fault::new(Exit::Usage, format!("the names on stdin cannot be read: {error}"), "pipe in text"));
    }
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

/// Nothing matches: no failure, unless something was asserted of it.
pub fn nothing(session: &Session, command: &'static str, asserts: bool) -> anyhow::Result<Exit> {
    if asserts {
        let hint = crate::advice::advice!["what is open: ", Verb::Status.alone()];
        return Err(Fault::new(Exit::NotFound, "no target matches, and something is said of one", hint));
    }
    session.output.say("nothing to do: no target matches");
    let fields = serde_json::json!({ "targets": [] });
    session.output.json(&super::result::object(command, Exit::Done, fields));
    Ok(Exit::Done)
}
