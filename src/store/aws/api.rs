//! The four calls to Secrets Manager and the one that tells whose account it is, and what each refusal means. No answer's
//! text is ever repeated.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::super::server::{self, Server};
use super::super::{StoreError, Surroundings};
use super::access::{self, tagged};
use super::credentials::Chain;
use super::profile::Profile;
use super::sign::{self, Credentials, Scope};
use crate::http::{Call, Received, Url};
use crate::secret::Secret;

const SERVICE: &str = "secretsmanager";

/// Who asks, as AWS tells it to anybody who may sign a request.
const WHO: &[u8] = b"Action=GetCallerIdentity&Version=2011-06-15";

/// What the role of whoever runs whsec has to be allowed.
const NEEDS: &str = "it needs secretsmanager:DescribeSecret, GetSecretValue, PutSecretValue and UpdateSecretVersionStage there, and its key's kms:Decrypt and kms:GenerateDataKey";

/// How far a clock may be off before AWS takes no signature of it, in seconds.
const CLOCK_WORTH_A_WORD: i64 = 240;

/// One secret.
pub(super) struct Api {
    store: String,
    name: String,
    surroundings: Surroundings,
    place: OnceLock<Service>,
    access: OnceLock<(Credentials, Server)>,
    identity: OnceLock<Identity>,
}

/// Whom the credentials belong to.
struct Identity {
    account: String,
    arn: String,
}

/// Which Secrets Manager.
struct Service {
    region: String,
    url: Url,
    /// Where AWS tells who asks.
    sts: Url,
    /// Whether the environment names another address than AWS's own.
    is_elsewhere: bool,
    profile: Profile,
}

