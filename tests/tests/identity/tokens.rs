//! Tokens that enrol, and tokens that must not.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use jiff::SignedDuration;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use nodeward_proto::v1::report_service_client::ReportServiceClient;
use nodeward_tests::api_server::tokens::{Token, base64};
use nodeward_tests::api_server::{ApiServer, Fault};
use nodeward_tests::in_cluster::{InCluster, pod};
use nodeward_tests::reporter::report;
use nodeward_tests::standin::{Standin, answer};
use serde_json::{Value, json};
use tonic::{Code, Status};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Whom a certificate names.
fn named(der: &[u8]) -> String {
    let (_, certificate) = X509Certificate::from_der(der).expect("a certificate");
    let names = certificate.subject_alternative_name().expect("readable").expect("names");
    match names.value.general_names.as_slice() {
        [GeneralName::URI(uri)] => (*uri).to_owned(),
        other => panic!("{other:?}"),
    }
}

async fn refused(cluster: &InCluster, token: &str) -> Status {
    cluster.enrol(Some(token)).await.expect_err("refused")
}

#[track_caller]
fn says(status: &Status, code: Code, text: &str) {
    assert_eq!(status.code(), code, "{status}");
    assert!(status.message().contains(text), "{status}");
}

fn uid(cluster: &InCluster, node: &str) -> String {
    let token = cluster.api.claims(&cluster.asked(node));
    token["kubernetes.io"]["node"]["uid"].as_str().expect("a UID").to_owned()
}

#[tokio::test]
async fn a_token_becomes_a_certificate_of_the_pod_s_node_and_lets_it_report() {
    let cluster = InCluster::start();
    for algorithm in [Algorithm::RS256, Algorithm::ES256] {
        let asked = Token { algorithm, ..cluster.asked("a") };
        let held = cluster.enrol(Some(&cluster.api.token(&asked))).await.expect("enrolled");
        let expected = format!("nodeward://prod/node/a/{}", uid(&cluster, "a"));
        assert_eq!(named(&held.answer.chain[0]), expected);
    }
    let held = cluster.enrol(Some(&cluster.token("a"))).await.expect("enrolled");
    let channel = cluster.connect(Some(held.identity())).await;
    ReportServiceClient::new(channel).report(report(1, 0)).await.expect("taken");
    let answer = cluster.aggregator.answer_when("a", "the report", |_| true).await;
    assert_eq!(answer.cluster, "prod");
    let lasts = held.answer.expires_at.expect("an end").seconds
        - held.answer.answered_at.expect("now").seconds;
    assert!((86_390..=86_400).contains(&lasts), "{lasts}");
}

#[tokio::test]
async fn before_1_30_the_node_is_that_of_the_pod() {
    let cluster = InCluster::start();
    let expected = format!("nodeward://prod/node/b/{}", uid(&cluster, "b"));
    cluster.api.tells_no_nodes();
    let held = cluster.enrol(Some(&cluster.token("b"))).await.expect("enrolled");
    assert_eq!(named(&held.answer.chain[0]), expected);
}

#[tokio::test]
async fn no_token_and_what_is_none() {
    let cluster = InCluster::start();
    let none = cluster.enrol(None).await.expect_err("no token");
    says(&none, Code::Unauthenticated, "bearer token is needed");
    for wrong in ["x", "a.b.c", "..", "eyJhbGciOiJSUzI1NiJ9.e30."] {
        let status = refused(&cluster, wrong).await;
        assert_eq!(status.code(), Code::Unauthenticated, "{wrong}: {status}");
    }
    assert_eq!(cluster.reviews(), 0, "nobody is asked about what is no token");
}

