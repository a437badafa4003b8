//! The journal that goes with a context's config: the state folder's own, or one that several machines share.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::rc::Rc;

use sha2::{Digest, Sha256};

use super::context::{Context, once};
use super::error::{Error, Kind, Stop, of_asking};
use crate::documents::{self, Access, Bucket, Documents, Location, Login, Place, Versions};
use crate::rotation::Rotation;
use crate::rotation::journal::{Journal, JournalError};
use crate::rotation::seal::Seals;
use crate::rotation::shared::Shared;
use crate::rotation::shared_error::SharedError;
use crate::store::envelope::Envelope;
use crate::store::{AwsAccess, Surroundings, aws_access};
use crate::system::private;
use crate::system::text::hex;

/// Names a shared journal in place of the config.
pub const VARIABLE: &str = "WHSEC_JOURNAL";
/// The state folder's own, as the variable names it.
const LOCAL: &str = "local";

/// A way to open a shared journal.
pub(super) type OpenShared = fn(Documents, Option<&str>, &Envelope, &str) -> Result<Shared, SharedError>;

/// The file of a state folder that says which shared journal its rotations are in.
const NOTE: &str = "journal-at";

impl Context {
    /// Where the shared journal is, if there is one. Fails where nothing names the one that was used here last: another one knows
    /// nothing of what is open in it.
    pub fn location(&self) -> Result<Option<Location>, Error> {
        if let Some(text) = self.variable(VARIABLE).filter(|text| !text.is_empty()) {
            return if text == LOCAL { Ok(None) } else { named(&text).map(Some) };
        }
        let named = match self.config() {
            Ok(config) => config.journal.clone(),
            Err(error) if self.may_name_a_journal() => return Err(error),
            Err(_) => None,
        };
        match self.noted().filter(|_| named.is_none()) {
            None => Ok(named),
            Some((at, file)) => {
                let message =
                    format!("rotations of this state folder are in the journal `{at}`, which nothing names now");
                let hint = format!(
                    "name it again, in `[journal] at` or {VARIABLE}; where that one is over, remove `{}`; {VARIABLE}={LOCAL} uses this \
                     folder's own",
                    file.display()
                );
                Err(Stop::new(Kind::Conflict, message, hint))
            }
        }
    }

    /// The journal that several machines share, if there is one. It has to be named with its key.
    pub fn shared_journal(&self) -> Result<Option<Rc<Shared>>, Error> {
        let open = || {
            let Some(shared) = self.shared_journal_to_show()? else { return Ok(None) };
            if self.location()?.is_none_or(|location| location.key().is_none()) {
                let (at, key) = (shared.place().to_owned(), shared.fingerprint());
                return Err(JournalError::Shared(SharedError::Unnamed { at, key }).into());
            }
            self.note(&shared);
            let left: Vec<String> =
                self.left_behind().into_iter().flatten().map(|open| open.plan.target.clone()).collect();
            if !left.is_empty() {
                let (left, own) = (left.join(", "), format!("{VARIABLE}={LOCAL}"));
                self.warn(format!(
                    "open in this state folder's own journal, which is not looked at now: {left}; {own} goes on there"
                ));
            }
            Ok(Some(Rc::new(shared)))
        };
        once(self.shared(), open).cloned()
    }

    /// The same however it is named, to be shown and proved: nothing may be sealed for those whom it names.
    pub fn shared_journal_to_show(&self) -> Result<Option<Shared>, Error> {
        self.location()?.map(|location| self.open_at(&location)).transpose()
    }

    /// The one at this place.
    pub(super) fn open_at(&self, location: &Location) -> Result<Shared, Error> {
        self.open_by(location, Shared::open)
    }

    /// The same by one of the ways to open one.
    pub(super) fn open_by(&self, location: &Location, open: OpenShared) -> Result<Shared, Error> {
        // Whose identity opens it is in the config, and another one would say that it cannot be opened.
        self.config()?;
        let own = self.keeper()?.seals(false)?;
        let documents = self.documents(location)?;
        let shared = open(documents, location.key(), &own.envelope()?, &own.identity_place());
        Ok(shared.map_err(JournalError::from)?)
    }

    /// The shared journal that this state folder's rotations were in last, and the file that says so.
    fn noted(&self) -> Option<(String, PathBuf)> {
        let file = self.folders().state_dir().ok()?.join(NOTE);
        Some((std::fs::read_to_string(&file).ok()?.trim().to_owned(), file))
    }

