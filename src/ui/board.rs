//! A few lines that are drawn over again on a terminal.

use console::Term;

use super::Output;
use super::text::printable;

/// The lines on the screen.
pub struct Board {
    term: Option<Term>,
    drawn: usize,
}

impl Board {
    /// A board on stdout, if that is a terminal and lines are wanted there.
    pub fn new(output: &Output) -> Self {
        let term = (!output.is_json() && output.stdout_is_terminal()).then(Term::stdout);
        if let Some(term) = &term {
            // A cursor that stays visible is no harm.
            let _ = term.hide_cursor();
        }
        Self { term, drawn: 0 }
    }

    /// Whether lines are drawn over again here.
    pub fn redraws(&self) -> bool {
        self.term.is_some()
    }

    /// Puts these lines in place of the ones before.
    pub fn draw(&mut self, lines: &[String]) {
        let Some(term) = &self.term else { return };
        let width = usize::from(term.size().1).saturating_sub(1);
        // A terminal that went away is no reason to fail.
        let _ = term.clear_last_lines(self.drawn);
        for line in lines {
            let _ = term.write_line(&console::truncate_str(&printable(line), width, "…"));
        }
        self.drawn = lines.len();
    }
}

impl Drop for Board {
    /// Leaves the last lines and gives the cursor back, however the watch ends.
    fn drop(&mut self) {
        if let Some(term) = &self.term {
            let _ = term.show_cursor();
        }
    }
}
