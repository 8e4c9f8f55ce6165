//! What a node of a story shows of itself in the place of what its host root does: labels of
//! its kubelet, the image that its disk names, packages of dpkg. Written into the copy as the
//! provider's tools write it, so that collectors read it as ever.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::host::HostCopy;
use crate::project;

const ENVIRONMENT: &str = "/etc/default/kubelet";
const BILL_OF_MATERIALS: &str = "/opt/azure/containers/image-bom.json";
const DPKG: &str = "/var/lib/dpkg/status";
const LABELS: [&str; 2] = ["KUBELET_NODE_LABELS=", "--node-labels="];
const IMAGE_LABEL: &str = "kubernetes.azure.com/node-image-version";

/// In what a node differs from its host root.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shows {
    /// It was made anew: another UID and another boot under its name.
    #[serde(default)]
    pub(super) is_new_life: bool,
    /// Its node pool, by its labels.
    pool: Option<String>,
    /// Its zone, by its label.
    zone: Option<String>,
    /// The version of its image: on its disk and in its label.
    image: Option<String>,
    /// The line of its image, as its disk names it.
    line: Option<String>,
    /// The image that its label names, where that is another.
    label: Option<String>,
    /// Its packages are those of that image of `tests/images`, as `line/version`.
    packages_of: Option<String>,
    /// Versions of binary packages, by name; an empty one takes the package away. A package
    /// that is not there is added.
    #[serde(default)]
    packages: BTreeMap<String, String>,
    /// The source that a binary package is said to be built from, by name.
    #[serde(default)]
    sources: BTreeMap<String, String>,
}

impl Shows {
    pub(super) fn put(&self, host: &mut HostCopy) {
        if let Some(pool) = &self.pool {
            // Both of the labels that name a pool end so.
            label(host, "agentpool", pool);
        }
        if let Some(zone) = &self.zone {
            label(host, "topology.kubernetes.io/zone", zone);
        }
        if self.image.is_some() || self.line.is_some() {
            let text = read(host, BILL_OF_MATERIALS);
            let mut bill: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            for (key, value) in [("imageVersion", &self.image), ("sku", &self.line)] {
                if let Some(value) = value {
                    bill[key] = value.clone().into();
                }
            }
            write(host, BILL_OF_MATERIALS, &bill.to_string());
        }
        if let Some(image) = &self.image {
            let environment = read(host, ENVIRONMENT);
            let family = labelled(&environment, IMAGE_LABEL);
            let family = family.and_then(|label| label.rsplit_once('-').map(|(of, _)| of));
            let label_now = format!("{}-{image}", family.expect("a label of an image"));
            label(host, IMAGE_LABEL, &label_now);
        }
        if let Some(image) = &self.label {
            label(host, IMAGE_LABEL, image);
        }
        if let Some(image) = &self.packages_of {
            let status = read(host, DPKG);
            let packages = packages_of(image, &status);
            write(host, DPKG, &changed(&status, &packages, &BTreeMap::new()));
        }
        if !self.packages.is_empty() || !self.sources.is_empty() {
            let status = changed(&read(host, DPKG), &self.packages, &self.sources);
            write(host, DPKG, &status);
        }
    }
}

/// The database of dpkg with these packages in these versions.
fn changed(
    before: &str,
    packages: &BTreeMap<String, String>,
    sources: &BTreeMap<String, String>,
) -> String {
    let mut left = packages.clone();
    let mut paragraphs = Vec::new();
    for paragraph in before.trim_end().split("\n\n") {
        let name = paragraph.lines().find_map(|line| line.strip_prefix("Package: "));
        let name = name.expect("a paragraph of a package");
        let version = left.remove(name);
        if version.as_deref() == Some("") {
            continue;
        }
        let source = sources.get(name);
        let mut lines: Vec<String> = Vec::new();
        for line in paragraph.lines() {
            match (&version, source) {
                (Some(version), _) if line.starts_with("Version: ") => {
                    lines.push(format!("Version: {version}"));
                }
                (_, Some(_)) if line.starts_with("Source: ") => {}
                _ => lines.push(line.to_owned()),
            }
        }
        lines.extend(source.map(|source| format!("Source: {source}")));
        paragraphs.push(lines.join("\n"));
    }
    for (name, version) in left {
        assert!(!version.is_empty(), "{name} is not there, so it cannot be taken away");
        let source = sources.get(&name);
        let source = source.map_or_else(String::new, |source| format!("\nSource: {source}"));
        paragraphs.push(format!(
            "Package: {name}\nStatus: install ok installed\nPriority: optional\n\
                 Section: admin\nMaintainer: Tests <tests@example.org>\nArchitecture: amd64\
                 {source}\nVersion: {version}\nDescription: of a story"
        ));
    }
    paragraphs.join("\n\n") + "\n"
}

/// What has to be changed in a database of dpkg so that it has what is in an image.
fn packages_of(image: &str, before: &str) -> BTreeMap<String, String> {
    let path = project::root().join(format!("tests/images/{image}.txt"));
    let note = std::fs::read_to_string(path).expect("an image of the tests");
    let list = note.split("=== Installed Packages").nth(1).expect("packages");
    let listed = list.lines().filter_map(|line| {
        let (name, rest) = line.split_once('/')?;
        Some((name.to_owned(), rest.split_whitespace().nth(1)?.to_owned()))
    });
    let mut packages: BTreeMap<String, String> = listed.collect();
    for paragraph in before.split("\n\n").filter(|one| one.contains("install ok installed")) {
        let name = paragraph.lines().find_map(|line| line.strip_prefix("Package: "));
        packages.entry(name.expect("a package").to_owned()).or_default();
    }
    packages
}

fn read(host: &HostCopy, path: &str) -> String {
    std::fs::read_to_string(host.inside(path)).expect("a file of the host root")
}

fn write(host: &HostCopy, path: &str, text: &str) {
    std::fs::write(host.inside(path), text).expect("a file can be written");
}

/// Gives a label a value, or adds it: to the kubelet's environment, and to its command line
/// wherever it runs.
fn label(host: &HostCopy, key: &str, value: &str) {
    write(host, ENVIRONMENT, &with_label(&read(host, ENVIRONMENT), key, value));
    let processes = std::fs::read_dir(host.inside("/proc")).expect("processes");
    for process in processes {
        let path = process.expect("readable").path().join("cmdline");
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        if text.contains(LABELS[1]) {
            std::fs::write(path, with_label(&text, key, value)).expect("written");
        }
    }
}

/// The value of a label in a text.
fn labelled<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("{key}="))?;
    rest.split([',', '\n', '\0']).next()
}

/// Replaces the value of every label whose key ends so, or puts one before the others.
fn with_label(text: &str, key: &str, value: &str) -> String {
    let key_is = format!("{key}=");
    if !text.contains(&key_is) {
        let start = LABELS.iter().find(|start| text.contains(**start)).expect("labels");
        return text.replacen(start, &format!("{start}{key_is}{value},"), 1);
    }
    let mut parts = text.split(&key_is);
    let mut changed = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find([',', '\n', '\0']).unwrap_or(part.len());
        changed.push_str(&format!("{key_is}{value}{}", &part[end..]));
    }
    changed
}
