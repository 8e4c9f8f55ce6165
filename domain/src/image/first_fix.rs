//! The first image that runs a fix: in each line, by the order of builds, with when it was
//! built, announced and offered, and how old the fix was on each of these days. An image that
//! has the fixed package on disk and boots another kernel does not run it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::catalogue::Catalogue;
use super::inventory::stream_of;
use super::sources::Sources;
use super::{ImageInventory, ImageLabel, ImageRelease, family_by_any_name};
use crate::advisory::{AliasId, MitigationReport, Published, Silence, Stream, Tier};
use crate::fixes::Knowledge;
use crate::matching::{FixId, Index};
use crate::patch_age::age;
use crate::version::key::VersionKey;

/// The fix of one source package, in one line of images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FirstFix {
    /// The line of images.
    pub family: String,
    /// The source package.
    pub source: String,
    /// The vendor's record.
    pub record: String,
    /// The version with the fix; empty where the vendor does not name it.
    pub fixed: String,
    /// When it was published; none where that is not known.
    pub published: Option<Published>,
    /// The first image that runs it; none where none of the known ones does.
    pub first: Option<ImageWithFix>,
    /// No image before `first` is known, so that it may also be an earlier one. How old the fix
    /// was in the first image is not told then.
    pub or_earlier: bool,
    /// The last image, by its build, that does not.
    pub last_without: Option<ImageWithout>,
    /// The first that was announced and runs it.
    pub first_announced: Option<Dated>,
    /// The first that was offered to a pool and runs it.
    pub first_offered: Option<Dated>,
    /// Images after the first one that do not run it any more: versions go back.
    pub lost_again: Vec<String>,
    /// So many images of the line were looked at.
    pub looked_at: usize,
    /// Images of which it cannot be told, and why.
    pub unclear: Vec<(String, String)>,
    /// What the provider's own reports say of the line's images; none where none speaks of it.
    pub opinion: Option<MitigationOpinion>,
}

/// Where the provider's own reports say that vulnerabilities were seen and mended, of the
/// images of one line. They are binary or source packages by name, without kernels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MitigationOpinion {
    /// Of when the newest of these reports is.
    pub reported_at: Timestamp,
    /// Images that have the vulnerability, by the order of their versions.
    pub seen_in: Vec<String>,
    /// Images that have it no longer.
    pub mitigated_in: Vec<String>,
    /// Images that, by what was found here, it is the other way round with.
    pub disagree: Vec<String>,
}

/// An image that runs a fix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageWithFix {
    /// Its version.
    pub version: String,
    /// The package's version in it.
    pub has: String,
    /// When it was built.
    pub built_at: Option<Timestamp>,
    /// How old the fix was on that day, days; none where a date is not known.
    pub fix_age_days: Option<i64>,
}

/// An image that does not run a fix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageWithout {
    /// Its version.
    pub version: String,
    /// The package's version in it.
    pub has: String,
    /// When it was built.
    pub built_at: Option<Timestamp>,
}

/// An image and a date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dated {
    /// The image's version.
    pub version: String,
    /// The date.
    pub at: Timestamp,
    /// How old the fix was on that day, days; none where its date is not known.
    pub fix_age_days: Option<i64>,
}

/// All that can be said about where a vulnerability, or a vendor's record, is fixed first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FirstFixes {
    /// What was asked for.
    pub about: String,
    /// When this was answered.
    pub as_of: Timestamp,
    /// By line of images and source package.
    pub fixes: Vec<FirstFix>,
    /// Lines in which no image has a package that it is about.
    pub not_affected: Vec<String>,
    /// Lines of which it cannot be told, and why.
    pub unclear: Vec<(String, String)>,
    /// Whether any advisory speaks of it at all.
    pub is_known: bool,
}

impl MitigationOpinion {
    /// Out of the reports of packages, by their names, about any of the vulnerabilities, for
    /// the images of one line. `stands` says which images run the fix by what was found here.
    fn of(
        reports: &[MitigationReport],
        family: &str,
        packages: &BTreeSet<&str>,
        ids: &BTreeSet<&AliasId>,
        stands: &[(&str, bool)],
    ) -> Option<Self> {
        let mut reported_at: Option<Timestamp> = None;
        let (mut seen, mut mitigated) = (BTreeSet::new(), BTreeSet::new());
        for report in reports.iter().filter(|report| packages.contains(report.package.as_str())) {
            let about = report.mitigations.iter().filter(|(id, _)| ids.contains(id));
            for (_, mitigation) in about {
                let of_line = |label: &&ImageLabel| family_by_any_name(&label.family) == family;
                let before = (seen.len(), mitigated.len());
                seen.extend(mitigation.seen_in.iter().filter(of_line).map(|one| &one.version));
                let mended = mitigation.mitigated_in.iter().filter(of_line);
                mitigated.extend(mended.map(|one| &one.version));
                if before != (seen.len(), mitigated.len()) {
                    reported_at = reported_at.max(Some(report.reported_at));
                }
            }
        }
        // What still has one of several vulnerabilities is not mended.
        let mitigated: BTreeSet<&String> = mitigated.difference(&seen).copied().collect();
        let is_other = |version: &str, runs: bool| match runs {
            true => seen.iter().any(|one| *one == version),
            false => mitigated.iter().any(|one| *one == version),
        };
        let disagree = stands.iter().filter(|(version, runs)| is_other(version, *runs));
        Some(Self {
            reported_at: reported_at?,
            disagree: disagree.map(|(version, _)| (*version).to_owned()).collect(),
            seen_in: seen.into_iter().cloned().collect(),
            mitigated_in: mitigated.into_iter().cloned().collect(),
        })
    }
}

