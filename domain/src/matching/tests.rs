//! Tests of matching, each a story that a scanner is known to have got wrong.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;

use super::samples::{kernel, packages};
use super::*;
use crate::advisory::{
    Advisory, Alias, AliasId, Authority, DateKind, Dated, Epochs, FixKey, Lower, Published, Range,
    Rating, Unfixed, Upper,
};
use crate::facts::{PackageManager, UbuntuPro};
use crate::version::{dpkg, rpm};

fn at(day: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + day * 86_400).expect("a moment")
}

fn jammy() -> Stream {
    Stream::of_os_release("ubuntu", "22.04")
}

/// A notice of a fix, of day 0.
fn fix(record: &str, source: &str, version: &str, cves: &[&str]) -> Advisory {
    Advisory {
        record: Arc::from(record),
        authority: Authority::Notice,
        stream: jammy(),
        source: Arc::from(source),
        range: Range::below(version),
        statement: Statement::Fixed,
        aliases: cves
            .iter()
            .map(|name| Alias { id: AliasId::of(name), rating: Rating::Medium })
            .collect(),
        published: Some(Dated { at: at(0), kind: DateKind::Advisory }),
        epochs: Epochs::Compared,
    }
}

fn dated(day: i64, advisory: Advisory) -> Advisory {
    Advisory { published: Some(Dated { at: at(day), kind: DateKind::Advisory }), ..advisory }
}

fn in_tier(tier: Tier, advisory: Advisory) -> Advisory {
    Advisory { stream: jammy().in_tier(tier), ..advisory }
}

/// A tracker's record, `CVE` on a source.
fn tracked(source: &str, cve: &str, statement: Statement, range: Range) -> Advisory {
    Advisory {
        authority: Authority::Complement,
        statement,
        range,
        published: None,
        ..fix(&format!("UBUNTU-{cve}"), source, "0", &[cve])
    }
}

/// What a VEX document states.
fn not_affected(source: &str, cve: &str) -> Advisory {
    Advisory {
        statement: Statement::NotAffected,
        range: Range::ALL,
        ..fix(&format!("VEX-{cve}"), source, "0", &[cve])
    }
}

fn index(advisories: &[Advisory]) -> Index {
    let dates: BTreeMap<FixKey, Dated> =
        advisories.iter().filter_map(|one| Some((one.fix_key()?, one.published?))).collect();
    Index::build(7, advisories, &BTreeSet::from([Arc::from("USN-WITHDRAWN-1")]), |key| {
        dates.get(key).map(|dated| Published {
            at: dated.at,
            kind: dated.kind,
            feed: Arc::from("test"),
            revision: Arc::from("1"),
        })
    })
    .expect("few enough")
}

/// A node with those packages that runs that kernel.
fn node(lines: &[&str], release: &str, version: &str) -> Inventory {
    let packages = packages(PackageManager::Dpkg, lines);
    let kernel = match release {
        "" => Err("the running kernel is not known".to_owned()),
        release => kernel::running(&kernel(release, version), &packages),
    };
    Inventory {
        stream: jammy(),
        tiers: tiers_of(&packages, &UbuntuPro::NotThere),
        packages,
        kernel,
        mitigated: BTreeMap::new(),
    }
}

/// `source version record` of what is lacking.
fn missing(index: &Index, matched: &Matched) -> Vec<String> {
    named(index, matched, &matched.missing)
}

fn named(index: &Index, matched: &Matched, list: &[Missing]) -> Vec<String> {
    list.iter()
        .map(|one| {
            let source = &matched.sources[one.source];
            let record = index.record_name(one.fix).expect("a row of this index");
            format!("{} {} {record}", source.source, source.version)
        })
        .collect()
}

fn standing<'a>(matched: &'a Matched, source: &str) -> &'a Standing {
    let found = matched.sources.iter().find(|one| &*one.source == source);
    &found.unwrap_or_else(|| panic!("{source} is not there")).standing
}

fn outcome(matched: &Matched, source: &str) -> Outcome {
    let place = matched.sources.iter().position(|one| &*one.source == source);
    matched.outcomes()[place.expect("a source")]
}

