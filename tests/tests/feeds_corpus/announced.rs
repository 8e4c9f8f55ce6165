//! The table of when real images were announced, beside when they were built.

use std::collections::BTreeMap;

use jiff::Timestamp;
use nodeward_domain::image::family_of;
use nodeward_feeds::announced::{AnnouncedFamily, read_announced};

use crate::corpus;

#[test]
fn real_announcements_come_after_the_build() {
    let Some(corpus) = corpus() else { return };
    let path = corpus.join("images/announced.tsv");
    let bytes = std::fs::read(&path).expect("a table");
    let announced = read_announced(&path.display().to_string(), &bytes).expect("a table");
    assert_eq!(announced.rows, 667);
    let unmapped: usize = announced.unmapped.values().sum();
    println!(
        "{} images of {} rows; not mapped: {:?}",
        announced.images.len(),
        667,
        announced.unmapped
    );
    assert!(unmapped < 10);
    let is_label = |family: &AnnouncedFamily| matches!(family, AnnouncedFamily::Label(_));
    let labels = announced.images.iter().filter(|image| is_label(&image.family)).count();
    assert_eq!((announced.images.len(), labels), (664, 664 - unmapped));

    let index = std::fs::read_to_string(corpus.join("images/index.tsv")).expect("an index");
    let mut lags: BTreeMap<i64, usize> = BTreeMap::new();
    let (mut known, mut rows) = (0, 0);
    for line in index.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let family = family_of(columns[0]).expect("a family");
        let built_at = nodeward_feeds::instant::read_date(columns[2]).expect("a time");
        rows += 1;
        let Some(at) = announced.at(family, columns[1]) else { continue };
        known += 1;
        assert!(at > built_at, "{family} {}: {at} before {built_at}", columns[1]);
        *lags.entry(days(built_at, at)).or_default() += 1;
    }
    println!("{known} of {rows} images were announced, after {lags:?} days");
    assert!(known > 500);
    let first = "2026-07-23T18:14:18Z".parse::<Timestamp>().expect("a moment");
    assert_eq!(announced.at("AKSAzureLinux-V3gen2", "202607.02.0"), Some(first));
    assert_eq!(announced.at("AKSUbuntu-2204gen2containerd", "202602.13.0"), None);
}

fn days(from: Timestamp, to: Timestamp) -> i64 {
    to.duration_since(from).as_secs() / 86_400
}
