//! The facts that collectors read, one type per component. Facts carry no opinion:
//! what they mean is judged in [`crate::check`].

mod containerd;
mod http;
mod kernel;
mod kubelet;
mod os_release;
mod packages;
mod process;

pub use containerd::{Containerd, CriAnswer, RuntimeCondition, RuntimeVersion};
pub use http::HttpAnswer;
pub use kernel::{Kernel, Taint};
pub use kubelet::Kubelet;
pub use os_release::OsRelease;
pub use packages::{Package, PackageManager, Packages, UnfinishedPackage};
pub use process::Process;

use crate::component::Component;
use crate::observed::State;

/// The state of one component, whichever it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ComponentState {
    /// State of [`Component::OsRelease`].
    OsRelease(State<OsRelease>),
    /// State of [`Component::Kernel`].
    Kernel(State<Kernel>),
    /// State of [`Component::Packages`].
    Packages(State<Packages>),
    /// State of [`Component::Containerd`].
    Containerd(State<Containerd>),
    /// State of [`Component::Kubelet`].
    Kubelet(State<Kubelet>),
}

/// Runs the same expression on the typed state, whichever component it is of.
macro_rules! on_state {
    ($state:expr, $inner:ident => $body:expr) => {
        match $state {
            ComponentState::OsRelease($inner) => $body,
            ComponentState::Kernel($inner) => $body,
            ComponentState::Packages($inner) => $body,
            ComponentState::Containerd($inner) => $body,
            ComponentState::Kubelet($inner) => $body,
        }
    };
}

impl ComponentState {
    /// Which component this is the state of.
    #[must_use]
    pub const fn component(&self) -> Component {
        match self {
            Self::OsRelease(_) => Component::OsRelease,
            Self::Kernel(_) => Component::Kernel,
            Self::Packages(_) => Component::Packages,
            Self::Containerd(_) => Component::Containerd,
            Self::Kubelet(_) => Component::Kubelet,
        }
    }

    /// The component could not be read, for this reason.
    #[must_use]
    pub fn unavailable(component: Component, unavailable: crate::observed::Unavailable) -> Self {
        match component {
            Component::OsRelease => Self::OsRelease(State::Unavailable(unavailable)),
            Component::Kernel => Self::Kernel(State::Unavailable(unavailable)),
            Component::Packages => Self::Packages(State::Unavailable(unavailable)),
            Component::Containerd => Self::Containerd(State::Unavailable(unavailable)),
            Component::Kubelet => Self::Kubelet(State::Unavailable(unavailable)),
        }
    }

    /// The word of the state, see [`State::word`].
    #[must_use]
    pub const fn word(&self) -> &'static str {
        on_state!(self, state => state.word())
    }

    /// One line that says what was seen, for people.
    #[must_use]
    pub fn headline(&self) -> String {
        fn line<T: Headline>(state: &State<T>) -> String {
            match state {
                State::Present(facts) => facts.headline(),
                State::Absent => "not installed".to_owned(),
                State::NotApplicable(why) => why.clone(),
                State::Unavailable(unavailable) => format!("could not be read: {unavailable}"),
            }
        }
        on_state!(self, state => line(state))
    }
}

/// Facts that can be told in one line.
pub trait Headline {
    /// What was seen, in one line for people.
    fn headline(&self) -> String;
}
