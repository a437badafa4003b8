//! Answers that are broken on purpose: no call hangs, no call is repeated, and no doubt is taken for a success.

use std::io::Read;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use whsec::provider::answer::{AnswerError, Outcome, Received, judge, rotated};
use whsec::provider::client::{Client, ClientOptions, LARGEST_BODY};
use whsec::provider::spec::Meaning;
use whsec::provider::stand_in::Fault;

use crate::provider_stand_in::Scene;

const DEADLINE: Duration = Duration::from_secs(1);

fn broken(fault: Fault) -> (Scene, Outcome) {
    let scene = Scene::new("verifa", DEADLINE);
    scene.stand_in.fault(fault);
    let started = Instant::now();
    let outcome = scene.call(&scene.rotation());
    // What is over without a deadline is over after minutes; how exactly it is kept is measured in `tests/faults`.
    assert!(started.elapsed() < DEADLINE + Duration::from_secs(20), "{:?}", started.elapsed());
    assert!(scene.stand_in.ledger().rotations <= 1);
    assert!(scene.stand_in.ledger().requests.len() <= 1, "a call is made once");
    (scene, outcome)
}

fn raw(head: &str, body: &[u8]) -> Fault {
    Fault::Raw([head.as_bytes(), b"\r\n", body].concat())
}

fn ok(body: &[u8]) -> Fault {
    raw(&format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n", body.len()), body)
}

#[test]
fn an_answer_that_never_comes_whole_leaves_the_outcome_unknown() {
    let drip = |head: &str, chunk: &[u8], millis| Fault::Drip {
        head: head.as_bytes().to_vec(),
        chunk: chunk.to_vec(),
        every: Duration::from_millis(millis),
    };
    let faults = [
        Fault::CloseUnread,
        Fault::LoseAnswer,
        Fault::Stall,
        Fault::Raw(b"\x00\xff\x16\x03garbage that is not HTTP at all\r\n\r\n".to_vec()),
        Fault::Raw(b"HTTP/1.1 200 OK\r\nContent-Le".to_vec()),
        drip("HTTP/1.1 200 OK\r\nX-Y: ", b"z", 20),
        drip("", b"HTTP/1.1 102 Processing\r\n\r\n", 20),
        Fault::StatusAfter(500, "{}".to_owned()),
        Fault::StatusAfter(502, "<html>".to_owned()),
        Fault::StatusAfter(504, String::new()),
        raw("HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n", b""),
    ];
    for fault in faults {
        let label = format!("{fault:?}");
        let (_scene, outcome) = broken(fault);
        assert!(matches!(outcome, Outcome::Unknown(_)), "{label}: {outcome:?}");
    }
}

#[test]
fn a_success_whose_body_is_broken_is_kept_but_has_no_secret() {
    let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    let large = [b"{\"secret\":\"".to_vec(), vec![b'a'; LARGEST_BODY], b"\"}".to_vec()].concat();
    let endless =
        Fault::Drip { head: b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), chunk: vec![b'a'; 65_536], every: Duration::ZERO };
    let slow = Fault::Drip {
        head: b"HTTP/1.1 200 OK\r\n\r\n{\"secret\":\"".to_vec(),
        chunk: b"a".to_vec(),
        every: Duration::from_millis(50),
    };
    let missing = || AnswerError::Missing { pointer: "/secret".to_owned() };
    let not_a_secret = || AnswerError::NotASecret { pointer: "/secret".to_owned() };
    let cases = [
        (Fault::HalfBody, Some(AnswerError::Cut)),
        (ok(&large), Some(AnswerError::Cut)),
        (endless, Some(AnswerError::Cut)),
        (slow, Some(AnswerError::Cut)),
        (ok(&deep), None),
        (ok(b"{\"secret\":\"\xff\xfe\"}"), None),
        (ok(b"<html>secret</html>"), None),
        (ok(b""), Some(AnswerError::Empty)),
        (ok(b"{}"), Some(missing())),
        (ok(b"{\"secret\":null}"), Some(missing())),
        (ok(b"{\"secret\":{\"a\":1}}"), Some(AnswerError::WrongType { pointer: "/secret".to_owned() })),
        (ok(b"{\"secret\":\"\"}"), Some(not_a_secret())),
        (ok(b"{\"secret\":\"a\\u001b[2Jb\"}"), Some(not_a_secret())),
        (ok(b"{\"secret\":\"whsec_...a3f2\"}"), Some(AnswerError::Masked { pointer: "/secret".to_owned() })),
        (ok(b"{\"secret\":\"whsec_****b7d1\"}"), Some(AnswerError::Masked { pointer: "/secret".to_owned() })),
        (
            ok(b"{\"secret\":\"whsec_aaaa\",\"id\":\"someone-else\"}"),
            Some(AnswerError::OtherEndpoint { pointer: "/id".to_owned() }),
        ),
    ];
    for (fault, expected) in cases {
        let (scene, outcome) = broken(fault);
        let Outcome::Success(reply) = outcome else { panic!("{expected:?}: {outcome:?}") };
        assert!(reply.body.len() <= LARGEST_BODY);
        let error = rotated(&scene.endpoint, &reply).expect_err("no secret");
        match expected {
            Some(expected) => assert_eq!(error, expected),
            None => assert!(matches!(error, AnswerError::NotJson { .. }), "{error:?}"),
        }
    }
}

#[test]
fn a_body_of_the_largest_size_is_read_whole() {
    let padding = LARGEST_BODY - b"{\"secret\":\"whsec_aaaa\"}".len();
    let body = [vec![b' '; padding], b"{\"secret\":\"whsec_aaaa\"}".to_vec()].concat();
    let (scene, outcome) = broken(ok(&body));
    let Outcome::Success(reply) = outcome else { panic!("{outcome:?}") };
    assert_eq!(rotated(&scene.endpoint, &reply).expect("a secret").secret.expose(), "whsec_aaaa");
}

