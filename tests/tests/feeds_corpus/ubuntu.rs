//! Ubuntu: consecutive images against notices rendered from the facts of Ubuntu's own.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use nodeward_domain::matching::{Matched, Outcome, match_inventory};
use nodeward_domain::version::dpkg;
use nodeward_feeds::content::Content;
use nodeward_feeds::osv::OsvReader;
use nodeward_tests::advisories::{Note, index_of};

use crate::corpus;

pub(crate) fn notices(corpus: &Path) -> Content {
    let mut reader = OsvReader::default();
    let mut paths: Vec<_> = std::fs::read_dir(corpus.join("advisories/usn-osv"))
        .expect("notices")
        .map(|entry| entry.expect("readable").path())
        .collect();
    paths.sort();
    for path in paths {
        let bytes = std::fs::read(&path).expect("readable");
        reader.read(&path.display().to_string(), &bytes).expect("a record");
    }
    reader.finish()
}

/// Rows of a table with a header.
pub(crate) fn table(path: &Path) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(path).expect("a table");
    text.lines().skip(1).map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

fn sources(corpus: &Path) -> BTreeMap<String, String> {
    table(&corpus.join("advisories/binary-source.tsv"))
        .into_iter()
        .map(|row| (row[0].clone(), row[1].clone()))
        .collect()
}

/// An image: when its build began, and its note.
fn images(corpus: &Path, family: &str) -> Vec<(Timestamp, String, Note)> {
    let mut images = Vec::new();
    for entry in std::fs::read_dir(corpus.join("images").join(family)).expect("images") {
        let path = entry.expect("readable").path();
        if path.extension().is_some_and(|ending| ending == "txt") {
            let note = Note::read(&path);
            let version = path.file_stem().expect("a name").to_string_lossy().into_owned();
            images.push((built_at(&note.text), version, note));
        }
    }
    images.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    images
}

/// `Starting build on  Thu Dec 18 18:17:25 UTC 2025`.
pub(crate) fn built_at(note: &str) -> Timestamp {
    let words: Vec<&str> = note.lines().next().expect("a line").split_whitespace().collect();
    let [.., month, day, time, "UTC", year] = words.as_slice() else { panic!("{words:?}") };
    let day = nodeward_feeds::instant::read_day(&format!("{day} {month} {year}")).expect("a day");
    let clock = time.split(':').map(|part| part.parse::<i64>().expect("a number"));
    let seconds = clock.fold(0, |seconds, part| seconds * 60 + part);
    day.checked_add(jiff::SignedDuration::from_secs(seconds)).expect("a moment")
}

/// The version of a source in an image, by the running kernel or by any of its binaries.
fn version_of<'a>(matched: &'a Matched, source: &str) -> Option<&'a str> {
    matched.sources.iter().find(|one| &*one.source == source).map(|one| &*one.version)
}

#[test]
fn fixes_first_appear_in_images_built_after_their_notices() {
    let Some(corpus) = corpus() else { return };
    let content = notices(&corpus);
    let (index, _) = index_of(&content);
    let sources = sources(&corpus);
    let source_of =
        |binary: &str| sources.get(binary).cloned().unwrap_or_else(|| binary.to_owned());
    let mut early = Vec::new();
    let mut appeared = 0;
    for (family, release) in
        [("AKSUbuntu-2204gen2containerd", "22.04"), ("AKSUbuntu-2404gen2containerd", "24.04")]
    {
        let images = images(&corpus, family);
        assert!(images.len() >= 6);
        let matched: Vec<_> = images
            .iter()
            .map(|(built_at, version, note)| {
                let matched = match_inventory(&index, &note.ubuntu(release, source_of));
                println!("{family} {version}: {} missing", matched.missing.len());
                (*built_at, version, matched)
            })
            .collect();
        for advisory in content
            .advisories
            .iter()
            .filter(|one| &*one.stream.release == release && one.stream.tier.word() == "base")
        {
            let fixed = advisory.fixed_version().expect("a fix");
            let lacks = |matched: &Matched| {
                matched.missing.iter().any(|one| {
                    index.record_name(one.fix) == Some(&*advisory.record)
                        && matched.sources[one.source].source == advisory.source
                })
            };
            let is_there = |matched: &Matched| version_of(matched, &advisory.source).is_some();
            for pair in matched.windows(2) {
                let [(_, _, before), (built_at, version, after)] = pair else { continue };
                if !(is_there(before) && lacks(before) && is_there(after) && !lacks(after)) {
                    continue;
                }
                appeared += 1;
                let has = version_of(after, &advisory.source).expect("a version");
                assert!(dpkg::compare(has, fixed).is_ge(), "{} {has} {fixed}", advisory.record);
                let published = advisory.published.expect("a date").at;
                if *built_at < published {
                    early.push(format!("{} {} {version}", advisory.record, advisory.source));
                }
            }
        }
    }
    println!("{appeared} fixes appeared, before their notices: {early:?}");
    assert!(appeared >= 50, "only {appeared} fixes appeared");
    assert_eq!(early, Vec::<String>::new());
}

