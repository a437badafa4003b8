//! The ways in for bytes that others wrote. Each takes any bytes at all and asserts what holds for them; a fuzz target is
//! `fuzz_target!(|bytes: &[u8]| entries::answer(bytes));`.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use whsec::provider::answer::{Outcome, Received, judge, rotated};
use whsec::provider::signature::{Scheme, Sent, sign, verify};
use whsec::provider::{Catalog, Endpoint, Provider, request};
use whsec::secret::Secret;
use whsec::store::{Reference, Slot, SlotNames, Surroundings, open};

use crate::canaries::Canaries;
use crate::scene::ALL;
use crate::tally::{Dice, is_full, report};

/// What stands for a secret in answers.
pub const PLANTED: &str = "whsec_7dK2vQxW9sLmN4pR8tYbC3fH6jZa1eUg";

fn endpoints() -> &'static Vec<Endpoint> {
    static ENDPOINTS: OnceLock<Vec<Endpoint>> = OnceLock::new();
    ENDPOINTS.get_or_init(|| {
        let catalog = Catalog::builtin();
        ALL.iter()
            .map(|name| {
                let provider: Arc<Provider> = catalog.get(name).unwrap();
                let ids: Vec<_> = provider.spec().ids.iter().map(|id| (id.clone(), "x1".to_owned())).collect();
                provider.endpoint(Some("https://api.example.com"), &ids, None, &BTreeMap::new()).unwrap()
            })
            .collect()
    })
}

fn planted() -> &'static Canaries {
    static CANARIES: OnceLock<Canaries> = OnceLock::new();
    CANARIES.get_or_init(|| Canaries::of(&[Secret::new(PLANTED)]))
}

/// An answer: the first two bytes say which provider and status, the rest is the body. Whatever a 2xx holds, nothing
/// that can be shown of it has a planted secret.
pub fn answer(bytes: &[u8]) {
    let [which, status, body @ ..] = bytes else { return };
    let endpoint = &endpoints()[usize::from(*which) % ALL.len()];
    let status = [200, 201, 204, 299, 200, 200][usize::from(*status) % 6];
    let headers = vec![("Date".to_owned(), "Fri, 20 Nov 2026 12:00:00 GMT".to_owned())];
    let received = Received { status, headers, body: body.to_vec().into(), complete: true };
    let outcome = judge(&endpoint.provider, received);
    let mut shown = format!("{outcome:?}");
    let Outcome::Success(reply) = outcome else { panic!("a 2xx is a success: {shown}") };
    match rotated(endpoint, &reply) {
        Ok(rotated) => {
            assert!(!rotated.secret.is_empty() && !rotated.secret.expose().chars().any(char::is_control));
            shown.push_str(&format!("{rotated:?}"));
            shown.push_str(rotated.notice.as_deref().unwrap_or_default());
            // What is not taken for the secret is the provider's own words, and may be shown.
            if rotated.secret.expose() != PLANTED {
                return;
            }
        }
        Err(error) => shown.push_str(&format!("{error:?} {:#}", anyhow::Error::from(error.clone()))),
    }
    assert_eq!(planted().find(shown.as_bytes()), None, "a secret is shown: {shown}");
}

/// A refusal with any body: one line, no control characters, no panic.
pub fn refusal(bytes: &[u8]) {
    let [which, status, body @ ..] = bytes else { return };
    let endpoint = &endpoints()[usize::from(*which) % ALL.len()];
    let status = 300 + u16::from(*status);
    let headers = vec![("Retry-After".to_owned(), String::from_utf8_lossy(body).into_owned())];
    let received = Received { status, headers, body: body.to_vec().into(), complete: true };
    let words = match judge(&endpoint.provider, received) {
        Outcome::Refused(refusal) => {
            format!("{}{}", refusal.message.unwrap_or_default(), refusal.code.unwrap_or_default())
        }
        Outcome::Unknown(unknown) => unknown.why,
        other => panic!("{status} is neither a refusal nor unknown: {other:?}"),
    };
    assert!(!words.chars().any(char::is_control), "{words:?}");
}

