//! Paths as people write them, made absolute: `~/` is the home folder, the rest starts beside the config file.

use std::path::{Component, Path, PathBuf};

use crate::store::{CommandSpec, Reference, preset_paths};

/// The path from the root. `folder` is absolute; `.` is dropped, `..` is kept as written because of links.
pub(crate) fn absolute(path: &Path, folder: &Path, home: Option<&Path>) -> PathBuf {
    let full = match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => folder.join(path),
    };
    full.components().filter(|part| *part != Component::CurDir).collect()
}

/// The same store with its path from the root.
pub(crate) fn reference(reference: Reference, folder: &Path, home: Option<&Path>) -> Reference {
    match reference {
        Reference::Dotenv { path, key } => Reference::Dotenv { path: absolute(&path, folder, home), key },
        Reference::Json { path, pointer } => Reference::Json { path: absolute(&path, folder, home), pointer },
        Reference::File { path } => Reference::File { path: absolute(&path, folder, home) },
        Reference::Age { path } => Reference::Age { path: absolute(&path, folder, home) },
        other => other,
    }
}

/// The same programs, each by its absolute path where it is written as a path rather than a bare name; and with it the files
/// and folders that a preset is told.
pub(crate) fn command(mut command: CommandSpec, folder: &Path, home: Option<&Path>) -> CommandSpec {
    for name in command.preset.iter().flat_map(|preset| preset_paths(preset)) {
        if let Some(value) = command.with.get_mut(&name).filter(|value| !value.is_empty())
            && let Some(path) = absolute(Path::new(value.as_str()), folder, home).to_str()
        {
            *value = path.to_owned();
        }
    }
    let program = |arguments| program(arguments, folder, home);
    CommandSpec {
        put: program(command.put),
        get: command.get.map(program),
        clear: command.clear.map(program),
        ..command
    }
}

/// Program and arguments with the program's path made absolute; a bare name is left to `PATH`.
pub(crate) fn program(mut arguments: Vec<String>, folder: &Path, home: Option<&Path>) -> Vec<String> {
    if let Some(program) = arguments.first_mut()
        && program.contains('/')
        && let Some(path) = absolute(Path::new(program.as_str()), folder, home).to_str()
    {
        *program = path.to_owned();
    }
    arguments
}
