//! Azure Linux 3: three images of early 2025 against the definitions of 2025-02-24, and what
//! four revisions of the files say of their own form.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use nodeward_domain::advisory::ledger::Extent;
use nodeward_domain::advisory::{DateKind, Ledger, Revision, Statement};
use nodeward_domain::matching::{Inventory, Outcome, match_inventory};
use nodeward_feeds::content::Content;
use nodeward_feeds::instant;
use nodeward_feeds::oval::{AZURE_LINUX_3_BASELINE, read_oval};
use nodeward_tests::advisories::{Note, index_of};

use crate::{corpus, plain};

const NEWEST: &str = "azurelinux-3.0-oval.xml";

const REVISIONS: [&str; 3] =
    ["azurelinux-3.0-oval-2024-06-15.xml", "azurelinux-3.0-oval-2024-11-15.xml", NEWEST];

fn oval(corpus: &Path, name: &str) -> (Content, String) {
    let text = std::fs::read_to_string(corpus.join("advisories").join(name)).expect("definitions");
    (read_oval(name, text.as_bytes()).expect("definitions"), text)
}

fn image(corpus: &Path, version: &str) -> Inventory {
    let path = corpus.join("images/AKSAzureLinux-V3gen2").join(format!("{version}.txt"));
    Note::read(&path).azure_linux("3.0")
}

/// Names and versions as the second computation takes them: of kernels the one that runs.
fn plain_packages(corpus: &Path, version: &str) -> BTreeMap<String, String> {
    let path = corpus.join("images/AKSAzureLinux-V3gen2").join(format!("{version}.txt"));
    let note = std::fs::read_to_string(path).expect("a note");
    let running = note.split("Using kernel:\nLinux version ").nth(1).expect("a kernel");
    let running = running.split(' ').next().expect("a release");
    let mut packages = BTreeMap::new();
    let list = note.split("=== Installed Packages").nth(1).expect("a list");
    for line in list.lines().skip(1) {
        let parts: Vec<&str> = line.rsplitn(3, '-').collect();
        let [release, version, name] = parts.as_slice() else { continue };
        let Some((release, _)) = release.rsplit_once('.') else { continue };
        let version = format!("{version}-{release}");
        // Headers have a source of their own, and no kernel of theirs runs.
        if (*name == "kernel" && version != running) || *name == "kernel-headers" {
            continue;
        }
        packages.insert((*name).to_owned(), version);
    }
    assert!(packages.len() > 300, "{} packages", packages.len());
    packages
}

#[test]
fn images_of_early_2025_lack_what_a_second_computation_says_they_lack() {
    let Some(corpus) = corpus() else { return };
    let (content, text) = oval(&corpus, NEWEST);
    let (index, _) = index_of(&content);
    let definitions = plain::definitions(&text);
    assert_eq!(definitions.len(), 2266);
    let mut counts = Vec::new();
    for version in ["202501.22.0", "202501.28.0", "202502.26.0"] {
        let matched = match_inventory(&index, &image(&corpus, version));
        let found: BTreeSet<String> = matched
            .missing
            .iter()
            .map(|one| index.record_name(one.fix).expect("a record").to_owned())
            .collect();
        let expected = plain::vulnerable(&definitions, &plain_packages(&corpus, version));
        assert_eq!(found, expected, "{version}");
        assert_eq!(found.len(), matched.missing.len(), "{version}: a definition stands twice");
        println!("{version}: {} missing fixes", found.len());
        counts.push(found.len());
    }
    assert!(counts[0] >= 200, "202501.22.0 has {} findings", counts[0]);
    // Two kernels are installed; only the newer one runs.
    assert!(counts[1] < 50, "202501.28.0 has {} findings: which kernel was judged?", counts[1]);
}

