//! Ubuntu's OpenVEX documents, one a CVE: which releases' packages are not affected, and
//! for which there will be no fix. Status alone is read: the version in a product is the
//! one of today, not the fixed one, and the times are those of the CVE. Sources: the
//! OpenVEX specification 0.2.0, `canonical/ubuntu-security-notices`.
//!
//! Two forms are about: flat, and an older one with its head inside `metadata`.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use nodeward_domain::advisory::{
    Advisory, Alias, AliasId, Authority, Distribution, Epochs, Range, Rating, Statement, Stream,
    Tier, Unfixed,
};
use serde::Deserialize;

use crate::content::{Content, Words};
use crate::purl::DebPurl;
use crate::unread::{self, Unread};

/// The longest document that is read. The longest known has some 10 MB.
pub const LONGEST_DOCUMENT_BYTES: usize = 64 << 20;

/// Why a document was refused.
#[derive(Debug, thiserror::Error)]
pub enum OpenVexError {
    /// It is not read at all.
    #[error(transparent)]
    Unread(#[from] Unread),
    /// It is no JSON, or no VEX document. The source names line and column.
    #[error("{file}: no OpenVEX document")]
    Malformed {
        /// The file.
        file: String,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// Neither form has its head where it belongs.
    #[error("{file}: no OpenVEX document: it names no {what}")]
    Headless {
        /// The file.
        file: String,
        /// What is missing.
        what: &'static str,
    },
    /// A statement has a status that OpenVEX does not have.
    #[error("{file}: statement {statement}: status {status:?}")]
    Status {
        /// The file.
        file: String,
        /// Which statement, from 1.
        statement: usize,
        /// What stands there.
        status: String,
    },
}

#[derive(Debug, Deserialize)]
struct Document<'a> {
    #[serde(rename = "@context", borrow, default)]
    context: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    metadata: Option<Metadata<'a>>,
    #[serde(borrow)]
    statements: Vec<StatementOf<'a>>,
}

#[derive(Debug, Deserialize)]
struct Metadata<'a> {
    #[serde(rename = "@context", alias = "context", borrow, default)]
    context: Option<Cow<'a, str>>,
}

#[derive(Debug, Deserialize)]
struct StatementOf<'a> {
    #[serde(borrow)]
    vulnerability: Vulnerability<'a>,
    #[serde(borrow, default)]
    products: Vec<Product<'a>>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow, default)]
    action_statement: Option<Cow<'a, str>>,
}

#[derive(Debug, Deserialize)]
struct Vulnerability<'a> {
    #[serde(rename = "@id", borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
}

#[derive(Debug, Deserialize)]
struct Product<'a> {
    #[serde(rename = "@id", borrow)]
    id: Cow<'a, str>,
}

/// Ubuntu's releases by their names.
const RELEASES: [(&str, &str); 12] = [
    ("trusty", "14.04"),
    ("xenial", "16.04"),
    ("bionic", "18.04"),
    ("focal", "20.04"),
    ("jammy", "22.04"),
    ("mantic", "23.10"),
    ("noble", "24.04"),
    ("oracular", "24.10"),
    ("plucky", "25.04"),
    ("questing", "25.10"),
    ("resolute", "26.04"),
    ("lunar", "23.04"),
];

/// The stream of a `distro`: `jammy`, `esm-infra/focal`, `fips-updates/focal`.
fn stream(distro: &str) -> Stream {
    let (pocket, codename) = distro.split_once('/').unwrap_or(("", distro));
    let tier = match pocket {
        "" => Tier::Base,
        "esm-infra" | "esm-apps" | "esm-infra-legacy" | "esm-apps-legacy" => Tier::Pro,
        "fips" => Tier::Fips,
        "fips-updates" => Tier::FipsUpdates,
        "fips-preview" => Tier::FipsPreview,
        other => Tier::Other(Arc::from(other)),
    };
    let number = RELEASES.iter().find(|(name, _)| *name == codename).map(|(_, number)| *number);
    Stream {
        distribution: Distribution::Ubuntu,
        release: Arc::from(number.unwrap_or(codename)),
        tier,
    }
}

