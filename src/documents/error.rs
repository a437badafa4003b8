//! Why documents cannot be had or written.

use thiserror::Error;

use crate::advice::{Advice, Value, Verb, advice};

/// Why documents cannot be had or written. `at` is where they are.
#[derive(Clone, Debug, Error)]
pub enum DocumentsError {
    #[error("cannot reach `{at}`: {why}")]
    Unreachable { at: String, why: String },
    #[error("`{at}` refuses: {why}")]
    Refused { at: String, why: String, hint: &'static str },
    /// Who asks was let in before.
    #[error("the credentials for `{at}` have expired")]
    Expired { at: String },
    #[error("`{at}` cannot hold a journal: {why}")]
    Unfit { at: String, why: String },
    /// Nobody has made the place ready.
    #[error("there is no journal at `{at}`")]
    Missing { at: String },
    #[error("`{name}` would be larger than a document may be")]
    TooLarge { name: String },
    #[error("cannot use `{what}`: {why}")]
    Login { what: String, why: String },
}

impl DocumentsError {
    /// What the operator can do about it.
    pub fn hint(&self) -> Option<Advice> {
        Some(match self {
            Self::Unreachable { .. } => {
                "see whether the server runs and this machine may reach it; nothing is begun without its journal".into()
            }
            Self::Refused { hint, .. } => (*hint).into(),
            Self::Expired { .. } => "log in again, as by `aws sso login`, then run it again".into(),
            Self::Unfit { .. } => {
                "after a failover wait for the server that takes writes; of object stores it has to be one with conditional writes. Another \
                 journal would know of no rotation that is open in this one"
                    .into()
            }
            Self::Missing { at } => advice![
                "make one: ",
                Verb::JournalInit.on([Value::Given(at.clone())])
            ],
            Self::TooLarge { .. } | Self::Login { .. } => return None,
        })
    }

    /// Whether the same may work a moment later.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}
