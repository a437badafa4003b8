//! Promise 7: whatever an operator gives as an id is one segment of the path, or is refused before anything is sent.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use whsec::provider::answer::Outcome;
use whsec::provider::client::{Client, ClientOptions};
use whsec::provider::{Catalog, Endpoint, request};
use whsec::secret::Secret;

use crate::ensure;
use crate::scene::ALL;
use crate::server::read_request;
use crate::tally::{Dice, is_full, report};

/// Pieces that mean something in a path, a query, a fragment, a host, or to somebody who decodes once too often.
const PIECES: [&str; 44] = [
    "whk_1",
    "a",
    "Z9",
    "..",
    ".",
    "...",
    "/",
    "\\",
    "//",
    "%2e%2e",
    "%2E.",
    "%2f",
    "%2F",
    "%5c",
    "%00",
    "%",
    "%%",
    "%25",
    "?",
    "?force=true",
    "&force=true",
    "#",
    ";",
    ";v=1",
    ":",
    "@",
    "@evil.example",
    "http://",
    "//evil.example",
    "+",
    " ",
    "\t",
    "\r\n",
    "\0",
    "~",
    "*",
    "{id}",
    "ü",
    "\u{202e}",
    "／",
    "。。",
    "\u{fffd}",
    "rotate-secret",
    "=",
];

/// An id that is mostly made to be misunderstood.
fn id(dice: &mut Dice) -> String {
    let pieces = 1 + dice.below(5);
    let mut id: String = (0..pieces).map(|_| PIECES[dice.below(PIECES.len())]).collect();
    if dice.below(4) == 0 {
        let any = u32::try_from(dice.below(0x11_0000)).unwrap();
        id.push(char::from_u32(any).unwrap_or('x'));
    }
    id
}

/// Answers every request with 404 and tells its first line.
fn listen() -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
            let Ok(request) = read_request(&mut stream) else { continue };
            let answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = std::io::Write::write_all(&mut stream, answer);
            let text = String::from_utf8_lossy(&request).into_owned();
            if sender.send(text.lines().next().unwrap_or_default().to_owned()).is_err() {
                return;
            }
        }
    });
    (address, lines)
}

/// The segments of a request's path, decoded once, as any server would.
fn segments(target: &str) -> Vec<String> {
    let decode = |part: &str| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned();
    target.trim_start_matches('/').split('/').map(decode).collect()
}

/// The segments that the description has for these ids.
fn wanted(endpoint: &Endpoint, ids: &[(String, String)]) -> Vec<String> {
    let path = endpoint.provider.spec().rotate.path.clone();
    let fill = |part: &str| {
        let own = ids.iter().find(|(name, _)| part == format!("{{{name}}}"));
        own.map_or_else(|| part.to_owned(), |(_, id)| id.clone())
    };
    path.unwrap_or_default().trim_start_matches('/').split('/').map(fill).collect()
}

/// What the URL of a call has to be like for these ids.
fn check(target: &str, wanted: &[String]) -> Result<(), String> {
    ensure!(target.starts_with('/'), "the path is `{target}`");
    ensure!(target.bytes().all(|byte| byte.is_ascii_graphic()), "`{target}` has something that is sent encoded");
    ensure!(!target.contains(['?', '#', '\\', ';', '@']), "`{target}` has more than a path in it");
    ensure!(segments(target) == wanted, "`{target}` is another path than {wanted:?}");
    let dots = |part: &str| matches!(part.to_lowercase().replace("%2e", ".").as_str(), "." | "..");
    ensure!(!target.split('/').any(dots), "`{target}` leads elsewhere");
    Ok(())
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn an_id_is_one_path_segment() {
    let (count, every) = if is_full() { (100_000, 10) } else { (10_000, 20) };
    let (address, lines) = listen();
    let (catalog, base) = (Catalog::builtin(), format!("http://{address}"));
    let client = Client::new(&ClientOptions { timeout: Duration::from_secs(5), ca: None }).unwrap();
    let (key, mut dice) = (Secret::new("test_key_5f1d0c9ab2e84d7793"), Dice::new(7));
    let (mut failures, mut refused, mut sent) = (Vec::new(), 0, 0);
    for round in 0..count {
        let provider = catalog.get(ALL[round % ALL.len()]).unwrap();
        let ids: Vec<(String, String)> = provider.spec().ids.iter().map(|name| (name.clone(), id(&mut dice))).collect();
        let Ok(endpoint) = provider.endpoint(Some(&base), &ids, None, &BTreeMap::new()) else {
            refused += 1;
            continue;
        };
        let request = request::rotate(&endpoint, None).expect("a call");
        let wanted = wanted(&endpoint, &ids);
        let mut outcome = match request.url.strip_prefix(&base) {
            Some(target) => check(target, &wanted),
            None => Err(format!("`{}` is another server", request.url)),
        };
        if outcome.is_ok() && round % every == 0 {
            sent += 1;
            outcome = match client.call(&endpoint, &request, &key) {
                Outcome::Refused(_) => {
                    let line = lines.recv_timeout(Duration::from_secs(5)).unwrap_or_default();
                    check(line.split(' ').nth(1).unwrap_or_default(), &wanted)
                }
                other => Err(format!("the call came to {other:?}")),
            };
        }
        failures.extend(outcome.err().map(|why| format!("{ids:?}: {why}")));
        failures.truncate(20);
    }
    assert!(
        refused > count / 10 && sent > 100,
        "{refused} of {count} were refused and {sent} sent: this proves little"
    );
    let figure = format!("{refused} refused, {sent} sent over loopback, 0 requests to another path");
    report(7, "an id is one path segment", count, &failures, &figure);
}
