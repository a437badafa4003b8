//! Secrets looked for in streams of bytes, in every form in which programs write them down. Knows no targets and prints nothing.
//!
//! Every form of every secret is at least [`SHORTEST`] bytes long, so it is enough to look at 8 bytes of the stream, and then to
//! skip: as far as the shortest form allows, each form has its last such piece at one of the places that are looked at. Most
//! places are dismissed by one bit of a table that fits into a core's cache, whatever the number of secrets; an automaton of
//! thousands of forms looks at every byte, and does not.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read};

use memchr::memmem::Finder;
use zeroize::Zeroizing;

use crate::secret::Secret;

pub mod files;
mod forms;
mod marks;

pub use forms::Form;
pub use marks::{MARK, Marked};

/// Bytes below which a secret is not searched for: what is shorter is found in files where nobody has put it.
pub const SHORTEST: usize = 12;

/// Bytes above which a secret is not searched for: it is no secret, but a whole document in a slot.
pub const LONGEST: usize = 8 << 10;

/// Different bytes below which a value says nothing: a row of zeros is everywhere.
const LEAST_DIFFERENT: usize = 6;

/// How much is read at a time.
const WINDOW: usize = 64 << 10;

/// Bytes that are looked at in one place.
const PIECE: usize = 8;

/// The furthest that is skipped at a time: more would make the table larger than it makes the search faster.
const FURTHEST: usize = 16;

/// Bits of the table for each piece in it.
const BITS_EACH: usize = 24;

/// Why a secret cannot be searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsearchable {
    #[error("it is shorter than {SHORTEST} bytes, and would be found where nobody has put it")]
    TooShort,
    #[error("it has fewer than {LEAST_DIFFERENT} different bytes, and would be found where nobody has put it")]
    TooPlain,
    #[error("it is longer than {LONGEST} bytes, which is no secret but a document")]
    TooLong,
}

/// A secret in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hit {
    /// Bytes from the stream's beginning.
    pub offset: u64,
    /// The secret's place in the list that the search was made of.
    pub secret: usize,
    pub form: Form,
}

/// What came of a stream.
#[derive(Debug)]
pub struct Searched {
    /// What was found, by where it is.
    pub hits: Vec<Hit>,
    /// What else looks like a signing secret.
    pub marked: Vec<Marked>,
    /// How much was read.
    pub bytes: u64,
    /// Why the rest was not: what was found before that was found.
    pub cut_off: Option<std::io::Error>,
}

/// Secrets made ready to be looked for.
///
/// It holds every value many times over, so it is made when all is known and dropped once the streams are read; all of it is
/// wiped then.
pub struct Search {
    texts: Vec<Text>,
    /// Pieces with the text that each is of and where in it, by the piece.
    pieces: Zeroizing<Vec<(u64, u32, u32)>>,
    /// A bit for each piece, by its hash.
    table: Zeroizing<Vec<u64>>,
    shift: u32,
    step: usize,
    longest: usize,
}

struct Text {
    secret: usize,
    form: Form,
    bytes: Zeroizing<Vec<u8>>,
}

/// Fails for a value that would be found where nobody has put it.
pub fn check(secret: &Secret) -> Result<(), Unsearchable> {
    let mut seen = [false; 256];
    secret.expose().bytes().for_each(|byte| seen[usize::from(byte)] = true);
    match secret.len() {
        0..SHORTEST => Err(Unsearchable::TooShort),
        length if length > LONGEST => Err(Unsearchable::TooLong),
        _ if seen.iter().filter(|seen| **seen).count() < LEAST_DIFFERENT => Err(Unsearchable::TooPlain),
        _ => Ok(()),
    }
}

