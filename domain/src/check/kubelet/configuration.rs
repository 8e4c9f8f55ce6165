//! Is what files and flags say what is in force? A kubelet reads its files at its start
//! alone: a later change waits for the next one, and may keep it from starting at all.

use jiff::Timestamp;

use super::{ABSENT, Check, by_customer, check, secure_port, setting};
use crate::check::{Evidence, Outcome, PolicyLink, Scope, Severity, Verdict, facts, verdict_or};
use crate::facts::Kubelet;
use crate::facts::kubelet::{
    ConfigurationFile, FileRole, FileState, Setting, SettingSource, Written,
};
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::Action;

const SOURCE: &str = "https://kubernetes.io/docs/tasks/administer-cluster/kubelet-config-file/";
const LINK: (PolicyLink, &str) = (PolicyLink::Cites("kubernetes-native-change"), SOURCE);

pub(super) const UNUSABLE: Check = check(
    "KubeletConfigurationUnusable",
    "The kubelet would not start with its configuration as it lies on disk",
    Severity::Critical,
    LINK,
    unusable,
);

pub(super) const NOT_IN_FORCE: Check = check(
    "KubeletConfigurationNotInForce",
    "A file of the kubelet's configuration was written after the kubelet was started",
    Severity::Warning,
    LINK,
    not_in_force,
);

pub(super) const DRIFTED: Check = check(
    "KubeletConfigurationDrifted",
    "The kubelet runs with settings other than its files and flags say",
    Severity::Warning,
    LINK,
    drifted,
);

/// So many settings are named in evidence; the rest is counted.
const NAMED: usize = 10;

/// The kubelet takes this one over from the container runtime.
const OF_THE_RUNTIME: &str = "cgroupDriver";

fn unusable(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (kubelet, since) = verdict_or!(facts(&history.kubelet, ABSENT));
    let files =
        || kubelet.configuration.files.iter().filter(|file| file.role == FileRole::Settings);
    let told = |file: &ConfigurationFile| match &file.state {
        FileState::Good => Evidence::new(&file.path, "read", ""),
        FileState::Refused(why) | FileState::Unreadable(why) => {
            Evidence::new(&file.path, why, "a KubeletConfiguration")
        }
    };
    let refused: Vec<Evidence> =
        files().filter(|file| matches!(file.state, FileState::Refused(_))).map(told).collect();
    if let Some(first) = refused.first() {
        let message = format!("a kubelet would not start with {}", first.source);
        let action = Action::Repair { what: format!("put {} right", first.source) };
        return Verdict::fail(message, since, by_customer(scope, action), refused);
    }
    let unreadable = |file: &&ConfigurationFile| matches!(file.state, FileState::Unreadable(_));
    if let Some(file) = files().find(unreadable) {
        return Verdict::unknown(format!("{} could not be read", file.path), vec![told(file)]);
    }
    if kubelet.configuration.settings.is_empty() {
        return Verdict::unknown("the agent does not report it", Vec::new());
    }
    if files().next().is_none() {
        return Verdict::not_applicable("no file makes its settings");
    }
    Verdict::pass(files().map(told).collect())
}

/// Puts the customer in charge of a kubelet that does not run because it does not take its
/// configuration: that is what keeps it down.
pub(super) fn with_cause(mut verdict: Verdict, history: &NodeHistory, scope: &Scope) -> Verdict {
    let files = history.kubelet.present().map(|kubelet| &kubelet.configuration.files);
    let refused = files.into_iter().flatten().find_map(|file| match &file.state {
        FileState::Refused(why) => Some((file, why)),
        FileState::Good | FileState::Unreadable(_) => None,
    });
    if let Outcome::Fail { message, responsible, action, .. } = &mut verdict.outcome
        && let Some((file, why)) = refused
    {
        *message = format!("{message}; {}: {why}", file.path);
        let repair = Action::Repair { what: format!("put {} right", file.path) };
        let turn = by_customer(scope, repair);
        *responsible = turn.responsible;
        *action = turn.action;
        verdict.valid_until = None;
    }
    verdict
}

