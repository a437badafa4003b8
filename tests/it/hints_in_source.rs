//! Every hint with a command is read off the source: it is run in the table of `hints`, or it says here why not; and every command is
//! one that there is. So a new hint cannot be forgotten.

use std::collections::BTreeMap;
use std::path::Path;

use clap::error::ErrorKind;

use crate::hints::{TABLE, run};
use whsec::advice::Verb;

/// Wordings with a command that other tests arrange, and those tests.
const ELSEWHERE: &[(&str, &str)] = &[
    ("again: where it is closed nobody can go on", "a_move_that_is_cut_off_says_what_does_the_rest_of_it"),
    ("nothing was sent; where it was begun, ", "a_move_that_is_cut_off_says_what_does_the_rest_of_it"),
    ("bring it to where every store has it: ", "nothing_moves_while_a_secret_is_sealed"),
    ("`whsec history` lists what is closed", "t11_a_report_is_of_the_journal_alone_and_the_same_each_time"),
    ("`whsec status` shows what each waits for", "what_is_done_is_told_in_lines_and_in_one_table"),
    ("what is open: `whsec status`", "a_selection_is_named_by_globs_labels_owners_and_providers"),
    ("makes one, and `[journal] at` or WHSEC_JOURNAL names it", "the_journal_is_shown_whichever_it_is"),
    ("make one: `whsec journal init", "places_that_cannot_hold_a_journal_are_refused_by_what_is_wrong"),
    ("go on there; where that machine is gone", "a_store_of_one_machine_is_gone_on_with_there"),
    ("name the team's identity", "who_is_no_recipient_is_let_in_by_one_who_is"),
    (
        "shows where it stands, `whsec cutover TARGET` goes on",
        "a_machine_that_wakes_up_after_it_was_taken_over_records_and_does_nothing",
    ),
    ("remove that one: ", "a_leak_is_contained_by_going_on_or_by_a_new_endpoint"),
    (
        "mend it at the provider, then",
        "the_first_endpoint_is_removed_by_its_id_alone_and_not_while_a_receiver_refuses_the_new_secret",
    ),
    (
        "sends it again, which does no harm",
        "an_answer_that_is_lost_is_asked_for_by_its_key_and_no_third_endpoint_is_made",
    ),
    ("it is that of a second endpoint", "what_came_of_a_call_without_a_key_is_asked_and_a_stray_endpoint_is_spoken_of"),
    ("to end it at once: ", "the_caller_says_how_long_the_old_secret_lives_and_never_ends_it_by_that"),
    ("bring it to its end first", "what_the_provider_may_sign_with_is_staged_over_by_no_later_rotation"),
    ("deploy the new secret there beside the old one", "a_repetition_is_not_sent_to_receivers_that_were_rolled_back"),
    ("see where it stands: whsec inspect", "a_question_before_the_call_is_in_nobodys_way"),
    ("find it out: whsec cutover", "a_lost_answer_is_answered_by_the_very_same_secret"),
    ("go on with the rotation: whsec cutover", "one_that_is_given_up_before_the_call_leaves_the_provider_as_it_is"),
    ("name receivers that may be probed (--", "nothing_is_sent_before_every_receiver_is_seen_to_accept_the_new_secret"),
    ("begin again: `whsec rotate TARGET`", "a_secret_that_is_gone_before_the_call_is_made_anew"),
    ("nothing is lost, it is shown whenever it is asked for", "what_is_not_shown_now_is_read_by_whoever_goes_on"),
    ("TARGET --yes` goes forward again", "the_old_secret_is_put_back_while_somebody_counts_down"),
    ("put it there: whsec store copy", "a3_the_second_target_is_not_as_young_as_the_rotation_of_the_first"),
    ("if you have read it and need more of it", "doctor_names_what_is_missing_and_where_a_key_was_found"),
    ("if it has ended, say how you know", "a14_where_the_clock_cannot_be_had_a_word_with_a_reason_ends_the_wait"),
    (
        "if you know that the old secret has ended",
        "a14_where_the_clock_cannot_be_had_a_word_with_a_reason_ends_the_wait",
    ),
    ("mend the API key (`whsec doctor`", "a_provider_that_cannot_be_asked_for_its_clock_ends_no_wait"),
    ("{}, then `whsec cutover TARGET`{}", "a_provider_that_cannot_be_asked_for_its_clock_ends_no_wait"),
    ("as soon as the provider takes another rotation", "c3_the_new_secret_that_leaked_does_not_go_live_unasked"),
    ("give the key that it was sent with", "a13_a_lost_request_goes_out_again_with_the_key_it_went_out_with"),
    ("what it did is done, and not to be done again", "output_that_is_lost_is_no_success_and_what_was_done_stays"),
    ("put their secret into the live slot and say so", "a2_another_version_or_fingerprint_closes_ours"),
    ("find out who changed what", "a2_a_time_of_change_asks_and_takes_a_reason"),
    ("close this rotation, and see how to go on", "a2_inspect_says_that_somebody_rotated"),
    ("put their secret into the live slot, or {}", "a2_inspect_says_that_somebody_rotated"),
    ("as it was; it goes on with", "a6_a_force_that_the_provider_refuses_leaves_the_open_rotation_as_it_was"),
    ("find out who rotated;", "a1_an_override_is_refused_where_the_provider_shows_another_secret"),
    (
        "{}; then `whsec cutover TARGET` completes",
        "a_store_that_breaks_after_the_answer_keeps_the_seal_and_cutover_completes_it",
    ),
    (
        "{}; then `whsec cutover TARGET` goes on",
        "a_store_that_breaks_after_the_answer_keeps_the_seal_and_cutover_completes_it",
    ),
    ("then this one goes on", "a6_a_force_of_which_nobody_knows_stands_beside_what_was_open"),
    ("set {variable}, give --api-key-file", "a_missing_or_refused_key_is_exit_3_with_the_ways_to_give_one"),
    ("the keychain, saved by `whsec login", "a_missing_or_refused_key_is_exit_3_with_the_ways_to_give_one"),
    ("`whsec doctor` shows which key is used", "a_missing_or_refused_key_is_exit_3_with_the_ways_to_give_one"),
    ("set `{env}`, or save a key with", "a_missing_or_refused_key_is_exit_3_with_the_ways_to_give_one"),
    ("wait until it is through", "a_second_process_on_the_same_endpoint_is_refused_at_once"),
    (
        "start over with `whsec rehearse",
        "c8_a_rehearsal_that_is_left_names_no_way_back_into_it_and_starts_over_with_its_provider",
    ),
    (
        "start over: whsec rehearse",
        "c8_a_rehearsal_that_is_left_names_no_way_back_into_it_and_starts_over_with_its_provider",
    ),
    ("which there are: `whsec provider list`", "a_selection_is_named_by_globs_labels_owners_and_providers"),
    ("one endpoint of it: whsec rehearse", "a_drill_that_cannot_be_is_refused_and_one_that_is_left_ends_its_run"),
    ("receivers that know the old secret alone contain it", "c3_the_new_secret_that_leaked_does_not_go_live_unasked"),
    ("puts the old one back", "c3_the_new_secret_that_leaked_does_not_go_live_unasked"),
    ("unless this brings it in", "a3_another_target_of_the_endpoint_is_named_before_the_call"),
    ("this puts it there: whsec cutover", "a3_a_store_that_joins_before_promote_is_staged_by_the_next_cutover"),
    ("or let it go: whsec cutover", "a3_a_store_that_left_is_kept_until_it_is_let_go_with_a_reason"),
    (
        "name the one that is meant by its own id",
        "a5_two_open_rotations_of_one_endpoint_are_both_kept_and_refused_until_one_is_given_up",
    ),
    ("or set the target as it was", "a5_another_documented_address_is_the_same_endpoint_after_an_unknown_call"),
    ("see what is live now: whsec inspect", "a_question_before_the_call_is_in_nobodys_way"),
    ("deploy the new secret there; if the probe is wrong", "finish_refuses_while_a_receiver_rejects_the_new_secret"),
    (
        "let the receivers accept a delivery",
        "where_the_old_secret_dies_with_the_call_receivers_can_be_proved_ready_before_it",
    ),
    ("see what they hold now: ", "slots_that_change_while_somebody_is_asked_are_not_what_was_agreed_to"),
    (
        "if you know that it does, say how",
        "the_end_is_the_providers_own_where_it_is_shown_and_going_back_takes_a_reason_where_it_is_not",
    ),
    (
        "where receivers run with what is live, nothing is left",
        "a_store_that_keeps_what_was_live_shows_no_rotation_by_that",
    ),
    ("have every store hold the same two secrets", "stores_that_differ_or_cannot_be_read_are_named"),
    ("take the copy out of `next`", "what_can_be_read_in_two_ways_is_refused_and_says_what_to_do"),
    ("the one in `next` once more, which does no harm", "what_can_be_read_in_two_ways_is_refused_and_says_what_to_do"),
    (
        "nothing is rotated, or somebody has taken it back",
        "what_can_be_read_in_two_ways_is_refused_and_says_what_to_do",
    ),
    ("put the provider's own secret into the live slot", "what_can_be_read_in_two_ways_is_refused_and_says_what_to_do"),
    ("whoever gets it goes on with", "a_rotation_is_handed_over_and_comes_to_its_end_at_the_other_machine"),
    ("the bundle brings it back here", "a_rotation_is_handed_over_and_comes_to_its_end_at_the_other_machine"),
    ("what became of it here: whsec inspect", "what_has_come_in_is_left_as_it_is_and_what_went_on_is_refused"),
    ("bring it on first: whsec cutover", "only_what_is_answered_is_handed_over"),
    ("have it made for this machine", "a_bundle_that_is_not_whole_or_for_somebody_else_is_refused"),
    ("name what `whsec handoff recipient` prints", "only_what_is_answered_is_handed_over"),
    ("if it is known to you: ", "a_bundle_of_another_address_store_or_receiver_is_refused_and_sends_nothing"),
    ("where its journal is lost, `whsec adopt", "what_is_left_of_a_rotation_goes_on_to_its_end_in_every_kind"),
    ("or take the line out", "a_table_becomes_targets_and_a_second_time_nothing_changes"),
    ("tail -F {file} | whsec verify", "a_log_is_counted_by_secret_with_the_last_time_of_each"),
    ("if others could read that, the secret has leaked: ", "l1_a_secret_is_found_in_every_form_and_never_printed"),
    ("what is configured: ", "l8_what_is_not_looked_for_is_said"),
];

