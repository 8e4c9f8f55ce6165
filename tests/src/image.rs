//! The container images on a real containerd, with what DaemonSet and StatefulSet grant:
//! users, capabilities, seccomp, mounts and limits are read from the manifests, so that
//! what is tested is what a cluster would run.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::containerd::Containerd;
use crate::programs::as_from_a_shell;
use crate::project;
use crate::service::{Log, Program, started};

/// An image that is shipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Image {
    /// The agent's.
    Agent,
    /// That of aggregator and relay, with the command that asks them.
    Aggregator,
}

impl Image {
    const fn word(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Aggregator => "aggregator",
        }
    }

    /// Its name inside the archive.
    fn reference(self) -> String {
        format!("docker.io/library/nodeward-{}:latest", self.word())
    }

    /// The archive, built when it is older than what it is made of.
    fn archive(self) -> PathBuf {
        static BUILT: [OnceLock<()>; 2] = [OnceLock::new(), OnceLock::new()];
        BUILT[self as usize].get_or_init(|| {
            let mut script = Command::new(project::root().join("scripts/image"));
            as_from_a_shell(script.arg(self.word()).env_remove("RUSTFLAGS"));
            let status = script.status().expect("the script runs");
            assert!(status.success(), "the image could not be built");
        });
        project::root().join(format!("out/nodeward-{}.oci.tar", self.word()))
    }
}

/// How much a pod is granted, as the manifests have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// What every user of the node has.
    Minimal,
    /// As `manifests/base` stands.
    Standard,
    /// Everything.
    Privileged,
}

impl Profile {
    /// All of them, from the least.
    pub const ALL: [Self; 3] = [Self::Minimal, Self::Standard, Self::Privileged];

    /// Its name, that of its folder below `manifests/components`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Standard => "standard",
            Self::Privileged => "privileged",
        }
    }

    /// The DaemonSet of that profile.
    ///
    /// # Panics
    /// When a manifest cannot be read.
    #[must_use]
    pub fn daemonset(self) -> Value {
        let mut all = manifest("base/daemonset.yaml");
        if self != Self::Standard {
            patch(&mut all, &manifest(&format!("components/{}/daemonset.yaml", self.word())));
        }
        all
    }
}

/// One object, or the patch of one, among the manifests.
fn manifest(file: &str) -> Value {
    let path = project::root().join("manifests").join(file);
    let text = std::fs::read_to_string(path).expect("the manifest");
    serde_yaml_ng::from_str(&text).expect("YAML")
}

/// Lays a patch over an object, as kustomize does: objects member by member, lists of
/// containers by name, and null takes a member away.
fn patch(target: &mut Value, over: &Value) {
    match (target, over) {
        (Value::Object(target), Value::Object(over)) => {
            for (key, value) in over {
                if value.is_null() {
                    target.remove(key);
                } else {
                    patch(target.entry(key.clone()).or_insert(Value::Null), value);
                }
            }
        }
        (Value::Array(target), Value::Array(over))
            if over.iter().all(|one| one["name"].is_string()) =>
        {
            for one in over {
                let named = target.iter_mut().find(|there| there["name"] == one["name"]);
                patch(named.expect("a container of that name"), one);
            }
        }
        (target, over) => *target = over.clone(),
    }
}

/// A container of a pod, as a runtime is told to run it.
#[derive(Debug, Clone)]
pub struct Container {
    image: Image,
    name: String,
    arguments: Vec<String>,
    environment: Vec<String>,
    /// uid, gid, and the group of the pod's folders.
    user: [u64; 3],
    capabilities: Vec<String>,
    privileged: bool,
    may_gain_rights: bool,
    writes_its_own_files: bool,
    host_pid: bool,
    host_network: bool,
    memory_limit_bytes: u64,
    mounts: Vec<Value>,
}

impl Container {
    /// The container of that name on that node. `rounds` takes the place of the folder
    /// that the pod's containers share.
    ///
    /// # Panics
    /// When the manifest has no such container, or says what no test here understands.
    #[must_use]
    pub fn of_daemonset(name: &str, node: &str, rounds: &Path) -> Self {
        Self::of_profile(Profile::Standard, name, node, rounds)
    }

