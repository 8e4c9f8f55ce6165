//! The manifests, as kubectl renders them: what they promise about the pod, and that
//! the programs take the arguments that they give.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod real_kubectl {
    use std::process::Command;

    use clap::Parser as _;
    use nodeward_agent::config::{Arguments, Command as AgentCommand};
    use nodeward_aggregator::config::{
        Arguments as AggregatorArguments, Command as AggregatorCommand,
    };
    use nodeward_tests::image::Profile;
    use nodeward_tests::programs::installed;
    use nodeward_tests::project;
    use serde::Deserialize as _;
    use serde_json::Value;

    /// Every object of a kustomization.
    fn rendered(folder: &str) -> Vec<Value> {
        let output = Command::new(installed("kubectl"))
            .arg("kustomize")
            .arg(project::root().join(folder))
            .output()
            .expect("kubectl runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_yaml_ng::Deserializer::from_slice(&output.stdout)
            .map(|document| Value::deserialize(document).expect("YAML"))
            .collect()
    }

    /// Every way in which the manifests run the agent.
    const WAYS: [&str; 7] = [
        "manifests/base",
        "manifests/overlays/cluster-watch",
        "manifests/overlays/enrol",
        "manifests/overlays/kubelet-token",
        "manifests/overlays/minimal",
        "manifests/overlays/privileged",
        "manifests/overlays/relay",
    ];

    fn pod_of(folder: &str) -> Value {
        let all = rendered(folder);
        let daemonset = all.iter().find(|one| one["kind"] == "DaemonSet").expect("a DaemonSet");
        daemonset["spec"]["template"]["spec"].clone()
    }

    fn container(pod: &Value, name: &str) -> Value {
        containers(pod).into_iter().find(|one| one["name"] == name).expect("a container")
    }

    fn pod() -> Value {
        let all = rendered("manifests/base");
        let kinds: Vec<&str> = all.iter().filter_map(|one| one["kind"].as_str()).collect();
        assert_eq!(kinds, ["Namespace", "ServiceAccount", "DaemonSet"]);
        for one in &all[1..] {
            assert_eq!(one["metadata"]["namespace"], "nodeward");
        }
        all[2]["spec"]["template"]["spec"].clone()
    }

    fn containers(pod: &Value) -> Vec<Value> {
        pod["containers"].as_array().expect("containers").clone()
    }

    #[test]
    fn no_container_can_gain_rights_or_write_its_own_files() {
        let pod = pod();
        assert_eq!(pod["automountServiceAccountToken"], false);
        for container in containers(&pod) {
            let name = &container["name"];
            let security = &container["securityContext"];
            assert_eq!(security["allowPrivilegeEscalation"], false, "{name}");
            assert_eq!(security["readOnlyRootFilesystem"], true, "{name}");
            assert_eq!(security["capabilities"]["drop"][0], "ALL", "{name}");
            assert_eq!(security["privileged"], Value::Null, "{name}");
        }
    }

    #[test]
    fn only_collect_sees_the_node_and_cannot_write_it() {
        let containers = containers(&pod());
        let mount = |name: &str, volume: &str| {
            let container = containers.iter().find(|one| one["name"] == name).expect("a container");
            let mounts = container["volumeMounts"].as_array().expect("mounts");
            mounts.iter().find(|mount| mount["name"] == volume).cloned()
        };
        let host = mount("collect", "host").expect("the node's root");
        assert_eq!(host["readOnly"], true);
        assert_eq!(host["recursiveReadOnly"], "IfPossible");
        // The API server refuses the two together.
        assert_eq!(host["mountPropagation"], Value::Null);
        assert_eq!(mount("send", "host"), None);
        let send = containers.iter().find(|one| one["name"] == "send").expect("send");
        assert_eq!(send["securityContext"]["runAsNonRoot"], true);
        assert_eq!(send["securityContext"]["capabilities"]["add"], Value::Null);
        for name in ["collect", "send"] {
            assert!(mount(name, "rounds").is_some(), "{name} shares the socket's folder");
        }
    }

    #[test]
    fn the_agent_takes_the_arguments_that_the_pod_gives() {
        for folder in WAYS {
            takes_the_arguments_of(folder);
        }
    }

    fn takes_the_arguments_of(folder: &str) {
        let mut sockets = Vec::new();
        for container in containers(&pod_of(folder)) {
            let arguments = container["args"].as_array().expect("arguments");
            let line = std::iter::once("nodeward-agent")
                .chain(arguments.iter().map(|one| one.as_str().expect("text")));
            let parsed = Arguments::try_parse_from(line).expect("arguments of the agent");
            let (AgentCommand::Collect { config } | AgentCommand::Send { config }) = parsed.command
            else {
                panic!("a pod runs collect and send")
            };
            sockets.push(config.socket().expect("a socket").to_owned());
            config.interval().expect("an interval");
            // Over https its files are looked for, which are not here.
            if container["name"] == "send" && config.tls_ca.is_none() {
                config.destination().expect("an aggregator");
            }
        }
        assert_eq!(sockets.len(), 2);
        assert_eq!(sockets[0], sockets[1]);
    }

    #[test]
    fn the_token_for_the_kubelet_is_of_collect_alone_and_opens_three_things() {
        let all = rendered("manifests/overlays/kubelet-token");
        let of_kind = |kind: &str| all.iter().find(|one| one["kind"] == kind).expect("it is there");
        let role = of_kind("ClusterRole");
        let rules = serde_json::json!([{
            "apiGroups": [""],
            "resources": ["nodes/healthz", "nodes/configz", "nodes/metrics"],
            "verbs": ["get"],
        }]);
        assert_eq!(role["rules"], rules);
        let binding = of_kind("ClusterRoleBinding");
        assert_eq!(binding["roleRef"]["name"], role["metadata"]["name"]);
        let account = of_kind("ServiceAccount");
        let pod = pod_of("manifests/overlays/kubelet-token");
        assert_eq!(pod["serviceAccountName"], account["metadata"]["name"]);
        let subject = &binding["subjects"][0];
        for key in ["name", "namespace"] {
            assert_eq!(subject[key], account["metadata"][key]);
        }
        assert_eq!(pod["automountServiceAccountToken"], false);

        let mount = |name: &str| {
            let container = container(&pod, name);
            let mounts = container["volumeMounts"].as_array().expect("mounts");
            mounts.iter().find(|mount| mount["name"] == "kubelet-token").cloned()
        };
        assert_eq!(mount("send"), None);
        let mount = mount("collect").expect("the token");
        assert_eq!(mount["readOnly"], true);
        let volumes = pod["volumes"].as_array().expect("volumes");
        let volume = volumes.iter().find(|one| one["name"] == "kubelet-token").expect("its volume");
        let source = &volume["projected"]["sources"][0]["serviceAccountToken"];
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let path = format!("{}/{}", text(&mount["mountPath"]), text(&source["path"]));
        let flag = Value::String(format!("--kubelet-token-file={path}"));
        let takes = |name: &str| {
            container(&pod, name)["args"].as_array().expect("arguments").contains(&flag)
        };
        assert!(takes("collect"));
        assert!(!takes("send"));
    }

    /// Where a volume of a container is mounted.
    fn mounted(container: &Value, volume: &str) -> Option<String> {
        let mounts = container["volumeMounts"].as_array().expect("mounts");
        let mount = mounts.iter().find(|mount| mount["name"] == volume)?;
        assert_eq!(mount["readOnly"], true);
        Some(mount["mountPath"].as_str().expect("text").to_owned())
    }

    #[test]
    fn send_alone_enrols_with_a_token_that_is_for_the_aggregator_alone() {
        let all = rendered("manifests/overlays/enrol");
        let pod = pod_of("manifests/overlays/enrol");
        assert_eq!(mounted(&container(&pod, "collect"), "aggregator-token"), None);
        let send = container(&pod, "send");
        let folder = mounted(&send, "aggregator-token").expect("the token");
        let volumes = pod["volumes"].as_array().expect("volumes");
        let volume = volumes.iter().find(|one| one["name"] == "aggregator-token").expect("it");
        let source = &volume["projected"]["sources"][0]["serviceAccountToken"];
        assert_eq!(
            (&source["audience"], &source["expirationSeconds"]),
            (&"nodeward".into(), &600.into())
        );
        let flag = format!("--token-file={folder}/{}", source["path"].as_str().expect("a path"));
        let arguments = send["args"].as_array().expect("arguments");
        assert!(arguments.contains(&Value::String(flag)), "{arguments:?}");
        let names: Vec<_> = send["env"].as_array().expect("variables").iter().collect();
        assert!(names.iter().all(|one| one["name"] != "NODEWARD_NODE_NAME"), "claims nothing");
        // The service is where the agent goes.
        let of_kind = |kind: &str| all.iter().find(|one| one["kind"] == kind).expect("it is there");
        let service = of_kind("Service");
        let port = &service["spec"]["ports"][0];
        assert_eq!(port["name"], "grpc-tls");
        let url = format!(
            "--aggregator=https://{}.{}.svc:{}",
            service["metadata"]["name"].as_str().expect("a name"),
            service["metadata"]["namespace"].as_str().expect("a namespace"),
            port["port"],
        );
        assert!(arguments.contains(&Value::String(url)), "{arguments:?}");
    }

    /// What a workload is told, and that what it is told lies in volumes of its own; with the
    /// rights that enrolment needs and no more.
    fn enrols(folder: &str, workload: &str) -> AggregatorCommand {
        let all = rendered(folder);
        let of_kind = |kind: &str| all.iter().find(|one| one["kind"] == kind).expect("it is there");
        let set = of_kind(workload);
        let pod = &set["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        assert_eq!(container["image"], "nodeward-aggregator");
        let arguments = container["args"].as_array().expect("arguments");
        let line = std::iter::once("nodeward-aggregator")
            .chain(arguments.iter().map(|one| one.as_str().expect("text")));
        let parsed = AggregatorArguments::try_parse_from(line).expect("good arguments").command;
        let (config, shown) = match &parsed {
            AggregatorCommand::Serve { config } => ((**config).clone(), None),
            AggregatorCommand::Relay { config } => {
                (config.as_aggregator(), Some(config.way().expect("good")))
            }
        };
        let tls = config.tls().expect("good").expect("over TLS");
        let (authority, key, _) = config.enrol().expect("good").expect("agents enrol");
        let own = [("tls", tls.key), ("authority", authority), ("authority", key)];
        let relays = shown
            .into_iter()
            .flat_map(|way| [("relay", way.ca), ("relay", way.certificate), ("relay", way.key)]);
        for (volume, file) in own.into_iter().chain(relays) {
            let folder = mounted(container, volume).expect("mounted");
            assert!(file.starts_with(&folder), "{}", file.display());
        }
        let role = of_kind("ClusterRole");
        let rights = serde_json::json!([
            { "apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"] },
            { "apiGroups": [""], "resources": ["nodes"], "verbs": ["get"] },
        ]);
        assert_eq!(role["rules"], rights);
        let own = &of_kind("Role")["rules"];
        let pods =
            serde_json::json!([{ "apiGroups": [""], "resources": ["pods"], "verbs": ["get"] }]);
        assert_eq!(*own, pods);
        assert_eq!(pod["automountServiceAccountToken"], false);
        for kind in ["ClusterRoleBinding", "RoleBinding"] {
            assert_eq!(of_kind(kind)["subjects"][0]["name"], pod["serviceAccountName"]);
        }
        let labels = &set["spec"]["template"]["metadata"]["labels"];
        for (key, value) in of_kind("Service")["spec"]["selector"].as_object().expect("labels") {
            assert_eq!(labels[key], *value, "the service leads to it");
        }
        let access = of_kind("ConfigMap")["data"]["access.toml"].as_str().expect("text");
        assert!(access.contains("agent = \"nodeward/nodeward-agent\""), "{access}");
        parsed
    }

    #[test]
    fn the_aggregator_takes_its_arguments_and_has_the_rights_that_enrolment_needs() {
        let parsed = enrols("manifests/overlays/enrol", "StatefulSet");
        let AggregatorCommand::Serve { config } = parsed else { panic!("{parsed:?}") };
        assert_eq!(config.grpc_listen().expect("over TLS"), None, "nothing in plain text");
    }

    #[test]
    fn an_aggregator_that_watches_its_cluster_is_told_so_and_may() {
        let all = rendered("manifests/overlays/cluster-watch");
        let of_kind = |kind: &str| all.iter().filter(|one| one["kind"] == kind).collect::<Vec<_>>();
        let set = of_kind("StatefulSet")[0];
        let pod = &set["spec"]["template"]["spec"];
        let arguments = pod["containers"][0]["args"].as_array().expect("arguments");
        let line = std::iter::once("nodeward-aggregator")
            .chain(arguments.iter().map(|one| one.as_str().expect("text")));
        let parsed = AggregatorArguments::try_parse_from(line).expect("good arguments").command;
        let AggregatorCommand::Serve { config } = parsed else { panic!("{parsed:?}") };
        assert_eq!(config.kubernetes, ["local"]);
        let access = of_kind("ConfigMap")[0]["data"]["access.toml"].as_str().expect("text");
        assert!(access.contains("name = \"local\""), "{access}");
        let bound = of_kind("ClusterRoleBinding");
        let watches = bound.iter().find(|one| one["roleRef"]["name"] == "nodeward-cluster-reader");
        assert_eq!(watches.expect("bound")["subjects"][0]["name"], pod["serviceAccountName"]);
        // What a client inside of a cluster reads.
        let text = serde_json::to_string(&pod["volumes"]).expect("JSON");
        for file in ["token", "ca.crt", "namespace"] {
            assert!(text.contains(&format!("\"path\":\"{file}\"")), "{file}: {text}");
        }
    }

    #[test]
    fn the_relay_takes_its_arguments_and_has_the_same_rights() {
        let parsed = enrols("manifests/overlays/relay", "Deployment");
        assert!(matches!(parsed, AggregatorCommand::Relay { .. }), "{parsed:?}");
    }

    #[test]
    fn profiles_differ_from_the_base_in_rights_alone() {
        let base = pod_of("manifests/base");
        for profile in Profile::ALL {
            let folder = match profile {
                Profile::Standard => "manifests/base".to_owned(),
                other => format!("manifests/overlays/{}", other.word()),
            };
            let mut pod = pod_of(&folder);
            assert_eq!(pod, profile.daemonset()["spec"]["template"]["spec"], "{folder}");
            assert_eq!(container(&pod, "send"), container(&base, "send"), "{folder}");
            for member in ["/hostPID", "/containers/0/securityContext"] {
                *pod.pointer_mut(member).expect(member) =
                    base.pointer(member).expect(member).clone();
            }
            assert_eq!(pod, base, "{folder}");
        }
    }
}
