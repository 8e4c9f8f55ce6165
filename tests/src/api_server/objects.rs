//! What the API server of the tests holds: objects by resource, each change under a revision
//! of its own, and the changes that watches are told of until they are compacted.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

/// A resource that is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resource {
    /// Its group; empty for the core.
    pub group: &'static str,
    /// Its name in paths.
    pub plural: &'static str,
    /// What one of them is called.
    pub singular: &'static str,
    /// Its kind.
    pub kind: &'static str,
    /// Whether its objects lie in namespaces.
    pub namespaced: bool,
}

const fn resource(
    group: &'static str,
    plural: &'static str,
    singular: &'static str,
    kind: &'static str,
    namespaced: bool,
) -> Resource {
    Resource { group, plural, singular, kind, namespaced }
}

/// Everything that is served.
pub const RESOURCES: [Resource; 6] = [
    resource("", "namespaces", "namespace", "Namespace", false),
    resource("", "nodes", "node", "Node", false),
    resource("", "pods", "pod", "Pod", true),
    resource("", "events", "event", "Event", true),
    resource("coordination.k8s.io", "leases", "lease", "Lease", true),
    resource("policy", "poddisruptionbudgets", "poddisruptionbudget", "PodDisruptionBudget", true),
];

impl Resource {
    /// The resource in a path.
    #[must_use]
    pub fn in_path(group: &str, plural: &str) -> Option<Self> {
        RESOURCES.into_iter().find(|one| one.group == group && one.plural == plural)
    }

    /// The resource whose objects are of that kind.
    #[must_use]
    pub fn of_kind(kind: &str) -> Option<Self> {
        RESOURCES.into_iter().find(|one| one.kind == kind)
    }

    /// `v1`, or group and version.
    #[must_use]
    pub fn api_version(self) -> String {
        if self.group.is_empty() { "v1".to_owned() } else { format!("{}/v1", self.group) }
    }

    /// The resource as refusals write it: `nodes`, or `leases.coordination.k8s.io`.
    #[must_use]
    pub fn qualified(self) -> String {
        if self.group.is_empty() {
            self.plural.to_owned()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }
}

/// Resource, namespace and name.
pub type Key = (Resource, String, String);

/// One change.
#[derive(Debug, Clone)]
pub struct Change {
    /// Its revision.
    pub revision: u64,
    /// What was changed.
    pub resource: Resource,
    /// `ADDED`, `MODIFIED` or `DELETED`.
    pub kind: &'static str,
    /// How it stands now; how it stood last, if it is gone.
    pub object: Value,
    /// How it stood before.
    pub before: Option<Value>,
}

/// All objects, and the changes that are not compacted.
#[derive(Debug, Default)]
pub struct Objects {
    held: BTreeMap<Key, Value>,
    revision: u64,
    compacted: u64,
    changes: Vec<Change>,
}

impl Objects {
    /// The revision of the last change.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// Changes up to this one are forgotten.
    #[must_use]
    pub const fn compacted(&self) -> u64 {
        self.compacted
    }

    /// Creates or replaces an object, by its kind and name. What a server fills in is filled in
    /// where it is missing.
    ///
    /// # Panics
    /// When it is of no kind that is served, or has no name.
    pub fn put(&mut self, mut object: Value, now: jiff::Timestamp) -> Value {
        let kind = object["kind"].as_str().expect("an object has a kind").to_owned();
        let resource = Resource::of_kind(&kind).unwrap_or_else(|| panic!("{kind} is not served"));
        let (namespace, name) = place(&object);
        assert!(!name.is_empty(), "an object has a name");
        assert_eq!(resource.namespaced, !namespace.is_empty(), "{kind} {namespace}/{name}");
        let key = (resource, namespace, name);
        let before = self.held.get(&key).cloned();
        self.revision += 1;
        let metadata = object["metadata"].as_object_mut().expect("metadata");
        metadata.insert("resourceVersion".to_owned(), json!(self.revision.to_string()));
        let born = before.as_ref().map(|before| &before["metadata"]["creationTimestamp"]);
        let born = born.cloned().unwrap_or_else(|| json!(seconds(now)));
        metadata.entry("creationTimestamp").or_insert(born);
        let same = before.as_ref().map(|before| before["metadata"]["uid"].clone());
        let uid = same.unwrap_or_else(|| json!(uid(self.revision)));
        metadata.entry("uid").or_insert(uid);
        object["apiVersion"] = json!(resource.api_version());
        self.held.insert(key, object.clone());
        let kind = if before.is_some() { "MODIFIED" } else { "ADDED" };
        self.tell(resource, kind, object.clone(), before);
        object
    }

    /// Puts an object as it was captured, under its own revision.
    ///
    /// # Panics
    /// When it is of no kind that is served.
    pub fn put_as_captured(&mut self, object: Value) {
        let kind = object["kind"].as_str().unwrap_or_default();
        let resource = Resource::of_kind(kind).unwrap_or_else(|| panic!("{kind} is not served"));
        let (namespace, name) = place(&object);
        let own = object["metadata"]["resourceVersion"].as_str();
        self.revision = self.revision.max(own.and_then(|own| own.parse().ok()).unwrap_or(0));
        self.held.insert((resource, namespace, name), object.clone());
        self.tell(resource, "ADDED", object, None);
    }

