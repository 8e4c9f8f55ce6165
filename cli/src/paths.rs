//! Files that are named on the command line, and those in folders that are named: opened one
//! after the other, in one order on every machine. Links are followed, each folder is read once:
//! a ConfigMap that is mounted is a folder of links into a folder `..data`, which is passed over
//! by its name, as kubelet's own of that form are.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Folders stand inside of each other no deeper than this.
const DEEPEST: usize = 32;

/// So many files are looked at below one path.
const MOST_FILES: usize = 200_000;

/// Why files cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PathError {
    /// A file or folder cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is neither a file nor a folder.
    #[error("{path}: neither a file nor a folder")]
    Neither {
        /// The path.
        path: PathBuf,
    },
    /// There are too many files.
    #[error("{path}: is one of more than {MOST_FILES} files")]
    TooMany {
        /// The first that is too many.
        path: PathBuf,
    },
    /// Folders are too deep inside of each other.
    #[error("{path}: is more than {DEEPEST} folders deep")]
    TooDeep {
        /// The folder.
        path: PathBuf,
    },
}

/// A file, and whether it was named itself or lies in a folder that was.
#[derive(Debug)]
pub struct Found {
    /// Its path, as it was named.
    pub path: PathBuf,
    /// The same below the folder that was named; empty when it was named itself.
    pub below: String,
}

impl Found {
    /// Whether it was named itself.
    #[must_use]
    pub fn is_named(&self) -> bool {
        self.below.is_empty()
    }
}

/// The files below a path: itself, or all that lie in it.
pub fn files(path: &Path) -> Result<Vec<Found>, PathError> {
    let metadata = std::fs::metadata(path).map_err(|source| unreadable(path, source))?;
    if metadata.is_file() {
        return Ok(vec![Found { path: path.to_owned(), below: String::new() }]);
    }
    if !metadata.is_dir() {
        return Err(PathError::Neither { path: path.to_owned() });
    }
    let mut found = Vec::new();
    walk(path, "", 0, &mut BTreeSet::new(), &mut found)?;
    Ok(found)
}

fn walk(
    folder: &Path,
    above: &str,
    depth: usize,
    read: &mut BTreeSet<PathBuf>,
    found: &mut Vec<Found>,
) -> Result<(), PathError> {
    if depth > DEEPEST {
        return Err(PathError::TooDeep { path: folder.to_owned() });
    }
    // By links it may be come to several times, and out of itself.
    let real = folder.canonicalize().map_err(|source| unreadable(folder, source))?;
    if !read.insert(real) {
        return Ok(());
    }
    let mut entries = std::fs::read_dir(folder)
        .and_then(Iterator::collect::<io::Result<Vec<_>>>)
        .map_err(|source| unreadable(folder, source))?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("..") {
            continue;
        }
        let below = format!("{above}{name}");
        let kind = match std::fs::metadata(&path) {
            Ok(metadata) => metadata,
            // Editors leave links to nowhere behind, by hidden names.
            Err(_) if name.starts_with('.') => continue,
            Err(source) => return Err(unreadable(&path, source)),
        };
        if kind.is_dir() {
            walk(&path, &format!("{below}/"), depth + 1, read, found)?;
        } else if kind.is_file() {
            if found.len() >= MOST_FILES {
                return Err(PathError::TooMany { path });
            }
            found.push(Found { path, below });
        }
    }
    Ok(())
}

/// Opens a file that was found.
pub fn open(path: &Path) -> Result<File, PathError> {
    File::open(path).map_err(|source| unreadable(path, source))
}

fn unreadable(path: &Path, source: io::Error) -> PathError {
    PathError::Unreadable { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_once_and_lead_to_no_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let inside = |name: &str| folder.path().join(name);
        let link = |to: &str, name: &str| {
            std::os::unix::fs::symlink(to, inside(name)).expect("a link");
        };
        // As kubelet mounts a ConfigMap.
        std::fs::create_dir(inside("..2026")).expect("a folder");
        std::fs::write(inside("..2026/a.txt"), "a").expect("a file");
        link("..2026", "..data");
        link("..data/a.txt", "a.txt");
        std::fs::create_dir(inside("b")).expect("a folder");
        std::fs::write(inside("b/c.txt"), "c").expect("a file");
        link("..", "b/loop");
        link("b", "other");
        link("gone", ".#a.txt");
        let below =
            |found: Vec<Found>| -> Vec<String> { found.into_iter().map(|one| one.below).collect() };
        assert_eq!(below(files(folder.path()).expect("files")), ["a.txt", "b/c.txt"]);
        link("gone", "z.txt");
        let error = files(folder.path()).expect_err("a link to nowhere").to_string();
        assert!(error.contains("z.txt: No such file"), "{error}");
    }

    #[test]
    fn a_folder_gives_its_files_in_one_order() {
        let folder = tempfile::tempdir().expect("a folder");
        let inside = |name: &str| folder.path().join(name);
        std::fs::create_dir(inside("b")).expect("a folder");
        for name in ["c.json", "b/d.json", "a.json"] {
            std::fs::write(inside(name), "{}").expect("a file");
        }
        let found = files(folder.path()).expect("files");
        let names: Vec<_> = found
            .iter()
            .map(|one| one.path.strip_prefix(folder.path()).expect("inside").to_owned())
            .collect();
        assert_eq!(names, [Path::new("a.json"), Path::new("b/d.json"), Path::new("c.json")]);
        assert_eq!(found[1].below, "b/d.json");
        assert!(found.iter().all(|one| !one.is_named()));
        assert!(files(&inside("a.json")).expect("a file")[0].is_named());
        let error = files(&inside("none")).expect_err("nothing").to_string();
        assert!(error.contains("none: No such file"), "{error}");
    }
}
