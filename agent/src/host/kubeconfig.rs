//! The cluster's entry of a kubeconfig, the file by which clients of Kubernetes find their
//! API server. Credentials stand behind it in the same file: it is read byte by byte,
//! because a buffer would take them in, and never further than the first key that is none
//! of the cluster's. Of other values than the two that are asked for nothing is kept.

use std::io::{Read, Result};

/// What stands before credentials, as kubelets and kubeadm write it.
const PASSED: [&[u8]; 15] = [
    b"apiVersion",
    b"certificate-authority-data",
    b"cluster",
    b"clusters",
    b"context",
    b"contexts",
    b"current-context",
    b"insecure-skip-tls-verify",
    b"kind",
    b"name",
    b"namespace",
    b"preferences",
    b"proxy-url",
    b"tls-server-name",
    // Of a context: a name. The list of users is `users`.
    b"user",
];
const SERVER: &[u8] = b"server";
const AUTHORITY: &[u8] = b"certificate-authority";
const INLINE: &[u8] = b"certificate-authority-data";

/// A longer key is none that is looked for, and a longer value is none that is kept.
const KEY_BYTES: usize = 32;
const VALUE_BYTES: usize = 1024;

/// What is told of a kubeconfig.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kubeconfig {
    /// The servers of its clusters, in order.
    pub servers: Vec<String>,
    /// The files with their authorities, in order.
    pub authorities: Vec<String>,
    /// Authorities stand in the file itself.
    pub has_inline_authority: bool,
}

/// What the line that is being read has shown itself to be.
enum Line {
    /// Blanks, and marks of a list's elements.
    Blank,
    /// So much of a key.
    Key(Vec<u8>),
    /// So much of a value that is kept, and of which.
    Value(bool, Vec<u8>),
    /// A comment, or the value of a key that is passed over.
    Other,
}

/// Reads it up to the first key that is none of the cluster's.
#[expect(clippy::unbuffered_bytes, reason = "a buffer would take in the credentials behind it")]
pub(super) fn kubeconfig(file: impl Read) -> Result<Kubeconfig> {
    let mut found = Kubeconfig::default();
    let mut line = Line::Blank;
    for byte in file.bytes() {
        line = match (line, byte?) {
            (Line::Value(is_server, value), b'\n') => {
                keep(&mut found, is_server, &value);
                Line::Blank
            }
            (Line::Key(_), b'\n') => return Ok(found),
            (_, b'\n') | (Line::Blank, b' ' | b'\t' | b'-' | b'\r') => Line::Blank,
            (Line::Blank, b'#') => Line::Other,
            (Line::Blank, byte) => Line::Key(vec![byte]),
            (Line::Key(key), b':') => match key.trim_ascii() {
                SERVER => Line::Value(true, Vec::new()),
                AUTHORITY => Line::Value(false, Vec::new()),
                key if PASSED.contains(&key) => {
                    found.has_inline_authority |= key == INLINE;
                    Line::Other
                }
                _ => return Ok(found),
            },
            (Line::Key(mut key), byte) => {
                key.push(byte);
                if key.len() > KEY_BYTES {
                    return Ok(found);
                }
                Line::Key(key)
            }
            (Line::Value(is_server, mut value), byte) => {
                value.push(byte);
                if value.len() > VALUE_BYTES {
                    return Ok(found);
                }
                Line::Value(is_server, value)
            }
            (Line::Other, _) => Line::Other,
        };
    }
    if let Line::Value(is_server, value) = line {
        keep(&mut found, is_server, &value);
    }
    Ok(found)
}

fn keep(found: &mut Kubeconfig, is_server: bool, value: &[u8]) {
    let value = String::from_utf8_lossy(value);
    let value = value.trim().trim_matches(['"', '\'']).to_owned();
    let into = if is_server { &mut found.servers } else { &mut found.authorities };
    if !value.is_empty() && !into.contains(&value) {
        into.push(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that remembers how far it was read.
    struct Watched<'a>(&'a [u8], usize);

    impl Read for Watched<'_> {
        fn read(&mut self, into: &mut [u8]) -> Result<usize> {
            assert!(into.len() <= 1, "{} bytes were asked for at once", into.len());
            let count = (&self.0[self.1..]).read(into)?;
            self.1 += count;
            Ok(count)
        }
    }

    /// What is told of a text, and what of it was read at all.
    fn taken(text: &str) -> (Kubeconfig, String) {
        let mut file = Watched(text.as_bytes(), 0);
        let found = kubeconfig(&mut file).expect("readable");
        (found, text[..file.1].to_owned())
    }

    const AKS: &str = "apiVersion: v1\nkind: Config\nclusters:\n- name: localcluster\n  \
        cluster:\n    certificate-authority: /etc/kubernetes/certs/ca.crt\n    \
        server: https://a.hcp.example:443\n";

    #[test]
    fn server_and_authority_are_told_and_nothing_of_users_is_read() {
        for users in [
            "users:\n- name: client\n  user:\n    token: secret\n",
            "token: secret\n",
            "client-key-data: secret\n",
            "\"users\": [{secret}]\n",
            "{users: secret}\n",
        ] {
            let (found, read) = taken(&format!("{AKS}{users}"));
            assert_eq!(found.servers, ["https://a.hcp.example:443"]);
            assert_eq!(found.authorities, ["/etc/kubernetes/certs/ca.crt"]);
            assert!(!read.contains("secret"), "{users:?}: {read:?}");
        }
        // As Go writes it, with keys in their order and the user's name in a context.
        let (found, read) = taken(
            "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: QUJD\n    \
             server: \"https://192.0.2.1:6443\" \n  name: kubernetes\ncontexts:\n- context:\n    \
             cluster: kubernetes\n    user: system:node:a\n  name: c\ncurrent-context: c\n\
             kind: Config\npreferences: {}\nusers:\n- name: secret\n",
        );
        assert_eq!(found.servers, ["https://192.0.2.1:6443"]);
        assert!(found.has_inline_authority && found.authorities.is_empty());
        assert!(read.ends_with("users:"), "{read:?}");
    }

    #[test]
    fn credentials_that_stand_first_hide_the_server_and_are_not_read() {
        let (found, read) = taken(&format!("users:\n- user:\n    token: secret\n{AKS}"));
        assert_eq!((found, read.as_str()), (Kubeconfig::default(), "users:"));
        let (found, read) = taken(r#"{"clusters": [{"cluster": {"server": "https://a"}}]}"#);
        assert_eq!(found, Kubeconfig::default());
        assert!(read.len() < 20, "{read:?}");
        let long = format!("server: https://{}\n", "a".repeat(2 * VALUE_BYTES));
        assert_eq!(taken(&long).0, Kubeconfig::default());
    }
}
