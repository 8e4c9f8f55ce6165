//! How long node images take to be imported, held against each other and searched for a fix,
//! how much they take on disk, and how long plans take. `make bench` runs it in the release
//! profile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use nodeward_aggregator::advisories::Advisories;
use nodeward_aggregator::fleet::Fleet;
use nodeward_aggregator::images::{
    ReadImages, catalogue_of, import_images, names_of, read_document,
};
use nodeward_aggregator::import::Turn;
use nodeward_aggregator::store::Store;
use nodeward_aggregator::store::sqlite::SqliteStore;
use nodeward_domain::advisory::{
    Advisory, Alias, AliasId, Authority, DateKind, Dated, Epochs, Feeds, Published, Range, Rating,
    Statement, Stream,
};
use nodeward_domain::fixes::Knowledge;
use nodeward_domain::fixes::images::Images;
use nodeward_domain::image::ImageLabel;
use nodeward_domain::image::catalogue::Catalogue;
use nodeward_domain::image::compare::{MatchedImage, diff};
use nodeward_domain::image::first_fix::first_fix;
use nodeward_domain::image::sources::{Sources, Told};
use nodeward_domain::matching::Index;
use nodeward_domain::plan::create;
use nodeward_domain::plan::input::{
    Fixes, Gain, Gained, KubernetesSupport, NodeHealth, PlanNode, PlanRequest, PoolInput,
    TargetFacts,
};
use nodeward_domain::policy::{DEFAULT_EDITION, Policy};
use nodeward_domain::pool::{OfferedImage, PoolKey, PoolProfile};
use nodeward_tests::bench::{median, mib};
use nodeward_tests::random::Random;

/// Images of which notes exist, and lines that they are of.
const IMAGES: usize = 1_900;
const LINES: usize = 13;

/// Packages of one image, and how many change from one to the next.
const PACKAGES: usize = 750;
const CHANGES: usize = 20;

fn main() {
    import();
    compare();
    plans();
}

fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().expect("a moment")
}

/// The packages of consecutive images of one line: names and versions.
#[derive(Clone)]
struct Line {
    packages: Vec<(String, [usize; 3])>,
    random: Random,
}

impl Line {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let packages = (0..PACKAGES).map(|number| {
            let version = [random.below(9), random.below(40), random.below(20)];
            (format!("lib{}{number}", ["example", "other", "third", "x"][number % 4]), version)
        });
        Self { packages: packages.collect(), random }
    }

    /// The next image: some packages get a later version.
    fn next(&mut self) {
        for _ in 0..CHANGES {
            let place = self.random.below(PACKAGES);
            self.packages[place].1[2] += 1;
        }
    }

    fn note(&self, build: usize) -> String {
        let mut note = format!(
            "Starting build on  {}\nComponents downloaded in this VHD build:\n",
            (now() - SignedDuration::from_hours(24 * (4_000 - build as i64)))
                .strftime("%a %b %e %H:%M:%S UTC %Y")
        );
        // What stands around the list in real notes: three fifths of them.
        for number in 0..700 {
            let (name, [a, b, c]) = &self.packages[number % PACKAGES];
            let _ = writeln!(note, "  - {name} version {a}.{b}.{c}-ubuntu22.04u{}", number % 7);
            let _ = writeln!(
                note,
                "  - mcr.example.com/oss/v2/kubernetes/{name}:v{a}.{b}.{c}-{number}"
            );
        }
        note.push_str("=== Installed Packages Begin\nListing...\n");
        for (name, [a, b, c]) in &self.packages {
            let _ = writeln!(
                note,
                "{name}/jammy-updates,jammy-security,now {a}.{b}.{c}-1ubuntu0.{c} amd64 \
                 [installed,automatic]"
            );
        }
        note.push_str(
            "=== Installed Packages End\n=== os-release Begin\nID=ubuntu\nVERSION_ID=\"22.04\"\n\
             === os-release End\nUsing kernel:\nLinux version 5.15.0-1116-azure (b) #125-Ubuntu\n\
             Install completed successfully on  Thu Jul 2 07:32:57 UTC 2026\nFIPS enabled: False\n",
        );
        note
    }
}

fn container_list(sku: &str, version: &str, random: &mut Random) -> String {
    let mut images = String::new();
    for number in 0..110 {
        let digest: String =
            (0..64).map(|_| char::from(b"0123456789abcdef"[random.below(16)])).collect();
        let _ = write!(
            images,
            "{}{{\"id\":\"sha256:{digest}\",\"bytes\":1{number}915,\"repoTags\":[\"mcr.example.com\
             /oss/v2/kubernetes/image{number}:v1.{number}.0\"],\"repoDigests\":[\"mcr.example.com/oss/\
             v2/kubernetes/image{number}@sha256:{digest}\"]}}",
            if number == 0 { "" } else { "," }
        );
    }
    format!("{{\"sku\":\"{sku}\",\"imageVersion\":\"{version}\",\"imageBom\":[{images}]}}")
}

