//! A journal that goes to another place is cut off at each of its requests, and others are at work meanwhile.

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use uuid::Uuid;

use super::super::head::Head;
use super::super::lock::LockError;
use super::super::shared::Shared;
use super::super::teams::{add, envelope, filled, lease, said, shared};
use super::super::tests::{events, noon, rotation};
use super::super::{Direction, Event, Rotation, Step};
use super::*;
use crate::documents::{Memory, Mishap};

/// Where a journal is.
enum Side {
    Folder(tempfile::TempDir),
    Place(Memory),
}

#[derive(Debug)]
enum Why {
    Moving(NotTakenIn),
    Lock(LockError),
    NotYet,
}

impl From<NotTakenIn> for Why {
    fn from(why: NotTakenIn) -> Self {
        Self::Moving(why)
    }
}

impl Side {
    fn folder() -> Self {
        Self::Folder(tempfile::tempdir().unwrap())
    }

    /// One that has a journal.
    fn place() -> Self {
        let memory = Memory::default();
        shared(&memory);
        Self::Place(memory)
    }

    fn open(&self) -> Result<Journal, JournalError> {
        match self {
            Self::Folder(folder) => Journal::open(folder.path()),
            Self::Place(memory) => {
                Ok(Journal::Shared(Rc::new(Shared::open(memory.open(), None, &envelope(), "identity")?)))
            }
        }
    }

    fn open_though_moved(&self) -> Result<Journal, JournalError> {
        match self {
            Self::Folder(folder) => Journal::open_though_moved(folder.path()),
            Self::Place(memory) => {
                let shared = Shared::open_though_moved(memory.open(), None, &envelope(), "identity")?;
                Ok(Journal::Shared(Rc::new(shared)))
            }
        }
    }

    fn path(&self) -> PathBuf {
        match self {
            Self::Folder(folder) => folder.path().to_owned(),
            Self::Place(_) => PathBuf::new(),
        }
    }

    fn lock(&self, journal: &Journal, endpoint: &str, who: &str) -> Result<EndpointLock, LockError> {
        match journal.shared() {
            Some(shared) => lease(shared, endpoint, who),
            None => EndpointLock::take(&self.path(), endpoint, who),
        }
    }

    /// Whether somebody who comes now may act on an endpoint here.
    fn lets_act(&self, endpoint: &str) -> bool {
        self.open().is_ok_and(|journal| self.lock(&journal, endpoint, "ben").is_ok() && journal.in_place().is_ok())
    }

    /// Whether somebody who comes now may go on with what is open of an endpoint here.
    fn goes_on(&self, endpoint: &str) -> bool {
        self.lets_act(endpoint) && self.open().unwrap().find_open(endpoint).unwrap().is_some()
    }

    /// Requests from this one on do not arrive, or are not answered.
    fn fails_from(&self, count: &Arc<AtomicUsize>, first: usize, mishap: Mishap) {
        if let Self::Place(memory) = self {
            let count = Arc::clone(count);
            memory.with_whim(move |_| match count.fetch_add(1, Ordering::Relaxed) {
                at if at < first => Mishap::None,
                at if at == first => mishap,
                _ => Mishap::Unsent,
            });
        }
    }

    fn works_again(&self) {
        if let Self::Place(memory) = self {
            memory.without_whim();
            memory.age(Duration::from_secs(3600));
        }
    }
}

fn transfer(from: &Side, to: &Side, may_go: &dyn Fn() -> Result<(), Why>) -> Result<Recorded, Failed<Why>> {
    let opened =
        |side: &Side| side.open_though_moved().map_err(|why| Failed { why: Why::Moving(why.into()), is_left: false });
    let (one, other) = (opened(from)?, opened(to)?);
    Transfer {
        from: End { journal: &one, name: "s3://one" },
        to: End { journal: &other, name: "s3://other" },
        bind: &|_| {},
    }
    .run(&|endpoint| from.lock(&one, endpoint, "ana").map_err(Why::Lock), may_go)
}

fn begin_at(journal: &Journal, endpoint: &str) -> Rotation {
    let mut it = rotation(Direction::OverlapEither);
    (it.id, it.plan.endpoint_key) = (Uuid::new_v4(), endpoint.to_owned());
    journal.append(&mut it, "ben@box", noon(), &events(Direction::OverlapEither, Step::Check)).unwrap();
    it
}

/// Two endpoints: of one much is over, and one is open beside another, of the other one is open.
fn begun(from: &Side) -> Vec<String> {
    let journal = match from {
        Side::Folder(folder) => filled(folder.path()).0,
        Side::Place(memory) => {
            let folder = tempfile::tempdir().unwrap();
            let journal = Journal::Shared(shared(memory));
            let rows = Recorded::of(&filled(folder.path()).0).unwrap();
            rows.take_into(&journal).unwrap();
            journal
        }
    };
    begin_at(&journal, "layers/other@https://api.example");
    let endpoints = journal.endpoints().unwrap();
    assert_eq!(endpoints.len(), 2);
    endpoints
}

type Ends = fn() -> (Side, Side);