#[test]
fn the_last_vulnerable_version_is_not_told_as_the_fixed_one() {
    let up_to = Range { lower: Lower::Open, upper: Upper::UpTo(Arc::from("1.0-1")) };
    let advisory = Advisory { range: up_to, ..fix("USN-2-1", "curl", "", &["CVE-2026-2"]) };
    let index = index(&[advisory]);
    let matched = match_inventory(&index, &node(&["curl 1.0-1"], "5.15.0-1-azure", ""));
    let [missing] = matched.missing.as_slice() else { panic!("{:?}", matched.missing) };
    assert_eq!(index.fix(missing.fix).expect("a row").fixed, None);
}

#[test]
fn a_source_lacks_each_fix_above_its_version_and_its_binaries_stand_below() {
    let index = index(&[
        fix("USN-1-1", "util-linux", "2.37.2-4ubuntu3.4", &["CVE-2026-1001"]),
        fix("USN-2-1", "util-linux", "2.37.2-4ubuntu3.5", &[]),
        fix("USN-3-1", "util-linux", "2.37.2-4ubuntu3.3", &["CVE-2026-1002"]),
    ]);
    let lines = [
        "bsdutils 1:2.37.2-4ubuntu3.3 util-linux 2.37.2-4ubuntu3.3",
        "util-linux 2.37.2-4ubuntu3.3",
    ];
    let matched = match_inventory(&index, &node(&lines, "", ""));
    // The version that is fixed is fixed; a binary's own epoch is not its source's.
    let expected = ["util-linux 2.37.2-4ubuntu3.3 USN-1-1", "util-linux 2.37.2-4ubuntu3.3 USN-2-1"];
    assert_eq!(missing(&index, &matched), expected);
    let place = matched.missing[0].source;
    let names: Vec<&str> = matched.binaries(place).map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["bsdutils", "util-linux"]);
    assert_eq!(matched.sources[place].not_affected, 1);
    let fix = index.fix(matched.missing[0].fix).expect("a fix");
    assert_eq!(fix.fixed, Some("2.37.2-4ubuntu3.4"));
    assert_eq!(fix.published.expect("a date").at, at(0));
    assert_eq!(fix.aliases[0].rating, Rating::Medium);
    // What was installed later than the fix is fixed, although that version never existed.
    let newer = match_inventory(&index, &node(&["util-linux 2.38-1"], "", ""));
    assert_eq!(missing(&index, &newer), Vec::<String>::new());
    assert_eq!(outcome(&newer, "util-linux"), Outcome::NotAffected);
}

/// Kernels of two versions, with all that goes along.
const KERNELS: [&str; 7] = [
    "linux-azure-headers-5.15.0-1102 5.15.0-1102.111 linux-azure",
    "linux-headers-5.15.0-1102-azure 5.15.0-1102.111 linux-azure",
    "linux-image-5.15.0-1102-azure 5.15.0-1102.111 linux-signed-azure",
    "linux-image-5.15.0-1116-azure 5.15.0-1116.125 linux-signed-azure",
    "linux-image-azure-lts-22.04 5.15.0.1116.114 linux-meta-azure",
    "linux-libc-dev 5.15.0-170.180 linux",
    "linux-tools-common 5.15.0-170.180 linux",
];

fn kernel_notices() -> Vec<Advisory> {
    vec![
        dated(0, fix("USN-10-1", "linux", "5.15.0-181.191", &["CVE-2026-2001"])),
        dated(60, fix("USN-10-5", "linux-azure", "5.15.0-1116.125", &["CVE-2026-2001"])),
        dated(90, fix("USN-11-1", "linux-azure", "5.15.0-1120.130", &["CVE-2026-2002"])),
    ]
}

