//! The receiver in Python.

use super::super::layout::Time;
use super::super::signed::Piece;
use super::super::spec::{Encoding, KeyDecoding, TimestampForm};
use super::words::{Words, quoted};

pub(super) fn lines(words: &Words<'_>) -> Vec<String> {
    let layout = words.layout;
    let mut lines = Vec::new();
    let mut modules = vec!["hmac"];
    if let Some((_, _, encoding, key)) = words.mac {
        modules.push("hashlib");
        if encoding != Encoding::Hex || matches!(key, KeyDecoding::Base64 | KeyDecoding::Base64AfterPrefix) {
            modules.push("base64");
        }
    }
    if layout.timestamp.is_some() {
        modules.push(if layout.form == TimestampForm::Rfc3339 { "datetime" } else { "time" });
    }
    if words.signs(&Piece::Form) {
        modules.push("urllib.parse");
    }
    modules.sort_unstable();
    lines.push(format!("import {}", modules.join(", ")));
    lines.push(String::new());
    lines.push(
        "# The live secret and the coming one; names of headers in small letters; the bytes of the body as they came."
            .to_owned(),
    );
    lines.extend(words.address().map(|address| format!("# {address}")));
    lines.push(format!("def accepts({}):", words.parameters()));
    let mut say = |line: String| lines.push(format!("    {line}"));
    let header = quoted(&words.header());
    say(match &layout.between {
        _ if layout.is_numbered => {
            format!("entries = [value.strip() for name, value in headers.items() if name.startswith({header})]")
        }
        Some(between) => {
            format!("entries = [entry.strip() for entry in headers.get({header}, \"\").split({})]", quoted(between))
        }
        None => format!("entries = [headers.get({header}, \"\").strip()]"),
    });
    if let Some(time) = &layout.timestamp {
        say(match time {
            Time::Header(name) => format!("stamp = headers.get({}, \"\").strip()", quoted(&name.to_lowercase())),
            Time::Lead(lead) => format!(
                "stamp = next((entry[{}:] for entry in entries if entry.startswith({})), \"\")",
                lead.len(),
                quoted(lead)
            ),
            Time::Entry(before) => {
                format!("stamp = entries[0][{}:].split({})[0]", before.len(), quoted(&layout.tag))
            }
        });
        match layout.form {
            TimestampForm::Rfc3339 => {
                say("try:".to_owned());
                say("    at = datetime.datetime.fromisoformat(stamp.replace(\"Z\", \"+00:00\")).timestamp()".to_owned());
                say("except ValueError:".to_owned());
                say("    return False".to_owned());
                say(format!("if abs(datetime.datetime.now().timestamp() - at) > {}:", words.tolerance));
            }
            form => {
                let at = if form == TimestampForm::Ms { "int(stamp) // 1000" } else { "int(stamp)" };
                let far = format!("abs(time.time() - {at}) > {}", words.tolerance);
                say(format!("if not stamp.isdecimal() or len(stamp) > 15 or {far}:"));
            }
        }
        say("    return False".to_owned());
    }
    if words.signs(&Piece::Form) {
        say("fields = sorted(set(urllib.parse.parse_qsl(body.decode(errors=\"replace\"), keep_blank_values=True)))"
            .to_owned());
    }
    let part = |piece: &Piece| match piece {
        Piece::Timestamp => "stamp.encode()".to_owned(),
        Piece::Id => {
            let name = layout.id_header.as_deref().unwrap_or_default().to_lowercase();
            format!("headers.get({}, \"\").encode()", quoted(&name))
        }
        Piece::Method => "method.encode()".to_owned(),
        Piece::Url => "url.encode()".to_owned(),
        Piece::Form => "\"\".join(name + value for name, value in fields).encode()".to_owned(),
        Piece::Body => "body".to_owned(),
        Piece::Literal(text) => format!("b{}", quoted(text)),
    };
    if words.mac.is_some() {
        say(format!("signed = {}", words.pieces().iter().map(part).collect::<Vec<_>>().join(" + ")));
    }
    say("for secret in filter(None, secrets):".to_owned());
    let before = words.before();
    match words.mac {
        None => say(format!("    entry = {before}secret")),
        Some((_, hash, encoding, key)) => {
            let decoded = match key {
                KeyDecoding::Raw => None,
                KeyDecoding::Base64AfterPrefix => {
                    Some("base64.b64decode(secret.removeprefix(\"whsec_\"), validate=True)")
                }
                KeyDecoding::Base64 => Some("base64.b64decode(secret, validate=True)"),
                KeyDecoding::Hex => Some("bytes.fromhex(secret)"),
            };
            match decoded {
                None => say("    key = secret.encode()".to_owned()),
                // One that cannot be a secret keeps the other from nothing.
                Some(decoded) => {
                    say("    try:".to_owned());
                    say(format!("        key = {decoded}"));
                    say("    except ValueError:".to_owned());
                    say("        continue".to_owned());
                    say("    if not key:".to_owned());
                    say("        continue".to_owned());
                }
            }
            let mac = format!("hmac.new(key, signed, hashlib.{})", hash.name().to_lowercase());
            say(match encoding {
                Encoding::Hex => format!("    entry = {before}{mac}.hexdigest()"),
                Encoding::Base64 => format!("    entry = {before}base64.b64encode({mac}.digest()).decode()"),
                Encoding::Base64url => {
                    format!("    entry = {before}base64.urlsafe_b64encode({mac}.digest()).decode().rstrip(\"=\")")
                }
            });
        }
    }
    say("    if any(hmac.compare_digest(entry.encode(), other.encode()) for other in entries):".to_owned());
    say("        return True".to_owned());
    say("return False".to_owned());
    lines
}
