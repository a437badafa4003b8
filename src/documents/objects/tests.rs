//! Objects against a store of our own that is strict, and against moto, which checks signatures.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::super::{Documents, DocumentsError, Location, Login, prove};
use super::{Access, Versions};
use crate::http::{self, Call, Connections, Options, Url};
use crate::secret::Secret;
use crate::servers::aws::{ACCESS_KEY, SECRET_KEY};
use crate::servers::objects::{Lie, Mishap, Objects as Server};

fn access(endpoint: &str, key: &str, secret: &str) -> Login {
    Login::Objects(Access {
        region: "eu-west-1".to_owned(),
        endpoint: Some(endpoint.to_owned()),
        access_key: key.to_owned(),
        secret_key: Secret::new(secret),
        session_token: None,
        ca: None,
    })
}

fn open(server: &Server) -> Documents {
    let location: Location = server.location().parse().unwrap();
    Documents::at(&location, access(&server.server.url(), ACCESS_KEY, SECRET_KEY)).unwrap()
}

/// What every place has to do.
fn keeps_documents(documents: &Documents) {
    for name in ["a/1.json", "a/2026-11-23T01:02:03.5Z-x.json", "a/b/1", "ab/1", "b/1"] {
        documents.write_if(name, name.as_bytes(), None).unwrap_or_else(|error| panic!("{name}: {error}")).unwrap();
        assert!(documents.write_if(name, b"again", None).unwrap().is_none());
    }
    let names = |prefix: &str| documents.list(prefix).unwrap().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names("a/"), ["a/1.json", "a/2026-11-23T01:02:03.5Z-x.json", "a/b/1"]);
    assert_eq!(names("c/"), Vec::<String>::new());
    let all = documents.read_all("a/").unwrap();
    assert_eq!(all.len(), 3);
    for ((name, found), (listed, tag)) in all.iter().zip(documents.list("a/").unwrap()) {
        assert_eq!((name, found.body.as_slice(), &found.tag), (&listed, name.as_bytes(), &tag));
        assert!(found.age < Duration::from_secs(10));
    }
    let first = documents.read("b/1").unwrap().unwrap().tag;
    let second = documents.write_if("b/1", b"second", Some(&first)).unwrap().unwrap();
    assert!(documents.write_if("b/1", b"third", Some(&first)).unwrap().is_none());
    assert_eq!(documents.read("b/1").unwrap().unwrap().tag, second);
    documents.delete("b/1").unwrap();
    documents.delete("b/1").unwrap();
    assert!(documents.read("b/1").unwrap().is_none());
    assert!(documents.write_if("b/1", b"third", Some(&second)).unwrap().is_none());
}

#[test]
fn objects_are_documents_and_a_store_that_keeps_its_promises_is_proved() {
    let server = Server::start();
    server.pages_of(2);
    keeps_documents(&open(&server));
    server.pages_of(1000);
    prove(&|| Ok(open(&server))).unwrap();
    assert!(
        server
            .bodies()
            .keys()
            .all(|name| name.starts_with("team/whsec/") && !name.contains("proof") && !name.contains(':'))
    );
}

#[test]
fn a_store_that_lies_is_not_proved() {
    for (lie, why) in [
        (Lie::IgnoresIfMatch, "without looking"),
        (Lie::IgnoresIfNoneMatch, "without looking"),
        (Lie::ReadsTheOneBefore, "something else than what was written last"),
        (Lie::ListsNothing, "list"),
        (Lie::WrongClock, "clock"),
        (Lie::TellsNoTime, "what time it is"),
    ] {
        let server = Server::start();
        server.lies(Some(lie));
        let error = prove(&|| Ok(open(&server))).unwrap_err();
        assert!(matches!(error, DocumentsError::Unfit { .. }) && error.to_string().contains(why), "{lie:?}: {error}");
    }
}

/// Each request of a write and a read goes wrong in each way: what was written is written once, and said to be.
#[test]
fn a_request_that_goes_wrong_is_settled_by_looking() {
    let passing = [
        Mishap::Unsent,
        Mishap::Unanswered,
        Mishap::Half,
        Mishap::Refused(409, "ConditionalRequestConflict"),
        Mishap::Refused(429, "SlowDown"),
        Mishap::Refused(500, "InternalError"),
        Mishap::Refused(503, "SlowDown"),
    ];
    for mishap in passing {
        for bad in 0..4 {
            let server = Server::start();
            let mut documents = open(&server);
            documents.pause = Duration::ZERO;
            server.with_whim(move |number, _| if number == bad { mishap } else { Mishap::None });
            let first = documents.write_if("heads/a", b"one", None).unwrap().unwrap();
            let second = documents.write_if("heads/a", b"two", Some(&first)).unwrap().unwrap();
            let found = documents.read("heads/a").unwrap().unwrap();
            assert_eq!((found.body.as_slice(), found.tag), (b"two".as_slice(), second), "{mishap:?} at {bad}");
            assert_eq!(documents.list("heads/").unwrap().len(), 1);
        }
    }
    let server = Server::start();
    let mut documents = open(&server);
    documents.pause = Duration::ZERO;
    server.with_whim(|_, _| Mishap::Unsent);
    assert!(matches!(documents.write_if("a", b"one", None), Err(DocumentsError::Unreachable { .. })));
    assert_eq!((server.requests(), server.bodies().len()), (3, 0));
}