/// What the kubelet itself says is in force, where it was asked and told it.
fn is_told(kubelet: &Kubelet) -> bool {
    kubelet.secure_port.configz.is_ok()
}

/// Settings that a file or flag gives and that are not in force.
fn differing(kubelet: &Kubelet) -> impl Iterator<Item = &Setting> {
    kubelet.configuration.settings.iter().filter(|setting| {
        setting.in_force.is_some()
            && setting.source != SettingSource::Default
            && setting.key != OF_THE_RUNTIME
    })
}

fn not_in_force(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (kubelet, since) = verdict_or!(facts(&history.kubelet, ABSENT));
    if kubelet.process.is_none() {
        return Verdict::not_applicable("no kubelet runs");
    }
    if differing(kubelet).next().is_some() {
        return Verdict::not_applicable("see KubeletConfigurationDrifted");
    }
    let files = &kubelet.configuration.files;
    // Where the kubelet tells its settings, it counts what they are and not since when.
    let counts = |file: &&ConfigurationFile| file.role != FileRole::Settings || !is_told(kubelet);
    let later: Vec<Evidence> = files
        .iter()
        .filter(counts)
        .filter_map(|file| match &file.written {
            Written::AfterStart(at) => Some(Evidence::new(
                &file.path,
                format!("written {at:.0}"),
                "before the kubelet was started",
            )),
            Written::BeforeStart | Written::Unknown(_) => None,
        })
        .collect();
    if let Some(first) = later.first() {
        let message = format!("{} was written after the kubelet was started", first.source);
        let action = Action::RestartUnit { unit: "kubelet.service".to_owned() };
        return Verdict::fail(message, since, by_customer(scope, action), later);
    }
    let unknown = files.iter().filter(counts).find_map(|file| match &file.written {
        Written::Unknown(why) => Some((file, why)),
        Written::BeforeStart | Written::AfterStart(_) => None,
    });
    match unknown {
        Some((file, why)) => Verdict::unknown(
            format!("when {} was written is not known: {why}", file.path),
            Vec::new(),
        ),
        None if files.is_empty() => Verdict::not_applicable("no file makes its configuration"),
        None => Verdict::pass(files.iter().map(|file| in_force(file, is_told(kubelet))).collect()),
    }
}

fn in_force(file: &ConfigurationFile, told: bool) -> Evidence {
    let actual = match file.role {
        FileRole::Settings if told => "as /configz says it",
        FileRole::Settings | FileRole::Environment => "written before the kubelet was started",
    };
    Evidence::new(&file.path, actual, "")
}

fn drifted(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (kubelet, since) = verdict_or!(facts(&history.kubelet, ABSENT));
    // Any setting: without them there is nothing to compare.
    let _ = verdict_or!(setting(kubelet, "maxPods"));
    let port = &kubelet.secure_port;
    if !is_told(kubelet) {
        return secure_port::untold(history, kubelet, &port.configz, "/configz");
    }
    let place = format!("{}/configz", port.endpoint);
    let differing: Vec<&Setting> = differing(kubelet).collect();
    let Some(first) = differing.first() else {
        let count = kubelet.configuration.settings.len();
        return Verdict::pass(vec![Evidence::new(place, format!("{count} settings as told"), "")]);
    };
    let mut evidence: Vec<Evidence> = differing
        .iter()
        .take(NAMED)
        .map(|setting| {
            Evidence::new(
                &place,
                format!("{}: {}", setting.key, setting.effective()),
                format!("{} ({})", setting.value, setting.source),
            )
        })
        .collect();
    if differing.len() > NAMED {
        evidence.push(Evidence::new("", format!("and {} more", differing.len() - NAMED), ""));
    }
    let message = match differing.len() {
        1 => {
            format!("{} is {}, {} says {}", first.key, first.effective(), first.source, first.value)
        }
        count => format!("{count} settings are not what files and flags say"),
    };
    let action = Action::RestartUnit { unit: "kubelet.service".to_owned() };
    Verdict::fail(message, since, by_customer(scope, action), evidence)
}
