//! Options of commands that act on several targets: how many at once, in which order, and when no more.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::parse_duration;
use crate::operation::fleet::{Canary, Rules, Share};

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

fn share(text: &str) -> Result<Share, String> {
    let wrong = || "it is a number such as `20`, or a part such as `25%`".to_owned();
    match text.strip_suffix('%') {
        Some(percent) => match percent.parse() {
            Ok(percent @ 1..=100) => Ok(Share::Percent(percent)),
            _ => Err(wrong()),
        },
        None => text.parse().map(Share::Count).map_err(|_| wrong()),
    }
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
