//! What can be typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::{SignedDuration, Timestamp};

/// Where an aggregator listens if nothing else is told.
pub const DEFAULT_AGGREGATOR: &str = "http://127.0.0.1:7443";

/// The environment variable in the place of `--aggregator`.
pub const AGGREGATOR_VARIABLE: &str = "NODEWARD_AGGREGATOR";

/// Says for every node of a fleet what is wrong, who must act, and what to do next.
#[derive(Debug, Parser)]
#[command(name = "nodeward", version, disable_help_subcommand = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
}

/// What holds for every command.
#[derive(Debug, Args)]
pub struct Global {
    /// Where the aggregator listens.
    #[arg(
        long,
        global = true,
        env = AGGREGATOR_VARIABLE,
        value_name = "URL",
        default_value = DEFAULT_AGGREGATOR
    )]
    pub aggregator: String,

    /// How the answer is written.
    #[arg(short, long, global = true, value_enum, value_name = "FORMAT", default_value = "table")]
    pub output: Format,

    /// Columns of a written table; the terminal's own, up to 160, when not given.
    #[arg(long, global = true, value_name = "COLUMNS", value_parser = clap::value_parser!(u16).range(40..=1000))]
    pub width: Option<u16>,
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people, in short.
    Table,
    /// For people, with everything.
    Wide,
    /// One JSON document.
    Json,
    /// One YAML document.
    Yaml,
    /// Comma-separated values, RFC 4180.
    Csv,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Every node: how it stands, and who acts first.
    Nodes {
        /// Only nodes of this cluster.
        #[arg(long, value_name = "NAME")]
        cluster: Option<String>,
        /// Only nodes that stand so.
        #[arg(long, value_name = "STANDING")]
        standing: Option<StandingFilter>,
    },
    /// One node: what is wrong, who acts, and what it rests on.
    Node {
        /// The node's name.
        name: String,
        /// Its cluster, when several have a node of that name.
        #[arg(long, value_name = "NAME")]
        cluster: Option<String>,
        /// Wait until every component of the node has been reported, for so long at most
        /// [default: 60s].
        #[arg(
            long,
            value_name = "DURATION",
            num_args = 0..=1,
            require_equals = true,
            default_missing_value = "60s",
            value_parser = duration,
        )]
        wait: Option<Duration>,
    },
    /// Every check, or one of them in full. Needs no aggregator.
    Checks {
        /// Explain this check.
        #[arg(long, value_name = "REASON")]
        explain: Option<String>,
        /// Edition of the support policy [default: aks-2026].
        #[arg(long, env = "NODEWARD_POLICY", value_name = "EDITION")]
        policy: Option<String>,
    },
    /// Look at one machine on the spot. Needs no aggregator.
    Inspect(Inspect),
    /// Write a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// How one machine is looked at.
#[derive(Debug, Args)]
pub struct Inspect {
    /// The machine's root directory.
    #[arg(long, env = "NODEWARD_HOST_ROOT", value_name = "DIR", default_value = "/")]
    pub host_root: PathBuf,
    /// The container runtime's socket on the host [default: /run/containerd/containerd.sock].
    #[arg(long, env = "NODEWARD_CONTAINERD_SOCKET", value_name = "PATH")]
    pub containerd_socket: Option<String>,
    /// A file with a bearer token for this node's kubelet.
    #[arg(long, env = "NODEWARD_KUBELET_TOKEN_FILE", value_name = "FILE")]
    pub kubelet_token_file: Option<PathBuf>,
    /// Recorded answers of local endpoints, for a root that is not running.
    #[arg(long, value_name = "FILE")]
    pub recorded_answers: Option<PathBuf>,
    /// Name to show [default: the machine's own].
    #[arg(long, value_name = "NAME")]
    pub node_name: Option<String>,
    /// Edition of the support policy [default: aks-2026].
    #[arg(long, env = "NODEWARD_POLICY", value_name = "EDITION")]
    pub policy: Option<String>,
    /// Answer as if it were this moment, such as 2026-11-24T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub now: Option<Timestamp>,
}

/// How a node may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StandingFilter {
    /// Something is wrong.
    Findings,
    /// Nothing is known to be wrong, and something could not be seen.
    Incomplete,
    /// Nothing is wrong.
    Clean,
}

fn duration(text: &str) -> Result<Duration, String> {
    let length: SignedDuration =
        text.parse().map_err(|_| "is not a duration such as 60s or 2m".to_owned())?;
    Duration::try_from(length).map_err(|_| "is negative".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_wait_has_a_usual_length_and_bounds() {
        let wait = |line: &str| {
            let parsed = Arguments::try_parse_from(line.split_whitespace()).ok()?;
            match parsed.command {
                Command::Node { wait, .. } => wait,
                _ => None,
            }
        };
        assert_eq!(wait("nodeward node a --wait"), Some(Duration::from_secs(60)));
        assert_eq!(wait("nodeward node a --wait=2m"), Some(Duration::from_secs(120)));
        assert_eq!(wait("nodeward node --wait a"), Some(Duration::from_secs(60)));
        assert_eq!(wait("nodeward node a --wait=-2m"), None);
        assert_eq!(wait("nodeward node a"), None);
    }
}
