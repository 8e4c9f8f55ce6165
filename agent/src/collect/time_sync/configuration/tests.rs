//! Configurations as distributions ship them and as people change them.

use std::os::unix::fs::symlink;
use std::path::Path;

use nodeward_domain::facts::PhcTarget;

use super::*;

/// A host root with these files.
fn root(files: &[(&str, &str)]) -> (tempfile::TempDir, HostRoot) {
    let folder = tempfile::tempdir().expect("a folder");
    for (path, text) in files {
        let path = folder.path().join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }
    let root = HostRoot::open(folder.path()).expect("a directory");
    (folder, root)
}

fn read_of(root: &HostRoot) -> Configuration {
    read(root, &ChronydArguments::default(), &[]).expect("a good configuration")
}

/// File, line and text of each source.
fn named(configuration: &Configuration) -> Vec<(&str, u32, &str)> {
    configuration
        .sources
        .iter()
        .map(|source| (source.file.as_str(), source.line, source.text.as_str()))
        .collect()
}

#[test]
fn debians_file_names_its_pool_and_reads_the_folders_after_it() {
    let main = "# Welcome\nconfdir /etc/chrony/conf.d\npool 2.debian.pool.ntp.org iburst\n\
                sourcedir /run/chrony-dhcp\nsourcedir /etc/chrony/sources.d\n";
    let (_folder, root) = root(&[
        ("/etc/chrony/chrony.conf", main),
        ("/etc/chrony/conf.d/b.conf", "Server\t192.0.2.2   iburst\n"),
        ("/etc/chrony/conf.d/a.conf", "! old\n  cmdport 1323\n"),
        ("/etc/chrony/conf.d/README", "server not.read\n"),
        ("/etc/chrony/sources.d/x.sources", "peer 192.0.2.3\ncmdport 1\nrefclock SHM 0\n"),
    ]);
    let configuration = read_of(&root);
    assert_eq!(
        configuration.files,
        [
            "/etc/chrony/chrony.conf",
            "/etc/chrony/conf.d/a.conf",
            "/etc/chrony/conf.d/b.conf",
            "/etc/chrony/sources.d/x.sources"
        ]
    );
    assert_eq!(
        named(&configuration),
        [
            ("/etc/chrony/conf.d/b.conf", 1, "Server 192.0.2.2 iburst"),
            ("/etc/chrony/chrony.conf", 3, "pool 2.debian.pool.ntp.org iburst"),
            ("/etc/chrony/sources.d/x.sources", 1, "peer 192.0.2.3"),
        ]
    );
    assert_eq!(configuration.endpoint, Endpoint::At(([127, 0, 0, 1], 1323).into()));
}

#[test]
fn of_two_files_of_one_name_the_one_in_the_earlier_folder_counts() {
    let (_folder, root) = root(&[
        ("/etc/chrony.conf", "confdir /a /b\n"),
        ("/a/1.conf", "server a1\n"),
        ("/b/1.conf", "server b1\n"),
        ("/b/0.conf", "server b0\n"),
    ]);
    assert_eq!(
        named(&read_of(&root)),
        [("/b/0.conf", 1, "server b0"), ("/a/1.conf", 1, "server a1")]
    );
}

#[test]
fn the_device_of_a_hardware_clock_is_followed_to_its_clock() {
    let lines = "refclock PHC /dev/ptp_hyperv poll 3 dpoll -2 offset 0\n\
                 refclock PHC /dev/ptp1:nocrossts\nrefclock PHC /dev/ptp2\nrefclock SHM 0\n";
    let (folder, root) = root(&[("/etc/chrony.conf", lines), ("/dev/ptp0", ""), ("/dev/ptp1", "")]);
    symlink("ptp0", folder.path().join("dev/ptp_hyperv")).expect("made");
    let clocks = [PtpClock { name: "ptp0".to_owned(), clock_name: "hyperv".to_owned() }];
    let configuration = read(&root, &ChronydArguments::default(), &clocks).expect("good");
    let devices: Vec<_> = configuration
        .sources
        .into_iter()
        .map(|source| source.phc.map(|phc| (phc.path, phc.target)))
        .collect();
    let path = |path: &str| path.to_owned();
    assert_eq!(
        devices,
        [
            Some((path("/dev/ptp_hyperv"), PhcTarget::Clock("ptp0".to_owned()))),
            Some((
                path("/dev/ptp1"),
                PhcTarget::Unread("/dev/ptp1 is no clock below /sys/class/ptp".to_owned())
            )),
            Some((path("/dev/ptp2"), PhcTarget::Missing)),
            None,
        ]
    );
}

#[test]
fn arguments_name_another_file_or_stand_in_its_place() {
    let (_folder, root) = root(&[
        ("/etc/chrony.conf", "server a\n"),
        ("/other", "server b\ninclude /inc.d/*\n"),
        ("/inc.d/c", "server c\n"),
    ]);
    let arguments =
        ChronydArguments { file: Some("/other".to_owned()), ..ChronydArguments::default() };
    let configuration = read(&root, &arguments, &[]).expect("good");
    assert_eq!(named(&configuration), [("/other", 1, "server b"), ("/inc.d/c", 1, "server c")]);
    let directives = vec!["server d".to_owned(), "cmdport 0".to_owned()];
    let arguments = ChronydArguments { directives, ..ChronydArguments::default() };
    let configuration = read(&root, &arguments, &[]).expect("good");
    assert_eq!(named(&configuration), [("command line", 1, "server d")]);
    assert!(matches!(configuration.endpoint, Endpoint::Nowhere(_)));
    assert!(configuration.files.is_empty());
}

#[test]
fn no_file_is_a_configuration_too() {
    let (_folder, root) = root(&[]);
    let configuration = read_of(&root);
    assert!(configuration.files.is_empty() && configuration.sources.is_empty());
    assert_eq!(configuration.endpoint, Endpoint::At(([127, 0, 0, 1], 323).into()));
}

#[test]
fn files_that_include_each_other_end() {
    let (folder, root) = root(&[("/etc/chrony.conf", "include /etc/chrony.conf\n")]);
    let error = read(&root, &ChronydArguments::default(), &[]).err().expect("endless");
    assert_eq!(error.to_string(), "included too deep");
    let many: String = (0..=SOURCES_LIMIT).map(|number| format!("server s{number}\n")).collect();
    std::fs::write(Path::new(folder.path()).join("etc/chrony.conf"), many).expect("written");
    let error = read(&root, &ChronydArguments::default(), &[]).err().expect("too many");
    assert_eq!(error.to_string(), "line 513: one source more than are read");
}

#[test]
fn a_line_of_another_encoding_costs_itself_alone() {
    let (folder, root) = root(&[("/etc/chrony/chrony.conf", ""), ("/run/x/a.sources", "")]);
    let main =
        b"# M\xfcller\nserver 192.0.2.1\nserver caf\xe9.example\ncmdport 1323\nsourcedir /run/x\n";
    std::fs::write(folder.path().join("etc/chrony/chrony.conf"), main).expect("written");
    std::fs::write(folder.path().join("run/x/a.sources"), b"# \xff\npool 192.0.2.2\n")
        .expect("written");
    let configuration = read_of(&root);
    assert_eq!(
        named(&configuration),
        [
            ("/etc/chrony/chrony.conf", 2, "server 192.0.2.1"),
            ("/etc/chrony/chrony.conf", 3, "server caf\u{fffd}.example"),
            ("/run/x/a.sources", 2, "pool 192.0.2.2"),
        ]
    );
    assert!(matches!(configuration.endpoint, Endpoint::At(at) if at.port() == 1323));
}
