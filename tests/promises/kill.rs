//! Promise 2 and 3: SIGKILL at every system call of every command that changes something, then `cutover`. Nothing is lost,
//! nothing is rotated twice, nothing is left behind.
//!
//! A kill at the entry of a call leaves the world as the call before left it, so that entries are all the places there
//! are; with several threads, each entry of one is a moment of the others.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use nix::sys::signal::Signal;

use crate::report::{Daemon, Dice, TRIES, Tally, is_full, note, seed};
use crate::share;
use crate::tracer;
use crate::world::{Clock, FILES, Kept, World, is_shared};

/// The commands that are killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Rotate,
    /// With the old secret's end, while nothing else is open.
    Force,
    /// The same while an overlap is open.
    ForceOpen,
    /// A leak that an open rotation contains.
    Contain,
    /// All that is left after `rotate`, with the overlap over.
    Cutover,
    /// The same after all stores but the first came to the config.
    Join,
    /// After a rotate that was killed while the answer was on its way.
    Resume,
    /// With deploy and verify said, and the overlap over.
    Finish,
    Rollback,
}

/// A command in a world.
pub struct Scenario {
    pub verb: Verb,
    pub provider: &'static str,
    pub stores: &'static [Kept],
}

pub const SCENARIOS: &[Scenario] = &[
    Scenario { verb: Verb::Rotate, provider: "layers", stores: FILES },
    Scenario { verb: Verb::Rotate, provider: "signa", stores: &[Kept::Dotenv] },
    Scenario { verb: Verb::Rotate, provider: "signa", stores: &[Kept::Json] },
    Scenario { verb: Verb::Rotate, provider: "signa", stores: &[Kept::File] },
    Scenario { verb: Verb::Rotate, provider: "verifa", stores: FILES },
    Scenario { verb: Verb::Rotate, provider: "svix", stores: FILES },
    Scenario { verb: Verb::Rotate, provider: "github", stores: FILES },
    Scenario { verb: Verb::Cutover, provider: "github", stores: FILES },
    Scenario { verb: Verb::Rotate, provider: "slack", stores: FILES },
    Scenario { verb: Verb::Rotate, provider: "slack", stores: VAULT },
    Scenario { verb: Verb::Cutover, provider: "slack", stores: &[Kept::Json] },
    Scenario { verb: Verb::Rotate, provider: "clerk", stores: &[Kept::Dotenv] },
    Scenario { verb: Verb::Cutover, provider: "clerk", stores: FILES },
    Scenario { verb: Verb::Rotate, provider: "stripe-api", stores: FILES },
    Scenario { verb: Verb::Rotate, provider: "pagerduty", stores: &[Kept::Dotenv] },
    Scenario { verb: Verb::Cutover, provider: "stripe-api", stores: FILES },
    Scenario { verb: Verb::Cutover, provider: "pagerduty", stores: &[Kept::Json] },
    Scenario { verb: Verb::Force, provider: "signa", stores: FILES },
    Scenario { verb: Verb::ForceOpen, provider: "signa", stores: FILES },
    Scenario { verb: Verb::Force, provider: "layers", stores: &[Kept::Dotenv] },
    Scenario { verb: Verb::Contain, provider: "layers", stores: FILES },
    Scenario { verb: Verb::Cutover, provider: "layers", stores: FILES },
    Scenario { verb: Verb::Cutover, provider: "verifa", stores: &[Kept::Dotenv] },
    Scenario { verb: Verb::Join, provider: "layers", stores: FILES },
    Scenario { verb: Verb::Join, provider: "verifa", stores: FILES },
    Scenario { verb: Verb::Resume, provider: "signa", stores: FILES },
    Scenario { verb: Verb::Finish, provider: "layers", stores: FILES },
    Scenario { verb: Verb::Rollback, provider: "signa", stores: FILES },
    Scenario { verb: Verb::Rotate, provider: "signa", stores: VAULT },
    Scenario { verb: Verb::Cutover, provider: "layers", stores: VAULT },
    Scenario { verb: Verb::Rollback, provider: "signa", stores: &[Kept::Vault] },
    Scenario { verb: Verb::Rotate, provider: "signa", stores: AWS },
    Scenario { verb: Verb::Cutover, provider: "layers", stores: AWS },
    Scenario { verb: Verb::Rollback, provider: "signa", stores: &[Kept::AwsSm] },
    Scenario { verb: Verb::Finish, provider: "layers", stores: &[Kept::AwsSm, Kept::Vault] },
];

