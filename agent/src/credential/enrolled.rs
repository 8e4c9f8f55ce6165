//! A certificate that the agent enrols for: with its pod's token at first, and over itself from
//! then on, when two thirds of its life are over. While that fails the present one is shown until
//! it ends; times are counted by this machine's own monotonic clock from the answer on, so that a
//! wall clock that is off costs nothing.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nodeward_proto::v1;
use nodeward_proto::v1::enrol_service_client::EnrolServiceClient;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Code, Request, Status};

use super::link::{self, Shown, Target};
use super::{CredentialError, read};
use crate::send::drawn;

/// An answer must come in this time.
const LIMIT: Duration = Duration::from_secs(15);

/// Between two tries to renew.
const AGAIN_AFTER: Duration = Duration::from_secs(30);

/// The longest token that is read; the aggregator takes none longer.
const LONGEST_TOKEN_BYTES: usize = 8 * 1024;

/// What stands before the point of a P-256 key in a SubjectPublicKeyInfo (RFC 5480).
const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The certificate that was enrolled for.
#[derive(Debug)]
pub(super) struct Enrolled {
    token_file: PathBuf,
    held: Option<Held>,
    generation: u64,
    /// When it was last looked at, which is before each report.
    looked_at: Option<Instant>,
}

#[derive(Debug)]
struct Held {
    shown: Shown,
    renew_at: Instant,
    ends_at: Instant,
}

/// A key that was just made: PKCS #8, and its public half.
struct NewKey {
    pkcs8: Vec<u8>,
    public: Vec<u8>,
}

impl Enrolled {
    pub(super) const fn new(token_file: PathBuf) -> Self {
        Self { token_file, held: None, generation: 0, looked_at: None }
    }

    /// The present one and its number.
    pub(super) fn newest(&mut self) -> Option<(u64, &Shown)> {
        self.held.as_ref().map(|held| (self.generation, &held.shown))
    }

    /// Enrols or renews where it is time; fails only where nothing is held that is in force.
    pub(super) async fn keep(
        &mut self,
        target: &Target,
        authorities: &[u8],
        ca: &Path,
        anew: bool,
    ) -> Result<(), CredentialError> {
        let now = Instant::now();
        let in_force = self.held.as_ref().filter(|held| now < held.ends_at);
        // A round may take long, as that of a node in trouble does: it must not end before the
        // next look.
        let gap = self.looked_at.replace(now).map_or(Duration::ZERO, |last| now - last);
        let due = in_force.filter(|held| now >= held.renew_at || now + gap * 2 >= held.ends_at);
        let got = match (in_force, due) {
            (Some(_), None) if !anew => return Ok(()),
            (Some(_), Some(held)) if !anew => {
                match renew(target, authorities, ca, &held.shown).await {
                    // It says that this certificate is of no use any more.
                    Err(CredentialError::Refused(status)) if is_final(&status) => {
                        enrol(target, authorities, ca, &self.token_file).await
                    }
                    renewed => renewed,
                }
            }
            _ => enrol(target, authorities, ca, &self.token_file).await,
        };
        match got {
            Ok(held) => {
                let left_seconds = held.ends_at.saturating_duration_since(now).as_secs();
                tracing::info!(left_seconds, "certificate received");
                self.held = Some(held);
                self.generation += 1;
                Ok(())
            }
            Err(error) => {
                let Some(held) = self.held.as_mut().filter(|held| now < held.ends_at) else {
                    self.held = None;
                    return Err(error);
                };
                let left = held.ends_at.saturating_duration_since(now);
                let left_seconds = left.as_secs();
                tracing::warn!(%error, left_seconds, "the present certificate stays in use");
                held.renew_at = now + AGAIN_AFTER.min(left / 4).mul_f64(0.5 + drawn());
                Ok(())
            }
        }
    }
}

/// Whether asking again with the same credential cannot help.
fn is_final(status: &Status) -> bool {
    matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied)
}

async fn enrol(
    target: &Target,
    authorities: &[u8],
    ca: &Path,
    token_file: &Path,
) -> Result<Held, CredentialError> {
    let channel = target.channel(link::config(authorities, ca, None)?)?;
    let key = new_key()?;
    let mut request = Request::new(v1::EnrolRequest { public_key: key.public.clone() });
    request.metadata_mut().insert("authorization", bearer(token_file)?);
    request.set_timeout(LIMIT);
    let mut client = EnrolServiceClient::new(channel);
    held(within(client.enrol(request)).await?, key)
}

async fn renew(
    target: &Target,
    authorities: &[u8],
    ca: &Path,
    shown: &Shown,
) -> Result<Held, CredentialError> {
    let channel = target.channel(link::config(authorities, ca, Some(shown))?)?;
    let key = new_key()?;
    let mut request = Request::new(v1::EnrolRequest { public_key: key.public.clone() });
    request.set_timeout(LIMIT);
    let mut client = EnrolServiceClient::new(channel);
    held(within(client.renew(request)).await?, key)
}

