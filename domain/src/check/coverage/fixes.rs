//! Questions of images, packages and the fixes in them.

use super::{Lack, Question, Told};

pub(super) const QUESTIONS: &[Question] = &[
    Question {
        id: "bulletin",
        rule: "",
        asks: "Does a security bulletin of the provider concern the node?",
        told: Told::By(&["BulletinApplies"]),
    },
    Question {
        id: "cve.component",
        rule: "",
        asks: "Does a component lack a fix that no package database knows of, such as the kubelet?",
        told: Told::Not(
            Lack::NoCheck,
            "Versions of kubelet, containerd and kube-proxy are collected; upstream's advisories \
             can be imported and are not held against them yet. Such packages are counted as not \
             covered.",
        ),
    },
    Question {
        id: "cve.fix_in_newer_image",
        rule: "cve-update-first",
        asks: "Does an offered image have a fix that is older than 30 days?",
        told: Told::Not(
            Lack::Fixes,
            "Step `offered_image`, where the offered images are told: `nodeward inspect --offered`.",
        ),
    },
    Question {
        id: "cve.foreign_package",
        rule: "cve-managed-only",
        asks: "Does a package lack a fix that the image never brought?",
        told: Told::Not(
            Lack::Fixes,
            "Step `not_shipped`, where the image's note is told: `nodeward inspect --images`.",
        ),
    },
    Question {
        id: "cve.frozen_line",
        rule: "image-line-ended",
        asks: "Will the line of images that the node is on never bring a fix?",
        told: Told::By(&["OsRetired", "ImageLineFrozen"]),
    },
    Question {
        id: "cve.hand_in",
        rule: "cve-filtered-list",
        asks: "What of the node has to be handed in with the provider?",
        told: Told::Not(Lack::Fixes, "Step `hand_in`; `nodeward support export` writes the list."),
    },
    Question {
        id: "cve.latest_unknown",
        rule: "",
        asks: "Is it not known which image is the newest?",
        told: Told::Not(Lack::Fixes, "Step `offered_unknown`."),
    },
    Question {
        id: "cve.mitigated",
        rule: "",
        asks: "Is a flaw out of reach, because a module is blocked?",
        told: Told::Not(
            Lack::Fixes,
            "Shown as mitigated, with the rule that keeps the module from being loaded; which \
             module belongs to which flaw stands in bulletins.",
        ),
    },
    Question {
        id: "cve.no_fix",
        rule: "",
        asks: "Is there a flaw that the vendor has not fixed?",
        told: Told::Not(Lack::Fixes, "Step `no_fix`."),
    },
    Question {
        id: "cve.over_30_on_latest",
        rule: "cve-provider-acts",
        asks: "Does the newest image lack a fix that is older than 30 days?",
        told: Told::Not(Lack::Fixes, "Step `hand_in`."),
    },
    Question {
        id: "cve.reboot_needed",
        rule: "",
        asks: "Is a fix on disk and not in force?",
        told: Told::InPart(
            &["KernelOlderThanInstalled", "RebootRequired", "ServicesNeedRestart"],
            Lack::Fixes,
            "That something newer waits is told by checks; whether it fixes a flaw, and since \
             when, by step `not_running`, of the kernel alone.",
        ),
    },
    Question {
        id: "cve.under_30",
        rule: "cve-fix-under-30d",
        asks: "Is a fix younger than 30 days, so that nobody must act yet?",
        told: Told::Not(Lack::Fixes, "Step `young`, with the instant at which that ends."),
    },
    Question {
        id: "cve.unknown",
        rule: "",
        asks: "Does the node have no list of packages?",
        told: Told::Not(
            Lack::NoVerdict,
            "Then `packages` is absent or unavailable, with the reason, and what hangs on it is \
             unknown.",
        ),
    },
    Question {
        id: "drift.package",
        rule: "kubernetes-native-change",
        asks: "Do packages differ from what the image brought?",
        told: Told::By(&["PackageDrift", "ContainerdNotAsPackaged"]),
    },
    Question {
        id: "image.age_90",
        rule: "node-image-age",
        asks: "Is the node's image too old to be supported, or will it soon be?",
        told: Told::By(&["ImageUnsupportedAge", "ImageAging"]),
    },
    Question {
        id: "image.behind",
        rule: "os-patch-needs-customer",
        asks: "For how long has a newer image been offered?",
        told: Told::By(&["ImageBehind"]),
    },
    Question {
        id: "image.mismatch",
        rule: "iaas-change-unsupported",
        asks: "Do label, image and operating system name the same?",
        told: Told::InPart(
            &["ImageMismatch"],
            Lack::Images,
            "Label and bill of materials are compared. That the operating system is the image's \
             own is told in part by `FipsMismatch` and `OsNotOffered`.",
        ),
    },
    Question {
        id: "image.newest",
        rule: "",
        asks: "Is there a newer image?",
        told: Told::Not(
            Lack::NoVerdict,
            "`nodeward image list` shows the images that are known and where they run; that a newer \
             one is offered is ImageBehind.",
        ),
    },
    Question {
        id: "image.pool_mixed",
        rule: "os-patch-needs-customer",
        asks: "Do the nodes of a pool run several images?",
        told: Told::By(&["PoolMixed"]),
    },
    Question {
        id: "image.regression",
        rule: "",
        asks: "Would an upgrade bring older software?",
        told: Told::Not(
            Lack::NoVerdict,
            "`nodeward image diff` tells it of two images, and each plan of the one it goes to.",
        ),
    },
    Question {
        id: "image.version",
        rule: "",
        asks: "Which image is the node made of?",
        told: Told::Not(Lack::NoVerdict, "It is shown with the node."),
    },
    Question {
        id: "os.offered",
        rule: "base-image-unchangeable",
        asks: "Does the node run an operating system that the provider offers?",
        told: Told::By(&["OsNotOffered"]),
    },
    Question {
        id: "os.retired",
        rule: "os-retirement",
        asks: "How long is the node's operating system still supported?",
        told: Told::By(&["OsRetired"]),
    },
    Question {
        id: "win.behind",
        rule: "windows-not-self-updating",
        asks: "Does a Windows node lack the month's update?",
        told: Told::By(&["WindowsUpdateMissing"]),
    },
];
