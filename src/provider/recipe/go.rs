//! The receiver in Go: a file of its own, as `gofmt` writes it.

use super::super::layout::Time;
use super::super::signed::Piece;
use super::super::spec::{Encoding, Hash, KeyDecoding, TimestampForm};
use super::words::{Words, quoted};

pub(super) fn lines(words: &Words<'_>) -> Vec<String> {
    let mut lines = vec!["package webhook".to_owned(), String::new(), "import (".to_owned()];
    lines.extend(packages(words).iter().map(|package| format!("\t{}", quoted(package))));
    lines.extend([
        ")".to_owned(),
        String::new(),
        "// Accepts takes the live secret and the coming one, and the bytes of the body as they came.".to_owned(),
    ]);
    lines.extend(words.address().map(|address| format!("// {address}")));
    let more = match (words.signs(&Piece::Url), words.signs(&Piece::Method)) {
        (true, true) => ", address, method string",
        (true, false) => ", address string",
        (false, true) => ", method string",
        (false, false) => "",
    };
    lines.push(format!("func Accepts(secrets []string, header http.Header, body []byte{more}) bool {{"));
    let parts = [entries(words), timestamp(words), form(words), secrets(words)];
    lines.extend(parts.into_iter().flatten().map(|line| format!("\t{line}")));
    lines.extend(["\treturn false".to_owned(), "}".to_owned()]);
    lines
}