/// `-updates` has packages before `-security`: ages below zero are shown as 0.
#[test]
fn two_kernels_were_in_images_days_before_their_notices() {
    let Some(corpus) = corpus() else { return };
    let content = notices(&corpus);
    let (index, _) = index_of(&content);
    let built: Vec<(Timestamp, String)> = table(&corpus.join("images/index.tsv"))
        .into_iter()
        .filter(|row| row[0] == "AKSUbuntu/gen2/2404containerd" && !row[3].is_empty())
        .map(|row| (built_at(&row[2]), row[3].clone()))
        .collect();
    let mut early = Vec::new();
    for advisory in content
        .advisories
        .iter()
        .filter(|one| one.stream.to_string() == "Ubuntu 24.04" && &*one.source == "linux-azure")
    {
        let fixed = advisory.fixed_version().expect("a fix");
        // `6.8.0-1052-azure` is built from `6.8.0-1052.58`.
        let release = fixed.rsplit_once('.').expect("an upload").0;
        let first = built
            .iter()
            .filter(|(_, kernel)| dpkg::compare(kernel.trim_end_matches("-azure"), release).is_ge())
            .map(|(built_at, _)| *built_at)
            .min();
        let published = advisory.published.expect("a date");
        if first.is_some_and(|first| first < published.at) {
            let first = first.expect("just seen");
            println!("{}: built {first}, published {}", advisory.record, published.at);
            assert!(published.at.duration_since(first).as_hours() < 24 * 14);
            let key = advisory.fix_key().expect("a fix");
            let alias = key.subject.clone();
            let fix = advisory.aliases.first().map_or(alias, |alias| alias.id.clone());
            let id = index.first_fix(&advisory.stream, "linux-azure", &fix).expect("a fix");
            let dated = index.fix(id).expect("a row").published.expect("a date");
            assert_eq!(dated.age(first), jiff::SignedDuration::ZERO);
            early.push(advisory.record.to_string());
        }
    }
    assert_eq!(early.len(), 2, "{early:?}");
}

#[test]
fn the_providers_own_packages_are_not_covered() {
    let Some(corpus) = corpus() else { return };
    let (index, _) = index_of(&notices(&corpus));
    let sources = sources(&corpus);
    let images = images(&corpus, "AKSUbuntu-2204gen2containerd");
    let (_, _, note) = images.first().expect("an image");
    let inventory = note.ubuntu("22.04", |binary| {
        sources.get(binary).cloned().unwrap_or_else(|| binary.to_owned())
    });
    let matched = match_inventory(&index, &inventory);
    let outcomes = matched.outcomes();
    for name in ["moby-containerd", "moby-runc", "kubernetes-cri-tools", "aznfs"] {
        let place = matched.sources.iter().position(|one| &*one.source == name);
        assert_eq!(outcomes[place.unwrap_or_else(|| panic!("no {name}"))], Outcome::NotCovered);
    }
    assert!(!outcomes.contains(&Outcome::Unknown));
    // The kernel is judged by its flavour's source, by the version that runs.
    assert_eq!(version_of(&matched, "linux-azure"), Some("5.15.0-1102.111"));
}

#[test]
fn every_fact_of_the_table_is_read_out_of_its_notice() {
    let Some(corpus) = corpus() else { return };
    let content = notices(&corpus);
    let facts = table(&corpus.join("advisories/usn-facts.tsv"));
    assert_eq!(facts.len(), 182);
    for fact in &facts {
        let [record, published, release, tier, source, fixed, ..] = fact.as_slice() else {
            panic!("{fact:?}")
        };
        let found = content.advisories.iter().find(|one| {
            *one.record == **record
                && *one.stream.release == **release
                && one.stream.tier.word() == tier
                && *one.source == **source
                && one.fixed_version().is_some_and(|version| **version == **fixed)
        });
        let found = found.unwrap_or_else(|| panic!("{fact:?}"));
        let at = nodeward_feeds::instant::read(published).expect("an instant");
        assert_eq!(found.published.map(|dated| dated.at), Some(at), "{fact:?}");
    }
}
