//! Promise 29: a receiver's access stays. Owner, group, mode, access list and attributes of every file and folder that was
//! there are the same after every command that writes or proves, also after those that fail.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{XattrFlags, lgetxattr, llistxattr, setxattr};
use whsec::provider::stand_in::Fault;

use crate::ensure;
use crate::sandbox::Run;
use crate::scene::{Kind, Scene};
use crate::tally::{Case, skip, sweep};

/// The group that receivers read by, and a user who is no member of it.
const RECEIVERS: u32 = 33;
const OPERATOR: u32 = 12_345;

static LOOKS: AtomicUsize = AtomicUsize::new(0);

/// What others may do with the store's file before.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Access {
    Alone,
    ByGroup,
    ByAccessList,
    ByAll,
    ReadOnly,
    Marked,
}

impl Access {
    const ALL: [Self; 6] = [Self::Alone, Self::ByGroup, Self::ByAccessList, Self::ByAll, Self::ReadOnly, Self::Marked];

    fn arrange(self, file: &Path) {
        let mode = |mode| std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
        match self {
            Self::Alone => mode(0o600),
            Self::ByGroup => {
                chown(file, None, Some(RECEIVERS)).unwrap();
                mode(0o640);
            }
            Self::ByAccessList => {
                mode(0o640);
                let done = Command::new("setfacl").args(["-m", "u:33:r,g:34:r"]).arg(file).status();
                assert!(done.unwrap().success(), "setfacl");
                // What the folder gives new files is not what this file has.
                let folder = file.parent().unwrap();
                let done = Command::new("setfacl").args(["-d", "-m", "u:35:rw"]).arg(folder).status();
                assert!(done.unwrap().success(), "setfacl");
            }
            Self::ByAll => mode(0o646),
            Self::ReadOnly => mode(0o440),
            Self::Marked => {
                chown(file, None, Some(RECEIVERS)).unwrap();
                mode(0o2640);
                for name in ["user.receiver", "trusted.backup", "security.label"] {
                    setxattr(file, name, b"hooks", XattrFlags::empty()).unwrap();
                }
            }
        }
    }
}

/// Owner, group and mode, and attributes.
type Rights = ((u32, u32, u32), BTreeMap<String, Vec<u8>>);

fn rights(path: &Path) -> Rights {
    let metadata = std::fs::symlink_metadata(path).unwrap();
    let mut names = vec![0; 4096];
    let length = llistxattr(path, &mut names[..]).unwrap_or(0);
    let names = String::from_utf8(names[..length].to_vec()).unwrap();
    let value = |name: &str| {
        let mut value = vec![0; 4096];
        let length = lgetxattr(path, name, &mut value[..]).unwrap();
        (name.to_owned(), value[..length].to_vec())
    };
    let attributes = names.split('\0').filter(|name| !name.is_empty()).map(value).collect();
    ((metadata.uid(), metadata.gid(), metadata.mode()), attributes)
}

/// The rights of everything below a folder and of the folder itself.
fn inventory(folder: &Path) -> BTreeMap<PathBuf, Rights> {
    let mut found = BTreeMap::from([(folder.to_owned(), rights(folder))]);
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        match path.is_dir() && !path.is_symlink() {
            true => found.extend(inventory(&path)),
            false => drop(found.insert(path.clone(), rights(&path))),
        }
    }
    found
}

/// Runs a command; what was there before it and is there after it lets others do what it let them do.
fn run(scene: &Scene, command: &mut Command) -> Result<Run, String> {
    let root = scene.sandbox.path("");
    let before = inventory(&root);
    let run = scene.measure(command)?.run;
    for (path, now) in inventory(&root) {
        let same = before.get(&path).is_none_or(|then| *then == now);
        ensure!(same, "{} was {:?} and is {now:?}\n{}", path.display(), before.get(&path), run.stderr);
        LOOKS.fetch_add(1, Ordering::Relaxed);
    }
    Ok(run)
}

/// Runs a line of words, in which `ID` and `REF` stand for the endpoint's id and the store.
fn line(scene: &Scene, kind: Kind, place: &Path, line: &str, codes: &[i32]) -> Result<Run, String> {
    let (id, reference) = (scene.sandbox.id(), kind.reference(place));
    let words: Vec<&str> = line
        .split(' ')
        .map(|word| match word {
            "ID" => &id,
            "REF" => &reference,
            word => word,
        })
        .collect();
    let run = run(scene, &mut scene.sandbox.command(&words))?;
    ensure!(codes.contains(&run.code), "`{line}` came to {}:\n{}{}", run.code, run.stdout, run.stderr);
    Ok(run)
}

