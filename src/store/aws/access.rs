//! Where AWS is and who asks there, for the store and for others that speak to AWS.

use super::super::server::file;
use super::super::{Environment, StoreError, Surroundings};
use super::credentials::Chain;
use super::profile::Profile;
use crate::http::{Url, parse_base_url};
use crate::secret::Secret;

/// What it takes to ask a service of AWS, or one that speaks like it.
pub struct AwsAccess {
    pub region: String,
    /// The address, where it is not AWS's usual one.
    pub endpoint: Option<String>,
    pub access_key: String,
    pub secret_key: Secret,
    pub session_token: Option<Secret>,
    /// A CA bundle beside the system's own, as PEM.
    pub ca: Option<Vec<u8>>,
}

/// What it takes to ask S3: from the variables, profiles and machines that every AWS program looks at. `place` is how messages name
/// what is asked; a region and an address that are given count before those of the environment.
pub fn aws_access(
    place: &str,
    region: Option<&str>,
    endpoint: Option<&str>,
    surroundings: &Surroundings,
) -> Result<AwsAccess, StoreError> {
    let Surroundings { environment, private, .. } = surroundings;
    let profile = Profile::find(place, environment)?;
    let endpoint = endpoint.map(str::to_owned).or_else(|| elsewhere(environment, "S3"));
    let region = match region.map(str::to_owned).or_else(|| region_of(environment, &profile)) {
        Some(region) => region,
        // Other makers' stores have one, and call it so where they look at it at all.
        None if endpoint.is_some() => "us-east-1".to_owned(),
        None => return Err(no_region(place)),
    };
    if let Some(endpoint) = &endpoint {
        base(place, "AWS_ENDPOINT_URL", endpoint)?;
    }
    let usual = || region.starts_with("cn-").then(|| format!("https://s3.{region}.{}", domain(&region)));
    let endpoint = endpoint.map(|url| url.trim_end_matches('/').to_owned()).or_else(usual);
    let sts = sts(place, environment, &region)?;
    let found = Chain { store: place, environment, profile: &profile, private, sts: &sts }.find()?;
    let ca = ca(place, environment)?;
    Ok(AwsAccess {
        region,
        endpoint,
        access_key: found.access_key,
        secret_key: found.secret_key,
        session_token: found.session_token,
        ca,
    })
}

/// The region that is named, if it can be one.
pub(super) fn region_of(environment: &Environment, profile: &Profile) -> Option<String> {
    let named = environment.text("AWS_REGION").or_else(|| environment.text("AWS_DEFAULT_REGION"));
    named.or_else(|| profile.get("region").map(str::to_owned)).filter(|text| is_region(text))
}

pub(super) fn is_region(text: &str) -> bool {
    text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-')
}

pub(super) fn no_region(store: &str) -> StoreError {
    refused(store, "no AWS region is named", "set AWS_REGION, or `region` in the profile")
}

/// Another address of a service than AWS's own.
pub(super) fn elsewhere(environment: &Environment, service: &str) -> Option<String> {
    environment.text(&format!("AWS_ENDPOINT_URL_{service}")).or_else(|| environment.text("AWS_ENDPOINT_URL"))
}

/// Where AWS's names end in a region.
pub(super) fn domain(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}

/// Where AWS tells who asks, and lets take on roles.
pub(super) fn sts(store: &str, environment: &Environment, region: &str) -> Result<Url, StoreError> {
    let usual = || format!("https://sts.{region}.{}/", domain(region));
    base(store, "AWS_ENDPOINT_URL_STS", &elsewhere(environment, "STS").unwrap_or_else(usual))
}

/// An address that may be called.
pub(super) fn base(store: &str, variable: &str, text: &str) -> Result<Url, StoreError> {
    parse_base_url(text)
        .map_err(|why| refused(store, &format!("{variable} cannot be used: {why}"), "leave it out for AWS itself"))
}

/// A certificate authority beside the system's own.
pub(super) fn ca(store: &str, environment: &Environment) -> Result<Option<Vec<u8>>, StoreError> {
    match environment.text("AWS_CA_BUNDLE") {
        None => Ok(None),
        Some(path) => Ok(file(store, path.as_ref())?.map(|text| text.as_bytes().to_vec())),
    }
}

/// What stands between two tags of an answer in XML.
pub(super) fn tagged<'a>(text: &'a str, tag: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{tag}>"))?;
    let (inside, _) = rest.split_once(&format!("</{tag}>"))?;
    Some(inside.trim()).filter(|inside| !inside.is_empty())
}

fn refused(store: &str, why: &str, hint: &str) -> StoreError {
    StoreError::Refused { store: store.to_owned(), why: why.to_owned(), hint: hint.into() }
}