#[tokio::test]
async fn another_audience_or_none() {
    let cluster = InCluster::start();
    let other = |audiences: &[&str]| {
        let audiences = audiences.iter().map(|&one| one.to_owned()).collect();
        cluster.api.token(&Token { audiences, ..cluster.asked("a") })
    };
    // Also one that is good for the API server itself.
    for audiences in [&["vault"][..], &[], &[cluster.api.url().as_str()]] {
        let status = refused(&cluster, &other(audiences)).await;
        says(&status, Code::Unauthenticated, "not meant for this audience");
    }
    let mut claims = cluster.api.claims(&cluster.asked("a"));
    claims.as_object_mut().expect("claims").remove("aud");
    let status = refused(&cluster, &cluster.api.sign(Algorithm::RS256, &claims)).await;
    says(&status, Code::Unauthenticated, "not meant for this audience");
    assert_eq!(cluster.reviews(), 0);
    assert!(cluster.enrol(Some(&other(&["vault", "nodeward"]))).await.is_ok());
    // A yes that does not say for whom is none.
    cluster.api.tells_no_audiences();
    let status = refused(&cluster, &other(&["nodeward"])).await;
    says(&status, Code::Unauthenticated, "does not accept the token");
}

#[tokio::test]
async fn expired_and_not_yet_valid() {
    let cluster = InCluster::start();
    let from = |minutes| {
        let from = SignedDuration::from_mins(minutes);
        cluster.api.token(&Token { from, ..cluster.asked("a") })
    };
    says(&refused(&cluster, &from(-11)).await, Code::Unauthenticated, "expired");
    says(&refused(&cluster, &from(5)).await, Code::Unauthenticated, "not in force yet");
    assert_eq!(cluster.reviews(), 0);
}

#[tokio::test]
async fn another_issuer_and_another_s_key() {
    let cluster = InCluster::start();
    let claims = cluster.api.claims(&cluster.asked("a"));
    let other = ApiServer::start();
    // Its own name, signed by itself.
    let mut foreign = claims.clone();
    foreign["iss"] = json!(other.url());
    let status = refused(&cluster, &other.sign(Algorithm::ES256, &foreign)).await;
    says(&status, Code::Unauthenticated, "issuer is not one that is configured");
    // Our issuer's name, signed by another's key.
    let status = refused(&cluster, &other.sign(Algorithm::ES256, &claims)).await;
    says(&status, Code::Unauthenticated, "signature does not hold");
    assert_eq!(cluster.reviews(), 0);
}

#[tokio::test]
async fn where_keys_are_a_token_does_not_say() {
    let cluster = InCluster::start();
    // The attacker's own key, which would hold if it were believed.
    let own = rcgen::KeyPair::generate().expect("a key");
    let point = own.public_key_raw();
    let key = json!({ "kty": "EC", "crv": "P-256", "kid": "es", "alg": "ES256",
                      "x": base64(&point[1..33]), "y": base64(&point[33..]) });
    let text = json!({ "keys": [key] }).to_string();
    let keys = Standin::serving(move |_| answer(200, text.clone()));
    let claims = cluster.api.claims(&cluster.asked("a"));
    let header = |members: Value| {
        let mut header = json!({ "alg": "ES256", "kid": "es" });
        header.as_object_mut().expect("members").extend(members.as_object().expect("m").clone());
        header
    };
    let address = format!("http://{}/jwks", keys.address());
    for steering in [json!({ "jku": address }), json!({ "x5u": address }), json!({ "jwk": key })] {
        let token = signed(&own, &header(steering), &claims);
        let status = refused(&cluster, &token).await;
        says(&status, Code::Unauthenticated, "signature does not hold");
    }
    // Nor by claims.
    let mut steering = claims;
    steering["jwks_uri"] = json!(address);
    let status = refused(&cluster, &signed(&own, &header(json!({})), &steering)).await;
    says(&status, Code::Unauthenticated, "signature does not hold");
    assert_eq!(cluster.reviews(), 0);
    assert!(keys.asked().is_empty(), "{:?}", keys.asked());
}

/// A token with a header of one's own, signed with an ES256 key of one's own.
fn signed(key: &rcgen::KeyPair, header: &Value, claims: &Value) -> String {
    let message = format!("{}.{}", coded(header), coded(claims));
    let key = EncodingKey::from_ec_der(key.serialized_der());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::ES256);
    format!("{message}.{}", signature.expect("signed"))
}

