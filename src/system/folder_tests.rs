//! Who has the lock on a folder, where it is another user.

use std::fs::Permissions;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;

use super::*;

#[test]
fn b11_another_users_lock_names_the_user() {
    if !cfg!(target_os = "linux") || !rustix::process::geteuid().is_root() {
        let _ = std::io::Write::write_all(&mut std::io::stderr(), b"SKIPPED: only root can be another user\n");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let nobody = std::fs::read_to_string("/etc/passwd").unwrap();
    let nobody =
        nobody.lines().find_map(|line| line.strip_prefix("nobody:x:")).unwrap().split(':').next().unwrap().to_owned();
    let mut other = std::process::Command::new("setpriv");
    other.args(["--reuid", &nobody, "--regid", &nobody, "--clear-groups", "flock", "--no-fork"]);
    other.arg(folder.path()).args(["sh", "-c", "echo locked; exec sleep 60"]).stdout(std::process::Stdio::piped());
    let mut other = other.spawn().unwrap();
    other.stdout.take().unwrap().read_exact(&mut [0; 7]).unwrap();
    let way = Way::find(&folder.path().join("file")).unwrap();
    let error = Folder::lock(&way).map(drop).unwrap_err();
    let says = format!("process {} of the user `nobody` has locked `{}`", other.id(), folder.path().display());
    other.kill().unwrap();
    other.wait().unwrap();
    assert!(error.to_string().contains(&says), "{error}");
    let hint = error.hint().unwrap().to_string();
    assert!(hint.contains(&format!("the user `nobody` or root can end: kill {}", other.id())), "{hint}");
}

#[test]
fn a18_who_holds_the_lock_and_is_at_work_is_waited_for_and_who_sleeps_is_not() {
    if !cfg!(target_os = "linux") {
        return;
    }
    // By the time it is let go of, one who sleeps would have been given up long ago.
    for (line, is_waited_for) in
        [("echo locked; while ((SECONDS < 6)); do :; done", true), ("echo locked; exec sleep 60", false)]
    {
        let folder = tempfile::tempdir().unwrap();
        let mut other = std::process::Command::new("flock");
        other.arg("--no-fork").arg(folder.path()).args(["bash", "-c", line]).stdout(std::process::Stdio::piped());
        let mut other = other.spawn().unwrap();
        other.stdout.take().unwrap().read_exact(&mut [0; 7]).unwrap();
        let way = Way::find(&folder.path().join("file")).unwrap();
        let locked = Folder::lock(&way);
        assert_eq!(locked.is_ok(), is_waited_for, "{line}");
        other.kill().unwrap();
        other.wait().unwrap();
    }
    assert!(!is_at_work(std::process::id()), "nobody waits for itself");
}
