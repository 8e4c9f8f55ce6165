//! Whose turn a missing fix is: the eleven steps, in their one order, as a pure function of
//! everything that they depend on. Sources: the support policy's rules on vulnerabilities
//! (`cve-*` of the policy editions); of the age the ledger of dates.
//!
//! What is known is answered whatever the state of the feeds is: a partial feed's fixes are
//! findings like any other. The feeds' state only says what silence means.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::advisory::{DateKind, Silence, Unfixed};
use crate::platform::Platform;
use crate::policy::Policy;
use crate::responsibility::{Action, Automation, Responsible, Turn};

/// The rule that makes old fixes the provider's.
const RULE: &str = "cve-provider-acts";

/// Everything that the answer depends on, besides now and the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Situation<'a> {
    /// Which kind of machine the node is.
    pub platform: Platform,
    /// What is known of the fix.
    pub known: Known,
    /// Who reboots the node when something waits for it; none when nobody does by himself.
    pub reboot_by: Option<Automation>,
    /// Whether the node's image brought the package.
    pub shipped: Shipped,
    /// How the node's line of images stands.
    pub line: ImageLine,
    /// What is known of the images offered to the node's pool.
    pub offered: &'a Offered,
    /// What brings an offered image onto the node by itself, where channel and window will.
    pub channel: Option<Automation>,
}

/// What is known of a fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// Nothing is stated; and this is what that means.
    Nothing(Silence),
    /// Something is stated, and a version in it, or the installed one, cannot be read or
    /// compared. The text says which.
    Unreadable(String),
    /// The installed version is not affected.
    NotAffected,
    /// The vendor took the statement back.
    Withdrawn,
    /// Something keeps it from being used, and this is what.
    Mitigated(String),
    /// There is no fix.
    Unfixed(Unfixed),
    /// There is a fix in a tier whose updates the node does not take; this one.
    OtherTier(String),
    /// There is a fix.
    Fixed(Fixed),
}

/// A fix that the node does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    /// The source package.
    pub package: Arc<str>,
    /// The version with the fix, where the vendor names it.
    pub version: Option<Arc<str>>,
    /// When it was published, and what kind of a date that is; none when that is not known.
    pub published: Option<(Timestamp, DateKind)>,
    /// It is installed, and comes into force with a reboot.
    pub is_on_disk: bool,
}

impl Fixed {
    fn update(&self) -> Action {
        Action::UpdatePackage {
            package: self.package.to_string(),
            to: self.version.as_ref().map(ToString::to_string),
        }
    }
}

/// Whether a node's image brought a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shipped {
    /// It did.
    ByImage,
    /// It did not: somebody installed it later.
    Later,
    /// The image's list of packages is not known.
    Unknown,
}

/// How a line of images stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ImageLine {
    /// New images come.
    Alive,
    /// No new images come.
    Frozen,
    /// Its operating system has left support.
    Retired,
}

/// What is known of the images offered to a pool, in its region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Offered {
    /// Nothing.
    Unknown,
    /// Which they are.
    Known {
        /// The newest of those that have the fix; none when none has.
        with_fix: Option<String>,
        /// The newest of all.
        newest: String,
        /// The node is on that one.
        is_on_newest: bool,
    },
}