    /// No shared journal is this state folder's any more.
    pub(super) fn forget_note(&self) -> Result<(), Error> {
        match std::fs::remove_file(self.state_dir()?.join(NOTE)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let message = format!("cannot remove `{NOTE}` from the state folder: {error}");
                Err(Stop::new(Kind::Failed, message, "remove it by hand, then run it again"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn note(&self, shared: &Shared) {
        let at = format!("{}#{}", shared.place(), shared.fingerprint());
        if self.noted().is_none_or(|(noted, _)| noted != at)
            && let Ok(state) = self.state_dir()
        {
            // On a read-only disk nothing is begun either.
            let _ = private::write(&state.join(NOTE), format!("{at}\n").as_bytes());
        }
    }

    /// What is open in this state folder's own journal, where another one is named.
    fn left_behind(&self) -> Result<Vec<Rotation>, Error> {
        match self.folders().state_dir() {
            Ok(state) if state.join("journal.sqlite").exists() && Journal::moved_to(state)?.is_none() => {
                Ok(Journal::open_to_look(state)?.open_rotations()?)
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Refuses to begin a rotation of an endpoint of which one is open in this state folder's own journal, where another is named.
    pub fn refuse_left_behind(&self, endpoint: &str) -> Result<(), Error> {
        let Some(_) = self.shared_journal()? else { return Ok(()) };
        let Some(open) = self.left_behind()?.into_iter().find(|open| open.plan.endpoint_key == endpoint) else {
            return Ok(());
        };
        let message = format!(
            "nothing was sent: a rotation of `{}` is open in this state folder's own journal",
            open.plan.target
        );
        Err(Stop::new(Kind::Conflict, message, format!("bring it to its end there first, with {VARIABLE}={LOCAL}")))
    }

    /// Makes a shared journal, or names those of `[seal] recipients` who are new to it.
    pub fn make_shared_journal(&self, location: &Location) -> Result<Shared, Error> {
        let own = self.keeper()?.seals(true)?;
        self.documents(location)?.prepare().map_err(JournalError::from)?;
        self.prove(location)?;
        let documents = self.documents(location)?;
        let made = Shared::make(documents, location.key(), &own.envelope()?, &own.identity_place());
        Ok(made.map_err(JournalError::from)?)
    }

    /// The journal, to go on with what is in it.
    pub fn journal(&self) -> Result<Journal, Error> {
        match self.shared_journal()? {
            Some(shared) => Ok(Journal::Shared(shared)),
            None => Ok(Journal::open(self.state_dir()?)?),
        }
    }

    /// The same to be looked at: on a read-only disk it takes no events.
    pub fn journal_to_look(&self) -> Result<Journal, Error> {
        match self.shared_journal()? {
            Some(shared) => Ok(Journal::Shared(shared)),
            None => Ok(Journal::open_to_look(self.state_dir()?)?),
        }
    }

    /// The seals that go with the journal.
    pub fn seals(&self) -> Result<Seals, Error> {
        let seals = self.keeper()?.seals(false)?;
        match self.shared_journal()? {
            Some(shared) => Ok(seals.in_journal(shared)?),
            None => Ok(seals),
        }
    }

    /// The documents at a location, with what lets in from the environment.
    pub fn documents(&self, location: &Location) -> Result<Documents, Error> {
        let documents = Documents::at(location, self.login(location)?).map_err(JournalError::from)?;
        let Place::Objects(bucket) = location.place().clone() else { return Ok(documents) };
        let (at, surroundings) = (location.to_string(), self.surroundings("")?);
        let documents = match self.folders().state_dir() {
            Ok(state) => documents.seen_in(state.join(format!("seen-{}.json", digest(&at)))),
            Err(_) => documents,
        };
        Ok(documents.renewed_by(move || access(&at, &bucket, &surroundings).ok()))
    }

    /// What speaks against keeping a journal at a place, though it works.
    pub fn doubts(&self, location: &Location) -> Result<Vec<String>, Error> {
        Ok(self.documents(location)?.doubts().map_err(JournalError::from)?)
    }

    /// Whether a place keeps what is overwritten, where that can be asked.
    pub fn versions(&self, location: &Location) -> Result<Option<Versions>, Error> {
        Ok(self.documents(location)?.versions())
    }

    /// Proves that a place can hold a journal. Yields what speaks against it though it works.
    pub fn prove(&self, location: &Location) -> Result<Vec<String>, Error> {
        let login = self.login(location)?;
        let open = || Documents::at(location, login.clone());
        let proved = || documents::prove(&open).and_then(|()| open()?.doubts());
        Ok(proved().map_err(JournalError::from)?)
    }

    fn login(&self, location: &Location) -> Result<Login, Error> {
        match location.place() {
            Place::Postgres(server) => {
                let text = |name: &str| self.variable(name).and_then(|value| value.into_string().ok());
                let login = server.login(&text, self.folders().home.as_deref()).map_err(JournalError::from)?;
                Ok(Login::Postgres(login))
            }
            Place::Objects(bucket) => Ok(access(&location.to_string(), bucket, &self.surroundings("")?)?),
        }
    }

    fn may_name_a_journal(&self) -> bool {
        self.config_files().map_or(true, |files| files.iter().any(|file| file.text.contains("journal")))
    }
}

/// Who asks at an object store.
fn access(at: &str, bucket: &Bucket, surroundings: &Surroundings) -> Result<Login, Error> {
    let found = aws_access(at, bucket.region.as_deref(), bucket.endpoint.as_deref(), surroundings);
    let found = found.map_err(|error| {
        Stop::new(of_asking(&error), format!("the journal {error}"), error.hint().unwrap_or_default())
    })?;
    let AwsAccess { region, endpoint, access_key, secret_key, session_token, ca } = found;
    Ok(Login::Objects(Access { region, endpoint, access_key, secret_key, session_token, ca }))
}

/// A place's name as a part of a file's.
fn digest(at: &str) -> String {
    hex(&Sha256::digest(at.as_bytes())[..8])
}

fn named(text: &OsStr) -> Result<Location, Error> {
    text.to_string_lossy().parse().map_err(|error| {
        let message = format!("{VARIABLE} {error}");
        Stop::new(
            Kind::Usage,
            message,
            "it takes what `[journal] at` does: postgres://HOST/DATABASE or s3://BUCKET/PREFIX",
        )
    })
}
