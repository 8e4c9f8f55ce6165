//! What the watch of a big cluster costs the aggregator: 5,000 nodes and 150,000 pods, ten of
//! each node's thirty in `kube-system`, at the stand-in for an API server; beside the reflector
//! of kube-rs over whole `Node` and `Pod` objects, at the same server in the same run.
//! NODEWARD_BENCH_NODES says how many nodes, 5,000 by default.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::runtime::{WatchStreamExt as _, reflector, watcher};
use kube::{Api, Client, Config};
use nodeward_domain::component::Component;
use nodeward_tests::api_server::{ADMIN_TOKEN, ApiServer};
use nodeward_tests::bench::{Usage, mib};
use nodeward_tests::service::{Aggregator, Program};
use nodeward_tests::watched::{budget, event, node, pod};
use serde_json::{Value, json};
use tokio_stream::StreamExt as _;

/// Pods on each node, and how many of them are the cluster's own.
const PODS: usize = 30;
const SYSTEM_PODS: usize = 10;

/// Names the kubeconfig for the peer, which is this program once more.
const PEER: &str = "NODEWARD_BENCH_WATCH_PEER";

/// What is observed again every minute is in the figure.
const STEADY: Duration = Duration::from_secs(90);

/// Whoever has not listed everything by then never will.
const LIMIT: Duration = Duration::from_secs(900);

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match std::env::var(PEER) {
        Ok(kubeconfig) => runtime.block_on(reflect(&kubeconfig)),
        Err(_) => runtime.block_on(measure()),
    }
}

