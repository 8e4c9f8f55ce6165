//! Tests of OSV records, each in the form in which the vendors write them.

use super::*;

fn read(records: &[&str]) -> Content {
    let mut reader = OsvReader::default();
    for (index, record) in records.iter().enumerate() {
        reader.read(&format!("{index}.json"), record.as_bytes()).expect("a record");
    }
    reader.finish()
}

fn refused(record: &str) -> String {
    let error = OsvReader::default().read("osv/odd.json", record.as_bytes()).expect_err("odd");
    match std::error::Error::source(&error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn names(advisory: &Advisory) -> Vec<String> {
    advisory.aliases.iter().map(|alias| alias.id.to_string()).collect()
}

const NOTICE: &str = r#"{"schema_version":"1.7.0","id":"USN-9901-1",
 "upstream":["UBUNTU-CVE-2026-10001","UBUNTU-CVE-2026-10002"],"related":[],"aliases":[],
 "published":"2026-01-27T18:10:18.5Z","modified":"2026-05-11T00:00:00Z",
 "affected":[
  {"package":{"ecosystem":"Ubuntu:22.04:LTS","name":"libexample",
    "purl":"pkg:deb/ubuntu/libexample?arch=src?distro=jammy"},
   "ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"1:3.0-2ubuntu1.21"}]}],
   "versions":["1:3.0-2ubuntu1"],
   "database_specific":{"cves_map":{"ecosystem":"Ubuntu:22.04:LTS","cves":[
     {"id":"CVE-2026-10001","severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N"},
       {"type":"Ubuntu","score":"low"},{"type":"Ubuntu","score":"high"}]}]}}},
  {"package":{"ecosystem":"Ubuntu:Pro:20.04:LTS","name":"libexample"},
   "ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"1:2.0-2ubuntu1.9+esm1"}]}],
   "database_specific":{"cves_map":{"ecosystem":"Ubuntu:Pro:20.04:LTS","cves":[]}}}]}"#;

#[test]
fn a_notice_is_dated_by_its_publication_and_has_the_cves_of_each_release() {
    let content = read(&[NOTICE]);
    let [jammy, focal] = content.advisories.as_slice() else { panic!("{content:?}") };
    assert_eq!(jammy.stream.to_string(), "Ubuntu 22.04");
    assert_eq!(jammy.fixed_version().map(|version| &**version), Some("1:3.0-2ubuntu1.21"));
    assert_eq!(jammy.authority, Authority::Notice);
    let published = jammy.published.expect("a date");
    assert_eq!(published.at, instant::read("2026-01-27T18:10:18.5Z").expect("an instant"));
    assert_eq!(published.kind, DateKind::Advisory);
    assert_eq!(names(jammy), ["CVE-2026-10001"]);
    assert_eq!(jammy.aliases[0].rating, Rating::High);
    // An empty list is not yet filled: what the notice as a whole is about stands in.
    assert_eq!(focal.stream.to_string(), "Ubuntu 20.04 Pro");
    assert_eq!(names(focal), ["CVE-2026-10001", "CVE-2026-10002"]);
}

#[test]
fn a_notice_without_any_cve_counts() {
    let content = read(&[r#"{"id":"USN-9902-1","published":"2026-01-01T00:00:00Z","affected":[
        {"package":{"ecosystem":"Ubuntu:22.04:LTS","name":"sudo"},
         "ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"1.9"}]}]}]}"#]);
    let [only] = content.advisories.as_slice() else { panic!("{content:?}") };
    assert!(only.aliases.is_empty());
    assert_eq!(only.fix_key().expect("a fix").subject.to_string(), "USN-9902-1");
}

#[test]
fn a_record_of_a_vulnerability_gives_no_date_and_keeps_what_has_no_fix() {
    let content = read(&[r#"{"id":"UBUNTU-CVE-2026-10003","upstream":["CVE-2026-10003"],
        "related":["USN-9903-1"],"severity":[{"type":"Ubuntu","score":"medium"}],
        "published":"2026-04-09T00:00:00Z","affected":[
        {"package":{"ecosystem":"Ubuntu:22.04:LTS","name":"one"},
         "ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"}]}]},
        {"package":{"ecosystem":"Ubuntu:22.04:LTS","name":"two"},
         "ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"2.0"}]}]}]}"#]);
    let [one, two] = content.advisories.as_slice() else { panic!("{content:?}") };
    assert_eq!(one.statement, Statement::Unfixed(Unfixed::Pending));
    assert_eq!(two.statement, Statement::Fixed);
    assert_eq!((one.published, two.published), (None, None));
    assert_eq!(two.authority, Authority::Complement);
    assert_eq!(names(two), ["CVE-2026-10003"]);
    assert_eq!(two.aliases[0].rating, Rating::Medium);
}

#[test]
fn every_pair_of_events_is_a_range_of_its_own() {
    let content = read(&[r#"{"id":"GHSA-aaaa-bbbb-cccc","aliases":["CVE-2026-10004"],
        "published":"2026-04-09T00:00:00Z","affected":[
        {"package":{"ecosystem":"Go","name":"github.com/containerd/containerd"},
         "ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.6.38"},
           {"introduced":"1.7.0"},{"fixed":"1.7.27"},{"introduced":"2.0.0"},
           {"last_affected":"2.0.3"},{"introduced":"2.1.0"}]},
          {"type":"GIT","events":[{"introduced":"0"}]}]}]}"#]);
    let ranges: Vec<String> =
        content.advisories.iter().map(|advisory| advisory.range.to_string()).collect();
    assert_eq!(ranges, ["< 1.6.38", ">= 1.7.0, < 1.7.27", ">= 2.0.0, <= 2.0.3", ">= 2.1.0"]);
    assert_eq!(content.left_out, [("range of commits".to_owned(), 1)].into());
    assert!(matches!(content.advisories[0].stream.distribution, Distribution::Upstream(_)));
}

