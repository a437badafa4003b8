//! Documents as objects of S3, or of a store that speaks like it. Each is written on the condition that it follows what was read;
//! what tells its state is its ETag.

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::aws::{AmazonS3, AmazonS3Builder, Checksum};
use object_store::path::Path;
use object_store::{
    Error, GetResult, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, RetryConfig, UpdateVersion,
};
use tokio::runtime::{Builder, Runtime};

pub use bucket::{Access, Bucket};
pub use versions::Versions;

use super::{Document, DocumentsError, LARGEST, Tag};
use seen::Seen;
use wire::{KEPT, Refusal, Wire};

mod bucket;
mod seen;
mod versions;
mod wire;

/// What AWS wants of whoever keeps a journal there. Seals are removed, and what a proof has written; nothing else ever is.
const NEEDS: &str = "it needs s3:GetObject and s3:PutObject below the prefix, s3:DeleteObject below its `seals/` and `proof/`, and \
                     s3:ListBucket on the bucket; who asks is found as every AWS program finds it";

/// What stands in a moment, and what takes its place in a key, where not every maker's store signs the same thing for it. No name has
/// it otherwise.
const TIME: &str = ":";
const SAFE: &str = "_";

/// Objects below a prefix.
pub struct Objects {
    at: String,
    bucket: Bucket,
    runtime: Runtime,
    open: RefCell<Open>,
    seen: Seen,
}

/// A store with somebody's credentials, which may end.
struct Open {
    store: AmazonS3,
    wire: Wire,
    access: Access,
}

impl Objects {
    pub fn new(at: String, bucket: &Bucket, access: Access) -> Result<Self, DocumentsError> {
        let unfit = |why: &str| DocumentsError::Unfit { at: at.clone(), why: why.to_owned() };
        let open = RefCell::new(Open::new(bucket, access).map_err(unfit)?);
        let runtime = Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(|error| unfit(&format!("no connection can be set up here: {error}")))?;
        Ok(Self { at, bucket: bucket.clone(), runtime, open, seen: Seen::default() })
    }

    /// The same with a file of what was seen there before.
    pub fn with_file(self, file: PathBuf) -> Self {
        Self { seen: Seen::in_file(file), ..self }
    }

    /// Goes on with other credentials.
    pub fn renew(&self, access: Access) {
        if let Ok(open) = Open::new(&self.bucket, access) {
            *self.open.borrow_mut() = open;
        }
    }

    pub fn read(&self, name: &str) -> Result<Option<Document>, DocumentsError> {
        let key = self.key(name)?;
        let found = self.with(async |store, wire| found(store.get(&key).await, wire).await)?;
        Ok(found.inspect(|found| self.seen.keep(name, &found.tag, &found.body)))
    }

    pub fn read_all(&self, prefix: &str) -> Result<Vec<(String, Document)>, DocumentsError> {
        let listed = self.listed(prefix)?;
        let names: Vec<String> = listed.iter().map(|meta| self.name(&meta.location)).collect();
        let seen: Vec<_> = names.iter().zip(&listed).map(|(name, meta)| self.seen.body(name, &tag(meta))).collect();
        let all = self.with(async |store, wire| {
            let get = |(meta, seen): (ObjectMeta, Option<Vec<u8>>)| async move {
                match seen {
                    Some(body) => Ok(Some(Document { body, tag: tag(&meta), age: age(&meta, wire)? })),
                    None => found(store.get(&meta.location).await, wire).await,
                }
            };
            stream::iter(listed.into_iter().zip(seen)).map(get).buffered(KEPT).try_collect::<Vec<_>>().await
        })?;
        // What was removed in between is as good as never seen.
        let there: Vec<(String, Document)> =
            names.iter().zip(all).filter_map(|(name, found)| Some((name.clone(), found?))).collect();
        for (name, found) in there.iter().filter(|(name, found)| self.seen.body(name, &found.tag).is_none()) {
            self.seen.keep(name, &found.tag, &found.body);
        }
        self.seen.save(prefix, &names);
        Ok(there)
    }