#[test]
fn only_the_kernel_that_runs_is_judged_and_by_its_own_flavour() {
    let index = index(&kernel_notices());
    let older = match_inventory(&index, &node(&KERNELS, "5.15.0-1102-azure", "#111-Ubuntu SMP"));
    // Neither headers, tools nor meta packages are rows, nor is the generic notice.
    assert_eq!(
        missing(&index, &older),
        ["linux-azure 5.15.0-1102.111 USN-10-5", "linux-azure 5.15.0-1102.111 USN-11-1"]
    );
    // The first comes into force with a reboot, the second is not on disk yet.
    assert_eq!([true, false], [0, 1].map(|one: usize| older.missing[one].is_on_disk));
    assert_eq!(standing(&older, "linux"), &Standing::GoesAlong);
    let newer = match_inventory(&index, &node(&KERNELS, "5.15.0-1116-azure", "#125-Ubuntu SMP"));
    assert_eq!(missing(&index, &newer), ["linux-azure 5.15.0-1116.125 USN-11-1"]);
    assert!(!newer.missing[0].is_on_disk);
    // The clock is that of the flavour.
    let alias = AliasId::of("CVE-2026-2001");
    let first = index.first_fix(&jammy(), "linux-azure", &alias).expect("a fix");
    assert_eq!(index.published(first), Some((at(60), DateKind::Advisory)));
}

#[test]
fn a_kernel_that_is_not_known_is_unknown_and_never_clean() {
    let index = index(&kernel_notices());
    let matched = match_inventory(&index, &node(&KERNELS, "", ""));
    assert_eq!(missing(&index, &matched), Vec::<String>::new());
    assert_eq!(outcome(&matched, "kernel"), Outcome::Unknown);
}

#[test]
fn of_two_kernels_of_azure_linux_the_one_that_runs_counts() {
    let stream = Stream::of_os_release("azurelinux", "3.0");
    let of_kernel = |record: &str, version: &str| Advisory {
        stream: stream.clone(),
        epochs: Epochs::Ignored,
        ..fix(record, "kernel", version, &[])
    };
    let index = index(&[of_kernel("1", "0:6.6.64.2-1.azl3"), of_kernel("2", "0:6.6.76.1-1.azl3")]);
    let lines =
        ["kernel 6.6.57.1-7.azl3", "kernel 6.6.64.2-1.azl3", "kernel-devel 6.6.64.2-1.azl3 kernel"];
    let packages = packages(PackageManager::Rpm, &lines);
    for (release, expected) in [
        ("6.6.57.1-7.azl3", vec!["kernel 6.6.57.1-7.azl3 1", "kernel 6.6.57.1-7.azl3 2"]),
        ("6.6.64.2-1.azl3", vec!["kernel 6.6.64.2-1.azl3 2"]),
    ] {
        let inventory = Inventory {
            stream: stream.clone(),
            tiers: tiers_of(&packages, &UbuntuPro::NotThere),
            kernel: kernel::running(&kernel(release, ""), &packages),
            packages: Arc::clone(&packages),
            mitigated: BTreeMap::new(),
        };
        let matched = match_inventory(&index, &inventory);
        assert_eq!(missing(&index, &matched), expected);
        // Nothing that is installed is left out, and nothing stands twice.
        let mut names: Vec<&str> = (0..matched.sources.len())
            .flat_map(|place| matched.binaries(place))
            .map(|package| package.name.as_str())
            .collect();
        names.sort_unstable();
        assert_eq!(names, ["kernel", "kernel", "kernel-devel"]);
    }
}

#[test]
fn packages_of_others_are_not_covered_and_never_matched_by_their_names() {
    let index = index(&[
        fix("USN-20-1", "runc", "1.3.3-0ubuntu1~22.04.3", &["CVE-2026-3001"]),
        fix("USN-20-2", "moby-runc", "99", &["CVE-2026-3001"]),
    ]);
    let matched = match_inventory(&index, &node(&["moby-runc 1.1.9-ubuntu22.04u1"], "", ""));
    assert_eq!(missing(&index, &matched), Vec::<String>::new());
    assert_eq!(outcome(&matched, "moby-runc"), Outcome::NotCovered);
}

