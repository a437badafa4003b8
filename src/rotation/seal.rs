//! The encrypted copy of a new secret, kept from the moment it arrives until every store has it.
//!
//! age files, one a rotation, in `seals/` of the state folder. Sealing needs only recipients, which are public; the
//! identity that opens a seal lives in the keychain or in a 0600 file, and is made once. Since anybody can encrypt for a
//! recipient, what is inside is stamped with the state folder's key and bound to its rotation.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::str::FromStr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use age::secrecy::ExposeSecret;
use age::x25519::{Identity, Recipient};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::Answered;
use super::copies::{Copied, Copies, path_in};
pub use super::seal_error::SealError;
use super::shared::Shared;
use super::state_key::StateKey;
use crate::secret::{Fingerprint, Secret};
use crate::store::envelope::{self, Envelope};
use crate::store::{Slot, Store, StoreError};
use crate::system::replace::Place;
use crate::system::{FileError, private};

/// The most that is sealed of unreadable answers, in bytes; half as much again as is read of one.
const MOST_ANSWERS: usize = crate::http::LARGEST_BODY * 3 / 2;

/// What a seal's stamp is for.
const STAMPED: &str = "seal";

/// How long to wait before a lock is tried again.
const PAUSE: Duration = Duration::from_millis(10);

/// How long to wait for others who make an identity.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where seals are, and whom they are for.
pub struct Seals {
    folder: PathBuf,
    recipients: Vec<Recipient>,
    identity: Box<dyn Store>,
    key: StateKey,
    pub(super) copies: Copies,
}

/// What a seal holds.
#[derive(Serialize, Deserialize)]
pub struct Sealed {
    /// The facts of the answer; absent where it could not be read.
    pub answered: Option<Answered>,
    /// The new secret.
    #[serde(default)]
    secret: Zeroizing<String>,
    /// The whole answer where no secret could be read from it, in base64: byte for byte, and never much larger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer: Option<Zeroizing<String>>,
}

impl Sealed {
    /// A seal of a secret with the facts that came with it; none of a canary.
    pub fn new(answered: Option<Answered>, secret: &str) -> Self {
        Self { answered, secret: Zeroizing::new(secret.to_owned()), answer: None }
    }

    /// A seal of a whole answer, after one that was sealed before. Where both are more than [`MOST_ANSWERS`], the earlier
    /// one stays alone.
    pub fn of_answers(earlier: Option<Zeroizing<Vec<u8>>>, answer: &[u8]) -> Self {
        let mut whole = earlier.unwrap_or_default();
        if whole.is_empty() {
            whole.extend_from_slice(answer);
        } else if whole.len() + answer.len() < MOST_ANSWERS && !whole.ends_with(answer) {
            whole.push(b'\n');
            whole.extend_from_slice(answer);
        }
        let secret = Zeroizing::default();
        Self { answered: None, secret, answer: Some(Zeroizing::new(STANDARD.encode(&*whole))) }
    }

    /// The whole answer, where that is what is inside.
    pub fn answer(&self) -> Option<Zeroizing<Vec<u8>>> {
        STANDARD.decode(self.answer.as_ref()?.as_bytes()).ok().map(Zeroizing::new)
    }

    /// The value inside; a whole answer as text.
    pub fn secret(&self) -> Secret {
        match self.answer() {
            Some(answer) => Secret::new(String::from_utf8_lossy(&answer)),
            None => Secret::new(self.secret.as_str()),
        }
    }
}

/// Where the identity may be kept.
pub struct Places {
    pub first: Box<dyn Store>,
    /// Where it is made if the first cannot keep it.
    pub otherwise: Option<Box<dyn Store>>,
}

