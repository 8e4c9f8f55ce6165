//! What is asked about node images: of the aggregator, or out of files without one.

use std::path::PathBuf;

use jiff::Timestamp;
use nodeward_domain::fixes::images::Images;
use nodeward_domain::image::compare::{ImageDiff, MatchedImage, diff};
use nodeward_domain::image::first_fix::{FirstFixes, first_fix};
use nodeward_domain::image::list::{ImageList, list};
use nodeward_domain::image::sources::Sources;
use nodeward_domain::image::variants::{Variant, Variants};
use nodeward_domain::image::{
    ImageLabel, NoImageLabel, NotComparable, PatchMisfit, family_by_any_name,
};
use nodeward_domain::policy::{Policy, PolicyError};
use nodeward_feeds::held::Declared;
use nodeward_proto::v1;

use super::{Failure, Shown, edition};
use crate::address::Address;
use crate::admin::{self, Line};
use crate::arguments::{Image, ImageOffered, KnownImages};
use crate::client::Client;
use crate::exit::Exit;
use crate::knowledge::{KnowledgeError, Known, read_catalogue};
use crate::progress::Progress;
use crate::screen::{self, Style};

/// Why there is no answer about images without an aggregator.
#[derive(Debug, thiserror::Error)]
pub enum ImagesError {
    /// Files cannot be used.
    #[error(transparent)]
    Known(#[from] KnowledgeError),
    /// A text names no image.
    #[error("an image is named by its label, or by a version and --family")]
    NoLabel(#[from] NoImageLabel),
    /// Two images are needed.
    #[error("two images are needed, or one and --pool")]
    One,
    /// Nothing is known of an image.
    #[error("image {0} is not among --images")]
    Unknown(String),
    /// A security patch does not fit an image.
    #[error(transparent)]
    Patch(#[from] PatchMisfit),
    /// An image cannot be judged.
    #[error(transparent)]
    NotComparable(#[from] NotComparable),
    /// The policy edition cannot be used.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

/// Does what was typed about images.
pub(super) async fn image(
    command: &Image,
    aggregator: &Address,
    style: Style<'_>,
) -> Result<Shown, Failure> {
    match command {
        Image::Import { paths, admin } => {
            import(&Line { socket: &admin.admin_socket, address: aggregator }, paths, None, style)
                .await
        }
        Image::Offered(ImageOffered::Import { paths, cluster, admin }) => {
            let line = Line { socket: &admin.admin_socket, address: aggregator };
            import(&line, paths, cluster.as_deref(), style).await
        }
        Image::List { family, known } => {
            let answer = match Local::of(known)? {
                Some(local) => local.list(family.as_deref()),
                None => {
                    let _progress = Progress::of("the aggregator");
                    Client::new(aggregator)?.images(family.as_deref()).await?
                }
            };
            shown_images(&answer, style)
        }
        Image::Diff { images_named, family, pool, known } => {
            let asked = asked_diff(images_named, family.as_deref(), pool.as_deref())?;
            let answer = match Local::of(known)? {
                Some(local) => local.diff(&asked)?,
                None => {
                    let _progress = Progress::of("the aggregator");
                    Client::new(aggregator)?.image_diff(asked).await?
                }
            };
            shown_diff(&answer, style)
        }
        Image::Variants { image, family } => {
            let _progress = Progress::of("the aggregator");
            let mut client = Client::new(aggregator)?;
            shown_variants(&client.image_variants(image, family.as_deref()).await?, style)
        }
        Image::FirstFix { id, family, known } => {
            let answer = match Local::of(known)? {
                Some(local) => local.first_fix(id, family.as_deref()),
                None => {
                    let _progress = Progress::of("the aggregator");
                    Client::new(aggregator)?.first_fix(id, family.as_deref()).await?
                }
            };
            shown_first_fix(&answer, style)
        }
    }
}

async fn import(
    line: &Line<'_>,
    paths: &[PathBuf],
    cluster: Option<&str>,
    style: Style<'_>,
) -> Result<Shown, Failure> {
    let _progress = Progress::of("the import");
    let imported = admin::import_images(line, paths, cluster).await?;
    Ok(Shown {
        text: screen::imported_images(&imported, style)?,
        exit: Exit::Clean,
        notes: Vec::new(),
    })
}

/// The images that are known: none are an incomplete answer.
pub fn shown_images(answer: &ImageList, style: Style<'_>) -> Result<Shown, Failure> {
    let exit = if answer.images.is_empty() { Exit::Incomplete } else { Exit::Clean };
    Ok(Shown { text: screen::images(answer, style)?, exit, notes: Vec::new() })
}

/// Two images held against each other.
pub fn shown_diff(answer: &ImageDiff, style: Style<'_>) -> Result<Shown, Failure> {
    Ok(Shown {
        text: screen::image_diff(answer, style)?,
        exit: diff_exit(answer),
        notes: Vec::new(),
    })
}

/// The nodes of an image, by what they have installed. That they are not as the image is, is a
/// finding; that they could not be read or compared leaves the answer incomplete.
pub fn shown_variants(answer: &Variants, style: Style<'_>) -> Result<Shown, Failure> {
    let differ = |one: &Variant| one.changed.as_ref().is_some_and(|changed| !changed.is_empty());
    let exit = if answer.variants.iter().any(differ) {
        Exit::Findings
    } else if answer.not_read > 0 || answer.variants.iter().any(|one| one.changed.is_none()) {
        Exit::Incomplete
    } else {
        Exit::Clean
    };
    Ok(Shown { text: screen::image_variants(answer, style)?, exit, notes: Vec::new() })
}

/// The first images that run a fix.
pub fn shown_first_fix(answer: &FirstFixes, style: Style<'_>) -> Result<Shown, Failure> {
    Ok(Shown {
        text: screen::first_fix(answer, style)?,
        exit: first_fix_exit(answer),
        notes: Vec::new(),
    })
}

/// What is brought back is a finding; what cannot be told leaves the answer incomplete.
fn diff_exit(answer: &ImageDiff) -> Exit {
    let is_told = answer.partial.is_none()
        && answer.unclear.is_empty()
        && answer.not_covered.is_empty()
        && answer.from_nodes.as_ref().is_none_or(|from| from.not_judged == 0);
    if !answer.brought_back.is_empty() {
        Exit::Findings
    } else if is_told {
        Exit::Clean
    } else {
        Exit::Incomplete
    }
}

/// A line of which no known image runs the fix is a finding. Where the first that does is not
/// known for sure, the answer is incomplete.
fn first_fix_exit(answer: &FirstFixes) -> Exit {
    let is_told = answer.is_known
        && answer.unclear.is_empty()
        && answer.fixes.iter().all(|fix| fix.unclear.is_empty() && !fix.or_earlier);
    if answer.fixes.iter().any(|fix| fix.first.is_none()) {
        Exit::Findings
    } else if is_told {
        Exit::Clean
    } else {
        Exit::Incomplete
    }
}

/// What was typed of two images, as the aggregator is asked.
pub fn asked_diff(
    named: &[String],
    family: Option<&str>,
    pool: Option<&str>,
) -> Result<v1::DiffImagesRequest, ImagesError> {
    let (from, to) = match named {
        [from, to] => (from.clone(), to.clone()),
        [to] if pool.is_some() => (String::new(), to.clone()),
        _ => return Err(ImagesError::One),
    };
    let (cluster, pool) = pool.map_or(("", ""), |pool| pool.split_once('/').unwrap_or(("", pool)));
    Ok(v1::DiffImagesRequest {
        from,
        to,
        family: family.unwrap_or_default().to_owned(),
        cluster: cluster.to_owned(),
        pool: pool.to_owned(),
    })
}

/// What is known without an aggregator.
struct Local {
    known: Known,
    policy: Policy,
    now: Timestamp,
}

impl Local {
    /// Out of the files that were named; none where none were.
    fn of(arguments: &KnownImages) -> Result<Option<Self>, ImagesError> {
        if arguments.images.is_empty() {
            return Ok(None);
        }
        let now = arguments.now.unwrap_or_else(Timestamp::now);
        let (catalogue, reports) = read_catalogue(&arguments.images, now)?;
        let (images, feeds) = (Images::with(catalogue), [&*arguments.feeds, &*reports].concat());
        let declared = Declared { is_complete: arguments.complete, as_of: None };
        let known = Known::read(&feeds, &declared, images, now)?;
        Ok(Some(Self { known, policy: edition(None)?, now }))
    }

    fn list(&self, family: Option<&str>) -> ImageList {
        let family = family.map(family_by_any_name);
        let catalogue = self.known.knowledge().images.catalogue();
        ImageList { as_of: self.now, images: list(catalogue, &[], family.as_deref()) }
    }

    fn diff(&self, asked: &v1::DiffImagesRequest) -> Result<ImageDiff, ImagesError> {
        let from = ImageLabel::named(&asked.from, &asked.family)?;
        let to_family =
            if asked.family.is_empty() { from.family.as_str() } else { asked.family.as_str() };
        let to = ImageLabel::named(&asked.to, to_family)?;
        let (from, to) = (self.matched(&from)?, self.matched(&to)?);
        let known = self.known.knowledge();
        Ok(diff(&from, &to, None, known, &self.policy, self.now))
    }

    fn matched(&self, label: &ImageLabel) -> Result<MatchedImage, ImagesError> {
        let known = self.known.knowledge();
        let release = known.images.catalogue().labelled(label);
        let release = release.ok_or_else(|| ImagesError::Unknown(label.to_string()))??;
        Ok(MatchedImage::of(&release, &Sources::default(), known.index)?)
    }

    fn first_fix(&self, id: &str, family: Option<&str>) -> FirstFixes {
        let family = family.map(family_by_any_name);
        let known = self.known.knowledge();
        let catalogue = known.images.catalogue();
        let sources = Sources::default();
        first_fix(id.trim(), family.as_deref(), catalogue, &sources, known, self.now)
    }
}
