//! Promises 26 and 27: somebody else changes a slot or another line of the file, empties the file for a moment, swaps its
//! folder, rotates at the provider or adds a store to the config, before each system call that touches that object and
//! before one in twenty of the others. Nothing of theirs is lost, nothing of ours is, no rotation comes to its end over a
//! value that is not its own, and none is called done over a secret that is dead.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use memchr::memmem;
use whsec::provider::client::{Client, ClientOptions};
use whsec::provider::request;
use whsec::rotation::Rotation;
use whsec::secret::Secret;
use whsec::store::Slot;

use crate::kill::{GO_ON, Scenario, Verb, in_threads};
use crate::report::{Dice, Tally, is_full, note};
use crate::sandbox::Run;
use crate::share;
use crate::tracer::{self, Act};
use crate::world::{Clock, FILES, Kept, World};

/// What somebody else does while a command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hand {
    /// Puts a secret of theirs into a slot: in place, or by a file of their own renamed over it.
    Fills { slot: Slot, in_place: bool },
    /// Changes something else in the same file.
    Edits,
    /// Empties the file, and writes it again only when the command is over.
    Rewrites,
    /// Puts a link of another user's to a folder of theirs in place of the store's folder.
    SwapsFolder,
    /// Rotates at the provider.
    Rotates,
    /// Names one more store in the config.
    AddsStore,
}

const HANDS: [Hand; 11] = [
    Hand::Fills { slot: Slot::Next, in_place: false },
    Hand::Fills { slot: Slot::Next, in_place: true },
    Hand::Fills { slot: Slot::Current, in_place: false },
    Hand::Fills { slot: Slot::Current, in_place: true },
    Hand::Fills { slot: Slot::Previous, in_place: false },
    Hand::Fills { slot: Slot::Previous, in_place: true },
    Hand::Edits,
    Hand::Rewrites,
    Hand::SwapsFolder,
    Hand::Rotates,
    Hand::AddsStore,
];

const SCENARIOS: &[Scenario] = &[
    Scenario { verb: Verb::Rotate, provider: "layers", stores: &[Kept::Dotenv] },
    Scenario { verb: Verb::Rotate, provider: "signa", stores: FILES },
    Scenario { verb: Verb::Rotate, provider: "verifa", stores: FILES },
    Scenario { verb: Verb::Rotate, provider: "svix", stores: &[Kept::Dotenv] },
    Scenario { verb: Verb::Cutover, provider: "svix", stores: &[Kept::Json] },
    Scenario { verb: Verb::Rotate, provider: "github", stores: &[Kept::Json] },
    Scenario { verb: Verb::Cutover, provider: "github", stores: FILES },
    Scenario { verb: Verb::Rotate, provider: "slack", stores: FILES },
    Scenario { verb: Verb::Cutover, provider: "slack", stores: &[Kept::Dotenv] },
    Scenario { verb: Verb::Cutover, provider: "clerk", stores: &[Kept::Json] },
    Scenario { verb: Verb::Rotate, provider: "stripe-api", stores: &[Kept::Dotenv] },
    Scenario { verb: Verb::Cutover, provider: "stripe-api", stores: FILES },
    Scenario { verb: Verb::Cutover, provider: "layers", stores: FILES },
    Scenario { verb: Verb::Cutover, provider: "verifa", stores: &[Kept::Json] },
    Scenario { verb: Verb::Finish, provider: "layers", stores: FILES },
    Scenario { verb: Verb::Cutover, provider: "signa", stores: FILES },
    Scenario { verb: Verb::Join, provider: "signa", stores: FILES },
    Scenario { verb: Verb::Rotate, provider: "kadosei", stores: &[Kept::Dotenv] },
    Scenario { verb: Verb::Rollback, provider: "signa", stores: FILES },
    Scenario { verb: Verb::Force, provider: "signa", stores: FILES },
];

/// Providers whose inspect shows that somebody rotated.
const TELLING: [&str; 3] = ["signa", "svix", "kadosei"];
/// What the files of their folder hold.
const THEIRS: &str = "theirs\n";
/// The user who swaps a folder.
const NOBODY: u32 = 65534;

/// A moment of a command: before the call of this number among those that touch the store, or among the others.
#[derive(Clone, Copy, Debug)]
enum Moment {
    Touching(usize),
    Other(usize),
}

