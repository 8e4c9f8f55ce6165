//! Answers of AKS about node pools, their upgrade profiles and clusters: as `az` writes
//! them, one or an array of them, one after the other or in one file, and as the REST
//! interface does, below `properties` and in pages `value`. What each is, is told by its
//! `id`, and there alone stand the names of cluster and pool. Fields that are null have
//! the provider's default. Case of field names is passed over: it differs between `az` and
//! REST (`nodeOsUpgradeChannel`, `nodeOSUpgradeChannel`).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use nodeward_domain::image::ImageLabel;
use nodeward_domain::pool::{
    ClusterProfile, ClusterResource, NodeOsChannel, OfferedImage, PoolKey, PoolMode, PoolProfile,
    Power, Share, Undrainable, UpgradeSettings,
};
use serde_json::{Map, Value};

use super::{ClusterNames, OfferedError, Told, plain};

pub(super) fn read(
    file: &str,
    text: &str,
    now: Timestamp,
    names: &ClusterNames,
) -> Result<Told, OfferedError> {
    let mut reader = Reader {
        file,
        now,
        names,
        told: Told::default(),
        in_clusters: Vec::new(),
        seen: BTreeSet::new(),
    };
    let documents = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    for (index, document) in documents.enumerate() {
        let document =
            document.map_err(|source| OfferedError::Json { file: file.to_owned(), source })?;
        let place = if index == 0 { String::new() } else { format!("document {}", index + 1) };
        reader.document(&place, &document)?;
    }
    Ok(reader.finish())
}

struct Reader<'a> {
    file: &'a str,
    now: Timestamp,
    names: &'a ClusterNames,
    told: Told,
    /// Pools that stand in a cluster. One that stands by itself as well goes before.
    in_clusters: Vec<PoolProfile>,
    seen: BTreeSet<String>,
}

