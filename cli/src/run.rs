//! Does what was typed, and says with which exit code it ends. Nothing is written
//! here: what is to be shown is returned.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use clap::CommandFactory as _;
use nodeward_domain::answer::sysctl::SysctlAnswer;
use nodeward_domain::answer::{NodeAnswer, Standing};
use nodeward_domain::check::{Check, find, registry};
use nodeward_domain::fixes::fleet::{Asked, By};
use nodeward_domain::policy::{DEFAULT_EDITION, Policy, PolicyError};
use nodeward_domain::support::SupportAnswer;
use nodeward_domain::why::WhyAnswer;
use nodeward_proto::v1;
use tonic::Code;

use crate::address::Address;
use crate::admin::{self, AdminError, Line};
use crate::arguments::{
    AGGREGATOR_VARIABLE, Arguments, Command, DEFAULT_AGGREGATOR, Feed, Global, Import, ImportScan,
    StandingFilter, Support, SupportCheck, Sysctl,
};
use crate::ca::CaError;
use crate::client::{AskError, Client};
use crate::exit::Exit;
use crate::inspect::{InspectError, inspect, inspect_sysctl};
use crate::progress::Progress;
use crate::scan::{self, ScanFileError, ScanQuestion};
use crate::screen::{self, FeedsAnswer, FleetAnswer, ScreenError, Style};
use crate::support::{self, SupportError};

mod fixes;
mod images;
mod plan;

pub use fixes::FixQuestion;
pub use images::{
    ImagesError, asked_diff, shown_diff, shown_first_fix, shown_images, shown_variants,
};
pub use plan::{exported_plan, plan_request, shown_check, shown_plan, shown_progress};

/// The width of a table that goes neither to a terminal nor has one told.
const PLAIN_WIDTH: usize = 100;