/// One case: a hand, the store that it changes, and when.
#[derive(Clone, Copy, Debug)]
struct Case {
    hand: Hand,
    store: Kept,
    at: Moment,
}

/// Of the calls that do not touch the store, one in this many is tried.
const ONE_IN: usize = 20;
/// Cases of a scenario in a sample, and of those the share at calls that touch the store.
const SAMPLE: usize = 7;
const SAMPLE_TOUCHING: usize = 6;
/// The exits of a command that came to its end or to rest.
const AT_REST: [i32; 2] = [0, 11];

/// The file that a store keeps a slot in.
fn path(world: &World, store: Kept, slot: Slot) -> PathBuf {
    match (store, slot) {
        (Kept::File, Slot::Next) => world.sandbox.path("work/mounted.next"),
        (Kept::File, Slot::Previous) => world.sandbox.path("work/mounted.previous"),
        _ => world.sandbox.path(&format!("work/{}", file_name(store))),
    }
}

/// The name of a store's file.
fn file_name(store: Kept) -> &'static str {
    match store {
        Kept::Dotenv => "receiver.env",
        Kept::Json => "settings.json",
        Kept::File => "mounted",
        Kept::Keychain | Kept::Vault | Kept::AwsSm => unreachable!("a hand changes files"),
    }
}

/// What the calls that touch what a hand changes have in their operands.
fn object(hand: Hand, store: Kept) -> &'static str {
    match hand {
        Hand::Fills { .. } | Hand::Edits | Hand::Rewrites => file_name(store),
        Hand::SwapsFolder => "/work",
        Hand::Rotates => "socket:",
        Hand::AddsStore => "config.toml",
    }
}

/// Whether a hand makes sense in a scenario, at a store.
fn applies(scenario: &Scenario, hand: Hand, store: Kept) -> bool {
    let is_first = scenario.stores.first() == Some(&store);
    match hand {
        Hand::Fills { .. } | Hand::Rewrites => true,
        // A bare file has nothing beside its value.
        Hand::Edits => store != Kept::File,
        Hand::SwapsFolder => is_first && rustix::process::geteuid().is_root(),
        Hand::Rotates => is_first && TELLING.contains(&scenario.provider),
        // A config is read once a command; one that closes the rotation may have read it before.
        Hand::AddsStore => is_first && matches!(scenario.verb, Verb::Rotate | Verb::Force),
    }
}

/// The content of a store's file with one slot, or one other thing in it, changed as a person would.
fn changed(store: Kept, text: &str, slot: Slot, value: &str) -> String {
    match store {
        Kept::Dotenv => with_line(text, &variable(slot), value),
        Kept::Json => with_member(text, &member(slot), value),
        _ => value.to_owned(),
    }
}

/// The variable of a slot in the dotenv file.
fn variable(slot: Slot) -> String {
    format!("{}{}", crate::sandbox::KEY, suffix(slot, "_NEW", "_OLD"))
}

/// The member of a slot in the JSON file.
fn member(slot: Slot) -> String {
    format!("secret{}", suffix(slot, "_new", "_old"))
}

fn suffix(slot: Slot, next: &'static str, previous: &'static str) -> &'static str {
    match slot {
        Slot::Next => next,
        Slot::Previous => previous,
        Slot::Current | Slot::Canary => "",
    }
}

fn with_line(text: &str, name: &str, value: &str) -> String {
    let line = format!("{name}={value}\n");
    let start = format!("{name}=");
    if !text.lines().any(|old| old.starts_with(&start)) {
        return format!("{text}{line}");
    }
    text.split_inclusive('\n').map(|old| if old.starts_with(&start) { line.as_str() } else { old }).collect()
}

fn with_member(text: &str, name: &str, value: &str) -> String {
    let mut document: serde_json::Value = serde_json::from_str(text).unwrap();
    document["hooks"][name] = value.into();
    format!("{document:#}\n")
}

/// Writes a file as another program does.
fn write(world: &World, path: &PathBuf, text: &str, in_place: bool) {
    if in_place {
        std::fs::write(path, text).unwrap();
        return;
    }
    let beside = world.sandbox.path("theirs");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(beside, path).unwrap();
}

