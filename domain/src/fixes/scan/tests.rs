//! Rows of scanners' lists as they are known to go wrong, against nodes that tell it right.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::advisory::{
    Advisory, Alias, Authority, Coverage, DateKind, Dated, Epochs, FeedState, Feeds, FixKey, Lower,
    Range, Rating, Statement, Stream, Tier, Unfixed, Upper,
};
use crate::facts::{Fips, OsRelease, PackageManager, UbuntuPro};
use crate::fixes::images::{Images, NodeOnImage};
use crate::fixes::node::{Judged, NodeAbout};
use crate::fixes::{Circumstances, Knowledge, assess};
use crate::matching::samples::{kernel, packages};
use crate::matching::{Index, Inventory, match_inventory};
use crate::patch_age::ImageLine;
use crate::platform::Platform;
use crate::policy::DEFAULT_EDITION;

fn now() -> Timestamp {
    Timestamp::from_second(1_790_000_000).expect("a moment")
}

fn jammy() -> Stream {
    Stream::of_os_release("ubuntu", "22.04")
}

/// A notice of a fix, so many days old.
fn fix(record: &str, source: &str, version: &str, cves: &[&str], days: i64) -> Advisory {
    let alias = |name: &&str| Alias { id: AliasId::of(name), rating: Rating::Medium };
    let at = now() - SignedDuration::from_hours(24 * days);
    Advisory {
        record: Arc::from(record),
        authority: Authority::Notice,
        stream: jammy(),
        source: Arc::from(source),
        range: Range::below(version),
        statement: Statement::Fixed,
        aliases: cves.iter().map(alias).collect(),
        published: Some(Dated { at, kind: DateKind::Advisory }),
        epochs: Epochs::Compared,
    }
}

fn advisories() -> Vec<Advisory> {
    let later =
        Range { lower: Lower::AtLeast(Arc::from("3.9")), upper: Upper::Below("4.0".into()) };
    let unfixed = Advisory {
        authority: Authority::Complement,
        range: Range::ALL,
        statement: Statement::Unfixed(Unfixed::WontFix),
        published: None,
        ..fix("UBUNTU-CVE-2026-3000", "tar", "0", &["CVE-2026-3000"], 0)
    };
    vec![
        fix("USN-1-1", "openssl", "3.0.2-2", &["CVE-2026-1000", "CVE-2026-1001"], 40),
        fix("USN-2-1", "curl", "7.81-1", &["CVE-2026-2000"], 90),
        fix("USN-2-2", "curl", "7.81-3", &["CVE-2026-2000"], 40),
        unfixed,
        Advisory {
            stream: jammy().in_tier(Tier::Pro),
            ..fix("USN-4-1", "bash", "5.1-9+esm1", &["CVE-2026-4000"], 40)
        },
        fix("USN-5-1", "nginx", "1.20", &["CVE-2026-5000"], 40),
        fix("USN-6-1", "linux-azure", "5.15.0-1124.133", &["CVE-2026-6000"], 40),
        fix("USN-6-2", "linux", "5.15.0-999.1", &["CVE-2026-6001"], 40),
        fix("USN-7-1", "moby-runc", "9", &["CVE-2026-7000"], 40),
        Advisory { range: later, ..fix("USN-8-1", "openssl", "0", &["CVE-2026-8000"], 40) },
        fix("USN-9-1", "young", "2", &["CVE-2026-9000"], 3),
        fix("USN-10-1", "zlib", "1 .2", &["CVE-2026-1010"], 40),
    ]
}

fn index() -> Index {
    let advisories = advisories();
    let dates: BTreeMap<FixKey, Dated> =
        advisories.iter().filter_map(|one| Some((one.fix_key()?, one.published?))).collect();
    Index::build(1, &advisories, &std::collections::BTreeSet::new(), |key| {
        dates.get(key).map(|dated| Published {
            at: dated.at,
            kind: dated.kind,
            feed: Arc::from("test"),
            revision: Arc::from("1"),
        })
    })
    .expect("few enough")
}

