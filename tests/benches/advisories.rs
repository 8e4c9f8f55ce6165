//! How long advisories take to be read, indexed, matched and assessed, how much memory the
//! index holds, and how much work that was. `make bench` runs it in the release profile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nodeward_domain::advisory::{
    Advisory, Alias, AliasId, Authority, DateKind, Dated, Epochs, Published, Range, Rating,
    Statement, Stream,
};
use nodeward_domain::facts::{DatabaseLock, Package, PackageManager, Packages};
use nodeward_domain::matching::{Index, Inventory, MatchKey, Matched, match_inventory};
use nodeward_domain::patch_age::{Fixed, ImageLine, Known, Offered, Shipped, Situation, answer};
use nodeward_domain::platform::Platform;
use nodeward_domain::policy::{DEFAULT_EDITION, Policy};
use nodeward_domain::version::dpkg;
use nodeward_domain::version::key::{Order, VersionKey};
use nodeward_feeds::oval::read_oval;
use nodeward_tests::advisories::index_of;
use nodeward_tests::bench::{Usage, median, mib};
use nodeward_tests::random::Random;

/// Packages of a node, as many as on AKS's Ubuntu images.
const PACKAGES: usize = 750;

const ROUNDS: usize = 200;

fn main() {
    comparisons();
    oval();
    let matched = one_inventory();
    big_index();
    fleet(&matched);
}

fn milliseconds(length: Duration) -> f64 {
    length.as_secs_f64() * 1000.0
}

/// The middle of the time that something takes.
fn time<T>(rounds: usize, mut what: impl FnMut() -> T) -> f64 {
    black_box(what());
    let took = (0..rounds).map(|_| {
        let started = Instant::now();
        black_box(what());
        milliseconds(started.elapsed())
    });
    median(took.collect())
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_760_000_000 + second).expect("a moment")
}

/// A version of Ubuntu's kind.
fn version(random: &mut Random) -> String {
    let mut number = |below: usize| random.below(below);
    let [a, b, c, d, e] = [number(9), number(40), number(20), number(9), number(60)];
    format!("{a}.{b}.{c}-{d}ubuntu0.{e}")
}

fn source(number: usize) -> String {
    format!("lib{}{number}", ["example", "other", "third", "x"][number % 4])
}

/// Fixes of one stream, on sources that nodes have and on others, each with some CVEs.
fn fixes(count: usize, sources: usize, stream: &Stream) -> Vec<Advisory> {
    let mut random = Random::new(7);
    (0..count)
        .map(|number| {
            let cves = 1 + random.below(8);
            Advisory {
                record: Arc::from(format!("USN-{}-{}", 3000 + number / 3, 1 + number % 3)),
                authority: Authority::Notice,
                stream: stream.clone(),
                source: Arc::from(source(random.below(sources))),
                range: Range::below(version(&mut random)),
                statement: Statement::Fixed,
                aliases: (0..cves)
                    .map(|_| Alias {
                        id: AliasId::of(&format!("CVE-2026-{:04}", random.below(40_000))),
                        rating: Rating::Medium,
                    })
                    .collect(),
                published: Some(Dated {
                    at: at(i64::try_from(number).expect("small")),
                    kind: DateKind::Advisory,
                }),
                epochs: Epochs::Compared,
            }
        })
        .collect()
}

fn index(advisories: &[Advisory]) -> Index {
    let (feed, revision) = (Arc::from("usn"), Arc::from("1"));
    Index::build(1, advisories, &BTreeSet::new(), |_| {
        Some(Published {
            at: at(0),
            kind: DateKind::Advisory,
            feed: Arc::clone(&feed),
            revision: Arc::clone(&revision),
        })
    })
    .expect("few enough")
}

