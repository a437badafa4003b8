//! age encryption, for seals and for `age:` files: to recipients, which are public, and opened with one identity.

use std::io::Write;

use zeroize::Zeroizing;

pub use age::x25519::{Identity, Recipient};

/// Whom something is encrypted for, and the identity of this machine, which is among them.
pub struct Envelope {
    pub recipients: Vec<Recipient>,
    pub identity: Identity,
}

impl Envelope {
    /// Encrypts for every recipient.
    pub fn close(&self, plain: &[u8]) -> Option<Vec<u8>> {
        encrypt(&self.recipients, plain)
    }

    /// Decrypts what was encrypted for this machine, among others.
    pub fn open(&self, cipher: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        decrypt(&self.identity, cipher)
    }
}

/// Encrypts for these recipients; `None` if there are none.
pub fn encrypt(recipients: &[Recipient], plain: &[u8]) -> Option<Vec<u8>> {
    let recipients = recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(recipients).ok()?;
    let mut cipher = Vec::new();
    let mut writer = encryptor.wrap_output(&mut cipher).ok()?;
    writer.write_all(plain).ok()?;
    writer.finish().ok()?;
    Some(cipher)
}

/// The same for recipients as they are written; `None` if one of them is none.
pub fn encrypt_for(recipients: &[String], plain: &[u8]) -> Option<Vec<u8>> {
    let recipients: Option<Vec<Recipient>> = recipients.iter().map(|recipient| recipient.parse().ok()).collect();
    encrypt(&recipients?, plain)
}

/// Decrypts what was encrypted for this identity; `None` if it was not.
pub fn decrypt(identity: &Identity, cipher: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    age::decrypt(identity, cipher).ok().map(Zeroizing::new)
}
