//! Where a PostgreSQL server is, and who is let in: from the variables and files of its own programs.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::super::location::BadLocation;
use super::DocumentsError;
use crate::http::{Url, is_loopback};
use crate::secret::Secret;
use crate::system::owned;

/// Longest file of passwords or certificates that is read, in bytes.
const LONGEST: u64 = 1 << 20;
/// PostgreSQL's usual port.
const PORT: u16 = 5432;
const NO_FILE: &str = "there is no such file";

/// A PostgreSQL database: `postgres://[USER@]HOST[:PORT]/DATABASE[?OPTIONS]`, or `postgres:///DATABASE?host=/FOLDER` for a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    user: Option<String>,
    /// A host's name or address, or the folder of a socket.
    pub(super) host: Host,
    pub(super) port: u16,
    pub(super) database: String,
    pub(super) is_encrypted: bool,
    /// A file of CA certificates that are accepted beside the system's own.
    ca: Option<PathBuf>,
}

/// How the server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    Name(String),
    Socket(PathBuf),
}

/// What it takes to be let in.
#[derive(Clone, Debug, Default)]
pub struct ServerLogin {
    pub(super) user: String,
    pub(super) password: Option<Secret>,
    pub(super) authorities: Option<Vec<u8>>,
}

impl Server {
    /// From an address as it is typed.
    pub fn of(url: &Url) -> Result<Self, BadLocation> {
        let bad = |why: &str| BadLocation::new(why);
        if url.password().is_some() {
            return Err(bad("holds a password, which belongs into PGPASSWORD or ~/.pgpass"));
        }
        let text_of = |part: &str| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned();
        let database = text_of(url.path().trim_start_matches('/'));
        if database.is_empty() || database.contains('/') {
            return Err(bad("has to name one database: `postgres://HOST/DATABASE`"));
        }
        let (mut encrypted, mut ca, mut socket, mut port) = (None, None, None, url.port());
        let mut user = Some(text_of(url.username())).filter(|user| !user.is_empty());
        for (name, value) in url.query_pairs() {
            match (&*name, &*value) {
                ("sslmode", "verify-full") => encrypted = Some(true),
                ("sslmode", "disable") => encrypted = Some(false),
                ("sslmode", _) => return Err(bad("has an `sslmode` that checks nothing: `verify-full` or `disable`")),
                ("sslrootcert", path) => ca = Some(PathBuf::from(path)),
                ("host", folder) if folder.starts_with('/') => socket = Some(PathBuf::from(folder)),
                ("user", name) => user = Some(name.to_owned()),
                ("port", number) => port = Some(number.parse().map_err(|_| bad("has a `port` that is none"))?),
                ("password", _) => return Err(bad("holds a password, which belongs into PGPASSWORD or ~/.pgpass")),
                _ => return Err(BadLocation::new(format!("has an option `{name}` that is not known here"))),
            }
        }
        let host = match (url.host_str().filter(|host| !host.is_empty()), socket) {
            (Some(_), Some(_)) => return Err(bad("names a host and a socket")),
            (Some(host), None) => Host::Name(host.trim_start_matches('[').trim_end_matches(']').to_owned()),
            (None, socket) => Host::Socket(socket.unwrap_or_else(|| "/var/run/postgresql".into())),
        };
        let is_near = matches!(host, Host::Socket(_)) || is_loopback(url);
        if encrypted == Some(true) && matches!(host, Host::Socket(_)) {
            return Err(bad("asks for TLS on a socket, which has none"));
        }
        Ok(Self { user, host, port: port.unwrap_or(PORT), database, is_encrypted: encrypted.unwrap_or(!is_near), ca })
    }

    /// What it takes to be let in, from the variables and files that PostgreSQL's own programs read.
    pub fn login(
        &self,
        variable: &dyn Fn(&str) -> Option<String>,
        home: Option<&Path>,
    ) -> Result<ServerLogin, DocumentsError> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let user = self.user.clone().or_else(|| set("PGUSER")).or_else(|| set("USER"));
        let user = user.unwrap_or_else(|| "postgres".to_owned());
        let failed = |what: &Path, why: String| DocumentsError::Login { what: what.display().to_string(), why };
        let password = match set("PGPASSWORD") {
            Some(password) => Some(Secret::new(&password)),
            None => {
                let file = set("PGPASSFILE").map(PathBuf::from);
                let is_named = file.is_some();
                let file = file.or_else(|| home.map(|home| home.join(".pgpass")));
                match file.map(|path| (owned::read(&path, LONGEST), path)) {
                    Some((Ok(Some(bytes)), path)) => {
                        refuse_open(&path).map_err(|why| failed(&path, why))?;
                        let text = Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned());
                        let _ = Zeroizing::new(bytes);
                        self.password_in(&text, &user)
                    }
                    Some((Err(error), path)) => return Err(failed(&path, error.to_string())),
                    Some((Ok(None), path)) if is_named => return Err(failed(&path, NO_FILE.to_owned())),
                    _ => None,
                }
            }
        };
        let ca = self.ca.clone().or_else(|| set("PGSSLROOTCERT").map(PathBuf::from));
        let authorities = match ca.filter(|_| self.is_encrypted) {
            None => None,
            Some(path) => match owned::read(&path, LONGEST) {
                Ok(Some(pem)) => Some(pem),
                Ok(None) => return Err(failed(&path, NO_FILE.to_owned())),
                Err(error) => return Err(failed(&path, error.to_string())),
            },
        };
        Ok(ServerLogin { user, password, authorities })
    }

    /// The password of the first line that fits: `HOST:PORT:DATABASE:USER:PASSWORD`, where `*` is any and `\` takes the next letter
    /// as it is.
    fn password_in(&self, text: &str, user: &str) -> Option<Secret> {
        let host = match &self.host {
            Host::Name(host) => host.clone(),
            Host::Socket(_) => "localhost".to_owned(),
        };
        let folder = match &self.host {
            Host::Socket(folder) => Some(folder.to_string_lossy().into_owned()),
            Host::Name(_) => None,
        };
        let port = self.port.to_string();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(fields).find_map(|fields| {
            let [wanted_host, wanted_port, wanted_database, wanted_user, password] = fields.as_slice() else {
                return None;
            };
            let is = |wanted: &str, given: &str| wanted == "*" || wanted == given;
            let is_host = is(wanted_host, &host) || folder.as_ref().is_some_and(|folder| wanted_host == folder);
            let fits =
                is_host && is(wanted_port, &port) && is(wanted_database, &self.database) && is(wanted_user, user);
            fits.then(|| Secret::new(password.as_str()))
        })
    }
}

/// Why others could read a file of passwords.
fn refuse_open(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt;
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.mode() & 0o077 != 0 => {
            Err("others can read it; chmod 600 closes it, as PostgreSQL's own programs want it".to_owned())
        }
        _ => Ok(()),
    }
}

fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut field, mut letters) = (Vec::new(), String::new(), line.chars());
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => field.extend(letters.next()),
            // The last field may have colons of its own.
            ':' if fields.len() < 4 => fields.push(std::mem::take(&mut field)),
            letter => field.push(letter),
        }
    }
    fields.push(field);
    fields
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
