//! Whether there is a newer image for the node: by what was told to be offered to its pool, by
//! the end of its line, and by what the other nodes of its pool run.

use jiff::{SignedDuration, Timestamp};

use super::{ABSENT, Evidence, Scope, Turn, Verdict, day, facts, named, of_a_provider, verdict_or};
use crate::fixes::images::{Images, NodeOnImage};
use crate::fixes::node::pool_of;
use crate::image::build_of;
use crate::image::catalogue::{NewestOffered, OFFERED_STALE_AFTER, OfferedSpan};
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::pool::{NodeOsChannel, PoolKey};
use crate::responsibility::{Action, Automation, Responsible};

/// Images come weekly: one that has been offered for longer is not just about to be taken.
const BEHIND_AFTER: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What is offered to a node.
struct Offer<'a> {
    version: &'a str,
    /// Whether it is newer than what the node is on.
    is_newer: bool,
    /// None where it is only known that it is offered.
    span: Option<OfferedSpan>,
    /// Whether a channel brings it by itself.
    is_brought: bool,
    /// Whether a channel should, and has not.
    is_stalled: bool,
    evidence: Vec<Evidence>,
}

impl Offer<'_> {
    /// The earlier one of a moment and of when what was told is no longer believed.
    fn until(&self, other: Option<Timestamp>) -> Option<Timestamp> {
        let stale_from = self.span.map(|span| {
            let last = span.as_of.checked_add(OFFERED_STALE_AFTER).unwrap_or(Timestamp::MAX);
            super::next_instant(last)
        });
        stale_from.into_iter().chain(other).min()
    }

    /// A check that passes for now.
    fn passes(self, until: Option<Timestamp>) -> Verdict {
        let valid_until = self.until(until);
        Verdict { valid_until, ..Verdict::pass(self.evidence) }
    }
}

/// The newest image that is offered to the node.
fn newest<'a>(
    history: &NodeHistory,
    scope: &Scope<'a>,
    now: Timestamp,
) -> Result<Offer<'a>, Verdict> {
    of_a_provider(scope, "offers images")?;
    let (image, _) = facts(&history.node_image, ABSENT)?;
    let name = named(image)?;
    let Some(images) = scope.outside.images else {
        return Err(Verdict::not_applicable("no images are at hand"));
    };
    let node = NodeOnImage::of(history);
    let pool = pool_of(history).zip(scope.outside.pool).map(|(_, pool)| &pool.key);
    let Some((version, span)) = images.newest_offered(node, pool, now) else {
        return Err(Verdict::unknown(untold(images, history, pool, now), Vec::new()));
    };
    let evidence = vec![Evidence::new(
        &name.path,
        format!("{} {}", name.sku, name.version),
        match span {
            Some(span) => format!(
                "{version}, offered since {}, as told on {}",
                day(span.since),
                day(span.as_of)
            ),
            None => format!("{version}, which is offered"),
        },
    )];
    let family = images.line_of(node).unwrap_or_default();
    let built = |version: &str| images.catalogue().build(&family, version);
    let is_newer = built(version) > built(&name.version);
    let is_brought = images.is_brought_by_channel(node, pool, now);
    let channel = pool.and_then(|pool| images.catalogue().channel(pool));
    let is_stalled = channel.is_some_and(NodeOsChannel::brings_images) && !is_brought;
    Ok(Offer { version, is_newer, span, is_brought, is_stalled, evidence })
}

/// Why it is not known which image is the newest offered one.
fn untold(
    images: &Images,
    history: &NodeHistory,
    pool: Option<&PoolKey>,
    now: Timestamp,
) -> String {
    let line = images.line_of(NodeOnImage::of(history));
    match pool.map(|pool| (pool, images.catalogue().newest_offered(pool, line.as_deref(), now))) {
        // A machine that is looked at by itself stands in no fleet, whatever its labels say.
        None if pool_of(history).is_some() => "nobody told which image is offered".to_owned(),
        None => "the node's pool is not known".to_owned(),
        Some((pool, NewestOffered::Untold)) => {
            format!("nobody told which image is offered to pool {pool}")
        }
        Some((_, NewestOffered::Stale { image, as_of })) => {
            format!("{image} was told to be the newest on {}: too long ago", day(as_of))
        }
        Some((_, NewestOffered::Known { image, .. })) => {
            format!("{image} is offered, which is of another line than the node's")
        }
    }
}

fn upgrade(offer: &Offer<'_>) -> Turn {
    let valid_until = offer.until(None);
    match offer.is_brought {
        true => Turn {
            responsible: Responsible::Automation { by: Automation::NodeOsChannel },
            action: Action::Wait { until: None },
            valid_until,
        },
        false => Turn {
            responsible: Responsible::Customer,
            action: Action::UpgradeImage { to: Some(offer.version.to_owned()) },
            valid_until,
        },
    }
}

pub(super) fn behind(
    history: &NodeHistory,
    scope: &Scope<'_>,
    _: &Policy,
    now: Timestamp,
) -> Verdict {
    let offer = verdict_or!(newest(history, scope, now));
    if !offer.is_newer {
        return offer.passes(None);
    }
    if offer.is_stalled {
        return Verdict::not_applicable("a channel should bring it, see ChannelStalled");
    }
    let late_from =
        offer.span.map(|span| span.since.checked_add(BEHIND_AFTER).unwrap_or(Timestamp::MAX));
    if let Some(late_from) = late_from.filter(|late_from| now <= *late_from) {
        return offer.passes(Some(super::next_instant(late_from)));
    }
    let message = match offer.span {
        Some(span) => {
            let days = now.duration_since(span.since).as_hours() / 24;
            format!("image {} has been offered for {days} days", offer.version)
        }
        None => format!("image {} is offered", offer.version),
    };
    let turn = upgrade(&offer);
    Verdict::fail(message, late_from.unwrap_or(now), turn, offer.evidence)
}

