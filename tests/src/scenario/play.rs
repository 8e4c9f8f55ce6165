//! A story as it happens: nodes report round by round, documents come in, and what is then
//! known is a fleet.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use nodeward_agent::collect::COLLECTOR_LIMIT;
use nodeward_agent::host::Resolution;
use nodeward_agent::round::{Order, round};
use nodeward_aggregator::advisories::Advisories;
use nodeward_aggregator::fleet::Fleet;
use nodeward_aggregator::images::names_of;
use nodeward_aggregator::peer::Peer;
use nodeward_domain::check::Presented;
use nodeward_domain::fixes::images::Images;
use nodeward_domain::measured::Measurements;
use nodeward_domain::plan::Plan;
use nodeward_feeds::image_document::read_image_document;
use nodeward_proto::content::Content;
use nodeward_proto::report::{Report, timestamp};
use nodeward_proto::v1;

use super::{Change, Document, Node, Scenario, files};
use crate::host::HostCopy;

/// A story that happens.
#[derive(Debug)]
pub struct Story<'a> {
    scenario: &'a Scenario,
    folder: &'a Path,
    pub(super) fleet: Fleet,
    actors: Vec<Actor<'a>>,
    documents: &'a [Document],
    /// Plans that were made in it, by name.
    pub(super) plans: BTreeMap<String, Plan>,
}

/// A node on its way through a story.
#[derive(Debug)]
struct Actor<'a> {
    node: &'a Node,
    host: HostCopy,
    /// Its next round.
    next: Timestamp,
    changes: &'a [Change],
    /// So many times it was made anew.
    lives: usize,
}

impl<'a> Story<'a> {
    /// Before anything has happened.
    #[must_use]
    pub fn begin(scenario: &'a Scenario, folder: &'a Path) -> Self {
        let are_in_order = scenario.document.is_sorted_by_key(|document| document.at);
        assert!(are_in_order, "documents are imported one after the other");
        let fleet = Fleet::new(scenario.policy(), scenario.advisories(folder));
        let actors = scenario.node.iter().map(Actor::begin).collect();
        let documents = &scenario.document;
        Self { scenario, folder, fleet, actors, documents, plans: BTreeMap::new() }
    }

    /// Lets everything happen up to a moment.
    ///
    /// # Panics
    /// When a node's report is not one that an aggregator would take, or a document cannot be
    /// read.
    pub async fn until(&mut self, now: Timestamp) {
        while let Some((first, rest)) = self.documents.split_first()
            && first.at <= now
        {
            self.import(first);
            self.documents = rest;
        }
        for actor in &mut self.actors {
            actor.until(now, self.folder, &self.fleet).await;
        }
    }

    /// Everything must have happened by now.
    ///
    /// # Panics
    /// When something has not.
    pub fn end(&self) {
        assert!(self.documents.is_empty(), "a document comes after the end of the story");
        for Actor { node, changes, .. } in &self.actors {
            assert!(changes.is_empty(), "{}: a change comes after the last round", node.name);
        }
    }

    /// What is known at its end.
    #[must_use]
    pub fn into_fleet(self) -> Fleet {
        self.end();
        self.fleet
    }

    /// What is known so far.
    #[must_use]
    pub const fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// A plan that was made in it.
    #[must_use]
    pub fn plan(&self, name: &str) -> &Plan {
        self.plans.get(name).unwrap_or_else(|| panic!("no plan {name} was made"))
    }

    fn import(&self, document: &Document) {
        // The catalogue takes the place of what is told to be offered to every node.
        assert!(self.scenario.offered.is_empty(), "either `offered` or documents");
        let before = self.fleet.advisories();
        let mut catalogue = before.images().catalogue().clone();
        let names = names_of(document.cluster.as_deref());
        let paths = document.paths.iter().flat_map(|path| files(&self.folder.join(path)));
        for path in paths {
            let bytes = std::fs::read(&path).expect("a file of the story");
            let name = path.to_string_lossy();
            read_image_document(&name, &bytes, &names, document.at)
                .unwrap_or_else(|error| panic!("{error}"))
                .put_into(&mut catalogue);
        }
        let (held, images) = (before.held().clone(), Images::with(catalogue));
        let next = Advisories::of(held, images, before.generation() + 1);
        self.fleet.put_advisories(next.expect("few enough"));
    }
}

impl<'a> Actor<'a> {
    fn begin(node: &'a Node) -> Self {
        let mut host = HostCopy::of(&node.host);
        node.shows.put(&mut host);
        Self { node, host, next: node.first, changes: &node.change, lives: 0 }
    }

    async fn until(&mut self, now: Timestamp, folder: &Path, fleet: &Fleet) {
        while self.next <= self.node.last && self.next <= now {
            let at = self.next;
            while let Some((change, rest)) = self.changes.split_first()
                && change.at <= at
            {
                change.happen(folder, &mut self.host);
                self.lives +=
                    usize::from(change.shows.as_ref().is_some_and(|shows| shows.is_new_life));
                self.changes = rest;
            }
            self.report(fleet, at).await;
            self.next += self.node.every;
        }
    }

    fn peer(&self) -> Peer {
        let Node { cluster, name, .. } = self.node;
        let uid = match self.lives {
            0 => format!("{cluster}/{name}"),
            lives => format!("{cluster}/{name}/{lives}"),
        };
        Peer { cluster: cluster.clone(), node: name.clone(), uid }
    }

    async fn report(&self, fleet: &Fleet, at: Timestamp) {
        let mut observations = self.host.round(COLLECTOR_LIMIT).await;
        for observation in &mut observations {
            observation.observed_at = at;
        }
        let since_first = at.duration_since(self.node.first).as_millis();
        let order = Order {
            boot_id: format!("5ce0a210-0000-4000-8000-{:012}", self.lives + 1),
            seq: u64::try_from(since_first).expect("no round before the first") + 1,
        };
        let round = round(order, Measurements::default(), &observations, Resolution::Openat2);
        let request = v1::ReportRequest {
            boot_id: round.boot_id,
            seq: round.seq,
            measurements: round.measurements,
            components: round.components,
            agent_version: "scenario".to_owned(),
            sent_at: Some(timestamp(at)),
            path_resolution: round.path_resolution,
        };
        let report = Report::try_from(request).expect("an agent sends valid reports");
        for reported in &report.components {
            fleet.remember(&Content {
                component: reported.component.clone(),
                form: reported.form,
                bytes: reported.content.clone().expect("a round has every content"),
            });
        }
        let peer = self.peer();
        let place = fleet.visit(&peer);
        fleet.change(&place, &peer, |node| {
            node.take(&report, at, fleet.policy(), |digest| fleet.known(digest));
            // As over loopback.
            node.shows(Presented::Nothing);
        });
    }
}
