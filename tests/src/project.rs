//! Where things lie in the project.

use std::path::{Path, PathBuf};

/// The project's top folder.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("the tests lie one folder below the top").to_owned()
}

/// A host root that was written for the tests.
#[must_use]
pub fn host(name: &str) -> PathBuf {
    root().join("tests/hosts").join(name)
}

/// The names of all host roots that were written for the tests, sorted.
///
/// # Panics
/// When there are none.
#[must_use]
pub fn hosts() -> Vec<String> {
    let folder = root().join("tests/hosts");
    let entries = std::fs::read_dir(&folder).expect("the host roots");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.is_dir())
        .filter_map(|path| path.file_name()?.to_str().map(str::to_owned))
        .collect();
    names.sort();
    assert!(!names.is_empty(), "{}: no host roots", folder.display());
    names
}

/// The answers that were recorded for a host root.
#[must_use]
pub fn answers(name: &str) -> PathBuf {
    root().join("tests/hosts").join(format!("{name}.answers.json"))
}

/// Compares with what is committed, or writes it anew under `NODEWARD_REGENERATE=1`.
///
/// # Panics
/// When it differs, or cannot be read or written.
pub fn assert_committed(path: &Path, actual: &str) {
    if std::env::var_os("NODEWARD_REGENERATE").is_some_and(|value| value == "1") {
        std::fs::create_dir_all(path.parent().expect("a file lies in a folder"))
            .expect("the folder can be made");
        std::fs::write(path, actual).expect("the file can be written");
        return;
    }
    let committed = std::fs::read_to_string(path).unwrap_or_else(|error| {
        panic!("{}: {error}; NODEWARD_REGENERATE=1 makes it", path.display())
    });
    if committed != actual {
        let line = committed.lines().zip(actual.lines()).take_while(|(a, b)| a == b).count();
        panic!(
            "{} differs from line {}:\n  committed: {:?}\n  now:       {:?}\nall of it now:\n{actual}\n\
             If that is meant so, NODEWARD_REGENERATE=1 writes it; read the difference before you commit it.",
            path.display(),
            line + 1,
            committed.lines().nth(line),
            actual.lines().nth(line),
        );
    }
}
