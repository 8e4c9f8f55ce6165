//! The files that an `include` of chrony.conf(5) names: one, or a pattern of the shell,
//! glob(7).

use nix::errno::Errno;

use crate::host::{HostError, HostRoot};

/// More than this no pattern of a configuration names.
const LIMIT: usize = 1024;

/// The files, sorted by the parts of their paths.
pub(super) fn matching(root: &HostRoot, path: &str) -> Result<Vec<String>, HostError> {
    if !is_pattern(path) {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = vec![String::new()];
    for part in path.split('/').filter(|part| !part.is_empty()) {
        let mut below = Vec::new();
        for folder in &found {
            if is_pattern(part) {
                let fitting = names(root, folder)?.into_iter().filter(|name| fits(part, name));
                below.extend(fitting.map(|name| format!("{folder}/{name}")));
            } else {
                below.push(format!("{folder}/{part}"));
            }
        }
        if below.len() > LIMIT {
            let why = format!("{path} fits more than {LIMIT} paths");
            return Err(HostError::Malformed { path: path.to_owned(), why });
        }
        found = below;
    }
    Ok(found)
}

fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// What lies in a folder; nothing where there is none.
fn names(root: &HostRoot, folder: &str) -> Result<Vec<String>, HostError> {
    match root.list(if folder.is_empty() { "/" } else { folder }) {
        Err(HostError::Missing { .. } | HostError::System { errno: Errno::ENOTDIR, .. }) => {
            Ok(Vec::new())
        }
        names => names,
    }
}

/// Whether a name fits a pattern. None that begins with a dot fits one that does not.
fn fits(pattern: &str, name: &str) -> bool {
    (pattern.starts_with('.') || !name.starts_with('.'))
        && matches(pattern.as_bytes(), name.as_bytes())
}

/// Whether a name fits a pattern of `*` and `?`. Sets in brackets fit any one letter: that
/// a file is read too many is better than one too few.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut pattern, mut name) = (pattern, name);
    // Only what the last star takes has to be tried again: another one before it could
    // take no more than that.
    let mut again = None;
    loop {
        if let [b'*', rest @ ..] = pattern {
            (again, pattern) = (Some((rest, name)), rest);
        } else if let Some((_, rest)) =
            one(pattern).filter(|(fits, _)| name.first().is_some_and(fits))
        {
            (pattern, name) = (rest, &name[1..]);
        } else if pattern.is_empty() && name.is_empty() {
            return true;
        } else if let Some((rest, [_, after @ ..])) = again {
            (again, pattern, name) = (Some((rest, after)), rest, after);
        } else {
            return false;
        }
    }
}

/// Which letters fit the first of a pattern, and what follows it; none for a star, the end
/// and a set without one.
fn one(pattern: &[u8]) -> Option<(impl Fn(&u8) -> bool, &[u8])> {
    let (is_any, first, rest) = match pattern {
        [] | [b'*', ..] => return None,
        [b'?', rest @ ..] => (true, b'?', rest),
        [b'[', set @ ..] => {
            let end = set.iter().position(|letter| *letter == b']')?;
            (true, b'[', &set[end + 1..])
        }
        [first, rest @ ..] => (false, *first, rest),
    };
    Some((move |letter: &u8| is_any || *letter == first, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_as_in_the_shell() {
        for (pattern, name, fits) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.bak", false),
            ("?0-*", "10-a", true),
            ("?0-*", "110-a", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("[ab].conf", "b.conf", true),
            ("[ab", "a", false),
            ("plain", "plain", true),
            ("*", "", true),
            ("*a?c*", "abaabcx", true),
            ("*", ".hidden", false),
            (".*", ".hidden", true),
        ] {
            assert_eq!(super::fits(pattern, name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn no_pattern_takes_for_ever() {
        let (pattern, name) = ("*a".repeat(100) + "b", "a".repeat(250));
        assert!(!fits(&pattern, &name));
    }

    #[test]
    fn a_pattern_may_stand_in_any_part_of_a_path() {
        let folder = tempfile::tempdir().expect("a folder");
        for path in ["etc/a.d/x.conf", "etc/b.d/x.conf", "etc/b.d/.x.conf", "etc/c.d"] {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, "").expect("written");
        }
        let root = HostRoot::open(folder.path()).expect("a directory");
        for (pattern, found) in [
            ("/etc/?.d/*.conf", &["/etc/a.d/x.conf", "/etc/b.d/x.conf"][..]),
            ("/etc/b*/x.conf", &["/etc/b.d/x.conf"]),
            ("/nowhere/*", &[]),
            ("/etc/b.d/x.conf", &["/etc/b.d/x.conf"]),
        ] {
            let mut matching = matching(&root, pattern).expect("readable");
            matching.retain(|path| root.exists(path) == Ok(true));
            assert_eq!(matching, found, "{pattern}");
        }
    }
}
