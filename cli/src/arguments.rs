//! What can be typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::{SignedDuration, Timestamp};
use nodeward_feeds::scan::ColumnMapping;

use crate::address::Address;
use crate::ca::Ca;

/// Where an aggregator listens if nothing else is told.
pub const DEFAULT_AGGREGATOR: &str = "http://127.0.0.1:7443";

/// The environment variable in the place of `--aggregator`.
pub const AGGREGATOR_VARIABLE: &str = "NODEWARD_AGGREGATOR";

/// Where an aggregator listens for administrators if nothing else is told.
pub const DEFAULT_ADMIN_SOCKET: &str = "/run/nodeward/admin.sock";

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
    /// Where the aggregator is, and what is shown to it.
    #[command(flatten)]
    pub aggregator: Address,

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
    /// Why a node is ill: the cause, who repairs it and when, what happened in which order, who
    /// else has it, and what it is not.
    Why {
        /// The node's name.
        name: String,
        /// Its cluster, when several have a node of that name.
        #[arg(long, value_name = "NAME")]
        cluster: Option<String>,
    },
    /// Kernel parameters of a node: what each is, what files and policy say it should be, and
    /// whose turn it is. Without --node those of this machine, which needs no aggregator.
    Sysctl(Sysctl),
    /// Missing fixes of all nodes by their age: whose turn it is, and what to do.
    PatchAge(PatchAge),
    /// One vulnerability, or one vendor's record: which nodes lack its fix, and whose turn it is.
    Cve(Cve),
    /// Fails when a missing fix is too old: for pipelines.
    Gate(Gate),
    /// What to hand in with the provider.
    #[command(subcommand)]
    Support(Support),
    /// Feeds of advisories: what there is, and what is to be taken in.
    #[command(subcommand)]
    Feed(Feed),
    /// Lists that others made: how what is in them stands on the nodes.
    #[command(subcommand)]
    Import(Import),
    /// Node images: what is in them, what moving to another changes, which fixes what first.
    #[command(subcommand)]
    Image(Image),
    /// Plans of node image upgrades: what goes, in which order, and what stands in the way.
    #[command(subcommand)]
    Plan(Plan),
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
    /// A certificate authority of your own: make it, and issue certificates of nodes, readers,
    /// administrators, relays and aggregators. Needs no aggregator.
    #[command(subcommand)]
    Ca(Ca),
    /// Write a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Whose kernel parameters are asked for.
#[derive(Debug, Args)]
pub struct Sysctl {
    /// The node; this machine when none is named.
    #[arg(long, value_name = "NODE")]
    pub node: Option<String>,
    /// Its cluster, when several have a node of that name.
    #[arg(long, value_name = "NAME", requires = "node")]
    pub cluster: Option<String>,
    /// The root directory of this machine.
    #[arg(long, env = "NODEWARD_HOST_ROOT", value_name = "DIR", default_value = "/")]
    pub host_root: PathBuf,
    /// Edition of the support policy for this machine [default: aks-2026].
    #[arg(long, env = "NODEWARD_POLICY", value_name = "EDITION")]
    pub policy: Option<String>,
    /// Answer for this machine as if it were this moment, such as 2026-11-24T12:00:00Z.
    #[arg(long, value_name = "TIME", conflicts_with = "node")]
    pub now: Option<Timestamp>,
}

/// Which fixes are asked for.
#[derive(Debug, Args)]
pub struct AskedFixes {
    /// Only nodes of this cluster.
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,
    /// Only what these must act on; may be given several times.
    #[arg(long, value_enum, value_name = "WHO")]
    pub responsible: Vec<ResponsibleArgument>,
}

/// Missing fixes of all nodes.
#[derive(Debug, Args)]
pub struct PatchAge {
    /// Which fixes.
    #[command(flatten)]
    pub asked: AskedFixes,
    /// Only fixes that are older than this, such as 30d or 12h.
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub older_than: Option<SignedDuration>,
    /// By what rows are folded.
    #[arg(long, value_enum, value_name = "WHAT", default_value = "fix")]
    pub by: ByArgument,
    /// With vulnerabilities that have no fix, and those that are mitigated.
    #[arg(long)]
    pub include_unfixed: bool,
}

/// One vulnerability.
#[derive(Debug, Args)]
pub struct Cve {
    /// Such as CVE-2026-31431, or USN-8226-1.
    pub id: String,
    /// Only nodes of this cluster.
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,
}

/// A limit on the age of missing fixes.
#[derive(Debug, Args)]
pub struct Gate {
    /// Which fixes.
    #[command(flatten)]
    pub asked: AskedFixes,
    /// No missing fix may be older than this, such as 30d.
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub max_fix_age: SignedDuration,
    /// Say that something could not be told rather than that something is missing, where
    /// both are so.
    #[arg(long)]
    pub require_complete: bool,
}

