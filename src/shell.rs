//! Words as they are typed in a shell, for the commands in hints: whoever pastes one runs no more than it says.

/// A word in quotes where it needs some.
pub fn quoted(word: &str) -> String {
    // What no shell can be given is shown as it is, and cannot be pasted.
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), |quoted| quoted.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b11_a_word_is_one_word_again() {
        for word in ["plain", "o'clock", "a b", "$(touch x)", "`id`", "a;b", "", "--flag", "~", "*", "a\nb", "\\", "!x"]
        {
            assert_eq!(shlex::split(&quoted(word)), Some(vec![word.to_owned()]), "{word:?}");
        }
    }
}
