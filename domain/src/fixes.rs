//! The fixes that one node lacks, and whose turn each of them is: what was matched, held
//! against the node's platform, its image, the images offered to it and the policy. One
//! answer for every vendor's record on a source package; what is not covered or cannot be
//! said is counted beside them, never dropped.

pub mod answer;
pub mod counts;
pub mod fleet;
pub mod images;
pub mod node;
pub mod opinion;
pub mod row;
pub mod scan;

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::advisory::{Bulletin, Epochs, Feeds, MitigationReport, ScanReport, Silence};
use crate::check::{Outside, Presented, mitigated};
use crate::component::Component;
use crate::facts::Reboot;
use crate::matching::{FixId, Index, Inventory, Matched, Outcome, Standing};
use crate::node::NodeHistory;
pub use crate::patch_age::Step;
use crate::patch_age::{self, Answer, Fixed, ImageLine, Known, Situation};
use crate::platform::Platform;
use crate::policy::Policy;
use crate::pool::{PoolKey, Surroundings};
use crate::responsibility::Automation;
use images::{Images, NodeOnImage};

/// What is known beside the nodes: the advisories, how far each feed can be believed, and
/// the images.
#[derive(Debug, Clone, Copy)]
pub struct Knowledge<'a> {
    /// All advisories.
    pub index: &'a Index,
    /// The feeds they came from.
    pub feeds: &'a Feeds,
    /// What is known of images, and which are offered.
    pub images: &'a Images,
    /// Bulletins of the provider.
    pub bulletins: &'a [Bulletin],
    /// What the provider's own scanner says of its images.
    pub reports: &'a [ScanReport],
    /// Where, by its own word, vulnerabilities of packages were seen and mended.
    pub mitigations: &'a [MitigationReport],
}

impl<'a> Knowledge<'a> {
    /// Whether anything is known of a vulnerability, or by a record, whose name is wanted.
    pub(crate) fn tells_of(&self, is_wanted: impl Fn(&str) -> bool) -> bool {
        let opinions = self.reports.iter().flat_map(|report| {
            let packages = report.packages.values();
            let packages = packages.flat_map(|one| one.active.iter().chain(&one.mitigated));
            packages.chain(report.containers.values().flat_map(|one| &one.active))
        });
        let mitigations = self.mitigations.iter().flat_map(|report| report.mitigations.keys());
        let mut opinions = opinions.chain(mitigations);
        self.index.tells_of(&is_wanted) || opinions.any(|id| is_wanted(&id.to_string()))
    }

    /// What of it checks look at.
    #[must_use]
    pub const fn outside(&self) -> Outside<'a> {
        Outside {
            feeds: Some(self.feeds),
            bulletins: self.bulletins,
            images: Some(self.images),
            pool: None,
            cluster: None,
            siblings: None,
            presented: Presented::Nothing,
        }
    }
}

/// What one node shows of itself that the answers depend on, beside what was matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Circumstances<'a> {
    /// Which kind of machine it is.
    pub platform: Platform,
    /// Who reboots it when something waits for it.
    pub reboot_by: Option<Automation>,
    /// How its line of images stands.
    pub line: ImageLine,
    /// The image it was made from.
    pub image: NodeOnImage<'a>,
    /// Its pool; none where it is not known.
    pub pool: Option<PoolKey>,
    /// Images of its line that enough other nodes of its cluster run.
    pub observed: BTreeSet<String>,
}

/// Where a node stands in its fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// Its cluster.
    pub cluster: &'a str,
    /// What the other nodes show; none where there are none.
    pub surroundings: Option<&'a Surroundings>,
}

/// Which of the things that were matched something is about, by its place there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lack {
    /// A fix that is lacking, of [`Matched::missing`].
    Missing(usize),
    /// A vulnerability without a fix, of [`Matched::unfixed`].
    Unfixed(usize),
    /// A fix of a tier that the node does not take, of [`Matched::other_tiers`].
    OtherTier(usize),
    /// A statement that cannot be read, of [`Matched::unreadable`].
    Unreadable(usize),
}

/// What is lacking, and whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turned {
    /// What.
    pub lack: Lack,
    /// Whose turn, and by which step.
    pub answer: Answer,
    /// What keeps it from being used, where something does.
    pub mitigation: Option<String>,
}

