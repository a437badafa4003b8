//! How signatures stand in the headers of a delivery: what is before each of them, what is between two, where the time is.

use jiff::Timestamp;
use thiserror::Error;

use super::rules::{self, Flaw, require};
use super::spec::{SignatureSpec, TimestampForm};
use super::tags::Tags;

/// Most signatures that are read from one header.
const MOST_SIGNATURES: usize = 32;
/// A checked layout.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// Without the number, where there is a header for each signature.
    pub(super) header: String,
    /// Whether each signature has a header of its own, numbered from 1.
    pub(super) is_numbered: bool,
    /// Whether it is the secret itself that stands there.
    bears_secret: bool,
    pub(super) id_header: Option<String>,
    pub(super) timestamp: Option<Time>,
    pub(super) form: TimestampForm,
    /// What stands before each signature, as `v1=`.
    pub(super) tag: String,
    /// What stands between two. Without it there is one signature, whatever secrets are alive.
    pub(super) between: Option<String>,
}

/// Where the timestamp is.
#[derive(Clone, Debug)]
pub(super) enum Time {
    /// In a header of its own.
    Header(String),
    /// In the signatures' header, once, with this before it.
    Lead(String),
    /// In each signature, with this before it and the tag behind it.
    Entry(String),
}

/// Why a delivery does not verify.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Mismatch {
    #[error("the delivery has no header `{header}`")]
    Missing { header: String },
    #[error("the header `{header}` is not in the form that this scheme has")]
    Malformed { header: String },
    #[error("the header `{header}` has no `{wanted}` signature, only {versions}")]
    UnknownVersion { header: String, wanted: String, versions: String },
    #[error("the delivery was signed {seconds} s {}", if *.early { "in the future" } else { "ago" })]
    Stale { seconds: u64, early: bool },
    #[error("none of the secrets signed this delivery")]
    NoMatch,
    #[error("none of the secrets signed this delivery, and secret {index} is not the base64 that this scheme asks for")]
    Undecodable { index: usize },
}

/// What a delivery's headers say, before it is believed.
#[derive(Clone, Debug)]
pub struct Claims<'a> {
    /// As it stands in the header, because that is what is signed; empty where there is none.
    pub timestamp: &'a str,
    /// The same in Unix seconds.
    pub signed_at: Option<i64>,
    /// The delivery's id, where it is signed; else empty.
    pub id: &'a str,
    /// The signatures of the version that is verified, in their order, as written.
    pub entries: Vec<&'a str>,
}

impl Layout {
    /// Checks the words about it.
    pub(super) fn check(spec: &SignatureSpec) -> Result<Self, Flaw> {
        let (header, is_numbered) = match spec.header.strip_suffix("{n}") {
            Some(header) => (header.to_owned(), true),
            None => (spec.header.clone(), false),
        };
        rules::header_name("signature.header", &header)?;
        require(
            !is_numbered || (spec.grammar.is_none() && spec.lead.is_none() && spec.between.is_none()),
            "signature.header",
            "is numbered, so that each signature has one of its own",
            "leave `grammar`, `lead` and `between` out, or the number",
        )?;
        for (key, header) in
            [("signature.timestamp_header", &spec.timestamp_header), ("signature.id_header", &spec.id_header)]
        {
            header.as_ref().map_or(Ok(()), |header| rules::header_name(key, header))?;
        }
        let named = [Some(&header), spec.timestamp_header.as_ref(), spec.id_header.as_ref()];
        let mut names: Vec<String> = named.into_iter().flatten().map(|name| name.to_ascii_lowercase()).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        require(names.len() == count, "signature.header", "is named for two things", "name each header once")?;
        let Tags { lead, inside, tag, between, bears_secret } = Tags::check(spec)?;
        require(
            !is_numbered || inside.is_none(),
            "signature.entry",
            "has a timestamp, and each signature a header of its own",
            "say where the timestamp is by `timestamp_header`",
        )?;
        let said = [lead.map(Time::Lead), inside.map(Time::Entry), spec.timestamp_header.clone().map(Time::Header)];
        let mut said = said.into_iter().flatten();
        let timestamp = said.next();
        require(
            said.next().is_none(),
            "signature.timestamp_header",
            "and a timestamp elsewhere",
            "say one of the two",
        )?;
        require(
            timestamp.is_some() || spec.timestamp_form.is_none(),
            "signature.timestamp_form",
            "is of no use without a timestamp",
            "say where it is, by `lead` or `timestamp_header`, or take it out",
        )?;
        let form = spec.timestamp_form.unwrap_or_default();
        let id_header = spec.id_header.clone();
        Ok(Self { header, is_numbered, bears_secret, id_header, timestamp, form, tag, between })
    }

