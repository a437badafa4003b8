//! The receivers that `provider show` prints, as Python, Node and Go run them: each accepts what we sign, and refuses what we refuse.

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};
use whsec::provider::recipe::receivers;
use whsec::provider::signature::{Scheme, Sent, sign, verify};
use whsec::provider::spec::KeyDecoding;
use whsec::provider::{Catalog, Provider};
use whsec::secret::Secret;

/// What no built-in description says.
const OTHERS: [&str; 3] = [
    "header = \"X-Sig-{n}\"\nentry = \"{mac}\"\nsigned = \"{body}\"\nencoding = \"base64\"\nkey = \"base64\"",
    "header = \"X-Sig\"\nentry = \"v1={mac}\"\nlead = \"t={timestamp}\"\nbetween = \",\"\nsigned = \"{timestamp}.{body}\"\n\
     encoding = \"base64url\"\nkey = \"hex\"\ntolerance = \"300s\"",
    "header = \"X-Sig\"\nentry = \"s={mac}\"\nhash = \"sha1\"\nsigned = \"{method}\\\\{url}{form}\"\nencoding = \"hex\"\nkey = \"raw\"",
];

/// Deliveries of each kind for each provider.
const ROUNDS: usize = 10;

const PYTHON: &str = "
import sys, json, base64 as b64
for line in sys.stdin:
    case = json.loads(line)
    more = {name: case[name] for name in accepts.__code__.co_varnames[:accepts.__code__.co_argcount] if name in case}
    print(json.dumps(accepts(**{**more, 'body': b64.b64decode(case['body'])})))
";

const JAVASCRIPT: &str = "
for (const line of require('node:fs').readFileSync(0, 'utf8').trim().split('\\n')) {
  const { secrets, headers, body, url, method } = JSON.parse(line);
  const more = [url, method].slice(0, accepts.length - 3);
  console.log(JSON.stringify(accepts(secrets, headers, Buffer.from(body, 'base64'), ...more)));
}
";

/// What is given to the receiver of the scheme whose number is the argument. The first mark stands for the imports of all, the
/// second for their calls.
const GO: &str = "package main

import (
\t\"encoding/json\"
\t\"net/http\"
\t\"os\"
\t\"strconv\"
IMPORTS)

type delivery struct {
\tSecrets     []string
\tHeaders     map[string]string
\tBody        []byte
\tURL, Method string
}

var judges = []func(given delivery, header http.Header) bool{
CALLS}

