//! Whether a bucket keeps what is overwritten: one call that the crate for object stores does not have. Nothing depends on its answer.

use http_body_util::BodyExt;
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::{HttpRequest, HttpRequestBody, HttpService};

use super::bucket::{Access, Bucket};
use super::wire::Wire;

/// What becomes of a document's older states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versions {
    Kept,
    Lost,
    /// Whoever asks has no right to know.
    Forbidden,
    /// It has no answer to that, as other makers' stores may not.
    Untold,
}

/// Asks for GetBucketVersioning.
pub async fn versions(bucket: &Bucket, access: &Access, wire: &Wire) -> Versions {
    asked(bucket, access, wire).await.unwrap_or(Versions::Untold)
}

async fn asked(bucket: &Bucket, access: &Access, wire: &Wire) -> Option<Versions> {
    let credential = AwsCredential {
        key_id: access.access_key.clone(),
        secret_key: access.secret_key.expose().to_owned(),
        token: access.session_token.as_ref().map(|token| token.expose().to_owned()),
    };
    let usual = || format!("https://s3.{}.amazonaws.com", access.region);
    let base = access.endpoint.clone().unwrap_or_else(usual);
    let mut request = HttpRequest::new(HttpRequestBody::empty());
    *request.uri_mut() = format!("{}/{}?versioning=", base.trim_end_matches('/'), bucket.name).parse().ok()?;
    AwsAuthorizer::new(&credential, "s3", &access.region).try_authorize(&mut request, None).ok()?;
    let (head, body) = wire.call(request).await.ok()?.into_parts();
    let body = body.collect().await.ok()?.to_bytes();
    let text = String::from_utf8_lossy(&body);
    Some(match head.status.as_u16() {
        401 | 403 => Versions::Forbidden,
        200 if text.contains("<Status>Enabled</Status>") => Versions::Kept,
        // `VersioningConfiguration` at AWS, `GetBucketVersioningResponse` elsewhere; one that lists the bucket has not understood.
        200 if text.contains("Versioning") => Versions::Lost,
        _ => Versions::Untold,
    })
}
