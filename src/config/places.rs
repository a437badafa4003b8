//! Line and column of a byte in a config file. Every word of a file has its place, so a place must not cost what the file is
//! long.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::Position;

/// Bytes from one count of characters to the next.
const STRIDE: usize = 64;

/// A file's lines and characters, counted when a place in it is first asked for.
#[derive(Clone, Debug, Default)]
pub struct Places(OnceLock<Marks>);

#[derive(Clone, Debug)]
struct Marks {
    /// Shared by all places in it.
    path: Arc<Path>,
    /// Where lines begin.
    lines: Vec<usize>,
    /// How many characters begin before each `STRIDE`-th byte.
    characters: Vec<usize>,
}

impl Places {
    /// The place of a byte in the text and file that this was first asked about.
    pub fn of(&self, text: &str, path: &Path, offset: usize) -> Position {
        let marks = self.0.get_or_init(|| Marks::new(text, path));
        let offset = offset.min(text.len());
        let line = marks.lines.partition_point(|start| *start <= offset);
        let start = marks.lines.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let column = marks.characters_before(text, offset) - marks.characters_before(text, start) + 1;
        Position::File { path: Arc::clone(&marks.path), line, column }
    }
}

impl Marks {
    fn new(text: &str, path: &Path) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let mut characters = vec![0];
        for piece in text.as_bytes().chunks(STRIDE) {
            characters.push(characters.last().copied().unwrap_or_default() + beginnings(piece));
        }
        Self { path: path.into(), lines: std::iter::once(0).chain(ends).collect(), characters }
    }

    fn characters_before(&self, text: &str, offset: usize) -> usize {
        let mark = offset / STRIDE;
        let rest = text.as_bytes().get(mark * STRIDE..offset).unwrap_or_default();
        self.characters.get(mark).copied().unwrap_or_default() + beginnings(rest)
    }
}

/// How many characters begin in these bytes.
fn beginnings(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0b1100_0000 != 0b1000_0000).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b9_every_place_is_found_without_the_text_before_it() {
        let text = format!("a\n\n\u{e9}\u{1f511}b = 1\n{}\u{e9}x\r\nend", "\u{20ac} ".repeat(100));
        let places = Places::default();
        for (offset, _) in text.char_indices().chain([(text.len(), ' ')]) {
            let before = &text[..offset];
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
            let path = Path::new("x").into();
            assert_eq!(places.of(&text, Path::new("x"), offset), Position::File { path, line, column }, "{offset}");
        }
    }
}
