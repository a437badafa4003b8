//! Flags that describe the endpoint at hand, shared by every command that takes a TARGET.

use std::path::PathBuf;

use clap::ValueHint;

use crate::config::Overrides;
use crate::operation::Asked;

/// What the command line says about a target, in place of the config files.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Target options")]
pub struct TargetOptions {
    /// Keep the secret here in place of the target's stores
    ///
    /// Repeat it for several stores. A reference is `keychain:SERVICE[/ACCOUNT]`, `dotenv:PATH#KEY`,
    /// `json:PATH#/pointer`, `file:PATH`, `age:PATH`, `vault:MOUNT/PATH#FIELD`, `aws-sm:NAME[#key]`,
    /// `k8s:NAMESPACE/NAME#key`, `command:NAME` or `stdout:`; whsec-config(5) has them.
    #[arg(long = "store", value_name = "REF", value_hint = ValueHint::Other)]
    pub stores: Vec<String>,
    /// Give one of the endpoint's ids by its name
    #[arg(long = "id", value_name = "NAME=VALUE", value_parser = pair, value_hint = ValueHint::Other)]
    pub ids: Vec<(String, String)>,
    /// Call the provider at this address
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub base_url: Option<String>,
    /// Read the API key from this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub api_key_file: Option<PathBuf>,
    /// Look for deliveries at this receiver in place of the target's
    #[arg(long = "receiver", value_name = "URL", value_hint = ValueHint::Url)]
    pub receivers: Vec<String>,
}

impl TargetOptions {
    /// Those that only one target can have, each with whether it is given.
    pub fn of_one(&self) -> [(&'static str, bool); 4] {
        [
            ("--store", !self.stores.is_empty()),
            ("--id", !self.ids.is_empty()),
            ("--base-url", self.base_url.is_some()),
            ("--receiver", !self.receivers.is_empty()),
        ]
    }

    /// The flags as operations take them; the folder is left to the context.
    pub fn asked(&self) -> Asked {
        Asked { overrides: self.overrides(), api_key_file: self.api_key_file.clone() }
    }

    /// The flags as the config takes them; the folder is left to the session.
    pub fn overrides(&self) -> Overrides {
        Overrides {
            stores: self.stores.clone(),
            ids: self.ids.clone(),
            base_url: self.base_url.clone(),
            receivers: self.receivers.clone(),
            folder: PathBuf::new(),
        }
    }
}

/// Reads `NAME=VALUE`; the value may hold `=`.
pub fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("it is written NAME=VALUE".to_owned()),
    }
}
