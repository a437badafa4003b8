//! Promises 3 and 9: whatever becomes of the answer, no call is repeated blindly, and nothing that came is dropped.

use std::time::Duration;

use crate::ensure;
use crate::scene::{IDEMPOTENT, MOST_ATTEMPTS, NOT_IDEMPOTENT, Scene};
use crate::server::{Act, Then, answer, body};
use crate::tally::{Case, Dice, is_full, sweep};
use memchr::memmem;

/// What an act leaves the client with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Leaves {
    /// No answer that says what came of it.
    Nothing,
    /// A yes whose body has no secret that can be read.
    Unreadable,
    /// The secret, in spite of everything.
    Secret,
}

/// For a call, and what it takes of that on an idle machine. An exchange that comes to an end has time to, on a machine that
/// is busy with others; one that is silent in the end takes all of it.
pub fn deadline(act: &Act) -> (&'static str, Duration) {
    match act {
        Act::HoldUnread => ("3s", 3 * SECOND),
        Act::Refuse(then) | Act::Commit(then) => match then {
            Then::Hold(_) | Then::Drip { .. } | Then::ChangeAndHold(_) => ("3s", 3 * SECOND),
            Then::Send(_) | Then::Change(_) | Then::Slowly { .. } => ("30s", SECOND),
        },
        Act::CloseUnread | Act::Honest => ("30s", SECOND),
    }
}

pub const SECOND: Duration = Duration::from_secs(1);
const SOON: Duration = Duration::from_millis(20);

fn head(status: &str, headers: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{headers}\r\n").into_bytes()
}

fn ok(body: &[u8]) -> Then {
    Then::Send(answer(200, "Content-Type: application/json\r\n", body))
}

fn drip(head: Vec<u8>, chunk: &[u8], every: Duration) -> Then {
    Then::Drip { head, chunk: chunk.to_vec(), every }
}

/// 16 MiB of zeros as gzip would have them: stored blocks of deflate are enough for somebody who unpacks.
fn bomb() -> Vec<u8> {
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    for _ in 0..15 {
        bytes.extend([0, 0xff, 0xff, 0, 0]);
        bytes.extend(std::iter::repeat_n(0, 0xffff));
    }
    bytes
}

fn half(honest: &[u8]) -> Vec<u8> {
    let cut = honest.len() - body(honest).len() / 2;
    honest[..cut].to_vec()
}

fn in_one_byte_chunks(honest: &[u8]) -> Vec<u8> {
    let mut text = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for byte in body(honest) {
        text.extend([b'1', b'\r', b'\n', *byte, b'\r', b'\n']);
    }
    text.extend(b"0\r\n\r\n");
    text
}

fn chunked_and_cut(honest: &[u8]) -> Vec<u8> {
    let whole = in_one_byte_chunks(honest);
    whole[..whole.len() - 9].to_vec()
}

fn said_to_be_packed(honest: &[u8]) -> Vec<u8> {
    answer(200, "Content-Encoding: gzip\r\n", body(honest))
}