/// Wordings with a command that no test runs, by the reason.
const UNRUN: &[(&str, &[&str])] = &[
    (
        "it asks at a terminal, or reads what is typed",
        &[
            "whsec target add",
            "no target is set up yet",
            "no target is configured and no rotation is open",
            "name files or folders, or pipe something in: ",
            "`whsec reveal TARGET --unsafe-stdout` writes",
        ],
    ),
    (
        "help, and the end of a rehearsal: they are no way out of anything",
        &[
            "Begin with `whsec rehearse`",
            "Exit codes:",
            "whsec rehearse {}",
            "  whsec login {",
            "  whsec doctor  ",
            "  whsec rotate NAME -n",
        ],
    ),
    (
        "it only looks, which can be done in every state",
        &[
            "nothing that was journaled is lost: `whsec status`",
            "`whsec doctor` shows where the key comes from",
            "`whsec doctor` shows where a key is looked for",
            "was the identity moved or replaced?",
            "(`whsec doctor` shows its recipient)",
            "`whsec doctor` looks",
            "`whsec rotate TARGET --dry-run` shows",
            "take it out of the config first; `whsec inspect TARGET`",
            "somebody changed this store; `whsec inspect TARGET`",
        ],
    ),
    (
        "journal and seal have to fail at once for it, as they do in the engine's own test of it",
        &["see that there are two endpoints, remove the old one there"],
    ),
    ("the same command is run for a checkout's file above", &["look at it, then `whsec target trust`"]),
    (
        "it takes two processes, another machine or a provider that contradicts itself, and is not arranged here",
        &[
            "name another store in the config, and run",
            "leave --store out; `whsec store copy FROM TO`",
            "give each target slots of its own",
            "goes on with the stores as they are now",
            "`whsec cutover TARGET` puts it there",
            "take it out of the config, and let it go",
            "`whsec status` shows it, `whsec cutover TARGET` goes on with it",
            "nothing is lost yet: `whsec cutover TARGET`",
            "`whsec cutover TARGET` asks for it again",
            "mend it, then `whsec cutover TARGET`; if the probe is wrong",
            "receivers live on the old secret until",
            "again in a minute",
            "give an API key (`whsec doctor`",
            "put its description back, or close the rotation",
        ],
    ),
];