#[test]
fn packages_that_no_distribution_covers_are_held_against_upstream_by_its_version() {
    let upstream = Stream {
        distribution: Distribution::Upstream(Arc::from("Go")),
        release: Arc::from(""),
        tier: Tier::Base,
    };
    let of = |record: &str, module: &str, fixed: &str| Advisory {
        stream: upstream.clone(),
        ..fix(record, module, fixed, &["CVE-2026-0001"])
    };
    let index = index(&[
        of("GHSA-aaaa", "github.com/containerd/containerd", "1.7.34"),
        of("GHSA-bbbb", "github.com/containerd/containerd", "1.7.33"),
        of("GHSA-cccc", "github.com/opencontainers/runc", "1.4.3"),
        fix("USN-1-1", "containerd", "9", &["CVE-2026-0002"]),
    ]);
    let node = node(
        &[
            "moby-containerd 1.7.33-ubuntu22.04u4",
            "moby-runc 1.4.3-ubuntu22.04u3",
            "blobfuse2 2.5.4",
        ],
        "5.15.0-1124-azure",
        "#133-Ubuntu",
    );
    let matched = match_inventory(&index, &node);
    assert_eq!(missing(&index, &matched), ["moby-containerd 1.7.33-ubuntu22.04u4 GHSA-aaaa"]);
    let module = "github.com/containerd/containerd".to_owned();
    assert_eq!(standing(&matched, "moby-containerd"), &Standing::Upstream(module));
    // What upstream does not name is not clean, and what nothing speaks of is not either.
    assert_eq!(outcome(&matched, "moby-runc"), Outcome::NotCovered);
    assert_eq!(outcome(&matched, "blobfuse2"), Outcome::NotCovered);
}

#[test]
fn a_second_notice_is_a_second_missing_update_and_starts_no_clock_anew() {
    let index = index(&[
        dated(0, fix("USN-30-1", "curl", "7.81.0-1ubuntu1.20", &["CVE-2026-4001"])),
        dated(20, fix("USN-30-2", "curl", "7.81.0-1ubuntu1.21", &["CVE-2026-4001"])),
    ]);
    let of = |version: &str| {
        let line = format!("curl {version}");
        missing(&index, &match_inventory(&index, &node(&[&line], "", "")))
    };
    assert_eq!(of("7.81.0-1ubuntu1.19").len(), 2);
    assert_eq!(of("7.81.0-1ubuntu1.20"), ["curl 7.81.0-1ubuntu1.20 USN-30-2"]);
    let alias = AliasId::of("CVE-2026-4001");
    let first = index.first_fix(&jammy(), "curl", &alias).expect("a fix");
    assert_eq!(index.published(first), Some((at(0), DateKind::Advisory)));
}

#[test]
fn fixes_of_pro_count_on_nodes_that_are_attached_to_it_alone() {
    let open = tracked("vim", "CVE-2026-5001", Statement::Unfixed(Unfixed::Pending), Range::ALL);
    let ended = tracked("vim", "CVE-2026-5002", Statement::Unfixed(Unfixed::EndOfLife), Range::ALL);
    let index = index(&[
        ended,
        in_tier(Tier::Pro, fix("USN-40-1", "vim", "2:8.2-1ubuntu1+esm1", &["CVE-2026-5001"])),
        open,
    ]);
    let base = match_inventory(&index, &node(&["vim 2:8.2-1ubuntu1"], "", ""));
    assert_eq!(missing(&index, &base), Vec::<String>::new());
    assert_eq!(named(&index, &base, &base.other_tiers), ["vim 2:8.2-1ubuntu1 USN-40-1"]);
    assert_eq!(base.unfixed.len(), 2, "base has no fix");
    // Any package with `+esm` shows that the node is attached.
    let lines = ["vim 2:8.2-1ubuntu1", "zlib1g 1:1.2.11+esm1 zlib"];
    let attached = match_inventory(&index, &node(&lines, "", ""));
    assert_eq!(missing(&index, &attached), ["vim 2:8.2-1ubuntu1 USN-40-1"]);
    assert_eq!(attached.missing[0].tier, Tier::Pro);
    assert!(attached.unfixed.is_empty(), "what base leaves open is fixed in Pro");
    let updated = match_inventory(&index, &node(&["vim 2:8.2-1ubuntu1+esm1"], "", ""));
    assert_eq!(outcome(&updated, "vim"), Outcome::NotAffected);
}