const FAMILIES: [&str; LINES] = [
    "2004gen2CVMcontainerd",
    "2004gen2fipscontainerd",
    "2204containerd",
    "2204gen2containerd",
    "2204gen2arm64containerd",
    "2204gen2TLcontainerd",
    "2204fipscontainerd",
    "2204gen2fipscontainerd",
    "2404containerd",
    "2404gen2containerd",
    "2404gen2arm64containerd",
    "2404gen2TLcontainerd",
    "2404gen2CVMcontainerd",
];

fn version(build: usize) -> String {
    let day = now() - SignedDuration::from_hours(24 * 7 * (200 - build as i64));
    day.strftime("%Y%m.%d.0").to_string()
}

/// The notes of all images and the lists of their containers, through parsers and store.
fn import() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store.db");
    let per_line = IMAGES.div_ceil(LINES);
    let mut files = Vec::new();
    let mut random = Random::new(7);
    for (seed, sku) in (1..).zip(FAMILIES) {
        let mut line = Line::new(seed);
        for build in 0..per_line.min(IMAGES - files.len() / 2) {
            line.next();
            let version = version(build);
            let release = format!("VERSION_ID=\"{}.{}\"", &sku[..2], &sku[2..4]);
            let note = line.note(build).replace("VERSION_ID=\"22.04\"", &release);
            files.push((format!("AKSUbuntu-{sku}/{version}.txt"), note));
            let list = container_list(sku, &version, &mut random);
            files.push((format!("AKSUbuntu-{sku}/{version}-image-list.json"), list));
        }
    }
    let raw: usize = files.iter().map(|(_, text)| text.len()).sum();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&path).expect("a store"));
    let policy = Policy::edition(DEFAULT_EDITION).expect("the usual edition");
    let fleet = Fleet::new(policy, Advisories::starter().expect("the starter feed"));
    let started = Instant::now();
    let names = names_of(None);
    let read: Vec<_> = files
        .iter()
        .map(|(file, text)| {
            read_document(file, text.as_bytes(), &names, now()).expect("a document")
        })
        .collect();
    let parsed = started.elapsed();
    let count = read.len();
    let read = ReadImages { documents: read, ..ReadImages::default() };
    runtime.block_on(async {
        import_images(&fleet, &store, &Turn::default(), read, now()).await.expect("imported");
    });
    let took = started.elapsed();
    let documents = runtime.block_on(store.documents()).expect("documents");
    let packed: usize = documents.documents.iter().map(|one| one.content.len()).sum();
    let started = Instant::now();
    let (catalogue, spoilt) = catalogue_of(&documents.documents);
    let loaded = started.elapsed();
    assert!(spoilt.is_empty());
    runtime.block_on(store.close()).expect("closed");
    let on_disk = std::fs::metadata(&path).expect("a file").len();
    let (images, packages) = catalogue.sizes();
    println!("import of {images} images with lists, {count} documents:");
    println!(
        "  {:.2} s (goal 10 s), of these read and packed {:.2} s; {} MiB of text",
        took.as_secs_f64(),
        parsed.as_secs_f64(),
        mib(raw as u64)
    );
    println!(
        "  {} MiB on disk (goal 80 MiB), {} MiB of documents; {packages} packages told apart",
        mib(on_disk),
        mib(packed as u64)
    );
    println!("  loaded at the start of an aggregator in {:.2} s", loaded.as_secs_f64());
}

/// Fixes of the line's packages: most of them older than its first image, as vendors' lists
/// are; two of a hundred came between the first image and the last, and one of two hundred
/// after the last.
fn fixes(first: &Line, last: &Line, count: usize) -> Vec<Advisory> {
    let stream = Stream::of_os_release("ubuntu", "22.04");
    (0..count)
        .map(|number| {
            let place = number % PACKAGES;
            let (source, [a, b, before]) = &first.packages[place];
            let after = last.packages[place].1[2];
            let c = match number % 200 {
                0 => after + 1,
                1..=4 => before + (after - before).div_ceil(2),
                _ => before.saturating_sub(number / PACKAGES % 60),
            };
            let at = now() - SignedDuration::from_hours(24 * (number as i64 % 300));
            let alias = AliasId::of(&format!("CVE-2026-{}", 10_000 + number));
            Advisory {
                record: format!("USN-{number}-1").into(),
                stream: stream.clone(),
                source: source.as_str().into(),
                statement: Statement::Fixed,
                range: Range::below(format!("{a}.{b}.{c}-1ubuntu0.{c}")),
                epochs: Epochs::Compared,
                published: Some(Dated { at, kind: DateKind::Advisory }),
                aliases: Arc::from([Alias { id: alias, rating: Rating::High }]),
                authority: Authority::Notice,
            }
        })
        .collect()
}

