//! Looks at deliveries as they come, a line of JSON each, in constant memory.

use std::io::{self, BufRead, Read};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use super::capture::parse_line;
use super::examine::{Cause, Examiner};
use super::tally::Tally;

/// Longest line that is read, in bytes; a longer one is counted as unreadable.
const LONGEST_LINE: u64 = 4 << 20;

/// Why counting came to rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// The input is at its end.
    End,
    /// The secrets are to be read again before the line that is left over is counted.
    Renew(Why),
}

/// Why the secrets are to be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It was a while ago, and what they are to each other may have changed: an overlap signs with nothing that is unknown.
    Due,
    /// None of them signed a delivery, and others may have come since these were read.
    Unknown,
}

/// Counts lines to the end, or to the first before which secrets are to be read again, as `renews` says. That one is left in
/// `line`, uncounted, and the next call begins with it.
///
/// The age of a delivery is judged where its line says when it arrived.
pub fn count(
    input: &mut impl BufRead,
    line: &mut Vec<u8>,
    examiner: &Examiner<'_>,
    tally: &Mutex<Tally>,
    renews: &mut dyn FnMut(Why) -> bool,
) -> io::Result<Rest> {
    loop {
        let (is_left_over, mut is_cut) = (!line.is_empty(), false);
        if !is_left_over {
            // Waiting for a line is done without the lock.
            if input.by_ref().take(LONGEST_LINE).read_until(b'\n', line)? == 0 {
                return Ok(Rest::End);
            }
            is_cut = !line.ends_with(b"\n") && line.len() as u64 == LONGEST_LINE;
            if !is_cut && renews(Why::Due) {
                return Ok(Rest::Renew(Why::Due));
            }
        }
        if is_cut {
            skip_line(input)?;
        }
        let mut counts = tally.lock().unwrap_or_else(PoisonError::into_inner);
        match parse_line(line) {
            Ok(delivery) if !is_cut && examiner.is_probe(&delivery) => counts.probes += 1,
            Ok(delivery) if !is_cut => {
                let examination = examiner.look(&delivery, delivery.received_at.map(Timestamp::as_second));
                if examination.causes.contains(&Cause::NoMatch) && !is_left_over && renews(Why::Unknown) {
                    return Ok(Rest::Renew(Why::Unknown));
                }
                let signed_at = examination.signed_at.and_then(|seconds| Timestamp::from_second(seconds).ok());
                counts.add(&examination, signed_at.or(delivery.received_at), delivery.is_marked());
            }
            _ if line.iter().all(u8::is_ascii_whitespace) && !is_cut => {}
            _ => counts.add_unreadable(),
        }
        line.clear();
    }
}

/// Reads on to the end of a line, keeping nothing of it.
fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let block = input.fill_buf()?;
        let end = block.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(block.len(), |at| at + 1);
        input.consume(used);
        if end.is_some() || used == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_never_ends_is_counted_once_and_not_kept() {
        let spec = crate::provider::Catalog::load(None).get("layers").unwrap();
        let scheme = crate::provider::signature::Scheme::of(&spec).unwrap();
        let tally = Mutex::new(Tally::new(Vec::new()));
        let long = vec![b'x'; usize::try_from(LONGEST_LINE).unwrap() * 2 + 7];
        let input = [long.as_slice(), b"\n\n  \n{}\n{\"headers\":{}}"].concat();
        let (mut input, mut line) = (input.as_slice(), Vec::new());
        let rest = count(&mut input, &mut line, &Examiner::new(&scheme, Vec::new()), &tally, &mut |_| false);
        assert_eq!(rest.unwrap(), Rest::End);
        let tally = tally.into_inner().unwrap();
        assert_eq!((tally.unreadable, tally.deliveries.count), (2, 1));
    }
}
