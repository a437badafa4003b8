//! What is said of each doubt, and what is told to do about it, by tables.

use super::*;
use crate::rotation::superseded::Difference;
use crate::rotation::tests::noon;

fn difference() -> Difference {
    Difference { what: "version", ours: "2".to_owned(), theirs: "3".to_owned() }
}

#[test]
fn whoever_was_superseded_is_told_where_the_other_secret_may_be_and_from_when_on_to_rotate() {
    let base = "put their secret into the live slot and say so: `whsec abandon TARGET --reason TEXT`; or, ";
    for (held, is_shown, until, first, last) in [
        (vec![], false, None, "", "rotate again: `whsec rotate TARGET`"),
        (
            vec!["`A` holds x".to_owned()],
            false,
            None,
            "`A` holds x, which may be theirs; ",
            "rotate again: `whsec rotate TARGET`",
        ),
        (vec![], true, None, "Fake shows their secret itself; ", "rotate again: `whsec rotate TARGET`"),
        (vec![], false, Some(noon()), "", "from 2026-11-20T12:00:00Z on, rotate again: `whsec rotate TARGET`"),
    ] {
        let hint = superseded_hint("Fake", &Theirs { is_shown, held }, until);
        assert_eq!(hint.to_string(), format!("{first}{base}{last}"));
    }
}

#[test]
fn a_doubt_is_said_by_what_is_at_stake_with_the_command_that_answers_it() {
    let clock = Doubt::Clock { provider: "Fake".to_owned(), why: "no route".to_owned(), end: noon() };
    let leaked = Doubt::Leaked { new: "sha256:1".to_owned(), reason: "a log".to_owned() };
    let other = Doubt::OtherKey { before: "the key 1".to_owned(), now: "the key 2".to_owned() };
    for (doubt, is_live, words, hint) in [
        (
            Doubt::Touched(difference()),
            true,
            "what is live may not be Fake's secret any more: ",
            "find out who changed what",
        ),
        (
            Doubt::Touched(difference()),
            false,
            "nothing goes live before it is known whose secret Fake has: ",
            "find out who changed what",
        ),
        (Doubt::Behind(difference()), true, "what is live may not be Fake's secret any more: ", "again in a minute"),
        (
            Doubt::Behind(difference()),
            false,
            "nothing goes live before it is known whose secret Fake has: ",
            "again in a minute",
        ),
        (other.clone(), false, "nothing was sent again: ", "give the key that it was sent with"),
        (leaked.clone(), false, "", "`whsec force-rotate TARGET --reason TEXT`"),
        (clock.clone(), true, "", "`whsec cutover TARGET --done wait --reason TEXT`"),
    ] {
        assert_eq!(doubtful_words("Fake", &doubt, is_live), format!("{words}{doubt}"));
        assert!(doubtful_hint(&doubt).to_string().contains(hint), "{}", doubtful_hint(&doubt));
        assert!(doubt.question().ends_with('?'));
    }
    assert_eq!(
        other.to_string(),
        "the request whose answer was lost went out with the key 1, and would go out again with the key 2"
    );
    assert_eq!(leaked.to_string(), "the new secret sha256:1, which is to go live, is said to have leaked: a log");
    assert!(clock.to_string().contains("(no route); by ours the old secret ended at 2026-11-20T12:00:00Z"));
}

#[test]
fn a_clock_that_was_not_heard_is_mended_where_it_can_be_and_waited_for_where_nothing_is_lost() {
    let failed = || "x".to_owned();
    for (unheard, mend) in [
        (Unheard::Unasked(Unasked::NoKey), "give an API key (`whsec doctor` shows where one is looked for)"),
        (Unheard::Unasked(Unasked::Refused(failed())), "mend the API key (`whsec doctor` shows which one is used)"),
        (
            Unheard::Unasked(Unasked::NotFound(failed())),
            "see whether Fake still has the endpoint, and whether the key is of the same account",
        ),
        (Unheard::Unasked(Unasked::Failed(failed())), "see whether Fake can be reached from here"),
        (Unheard::NoDate, "try again later"),
        (Unheard::Unsteady, "try again later"),
    ] {
        let hint = |is_past| clock_hint("Fake", &unheard, is_past).to_string();
        assert_eq!(hint(false), format!("{mend}, then `whsec cutover TARGET`; nothing is lost meanwhile"));
        let word = "; or, if you know that the old secret has ended, say how: `whsec cutover TARGET --done wait --reason TEXT`";
        assert_eq!(hint(true), format!("{mend}, then `whsec cutover TARGET`{word}"));
    }
}
