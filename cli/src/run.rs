//! Does what was typed, and says with which exit code it ends. Nothing is written
//! here: what is to be shown is returned.

use clap::CommandFactory as _;
use nodeward_domain::answer::{NodeAnswer, Standing};
use nodeward_domain::check::{find, registry};
use nodeward_domain::policy::{DEFAULT_EDITION, Policy, PolicyError};

use crate::arguments::{Arguments, Command, Global, StandingFilter};
use crate::client::{AskError, Client};
use crate::exit::Exit;
use crate::inspect::{InspectError, inspect};
use crate::progress::Progress;
use crate::screen::{self, FleetAnswer, ScreenError, Style};

/// The width of a table that goes neither to a terminal nor has one told.
const PLAIN_WIDTH: usize = 100;

/// What is to be shown, and how the command ends.
#[derive(Debug, PartialEq, Eq)]
pub struct Shown {
    /// All of standard output.
    pub text: String,
    /// The exit code.
    pub exit: Exit,
}

/// Why a command cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The aggregator has no answer.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The machine cannot be looked at.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// The policy edition cannot be used.
    #[error("--policy: {0}")]
    Policy(#[from] PolicyError),
    /// There is no such check.
    #[error("no check {reason:?}; did you mean {nearest}?")]
    NoSuchCheck {
        /// What was asked for.
        reason: String,
        /// The reason that is most like it.
        nearest: &'static str,
    },
    /// The answer cannot be written.
    #[error(transparent)]
    Screen(#[from] ScreenError),
}

impl Failure {
    /// The exit code.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Ask(
                AskError::Unreachable { .. }
                | AskError::NotInTime { .. }
                | AskError::Refused { .. }
                | AskError::Invalid(_),
            ) => Exit::Unreachable,
            _ => Exit::Usage,
        }
    }

    /// What to try next, where that is plain.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Ask(AskError::Unreachable { .. }) => Some(
                "nodeward-aggregator serve, or --aggregator URL for one that runs; \
                 nodeward inspect needs none"
                    .to_owned(),
            ),
            Self::Ask(AskError::NoSuchNode(_)) => Some("nodeward nodes".to_owned()),
            Self::Ask(AskError::NotInTime { .. }) => Some(
                "is nodeward-agent running, with that --aggregator and that node name?".to_owned(),
            ),
            Self::Ask(AskError::Ambiguous(_)) => Some("--cluster NAME".to_owned()),
            Self::NoSuchCheck { .. } => Some("nodeward checks".to_owned()),
            _ => None,
        }
    }
}

/// Does what was typed.
pub async fn run(arguments: &Arguments) -> Result<Shown, Failure> {
    let style = style(&arguments.global);
    match &arguments.command {
        Command::Nodes { cluster, standing } => {
            let mut client = Client::new(&arguments.global.aggregator)?;
            let standing = standing.map(Standing::from);
            let asked = client.nodes(cluster.as_deref().unwrap_or_default(), standing).await?;
            let scope = screen::scope(cluster.as_deref(), standing);
            let answer = FleetAnswer::of(asked.as_of, scope, asked.rows);
            Ok(Shown { text: screen::nodes(&answer, style)?, exit: answer.standing().into() })
        }
        Command::Node { name, cluster, wait } => {
            let mut client = Client::new(&arguments.global.aggregator)?;
            let cluster = cluster.as_deref().unwrap_or_default();
            let answer = match wait {
                None => client.node(cluster, name).await?,
                Some(limit) => {
                    let _progress = Progress::of(&format!("the first report of {name}"));
                    client.node_when_reported(cluster, name, *limit).await?
                }
            };
            shown(&answer, style)
        }
        Command::Checks { explain, policy } => {
            let text = match explain {
                None => screen::checks(style)?,
                Some(reason) => {
                    let check = find(reason).ok_or_else(|| no_such_check(reason))?;
                    screen::explain(check, &edition(policy.as_deref())?, style)?
                }
            };
            Ok(Shown { text, exit: Exit::Clean })
        }
        Command::Inspect(arguments) => {
            let policy = edition(arguments.policy.as_deref())?;
            let _progress = Progress::of("this machine's own answers");
            let answer = inspect(arguments, &policy).await?;
            shown(&answer, style)
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Arguments::command(), "nodeward", &mut script);
            let text = String::from_utf8_lossy(&script).into_owned();
            Ok(Shown { text, exit: Exit::Clean })
        }
    }
}

fn shown(answer: &NodeAnswer, style: Style) -> Result<Shown, Failure> {
    Ok(Shown { text: screen::node(answer, style)?, exit: answer.standing().into() })
}

fn edition(named: Option<&str>) -> Result<Policy, PolicyError> {
    Policy::edition(named.unwrap_or(DEFAULT_EDITION))
}

fn style(global: &Global) -> Style {
    let terminal = || comfy_table::Table::new().width().map(usize::from);
    let width = global.width.map(usize::from).or_else(terminal).unwrap_or(PLAIN_WIDTH);
    // Wider lines are hard to read, narrower ones hard to make.
    Style { format: global.output, width: width.clamp(40, 160) }
}

impl From<StandingFilter> for Standing {
    fn from(standing: StandingFilter) -> Self {
        match standing {
            StandingFilter::Findings => Self::Findings,
            StandingFilter::Incomplete => Self::Incomplete,
            StandingFilter::Clean => Self::Clean,
        }
    }
}

/// Names the reason that shares the most neighbouring letters with what was typed.
fn no_such_check(reason: &str) -> Failure {
    let pairs = |text: &str| -> std::collections::BTreeSet<(char, char)> {
        let letters: Vec<char> = text.to_lowercase().chars().collect();
        letters.windows(2).map(|pair| (pair[0], pair[1])).collect()
    };
    let asked = pairs(reason);
    let nearest = registry()
        .max_by_key(|check| {
            let own = pairs(check.reason);
            let shared = own.intersection(&asked).count();
            // Of all letter pairs of both, in thousandths.
            shared * 2000 / (own.len() + asked.len()).max(1)
        })
        .map_or("", |check| check.reason);
    Failure::NoSuchCheck { reason: reason.to_owned(), nearest }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_check_is_answered_with_the_one_that_was_meant() {
        for (typed, meant) in [
            ("KubeletDwon", "KubeletDown"),
            ("containerd-hung", "ContainerdHung"),
            ("osretierd", "OsRetired"),
        ] {
            let Failure::NoSuchCheck { nearest, .. } = no_such_check(typed) else {
                panic!("another failure")
            };
            assert_eq!(nearest, meant);
        }
    }
}
