//! A raw HTTP request: a request line or none, headers, a blank line, and the exact bytes of the body.

use std::borrow::Cow;

use super::capture::CaptureError;
use super::{Delivery, Loss};

/// Most headers of one request.
const MOST_HEADERS: usize = 128;

/// Reads one request. Lines may end with CR LF or LF.
pub(super) fn parse(bytes: &[u8]) -> Result<Delivery<'static>, CaptureError> {
    let mut space = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let has_request_line = first.windows(6).any(|window| window == b" HTTP/");
    let headers_at = if has_request_line { first.len() + 1 } else { 0 };
    let block = bytes.get(headers_at..).unwrap_or_default();
    let (length, headers) = match httparse::parse_headers(block, &mut space) {
        Ok(httparse::Status::Complete(parsed)) => parsed,
        Ok(httparse::Status::Partial) => return Err(CaptureError::NoBlankLine),
        Err(error) => return Err(CaptureError::NotHttp { why: error.to_string() }),
    };
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let headers: Vec<(Cow<'static, str>, Cow<'static, str>)> =
        headers.iter().map(|header| (Cow::Owned(header.name.to_owned()), Cow::Owned(text(header.value)))).collect();
    let body = block.get(length..).unwrap_or_default();
    let value = |name: &str| headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    let is_chunked = value("transfer-encoding").is_some_and(|value| value.to_ascii_lowercase().contains("chunked"));
    let announced = value("content-length").and_then(|value| value.trim().parse::<usize>().ok());
    let dechunked = if is_chunked { dechunk(body) } else { None };
    let (body, loss) = match (dechunked, announced) {
        (Some(body), _) => (body, None),
        // An editor may have put a line break behind it.
        (None, Some(announced)) if body.get(announced..).is_some_and(|rest| rest.trim_ascii().is_empty()) => {
            (body[..announced].to_vec(), None)
        }
        (None, Some(announced)) if body.len() > announced => (body.to_vec(), None),
        (None, Some(announced)) => (body.to_vec(), Some(Loss::CutShort { length: body.len(), announced })),
        (None, None) => (body.to_vec(), None),
    };
    let (method, url) = if has_request_line { asked(first, value("host")) } else { (None, None) };
    Ok(Delivery { headers, url, method, body: Cow::Owned(body), received_at: None, loss })
}

/// Method and address of a request line. Providers deliver by https, whatever stands before the server.
fn asked(line: &[u8], host: Option<&Cow<'static, str>>) -> (Option<Cow<'static, str>>, Option<Cow<'static, str>>) {
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_ascii_whitespace();
    let method = words.next().map(|method| Cow::Owned(method.to_owned()));
    let url = words.next().and_then(|path| match path.starts_with('/') {
        true => host.map(|host| Cow::Owned(format!("https://{}{path}", host.trim()))),
        false => Some(Cow::Owned(path.to_owned())),
    });
    (method, url)
}

/// The body of chunks put together; `None` where it is not in chunks, as some taps take them apart.
fn dechunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let httparse::Status::Complete((begin, size)) = httparse::parse_chunk_size(rest).ok()? else { return None };
        let size = usize::try_from(size).ok()?;
        if size == 0 {
            return Some(body);
        }
        let end = begin.checked_add(size)?;
        body.extend_from_slice(rest.get(begin..end)?);
        rest = rest.get(end..)?;
        rest = rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n"))?;
    }
}