    pub fn list(&self, prefix: &str) -> Result<Vec<(String, Tag)>, DocumentsError> {
        let listed = self.listed(prefix)?.into_iter();
        Ok(listed.map(|meta| (self.name(&meta.location), tag(&meta))).collect())
    }

    pub fn write_if(&self, name: &str, body: &[u8], before: Option<&Tag>) -> Result<Option<Tag>, DocumentsError> {
        let key = self.key(name)?;
        let mode = match before {
            None => PutMode::Create,
            Some(Tag(tag)) => PutMode::Update(UpdateVersion { e_tag: Some(tag.clone()), version: None }),
        };
        let options = PutOptions { mode, ..PutOptions::default() };
        let written = self.with(async |store, _| match store.put_opts(&key, body.to_vec().into(), options).await {
            Ok(written) => Ok(Some(Tag(written.e_tag.unwrap_or_default()))),
            Err(error) if is_two_at_once(&error) => Err(error.into()),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        })?;
        Ok(written.inspect(|tag| self.seen.keep(name, tag, body)))
    }

    pub fn delete(&self, name: &str) -> Result<(), DocumentsError> {
        let key = self.key(name)?;
        self.with(async |store, _| match store.delete(&key).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        })
    }

    /// What becomes of what is overwritten.
    pub fn versions(&self) -> Versions {
        let open = self.open.borrow();
        self.runtime.block_on(versions::versions(&self.bucket, &open.access, &open.wire))
    }

    fn listed(&self, prefix: &str) -> Result<Vec<ObjectMeta>, DocumentsError> {
        let folder = self.key(prefix.trim_end_matches('/'))?;
        let mut all: Vec<ObjectMeta> =
            self.with(async |store, _| Ok(store.list(Some(&folder)).try_collect::<Vec<_>>().await?))?;
        all.sort_by(|one, other| one.location.cmp(&other.location));
        Ok(all)
    }

    fn key(&self, name: &str) -> Result<Path, DocumentsError> {
        let whole = format!("{}/{}", self.bucket.prefix, name.replace(TIME, SAFE));
        let unnamed =
            |_| DocumentsError::Unfit { at: self.at.clone(), why: format!("no object can be named `{name}`") };
        Path::parse(whole.trim_start_matches('/')).map_err(unnamed)
    }

    fn name(&self, key: &Path) -> String {
        let key = key.as_ref();
        key.strip_prefix(&self.bucket.prefix).unwrap_or(key).trim_start_matches('/').replace(SAFE, TIME)
    }

    /// Does something at the store, and says in words why it was not done.
    fn with<T>(&self, act: impl AsyncFnOnce(&AmazonS3, &Wire) -> Result<T, Failed>) -> Result<T, DocumentsError> {
        let open = self.open.borrow();
        open.wire.refusal();
        let done = self.runtime.block_on(act(&open.store, &open.wire));
        done.map_err(|failed| match (failed, open.wire.refusal()) {
            (Failed::Large, _) => self.unfit("it holds a document that is larger than one may be"),
            (Failed::Timeless, _) => self.unfit("its answers do not say what time it is (Date)"),
            (Failed::Store, Some(refusal)) => self.judge(refusal),
            (Failed::Store, None) => self.unfit("its answers are not those of S3"),
        })
    }

    /// What an answer of the store means, or that there was none.
    fn judge(&self, refusal: Refusal) -> DocumentsError {
        let at = self.at.clone();
        let (status, code, region, method) = match refusal {
            Refusal::Silent(why) => return DocumentsError::Unreachable { at, why },
            Refusal::Answered { status, code, region, method } => (status, code, region, method),
        };
        let refused = |why: String| DocumentsError::Refused { at: at.clone(), why, hint: NEEDS };
        let elsewhere = || match &region {
            Some(region) => format!("its bucket is in the region {region}: add `?region={region}`"),
            None => "its bucket is in another region: add `?region=REGION`".to_owned(),
        };
        match (status, code.as_str()) {
            (_, "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired") => DocumentsError::Expired { at },
            (_, "RequestTimeTooSkewed") => refused("this machine's clock is off, so it takes no signature".to_owned()),
            (_, "NoSuchBucket") => refused(format!("there is no bucket `{}`", self.bucket.name)),
            (_, "InvalidAccessKeyId" | "SignatureDoesNotMatch") => {
                refused(format!("it does not accept the credentials ({code})"))
            }
            (301 | 307, _) | (400, "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException") => {
                refused(elsewhere())
            }
            (401 | 403, _) => refused(format!("{} is not allowed ({})", right(&method), named(status, &code))),
            (408 | 409 | 425 | 429 | 500..=599, _) => {
                DocumentsError::Unreachable { at, why: format!("it answers {}", named(status, &code)) }
            }
            _ => self.unfit(&format!("it answers {}", named(status, &code))),
        }
    }

    fn unfit(&self, why: &str) -> DocumentsError {
        DocumentsError::Unfit { at: self.at.clone(), why: why.to_owned() }
    }
}

