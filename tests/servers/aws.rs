//! A Secrets Manager, and an STS that tells whose account it is, that is strict where its published descriptions are: tokens, stages and the moves of AWSPREVIOUS. Who
//! asks is checked by form alone; that a signature is right is proved with moto and botocore.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::http::{Answer, Request, Server};

pub const ACCESS_KEY: &str = "AKIDTEST00EXAMPLE";
pub const SECRET_KEY: &str = "wJalrXUtnFEMIK7MDENGtestEXAMPLEKEY";

/// Whose credentials those are.
pub const ACCOUNT: &str = "111122223333";

const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";

/// What the next calls come to in place of what they should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Throttled,
    ExpiredToken,
    BadSignature,
    /// This action is not allowed.
    Denied(&'static str),
    /// Done, and then the connection ends without an answer.
    LostAnswer,
    /// What is kept is not what was given.
    Truncates,
    MarkedForDeletion,
}

#[derive(Clone, Default)]
struct Kept {
    text: String,
    stages: BTreeSet<String>,
}

#[derive(Default)]
struct State {
    secrets: BTreeMap<String, BTreeMap<String, Kept>>,
    fault: Option<Fault>,
    /// Changing calls until a fault sets in.
    soon: Option<(u32, Fault)>,
    made: u32,
    /// Another account than [`ACCOUNT`], where it is one.
    account: Option<String>,
}

pub struct Aws {
    pub server: Server,
    state: Arc<Mutex<State>>,
}