/// How often a file puts a command together with what was typed (`come_back`, `again`): who adds one adds its hint to the table.
const BUILT: &[(&str, &str, usize)] = &[
    ("cli/person.rs", "cutover", 1),
    ("cli/plan_file.rs", "apply", 1),
    ("cli/probe.rs", "probe", 1),
    ("cli/reveal.rs", "fingerprint", 1),
    ("cli/target/add.rs", "inspect", 1),
    ("cli/target/edit.rs", "cutover", 2),
    ("cli/target/remove.rs", "cutover", 1),
    ("cli/verify/follow.rs", "verify", 1),
    ("cli/verify/mod.rs", "cutover", 1),
];

/// A text of the source, without its escapes.
struct Literal {
    file: String,
    text: String,
}

/// The sources below `src` without tests and comments, each with its path.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut found) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod ").next().unwrap().lines();
                let code: Vec<&str> = code.filter(|line| !line.trim_start().starts_with("//")).collect();
                found.push((name, code.join("\n")));
            }
        }
    }
    found.sort();
    found
}

/// The texts of a source file.
fn literals(code: &str) -> Vec<String> {
    let (mut found, mut rest) = (Vec::new(), code);
    while let Some(at) = rest.find('"') {
        if rest[..at].ends_with('\'') || rest[..at].ends_with("'\\") {
            rest = &rest[at + 1..];
            continue;
        }
        let raw = rest[..at].ends_with("r#");
        let (mut text, mut characters) = (String::new(), rest[at + 1..].char_indices().peekable());
        let mut end = rest.len();
        while let Some((index, character)) = characters.next() {
            match character {
                '"' if !raw || rest[at + 1 + index..].starts_with("\"#") => {
                    end = at + 2 + index;
                    break;
                }
                '\\' if !raw => match characters.next() {
                    // A line that goes on in the next one.
                    Some((_, '\n')) => while characters.next_if(|(_, next)| next.is_whitespace()).is_some() {},
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, other)) => text.push(other),
                    None => {}
                },
                _ => text.push(character),
            }
        }
        found.push(text);
        rest = &rest[end.min(rest.len())..];
    }
    found
}

