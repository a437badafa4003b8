//! What every store must do, whatever it keeps its values in. A backend is a [`Bench`]; the checks are all below.

use std::fs;
use std::path::Path;
use std::thread;

use super::slots::{self, ANY, promote, prove, retire, roll_back, stage};
use super::{
    Access, Change, CommandSpec, Environment, Reference, Slot, SlotNames, Store, StoreError, Surroundings, open,
};
use crate::secret::Secret;

const SLOTS: [Slot; 4] = [Slot::Next, Slot::Current, Slot::Previous, Slot::Canary];

/// Values that some writer or reader trips over.
pub const ODD: &[&str] = &[
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw==",
    "it's",
    "say \"no\"",
    "it's \"both\"",
    "'quoted'",
    "\"quoted\"",
    "`ticked`",
    "it's \"all\" `three`",
    "a`b",
    "$(id>F)",
    "`id>F`",
    "a;id>F;'b'\"c\"",
    "a\nid>F",
    "it's!",
    "!!",
    "$HOME",
    "${HOME}",
    "${HOME:-x}",
    "$",
    "${",
    "a=b=c",
    "#",
    "#start",
    "a#b",
    "a #b",
    " leading",
    "trailing ",
    "\ttab\t",
    "a\tb",
    "back\\slash",
    "end\\",
    "two\\\\",
    "literal\\n",
    "literal\\r\\t",
    "quote\\'",
    "a\nb",
    "a\n\nb'c",
    "a\r\nb",
    "a\rb",
    "ends\n",
    "export A=b",
    "a: b",
    "{\"json\": [1]}",
    "gr\u{fc}\u{df}e",
    "\u{1f511}\u{fe0f}",
    "no\u{a0}break\u{2003}space",
    "line\u{2028}separator",
    "\u{feff}bom",
    "\u{7f}\u{1}",
];

/// Opens a store by a name; the same name is the same store, different names share a file where they can.
pub type Bench<'a> = &'a (dyn Fn(&str) -> Box<dyn Store> + Sync);

/// Applies some changes one by one, then fails: what a crash leaves of a list of changes.
struct CutOff {
    store: Box<dyn Store>,
    after: usize,
}