/// A server's store before one on this machine: a crash between the two is completed like any other.
const VAULT: &[Kept] = &[Kept::Vault, Kept::Dotenv];
const AWS: &[Kept] = &[Kept::AwsSm, Kept::Dotenv];

const KEYCHAIN: &[Scenario] = &[
    Scenario { verb: Verb::Rotate, provider: "signa", stores: &[Kept::Keychain] },
    Scenario { verb: Verb::Cutover, provider: "layers", stores: &[Kept::Keychain] },
    Scenario { verb: Verb::Rollback, provider: "signa", stores: &[Kept::Keychain] },
    Scenario { verb: Verb::Force, provider: "verifa", stores: &[Kept::Keychain] },
    Scenario { verb: Verb::Finish, provider: "layers", stores: &[Kept::Keychain] },
];

/// With a journal that machines share: whoever is killed is gone with its state folder.
const SHARED: &[Scenario] = &[
    Scenario { verb: Verb::Rotate, provider: "layers", stores: FILES },
    Scenario { verb: Verb::Rotate, provider: "signa", stores: &[Kept::Dotenv] },
    Scenario { verb: Verb::Rotate, provider: "verifa", stores: FILES },
    Scenario { verb: Verb::Rotate, provider: "github", stores: FILES },
    Scenario { verb: Verb::Rotate, provider: "stripe-api", stores: &[Kept::Json] },
    Scenario { verb: Verb::Force, provider: "signa", stores: FILES },
    Scenario { verb: Verb::ForceOpen, provider: "signa", stores: &[Kept::Dotenv] },
    Scenario { verb: Verb::Cutover, provider: "layers", stores: FILES },
    Scenario { verb: Verb::Cutover, provider: "stripe-api", stores: &[Kept::Dotenv] },
    Scenario { verb: Verb::Resume, provider: "signa", stores: FILES },
    Scenario { verb: Verb::Rollback, provider: "signa", stores: FILES },
];

/// The same for those that stand still: in a store that no lock of this machine keeps from others, and that itself refuses a write that
/// does not follow what was read. In others, as AWS's, a write that comes too late may leave a copy in a slot that was emptied, until the
/// next rotation. Nor is one among them that takes back what the other machine goes forward with: between its last look at the lease
/// and the store's own write nothing stops it, and the next command finds what it has left (exit 9).
const FROZEN: &[Scenario] = &[
    Scenario { verb: Verb::Rotate, provider: "layers", stores: &[Kept::Vault] },
    Scenario { verb: Verb::Rotate, provider: "signa", stores: &[Kept::Vault] },
    Scenario { verb: Verb::Rotate, provider: "verifa", stores: &[Kept::Vault] },
    Scenario { verb: Verb::Rotate, provider: "github", stores: &[Kept::Vault] },
    Scenario { verb: Verb::Rotate, provider: "stripe-api", stores: &[Kept::Vault] },
    Scenario { verb: Verb::Force, provider: "signa", stores: &[Kept::Vault] },
    Scenario { verb: Verb::Cutover, provider: "layers", stores: &[Kept::Vault] },
    Scenario { verb: Verb::Cutover, provider: "stripe-api", stores: &[Kept::Vault] },
    Scenario { verb: Verb::Resume, provider: "signa", stores: &[Kept::Vault] },
];

/// A place to kill at.
#[derive(Clone, Copy, Debug)]
pub enum Point {
    /// The entry into the command's system call of this number.
    Call(u64),
    /// This many system calls after something that a run must not be cut off from unnoticed.
    After(Key, u64),
}

/// What the world outside sees of a rotation's way, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The provider has rotated.
    Rotated,
    /// The new secret is sealed.
    Sealed,
    /// The seal is gone again.
    Unsealed,
}

