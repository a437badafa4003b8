//! Hours of some days of the week, somewhere: `mon-thu 08:00-16:00 Europe/Berlin`.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// Hours of some days of the week.
#[derive(Clone, Debug)]
pub(super) struct Window {
    words: String,
    days: Vec<Weekday>,
    from: Time,
    /// The first moment that is no longer in it; nothing for the day's end.
    until: Option<Time>,
    zone: TimeZone,
}

impl Window {
    /// Reads `DAYS FROM-UNTIL ZONE`: days as `mon-fri`, `sat` or `mon,wed`, hours as `08:00-16:00`, up to `24:00`, and a zone of the
    /// system's database.
    pub fn parse(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [days, hours, zone] = words.as_slice() else {
            return Err("is not written as `mon-thu 08:00-16:00 Europe/Berlin`".to_owned());
        };
        let days = days.split(',').map(span_of_days).collect::<Result<Vec<_>, _>>()?.concat();
        let (from, until) = hours.split_once('-').ok_or_else(|| no_hours(hours))?;
        let from = time(from).ok_or_else(|| no_hours(hours))?;
        let until = match until {
            "24:00" => None,
            until => Some(time(until).ok_or_else(|| no_hours(hours))?),
        };
        if until.is_some_and(|until| until <= from) {
            return Err(format!("has hours that end before they begin, `{hours}`: write those of each day"));
        }
        let zone = TimeZone::get(zone)
            .map_err(|_| format!("names the time zone `{zone}`, which this system does not know"))?;
        Ok(Self { words: words.join(" "), days, from, until, zone })
    }

    /// Whether a moment is in it.
    pub fn holds(&self, now: Timestamp) -> bool {
        let there = now.to_zoned(self.zone.clone());
        let time = there.time();
        self.days.contains(&there.weekday()) && time >= self.from && self.until.is_none_or(|until| time < until)
    }

    /// A moment as people there say it.
    pub fn there(&self, now: Timestamp) -> String {
        let there = now.to_zoned(self.zone.clone());
        let day = DAYS.iter().find(|(_, day)| *day == there.weekday()).map_or("", |(name, _)| name);
        format!("{day} {}", there.strftime("%H:%M"))
    }
}

impl fmt::Display for Window {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.words)
    }
}

/// The days of `mon-thu`, of `fri-mon` or of `wed`.
fn span_of_days(text: &str) -> Result<Vec<Weekday>, String> {
    let at = |name: &str| {
        let found = DAYS.iter().position(|(known, _)| *known == name.to_ascii_lowercase());
        found.ok_or_else(|| format!("names the day `{name}`: days are mon, tue, wed, thu, fri, sat, sun"))
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (at(first)?, at(last)?);
    let count = (last + DAYS.len() - first) % DAYS.len() + 1;
    Ok((0..count).map(|next| DAYS[(first + next) % DAYS.len()].1).collect())
}

fn time(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let two = |text: &str| text.parse().ok().filter(|_| text.len() == 2);
    Time::new(two(hour)?, two(minute)?, 0, 0).ok()
}

fn no_hours(text: &str) -> String {
    format!("has the hours `{text}`, which are not written as `08:00-16:00`")
}
