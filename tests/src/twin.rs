//! Twins: a healthy host root with one thing changed, so that one check alone fails.
//! Each is a file `tests/twins/<Reason>.toml`, or `<Reason>.<what>.toml` for another way
//! to the same finding, that says what is changed.

mod objects;

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;

use nodeward_agent::collect::COLLECTORS;
use nodeward_agent::probe::Recording;
use nodeward_domain::check::{Credential, Presented};
use nodeward_domain::component::Component;
use nodeward_domain::facts::{ComponentState, Packages};
use nodeward_domain::fixes::images::Images;
use nodeward_domain::image::catalogue::Catalogue;
use nodeward_domain::image::{ImageLabel, ImageRelease, ShippedPackage, ShippedPackages};
use nodeward_domain::node::NodeHistory;
use nodeward_domain::observed::State;
use nodeward_domain::pool::{ClusterProfile, NodeOsChannel, OfferedImage, PoolKey, PoolTruth};
use nodeward_domain::siblings::Siblings;
use nodeward_feeds::held::{Declared, Held};
use nodeward_feeds::intake::Intake;
use serde::Deserialize;

use crate::host::{HostCopy, lay_over};
use crate::journal::{self, JournalLine};
use crate::project;

pub use objects::objects;
use objects::{TwinCluster, TwinObjects};

/// What makes a twin of a host root.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Twin {
    /// The host root that it is a twin of.
    pub base: String,
    /// What happened to it, for readers.
    pub story: String,
    /// Files and folders that are gone.
    #[serde(default)]
    remove: Vec<String>,
    /// Files that are written anew, or at all.
    #[serde(default)]
    write: BTreeMap<String, String>,
    /// Symbolic links, each with what it leads to, in place of what was there.
    #[serde(default)]
    link: BTreeMap<String, String>,
    /// Texts in files that are replaced by others.
    #[serde(default)]
    replace: BTreeMap<String, Replacement>,
    /// What local endpoints answer, laid over the recording of the host root.
    recorded: Option<serde_json::Value>,
    /// A feed that is at hand, as its file would be, imported at that moment.
    feed: Option<TwinFeed>,
    /// Files of node-problem-detector that are imported, by name.
    #[serde(default)]
    npd: BTreeMap<String, String>,
    /// Lines of the journal, behind those that the host root has.
    #[serde(default)]
    journal: Vec<JournalLine>,
    /// Endpoints outside of the cluster that are looked at.
    #[serde(default)]
    egress: Vec<String>,
    /// Findings that tell of the same by a state, and so come with it.
    #[serde(default)]
    pub beside: Vec<String>,
    /// What is known of images, and of the node's pool.
    #[serde(default)]
    images: TwinImages,
    /// What is changed of what the API server says of the node.
    #[serde(default)]
    objects: TwinObjects,
    /// What the API server says of its cluster.
    #[serde(default)]
    cluster: TwinCluster,
    /// So many other nodes of the pool run its image, and show what the host root does.
    #[serde(default)]
    siblings: usize,
    /// From when until when the certificate is in force with which the agent reports.
    credential: Option<[jiff::Timestamp; 2]>,
    /// Who logged in, and when, besides those that `wtmp` has.
    #[serde(default)]
    logins: BTreeMap<String, jiff::Timestamp>,
    /// What they answer besides in the first rounds, one each; the last one stays.
    #[serde(default)]
    rounds: Vec<serde_json::Value>,
}

/// A feed, in the form of a file of that name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TwinFeed {
    name: String,
    text: String,
    as_of: jiff::Timestamp,
}

/// What is known of images, and of the node's pool.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct TwinImages {
    /// Labels of images that were told to be offered to the pool, each with since when and
    /// when last told.
    #[serde(default)]
    offered: BTreeMap<String, [jiff::Timestamp; 2]>,
    /// The channel that brings images.
    channel: Option<String>,
    /// What the nodes of the pool run: line and version, and how many nodes.
    #[serde(default)]
    pool_runs: BTreeMap<String, usize>,
    /// Label of the image whose packages are those of the host root, but for these: name and
    /// version.
    shipped: Option<(String, BTreeMap<String, String>)>,
}

/// One text in a file that stands there once, and what stands there instead.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Replacement {
    from: String,
    to: String,
}