/// Points of a scenario in a sample, beside those after a key moment.
const SAMPLE: u64 = 3;
/// Points after each key moment.
const AFTER_KEY: u64 = 2;
/// The same where each case takes a database of its own.
const SAMPLE_SHARED: u64 = 2;
/// The same where each case takes a keychain's time.
const SAMPLE_KEYCHAIN: u64 = 2;
const WORKERS: usize = 3;
/// Runs in a row that are through before their point, after which a whole sweep ends: runs differ by some calls.
const THROUGH: usize = 4;
/// More system calls than any command makes.
const MOST_CALLS: u64 = 20_000;
pub const GO_ON: &str =
    "cutover hooks --yes --confirm ID --done prepare --done deploy --done verify --done end --done drop --reason swept";

impl Scenario {
    pub fn name(&self) -> String {
        format!("{:?} {} {:?}", self.verb, self.provider, self.stores)
    }

    pub fn line(&self) -> &'static str {
        match self.verb {
            Verb::Rotate => self.again(),
            Verb::Force | Verb::ForceOpen | Verb::Contain => {
                "force-rotate hooks --yes --confirm ID --done prepare --reason leaked"
            }
            Verb::Cutover | Verb::Join | Verb::Resume => GO_ON,
            Verb::Finish => "finish hooks",
            Verb::Rollback => "rollback hooks --reason refused",
        }
    }

    /// Whether each case needs a world of its own: the command asks the provider for a new secret, or the secret is kept
    /// where a snapshot does not reach.
    pub fn is_fresh(&self) -> bool {
        (self.verb == Verb::Rotate && !self.is_by_hand())
            || matches!(self.verb, Verb::Force | Verb::ForceOpen | Verb::Resume)
            || self.calls_late()
            || self.replaces()
            || self.stores.iter().any(|store| matches!(store, Kept::Keychain | Kept::Vault | Kept::AwsSm))
    }

    /// Whether a person rotates, and the secret comes out of a pipe.
    fn is_by_hand(&self) -> bool {
        ["slack", "clerk"].contains(&self.provider)
    }

    /// Whether a second endpoint is made beside the first, which is removed at the end.
    fn replaces(&self) -> bool {
        ["stripe-api", "pagerduty"].contains(&self.provider)
    }

    /// Whether the provider is called only once receivers have the new secret.
    fn calls_late(&self) -> bool {
        self.provider == "github"
    }

    /// A world in which the command can be run.
    pub fn world(&self, clock: &Clock) -> World {
        let mut world = World::new(self.provider, self.stores, clock);
        match self.verb {
            Verb::Rotate => {}
            // The other half of rotations: not the first of this machine.
            Verb::Force => drop(world.run("cutover hooks").exits(0)),
            Verb::ForceOpen => {
                world.run("rotate hooks --yes").exits(0);
                world.begin();
            }
            Verb::Cutover => {
                world.run(self.again()).exits(0);
                world.jump();
            }
            Verb::Join => {
                let text = world.sandbox.config_text();
                let stores = text.lines().find(|line| line.starts_with("store = ")).unwrap();
                let first = format!("{}]", stores.split(',').next().unwrap());
                world.sandbox.config(&text.replace(stores, &first));
                world.run("rotate hooks --yes --confirm ID --done prepare").exits(0);
                world.sandbox.config(&text);
                world.jump();
            }
            Verb::Resume => {
                let rotate = world.command(&["rotate", "hooks", "--yes"]);
                assert!(tracer::run(&rotate, Signal::SIGKILL, |_| world.rotations() == 1).struck);
                world.loses_its_machine();
            }
            Verb::Finish => {
                world.run("rotate hooks --yes").exits(0);
                world.run("cutover hooks --done deploy --done verify").exits(11);
                world.jump();
            }
            Verb::Rollback | Verb::Contain => drop(world.run("rotate hooks --yes").exits(0)),
        }
        if !self.is_fresh() {
            world.remember();
        }
        world
    }

    /// Whether the new secret may be live at some moment of the command.
    pub fn promotes(&self) -> bool {
        let goes_live_later = ["layers", "clerk"].contains(&self.provider) || self.replaces() || self.calls_late();
        !(self.verb == Verb::Rotate && goes_live_later)
    }

    /// Goes on after the command was cut off, as an operator would, and looks at everything. Yields whether the outcome
    /// of the call was unknown, as it may be where the provider cannot repeat an answer.
    ///
    /// `sealed` says that the new secret was sealed before: then there is no excuse.
    pub fn recover(&self, world: &World, again_first: bool, sealed: bool) -> Result<bool, String> {
        let provider = &world.sandbox.provider;
        let idempotent = provider.idempotency().is_some() || provider.takes().is_some();
        let mut expected = 1;
        let mut unknown = false;
        if world.rotations() > expected {
            return Err(format!("{} rotations", world.rotations()));
        }
        world.check_moment(self.promotes())?;
        exits(world, "status", &[0])?;
        if self.verb == Verb::Rollback && again_first {
            exits(world, self.line(), &[0, 9])?;
            world.check_moment(false).map_err(|why| format!("after rollback once more: {why}"))?;
        }
        let mut code = exits(world, GO_ON, &[0, 4, 7, 11])?;
        // What says that steps are done goes on with nothing only where nothing was begun.
        if self.is_by_hand() && !world.is_taken() {
            if sealed {
                return Err("what was sealed is lost".to_owned());
            }
            // Whoever has pressed gives it once more.
            exits(world, self.again(), &[0])?;
            code = exits(world, GO_ON, &[0, 11])?;
        }
        if code == 4 && world.rotations() > 0 {
            return Err("a rotation that was begun is not known".to_owned());
        }
        if code == 7 {
            unknown = true;
            let made = world.rotations();
            if idempotent || sealed {
                let shown = world.run("cutover hooks").stderr;
                return Err(format!("unknown, with a key: {idempotent}, with a seal: {sealed}: {shown}"));
            }
            let shown = world.run("cutover hooks");
            // A time that stayed the same proves nothing, and a provider may show no more.
            let (evidence, ruling, code) = match made {
                _ if self.replaces() && made == 0 => ("a second endpoint with the same URL", "not-applied", 0),
                0 => ("nothing that it shows can tell", "not-applied", 0),
                _ => ("the call was applied", "applied", 4),
            };
            if shown.code != 7 || !shown.stderr.contains(evidence) {
                return Err(format!("no evidence that {evidence}: {}", shown.stderr));
            }
            world.check_moment(false)?;
            exits(world, &format!("cutover hooks --resolve {ruling}"), &[code])?;
            expected = made + 1;
        }
        if world.rotations() < expected {
            exits(world, self.again(), &[0])?;
            code = exits(world, GO_ON, &[0, 11])?;
        }
        if code == 11 {
            world.jump();
            exits(world, GO_ON, &[0])?;
        }
        exits(world, "history", &[0])?;
        world.check_end(expected)?;
        if self.replaces() && world.sandbox.stand_in.live_secrets().contains(&world.old) {
            return Err("the first endpoint is there at the end".to_owned());
        }
        let open = world.run("status --exit-code");
        if open.code != 0 {
            return Err(format!("something is open at the end: {}{}", open.stdout, open.stderr));
        }
        Ok(unknown)
    }

    pub fn again(&self) -> &'static str {
        match self.verb {
            Verb::Force | Verb::ForceOpen => self.line(),
            _ if self.is_by_hand() => "rotate hooks --yes --secret -",
            _ => "rotate hooks --yes --confirm ID --done prepare",
        }
    }

    /// Entries into system calls when nothing goes wrong.
    pub fn count(&self, clock: &Clock) -> u64 {
        for left in (0..TRIES).rev() {
            let (daemon, world) = (Daemon::now(), self.world(clock));
            let (traced, _) = self.strike(&world, Signal::SIGKILL, Point::Call(u64::MAX));
            if matches!(traced.output.status.code(), Some(0 | 11)) {
                return traced.calls;
            }
            assert!(left > 0 && daemon.has_ended(&self.name()), "{}: {:?}", self.name(), traced.output);
        }
        unreachable!("the last try counts or fails")
    }

    /// Runs the command and strikes it at a point. Yields also whether the new secret had been sealed by then.
    pub fn strike(&self, world: &World, signal: Signal, point: Point) -> (tracer::Traced, bool) {
        let line = self.line().replace("ID", &world.sandbox.id());
        let words: Vec<&str> = line.split_whitespace().collect();
        let (mut was_sealed, mut since) = (false, 0);
        let traced = tracer::run(&world.command(&words), signal, |call| {
            let is_sealed = !world.is_shared() && world.rotations() > 0 && world.has_seal();
            was_sealed |= is_sealed;
            let (holds, offset) = match point {
                Point::Call(at) => return call == at,
                Point::After(Key::Rotated, offset) => (world.rotations() > 0, offset),
                Point::After(Key::Sealed, offset) => (was_sealed, offset),
                Point::After(Key::Unsealed, offset) => (was_sealed && !is_sealed, offset),
            };
            since += u64::from(holds);
            holds && since == offset + 1
        });
        let was_sealed = was_sealed || (world.is_shared() && world.rotations() > 0 && world.has_seal());
        (traced, was_sealed)
    }

    /// Runs the command and holds it at a point for as long as its lease lasts, while another machine goes on with what it finds; then
    /// lets it run to its end. Its other threads stop at their next call too.
    fn freeze(&self, world: &World, at: u64) -> (tracer::Traced, bool) {
        let line = self.line().replace("ID", &world.sandbox.id());
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut frozen = false;
        let traced = tracer::run_with(&world.command(&words), |call, _| {
            if call == at {
                frozen = true;
                world.sandbox.let_leases_end();
                let taker = world.elsewhere("cutover hooks --yes --done deploy");
                // What it had sent before it stood still may arrive after that, and be a sign of life.
                assert!([0, 2, 4, 5, 7, 8, 9, 11].contains(&taker.code), "{}: {taker:?}", self.name());
            }
            tracer::Act::Pass
        });
        (traced, frozen)
    }

    /// Points where a cut matters most, found by what is seen from outside and not by number, which differs from run to
    /// run.
    fn keys(&self) -> Vec<Point> {
        let keys: &[Key] = match self.verb {
            // Whether it is sealed there is not seen from outside at every call.
            Verb::Rotate | Verb::Force | Verb::ForceOpen if is_shared() && !self.calls_late() => &[Key::Rotated],
            _ if is_shared() => &[],
            Verb::Rotate if self.calls_late() => &[],
            Verb::Rotate if self.is_by_hand() => &[Key::Sealed, Key::Unsealed],
            Verb::Cutover if self.calls_late() => &[Key::Rotated, Key::Unsealed],
            Verb::Rotate | Verb::Force | Verb::ForceOpen => &[Key::Rotated, Key::Sealed, Key::Unsealed],
            Verb::Resume => &[Key::Sealed, Key::Unsealed],
            Verb::Contain | Verb::Cutover | Verb::Join | Verb::Finish | Verb::Rollback => &[],
        };
        keys.iter().flat_map(|key| (0..AFTER_KEY).map(|offset| Point::After(*key, offset))).collect()
    }

    /// Tries points of this scenario, on one thread.
    pub fn try_points(&self, points: Vec<Point>, act: impl Fn(&World, Point) -> Result<bool, String>) -> Tally {
        let clock = Clock::new();
        let mut tally = Tally::default();
        let mut world = None;
        let mut through = 0;
        for at in points {
            let mut more = true;
            tally.case(&format!("{} at {at:?}", self.name()), || {
                let kept = match world.take().filter(|_| !self.is_fresh()) {
                    Some(kept) => kept,
                    None => self.world(&clock),
                };
                kept.restore();
                more = act(&kept, at)?;
                world = Some(kept);
                Ok(())
            });
            // Past the last call of all only if calls come in their order.
            through = if more { 0 } else { through + 1 };
            if through == THROUGH && is_full() {
                break;
            }
        }
        tally
    }
}

