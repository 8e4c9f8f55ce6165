//! Deltas in the three forms, written for these tests.

use super::*;

const UBUNTU: &str = "Release notes for security patch 20261120T000000Z timestamp
Package difference between 20261113T000000Z and 20261120T000000Z
No reboot required
Upgrade: curl:amd64 (7.81.0-1, 7.81.0-2), libcurl4:amd64 (7.81.0-1, 7.81.0-2)
Upgrade: vim:amd64 (2:8.2-1, 2:8.2-2)

Package difference between AKSUbuntu-2204gen2containerd-202611.03.0 and 20261120T000000Z
Reboot required
Upgrade: curl:amd64 (7.81.0-1, 7.81.0-2)
Install: linux-image-5.15.0-9-azure:amd64 (5.15.0-9.1, automatic)
Remove: linux-tools-5.15.0-8:amd64 (5.15.0-8.1)
";

const UBUNTU_2404: &str = "Release notes for security patch 20261120T000000Z timestamp
Package difference for Ubuntu 24.04 with 20261120T000000Z
Reboot required
Upgrade: tar:amd64 (1.35-1, 1.35-2)
";

const AZURE_LINUX: &str = "Release notes for security patch 20261120T000000Z timestamp
Package difference between 20261106T000000Z and 20261120T000000Z

Reboot required (kernel update)

=== New Packages ===
kernel  6.6.150.1-1.azl3  azurelinux-official-base

=== Package Updates ===
perl-podlators  1:5.01-514.azl3  azurelinux-official-base
blobfuse2  2.6.0-1  azurelinux-official-ms-oss
";

const FOLDER: &str = "security-patch/20261120T000000Z";
const NAME: &str = "release_notes_delta_20261120T000000Z.txt";