fn feeds(coverage: Coverage) -> Feeds {
    let mut feeds = Feeds::default();
    feeds.put(FeedState {
        name: Arc::from("usn"),
        as_of: now(),
        imported_at: now(),
        newest_published: None,
        digest: Arc::from(""),
        coverage: [(jammy(), coverage)].into(),
        statements: 1,
        left_out: BTreeMap::new(),
        stale_after: crate::advisory::feed::STALE_AFTER,
    });
    feeds
}

const PACKAGES: [&str; 13] = [
    "libssl3 3.0.2-1 openssl",
    "openssl 3.0.2-1",
    "curl 7.81-2",
    "tar 1.34",
    "bash 5.1-6",
    "nginx 1.19",
    "moby-runc 1.4.3-ubuntu22.04u3",
    "young 1",
    "zlib1g 1:1.2.11 zlib 1:1.2.11",
    "linux-headers-5.15.0-1122-azure 5.15.0-1122.131 linux-azure",
    "linux-image-5.15.0-1122-azure 5.15.0-1122.131 linux-signed-azure",
    "linux-image-5.15.0-1120-azure 5.15.0-1120.129 linux-signed-azure",
    "linux-libc-dev 5.15.0-174.184 linux",
];

/// Everything that nodes are judged by.
struct World {
    index: Index,
    feeds: Feeds,
    images: Images,
    policy: Policy,
}

impl World {
    fn of(coverage: Coverage) -> Self {
        Self {
            index: index(),
            feeds: feeds(coverage),
            images: Images::default(),
            policy: Policy::edition(DEFAULT_EDITION).expect("the usual edition"),
        }
    }

    fn judged(&self, lines: &[&str], release: Option<&str>, platform: Platform) -> Judged<'_> {
        let os_release = OsRelease {
            path: "/etc/os-release".to_owned(),
            id: "ubuntu".to_owned(),
            version_id: "22.04".to_owned(),
            version_codename: String::new(),
            pretty_name: String::new(),
            variant_id: String::new(),
            architecture: "x86_64".to_owned(),
            provider_marks: Vec::new(),
            fips: Fips::Off,
            ubuntu_pro: UbuntuPro::NotThere,
        };
        let kernel = release.map(|release| kernel(release, "#131-Ubuntu SMP"));
        let packages = packages(PackageManager::Dpkg, lines);
        let mut inventory = Inventory::of(packages, &os_release, kernel.as_ref());
        let held = "a module is kept from loading".to_owned();
        inventory.mitigated.insert(AliasId::of("CVE-2026-5000"), held);
        let matched = Arc::new(match_inventory(&self.index, &inventory));
        self.again(inventory, matched, platform)
    }

    /// Another node of the same inventory.
    fn again(
        &self,
        inventory: Inventory,
        matched: Arc<crate::matching::Matched>,
        platform: Platform,
    ) -> Judged<'_> {
        let Self { index, feeds, images, policy } = self;
        let knowledge =
            Knowledge { index, feeds, images, bulletins: &[], reports: &[], mitigations: &[] };
        let circumstances = Circumstances {
            platform,
            reboot_by: None,
            line: ImageLine::Alive,
            image: NodeOnImage::default(),
            pool: None,
            observed: BTreeSet::new(),
        };
        let assessed = assess(knowledge, &inventory, &matched, &circumstances, policy, now());
        Judged {
            knowledge,
            policy,
            inventory,
            matched,
            assessed,
            containers: Vec::new(),
            opinion: None,
        }
    }

    fn usual(&self) -> Judged<'_> {
        self.judged(&PACKAGES, Some("5.15.0-1122-azure"), Platform::Plain)
    }

    fn label(&self, nodes: Vec<NodeFixes<'_>>, rows: &[Reported]) -> ScanLabels {
        label(nodes, None, rows, &self.policy, Vec::new(), now())
    }
}

fn node<'a>(name: &str, judged: Result<Judged<'a>, String>) -> NodeFixes<'a> {
    let about = NodeAbout {
        cluster: "prod".to_owned(),
        node: name.to_owned(),
        pool: String::new(),
        image: String::new(),
        is_stale: false,
    };
    NodeFixes { about, judged }
}

