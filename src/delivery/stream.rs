//! Looks at deliveries as they come, a line of JSON each, in constant memory.

use std::io::{self, BufRead, Read};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use super::capture::parse_line;
use super::examine::Examiner;
use super::tally::Tally;

/// Longest line that is read, in bytes; a longer one is counted as unreadable.
const LONGEST_LINE: u64 = 4 << 20;

/// Counts every line to the end.
///
/// The age of a delivery is judged where its line says when it arrived.
pub fn count(mut input: impl BufRead, examiner: &Examiner<'_>, tally: &Mutex<Tally>) -> io::Result<()> {
    let mut line = Vec::with_capacity(64 << 10);
    loop {
        line.clear();
        // Waiting for a line is done without the lock.
        if input.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let is_cut = !line.ends_with(b"\n") && line.len() as u64 == LONGEST_LINE;
        if is_cut {
            skip_line(&mut input)?;
        }
        let mut counts = tally.lock().unwrap_or_else(PoisonError::into_inner);
        match parse_line(&line) {
            Ok(delivery) if !is_cut && examiner.is_probe(&delivery) => counts.probes += 1,
            Ok(delivery) if !is_cut => {
                let examination = examiner.look(&delivery, delivery.received_at.map(Timestamp::as_second));
                let signed_at = examination.signed_at.and_then(|seconds| Timestamp::from_second(seconds).ok());
                counts.add(&examination, signed_at.or(delivery.received_at), delivery.is_marked());
            }
            _ if line.iter().all(u8::is_ascii_whitespace) && !is_cut => {}
            _ => counts.add_unreadable(),
        }
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
        let spec = crate::provider::Catalog::load(None).unwrap().get("layers").unwrap();
        let scheme = crate::provider::signature::Scheme::of(&spec).unwrap();
        let tally = Mutex::new(Tally::new(Vec::new()));
        let long = vec![b'x'; usize::try_from(LONGEST_LINE).unwrap() * 2 + 7];
        let input = [long.as_slice(), b"\n\n  \n{}\n{\"headers\":{}}"].concat();
        count(input.as_slice(), &Examiner::new(&scheme, Vec::new()), &tally).unwrap();
        let tally = tally.into_inner().unwrap();
        assert_eq!((tally.unreadable, tally.deliveries.count), (2, 1));
    }
}