#[test]
fn modules_of_fips_are_judged_by_advisories_on_them_alone() {
    let base = fix("USN-50-1", "openssl", "1.1.1f-1ubuntu2.24", &["CVE-2026-6001"]);
    let lines = ["libssl1.1 1.1.1f-1ubuntu2.fips.22 openssl"];
    let without = index(std::slice::from_ref(&base));
    let matched = match_inventory(&without, &node(&lines, "", ""));
    assert_eq!(outcome(&matched, "openssl"), Outcome::NotCovered);
    let fips = fix("USN-50-2", "openssl", "1.1.1f-1ubuntu2.fips.23", &["CVE-2026-6001"]);
    let with = index(&[base, in_tier(Tier::FipsUpdates, fips)]);
    let matched = match_inventory(&with, &node(&lines, "", ""));
    assert_eq!(missing(&with, &matched), ["openssl 1.1.1f-1ubuntu2.fips.22 USN-50-2"]);
}

#[test]
fn what_was_taken_back_or_does_not_apply_is_no_finding() {
    let index = index(&[
        fix("USN-WITHDRAWN-1", "curl", "9", &["CVE-2026-7001"]),
        fix("USN-60-1", "curl", "8", &["CVE-2026-7002"]),
        fix("USN-60-2", "curl", "8.1", &["CVE-2026-7002", "CVE-2026-7003"]),
        not_affected("curl", "CVE-2026-7002"),
        tracked("curl", "CVE-2026-7002", Statement::Unfixed(Unfixed::Pending), Range::ALL),
    ]);
    let matched = match_inventory(&index, &node(&["curl 7"], "", ""));
    assert_eq!(missing(&index, &matched), ["curl 7 USN-60-2"]);
    assert!(matched.unfixed.is_empty());
    let fix = index.fix(matched.missing[0].fix).expect("a fix");
    let names: Vec<String> = fix.aliases.iter().map(|alias| alias.id.to_string()).collect();
    assert_eq!(names, ["CVE-2026-7003"]);
    assert_eq!(index.sizes().withdrawn, 1);
    assert_eq!(index.sizes().not_affected, 3);
}

#[test]
fn a_tracker_fills_the_gaps_of_notices_and_repeats_none() {
    let index = index(&[
        fix("USN-70-1", "tar", "1.34-3", &["CVE-2026-8001"]),
        tracked("tar", "CVE-2026-8001", Statement::Fixed, Range::below("1.34-3")),
        tracked("tar", "CVE-2026-8001", Statement::Unfixed(Unfixed::Pending), Range::ALL),
        tracked("tar", "CVE-2026-8002", Statement::Fixed, Range::below("1.34-2")),
        tracked("tar", "CVE-2026-8003", Statement::Unfixed(Unfixed::Pending), Range::ALL),
        Advisory {
            record: Arc::from("VEX-CVE-2026-8003"),
            ..tracked("tar", "CVE-2026-8003", Statement::Unfixed(Unfixed::WontFix), Range::ALL)
        },
        // The same notice out of another feed.
        fix("USN-70-1", "tar", "1.34-3", &["CVE-2026-8001"]),
    ]);
    let matched = match_inventory(&index, &node(&["tar 1.34-1"], "", ""));
    assert_eq!(
        missing(&index, &matched),
        ["tar 1.34-1 UBUNTU-CVE-2026-8002", "tar 1.34-1 USN-70-1"]
    );
    let [open] = matched.unfixed.as_slice() else { panic!("{matched:?}") };
    assert_eq!(index.fix(open.fix).expect("a row").unfixed, Some(Unfixed::WontFix));
    assert_eq!(index.sizes().covered, 4);
}

