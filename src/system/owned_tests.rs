//! Who may have written a file, or put another in its place.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown, symlink};

use super::*;

const MOST: u64 = 1024;

struct Scene(tempfile::TempDir);

impl Scene {
    fn new() -> Self {
        let scene = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(scene.path("a/b")).unwrap();
        fs::write(scene.path("a/b/file"), "text").unwrap();
        for (name, mode) in [("a", 0o755), ("a/b", 0o755), ("a/b/file", 0o644)] {
            scene.mode(name, mode);
        }
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
    }

    /// What is wrong with a file; nothing where it is read.
    fn why(&self, name: &str) -> String {
        match read(&self.path(name), MOST) {
            Ok(read) => read.map(|bytes| String::from_utf8(bytes).unwrap()).unwrap_or_default(),
            Err(error) => error.to_string(),
        }
    }
}

#[test]
fn b3_a_folder_that_others_can_write_to_makes_no_config() {
    let scene = Scene::new();
    assert_eq!(scene.why("a/b/file"), "text");
    for folder in ["a", "a/b"] {
        for (mode, taken) in [(0o777, false), (0o757, false), (0o1777, true), (0o700, true)] {
            scene.mode(folder, mode);
            let expected = if taken { "text" } else { "other users may write a folder above it" };
            assert_eq!(scene.why("a/b/file"), expected, "{folder} {mode:o}");
        }
        scene.mode(folder, 0o755);
    }
    for mode in [0o664, 0o646] {
        scene.mode("a/b/file", mode);
        assert_eq!(scene.why("a/b/file"), "other users may write it");
    }
}

#[test]
fn b3_a_group_may_write_where_it_is_the_users_own() {
    let scene = Scene::new();
    scene.mode("a", 0o775);
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    if user == group {
        assert_eq!(scene.why("a/b/file"), "text");
    }
    if user != 0 {
        let _ = writeln!(std::io::stderr(), "SKIPPED: only root gives files away");
        return;
    }
    chown(scene.path("a"), None, Some(12_345)).unwrap();
    assert_eq!(scene.why("a/b/file"), "other users may write a folder above it");
    scene.mode("a", 0o755);
    assert_eq!(scene.why("a/b/file"), "text");
    chown(scene.path("a"), Some(12_345), None).unwrap();
    assert_eq!(scene.why("a/b/file"), "another user owns a folder above it");
    chown(scene.path("a"), Some(0), None).unwrap();
    chown(scene.path("a/b/file"), Some(12_345), None).unwrap();
    assert_eq!(scene.why("a/b/file"), "another user owns it");
}

#[test]
fn b3_a_link_is_judged_at_both_ends() {
    let scene = Scene::new();
    fs::create_dir(scene.path("open")).unwrap();
    fs::write(scene.path("open/file"), "theirs").unwrap();
    scene.mode("open/file", 0o644);
    scene.mode("open", 0o777);
    symlink(scene.path("open/file"), scene.path("a/b/link")).unwrap();
    symlink(scene.path("a/b/file"), scene.path("open/link")).unwrap();
    for name in ["a/b/link", "open/link"] {
        assert_eq!(scene.why(name), "other users may write a folder above it", "{name}");
    }
    symlink(scene.path("nowhere"), scene.path("a/b/dangling")).unwrap();
    assert_eq!((scene.why("a/b/dangling").as_str(), scene.why("a/b/none").as_str()), ("it cannot be read", ""));
}

#[test]
fn b3_a_pipe_is_not_waited_for_and_a_long_file_is_not_read() {
    let scene = Scene::new();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        scene.path("a/pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_bits_truncate(0o600),
        0,
    )
    .unwrap();
    assert_eq!(scene.why("a/pipe"), "it cannot be read");
    fs::write(scene.path("a/b/file"), vec![b'x'; 1025]).unwrap();
    assert_eq!(scene.why("a/b/file"), "it cannot be read");
    assert_eq!(scene.why("a/b"), "it cannot be read");
}
