//! An object store that speaks like S3 and is strict where its published descriptions are: conditions, ETags, pages, times, and who
//! asks by form and by the digest of what is sent. That a signature is right is proved with moto.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::aws::ACCESS_KEY;
use super::http::{Answer, Request, Server};

pub const BUCKET: &str = "journals";

/// What becomes of a request in place of what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    None,
    /// It is never answered, and nothing is done.
    Unsent,
    /// It is done, and not answered.
    Unanswered,
    /// It is done, and half of its answer comes.
    Half,
    /// It is not done, for this reason.
    Refused(u16, &'static str),
    /// It is answered later.
    Late(Duration),
}

/// How a store does not keep what it promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    IgnoresIfMatch,
    IgnoresIfNoneMatch,
    /// Others' writes are seen a request later.
    ReadsTheOneBefore,
    ListsNothing,
    TellsNoTime,
    WrongClock,
}

type Whim = Box<dyn FnMut(usize, &Request) -> Mishap + Send>;

#[derive(Clone)]
struct Kept {
    body: Vec<u8>,
    tag: String,
    written: Timestamp,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Kept>,
    before: BTreeMap<String, Kept>,
    writes: u64,
    requests: usize,
    page: Option<usize>,
    lie: Option<Lie>,
    whim: Option<Whim>,
    region: Option<&'static str>,
    versioning: &'static str,
    delay: Duration,
}

/// A bucket; it serves until it is dropped.
pub struct Objects {
    pub server: Server,
    state: Arc<Mutex<State>>,
}

impl Objects {
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let server = Server::start(move |request| serve(&shared, request));
        Self { server, state }
    }

    /// Where a journal in it is.
    pub fn location(&self) -> String {
        format!("s3://{BUCKET}/team/whsec?region=eu-west-1&endpoint={}", self.server.url())
    }

    fn held(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub fn lies(&self, lie: Option<Lie>) {
        self.held().lie = lie;
    }

    pub fn with_whim(&self, whim: impl FnMut(usize, &Request) -> Mishap + Send + 'static) {
        let mut held = self.held();
        held.requests = 0;
        held.whim = Some(Box::new(whim));
    }

    pub fn without_whim(&self) {
        self.held().whim = None;
    }

    /// How many requests there were since the last whim set in.
    pub fn requests(&self) -> usize {
        self.held().requests
    }

    /// How many entries a list has at most.
    pub fn pages_of(&self, entries: usize) {
        self.held().page = Some(entries);
    }

    /// Has the bucket be in this region and nowhere else.
    pub fn is_in(&self, region: &'static str) {
        self.held().region = Some(region);
    }

    /// Has the bucket's versioning be `Enabled` or `Suspended`; it was never switched on otherwise.
    pub fn has_versioning(&self, status: &'static str) {
        self.held().versioning = status;
    }

    /// How long each answer takes.
    pub fn answers_after(&self, delay: Duration) {
        self.held().delay = delay;
    }

    /// Lets time pass for what has this in its name.
    pub fn age(&self, part: &str, by: Duration) {
        let by = SignedDuration::try_from(by).unwrap();
        for (_, kept) in self.held().objects.iter_mut().filter(|(name, _)| name.contains(part)) {
            kept.written = kept.written.checked_sub(by).unwrap();
        }
    }

    /// Everything that is there.
    pub fn bodies(&self) -> BTreeMap<String, Vec<u8>> {
        self.held().objects.iter().map(|(name, kept)| (name.clone(), kept.body.clone())).collect()
    }

    /// Changes an object behind everybody's back.
    pub fn put(&self, name: &str, body: Vec<u8>) {
        self.held().keep(name.to_owned(), body);
    }

    pub fn remove(&self, name: &str) {
        self.held().objects.remove(name);
    }
}

