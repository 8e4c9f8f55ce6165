//! Lists of the container images that lie ready on a node image, by digest: what AKS's
//! image builder publishes as `<version>-image-list.json` and leaves on the node as
//! `/opt/azure/containers/image-bom.json`.

use std::borrow::Cow;

use serde::Deserialize;

use crate::unread::{self, Unread};

/// The longest list that is read. Real ones have 35 kB.
pub const LONGEST_LIST_BYTES: usize = 16 << 20;

/// Why a list was refused.
#[derive(Debug, thiserror::Error)]
pub enum ImageListError {
    /// It is not read at all.
    #[error(transparent)]
    Unread(#[from] Unread),
    /// It is no JSON, or no such list. The source names line and column.
    #[error("{file}: no list of container images")]
    Malformed {
        /// The file.
        file: String,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// Something has no name.
    #[error("{file}: no list of container images: {what} is empty")]
    Empty {
        /// The file.
        file: String,
        /// What is empty.
        what: &'static str,
    },
    /// An image has no digest.
    #[error("{file}: image {place}: its id is empty")]
    Unnamed {
        /// The file.
        file: String,
        /// Which one, counted from one.
        place: usize,
    },
}

/// The container images that lie ready on a node image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageList {
    /// Which line of node images, as in the label behind the gallery: `2204gen2containerd`.
    pub sku: String,
    /// Which image of that line: `202607.02.0`.
    pub version: String,
    /// The container images, in the order in which they stood.
    pub images: Vec<CachedImage>,
}

/// One container image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedImage {
    /// Digest of its configuration, by which the runtime names it.
    pub id: String,
    /// Its size, where that is stated: on Windows it is not.
    pub size_bytes: Option<u64>,
    /// Names with tags.
    pub tags: Vec<String>,
    /// Digests of its manifests.
    pub digests: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    #[serde(borrow)]
    sku: Cow<'a, str>,
    #[serde(borrow)]
    image_version: Cow<'a, str>,
    #[serde(borrow)]
    image_bom: Vec<Entry<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(default)]
    bytes: Option<u64>,
    #[serde(borrow, default)]
    repo_tags: Option<Vec<Cow<'a, str>>>,
    #[serde(borrow, default)]
    repo_digests: Option<Vec<Cow<'a, str>>>,
}

/// Reads the list of a node image.
pub fn read_image_list(file: &str, bytes: &[u8]) -> Result<ImageList, ImageListError> {
    unread::bounded(file, bytes, LONGEST_LIST_BYTES)?;
    let bytes = unread::without_mark(bytes);
    let document: Document<'_> = serde_json::from_slice(bytes)
        .map_err(|source| ImageListError::Malformed { file: file.to_owned(), source })?;
    for (what, text) in [("sku", &document.sku), ("imageVersion", &document.image_version)] {
        if text.trim().is_empty() {
            return Err(ImageListError::Empty { file: file.to_owned(), what });
        }
    }
    let owned = |list: Option<Vec<Cow<'_, str>>>| {
        list.unwrap_or_default().into_iter().map(Cow::into_owned).collect::<Vec<_>>()
    };
    let mut images = Vec::with_capacity(document.image_bom.len());
    for (index, entry) in document.image_bom.into_iter().enumerate() {
        if entry.id.trim().is_empty() {
            return Err(ImageListError::Unnamed { file: file.to_owned(), place: index + 1 });
        }
        images.push(CachedImage {
            id: entry.id.into_owned(),
            size_bytes: entry.bytes,
            tags: owned(entry.repo_tags),
            digests: owned(entry.repo_digests),
        });
    }
    Ok(ImageList {
        sku: document.sku.into_owned(),
        version: document.image_version.into_owned(),
        images,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"{ "sku": "2204gen2containerd", "imageVersion": "202611.03.0",
      "imageBom": [
        { "id": "sha256:01", "bytes": 25915850, "size": "24.7 MiB",
          "repoTags": ["example.com/coredns:v1", "example.com/coredns:v1.0"],
          "repoDigests": ["sha256:02"] },
        { "id": "sha256:03", "repoTags": null } ] }"#;

    #[test]
    fn a_list_is_read_with_digests() {
        let list = read_image_list("list.json", LIST.as_bytes()).expect("a list");
        assert_eq!(
            (list.sku.as_str(), list.version.as_str()),
            ("2204gen2containerd", "202611.03.0")
        );
        assert_eq!(list.images.len(), 2);
        assert_eq!(list.images[0].size_bytes, Some(25_915_850));
        assert_eq!(list.images[0].tags.len(), 2);
        assert_eq!(list.images[0].digests, ["sha256:02"]);
        assert_eq!(list.images[1].size_bytes, None);
        assert!(list.images[1].tags.is_empty() && list.images[1].digests.is_empty());
        let marked = format!("\u{feff}{LIST}");
        assert_eq!(read_image_list("list.json", marked.as_bytes()).expect("a list"), list);
    }

    #[test]
    fn an_error_names_the_file_and_the_reason() {
        let refused = |text: &str| {
            read_image_list("list.json", text.as_bytes()).expect_err("odd").to_string()
        };
        for odd in ["", "{}", "[]", &LIST[..200], &LIST.replace("25915850", "-1")] {
            assert_eq!(refused(odd), "list.json: no list of container images");
        }
        assert_eq!(
            refused(&LIST.replace("202611.03.0", "")),
            "list.json: no list of container images: imageVersion is empty"
        );
        assert_eq!(refused(&LIST.replace("sha256:03", " ")), "list.json: image 2: its id is empty");
        let deep = "[".repeat(100_000);
        assert_eq!(refused(&deep), "list.json: no list of container images");
    }
}
