//! Looks at one machine on the spot: the agent's collectors, the domain's judgement,
//! and no server between them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use nodeward_agent::collect::{COLLECTOR_LIMIT, COLLECTORS, Collector, Rounds};
use nodeward_agent::config::{Config, ConfigError, host_name};
use nodeward_agent::host::Host;
use nodeward_agent::service::{ServiceError, host};
use nodeward_domain::answer::sysctl::SysctlAnswer;
use nodeward_domain::answer::{About, NodeAnswer};
use nodeward_domain::check::{CONFIRMATIONS, Outcome, Outside, judge_node, settle};
use nodeward_domain::component::Component;
use nodeward_domain::fixes::Place;
use nodeward_domain::fixes::images::Images;
use nodeward_domain::fixes::node::Judged;
use nodeward_domain::matching::match_inventory;
use nodeward_domain::node::NodeHistory;
use nodeward_domain::policy::Policy;
use nodeward_feeds::held::Declared;
use nodeward_proto::content::Content;

use crate::arguments::{Inspect, Sysctl};
use crate::knowledge::{KnowledgeError, Known, read_images};

/// Between two questions to the same weak probe.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Why a machine cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The host root or the recording cannot be used.
    #[error(transparent)]
    Host(#[from] ServiceError),
    /// The machine has no name.
    #[error(transparent)]
    Name(#[from] ConfigError),
    /// Advisories or images cannot be used.
    #[error(transparent)]
    Knowledge(#[from] KnowledgeError),
}

/// The answer about one machine.
pub async fn inspect(arguments: &Inspect, policy: &Policy) -> Result<NodeAnswer, InspectError> {
    // First, so that a mistake in a path is said before a machine is looked at.
    let known = known(arguments)?;
    let config = Config {
        host_root: Some(arguments.host_root.clone()),
        containerd_socket: arguments.containerd_socket.clone(),
        kubelet_token_file: arguments.kubelet_token_file.clone(),
        recorded_answers: arguments.recorded_answers.clone(),
        npd_config: arguments.npd_config.clone(),
        egress: arguments.egress.clone(),
        packet_filter: arguments.packet_filter,
        ..Config::default()
    };
    let host = Arc::new(host(&config)?);
    let node = match &arguments.node_name {
        Some(name) => name.clone(),
        None => host_name(&arguments.host_root)?,
    };
    let history = look(&host, COLLECTORS.to_vec(), policy, arguments.now).await;
    let now = arguments.now.unwrap_or_else(Timestamp::now);
    let about = About { cluster: "local", node: &node, last_report_at: Some(now), agent: None };
    let knowledge = known.knowledge();
    let (answer, _) = NodeAnswer::of(about, &history, knowledge.outside(), policy, now);
    let place = Place { cluster: about.cluster, surroundings: None };
    let judged = Judged::of(place, &history, knowledge, policy, now, |inventory| {
        Arc::new(match_inventory(knowledge.index, inventory))
    });
    Ok(answer.with_fixes(judged.map(|judged| judged.answer(now))))
}

/// The kernel parameters of one machine. Only what they are judged by is looked at: the
/// parameters, and whether there is a provider that limits them.
pub async fn inspect_sysctl(
    arguments: &Sysctl,
    policy: &Policy,
) -> Result<SysctlAnswer, InspectError> {
    const LOOKED_AT: [Component; 3] = [Component::OsRelease, Component::Kubelet, Component::Sysctl];
    let config = Config { host_root: Some(arguments.host_root.clone()), ..Config::default() };
    let host = Arc::new(host(&config)?);
    let node = host_name(&arguments.host_root)?;
    let collectors =
        COLLECTORS.into_iter().filter(|one| LOOKED_AT.contains(&one.component)).collect();
    let history = look(&host, collectors, policy, arguments.now).await;
    let now = arguments.now.unwrap_or_else(Timestamp::now);
    let about = About { cluster: "local", node: &node, last_report_at: Some(now), agent: None };
    let (answer, _) = NodeAnswer::of(about, &history, Outside::default(), policy, now);
    Ok(SysctlAnswer::of(&answer, &history, policy))
}

/// What those collectors see of a machine.
///
/// A weak probe is believed when it has said the same three times. Components whose
/// probes have something to confirm are asked again, a second apart, as a running
/// machine may recover in between; a recording cannot, so there nobody waits.
async fn look(
    host: &Arc<Host>,
    mut collectors: Vec<Collector>,
    policy: &Policy,
    now: Option<Timestamp>,
) -> NodeHistory {
    let mut history = NodeHistory::default();
    for asked in 1..=CONFIRMATIONS {
        let mut rounds = Rounds::with(Arc::clone(host), collectors, COLLECTOR_LIMIT);
        let mut measured = *history.measured.newest();
        let mut observed = BTreeSet::new();
        for observation in rounds.run().await {
            measured = observation.measured.or(measured);
            let at = told(now, asked).unwrap_or(observation.observed_at);
            observed.insert(observation.state.component());
            // As it would arrive at an aggregator: both judge the same facts.
            let arrived = Content::of(&observation.state).decode();
            history.observe(arrived.unwrap_or(observation.state), at, observation.took);
        }
        let at = told(now, asked).unwrap_or_else(Timestamp::now);
        history.measured.observe(measured, at);
        settle(&mut history, &observed, policy, at);
        collectors = to_confirm(&history, policy, now.unwrap_or_else(Timestamp::now));
        if collectors.is_empty() {
            break;
        }
        if host.probes.is_live() && asked < CONFIRMATIONS {
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }
    history
}

/// What is known beside the machine.
fn known(arguments: &Inspect) -> Result<Known, KnowledgeError> {
    let declared = Declared { is_complete: arguments.complete, as_of: None };
    let offered = arguments.offered.iter().cloned().collect();
    let images = Images::of(read_images(&arguments.images)?, offered);
    let now = arguments.now.unwrap_or_else(Timestamp::now);
    Known::read(&arguments.feeds, &declared, images, now)
}

/// When a round was, if the moment of the answer is told: the last possible one then.
fn told(now: Option<Timestamp>, asked: u32) -> Option<Timestamp> {
    now?.checked_sub(SignedDuration::from_secs(i64::from(CONFIRMATIONS - asked))).ok()
}

/// The collectors of components with something to confirm.
fn to_confirm(history: &NodeHistory, policy: &Policy, now: Timestamp) -> Vec<Collector> {
    let components: Vec<Component> = judge_node(history, Outside::default(), policy, now)
        .into_iter()
        .filter(|judged| matches!(judged.verdict.outcome, Outcome::Confirming { .. }))
        .map(|judged| judged.check.component)
        .collect();
    COLLECTORS.into_iter().filter(|one| components.contains(&one.component)).collect()
}
