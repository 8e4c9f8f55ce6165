//! Release notes in the forms in which AKS's image builder writes them, made up for these
//! tests.

use super::*;

const APT: &str = "\
Listing...
acr-mirror/now 0.3.1-1 amd64 [installed,local]
containerd/jammy-updates,now 1.7.33 amd64 [installed,upgradable to: 2.3.2]
libc6/jammy-updates,jammy-security,now 2.35-0ubuntu3.13 amd64 [installed,automatic]
linux-image-5.15.0-1115-azure/jammy-updates,now 5.15.0-1115.124 amd64 [installed]
old/now 1.0 all [residual-config]
";

const RPM: &str = "\
filesystem-1.1-21.azl3.x86_64
gpg-pubkey-3135ce90-5e6fda74
kernel-6.6.57.1-6.azl3.x86_64
overlaybd-1.0.16-20250818.4601fb2.mariner.2.0.x86_64
kernel-6.6.57.1-7.azl3.x86_64
tzdata-2024a-1.azl3.noarch
";

/// A note with that list, of 28 lines and those of the list.
fn note(list: &str) -> String {
    format!(
        "\
Starting build on  Thu Jul 2 07:16:05 UTC 2026
Components downloaded in this VHD build (some may get deleted):
  - runc version 1.4.3-ubuntu22.04u1
  - containerd version 1.7.33-ubuntu22.04u1
  - nvidia-cuda-driver=580.159.04
  - 
images pre-pulled:
  - example.com/oss/pause:3.6
  - bcc-tools
kubelet/kubectl downloaded:
-rwxr-xr-x 1 root root 100530648 Aug 25  2025 /opt/bin/kubelet-1.34.8
=== Installed Packages Begin
{list}=== Installed Packages End
Disk usage:
/dev/root        29G   27G  2.4G  92% /
=== os-release Begin
PRETTY_NAME=\"Ubuntu 22.04.5 LTS\"
VERSION_ID=\"22.04\"
ID=ubuntu
=== os-release End
BootOrder: 0004,0001\tFile(\\EFI\x0b\x1b)
Using kernel:
Linux version 5.15.0-1116-azure (buildd@host) (gcc 11.4.0) #125-Ubuntu SMP Fri Jun 19 2026
Install completed successfully on  Thu Jul 2 07:32:57 UTC 2026
VSTS Build NUMBER: 20260702.1
Feature flags: None
FIPS enabled: False
"
    )
}

const PATH: &str = "AKSUbuntu/gen2/2204containerd/202607.02.0.txt";

/// Of what system it is, is held by a test of its own.
fn read(text: &str) -> Result<ImageNote, ImageNoteError> {
    let (family, version) = named_by_path(PATH).expect("a path of a note");
    read_image_note_of(&family, &version, PATH, text.as_bytes())
}

#[test]
fn a_note_of_another_system_than_that_of_its_line_is_refused() {
    let in_folder = |folder: &str, text: &str| {
        let file = format!("{folder}/202607.02.0.txt");
        read_image_note(&file, text.as_bytes()).map(|_| ()).map_err(|error| error.to_string())
    };
    let jammy = note(APT);
    assert_eq!(in_folder("AKSUbuntu-2204gen2containerd", &jammy), Ok(()));
    for (folder, text, expected) in [
        ("AKSAzureLinux-V3gen2", jammy.clone(), "have azurelinux 3.0, and this has ubuntu 22.04"),
        (
            "AKSUbuntu-2404gen2containerd",
            jammy.clone(),
            "have ubuntu 24.04, and this has ubuntu 22",
        ),
        ("AKSWindows-2022-containerd-gen2", jammy, "have windows, and this has ubuntu 22.04"),
        (
            "AKSUbuntu-2204gen2containerd",
            note(RPM),
            "have ubuntu 22.04, and this has a list of rpm",
        ),
    ] {
        let error = in_folder(folder, &text).expect_err("another system");
        assert!(error.starts_with(folder) && error.contains(expected), "{error}");
    }
}

#[test]
fn a_build_that_is_to_come_is_refused_by_its_line() {
    let release = read(&note(APT)).expect("a note").release;
    let of = |now: &str| refuse_to_come(PATH, &release, now.parse().expect("a moment"));
    assert!(of("2026-07-01T08:00:00Z").is_ok(), "clocks differ");
    let error = of("2026-07-01T07:00:00Z").expect_err("to come").to_string();
    assert!(
        error.ends_with(
            "202607.02.0.txt:1: the build began at 2026-07-02T07:16:05Z, which is to come"
        ),
        "{error}"
    );
}

