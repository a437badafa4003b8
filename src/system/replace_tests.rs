//! Which files are replaced, with which modes, and what happens when others interfere.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::Instant;

use zeroize::Zeroizing;

use super::*;
use crate::system::LOCK_DEADLINE;

fn write(path: &Path, content: &str) -> Result<(), FileError> {
    let place = Place::new(path.to_owned());
    place.edit(|_| Ok::<_, FileError>(Wanted::Content(Zeroizing::new(content.as_bytes().to_vec()))))
}

fn locked_beside(path: &Path) -> Folder {
    Folder::lock(&Way::find(path).unwrap()).unwrap()
}

/// What a run that was cut off leaves beside a file.
fn left_beside(path: &Path) -> PathBuf {
    let folder = locked_beside(path);
    let temporary = folder.temporary(path.file_name().unwrap()).unwrap();
    let left = path.with_file_name(temporary.name());
    temporary.let_go();
    left
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn folder_with(name: &str, content: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    (folder, path)
}

fn refused(path: &Path, part: &str) {
    match write(path, "new") {
        Err(FileError { fault: FileFault::Refused { why, .. }, .. }) => assert!(why.contains(part), "{why}"),
        other => panic!("expected a refusal for {part}, got {other:?}"),
    }
    let folder = path.parent().unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        assert!(!entry.unwrap().file_name().to_string_lossy().starts_with(".whsec-"));
    }
}

#[test]
#[ignore = "changes the umask of the whole process; run alone by tests/run"]
fn no_umask_makes_a_new_file_open_or_changes_an_old_ones_mode() {
    for umask in [0o000, 0o022, 0o777] {
        let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask));
        let folder = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o700)).tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let path = folder.path().join("new");
        write(&path, "new").unwrap();
        let mut modes = vec![(0o600, mode(&path))];
        for old in [0o600, 0o644, 0o666, 0o400, 0o440, 0o640, 0o700] {
            fs::set_permissions(&path, fs::Permissions::from_mode(old)).unwrap();
            write(&path, &format!("{old:o}")).unwrap();
            modes.push((old, mode(&path)));
        }
        rustix::process::umask(before);
        for (expected, found) in modes {
            assert_eq!(format!("{found:o}"), format!("{expected:o}"), "umask {umask:o}");
        }
    }
}

#[test]
fn a_symlink_stays_and_its_target_is_replaced() {
    let (folder, path) = folder_with("target", "old");
    let link = folder.path().join("link");
    symlink("target", &link).unwrap();
    let chain = folder.path().join("chain");
    symlink(&link, &chain).unwrap();
    write(&chain, "new").unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::symlink_metadata(&chain).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(path).unwrap(), "new");

    let round = folder.path().join("round");
    symlink("round", &round).unwrap();
    refused(&round, "loop");
}

#[test]
fn what_is_not_a_regular_file_is_refused_without_waiting() {
    let (folder, _) = folder_with("other", "old");
    let started = Instant::now();
    let fifo = folder.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR).unwrap();
    refused(&fifo, "not a regular file");
    assert!(admission::read(&fifo).is_err());
    let inner = folder.path().join("folder");
    fs::create_dir(&inner).unwrap();
    refused(&inner, "not a regular file");
    assert!(write(Path::new("/dev/null"), "new").is_err());
    assert!(started.elapsed() < LOCK_DEADLINE);
}

#[test]
fn a_file_with_a_second_name_is_refused() {
    let (folder, path) = folder_with("one", "old");
    let two = folder.path().join("two");
    fs::hard_link(&path, &two).unwrap();
    refused(&path, "hard links");
    assert_eq!(fs::read_to_string(two).unwrap(), "old");
}

#[test]
fn what_belongs_to_another_user_is_refused() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (_elsewhere, ours) = folder_with("ours", "old");
    let link = folder.path().join("link");
    symlink(&ours, &link).unwrap();
    std::os::unix::fs::lchown(&link, Some(12345), None).unwrap();
    refused(&link, "somebody else's symlink");
    assert!(admission::read(&link).is_err());
    assert_eq!(fs::read_to_string(&ours).unwrap(), "old");

    let ours = folder.path().join("ours");
    fs::write(&ours, "old").unwrap();
    chown(folder.path(), Some(12345), None).unwrap();
    refused(&ours, "is a folder of another user");
}

