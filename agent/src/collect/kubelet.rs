//! Collects `kubelet`: traces of an installation, the process, what it was told by flags
//! and files, its certificates, and what it says on its health endpoint and its secure port.

mod certificates;
mod configuration;
mod duration;
mod endpoint;
mod flags;
mod keys;
mod metrics;
mod secure_port;
mod value;
mod yaml;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nodeward_domain::facts::kubelet::{Configuration, Version};
use nodeward_domain::facts::{ComponentState, HttpAnswer, Kubelet};
use nodeward_domain::measured::Measurements;
use nodeward_domain::observed::State;
use nodeward_domain::version::kubernetes::KubernetesVersion;

use super::flags::Flags;
use super::{Collected, state};
use crate::host::{Foreign, Found, Host, HostError, find_processes};
use crate::probe::http::Get;
use crate::reads::{Read, Shared};
use secure_port::{Heard, Port};

/// What an installation leaves on disk.
const TRACES: [&str; 7] = [
    "/etc/systemd/system/kubelet.service",
    "/lib/systemd/system/kubelet.service",
    "/opt/bin/kubelet",
    "/usr/bin/kubelet",
    "/usr/lib/systemd/system/kubelet.service",
    "/usr/local/bin/kubelet",
    "/var/lib/kubelet/config.yaml",
];

/// The health endpoint must answer in this time, connecting included.
const CALL_LIMIT: Duration = Duration::from_secs(3);

/// What is read.
pub(super) const READS: &[Read] = &[
    Read::of(&TRACES, "Whether it is there: a trace of an installation."),
    Read::usually(
        &configuration::USUAL,
        "the kubelet's `--config`",
        "The settings that are told of, and when it was written. A process that is given no \
         `--config` has no file.",
    ),
    Read::usually(&[], "the kubelet's `--config-dir`", "The same of every file `*.conf` below it."),
    Read::of(
        &configuration::ENVIRONMENTS,
        "When it was written. It may hold a bootstrap token and is not read here.",
    ),
    Read::usually(
        &["/var/lib/kubelet/pki/kubelet-client-current.pem"],
        "the kubelet's `--cert-dir`",
        "The certificate for the API server: subject, issuer and validity. Reading goes byte by \
         byte and stops before the private key.",
    ),
    Read::usually(
        &["/var/lib/kubelet/pki/kubelet-server-current.pem"],
        "`--cert-dir`",
        "The certificate that the kubelet shows its callers, where it is rotated.",
    ),
    Read::usually(
        &["/var/lib/kubelet/pki/kubelet.crt"],
        "`--cert-dir`",
        "The same, where nothing else is configured.",
    ),
    Read::usually(
        &["/etc/kubernetes/certs/kubeletserver.crt"],
        "`tlsCertFile`",
        "The same, where it is configured; this is AKS's place.",
    ),
    Read::usually(
        &["/etc/kubernetes/certs/ca.crt"],
        "`authentication.x509.clientCAFile`",
        "The authorities whose clients the kubelet believes; this is AKS's place.",
    ),
    Read::of(&["/proc/stat"], "The line `btime`, to tell when the kubelet was started."),
    Read::usually(
        &["http://{address}/healthz"],
        "`healthzBindAddress` and `healthzPort`",
        "Its health; usually at 127.0.0.1:10248.",
    ),
    Read::usually(
        &["https://{address}/healthz?verbose"],
        "`address` and `port`",
        "Its health by parts, usually at 127.0.0.1:10250. Refused without a token that may see it.",
    ),
    Read::usually(
        &["https://{address}/configz"],
        "`address` and `port`",
        "The settings that are in force.",
    ),
    Read::usually(
        &["https://{address}/metrics"],
        "`address` and `port`",
        "Version, features in alpha, when it last looked at its pods' processes, failures of the \
         runtime and of renewing its certificate. Other lines are not kept.",
    ),
    Read::usually(
        &[],
        "`--kubelet-token-file`",
        "A token of the agent's own, from the agent's own files and not from the node's. It is \
         shown to nobody but the server with the certificate above.",
    ),
];

/// What is read to tell whether there is a kubelet, and with which flags.
pub(super) const TRACED: Shared = Shared {
    word: "kubelet_flags",
    reads: &[Read::of(&TRACES, "Whether it is there: a trace of a kubelet.")],
};

/// What is read to tell one of its settings, besides.
pub(super) const SETTINGS: Shared = Shared {
    word: "kubelet_settings",
    reads: &[
        Read::of(&TRACES, "Whether it is there: a trace of a kubelet."),
        Read::usually(
            &configuration::USUAL,
            "the kubelet's `--config` and `--config-dir`",
            "The one setting that is asked for.",
        ),
    ],
};

/// The host's kubelet, if one runs; none where there is no trace of one.
fn running(host: &Host) -> Result<Option<Option<Found>>, HostError> {
    let found = find_processes(&host.root, "kubelet")?.into_iter().next();
    if found.is_none() && host.root.existing(&TRACES)?.is_empty() {
        return Ok(None);
    }
    Ok(Some(found))
}