    /// Takes an object away; false when it is not there.
    pub fn remove(&mut self, kind: &str, namespace: &str, name: &str) -> bool {
        let Some(resource) = Resource::of_kind(kind) else { return false };
        let key = (resource, namespace.to_owned(), name.to_owned());
        let Some(mut object) = self.held.remove(&key) else { return false };
        self.revision += 1;
        let before = Some(object.clone());
        object["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        self.tell(resource, "DELETED", object, before);
        true
    }

    fn tell(
        &mut self,
        resource: Resource,
        kind: &'static str,
        object: Value,
        before: Option<Value>,
    ) {
        let revision = self.revision;
        self.changes.push(Change { revision, resource, kind, object, before });
    }

    /// Forgets all changes: who asks for them is told that they are gone.
    pub fn compact(&mut self) {
        self.compacted = self.revision;
        self.changes.clear();
    }

    /// One object.
    #[must_use]
    pub fn get(&self, resource: Resource, namespace: &str, name: &str) -> Option<&Value> {
        self.held.get(&(resource, namespace.to_owned(), name.to_owned()))
    }

    /// All that are selected, by namespace and name.
    #[must_use]
    pub fn list(&self, selected: &Selected) -> Vec<&Value> {
        let of =
            |(key, object): &(&Key, &Value)| key.0 == selected.resource && selected.holds(object);
        self.held.iter().filter(of).map(|(_, object)| object).collect()
    }

    /// What a watch is told that has seen everything up to `after`.
    #[must_use]
    pub fn since(&self, after: u64, selected: &Selected) -> Vec<(&'static str, Value)> {
        let newer = self
            .changes
            .iter()
            .filter(|change| change.revision > after && change.resource == selected.resource);
        newer.filter_map(|change| selected.seen(change)).collect()
    }
}

/// What of a resource is asked for.
#[derive(Debug, Clone)]
pub struct Selected {
    /// The resource.
    pub resource: Resource,
    /// Its namespace; empty for all.
    pub namespace: String,
    /// Fields, by path, that must have a value.
    pub fields: Vec<(String, String)>,
    /// Labels that must have a value.
    pub labels: Vec<(String, String)>,
}

impl Selected {
    fn holds(&self, object: &Value) -> bool {
        let (namespace, _) = place(object);
        let field = |path: &str| {
            let found = path.split('.').fold(object, |at, part| &at[part]);
            found.as_str().unwrap_or_default().to_owned()
        };
        (self.namespace.is_empty() || self.namespace == namespace)
            && self.fields.iter().all(|(path, value)| field(path) == *value)
            && self.labels.iter().all(|(name, value)| object["metadata"]["labels"][name] == **value)
    }

    /// A change as it is seen through the selection: what comes into it is added, what leaves
    /// it is deleted.
    fn seen(&self, change: &Change) -> Option<(&'static str, Value)> {
        let before = change.before.as_ref().is_some_and(|before| self.holds(before));
        let now = change.kind != "DELETED" && self.holds(&change.object);
        let kind = match (before, now) {
            (false, false) => return None,
            (false, true) => "ADDED",
            (true, true) => "MODIFIED",
            (true, false) => "DELETED",
        };
        Some((kind, change.object.clone()))
    }
}

/// Namespace and name.
fn place(object: &Value) -> (String, String) {
    let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default().to_owned();
    (text("namespace"), text("name"))
}

/// An instant as objects write it.
#[must_use]
pub fn seconds(instant: jiff::Timestamp) -> String {
    instant.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A UID that no other object has.
fn uid(revision: u64) -> String {
    let random = std::fs::read_to_string("/proc/sys/kernel/random/uuid");
    random.map_or_else(
        |_| format!("00000000-0000-4000-8000-{revision:012}"),
        |text| text.trim().to_owned(),
    )
}

/// Who may do what: user, verb, resource; `*` for all.
#[derive(Debug, Default)]
pub struct Rights(BTreeSet<(String, String, String)>);

impl Rights {
    /// Lets a user do that.
    pub fn allow(&mut self, user: &str, verb: &str, resource: &str) {
        self.0.insert((user.to_owned(), verb.to_owned(), resource.to_owned()));
    }

    /// Takes all rights of a user away.
    pub fn withdraw(&mut self, user: &str) {
        self.0.retain(|(one, ..)| one != user);
    }

    /// Whether a user may.
    #[must_use]
    pub fn may(&self, user: &str, verb: &str, resource: &str) -> bool {
        let fits = |rule: &str, asked: &str| rule == "*" || rule == asked;
        self.0.iter().any(|(one, verbs, resources)| {
            one == user && fits(verbs, verb) && fits(resources, resource)
        })
    }
}