async fn measure() {
    let nodes = std::env::var("NODEWARD_BENCH_NODES").ok().and_then(|text| text.parse().ok());
    let nodes: usize = nodes.unwrap_or(5000);
    let server = ApiServer::start();
    let bytes = fill(&server, nodes);
    server.bookmark_every(Duration::from_secs(60));
    println!(
        "{nodes} nodes and {} pods, {:.0} MiB of JSON",
        nodes * PODS,
        mib(u64::try_from(bytes).expect("a size"))
    );
    let folder = tempfile::tempdir().expect("a folder");
    let clusters = [format!("big={}", server.kubeconfig(ADMIN_TOKEN).display())];
    let empty = Aggregator::start(&folder.path().join("empty.db"));
    let before = Usage::of(empty.program.pid());
    empty.program.kill();
    let began = Instant::now();
    let aggregator = Aggregator::start_watching(&folder.path().join("store.db"), &clusters);
    let pid = aggregator.program.pid();
    listed(&server, 4).await;
    let lists = began.elapsed();
    let last = name(nodes - 1);
    let is_told = |component: Component| {
        move |answer: &nodeward_domain::answer::NodeAnswer| {
            let told = answer.components.iter().find(|one| one.component == component);
            told.is_some_and(|one| one.state == "present")
        }
    };
    let object = is_told(Component::NodeObject);
    aggregator.answer_within(LIMIT, &last, "the last node", object).await;
    let pods = is_told(Component::SystemPods);
    aggregator.answer_within(LIMIT, &last, "its pods", pods).await;
    let synced = began.elapsed();
    let first = Usage::of(pid);
    tokio::time::sleep(STEADY).await;
    let steady = Usage::of(pid);
    println!(
        "  aggregator: everything listed after {:.1} s, committed after {:.1} s, {:.1} s of processor",
        lists.as_secs_f64(),
        synced.as_secs_f64(),
        first.cpu.as_secs_f64()
    );
    println!(
        "    PSS {:.1} MiB then, {:.1} MiB {} s later (resident {:.1}, peak {:.1}); without a watch {:.1}; goal 120 MiB for the watch",
        mib(first.pss_bytes),
        mib(steady.pss_bytes),
        STEADY.as_secs(),
        mib(steady.resident_bytes),
        mib(steady.peak_bytes),
        mib(before.pss_bytes),
    );
    println!(
        "    at rest {:.3} % of a core ({:.2} s of {} s)",
        100.0 * (steady.cpu - first.cpu).as_secs_f64() / STEADY.as_secs_f64(),
        (steady.cpu - first.cpu).as_secs_f64(),
        STEADY.as_secs()
    );
    // Every node's kubelet has posted once more.
    for n in 0..nodes {
        let mut beat = full_node(n);
        beat["status"]["conditions"][0]["lastHeartbeatTime"] = json!("2026-11-24T12:05:00Z");
        server.put(beat);
        if n % 100 == 99 {
            // Five minutes of a real cluster, in a tenth of that.
            tokio::time::sleep(Duration::from_millis(600)).await;
        }
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let beaten = Usage::of(pid);
    println!(
        "    {nodes} heartbeats of nodes: {:.2} s of processor, PSS {:.1} MiB",
        (beaten.cpu - steady.cpu).as_secs_f64(),
        mib(beaten.pss_bytes)
    );
    aggregator.program.kill();
    peer(&server).await;
}

/// kube-rs' reflector, in a process of its own.
async fn peer(server: &ApiServer) {
    let asked = server.asked().len();
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.env(PEER, server.kubeconfig(ADMIN_TOKEN)).stdout(Stdio::null());
    let began = Instant::now();
    let program = Program::start(&mut command);
    let began_watches = |server: &ApiServer| {
        let since = server.asked().split_off(asked);
        since.iter().filter(|one| one.path.contains("watch=")).count()
    };
    while began_watches(server) < 2 {
        assert!(began.elapsed() < LIMIT, "the peer has not listed everything");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let listed = began.elapsed();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let usage = Usage::of(program.pid());
    println!(
        "  kube-rs reflector of whole objects: listed after {:.1} s, PSS {:.1} MiB (peak {:.1}), {:.1} s of processor",
        listed.as_secs_f64(),
        mib(usage.pss_bytes),
        mib(usage.peak_bytes),
        usage.cpu.as_secs_f64()
    );
}

async fn reflect(kubeconfig: &str) {
    let kubeconfig = kube::config::Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
    let config = Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await;
    let client = Client::try_from(config.expect("a configuration")).expect("a client");
    let (pods, of_pods) = reflector::store::<Pod>();
    let (nodes, of_nodes) = reflector::store::<Node>();
    let page = || watcher::Config::default().page_size(500);
    let pod_watch = watcher(Api::<Pod>::all(client.clone()), page());
    let node_watch = watcher(Api::<Node>::all(client), page());
    let mut pod_watch = std::pin::pin!(pod_watch.default_backoff().reflect(of_pods));
    let mut node_watch = std::pin::pin!(node_watch.default_backoff().reflect(of_nodes));
    loop {
        let ended = tokio::select! {
            event = pod_watch.next() => event.is_none(),
            event = node_watch.next() => event.is_none(),
        };
        assert!(!ended, "a watch has ended");
        std::hint::black_box((pods.len(), nodes.len()));
    }
}

/// Waits until so many watches were begun, each after its list.
async fn listed(server: &ApiServer, watches: usize) {
    let began = Instant::now();
    loop {
        let asked = server.asked();
        if asked.iter().filter(|one| one.path.contains("watch=")).count() >= watches {
            return;
        }
        assert!(began.elapsed() < LIMIT, "not everything was listed: {asked:#?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn name(node: usize) -> String {
    format!("aks-apps-12345678-vmss{node:06}")
}

/// Fills the server. Returns how many bytes of JSON its objects are.
fn fill(server: &ApiServer, nodes: usize) -> usize {
    let mut bytes = 0;
    let mut put = |object: Value| {
        bytes += object.to_string().len();
        server.put(object);
    };
    for n in 0..nodes {
        put(full_node(n));
        for p in 0..PODS {
            put(full_pod(n, p));
        }
        if n % 100 == 0 {
            server.compact();
        }
    }
    for n in 0..200 {
        put(budget(&format!("team-{n:03}"), "web", &format!("web-{n}")));
    }
    for n in 0..500 {
        put(event(&format!("e-{n}"), &name(n % nodes), "NodeHasSufficientMemory", "kubelet"));
    }
    server.compact();
    bytes
}

/// A node of the size that a real one has: 30 labels, 20 conditions.
fn full_node(n: usize) -> Value {
    let mut object = node(&name(n), "True");
    for label in 0..28 {
        let key = format!("kubernetes.azure.com/label-number-{label:02}");
        object["metadata"]["labels"][key] = json!(format!("value-of-{}", label * (n % 7)));
    }
    object["metadata"]["annotations"] = json!({
        "kubernetes.azure.com/live-patching-golden-timestamp": "20261101T000000Z",
        "kubernetes.azure.com/live-patching-current-timestamp": "20261101T000000Z",
        "csi.volume.kubernetes.io/nodeid": "{\"disk.csi.azure.com\":\"x\",\"file.csi.azure.com\":\"x\"}",
    });
    let condition = object["status"]["conditions"][0].clone();
    let conditions = object["status"]["conditions"].as_array_mut().expect("a list");
    for more in 0..18 {
        let mut one = condition.clone();
        one["type"] = json!(format!("Problem{more:02}OfTheNode"));
        conditions.push(one);
    }
    let images = (0..50).map(|image| {
        let digest = "0123456789abcdef".repeat(4);
        let repository = format!("mcr.microsoft.com/oss/kubernetes/image-{image}");
        json!({
            "names": [format!("{repository}@sha256:{digest}"), format!("{repository}:v1.2.3")],
            "sizeBytes": 12_345_678,
        })
    });
    object["status"]["images"] = images.collect();
    object
}

/// A pod of the size that a real one has, some 5 KB.
fn full_pod(n: usize, p: usize) -> Value {
    let is_system = p < SYSTEM_PODS;
    let (namespace, app) = if is_system {
        ("kube-system".to_owned(), format!("system-component-{p}"))
    } else {
        let team = (n * PODS + p) % 400;
        (format!("team-{team:03}"), format!("web-{team}"))
    };
    let mut object = pod(&namespace, &format!("{app}-{n:04}-{p:02}abc"), &name(n), &app);
    object["metadata"]["labels"]["pod-template-hash"] = json!(format!("{:08x}", n % 20));
    object["metadata"]["labels"]["app.kubernetes.io/version"] = json!("1.2.3");
    object["metadata"]["annotations"] = json!({ "checksum/config": "a".repeat(64) });
    let variables: Vec<Value> = (0..15)
        .map(|n| json!({ "name": format!("VARIABLE_{n}"), "value": format!("value-{n}") }))
        .collect();
    object["spec"]["containers"] = json!([{
        "name": app, "image": "registry.example.org/team/web:1.2.3", "env": variables,
        "resources": { "limits": { "cpu": "1", "memory": "1Gi" } },
        "livenessProbe": { "httpGet": { "path": "/healthz", "port": 8080 }, "periodSeconds": 10 },
        "volumeMounts": [{ "name": "kube-api-access", "readOnly": true,
                           "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount" }],
    }]);
    object["spec"]["tolerations"] = json!([
        { "key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute" },
        { "key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute" },
    ]);
    let manager = json!({
        "manager": "kube-controller-manager", "operation": "Update", "apiVersion": "v1",
        "time": "2026-11-24T10:00:00Z", "fieldsType": "FieldsV1",
        "fieldsV1": { "f:metadata": { "f:labels": { ".": {}, "f:app": {} } },
                      "f:spec": { "f:containers": { "k:{\"name\":\"web\"}": { ".": {} } } } },
    });
    object["metadata"]["managedFields"] = json!([manager, manager]);
    object
}
