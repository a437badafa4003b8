//! Signals during a rotation: the first asks to stop at the next safe point, the second ends the process at once.
//!
//! Both are safe, because everything is written ahead; the first also leaves the terminal as it was found and says
//! how to come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::flag;

use super::exit::Exit;

/// The signals that arrived since it was armed.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    last: Arc<AtomicUsize>,
}

impl Signals {
    /// Catches INT, TERM, HUP and QUIT from here on.
    pub fn arm() -> std::io::Result<Self> {
        let signals = Self::default();
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] {
            let number = usize::try_from(signal).unwrap_or_default();
            let seen = Arc::new(AtomicBool::new(false));
            // Order matters: the shutdown looks at `seen` before this very signal sets it.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&seen))?;
            flag::register(signal, seen)?;
            flag::register_usize(signal, Arc::clone(&signals.last), number)?;
        }
        Ok(signals)
    }

    /// Whether one arrived.
    pub fn arrived(&self) -> bool {
        self.last.load(Ordering::SeqCst) != 0
    }

    /// The exit code for the one that arrived last.
    pub fn exit(&self) -> Exit {
        match i32::try_from(self.last.load(Ordering::SeqCst)).unwrap_or_default() {
            SIGTERM => Exit::Terminate,
            SIGHUP => Exit::Hangup,
            SIGQUIT => Exit::Quit,
            _ => Exit::Interrupt,
        }
    }
}
