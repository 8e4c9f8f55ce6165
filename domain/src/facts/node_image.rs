//! Facts of `node_image`: which image the node was made from, by what its builder left
//! on disk and by the labels that its kubelet registers. Sources: AKS's image builder
//! (`image-bom.json`, the build note), `IMAGE_ID` and `IMAGE_VERSION` of os-release(5).

use jiff::civil::{Date, date};
use serde::Serialize;

use super::Headline;
use crate::text::Text;

/// What is known of the image that the node was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeImage {
    /// The builder's own name for it.
    pub name: Option<ImageName>,
    /// First line of the builder's note, such as `Starting build on Tue Nov 3 …`; empty
    /// without a note.
    pub build_note: String,
    /// Which marks of building and provisioning lie on disk, sorted.
    pub marks: Vec<String>,
    /// Labels that the kubelet is told to register, by key.
    pub labels: Vec<Label>,
}

/// An image, as its builder names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageName {
    /// Where it was read.
    pub path: String,
    /// Which line of images, such as `2204gen2containerd`.
    pub sku: String,
    /// Which image of that line, such as `202611.03.0`.
    pub version: String,
}

/// One label of a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Label {
    /// Such as `kubernetes.azure.com/node-image-version`.
    pub key: Text,
    /// Its value.
    pub value: Text,
}

impl ImageName {
    /// The day on which it was built.
    #[must_use]
    pub fn built_on(&self) -> Option<Date> {
        built_on(&self.version)
    }
}

/// The day on which an image was built, which an AKS image version begins with:
/// `202611.03.0`. None for a version of another form.
#[must_use]
pub fn built_on(version: &str) -> Option<Date> {
    let (month, rest) = version.split_once('.')?;
    let (day, _) = rest.split_once('.')?;
    let (year, month) = (month.get(..4)?, month.get(4..)?);
    if month.len() != 2 || day.len() != 2 {
        return None;
    }
    Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
        .ok()
        .filter(|built| *built >= date(2019, 1, 1))
}

impl NodeImage {
    /// The value of a label.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.iter().find(|label| label.key == key).map(|label| label.value.as_str())
    }
}

impl Headline for NodeImage {
    fn headline(&self) -> String {
        match &self.name {
            Some(name) => format!("{} {}", name.sku, name.version),
            None => format!("no name on disk, {} marks of a builder", self.marks.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_version_begins_with_the_day_it_was_built() {
        let built = |version: &str| {
            let name =
                ImageName { path: String::new(), sku: "s".to_owned(), version: version.to_owned() };
            name.built_on()
        };
        assert_eq!(built("202611.03.0"), Some(date(2026, 11, 3)));
        for none in
            ["202613.03.0", "202611.31.0", "1.2.3", "202611", "20261.103.0", "", "999999.99.9"]
        {
            assert_eq!(built(none), None, "{none}");
        }
    }
}
