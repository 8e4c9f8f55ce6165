//! Collects `cni`: the first configuration of a network plugin in `/etc/cni/net.d`, in the
//! order in which the container runtime takes them, and what the node's route table shows.

mod configuration;
mod routes;

use std::sync::Arc;

use nodeward_domain::facts::{Cni, CniConfiguration, ComponentState};
use nodeward_domain::observed::State;

use super::{Collected, state};
use crate::host::{Host, HostError};
use crate::reads::Read;

const FOLDER: &str = "/etc/cni/net.d";

/// What the runtime takes for a configuration, by its ending.
const ENDINGS: [&str; 3] = [".conf", ".conflist", ".json"];

/// So many other files are named.
const NAMED: usize = 64;

/// What is read.
pub(super) const READS: &[Read] = &[
    Read::of(&["/etc/cni/net.d"], "The names of the files."),
    Read::of(
        &["/etc/cni/net.d/{name}"],
        "The first file ending in `.conf`, `.conflist` or `.json`: name, kinds and modes of the \
         plugins. What else stands there, such as a token, is passed over byte by byte. Other \
         files are not opened.",
    ),
    Read::of(
        &["/proc/1/net/route"],
        "Links of the default routes, and whether there are routes to pods as Azure CNI makes \
         them.",
    ),
    Read::of(&["/proc/2/net/route"], "The same, where process 1 is closed to us."),
];

pub(super) fn collect(host: &Host) -> Collected {
    ComponentState::Cni(state(read(host))).into()
}

fn read(host: &Host) -> Result<State<Cni>, HostError> {
    let mut names = match host.root.list(FOLDER) {
        Err(HostError::Missing { .. }) => return Ok(State::Absent),
        names => names?,
    };
    if names.is_empty() {
        return Ok(State::Absent);
    }
    let first = first(host, &mut names)?;
    names.truncate(NAMED);
    Ok(State::Present(Arc::new(Cni {
        configuration: first,
        other_files: names,
        routes: routes::read(&host.root),
    })))
}

/// The first configuration, whose name is taken out of the others. The runtime passes over
/// folders; where there is nothing else, one of that name is not what is meant to be there.
fn first(host: &Host, names: &mut Vec<String>) -> Result<Option<CniConfiguration>, HostError> {
    let is_configuration = |name: &String| ENDINGS.iter().any(|ending| name.ends_with(ending));
    let mut folder = None;
    for at in (0..names.len()).filter(|at| is_configuration(&names[*at])) {
        match configuration::read(&host.root, &format!("{FOLDER}/{}", names[at])) {
            Err(error @ HostError::WrongKind { kind: "directory", .. }) => {
                folder.get_or_insert(error);
            }
            read => {
                names.remove(at);
                return read.map(Some);
            }
        }
    }
    folder.map_or(Ok(None), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::host::HostRoot;
    use crate::probe::Probes;

    /// What is seen of a host with these files in the folder.
    fn seen(files: &[(&str, &str)]) -> Result<State<Cni>, HostError> {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join(FOLDER.trim_start_matches('/'));
        std::fs::create_dir_all(&folder).expect("made");
        for (name, text) in files {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        read(&Host::new(
            HostRoot::open(root.path()).expect("a directory"),
            Probes::Off("a copy".to_owned()),
        ))
    }

    fn present(files: &[(&str, &str)]) -> Arc<Cni> {
        match seen(files) {
            Ok(State::Present(cni)) => cni,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_first_configuration_by_name_counts() {
        let cni = present(&[
            ("20-last.conf", r#"{"name": "last", "type": "bridge"}"#),
            (
                "10-first.conflist",
                r#"{"name": "first", "plugins": [{"type": "azure-vnet", "mode": "transparent", "ipam": {"type": "azure-cns", "mode": "v4overlay"}}, {"type": "portmap"}]}"#,
            ),
            ("05-gone.conflist.bak", "no JSON"),
            ("calico-kubeconfig", "token: secret"),
        ]);
        let configuration = cni.configuration.as_ref().expect("one");
        assert_eq!(configuration.path, "/etc/cni/net.d/10-first.conflist");
        assert_eq!(configuration.name, "first");
        let kinds: Vec<&str> = configuration.plugins.iter().map(|one| one.kind.as_str()).collect();
        assert_eq!(kinds, ["azure-vnet", "portmap"]);
        assert_eq!(configuration.plugins[0].ipam_mode, "v4overlay");
        assert_eq!(cni.other_files, ["05-gone.conflist.bak", "20-last.conf", "calico-kubeconfig"]);
    }

    #[test]
    fn one_plugin_may_stand_beside_the_name() {
        let text = r#"{"cniVersion": "0.3.1", "name": "cilium", "type": "cilium-cni"}"#;
        let cni = present(&[("05-cilium.conf", text)]);
        assert_eq!(cni.configuration.as_ref().expect("one").plugins[0].kind, "cilium-cni");
    }

    #[test]
    fn folders_and_members_that_are_null_do_not_matter() {
        let text =
            r#"{"name": null, "plugins": [{"type": "macvlan", "mode": null, "ipam": null}]}"#;
        let cni = present(&[("00.conf/x", ""), ("10.conf", text)]);
        let configuration = cni.configuration.as_ref().expect("one");
        assert_eq!(configuration.path, "/etc/cni/net.d/10.conf");
        assert_eq!(configuration.plugins[0].kind, "macvlan");
        assert_eq!(cni.other_files, ["00.conf"]);
    }

    #[test]
    fn what_is_no_configuration_is_none_and_a_broken_one_is_told() {
        assert_eq!(seen(&[]), Ok(State::Absent));
        assert_eq!(present(&[("a.bak", "")]).configuration, None);
        let token = r#"{"name": {"k8s_auth_token": "secret"}}"#;
        for text in ["", "{", "[1]", r#"{"plugins": 1}"#, token] {
            let error = seen(&[("a.conf", text)]).expect_err(text);
            assert_eq!(error.path(), "/etc/cni/net.d/a.conf");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        let long = format!("{{\"name\": \"a\"}}{}", " ".repeat(70_000));
        let error = seen(&[("a.conf", &long)]).expect_err("too long");
        assert!(matches!(error, HostError::TooLong { .. }), "{error:?}");
    }
}
