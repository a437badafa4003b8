//! AWS Signature Version 4 of one request, from the published algorithm: a hash of the request, signed with a key of the day.

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};

use crate::http::Url;
use crate::secret::Secret;
use crate::system::text::hex;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What proves to AWS who asks.
#[derive(Clone)]
pub(super) struct Credentials {
    pub access_key: String,
    pub secret_key: Secret,
    /// Comes with credentials that end by themselves.
    pub session_token: Option<Secret>,
}

/// Where and when a signature holds.
pub(super) struct Scope<'a> {
    pub service: &'a str,
    pub region: &'a str,
    pub now: Timestamp,
}

/// The headers to send with a POST of `body`: those given and the ones that sign them all.
pub(super) fn signed(
    url: &Url,
    mut headers: Vec<(String, String)>,
    body: &[u8],
    credentials: &Credentials,
    scope: &Scope<'_>,
) -> Vec<(String, String)> {
    let moment = scope.now.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ").to_string();
    let day = moment.get(..8).unwrap_or_default();
    headers.push(("host".to_owned(), host(url)));
    headers.push(("x-amz-date".to_owned(), moment.clone()));
    if let Some(token) = &credentials.session_token {
        headers.push(("x-amz-security-token".to_owned(), token.expose().to_owned()));
    }
    headers.sort();
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    let names = names.join(";");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    let request = format!("POST\n{}\n\n{lines}\n{names}\n{}", url.path(), hex(&Sha256::digest(body)));
    let place = format!("{day}/{}/{}/aws4_request", scope.region, scope.service);
    let to_sign = format!("{ALGORITHM}\n{moment}\n{place}\n{}", hex(&Sha256::digest(request.as_bytes())));
    let first = zeroize::Zeroizing::new(format!("AWS4{}", credentials.secret_key.expose()));
    let mut key = mac(first.as_bytes(), day.as_bytes());
    for part in [scope.region, scope.service, "aws4_request"] {
        key = mac(&key, part.as_bytes());
    }
    let signature = hex(&mac(&key, to_sign.as_bytes()));
    let access_key = &credentials.access_key;
    let value = format!("{ALGORITHM} Credential={access_key}/{place}, SignedHeaders={names}, Signature={signature}");
    headers.retain(|(name, _)| name != "host");
    headers.push(("authorization".to_owned(), value));
    headers
}

/// The host as the header of that name has it: with the port where it is not the scheme's own.
fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn mac(key: &[u8], bytes: &[u8]) -> Vec<u8> {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(bytes);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed by botocore 1.43 (`botocore.auth.SigV4Auth`) for the same request.
    #[test]
    fn a_signature_is_the_one_that_botocore_makes() {
        let credentials = Credentials {
            access_key: "AKIDEXAMPLE".to_owned(),
            secret_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            session_token: Some(Secret::new("session/token==")),
        };
        let headers = vec![
            ("content-type".to_owned(), "application/x-amz-json-1.1".to_owned()),
            ("x-amz-target".to_owned(), "secretsmanager.GetSecretValue".to_owned()),
        ];
        let url = Url::parse("https://secretsmanager.eu-west-1.amazonaws.com/").unwrap();
        let scope =
            Scope { service: "secretsmanager", region: "eu-west-1", now: "2026-11-20T19:30:00Z".parse().unwrap() };
        let signed = signed(&url, headers, b"{\"SecretId\":\"app/hooks\"}", &credentials, &scope);
        let (_, value) = signed.iter().find(|(name, _)| name == "authorization").unwrap();
        let expected = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261120/eu-west-1/secretsmanager/aws4_request, \
                        SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, \
                        Signature=0f25f1fed037b3be4eef7305f933b3578dbc5b438ade51fc24a8f9cb25bb3574";
        assert_eq!(value, expected);
    }
}