impl Open {
    fn new(bucket: &Bucket, access: Access) -> Result<Self, &'static str> {
        let wire = Wire::new(access.ca.clone())?;
        let kept = access.clone();
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&bucket.name)
            .with_region(access.region)
            .with_access_key_id(access.access_key)
            .with_secret_access_key(access.secret_key.expose())
            // What may be tried again is known above, where a write that was lost is looked for first.
            .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
            .with_disable_bulk_delete(true)
            // A bucket whose objects are locked for a while takes none without.
            .with_checksum_algorithm(Checksum::SHA256)
            .with_http_connector(wire.clone());
        if let Some(token) = access.session_token {
            builder = builder.with_token(token.expose());
        }
        if let Some(endpoint) = access.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let store = builder.build().map_err(|_| "no connection can be set up to it")?;
        Ok(Self { store, wire, access: kept })
    }
}

/// Why something was not done, where no answer's status says it.
enum Failed {
    /// What the store, or the way there, has said is known to the wire.
    Store,
    Large,
    Timeless,
}

impl From<Error> for Failed {
    fn from(_: Error) -> Self {
        Self::Store
    }
}

/// A document out of an answer, if there is one.
async fn found(got: object_store::Result<GetResult>, wire: &Wire) -> Result<Option<Document>, Failed> {
    let got = match got {
        // The refusal of a bucket that is not there has the same status; it is told by its code.
        Err(Error::NotFound { source, .. }) if !source.to_string().contains("NoSuchBucket") => return Ok(None),
        got => got?,
    };
    if got.meta.size > LARGEST as u64 {
        return Err(Failed::Large);
    }
    let (tag, age) = (tag(&got.meta), age(&got.meta, wire)?);
    Ok(Some(Document { body: got.bytes().await?.to_vec(), tag, age }))
}

fn tag(meta: &ObjectMeta) -> Tag {
    Tag(meta.e_tag.clone().unwrap_or_default())
}

/// How long ago an object was written, by the store's own clock as its newest answer has it.
fn age(meta: &ObjectMeta, wire: &Wire) -> Result<Duration, Failed> {
    let now = wire.time().ok_or(Failed::Timeless)?;
    Ok(Duration::from_secs(u64::try_from(now.saturating_sub(meta.last_modified.timestamp())).unwrap_or_default()))
}

/// Whether a write met another one (409), which says nothing of what is there: it is tried again. One that came too late is told as a
/// condition that does not hold.
fn is_two_at_once(error: &Error) -> bool {
    let Error::AlreadyExists { source, .. } = error else { return false };
    !matches!(source.downcast_ref(), Some(Error::Precondition { .. } | Error::NotModified { .. }))
}

fn named(status: u16, code: &str) -> String {
    if code.is_empty() { status.to_string() } else { format!("{status} {code}") }
}

/// The right that a call needs.
fn right(method: &str) -> &'static str {
    match method {
        "PUT" => "s3:PutObject",
        "DELETE" => "s3:DeleteObject",
        _ => "s3:GetObject or s3:ListBucket",
    }
}

#[cfg(test)]
mod tests;
