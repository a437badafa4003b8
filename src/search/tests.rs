//! The search against a slow one: every form at every place, over every edge of a window, and nothing else.

use super::*;

/// A stream that gives a few bytes at a time.
struct Drops<'a>(&'a [u8], usize);

impl Read for Drops<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = self.1.min(out.len()).min(self.0.len());
        out[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

fn secrets() -> Vec<Secret> {
    ["whsec_c2VjcmV0L3NlY3JldCtzZWNyZXQ=", "short-but-ok", "another/secret+with=signs\"é", "whsec_c2VjcmV0L3NlY3JldA"]
        .map(Secret::new)
        .into()
}

#[test]
fn a_secret_is_found_over_every_edge_of_a_window() {
    let secrets = secrets();
    let search = Search::new(&secrets);
    for (at, secret) in secrets.iter().enumerate() {
        for (form, text) in forms::forms(secret) {
            for edge in 1..=2 {
                for back in [0, 1, 2, 7, 8, 9, text.len() / 2, text.len() - 1, text.len(), text.len() + 1] {
                    let offset = WINDOW * edge - back;
                    let mut stream = vec![b'x'; WINDOW * edge + 300];
                    stream[offset..offset + text.len()].copy_from_slice(&text);
                    let Searched { hits, bytes, .. } = search.stream(&mut &*stream);
                    let hit = Hit { offset: offset as u64, secret: at, form };
                    assert_eq!(
                        hits.iter().filter(|found| **found == hit).count(),
                        1,
                        "{form:?} {back} before the edge"
                    );
                    assert_eq!(bytes, stream.len() as u64);
                }
            }
        }
    }
}

#[test]
fn a_secret_is_found_at_every_place_of_any_reader_and_once() {
    let secrets = [Secret::new("whsec_MfKQ9r8GKYqrTwjU"), Secret::new("tiny-secret9")];
    let search = Search::new(&secrets);
    for offset in 0..70 {
        for (at, secret) in secrets.iter().enumerate() {
            let text = format!("{}{}tail", "-".repeat(offset), secret.expose());
            for drop in [1, 5, 4096] {
                let hits = search.stream(&mut Drops(text.as_bytes(), drop)).hits;
                assert_eq!(hits, [Hit { offset: offset as u64, secret: at, form: Form::Raw }]);
            }
            assert_eq!(search.is_in(text.as_bytes()), Some((at, Form::Raw)));
        }
    }
}

#[test]
fn what_is_almost_a_secret_is_none() {
    let secret = "whsec_MfKQ9r8GKYqrTwjU";
    let search = Search::new(&[Secret::new(secret)]);
    for at in 0..secret.len() {
        let mut text = secret.as_bytes().to_vec();
        text[at] ^= 1;
        assert_eq!(search.stream(&mut &*text).hits, []);
    }
    assert_eq!(search.stream(&mut &secret.as_bytes()[1..]).hits, []);
    let searched = Search::new(&[]).stream(&mut secret.as_bytes());
    assert_eq!((searched.hits, searched.bytes), (Vec::new(), secret.len() as u64));
}

#[test]
fn what_would_be_found_everywhere_is_refused() {
    for (value, says) in [
        ("elevenbytes", Err(Unsearchable::TooShort)),
        ("000000000000000000000001", Err(Unsearchable::TooPlain)),
        ("twelve-bytes", Ok(())),
    ] {
        assert_eq!(check(&Secret::new(value)), says, "{value}");
    }
    assert_eq!(check(&Secret::new("abcdefgh".repeat(LONGEST))), Err(Unsearchable::TooLong));
}

/// A stream that breaks off.
struct Broken<'a>(&'a [u8]);

impl Read for Broken<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        match self.0.read(out)? {
            0 => Err(ErrorKind::ConnectionReset.into()),
            read => Ok(read),
        }
    }
}

#[test]
fn what_was_found_before_a_stream_broke_off_was_found() {
    let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjU");
    let searched = Search::new([&secret]).stream(&mut Broken(secret.expose().as_bytes()));
    assert_eq!(searched.hits, [Hit { offset: 0, secret: 0, form: Form::Raw }]);
    assert_eq!(searched.cut_off.map(|error| error.kind()), Some(ErrorKind::ConnectionReset));
}

#[test]
fn what_looks_like_a_secret_is_seen_once_over_every_edge_and_only_whole() {
    let ours = [Secret::new("whsec_c2VjcmV0L3NlY3JldCtzZWNyZXQ=")];
    let search = Search::new(&ours);
    let marked = |stream: &[u8], drop: usize| search.stream(&mut Drops(stream, drop)).marked;
    let foreign = "whsec_Zm9yZWlnbi1mb3JlaWduLWZvcg==";
    let seen = |offset: usize| Marked { offset: offset as u64, fingerprint: Secret::new(foreign).fingerprint() };
    for back in 0..=foreign.len() + 1 {
        for drop in [7, WINDOW, 4 * WINDOW] {
            let offset = WINDOW - back;
            let mut stream = vec![b' '; WINDOW + 300];
            stream[offset..offset + foreign.len()].copy_from_slice(foreign.as_bytes());
            assert_eq!(marked(&stream, drop), [seen(offset)], "{back} before the edge, {drop} at a time");
        }
    }
    // Whole to the very end; not one of ours, in any form that begins so; not what is too short or too long.
    assert_eq!(marked(format!("a={foreign}").as_bytes(), 4096), [seen(2)]);
    let escaped = ours[0].expose().replace('/', "\\/");
    let long = format!("whsec_{}", "a1B2".repeat(60));
    for nothing in [ours[0].expose(), &escaped, "whsec_short", "whsec_", "WHSEC_Zm9yZWlnbi1mb3JlaWduLWZvcg==", &long] {
        assert_eq!(marked(format!("{nothing} ").as_bytes(), 4096), [], "{nothing}");
    }
    let two = format!("{foreign} {foreign}\n{}", ours[0].expose());
    assert_eq!(marked(two.as_bytes(), 4096), [seen(0), seen(foreign.len() + 1)]);
}
