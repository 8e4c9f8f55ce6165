//! A certificate authority of one's own, for fleets or machines without another one: makes it,
//! and issues certificates of nodes, holders of roles and aggregators. Nothing is overwritten,
//! and private keys are readable by their owner alone.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};
use jiff::{SignedDuration, Timestamp};
use nodeward_proto::authority::{self, Authority, AuthorityError, Made};
use nodeward_proto::identity::{Clusters, Identity, Role};

use crate::arguments::age;
use crate::inert;

/// What can be done with an authority.
#[derive(Debug, Subcommand)]
pub enum Ca {
    /// Make an authority: DIR/ca.pem and DIR/ca.key. Keep the key where nobody else reads.
    Init {
        /// Where; made if it is not there.
        #[arg(long, value_name = "DIR", default_value = ".")]
        out: PathBuf,
        /// The authority's name.
        #[arg(long, value_name = "NAME", default_value = "nodeward authority")]
        name: String,
        /// How long it is in force.
        #[arg(long, value_name = "AGE", default_value = "1825d", value_parser = age)]
        valid: SignedDuration,
    },
    /// Issue a certificate with a new key: OUT.pem and OUT.key.
    Issue(Issue),
}

/// To whom a certificate is issued.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("whom").required(true)))]
pub struct Issue {
    /// The folder of the authority.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub ca: PathBuf,
    /// The files to write, without their ends.
    #[arg(long, value_name = "PATH")]
    pub out: PathBuf,
    /// To this node; it reports for itself alone. One certificate for each node.
    #[arg(long, value_name = "NODE", group = "whom", requires = "cluster")]
    pub node: Option<String>,
    /// What names this life of the node, such as its UID in Kubernetes [default: drawn].
    #[arg(long, value_name = "UID", requires = "node")]
    pub uid: Option<String>,
    /// To this reader of --cluster.
    #[arg(long, value_name = "NAME", group = "whom", requires = "cluster")]
    pub reader: Option<String>,
    /// To this administrator of all clusters.
    #[arg(long, value_name = "NAME", group = "whom", conflicts_with = "cluster")]
    pub admin: Option<String>,
    /// To this relay, which hands on what nodes of --cluster report.
    #[arg(long, value_name = "NAME", group = "whom", requires = "cluster")]
    pub relay: Option<String>,
    /// To an aggregator, which is reached by this name or address; may be given several times.
    #[arg(long, value_name = "NAME", group = "whom", conflicts_with = "cluster")]
    pub server: Vec<String>,
    /// The cluster; a reader may have several, or '*' for all.
    #[arg(long, value_name = "NAME")]
    pub cluster: Vec<String>,
    /// How long it is in force.
    #[arg(long, value_name = "AGE", default_value = "90d", value_parser = age)]
    pub valid: SignedDuration,
}

/// Why nothing was made. Keys are never told.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file cannot be written; one that is there already is not replaced.
    #[error("{path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A node or a relay is of one cluster.
    #[error("--cluster: exactly one is needed")]
    OneCluster,
    /// It would be over at once.
    #[error("--valid: must be longer than nothing")]
    Valid,
    /// The authority refuses.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

impl Ca {
    /// Does it; says what was done and what comes next.
    pub fn done(&self, now: Timestamp) -> Result<String, CaError> {
        match self {
            Self::Init { out, name, valid } => {
                let made = authority::create(name, now, lasts(*valid)?)?;
                std::fs::create_dir_all(out)
                    .map_err(|source| CaError::Write { path: out.clone(), source })?;
                let files = write(&made, &out.join("ca.pem"), &out.join("ca.key"))?;
                let folder = out.display().to_string();
                Ok(format!(
                    "{files}next: nodeward ca issue --ca {} --server NAME --out aggregator\n",
                    inert::text(&folder)
                ))
            }
            Self::Issue(issue) => issue.done(now),
        }
    }
}

impl Issue {
    fn done(&self, now: Timestamp) -> Result<String, CaError> {
        let read = |name: &str| {
            let path = self.ca.join(name);
            std::fs::read_to_string(&path).map_err(|source| CaError::Read { path, source })
        };
        let authority = Authority::from_pem(&read("ca.pem")?, &read("ca.key")?)?;
        let valid = lasts(self.valid)?;
        let made = match self.identity()? {
            Some(identity) => authority.make(identity, now, valid)?,
            None => authority.make_server(&self.server, now, valid)?,
        };
        let file = |end: &str| {
            let mut name = self.out.clone().into_os_string();
            name.push(end);
            PathBuf::from(name)
        };
        let mut text = write(&made, &file(".pem"), &file(".key"))?;
        let end = authority.not_after().min(now + self.valid);
        let _ = writeln!(text, "in force until {}", end.strftime("%Y-%m-%d %H:%M:%S UTC"));
        Ok(text)
    }

    /// Whom it names; nobody where it is a server's.
    fn identity(&self) -> Result<Option<Identity>, CaError> {
        let cluster = || match self.cluster.as_slice() {
            [one] => Ok(one.clone()),
            _ => Err(CaError::OneCluster),
        };
        let holder = |role, name: &str, clusters| {
            Some(Identity::Holder { role, name: name.to_owned(), clusters })
        };
        Ok(if let Some(node) = &self.node {
            let uid = self.uid.clone().map_or_else(drawn, Ok)?;
            Some(Identity::Node { cluster: cluster()?, node: node.clone(), uid })
        } else if let Some(name) = &self.reader {
            let clusters = if self.cluster.iter().any(|one| one == "*") {
                Clusters::All
            } else {
                Clusters::Only(self.cluster.iter().cloned().collect())
            };
            holder(Role::Reader, name, clusters)
        } else if let Some(name) = &self.admin {
            holder(Role::Admin, name, Clusters::All)
        } else if let Some(name) = &self.relay {
            holder(Role::Relay, name, Clusters::one(&cluster()?))
        } else {
            None
        })
    }
}

fn lasts(valid: SignedDuration) -> Result<Duration, CaError> {
    Duration::try_from(valid).ok().filter(|valid| !valid.is_zero()).ok_or(CaError::Valid)
}

/// A UID that no other node has. It has not the form of Kubernetes' own, so that what a cluster's
/// API server says of the node is not taken for another life's.
fn drawn() -> Result<String, CaError> {
    let path = PathBuf::from("/proc/sys/kernel/random/uuid");
    let uid = std::fs::read_to_string(&path).map_err(|source| CaError::Read { path, source })?;
    Ok(uid.trim().replace('-', ""))
}

/// Writes both, the key first: who has the certificate shall have the key.
fn write(made: &Made, certificate: &Path, key: &Path) -> Result<String, CaError> {
    let put = |path: &Path, mode: u32, text: &str| {
        let failed = |source| CaError::Write { path: path.to_owned(), source };
        let mut options = std::fs::OpenOptions::new();
        let mut file =
            options.write(true).create_new(true).mode(mode).open(path).map_err(failed)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
    };
    put(key, 0o600, &made.key)?;
    put(certificate, 0o644, &made.certificate)?;
    let mut text = String::new();
    for path in [certificate, key] {
        let _ = writeln!(text, "wrote {}", inert::text(&path.display().to_string()));
    }
    Ok(text)
}
