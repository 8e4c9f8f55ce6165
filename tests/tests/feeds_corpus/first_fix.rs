//! The first image that runs a fix, and what a security patch changes, on real notes and real
//! notices: beside a second computation that reads the notes line by line and asks
//! `dpkg --compare-versions`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use jiff::Timestamp;
use nodeward_domain::advisory::Feeds;
use nodeward_domain::fixes::Knowledge;
use nodeward_domain::fixes::images::Images;
use nodeward_domain::image::catalogue::Catalogue;
use nodeward_domain::image::first_fix::{FirstFix, first_fix};
use nodeward_domain::image::sources::Sources;
use nodeward_domain::image::{ImageLabel, ShippedPackages};
use nodeward_domain::matching::Index;
use nodeward_feeds::image_document::read_image_document;
use nodeward_feeds::offered::ClusterNames;
use nodeward_tests::advisories::index_of;

use crate::corpus;
use crate::ubuntu::{built_at, notices, table};

const FAMILIES: [(&str, &str); 2] =
    [("AKSUbuntu-2204gen2containerd", "22.04"), ("AKSUbuntu-2404gen2containerd", "24.04")];

fn now() -> Timestamp {
    "2026-08-20T09:00:00Z".parse().expect("a moment")
}

/// Everything about the two lines of images, and when they were announced.
fn catalogue(corpus: &Path) -> Catalogue {
    let mut catalogue = Catalogue::default();
    let mut put = |path: &Path| {
        let bytes = std::fs::read(path).expect("readable");
        let file = path.display().to_string();
        let read = read_image_document(&file, &bytes, &ClusterNames::default(), now());
        read.unwrap_or_else(|error| panic!("{error}")).put_into(&mut catalogue);
    };
    for (family, _) in FAMILIES {
        for entry in std::fs::read_dir(corpus.join("images").join(family)).expect("images") {
            put(&entry.expect("readable").path());
        }
    }
    put(&corpus.join("images/announced.tsv"));
    for patch in ["20260720T000000Z", "20260706T000000Z"] {
        let name = format!("release_notes_delta_{patch}.txt");
        put(&corpus.join("security-patch").join(patch).join(name));
    }
    catalogue
}

/// Notes as text, in the order of their builds.
fn notes(corpus: &Path, family: &str) -> Vec<(String, String)> {
    let folder = std::fs::read_dir(corpus.join("images").join(family)).expect("images");
    let mut notes: Vec<(String, String)> = folder
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "txt"))
        .map(|path| {
            let version = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (version, std::fs::read_to_string(path).expect("text"))
        })
        .collect();
    notes.sort_by_key(|(version, text)| (built_at(text), version.clone()));
    notes
}

/// The version of a binary package in a note; of the kernel that it boots, the package's.
fn version_in<'a>(note: &'a str, binary: &str) -> Option<&'a str> {
    let line = note.lines().find(|line| line.starts_with(&format!("{binary}/")))?;
    line.split(' ').nth(1)
}

fn kernel_in(note: &str) -> Option<&str> {
    let booted = note.split("Using kernel:\nLinux version ").nth(1)?.split(' ').next()?;
    version_in(note, &format!("linux-image-{booted}"))
}

fn is_at_least(version: &str, fixed: &str) -> bool {
    let run = Command::new("dpkg").args(["--compare-versions", version, "ge", fixed]).status();
    run.expect("dpkg is installed").success()
}

/// The first version with the fix and the last without, by going through the notes.
fn by_hand<'a>(
    notes: &'a [(String, String)],
    fixed: &str,
    has: impl Fn(&'a str) -> Option<&'a str>,
) -> (Option<&'a str>, Option<&'a str>) {
    let mut last_without = None;
    for (version, note) in notes {
        match has(note).map(|has| is_at_least(has, fixed)) {
            Some(true) => return (Some(version), last_without),
            Some(false) => last_without = Some(version.as_str()),
            None => {}
        }
    }
    (None, last_without)
}

fn found(index: &Index, catalogue: &Catalogue, about: &str, family: &str) -> Vec<FirstFix> {
    let images = Images::default();
    let known = Knowledge {
        index,
        feeds: &Feeds::default(),
        images: &images,
        bulletins: &[],
        reports: &[],
        mitigations: &[],
    };
    first_fix(about, Some(family), catalogue, &Sources::default(), known, now()).fixes
}

