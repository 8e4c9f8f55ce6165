//! The files that an `include` of chrony.conf(5) names: one, or a pattern of the shell in
//! the last part of its path, glob(7).

use crate::host::{HostError, HostRoot};

/// The files, sorted.
pub(super) fn matching(root: &HostRoot, path: &str) -> Result<Vec<String>, HostError> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    if !name.contains(['*', '?', '[']) {
        return Ok(vec![path.to_owned()]);
    }
    let names = match root.list(folder) {
        Err(HostError::Missing { .. }) => return Ok(Vec::new()),
        names => names?,
    };
    let names = names.into_iter().filter(|one| matches(name.as_bytes(), one.as_bytes()));
    Ok(names.map(|one| format!("{folder}/{one}")).collect())
}

/// Whether a name fits a pattern of `*` and `?`. Sets in brackets fit any one letter: that
/// a file is read too many is better than one too few.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([b'*', rest @ ..], name) => {
            matches(rest, name) || matches!(name, [_, after @ ..] if matches(pattern, after))
        }
        ([b'[', set @ ..], [_, after @ ..]) => {
            let end = set.iter().position(|letter| *letter == b']');
            end.is_some_and(|end| matches(&set[end + 1..], after))
        }
        ([b'?', rest @ ..], [_, after @ ..]) => matches(rest, after),
        ([one, rest @ ..], [other, after @ ..]) => one == other && matches(rest, after),
        _ => false,
    }
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
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), fits, "{pattern} {name}");
        }
    }
}