    /// The same of the DaemonSet of another profile.
    ///
    /// # Panics
    /// When the manifest has no such container, or says what no test here understands.
    #[must_use]
    pub fn of_profile(profile: Profile, name: &str, node: &str, rounds: &Path) -> Self {
        Self::of(Image::Agent, &profile.daemonset(), name, node, |volume| {
            match volume["hostPath"]["path"].as_str() {
                Some(path) => PathBuf::from(path),
                None => {
                    assert!(volume["emptyDir"].is_object(), "a folder of the pod");
                    rounds.to_owned()
                }
            }
        })
    }

    /// The container of the aggregator's StatefulSet. Each of its volumes is the folder of that
    /// name in `volumes`.
    ///
    /// # Panics
    /// When the manifest says what no test here understands.
    #[must_use]
    pub fn of_aggregator(volumes: &Path) -> Self {
        let all = manifest("aggregator/statefulset.yaml");
        Self::of(Image::Aggregator, &all, "aggregator", "", |volume| {
            let name = volume["name"].as_str().or(volume["metadata"]["name"].as_str());
            volumes.join(name.expect("a volume has a name"))
        })
    }

    fn of(
        image: Image,
        all: &Value,
        name: &str,
        node: &str,
        source: impl Fn(&Value) -> PathBuf,
    ) -> Self {
        let pod = &all["spec"]["template"]["spec"];
        let container = list(&pod["containers"]).iter().find(|one| one["name"] == name);
        let container = container.expect("a container of that name");
        let (security, pods) = (&container["securityContext"], &pod["securityContext"]);
        assert_eq!(pods["seccompProfile"]["type"], "RuntimeDefault");
        let privileged = security["privileged"] == true;
        if !privileged {
            assert_eq!(security["capabilities"]["drop"], json!(["ALL"]));
        }
        // A container's own counts before the pod's.
        let id = |setting: &str| {
            let own = security[setting].as_u64();
            own.or(pods[setting].as_u64()).expect("an id")
        };
        let fs_group = id("fsGroup");
        let claimed = list(&all["spec"]["volumeClaimTemplates"]).iter();
        let volumes: Vec<&Value> = list(&pod["volumes"]).iter().chain(claimed).collect();
        let mounts = list(&container["volumeMounts"]).iter().map(|mount| {
            let is_its = |volume: &&&Value| {
                volume["name"] == mount["name"] || volume["metadata"]["name"] == mount["name"]
            };
            let volume = volumes.iter().find(is_its).expect("its volume");
            let source = source(volume);
            if volume["emptyDir"].is_object() || volume["spec"].is_object() {
                own_as_volume(&source, fs_group);
            }
            bind(mount, &source)
        });
        Self {
            image,
            name: name.to_owned(),
            arguments: texts(&container["args"]),
            environment: environment(container, node),
            user: [id("runAsUser"), id("runAsGroup"), fs_group],
            capabilities: texts(&security["capabilities"]["add"])
                .iter()
                .map(|name| format!("CAP_{name}"))
                .collect(),
            privileged,
            may_gain_rights: security["allowPrivilegeEscalation"] != false,
            writes_its_own_files: security["readOnlyRootFilesystem"] != true,
            host_pid: pod["hostPID"] == true,
            host_network: pod["hostNetwork"] == true,
            memory_limit_bytes: bytes(&container["resources"]["limits"]["memory"]),
            mounts: mounts.collect(),
        }
    }

    /// With that value of a flag, in place of the manifest's.
    #[must_use]
    pub fn with(mut self, flag: &str, value: impl std::fmt::Display) -> Self {
        let flag = format!("{flag}=");
        self.arguments.retain(|argument| !argument.starts_with(&flag));
        self.arguments.push(format!("{flag}{value}"));
        self
    }

    /// With another command of the agent, such as `run`.
    #[must_use]
    pub fn as_command(mut self, command: &str) -> Self {
        command.clone_into(&mut self.arguments[0]);
        self
    }