impl Store for CutOff {
    fn reference(&self) -> String {
        self.store.reference()
    }
    fn slot_name(&self, slot: Slot) -> String {
        self.store.slot_name(slot)
    }
    fn access(&self) -> Access {
        self.store.access()
    }
    fn get(&self, slot: Slot) -> Result<Option<Secret>, StoreError> {
        self.store.get(slot)
    }
    fn apply(&self, changes: &[Change<'_>]) -> Result<(), StoreError> {
        for change in changes.iter().take(self.after) {
            self.store.apply(&[*change])?;
        }
        Err(StoreError::TimedOut { store: self.reference(), seconds: 0 })
    }
}

fn all(store: &dyn Store) -> Vec<Option<String>> {
    SLOTS.iter().map(|slot| store.get(*slot).unwrap().map(|secret| secret.expose().to_owned())).collect()
}

fn holds(store: &dyn Store, next: Option<&str>, current: Option<&str>, previous: Option<&str>) {
    let expected = [next, current, previous, None].map(|value| value.map(str::to_owned));
    assert_eq!(all(store), expected, "{}", store.reference());
}

/// Every check there is.
pub fn conforms(bench: Bench<'_>) {
    slots_are_independent(bench);
    odd_values_come_back_or_are_refused(bench);
    a_canary_leaves_no_trace(bench);
    a_rotation_goes_through(bench);
    a1_what_was_looked_at_is_what_is_replaced(bench);
    a_cut_off_promotion_is_completed(bench);
    a_cut_off_rollback_is_completed(bench);
    writers_do_not_lose_each_others_changes(bench);
}

fn slots_are_independent(bench: Bench<'_>) {
    let store = bench("INDEPENDENT");
    assert_eq!(all(&*store), [None, None, None, None]);
    for slot in SLOTS {
        let name = store.slot_name(slot);
        store.apply(&[(slot, Some(&Secret::new(name)))]).unwrap();
    }
    for slot in SLOTS {
        assert_eq!(store.get(slot).unwrap().unwrap().expose(), store.slot_name(slot));
    }
    for (at, slot) in SLOTS.iter().enumerate() {
        store.apply(&[(*slot, None)]).unwrap();
        store.apply(&[(*slot, None)]).unwrap();
        assert_eq!(all(&*store).iter().filter(|value| value.is_none()).count(), at + 1);
    }
}

pub fn odd_values_come_back_or_are_refused(bench: Bench<'_>) {
    let store = bench("ODD");
    let long = "k\u{e9}y+/=".repeat(512);
    store.apply(&[(Slot::Current, Some(&Secret::new("live")))]).unwrap();
    for value in ODD.iter().copied().chain([long.as_str()]) {
        let before = all(&*store);
        match store.apply(&[(Slot::Next, Some(&Secret::new(value)))]) {
            Ok(()) => assert_eq!(store.get(Slot::Next).unwrap().unwrap().expose(), value),
            Err(StoreError::Unrepresentable { .. }) => assert_eq!(all(&*store), before, "{value:?}"),
            Err(error) => panic!("{value:?}: {error}"),
        }
        assert_eq!(store.get(Slot::Current).unwrap().unwrap().expose(), "live", "{value:?}");
    }
    let empty = store.apply(&[(Slot::Next, Some(&Secret::new("")))]);
    assert!(matches!(empty, Err(StoreError::Unrepresentable { .. })));
    store.apply(&[(Slot::Next, None), (Slot::Current, None)]).unwrap();
}

pub fn a_canary_leaves_no_trace(bench: Bench<'_>) {
    let store = bench("CANARY");
    prove(&*store, &Secret::new("canary")).unwrap();
    assert_eq!(all(&*store), [None, None, None, None]);
    // One that a crash left behind is no obstacle.
    store.apply(&[(Slot::Canary, Some(&Secret::new("left")))]).unwrap();
    prove(&*store, &Secret::new("canary")).unwrap();
    assert_eq!(all(&*store), [None, None, None, None]);
}

pub fn a_rotation_goes_through(bench: Bench<'_>) {
    let store = bench("ROTATION");
    let (old, new) = (Secret::new("old"), Secret::new("new"));
    store.apply(&[(Slot::Current, Some(&old))]).unwrap();
    // Each step twice: the second time there is nothing to do.
    for _ in 0..2 {
        stage(&*store, &new, ANY).unwrap();
        holds(&*store, Some("new"), Some("old"), None);
    }
    assert!(matches!(retire(&*store, &new.fingerprint(), ANY), Err(StoreError::Drifted { .. })));
    for _ in 0..2 {
        promote(&*store, &new.fingerprint(), None, ANY).unwrap();
        stage(&*store, &new, ANY).unwrap();
        holds(&*store, None, Some("new"), Some("old"));
    }
    for _ in 0..2 {
        roll_back(&*store, &new.fingerprint(), ANY).unwrap();
        holds(&*store, Some("new"), Some("old"), None);
    }
    promote(&*store, &new.fingerprint(), None, ANY).unwrap();
    for _ in 0..2 {
        // Somebody who comes too late stages it once more.
        store.apply(&[(Slot::Next, Some(&new))]).unwrap();
        retire(&*store, &new.fingerprint(), ANY).unwrap();
        assert_eq!(store.get(Slot::Next).unwrap(), None);
        holds(&*store, None, Some("new"), None);
    }
    assert!(matches!(roll_back(&*store, &new.fingerprint(), ANY), Err(StoreError::CannotRollBack { .. })));
    let stranger = Secret::new("stranger").fingerprint();
    assert!(matches!(promote(&*store, &stranger, Some(&old), ANY), Err(StoreError::NothingToPromote { .. })));
    holds(&*store, None, Some("new"), None);
    store.apply(&[(Slot::Current, None)]).unwrap();
    assert!(matches!(roll_back(&*store, &new.fingerprint(), ANY), Err(StoreError::CannotRollBack { .. })));
    // The first secret of a store that was empty; and what others put into `next` since is left alone.
    promote(&*store, &new.fingerprint(), Some(&new), ANY).unwrap();
    holds(&*store, None, Some("new"), None);
    store.apply(&[(Slot::Next, Some(&old))]).unwrap();
    promote(&*store, &new.fingerprint(), None, ANY).unwrap();
    holds(&*store, Some("old"), Some("new"), None);
    store.apply(&[(Slot::Next, None), (Slot::Current, None)]).unwrap();
}

/// Somebody else writes between the look and the change, or what is found is not to be built on: nothing is changed.
pub fn a1_what_was_looked_at_is_what_is_replaced(bench: Bench<'_>) {
    let store = bench("SEEN");
    let (old, new, foreign) = (Secret::new("old"), Secret::new("new"), Secret::new("foreign"));
    let fingerprint = new.fingerprint();
    let is_left =
        |result: Result<(), StoreError>| assert!(matches!(result, Err(StoreError::Moved { .. })), "{result:?}");
    store.apply(&[(Slot::Current, Some(&old))]).unwrap();
    let seen = slots::look(&*store).unwrap();
    store.apply(&[(Slot::Current, Some(&foreign))]).unwrap();
    is_left(store.apply_seen(&seen, &[(Slot::Next, Some(&new))]));
    holds(&*store, None, Some("foreign"), None);
    let may = |held: &slots::Held| held.current != Some(foreign.fingerprint());
    is_left(stage(&*store, &new, &may));
    store.apply(&[(Slot::Next, Some(&new))]).unwrap();
    is_left(promote(&*store, &fingerprint, None, &may));
    holds(&*store, Some("new"), Some("foreign"), None);
    store.apply(&[(Slot::Next, None), (Slot::Current, Some(&new)), (Slot::Previous, Some(&foreign))]).unwrap();
    let may = |held: &slots::Held| held.previous != Some(foreign.fingerprint());
    is_left(retire(&*store, &fingerprint, &may));
    is_left(roll_back(&*store, &fingerprint, &may));
    holds(&*store, None, Some("new"), Some("foreign"));
    store.apply(&[(Slot::Previous, None), (Slot::Current, None)]).unwrap();
}

fn a_cut_off_promotion_is_completed(bench: Bench<'_>) {
    let (old, new) = (Secret::new("old"), Secret::new("new"));
    for after in 0..=3 {
        let store = bench("PROMOTION");
        store.apply(&[(Slot::Next, Some(&new)), (Slot::Current, Some(&old))]).unwrap();
        promote(&CutOff { store: bench("PROMOTION"), after }, &new.fingerprint(), None, ANY).unwrap_err();
        promote(&*store, &new.fingerprint(), None, ANY).unwrap();
        holds(&*store, None, Some("new"), Some("old"));
        store.apply(&[(Slot::Previous, None), (Slot::Current, None)]).unwrap();
    }
}

fn a_cut_off_rollback_is_completed(bench: Bench<'_>) {
    let (old, new) = (Secret::new("old"), Secret::new("new"));
    for after in 0..=3 {
        let store = bench("ROLLBACK");
        store.apply(&[(Slot::Current, Some(&new)), (Slot::Previous, Some(&old))]).unwrap();
        roll_back(&CutOff { store: bench("ROLLBACK"), after }, &new.fingerprint(), ANY).unwrap_err();
        roll_back(&*store, &new.fingerprint(), ANY).unwrap();
        holds(&*store, Some("new"), Some("old"), None);
        store.apply(&[(Slot::Next, None), (Slot::Current, None)]).unwrap();
    }
}

pub fn writers_do_not_lose_each_others_changes(bench: Bench<'_>) {
    let names: Vec<String> = (0..4).map(|at| format!("WRITER{at}")).collect();
    thread::scope(|scope| {
        for name in &names {
            scope.spawn(move || {
                for round in 0..4 {
                    let value = Secret::new(format!("{name}-{round}"));
                    bench(name).apply(&[(Slot::Next, Some(&value))]).unwrap();
                }
            });
        }
    });
    for name in &names {
        let store = bench(name);
        assert_eq!(store.get(Slot::Next).unwrap().unwrap().expose(), format!("{name}-3"));
        store.apply(&[(Slot::Next, None)]).unwrap();
    }
}

/// Opens what a reference names, with nothing around it but a folder.
pub fn opened(text: &str, folder: &Path) -> Box<dyn Store> {
    opened_in(text, folder, Environment::default())
}

/// The same in an environment.
pub fn opened_in(text: &str, folder: &Path, environment: Environment) -> Box<dyn Store> {
    let surroundings = Surroundings { folder: folder.to_owned(), environment, ..Surroundings::default() };
    open(&Reference::parse(text).unwrap(), &SlotNames::default(), &surroundings).unwrap()
}

/// Runs the checks on one file, given its content before; which it has again afterwards.
fn file_conforms(before: Option<&str>, reference: impl Fn(&str) -> String + Sync) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    if let Some(before) = before {
        fs::write(&path, before).unwrap();
    }
    conforms(&|name| opened(&reference(name), folder.path()));
    match before {
        Some(before) => assert_eq!(fs::read_to_string(&path).unwrap(), before),
        None => prove(&*opened(&reference("CANARY"), folder.path()), &Secret::new("canary")).unwrap(),
    }
    for entry in fs::read_dir(folder.path()).unwrap() {
        assert_eq!(entry.unwrap().file_name(), "store");
    }
}