/// All that can be said of the fixes of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessed {
    /// Every thing that is lacking.
    pub turned: Vec<Turned>,
    /// Source packages about which nothing is stated, and what that means; one for all of
    /// them, because it hangs on the feeds of the node's streams alone.
    pub silence: Silence,
    /// Source packages that were judged by advisories.
    pub judged: usize,
    /// Source packages that no advisory covers.
    pub not_covered: usize,
    /// Source packages that cannot be judged.
    pub unknown: usize,
    /// When it must be assessed again although nothing changed.
    pub valid_until: Option<Timestamp>,
}

/// The inventory of a node, or why its packages cannot be judged. What holds bulletins off
/// mitigates the vulnerabilities that they are about.
pub fn inventory(history: &NodeHistory, bulletins: &[Bulletin]) -> Result<Inventory, String> {
    let lacking = |component: Component| match history.newest(component) {
        None => format!("{component}: not reported yet"),
        Some(newest) => format!("{component}: {}", newest.state.headline()),
    };
    let packages = history
        .packages
        .state()
        .and_then(crate::observed::State::shared)
        .ok_or_else(|| lacking(Component::Packages))?;
    let os_release = history.os_release.present().ok_or_else(|| lacking(Component::OsRelease))?;
    let inventory = Inventory::of(packages, os_release, history.kernel.present());
    Ok(Inventory { mitigated: mitigated(bulletins, history), ..inventory })
}

impl<'a> Circumstances<'a> {
    /// Of a node's facts, and of where it stands.
    #[must_use]
    pub fn of(place: Place<'_>, history: &'a NodeHistory, policy: &Policy, now: Timestamp) -> Self {
        let os_release = history.os_release.present();
        let is_retired = os_release.is_some_and(|os| policy.is_retired(os, now));
        let image = NodeOnImage::of(history);
        let is_frozen = policy.frozen_line(image.sku, now).is_some();
        Self {
            platform: Platform::of(history),
            reboot_by: history.reboot.present().and_then(rebooted_by),
            line: match (is_retired, is_frozen) {
                (true, _) => ImageLine::Retired,
                (false, true) => ImageLine::Frozen,
                (false, false) => ImageLine::Alive,
            },
            image,
            pool: node::pool_of(history)
                .map(|pool| PoolKey { cluster: place.cluster.to_owned(), pool: pool.to_owned() }),
            observed: place.surroundings.map(|one| one.observed.clone()).unwrap_or_default(),
        }
    }
}

/// Who reboots a node by himself: kured does when a file asks for it.
fn rebooted_by(reboot: &Reboot) -> Option<Automation> {
    (reboot.kured_runs && !reboot.sentinels.is_empty()).then_some(Automation::Kured)
}

/// Says of everything that was matched whose turn it is.
#[must_use]
pub fn assess(
    knowledge: Knowledge<'_>,
    inventory: &Inventory,
    matched: &Matched,
    circumstances: &Circumstances<'_>,
    policy: &Policy,
    now: Timestamp,
) -> Assessed {
    let assessor = Assessor { knowledge, inventory, matched, circumstances, policy, now };
    let mut turned = Vec::with_capacity(
        matched.missing.len() + matched.unfixed.len() + matched.other_tiers.len(),
    );
    assessor.missing(&mut turned);
    assessor.without_fix(&mut turned);
    let outcomes = matched.outcomes();
    let with = |wanted: Outcome| outcomes.iter().filter(|outcome| **outcome == wanted).count();
    let silence = silence(knowledge.feeds, inventory, now);
    let mut valid_until: Option<Timestamp> = match &silence {
        Silence::NothingMissing { valid_until, .. } => Some(*valid_until),
        Silence::Unknown(_) => None,
    };
    for turn in turned.iter().filter_map(|one| one.answer.turn.as_ref()) {
        if let Some(until) = turn.valid_until {
            valid_until = Some(valid_until.map_or(until, |earliest| earliest.min(until)));
        }
    }
    let judged = matched
        .sources
        .iter()
        .filter(|source| matches!(source.standing, Standing::Judged | Standing::Running))
        .count();
    Assessed {
        turned,
        silence,
        judged,
        not_covered: with(Outcome::NotCovered),
        unknown: with(Outcome::Unknown),
        valid_until,
    }
}

