//! The ways out of this machine: one set-up for the world, one for loopback, each made when it is first needed.

use std::error::Error;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::blocking::{Client, ClientBuilder};
use reqwest::{Certificate, Url, redirect, retry};

use super::address::{is_link_local, is_loopback};
use super::{LARGEST_BODY, Options};

/// What we call ourselves.
const USER_AGENT: &str = concat!("whsec/", env!("CARGO_PKG_VERSION"));

/// Longest time for a connection, TLS included.
const LONGEST_CONNECT: Duration = Duration::from_secs(10);

/// How long a connection that nobody uses stays open, where any does: shorter than servers keep them.
const IDLE: Duration = Duration::from_secs(4);

/// Whether the environment names authorities of its own and a way out through somebody else, which together would show an API
/// key to whoever set the two.
static DISTRUSTS: OnceLock<bool> = OnceLock::new();

/// Why nothing goes out then.
pub const SHOWN: &str = "SSL_CERT_FILE or SSL_CERT_DIR and a proxy variable together could show it to others";

/// Says what the environment names, once. With a certificate authority of the user's own config the rest is left out; without one
/// nothing goes further than this machine.
pub fn distrust_environment(distrusts: bool) {
    // Whoever comes second finds it set.
    let _ = DISTRUSTS.set(distrusts);
}

/// Whether that was said.
pub fn distrusts_environment() -> bool {
    DISTRUSTS.get().copied().unwrap_or(false)
}

/// Set-ups for plain loopback, loopback with TLS, and the world.
pub struct Connections {
    connect_timeout: Duration,
    /// How many stay open for the next call.
    kept: usize,
    largest: usize,
    authorities: Vec<Certificate>,
    plain: OnceLock<Client>,
    local: OnceLock<Client>,
    remote: OnceLock<Client>,
}

impl Connections {
    /// Reads the extra certificate authority, if there is one; fails with the reason where it cannot be read.
    pub fn new(options: &Options) -> Result<Self, &'static str> {
        let authorities = match &options.ca {
            None => Vec::new(),
            Some(pem) => Certificate::from_pem_bundle(pem)
                .ok()
                .filter(|found| !found.is_empty())
                .ok_or("it is not PEM with a certificate in it")?,
        };
        // Shorter than the whole, so that a host that never answers counts as not connected, not as unknown.
        let connect_timeout = LONGEST_CONNECT.min(options.timeout * 3 / 4);
        let (plain, local, remote) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Ok(Self { connect_timeout, kept: 0, largest: LARGEST_BODY, authorities, plain, local, remote })
    }

    /// The same for many calls that may each be made again, as none to a provider may: some connections stay open, and bodies may
    /// have so many bytes.
    pub fn for_many(self, kept: usize, largest: usize) -> Self {
        Self { kept, largest, ..self }
    }

    pub(super) fn largest(&self) -> usize {
        self.largest
    }

    /// The set-up for this address. Plain HTTP leads to this machine only, or to the host that it
    /// runs on.
    pub fn to(&self, url: &Url) -> Result<&Client, String> {
        let near = is_loopback(url) || (url.scheme() == "http" && is_link_local(url));
        if !near && distrusts_environment() && self.authorities.is_empty() {
            return Err(SHOWN.to_owned());
        }
        let (cell, tls) = match (url.scheme(), near) {
            ("http", true) => (&self.plain, false),
            ("https", true) => (&self.local, true),
            ("https", false) => (&self.remote, true),
            _ => return Err("http goes only to this machine; use https".to_owned()),
        };
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        let client = self.build(near, tls).map_err(|_| "TLS cannot be set up on this machine".to_owned())?;
        Ok(cell.get_or_init(|| client))
    }

    fn build(&self, near: bool, tls: bool) -> Result<Client, reqwest::Error> {
        // Another part of the program may have installed the same provider already; then this one is not needed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = ClientBuilder::new()
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .pool_max_idle_per_host(self.kept)
            .pool_idle_timeout(IDLE)
            .http1_only()
            .connect_timeout(self.connect_timeout)
            .https_only(tls);
        if near {
            let here =
                [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)].map(|ip| SocketAddr::new(ip, 0));
            builder = builder.no_proxy().resolve_to_addrs("localhost", &here);
        }
        builder = match (tls, self.authorities.is_empty()) {
            // Plain HTTP trusts nobody, and so need not read the system's certificates.
            (false, _) => builder.tls_certs_only([]),
            (true, false) if distrusts_environment() => builder.tls_certs_only(self.authorities.clone()),
            (true, false) => builder.tls_certs_merge(self.authorities.clone()),
            (true, true) => builder,
        };
        builder.build()
    }
}

/// Why no connection was made, in words that hold nothing of the request.
pub fn obstacle(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        return "no connection in time";
    }
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = cause {
        match error.downcast_ref::<rustls::Error>() {
            Some(rustls::Error::InvalidCertificate(_)) => return "the server's certificate is not trusted",
            Some(_) => return "no TLS with the server",
            None if error.to_string() == "dns error" => return "the host was not found",
            None => {}
        }
        let outer = error.downcast_ref::<io::Error>();
        if outer.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
            return "the connection was refused";
        }
        // An `io::Error` names as its source what the error within it has as a source, and so hides that one.
        cause =
            outer.and_then(io::Error::get_ref).map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source());
    }
    "no connection"
}