#[test]
fn no_redirect_is_followed() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = TcpListener::bind("127.0.0.1:0").expect("a listener");
        elsewhere.set_nonblocking(true).expect("a listener");
        let address = elsewhere.local_addr().expect("an address");
        let head = format!("HTTP/1.1 {status} Moved\r\nLocation: http://{address}/take\r\nContent-Length: 0\r\n");
        let (_scene, outcome) = broken(raw(&head, b""));
        match outcome {
            Outcome::Refused(refusal) => assert_eq!(refusal.meaning, Meaning::Invalid, "{status}"),
            Outcome::Unknown(_) => assert!(status < 307, "{status}"),
            other => panic!("{status}: {other:?}"),
        }
        assert!(elsewhere.accept().is_err(), "{status}: somebody came to the second listener");
    }
}

#[test]
fn a_listener_without_tls_gets_no_key() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    let heard = std::thread::spawn(move || {
        let mut bytes = [0_u8; 4096];
        let (mut stream, _) = listener.accept().expect("a connection");
        let count = stream.read(&mut bytes).unwrap_or(0);
        bytes[..count].to_vec()
    });
    let scene = Scene::new("verifa", DEADLINE);
    let ids: Vec<_> = scene.endpoint.ids.iter().map(|id| (id.name.clone(), id.value.clone())).collect();
    let base_url = format!("https://localhost:{port}");
    let endpoint =
        scene.provider.endpoint(Some(&base_url), &ids, None, &std::collections::BTreeMap::new()).expect("an endpoint");
    let outcome =
        scene.client.call(&endpoint, &whsec::provider::request::rotate(&endpoint, None).expect("a call"), &scene.key);
    assert!(matches!(outcome, Outcome::NotSent { .. }), "{outcome:?}");
    let heard = heard.join().expect("what was heard");
    assert!(!String::from_utf8_lossy(&heard).contains(scene.key.expose()));
}

#[test]
fn words_and_errors_never_hold_the_key() {
    let words = format!("{{\"error\":\"x\",\"detail\":\"{}\\u001b[2J\"}}", "y".repeat(5_000));
    let (scene, outcome) = broken(Fault::Status(400, words));
    let Outcome::Refused(refusal) = &outcome else { panic!("{outcome:?}") };
    let message = refusal.message.as_deref().expect("a message");
    assert!(message.chars().count() <= 300 && !message.contains('\u{1b}'));
    assert!(!format!("{outcome:?}{:?}", scene.rotation()).contains(scene.key.expose()));
}

#[test]
fn a_providers_words_that_repeat_a_secret_are_left_out() {
    let words = "{\"error\":\"k3y-0123\",\"detail\":\"the key k3y-0123456789abcdef is not valid\"}";
    for status in [401, 500] {
        let (_scene, outcome) = broken(Fault::Status(status, words.to_owned()));
        assert!(!format!("{outcome:?}").contains("k3y-0123"), "{outcome:?}");
    }
    let scene = Scene::new("layers", DEADLINE);
    let body = b"{\"signingSecret\":\"whsec_canary_0123456789\",\"warning\":\"keep canary_01 safe\"}";
    scene.stand_in.fault(ok(body));
    let Outcome::Success(reply) = scene.call(&scene.rotation()) else { panic!("no success") };
    let answer = rotated(&scene.endpoint, &reply).expect("a secret");
    assert_eq!(answer.notice, None);
    assert!(!format!("{answer:?}{reply:?}").contains("canary"));
}

/// A small generator of numbers, so that every run breaks the answers in the same ways.
fn numbers() -> impl FnMut(usize) -> usize {
    let mut state = 88_172_645_463_325_252_u64;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % 1_000_003).expect("a number") % below.max(1)
    }
}

#[test]
fn mutated_answers_neither_panic_nor_leak() {
    let scene = Scene::new("layers", DEADLINE);
    let answer = br#"{"endpointId":"endpointId-1","signingSecret":"whsec_canary0123456789","previousSecretExpiresAt":"2026-04-21T18:28:00Z","warning":"w"}"#;
    let pieces: [&[u8]; 8] = [b"\"", b"{", b"\\u0000", b"\xff", b":null", b"canary0123456789", b",", b"\x1b[2J"];
    let mut below = numbers();
    let mut read = 0;
    for _ in 0..10_000 {
        let mut body = answer.to_vec();
        for _ in 0..=below(3) {
            let (start, length) = (below(body.len()), below(6));
            let end = (start + length).min(body.len());
            body.splice(start..end, pieces[below(pieces.len())].iter().copied());
        }
        let status = [200, 200, 201, 400, 409, 500][below(6)];
        let received = Received { status, headers: Vec::new(), body: body.into(), complete: below(9) > 0 };
        let outcome = judge(&scene.provider, received);
        let shown = match &outcome {
            Outcome::Success(reply) => match rotated(&scene.endpoint, reply) {
                // A secret that was itself changed may leave its old self in the sentence beside it.
                Ok(answer) if answer.secret.expose().contains("canary01") => format!("{answer:?}"),
                Ok(_) => continue,
                Err(error) => format!("{error} {error:?}"),
            },
            _ => continue,
        };
        read += 1;
        assert!(!format!("{outcome:?}{shown}").contains("canary01"), "{shown}");
    }
    assert!(read > 1_000, "{read}");
}

#[test]
fn a_certificate_authority_must_be_one() {
    for pem in [&b""[..], b"nonsense"] {
        assert!(Client::new(&ClientOptions { timeout: DEADLINE, ca: Some(pem.to_vec()) }).is_err(), "{pem:?}");
    }
}
