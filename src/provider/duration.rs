//! Durations as people write them: `24h`, `10m`, `300s`, `90d`.

use std::time::Duration;

/// Longest duration that is accepted: ten years, far above every window and far below every overflow.
const LONGEST: u64 = 10 * 365 * 86_400;

/// The units, largest first, with their seconds.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// Reads a whole number with one of the units `s`, `m`, `h`, `d`. Anything else, and more than ten years, is `None`.
pub fn duration(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let seconds = UNITS.iter().find(|(name, _)| *name == unit)?.1;
    let digits = text.strip_suffix(unit)?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let total = digits.parse::<u64>().ok()?.checked_mul(seconds)?;
    (total <= LONGEST).then(|| Duration::from_secs(total))
}

/// Writes whole seconds in the largest unit that divides them, so that `duration` reads the same again.
pub fn duration_text(duration: Duration) -> String {
    let total = duration.as_secs();
    let unit = UNITS.iter().find(|(_, seconds)| total != 0 && total.is_multiple_of(*seconds));
    unit.map_or_else(|| format!("{total}s"), |(name, seconds)| format!("{}{name}", total / seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_whole_numbers_with_a_unit() {
        for (text, seconds) in [("0s", 0), ("300s", 300), ("10m", 600), ("24h", 86_400), ("90d", 7_776_000)] {
            assert_eq!(duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn refuses_everything_else() {
        for text in ["", "h", "24", "-1h", "+1h", "1.5h", "1h30m", "1 h", "24H", "4000d", "99999999999999999999d", "1é"]
        {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn writes_what_it_reads() {
        for text in ["0s", "59s", "10m", "23h", "1d", "90d"] {
            assert_eq!(duration(text).map(duration_text).as_deref(), Some(text));
        }
    }
}