fn after_three_early_hints(honest: &[u8]) -> Vec<u8> {
    [&b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".repeat(3), honest].concat()
}

/// Every key twice, the first time with another value.
pub fn doubled(honest: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(body(honest)).into_owned();
    let secret = if text.contains("signingSecret") { "signingSecret" } else { "secret" };
    let doubled = text.replacen('{', &format!("{{\"{secret}\":\"whsec_another_value_of_the_same_key\","), 1);
    answer(200, "", doubled.as_bytes())
}

fn after_bad_utf8(honest: &[u8]) -> Vec<u8> {
    let text = body(honest);
    let doctored = [b"{\"x\":\"\xff\xfe\xc0\",", &text[1..]].concat();
    answer(200, "", &doctored)
}

pub fn acts() -> Vec<(&'static str, Act, Leaves)> {
    use Leaves::{Nothing, Secret, Unreadable};
    let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    let deeper = b"{\"a\":".repeat(100_000);
    let large = [b"{\"secret\":\"".to_vec(), vec![b'a'; 2 << 20], b"\"}".to_vec()].concat();
    let chunk = [b"10000\r\n".to_vec(), vec![b'a'; 65_536], b"\r\n".to_vec()].concat();
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X-Padding: yes\r\n".repeat(5_000));
    let commit = |then| Act::Commit(then);
    let mut acts = vec![
        ("closed unread", Act::CloseUnread, Nothing),
        ("accepted, never read", Act::HoldUnread, Nothing),
        ("read, then closed", Act::Refuse(Then::Send(Vec::new())), Nothing),
        ("read, then silent", Act::Refuse(Then::Hold(Vec::new())), Nothing),
        ("done, then closed", commit(Then::Send(Vec::new())), Nothing),
        ("done, silent before the status line", commit(Then::Hold(Vec::new())), Nothing),
        ("done, silent in the status line", commit(Then::Hold(b"HTTP/1.1 2".to_vec())), Nothing),
        ("done, silent in the headers", commit(Then::Hold(b"HTTP/1.1 200 OK\r\nContent-Ty".to_vec())), Nothing),
        ("done, half headers", commit(Then::Send(b"HTTP/1.1 200 OK\r\nContent-Le".to_vec())), Nothing),
        ("headers at 1 byte/s", commit(drip(b"HTTP/1.1 200 OK\r\nX-Y: ".to_vec(), b"z", SECOND)), Nothing),
        ("headers at 50 bytes/s", commit(drip(b"HTTP/1.1 200 OK\r\nX-Y: ".to_vec(), b"z", SOON)), Nothing),
        ("1xx for ever", commit(drip(Vec::new(), b"HTTP/1.1 102 Processing\r\n\r\n", SOON)), Nothing),
        ("1xx at 1/s", commit(drip(Vec::new(), b"HTTP/1.1 100 Continue\r\n\r\n", SECOND)), Nothing),
        ("garbage", commit(Then::Send(b"\x00\xff\x16\x03garbage, not HTTP\r\n\r\n".to_vec())), Nothing),
        ("garbage without end", commit(drip(Vec::new(), &[0xa5; 4096], Duration::ZERO)), Nothing),
        ("HTTP/2", commit(Then::Send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec())), Nothing),
        ("a TLS alert", commit(Then::Send(b"\x15\x03\x03\x00\x02\x02\x28".to_vec())), Nothing),
        ("a status that is none", commit(Then::Send(b"HTTP/1.1 99999 OK\r\n\r\n".to_vec())), Nothing),
        ("two lengths", commit(Then::Send(head("200 OK", "Content-Length: 5\r\nContent-Length: 9\r\n"))), Nothing),
        ("5,000 headers", commit(Then::Send(many.into_bytes())), Nothing),
        (
            "a header without end",
            commit(drip(b"HTTP/1.1 200 OK\r\nX: ".to_vec(), &[b'a'; 8192], Duration::ZERO)),
            Nothing,
        ),
        ("half a body", commit(Then::Change(half)), Unreadable),
        ("half a body, then silent", commit(Then::ChangeAndHold(half)), Unreadable),
        ("a chunked body, cut", commit(Then::Change(chunked_and_cut)), Unreadable),
        ("a body of 2 MiB", commit(ok(&large)), Unreadable),
        ("a body of 1 GiB, promised", commit(Then::Hold(head("200 OK", "Content-Length: 1073741824\r\n"))), Unreadable),
        ("a body without end", commit(drip(head("200 OK", ""), &[b'a'; 65_536], Duration::ZERO)), Unreadable),
        (
            "chunks without end",
            commit(drip(head("200 OK", "Transfer-Encoding: chunked\r\n"), &chunk, Duration::ZERO)),
            Unreadable,
        ),
        ("a body at 1 byte/s", commit(drip(head("200 OK", ""), b"{", SECOND)), Unreadable),
        ("a body at 50 bytes/s", commit(drip(head("200 OK", ""), b"{", SOON)), Unreadable),
        ("lists 100,000 deep", commit(ok(&deep)), Unreadable),
        ("objects 100,000 deep", commit(ok(&deeper)), Unreadable),
        ("bad UTF-8", commit(Then::Change(after_bad_utf8)), Unreadable),
        ("a web page", commit(ok(b"<html>It worked!</html>")), Unreadable),
        ("nothing", commit(ok(b"")), Unreadable),
        ("204", commit(Then::Send(head("204 No Content", ""))), Unreadable),
        ("no secret", commit(ok(b"{\"ok\":true}")), Unreadable),
        ("a masked secret", commit(ok(b"{\"secret\":\"whsec_****\",\"signingSecret\":\"whsec_****\"}")), Unreadable),
        ("numbers that are none", commit(ok(b"{\"secret\":1e999999}")), Unreadable),
        (
            "a gzip bomb",
            commit(Then::Send(answer(200, "Content-Encoding: gzip\r\nContent-Type: application/json\r\n", &bomb()))),
            Unreadable,
        ),
        (
            "a bomb of every encoding",
            commit(Then::Send(answer(200, "Content-Encoding: gzip, br, zstd, deflate\r\n", &bomb()))),
            Unreadable,
        ),
        ("in chunks of one byte", commit(Then::Change(in_one_byte_chunks)), Secret),
        (
            "a byte at a time",
            commit(Then::Slowly { change: <[u8]>::to_vec, every: Duration::from_micros(200) }),
            Secret,
        ),
        ("said to be packed, and is not", commit(Then::Change(said_to_be_packed)), Secret),
        ("after three early hints", commit(Then::Change(after_three_early_hints)), Secret),
        ("true", Act::Honest, Secret),
    ];
    for status in [301, 302, 303, 408, 425, 500, 502, 503, 504, 599] {
        let name = Box::leak(format!("done, answered with {status}").into_boxed_str());
        acts.push((name, commit(Then::Send(answer(status, "", b"<html>"))), Nothing));
    }
    acts
}

