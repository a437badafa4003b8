//! Reads the rules of a file, and says where in it something is wrong.

use std::path::Path;

use glob::Pattern;
use regex_lite::Regex;
use toml::Spanned;

use super::super::file::ConfigFile;
use super::super::raw::{self, RawApprovals, RawPolicy};
use super::super::{ConfigError, paths};
use super::{Approvals, Instant, Rules, Who, Window};
use crate::provider;

/// How a word begins that names a group.
const GROUP: &str = "group:";

impl Rules {
    /// The machine's rules; `None` where it has none.
    pub fn of_machine(path: &Path) -> Result<Option<Self>, ConfigError> {
        ConfigFile::own(path)?.map(|file| Self::parse(&file)).transpose()
    }

    /// The rules of a file that has nothing else.
    pub(super) fn parse(file: &ConfigFile) -> Result<Self, ConfigError> {
        Self::read(raw::policy(file)?, 0, file, None)
    }

    /// The rules that stand at this place of a config file.
    pub(in crate::config) fn of_config(
        raw: Spanned<RawPolicy>,
        file: &ConfigFile,
        home: Option<&Path>,
    ) -> Result<Self, ConfigError> {
        let place = raw.span().start;
        Self::read(raw.into_inner(), place, file, home)
    }

    fn read(raw: RawPolicy, place: usize, file: &ConfigFile, home: Option<&Path>) -> Result<Self, ConfigError> {
        let RawPolicy { max_age, instant, approvals, approvers, may_force, windows, reason } = raw;
        let bad = |at: usize, key: &str, why: String| {
            Err(ConfigError::BadValue { place: file.place(at), key: format!("`{key}`"), why })
        };
        let max_age = match max_age {
            Some(age) => match provider::duration(age.get_ref()).filter(|length| !length.is_zero()) {
                Some(length) => Some(length),
                None => return bad(age.span().start, "max_age", "is not a duration such as `90d` or `24h`".to_owned()),
            },
            None => None,
        };
        let approvals_at = approvals.as_ref().map_or(place, |approvals| approvals.span().start);
        let RawApprovals { force, instant: of_instant, plan_over } =
            approvals.map(Spanned::into_inner).unwrap_or_default();
        let instant = match (instant, of_instant) {
            // Whoever says how many have to agree wants them to.
            (None, Some(count)) if count > 0 => Instant::Plan,
            (instant, _) => instant.unwrap_or_default(),
        };
        let of_instant =
            if instant == Instant::Plan { of_instant.unwrap_or(1) } else { of_instant.unwrap_or_default() };
        let approvals = Approvals { force: force.unwrap_or_default(), instant: of_instant, plan_over };
        let approvers = approvers.map(|path| paths::absolute(Path::new(path.get_ref()), file.folder(), home));
        if approvers.is_none() && approvals != Approvals::default() {
            let why =
                "ask for signatures, and `approvers` names no file of keys (as `ssh-keygen -Y verify` reads them)";
            return bad(approvals_at, "approvals", why.to_owned());
        }
        let may_force = match may_force {
            Some(people) => Some(people.into_iter().map(|who| person(&who, file)).collect::<Result<Vec<_>, _>>()?),
            None => None,
        };
        let mut read = Vec::new();
        for window in windows.unwrap_or_default() {
            match Window::parse(window.get_ref()) {
                Ok(window) => read.push(window),
                Err(why) => return bad(window.span().start, "windows", why),
            }
        }
        let reason = match reason {
            Some(wanted) => match Regex::new(wanted.get_ref()) {
                Ok(regex) => Some(regex),
                Err(error) => {
                    return bad(wanted.span().start, "reason", format!("is not a regular expression: {error}"));
                }
            },
            None => None,
        };
        Ok(Self { file: file.path.clone(), max_age, instant, approvals, approvers, may_force, windows: read, reason })
    }
}

fn person(who: &Spanned<String>, file: &ConfigFile) -> Result<Who, ConfigError> {
    let text = who.get_ref();
    let bad = |why: String| {
        Err(ConfigError::BadValue { place: file.place(who.span().start), key: "`may_force`".to_owned(), why })
    };
    match text.strip_prefix(GROUP) {
        Some("") => bad("names no group after `group:`".to_owned()),
        Some(group) => Ok(Who::Group(group.to_owned())),
        None if !text.contains('@') => {
            bad(format!("has `{text}`, which is neither `USER@HOST` (with `*`) nor `group:NAME`"))
        }
        None => Pattern::new(text).map(Who::Person).or_else(|error| bad(format!("has `{text}`: {}", error.msg))),
    }
}
