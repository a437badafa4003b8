//! Options of commands that act on several targets: how many at once, in which order, and when no more.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use super::begin::BeginArgs;
use super::parse_duration;
use crate::operation::fleet::{Canary, Course, Rules, Share};
use crate::operation::fleet_plan::Options;

/// How many targets are under way at once unless somebody says otherwise.
const JOBS: &str = "8";

/// How many are under way at once, and for how long one waits.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Several targets")]
pub struct Many {
    /// Have so many targets under way at once
    #[arg(short, long, value_name = "N", default_value = JOBS)]
    pub jobs: NonZeroUsize,
    /// Wait at most this long for a provider that takes no more calls for now
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "15m")]
    pub max_wait: Duration,
}

/// In which order targets come, and when no more of them do.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Several targets")]
pub struct Waves {
    #[command(flatten)]
    pub many: Many,
    /// Have so many go first, alone, or these; 0 for none. Usually one of each provider where there are more than 5
    #[arg(long, value_name = "N|NAME", value_parser = canary)]
    canary: Vec<One>,
    /// Have so many at a time follow, each wave once the one before has come to rest
    #[arg(long, value_name = "N|P%", value_parser = share)]
    wave: Option<Share>,
    /// Rest this long between waves
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "0s")]
    pub pause: Duration,
    /// As soon as so many targets have failed, begin no further one. Usually 1 of those that go first, then 5%
    #[arg(long, value_name = "N|P%", value_parser = share)]
    max_failures: Option<Share>,
    /// Leave out targets whose old secret ends with the call
    #[arg(long)]
    skip_instant: bool,
    /// Write the plan, with where each endpoint stands, to this file and stop; `whsec apply FILE` carries it out
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, conflicts_with_all = ["confirm", "confirm_plan", "dry_run"])]
    pub out: Option<PathBuf>,
    /// Agree to the plan with this digest, which --dry-run shows, and to the end of every old secret in it
    #[arg(long, value_name = "DIGEST", conflicts_with = "confirm")]
    confirm_plan: Option<String>,
}

/// A count, or a target that goes first.
#[derive(Clone, Debug)]
enum One {
    Count(usize),
    Name(String),
}

fn canary(text: &str) -> Result<One, String> {
    Ok(text.parse().map_or_else(|_| One::Name(text.to_owned()), One::Count))
}

/// Reads a number of targets, or a part of all of them.
pub fn share(text: &str) -> Result<Share, String> {
    text.to_owned().try_into()
}

impl Waves {
    /// Whether those are left out whose old secret ends with the call.
    pub fn skips_instant(&self) -> bool {
        self.skip_instant
    }

    /// The digest of the plan that was agreed to.
    pub fn confirmed_plan(&self) -> Option<&str> {
        self.confirm_plan.as_deref()
    }

    /// The same as a plan keeps it.
    pub fn options(&self, course: &Course, begin: &BeginArgs, overlap: Option<Duration>) -> Options {
        let Rules { jobs, wave, max_failures, .. } = self.rules();
        let first = course.waves().first().filter(|_| course.has_canaries()).into_iter().flatten();
        Options {
            jobs,
            canary: first.map(|at| course.items()[*at].name.clone()).collect(),
            wave,
            pause_seconds: self.pause.as_secs(),
            max_failures,
            max_wait_seconds: self.many.max_wait.as_secs(),
            overlap_seconds: overlap.map(|overlap| overlap.as_secs()),
            detach: begin.detach,
            prepared: begin.done.is_some(),
            probe_first: begin.probe_first,
        }
    }

    /// How the run goes.
    pub fn rules(&self) -> Rules {
        let names: Vec<String> = self
            .canary
            .iter()
            .filter_map(|one| match one {
                One::Name(name) => Some(name.clone()),
                One::Count(_) => None,
            })
            .collect();
        let count = self.canary.iter().find_map(|one| match one {
            One::Count(count) => Some(*count),
            One::Name(_) => None,
        });
        let canary = match count {
            _ if !names.is_empty() => Canary::Named(names),
            Some(count) => Canary::Count(count),
            None => Canary::Usual,
        };
        Rules { jobs: self.many.jobs, canary, wave: self.wave, max_failures: self.max_failures }
    }
}
