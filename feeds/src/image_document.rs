//! Files about node images, whatever they are: which one a file is, is seen by its content.
//! A document is kept whole, so that a later build may read more of it, and is named, so that
//! importing it once more takes the place of the first.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use jiff::{SignedDuration, Timestamp};
use nodeward_domain::image::catalogue::Catalogue;
use nodeward_domain::image::{
    ImageLabel, ImageRelease, SecurityPatch, build_of, family_by_any_name, is_known_line,
};
use sha2::{Digest as _, Sha256};

use crate::announced::{Announced, AnnouncedError, AnnouncedFamily, read_announced};
use crate::image_list::{ImageList, ImageListError, read_image_list};
use crate::image_note::{ImageNoteError, read_image_note, refuse_to_come};
use crate::offered::{ClusterNames, OfferedError, Told, read_offered};
use crate::security_patch::{SecurityPatchError, read_security_patch};

/// The longest document that is read.
pub const LONGEST_DOCUMENT_BYTES: usize = 16 << 20;

/// Why a document was refused.
#[derive(Debug, thiserror::Error)]
pub enum ImageDocumentError {
    /// As a release note.
    #[error(transparent)]
    Note(#[from] ImageNoteError),
    /// As a list of container images.
    #[error(transparent)]
    List(#[from] ImageListError),
    /// As a security patch.
    #[error(transparent)]
    Patch(#[from] SecurityPatchError),
    /// As a table of announcements.
    #[error(transparent)]
    Announced(#[from] AnnouncedError),
    /// As what an operator tells of pools.
    #[error(transparent)]
    Offered(#[from] OfferedError),
    /// It is a report of the provider's scanner, which is kept with the feeds.
    #[error("{file}: the report of a scanner is no document about one image")]
    Report {
        /// The file.
        file: String,
    },
    /// It is of no kind that is known.
    #[error(
        "{file}: neither a release note, a list of container images, a security patch, a table of announcements nor what the provider's tools tell of pools"
    )]
    OfNoKind {
        /// The file.
        file: String,
    },
    /// What was stored cannot be unpacked.
    #[error("{name}: cannot be unpacked: {why}")]
    Packed {
        /// The document.
        name: String,
        /// Why.
        why: String,
    },
}

/// Which kind of document a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The release note of an image.
    Note,
    /// The container images that lie ready on an image.
    List,
    /// The package changes of a security patch.
    Patch,
    /// When images were announced.
    Announced,
    /// What an operator tells of pools, and which images are offered to them.
    Offered,
    /// What the provider's own scanner says of images: read as a feed, see [`crate::intake`].
    Report,
}

impl Kind {
    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::List => "list",
            Self::Patch => "patch",
            Self::Announced => "announced",
            Self::Offered => "offered",
            Self::Report => "report",
        }
    }
}

/// What a document says.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// What an image is made of.
    Note(Box<ImageRelease>),
    /// Which container images lie ready on it.
    List(ImageList),
    /// What a security patch changes.
    Patch(SecurityPatch),
    /// When images were announced.
    Announced(Announced),
    /// What is offered to pools.
    Offered(Box<Told>),
}

/// A document about images, as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageDocument {
    /// Which kind it is.
    pub kind: Kind,
    /// Names it among all documents: another of that name takes its place.
    pub name: String,
    /// What it says.
    pub content: Content,
}

/// Which kind of document some bytes are; none of a kind that is not known.
#[must_use]
pub fn kind_of(file: &str, bytes: &[u8]) -> Option<Kind> {
    let start = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let begins = |text: &str| start.starts_with(text.as_bytes());
    let is_of_patch = file
        .rsplit('/')
        .next()
        .is_some_and(|name| name.starts_with("release_notes_delta_") && name.ends_with(".txt"));
    if begins("Starting build on ") || begins("Build Number:") {
        return Some(Kind::Note);
    }
    if begins("Release notes for security patch") || is_of_patch {
        return Some(Kind::Patch);
    }
    if begins("published\tfamily\t") {
        return Some(Kind::Announced);
    }
    let has = |word: &str| start.windows(word.len()).any(|part| part == word.as_bytes());
    match start.iter().find(|byte| !byte.is_ascii_whitespace())? {
        b'{' if has("\"imageBom\"") => Some(Kind::List),
        b'{' if has("\"vhd_release_version\"") => Some(Kind::Report),
        b'{' if has("\"package_name\"") && has("\"mitigations\"") => Some(Kind::Report),
        b'{' | b'[' => Some(Kind::Offered),
        _ if file.ends_with(".toml") => Some(Kind::Offered),
        _ => None,
    }
}

