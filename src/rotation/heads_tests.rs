//! The journal as heads have it: what is read is as it was written, nothing is missing, and what is over hides nothing open.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rusqlite::Connection;
use tempfile::TempDir;
use uuid::Uuid;

use super::super::journal::{Journal, JournalError};
use super::super::tests::{events, fold, noon, rotation};
use super::super::{Direction, Event, Outcome, Rotation, Step};
use super::*;

const OTHER: &str = "signa/https%3A%2F%2Fother.example/whk_2";

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("journal.sqlite")
}

/// A rotation that is recorded as far as a step; `None` for one that is done.
fn recorded(journal: &Journal, endpoint: Option<&str>, last: Option<Step>) -> Rotation {
    let direction = Direction::OverlapSwitch;
    let earlier = journal.endpoints().unwrap().iter().map(|key| journal.of_endpoint(key).unwrap().len()).sum::<usize>();
    let now = noon() + jiff::SignedDuration::from_hours(earlier as i64);
    let mut rotation = Rotation::new(Uuid::new_v4(), rotation(direction).plan.clone(), now);
    endpoint.iter().for_each(|key| rotation.plan.endpoint_key = (*key).to_owned());
    let mut steps = direction.steps().iter();
    for step in steps.by_ref() {
        journal.append(&mut rotation, "ana@box", now, &events(direction, *step)).unwrap();
        if Some(*step) == last {
            return rotation;
        }
    }
    let closed = Event::Closed { outcome: Outcome::Done, reason: None };
    journal.append(&mut rotation, "ana@box", now, &[closed]).unwrap();
    rotation
}

/// Three rotations that are over and an open one at one endpoint, and one that is over at another.
fn with_a_history() -> (TempDir, Vec<Rotation>) {
    static MADE: OnceLock<(TempDir, Vec<Rotation>)> = OnceLock::new();
    let (made, known) = MADE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        let mut known: Vec<Rotation> = (0..3).map(|_| recorded(&journal, None, None)).collect();
        known.push(recorded(&journal, None, Some(Step::Deploy)));
        known.push(recorded(&journal, Some(OTHER), None));
        journal.verify().unwrap();
        drop(journal);
        (folder, known)
    });
    (copy(made.path()), known.clone())
}

/// A state folder's journal and key in a folder of their own.
fn copy(from: &Path) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in ["journal.sqlite", "state-key"] {
        let path = folder.path().join(file);
        std::fs::copy(from.join(file), &path).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }
    folder
}

/// All that a journal yields, and whether all of it is as it was written.
fn reads(folder: &Path) -> Result<usize, JournalError> {
    let journal = Journal::open(folder)?;
    let mut found = journal.open_rotations()?.len();
    for endpoint in journal.endpoints()? {
        found += journal.of_endpoint(&endpoint)?.len() + journal.standing_of(&endpoint)?.len();
    }
    found += journal.closed_since(jiff::Timestamp::UNIX_EPOCH)?.len();
    journal.verify().map(|()| found)
}

#[test]
fn e2_what_is_over_and_damaged_stops_nothing_that_is_open() {
    for at in 0..3 {
        let (folder, mut known) = with_a_history();
        let connection = Connection::open(file(&folder)).unwrap();
        let change = "UPDATE events SET at = '2020-01-01T00:00:00Z' WHERE rotation = ?1 AND seq = 2";
        assert_eq!(connection.execute(change, [known[at].id.to_string()]).unwrap(), 1);
        drop(connection);
        let journal = Journal::open(folder.path()).unwrap();
        let (open, endpoint) = (known.remove(3), known[0].plan.endpoint_key.clone());
        assert_eq!(journal.open_rotations().unwrap().iter().map(|it| it.id).collect::<Vec<_>>(), [open.id]);
        let mut found = journal.find_open(&endpoint).unwrap().unwrap();
        assert_eq!(found.id, open.id);
        assert!(matches!(journal.of_endpoint(&endpoint), Err(JournalError::Damaged { .. })), "{at}");
        assert!(matches!(journal.verify(), Err(JournalError::Damaged { .. })), "{at}");
        for step in [Step::Verify, Step::Wait, Step::Retire, Step::Drop] {
            journal.append(&mut found, "ana@box", noon(), &events(Direction::OverlapSwitch, step)).unwrap();
        }
        let closed = Event::Closed { outcome: Outcome::Done, reason: None };
        journal.append(&mut found, "ana@box", noon(), &[closed]).unwrap();
        assert!(journal.open_rotations().unwrap().is_empty());
        // Whatever nothing depends on any more is not read. The last one is named still, damaged or not.
        assert_eq!(journal.standing_of(&endpoint).is_err(), at == 2, "{at}");
        assert!(journal.verify().is_err(), "{at}: it was stamped anew");
    }
}

