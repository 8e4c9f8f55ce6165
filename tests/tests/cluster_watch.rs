//! The watch of clusters against the stand-in for their API servers: what is asked and told,
//! and what becomes of it when a server forgets, throttles, hangs, breaks off or is away.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use nodeward_aggregator::fleet::Filter;
use nodeward_aggregator::peer::Peer;
use nodeward_domain::component::Component;
use nodeward_domain::facts::ComponentState;
use nodeward_domain::observed::State;
use nodeward_tests::api_server::tokens::Token;
use nodeward_tests::api_server::{ADMIN_TOKEN, ApiServer, Fault};
use nodeward_tests::project;
use nodeward_tests::reporter::{component, report};
use nodeward_tests::watched::{Watched, budget, event, limits, node, pod, until};
use serde_json::{Value, json};

const CLUSTER: &str = "prod";

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

async fn watched(folder: &tempfile::TempDir, server: &ApiServer) -> Watched {
    let mut watched = Watched::load(folder.path()).await;
    watched.watch(CLUSTER, server).await;
    watched
}

/// Waits until the API server is heard to say that of a node.
async fn heard(watched: &Watched, node: &str, state: &str, headline: &str) {
    until(&format!("{node}: {state}, {headline}"), || {
        let (is, says) = watched.said(CLUSTER, node)?;
        (is == state && says.contains(headline)).then_some(())
    })
    .await;
}