/// What can be done for a request to the provider.
#[derive(Debug, Subcommand)]
pub enum Support {
    /// Whether nodes can be supported: every rule of the support policy, as far as nodes show
    /// it, and who would tell the rest.
    Check(SupportCheck),
    /// Write the filtered list that the policy asks for, a summary, evidence, and what was
    /// left out with the reason.
    Export {
        /// A folder that is made for it.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Only nodes of this cluster.
        #[arg(long, value_name = "NAME")]
        cluster: Option<String>,
    },
}

/// Whose support is asked for.
#[derive(Debug, Args)]
pub struct SupportCheck {
    /// Only nodes of this cluster.
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,
    /// Only nodes of this pool, as POOL or CLUSTER/POOL.
    #[arg(long, value_name = "POOL")]
    pub pool: Option<String>,
    /// Only this node.
    #[arg(long, value_name = "NODE", conflicts_with = "pool")]
    pub node: Option<String>,
    /// Edition of the support policy, such as aks-2026 or aks-pl+faq-zh [default: the
    /// aggregator's own].
    #[arg(long, value_name = "EDITION")]
    pub policy: Option<String>,
}

/// What can be done with feeds.
#[derive(Debug, Subcommand)]
pub enum Feed {
    /// Take files, archives or folders in: all of them, or none when one is refused.
    Import {
        /// Where they lie.
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// They have everything that their vendors published on the releases in them.
        #[arg(long)]
        complete: bool,
        /// Of when they are, where they do not say so themselves.
        #[arg(long, value_name = "TIME")]
        as_of: Option<Timestamp>,
        /// The aggregator's socket for administrators; not used where --aggregator is https.
        #[arg(
            long,
            env = "NODEWARD_ADMIN_SOCKET",
            value_name = "PATH",
            default_value = DEFAULT_ADMIN_SOCKET
        )]
        admin_socket: PathBuf,
    },
    /// Have the aggregator pull the feeds that it is configured with, now.
    Pull {
        /// The aggregator's socket for administrators; not used where --aggregator is https.
        #[arg(
            long,
            env = "NODEWARD_ADMIN_SOCKET",
            value_name = "PATH",
            default_value = DEFAULT_ADMIN_SOCKET
        )]
        admin_socket: PathBuf,
    },
    /// How the aggregator's feeds stand: how old each is, and for what it is complete.
    Status,
}

/// What can be done with plans. Nodeward changes nothing itself.
#[derive(Debug, Subcommand)]
pub enum Plan {
    /// Make a plan and keep it under its name.
    Create(CreatePlan),
    /// The plans that are kept.
    List,
    /// A plan as it was made.
    Show {
        /// Its name.
        name: String,
    },
    /// A plan judged again on what is known now; fails when a pool that went is blocked.
    Check {
        /// Its name.
        name: String,
    },
    /// A plan for the tools that act: a script of az commands, the stages of Azure Kubernetes
    /// Fleet Manager, or the text of a change ticket.
    Export {
        /// Its name.
        name: String,
        /// For what.
        #[arg(long = "as", value_enum, value_name = "FORM", default_value = "script")]
        form: ExportForm,
    },
    /// How far the upgrade is, by the reports of nodes, never by what the provider says.
    Watch {
        /// Its name.
        name: String,
        /// Look again every so long, such as 30s, until it is done, and show every change as it
        /// comes; once when not given. A second is the least.
        #[arg(long, value_name = "DURATION", value_parser = interval)]
        every: Option<Duration>,
    },
    /// Forget a plan.
    Delete {
        /// Its name.
        name: String,
    },
}

/// What is asked of a plan.
#[derive(Debug, Args)]
pub struct CreatePlan {
    /// Its name.
    pub name: String,
    /// Which pools, such as cluster=prod-*,mode=user,tag:env!=frozen [default: all].
    #[arg(long, value_name = "SELECTION", default_value = "")]
    pub select: String,
    /// When steps may begin, such as 'Sat 22:00-06:00 Europe/Amsterdam not 2026-12-24..2026-12-26';
    /// may be given several times [default: any time].
    #[arg(long = "window", value_name = "WINDOW")]
    pub windows: Vec<String>,
    /// How many of the selected nodes may be out of use at any time: 5%, or a number
    /// [default: 5%].
    #[arg(long, value_name = "SHARE", value_parser = NonEmptyStringValueParser::new())]
    pub max_disrupted: Option<String>,
    /// newest-offered, or the version or label of an image [default: newest-offered].
    #[arg(long, value_name = "IMAGE", value_parser = NonEmptyStringValueParser::new())]
    pub target: Option<String>,
    /// How many pools of one cluster may go at a time.
    #[arg(long, value_name = "NUMBER", default_value = "1", value_parser = clap::value_parser!(u32).range(1..))]
    pub pools_at_once: u32,
    /// How many of the pools are the canary, beside one per line of images [default: 1].
    #[arg(long, value_name = "SHARE", value_parser = NonEmptyStringValueParser::new())]
    pub canary: Option<String>,
    /// How long to wait behind the canary, hours [default: 12].
    #[arg(long, value_name = "HOURS")]
    pub soak_hours: Option<u32>,
    /// What was looked at and is taken: drift, unmanaged. It warns in the place of blocking.
    #[arg(long, value_name = "WHAT")]
    pub accept: Vec<String>,
    /// Take the place of a plan of that name.
    #[arg(long)]
    pub replace: bool,
}

