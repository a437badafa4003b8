//! Programs that fail, hang, talk too much, or must not see something.

use super::*;

fn shell(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).to_vec()
}

#[test]
fn what_a_program_prints_counts_only_where_it_succeeds_and_does_not_print_too_much() {
    assert_eq!(output(&shell("echo key"), COMMAND_DEADLINE, &[]).unwrap().as_slice(), b"key\n");
    for script in ["exit 3", "head -c 70000 /dev/zero", "kill -9 $$"] {
        let error = output(&shell(script), COMMAND_DEADLINE, &[]).unwrap_err();
        assert!(matches!(error, ProgramError::Failed { .. }), "{script}");
    }
    assert!(output(&[], COMMAND_DEADLINE, &[]).is_err());
    assert!(output(&["/no/such/program".to_owned()], COMMAND_DEADLINE, &[]).is_err());
}

#[test]
fn a_program_that_hangs_is_killed_with_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let script = format!("(sleep 1; touch {}) & wait", mark.display());
    let started = Instant::now();
    let error = output(&shell(&script), Duration::from_millis(100), &[]).unwrap_err();
    assert!(matches!(error, ProgramError::Late { .. }));
    assert!(started.elapsed() < Duration::from_millis(900));
    thread::sleep(Duration::from_millis(1200));
    assert!(!mark.exists());
}

#[test]
fn a_child_that_keeps_the_pipe_open_does_not_outlast_the_deadline() {
    let started = Instant::now();
    let error = output(&shell("sleep 5 & echo key"), Duration::from_millis(200), &[]).unwrap_err();
    assert!(matches!(error, ProgramError::Late { .. }));
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_private_variable_is_not_passed_on() {
    // Cargo sets this one for every test, so it stands for a key's variable.
    let private = ["CARGO_MANIFEST_DIR".to_owned()];
    let printed = output(&shell("env"), COMMAND_DEADLINE, &private).unwrap();
    let printed = String::from_utf8_lossy(&printed);
    assert!(printed.contains("PATH=") && !printed.contains("CARGO_MANIFEST_DIR="));
}
