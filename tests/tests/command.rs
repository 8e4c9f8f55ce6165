//! The `nodeward` program against a running aggregator: every form, every exit code,
//! and text that a node made to do harm.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::{Command, Output, Stdio};

use nodeward_tests::host::HostCopy;
use nodeward_tests::service::{Aggregator, Program, agent};
use nodeward_tests::{feeds, programs, project};

/// Runs the program with an aggregator that may or may not be there.
fn nodeward(url: &str, line: &str) -> Output {
    Command::new(programs::nodeward())
        .args(line.split_whitespace())
        .env("NODEWARD_AGGREGATOR", url)
        .stdin(Stdio::null())
        .output()
        .expect("the program runs")
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// An aggregator to which these host roots have been reported, each as a node of its
/// own name.
struct Fleet {
    aggregator: Aggregator,
    _agents: Vec<Program>,
    folder: tempfile::TempDir,
}

async fn fleet(hosts: &[(&HostCopy, &str)]) -> Fleet {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("admin.sock");
    let aggregator = Aggregator::start_with_admin(&folder.path().join("store.db"), &socket);
    let mut agents = Vec::new();
    for (host, name) in hosts {
        agents.push(Program::start(
            agent("run", host.path(), name)
                .args(["--aggregator", &aggregator.url(), "--recorded-answers"])
                .arg(project::answers(name)),
        ));
        let settled = |answer: &nodeward_domain::answer::NodeAnswer| {
            answer.components.iter().all(|one| one.state != "not_reported")
                && !answer.incomplete.iter().any(|line| line.contains("confirming"))
        };
        aggregator.answer_when(name, "a settled answer", settled).await;
    }
    Fleet { aggregator, _agents: agents, folder }
}

impl Fleet {
    /// Imports a feed of that one file, of this very moment.
    fn import(&self, text: &str, more: &[&str]) {
        let file = self.folder.path().join("feed.json");
        std::fs::write(&file, text).expect("written");
        let output = feeds::import(&self.folder.path().join("admin.sock"), &file, more);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    }

    /// Imports the note of the image that the nodes run, and that it is the newest one.
    fn import_image(&self) {
        let note = "tests/images/AKSUbuntu-2204gen2containerd/202611.03.0.txt";
        let told = self.folder.path().join("told.toml");
        let text = "[[offered]]\ncluster = \"local\"\npool = \"*\"\n\
                    image = \"AKSUbuntu-2204gen2containerd-202611.03.0\"\n";
        std::fs::write(&told, text).expect("written");
        let socket = self.folder.path().join("admin.sock");
        for (words, path) in [("import", project::root().join(note)), ("offered import", told)] {
            let line =
                format!("image {words} {} --admin-socket {}", path.display(), socket.display());
            let output = nodeward(&self.aggregator.url(), &line);
            assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        }
    }
}

#[tokio::test]
async fn exit_codes_say_how_it_stands() {
    let plain = HostCopy::of("aks-ubuntu-2204");
    let broken = HostCopy::of("aks-ubuntu-2204-broken");
    let fleet = fleet(&[(&plain, "aks-ubuntu-2204"), (&broken, "aks-ubuntu-2204-broken")]).await;
    let url = fleet.aggregator.url();
    // Without a complete feed nothing is clean.
    let partial = nodeward(&url, "node aks-ubuntu-2204");
    assert_eq!(partial.status.code(), Some(4), "{}", out(&partial));
    assert!(out(&partial).lines().next().is_some_and(|first| first.contains("PARTIAL")));
    fleet.import(feeds::NOTICE, &["--complete"]);
    // Nor without knowing what is offered, and what the image brought.
    let unknown = nodeward(&url, "node aks-ubuntu-2204");
    assert!(out(&unknown).contains("2 things are unknown"), "{}", out(&unknown));
    fleet.import_image();
    for (line, code, says) in [
        ("node aks-ubuntu-2204", 0, "VERDICT   clean"),
        ("node aks-ubuntu-2204-broken", 1, "YOU act first"),
        ("nodes", 1, "2 nodes (all clusters): 1 with findings (acts first: YOU on 1), 1 clean"),
        ("nodes --standing clean", 0, "1 node (all clusters, only with standing clean): 1 clean"),
        ("nodes --standing incomplete", 1, "none of 2 nodes is only incomplete (all clusters"),
        (
            "nodes --cluster elsewhere",
            4,
            "INCOMPLETE: no such node has reported (cluster elsewhere)",
        ),
        ("node aks-ubuntu-2204 --wait=5s", 0, "VERDICT   clean"),
        ("checks", 0, " checks"),
        ("sysctl --node aks-ubuntu-2204", 0, "VERDICT   clean"),
        ("sysctl --node aks-ubuntu-2204-broken", 1, "not as they should be, YOU act first"),
        ("why aks-ubuntu-2204", 0, "VERDICT   well"),
        ("why aks-ubuntu-2204-broken", 1, "VERDICT   ILL since"),
        ("support check --node aks-ubuntu-2204-broken", 1, "YOU act first"),
        // What no node shows is unknown, however well the node is.
        ("support check --node aks-ubuntu-2204", 4, "supportable, as far as nodes show"),
    ] {
        let output = nodeward(&url, line);
        assert_eq!(output.status.code(), Some(code), "{line}: {}", said(&output));
        let text = out(&output);
        assert!(text.lines().next().is_some_and(|first| first.contains(says)), "{line}:\n{text}");
        assert!(text.lines().last().is_some_and(|last| last.starts_with("NEXT ")), "{text}");
        assert_eq!(said(&output), "", "{line}");
    }
    for (line, says) in [
        ("node nobody", "no node \"nobody\" has reported"),
        ("why nobody", "no node \"nobody\" has reported"),
        ("sysctl --node nobody", "no node \"nobody\" has reported"),
        ("support check --pool nothing", "pool nothing: no such node has reported"),
        ("support check --policy aks-1999", "policy: no policy edition \"aks-1999\""),
        ("node", "NAME"),
        ("nodes -o table --width 3", "--width"),
        ("checks --explain Nothing", "did you mean"),
        ("checks --explain OsRetired --policy aks-1999", "no policy edition \"aks-1999\""),
        ("inspect --host-root /nowhere", "/nowhere: not there"),
        ("inspect --recorded-answers /nowhere.json", "/nowhere.json"),
        ("nodes --aggregator nonsense", "--aggregator \"nonsense\""),
    ] {
        let output = nodeward(&url, line);
        assert_eq!(output.status.code(), Some(2), "{line}: {}", said(&output));
        assert!(said(&output).contains(says), "{line}: {}", said(&output));
        assert_eq!(out(&output), "", "{line}");
    }
}

#[tokio::test]
async fn machines_get_one_document_and_the_same_answer() {
    let broken = HostCopy::of("aks-ubuntu-2204-broken");
    let fleet = fleet(&[(&broken, "aks-ubuntu-2204-broken")]).await;
    let url = fleet.aggregator.url();
    let node = nodeward(&url, "node aks-ubuntu-2204-broken -o json");
    let node: serde_json::Value = serde_json::from_str(&out(&node)).expect("JSON");
    assert_eq!(node["findings"][0]["reason"], "KernelFaulted");
    assert_eq!(node["findings"][0]["responsible"]["who"], "customer");
    let nodes = nodeward(&url, "nodes -o json");
    let nodes: serde_json::Value = serde_json::from_str(&out(&nodes)).expect("JSON");
    assert_eq!(nodes["nodes"][0]["worst"], "KernelFaulted");
    assert_eq!(nodes["with_findings"], 1);
    let yaml = nodeward(&url, "nodes -o yaml");
    let yaml: serde_json::Value = serde_yaml_ng::from_str(&out(&yaml)).expect("YAML");
    assert_eq!(yaml["nodes"][0]["worst"], "KernelFaulted");
    let csv = out(&nodeward(&url, "nodes -o csv"));
    assert_eq!(csv.lines().count(), 2, "{csv}");
    assert!(csv.starts_with("cluster,node,"), "{csv}");
}

#[test]
fn an_aggregator_that_is_not_there_is_unreachable_and_named() {
    // A port that was free a moment ago, and is on this machine.
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", port.local_addr().expect("an address"));
    drop(port);
    for line in ["nodes", "node a", "node a --wait=1s", "nodes -o json"] {
        let output = nodeward(&url, line);
        assert_eq!(output.status.code(), Some(3), "{line}: {}", said(&output));
        assert!(
            said(&output).contains(&url) && said(&output).contains("refused"),
            "{}",
            said(&output)
        );
        assert_eq!(out(&output), "");
    }
}

#[tokio::test]
async fn an_empty_fleet_is_not_a_clean_one() {
    let fleet = fleet(&[]).await;
    for format in ["table", "wide", "json", "yaml", "csv"] {
        let output = nodeward(&fleet.aggregator.url(), &format!("nodes -o {format}"));
        assert_eq!(output.status.code(), Some(4), "{format}");
    }
    let json = out(&nodeward(&fleet.aggregator.url(), "nodes -o json"));
    assert!(json.contains("\"complete\": false"), "{json}");
}

#[tokio::test]
async fn text_that_a_node_made_moves_no_cursor_and_is_no_formula() {
    let host = HostCopy::of("debian-12-plain");
    let os_release = "ID=debian\nPRETTY_NAME=\"=HYPERLINK(1)\u{1b}[2J\u{202e}evil\"\n";
    std::fs::write(host.inside("/usr/lib/os-release"), os_release).expect("written");
    let status =
        "Package: =cmd\u{1b}[31m\nStatus: hold ok installed\nArchitecture: all\nVersion: 1\n";
    std::fs::write(host.inside("/var/lib/dpkg/status"), status).expect("written");
    let fleet = fleet(&[(&host, "debian-12-plain")]).await;
    for format in ["table", "wide", "csv", "yaml", "json"] {
        let text =
            out(&nodeward(&fleet.aggregator.url(), &format!("node debian-12-plain -o {format}")));
        assert!(!text.contains('\u{1b}'), "{format}: {text}");
        if format == "csv" {
            let mut reader = csv_cells(&text);
            assert!(!reader.any(|cell| cell.starts_with(['=', '+', '-', '@'])), "{text}");
        }
        if ["table", "wide"].contains(&format) {
            assert!(!text.contains('\u{202e}'), "{format}: {text}");
        }
    }
}

/// The cells of a CSV text, quotes taken off. Good enough for text without line breaks.
fn csv_cells(text: &str) -> impl Iterator<Item = String> {
    text.lines()
        .flat_map(|line| line.split(',').map(|cell| cell.trim_matches('"').to_owned()))
        .collect::<Vec<_>>()
        .into_iter()
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let mut child = Command::new(programs::nodeward())
        .args(["checks", "-o", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(said(&output), "");
}

#[test]
fn completions_are_scripts_that_their_shell_can_read() {
    let script = nodeward("http://127.0.0.1:1", "completions bash");
    assert_eq!(script.status.code(), Some(0));
    let path = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(path.path(), &script.stdout).expect("written");
    let checked = Command::new("bash").arg("-n").arg(path.path()).output().expect("bash runs");
    assert!(checked.status.success(), "{}", said(&checked));
    for shell in ["zsh", "fish"] {
        let script = out(&nodeward("http://127.0.0.1:1", &format!("completions {shell}")));
        assert!(script.contains("nodeward") && script.contains("inspect"), "{shell}");
    }
}