/// Whether a file in a folder may be a document, by its name.
#[must_use]
pub fn is_wanted_in_folder(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let is_hidden = name.starts_with('.');
    !is_hidden && [".txt", ".json", ".tsv", ".toml"].iter().any(|end| name.ends_with(end))
}

/// Reads a document. `now` is when what carries no time of its own is of.
pub fn read_image_document(
    file: &str,
    bytes: &[u8],
    names: &ClusterNames,
    now: Timestamp,
) -> Result<ImageDocument, ImageDocumentError> {
    let of_no_kind = || ImageDocumentError::OfNoKind { file: file.to_owned() };
    let kind = kind_of(file, bytes).ok_or_else(of_no_kind)?;
    let (name, content) = match kind {
        Kind::Note => {
            let release = read_image_note(file, bytes)?.release;
            refuse_to_come(file, &release, now)?;
            (release.label().to_string(), Content::Note(Box::new(release)))
        }
        Kind::List => {
            let list = read_image_list(file, bytes)?;
            (format!("{}-{}", list.sku, list.version), Content::List(list))
        }
        Kind::Patch => {
            let patch = read_security_patch(file, bytes)?;
            let SecurityPatch { timestamp, os_id, os_version_id, .. } = &patch;
            (format!("{os_id} {os_version_id} {timestamp}"), Content::Patch(patch))
        }
        Kind::Announced => (digest(bytes), Content::Announced(read_announced(file, bytes)?)),
        Kind::Report => return Err(ImageDocumentError::Report { file: file.to_owned() }),
        Kind::Offered => {
            let told = read_offered(file, bytes, now, names)?;
            (format!("{now} {}", digest(bytes)), Content::Offered(Box::new(told)))
        }
    };
    Ok(ImageDocument { kind, name, content })
}

/// Sixteen hexadecimal digits that name some bytes.
fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

impl ImageDocument {
    /// What stands in it and could not be used, for the operator's eyes.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        match &self.content {
            Content::Offered(told) => remarks_of(told),
            Content::Announced(announced) => {
                let unmapped = announced.unmapped.iter();
                unmapped
                    .map(|(family, rows)| {
                        format!("family {family}: no label is known, {rows} rows")
                    })
                    .collect()
            }
            Content::Note(release) => far_built(release).into_iter().collect(),
            Content::List(_) | Content::Patch(_) => Vec::new(),
        }
    }

    /// Refuses a document by which a cluster of the fleet would become another one of the
    /// provider than the catalogue knows under that name.
    pub fn refuse_other_clusters(
        &self,
        file: &str,
        catalogue: &Catalogue,
    ) -> Result<(), OfferedError> {
        let Content::Offered(told) = &self.content else { return Ok(()) };
        for (name, resource) in &told.resources {
            if let Some(known) = catalogue.resource(name).filter(|known| !known.is_same(resource)) {
                return Err(OfferedError::Clusters {
                    file: file.to_owned(),
                    name: name.clone(),
                    one: known.to_string(),
                    other: resource.to_string(),
                });
            }
        }
        Ok(())
    }

    /// Puts what it says into the catalogue. Says whether any of it is news.
    pub fn put_into(self, catalogue: &mut Catalogue) -> bool {
        match self.content {
            Content::Note(release) => catalogue.put_release(*release),
            Content::List(list) => {
                let family = family_by_any_name(&list.sku);
                catalogue.put_containers(&family, &list.version, list.images.len())
            }
            Content::Patch(patch) => catalogue.put_patch(patch),
            Content::Announced(announced) => {
                let mut is_news = false;
                for image in announced.images {
                    if let AnnouncedFamily::Label(family) = &image.family {
                        is_news |=
                            catalogue.put_announced(family, &image.version, image.announced_at);
                    }
                }
                is_news
            }
            Content::Offered(told) => put_told(*told, catalogue),
        }
    }
}

/// A build so far from the day in its version is most likely a note of another image.
const FAR_BUILT: SignedDuration = SignedDuration::from_hours(60 * 24);