    /// Without a capability that the manifest adds.
    ///
    /// # Panics
    /// When it does not add it.
    #[must_use]
    pub fn without_capability(mut self, name: &str) -> Self {
        let before = self.capabilities.len();
        self.capabilities.retain(|one| one != name);
        assert_ne!(self.capabilities.len(), before, "the manifest does not add {name}");
        self
    }

    /// With another folder in the place of the node's root.
    ///
    /// # Panics
    /// When the container does not see the node.
    #[must_use]
    pub fn on_root(mut self, root: &Path) -> Self {
        let host = self.mounts.iter_mut().find(|mount| mount["destination"] == "/host");
        host.expect("it sees the node")["source"] = json!(root);
        self
    }

    /// In the machine's own network, where the stand-ins of tests are, with its hosts(5), which
    /// a kubelet gives to every pod.
    #[must_use]
    pub fn in_the_machines_network(mut self) -> Self {
        self.host_network = true;
        let hosts = "/etc/hosts";
        let options = ["rbind", "rprivate", "ro"];
        self.mounts.push(
            json!({ "type": "bind", "source": hosts, "destination": hosts, "options": options }),
        );
        self
    }

    /// In PID and network namespaces of its own.
    #[must_use]
    pub fn without_the_nodes_namespaces(mut self) -> Self {
        (self.host_pid, self.host_network) = (false, false);
        self
    }

    /// As another user than the manifest's.
    #[must_use]
    pub fn as_user(mut self, uid: u64) -> Self {
        self.user[0] = uid;
        self
    }

    /// With mounts that are read-only alone, without what is mounted below them.
    #[must_use]
    pub fn with_plain_read_only_mounts(mut self) -> Self {
        for option in self.mounts.iter_mut().flat_map(|mount| mount["options"].as_array_mut()) {
            option.iter_mut().filter(|one| *one == "rro").for_each(|one| *one = json!("ro"));
        }
        self
    }

    /// Puts all of it into the specification that the runtime made for the image.
    fn specify(&self, mut specification: Value, cgroup: &str, root: &Path) -> Value {
        let [uid, gid, fs_group] = self.user;
        let process = &mut specification["process"];
        process["user"] = json!({ "uid": uid, "gid": gid, "additionalGids": [fs_group] });
        process["noNewPrivileges"] = json!(!self.may_gain_rights);
        // The specification of a privileged one names all of them already.
        if !self.privileged {
            for set in ["bounding", "effective", "permitted"] {
                process["capabilities"][set] = json!(self.capabilities);
            }
        }
        // Arguments follow the image's own entry point.
        push_all(&mut process["args"], self.arguments.iter().map(|one| json!(one)));
        push_all(&mut process["env"], self.environment.iter().map(|one| json!(one)));
        specification["root"] = json!({ "path": root, "readonly": !self.writes_its_own_files });
        push_all(&mut specification["mounts"], self.mounts.iter().cloned());
        let linux = &mut specification["linux"];
        linux["cgroupsPath"] = json!(cgroup);
        linux["resources"]["memory"] = json!({ "limit": self.memory_limit_bytes });
        // What is not named is inherited from the runtime, which runs on the node.
        let inherited = [("pid", self.host_pid), ("network", self.host_network)];
        let namespaces = linux["namespaces"].as_array_mut().expect("namespaces");
        namespaces.retain(|one| !inherited.iter().any(|(kind, yes)| *yes && one["type"] == *kind));
        specification
    }
}

impl Containerd {
    /// Imports an image.
    pub fn import(&self, image: Image) {
        let (archive, name) = (image.archive().display().to_string(), image.reference());
        self.ask(&["image", "import", "--base-name", "nodeward", "--index-name", &name, &archive]);
    }

    /// Runs a container of its image, in the foreground.
    #[must_use]
    pub fn run(&self, container: &Container) -> Program {
        Program::start(&mut self.running(container))
    }

    /// The same of a program that logs JSON, once it says that it starts: with that line, and
    /// what it logs from then on.
    #[must_use]
    pub fn serve(&self, container: &Container, says: &str) -> (Program, Value, Log) {
        started(&mut self.running(container), says)
    }