/// Runs a command line, which has to exit with one of these.
fn exits(world: &World, line: &str, codes: &[i32]) -> Result<i32, String> {
    let run = world.run(line);
    match codes.contains(&run.code) {
        true => Ok(run.code),
        false => Err(format!("`{line}` exits {}:\n{}", run.code, run.stderr)),
    }
}

/// One point in each of as many equal parts of all of them.
pub fn sample(dice: &mut Dice, all: u64, wanted: u64) -> impl Iterator<Item = Point> {
    let wanted = wanted.min(all);
    (0..wanted).map(move |part| {
        let (from, to) = (part * all / wanted, (part + 1) * all / wanted);
        Point::Call(1 + from + dice.below(to - from))
    })
}

/// Splits points among threads, each with worlds of its own.
pub fn in_threads<T: Copy + Send + Sync>(points: &[T], run: impl Fn(Vec<T>) -> Tally + Sync) -> Tally {
    std::thread::scope(|scope| {
        let run = &run;
        let start = |worker| {
            let share = points.iter().copied().skip(worker).step_by(WORKERS).collect();
            scope.spawn(move || run(share))
        };
        let workers: Vec<_> = (0..WORKERS).map(start).collect();
        let mut total = Tally::default();
        workers.into_iter().for_each(|worker| total.add(worker.join().unwrap()));
        total
    })
}