/// The texts of a source file's advices, with `{}` where something is put in.
fn advices(code: &str) -> Vec<String> {
    code.split("advice![").skip(1).map(|rest| parts(rest).iter().map(|part| part_in_words(part)).collect()).collect()
}

/// What stands between commas, up to the bracket that closes the list, if one does.
fn parts(list: &str) -> Vec<&str> {
    let (mut found, mut begin, mut depth, mut in_text, mut is_escaped) = (Vec::new(), 0, 0, false, false);
    for (at, character) in list.char_indices() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' if in_text => is_escaped = true,
            '"' => in_text = !in_text,
            _ if in_text => {}
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth > 0 => depth -= 1,
            ',' | ']' if depth == 0 => {
                found.push(list[begin..at].trim());
                begin = at + 1;
                if character == ']' {
                    found.retain(|part| !part.is_empty());
                    return found;
                }
            }
            _ => {}
        }
    }
    found.push(list[begin..].trim());
    found.retain(|part| !part.is_empty());
    found
}

fn part_in_words(part: &str) -> String {
    let quote = if part.contains(".bare()") { "" } else { "`" };
    match literals(part).into_iter().next() {
        _ if part.starts_with("Verb::") => format!("{quote}{}{quote}", command_in_words(part)),
        Some(_) if part.starts_with("Flag::") => flag_in_words(&parts_of_call(part, "Flag::")),
        Some(text) if part.starts_with('"') || part.starts_with("format!") => text,
        _ => "{}".to_owned(),
    }
}

/// The name of a call, and what it is given: `with`, `"done"`, `step.name()`.
fn parts_of_call<'a>(code: &'a str, before: &str) -> Vec<&'a str> {
    let call = code.trim_start().strip_prefix(before).unwrap_or_default();
    let (name, given) = call.split_once('(').unwrap_or((call, ""));
    [name.trim()].into_iter().chain(parts(given)).collect()
}