impl State {
    fn keep(&mut self, name: String, body: Vec<u8>) -> String {
        self.before = self.objects.clone();
        self.writes += 1;
        let tag = format!("\"{}\"", &hex(&Sha256::digest(&body))[..32]);
        let hour = SignedDuration::from_hours(1);
        let back = if self.lie == Some(Lie::WrongClock) { hour } else { SignedDuration::ZERO };
        let written = Timestamp::now().checked_sub(back).unwrap();
        self.objects.insert(name, Kept { body, tag: tag.clone(), written });
        tag
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(state: &Mutex<State>, request: &Request) -> Answer {
    let (mishap, delay) = {
        let mut held = lock(state);
        let number = held.requests;
        held.requests += 1;
        let mut whim = held.whim.take();
        let mishap = whim.as_mut().map_or(Mishap::None, |whim| whim(number, request));
        held.whim = whim;
        (mishap, held.delay)
    };
    std::thread::sleep(delay);
    match mishap {
        Mishap::None => answer(&mut lock(state), request),
        Mishap::Unsent => Answer::Silence,
        Mishap::Refused(status, code) => refusal(status, code),
        Mishap::Late(time) => {
            std::thread::sleep(time);
            answer(&mut lock(state), request)
        }
        Mishap::Unanswered | Mishap::Half => match (answer(&mut lock(state), request), mishap) {
            (Answer::Full { status, headers, body }, Mishap::Half) => Answer::Half { status, headers, body },
            _ => Answer::Silence,
        },
    }
}

fn answer(state: &mut State, request: &Request) -> Answer {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    if let Some(refused) = stranger(request) {
        return refused;
    }
    if let Some(region) = state.region
        && !request.headers["authorization"].contains(&format!("/{region}/s3/"))
    {
        let Answer::Full { status, mut headers, body } = refusal(301, "PermanentRedirect") else { unreachable!() };
        headers.push(("x-amz-bucket-region".to_owned(), region.to_owned()));
        return Answer::Full { status, headers, body };
    }
    let query: BTreeMap<String, String> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect();
    let Some(rest) = path.strip_prefix(&format!("/{BUCKET}")) else { return refusal(404, "NoSuchBucket") };
    let name = decoded(rest.trim_start_matches('/'));
    let condition = |name: &str| request.headers.get(name).map(String::as_str);
    match request.method.as_str() {
        "GET" if name.is_empty() && query.contains_key("versioning") => {
            let status = Some(state.versioning).filter(|status| !status.is_empty());
            let status = status.map(|status| format!("<Status>{status}</Status>")).unwrap_or_default();
            let body = format!("<VersioningConfiguration>{status}</VersioningConfiguration>");
            full(state.lie, 200, Vec::new(), body.into_bytes())
        }
        "GET" if name.is_empty() => list(state, &query),
        "GET" => {
            let seen = if state.lie == Some(Lie::ReadsTheOneBefore) { &state.before } else { &state.objects };
            match seen.get(&name) {
                None => refusal(404, "NoSuchKey"),
                Some(kept) => {
                    let headers = vec![
                        ("etag".to_owned(), kept.tag.clone()),
                        ("last-modified".to_owned(), http_date(kept.written)),
                        ("content-type".to_owned(), "application/octet-stream".to_owned()),
                    ];
                    full(state.lie, 200, headers, kept.body.clone())
                }
            }
        }
        "PUT" => {
            let found = state.objects.get(&name).map(|kept| kept.tag.as_str());
            match (condition("if-match"), condition("if-none-match"), found) {
                (Some(_), Some(_), _) => return refusal(501, "NotImplemented"),
                (None, Some(any), _) if any != "*" => return refusal(501, "NotImplemented"),
                (None, Some(_), Some(_)) if state.lie != Some(Lie::IgnoresIfNoneMatch) => {
                    return refusal(412, "PreconditionFailed");
                }
                (Some(_), None, None) => return refusal(404, "NoSuchKey"),
                (Some(tag), None, Some(found)) if tag != found && state.lie != Some(Lie::IgnoresIfMatch) => {
                    return refusal(412, "PreconditionFailed");
                }
                _ => {}
            }
            let tag = state.keep(name, request.body.clone());
            full(state.lie, 200, vec![("etag".to_owned(), tag)], Vec::new())
        }
        "DELETE" => {
            state.before = state.objects.clone();
            state.objects.remove(&name);
            full(state.lie, 204, Vec::new(), Vec::new())
        }
        _ => refusal(405, "MethodNotAllowed"),
    }
}

/// Who has no business here, or sends something else than what was signed.
fn stranger(request: &Request) -> Option<Answer> {
    let header = |name: &str| request.headers.get(name).cloned().unwrap_or_default();
    let signed = header("authorization");
    if !signed.starts_with(&format!("AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/"))
        || !signed.contains("/s3/aws4_request")
    {
        return Some(refusal(403, "InvalidAccessKeyId"));
    }
    for needed in ["host", "x-amz-content-sha256", "x-amz-date"] {
        if !signed.contains(needed) || header(needed).is_empty() {
            return Some(refusal(403, "SignatureDoesNotMatch"));
        }
    }
    let digest = Sha256::digest(&request.body);
    if header("x-amz-content-sha256") != hex(&digest) {
        return Some(refusal(400, "XAmzContentSHA256Mismatch"));
    }
    // As a bucket wants it whose objects are locked.
    if request.method == "PUT" && base64_of(&digest) != header("x-amz-checksum-sha256") {
        return Some(refusal(400, "InvalidRequest"));
    }
    None
}

fn list(state: &State, query: &BTreeMap<String, String>) -> Answer {
    let get = |name: &str| query.get(name).map_or("", String::as_str);
    if get("list-type") != "2" {
        return refusal(501, "NotImplemented");
    }
    let after = get("continuation-token");
    let named = state.objects.iter().filter(|(name, _)| name.starts_with(get("prefix")) && name.as_str() > after);
    let page = state.page.unwrap_or(1000);
    let mut listed: Vec<_> = named.take(page + 1).collect();
    let is_cut = listed.len() > page;
    listed.truncate(page);
    if state.lie == Some(Lie::ListsNothing) {
        listed.clear();
    }
    let entries: String = listed
        .iter()
        .map(|(name, kept)| {
            format!(
                "<Contents><Key>{name}</Key><LastModified>{}</LastModified><ETag>{}</ETag><Size>{}</Size>\
                 <StorageClass>STANDARD</StorageClass></Contents>",
                kept.written.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
                kept.tag.replace('"', "&quot;"),
                kept.body.len()
            )
        })
        .collect();
    let next = listed.last().filter(|_| is_cut).map(|(name, _)| name.as_str());
    let next = next.map(|name| format!("<NextContinuationToken>{name}</NextContinuationToken>")).unwrap_or_default();
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <Name>{BUCKET}</Name><Prefix>{}</Prefix><KeyCount>{}</KeyCount><MaxKeys>1000</MaxKeys>\
         <IsTruncated>{is_cut}</IsTruncated>{next}{entries}</ListBucketResult>",
        get("prefix"),
        listed.len()
    );
    full(state.lie, 200, vec![("content-type".to_owned(), "application/xml".to_owned())], text.into_bytes())
}

fn full(lie: Option<Lie>, status: u16, mut headers: Vec<(String, String)>, body: Vec<u8>) -> Answer {
    if lie != Some(Lie::TellsNoTime) {
        headers.push(("date".to_owned(), http_date(Timestamp::now())));
    }
    Answer::Full { status, headers, body }
}

fn refusal(status: u16, code: &str) -> Answer {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>No.</Message><RequestId>1</RequestId></Error>"
    );
    full(None, status, vec![("content-type".to_owned(), "application/xml".to_owned())], text.into_bytes())
}

fn http_date(moment: Timestamp) -> String {
    moment.to_zoned(TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn base64_of(bytes: &[u8]) -> String {
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes)
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}
