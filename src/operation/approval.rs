//! Whether those have signed a plan who have to, as `ssh-keygen -Y sign -n whsec-plan` signs: their signatures lie beside it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::context::Context;
use super::error::{Error, Kind, Stop};
use crate::config::policy::Needed;
use crate::secret::shown_path;
use crate::shell;
use crate::system::owned;
use crate::system::program::{Ended, Run};

/// What a signature is for: one of a release says nothing of a plan.
const NAMESPACE: &str = "whsec-plan";
/// Most files that are looked at.
const MOST: usize = 32;
/// Largest file of keys, in bytes.
const LARGEST: u64 = 1 << 20;

/// Somebody's plan that has to be signed by others.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// `USER@HOST` who has made it.
    pub by: &'a str,
    /// The plan as it is read.
    pub bytes: &'a [u8],
    /// Its file; nothing where it came through a pipe.
    pub file: Option<&'a Path>,
}

/// Everybody who has signed of those who have to, as the files of keys name them. Refuses where it is not enough of them.
pub fn need<'a>(
    context: &Context,
    signed: Signed<'_>,
    needed: impl Iterator<Item = Needed<'a>>,
) -> Result<Vec<String>, Error> {
    let mut all = BTreeSet::new();
    for needed in needed {
        all.extend(of_rule(context, signed, needed)?);
    }
    Ok(all.into_iter().collect())
}

/// The command that signs a plan.
pub fn command(file: &Path) -> String {
    format!("ssh-keygen -Y sign -n {NAMESPACE} -f KEY {}", shell::quoted(&file.display().to_string()))
}

fn of_rule(context: &Context, signed: Signed<'_>, needed: Needed<'_>) -> Result<BTreeSet<String>, Error> {
    let Needed { rule, count, approvers, .. } = needed;
    let refused = |message: String, hint: String| Err(Stop::new(Kind::Gate, message, hint));
    let by_rule = format!("the rule `{rule}` in `{}`", shown_path(needed.file));
    let Some(file) = signed.file else {
        let message = format!("a plan from a pipe has no signatures beside it, and {by_rule} asks for {count}");
        return refused(message, "name the plan's file, with `FILE.sig` beside it".to_owned());
    };
    refuse_foreign(approvers)?;
    let (mut approvals, mut left): (BTreeSet<String>, Vec<String>) = Default::default();
    for signature in signatures(file)? {
        let name = signature.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        match judge(context, signed, &signature, approvers)? {
            Err(why) => left.push(format!("`{name}` {why}")),
            Ok(by) if user(&by) == user(signed.by) => left.push(format!("`{name}` is by {by}, who has made the plan")),
            // Somebody with two keys is one person.
            Ok(by) if approvals.iter().any(|known| user(known) == user(&by)) => {
                left.push(format!("`{name}` is by {by} once more"));
            }
            Ok(by) => drop(approvals.insert(by)),
        }
    }
    if approvals.len() >= count.get() {
        return Ok(approvals);
    }
    let left = left.iter().map(|why| format!("; {why}")).collect::<String>();
    let (there, signatures) = (approvals.len(), if count.get() == 1 { "signature" } else { "signatures" });
    let message = format!("the plan has {there} of {count} {signatures} that {by_rule} asks for{left}");
    let sign = command(file);
    refused(
        message,
        format!("have it signed by others than {}, each beside it as `FILE.sig` or `FILE.NAME.sig`: {sign}", signed.by),
    )
}

/// Whose signature this is; or why it does not count.
fn judge(
    context: &Context,
    signed: Signed<'_>,
    signature: &Path,
    approvers: &Path,
) -> Result<Result<String, String>, Error> {
    let (file, keys) = (signature.as_os_str(), approvers.as_os_str());
    let found = keygen(context, None, &["find-principals".as_ref(), "-s".as_ref(), file, "-f".as_ref(), keys])?;
    let found = String::from_utf8_lossy(&found.output).into_owned();
    // A pattern in the file of keys says who may be meant, and nobody's name.
    let is_name = |name: &&str| !name.is_empty() && !name.contains(['*', '?', '!']);
    let Some(by) = found.split(['\n', ',']).map(str::trim).find(is_name) else {
        return Ok(Err(format!("is by nobody whom `{}` names", shown_path(approvers))));
    };
    let namespace = NAMESPACE.as_ref();
    let verify = ["verify".as_ref(), "-n".as_ref(), namespace, "-s".as_ref(), file, "-f".as_ref(), keys];
    let verified = keygen(context, Some(signed.bytes), &[&verify[..], &["-I".as_ref(), by.as_ref()]].concat())?;
    Ok(match verified.status.success() {
        true => Ok(by.to_owned()),
        false => Err(format!("by {by} is not of this plan, or its key is not valid now")),
    })
}

/// Runs `ssh-keygen -Y` with this on its standard input.
fn keygen(context: &Context, input: Option<&[u8]>, words: &[&OsStr]) -> Result<Ended, Error> {
    let text = |word: &&OsStr| {
        word.to_str().map(str::to_owned).ok_or_else(|| {
            let message = format!("the path `{}` is not UTF-8", word.to_string_lossy());
            Stop::new(Kind::Usage, message, "give the plan and the file of keys another name")
        })
    };
    let words = words.iter().map(text).collect::<Result<Vec<_>, _>>()?;
    let arguments: Vec<String> = ["ssh-keygen", "-Y"].map(str::to_owned).into_iter().chain(words).collect();
    let private = context.config().map(|config| &**config.private_variables()).unwrap_or_default();
    Run { input, ..Run::new(&arguments, private) }.end().map_err(|error| {
        let message = format!("signatures of plans cannot be checked: {error}");
        Stop::new(Kind::Gate, message, "install OpenSSH's ssh-keygen (8.2 or newer: openssh-client)")
    })
}

/// The files that may be signatures of this one: `FILE.sig`, and `FILE.NAME.sig` where several sign.
fn signatures(file: &Path) -> Result<Vec<PathBuf>, Error> {
    let unread = |error: std::io::Error| {
        let message = format!("cannot look for signatures beside `{}`: {error}", shown_path(file));
        Stop::new(Kind::Failed, message, "put the plan into a folder that can be read, its signatures beside it")
    };
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let begins = format!("{}.", file.file_name().unwrap_or_default().to_string_lossy());
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(unread)? {
        let path = entry.map_err(unread)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with(&begins) && name.ends_with(".sig") {
            found.push(path);
        }
    }
    found.sort();
    found.truncate(MOST);
    Ok(found)
}

/// Refuses a file of keys that somebody else may have written.
fn refuse_foreign(approvers: &Path) -> Result<(), Error> {
    let refused = |why: String| {
        let message = format!("the file of approvers `{}` is not used: {why}", shown_path(approvers));
        Stop::new(Kind::Gate, message, "it is `approvers` of the policy: keys as `ssh-keygen -Y verify` reads them")
    };
    match owned::read_text(approvers, LARGEST) {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(refused("it does not exist".to_owned())),
        Err(error) => Err(error.map(
            approvers,
            |_, source| refused(source.to_string()),
            |_, why, fix| refused(format!("{why}; {fix}")),
        )),
    }
}

/// The part of `USER@HOST`, or of a principal, that names the person.
fn user(who: &str) -> String {
    who.split('@').next().unwrap_or_default().to_lowercase()
}