/// How an image stands to a fix.
enum Stand {
    Runs(String),
    Lacks(String),
    NotThere,
    Unclear(String),
}

/// Finds the first images that run a fix, in one line or in all.
#[must_use]
pub fn first_fix(
    about: &str,
    family: Option<&str>,
    catalogue: &Catalogue,
    sources: &Sources,
    known: Knowledge<'_>,
    now: Timestamp,
) -> FirstFixes {
    let index = known.index;
    let is_wanted = |name: &str| name.eq_ignore_ascii_case(about);
    let mut answer = FirstFixes {
        about: about.to_owned(),
        as_of: now,
        fixes: Vec::new(),
        not_affected: Vec::new(),
        unclear: Vec::new(),
        is_known: index.tells_of(is_wanted),
    };
    let families: Vec<String> = catalogue
        .families()
        .filter(|one| family.is_none_or(|wanted| wanted == *one))
        .map(str::to_owned)
        .collect();
    for family in families {
        line(&family, is_wanted, catalogue, sources, known, &mut answer);
    }
    answer
}

fn line(
    family: &str,
    is_wanted: impl Fn(&str) -> bool,
    catalogue: &Catalogue,
    sources: &Sources,
    Knowledge { index, feeds, mitigations, .. }: Knowledge<'_>,
    answer: &mut FirstFixes,
) {
    let mut images: Vec<&Arc<ImageRelease>> =
        catalogue.line(family).filter_map(|(_, image)| image.release.as_ref()).collect();
    images.sort_by_key(|release| release.build());
    let streams: BTreeSet<Stream> = images.iter().map(|release| stream_of(release)).collect();
    // A line whose images are of several releases of a system: each fix is held against those
    // images alone whose own release it was made for.
    let mut fixes: BTreeMap<(String, Tier, FixId), BTreeSet<&Stream>> = BTreeMap::new();
    let mut binaries: BTreeSet<&str> = BTreeSet::new();
    for stream in &streams {
        for (speaking, source) in index.sources_about(stream, &is_wanted) {
            binaries.insert(source);
            binaries.extend(sources.binaries_of(stream, source));
            let is_wanted = |id: &AliasId| is_wanted(&id.to_string());
            let by_name = index.fixes_by_name(speaking, source, is_wanted).into_values();
            let first = by_name.filter_map(|fixes| fixes.first().copied());
            for fix in first {
                let key = (source.to_owned(), speaking.tier.clone(), fix);
                fixes.entry(key).or_default().insert(stream);
            }
        }
    }
    let is_asked = |name: &str| binaries.contains(name);
    let matched: Vec<(&Arc<ImageRelease>, Result<ImageInventory, String>)> = images
        .into_iter()
        .map(|release| {
            let image = ImageInventory::of_some(release, sources, index, is_asked);
            (release, image.map_err(|why| why.to_string()))
        })
        .collect();
    let listed = matched.iter().filter(|(_, inventory)| inventory.is_ok()).count();
    if listed == 0 {
        let why = matched.iter().find_map(|(_, inventory)| inventory.as_ref().err());
        let why = why.map_or("no image of it has been imported", String::as_str);
        answer.unclear.push((family.to_owned(), why.to_owned()));
        return;
    }
    let before = answer.fixes.len();
    for ((source, tier, id), own) in fixes {
        let Some(fix) = index.fix(id) else { continue };
        let of_own = || matched.iter().filter(|(release, _)| own.contains(&stream_of(release)));
        let mut found = FirstFix {
            family: family.to_owned(),
            source: source.clone(),
            record: fix.record.to_owned(),
            fixed: fix.fixed.unwrap_or_default().to_owned(),
            published: fix.published,
            first: None,
            or_earlier: false,
            last_without: None,
            first_announced: None,
            first_offered: None,
            lost_again: Vec::new(),
            looked_at: of_own().count(),
            unclear: Vec::new(),
            opinion: None,
        };
        let mut stands: Vec<(&str, bool)> = Vec::new();
        let mut is_earlier_known = false;
        for (release, inventory) in of_own() {
            let stand = match inventory {
                Ok(image) if !image.inventory.tiers.contains(&tier) => Stand::NotThere,
                Ok(image) => stand(image, &source, id, index),
                Err(why) => Stand::Unclear(why.clone()),
            };
            match stand {
                Stand::Runs(_) => stands.push((&release.version, true)),
                Stand::Lacks(_) => stands.push((&release.version, false)),
                Stand::NotThere | Stand::Unclear(_) => {}
            }
            let is_clear = matches!(stand, Stand::Lacks(_) | Stand::NotThere);
            is_earlier_known |= is_clear && found.first.is_none();
            found.take(release, stand, catalogue);
        }
        if found.first.is_some() && !is_earlier_known {
            found.leave_open();
        }
        let binaries: BTreeSet<&str> = own
            .iter()
            .flat_map(|stream| sources.binaries_of(stream, &source))
            .chain([source.as_str()])
            .collect();
        let ids: BTreeSet<&AliasId> = index.alias_ids(id).collect();
        found.opinion = MitigationOpinion::of(mitigations, family, &binaries, &ids, &stands);
        if found.first.is_some() || found.last_without.is_some() || !found.unclear.is_empty() {
            answer.fixes.push(found);
        }
    }
    if answer.fixes.len() == before {
        // Silence says something only where the advisories are complete.
        let silent = streams.iter().find_map(|stream| match feeds.silence(stream, answer.as_of) {
            Silence::NothingMissing { .. } => None,
            Silence::Unknown(why) => Some(why),
        });
        match silent {
            None => answer.not_affected.push(family.to_owned()),
            Some(why) => answer.unclear.push((family.to_owned(), why)),
        }
    }
}