impl Seals {
    /// Seals in the state folder, for the team's recipients and this machine's own identity. It is in the first of `places`, or
    /// is made and kept the first time in the first of them that can keep it. They are asked for when no other process chooses:
    /// which they are may depend on what others have made by then.
    pub fn open(
        state: &Path,
        team: &[String],
        places: &dyn Fn() -> Result<Places, StoreError>,
    ) -> Result<Self, SealError> {
        let note = state.join("seal-recipient");
        let mut recipients = parsed(team)?;
        let noted = || std::fs::read_to_string(&note).ok().and_then(|text| Recipient::from_str(text.trim()).ok());
        // An identity is kept before it is noted, so that where it is noted its place is settled.
        let places = || places().map_err(SealError::Identity);
        let settled = || match noted() {
            Some(own) => Ok::<_, SealError>(Some((own, places()?.first))),
            None => Ok(None),
        };
        let (own, identity) = match settled()? {
            Some(found) => found,
            None => {
                // Of two identities made at once only one would be kept, and seals for the other would never open.
                let _alone = alone(state)?;
                match settled()? {
                    Some(found) => found,
                    None => {
                        let Places { first, otherwise } = places()?;
                        let (own, place) = match (own_recipient(first.as_ref()), otherwise) {
                            (Ok(own), _) => (own, first),
                            (Err(_), Some(other)) => (own_recipient(other.as_ref())?, other),
                            (Err(error), None) => return Err(error),
                        };
                        write(&note, own.to_string().as_bytes())?;
                        (own, place)
                    }
                }
            }
        };
        recipients.push(own);
        let key = StateKey::open(state)?;
        Ok(Self { copies: Copies::in_folder(folder(state)), folder: folder(state), recipients, identity, key })
    }

    /// Seals whose identity is a team's, in a store that several machines have. Nothing of it is noted on this machine; it is made
    /// only where `may_make` says so, because two machines that made one each would lock each other out.
    pub fn of_team(state: &Path, team: &[String], identity: Box<dyn Store>, may_make: bool) -> Result<Self, SealError> {
        let is_there = identity.get(Slot::Current).map_err(SealError::Identity)?.is_some();
        if !is_there && !may_make {
            return Err(SealError::NoIdentity { store: identity.reference() });
        }
        let own = own_recipient(identity.as_ref())?;
        let mut recipients = parsed(team)?;
        recipients.push(own);
        let key = StateKey::open(state)?;
        Ok(Self { copies: Copies::in_folder(folder(state)), folder: folder(state), recipients, identity, key })
    }

    /// Where the identity is kept, as a store reference.
    pub fn identity_place(&self) -> String {
        self.identity.reference()
    }

    /// The same seals, kept where several machines share a journal: for its recipients as well, and vouched for by its key.
    pub fn in_journal(mut self, journal: Rc<Shared>) -> Result<Self, SealError> {
        for text in journal.recipients() {
            let recipient = Recipient::from_str(text).map_err(|_| SealError::BadRecipient { text: text.clone() })?;
            if !self.recipients.iter().any(|known| known.to_string() == *text) {
                self.recipients.insert(0, recipient);
            }
        }
        self.key.stamps = journal.stamps.clone();
        self.copies.journal = Some(journal);
        Ok(self)
    }

    /// Everybody whom a seal is for, this machine's own recipient last.
    pub fn recipients(&self) -> Vec<String> {
        self.recipients.iter().map(ToString::to_string).collect()
    }

    /// Where one rotation's seal is: a file, or words where it is not on this machine.
    pub fn path(&self, rotation: Uuid) -> PathBuf {
        self.copies.place(rotation)
    }

    /// Whether a rotation's seal is there. Where that cannot be told it may be.
    pub fn exists(&self, rotation: Uuid) -> bool {
        self.copies.are_there(rotation)
    }

    /// Whether a rotation's seal is there and need not be made once more. In a shared journal anybody may have put something there.
    pub fn keeps(&self, rotation: Uuid) -> bool {
        match self.copies.journal {
            Some(_) => self.unseal(rotation).is_ok(),
            None => self.exists(rotation),
        }
    }

    /// Puts a seal that only this machine has where others find it, if the journal is shared by several.
    pub fn share(&self, rotation: Uuid) -> Result<(), SealError> {
        self.copies.share(rotation)
    }

