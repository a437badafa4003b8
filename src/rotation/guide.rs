//! What a person has to do at each step, in words made for this target: its slots, receivers, signature format.
//!
//! Pure. The plan, the walk and `status` all take their words from here.

use super::{Direction, Ending, Issuing, Plan, Rotation, Step};
use crate::provider::signature::Scheme;
use crate::provider::spec::{KeyDecoding, Signs};
use crate::provider::{Overlap, Provider};

/// The names that one store's slots go by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreNames {
    pub store: String,
    pub next: String,
    pub current: String,
    pub previous: String,
}

/// A short line for a step: what happens, in the words of this plan's direction.
pub fn title(plan: &Plan, step: Step) -> &'static str {
    use Direction::{Contain, Force, Instant, OverlapEither, OverlapSwitch, Set, SetSwitch, UntilEnded};
    match (step, plan.told_as()) {
        (Step::Check, _) if plan.is_by_hand() => "prove every store and the seal",
        (Step::Issue, Instant) if plan.is_by_hand() => {
            "have the provider make a new secret, and give it to whsec: the old one dies"
        }
        (Step::Issue, _) if plan.is_by_hand() => "have the provider make a new secret, and give it to whsec",
        (Step::Check, _) => "prove the key, the endpoint, every store and the seal",
        (Step::Prepare, _) => "make the receivers ready to take the new secret at once",
        (Step::Issue, Instant) => "call the provider: the old secret dies with the answer",
        (Step::Issue, Force) => "call the provider: the old secret is ended now",
        (Step::Issue, Set | SetSwitch) => "give the provider the new secret: from then on it signs with that alone",
        (Step::Issue, UntilEnded) => {
            "have the provider make a second endpoint beside the first, with a secret of its own"
        }
        (Step::Issue, _) => "call the provider: from then on it signs with both secrets",
        (Step::Stage, Set | SetSwitch) => "make the new secret, and keep it in `next` of every store",
        (Step::Stage, _) => "keep the new secret in `next` of every store, and read it back",
        (Step::End, _) if matches!(plan.ending, Some(Ending::Call(_))) => {
            "remove the old endpoint with its secret, now that receivers accept the new one"
        }
        (Step::End, _) => "end the old secret at the provider, now that receivers accept the new one",
        (Step::Promote, OverlapEither | UntilEnded) => "make the new secret `current` in every store",
        (Step::Promote, _) => "make the new secret `current`, and the old one `previous`",
        (Step::Deploy, OverlapEither | Set | UntilEnded) => "let the receivers accept either secret",
        (Step::Deploy, Contain) => "let the receivers know the new secret, and it alone",
        (Step::Deploy, OverlapSwitch) => "let the receivers take the new secret in place of the old one",
        (Step::Deploy, _) => "let the receivers take the new secret at once",
        (Step::Verify, UntilEnded) => "see that every receiver accepts the new secret before the old one is ended",
        (Step::Verify, Set) => "see that every receiver accepts the new secret before the provider has it",
        (Step::Verify, _) => "see a delivery verified with the new secret",
        (Step::Wait, UntilEnded) => "wait until no delivery bears the old secret any more",
        (Step::Wait, Contain) => "let the old secret run out at the provider, where it does no harm any more",
        (Step::Wait, _) => "wait until the provider has dropped the old secret",
        (Step::Retire, _) => "remove the old secret from every store",
        (Step::Drop, Contain) => "see that no receiver accepts the old secret any more: the leak is contained",
        (Step::Drop, _) => "see that no receiver accepts the old secret any more",
    }
}

/// What the person does at a step, a line each. Empty for steps that need nobody.
pub fn instructions(rotation: &Rotation, provider: &Provider, stores: &[StoreNames], step: Step) -> Vec<String> {
    let direction = match rotation.plan.told_as() {
        // Once the provider has it, receivers that are asked again switch.
        Direction::Set if rotation.applied => Direction::SetSwitch,
        direction => direction,
    };
    match step {
        Step::Prepare => prepare(rotation, provider, stores),
        Step::Deploy => deploy(direction, rotation, provider, stores),
        Step::Verify if direction == Direction::Set || signs_old(provider) => vec![
            format!(
                "{} signs with the old secret still, so that no delivery shows it: receivers are probed.",
                provider.title()
            ),
            "Where they cannot be, say how you know that they accept the new one.".to_owned(),
        ],
        Step::Verify => verify(rotation, provider),
        Step::Drop => drop_old(direction, rotation, stores),
        Step::Wait => vec![
            format!("{} does not say when the old secret ends.", provider.title()),
            "Say that it has ended only when you know it, from the provider's dashboard or support.".to_owned(),
        ],
        Step::End => end(&rotation.plan),
        Step::Issue => issue(&rotation.plan),
        Step::Check | Step::Stage | Step::Promote | Step::Retire => Vec::new(),
    }
}

