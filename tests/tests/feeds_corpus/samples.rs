//! One real record of each format: all of them are read, and give what they have.

use std::path::Path;

use nodeward_domain::advisory::{Advisory, Statement, Unfixed};
use nodeward_feeds::debian::read_dsa_list;
use nodeward_feeds::openvex::OpenVexReader;
use nodeward_feeds::osv::OsvReader;
use nodeward_feeds::scan::{ScanTool, read_scan};

use crate::corpus;

fn read(folder: &Path, mut each: impl FnMut(&str, &[u8])) -> usize {
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("samples") {
        let path = entry.expect("readable").path();
        each(&path.display().to_string(), &std::fs::read(&path).expect("readable"));
        count += 1;
    }
    count
}

#[test]
fn real_records_of_osv_are_read() {
    let Some(corpus) = corpus() else { return };
    let mut reader = OsvReader::default();
    let count = read(&corpus.join("samples/osv"), |file, bytes| {
        reader.read(file, bytes).expect("a record");
    });
    let content = reader.finish();
    assert_eq!(content.records, count);
    assert_eq!(content.withdrawn.len(), 1);
    let of = |record: &str| -> Vec<&Advisory> {
        content.advisories.iter().filter(|one| &*one.record == record).collect()
    };
    let nginx = of("DSA-3029-1");
    assert_eq!(nginx[0].stream.to_string(), "Debian 7");
    assert_eq!(nginx[0].range.to_string(), "< 1.2.1-2.2+wheezy3");
    assert_eq!(nginx[0].aliases[0].id.to_string(), "CVE-2014-3616");
    let open = of("UBUNTU-CVE-2026-1403");
    assert_eq!(open[0].statement, Statement::Unfixed(Unfixed::Pending));
    assert_eq!(open[0].published, None);
}

#[test]
fn real_documents_of_openvex_are_read() {
    let Some(corpus) = corpus() else { return };
    let mut reader = OpenVexReader::default();
    read(&corpus.join("samples/vex"), |file, bytes| {
        reader.read(file, bytes).expect("a document");
    });
    let content = reader.finish();
    let of = |source: &str, stream: &str| {
        let found = content
            .advisories
            .iter()
            .find(|one| &*one.source == source && one.stream.to_string() == stream);
        found.map(|one| one.statement)
    };
    assert_eq!(of("curl", "Ubuntu 16.04"), Some(Statement::Unfixed(Unfixed::EndOfLife)));
    assert_eq!(of("curl", "Ubuntu 16.04 Pro"), Some(Statement::NotAffected));
    assert_eq!(of("glibc", "Ubuntu 22.04"), Some(Statement::Unfixed(Unfixed::WontFix)));
    // A product that is fixed says nothing here.
    assert_eq!(of("curl", "Ubuntu 22.04"), None);
    assert!(content.left_out.contains_key("status that is not used"));
}

#[test]
fn real_entries_of_debians_list_are_read() {
    let Some(corpus) = corpus() else { return };
    let bytes = std::fs::read(corpus.join("samples/debian/DSA-list")).expect("a list");
    let content = read_dsa_list("DSA-list", &bytes).expect("a list");
    assert_eq!(content.records, 10);
    assert_eq!(content.advisories.len(), 9);
    let sope = content.advisories.last().expect("the last");
    assert_eq!(
        format!("{} {} {}", sope.record, sope.stream, sope.range),
        "DSA-5970-1 Debian 12 < 5.8.0-1+deb12u1"
    );
}

#[test]
fn a_real_report_of_trivy_is_read_whole() {
    let Some(corpus) = corpus() else { return };
    read(&corpus.join("samples/scan"), |file, bytes| {
        let scan = read_scan(file, bytes, None).expect("a report");
        assert_eq!(scan.tool, ScanTool::Trivy);
        let text = std::str::from_utf8(bytes).expect("UTF-8");
        assert_eq!(scan.rows.len(), text.matches("\"VulnerabilityID\":").count(), "{file}");
        let fixed = text.matches("\"FixedVersion\":").count();
        assert_eq!(scan.rows.iter().filter(|row| !row.fixed.is_empty()).count(), fixed, "{file}");
        assert!(scan.rows.iter().all(|row| row.kind == "gobinary" && !row.installed.is_empty()));
    });
}
