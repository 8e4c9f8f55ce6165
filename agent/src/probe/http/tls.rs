//! TLS over the connection of a probe. A server on this machine shows a certificate that
//! lies on this machine's disk: that one is looked for, not a name, so that a program
//! which took a component's port in its place is never shown a credential.

use std::net::IpAddr;
use std::sync::Arc;

use hyper::header::HeaderValue;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::verify_tls13_signature;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

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