/// The value of a flag of the kubelet that runs; none where there is no trace of a kubelet.
pub(super) fn flag(host: &Host, name: &str) -> Result<Option<Option<String>>, HostError> {
    let Some(found) = running(host)? else { return Ok(None) };
    let flags = Flags::of(found.as_ref().map_or(&[], |found| found.arguments.as_slice()));
    Ok(Some(flags.value(name).map(str::to_owned)))
}

/// The value of a setting that the kubelet was told, or why it is not known; none where there
/// is no trace of a kubelet.
pub(super) fn told(host: &Host, key: &str) -> Result<Option<Result<String, String>>, HostError> {
    let Some(found) = running(host)? else { return Ok(None) };
    let flags = Flags::of(found.as_ref().map_or(&[], |found| found.arguments.as_slice()));
    Ok(Some(configuration::told(host, &flags, found.is_some(), key)))
}

pub(super) fn collect(host: &Host) -> Collected {
    let (measured, read) = match read(host) {
        Ok(Some((kubelet, measured))) => (measured, Ok(State::Present(Arc::new(kubelet)))),
        Ok(None) => (Measurements::default(), Ok(State::Absent)),
        Err(error) => (Measurements::default(), Err(error)),
    };
    Collected { state: ComponentState::Kubelet(state(read)), measured }
}

fn read(host: &Host) -> Result<Option<(Kubelet, Measurements)>, HostError> {
    let traces = host.root.existing(&TRACES)?;
    let mut found = find_processes(&host.root, "kubelet")?.into_iter();
    let first = found.next();
    if traces.is_empty() && first.is_none() {
        return Ok(None);
    }
    let flags = Flags::of(first.as_ref().map_or(&[], |found| found.arguments.as_slice()));
    let mut configuration = configuration::read(host, &flags, first.as_ref());
    let certificates = certificates::read(host, &flags, &configuration);
    let (unit, mut asked) = host.probes.beside_unit(&host.root, "kubelet.service", || {
        ask(host, &configuration, certificates.serving)
    });
    if let Some(configz) = &asked.heard.configz
        && let Err(why) = configuration::compare(&mut configuration.settings, configz)
    {
        // Not compared is not as told.
        asked.heard.port.configz = HttpAnswer::Failed { why };
    }
    let node_labels = flags::labels(&flags);
    let kubelet = Kubelet {
        traces,
        registers_azure_labels: node_labels
            .iter()
            .any(|label| label.key.starts_with("kubernetes.azure.com/")),
        version: asked.heard.version.or_else(|| version_of_path(first.as_ref()?)),
        process: first.map(|Found { process, .. }| process),
        unit,
        other_pids: found.map(|other| other.process.pid).collect(),
        healthz_endpoint: asked.healthz_endpoint,
        healthz: asked.healthz,
        node_labels,
        configuration,
        certificates: certificates.files,
        secure_port: asked.heard.port,
    };
    Ok(Some((kubelet, asked.heard.measured)))
}

/// The version in the name of a file such as `/opt/bin/kubelet-v1.34.9`, to which the
/// usual path is a link where several versions lie side by side.
fn version_of_path(found: &Found) -> Option<Version> {
    let path = &found.process.executable;
    let (_, name) = path.rsplit_once('/')?;
    let version = name.strip_prefix("kubelet-")?;
    KubernetesVersion::parse(version)
        .map(|_| Version { version: version.to_owned(), source: path.clone() })
}

/// What came of asking a kubelet.
struct Asked {
    healthz_endpoint: String,
    healthz: HttpAnswer,
    heard: Heard,
}

/// Asks both ports at the same time. `serving` is the certificate that it shows.
fn ask(host: &Host, configuration: &Configuration, serving: Result<Vec<u8>, String>) -> Asked {
    let foreign = host.foreign("net");
    // In another network another kubelet, or none, answers under this address.
    let here = |at: SocketAddr| match &foreign {
        Some(foreign @ Foreign::Another(_)) => Err(foreign.to_string()),
        _ => Ok(at),
    };
    let healthz = endpoint::healthz(configuration).and_then(here);
    let port =
        endpoint::secure(configuration).and_then(here).and_then(|at| Port::of(host, at, serving));
    let health = healthz.clone().map(|address| Get::whole(address, "/healthz", CALL_LIMIT));
    let [health, rest @ ..] = match &port {
        Ok(port) => {
            let [a, b, c] = port.questions().map(Ok);
            host.probes.http_where_known([health, a, b, c])
        }
        Err(why) => {
            let unknown = || Err(why.clone());
            host.probes.http_where_known([health, unknown(), unknown(), unknown()])
        }
    };
    Asked {
        healthz_endpoint: healthz
            .map_or_else(|_| String::new(), |at| format!("http://{at}/healthz")),
        healthz: match foreign {
            Some(foreign) => foreign.unless_refused(health.answer),
            None => health.answer,
        },
        heard: match port {
            Ok(port) => port.heard(rest, host.now()),
            Err(why) => Heard::nothing(&why),
        },
    }
}