const ALL_DONE: &str = "cutover hooks --yes --confirm ID --done prepare --done deploy --done verify --done drop";

/// A provider, what it does, and commands with the exits they may come to.
type Walk = (&'static str, Option<fn(&Scene)>, &'static [(&'static str, &'static [i32])]);

const WALKS: &[Walk] = &[
    (
        "hopae",
        None,
        &[
            ("doctor", &[0]),
            ("store check REF", &[0]),
            ("rotate hooks --dry-run", &[0]),
            ("rotate hooks --yes --confirm ID --done prepare", &[0]),
            ("inspect hooks", &[0]),
            ("status", &[0]),
            (ALL_DONE, &[0]),
            ("rotate hooks --yes --confirm ID --done prepare", &[0]),
            ("abandon hooks --reason swept --yes", &[0]),
        ],
    ),
    ("signa", None, &[("rotate hooks --yes", &[0]), ("rollback hooks --reason refused", &[0]), (ALL_DONE, &[0, 11])]),
    (
        "layers",
        None,
        &[
            ("rotate hooks --yes", &[0]),
            ("cutover hooks --done deploy --done verify", &[11]),
            ("finish hooks", &[9, 11]),
        ],
    ),
    (
        "layers",
        Some(|scene| scene.sandbox.stand_in.fault(Fault::Status(422, "{}".to_owned()))),
        &[("rotate hooks --yes", &[1])],
    ),
    (
        "verifa",
        Some(|scene| scene.sandbox.stand_in.fault(Fault::StatusAfter(200, "<html>".to_owned()))),
        &[("rotate hooks --yes --confirm ID --done prepare", &[7]), ("cutover hooks", &[7])],
    ),
    (
        "layers",
        // The store's disk fails, as far as root's can: it is a folder's name now.
        Some(|scene| std::fs::remove_file(scene.sandbox.path("key")).unwrap()),
        &[("rotate hooks --yes", &[3])],
    ),
];

fn walk((provider, fault, lines): &Walk, kind: Kind, access: Access) -> Result<(), String> {
    let (scene, place) = scene(provider, kind);
    access.arrange(&kind.file(&place));
    if let Some(fault) = fault {
        fault(&scene);
    }
    for (words, codes) in *lines {
        line(&scene, kind, &place, words, codes)?;
    }
    if kind == Kind::File {
        let live = rights(&kind.file(&place));
        for beside in ["hook.next", "hook.previous"] {
            let beside = place.join(beside);
            ensure!(!beside.exists() || rights(&beside) == live, "{} is not as the live file", beside.display());
        }
    }
    Ok(())
}

/// A scene with its only store in a folder of its own, which others may look into.
fn scene(provider: &str, kind: Kind) -> (Scene, PathBuf) {
    let scene = Scene::new(provider);
    let place = scene.sandbox.path("work/place");
    std::fs::create_dir(&place).unwrap();
    scene.keep_in(kind, &place);
    chown(&place, None, Some(RECEIVERS)).unwrap();
    std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o2750)).unwrap();
    (scene, place)
}

/// Somebody who may not give a file to its group, or set one of its attributes, is told so before the call.
fn as_somebody_else(kind: Kind, arrange: fn(&Path), said: &str) -> Result<(), String> {
    let (scene, place) = scene("layers", kind);
    let root = scene.sandbox.path("");
    let program = root.join("whsec");
    // By a program of its own: a file that is open for writing in a child of another test cannot be run.
    assert!(Command::new("cp").arg(env!("CARGO_BIN_EXE_whsec")).arg(&program).status().unwrap().success(), "cp");
    for path in inventory(&root).keys() {
        chown(path, Some(OPERATOR), Some(OPERATOR)).unwrap();
    }
    arrange(&kind.file(&place));
    let content = std::fs::read(kind.file(&place)).unwrap();
    for words in [vec!["rotate", "hooks", "--yes"], vec!["store", "check", &kind.reference(&place)]] {
        let inner = scene.sandbox.command(&words);
        let mut command = Command::new("setpriv");
        let who = OPERATOR.to_string();
        command.args(["--reuid", &who, "--regid", &who, "--clear-groups"]).arg(&program).args(&words);
        command.env_clear().envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(inner.get_current_dir().unwrap()).stdin(std::process::Stdio::null());
        let run = run(&scene, &mut command)?;
        ensure!(run.code == 6, "{words:?}: exit {} in place of 6:\n{}{}", run.code, run.stdout, run.stderr);
        ensure!(format!("{}{}", run.stdout, run.stderr).contains(said), "no `{said}`: {}{}", run.stdout, run.stderr);
    }
    ensure!(scene.server.arrivals() == 0, "a rotate call was made");
    ensure!(std::fs::read(kind.file(&place)).unwrap() == content, "it was written");
    Ok(())
}