#[test]
fn dotenv() {
    for before in [
        None,
        Some("# settings\nA='x'\n\nexport B=\"y\" # why\n"),
        Some("A=1\r\nB='2'\r\n"),
        Some("A=1"),
        Some("BROKEN=\"open\nA=1\n"),
    ] {
        file_conforms(before, |name| format!("dotenv:store#{name}"));
    }
}

#[test]
fn json() {
    for before in [None, Some("{\n  \"a\": 1.0,\n  \"big\": 123456789012345678901234567890\n}\n"), Some("{\"a\":[]}")] {
        file_conforms(before, |name| format!("json:store#/{name}"));
    }
    file_conforms(Some("{\"in\": [{}, {\"here\": {\n\t\"a\": null}}]}"), |name| {
        format!("json:store#/in/1/here/{name}")
    });
}

#[test]
fn file() {
    let folder = tempfile::tempdir().unwrap();
    conforms(&|name| opened(&format!("file:{name}"), folder.path()));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn command() {
    let folder = tempfile::tempdir().unwrap();
    let shell = |script: &str| {
        let folder = folder.path().display().to_string();
        ["sh", "-c", script, &folder, "{target}.{slot}"].map(str::to_owned).to_vec()
    };
    let spec = CommandSpec {
        put: shell("umask 077; cat > \"$0/$1\""),
        get: Some(shell("test -e \"$0/$1\" || exit 44; cat \"$0/$1\"; echo")),
        clear: Some(shell("rm -f \"$0/$1\"")),
        absent: 44,
        ..CommandSpec::default()
    };
    conforms(&|name| {
        let commands = std::sync::Arc::new([("keep".to_owned(), spec.clone())].into());
        let surroundings = Surroundings { commands, target: name.to_owned(), ..Surroundings::default() };
        open(&Reference::parse("command:keep").unwrap(), &SlotNames::default(), &surroundings).unwrap()
    });
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
#[ignore = "needs a Secret Service; run by tests/keychain/session.sh"]
fn keychain() {
    conforms(&|name| opened(&format!("keychain:whsec-conformance/{name}"), Path::new("/")));
}