#[test]
fn the_other_kernel_of_the_image_with_two_would_be_judged_by_hundreds() {
    let Some(corpus) = corpus() else { return };
    let (content, _) = oval(&corpus, NEWEST);
    let (index, _) = index_of(&content);
    let path = corpus.join("images/AKSAzureLinux-V3gen2/202501.28.0.txt");
    let mut note = Note::read(&path);
    assert_eq!(note.kernel, "6.6.64.2-1.azl3");
    note.kernel = "6.6.57.1-7.azl3".to_owned();
    let matched = match_inventory(&index, &note.azure_linux("3.0"));
    let of_kernel: Vec<_> = matched
        .missing
        .iter()
        .filter(|one| &*matched.sources[one.source].source == "kernel")
        .collect();
    assert!(of_kernel.len() > 200, "{}", of_kernel.len());
    // The fix is there and does not run: all but those of still later kernels.
    assert!(of_kernel.iter().filter(|one| one.is_on_disk).count() > 200);
    // A kernel is one source, whatever else of it is installed.
    let kernels =
        matched.outcomes().into_iter().zip(&matched.sources).filter(|(outcome, source)| {
            *outcome == Outcome::Missing && source.source.starts_with("kernel")
        });
    assert_eq!(kernels.count(), 1);
}

#[test]
fn every_definition_of_every_revision_is_read() {
    let Some(corpus) = corpus() else { return };
    for (name, definitions, fixed, unfixed, not_affected, stream) in [
        (REVISIONS[0], 467, 464, 0, 3, "Azure Linux 3.0"),
        (REVISIONS[1], 1736, 1732, 0, 4, "Azure Linux 3.0"),
        (NEWEST, 2266, 2266, 0, 0, "Azure Linux 3.0"),
        ("cbl-mariner-2.0-oval-2024-01-01.xml", 2379, 2081, 162, 136, "CBL-Mariner 2.0"),
    ] {
        let (content, text) = oval(&corpus, name);
        assert_eq!(content.records, definitions, "{name}");
        let count = |wanted: fn(&Statement) -> bool| {
            content.advisories.iter().filter(|one| wanted(&one.statement)).count()
        };
        assert_eq!(count(|one| *one == Statement::Fixed), fixed, "{name}");
        assert_eq!(count(|one| matches!(one, Statement::Unfixed(_))), unfixed, "{name}");
        assert_eq!(count(|one| *one == Statement::NotAffected), not_affected, "{name}");
        let streams = content.streams();
        let streams: Vec<String> = streams.keys().map(ToString::to_string).collect();
        assert_eq!(streams, [stream], "{name}");
        let undated = plain::definitions(&text)
            .iter()
            .filter(|one| one.is_patchable && one.date.is_none())
            .count();
        let ours = content
            .advisories
            .iter()
            .filter(|one| one.statement == Statement::Fixed && one.published.is_none())
            .count();
        assert_eq!(ours, undated, "{name}");
        let (index, _) = index_of(&content);
        assert_eq!(index.sizes().unreadable, 0, "{name}");
    }
}

#[test]
fn the_ledger_of_three_revisions_holds_the_earliest_date_in_whichever_order_they_come() {
    let Some(corpus) = corpus() else { return };
    let baseline = instant::read(AZURE_LINUX_3_BASELINE).ok();
    let contents = REVISIONS.map(|name| oval(&corpus, name).0);
    let ledger = |order: [usize; 3]| {
        let mut ledger = Ledger::default();
        for index in order {
            let content = &contents[index];
            let as_of = content.as_of().expect("a date");
            let revision = Revision { as_of, name: Arc::from(REVISIONS[index]) };
            let feed = Arc::from("azurelinux-3.0-oval");
            ledger.record(&feed, Extent::Whole, &revision, baseline, content.dated_fixes());
        }
        ledger
    };
    let one = ledger([0, 1, 2]);
    assert_eq!(one, ledger([2, 0, 1]));
    assert_eq!(one, ledger([2, 1, 0]));
    let (mut moved, mut kinds) = (0, BTreeMap::<&str, usize>::new());
    for advisory in &contents[2].advisories {
        let key = advisory.fix_key().expect("a fix");
        let published = one.published(&key).expect("a date");
        *kinds.entry(published.kind.word()).or_default() += 1;
        if let Some(dated) = advisory.published {
            assert!(published.at <= dated.at, "{}", advisory.record);
            if published.at < dated.at && published.kind == DateKind::Advisory {
                moved += 1;
                assert!(!one.moves(&key).is_empty(), "{}", advisory.record);
            }
        }
    }
    println!("{kinds:?}; {moved} dates had moved forward");
    assert!(moved > 0 && kinds["baseline"] > 0 && kinds["advisory"] > 1000);
}