const WAYS: [Ends; 3] =
    [|| (Side::folder(), Side::place()), || (Side::place(), Side::folder()), || (Side::place(), Side::place())];

#[test]
fn wherever_a_move_is_cut_off_one_place_at_most_lets_act_and_the_same_again_does_the_rest() {
    for ends in WAYS {
        for mishap in [Mishap::Unsent, Mishap::Unanswered] {
            let (mut cut, mut closed) = (0, 0);
            let step = if std::env::var_os("WHSEC_TEST_FULL").is_some() { 1 } else { 3 };
            for first in (0..).step_by(step) {
                let (from, to) = ends();
                let endpoints = begun(&from);
                let before = endpoints.iter().map(|endpoint| said(&from.open().unwrap(), endpoint)).collect::<Vec<_>>();
                let count = Arc::new(AtomicUsize::new(0));
                [&from, &to].iter().for_each(|side| side.fails_from(&count, first, mishap));
                let moved = transfer(&from, &to, &|| Ok(()));
                [&from, &to].iter().for_each(|side| side.works_again());
                if let Err(failed) = &moved {
                    cut += 1;
                    closed += usize::from(failed.is_left);
                    for endpoint in &endpoints {
                        let (here, there) = (from.goes_on(endpoint), to.goes_on(endpoint));
                        assert!(!(here && there), "{first}: both go on with {endpoint}");
                        assert!(here || failed.is_left, "{first}: neither, and nobody was told: {failed:?}");
                        // Nobody takes one for new where it is not yet.
                        assert!(here || there || !to.lets_act(endpoint), "{first}: {endpoint}");
                    }
                    // What is not all there is not damaged for those who look.
                    if let Ok(journal) = to.open() {
                        journal.verify().unwrap();
                    }
                    [&from, &to].iter().for_each(|side| side.works_again());
                    transfer(&from, &to, &|| Ok(())).unwrap();
                }
                for (endpoint, before) in endpoints.iter().zip(&before) {
                    assert!(!from.lets_act(endpoint) && to.goes_on(endpoint), "{first}: {endpoint}");
                    assert_eq!(said(&to.open().unwrap(), endpoint), *before, "{first}");
                }
                to.open().unwrap().verify().unwrap();
                if moved.is_ok() {
                    break;
                }
            }
            assert!(cut >= 12 / step && closed >= 1, "{cut} {closed}");
        }
    }
}

#[test]
fn what_is_through_and_has_gone_on_is_left_as_it_is_by_the_same_again() {
    for ends in WAYS {
        let (from, to) = ends();
        let endpoints = begun(&from);
        transfer(&from, &to, &|| Ok(())).unwrap();
        let there = to.open().unwrap();
        let mut open = there.find_open("layers/other@https://api.example").unwrap().unwrap();
        events(Direction::OverlapEither, Step::Issue).into_iter().for_each(|event| add(&there, &mut open, event));
        let on = endpoints.iter().map(|endpoint| said(&there, endpoint)).collect::<Vec<_>>();
        drop(there);
        transfer(&from, &to, &|| Ok(())).unwrap();
        let there = to.open().unwrap();
        assert_eq!(endpoints.iter().map(|endpoint| said(&there, endpoint)).collect::<Vec<_>>(), on);
        assert!(endpoints.iter().all(|endpoint| to.lets_act(endpoint) && !from.lets_act(endpoint)));
    }
}

#[test]
fn what_begins_while_a_journal_moves_moves_too() {
    for ends in WAYS {
        let (from, to) = ends();
        begun(&from);
        let (journal, calls) = (from.open().unwrap(), Cell::new(0));
        let begins = || {
            calls.set(calls.get() + 1);
            if calls.get() == 1 {
                drop(from.lock(&journal, "layers/late@https://api.example", "ben").unwrap());
                begin_at(&journal, "layers/late@https://api.example");
            }
            Ok(())
        };
        transfer(&from, &to, &begins).unwrap();
        assert!(to.open().unwrap().find_open("layers/late@https://api.example").unwrap().is_some());
        assert!(to.lets_act("layers/late@https://api.example") && !from.lets_act("layers/late@https://api.example"));
        assert_eq!(calls.get(), 2);
    }
}

/// Who is at work on something new, or has a past of it at the other place, keeps the journal where it is.
#[test]
fn what_cannot_come_along_keeps_the_journal_where_it_is() {
    let late = "layers/late@https://api.example";
    for ends in WAYS {
        for has_past in [false, true] {
            let (from, to) = ends();
            let endpoints = begun(&from);
            if has_past {
                begin_at(&to.open().unwrap(), late);
            }
            let (journal, held, calls) = (from.open().unwrap(), Cell::new(None), Cell::new(0));
            let begins = || {
                calls.set(calls.get() + 1);
                if calls.get() == 1 {
                    let taken = from.lock(&journal, late, "ben").unwrap();
                    begin_at(&journal, late);
                    held.set((!has_past).then_some(taken));
                }
                // A lease is its own only as long as it is the same process.
                Ok(())
            };
            let failed = transfer(&from, &to, &begins).unwrap_err();
            let is_why = match &failed.why {
                Why::Lock(why) => !has_past && matches!(why, LockError::Held { .. }),
                Why::Moving(why) => has_past && matches!(why, NotTakenIn::Known { .. }),
                Why::NotYet => false,
            };
            assert!(is_why && !failed.is_left, "{failed:?}");
            assert!(endpoints.iter().all(|endpoint| from.goes_on(endpoint) && !to.goes_on(endpoint)), "{failed:?}");
            assert_eq!(to.goes_on(late), has_past, "{failed:?}");
            drop(held.take());
            let again = transfer(&from, &to, &|| Ok(()));
            assert_eq!(again.is_ok(), !has_past, "{again:?}");
        }
    }
}

