//! Why a seal could not be made or opened, and what can be done about it.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::shared_error::SharedError;
use super::state_key::StateKeyError;
use crate::advice::{Advice, Verb, advice};
use crate::secret::Fingerprint;
use crate::store::StoreError;
use crate::system::FileError;

/// A seal could not be made or opened.
#[derive(Debug, Error)]
pub enum SealError {
    #[error("`{text}` is not an age recipient (`age1…`)")]
    BadRecipient { text: String },
    #[error("the seal's identity in `{store}` is missing or not an age identity")]
    NoIdentity { store: String },
    #[error("cannot keep the seal's identity")]
    Identity(#[source] StoreError),
    #[error("cannot write the seal `{path}`")]
    Write {
        path: PathBuf,
        #[source]
        source: FileError,
    },
    #[error("cannot read the seal `{path}`")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the seal `{path}` does not open with the identity in `{store}`")]
    DoesNotOpen { path: PathBuf, store: String },
    #[error("the seal `{path}` was not made here for this rotation")]
    NotOurs { path: PathBuf },
    #[error("the seal `{path}` holds {holds}, and the journal says {says}")]
    OtherSecret { path: PathBuf, holds: Fingerprint, says: Fingerprint },
    #[error(transparent)]
    Key(#[from] StateKeyError),
    #[error("cannot lock `{path}`")]
    Lock {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Shared(#[from] SharedError),
    #[error("encryption failed")]
    Encrypt,
}

impl SealError {
    /// What the operator can do about it.
    pub fn hint(&self) -> Option<Advice> {
        match self {
            Self::BadRecipient { .. } => {
                Some("`[seal] recipients` takes what `age-keygen` prints as the public key".into())
            }
            Self::NoIdentity { .. } | Self::DoesNotOpen { .. } => {
                Some(advice!["was the identity moved or replaced? ", Verb::Doctor.alone(), " shows where it should be"])
            }
            Self::NotOurs { .. } | Self::OtherSecret { .. } => Some(
                "nothing in it is used: keep a copy, find out who writes in the state folder, and move it away; if the folder \
                 was moved here, its `state-key` belongs to it"
                    .into(),
            ),
            Self::Key(error) => error.hint(),
            Self::Shared(error) => error.hint(),
            Self::Identity(error) => error.hint(),
            Self::Write { source, .. } => source.hint().map(Advice::from),
            Self::Read { .. } | Self::Lock { .. } | Self::Encrypt => None,
        }
    }
}