fn coded(value: &Value) -> String {
    base64(value.to_string().as_bytes())
}

/// Whoever asks and goes before the answer makes nobody ask again.
#[tokio::test]
async fn keys_are_not_fetched_for_everybody_who_hangs_up() {
    let cluster = InCluster::start();
    const KEYS: &str = "/openid/v1/jwks";
    cluster.api.break_path(KEYS, Fault::Slow(Duration::from_secs(5)), usize::MAX);
    for n in 0..10 {
        let token = cluster.token("a");
        let asked = cluster.enrol(Some(&token));
        let answered = tokio::time::timeout(Duration::from_millis(600), asked).await;
        assert!(n > 0 || answered.is_err(), "the first waits");
    }
    let asked = cluster.api.asked();
    assert_eq!(asked.iter().filter(|one| one.path == KEYS).count(), 1);
}

#[tokio::test]
async fn no_algorithm() {
    let cluster = InCluster::start();
    let claims = cluster.api.claims(&cluster.asked("a"));
    for none in ["none", "None", "NONE", ""] {
        let token = format!("{}.{}.", coded(&json!({ "alg": none, "kid": "rs" })), coded(&claims));
        let status = refused(&cluster, &token).await;
        says(&status, Code::Unauthenticated, "algorithm is not one that is taken");
    }
    assert_eq!(cluster.reviews(), 0);
}

#[tokio::test]
async fn a_public_key_is_no_secret_and_a_key_is_of_its_own_algorithm() {
    let cluster = InCluster::start();
    let claims = cluster.api.claims(&cluster.asked("a"));
    let jwks = cluster.api.jwks();
    let modulus = jwks["keys"][0]["n"].as_str().expect("text").to_owned();
    for (kid, secret) in [("rs", modulus), ("es", jwks["keys"][1].to_string())] {
        for algorithm in [Algorithm::HS256, Algorithm::HS512] {
            let header = Header { kid: Some(kid.to_owned()), ..Header::new(algorithm) };
            let key = EncodingKey::from_secret(secret.as_bytes());
            let token = jsonwebtoken::encode(&header, &claims, &key).expect("signed");
            let status = refused(&cluster, &token).await;
            says(&status, Code::Unauthenticated, "algorithm is not one that is taken");
        }
    }
    // The right key for an algorithm that it is not meant for (RFC 7517, section 4.4).
    let status = refused(&cluster, &cluster.api.sign(Algorithm::PS256, &claims)).await;
    says(&status, Code::Unauthenticated, "with no key of its issuer");
    // The name of the other key, of another kind.
    let token = cluster.api.sign(Algorithm::RS256, &claims);
    let rest = token.split_once('.').expect("parts").1;
    for (kid, alg) in [("es", "RS256"), ("rs", "ES256"), ("es", "ES384"), ("nobody", "RS256")] {
        let token = format!("{}.{rest}", coded(&json!({ "alg": alg, "kid": kid })));
        let status = refused(&cluster, &token).await;
        says(&status, Code::Unauthenticated, "with no key of its issuer");
    }
}

#[tokio::test]
async fn a_longer_token_than_there_are() {
    let cluster = InCluster::start();
    let mut claims = cluster.api.claims(&cluster.asked("a"));
    claims["padding"] = json!("x".repeat(6_200));
    let token = cluster.api.sign(Algorithm::RS256, &claims);
    assert!(token.len() > 8 * 1024, "{}", token.len());
    let status = refused(&cluster, &token).await;
    says(&status, Code::Unauthenticated, "longer than");
    assert_eq!(cluster.reviews(), 0);
}

#[tokio::test]
async fn another_service_account_and_a_token_that_is_bound_to_no_pod() {
    let cluster = InCluster::start();
    let mut web = pod("a");
    web["metadata"]["name"] = json!("web");
    cluster.api.put(web);
    let other = Token::of("nodeward:web", "web", "nodeward");
    let status = refused(&cluster, &cluster.api.token(&other)).await;
    says(&status, Code::PermissionDenied, "not the agents'");
    let unbound = Token { pod: None, ..cluster.asked("a") };
    let status = refused(&cluster, &cluster.api.token(&unbound)).await;
    says(&status, Code::PermissionDenied, "bound to no pod");
}

