//! What files of modprobe.d(5) keep from being loaded, read as kmod reads them
//! (`libkmod/libkmod-config.c`).

use std::collections::{BTreeMap, BTreeSet};

use nodeward_domain::facts::{ModuleRule, ModuleRuleKind};

use super::NAME_LIMIT_BYTES;
use crate::collect::folders;
use crate::host::{HostError, HostRoot};

/// Folders by precedence: of two files of one name the one in the earlier folder counts.
const FOLDERS: [&str; 5] = [
    "/etc/modprobe.d",
    "/run/modprobe.d",
    "/usr/local/lib/modprobe.d",
    "/usr/lib/modprobe.d",
    "/lib/modprobe.d",
];

const LIMIT_BYTES: u64 = 1024 * 1024;

/// So many files and rules there may be. Ubuntu's kernels bring a file of a hundred rules
/// each.
const FILES: usize = 1024;
const RULES: usize = 4096;

/// Programs that load no module, whatever they answer.
const IDLE: [&str; 9] = [
    "/bin/false",
    "/bin/true",
    "/usr/bin/false",
    "/usr/bin/true",
    "false",
    "true",
    ":",
    "/sbin/nologin",
    "/usr/sbin/nologin",
];

/// The rules of all files.
pub(super) fn read(
    root: &HostRoot,
    loaded: &BTreeSet<String>,
) -> Result<Vec<ModuleRule>, HostError> {
    let paths = folders::conf_files(root, &FOLDERS)?;
    let mut rules = Rules::of(loaded);
    for (number, path) in paths.into_iter().filter(|path| !path.contains("/.")).enumerate() {
        let too_many = |what: String| HostError::Malformed {
            path: path.clone(),
            why: format!("with it there are more than {what}"),
        };
        if number == FILES {
            return Err(too_many(format!("{FILES} files of modprobe")));
        }
        let text = match root.read_text(&path, LIMIT_BYTES) {
            // A link that leads nowhere, which modprobe passes over too.
            Err(HostError::Missing { .. }) => continue,
            text => text?,
        };
        for (line, command) in lines(&text) {
            rules.take(&path, line, &command);
        }
        if rules.kept.len() > RULES {
            return Err(too_many(format!("{RULES} rules")));
        }
    }
    Ok(rules.sorted())
}

/// The commands of a file, each with the number of the line that it begins in. A backslash
/// at the end of a line joins the next one to it; any other makes the letter behind it
/// stand for itself.
fn lines(text: &str) -> Vec<(u32, String)> {
    let mut commands = Vec::new();
    let (mut number, mut begins_at) = (1, 1);
    let mut command = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some('\n') => number += 1,
                letter => command.extend(letter),
            },
            '\n' => {
                commands.push((begins_at, std::mem::take(&mut command)));
                number += 1;
                begins_at = number;
            }
            letter => command.push(letter),
        }
    }
    commands.push((begins_at, command));
    commands
}

/// What the commands of all files add up to.
#[derive(Debug)]
struct Rules<'a> {
    loaded: &'a BTreeSet<String>,
    /// By module and kind; of several the first counts.
    kept: BTreeMap<(String, ModuleRuleKind), (String, u32)>,
    /// Names and patterns for which an `install` was seen, whatever it does: of several
    /// that fit a module modprobe takes the first.
    installs: BTreeSet<String>,
    install_patterns: Vec<String>,
}

impl<'a> Rules<'a> {
    const fn of(loaded: &'a BTreeSet<String>) -> Self {
        Self {
            loaded,
            kept: BTreeMap::new(),
            installs: BTreeSet::new(),
            install_patterns: Vec::new(),
        }
    }

    /// Takes one command. What modprobe does not understand it passes over.
    fn take(&mut self, path: &str, line: u32, command: &str) {
        let is_blank = |letter: char| letter == ' ' || letter == '\t';
        let (verb, rest) = word(command.trim_start_matches(is_blank));
        let (module, rest) = word(rest.trim_start_matches(is_blank));
        // A longer name is none of a module.
        if module.is_empty() || module.len() > NAME_LIMIT_BYTES {
            return;
        }
        let module = module.replace('-', "_");
        match verb {
            "blacklist" => self.keep(module, ModuleRuleKind::Blacklist, path, line),
            "install" if !rest.trim().is_empty() => self.install(module, rest, path, line),
            _ => {}
        }
    }

