//! Signatures against vectors that others made, and against every way of getting them wrong.

use whsec::provider::signature::{Mismatch, Scheme, Sent, sign, verify};
use whsec::provider::{Catalog, Provider, ProviderError};
use whsec::secret::Secret;

fn scheme(provider: &str) -> Scheme {
    Scheme::of(&Catalog::builtin().get(provider).expect(provider)).expect("a described signature")
}

fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

const VECTOR_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const VECTOR_ID: &str = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
const VECTOR_TIME: i64 = 1_649_367_553;
const VECTOR_BODY: &[u8] = br#"{"email":"test@example.com","username":"test_user"}"#;
const VECTOR_SIGNATURE: &str = "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=";

#[test]
fn standard_webhooks_test_vector() {
    let secret = Secret::new(VECTOR_SECRET);
    let signed =
        sign(&scheme("signa"), &[&secret], VECTOR_ID, VECTOR_TIME, Sent::of(VECTOR_BODY)).expect("a signature");
    let expected =
        [("webhook-id", VECTOR_ID), ("webhook-timestamp", "1649367553"), ("webhook-signature", VECTOR_SIGNATURE)];
    assert_eq!(signed, headers(&expected));
}

#[test]
fn either_secret_of_an_overlap_verifies_and_is_named() {
    for provider in ["layers", "signa", "hopae", "verifa"] {
        let scheme = scheme(provider);
        let (new, old, other) =
            (Secret::new("whsec_bmV3bmV3"), Secret::new("whsec_b2xkb2xk"), Secret::new("whsec_b3RoZXJv"));
        let signed = sign(&scheme, &[&new, &old], "msg_1", 1_000, Sent::of(b"body")).expect("a signature");
        assert_eq!(verify(&scheme, &[&new], &signed, Sent::of(b"body"), 1_000), Ok(0), "{provider}");
        assert_eq!(verify(&scheme, &[&other, &old], &signed, Sent::of(b"body"), 1_300), Ok(1), "{provider}");
        assert_eq!(verify(&scheme, &[&other], &signed, Sent::of(b"body"), 1_000), Err(Mismatch::NoMatch), "{provider}");
        assert_eq!(verify(&scheme, &[&new], &signed, Sent::of(b"bodY"), 1_000), Err(Mismatch::NoMatch), "{provider}");
        let stale = |seconds, early| Err(Mismatch::Stale { seconds, early });
        assert_eq!(verify(&scheme, &[&new], &signed, Sent::of(b"body"), 1_301), stale(301, false), "{provider}");
        assert_eq!(verify(&scheme, &[&new], &signed, Sent::of(b"body"), 699), stale(301, true), "{provider}");
    }
}

