//! Which addresses a call may go to: https anywhere, http no further than this machine.

use std::net::IpAddr;

use reqwest::Url;

/// Hosts that hand a machine or a container in a cloud its own credentials. They speak plain HTTP, on a link that ends
/// at the host.
const LINK_LOCAL: [&str; 5] =
    ["169.254.169.254", "169.254.170.2", "169.254.170.23", "[fd00:ec2::254]", "[fd00:ec2::23]"];

/// Reads a base URL: https, or http to this machine; no user, query, fragment or dot segments.
pub fn parse_base_url(text: &str) -> Result<Url, &'static str> {
    if text.chars().any(|character| character.is_control() || character.is_whitespace()) {
        return Err("it has a space or a control character in it");
    }
    let url = Url::parse(text).map_err(|_| "it is not a URL")?;
    if url.scheme() != "https" && url.scheme() != "http" {
        return Err("it is neither https nor http");
    }
    if url.scheme() == "http" && !is_loopback(&url) {
        return Err("http goes only to this machine; use https");
    }
    if !url.username().is_empty() || url.password().is_some() || text.contains('@') {
        return Err("it has a user or a password in it");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("it has a query or a fragment");
    }
    if text.contains(['\\', '%'])
        || text.split('/').any(|part| part == "." || part == "..")
        || url.path().contains("//")
    {
        return Err("its path is not plain");
    }
    Ok(url)
}

/// Whether a URL names this machine: `localhost`, 127.0.0.0/8 or `[::1]`.
pub fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Whether a URL names one of the hosts that hand out a machine's own credentials.
pub fn is_link_local(url: &Url) -> bool {
    url.host_str().is_some_and(|host| LINK_LOCAL.contains(&host))
}

/// An address as it may be shown: what is behind its `?` may be a token.
pub fn shown_address(url: &str) -> String {
    let (address, query) = url.split_once('?').map_or((url, ""), |(address, _)| (address, "?…"));
    let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
    let (place, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match place.rsplit_once('@').filter(|_| !scheme.is_empty()) {
        Some((_, host)) => format!("{scheme}://…@{host}{path}{query}"),
        None => format!("{address}{query}"),
    }
}
