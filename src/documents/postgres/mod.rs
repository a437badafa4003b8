//! Documents in a PostgreSQL table. One statement each, unnamed and without a session's state, so that a pooler may be in between;
//! every wait has an end.

use std::cell::RefCell;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_platform_verifier::Verifier;
use sha2::{Digest, Sha256};
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, NoTls, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use server::Host;
pub use server::{Server, ServerLogin};

use super::{Document, DocumentsError, Tag};
use crate::system::text::hex;

mod server;

/// How long a connection, and an answer, may take.
const CONNECT: Duration = Duration::from_secs(10);
/// The same to one of its addresses.
const CONNECT_ONE: Duration = Duration::from_secs(4);
const ANSWER: Duration = Duration::from_secs(10);

/// What PostgreSQL wants of whoever keeps a journal there.
const NEEDS: &str = "it needs SELECT, INSERT, UPDATE and DELETE on whsec.docs; the password is looked for in PGPASSWORD, then in \
                     PGPASSFILE or ~/.pgpass";

const TABLE: &str = r#"
    CREATE SCHEMA IF NOT EXISTS whsec;
    CREATE TABLE IF NOT EXISTS whsec.docs (
        key         text COLLATE "C" PRIMARY KEY CHECK (length(key) <= 512),
        rev         bigint NOT NULL,
        body        bytea NOT NULL,
        written_at  timestamptz NOT NULL DEFAULT clock_timestamp()
    );"#;
const AGE: &str = "(extract(epoch FROM clock_timestamp() - written_at) * 1000)::bigint";
/// A prefix as it is; the collation lets an index find it.
const BEGINS: &str = "starts_with(key, $1)";

/// A connection that is made when it is first needed, and anew where it broke.
pub struct Postgres {
    at: String,
    config: Config,
    tls: Option<MakeRustlsConnect>,
    runtime: Runtime,
    client: RefCell<Option<Client>>,
}

/// A value and its type.
type Value<'a> = (&'a (dyn ToSql + Sync), Type);