    /// Proves that a seal can be written and opened: a canary goes the same way beside where it would be, and is removed.
    pub fn prove(&self, canary: &Secret) -> Result<(), SealError> {
        let id = Uuid::nil();
        let path = path_in(&self.folder, id);
        let cipher = self.cipher(id, &Sealed::new(None, canary.expose()))?;
        let mut opened = Err(SealError::DoesNotOpen { path: path.clone(), store: self.identity_place() });
        let proved = Place::new(path.clone()).prove(
            |_| Ok::<_, FileError>(Zeroizing::new(cipher)),
            |found| {
                opened = self.opened(id, found);
                Ok(true)
            },
        );
        proved.map_err(|source| SealError::Write { path: path.clone(), source })?;
        // A run that was cut off while it sealed, and whose secret no later run could have, left a file behind.
        let tidied = private::tidy(&self.folder);
        tidied.map_err(|source| SealError::Write { path: self.folder.clone(), source })?;
        match opened {
            Ok(opened) if opened.secret() == *canary => Ok(()),
            // The team can open what this machine cannot.
            _ if self.recipients.len() > 1 => Ok(()),
            Ok(_) => Err(SealError::DoesNotOpen { path, store: self.identity_place() }),
            Err(error) => Err(error),
        }
    }

    /// Writes the seal durably. The secret is kept only encrypted.
    pub fn seal(&self, rotation: Uuid, content: &Sealed) -> Result<(), SealError> {
        self.copies.write(rotation, &self.cipher(rotation, content)?)
    }

    /// The seal's bytes, in a folder that is there.
    pub(super) fn cipher(&self, rotation: Uuid, content: &Sealed) -> Result<Vec<u8>, SealError> {
        private::folder(&self.folder).map_err(|source| SealError::Read { path: self.folder.clone(), source })?;
        let json = Zeroizing::new(serde_json::to_string(content).map_err(|_| SealError::Encrypt)?);
        let stamp = self.key.stamps.stamp(STAMPED, &[rotation.as_bytes(), json.as_bytes()]);
        let plain = Zeroizing::new([json.as_bytes(), b"\n", stamp.as_bytes()].concat());
        envelope::encrypt(&self.recipients, &plain).ok_or(SealError::Encrypt)
    }

    /// Opens a rotation's seal with this machine's identity. Refuses one that was not made here for this rotation. Of several
    /// copies the newest one that opens counts.
    pub fn unseal(&self, rotation: Uuid) -> Result<Sealed, SealError> {
        let mut refused = None;
        for copy in self.copies.of(rotation)? {
            match self.opened(rotation, &copy.cipher) {
                Ok(sealed) => return Ok(sealed),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        let (path, source) = (self.path(rotation), io::ErrorKind::NotFound.into());
        Err(refused.unwrap_or(SealError::Read { path, source }))
    }

    pub(super) fn opened(&self, rotation: Uuid, cipher: &[u8]) -> Result<Sealed, SealError> {
        let path = self.path(rotation);
        let identity = self.identity()?;
        let plain = envelope::decrypt(&identity, cipher);
        let store = self.identity.reference();
        let plain = plain.ok_or_else(|| SealError::DoesNotOpen { path: path.clone(), store: store.clone() })?;
        let json = self.stamped(rotation, &plain).ok_or_else(|| SealError::NotOurs { path: path.clone() })?;
        serde_json::from_slice(json).map_err(|_| SealError::DoesNotOpen { path, store })
    }

    /// The secret in a rotation's seal, provided that it is the one that the journal has of it.
    pub fn secret_of(&self, rotation: Uuid, says: Option<&Fingerprint>) -> Result<Secret, SealError> {
        let newest = self.unseal(rotation)?.secret();
        let Some(says) = says.filter(|says| **says != newest.fingerprint()) else { return Ok(newest) };
        // A machine that came too late may have sealed another one after that.
        for copy in self.copies.of(rotation)? {
            let found = self.opened(rotation, &copy.cipher).map(|sealed| sealed.secret());
            if let Some(found) = found.ok().filter(|found| found.fingerprint() == *says) {
                return Ok(found);
            }
        }
        Err(SealError::OtherSecret { path: self.path(rotation), holds: newest.fingerprint(), says: says.clone() })
    }

    /// What is in a seal without its stamp, which is on a line of its own; one of version 0.1.0 has none.
    fn stamped<'a>(&self, rotation: Uuid, plain: &'a [u8]) -> Option<&'a [u8]> {
        let Some(end) = plain.iter().position(|byte| *byte == b'\n') else {
            return self.key.takes_seal(rotation).then_some(plain);
        };
        let (json, stamp) = (&plain[..end], std::str::from_utf8(&plain[end + 1..]).ok()?);
        self.key.stamps.vouches(STAMPED, &[rotation.as_bytes(), json], stamp).then_some(json)
    }

