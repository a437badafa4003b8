//! `whsec rehearse --targets N`: a run over many targets by the real program against stand-ins, with refusals, a limit and a kill in
//! the middle; and the count of what came of it, by the stand-ins' own books.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use super::super::exit::{Exit, Fault};
use super::super::result;
use super::super::session::Session;
use super::{Args, not_through, provider, stage};
use crate::operation::fleet::Share;
use crate::provider::stand_in::{StandIn, StandInOptions};
use crate::provider::{Overlap, Provider};
use crate::secret::Secret;
use crate::store::{self, Reference, Slot, SlotNames, Surroundings};
use crate::system::private;
use crate::system::program::Visible;
use crate::ui::for_a_program;

/// Calls that the stand-ins take a second: with that many targets some are one too many.
const A_SECOND: usize = 25;
/// How often it is looked whether the run has come to its middle, or to its end.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Variables of the terminal, and of where programs are: all that a run sees of ours.
const KEPT: [&str; 8] = ["PATH", "TERM", "COLUMNS", "NO_COLOR", "LANG", "LC_ALL", "TZ", "USER"];
/// The key of each dotenv file.
const KEY: &str = "WEBHOOK_SECRET";

/// Everything that is made up for a drill; gone when dropped.
struct Ground {
    folder: TempDir,
    provider: Arc<Provider>,
    stand_in: StandIn,
    /// The endpoints' own ids.
    ids: Vec<String>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    rotations: u32,
    /// Endpoints that were rotated more than once, and not at all.
    twice: usize,
    never: usize,
    /// Endpoints whose newest secret is in no store.
    lost: usize,
}

/// How a run has ended.
enum Ended {
    Exited(ExitStatus),
    /// In the middle, on purpose, with so many rotated.
    Killed(u32),
    /// Somebody wants no more of it.
    Stopped,
}

/// Runs it.
pub fn run(args: &Args, targets: usize, fail: Share, session: &Session) -> anyhow::Result<Exit> {
    let (begun, output) = (Instant::now(), &session.output);
    let provider = provider(args, session)?;
    refuse(&provider)?;
    let failing = fail.of(targets);
    if failing >= targets {
        let message =
            format!("{failing} of {targets} targets are too many to fail: the first of them goes ahead of all others");
        return Err(Fault::new(Exit::Usage, message, "let fewer fail: --fail 10%"));
    }
    let ground = Ground::set(args, provider, targets, session)?;
    let title = ground.provider.title();
    output.say(&format!("A drill with {targets} stand-in endpoints of {title}: nothing leaves this machine, and nothing of yours is touched."));
    output.say(&format!(
        "{failing} of them are not there at first, and {A_SECOND} calls a second are all that is taken."
    ));
    let dies = ground.provider.idempotency().is_some();
    // Never the first, without which nothing else is begun; and not all of them in a row.
    ground.stand_in.are_gone((1..=failing).map(|nth| nth * (targets - 1) / failing));
    let signals = session.signals()?;
    let stops = || signals.arrived();
    let mut killed_after = None;
    if dies {
        output.say("");
        output.say("1. The run begins, and is killed in the middle:");
        // It waits there, however slow whoever kills it is.
        let middle = targets as u32 / 2;
        ground.stand_in.pauses_at(Some(middle));
        let ended = ground.rotate(session, failing, Some(middle), &stops)?;
        ground.stand_in.pauses_at(None);
        match ended {
            Ended::Killed(rotated) => {
                output.say(&format!("killed with {rotated} rotated"));
                killed_after = Some(rotated);
            }
            Ended::Exited(_) => output.say("it ended before it could be killed"),
            Ended::Stopped => return Ok(left(args, session, &ground)),
        }
    } else {
        output.say(&format!(
            "It is not killed: {title} cannot repeat an answer that is lost, and somebody would have to look."
        ));
    }
    output.say("");
    output.say("2. The same command again goes on, and what is not there fails:");
    let failed = match ground.rotate(session, failing, None, &stops)? {
        Ended::Exited(status) => status.code(),
        _ => return Ok(left(args, session, &ground)),
    };
    output.say("");
    output.say("3. They are there again at the provider, and the same command does the rest:");
    ground.stand_in.are_gone([]);
    let ended = match ground.rotate(session, failing, None, &stops)? {
        Ended::Exited(status) => status.code(),
        _ => return Ok(left(args, session, &ground)),
    };
    let count = Count::of(&ground.books()?);
    let limited = ground.stand_in.limited();
    let partial = Some(i32::from(Exit::Partial.code()));
    let is_sound = count.is_sound() && failed == partial && ended == Some(0);
    let took = begun.elapsed().as_secs_f64();
    output.say("");
    output.say(&format!("What happened, in {took:.0} s:"));
    output.say(&format!(
        "  • {} new secrets for {targets} endpoints: {} twice, {} never",
        count.rotations, count.twice, count.never
    ));
    output.say(&format!("  • {} secrets lost: of all others the newest is in its store", count.lost));
    if let Some(rotated) = killed_after {
        output.say(&format!("  • killed once, with {rotated} rotated; nothing was mended by hand"));
    }
    output.say(&format!("  • {limited} calls were one too many, and were made again"));
    output.say(&format!("  • {failing} failed at first (exit 10), and were done when they could be"));
    let exit = if is_sound { Exit::Done } else { Exit::Failed };
    let fields = json!({
        "provider": ground.provider.name(), "targets": targets, "rotations": count.rotations, "twice": count.twice,
        "never": count.never, "lost": count.lost, "failed_at_first": failing, "limited": limited,
        "killed_after": killed_after, "exits": [failed, ended], "seconds": took,
        "error": if is_sound { Value::Null } else { not_through(exit, "the drill went wrong", args) },
    });
    output.json(&result::object("rehearse", exit, fields));
    Ok(exit)
}