fn refused(text: &str) -> String {
    read(text).expect_err("odd").to_string()
}

/// What was read, after holding that its text reads as the same.
fn whole(text: &str) -> ImageNote {
    let note = read(text).expect("a note");
    assert_eq!(note.render(), text);
    assert_eq!(read(&note.render()).expect("a note"), note);
    note
}

#[test]
fn a_note_of_apt_gives_name_time_kernel_system_and_packages() {
    let ImageNote { release, .. } = whole(&note(APT));
    assert_eq!(release.label().to_string(), "AKSUbuntu-2204gen2containerd-202607.02.0");
    assert_eq!(release.built_at, Some("2026-07-02T07:16:05Z".parse().expect("a moment")));
    assert_eq!(release.kernel.as_deref(), Some("5.15.0-1116-azure"));
    assert_eq!(release.os_id.as_deref(), Some("ubuntu"));
    assert_eq!(release.os_version_id.as_deref(), Some("22.04"));
    assert_eq!(release.listed().map(<[_]>::len), Some(4));
    assert_eq!(release.versions_of("libc6").collect::<Vec<_>>(), ["2.35-0ubuntu3.13"]);
    // Not installed, only its configuration is left.
    assert_eq!(release.versions_of("old").count(), 0);
}

#[test]
fn a_note_of_rpm_may_list_two_kernels_and_has_keys_among_its_packages() {
    let ImageNote { release, .. } = whole(&note(RPM));
    assert_eq!(release.listed().map(<[_]>::len), Some(6));
    let kernels: Vec<&str> = release.versions_of("kernel").collect();
    assert_eq!(kernels, ["6.6.57.1-6.azl3", "6.6.57.1-7.azl3"]);
    let packages = release.listed().unwrap_or_default();
    let has = |version: &str, architecture: &str| {
        packages.iter().any(|one| one.version == version && one.architecture == architecture)
    };
    assert!(has("3135ce90-5e6fda74", ""));
    assert!(packages.iter().any(|one| one.version == "1.0.16-20250818.4601fb2.mariner.2.0"));
    assert!(packages.iter().any(|one| one.architecture == "noarch"));
}

#[test]
fn the_sections_stand_in_order_and_components_have_versions() {
    let note = whole(&note(APT));
    let kinds: Vec<&str> = note
        .sections
        .iter()
        .map(|section| match section {
            Section::Build(_) => "build",
            Section::List { .. } => "list",
            Section::Packages(_) => "packages",
            Section::OsRelease(_) => "os-release",
            Section::Kernel(_) => "kernel",
            Section::Other(_) => "other",
        })
        .collect();
    assert_eq!(
        kinds,
        [
            "build",
            "list",
            "list",
            "other",
            "packages",
            "other",
            "os-release",
            "other",
            "kernel",
            "other"
        ]
    );
    assert_eq!(
        note.components().collect::<Vec<_>>(),
        [("runc", "1.4.3-ubuntu22.04u1"), ("containerd", "1.7.33-ubuntu22.04u1")]
    );
}

#[test]
fn a_stub_gives_unknown_packages_and_the_reason() {
    let unknown = |list: &str| match whole(&note(list)).release.packages {
        ShippedPackages::Unknown(why) => why,
        ShippedPackages::Listed(packages) => panic!("{packages:?}"),
    };
    assert_eq!(
        unknown("listInstalledPackages stub\n"),
        "the image builder lists no packages of it: `listInstalledPackages stub`"
    );
    for list in ["", "\n", "Listing...\n", "Listing...\nold/now 1.0 all [residual-config]\n"] {
        assert_eq!(unknown(list), "the list of packages is empty");
    }
}

#[test]
fn a_note_of_windows_gives_its_build_and_unknown_packages() {
    let text = "\u{feff}Build Number: Release_20260812.1_v20260812\r\nCommit:       87b4\r\n\r\n\
                System Info\r\n\tOS Name        : Windows Server 2022 Datacenter\r\n\
                \tOS Version     : 20348.5499\r\n\r\nInstalled Packages\r\n\tOpenSSH.Client~~~~0.0.1.0\r\n\
                \r\nInstalled QFEs\r\n\tKB5120242 : Security Update : https://example.com/kb\r\n\r\n";
    let path = "AKSWindows-2022-containerd/20348.5499.260812.txt";
    let note = read_image_note(path, text.as_bytes()).expect("a note");
    assert_eq!(note.render(), text);
    assert_eq!(note.release.label().to_string(), "AKSWindows-2022-containerd-20348.5499.260812");
    assert_eq!(note.release.os_id.as_deref(), Some("windows"));
    assert_eq!(note.release.os_version_id.as_deref(), Some("20348.5499"));
    assert_eq!(note.release.built_at, None);
    assert_eq!(note.release.packages, ShippedPackages::Unknown(WINDOWS_LISTS_NONE.to_owned()));
    let cut = read_image_note(path, &text.as_bytes()[..90]).expect_err("cut");
    assert_eq!(cut.to_string(), format!("{path}:5: cut off: the last line has no end"));
}