impl Search {
    /// Makes secrets ready; those that [`check`] refuses are never found.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let mut texts = Vec::new();
        for (secret, value) in secrets.into_iter().enumerate().filter(|(_, value)| check(value).is_ok()) {
            texts.extend(forms::forms(value).into_iter().map(|(form, bytes)| Text { secret, form, bytes }));
        }
        let lengths = || texts.iter().map(|text| text.bytes.len());
        let step = (lengths().min().unwrap_or(SHORTEST) + 1).saturating_sub(PIECE).clamp(1, FURTHEST);
        let longest = lengths().max().unwrap_or_default();
        let mut pieces = Zeroizing::new(Vec::with_capacity(texts.len() * step));
        for (at, text) in (0..).zip(&texts) {
            // The end of a text tells more than its beginning, which many secrets share.
            let last = text.bytes.len().saturating_sub(PIECE);
            let places = (last + 1).saturating_sub(step)..=last;
            pieces
                .extend(places.filter_map(|place| Some((piece(&text.bytes, place)?, at, u32::try_from(place).ok()?))));
        }
        pieces.sort_unstable();
        let bits = (pieces.len() * BITS_EACH).next_power_of_two().max(64);
        let mut search =
            Self { texts, pieces, table: Zeroizing::new(vec![0; bits / 64]), shift: 64 - bits.ilog2(), step, longest };
        for at in 0..search.pieces.len() {
            let bit = search.bit(search.pieces[at].0);
            search.table[bit / 64] |= 1 << (bit % 64);
        }
        search
    }

    fn bit(&self, piece: u64) -> usize {
        // The golden ratio spreads neighbours over all bits.
        (piece.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize
    }

    /// Reads a stream to its end, or as far as it can be read.
    pub fn stream(&self, stream: &mut dyn Read) -> Searched {
        let (mut hits, mut marked, mut base, mut cut_off) = (Vec::new(), Vec::new(), 0_u64, None);
        let finder = Finder::new(MARK);
        let keep = self.longest.saturating_sub(1).max(marks::LONGEST);
        let mut window = Zeroizing::new(vec![0; keep + WINDOW]);
        let mut kept = 0;
        loop {
            let mut end = kept;
            let mut is_over = false;
            while end < kept + WINDOW && !is_over {
                match stream.read(&mut window[end..kept + WINDOW]) {
                    Ok(0) => is_over = true,
                    Ok(read) => end += read,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => (is_over, cut_off) = (true, Some(error)),
                }
            }
            self.look(&window[..end], kept, |offset, text| {
                hits.push(Hit { offset: base + offset as u64, secret: text.secret, form: text.form });
            });
            marks::look(&finder, &window[..end], kept, is_over, |offset, fingerprint| {
                marked.push(Marked { offset: base + offset as u64, fingerprint });
            });
            if is_over {
                hits.sort_unstable();
                let ours: BTreeSet<u64> = hits.iter().map(|hit| hit.offset).collect();
                marked.retain(|marked| !ours.contains(&marked.offset));
                return Searched { hits, marked, bytes: base + end as u64, cut_off };
            }
            // What may be the beginning of a secret that ends in the next window.
            let first = end.saturating_sub(keep);
            window.copy_within(first..end, 0);
            (base, kept) = (base + first as u64, end - first);
        }
    }

    /// Whether a text, such as a file's name, has a secret in it.
    pub fn is_in(&self, text: &[u8]) -> Option<(usize, Form)> {
        let mut found = None;
        self.look(text, 0, |_, text| found = found.or(Some((text.secret, text.form))));
        found
    }

    /// Everything that ends behind `known`; what ends before was found in the window before.
    fn look(&self, window: &[u8], known: usize, mut found: impl FnMut(usize, &Text)) {
        let mut at = 0;
        while let Some(piece) = piece(window, at) {
            let bit = self.bit(piece);
            if self.table[bit / 64] >> (bit % 64) & 1 == 1 {
                self.compare(window, known, at, piece, &mut found);
            }
            at += self.step;
        }
    }

    #[cold]
    fn compare(&self, window: &[u8], known: usize, at: usize, piece: u64, found: &mut dyn FnMut(usize, &Text)) {
        let first = self.pieces.partition_point(|(known, ..)| *known < piece);
        for (_, text, place) in self.pieces[first..].iter().take_while(|(same, ..)| *same == piece) {
            let Some(text) = self.texts.get(*text as usize) else { continue };
            let Some(begin) = at.checked_sub(*place as usize) else { continue };
            let end = begin + text.bytes.len();
            if end > known && window.get(begin..end) == Some(&**text.bytes) {
                found(begin, text);
            }
        }
    }
}

fn piece(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk::<PIECE>().map(|piece| u64::from_le_bytes(*piece))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
