//! The file that says whose tokens are believed and what their holders may do: clusters whose
//! agents enrol, issuers of readers' tokens, and grants.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use nodeward_proto::identity::{Clusters, Role, is_name};
use serde::Deserialize;

use crate::kubernetes::{Kubernetes, KubernetesError, KubernetesSettings};
use crate::pull;
use crate::token::{Issuer, KeySource, Keys};

/// The audience where nothing else is told.
const AUDIENCE: &str = "nodeward";

/// The service account of agents where nothing else is told.
const AGENT: &str = "nodeward/nodeward-agent";

/// Where a pod finds its own API server, and what it needs for that.
const IN_CLUSTER: &str = "https://kubernetes.default.svc";
const IN_CLUSTER_CA: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";
const IN_CLUSTER_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// Why the file cannot be used, in one line.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// It cannot be read.
    #[error("--access {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no such file.
    #[error("--access {path}: {why}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        why: String,
    },
    /// A client of a cluster cannot be made.
    #[error("--access {path}: cluster {cluster}: {source}")]
    Kubernetes {
        /// The file.
        path: PathBuf,
        /// The cluster.
        cluster: String,
        /// Why.
        source: KubernetesError,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    #[serde(default)]
    cluster: Vec<ClusterEntry>,
    #[serde(default)]
    issuer: Vec<IssuerEntry>,
    #[serde(default)]
    grant: Vec<GrantEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ClusterEntry {
    name: String,
    issuer: String,
    audience: Option<String>,
    agent: Option<String>,
    api_server: Option<String>,
    api_server_ca: Option<PathBuf>,
    api_server_token_file: Option<PathBuf>,
    jwks_file: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct IssuerEntry {
    url: String,
    audience: Option<String>,
    jwks: Option<String>,
    jwks_file: Option<PathBuf>,
    ca: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct GrantEntry {
    issuer: String,
    subject: Option<String>,
    group: Option<String>,
    role: String,
    clusters: Vec<String>,
}

/// A cluster whose agents enrol.
#[derive(Debug)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// Who issues its tokens.
    pub issuer: Issuer,
    /// The user that agents are to the API server.
    pub agent: String,
    /// Its API server.
    pub kubernetes: Kubernetes,
}

/// To whom a role is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// One user.
    Subject(String),
    /// Everybody of a group.
    Group(String),
}

/// A role that is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Whose tokens.
    pub issuer: String,
    /// To whom.
    pub to: To,
    /// The role.
    pub role: Role,
    /// Where.
    pub clusters: Clusters,
}

/// What the file says.
#[derive(Debug, Default)]
pub struct Settings {
    /// Clusters whose agents enrol.
    pub clusters: Vec<Cluster>,
    /// Issuers of readers' tokens beside them.
    pub issuers: Vec<Issuer>,
    /// Roles that are given.
    pub grants: Vec<Grant>,
}

