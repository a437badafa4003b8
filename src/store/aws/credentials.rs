//! Who asks, found as every AWS program finds it: variables, the profile (keys, SSO, a program), the container, the machine.

use std::fs;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::super::server::{ASKED_TOO_OFTEN, Server, file};
use super::super::{Environment, StoreError};
use super::access::{self, tagged};
use super::profile::Profile;
use super::sign::Credentials;
use crate::http::{Call, Url, parse_base_url};
use crate::secret::Secret;
use crate::system::program::{self, COMMAND_DEADLINE};

/// How long a container or a machine may take to hand out its credentials; most machines are not in a cloud at all.
const LOCAL_DEADLINE: Duration = Duration::from_secs(2);

const CONTAINER: &str = "http://169.254.170.2";
const MACHINE: &str = "http://169.254.169.254";

/// Credentials as containers, machines and programs hand them out.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HandedOut {
    access_key_id: String,
    secret_access_key: Zeroizing<String>,
    #[serde(alias = "SessionToken")]
    token: Option<Zeroizing<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SsoAnswer {
    role_credentials: SsoCredentials,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SsoCredentials {
    access_key_id: String,
    secret_access_key: Zeroizing<String>,
    session_token: Zeroizing<String>,
}

/// A login as `aws sso login` leaves it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SsoLogin {
    start_url: String,
    access_token: Zeroizing<String>,
    expires_at: String,
}

/// Looks in every place in the usual order; the first that has credentials counts.
pub(super) struct Chain<'a> {
    pub store: &'a str,
    pub environment: &'a Environment,
    pub profile: &'a Profile,
    /// Variables that a program does not get to see.
    pub private: &'a [String],
    /// Where roles are taken on.
    pub sts: &'a Url,
}

