//! Promise 5: what a status and a code mean is in the tables of the providers' pages, and nothing is made of more.

use std::time::Duration;

use crate::ensure;
use crate::scene::{ALL, MOST_ATTEMPTS, NOT_IDEMPOTENT, Scene};
use crate::server::{Act, Then, answer};
use crate::tally::{Case, Dice, is_full, sweep};

/// Provider, status, body, exit code: from the pages, and from the defaults of whsec-provider(5) where they are silent.
const ROWS: &[(&str, u16, &str, i32)] = &[
    ("layers", 401, "{}", 3),
    ("layers", 403, "{}", 3),
    ("layers", 404, r#"{"error":{"code":"NOT_FOUND","message":"no such endpoint"}}"#, 4),
    ("layers", 409, r#"{"error":{"code":"IDEMPOTENCY_CONFLICT"}}"#, 5),
    ("layers", 422, r#"{"error":{"code":"VALIDATION"}}"#, 1),
    ("layers", 429, r#"{"error":{"code":"RATE_LIMITED"}}"#, 13),
    ("signa", 401, "{}", 3),
    ("signa", 403, "{}", 3),
    ("signa", 404, "{}", 4),
    ("signa", 409, r#"{"error":{"type":"conflict","detail":"retry with force to end it"}}"#, 5),
    ("signa", 409, "<html>", 5),
    ("signa", 409, r#"{"error":{"type":"idempotency_processing"}}"#, 7),
    ("signa", 410, "{}", 4),
    ("signa", 422, "{}", 1),
    ("signa", 429, "{}", 13),
    ("hopae", 400, "{}", 1),
    ("hopae", 401, "{}", 3),
    ("hopae", 403, "{}", 3),
    ("hopae", 404, "{}", 4),
    ("hopae", 409, r#"{"error":{"code":"IDEMPOTENCY_REQUEST_IN_PROGRESS"}}"#, 7),
    ("hopae", 409, r#"{"error":{"code":"IDEMPOTENCY_KEY_CONFLICT"}}"#, 5),
    ("hopae", 409, r#"{"error":{"code":"RESOURCE_CONFLICT"}}"#, 5),
    ("hopae", 429, "{}", 13),
    ("kadosei", 401, r#"{"code":"UNAUTHORIZED","message":"expired"}"#, 3),
    ("kadosei", 403, "{}", 3),
    ("kadosei", 404, "{}", 4),
    ("kadosei", 429, "{}", 13),
    ("kadosei", 502, "{}", 7),
    ("kadosei", 504, "{}", 7),
    ("verifa", 400, "{}", 1),
    ("verifa", 401, "{}", 3),
    ("verifa", 403, "{}", 3),
    ("verifa", 404, r#"{"error":"not_found","detail":"gone"}"#, 4),
    ("verifa", 422, "{}", 1),
    ("verifa", 429, r#"{"error":"rate_limited"}"#, 13),
];

/// Statuses that no page lists, for every provider.
const DEFAULTS: &[(u16, i32)] = &[
    (400, 1),
    (405, 1),
    (408, 7),
    (409, 5),
    (413, 1),
    (418, 1),
    (425, 7),
    (451, 1),
    (500, 7),
    (502, 7),
    (503, 7),
    (504, 7),
    (511, 7),
    (307, 1),
    (308, 1),
    (301, 7),
    (304, 7),
];

/// What a run may take beside its waits on a machine that others use too: a wait that is over the cap is a year.
const SLACK: Duration = Duration::from_secs(30);

/// A year in seconds.
const YEAR: &str = "31536000";

/// The forms of Retry-After, and the longest that a client may make of each; `None` where it has to give up at once.
fn forms() -> Vec<(&'static str, String, Option<Duration>)> {
    let date = |seconds: i64| {
        let at = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
        jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).unwrap()
    };
    let now = date(0);
    let own = Some(Duration::from_secs(8));
    vec![
        ("none", String::new(), own),
        ("0", "Retry-After: 0\r\n".to_owned(), own),
        ("1", "Retry-After: 1\r\n".to_owned(), own),
        ("a date in 2 s", format!("Date: {now}\r\nRetry-After: {}\r\n", date(2)), Some(Duration::from_secs(12))),
        ("a date gone by", format!("Date: {now}\r\nRetry-After: {}\r\n", date(-500)), own),
        ("a date, no clock", format!("Retry-After: {}\r\n", date(2)), own),
        ("garbage", "Retry-After: soon, \x7f perhaps\r\n".replace('\x7f', "?"), own),
        ("negative", "Retry-After: -5\r\n".to_owned(), own),
        ("a year", format!("Retry-After: {YEAR}\r\n"), None),
        ("a year as a date", format!("Date: {now}\r\nRetry-After: {}\r\n", date(31_536_000)), None),
        ("beyond all numbers", "Retry-After: 99999999999999999999999\r\n".to_owned(), own),
    ]
}

fn drive(
    provider: &str,
    status: u16,
    body: &str,
    exit: i32,
    form: (&str, String, Option<Duration>),
) -> Result<(), String> {
    let scene = Scene::new(provider);
    let live = scene.live();
    let headers = format!("Content-Type: application/json\r\n{}", form.1);
    scene.server.script(&[Act::Refuse(Then::Send(answer(status, &headers, body.as_bytes())))]);
    let rotated = scene.rotate("20s")?;
    let (code, arrivals) = (rotated.run.code, scene.server.arrivals());
    ensure!(code == exit, "exit {code} in place of {exit}:\n{}", rotated.run.stderr);
    scene.check_calls()?;
    let repeats = exit == 13 || (exit == 7 && scene.is_idempotent());
    ensure!(repeats || arrivals == 1, "{arrivals} attempts where none can help");
    ensure!(scene.live() == live && scene.sandbox.slot("_NEW").is_none(), "a store changed");
    match form.2 {
        None => {
            ensure!(arrivals == 1, "{arrivals} attempts though the wait is a year");
            ensure!(rotated.wall < SLACK, "took {:?}", rotated.wall);
        }
        Some(most) => {
            ensure!(rotated.wall < most + SLACK, "waited {:?}", rotated.wall);
            if repeats {
                ensure!(arrivals > 1, "never asked again");
            }
            let asked = form.0.parse::<u64>().map(Duration::from_secs).unwrap_or_default();
            let early = scene.server.gaps().into_iter().find(|gap| *gap + Duration::from_millis(30) < asked);
            ensure!(early.is_none(), "asked again after {early:?}, before {asked:?} were over");
        }
    }
    let again = scene.status()?;
    ensure!(exit != 7 || again == "unknown", "the journal says {again}");
    if exit != 7 {
        scene.server.script(&[Act::Honest]);
        let later = scene.rotate("20s")?.run;
        ensure!(later.code == 0, "not free to rotate later: {}\n{}", later.code, later.stderr);
        ensure!(scene.sandbox.rotations() == 1, "{} rotations", scene.sandbox.rotations());
    }
    Ok(())
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn every_status_means_what_the_tables_say() {
    let mut quick: Vec<Case<'_>> = Vec::new();
    let mut waiting: Vec<Case<'_>> = Vec::new();
    let defaults = ALL.iter().flat_map(|provider| {
        let told = move |status: u16| ROWS.iter().any(|row| row.0 == *provider && row.1 == status);
        DEFAULTS.iter().filter(move |row| !told(row.0)).map(|(status, exit)| (*provider, *status, "{}", *exit))
    });
    for (provider, status, body, exit) in ROWS.iter().copied().chain(defaults) {
        for (at, form) in forms().into_iter().enumerate() {
            let label = format!("{provider} {status} {body}, Retry-After {}", form.0);
            let waits = exit == 13 || (exit == 7 && !NOT_IDEMPOTENT.contains(&provider));
            let case: Case<'_> = (label, Box::new(move || drive(provider, status, body, exit, form)));
            match (waits, at) {
                (true, _) => waiting.push(case),
                // Where nothing waits, one form beside none is as good as all.
                (false, 0 | 8) => quick.push(case),
                (false, _) if is_full() => quick.push(case),
                _ => {}
            }
        }
    }
    if !is_full() {
        quick = Dice::new(5).sample(quick, 40);
        waiting = Dice::new(55).sample(waiting, 20);
    }
    quick.extend(waiting);
    sweep(5, "status codes are data", quick, || {
        format!("at most {MOST_ATTEMPTS} attempts, 0 escalations to force, 0 waits over the cap")
    });
}

#[test]
fn a_conflict_never_becomes_a_forced_rotation() {
    let hint = r#"{"error":{"type":"conflict","detail":"retry with force"}}"#;
    drive("signa", 409, hint, 5, ("none", String::new(), Some(Duration::from_secs(8)))).unwrap();
}

#[test]
fn a_wait_of_a_year_is_not_waited() {
    for provider in ["signa", "verifa"] {
        let form = ("a year", format!("Retry-After: {YEAR}\r\n"), None);
        drive(provider, 429, "{}", 13, form).unwrap();
    }
}
