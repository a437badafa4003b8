//! Rows of words under headings, as wide as their content.

use crate::ui::Output;
use crate::ui::text::one_line;

/// A table that is printed as data.
#[derive(Debug)]
pub struct Table<const COLUMNS: usize> {
    rows: Vec<[String; COLUMNS]>,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    /// A table with its headings.
    pub fn new(headings: [&str; COLUMNS]) -> Self {
        Self { rows: vec![headings.map(str::to_owned)] }
    }

    /// Adds a row; foreign text in it is made harmless, and an empty cell shows as `-`.
    pub fn row(&mut self, cells: [String; COLUMNS]) {
        self.rows.push(cells.map(|cell| if cell.is_empty() { "-".to_owned() } else { one_line(&cell) }));
    }

    /// Prints headings and rows.
    pub fn print(&self, output: &Output) {
        self.lines().iter().for_each(|line| output.data(line));
    }

    fn lines(&self) -> Vec<String> {
        let width = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..COLUMNS).map(width).collect();
        let line = |row: &[String; COLUMNS]| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        self.rows.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(["A", "LONG"]);
        table.row(["wider".to_owned(), String::new()]);
        table.row(["x".to_owned(), "two\nlines\u{1b}[31m".to_owned()]);
        assert_eq!(table.lines(), ["A      LONG", "wider  -", "x      two\\u{a}lines\\u{1b}[31m"]);
    }
}
