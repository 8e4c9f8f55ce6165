//! Whatever comes in, a parser gives a content or a reason, within its limits, and never
//! panics: random bytes, and good records with parts cut out, doubled or changed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Cursor;

use nodeward_feeds::announced::read_announced;
use nodeward_feeds::archive::{Limits, for_each_file};
use nodeward_feeds::bulletin::read_bulletins;
use nodeward_feeds::debian::read_dsa_list;
use nodeward_feeds::image_list::read_image_list;
use nodeward_feeds::image_note::read_image_note;
use nodeward_feeds::offered::{ClusterNames, read_offered};
use nodeward_feeds::openvex::OpenVexReader;
use nodeward_feeds::osv::OsvReader;
use nodeward_feeds::oval::read_oval;
use nodeward_feeds::scan::{ColumnMapping, read_scan};
use nodeward_feeds::security_patch::read_security_patch;
use nodeward_feeds::vulnerability_api::{read_mitigation_report, read_scan_report};
use nodeward_feeds::{instant, starter};
use proptest::prelude::*;

const OSV: &str = r#"{"id":"USN-1-1","published":"2026-01-27T18:10:18Z","upstream":["CVE-2026-1"],
"affected":[{"package":{"ecosystem":"Ubuntu:22.04:LTS","name":"curl"},"ranges":[{"type":"ECOSYSTEM",
"events":[{"introduced":"0"},{"fixed":"7.81"}]}],"database_specific":{"cves_map":{"cves":[{"id":
"CVE-2026-0001","severity":[{"type":"Ubuntu","score":"low"}]}]}}}]}"#;

const VEX: &str = r#"{"@context":"https://openvex.dev/ns/v0.2.0","statements":[{"vulnerability":{
"name":"CVE-2026-0001"},"products":[{"@id":"pkg:deb/ubuntu/curl@1?arch=source&distro=jammy"}],
"status":"not_affected"}]}"#;

const OVAL: &str = r#"<oval_definitions><definitions><definition id="d"><metadata><reference
ref_id="CVE-2026-0001"/><patchable>true</patchable><advisory_date>2026-01-01T00:00:00Z</advisory_date>
<severity>High</severity></metadata><criteria operator="AND"><criterion test_ref="t"/></criteria>
</definition></definitions><tests><rpminfo_test id="t"><object object_ref="o"/><state state_ref="s"/>
</rpminfo_test></tests><objects><rpminfo_object id="o"><name>curl</name></rpminfo_object></objects>
<states><rpminfo_state id="s"><evr operation="less than">0:8.0-1.azl3</evr></rpminfo_state></states>
</oval_definitions>"#;

const LIST: &str =
    "[01 Jul 2026] DSA-1-1 curl - update\n\t{CVE-2026-0001}\n\t[bookworm] - curl 7.88-1\n";

const REPORT: &str = r#"{"distro_name":"a","vhd_release_version":"b","os_package_targets":[{"name":"c",
"version":"d","active_cves":[{"id":"CVE-2026-0001"}]}],"report_time":"2026-01-27T16:21:23Z"}"#;

const BULLETINS: &str = "[[bulletin]]\nid = \"a\"\nkind = \"bulletin\"\ntitle = \"b\"\n\
published = \"2026-05-01\"\nsource = \"c\"\nsteps = [\"d\"]\naffected = [{ os = \"ubuntu\" }]\n";

/// The paths of the notes, which name their images.
const NOTE_FILES: [&str; 3] = [
    "AKSUbuntu/gen2/2204containerd/202607.02.0.txt",
    "AKSAzureLinuxV3/gen2/202607.02.0.txt",
    "AKSWindows/2022-containerd/20348.5499.260812.txt",
];

const APT_NOTE: &str = "Starting build on  Thu Jul 2 07:16:05 UTC 2026\nComponents:\n  - runc version 1\n\
=== Installed Packages Begin\nListing...\ncurl/jammy,now 7.81-1 amd64 [installed,local]\n\
=== Installed Packages End\n=== os-release Begin\nID=ubuntu\nVERSION_ID=\"22.04\"\n=== os-release End\n\
Using kernel:\nLinux version 5.15.0-1116-azure (a) #125\nInstall completed successfully on  x\n\
FIPS enabled: False\n";

const RPM_NOTE: &str = "Starting build on  Thu Jul 2 07:16:05 UTC 2026\n=== Installed Packages Begin\n\
curl-8.0-1.azl3.x86_64\ngpg-pubkey-3135ce90-5e6fda74\n=== Installed Packages End\n\
Install completed successfully on  x\nFIPS enabled: \n";

const WINDOWS_NOTE: &str =
    "\u{feff}Build Number: 1\r\nSystem Info\r\n\tOS Version     : 20348.5499\r\n";

