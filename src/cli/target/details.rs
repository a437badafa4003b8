//! The flags that say what a target is like, for whoever writes one.

use clap::ValueHint;

use super::super::options::pair;
use crate::provider::spec::Cutover;

/// What is said of a target beside its name and its provider.
#[derive(Debug, clap::Args)]
pub struct Details {
    /// Give one of the endpoint's ids by its name
    #[arg(long = "id", value_name = "NAME=VALUE", value_parser = pair, value_hint = ValueHint::Other)]
    pub ids: Vec<(String, String)>,
    /// Call the provider at this address
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub base_url: Option<String>,
    /// Send the API key in this one of the provider's ways
    #[arg(long, value_name = "NAME")]
    pub auth: Option<String>,
    /// Keep the secret here
    #[arg(long = "store", value_name = "REF", value_hint = ValueHint::Other)]
    pub stores: Vec<String>,
    /// Look for deliveries at this receiver
    #[arg(long = "receiver", value_name = "URL", value_hint = ValueHint::Url)]
    pub receivers: Vec<String>,
    /// Take the API key from `keychain:SERVICE[/ACCOUNT]`, `env:NAME`, `file:PATH` or a store such as `vault:…`
    #[arg(long, value_name = "REF", value_hint = ValueHint::Other)]
    pub api_key_from: Option<String>,
    /// Choose how receivers take the new secret: `either` or `switch`
    #[arg(long, value_name = "HOW", value_parser = parse_cutover)]
    pub cutover: Option<Cutover>,
    /// Say who looks after the receivers
    #[arg(long, value_name = "TEXT")]
    pub owner: Option<String>,
    /// Put a label on it, by which targets are selected
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = pair, value_hint = ValueHint::Other)]
    pub labels: Vec<(String, String)>,
    /// Say how old the secret may become
    #[arg(long, value_name = "DURATION")]
    pub max_age: Option<String>,
}

fn parse_cutover(text: &str) -> Result<Cutover, String> {
    match text {
        "either" => Ok(Cutover::Either),
        "switch" => Ok(Cutover::Switch),
        _ => Err("it is `either` (receivers accept both secrets for a while) or `switch` (they keep one)".to_owned()),
    }
}
