//! What only a shared journal in a database has: who is let in, certificates, settings, poolers.

use std::process::{Child, Command};
use std::time::Duration;

use whsec::provider::stand_in::Fault;

use crate::sandbox::Sandbox;
use crate::shared::{NEEDS, begun, on, run, team};

#[test]
#[ignore = "needs PostgreSQL; run by tests/run"]
fn places_that_cannot_hold_a_journal_are_refused_by_what_is_wrong() {
    let sandbox = team("layers");
    let at = sandbox.database().unwrap();
    let (server, _) = at.rsplit_once('/').unwrap();
    let (_, host) = server.split_once('@').unwrap();
    let port = host.rsplit_once(':').unwrap().1;
    let with = |journal: &str, arguments: &[&str]| {
        sandbox.watch(on(&sandbox, "a", arguments).env("WHSEC_JOURNAL", journal).output().unwrap())
    };
    let rotate = ["rotate", "hooks", "--yes"];
    with("postgres://127.0.0.1:1/whsec", &rotate).exits(13).says("cannot reach");
    with(&format!("postgres://nobody@{host}/postgres"), &rotate).exits(3).says("nobody");
    with(&format!("{server}/nowhere"), &rotate).exits(3).says("nowhere");
    with(&format!("{server}/postgres"), &rotate).exits(4).says("whsec journal init");
    with(&at.replace("postgres@", "postgres:hunter2@"), &rotate).exits(2).says_not("hunter2").says("PGPASSWORD");
    with("gs://bucket/prefix", &rotate).exits(2).says("object store");
    with(&format!("postgres://postgres@localhost:{port}/whsec?sslmode=verify-full"), &rotate).exits(13);
    let database = at.rsplit_once('/').unwrap().1;
    sandbox.sql(&format!("ALTER DATABASE {database} SET synchronous_commit = off"));
    run(&sandbox, "a", &rotate).exits(6).says("synchronous_commit");
    sandbox.sql(&format!("ALTER DATABASE {database} RESET synchronous_commit"));
    sandbox.sql(&format!("ALTER DATABASE {database} SET default_transaction_read_only = on"));
    run(&sandbox, "a", &rotate).exits(6).says("read-only");
    assert_eq!(sandbox.requests(), 0);
}

/// A server elsewhere is believed by its certificate and its name.
#[test]
#[ignore = "needs PostgreSQL; run by tests/run"]
fn a_server_whose_certificate_does_not_prove_its_name_hears_nothing() {
    let sandbox = Sandbox::new("layers");
    let folder = std::env::var("WHSEC_TEST_POSTGRES_FOLDER").expect(NEEDS);
    // A file that decides what is trusted has to lie where nobody else could write.
    for name in ["ca.pem", "other.pem"] {
        std::fs::copy(format!("{folder}/{name}"), sandbox.path(name)).unwrap();
    }
    let at = sandbox.database().unwrap();
    let (port, database) = at.rsplit_once(':').unwrap().1.split_once('/').unwrap();
    let init = |host: &str, ca: &str| {
        let ca = if ca.is_empty() { String::new() } else { format!("&sslrootcert={}", sandbox.path(ca).display()) };
        let place = format!("postgres://postgres@{host}:{port}/{database}?sslmode=verify-full{ca}");
        sandbox.run(&["journal", "init", &place])
    };
    init("localhost", "ca.pem").exits(0).says("it opens for");
    for (host, ca) in [("127.0.0.1", "ca.pem"), ("localhost", "other.pem"), ("localhost", "")] {
        init(host, ca).exits(13).says("certificate");
    }
    let encrypted =
        "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl AND application_name = 'whsec'";
    assert_eq!(sandbox.sql(encrypted), "0", "nobody is left behind");
}

/// No statement counts on what another one has left in its connection.
#[test]
#[ignore = "needs PostgreSQL and pgbouncer; run by tests/run"]
fn a_pooler_that_shares_connections_between_transactions_is_no_matter() {
    let mut sandbox = team("layers");
    let port = std::env::var("WHSEC_TEST_POOLER").expect(NEEDS);
    let direct = sandbox.journal.clone().unwrap();
    let (before, behind) = direct.split_once("127.0.0.1:").unwrap();
    sandbox.journal = Some(format!("{before}127.0.0.1:{port}/{}", behind.split_once('/').unwrap().1));
    run(&sandbox, "a", &["journal", "prove"]).exits(0);
    let begin = |at: usize| on(&sandbox, &format!("m{at}"), &["rotate", "hooks", "--yes"]).spawn().unwrap();
    let children: Vec<Child> = (0..8).map(begin).collect();
    let codes: Vec<i32> = children.into_iter().map(|child| sandbox.finish(child).code).collect();
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1, "{codes:?}");
    run(&sandbox, "b", &["cutover", "hooks", "--done", "deploy", "--done", "verify"]).exits(11);
    assert_eq!(sandbox.rotations(), 1);
}

/// The server crashes between the call and its answer, and while a rotation is gone on with. It has a session of its own, because it
/// ends what others do at the server.
#[test]
#[ignore = "needs PostgreSQL, alone; run by tests/run"]
fn a_server_that_is_restarted_loses_nothing() {
    let folder = std::env::var("WHSEC_TEST_POSTGRES_FOLDER").expect(NEEDS);
    let restart = || {
        let done = Command::new(format!("{folder}/restart")).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    for name in ["layers", "verifa"] {
        let sandbox = team(name);
        let old = sandbox.newest();
        let child = begun(&sandbox, "laptop", Fault::Late(Duration::from_secs(3)), "20s");
        restart();
        let rotated = sandbox.finish(child);
        assert!([0, 11].contains(&rotated.code), "{name}: {rotated:?}");
        assert_eq!((sandbox.rotations(), sandbox.slots(&old).contains(&"new")), (1, true), "{name}");
        // In the middle of whatever it is doing.
        for delay in [0, 20, 40, 80] {
            let cutover = on(&sandbox, "desk", &["cutover", "hooks", "--done", "deploy"]).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(delay));
            restart();
            let run = sandbox.finish(cutover);
            assert!([0, 2, 5, 9, 11, 13].contains(&run.code), "{name}: {run:?}");
            sandbox.let_leases_end();
        }
        run(&sandbox, "laptop", &["journal", "prove"]).exits(0);
        assert_eq!(run(&sandbox, "laptop", &["history", "--json"]).exits(0).json()["error"], serde_json::Value::Null);
        assert_eq!(sandbox.rotations(), 1);
    }
}
