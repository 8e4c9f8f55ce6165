//! Our own form of what an operator states of node pools, as TOML: offered images,
//! overrides, clusters, quotas and subnets.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use jiff::Timestamp;
use nodeward_domain::image::ImageLabel;
use nodeward_domain::pool::{
    ClusterProfile, NodeOsChannel, OfferedImage, OfferedPattern, PoolMode, PoolOverride,
    PoolPattern, PoolScaling, Quota, Share, Subnet, Undrainable,
};
use serde::Deserialize;
use toml::{Spanned, Value};

use super::{ClusterNames, OfferedError, Told, plain};
use crate::instant::{self, is_to_come};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    offered: Vec<Spanned<Offered>>,
    #[serde(default)]
    pool: Vec<Spanned<Pool>>,
    #[serde(default)]
    cluster: Vec<Spanned<Cluster>>,
    #[serde(default)]
    quota: Vec<Spanned<QuotaOf>>,
    #[serde(default)]
    subnet: Vec<Spanned<SubnetOf>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Offered {
    cluster: Option<String>,
    pool: String,
    image: String,
    as_of: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pool {
    cluster: Option<String>,
    pool: String,
    as_of: Option<Value>,
    nodes: Option<u32>,
    mode: Option<Mode>,
    vm_size: Option<String>,
    processors_per_node: Option<u32>,
    addresses_per_node: Option<u32>,
    zones: Option<Vec<String>>,
    region: Option<String>,
    scaling: Option<Scaling>,
    channel: Option<String>,
    max_surge: Option<Value>,
    max_unavailable: Option<Value>,
    drain_timeout_minutes: Option<u32>,
    soak_minutes: Option<u32>,
    undrainable: Option<WhenUndrainable>,
    tags: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    System,
    User,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Scaling {
    ScaleSet,
    NodeAutoProvisioning,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum WhenUndrainable {
    Stop,
    Quarantine,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cluster {
    cluster: Option<String>,
    as_of: Option<Value>,
    region: Option<String>,
    resource_group: Option<String>,
    kubernetes: Option<String>,
    channel: Option<String>,
    is_auto_provisioned: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QuotaOf {
    cluster: Option<String>,
    region: Option<String>,
    vm_family: Option<String>,
    processors_free: u32,
    as_of: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubnetOf {
    cluster: Option<String>,
    pool: Option<String>,
    addresses_free: u32,
    as_of: Option<Value>,
}

pub(super) fn read(
    file: &str,
    text: &str,
    now: Timestamp,
    names: &ClusterNames,
) -> Result<Told, OfferedError> {
    let read: File = toml::from_str(text).map_err(|error| OfferedError::Toml {
        file: file.to_owned(),
        line: line(text, error.span()),
        what: error.message().lines().collect::<Vec<_>>().join(" "),
    })?;
    let mut reader = Reader { file, text, now, names, seen: BTreeSet::new() };
    let mut told = Told::default();
    for one in read.offered {
        let at = reader.at(&one);
        reader.offered(&at, one.into_inner(), &mut told)?;
    }
    for one in read.pool {
        let at = reader.at(&one);
        told.overrides.push(reader.pool(&at, one.into_inner())?);
    }
    for one in read.cluster {
        let at = reader.at(&one);
        told.clusters.push(reader.cluster(&at, one.into_inner())?);
    }
    for one in read.quota {
        let at = reader.at(&one);
        told.quotas.push(reader.quota(&at, one.into_inner())?);
    }
    for one in read.subnet {
        let at = reader.at(&one);
        told.subnets.push(reader.subnet(&at, one.into_inner())?);
    }
    Ok(told)
}

/// The line that a place is in, counted from one.
fn line(text: &str, span: Option<Range<usize>>) -> usize {
    let end = span.map_or(0, |span| span.start).min(text.len());
    text.as_bytes()[..end].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// Where something stands.
struct At {
    file: String,
    line: usize,
}

impl At {
    fn wrong(&self, what: impl Into<String>) -> OfferedError {
        OfferedError::Line { file: self.file.clone(), line: self.line, what: what.into() }
    }

    fn name(&self, what: &str, text: &str) -> Result<String, OfferedError> {
        plain(text).map_err(|why| self.wrong(format!("{what}: {why}")))
    }

    fn optional(&self, what: &str, text: Option<String>) -> Result<Option<String>, OfferedError> {
        text.map(|text| self.name(what, &text)).transpose()
    }

    fn channel(&self, word: Option<String>) -> Result<Option<NodeOsChannel>, OfferedError> {
        let named = |word: String| {
            let unknown = || {
                let ones = "None, Unmanaged, SecurityPatch or NodeImage";
                self.wrong(format!("channel: {word:?} is none of {ones}"))
            };
            NodeOsChannel::named(&word).ok_or_else(unknown)
        };
        word.map(named).transpose()
    }

    fn share(&self, what: &str, value: Option<Value>) -> Result<Option<Share>, OfferedError> {
        let read = |value: Value| {
            let share = match &value {
                Value::String(text) => Share::parse(text),
                Value::Integer(number) => u32::try_from(*number).ok().map(Share::Nodes),
                _ => None,
            };
            let why = || format!("{what}: {value} is neither a number of nodes nor a percentage");
            share.ok_or_else(|| self.wrong(why()))
        };
        value.map(read).transpose()
    }
}

struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    now: Timestamp,
    names: &'a ClusterNames,
    seen: BTreeSet<String>,
}

impl Reader<'_> {
    fn at<T>(&self, one: &Spanned<T>) -> At {
        At { file: self.file.to_owned(), line: line(self.text, Some(one.span())) }
    }

    fn once(&mut self, at: &At, what: &str) -> Result<(), OfferedError> {
        match self.seen.insert(what.to_owned()) {
            true => Ok(()),
            false => Err(at.wrong(format!("{what} stands twice"))),
        }
    }

    /// The cluster's name in the fleet: as it stands there, or the one that the whole file is
    /// about.
    fn cluster_name(&self, at: &At, cluster: Option<&str>) -> Result<String, OfferedError> {
        let cluster = cluster.or(self.names.one.as_deref());
        at.name("cluster", cluster.ok_or_else(|| at.wrong("no cluster is named"))?)
    }

    fn pools(
        &self,
        at: &At,
        cluster: Option<&str>,
        pool: &str,
    ) -> Result<PoolPattern, OfferedError> {
        Ok(PoolPattern { cluster: self.cluster_name(at, cluster)?, pool: at.name("pool", pool)? })
    }

    /// When something was so: never in days to come.
    fn as_of(&self, at: &At, value: Option<Value>) -> Result<Timestamp, OfferedError> {
        let text = match value {
            None => return Ok(self.now),
            Some(Value::String(text)) => text,
            Some(Value::Datetime(moment)) => moment.to_string(),
            Some(other) => return Err(at.wrong(format!("as_of: {other} is no time"))),
        };
        let as_of = instant::read(&text).map_err(|source| OfferedError::AsOf {
            file: at.file.clone(),
            line: at.line,
            source,
        })?;
        match is_to_come(as_of, self.now) {
            true => Err(at.wrong(format!("as_of: {as_of} is still to come"))),
            false => Ok(as_of),
        }
    }

    fn offered(&mut self, at: &At, one: Offered, told: &mut Told) -> Result<(), OfferedError> {
        let pools = self.pools(at, one.cluster.as_deref(), &one.pool)?;
        let image =
            ImageLabel::parse(&one.image).map_err(|error| at.wrong(format!("image: {error}")))?;
        let as_of = self.as_of(at, one.as_of)?;
        match pools.exact() {
            Some(key) => {
                self.once(at, &format!("what is offered to {key}"))?;
                told.offered.push(OfferedImage { key, image, as_of });
            }
            None => {
                self.once(at, &format!("what is offered to {pools} of {}", image.family))?;
                told.offered_by_pattern.push(OfferedPattern { pools, image, as_of });
            }
        }
        Ok(())
    }

    fn pool(&mut self, at: &At, one: Pool) -> Result<PoolOverride, OfferedError> {
        let pools = self.pools(at, one.cluster.as_deref(), &one.pool)?;
        self.once(at, &format!("pool {pools}"))?;
        let zone = |zone: String| at.name("zones", &zone);
        let stated = PoolOverride {
            pools,
            as_of: self.as_of(at, one.as_of)?,
            nodes: one.nodes,
            mode: one.mode.map(|mode| match mode {
                Mode::System => PoolMode::System,
                Mode::User => PoolMode::User,
            }),
            vm_size: at.optional("vm_size", one.vm_size)?,
            processors_per_node: one.processors_per_node,
            addresses_per_node: one.addresses_per_node,
            zones: one
                .zones
                .map(|zones| zones.into_iter().map(zone).collect::<Result<_, _>>())
                .transpose()?,
            region: at.optional("region", one.region)?,
            scaling: one.scaling.map(|scaling| match scaling {
                Scaling::ScaleSet => PoolScaling::ScaleSet,
                Scaling::NodeAutoProvisioning => PoolScaling::NodeAutoProvisioning,
            }),
            channel: at.channel(one.channel)?,
            max_surge: at.share("max_surge", one.max_surge)?,
            max_unavailable: at.share("max_unavailable", one.max_unavailable)?,
            drain_timeout_minutes: one.drain_timeout_minutes,
            soak_minutes: one.soak_minutes,
            undrainable: one.undrainable.map(|when| match when {
                WhenUndrainable::Stop => Undrainable::Stop,
                WhenUndrainable::Quarantine => Undrainable::Quarantine,
            }),
            tags: one
                .tags
                .map(|tags| {
                    let tag = |(key, value): (String, String)| {
                        // A tag may have no value.
                        let value = match value.trim() {
                            "" => String::new(),
                            value => at.name(&format!("tags.{key}"), value)?,
                        };
                        Ok((at.name("tags", &key)?, value))
                    };
                    tags.into_iter().map(tag).collect::<Result<_, OfferedError>>()
                })
                .transpose()?,
        };
        for (what, per_node) in [
            ("processors_per_node", stated.processors_per_node),
            ("addresses_per_node", stated.addresses_per_node),
        ] {
            if per_node == Some(0) {
                return Err(at.wrong(format!("{what}: no node is without")));
            }
        }
        let is_zero = |share: Option<Share>| share.is_some_and(|share| share.of(u32::MAX) == 0);
        if is_zero(stated.max_surge) && stated.max_unavailable.is_none_or(|s| is_zero(Some(s))) {
            let what = "max_surge: it and max_unavailable are both zero: no upgrade can go through";
            return Err(at.wrong(what));
        }
        Ok(stated)
    }

    fn cluster(&mut self, at: &At, one: Cluster) -> Result<ClusterProfile, OfferedError> {
        let cluster = self.cluster_name(at, one.cluster.as_deref())?;
        self.once(at, &format!("cluster {cluster}"))?;
        Ok(ClusterProfile {
            cluster,
            as_of: self.as_of(at, one.as_of)?,
            resource_group: at.optional("resource_group", one.resource_group)?,
            resource: None,
            region: at.optional("region", one.region)?,
            kubernetes: at.optional("kubernetes", one.kubernetes)?,
            channel: at.channel(one.channel)?,
            is_auto_provisioned: one.is_auto_provisioned,
        })
    }

    fn quota(&mut self, at: &At, one: QuotaOf) -> Result<Quota, OfferedError> {
        let quota = Quota {
            cluster: self.cluster_name(at, one.cluster.as_deref())?,
            region: at.optional("region", one.region)?,
            vm_family: at
                .optional("vm_family", one.vm_family)?
                .filter(|family| !family.eq_ignore_ascii_case("any")),
            processors_free: one.processors_free,
            as_of: self.as_of(at, one.as_of)?,
        };
        let of = |text: &Option<String>| text.clone().unwrap_or_else(|| "any".to_owned());
        let (family, region) = (of(&quota.vm_family), of(&quota.region));
        self.once(at, &format!("the quota of {}: {family} in {region}", quota.cluster))?;
        Ok(quota)
    }

    fn subnet(&mut self, at: &At, one: SubnetOf) -> Result<Subnet, OfferedError> {
        let pools = self.pools(at, one.cluster.as_deref(), one.pool.as_deref().unwrap_or("*"))?;
        self.once(at, &format!("the subnet of {pools}"))?;
        Ok(Subnet { pools, addresses_free: one.addresses_free, as_of: self.as_of(at, one.as_of)? })
    }
}