#[test]
fn each_refusal_says_what_is_wrong_and_nothing_secret() {
    let cases = [
        (Mishap::Refused(403, "AccessDenied"), "s3:PutObject is not allowed (403 AccessDenied)"),
        (Mishap::Refused(403, "SignatureDoesNotMatch"), "does not accept the credentials"),
        (Mishap::Refused(403, "InvalidAccessKeyId"), "does not accept the credentials"),
        (Mishap::Refused(403, "RequestTimeTooSkewed"), "clock is off"),
        (Mishap::Refused(404, "NoSuchBucket"), "no bucket `journals`"),
        (Mishap::Refused(400, "ExpiredToken"), "have expired"),
        (Mishap::Refused(301, "PermanentRedirect"), "another region"),
        (Mishap::Refused(307, "TemporaryRedirect"), "another region"),
        (Mishap::Refused(418, "Teapot"), "it answers 418 Teapot"),
    ];
    for (mishap, why) in cases {
        let server = Server::start();
        let documents = open(&server);
        server.with_whim(move |_, _| mishap);
        let error = documents.write_if("heads/a", b"one", None).unwrap_err();
        let words = format!("{error} {}", error.hint().map(|hint| hint.to_string()).unwrap_or_default());
        assert!(
            words.contains(why) && !words.contains(SECRET_KEY) && !words.contains(ACCESS_KEY),
            "{mishap:?}: {words}"
        );
        assert!(!matches!(error, DocumentsError::Unreachable { .. }), "{error}");
        assert_eq!(server.requests(), 1, "it is asked once");
    }
    let server = Server::start();
    server.is_in("eu-central-1");
    let error = open(&server).read("a").unwrap_err().to_string();
    assert!(error.contains("`?region=eu-central-1`"), "{error}");
    server.with_whim(|_, _| Mishap::Refused(404, "NoSuchBucket"));
    assert!(open(&server).read("a").unwrap_err().to_string().contains("no bucket"));
}

#[test]
fn credentials_that_end_are_found_anew_once() {
    let server = Server::start();
    let is_over = Arc::new(AtomicBool::new(true));
    let seen = Arc::clone(&is_over);
    server.with_whim(move |_, _| match seen.load(Ordering::SeqCst) {
        true => Mishap::Refused(400, "ExpiredToken"),
        false => Mishap::None,
    });
    let url = server.server.url();
    let login = move || access(&url, ACCESS_KEY, SECRET_KEY);
    let documents = open(&server);
    assert!(matches!(documents.read("a"), Err(DocumentsError::Expired { .. })));
    let fresh = login.clone();
    let documents = documents.renewed_by(move || Some(fresh()));
    assert!(matches!(documents.read("a"), Err(DocumentsError::Expired { .. })));
    let documents = documents.renewed_by(move || {
        is_over.store(false, Ordering::SeqCst);
        Some(login())
    });
    assert!(documents.read("a").unwrap().is_none());
}

#[test]
fn a_document_that_is_too_large_is_not_taken_in() {
    let server = Server::start();
    server.put("team/whsec/heads/a", vec![b'x'; super::super::LARGEST + 1]);
    let error = open(&server).read("heads/a").unwrap_err().to_string();
    assert!(error.contains("larger than one may be"), "{error}");
}

/// By another maker, who checks every signature; `tests/aws/check.sh` starts it and makes the bucket.
#[test]
#[ignore = "needs moto; run by tests/run"]
fn moto_keeps_what_it_promises() {
    let set = |name: &str| std::env::var(name).unwrap();
    let location: Location = "s3://whsec-journal/team?region=eu-west-1".parse().unwrap();
    let open = |secret: &str| {
        Documents::at(&location, access(&set("AWS_ENDPOINT_URL"), &set("AWS_ACCESS_KEY_ID"), secret)).unwrap()
    };
    let documents = open(&set("AWS_SECRET_ACCESS_KEY"));
    let first = documents.write_if("signed/a", b"one", None).unwrap().unwrap();
    assert!(documents.write_if("signed/a", b"two", None).unwrap().is_none());
    let second = documents.write_if("signed/a", b"two", Some(&first)).unwrap().unwrap();
    assert!(documents.write_if("signed/a", b"three", Some(&first)).unwrap().is_none());
    assert_eq!(documents.read("signed/a").unwrap().unwrap().tag, second);
    assert_eq!(documents.versions(), Some(Versions::Lost));
    assert_eq!(open("another").versions(), Some(Versions::Forbidden));
    let error = open("another").read("signed/a").unwrap_err().to_string();
    assert!(error.contains("does not accept the credentials"), "{error}");
    documents.delete("signed/a").unwrap();
    // Of a query with a slash in it, which AWS wants encoded, it makes another signature than AWS: the rest goes unchecked.
    let url = Url::parse(&format!("{}/moto-api/reset-auth", set("AWS_ENDPOINT_URL"))).unwrap();
    let connections = Connections::new(&Options { timeout: Duration::from_secs(5), ca: None }).unwrap();
    let let_pass = |count: &str| {
        let body = Some(count.as_bytes().to_vec().into());
        let call = Call { method: "POST", url: url.clone(), headers: Vec::new(), body };
        http::call(&connections, call, Instant::now() + Duration::from_secs(5)).is_ok_and(|it| it.status == 200)
    };
    assert!(let_pass("1000000"));
    keeps_documents(&documents);
    prove(&|| Ok(open("any"))).unwrap();
    assert!(let_pass("0"));
}
