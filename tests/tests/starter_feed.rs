//! The starter feed against the files that its facts were read from: every row stands in
//! them as it stands in the table. Reads the folder that `NODEWARD_CORPUS` names, and writes
//! the table anew when `NODEWARD_REGENERATE` is set.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use nodeward_domain::advisory::Statement;
use nodeward_feeds::oval::read_oval;
use nodeward_feeds::starter::COLUMNS;
use nodeward_tests::advisories::Note;
use nodeward_tests::project;

const OVAL: &str = "azurelinux-3.0-oval.xml";

fn rows(path: &Path) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(path).expect("a table");
    text.lines().skip(1).map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

/// CVEs of a column. A token with a plus says that there are more.
fn named(column: &str) -> String {
    column.split(',').filter(|name| !name.starts_with('+')).collect::<Vec<_>>().join(",")
}

/// All rows of the table, sorted.
fn table(corpus: &Path) -> String {
    let advisories = corpus.join("advisories");
    let mut lines = BTreeSet::new();
    for row in rows(&advisories.join("usn-facts.tsv")) {
        let [record, published, release, tier, source, fixed, cves, read_in, _] = row.as_slice()
        else {
            panic!("{row:?}")
        };
        let cves = named(cves);
        lines.insert(format!(
            "ubuntu\t{release}\t{tier}\t{source}\t{fixed}\t{record}\t{published}\tadvisory\t{cves}\t{read_in}"
        ));
    }
    for row in rows(&advisories.join("debian12-changelog-facts.tsv")) {
        let [source, fixed, _, signed, cves] = row.as_slice() else { panic!("{row:?}") };
        let cves = named(cves);
        lines.insert(format!(
            "debian\t12\tbase\t{source}\t{fixed}\tchangelog of {source} {fixed}\t{signed}\tchangelog\t{cves}\t{source}: changelog.Debian.gz"
        ));
    }
    let bytes = std::fs::read(advisories.join(OVAL)).expect("definitions");
    let text = String::from_utf8(bytes.clone()).expect("text");
    let carried = carried(corpus);
    let content = read_oval(OVAL, &bytes).expect("definitions");
    for one in &content.advisories {
        // Those with a beginning too are left out: the table has no column for it.
        let plain = one.range
            == nodeward_domain::advisory::Range::below(
                one.fixed_version().map_or("", |version| version),
            );
        if one.statement != Statement::Fixed || !plain || !carried.contains(&*one.source) {
            continue;
        }
        let fixed = one.fixed_version().expect("a version");
        let cves: Vec<String> = one.aliases.iter().map(|alias| alias.id.to_string()).collect();
        // The vendor's own words of the date, not what they were read as.
        let definition = text.split(&format!("id=\"{}\"", one.record)).nth(1).expect("it");
        let definition = definition.split("</definition>").next().expect("a part");
        let published = definition
            .split_once("<advisory_date>")
            .and_then(|(_, rest)| rest.split_once('<'))
            .map_or("", |(date, _)| date);
        lines.insert(format!(
            "azurelinux\t3.0\tbase\t{}\t{fixed}\t{}\t{published}\tadvisory\t{}\t{OVAL}",
            one.source,
            one.record,
            cves.join(",")
        ));
    }
    let mut table = COLUMNS.join("\t");
    for line in lines {
        table.push('\n');
        table.push_str(&line);
    }
    table.push('\n');
    table
}

/// The names of packages that images of Azure Linux 3 carry.
fn carried(corpus: &Path) -> BTreeSet<String> {
    let folder = corpus.join("images/AKSAzureLinux-V3gen2");
    let notes = std::fs::read_dir(folder).expect("images").filter_map(|entry| {
        let path = entry.expect("readable").path();
        path.extension().is_some_and(|ending| ending == "txt").then_some(path)
    });
    notes
        .flat_map(|path| {
            let inventory = Note::read(&path).azure_linux("3.0");
            let names = inventory.packages.installed.iter().map(|one| one.name.clone());
            names.collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn every_row_is_a_fact_of_the_files_that_it_was_read_from() {
    let Some(corpus) = std::env::var_os("NODEWARD_CORPUS").map(PathBuf::from) else {
        println!("NODEWARD_CORPUS is not set: nothing to read");
        return;
    };
    let path = project::root().join("feeds/starter/fixes.tsv");
    let expected = table(&corpus);
    if std::env::var_os("NODEWARD_REGENERATE").is_some() {
        std::fs::write(&path, &expected).expect("writable");
    }
    let shipped = std::fs::read_to_string(&path).expect("a table");
    for (number, (shipped, expected)) in shipped.lines().zip(expected.lines()).enumerate() {
        assert_eq!(shipped, expected, "line {}", number + 1);
    }
    assert_eq!(shipped.lines().count(), expected.lines().count());
}
