//! Questions of clusters, and of nodes as their API server sees them.

use super::{Lack, Question, Told};

pub(super) const QUESTIONS: &[Question] = &[
    Question {
        id: "agent.stale",
        rule: "",
        asks: "Is the last report of a node old?",
        told: Told::Not(
            Lack::NoVerdict,
            "A node that is silent is stale in every list, and the answer is incomplete.",
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
        rule: "",
        asks: "Has the cluster had no Ready node, and for how long?",
        told: Told::Not(Lack::Cluster, "Whether nodes are Ready stands in the API server."),
    },
    Question {
        id: "comp.tunnel",
        rule: "",
        asks: "Does the tunnel from the API server to the nodes stand?",
        told: Told::Not(Lack::Cluster, "Its agents are pods on some of the nodes."),
    },
    Question {
        id: "k8s.skew",
        rule: "",
        asks: "Is the kubelet more than three minor versions older than the API server, or newer?",
        told: Told::Not(Lack::Cluster, "The API server's version stands in no file of a node."),
    },
    Question {
        id: "meta.taint",
        rule: "",
        asks: "Does the node carry the provider's taints?",
        told: Told::Not(Lack::Cluster, "They stand in the API server."),
    },
    Question {
        id: "meta.upgrading",
        rule: "",
        asks: "Is the node being upgraded?",
        told: Told::Not(Lack::Cluster, "It is an annotation of the node."),
    },
    Question {
        id: "net.egress",
        rule: "",
        asks: "Can the node reach what the provider requires?",
        told: Told::Not(
            Lack::Cluster,
            "node-problem-detector tells it by an event. The agent itself connects to nothing \
             outside of the node but its aggregator.",
        ),
    },
    Question {
        id: "node.conditions",
        rule: "",
        asks: "What do conditions of the node say, of kubelet and node-problem-detector?",
        told: Told::Not(Lack::Cluster, "They stand in the API server."),
    },
    Question {
        id: "node.notready",
        rule: "",
        asks: "Is the node Ready, and how far has the provider's repair come?",
        told: Told::Not(
            Lack::Cluster,
            "The condition and the events of the repair stand in the API server.",
        ),
    },
    Question {
        id: "node.repair_blocked",
        rule: "",
        asks: "Does something keep the provider's repair from the node?",
        told: Told::Not(Lack::Cluster, "Taints and annotations stand in the API server."),
    },
    Question {
        id: "npd",
        rule: "",
        asks: "What has node-problem-detector found?",
        told: Told::InPart(
            &["NpdCondition", "NpdEvent"],
            Lack::Cluster,
            "Its rules for logs are followed where they are imported, and no plugin is run. What \
             it has found itself stands in the API server.",
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
        told: Told::Not(Lack::Cluster, "Both are annotations of the node."),
    },
    Question {
        id: "patch.livepatch_lag",
        rule: "",
        asks: "For how long has live patching been behind?",
        told: Told::Not(Lack::Cluster, "Both times are annotations of the node."),
    },
    Question {
        id: "scheduled_events",
        rule: "",
        asks: "Will the platform soon move, freeze or reboot the machine?",
        told: Told::Not(
            Lack::Cluster,
            "It is a condition of the node. The platform's own service may be closed to pods, and \
             is not asked.",
        ),
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
