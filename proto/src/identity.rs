//! Who somebody is, as a certificate says it: in subject alternative names of type URI (RFC
//! 5280, RFC 3986), `nodeward://CLUSTER/node/NODE/UID` for a node and
//! `nodeward://CLUSTER/ROLE/NAME` for everybody else.

use std::collections::BTreeSet;
use std::fmt;

/// What an address of ours begins with.
const SCHEME: &str = "nodeward://";

/// In the place of a cluster: every one.
const EVERY: &str = "*";

/// The longest name, as long as a DNS name.
const NAME_LIMIT_BYTES: usize = 253;

/// The longest UID; Kubernetes' have 36 characters.
const UID_LIMIT_BYTES: usize = 64;

/// So many clusters a certificate names at most.
const CLUSTERS_LIMIT: usize = 64;

/// Which clusters somebody may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clusters {
    /// Every one.
    All,
    /// These.
    Only(BTreeSet<String>),
}

impl Clusters {
    /// This one alone.
    #[must_use]
    pub fn one(name: &str) -> Self {
        Self::Only(BTreeSet::from([name.to_owned()]))
    }

    /// Whether that one is among them.
    #[must_use]
    pub fn has(&self, cluster: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(cluster),
        }
    }
}

/// What somebody may do who is no node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Ask.
    Reader,
    /// Ask, and import.
    Admin,
    /// Hand on what the nodes of one cluster report.
    Relay,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Reader, Self::Admin, Self::Relay];

    /// Its word in addresses and settings.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Admin => "admin",
            Self::Relay => "relay",
        }
    }

    /// The role of that word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }
}

/// Who somebody is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// One life of a node.
    Node {
        /// Its cluster.
        cluster: String,
        /// Its name.
        node: String,
        /// What names this life of it.
        uid: String,
    },
    /// A person or a program with a role.
    Holder {
        /// The role.
        role: Role,
        /// For the log.
        name: String,
        /// Where it holds.
        clusters: Clusters,
    },
}

/// Why addresses are no identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// None is ours.
    #[error("names nobody: nodeward://CLUSTER/node/NODE/UID or nodeward://CLUSTER/ROLE/NAME")]
    Nobody,
    /// They name several.
    #[error("names more than one")]
    Several,
    /// One has another form.
    #[error(
        "does not have the form nodeward://CLUSTER/node/NODE/UID or nodeward://CLUSTER/ROLE/NAME"
    )]
    Form,
    /// Something in it is not a name.
    #[error("its cluster or name is not a name")]
    Name,
    /// Without it a node that is made anew would go on as the one before.
    #[error("has no node UID")]
    Uid,
    /// A relay speaks for one cluster.
    #[error("a relay is of exactly one cluster")]
    Relay,
}

impl Identity {
    /// Whom the addresses of one certificate name; those of others are passed over.
    pub fn from_uris<'a>(uris: impl IntoIterator<Item = &'a str>) -> Result<Self, IdentityError> {
        let mut found: Option<Self> = None;
        for path in uris.into_iter().filter_map(|uri| uri.strip_prefix(SCHEME)) {
            let next = one(path)?;
            found = Some(match found {
                None => next,
                Some(found) => found.joined(next)?,
            });
        }
        match found.ok_or(IdentityError::Nobody)? {
            Self::Holder { role: Role::Relay, clusters, .. } if !is_one(&clusters) => {
                Err(IdentityError::Relay)
            }
            found => Ok(found),
        }
    }

    /// The same holder in further clusters.
    fn joined(self, next: Self) -> Result<Self, IdentityError> {
        match (self, next) {
            (
                Self::Holder { role, name, clusters: Clusters::Only(mut all) },
                Self::Holder { role: same, name: also, clusters: Clusters::Only(more) },
            ) if role == same && name == also && all.len() < CLUSTERS_LIMIT => {
                all.extend(more);
                Ok(Self::Holder { role, name, clusters: Clusters::Only(all) })
            }
            _ => Err(IdentityError::Several),
        }
    }

    /// Its addresses, in order.
    #[must_use]
    pub fn uris(&self) -> Vec<String> {
        match self {
            Self::Node { cluster, node, uid } => {
                vec![format!("{SCHEME}{cluster}/node/{node}/{uid}")]
            }
            Self::Holder { role, name, clusters } => {
                let of = |cluster: &str| format!("{SCHEME}{cluster}/{}/{name}", role.word());
                match clusters {
                    Clusters::All => vec![of(EVERY)],
                    Clusters::Only(names) => names.iter().map(|cluster| of(cluster)).collect(),
                }
            }
        }
    }

    /// The same, looked through: what is not a name is refused before it is signed.
    pub fn checked(self) -> Result<Self, IdentityError> {
        let uris = self.uris();
        let read = Self::from_uris(uris.iter().map(String::as_str))?;
        if read == self { Ok(self) } else { Err(IdentityError::Form) }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node { cluster, node, uid } => write!(f, "node {cluster}/{node} ({uid})"),
            Self::Holder { role, name, .. } => write!(f, "{} {name}", role.word()),
        }
    }
}

