//! A certificate authority of the fleet's own: makes itself, and issues certificates that say
//! who somebody is (RFC 5280). What an identity looks like stands in [`crate::identity`].

use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SanType, SubjectPublicKeyInfo,
};
use time::OffsetDateTime;

use crate::identity::{Identity, IdentityError};

/// Certificates begin so long before they are made: clocks of machines differ.
const EARLIER: Duration = Duration::from_secs(300);

/// The longest public key that is taken.
const KEY_LIMIT_BYTES: usize = 1024;

/// Why nothing is issued.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The authority's certificate or key cannot be used. What is in them is not told.
    #[error("the authority's certificate or key cannot be used")]
    Authority,
    /// The authority's certificate is not one of an authority.
    #[error("the certificate is not one of an authority")]
    NoAuthority,
    /// The public key is none, or of a kind that is not taken.
    #[error("public_key: is no ECDSA key on P-256 or P-384, nor an Ed25519 key")]
    PublicKey,
    /// Nobody can be named so.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A name of a server is none.
    #[error("{0:?} is not a name of a server")]
    ServerName(String),
    /// It would outlast what there are dates for.
    #[error("there is no such date")]
    Date,
    /// The library refuses.
    #[error("a certificate cannot be made: {0}")]
    Make(#[source] rcgen::Error),
}

/// A certificate authority with its key.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate_der: Vec<u8>,
    not_after: Timestamp,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("not_after", &self.not_after).finish_non_exhaustive()
    }
}

/// Something new with its private key, both as PEM.
pub struct Made {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

impl std::fmt::Debug for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Made").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// A certificate that was issued.
#[derive(Debug)]
pub struct Issued {
    /// In DER.
    pub der: Vec<u8>,
    /// It is in force until then.
    pub not_after: Timestamp,
}

/// A new authority of that name, as PEM.
pub fn create(name: &str, now: Timestamp, lasts: Duration) -> Result<Made, AuthorityError> {
    let mut params = dated(now, lasts)?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().map_err(AuthorityError::Make)?;
    let certificate = params.self_signed(&key).map_err(AuthorityError::Make)?;
    Ok(Made { certificate: certificate.pem(), key: key.serialize_pem() })
}

impl Authority {
    /// An authority out of its files.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, AuthorityError> {
        let (_, pem) = x509_parser::pem::parse_x509_pem(certificate.as_bytes())
            .map_err(|_| AuthorityError::Authority)?;
        let read = pem.parse_x509().map_err(|_| AuthorityError::Authority)?;
        if !read.is_ca() {
            return Err(AuthorityError::NoAuthority);
        }
        let not_after = Timestamp::from_second(read.validity().not_after.timestamp())
            .map_err(|_| AuthorityError::Date)?;
        let key = KeyPair::from_pem(key).map_err(|_| AuthorityError::Authority)?;
        if read.public_key().subject_public_key.as_ref() != key.public_key_raw() {
            return Err(AuthorityError::Authority);
        }
        let issuer = Issuer::from_ca_cert_pem(certificate, key);
        let issuer = issuer.map_err(|_| AuthorityError::Authority)?;
        Ok(Self { issuer, certificate_der: pem.contents, not_after })
    }

    /// Its own certificate, in DER.
    #[must_use]
    pub fn certificate_der(&self) -> &[u8] {
        &self.certificate_der
    }

    /// Its certificate is in force until then.
    #[must_use]
    pub const fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// A certificate of somebody whose public key, SubjectPublicKeyInfo in DER, was sent. It
    /// does not outlast the authority.
    pub fn issue(
        &self,
        identity: Identity,
        public_key: &[u8],
        now: Timestamp,
        lasts: Duration,
    ) -> Result<Issued, AuthorityError> {
        if public_key.len() > KEY_LIMIT_BYTES {
            return Err(AuthorityError::PublicKey);
        }
        let key =
            SubjectPublicKeyInfo::from_der(public_key).map_err(|_| AuthorityError::PublicKey)?;
        let taken =
            [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519];
        // The length of a key tells whether it can be one: 4, x and y, or 32 bytes.
        let long = [65, 97, 32];
        let fits = taken.into_iter().zip(long).any(|(algorithm, bytes)| {
            key.algorithm() == algorithm && key.der_bytes().len() == bytes
        });
        if !fits {
            return Err(AuthorityError::PublicKey);
        }
        let params = self.of(identity, now, lasts)?;
        let issued = params.signed_by(&key, &self.issuer).map_err(AuthorityError::Make)?;
        let not_after = Timestamp::from_second(params.not_after.unix_timestamp())
            .map_err(|_| AuthorityError::Date)?;
        Ok(Issued { der: issued.der().to_vec(), not_after })
    }

    /// A certificate of somebody, with a new key.
    pub fn make(
        &self,
        identity: Identity,
        now: Timestamp,
        lasts: Duration,
    ) -> Result<Made, AuthorityError> {
        self.sign(&self.of(identity, now, lasts)?)
    }

    /// A certificate of a server of those names and addresses, with a new key.
    pub fn make_server(
        &self,
        names: &[String],
        now: Timestamp,
        lasts: Duration,
    ) -> Result<Made, AuthorityError> {
        let mut params = dated(now, lasts.min(self.left(now)))?;
        for name in names {
            let san = match name.parse() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => {
                    let wrong = || AuthorityError::ServerName(name.clone());
                    let is_dns = crate::identity::is_name(name.strip_prefix("*.").unwrap_or(name));
                    let text = name.as_str().try_into().map_err(|_| wrong())?;
                    if is_dns { SanType::DnsName(text) } else { return Err(wrong()) }
                }
            };
            params.subject_alt_names.push(san);
        }
        params.distinguished_name.push(DnType::CommonName, "nodeward aggregator");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Result<Made, AuthorityError> {
        let key = KeyPair::generate().map_err(AuthorityError::Make)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(AuthorityError::Make)?;
        Ok(Made { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// What a certificate of somebody says.
    fn of(
        &self,
        identity: Identity,
        now: Timestamp,
        lasts: Duration,
    ) -> Result<CertificateParams, AuthorityError> {
        let identity = identity.checked()?;
        let mut params = dated(now, lasts.min(self.left(now)))?;
        for uri in identity.uris() {
            let uri = uri.as_str().try_into().map_err(|_| IdentityError::Name)?;
            params.subject_alt_names.push(SanType::URI(uri));
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        Ok(params)
    }

    /// So long the authority itself is in force.
    fn left(&self, now: Timestamp) -> Duration {
        Duration::try_from(self.not_after.duration_since(now)).unwrap_or(Duration::ZERO)
    }
}

/// In force from a little before now, for so long.
fn dated(now: Timestamp, lasts: Duration) -> Result<CertificateParams, AuthorityError> {
    let date =
        |second: i64| OffsetDateTime::from_unix_timestamp(second).map_err(|_| AuthorityError::Date);
    let seconds =
        |length: Duration| i64::try_from(length.as_secs()).map_err(|_| AuthorityError::Date);
    let now = now.as_second();
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.not_before = date(now - seconds(EARLIER)?)?;
    params.not_after = date(now.saturating_add(seconds(lasts)?))?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    Ok(params)
}
