//! How an agent shows an aggregator over TLS who it is: by certificate files that somebody else
//! keeps, or by a certificate that it enrols for with its pod's token and renews by itself. The
//! key of the latter is made here and never leaves this process.

mod enrolled;
mod files;
mod link;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use tonic::transport::Channel;
use tonic::{Code, Status};

use enrolled::Enrolled;
use files::Files;
pub use link::Target;

/// After so many failures in a row a new certificate is enrolled for: the aggregator may trust
/// another authority by now.
const ENROL_AGAIN_AFTER: u32 = 3;

/// The longest file of certificates, keys or tokens that is read.
const LONGEST_FILE_BYTES: u64 = 1 << 20;

/// Why an agent cannot show who it is. Neither tokens nor keys are told.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// A file cannot be read.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{path}: {why}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The address names no server.
    #[error("--aggregator: {0:?} names no server")]
    Address(String),
    /// Certificate and key do not go together, or TLS refuses them.
    #[error("certificate or key cannot be used: {0}")]
    Tls(String),
    /// No key can be made.
    #[error("no key can be made")]
    Key,
    /// The aggregator gives no certificate.
    #[error("the aggregator gives no certificate: {:?}: {}", .0.code(), .0.message())]
    Refused(Status),
    /// What it gives cannot be used.
    #[error("the certificate that the aggregator gives cannot be used: {0}")]
    Given(&'static str),
}

/// What an agent shows.
#[derive(Debug)]
pub struct Credential {
    target: Target,
    ca: PathBuf,
    source: Source,
    failures: u32,
    open: Option<Open>,
}

#[derive(Debug)]
enum Source {
    Files(Files),
    Enrolled(Enrolled),
}

/// A connection and what it was made with.
#[derive(Debug)]
struct Open {
    channel: Channel,
    authorities: Vec<u8>,
    generation: u64,
}

impl Credential {
    /// Shows certificate files, which are taken anew when they change. They must be usable.
    pub fn files(
        target: Target,
        ca: PathBuf,
        certificate: PathBuf,
        key: PathBuf,
    ) -> Result<Self, CredentialError> {
        let source = Source::Files(Files::open(certificate, key)?);
        let mut credential = Self { target, ca, source, failures: 0, open: None };
        credential.connect()?;
        Ok(credential)
    }

    /// Enrols with the token in that file, which is read anew each time.
    pub fn enrolled(
        target: Target,
        ca: PathBuf,
        token_file: PathBuf,
    ) -> Result<Self, CredentialError> {
        // What is wrong with it is told at the start.
        link::config(&read(&ca)?, &ca, None)?;
        let source = Source::Enrolled(Enrolled::new(token_file));
        Ok(Self { target, ca, source, failures: 0, open: None })
    }

    /// A connection that shows the newest certificate; enrols or renews first where it is time.
    pub async fn channel(&mut self) -> Result<Channel, CredentialError> {
        if let Source::Enrolled(enrolled) = &mut self.source {
            let authorities = read(&self.ca)?;
            let anew = self.failures >= ENROL_AGAIN_AFTER;
            enrolled.keep(&self.target, &authorities, &self.ca, anew).await?;
            if anew {
                self.failures = 0;
            }
        }
        self.connect()
    }

    /// Notes how a call over the connection ended. An aggregator that answers otherwise, such as
    /// one whose store does not commit, says nothing against the certificate.
    pub fn ended(&mut self, result: Result<(), &Status>) {
        match result {
            Ok(()) => self.failures = 0,
            Err(status) if is_against_the_certificate(status) => {
                self.failures = self.failures.saturating_add(1);
            }
            Err(_) => {}
        }
    }

    fn connect(&mut self) -> Result<Channel, CredentialError> {
        let authorities = match (read(&self.ca), &self.open) {
            (Ok(authorities), _) => authorities,
            // While a file is being replaced the last good one holds.
            (Err(_), Some(open)) => open.authorities.clone(),
            (Err(error), None) => return Err(error),
        };
        let (generation, shown) = match &mut self.source {
            Source::Files(files) => files.newest(),
            Source::Enrolled(enrolled) => enrolled.newest().ok_or(CredentialError::Key)?,
        };
        if let Some(open) = &self.open
            && open.generation == generation
            && open.authorities == authorities
        {
            return Ok(open.channel.clone());
        }
        let config = match link::config(&authorities, &self.ca, Some(shown)) {
            Ok(config) => config,
            Err(error) => match &self.open {
                Some(open) => {
                    tracing::warn!(%error, "the last good certificates stay in use");
                    return Ok(open.channel.clone());
                }
                None => return Err(error),
            },
        };
        let channel = self.target.channel(config)?;
        self.open = Some(Open { channel: channel.clone(), authorities, generation });
        Ok(channel)
    }
}

/// Whether a refusal may be the certificate's fault: it says so, or TLS breaks the connection,
/// which has a cause behind it where an answer has none.
fn is_against_the_certificate(status: &Status) -> bool {
    status.code() == Code::Unauthenticated || std::error::Error::source(status).is_some()
}

/// A file of certificates, keys or tokens.
fn read(path: &Path) -> Result<Vec<u8>, CredentialError> {
    let failed = |source| CredentialError::File { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(LONGEST_FILE_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
