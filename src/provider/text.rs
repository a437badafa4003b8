//! Text that others wrote, made safe to show: a provider's words must not drive the operator's terminal.

/// Most characters that are shown of a foreign text.
const LONGEST: usize = 300;

/// One line of at most 300 characters in which control, bidirectional and invisible characters are escaped.
pub fn plain_text(text: &str) -> String {
    let mut plain = String::new();
    let mut length = 0;
    for character in text.trim().chars() {
        let shown = if is_hostile(character) { escaped(character) } else { character.to_string() };
        let width = shown.chars().count();
        if length + width >= LONGEST {
            plain.push('…');
            break;
        }
        length += width;
        plain.push_str(&shown);
    }
    plain
}

fn escaped(character: char) -> String {
    match character {
        '\n' | '\r' | '\t' => " ".to_owned(),
        other => format!("\\u{{{:x}}}", u32::from(other)),
    }
}

/// Whether a character could move the cursor, hide text or turn its direction.
pub fn is_hostile(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_what_moves_a_cursor_or_turns_text_around() {
        assert_eq!(plain_text("a\u{1b}[2Jb\r\nc\u{202e}d\u{9b}e"), "a\\u{1b}[2Jb  c\\u{202e}d\\u{9b}e");
    }

    #[test]
    fn long_text_is_cut() {
        assert_eq!(plain_text(&"x".repeat(5000)).chars().count(), 300);
        assert_eq!(plain_text(&"\u{1b}".repeat(5000)).chars().last(), Some('…'));
    }

    proptest! {
        #[test]
        fn any_text_becomes_one_short_line(text in any::<String>()) {
            let plain = plain_text(&text);
            prop_assert!(plain.chars().count() <= 300);
            prop_assert!(!plain.chars().any(is_hostile));
        }
    }
}
