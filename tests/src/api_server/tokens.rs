//! Tokens of service accounts as a real API server issues them: signed with RS256 or ES256,
//! with the claims of `kubernetes.io` (KEP-1205, KEP-4193), and what a TokenReview says of them.

use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rcgen::KeyPair;
use ring::rsa;
use ring::signature::RsaKeyPair;
use serde_json::{Value, json};
use tokio_rustls::rustls::pki_types::PrivatePkcs1KeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

use super::objects::{Objects, Resource};

const RS256_KEY: &[u8] = include_bytes!("rs256.pem");

/// What is asked for a token; the rest is as in a cluster.
#[derive(Debug, Clone)]
pub struct Token {
    /// `namespace:name` of the service account.
    pub account: String,
    /// For whom it is meant.
    pub audiences: Vec<String>,
    /// Name of the pod that it is bound to. Its UID is that of the pod that is held.
    pub pod: Option<String>,
    /// It is in force from this long after now on.
    pub from: SignedDuration,
    /// And for so long.
    pub lasts: SignedDuration,
    /// How it is signed.
    pub algorithm: Algorithm,
}

impl Token {
    /// For a pod, for ten minutes.
    #[must_use]
    pub fn of(account: &str, pod: &str, audience: &str) -> Self {
        Self {
            account: account.to_owned(),
            audiences: vec![audience.to_owned()],
            pod: Some(pod.to_owned()),
            from: SignedDuration::ZERO,
            lasts: SignedDuration::from_mins(10),
            algorithm: Algorithm::RS256,
        }
    }
}