#[test]
fn what_cannot_be_read_is_unknown_and_hides_nothing_else() {
    let index = index(&[
        fix("USN-80-1", "one", "2.0 beta", &["CVE-2026-9001"]),
        fix("USN-80-2", "two", "2.0 beta", &["CVE-2026-9001"]),
        fix("USN-80-3", "two", "2.0", &["CVE-2026-9002"]),
    ]);
    let lines = ["one 1.0", "two 1.0", "three v1_0"];
    let matched = match_inventory(&index, &node(&lines, "", ""));
    assert_eq!(outcome(&matched, "one"), Outcome::Unknown);
    assert_eq!(missing(&index, &matched), ["two 1.0 USN-80-3"]);
    assert_eq!(outcome(&matched, "three"), Outcome::Unknown);
    let said: Vec<&str> = matched.unreadable.iter().map(|one| one.record.as_str()).collect();
    assert_eq!(said, ["USN-80-1", "USN-80-2"]);
}

#[test]
fn a_mitigation_holds_only_what_it_covers_whole() {
    let index = index(&[
        fix("USN-90-1", "one", "2", &["CVE-2026-9101"]),
        fix("USN-90-2", "one", "3", &["CVE-2026-9101", "CVE-2026-9102"]),
        fix("USN-90-3", "one", "4", &[]),
    ]);
    let mut inventory = node(&["one 1"], "", "");
    inventory.mitigated.insert(AliasId::of("CVE-2026-9101"), "a module is blocked".to_owned());
    let matched = match_inventory(&index, &inventory);
    let mitigated: Vec<bool> = matched.missing.iter().map(|one| one.is_mitigated).collect();
    assert_eq!(mitigated, [true, false, false]);
}

#[test]
fn a_distribution_that_is_not_known_is_not_covered() {
    let index = index(&[fix("USN-1-1", "curl", "9", &[])]);
    let inventory = Inventory {
        stream: Stream::of_os_release("flatcar", "4230.2.1"),
        ..node(&["curl 1"], "", "")
    };
    let matched = match_inventory(&index, &inventory);
    assert_eq!(outcome(&matched, "curl"), Outcome::NotCovered);
}

#[test]
fn nodes_of_one_image_have_two_keys_while_one_is_not_rebooted() {
    let key = |release: &str| {
        let inventory = node(&KERNELS, release, "#1-Ubuntu SMP");
        let kernel = kernel(release, "#1-Ubuntu SMP");
        MatchKey::of(Arc::from("digest"), &inventory, Some(&kernel), 7, Arc::from("aks-2026"))
    };
    assert_eq!(key("5.15.0-1102-azure"), key("5.15.0-1102-azure"));
    assert_ne!(key("5.15.0-1102-azure"), key("5.15.0-1116-azure"));
}

/// A few versions of few parts, so that equal ones are frequent.
const VERSION: &str = "([01]:)?[0-3](\\.[0-3])?(~a)?(-[0-2])?";

fn lower() -> impl Strategy<Value = Lower> {
    prop_oneof![
        3 => Just(Lower::Open),
        1 => VERSION.prop_map(|version| Lower::AtLeast(Arc::from(version))),
        1 => VERSION.prop_map(|version| Lower::Above(Arc::from(version))),
    ]
}

fn upper() -> impl Strategy<Value = Upper> {
    prop_oneof![
        4 => VERSION.prop_map(|version| Upper::Below(Arc::from(version))),
        1 => VERSION.prop_map(|version| Upper::UpTo(Arc::from(version))),
        1 => Just(Upper::Open),
    ]
}

fn notices() -> impl Strategy<Value = Vec<Advisory>> {
    let notice = (lower(), upper(), 0..3_usize, any::<bool>());
    prop::collection::vec(notice, 0..12).prop_map(|list| {
        let sources = ["a", "b", "c"];
        list.into_iter()
            .enumerate()
            .map(|(number, (lower, upper, source, ignored))| Advisory {
                range: Range { lower, upper },
                epochs: if ignored { Epochs::Ignored } else { Epochs::Compared },
                ..fix(&format!("N-{number:02}"), sources[source], "0", &[])
            })
            .collect()
    })
}