/// A file that is mounted by itself cannot be replaced, and that is said before the call, by `doctor` too.
fn mounted(kind: Kind) -> Result<(), String> {
    let (scene, place) = scene("layers", kind);
    let (file, origin) = (kind.file(&place), scene.sandbox.path("origin"));
    std::fs::copy(&file, &origin).unwrap();
    let done = Command::new("mount").arg("--bind").arg(&origin).arg(&file).status().unwrap();
    ensure!(done.success(), "nothing can be mounted");
    let outcome = ["rotate hooks --yes", "store check REF", "doctor"].iter().try_for_each(|words| {
        let code = if *words == "doctor" { 1 } else { 6 };
        let run = line(&scene, kind, &place, words, &[code])?;
        let said = format!("{}{}", run.stdout, run.stderr);
        ensure!(said.contains("is a mount of its own"), "`{words}` does not say why: {said}");
        ensure!(said.contains("mount the folder around it"), "`{words}` has no way out: {said}");
        Ok(())
    });
    assert!(Command::new("umount").arg(&file).status().unwrap().success(), "umount");
    ensure!(scene.server.arrivals() == 0, "a rotate call was made");
    outcome
}

/// A state folder that was there is not closed, and is refused where others can write to it.
fn state_folder(mode: u32) -> Result<(), String> {
    let (scene, place) = scene("layers", Kind::Dotenv);
    let state = scene.sandbox.path("shared");
    std::fs::create_dir(&state).unwrap();
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(mode)).unwrap();
    let is_refused = mode & 0o022 != 0;
    let given = format!("--state-dir {}", state.display());
    for words in ["status", "rotate hooks --yes", "history", "store check REF"] {
        let code = if is_refused && words != "store check REF" { 1 } else { 0 };
        let run = line(&scene, Kind::Dotenv, &place, &format!("{given} {words}"), &[code])?;
        ensure!(code == 0 || run.stderr.contains("others can write to the state folder"), "{}", run.stderr);
    }
    ensure!(scene.server.arrivals() == usize::from(!is_refused), "{} rotate calls", scene.server.arrivals());
    let is_empty = std::fs::read_dir(&state).unwrap().next().is_none();
    ensure!(!is_refused || is_empty, "something was written there");
    Ok(())
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn a_receivers_access_stays() {
    let probe = tempfile::NamedTempFile::new().unwrap();
    if chown(probe.path(), None, Some(RECEIVERS)).is_err() {
        return skip("a receiver's access", "no file can be given to another group, which takes root");
    }
    let mut cases: Vec<Case<'_>> = Vec::new();
    for kind in Kind::ALL {
        for access in Access::ALL {
            for (at, steps) in WALKS.iter().enumerate() {
                let label = format!("{}, walk {at}, {kind:?}, {access:?}", steps.0);
                cases.push((label, Box::new(move || walk(steps, kind, access))));
            }
        }
        let by_group: fn(&Path) = |file| {
            chown(file, None, Some(RECEIVERS)).unwrap();
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o640)).unwrap();
        };
        let labelled: fn(&Path) = |file| setxattr(file, "security.label", b"hooks", XattrFlags::empty()).unwrap();
        let said = "its group (33) cannot be kept";
        cases.push((format!("another's group, {kind:?}"), Box::new(move || as_somebody_else(kind, by_group, said))));
        let said = "its attribute `security.label` cannot be kept";
        cases.push((format!("another's label, {kind:?}"), Box::new(move || as_somebody_else(kind, labelled, said))));
        cases.push((format!("mounted, {kind:?}"), Box::new(move || mounted(kind))));
    }
    for mode in [0o700, 0o755, 0o750, 0o775, 0o777, 0o1777] {
        cases.push((format!("a state folder of mode {mode:o}"), Box::new(move || state_folder(mode))));
    }
    sweep(29, "a receiver's access", cases, || {
        format!("{} looks at owner, group, mode, access list and attributes: 0 changed", LOOKS.load(Ordering::Relaxed))
    });
}
