//! A plan before anything is sent: what goes out, where the secret goes, how long the old one lives, who does what.

use super::Output;
use crate::http::shown_address;
use crate::provider::Provider;
use crate::provider::plain_text;
use crate::rotation::guide::{self, StoreNames};
use crate::rotation::{Doer, Ending, ExpirySource, Issuing, Plan, Rotation, Step};
use crate::secret::Fingerprint;
use crate::time::{moment, span};

/// Shows a plan on stderr.
pub fn plan(output: &Output, plan: &Plan, provider: &Provider, stores: &[StoreNames]) {
    let bold = anstyle::Style::new().bold();
    output.say(&format!("{bold}{}{bold:#}: endpoint {} at {}", plan.target, plan.own_id(), provider.title()));
    match &plan.issuing {
        Issuing::Call(request) => {
            output.say(&format!("  sends     {} {}", request.method.as_str(), request.url));
            if let Some(body) = crate::provider::preview::body(request) {
                output.say(&format!("            body {body}"));
            }
        }
        Issuing::ByHand { page } => {
            output.say("  sends     nothing: you make the new secret, and give it to whsec");
            output.say(&format!("  where     {page}"));
        }
    }
    if let Some(key) = &plan.idempotency_key {
        output.say(&format!("            idempotency key {key}, so that a lost answer can be had again"));
    }
    for (store, planned) in stores.iter().zip(&plan.stores) {
        let at = planned.server.as_ref().map(|server| format!(" at {server}")).unwrap_or_default();
        output.say(&format!("  store     {}{at}", store.store));
        output.say(&format!("            new in {}, live in {}, old in {}", store.next, store.current, store.previous));
    }
    for receiver in &plan.receivers {
        output.say(&format!("  receiver  {}", shown_address(receiver)));
    }
    output.say(&format!("  old one   {}", old_secret(plan)));
    output.say("");
    for (number, step) in plan.steps.iter().enumerate() {
        let who = who(plan, *step);
        output.say(&format!("  {:>2}  {who}  {:<8} {}", number + 1, step.name(), guide::title(plan, *step)));
    }
    output.say("");
    for warning in guide::warnings(plan, provider) {
        output.warn(&warning);
    }
    for hazard in &provider.spec().hazards {
        output.say(&format!("  note: {hazard}"));
    }
}

/// Shows what is left of a rotation on stderr.
pub fn left(output: &Output, rotation: &Rotation, provider: &Provider) {
    let plan = &rotation.plan;
    for step in plan.steps.iter().filter(|step| !rotation.done.contains_key(step)) {
        output.say(&format!("  {}  {:<8} {}", who(plan, *step), step.name(), guide::title(plan, *step)));
    }
    guide::warnings(plan, provider).iter().for_each(|warning| output.warn(warning));
}

