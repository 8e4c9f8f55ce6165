//! Certificates of PEM files, RFC 5280 and RFC 7468. Files that may hold a private key too are
//! read up to it.

use jiff::Timestamp;
use nodeward_domain::facts::kubelet::Certificate;
use x509_parser::certificate::X509Certificate;
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer as _;

use crate::host::{HostError, HostRoot};

/// A bundle of authorities has some kilobytes.
const LIMIT_BYTES: u64 = 128 * 1024;

/// So many certificates of one file are reported.
const CERTIFICATES: usize = 64;

/// The certificates of a file, each with its DER. At least one.
pub(super) fn certificates(
    root: &HostRoot,
    path: &str,
) -> Result<Vec<(Vec<u8>, Certificate)>, HostError> {
    let malformed = |why: String| HostError::Malformed { path: path.to_owned(), why };
    let pem = root.read_certificates(path, LIMIT_BYTES)?;
    let read = of_pem(path, &pem, CERTIFICATES)?;
    if read.is_empty() {
        return Err(malformed("has no certificate, or a private key stands before it".to_owned()));
    }
    Ok(read)
}

/// The certificates in a text, each with its DER, so many at the most.
pub(super) fn of_pem(
    path: &str,
    pem: &[u8],
    limit: usize,
) -> Result<Vec<(Vec<u8>, Certificate)>, HostError> {
    let malformed = |why: String| HostError::Malformed { path: path.to_owned(), why };
    let mut read = Vec::new();
    for block in Pem::iter_from_buffer(pem).take(limit) {
        let number = read.len() + 1;
        let block = block.map_err(|_| malformed(format!("certificate {number} is not PEM")))?;
        let certificate = certificate(&block.contents)
            .ok_or_else(|| malformed(format!("certificate {number} is not X.509")))?;
        read.push((block.contents, certificate));
    }
    Ok(read)
}

fn certificate(der: &[u8]) -> Option<Certificate> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let validity = certificate.validity();
    Some(Certificate {
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
        not_before: Timestamp::from_second(validity.not_before.timestamp()).ok()?,
        not_after: Timestamp::from_second(validity.not_after.timestamp()).ok()?,
    })
}