#[test]
fn a8_root_changes_another_users_file_only_where_nobody_else_could_have_put_it() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    for (file, folder, is_fine) in
        [(12345, 0, true), (12345, 12345, true), (12345, 54321, false), (0, 12345, false), (54321, 12345, false)]
    {
        let (around, path) = folder_with("s", "old");
        chown(&path, Some(file), Some(33)).unwrap();
        chown(around.path(), Some(folder), None).unwrap();
        match is_fine {
            true => write(&path, "new").unwrap(),
            false => refused(&path, "is a folder of another user"),
        }
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (file, 33));
        assert_eq!(fs::read_to_string(&path).unwrap(), if is_fine { "new" } else { "old" });
    }
    // The owner of a folder cannot send root to a file of root's.
    let (_elsewhere, ours) = folder_with("ours", "old");
    let (around, theirs) = folder_with("theirs", "old");
    fs::remove_file(&theirs).unwrap();
    symlink(&ours, &theirs).unwrap();
    std::os::unix::fs::lchown(&theirs, Some(12345), None).unwrap();
    chown(around.path(), Some(12345), None).unwrap();
    refused(&theirs, "is a folder of another user");
    assert_eq!(fs::read_to_string(&ours).unwrap(), "old");
}

#[test]
fn b7_every_folder_on_the_way_is_judged() {
    let (folder, path) = folder_with("file", "old");
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    fs::rename(&path, inner.join("file")).unwrap();
    let beside = folder.path().join("beside");
    fs::create_dir(&beside).unwrap();
    symlink(inner.join("file"), beside.join("link")).unwrap();
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    write(&inner.join("file"), "new").unwrap();
    write(&inner.join("../beside/link"), "newer").unwrap();
    mode(&beside, 0o777);
    refused(&inner.join("../beside/link"), "others can write to");
    assert!(admission::read(&beside.join("link")).is_err());
    mode(&beside, 0o700);
    mode(folder.path(), 0o777);
    refused(&inner.join("file"), "others can write to");
    refused(&beside.join("link"), "others can write to");
    assert_eq!(fs::read_to_string(inner.join("file")).unwrap(), "newer");
}

#[test]
fn b7_a_folder_that_becomes_a_symlink_meanwhile_leads_nowhere_else() {
    let (folder, path) = folder_with("file", "old");
    let (elsewhere, there) = folder_with("file", "old");
    let (inner, aside) = (folder.path().join("inner"), folder.path().join("aside"));
    fs::create_dir(&inner).unwrap();
    fs::rename(&path, inner.join("file")).unwrap();
    let place = Place::new(inner.join("file"));
    let change = |_: Option<&[u8]>| {
        fs::rename(&inner, &aside).unwrap();
        symlink(elsewhere.path(), &inner).unwrap();
        Ok::<_, FileError>(Wanted::Content(Zeroizing::new(b"new".to_vec())))
    };
    place.edit(change).unwrap();
    assert_eq!(fs::read_to_string(&there).unwrap(), "old");
    assert_eq!(fs::read_to_string(aside.join("file")).unwrap(), "new");
    for left in [aside.as_path(), elsewhere.path()] {
        assert_eq!(fs::read_dir(left).unwrap().count(), 1, "{}", left.display());
    }
}

#[test]
fn a11_what_a_program_writes_to_the_replaced_file_that_it_held_open_is_found() {
    let (_folder, path) = folder_with("file", "old");
    let place = Place::new(path.clone());
    let held = fs::OpenOptions::new().append(true).open(&path).unwrap();
    let old = admission::content(&path, fs::File::open(&path).unwrap()).unwrap();
    write(&path, "new").unwrap();
    std::io::Write::write_all(&mut &held, b" and theirs").unwrap();
    let late = place.written_late(Some(old)).unwrap();
    assert_eq!(late.as_ref().map(|late| late.as_slice()), Some(b"old and theirs".as_slice()));
}

#[test]
fn a_folder_that_everybody_can_write_to_is_refused_unless_sticky() {
    let (folder, path) = folder_with("file", "old");
    for (mode, is_refused) in [(0o777, true), (0o702, true), (0o775, false), (0o1777, false), (0o700, false)] {
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
        match is_refused {
            true => refused(&path, "others can write to"),
            false => write(&path, "new").unwrap(),
        }
    }
}