/// Says so where an image was built on quite another day than its version names.
fn far_built(release: &ImageRelease) -> Option<String> {
    let (day, _) = build_of(&release.version)?;
    let built_at = release.built_at?;
    let is_far = built_at.duration_since(day).abs() > FAR_BUILT;
    is_far.then(|| {
        let (label, built) = (release.label(), built_at.strftime("%Y-%m-%d"));
        format!("{label}: built on {built}, more than 60 days from the day in its version")
    })
}

/// What an answer about pools could not be used for.
fn remarks_of(told: &Told) -> Vec<String> {
    let mut remarks = told.remarks.clone();
    let unnamed = told.unnamed.iter();
    remarks.extend(unnamed.map(|pool| {
        format!("{pool}: the provider names no image that is offered (latestNodeImageVersion)")
    }));
    let of_pools = told.offered.iter().map(|one| (one.key.to_string(), &one.image));
    let of_patterns = told.offered_by_pattern.iter().map(|one| (one.pools.to_string(), &one.image));
    let unknown = |image: &ImageLabel| !is_known_line(&image.family);
    let odd = of_pools.chain(of_patterns).filter(|(_, image)| unknown(image));
    remarks.extend(odd.map(|(pools, image)| {
        format!("{pools}: {image} is offered, and no line of images like {} is known", image.family)
    }));
    remarks
}

fn put_told(told: Told, catalogue: &mut Catalogue) -> bool {
    let mut is_news = false;
    for (cluster, resource) in told.resources {
        catalogue.put_resource(cluster, resource);
    }
    for offered in told.offered {
        is_news |= catalogue.put_offered(offered);
    }
    for offered in told.offered_by_pattern {
        is_news |= catalogue.put_offered_by_pattern(offered);
    }
    for pool in told.pools {
        is_news |= catalogue.put_pool(pool);
    }
    for cluster in told.clusters {
        is_news |= catalogue.put_cluster(cluster);
    }
    for stated in told.overrides {
        is_news |= catalogue.put_override(stated);
    }
    for quota in told.quotas {
        is_news |= catalogue.put_quota(quota);
    }
    for subnet in told.subnets {
        is_news |= catalogue.put_subnet(subnet);
    }
    is_news
}

/// Packs a document for the store.
#[must_use]
pub fn pack(bytes: &[u8]) -> Vec<u8> {
    // A tenth larger than by the usual level, in a fifth of the time.
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory does not fail.
    packed.write_all(bytes).and_then(|()| packed.finish()).unwrap_or_default()
}