impl Settings {
    /// Reads the file. Needs a runtime.
    pub fn read(path: &Path) -> Result<Self, AccessError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| AccessError::Unreadable { path: path.to_owned(), source })?;
        let malformed = |why: String| AccessError::Malformed { path: path.to_owned(), why };
        let file: File = toml::from_str(&text).map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            malformed(format!("line {line}: {}", error.message()))
        })?;
        let mut settings = Self::default();
        for entry in file.cluster {
            let name = entry.name.clone();
            settings.add_cluster(entry).map_err(|fault| match fault {
                Fault::Says(why) => malformed(format!("cluster {name}: {why}")),
                Fault::Kubernetes(source) => {
                    AccessError::Kubernetes { path: path.to_owned(), cluster: name.clone(), source }
                }
            })?;
        }
        for entry in file.issuer {
            let url = entry.url.clone();
            settings.add_issuer(entry).map_err(|why| malformed(format!("issuer {url}: {why}")))?;
        }
        for (index, entry) in file.grant.into_iter().enumerate() {
            let number = index + 1;
            settings.add_grant(entry).map_err(|why| malformed(format!("grant {number}: {why}")))?;
        }
        Ok(settings)
    }

    /// Every issuer whose tokens are believed.
    pub fn issuers(&self) -> impl Iterator<Item = &Issuer> {
        self.clusters.iter().map(|cluster| &cluster.issuer).chain(&self.issuers)
    }

    fn add_cluster(&mut self, entry: ClusterEntry) -> Result<(), Fault> {
        if !is_name(&entry.name) {
            return Err(Fault::Says("its name is none".to_owned()));
        }
        if self.clusters.iter().any(|one| one.name == entry.name) {
            return Err(Fault::Says("is there twice".to_owned()));
        }
        self.is_new(&entry.issuer).map_err(Fault::Says)?;
        let audience = audience(entry.audience.as_deref()).map_err(Fault::Says)?;
        let agent = entry.agent.as_deref().unwrap_or(AGENT);
        let agent = agent
            .split_once('/')
            .map(|(namespace, name)| format!("system:serviceaccount:{namespace}:{name}"));
        let agent =
            agent.ok_or_else(|| Fault::Says("agent must be like NAMESPACE/NAME".to_owned()))?;
        let is_own = entry.api_server.is_none();
        let server = KubernetesSettings {
            url: entry.api_server.unwrap_or_else(|| IN_CLUSTER.to_owned()),
            ca: entry.api_server_ca.or_else(|| is_own.then(|| PathBuf::from(IN_CLUSTER_CA))),
            token_file: entry
                .api_server_token_file
                .or_else(|| is_own.then(|| PathBuf::from(IN_CLUSTER_TOKEN)))
                .ok_or_else(|| Fault::Says("api-server needs api-server-token-file".to_owned()))?,
        };
        let kubernetes = Kubernetes::new(&server).map_err(Fault::Kubernetes)?;
        let source = match entry.jwks_file {
            Some(path) => KeySource::File(path),
            None => KeySource::Kubernetes(kubernetes.clone()),
        };
        let issuer = Issuer { name: entry.issuer, audience, keys: Keys::new(source) };
        self.clusters.push(Cluster { name: entry.name, issuer, agent, kubernetes });
        Ok(())
    }

    fn add_issuer(&mut self, entry: IssuerEntry) -> Result<(), String> {
        self.is_new(&entry.url)?;
        let audience = audience(entry.audience.as_deref())?;
        let source = match (entry.jwks, entry.jwks_file) {
            (Some(url), None) if url.starts_with("https://") => {
                let authorities = pull::authorities(entry.ca.as_deref())
                    .map_err(|(path, why)| format!("{}: {why}", path.display()))?;
                KeySource::Server { url, authorities }
            }
            (Some(_), None) => return Err("jwks must begin with https://".to_owned()),
            (None, Some(path)) => KeySource::File(path),
            _ => return Err("needs jwks, the address of its keys, or jwks-file".to_owned()),
        };
        self.issuers.push(Issuer { name: entry.url, audience, keys: Keys::new(source) });
        Ok(())
    }

    fn add_grant(&mut self, entry: GrantEntry) -> Result<(), String> {
        if !self.issuers().any(|issuer| issuer.name == entry.issuer) {
            return Err("its issuer is neither one of a cluster nor an [[issuer]]".to_owned());
        }
        let to = match (entry.subject, entry.group) {
            (Some(subject), None) if !subject.is_empty() => To::Subject(subject),
            (None, Some(group)) if !group.is_empty() => To::Group(group),
            _ => return Err("needs a subject or a group, and not both".to_owned()),
        };
        let role = Role::named(&entry.role).filter(|role| *role != Role::Relay);
        let role = role.ok_or("role must be reader or admin; a relay shows a certificate")?;
        let names: BTreeSet<String> = entry.clusters.into_iter().collect();
        let clusters = if names.is_empty() {
            return Err("clusters is empty: name them, or \"*\" for all".to_owned());
        } else if names.contains("*") {
            Clusters::All
        } else if names.iter().all(|name| is_name(name)) {
            Clusters::Only(names)
        } else {
            return Err("clusters has something that is not a name".to_owned());
        };
        self.grants.push(Grant { issuer: entry.issuer, to, role, clusters });
        Ok(())
    }

    fn is_new(&self, issuer: &str) -> Result<(), String> {
        if issuer.is_empty() {
            Err("issuer is empty".to_owned())
        } else if self.issuers().any(|one| one.name == issuer) {
            // Which cluster a token is of is told by its issuer alone.
            Err("its issuer is there twice".to_owned())
        } else {
            Ok(())
        }
    }
}

/// What is wrong with an entry.
enum Fault {
    Says(String),
    Kubernetes(KubernetesError),
}

/// Never without one: a token that is made for everybody is made for whoever steals it.
fn audience(told: Option<&str>) -> Result<String, String> {
    match told {
        None => Ok(AUDIENCE.to_owned()),
        Some("") => Err("audience is empty".to_owned()),
        Some(audience) => Ok(audience.to_owned()),
    }
}
