//! The stand-in for the API server, held against what real clients make of it, and against
//! what a real API server answered.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod clients {
    use std::time::Duration;

    use jiff::SignedDuration;
    use jsonwebtoken::Algorithm;
    use k8s_openapi::api::core::v1::{Node, Pod};
    use kube::api::{ListParams, PostParams};
    use kube::core::PartialObjectMeta;
    use kube::runtime::watcher::{self, Event, watcher};
    use kube::{Api, Client, Config};
    use nodeward_tests::api_server::tokens::Token;
    use nodeward_tests::api_server::{ADMIN_TOKEN, ApiServer, Fault};
    use serde_json::{Value, json};
    use tokio_stream::StreamExt as _;

    const AGENT: &str = "system:serviceaccount:nodeward:nodeward-agent";

    async fn client(server: &ApiServer, token: &str) -> Client {
        let kubeconfig = kube::config::Kubeconfig::read_from(server.kubeconfig(token));
        let kubeconfig = kubeconfig.expect("a kubeconfig");
        let config = Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await;
        Client::try_from(config.expect("a configuration")).expect("a client")
    }

    fn node(name: &str) -> Value {
        json!({ "kind": "Node", "metadata": { "name": name }, "spec": {} })
    }

    fn pod(name: &str, node: &str) -> Value {
        json!({
            "kind": "Pod",
            "metadata": { "name": name, "namespace": "nodeward" },
            "spec": { "nodeName": node, "containers": [{ "name": "send", "image": "i" }] },
        })
    }

    fn refused<T: std::fmt::Debug>(answer: kube::Result<T>) -> (u16, String, String) {
        match answer.expect_err("refused") {
            kube::Error::Api(status) => {
                (status.code, status.reason.clone(), status.message.clone())
            }
            other => panic!("not the API's own form: {other}"),
        }
    }

    #[tokio::test]
    async fn refusals_have_the_api_s_own_form() {
        let server = ApiServer::start();
        let stranger = client(&server, "of-nobody").await;
        let answer = Api::<Node>::all(stranger).list(&ListParams::default()).await;
        assert_eq!(refused(answer), (401, "Unauthorized".to_owned(), "Unauthorized".to_owned()));

        server.put(node("a"));
        server.put(pod("agent-a", "a"));
        let audience = server.url();
        let token = server.token(&Token::of("nodeward:nodeward-agent", "agent-a", &audience));
        let agent = client(&server, &token).await;
        let (code, reason, message) =
            refused(Api::<Node>::all(agent.clone()).list(&ListParams::default()).await);
        assert_eq!((code, reason.as_str()), (403, "Forbidden"));
        assert_eq!(
            message,
            format!(
                "nodes is forbidden: User \"{AGENT}\" cannot list resource \"nodes\" in API \
                 group \"\" at the cluster scope"
            )
        );
        server.allow(AGENT, "get", "nodes");
        assert!(Api::<Node>::all(agent.clone()).get("a").await.is_ok());
        let (code, reason, message) = refused(Api::<Node>::all(agent).get("b").await);
        assert_eq!((code, reason.as_str()), (404, "NotFound"));
        assert_eq!(message, "nodes \"b\" not found");
    }

    #[tokio::test]
    async fn it_can_be_throttled_slow_and_gone() {
        let server = ApiServer::start();
        server.put(node("a"));
        let admin = client(&server, ADMIN_TOKEN).await;
        let nodes = Api::<Node>::all(admin);
        server.break_path("/api/v1/nodes", Fault::Fails, 1);
        let (code, reason, _) = refused(nodes.get("a").await);
        assert_eq!((code, reason.as_str()), (500, "InternalError"));
        server.break_path("/api/v1/nodes", Fault::TooManyRequests { retry_after_seconds: 1 }, 1);
        match nodes.get("a").await {
            // A client may come again by itself.
            Ok(_) => assert!(server.asked().len() >= 3),
            refusal => assert_eq!(refused(refusal).0, 429),
        }
        server.mend();
        server.break_path("/api/v1/nodes", Fault::Hang, 1);
        let hung = tokio::time::timeout(Duration::from_millis(300), nodes.get("a")).await;
        assert!(hung.is_err());
        server.go_away();
        assert!(nodes.get("a").await.is_err());
        server.mend();
        assert!(nodes.get("a").await.is_ok());
    }

    #[tokio::test]
    async fn lists_come_in_pages_and_a_page_of_what_is_compacted_is_gone() {
        let server = ApiServer::start();
        for name in ["a", "b", "c"] {
            server.put(node(name));
        }
        let nodes = Api::<Node>::all(client(&server, ADMIN_TOKEN).await);
        let page = nodes.list(&ListParams::default().limit(2)).await.expect("a page");
        assert_eq!((page.items.len(), page.metadata.remaining_item_count), (2, Some(1)));
        let token = page.metadata.continue_.expect("more");
        let next = ListParams::default().limit(2).continue_token(&token);
        let names = nodes.list(&next).await.expect("the rest").items;
        assert_eq!(names.len(), 1);
        assert_eq!(names[0].metadata.name.as_deref(), Some("c"));
        server.put(node("d"));
        server.compact();
        let (code, reason, _) = refused(nodes.list(&next).await);
        assert_eq!((code, reason.as_str()), (410, "Expired"));
    }

    #[tokio::test]
    async fn a_watcher_follows_and_survives_a_compaction() {
        let server = ApiServer::start();
        server.bookmark_every(Duration::from_millis(50));
        server.put(pod("one", "a"));
        server.put(pod("two", "b"));
        let pods = Api::<Pod>::all(client(&server, ADMIN_TOKEN).await);
        let selected = watcher::Config::default().fields("spec.nodeName=a");
        let mut events = Box::pin(watcher(pods, selected));
        let mut next = async || {
            loop {
                let event = tokio::time::timeout(Duration::from_secs(10), events.next()).await;
                match event.expect("in time").expect("it never ends") {
                    Ok(Event::Apply(one) | Event::InitApply(one)) => {
                        return one.metadata.name.expect("a name");
                    }
                    Ok(Event::Delete(one)) => {
                        return format!("-{}", one.metadata.name.expect("a name"));
                    }
                    Ok(Event::Init) => return "init".to_owned(),
                    Ok(Event::InitDone) => return "done".to_owned(),
                    // Said once, then it begins anew.
                    Err(_) => {}
                }
            }
        };
        assert_eq!([next().await, next().await, next().await], ["init", "one", "done"]);
        server.put(pod("three", "a"));
        assert_eq!(next().await, "three");
        // It leaves what is watched.
        server.put(pod("three", "b"));
        assert_eq!(next().await, "-three");
        server.close_watches();
        server.remove("Pod", "nodeward", "one");
        assert_eq!(next().await, "-one");
        server.put(pod("four", "a"));
        assert_eq!(next().await, "four");
        server.compact();
        server.expire_watches();
        assert_eq!([next().await, next().await, next().await], ["init", "four", "done"]);
        let watches = server.asked().into_iter().filter(|one| one.path.contains("watch=true"));
        assert!(watches.count() >= 2);
    }

    #[tokio::test]
    async fn metadata_alone_can_be_asked_for() {
        let server = ApiServer::start();
        server.put(node("a"));
        let nodes = Api::<PartialObjectMeta<Node>>::all(client(&server, ADMIN_TOKEN).await);
        let listed = nodes.list_metadata(&ListParams::default()).await.expect("a list");
        assert_eq!(listed.items[0].metadata.name.as_deref(), Some("a"));
        assert!(listed.items[0].metadata.uid.is_some());
    }

    #[tokio::test]
    async fn a_review_tells_pod_and_node_and_refuses_with_reasons() {
        use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
        let server = ApiServer::start();
        let uid = server.put(node("a"))["metadata"]["uid"].as_str().expect("a UID").to_owned();
        server.put(pod("agent-a", "a"));
        let reviews = Api::<TokenReview>::all(client(&server, ADMIN_TOKEN).await);
        let review = async |token: String| {
            let spec = TokenReviewSpec {
                audiences: Some(vec!["nodeward".to_owned()]),
                token: Some(token),
            };
            let review = TokenReview { spec, ..TokenReview::default() };
            let answer = reviews.create(&PostParams::default(), &review).await.expect("an answer");
            answer.status.expect("a status")
        };
        let mut asked = Token::of("nodeward:nodeward-agent", "agent-a", "nodeward");
        for algorithm in [Algorithm::RS256, Algorithm::ES256] {
            asked.algorithm = algorithm;
            let status = review(server.token(&asked)).await;
            assert_eq!(status.authenticated, Some(true));
            let user = status.user.expect("a user");
            assert_eq!(user.username.as_deref(), Some(AGENT));
            let extra = user.extra.expect("extras");
            let told = |key: &str| extra[&format!("authentication.kubernetes.io/{key}")][0].clone();
            assert_eq!((told("node-name"), told("node-uid")), ("a".to_owned(), uid.clone()));
            assert_eq!(told("pod-name"), "agent-a");
        }
        let error = async |token: String| {
            let status = review(token).await;
            assert_eq!(status.authenticated, None);
            status.error.expect("a reason")
        };
        let good = server.token(&asked);
        let other = Token { audiences: vec!["vault".to_owned()], ..asked.clone() };
        assert!(error(server.token(&other)).await.contains("audiences"));
        let early = Token { from: SignedDuration::from_hours(1), ..asked.clone() };
        assert!(error(server.token(&early)).await.contains("not valid yet"));
        let late = Token { from: SignedDuration::from_hours(-1), ..asked.clone() };
        assert!(error(server.token(&late)).await.contains("expired"));
        assert!(
            error(ApiServer::start().sign(Algorithm::ES256, &server.claims(&asked)))
                .await
                .contains("invalid")
        );
        server.remove("Pod", "nodeward", "agent-a");
        assert!(error(good).await.contains("invalidated"));
    }
}