/// `id package installed target`; `-` for an empty text.
fn row(line: &str) -> Reported {
    let words: Vec<&str> = line.split(' ').collect();
    let word = |at: usize| words.get(at).filter(|word| **word != "-").map_or("", |word| word);
    Reported {
        id: AliasId::of(word(0)),
        package: word(1).to_owned(),
        installed: word(2).to_owned(),
        target: words.get(3..).unwrap_or_default().join(" "),
    }
}

fn usual(line: &str) -> Labelled {
    let world = World::of(Coverage::Complete);
    let mut labels = world.label(vec![node("a", Ok(world.usual()))], &[row(line)]);
    labels.rows.remove(0)
}

#[test]
fn every_row_is_told_as_it_stands_with_the_reason() {
    for (line, verdict, why) in [
        ("CVE-2026-1000 libssl3 3.0.2-1", "agree_missing", "openssl 3.0.2-1 lacks USN-1-1"),
        ("CVE-2026-1001 openssl -", "agree_missing", "openssl 3.0.2-1 lacks USN-1-1"),
        ("USN-1-1 openssl 0:3.0.2-1", "agree_missing", "openssl 3.0.2-1 lacks USN-1-1"),
        // A second notice does not open again what the first one fixed.
        (
            "CVE-2026-2000 curl 7.81-2",
            "fixed_already",
            "curl 7.81-2 has the fix of USN-2-1, which came with 7.81-1",
        ),
        (
            "CVE-2026-3000 tar 1.34",
            "no_fix",
            "tar 1.34: the vendor will not fix it (UBUNTU-CVE-2026-3000)",
        ),
        (
            "CVE-2026-4000 bash 5.1-6",
            "other_tier",
            "bash 5.1-6: fixed for Ubuntu 22.04 Pro alone (USN-4-1)",
        ),
        (
            "CVE-2026-5000 nginx 1.19",
            "mitigated",
            "nginx 1.19 lacks USN-5-1, and a module is kept from loading",
        ),
        (
            "CVE-2026-7000 moby-runc 1.4.3-ubuntu22.04u3",
            "not_covered",
            "moby-runc 1.4.3-ubuntu22.04u3: made by packages.microsoft.com, no advisory of Ubuntu 22.04 speaks of it",
        ),
        (
            "CVE-2026-7777 openssl 3.0.2-1",
            "not_affected",
            "no advisory of Ubuntu 22.04 names it for openssl; they are complete up to 2026-09-21T14:13:20Z",
        ),
        (
            "CVE-2026-8000 openssl 3.0.2-1",
            "not_affected",
            "USN-8-1 is about other versions of openssl than 3.0.2-1",
        ),
        (
            "GHSA-aaaa-bbbb-cccc openssl 3.0.2-1",
            "unknown",
            "advisories of Ubuntu 22.04 on openssl go by CVEs and records of the vendor",
        ),
        (
            "CVE-2026-1010 zlib1g 1:1.2.11",
            "unknown",
            "zlib 1:1.2.11: USN-10-1 cannot be read: the version \"1 .2\" has a character that no version has",
        ),
        ("CVE-2026-1000 openssl 3.0.2-0", "other_version", "openssl is installed as 3.0.2-1"),
        (
            "CVE-2026-1000 stdlib v1.24",
            "not_installed",
            "no package stdlib is installed on any of 1 nodes",
        ),
    ] {
        let labelled = usual(line);
        assert_eq!((labelled.verdict.word(), labelled.why.as_str()), (verdict, why), "{line}");
    }
}

