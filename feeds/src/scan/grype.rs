//! Grype's JSON (`grype … -o json`). Source: github.com/anchore/grype, its presenter of JSON.

use std::borrow::Cow;

use nodeward_domain::advisory::AliasId;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::rows::{ID, PACKAGE, Rows};
use super::{Scan, ScanError, ScanRow, ScanTool, parse};

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    matches: Vec<Match<'a>>,
    #[serde(borrow, default)]
    source: Option<Source<'a>>,
}

#[derive(Deserialize)]
struct Match<'a> {
    #[serde(borrow)]
    vulnerability: Vulnerability<'a>,
    #[serde(borrow)]
    artifact: Artifact<'a>,
}

#[derive(Deserialize)]
struct Vulnerability<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    severity: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    fix: Option<Fix<'a>>,
}

#[derive(Deserialize)]
struct Fix<'a> {
    #[serde(borrow, default)]
    versions: Option<Vec<Cow<'a, str>>>,
}

#[derive(Deserialize)]
struct Artifact<'a> {
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    version: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    r#type: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    locations: Option<Vec<Location<'a>>>,
}

#[derive(Deserialize)]
struct Location<'a> {
    #[serde(borrow, default)]
    path: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Source<'a> {
    #[serde(borrow, default)]
    target: Option<Target<'a>>,
}

/// An image as an object, or a path as a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Target<'a> {
    Path(#[serde(borrow)] Cow<'a, str>),
    Image {
        #[serde(borrow, default, rename = "userInput")]
        user_input: Option<Cow<'a, str>>,
    },
    Other(IgnoredAny),
}

/// Kinds of packages that the distribution's database lists: where that lies tells nothing.
const OF_DISTRIBUTIONS: [&str; 4] = ["apk", "alpm", "deb", "rpm"];

fn text<'a>(value: &'a Option<Cow<'_, str>>) -> &'a str {
    value.as_deref().unwrap_or_default()
}

/// Reads a report. A package of a language is about the file in which it was found, all
/// else about what was scanned.
pub(super) fn read(file: &str, json: &str) -> Result<Scan, ScanError> {
    let document: Document<'_> = parse(file, json)?;
    let scanned = match document.source.and_then(|source| source.target) {
        Some(Target::Path(path)) => path.into_owned(),
        Some(Target::Image { user_input: Some(name) }) => name.into_owned(),
        Some(Target::Image { user_input: None } | Target::Other(_)) | None => String::new(),
    };
    let mut rows = Rows::of(file);
    for Match { vulnerability, artifact } in &document.matches {
        let place = rows.next_place();
        let id = rows.needed("finding", place, ID, text(&vulnerability.id))?;
        let package = rows.needed("finding", place, PACKAGE, text(&artifact.name))?;
        let versions = vulnerability.fix.iter().flat_map(|fix| fix.versions.iter().flatten());
        rows.push(ScanRow {
            place,
            id: AliasId::of(&id),
            package,
            installed: text(&artifact.version).to_owned(),
            fixed: versions.filter(|one| !one.is_empty()).map(|one| one.to_string()).collect(),
            severity: text(&vulnerability.severity).to_owned(),
            target: found_in(artifact).unwrap_or(&scanned).to_owned(),
            kind: text(&artifact.r#type).to_owned(),
        })?;
    }
    Ok(Scan { tool: ScanTool::Grype, scanned, rows: rows.finish() })
}

/// The file in which a package of a language was found.
fn found_in<'a>(artifact: &'a Artifact<'_>) -> Option<&'a str> {
    if OF_DISTRIBUTIONS.contains(&text(&artifact.r#type)) {
        return None;
    }
    let path = text(&artifact.locations.as_ref()?.first()?.path);
    (!path.is_empty()).then_some(path)
}