async fn within(
    call: impl Future<Output = Result<tonic::Response<v1::EnrolResponse>, Status>>,
) -> Result<v1::EnrolResponse, CredentialError> {
    let late = || Status::deadline_exceeded(format!("no answer within {} s", LIMIT.as_secs()));
    let answer = tokio::time::timeout(LIMIT, call).await.unwrap_or_else(|_| Err(late()));
    answer.map(tonic::Response::into_inner).map_err(CredentialError::Refused)
}

/// The token as it is shown, marked so that no log of a library writes it.
fn bearer(token_file: &Path) -> Result<MetadataValue<Ascii>, CredentialError> {
    let unusable = |why| CredentialError::Unusable { path: token_file.to_owned(), why };
    let bytes = read(token_file)?;
    let token = std::str::from_utf8(&bytes).map_err(|_| unusable("is no token"))?.trim();
    if token.is_empty() {
        return Err(unusable("is empty"));
    }
    if token.len() > LONGEST_TOKEN_BYTES {
        return Err(unusable("is longer than tokens are"));
    }
    let value: Result<MetadataValue<Ascii>, _> = format!("Bearer {token}").parse();
    let mut value = value.map_err(|_| unusable("is no token"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn new_key() -> Result<NewKey, CredentialError> {
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
    let pkcs8 =
        EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(|_| CredentialError::Key)?;
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random)
        .map_err(|_| CredentialError::Key)?;
    let public = [&P256_PREFIX, pair.public_key().as_ref()].concat();
    Ok(NewKey { pkcs8: pkcs8.as_ref().to_vec(), public })
}

/// What an answer gives, counted from now on.
fn held(answer: v1::EnrolResponse, key: NewKey) -> Result<Held, CredentialError> {
    let seconds = |instant: Option<prost_types::Timestamp>| instant.map(|instant| instant.seconds);
    let times = (seconds(answer.answered_at), seconds(answer.renew_at), seconds(answer.expires_at));
    let (Some(answered), Some(renew), Some(expires)) = times else {
        return Err(CredentialError::Given("it does not say when it ends"));
    };
    let after = |instant: i64| {
        Duration::from_secs(u64::try_from(instant.saturating_sub(answered)).unwrap_or(0))
    };
    let (renews, lasts) = (after(renew), after(expires));
    if lasts.is_zero() || renews > lasts {
        return Err(CredentialError::Given("it is over already"));
    }
    let chain: Vec<_> = answer.chain.into_iter().map(CertificateDer::from).collect();
    if chain.is_empty() {
        return Err(CredentialError::Given("it is none"));
    }
    let now = Instant::now();
    // A tenth of what is left is drawn: a fleet that enrolled at one moment does not renew at
    // one moment.
    let jitter = (lasts - renews).mul_f64(drawn() / 2.0).min(renews / 10);
    let key = PrivatePkcs8KeyDer::from(key.pkcs8).into();
    Ok(Held {
        shown: Shown { chain, key },
        renew_at: now + renews + jitter,
        ends_at: now.checked_add(lasts).ok_or(CredentialError::Given("it never ends"))?,
    })
}

#[cfg(test)]
mod tests {
    use x509_parser::prelude::FromDer as _;

    use super::*;

    #[test]
    fn a_key_s_public_half_has_the_form_of_rfc_5480() {
        let key = new_key().expect("a key");
        assert_eq!(key.public.len(), 26 + 65);
        let (rest, read) = x509_parser::x509::SubjectPublicKeyInfo::from_der(&key.public)
            .expect("a SubjectPublicKeyInfo");
        assert!(rest.is_empty());
        assert_eq!(read.subject_public_key.data.len(), 65);
        assert_ne!(key.public, new_key().expect("another key").public);
    }

    #[test]
    fn a_token_is_one_line_and_what_is_wrong_with_it_is_told_without_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        std::fs::write(&path, "abc.def.ghi\n").expect("written");
        let value = bearer(&path).expect("a token");
        assert_eq!(value.to_str().expect("text"), "Bearer abc.def.ghi");
        assert!(value.is_sensitive() && !format!("{value:?}").contains("abc"));
        for wrong in ["", "se\ncret", &"x".repeat(LONGEST_TOKEN_BYTES + 1)] {
            std::fs::write(&path, wrong).expect("written");
            let error = bearer(&path).expect_err("no token").to_string();
            assert!(!error.contains("cret") && !error.contains("xx"), "{error}");
        }
    }

    #[test]
    fn times_are_counted_from_the_answer_whatever_the_clocks_say() {
        let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let given = |answered, renew, expires| {
            let answer = v1::EnrolResponse {
                chain: vec![vec![1]],
                expires_at: at(expires),
                renew_at: at(renew),
                answered_at: at(answered),
            };
            held(answer, new_key().expect("a key"))
        };
        // In the year 1970 and in 2100.
        for clock in [0, 4_102_444_800] {
            let held = given(clock, clock + 600, clock + 900).expect("good times");
            let now = Instant::now();
            let renews = held.renew_at.saturating_duration_since(now).as_secs();
            assert!((590..=660).contains(&renews), "{renews}");
            let ends = held.ends_at.saturating_duration_since(now).as_secs();
            assert!((895..=900).contains(&ends), "{ends}");
        }
        assert!(given(1_000, 500, 900).is_err());
    }
}