impl Reader<'_> {
    fn document(&mut self, place: &str, document: &Value) -> Result<(), OfferedError> {
        match document {
            Value::Array(list) => self.list(place, list),
            Value::Object(object) => match object.get("value") {
                Some(Value::Array(list)) => {
                    let next = object.get("nextLink").and_then(Value::as_str).unwrap_or_default();
                    if !next.is_empty() {
                        return Err(OfferedError::Page { file: self.file.to_owned() });
                    }
                    self.list(&format!("{place}value"), list)
                }
                _ => self.one(place, object),
            },
            _ => Err(self.no_kind(place, "it is no object")),
        }
    }

    fn list(&mut self, place: &str, list: &[Value]) -> Result<(), OfferedError> {
        for (index, one) in list.iter().enumerate() {
            let place = format!("{place}[{index}]");
            match one {
                Value::Object(object) => self.one(&place, object)?,
                _ => return Err(self.no_kind(&place, "it is no object")),
            }
        }
        Ok(())
    }

    fn no_kind(&self, place: &str, what: impl Into<String>) -> OfferedError {
        let place = if place.is_empty() { "the document" } else { place };
        OfferedError::Kind {
            file: self.file.to_owned(),
            place: place.to_owned(),
            what: what.into(),
        }
    }

    fn one(&mut self, place: &str, object: &Map<String, Value>) -> Result<(), OfferedError> {
        let Some(Value::String(text)) = object.get("id") else {
            return Err(self.no_kind(place, "it has no id"));
        };
        let id = Id::parse(text).map_err(|what| self.no_kind(place, format!("id: {what}")))?;
        let cluster = self.cluster_name(&id)?;
        match (&id.pool, id.is_upgrade_profile) {
            (Some(pool), true) => {
                self.upgrade_profile(PoolKey { cluster, pool: pool.clone() }, object)
            }
            (Some(pool), false) => {
                let key = PoolKey { cluster, pool: pool.clone() };
                self.once(format!("pool {key}"))?;
                let mut profile = self.pool(key, object)?;
                profile.resource = self.told.resources.get(&profile.key.cluster).cloned();
                profile.resource_group = Some(id.group);
                self.told.pools.push(profile);
                Ok(())
            }
            (None, false) => self.cluster(&cluster, id.group, object),
            (None, true) => Err(self.no_kind(
                place,
                "it is the upgrade profile of a cluster, which names no node image",
            )),
        }
    }

    fn once(&mut self, what: String) -> Result<(), OfferedError> {
        match self.seen.insert(what.clone()) {
            true => Ok(()),
            false => Err(OfferedError::Twice { file: self.file.to_owned(), what }),
        }
    }

    /// What a cluster is called in the fleet. Two of them are never called the same, and one
    /// never by two names that differ in the case of letters alone.
    fn cluster_name(&mut self, id: &Id) -> Result<String, OfferedError> {
        let resource = ClusterResource {
            subscription: id.subscription.clone(),
            resource_group: id.group.clone(),
            cluster: id.cluster.clone(),
        };
        let known = &mut self.told.resources;
        if let Some((name, _)) = known.iter().find(|(_, other)| other.is_same(&resource)) {
            return Ok(name.clone());
        }
        let name = self.names.of(&id.group, &id.cluster);
        match known.get(&name) {
            Some(other) => Err(OfferedError::Clusters {
                file: self.file.to_owned(),
                name,
                one: other.to_string(),
                other: resource.to_string(),
            }),
            None => {
                known.insert(name.clone(), resource);
                Ok(name)
            }
        }
    }

    fn upgrade_profile(
        &mut self,
        key: PoolKey,
        object: &Map<String, Value>,
    ) -> Result<(), OfferedError> {
        const FIELD: &str = "latestNodeImageVersion";
        self.once(format!("the upgrade profile of {key}"))?;
        let fields = Fields::of(self.file, &key.to_string(), object);
        let Some(text) = fields.text(FIELD)? else {
            self.told.unnamed.push(key);
            return Ok(());
        };
        let image =
            ImageLabel::parse(&text).map_err(|error| fields.wrong(FIELD, error.to_string()))?;
        self.told.offered.push(OfferedImage { key, image, as_of: self.now });
        Ok(())
    }

    fn cluster(
        &mut self,
        cluster: &str,
        group: String,
        object: &Map<String, Value>,
    ) -> Result<(), OfferedError> {
        self.once(format!("cluster {cluster}"))?;
        let fields = Fields::of(self.file, cluster, object);
        let (mut remarks, mut pools) = (Vec::new(), Vec::new());
        let channel = match fields.below("autoUpgradeProfile", "autoUpgradeProfile.")? {
            Some(upgrades) => {
                let node_os = upgrades.word("nodeOSUpgradeChannel", &mut remarks, |word| {
                    NodeOsChannel::named(word)
                })?;
                // The older way to have whole images brought: the cluster's own channel.
                let of_cluster = upgrades.text("upgradeChannel")?;
                let is_by_cluster =
                    of_cluster.is_some_and(|word| word.eq_ignore_ascii_case("node-image"));
                node_os.or_else(|| is_by_cluster.then_some(NodeOsChannel::NodeImage))
            }
            None => None,
        };
        let is_auto_provisioned = match fields
            .below("nodeProvisioningProfile", "nodeProvisioningProfile.")?
        {
            Some(profile) => profile.text("mode")?.map(|mode| mode.eq_ignore_ascii_case("auto")),
            None => None,
        };
        let profile = ClusterProfile {
            cluster: cluster.to_owned(),
            as_of: self.now,
            resource_group: Some(group),
            resource: self.told.resources.get(cluster).cloned(),
            region: fields.text("location")?,
            kubernetes: match fields.text("currentKubernetesVersion")? {
                Some(version) => Some(version),
                None => fields.text("kubernetesVersion")?,
            },
            channel,
            is_auto_provisioned,
        };
        for (index, one) in fields.list("agentPoolProfiles")?.iter().enumerate() {
            let place = format!("{cluster}: agentPoolProfiles[{index}]");
            let Value::Object(object) = one else {
                return Err(self.no_kind(&place, "it is no object"));
            };
            let Some(pool) = Fields::of(self.file, &place, object).text("name")? else {
                return Err(self.no_kind(&place, "it has no name"));
            };
            let pool = pool.to_lowercase();
            pools.push((PoolKey { cluster: cluster.to_owned(), pool }, object));
        }
        self.told.remarks.append(&mut remarks);
        for (key, object) in pools {
            self.once(format!("pool {key} in its cluster"))?;
            let pool = self.pool(key, object)?;
            self.in_clusters.push(pool);
        }
        self.told.clusters.push(profile);
        Ok(())
    }

    fn pool(
        &mut self,
        key: PoolKey,
        object: &Map<String, Value>,
    ) -> Result<PoolProfile, OfferedError> {
        let fields = Fields::of(self.file, &key.to_string(), object);
        let mut remarks = Vec::new();
        let mode = fields.word("mode", &mut remarks, |word| match word {
            _ if word.eq_ignore_ascii_case("System") => Some(PoolMode::System),
            _ if word.eq_ignore_ascii_case("User") => Some(PoolMode::User),
            _ => None,
        })?;
        let image =
            fields.word("nodeImageVersion", &mut remarks, |text| ImageLabel::parse(text).ok())?;
        let power = match fields.below("powerState", "powerState.")? {
            Some(state) => state.word("code", &mut remarks, |word| match word {
                _ if word.eq_ignore_ascii_case("Running") => Some(Power::Running),
                _ if word.eq_ignore_ascii_case("Stopped") => Some(Power::Stopped),
                _ => None,
            })?,
            None => None,
        };
        let kubernetes = match fields.text("currentOrchestratorVersion")? {
            Some(version) => Some(version),
            None => fields.text("orchestratorVersion")?,
        };
        let profile = PoolProfile {
            nodes: fields.number("count")?,
            autoscaled: autoscaled(&fields)?,
            mode,
            kubernetes,
            image,
            os_sku: fields.text("osSku")?,
            vm_size: fields.text("vmSize")?,
            zones: fields.texts("availabilityZones")?,
            power,
            provisioning: fields.text("provisioningState")?,
            upgrade: upgrade(&fields, &mut remarks)?,
            tags: Some(fields.tags()?),
            ..PoolProfile::unstated(key, self.now)
        };
        self.told.remarks.append(&mut remarks);
        Ok(profile)
    }

    fn finish(self) -> Told {
        let mut told = self.told;
        let alone: BTreeSet<PoolKey> = told.pools.iter().map(|pool| pool.key.clone()).collect();
        told.pools.extend(self.in_clusters.into_iter().filter(|pool| !alone.contains(&pool.key)));
        for cluster in &told.clusters {
            told.pools.iter_mut().for_each(|pool| cluster.fill(pool));
        }
        told
    }
}

