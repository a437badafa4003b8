//! Programs that many keep secrets with, as data: what the user's config leaves open is filled in here.

use std::collections::BTreeMap;

use serde::Deserialize;
use zeroize::Zeroizing;

use super::names::Names;
use super::{CommandSpec, SlotNames, StoreError};
use crate::secret::Secret;

const BUILT_IN: &str = include_str!("presets.toml");

/// What goes to a program's standard input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Input {
    /// The value, bare.
    #[default]
    Value,
    /// `NAME=VALUE` and a line break.
    Line,
    /// The value as a JSON string.
    Json,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Preset {
    #[expect(dead_code, reason = "for whoever reads the file")]
    about: String,
    put: Vec<String>,
    get: Option<Vec<String>>,
    clear: Option<Vec<String>>,
    #[serde(default = "super::absent_by_default")]
    absent: i32,
    #[serde(default)]
    needs: Vec<String>,
    /// Which of these are paths.
    #[serde(default)]
    paths: Vec<String>,
    /// What is added to the key to name `next`, `previous` and the canary.
    suffixes: [String; 3],
    #[serde(default)]
    input: Input,
}

/// A command with nothing left open.
pub(super) struct Filled {
    pub spec: CommandSpec,
    pub names: Names,
    pub input: Input,
}

/// The words of a preset's `with` that are paths, which start beside the config that has them.
pub fn preset_paths(preset: &str) -> Vec<String> {
    let mut presets: BTreeMap<String, Preset> = toml::from_str(BUILT_IN).unwrap_or_default();
    presets.remove(preset).map(|preset| preset.paths).unwrap_or_default()
}

/// Fills a command in: from its preset, or as it is written. Fails with [`StoreError::Refused`] for a preset that there is
/// not, or that lacks something.
pub(super) fn fill(reference: &str, spec: &CommandSpec, names: &SlotNames) -> Result<Filled, StoreError> {
    let refused =
        |why: String, hint: String| Err(StoreError::Refused { store: reference.to_owned(), why, hint: hint.into() });
    let Some(wanted) = &spec.preset else {
        if spec.key.is_some() || !spec.with.is_empty() {
            return refused(
                "`key` and `with` belong to a preset".to_owned(),
                "add `preset`, or leave them out".to_owned(),
            );
        }
        return Ok(Filled { spec: spec.clone(), names: Names::words(reference, names)?, input: Input::Value });
    };
    let mut presets: BTreeMap<String, Preset> = toml::from_str(BUILT_IN).unwrap_or_default();
    let known: Vec<String> = presets.keys().cloned().collect();
    let Some(preset) = presets.remove(wanted) else {
        return refused(
            format!("there is no preset `{}`", wanted.escape_debug()),
            format!("the presets are `{}`; whsec-config(5) says why others are none", known.join("`, `")),
        );
    };
    if !spec.put.is_empty() || spec.get.is_some() || spec.clear.is_some() {
        return refused("a preset has its own programs".to_owned(), "leave out `put`, `get` and `clear`".to_owned());
    }
    let Some(key) = spec.key.as_deref().filter(|key| !key.is_empty()) else {
        return refused("its preset needs a `key`".to_owned(), "write the name that receivers read it by".to_owned());
    };
    let missing: Vec<&str> =
        preset.needs.iter().map(String::as_str).filter(|need| !spec.with.contains_key(*need)).collect();
    let surplus = spec.with.keys().any(|given| !preset.needs.contains(given));
    if !missing.is_empty() || surplus {
        let needs: Vec<String> = preset.needs.iter().map(|need| format!("{need} = \"…\"")).collect();
        let hint = format!("write with = {{ {} }}", needs.join(", "));
        return refused(format!("the preset `{wanted}` takes other words in `with`"), hint);
    }
    // Nothing that stands for itself in an argument may be taken for an option, or for another place to fill in.
    if [key]
        .into_iter()
        .chain(spec.with.values().map(String::as_str))
        .any(|word| word.starts_with('-') || word.contains(['{', '"']))
    {
        return refused(
            "a word of its preset starts with `-` or holds `{` or `\"`".to_owned(),
            "name it plainly".to_owned(),
        );
    }
    let with = |template: Vec<String>| -> Vec<String> {
        let fill = |part: String| {
            spec.with.iter().fold(part, |part, (name, value)| part.replace(&format!("{{{name}}}"), value))
        };
        template.into_iter().map(fill).collect()
    };
    let names = Names::after(reference, key, [&preset.suffixes[0], &preset.suffixes[1], &preset.suffixes[2]], names)?;
    let spec = CommandSpec {
        put: with(preset.put),
        get: preset.get.map(with),
        clear: preset.clear.map(with),
        absent: preset.absent,
        ..CommandSpec::default()
    };
    Ok(Filled { spec, names, input: preset.input })
}

impl Input {
    /// What goes to standard input for a value of this slot.
    pub fn bytes(self, store: &str, slot: &str, value: &Secret) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let text = value.expose();
        Ok(match self {
            Self::Value => Zeroizing::new(text.as_bytes().to_vec()),
            Self::Json => Zeroizing::new(serde_json::to_vec(text).unwrap_or_default()),
            Self::Line => {
                let plain = |letter: char| letter.is_ascii_graphic() && !"\"'`\\#$".contains(letter);
                if !text.chars().all(plain) {
                    let why = "the program takes it in a line, where a quote or a space would mean something";
                    return Err(StoreError::Unrepresentable { store: store.to_owned(), why });
                }
                Zeroizing::new([slot.as_bytes(), b"=", text.as_bytes(), b"\n"].concat())
            }
        })
    }
}

#[cfg(test)]
#[path = "preset_tests.rs"]
mod tests;