/// What it means when nothing is stated against a package of the node: all feeds that the
/// node's own streams need must be complete and fresh.
fn silence(feeds: &Feeds, inventory: &Inventory, now: Timestamp) -> Silence {
    let mut all: Option<Silence> = None;
    for tier in inventory.tiers.iter().filter(|tier| !tier.is_fips()) {
        let one = feeds.silence(&inventory.stream.in_tier(tier.clone()), now);
        all = Some(match (all, one) {
            (None, one) => one,
            (Some(Silence::Unknown(why)), _) | (_, Silence::Unknown(why)) => Silence::Unknown(why),
            (
                Some(Silence::NothingMissing { as_of: a, valid_until: until_a }),
                Silence::NothingMissing { as_of: b, valid_until: until_b },
            ) => Silence::NothingMissing { as_of: a.min(b), valid_until: until_a.min(until_b) },
        });
    }
    all.unwrap_or_else(|| Silence::Unknown(format!("no feed on {}", inventory.stream)))
}

struct Assessor<'a> {
    knowledge: Knowledge<'a>,
    inventory: &'a Inventory,
    matched: &'a Matched,
    circumstances: &'a Circumstances<'a>,
    policy: &'a Policy,
    now: Timestamp,
}

impl Assessor<'_> {
    fn missing(&self, turned: &mut Vec<Turned>) {
        let Knowledge { index, images, .. } = self.knowledge;
        let Circumstances { image, pool, observed, .. } = self.circumstances;
        let on_image = images.view(*image, pool.as_ref(), observed, self.inventory, self.now);
        let is_brought = images.is_brought_by_channel(*image, pool.as_ref(), self.now);
        let mut shipped = None;
        for (place, missing) in self.matched.missing.iter().enumerate() {
            // Sorted by source: what holds for one fix of it holds for the next.
            let of_source = match shipped {
                Some((source, shipped)) if source == missing.source => shipped,
                _ => on_image.shipped(self.matched, missing.source),
            };
            shipped = Some((missing.source, of_source));
            let mitigation = missing.is_mitigated.then(|| self.mitigation(missing.fix));
            let known = match &mitigation {
                Some(why) => Known::Mitigated(why.clone()),
                None => Known::Fixed(self.fixed(missing.source, missing.fix, missing.is_on_disk)),
            };
            let offered = on_image.offered(
                self.matched,
                missing.source,
                index.fixed_version(missing.fix),
                index.epochs(missing.fix).unwrap_or(Epochs::Compared),
            );
            let situation = Situation {
                platform: self.circumstances.platform,
                known,
                reboot_by: self.circumstances.reboot_by,
                shipped: of_source,
                line: self.circumstances.line,
                offered: &offered,
                channel: is_brought.then_some(Automation::NodeOsChannel),
            };
            let answer = patch_age::answer(&situation, self.policy, self.now);
            turned.push(Turned { lack: Lack::Missing(place), answer, mitigation });
        }
    }

    fn without_fix(&self, turned: &mut Vec<Turned>) {
        let index = self.knowledge.index;
        let unfixed = self.matched.unfixed.iter().enumerate().filter_map(|(place, one)| {
            Some((Lack::Unfixed(place), Known::Unfixed(index.unfixed(one.fix)?)))
        });
        let other_tiers = self.matched.other_tiers.iter().enumerate().map(|(place, one)| {
            (Lack::OtherTier(place), Known::OtherTier(one.tier.word().to_owned()))
        });
        let unreadable = self.matched.unreadable.iter().enumerate().map(|(place, one)| {
            let what = format!("{}: {}", one.record, one.why);
            (Lack::Unreadable(place), Known::Unreadable(what))
        });
        for (lack, known) in unfixed.chain(other_tiers).chain(unreadable) {
            let situation = Situation {
                platform: self.circumstances.platform,
                known,
                reboot_by: self.circumstances.reboot_by,
                shipped: patch_age::Shipped::Unknown,
                line: self.circumstances.line,
                offered: &patch_age::Offered::Unknown,
                channel: None,
            };
            let answer = patch_age::answer(&situation, self.policy, self.now);
            turned.push(Turned { lack, answer, mitigation: None });
        }
    }

    fn fixed(&self, source: usize, fix: FixId, is_on_disk: bool) -> Fixed {
        let index = self.knowledge.index;
        let package = self.matched.sources.get(source).map(|source| source.source.clone());
        Fixed {
            package: package.unwrap_or_default(),
            version: index.fixed_version(fix).map(Into::into),
            published: index.published(fix),
            is_on_disk,
        }
    }

    /// What keeps all that a fix is about from being used.
    fn mitigation(&self, fix: FixId) -> String {
        let mut why: Vec<&str> = self
            .knowledge
            .index
            .alias_ids(fix)
            .filter_map(|id| self.inventory.mitigated.get(id))
            .map(String::as_str)
            .collect();
        why.sort_unstable();
        why.dedup();
        why.join("; ")
    }
}