/// Issues tokens and knows its own again.
pub struct Issuer {
    /// Its address, which tokens name.
    pub name: String,
    rs256: EncodingKey,
    es256: EncodingKey,
    jwks: Value,
    issued: u64,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issuer").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Issuer {
    /// One of that name. Each has its own ES256 key; that of RS256 is the tests' one.
    ///
    /// # Panics
    /// When no key can be made.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let rsa_der = PrivatePkcs1KeyDer::from_pem_slice(RS256_KEY).expect("a key");
        let rsa_pair = RsaKeyPair::from_der(rsa_der.secret_pkcs1_der()).expect("an RSA key");
        let public = rsa::PublicKeyComponents::<Vec<u8>>::from(rsa_pair.public());
        let ec = KeyPair::generate().expect("a key");
        // An uncompressed point: 4, x, y.
        let point = ec.public_key_raw();
        Self {
            name: name.to_owned(),
            rs256: EncodingKey::from_rsa_der(rsa_der.secret_pkcs1_der()),
            es256: EncodingKey::from_ec_der(ec.serialized_der()),
            jwks: json!({ "keys": [
                {
                    "use": "sig", "kty": "RSA", "kid": "rs", "alg": "RS256",
                    "n": base64(&public.n), "e": base64(&public.e),
                },
                {
                    "use": "sig", "kty": "EC", "kid": "es", "alg": "ES256", "crv": "P-256",
                    "x": base64(&point[1..33]), "y": base64(&point[33..]),
                },
            ]}),
            issued: 0,
        }
    }

    /// Its public keys, as `/openid/v1/jwks` shows them.
    #[must_use]
    pub fn jwks(&self) -> Value {
        self.jwks.clone()
    }

    /// The claims of a token that is asked for now, with what the pod's node is, as a cluster
    /// from 1.30 on tells.
    ///
    /// # Panics
    /// When the pod is not held.
    pub fn claims(&mut self, asked: &Token, objects: &Objects, now: Timestamp) -> Value {
        self.issued += 1;
        let (namespace, name) = asked.account.split_once(':').expect("namespace:name");
        let from = now + asked.from;
        let mut kubernetes = json!({
            "namespace": namespace,
            "serviceaccount": { "name": name, "uid": format!("sa-{namespace}-{name}") },
        });
        if let Some(pod) = &asked.pod {
            let held = Resource::of_kind("Pod").and_then(|pods| objects.get(pods, namespace, pod));
            let held = held.unwrap_or_else(|| panic!("pod {namespace}/{pod} is not held"));
            kubernetes["pod"] = json!({ "name": pod, "uid": held["metadata"]["uid"] });
            if let Some(node) = held["spec"]["nodeName"].as_str() {
                let nodes = Resource::of_kind("Node").expect("it is served");
                let uid = objects.get(nodes, "", node).map(|node| node["metadata"]["uid"].clone());
                kubernetes["node"] = json!({ "name": node, "uid": uid.unwrap_or(Value::Null) });
            }
        }
        json!({
            "aud": asked.audiences,
            "exp": (from + asked.lasts).as_second(),
            "iat": from.as_second(),
            "iss": self.name,
            "jti": format!("00000000-0000-4000-8000-{:012}", self.issued),
            "kubernetes.io": kubernetes,
            "nbf": from.as_second(),
            "sub": format!("system:serviceaccount:{namespace}:{name}"),
        })
    }

    /// Signs claims as they are.
    ///
    /// # Panics
    /// When there is no key for the algorithm.
    #[must_use]
    pub fn sign(&self, algorithm: Algorithm, claims: &Value) -> String {
        let (kid, key) = match algorithm {
            Algorithm::RS256 | Algorithm::PS256 => ("rs", &self.rs256),
            Algorithm::ES256 => ("es", &self.es256),
            other => panic!("nothing is signed with {other:?}"),
        };
        let header = Header { typ: None, kid: Some(kid.to_owned()), ..Header::new(algorithm) };
        jsonwebtoken::encode(&header, claims, key).expect("claims can be signed")
    }

    /// The user behind a token of its own that is in force for one of the audiences, or what a
    /// TokenReview says against it.
    pub fn review(
        &self,
        token: &str,
        audiences: &[String],
        objects: &Objects,
        now: Timestamp,
    ) -> Result<(Value, Vec<String>), String> {
        let claims = self.known(token).ok_or("invalid bearer token")?;
        let seconds = now.as_second();
        if claims["exp"].as_i64().is_none_or(|end| seconds >= end) {
            return Err("[invalid bearer token, service account token has expired]".to_owned());
        }
        if claims["nbf"].as_i64().is_none_or(|start| seconds < start) {
            return Err("[invalid bearer token, service account token is not valid yet]".to_owned());
        }
        let own = claims["aud"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let own: Vec<String> = own.map(str::to_owned).collect();
        let common: Vec<String> =
            own.iter().filter(|one| audiences.contains(one)).cloned().collect();
        if common.is_empty() {
            return Err(format!(
                "[invalid bearer token, token audiences {own:?} is invalid for the target audiences {audiences:?}]"
            ));
        }
        let told = &claims["kubernetes.io"];
        if let Some(name) = told["pod"]["name"].as_str() {
            let namespace = told["namespace"].as_str().unwrap_or_default();
            let pod = Resource::of_kind("Pod").and_then(|pods| objects.get(pods, namespace, name));
            // Of a token that is bound to a pod the node is told, and not looked at again.
            if pod.is_none_or(|pod| pod["metadata"]["uid"] != told["pod"]["uid"]) {
                let gone = "[invalid bearer token, service account token has been invalidated]";
                return Err(gone.to_owned());
            }
        }
        Ok((user(&claims), common))
    }

    /// The claims of a token that this issuer has signed.
    fn known(&self, token: &str) -> Option<Value> {
        let header = jsonwebtoken::decode_header(token).ok()?;
        let keys = self.jwks["keys"].as_array()?;
        let key = keys.iter().find(|key| key["kid"].as_str() == header.kid.as_deref())?;
        let text = |member: &str| key[member].as_str().unwrap_or_default();
        let (algorithm, key) = match text("kty") {
            "RSA" => {
                (Algorithm::RS256, DecodingKey::from_rsa_components(text("n"), text("e")).ok()?)
            }
            _ => (Algorithm::ES256, DecodingKey::from_ec_components(text("x"), text("y")).ok()?),
        };
        let mut validation = Validation::new(algorithm);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.set_issuer(&[&self.name]);
        Some(jsonwebtoken::decode::<Value>(token, &key, &validation).ok()?.claims)
    }
}

/// The user as reviews describe him.
fn user(claims: &Value) -> Value {
    let told = &claims["kubernetes.io"];
    let namespace = told["namespace"].as_str().unwrap_or_default();
    let mut extra = serde_json::Map::new();
    let mut say = |key: &str, value: &Value| {
        if let Some(value) = value.as_str() {
            extra.insert(format!("authentication.kubernetes.io/{key}"), json!([value]));
        }
    };
    let id = claims["jti"].as_str().map(|id| json!(format!("JTI={id}")));
    say("credential-id", &id.unwrap_or_default());
    say("node-name", &told["node"]["name"]);
    say("node-uid", &told["node"]["uid"]);
    say("pod-name", &told["pod"]["name"]);
    say("pod-uid", &told["pod"]["uid"]);
    json!({
        "username": claims["sub"],
        "uid": told["serviceaccount"]["uid"],
        "groups": [
            "system:serviceaccounts",
            format!("system:serviceaccounts:{namespace}"),
            "system:authenticated",
        ],
        "extra": extra,
    })
}

/// Base64 for URLs, without padding (RFC 7515).
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for part in bytes.chunks(3) {
        let number = part
            .iter()
            .chain([0, 0].iter())
            .take(3)
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        for place in 0..=part.len() {
            text.push(char::from(LETTERS[number >> (18 - 6 * place) & 63]));
        }
    }
    text
}