/// One command at a provider that would rotate again.
fn once_only(provider: &str, act: Act, leaves: Leaves) -> Result<(), String> {
    let scene = Scene::new(provider);
    let live = scene.live();
    let (deadline, _) = deadline(&act);
    scene.server.script(&[act]);
    let rotated = scene.rotate(deadline)?;
    let (code, rotations) = (rotated.run.code, scene.sandbox.rotations());
    ensure!(scene.server.arrivals() == 1, "{} rotate calls", scene.server.arrivals());
    ensure!(rotations <= 1, "{rotations} rotations");
    scene.check_calls()?;
    if leaves == Leaves::Secret {
        ensure!(code == 0, "exit {code}:\n{}", rotated.run.stderr);
        ensure!(scene.is_kept(), "the secret is nowhere");
        return Ok(());
    }
    ensure!(code == 7, "exit {code} in place of 7:\n{}", rotated.run.stderr);
    ensure!(scene.status()? == "unknown", "the journal does not say unknown");
    ensure!(scene.live() == live, "the live slot changed");
    if leaves == Leaves::Unreadable {
        let sealed = scene.sealed();
        ensure!(sealed.is_some(), "the answer was dropped");
    }
    let again = scene.rotate("20s")?.run.code;
    ensure!(again == 5, "a second rotation was answered with {again} in place of 5");
    let cutover = scene.run(&["cutover", "hooks", "--timeout", "20s"])?.run.code;
    ensure!(cutover == 7, "cutover came to {cutover} in place of 7");
    ensure!(scene.server.arrivals() == 1, "{} rotate calls in the end", scene.server.arrivals());
    ensure!(leaves != Leaves::Unreadable || scene.sealed().is_some(), "cutover dropped the answer");
    Ok(())
}