#[test]
fn pairs_are_hex_over_time_and_body_with_the_whole_secret() {
    // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac whsec_abc
    let signed = sign(&scheme("hopae"), &[&Secret::new("whsec_abc")], "", 1_700_000_000, Sent::of(br#"{"a":1}"#))
        .expect("a signature");
    let mac = "3b843bacfb18cc5554542fdcc84d815b399c52758e508a6fcecf0a2af4efea2b";
    assert_eq!(signed, headers(&[("X-Hopae-Signature", &format!("t=1700000000,v1={mac}"))]));
}

#[test]
fn a_timestamp_is_signed_as_it_is_written_and_judged_as_the_moment_that_it_is() {
    // printf 'v1.1700000000123.{}' | openssl dgst -sha256 -hmac wsk_abc; the same of 2023-11-14T22:13:20Z{} in base64
    let milliseconds = "v1=f984a63cc4e4146dab0f187c31c50b91d2abde99f027ac716b4e1b724e9f5f95";
    let words = "RdjwxusfYxmURUJEKfMKk7gh65FC6CSBPN2D7Fp92GY=";
    let secret = Secret::new("wsk_abc");
    let revolut = [("revolut-signature", milliseconds), ("revolut-request-timestamp", "1700000000123")];
    let zendesk =
        [("x-zendesk-webhook-signature", words), ("x-zendesk-webhook-signature-timestamp", "2023-11-14T22:13:20Z")];
    for (name, delivered) in [("revolut-merchant", revolut), ("zendesk", zendesk)] {
        let (scheme, delivered) = (scheme(name), headers(&delivered));
        let check = |now| verify(&scheme, &[&secret], &delivered, Sent::of(b"{}"), now);
        assert_eq!((check(1_700_000_000), check(1_700_000_300)), (Ok(0), Ok(0)), "{name}");
        assert_eq!(check(1_700_000_301), Err(Mismatch::Stale { seconds: 301, early: false }), "{name}");
        // What we sign, we verify; and it bears the form.
        let signed = sign(&scheme, &[&secret], "", 1_700_000_000, Sent::of(b"{}")).expect("a signature");
        assert_eq!(verify(&scheme, &[&secret], &signed, Sent::of(b"{}"), 1_700_000_000), Ok(0), "{name}");
        let stamp =
            signed.iter().find(|(header, _)| header.to_lowercase().ends_with("timestamp")).expect("a timestamp");
        assert!(["1700000000000", "2023-11-14T22:13:20Z"].contains(&stamp.1.as_str()), "{stamp:?}");
        let mut wrong = delivered.clone();
        wrong[1].1 = "soon".to_owned();
        assert!(
            matches!(verify(&scheme, &[&secret], &wrong, Sent::of(b"{}"), 0), Err(Mismatch::Malformed { .. })),
            "{name}"
        );
    }
}

#[test]
fn malformed_headers_are_named_and_never_verify() {
    let secret = Secret::new("whsec_abc");
    let scheme = scheme("layers");
    let check = |value: &str| verify(&scheme, &[&secret], &headers(&[("x-layers-signature", value)]), Sent::of(b""), 0);
    for value in ["", "t=1", "v1=00", "t=1,t=2,v1=00", "t=-1,v1=00", "t=99999999999999999999,v1=00", "garbage", ",,,="]
    {
        assert!(matches!(check(value), Err(Mismatch::Malformed { .. })), "{value}: {:?}", check(value));
    }
    let versions = Mismatch::UnknownVersion {
        header: "X-Layers-Signature".to_owned(),
        wanted: "v1".to_owned(),
        versions: "`v0`, `v2`".to_owned(),
    };
    assert_eq!(check("t=1,v0=00,v2=00"), Err(versions));
    assert!(matches!(verify(&scheme, &[&secret], &[], Sent::of(b""), 0), Err(Mismatch::Missing { .. })));
    let twice = headers(&[("X-Layers-Signature", "t=1,v1=00"), ("x-layers-signature", "t=1,v1=00")]);
    assert!(matches!(verify(&scheme, &[&secret], &twice, Sent::of(b""), 0), Err(Mismatch::Malformed { .. })));
}

#[test]
fn other_versions_are_skipped() {
    let scheme = scheme("signa");
    let value = format!("v1a,AAAA v2,AAAA {VECTOR_SIGNATURE}");
    let sent =
        headers(&[("Webhook-Id", VECTOR_ID), ("Webhook-Timestamp", "1649367553"), ("Webhook-Signature", &value)]);
    assert_eq!(verify(&scheme, &[&Secret::new(VECTOR_SECRET)], &sent, Sent::of(VECTOR_BODY), VECTOR_TIME), Ok(0));
}

#[test]
fn a_secret_that_is_not_base64_is_named() {
    let scheme = scheme("signa");
    let sent = headers(&[
        ("webhook-id", VECTOR_ID),
        ("webhook-timestamp", "1649367553"),
        ("webhook-signature", VECTOR_SIGNATURE),
    ]);
    let secrets = [&Secret::new("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oE"), &Secret::new("whsec_%%%")];
    assert_eq!(
        verify(&scheme, &secrets, &sent, Sent::of(VECTOR_BODY), VECTOR_TIME),
        Err(Mismatch::Undecodable { index: 1 })
    );
    assert!(sign(&scheme, &secrets, "m", 1, Sent::of(b"")).is_err());
}

#[test]
fn an_undocumented_scheme_is_absent() {
    assert!(Scheme::of(&Catalog::builtin().get("kadosei").expect("kadosei")).is_none());
}

/// A description of Layers that signs in another way.
fn described(signature: &str) -> Result<Provider, ProviderError> {
    let text = include_str!("../../src/provider/builtin/layers.toml");
    let (before, rest) = text.split_once("[signature]\n").expect("how Layers signs");
    let (_, after) = rest.split_once("\n\n").expect("something behind it");
    Provider::parse(&format!("{before}[signature]\n{signature}\n\n{after}"), "acme.toml")
}

fn scheme_of(signature: &str) -> Scheme {
    Scheme::of(&described(signature).expect(signature)).expect(signature)
}

const TAGGED: &str = r#"header = "X-Hub-Signature-256"
entry = "sha256={mac}"
signed = "{body}"
encoding = "hex"
key = "raw""#;

#[test]
fn a_tagged_signature_over_the_body_alone_is_githubs_own_vector() {
    // https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries, read 2026-11-22
    let (scheme, secret) = (scheme_of(TAGGED), Secret::new("It's a Secret to Everybody"));
    let signed = sign(&scheme, &[&secret], "", 0, Sent::of(b"Hello, World!")).expect("a signature");
    let mac = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    assert_eq!(signed, headers(&[("X-Hub-Signature-256", &format!("sha256={mac}"))]));
    // Nothing says when it was signed, so that it is never too old.
    assert_eq!(verify(&scheme, &[&secret], &signed, Sent::of(b"Hello, World!"), i64::MAX), Ok(0));
    assert_eq!(scheme.tolerance(), None);
}

#[test]
fn signatures_stand_in_a_header_as_it_is_described() {
    let (new, old) = (Secret::new("whsec_bmV3bmV3"), Secret::new("whsec_b2xkb2xk"));
    let rest = |signed: &str| format!("signed = \"{signed}\"\nencoding = \"hex\"\nkey = \"raw\"");
    let timed = "tolerance = \"300s\"";
    for (words, is_timed, is_many, begins, ends_in_time) in [
        ("entry = \"{mac}\"".to_owned(), false, false, "", false),
        ("entry = \"sha256={mac}\"".to_owned(), false, false, "sha256=", false),
        ("entry = \"v1={mac}\"\nbetween = \",\"".to_owned(), false, true, "v1=", false),
        (
            format!("lead = \"ts={{timestamp}}\"\nentry = \"h1={{mac}}\"\nbetween = \";\"\n{timed}"),
            true,
            true,
            "ts=1000;h1=",
            false,
        ),
        (format!("timestamp_header = \"X-Time\"\nentry = \"v0={{mac}}\"\n{timed}"), true, false, "v0=", true),
        (format!("grammar = \"t=,v1=\"\n{timed}"), true, true, "t=1000,v1=", false),
        (format!("grammar = \"v1, v1,\"\ntimestamp_header = \"X-Time\"\n{timed}"), true, true, "v1,", true),
    ] {
        let signed = if is_timed { "v0:{timestamp}:{body}" } else { "{body}" };
        let scheme = scheme_of(&format!("header = \"X-Sig\"\n{words}\n{}", rest(signed)));
        let sent = sign(&scheme, &[&new, &old], "", 1_000, Sent::of(b"body")).expect("a signature");
        let value = &sent.last().expect("a header").1;
        assert!(value.starts_with(begins), "{value}");
        assert_eq!(sent.len(), 1 + usize::from(ends_in_time), "{words}");
        assert_eq!(verify(&scheme, &[&new], &sent, Sent::of(b"body"), 1_000), Ok(0), "{words}");
        assert_eq!(verify(&scheme, &[&new], &sent, Sent::of(b"bodY"), 1_000), Err(Mismatch::NoMatch), "{words}");
        // Where there is place for one signature, it is the newest secret's.
        let by_old = if is_many { Ok(0) } else { Err(Mismatch::NoMatch) };
        assert_eq!(verify(&scheme, &[&old], &sent, Sent::of(b"body"), 1_000), by_old, "{words}");
        assert_eq!(scheme.signs_with_all(), is_many, "{words}");
        let late = verify(&scheme, &[&new], &sent, Sent::of(b"body"), 1_400);
        assert_eq!(late.is_err(), is_timed, "{words}: {late:?}");
    }
}

#[test]
fn a_header_that_is_not_as_described_is_named() {
    let (scheme, secret) = (scheme_of(TAGGED), Secret::new("whsec_abc"));
    let check =
        |value: &str| verify(&scheme, &[&secret], &headers(&[("x-hub-signature-256", value)]), Sent::of(b""), 0);
    for value in ["", "sha256", "00ff", "t=1,v1=00"] {
        assert!(matches!(check(value), Err(Mismatch::Malformed { .. })), "{value}: {:?}", check(value));
    }
    let other = Mismatch::UnknownVersion {
        header: "X-Hub-Signature-256".to_owned(),
        wanted: "sha256".to_owned(),
        versions: "`sha1`".to_owned(),
    };
    assert_eq!(other.to_string(), "the header `X-Hub-Signature-256` has no `sha256` signature, only `sha1`");
    assert_eq!(check("sha1=00"), Err(other));
    assert_eq!(check("sha256="), Err(Mismatch::NoMatch));
}

#[test]
fn words_about_signatures_that_contradict_each_other_are_refused() {
    for (from, to, key) in [
        ("entry = \"sha256={mac}\"\n", "", "signature.entry"),
        ("sha256={mac}", "sha256=", "signature.entry"),
        ("sha256={mac}", "sha256={mac};", "signature.entry"),
        ("sha256={mac}", "{mac}", ""),
        ("sha256={mac}\"", "sha256={mac}\"\ngrammar = \"t=,v1=\"", "signature.entry"),
        ("sha256={mac}\"", "sha256={mac}\"\nlead = \"t={timestamp}\"", "signature.between"),
        ("sha256={mac}\"", "sha256={mac}\"\nbetween = \"=\"", "signature.between"),
        ("sha256={mac}\"", "sha,256={mac}\"\nbetween = \",\"", "signature.between"),
        ("sha256={mac}\"", "sha256={mac}\"\nbetween = \",\"\nlead = \"t={time}\"", "signature.lead"),
        ("sha256={mac}\"", "sha256={mac}\"\nbetween = \",\"\nlead = \"sha256={timestamp}\"", "signature.lead"),
        ("\"{body}\"", "\"{timestamp}.{body}\"", "signature.signed"),
        ("key = \"raw\"", "key = \"raw\"\ntolerance = \"300s\"", "signature.tolerance"),
        ("key = \"raw\"", "key = \"raw\"\ntimestamp_header = \"X-Time\"", "signature.signed"),
        ("\"{body}\"", "\"{timestamp}.{body}\"\ntimestamp_header = \"X-Time\"", "signature.tolerance"),
    ] {
        let words = TAGGED.replacen(from, to, 1);
        assert_ne!(words, TAGGED);
        match (described(&words), key) {
            (Ok(_), "") => {}
            (Err(ProviderError::Invalid { key: found, .. }), key) => assert_eq!(found, key, "{words}"),
            (other, _) => panic!("{words}: {:?}", other.err()),
        }
    }
}

/// Words of `[signature]` in a line each.
fn words(words: &[(&str, &str)]) -> String {
    words.iter().map(|(key, value)| format!("{key} = \"{value}\"\n")).collect()
}

#[test]
fn what_is_signed_and_how_is_as_others_compute_it() {
    // All but Twilio's, which is the one of its helper libraries, by Python's hmac and hashlib.
    let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
    let form = "CallSid=CA1234567890ABCDE&Digits=1234&From=%2B14158675309&To=%2B18005551212&Caller=%2B14158675309";
    let sha512 = "25e303227595f0da63ec73648e6e20a863fb66a4ce40bc5351de5906469ea273\
                  2174bf29ffd6e9420fd19ca3ec16cd15145496d1084fc7d42d992f2fd08d0a07";
    let hex = &[("encoding", "hex"), ("key", "raw")][..];
    let sha1 = [&[("header", "X-Sig"), ("entry", "{mac}"), ("signed", "{body}"), ("hash", "sha1")], hex].concat();
    let urls = [
        &[("header", "X-Sig"), ("timestamp_header", "X-Time"), ("entry", "{mac}"), ("signed", "{timestamp}.{body}")][..],
        &[("encoding", "base64url"), ("key", "hex"), ("tolerance", "300s")],
    ];
    let (a, b) = ("https://a.example/hook?x=1", "https://a.example/hook");
    for (scheme, secret, at, sent, value) in [
        (scheme("twilio"), "12345", 0, Sent::to(url, form.as_bytes()), "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        (scheme("hubspot"), "cs", 1_700_000_000, Sent::to(a, b"{}"), "N4kSkxztZbSZvHuxNmBnUHqGYPtQbijbgaeB7zlITco="),
        (scheme("square"), "key", 0, Sent::to(b, b"{}"), "e4DCN7ESE2bJoPidl8nzZKmYpraFT6NwQLfNQX36J54="),
        (scheme("terraform"), "tok", 0, Sent::of(b"{}"), sha512),
        (scheme_of(&words(&sha1)), "tok", 0, Sent::of(b"{}"), "fb0bbc5cbf67ed87a9f89dd3344aece0e87ec022"),
        (
            scheme_of(&words(&urls.concat())),
            "00ff10",
            1,
            Sent::of(b"{}"),
            "l9ghBxe9UtvXwYDeAg9UhYzJCbiK_FFJDIPHspzyyPw",
        ),
    ] {
        let secret = Secret::new(secret);
        let signed = sign(&scheme, &[&secret], "", at, sent).expect("a signature");
        assert_eq!(signed.last().map(|(_, value)| value.as_str()), Some(value), "{scheme:?}");
        assert_eq!(verify(&scheme, &[&secret], &signed, sent, at), Ok(0), "{scheme:?}");
        // Another body, another method and another address are others' where they are signed.
        assert!(verify(&scheme, &[&secret], &signed, Sent { body: b"[]", ..sent }, at).is_err(), "{scheme:?}");
        let elsewhere = verify(&scheme, &[&secret], &signed, Sent { url: "https://b.example", ..sent }, at);
        assert_eq!(elsewhere.is_err(), scheme.signs_address(), "{scheme:?}");
        let another = verify(&scheme, &[&secret], &signed, Sent { method: "PUT", ..sent }, at);
        assert_eq!(another.is_err(), scheme.signed().is_some_and(|signed| signed.contains("method")), "{scheme:?}");
    }
}

#[test]
fn each_secret_has_a_header_of_its_own_where_they_are_numbered() {
    let scheme = scheme_of(&words(&[
        ("header", "X-DocuSign-Signature-{n}"),
        ("entry", "{mac}"),
        ("signed", "{body}"),
        ("encoding", "base64"),
        ("key", "raw"),
    ]));
    let (one, two) = (Secret::new("k1"), Secret::new("k2"));
    let signed = sign(&scheme, &[&one, &two], "", 0, Sent::of(b"{}")).expect("signatures");
    let expected = [
        ("X-DocuSign-Signature-1", "4x4tRgp06RDdzbkNvYxE5Qj6VSLZifgsCh7RvopQCG0="),
        ("X-DocuSign-Signature-2", "P5tta5UBaLr19kRUlFXRcCYuQzQQ2VM2KwEBlqpU7yA="),
    ];
    assert_eq!(signed, headers(&expected));
    for (headers, known, found) in [
        (&signed[..], &one, Ok(0)),
        (&signed[..], &two, Ok(0)),
        (&signed[..1], &two, Err(Mismatch::NoMatch)),
        // The first is missed by its number, and so is what stands behind it.
        (&signed[1..], &two, Err(Mismatch::Missing { header: "X-DocuSign-Signature-1".to_owned() })),
    ] {
        assert_eq!(verify(&scheme, &[known], headers, Sent::of(b"{}"), 0), found);
    }
    assert!(scheme.signs_with_all());
}

#[test]
fn a_secret_that_stands_in_the_header_itself_is_compared_whole() {
    let scheme = scheme_of(&words(&[("header", "X-Token"), ("entry", "{secret}")]));
    let (token, other) = (Secret::new("tok_abc"), Secret::new("tok_ab"));
    let signed = sign(&scheme, &[&token, &other], "", 0, Sent::of(b"{}")).expect("a header");
    assert_eq!(signed, headers(&[("X-Token", "tok_abc")]));
    assert!(scheme.bears_secret() && scheme.signed().is_none() && !scheme.signs_with_all());
    assert_eq!(verify(&scheme, &[&other, &token], &signed, Sent::of(b"anything"), 9), Ok(1));
    assert_eq!(verify(&scheme, &[&other], &signed, Sent::of(b"{}"), 0), Err(Mismatch::NoMatch));
    assert!(!scheme.written(&scheme.garbage()).is_empty());
}

#[test]
fn words_that_do_not_go_together_are_refused_by_their_key() {
    let mac = &[("signed", "{body}"), ("encoding", "hex"), ("key", "raw")][..];
    for (said, more, key) in [
        (&[("header", "X-Token"), ("entry", "{secret}"), ("signed", "{body}")][..], &[][..], "signature.signed"),
        (&[("header", "X-Token"), ("entry", "{secret}"), ("hash", "sha1")], &[], "signature.hash"),
        (&[("header", "X-Token"), ("entry", "{secret}"), ("key", "raw")], &[], "signature.key"),
        (&[("header", "X-Token"), ("entry", "{secret}x")], mac, "signature.entry"),
        (&[("header", "X-{n}"), ("entry", "{mac}"), ("between", ",")], mac, "signature.header"),
        (&[("header", "X-{n}-Y"), ("entry", "{mac}")], mac, "signature.header"),
        (&[("header", "X-Sig"), ("entry", "{mac}"), ("signed", "{body}")], &[("key", "raw")], "signature.encoding"),
        (&[("header", "X-Sig"), ("entry", "{mac}"), ("encoding", "hex")], &[("key", "raw")], "signature.signed"),
        (&[("header", "X-Sig"), ("entry", "{mac}"), ("signed", "{uri}{body}")], &mac[1..], "signature.signed"),
    ] {
        match described(&words(&[said, more].concat())) {
            Err(ProviderError::Invalid { key: found, .. }) => assert_eq!(found, key, "{said:?}"),
            other => panic!("{said:?}: {other:?}"),
        }
    }
}

#[test]
fn a_time_in_each_signature_is_one_time_for_all_of_them() {
    // printf '1700000000.{}' | openssl dgst -sha256 -hmac k1
    let mac = "785007fcdfc0a1ff84024b971255b4ed6d6252a8ab40f7c5a4ea4f4da336a83b";
    let (scheme, one, two) = (scheme("persona"), Secret::new("k1"), Secret::new("k2"));
    let signed = sign(&scheme, &[&one, &two], "", 1_700_000_000, Sent::of(b"{}")).expect("signatures");
    let value = &signed[0].1;
    assert!(value.starts_with("t=1700000000,v1=") && value.matches(" t=1700000000,v1=").count() == 1, "{value}");
    assert!(value.contains(mac), "{value}");
    for known in [&one, &two] {
        assert_eq!(verify(&scheme, &[known], &signed, Sent::of(b"{}"), 1_700_000_300), Ok(0));
        let late = verify(&scheme, &[known], &signed, Sent::of(b"{}"), 1_700_000_301);
        assert_eq!(late, Err(Mismatch::Stale { seconds: 301, early: false }));
    }
    // The time of another signature vouches for nothing.
    for mixed in [value.replacen("t=17", "t=18", 1), value.replace("t=17", "t=x7"), value.replace(",v1=", ";v1=")] {
        let sent = headers(&[("persona-signature", &mixed)]);
        assert!(matches!(
            verify(&scheme, &[&one], &sent, Sent::of(b"{}"), 1_700_000_000),
            Err(Mismatch::Malformed { .. })
        ));
    }
    assert!(scheme.sketch().contains("t=…,v1=…"), "{}", scheme.sketch());
}
