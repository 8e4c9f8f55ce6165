//! TLS over the connection of a probe. A server on this machine shows a certificate that
//! lies on this machine's disk: that one is looked for, not a name, so that a program
//! which took a component's port in its place is never shown a credential.

use std::net::IpAddr;
use std::sync::Arc;

use hyper::header::HeaderValue;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::verify_tls13_signature;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

/// A bearer token. It is printed nowhere.
#[derive(Clone)]
pub struct Token(HeaderValue);

impl Token {
    /// The token of a file; none when it could not stand in a request.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let mut value = HeaderValue::from_str(&format!("Bearer {text}")).ok()?;
        value.set_sensitive(true);
        (!text.is_empty()).then_some(Self(value))
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// How an endpoint is asked over TLS.
#[derive(Debug, Clone)]
pub struct Secure {
    config: Arc<ClientConfig>,
    token: Option<Token>,
}

impl Secure {
    /// Whoever serves there is asked, and is shown nothing.
    pub fn anonymous() -> Result<Self, String> {
        Ok(Self { config: config(None)?, token: None })
    }

    /// Shows a token, and only to a server that has this certificate and its key.
    pub fn with_token(token: Token, certificate: Vec<u8>) -> Result<Self, String> {
        Ok(Self { config: config(Some(certificate.into()))?, token: Some(token) })
    }

    pub(super) fn token(&self) -> Option<HeaderValue> {
        self.token.as_ref().map(|token| token.0.clone())
    }

    /// The connection with TLS over it.
    pub(super) async fn over(
        &self,
        stream: TcpStream,
        address: IpAddr,
    ) -> Result<TlsStream<TcpStream>, String> {
        TlsConnector::from(Arc::clone(&self.config))
            .connect(ServerName::IpAddress(address.into()), stream)
            .await
            .map_err(|error| error.to_string())
    }
}

impl Secure {
    /// The connection with TLS over it, for the server of that name.
    pub(in crate::probe) async fn over_named(
        &self,
        stream: TcpStream,
        host: &str,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| std::io::Error::other(error.to_string()))?;
        TlsConnector::from(Arc::clone(&self.config)).connect(name, stream).await
    }
}

/// What went wrong in a handshake.
pub(in crate::probe) enum Trouble {
    /// The other side speaks TLS, and both did not agree.
    Answered(String),
    /// What the other side said is no TLS.
    NoTls(String),
    /// The connection ended.
    CutOff(String),
}

/// What went wrong in a handshake.
pub(in crate::probe) fn trouble(error: &std::io::Error) -> Trouble {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(inner @ (Error::InvalidMessage(_) | Error::InappropriateMessage { .. })) => {
            Trouble::NoTls(inner.to_string())
        }
        Some(inner) => Trouble::Answered(inner.to_string()),
        None => Trouble::CutOff(error.to_string()),
    }
}

/// Whether one of the authorities, in DER, signed a certificate that was shown with those
/// between them, for that name and for now; or why not.
pub(in crate::probe) fn verify(
    authorities: &[Vec<u8>],
    shown: &[CertificateDer<'_>],
    host: &str,
) -> Result<(), String> {
    let [server, between @ ..] = shown else { return Err("none was shown".to_owned()) };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(authorities.iter().map(|der| der.as_slice().into()));
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| error.to_string())?;
    let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
    let verified = verifier.verify_server_cert(server, between, &name, &[], UnixTime::now());
    verified.map(|_| ()).map_err(|error| error.to_string())
}

fn config(certificate: Option<CertificateDer<'static>>) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(Known { certificate, provider: Arc::clone(&provider) });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Takes one certificate, or any. Either way the server must have its key.
#[derive(Debug)]
struct Known {
    certificate: Option<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Known {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.certificate {
            Some(known) if known != shown => Err(Error::General(
                "the certificate shown is not the one on disk, so no credential was shown"
                    .to_owned(),
            )),
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_line_and_never_printed() {
        let token = Token::new("  abc.def\n").expect("a token");
        assert_eq!(token.0.to_str().ok(), Some("Bearer abc.def"));
        assert!(!format!("{token:?} {:?}", token.0).contains("abc"));
        assert!(Token::new(" \n").is_none());
        assert!(Token::new("a\nb").is_none());
    }
}
