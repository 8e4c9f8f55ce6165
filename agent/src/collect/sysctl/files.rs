//! What the host's files say kernel parameters should be, in the order in which
//! systemd-sysctl reads them, sysctl.d(5).

use std::collections::BTreeMap;

use nodeward_domain::facts::{ExpectedValue, PassedOver};

use crate::collect::folders;
use crate::host::{HostError, HostRoot};

/// Folders by precedence: of two files of one name the one in the earlier folder counts.
const FOLDERS: [&str; 4] =
    ["/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d"];

const LIMIT_BYTES: u64 = 1024 * 1024;

/// So many parameters may the files name, and so long may a value be: far more than any
/// distribution's, and no more than an aggregator takes.
const KEYS: usize = 4000;
const VALUE_LIMIT_BYTES: usize = 4096;

/// So many files may have lines that are passed over.
const SPOILT_FILES: usize = 64;

/// What the files say.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// The expected values by key.
    pub(super) expected: BTreeMap<String, ExpectedValue>,
    /// The files with lines that say nothing, in their order.
    pub(super) passed_over: Vec<PassedOver>,
}

/// Reads them. Patterns for interfaces are read for `all` and `default` alone: single
/// interfaces come and go with pods. A line that says nothing costs itself alone: systemd
/// logs it and goes on.
pub(super) fn read(root: &HostRoot) -> Result<Files, HostError> {
    let mut lines = Lines::default();
    let mut passed_over: Vec<PassedOver> = Vec::new();
    for path in folders::conf_files(root, &FOLDERS)? {
        let text = match root.read(&path, LIMIT_BYTES) {
            // A link that leads nowhere, which systemd passes over too.
            Err(HostError::Missing { .. }) => continue,
            text => text?,
        };
        for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
            let taken = match std::str::from_utf8(line) {
                Ok(line) => lines.take(&path, line),
                // Of whichever encoding its writer used.
                Err(_) if line.trim_ascii_start().starts_with(b"#") => Ok(()),
                Err(_) => Err("not UTF-8"),
            };
            let Err(why) = taken else { continue };
            let spoilt = passed_over.len();
            match passed_over.last_mut() {
                Some(last) if last.file == path => last.lines += 1,
                _ if spoilt == SPOILT_FILES => {
                    let why = format!("line {number}: {why}, as in {SPOILT_FILES} files before");
                    return Err(HostError::Malformed { path, why });
                }
                _ => passed_over.push(PassedOver {
                    file: path.clone(),
                    lines: 1,
                    first_line: number,
                    why: why.to_owned(),
                }),
            }
        }
        if lines.named.len() + lines.patterns.len() > KEYS {
            let why = format!("with it the files name more than {KEYS} parameters");
            return Err(HostError::Malformed { path, why });
        }
    }
    Ok(Files { expected: lines.expected(), passed_over })
}

/// What the lines of all files add up to.
#[derive(Debug, Default)]
struct Lines {
    /// Named parameters; none for one that patterns must leave alone.
    named: BTreeMap<String, Option<ExpectedValue>>,
    patterns: Vec<(String, ExpectedValue)>,
}

impl Lines {
    fn take(&mut self, file: &str, line: &str) -> Result<(), &'static str> {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            return Ok(());
        }
        let Some((key, value)) = line.split_once('=') else {
            let excluded =
                line.strip_prefix('-').ok_or("neither an assignment nor an exclusion")?;
            self.named.insert(dotted(excluded.trim())?, None);
            return Ok(());
        };
        // A leading dash says that a failure to set it does not matter.
        let key = key.trim();
        let key = dotted(key.strip_prefix('-').unwrap_or(key).trim())?;
        if is_secret(&key) {
            return Ok(());
        }
        let value = plain(value);
        if value.len() > VALUE_LIMIT_BYTES {
            return Err("a value that is too long for a kernel parameter");
        }
        let expected = ExpectedValue { value, file: file.to_owned() };
        if is_pattern(&key) {
            self.patterns.push((key, expected));
        } else {
            // The last one counts.
            self.named.insert(key, Some(expected));
        }
        Ok(())
    }

    fn expected(self) -> BTreeMap<String, ExpectedValue> {
        let Self { mut named, patterns } = self;
        let mut by_pattern = BTreeMap::new();
        for (pattern, expected) in patterns {
            let Some((before, after)) = pattern.split_once(".*.") else { continue };
            // Files of that very name there are none.
            if is_pattern(before) || is_pattern(after) {
                continue;
            }
            for interface in ["all", "default"] {
                by_pattern.insert(format!("{before}.{interface}.{after}"), expected.clone());
            }
        }
        for (key, expected) in by_pattern {
            named.entry(key).or_insert(Some(expected));
        }
        named.into_iter().filter_map(|(key, expected)| Some((key, expected?))).collect()
    }
}