mod real_kubectl {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Child, Command, Output, Stdio};
    use std::sync::mpsc;
    use std::time::Duration;

    use nodeward_tests::api_server::tokens::Token;
    use nodeward_tests::api_server::{ADMIN_TOKEN, ApiServer};
    use nodeward_tests::programs::installed;
    use serde_json::{Value, json};

    fn kubectl(server: &ApiServer, token: &str, line: &str) -> Command {
        let mut command = Command::new(installed("kubectl"));
        command.arg("--kubeconfig").arg(server.kubeconfig(token)).args(line.split_whitespace());
        // What it keeps of discovery must not come from another test.
        command.arg("--cache-dir").arg(server.kubeconfig(token).with_extension("cache"));
        command
    }

    fn asked(server: &ApiServer, token: &str, line: &str) -> Output {
        kubectl(server, token, line).output().expect("kubectl runs")
    }

    fn out(output: &Output) -> String {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout.clone()).expect("UTF-8")
    }

    fn node(name: &str, ready: &str) -> Value {
        json!({
            "kind": "Node",
            "metadata": { "name": name },
            "spec": {},
            "status": {
                "conditions": [{ "type": "Ready", "status": ready }],
                "nodeInfo": { "kubeletVersion": "v1.34.9" },
            },
        })
    }

    /// A program that ends with the test.
    struct Running(Child);

    impl Drop for Running {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn nodes_are_watched() {
        let server = ApiServer::start();
        server.put(node("a", "True"));
        let mut command = kubectl(&server, ADMIN_TOKEN, "get nodes -w");
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut running = Running(child.expect("kubectl runs"));
        let (lines, seen) = mpsc::channel();
        let out = BufReader::new(running.0.stdout.take().expect("piped"));
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let _ = lines.send(line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
            }
        });
        let next = || seen.recv_timeout(Duration::from_secs(20)).expect("a line in time");
        assert_eq!(next(), ["NAME", "STATUS", "ROLES", "AGE", "VERSION"]);
        assert_eq!(next()[..2], ["a", "Ready"]);
        server.put(node("a", "Unknown"));
        assert_eq!(next()[..2], ["a", "NotReady"]);
        let mut cordoned = node("b", "True");
        cordoned["spec"]["unschedulable"] = json!(true);
        server.put(cordoned);
        assert_eq!(next()[..2], ["b", "Ready,SchedulingDisabled"]);
    }

    #[test]
    fn whoami_tells_the_service_account_its_pod_and_node() {
        let server = ApiServer::start();
        server.put(node("a", "True"));
        server.put(json!({
            "kind": "Pod",
            "metadata": { "name": "p", "namespace": "nodeward" },
            "spec": { "nodeName": "a" },
        }));
        let token = server.token(&Token::of("nodeward:nodeward-agent", "p", &server.url()));
        let told = out(&asked(&server, &token, "auth whoami -o json"));
        let told: Value = serde_json::from_str(&told).expect("JSON");
        let user = &told["status"]["userInfo"];
        assert_eq!(user["username"], "system:serviceaccount:nodeward:nodeward-agent");
        assert_eq!(user["extra"]["authentication.kubernetes.io/node-name"][0], "a");
        assert_eq!(user["extra"]["authentication.kubernetes.io/pod-name"][0], "p");
    }

    #[test]
    fn refusals_read_as_those_of_a_real_server() {
        let server = ApiServer::start();
        server.put(node("a", "True"));
        let said = |token: &str, line: &str| {
            let output = asked(&server, token, line);
            assert!(!output.status.success());
            String::from_utf8_lossy(&output.stderr).into_owned()
        };
        let missing = said(ADMIN_TOKEN, "get node b");
        assert_eq!(missing.trim(), "Error from server (NotFound): nodes \"b\" not found");
        let stranger = said("of-nobody", "get nodes");
        assert!(stranger.contains("Unauthorized") || stranger.contains("logged in"), "{stranger}");
        let pdbs = out(&asked(&server, ADMIN_TOKEN, "get pdb,ns,leases -A -o name"));
        assert_eq!(pdbs, "");
    }
}