/// Unpacks a document from the store.
pub fn unpack(name: &str, packed: &[u8]) -> Result<Vec<u8>, ImageDocumentError> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(LONGEST_DOCUMENT_BYTES).unwrap_or(u64::MAX);
    let read = ZlibDecoder::new(packed).take(limit).read_to_end(&mut bytes);
    read.map_err(|error| ImageDocumentError::Packed {
        name: name.to_owned(),
        why: error.to_string(),
    })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-24T12:00:00Z";

    fn read(file: &str, bytes: &[u8]) -> Result<ImageDocument, ImageDocumentError> {
        let now = NOW.parse().expect("a moment");
        read_image_document(file, bytes, &ClusterNames::default(), now)
    }

    #[test]
    fn a_document_is_known_by_its_content() {
        for (file, text, kind) in [
            ("a/x.txt", "Starting build on  Tue Nov 3 10:00:00 UTC 2026\n", Some(Kind::Note)),
            ("a/x.txt", "\u{feff}Build Number: 7\r\n", Some(Kind::Note)),
            ("a/release_notes_delta_20260421T000000Z.txt", "", Some(Kind::Patch)),
            ("x.json", "{\"sku\": \"s\", \"imageBom\": []}", Some(Kind::List)),
            ("x.json", " [ ]", Some(Kind::Offered)),
            ("x.json", "{\"vhd_release_version\": \"b\"}", Some(Kind::Report)),
            ("x.json", "{\"package_name\": \"a\", \"mitigations\": []}", Some(Kind::Report)),
            ("x.toml", "[[offered]]", Some(Kind::Offered)),
            ("x.tsv", "published\tfamily\tversion\tpath\n", Some(Kind::Announced)),
            ("x.txt", "Total: 0 (UNKNOWN: 0)", None),
            ("x.txt", "", None),
        ] {
            assert_eq!(kind_of(file, text.as_bytes()), kind, "{file} {text}");
        }
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        let text = "line\n".repeat(10_000);
        let packed = pack(text.as_bytes());
        assert!(packed.len() < text.len() / 50);
        assert_eq!(unpack("a", &packed).expect("it was packed"), text.as_bytes());
        let error = unpack("a", &packed[..packed.len() / 2]).expect_err("cut off");
        assert!(error.to_string().starts_with("a: cannot be unpacked"), "{error}");
    }

    #[test]
    fn what_is_of_no_kind_and_what_is_a_report_are_refused_by_name() {
        let refused = |file: &str, text: &str| read(file, text.as_bytes()).expect_err("odd");
        assert!(refused("notes.txt", "hello").to_string().starts_with("notes.txt: neither"));
        let report = "{\"distro_name\": \"a\", \"vhd_release_version\": \"b\"}";
        assert!(refused("r.json", report).to_string().starts_with("r.json: the report"));
    }

    fn upgrades(subscription: &str, image: &str) -> String {
        format!(
            "{{\"id\": \"/subscriptions/{subscription}/resourceGroups/rg/providers/\
             Microsoft.ContainerService/managedClusters/prod/agentPools/apps/upgradeProfiles/\
             default\", \"latestNodeImageVersion\": {image}}}"
        )
    }

    #[test]
    fn two_clusters_of_one_name_are_refused_across_documents() {
        let image = "\"AKSUbuntu-2204gen2containerd-202611.10.0\"";
        let of = |subscription: &str| {
            read("up.json", upgrades(subscription, image).as_bytes()).expect("told")
        };
        let mut catalogue = Catalogue::default();
        assert!(of("s1").put_into(&mut catalogue));
        assert!(of("S1").refuse_other_clusters("up.json", &catalogue).is_ok());
        let error = of("s2").refuse_other_clusters("b.json", &catalogue).expect_err("another");
        let error = error.to_string();
        assert!(error.starts_with("b.json: s1/rg/prod and s2/rg/prod would both be"), "{error}");
        assert!(error.ends_with("--cluster NAME"), "{error}");
    }

    #[test]
    fn an_answer_that_says_nothing_or_names_an_odd_line_is_remarked() {
        let remarks = |image: &str| {
            let document = read("up.json", upgrades("s1", image).as_bytes()).expect("told");
            document.remarks().join("\n")
        };
        assert!(remarks("null").starts_with("prod/apps: the provider names no image"));
        let odd = remarks("\"AKSMars-9-202611.20.0\"");
        assert!(odd.contains("no line of images like AKSMars-9 is known"), "{odd}");
        assert_eq!(remarks("\"AKSUbuntu-9904gen2containerd-202611.20.0\""), "");
    }

    #[test]
    fn a_build_far_from_its_day_is_remarked() {
        let release = |built_at: &str| ImageRelease {
            family: "AKSUbuntu-2204gen2containerd".to_owned(),
            version: "202611.27.0".to_owned(),
            built_at: Some(built_at.parse().expect("a moment")),
            kernel: None,
            os_id: None,
            os_version_id: None,
            packages: nodeward_domain::image::ShippedPackages::Unknown(String::new()),
        };
        assert_eq!(far_built(&release("2026-11-24T07:00:00Z")), None);
        let remark = far_built(&release("1999-11-20T07:15:53Z")).expect("far");
        assert!(remark.contains("202611.27.0: built on 1999-11-20, more than 60 days"), "{remark}");
    }

    #[test]
    fn what_is_told_of_pools_goes_into_the_catalogue_once() {
        let text = "[[offered]]\ncluster = \"c\"\npool = \"p\"\n\
                    image = \"AKSUbuntu-2204gen2containerd-202611.10.0\"\n\
                    [[cluster]]\ncluster = \"c\"\nchannel = \"NodeImage\"\n";
        let document = read("told.toml", text.as_bytes()).expect("told");
        let mut catalogue = Catalogue::default();
        assert!(document.clone().put_into(&mut catalogue));
        assert!(!document.put_into(&mut catalogue), "the same once more is no news");
        assert_eq!(catalogue.all_offered().count(), 1);
    }
}
