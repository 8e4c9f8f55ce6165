//! What is read of sshd, of keys, of logins and of certificates, held against the programs
//! that make and use them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use nodeward_agent::collect::{COLLECTOR_LIMIT, COLLECTORS};
use nodeward_domain::component::Component;
use nodeward_domain::facts::{Certificates, ComponentState, NodeAccess};
use nodeward_domain::observed::State;
use nodeward_tests::host::HostCopy;
use nodeward_tests::judged::Judged;

/// The copy of a host root of which the files are written anew that a test is about.
fn copy() -> HostCopy {
    HostCopy::of("aks-ubuntu-2204")
}

fn collected(host: &HostCopy, component: Component) -> ComponentState {
    let collector = COLLECTORS.into_iter().find(|one| one.component == component);
    (collector.expect("one each").collect)(&host.host()).state
}

fn access(host: &HostCopy) -> Arc<NodeAccess> {
    match collected(host, Component::NodeAccess) {
        ComponentState::NodeAccess(State::Present(access)) => access,
        other => panic!("{other:?}"),
    }
}

fn certificates(host: &HostCopy) -> Arc<Certificates> {
    match collected(host, Component::Certificates) {
        ComponentState::Certificates(State::Present(certificates)) => certificates,
        other => panic!("{other:?}"),
    }
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    std::fs::write(path, text).expect("written");
}

