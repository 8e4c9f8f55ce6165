//! The cluster's entry of a kubeconfig, the file by which clients of Kubernetes find their
//! API server. Credentials stand behind it in the same file: it is read byte by byte,
//! because a buffer would take them in, and never further than the first key that is none
//! of the cluster's. Of other values than those that are asked for nothing is kept, and of a
//! proxy, whose address may hold a password, only that there is one. What the keys mean stands
//! in `k8s.io/client-go/tools/clientcmd/api`.

use std::io::{Read, Result};

/// What stands before credentials, as kubelets and kubeadm write it.
const PASSED: [&[u8]; 13] = [
    b"apiVersion",
    b"certificate-authority-data",
    b"cluster",
    b"clusters",
    b"context",
    b"contexts",
    b"current-context",
    b"disable-compression",
    b"kind",
    b"name",
    b"namespace",
    b"preferences",
    // Of a context: a name. The list of users is `users`.
    b"user",
];
const SERVER: &[u8] = b"server";
const AUTHORITY: &[u8] = b"certificate-authority";
const INLINE: &[u8] = b"certificate-authority-data";
const SERVER_NAME: &[u8] = b"tls-server-name";
const INSECURE: &[u8] = b"insecure-skip-tls-verify";
const PROXY: &[u8] = b"proxy-url";

/// Where the credentials begin.
const USERS: &[u8] = b"users";

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
    /// The names that are asked for in the handshake, and looked for in the certificate, in the
    /// place of the servers', in order.
    pub server_names: Vec<String>,
    /// Whoever answers is believed.
    pub is_insecure: bool,
    /// The server is asked through a proxy.
    pub has_proxy: bool,
    /// Everything before the credentials was read, so that what is not told is not there.
    pub is_whole: bool,
}

/// What the line that is being read has shown itself to be.
enum Line {
    /// Blanks, and marks of a list's elements.
    Blank,
    /// So much of a key.
    Key(Vec<u8>),
    /// So much of a value that is kept, and of which.
    Value(Kept, Vec<u8>),
    /// The address of a proxy, so far of blanks and quotes.
    Proxy,
    /// A comment, or the value of a key that is passed over.
    Other,
}

/// Values that are kept.
#[derive(Clone, Copy)]
enum Kept {
    Server,
    Authority,
    ServerName,
    Insecure,
}

/// Reads it up to the first key that is none of the cluster's.
#[expect(clippy::unbuffered_bytes, reason = "a buffer would take in the credentials behind it")]
pub(super) fn kubeconfig(file: impl Read) -> Result<Kubeconfig> {
    let mut found = Kubeconfig::default();
    let mut line = Line::Blank;
    for byte in file.bytes() {
        line = match (line, byte?) {
            (Line::Value(kept, value), b'\n') => {
                keep(&mut found, kept, &value);
                Line::Blank
            }
            (Line::Key(_), b'\n') => return Ok(found),
            (_, b'\n') | (Line::Blank, b' ' | b'\t' | b'-' | b'\r') => Line::Blank,
            (Line::Blank, b'#') => Line::Other,
            (Line::Blank, byte) => Line::Key(vec![byte]),
            (Line::Key(key), b':') => match key.trim_ascii() {
                SERVER => Line::Value(Kept::Server, Vec::new()),
                AUTHORITY => Line::Value(Kept::Authority, Vec::new()),
                SERVER_NAME => Line::Value(Kept::ServerName, Vec::new()),
                INSECURE => Line::Value(Kept::Insecure, Vec::new()),
                PROXY => Line::Proxy,
                USERS => return Ok(Kubeconfig { is_whole: true, ..found }),
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
            (Line::Proxy, b' ' | b'\t' | b'\r' | b'"' | b'\'') => Line::Proxy,
            (Line::Proxy, byte) => {
                found.has_proxy |= byte != b'#';
                Line::Other
            }
            (Line::Value(kept, mut value), byte) => {
                value.push(byte);
                if value.len() > VALUE_BYTES {
                    return Ok(found);
                }
                Line::Value(kept, value)
            }
            (Line::Other, _) => Line::Other,
        };
    }
    if let Line::Value(kept, value) = line {
        keep(&mut found, kept, &value);
    }
    Ok(Kubeconfig { is_whole: true, ..found })
}

fn keep(found: &mut Kubeconfig, kept: Kept, value: &[u8]) {
    let value = String::from_utf8_lossy(value);
    let value = value.trim().trim_matches(['"', '\'']).to_owned();
    let into = match kept {
        Kept::Server => &mut found.servers,
        Kept::Authority => &mut found.authorities,
        Kept::ServerName => &mut found.server_names,
        Kept::Insecure => {
            let value = value.split('#').next().unwrap_or_default().trim();
            let is_true = |word: &&str| value.eq_ignore_ascii_case(word);
            found.is_insecure |= ["true", "yes", "on", "y"].iter().any(is_true);
            return;
        }
    };
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
    fn what_changes_how_the_server_is_asked_is_told() {
        let with = |lines: &str| {
            let (found, read) = taken(&format!("{AKS}{lines}users:\n- name: secret\n"));
            assert!(found.is_whole && !read.contains("secret"), "{read:?}");
            found
        };
        let plain = with("");
        assert_eq!(
            (plain.has_proxy, plain.is_insecure, plain.server_names.len()),
            (false, false, 0)
        );
        let named = with("    tls-server-name: \"kubernetes.default\"\n");
        assert_eq!(named.server_names, ["kubernetes.default"]);
        for value in ["true", "True", "yes # for now"] {
            assert!(
                with(&format!("    insecure-skip-tls-verify: {value}\n")).is_insecure,
                "{value}"
            );
        }
        for value in ["false", "", "\"\""] {
            let lines = format!("    insecure-skip-tls-verify: {value}\n");
            assert!(!with(&lines).is_insecure, "{value}");
        }
        let proxied = with("    proxy-url: http://me:password@192.0.2.1:3128\n");
        assert!(proxied.has_proxy && !format!("{proxied:?}").contains("password"));
        for value in ["", "\"\"", " # none"] {
            assert!(!with(&format!("    proxy-url: {value}\n")).has_proxy, "{value}");
        }
        // A key that is not known here may hide one that counts.
        let (found, _) =
            taken(&format!("{AKS}    extensions:\n    insecure-skip-tls-verify: true\n"));
        assert_eq!((found.servers.len(), found.is_whole), (1, false));
    }

    #[test]
    fn credentials_that_stand_first_hide_the_server_and_are_not_read() {
        let (found, read) = taken(&format!("users:\n- user:\n    token: secret\n{AKS}"));
        let nothing = Kubeconfig { is_whole: true, ..Kubeconfig::default() };
        assert_eq!((found, read.as_str()), (nothing, "users:"));
        let (found, read) = taken(r#"{"clusters": [{"cluster": {"server": "https://a"}}]}"#);
        assert_eq!(found, Kubeconfig::default());
        assert!(read.len() < 20, "{read:?}");
        let long = format!("server: https://{}\n", "a".repeat(2 * VALUE_BYTES));
        assert_eq!(taken(&long).0, Kubeconfig::default());
    }
}