impl Twin {
    /// The twins that fail the check of that reason, each with its name:
    /// `<Reason>.toml`, and where it is judged in several ways `<Reason>.<what>.toml`.
    ///
    /// # Panics
    /// When there is none, or a file is not in order.
    #[must_use]
    pub fn of(reason: &str) -> Vec<(String, Self)> {
        let folder = project::root().join("tests/twins");
        let mut names: Vec<String> = std::fs::read_dir(&folder)
            .expect("the twins")
            .map(|entry| entry.expect("readable").file_name().into_string().expect("text"))
            .filter(|name| name.split('.').next() == Some(reason))
            .collect();
        names.sort();
        assert!(names.contains(&format!("{reason}.toml")), "{reason} has no twin");
        let read = |name: String| {
            let text = std::fs::read_to_string(folder.join(&name)).expect("readable");
            (toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}")), name)
        };
        names.into_iter().map(read).map(|(twin, name)| (name, twin)).collect()
    }

    /// What its agent shows.
    #[must_use]
    pub fn credential(&self) -> Presented {
        self.credential.map_or(Presented::Nothing, |[not_before, not_after]| {
            Presented::Certificate(Credential { not_before, not_after })
        })
    }

    /// Makes it.
    ///
    /// # Panics
    /// When it asks to change what is not there.
    #[must_use]
    pub fn made(&self) -> HostCopy {
        let mut host = HostCopy::of(&self.base);
        for path in &self.remove {
            gone(&host.inside(path)).unwrap_or_else(|error| panic!("remove {path}: {error}"));
        }
        for (path, content) in &self.write {
            let inside = host.inside(path);
            std::fs::create_dir_all(inside.parent().expect("a folder")).expect("made");
            // Through a link the project's own file would be written.
            let _ = gone(&inside);
            std::fs::write(&inside, content).expect("written");
        }
        if !self.journal.is_empty() {
            let mut lines = journal::listed();
            lines.line.extend(self.journal.iter().cloned());
            let (path, bytes) = journal::of_root(&host.inside("/"), &lines);
            let inside = host.inside(&path);
            let _ = gone(&inside);
            std::fs::write(&inside, bytes).expect("written");
        }
        for (path, target) in &self.link {
            let inside = host.inside(path);
            std::fs::create_dir_all(inside.parent().expect("a folder")).expect("made");
            let _ = gone(&inside);
            std::os::unix::fs::symlink(target, &inside).expect("made");
        }
        for (path, Replacement { from, to }) in &self.replace {
            let inside = host.inside(path);
            let text = std::fs::read_to_string(&inside).unwrap_or_else(|e| panic!("{path}: {e}"));
            assert_eq!(
                text.matches(from.as_str()).count(),
                1,
                "{path}: {from:?} stands there once"
            );
            std::fs::write(&inside, text.replacen(from.as_str(), to, 1)).expect("written");
        }
        for (account, at) in &self.logins {
            let path = host.inside("/var/log/wtmp");
            let mut wtmp = std::fs::read(&path).expect("a record of logins");
            wtmp.extend(login(account, *at));
            std::fs::write(&path, wtmp).expect("written");
        }
        if !self.npd.is_empty() {
            let folder = tempfile::tempdir().expect("a folder");
            for (name, text) in &self.npd {
                std::fs::write(folder.path().join(name), text).expect("written");
            }
            host.import(folder.path());
        }
        if !self.egress.is_empty() {
            host.look_at(&self.egress);
        }
        host.answer_with(self.answers(0));
        host
    }

