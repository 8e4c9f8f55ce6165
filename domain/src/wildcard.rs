//! Patterns of `*` and `?`, as file names have them in glob(7) and lists in sshd_config(5).

/// Whether a name fits a pattern of `*` and `?`. Of several stars only the last one is ever
/// tried anew, so that no pattern takes long.
#[must_use]
pub fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut letter) = (0, 0);
    // Behind the last star, and from which letter on it was tried last.
    let mut star: Option<(usize, usize)> = None;
    while let Some(own) = name.get(letter) {
        match pattern.get(at) {
            Some(b'*') => {
                at += 1;
                star = Some((at, letter));
            }
            Some(wanted) if *wanted == b'?' || wanted == own => {
                at += 1;
                letter += 1;
            }
            _ => {
                let Some((behind, tried)) = star else { return false };
                (at, letter) = (behind, tried + 1);
                star = Some((behind, letter));
            }
        }
    }
    pattern.get(at..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

/// Whether a name is meant by a list of such patterns, separated by commas: one of them fits,
/// and none that has `!` before it. Source: PATTERNS in ssh_config(5).
#[must_use]
pub fn is_listed(patterns: &str, name: &str) -> bool {
    let mut is_meant = false;
    for pattern in patterns.split(',') {
        match pattern.strip_prefix('!') {
            Some(pattern) if fits(pattern, name) => return false,
            Some(_) => {}
            None => is_meant |= fits(pattern, name),
        }
    }
    is_meant
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_as_in_a_shell_and_none_takes_long() {
        for (pattern, name, expected) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.old", false),
            ("5?-*", "50-cloud", true),
            ("5?-*", "5-cloud", false),
            ("*", "", true),
            ("a*b*c", "axxbxxbc", true),
            ("a*b*c", "axxc", false),
            ("", "a", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
        let (pattern, name) = ("*a".repeat(100), "a".repeat(250) + "b");
        assert!(!fits(&pattern, &name));
    }

    #[test]
    fn a_list_means_whom_a_pattern_fits_and_nobody_who_is_taken_out() {
        for (patterns, is_meant) in [
            ("root", true),
            ("roo?", true),
            ("*", true),
            ("a,r*t", true),
            ("ro", false),
            ("Root", false),
            ("", false),
            ("!root", false),
            ("!a", false),
            ("*,!root", false),
            ("!root,*", false),
            ("*,!a", true),
        ] {
            assert_eq!(is_listed(patterns, "root"), is_meant, "{patterns}");
        }
    }
}