/// Reads documents into one content.
#[derive(Debug, Default)]
pub struct OpenVexReader {
    content: Content,
    words: Words,
}

impl OpenVexReader {
    /// Reads one document. After an error the reader has to be thrown away: an import is
    /// whole or it is none.
    pub fn read(&mut self, file: &str, bytes: &[u8]) -> Result<(), OpenVexError> {
        unread::bounded(file, bytes, LONGEST_DOCUMENT_BYTES)?;
        let document: Document<'_> = serde_json::from_slice(bytes)
            .map_err(|source| OpenVexError::Malformed { file: file.to_owned(), source })?;
        let head = document
            .context
            .as_deref()
            .or_else(|| document.metadata.as_ref().and_then(|head| head.context.as_deref()));
        if !head.is_some_and(|context| context.contains("openvex")) {
            return Err(OpenVexError::Headless { file: file.to_owned(), what: "context" });
        }
        self.content.records += 1;
        for (index, statement) in document.statements.iter().enumerate() {
            let status = match &*statement.status {
                "not_affected" => Statement::NotAffected,
                "affected" => Statement::Unfixed(reason(statement.action_statement.as_deref())),
                // What is fixed, and where, only notices say.
                "fixed" | "under_investigation" => {
                    self.content.leave_out("status that is not used");
                    continue;
                }
                other => {
                    return Err(OpenVexError::Status {
                        file: file.to_owned(),
                        statement: index + 1,
                        status: other.to_owned(),
                    });
                }
            };
            self.statement(file, statement, status)?;
        }
        Ok(())
    }

    /// What was read.
    #[must_use]
    pub fn finish(self) -> Content {
        self.content
    }

    fn statement(
        &mut self,
        file: &str,
        statement: &StatementOf<'_>,
        status: Statement,
    ) -> Result<(), OpenVexError> {
        let vulnerability = &statement.vulnerability;
        let name = vulnerability
            .name
            .as_deref()
            .or_else(|| vulnerability.id.as_deref()?.rsplit('/').next())
            .filter(|name| !name.trim().is_empty())
            .ok_or_else(|| OpenVexError::Headless {
                file: file.to_owned(),
                what: "vulnerability",
            })?;
        let id = AliasId::of(name);
        let record = self.words.keep(&format!("VEX-{id}"));
        let aliases: Arc<[Alias]> = Arc::from([Alias { id, rating: Rating::Unrated }]);
        // Hundreds of binaries stand beside each source, once per architecture.
        let mut seen = BTreeSet::new();
        for product in &statement.products {
            let Some(purl) = DebPurl::read(&product.id).filter(|purl| purl.vendor == "ubuntu")
            else {
                self.content.leave_out("product that is no package of Ubuntu");
                continue;
            };
            let (true, Some(release)) = (purl.is_source(), purl.release.as_deref()) else {
                continue;
            };
            let source = self.words.keep(&purl.name);
            let stream = stream(release);
            if seen.insert((stream.clone(), Arc::clone(&source))) {
                self.content.advisories.push(Advisory {
                    record: Arc::clone(&record),
                    authority: match status {
                        // It also takes back what a notice says of all its releases at once.
                        Statement::NotAffected => Authority::Notice,
                        Statement::Unfixed(_) | Statement::Fixed => Authority::Complement,
                    },
                    stream,
                    source,
                    range: Range::ALL,
                    statement: status,
                    aliases: Arc::clone(&aliases),
                    published: None,
                    epochs: Epochs::Compared,
                });
            }
        }
        Ok(())
    }
}