fn read(below: &str, text: &str) -> SecurityPatch {
    let file = format!("{FOLDER}/{below}{NAME}");
    read_security_patch(&file, text.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_delta_of_ubuntu_has_a_part_for_each_state() {
    let patch = read("", UBUNTU);
    assert_eq!(patch.timestamp.to_string(), "2026-11-20T00:00:00Z");
    assert_eq!((patch.os_id.as_str(), patch.os_version_id.as_str()), ("ubuntu", "22.04"));
    let [live, from_image] = patch.listed().expect("parts") else { panic!("{patch:?}") };
    assert!(matches!(live.from, PatchBase::Patch(at) if at.to_string() == "2026-11-13T00:00:00Z"));
    assert_eq!((live.needs_reboot, live.changes.len()), (false, 3));
    let PackageChange::Upgrade { name, architecture, old, new, .. } = &live.changes[2] else {
        panic!("{live:?}")
    };
    assert_eq!((name.as_str(), architecture.as_deref()), ("vim", Some("amd64")));
    assert_eq!((old.as_deref(), new.as_str()), (Some("2:8.2-1"), "2:8.2-2"));
    let PatchBase::Image(label) = &from_image.from else { panic!("{from_image:?}") };
    assert_eq!(label.version, "202611.03.0");
    assert!(from_image.needs_reboot);
    assert!(matches!(from_image.changes[1], PackageChange::Install { .. }));
    assert!(matches!(from_image.changes[2], PackageChange::Remove { .. }));
    // Beside nothing that names its system, the image of a part does.
    let alone = read_security_patch("delta.txt", UBUNTU.as_bytes()).expect("a delta");
    assert_eq!(alone, patch);
}

#[test]
fn the_other_systems_have_forms_of_their_own() {
    let patch = read("ubuntu2404/", UBUNTU_2404);
    assert_eq!((patch.os_id.as_str(), patch.os_version_id.as_str()), ("ubuntu", "24.04"));
    assert_eq!(
        patch.listed().expect("parts")[0].from,
        PatchBase::Unnamed("Ubuntu 24.04".to_owned())
    );

    let patch = read("azurelinux/", AZURE_LINUX);
    assert_eq!((patch.os_id.as_str(), patch.os_version_id.as_str()), ("azurelinux", "3.0"));
    let [part] = patch.listed().expect("parts") else { panic!("{patch:?}") };
    assert!(part.needs_reboot);
    let PackageChange::Install { name, version, repository, .. } = &part.changes[0] else {
        panic!("{part:?}")
    };
    assert_eq!((name.as_str(), version.as_str()), ("kernel", "6.6.150.1-1.azl3"));
    assert_eq!(repository.as_deref(), Some("azurelinux-official-base"));
    let PackageChange::Upgrade { old, new, .. } = &part.changes[1] else { panic!("{part:?}") };
    assert_eq!((old, new.as_str()), (&None, "1:5.01-514.azl3"));
    assert_eq!(read_security_patch("d", AZURE_LINUX.as_bytes()).expect("a delta"), patch);
}

#[test]
fn an_empty_file_says_nothing_and_does_not_say_that_nothing_changes() {
    for (below, release) in [("", "22.04"), ("ubuntu2404/", "24.04")] {
        let patch = read(below, "");
        assert_eq!((patch.parts, patch.os_version_id.as_str()), (PatchParts::Empty, release));
    }
    for file in ["delta.txt", "x/release_notes_delta_20261120T000000Z.txt", ""] {
        let error = read_security_patch(file, b"\n").expect_err("unnamed").to_string();
        assert!(error.starts_with(&format!("{file}: it is empty")), "{error}");
    }
}

#[test]
fn an_error_names_the_file_the_line_and_the_reason() {
    let refused = |text: &str, from: &str, to: &str| {
        let text = text.replacen(from, to, 1);
        read_security_patch("delta.txt", text.as_bytes()).expect_err("odd").to_string()
    };
    for (from, to, expected) in [
        ("Release", "Notes", "1: no `Release notes for security patch <moment> timestamp`"),
        ("20261120T000000Z", "20261320T000000Z", "1: no `Release notes"),
        ("and 20261120T000000Z", "and 20261119T000000Z", "2: the part ends at another moment"),
        ("between 20261113T000000Z", "between May", "2: no `Package difference between"),
        ("No reboot required", "Perhaps", "3: neither `Reboot required`"),
        ("Upgrade: vim", "Upgrad: vim", "5: change \"Upgrad\" is not known"),
        ("(2:8.2-1, 2:8.2-2)", "(2:8.2-1)", "5: no `package:architecture (versions)`"),
        ("(2:8.2-1, 2:8.2-2)", "(2:8.2-1, 2:8.2-2", "5: no `package:architecture (versions)`"),
        ("(2:8.2-1, 2:8.2-2)", "(2:8.2-1, x)", "5: no `package:architecture (versions)`"),
        ("vim:amd64", "vim 8:amd64", "5: no `package:architecture (versions)`"),
        ("), libcurl4", ") libcurl4", "4: no `package:architecture (versions)`"),
        ("Reboot required\n", "Reboot required soon\n", "8: neither `Reboot required`"),
        ("5.15.0-8.1)\n", "5.15.0-8.1)", "11: cut off: the last line has no end"),
    ] {
        let error = refused(UBUNTU, from, to);
        assert!(error.starts_with(&format!("delta.txt:{expected}")), "{error}");
    }
    let error = refused(AZURE_LINUX, "Package Updates", "Held Back");
    assert_eq!(error, "delta.txt:9: section \"Held Back\" is not known");
    let error = refused(AZURE_LINUX, "2.6.0-1  azurelinux-official-ms-oss", "");
    assert_eq!(error, "delta.txt:11: no `name  version  repository`");
    let title = UBUNTU.lines().next().expect("a line");
    for (text, expected) in [
        (format!("{title}\n"), "delta.txt:1: cut off: no line `Package difference …`"),
        (
            format!("{title}\nPackage difference for Ubuntu 24.04 with 20261120T000000Z\n"),
            "delta.txt:2: cut off: a part without `Reboot required`",
        ),
        (
            format!(
                "{title}\nPackage difference between 20261106T000000Z and 20261120T000000Z\n{NO_REBOOT}\n"
            ),
            "delta.txt: of which system it is stands neither in its path nor in it",
        ),
    ] {
        assert_eq!(refused(&text, "", ""), expected);
    }
    let elsewhere = format!("{FOLDER}/release_notes_delta_20261113T000000Z.txt");
    let error = read_security_patch(&elsewhere, UBUNTU.as_bytes()).expect_err("another");
    assert!(error.to_string().ends_with(":1: another moment than in the path"), "{error}");
}