/// A key with dots between its parts. Written with slashes, dots and slashes have changed
/// places: `net/ipv4/conf/eth0.100/rp_filter`, which may begin with one as a path does. A
/// key must stay below `/proc/sys`.
fn dotted(key: &str) -> Result<String, &'static str> {
    let key = match key.find(['.', '/']) {
        Some(first) if key.as_bytes()[first] == b'/' => exchanged(key.trim_start_matches('/')),
        _ => key.to_owned(),
    };
    if path_of(&key).split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err("a key that names no kernel parameter");
    }
    Ok(key)
}

/// Whether systemd takes a key for a pattern, glob(7).
fn is_pattern(key: &str) -> bool {
    key.contains(['*', '?', '['])
}

/// Parameters that are keys of their own kind: neither their value nor what a file says of
/// it is anybody's business.
const SECRETS: [&str; 2] = ["stable_secret", "tcp_fastopen_key"];

/// Whether a key is one of those, or a pattern that may fit one: of a pattern what stands
/// before its first sign and behind its last one is compared, which fits more than it does.
fn is_secret(key: &str) -> bool {
    const SIGNS: [char; 5] = ['*', '?', '[', ']', '\\'];
    let name = key.rsplit('.').next().unwrap_or_default();
    SECRETS.iter().any(|secret| match (name.find(SIGNS), name.rfind(SIGNS)) {
        (Some(first), Some(last)) => {
            secret.starts_with(&name[..first]) && secret.ends_with(&name[last + 1..])
        }
        _ => name == *secret,
    })
}

/// The path of a key below `/proc/sys`.
pub(super) fn path_of(key: &str) -> String {
    exchanged(key)
}

fn exchanged(key: &str) -> String {
    key.chars()
        .map(|letter| match letter {
            '.' => '/',
            '/' => '.',
            letter => letter,
        })
        .collect()
}

