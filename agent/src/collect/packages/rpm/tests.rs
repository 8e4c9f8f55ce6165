//! Headers of packages as rpm writes them, and in every kind of disorder. What rpm's own
//! database holds is read in `tests/tests/real_rpm.rs`.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const TEXT: u32 = 6;
const NUMBER: u32 = 4;

/// A header with these tags, in the form that rpm's database keeps.
fn blob(tags: &[(u32, u32, &[u8])]) -> Vec<u8> {
    let mut index = Vec::new();
    let mut store = Vec::new();
    for (tag, kind, value) in tags {
        for number in [*tag, *kind, store.len() as u32, 1] {
            index.extend_from_slice(&number.to_be_bytes());
        }
        store.extend_from_slice(value);
    }
    let mut blob = (tags.len() as u32).to_be_bytes().to_vec();
    blob.extend_from_slice(&(store.len() as u32).to_be_bytes());
    blob.extend(index);
    blob.extend(store);
    blob
}

const KERNEL: [(u32, u32, &[u8]); 8] = [
    (1000, TEXT, b"kernel\0"),
    (1001, TEXT, b"6.6.35.1\0"),
    (1002, TEXT, b"5.azl3\0"),
    (1011, TEXT, b"Microsoft Corporation\0"),
    (1022, TEXT, b"x86_64\0"),
    (1044, TEXT, b"kernel-6.6.35.1-5.azl3.src.rpm\0"),
    (1124, TEXT, b"cpio\0"),
    (1008, NUMBER, &[0x69, 0, 0, 1]),
];

/// The kernel's header, with these tags behind the others.
fn kernel_and(more: &[(u32, u32, &[u8])]) -> Vec<u8> {
    blob(&[&KERNEL, more].concat())
}

fn read(blob: &[u8]) -> Result<Package, String> {
    package(&Header::parse(blob)?)
}

#[test]
fn a_package_is_what_its_header_says() {
    let kernel = read(&blob(&KERNEL)).expect("a package");
    assert_eq!(
        kernel,
        Package {
            name: "kernel".to_owned(),
            architecture: "x86_64".to_owned(),
            version: "6.6.35.1-5.azl3".to_owned(),
            source: "kernel".to_owned(),
            source_version: "6.6.35.1-5.azl3".to_owned(),
            held: false,
            origin: "Microsoft Corporation".to_owned(),
        }
    );
    let perl = read(&kernel_and(&[(1003, NUMBER, &[0, 0, 0, 4])])).expect("a package");
    assert_eq!(perl.version, "4:6.6.35.1-5.azl3");
    assert_eq!(perl.source_version, perl.version, "built as one, so with one epoch");
}

#[test]
fn what_the_installation_wrote_counts_before_what_came_with_the_package() {
    let package = read(&kernel_and(&[(1022, TEXT, b"noarch\0")])).expect("a package");
    assert_eq!(package.architecture, "noarch");
}

#[test]
fn the_source_is_what_its_files_name_says() {
    for (file, named) in [
        ("openssl-3.3.5-5.azl3.src.rpm", Some(("openssl", "3.3.5-5.azl3"))),
        ("perl-Text-Tabs+Wrap-1-2.src.rpm", Some(("perl-Text-Tabs+Wrap", "1-2"))),
        ("closed-1-2.nosrc.rpm", Some(("closed", "1-2"))),
        ("openssl-3.3.5-5.azl3.x86_64.rpm", None),
        ("openssl-3.src.rpm", None),
        ("-1-2.src.rpm", None),
        ("(none)", None),
        ("", None),
    ] {
        assert_eq!(source(file), named, "{file}");
    }
    let file = |file: &'static [u8]| read(&kernel_and(&[(1044, TEXT, file)])).expect("a package");
    let sub = file(b"perl-5.38.2-511.azl3.src.rpm\0");
    assert_eq!((sub.source.as_str(), sub.source_version.as_str()), ("perl", "5.38.2-511.azl3"));
    let own = file(b"(none)\0");
    assert_eq!((own.source, own.source_version), (own.name, own.version));
}

