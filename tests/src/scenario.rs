//! Stories: nodes that are observed over a time, changes that happen to them, and what
//! is then asked. Everything between host root and screen is the product's own:
//! collectors, wire, memory, judgement, screen. Only time is told.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use nodeward_agent::collect::COLLECTOR_LIMIT;
use nodeward_agent::host::Resolution;
use nodeward_agent::round::{Order, round};
use nodeward_aggregator::advisories::Advisories;
use nodeward_aggregator::fleet::Fleet;
use nodeward_aggregator::peer::Peer;
use nodeward_domain::fixes::images::Images;
use nodeward_domain::measured::Measurements;
use nodeward_domain::policy::{DEFAULT_EDITION, Policy};
use nodeward_feeds::held::{Declared, Held};
use nodeward_feeds::image_note::read_image_note;
use nodeward_feeds::intake::Intake;
use nodeward_proto::content::Content;
use nodeward_proto::report::{Report, timestamp};
use nodeward_proto::v1;
use serde::Deserialize;

use crate::host::HostCopy;

/// A story, as its `scenario.toml` tells it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The moment at which is asked.
    pub now: Timestamp,
    /// The policy edition; the usual one when none is named.
    pub policy: Option<String>,
    /// What is asked, as one would type it behind `nodeward`.
    pub ask: Vec<String>,
    /// Feeds, as files or folders beside the story; imported one after the other.
    #[serde(default)]
    feed: Vec<FeedImport>,
    /// Versions of images that are offered.
    #[serde(default)]
    offered: Vec<String>,
    /// Release notes of images, as files beside the story: `family/version.txt`.
    #[serde(default)]
    images: Vec<PathBuf>,
    /// The nodes.
    #[serde(default)]
    node: Vec<Node>,
}

/// An import of a feed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FeedImport {
    path: PathBuf,
    at: Timestamp,
    #[serde(default)]
    complete: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Node {
    cluster: String,
    name: String,
    /// The host root that it is a copy of.
    host: String,
    /// First and last round, and the time between two.
    first: Timestamp,
    last: Timestamp,
    every: SignedDuration,
    #[serde(default)]
    change: Vec<Change>,
}

/// Something that happens to a node before the first round at or after that moment.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    at: Timestamp,
    /// A file is written, …
    write: Option<Write>,
    /// … a link is made, …
    link: Option<Link>,
    /// … something is removed, …
    remove: Option<PathBuf>,
    /// … or local endpoints answer otherwise, as in that file beside the story, which is
    /// laid over the recording of the host root.
    answers: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Write {
    path: PathBuf,
    text: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Link {
    path: PathBuf,
    to: PathBuf,
}

impl Scenario {
    /// Reads a story.
    ///
    /// # Panics
    /// When it is not one.
    #[must_use]
    pub fn read(folder: &Path) -> Self {
        let path = folder.join("scenario.toml");
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Lets it happen, up to the moment of the question.
    ///
    /// # Panics
    /// When a node's report is not one that an aggregator would take.
    pub async fn play(&self, folder: &Path) -> Fleet {
        let edition = self.policy.as_deref().unwrap_or(DEFAULT_EDITION);
        let advisories = self.advisories(folder);
        let fleet = Fleet::new(Policy::edition(edition).expect("a shipped edition"), advisories);
        for node in &self.node {
            node.play(folder, &fleet).await;
        }
        fleet
    }

    /// What comes with the program, and the feeds of the story.
    fn advisories(&self, folder: &Path) -> Advisories {
        let mut held = Held::starter().expect("the starter feed");
        for import in &self.feed {
            let mut intake = Intake::default();
            for path in files(&folder.join(&import.path)) {
                let mut file = std::fs::File::open(&path).expect("a file of the story");
                intake
                    .named(&path.to_string_lossy(), &mut file)
                    .unwrap_or_else(|error| panic!("{error}"));
            }
            let declared = Declared { is_complete: import.complete, as_of: None };
            for feed in intake.finish().0 {
                held.take(feed, &declared, import.at).unwrap_or_else(|error| panic!("{error}"));
            }
        }
        let releases = self.images.iter().map(|path| {
            let bytes = std::fs::read(folder.join(path)).expect("a release note");
            let name = path.to_string_lossy();
            read_image_note(&name, &bytes).unwrap_or_else(|error| panic!("{error}")).release
        });
        let images = Images::of(releases.collect(), self.offered.iter().cloned().collect());
        Advisories::of(held, images, 1).expect("few enough")
    }
}

/// A file, or those in a folder, by name.
fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = std::fs::read_dir(path).unwrap_or_else(|error| {
        panic!("{}: {error}", path.display());
    });
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    files.sort();
    files
}

impl Node {
    async fn play(&self, folder: &Path, fleet: &Fleet) {
        let mut host = HostCopy::of(&self.host);
        let mut changes = self.change.iter().peekable();
        let mut at = self.first;
        while at <= self.last {
            while let Some(change) = changes.next_if(|change| change.at <= at) {
                change.happen(folder, &mut host);
            }
            self.report(fleet, &host, at).await;
            at += self.every;
        }
        assert!(changes.peek().is_none(), "{}: a change comes after the last round", self.name);
    }

    async fn report(&self, fleet: &Fleet, host: &HostCopy, at: Timestamp) {
        let mut observations = host.round(COLLECTOR_LIMIT).await;
        for observation in &mut observations {
            observation.observed_at = at;
        }
        let since_first = at.duration_since(self.first).as_millis();
        let order = Order {
            boot_id: "5ce0a210-0000-4000-8000-000000000001".to_owned(),
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
        let peer = Peer {
            cluster: self.cluster.clone(),
            node: self.name.clone(),
            uid: format!("{}/{}", self.cluster, self.name),
        };
        for reported in &report.components {
            fleet.remember(&Content {
                component: reported.component.clone(),
                form: reported.form,
                bytes: reported.content.clone().expect("a round has every content"),
            });
        }
        let place = fleet.visit(&peer);
        fleet.change(&place, &peer, at, |node| {
            node.take(&report, at, fleet.policy(), |digest| fleet.known(digest));
        });
    }
}

impl Change {
    fn happen(&self, folder: &Path, host: &mut HostCopy) {
        if let Some(write) = &self.write {
            let path = host.inside(&write.path.to_string_lossy());
            std::fs::create_dir_all(path.parent().expect("a file lies in a folder"))
                .expect("a folder can be made");
            // Through a link the file behind it would be written.
            let _ = std::fs::remove_file(&path);
            std::fs::write(path, &write.text).expect("a file can be written");
        }
        if let Some(Link { path, to }) = &self.link {
            let path = host.inside(&path.to_string_lossy());
            let _ = std::fs::remove_file(&path);
            std::os::unix::fs::symlink(to, path).expect("a link can be made");
        }
        if let Some(path) = &self.remove {
            let path = host.inside(&path.to_string_lossy());
            match path.is_dir() {
                true => std::fs::remove_dir_all(path),
                false => std::fs::remove_file(path),
            }
            .expect("what is removed is there");
        }
        if let Some(path) = &self.answers {
            let text = std::fs::read_to_string(folder.join(path)).expect("a recording");
            host.answer_over(&serde_json::from_str(&text).expect("JSON"));
        }
    }
}