fn autoscaled(fields: &Fields<'_>) -> Result<Option<(u32, u32)>, OfferedError> {
    if fields.flag("enableAutoScaling")? != Some(true) {
        return Ok(None);
    }
    let bound = |field: &'static str| {
        let missing = || fields.wrong(field, "an autoscaled pool does not name it".to_owned());
        fields.number(field)?.ok_or_else(missing)
    };
    let (least, most) = (bound("minCount")?, bound("maxCount")?);
    if least > most {
        return Err(fields.wrong("minCount", format!("{least} is more than maxCount, {most}")));
    }
    Ok(Some((least, most)))
}

fn upgrade(
    fields: &Fields<'_>,
    remarks: &mut Vec<String>,
) -> Result<UpgradeSettings, OfferedError> {
    let default = UpgradeSettings::default();
    let Some(settings) = fields.below("upgradeSettings", "upgradeSettings.")? else {
        return Ok(default);
    };
    let undrainable = settings.word("undrainableNodeBehavior", remarks, |word| match word {
        _ if word.eq_ignore_ascii_case("Schedule") => Some(Undrainable::Stop),
        _ if word.eq_ignore_ascii_case("Cordon") => Some(Undrainable::Quarantine),
        _ => None,
    })?;
    let read = UpgradeSettings {
        max_surge: settings.share("maxSurge")?.unwrap_or(default.max_surge),
        max_unavailable: settings.share("maxUnavailable")?.unwrap_or(default.max_unavailable),
        drain_timeout_minutes: settings
            .number("drainTimeoutInMinutes")?
            .unwrap_or(default.drain_timeout_minutes),
        soak_minutes: settings.number("nodeSoakDurationInMinutes")?.unwrap_or(default.soak_minutes),
        undrainable: undrainable.unwrap_or(default.undrainable),
    };
    if read.max_surge.of(u32::MAX) == 0 && read.max_unavailable.of(u32::MAX) == 0 {
        let what = "it and maxUnavailable are both zero: no upgrade can go through".to_owned();
        return Err(settings.wrong("maxSurge", what));
    }
    Ok(read)
}