impl Aws {
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let server = Server::start(move |request| answer(&mut lock(&shared), request));
        Self { server, state }
    }

    /// Makes a secret with its live value.
    pub fn create(&self, name: &str, text: &str) {
        let mut state = lock(&self.state);
        state.made += 1;
        let id = format!("00000000-0000-4000-8000-{:012}", state.made);
        let secret = state.secrets.entry(name.to_owned()).or_default();
        move_stage(secret, CURRENT, &id, Kept { text: text.to_owned(), ..Kept::default() });
    }

    /// Makes the credentials another account's.
    pub fn is_of(&self, account: &str) {
        lock(&self.state).account = Some(account.to_owned());
    }

    pub fn fail(&self, fault: Option<Fault>) {
        lock(&self.state).fault = fault;
    }

    /// Lets this many changes through before the fault sets in.
    pub fn fail_after(&self, changes: u32, fault: Fault) {
        lock(&self.state).soon = Some((changes, fault));
    }

    /// The text at a stage.
    pub fn text(&self, name: &str, stage: &str) -> Option<String> {
        Some(self.version(name, stage)?.1)
    }

    /// The version at a stage and its text.
    pub fn version(&self, name: &str, stage: &str) -> Option<(String, String)> {
        let state = lock(&self.state);
        let found = state.secrets.get(name)?.iter().find(|(_, kept)| kept.stages.contains(stage))?;
        Some((found.0.clone(), found.1.text.clone()))
    }

    /// The stages that are on any version.
    pub fn stages(&self, name: &str) -> BTreeSet<String> {
        lock(&self.state).secrets[name].values().flat_map(|kept| kept.stages.clone()).collect()
    }

    pub fn versions(&self, name: &str) -> usize {
        lock(&self.state).secrets[name].len()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refuse(kind: &str, message: &str) -> Answer {
    Answer::Json(400, json!({ "__type": kind, "Message": message }).to_string())
}

/// Puts a stage on a version, which is made if need be; AWSPREVIOUS follows AWSCURRENT.
fn move_stage(secret: &mut BTreeMap<String, Kept>, stage: &str, to: &str, new: Kept) {
    let from = secret.iter().find(|(_, kept)| kept.stages.contains(stage)).map(|(id, _)| id.clone());
    if let Some(from) = &from {
        secret.get_mut(from).unwrap().stages.remove(stage);
    }
    secret.entry(to.to_owned()).or_insert(new).stages.insert(stage.to_owned());
    if let Some(from) = from.filter(|from| stage == CURRENT && from != to) {
        for kept in secret.values_mut() {
            kept.stages.remove(PREVIOUS);
        }
        secret.get_mut(&from).unwrap().stages.insert(PREVIOUS.to_owned());
    }
}

/// As STS answers, in XML.
fn who(state: &State, request: &Request) -> Answer {
    let authorization = request.headers.get("authorization").cloned().unwrap_or_default();
    let scope = format!("AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/");
    let refuse = |status, code: &str| {
        let error = format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error>");
        Answer::Json(status, format!("<ErrorResponse>{error}</ErrorResponse>"))
    };
    if !authorization.starts_with(&scope) || !authorization.contains("/eu-west-1/sts/aws4_request") {
        return refuse(403, "InvalidClientTokenId");
    }
    if state.fault == Some(Fault::ExpiredToken) {
        return refuse(403, "ExpiredToken");
    }
    let account = state.account.as_deref().unwrap_or(ACCOUNT);
    let result =
        format!("<Arn>arn:aws:iam::{account}:user/ops</Arn>\n<UserId>AIDA</UserId>\n<Account>{account}</Account>");
    let result = format!("<GetCallerIdentityResult>{result}</GetCallerIdentityResult>");
    Answer::Json(200, format!("<GetCallerIdentityResponse>{result}</GetCallerIdentityResponse>"))
}

fn answer(state: &mut State, request: &Request) -> Answer {
    if request.body == b"Action=GetCallerIdentity&Version=2011-06-15" {
        return who(state, request);
    }
    let Some(action) = request.headers.get("x-amz-target").and_then(|target| target.strip_prefix("secretsmanager."))
    else {
        return refuse("UnknownOperationException", "");
    };
    let action = action.to_owned();
    let changes = action == "PutSecretValue" || action == "UpdateSecretVersionStage";
    if changes && let Some((left, fault)) = state.soon.take() {
        match left.checked_sub(1) {
            Some(left) => state.soon = Some((left, fault)),
            None => state.fault = Some(fault),
        }
    }
    let authorization = request.headers.get("authorization").cloned().unwrap_or_default();
    let scope = format!("AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/");
    if !authorization.starts_with(&scope) || !authorization.contains("/eu-west-1/secretsmanager/aws4_request") {
        return refuse("UnrecognizedClientException", "The security token included in the request is invalid.");
    }
    match state.fault {
        Some(Fault::Throttled) => return refuse("ThrottlingException", "Rate exceeded"),
        Some(Fault::ExpiredToken) => return refuse("ExpiredTokenException", "The security token has expired"),
        Some(Fault::BadSignature) => {
            return refuse("InvalidSignatureException", "The request signature does not match");
        }
        Some(Fault::Denied(denied)) if denied == action => return refuse("AccessDeniedException", "not authorized"),
        _ => {}
    }
    let Ok(body) = serde_json::from_slice::<Value>(&request.body) else { return refuse("SerializationException", "") };
    let name = body["SecretId"].as_str().unwrap_or_default();
    let fault = state.fault;
    let Some(secret) = state.secrets.get_mut(name) else {
        return refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret.");
    };
    let answer = match action.as_str() {
        "DescribeSecret" => {
            let stages: BTreeMap<_, _> = secret
                .iter()
                .filter(|(_, kept)| !kept.stages.is_empty())
                .map(|(id, kept)| (id, &kept.stages))
                .collect();
            let mut found = json!({ "Name": name, "VersionIdsToStages": stages });
            if fault == Some(Fault::MarkedForDeletion) {
                found["DeletedDate"] = json!(1_795_000_000.0);
            }
            Answer::Json(200, found.to_string())
        }
        "GetSecretValue" => get(secret, &body),
        "PutSecretValue" => put(secret, &body, fault),
        "UpdateSecretVersionStage" => update(secret, &body),
        _ => refuse("UnknownOperationException", ""),
    };
    if fault == Some(Fault::LostAnswer) && changes { Answer::Silence } else { answer }
}

fn get(secret: &BTreeMap<String, Kept>, body: &Value) -> Answer {
    let found = match body["VersionId"].as_str() {
        Some(id) => secret.get_key_value(id),
        None => secret.iter().find(|(_, kept)| kept.stages.contains(body["VersionStage"].as_str().unwrap_or(CURRENT))),
    };
    match found {
        Some((id, kept)) => Answer::Json(
            200,
            json!({ "SecretString": kept.text, "VersionId": id, "VersionStages": kept.stages }).to_string(),
        ),
        None => refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret value."),
    }
}

fn put(secret: &mut BTreeMap<String, Kept>, body: &Value, fault: Option<Fault>) -> Answer {
    let (Some(token), Some(text)) = (body["ClientRequestToken"].as_str(), body["SecretString"].as_str()) else {
        return refuse("InvalidParameterException", "a token and a text are needed");
    };
    if !(32..=64).contains(&token.len()) || text.is_empty() || text.len() > 65_536 {
        return refuse("InvalidParameterException", "out of bounds");
    }
    let done = Answer::Json(200, json!({ "VersionId": token }).to_string());
    if let Some(kept) = secret.get(token) {
        return match kept.text == text {
            // Ignored: its stages stay what they are.
            true => done,
            false => refuse("ResourceExistsException", "A resource with the ID you requested already exists."),
        };
    }
    let text: String = if fault == Some(Fault::Truncates) { text.chars().take(40).collect() } else { text.to_owned() };
    let is_first = secret.is_empty();
    for stage in body["VersionStages"].as_array().cloned().unwrap_or_else(|| vec![json!(CURRENT)]) {
        let kept = Kept { text: text.clone(), ..Kept::default() };
        move_stage(secret, stage.as_str().unwrap_or_default(), token, kept);
    }
    if is_first {
        move_stage(secret, CURRENT, token, Kept::default());
    }
    done
}

fn update(secret: &mut BTreeMap<String, Kept>, body: &Value) -> Answer {
    let stage = body["VersionStage"].as_str().unwrap_or_default();
    let (from, to) = (body["RemoveFromVersionId"].as_str(), body["MoveToVersionId"].as_str());
    let holder = secret.iter().find(|(_, kept)| kept.stages.contains(stage)).map(|(id, _)| id.clone());
    if holder.as_deref() != from {
        return refuse("InvalidParameterException", "RemoveFromVersionId does not name the version that has the stage");
    }
    match (to, from) {
        (Some(to), _) if !secret.contains_key(to) => return refuse("ResourceNotFoundException", "no such version"),
        (Some(to), _) => move_stage(secret, stage, to, Kept::default()),
        (None, Some(_)) if stage == CURRENT => {
            return refuse("InvalidParameterException", "AWSCURRENT can only be moved, not removed");
        }
        (None, Some(from)) => {
            secret.get_mut(from).unwrap().stages.remove(stage);
        }
        (None, None) => return refuse("InvalidParameterException", "nothing to do"),
    }
    Answer::Json(200, "{}".to_owned())
}