/// What a program says that must succeed.
fn said(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("it can be started");
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// sshd tells the configuration that it would run with. It looks below `/etc/ssh` alone, so
/// that it is started where the copy's folder is mounted there.
mod real_sshd {
    use std::collections::BTreeMap;

    use nodeward_domain::facts::node_access::{Sshd, SshdSettings};
    use nodeward_tests::programs::installed;

    use super::*;

    const NAMES: [&str; 9] = [
        "AuthorizedKeysCommand",
        "AuthorizedKeysFile",
        "KbdInteractiveAuthentication",
        "PasswordAuthentication",
        "PermitEmptyPasswords",
        "PermitRootLogin",
        "Port",
        "PubkeyAuthentication",
        "UsePAM",
    ];

    /// What `sshd -T` says, by name, several values of one behind each other.
    fn tested(folder: &Path, more: &[&str]) -> BTreeMap<&'static str, String> {
        let sshd = installed("sshd");
        let script = "mount --bind \"$1\" /etc/ssh && mount -t tmpfs none /run && \
                      mkdir /run/sshd && shift && exec \"$@\"";
        let mut command = Command::new(installed("unshare"));
        command.args(["--mount", "sh", "-c", script, "sh"]).arg(folder);
        command.arg(sshd).arg("-T").args(more);
        let mut told: BTreeMap<&'static str, String> = BTreeMap::new();
        for line in said(&mut command).lines() {
            let (word, value) = line.split_once(' ').unwrap_or((line, ""));
            let name = NAMES.into_iter().find(|name| name.eq_ignore_ascii_case(word));
            let Some(name) = name else { continue };
            // The word that sshd itself has for `prohibit-password`.
            let value = value.replace("without-password", "prohibit-password");
            let known = told.entry(name).or_default();
            *known = format!("{known} {value}").trim().to_owned();
        }
        told
    }

    fn read(host: &HostCopy) -> BTreeMap<&'static str, String> {
        let access = access(host);
        let Sshd::There { settings: SshdSettings::Read { settings, .. }, .. } = &access.sshd else {
            panic!("{:?}", access.sshd)
        };
        let value = |name: &str| settings.iter().find(|one| one.name == name).cloned();
        // sshd shows what has blanks in it without quotes.
        let told = |name: &str| value(name).expect("each is told").value.replace('"', "");
        NAMES.map(|name| (name, told(name))).into_iter().collect()
    }

    /// Configurations that are awkward in the ways that sshd_config(5) allows: the file, and
    /// those of `sshd_config.d`.
    const CONFIGURATIONS: [(&str, &[(&str, &str)]); 12] = [
        ("", &[]),
        ("PermitRootLogin no\nPermitRootLogin yes\nPasswordAuthentication no\n", &[]),
        ("Port 22\nPort 2222\nUsePAM yes\n", &[]),
        ("permitrootlogin=yes\nPASSWORDAUTHENTICATION = no\nPort=2200\n", &[]),
        ("AuthorizedKeysFile \".ssh/a keys\" /etc/ssh/keys/%u\n", &[]),
        ("AuthorizedKeysFile none\nPermitRootLogin forced-commands-only # why\n", &[]),
        ("ChallengeResponseAuthentication no\nKbdInteractiveAuthentication yes\n", &[]),
        ("Match User a\n  PasswordAuthentication no\nMatch all\n  PermitRootLogin yes\n", &[]),
        (
            "Include /etc/ssh/sshd_config.d/*.conf\nPasswordAuthentication yes\nPort 22\n",
            &[("50-cloud-init.conf", "PasswordAuthentication no\n"), ("60.conf", "Port 2222\n")],
        ),
        (
            "Include sshd_config.d/*\nPermitRootLogin no\n",
            &[("a", "Match User b\nPermitRootLogin yes\n"), ("b", "PermitEmptyPasswords yes\n")],
        ),
        (
            "Match User a\nInclude sshd_config.d/a\nMatch all\nPubkeyAuthentication no\n",
            &[("a", "PermitRootLogin yes\n")],
        ),
        ("PasswordAuthentication no\nInclude sshd_config.d/none*.conf\n", &[(".hidden", "")]),
    ];

    /// A copy with these files of sshd, and the folder in which they lie.
    fn written(text: &str, others: &[(&str, &str)]) -> (HostCopy, PathBuf) {
        let host = copy();
        let folder = host.inside("/etc/ssh");
        std::fs::remove_dir_all(&folder).expect("it is there");
        write(&folder.join("sshd_config"), text);
        for (name, text) in others {
            write(&folder.join("sshd_config.d").join(name), text);
        }
        let key = folder.join("ssh_host_ed25519_key");
        let mut keygen = Command::new(installed("ssh-keygen"));
        said(keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key));
        (host, folder)
    }

    #[test]
    fn settings_are_read_as_sshd_reads_them() {
        for (text, others) in CONFIGURATIONS {
            let (host, folder) = written(text, others);
            assert_eq!(read(&host), tested(&folder, &[]), "{text:?} with {others:?}");
        }
    }

    /// Text of sshd_config, files that it includes, and whether root gets in by a password.
    type Configured<'a> = (String, &'a [(&'a str, &'a str)], bool);

    /// sshd says what it would do with a connection of root's from an address: it lets root in
    /// by a password where the check finds that.
    #[tokio::test]
    async fn match_blocks_count_as_they_do_for_sshd() {
        const IN: &str = "  PermitRootLogin yes\n  PasswordAuthentication yes\n";
        const OUT: &str = "PermitRootLogin no\nPasswordAuthentication no\n\
                           KbdInteractiveAuthentication no\n";
        let included: &[(&str, &str)] = &[("a", "Match Address 10.0.0.0/8\nPermitRootLogin yes\n")];
        let configurations: [Configured<'_>; 12] = [
            (OUT.to_owned(), &[], false),
            (format!("{OUT}Match User root\n{IN}"), &[], true),
            (format!("{OUT}Match User a,r*\n{IN}"), &[], true),
            (format!("{OUT}Match User *,!root\n{IN}"), &[], false),
            (format!("{OUT}Match Address 10.0.0.0/8\n{IN}"), &[], true),
            (format!("{OUT}Match User a Address 10.0.0.0/8\n{IN}"), &[], false),
            // It takes the place of what stands before it, also for everybody.
            (format!("{OUT}Match all\n{IN}"), &[], true),
            (format!("{}Match all\nPermitRootLogin no\n", IN.trim_start()), &[], false),
            (format!("{OUT}Match User root\nPermitRootLogin no\nMatch all\n{IN}"), &[], false),
            // A block ends with the next, and the first that says something counts.
            (format!("{OUT}Match User root\nX11Forwarding no\nMatch User a\n{IN}"), &[], false),
            // Around an included block stands the one that includes it.
            (
                format!(
                    "{OUT}Match User root\nPasswordAuthentication yes\nInclude sshd_config.d/a\n"
                ),
                included,
                true,
            ),
            (
                format!("{OUT}Match User a\nPasswordAuthentication yes\nInclude sshd_config.d/a\n"),
                included,
                false,
            ),
        ];
        for (text, others, is_let_in) in configurations {
            let (host, folder) = written(&text, others);
            let connection = "user=root,host=a.example,addr=10.1.2.3,laddr=10.0.0.4,lport=22";
            let told = tested(&folder, &["-C", connection]);
            let by_sshd =
                told["PermitRootLogin"] == "yes" && told["PasswordAuthentication"] == "yes";
            assert_eq!(by_sshd, is_let_in, "{text} {told:?}");
            let round = host.round(COLLECTOR_LIMIT).await;
            let judged = Judged::of(Component::NodeAccess, &round);
            let outcome = &judged.check("SshRootLoginByPassword").outcome;
            assert_eq!(outcome == "fail", is_let_in, "{text}: {outcome}");
            assert!(is_let_in || outcome == "pass", "{text}: {outcome}");
        }
    }
}

/// ssh-keygen(1) shows the keys of a file as people compare them.
mod real_ssh_keygen {
    use nodeward_tests::programs::installed;

    use super::*;

    #[test]
    fn keys_are_known_by_what_ssh_keygen_shows() {
        let host = copy();
        let folder = tempfile::tempdir().expect("a folder");
        let mut lines = String::from("# keys\n\n");
        for kind in ["ed25519", "rsa", "ecdsa"] {
            let path = folder.path().join(kind);
            let mut keygen = Command::new(installed("ssh-keygen"));
            said(keygen.args(["-q", "-t", kind, "-N", "", "-C", "a b", "-f"]).arg(&path));
            let public = std::fs::read_to_string(path.with_extension("pub")).expect("made");
            lines.push_str(&format!("from=\"10.0.0.0/8\",command=\"echo \\\"x y\\\"\" {public}"));
        }
        let path = host.inside("/home/azureuser/.ssh/authorized_keys");
        write(&path, &lines);
        let shown = said(Command::new(installed("ssh-keygen")).args(["-l", "-f"]).arg(&path));
        let mut shown: Vec<&str> =
            shown.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
        shown.sort_unstable();
        assert_eq!(shown.len(), 3);
        let access = access(&host);
        let account = access.accounts.iter().find(|one| one.name == "azureuser");
        assert_eq!(account.expect("an account").keys, shown);
    }
}