    fn keep(&mut self, module: String, kind: ModuleRuleKind, path: &str, line: u32) {
        self.kept.entry((module, kind)).or_insert_with(|| (path.to_owned(), line));
    }

    fn install(&mut self, module: String, command: &str, path: &str, line: u32) {
        if self.is_settled(&module) {
            return;
        }
        if does_nothing(command) {
            let fitting = self
                .loaded
                .iter()
                .filter(|one| is_pattern(&module) && fits(&module, one) && !self.is_settled(one));
            for one in fitting.cloned().collect::<Vec<_>>() {
                self.keep(one, ModuleRuleKind::Install, path, line);
            }
            self.keep(module.clone(), ModuleRuleKind::Install, path, line);
        }
        match is_pattern(&module) {
            true => self.install_patterns.push(module),
            false => drop(self.installs.insert(module)),
        }
    }

    /// Whether an `install` before says what becomes of that module.
    fn is_settled(&self, module: &str) -> bool {
        self.installs.contains(module)
            || self.install_patterns.iter().any(|one| one == module || fits(one, module))
    }

    fn sorted(self) -> Vec<ModuleRule> {
        let rule = |((module, kind), (path, line))| ModuleRule { module, kind, path, line };
        self.kept.into_iter().map(rule).collect()
    }
}

/// The first word, and what is behind it.
fn word(text: &str) -> (&str, &str) {
    text.split_once([' ', '\t']).unwrap_or((text, ""))
}

/// Whether a command, as the shell takes it, loads no module: one program that does nothing,
/// and no other behind it.
fn does_nothing(command: &str) -> bool {
    let command = command.split('#').next().unwrap_or_default();
    let program = command.split_whitespace().next().unwrap_or_default();
    IDLE.contains(&program) && !command.contains([';', '&', '|', '`', '$', '<', '>'])
}

fn is_pattern(module: &str) -> bool {
    module.contains(['*', '?', '['])
}

