//! Questions of clusters, and of nodes as their API server sees them.

use super::{Lack, Question, Told};

pub(super) const QUESTIONS: &[Question] = &[
    Question {
        id: "agent.stale",
        rule: "",
        asks: "Is the last report of a node old?",
        told: Told::Not(
            Lack::NoVerdict,
            "A node that is silent is stale in every list, and the answer is incomplete; where the \
             API server is asked, since when and why is told.",
        ),
    },
    Question {
        id: "channel.stalled",
        rule: "os-patch-needs-customer",
        asks: "Has an automatic channel stopped to bring images?",
        told: Told::InPart(
            &["ChannelStalled"],
            Lack::Provider,
            "Judged where channel and offered image are told (`nodeward image offered import`). The \
             maintenance window neither node nor API server shows.",
        ),
    },
    Question {
        id: "cluster.stopped",
        rule: "",
        asks: "When will a stopped cluster be deleted?",
        told: Told::Not(
            Lack::Provider,
            "When it was stopped the provider knows. That a whole cluster is silent is seen by \
             its stale nodes.",
        ),
    },
    Question {
        id: "cluster.zero_ready",
        rule: "zero-ready-zero-running-30d",
        asks: "Has the cluster had no Ready node, and for how long?",
        told: Told::By(&["ClusterWithoutReadyNode"]),
    },
    Question {
        id: "comp.tunnel",
        rule: "auto-remediate-components",
        asks: "Does the tunnel from the API server to the nodes run?",
        told: Told::InPart(
            &["TunnelAgentDown"],
            Lack::Cluster,
            "Its agents are pods on some of the nodes; there each is looked at. How many there \
             should be, and whether any is left, the API server knows.",
        ),
    },
    Question {
        id: "comp.tunnel_connected",
        rule: "tunnel-konnectivity",
        asks: "Is the tunnel from the API server to the nodes connected?",
        told: Told::InPart(
            &["TunnelNotConnected"],
            Lack::Cluster,
            "It is told of the agents that run on the nodes that report. That a connection \
             stands does not show that the server at its other end leads anything through it.",
        ),
    },
    Question {
        id: "k8s.skew",
        rule: "kubernetes-upgrade-by-customer",
        asks: "Is the kubelet more than three minor versions older than the API server, or newer?",
        told: Told::By(&["KubeletVersionSkew"]),
    },
    Question {
        id: "meta.taint",
        rule: "system-metadata-immutable",
        asks: "Does the node carry the provider's taints?",
        told: Told::InPart(
            &["ProviderTaintMissing"],
            Lack::Undecided,
            "The taint of spot pools is known from the node's label. That of system pools is the \
             customer's choice.",
        ),
    },
    Question {
        id: "meta.upgrading",
        rule: "",
        asks: "Is the node being upgraded?",
        told: Told::Not(
            Lack::NoVerdict,
            "It is no fault: checks of Ready and of pods say that an upgrade goes through the \
             node, and `nodeward why` calls it maintenance.",
        ),
    },
    Question {
        id: "node.conditions",
        rule: "",
        asks: "What do conditions of the node say, of kubelet and node-problem-detector?",
        told: Told::By(&[
            "NodeNotReady",
            "NodeUnderPressure",
            "NodeNetworkUnavailable",
            "NodeProblemReported",
        ]),
    },
    Question {
        id: "node.notready",
        rule: "auto-restart-node",
        asks: "Is the node Ready, and how far has the provider's repair come?",
        told: Told::By(&["NodeNotReady"]),
    },
    Question {
        id: "node.repair_blocked",
        rule: "",
        asks: "Does something keep the provider's repair from the node?",
        told: Told::By(&["NodeNotReady", "NodeShutDown", "NodeQuarantined"]),
    },
    Question {
        id: "npd",
        rule: "",
        asks: "What has node-problem-detector found?",
        told: Told::InPart(
            &["NpdCondition", "NpdEvent", "NodeProblemReported", "NodeProblemEvent"],
            Lack::Undecided,
            "Its rules for logs are followed where they are imported, and no plugin is run. \
             Conditions whose meaning is not known here are not judged.",
        ),
    },
    Question {
        id: "own.blind_spots",
        rule: "",
        asks: "What could the agent itself not see?",
        told: Told::InPart(
            &["KernelLogGap"],
            Lack::NoVerdict,
            "Every answer lists what is missing from it, and is incomplete for as long.",
        ),
    },
    Question {
        id: "patch.golden_timestamp",
        rule: "",
        asks: "Has the node the state of packages that live patching wants?",
        told: Told::By(&["LivePatchBehind"]),
    },
    Question {
        id: "patch.livepatch_lag",
        rule: "",
        asks: "For how long has live patching been behind?",
        told: Told::By(&["LivePatchBehind"]),
    },
    Question {
        id: "scheduled_events",
        rule: "",
        asks: "Will the platform soon move, freeze or reboot the machine?",
        told: Told::By(&["MachineEventScheduled"]),
    },
    Question {
        id: "win.age",
        rule: "node-image-age",
        asks: "Is the image of a Windows node older than the provider supports?",
        told: Told::By(&["WindowsImageUnsupportedAge"]),
    },
    Question {
        id: "win.retired",
        rule: "os-retirement",
        asks: "Has the support of a node's Windows ended?",
        told: Told::By(&["WindowsRetired"]),
    },
    Question {
        id: "claims.node",
        rule: "",
        asks: "Does what the node says of itself in the API server agree with what is on it?",
        told: Told::By(&["NodeClaimContradicted"]),
    },
    Question {
        id: "pods.system",
        rule: "auto-remediate-components",
        asks: "Do the pods run that the cluster itself stands on?",
        told: Told::By(&["SystemPodNotReady", "SystemPodRestarting"]),
    },
    Question {
        id: "schedule.cordoned",
        rule: "",
        asks: "Was a node cordoned and forgotten?",
        told: Told::By(&["NodeCordoned"]),
    },
    Question {
        id: "upgrade.capacity",
        rule: "",
        asks: "Do disruption budgets, drain time, surge and quota let an upgrade through?",
        told: Told::Not(
            Lack::Cluster,
            "Budgets stand in the API server, the quota at the provider.",
        ),
    },
    Question {
        id: "upgrade.drift_lost",
        rule: "",
        asks: "Which changes will the next image take away?",
        told: Told::InPart(
            &["PackageDrift", "FileDrifted", "FileAdded"],
            Lack::Images,
            "A plan lists these before it lets a pool go. Files of other places, and changes that \
             all nodes of a pool share, are not known.",
        ),
    },
    Question {
        id: "upgrade.gate",
        rule: "",
        asks: "Would an upgrade of the pool be refused or stop?",
        told: Told::Not(Lack::Cluster, "It hangs on all nodes and pods of the pool."),
    },
    Question {
        id: "vmss.edited",
        rule: "",
        asks: "Was a scale set, a network rule or a tag changed behind the provider's back?",
        told: Told::Not(Lack::Provider, "It leaves no trace on a node."),
    },
];
