//! A receiver of a provider's deliveries in a few lines of Python and of JavaScript, for whoever has to write one.
//!
//! Each accepts either of two secrets, as the time between two rotations needs it. They are put together from the same words by which
//! `verify` and `probe` judge, and held against those by tests.

use super::layout::{Layout, Time};
use super::signature::Scheme;
use super::signed::{Piece, Template};
use super::spec::{Encoding, Hash, KeyDecoding, TimestampForm};

/// What is needed of a scheme.
struct Words<'a> {
    layout: &'a Layout,
    /// `None` where deliveries bear the secret itself.
    mac: Option<(&'a Template, Hash, Encoding, KeyDecoding)>,
    tolerance: u64,
}

/// A receiver in a language.
pub struct Recipe {
    pub language: &'static str,
    pub lines: Vec<String>,
}

/// A receiver in each language.
pub fn receivers(scheme: &Scheme) -> [Recipe; 2] {
    let words = Words {
        layout: scheme.layout(),
        mac: scheme.mac_words(),
        tolerance: scheme.tolerance().map_or(0, |tolerance| tolerance.as_secs()),
    };
    [Recipe { language: "Python", lines: python(&words) }, Recipe { language: "JavaScript", lines: javascript(&words) }]
}

impl Words<'_> {
    fn header(&self) -> String {
        self.layout.header.to_lowercase()
    }

    /// What is put in front of a MAC.
    fn before(&self) -> String {
        let tag = quoted(&self.layout.tag);
        match &self.layout.timestamp {
            Some(Time::Entry(before)) => format!("{} + stamp + {tag} + ", quoted(before)),
            _ if self.layout.tag.is_empty() => String::new(),
            _ => format!("{tag} + "),
        }
    }

    /// What a receiver is given, in the order of both languages.
    fn parameters(&self) -> String {
        let more = [(Piece::Url, ", url"), (Piece::Method, ", method")];
        let signed = more.iter().filter(|(piece, _)| self.signs(piece)).map(|(_, parameter)| *parameter);
        format!("secrets, headers, body{}", signed.collect::<String>())
    }

    /// What has to be said of the address.
    fn address(&self) -> Option<&'static str> {
        let is_signed = self.signs(&Piece::Url);
        is_signed
            .then_some("The address as the provider has it, with scheme, host and query: not what a proxy passes on.")
    }

    fn signs(&self, piece: &Piece) -> bool {
        self.mac.is_some_and(|(signed, ..)| signed.pieces.contains(piece))
    }

    fn pieces(&self) -> &[Piece] {
        self.mac.map_or(&[], |(signed, ..)| &signed.pieces)
    }
}

/// A text as both languages write it: what stands in a description is printable ASCII without quotes.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('\n', "\\n"))
}

fn python(words: &Words<'_>) -> Vec<String> {
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
            say(match key {
                KeyDecoding::Raw => "    key = secret.encode()".to_owned(),
                KeyDecoding::Base64AfterPrefix => {
                    "    key = base64.b64decode(secret.removeprefix(\"whsec_\"), validate=True)".to_owned()
                }
                KeyDecoding::Base64 => "    key = base64.b64decode(secret, validate=True)".to_owned(),
                KeyDecoding::Hex => "    key = bytes.fromhex(secret)".to_owned(),
            });
            if key != KeyDecoding::Raw {
                say("    if not key:".to_owned());
                say("        continue".to_owned());
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

fn javascript(words: &Words<'_>) -> Vec<String> {
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
                KeyDecoding::Base64AfterPrefix => {
                    "  const key = Buffer.from(secret.replace(/^whsec_/, \"\"), \"base64\");".to_owned()
                }
                KeyDecoding::Base64 => "  const key = Buffer.from(secret, \"base64\");".to_owned(),
                KeyDecoding::Hex => "  const key = Buffer.from(secret, \"hex\");".to_owned(),
            });
            let (hash, encoding) = (
                hash.name().to_lowercase(),
                match encoding {
                    Encoding::Hex => "hex",
                    Encoding::Base64 => "base64",
                    Encoding::Base64url => "base64url",
                },
            );
            if key != KeyDecoding::Raw {
                say("  if (!key.length) return false;".to_owned());
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
