//! Pages of the documentation that are made from code: commands, checks,
//! collectors, and what is not checked.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::{Arg, Command};
use nodeward_agent::collect::COLLECTORS;
use nodeward_agent::reads::{NEVER, Read};
use nodeward_domain::check::coverage::{BEYOND, Lack, Question, questions};
use nodeward_domain::check::{Check, registry};
use nodeward_domain::component::Component;
use nodeward_domain::policy::{Policy, Rule, Seen};

use crate::exit::CODES;

const MADE: &str = "<!-- Made from code by `make docs`; changes here are lost. -->\n";

/// The manual of these programs.
#[must_use]
pub fn manual(programs: Vec<Command>) -> String {
    let mut page = format!("{MADE}# Commands\n");
    for mut program in programs {
        program.build();
        let name = program.get_name().to_owned();
        section(&mut page, &program, &name, true);
    }
    page.push_str(
        "\n## Exit codes of `nodeward`\n\nWhen several apply, the order is 2, 3, 1, 4, 0.\n\n",
    );
    page.push_str("| code | meaning |\n|---|---|\n");
    for (code, meaning) in CODES {
        line(&mut page, format_args!("| {code} | {meaning} |"));
    }
    page.push_str(
        "\n## Logs and exit codes of `nodeward-agent` and `nodeward-aggregator`\n\n\
         Both log to standard error. `NODEWARD_LOG` filters, such as `debug` or \
         `nodeward_agent::send=debug`; `--log-json` writes an object a line. They end with 0 \
         when they are told to stop, with 2 when they cannot begin as they were configured, and \
         with 1 when they have to give up.\n",
    );
    page
}

fn section(page: &mut String, command: &Command, path: &str, is_top: bool) {
    let level = if is_top { "##" } else { "###" };
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    line(page, format_args!("\n{level} `{path}`\n\n{}", sentence(&about)));
    let arguments: Vec<&Arg> = command
        .get_arguments()
        .filter(|arg| !arg.is_hide_set() && !["help", "version"].contains(&arg.get_id().as_str()))
        // What holds for every command is said once.
        .filter(|arg| is_top || !arg.is_global_set())
        .collect();
    if !arguments.is_empty() {
        let what = if is_top { "For every command:\n\n" } else { "" };
        line(
            page,
            format_args!(
                "\n{what}| argument | meaning | default | environment |\n|---|---|---|---|"
            ),
        );
        for arg in arguments {
            row(page, arg);
        }
    }
    for inner in command.get_subcommands() {
        section(page, inner, &format!("{path} {}", inner.get_name()), false);
    }
}

/// clap takes the full stop from the end of a help text.
fn sentence(text: &str) -> String {
    if text.is_empty() || text.ends_with(['.', ']']) { text.to_owned() } else { format!("{text}.") }
}