const IMAGE_LIST: &str = r#"{"sku":"a","imageVersion":"b","imageBom":[{"id":"sha256:00","bytes":1,
"repoTags":["c"],"repoDigests":["d"]}]}"#;

const TRIVY: &str = r#"{"SchemaVersion":2,"ArtifactName":"a","Results":[{"Target":"b","Class":"os-pkgs",
"Type":"ubuntu","Vulnerabilities":[{"VulnerabilityID":"CVE-2026-0001","PkgName":"curl",
"InstalledVersion":"1","FixedVersion":"2, 3","Severity":"LOW"}]}]}"#;

const TRIVY_CLUSTER: &str = r#"{"ClusterName":"a","Resources":[{"Kind":"Node","Name":"b","Results":[{
"Target":"c","Vulnerabilities":[{"VulnerabilityID":"CVE-2026-0001","PkgName":"curl"}]}]}]}"#;

const TRIVY_OBJECT: &str = r#"{"kind":"VulnerabilityReport","report":{"artifact":{"repository":"a"},
"vulnerabilities":[{"vulnerabilityID":"CVE-2026-0001","resource":"curl","fixedVersion":"2"}]}}"#;

const GRYPE: &str = r#"{"matches":[{"vulnerability":{"id":"CVE-2026-0001","fix":{"versions":["2"]}},
"artifact":{"name":"curl","version":"1","type":"deb"}}],"source":{"target":{"userInput":"a"}}}"#;

const TABLE: &str =
    "CVE ID,Package,Version,Fix\r\n\"CVE-2026-0001, CVE-2026-0002\",curl,1,\"2; 3\"\r\n";

const MITIGATIONS: &str = r#"{"package_name":"a","mitigations":[{"cve":{"id":"CVE-2026-0001"},
"seen_in_vhd_release_versions":["a/1"],"mitigated_in_vhd_release_versions":["a/b/2"]}],
"report_time":"2026-01-27T16:21:23Z"}"#;

const POOL: &str = r#"[{"id":"/subscriptions/s/resourceGroups/g/providers/p/managedClusters/c/agentPools/a",
"count":3,"minCount":1,"maxCount":5,"enableAutoScaling":true,"mode":"User","tags":{"a":"b"},
"nodeImageVersion":"AKSUbuntu-2204-202607.02.0","upgradeSettings":{"maxSurge":"33%"}},
{"id":"/subscriptions/s/resourceGroups/g/providers/p/managedClusters/c/agentPools/b/upgradeProfiles/d",
"properties":{"latestNodeImageVersion":"AKSUbuntu-2204-202607.02.0"}}]"#;

const STATED: &str = "[[offered]]\ncluster = \"a\"\npool = \"u*\"\n\
image = \"AKSUbuntu-2204-202607.02.0\"\nas_of = 2026-11-01\n[[pool]]\ncluster = \"a\"\npool = \"b\"\n\
max_surge = \"10%\"\n[[quota]]\ncluster = \"a\"\nprocessors_free = 4\n";

const APT_PATCH: &str = "Release notes for security patch 20261120T000000Z timestamp\n\
Package difference for Ubuntu 24.04 with 20261120T000000Z\nReboot required\n\
Upgrade: a:amd64 (1-1, 1-2), b:amd64 (1:2, 1:3)\nInstall: c:amd64 (1, automatic)\nRemove: d:amd64 (1)\n";

const RPM_PATCH: &str = "Release notes for security patch 20261120T000000Z timestamp\n\
Package difference between 20261106T000000Z and 20261120T000000Z\n\nNo reboot required\n\n\
=== New Packages ===\nkernel  6.6-1.azl3  base\n\n=== Package Updates ===\na  1:2-1.azl3  base\n";

const ANNOUNCED: &str = "published\tfamily\tversion\tpath\n\
2026-07-23T14:14:18-04:00\taks-ubuntu/AKSUbuntu-2204\t202607.02.0\ta.txt\n";

/// All records, each good as it stands.
const RECORDS: [&str; 21] = [
    MITIGATIONS,
    POOL,
    STATED,
    APT_PATCH,
    RPM_PATCH,
    ANNOUNCED,
    OSV,
    VEX,
    OVAL,
    LIST,
    REPORT,
    BULLETINS,
    APT_NOTE,
    RPM_NOTE,
    WINDOWS_NOTE,
    IMAGE_LIST,
    TRIVY,
    TRIVY_CLUSTER,
    TRIVY_OBJECT,
    GRYPE,
    TABLE,
];