/// What a sweep came to, beside its failures.
#[derive(Default)]
struct Figures {
    kills: AtomicUsize,
    unknown: AtomicUsize,
    calls: AtomicU64,
}

fn sweep(scenarios: &[Scenario], wanted: u64, figures: &Figures) -> Tally {
    let only = std::env::var("WHSEC_TEST_ONLY").unwrap_or_default();
    let mut total = Tally::default();
    for scenario in scenarios.iter().filter(|scenario| scenario.name().contains(&only)) {
        let began = std::time::Instant::now();
        let name = scenario.name();
        let calls = scenario.count(&Clock::new());
        figures.calls.fetch_add(calls, Ordering::SeqCst);
        let mut points = scenario.keys();
        match is_full() {
            // As many as there are: see `THROUGH`.
            true => points.extend((1..=MOST_CALLS).map(Point::Call)),
            false => points.extend(sample(&mut Dice::new(&name), calls, wanted)),
        }
        let points = share::of_this_piece(points);
        let tally = in_threads(&points, |points| {
            scenario.try_points(points, |world, at| {
                let (traced, sealed) = scenario.strike(world, Signal::SIGKILL, at);
                if traced.struck {
                    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&traced.output.status), Some(9));
                    figures.kills.fetch_add(1, Ordering::SeqCst);
                } else {
                    // A run that failed before its point must not end the sweep as one that was through.
                    assert!(matches!(traced.output.status.code(), Some(0 | 11)), "not struck: {:?}", traced.output);
                }
                world.sandbox.watch(traced.output);
                world.loses_its_machine();
                let again_first = matches!(at, Point::Call(at) if at % 2 == 0);
                let unknown = scenario.recover(world, again_first, sealed)?;
                figures.unknown.fetch_add(usize::from(unknown), Ordering::SeqCst);
                Ok(traced.struck || matches!(at, Point::After(..)))
            })
        });
        let (cases, failures) = (tally.cases, tally.failures.len());
        note(&format!("{name}: {calls} calls, {cases} cases, {failures} failures, {:?}", began.elapsed()));
        assert!(
            !is_full() || (cases * share::pieces()) as u64 * 10 > calls * 9,
            "{name}: ended after {cases} of {calls} calls"
        );
        total.add(tally);
    }
    total
}