/// The first answer is broken and the next one is true.
fn broken_once(provider: &str, act: Act, _: Leaves) -> Result<(), String> {
    let scene = Scene::new(provider);
    let live = scene.live();
    let (deadline, _) = deadline(&act);
    scene.server.script(&[act, Act::Honest]);
    let rotated = scene.rotate(deadline)?;
    ensure!(rotated.run.code == 0, "exit {}:\n{}", rotated.run.code, rotated.run.stderr);
    ensure!(scene.sandbox.rotations() == 1, "{} rotations", scene.sandbox.rotations());
    ensure!(scene.is_kept(), "the secret is nowhere");
    let promotes = provider == "hopae" || provider == "signa";
    ensure!(promotes || scene.live() == live, "the live slot changed");
    scene.check_calls()
}

/// Every answer of a command is broken; the next command's is true.
fn broken_for_long(provider: &str, act: Act, leaves: Leaves) -> Result<(), String> {
    let scene = Scene::new(provider);
    let live = scene.live();
    let (deadline, each) = deadline(&act);
    scene.server.script(&[act]);
    let rotated = scene.rotate(deadline)?;
    if leaves == Leaves::Secret {
        return if rotated.run.code == 0 { Ok(()) } else { Err(format!("exit {}", rotated.run.code)) };
    }
    ensure!(rotated.run.code == 7, "exit {} in place of 7:\n{}", rotated.run.code, rotated.run.stderr);
    let rotations = scene.sandbox.rotations();
    ensure!(rotations <= 1, "{rotations} rotations");
    scene.check_calls()?;
    let calls = u32::try_from(scene.server.arrivals()).unwrap();
    let pauses = 7 * SECOND;
    // How exactly deadlines are kept is measured in the sweep of promise 16; here, that there is one.
    ensure!(rotated.wall < calls * each + pauses + 60 * SECOND, "took {:?} for {calls} calls", rotated.wall);
    ensure!(scene.status()? == "unknown", "the journal does not say unknown");
    ensure!(scene.live() == live, "the live slot changed");
    ensure!(leaves != Leaves::Unreadable || scene.sealed().is_some(), "the answer was dropped");
    let before = scene.server.arrivals();
    let again = scene.rotate("20s")?.run.code;
    ensure!(again == 5 && scene.server.arrivals() == before, "a second rotation came to {again} in place of 5");
    scene.server.script(&[Act::Honest]);
    let cutover = scene.run(&["cutover", "hooks"])?.run;
    ensure!(cutover.code == 11, "cutover came to {} in place of 11:\n{}", cutover.code, cutover.stderr);
    ensure!(scene.sandbox.rotations() == 1 && scene.is_kept(), "the secret is lost");
    let calls = scene.server.calls();
    ensure!(calls.windows(2).all(|pair| pair[0] == pair[1]), "cutover sent other bytes");
    Ok(())
}

type Drive = fn(&str, Act, Leaves) -> Result<(), String>;

