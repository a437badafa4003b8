//! What a shell makes of a dotenv file that it sources, as far as it takes to know that a value is nothing but a value.
//!
//! Many receivers start with `. ./.env`. A quote that another line leaves open turns ours inside out, and what was in quotes
//! is run; so the text before is read as a shell reads it, and where that is not certain the answer is no.

use std::ops::Range;

/// Letters that mean nothing to any shell or loader, in quotes, out of quotes and between quotes that others left open.
pub fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "_-+/=.:,@%".contains(letter)
}

/// Whether a shell takes what is written there, with its quotes, for the whole value of an assignment to `key`.
pub fn is_value(text: &str, key: &str, written: &Range<usize>) -> bool {
    let line = text[..written.start].rfind('\n').map_or(0, |at| at + 1);
    let before = text[line..written.start].trim_start_matches([' ', '\t']);
    let exported = before.strip_prefix("export").map(|rest| (rest, rest.trim_start_matches([' ', '\t'])));
    let before = exported.filter(|(rest, name)| rest.len() > name.len()).map_or(before, |(_, name)| name);
    let after = &text[written.end..];
    let rest = after.trim_start_matches([' ', '\t']);
    let is_whole = rest.is_empty() || rest.starts_with('\n') || (rest.starts_with('#') && rest.len() < after.len());
    before.strip_suffix('=') == Some(key) && is_whole && ends_between_commands(&text[..line])
}

/// Whether a shell that has read these lines expects a new command: no quote and nothing else is open.
fn ends_between_commands(text: &str) -> bool {
    let mut rest = text;
    let mut starts_word = true;
    while let Some(letter) = rest.chars().next() {
        rest = &rest[letter.len_utf8()..];
        let read = match letter {
            '#' if starts_word => Some(rest.find('\n').map_or("", |end| &rest[end..])),
            // A line that goes on in the next one; anything else loses its meaning.
            '\\' if rest == "\n" => None,
            '\\' => Some(rest.chars().next().map_or("", |next| &rest[next.len_utf8()..])),
            '\'' => rest.split_once('\'').map(|(_, rest)| rest),
            '"' => after_double_quotes(rest),
            '$' => after_dollar(rest),
            '`' => None,
            // A here-document, in which nothing is what it seems.
            '<' if rest.starts_with('<') => None,
            _ => Some(rest),
        };
        let Some(after) = read else { return false };
        starts_word = letter.is_ascii_whitespace() || ";&|()".contains(letter);
        rest = after;
    }
    true
}

fn after_double_quotes(mut rest: &str) -> Option<&str> {
    loop {
        let at = rest.find(['"', '\\', '$', '`'])?;
        let after = &rest[at + 1..];
        rest = match &rest[at..=at] {
            "\"" => return Some(after),
            "\\" => &after[after.chars().next()?.len_utf8()..],
            "$" => after_dollar(after)?,
            _ => return None,
        };
    }
}

/// What follows `$`: a name is read over, also `${NAME}` and `${NAME:-word}`; what may hold quotes or commands is not.
fn after_dollar(rest: &str) -> Option<&str> {
    match rest.chars().next() {
        Some('{') => {
            let (inside, after) = rest[1..].split_once('}')?;
            inside.chars().all(|letter| is_plain(letter) || letter == '?').then_some(after)
        }
        Some('(' | '\'' | '"') => None,
        _ => Some(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b2_a_value_is_one_only_where_nothing_before_it_is_open() {
        for (before, is_value_there) in [
            ("", true),
            ("# it's open\n", true),
            ("A=1 # it's\n", true),
            ("A='x'\nB=\"y\"\n\nexport C=${D}:\"${E:-z}\"\n", true),
            ("A=it\\'s\n", true),
            ("A=a#'b'\n", true),
            ("A='open\n", false),
            ("A=\"open\n", false),
            ("A=a#'b\n", false),
            ("A=\"a\\\"\n", false),
            ("A=`open\n", false),
            ("A=`id`\n", false),
            ("A=$(id)\n", false),
            ("A=\"$(id '\")\n", false),
            ("A=$'a\\'b'\n", false),
            ("A=${B:-'x}\n", false),
            ("cat <<END\n", false),
            ("A=1 \\\n", false),
        ] {
            let text = format!("{before}K='v w'\nZ=1\n");
            let start = before.len() + 2;
            assert_eq!(is_value(&text, "K", &(start..start + 5)), is_value_there, "{text}");
        }
    }

    #[test]
    fn b2_a_value_is_one_only_on_a_line_that_a_shell_reads() {
        for (before, after, is_value_there) in [
            ("K=", "", true),
            (" \texport  K=", " # why\n", true),
            ("K=", "\n", true),
            ("K = ", "\n", false),
            ("K= ", "\n", false),
            ("export K =", "\n", false),
            ("exportK=", "\n", false),
            ("K=", "\r\n", false),
            ("K=", "# no comment\n", false),
            ("K=", "'more'\n", false),
            ("A=1\rK=", "\n", false),
        ] {
            let text = format!("{before}'v w'{after}");
            let written = before.len()..before.len() + 5;
            assert_eq!(is_value(&text, "K", &written), is_value_there, "{text:?}");
        }
    }
}
