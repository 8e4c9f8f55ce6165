//! Whether the node's programs reach the outside through a proxy: by the environment that
//! systemd gives to the runtime, to the kubelet, or to all units, systemd.exec(5).

use crate::host::{HostError, HostRoot};

const KEYS: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];
const LIMIT_BYTES: u64 = 64 * 1024;

const FOLDERS: [&str; 3] = [
    "/etc/systemd/system/containerd.service.d",
    "/etc/systemd/system/kubelet.service.d",
    "/etc/systemd/system.conf.d",
];

/// Where that is said.
pub(super) const PLACES: [&str; 6] = [
    FOLDERS[0],
    "/etc/systemd/system/containerd.service.d/{name}.conf",
    FOLDERS[1],
    "/etc/systemd/system/kubelet.service.d/{name}.conf",
    FOLDERS[2],
    "/etc/systemd/system.conf.d/{name}.conf",
];

/// The first file that names one.
pub(super) fn file(root: &HostRoot) -> Result<Option<String>, HostError> {
    for folder in FOLDERS {
        let names = match root.list(folder) {
            Err(HostError::Missing { .. }) => continue,
            names => names?,
        };
        for name in names.iter().filter(|name| name.ends_with(".conf")) {
            let path = format!("{folder}/{name}");
            // Byte by byte, and of the value nothing: it may hold a password.
            let outline = root.read_outline(&path, "", &KEYS, LIMIT_BYTES)?;
            if !outline.elsewhere.is_empty() || !outline.assignments.is_empty() {
                return Ok(Some(path));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_told_by_its_file_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = HostRoot::open(folder.path()).expect("a directory");
        assert_eq!(file(&root), Ok(None));
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, text).expect("written");
        };
        const DROP_IN: &str = "etc/systemd/system/containerd.service.d/a.conf";
        write(DROP_IN, "[Service]\n# HTTPS_PROXY=x\nEnvironment=\"NO_PROXY=a\"\n");
        assert_eq!(file(&root), Ok(None));
        for text in [
            "[Service]\nEnvironment=\"HTTPS_PROXY=http://u:p@192.0.2.1:3128\"\n",
            "[Service]\nEnvironment=https_proxy=http://192.0.2.1:3128 NO_PROXY=a\n",
        ] {
            write(DROP_IN, text);
            assert_eq!(file(&root), Ok(Some(format!("/{DROP_IN}"))), "{text}");
        }
        write(DROP_IN, "");
        write(
            "etc/systemd/system.conf.d/p.conf",
            "[Manager]\nDefaultEnvironment=\"HTTPS_PROXY=a\"\n",
        );
        assert_eq!(file(&root), Ok(Some("/etc/systemd/system.conf.d/p.conf".to_owned())));
    }
}