fn stand(image: &ImageInventory, source: &str, fix: FixId, index: &Index) -> Stand {
    let inventory = &image.inventory;
    let order = inventory.stream.distribution.order();
    let runs = match &inventory.kernel {
        Ok(kernel) if kernel.source == source => Some(kernel.version.as_str()),
        Err(why) if crate::matching::is_of_kernel(inventory.packages.manager, source) => {
            return Stand::Unclear(why.clone());
        }
        _ => None,
    };
    let versions: BTreeSet<&str> = match runs {
        Some(version) => BTreeSet::from([version]),
        None => {
            let packages = inventory.packages.installed.iter();
            let of_source = packages.filter(|package| package.source == source);
            of_source.map(|package| package.source_version.as_str()).collect()
        }
    };
    if versions.is_empty() {
        return Stand::NotThere;
    }
    let mut oldest: Option<(VersionKey, &str)> = None;
    for version in versions {
        let key = order.ok_or_else(|| "its versions cannot be ordered".to_owned());
        let key = key.and_then(|order| {
            VersionKey::parse(order, version).map_err(|why| format!("{version:?} {why}"))
        });
        match key {
            Ok(key) if oldest.as_ref().is_none_or(|(least, _)| key.bytes() < least.bytes()) => {
                oldest = Some((key, version));
            }
            Ok(_) => {}
            Err(why) => return Stand::Unclear(why),
        }
    }
    match oldest {
        Some((key, version)) if index.is_behind(fix, &key) => Stand::Runs(version.to_owned()),
        Some((_, version)) => Stand::Lacks(version.to_owned()),
        None => Stand::NotThere,
    }
}

impl FirstFix {
    /// Takes it that an image before the first known one may run the fix as well: how old the
    /// fix was when it came is not known then.
    fn leave_open(&mut self) {
        self.or_earlier = true;
        if let Some(first) = &mut self.first {
            first.fix_age_days = None;
        }
        for dated in [&mut self.first_announced, &mut self.first_offered].into_iter().flatten() {
            dated.fix_age_days = None;
        }
    }

