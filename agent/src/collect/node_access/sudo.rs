//! Rules of sudo that ask for no password, sudoers(5): a line may go on behind a backslash,
//! and files are included by name or by folder.

use nodeward_domain::facts::UnreadPlace;
use nodeward_domain::facts::node_access::Sudo;

use super::{unread, unread_at};
use crate::host::{HostError, HostRoot};

const SUDOERS: &str = "/etc/sudoers";
const LIMIT_BYTES: u64 = 256 * 1024;

/// sudo's own limit of files that include each other.
const DEPTH: usize = 128;

/// So many files are read.
const FILES: usize = 256;

/// What is seen of sudo.
pub(super) fn read(root: &HostRoot) -> Sudo {
    if root.exists(SUDOERS) == Ok(false) {
        return Sudo::NotThere;
    }
    let mut reading = Reading { root, rules: 0, files: 0 };
    match reading.file(SUDOERS, 0) {
        Ok(()) => Sudo::Read(reading.rules),
        Err(unread) => Sudo::Unreadable(unread),
    }
}

struct Reading<'a> {
    root: &'a HostRoot,
    rules: u32,
    files: usize,
}

impl Reading<'_> {
    fn file(&mut self, path: &str, depth: usize) -> Result<(), UnreadPlace> {
        self.files += 1;
        if depth > DEPTH || self.files > FILES {
            return Err(unread_at(path, format!("more than {FILES} files are included")));
        }
        let bytes = self.root.read(path, LIMIT_BYTES).map_err(|error| unread(&error))?;
        let text = String::from_utf8_lossy(&bytes).replace("\\\n", " ");
        for line in text.lines().map(|line| without_comment(line).trim()) {
            let mut words = line.split_whitespace();
            match (words.next(), words.next()) {
                (Some("@include" | "#include"), Some(file)) => self.include(file, depth)?,
                (Some("@includedir" | "#includedir"), Some(folder)) => {
                    self.folder(folder, depth)?;
                }
                _ => self.rules = self.rules.saturating_add(u32::from(asks_for_none(line))),
            }
        }
        Ok(())
    }

    fn include(&mut self, file: &str, depth: usize) -> Result<(), UnreadPlace> {
        match file.starts_with('/') {
            true => self.file(file, depth + 1),
            false => self.file(&format!("/etc/{file}"), depth + 1),
        }
    }

    /// Of a folder those files count whose name has no dot and no tilde at its end.
    fn folder(&mut self, folder: &str, depth: usize) -> Result<(), UnreadPlace> {
        let folder = folder.trim_end_matches('/');
        let names = match self.root.list(folder) {
            Err(HostError::Missing { .. }) => return Ok(()),
            names => names.map_err(|error| unread(&error))?,
        };
        let is_meant = |name: &&String| !name.contains('.') && !name.ends_with('~');
        for name in names.iter().filter(is_meant) {
            self.file(&format!("{folder}/{name}"), depth + 1)?;
        }
        Ok(())
    }
}

/// A line up to its comment. `#` before a number is no comment, but a user, a group or a runas
/// by number, wherever it stands; `#include` and `#includedir` are none either.
fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with("#include") {
        return line;
    }
    let mut is_quoted = false;
    let mut letters = line.char_indices().peekable();
    while let Some((place, letter)) = letters.next() {
        match letter {
            '\\' => {
                letters.next();
            }
            '"' => is_quoted = !is_quoted,
            '#' if !is_quoted => {
                let rest = &line[place + 1..];
                let number = rest.strip_prefix('-').unwrap_or(rest);
                if !number.starts_with(|letter: char| letter.is_ascii_digit()) {
                    return &line[..place];
                }
            }
            _ => {}
        }
    }
    line
}

/// Whether a rule has the tag `NOPASSWD`, or a default does the same to all.
fn asks_for_none(rule: &str) -> bool {
    let mut words =
        rule.split(|letter: char| !(letter.is_ascii_alphanumeric() || "_!".contains(letter)));
    match rule.starts_with("Defaults") {
        true => words.any(|word| word == "!authenticate"),
        false => words.any(|word| word == "NOPASSWD"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(files: &[(&str, &str)]) -> Sudo {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let path = folder.path().join("etc").join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        read(&HostRoot::open(folder.path()).expect("a directory"))
    }

    #[test]
    fn rules_without_a_password_are_counted_wherever_they_stand() {
        assert_eq!(seen(&[]), Sudo::NotThere);
        let sudoers = "Defaults env_reset\n# a ALL=(ALL) NOPASSWD:ALL\nroot ALL=(ALL:ALL) ALL\n\
                       b ALL = \\\n  NOPASSWD: ALL\nc ALL=(ALL) ALL # NOPASSWD\n\
                       @includedir /etc/sudoers.d\n@include more\n";
        let files = [
            ("sudoers", sudoers),
            ("sudoers.d/90-cloud-init-users", "azureuser ALL=(ALL) NOPASSWD:ALL\n"),
            ("sudoers.d/README.md", "x ALL=(ALL) NOPASSWD:ALL\n"),
            ("sudoers.d/old~", "x ALL=(ALL) NOPASSWD:ALL\n"),
            ("more", "Defaults:d !authenticate\n"),
        ];
        assert_eq!(seen(&files), Sudo::Read(3));
    }

    #[test]
    fn a_user_by_number_is_no_comment() {
        for (line, expected) in [
            ("#1001 ALL=(ALL) NOPASSWD: ALL", 1),
            ("  #1001 ALL=(ALL) NOPASSWD: ALL # why", 1),
            ("a, #1001 ALL=(ALL) NOPASSWD: ALL", 1),
            ("%#998 ALL=(ALL) NOPASSWD: ALL", 1),
            ("a ALL=(#0) NOPASSWD: ALL", 1),
            ("a ALL=(#-1) NOPASSWD: ALL", 1),
            ("a ALL=(ALL) NOPASSWD: /bin/x \\#y, /bin/z", 1),
            ("a ALL=(ALL) /bin/x \\#y, NOPASSWD: /bin/z", 1),
            ("Defaults passprompt=\"# %u\", !authenticate", 1),
            ("Defaults:#1001 !authenticate", 1),
            ("# 1001 ALL=(ALL) NOPASSWD: ALL", 0),
            ("#a ALL=(ALL) NOPASSWD: ALL", 0),
            ("## was #1001 ALL=(ALL) NOPASSWD: ALL", 0),
            ("a ALL=(ALL) ALL # NOPASSWD for #1001", 0),
            ("#-a ALL=(ALL) NOPASSWD: ALL", 0),
        ] {
            assert_eq!(seen(&[("sudoers", line)]), Sudo::Read(expected), "{line}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_taken_for_none() {
        let looped = seen(&[("sudoers", "#include /etc/sudoers\n")]);
        assert!(matches!(looped, Sudo::Unreadable(_)), "{looped:?}");
        let lacking = seen(&[("sudoers", "@include /etc/none\n")]);
        assert!(matches!(lacking, Sudo::Unreadable(_)), "{lacking:?}");
    }
}