/// What is left to do by the hand once the command is over.
enum Later {
    Nothing,
    /// The rest of a rewrite, through the descriptor that emptied the file.
    Write(File, String),
    /// The folder comes back.
    MoveBack,
}

fn act(world: &World, case: Case, foreign: &Secret) -> Later {
    match case.hand {
        Hand::Fills { slot, in_place } => {
            let path = path(world, case.store, slot);
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            write(world, &path, &changed(case.store, &text, slot, foreign.expose()), in_place);
            Later::Nothing
        }
        Hand::Edits => {
            let path = path(world, case.store, Slot::Current);
            let text = std::fs::read_to_string(&path).unwrap();
            let new = match case.store {
                Kept::Json => with_member(&text, "added", "1"),
                _ => with_line(&text, "ADDED", "1"),
            };
            write(world, &path, &new, false);
            Later::Nothing
        }
        Hand::Rewrites => {
            let path = path(world, case.store, Slot::Current);
            let text = std::fs::read_to_string(&path).unwrap();
            let file = File::options().write(true).truncate(true).open(path).unwrap();
            Later::Write(file, text)
        }
        Hand::SwapsFolder => {
            let (ours, moved, theirs) = swapped(world);
            std::fs::create_dir(&theirs).unwrap();
            for entry in std::fs::read_dir(&ours).unwrap().flatten().filter(|entry| entry.path().is_file()) {
                std::fs::write(theirs.join(entry.file_name()), THEIRS).unwrap();
            }
            std::fs::rename(&ours, moved).unwrap();
            std::os::unix::fs::symlink(&theirs, &ours).unwrap();
            std::os::unix::fs::lchown(&ours, Some(NOBODY), Some(NOBODY)).unwrap();
            Later::MoveBack
        }
        Hand::Rotates => {
            rotate_by_hand(world);
            Later::Nothing
        }
        Hand::AddsStore => {
            let added = world.sandbox.path("work/added");
            let text = world.sandbox.config_text();
            let stores = text.lines().find(|line| line.starts_with("store = ")).unwrap();
            let listed = stores.trim_start_matches("store = ").trim_matches(['[', ']']);
            let more = format!("store = [{listed}, \"file:{}\"]", added.display());
            world.sandbox.config(&text.replace(stores, &more));
            Later::Nothing
        }
    }
}

/// The stores' folder, where it is while it is swapped, and the folder in its place.
fn swapped(world: &World) -> (PathBuf, PathBuf, PathBuf) {
    let [ours, moved, theirs] = ["work", "moved", "theirs"].map(|name| world.sandbox.path(name));
    (ours, moved, theirs)
}

/// A call to the provider that is not ours.
fn rotate_by_hand(world: &World) {
    let endpoint = world.sandbox.endpoint();
    let key = uuid::Uuid::new_v4().to_string();
    let request = match world.sandbox.provider.spec().force {
        Some(_) => request::force(&endpoint, Some(&key), "by hand").unwrap().expect("a call"),
        None => request::rotate(&endpoint, Some(&key)).expect("a call"),
    };
    let options = ClientOptions { timeout: Duration::from_secs(5), ca: None };
    Client::new(&options).unwrap().call(&endpoint, &request, &world.sandbox.api_key);
}

/// Whether a value stands in some file of the stores' folder.
fn is_kept(world: &World, value: &str) -> bool {
    let files = world.sandbox.all_files();
    let folder = world.sandbox.path("work");
    let has = |bytes: &[u8]| memmem::find(bytes, value.as_bytes()).is_some();
    files.iter().any(|(path, bytes)| path.starts_with(&folder) && has(bytes))
}

/// Whether a slot holds this value by now.
fn holds(world: &World, store: Kept, slot: Slot, value: &str) -> bool {
    std::fs::read_to_string(path(world, store, slot)).is_ok_and(|text| match store {
        Kept::File => text == value,
        Kept::Json => text.contains(&format!("\"{}\": \"{value}\"", member(slot))),
        _ => text.lines().any(|line| {
            line.split_once('=').is_some_and(|(name, held)| name == variable(slot) && held.trim_matches('\'') == value)
        }),
    })
}

/// What the journal has of the endpoint's newest rotation.
fn newest(world: &World) -> Option<Rotation> {
    let journal = whsec::rotation::journal::Journal::open_to_look(&world.sandbox.state()).ok()?;
    journal.of_endpoint(&world.sandbox.endpoint().key()).ok()?.into_iter().next()
}