fn row(page: &mut String, arg: &Arg) {
    let values = arg.get_value_names().unwrap_or_default();
    let value = values.first().map(ToString::to_string).unwrap_or_default();
    let takes_value = arg.get_action().takes_values();
    let name = match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(long)) => format!("-{short}, --{long} {value}"),
        (_, Some(long)) if takes_value => format!("--{long} {value}"),
        (_, Some(long)) => format!("--{long}"),
        _ => value,
    };
    let mut help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let choices: Vec<String> = arg
        .get_possible_values()
        .iter()
        .map(|value| match value.get_help() {
            Some(help) => {
                format!("`{}` ({})", value.get_name(), help.to_string().trim_end_matches('.'))
            }
            None => format!("`{}`", value.get_name()),
        })
        .collect();
    if takes_value && !choices.is_empty() {
        help = format!("{} One of {}.", sentence(&help), choices.join(", "));
    }
    let default = arg
        .get_default_values()
        .iter()
        .map(|value| format!("`{}`", value.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(", ");
    let environment = arg.get_env().map(|env| format!("`{}`", env.to_string_lossy()));
    line(
        page,
        format_args!(
            "| `{}` | {} | {default} | {} |",
            name.trim(),
            help.replace('|', "\\|"),
            environment.unwrap_or_default()
        ),
    );
}

/// The table of all checks, by component.
#[must_use]
pub fn checks_markdown() -> String {
    let mut page = format!(
        "{MADE}# Checks\n\nEach check answers `pass`, `fail`, `unknown` or `not applicable`, with its \
         evidence. Who must act is decided per node by the verdict; the table says who usually must. \
         A rule is one of a support policy's edition in `domain/policies/`.\n"
    );
    for component in Component::ALL {
        let checks: Vec<&Check> = registry().filter(|check| check.component == component).collect();
        if checks.is_empty() {
            continue;
        }
        line(&mut page, format_args!("\n## `{component}`\n"));
        page.push_str("| reason | severity | means | usually acts | rule | source |\n|---|---|---|---|---|---|\n");
        for check in checks {
            line(
                &mut page,
                format_args!(
                    "| `{}` | {} | {} | {} | {} | [source]({}) |",
                    check.reason,
                    check.severity.word(),
                    check.summary,
                    check.responsible,
                    check.policy.rule().map(|rule| format!("`{rule}`")).unwrap_or_default(),
                    check.source
                ),
            );
        }
    }
    page
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(page, "{text}");
}

/// What each collector reads.
#[must_use]
pub fn collectors_markdown() -> String {
    let mut page = format!("{MADE}{COLLECTORS_HEAD}");
    for collector in COLLECTORS {
        line(&mut page, format_args!("\n## `{}`\n", collector.component));
        places(&mut page, collector.reads);
        let shared = collector.shared.iter().map(|one| format!("[{0}](#{0})", one.word));
        let shared: Vec<String> = shared.collect();
        if !shared.is_empty() {
            line(&mut page, format_args!("\nBesides: {}.", shared.join(", ")));
        }
    }
    let mut told = Vec::new();
    for shared in COLLECTORS.iter().flat_map(|collector| collector.shared) {
        if !told.contains(&shared.word) {
            told.push(shared.word);
            line(&mut page, format_args!("\n## {}\n", shared.word));
            places(&mut page, shared.reads);
        }
    }
    page.push_str(NEVER_HEAD);
    places(&mut page, NEVER);
    page
}

const COLLECTORS_HEAD: &str = "# Collectors

One per component. Each row is a place that is asked for, and what is taken from it; a test runs \
every collector over all host roots of the tests, and over a machine with a real systemd, and fails \
when anything else is asked for. `{pid}` stands for a number, any other name in braces for one part \
of a path, `**` for a folder and everything below it. Paths are the node's: in a container they lie \
below `/host`, and no link leads out of there. What a collector needs to read them in a container, \
and what is missing without, stands in [container.md](container.md).

Unless a row says something else:

- **Not there** is a fact, and no fault: no trace of an installation is `absent`, a file that is not \
there says nothing or leaves a default in force.
- **Not readable** (no permission, not the kind of file that is expected, longer than is read of \
it, not in its form) makes the component `unavailable`, with the path and the reason, and every \
check of it `unknown`. Other components are told as before. Where only one question hangs on the \
place, such as an endpoint, a unit or what a process runs, that question alone is `unknown`.
- **Every read has a limit** in bytes, and everything that answers one in time. FIFOs, devices and \
sockets are never opened in the place of a file.
- **Nothing is written**, no lock is taken, no program is started. Endpoints are asked on the \
node's own loopback, or on an address that the component itself was told to serve on. Three look \
beyond the machine, and show no credential there: `dns` asks the node's nameservers, `api_server` \
goes to the one server that the kubelet uses, and `egress` nowhere unless `--egress` names a place.
- **What is asked of a copy of a node** (`--host-root` of another machine) is its files alone: \
endpoints and the kernel belong to the machine that runs.
";

const NEVER_HEAD: &str = "\n## Never read

Secrets that lie beside what is read. The same test fails when any of these is asked for. Of the \
arguments of a kubelet those that are known to be harmless are told with their values, of all others \
the name alone.

";

/// A table of places.
fn places(page: &mut String, reads: &[Read]) {
    page.push_str("| place | what |\n|---|---|\n");
    for read in reads {
        let Read { places, told_by, what } = read;
        let told = match (places.is_empty(), told_by.is_empty()) {
            (_, true) => String::new(),
            (true, false) => format!("what {told_by} names"),
            (false, false) => format!(", or as told by {told_by}"),
        };
        let names: Vec<String> = places.iter().map(|place| format!("`{place}`")).collect();
        line(page, format_args!("| {}{told} | {what} |", names.join("<br>")));
    }
}

/// What is asked of nodes, by whom it is answered, and why something is not.
#[must_use]
pub fn coverage_markdown() -> String {
    let mut page = format!("{MADE}{COVERAGE_HEAD}");
    let all = questions();
    for lack in Lack::ALL {
        let of_it = |one: &&&Question| one.told.lack().is_some_and(|(of, _)| of == lack);
        let (parts, wholes): (Vec<&Question>, Vec<&Question>) =
            all.iter().filter(of_it).partition(|one| !one.told.reasons().is_empty());
        if parts.is_empty() && wholes.is_empty() {
            continue;
        }
        line(&mut page, format_args!("\n## {}\n\n{}\n", lack.heading(), lack.meaning()));
        page.push_str("| question | what is asked | rule | why not | in part by |\n");
        page.push_str("|---|---|---|---|---|\n");
        for one in wholes.into_iter().chain(parts) {
            let why = one.told.lack().map_or("", |(_, why)| why);
            let Question { id, asks, .. } = one;
            let (rule, by) = (rule(one), reasons(one));
            line(&mut page, format_args!("| `{id}` | {asks} | {rule} | {why} | {by} |"));
        }
    }
    page.push_str("\n## Checked\n\n| question | what is asked | rule | by |\n|---|---|---|---|\n");
    for one in all.iter().filter(|one| one.told.lack().is_none()) {
        let Question { id, asks, .. } = one;
        line(&mut page, format_args!("| `{id}` | {asks} | {} | {} |", rule(one), reasons(one)));
    }
    page.push_str("\n## Checked besides\n\n| check | why |\n|---|---|\n");
    for (reason, why) in BEYOND {
        line(&mut page, format_args!("| `{reason}` | {why} |"));
    }
    page.push_str(UNSEEN_HEAD);
    for (id, rule) in unseen_rules() {
        let (summary, told_by) = (&rule.summary, rule.told_by.replace('|', "\\|"));
        let (seen, told_by) = match rule.seen {
            Seen::Cluster => ("the API server", format!("`{told_by}`")),
            Seen::Provider => ("the provider", format!("`{told_by}`")),
            Seen::Node | Seen::Text => ("nobody needs to: nothing can break it", String::new()),
        };
        line(&mut page, format_args!("| `{id}` | {summary} | {seen} | {told_by} |"));
    }
    page
}

/// The rules of all editions that no node shows, by id, in the words of the newest edition.
fn unseen_rules() -> BTreeMap<&'static str, &'static Rule> {
    let rules: BTreeMap<&str, &Rule> = Policy::shipped().iter().flat_map(Policy::rules).collect();
    rules.into_iter().filter(|(_, rule)| rule.seen != Seen::Node).collect()
}

const UNSEEN_HEAD: &str = "
## Rules that no node shows

Rules of the editions of the support policy that `nodeward support check` names as unknown, with who \
knows and the command that asks him, in the words of the newest edition that has each.

| rule | what it says | who knows | told by |
|---|---|---|---|
";

const COVERAGE_HEAD: &str = "# What is not checked, and why

What the provider's support policy and those who run nodes ask of a node or a cluster, each question \
with the checks that answer it or the reason why none does. A rule is one of a support policy's \
edition in `domain/policies/`; what a check means stands in [checks.md](checks.md). A question that \
is not answered is never taken for one that is answered well: nothing is said about it.
";

fn rule(question: &Question) -> String {
    if question.rule.is_empty() { String::new() } else { format!("`{}`", question.rule) }
}

fn reasons(question: &Question) -> String {
    let reasons = question.told.reasons().iter().map(|reason| format!("`{reason}`"));
    reasons.collect::<Vec<_>>().join(", ")
}
