//! `whsec store copy`: puts what one store has in a slot into another store, without showing it.

use clap::ValueEnum;
use serde_json::json;

use super::super::exit::{Exit, Fault};
use super::super::result;
use super::super::session::Session;
use crate::advice::{Verb, advice};
use crate::store::{Access, Slot, Store, StoreError, slots};

pub(super) const NAME: &str = "store copy";

/// Copy a secret from one store to another, without showing it
///
/// The other store is proved first, and the secret is read back from it. A slot that holds another secret is left alone
/// without --replace.
///
/// Examples:
///   whsec store copy dotenv:.env#HOOK_SECRET vault:secret/hooks#key
///   whsec store copy keychain:payments aws-sm:prod/hooks --slot next
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Name the store that has the secret
    #[arg(value_hint = clap::ValueHint::Other)]
    from: String,
    /// Name the store that shall have it
    #[arg(value_hint = clap::ValueHint::Other)]
    to: String,
    /// Copy this slot
    #[arg(long, value_enum, default_value = "current")]
    slot: Which,
    /// Put it in place of another secret
    #[arg(long)]
    replace: bool,
}

/// The slots that can be copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Which {
    Current,
    Next,
    Previous,
}

impl Which {
    fn slot(self) -> Slot {
        match self {
            Self::Current => Slot::Current,
            Self::Next => Slot::Next,
            Self::Previous => Slot::Previous,
        }
    }
}

/// Reads, looks what is there, proves, writes, reads back.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let (from, to) = (super::open(session, &args.from)?, super::open(session, &args.to)?);
    let slot = args.slot.slot();
    if to.access() == Access::Once {
        let hint = advice![Verb::Reveal.here().flag("unsafe-stdout"), " writes a secret to a pipe"];
        return Err(Fault::new(Exit::Usage, format!("`{}` keeps nothing", to.reference()), hint));
    }
    let Some(secret) = from.get(slot)? else {
        let message = format!("`{}` has nothing in `{}`", from.reference(), from.slot_name(slot));
        return Err(Fault::new(Exit::NotFound, message, "`--slot` names another slot: current, next or previous"));
    };
    let there = if to.access() == Access::ReadWrite { to.get(slot)? } else { None };
    let is_same = there.as_ref() == Some(&secret);
    let replaced = there.filter(|_| !is_same).map(|there| there.fingerprint());
    if let Some(other) = replaced.as_ref().filter(|_| !args.replace) {
        let message = format!("`{}` holds another secret in `{}` ({other})", to.reference(), to.slot_name(slot));
        return Err(Fault::new(
            Exit::Conflict,
            message,
            "it may be the only copy; --replace puts this one in its place",
        ));
    }
    if !is_same {
        slots::prove(to.as_ref(), &slots::canary(secret.len().max(slots::USUAL_SECRET_LENGTH)))?;
        to.apply(&[(slot, Some(&secret))])?;
        read_back(to.as_ref(), slot, &secret)?;
    }
    let fingerprint = secret.fingerprint();
    let word = match (is_same, to.access()) {
        (true, _) => "is there already",
        (false, Access::WriteOnly) => "is written; it cannot be read back",
        (false, _) => "is there and read back",
    };
    session.output.data(&format!("{fingerprint} {word}: {} in {}", to.slot_name(slot), to.reference()));
    let fields = json!({
        "from": from.reference(), "to": to.reference(), "slot": slot, "fingerprint": fingerprint,
        "state": if is_same { "same" } else { "copied" }, "replaced": replaced,
    });
    session.output.json(&result::object(NAME, Exit::Done, fields));
    Ok(Exit::Done)
}

fn read_back(store: &dyn Store, slot: Slot, secret: &crate::secret::Secret) -> Result<(), StoreError> {
    if store.access() == Access::ReadWrite && store.get(slot)?.as_ref() != Some(secret) {
        return Err(StoreError::NotReadBack { store: store.reference(), slot: store.slot_name(slot) });
    }
    Ok(())
}