/// A provider's description: an error that repeats no more than a word of it, or a provider whose requests go to its own
/// origin and whose paths are plain. Yields whether it is one.
pub fn provider_toml(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let provider = match Provider::parse(&text, "file.toml") {
        Ok(provider) => Arc::new(provider),
        Err(error) => {
            let words = format!("{error} {error:?}");
            assert!(words.len() < 4_000, "an error as long as the file: {} characters", words.len());
            return false;
        }
    };
    let ids: Vec<_> = provider.spec().ids.iter().map(|id| (id.clone(), "a?b#c%2e".to_owned())).collect();
    let base = "https://api.example.com";
    let endpoint = provider.endpoint(Some(base), &ids, None, &BTreeMap::new()).unwrap();
    let key = request::new_key(&provider);
    let calls = [Some(request::rotate(&endpoint, key.as_deref()).expect("a call")), request::inspect(&endpoint, 1)];
    for call in calls.into_iter().flatten() {
        let path = call.url.strip_prefix(base).expect("a request to its own origin");
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        assert!(path.starts_with('/') && !path.contains(['#', '\\']) && !path.contains("/../"), "{}", call.url);
    }
    true
}

/// A dotenv file: a value that is put there comes back, and the other lines stay as they were. Yields whether it was put
/// there, or refused.
pub fn dotenv(bytes: &[u8]) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("any.env");
    std::fs::write(&path, bytes).unwrap();
    let reference = Reference::parse(&format!("dotenv:{}#HOOK", path.display())).unwrap();
    let store = open(&reference, &SlotNames::default(), &Surroundings::default()).unwrap();
    let before = store.get(Slot::Current).ok().flatten();
    let new = Secret::new(PLANTED);
    match store.apply(&[(Slot::Next, Some(&new))]) {
        Ok(()) => {
            assert_eq!(store.get(Slot::Next).unwrap(), Some(new), "what was put comes back");
            assert_eq!(store.get(Slot::Current).ok().flatten(), before, "the other slot is as it was");
            let after = std::fs::read(&path).unwrap();
            // A lone carriage return ends a line too, as it does for the loaders.
            let ends = |byte: &u8| matches!(byte, b'\n' | b'\r');
            let mut lines = after.split(ends).filter(|line| !line.is_empty());
            let foreign = |line: &&[u8]| !line.is_empty() && !line.windows(4).any(|part| part == b"HOOK");
            for line in bytes.split(ends).filter(foreign) {
                let kept = lines.any(|other| other == line);
                let texts = [bytes, &after, line].map(String::from_utf8_lossy);
                assert!(kept, "a foreign line is lost: {texts:?}");
            }
            true
        }
        Err(error) => {
            assert_eq!(std::fs::read(&path).unwrap(), bytes, "a refused file is as it was");
            assert_eq!(planted().find(format!("{error:#} {error:?}").as_bytes()), None);
            false
        }
    }
}

/// A delivery's signature header: no panic, and nothing verifies that was not signed.
pub fn signature(bytes: &[u8]) {
    let value = String::from_utf8_lossy(bytes).into_owned();
    for endpoint in endpoints() {
        let Some(scheme) = Scheme::of(&endpoint.provider) else { continue };
        let mut headers = vec![(scheme.header().to_owned(), value.clone())];
        headers.push(("webhook-id".to_owned(), "msg_1".to_owned()));
        headers.push(("webhook-timestamp".to_owned(), "1795000000".to_owned()));
        let verdict = verify(&scheme, &[&Secret::new(PLANTED)], &headers, Sent::of(b"body"), 1_795_000_000);
        assert!(verdict.is_err(), "verified: {value}");
    }
}

/// The header that another secret makes, for each scheme; and what is made with the right one verifies.
fn signed_by_another() -> Vec<Vec<u8>> {
    let schemes = endpoints().iter().filter_map(|endpoint| Scheme::of(&endpoint.provider));
    let (own, other) = (Secret::new(PLANTED), Secret::new("whsec_0000000000000000000000000000AAAA"));
    schemes
        .filter_map(|scheme| {
            let made = |secret| sign(&scheme, &[secret], "msg_1", 1_795_000_000, Sent::of(b"body")).ok();
            let headers = made(&own)?;
            assert_eq!(
                verify(&scheme, &[&own], &headers, Sent::of(b"body"), 1_795_000_000),
                Ok(0),
                "the true one verifies"
            );
            let value = |(name, value): (String, String)| name.eq_ignore_ascii_case(scheme.header()).then_some(value);
            made(&other)?.into_iter().find_map(value).map(String::into_bytes)
        })
        .collect()
}

