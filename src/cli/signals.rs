//! Signals during a rotation: the first asks to stop at the next safe point, the second ends the process at once.
//!
//! Both are safe, because everything is written ahead; the first also leaves the terminal as it was found and says
//! how to come back. Where the next safe point may be far, because the provider's answer is awaited, the first one is
//! answered at once. The second says nothing: it ends the process inside the handler, where nothing may be written, and
//! a thread that wrote would be too late.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals as Arrivals;

use super::exit::Exit;
use crate::ui::Output;

const CAUGHT: [i32; 4] = [SIGINT, SIGTERM, SIGHUP, SIGQUIT];

/// The signals that arrived since it was armed.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    last: Arc<AtomicUsize>,
    /// What is said when the first one arrives, while there is something to say.
    word: Arc<Mutex<Option<String>>>,
}

impl Signals {
    /// Catches INT, TERM, HUP and QUIT from here on. Once a process: a second one would not know what the first has seen.
    pub fn arm(output: &Output) -> std::io::Result<Self> {
        let signals = Self::default();
        for signal in CAUGHT {
            let number = usize::try_from(signal).unwrap_or_default();
            let seen = Arc::new(AtomicBool::new(false));
            // Order matters: the shutdown looks at `seen` before this very signal sets it.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&seen))?;
            flag::register(signal, seen)?;
            flag::register_usize(signal, Arc::clone(&signals.last), number)?;
        }
        // Without it a signal is answered at the next safe point only.
        let _ = signals.answer_on(output);
        Ok(signals)
    }

    /// The same signals, with a word of its own for whoever waits beside others.
    pub fn alone(&self) -> Self {
        Self { last: Arc::clone(&self.last), word: Arc::default() }
    }

    /// Answers from here on, in a thread of its own, the first one that arrives while [`Signals::awaits`] has a word.
    fn answer_on(&self, output: &Output) -> std::io::Result<()> {
        let (signals, output) = (self.clone(), output.clone());
        let mut arrivals = Arrivals::new(CAUGHT)?;
        let listen = move || arrivals.forever().for_each(|_| signals.answer(&output));
        thread::Builder::new().name("signals".to_owned()).spawn(listen).map(|_| ())
    }

    /// What is said to a signal from here on; `None` where the next safe point is at hand.
    pub fn awaits(&self, word: Option<String>, output: &Output) {
        *self.word.lock().unwrap_or_else(PoisonError::into_inner) = word;
        // One that arrived since the last safe point found no word.
        if self.arrived() {
            self.answer(output);
        }
    }

    fn answer(&self, output: &Output) {
        // Taken out first, so that nobody waits for a terminal that is slow.
        let word = self.word.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(word) = word {
            output.warn(&word);
        }
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
