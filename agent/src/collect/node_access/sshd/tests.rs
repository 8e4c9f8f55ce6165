//! Configurations of sshd, and what of them holds.

use super::*;

/// What is read of these files.
fn read(files: &[(&str, &str)]) -> SshdSettings {
    let folder = tempfile::tempdir().expect("a folder");
    for (path, text) in files {
        let path = folder.path().join("etc/ssh").join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }
    settings(&HostRoot::open(folder.path()).expect("a directory"))
}

fn value(files: &[(&str, &str)], name: &str) -> String {
    match read(files) {
        SshdSettings::Read { settings, .. } => {
            settings.into_iter().find(|one| one.name == name).expect("it is told").value
        }
        SshdSettings::Unreadable(unread) => format!("{}: {}", unread.path, unread.why),
    }
}

#[test]
fn the_first_value_holds_whatever_its_spelling() {
    for (text, expected) in [
        ("", "prohibit-password"),
        ("PermitRootLogin no\nPermitRootLogin yes\n", "no"),
        ("permitrootlogin=YES\n", "yes"),
        ("  PERMITROOTLOGIN = \"no\" # not root\n", "no"),
        ("#PermitRootLogin yes\n", "prohibit-password"),
        ("PermitRootLogin without-password\n", "prohibit-password"),
        ("Match User a\nPermitRootLogin yes\n", "prohibit-password"),
        ("Match User a\nPermitRootLogin yes\nMatch all\nPermitRootLogin no\n", "no"),
    ] {
        assert_eq!(value(&[("sshd_config", text)], "PermitRootLogin"), expected, "{text:?}");
    }
    let ports = [("sshd_config", "Port 22\nPort 2222\n")];
    assert_eq!(value(&ports, "Port"), "22 2222");
    let old = [("sshd_config", "ChallengeResponseAuthentication no\n")];
    assert_eq!(value(&old, "KbdInteractiveAuthentication"), "no");
    let keys = [("sshd_config", "AuthorizedKeysFile /etc/ssh/keys/%u  .ssh/Keys\n")];
    assert_eq!(value(&keys, "AuthorizedKeysFile"), "/etc/ssh/keys/%u .ssh/Keys");
}

#[test]
fn files_are_included_where_it_stands_in_the_order_of_their_names() {
    let included = [
        ("sshd_config", "Include sshd_config.d/*.conf\nPasswordAuthentication yes\n"),
        ("sshd_config.d/50-cloud.conf", "PasswordAuthentication no\nMatch User a\nPort 9\n"),
        ("sshd_config.d/60.conf", "PasswordAuthentication yes\nPort 2222\n"),
        ("sshd_config.d/a.conf.dpkg-old", "Port 1\n"),
        ("sshd_config.d/.b.conf", "Port 2\n"),
    ];
    assert_eq!(value(&included, "PasswordAuthentication"), "no");
    // A `Match` of an included file ends with it.
    assert_eq!(value(&included, "Port"), "2222");
    let SshdSettings::Read { settings, match_blocks, .. } = read(&included) else { panic!("read") };
    assert_eq!(match_blocks, 1);
    let source = settings.iter().find(|one| one.name == "PasswordAuthentication");
    assert_eq!(source.expect("told").source, "/etc/ssh/sshd_config.d/50-cloud.conf");
    // For some connections alone.
    let some = [("sshd_config", "Match User a\nInclude b\n"), ("b", "Port 7\n")];
    assert_eq!(value(&some, "Port"), "22");
    let none = [("sshd_config", "Include /etc/ssh/none/*.conf /etc/ssh/neither\nPort 7\n")];
    assert_eq!(value(&none, "Port"), "7");
}

#[test]
fn what_is_not_followed_is_told_and_nothing_is_taken_for_granted() {
    for (files, says) in [
        (&[("other", "")][..], "/etc/ssh/sshd_config: not there"),
        (&[("sshd_config", "Include sshd_config\n")], "include each other 16 deep"),
        (&[("sshd_config", "Include */x.conf\n")], "Include */x.conf is not followed"),
        (&[("sshd_config", "Include sshd_config.d\n"), ("sshd_config.d/a", "")], "is a directory"),
    ] {
        let told = value(files, "Port");
        assert!(told.contains(says), "{told}");
    }
}

#[test]
fn a_daemon_that_is_told_more_than_its_files_is_known_by_its_arguments() {
    for (line, expected) in [
        ("sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups", None),
        ("/usr/sbin/sshd -D", None),
        ("sshd: azureuser [priv]", None),
        ("sshd: azureuser@pts/0", None),
        ("sshd: /usr/sbin/sshd -D -o PermitRootLogin=yes [listener] 0 of 10", Some("-o")),
        ("/usr/sbin/sshd -p2222", Some("-p2222")),
    ] {
        let told = told_beside(&[line.to_owned()]);
        assert_eq!(told.as_deref(), expected, "{line}");
    }
}

/// The blocks of these files: place, criteria, and what is set there.
fn blocks(files: &[(&str, &str)]) -> Vec<(String, String, String)> {
    let SshdSettings::Read { blocks, .. } = read(files) else { panic!("read") };
    let told = blocks.into_iter().map(|block| {
        let criteria = block.criteria.iter().map(|one| format!("{} {}", one.name, one.patterns));
        let set = block.settings.iter().map(|one| format!("{} {}", one.name, one.value));
        let place = block.place.strip_prefix("/etc/ssh/").unwrap_or(&block.place).to_owned();
        (place, criteria.collect::<Vec<_>>().join(" "), set.collect::<Vec<_>>().join(", "))
    });
    told.collect()
}

#[test]
fn a_match_lasts_until_the_next_one_or_the_end_of_its_file() {
    let told = |place: &str, criteria: &str, set: &str| {
        (place.to_owned(), criteria.to_owned(), set.to_owned())
    };
    let text = "PermitRootLogin no\nMatch User root,a Address=10.0.0.0/8\n  PermitRootLogin yes\n\
                PermitRootLogin no\nmatch all\nPasswordAuthentication no\n";
    let expected = [
        told("sshd_config:2", "user root,a address 10.0.0.0/8", "PermitRootLogin yes"),
        told("sshd_config:5", "", "PasswordAuthentication no"),
    ];
    assert_eq!(blocks(&[("sshd_config", text)]), expected);
    // Around the blocks of an included file stands the one that includes it, which goes on
    // behind it.
    let files = [
        ("sshd_config", "Match User root\nInclude b\nPubkeyAuthentication no\n"),
        ("b", "PermitEmptyPasswords no\nMatch Address 10.0.0.0/8\nPasswordAuthentication yes\n"),
    ];
    let expected = [
        told("sshd_config:1", "user root", "PermitEmptyPasswords no"),
        told("b:2", "user root address 10.0.0.0/8", "PasswordAuthentication yes"),
        told("sshd_config:1", "user root", "PubkeyAuthentication no"),
    ];
    assert_eq!(blocks(&files), expected);
    let alone = [("sshd_config", "Match invalid-user\nPermitRootLogin yes\n")];
    assert_eq!(blocks(&alone), [told("sshd_config:1", "invalid-user ", "PermitRootLogin yes")]);
    let many = "Match User a\n".repeat(100);
    let SshdSettings::Read { blocks, match_blocks, .. } = read(&[("sshd_config", &many)]) else {
        panic!("read")
    };
    assert_eq!((blocks.len(), match_blocks), (BLOCKS, 100));
}