/// The packages that are used, sorted.
fn packages(words: &Words<'_>) -> Vec<&'static str> {
    let mut packages = vec!["crypto/hmac", "net/http", "strings"];
    if let Some((_, hash, encoding, key)) = words.mac {
        packages.push(match hash {
            Hash::Sha1 => "crypto/sha1",
            Hash::Sha256 => "crypto/sha256",
            Hash::Sha512 => "crypto/sha512",
        });
        packages.push(if encoding == Encoding::Hex { "encoding/hex" } else { "encoding/base64" });
        match key {
            KeyDecoding::Raw => {}
            KeyDecoding::Base64AfterPrefix | KeyDecoding::Base64 => packages.push("encoding/base64"),
            KeyDecoding::Hex => packages.push("encoding/hex"),
        }
    }
    if words.layout.timestamp.is_some() {
        packages.push("time");
        if words.layout.form != TimestampForm::Rfc3339 {
            packages.push("strconv");
        }
    }
    if words.signs(&Piece::Form) {
        packages.extend(["net/url", "sort"]);
    }
    packages.sort_unstable();
    packages.dedup();
    packages
}

/// What stands in the header, or in each of those that are numbered.
fn entries(words: &Words<'_>) -> Vec<String> {
    let layout = words.layout;
    let header = quoted(&canonical(&layout.header));
    match &layout.between {
        _ if layout.is_numbered => vec![
            "var entries []string".to_owned(),
            "for name, values := range header {".to_owned(),
            format!("\tif strings.HasPrefix(name, {header}) {{"),
            "\t\tentries = append(entries, values...)".to_owned(),
            "\t}".to_owned(),
            "}".to_owned(),
        ],
        Some(between) => vec![format!("entries := strings.Split(header.Get({header}), {})", quoted(between))],
        None => vec![format!("signature := strings.TrimSpace(header.Get({header}))")],
    }
}

/// When the delivery was signed, and that this is not too far away.
fn timestamp(words: &Words<'_>) -> Vec<String> {
    let layout = words.layout;
    let Some(time) = &layout.timestamp else { return Vec::new() };
    let mut lines = match time {
        Time::Header(name) => vec![format!("stamp := strings.TrimSpace(header.Get({}))", quoted(&canonical(name)))],
        Time::Lead(lead) => vec![
            "stamp := \"\"".to_owned(),
            "for _, entry := range entries {".to_owned(),
            "\tentry = strings.TrimSpace(entry)".to_owned(),
            format!("\tif stamp == \"\" && strings.HasPrefix(entry, {}) {{", quoted(lead)),
            format!("\t\tstamp = entry[{}:]", lead.len()),
            "\t}".to_owned(),
            "}".to_owned(),
        ],
        Time::Entry(before) => {
            let first = if layout.between.is_some() { "strings.TrimSpace(entries[0])" } else { "signature" };
            let (before, tag) = (quoted(before), quoted(&layout.tag));
            vec![format!("stamp, _, _ := strings.Cut(strings.TrimPrefix({first}, {before}), {tag})")]
        }
    };
    // What is no number of 63 bits without a sign is refused: a text of any length, and what an `int64` has no place for.
    let (read, at) = match layout.form {
        TimestampForm::S => ("strconv.ParseUint(stamp, 10, 63)", "time.Unix(int64(at), 0)"),
        TimestampForm::Ms => ("strconv.ParseUint(stamp, 10, 63)", "time.Unix(int64(at)/1000, 0)"),
        TimestampForm::Rfc3339 => ("time.Parse(time.RFC3339, stamp)", "at"),
    };
    lines.extend([
        format!("at, err := {read}"),
        format!("if err != nil || time.Since({at}).Abs() > {}*time.Second {{", words.tolerance),
        "\treturn false".to_owned(),
        "}".to_owned(),
    ]);
    lines
}

/// The fields of a form, where they are signed: sorted, and what is there twice counts once.
fn form(words: &Words<'_>) -> Vec<String> {
    let lines = [
        "form, err := url.ParseQuery(string(body))",
        "if err != nil {",
        "\treturn false",
        "}",
        "var names []string",
        "for name, values := range form {",
        "\tnames = append(names, name)",
        "\tsort.Strings(values)",
        "}",
        "sort.Strings(names)",
        "var fields []byte",
        "for _, name := range names {",
        "\tfor at, value := range form[name] {",
        "\t\tif at == 0 || value != form[name][at-1] {",
        "\t\t\tfields = append(fields, name+value...)",
        "\t\t}",
        "\t}",
        "}",
    ];
    if words.signs(&Piece::Form) { lines.map(str::to_owned).to_vec() } else { Vec::new() }
}

/// Whether what is there is of one of the secrets.
fn secrets(words: &Words<'_>) -> Vec<String> {
    let mut lines = vec!["for _, secret := range secrets {".to_owned()];
    let mut say = |line: String| lines.push(format!("\t{line}"));
    let decode = match words.mac.map(|(.., key)| key) {
        None | Some(KeyDecoding::Raw) => None,
        Some(KeyDecoding::Base64AfterPrefix) => {
            Some("base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, \"whsec_\"))")
        }
        Some(KeyDecoding::Base64) => Some("base64.StdEncoding.DecodeString(secret)"),
        Some(KeyDecoding::Hex) => Some("hex.DecodeString(secret)"),
    };
    match decode {
        Some(decode) => {
            say(format!("key, err := {decode}"));
            say("if err != nil || len(key) == 0 {".to_owned());
        }
        None => say("if secret == \"\" {".to_owned()),
    }
    say("\tcontinue".to_owned());
    say("}".to_owned());
    let before = words.before();
    match words.mac {
        None => say(format!("want := []byte({before}secret)")),
        Some((_, hash, encoding, _)) => {
            let key = if decode.is_some() { "key" } else { "[]byte(secret)" };
            say(format!("mac := hmac.New({}.New, {key})", hash.name().to_lowercase()));
            signed(words).iter().for_each(|part| say(format!("mac.Write({part})")));
            let write = match encoding {
                Encoding::Hex => "hex.EncodeToString",
                Encoding::Base64 => "base64.StdEncoding.EncodeToString",
                Encoding::Base64url => "base64.RawURLEncoding.EncodeToString",
            };
            say(format!("want := []byte({before}{write}(mac.Sum(nil)))"));
        }
    }
    let found: &[&str] = match words.layout.has_many() {
        true => &[
            "for _, entry := range entries {",
            "\tif hmac.Equal([]byte(strings.TrimSpace(entry)), want) {",
            "\t\treturn true",
            "\t}",
            "}",
        ],
        false => &["if hmac.Equal([]byte(signature), want) {", "\treturn true", "}"],
    };
    found.iter().for_each(|line| say((*line).to_owned()));
    lines.push("}".to_owned());
    lines
}

/// What is signed, in as few slices as it takes: texts that stand side by side are one.
fn signed(words: &Words<'_>) -> Vec<String> {
    let is_slice = |piece: &Piece| matches!(piece, Piece::Body | Piece::Form);
    let texts = |pieces: &[Piece]| pieces.iter().map(|piece| expression(words, piece)).collect::<Vec<_>>().join(" + ");
    let runs = words.pieces().chunk_by(|one, next| !is_slice(one) && !is_slice(next));
    runs.map(|run| match run {
        [slice] if is_slice(slice) => expression(words, slice),
        run => format!("[]byte({})", texts(run)),
    })
    .collect()
}

/// A part of what is signed; all but the body and the fields are strings.
fn expression(words: &Words<'_>, piece: &Piece) -> String {
    match piece {
        Piece::Timestamp => "stamp".to_owned(),
        Piece::Id => {
            let name = words.layout.id_header.as_deref().unwrap_or_default();
            format!("header.Get({})", quoted(&canonical(name)))
        }
        Piece::Method => "method".to_owned(),
        Piece::Url => "address".to_owned(),
        Piece::Form => "fields".to_owned(),
        Piece::Body => "body".to_owned(),
        Piece::Literal(text) => quoted(text),
    }
}

/// The name of a header as Go has it in a `http.Header`.
fn canonical(name: &str) -> String {
    let part = |part: &str| match part.split_at_checked(1) {
        Some((first, rest)) => first.to_ascii_uppercase() + &rest.to_ascii_lowercase(),
        None => part.to_owned(),
    };
    name.split('-').map(part).collect::<Vec<_>>().join("-")
}