/// What a person does who ends the old secret.
fn end(plan: &Plan) -> Vec<String> {
    let how = match &plan.ending {
        Some(Ending::Call(_)) => format!("whsec removes the endpoint {} with its old secret.", plan.own_id()),
        Some(Ending::ByHand { page }) => format!("Open: {page}"),
        None => "Open the provider's page.".to_owned(),
    };
    vec![
        how,
        "From then on receivers need the new secret: whoever knows the old one alone refuses every delivery."
            .to_owned(),
    ]
}

/// What a person does who has the provider make the new secret.
fn issue(plan: &Plan) -> Vec<String> {
    let Issuing::ByHand { page } = &plan.issuing else { return Vec::new() };
    vec![
        format!("Open: {page}"),
        "Copy the new secret and paste it here; it is not shown, and sealed at once.".to_owned(),
    ]
}

/// What the operator has to know before anything is sent.
pub fn warnings(plan: &Plan, provider: &Provider) -> Vec<String> {
    let mut lines = Vec::new();
    let title = provider.title();
    if plan.may_probe && provider.bears_secret() && !plan.receivers.is_empty() {
        lines.push(format!("{title}'s deliveries bear the secret itself, and so do the probes of these receivers"));
    }
    match plan.direction {
        Direction::Instant => {
            lines.push(format!(
                "{title} ends the old secret in the same moment: deliveries that receivers check against it fail from then on"
            ));
            lines.push(
                "receivers must be ready to take the new secret within seconds, or accept either one already"
                    .to_owned(),
            );
            if provider.idempotency().is_none() && !plan.is_by_hand() {
                lines.push(format!(
                    "{title} cannot repeat a lost answer: if it gets lost on the way, the endpoint has to be rotated again"
                ));
            }
        }
        Direction::Force => {
            lines.push(format!("{title} ends the old secret now: receivers that still use it refuse every delivery"));
        }
        Direction::Contain => {
            lines.push(format!(
                "{title} cannot end the old secret early: it signs with it until that ends, and receivers that drop it make \
                 it worthless now"
            ));
            lines.push(format!(
                "what receivers refuse meanwhile: of what {title} signs from the call on, nothing, since each delivery bears \
                 both signatures; a delivery signed before the call and sent again as it was is refused"
            ));
        }
        Direction::Set => {
            lines.push(format!(
                "{title} keeps one secret, and is given the new one only once receivers were seen to accept either"
            ));
            lines.push(
                "deliveries that are on their way then bear the old signature: a receiver that forgets the old secret with its slot \
                 refuses those"
                    .to_owned(),
            );
        }
        Direction::SetSwitch => {
            lines.push(format!(
                "{title} keeps one secret and the receivers one: from the call until they have the new one they refuse every \
                 delivery"
            ));
        }
        Direction::UntilEnded => lines.extend(until_ended(provider)),
        Direction::OverlapEither | Direction::OverlapSwitch => {}
    }
    if plan.forced {
        lines.push(
            "this does not contain a leak: forged deliveries are accepted until every receiver drops the old secret"
                .to_owned(),
        );
    }
    lines
}

/// Whether no delivery bears the new secret before the old one is ended.
fn signs_old(provider: &Provider) -> bool {
    matches!(provider.overlap(), Overlap::UntilEnded { signs: Signs::Old, .. })
}

/// What deliveries bear until the old secret is ended.
fn until_ended(provider: &Provider) -> Option<String> {
    let Overlap::UntilEnded { signs, .. } = provider.overlap() else { return None };
    let title = provider.title();
    match signs {
        Signs::Both => None,
        Signs::Old => Some(format!(
            "{title} signs with the old secret alone until you end it: a receiver that drops it before refuses every delivery"
        )),
        Signs::Apart => Some(
            "every event comes twice until the old endpoint is gone, signed with one secret each: receivers accept either, and \
             have to know an event that they had"
                .to_owned(),
        ),
    }
}

/// How a receiver has to verify while both secrets live, in this provider's format.
pub fn verifier(scheme: Option<&Scheme>, direction: Direction) -> Vec<String> {
    let Some(scheme) = scheme else {
        return vec![
            "How this provider signs is not documented: keep your verifier as it is, and give it the new key."
                .to_owned(),
        ];
    };
    let each = if scheme.signs_with_all() { "Each" } else { "It" };
    let mut lines = vec![format!("Signature header: {}", scheme.sketch())];
    lines.push(match scheme.signed() {
        Some(signed) => {
            let (hash, encoding, key) = (scheme.hash().name(), scheme.encoding().name(), keyed_with(scheme));
            format!("{each} is HMAC-{hash} over `{signed}` in {encoding}, keyed with {key}.")
        }
        None => format!("{each} is the secret itself: whoever sees a delivery has it, and a probe sends it, too."),
    });
    match direction {
        Direction::OverlapEither if scheme.signs_with_all() => lines
            .push("Accept a delivery if ANY entry matches under EITHER secret; compare in constant time.".to_owned()),
        Direction::OverlapSwitch => lines.push(
            "Accept a delivery if ANY entry matches; during the overlap the old and the new secret both do.".to_owned(),
        ),
        Direction::Contain => lines.push(
            "Check against the new secret alone, and accept a delivery if ANY entry matches: until the old one ends, each \
             delivery bears an entry for both."
                .to_owned(),
        ),
        Direction::OverlapEither | Direction::Set | Direction::UntilEnded => {
            lines.push("Accept a delivery if it matches under EITHER secret; compare in constant time.".to_owned());
        }
        Direction::Instant | Direction::Force | Direction::SetSwitch => {
            lines.push("From the call on, deliveries carry the new signature only.".to_owned());
        }
    }
    lines
}

