//! The settings of a kubelet that are read: path in `KubeletConfiguration`, flag, form and
//! default. Source: `kubelet.config.k8s.io/v1beta1` of Kubernetes 1.35 and the kubelet's
//! own `applyLegacyDefaults`, which hold without a configuration file.

/// The form of a setting's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Bool,
    Number,
    Text,
    Duration,
    List,
    Map,
}

/// One setting.
#[derive(Debug)]
pub(super) struct Key {
    /// Path, its parts separated by dots.
    pub(super) path: &'static str,
    /// The flag that sets it, too.
    pub(super) flag: &'static str,
    pub(super) form: Form,
    /// Its default.
    pub(super) default: &'static str,
    /// Its default where no configuration file is named.
    pub(super) without_file: &'static str,
}

const fn key(path: &'static str, flag: &'static str, form: Form, default: &'static str) -> Key {
    Key { path, flag, form, default, without_file: default }
}

const fn legacy(
    path: &'static str,
    flag: &'static str,
    form: Form,
    default: &'static str,
    without_file: &'static str,
) -> Key {
    Key { path, flag, form, default, without_file }
}

/// What is evicted for when nothing says otherwise, on Linux.
const EVICTION: &str = "imagefs.available=15%,imagefs.inodesFree=5%,memory.available=100Mi,\
                        nodefs.available=10%,nodefs.inodesFree=5%";

/// Every setting that is read, by path.
pub(super) const KEYS: [Key; 48] = [
    key("address", "address", Form::Text, "0.0.0.0"),
    key("allowedUnsafeSysctls", "allowed-unsafe-sysctls", Form::List, ""),
    legacy("authentication.anonymous.enabled", "anonymous-auth", Form::Bool, "false", "true"),
    legacy(
        "authentication.webhook.enabled",
        "authentication-token-webhook",
        Form::Bool,
        "true",
        "false",
    ),
    key("authentication.x509.clientCAFile", "client-ca-file", Form::Text, ""),
    legacy("authorization.mode", "authorization-mode", Form::Text, "Webhook", "AlwaysAllow"),
    key("cgroupDriver", "cgroup-driver", Form::Text, "cgroupfs"),
    key("cgroupsPerQOS", "cgroups-per-qos", Form::Bool, "true"),
    key("clusterDomain", "cluster-domain", Form::Text, ""),
    key("containerLogMaxFiles", "container-log-max-files", Form::Number, "5"),
    key("containerLogMaxSize", "container-log-max-size", Form::Text, "10Mi"),
    key(
        "containerRuntimeEndpoint",
        "container-runtime-endpoint",
        Form::Text,
        "unix:///run/containerd/containerd.sock",
    ),
    key("cpuCFSQuota", "cpu-cfs-quota", Form::Bool, "true"),
    key("cpuCFSQuotaPeriod", "cpu-cfs-quota-period", Form::Duration, "100ms"),
    key("cpuManagerPolicy", "cpu-manager-policy", Form::Text, "none"),
    key("enableDebuggingHandlers", "enable-debugging-handlers", Form::Bool, "true"),
    key("enableServer", "enable-server", Form::Bool, "true"),
    key("enforceNodeAllocatable", "enforce-node-allocatable", Form::List, "pods"),
    key("eventRecordQPS", "event-qps", Form::Number, "50"),
    key("evictionHard", "eviction-hard", Form::Map, EVICTION),
    key("failSwapOn", "fail-swap-on", Form::Bool, "true"),
    key("featureGates", "feature-gates", Form::Map, ""),
    key("healthzBindAddress", "healthz-bind-address", Form::Text, "127.0.0.1"),
    key("healthzPort", "healthz-port", Form::Number, "10248"),
    key("imageGCHighThresholdPercent", "image-gc-high-threshold", Form::Number, "85"),
    key("imageGCLowThresholdPercent", "image-gc-low-threshold", Form::Number, "80"),
    key("imageMaximumGCAge", "", Form::Duration, "0s"),
    key("kubeReserved", "kube-reserved", Form::Map, ""),
    key("makeIPTablesUtilChains", "make-iptables-util-chains", Form::Bool, "true"),
    key("maxPods", "max-pods", Form::Number, "110"),
    key("memoryManagerPolicy", "memory-manager-policy", Form::Text, "None"),
    key("podPidsLimit", "pod-max-pids", Form::Number, "-1"),
    key("podsPerCore", "pods-per-core", Form::Number, "0"),
    key("port", "port", Form::Number, "10250"),
    key("protectKernelDefaults", "protect-kernel-defaults", Form::Bool, "false"),
    legacy("readOnlyPort", "read-only-port", Form::Number, "0", "10255"),
    key("resolvConf", "resolv-conf", Form::Text, "/etc/resolv.conf"),
    key("rotateCertificates", "rotate-certificates", Form::Bool, "false"),
    key("seccompDefault", "seccomp-default", Form::Bool, "false"),
    key("serverTLSBootstrap", "rotate-server-certificates", Form::Bool, "false"),
    key("staticPodPath", "pod-manifest-path", Form::Text, ""),
    key(
        "streamingConnectionIdleTimeout",
        "streaming-connection-idle-timeout",
        Form::Duration,
        "4h0m0s",
    ),
    key("systemReserved", "system-reserved", Form::Map, ""),
    key("tlsCertFile", "tls-cert-file", Form::Text, ""),
    key("tlsCipherSuites", "tls-cipher-suites", Form::List, ""),
    key("tlsMinVersion", "tls-min-version", Form::Text, ""),
    key("topologyManagerPolicy", "topology-manager-policy", Form::Text, "none"),
    key("topologyManagerScope", "topology-manager-scope", Form::Text, "container"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_stand_by_path_and_each_once() {
        assert!(KEYS.is_sorted_by(|a, b| a.path < b.path));
    }
}