pub(super) fn channel_stalled(
    history: &NodeHistory,
    scope: &Scope<'_>,
    _: &Policy,
    now: Timestamp,
) -> Verdict {
    verdict_or!(of_a_provider(scope, "brings images by itself"));
    let Some(images) = scope.outside.images else {
        return Verdict::not_applicable("no images are at hand");
    };
    let channel = scope.outside.pool.and_then(|pool| images.catalogue().channel(&pool.key));
    let Some(channel) = channel else {
        return Verdict::not_applicable("nobody told of a channel that brings images");
    };
    if !channel.brings_images() {
        return Verdict::not_applicable(format!("channel {} brings none", channel.word()));
    }
    let offer = verdict_or!(newest(history, scope, now));
    let Some(span) = offer.span.filter(|_| offer.is_newer) else { return offer.passes(None) };
    let stalled_from = span.since.checked_add(OFFERED_STALE_AFTER).unwrap_or(Timestamp::MAX);
    if now <= stalled_from {
        return offer.passes(Some(super::next_instant(stalled_from)));
    }
    let days = now.duration_since(span.since).as_hours() / 24;
    let message = format!(
        "channel {} has not brought image {} in {days} days: look at the maintenance window and \
         at PodDisruptionBudgets, then ask the provider",
        channel.word(),
        offer.version
    );
    let action = Action::Investigate { at: "the pool's maintenance window and budgets".to_owned() };
    let valid_until = offer.until(None);
    let turn = Turn { responsible: Responsible::Customer, action, valid_until };
    Verdict::fail(message, stalled_from, turn, offer.evidence)
}

pub(super) fn line_frozen(
    history: &NodeHistory,
    scope: &Scope<'_>,
    policy: &Policy,
    now: Timestamp,
) -> Verdict {
    verdict_or!(of_a_provider(scope, "makes images"));
    let (image, since) = verdict_or!(facts(&history.node_image, ABSENT));
    let name = verdict_or!(named(image));
    let on_disk = format!("{} {}", name.sku, name.version);
    match policy.frozen_line(&name.sku, now) {
        None => Verdict::pass(vec![Evidence::new(&name.path, on_disk, "")]),
        Some(line) => {
            let message = format!("{} is the last image of line {}", line.last, line.definition);
            let action = Action::MigrateOsSku;
            let turn = Turn { responsible: Responsible::Customer, action, valid_until: None };
            Verdict::fail(message, since, turn, vec![Evidence::new(&name.path, on_disk, "")])
        }
    }
}

/// The stragglers of a pool: those on an older image than others of it are on.
pub(super) fn pool_mixed(
    history: &NodeHistory,
    scope: &Scope<'_>,
    _: &Policy,
    now: Timestamp,
) -> Verdict {
    verdict_or!(of_a_provider(scope, "makes pools of one image"));
    let (image, since) = verdict_or!(facts(&history.node_image, ABSENT));
    let name = verdict_or!(named(image));
    let Some(pool) = scope.outside.pool else {
        return Verdict::not_applicable("the other nodes of its pool are not known");
    };
    let built = |sku: &str, version: &str| {
        let node = NodeOnImage { sku, version };
        let catalogued = scope.outside.images.and_then(|images| {
            let family = images.line_of(node)?;
            Some(images.catalogue().build(&family, version))
        });
        let (day, number) = build_of(version).unzip();
        catalogued.unwrap_or((day, number.unwrap_or_default()))
    };
    let own = built(&name.sku, &name.version);
    // One node that lies about its image must not make findings of its neighbours: an image that
    // nothing else is known of counts once a second node runs it.
    let is_believed = |sku: &str, version: &str, nodes: usize| {
        let is_known = scope.outside.images.is_some_and(|images| {
            let family = images.line_of(NodeOnImage { sku, version });
            family.is_some_and(|family| images.catalogue().image(&family, version).is_some())
        });
        let is_own = (sku, version) == (name.sku.as_str(), name.version.as_str());
        nodes > 1 || is_known || is_own
    };
    let believed: Vec<(&String, &String, usize)> = pool
        .images
        .iter()
        .map(|((sku, version), nodes)| (sku, version, *nodes))
        .filter(|(sku, version, nodes)| is_believed(sku, version, *nodes))
        .collect();
    let evidence = believed.iter().map(|(sku, version, nodes)| {
        Evidence::new(pool.key.to_string(), format!("{} on {sku} {version}", count(*nodes)), "")
    });
    let evidence: Vec<Evidence> = evidence.collect();
    let newer = || believed.iter().filter(|(sku, version, _)| built(sku, version) > own);
    let Some((_, version, _)) = newer().max_by_key(|(sku, version, _)| built(sku, version)) else {
        return Verdict::pass(evidence);
    };
    let others: usize = newer().map(|(.., nodes)| nodes).sum();
    let others = match others {
        1 => format!("1 node of pool {} is", pool.key.pool),
        _ => format!("{others} nodes of pool {} are", pool.key.pool),
    };
    let message = format!("{others} on a newer image, up to {version}");
    let action = Action::UpgradeImage { to: Some((*version).clone()) };
    let turn = Turn { responsible: Responsible::Customer, action, valid_until: None };
    Verdict::fail(message, since.min(now), turn, super::super::shortened(evidence))
}

fn count(nodes: usize) -> String {
    format!("{nodes} node{}", if nodes == 1 { "" } else { "s" })
}