    /// A moment in Unix seconds as a delivery says it.
    pub(super) fn stamp(&self, at: i64) -> String {
        match self.form {
            TimestampForm::S => at.to_string(),
            TimestampForm::Ms => at.saturating_mul(1_000).to_string(),
            TimestampForm::Rfc3339 => Timestamp::from_second(at).unwrap_or_default().to_string(),
        }
    }

    /// The moment that a delivery says, in Unix seconds.
    fn moment(&self, stamp: &str) -> Option<i64> {
        let number = || {
            let digits = !stamp.is_empty() && stamp.bytes().all(|byte| byte.is_ascii_digit());
            stamp.parse::<i64>().ok().filter(|_| digits)
        };
        match self.form {
            TimestampForm::S => number(),
            TimestampForm::Ms => number().map(|at| at / 1_000),
            TimestampForm::Rfc3339 => stamp.parse::<Timestamp>().ok().map(Timestamp::as_second),
        }
    }

    /// Whether a delivery says when it was signed.
    pub(super) fn is_timed(&self) -> bool {
        self.timestamp.is_some()
    }

    /// Whether a delivery bears a signature for each secret that is alive.
    pub(super) fn has_many(&self) -> bool {
        self.between.is_some() || self.is_numbered
    }

    /// Whether it is the secret itself that a delivery bears.
    pub(super) fn bears_secret(&self) -> bool {
        self.bears_secret
    }

    /// The header as people draw it, and what it has of each secret.
    pub(super) fn sketch(&self) -> String {
        let entry = match &self.timestamp {
            Some(Time::Entry(before)) => format!("{before}…{}…", self.tag),
            _ => format!("{}…", self.tag),
        };
        if self.is_numbered {
            return format!("`{}1: {entry}` (one header for each live secret, numbered from 1)", self.header);
        }
        let Some(between) = &self.between else { return format!("`{}: {entry}`", self.header) };
        let first = match &self.timestamp {
            Some(Time::Lead(lead)) => format!("{lead}…"),
            _ => entry.clone(),
        };
        let has_name = !self.tag.is_empty() && !matches!(self.timestamp, Some(Time::Entry(_)));
        let each = if has_name { format!("`{}` ", self.tag) } else { String::new() };
        let apart = if between == " " { ", spaces between" } else { "" };
        format!("`{}: {first}{between}{entry}` (one {each}for each live secret{apart})", self.header)
    }