#[tokio::test]
async fn another_node_s_token_makes_one_that_node_and_no_other() {
    let cluster = InCluster::start();
    // Whatever is said beside it.
    let says_b = [("nodeward-cluster", "prod"), ("nodeward-node", "b"), ("nodeward-node-uid", "1")];
    let token = cluster.token("a");
    let held = cluster.enrol_saying(Some(&token), &says_b).await.expect("enrolled");
    assert!(named(&held.answer.chain[0]).starts_with("nodeward://prod/node/a/"));
    let channel = cluster.connect(Some(held.identity())).await;
    let mut client = ReportServiceClient::new(channel);
    for (key, value) in says_b.into_iter().filter(|(key, _)| *key != "nodeward-cluster") {
        let mut request = tonic::Request::new(report(1, 0));
        request.metadata_mut().insert(key, value.parse().expect("metadata"));
        let status = client.report(request).await.expect_err("b's");
        says(&status, Code::PermissionDenied, key);
    }
    // Claims that nobody signed count for nothing.
    let mut claims = cluster.api.claims(&cluster.asked("a"));
    claims["kubernetes.io"]["node"] = json!({ "name": "b", "uid": uid(&cluster, "b") });
    let (head, signature) = (token.split('.').next(), token.rsplit('.').next());
    let forged = format!("{}.{}.{}", head.expect("head"), coded(&claims), signature.expect("end"));
    says(&refused(&cluster, &forged).await, Code::Unauthenticated, "signature does not hold");
    assert!(cluster.aggregator.log().contains("identity_mismatch"));
}

#[tokio::test]
async fn a_deleted_pod_s_token() {
    let cluster = InCluster::start();
    let (token, later) = (cluster.token("a"), cluster.token("a"));
    cluster.api.remove("Pod", "nodeward", "agent-a");
    says(&refused(&cluster, &token).await, Code::Unauthenticated, "does not accept the token");
    // One of the same name is another pod. The API server is asked: it was not about this token.
    cluster.api.put(pod("a"));
    let before = cluster.reviews();
    says(&refused(&cluster, &later).await, Code::Unauthenticated, "does not accept the token");
    assert_eq!(cluster.reviews(), before + 1);
}

#[tokio::test]
async fn a_deleted_node_s_token_and_that_of_a_node_that_was_made_anew() {
    let cluster = InCluster::start();
    let token = cluster.token("a");
    cluster.api.remove("Node", "", "a");
    // The API server itself still accepts it: the pod is not collected yet.
    says(&refused(&cluster, &token).await, Code::PermissionDenied, "node is not there");
    cluster.api.put(json!({ "kind": "Node", "metadata": { "name": "a" }, "spec": {} }));
    says(&refused(&cluster, &token).await, Code::PermissionDenied, "node is not there");
    cluster.api.tells_no_nodes();
    cluster.api.remove("Node", "", "b");
    says(&refused(&cluster, &cluster.token("b")).await, Code::PermissionDenied, "not there");
}

#[tokio::test]
async fn a_token_is_asked_about_once_a_minute_however_often_it_is_shown() {
    let cluster = InCluster::start();
    cluster.api.break_path(
        "/apis/authentication.k8s.io/v1/tokenreviews",
        Fault::Slow(std::time::Duration::from_millis(300)),
        1,
    );
    let token = cluster.token("a");
    let all = [(); 8].map(|()| cluster.enrol(Some(&token)));
    for one in futures(all).await {
        assert!(one.is_ok());
    }
    assert_eq!(cluster.reviews(), 1);
    // A refusal is kept too.
    let token = cluster.token("b");
    cluster.api.remove("Pod", "nodeward", "agent-b");
    for _ in 0..3 {
        assert!(cluster.enrol(Some(&token)).await.is_err());
    }
    assert_eq!(cluster.reviews(), 2);
}