/// How often a resource was listed from its first page, so far.
fn lists(server: &ApiServer, path: &str) -> usize {
    let asked = server.asked();
    let begins = |path_and_query: &str| {
        let (asked, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        asked == path && !query.contains("watch=") && !query.contains("continue=")
    };
    asked.iter().filter(|one| begins(&one.path)).count()
}

const NODES: &str = "/api/v1/nodes";
const PODS: &str = "/api/v1/pods";
const EVENTS: &str = "/api/v1/events";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_listed_in_pages_and_watched() {
    let (folder, server) = (folder(), ApiServer::start());
    for n in 0..120 {
        server.put(node(&format!("n-{n:03}"), "True"));
    }
    server.put(pod("kube-system", "kube-proxy-a", "n-000", "kube-proxy"));
    server.put(pod("shop", "web-1", "n-001", "web"));
    server.put(pod("shop", "web-2", "n-002", "web"));
    server.put(budget("shop", "web", "web"));
    server.put(event("e1", "n-000", "NodeRebootStart", "aks-auto-repair"));
    let watched = watched(&folder, &server).await;
    until("every node", || (watched.fleet.nodes_of(CLUSTER).len() == 120).then_some(())).await;
    assert_eq!(watched.fleet.rows(&Filter::default(), Timestamp::now()).len(), 120);
    heard(&watched, "n-000", "present", "Ready").await;
    let answer = watched.answer(CLUSTER, "n-000").expect("a node");
    assert_eq!(answer.last_report_at, None, "no agent has reported");
    let object = watched.object(CLUSTER, "n-000").expect("said");
    assert_eq!(object.events[0].reason, "NodeRebootStart");
    assert_eq!(object.labels.len(), 2, "{:?}", object.labels);
    let pods = watched.component(CLUSTER, "n-000", Component::SystemPods).expect("told");
    assert_eq!((pods.state.as_str(), pods.headline.as_str()), ("present", "1 of 1 are ready"));
    let other = watched.component(CLUSTER, "n-001", Component::SystemPods).expect("told");
    assert_eq!(other.headline, "0 of 0 are ready");
    let cluster = until("the cluster", || watched.cluster(CLUSTER)).await;
    assert_eq!((cluster.truth.nodes, cluster.truth.ready), (120, 120));
    assert!(cluster.truth.last_ready_at.is_some());
    until("the version", || watched.cluster(CLUSTER)?.truth.version.clone()).await;
    let guarded = until("the budget", || {
        let cluster = watched.cluster(CLUSTER)?;
        Some(cluster.budgets.as_ref()?.0.first()?.nodes.clone())
    })
    .await;
    assert_eq!(guarded, ["n-001", "n-002"]);

    // What changes is told without another list.
    server.put(node("n-000", "False"));
    heard(&watched, "n-000", "present", "not Ready").await;
    server.put(node("new", "Unknown"));
    heard(&watched, "new", "present", "Ready is unknown").await;
    server.put(event("e2", "n-000", "NodeRebootEnd", "aks-auto-repair"));
    until("the event", || (watched.object(CLUSTER, "n-000")?.events.len() == 2).then_some(()))
        .await;
    server.remove("Pod", "kube-system", "kube-proxy-a");
    until("no pod", || {
        let pods = watched.component(CLUSTER, "n-000", Component::SystemPods)?;
        (pods.headline == "0 of 0 are ready").then_some(())
    })
    .await;
    server.remove("Node", "", "n-000");
    heard(&watched, "n-000", "absent", "").await;
    let pods = watched.component(CLUSTER, "n-000", Component::SystemPods).expect("told");
    assert_eq!(pods.state, "absent");
    assert_eq!(lists(&server, NODES), 1);

    // Nothing else is asked than is written down.
    let asked = server.asked();
    assert!(asked.iter().all(|one| one.method == "GET"));
    let paths: BTreeSet<&str> = asked.iter().filter_map(|one| one.path.split('?').next()).collect();
    let expected =
        ["/api/v1/events", NODES, PODS, "/apis/policy/v1/poddisruptionbudgets", "/version"];
    assert_eq!(paths, BTreeSet::from(expected));
    let pages = asked.iter().filter(|one| one.path.starts_with("/api/v1/nodes?"));
    let pages: Vec<_> = pages.filter(|one| one.path.contains("limit=50")).collect();
    assert_eq!(pages.len(), 3, "{pages:?}");
    let mut events = asked.iter().filter(|one| one.path.starts_with("/api/v1/events"));
    assert!(events.all(|one| one.path.contains("involvedObject.kind%3DNode")));
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_goes_on_from_its_last_bookmark() {
    let (folder, server) = (folder(), ApiServer::start());
    server.put(node("a", "True"));
    let watched = watched(&folder, &server).await;
    heard(&watched, "a", "present", "Ready").await;
    // Pods move the revision on; of nodes only bookmarks tell of it.
    for n in 0..20 {
        server.put(pod("shop", &format!("p-{n}"), "a", "web"));
    }
    let revision = server.revision();
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.close_watches();
    let again = until("the next watch", || {
        let asked = server.asked();
        let watches = asked
            .iter()
            .filter(|one| one.path.starts_with("/api/v1/nodes?") && one.path.contains("watch="));
        watches.skip(1).last().map(|one| one.path.clone())
    })
    .await;
    assert!(again.ends_with(&format!("resourceVersion={revision}")), "{again}");
    server.put(node("a", "False"));
    heard(&watched, "a", "present", "not Ready").await;
    assert_eq!(lists(&server, NODES), 1);
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_has_forgotten_is_listed_again() {
    let (folder, server) = (folder(), ApiServer::start());
    for name in ["a", "b", "c"] {
        server.put(node(name, "True"));
    }
    let watched = watched(&folder, &server).await;
    heard(&watched, "c", "present", "Ready").await;
    // While nobody watches: one goes, one comes, one is ill, and the changes are compacted.
    server.go_away();
    server.remove("Node", "", "a");
    server.put(node("d", "True"));
    server.put(node("b", "False"));
    server.compact();
    server.mend();
    heard(&watched, "a", "absent", "").await;
    heard(&watched, "b", "present", "not Ready").await;
    heard(&watched, "c", "present", "Ready").await;
    heard(&watched, "d", "present", "Ready").await;
    assert_eq!(lists(&server, NODES), 2);
    // An open watch may be told the same.
    server.expire_watches();
    until("another list", || (lists(&server, NODES) == 3).then_some(())).await;
    server.put(node("c", "False"));
    heard(&watched, "c", "present", "not Ready").await;
    let text = watched.metrics.text().expect("metrics");
    assert!(
        text.contains("nodeward_cluster_lists_total{cluster=\"prod\",resource=\"nodes\"} 3"),
        "{text}"
    );
    assert!(text.contains("resource=\"nodes\",failure=\"gone\"}"), "{text}");
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_is_forgotten_before_it_is_whole_is_read_in_longer_pages() {
    let (folder, server) = (folder(), ApiServer::start());
    for n in 0..120 {
        server.put(node(&format!("n-{n:03}"), "True"));
    }
    let goes_on = |page: u32| format!("{NODES}?&limit={page}&continue=");
    server.break_path(&goes_on(50), Fault::Forgotten, usize::MAX);
    let first = watched(&folder, &server).await;
    heard(&first, "n-119", "present", "Ready").await;
    first.end().await;
    // One that is never whole is no answer, and what was known does not stand for it.
    server.break_path(&format!("{NODES}?&limit="), Fault::Forgotten, usize::MAX);
    let again = watched(&folder, &server).await;
    heard(&again, "n-119", "unavailable", "410").await;
    again.end().await;
}

/// An answer that is no list says of no node that it is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_list_declares_nothing_gone() {
    let (folder, server) = (folder(), ApiServer::start());
    server.put(node("a", "True"));
    let watched = watched(&folder, &server).await;
    heard(&watched, "a", "present", "Ready").await;
    let before = lists(&server, NODES);
    server.break_path(&format!("{NODES}?&limit="), Fault::Empty, 5);
    server.compact();
    server.expire_watches();
    until("lists", || {
        let (state, _) = watched.said(CLUSTER, "a")?;
        assert!(["present", "unavailable"].contains(&state.as_str()), "{state}");
        (lists(&server, NODES) > before + 5).then_some(())
    })
    .await;
    heard(&watched, "a", "present", "Ready").await;
    watched.end().await;
}

/// Before nodes are listed every name that an event is about is a stranger's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_asked_for_once_nodes_are_known() {
    let (folder, server) = (folder(), ApiServer::start());
    server.put(node("a", "True"));
    server.break_path(NODES, Fault::Slow(Duration::from_secs(3)), 1);
    let watched = watched(&folder, &server).await;
    until("pods", || (lists(&server, PODS) > 0).then_some(())).await;
    assert_eq!(lists(&server, EVENTS), 0);
    heard(&watched, "a", "present", "Ready").await;
    until("events", || (lists(&server, EVENTS) > 0).then_some(())).await;
    watched.end().await;
}

/// What was told before of a pod that cannot be read any more does not stand for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_cannot_be_read_is_not_well() {
    let (folder, server) = (folder(), ApiServer::start());
    server.put(node("a", "True"));
    server.put(pod("kube-system", "kube-proxy-a", "a", "kube-proxy"));
    let watched = watched(&folder, &server).await;
    let told = |wanted: &str| {
        let pods = watched.component(CLUSTER, "a", Component::SystemPods)?;
        let seen = format!("{} {}", pods.state, pods.headline);
        seen.contains(wanted).then_some(())
    };
    until("pods", || told("present")).await;
    let mut odd = pod("kube-system", "kube-proxy-a", "a", "kube-proxy");
    odd["status"]["containerStatuses"] = json!("not a list");
    server.put(odd.clone());
    until("an odd pod", || told("the pod kube-proxy-a cannot be read")).await;
    server.put(pod("kube-system", "kube-proxy-a", "a", "kube-proxy"));
    until("a pod that is well", || told("present")).await;
    // It does not say where it runs; it ran there.
    let mut placeless = odd.clone();
    placeless["spec"] = json!("not an object");
    server.put(placeless);
    until("a pod without a place", || told("the pod kube-proxy-a cannot be read")).await;
    server.put(pod("kube-system", "kube-proxy-a", "a", "kube-proxy"));
    until("a pod that is well again", || told("present")).await;
    // It may go as it is.
    server.put(odd);
    until("an odd pod again", || told("the pod kube-proxy-a cannot be read")).await;
    server.remove("Pod", "kube-system", "kube-proxy-a");
    until("no pod", || told("present")).await;
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_that_its_program_does_not_give_yet_stops_nothing() {
    let (folder, server) = (folder(), ApiServer::start());
    server.put(node("a", "True"));
    server.bookmark_every(Duration::from_millis(100));
    let given = folder.path().join("credential.json");
    let kubeconfig = server.kubeconfig("none");
    let text = std::fs::read_to_string(&kubeconfig).expect("readable");
    let exec = json!({ "apiVersion": "client.authentication.k8s.io/v1", "command": "cat",
                       "args": [given], "interactiveMode": "Never" });
    let text = text.replace("{token: 'none'}", &format!("{{exec: {exec}}}"));
    std::fs::write(&kubeconfig, text).expect("written");
    let mut watched = Watched::load(folder.path()).await;
    watched.watch_by(CLUSTER, kubeconfig, limits()).await;
    until("the cluster", || watched.cluster(CLUSTER)).await;
    assert!(watched.answer(CLUSTER, "a").is_none());
    let credential = json!({ "apiVersion": "client.authentication.k8s.io/v1",
                             "kind": "ExecCredential", "status": { "token": ADMIN_TOKEN } });
    std::fs::write(&given, credential.to_string()).expect("written");
    heard(&watched, "a", "present", "Ready").await;
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_takes_watches_and_says_nothing_more_is_silent() {
    let (folder, server) = (folder(), ApiServer::start());
    server.put(node("a", "True"));
    server.bookmark_every(Duration::from_secs(3600));
    let mut watched = Watched::load(folder.path()).await;
    watched.watch_as(CLUSTER, &server, ADMIN_TOKEN, limits()).await;
    heard(&watched, "a", "unavailable", "").await;
    // Each watch that begins is answered; that is not enough.
    let until = Instant::now() + Duration::from_secs(6);
    while Instant::now() < until {
        let said = watched.said(CLUSTER, "a");
        assert_eq!(said.as_ref().map(|(state, _)| state.as_str()), Some("unavailable"), "{said:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_has_too_much_to_do_is_left_alone_for_as_long_as_it_asks() {
    let (folder, server) = (folder(), ApiServer::start());
    server.put(node("a", "True"));
    server.break_path(NODES, Fault::TooManyRequests { retry_after_seconds: 2 }, 1);
    let began = Instant::now();
    let watched = watched(&folder, &server).await;
    heard(&watched, "a", "present", "Ready").await;
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(lists(&server, NODES), 2, "once, and once again");
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_fails_or_hangs_up_costs_time_alone() {
    let (folder, server) = (folder(), ApiServer::start());
    server.put(node("a", "True"));
    for fault in [Fault::Fails, Fault::HangUp, Fault::Hang] {
        server.break_path(NODES, fault, 1);
    }
    server.break_path(PODS, Fault::Slow(Duration::from_millis(300)), 1);
    let watched = watched(&folder, &server).await;
    heard(&watched, "a", "present", "Ready").await;
    until("pods", || {
        let pods = watched.component(CLUSTER, "a", Component::SystemPods)?;
        (pods.state == "present").then_some(())
    })
    .await;
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_takes_its_word_back_and_gives_it_again() {
    let (folder, server) = (folder(), ApiServer::start());
    server.put(node("a", "True"));
    let first = watched(&folder, &server).await;
    heard(&first, "a", "present", "Ready").await;
    let before = first.object(CLUSTER, "a").expect("said");
    server.go_away();
    heard(&first, "a", "unavailable", "the API server has not answered since").await;
    let pods = first.component(CLUSTER, "a", Component::SystemPods).expect("told");
    assert_eq!(pods.state, "unavailable");
    let answer = first.answer(CLUSTER, "a").expect("a node");
    assert!(!answer.complete);
    let truth = first.cluster(CLUSTER).expect("known").truth.clone();
    let silent = Timestamp::now().duration_since(truth.answered_at.expect("it has answered"));
    assert!(silent > SignedDuration::from_secs(1), "{silent}");
    until("no budgets", || first.cluster(CLUSTER)?.budgets.is_none().then_some(())).await;
    // It does not become healthy by a restart of ours either.
    first.end().await;
    let again = watched(&folder, &server).await;
    heard(&again, "a", "unavailable", "").await;
    let old = again.said(CLUSTER, "a").expect("told").1;
    assert!(old.contains("has not answered since"), "{old}");
    // The words stay the same however long it lasts: nothing is written meanwhile.
    tokio::time::sleep(Duration::from_secs(3)).await;
    heard(&again, "a", "unavailable", "never answered").await;
    let changes = again.changes().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(again.changes().await, changes);
    server.mend();
    heard(&again, "a", "present", "Ready").await;
    assert_eq!(again.object(CLUSTER, "a").expect("said"), before);
    again.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_heartbeat_is_not_written() {
    let (folder, server) = (folder(), ApiServer::start());
    server.put(node("a", "True"));
    let watched = watched(&folder, &server).await;
    heard(&watched, "a", "present", "Ready").await;
    let changes = watched.changes().await;
    let observed = || {
        let one = watched.component(CLUSTER, "a", Component::NodeObject).expect("told");
        one.observed_at.expect("observed")
    };
    let first = observed();
    for minute in 0..20 {
        let mut beat = node("a", "True");
        for condition in [0, 1] {
            let at = json!(format!("2026-11-24T12:{minute:02}:00Z"));
            beat["status"]["conditions"][condition]["lastHeartbeatTime"] = at;
        }
        server.put(beat);
    }
    until("another observation", || (observed() > first).then_some(())).await;
    assert_eq!(watched.changes().await, changes);
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_right_that_alone_is_not_known() {
    let (folder, server) = (folder(), ApiServer::start());
    server.put(node("a", "True"));
    server.put(pod("nodeward", "aggregator", "a", "nodeward-aggregator"));
    let user = "system:serviceaccount:nodeward:nodeward-aggregator";
    for verb in ["list", "watch"] {
        server.allow(user, verb, "nodes");
    }
    let audience = server.url();
    let token = server.token(&Token::of("nodeward:nodeward-aggregator", "aggregator", &audience));
    let mut watched = Watched::load(folder.path()).await;
    server.bookmark_every(Duration::from_millis(100));
    watched.watch_as(CLUSTER, &server, &token, limits()).await;
    heard(&watched, "a", "present", "Ready").await;
    let pods = until("pods", || watched.component(CLUSTER, "a", Component::SystemPods)).await;
    assert_eq!(pods.state, "unavailable");
    assert!(pods.headline.contains("gives no right to pods"), "{}", pods.headline);
    assert!(pods.headline.contains("cannot list resource"), "{}", pods.headline);
    assert_eq!(watched.cluster(CLUSTER).expect("known").budgets, None);
    // Given later, it is used.
    for (verb, resource) in [("list", "pods"), ("watch", "pods")] {
        server.allow(user, verb, resource);
    }
    until("pods", || {
        let pods = watched.component(CLUSTER, "a", Component::SystemPods)?;
        (pods.state == "present").then_some(())
    })
    .await;
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rights_of_the_manifest_are_enough_and_no_others_are_used() {
    let (folder, server) = (folder(), ApiServer::start());
    server.put(node("a", "True"));
    server.put(pod("nodeward", "aggregator", "a", "nodeward-aggregator"));
    server.put(budget("nodeward", "aggregator", "nodeward-aggregator"));
    server.put(event("e", "a", "NodeRebootStart", "aks-auto-repair"));
    let path = "manifests/components/cluster-watch/clusterrole.yaml";
    let role = std::fs::read_to_string(project::root().join(path)).expect("the role");
    let role: Value = serde_yaml_ng::from_str(&role).expect("YAML");
    let texts = |list: &Value| -> Vec<String> {
        let list = list.as_array().expect("a list").iter();
        list.map(|one| one.as_str().expect("a text").to_owned()).collect()
    };
    let mut resources = BTreeSet::new();
    for rule in role["rules"].as_array().expect("rules") {
        let group = texts(&rule["apiGroups"]).remove(0);
        for resource in texts(&rule["resources"]) {
            resources.insert(resource.clone());
            let full = if group.is_empty() { resource } else { format!("{resource}.{group}") };
            for verb in texts(&rule["verbs"]) {
                assert!(["get", "list", "watch"].contains(&verb.as_str()), "{verb}");
                server.allow("system:serviceaccount:nodeward:nodeward-aggregator", &verb, &full);
            }
        }
    }
    assert_eq!(
        resources.iter().map(String::as_str).collect::<Vec<_>>(),
        ["events", "nodes", "poddisruptionbudgets", "pods"]
    );
    let audience = server.url();
    let token = Token::of("nodeward:nodeward-aggregator", "aggregator", &audience);
    let token = server.token(&token);
    let mut watched = Watched::load(folder.path()).await;
    server.bookmark_every(Duration::from_millis(100));
    watched.watch_as(CLUSTER, &server, &token, limits()).await;
    heard(&watched, "a", "present", "Ready").await;
    until("all of it", || {
        let is_told = watched.object(CLUSTER, "a")?.events.len() == 1
            && watched.component(CLUSTER, "a", Component::SystemPods)?.state == "present";
        let cluster = watched.cluster(CLUSTER)?;
        let (budgets, _) = cluster.budgets.as_ref()?;
        (is_told && budgets.first()?.nodes == ["a"]).then_some(())
    })
    .await;
    let text = watched.metrics.text().expect("metrics");
    assert!(!text.contains("failure=\"refused\""), "{text}");
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clusters_may_have_a_node_of_one_name() {
    let (folder, one, other) = (folder(), ApiServer::start(), ApiServer::start());
    one.put(node("a", "True"));
    other.put(node("a", "False"));
    let mut watched = Watched::load(folder.path()).await;
    watched.watch(CLUSTER, &one).await;
    watched.watch("test", &other).await;
    heard(&watched, "a", "present", "Ready").await;
    let said = until("the other", || watched.said("test", "a")).await;
    assert!(said.1.starts_with("not Ready"), "{said:?}");
    let (first, second) = (watched.object(CLUSTER, "a"), watched.object("test", "a"));
    assert_ne!(first.expect("said").uid, second.expect("said").uid);
    assert!(watched.answer("", "a").is_none(), "which of them is meant?");
    // One server away costs its own cluster alone.
    other.go_away();
    until("silence", || (watched.said("test", "a")?.0 == "unavailable").then_some(())).await;
    heard(&watched, "a", "present", "Ready").await;
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_names_in_upper_case_are_the_same_node() {
    let (folder, server) = (folder(), ApiServer::start());
    server.put(node("aks-apps-1-vmss00000a", "True"));
    server.put(pod("kube-system", "kube-proxy-a", "AKS-apps-1-vmss00000A", "kube-proxy"));
    server.put(event("e", "AKS-apps-1-vmss00000A", "VMEventScheduled", "custom-plugin"));
    let watched = watched(&folder, &server).await;
    let name = "aks-apps-1-vmss00000a";
    heard(&watched, name, "present", "Ready").await;
    until("the event", || (watched.object(CLUSTER, name)?.events.len() == 1).then_some(())).await;
    let pods = watched.component(CLUSTER, name, Component::SystemPods).expect("told");
    assert_eq!(pods.headline, "1 of 1 are ready");
    assert_eq!(watched.fleet.nodes_of(CLUSTER), [name]);
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_made_anew_begins_a_new_life() {
    let (folder, server) = (folder(), ApiServer::start());
    let first = server.put(node("a", "True"));
    let uid = |object: &serde_json::Value| object["metadata"]["uid"].as_str().unwrap().to_owned();
    let watched = watched(&folder, &server).await;
    heard(&watched, "a", "present", "Ready").await;
    let old = Peer { cluster: CLUSTER.to_owned(), node: "a".to_owned(), uid: uid(&first) };
    watched.report(&old, report(5, 0)).await.expect("a report of this life");
    server.remove("Node", "", "a");
    let second = server.put(node("a", "False"));
    heard(&watched, "a", "present", "not Ready").await;
    let object = watched.object(CLUSTER, "a").expect("said");
    assert_eq!(object.uid, uid(&second));
    let answer = watched.answer(CLUSTER, "a").expect("a node");
    assert_eq!(answer.last_report_at, None, "the new one has not reported");
    let refused = watched.report(&old, report(6, 0)).await.expect_err("of the old one");
    assert_eq!(refused.code(), tonic::Code::FailedPrecondition, "{refused}");
    let new = Peer { uid: uid(&second), ..old };
    watched.report(&new, report(1, 0)).await.expect("of the new one");
    // Both lives last.
    watched.end().await;
    let again = Watched::load(folder.path()).await;
    assert_eq!(again.object(CLUSTER, "a").expect("said").uid, uid(&second));
    let refused = again.report(&Peer { uid: uid(&first), ..new }, report(7, 0)).await;
    assert!(refused.is_err());
    again.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_life_that_the_api_server_does_not_know_ends_none_that_it_knows() {
    let (folder, server) = (folder(), ApiServer::start());
    let held = server.put(node("a", "True"));
    let uid = held["metadata"]["uid"].as_str().unwrap().to_owned();
    let of =
        |uid: &str| Peer { cluster: CLUSTER.to_owned(), node: "a".to_owned(), uid: uid.to_owned() };
    // Of a life before, which nobody here has seen; its certificate may still be in force.
    let earlier = of("11111111-2222-4333-8444-555555555555");
    let mut watched = Watched::load(folder.path()).await;
    watched.report(&of(&uid), report(1, 0)).await.expect("the present one");
    // As long as nobody is asked, whoever comes later is believed.
    watched.report(&earlier, report(1, 0)).await.expect("it may be a new one");
    let refused =
        watched.report(&of(&uid), report(2, 0)).await.expect_err("it seems to have ended");
    assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
    // The API server knows better.
    watched.watch(CLUSTER, &server).await;
    heard(&watched, "a", "present", "Ready").await;
    watched.report(&of(&uid), report(3, 0)).await.expect("it has not");
    let refused = watched.report(&earlier, report(2, 0)).await.expect_err("this one has");
    assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
    assert!(refused.message().contains("under another UID"), "{refused}");
    let stranger = of("22222222-2222-4333-8444-555555555555");
    assert!(watched.report(&stranger, report(1, 0)).await.is_err());
    watched.report(&of(&uid), report(4, 0)).await.expect("it goes on");
    // It is the present one after a restart too.
    watched.end().await;
    let again = Watched::load(folder.path()).await;
    again.report(&of(&uid), report(5, 0)).await.expect("it goes on");
    assert!(again.report(&earlier, report(3, 0)).await.is_err());
    again.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_that_are_off_bend_no_age() {
    for off in [SignedDuration::from_hours(3), SignedDuration::from_hours(-3)] {
        let (folder, server) = (folder(), ApiServer::start());
        server.set_clock_off(off);
        let began = Timestamp::now();
        let mut ahead = node("a", "True");
        ahead["status"]["conditions"][1]["lastTransitionTime"] = json!("2046-01-01T00:00:00Z");
        server.put(ahead);
        server.put(event("e", "a", "NodeNotReady", "node-controller"));
        let watched = watched(&folder, &server).await;
        heard(&watched, "a", "present", "Ready").await;
        let now = Timestamp::now();
        let seen = watched.component(CLUSTER, "a", Component::NodeObject).expect("told");
        let observed = seen.observed_at.expect("observed");
        assert!(observed >= began && observed <= now, "{observed}");
        let object = watched.object(CLUSTER, "a").expect("said");
        assert!(object.events.iter().all(|event| event.at <= now), "{:?}", object.events);
        assert_eq!(object.condition("Ready").expect("Ready").since, None, "it is to come");
        watched.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_may_not_speak_for_the_api_server() {
    let (folder, server) = (folder(), ApiServer::start());
    let held = server.put(node("a", "False"));
    let watched = watched(&folder, &server).await;
    heard(&watched, "a", "present", "not Ready").await;
    let uid = held["metadata"]["uid"].as_str().unwrap().to_owned();
    let agent = Peer { cluster: CLUSTER.to_owned(), node: "a".to_owned(), uid };
    let mut lie = report(5, 0);
    lie.components.push(component(&ComponentState::NodeObject(State::Absent)));
    watched.report(&agent, lie).await.expect("the rest is taken");
    heard(&watched, "a", "present", "not Ready").await;
    let answer = watched.answer(CLUSTER, "a").expect("a node");
    assert!(answer.last_report_at.is_some(), "its life goes on");
    // What a report does not name is lost; this is not the agent's to lose.
    watched.report(&agent, report(6, 0)).await.expect("a report");
    heard(&watched, "a", "present", "not Ready").await;
    let text = watched.metrics.text().expect("metrics");
    assert!(text.contains("nodeward_components_refused_total 1"), "{text}");
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_agent_s_first_report_loses_nothing_of_what_was_said() {
    let (folder, server) = (folder(), ApiServer::start());
    server.put(node("a", "False"));
    let first = watched(&folder, &server).await;
    heard(&first, "a", "present", "not Ready").await;
    let since = |watched: &Watched| {
        let answer = watched.answer(CLUSTER, "a").expect("a node");
        let own = answer.findings.iter().filter(|one| one.component == Component::NodeObject);
        // The store keeps microseconds.
        own.map(|one| one.since.as_microsecond()).min()
    };
    let before = since(&first);
    // A UID of our own making, as on loopback.
    let plain = Peer {
        cluster: CLUSTER.to_owned(),
        node: "a".to_owned(),
        uid: "0123456789abcdef0123456789abcdef".to_owned(),
    };
    first.report(&plain, report(5, 0)).await.expect("a report");
    heard(&first, "a", "present", "not Ready").await;
    assert_eq!(since(&first), before);
    first.report(&plain, report(6, 0)).await.expect("it has not ended");
    first.end().await;
    let again = Watched::load(folder.path()).await;
    heard(&again, "a", "present", "not Ready").await;
    assert_eq!(since(&again), before);
    again.report(&plain, report(7, 0)).await.expect("nor by a restart");
    again.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_asked_any_more_is_not_shown_as_if_it_were() {
    let (folder, server) = (folder(), ApiServer::start());
    server.put(node("a", "True"));
    let first = watched(&folder, &server).await;
    heard(&first, "a", "present", "Ready").await;
    first.end().await;
    let again = Watched::load(folder.path()).await;
    heard(&again, "a", "present", "Ready").await;
    let asked = BTreeSet::from(["another".to_owned()]);
    let now = Timestamp::now();
    again.fleet.nobody_asks(&again.store, &asked, now).await.expect("committed");
    heard(&again, "a", "not_applicable", "not asked any more").await;
    again.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_long_gone_is_forgotten() {
    let (folder, server) = (folder(), ApiServer::start());
    server.put(node("a", "True"));
    server.put(node("b", "True"));
    let watched = watched(&folder, &server).await;
    heard(&watched, "b", "present", "Ready").await;
    server.remove("Node", "", "a");
    heard(&watched, "a", "absent", "").await;
    let days = |days: i64| Timestamp::now() + SignedDuration::from_hours(24 * days);
    watched.fleet.forget_gone(days(6));
    assert!(watched.answer(CLUSTER, "a").is_some(), "it is shown as gone");
    // Whoever is visiting it keeps it for that moment.
    until("it is forgotten", || {
        watched.fleet.forget_gone(days(8));
        watched.answer(CLUSTER, "a").is_none().then_some(())
    })
    .await;
    assert!(watched.answer(CLUSTER, "b").is_some());
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_odd_node_costs_itself_alone() {
    let (folder, server) = (folder(), ApiServer::start());
    server.put(node("a", "True"));
    let mut odd = node("odd", "True");
    odd["status"]["conditions"] = json!({ "not": "a list" });
    server.put(odd);
    let watched = watched(&folder, &server).await;
    heard(&watched, "a", "present", "Ready").await;
    let mut odd = node("a", "True");
    odd["status"]["nodeInfo"] = json!("not an object");
    server.put(odd);
    heard(&watched, "a", "unavailable", "it is not of its kind").await;
    server.put(node("a", "True"));
    heard(&watched, "a", "present", "Ready").await;
    let mut odd = node("a", "True");
    odd["spec"] = json!("not an object");
    server.put(odd);
    heard(&watched, "a", "unavailable", "it is not of its kind").await;
    server.put(node("a", "True"));
    server.put(node("odd", "True"));
    heard(&watched, "a", "present", "Ready").await;
    heard(&watched, "odd", "present", "Ready").await;
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_nodes_are_listed_and_followed() {
    const NODES_HELD: usize = 5000;
    let (folder, server) = (folder(), ApiServer::start());
    for n in 0..NODES_HELD {
        server.put(node(&format!("n-{n:04}"), if n % 100 == 0 { "False" } else { "True" }));
    }
    server.compact();
    let patient = nodeward_aggregator::cluster::Limits {
        page: 500,
        idle: Duration::from_secs(20),
        silence: SignedDuration::from_mins(5),
        repeat: Duration::from_secs(5),
        ..limits()
    };
    let mut watched = Watched::load(folder.path()).await;
    server.bookmark_every(Duration::from_millis(500));
    watched.watch_as(CLUSTER, &server, ADMIN_TOKEN, patient).await;
    let count = |watched: &Watched| watched.fleet.node_objects(CLUSTER).len();
    until("every node", || (count(&watched) == NODES_HELD).then_some(())).await;
    until("the sums", || {
        let truth = &watched.cluster(CLUSTER)?.truth;
        ((truth.nodes, truth.ready) == (NODES_HELD, NODES_HELD - 50)).then_some(())
    })
    .await;
    server.put(node("n-4999", "Unknown"));
    heard(&watched, "n-4999", "present", "Ready is unknown").await;
    server.remove("Node", "", "n-0000");
    heard(&watched, "n-0000", "absent", "").await;
    assert_eq!(lists(&server, NODES), 1);
    watched.end().await;
}
