//! Collects `node_image`: the name that the image's builder left on disk, the first line
//! of its note, marks of building and provisioning, and the labels that the kubelet is
//! told to register; elsewhere what os-release(5) says of an image.

use std::collections::BTreeMap;
use std::sync::Arc;

use nodeward_domain::facts::{ComponentState, ImageName, Label, NodeImage};
use nodeward_domain::observed::State;
use serde::Deserialize;

use super::{Collected, os_release, state};
use crate::host::{Host, HostError, HostRoot};
use crate::reads::Read;

const BILL_OF_MATERIALS: &str = "/opt/azure/containers/image-bom.json";
const NOTE: &str = "/opt/azure/vhd-install.complete";

/// What AKS's image builder and provisioning leave.
const MARKS: [&str; 4] = [
    BILL_OF_MATERIALS,
    "/opt/azure/containers/base_prep.complete",
    "/opt/azure/containers/provision.complete",
    NOTE,
];

/// The kubelet's environment file. It may hold a bootstrap token: of it one value is
/// read, byte by byte, and nothing else is kept.
const KUBELET_ENVIRONMENT: &str = "/etc/default/kubelet";
const LABELS_KEY: &str = "KUBELET_NODE_LABELS";

/// A bill of materials lists every cached container image: some 200 KiB.
const BILL_LIMIT_BYTES: u64 = 8 * 1024 * 1024;
const NOTE_LIMIT_BYTES: u64 = 8 * 1024 * 1024;
const VALUE_LIMIT_BYTES: u64 = 64 * 1024;

/// What is read.
pub(super) const READS: &[Read] = &[
    Read::of(&["/opt/azure/containers/image-bom.json"], "`sku` and `imageVersion`."),
    Read::of(
        &["/opt/azure/vhd-install.complete"],
        "The first line, which says when the image was built.",
    ),
    Read::of(&MARKS, "Whether it is there: a mark of AKS's provisioning."),
    Read::of(
        &["/etc/default/kubelet"],
        "The last value of KUBELET_NODE_LABELS, byte by byte: the file may hold a bootstrap token, and \
         of its other lines nothing is kept, not even in a buffer.",
    ),
    Read::of(
        &["/etc/os-release"],
        "IMAGE_ID and IMAGE_VERSION, where there is no bill of materials.",
    ),
    Read::of(&["/usr/lib/os-release"], "The same, where the first is not there."),
];

pub(super) fn collect(host: &Host) -> Collected {
    ComponentState::NodeImage(state(read(&host.root))).into()
}

fn read(root: &HostRoot) -> Result<State<NodeImage>, HostError> {
    let marks = root.existing(&MARKS)?;
    let labels = labels(root)?;
    let name = match bill_of_materials(root)? {
        Some(name) => Some(name),
        None => os_release::image(root)?,
    };
    if marks.is_empty() && labels.is_empty() && name.is_none() {
        return Ok(State::NotApplicable("nothing on this machine names an image".to_owned()));
    }
    Ok(State::Present(Arc::new(NodeImage { name, build_note: build_note(root)?, marks, labels })))
}

/// The two fields of the bill of materials that name the image.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bill {
    sku: String,
    image_version: String,
}

fn bill_of_materials(root: &HostRoot) -> Result<Option<ImageName>, HostError> {
    let text = match root.read(BILL_OF_MATERIALS, BILL_LIMIT_BYTES) {
        Err(HostError::Missing { .. }) => return Ok(None),
        text => text?,
    };
    let malformed = |why: String| HostError::Malformed { path: BILL_OF_MATERIALS.to_owned(), why };
    let bill: Bill = serde_json::from_slice(&text).map_err(|error| malformed(error.to_string()))?;
    if bill.image_version.is_empty() {
        return Err(malformed("its imageVersion is empty".to_owned()));
    }
    Ok(Some(ImageName {
        path: BILL_OF_MATERIALS.to_owned(),
        sku: bill.sku,
        version: bill.image_version,
    }))
}

fn build_note(root: &HostRoot) -> Result<String, HostError> {
    match root.read_text(NOTE, NOTE_LIMIT_BYTES) {
        Ok(text) => Ok(text.lines().next().unwrap_or_default().trim().to_owned()),
        Err(HostError::Missing { .. }) => Ok(String::new()),
        Err(error) => Err(error),
    }
}

fn labels(root: &HostRoot) -> Result<Vec<Label>, HostError> {
    let value = match root.read_value(KUBELET_ENVIRONMENT, LABELS_KEY, VALUE_LIMIT_BYTES) {
        Err(HostError::Missing { .. }) => None,
        value => value?,
    };
    // Of two of one key the kubelet takes the last.
    let by_key: BTreeMap<&str, &str> = value
        .iter()
        .flat_map(|value| unquoted(value).split(','))
        .filter_map(|label| label.trim().split_once('='))
        .collect();
    let label = |(key, value): (&str, &str)| Label { key: key.into(), value: value.into() };
    Ok(by_key.into_iter().map(label).collect())
}

/// A value without quotes around it, which systemd takes away from one of an environment
/// file.
fn unquoted(value: &str) -> &str {
    let value = value.trim();
    ['"', '\'']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The labels of an environment file with that text.
    fn labels_of(text: &str) -> Result<Vec<String>, HostError> {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(folder.path().join("etc/default")).expect("made");
        std::fs::write(folder.path().join("etc/default/kubelet"), text).expect("written");
        let root = HostRoot::open(folder.path()).expect("a directory");
        let labels = labels(&root)?.into_iter();
        Ok(labels.map(|label| format!("{}={}", label.key, label.value)).collect())
    }

    #[test]
    fn labels_are_read_with_and_without_quotes() {
        for text in ["a=b,c=d", "\"a=b,c=d\"", "'a=b, c=d' "] {
            let labels = labels_of(&format!("KUBELET_NODE_LABELS={text}\nTOKEN=x\n"));
            assert_eq!(labels, Ok(vec!["a=b".to_owned(), "c=d".to_owned()]), "{text}");
        }
    }

    #[test]
    fn labels_that_lie_too_far_behind_are_not_taken_for_none() {
        let far = "#".repeat(VALUE_LIMIT_BYTES as usize);
        for text in
            [format!("{far}\nKUBELET_NODE_LABELS=a=b\n"), format!("KUBELET_NODE_LABELS={far}")]
        {
            assert!(matches!(labels_of(&text), Err(HostError::TooLong { .. })));
        }
        // Behind it another one may follow, which counts.
        let behind = labels_of(&format!("KUBELET_NODE_LABELS=a=b\n{far}"));
        assert!(matches!(behind, Err(HostError::TooLong { .. })));
    }

    #[test]
    fn of_two_assignments_and_of_two_labels_of_one_key_the_last_counts() {
        let text = "KUBELET_NODE_LABELS=a=1,b=2\nTOKEN=x\nKUBELET_NODE_LABELS=c=1,a=2,c=3\n";
        assert_eq!(labels_of(text), Ok(vec!["a=2".to_owned(), "c=3".to_owned()]));
    }
}