/// All of them at once.
async fn futures<T>(all: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut all: Vec<_> = all.into_iter().map(Box::pin).collect();
    let mut done: BTreeMap<usize, T> = BTreeMap::new();
    std::future::poll_fn(|context| {
        for (index, one) in all.iter_mut().enumerate() {
            if let std::collections::btree_map::Entry::Vacant(place) = done.entry(index)
                && let std::task::Poll::Ready(value) = one.as_mut().poll(context)
            {
                place.insert(value);
            }
        }
        if done.len() == all.len() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_values().collect()
}

#[tokio::test]
async fn while_the_api_server_is_away_nobody_enrols_and_everybody_renews() {
    let cluster = InCluster::start();
    let held = cluster.enrol(Some(&cluster.token("a"))).await.expect("enrolled");
    let too_many = Fault::TooManyRequests { retry_after_seconds: 1 };
    for fault in [Fault::Fails, Fault::HangUp, too_many] {
        cluster.api.break_path("/apis/authentication", fault, 1);
        let status = refused(&cluster, &cluster.token("a")).await;
        says(&status, Code::Unavailable, "come again");
        cluster.api.mend();
    }
    cluster.api.go_away();
    let status = refused(&cluster, &cluster.token("a")).await;
    says(&status, Code::Unavailable, "come again");
    let renewed = cluster.renew(&held).await.expect("renewed");
    assert_eq!(named(&renewed.answer.chain[0]), named(&held.answer.chain[0]));
    let channel = cluster.connect(Some(renewed.identity())).await;
    ReportServiceClient::new(channel).report(report(1, 0)).await.expect("taken");
    cluster.api.mend();
    assert!(cluster.renew(&renewed).await.is_ok());
    // It answers, but not us: that is no reason to believe everybody.
    let own = "system:serviceaccount:nodeward:nodeward-aggregator";
    cluster.api.withdraw(own);
    let status = cluster.renew(&renewed).await.expect_err("not asked");
    says(&status, Code::Unavailable, "403");
    for (verb, resource) in
        [("create", "tokenreviews.authentication.k8s.io"), ("get", "nodes"), ("get", "pods")]
    {
        cluster.api.allow(own, verb, resource);
    }
    // Once it is there again a node that is gone does not go on.
    assert!(cluster.renew(&renewed).await.is_ok());
    cluster.api.remove("Node", "", "a");
    let status = cluster.renew(&renewed).await.expect_err("gone");
    says(&status, Code::PermissionDenied, "has ended");
}

#[tokio::test]
async fn neither_tokens_nor_keys_are_told() {
    let cluster = InCluster::start();
    let token = cluster.token("a");
    let mut told = vec![cluster.enrol(None).await.expect_err("none").to_string()];
    let good = cluster.enrol(Some(&token)).await.expect("enrolled");
    told.push(format!("{:?}", good.answer));
    cluster.api.break_path("/apis/authentication", Fault::Fails, 1);
    told.push(refused(&cluster, &cluster.token("a")).await.to_string());
    let other = Token { audiences: vec!["vault".to_owned()], ..cluster.asked("a") };
    let (other, forged) = (cluster.api.token(&other), format!("{token}x"));
    told.push(refused(&cluster, &other).await.to_string());
    told.push(refused(&cluster, &forged).await.to_string());
    told.push(cluster.aggregator.get("/metrics"));
    told.push(cluster.aggregator.log());
    let read = |path: &Path| std::fs::read_to_string(path).expect("a file");
    let keys = read(&cluster.authority.key()) + &read(&cluster.shown.key);
    let secrets = [&token, &other, &forged].into_iter().map(|token| {
        // What is secret of a token is its signature.
        token.rsplit('.').next().expect("parts").to_owned()
    });
    let lines = keys.lines().filter(|line| !line.contains("-----")).map(str::to_owned);
    let secrets: Vec<String> = secrets.chain(lines).collect();
    assert!(secrets.len() > 5 && cluster.aggregator.log().contains("enrolled"));
    for text in &told {
        assert!(!secrets.iter().any(|secret| text.contains(secret)), "{text}");
    }
}