/// Whether the journal has the foreign value as one that was live before: it came before the first look.
fn was_there_before(world: &World, foreign: &Secret) -> bool {
    let foreign = Some(foreign.fingerprint());
    newest(world).is_some_and(|newest| newest.before.held.values().any(|held| held.current == foreign))
}

/// Whether the first look found no live secret in that store.
fn was_empty_before(world: &World, store: Kept) -> bool {
    let is_it = |reference: &str| reference.contains(file_name(store));
    newest(world).is_some_and(|newest| newest.before.held.iter().any(|(of, held)| is_it(of) && held.current.is_none()))
}

/// Tries one case. Yields whether its moment came.
fn attempt(scenario: &Scenario, world: &World, case: Case, struck: &AtomicUsize) -> Result<(), String> {
    // As long as real ones: a file that shrank is another matter.
    let foreign = Secret::new(format!("whsec_{0}{0}", uuid::Uuid::new_v4().simple()));
    let (mut touching, mut other, mut touched_since) = (0, 0, 0);
    let (mut later, mut destroyed, mut asked) = (None, false, 0);
    let object = object(case.hand, case.store);
    let traced = follow(scenario, world, |operands| {
        // What comes after the hand has moved matters until something of it was touched.
        if later.is_some() && touched_since > 0 {
            return;
        }
        let touches = touch(&operands(), object);
        *(if touches { &mut touching } else { &mut other }) += 1;
        let is_now = match case.at {
            Moment::Touching(at) => touches && touching == at,
            Moment::Other(at) => !touches && other == at,
        };
        if is_now {
            let was_there = is_in_a_slot(scenario, world);
            later = Some(act(world, case, &foreign));
            destroyed = was_there && !is_in_a_slot(scenario, world);
            asked = world.sandbox.requests();
        }
        touched_since += usize::from(touches && later.is_some());
    });
    let Some(later) = later else { return Ok(()) };
    struck.fetch_add(1, Ordering::SeqCst);
    let mut runs = vec![world.sandbox.watch(traced.output)];
    // An empty file that nobody ever saw full is an empty file.
    let saw_nothing = case.hand == Hand::Rewrites && was_empty_before(world, case.store);
    match finish_theirs(world, case, later) {
        Err(why) if !saw_nothing => return Err(tell(why, &runs)),
        _ => {}
    }
    // What was live when the rotation began is replaced and retired, whoever put it there.
    let came_first = was_there_before(world, &foreign);
    if !came_first {
        all_is_kept(world, case, &foreign, destroyed).map_err(|why| tell(format!("{why} after the command"), &runs))?;
    }
    for _ in 0..2 {
        let is_given = newest(world).is_some_and(|newest| newest.answered().is_some());
        if world.sandbox.provider.is_by_hand() && !is_given {
            // Whoever has pressed gives it once more.
            runs.push(world.run(scenario.again()));
        }
        runs.push(world.run(GO_ON));
        world.jump();
    }
    if !came_first {
        all_is_kept(world, case, &foreign, destroyed).map_err(|why| tell(format!("{why} after going on"), &runs))?;
        // What happens at the provider after the last answer of a rotation that is over is news to nobody.
        let seen_since = match case.hand {
            Hand::Rotates => world.sandbox.requests() > asked,
            _ => touched_since > 0,
        };
        end_is_right(world, case, &foreign, &runs, seen_since).map_err(|why| tell(why, &runs))?;
    }
    Ok(())
}

/// Whether a call with these operands touches an object.
fn touch(operands: &[String], object: &str) -> bool {
    operands.iter().any(|text| text.contains(object))
}

/// Runs the scenario's command, and at each call lets its operands be asked for.
fn follow(scenario: &Scenario, world: &World, mut each: impl FnMut(&dyn Fn() -> Vec<String>)) -> tracer::Traced {
    let line = scenario.line().replace("ID", &world.sandbox.id());
    let words: Vec<&str> = line.split_whitespace().collect();
    tracer::run_with(&world.command(&words), |_, thread| {
        each(&|| tracer::operands(thread));
        Act::Pass
    })
}