impl Postgres {
    pub fn new(at: String, server: &Server, login: ServerLogin) -> Result<Self, DocumentsError> {
        let unfit = |why: &str| DocumentsError::Unfit { at: at.clone(), why: why.to_owned() };
        let mut config = Config::new();
        config.user(&login.user).dbname(&server.database).port(server.port).application_name("whsec");
        config.connect_timeout(CONNECT_ONE).keepalives_idle(Duration::from_secs(30));
        match &server.host {
            Host::Name(host) => config.host(host),
            Host::Socket(folder) => config.host_path(folder),
        };
        if let Some(password) = &login.password {
            config.password(password.expose());
        }
        config.ssl_mode(match server.is_encrypted {
            true => tokio_postgres::config::SslMode::Require,
            false => tokio_postgres::config::SslMode::Disable,
        });
        let tls = server.is_encrypted.then(|| encryption(&login).map_err(unfit)).transpose()?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| unfit(&format!("no connection can be set up here: {error}")))?;
        Ok(Self { at, config, tls, runtime, client: RefCell::new(None) })
    }

    pub fn prepare(&self) -> Result<(), DocumentsError> {
        let found = self.query("SELECT to_regclass('whsec.docs') IS NOT NULL", &[])?;
        if found.first().is_some_and(|row| row.get(0)) {
            return Ok(());
        }
        self.with(async |client| client.batch_execute(TABLE).await)
    }

    pub fn doubts(&self) -> Result<Vec<String>, DocumentsError> {
        let standby =
            "SELECT EXISTS (SELECT 1 FROM pg_stat_replication) AND current_setting('synchronous_standby_names') = ''";
        let mut doubts = Vec::new();
        if self.query(standby, &[])?.first().is_some_and(|row| row.get(0)) {
            doubts.push(
                "it has standbys and none of them is synchronous: a failover may forget a call that was sent \
                 (synchronous_standby_names)"
                    .to_owned(),
            );
        }
        Ok(doubts)
    }

    pub fn read(&self, name: &str) -> Result<Option<Document>, DocumentsError> {
        let rows =
            self.query(&format!("SELECT body, rev, {AGE} FROM whsec.docs WHERE key = $1"), &[(&name, Type::TEXT)])?;
        rows.first().map(|row| self.document(row, 0)).transpose()
    }

    pub fn read_all(&self, prefix: &str) -> Result<Vec<(String, Document)>, DocumentsError> {
        let sql = format!("SELECT key, body, rev, {AGE} FROM whsec.docs WHERE {BEGINS} ORDER BY key");
        let rows = self.query(&sql, &[(&prefix, Type::TEXT)])?;
        rows.iter().map(|row| Ok((self.get(row, 0)?, self.document(row, 1)?))).collect()
    }

    pub fn list(&self, prefix: &str) -> Result<Vec<(String, Tag)>, DocumentsError> {
        let sql = format!("SELECT key, rev, encode(sha256(body), 'hex') FROM whsec.docs WHERE {BEGINS} ORDER BY key");
        let rows = self.query(&sql, &[(&prefix, Type::TEXT)])?;
        rows.iter().map(|row| Ok((self.get(row, 0)?, tag(self.get(row, 1)?, self.get(row, 2)?)))).collect()
    }

    pub fn write_if(&self, name: &str, body: &[u8], before: Option<&Tag>) -> Result<Option<Tag>, DocumentsError> {
        let written = body;
        let (name, body): (Value<'_>, Value<'_>) = ((&name, Type::TEXT), (&body, Type::BYTEA));
        let rows = match before {
            None => {
                let insert =
                    "INSERT INTO whsec.docs (key, rev, body) VALUES ($1, 1, $2) ON CONFLICT DO NOTHING RETURNING rev";
                self.query(insert, &[name, body])?
            }
            Some(Tag(rev)) => {
                // One that is none is nobody's, and no document has it.
                let (rev, sum) = rev.split_once('-').unwrap_or(("-1", ""));
                let rev: i64 = rev.parse().unwrap_or(-1);
                // A server that was put back to an earlier state counts anew, and no two bodies are the same.
                let update = "UPDATE whsec.docs SET body = $2, rev = rev + 1, written_at = clock_timestamp() \
                              WHERE key = $1 AND rev = $3 AND encode(sha256(body), 'hex') = $4 RETURNING rev";
                self.query(update, &[name, body, (&rev, Type::INT8), (&sum, Type::TEXT)])?
            }
        };
        rows.first().map(|row| Ok(tag(self.get(row, 0)?, &sum(written)))).transpose()
    }

    pub fn delete(&self, name: &str) -> Result<(), DocumentsError> {
        self.query("DELETE FROM whsec.docs WHERE key = $1", &[(&name, Type::TEXT)]).map(drop)
    }

    #[cfg(test)]
    pub fn ask(&self, sql: &str) -> Result<(), DocumentsError> {
        self.query(sql, &[]).map(drop)
    }

    fn document(&self, row: &Row, at: usize) -> Result<Document, DocumentsError> {
        let age: i64 = self.get(row, at + 2)?;
        let body: Vec<u8> = self.get(row, at)?;
        Ok(Document {
            tag: tag(self.get(row, at + 1)?, &sum(&body)),
            body,
            age: Duration::from_millis(u64::try_from(age).unwrap_or_default()),
        })
    }

    fn get<'a, T: tokio_postgres::types::FromSql<'a>>(&self, row: &'a Row, at: usize) -> Result<T, DocumentsError> {
        row.try_get(at).map_err(|error| self.judge(&error))
    }

    fn query(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>, DocumentsError> {
        self.with(async |client| client.query_typed(sql, values).await)
    }

    /// Does something with the connection. One that failed is not used again.
    fn with<T>(&self, act: impl AsyncFnOnce(&Client) -> Result<T, tokio_postgres::Error>) -> Result<T, DocumentsError> {
        let mut held = self.client.borrow_mut();
        let usable = held.take().filter(|client| !client.is_closed());
        let client = match usable {
            Some(client) => client,
            None => self.connect()?,
        };
        let done = self.in_time(ANSWER, act(&client))?.map_err(|error| self.judge(&error));
        if !matches!(done, Err(DocumentsError::Unreachable { .. })) {
            *held = Some(client);
        }
        done
    }

    fn connect(&self) -> Result<Client, DocumentsError> {
        let made = match &self.tls {
            Some(tls) => self.in_time(CONNECT, async {
                let (client, connection) = self.config.connect(tls.clone()).await?;
                tokio::spawn(connection);
                Ok(client)
            }),
            None => self.in_time(CONNECT, async {
                let (client, connection) = self.config.connect(NoTls).await?;
                tokio::spawn(connection);
                Ok(client)
            }),
        };
        let client = made?.map_err(|error: tokio_postgres::Error| self.judge(&error))?;
        let settings = "SELECT current_setting('synchronous_commit'), pg_is_in_recovery(), current_setting('transaction_read_only')";
        let found = self.in_time(ANSWER, client.query_typed(settings, &[]))?.map_err(|error| self.judge(&error))?;
        let unfit = |why: &str| Err(DocumentsError::Unfit { at: self.at.clone(), why: why.to_owned() });
        match found.first() {
            Some(row) if self.get::<&str>(row, 0)? == "off" => {
                unfit("`synchronous_commit` is off, so a crash may forget a call that was sent")
            }
            Some(row) if self.get(row, 1)? => unfit("it is a standby, which takes no writes and may lag behind"),
            Some(row) if self.get::<&str>(row, 2)? == "on" => unfit("it is read-only"),
            _ => Ok(client),
        }
    }

    fn in_time<T>(&self, limit: Duration, act: impl Future<Output = T>) -> Result<T, DocumentsError> {
        let done = self.runtime.block_on(async { tokio::time::timeout(limit, act).await });
        done.map_err(|_| self.unreachable(format!("no answer within {} s", limit.as_secs())))
    }

    fn unreachable(&self, why: String) -> DocumentsError {
        DocumentsError::Unreachable { at: self.at.clone(), why }
    }

    /// What an error of the server or of the way there means. Its words hold no values.
    fn judge(&self, error: &tokio_postgres::Error) -> DocumentsError {
        let at = self.at.clone();
        let Some(said) = error.as_db_error() else { return self.unreachable(cause(error)) };
        let why = said.message().to_owned();
        match said.code() {
            code if *code == SqlState::UNDEFINED_TABLE || *code == SqlState::INVALID_SCHEMA_NAME => {
                DocumentsError::Missing { at }
            }
            code if *code == SqlState::INVALID_CATALOG_NAME => DocumentsError::Refused { at, why, hint: NEEDS },
            // What was the primary is none any more: the next connection may lead to the one that is.
            code if *code == SqlState::READ_ONLY_SQL_TRANSACTION => self.unreachable(why),
            // Who it is (28), what is allowed (42501).
            code if code.code().starts_with("28") || *code == SqlState::INSUFFICIENT_PRIVILEGE => {
                DocumentsError::Refused { at, why, hint: NEEDS }
            }
            // The connection (08), too many of them (53), an operator's hand (57), deadlocks (40), a database that is closed now (55).
            code if ["08", "53", "55", "57", "40"].iter().any(|class| code.code().starts_with(class)) => {
                self.unreachable(why)
            }
            _ => DocumentsError::Unfit { at, why },
        }
    }
}

fn tag(rev: i64, sum: &str) -> Tag {
    Tag(format!("{rev}-{sum}"))
}

fn sum(body: &[u8]) -> String {
    hex(&Sha256::digest(body))
}

/// The innermost reason, in words.
fn cause(error: &tokio_postgres::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

fn encryption(login: &ServerLogin) -> Result<MakeRustlsConnect, &'static str> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let extra = match &login.authorities {
        None => Vec::new(),
        Some(pem) => {
            let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
            found.ok().filter(|found| !found.is_empty()).ok_or("its CA file is not PEM with a certificate in it")?
        }
    };
    const NO_TLS: &str = "TLS cannot be set up on this machine";
    let verifier = Verifier::new_with_extra_roots(extra, Arc::clone(&provider)).map_err(|_| NO_TLS)?;
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(|_| NO_TLS)?;
    let config = config.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}