/// Why there is no fix, which only a text for people says.
fn reason(action: Option<&str>) -> Unfixed {
    let action = action.unwrap_or_default().to_ascii_lowercase();
    // What stands behind are notes on the CVE, which speak of other releases too.
    let action = action.split("cve notes").next().unwrap_or_default();
    let says = |words: &[&str]| words.iter().any(|word| action.contains(word));
    if says(&["no longer supported", "end of life", "end-of-life"]) {
        Unfixed::EndOfLife
    } else if says(&["decided to not fix", "will not fix", "won't fix", "wont fix", "wont-fix"]) {
        Unfixed::WontFix
    } else if says(&["deferred", "postponed"]) {
        Unfixed::Deferred
    } else {
        Unfixed::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATEMENTS: &str = r#""statements":[
      {"vulnerability":{"@id":"https://nvd.nist.gov/vuln/detail/CVE-2026-30001",
         "name":"CVE-2026-30001","aliases":[]},"timestamp":"2024-01-26 09:15:00 UTC",
       "products":[{"@id":"pkg:deb/ubuntu/libexample@1.0?arch=source&distro=jammy"},
         {"@id":"pkg:deb/ubuntu/libexample1@1.0?arch=amd64&distro=jammy"},
         {"@id":"pkg:deb/ubuntu/libexample@0.9?arch=source&distro=esm-infra/focal"}],
       "status":"not_affected","justification":"vulnerable_code_not_present"},
      {"vulnerability":{"@id":"https://nvd.nist.gov/vuln/detail/CVE-2026-30001"},
       "products":[{"@id":"pkg:deb/ubuntu/libexample@1.1?arch=source&distro=noble"}],
       "status":"affected","action_statement":"This package (for the given release) is vulnerable to the CVE, the problem is understood, but the Ubuntu Security Team decided to not fix it. CVE Notes / justification: marked as deferred"},
      {"vulnerability":{"name":"CVE-2026-30001"},"products":[
         {"@id":"pkg:deb/ubuntu/libexample@1.2?arch=source&distro=questing"}],
       "status":"fixed","status_notes":"an update has been published"}]"#;

    fn read(head: &str) -> Vec<(String, String, Statement)> {
        let mut reader = OpenVexReader::default();
        let text = format!("{{{head},{STATEMENTS}}}");
        reader.read("vex.json", text.as_bytes()).expect("a document");
        let content = reader.finish();
        content
            .advisories
            .iter()
            .map(|one| (one.stream.to_string(), one.source.to_string(), one.statement))
            .collect()
    }

    #[test]
    fn both_forms_are_read_for_their_status_alone() {
        let expected = [
            ("Ubuntu 22.04", Statement::NotAffected),
            ("Ubuntu 20.04 Pro", Statement::NotAffected),
            ("Ubuntu 24.04", Statement::Unfixed(Unfixed::WontFix)),
        ]
        .map(|(stream, status)| (stream.to_owned(), "libexample".to_owned(), status));
        let context = r#""@context":"https://openvex.dev/ns/v0.2.0""#;
        assert_eq!(read(context), expected);
        let older = format!(r#""metadata":{{{context},"author":"Canonical Ltd."}}"#);
        assert_eq!(read(&older), expected);
    }

    #[test]
    fn an_error_names_the_file_the_place_and_the_reason() {
        let refused = |text: &str| {
            let error = OpenVexReader::default().read("vex.json", text.as_bytes());
            error.expect_err("odd").to_string()
        };
        assert_eq!(refused("{"), "vex.json: no OpenVEX document");
        assert!(refused(r#"{"statements":[]}"#).contains("names no context"));
        let odd = r#"{"@context":"https://openvex.dev/ns","statements":[
            {"vulnerability":{"name":"CVE-1"},"status":"maybe"}]}"#;
        assert_eq!(refused(odd), "vex.json: statement 1: status \"maybe\"");
    }

    #[test]
    fn why_there_is_no_fix_is_read_from_the_text() {
        for (action, expected) in [
            ("This package (for the given release) is no longer supported.", Unfixed::EndOfLife),
            ("the fix has been deferred", Unfixed::Deferred),
            ("is vulnerable. CVE Notes / justification: will not fix in xenial", Unfixed::Pending),
        ] {
            assert_eq!(reason(Some(action)), expected, "{action}");
        }
        assert_eq!(reason(None), Unfixed::Pending);
    }
}
