//! whsec-provider(5) names every key and every word of the provider vocabulary. (The config's own test does the same
//! for whsec-config(5), because its words are private to the module.)

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde::de::value::{Error, StrDeserializer};
use whsec::provider::spec;

const PAGE: &str = include_str!("../../man/whsec-provider.5");

/// The keys of a section, as serde lists them in its complaint about one that is not there.
fn keys<T: DeserializeOwned>() -> Vec<String> {
    let error = toml::from_str::<T>("no-such-key = 1").err().unwrap();
    listed(error.message())
}

/// The words that a value may be.
fn variants<'de, T: Deserialize<'de>>() -> Vec<String> {
    listed(&T::deserialize(StrDeserializer::<Error>::new("no-such-word")).err().unwrap().to_string())
}

fn listed(message: &str) -> Vec<String> {
    let (_, known) = message.split_once("expected").unwrap_or_else(|| panic!("{message}"));
    known.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_word_of_the_vocabulary_is_in_the_manual() {
    let page = PAGE.replace("\\fB", " ").replace("\\fR", " ").replace("\\fI", " ").replace("\\-", "-");
    let words: Vec<&str> = page.split(|c: char| c.is_whitespace() || "\"(),:;[]{}/".contains(c)).collect();
    let all = [
        keys::<spec::Spec>(),
        keys::<spec::OptionSpec>(),
        keys::<spec::AuthSpec>(),
        keys::<spec::AuthSchemeSpec>(),
        keys::<spec::RefuseSpec>(),
        keys::<spec::RotateSpec>(),
        keys::<spec::RotateAnswerSpec>(),
        keys::<spec::SecretSpec>(),
        variants::<spec::RotateKind>(),
        variants::<spec::SecretForm>(),
        keys::<spec::OverlapSpec>(),
        keys::<spec::ForceSpec>(),
        keys::<spec::IdempotencySpec>(),
        keys::<spec::InspectSpec>(),
        keys::<spec::ListSpec>(),
        keys::<spec::EndpointsSpec>(),
        keys::<spec::InspectAnswerSpec>(),
        keys::<spec::ErrorsSpec>(),
        keys::<spec::ErrorSpec>(),
        keys::<spec::SignatureSpec>(),
        keys::<spec::TestDeliverySpec>(),
        keys::<spec::SourceSpec>(),
        variants::<spec::Cutover>(),
        variants::<spec::Method>(),
        variants::<spec::OverlapKind>(),
        variants::<spec::KeyForm>(),
        variants::<spec::Meaning>(),
        variants::<spec::Encoding>(),
        variants::<spec::KeyEncoding>(),
        variants::<spec::TimestampForm>(),
        variants::<spec::KeyDecoding>(),
    ];
    let names: Vec<&String> = all.iter().flatten().collect();
    assert!(names.len() > 90, "the list of words is suspiciously short: {names:?}");
    let missing: Vec<_> = names.into_iter().filter(|name| !words.contains(&name.as_str())).collect();
    assert!(missing.is_empty(), "whsec-provider.5 does not mention {missing:?}");
    for grammar in variants::<spec::Grammar>() {
        assert!(PAGE.contains(&grammar), "whsec-provider.5 does not mention {grammar}");
    }
}

#[test]
fn the_example_in_the_manual_is_valid() {
    let (_, rest) = PAGE.split_once(".nf\n").unwrap();
    let (example, _) = rest.split_once(".fi\n").unwrap();
    whsec::provider::Provider::parse(&example.replace("\\-", "-"), "man/whsec-provider.5").unwrap();
}

#[test]
fn where_a_line_of_help_ends_is_for_the_terminal_to_say() {
    fn look(command: &clap::Command) {
        let about = command.get_long_about().map(ToString::to_string).unwrap_or_default();
        for paragraph in about.split("\n\n") {
            let mut lines = paragraph.lines().skip(1);
            assert!(lines.all(|line| line.starts_with(' ')), "{}: {paragraph}", command.get_name());
        }
        command.get_subcommands().for_each(look);
    }
    look(&whsec::cli::command());
}
