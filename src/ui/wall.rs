//! Many targets at work: a line for all of them and one for each that is under way, on a terminal; elsewhere nothing but what has come
//! to rest.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Output;
use super::text::printable;

/// How often the spinners turn.
const TURN: Duration = Duration::from_millis(120);

/// How a target's line begins.
#[derive(Clone, Copy, Debug)]
pub enum Mark {
    Good,
    Plain,
    Bad,
}

/// The lines of a run.
pub struct Wall {
    multi: MultiProgress,
    head: ProgressBar,
    under_way: BTreeMap<usize, ProgressBar>,
    output: Output,
    is_drawn: bool,
}

impl Wall {
    /// A wall on stderr, where that is a terminal and anything is said there.
    pub fn new(output: &Output, targets: usize) -> Self {
        let is_drawn = output.draws();
        let target = if is_drawn { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let multi = MultiProgress::with_draw_target(target);
        let head = multi.add(ProgressBar::new(targets.try_into().unwrap_or(u64::MAX)));
        if let Ok(style) = ProgressStyle::with_template("{prefix}{bar:24.green/dim} {pos}/{len}  {wide_msg}") {
            head.set_style(style.progress_chars("━╸─"));
        }
        Self { multi, head, under_way: BTreeMap::new(), output: output.clone(), is_drawn }
    }

    /// A target is begun.
    pub fn begins(&mut self, at: usize, name: &str) {
        let line = self.multi.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("  {spinner} {wide_msg}  {elapsed}") {
            line.set_style(style);
        }
        line.set_message(printable(name));
        if self.is_drawn {
            line.enable_steady_tick(TURN);
        }
        self.under_way.insert(at, line);
    }

    /// A target has come to rest.
    pub fn rests(&mut self, at: usize) {
        if let Some(line) = self.under_way.remove(&at) {
            line.finish_and_clear();
        }
        self.head.inc(1);
    }

    /// How all of it stands.
    pub fn head(&self, wave: &str, counts: &str) {
        self.head.set_prefix(printable(wave));
        self.head.set_message(printable(counts));
    }

    /// Says what a target has come to; what is bad also to whoever wants to hear nothing else.
    pub fn rested(&self, mark: Mark, line: &str) {
        let (red, green) = (anstyle::AnsiColor::Red.on_default(), anstyle::AnsiColor::Green.on_default());
        match mark {
            Mark::Good => self.say(&format!("{green}✓{green:#} {line}")),
            Mark::Plain => self.say(&format!("· {line}")),
            Mark::Bad => self.show(&format!("{red}✗{red:#} {line}")),
        }
    }

    /// Says a line above the wall.
    pub fn say(&self, line: &str) {
        self.multi.suspend(|| self.output.say(line));
    }

    /// Says something that has to be known above the wall.
    pub fn show(&self, line: &str) {
        self.multi.suspend(|| self.output.show(line));
    }

    /// A line of data above the wall.
    pub fn data(&self, line: &str) {
        self.multi.suspend(|| self.output.data(line));
    }

    /// One JSON object above the wall.
    pub fn json<T: serde::Serialize>(&self, object: &T) {
        self.multi.suspend(|| self.output.json(object));
    }
}

impl Drop for Wall {
    fn drop(&mut self) {
        self.under_way.values().for_each(ProgressBar::finish_and_clear);
        self.head.finish_and_clear();
    }
}
