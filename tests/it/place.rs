//! Where a test's shared journal is: a database of its own in the server that `tests/postgres/session.sh` has started, or, where
//! WHSEC_TEST_OBJECTS is set, an object store of its own.

#![allow(dead_code)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::servers::aws::{ACCESS_KEY, SECRET_KEY};
use crate::servers::objects::{Mishap, Objects};

/// What stands before every name in the object store.
const PREFIX: &str = "team/whsec/";

pub enum Place {
    Database(String),
    Objects(Box<Objects>),
}

/// The documents of a journal by their names.
pub type Documents = BTreeMap<String, Vec<u8>>;

impl Place {
    /// A new one, if this run has shared journals.
    pub fn new() -> Option<Self> {
        if std::env::var_os("WHSEC_TEST_OBJECTS").is_some() {
            return Some(Self::objects());
        }
        std::env::var("WHSEC_TEST_POSTGRES").ok().map(|server| Self::Database(new_database(&server)))
    }

    /// A new object store.
    pub fn objects() -> Self {
        Self::Objects(Box::new(Objects::start()))
    }

    /// As a config names it, without a key.
    pub fn location(&self) -> String {
        match self {
            Self::Database(at) => at.clone(),
            Self::Objects(objects) => objects.location(),
        }
    }

    /// What lets in there.
    pub fn variables(&self) -> Vec<(&'static str, &'static str)> {
        match self {
            Self::Database(_) => Vec::new(),
            Self::Objects(_) => vec![("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)],
        }
    }

    /// Everything that is there.
    pub fn documents(&self) -> Documents {
        match self {
            Self::Database(at) => {
                let rows = sql(at, "SELECT key || ' ' || encode(body, 'hex') FROM whsec.docs");
                rows.lines()
                    .filter_map(|row| row.split_once(' '))
                    .map(|(key, hex)| (key.to_owned(), unhex(hex)))
                    .collect()
            }
            Self::Objects(objects) => {
                let named = |name: &str| name.strip_prefix(PREFIX).unwrap().replace('_', ":");
                objects.bodies().into_iter().map(|(name, body)| (named(&name), body)).collect()
            }
        }
    }

    /// The one document whose name begins so.
    pub fn one(&self, prefix: &str) -> (String, Vec<u8>) {
        self.documents().into_iter().find(|(name, _)| name.starts_with(prefix)).unwrap_or_else(|| panic!("no {prefix}"))
    }

    /// Writes a document behind everybody's back.
    pub fn put(&self, name: &str, body: &[u8]) {
        match self {
            Self::Database(at) => {
                let set = "ON CONFLICT (key) DO UPDATE SET body = excluded.body, rev = whsec.docs.rev + 1";
                sql(at, &format!("INSERT INTO whsec.docs VALUES ('{name}', 1, '\\x{}') {set};", hex(body)));
            }
            Self::Objects(objects) => objects.put(&format!("{PREFIX}{}", name.replace(':', "_")), body.to_vec()),
        }
    }

    pub fn remove(&self, name: &str) {
        match self {
            Self::Database(at) => drop(sql(at, &format!("DELETE FROM whsec.docs WHERE key = '{name}';"))),
            Self::Objects(objects) => objects.remove(&format!("{PREFIX}{}", name.replace(':', "_"))),
        }
    }

    /// Has these documents and no others be there.
    pub fn replace(&self, documents: &Documents) {
        for name in self.documents().keys().filter(|name| !documents.contains_key(*name)) {
            self.remove(name);
        }
        for (name, body) in documents {
            self.put(name, body);
        }
    }

    /// Lets the leases of whoever was killed end, by the place's own clock.
    pub fn let_leases_end(&self) {
        match self {
            Self::Database(at) => {
                let late = "UPDATE whsec.docs SET written_at = written_at - interval '10 min' WHERE key LIKE 'heads/%'";
                sql(at, late);
            }
            Self::Objects(objects) => objects.age("/heads/", Duration::from_secs(600)),
        }
    }

    /// Has nobody reach it, or everybody again.
    pub fn is_away(&self, is_away: bool) {
        match self {
            Self::Database(at) => {
                let database = at.rsplit_once('/').unwrap().1;
                let admin = std::env::var("WHSEC_TEST_POSTGRES").unwrap();
                sql(&admin, &format!("ALTER DATABASE {database} ALLOW_CONNECTIONS {}", !is_away));
                let cut =
                    format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'");
                sql(&admin, &cut);
            }
            Self::Objects(objects) if is_away => objects.with_whim(|_, _| Mishap::Unsent),
            Self::Objects(objects) => objects.without_whim(),
        }
    }
}

fn new_database(server: &str) -> String {
    let name = format!("t{}", uuid::Uuid::new_v4().simple());
    sql(server, &format!("CREATE DATABASE {name}"));
    format!("{}/{name}", server.rsplit_once('/').unwrap().0)
}

/// Does something at a server, and yields what it says.
pub fn sql(at: &str, sql: &str) -> String {
    let mut psql = Command::new("psql");
    psql.args(["-q", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", at]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = psql.stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{sql}\n;\n").as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
}