/// What the key is made of.
fn keyed_with(scheme: &Scheme) -> &'static str {
    match scheme.key_decoding() {
        KeyDecoding::Raw => "the whole secret as it is, prefix included",
        KeyDecoding::Base64AfterPrefix => "the base64-decoded part behind `whsec_`",
        KeyDecoding::Base64 => "the base64-decoded secret",
        KeyDecoding::Hex => "the hex-decoded secret",
    }
}

fn prepare(rotation: &Rotation, provider: &Provider, stores: &[StoreNames]) -> Vec<String> {
    if rotation.plan.probe_first {
        let next: Vec<&str> = stores.iter().map(|store| store.next.as_str()).collect();
        return vec![
            format!("A throw-away secret is in {}. Nothing has been sent to the provider.", next.join(" and ")),
            format!(
                "Let the receivers{} read it beside the live one, as they will read the new secret.",
                at(&rotation.plan.receivers)
            ),
            "Then they are probed with both. What was staged is cleared before the call.".to_owned(),
        ];
    }
    let ends = if rotation.plan.is_by_hand() { "The new secret" } else { "The call" };
    let mut lines = vec![format!(
        "{ends} ends the old secret at once. Have the way to the receivers open now{}:",
        at(&rotation.plan.receivers)
    )];
    for store in stores {
        lines.push(format!("the new secret appears in {} and moves to {}", store.next, store.current));
    }
    lines.push(
        "best: receivers accept either of two keys before the call; else: the deploy or reload is one command away"
            .to_owned(),
    );
    lines.extend(verifier(Scheme::of(provider).as_ref(), rotation.plan.direction));
    lines
}

fn deploy(direction: Direction, rotation: &Rotation, provider: &Provider, stores: &[StoreNames]) -> Vec<String> {
    let mut lines = Vec::new();
    for store in stores {
        lines.push(match direction {
            direction if keeps_both(direction) => {
                format!("The new secret is in {}, the old one stays in {}.", store.next, store.current)
            }
            _ if rotation.before.current.is_none() => {
                format!("The new secret is in {}; nothing was live there.", store.current)
            }
            _ => format!("The new secret is in {}; the old one moved to {}.", store.current, store.previous),
        });
    }
    lines.push(match direction {
        direction if keeps_both(direction) => {
            format!("Deploy the receivers{} so that they accept either of the two.", at(&rotation.plan.receivers))
        }
        Direction::Contain => format!(
            "Deploy or reload the receivers{} so that they know it ALONE: nothing reads the old one any more.",
            at(&rotation.plan.receivers)
        ),
        _ => format!("Deploy or reload the receivers{} so that they read it.", at(&rotation.plan.receivers)),
    });
    lines.extend(verifier(Scheme::of(provider).as_ref(), direction));
    lines
}

fn verify(rotation: &Rotation, provider: &Provider) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(test) = &provider.spec().test_delivery {
        lines.push(format!("{} can send a test delivery: {}", provider.title(), test.about));
    }
    lines.push(format!(
        "Look in the log of the receivers{} for a delivery accepted with the new secret.",
        at(&rotation.plan.receivers)
    ));
    lines
}

fn drop_old(direction: Direction, rotation: &Rotation, stores: &[StoreNames]) -> Vec<String> {
    let mut lines = Vec::new();
    if keeps_both(direction) {
        for store in stores {
            lines.push(format!(
                "The new secret is in {} now; {} and {} are gone.",
                store.current, store.next, store.previous
            ));
        }
    }
    lines.push(format!(
        "Deploy the receivers{} once more, so that they know only the new secret.",
        at(&rotation.plan.receivers)
    ));
    lines.push(
        "This is the step that contains a leak: until then, whoever has the old secret can forge deliveries."
            .to_owned(),
    );
    lines
}

/// Whether receivers accept either secret, and the new one waits in `next` until the old one is gone.
fn keeps_both(direction: Direction) -> bool {
    matches!(direction, Direction::OverlapEither | Direction::Set | Direction::UntilEnded)
}

fn at(receivers: &[String]) -> String {
    if receivers.is_empty() { String::new() } else { format!(" at {}", receivers.join(", ")) }
}