    /// Runs a command in a container that runs.
    #[must_use]
    pub fn inside(&self, container: &Container, command: &[&str]) -> Output {
        let first = ["task", "exec", "--exec-id", "asked", &container.name];
        self.ctr(&[&first, command].concat()).stderr(Stdio::piped()).output().expect("ctr runs")
    }

    /// `ctr run` cannot choose users nor capabilities as freely as a kubelet, so it is given a
    /// whole specification.
    fn running(&self, container: &Container) -> Command {
        let (name, image) = (&container.name, container.image.reference());
        let (root, specification) = (self.path(&format!("{name}.root")), self.path(name));
        std::fs::create_dir(&root).expect("a folder");
        self.ask(&["image", "mount", "--rw", &image, &root.display().to_string()]);
        let template = format!("{name}-template");
        let rights = if container.privileged { "--privileged" } else { "--seccomp" };
        self.ask(&["container", "create", rights, &image, &template]);
        let output = self.ask(&["container", "info", "--spec", &template]);
        let made: Value = serde_json::from_slice(&output.stdout).expect("a specification");
        let has_seccomp = made["linux"]["seccomp"].is_object();
        assert_eq!(has_seccomp, !container.privileged, "the runtime's usual seccomp profile");
        let cgroup = format!("/{}-{name}", self.name());
        let whole = container.specify(made, &cgroup, &root).to_string();
        std::fs::write(&specification, whole).expect("written");
        // The usual folder of runc is shared by all containerds of a machine.
        let mut command = self.ctr(&["run", "--rm", "--runc-root"]);
        command.arg(self.path("runc")).arg("--config").arg(specification).arg(name);
        command
    }

    /// Runs a command of its client to its end.
    fn ask(&self, arguments: &[&str]) -> Output {
        let output = self.ctr(arguments).stderr(Stdio::piped()).output().expect("ctr runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "ctr {arguments:?}: {said}");
        output
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn texts(value: &Value) -> Vec<String> {
    list(value).iter().map(|one| one.as_str().expect("text").to_owned()).collect()
}

fn push_all(array: &mut Value, more: impl Iterator<Item = Value>) {
    array.as_array_mut().expect("an array").extend(more);
}

/// `96Mi` or `1Gi` in bytes.
fn bytes(quantity: &Value) -> u64 {
    let text = quantity.as_str().expect("a limit");
    let (number, unit) = text.split_at(text.len() - 2);
    let unit = match unit {
        "Mi" => 1024 * 1024,
        "Gi" => 1024 * 1024 * 1024,
        _ => panic!("{text}: neither Mi nor Gi"),
    };
    number.parse::<u64>().expect("a number") * unit
}

/// Gives a folder the owner and the mode of a pod's volume with that `fsGroup`.
fn own_as_volume(folder: &Path, fs_group: u64) {
    use std::os::unix::fs::PermissionsExt as _;
    let group = u32::try_from(fs_group).expect("a group");
    std::os::unix::fs::chown(folder, None, Some(group)).expect("root may");
    let mode = std::fs::Permissions::from_mode(0o2777);
    std::fs::set_permissions(folder, mode).expect("root may");
}

fn environment(container: &Value, node: &str) -> Vec<String> {
    let name_of_node = json!({ "fieldRef": { "fieldPath": "spec.nodeName" } });
    list(&container["env"])
        .iter()
        .map(|one| {
            let name = one["name"].as_str().expect("a name");
            if let Some(value) = one["value"].as_str() {
                return format!("{name}={value}");
            }
            assert_eq!(one["valueFrom"], name_of_node, "the only other kind that is used");
            format!("{name}={node}")
        })
        .collect()
}

/// A mount as the runtime makes it of a volume, without propagation as is usual.
fn bind(mount: &Value, source: &Path) -> Value {
    assert_eq!(mount["mountPropagation"], Value::Null);
    let access = match (mount["readOnly"] == true, mount["recursiveReadOnly"].as_str()) {
        (true, Some("IfPossible")) => "rro",
        (true, _) => "ro",
        (false, _) => "rw",
    };
    json!({
        "type": "bind",
        "source": source,
        "destination": mount["mountPath"],
        "options": ["rbind", "rprivate", access],
    })
}