/// A node: three in five packages have a source of their own name. Of so many sources one is
/// behind; all others have every fix.
fn inventory(seed: u64, one_behind_in: usize) -> Inventory {
    let mut random = Random::new(seed);
    let mut installed: Vec<Package> = (0..PACKAGES)
        .map(|number| {
            let place = number * 3 / 5;
            let source = source(place);
            let epoch = if place % one_behind_in == 0 { "" } else { "8:" };
            let version = format!("{epoch}{}", version(&mut random));
            Package {
                name: format!("{source}-{number}"),
                architecture: "amd64".to_owned(),
                version: version.clone(),
                source,
                source_version: version,
                held: false,
                origin: String::new(),
            }
        })
        .collect();
    // All that is built from one source has its version.
    let versions: BTreeMap<String, String> = installed
        .iter()
        .map(|package| (package.source.clone(), package.source_version.clone()))
        .collect();
    for package in &mut installed {
        package.source_version.clone_from(&versions[&package.source]);
    }
    installed.sort();
    Inventory {
        packages: Arc::new(Packages {
            manager: PackageManager::Dpkg,
            path: "/var/lib/dpkg/status".to_owned(),
            installed,
            unfinished: Vec::new(),
            lock: DatabaseLock::Free,
        }),
        stream: Stream::of_os_release("ubuntu", "22.04"),
        tiers: BTreeSet::from([nodeward_domain::advisory::Tier::Base]),
        kernel: Err("none in this measurement".to_owned()),
        mitigated: BTreeMap::new(),
    }
}

fn comparisons() {
    let mut random = Random::new(3);
    let versions: Vec<String> = (0..1000).map(|_| version(&mut random)).collect();
    let keys: Vec<VersionKey> = versions
        .iter()
        .map(|one| VersionKey::parse(Order::Dpkg, one).expect("a version"))
        .collect();
    let pairs = 999.0;
    let texts = time(ROUNDS, || {
        versions.windows(2).filter(|pair| dpkg::compare(&pair[0], &pair[1]).is_lt()).count()
    });
    let read = time(ROUNDS, || {
        let mut key = VersionKey::default();
        versions.iter().filter(|one| key.read(Order::Dpkg, one).is_ok()).count()
    });
    let compared =
        time(ROUNDS, || keys.windows(2).filter(|pair| pair[0].bytes() < pair[1].bytes()).count());
    println!("versions, 999 pairs");
    println!(
        "  two texts {:.0} ns; read into a key {:.0} ns; two keys {:.0} ns; limit 35 to 280 ns",
        texts * 1e6 / pairs,
        read * 1e6 / 1000.0,
        compared * 1e6 / pairs
    );
}

/// A file of definitions of the real size, or the real one.
fn oval() {
    let real = std::env::var_os("NODEWARD_CORPUS").map(|corpus| {
        let path = std::path::Path::new(&corpus).join("advisories/azurelinux-3.0-oval.xml");
        std::fs::read(path).expect("definitions")
    });
    let what = if real.is_some() { "Azure Linux 3, 2025-02-24" } else { "made for this" };
    let bytes = real.unwrap_or_else(|| definitions(2_266).into_bytes());
    let lines = time(20, || bytes.iter().filter(|byte| **byte == b'\n').count());
    let events = time(20, || {
        let mut reader = quick_xml::Reader::from_str(std::str::from_utf8(&bytes).expect("text"));
        let mut count = 0_usize;
        while !matches!(reader.read_event().expect("XML"), quick_xml::events::Event::Eof) {
            count += 1;
        }
        count
    });
    let took = time(20, || read_oval("oval.xml", &bytes).expect("definitions"));
    let content = read_oval("oval.xml", &bytes).expect("definitions");
    let indexed = time(20, || index_of(&content));
    println!("OVAL, {what}: {:.1} MB, {} definitions", mib(bytes.len() as u64), content.records);
    println!(
        "  read {took:.1} ms; with ledger and index {:.1} ms; goal 60 ms; raw: lines counted \
         {lines:.1} ms, events alone {events:.1} ms",
        took + indexed
    );
}