/// A command that is built from its verb: `Verb::Cutover.here().open("reason", "TEXT")`.
fn command_in_words(code: &str) -> String {
    let named = |verb: &&Verb| {
        code.strip_prefix(&format!("Verb::{verb:?}")).is_some_and(|rest| !rest.starts_with(char::is_alphabetic))
    };
    let verb = Verb::ALL.iter().find(named).unwrap_or_else(|| panic!("no verb: {code}"));
    let mut words = format!("whsec {}", verb.name());
    let mut rest = code[format!("Verb::{verb:?}").len()..].trim_start();
    while let Some((call, behind)) = rest.strip_prefix('.').and_then(closed) {
        let call = parts_of_call(call, "");
        match call[0] {
            "here" => words.push_str(" TARGET"),
            "of" => words.push_str(" {}"),
            "alone" | "bare" | "name" => {}
            "on" => {
                words.extend(parts(call[1].trim_start_matches('[')).iter().map(|word| match literals(word).first() {
                    Some(open) if word.starts_with("Value::Open") => format!(" {open}"),
                    _ => " {}".to_owned(),
                }))
            }
            _ => words.push_str(&format!(" {}", flag_in_words(&call))),
        }
        rest = behind.trim_start();
    }
    words
}

/// A call up to its closing parenthesis, and what comes behind it.
fn closed(code: &str) -> Option<(&str, &str)> {
    let (mut depth, mut in_text) = (0, false);
    for (at, character) in code.char_indices() {
        match character {
            '"' => in_text = !in_text,
            _ if in_text => {}
            '(' => depth += 1,
            ')' if depth == 1 => return Some((&code[..at], &code[at + 1..])),
            ')' => depth -= 1,
            _ if depth == 0 && !(character.is_alphanumeric() || character == '_') => return None,
            _ => {}
        }
    }
    None
}

/// An option: how it is made, its name and its value.
fn flag_in_words(call: &[&str]) -> String {
    let text = |code: &str| literals(code).into_iter().next();
    let name = call.get(1).and_then(|name| text(name)).unwrap_or_else(|| panic!("no option: {call:?}"));
    let value = match call.get(2) {
        _ if call[0] == "flag" => return format!("--{name}"),
        Some(value) => text(value).unwrap_or_else(|| "{}".to_owned()),
        None => panic!("no value: {call:?}"),
    };
    format!("--{name}{}{value}", if call[0] == "joined" { "=" } else { " " })
}

/// The names of all commands.
fn verbs() -> Vec<String> {
    whsec::cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect()
}

/// Whether a text shows a command of ours.
fn shows_a_command(text: &str, verbs: &[String]) -> bool {
    text.split("whsec ").skip(1).any(|rest| {
        let word = rest.split(|character: char| !character.is_ascii_lowercase() && character != '-').next().unwrap();
        verbs.iter().any(|verb| verb == word)
    })
}

/// What of a text stays whatever is put into it.
fn fixed(text: &str) -> Vec<String> {
    let (mut pieces, mut piece, mut depth) = (Vec::new(), String::new(), 0);
    for character in text.replace("TARGET", "{}").chars() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ if depth > 0 => continue,
            _ => piece.push(character),
        }
        if depth > 0 {
            pieces.push(std::mem::take(&mut piece));
        }
    }
    pieces.push(piece);
    pieces.iter().map(|piece| one_line(piece)).filter(|piece| !piece.is_empty()).collect()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a text was printed, with whatever was put into it.
fn is_printed(text: &str, printed: &str) -> bool {
    let mut rest = printed;
    fixed(text).iter().all(|piece| match rest.find(piece.as_str()) {
        Some(at) => {
            rest = &rest[at + piece.len()..];
            true
        }
        None => false,
    })
}