mod corpus {
    use std::path::PathBuf;
    use std::process::Command;

    use jiff::{SignedDuration, Timestamp};
    use nodeward_tests::api_server::{ADMIN_TOKEN, ApiServer};
    use nodeward_tests::programs::installed;
    use serde_json::Value;

    const SCENARIOS: [&str; 3] = ["healthy", "containerd-killed-50s", "kubelet-killed-60s"];

    fn captures() -> Option<PathBuf> {
        let corpus = std::env::var_os("NODEWARD_CORPUS")?;
        Some(PathBuf::from(corpus).join("captures"))
    }

    fn kubectl(server: &ApiServer, line: &str) -> String {
        let output = Command::new(installed("kubectl"))
            .arg("--kubeconfig")
            .arg(server.kubeconfig(ADMIN_TOKEN))
            .args(line.split_whitespace())
            .output()
            .expect("kubectl runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// What was captured from a real API server, held by the stand-in, comes out of kubectl as
    /// it came then.
    #[test]
    fn what_was_captured_comes_out_as_it_came() {
        let Some(captures) = captures() else {
            println!("left out: NODEWARD_CORPUS names no folder of recordings");
            return;
        };
        for scenario in SCENARIOS {
            let read = |file: &str| {
                std::fs::read_to_string(captures.join(scenario).join(file)).expect("a capture")
            };
            let json = |file: &str| serde_json::from_str::<Value>(&read(file)).expect("JSON");
            let server = ApiServer::start();
            for (file, line) in [
                ("node.json", "get nodes -o json"),
                ("lease.json", "get leases -n kube-node-lease -o json"),
                ("events.json", "get events -A -o json"),
            ] {
                server.put_captured(&json(file));
                let by_name = |list: &Value| {
                    let mut items = list["items"].as_array().expect("a list").clone();
                    items.sort_by_key(|one| one["metadata"]["name"].to_string());
                    items
                };
                let ours: Value = serde_json::from_str(&kubectl(&server, line)).expect("JSON");
                assert_eq!(by_name(&ours), by_name(&json(file)), "{scenario}/{file}");
            }
            // Ages are counted by the server: its clock stands where that of the capture stood.
            let events = read("events.txt");
            let mut rows_of =
                events.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
            // An age that has seconds says it to the second.
            let columns = rows_of.rfind(|row| row[1].ends_with('s')).expect("a young one");
            let about = |one: &&Value| {
                one["reason"] == *columns[3]
                    && one["metadata"]["namespace"] == *columns[0]
                    && one["message"].as_str().is_some_and(|text| {
                        text.split_whitespace().eq(columns[5..].iter().copied())
                    })
            };
            let list = json("events.json");
            let all = list["items"].as_array().expect("a list");
            let seen = all.iter().rfind(about).expect("it is among them")["lastTimestamp"].clone();
            let seen: Timestamp = seen.as_str().expect("text").parse().expect("an instant");
            let age: SignedDuration = columns[1].parse().expect("a duration");
            server.stop_clock_at(seen + age);
            let rows = |text: &str| {
                let mut rows: Vec<Vec<String>> = text
                    .lines()
                    .map(|line| line.split_whitespace().map(str::to_owned).collect())
                    .collect();
                rows.sort();
                rows
            };
            // What was captured was cut to the last of them.
            let ours = rows(&kubectl(&server, "get events -A --no-headers"));
            let theirs = rows(&events);
            assert!(!theirs.is_empty());
            for row in &theirs {
                assert!(ours.contains(row), "{scenario}: {row:?} is not among {ours:#?}");
            }
        }
    }
}
