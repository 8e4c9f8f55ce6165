//! Tokens (RFC 7519) as whoever shows them wants them believed: read with suspicion, and held
//! against the keys of issuers that are configured. Nothing in a token says where its keys are,
//! and no more of it than its issuer is looked at before its signature holds.

mod keys;

use std::time::Duration;

use jsonwebtoken::{Algorithm, Validation};
use serde::Deserialize;

pub use keys::{KeySource, Keys, KeysError};

/// The longest token: Kubernetes' have some 1,500 bytes, those of OIDC providers with many
/// groups some more.
pub const LONGEST_TOKEN_BYTES: usize = 8 * 1024;

/// What is taken. All are signatures by a private key: with a shared secret whoever can check
/// a token could make one.
const ALGORITHMS: [Algorithm; 8] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
];

/// Clocks may differ by so much.
const LEEWAY: Duration = Duration::from_secs(30);

/// Why a token is refused. What stands in it is not told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is longer than tokens are.
    #[error("the token is longer than {LONGEST_TOKEN_BYTES} bytes")]
    TooLong,
    /// It is none.
    #[error("the token cannot be read")]
    Malformed,
    /// Its algorithm is not taken.
    #[error("the token's algorithm is not one that is taken")]
    Algorithm,
    /// Nobody configured its issuer.
    #[error("the token's issuer is not one that is configured")]
    Issuer,
    /// None of the issuer's keys has its name, or the key is for another algorithm.
    #[error("the token is signed with no key of its issuer")]
    Key,
    /// The signature does not hold.
    #[error("the token's signature does not hold")]
    Signature,
    /// It is meant for somebody else.
    #[error("the token is not meant for this audience")]
    Audience,
    /// It is over.
    #[error("the token has expired")]
    Expired,
    /// It is not in force yet.
    #[error("the token is not in force yet")]
    Early,
    /// A claim that is needed is missing.
    #[error("the token lacks a claim that is needed")]
    Claims,
    /// The keys of its issuer are not known.
    #[error("the keys of the token's issuer are not known: {0}")]
    Keys(#[from] KeysError),
}

/// An issuer that is configured.
#[derive(Debug)]
pub struct Issuer {
    /// As tokens name it.
    pub name: String,
    /// For whom its tokens must be meant.
    pub audience: String,
    /// With which keys they are signed.
    pub keys: Keys,
}

/// What a token says, once it holds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Claims {
    /// Of whom it speaks.
    pub sub: String,
    /// In force until, in seconds of Unix time.
    pub exp: i64,
    /// The groups of whom it speaks.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// What is looked at before anything is known to hold.
#[derive(Deserialize)]
struct Unverified {
    iss: String,
}

/// The issuer that a token names, of those that are configured.
pub fn issuer_of<'a>(
    token: &str,
    issuers: impl IntoIterator<Item = &'a Issuer>,
) -> Result<&'a Issuer, TokenError> {
    if token.len() > LONGEST_TOKEN_BYTES {
        return Err(TokenError::TooLong);
    }
    algorithm(token)?;
    // It only chooses among the configured ones; the signature decides.
    let mut validation = Validation::new(Algorithm::RS256);
    validation.insecure_disable_signature_validation();
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    validation.algorithms = ALGORITHMS.to_vec();
    let none = jsonwebtoken::DecodingKey::from_secret(&[]);
    let read = jsonwebtoken::decode::<Unverified>(token, &none, &validation);
    let name = read.map_err(|_| TokenError::Malformed)?.claims.iss;
    issuers.into_iter().find(|issuer| issuer.name == name).ok_or(TokenError::Issuer)
}

/// The algorithm and the name of the key.
fn algorithm(token: &str) -> Result<(Algorithm, Option<String>), TokenError> {
    use jsonwebtoken::errors::ErrorKind;
    let header = jsonwebtoken::decode_header(token).map_err(|error| match error.kind() {
        // `none` and whatever else is no algorithm of the library.
        ErrorKind::Json(_) | ErrorKind::InvalidAlgorithmName => TokenError::Algorithm,
        _ => TokenError::Malformed,
    })?;
    if ALGORITHMS.contains(&header.alg) {
        Ok((header.alg, header.kid))
    } else {
        Err(TokenError::Algorithm)
    }
}

impl Issuer {
    /// What a token says, if it holds.
    pub async fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        use jsonwebtoken::errors::ErrorKind;
        if token.len() > LONGEST_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        let (algorithm, kid) = algorithm(token)?;
        let key = self.keys.find(kid.as_deref(), algorithm).await?.ok_or(TokenError::Key)?;
        let mut validation = Validation::new(algorithm);
        validation.leeway = LEEWAY.as_secs();
        validation.validate_nbf = true;
        validation.set_issuer(&[&self.name]);
        validation.set_audience(&[&self.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let read = jsonwebtoken::decode::<Claims>(token, &key, &validation);
        let read = read.map_err(|error| match error.kind() {
            ErrorKind::InvalidSignature | ErrorKind::Crypto(_) => TokenError::Signature,
            ErrorKind::ExpiredSignature => TokenError::Expired,
            ErrorKind::ImmatureSignature => TokenError::Early,
            ErrorKind::InvalidAudience => TokenError::Audience,
            ErrorKind::InvalidIssuer => TokenError::Issuer,
            ErrorKind::InvalidAlgorithm => TokenError::Key,
            ErrorKind::MissingRequiredClaim(claim) if claim == "aud" => TokenError::Audience,
            ErrorKind::MissingRequiredClaim(_) | ErrorKind::Json(_) => TokenError::Claims,
            _ => TokenError::Malformed,
        })?;
        Ok(read.claims)
    }
}