/// utmpdump(1) writes records as the system does, from text.
mod real_utmpdump {
    use jiff::Timestamp;
    use nodeward_domain::facts::node_access::{AccountLogins, Logins};
    use nodeward_tests::programs::installed;

    use super::*;

    const RECORDS: &str = "\
[2] [00000] [~~  ] [reboot  ] [~           ] [5.15.0-1124-azure   ] [0.0.0.0        ] [2026-11-10T08:12:31,000000+00:00]
[7] [04411] [ts/0] [azureuser] [pts/0       ] [198.51.100.7        ] [198.51.100.7   ] [2026-11-20T09:31:04,250000+00:00]
[8] [04411] [    ] [        ] [pts/0       ] [                    ] [0.0.0.0        ] [2026-11-20T09:40:00,000000+00:00]
[7] [05122] [ts/1] [root    ] [pts/1       ] [198.51.100.8        ] [198.51.100.8   ] [2026-11-21T22:00:01,000000+00:00]
[7] [06001] [ts/0] [azureuser] [pts/0       ] [198.51.100.7        ] [198.51.100.7   ] [2026-11-22T07:15:59,000000+00:00]
";

    #[test]
    fn records_are_read_as_they_were_written() {
        let host = copy();
        let text = host.inside("/records");
        write(&text, RECORDS);
        let path = host.inside("/var/log/wtmp");
        let status = Command::new(installed("utmpdump"))
            .args(["--reverse", "--output"])
            .arg(&path)
            .arg(&text)
            .stderr(Stdio::null())
            .status();
        assert!(status.expect("it can be started").success());
        let at = |text: &str| text.parse::<Timestamp>().expect("a moment");
        let login = |account: &str, last_at: &str, count| AccountLogins {
            account: account.to_owned(),
            last_at: at(last_at),
            count,
        };
        let expected = Logins::Read {
            files: vec!["/var/log/wtmp".to_owned()],
            since: Some(at("2026-11-10T08:12:31Z")),
            accounts: vec![
                login("azureuser", "2026-11-22T07:15:59Z", 2),
                login("root", "2026-11-21T22:00:01Z", 1),
            ],
            beside: None,
        };
        assert_eq!(access(&host).logins, expected);
    }
}

/// openssl(1) makes a certificate with its key behind it, as some tools keep them.
mod real_openssl {
    use jiff::Timestamp;
    use nodeward_domain::facts::kubelet::CertificateContent;
    use nodeward_domain::facts::{CertificateStore, TrustBundle};
    use nodeward_tests::programs::installed;

    use super::*;

    #[test]
    fn validity_is_read_as_openssl_tells_it() {
        let host = copy();
        let path = host.inside("/etc/kubernetes/pki/apiserver.crt");
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        let mut openssl = Command::new(installed("openssl"));
        openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "17"]);
        openssl.args(["-subj", "/O=kubeadm/CN=kube-apiserver", "-keyout", "/dev/null", "-out"]);
        said(openssl.arg(&path));
        let mut openssl = Command::new(installed("openssl"));
        openssl.args(["x509", "-noout", "-enddate", "-dateopt", "iso_8601", "-in"]);
        let end = said(openssl.arg(&path));
        let end = end.trim().trim_start_matches("notAfter=").replace(' ', "T");
        let end: Timestamp = end.parse().expect("a moment");
        let read = certificates(&host);
        let stored = read.files.iter().find(|one| one.path == "/etc/kubernetes/pki/apiserver.crt");
        let stored = stored.expect("it is told of");
        assert_eq!(stored.store, CertificateStore::Kubeadm);
        let CertificateContent::Certificates(all) = &stored.content else { panic!("{stored:?}") };
        assert_eq!(all.iter().map(|one| one.not_after).collect::<Vec<_>>(), [end]);
        assert_eq!(all[0].subject, "O=kubeadm, CN=kube-apiserver");
    }

    /// The list of authorities of the machine that the test runs on, where it has one.
    #[test]
    fn a_systems_own_list_of_authorities_is_read_whole() {
        let Ok(list) = std::fs::read("/etc/ssl/certs/ca-certificates.crt") else { return };
        let host = copy();
        std::fs::write(host.inside("/etc/ssl/certs/ca-certificates.crt"), &list).expect("written");
        let text = String::from_utf8(list).expect("PEM is text");
        let count = text.matches("-----BEGIN CERTIFICATE-----").count();
        let TrustBundle::Read { authorities, first_to_end, .. } = &certificates(&host).trust else {
            panic!("it is read")
        };
        assert_eq!(usize::try_from(*authorities), Ok(count));
        assert!(first_to_end.is_sorted_by_key(|one| one.not_after));
    }
}