/// Shows on stderr what is taken for a rotation whose journal is lost.
pub fn adopted(output: &Output, rotation: &Rotation, provider: &Provider, stores: &[StoreNames]) {
    let plan = &rotation.plan;
    let bold = anstyle::Style::new().bold();
    output.say(&format!("{bold}{}{bold:#}: endpoint {} at {}", plan.target, plan.own_id(), provider.title()));
    let print = |print: Option<&Fingerprint>| print.map(ToString::to_string).unwrap_or_default();
    let (new, old) = (print(rotation.new_secret()), print(rotation.before.current.as_ref()));
    for names in stores {
        let (of_new, of_old) = match rotation.done.contains_key(&Step::Promote) {
            true => (&names.current, &names.previous),
            false => (&names.next, &names.current),
        };
        output.say(&format!("  store     {}", names.store));
        output.say(&format!("            new in {of_new}: {new}"));
        output.say(&format!("            old in {of_old}: {old}"));
    }
    let shown = rotation.after.iter().flat_map(|after| [&after.version, &after.fingerprint, &after.updated_at]);
    let shown: Vec<String> = shown.flatten().map(|text| plain_text(text)).collect();
    if !shown.is_empty() {
        output.say(&format!("  provider  shows {}", shown.join(", ")));
    }
    let ends = match (rotation.answered().map(|answered| answered.expires_source), rotation.expires_at()) {
        (Some(ExpirySource::Provider), Some(end)) => format!("ends at {}, as the provider says", moment(end)),
        (_, Some(end)) => {
            format!("ends at {} at the latest: as documented from now on, as nobody knows when it began", moment(end))
        }
        (Some(ExpirySource::Call), None) => "died with the call, as far as is known".to_owned(),
        (_, None) if plan.ending.is_some() => {
            "lives on until you end it at the provider, which is asked for".to_owned()
        }
        (_, None) => "nobody says when it ends".to_owned(),
    };
    output.say(&format!("  old one   {ends}"));
    if !rotation.done.contains_key(&Step::Promote) && rotation.after.as_ref().is_none_or(|after| after.shown.is_none())
    {
        let title = provider.title();
        output.warn(&format!(
            "{title} shows no secret to compare with: see that the one in `next` is its own, and not left by a trial (--probe-first)"
        ));
    }
    output.say("");
    left(output, rotation, provider);
}

/// Shows on stderr what somebody hands over, and what is left of it. Stores of this machine's config are named by `stores`.
pub fn handed_over(output: &Output, rotation: &Rotation, provider: &Provider, stores: &[StoreNames]) {
    let plan = &rotation.plan;
    let bold = anstyle::Style::new().bold();
    let title = provider.title();
    output.say(&format!(
        "{bold}{}{bold:#}: endpoint {} at {title}",
        plain_text(&plan.target),
        plain_text(plan.own_id())
    ));
    output.say(&format!("  address   {}", plan.base_url));
    if let Some(handed) = &rotation.handed_over {
        output.say(&format!("  from      {}, as it says itself", plain_text(&handed.by)));
        output.say(&format!("            {} at {}", plain_text(&handed.to_words()), moment(handed.at)));
    }
    if let Some(new) = rotation.new_secret() {
        output.say(&format!("  new one   {new}"));
    }
    if let Some(second) = rotation.second() {
        output.say(&format!("            of a second endpoint, {}", plain_text(second)));
    }
    for store in &plan.stores {
        let names = stores.iter().find(|names| names.store == store.reference);
        output.say(&format!("  store     {}", plain_text(&store.reference)));
        names.into_iter().for_each(|names| {
            output.say(&format!(
                "            new in {}, live in {}, old in {}",
                names.next, names.current, names.previous
            ));
        });
    }
    output.say("");
    left(output, rotation, provider);
}

fn who(plan: &Plan, step: Step) -> &'static str {
    match plan.doer(step) {
        Doer::Tool => "whsec",
        Doer::Person => "you  ",
        Doer::Clock => "clock",
    }
}

fn old_secret(plan: &Plan) -> String {
    let since = if plan.is_by_hand() { "the new one is made" } else { "the call" };
    if plan.direction.ends_old_secret() {
        return if plan.is_by_hand() {
            format!("dies as {since}, as far as is known")
        } else {
            format!("dies with {since}")
        };
    }
    match plan.ending {
        Some(Ending::Call(_)) => {
            return "lives on until its endpoint is removed, which the walk asks you for".to_owned();
        }
        Some(Ending::ByHand { .. }) => {
            return "lives on until you end it at the provider, which the walk asks for".to_owned();
        }
        None => {}
    }
    match plan.overlap.and_then(|overlap| jiff::SignedDuration::try_from(overlap).ok()) {
        Some(overlap) => {
            let counts = if plan.is_by_hand() { "" } else { "; the answer's own time counts" };
            format!("lives on for {} after {since}, as documented{counts}", span(overlap))
        }
        None => "lives on for as long as the answer says".to_owned(),
    }
}
