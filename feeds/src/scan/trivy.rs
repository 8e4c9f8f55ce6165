//! Trivy's JSON: the report of one scan (`trivy … --format json`, SchemaVersion 2), the
//! report on a cluster (`trivy k8s --report all --format json`), and the objects that its
//! operator keeps (`kubectl get vulnerabilityreports -A -o json`). Sources: trivy.dev/docs,
//! aquasecurity.github.io/trivy-operator.

use std::borrow::Cow;

use nodeward_domain::advisory::AliasId;
use serde::Deserialize;

use super::rows::{ID, PACKAGE, Rows};
use super::{Scan, ScanError, ScanRow, ScanTool, parse};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Report<'a> {
    #[serde(borrow, default)]
    artifact_name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    results: Option<Vec<ScanResult<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ScanResult<'a> {
    #[serde(borrow, default)]
    target: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    class: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    r#type: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    vulnerabilities: Option<Vec<Vulnerability<'a>>>,
}

#[derive(Deserialize)]
struct Vulnerability<'a> {
    #[serde(borrow, rename = "VulnerabilityID", default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "PkgName", default)]
    package: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "InstalledVersion", default)]
    installed: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "FixedVersion", default)]
    fixed: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "Severity", default)]
    severity: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Cluster<'a> {
    #[serde(borrow, default)]
    cluster_name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    resources: Option<Vec<Resource<'a>>>,
    /// The name of `Resources` in a summary.
    #[serde(borrow, default)]
    findings: Option<Vec<Resource<'a>>>,
    /// The name of `Resources` in releases before 0.30.
    #[serde(borrow, default)]
    vulnerabilities: Option<Vec<Resource<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Resource<'a> {
    #[serde(borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    results: Option<Vec<ScanResult<'a>>>,
}

#[derive(Deserialize)]
struct Objects<'a> {
    #[serde(borrow, default)]
    items: Option<Vec<Object<'a>>>,
    #[serde(borrow, default)]
    report: Option<ObjectReport<'a>>,
}

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow, default)]
    report: Option<ObjectReport<'a>>,
}

#[derive(Deserialize)]
struct ObjectReport<'a> {
    #[serde(borrow, default)]
    artifact: Option<Artifact<'a>>,
    #[serde(borrow, default)]
    registry: Option<Registry<'a>>,
    #[serde(borrow, default)]
    vulnerabilities: Option<Vec<ObjectVulnerability<'a>>>,
}

#[derive(Deserialize)]
struct Artifact<'a> {
    #[serde(borrow, default)]
    repository: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    tag: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    digest: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Registry<'a> {
    #[serde(borrow, default)]
    server: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ObjectVulnerability<'a> {
    #[serde(borrow, rename = "vulnerabilityID", default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    resource: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    installed_version: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    fixed_version: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    severity: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    target: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    class: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    package_type: Option<Cow<'a, str>>,
}

/// A text, empty where there is none.
fn text<'a>(value: &'a Option<Cow<'_, str>>) -> &'a str {
    value.as_deref().unwrap_or_default()
}

/// The first text that is not empty.
fn first<const N: usize>(texts: [&str; N]) -> String {
    texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default().to_owned()
}

/// The versions of `1.2.3, 1.3.1`.
fn versions(fixed: &Option<Cow<'_, str>>) -> Vec<String> {
    let all = text(fixed).split(',').map(str::trim);
    all.filter(|version| !version.is_empty()).map(str::to_owned).collect()
}