/// Bytes changed a few times over: cut, doubled, exchanged, and salted with what breaks parsers.
pub fn mutate(dice: &mut Dice, seed: &[u8]) -> Vec<u8> {
    const SALT: [&[u8]; 14] = [
        b"\"",
        b"\\",
        b"{",
        b"}",
        b"[[[[[[[[",
        b"\\u0000",
        b"\xff\xfe",
        b"\x1b[2J",
        b"null",
        b"1e999",
        b"\r\n",
        b"=",
        b"'",
        PLANTED.as_bytes(),
    ];
    let mut bytes = seed.to_vec();
    for _ in 0..=dice.below(6) {
        let at = dice.below(bytes.len() + 1);
        match dice.below(6) {
            0 => bytes.truncate(at),
            1 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << dice.below(8);
                }
            }
            2 => {
                let end = (at + dice.below(20)).min(bytes.len());
                bytes.drain(at..end);
            }
            3 => {
                let end = (at + dice.below(40)).min(bytes.len());
                let part = bytes[at..end].to_vec();
                let to = dice.below(bytes.len() + 1);
                bytes.splice(to..to, part);
            }
            _ => {
                let salt = SALT[dice.below(SALT.len())];
                bytes.splice(at..at, salt.iter().copied());
            }
        }
    }
    bytes
}

fn rounds(sampled: usize, full: usize) -> usize {
    if is_full() { full } else { sampled }
}

#[test]
fn any_provider_description_is_read_or_refused() {
    let mut dice = Dice::new(71);
    let folder = format!("{}/src/provider/builtin", env!("CARGO_MANIFEST_DIR"));
    let seeds: Vec<_> = ALL.iter().map(|name| std::fs::read(format!("{folder}/{name}.toml")).unwrap()).collect();
    let count = rounds(400, 20_000);
    let mut read = seeds.iter().filter(|seed| provider_toml(seed)).count();
    assert_eq!(read, seeds.len(), "the five are read as they are");
    for _ in 0..count {
        let seed = &seeds[dice.below(seeds.len())];
        read += usize::from(provider_toml(&mutate(&mut dice, seed)));
    }
    assert!(read > seeds.len() && read < count, "{read} of {count} are read");
    report(
        13,
        "mutated provider descriptions",
        count,
        &[],
        &format!("{read} read, 0 panics, no error repeats the file"),
    );
}

#[test]
fn any_dotenv_file_keeps_its_other_lines() {
    let mut dice = Dice::new(72);
    let seeds: [&[u8]; 5] = [
        b"A=1\nHOOK=whsec_old\n# end\n",
        b"export HOOK='a b'\r\nB=\"x\\ny\"\r\n",
        b"HOOK=\"two\nlines\"\nC=${A}\n",
        b"",
        b"\xef\xbb\xbfHOOK=1\n\n\nHOOK=2",
    ];
    let count = rounds(300, 20_000);
    let mut changed = 0;
    for _ in 0..count {
        let seed = seeds[dice.below(seeds.len())];
        changed += usize::from(dotenv(&mutate(&mut dice, seed)));
    }
    assert!(changed > count / 10 && changed < count, "{changed} of {count} are changed");
    let figure = format!("{changed} changed, the others refused; 0 panics, 0 foreign lines lost, 0 hits");
    report(13, "mutated dotenv files", count, &[], &figure);
}

#[test]
fn any_signature_header_is_refused_unless_it_was_made_with_the_key() {
    let mut dice = Dice::new(73);
    let made_up: [&[u8]; 3] = [b"t=1795000000,v1=0123456789abcdef", b"v1,tZ1I4/hDygAJgO5TYxiSd6Sd v1,AAAA", b"t=,v1="];
    let mut seeds = signed_by_another();
    assert!(seeds.len() >= 2, "only {} schemes sign", seeds.len());
    seeds.extend(made_up.map(<[u8]>::to_vec));
    let count = rounds(2_000, 50_000);
    for _ in 0..count {
        let seed = &seeds[dice.below(seeds.len())];
        signature(&mutate(&mut dice, seed));
    }
    report(13, "mutated signature headers", count, &[], "0 panics, 0 verified");
}