/// A value with single spaces between its parts.
pub(super) fn plain(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(files: &[(&str, &str)]) -> BTreeMap<String, (String, String)> {
        let mut lines = Lines::default();
        for (file, text) in files {
            text.lines().for_each(|line| lines.take(file, line).expect(line));
        }
        lines
            .expected()
            .into_iter()
            .map(|(key, expected)| (key, (expected.value, expected.file)))
            .collect()
    }

    fn one(key: &str, value: &str, file: &str) -> (String, (String, String)) {
        (key.to_owned(), (value.to_owned(), file.to_owned()))
    }

    #[test]
    fn the_last_assignment_counts_and_names_its_file() {
        let files = [("a", "vm.swappiness = 10\n# no\n; no\n"), ("b", "-vm.swappiness=20")];
        assert_eq!(expected(&files), BTreeMap::from([one("vm.swappiness", "20", "b")]));
    }

    #[test]
    fn keys_are_read_in_both_spellings() {
        let text = "net/ipv4/conf/eth0.100/rp_filter = 1\nkernel.sem = 1\t2  3\n/kernel/panic = 1";
        let read = expected(&[("a", text)]);
        let keys: Vec<&str> = read.keys().map(String::as_str).collect();
        assert_eq!(keys, ["kernel.panic", "kernel.sem", "net.ipv4.conf.eth0/100.rp_filter"]);
        assert_eq!(path_of(keys[2]), "net/ipv4/conf/eth0.100/rp_filter");
        assert_eq!(read["kernel.sem"].0, "1 2 3");
    }

    #[test]
    fn a_pattern_spares_what_is_named_or_excluded() {
        let files = [
            ("a", "net.ipv4.conf.*.rp_filter = 2\n-net.ipv4.conf.all.rp_filter\n"),
            ("b", "net.ipv4.conf.*.accept_redirects = 0\nnet.ipv4.conf.default.accept_redirects=1"),
        ];
        assert_eq!(
            expected(&files),
            BTreeMap::from([
                one("net.ipv4.conf.default.rp_filter", "2", "a"),
                one("net.ipv4.conf.all.accept_redirects", "0", "b"),
                one("net.ipv4.conf.default.accept_redirects", "1", "b"),
            ])
        );
    }

    #[test]
    fn a_line_that_is_neither_is_refused() {
        assert!(Lines::default().take("a", "nonsense").is_err());
        assert!(Lines::default().take("a", "= 1").is_err());
        let long = format!("vm.swappiness = {}", "1".repeat(VALUE_LIMIT_BYTES + 1));
        assert!(Lines::default().take("a", &long).is_err());
    }

    #[test]
    fn no_key_leads_out_of_the_parameters() {
        for line in [
            "kernel/../../../etc/shadow = x",
            "-kernel/../../../etc/shadow",
            "/../kernel/panic = 1",
            "/ = 1",
            "..kernel.panic = 1",
        ] {
            assert!(Lines::default().take("a", line).is_err(), "{line}");
        }
    }

    #[test]
    fn secrets_are_passed_over() {
        let files = [("a", "net.ipv6.conf.all.stable_secret = 1\nnet/ipv4/tcp_fastopen_key=2")];
        assert_eq!(expected(&files), BTreeMap::new());
    }

    #[test]
    fn no_pattern_takes_in_a_secret() {
        for key in [
            "net.ipv6.conf.*.stable_secret",
            "net/ipv6/conf/*/stable_secret",
            "net.ipv6.conf.*.stable_secre?",
            "net.ipv6.conf.*.stable[_]secret",
            "net/ipv6/conf/*/stable[._]secret",
            "net.ipv6.conf.*.stable_secre[[:lower:]]",
            "net.ipv6.conf.*.stable_secre\\t",
            "net.ipv6.conf.*.*",
            "-net.ipv6.conf.*.st*",
            "net.*.ipv4.tcp_fastopen_*",
        ] {
            let mut lines = Lines::default();
            lines.take("a", &format!("{key} = 2001:db8::1")).expect(key);
            assert!(lines.patterns.is_empty() && lines.named.is_empty(), "{key}");
            assert!(lines.expected().is_empty(), "{key}");
        }
        let kept = expected(&[("a", "net.ipv4.conf.*.rp_filter = 1\nnet.*.conf.*.rp_filter = 2")]);
        let keys: Vec<&str> = kept.keys().map(String::as_str).collect();
        assert_eq!(keys, ["net.ipv4.conf.all.rp_filter", "net.ipv4.conf.default.rp_filter"]);
    }

    #[test]
    fn a_line_that_says_nothing_costs_itself_alone_and_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let inside = folder.path().join("etc/sysctl.d");
        std::fs::create_dir_all(&inside).expect("made");
        let text = b"vm.swappiness = 1\nnonsense\n= 2\nkernel.panic = \xff\nkernel.sem = 1\n";
        std::fs::write(inside.join("a.conf"), text).expect("written");
        std::fs::write(inside.join("b.conf"), "vm.swappiness = 2\n").expect("written");
        let root = HostRoot::open(folder.path()).expect("a directory");
        let files = read(&root).expect("readable");
        let keys: Vec<&str> = files.expected.keys().map(String::as_str).collect();
        assert_eq!(keys, ["kernel.sem", "vm.swappiness"]);
        assert_eq!(files.expected["vm.swappiness"].value, "2");
        let told = PassedOver {
            file: "/etc/sysctl.d/a.conf".to_owned(),
            lines: 3,
            first_line: 2,
            why: "neither an assignment nor an exclusion".to_owned(),
        };
        assert_eq!(files.passed_over, [told]);
    }

    #[test]
    fn masks_and_comments_are_taken_in_every_form() {
        let folder = tempfile::tempdir().expect("a folder");
        let inside = |path: &str| folder.path().join(path);
        for path in ["etc/sysctl.d", "usr/lib/sysctl.d", "dev"] {
            std::fs::create_dir_all(inside(path)).expect("made");
        }
        for name in ["a.conf", "b.conf"] {
            std::fs::write(inside("usr/lib/sysctl.d").join(name), "vm.swappiness = 1\n")
                .expect("written");
        }
        let link = |target: &str, name: &str| {
            std::os::unix::fs::symlink(target, inside("etc/sysctl.d").join(name)).expect("made");
        };
        link("/dev/null", "a.conf");
        link("../../dev/null", "b.conf");
        std::fs::write(inside("etc/sysctl.d/c.conf"), b"# M\xfcller\nkernel.panic = 1\n")
            .expect("written");
        // In its place, as tests may not make devices.
        std::fs::create_dir(inside("dev/null")).expect("made");
        let root = HostRoot::open(folder.path()).expect("a directory");
        let keys: Vec<String> = read(&root).expect("readable").expected.into_keys().collect();
        assert_eq!(keys, ["kernel.panic"]);
    }
}