/// The hand does what is left to do, and looks whether that was of use.
fn finish_theirs(world: &World, case: Case, later: Later) -> Result<(), String> {
    match later {
        Later::Nothing => Ok(()),
        Later::Write(mut file, text) => {
            file.seek(SeekFrom::Start(0)).unwrap();
            file.write_all(text.as_bytes()).unwrap();
            match case.store == Kept::File || is_kept(world, other_line(case.store)) {
                true => Ok(()),
                false => Err("the rest of a file that was being written is lost".to_owned()),
            }
        }
        Later::MoveBack => {
            let (ours, moved, theirs) = swapped(world);
            let touched = std::fs::read_dir(&theirs)
                .unwrap()
                .flatten()
                .find(|entry| std::fs::read_to_string(entry.path()).is_ok_and(|text| text != THEIRS));
            std::fs::remove_file(&ours).unwrap();
            std::fs::rename(moved, ours).unwrap();
            std::fs::remove_dir_all(&theirs).unwrap();
            touched.map_or(Ok(()), |entry| Err(format!("{} was written in their folder", entry.path().display())))
        }
    }
}

/// Whether a slot of some store holds the secret that the provider made last.
fn is_in_a_slot(scenario: &Scenario, world: &World) -> bool {
    let newest = world.sandbox.newest();
    let has = |store: &Kept| Slot::KEPT.iter().any(|slot| holds(world, *store, *slot, newest.expose()));
    world.rotations() > 0 && scenario.stores.iter().any(has)
}

/// Whether neither a store nor a seal has the secret that the provider made last.
fn is_lost(world: &World) -> bool {
    !is_kept(world, world.sandbox.newest().expose()) && !world.has_seal()
}

/// Nothing of theirs is lost, nor the secret that the provider has, unless they wrote over the only copy themselves.
fn all_is_kept(world: &World, case: Case, foreign: &Secret, destroyed: bool) -> Result<(), String> {
    let is_on_a_page = world.sandbox.provider.is_by_hand();
    if world.rotations() > 0 && case.hand != Hand::Rotates && !destroyed && !is_on_a_page && is_lost(world) {
        return Err("the provider's secret is lost".to_owned());
    }
    match case.hand {
        Hand::Fills { .. } if !is_kept(world, foreign.expose()) => Err("theirs is lost".to_owned()),
        Hand::Edits if !is_kept(world, edit(case.store)) => Err("their edit is lost".to_owned()),
        _ => Ok(()),
    }
}

/// What a hand did was noticed where it matters, and did not stand in the way where it does not.
fn end_is_right(world: &World, case: Case, foreign: &Secret, runs: &[Run], seen_since: bool) -> Result<(), String> {
    let is_through = runs.last().is_some_and(|run| run.code == 0);
    match case.hand {
        Hand::Fills { slot, .. } => {
            let fingerprint = foreign.fingerprint().to_string();
            let noticed = runs.iter().any(|run| !AT_REST.contains(&run.code) && run.stderr.contains(&fingerprint));
            // A slot that nothing is done with any more is left as it is found.
            let is_left_alone = slot != Slot::Current && holds(world, case.store, slot, foreign.expose());
            match noticed || is_left_alone || !seen_since {
                true => Ok(()),
                false => Err(format!("{fingerprint} in {slot:?} was not noticed")),
            }
        }
        Hand::Edits | Hand::Rewrites | Hand::SwapsFolder => match is_through || world.rotations() != 1 {
            true => Ok(()),
            false => Err("the rotation does not come to its end".to_owned()),
        },
        Hand::Rotates => match is_through && seen_since && !world.is_live() {
            false => Ok(()),
            true => Err("done over a secret that is dead".to_owned()),
        },
        Hand::AddsStore => {
            let added = std::fs::read_to_string(world.sandbox.path("work/added")).ok();
            let has = added.as_deref() == Some(world.sandbox.newest().expose());
            match is_through && world.rotations() == 1 && !has {
                false => Ok(()),
                true => Err("done, and a store of the config lacks the secret".to_owned()),
            }
        }
    }
}

/// What is in the file beside the slots.
fn other_line(store: Kept) -> &'static str {
    match store {
        Kept::Json => "8080",
        _ => "PORT=8080",
    }
}

/// What [`Hand::Edits`] leaves in the file.
fn edit(store: Kept) -> &'static str {
    match store {
        Kept::Json => "\"added\"",
        _ => "ADDED=1",
    }
}