/// Definitions in the form of Microsoft's.
fn definitions(count: usize) -> String {
    let mut random = Random::new(5);
    let [mut heads, mut tests, mut objects, mut states] = [const { String::new() }; 4];
    for number in 0..count {
        let version =
            format!("0:{}.{}.{}-{}.azl3", random.below(9), number % 50, number % 7, 1 + number % 9);
        let name = source(random.below(400));
        write!(
            heads,
            "    <definition class=\"vulnerability\" id=\"oval:com.microsoft.azurelinux:def:{number}\" version=\"1\">\n      <metadata>\n        <title>CVE-2025-{number:04} affecting package {name} for versions less than {version}</title>\n        <affected family=\"unix\">\n          <platform>Azure Linux</platform>\n        </affected>\n        <reference ref_id=\"CVE-2025-{number:04}\" ref_url=\"https://nvd.nist.gov/vuln/detail/CVE-2025-{number:04}\" source=\"CVE\"/>\n        <patchable>true</patchable>\n        <advisory_date>2025-02-18T00:00:00Z</advisory_date>\n        <advisory_id>{number}-1</advisory_id>\n        <severity>High</severity>\n        <description>CVE-2025-{number:04} affecting package {name} for versions less than {version}. A patched version of the package is available.</description>\n      </metadata>\n      <criteria operator=\"AND\">\n        <criterion comment=\"Package {name} is earlier than {version}, affected by CVE-2025-{number:04}\" test_ref=\"tst:{number}\"/>\n      </criteria>\n    </definition>\n"
        )
        .expect("memory");
        write!(
            tests,
            "    <linux-def:rpminfo_test check=\"at least one\" comment=\"Package {name} is earlier than {version}, affected by CVE-2025-{number:04}\" id=\"tst:{number}\" version=\"1\">\n      <linux-def:object object_ref=\"obj:{number}\"/>\n      <linux-def:state state_ref=\"ste:{number}\"/>\n    </linux-def:rpminfo_test>\n"
        )
        .expect("memory");
        write!(objects, "    <linux-def:rpminfo_object id=\"obj:{number}\" version=\"1\">\n      <linux-def:name>{name}</linux-def:name>\n    </linux-def:rpminfo_object>\n").expect("memory");
        write!(states, "    <linux-def:rpminfo_state id=\"ste:{number}\" version=\"1\">\n      <linux-def:evr datatype=\"evr_string\" operation=\"less than\">{version}</linux-def:evr>\n    </linux-def:rpminfo_state>\n").expect("memory");
    }
    format!(
        "<oval_definitions xmlns=\"http://oval.mitre.org/XMLSchema/oval-definitions-5\">\n  <generator>\n    <oval:timestamp>2025-02-24T13:05:27Z</oval:timestamp>\n  </generator>\n  <definitions>\n{heads}  </definitions>\n  <tests>\n{tests}  </tests>\n  <objects>\n{objects}  </objects>\n  <states>\n{states}  </states>\n</oval_definitions>\n"
    )
}

fn one_inventory() -> Vec<(Index, Matched)> {
    let stream = Stream::of_os_release("ubuntu", "22.04");
    let index = index(&fixes(50_000, 3_000, &stream));
    println!("one inventory of {PACKAGES} packages against {} fixes", index.sizes().fixes);
    let mut all = Vec::new();
    for (what, behind) in [("every package behind", 1), ("one in sixty behind", 60)] {
        let inventory = inventory(11, behind);
        let matched = match_inventory(&index, &inventory);
        let took = time(ROUNDS, || match_inventory(&index, &inventory));
        let looked_at: usize = matched.sources.iter().map(|one| one.not_affected).sum::<usize>()
            + matched.missing.len();
        println!(
            "  {what}: {took:.3} ms for {} sources, {} missing; goal 0.25 ms; raw: {looked_at} fixes on \
             its sources, {} places found in sorted lists",
            matched.sources.len(),
            matched.missing.len(),
            matched.sources.len()
        );
        all.push(matched);
    }
    // What a node of a known key costs.
    let inventory = inventory(11, 60);
    let key = |packages: usize| {
        MatchKey::of(Arc::from(format!("{packages:064}")), &inventory, None, 1, Arc::from("e"))
    };
    let known: BTreeMap<MatchKey, usize> = (0..40).map(|number| (key(number), number)).collect();
    let wanted = key(17);
    let took = time(ROUNDS, || known.get(&wanted).copied());
    println!(
        "  a second node of the same key: {:.0} ns, found among {} keys",
        took * 1e6,
        known.len()
    );
    all.into_iter().map(|matched| (index.clone(), matched)).collect()
}