/// The step that gave the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// 1: a version cannot be read or compared, or nothing is stated and no feed is complete.
    Unreadable,
    /// 2: not affected, withdrawn, mitigated, or nothing missing.
    NoFinding,
    /// 3: the vendor has no fix, or none for the tier of the node.
    NoFix,
    /// 4: fixed on disk, not running.
    NotRunning,
    /// When the fix was published is not known, or only that it is at least so old.
    Undated,
    /// 5: as old as the line that the policy draws, or younger.
    Young,
    /// 6: not of the node's image.
    NotShipped,
    /// 7: no image of that line will ever have it.
    LineEnded,
    /// 8: an offered image has it.
    OfferedImage,
    /// 9: no offered image has it, and the node is not on the newest.
    NotOnNewest,
    /// 10: the node is on the newest offered image.
    HandIn,
    /// 11: the offered images are not known.
    OfferedUnknown,
    /// The node's image may not have brought it: nobody may be asked for it yet.
    ShippedUnknown,
    /// The edition draws no line.
    NoRule,
    /// The node has no provider.
    NoProvider,
    /// Whether the node has a provider is not known.
    PlatformUnknown,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Unreadable,
        Self::NoFinding,
        Self::NoFix,
        Self::NotRunning,
        Self::Undated,
        Self::Young,
        Self::NotShipped,
        Self::LineEnded,
        Self::OfferedImage,
        Self::NotOnNewest,
        Self::HandIn,
        Self::OfferedUnknown,
        Self::ShippedUnknown,
        Self::NoRule,
        Self::NoProvider,
        Self::PlatformUnknown,
    ];

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::NoFinding => "no_finding",
            Self::NoFix => "no_fix",
            Self::NotRunning => "not_running",
            Self::Undated => "undated",
            Self::Young => "young",
            Self::NotShipped => "not_shipped",
            Self::LineEnded => "line_ended",
            Self::OfferedImage => "offered_image",
            Self::NotOnNewest => "not_on_newest",
            Self::HandIn => "hand_in",
            Self::OfferedUnknown => "offered_unknown",
            Self::ShippedUnknown => "shipped_unknown",
            Self::NoRule => "no_rule",
            Self::NoProvider => "no_provider",
            Self::PlatformUnknown => "platform_unknown",
        }
    }
}

/// Whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The step that gave it.
    pub step: Step,
    /// Who acts, and what; none when there is no finding.
    pub turn: Option<Turn>,
}

impl Answer {
    fn turn(
        step: Step,
        responsible: Responsible,
        action: Action,
        valid_until: Option<Timestamp>,
    ) -> Self {
        Self { step, turn: Some(Turn { responsible, action, valid_until }) }
    }

    fn customer(step: Step, action: Action) -> Self {
        Self::turn(step, Responsible::Customer, action, None)
    }

    fn automation(step: Step, by: Automation) -> Self {
        Self::turn(step, Responsible::Automation { by }, Action::Wait { until: None }, None)
    }

    fn unknown(step: Step, missing: impl Into<String>, at: &str) -> Self {
        let missing = Responsible::Unknown { missing: missing.into() };
        Self::turn(step, missing, Action::Investigate { at: at.to_owned() }, None)
    }
}

/// The instant after which a fix is over the line that an edition draws; none where it draws
/// none.
#[must_use]
pub fn over_after(published: Timestamp, policy: &Policy) -> Option<Timestamp> {
    let limit = policy.patch_age_limit()?;
    Some(published.checked_add(limit).unwrap_or(Timestamp::MAX))
}

/// How old a fix is. A package may be on nodes before its notice: never below zero.
#[must_use]
pub fn age(published: Timestamp, now: Timestamp) -> SignedDuration {
    now.duration_since(published).max(SignedDuration::ZERO)
}

/// Whose turn it is.
#[must_use]
pub fn answer(situation: &Situation<'_>, policy: &Policy, now: Timestamp) -> Answer {
    let no_finding = Answer { step: Step::NoFinding, turn: None };
    let fixed = match &situation.known {
        // 1, and the only place where the state of feeds decides.
        Known::Nothing(Silence::Unknown(why)) => {
            return Answer::unknown(Step::Unreadable, why, "nodeward feed status");
        }
        Known::Unreadable(what) => {
            return Answer::unknown(Step::Unreadable, what, "the package's version");
        }
        // 2
        Known::Nothing(Silence::NothingMissing { .. })
        | Known::NotAffected
        | Known::Withdrawn
        | Known::Mitigated(_) => return no_finding,
        // 3: what costs a subscription that the node does not have is no fix for it.
        Known::Unfixed(_) | Known::OtherTier(_) => {
            let action = Action::Wait { until: None };
            return Answer::turn(Step::NoFix, Responsible::Vendor, action, None);
        }
        Known::Fixed(fixed) => fixed,
    };
    // 4
    if fixed.is_on_disk {
        return match situation.reboot_by {
            Some(by) => Answer::automation(Step::NotRunning, by),
            None => Answer::customer(Step::NotRunning, Action::Reboot),
        };
    }
    match situation.platform {
        Platform::Aks => of_provider(situation, fixed, policy, now),
        Platform::Kubernetes | Platform::Plain => {
            Answer::customer(Step::NoProvider, fixed.update())
        }
        Platform::Unknown => {
            Answer::unknown(Step::PlatformUnknown, "platform of the node", "os_release and kubelet")
        }
    }
}

