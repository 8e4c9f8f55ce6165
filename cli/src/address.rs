//! Where the aggregator is, and what is shown to it: nothing on this machine, a client
//! certificate or a token over https.

use std::path::{Path, PathBuf};

use clap::Args;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};

use crate::arguments::{AGGREGATOR_VARIABLE, DEFAULT_AGGREGATOR};

/// Where the aggregator is, and what is shown to it.
#[derive(Debug, Clone, Args)]
pub struct Address {
    /// Where the aggregator listens: http:// on this machine, https:// elsewhere.
    #[arg(
        long = "aggregator",
        global = true,
        env = AGGREGATOR_VARIABLE,
        value_name = "URL",
        default_value = DEFAULT_AGGREGATOR
    )]
    pub url: String,

    /// Authorities that the aggregator's certificate must be signed by, PEM; for https.
    #[arg(long, global = true, env = "NODEWARD_TLS_CA", value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,

    /// Your certificate, PEM; for https.
    #[arg(long, global = true, env = "NODEWARD_TLS_CERTIFICATE", value_name = "FILE")]
    pub tls_certificate: Option<PathBuf>,

    /// Its private key, PEM; for https.
    #[arg(long, global = true, env = "NODEWARD_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// A file with your token, in the place of a certificate; for https.
    #[arg(long, global = true, env = "NODEWARD_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

/// Shows a token with every call, if there is one.
#[derive(Debug, Clone, Default)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

impl Address {
    /// An address on this machine.
    #[must_use]
    pub fn plain(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            tls_ca: None,
            tls_certificate: None,
            tls_key: None,
            token_file: None,
        }
    }

    /// Whether it is one of another machine.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.url.starts_with("https://")
    }

    /// The endpoint, and what is shown with each call; or what is wrong, without any secret.
    pub fn endpoint(&self) -> Result<(Endpoint, Bearer), String> {
        let endpoint =
            Endpoint::from_shared(self.url.clone()).map_err(|error| error.to_string())?;
        let uri = endpoint.uri();
        if uri.authority().is_some_and(|one| one.as_str().contains('@')) {
            return Err("has a user before its host: none is asked for".to_owned());
        }
        match uri.scheme_str() {
            Some("http" | "https") if uri.host().is_some() => {}
            _ => return Err("must be like http://127.0.0.1:7443 or https://HOST:7444".to_owned()),
        }
        if !self.is_https() {
            let given = [&self.tls_ca, &self.tls_certificate, &self.tls_key, &self.token_file];
            return if given.iter().any(|file| file.is_some()) {
                Err("certificates and tokens are shown to https:// alone".to_owned())
            } else {
                Ok((endpoint, Bearer::default()))
            };
        }
        let ca = self.tls_ca.as_deref().ok_or("https needs --tls-ca")?;
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(ca)?));
        let (tls, bearer) = match (&self.tls_certificate, &self.tls_key, &self.token_file) {
            (Some(certificate), Some(key), None) => {
                let identity = Identity::from_pem(read(certificate)?, read(key)?);
                (tls.identity(identity), Bearer::default())
            }
            (None, None, Some(token)) => (tls, Bearer(Some(token_of(token)?))),
            _ => {
                let why = "https needs --tls-certificate with --tls-key, or --token-file";
                return Err(why.to_owned());
            }
        };
        let endpoint = endpoint.tls_config(tls).map_err(|error| {
            let mut cause: &dyn std::error::Error = &error;
            while let Some(next) = cause.source() {
                cause = next;
            }
            cause.to_string()
        })?;
        Ok((endpoint, bearer))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// The token in a file; what is wrong with it is told without it.
fn token_of(path: &Path) -> Result<MetadataValue<Ascii>, String> {
    let bytes = read(path)?;
    let token = std::str::from_utf8(&bytes).map(str::trim).unwrap_or_default();
    let value: Result<MetadataValue<Ascii>, _> = format!("Bearer {token}").parse();
    let mut value = value
        .ok()
        .filter(|_| !token.is_empty())
        .ok_or_else(|| format!("{}: is no token", path.display()))?;
    value.set_sensitive(true);
    Ok(value)
}