/// The names in the `id` of a resource.
struct Id {
    subscription: String,
    group: String,
    cluster: String,
    pool: Option<String>,
    is_upgrade_profile: bool,
}

impl Id {
    /// Reads `/subscriptions/…/resourceGroups/RG/providers/Microsoft.ContainerService/
    /// managedClusters/C/agentPools/P/upgradeProfiles/default`; how the words between the
    /// names are capitalised differs between interfaces.
    fn parse(text: &str) -> Result<Self, String> {
        let odd =
            || format!("{:?} is no id of a resource", text.chars().take(200).collect::<String>());
        let text = plain(text)?;
        let segments: Vec<&str> = text.strip_prefix('/').ok_or_else(odd)?.split('/').collect();
        let pairs = segments.chunks_exact(2);
        if !pairs.remainder().is_empty() {
            return Err(odd());
        }
        let mut named = BTreeMap::new();
        for pair in pairs {
            let [word, name] = pair else { continue };
            let name = name.trim();
            if name.is_empty() || named.insert(word.to_ascii_lowercase(), name.to_owned()).is_some()
            {
                return Err(odd());
            }
        }
        let mut name = |word: &str| named.remove(word);
        let missing = |word: &str| format!("no {word} in it");
        Ok(Self {
            subscription: name("subscriptions").ok_or_else(|| missing("subscriptions"))?,
            group: name("resourcegroups").ok_or_else(|| missing("resourceGroups"))?,
            cluster: name("managedclusters").ok_or_else(|| missing("managedClusters"))?,
            // Written small wherever nodes name it, and told apart by no case of letters.
            pool: name("agentpools").map(|pool| pool.to_lowercase()),
            is_upgrade_profile: name("upgradeprofiles").is_some(),
        })
    }
}

/// The fields of one object: those below `properties`, as REST has them, before its own.
struct Fields<'a> {
    file: &'a str,
    place: String,
    /// The field that the object is the value of, with a dot behind it.
    above: &'static str,
    object: &'a Map<String, Value>,
    properties: Option<&'a Map<String, Value>>,
}

impl<'a> Fields<'a> {
    fn of(file: &'a str, place: &str, object: &'a Map<String, Value>) -> Self {
        let properties = match object.get("properties") {
            Some(Value::Object(properties)) => Some(properties),
            _ => None,
        };
        Self { file, place: place.to_owned(), above: "", object, properties }
    }

    fn wrong(&self, field: &str, what: String) -> OfferedError {
        OfferedError::Field {
            file: self.file.to_owned(),
            place: self.place.clone(),
            field: format!("{}{field}", self.above),
            what,
        }
    }