fn cases(drive: Drive, what: &str, providers: &[&'static str]) -> Vec<Case<'static>> {
    let mut cases: Vec<Case<'static>> = Vec::new();
    for (name, act, leaves) in acts() {
        for provider in providers.iter().copied() {
            let act = act.clone();
            cases.push((format!("{provider}, {what}, {name}"), Box::new(move || drive(provider, act, leaves))));
        }
    }
    cases
}

pub fn sampled(cases: Vec<Case<'static>>, seed: u64, count: usize) -> Vec<Case<'static>> {
    if is_full() { cases } else { Dice::new(seed).sample(cases, count) }
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn no_broken_answer_makes_a_second_rotation() {
    let mut all = sampled(cases(once_only, "once", &NOT_IDEMPOTENT), 31, 50);
    all.extend(sampled(cases(broken_once, "then true", &IDEMPOTENT), 32, 16));
    all.extend(sampled(cases(broken_for_long, "for long", &IDEMPOTENT), 33, 8));
    sweep(3, "no blind second rotation, whatever becomes of the answer", all, || {
        format!("at most 1 rotation a command, {MOST_ATTEMPTS} attempts with a key; every doubt exits 7")
    });
}

#[test]
fn a_closed_connection_is_never_followed_by_a_second_call_without_a_key() {
    for provider in NOT_IDEMPOTENT {
        for then in [Then::Send(Vec::new()), Then::Hold(Vec::new())] {
            once_only(provider, Act::Commit(then), Leaves::Nothing).unwrap();
        }
    }
}

#[test]
fn a_yes_that_cannot_be_read_is_sealed_whole() {
    for provider in NOT_IDEMPOTENT {
        let scene = Scene::new(provider);
        scene.server.script(&[Act::Commit(Then::Change(after_bad_utf8))]);
        assert_eq!(scene.rotate("20s").unwrap().run.code, 7);
        assert!(scene.sealed().unwrap().contains(scene.sandbox.newest().expose()), "the secret is in what was sealed");
    }
}

#[test]
fn a_mix_of_lost_and_unreadable_answers_stays_within_the_attempts() {
    for provider in IDEMPOTENT {
        let scene = Scene::new(provider);
        let (lost, unreadable) = (Act::Commit(Then::Send(Vec::new())), Act::Commit(ok(b"{}")));
        scene.server.script(&[lost.clone(), lost.clone(), lost.clone(), unreadable, lost]);
        assert_eq!(scene.rotate("20s").unwrap().run.code, 7);
        scene.check_calls().unwrap();
    }
}

#[test]
fn a_masked_repetition_does_not_push_out_the_answer_that_had_the_secret() {
    for provider in IDEMPOTENT {
        let scene = Scene::new(provider);
        let masked = ok(b"{\"secret\":\"whsec_****\",\"signingSecret\":\"whsec_****\"}");
        scene.server.script(&[Act::Commit(Then::Change(after_bad_utf8)), Act::Commit(masked)]);
        assert_eq!(scene.rotate("20s").unwrap().run.code, 7);
        assert_eq!(scene.run(&["cutover", "hooks"]).unwrap().run.code, 7);
        let sealed = scene.sealed().unwrap();
        assert!(sealed.contains(scene.sandbox.newest().expose()), "{provider}: the first answer is gone");
    }
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn an_answer_that_cannot_be_read_is_never_dropped() {
    let unreadable: Vec<_> = acts().into_iter().filter(|(_, _, leaves)| *leaves == Leaves::Unreadable).collect();
    let mut all: Vec<Case<'_>> = Vec::new();
    for (name, act, _) in unreadable {
        for provider in NOT_IDEMPOTENT {
            let act = act.clone();
            all.push((
                format!("{provider}, {name}"),
                Box::new(move || {
                    let scene = Scene::new(provider);
                    let (deadline, _) = deadline(&act);
                    scene.server.script(&[act]);
                    let run = scene.rotate(deadline)?.run;
                    ensure!(run.code == 7, "exit {} in place of 7", run.code);
                    let sealed = scene.sealed().ok_or("the answer was dropped")?;
                    // Half an answer may end before the secret does; whatever came of the secret is there.
                    let newest = scene.sandbox.newest();
                    let expected = match name {
                        "bad UTF-8" => newest.expose(),
                        "a chunked body, cut" => "{",
                        "a web page" => "<html>It worked!</html>",
                        "no secret" => "{\"ok\":true}",
                        _ => "",
                    };
                    ensure!(sealed.contains(expected), "what is sealed is not what came");
                    let found = scene
                        .sandbox
                        .all_files()
                        .into_iter()
                        .any(|(_, bytes)| memmem::find(&bytes, newest.expose().as_bytes()).is_some());
                    ensure!(!found, "the secret is on disk in plain text");
                    Ok(())
                }),
            ));
        }
    }
    sweep(9, "a yes that cannot be read is sealed whole", sampled(all, 9, 16), || {
        "0 answers dropped, 0 plain secrets on disk".to_owned()
    });
}