#[test]
fn of_a_kernel_what_runs_is_judged_and_what_goes_along_is_not() {
    for (line, verdict, why) in [
        // The signed image, and what is made with the kernel that runs.
        (
            "CVE-2026-6000 linux-image-5.15.0-1122-azure 5.15.0-1122.131",
            "agree_missing",
            "linux-azure 5.15.0-1122.131 lacks USN-6-1",
        ),
        (
            "CVE-2026-6000 linux-headers-5.15.0-1122-azure 5.15.0-1122.131",
            "agree_missing",
            "linux-azure 5.15.0-1122.131 lacks USN-6-1",
        ),
        (
            "CVE-2026-6000 linux-signed-azure 5.15.0-1122.131",
            "agree_missing",
            "linux-azure 5.15.0-1122.131 lacks USN-6-1",
        ),
        (
            "CVE-2026-6000 linux-image-5.15.0-1120-azure 5.15.0-1120.129",
            "not_running",
            "linux-signed-azure 5.15.0-1120.129 is not the kernel that runs: \
             linux-azure 5.15.0-1122.131 does, and lacks USN-6-1 for it",
        ),
        (
            "CVE-2026-6001 linux-libc-dev 5.15.0-174.184",
            "not_running",
            "linux 5.15.0-174.184 is not the kernel that runs: \
             linux-azure 5.15.0-1122.131 does",
        ),
    ] {
        let labelled = usual(line);
        assert_eq!((labelled.verdict.word(), labelled.why.as_str()), (verdict, why), "{line}");
    }
    // Which kernel runs is not known: none of them is called harmless.
    let world = World::of(Coverage::Complete);
    let nodes = vec![node("a", Ok(world.judged(&PACKAGES, None, Platform::Plain)))];
    let rows = [row("CVE-2026-6000 linux-headers-5.15.0-1122-azure 5.15.0-1122.131")];
    let labels = world.label(nodes, &rows);
    assert_eq!(labels.rows[0].verdict, ScanVerdict::Unknown);
    assert!(labels.rows[0].why.contains("the running kernel is not known"), "{labels:?}");
    assert!(!labels.is_complete());
}

#[test]
fn what_agrees_carries_the_fix_its_date_and_whose_turn_it_is() {
    let labelled = usual("CVE-2026-1000 libssl3 3.0.2-1");
    assert_eq!((labelled.record.as_str(), labelled.fixed.as_deref()), ("USN-1-1", Some("3.0.2-2")));
    let published = labelled.published.as_ref().expect("a date");
    assert_eq!(published.age(now()), SignedDuration::from_hours(24 * 40));
    assert_eq!(labelled.responsible, Some(Responsible::Customer));
    assert_eq!(labelled.step, Some(Step::NoProvider));
    assert_eq!((labelled.nodes, labelled.examples), (1, vec!["prod/a".to_owned()]));
    assert!(!labelled.verdict.word().is_empty() && labelled.elsewhere.is_empty());
}

#[test]
fn what_is_not_stated_is_unknown_where_no_feed_is_complete() {
    let world = World::of(Coverage::Partial("a selection".to_owned()));
    let rows = [row("CVE-2026-7777 openssl 3.0.2-1"), row("CVE-2026-1000 openssl 3.0.2-1")];
    let labels = world.label(vec![node("a", Ok(world.usual()))], &rows);
    let why = "no advisory that is known names it for openssl: partial feed usn: a selection";
    assert_eq!(labels.rows[0].why, why);
    assert_eq!(labels.rows[0].verdict, ScanVerdict::Unknown);
    assert_eq!(labels.rows[1].verdict, ScanVerdict::AgreeMissing);
    assert!(!labels.is_complete());
}

/// Three nodes of one inventory, of which one has a provider; one with a fix; one without
/// any package; one that cannot be judged.
fn mixed(world: &World) -> Vec<NodeFixes<'_>> {
    let first = world.usual();
    let [second, third] = [Platform::Aks, Platform::Plain]
        .map(|platform| world.again(first.inventory.clone(), Arc::clone(&first.matched), platform));
    let newer = world.judged(&["openssl 3.0.2-3"], None, Platform::Plain);
    vec![
        node("a", Ok(first)),
        node("b", Ok(second)),
        node("c", Ok(third)),
        node("d", Ok(newer)),
        node("e", Err("packages: not reported yet".to_owned())),
    ]
}

