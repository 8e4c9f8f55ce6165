//! Whether the node's programs reach the outside through a proxy: by the environment that
//! systemd gives to the runtime, to the kubelet, or to all units, systemd.exec(5) and
//! systemd-system.conf(5).

use nix::errno::Errno;

use crate::host::{HostError, HostRoot};

/// A key with what stands behind it, so that of its value nothing is kept: it may hold a
/// password. In a file of `EnvironmentFile=` blanks may stand before the sign.
const PROXY: [&str; 4] = ["HTTPS_PROXY=", "HTTPS_PROXY ", "https_proxy=", "https_proxy "];
const FILE: &str = "EnvironmentFile";
const KEYS: [&str; 5] = [PROXY[0], PROXY[1], PROXY[2], PROXY[3], FILE];

const LIMIT_BYTES: u64 = 64 * 1024;

/// Where systemd looks for units and for what it is told itself, the most telling first.
const FOLDERS: [&str; 5] =
    ["/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd", "/lib/systemd"];

const UNITS: [&str; 2] = ["containerd.service", "kubelet.service"];

/// Where that is said.
pub(super) const PLACES: [&str; 6] = [
    "/etc/systemd/**",
    "/run/systemd/**",
    "/usr/local/lib/systemd/**",
    "/usr/lib/systemd/**",
    "/lib/systemd/**",
    "/etc/default/kubelet",
];

/// The first file that names one. A setting that a later file takes back counts all the
/// same: then endpoints are not probed, and nobody is accused.
pub(super) fn file(root: &HostRoot) -> Result<Option<String>, HostError> {
    let mut environments = Vec::new();
    for path in places(root)? {
        let Some(seen) = look(root, &path)? else { continue };
        if seen.is_proxied {
            return Ok(Some(path));
        }
        for named in seen.environments {
            if named.contains(['*', '?', '[', '%']) {
                let why = format!("{FILE}={named} is a pattern, which is not followed");
                return Err(HostError::Malformed { path, why });
            }
            environments.push(named);
        }
    }
    for path in environments {
        if look(root, &path)?.is_some_and(|seen| seen.is_proxied) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// What a file says.
struct Seen {
    is_proxied: bool,
    /// The files of variables that it names.
    environments: Vec<String>,
}

/// None where there is no file, or one that masks another.
fn look(root: &HostRoot, path: &str) -> Result<Option<Seen>, HostError> {
    let outline = match root.read_outline(path, "", &KEYS, LIMIT_BYTES) {
        Err(HostError::Missing { .. } | HostError::WrongKind { kind: "character device", .. }) => {
            return Ok(None);
        }
        outline => outline?,
    };
    let named = outline.assignments.into_iter().map(|one| {
        // A file that may be missing has a dash before its name.
        one.value.strip_prefix('-').unwrap_or(&one.value).to_owned()
    });
    Ok(Some(Seen {
        is_proxied: outline.elsewhere.iter().any(|key| PROXY.contains(&key.as_str())),
        environments: named.filter(|path| !path.is_empty()).collect(),
    }))
}

/// The files that may say it: the units and what is added to them, then what systemd gives
/// to all units.
fn places(root: &HostRoot) -> Result<Vec<String>, HostError> {
    let mut places = Vec::new();
    for unit in UNITS {
        let units = FOLDERS.map(|folder| format!("{folder}/system/{unit}"));
        first(root, &units, &mut places)?;
        for folder in FOLDERS {
            drop_ins(root, &format!("{folder}/system/{unit}.d"), &mut places)?;
        }
    }
    for folder in FOLDERS {
        drop_ins(root, &format!("{folder}/system/service.d"), &mut places)?;
    }
    first(root, &FOLDERS.map(|folder| format!("{folder}/system.conf")), &mut places)?;
    for folder in FOLDERS {
        drop_ins(root, &format!("{folder}/system.conf.d"), &mut places)?;
    }
    Ok(places)
}

/// Of files of one name the first that is there counts.
fn first(root: &HostRoot, paths: &[String], places: &mut Vec<String>) -> Result<(), HostError> {
    for path in paths {
        match root.look(path) {
            Err(HostError::Missing { .. } | HostError::System { errno: Errno::ENOTDIR, .. }) => {}
            looked => {
                looked?;
                places.push(path.clone());
                break;
            }
        }
    }
    Ok(())
}

fn drop_ins(root: &HostRoot, folder: &str, places: &mut Vec<String>) -> Result<(), HostError> {
    let names = match root.list(folder) {
        Err(HostError::Missing { .. } | HostError::System { errno: Errno::ENOTDIR, .. }) => {
            return Ok(());
        }
        names => names?,
    };
    let names = names.iter().filter(|name| name.ends_with(".conf"));
    places.extend(names.map(|name| format!("{folder}/{name}")));
    Ok(())
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
    #[test]
    fn a_proxy_may_stand_in_a_unit_in_its_environment_file_and_in_the_managers() {
        for (path, text) in [
            ("usr/lib/systemd/system/kubelet.service", "[Service]\nEnvironment=HTTPS_PROXY=a\n"),
            ("run/systemd/system/service.d/a.conf", "[Service]\nEnvironment=https_proxy=a\n"),
            ("etc/systemd/system.conf", "[Manager]\nDefaultEnvironment=A=b HTTPS_PROXY=a\n"),
            ("usr/lib/systemd/system.conf.d/a.conf", "DefaultEnvironment='https_proxy=a'\n"),
        ] {
            let folder = tempfile::tempdir().expect("a folder");
            write(folder.path(), path, text);
            let root = HostRoot::open(folder.path()).expect("a directory");
            assert_eq!(file(&root), Ok(Some(format!("/{path}"))));
        }
        let folder = tempfile::tempdir().expect("a folder");
        let root = HostRoot::open(folder.path()).expect("a directory");
        const UNIT: &str = "etc/systemd/system/containerd.service";
        write(folder.path(), UNIT, "[Service]\nEnvironmentFile=-/etc/default/containerd\n");
        assert_eq!(file(&root), Ok(None));
        const ENVIRONMENT: &str = "etc/default/containerd";
        write(folder.path(), ENVIRONMENT, "# HTTPS_PROXY=a\nNO_PROXY=a\n");
        assert_eq!(file(&root), Ok(None));
        for text in ["A=b\nHTTPS_PROXY=http://u:p@192.0.2.1\n", "https_proxy = \"a\"\n"] {
            write(folder.path(), ENVIRONMENT, text);
            assert_eq!(file(&root), Ok(Some(format!("/{ENVIRONMENT}"))), "{text}");
        }
        write(folder.path(), UNIT, "[Service]\nEnvironmentFile=/etc/default/*\n");
        assert_eq!(file(&root).expect_err("not followed").path(), format!("/{UNIT}"));
    }

    fn write(root: &std::path::Path, path: &str, text: &str) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }
}
