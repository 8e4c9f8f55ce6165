//! Lists in the forms in which scanners write them, made up for these tests.

use super::*;

/// `place id package installed [fixed] severity target kind` of each finding.
fn shown(scan: &Scan) -> Vec<String> {
    let line = |row: &ScanRow| {
        let fixed = row.fixed.join(" ");
        let ScanRow { place, id, package, installed, severity, target, kind, .. } = row;
        format!("{place} {id} {package} {installed} [{fixed}] {severity} {target} {kind}")
    };
    scan.rows.iter().map(line).collect()
}

fn read(text: &str) -> Scan {
    read_scan("list", text.as_bytes(), None).expect("a list")
}

fn refused(text: &str) -> String {
    read_scan("list", text.as_bytes(), None).expect_err("odd").to_string()
}

fn mapped(text: &str, mapping: &str) -> Result<Scan, ScanError> {
    let mapping: ColumnMapping = mapping.parse().expect("a mapping");
    read_scan("list", text.as_bytes(), Some(&mapping))
}

const TRIVY: &str = r#"{"SchemaVersion":2,"CreatedAt":"2026-11-03T08:00:00Z",
 "ArtifactName":"node-1","ArtifactType":"filesystem","Metadata":{"OS":{"Family":"ubuntu"}},
 "Results":[
  {"Target":"node-1 (ubuntu 22.04)","Class":"os-pkgs","Type":"ubuntu","Vulnerabilities":[
   {"VulnerabilityID":"CVE-2026-40001","PkgID":"libssl3@3.0.2-0ubuntu1.20","PkgName":"libssl3",
    "InstalledVersion":"3.0.2-0ubuntu1.20","FixedVersion":"3.0.2-0ubuntu1.21","Status":"fixed",
    "Severity":"HIGH","CVSS":{"nvd":{"V3Score":7.5}},"References":["https://example.com"]},
   {"VulnerabilityID":"CVE-2026-40002","PkgName":"linux-tools-common",
    "InstalledVersion":"5.15.0-160.170","Status":"affected","Severity":"MEDIUM"}]},
  {"Target":"opt/bin/kubelet-1.34.8","Class":"lang-pkgs","Type":"gobinary","Vulnerabilities":[
   {"VulnerabilityID":"GHSA-aaaa-bbbb-cccc","PkgName":"stdlib","InstalledVersion":"v1.24.1",
    "FixedVersion":"1.23.12, 1.24.6","Severity":"UNKNOWN"}]},
  {"Target":"opt/bin/crictl","Class":"lang-pkgs","Type":"gobinary"},
  {"Class":"custom","Vulnerabilities":null}]}"#;

#[test]
fn a_report_of_trivy_is_read() {
    let scan = read(TRIVY);
    assert_eq!((scan.tool, scan.scanned.as_str()), (ScanTool::Trivy, "node-1"));
    assert_eq!(
        shown(&scan),
        [
            "1 CVE-2026-40001 libssl3 3.0.2-0ubuntu1.20 [3.0.2-0ubuntu1.21] HIGH node-1 (ubuntu 22.04) ubuntu",
            "2 CVE-2026-40002 linux-tools-common 5.15.0-160.170 [] MEDIUM node-1 (ubuntu 22.04) ubuntu",
            "3 GHSA-aaaa-bbbb-cccc stdlib v1.24.1 [1.23.12 1.24.6] UNKNOWN opt/bin/kubelet-1.34.8 gobinary",
        ]
    );
    let clean = read(r#"{"SchemaVersion":2,"ArtifactName":"x","Results":null}"#);
    assert_eq!(clean.rows, []);
}

#[test]
fn a_report_of_trivy_on_a_cluster_names_nodes_and_images() {
    let cluster = r#"{"ClusterName":"aks-1","Resources":[
     {"Namespace":"default","Kind":"Deployment","Name":"app","Results":[{
       "Target":"example.com/app:1 (debian 12.5)","Class":"os-pkgs","Type":"debian",
       "Vulnerabilities":[{"VulnerabilityID":"CVE-2026-40001","PkgName":"libssl3",
        "InstalledVersion":"3.0","FixedVersion":"3.1","Severity":"LOW"}]}]},
     {"Kind":"NodeComponents","Name":"aks-pool-1","Results":[{"Target":"Node/aks-pool-1",
       "Class":"lang-pkgs","Type":"golang","Vulnerabilities":[{"VulnerabilityID":
       "CVE-2026-40003","PkgName":"k8s.io/kubelet","InstalledVersion":"1.33.2",
       "FixedVersion":"1.33.4","Severity":"MEDIUM"}]}]},
     {"Kind":"ConfigMap","Name":"none"}]}"#;
    let scan = read(cluster);
    assert_eq!((scan.tool, scan.scanned.as_str()), (ScanTool::Trivy, "aks-1"));
    let expected = [
        "1 CVE-2026-40001 libssl3 3.0 [3.1] LOW example.com/app:1 (debian 12.5) debian",
        "2 CVE-2026-40003 k8s.io/kubelet 1.33.2 [1.33.4] MEDIUM aks-pool-1 golang",
    ];
    assert_eq!(shown(&scan), expected);
    for older in ["Findings", "Vulnerabilities"] {
        let renamed = cluster.replace("\"Resources\"", &format!("\"{older}\""));
        assert_eq!(shown(&read(&renamed)), expected);
    }
    assert_eq!(
        refused(r#"{"ClusterName":"aks-1"}"#),
        "list: no scanner's list: a report on a cluster that names no resources"
    );
}

