//! What a command knows of advisories and images without any server: what comes with the
//! program, and the files that were named.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nodeward_domain::advisory::{Bulletin, Feeds, MitigationReport, ScanReport};
use nodeward_domain::fixes::Knowledge;
use nodeward_domain::fixes::images::Images;
use nodeward_domain::image::ImageRelease;
use nodeward_domain::image::catalogue::Catalogue;
use nodeward_domain::matching::{Index, TooManyStatements};
use nodeward_feeds::acceptance::Refusal;
use nodeward_feeds::held::{Declared, Held};
use nodeward_feeds::image_document::{
    self, ImageDocumentError, LONGEST_DOCUMENT_BYTES, read_image_document,
};
use nodeward_feeds::image_note::{ImageNoteError, read_image_note};
use nodeward_feeds::intake::{Intake, IntakeError, is_wanted_in_folder};
use nodeward_feeds::offered::ClusterNames;
use nodeward_feeds::starter::StarterError;

use crate::paths::{self, PathError};

/// Why advisories or images cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KnowledgeError {
    /// A path cannot be read.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A file is none of a feed.
    #[error(transparent)]
    Intake(#[from] IntakeError),
    /// A feed is refused as a whole.
    #[error("feed {feed}: {source}")]
    Refused {
        /// The feed.
        feed: String,
        /// Why.
        source: Refusal,
    },
    /// A file is no release note of a node image.
    #[error(transparent)]
    Image(#[from] ImageNoteError),
    /// A file is no document about node images.
    #[error(transparent)]
    Document(#[from] ImageDocumentError),
    /// A folder has nothing in it.
    #[error("{path}: no file of a known kind is in it")]
    Nothing {
        /// The folder.
        path: PathBuf,
    },
    /// The table that comes with the program.
    #[error("starter feed: {0}")]
    Starter(#[from] StarterError),
    /// There are too many advisories.
    #[error(transparent)]
    TooMany(#[from] TooManyStatements),
}

/// Advisories and images.
#[derive(Debug)]
pub struct Known {
    index: Index,
    feeds: Feeds,
    images: Images,
    bulletins: Vec<Bulletin>,
    reports: Vec<ScanReport>,
    mitigations: Vec<MitigationReport>,
}

impl Known {
    /// Reads what was named, beside what comes with the program.
    pub fn read(
        feeds: &[PathBuf],
        declared: &Declared,
        images: Images,
        now: Timestamp,
    ) -> Result<Self, KnowledgeError> {
        let mut held = Held::starter()?;
        let mut intake = Intake::default();
        for path in feeds {
            take(&mut intake, path)?;
        }
        let (read, ..) = intake.finish();
        for feed in read {
            let name = feed.name.to_string();
            held.take(feed, declared, now)
                .map_err(|source| KnowledgeError::Refused { feed: name, source })?;
        }
        let bulletins = held.bulletins().cloned().collect();
        let reports = held.scan_reports().cloned().collect();
        let mitigations = held.mitigation_reports().cloned().collect();
        let (index, feeds) = (held.index(0)?, held.states());
        Ok(Self { index, feeds, images, bulletins, reports, mitigations })
    }

    /// For the domain.
    #[must_use]
    pub fn knowledge(&self) -> Knowledge<'_> {
        Knowledge {
            index: &self.index,
            feeds: &self.feeds,
            images: &self.images,
            bulletins: &self.bulletins,
            reports: &self.reports,
            mitigations: &self.mitigations,
        }
    }
}

/// Takes in a file or a folder.
fn take(intake: &mut Intake, path: &Path) -> Result<(), KnowledgeError> {
    let mut is_any = false;
    for found in paths::files(path)? {
        let name = found.path.to_string_lossy();
        if found.is_named() {
            intake.named(&name, &mut paths::open(&found.path)?)?;
            is_any = true;
        } else if is_wanted_in_folder(&found.below) {
            is_any |= intake.beside(&name, &mut paths::open(&found.path)?)?;
        }
    }
    if is_any { Ok(()) } else { Err(KnowledgeError::Nothing { path: path.to_owned() }) }
}

/// Reads documents about node images, and those in folders, into a catalogue. Reports of the
/// provider's scanner among them are feeds; gives their paths.
pub fn read_catalogue(
    paths: &[PathBuf],
    now: Timestamp,
) -> Result<(Catalogue, Vec<PathBuf>), KnowledgeError> {
    let (mut catalogue, mut reports) = (Catalogue::default(), Vec::new());
    for path in paths {
        let mut is_any = false;
        for found in paths::files(path)? {
            let name = found.path.to_string_lossy();
            if !found.is_named() && !image_document::is_wanted_in_folder(&found.below) {
                continue;
            }
            let bytes = read_whole(&found.path)?;
            let kind = image_document::kind_of(&name, &bytes);
            if !found.is_named() && kind.is_none() {
                continue;
            }
            is_any = true;
            if kind == Some(image_document::Kind::Report) {
                reports.push(found.path);
                continue;
            }
            let names = ClusterNames::default();
            let document = read_image_document(&name, &bytes, &names, now)?;
            document.refuse_other_clusters(&name, &catalogue).map_err(ImageDocumentError::from)?;
            document.put_into(&mut catalogue);
        }
        if !is_any {
            return Err(KnowledgeError::Nothing { path: path.clone() });
        }
    }
    Ok((catalogue, reports))
}

/// The bytes of a file, as far as one may be long.
fn read_whole(path: &Path) -> Result<Vec<u8>, PathError> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(LONGEST_DOCUMENT_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    paths::open(path)?
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(|source| PathError::Unreadable { path: path.to_owned(), source })?;
    Ok(bytes)
}

/// Reads release notes of node images, and those in folders: `family/version.txt`.
pub fn read_images(paths: &[PathBuf]) -> Result<Vec<ImageRelease>, KnowledgeError> {
    let mut releases = Vec::new();
    for path in paths {
        let before = releases.len();
        for found in paths::files(path)? {
            let name = found.path.to_string_lossy();
            if !found.is_named() && !name.ends_with(".txt") {
                continue;
            }
            releases.push(read_image_note(&name, &read_whole(&found.path)?)?.release);
        }
        if releases.len() == before {
            return Err(KnowledgeError::Nothing { path: path.clone() });
        }
    }
    Ok(releases)
}
