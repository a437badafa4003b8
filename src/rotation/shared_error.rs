//! Why a journal that several machines share cannot be used, and what can be done about it.

use std::path::Path;

use thiserror::Error;

use crate::advice::{Advice, Value, Verb, advice};
use crate::documents::DocumentsError;

/// Why a shared journal cannot be used. `at` is where it is.
#[derive(Debug, Error)]
pub enum SharedError {
    #[error(transparent)]
    Documents(#[from] DocumentsError),
    #[error("`{document}` of the journal `{at}` is not as it was written")]
    Damaged { at: String, document: String },
    #[error("the journal `{at}` was written by a newer whsec (format {found}, this one knows {known})")]
    Newer { at: String, found: u64, known: u64 },
    /// Somebody else holds the endpoint by now, so that nothing more is recorded by this process.
    #[error("another whsec has taken this endpoint over meanwhile ({by})")]
    TakenOver { by: String },
    #[error("others write to `{document}` of the journal `{at}` without a pause")]
    Contended { at: String, document: String },
    #[error("the journal `{at}` cannot be read here: its key does not open with the identity in `{store}`")]
    DoesNotOpen { at: String, store: String, recipients: Vec<String>, own: Option<String> },
    #[error("the journal at `{at}` is not the one that is named: its key is `{found}`")]
    OtherKey { at: String, found: String },
    #[error("`{at}` has documents of a journal, and not the one that says which (journal.json)")]
    Headless { at: String },
    #[error("the journal `{at}` is named without its key, so that whoever writes there could put another in its place")]
    Unnamed { at: String, key: String },
    #[error("the journal `{at}` has moved to `{to}`")]
    Moved { at: String, to: String },
    #[error(
        "not all that is known of this endpoint is in the journal `{at}` yet: its move from `{from}` was cut off, or is under way"
    )]
    Arriving { at: String, from: String },
    #[error("the key of the journal `{at}` cannot be encrypted")]
    Encrypt { at: String },
}

impl SharedError {
    /// What the operator can do about it.
    pub fn hint(&self) -> Option<Advice> {
        Some(match self {
            Self::Documents(error) => return error.hint(),
            Self::Damaged { .. } => {
                "nothing was sent; find out who writes there, and bring the document back from a backup of the database".into()
            }
            Self::Newer { .. } => "install the newer whsec on this machine".into(),
            Self::TakenOver { .. } => taken_over_hint(None),
            Self::Contended { .. } => "run it again".into(),
            Self::DoesNotOpen { at, recipients, own, .. } => {
                let own = own.as_deref().unwrap_or("this machine's recipient");
                advice![
                    format!(
                        "name the team's identity, `[seal] identity = \"STORE\"`; or let somebody who is among its recipients ({}) \
                         add {own} to `[seal] recipients` and run ",
                        recipients.join(", ")
                    ),
                    Verb::JournalInit.on([Value::Given(at.clone())])
                ]
            }
            Self::OtherKey { .. } => {
                "nothing was read of it: find out who put it there; the fingerprint behind `#` is of the journal that was made".into()
            }
            Self::Headless { .. } => {
                "nothing was written: bring that document back from a backup of the database; rotations may be open in it".into()
            }
            Self::Unnamed { at, key } => {
                format!("compare it with what `journal init` printed, then name it whole: {at}#{key}").into()
            }
            Self::Moved { to, .. } if !to.contains("://") => "go on there: what is open is known nowhere else".into(),
            Self::Moved { to, .. } => {
                format!("name that one: `[journal] at = \"{to}\"` in the config, or WHSEC_JOURNAL").into()
            }
            Self::Arriving { at, .. } => advice![
                "nothing was sent; where it was begun, ",
                Verb::JournalMove.alone().with("to", at),
                " does the rest"
            ],
            Self::Encrypt { .. } => "see `[seal] recipients`".into(),
        })
    }
}

/// What can be done where somebody else goes on with a rotation; `sealed` is where its seal is, if it has one.
pub(super) fn taken_over_hint(sealed: Option<&Path>) -> Advice {
    let sealed = sealed.map(|place| format!("what came is sealed in {}; ", place.display())).unwrap_or_default();
    advice![sealed, Verb::Status.alone(), " shows where it stands, ", Verb::Cutover.here(), " goes on with it"]
}