#[test]
fn objects_of_trivys_operator_are_read() {
    let object = r#"{"apiVersion":"aquasecurity.github.io/v1alpha1","kind":"VulnerabilityReport",
     "metadata":{"name":"replicaset-nginx"},"report":{"artifact":{"repository":"library/nginx",
     "tag":"1.16"},"registry":{"server":"index.docker.io"},"summary":{"lowCount":1},
     "vulnerabilities":[{"vulnerabilityID":"CVE-2026-40001","resource":"apt",
      "installedVersion":"1.8.2","fixedVersion":"1.8.2.2","severity":"LOW","target":"",
      "title":"t","links":[],"score":3.7},
      {"vulnerabilityID":"CVE-2026-40002","resource":"stdlib","installedVersion":"1.24",
      "fixedVersion":"","severity":"HIGH","target":"usr/bin/app","class":"lang-pkgs",
      "packageType":"gobinary"}]}}"#;
    let expected = [
        "1 CVE-2026-40001 apt 1.8.2 [1.8.2.2] LOW index.docker.io/library/nginx:1.16 ",
        "2 CVE-2026-40002 stdlib 1.24 [] HIGH usr/bin/app gobinary",
    ];
    let one = read(object);
    assert_eq!(one.scanned, "index.docker.io/library/nginx:1.16");
    assert_eq!(shown(&one), expected);
    let list = read(&format!(r#"{{"kind":"List","items":[{object},{object}]}}"#));
    assert_eq!((list.scanned.as_str(), list.rows.len()), ("", 4));
    assert_eq!(list.rows[3].place, 4);
    for (other, why) in [
        (r#"{"kind":"Pod"}"#, "an object of Kubernetes that is no report of Trivy"),
        (r#"{"kind":"List","items":[{"spec":{}}]}"#, "an object without a report"),
        (
            r#"{"kind":"ConfigAuditReport","report":{"checks":[]}}"#,
            "a report that is not of vulnerabilities",
        ),
    ] {
        assert_eq!(refused(other), format!("list: no scanner's list: {why}"));
    }
}

const GRYPE: &str = r#"{"matches":[
  {"vulnerability":{"id":"CVE-2026-40001","severity":"High","dataSource":"https://example.com",
    "namespace":"ubuntu:distro:ubuntu:22.04","fix":{"versions":["3.0.2-0ubuntu1.21"],
    "state":"fixed"},"advisories":[]},"relatedVulnerabilities":[],"matchDetails":[],
   "artifact":{"id":"a","name":"libssl3","version":"3.0.2-0ubuntu1.20","type":"deb",
    "locations":[{"path":"/var/lib/dpkg/status"}],"upstreams":[{"name":"openssl"}]}},
  {"vulnerability":{"id":"GHSA-aaaa-bbbb-cccc","severity":"Medium","fix":{"versions":[],
    "state":"not-fixed"}},"artifact":{"name":"stdlib","version":"go1.24.1","type":"go-module",
    "locations":[{"path":"/opt/bin/kubelet"}]}}],
 "source":{"type":"image","target":{"userInput":"example.com/app:1","imageID":"sha256:00"}},
 "distro":{"name":"ubuntu","version":"22.04"},"descriptor":{"name":"grype","version":"0.90"}}"#;

#[test]
fn a_report_of_grype_is_read() {
    let scan = read(GRYPE);
    assert_eq!((scan.tool, scan.scanned.as_str()), (ScanTool::Grype, "example.com/app:1"));
    assert_eq!(
        shown(&scan),
        [
            "1 CVE-2026-40001 libssl3 3.0.2-0ubuntu1.20 [3.0.2-0ubuntu1.21] High example.com/app:1 deb",
            "2 GHSA-aaaa-bbbb-cccc stdlib go1.24.1 [] Medium /opt/bin/kubelet go-module",
        ]
    );
    let folder =
        GRYPE.replace(r#"{"userInput":"example.com/app:1","imageID":"sha256:00"}"#, "\"/\"");
    assert_eq!(read(&folder).scanned, "/");
    assert_eq!(read(r#"{"matches":[],"source":{"target":7}}"#).scanned, "");
}

#[test]
fn a_finding_without_id_or_package_is_refused_by_its_number() {
    for (json, from, to, why) in [
        (TRIVY, "CVE-2026-40002", " ", "finding 2 has no vulnerability's id"),
        (TRIVY, r#""PkgName":"stdlib","#, "", "finding 3 has no package"),
        (GRYPE, "GHSA-aaaa-bbbb-cccc", "", "finding 2 has no vulnerability's id"),
        (GRYPE, r#""name":"libssl3","#, "", "finding 1 has no package"),
    ] {
        assert_eq!(refused(&json.replace(from, to)), format!("list: {why}"));
    }
}

#[test]
fn exports_are_known_by_their_headers() {
    // Prisma Cloud, of hosts.
    let prisma = "\u{feff}Hostname,Distro,CVE ID,Compliance ID,Type,Severity,Packages,Source Package,\
        Package Version,Package License,CVSS,Fix Status,Fix Date\r\n\
        node-1,Ubuntu 22.04,CVE-2026-40001,46,OS,high,libssl3,openssl,3.0.2,\"Apache, 2\",7.5,\
        \"fixed in 3.0.3, 3.1.1\",\r\n\
        node-2,Ubuntu 22.04,CVE-2026-40002,46,OS,low,bash,bash,5.1,GPL,3.1,deferred,\r\n";
    assert_eq!(
        shown(&read(prisma)),
        [
            "2 CVE-2026-40001 libssl3 3.0.2 [3.0.3 3.1.1] high node-1 OS",
            "3 CVE-2026-40002 bash 5.1 [] low node-2 OS",
        ]
    );
    // Defender, by its hunting table.
    let defender = "DeviceId;DeviceName;OSPlatform;SoftwareVendor;SoftwareName;SoftwareVersion;\
        CveId;VulnerabilitySeverityLevel\n1;node-1;Linux;canonical;openssl;3.0.2;CVE-2026-40001;High\n";
    assert_eq!(shown(&read(defender)), ["2 CVE-2026-40001 openssl 3.0.2 [] High node-1 "]);
    // Amazon Inspector.
    let inspector = "Severity\tVulnerability Id\tAffected Packages\tPackage Installed Version\t\
        Fixed in Version\tResource ID\nHIGH\tCVE-2026-40001\tbash\t5.1\t5.2\ti-01\n";
    assert_eq!(shown(&read(inspector)), ["2 CVE-2026-40001 bash 5.1 [5.2] HIGH i-01 "]);
    assert_eq!(read(inspector).tool, ScanTool::Table);
}

#[test]
fn an_operators_mapping_names_columns_and_leaves_the_rest() {
    let table = "Finding;Thing;Package;Have;Want;Severity\ncve-2026-40001;x;bash;1;2;5\n";
    let scan = mapped(table, "cve=finding, installed=Have,fixed=Want,node=Thing").expect("a list");
    assert_eq!(shown(&scan), ["2 CVE-2026-40001 bash 1 [2] 5 x "]);
    let error = mapped(table, "cve=CVE").expect_err("no column").to_string();
    assert_eq!(
        error,
        "list: no column \"CVE\": there are Finding, Thing, Package, Have, Want, Severity"
    );
    // Two columns but for case: the one that is named exactly.
    let two = "cve,Package,package\nCVE-2026-40001,bash,sh\n";
    assert_eq!(refused(two), "list: two columns \"Package\"");
    assert_eq!(mapped(two, "package=package").expect("a list").rows[0].package, "sh");
    assert_eq!(
        mapped(two, "package=PACKAGE").expect_err("two").to_string(),
        "list: two columns \"Package\""
    );
    for (mapping, why) in [
        ("cve", "\"cve\" is no key=column"),
        ("cve=", "\"cve=\" is no key=column"),
        ("cve=A,id=B", "\"id\" stands there twice"),
        ("age=A", "\"age\" is none of cve, package, installed, fixed, severity, node, kind"),
    ] {
        let error = mapping.parse::<ColumnMapping>().expect_err("odd");
        assert_eq!(error.to_string(), why);
    }
}

#[test]
fn cells_may_have_several_ids_quotes_and_lines() {
    let table = "sep=;\r\nCVE;Package;Fixed\r\n\
        \"CVE-2026-40001, CVE-2026-40002\nCVE-2026-40001\";\"the \"\"best\"\"; one\";\"1.0\n2.0\"\r\n\
        ;;\r\n\
        ALAS2-2026-0001;bash;won't fix";
    assert_eq!(
        shown(&read(table)),
        [
            "2 CVE-2026-40001 the \"best\"; one  [1.0 2.0]   ",
            "2 CVE-2026-40002 the \"best\"; one  [1.0 2.0]   ",
            "4 ALAS2-2026-0001 bash  []   ",
        ]
    );
}

#[test]
fn a_row_that_cannot_be_used_is_refused_by_its_number() {
    let start = "CVE ID,Package,Version\nCVE-2026-40001,bash,1\n";
    for (row, why) in [
        (",bash,1", "row 3 has no vulnerability's id"),
        ("N/A,bash,1", "row 3 has no vulnerability's id"),
        ("CVE-2026-40002, ,1", "row 3 has no package"),
        ("critical,bash,1", "row 3: \"critical\" is no vulnerability's id"),
        ("CVE-2026-40002 (HIGH),bash,1", "row 3: \"(HIGH)\" is no vulnerability's id"),
        ("CVE-2026-40002,\"ba", "cut off: a quoted cell has no end"),
        ("CVE-2026-40002,ba", "no table"),
    ] {
        assert_eq!(refused(&format!("{start}{row}")), format!("list: {why}"));
    }
    let error = read_scan("list", format!("{start}CVE-2026-40002,ba").as_bytes(), None);
    let source = std::error::Error::source(&error.expect_err("cut")).map(ToString::to_string);
    assert!(source.is_some_and(|why| why.contains("line: 3")));
    assert_eq!(
        refused("Host,Title\nx,y\n"),
        "list: no column for the vulnerability's id: there are Host, Title"
    );
    assert_eq!(
        refused("IP,CVE ID,Title\nx,y,z\n"),
        "list: no column for the package: there are IP, CVE ID, Title"
    );
}

#[test]
fn other_forms_are_refused_by_name() {
    for (text, why) in [
        ("", "it is empty"),
        (" \n", "it is empty"),
        ("[]", "a list of JSON without a report around it"),
        ("<html>", "it is XML or a web page"),
        ("{}", "JSON of neither Trivy nor Grype"),
        (r#"{"bomFormat":"CycloneDX"}"#, "CycloneDX is not read"),
        (r#"{"runs":[]}"#, "SARIF is not read, it lacks installed versions"),
    ] {
        assert_eq!(refused(text), format!("list: no scanner's list: {why}"));
    }
    let old = TRIVY.replace(r#""SchemaVersion":2"#, r#""SchemaVersion":3"#);
    assert_eq!(refused(&old), "list: SchemaVersion 3 of Trivy is not read, 2 is");
}

#[test]
fn hostile_lists_are_refused_or_passed_over() {
    for cut in [40, 400, TRIVY.len() - 1] {
        assert_eq!(refused(&TRIVY[..cut]), "list: no scanner's JSON");
        assert_eq!(refused(&GRYPE[..cut.min(GRYPE.len() - 1)]), "list: no scanner's JSON");
    }
    let deep = format!(r#"{{"SchemaVersion":2,"Results":{}"#, "[".repeat(1 << 20));
    assert_eq!(refused(&deep), "list: no scanner's JSON");
    // What is not read may be deep: it is passed over without a stack.
    let (open, close) = ("[".repeat(1 << 20), "]".repeat(1 << 20));
    let beside = TRIVY.replacen('{', &format!(r#"{{"Other":{open}{close},"#), 1);
    assert_eq!(read(&beside).rows.len(), 3);
    let error =
        read_scan("list", b"CVE,Package\nCVE-2026-40001,\xff\n", None).expect_err("no text");
    assert_eq!(error.to_string(), "list: no UTF-8");
    let utf16 = read_scan("list", b"\xff\xfeC\0V\0E\0", None).expect_err("no text");
    assert_eq!(utf16.to_string(), "list: no UTF-8");
    // A cell that would be repeated for each of a million ids.
    let ids: Vec<String> = (0..100_000).map(|number| format!("CVE-2026-{number:06}")).collect();
    let package = "x".repeat(1 << 16);
    let table = format!("CVE,Package\n\"{}\",{package}\n", ids.join(" "));
    assert_eq!(refused(&table), "list: more than 1000000 findings, or too long ones");
}