    /// The feed that is at hand, declared complete; nothing without one.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn held(&self) -> Held {
        let mut held = Held::default();
        if let Some(TwinFeed { name, text, as_of }) = &self.feed {
            let mut intake = Intake::default();
            intake.named(name, &mut Cursor::new(text)).unwrap_or_else(|error| panic!("{error}"));
            let declared = Declared { is_complete: true, as_of: Some(*as_of) };
            for feed in intake.finish().0 {
                held.take(feed, &declared, *as_of).unwrap_or_else(|error| panic!("{error}"));
            }
        }
        held
    }

    /// What is known of images. The packages are those of the node.
    ///
    /// # Panics
    /// When a label is none.
    #[must_use]
    pub fn images(&self, packages: Option<&Packages>) -> Images {
        let key = pool_key();
        let label = |text: &str| ImageLabel::parse(text).unwrap_or_else(|error| panic!("{error}"));
        let mut catalogue = Catalogue::default();
        for (image, told) in &self.images.offered {
            for as_of in told {
                let (key, image) = (key.clone(), label(image));
                catalogue.put_offered(OfferedImage { key, image, as_of: *as_of });
            }
        }
        if let Some(channel) = &self.images.channel {
            catalogue.put_cluster(ClusterProfile {
                cluster: key.cluster,
                as_of: jiff::Timestamp::UNIX_EPOCH,
                resource_group: None,
                resource: None,
                region: None,
                kubernetes: None,
                channel: Some(NodeOsChannel::named(channel).expect("a channel")),
                is_auto_provisioned: None,
            });
        }
        if let Some((image, others)) = &self.images.shipped {
            let ImageLabel { family, version, .. } = label(image);
            let packages = packages.expect("the node has packages").installed.iter();
            let shipped = packages.map(|package| ShippedPackage {
                name: package.name.clone(),
                version: others.get(&package.name).unwrap_or(&package.version).clone(),
                architecture: package.architecture.clone(),
            });
            catalogue.put_release(ImageRelease {
                family,
                version,
                built_at: None,
                kernel: None,
                os_id: None,
                os_version_id: None,
                packages: ShippedPackages::listed(shipped.collect()),
            });
        }
        Images::with(catalogue)
    }

    /// What the nodes of its pool run; none where that is not said.
    ///
    /// # Panics
    /// When what runs is no line and version.
    #[must_use]
    pub fn pool(&self) -> Option<PoolTruth> {
        let TwinImages { offered, pool_runs, channel, .. } = &self.images;
        let is_told =
            !offered.is_empty() || !pool_runs.is_empty() || channel.is_some() || self.siblings > 0;
        is_told.then(|| PoolTruth {
            key: pool_key(),
            images: pool_runs
                .iter()
                .map(|(image, nodes)| {
                    let (sku, version) = image.split_once(' ').expect("line and version");
                    ((sku.to_owned(), version.to_owned()), *nodes)
                })
                .collect(),
        })
    }

    /// What the nodes of its pool show that run its image, the node itself among them, whose
    /// history that is; none where there are no others.
    ///
    /// # Panics
    /// When the host root shows nothing.
    #[must_use]
    pub fn siblings(&self, own: &NodeHistory) -> Option<Siblings> {
        if self.siblings == 0 {
            return None;
        }
        let mut siblings = Siblings::default();
        let copy = HostCopy::of(&self.base);
        let host = copy.host();
        for collector in COLLECTORS {
            match collector.component {
                Component::Files | Component::NodeAccess => {
                    match (collector.collect)(&host).state {
                        ComponentState::Files(State::Present(files)) => {
                            siblings.add_files(self.siblings, &files);
                        }
                        ComponentState::NodeAccess(State::Present(access)) => {
                            siblings.add_access(self.siblings, &access);
                        }
                        other => panic!("{other:?}"),
                    }
                }
                _ => {}
            }
        }
        siblings.add_files(1, own.files.present()?);
        siblings.add_access(1, own.node_access.present()?);
        Some(siblings)
    }

    /// What local endpoints answer in that round, counted from zero.
    ///
    /// # Panics
    /// When what is laid over the recording makes it none.
    #[must_use]
    pub fn answers(&self, round: usize) -> Recording {
        let text = std::fs::read_to_string(project::answers(&self.base)).expect("a recording");
        let mut recording = serde_json::from_str(&text).expect("JSON");
        let of_round = self.rounds.get(round).or(self.rounds.last());
        for over in self.recorded.iter().chain(of_round) {
            lay_over(&mut recording, over);
        }
        serde_json::from_value(recording).expect("a recording")
    }
}

/// The pool of the host roots of AKS.
fn pool_key() -> PoolKey {
    PoolKey { cluster: "c".to_owned(), pool: "nodepool1".to_owned() }
}

/// A login as utmp(5) keeps it on x86.
fn login(account: &str, at: jiff::Timestamp) -> Vec<u8> {
    let mut record = vec![0; 384];
    record[0] = 7;
    record[8..13].copy_from_slice(b"pts/0");
    record[44..44 + account.len()].copy_from_slice(account.as_bytes());
    let seconds = u32::try_from(at.as_second()).expect("a time of our days");
    record[340..344].copy_from_slice(&seconds.to_le_bytes());
    record
}

fn gone(path: &Path) -> std::io::Result<()> {
    if path.symlink_metadata()?.is_dir() {
        std::fs::remove_dir_all(path)
    } else {
        std::fs::remove_file(path)
    }
}
