//! The receiver in JavaScript, for Node.

use super::super::layout::Time;
use super::super::signed::Piece;
use super::super::spec::{Encoding, KeyDecoding, TimestampForm};
use super::words::{Words, quoted};

pub(super) fn lines(words: &Words<'_>) -> Vec<String> {
    let layout = words.layout;
    let mut lines = vec![
        "const crypto = require(\"node:crypto\");".to_owned(),
        String::new(),
        "// The live secret and the coming one; names of headers in small letters; a Buffer of the body as it came."
            .to_owned(),
    ];
    lines.extend(words.address().map(|address| format!("// {address}")));
    lines.push(format!("function accepts({}) {{", words.parameters()));
    let mut say = |line: String| lines.push(format!("  {line}"));
    let header = quoted(&words.header());
    say(match &layout.between {
        _ if layout.is_numbered => format!(
            "const entries = Object.keys(headers).filter((name) => name.startsWith({header})).map((name) => headers[name].trim());"
        ),
        Some(between) => {
            format!(
                "const entries = (headers[{header}] ?? \"\").split({}).map((entry) => entry.trim());",
                quoted(between)
            )
        }
        None => format!("const entries = [(headers[{header}] ?? \"\").trim()];"),
    });
    if let Some(time) = &layout.timestamp {
        say(match time {
            Time::Header(name) => {
                format!("const stamp = (headers[{}] ?? \"\").trim();", quoted(&name.to_lowercase()))
            }
            Time::Lead(lead) => format!(
                "const stamp = (entries.find((entry) => entry.startsWith({})) ?? \"\").slice({});",
                quoted(lead),
                lead.len()
            ),
            Time::Entry(before) => {
                format!("const stamp = entries[0].slice({}).split({})[0];", before.len(), quoted(&layout.tag))
            }
        });
        say(match layout.form {
            TimestampForm::S => "const at = /^\\d+$/.test(stamp) ? Number(stamp) : NaN;".to_owned(),
            TimestampForm::Ms => "const at = /^\\d+$/.test(stamp) ? Math.floor(Number(stamp) / 1000) : NaN;".to_owned(),
            TimestampForm::Rfc3339 => "const at = Date.parse(stamp) / 1000;".to_owned(),
        });
        say(format!("if (!(Math.abs(Date.now() / 1000 - at) <= {})) return false;", words.tolerance));
    }
    if words.signs(&Piece::Form) {
        say("const pairs = new Map([...new URLSearchParams(body.toString())].map((pair) => [JSON.stringify(pair), pair]));".to_owned());
        say("const fields = [...pairs.values()].sort((one, other) => (one[0] + \"\\0\" + one[1] < other[0] + \"\\0\" + other[1] ? -1 : 1));".to_owned());
    }
    let part = |piece: &Piece| match piece {
        Piece::Timestamp => "stamp".to_owned(),
        Piece::Id => {
            let name = layout.id_header.as_deref().unwrap_or_default().to_lowercase();
            format!("headers[{}] ?? \"\"", quoted(&name))
        }
        Piece::Method => "method".to_owned(),
        Piece::Url => "url".to_owned(),
        Piece::Form => "fields.flat().join(\"\")".to_owned(),
        Piece::Body => "body".to_owned(),
        Piece::Literal(text) => quoted(text),
    };
    if words.mac.is_some() {
        let parts = words.pieces().iter().map(part).collect::<Vec<_>>().join(", ");
        say(format!("const signed = Buffer.concat([{parts}].map((part) => Buffer.from(part)));"));
    }
    say("return secrets.filter(Boolean).some((secret) => {".to_owned());
    let before = words.before();
    match words.mac {
        None => say(format!("  const entry = Buffer.from({before}secret);")),
        Some((_, hash, encoding, key)) => {
            say(match key {
                KeyDecoding::Raw => "  const key = secret;".to_owned(),
                KeyDecoding::Base64AfterPrefix => "  const text = secret.replace(/^whsec_/, \"\");".to_owned(),
                KeyDecoding::Base64 | KeyDecoding::Hex => "  const text = secret;".to_owned(),
            });
            let form = if key == KeyDecoding::Hex { "hex" } else { "base64" };
            if key != KeyDecoding::Raw {
                say(format!("  const key = Buffer.from(text, \"{form}\");"));
            }
            let (hash, encoding) = (
                hash.name().to_lowercase(),
                match encoding {
                    Encoding::Hex => "hex",
                    Encoding::Base64 => "base64",
                    Encoding::Base64url => "base64url",
                },
            );
            if key != KeyDecoding::Raw {
                // What Node leaves out of a text is not what whoever signs has left out.
                let same = if key == KeyDecoding::Hex { "text.toLowerCase()" } else { "text" };
                say(format!("  if (!key.length || key.toString(\"{form}\") !== {same}) return false;"));
            }
            say(format!("  const mac = crypto.createHmac(\"{hash}\", key).update(signed).digest(\"{encoding}\");"));
            say(format!("  const entry = Buffer.from({before}mac);"));
        }
    }
    say("  const is = (other) => other.length === entry.length && crypto.timingSafeEqual(other, entry);".to_owned());
    say("  return entries.some((other) => is(Buffer.from(other)));".to_owned());
    say("});".to_owned());
    lines.push("}".to_owned());
    lines
}
