//! Where an object store is, and who is let in.

use super::super::location::BadLocation;
use crate::http::{Url, parse_base_url};
use crate::secret::Secret;

/// Longest prefix, in bytes: with the longest name behind it a key is shorter than S3 allows.
const LONGEST_PREFIX: usize = 512;

/// A bucket of S3 or of a store that speaks like it: `s3://BUCKET[/PREFIX][?region=REGION][&endpoint=URL]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    pub name: String,
    /// What all names begin with; empty for none. No slash at either end.
    pub prefix: String,
    pub region: Option<String>,
    /// The address of a store that is not AWS's own.
    pub endpoint: Option<String>,
}

/// What it takes to be let in.
#[derive(Clone, Debug)]
pub struct Access {
    pub region: String,
    /// The address, where it is not AWS's own.
    pub endpoint: Option<String>,
    pub access_key: String,
    pub secret_key: Secret,
    pub session_token: Option<Secret>,
    /// A CA bundle that is trusted beside the system's own, as PEM.
    pub ca: Option<Vec<u8>>,
}

impl Bucket {
    /// From an address as it is typed.
    pub fn of(url: &Url) -> Result<Self, BadLocation> {
        let bad = |why: &str| Err(BadLocation::new(why));
        let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if url.password().is_some() || !url.username().is_empty() {
            return bad("holds a user or a password; AWS_PROFILE and AWS_ACCESS_KEY_ID and its like say who asks");
        }
        let name = url.host_str().unwrap_or_default().to_owned();
        if name.len() < 3 || !is_plain(&name) || url.port().is_some() {
            return bad("has to name a bucket: `s3://BUCKET/PREFIX`");
        }
        let prefix = url.path().trim_matches('/').to_owned();
        let is_name = |part: &str| !part.is_empty() && is_plain(part) && part.bytes().any(|byte| byte != b'.');
        if prefix.len() > LONGEST_PREFIX || !(prefix.is_empty() || prefix.split('/').all(is_name)) {
            return bad("has a prefix of other letters than a-z, A-Z, 0-9, `-`, `_`, `.` and `/`");
        }
        let (mut region, mut endpoint) = (None, None);
        for (option, value) in url.query_pairs() {
            match &*option {
                "region" if !value.is_empty() && is_plain(&value) => region = Some(value.into_owned()),
                "region" => return bad("has a `region` that is none"),
                "endpoint" => {
                    let why = |why| BadLocation::new(format!("has an `endpoint` that cannot be used: {why}"));
                    endpoint = Some(parse_base_url(&value).map_err(why)?.as_str().trim_end_matches('/').to_owned());
                }
                _ => return Err(BadLocation::new(format!("has an option `{option}` that is not known here"))),
            }
        }
        Ok(Self { name, prefix, region, endpoint })
    }
}