/// The identity in one address.
fn one(path: &str) -> Result<Identity, IdentityError> {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        [cluster, "node", node, uid] => {
            if !is_name(cluster) || !is_name(node) {
                return Err(IdentityError::Name);
            }
            if !is_uid(uid) {
                return Err(IdentityError::Uid);
            }
            let [cluster, node, uid] = [cluster, node, uid].map(|part| (*part).to_owned());
            Ok(Identity::Node { cluster, node, uid })
        }
        [_, "node", _] => Err(IdentityError::Uid),
        [cluster, role, name] => {
            let role = Role::named(role).ok_or(IdentityError::Form)?;
            let clusters = match *cluster {
                EVERY => Clusters::All,
                cluster if is_name(cluster) => Clusters::one(cluster),
                _ => return Err(IdentityError::Name),
            };
            if !is_name(name) {
                return Err(IdentityError::Name);
            }
            Ok(Identity::Holder { role, name: (*name).to_owned(), clusters })
        }
        _ => Err(IdentityError::Form),
    }
}

fn is_one(clusters: &Clusters) -> bool {
    matches!(clusters, Clusters::Only(names) if names.len() == 1)
}

/// Whether it may name a cluster, a node or a holder: as long as a DNS name, in lower case.
#[must_use]
pub fn is_name(value: &str) -> bool {
    !value.is_empty()
        && value.len() <= NAME_LIMIT_BYTES
        && value
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b))
}

/// Whether it may name a life of a node.
#[must_use]
pub fn is_uid(uid: &str) -> bool {
    !uid.is_empty()
        && uid.len() <= UID_LIMIT_BYTES
        && uid.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_uri_names_cluster_node_and_uid() {
        let uid = "9a2f3a6e-0c2b-4a6b-8d0e-1c1f3a2b4c5d";
        let ours = format!("nodeward://prod/node/aks-a/{uid}");
        let read = Identity::from_uris(["https://example.com", &ours]).expect("a node");
        let node = Identity::Node {
            cluster: "prod".to_owned(),
            node: "aks-a".to_owned(),
            uid: uid.to_owned(),
        };
        assert_eq!(read, node);
        assert_eq!(read.uris(), [ours]);
    }

    #[test]
    fn a_holder_has_a_role_in_one_cluster_in_several_or_in_all() {
        let read = |uris: &[&str]| Identity::from_uris(uris.iter().copied());
        let of = |role, clusters| Identity::Holder { role, name: "ann".to_owned(), clusters };
        assert_eq!(read(&["nodeward://*/admin/ann"]), Ok(of(Role::Admin, Clusters::All)));
        assert_eq!(read(&["nodeward://b/relay/ann"]), Ok(of(Role::Relay, Clusters::one("b"))));
        let two = Clusters::Only(BTreeSet::from(["a".to_owned(), "b".to_owned()]));
        let uris = ["nodeward://a/reader/ann", "nodeward://b/reader/ann"];
        assert_eq!(read(&uris), Ok(of(Role::Reader, two.clone())));
        assert_eq!(of(Role::Reader, two.clone()).uris(), uris);
        assert!(two.has("a") && !two.has("c"));
        assert!(of(Role::Relay, two).checked().is_err());
    }

    #[test]
    fn anything_else_is_refused() {
        for uris in [
            &[][..],
            &["https://prod/node/a/1"],
            &["nodeward://prod/node/a"],
            &["nodeward://prod/node/a/"],
            &["nodeward://prod/node/a/1/2"],
            &["nodeward://prod/node/*/1"],
            &["nodeward://*/node/a/1"],
            &["nodeward://prod/king/a"],
            &["nodeward://prod/reader/a/1"],
            &["nodeward://prod/reader/"],
            &["nodeward://*/relay/a"],
            &["nodeward://a/relay/a", "nodeward://b/relay/a"],
            &["nodeward://a/reader/a", "nodeward://b/admin/a"],
            &["nodeward://a/reader/a", "nodeward://b/reader/b"],
            &["nodeward:///node/a/1"],
            &["nodeward://Prod/node/a/1"],
            &["nodeward://prod/node/a%20b/1"],
            &["nodeward://prod/node/a/1", "nodeward://prod/node/b/1"],
            &["nodeward://prod/node/a/1", "nodeward://prod/reader/a"],
        ] {
            assert!(Identity::from_uris(uris.iter().copied()).is_err(), "{uris:?}");
        }
    }
}