/// Why a value was not taken.
pub(super) enum Refusal {
    /// The same token came before with another value.
    TokenUsed,
    Failed(StoreError),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Description {
    #[serde(default)]
    version_ids_to_stages: BTreeMap<String, Vec<String>>,
    deleted_date: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ValueAnswer {
    secret_string: Option<Zeroizing<String>>,
}

#[derive(Deserialize)]
struct Complaint {
    #[serde(rename = "__type", default)]
    kind: String,
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

impl Api {
    /// Nothing is looked at yet.
    pub fn new(store: String, name: String, surroundings: &Surroundings) -> Self {
        let surroundings = surroundings.clone();
        Self { store, name, surroundings, place: OnceLock::new(), access: OnceLock::new(), identity: OnceLock::new() }
    }

    /// The region, the account, and who asks there: the same secret's name is another secret in another account.
    pub fn server(&self) -> Result<String, StoreError> {
        let Identity { account, arn } = self.identity()?;
        Ok(server::of_account(&self.region()?, account, arn))
    }

    fn identity(&self) -> Result<&Identity, StoreError> {
        if let Some(identity) = self.identity.get() {
            return Ok(identity);
        }
        let place = self.place()?;
        let (credentials, _) = self.access()?;
        let headers = vec![("content-type".to_owned(), "application/x-www-form-urlencoded; charset=utf-8".to_owned())];
        let scope = Scope { service: "sts", region: &place.region, now: (self.surroundings.environment.now)() };
        let headers = sign::signed(&place.sts, headers, WHO, credentials, &scope);
        let server =
            Server::new(&self.store, format!("AWS STS at {}", place.sts.host_str().unwrap_or_default()), self.ca()?);
        let body = Some(Zeroizing::new(WHO.to_vec()));
        let received = server.call(Call { method: "POST", url: place.sts.clone(), headers, body })?;
        if received.status != 200 {
            return Err(match kind(&received.body).as_str() {
                "ExpiredTokenException" | "ExpiredToken" => self.expired(),
                _ if received.status == 400 || received.status == 403 => self.not_accepted(&received),
                _ => server.unexpected(received.status),
            });
        }
        let unclear = || self.refused("AWS does not tell whose account it is", "is AWS_ENDPOINT_URL right?");
        let identity = Identity::read(&received.body).ok_or_else(unclear)?;
        Ok(self.identity.get_or_init(|| identity))
    }

    /// The region, and the address where it is not AWS's own.
    fn region(&self) -> Result<String, StoreError> {
        let place = self.place()?;
        Ok(match place.is_elsewhere {
            true => format!("{} ({})", place.url.origin().ascii_serialization(), place.region),
            false => format!("AWS {}", place.region),
        })
    }

    /// Which version each stage is on.
    pub fn stages(&self) -> Result<BTreeMap<String, String>, StoreError> {
        let received = self.call("DescribeSecret", json!({ "SecretId": self.name }))?;
        if received.status != 200 {
            return Err(self.refusal("DescribeSecret", &received)?);
        }
        let found: Description = serde_json::from_slice(&received.body).map_err(|_| self.not_understood())?;
        if found.deleted_date.is_some() {
            return Err(
                self.refused("the secret is marked for deletion", "`aws secretsmanager restore-secret` brings it back")
            );
        }
        let stages = found.version_ids_to_stages.into_iter();
        Ok(stages.flat_map(|(id, stages)| stages.into_iter().map(move |stage| (stage, id.clone()))).collect())
    }

    /// The text of one version.
    pub fn value(&self, version: &str) -> Result<Secret, StoreError> {
        let received = self.call("GetSecretValue", json!({ "SecretId": self.name, "VersionId": version }))?;
        if received.status != 200 {
            return Err(self.refusal("GetSecretValue", &received)?);
        }
        let found: ValueAnswer = serde_json::from_slice(&received.body).map_err(|_| self.not_understood())?;
        let text = found.secret_string.map(|text| Secret::new(text.as_str()));
        text.ok_or_else(|| self.refused("the secret is binary", "whsec keeps text: name another secret"))
    }

    /// Makes a version under the caller's token, which becomes its id, and puts a stage on it. The same again is no
    /// change, so that a lost answer is simply asked for once more.
    pub fn put(&self, token: &str, text: &[u8], stage: &str) -> Result<(), Refusal> {
        let text = std::str::from_utf8(text).map_err(|_| self.not_understood())?;
        let body = Zeroizing::new(
            serde_json::to_vec(&PutRequest {
                secret_id: &self.name,
                client_request_token: token,
                secret_string: text,
                version_stages: [stage],
            })
            .map_err(|_| self.not_understood())?,
        );
        let mut sent = self.send("PutSecretValue", body.clone());
        if matches!(sent, Err(StoreError::NoAnswer { .. })) {
            sent = self.send("PutSecretValue", body);
        }
        let received = sent?;
        match received.status {
            200 => Ok(()),
            _ if kind(&received.body) == "ResourceExistsException" => Err(Refusal::TokenUsed),
            _ => Err(self.refusal("PutSecretValue", &received)?.into()),
        }
    }

    /// Moves a stage from one version to another, or takes it off; AWS refuses it if the stage is not where it was.
    pub fn move_stage(&self, stage: &str, from: Option<&str>, to: Option<&str>) -> Result<(), StoreError> {
        let mut body = json!({ "SecretId": self.name, "VersionStage": stage });
        for (key, version) in [("RemoveFromVersionId", from), ("MoveToVersionId", to)] {
            if let Some(version) = version {
                body[key] = json!(version);
            }
        }
        let received = self.call("UpdateSecretVersionStage", body)?;
        match received.status {
            200 => Ok(()),
            _ if kind(&received.body) == "InvalidParameterException" => {
                Err(StoreError::Contended { store: self.store.clone() })
            }
            _ => Err(self.refusal("UpdateSecretVersionStage", &received)?),
        }
    }

    /// A refusal of our own.
    pub fn refused(&self, why: &str, hint: &str) -> StoreError {
        StoreError::Refused { store: self.store.clone(), why: why.to_owned(), hint: hint.into() }
    }

    fn call(&self, action: &str, body: Value) -> Result<Received, StoreError> {
        self.send(action, Zeroizing::new(body.to_string().into_bytes()))
    }

    fn send(&self, action: &str, body: Zeroizing<Vec<u8>>) -> Result<Received, StoreError> {
        let place = self.place()?;
        let (credentials, server) = self.access()?;
        let headers = vec![
            ("content-type".to_owned(), "application/x-amz-json-1.1".to_owned()),
            ("x-amz-target".to_owned(), format!("{SERVICE}.{action}")),
        ];
        let scope = Scope { service: SERVICE, region: &place.region, now: (self.surroundings.environment.now)() };
        let headers = sign::signed(&place.url, headers, &body, credentials, &scope);
        server.call(Call { method: "POST", url: place.url.clone(), headers, body: Some(body) })
    }

    fn place(&self) -> Result<&Service, StoreError> {
        if let Some(place) = self.place.get() {
            return Ok(place);
        }
        let environment = &self.surroundings.environment;
        let profile = Profile::find(&self.store, environment)?;
        let from_name = self.name.strip_prefix("arn:").and_then(|rest| rest.split(':').nth(2)).map(str::to_owned);
        let region = from_name.filter(|region| access::is_region(region));
        let region = region.or_else(|| access::region_of(environment, &profile));
        let region = region.ok_or_else(|| access::no_region(&self.store))?;
        let elsewhere = access::elsewhere(environment, "SECRETS_MANAGER");
        let usual = || format!("https://{SERVICE}.{region}.{}/", access::domain(&region));
        let url = access::base(&self.store, "AWS_ENDPOINT_URL", &elsewhere.clone().unwrap_or_else(usual))?;
        let sts = access::sts(&self.store, environment, &region)?;
        Ok(self.place.get_or_init(|| Service { region, url, sts, is_elsewhere: elsewhere.is_some(), profile }))
    }

    fn access(&self) -> Result<&(Credentials, Server), StoreError> {
        if let Some(access) = self.access.get() {
            return Ok(access);
        }
        let Surroundings { environment, private, .. } = &self.surroundings;
        let Service { profile, sts, .. } = self.place()?;
        let credentials = Chain { store: &self.store, environment, profile, private, sts }.find()?;
        let server = Server::new(&self.store, format!("Secrets Manager at {}", self.region()?), self.ca()?);
        Ok(self.access.get_or_init(|| (credentials, server)))
    }

    fn ca(&self) -> Result<Option<Vec<u8>>, StoreError> {
        access::ca(&self.store, &self.surroundings.environment)
    }

    fn refusal(&self, action: &str, received: &Received) -> Result<StoreError, StoreError> {
        let place = self.region()?;
        Ok(match kind(&received.body).as_str() {
            "ResourceNotFoundException" => self.refused(
                &format!("there is no secret `{}` in {place}", self.name),
                "is AWS_REGION the right one? whsec makes no secret: `aws secretsmanager create-secret` does, with its live value",
            ),
            "AccessDeniedException" => {
                self.refused(&format!("the role is not allowed to call {action} on `{}`", self.name), NEEDS)
            }
            "ExpiredTokenException" | "ExpiredToken" => self.expired(),
            "UnrecognizedClientException" | "InvalidClientTokenId" | "InvalidSignatureException"
            | "IncompleteSignature" | "MissingAuthenticationToken" | "RequestExpired" => self.not_accepted(received),
            "DecryptionFailure" | "EncryptionFailure" => {
                self.refused("AWS cannot use the secret's KMS key", "is the key enabled, and may the role use it?")
            }
            "InvalidRequestException" => self.refused(
                &format!("the secret is in no state for {action}"),
                "is it marked for deletion, or managed by another service? `aws secretsmanager describe-secret` shows it",
            ),
            "LimitExceededException" => self.refused(
                "the secret has as many versions as it may",
                "AWS removes old ones within a day; it counts about one a rotation and one a check",
            ),
            "ThrottlingException" | "Throttling" | "TooManyRequestsException" => {
                self.refused("AWS throttles the account", "run the same command again in a while")
            }
            _ if received.status == 403 => self.not_accepted(received),
            _ => self.access()?.1.unexpected(received.status),
        })
    }

    fn expired(&self) -> StoreError {
        self.refused("the AWS credentials have expired", "log in again, as by `aws sso login`, then run it again")
    }

    fn not_accepted(&self, received: &Received) -> StoreError {
        let theirs = received.header("date").and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
        let off =
            theirs.map(|theirs| theirs.timestamp().duration_since((self.surroundings.environment.now)()).as_secs());
        match off.filter(|seconds| seconds.abs() > CLOCK_WORTH_A_WORD) {
            Some(seconds) => self.refused(
                &format!(
                    "AWS does not accept the signature, and this machine's clock is {} minutes off",
                    seconds.abs() / 60
                ),
                "set the clock, then run it again",
            ),
            None => self
                .refused("AWS does not accept the credentials", "`aws sts get-caller-identity` shows whose they are"),
        }
    }

    fn not_understood(&self) -> StoreError {
        self.refused("the answer is not one of Secrets Manager", "is AWS_ENDPOINT_URL right?")
    }
}

#[derive(serde::Serialize)]
#[serde(rename_all = "PascalCase")]
struct PutRequest<'a> {
    secret_id: &'a str,
    client_request_token: &'a str,
    secret_string: &'a str,
    version_stages: [&'a str; 1],
}

impl Identity {
    /// From the answer of STS, which is XML: two names of its own between their tags.
    fn read(body: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(body).ok()?;
        let account = tagged(text, "Account").filter(|account| account.chars().all(|digit| digit.is_ascii_digit()))?;
        let arn =
            tagged(text, "Arn").filter(|arn| arn.starts_with("arn:") && arn.chars().all(|it| it.is_ascii_graphic()))?;
        Some(Self { account: account.to_owned(), arn: arn.to_owned() })
    }
}

/// The kind of a complaint, without the namespace before it.
fn kind(body: &[u8]) -> String {
    // STS complains in XML.
    if let Some(code) = std::str::from_utf8(body).ok().and_then(|text| tagged(text, "Code")) {
        return code.to_owned();
    }
    let complaint = serde_json::from_slice::<Complaint>(body).map(|complaint| complaint.kind).unwrap_or_default();
    complaint.rsplit('#').next().unwrap_or_default().to_owned()
}