fn tell(why: String, runs: &[Run]) -> String {
    runs.iter().fold(why, |text, run| format!("{text}\nexit {}: {}", run.code, run.stderr.trim_end()))
}

/// How many calls touch each of these objects when nobody else is there, and how many do not.
fn calls(scenario: &Scenario, objects: BTreeSet<&'static str>) -> BTreeMap<&'static str, (usize, usize)> {
    let world = scenario.world(&Clock::new());
    let mut counted: BTreeMap<_, (usize, usize)> = objects.into_iter().map(|object| (object, (0, 0))).collect();
    follow(scenario, &world, |operands| {
        let operands = operands();
        for (object, (touching, other)) in &mut counted {
            *(if touch(&operands, object) { touching } else { other }) += 1;
        }
    });
    counted
}

/// Every case of a scenario, or a sample of them.
fn cases(scenario: &Scenario) -> Vec<Case> {
    let hands = scenario.stores.iter().flat_map(|store| HANDS.map(|hand| (hand, *store)));
    let hands: Vec<(Hand, Kept)> = hands.filter(|(hand, store)| applies(scenario, *hand, *store)).collect();
    let counted = calls(scenario, hands.iter().map(|(hand, store)| object(*hand, *store)).collect());
    let mut all = Vec::new();
    for (hand, store) in hands {
        let (touching, other) = counted[object(hand, store)];
        assert!(touching > 2, "{}: {touching} calls touch what {hand:?} changes", scenario.name());
        all.extend((1..=touching).map(|at| Case { hand, store, at: Moment::Touching(at) }));
        all.extend((1..=other).step_by(ONE_IN).map(|at| Case { hand, store, at: Moment::Other(at) }));
    }
    if is_full() {
        return all;
    }
    let mut dice = Dice::new(&format!("foreign {}", scenario.name()));
    let (touching, other): (Vec<Case>, Vec<Case>) =
        all.into_iter().partition(|case| matches!(case.at, Moment::Touching(_)));
    let mut draw = |from: &[Case], wanted: usize| -> Vec<Case> {
        // One of each equal part, so that every hand and store has its share.
        let part = |at: usize| (at * from.len() / wanted, (at + 1) * from.len() / wanted);
        let mut one = |(from, to): (usize, usize)| from + dice.below((to - from) as u64) as usize;
        (0..wanted.min(from.len())).map(|at| from[one(part(at))]).collect()
    };
    [draw(&touching, SAMPLE_TOUCHING), draw(&other, SAMPLE - SAMPLE_TOUCHING)].concat()
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn what_others_change_is_noticed_and_never_lost() {
    let only = std::env::var("WHSEC_TEST_ONLY").unwrap_or_default();
    let struck = AtomicUsize::new(0);
    let mut total = Tally::default();
    for scenario in SCENARIOS.iter().filter(|scenario| scenario.name().contains(&only)) {
        let of_this_piece = share::of_this_piece(cases(scenario));
        let tally = in_threads(&of_this_piece, |cases| {
            let clock = Clock::new();
            let mut tally = Tally::default();
            let mut kept: Option<World> = None;
            for case in cases {
                tally.case(&format!("{} {case:?}", scenario.name()), || {
                    let world = kept.take().unwrap_or_else(|| scenario.world(&clock));
                    world.restore();
                    let rotations = world.sandbox.rotations();
                    attempt(scenario, &world, case, &struck)?;
                    // A snapshot reaches neither to the provider nor to the config.
                    let is_within = case.hand != Hand::AddsStore && world.sandbox.rotations() == rotations;
                    if !scenario.is_fresh() && is_within {
                        kept = Some(world);
                    }
                    Ok(())
                });
            }
            tally
        });
        note(&format!("foreign hand, {}: {} cases, {} failures", scenario.name(), tally.cases, tally.failures.len()));
        total.add(tally);
    }
    let struck = struck.load(Ordering::SeqCst);
    let figure = format!("{struck} changes by others between two system calls of a command, 0 lost, 0 taken for ours");
    // Runs differ by some calls, so that the last moments of one may not come in another.
    if struck * 10 < total.cases * 9 {
        total.failures.push(format!("only {struck} of {} hands moved", total.cases));
    }
    total.promise(26, "a second writer at the same slots and files", &figure);
}