/// For what a plan is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportForm {
    /// A shell script of az commands, a wave at a time.
    Script,
    /// Stages of Azure Kubernetes Fleet Manager, as JSON.
    Fleet,
    /// Markdown for a change ticket.
    Ticket,
}

/// What can be done with node images.
#[derive(Debug, Subcommand)]
pub enum Image {
    /// Take release notes, lists of container images, package deltas of security patches and
    /// tables of announcements in: all of them, or none when one is refused.
    Import {
        /// Files, or folders of them: notes lie in FAMILY/VERSION.txt.
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// The aggregator's socket for administrators; not used where --aggregator is https.
        #[command(flatten)]
        admin: AdminSocket,
    },
    /// What is offered to pools.
    #[command(subcommand)]
    Offered(ImageOffered),
    /// The images that are known: when each was built, announced and offered, and where it
    /// runs.
    List {
        /// Only this line of images, such as 2204gen2containerd.
        #[arg(long, value_name = "FAMILY")]
        family: Option<String>,
        /// What is known without an aggregator.
        #[command(flatten)]
        known: KnownImages,
    },
    /// What moving from one image to another fixes, leaves and brings back.
    Diff {
        /// Two images, by their labels, or by versions of --family; with --pool the second
        /// one is enough.
        #[arg(required = true, num_args = 1..=2, value_name = "IMAGE")]
        images_named: Vec<String>,
        /// The line of images, such as 2204gen2containerd.
        #[arg(long, alias = "sku", value_name = "FAMILY")]
        family: Option<String>,
        /// From what the nodes of this pool have, as POOL or CLUSTER/POOL.
        #[arg(long, value_name = "POOL", conflicts_with_all = ["images", "feeds"])]
        pool: Option<String>,
        /// What is known without an aggregator.
        #[command(flatten)]
        known: KnownImages,
    },
    /// Nodes of one image that do not have the same packages, and what is not the same.
    Variants {
        /// By its label, or by its version and --family.
        image: String,
        /// The line of images that a version is of, such as 2204gen2containerd.
        #[arg(long, alias = "sku", value_name = "FAMILY")]
        family: Option<String>,
    },
    /// The first image of each line that runs a fix: when it was built, announced and offered.
    FirstFix {
        /// Such as CVE-2025-15467, or USN-7980-1.
        id: String,
        /// Only this line of images, such as 2204gen2containerd.
        #[arg(long, alias = "sku", value_name = "FAMILY")]
        family: Option<String>,
        /// What is known without an aggregator.
        #[command(flatten)]
        known: KnownImages,
    },
}

/// What can be done with what is offered.
#[derive(Debug, Subcommand)]
pub enum ImageOffered {
    /// Take in what the provider's tools say of pools (`az aks nodepool get-upgrades`,
    /// `az aks nodepool list`, `az aks show`, each with -o json), or a small TOML.
    Import {
        /// Files, or folders of them.
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// What their cluster is called here, where the provider calls it otherwise.
        #[arg(long, value_name = "NAME")]
        cluster: Option<String>,
        /// The aggregator's socket for administrators; not used where --aggregator is https.
        #[command(flatten)]
        admin: AdminSocket,
    },
}

/// Where an aggregator listens for administrators.
#[derive(Debug, Args)]
pub struct AdminSocket {
    /// The aggregator's socket for administrators; not used where --aggregator is https.
    #[arg(
        long,
        env = "NODEWARD_ADMIN_SOCKET",
        value_name = "PATH",
        default_value = DEFAULT_ADMIN_SOCKET
    )]
    pub admin_socket: PathBuf,
}

/// Images and advisories out of files, without an aggregator.
#[derive(Debug, Args)]
pub struct KnownImages {
    /// Answer out of these release notes, and the other documents beside them, without an
    /// aggregator.
    #[arg(long, value_name = "PATH")]
    pub images: Vec<PathBuf>,
    /// Advisories beside those that come with the program: a file, an archive, or a folder.
    #[arg(long = "feed", value_name = "PATH", requires = "images")]
    pub feeds: Vec<PathBuf>,
    /// The feeds have everything that their vendors published on the releases in them.
    #[arg(long, requires = "feeds")]
    pub complete: bool,
    /// Answer as if it were this moment, such as 2026-11-24T12:00:00Z.
    #[arg(long, value_name = "TIME", requires = "images")]
    pub now: Option<Timestamp>,
}

