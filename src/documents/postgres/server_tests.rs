//! Servers as people write them, and what lets in.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn server(text: &str) -> Server {
    Server::of(&Url::parse(text).unwrap()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn a_server_is_a_host_or_a_socket_and_is_encrypted_unless_it_is_near() {
    let far = server("postgres://ops@db.example.com:6432/whsec");
    assert_eq!((far.host.clone(), far.port), (Host::Name("db.example.com".to_owned()), 6432));
    assert_eq!((far.user.as_deref(), &*far.database, far.is_encrypted), (Some("ops"), "whsec", true));
    let near = server("postgres://localhost/whsec");
    assert_eq!((near.port, near.is_encrypted), (5432, false));
    assert!(server("postgres://localhost/whsec?sslmode=verify-full").is_encrypted);
    assert!(!server("postgres://db.example.com/whsec?sslmode=disable").is_encrypted);
    let socket = server("postgres:///whsec?host=/run/pg&port=5433&user=ana");
    assert_eq!((socket.host.clone(), socket.port), (Host::Socket("/run/pg".into()), 5433));
    assert_eq!((socket.user.as_deref(), socket.is_encrypted), (Some("ana"), false));
    assert_eq!(server("postgres://[::1]:5433/w").host, Host::Name("::1".to_owned()));
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
        server(text).login(variable, None).map(|login| login.password.map(|it| it.expose().to_owned()))
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
