//! Packages that somebody asked never to be changed. rpm itself knows no such thing, the
//! tools that update do: tdnf (`locks.d` beside its configuration, names of packages) and
//! dnf with its plug-in versionlock (patterns of packages).

use std::collections::BTreeSet;

use crate::host::{HostError, HostRoot};

const TDNF_LOCKS: &str = "/etc/tdnf/locks.d";
const DNF_LOCKS: &str = "/etc/dnf/plugins/versionlock.list";

const LIMIT_BYTES: u64 = 1024 * 1024;

/// What is held.
#[derive(Debug, Default)]
pub(super) struct Holds {
    names: BTreeSet<String>,
    /// Such as `kernel-0:6.6.35.1-5.azl3.*`.
    patterns: Vec<String>,
}

impl Holds {
    pub(super) fn read(root: &HostRoot) -> Result<Self, HostError> {
        let mut holds = Self::default();
        let files = match root.list(TDNF_LOCKS) {
            Ok(files) => files,
            Err(HostError::Missing { .. }) => Vec::new(),
            Err(error) => return Err(error),
        };
        for file in files.iter().filter(|file| file.ends_with(".conf")) {
            let text = root.read_text(&format!("{TDNF_LOCKS}/{file}"), LIMIT_BYTES)?;
            holds.names.extend(lines(&text).map(ToOwned::to_owned));
        }
        match root.read_text(DNF_LOCKS, LIMIT_BYTES) {
            Ok(text) => holds.patterns.extend(
                // A line that begins with `!` shuts one version out, and holds none.
                lines(&text).filter(|line| !line.starts_with('!')).map(ToOwned::to_owned),
            ),
            Err(HostError::Missing { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(holds)
    }

    /// Whether a package of that name is held.
    pub(super) fn hold(&self, name: &str) -> bool {
        self.names.contains(name) || self.patterns.iter().any(|pattern| is_of(pattern, name))
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Whether a pattern `name-epoch:version-release.arch`, whose parts may be lacking from
/// behind or `*`, is of packages with that name.
fn is_of(pattern: &str, name: &str) -> bool {
    let Some(rest) = pattern.strip_prefix(name) else {
        return false;
    };
    match rest.strip_prefix('-') {
        // A name may have dashes too, but no version begins with a letter or has two.
        Some(version) => {
            version.starts_with(|first: char| first.is_ascii_digit() || first == '*')
                && version.matches('-').count() <= 1
        }
        None => rest.is_empty() || rest.starts_with(['*', '.']),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_knows_its_packages() {
        for (pattern, name, is_of_it) in [
            ("kernel-0:6.6.35.1-5.azl3.*", "kernel", true),
            ("kernel-6.6.35.1-5.azl3", "kernel", true),
            ("kernel", "kernel", true),
            ("kernel.x86_64", "kernel", true),
            ("kernel-64k-0:6.6.35.1-5.azl3.*", "kernel", false),
            ("kernel-64k-0:6.6.35.1-5.azl3.*", "kernel-64k", true),
            ("kernel-devel", "kernel", false),
            ("kernelcare", "kernel", false),
            ("kernel-*", "kernel", true),
            ("kernel", "kernel-devel", false),
            ("python3-dnf-4.19.0-1.azl3.noarch", "python3-dnf", true),
            ("python3-dnf-4.19.0-1.azl3.noarch", "python3", false),
        ] {
            assert_eq!(is_of(pattern, name), is_of_it, "{pattern} {name}");
        }
    }
}
