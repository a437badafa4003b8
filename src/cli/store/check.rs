//! `whsec store check`: proves stores as the step `check` of a rotation does.

use serde_json::{Value, json};

use super::super::exit::{self, Exit};
use super::super::result;
use super::super::session::Session;
use crate::operation::store;
use crate::store::Access;

pub(super) const NAME: &str = "store check";

/// Prove that stores can keep a secret
///
/// Each gets a made-up value, which is read back and removed again, beside what is live; nothing else is touched. Exits
/// with 6 if one of them failed.
///
/// Examples:
///   whsec store check vault:secret/hooks#key dotenv:.env#HOOK_SECRET
///   whsec store check k8s:payments/hooks#key --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Name the stores
    #[arg(required = true, value_name = "REF", value_hint = clap::ValueHint::Other)]
    stores: Vec<String>,
}

/// Opens all of them first, so that a reference that is none is found before anything is written.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let context = session.context()?;
    let stores = args.stores.iter().map(|text| store::open(context, text)).collect::<Result<Vec<_>, _>>()?;
    let mut rows = Vec::new();
    let mut first = None;
    for store in &stores {
        let reference = store.reference();
        if let Some(caution) = store.caution() {
            session.output.warn(&caution);
        }
        match store::prove(store.as_ref()) {
            Ok(server) => {
                let at = server.as_ref().map(|server| format!(" at {server}")).unwrap_or_default();
                session.output.data(&format!("ok    {reference}{at}: {}", words(store.access())));
                rows.push(
                    json!({ "store": reference, "server": server, "access": word(store.access()), "state": "proved" }),
                );
            }
            Err(error) => {
                let fault = session.fault_of(&error, None);
                session.output.data(&format!("BAD   {}", fault.message));
                if let Some(hint) = &fault.hint {
                    session.output.data(&format!("      -> {hint}"));
                }
                let error = exit::error_object(&fault);
                rows.push(json!({
                    "store": reference, "server": null, "access": word(store.access()), "state": "failed", "error": error,
                }));
                first.get_or_insert(error);
            }
        }
    }
    let exit = if first.is_some() { Exit::Store } else { Exit::Done };
    let fields = json!({ "stores": rows, "error": first.unwrap_or(Value::Null) });
    session.output.json(&result::object(NAME, exit, fields));
    Ok(exit)
}

fn words(access: Access) -> &'static str {
    match access {
        Access::ReadWrite => "takes a value, returns it and gives it up",
        Access::WriteOnly => "takes a value; cannot be read back",
        Access::Once => "passes a value on and keeps none",
    }
}

fn word(access: Access) -> &'static str {
    match access {
        Access::ReadWrite => "read-write",
        Access::WriteOnly => "write-only",
        Access::Once => "once",
    }
}