#[test]
fn c7_every_hint_with_a_command_is_in_the_table_or_says_why_not() {
    let verbs = verbs();
    let of_file = |(file, code): &(String, String)| {
        let of = |text| Literal { file: file.clone(), text };
        let typed = literals(code).into_iter().filter(|text| shows_a_command(text, &verbs));
        typed.chain(advices(code)).map(of).collect::<Vec<_>>()
    };
    let sources = sources();
    let all: Vec<Literal> = sources.iter().flat_map(of_file).collect();
    assert!(all.len() > 50, "the hints were not found");
    let printed: Vec<String> = TABLE.iter().map(|case| one_line(&run(&(case.arrange)(), case.line).stderr)).collect();
    let mut missing = Vec::new();
    let listed =
        || ELSEWHERE.iter().map(|(words, _)| *words).chain(UNRUN.iter().flat_map(|(_, words)| words.iter().copied()));
    for Literal { file, text } in &all {
        let is_run = printed.iter().any(|printed| is_printed(text, printed));
        if !is_run && !listed().any(|words| text.contains(words)) {
            missing.push(format!("{file}: {text}"));
        }
    }
    for words in listed() {
        if !all.iter().any(|literal| literal.text.contains(words)) {
            missing.push(format!("listed, and not in the source: {words}"));
        }
    }
    let tests = all_text(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"));
    for (words, test) in ELSEWHERE {
        if !tests.contains(&format!("fn {test}(")) {
            missing.push(format!("there is no test {test}: {words}"));
        }
    }
    assert!(missing.is_empty(), "run these in the table, or say which test does:\n{}", missing.join("\n"));
}

#[test]
fn c7_every_command_that_is_put_together_is_counted() {
    let mut built = BTreeMap::<(String, String), usize>::new();
    for (file, code) in &sources() {
        for call in ["come_back(", ".again("] {
            for rest in code.split(call).skip(1) {
                let word = rest.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next());
                if let Some(word) = word {
                    *built.entry((file.clone(), word.to_owned())).or_default() += 1;
                }
            }
        }
    }
    let listed = BUILT.iter().map(|(file, verb, count)| (((*file).to_owned(), (*verb).to_owned()), *count)).collect();
    assert_eq!(built, listed, "run the hint of a new one in the table");
}

fn all_text(folder: &Path) -> String {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let text = |path: std::path::PathBuf| match path.extension() {
        _ if path.is_dir() => all_text(&path),
        Some(extension) if extension == "rs" => std::fs::read_to_string(path).unwrap(),
        _ => String::new(),
    };
    paths.map(text).collect()
}

#[test]
fn c7_every_command_that_the_source_shows_is_one_that_there_is() {
    let verbs = verbs();
    for (file, code) in sources() {
        let built = code
            .match_indices("Verb::")
            .filter(|(at, _)| code[..*at].ends_with(|before: char| !before.is_alphanumeric()));
        let built = built.map(|(at, _)| &code[at..]).filter(|code| !code.starts_with("Verb::ALL"));
        let built = built.filter(|code| Verb::ALL.iter().any(|verb| code.starts_with(&format!("Verb::{verb:?}."))));
        let built: Vec<String> = built.map(command_in_words).collect();
        let typed = literals(&code).into_iter().filter(|text| shows_a_command(text, &verbs));
        for text in &typed.chain(built).collect::<Vec<_>>() {
            for command in commands_in(text) {
                let words = shlex::split(&command).unwrap_or_else(|| panic!("{file}: `{command}`"));
                let Err(error) = whsec::cli::command().try_get_matches_from(&words) else { continue };
                // What stands for a value need not be one.
                if error.kind() == ErrorKind::ValueValidation && words.iter().any(|word| word == "x") {
                    continue;
                }
                // What it is asked for is left to whoever types it.
                let is_open = matches!(
                    error.kind(),
                    ErrorKind::MissingRequiredArgument
                        | ErrorKind::MissingSubcommand
                        | ErrorKind::DisplayHelp
                        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                );
                assert!(is_open, "{file}: `{command}` in \"{text}\": {error}");
            }
        }
    }
}

/// The commands in a text of the source, with something in the place of what is put in.
fn commands_in(text: &str) -> Vec<String> {
    let text = text.replace("--override={}", "--override=sha256:0123456789ab").replace("--done {}", "--done deploy");
    let text = text.replace("--resolve {}", "--resolve applied");
    let filled = fixed_with(&text, "x").replace("TARGET", "hooks").replace("FROM TO", "file:/a file:/b");
    let mut found = Vec::new();
    for (at, _) in filled.match_indices("whsec ") {
        let (before, tail) = filled.split_at(at);
        let ends: &[&str] = match before.ends_with('`') {
            true => &["`"],
            false => &[";", ",", " (", ")", "`", "\n", "  ", ": ", " saves "],
        };
        let end = ends.iter().filter_map(|end| tail.find(end)).min().unwrap_or(tail.len());
        let verbs = verbs();
        if shows_a_command(&tail[..end], &verbs)
            && tail[6..].starts_with(|character: char| character.is_ascii_lowercase())
        {
            found.push(tail[..end].to_owned());
        }
    }
    found
}

fn fixed_with(text: &str, with: &str) -> String {
    let (mut out, mut depth) = (String::new(), 0);
    for character in text.chars() {
        match character {
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                out.push_str(with);
            }
            _ if depth > 0 => {}
            _ => out.push(character),
        }
    }
    out
}