#[test]
fn a_missing_folder_is_an_error_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let error = write(&folder.path().join("no/file"), "new").unwrap_err();
    assert!(error.is_not_found());
    assert_eq!(error.hint().as_deref(), Some("make the folder first; whsec makes the file"));
}

#[test]
fn a_change_by_somebody_else_is_built_upon() {
    let (_folder, path) = folder_with("file", "old");
    let place = Place::new(path.clone());
    let mut calls = 0;
    let change = |old: Option<&[u8]>| {
        calls += 1;
        if calls == 1 {
            fs::write(&path, "theirs").unwrap();
        }
        Ok::<_, FileError>(Wanted::Content(Zeroizing::new([old.unwrap(), b"+ours"].concat())))
    };
    place.edit(change).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "theirs+ours");
}

#[test]
fn somebody_else_who_never_rests_is_an_error_and_keeps_the_last_word() {
    let (folder, path) = folder_with("file", "old");
    let place = Place::new(path.clone());
    let mut calls = 0;
    let result = place.edit(|_| {
        calls += 1;
        fs::write(&path, format!("theirs {calls}")).unwrap();
        Ok::<_, FileError>(Wanted::Content(Zeroizing::new(b"ours".to_vec())))
    });
    assert!(matches!(result, Err(FileError { fault: FileFault::Changed { .. }, .. })));
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("theirs {ATTEMPTS}"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_file_that_appears_meanwhile_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let place = Place::new(path.clone());
    let change = |old: Option<&[u8]>| {
        if old.is_none() {
            fs::write(&path, "theirs").unwrap();
        }
        Ok::<_, FileError>(Wanted::Content(Zeroizing::new([old.unwrap_or_default(), b"+ours"].concat())))
    };
    place.edit(change).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "theirs+ours");
    assert!(!place.is_created());
}

#[test]
fn leftovers_of_this_file_and_no_other_are_removed() {
    let (folder, path) = folder_with("file", "old");
    let (ours, others) = (left_beside(&path), left_beside(&folder.path().join("other")));
    write(&path, "new").unwrap();
    assert!(!ours.exists());
    assert!(others.exists());
}

#[test]
fn a_lock_held_for_too_long_is_an_error_in_time() {
    let (_folder, path) = folder_with("file", "old");
    let _held = locked_beside(&path);
    let begun = Instant::now();
    let error = write(&path, "new").unwrap_err();
    assert!(matches!(error.fault, FileFault::Busy { .. }) && begun.elapsed() < 4 * LOCK_DEADLINE, "{error}");
    // B11: whoever can read a folder can lock it.
    if cfg!(target_os = "linux") {
        let named = format!("(process {})", std::process::id());
        assert!(error.to_string().contains(&named), "{error}");
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
}

#[test]
fn a11_an_empty_file_that_is_filled_a_moment_later_is_left_to_its_writer() {
    let (_folder, path) = folder_with("live", "");
    let place = Place::new(path.clone()).shared();
    let mut seen = None;
    let outcome = std::thread::scope(|scope| {
        scope.spawn(|| {
            sleep(Duration::from_millis(30));
            fs::write(&path, "PORT=8080\n").unwrap();
        });
        place.edit(|found| {
            seen = found.map(<[u8]>::to_vec);
            Ok::<_, FileError>(Wanted::Same)
        })
    });
    // Unless this thread was so slow that it was filled before.
    let is_left = matches!(outcome, Err(FileError { fault: FileFault::Changed { .. }, .. })) && seen.is_none();
    assert!(is_left || seen.as_deref() == Some(b"PORT=8080\n"), "{outcome:?} {seen:?}");
}

#[test]
fn a11_a_file_that_stays_empty_is_waited_for_once() {
    let (_folder, path) = folder_with("live", "");
    let place = Place::new(path.clone()).shared();
    let begun = Instant::now();
    place.edit(|_| Ok::<_, FileError>(Wanted::Content(Zeroizing::new(b"new".to_vec())))).unwrap();
    assert!(begun.elapsed() >= WRITERS_TIME);
    fs::write(&path, "").unwrap();
    let found = admission::read(&path).unwrap();
    assert!(!place.may_be_filled(found.as_ref()));
}
