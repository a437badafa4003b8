//! What is written to a full or closed stdout is lost: the work is done all the same, and nobody is told that all went well.

use std::fs::File;
use std::process::Stdio;

use crate::sandbox::{Run, Sandbox};

/// Runs a command with this as its stdout.
fn into(sandbox: &Sandbox, arguments: &[&str], stdout: impl Into<Stdio>) -> Run {
    let child = sandbox.command(arguments).stdout(stdout).stderr(Stdio::piped()).spawn().unwrap();
    sandbox.finish(child)
}

fn full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

#[test]
fn output_that_is_lost_is_no_success_and_what_was_done_stays() {
    let sandbox = Sandbox::new("layers");
    for line in [&["status"][..], &["status", "--json"], &["completions", "bash"], &["provider", "list", "--json"]] {
        let run = into(&sandbox, line, full()).exits(1).says("what this command says could not be written to stdout");
        run.says("No space left on device").says("and not to be done again");
    }
    into(&sandbox, &["--help"], full()).exits(1);
    into(&sandbox, &["rotate", "hooks", "--yes", "--json"], full()).exits(1).says("could not be written to stdout");
    assert_eq!(sandbox.rotations(), 1);
    assert_eq!(sandbox.slot("_NEW"), Some(sandbox.newest()));
    sandbox.run(&["rotate", "hooks", "--yes"]).exits(5);
    // What says more than that stays as it is.
    into(&sandbox, &["cutover", "hooks", "--json"], full()).exits(11).says_not("could not be written");
    into(&sandbox, &["status", "--exit-code"], full()).exits(11);
    // Without a word on stdout nothing is lost.
    into(&sandbox, &["status", "--quiet"], full()).exits(0);
}

#[test]
fn a_reader_that_has_gone_has_read_enough() {
    let sandbox = Sandbox::new("layers");
    for line in [&["status"][..], &["status", "--json"], &["--help"], &["rotate", "hooks", "--yes", "--json"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        into(&sandbox, line, writer).exits(0).says_not("error");
    }
}

#[test]
fn a_secret_that_nobody_can_read_is_not_revealed() {
    let sandbox = Sandbox::new("layers");
    let reveal = ["reveal", "hooks", "--unsafe-stdout"];
    assert_eq!(sandbox.run_revealing(&reveal).exits(0).stdout, sandbox.newest().expose());
    into(&sandbox, &reveal, full()).exits(1).says("could not be written to stdout");
    into(&sandbox, &reveal, Stdio::null()).exits(1).says("it is closed, or a device");
    let mut shell = std::process::Command::new("sh");
    let whsec = sandbox.command(&reveal);
    shell.args(["-c", "exec \"$0\" \"$@\" >&-"]).arg(whsec.get_program()).args(whsec.get_args()).env_clear();
    shell.envs(whsec.get_envs().filter_map(|(name, value)| Some((name, value?)))).current_dir(sandbox.path("work"));
    sandbox.watch(shell.stdin(Stdio::null()).output().unwrap()).exits(1).says("could not be written to stdout");
}