/// Matching as one would write it down without an index.
fn plainly(advisories: &[Advisory], installed: &[(&str, String)]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (source, version) in installed {
        for advisory in advisories.iter().filter(|one| *one.source == **source) {
            let compare = |bound: &str| {
                let plain = |text: &str| {
                    text.split_once(':').map_or(text.to_owned(), |(_, rest)| rest.to_owned())
                };
                match advisory.epochs {
                    Epochs::Compared => dpkg::compare(version, bound),
                    Epochs::Ignored => dpkg::compare(&plain(version), &plain(bound)),
                }
            };
            let above = match &advisory.range.lower {
                Lower::Open => true,
                Lower::AtLeast(bound) => compare(bound).is_ge(),
                Lower::Above(bound) => compare(bound).is_gt(),
            };
            let below = match &advisory.range.upper {
                Upper::Open => true,
                Upper::Below(bound) => compare(bound).is_lt(),
                Upper::UpTo(bound) => compare(bound).is_le(),
            };
            if above && below {
                found.insert(format!("{source} {version} {}", advisory.record));
            }
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn the_index_finds_what_plain_comparison_finds_in_whichever_order_feeds_come(
        (advisories, shuffled) in notices().prop_flat_map(|list| {
            (Just(list.clone()), Just(list).prop_shuffle())
        }),
        versions in [VERSION, VERSION, VERSION],
    ) {
        let installed: Vec<(&str, String)> = ["a", "b", "c"].into_iter().zip(versions).collect();
        let lines: Vec<String> =
            installed.iter().map(|(source, version)| format!("{source} {version}")).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let index = index(&advisories);
        let matched = match_inventory(&index, &node(&lines, "", ""));
        let found: BTreeSet<String> = missing(&index, &matched).into_iter().collect();
        prop_assert_eq!(&found, &plainly(&advisories, &installed));
        let other = super::tests::index(&shuffled);
        let again = match_inventory(&other, &node(&lines, "", ""));
        prop_assert_eq!(missing(&index, &matched), missing(&other, &again));
    }

    #[test]
    fn a_newer_version_never_lacks_more_fixes(
        advisories in notices(), one in VERSION, other in VERSION,
    ) {
        // Where a range has a beginning a newer version may well lie in it.
        let advisories: Vec<Advisory> = advisories
            .into_iter()
            .map(|one| Advisory { range: Range { lower: Lower::Open, ..one.range }, epochs: Epochs::Compared, ..one })
            .collect();
        let (older, newer) = match dpkg::compare(&one, &other) {
            Ordering::Greater => (other, one),
            Ordering::Less | Ordering::Equal => (one, other),
        };
        let index = index(&advisories);
        let records = |version: &str| -> BTreeSet<String> {
            let line = format!("a {version}");
            let matched = match_inventory(&index, &node(&[&line], "", ""));
            matched.missing.iter().filter_map(|one| Some(index.record_name(one.fix)?.to_owned())).collect()
        };
        prop_assert!(records(&newer).is_subset(&records(&older)), "{} {}", older, newer);
    }
}

#[test]
fn an_epoch_that_the_feed_does_not_know_hides_no_fix() {
    assert!(rpm::compare("4:5.38.2-509.azl3", "0:5.38.2-510.azl3").is_gt());
    let stream = Stream::of_os_release("azurelinux", "3.0");
    let index = index(&[Advisory {
        stream: stream.clone(),
        epochs: Epochs::Ignored,
        ..fix("1", "perl", "0:5.38.2-510.azl3", &[])
    }]);
    let packages =
        packages(PackageManager::Rpm, &["perl-if 0.61.000-509.azl3 perl 4:5.38.2-509.azl3"]);
    let inventory = Inventory {
        stream,
        tiers: tiers_of(&packages, &UbuntuPro::NotThere),
        packages,
        kernel: Err(String::new()),
        mitigated: BTreeMap::new(),
    };
    let matched = match_inventory(&index, &inventory);
    assert_eq!(missing(&index, &matched), ["perl 4:5.38.2-509.azl3 1"]);
}