    /// Takes the next image, in the order of builds.
    fn take(&mut self, release: &ImageRelease, stand: Stand, catalogue: &Catalogue) {
        let (built_at, _) = release.build();
        let published = self.published.as_ref().map(|published| published.at);
        let age_on = |at: Timestamp| published.map(|published| age(published, at).as_hours() / 24);
        let version = release.version.clone();
        match stand {
            Stand::Runs(has) => {
                let fix_age_days = built_at.and_then(age_on);
                let with = ImageWithFix { version: version.clone(), has, built_at, fix_age_days };
                self.first.get_or_insert(with);
                let dated = |at| Dated { version: version.clone(), at, fix_age_days: age_on(at) };
                let earlier = |place: &mut Option<Dated>, at: Timestamp| {
                    if place.as_ref().is_none_or(|known| at < known.at) {
                        *place = Some(dated(at));
                    }
                };
                if let Some(at) = catalogue.announced_at(&release.family, &release.version) {
                    earlier(&mut self.first_announced, at);
                }
                if let Some((_, at)) = catalogue.offered_to(&release.family, &release.version) {
                    earlier(&mut self.first_offered, at);
                }
            }
            Stand::Lacks(has) if self.first.is_none() => {
                self.last_without = Some(ImageWithout { version, has, built_at });
            }
            Stand::Lacks(_) => self.lost_again.push(version),
            Stand::NotThere => {}
            Stand::Unclear(why) => self.unclear.push((version, why)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advisory::{
        Advisory, Alias, Authority, DateKind, Dated as DatedFix, Epochs, Feeds, Range, Rating,
        Statement,
    };
    use crate::fixes::images::Images;
    use crate::image::{ShippedPackage, ShippedPackages};

    const LINE: &str = "AKSUbuntu-2204gen2containerd";

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a moment")
    }

    fn index() -> Index {
        let dated = DatedFix { at: at("2026-06-10T00:00:00Z"), kind: DateKind::Advisory };
        let notice = Advisory {
            record: Arc::from("USN-1-1"),
            authority: Authority::Notice,
            stream: Stream::of_os_release("ubuntu", "22.04"),
            source: Arc::from("curl"),
            range: Range::below("7.81.0-2"),
            statement: Statement::Fixed,
            aliases: [Alias { id: AliasId::of("CVE-2026-1"), rating: Rating::Medium }]
                .into_iter()
                .collect(),
            published: Some(dated),
            epochs: Epochs::Compared,
        };
        Index::build(1, &[notice], &BTreeSet::new(), |_| {
            Some(Published {
                at: dated.at,
                kind: dated.kind,
                feed: Arc::from("test"),
                revision: Arc::from("1"),
            })
        })
        .expect("few enough")
    }

    fn image(version: &str, day: &str, (id, release): (&str, &str), curl: &str) -> ImageRelease {
        ImageRelease {
            family: LINE.to_owned(),
            version: version.to_owned(),
            built_at: Some(at(&format!("{day}T06:00:00Z"))),
            kernel: None,
            os_id: Some(id.to_owned()),
            os_version_id: Some(release.to_owned()),
            packages: ShippedPackages::listed(vec![ShippedPackage {
                name: "curl".to_owned(),
                version: curl.to_owned(),
                architecture: "amd64".to_owned(),
            }]),
        }
    }

    fn answer(images: &[ImageRelease]) -> FirstFixes {
        let (index, feeds) = (index(), Feeds::default());
        let mut catalogue = Catalogue::default();
        for image in images {
            catalogue.put_release(image.clone());
        }
        let kept = Images::default();
        let known = Knowledge {
            index: &index,
            feeds: &feeds,
            images: &kept,
            bulletins: &[],
            reports: &[],
            mitigations: &[],
        };
        let now = at("2026-11-24T12:00:00Z");
        first_fix("CVE-2026-1", Some(LINE), &catalogue, &Sources::default(), known, now)
    }

    const JAMMY: (&str, &str) = ("ubuntu", "22.04");

    #[test]
    fn the_oldest_known_image_is_the_first_or_an_earlier_one_is() {
        let new = image("202607.02.0", "2026-07-02", JAMMY, "7.81.0-2");
        let only = answer(std::slice::from_ref(&new));
        let [fix] = only.fixes.as_slice() else { panic!("{only:?}") };
        let first = fix.first.as_ref().expect("it runs the fix");
        assert_eq!((first.version.as_str(), first.fix_age_days), ("202607.02.0", None));
        assert!(fix.or_earlier && fix.last_without.is_none());
        let old = image("202606.02.0", "2026-06-02", JAMMY, "7.81.0-1");
        let both = answer(&[old, new]);
        let fix = &both.fixes[0];
        assert!(!fix.or_earlier && fix.last_without.is_some());
        assert_eq!(fix.first.as_ref().and_then(|first| first.fix_age_days), Some(22));
    }

    #[test]
    fn a_fix_is_held_against_images_of_its_own_release_alone() {
        let other = image("202605.02.0", "2026-05-02", ("azurelinux", "3.0"), "8.8.0-3.azl3");
        let alone = answer(std::slice::from_ref(&other));
        assert!(alone.fixes.is_empty(), "{alone:?}");
        let new = image("202607.02.0", "2026-07-02", JAMMY, "7.81.0-2");
        let both = answer(&[other, new]);
        let [fix] = both.fixes.as_slice() else { panic!("{both:?}") };
        assert_eq!(fix.first.as_ref().map(|first| first.version.as_str()), Some("202607.02.0"));
        assert_eq!(fix.looked_at, 1);
    }
}
