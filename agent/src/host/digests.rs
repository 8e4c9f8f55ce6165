//! SHA-256 of files, in place of what stands in them. Of some a part is left out: from a
//! declared word on nothing of its line goes into the digest, so that neither a secret nor
//! what is a node's own is in it. Such files are read byte by byte, because a buffer would
//! take the secret in. A digest is kept while its file stays the same.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use super::kept::Stamp;
use super::{HostError, HostRoot};

/// So many digests are kept.
const KEPT: usize = 1024;

/// Digests of files that did not change since.
#[derive(Debug, Default)]
pub struct Digests(Mutex<BTreeMap<String, (Stamp, String)>>);

impl Digests {
    /// The digest of a regular file of at most `limit_bytes`, in hexadecimal. `words` are in
    /// lower case, and are found in any.
    pub fn of(
        &self,
        root: &HostRoot,
        path: &str,
        words: &[&str],
        limit_bytes: u64,
    ) -> Result<String, HostError> {
        let stamp = Stamp::of(&root.metadata(path)?);
        let kept = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((then, digest)) = kept().get(path)
            && *then == stamp
        {
            return Ok(digest.clone());
        }
        // Outside of the lock: a reading may hang, and must hang alone.
        let mut file = root.file(path)?.take(limit_bytes.saturating_add(1));
        let digest = match words {
            [] => whole(&mut file),
            words => without(&mut file, words),
        };
        let digest = digest.map_err(|error| HostError::reading(path, &error))?;
        if file.limit() == 0 {
            return Err(HostError::TooLong { path: path.to_owned(), limit_bytes });
        }
        if stamp.is_settled() && Stamp::of(&root.metadata(path)?) == stamp {
            let mut kept = kept();
            if kept.len() >= KEPT {
                kept.clear();
            }
            kept.insert(path.to_owned(), (stamp, digest.clone()));
        }
        Ok(digest)
    }
}

fn whole(file: &mut io::Take<File>) -> io::Result<String> {
    let mut digest = Sha256::new();
    let mut buffer = [0; 4096];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(HEXLOWER.encode(&digest.finalize())),
            read => digest.update(&buffer[..read]),
        }
    }
}

/// The digest of a file in which nothing of a line counts from the first of the words on.
#[expect(clippy::unbuffered_bytes, reason = "a buffer would take in the secrets behind them")]
fn without(file: &mut impl Read, words: &[&str]) -> io::Result<String> {
    let longest = words.iter().map(|word| word.len()).max().unwrap_or_default();
    let mut digest = Sha256::new();
    let mut last: Vec<u8> = Vec::with_capacity(longest + 1);
    let mut is_left_out = false;
    for byte in file.bytes() {
        let byte = byte?;
        if byte == b'\n' {
            digest.update([byte]);
            is_left_out = false;
            last.clear();
            continue;
        }
        if is_left_out {
            continue;
        }
        digest.update([byte]);
        last.push(byte.to_ascii_lowercase());
        if last.len() > longest {
            last.remove(0);
        }
        is_left_out = words.iter().any(|word| last.ends_with(word.as_bytes()));
    }
    Ok(HEXLOWER.encode(&digest.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, words: &[&str]) -> String {
        without(&mut text.as_bytes(), words).expect("readable")
    }

    fn kept(text: &str, words: &[&str]) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a"), text).expect("written");
        let root = HostRoot::open(folder.path()).expect("a directory");
        Digests::default().of(&root, "/a", words, 100).expect("readable")
    }

    #[test]
    fn a_digest_is_that_of_sha256() {
        // FIPS 180-2, appendix B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(kept("abc", &[]), abc);
        assert_eq!(kept("abc", &["never"]), abc);
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a"), "x".repeat(101)).expect("written");
        let root = HostRoot::open(folder.path()).expect("a directory");
        for words in [&[][..], &["y"]] {
            let error = Digests::default().of(&root, "/a", words, 100).expect_err("too long");
            assert_eq!(error, HostError::TooLong { path: "/a".to_owned(), limit_bytes: 100 });
        }
    }

    #[test]
    fn what_stands_behind_a_word_does_not_count_and_all_else_does() {
        let words = ["password", "--node-ip"];
        for (one, other) in [
            ("a\npassword = \"x\"\nb\n", "a\npassword = \"y, longer\"\nb\n"),
            ("Password:1", "Password:2"),
            ("kubelet --node-ip=10.0.0.4 --x\n", "kubelet --node-ip=10.0.0.5 --y\n"),
        ] {
            assert_eq!(of(one, &words), of(other, &words), "{one:?} {other:?}");
            assert_ne!(of(one, &[]), of(other, &[]), "{one:?} {other:?}");
        }
        for (one, other) in [
            ("a\npassword = 1\nb\n", "a\npassword = 1\nc\n"),
            ("a\npassword = 1\n", "a\n"),
            ("passwor\nd = 1\n", "passwor\nd = 2\n"),
            ("pass", "past"),
        ] {
            assert_ne!(of(one, &words), of(other, &words), "{one:?} {other:?}");
        }
    }

    #[test]
    fn a_file_is_read_again_when_it_has_changed_and_not_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        let asked = crate::reads::Asked::noting();
        let root = HostRoot::open(folder.path()).expect("a directory").noting(asked.clone());
        let digests = Digests::default();
        std::fs::write(&path, "one").expect("written");
        std::thread::sleep(super::super::kept::SETTLED * 2);
        let first = digests.of(&root, "/a", &[], 100).expect("readable");
        // A file whose permissions are taken away still has the digest that was kept.
        assert_eq!(digests.0.lock().expect("alone").len(), 1);
        assert_eq!(digests.of(&root, "/a", &[], 100), Ok(first.clone()));
        std::fs::write(&path, "two").expect("written");
        assert_ne!(digests.of(&root, "/a", &[], 100), Ok(first));
        assert_eq!(asked.opened(), ["/a"]);
    }
}