/// Steps 5 to 11.
fn of_provider(
    situation: &Situation<'_>,
    fixed: &Fixed,
    policy: &Policy,
    now: Timestamp,
) -> Answer {
    let has_rule = policy.patch_age_limit().is_some();
    let no_rule = || Answer::unknown(Step::NoRule, format!("policy rule {RULE}"), "the edition");
    // 5. An edition that draws no line leaves nothing to wait for.
    if has_rule {
        let undated = |until: Option<Timestamp>| {
            let missing = Responsible::Unknown { missing: "date of publication".to_owned() };
            let action = Action::Investigate { at: "nodeward feed status".to_owned() };
            Answer::turn(Step::Undated, missing, action, until)
        };
        let Some((published, kind)) = fixed.published else {
            return undated(None);
        };
        let until = over_after(published, policy).unwrap_or(Timestamp::MAX);
        if now <= until {
            return match kind {
                // It may be older, and over already.
                DateKind::Baseline => undated(Some(until)),
                DateKind::Advisory | DateKind::Changelog | DateKind::FirstSeen => Answer::turn(
                    Step::Young,
                    Responsible::NobodyYet { until },
                    Action::Wait { until: Some(until) },
                    Some(until),
                ),
            };
        }
    }
    // 6
    if situation.shipped == Shipped::Later {
        return Answer::customer(Step::NotShipped, fixed.update());
    }
    // 7
    if situation.line != ImageLine::Alive {
        return Answer::customer(Step::LineEnded, Action::MigrateOsSku);
    }
    match situation.offered {
        // 8, on a node that is no longer as its own image made it.
        Offered::Known { with_fix: Some(image), newest, is_on_newest: true } if image == newest => {
            Answer::customer(Step::OfferedImage, Action::Reimage)
        }
        // 8
        Offered::Known { with_fix: Some(image), .. } => match situation.channel {
            Some(by) => Answer::automation(Step::OfferedImage, by),
            None => {
                let to = Some(image.clone());
                Answer::customer(Step::OfferedImage, Action::UpgradeImage { to })
            }
        },
        // From here on the provider is asked, or may be: only the edition's line says so.
        _ if !has_rule => no_rule(),
        // 9: the policy lets the provider be asked only from an updated image.
        Offered::Known { with_fix: None, newest, is_on_newest: false } => {
            let to = Some(newest.clone());
            Answer::customer(Step::NotOnNewest, Action::UpgradeImage { to })
        }
        // What the image did not bring is none of the provider's.
        Offered::Known { with_fix: None, is_on_newest: true, .. }
            if situation.shipped == Shipped::Unknown =>
        {
            let missing = "package list of the node image";
            Answer::unknown(Step::ShippedUnknown, missing, "the release note of the node's image")
        }
        // 10
        Offered::Known { with_fix: None, is_on_newest: true, .. } => {
            Answer::turn(Step::HandIn, Responsible::Provider, Action::HandIn, None)
        }
        // 11
        Offered::Unknown => {
            Answer::unknown(Step::OfferedUnknown, "offered image", "the images offered to the pool")
        }
    }
}

#[cfg(test)]
mod tests;