    /// What else is encrypted as seals are: for the same recipients, and opened with the same identity.
    pub fn envelope(&self) -> Result<Envelope, SealError> {
        Ok(Envelope { recipients: self.recipients.clone(), identity: self.identity()? })
    }

    /// This machine's own recipient, to be named by others.
    pub fn own_recipient(&self) -> Option<String> {
        self.recipients.last().map(ToString::to_string)
    }

    fn identity(&self) -> Result<Identity, SealError> {
        let identity = self.identity.get(Slot::Current).map_err(SealError::Identity)?;
        let identity = identity.and_then(|text| Identity::from_str(text.expose().trim()).ok());
        identity.ok_or_else(|| SealError::NoIdentity { store: self.identity.reference() })
    }

    /// Removes a rotation's seal; none there is as good. Where several machines share the journal, and it is known which secret has
    /// been kept elsewhere, only what holds that: what a machine that came too late has sealed beside it stays.
    pub fn remove(&self, rotation: Uuid, kept: Option<&Fingerprint>) -> Result<(), SealError> {
        let holds =
            |copy: &Copied| self.opened(rotation, &copy.cipher).ok().map(|sealed| sealed.secret().fingerprint());
        let kept = kept.filter(|_| self.copies.journal.is_some());
        let copies = self.copies.of(rotation)?;
        self.copies.forget(rotation);
        for copy in copies {
            if kept.is_none_or(|kept| holds(&copy).as_ref() == Some(kept)) {
                self.copies.remove(&copy)?;
            }
        }
        Ok(())
    }
}

/// The file of one rotation's seal in a state folder.
pub fn path(state: &Path, rotation: Uuid) -> PathBuf {
    path_in(&folder(state), rotation)
}

fn folder(state: &Path) -> PathBuf {
    state.join("seals")
}

/// Waits until no other process makes an identity in this state folder; none does while the file is open.
fn alone(state: &Path) -> Result<File, SealError> {
    let path = state.join("locks").join("seals");
    let io = |source| SealError::Lock { path: path.clone(), source };
    private::folder(&state.join("locks")).map_err(io)?;
    let mut options = File::options();
    options.write(true).create(true).truncate(false);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&path).map_err(io)?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            // Each of the others needs milliseconds, unless it was stopped in the middle; but there may be hundreds.
            Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => sleep(PAUSE),
            Err(TryLockError::WouldBlock) => return Err(io(io::ErrorKind::TimedOut.into())),
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
    }
}

fn parsed(recipients: &[String]) -> Result<Vec<Recipient>, SealError> {
    let parsed = |text: &String| Recipient::from_str(text).map_err(|_| SealError::BadRecipient { text: text.clone() });
    recipients.iter().map(parsed).collect()
}

fn own_recipient(store: &dyn Store) -> Result<Recipient, SealError> {
    if let Some(text) = store.get(Slot::Current).map_err(SealError::Identity)? {
        let known = Identity::from_str(text.expose().trim());
        let store = store.reference();
        return known.map(|identity| identity.to_public()).map_err(|_| SealError::NoIdentity { store });
    }
    let identity = Identity::generate();
    let text = Secret::new(identity.to_string().expose_secret());
    store.apply(&[(Slot::Current, Some(&text))]).map_err(SealError::Identity)?;
    if store.get(Slot::Current).map_err(SealError::Identity)?.as_ref() != Some(&text) {
        return Err(SealError::NoIdentity { store: store.reference() });
    }
    Ok(identity.to_public())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), SealError> {
    private::write(path, bytes).map_err(|source| SealError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
#[path = "seal_tests.rs"]
mod tests;
