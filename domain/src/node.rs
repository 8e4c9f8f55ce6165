//! What is remembered of one node: per component the last few states it was seen
//! in, so that "three times in a row" and "since when" are pure questions.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use crate::component::Component;
use crate::facts::{
    ApiServer, Certificates, Cni, ComponentState, Conntrack, Containerd, CriAnswer, Dns, Docker,
    Egress, Extensions, Files, Filesystem, Kernel, KernelLog, KernelModules, KubeProxy, Kubelet,
    LinuxExtension, ManagedImages, Network, NodeAccess, NodeImage, NodeObject, OsRelease, Packages,
    Pressure, ProcessLimits, Reboot, SwapAndHugepages, Sysctl, SystemPods, Systemd, TimeSync,
    Tunnel, UnitState, UpdateChannel,
};
use crate::measured::Measured;
use crate::observed::{Observed, State};
use crate::restarts::{Restarts, UnitRestarts};
use crate::standing::Standings;
use crate::with_components;

/// How many different states in a row are remembered per component.
pub const RUNS_KEPT: usize = 4;

/// One state and the stretch of observations that saw nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run<T> {
    /// The newest observation of the stretch.
    pub last: Observed<T>,
    /// When the stretch began, by the node's clock.
    pub first_observed_at: Timestamp,
    /// How many observations in a row saw this state.
    pub observations: u32,
}

/// The last few runs of one component, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History<T> {
    runs: VecDeque<Run<T>>,
}

impl<T> Default for History<T> {
    fn default() -> Self {
        Self { runs: VecDeque::new() }
    }
}

impl<T: PartialEq> History<T> {
    /// Adds the next observation.
    pub fn observe(&mut self, observed: Observed<T>) {
        if let Some(newest) = self.runs.front_mut()
            && newest.last.state == observed.state
        {
            newest.observations = newest.observations.saturating_add(1);
            newest.last = observed;
            return;
        }
        self.restore(Run {
            first_observed_at: observed.observed_at,
            last: observed,
            observations: 1,
        });
    }

    /// Adds a run that was remembered elsewhere, as the newest.
    pub fn restore(&mut self, run: Run<T>) {
        // Most components of most nodes are what they were: by itself a queue begins with four.
        if self.runs.is_empty() {
            self.runs.reserve_exact(1);
        }
        self.runs.push_front(run);
        self.runs.truncate(RUNS_KEPT);
    }

    /// The newest run.
    #[must_use]
    pub fn newest(&self) -> Option<&Run<T>> {
        self.runs.front()
    }

    /// The newest state.
    #[must_use]
    pub fn state(&self) -> Option<&State<T>> {
        self.newest().map(|run| &run.last.state)
    }

    /// The newest facts, if the component was present.
    #[must_use]
    pub fn present(&self) -> Option<&T> {
        self.state().and_then(State::present)
    }

    /// For how many observations in a row, up to now, the facts have satisfied
    /// `holds`, and since when. A state without facts ends the row.
    pub fn holding(&self, holds: impl Fn(&T) -> bool) -> Holding {
        let mut holding = Holding { observations: 0, since: None };
        for run in &self.runs {
            if !run.last.state.present().is_some_and(&holds) {
                break;
            }
            holding.observations = holding.observations.saturating_add(run.observations);
            holding.since = Some(run.first_observed_at);
        }
        holding
    }
}

/// How long something has been so, see [`History::holding`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Holding {
    /// Observations in a row.
    pub observations: u32,
    /// First observation of the row; none when there is no row.
    pub since: Option<Timestamp>,
}

impl Holding {
    /// The longer of two rows of the same failure: what the remembered runs of the facts
    /// tell, and what was counted round by round, which lasts while facts beside it change.
    #[must_use]
    pub fn or_longer(self, other: Self) -> Self {
        if other.observations > self.observations { other } else { self }
    }
}

/// The newest of a component, without its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newest {
    /// The state.
    pub state: ComponentState,
    /// When it was last observed.
    pub observed_at: Timestamp,
    /// When it was first observed to be so.
    pub since: Timestamp,
}

