//! What readers, administrators, relays and agents may do, and where.

use jsonwebtoken::Algorithm;
use nodeward_proto::v1;
use nodeward_proto::v1::admin_service_client::AdminServiceClient;
use nodeward_proto::v1::plan_service_client::PlanServiceClient;
use nodeward_proto::v1::query_service_client::QueryServiceClient;
use nodeward_proto::v1::report_service_client::ReportServiceClient;
use nodeward_tests::api_server::tokens::{Issuer, Token};
use nodeward_tests::in_cluster::InCluster;
use nodeward_tests::reporter::report;
use serde_json::json;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

const NODE_A: &str = "nodeward://prod/node/a/9a2f3a6e-0c2b-4a6b-8d0e-1c1f3a2b4c5d";
const NODE_B: &str = "nodeward://test/node/b/8a2f3a6e-0c2b-4a6b-8d0e-1c1f3a2b4c5d";

/// Two clusters, a node of each has reported.
async fn two_clusters(more: &str) -> InCluster {
    let cluster = InCluster::start_with("24h", more);
    for node in [NODE_A, NODE_B] {
        let channel = cluster.connect_named(&[node]).await;
        ReportServiceClient::new(channel).report(report(1, 0)).await.expect("taken");
    }
    cluster
}

fn saying<T>(message: T, pairs: &[(&'static str, &str)]) -> Request<T> {
    let mut request = Request::new(message);
    for (key, value) in pairs {
        request.metadata_mut().insert(*key, value.parse().expect("metadata"));
    }
    request
}

/// The clusters of the nodes that are listed.
async fn seen(channel: Channel, token: Option<&str>) -> Result<Vec<String>, Status> {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let pairs: Vec<_> = bearer.iter().map(|one| ("authorization", one.as_str())).collect();
    let request = saying(v1::ListNodesRequest::default(), &pairs);
    let listed = QueryServiceClient::new(channel).list_nodes(request).await?.into_inner();
    Ok(listed.nodes.into_iter().map(|node| node.cluster).collect())
}

#[tokio::test]
async fn a_reader_sees_his_clusters_and_no_other() {
    let cluster = two_clusters("").await;
    for (uris, clusters) in [
        (&["nodeward://prod/reader/ann"][..], &["prod"][..]),
        (&["nodeward://test/reader/ann"], &["test"]),
        (&["nodeward://prod/reader/ann", "nodeward://test/reader/ann"], &["prod", "test"]),
        (&["nodeward://*/reader/ann"], &["prod", "test"]),
        (&["nodeward://*/admin/ann"], &["prod", "test"]),
        (&["nodeward://none/reader/ann"], &[]),
    ] {
        let channel = cluster.connect_named(uris).await;
        assert_eq!(seen(channel, None).await.expect("a reader"), clusters, "{uris:?}");
    }
}

#[tokio::test]
async fn a_reader_of_one_cluster_who_asks_about_another() {
    let cluster = two_clusters("").await;
    let of_prod = cluster.connect_named(&["nodeward://prod/reader/ann"]).await;
    let mut reader = QueryServiceClient::new(of_prod.clone());
    let about = |cluster: &str, node: &str| (cluster.to_owned(), node.to_owned());
    // It says no more than of a node that there is not.
    for (of, node) in [about("test", "b"), about("", "b")] {
        let get = v1::GetNodeRequest { cluster: of.clone(), node: node.clone() };
        assert_eq!(reader.get_node(get).await.expect_err("b").code(), Code::NotFound);
        let get = v1::GetSysctlRequest { cluster: of.clone(), node: node.clone() };
        assert_eq!(reader.get_sysctl(get).await.expect_err("b").code(), Code::NotFound);
        let get = v1::GetWhyRequest { cluster: of.clone(), node: node.clone() };
        assert_eq!(reader.get_why(get).await.expect_err("b").code(), Code::NotFound);
        let get = v1::CheckSupportRequest { cluster: of, node, ..Default::default() };
        assert_eq!(reader.check_support(get).await.expect_err("b").code(), Code::NotFound);
    }
    let get = v1::GetNodeRequest { cluster: String::new(), node: "a".to_owned() };
    assert!(reader.get_node(get).await.is_ok());
    let named = v1::ListNodesRequest { cluster: "test".to_owned(), ..Default::default() };
    assert!(reader.list_nodes(named).await.expect("empty").into_inner().nodes.is_empty());
    let answer = reader.check_support(v1::CheckSupportRequest::default()).await.expect("of prod");
    let document = answer.into_inner().document;
    assert!(!document.contains("\"test\"") && !document.contains("test/"), "{document}");
    let ages = reader.get_patch_age(v1::GetPatchAgeRequest::default()).await.expect("of prod");
    assert!(!format!("{:?}", ages.into_inner()).contains("\"test\""));
    // Plans go over all clusters.
    let plans = PlanServiceClient::new(of_prod).list_plans(v1::ListPlansRequest {}).await;
    assert_eq!(plans.expect_err("all").code(), Code::PermissionDenied);
    let of_all = cluster.connect_named(&["nodeward://*/reader/ann"]).await;
    let mut reader_of_all = PlanServiceClient::new(of_all);
    assert!(reader_of_all.list_plans(v1::ListPlansRequest {}).await.is_ok());
    // To read them all is not to change them.
    let delete = || v1::GetPlanRequest { name: "weekend".to_owned() };
    let refused = reader_of_all.delete_plan(delete()).await.expect_err("a reader");
    assert_eq!(refused.code(), Code::PermissionDenied);
    let refused = reader_of_all.create_plan(v1::CreatePlanRequest::default()).await;
    assert_eq!(refused.expect_err("a reader").code(), Code::PermissionDenied);
    let admin = cluster.connect_named(&["nodeward://*/admin/ann"]).await;
    let none = PlanServiceClient::new(admin).delete_plan(delete()).await.expect_err("no such plan");
    assert_eq!(none.code(), Code::NotFound);
}

#[tokio::test]
async fn only_administrators_of_all_import() {
    let cluster = two_clusters("").await;
    let pull = async |uris: &[&str]| {
        let channel = cluster.connect_named(uris).await;
        let pulled = AdminServiceClient::new(channel).pull_feeds(v1::PullFeedsRequest {}).await;
        // None is configured: whoever gets so far may.
        pulled.expect_err("no feed").code()
    };
    for uri in
        ["nodeward://*/reader/ann", "nodeward://prod/admin/ann", "nodeward://prod/relay/r", NODE_A]
    {
        assert_eq!(pull(&[uri]).await, Code::PermissionDenied, "{uri}");
    }
    assert_eq!(pull(&["nodeward://*/admin/ann"]).await, Code::FailedPrecondition);
    let nobody = AdminServiceClient::new(cluster.connect(None).await);
    let pulled = { nobody }.pull_feeds(v1::PullFeedsRequest {}).await;
    assert_eq!(pulled.expect_err("nobody").code(), Code::Unauthenticated);
    // Not in plain text either, also not from this machine.
    let plain = AdminServiceClient::connect(cluster.aggregator.url()).await.expect("it serves");
    let pulled = { plain }.pull_feeds(v1::PullFeedsRequest {}).await;
    assert_eq!(pulled.expect_err("plain").code(), Code::Unimplemented);
}

#[tokio::test]
async fn an_agent_asks_nothing_with_its_certificate_nor_with_its_token() {
    let cluster = two_clusters("").await;
    let agent = cluster.connect_named(&[NODE_A]).await;
    let refused = seen(agent.clone(), None).await.expect_err("an agent");
    assert_eq!(refused.code(), Code::PermissionDenied);
    let plans = PlanServiceClient::new(agent).list_plans(v1::ListPlansRequest {}).await;
    assert_eq!(plans.expect_err("an agent").code(), Code::PermissionDenied);
    let token = cluster.token("a");
    let refused = seen(cluster.connect(None).await, Some(&token)).await.expect_err("an agent");
    assert_eq!(refused.code(), Code::PermissionDenied);
    let relay = cluster.connect_named(&["nodeward://prod/relay/r"]).await;
    assert_eq!(seen(relay, None).await.expect_err("a relay").code(), Code::PermissionDenied);
    let nobody = seen(cluster.connect(None).await, None).await.expect_err("nobody");
    assert_eq!(nobody.code(), Code::Unauthenticated);
    // And readers report nothing.
    let reader = cluster.connect_named(&["nodeward://prod/reader/ann"]).await;
    let reported = ReportServiceClient::new(reader).report(report(1, 0)).await;
    assert_eq!(reported.expect_err("a reader").code(), Code::PermissionDenied);
}

#[tokio::test]
async fn a_relay_speaks_for_the_nodes_of_its_cluster_and_no_other() {
    let cluster = InCluster::start();
    let relay = cluster.connect_named(&["nodeward://edge/relay/r"]).await;
    let mut relay = ReportServiceClient::new(relay);
    let of = |cluster| {
        let names =
            [("nodeward-cluster", cluster), ("nodeward-node", "n"), ("nodeward-node-uid", "1")];
        saying(report(1, 0), &names)
    };
    relay.report(of("edge")).await.expect("its own");
    let refused = relay.report(of("prod")).await.expect_err("another's");
    assert_eq!(refused.code(), Code::PermissionDenied);
    let refused = relay.report(report(1, 0)).await.expect_err("of nobody");
    assert_eq!(refused.code(), Code::Unauthenticated);
    let reader = cluster.connect_named(&["nodeward://*/reader/ann"]).await;
    assert_eq!(seen(reader, None).await.expect("a reader"), ["edge"]);
}

#[tokio::test]
async fn tokens_read_as_they_are_granted() {
    let grants = "[[grant]]\nissuer = \"$ISSUER\"\nrole = \"reader\"\nclusters = [\"test\"]\n\
                  subject = \"system:serviceaccount:ops:board\"\n\
                  [[grant]]\nissuer = \"$ISSUER\"\nrole = \"admin\"\nclusters = [\"*\"]\n\
                  group = \"system:serviceaccounts:admins\"\n";
    let cluster = two_clusters(grants).await;
    let token = |account: &str| {
        let (namespace, name) = account.split_once(':').expect("namespace:name");
        cluster.api.put(json!({
            "kind": "Pod",
            "metadata": { "name": name, "namespace": namespace },
            "spec": { "nodeName": "a" },
        }));
        cluster.api.token(&Token::of(account, name, "nodeward"))
    };
    let channel = cluster.connect(None).await;
    let board = token("ops:board");
    assert_eq!(seen(channel.clone(), Some(&board)).await.expect("granted"), ["test"]);
    let admin = token("admins:root");
    assert_eq!(seen(channel.clone(), Some(&admin)).await.expect("granted"), ["prod", "test"]);
    let other = seen(channel.clone(), Some(&token("ops:other"))).await.expect_err("not granted");
    assert_eq!(other.code(), Code::PermissionDenied);
    let pull = async |token: &str| {
        let shown = format!("Bearer {token}");
        let request = saying(v1::PullFeedsRequest {}, &[("authorization", &shown)]);
        let pulled = AdminServiceClient::new(channel.clone()).pull_feeds(request).await;
        pulled.expect_err("no feed").code()
    };
    assert_eq!(pull(&board).await, Code::PermissionDenied);
    assert_eq!(pull(&admin).await, Code::FailedPrecondition);
    // Who was deleted reads no more, once what the API server said is over.
    let board = token("ops:board");
    cluster.api.remove("Pod", "ops", "board");
    let gone = seen(channel, Some(&board)).await.expect_err("gone");
    assert_eq!(gone.code(), Code::Unauthenticated);
}

/// People show tokens of an issuer that no API server knows: what the token says is all there is.
#[tokio::test]
async fn people_of_another_issuer_read_as_they_are_granted() {
    const LOGIN: &str = "https://login.example.org";
    let issuer = Issuer::new(LOGIN);
    let folder = tempfile::tempdir().expect("a folder");
    let keys = folder.path().join("jwks.json");
    std::fs::write(&keys, issuer.jwks().to_string()).expect("written");
    let more = format!(
        "[[issuer]]\nurl = \"{LOGIN}\"\naudience = \"nodeward\"\njwks-file = {keys:?}\n\
         [[grant]]\nissuer = \"{LOGIN}\"\nrole = \"reader\"\nclusters = [\"prod\"]\n\
         group = \"platform\"\n\
         [[grant]]\nissuer = \"{LOGIN}\"\nrole = \"reader\"\nclusters = [\"*\"]\n\
         subject = \"ann\"\n"
    );
    let cluster = two_clusters(&more).await;
    let now = jiff::Timestamp::now().as_second();
    let claims = |change: serde_json::Value| {
        let mut claims = json!({
            "iss": LOGIN, "sub": "bob", "aud": "nodeward", "groups": ["platform"],
            "iat": now, "exp": now + 600,
        });
        for (key, value) in change.as_object().expect("claims") {
            claims[key] = value.clone();
        }
        claims
    };
    let channel = cluster.connect(None).await;
    let seen = async |token: String| seen(channel.clone(), Some(&token)).await;
    for algorithm in [Algorithm::RS256, Algorithm::ES256] {
        let sees = seen(issuer.sign(algorithm, &claims(json!({})))).await;
        assert_eq!(sees.expect("granted"), ["prod"]);
    }
    let ann = claims(json!({ "sub": "ann", "groups": [] }));
    let sees = seen(issuer.sign(Algorithm::ES256, &ann)).await.expect("granted");
    assert_eq!(sees, ["prod", "test"]);
    let other = claims(json!({ "groups": ["others"] }));
    let refused = seen(issuer.sign(Algorithm::ES256, &other)).await.expect_err("no grant");
    assert_eq!(refused.code(), Code::PermissionDenied);
    for (change, why) in [
        (json!({ "aud": "other" }), "not meant for this audience"),
        (json!({ "aud": null }), "the token"),
        (json!({ "exp": now - 60 }), "has expired"),
        (json!({ "nbf": now + 60 }), "not in force yet"),
        (json!({ "iss": "https://other.example.org" }), "issuer is not one"),
        // A grant of a cluster's issuer is none of this one's.
        (json!({ "iss": cluster.api.url() }), "signature does not hold"),
    ] {
        let token = issuer.sign(Algorithm::ES256, &claims(change.clone()));
        let refused = seen(token).await.expect_err("refused");
        assert_eq!(refused.code(), Code::Unauthenticated, "{change}: {refused}");
        assert!(refused.message().contains(why), "{change}: {refused}");
    }
    let foreign = Issuer::new(LOGIN).sign(Algorithm::ES256, &claims(json!({})));
    let refused = seen(foreign).await.expect_err("another's key");
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
    // With such a token nobody enrols.
    let enrolled = cluster.enrol(Some(&issuer.sign(Algorithm::ES256, &claims(json!({}))))).await;
    assert_eq!(enrolled.expect_err("a person").code(), Code::Unauthenticated);
}
