//! A secret of our own making, where the provider takes one.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::signature::PREFIX;
use super::spec::{SecretForm, SecretSpec};
use crate::secret::Secret;
use crate::system::text::hex;

/// What is made where nothing says how many: the length of what HMAC-SHA256 makes.
const USUAL_BYTES: usize = 32;

/// Makes a secret of random bytes of the system's. Fails where the system has none to give.
pub fn secret(spec: &SecretSpec) -> Result<Secret, String> {
    let mut bytes = Zeroizing::new(vec![0; spec.bytes.unwrap_or(USUAL_BYTES)]);
    getrandom::fill(&mut bytes).map_err(|error| format!("this machine gives no random bytes: {error}"))?;
    let text = Zeroizing::new(match spec.form {
        SecretForm::Hex => hex(&bytes),
        SecretForm::Base64 => STANDARD.encode(&*bytes),
        SecretForm::Base64url | SecretForm::Text => URL_SAFE_NO_PAD.encode(&*bytes),
        SecretForm::Whsec => {
            let mut text = PREFIX.to_owned();
            STANDARD.encode_string(&*bytes, &mut text);
            text
        }
    });
    let prefix = spec.prefix.as_deref().filter(|prefix| !text.starts_with(prefix)).unwrap_or_default();
    Ok(Secret::new(Zeroizing::new(format!("{prefix}{}", *text)).as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_as_it_is_described_and_never_twice() {
        for (form, bytes, begins, length) in [
            (SecretForm::Hex, 32, "", 64),
            (SecretForm::Base64, 32, "", 44),
            (SecretForm::Base64url, 48, "", 64),
            (SecretForm::Whsec, 32, PREFIX, 50),
        ] {
            let spec = SecretSpec { form, bytes: Some(bytes), prefix: None };
            let [one, other] = [(); 2].map(|()| secret(&spec).unwrap());
            assert_ne!(one, other);
            assert!(one.expose().starts_with(begins));
            assert_eq!(one.len(), length, "{form:?}");
        }
    }
}
