//! Stories: nodes that are observed over a time, changes that happen to them, and what
//! is then asked. Everything between host root and screen is the product's own:
//! collectors, wire, memory, judgement, screen. Only time is told.

mod answer;
mod play;
mod shows;

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use nodeward_aggregator::advisories::Advisories;
use nodeward_aggregator::fleet::Fleet;
use nodeward_domain::fixes::images::Images;
use nodeward_domain::policy::{DEFAULT_EDITION, Policy};
use nodeward_feeds::held::{Declared, Held};
use nodeward_feeds::image_note::read_image_note;
use nodeward_feeds::intake::Intake;
use serde::Deserialize;

use crate::host::HostCopy;
use shows::Shows;

pub use play::Story;

/// A story, as its `scenario.toml` tells it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The moment at which is asked, and the last one of the story.
    pub now: Timestamp,
    /// The policy edition; the usual one when none is named.
    pub policy: Option<String>,
    /// What is asked, as one would type it behind `nodeward`.
    pub ask: Vec<Ask>,
    /// Feeds, as files or folders beside the story; imported one after the other.
    #[serde(default)]
    feed: Vec<FeedImport>,
    /// Versions of images that are offered.
    #[serde(default)]
    offered: Vec<String>,
    /// Release notes of images, as files beside the story: `family/version.txt`.
    #[serde(default)]
    images: Vec<PathBuf>,
    /// What is told of images and of pools, imported one after the other.
    #[serde(default)]
    document: Vec<Document>,
    /// The nodes.
    #[serde(default)]
    node: Vec<Node>,
}

/// A question: at the moment of the story, or at an earlier one.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Ask {
    /// At the moment of the story.
    Now(String),
    /// At that one.
    At {
        /// When.
        at: Timestamp,
        /// What is typed.
        line: String,
    },
}

impl Ask {
    /// What is typed.
    #[must_use]
    pub fn line(&self) -> &str {
        match self {
            Self::Now(line) | Self::At { line, .. } => line,
        }
    }
}

/// An import of documents about images: a release note `family/version.txt`, an answer of
/// the provider's tools, a table of announcements, our own form.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    /// Files, or folders of files, beside the story.
    paths: Vec<PathBuf>,
    at: Timestamp,
    /// What their cluster is called in the fleet.
    cluster: Option<String>,
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
    /// In what it differs from that root.
    #[serde(default)]
    shows: Shows,
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
    /// … or it shows something else of itself.
    shows: Option<Shows>,
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

    /// The same story without a node of it.
    ///
    /// # Panics
    /// When there is none of that name.
    #[must_use]
    pub fn without(mut self, node: &str) -> Self {
        let before = self.node.len();
        self.node.retain(|one| one.name != node);
        assert!(self.node.len() < before, "no node {node} in the story");
        self
    }

    /// Lets it happen, up to the moment of the question.
    ///
    /// # Panics
    /// When a node's report is not one that an aggregator would take.
    pub async fn play(&self, folder: &Path) -> Fleet {
        let mut story = Story::begin(self, folder);
        story.until(self.now).await;
        story.into_fleet()
    }

    /// Everything that is asked in it, with the answers.
    ///
    /// # Panics
    /// When something cannot be asked in a story.
    pub async fn told(&self, folder: &Path) -> String {
        let mut story = Story::begin(self, folder);
        let mut text = String::new();
        let mut last = None;
        for ask in &self.ask {
            let at = match ask {
                Ask::Now(_) => self.now,
                Ask::At { at, .. } => *at,
            };
            assert!(last <= Some(at) && at <= self.now, "{}: asked out of order", ask.line());
            last = Some(at);
            story.until(at).await;
            let when = if at == self.now { String::new() } else { format!("# {at:.0}\n") };
            let answer = story.answer(ask.line(), at);
            text.push_str(&format!("{when}$ nodeward {}\n{answer}\n", ask.line()));
        }
        story.until(self.now).await;
        story.end();
        text
    }

    fn policy(&self) -> Policy {
        let edition = self.policy.as_deref().unwrap_or(DEFAULT_EDITION);
        Policy::edition(edition).expect("a shipped edition")
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
        if let Some(shows) = &self.shows {
            shows.put(host);
        }
    }
}