#[test]
fn debian_and_azure_linux_are_read_by_their_own_rules() {
    let content = read(&[
        r#"{"id":"DSA-9904-1","aliases":["CVE-2026-10005"],"published":"2026-09-20T00:00:00Z",
        "affected":[{"package":{"ecosystem":"Debian:12","name":"nginx"},
        "ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"1.22.1-9+deb12u3"}]}]}]}"#,
        r#"{"id":"AZL-12345","upstream":["CVE-2026-10006"],"published":"2026-09-20T00:00:00Z",
        "affected":[{"package":{"ecosystem":"Azure Linux:3","name":"perl"},
        "ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"5.38.2-510"}]}]}]}"#,
    ]);
    let [nginx, perl] = content.advisories.as_slice() else { panic!("{content:?}") };
    assert!(nginx.published.is_some());
    assert_eq!(perl.epochs, Epochs::Ignored);
    assert_eq!(perl.authority, Authority::Complement);
    assert_eq!(perl.fix_key().expect("a fix").subject.to_string(), "CVE-2026-10006");
}

#[test]
fn what_is_withdrawn_or_a_live_patch_states_nothing() {
    let body = r#""affected":[{"package":{"ecosystem":"Ubuntu:22.04:LTS","name":"linux"},
        "ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"1"}]}]}]}"#;
    let withdrawn =
        format!(r#"{{"id":"UBUNTU-CVE-2013-2208","withdrawn":"2025-07-18T16:42:51Z",{body}"#);
    let live = format!(r#"{{"id":"LSN-0110-1",{body}"#);
    let content = read(&[&withdrawn, &live]);
    assert!(content.advisories.is_empty());
    assert_eq!(content.withdrawn.len(), 1);
    assert_eq!(content.left_out, [("notice of a live patch".to_owned(), 1)].into());
}

#[test]
fn an_error_names_the_file_the_place_and_the_reason() {
    let cut = &NOTICE[..NOTICE.len() / 2];
    let error = refused(cut);
    assert!(error.starts_with("osv/odd.json: no OSV record: EOF while parsing"), "{error}");
    assert!(error.contains("line "), "{error}");
    let error = refused(r#"{"id":"USN-1-1","published":"soon"}"#);
    assert_eq!(error, "osv/odd.json: USN-1-1: published: \"soon\" is no instant");
    let error = refused(r#"{"id":" "}"#);
    assert_eq!(error, "osv/odd.json: : id is empty");
    let nameless = r#"{"id":"USN-1-1","affected":[{"package":{"ecosystem":"Go","name":""}}]}"#;
    assert_eq!(refused(nameless), "osv/odd.json: USN-1-1: the name of a package is empty");
    assert!(refused(&"[".repeat(100_000)).contains("no OSV record"));
}

#[test]
fn a_list_of_versions_counts_where_no_range_is_given() {
    let content = read(&[r#"{"id":"USN-9904-1","published":"2026-01-01T00:00:00Z","affected":[
        {"package":{"ecosystem":"Ubuntu:22.04:LTS","name":"one"},"versions":["1:1.0-1","1.1-1"]},
        {"package":{"ecosystem":"Ubuntu:22.04:LTS","name":"two"},
         "ranges":[{"type":"ECOSYSTEM","events":[]}],"versions":["2.0"]},
        {"package":{"ecosystem":"Go","name":"three"},
         "ranges":[{"type":"GIT","events":[{"introduced":"0"}]}],"versions":["v3"]},
        {"package":{"ecosystem":"Ubuntu:22.04:LTS","name":"four"}}]}"#]);
    let told: Vec<String> =
        content.advisories.iter().map(|one| format!("{} {}", one.source, one.range)).collect();
    assert_eq!(
        told,
        ["one >= 1:1.0-1, <= 1:1.0-1", "one >= 1.1-1, <= 1.1-1", "two >= 2.0, <= 2.0"]
    );
    let is_unfixed = |one: &Advisory| one.statement == Statement::Unfixed(Unfixed::Pending);
    assert!(content.advisories.iter().all(is_unfixed));
    assert_eq!(content.left_out.get("package without a range of versions"), Some(&2));
    let gaps: Vec<(String, usize)> =
        content.gaps.iter().map(|(stream, count)| (stream.to_string(), *count)).collect();
    assert_eq!(gaps, [("Ubuntu 22.04".to_owned(), 1), ("Go".to_owned(), 1)]);
    assert!(
        refused(
            r#"{"id":"USN-9905-1","affected":[
        {"package":{"ecosystem":"Ubuntu:22.04:LTS","name":"one"},"versions":[" "]}]}"#
        )
        .contains("a version is empty")
    );
}
