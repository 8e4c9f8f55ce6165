//! What is told of files, and what is not.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use super::*;
use crate::host::HostRoot;
use crate::probe::Probes;
use crate::reads::Asked;

/// What is told of a root with these files.
fn told(files: &[(&str, &str)], also: impl FnOnce(&Path)) -> (Files, Vec<String>) {
    let folder = tempfile::tempdir().expect("a folder");
    for (path, text) in files {
        let path = folder.path().join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }
    also(folder.path());
    let asked = Asked::noting();
    let host = Host::new(
        HostRoot::open(folder.path()).expect("a directory").noting(asked.clone()),
        Probes::Recorded(Box::default()),
    );
    let ComponentState::Files(State::Present(files)) = collect(&host).state else {
        panic!("files are there")
    };
    (files.as_ref().clone(), asked.opened())
}

fn content<'a>(files: &'a Files, path: &str) -> &'a FileContent {
    &files.file(path).unwrap_or_else(|| panic!("{path} is told of")).form.content
}

#[test]
fn what_may_be_a_secret_is_not_opened() {
    let secrets = [
        "/etc/default/kubelet",
        "/var/lib/kubelet/kubeconfig",
        "/etc/kubernetes/azure.json",
        "/etc/kubernetes/manifests/etcd.yaml",
        "/etc/systemd/system/containerd.service.d/http-proxy.conf",
    ];
    let (files, opened) = told(&secrets.map(|path| (path, "secret")), |_| {});
    for path in secrets {
        assert_eq!(content(&files, path), &FileContent::NotRead, "{path}");
        assert_eq!(files.file(path).and_then(|file| file.size_bytes), None, "{path}");
    }
    assert_eq!(opened, Vec::<String>::new());
}

#[test]
fn what_is_a_nodes_own_makes_no_difference() {
    const UNIT: &str = "/etc/systemd/system/kubelet.service";
    let digest = |address: &str| {
        let unit =
            format!("[Service]\nExecStart=/opt/bin/kubelet --v=2 \\\n --node-ip={address}\n");
        let (files, _) = told(&[(UNIT, &unit)], |_| {});
        content(&files, UNIT).clone()
    };
    assert_eq!(digest("10.224.0.4"), digest("10.224.0.5"));
    let (other, _) = told(&[(UNIT, "[Service]\nExecStart=/opt/bin/kubelet --v=9\n")], |_| {});
    assert_ne!(content(&other, UNIT), &digest("10.224.0.4"));
}

#[test]
fn links_are_not_followed_and_what_is_no_file_is_told_by_its_kind() {
    let (files, opened) = told(&[("/etc/sudoers", "root ALL=(ALL) ALL\n")], |root| {
        let units = root.join("etc/systemd/system");
        std::fs::create_dir_all(units.join("kubelet.service.d/deep")).expect("made");
        std::fs::create_dir_all(units.join("multi-user.target.wants")).expect("made");
        let wanted = units.join("multi-user.target.wants/chrony.service");
        symlink("/usr/lib/systemd/system/chrony.service", wanted).expect("made");
        symlink("../../../../../../etc/passwd", units.join("out.service")).expect("made");
        symlink("self.service", units.join("self.service")).expect("made");
        let fifo = units.join("kubelet.service.d/a.conf");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("made");
        let sudoers = root.join("etc/sudoers");
        std::fs::set_permissions(sudoers, std::fs::Permissions::from_mode(0o4440))
            .expect("its owner");
    });
    let system = |name: &str| content(&files, &format!("/etc/systemd/system/{name}")).clone();
    let link = |target: &str| FileContent::Link(target.to_owned());
    let wanted = "/usr/lib/systemd/system/chrony.service";
    assert_eq!(system("multi-user.target.wants/chrony.service"), link(wanted));
    assert_eq!(system("out.service"), link("../../../../../../etc/passwd"));
    assert_eq!(system("self.service"), link("self.service"));
    assert_eq!(system("kubelet.service.d/a.conf"), FileContent::Other("FIFO".to_owned()));
    assert_eq!(system("kubelet.service.d/deep"), FileContent::Other("directory".to_owned()));
    assert_eq!(files.file("/etc/sudoers").map(|file| file.form.mode), Some(0o4440));
    assert_eq!(opened, ["/etc/sudoers"]);
}

#[test]
fn more_than_are_looked_at_are_counted_and_one_that_is_too_long_says_so() {
    let many: Vec<String> =
        (0..FILES + 7).map(|number| format!("/etc/sysctl.d/{number:04}.conf")).collect();
    let mut all: Vec<(&str, &str)> = many.iter().map(|path| (path.as_str(), "a=1\n")).collect();
    let long = "#".repeat(LIMIT_BYTES as usize + 1);
    all.push(("/etc/chrony.conf", &long));
    let (files, _) = told(&all, |_| {});
    assert_eq!((files.files.len(), files.left_out), (FILES, 8));
    assert!(!files.is_complete());
    assert!(matches!(content(&files, "/etc/chrony.conf"), FileContent::Unreadable(_)));
}