#[test]
fn the_first_image_with_a_fix_is_that_of_a_second_computation() {
    let Some(corpus) = corpus() else { return };
    let (index, _) = index_of(&notices(&corpus));
    let catalogue = catalogue(&corpus);
    let facts = table(&corpus.join("advisories/usn-facts.tsv"));
    let mut compared = 0;
    let mut kernels = 0;
    for (family, release) in FAMILIES {
        let notes = notes(&corpus, family);
        for fact in facts.iter().filter(|fact| fact[2] == release && fact[3] == "base") {
            let (record, source, fixed) = (&fact[0], &fact[4], &fact[5]);
            let is_kernel = source == "linux-azure";
            let expected = match is_kernel {
                true => by_hand(&notes, fixed, kernel_in),
                // A source whose binary has its name.
                false => by_hand(&notes, fixed, |note| version_in(note, source)),
            };
            if expected == (None, None) {
                continue;
            }
            let all = found(&index, &catalogue, record, family);
            let one = all.iter().find(|fix| fix.source == *source);
            let one = one.unwrap_or_else(|| panic!("{family} {record} {source}"));
            let first = one.first.as_ref().map(|first| first.version.as_str());
            let last = one.last_without.as_ref().map(|last| last.version.as_str());
            assert_eq!((first, last), expected, "{family} {record} {source} {fixed}");
            compared += 1;
            kernels += usize::from(is_kernel);
        }
    }
    println!("{compared} first images compared, {kernels} of them of kernels");
    assert!(compared >= 60 && kernels >= 8, "{compared}, {kernels}");
}

#[test]
fn the_way_of_one_vulnerability_of_openssl_from_notice_to_announcement() {
    let Some(corpus) = corpus() else { return };
    let (index, _) = index_of(&notices(&corpus));
    let catalogue = catalogue(&corpus);
    let all = found(&index, &catalogue, "CVE-2025-15467", FAMILIES[0].0);
    let [fix] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!((fix.source.as_str(), fix.record.as_str()), ("openssl", "USN-7980-1"));
    assert_eq!(fix.fixed, "3.0.2-0ubuntu1.21");
    let first = fix.first.as_ref().expect("an image runs it");
    assert_eq!((first.version.as_str(), first.fix_age_days), ("202602.13.0", Some(16)));
    let last = fix.last_without.as_ref().expect("one does not");
    // Built 41 minutes after the notice, and still without.
    assert_eq!(last.version, "202601.27.0");
    let announced = fix.first_announced.as_ref().expect("one was announced");
    assert_eq!((announced.version.as_str(), announced.fix_age_days), ("202603.04.0", Some(42)));
    assert!(fix.first_offered.is_none() && fix.lost_again.is_empty());
    // The module's own notice came first, with kmod; the kernel's followed.
    let all = found(&index, &catalogue, "CVE-2026-31431", FAMILIES[0].0);
    let first = all.iter().find(|fix| fix.source == "kmod").and_then(|fix| fix.first.as_ref());
    assert_eq!(first.expect("an image").version, "202605.05.1");
}

#[test]
fn an_image_with_a_security_patch_has_what_the_patch_says() {
    let Some(corpus) = corpus() else { return };
    let catalogue = catalogue(&corpus);
    let label = ImageLabel::parse("AKSUbuntu-2204gen2containerd-202606.19.0-2026.07.20");
    let patched = catalogue.labelled(&label.expect("a label")).expect("known").expect("it fits");
    let note = corpus.join("images/AKSUbuntu-2204gen2containerd/202606.19.0.txt");
    let note = std::fs::read_to_string(note).expect("text");
    let patch =
        corpus.join("security-patch/20260720T000000Z/release_notes_delta_20260720T000000Z.txt");
    let patch = std::fs::read_to_string(patch).expect("text");
    // Name and new version of each package of the part that begins from the image.
    let part = patch.split("Package difference between AKSUbuntu").nth(1).expect("a part");
    let mut new: BTreeMap<&str, &str> = BTreeMap::new();
    for line in part.lines().filter(|line| line.starts_with("Upgrade: ")) {
        for change in line["Upgrade: ".len()..].split("), ") {
            let (name, versions) = change.split_once(" (").expect("versions");
            let (_, to) = versions.split_once(", ").expect("two versions");
            let name = name.split(':').next().expect("a name");
            new.insert(name, to.trim_end_matches(')'));
        }
    }
    assert!(new.len() > 30, "{} packages", new.len());
    let ShippedPackages::Listed(listed) = &patched.packages else { panic!("they are known") };
    let mut changed = 0;
    for package in listed {
        let before = version_in(&note, &package.name);
        match new.get(package.name.as_str()) {
            Some(to) => {
                assert_eq!(package.version, *to, "{}", package.name);
                assert!(is_at_least(to, before.expect("it was there")), "{}", package.name);
                changed += 1;
            }
            // What is new comes with the kernel.
            None => assert!(
                before == Some(package.version.as_str()) || package.name.starts_with("linux-"),
                "{} {}",
                package.name,
                package.version
            ),
        }
    }
    assert_eq!(changed, new.len());
    assert_eq!(patched.kernel.as_deref(), Some("5.15.0-1116-azure"));
}
