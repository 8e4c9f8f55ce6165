//! The manifests, as kubectl renders them: what they promise about the pod, and that
//! the programs take the arguments that they give.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod real_kubectl {
    use std::process::Command;

    use clap::Parser as _;
    use nodeward_agent::config::{Arguments, Command as AgentCommand};
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
        let mut sockets = Vec::new();
        for container in containers(&pod()) {
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
            if container["name"] == "send" {
                config.destination().expect("an aggregator");
            }
        }
        assert_eq!(sockets.len(), 2);
        assert_eq!(sockets[0], sockets[1]);
    }
}