/// A note that is read must be written so that it reads as the same.
fn read_note(bytes: &[u8]) {
    for file in NOTE_FILES {
        if let Ok(note) = read_image_note(file, bytes) {
            let again = read_image_note(file, note.render().as_bytes());
            assert_eq!(again.expect("what was read can be read again"), note);
        }
    }
}

/// All parsers on the same bytes.
fn read_all(bytes: &[u8]) {
    let _ = OsvReader::default().read("f", bytes);
    let _ = OpenVexReader::default().read("f", bytes);
    let _ = read_oval("f", bytes);
    let _ = read_dsa_list("f", bytes);
    let _ = read_scan_report("f", bytes);
    let _ = read_bulletins("f", bytes);
    read_note(bytes);
    let _ = read_image_list("f", bytes);
    let now = instant::read("2026-11-24").expect("a day");
    let _ = read_offered("f", bytes, now, &ClusterNames::default());
    let _ = read_security_patch("f", bytes);
    let _ = read_announced("f", bytes);
    let _ = read_mitigation_report("f", bytes);
    let _ = read_scan("f", bytes, None);
    let mapping: ColumnMapping = "cve=CVE ID,fixed=Fix".parse().expect("a mapping");
    let _ = read_scan("f", bytes, Some(&mapping));
    let limits = Limits { total_bytes: 1 << 20, window_bytes: 1 << 20, ..Limits::default() };
    let keep = |_: &str, _: &[u8]| Ok::<_, std::io::Error>(());
    let _ = for_each_file("f", Cursor::new(bytes), limits, |_| true, keep);
    let text = String::from_utf8_lossy(bytes);
    let _ = instant::read(&text);
    let _ = instant::read_day(&text);
    let _ = starter::read(&text);
    let _ = text.parse::<ColumnMapping>();
    let _ = instant::read_date(&text);
}

/// One of the records, with some changes.
fn spoilt() -> impl Strategy<Value = Vec<u8>> {
    let record = prop::sample::select(RECORDS.to_vec());
    let change = (any::<prop::sample::Index>(), any::<u8>(), 0..4_u8);
    (record, prop::collection::vec(change, 1..6)).prop_map(|(record, changes)| {
        let mut bytes = record.as_bytes().to_vec();
        for (place, byte, how) in changes {
            if bytes.is_empty() {
                break;
            }
            let place = place.index(bytes.len());
            match how {
                0 => bytes[place] = byte,
                1 => bytes.insert(place, byte),
                2 => drop(bytes.remove(place)),
                _ => {
                    let again = bytes[place..].to_vec();
                    bytes.extend(again);
                }
            }
        }
        bytes
    })
}

#[test]
fn the_records_are_good_before_they_are_spoilt() {
    assert!(OsvReader::default().read("f", OSV.as_bytes()).is_ok());
    assert!(OpenVexReader::default().read("f", VEX.as_bytes()).is_ok());
    assert!(read_oval("f", OVAL.as_bytes()).is_ok());
    assert!(read_dsa_list("f", LIST.as_bytes()).is_ok());
    assert!(read_scan_report("f", REPORT.as_bytes()).is_ok());
    assert!(read_bulletins("f", BULLETINS.as_bytes()).is_ok());
    assert!(read_mitigation_report("f", MITIGATIONS.as_bytes()).is_ok());
    for told in [POOL, STATED] {
        let now = instant::read("2026-11-24").expect("a day");
        assert!(read_offered("f", told.as_bytes(), now, &ClusterNames::default()).is_ok());
    }
    for patch in [APT_PATCH, RPM_PATCH] {
        let file = "ubuntu2404/release_notes_delta_20261120T000000Z.txt";
        assert!(read_security_patch(file, patch.as_bytes()).is_ok());
    }
    assert!(read_announced("f", ANNOUNCED.as_bytes()).is_ok());
    for (file, note) in NOTE_FILES.into_iter().zip([APT_NOTE, RPM_NOTE, WINDOWS_NOTE]) {
        let read = read_image_note(file, note.as_bytes());
        assert!(read.is_ok(), "{file}: {read:?}");
    }
    assert!(read_image_list("f", IMAGE_LIST.as_bytes()).is_ok());
    for list in [TRIVY, TRIVY_CLUSTER, TRIVY_OBJECT, GRYPE, TABLE] {
        assert!(read_scan("f", list.as_bytes(), None).is_ok_and(|scan| !scan.rows.is_empty()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn spoilt_records_are_read_or_refused(bytes in spoilt()) {
        read_all(&bytes);
    }

    #[test]
    fn random_bytes_are_read_or_refused(
        magic in prop::sample::select(vec![
            &b""[..], b"PK\x03\x04", b"\x1f\x8b", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"{", b"<",
        ]),
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        read_all(&[magic, &bytes].concat());
    }
}
