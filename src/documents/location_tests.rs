//! Locations as people write them, and what lets in.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn location(text: &str) -> Location {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn a_location_says_where_and_whether_it_is_encrypted() {
    let far = location("postgres://ops@db.example.com:6432/whsec#00112233445566778899AABB");
    assert_eq!((far.host.clone(), far.port), (Host::Name("db.example.com".to_owned()), 6432));
    assert_eq!((far.user.as_deref(), &*far.database, far.is_encrypted), (Some("ops"), "whsec", true));
    assert_eq!(far.key(), Some("00112233445566778899aabb"));
    assert_eq!(far.to_string(), "postgres://ops@db.example.com:6432/whsec");
    let near = location("postgres://localhost/whsec");
    assert_eq!((near.port, near.is_encrypted, near.key()), (5432, false, None));
    assert!(location("postgres://localhost/whsec?sslmode=verify-full").is_encrypted);
    assert!(!location("postgres://db.example.com/whsec?sslmode=disable").is_encrypted);
    let socket = location("postgres:///whsec?host=/run/pg&port=5433&user=ana");
    assert_eq!((socket.host.clone(), socket.port), (Host::Socket("/run/pg".into()), 5433));
    assert_eq!((socket.user.as_deref(), socket.is_encrypted), (Some("ana"), false));
    assert_eq!(location("postgres://[::1]:5433/w").host, Host::Name("::1".to_owned()));
}

#[test]
fn what_is_no_location_is_refused_with_the_reason() {
    for (text, why) in [
        ("whsec", "is no address"),
        ("https://db.example.com/whsec", "is no place for a journal"),
        ("s3://bucket/prefix", "is an object store"),
        ("postgres://db.example.com", "one database"),
        ("postgres://db.example.com/a/b", "one database"),
        ("postgres://ops:hunter2@db.example.com/whsec", "PGPASSWORD"),
        ("postgres://db.example.com/whsec?password=hunter2", "PGPASSWORD"),
        ("postgres://db.example.com/whsec?sslmode=require", "checks nothing"),
        ("postgres://db.example.com/whsec?target=x", "`target`"),
        ("postgres://db.example.com/whsec#abc", "fingerprint"),
        ("postgres://a/whsec?host=/run", "a host and a socket"),
        ("postgres:///whsec?sslmode=verify-full", "TLS on a socket"),
    ] {
        let error = text.parse::<Location>().unwrap_err().to_string();
        assert!(error.contains(why) && !error.contains("hunter2"), "{text}: {error}");
    }
}

#[test]
fn a_password_comes_from_the_variable_or_the_line_that_fits() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("passwords");
    let lines = "# a remark\nother:*:*:*:no\ndb:5432:whsec:ana:an\\:a\n*:*:whsec:*:any:one\n";
    std::fs::write(&file, lines).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    let named = |name: &str| (name == "PGPASSFILE").then(|| file.display().to_string());
    let password = |text: &str, variable: &dyn Fn(&str) -> Option<String>| {
        location(text).login(variable, None).map(|login| login.password.map(|it| it.expose().to_owned()))
    };
    assert_eq!(password("postgres://ana@db/whsec", &named).unwrap().as_deref(), Some("an:a"));
    assert_eq!(password("postgres://ben@db/whsec", &named).unwrap().as_deref(), Some("any:one"));
    assert_eq!(password("postgres://ben@db/other", &named).unwrap(), None);
    let both = |name: &str| if name == "PGPASSWORD" { Some("own".to_owned()) } else { named(name) };
    assert_eq!(password("postgres://ana@db/whsec", &both).unwrap().as_deref(), Some("own"));
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
    let error = password("postgres://ana@db/whsec", &named).unwrap_err().to_string();
    assert!(error.contains("others can read it") && !error.contains("any"), "{error}");
    let none = |name: &str| (name == "PGPASSFILE").then(|| "/nowhere/passwords".to_owned());
    assert!(password("postgres://ana@db/whsec", &none).unwrap_err().to_string().contains("no such file"));
}
