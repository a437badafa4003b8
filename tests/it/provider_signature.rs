//! Signatures against vectors that others made, and against every way of getting them wrong.

use whsec::provider::Catalog;
use whsec::provider::signature::{Mismatch, Scheme, sign, verify};
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
    let signed = sign(&scheme("signa"), &[&secret], VECTOR_ID, VECTOR_TIME, VECTOR_BODY).expect("a signature");
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
        let signed = sign(&scheme, &[&new, &old], "msg_1", 1_000, b"body").expect("a signature");
        assert_eq!(verify(&scheme, &[&new], &signed, b"body", 1_000), Ok(0), "{provider}");
        assert_eq!(verify(&scheme, &[&other, &old], &signed, b"body", 1_300), Ok(1), "{provider}");
        assert_eq!(verify(&scheme, &[&other], &signed, b"body", 1_000), Err(Mismatch::NoMatch), "{provider}");
        assert_eq!(verify(&scheme, &[&new], &signed, b"bodY", 1_000), Err(Mismatch::NoMatch), "{provider}");
        let stale = |seconds, early| Err(Mismatch::Stale { seconds, early });
        assert_eq!(verify(&scheme, &[&new], &signed, b"body", 1_301), stale(301, false), "{provider}");
        assert_eq!(verify(&scheme, &[&new], &signed, b"body", 699), stale(301, true), "{provider}");
    }
}

#[test]
fn pairs_are_hex_over_time_and_body_with_the_whole_secret() {
    // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac whsec_abc
    let signed =
        sign(&scheme("hopae"), &[&Secret::new("whsec_abc")], "", 1_700_000_000, br#"{"a":1}"#).expect("a signature");
    let mac = "3b843bacfb18cc5554542fdcc84d815b399c52758e508a6fcecf0a2af4efea2b";
    assert_eq!(signed, headers(&[("X-Hopae-Signature", &format!("t=1700000000,v1={mac}"))]));
}

#[test]
fn malformed_headers_are_named_and_never_verify() {
    let secret = Secret::new("whsec_abc");
    let scheme = scheme("layers");
    let check = |value: &str| verify(&scheme, &[&secret], &headers(&[("x-layers-signature", value)]), b"", 0);
    for value in ["", "t=1", "v1=00", "t=1,t=2,v1=00", "t=-1,v1=00", "t=99999999999999999999,v1=00", "garbage", ",,,="]
    {
        assert!(matches!(check(value), Err(Mismatch::Malformed { .. })), "{value}: {:?}", check(value));
    }
    let versions =
        Mismatch::UnknownVersion { header: "X-Layers-Signature".to_owned(), versions: "`v0`, `v2`".to_owned() };
    assert_eq!(check("t=1,v0=00,v2=00"), Err(versions));
    assert!(matches!(verify(&scheme, &[&secret], &[], b"", 0), Err(Mismatch::Missing { .. })));
    let twice = headers(&[("X-Layers-Signature", "t=1,v1=00"), ("x-layers-signature", "t=1,v1=00")]);
    assert!(matches!(verify(&scheme, &[&secret], &twice, b"", 0), Err(Mismatch::Malformed { .. })));
}

#[test]
fn other_versions_are_skipped() {
    let scheme = scheme("signa");
    let value = format!("v1a,AAAA v2,AAAA {VECTOR_SIGNATURE}");
    let sent =
        headers(&[("Webhook-Id", VECTOR_ID), ("Webhook-Timestamp", "1649367553"), ("Webhook-Signature", &value)]);
    assert_eq!(verify(&scheme, &[&Secret::new(VECTOR_SECRET)], &sent, VECTOR_BODY, VECTOR_TIME), Ok(0));
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
    assert_eq!(verify(&scheme, &secrets, &sent, VECTOR_BODY, VECTOR_TIME), Err(Mismatch::Undecodable { index: 1 }));
    assert!(sign(&scheme, &secrets, "m", 1, b"").is_err());
}

#[test]
fn an_undocumented_scheme_is_absent() {
    assert!(Scheme::of(&Catalog::builtin().get("kadosei").expect("kadosei")).is_none());
}