/// What can be done with lists that others made.
#[derive(Debug, Subcommand)]
pub enum Import {
    /// Label every row of a scanner's list: whose turn it is where the node's own facts
    /// agree, and why where they do not. Nothing of it is kept.
    Scan(ImportScan),
}

/// A scanner's list.
#[derive(Debug, Args)]
pub struct ImportScan {
    /// JSON of Trivy or Grype, or a table (CSV) of any other scanner.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Which columns of a table mean what, where their names do not tell:
    /// cve=CVE ID,package=Package,installed=Version,fixed=Fix,severity=Severity,node=Host.
    #[arg(long, value_name = "MAPPING")]
    pub columns: Option<ColumnMapping>,
    /// Only nodes of this cluster.
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,
}

/// By what rows of missing fixes are folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ByArgument {
    /// A row for each vendor's record on a source package.
    Fix,
    /// A row for each vulnerability.
    Cve,
    /// A row for each node.
    Node,
    /// A row for each node pool.
    Pool,
    /// A row for each node image.
    Image,
}

/// Who may have to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum ResponsibleArgument {
    /// The operator.
    Customer,
    /// The provider of the managed cluster.
    Provider,
    /// Something that acts by itself.
    Automation,
    /// The vendor: there is no fix.
    Vendor,
    /// Nobody yet: the fix is younger than the policy's line.
    NobodyYet,
    /// It cannot be said.
    Unknown,
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
    /// A folder with files of node-problem-detector: rules for logs are followed, plugins
    /// listed and never run.
    #[arg(long, env = "NODEWARD_NPD_CONFIG", value_name = "DIR")]
    pub npd_config: Option<PathBuf>,
    /// Endpoints outside of the cluster that are looked at: NAME or NAME:PORT, or the lists
    /// aks-public and aks-china. None is, without this; without a value the first of them.
    #[arg(
        long,
        env = "NODEWARD_EGRESS",
        value_name = "ENDPOINT",
        value_delimiter = ',',
        num_args = 0..=1,
        default_missing_value = "aks-public"
    )]
    pub egress: Option<Vec<String>>,
    /// Ask the kernel what rules of nf_tables do with traffic that the node lives by. It tells
    /// those alone who have CAP_NET_ADMIN in the node's network.
    #[arg(long, env = "NODEWARD_PACKET_FILTER")]
    pub packet_filter: bool,
    /// Name to show [default: the machine's own].
    #[arg(long, value_name = "NAME")]
    pub node_name: Option<String>,
    /// Advisories beside those that come with the program: a file, an archive, or a folder.
    #[arg(long = "feed", value_name = "PATH")]
    pub feeds: Vec<PathBuf>,
    /// The feeds have everything that their vendors published on the releases in them.
    #[arg(long, requires = "feeds")]
    pub complete: bool,
    /// What is in node images: release notes, or folders of them.
    #[arg(long, value_name = "PATH")]
    pub images: Vec<PathBuf>,
    /// An image version that is offered to this node, such as 202607.02.0.
    #[arg(long, value_name = "VERSION")]
    pub offered: Vec<String>,
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

/// An age as people write it: days of 24 hours too.
pub(crate) fn age(text: &str) -> Result<SignedDuration, String> {
    let wrong = || "is not an age such as 30d or 12h".to_owned();
    let age = match text.strip_suffix('d').and_then(|days| days.trim().parse::<i64>().ok()) {
        Some(days) => SignedDuration::try_from_hours(days.checked_mul(24).ok_or_else(wrong)?)
            .ok_or_else(wrong)?,
        None => text.parse().map_err(|_| wrong())?,
    };
    if age.is_negative() { Err("is negative".to_owned()) } else { Ok(age) }
}

/// How often something is asked for.
fn interval(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        every if every < Duration::from_secs(1) => Err("is less than a second".to_owned()),
        every => Ok(every),
    }
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
    fn what_is_asked_of_a_plan_is_never_empty_nor_none() {
        let is_taken = |line: &str| Arguments::try_parse_from(line.split_whitespace()).is_ok();
        for refused in [
            "nodeward plan create x --max-disrupted=",
            "nodeward plan create x --target=",
            "nodeward plan create x --canary=",
            "nodeward plan create x --pools-at-once=0",
            "nodeward plan watch x --every 0s",
            "nodeward plan watch x --every 999ms",
        ] {
            assert!(!is_taken(refused), "{refused}");
        }
        assert!(is_taken("nodeward plan create x --max-disrupted=5% --pools-at-once=2"));
        assert!(is_taken("nodeward plan watch x --every 1s"));
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
