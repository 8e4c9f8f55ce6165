//! `nodeward ca`: an authority of one's own, and what it issues.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use nodeward_proto::identity::{Clusters, Identity, Role};
use nodeward_tests::programs;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

fn ca(folder: &Path, line: &str) -> Output {
    let mut command = Command::new(programs::nodeward());
    command.current_dir(folder).arg("ca").args(line.split_whitespace());
    command.output().expect("it runs")
}

fn good(folder: &Path, line: &str) -> String {
    let output = ca(folder, line);
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn named(path: &Path) -> Identity {
    let text = std::fs::read(path).expect("a file");
    let (_, pem) = x509_parser::pem::parse_x509_pem(&text).expect("PEM");
    let (_, read) = X509Certificate::from_der(&pem.contents).expect("a certificate");
    let names = read.subject_alternative_name().expect("readable").expect("names");
    let uris = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    Identity::from_uris(uris).expect("an identity")
}

#[test]
fn an_authority_issues_to_nodes_and_holders_and_overwrites_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    assert!(good(folder.path(), "init").contains("wrote ./ca.pem"));
    let holder = |role, clusters| Identity::Holder { role, name: "ann".to_owned(), clusters };
    good(folder.path(), "issue --out n --node a --uid 1-2 --cluster prod");
    let node =
        Identity::Node { cluster: "prod".to_owned(), node: "a".to_owned(), uid: "1-2".to_owned() };
    assert_eq!(named(&path("n.pem")), node);
    good(folder.path(), "issue --out drawn --node a --cluster prod");
    assert!(matches!(named(&path("drawn.pem")), Identity::Node { uid, .. } if uid.len() == 32));
    good(folder.path(), "issue --out r --reader ann --cluster *");
    assert_eq!(named(&path("r.pem")), holder(Role::Reader, Clusters::All));
    good(folder.path(), "issue --out a --admin ann --valid 1d");
    assert_eq!(named(&path("a.pem")), holder(Role::Admin, Clusters::All));
    good(folder.path(), "issue --out y --relay ann --cluster prod");
    assert_eq!(named(&path("y.pem")), holder(Role::Relay, Clusters::one("prod")));
    good(folder.path(), "issue --out s --server localhost --server 127.0.0.1");
    for key in ["ca.key", "n.key", "s.key"] {
        let mode = std::fs::metadata(path(key)).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{key}");
    }
    let before = std::fs::read(path("ca.key")).expect("a key");
    for wrong in [
        "init",
        "issue --out n --node a --cluster prod",
        "issue --out x --node a",
        "issue --out x --node a --cluster prod --cluster test",
        "issue --out x --node A/B --cluster prod",
        "issue --out x --node a --uid a/b --cluster prod",
        "issue --out x --relay ann --cluster *",
        "issue --out x --server a/b",
        "issue --out x",
        "issue --out x --admin ann --reader bob --cluster prod",
        "issue --ca nowhere --out x --admin ann",
    ] {
        assert_eq!(ca(folder.path(), wrong).status.code(), Some(2), "{wrong}");
        assert!(!path("x.pem").exists() && !path("x.key").exists(), "{wrong}");
    }
    assert_eq!(std::fs::read(path("ca.key")).expect("a key"), before);
}