#[test]
fn e2_a_rotation_that_is_taken_out_whole_is_missed() {
    for at in 0..5 {
        let (folder, known) = with_a_history();
        let connection = Connection::open(file(&folder)).unwrap();
        let gone = &known[at];
        for sql in ["DELETE FROM events WHERE rotation = ?1", "DELETE FROM rotations WHERE id = ?1"] {
            connection.execute(sql, [gone.id.to_string()]).unwrap();
        }
        let endpoint = &gone.plan.endpoint_key;
        for and_its_head in [false, true] {
            if and_its_head {
                connection.execute("DELETE FROM heads WHERE endpoint = ?1", [endpoint]).unwrap();
            }
            let journal = Journal::open(folder.path()).unwrap();
            assert!(journal.of_endpoint(endpoint).is_err(), "{at} {and_its_head}");
            assert!(journal.verify().is_err(), "{at} {and_its_head}");
            assert_eq!(journal.closed_since(noon()).is_err(), gone.closed.is_some(), "{at} {and_its_head}");
            assert_eq!(journal.open_rotations().is_err(), gone.closed.is_none(), "{at} {and_its_head}");
            assert_eq!(journal.endpoints().is_err(), and_its_head, "{at}");
        }
    }
}

#[test]
fn e2_every_column_and_the_tables_themselves_are_vouched_for() {
    let (folder, _) = with_a_history();
    let whole = std::fs::read(file(&folder)).unwrap();
    let found = reads(folder.path()).unwrap();
    let columns = |table: &str| -> Vec<String> {
        let connection = Connection::open(file(&folder)).unwrap();
        let mut names = connection.prepare("SELECT name FROM pragma_table_info(?1)").unwrap();
        names.query_map([table], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let mut changes = vec![
        "CREATE TRIGGER theirs AFTER INSERT ON events BEGIN DELETE FROM events; END".to_owned(),
        "INSERT INTO events SELECT 'nobody', seq, at, by, event FROM events LIMIT 1".to_owned(),
        "DELETE FROM heads WHERE endpoint = ''".to_owned(),
    ];
    for table in ["rotations", "events", "heads"] {
        for column in columns(table) {
            let other = match column.as_str() {
                "identified" | "changes" | "rotations" => format!("{column} + 1"),
                "seq" => "seq + 100".to_owned(),
                "closed_at" => "iif(closed_at IS NULL, '2026-01-01T00:00:00Z', NULL)".to_owned(),
                "replaces" => "id".to_owned(),
                _ => format!("{column} || 'x'"),
            };
            changes.push(format!("UPDATE OR IGNORE {table} SET {column} = {other}"));
        }
    }
    assert!(changes.len() > 20, "{changes:?}");
    for change in changes {
        let connection = Connection::open(file(&folder)).unwrap();
        connection.execute_batch(&format!("PRAGMA foreign_keys = OFF; {change}")).unwrap();
        drop(connection);
        assert!(matches!(reads(folder.path()), Err(JournalError::Damaged { .. })), "{change}");
        std::fs::write(file(&folder), &whole).unwrap();
    }
    assert_eq!(reads(folder.path()).unwrap(), found);
}

#[test]
fn e2_a_rotation_that_is_put_back_as_it_was_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path()).unwrap();
    let mut open = recorded(&journal, None, Some(Step::Check));
    let connection = Connection::open(file(&folder)).unwrap();
    let before: String = connection.query_row("SELECT sum FROM rotations", [], |row| row.get(0)).unwrap();
    let sent = Event::Sent { attempt: 1, digest: String::new(), key: None };
    journal.append(&mut open, "ana@box", noon(), &[sent]).unwrap();
    // Its own stamp holds: that was so once.
    connection.execute("DELETE FROM events WHERE seq = 2", []).unwrap();
    connection.execute("UPDATE rotations SET sum = ?1", [before]).unwrap();
    assert!(journal.find(&open.plan.endpoint_key, open.id).unwrap().is_some());
    assert!(journal.find_open(&open.plan.endpoint_key).is_err() && journal.open_rotations().is_err());
    let lost = Event::Lost { why: String::new(), status: None };
    assert!(journal.append(&mut open, "ana@box", noon(), &[lost]).is_err(), "it was stamped anew");
}

#[test]
fn e2_nothing_is_stamped_that_was_not_verified() {
    let (folder, known) = with_a_history();
    let connection = Connection::open(file(&folder)).unwrap();
    connection.execute_batch("UPDATE rotations SET identified = 0, provider = 'theirs'").unwrap();
    let journal = Journal::open(folder.path()).unwrap();
    assert!(journal.identify(&|plan| Some(plan.endpoint_key.clone())).is_err());
    for mut rotation in known {
        let event = Event::Acknowledged { reason: "seen to".to_owned() };
        assert!(journal.append(&mut rotation, "ana@box", noon(), &[event]).is_err());
    }
    assert!(journal.verify().is_err());
}