    /// Reads what the headers say.
    pub(super) fn claims<'a, N: AsRef<str>, V: AsRef<str>>(
        &self,
        headers: &'a [(N, V)],
    ) -> Result<Claims<'a>, Mismatch> {
        let parts = self.parts(headers)?;
        let id = self.id_header.as_ref().map_or(Ok(""), |name| one(headers, name))?;
        let stamped = match &self.timestamp {
            None => None,
            Some(Time::Header(name)) => Some((one(headers, name)?, name)),
            Some(Time::Lead(lead)) => {
                let mut times = parts.iter().filter_map(|part| part.strip_prefix(lead.as_str()));
                let (Some(time), None) = (times.next(), times.next()) else { return Err(malformed(&self.header)) };
                Some((time, &self.header))
            }
            Some(Time::Entry(_)) => {
                // One delivery is signed at one time, by every secret.
                let mut times: Vec<&str> = parts.iter().filter_map(|part| Some(self.within(part)?.0)).collect();
                times.dedup();
                let [time] = times[..] else { return Err(malformed(&self.header)) };
                Some((time, &self.header))
            }
        };
        let entries: Vec<&str> =
            parts.iter().filter(|part| !self.leads(part)).filter_map(|part| self.entry(part)).collect();
        if entries.is_empty() {
            return Err(if self.is_numbered { malformed(&self.name(1)) } else { self.without_version(&parts) });
        }
        let (timestamp, signed_at) = match stamped {
            None => ("", None),
            Some((time, place)) => (time, Some(self.moment(time).ok_or_else(|| malformed(place))?)),
        };
        if entries.len() > MOST_SIGNATURES {
            return Err(malformed(&self.header));
        }
        Ok(Claims { timestamp, signed_at, id, entries })
    }

    /// What stands in the header, or in each of those that are numbered, taken apart.
    fn parts<'a, N: AsRef<str>, V: AsRef<str>>(&self, headers: &'a [(N, V)]) -> Result<Vec<&'a str>, Mismatch> {
        if !self.is_numbered {
            let header = one(headers, &self.header)?;
            return Ok(match &self.between {
                Some(between) => header.split(between.as_str()).map(str::trim).collect(),
                None => vec![header],
            });
        }
        let value = |number| match one(headers, &self.name(number)) {
            Err(Mismatch::Missing { .. }) => None,
            found => Some(found),
        };
        let found = (1..=MOST_SIGNATURES).map_while(value).collect::<Result<Vec<&str>, _>>()?;
        if found.is_empty() { Err(Mismatch::Missing { header: self.name(1) }) } else { Ok(found) }
    }

    /// The header of one signature, by its number from 1.
    fn name(&self, number: usize) -> String {
        format!("{}{number}", self.header)
    }

    /// The headers of a delivery with these signatures; of several, the first alone where there is place for one.
    pub(super) fn headers(&self, id: &str, timestamp: i64, entries: &[String]) -> Vec<(String, String)> {
        let mut headers = self.around(id, timestamp);
        let most = if self.has_many() { entries.len() } else { 1 };
        let before = match &self.timestamp {
            Some(Time::Entry(before)) => format!("{before}{}", self.stamp(timestamp)),
            _ => String::new(),
        };
        let signed = entries.iter().take(most).map(|entry| format!("{before}{}{entry}", self.tag));
        if self.is_numbered {
            headers.extend(signed.enumerate().map(|(at, entry)| (self.name(at + 1), entry)));
            return headers;
        }
        let mut parts = Vec::new();
        if let Some(Time::Lead(lead)) = &self.timestamp {
            parts.push(format!("{lead}{}", self.stamp(timestamp)));
        }
        parts.extend(signed);
        headers.push((self.header.clone(), parts.join(self.between.as_deref().unwrap_or_default())));
        headers
    }

    /// The headers beside those with the signatures.
    pub(super) fn around(&self, id: &str, timestamp: i64) -> Vec<(String, String)> {
        let mut headers = Vec::new();
        headers.extend(self.id_header.as_ref().map(|name| (name.clone(), id.to_owned())));
        if let Some(Time::Header(name)) = &self.timestamp {
            headers.push((name.clone(), self.stamp(timestamp)));
        }
        headers
    }

    fn leads(&self, part: &str) -> bool {
        matches!(&self.timestamp, Some(Time::Lead(lead)) if part.starts_with(lead.as_str()))
    }

    /// The time that stands in a signature, and the signature behind it.
    fn within<'a>(&self, part: &'a str) -> Option<(&'a str, &'a str)> {
        let Some(Time::Entry(before)) = &self.timestamp else { return None };
        part.strip_prefix(before.as_str())?.split_once(self.tag.as_str())
    }

    fn entry<'a>(&self, part: &'a str) -> Option<&'a str> {
        if let Some(Time::Entry(_)) = &self.timestamp {
            return self.within(part).map(|(_, entry)| entry);
        }
        part.strip_prefix(self.tag.as_str()).filter(|entry| !self.tag.is_empty() || !entry.is_empty())
    }

    /// Why a header has no signature to look at: perhaps it has some of another version, as `v2=` is beside `v1=`.
    fn without_version(&self, parts: &[&str]) -> Mismatch {
        let Some((wanted, mark)) = self.tag.char_indices().last().map(|(at, mark)| (&self.tag[..at], mark)) else {
            return malformed(&self.header);
        };
        let letters = |name: &str| name.bytes().take_while(u8::is_ascii_alphabetic).count();
        let is_version = |name: &&str| {
            let (stem, number) = name.split_at(letters(name));
            let is_numbered = number.starts_with(|first: char| first.is_ascii_digit()) && name.len() < 8;
            is_numbered && number.bytes().all(|byte| byte.is_ascii_alphanumeric()) && stem == &wanted[..letters(wanted)]
        };
        let names = parts.iter().filter_map(|part| part.split_once(mark)).map(|(name, _)| name);
        let versions: Vec<_> = names.filter(is_version).take(MOST_SIGNATURES).map(|name| format!("`{name}`")).collect();
        match versions.is_empty() {
            true => malformed(&self.header),
            false => Mismatch::UnknownVersion {
                header: self.header.clone(),
                wanted: wanted.to_owned(),
                versions: versions.join(", "),
            },
        }
    }
}

fn one<'a, N: AsRef<str>, V: AsRef<str>>(headers: &'a [(N, V)], name: &str) -> Result<&'a str, Mismatch> {
    let mut found = headers.iter().filter(|(other, _)| other.as_ref().eq_ignore_ascii_case(name));
    match (found.next(), found.next()) {
        (Some((_, value)), None) => Ok(value.as_ref().trim()),
        (None, _) => Err(Mismatch::Missing { header: name.to_owned() }),
        _ => Err(malformed(name)),
    }
}

fn malformed(header: &str) -> Mismatch {
    Mismatch::Malformed { header: header.to_owned() }
}
