//! Where a variable goes, how it is written, and what is not touched.

use super::*;

fn set(raw: &str, key: &str, value: &str) -> Result<String, Refusal> {
    with(raw, key, "K", Some(&Secret::new(value))).map(|new| new.to_string())
}

fn clear(raw: &str, key: &str) -> Result<String, Refusal> {
    with(raw, key, "K", None).map(|new| new.to_string())
}

#[test]
fn a_new_variable_comes_under_its_sibling_in_its_style_and_leaves_no_trace() {
    for (before, value, after) in [
        ("", "v", "N=v\n"),
        ("A=1\n", "v", "A=1\nN=v\n"),
        ("A=1", "v", "A=1\nN=v"),
        ("A=1\r\nB=2\r\n", "v", "A=1\r\nB=2\r\nN=v\r\n"),
        ("A=1\r\nK=2", "v", "A=1\r\nK=2\r\nN=v"),
        ("# a\n\nK=old # why\n\nB=2\n", "v", "# a\n\nK=old # why\nN=v\n\nB=2\n"),
        ("K='old'\nB=2\n", "v", "K='old'\nN='v'\nB=2\n"),
        ("K=\"old\"\n", "v", "K=\"old\"\nN=\"v\"\n"),
        ("  export K=old\n", "v", "  export K=old\nexport N=v\n"),
        ("K=\"a\nb\"\nB=2\n", "v", "K=\"a\nb\"\nN=\"v\"\nB=2\n"),
        ("K=old\n", "a b", "K=old\nN='a b'\n"),
        ("K=old\n", "it's", "K=old\nN=\"it's\"\n"),
        ("K=old\n", "$1", "K=old\nN='$1'\n"),
        ("K=old\n", "a\nb", "K=old\nN='a\nb'\n"),
    ] {
        assert_eq!(set(before, "N", value).as_deref(), Ok(after), "{before:?}");
        assert_eq!(clear(after, "N").as_deref(), Ok(before), "{after:?}");
    }
}

#[test]
fn only_the_value_is_replaced() {
    for (before, value, after) in [
        ("A=1\nexport  K = old   # why\nB=2\n", "new", "A=1\nexport  K = new   # why\nB=2\n"),
        ("K='old' # why\r\nB=2\r\n", "new", "K='new' # why\r\nB=2\r\n"),
        ("K=\"old\"\n", "it\"s", "K='it\"s'\n"),
        ("K=\"old\"\n", "a$b", "K='a$b'\n"),
        ("K='old'\n", "it's", "K=\"it's\"\n"),
        ("K=\n", "new", "K=new\n"),
        ("K= # fill me in\n", "new", "K=new # fill me in\n"),
        ("K=''", "new", "K='new'"),
        ("K=first\nA=1\nK=last\n", "new", "K=first\nA=1\nK=new\n"),
    ] {
        assert_eq!(set(before, "K", value).as_deref(), Ok(after), "{before:?}");
    }
}

#[test]
fn every_line_of_a_variable_is_removed() {
    assert_eq!(clear("N=1\nA=1\nN='2\n3' # why\n", "N").as_deref(), Ok("A=1\n"));
    assert_eq!(clear("A=1\n", "N").as_deref(), Ok("A=1\n"));
    assert_eq!(clear("# N=1\nNN=1\n", "N").as_deref(), Ok("# N=1\nNN=1\n"));
}

#[test]
fn the_last_value_counts_and_an_empty_one_is_none() {
    for (raw, value) in [
        ("K=a\nK=b\n", Some("b")),
        ("K='a b'\n", Some("a b")),
        ("export K=\"a\\nb\"\n", Some("a\nb")),
        ("K=a # b\n", Some("a")),
        ("K=\n", None),
        ("K=''\n", None),
        ("# K=a\n", None),
        ("\u{e9}=1\nK=$A\n", Some("$A")),
    ] {
        assert_eq!(read(raw, "K").unwrap().as_deref().map(String::as_str), value, "{raw:?}");
    }
}

#[test]
fn what_the_loaders_read_differently_is_neither_read_nor_changed() {
    for raw in
        ["K=a#b\n", "K=`a`\n", "K=${A}\n", "K: a\n", "K='a\\\\b'\n", "K=\"\\t\"\n", "K\n", "'K'=a\n", "K='a' b\n"]
    {
        assert_eq!(read(raw, "K").err(), Some(Refusal::Disagree), "{raw:?}");
        assert_eq!(set(raw, "K", "new").err(), Some(Refusal::Disagree), "{raw:?}");
    }
}

#[test]
fn b2_what_a_shell_would_run_or_change_is_in_single_quotes_or_refused() {
    for value in
        ["$(id>F)", "`id>F`", "a;id>F", "a\nid>F", "a&b", "~", "*", "#a", "a b", "\"", "!1", "back\\slash", "$HOME"]
    {
        for before in ["K=old\n", "K=\"old\"\n", "export K='old' # why\n"] {
            let written = set(before, "K", value).unwrap();
            // In double quotes, where they were, what means nothing there may stay.
            let in_double = before.contains('"') && !value.contains(['"', '$', '`', '\\', '!']);
            let quote = if in_double { '"' } else { '\'' };
            assert!(written.contains(&format!("K={quote}{value}{quote}")), "{written}");
        }
    }
    for value in ["a;id>F;'b'\"c\"", "'$(id>F)'", "it's !1", "it's \\", "a\rb", "'\"", "\u{1}", "end\\"] {
        for before in ["", "K=old\n", "K=\"old\"\n", "K='old'\n"] {
            assert_eq!(set(before, "K", value).err(), Some(Refusal::Unrepresentable), "{value:?}");
        }
    }
}

#[test]
fn b2_behind_a_quote_that_is_left_open_only_plain_letters_are_written() {
    // A shell would see our first quote as the end of that one, and what follows as a command.
    for before in ["A='open\nK=old\n", "A=\"open\nK=old\n", "A=1\r\nK=old\r\n", "K = old\n"] {
        assert_eq!(set(before, "K", "$(id>F)").err(), Some(Refusal::Unrepresentable), "{before:?}");
        assert_eq!(set(before, "K", "a b").err(), Some(Refusal::Unrepresentable), "{before:?}");
        assert_eq!(set(before, "K", "new").unwrap(), before.replace("old", "new"));
    }
}
