//! Values that look like somebody's signing secret, whoever's it is: by the mark that Standard Webhooks, Stripe and others begin
//! theirs with.

use memchr::memmem::Finder;

use crate::secret::{Fingerprint, Secret};

/// What such a secret begins with.
pub const MARK: &str = "whsec_";

/// Characters behind the mark, in a row, of which a secret has at least and at most so many.
const LEAST: usize = 24;
const MOST: usize = 192;

/// How much of a stream has to be kept for one that ends in the next window.
pub(super) const LONGEST: usize = MARK.len() + MOST + 1;

/// A value that looks like a signing secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marked {
    /// Bytes from the stream's beginning.
    pub offset: u64,
    pub fingerprint: Fingerprint,
}

/// Every one that ends behind `known`, or at it. One that ends with the window may go on in the next, unless that is the last.
pub(super) fn look(
    finder: &Finder<'_>,
    window: &[u8],
    known: usize,
    is_last: bool,
    mut found: impl FnMut(usize, Fingerprint),
) {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=_-".contains(byte);
    for begin in finder.find_iter(window) {
        let text = &window[begin + MARK.len()..];
        let length = text.iter().take(MOST + 1).take_while(|byte| is_part(byte)).count();
        let end = begin + MARK.len() + length;
        if end < known || (end == window.len() && !is_last) || !(LEAST..=MOST).contains(&length) {
            continue;
        }
        if let Ok(value) = std::str::from_utf8(&window[begin..end]) {
            found(begin, Secret::new(value).fingerprint());
        }
    }
}
