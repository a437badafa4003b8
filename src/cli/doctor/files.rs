//! Looks at config files, provider descriptions and the state folder.

use std::fs;

use super::Check;
use crate::cli::session::Session;
use crate::config::{ConfigFile, Trust};

/// What there is, how far it is trusted, and who else could read it.
pub fn look(session: &Session) -> Vec<Check> {
    let mut checks = Vec::new();
    match session.context().and_then(|context| Ok(context.config_files()?)) {
        Ok(files) if files.is_empty() => {
            let path = session
                .context()
                .and_then(|context| Ok(context.own_file()?))
                .map(|path| path.display().to_string())
                .unwrap_or_default();
            checks.push(Check::note("config", format!("there is no {path}"), "whsec target add"));
        }
        Ok(files) => checks.extend(files.iter().map(file)),
        Err(error) => checks.push(Check::failed("config", &error)),
    }
    checks.extend(session.config().err().map(|error| Check::failed("config", &error)));
    checks.extend(providers(session));
    checks.push(state(session));
    checks
}

fn file(file: &ConfigFile) -> Check {
    let path = file.path.display();
    match file.trust {
        Trust::Own => Check::ok("config", path.to_string()),
        Trust::Granted => Check::ok("config", format!("{path} (trusted until it changes)")),
        Trust::Checkout => Check::note(
            "config",
            format!("{path} came with a checkout: only targets and files inside it are honoured"),
            "if you have read it and need more of it: whsec target trust",
        ),
    }
}

fn providers(session: &Session) -> Vec<Check> {
    let catalog = match session.catalog() {
        Ok(catalog) => catalog,
        Err(error) => return vec![Check::failed("providers", &error)],
    };
    let names = catalog.names();
    // That of the folder is one, not one a provider.
    let of_files = |name: &String| catalog.trouble().is_none().then(|| catalog.get(name).err())?;
    let broken = catalog.trouble().into_iter().chain(names.iter().filter_map(of_files));
    let mut checks: Vec<Check> = broken.map(|error| Check::failed("providers", &error.into())).collect();
    if checks.is_empty() {
        checks.push(Check::ok("providers", names.join(", ")));
    }
    checks
}

fn state(session: &Session) -> Check {
    let folder = match session.folders().and_then(|folders| Ok(folders.state_dir()?)) {
        Ok(folder) => folder,
        Err(error) => return Check::failed("state", &error),
    };
    let Ok(metadata) = fs::metadata(folder) else {
        return Check::ok("state", format!("{} (will be made when it is needed)", folder.display()));
    };
    if !metadata.is_dir() {
        return Check::bad(
            "state",
            format!("{} is not a folder", folder.display()),
            "name another one: --state-dir DIR",
        );
    }
    use std::os::unix::fs::MetadataExt;
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        let found = format!("{} belongs to another user", folder.display());
        return Check::bad("state", found, "name one of your own: --state-dir DIR");
    }
    if metadata.mode() & 0o022 != 0 {
        let found = format!("others can write to {}", folder.display());
        return Check::bad("state", found, "close it, `chmod go-w`, or name another: --state-dir DIR");
    }
    Check::ok("state", folder.display().to_string())
}
