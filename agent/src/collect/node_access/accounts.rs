//! Accounts that may log in, and the public keys that let somebody in: passwd(5), and
//! authorized_keys in sshd(8). Of a key its SHA-256 is taken, which is what people compare.

use data_encoding::{BASE64, BASE64_NOPAD};
use nodeward_domain::facts::UnreadPlace;
use nodeward_domain::facts::node_access::{Account, Sshd};
use sha2::{Digest as _, Sha256};

use super::{setting, unread, unread_at};
use crate::host::{HostError, HostRoot};

const PASSWD: &str = "/etc/passwd";
const PASSWD_LIMIT_BYTES: u64 = 1024 * 1024;
const KEYS_LIMIT_BYTES: u64 = 256 * 1024;

/// So many accounts are looked at.
const ACCOUNTS: usize = 256;

/// So many keys of an account are told of.
const KEYS: usize = 256;

/// So many files of keys an account may have, and so many that cannot be read are told of.
const KEY_FILES_LIMIT: usize = 8;
const UNREAD: usize = 256;

/// Shells that let nobody in.
const NO_SHELLS: [&str; 6] = ["nologin", "false", "true", "sync", "shutdown", "halt"];

/// sshd's default.
const KEY_FILES: &str = ".ssh/authorized_keys .ssh/authorized_keys2";

/// What is seen of accounts.
pub(super) struct Accounts {
    pub(super) accounts: Vec<Account>,
    /// Where keys could not be read.
    pub(super) unread: Vec<UnreadPlace>,
}

/// Reads them. Without a list of accounts nobody has one.
pub(super) fn read(root: &HostRoot, sshd: &Sshd) -> Result<Accounts, HostError> {
    let mut seen = Accounts { accounts: Vec::new(), unread: Vec::new() };
    let bytes = match root.read(PASSWD, PASSWD_LIMIT_BYTES) {
        Err(HostError::Missing { .. }) => return Ok(seen),
        bytes => bytes?,
    };
    let patterns = match setting(sshd, "AuthorizedKeysFile") {
        Ok(patterns) => patterns.unwrap_or(KEY_FILES),
        Err(unread) => {
            seen.unread.push(unread.clone());
            KEY_FILES
        }
    };
    if let Ok(Some(command)) = setting(sshd, "AuthorizedKeysCommand")
        && command != "none"
    {
        let path = command.split_whitespace().next().unwrap_or(command);
        seen.unread
            .push(unread_at(path, "tells of keys when it is started, which the agent does not"));
    }
    let count = patterns.split_whitespace().count();
    if count > KEY_FILES_LIMIT || patterns.contains('"') {
        let why = format!("AuthorizedKeysFile {patterns} is not followed as a whole");
        seen.unread.push(unread_at("/etc/ssh/sshd_config", why));
    }
    for line in String::from_utf8_lossy(&bytes).lines() {
        let Some(entry) = Entry::of(line).filter(Entry::may_log_in) else { continue };
        if seen.accounts.len() >= ACCOUNTS {
            seen.unread.push(unread_at(PASSWD, format!("only {ACCOUNTS} accounts are looked at")));
            break;
        }
        let account = entry.account(root, patterns, &mut seen.unread);
        seen.accounts.push(account);
    }
    seen.accounts.sort_by(|a, b| (&a.name, a.uid).cmp(&(&b.name, b.uid)));
    seen.unread.sort();
    seen.unread.dedup();
    seen.unread.truncate(UNREAD);
    Ok(seen)
}

/// A line of passwd(5).
struct Entry<'a> {
    name: &'a str,
    uid: u32,
    home: &'a str,
    shell: &'a str,
}

impl<'a> Entry<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let parts: Vec<&str> = line.split(':').collect();
        let [name, _, uid, _, _, home, shell] = parts.as_slice() else { return None };
        // A `+` stands for accounts of another database, which are not kept here.
        if name.is_empty() || name.starts_with(['#', '+', '-']) {
            return None;
        }
        let shell = if shell.is_empty() { "/bin/sh" } else { shell };
        Some(Self { name, uid: uid.parse().ok()?, home, shell })
    }

    fn may_log_in(&self) -> bool {
        let program = self.shell.rsplit('/').next().unwrap_or_default();
        self.uid == 0 || !NO_SHELLS.contains(&program)
    }

    fn account(
        &self,
        root: &HostRoot,
        patterns: &str,
        unread_at: &mut Vec<UnreadPlace>,
    ) -> Account {
        let (mut keys, mut key_files) = (Vec::new(), Vec::new());
        let patterns = patterns.split_whitespace().filter(|pattern| *pattern != "none");
        for pattern in patterns.take(KEY_FILES_LIMIT) {
            let path = self.path(pattern);
            match root.read(&path, KEYS_LIMIT_BYTES) {
                Ok(bytes) => {
                    keys.extend(String::from_utf8_lossy(&bytes).lines().filter_map(fingerprint));
                    key_files.push(path);
                }
                Err(HostError::Missing { .. }) => {}
                Err(error) => unread_at.push(unread(&error)),
            }
        }
        keys.sort_unstable();
        keys.dedup();
        if keys.len() > KEYS {
            let path = key_files.first().cloned().unwrap_or_default();
            let why = format!("only {KEYS} of {} keys are told of", keys.len());
            unread_at.push(UnreadPlace { path, why });
            keys.truncate(KEYS);
        }
        let (name, shell) = (self.name.to_owned(), self.shell.to_owned());
        Account { name, uid: self.uid, shell, keys, key_files }
    }

    /// Where the keys of the account are, by `AuthorizedKeysFile`.
    fn path(&self, pattern: &str) -> String {
        let path = pattern
            .replace("%%", "\0")
            .replace("%h", self.home)
            .replace("%u", self.name)
            .replace("%U", &self.uid.to_string())
            .replace('\0', "%");
        match path.starts_with('/') {
            true => path,
            false => format!("{}/{path}", self.home.trim_end_matches('/')),
        }
    }
}