/// What is to be shown, and how the command ends.
#[derive(Debug, PartialEq, Eq)]
pub struct Shown {
    /// All of standard output.
    pub text: String,
    /// The exit code.
    pub exit: Exit,
    /// What the text cannot say, for standard error.
    pub notes: Vec<String>,
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
    #[error("no check {reason:?}{}", did_you_mean(nearest))]
    NoSuchCheck {
        /// What was asked for.
        reason: String,
        /// The reasons that are most like it, the most like first.
        nearest: Vec<&'static str>,
    },
    /// Nothing can be said of images.
    #[error(transparent)]
    Images(#[from] ImagesError),
    /// Nothing was exported.
    #[error(transparent)]
    Support(#[from] SupportError),
    /// A scanner's list cannot be read.
    #[error(transparent)]
    Scan(#[from] ScanFileError),
    /// Nothing was imported.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// No certificate was made.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// The answer cannot be written.
    #[error(transparent)]
    Screen(#[from] ScreenError),
}

impl Failure {
    /// The exit code.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Ask(AskError::Refused {
                code: Code::InvalidArgument | Code::OutOfRange, ..
            }) => Exit::Usage,
            Self::Ask(
                AskError::Unreachable { .. }
                | AskError::NotInTime { .. }
                | AskError::Refused { .. }
                | AskError::Invalid(_),
            )
            | Self::Admin(AdminError::Unreachable { .. } | AdminError::Invalid(_)) => {
                Exit::Unreachable
            }
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
            Self::Ask(AskError::Refused { code: Code::Unimplemented, .. }) => {
                Some("--aggregator URL with the address of --grpc-listen".to_owned())
            }
            Self::Ask(AskError::NoSuchNode(_)) => Some("nodeward nodes".to_owned()),
            Self::Ask(AskError::NotInTime { .. }) => Some(
                "is nodeward-agent running, with that --aggregator and that node name?".to_owned(),
            ),
            Self::Ask(AskError::Ambiguous(_)) => Some("--cluster NAME".to_owned()),
            Self::NoSuchCheck { .. } => Some("nodeward checks".to_owned()),
            Self::Admin(AdminError::Unreachable { .. }) => Some(
                "on the aggregator's machine, as its user or root: --admin-socket PATH with the \
                 path that nodeward-aggregator serve was given"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

/// Does what was typed.
pub async fn run(arguments: &Arguments) -> Result<Shown, Failure> {
    let style = style(&arguments.global);
    let aggregator = &arguments.global.aggregator;
    match &arguments.command {
        Command::PatchAge(command) => FixQuestion::patch_age(command).ask(aggregator, style).await,
        Command::Cve(command) => FixQuestion::cve(command).ask(aggregator, style).await,
        Command::Gate(command) => FixQuestion::gate(command).ask(aggregator, style).await,
        Command::Nodes { cluster, standing } => {
            let _progress = Progress::of("the aggregator");
            let client = Client::new(aggregator)?;
            let answer = fleet(client, cluster.as_deref(), standing.map(Standing::from)).await?;
            Ok(Shown {
                text: screen::nodes(&answer, style)?,
                exit: answer.standing().into(),
                notes: Vec::new(),
            })
        }
        Command::Node { name, cluster, wait } => {
            let mut client = Client::new(aggregator)?;
            let cluster = cluster.as_deref().unwrap_or_default();
            let answer = match wait {
                None => {
                    let _progress = Progress::of("the aggregator");
                    client.node(cluster, name).await?
                }
                Some(limit) => {
                    let _progress = Progress::of(&format!("the first report of {name}"));
                    client.node_when_reported(cluster, name, *limit).await?
                }
            };
            shown(&answer, style)
        }
        Command::Why { name, cluster } => {
            let _progress = Progress::of("the aggregator");
            let cluster = cluster.as_deref().unwrap_or_default();
            shown_why(&Client::new(aggregator)?.why(cluster, name).await?, style)
        }
        Command::Sysctl(Sysctl { node: Some(name), cluster, .. }) => {
            let _progress = Progress::of("the aggregator");
            let cluster = cluster.as_deref().unwrap_or_default();
            shown_sysctl(&Client::new(aggregator)?.sysctl(cluster, name).await?, style)
        }
        Command::Sysctl(arguments) => {
            let policy = edition(arguments.policy.as_deref())?;
            let _progress = Progress::of("this machine's own answers");
            shown_sysctl(&inspect_sysctl(arguments, &policy).await?, style)
        }
        Command::Support(Support::Check(asked)) => {
            let _progress = Progress::of("the aggregator");
            let answer = Client::new(aggregator)?.support(support_request(asked)).await?;
            shown_support(&answer, style)
        }
        Command::Support(Support::Export { out, cluster }) => {
            let _progress = Progress::of("the aggregator");
            let asked =
                Asked { cluster: cluster.clone(), include_unfixed: true, ..Asked::default() };
            let answer = Client::new(aggregator)?.patch_age(&asked, By::Fix).await?;
            let policy = edition(Some(&answer.policy_edition))?;
            let exported = support::export(out, &answer, &policy)?;
            let exit = if exported.complete { Exit::Clean } else { Exit::Incomplete };
            Ok(Shown { text: screen::exported(&exported, style)?, exit, notes: Vec::new() })
        }
        Command::Feed(Feed::Import { paths, complete, as_of, admin_socket }) => {
            let _progress = Progress::of("the import");
            let line = Line { socket: admin_socket, address: aggregator };
            let imported = admin::import(&line, paths, *complete, *as_of).await?;
            Ok(Shown {
                text: screen::imported(&imported, style)?,
                exit: Exit::Clean,
                notes: Vec::new(),
            })
        }
        Command::Feed(Feed::Pull { admin_socket }) => {
            let _progress = Progress::of("the feeds");
            let line = Line { socket: admin_socket, address: aggregator };
            let pulled = admin::pull(&line).await?;
            let is_failed = pulled.sources.iter().any(|one| one.outcome == "failed");
            let exit = if is_failed { Exit::Incomplete } else { Exit::Clean };
            Ok(Shown { text: screen::pulled(&pulled, style)?, exit, notes: Vec::new() })
        }
        Command::Feed(Feed::Status) => {
            let _progress = Progress::of("the aggregator");
            let (as_of, feeds) = Client::new(aggregator)?.feeds().await?;
            let answer = FeedsAnswer { as_of, feeds };
            Ok(Shown {
                text: screen::feeds(&answer, style)?,
                exit: answer.exit(),
                notes: Vec::new(),
            })
        }
        Command::Image(command) => images::image(command, aggregator, style).await,
        Command::Plan(command) => plan::plan(command, aggregator, style).await,
        Command::Import(Import::Scan(asked)) => import_scan(asked, aggregator, style).await,
        Command::Checks { explain, policy } => {
            let text = match explain {
                None => screen::checks(style)?,
                Some(reason) => {
                    let check = find(reason).ok_or_else(|| no_such_check(reason))?;
                    screen::explain(check, &edition(policy.as_deref())?, style)?
                }
            };
            Ok(Shown { text, exit: Exit::Clean, notes: Vec::new() })
        }
        Command::Inspect(arguments) => {
            let policy = edition(arguments.policy.as_deref())?;
            let _progress = Progress::of("this machine's own answers");
            let answer = inspect(arguments, &policy).await?;
            shown(&answer, style)
        }
        Command::Ca(ca) => Ok(Shown {
            text: ca.done(jiff::Timestamp::now())?,
            exit: Exit::Clean,
            notes: Vec::new(),
        }),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Arguments::command(), "nodeward", &mut script);
            let text = String::from_utf8_lossy(&script).into_owned();
            Ok(Shown { text, exit: Exit::Clean, notes: Vec::new() })
        }
    }
}

async fn import_scan(
    asked: &ImportScan,
    aggregator: &Address,
    style: Style<'_>,
) -> Result<Shown, Failure> {
    let scan = scan::read(&asked.file, asked.columns.as_ref())?;
    let _progress = Progress::of("the aggregator");
    let cluster = asked.cluster.as_deref();
    let question = ScanQuestion::of(&scan);
    let mut client = Client::new(aggregator)?;
    let labels = client.label_scan(cluster.unwrap_or_default(), &question.rows).await?;
    let answer = question.answer(scan, cluster, labels);
    Ok(Shown { text: screen::scan(&answer, style)?, exit: answer.exit(), notes: Vec::new() })
}

/// Asks for the nodes. When none stands as is asked for, asks how all of them stand:
/// silence is clean only where everything is known.
async fn fleet(
    mut client: Client,
    cluster: Option<&str>,
    standing: Option<Standing>,
) -> Result<FleetAnswer, AskError> {
    let scope = screen::scope(cluster, standing);
    let cluster = cluster.unwrap_or_default();
    let asked = client.nodes(cluster, standing).await?;
    match standing {
        Some(standing) if asked.rows.is_empty() => {
            let all = client.nodes(cluster, None).await?;
            Ok(FleetAnswer::none_of(standing, all.as_of, scope, all.rows))
        }
        _ => Ok(FleetAnswer::of(asked.as_of, scope, asked.rows)),
    }
}

fn shown(answer: &NodeAnswer, style: Style<'_>) -> Result<Shown, Failure> {
    Ok(Shown {
        text: screen::node(answer, style)?,
        exit: answer.standing().into(),
        notes: Vec::new(),
    })
}

/// The screen of kernel parameters, and how the command ends.
pub fn shown_sysctl(answer: &SysctlAnswer, style: Style<'_>) -> Result<Shown, Failure> {
    Ok(Shown {
        text: screen::sysctl(answer, style)?,
        exit: answer.standing().into(),
        notes: Vec::new(),
    })
}

/// What is asked of the support of nodes.
#[must_use]
pub fn support_request(asked: &SupportCheck) -> v1::CheckSupportRequest {
    let named = |name: &Option<String>| name.clone().unwrap_or_default();
    let pool = named(&asked.pool);
    let (cluster, pool) = match pool.split_once('/') {
        Some((cluster, pool)) => (cluster.to_owned(), pool.to_owned()),
        None => (named(&asked.cluster), pool),
    };
    v1::CheckSupportRequest {
        cluster,
        pool,
        node: named(&asked.node),
        policy: named(&asked.policy),
    }
}

/// The screen of the support of nodes, and how the command ends.
pub fn shown_support(answer: &SupportAnswer, style: Style<'_>) -> Result<Shown, Failure> {
    Ok(Shown {
        text: screen::support_check(answer, style)?,
        exit: answer.standing().into(),
        notes: Vec::new(),
    })
}

/// The screen of why a node is ill, and how the command ends.
pub fn shown_why(answer: &WhyAnswer, style: Style<'_>) -> Result<Shown, Failure> {
    Ok(Shown {
        text: screen::why(answer, style)?,
        exit: answer.standing().into(),
        notes: Vec::new(),
    })
}

fn edition(named: Option<&str>) -> Result<Policy, PolicyError> {
    Policy::edition(named.unwrap_or(DEFAULT_EDITION))
}

fn style(global: &Global) -> Style<'_> {
    let terminal = comfy_table::Table::new().width().map(usize::from);
    // What stands in the environment, or nowhere, holds for the next command as well.
    let is_understood = std::env::var(AGGREGATOR_VARIABLE)
        .unwrap_or_else(|_| DEFAULT_AGGREGATOR.to_owned())
        == global.aggregator.url;
    Style {
        format: global.output,
        width: width(global.width.map(usize::from), terminal),
        aggregator: (!is_understood).then_some(global.aggregator.url.as_str()),
    }
}

/// The columns that are told, or those of the terminal. One that says it has none, as in
/// many build logs, does not know.
fn width(told: Option<usize>, terminal: Option<usize>) -> usize {
    // Wider lines are hard to read, narrower ones hard to make.
    let terminal = terminal.filter(|columns| *columns > 0).map(|columns| columns.clamp(40, 160));
    told.or(terminal).unwrap_or(PLAIN_WIDTH)
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

/// Names the reasons that share the most neighbouring letters with what was typed.
fn no_such_check(reason: &str) -> Failure {
    const MOST: usize = 3;
    let pairs = |text: &str| -> BTreeSet<(char, char)> {
        let letters: Vec<char> = text.to_lowercase().chars().collect();
        letters.windows(2).map(|pair| (pair[0], pair[1])).collect()
    };
    let asked = pairs(reason);
    // Of all letter pairs of both, in thousandths.
    let likeness = |check: &Check| {
        let own = pairs(check.reason);
        own.intersection(&asked).count() * 2000 / (own.len() + asked.len()).max(1)
    };
    let mut known: Vec<_> = registry().map(|check| (likeness(check), check.reason)).collect();
    known.sort_by_key(|(likeness, _)| Reverse(*likeness));
    let best = known.first().map_or(0, |(likeness, _)| *likeness);
    let nearest = known
        .into_iter()
        // One that is behind the best was hardly meant, one without likeness not at all.
        .take_while(|(likeness, _)| *likeness > 0 && likeness * 10 >= best * 9)
        .take(MOST)
        .map(|(_, reason)| reason)
        .collect();
    Failure::NoSuchCheck { reason: reason.to_owned(), nearest }
}

fn did_you_mean(nearest: &[&str]) -> String {
    if nearest.is_empty() {
        return String::new();
    }
    format!("; did you mean {}?", nearest.join(" or "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_without_columns_does_not_know_them() {
        assert_eq!(width(None, Some(0)), PLAIN_WIDTH);
        assert_eq!(width(None, None), PLAIN_WIDTH);
        assert_eq!(width(None, Some(20)), 40);
        assert_eq!(width(None, Some(500)), 160);
        assert_eq!(width(Some(500), Some(80)), 500);
    }

    #[test]
    fn a_mistyped_check_is_answered_with_those_that_may_be_meant() {
        for (typed, meant) in [
            ("KubeletDwon", vec!["KubeletDown"]),
            ("containerd-hung", vec!["ContainerdHung"]),
            ("osretierd", vec!["OsRetired"]),
            ("containerd", vec!["ContainerdDown", "ContainerdHung"]),
            ("zzz", vec![]),
        ] {
            let Failure::NoSuchCheck { nearest, .. } = no_such_check(typed) else {
                panic!("another failure")
            };
            assert_eq!(nearest, meant);
        }
    }
}