fn figure(figures: &Figures) -> String {
    let Figures { kills, unknown, calls } = figures;
    format!(
        "{} kills at {} system calls{}, 0 lost, 1 rotation each, {} unknown where no answer can be repeated",
        kills.load(Ordering::SeqCst),
        calls.load(Ordering::SeqCst),
        if is_full() { String::new() } else { format!(" (seed {})", seed()) },
        unknown.load(Ordering::SeqCst),
    )
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn killed_at_any_system_call_nothing_is_lost_and_cutover_goes_on() {
    let figures = Figures::default();
    let tally = sweep(SCENARIOS, SAMPLE, &figures);
    let kills = figures.kills.load(Ordering::SeqCst);
    if std::env::var_os("WHSEC_TEST_ONLY").is_none() {
        assert!(kills >= 150, "only {kills} runs were killed");
    }
    tally.promise(2, "killed at a system call, then cutover", &figure(&figures));
}

#[test]
#[ignore = "sweep: run by tests/run with tests/postgres/session.sh"]
fn shared_killed_at_any_system_call_and_gone_with_its_machine_the_next_one_goes_on() {
    assert!(is_shared(), "tests/postgres/session.sh starts a server for this");
    let figures = Figures::default();
    let tally = sweep(SHARED, SAMPLE_SHARED, &figures);
    tally.promise(2, "the same with a shared journal, the state folder gone each time", &figure(&figures));
}

/// A process that stands still for longer than its lease, at any of its calls, and wakes up after another machine has gone on.
#[test]
#[ignore = "sweep: run by tests/run with tests/postgres/session.sh"]
fn shared_frozen_at_a_system_call_and_taken_over_it_does_no_harm_when_it_wakes() {
    assert!(is_shared(), "tests/postgres/session.sh starts a server for this");
    let figures = Figures::default();
    let only = std::env::var("WHSEC_TEST_ONLY").unwrap_or_default();
    let overtaken = AtomicUsize::new(0);
    let mut total = Tally::default();
    for scenario in FROZEN.iter().filter(|scenario| scenario.name().contains(&only)) {
        let (name, began) = (scenario.name(), std::time::Instant::now());
        let calls = scenario.count(&Clock::new());
        figures.calls.fetch_add(calls, Ordering::SeqCst);
        let points: Vec<Point> = match is_full() {
            true => (1..=calls).step_by(10).map(Point::Call).collect(),
            false => sample(&mut Dice::new(&format!("frozen {name}")), calls, SAMPLE_SHARED).collect(),
        };
        let tally = in_threads(&share::of_this_piece(points), |points| {
            scenario.try_points(points, |world, at| {
                let Point::Call(call) = at else { return Ok(false) };
                let (traced, frozen) = scenario.freeze(world, call);
                figures.kills.fetch_add(usize::from(frozen), Ordering::SeqCst);
                let code = traced.output.status.code();
                if !matches!(code, Some(0 | 4 | 5 | 7 | 8 | 9 | 11)) {
                    return Err(format!(
                        "woken, it ends with {code:?}: {}",
                        String::from_utf8_lossy(&traced.output.stderr)
                    ));
                }
                overtaken.fetch_add(usize::from(code == Some(5)), Ordering::SeqCst);
                world.sandbox.watch(traced.output);
                world.loses_its_machine();
                let sealed = world.rotations() > 0 && world.has_seal();
                let unknown = scenario.recover(world, call % 2 == 0, sealed)?;
                figures.unknown.fetch_add(usize::from(unknown), Ordering::SeqCst);
                Ok(frozen)
            })
        });
        note(&format!("frozen: {name}: {calls} calls, {} cases, {:?}", tally.cases, began.elapsed()));
        total.add(tally);
    }
    let woken = overtaken.load(Ordering::SeqCst);
    total.promise(
        2,
        "frozen beyond its lease, taken over, woken",
        &format!("{}; {woken} ended with 5", figure(&figures)),
    );
}

#[test]
fn a_seal_left_by_a_run_that_was_cut_off_goes_with_the_rotation() {
    let world = World::new("signa", &[Kept::Dotenv], &Clock::new());
    let run = world.run("rotate hooks --yes --json").exits(0);
    let seal = world.sandbox.state().join("seals").join(format!("{}.age", run.json()["rotation"].as_str().unwrap()));
    std::fs::write(seal, "age-encryption.org/v1\n").unwrap();
    assert!(world.has_seal());
    world.jump();
    world.run(GO_ON).exits(0);
    world.check_end(1).unwrap();
}

#[test]
#[ignore = "sweep: run by tests/keychain/session.sh"]
fn keychain_killed_at_any_system_call_nothing_is_lost_and_cutover_goes_on() {
    let figures = Figures::default();
    let tally = sweep(KEYCHAIN, SAMPLE_KEYCHAIN, &figures);
    let ended = tally.daemons_ended;
    let figure = format!("{}; its daemon ended by itself {ended} times", figure(&figures));
    tally.promise(2, "the same with a keychain", &figure);
}