#[test]
fn e2_journals_of_format_5_are_brought_up_whole() {
    for (name, open, over) in [("closed", 0, 1), ("two-spellings", 2, 0), ("unknown", 1, 0)] {
        let folder = copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/journals-5").join(name));
        let whole = std::fs::read(file(&folder)).unwrap();
        let connection = Connection::open(file(&folder)).unwrap();
        connection.execute_batch("UPDATE events SET by = 'somebody' WHERE seq = 2").unwrap();
        drop(connection);
        assert!(matches!(Journal::open(folder.path()), Err(JournalError::Damaged { .. })), "{name}");
        std::fs::write(file(&folder), whole).unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        journal.verify().unwrap();
        let closed = journal.closed_since(jiff::Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!((journal.open_rotations().unwrap().len(), closed.len()), (open, over), "{name}");
        assert_eq!(journal.endpoints().unwrap().len(), 1, "{name}");
        for endpoint in journal.endpoints().unwrap() {
            assert_eq!(journal.standing_of(&endpoint).unwrap().len(), open + over, "{name}");
        }
    }
}

/// The next number below a bound, of numbers that look like chance and are the same in every run.
fn next(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % below
}

/// A rotation that may be anything that matters to those after it.
fn any(state: &mut u64, at: i64, begun: &[Rotation]) -> Rotation {
    let begun = &begun[next(state, begun.len() as u64) as usize];
    let (direction, when) = (begun.plan.direction, noon() + jiff::SignedDuration::from_hours(at));
    let mut rotation = Rotation::new(Uuid::from_u128(at as u128 + 1), begun.plan.clone(), when);
    let steps = next(state, direction.steps().len() as u64 + 1) as usize;
    for event in direction.steps()[..steps].iter().flat_map(|step| events(direction, *step)) {
        fold(&mut rotation, when, event);
    }
    if rotation.answered().is_some() && next(state, 6) == 0 {
        let leaked = [rotation.answered().unwrap().fingerprint.clone()].into();
        fold(&mut rotation, when, Event::LeakDeclared { reason: "seen".to_owned(), leaked });
    }
    if next(state, 8) > 0 {
        let outcomes = [Outcome::Done, Outcome::Failed, Outcome::Abandoned, Outcome::Superseded];
        let outcome = outcomes[next(state, 4) as usize];
        fold(&mut rotation, when, Event::Closed { outcome, reason: None });
    }
    rotation
}

/// What `status` says of an endpoint, by these of its rotations.
fn said(newest_first: &[Rotation]) -> impl PartialEq + std::fmt::Debug + use<> {
    use super::super::{at_hand, is_unanswered, leaking, newest_sent, overtaken};
    let id = |rotation: Option<&Rotation>| rotation.map(|rotation| rotation.id);
    let live = newest_first.iter().filter(|rotation| rotation.done.contains_key(&Step::Promote));
    let live = live.filter_map(|rotation| Some(rotation.done.get(&Step::Issue)?.at)).max();
    let sent = newest_first.iter().filter(|rotation| rotation.closed.is_some() && rotation.may_be_applied());
    let ended = sent.filter_map(|rotation| rotation.closed.as_ref()).map(|closed| closed.at).max();
    let hand = at_hand(newest_first).and_then(|at| newest_first.get(at));
    let leak = (id(leaking(newest_first)), is_unanswered(newest_first));
    (leak, id(overtaken(newest_first)), id(newest_sent(newest_first)), id(hand), live, ended)
}

#[test]
fn e2_what_a_head_leaves_out_changes_nothing_that_is_said() {
    let mut state = 7;
    let begun = [Direction::OverlapSwitch, Direction::Instant, Direction::Contain].map(rotation);
    for round in 0..400 {
        let (mut all, mut kept): (Vec<Rotation>, Vec<Rotation>) = (Vec::new(), Vec::new());
        let settle = |kept: &mut Vec<Rotation>| {
            let counts = exposure::that_count(&kept.iter().collect::<Vec<_>>());
            kept.retain(|rotation| counts.contains(&rotation.id));
        };
        for at in 0..12 {
            let rotation = any(&mut state, at, &begun);
            all.insert(0, rotation.clone());
            kept.insert(0, rotation);
            settle(&mut kept);
            // Somebody deals with one that is over, whether it is kept or not.
            if next(&mut state, 3) == 0 {
                let which = next(&mut state, all.len() as u64) as usize;
                let event = Event::Acknowledged { reason: "seen to".to_owned() };
                fold(&mut all[which], noon(), event.clone());
                let id = all[which].id;
                match kept.iter_mut().find(|rotation| rotation.id == id) {
                    Some(rotation) => fold(rotation, noon(), event),
                    None => {
                        kept.push(all[which].clone());
                        kept.sort_by_key(|rotation| std::cmp::Reverse(rotation.opened_at));
                    }
                }
                settle(&mut kept);
            }
            assert_eq!(said(&kept), said(&all), "round {round}, {at}");
        }
    }
}