impl Chain<'_> {
    /// The credentials, or what to do where there are none.
    pub fn find(&self) -> Result<Credentials, StoreError> {
        if let Some(found) = self.variables() {
            return Ok(found);
        }
        if let Some(found) = self.of_profile()? {
            return Ok(found);
        }
        if let Some(found) = self.of_container()? {
            return Ok(found);
        }
        if let Some(found) = self.of_machine() {
            return Ok(found);
        }
        Err(self.refused(
            "there are no AWS credentials",
            "`aws configure` or `aws sso login`, or set AWS_PROFILE or AWS_ACCESS_KEY_ID and its like; for the role of an EC2 \
             machine set AWS_EC2_METADATA_DISABLED=false",
        ))
    }

    fn variables(&self) -> Option<Credentials> {
        let access_key = self.environment.text("AWS_ACCESS_KEY_ID")?;
        let secret_key = self.environment.secret("AWS_SECRET_ACCESS_KEY")?;
        Some(Credentials { access_key, secret_key, session_token: self.environment.secret("AWS_SESSION_TOKEN") })
    }

    fn of_profile(&self) -> Result<Option<Credentials>, StoreError> {
        let get = |key| self.profile.get(key);
        // "Assume role" before "Assume role with web identity", as the AWS CLI has them ("Configuration and credentials precedence",
        // docs.aws.amazon.com/cli/latest/userguide/cli-chap-configure.html, read 2026-11-23). Its own program gives the variables only
        // to a profile whose role has no other way in: one that names a token file.
        let has_role = get("role_arn").is_some();
        if has_role && get("web_identity_token_file").is_none() {
            return self.of_role().map(Some);
        }
        if let Some(token) = self.environment.text("AWS_WEB_IDENTITY_TOKEN_FILE") {
            return self.of_web_identity(Path::new(&token)).map(Some);
        }
        if has_role {
            return self.of_role().map(Some);
        }
        if let (Some(access_key), Some(secret_key)) = (get("aws_access_key_id"), get("aws_secret_access_key")) {
            let session_token = get("aws_session_token").map(Secret::new);
            return Ok(Some(Credentials {
                access_key: access_key.to_owned(),
                secret_key: Secret::new(secret_key),
                session_token,
            }));
        }
        if let (Some(account), Some(role)) = (get("sso_account_id"), get("sso_role_name")) {
            return self.of_sso(account, role).map(Some);
        }
        let Some(line) = get("credential_process") else { return Ok(None) };
        let unusable =
            || self.refused("its profile's `credential_process` cannot be read", "quote it as a shell would");
        let program = shlex::split(line).filter(|words| !words.is_empty()).ok_or_else(unusable)?;
        self.of_program(&program, "the profile's `credential_process` fails").map(Some)
    }

    /// Taking on a role with another one's keys is a protocol of its own, which the vendor's program has.
    fn of_role(&self) -> Result<Credentials, StoreError> {
        let words = ["aws", "configure", "export-credentials", "--format", "process", "--profile"];
        let named = words.into_iter().chain([self.profile.name.as_str()]);
        let count = if self.profile.is_chosen { usize::MAX } else { words.len() - 1 };
        let program: Vec<String> = named.take(count).map(str::to_owned).collect();
        self.of_program(&program, "`aws configure export-credentials`, which takes on the role, fails")
    }

    fn of_program(&self, program: &[String], why: &str) -> Result<Credentials, StoreError> {
        let printed = program::output(program, COMMAND_DEADLINE, self.private);
        let printed = printed.map_err(|error| self.refused(why, &format!("{error}; run it by hand to see")))?;
        handed_out(&printed).ok_or_else(|| self.refused(why, "it prints no credentials; run it by hand to see"))
    }

    /// The role of a pod, or of a job of CI, by the token that its platform gives it: a call that nobody signs.
    fn of_web_identity(&self, token: &Path) -> Result<Credentials, StoreError> {
        let role = self.environment.text("AWS_ROLE_ARN").ok_or_else(|| {
            self.refused("AWS_WEB_IDENTITY_TOKEN_FILE is set and AWS_ROLE_ARN is not", "name the role in AWS_ROLE_ARN")
        })?;
        let text = file(self.store, token)?.ok_or_else(|| {
            self.refused("the file of AWS_WEB_IDENTITY_TOKEN_FILE is missing", "does the job ask for a token?")
        })?;
        let session = self.environment.text("AWS_ROLE_SESSION_NAME").unwrap_or_else(|| "whsec".to_owned());
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", "AssumeRoleWithWebIdentity").append_pair("Version", "2011-06-15");
        form.append_pair("RoleArn", &role).append_pair("RoleSessionName", &session);
        form.append_pair("WebIdentityToken", text.trim());
        let body = Some(Zeroizing::new(form.finish().into_bytes()));
        let headers = vec![("content-type".to_owned(), "application/x-www-form-urlencoded; charset=utf-8".to_owned())];
        let ca = access::ca(self.store, self.environment)?;
        let server = Server::new(self.store, format!("AWS STS at {}", self.sts.host_str().unwrap_or_default()), ca);
        let received = server.call(Call { method: "POST", url: self.sts.clone(), headers, body })?;
        let answer = Zeroizing::new(String::from_utf8_lossy(&received.body).into_owned());
        match (received.status, tagged(&answer, "Code")) {
            (200, _) => {}
            (_, Some("ExpiredTokenException")) => {
                return Err(self.refused(
                    "the web identity's token has expired",
                    "its platform writes it anew; is it mounted still?",
                ));
            }
            (400, Some(code @ ("Throttling" | "ThrottlingException" | "IDPCommunicationError"))) => {
                return Err(server.busy(code.to_owned(), ASKED_TOO_OFTEN));
            }
            (400 | 403, _) => {
                let hint = "see the role's trust policy: issuer, audience and subject of the token";
                return Err(self.refused(&format!("the web identity's token may not take on `{role}`"), hint));
            }
            (status, _) => return Err(server.unexpected(status)),
        }
        let named = |tag| tagged(&answer, tag).ok_or_else(|| server.unexpected(200));
        Ok(Credentials {
            access_key: named("AccessKeyId")?.to_owned(),
            secret_key: Secret::new(named("SecretAccessKey")?),
            session_token: Some(Secret::new(named("SessionToken")?)),
        })
    }

    fn of_sso(&self, account: &str, role: &str) -> Result<Credentials, StoreError> {
        let login = format!("aws sso login --profile {}", self.profile.name);
        let over =
            || self.refused("the SSO login has ended, or there is none", &format!("`{login}`, then run it again"));
        let region = self
            .profile
            .get("sso_region")
            .ok_or_else(|| self.refused("the profile's `sso_region` is missing", "`aws configure sso` writes it"))?;
        let start = self.profile.get("sso_start_url").unwrap_or_default();
        let token = self.sso_token(start).ok_or_else(over)?;
        let usual = format!("https://portal.sso.{region}.amazonaws.com");
        let mut url = self.address(&self.environment.text("AWS_ENDPOINT_URL_SSO").unwrap_or(usual))?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["federation", "credentials"]);
        }
        url.query_pairs_mut().append_pair("account_id", account).append_pair("role_name", role);
        let headers = vec![("x-amz-sso_bearer_token".to_owned(), token.expose().to_owned())];
        let server = Server::new(self.store, "AWS SSO".to_owned(), None);
        let received = server.call(Call { method: "GET", url, headers, body: None })?;
        match received.status {
            200 => {}
            401 => return Err(over()),
            403 | 404 => {
                return Err(self.refused(
                    &format!("the SSO login may not take on `{role}` in account {account}"),
                    "check `sso_account_id` and `sso_role_name` of the profile",
                ));
            }
            status => return Err(server.unexpected(status)),
        }
        let answer: SsoAnswer = serde_json::from_slice(&received.body).map_err(|_| server.unexpected(200))?;
        let found = answer.role_credentials;
        Ok(Credentials {
            access_key: found.access_key_id,
            secret_key: Secret::new(found.secret_access_key.as_str()),
            session_token: Some(Secret::new(found.session_token.as_str())),
        })
    }

    /// The token of the login at this address that still holds. The files' names are digests, so all are looked at.
    fn sso_token(&self, start: &str) -> Option<Secret> {
        let folder = self.environment.home.as_ref()?.join(".aws/sso/cache");
        let now = (self.environment.now)();
        for entry in fs::read_dir(folder).ok()?.flatten() {
            let Ok(Some(text)) = file(self.store, &entry.path()) else { continue };
            let Ok(login) = serde_json::from_str::<SsoLogin>(&text) else { continue };
            let ends = login.expires_at.replace("UTC", "Z").parse::<Timestamp>();
            let same = login.start_url.trim_end_matches(['/', '#']) == start.trim_end_matches(['/', '#']);
            if same && ends.is_ok_and(|ends| ends > now) {
                return Some(Secret::new(login.access_token.as_str()));
            }
        }
        None
    }

    fn of_container(&self) -> Result<Option<Credentials>, StoreError> {
        let url = match self.environment.text("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
            Some(path) => format!("{CONTAINER}{path}"),
            None => match self.environment.text("AWS_CONTAINER_CREDENTIALS_FULL_URI") {
                Some(url) => url,
                None => return Ok(None),
            },
        };
        let bad = || {
            self.refused(
                "the container's credentials cannot be asked for at that address",
                "check AWS_CONTAINER_CREDENTIALS_FULL_URI",
            )
        };
        let url = Url::parse(&url).map_err(|_| bad())?;
        let from_file = |path: String| file(self.store, Path::new(&path));
        let token = match self.environment.text("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").map(from_file) {
            Some(read) => read?.map(|text| Secret::new(text.trim())),
            None => self.environment.secret("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
        };
        let headers = token.map(|token| ("authorization".to_owned(), token.expose().to_owned())).into_iter().collect();
        let server = Server::within(self.store, "the container's credentials".to_owned(), LOCAL_DEADLINE);
        let received = server.call(Call { method: "GET", url, headers, body: None })?;
        if received.status != 200 {
            return Err(server.unexpected(received.status));
        }
        handed_out(&received.body).map(Some).ok_or_else(bad)
    }

    /// Whether somebody says that this is a machine in EC2. Its metadata comes by plain HTTP from an address that anybody can
    /// have elsewhere, as in a café's network, and whoever answers there decides into whose account a secret goes.
    pub(super) fn asks_machine(&self) -> bool {
        let switch = self.environment.text("AWS_EC2_METADATA_DISABLED").map(|text| text.to_ascii_lowercase());
        match switch.as_deref() {
            Some("true") => false,
            Some("false") => true,
            _ => {
                self.environment.text("AWS_EC2_METADATA_SERVICE_ENDPOINT").is_some()
                    || self.profile.get("credential_source") == Some("Ec2InstanceMetadata")
            }
        }
    }

    /// What the machine's own role is, if it has one. Nobody there is no failure.
    fn of_machine(&self) -> Option<Credentials> {
        if !self.asks_machine() {
            return None;
        }
        let base = self.environment.text("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or_else(|| MACHINE.to_owned());
        let server = Server::within(self.store, "the machine's credentials".to_owned(), LOCAL_DEADLINE);
        let ask = |method: &str, path: &str, header: (&str, &str)| {
            let url = Url::parse(&format!("{}/latest/{path}", base.trim_end_matches('/'))).ok()?;
            let headers = vec![(header.0.to_owned(), header.1.to_owned())];
            let received = server.call(Call { method, url, headers, body: None }).ok()?;
            (received.status == 200).then_some(received.body)
        };
        let token = ask("PUT", "api/token", ("x-aws-ec2-metadata-token-ttl-seconds", "60"))?;
        let held = ("x-aws-ec2-metadata-token", std::str::from_utf8(&token).ok()?);
        let roles = ask("GET", "meta-data/iam/security-credentials/", held)?;
        let role = std::str::from_utf8(&roles).ok()?.lines().next()?;
        let answer = ask("GET", &format!("meta-data/iam/security-credentials/{role}"), held)?;
        handed_out(&answer)
    }

    fn address(&self, text: &str) -> Result<Url, StoreError> {
        parse_base_url(text).map_err(|why| {
            self.refused(&format!("an endpoint of AWS cannot be used: {why}"), "check AWS_ENDPOINT_URL and its like")
        })
    }

    fn refused(&self, why: &str, hint: &str) -> StoreError {
        StoreError::Refused { store: self.store.to_owned(), why: why.to_owned(), hint: hint.into() }
    }
}

fn handed_out(text: &[u8]) -> Option<Credentials> {
    let found: HandedOut = serde_json::from_slice(text).ok()?;
    Some(Credentials {
        access_key: found.access_key_id,
        secret_key: Secret::new(found.secret_access_key.as_str()),
        session_token: found.token.map(|token| Secret::new(token.as_str())),
    })
}
