//! What a receiver in any language needs of a scheme.

use super::super::layout::{Layout, Time};
use super::super::signed::{Piece, Template};
use super::super::spec::{Encoding, Hash, KeyDecoding};

/// What is needed of a scheme.
pub(super) struct Words<'a> {
    pub(super) layout: &'a Layout,
    /// `None` where deliveries bear the secret itself.
    pub(super) mac: Option<(&'a Template, Hash, Encoding, KeyDecoding)>,
    pub(super) tolerance: u64,
}

impl Words<'_> {
    /// The header with the signatures, in small letters.
    pub(super) fn header(&self) -> String {
        self.layout.header.to_lowercase()
    }

    /// What is put in front of a MAC.
    pub(super) fn before(&self) -> String {
        let tag = quoted(&self.layout.tag);
        match &self.layout.timestamp {
            Some(Time::Entry(before)) => format!("{} + stamp + {tag} + ", quoted(before)),
            _ if self.layout.tag.is_empty() => String::new(),
            _ => format!("{tag} + "),
        }
    }

    /// What a receiver is given, in the order of the languages without types.
    pub(super) fn parameters(&self) -> String {
        let more = [(Piece::Url, ", url"), (Piece::Method, ", method")];
        let signed = more.iter().filter(|(piece, _)| self.signs(piece)).map(|(_, parameter)| *parameter);
        format!("secrets, headers, body{}", signed.collect::<String>())
    }

    /// What has to be said of the address.
    pub(super) fn address(&self) -> Option<&'static str> {
        let is_signed = self.signs(&Piece::Url);
        is_signed
            .then_some("The address as the provider has it, with scheme, host and query: not what a proxy passes on.")
    }

    pub(super) fn signs(&self, piece: &Piece) -> bool {
        self.mac.is_some_and(|(signed, ..)| signed.pieces.contains(piece))
    }

    pub(super) fn pieces(&self) -> &[Piece] {
        self.mac.map_or(&[], |(signed, ..)| &signed.pieces)
    }
}

/// A text as each language writes it: what stands in a description is printable ASCII without quotes.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('\n', "\\n"))
}
