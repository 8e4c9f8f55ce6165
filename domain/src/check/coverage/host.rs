//! Questions about the machine, its system and its network that a node answers by itself,
//! or could.

use super::{Lack, Question, Told};

pub(super) const QUESTIONS: &[Question] = &[
    Question {
        id: "cert.ca_bundle",
        rule: "",
        asks: "Are the certificate authorities that the system itself believes of today?",
        told: Told::InPart(
            &["TrustAuthorityExpired", "TrustAdded"],
            Lack::Fixes,
            "That their vendor has a newer list is told as a missing fix of the package that \
             brings it.",
        ),
    },
    Question {
        id: "cert.others",
        rule: "certificate-rotation",
        asks: "Are the certificates good that lie beside the kubelet's own?",
        told: Told::By(&["CertificateExpired", "CertificateExpiring"]),
    },
    Question {
        id: "channel.unmanaged",
        rule: "",
        asks: "Does the node update itself, unattended?",
        told: Told::InPart(
            &["UnattendedUpgradesOn", "UnattendedUpgradesStale", "UpdatesNotAutomatic"],
            Lack::NotRead,
            "Whether it still runs is told of unattended-upgrades alone: dnf-automatic leaves no \
             file of its own, and the stamp that systemd keeps of its timer is not read.",
        ),
    },
    Question {
        id: "daemonset.tuning",
        rule: "daemonset-recommended",
        asks: "Was a unit changed in the way that the policy allows and does not diagnose?",
        told: Told::By(&["KubeletDropInAdded", "ContainerdDropInAdded"]),
    },
    Question {
        id: "drift.config",
        rule: "managed-components",
        asks: "Were the kubelet's settings, or other files that the provider manages, changed from what the image ships?",
        told: Told::InPart(
            &[
                "KubeletAuthorizationOff",
                "KubeletAnonymousAccess",
                "KubeletTokensUnchecked",
                "KubeletReadOnlyPortOpen",
                "FileDrifted",
                "FileMissing",
            ],
            Lack::Images,
            "Settings with a known right value are judged, and files that differ from those of \
             most nodes of the pool and image. A change that they all share shows only beside the \
             image's own files, which no list of an image names.",
        ),
    },
    Question {
        id: "drift.extension",
        rule: "extensions-immutable",
        asks: "Was an extension of the virtual machine added, removed or changed?",
        told: Told::InPart(
            &["ExtensionForeign", "ExtensionNotEnabled"],
            Lack::Provider,
            "What was changed in the settings of one, such as the custom script, the scale set's \
             model alone shows. Settings hold secrets and are not read.",
        ),
    },
    Question {
        id: "drift.sysctl",
        rule: "kubernetes-native-change",
        asks: "Are kernel parameters what the node's files say?",
        told: Told::By(&["SysctlDrifted"]),
    },
    Question {
        id: "drift.units",
        rule: "",
        asks: "Do units have drop-ins that the provider does not ship, or files that are not in force?",
        told: Told::By(&[
            "KubeletDropInAdded",
            "ContainerdDropInAdded",
            "KubeletUnitStale",
            "ContainerdUnitStale",
            "DaemonReloadPending",
        ]),
    },
    Question {
        id: "fs.corruption",
        rule: "",
        asks: "Does a file system call itself damaged?",
        told: Told::By(&["FilesystemCorruptionReported", "FilesystemError", "FilesystemShutdown"]),
    },
    Question {
        id: "fs.readonly",
        rule: "",
        asks: "Was a file system made read-only behind its back?",
        told: Told::By(&["FilesystemReadOnly"]),
    },
    Question {
        id: "host.fips",
        rule: "base-image-unchangeable",
        asks: "Do label and kernel say the same about FIPS 140?",
        told: Told::By(&["FipsMismatch"]),
    },
    Question {
        id: "host.mitigations",
        rule: "",
        asks: "Is a module blocked that a security bulletin warns of, and is it loaded?",
        told: Told::InPart(
            &["ModuleBlockStale"],
            Lack::Fixes,
            "That a module is blocked and loaded all the same is judged of every module. Which \
             ones are meant comes with bulletins.",
        ),
    },
    Question {
        id: "host.modules",
        rule: "",
        asks: "Are modules loaded that the image does not bring?",
        told: Told::Not(
            Lack::Images,
            "Which are loaded is collected; which the image brings is not.",
        ),
    },
    Question {
        id: "host.swap",
        rule: "custom-node-configuration",
        asks: "Is there swap that nobody configured?",
        told: Told::By(&["SwapUnexpected"]),
    },
    Question {
        id: "host.thp",
        rule: "custom-node-configuration",
        asks: "Are transparent huge pages set as the provider supports it?",
        told: Told::By(&["HugePagesDrifted"]),
    },
    Question {
        id: "host.ulimit",
        rule: "custom-node-configuration",
        asks: "Are the limits of containerd's unit those that the provider sets?",
        told: Told::InPart(
            &["ContainerdFileLimitLow"],
            Lack::Undecided,
            "Of the limits of memory that is locked and of tasks nothing says what the provider \
             sets.",
        ),
    },
    Question {
        id: "kernel.log",
        rule: "",
        asks: "Does the kernel's log tell of faults, such as disks that fail or memory that ran out?",
        told: Told::By(&[
            "KernelFaulted",
            "KernelOops",
            "SoftLockup",
            "HardLockup",
            "RcuStall",
            "TaskHung",
            "IoError",
            "IoErrorRepeated",
            "FilesystemError",
            "FilesystemShutdown",
            "FilesystemRemountedReadOnly",
            "ConntrackTableFull",
            "OutOfMemory",
            "ContainerOutOfMemory",
            "ForkRejected",
            "UnregisterNetDevice",
            "HardwareErrorFatal",
            "HardwareErrorRecoverable",
            "HardwareErrorCorrected",
            "HardwareErrorLogged",
            "MemoryError",
            "MemoryErrorUncorrected",
        ]),
    },
    Question {
        id: "kernel.reboot_by_whom",
        rule: "reboot-by-customer",
        asks: "Whose turn is it to reboot a node after a patch?",
        told: Told::Not(
            Lack::NoVerdict,
            "Every finding about a reboot says who acts: the customer, or automation while kured \
             runs.",
        ),
    },
    Question {
        id: "kernel.reboot_required",
        rule: "os-patch-needs-customer",
        asks: "Did a package ask for a reboot?",
        told: Told::By(&["RebootRequired"]),
    },
    Question {
        id: "kernel.running_vs_installed",
        rule: "os-patch-needs-customer",
        asks: "Does the newest kernel run that is installed?",
        told: Told::By(&["KernelOlderThanInstalled"]),
    },
    Question {
        id: "kernel.taint",
        rule: "",
        asks: "Has the kernel broken since boot?",
        told: Told::By(&["KernelFaulted"]),
    },
    Question {
        id: "limits.conntrack",
        rule: "",
        asks: "Is the kernel's table of connections nearly full?",
        told: Told::By(&["ConntrackNearlyFull"]),
    },
    Question {
        id: "limits.files",
        rule: "",
        asks: "Are there nearly as many open files as there may be?",
        told: Told::By(&["OpenFilesNearLimit"]),
    },
    Question {
        id: "limits.headroom",
        rule: "",
        asks: "Is there room for the next image, or for an update of the node in place?",
        told: Told::By(&["ImageHeadroomLow"]),
    },
    Question {
        id: "limits.huge_pages",
        rule: "",
        asks: "Is memory set aside in huge pages that nobody uses?",
        told: Told::Not(
            Lack::Undecided,
            "How many there are and how many are free is collected. Whether a pod will want them \
             the node does not know.",
        ),
    },
    Question {
        id: "limits.inodes",
        rule: "",
        asks: "Has a file system nearly no space or no inodes left, for images above all?",
        told: Told::By(&[
            "NodeFilesystemFull",
            "ImageFilesystemFull",
            "FilesystemInodesLow",
            "FilesystemNearlyFull",
        ]),
    },
    Question {
        id: "limits.pids",
        rule: "",
        asks: "Are there nearly as many processes as there may be?",
        told: Told::InPart(
            &["TasksNearLimit", "PodTasksNearLimit"],
            Lack::NotRead,
            "Limits of the whole node and of all pods together are judged. The control groups of \
             single pods are not read: one that is full harms that pod alone.",
        ),
    },
    Question {
        id: "meta.label",
        rule: "system-metadata-immutable",
        asks: "Does the node carry the provider's labels as it was given them?",
        told: Told::By(&["ProviderLabelsChanged", "ProviderLabelChangedInCluster"]),
    },
    Question {
        id: "dns.configuration",
        rule: "",
        asks: "Do node and pods have nameservers, and no more than are used?",
        told: Told::By(&["ResolverConfigurationMissing", "NameserversBeyondLimit"]),
    },
    Question {
        id: "dns.local",
        rule: "",
        asks: "Does the provider's cache of names on the node run, where it is used?",
        told: Told::By(&["LocalDnsDown"]),
    },
    Question {
        id: "dns.loop",
        rule: "",
        asks: "Does the kubelet hand pods a nameserver that leads them to themselves?",
        told: Told::By(&["ResolverLoop"]),
    },
    Question {
        id: "dns.nameservers",
        rule: "",
        asks: "Do the node's nameservers answer?",
        told: Told::InPart(
            &["AllNameserversUnreachable", "NameserverUnreachable", "NameserverFailing"],
            Lack::Undecided,
            "Each is asked for the root over UDP. One that does not want to tell of it (REFUSED, \
             NOTIMP) is neither well nor failing, because it may tell of other names. Whether \
             names of Services are resolved is a question to the cluster's DNS, which one node's \
             odd answer does not decide.",
        ),
    },
    Question {
        id: "net.api_server",
        rule: "",
        asks: "Does the node reach its API server, and is that one the cluster's own?",
        told: Told::By(&[
            "ApiServerUnreachable",
            "ApiServerUnhealthy",
            "ApiServerCertificateUnknown",
            "ApiServerUnverified",
        ]),
    },
    Question {
        id: "net.api_server_latency",
        rule: "",
        asks: "Does the API server answer the node slowly?",
        told: Told::Not(
            Lack::Undecided,
            "How long it took is measured and shown. No limit has a source: the objectives that \
             Kubernetes has for its API are of requests as the server counts them, by people who \
             may ask, over days; not of one connection from a node, with a name to look up and a \
             handshake. A proxy that the kubelet has from its environment, and not by `proxy-url`, \
             is not known either: the environment of processes is never read.",
        ),
    },
    Question {
        id: "net.egress",
        rule: "egress-required",
        asks: "Can the node reach what the provider requires?",
        told: Told::InPart(
            &["EgressBlocked"],
            Lack::Undecided,
            "Looked at only where the operator asks for it (`--egress`), and then what he names: \
             the lists that come with Nodeward have the names that the provider requires of every \
             cluster. Names with a wildcard, add-ons' endpoints, and what lies behind a proxy are \
             not probed.",
        ),
    },
    Question {
        id: "net.default_route",
        rule: "",
        asks: "Has the node lost its default route or its loopback?",
        told: Told::By(&["DefaultRouteMissing", "LoopbackMissing"]),
    },
    Question {
        id: "net.forwarding",
        rule: "",
        asks: "Does the node forward packets?",
        told: Told::InPart(
            &["SysctlDrifted"],
            Lack::Undecided,
            "`net.ipv4.ip_forward` is judged where a file of the node sets it.",
        ),
    },
    Question {
        id: "net.interface",
        rule: "",
        asks: "Is an interface of the node down?",
        told: Told::By(&["InterfaceDown"]),
    },
    Question {
        id: "net.mtu",
        rule: "",
        asks: "Do links to pods take bigger packets than the node's uplink?",
        told: Told::By(&["InterfaceMtuMixed"]),
    },
    Question {
        id: "net.retiring",
        rule: "network-retirement",
        asks: "Has the provider announced the end of this kind of pod network?",
        told: Told::By(&["CniRetiring"]),
    },
    Question {
        id: "net.rules",
        rule: "",
        asks: "Do packet filters refuse what they should let through, or are they of two kinds?",
        told: Told::InPart(
            &["IptablesModesMixed", "NodeTrafficRefused"],
            Lack::NotRead,
            "Rules of nf_tables the kernel tells to whoever may also change them (CAP_NET_ADMIN), \
             a right that of the profiles `privileged` alone has: they are looked at where the \
             operator asks for them (`--packet-filter`). Of rules of the older filter only their tables are \
             told; sets and maps, and what eBPF programs drop, are not looked into. Of rules of \
             bridges and of single devices it is told that there are some that may drop, not which \
             packets. Addresses that rules rewrite are followed as they were.",
        ),
    },
    Question {
        id: "net.unmanaged_cni",
        rule: "byocni-out-of-scope",
        asks: "Is the pod network made by a plugin of one's own?",
        told: Told::By(&["CniUnmanaged"]),
    },
    Question {
        id: "node.access",
        rule: "node-login-discouraged",
        asks: "Did somebody log in to the node, or may more do so than before?",
        told: Told::InPart(
            &["LoginRecent", "AuthorisedKeysDrifted", "SshRootLoginByPassword"],
            Lack::Cluster,
            "Who enters the node by a pod (`kubectl debug node`) leaves no record on it. Failed \
             logins are not read: what was typed as a name may be a password.",
        ),
    },
    Question {
        id: "node.changes",
        rule: "kubernetes-native-change",
        asks: "Was the node changed by other means than Kubernetes?",
        told: Told::InPart(
            &[
                "SysctlDrifted",
                "PackageUnfinished",
                "ContainerdNotAsPackaged",
                "ContainerdUnitDisabled",
                "ContainerdUnitStale",
                "KubeletUnitDisabled",
                "KubeletUnitStale",
                "KubeletConfigurationUnusable",
                "KubeletConfigurationNotInForce",
                "KubeletConfigurationDrifted",
                "FileAdded",
                "DockerBesideContainerd",
            ],
            Lack::Images,
            "Packages are held against the image's list, files against those of the pool's other \
             nodes. What lies in other places, or is the same on all of them, is not seen.",
        ),
    },
    Question {
        id: "packages.held",
        rule: "",
        asks: "Are packages kept from being updated?",
        told: Told::By(&["PackageHeld"]),
    },
    Question {
        id: "packages.origin",
        rule: "",
        asks: "Does a package come from elsewhere than the distribution?",
        told: Told::Not(
            Lack::Undecided,
            "The origin that a package names is collected. AKS's images have packages of several \
             origins, and which of them belong there an image's list tells.",
        ),
    },
    Question {
        id: "packages.unfinished",
        rule: "",
        asks: "Did a change of packages stop half way?",
        told: Told::By(&["PackageUnfinished"]),
    },
    Question {
        id: "process.deleted",
        rule: "os-patch-needs-customer",
        asks: "Do processes run what was replaced on disk?",
        told: Told::By(&["ServicesNeedRestart"]),
    },
    Question {
        id: "process.zombies",
        rule: "",
        asks: "Are there many processes that ended and that nobody waits for?",
        told: Told::By(&["ZombiesPiledUp"]),
    },
    Question {
        id: "psi",
        rule: "",
        asks: "How long do processes wait for processors, memory and disks?",
        told: Told::By(&["MemoryStalled", "IoStalled", "MemoryContended", "CpuContended"]),
    },
    Question {
        id: "sysctl.baseline",
        rule: "",
        asks: "Which file says what a kernel parameter should be, and is it that?",
        told: Told::By(&["SysctlDrifted"]),
    },
    Question {
        id: "sysctl.range",
        rule: "custom-node-configuration",
        asks: "Are kernel parameters within what the provider supports?",
        told: Told::By(&["SysctlOutOfRange"]),
    },
    Question {
        id: "time.conflict",
        rule: "time-chrony-localhost",
        asks: "Do several programs steer the clock?",
        told: Told::By(&["TimeDaemonsConflict"]),
    },
    Question {
        id: "time.daemon",
        rule: "time-chrony-localhost",
        asks: "Does chrony run, and nothing else keep the clock?",
        told: Told::By(&["TimeDaemonDown", "TimeDaemonsConflict"]),
    },
    Question {
        id: "time.offset",
        rule: "time-chrony-localhost",
        asks: "Is the clock right?",
        told: Told::By(&["ClockOffset", "ClockUnsynchronised"]),
    },
    Question {
        id: "time.source",
        rule: "time-chrony-localhost",
        asks: "Does the clock follow the host that the node runs on?",
        told: Told::By(&["TimeSourceNotHost", "PtpClockNotHost", "TimeConfigChanged"]),
    },
    Question {
        id: "time.sync",
        rule: "time-chrony-localhost",
        asks: "Is the clock synchronised, by a source that is there and believed?",
        told: Told::By(&["ClockUnsynchronised", "TimeSourceUnreachable", "ClockUpdateOverdue"]),
    },
    Question {
        id: "system.state",
        rule: "",
        asks: "Has the system come up, and is it not in maintenance?",
        told: Told::By(&["SystemNotRunning"]),
    },
    Question {
        id: "units.masked",
        rule: "",
        asks: "Is a unit masked or disabled that a node needs?",
        told: Told::InPart(
            &["UnitMasked", "KubeletUnitDisabled", "ContainerdUnitDisabled"],
            Lack::Undecided,
            "Of other units than kubelet's and containerd's, that one is disabled is no fault by \
             itself: many are started by others.",
        ),
    },
    Question {
        id: "units.others",
        rule: "",
        asks: "Has any other unit failed, or does it start again and again?",
        told: Told::By(&["UnitFailed", "UnitRestartsRepeatedly"]),
    },
];