/// Two images, and the first of 150 that runs a fix.
fn compare() {
    let mut line = Line::new(1);
    let mut catalogue = Catalogue::default();
    let family = "AKSUbuntu-2204gen2containerd";
    let first_of_line = line.clone();
    for build in 0..150 {
        line.next();
        let file = format!("{family}/{}.txt", version(build));
        let note = line.note(build);
        let document = read_document(&file, note.as_bytes(), &names_of(None), now());
        document.expect("a note").document.put_into(&mut catalogue);
    }
    let advisories = fixes(&first_of_line, &line, 50_000);
    let published = |_: &_| {
        Some(Published {
            at: now(),
            kind: DateKind::Advisory,
            feed: "f".into(),
            revision: "r".into(),
        })
    };
    let index = Index::build(1, &advisories, &BTreeSet::new(), published).expect("an index");
    let (feeds, images) = (Feeds::default(), Images::default());
    let known = Knowledge {
        index: &index,
        feeds: &feeds,
        images: &images,
        bulletins: &[],
        reports: &[],
        mitigations: &[],
    };
    let policy = Policy::edition(DEFAULT_EDITION).expect("the usual edition");
    let sources = Sources::learned(&Vec::<Told>::new());
    let releases: Vec<_> =
        catalogue.line(family).filter_map(|(_, image)| image.release.clone()).collect();
    let (first, last) = (&releases[0], &releases[releases.len() - 1]);
    let time = |what: &mut dyn FnMut()| {
        what();
        let took = (0..50).map(|_| {
            let started = Instant::now();
            what();
            started.elapsed().as_secs_f64() * 1000.0
        });
        median(took.collect())
    };
    let mut lines = (0, 0, 0);
    let took = time(&mut || {
        let from = MatchedImage::of(first, &sources, &index).expect("matched");
        let to = MatchedImage::of(last, &sources, &index).expect("matched");
        let diff = diff(&from, &to, None, known, &policy, now());
        lines = (diff.changed.len(), diff.gained.len(), diff.left.len());
        black_box(diff);
    });
    println!(
        "diff of two images against {} fixes: {took:.2} ms (goal 5 ms); {} packages changed, {} \
         fixes gained, {} left",
        index.sizes().fixes,
        lines.0,
        lines.1,
        lines.2
    );
    let mut found = 0;
    let took = time(&mut || {
        let answer = first_fix("CVE-2026-10007", None, &catalogue, &sources, known, now());
        found = answer.fixes.iter().map(|fix| fix.looked_at).sum();
        black_box(answer);
    });
    println!("first image of 150 that runs a fix: {took:.2} ms (goal 20 ms); {found} looked at");
}

fn pool(number: usize) -> PoolInput {
    let key = PoolKey {
        cluster: format!("cluster-{:04}", number / 10),
        pool: format!("pool{}", number % 10),
    };
    let label = |version: &str| ImageLabel {
        family: "AKSUbuntu-2204gen2containerd".to_owned(),
        version: version.to_owned(),
        patched: None,
    };
    let nodes = (0..5 + number % 20).map(|node| PlanNode {
        name: format!("{key}-{node:03}"),
        uid: Some(format!("{key}-{node}")),
        boot: None,
        zone: Some(format!("{}", node % 3)),
        image: Some(label("202610.20.0")),
        os: None,
        last_reported: Some(now()),
        is_stale: false,
        health: NodeHealth::Ready,
        repair: None,
        is_quarantined: false,
    });
    let ids = |count: usize| Fixes::of((0..count).map(|id| format!("USN-{id}")));
    let mut input = PoolInput::of_nodes(key.clone(), nodes.collect());
    input.profile = Some(PoolProfile::unstated(key.clone(), now()));
    input.offered =
        Some(OfferedImage { key: key.clone(), image: label("202611.10.0"), as_of: now() });
    input.target = Some(TargetFacts {
        image: label("202611.10.0"),
        built_at: Some(now() - SignedDuration::from_hours(14 * 24)),
        published_at: None,
        os: None,
        has_packages: true,
    });
    input.gain = Gain::Known(Box::new(Gained {
        over_line: ids(number % 40),
        all: ids(number % 60),
        ..Gained::default()
    }));
    input.kubernetes = Some(KubernetesSupport::Supported);
    input
}

/// Plans of a weekend, and of a big fleet.
fn plans() {
    let policy = Policy::edition(DEFAULT_EDITION).expect("the usual edition");
    for (pools, goal, rounds) in [(40, 50.0, 50), (10_000, 1000.0, 5)] {
        let inputs: Vec<PoolInput> = (0..pools).map(pool).collect();
        let nodes: usize = inputs.iter().map(|input| input.nodes.len()).sum();
        let request = PlanRequest {
            windows: vec!["Sat,Sun 22:00-06:00 +01:00".to_owned()],
            ..PlanRequest::new("bench", now())
        };
        let mut made = (0, 0);
        let took = (0..rounds).map(|_| {
            let started = Instant::now();
            let plan = create(&request, &inputs, &policy, &|_| None).expect("a plan");
            let took = started.elapsed().as_secs_f64() * 1000.0;
            made = (plan.totals.go + plan.totals.warn, plan.waves.len());
            black_box(plan);
            took
        });
        let took = median(took.collect());
        println!(
            "plan of {pools} pools, {nodes} nodes: {took:.1} ms (goal {goal} ms); {} go in {} waves",
            made.0, made.1
        );
    }
}