/// Whether a name fits a pattern of `*` and `?`, fnmatch(3). Sets in brackets fit nothing:
/// no distribution writes them, and nobody shall be accused by a guess.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut seen) = (0, 0);
    // The last star, and how much of the name was before what it took last.
    let mut star = None;
    while seen < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(one) if *one == b'?' || (*one != b'[' && *one == name[seen]) => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((star_at, taken)) = star else { return false };
                star = Some((star_at, taken + 1));
                (at, seen) = (star_at + 1, taken + 1);
            }
        }
    }
    pattern[at..].iter().all(|rest| *rest == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rules of these files, as `module kind path:line`.
    fn rules(files: &[(&str, &str)], loaded: &[&str]) -> Vec<String> {
        let root = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let path = root.path().join(path.trim_start_matches('/'));
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            match text.strip_prefix("-> ") {
                Some(target) => std::os::unix::fs::symlink(target, path).expect("made"),
                None => std::fs::write(path, text).expect("written"),
            }
        }
        let loaded = loaded.iter().map(|name| (*name).to_owned()).collect();
        read(&HostRoot::open(root.path()).expect("a directory"), &loaded)
            .expect("readable")
            .into_iter()
            .map(|rule| {
                let ModuleRule { module, kind, path, line } = rule;
                format!("{module} {kind:?} {path}:{line}")
            })
            .collect()
    }

    #[test]
    fn both_kinds_are_read_with_their_place() {
        let text = "# no\n\nblacklist usb-storage\ninstall\tcramfs  /bin/true\ninstall esp4 /bin/false # why\n\
                    install zfs /sbin/modprobe --ignore-install zfs\noptions kvm nested=1\n  blacklist\n\
                    install rxrpc\nalias a b\n";
        assert_eq!(
            rules(&[("/etc/modprobe.d/a.conf", text), ("/etc/modprobe.d/b", "blacklist x\n")], &[]),
            [
                "cramfs Install /etc/modprobe.d/a.conf:4",
                "esp4 Install /etc/modprobe.d/a.conf:5",
                "usb_storage Blacklist /etc/modprobe.d/a.conf:3",
            ]
        );
    }

    #[test]
    fn an_earlier_folder_masks_files_of_the_same_name() {
        let files = [
            ("/usr/lib/modprobe.d/a.conf", "blacklist of_the_image\n"),
            ("/usr/lib/modprobe.d/b.conf", "blacklist b\n"),
            ("/usr/lib/modprobe.d/c.conf", "blacklist c\n"),
            ("/lib/modprobe.d/b.conf", "blacklist of_a_later_folder\n"),
            ("/run/modprobe.d/a.conf", "blacklist a\n"),
            ("/etc/modprobe.d/c.conf", "-> /dev/null"),
            ("/etc/modprobe.d/d.conf", "-> nowhere"),
            ("/etc/modprobe.d/.e.conf", "blacklist hidden\n"),
        ];
        assert_eq!(
            rules(&files, &[]),
            ["a Blacklist /run/modprobe.d/a.conf:1", "b Blacklist /usr/lib/modprobe.d/b.conf:1"]
        );
    }

    #[test]
    fn the_first_install_counts_and_the_first_place_of_a_rule() {
        let files = [
            ("/etc/modprobe.d/a.conf", "install zfs /opt/load zfs\ninstall usb* /bin/true\n"),
            (
                "/etc/modprobe.d/b.conf",
                "install zfs /bin/false\ninstall usb_storage /opt/load\ninstall esp4 /bin/false\n",
            ),
            ("/etc/modprobe.d/c.conf", "install esp4 /bin/true\nblacklist esp4\n"),
        ];
        assert_eq!(
            rules(&files, &["usb_storage", "uas", "zfs"]),
            [
                "esp4 Blacklist /etc/modprobe.d/c.conf:2",
                "esp4 Install /etc/modprobe.d/b.conf:3",
                "usb* Install /etc/modprobe.d/a.conf:2",
                "usb_storage Install /etc/modprobe.d/a.conf:2",
            ]
        );
    }

    #[test]
    fn a_backslash_joins_lines_which_count_from_the_first() {
        assert_eq!(
            lines("a \\\nb\\\nc\nd\\e\n\n"),
            [(1, "a bc".to_owned()), (4, "de".to_owned()), (5, String::new()), (6, String::new())]
        );
        let text = "# one \\\nblacklist x\ninstall esp6 \\\n  /bin/false\nblacklist y";
        assert_eq!(
            rules(&[("/etc/modprobe.d/a.conf", text)], &[]),
            ["esp6 Install /etc/modprobe.d/a.conf:3", "y Blacklist /etc/modprobe.d/a.conf:5"]
        );
    }

    #[test]
    fn only_a_command_that_does_nothing_keeps_a_module_out() {
        for (command, expected) in [
            ("/bin/true", true),
            (" /usr/bin/false  ", true),
            ("/bin/false # CIS 3.5.1", true),
            ("/bin/true; /sbin/modprobe --ignore-install x", false),
            ("/bin/false || insmod x", false),
            ("/usr/local/bin/true", false),
            ("# nothing", false),
        ] {
            assert_eq!(does_nothing(command), expected, "{command}");
        }
    }

    #[test]
    fn patterns_fit_as_fnmatch_has_it() {
        for (pattern, name, expected) in [
            ("usb*", "usb_storage", true),
            ("usb*", "xusb", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("esp?", "esp4", true),
            ("esp?", "esp", false),
            ("*", "", true),
            ("esp[46]", "esp4", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
        // Many stars take no longer than their product.
        assert!(!fits(&"*a".repeat(100), &format!("{}b", "a".repeat(255))));
    }

    #[test]
    fn too_many_rules_are_refused() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("etc/modprobe.d");
        std::fs::create_dir_all(&folder).expect("made");
        let text: String = (0..=RULES).map(|number| format!("blacklist m{number}\n")).collect();
        std::fs::write(folder.join("a.conf"), text).expect("written");
        let read = read(&HostRoot::open(root.path()).expect("a directory"), &BTreeSet::new());
        assert!(matches!(read, Err(HostError::Malformed { .. })), "{read:?}");
    }
}