/// Takes down the results of one scan. `of` stands in for a target that has no name.
fn take(rows: &mut Rows<'_>, results: &[ScanResult<'_>], of: &str) -> Result<(), ScanError> {
    for result in results {
        for found in result.vulnerabilities.iter().flatten() {
            let place = rows.next_place();
            let id = rows.needed("finding", place, ID, text(&found.id))?;
            let package = rows.needed("finding", place, PACKAGE, text(&found.package))?;
            rows.push(ScanRow {
                place,
                id: AliasId::of(&id),
                package,
                installed: text(&found.installed).to_owned(),
                fixed: versions(&found.fixed),
                severity: text(&found.severity).to_owned(),
                target: first([text(&result.target), of]),
                kind: first([text(&result.r#type), text(&result.class)]),
            })?;
        }
    }
    Ok(())
}

/// Reads the report of one scan. A report without `Results` found nothing to look at.
pub(super) fn read_report(file: &str, json: &str) -> Result<Scan, ScanError> {
    let report: Report<'_> = parse(file, json)?;
    let scanned = text(&report.artifact_name).to_owned();
    let mut rows = Rows::of(file);
    take(&mut rows, report.results.as_deref().unwrap_or_default(), &scanned)?;
    Ok(Scan { tool: ScanTool::Trivy, scanned, rows: rows.finish() })
}

/// Reads the report on a cluster. What was found on a node is about that node; all else is
/// about the image that Trivy names as target.
pub(super) fn read_cluster(file: &str, json: &str) -> Result<Scan, ScanError> {
    let cluster: Cluster<'_> = parse(file, json)?;
    let lists = [cluster.resources, cluster.findings, cluster.vulnerabilities];
    if lists.iter().all(Option::is_none) {
        let what = "a report on a cluster that names no resources";
        return Err(ScanError::Form { file: file.to_owned(), what });
    }
    let mut rows = Rows::of(file);
    for mut resource in lists.into_iter().flatten().flatten() {
        let mut results = resource.results.take().unwrap_or_default();
        if text(&resource.kind).starts_with("Node") {
            results.iter_mut().for_each(|result| result.target = None);
        }
        take(&mut rows, &results, text(&resource.name))?;
    }
    let scanned = text(&cluster.cluster_name).to_owned();
    Ok(Scan { tool: ScanTool::Trivy, scanned, rows: rows.finish() })
}

/// Reads objects of Trivy's operator: one, or a list of them.
pub(super) fn read_objects(file: &str, json: &str) -> Result<Scan, ScanError> {
    let objects: Objects<'_> = parse(file, json)?;
    let form = |what| ScanError::Form { file: file.to_owned(), what };
    let mut reports = Vec::new();
    match (objects.items, objects.report) {
        (None, None) => return Err(form("an object of Kubernetes that is no report of Trivy")),
        (items, report) => {
            reports.extend(report);
            for item in items.into_iter().flatten() {
                reports.push(item.report.ok_or_else(|| form("an object without a report"))?);
            }
        }
    }
    let mut rows = Rows::of(file);
    for report in &reports {
        let of = report.artifact.as_ref().map(|artifact| image(report, artifact));
        let of = of.unwrap_or_default();
        let Some(found) = &report.vulnerabilities else {
            return Err(form("a report that is not of vulnerabilities"));
        };
        found.iter().try_for_each(|found| take_object(&mut rows, found, &of))?;
    }
    let scanned = match reports.as_slice() {
        [one] => one.artifact.as_ref().map(|artifact| image(one, artifact)).unwrap_or_default(),
        _ => String::new(),
    };
    Ok(Scan { tool: ScanTool::Trivy, scanned, rows: rows.finish() })
}

fn take_object(
    rows: &mut Rows<'_>,
    found: &ObjectVulnerability<'_>,
    of: &str,
) -> Result<(), ScanError> {
    let place = rows.next_place();
    let id = rows.needed("finding", place, ID, text(&found.id))?;
    let package = rows.needed("finding", place, PACKAGE, text(&found.resource))?;
    rows.push(ScanRow {
        place,
        id: AliasId::of(&id),
        package,
        installed: text(&found.installed_version).to_owned(),
        fixed: versions(&found.fixed_version),
        severity: text(&found.severity).to_owned(),
        target: first([text(&found.target), of]),
        kind: first([text(&found.package_type), text(&found.class)]),
    })
}

/// The name of an image: `registry.example.com/team/app:1.2`, or with its digest.
fn image(report: &ObjectReport<'_>, artifact: &Artifact<'_>) -> String {
    let server = report.registry.as_ref().map(|registry| text(&registry.server));
    let mut name = server.unwrap_or_default().to_owned();
    if !name.is_empty() {
        name.push('/');
    }
    name.push_str(text(&artifact.repository));
    for (mark, part) in [(":", text(&artifact.tag)), ("@", text(&artifact.digest))] {
        if !part.is_empty() {
            name.push_str(mark);
            name.push_str(part);
            break;
        }
    }
    name
}