    /// The value of a field. None where it is not there, or null.
    fn get(&self, field: &str) -> Option<&'a Value> {
        let of = |object: &'a Map<String, Value>| {
            let any_case = || object.iter().find(|(name, _)| name.eq_ignore_ascii_case(field));
            object.get(field).or_else(|| any_case().map(|(_, value)| value))
        };
        let found = self.properties.and_then(of).or_else(|| of(self.object));
        found.filter(|value| !value.is_null())
    }

    /// A text. None where it is empty, too.
    fn text(&self, field: &str) -> Result<Option<String>, OfferedError> {
        match self.get(field) {
            None => Ok(None),
            Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
            Some(Value::String(text)) => {
                plain(text).map(Some).map_err(|what| self.wrong(field, what))
            }
            Some(other) => Err(self.wrong(field, format!("{} is no text", short(other)))),
        }
    }

    /// What a word means. One that is not known is remarked, and passed over.
    fn word<T>(
        &self,
        field: &str,
        remarks: &mut Vec<String>,
        meaning: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, OfferedError> {
        let Some(word) = self.text(field)? else { return Ok(None) };
        let meant = meaning(&word);
        if meant.is_none() {
            let above = self.above;
            remarks.push(format!("{}: {above}{field}: {word:?} is not known", self.place));
        }
        Ok(meant)
    }

    fn number(&self, field: &str) -> Result<Option<u32>, OfferedError> {
        let Some(value) = self.get(field) else { return Ok(None) };
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        let wrong = || self.wrong(field, format!("{} is no number from zero up", short(value)));
        number.map(Some).ok_or_else(wrong)
    }

    fn share(&self, field: &str) -> Result<Option<Share>, OfferedError> {
        let Some(value) = self.get(field) else { return Ok(None) };
        let share = match value {
            Value::String(text) if text.trim().is_empty() => return Ok(None),
            Value::String(text) => Share::parse(text),
            Value::Number(number) => Share::parse(&number.to_string()),
            _ => None,
        };
        let wrong = || {
            self.wrong(
                field,
                format!("{} is neither a number of nodes nor a percentage", short(value)),
            )
        };
        share.map(Some).ok_or_else(wrong)
    }

    fn flag(&self, field: &str) -> Result<Option<bool>, OfferedError> {
        match self.get(field) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => {
                Err(self.wrong(field, format!("{} is neither true nor false", short(other))))
            }
        }
    }

    fn list(&self, field: &str) -> Result<&'a [Value], OfferedError> {
        match self.get(field) {
            None => Ok(&[]),
            Some(Value::Array(list)) => Ok(list),
            Some(other) => Err(self.wrong(field, format!("{} is no list", short(other)))),
        }
    }

    fn texts(&self, field: &str) -> Result<Vec<String>, OfferedError> {
        let text = |value: &Value| match value {
            Value::String(text) => plain(text).map_err(|what| self.wrong(field, what)),
            other => Err(self.wrong(field, format!("{} is no text", short(other)))),
        };
        self.list(field)?.iter().map(text).collect()
    }

    fn below(&self, field: &str, above: &'static str) -> Result<Option<Self>, OfferedError> {
        match self.get(field) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(Self {
                file: self.file,
                place: self.place.clone(),
                above,
                object,
                properties: None,
            })),
            Some(other) => Err(self.wrong(field, format!("{} is no object", short(other)))),
        }
    }

    /// Tags by key. A tag may be empty.
    fn tags(&self) -> Result<Vec<(String, String)>, OfferedError> {
        let Some(below) = self.below("tags", "tags.")? else { return Ok(Vec::new()) };
        let mut tags = Vec::new();
        for (key, value) in below.object {
            let key = plain(key).map_err(|what| self.wrong("tags", what))?;
            let value = match value {
                Value::Null => String::new(),
                Value::String(text) if text.trim().is_empty() => String::new(),
                Value::String(text) => plain(text).map_err(|what| below.wrong(&key, what))?,
                other => return Err(below.wrong(&key, format!("{} is no text", short(other)))),
            };
            tags.push((key, value));
        }
        tags.sort();
        Ok(tags)
    }
}

/// A value in a message: itself where it is short.
fn short(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        plain => plain.to_string().chars().take(80).collect(),
    }
}
