//! What an agent does not know of a node that another one beside it knows: for agents in
//! containers, which lack rights, and one outside, which has them.

use std::collections::BTreeMap;

use nodeward_domain::answer::NodeAnswer;
use nodeward_domain::component::Component;
use nodeward_domain::facts::{
    ChronyAnswer, ComponentState, LiveValue, ManagedImages, Namespace, Reboot, Setting,
};
use nodeward_domain::observed::State;

/// The facts of a node.
pub type States = BTreeMap<Component, ComponentState>;

/// What is not known, by the reason.
pub type Lacking = BTreeMap<String, Vec<String>>;

/// Components of which facts are compared, because what their checks answer hangs on the
/// values of the machine that the tests run on.
/// Of images none is judged yet.
const BY_FACTS: [Component; 4] =
    [Component::Reboot, Component::Sysctl, Component::TimeSync, Component::ManagedImages];

/// What the second one lacks, by component: checks that are unknown to it alone, or facts.
///
/// # Panics
/// When the two do not speak of the same.
#[must_use]
pub fn compare(
    [outside, inside]: &[NodeAnswer; 2],
    facts: &[States; 2],
) -> BTreeMap<Component, Lacking> {
    let mut all = BTreeMap::new();
    for (outside, inside) in outside.components.iter().zip(&inside.components) {
        assert_eq!(outside.component, inside.component);
        let mut lacking = Lacking::new();
        for (outside, inside) in outside.checks.iter().zip(&inside.checks) {
            assert_eq!(outside.reason, inside.reason);
            if inside.outcome == "unknown" && outside.outcome != "unknown" {
                let why = without_pids(&inside.detail);
                lacking.entry(why).or_default().push(format!("`{}`", inside.reason));
            }
        }
        all.insert(inside.component, lacking);
    }
    for component in BY_FACTS {
        let lacking = match facts.each_ref().map(|states| &states[&component]) {
            [ComponentState::Reboot(outside), ComponentState::Reboot(inside)] => {
                processes(present(outside), present(inside))
            }
            [ComponentState::Sysctl(outside), ComponentState::Sysctl(inside)] => {
                parameters(&present(outside).settings, &present(inside).settings)
            }
            [ComponentState::TimeSync(outside), ComponentState::TimeSync(inside)] => {
                let [outside, inside] = [outside, inside]
                    .map(|time| &present(time).chrony.as_ref().expect("a chronyd runs").answer);
                chronyd(outside, inside)
            }
            [ComponentState::ManagedImages(outside), ComponentState::ManagedImages(inside)] => {
                images(outside, inside)
            }
            other => panic!("{component}: {other:?}"),
        };
        all.insert(component, lacking);
    }
    all
}

fn present<T: PartialEq + std::fmt::Debug>(state: &State<T>) -> &T {
    match state {
        State::Present(facts) => facts,
        other => panic!("not present: {other:?}"),
    }
}

/// Whether it is seen what processes run: kured is found by its file alone. Process 1 may
/// be closed to both.
fn processes(outside: &Reboot, inside: &Reboot) -> Lacking {
    assert!(outside.kured_runs);
    if inside.kured_runs {
        return Lacking::new();
    }
    let why = inside.unseen.as_deref().expect("a reason");
    Lacking::from([(without_pids(why), vec!["what processes run".to_owned()])])
}

/// Kernel parameters that one reads and the other does not, by their namespace.
fn parameters(outside: &[Setting], inside: &[Setting]) -> Lacking {
    let mut lacking = Lacking::new();
    for (outside, inside) in outside.iter().zip(inside) {
        assert_eq!(outside.key, inside.key);
        let LiveValue::Unreadable(why) = &inside.live else { continue };
        if matches!(outside.live, LiveValue::Unreadable(_)) {
            continue;
        }
        let namespace = Namespace::of(&inside.key).map_or("no", Namespace::link);
        let what = format!("parameters of the {namespace} namespace");
        let of_it = lacking.entry(why.clone()).or_default();
        if !of_it.contains(&what) {
            of_it.push(what);
        }
    }
    lacking
}

/// Whether the runtime says which images run.
fn images(outside: &State<ManagedImages>, inside: &State<ManagedImages>) -> Lacking {
    assert!(outside.present().is_some(), "{outside:?}");
    match inside {
        State::Present(_) => Lacking::new(),
        State::Unavailable(unavailable) => {
            Lacking::from([(unavailable.why.clone(), vec!["which images run".to_owned()])])
        }
        other => panic!("not as outside: {other:?}"),
    }
}

fn chronyd(outside: &ChronyAnswer, inside: &ChronyAnswer) -> Lacking {
    match (outside, inside) {
        (ChronyAnswer::NotAsked { why }, _) => panic!("not asked outside: {why}"),
        (_, ChronyAnswer::NotAsked { why }) => {
            Lacking::from([(why.clone(), vec!["what chronyd answers".to_owned()])])
        }
        _ => Lacking::new(),
    }
}

/// A reason without what another run would have otherwise.
fn without_pids(why: &str) -> String {
    let parts = why.split('/').map(|part| {
        let is_pid = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if is_pid { "PID" } else { part }
    });
    parts.collect::<Vec<_>>().join("/")
}

/// One cell of the table of profiles.
#[must_use]
pub fn cell(lacking: &Lacking) -> String {
    if lacking.is_empty() {
        return "everything".to_owned();
    }
    let told = lacking.iter().map(|(why, what)| format!("not {}: {why}", what.join(", ")));
    told.collect::<Vec<_>>().join("<br>")
}