fn big_index() {
    let streams: Vec<Stream> = ["18.04", "20.04", "22.04", "24.04", "26.04"]
        .iter()
        .map(|release| Stream::of_os_release("ubuntu", release))
        .collect();
    let mut advisories = Vec::new();
    for stream in &streams {
        advisories.extend(fixes(30_000, 6_000, stream));
    }
    let before = Usage::of(std::process::id());
    let started = Instant::now();
    let index = index(&advisories);
    let took = milliseconds(started.elapsed());
    let after = Usage::of(std::process::id());
    let names: usize = advisories.iter().map(|one| one.aliases.len()).sum();
    println!("index of {} fixes with {names} names of vulnerabilities", index.sizes().fixes);
    println!(
        "  holds {:.1} MiB; goal 40 MiB; built in {took:.0} ms; resident grew by {:.1} MiB with \
         what building leaves behind",
        mib(index.bytes_held() as u64),
        mib(after.resident_bytes.saturating_sub(before.resident_bytes)),
    );
}

/// 5,000 nodes of 40 keys: each key matched once, then every finding of every node assessed.
fn fleet(matched: &[(Index, Matched)]) {
    const NODES: usize = 5_000;
    const KEYS: usize = 40;
    let (index, _) = &matched[0];
    let policy = Policy::edition(DEFAULT_EDITION).expect("a shipped edition");
    let inventories: Vec<Inventory> =
        (0..KEYS).map(|number| inventory(u64::try_from(number).expect("small"), 60)).collect();
    let offered = Offered::Known {
        with_fix: Some("202611.20.0".to_owned()),
        newest: "202611.20.0".to_owned(),
        is_on_newest: false,
    };
    let now = at(40 * 86_400);
    let mut assessed = 0_usize;
    let took = time(20, || {
        let by_key: Vec<Vec<Known>> = inventories
            .iter()
            .map(|inventory| {
                let matched = match_inventory(index, inventory);
                matched
                    .missing
                    .iter()
                    .map(|missing| {
                        let fix = index.fix(missing.fix).expect("a fix");
                        Known::Fixed(Fixed {
                            package: Arc::clone(&matched.sources[missing.source].source),
                            version: fix.fixed.map(Arc::from),
                            published: index.published(missing.fix),
                            is_on_disk: missing.is_on_disk,
                        })
                    })
                    .collect()
            })
            .collect();
        assessed = 0;
        let mut customers = 0_usize;
        for node in 0..NODES {
            for known in &by_key[node % KEYS] {
                let situation = Situation {
                    platform: Platform::Aks,
                    known: known.clone(),
                    reboot_by: None,
                    shipped: Shipped::ByImage,
                    line: ImageLine::Alive,
                    offered: &offered,
                    channel: None,
                };
                let given = answer(&situation, &policy, now);
                customers += usize::from(given.turn.is_some());
                assessed += 1;
            }
        }
        customers
    });
    println!("{NODES} nodes over {KEYS} keys");
    println!(
        "  {took:.1} ms, matching included; goal 50 ms; raw: {KEYS} matches, {assessed} answers, \
         {:.0} ns each",
        took * 1e6 / f64::from(u32::try_from(assessed.max(1)).expect("small"))
    );
}
