//! Deliveries and receivers: which secret signed what arrived, and what a receiver accepts.
//!
//! `capture`, `har` and `http` read what somebody caught, `examine` finds the secret that signed it or says why none did, `tally` and `stream`
//! count them, `probe` asks a receiver what it accepts. Nothing here knows targets, slots or rotations, and nothing prints.

use std::borrow::Cow;

use jiff::Timestamp;

use crate::provider::PROBE_MARK;

pub mod bodies;
pub mod capture;
pub mod examine;
mod har;
mod http;
pub mod keys;
pub mod probe;
pub mod stream;
pub mod tally;

/// A request that a provider sent to a receiver, as it was caught.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery<'a> {
    /// In the order that they came; names in any case.
    pub headers: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// The address that it went to, and the method, where the capture says them.
    pub url: Option<Cow<'a, str>>,
    pub method: Option<Cow<'a, str>>,
    /// The exact bytes, as far as the capture has them.
    pub body: Cow<'a, [u8]>,
    /// When it arrived, where the capture says that.
    pub received_at: Option<Timestamp>,
    /// What the capture itself has lost.
    pub loss: Option<Loss>,
}

impl Delivery<'_> {
    /// Whether it says that it is a probe of whsec's, as anybody can: it is no evidence of the provider's then.
    pub fn is_marked(&self) -> bool {
        self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(PROBE_MARK))
    }
}

/// What a capture has lost of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The body is shorter than its `Content-Length` says.
    CutShort { length: usize, announced: usize },
    /// The body was kept as parsed JSON and not as bytes.
    Parsed,
    /// There is no body in it at all.
    NoBody,
}