#[test]
fn what_has_to_be_done_first_keeps_the_journal_where_it_is() {
    for ends in WAYS {
        for wanted in 1..=2 {
            let (from, to) = ends();
            let endpoints = begun(&from);
            let calls = Cell::new(0);
            let not_yet = || {
                calls.set(calls.get() + 1);
                if calls.get() == wanted { Err(Why::NotYet) } else { Ok(()) }
            };
            let failed = transfer(&from, &to, &not_yet).unwrap_err();
            assert!(matches!(failed, Failed { why: Why::NotYet, is_left: false }), "{failed:?}");
            assert!(endpoints.iter().all(|endpoint| from.goes_on(endpoint) && !to.goes_on(endpoint)));
            transfer(&from, &to, &|| Ok(())).unwrap();
        }
    }
}

/// Whoever has opened a journal before it moved begins nothing there.
#[test]
fn who_has_opened_it_before_begins_nothing_new_there() {
    for ends in WAYS {
        let (from, to) = ends();
        let endpoints = begun(&from);
        let early = from.open().unwrap();
        let mut open = early.find_open(&endpoints[0]).unwrap().unwrap();
        transfer(&from, &to, &|| Ok(())).unwrap();
        if early.shared().is_some() {
            let refused = from.lock(&early, "layers/new@https://api.example", "ben").unwrap_err().to_string();
            assert!(refused.contains("has moved to `s3://other`"), "{refused}");
            // What was taken for that look is nobody's.
            let Journal::Shared(early) = &early else { continue };
            assert!(!early.has("layers/new@https://api.example"));
        }
        let refused = early.append(&mut open, "ben@box", noon(), &[Event::Confirmed]).unwrap_err().to_string();
        assert!(refused.contains("has moved to `s3://other`"), "{refused}");
    }
}

#[test]
fn a_journal_comes_back_to_where_it_was() {
    for ends in WAYS {
        let (from, to) = ends();
        let endpoints = begun(&from);
        transfer(&from, &to, &|| Ok(())).unwrap();
        let there = to.open().unwrap();
        let late = begin_at(&there, "layers/late@https://api.example");
        let on = said(&there, &late.plan.endpoint_key);
        drop(there);
        let (one, other) = (to.open_though_moved().unwrap(), from.open_though_moved().unwrap());
        let back = Transfer {
            from: End { journal: &one, name: "s3://other" },
            to: End { journal: &other, name: "s3://one" },
            bind: &|_| {},
        };
        back.run::<Why>(&|endpoint| to.lock(&one, endpoint, "ana").map_err(Why::Lock), &|| Ok(())).unwrap();
        assert_eq!(said(&from.open().unwrap(), &late.plan.endpoint_key), on);
        assert!(endpoints.iter().all(|endpoint| from.lets_act(endpoint) && !to.lets_act(endpoint)));
    }
}

/// A state folder that says that its journal is at a third place knows what is there still: it does not open with something else.
#[test]
fn a_folder_whose_journal_is_elsewhere_takes_in_nothing_that_is_not_from_there() {
    let (from, third, folder) = (Side::place(), Side::place(), Side::folder());
    begin_at(&folder.open().unwrap(), "layers/third@https://api.example");
    let (one, other) = (folder.open().unwrap(), third.open().unwrap());
    let away = Transfer {
        from: End { journal: &one, name: "s3://one" },
        to: End { journal: &other, name: "s3://third" },
        bind: &|_| {},
    };
    away.run::<Why>(&|endpoint| folder.lock(&one, endpoint, "ana").map_err(Why::Lock), &|| Ok(())).unwrap();
    begun(&from);
    let failed = transfer(&from, &folder, &|| Ok(())).unwrap_err();
    assert!(format!("{failed:?}").contains("s3://third") && !failed.is_left, "{failed:?}");
    assert!(folder.open().is_err() && third.lets_act("layers/third@https://api.example"));
}

/// A head that was written before there was any word of arriving is read as one that is here.
#[test]
fn a_head_without_a_word_of_it_is_here() {
    let head = serde_json::to_value(Head::new("layers/a@b")).unwrap();
    assert!(head.get("arrives_from").is_none() && head.get("moved_to").is_none(), "{head}");
    assert!(serde_json::from_value::<Head>(head).unwrap().arrives_from.is_none());
}
