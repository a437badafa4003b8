//! The ways out: clients for a target's provider and its receivers, with the certificates that the config names.

use std::path::Path;
use std::time::Duration;

use super::context::Context;
use super::error::{Error, Kind, Stop};
use crate::config::Target;
use crate::delivery::probe::PATIENCE;
use crate::http;
use crate::provider::client::{Client, ClientOptions};
use crate::system::owned::{self, NotOwned};

/// How long a call to a provider may take unless somebody says otherwise.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest file of CA certificates that is read, in bytes.
const LONGEST_CA: u64 = 1 << 20;

impl Context {
    /// The client that talks to the target's provider, with the target's CA certificates.
    pub fn client(&self, target: &Target) -> Result<Client, Error> {
        let client = self.client_with(target, CALL_TIMEOUT)?;
        Ok(match &self.world.paces {
            Some(paces) => client.paced(paces, &target.endpoint),
            None => client,
        })
    }

    /// The same for the target's receivers.
    pub fn prober_client(&self, target: &Target) -> Result<Client, Error> {
        self.client_with(target, PATIENCE)
    }

    /// How long a call to a provider may take.
    pub fn longest_call(&self) -> Duration {
        self.world.timeout.unwrap_or(CALL_TIMEOUT)
    }

    fn client_with(&self, target: &Target, usual: Duration) -> Result<Client, Error> {
        let ca = target.ca.as_deref().map(read_ca).transpose()?;
        if ca.is_none() && http::distrusts_environment() && !http::is_loopback(&target.endpoint.base_url) {
            let hint = "name the authority in your own config, `ca = \"FILE\"`, or unset one of them";
            return Err(Stop::new(Kind::Usage, format!("the API key is not sent: {}", http::SHOWN), hint));
        }
        let options = ClientOptions { timeout: self.world.timeout.unwrap_or(usual), ca };
        Ok(match &self.world.paces {
            Some(paces) => Client::beside(&options, paces)?,
            None => Client::new(&options)?,
        })
    }
}

fn read_ca(path: &Path) -> Result<Vec<u8>, Error> {
    let read = owned::read(path, LONGEST_CA)
        .and_then(|read| read.ok_or_else(|| NotOwned::Unreadable(std::io::ErrorKind::NotFound.into())));
    read.map_err(|error| {
        error.map(
            path,
            |path, source| {
                let message = format!("cannot read the CA file `{}`: {source}", path.display());
                Stop::new(Kind::Usage, message, "`ca` names a file of PEM certificates")
            },
            |path, why, fix| Stop::new(Kind::Usage, format!("`{}` is not used: {why}", path.display()), fix),
        )
    })
}