#[test]
fn faults_say_what_is_wrong() {
    let fault = |blob: &[u8]| read(blob).expect_err("a fault");
    assert_eq!(fault(&[]), "a header of less than 8 bytes");
    assert_eq!(fault(&[0; 8]), "a header with 0 entries and 0 bytes, as none has");
    assert_eq!(
        fault(&[0xff; 8]),
        "a header with 4294967295 entries and 4294967295 bytes, as none has"
    );
    assert_eq!(fault(&[0, 0, 0, 1, 0, 0, 0, 1]), "a header of 8 bytes, it should have 25");
    assert_eq!(fault(&blob(&KERNEL[1..])), "has no name");
    assert_eq!(fault(&kernel_and(&[(1000, TEXT, b"\0")])), "has no name");
    assert_eq!(fault(&kernel_and(&[(1000, 9, b"x\0")])), "name is of type 9, not a text");
    assert_eq!(fault(&kernel_and(&[(1000, TEXT, b"\xff\0")])), "name is not UTF-8");
    assert_eq!(fault(&kernel_and(&[(1003, TEXT, b"x\0")])), "epoch is of type 6, not a number");
    assert_eq!(fault(&kernel_and(&[(1003, NUMBER, b"x")])), "epoch lies outside of its header");
    assert_eq!(
        fault(&kernel_and(&[(1044, TEXT, b"")])),
        "source package lies outside of its header"
    );
    assert_eq!(
        fault(&kernel_and(&[(1011, TEXT, b"no end")])),
        "vendor does not end within 4096 bytes"
    );
    let vendor = read(&kernel_and(&[(1011, TEXT, b"Fr\xe9d\0")])).expect("a package");
    assert_eq!(vendor.origin, "Fr\u{fffd}d");
}

#[test]
fn keys_are_no_software_and_the_newest_of_what_needs_a_boot_counts() {
    let mut inventory = Headers::empty("/db");
    let installed =
        |name: &[u8], at: u8| kernel_and(&[(1000, TEXT, name), (1008, NUMBER, &[0, 0, 0, at])]);
    inventory.add(&installed(b"gpg-pubkey\0", 9)).expect("a key");
    assert!(inventory.packages.installed.is_empty());
    inventory.add(&installed(b"zlib\0", 8)).expect("a package");
    assert_eq!(inventory.boot_packages_installed_at_seconds, None);
    inventory.add(&installed(b"glibc\0", 7)).expect("a package");
    inventory.add(&installed(b"kernel-64k\0", 6)).expect("a package");
    assert_eq!(inventory.boot_packages_installed_at_seconds, Some(7));
    assert_eq!(inventory.packages.installed.len(), 3);
}

/// A host root with these empty files.
fn root_with(files: &[&str]) -> (tempfile::TempDir, HostRoot) {
    let folder = tempfile::tempdir().expect("a folder");
    for file in files {
        let path = folder.path().join(file.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, "").expect("written");
    }
    let root = HostRoot::open(folder.path()).expect("a folder");
    (folder, root)
}

#[test]
fn the_database_is_where_rpm_of_that_age_keeps_it() {
    let (_folder, root) = root_with(&["/etc/os-release"]);
    assert_eq!(database(&root), Ok(None));
    for (files, place) in [
        (&["/var/lib/rpm/rpmdb.sqlite"][..], "/var/lib/rpm/rpmdb.sqlite"),
        (&["/usr/lib/sysimage/rpm/rpmdb.sqlite"], "/usr/lib/sysimage/rpm/rpmdb.sqlite"),
        // What was before the move may stay behind.
        (
            &["/usr/lib/sysimage/rpm/rpmdb.sqlite", "/var/lib/rpm/rpmdb.sqlite"],
            "/usr/lib/sysimage/rpm/rpmdb.sqlite",
        ),
        (&["/var/lib/rpm/Packages", "/var/lib/rpm/rpmdb.sqlite"], "/var/lib/rpm/rpmdb.sqlite"),
    ] {
        let (_folder, root) = root_with(files);
        assert_eq!(database(&root), Ok(Some(place.to_owned())), "{files:?}");
    }
}

#[test]
fn a_database_of_another_form_and_a_lost_one_are_named() {
    for (file, fault) in [
        (
            "/var/lib/rpm/Packages",
            "/var/lib/rpm/Packages: is rpm's database in the form of Berkeley DB, which is not read",
        ),
        (
            "/usr/lib/sysimage/rpm/Packages.db",
            "/usr/lib/sysimage/rpm/Packages.db: is rpm's database in the form of ndb, which is not read",
        ),
        ("/var/lib/rpm/.rpm.lock", "/var/lib/rpm/rpmdb.sqlite: not there"),
        ("/var/lib/rpm/rpmdb.sqlite", "/var/lib/rpm/rpmdb.sqlite: is empty"),
    ] {
        let (_folder, root) = root_with(&[file]);
        let error = super::read(&root).expect_err(file);
        assert_eq!(format!("{}: {error}", error.path()), fault);
    }
}

proptest! {
    #[test]
    fn no_damage_to_a_header_panics(
        wounds in vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = blob(&KERNEL);
        for (at, byte) in wounds {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = read(&bytes);
        let cut = cut.index(bytes.len());
        prop_assert!(read(&bytes[..cut]).is_err(), "cut at {}", cut);
    }

    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes);
    }
}