func main() {
\tscheme, _ := strconv.Atoi(os.Args[1])
\tfor decoder := json.NewDecoder(os.Stdin); decoder.More(); {
\t\tvar given delivery
\t\tif err := decoder.Decode(&given); err != nil {
\t\t\tpanic(err)
\t\t}
\t\theader := http.Header{}
\t\tfor name, value := range given.Headers {
\t\t\theader.Set(name, value)
\t\t}
\t\tos.Stdout.WriteString(strconv.FormatBool(judges[scheme](given, header)) + \"\\n\")
\t}
}
";

fn schemes() -> Vec<(String, Scheme)> {
    let catalog = Catalog::builtin();
    let built_in = catalog.names().into_iter().filter_map(|name| {
        let provider = catalog.get(&name).unwrap();
        Scheme::of(&provider).map(|scheme| (name, scheme))
    });
    let layers = include_str!("../../src/provider/builtin/layers.toml");
    let (before, rest) = layers.split_once("[signature]\n").unwrap();
    let (_, after) = rest.split_once("\n\n").unwrap();
    let others = OTHERS.iter().map(|words| {
        let provider = Provider::parse(&format!("{before}[signature]\n{words}\n\n{after}"), words).unwrap();
        ((*words).to_owned(), Scheme::of(&provider).unwrap())
    });
    built_in.chain(others).collect()
}

/// A secret in the form that the scheme decodes.
fn secret(scheme: &Scheme) -> Secret {
    let bytes = [uuid::Uuid::new_v4().into_bytes(), uuid::Uuid::new_v4().into_bytes()].concat();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Secret::new(match scheme.key_decoding() {
        KeyDecoding::Raw => format!("wsk_{hex}"),
        KeyDecoding::Base64AfterPrefix => format!("whsec_{}", STANDARD.encode(bytes)),
        KeyDecoding::Base64 => STANDARD.encode(bytes),
        KeyDecoding::Hex => hex,
    })
}

/// Deliveries, right and wrong, with what we say of them.
fn cases(scheme: &Scheme) -> Vec<(&'static str, Value, bool)> {
    let (new, old, other) = (secret(scheme), secret(scheme), secret(scheme));
    let (url, now) = ("https://hooks.example/in?team=a%20b", Timestamp::now().as_second());
    let mut cases = Vec::new();
    for round in 0..ROUNDS {
        let note = format!("{round} \u{fc}\u{1f600}\n");
        let body = match scheme.signs_form() {
            true => form_urlencoded::Serializer::new(String::new())
                .extend_pairs([("b", note.as_str()), ("a", "1"), ("b", "x&y=z"), ("a", "1"), ("\u{e9}", "")])
                .finish(),
            false => json!({ "id": round, "note": note, "url": "https://a.example/\\" }).to_string(),
        };
        let changed = format!("{body}{}", if scheme.signs_form() { "&c=1" } else { " " });
        let by =
            |secrets: &[&Secret], at: i64| sign(scheme, secrets, "msg_1", at, Sent::to(url, body.as_bytes())).unwrap();
        let garbled = |headers: Vec<(String, String)>| -> Vec<(String, String)> {
            headers.into_iter().map(|(name, value)| (name, value.replace(['a', 'e', '4', 'B'], "0"))).collect()
        };
        let cut = |mut headers: Vec<(String, String)>| {
            let value = &mut headers.last_mut().unwrap().1;
            value.truncate(value.len() - 4);
            headers
        };
        for (kind, headers, body, url) in [
            ("new", by(&[&new], now), &body, url),
            ("old", by(&[&old], now), &body, url),
            ("both", by(&[&new, &old], now), &body, url),
            ("another first", by(&[&other, &new], now), &body, url),
            ("another's", by(&[&other], now), &body, url),
            ("another body", by(&[&new], now), &changed, url),
            ("another address", by(&[&new], now), &body, "https://hooks.example/in"),
            ("stale", by(&[&new], now - 4_000), &body, url),
            ("early", by(&[&new], now + 4_000), &body, url),
            ("garbled", garbled(by(&[&new], now)), &body, url),
            ("cut", cut(by(&[&new], now)), &body, url),
            ("unsigned", scheme.unsigned("msg_1", now), &body, url),
        ] {
            let sent = Sent::to(url, body.as_bytes());
            let accepted = verify(scheme, &[&new, &old], &headers, sent, now).is_ok();
            let named: serde_json::Map<_, _> =
                headers.iter().map(|(name, value)| (name.to_lowercase(), json!(value))).collect();
            let case = json!({
                "secrets": [new.expose(), old.expose()], "headers": named, "body": STANDARD.encode(body), "url": url,
                "method": sent.method,
            });
            cases.push((kind, case, accepted));
        }
        // What is no secret of this form is no reason to refuse what the other one signs.
        let headers = by(&[&old], now);
        let named: serde_json::Map<_, _> =
            headers.iter().map(|(name, value)| (name.to_lowercase(), json!(value))).collect();
        let case = json!({
            "secrets": ["whsec_!!", "ab!!", "YWI=-", old.expose()], "headers": named, "body": STANDARD.encode(&body), "url": url, "method": "POST",
        });
        cases.push(("beside no secret", case, true));
        // No coming secret is nobody's secret: neither a delivery without anything nor what an empty key signs is accepted.
        let forged = whsec::provider::signature::Scheme::keyed_by(scheme, b"")
            .and_then(|key| scheme.signature(&key, "msg_1", &scheme.stamp(now), Sent::to(url, body.as_bytes())))
            .map(|signature| scheme.headers("msg_1", now, &[scheme.written(&signature)]));
        let long = scheme.headers("msg_1", now, &["0".repeat(64)]).into_iter().map(|(name, value)| {
            let digits = "9".repeat(400);
            (name, value.replace(&scheme.stamp(now), &digits))
        });
        // What a moment is written with is judged, too, where whoever wrote it has the secret.
        let written = |stamp: String| {
            let signature = scheme
                .signature(&scheme.keyed(&new).unwrap(), "msg_1", &stamp, Sent::to(url, body.as_bytes()))
                .unwrap();
            let headers = scheme.headers("msg_1", now, &[scheme.written(&signature)]);
            let headers = headers.into_iter().map(|(name, value)| (name, value.replace(&scheme.stamp(now), &stamp)));
            headers.collect::<Vec<_>>()
        };
        let is_number = scheme.tolerance().is_some() && scheme.stamp(now).bytes().all(|byte| byte.is_ascii_digit());
        let odd = [format!("+{}", scheme.stamp(now)), format!("{}.0", scheme.stamp(now))];
        let odd = odd.into_iter().filter(|_| is_number).map(written);
        for headers in [forged.unwrap_or_default(), Vec::new(), long.collect()].into_iter().chain(odd) {
            let named: serde_json::Map<_, _> =
                headers.iter().map(|(name, value)| (name.to_lowercase(), json!(value))).collect();
            let case = json!({
                "secrets": [new.expose(), ""], "headers": named, "body": STANDARD.encode(&body), "url": url, "method": "POST",
            });
            cases.push(("by nobody", case, false));
        }
    }
    cases
}

/// What a program of lines says to each case.
fn run(program: &str, arguments: &[&str], cases: &[(&str, Value, bool)]) -> Vec<Value> {
    let command = Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = command.unwrap_or_else(|error| panic!("{program}: {error}"));
    let lines: String = cases.iter().map(|(_, case, _)| format!("{case}\n")).collect();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The receivers in Go, each a package of its own as it is shown, built into one program.
fn build(folder: &Path, schemes: &[(String, Scheme)]) -> PathBuf {
    let (mut imports, mut calls) = (String::new(), String::new());
    for (at, (name, scheme)) in schemes.iter().enumerate() {
        let recipe = receivers(scheme).into_iter().find(|recipe| recipe.language == "Go").unwrap();
        let parameters = recipe.lines.iter().find(|line| line.starts_with("func Accepts(")).unwrap();
        let more = [("address", ", given.URL"), ("method", ", given.Method")];
        let more = more.into_iter().filter(|(parameter, _)| parameters.contains(parameter)).map(|(_, given)| given);
        let more: String = more.collect();
        writeln!(imports, "\ts{at} \"receivers/s{at}\" // {}", name.lines().next().unwrap()).unwrap();
        writeln!(calls, "\tfunc(given delivery, header http.Header) bool {{").unwrap();
        writeln!(calls, "\t\treturn s{at}.Accepts(given.Secrets, header, given.Body{more})\n\t}},").unwrap();
        std::fs::create_dir(folder.join(format!("s{at}"))).unwrap();
        std::fs::write(folder.join(format!("s{at}/receiver.go")), recipe.lines.join("\n") + "\n").unwrap();
    }
    std::fs::write(folder.join("main.go"), GO.replace("IMPORTS", &imports).replace("CALLS", &calls)).unwrap();
    std::fs::write(folder.join("go.mod"), "module receivers\n\ngo 1.19\n").unwrap();
    let unformatted = Command::new("gofmt").args(["-l", "-d", "."]).current_dir(folder).output();
    let unformatted = unformatted.unwrap_or_else(|error| panic!("gofmt: {error}"));
    let (said, errors) = (String::from_utf8_lossy(&unformatted.stdout), String::from_utf8_lossy(&unformatted.stderr));
    assert!(unformatted.status.success() && !said.contains("receiver.go"), "gofmt: {said}{errors}");
    let mut build = Command::new("go");
    build.args(["build", "-o", "judge", "."]).current_dir(folder);
    build.envs([("GO111MODULE", "on"), ("GOFLAGS", "-mod=mod"), ("GOPROXY", "off"), ("GOTOOLCHAIN", "local")]);
    // It is kept: where the standard library has to be compiled, that is done once.
    build.env("GOCACHE", concat!(env!("CARGO_TARGET_TMPDIR"), "/go")).env("GOPATH", folder.join("go"));
    let built = build.output().unwrap_or_else(|error| panic!("go: {error}"));
    assert!(built.status.success(), "go build: {}", String::from_utf8_lossy(&built.stderr));
    folder.join("judge")
}

#[test]
#[ignore = "needs python3, node and go; run by tests/run"]
fn each_receiver_that_is_shown_judges_as_we_do() {
    let (mut right, mut wrong, schemes) = (0, 0, schemes());
    let folder = tempfile::tempdir().unwrap();
    let judge = build(folder.path(), &schemes);
    for (at, (name, scheme)) in schemes.iter().enumerate() {
        let cases = cases(scheme);
        for recipe in receivers(scheme) {
            let code = recipe.lines.join("\n");
            let said = match recipe.language {
                "Python" => run("python3", &["-c", &format!("{code}\n{PYTHON}")], &cases),
                "JavaScript" => run("node", &["-e", &format!("{code}\n{JAVASCRIPT}")], &cases),
                _ => run(judge.to_str().unwrap(), &[&at.to_string()], &cases),
            };
            assert_eq!(said.len(), cases.len());
            for ((kind, case, accepted), said) in cases.iter().zip(&said) {
                assert_eq!(said, &json!(accepted), "{name}, {}, {kind}: {case}\n{code}", recipe.language);
                *(if *accepted { &mut right } else { &mut wrong }) += 1;
            }
        }
    }
    assert!(right > 1_000 && wrong > 1_000, "{right} right, {wrong} wrong");
    println!(
        "PROMISE 11 | receivers that provider show prints, in Python, JavaScript and Go | cases {} | failures 0 | {} schemes: \
         {right} accepted, {wrong} refused, as by verify",
        right + wrong,
        schemes.len()
    );
}

#[test]
fn every_scheme_has_a_receiver_in_each_language_that_fits_on_a_screen() {
    for (name, scheme) in schemes() {
        for recipe in receivers(&scheme) {
            // Go has a line for each import, and three for what is one elsewhere.
            let most = if recipe.language == "Go" { 50 } else { 24 };
            let count = recipe.lines.len();
            assert!((8..=most).contains(&count), "{name}, {}: {count} lines", recipe.language);
            for line in &recipe.lines {
                assert!(line.len() <= 160 && !line.contains('\n'), "{name}: {line}");
            }
        }
    }
}
