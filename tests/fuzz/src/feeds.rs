//! Feeds, notes and lists of findings, as vendors and scanners write them.

use std::error::Error;
use std::io::{Cursor, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use nodeward_domain::image::{ImageRelease, ShippedPackage, ShippedPackages, apply};
use nodeward_feeds::announced::{AnnouncedFamily, read_announced};
use nodeward_feeds::archive::{Limits, for_each_file};
use nodeward_feeds::bulletin::read_bulletins;
use nodeward_feeds::content::Content;
use nodeward_feeds::debian::read_dsa_list;
use nodeward_feeds::held::{Declared, Held};
use nodeward_feeds::image_list::read_image_list;
use nodeward_feeds::image_note::read_image_note;
use nodeward_feeds::intake::{FeedContent, Intake};
use nodeward_feeds::offered::{ClusterNames, read_offered};
use nodeward_feeds::openvex::OpenVexReader;
use nodeward_feeds::osv::OsvReader;
use nodeward_feeds::oval::read_oval;
use nodeward_feeds::scan::{ColumnMapping, Scan, read_scan};
use nodeward_feeds::security_patch::read_security_patch;
use nodeward_feeds::stored::{pack_content, pack_recorded, unpack_content, unpack_recorded};
use nodeward_feeds::vulnerability_api::{read_mitigation_report, read_scan_report};

const FILE: &str = "strange.toml";

/// The path of a note names its image.
const NOTE: &str = "AKSUbuntu/gen2/2204containerd/202607.02.0.txt";

/// What was read; a refusal must name the file.
fn read<T>(outcome: Result<T, impl Error + 'static>, file: &str) -> Option<T> {
    match outcome {
        Ok(read) => Some(read),
        Err(error) => {
            assert!(error.to_string().contains(file), "a refusal without its file: {error}");
            None
        }
    }
}

/// What a feed says can be stored, and comes back the same.
fn is_kept(content: &FeedContent) {
    let packed = pack_content(content).expect("what was read can be stored");
    let again = unpack_content(&packed).expect("what was stored can be read");
    assert_eq!(again.len(), content.len());
    assert_eq!(pack_content(&again).expect("stored again"), packed, "stored otherwise");
}

fn advisories(outcome: Result<Content, impl Error + 'static>) -> bool {
    let Some(content) = read(outcome, FILE) else { return false };
    is_kept(&FeedContent::Advisories(content));
    true
}

pub(crate) fn osv(bytes: &[u8]) -> bool {
    let mut reader = OsvReader::default();
    advisories(reader.read(FILE, bytes).map(|()| reader.finish()))
}

pub(crate) fn openvex(bytes: &[u8]) -> bool {
    let mut reader = OpenVexReader::default();
    advisories(reader.read(FILE, bytes).map(|()| reader.finish()))
}

pub(crate) fn oval(bytes: &[u8]) -> bool {
    advisories(read_oval(FILE, bytes))
}

pub(crate) fn dsa_list(bytes: &[u8]) -> bool {
    advisories(read_dsa_list(FILE, bytes))
}

pub(crate) fn bulletins(bytes: &[u8]) -> bool {
    let Some(bulletins) = read(read_bulletins(FILE, bytes), FILE) else { return false };
    is_kept(&FeedContent::Bulletins(bulletins));
    true
}

pub(crate) fn scan_report(bytes: &[u8]) -> bool {
    let Some(report) = read(read_scan_report(FILE, bytes), FILE) else { return false };
    is_kept(&FeedContent::ScanReports(vec![report]));
    true
}

pub(crate) fn mitigation_report(bytes: &[u8]) -> bool {
    let Some(report) = read(read_mitigation_report(FILE, bytes), FILE) else { return false };
    let images = report.mitigations.values().map(|one| one.seen_in.len() + one.mitigated_in.len());
    assert!(images.sum::<usize>() <= bytes.len(), "more images than bytes");
    true
}

pub(crate) fn offered(bytes: &[u8]) -> bool {
    let now: Timestamp = "2026-11-24T12:00:00Z".parse().expect("a moment");
    let _ = read(read_offered(FILE, bytes, now, &ClusterNames::one("prod")), FILE);
    let names = ClusterNames::default();
    let Some(mut told) = read(read_offered(FILE, bytes, now, &names), FILE) else { return false };
    assert!(told.pools.is_sorted_by(|a, b| a.key < b.key), "a pool twice, or out of order");
    assert!(told.offered.is_sorted_by(|a, b| a.key < b.key), "offered twice, or out of order");
    for offered in &told.offered {
        assert_eq!(told.offered_to(&offered.key, None).as_ref(), Some(offered));
    }
    for pool in &mut told.pools {
        told.overrides.iter().for_each(|stated| stated.apply(pool));
        let _ = told.offered_by_pattern.iter().filter_map(|one| one.to(&pool.key)).count();
    }
    true
}

pub(crate) fn security_patch(bytes: &[u8]) -> bool {
    let Some(patch) = read(read_security_patch(FILE, bytes), FILE) else { return false };
    let package = |name: &str, version: &str, architecture: &str| ShippedPackage {
        name: name.to_owned(),
        version: version.to_owned(),
        architecture: architecture.to_owned(),
    };
    let image = ImageRelease {
        family: "AKSUbuntu-2204gen2containerd".to_owned(),
        version: "202611.03.0".to_owned(),
        built_at: None,
        kernel: None,
        os_id: Some(patch.os_id.clone()),
        os_version_id: Some(patch.os_version_id.clone()),
        packages: ShippedPackages::listed(vec![
            package("curl", "7.81.0-1", "amd64"),
            package("kernel", "6.6.144.1-1.azl3", "x86_64"),
        ]),
    };
    assert!(patch.is_for(&image));
    for part in patch.listed().unwrap_or_default() {
        let Ok(after) = apply(&image, part) else { continue };
        let packages = after.listed().expect("they are known").len();
        assert!(packages <= 2 + part.changes.len(), "more packages than were installed");
        assert_eq!(after.label(), image.label());
    }
    true
}

pub(crate) fn announced(bytes: &[u8]) -> bool {
    let Some(announced) = read(read_announced(FILE, bytes), FILE) else { return false };
    assert!(announced.images.len() <= announced.rows && announced.rows <= bytes.len());
    assert!(announced.unmapped.values().sum::<usize>() <= announced.rows);
    assert!(announced.images.is_sorted(), "out of order");
    for image in announced.images.iter().take(100) {
        if let AnnouncedFamily::Label(family) = &image.family {
            let at = announced.at(family, &image.version).expect("it is there");
            assert!(at <= image.announced_at, "not the earliest");
        }
    }
    true
}

pub(crate) fn image_note(bytes: &[u8]) -> bool {
    let Some(note) = read(read_image_note(NOTE, bytes), NOTE) else { return false };
    let again = read_image_note(NOTE, note.render().as_bytes());
    assert_eq!(again.expect("what was read can be read again"), note);
    true
}

pub(crate) fn image_list(bytes: &[u8]) -> bool {
    let Some(list) = read(read_image_list(FILE, bytes), FILE) else { return false };
    assert!(list.images.len() <= bytes.len());
    true
}

pub(crate) fn scan(bytes: &[u8]) -> bool {
    let mapping: ColumnMapping = "cve=CVE ID,fixed=Fix".parse().expect("a mapping");
    let mapped = read(read_scan(FILE, bytes, Some(&mapping)), FILE);
    let plain = read(read_scan(FILE, bytes, None), FILE);
    for scan in [&mapped, &plain].into_iter().flatten() {
        rows_are_in_order(scan, bytes.len());
    }
    plain.is_some()
}

fn rows_are_in_order(scan: &Scan, bytes: usize) {
    assert!(scan.rows.len() <= bytes, "more rows than bytes");
    assert!(scan.rows.is_sorted_by_key(|row| row.place), "rows out of order");
}

pub(crate) fn archive(bytes: &[u8]) -> bool {
    let limits =
        Limits { file_bytes: 1 << 16, total_bytes: 1 << 20, entries: 100, window_bytes: 1 << 20 };
    let (mut files, mut total) = (0, 0);
    let each = |_: &str, file: &[u8]| {
        let length = u64::try_from(file.len()).expect("a length");
        assert!(length <= limits.file_bytes, "a file longer than its limit");
        (files, total) = (files + 1, total + length);
        Ok::<_, std::io::Error>(())
    };
    let outcome = for_each_file(FILE, Cursor::new(bytes), limits, |_| true, each);
    assert!(files <= limits.entries, "more files than the limit");
    // Of a zip the last file is counted when it was handed out.
    assert!(total <= limits.total_bytes + limits.file_bytes, "more bytes than the limit");
    read(outcome, FILE).inspect(|told| assert_eq!(*told, files)).is_some()
}

pub(crate) fn intake(bytes: &[u8]) -> bool {
    let mut intake = Intake::default();
    if intake.named(FILE, &mut Cursor::new(bytes)).is_err() {
        return false;
    }
    let (feeds, ..) = intake.finish();
    let now: Timestamp = "2026-11-24T12:00:00Z".parse().expect("a moment");
    let mut held = Held::default();
    for feed in feeds {
        is_kept(&feed.content);
        let name = feed.name.clone();
        let declared = Declared { is_complete: true, as_of: None };
        if let Ok(taken) = held.take(feed, &declared, now) {
            assert!(held.feed(&name).is_some(), "{name}: taken and not held");
            pack_recorded(&taken.recorded).expect("the ledger can be stored");
        }
    }
    held.index(1).expect("few statements");
    true
}

/// Packed as they are stored, unless they are already.
fn packed(bytes: &[u8]) -> Vec<u8> {
    if bytes.starts_with(b"\x1f\x8b") {
        return bytes.to_vec();
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("into memory");
    encoder.finish().expect("into memory")
}

pub(crate) fn stored(bytes: &[u8]) -> bool {
    let packed = packed(bytes);
    let content = unpack_content(&packed).inspect(is_kept);
    let recorded = unpack_recorded(&packed).map(|recorded| {
        let packed = pack_recorded(&recorded).expect("stored");
        let again = unpack_recorded(&packed).expect("read");
        assert_eq!(pack_recorded(&again).expect("stored again"), packed, "stored otherwise");
        Held::default().restore_ledger([again]);
    });
    content.is_ok() || recorded.is_ok()
}
