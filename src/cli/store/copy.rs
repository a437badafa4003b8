//! `whsec store copy`: puts what one store has in a slot into another store, without showing it.

use clap::ValueEnum;
use serde_json::json;

use super::super::exit::Exit;
use super::super::result;
use super::super::session::Session;
use crate::operation::store;
use crate::store::Slot;

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
    let slot = args.slot.slot();
    let copied = store::copy(session.context()?, &args.from, &args.to, slot, args.replace)?;
    let word = match (copied.is_same, copied.is_read_back) {
        (true, _) => "is there already",
        (false, false) => "is written; it cannot be read back",
        (false, true) => "is there and read back",
    };
    session.output.data(&format!("{} {word}: {} in {}", copied.fingerprint, copied.slot_name, copied.to));
    let fields = json!({
        "from": copied.from, "to": copied.to, "slot": slot, "fingerprint": copied.fingerprint,
        "state": if copied.is_same { "same" } else { "copied" }, "replaced": copied.replaced,
    });
    session.output.json(&result::object(NAME, Exit::Done, fields));
    Ok(Exit::Done)
}