#[test]
fn a_note_that_went_through_windows_says_the_same() {
    let plain = whole(&note(APT));
    let marked = whole(&format!("\u{feff}{}", note(APT).replace('\n', "\r\n")));
    assert_eq!(marked.release, plain.release);
    assert_eq!(marked.sections, plain.sections);
    assert_eq!((marked.line_end, marked.has_mark), (LineEnd::CrLf, true));
}

#[test]
fn a_note_on_a_node_takes_its_name_from_elsewhere() {
    let path = "/opt/azure/vhd-install.complete";
    let text = note(APT);
    let error = read_image_note(path, text.as_bytes()).expect_err("no name");
    assert_eq!(
        error.to_string(),
        format!("{path}: the path names no image, as <family>/<version>.txt does")
    );
    let family = "AKSUbuntu-2204gen2containerd";
    let note = read_image_note_of(family, "202607.02.0", path, text.as_bytes()).expect("a note");
    assert_eq!(note.release, whole(&text).release);
}

#[test]
fn wherever_a_note_is_cut_it_is_refused_with_the_line() {
    let text = note(APT);
    for length in 0..text.len() - 1 {
        if text.is_char_boundary(length) {
            let error = read(&text[..length]).expect_err("cut off");
            let is_named = error.to_string().starts_with(&format!("{PATH}:"));
            assert!(is_named, "{length}: {error}");
        }
    }
    let cut = |mark: &str| refused(&text[..text.find(mark).expect("a mark")]);
    assert_eq!(cut("115.124"), format!("{PATH}:17: cut off: the last line has no end"));
    assert_eq!(cut("rity,now"), format!("{PATH}:16: cut off: the last line has no end"));
    assert_eq!(
        cut("libc6"),
        format!("{PATH}:15: cut off: the list of installed packages has no end")
    );
    assert_eq!(cut("ID=ubuntu"), format!("{PATH}:24: cut off: os-release has no end"));
    assert_eq!(cut("Linux version"), format!("{PATH}:28: cut off: no kernel that runs"));
    assert_eq!(
        cut("Install completed"),
        format!("{PATH}:29: cut off: no line `Install completed successfully on`")
    );
    assert_eq!(cut("FIPS"), format!("{PATH}:32: cut off: no line `FIPS enabled:`"));
}

#[test]
fn an_error_names_the_line_and_the_reason() {
    let text = note(APT);
    let changed = |from: &str, to: &str| refused(&text.replace(from, to));
    assert_eq!(
        changed(" amd64 [installed,automatic]", " amd64"),
        format!("{PATH}:16: no `name/suites version architecture [state]` of apt")
    );
    for half in ["7.azl3.x86_", "7.azl3."] {
        let rpm = note(RPM).replace("7.azl3.x86_64", half);
        let what = "no `name-version-release.architecture` of rpm";
        assert_eq!(refused(&rpm), format!("{PATH}:17: {what}"));
    }
    assert_eq!(
        refused(&note("no list\n")),
        format!("{PATH}:13: no `name-version-release.architecture` of rpm")
    );
    assert_eq!(changed("07:16:05", "7 o'clock"), format!("{PATH}:1: the time of the build"));
    assert_eq!(changed("Linux version", "Linux"), format!("{PATH}:29: no kernel that runs"));
    let twice = text.replace("Disk usage:\n", "=== os-release Begin\n=== os-release End\n");
    assert_eq!(refused(&twice), format!("{PATH}:23: a second os-release"));
    let other = "it begins neither as one of Linux nor of Windows";
    assert_eq!(refused("#!/bin/sh\n"), format!("{PATH}: no note of a node image: {other}"));
    let bytes = [text.as_bytes(), b"\xff\n"].concat();
    let error = read_image_note(PATH, &bytes).expect_err("no text");
    assert_eq!(error.to_string(), format!("{PATH}: no UTF-8"));
}
