//! What is known of node images, to and from the wire.

use nodeward_domain::advisory::{Alias, Published};
use nodeward_domain::fixes::opinion::Opinion;
use nodeward_domain::image::compare::{
    ChangedPackage, ComparedFix, FromNodes, ImageDiff, PackageStep,
};
use nodeward_domain::image::drift::{DriftCause, DriftedPackage};
use nodeward_domain::image::first_fix::{
    Dated, FirstFix, FirstFixes, ImageWithFix, ImageWithout, MitigationOpinion,
};
use nodeward_domain::image::list::{ImageList, ImageRow};
use nodeward_domain::image::variants::{Against, Variant, Variants};
use nodeward_domain::pool::PoolKey;

use super::fixes::{back, out};
use super::{optional_timestamp, word};
use crate::convert::{Invalid, list, required, timestamp_in, timestamp_out};
use crate::v1;

/// Rows that one answer may hold: every image that was ever built, and many packages.
const ROWS: usize = 100_000;

impl From<&ImageList> for v1::ListImagesResponse {
    fn from(answer: &ImageList) -> Self {
        Self {
            as_of: Some(timestamp_out(answer.as_of)),
            images: answer.images.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::ListImagesResponse> for ImageList {
    type Error = Invalid;

    fn try_from(answer: v1::ListImagesResponse) -> Result<Self, Invalid> {
        Ok(Self {
            as_of: timestamp_in("as_of", answer.as_of)?,
            images: list("images", answer.images, ROWS, ImageRow::try_from)?,
        })
    }
}

impl From<&ImageRow> for v1::ImageRow {
    fn from(row: &ImageRow) -> Self {
        Self {
            family: row.family.clone(),
            version: row.version.clone(),
            built_at: row.built_at.map(timestamp_out),
            is_built_by_note: row.is_built_by_note,
            announced_at: row.announced_at.map(timestamp_out),
            offered_since: row.offered_since.map(timestamp_out),
            offered_to: out(row.offered_to),
            kernel: row.kernel.clone(),
            packages: row.packages.map(out),
            unknown: row.unknown.clone(),
            nodes: out(row.nodes),
            variants: out(row.variants),
        }
    }
}

impl TryFrom<v1::ImageRow> for ImageRow {
    type Error = Invalid;

    fn try_from(row: v1::ImageRow) -> Result<Self, Invalid> {
        Ok(Self {
            family: row.family,
            version: row.version,
            built_at: optional_timestamp("built_at", row.built_at)?,
            is_built_by_note: row.is_built_by_note,
            announced_at: optional_timestamp("announced_at", row.announced_at)?,
            offered_since: optional_timestamp("offered_since", row.offered_since)?,
            offered_to: back(row.offered_to),
            kernel: row.kernel,
            packages: row.packages.map(back),
            unknown: row.unknown,
            nodes: back(row.nodes),
            variants: back(row.variants),
        })
    }
}

impl From<&ImageDiff> for v1::DiffImagesResponse {
    fn from(diff: &ImageDiff) -> Self {
        let fixes = |fixes: &[ComparedFix]| fixes.iter().map(Into::into).collect();
        Self {
            as_of: Some(timestamp_out(diff.as_of)),
            from: diff.from.clone(),
            to: diff.to.clone(),
            from_built_at: diff.built.0.map(timestamp_out),
            to_built_at: diff.built.1.map(timestamp_out),
            from_packages: out(diff.packages.0),
            to_packages: out(diff.packages.1),
            from_kernel: diff.kernel.0.clone(),
            to_kernel: diff.kernel.1.clone(),
            is_of_one_system: diff.is_of_one_system,
            changed: diff.changed.iter().map(Into::into).collect(),
            gained: fixes(&diff.gained),
            left: fixes(&diff.left),
            brought_back: fixes(&diff.brought_back),
            unclear: fixes(&diff.unclear),
            not_covered: diff.not_covered.clone(),
            from_nodes: diff.from_nodes.as_ref().map(|from| v1::FromNodes {
                cluster: from.pool.cluster.clone(),
                pool: from.pool.pool.clone(),
                nodes: out(from.nodes),
                not_judged: out(from.not_judged),
                images: from.images.clone(),
            }),
            partial: diff.partial.clone(),
            opinion: diff.opinion.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<v1::DiffImagesResponse> for ImageDiff {
    type Error = Invalid;

    fn try_from(diff: v1::DiffImagesResponse) -> Result<Self, Invalid> {
        let fixes = |field: &str, fixes| list(field, fixes, ROWS, ComparedFix::try_from);
        Ok(Self {
            as_of: timestamp_in("as_of", diff.as_of)?,
            from_nodes: diff.from_nodes.map(|from| FromNodes {
                pool: PoolKey { cluster: from.cluster, pool: from.pool },
                nodes: back(from.nodes),
                not_judged: back(from.not_judged),
                images: from.images,
            }),
            partial: diff.partial,
            opinion: diff.opinion.map(Opinion::try_from).transpose()?,
            from: diff.from,
            to: diff.to,
            built: (
                optional_timestamp("from_built_at", diff.from_built_at)?,
                optional_timestamp("to_built_at", diff.to_built_at)?,
            ),
            packages: (back(diff.from_packages), back(diff.to_packages)),
            kernel: (diff.from_kernel, diff.to_kernel),
            is_of_one_system: diff.is_of_one_system,
            changed: list("changed", diff.changed, ROWS, ChangedPackage::try_from)?,
            gained: fixes("gained", diff.gained)?,
            left: fixes("left", diff.left)?,
            brought_back: fixes("brought_back", diff.brought_back)?,
            unclear: fixes("unclear", diff.unclear)?,
            not_covered: diff.not_covered,
        })
    }
}

impl From<&ChangedPackage> for v1::ChangedPackage {
    fn from(package: &ChangedPackage) -> Self {
        Self {
            name: package.name.clone(),
            from: package.from.clone(),
            to: package.to.clone(),
            step: package.step.word().to_owned(),
        }
    }
}

impl TryFrom<v1::ChangedPackage> for ChangedPackage {
    type Error = Invalid;

    fn try_from(package: v1::ChangedPackage) -> Result<Self, Invalid> {
        let step = word("step", &package.step, &PackageStep::ALL, PackageStep::word)?;
        Ok(Self { name: package.name, from: package.from, to: package.to, step })
    }
}

impl From<&ComparedFix> for v1::ComparedFix {
    fn from(fix: &ComparedFix) -> Self {
        Self {
            source: fix.source.clone(),
            record: fix.record.clone(),
            fixed: fix.fixed.clone(),
            from: fix.from.clone(),
            to: fix.to.clone(),
            published: fix.published.as_ref().map(Into::into),
            aliases: fix.aliases.iter().map(Into::into).collect(),
            is_over: fix.is_over,
        }
    }
}

impl TryFrom<v1::ComparedFix> for ComparedFix {
    type Error = Invalid;

    fn try_from(fix: v1::ComparedFix) -> Result<Self, Invalid> {
        Ok(Self {
            source: fix.source,
            record: fix.record,
            fixed: fix.fixed,
            from: fix.from,
            to: fix.to,
            published: fix.published.map(Published::try_from).transpose()?,
            aliases: list("aliases", fix.aliases, ROWS, Alias::try_from)?,
            is_over: fix.is_over,
        })
    }
}

impl From<&Variants> for v1::ListImageVariantsResponse {
    fn from(answer: &Variants) -> Self {
        let variant = |variant: &Variant| v1::ImageVariant {
            packages: variant.packages.clone(),
            installed: out(variant.installed),
            nodes: out(variant.nodes),
            example: variant.example.clone(),
            pools: variant
                .pools
                .iter()
                .map(|key| v1::PoolName { cluster: key.cluster.clone(), pool: key.pool.clone() })
                .collect(),
            patched: variant.patched.clone(),
            is_compared: variant.changed.is_some(),
            changed: variant.changed.iter().flatten().map(Into::into).collect(),
        };
        Self {
            as_of: Some(timestamp_out(answer.as_of)),
            image: answer.image.clone(),
            against: answer.against.word().to_owned(),
            not_read: out(answer.not_read),
            variants: answer.variants.iter().map(variant).collect(),
        }
    }
}

impl TryFrom<v1::ListImageVariantsResponse> for Variants {
    type Error = Invalid;

    fn try_from(answer: v1::ListImageVariantsResponse) -> Result<Self, Invalid> {
        let variant = |one: v1::ImageVariant| {
            let changed = list("changed", one.changed, ROWS, DriftedPackage::try_from)?;
            Ok::<_, Invalid>(Variant {
                packages: one.packages,
                installed: back(one.installed),
                nodes: back(one.nodes),
                example: one.example,
                pools: one
                    .pools
                    .into_iter()
                    .map(|key| PoolKey { cluster: key.cluster, pool: key.pool })
                    .collect(),
                patched: one.patched,
                changed: one.is_compared.then_some(changed),
            })
        };
        Ok(Self {
            as_of: timestamp_in("as_of", answer.as_of)?,
            image: answer.image,
            against: word("against", &answer.against, &Against::ALL, Against::word)?,
            not_read: back(answer.not_read),
            variants: list("variants", answer.variants, ROWS, variant)?,
        })
    }
}

impl From<&DriftedPackage> for v1::DriftedPackage {
    fn from(one: &DriftedPackage) -> Self {
        Self {
            name: one.name.clone(),
            shipped: one.shipped.clone(),
            installed: one.installed.clone(),
            cause: one.cause.word().to_owned(),
        }
    }
}

impl TryFrom<v1::DriftedPackage> for DriftedPackage {
    type Error = Invalid;

    fn try_from(one: v1::DriftedPackage) -> Result<Self, Invalid> {
        Ok(Self {
            cause: word("cause", &one.cause, &DriftCause::ALL, DriftCause::word)?,
            name: one.name,
            shipped: one.shipped,
            installed: one.installed,
        })
    }
}

impl From<&FirstFixes> for v1::GetFirstFixResponse {
    fn from(answer: &FirstFixes) -> Self {
        Self {
            as_of: Some(timestamp_out(answer.as_of)),
            about: answer.about.clone(),
            fixes: answer.fixes.iter().map(Into::into).collect(),
            not_affected: answer.not_affected.clone(),
            unclear: unclear(&answer.unclear),
            is_known: answer.is_known,
        }
    }
}

impl TryFrom<v1::GetFirstFixResponse> for FirstFixes {
    type Error = Invalid;

    fn try_from(answer: v1::GetFirstFixResponse) -> Result<Self, Invalid> {
        Ok(Self {
            about: answer.about,
            as_of: timestamp_in("as_of", answer.as_of)?,
            fixes: list("fixes", answer.fixes, ROWS, FirstFix::try_from)?,
            not_affected: answer.not_affected,
            unclear: clear(answer.unclear),
            is_known: answer.is_known,
        })
    }
}

fn unclear(all: &[(String, String)]) -> Vec<v1::Unclear> {
    let one = |(what, why): &(String, String)| v1::Unclear { what: what.clone(), why: why.clone() };
    all.iter().map(one).collect()
}

fn clear(all: Vec<v1::Unclear>) -> Vec<(String, String)> {
    all.into_iter().map(|one| (one.what, one.why)).collect()
}

impl From<&FirstFix> for v1::FirstFix {
    fn from(fix: &FirstFix) -> Self {
        let dated = |dated: &Dated| v1::DatedImage {
            version: dated.version.clone(),
            at: Some(timestamp_out(dated.at)),
            fix_age_days: dated.fix_age_days,
        };
        Self {
            family: fix.family.clone(),
            source: fix.source.clone(),
            record: fix.record.clone(),
            fixed: fix.fixed.clone(),
            published: fix.published.as_ref().map(Into::into),
            first: fix.first.as_ref().map(|first| v1::ImageWithFix {
                version: first.version.clone(),
                has: first.has.clone(),
                built_at: first.built_at.map(timestamp_out),
                fix_age_days: first.fix_age_days,
            }),
            last_without: fix.last_without.as_ref().map(|last| v1::ImageWithFix {
                version: last.version.clone(),
                has: last.has.clone(),
                built_at: last.built_at.map(timestamp_out),
                fix_age_days: None,
            }),
            first_announced: fix.first_announced.as_ref().map(dated),
            first_offered: fix.first_offered.as_ref().map(dated),
            lost_again: fix.lost_again.clone(),
            looked_at: out(fix.looked_at),
            or_earlier: fix.or_earlier,
            unclear: unclear(&fix.unclear),
            opinion: fix.opinion.as_ref().map(|opinion| v1::MitigationOpinion {
                reported_at: Some(timestamp_out(opinion.reported_at)),
                seen_in: opinion.seen_in.clone(),
                mitigated_in: opinion.mitigated_in.clone(),
                disagree: opinion.disagree.clone(),
            }),
        }
    }
}

fn mitigations(opinion: v1::MitigationOpinion) -> Result<MitigationOpinion, Invalid> {
    Ok(MitigationOpinion {
        reported_at: timestamp_in("opinion.reported_at", opinion.reported_at)?,
        seen_in: opinion.seen_in,
        mitigated_in: opinion.mitigated_in,
        disagree: opinion.disagree,
    })
}

impl TryFrom<v1::FirstFix> for FirstFix {
    type Error = Invalid;

    fn try_from(fix: v1::FirstFix) -> Result<Self, Invalid> {
        let with = |first: v1::ImageWithFix| {
            Ok::<_, Invalid>(ImageWithFix {
                built_at: optional_timestamp("built_at", first.built_at)?,
                version: first.version,
                has: first.has,
                fix_age_days: first.fix_age_days,
            })
        };
        let without = |last: v1::ImageWithFix| {
            Ok::<_, Invalid>(ImageWithout {
                built_at: optional_timestamp("built_at", last.built_at)?,
                version: last.version,
                has: last.has,
            })
        };
        let dated = |dated: v1::DatedImage| {
            Ok::<_, Invalid>(Dated {
                at: timestamp_in("at", Some(required("at", dated.at)?))?,
                version: dated.version,
                fix_age_days: dated.fix_age_days,
            })
        };
        Ok(Self {
            family: fix.family,
            source: fix.source,
            record: fix.record,
            fixed: fix.fixed,
            published: fix.published.map(Published::try_from).transpose()?,
            first: fix.first.map(with).transpose()?,
            last_without: fix.last_without.map(without).transpose()?,
            first_announced: fix.first_announced.map(dated).transpose()?,
            first_offered: fix.first_offered.map(dated).transpose()?,
            lost_again: fix.lost_again,
            looked_at: back(fix.looked_at),
            or_earlier: fix.or_earlier,
            unclear: clear(fix.unclear),
            opinion: fix.opinion.map(mitigations).transpose()?,
        })
    }
}