#[test]
fn the_answer_of_many_nodes_is_what_matters_most_and_says_where_they_differ() {
    let world = World::of(Coverage::Complete);
    let rows = [
        row("CVE-2026-1000 openssl -"),
        row("CVE-2026-1000 openssl - d"),
        row("CVE-2026-1000 openssl - prod/b"),
        row("CVE-2026-1000 openssl - c (ubuntu 22.04)"),
        row("CVE-2026-1000 openssl - registry/app:1 (ubuntu 22.04)"),
        row("CVE-2026-1000 stdlib -"),
        row("CVE-2026-1000 openssl - e"),
    ];
    let labels = world.label(mixed(&world), &rows);
    let all = &labels.rows[0];
    assert_eq!((all.verdict, all.nodes), (ScanVerdict::AgreeMissing, 2));
    assert_eq!(all.examples, ["prod/a", "prod/c"]);
    let elsewhere: Vec<_> = all
        .elsewhere
        .iter()
        .map(|one| (one.verdict.word(), one.responsible.as_str(), one.nodes))
        .collect();
    assert_eq!(elsewhere, [("agree_missing", "unknown", 1), ("fixed_already", "", 1)]);
    assert_eq!(labels.rows[1].verdict, ScanVerdict::FixedAlready);
    assert_eq!(labels.rows[2].examples, ["prod/b"]);
    assert!(matches!(labels.rows[2].responsible, Some(Responsible::Unknown { .. })));
    assert_eq!(labels.rows[3].examples, ["prod/c"]);
    assert_eq!(labels.rows[4], labels.rows[0], "of no node's name: about all of them");
    // On a node that cannot be judged it may be.
    assert_eq!(labels.rows[5].verdict, ScanVerdict::Unknown);
    assert_eq!(labels.rows[6].verdict, ScanVerdict::Unknown);
    assert_eq!(labels.nodes, 5);
    let lines: Vec<_> = labels.incomplete.iter().collect();
    assert_eq!(lines, [(&"not judged: packages: not reported yet".to_owned(), &1)]);
}

#[test]
fn a_row_on_a_node_of_another_cluster_is_not_told_by_this_one() {
    let world = World::of(Coverage::Complete);
    let mut other = node("z", Ok(world.usual()));
    other.about.cluster = "lab".to_owned();
    let rows = [row("CVE-2026-1000 openssl - z"), row("CVE-2026-1000 openssl -")];
    let nodes = vec![node("a", Ok(world.usual())), other];
    let labels = label(nodes, Some("prod"), &rows, &world.policy, Vec::new(), now());
    assert_eq!(labels.rows[0].verdict, ScanVerdict::NotInstalled);
    assert_eq!(labels.rows[0].why, "node z is not of cluster prod");
    assert_eq!((labels.rows[1].nodes, labels.nodes), (1, 1));
    let none = label(Vec::new(), Some("moon"), &rows, &world.policy, Vec::new(), now());
    assert!(none.rows.iter().all(|row| row.verdict == ScanVerdict::Unknown));
    assert!(!none.is_complete());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every row has one label, and asked alone it has the same one.
    #[test]
    fn there_are_as_many_labels_as_rows(
        lines in prop::collection::vec(
            (
                prop::sample::select(vec![
                    "CVE-2026-1000", "CVE-2026-6000", "CVE-2026-3000", "GHSA-x", "", "USN-1-1",
                ]),
                prop::sample::select(vec![
                    "openssl", "libssl3", "linux-azure", "tar", "", "moby-runc", "linux-libc-dev",
                ]),
                prop::sample::select(vec!["", "3.0.2-1", "0:", "::", "~", "5.15.0-1122.131"]),
                prop::sample::select(vec!["", "a", "prod/b", "e (", "/", "d (ubuntu 22.04)"]),
            ),
            0..12,
        ),
        odd in ".{0,12}",
    ) {
        let mut rows: Vec<Reported> = lines
            .into_iter()
            .map(|(id, package, installed, target)| Reported {
                id: AliasId::of(id),
                package: package.to_owned(),
                installed: installed.to_owned(),
                target: target.to_owned(),
            })
            .collect();
        rows.push(Reported {
            id: AliasId::of(&odd),
            package: odd.clone(),
            installed: odd.clone(),
            target: odd,
        });
        let world = World::of(Coverage::Complete);
        let labels = world.label(mixed(&world), &rows);
        prop_assert_eq!(labels.rows.len(), rows.len());
        for (row, labelled) in rows.iter().zip(&labels.rows) {
            prop_assert!(!labelled.why.is_empty());
            prop_assert!(labelled.examples.len() <= labelled.nodes.min(3));
            let alone = world.label(mixed(&world), std::slice::from_ref(row));
            prop_assert_eq!(&alone.rows[0], labelled);
        }
    }
}