/// Refuses providers that no command alone can rotate at many endpoints.
fn refuse(provider: &Provider) -> anyhow::Result<()> {
    let why = if provider.is_by_hand() {
        "its secrets are made by hand"
    } else if matches!(provider.overlap(), Overlap::UntilEnded { .. }) {
        "somebody has to end each old secret"
    } else if provider.takes().is_some() {
        "it is given a new secret once receivers have that"
    } else {
        return Ok(());
    };
    let (title, name) = (provider.title(), provider.name());
    let hint = format!("one endpoint of it: whsec rehearse {name}; a drill: whsec rehearse layers --targets 50");
    Err(Fault::new(Exit::Usage, format!("{title} is nothing for a drill: {why}"), hint))
}

fn left(args: &Args, session: &Session, ground: &Ground) -> Exit {
    session.output.say("The drill ends here. Its stand-ins and its folder are gone.");
    let exit = session.signals().map_or(Exit::Failed, |signals| signals.exit());
    let error = not_through(exit, "the drill was left before its end", args);
    session.output.json(&result::object(
        "rehearse",
        exit,
        json!({ "provider": ground.provider.name(), "error": error }),
    ));
    exit
}

impl Ground {
    fn set(args: &Args, provider: Arc<Provider>, targets: usize, session: &Session) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("whsec-drill-").tempdir()?;
        let api_key = Secret::new(format!("rehearsal:{}", Uuid::new_v4().simple()));
        let options = |at: usize| {
            let mut ids = stage::ids(&provider);
            if let Some((_, own)) = ids.last_mut() {
                own.push_str(&format!("-{at:03}"));
            }
            let (clock, api_key): (fn() -> Timestamp, _) = (Timestamp::now, api_key.clone());
            StandInOptions { api_key, ids, first_secret: None, clock, window: None, receiver_url: None }
        };
        let ids = (0..targets).filter_map(|at| options(at).ids.pop()).map(|(_, own)| own).collect();
        let others = (1..targets).map(options).collect();
        let stand_in = StandIn::many(Arc::clone(&provider), options(0), others, Some(A_SECOND))?;
        let ground = Self { folder, provider: Arc::clone(&provider), stand_in, ids };
        private::write(&ground.path("key"), api_key.expose().as_bytes())?;
        ground.describe(args, session)?;
        let mut config = "[seal]\nidentity = \"file\"\n".to_owned();
        for (at, (_, first)) in ground.stand_in.made().into_iter().enumerate() {
            if let Some(first) = first {
                ground.store(at)?.apply(&[(Slot::Current, Some(&first))])?;
            }
            config.push_str(&ground.target(at, &options(at).ids));
        }
        private::write(&ground.path("config/whsec/config.toml"), config.as_bytes())?;
        Ok(ground)
    }

    /// Brings the provider's description along where it is no built-in one.
    fn describe(&self, args: &Args, session: &Session) -> anyhow::Result<()> {
        let folder = self.path("config/whsec/providers");
        std::fs::create_dir_all(&folder)?;
        let file = format!("{}.toml", self.provider.name());
        let own = session.folders()?.providers_dir().map(|providers| providers.join(&file));
        let written =
            Some(PathBuf::from(&args.provider)).filter(|path| path.is_file()).or(own.filter(|path| path.is_file()));
        if let Some(written) = written {
            std::fs::copy(written, folder.join(file))?;
        }
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn target(&self, at: usize, ids: &[(String, String)]) -> String {
        let text = |text: &str| Value::from(text).to_string();
        let path = |path: &Path| path.display().to_string();
        let ids: Vec<String> = ids.iter().map(|(name, id)| format!("{name} = {}", text(id))).collect();
        format!(
            "\n[targets.target-{at:03}]\nprovider = {}\nids = {{ {} }}\nbase_url = {}\nstore = {}\napi_key = {}\n",
            text(self.provider.name()),
            ids.join(", "),
            text(&self.stand_in.base_url()),
            text(&format!("dotenv:{}#{KEY}", path(&self.path(&format!("{at:03}.env"))))),
            text(&format!("file:{}", path(&self.path("key")))),
        )
    }

    fn store(&self, at: usize) -> anyhow::Result<Box<dyn store::Store>> {
        let reference = Reference::parse(&format!("dotenv:{at:03}.env#{KEY}"))?;
        let surroundings = Surroundings { folder: self.folder.path().to_owned(), ..Surroundings::default() };
        Ok(store::open(&reference, &SlotNames::default(), &surroundings)?)
    }

    /// Rotates all that are not rotated yet, by the program that this is; to its end, or until so many are.
    fn rotate(
        &self,
        session: &Session,
        failing: usize,
        until: Option<u32>,
        stops: &dyn Fn() -> bool,
    ) -> anyhow::Result<Ended> {
        let mut arguments: Vec<String> = ["rotate", "--all", "--yes", "--max-failures"].map(str::to_owned).into();
        arguments.push((failing + 1).to_string());
        session.output.say(&format!("$ whsec {}", arguments.join(" ")));
        if session.global.quiet {
            arguments.push("--quiet".to_owned());
        }
        if self.provider.overlaps() {
            arguments.push("--no-input".to_owned());
        } else {
            arguments.extend(["--no-input", "--done", "prepare"].map(str::to_owned));
            arguments.extend(self.ids.iter().flat_map(|id| ["--confirm".to_owned(), id.clone()]));
        }
        let context = session.context()?;
        let kept = KEPT.iter().filter_map(|name| Some(((*name).to_owned(), context.variable(name)?)));
        let own = [("HOME", ""), ("XDG_CONFIG_HOME", "config"), ("XDG_STATE_HOME", "state")];
        let own = own.map(|(name, folder)| (name.to_owned(), self.path(folder).into_os_string()));
        let variables: Vec<(String, OsString)> = kept.chain(own).collect();
        let mut run = Visible::start(&std::env::current_exe()?, &arguments, &variables, for_a_program())?;
        loop {
            if let Some(status) = run.ended()? {
                return Ok(if stops() { Ended::Stopped } else { Ended::Exited(status) });
            }
            if stops() {
                // A terminal has told the whole group; from elsewhere it has to be told.
                run.interrupt();
                while run.ended()?.is_none() {
                    std::thread::sleep(LOOK_EVERY);
                }
                return Ok(Ended::Stopped);
            }
            let rotated = || self.stand_in.made().iter().map(|(rotations, _)| *rotations).sum::<u32>();
            if let Some(rotated) = until.and_then(|until| Some(rotated()).filter(|rotated| *rotated >= until)) {
                run.kill()?;
                return Ok(Ended::Killed(rotated));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Of each endpoint how often it was rotated, and whether its store has the newest secret.
    fn books(&self) -> anyhow::Result<Vec<(u32, bool)>> {
        let book = |(at, (rotations, newest)): (usize, (u32, Option<Secret>))| {
            let store = self.store(at)?;
            let mut held = Vec::new();
            for slot in Slot::KEPT {
                held.extend(store.get(slot)?);
            }
            Ok((rotations, newest.is_some_and(|newest| held.contains(&newest))))
        };
        self.stand_in.made().into_iter().enumerate().map(book).collect()
    }
}

impl Count {
    fn of(books: &[(u32, bool)]) -> Self {
        Self {
            rotations: books.iter().map(|(rotations, _)| rotations).sum(),
            twice: books.iter().filter(|(rotations, _)| *rotations > 1).count(),
            never: books.iter().filter(|(rotations, _)| *rotations == 0).count(),
            lost: books.iter().filter(|(_, is_stored)| !is_stored).count(),
        }
    }

    fn is_sound(self) -> bool {
        (self.twice, self.never, self.lost) == (0, 0, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_wrong_is_counted() {
        let count = |books: &[(u32, bool)]| Count::of(books);
        let sound = count(&[(1, true), (1, true)]);
        assert!(sound.is_sound() && sound.rotations == 2);
        for (books, wrong) in [
            ([(1, true), (2, true)], Count { rotations: 3, twice: 1, ..Count::default() }),
            ([(1, true), (0, true)], Count { rotations: 1, never: 1, ..Count::default() }),
            ([(1, true), (1, false)], Count { rotations: 2, lost: 1, ..Count::default() }),
        ] {
            assert_eq!((count(&books), count(&books).is_sound()), (wrong, false));
        }
    }
}
