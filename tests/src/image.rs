//! The agent's container image on a real containerd, with what the DaemonSet grants:
//! users, capabilities, seccomp, mounts and limits are read from its manifest, so that
//! what is tested is what a cluster would run.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::containerd::Containerd;
use crate::programs::as_from_a_shell;
use crate::project;
use crate::service::Program;

/// The image's name inside the archive.
const IMAGE: &str = "docker.io/library/nodeward-agent:latest";

/// The archive, built when it is older than what it is made of.
///
/// # Panics
/// When it cannot be built.
pub fn archive() -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        let mut script = Command::new(project::root().join("scripts/image"));
        as_from_a_shell(script.arg("agent").env_remove("RUSTFLAGS"));
        let status = script.status().expect("the script runs");
        assert!(status.success(), "the image could not be built");
    });
    project::root().join("out/nodeward-agent.oci.tar")
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
        let mut all = manifest("base");
        if self != Self::Standard {
            patch(&mut all, &manifest(&format!("components/{}", self.word())));
        }
        all
    }
}

/// The DaemonSet, or the patch of it, in a folder of the manifests.
fn manifest(folder: &str) -> Value {
    let path = project::root().join("manifests").join(folder).join("daemonset.yaml");
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

/// A container of the DaemonSet's pod, as a runtime is told to run it.
#[derive(Debug, Clone)]
pub struct Container {
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
        let all = profile.daemonset();
        let pod = &all["spec"]["template"]["spec"];
        let container = list(&pod["containers"]).iter().find(|one| one["name"] == name);
        let container = container.expect("a container of that name");
        let security = &container["securityContext"];
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        let privileged = security["privileged"] == true;
        if !privileged {
            assert_eq!(security["capabilities"]["drop"], json!(["ALL"]));
        }
        let id = |value: &Value| value.as_u64().expect("an id");
        let fs_group = id(&pod["securityContext"]["fsGroup"]);
        own_as_volume(rounds, fs_group);
        Self {
            name: name.to_owned(),
            arguments: texts(&container["args"]),
            environment: environment(container, node),
            user: [id(&security["runAsUser"]), id(&security["runAsGroup"]), fs_group],
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
            mounts: list(&container["volumeMounts"])
                .iter()
                .map(|mount| bind(mount, list(&pod["volumes"]), rounds))
                .collect(),
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
    /// Imports the image.
    pub fn import(&self, archive: &Path) {
        let archive = archive.display().to_string();
        self.ask(&["image", "import", "--base-name", "nodeward", "--index-name", IMAGE, &archive]);
    }

    /// Runs a container of the image, in the foreground. `ctr run` cannot choose users nor
    /// capabilities as freely as a kubelet, so it is given a whole specification.
    #[must_use]
    pub fn run(&self, container: &Container) -> Program {
        let name = &container.name;
        let (root, specification) = (self.path(&format!("{name}.root")), self.path(name));
        std::fs::create_dir(&root).expect("a folder");
        self.ask(&["image", "mount", "--rw", IMAGE, &root.display().to_string()]);
        let template = format!("{name}-template");
        let rights = if container.privileged { "--privileged" } else { "--seccomp" };
        self.ask(&["container", "create", rights, IMAGE, &template]);
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
        Program::start(&mut command)
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

/// `96Mi` in bytes.
fn bytes(quantity: &Value) -> u64 {
    let mebibytes = quantity.as_str().and_then(|text| text.strip_suffix("Mi"));
    mebibytes.and_then(|text| text.parse::<u64>().ok()).expect("a limit in Mi") * 1024 * 1024
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
fn bind(mount: &Value, volumes: &[Value], rounds: &Path) -> Value {
    let volume = volumes.iter().find(|one| one["name"] == mount["name"]).expect("its volume");
    let source = match volume["hostPath"]["path"].as_str() {
        Some(path) => PathBuf::from(path),
        None => {
            assert!(volume["emptyDir"].is_object(), "a folder of the pod");
            rounds.to_owned()
        }
    };
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
