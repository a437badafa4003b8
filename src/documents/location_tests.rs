//! Locations as people write them.

use super::super::{Bucket, Place};
use super::*;

fn location(text: &str) -> Location {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn bucket(text: &str) -> Bucket {
    match location(text).place() {
        Place::Objects(bucket) => bucket.clone(),
        Place::Postgres(_) => panic!("{text}"),
    }
}

#[test]
fn a_location_is_shown_as_it_was_written_and_its_key_is_apart() {
    let far = location("postgres://ops@db.example.com:6432/whsec#00112233445566778899AABB");
    assert_eq!(far.key(), Some("00112233445566778899aabb"));
    assert_eq!(far.to_string(), "postgres://ops@db.example.com:6432/whsec");
    assert_eq!(location("postgres://localhost/whsec").key(), None);
    let objects = location("s3://acme-ops/whsec?region=eu-central-1#00112233445566778899aabb");
    assert_eq!(objects.to_string(), "s3://acme-ops/whsec?region=eu-central-1");
    assert!(objects.key().is_some());
}

#[test]
fn a_bucket_has_a_prefix_a_region_and_an_address_where_they_are_said() {
    let bare = bucket("s3://acme-ops");
    assert_eq!((&*bare.name, &*bare.prefix, bare.region, bare.endpoint), ("acme-ops", "", None, None));
    let whole = bucket("s3://acme-ops/a/b/?region=eu-central-1&endpoint=https%3A%2F%2Fs3.example.com%2F");
    assert_eq!((&*whole.prefix, whole.region.as_deref()), ("a/b", Some("eu-central-1")));
    assert_eq!(whole.endpoint.as_deref(), Some("https://s3.example.com"));
    assert_eq!(bucket("s3://b.c/x?endpoint=http://127.0.0.1:9").endpoint.as_deref(), Some("http://127.0.0.1:9"));
}

#[test]
fn what_is_no_location_is_refused_with_the_reason() {
    for (text, why) in [
        ("whsec", "is no address"),
        ("https://db.example.com/whsec", "is no place for a journal"),
        ("gs://bucket/prefix", "is an object store that this whsec"),
        ("postgres://db.example.com", "one database"),
        ("postgres://db.example.com/a/b", "one database"),
        ("postgres://ops:hunter2@db.example.com/whsec", "PGPASSWORD"),
        ("postgres://db.example.com/whsec?password=hunter2", "PGPASSWORD"),
        ("postgres://db.example.com/whsec?sslmode=require", "checks nothing"),
        ("postgres://db.example.com/whsec?target=x", "`target`"),
        ("postgres://db.example.com/whsec#abc", "fingerprint"),
        ("postgres://a/whsec?host=/run", "a host and a socket"),
        ("postgres:///whsec?sslmode=verify-full", "TLS on a socket"),
        ("s3:///prefix", "name a bucket"),
        ("s3://AKID:hunter2@bucket/x", "AWS_PROFILE"),
        ("s3://bucket/a//b", "a prefix of other letters"),
        ("s3://bucket/a%20b", "a prefix of other letters"),
        ("s3://bucket/x?region=eu/west", "`region`"),
        ("s3://bucket/x?endpoint=http://far.example", "`endpoint` that cannot be used: http goes only"),
        ("s3://bucket/x?profile=y", "`profile`"),
    ] {
        let error = text.parse::<Location>().unwrap_err().to_string();
        assert!(error.contains(why) && !error.contains("hunter2"), "{text}: {error}");
    }
}