/// Kinds of keys that sshd takes.
fn is_kind(word: &str) -> bool {
    ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"].iter().any(|begins| word.starts_with(begins))
}

/// The SHA-256 of the key of a line; none where none stands there that sshd would take.
fn fingerprint(line: &str) -> Option<String> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let (first, rest) = word(line);
    let (kind, rest) = match is_kind(first) {
        true => (first, rest),
        // What stands before a key says how it may be used.
        false => word(rest),
    };
    let key = BASE64.decode(word(rest).0.as_bytes()).ok()?;
    // A key begins with its kind once more, behind its length.
    let (length, named) = key.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let is_whole = is_kind(kind) && named.get(..length) == Some(kind.as_bytes());
    is_whole.then(|| format!("SHA256:{}", BASE64_NOPAD.encode(&Sha256::digest(&key))))
}

/// The first word of a line, in which blanks between quotes end nothing, and what follows.
fn word(line: &str) -> (&str, &str) {
    let line = line.trim_start();
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, letter) in line.char_indices() {
        match letter {
            '"' if !is_escaped => is_quoted = !is_quoted,
            letter if letter.is_whitespace() && !is_quoted => return line.split_at(at),
            _ => {}
        }
        is_escaped = letter == '\\' && !is_escaped;
    }
    (line, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made for this test by ssh-keygen(1), which shows this SHA-256 of it.
    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILlcJjW3b6PQyXRiJYX3v1mb4YdVUR0snMAAkhc2iMr/";
    const SHA256: &str = "SHA256:yeZoRsrreVidbPs5rZbj9Ev5qGCzXQq6w0KO2NOoYeY";

    #[test]
    fn a_key_is_known_by_what_ssh_keygen_shows() {
        for line in [
            KEY.to_owned(),
            format!("{KEY} somebody at a laptop"),
            format!("  command=\"echo \\\"a b\\\"\",no-pty {KEY}"),
            format!("restrict\t{KEY}"),
        ] {
            assert_eq!(fingerprint(&line).as_deref(), Some(SHA256), "{line}");
        }
        let other = KEY.replacen("ssh-ed25519", "ssh-rsa", 1);
        for line in ["", "# comment", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-ed25519 !", &other] {
            assert_eq!(fingerprint(line), None, "{line}");
        }
        assert_eq!(fingerprint(&format!("#{KEY}")), None);
    }

    fn seen(files: &[(&str, &str)]) -> Accounts {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        let root = HostRoot::open(folder.path()).expect("a directory");
        read(&root, &Sshd::NotThere).expect("readable")
    }

    #[test]
    fn accounts_with_a_shell_and_those_of_root_are_told_of() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\n\
                      sync:x:4:65534:sync:/bin:/bin/sync\n\
                      toor:x:0:0::/root2:/usr/sbin/nologin\n\
                      _chrony:x:105:110:,,,:/var/lib/chrony:/usr/sbin/nologin\n\
                      a:x:1000:1000:A Person:/home/a:\n\
                      +::::::\nshort:x\nbad:x:y:0::/:/bin/sh\n";
        let seen = seen(&[
            ("etc/passwd", passwd),
            ("home/a/.ssh/authorized_keys", &format!("{KEY} a@b\n{KEY}\n")),
            ("root2/.ssh/authorized_keys2", KEY),
        ]);
        let told: Vec<_> = seen
            .accounts
            .iter()
            .map(|one| (one.name.as_str(), one.uid, one.shell.as_str(), one.keys.len()))
            .collect();
        let expected = [
            ("a", 1000, "/bin/sh", 1),
            ("root", 0, "/bin/bash", 0),
            ("toor", 0, "/usr/sbin/nologin", 1),
        ];
        assert_eq!(told, expected);
        assert_eq!(seen.accounts[0].key_files, ["/home/a/.ssh/authorized_keys"]);
        assert_eq!(seen.unread, []);
    }

    #[test]
    fn keys_that_cannot_be_read_are_told_to_be_unknown() {
        let seen = seen(&[
            ("etc/passwd", "a:x:1000:1000::/home/a:/bin/sh\n"),
            ("home/a/.ssh/authorized_keys/x", ""),
        ]);
        assert_eq!(seen.unread.len(), 1);
        assert_eq!(seen.unread[0].path, "/home/a/.ssh/authorized_keys");
    }
}