macro_rules! define {
    ($($(#[$what:meta])* $name:ident $word:ident,)*) => {
        /// What is remembered of one node, by component.
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct NodeHistory {
            /// What was last measured.
            pub measured: Measured,
            /// Since when checks have been failing, see [`crate::check::settle`].
            pub standings: Standings,
            /// How often the units of components were restarted, of those that have one.
            pub restarts: BTreeMap<Component, Restarts>,
            /// Starts of the container runtime's process that were seen, where systemd does
            /// not tell of its unit.
            pub containerd_starts: Restarts,
            /// How often units were restarted, of those that systemd tells of restarts of.
            pub unit_restarts: UnitRestarts,
            $(
                #[doc = concat!("History of [`Component::", stringify!($name), "`].")]
                pub $word: History<$name>,
            )*
        }

        impl NodeHistory {
            /// Adds the next observation of one component.
            pub fn observe(&mut self, state: ComponentState, observed_at: Timestamp, took: Duration) {
                self.count_restarts(&state, observed_at);
                match state {
                    $(ComponentState::$name(state) => {
                        self.$word.observe(Observed { observed_at, took, state });
                    })*
                }
            }

            /// Adds a run that was remembered elsewhere, as the newest of its component.
            pub fn restore(
                &mut self,
                state: ComponentState,
                first_observed_at: Timestamp,
                observed_at: Timestamp,
                observations: u32,
            ) {
                self.count_restarts(&state, first_observed_at);
                self.count_restarts(&state, observed_at);
                match state {
                    $(ComponentState::$name(state) => {
                        let last = Observed { observed_at, took: Duration::ZERO, state };
                        self.$word.restore(Run { last, first_observed_at, observations });
                    })*
                }
            }

            /// The remembered states of one component, oldest first.
            #[must_use]
            pub fn states(&self, component: Component) -> Vec<Newest> {
                match component {
                    $(Component::$name => self.$word.runs.iter().rev().map(|run| Newest {
                        state: ComponentState::$name(run.last.state.clone()),
                        observed_at: run.last.observed_at,
                        since: run.first_observed_at,
                    }).collect(),)*
                }
            }

            /// The newest of one component; none when it was never reported.
            #[must_use]
            pub fn newest(&self, component: Component) -> Option<Newest> {
                match component {
                    $(Component::$name => self.$word.newest().map(|run| Newest {
                        state: ComponentState::$name(run.last.state.clone()),
                        observed_at: run.last.observed_at,
                        since: run.first_observed_at,
                    }),)*
                }
            }
        }
    };
}

with_components!(define);

impl NodeHistory {
    fn count_restarts(&mut self, state: &ComponentState, at: Timestamp) {
        if let Some(unit) = state.unit().and_then(UnitState::loaded) {
            self.restarts.entry(state.component()).or_default().observe(unit, at);
        }
        // While nobody answers, the process that is seen need not be the one that would.
        if let ComponentState::Containerd(State::Present(containerd)) = state
            && matches!(containerd.cri, CriAnswer::Serving { .. } | CriAnswer::Unimplemented { .. })
            && let Some(process) = &containerd.process
        {
            self.containerd_starts.observe_process(process, at);
        }
        if let ComponentState::Systemd(State::Present(systemd)) = state {
            self.unit_restarts.observe(&systemd.manager.units, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn seen(second: i64, value: u8) -> Observed<u8> {
        Observed {
            observed_at: Timestamp::from_second(second).expect("a small number of seconds"),
            took: Duration::ZERO,
            state: State::Present(Arc::new(value)),
        }
    }

    #[test]
    fn equal_states_make_one_run_and_the_oldest_runs_are_forgotten() {
        let mut history = History::default();
        for (second, value) in [(1, 1), (2, 1), (3, 2), (4, 3), (5, 4), (6, 5), (7, 5)] {
            history.observe(seen(second, value));
        }
        assert_eq!(history.runs.len(), RUNS_KEPT);
        let newest = history.newest().expect("seven observations");
        assert_eq!(newest.observations, 2);
        assert_eq!(newest.first_observed_at.as_second(), 6);
        assert_eq!(newest.last.observed_at.as_second(), 7);
    }

    #[test]
    fn holding_counts_over_runs_and_stops_at_the_first_that_differs() {
        let mut history = History::default();
        for (second, value) in [(1, 9), (2, 4), (3, 4), (4, 6)] {
            history.observe(seen(second, value));
        }
        let holding = history.holding(|value| value % 2 == 0);
        assert_eq!(holding.observations, 3);
        assert_eq!(holding.since.map(Timestamp::as_second), Some(2));
    }

    #[test]
    fn a_state_without_facts_ends_the_row() {
        let mut history = History::default();
        history.observe(seen(1, 2));
        let mut absent = seen(2, 0);
        absent.state = State::Absent;
        history.observe(absent);
        assert_eq!(history.holding(|_| true), Holding { observations: 0, since: None });
    }
}
