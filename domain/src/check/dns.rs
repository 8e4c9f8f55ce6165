//! Checks of `dns`: can the node resolve names, and can pods that resolve as the node does.
//! Cluster DNS is none of them: it is made of pods that serve the whole cluster, and one
//! node's question does not judge it. A datagram may be lost, so that a nameserver counts as
//! silent when it was so in three rounds in a row.

#[cfg(test)]
mod tests;

use jiff::Timestamp;

use super::{
    Check, Evidence, Outcome, PolicyLink, Reach, Scope, Severity, Verdict, by_hand, confirmed,
    facts, shortened, verdict_or,
};
use crate::component::Component;
use crate::facts::{Dns, LocalDns, NAMESERVER_LIMIT, NameserverAnswer, PodResolver, ResolverFile};
use crate::node::{Holding, NodeHistory};
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};

const RESOLV_CONF: &str = "https://man7.org/linux/man-pages/man5/resolv.conf.5.html";
const KUBELET: &str =
    "https://kubernetes.io/docs/tasks/administer-cluster/dns-debugging-resolution/#known-issues";
const LOOP: &str = "https://coredns.io/plugins/loop/#troubleshooting-loops-in-kubernetes-clusters";
const LOCAL_DNS: &str = "https://learn.microsoft.com/azure/aks/localdns-custom";

/// A check of the node's resolving. Nameservers are the virtual network's or the operator's,
/// and no repair of a provider's looks at them.
const fn check(
    reason: &'static str,
    severity: Severity,
    summary: &'static str,
    source: &'static str,
    judge: fn(&NodeHistory, &Scope, &Policy, Timestamp) -> Verdict,
) -> Check {
    Check {
        reason,
        component: Component::Dns,
        scope: Reach::Node,
        severity,
        responsible: "customer",
        summary,
        policy: PolicyLink::None,
        source,
        judge,
    }
}

pub(super) const CHECKS: &[Check] = &[
    check(
        "ResolverConfigurationMissing",
        Severity::Critical,
        "A file that names nameservers is not there, or names none",
        RESOLV_CONF,
        configuration_missing,
    ),
    check(
        "AllNameserversUnreachable",
        Severity::Critical,
        "None of the nameservers of a file answers",
        RESOLV_CONF,
        all_unreachable,
    ),
    check(
        "NameserverUnreachable",
        Severity::Warning,
        "A nameserver does not answer, and others do",
        RESOLV_CONF,
        unreachable,
    ),
    check(
        "NameserverFailing",
        Severity::Warning,
        "A nameserver answers that it cannot resolve",
        "https://datatracker.ietf.org/doc/html/rfc1035#section-4.1.1",
        failing,
    ),
    check(
        "ResolverLoop",
        Severity::Critical,
        "The kubelet hands pods a nameserver on loopback, where they find themselves",
        LOOP,
        resolver_loop,
    ),
    check(
        "NameserversBeyondLimit",
        Severity::Warning,
        "A file names more nameservers than are used",
        KUBELET,
        beyond_limit,
    ),
    check(
        "LocalDnsDown",
        Severity::Critical,
        "The node resolves by the provider's localdns, which does not run",
        LOCAL_DNS,
        local_dns_down,
    ),
];

fn known(history: &NodeHistory) -> Result<(&Dns, Timestamp), Verdict> {
    facts(&history.dns, "no resolver")
}

const fn customer(action: Action) -> Turn {
    Turn { responsible: Responsible::Customer, action, valid_until: None }
}

fn place(address: &str) -> String {
    format!("udp://{address}:53")
}

/// What the nameservers of a file answered.
fn answers<'a>(dns: &'a Dns, file: &'a ResolverFile) -> Vec<(&'a str, &'a NameserverAnswer)> {
    let answer = |address: &'a String| Some((address.as_str(), dns.answer(address)?));
    file.used().iter().filter_map(answer).collect()
}

fn evidence(dns: &Dns, expected: &str) -> Vec<Evidence> {
    let all = dns.nameservers.iter();
    all.map(|one| Evidence::new(place(&one.address), one.answer.to_string(), expected)).collect()
}

/// Whether none of a file's nameservers answers; none when some were not asked, or it has none.
fn is_dead(dns: &Dns, file: &ResolverFile) -> Option<bool> {
    let answers = answers(dns, file);
    if answers.iter().any(|(_, answer)| answer.is_silent() == Some(false)) {
        return Some(false);
    }
    let are_all = answers.iter().all(|(_, answer)| answer.is_silent() == Some(true));
    (are_all && !answers.is_empty()).then_some(true)
}

/// Why nothing is said of nameservers of which none was asked.
fn not_asked(dns: &Dns) -> Option<String> {
    dns.nameservers.iter().find_map(|one| match &one.answer {
        NameserverAnswer::NotAsked { .. } => Some(format!("{}: {}", one.address, one.answer)),
        _ => None,
    })
}

fn configuration_missing(
    history: &NodeHistory,
    scope: &Scope,
    _: &Policy,
    _: Timestamp,
) -> Verdict {
    /// Who is asked where no nameserver is named, resolv.conf(5).
    const IMPLIED: &str = "127.0.0.1";
    let (dns, since) = verdict_or!(known(history));
    let tell = |file: &ResolverFile| match (file.is_there, file.nameservers.len()) {
        (false, _) => Evidence::new(&file.path, "not there", "at least one nameserver"),
        (true, 0) => Evidence::new(&file.path, "no nameserver", "at least one nameserver"),
        (true, count) => Evidence::new(&file.path, format!("{count} named"), ""),
    };
    let evidence: Vec<Evidence> = dns.files().into_iter().map(tell).collect();
    // Without the kubelet's file no pod that wants it is started.
    if let PodResolver::File(file) = &dns.pods
        && file.nameservers.is_empty()
        && file.path != dns.node.path
    {
        let message = match file.is_there {
            false => format!("{}, which the kubelet hands to pods, is not there", file.path),
            true => format!("{}, which the kubelet hands to pods, names nobody", file.path),
        };
        let what = format!("restore {}, or the kubelet's resolvConf", file.path);
        let action = by_hand(scope, Action::Repair { what });
        return Verdict::fail(message, since, customer(action), evidence);
    }
    if dns.node.nameservers.is_empty() {
        let message = match dns.node.is_there {
            false => format!("{} is not there", dns.node.path),
            true => format!("{} names no nameserver", dns.node.path),
        };
        return match dns.answer(IMPLIED).and_then(NameserverAnswer::is_silent) {
            Some(false) => Verdict::pass(evidence),
            None => Verdict::unknown(
                format!("{message}, and whether {IMPLIED} answers in its place is not known"),
                evidence,
            ),
            Some(true) => {
                let is_so = |dns: &Dns| {
                    dns.node.nameservers.is_empty()
                        && dns.answer(IMPLIED).and_then(NameserverAnswer::is_silent) == Some(true)
                };
                let holding = history.dns.holding(is_so);
                let since = verdict_or!(confirmed(scope.standing.or_longer(holding), &evidence));
                let what = format!("restore {}", dns.node.path);
                let action = by_hand(scope, Action::Repair { what });
                let message = format!("{message}, and nobody answers at {IMPLIED} in its place");
                Verdict::fail(message, since, customer(action), evidence)
            }
        };
    }
    if let PodResolver::Unreadable(why) = &dns.pods {
        return Verdict::unknown(format!("what the kubelet hands to pods: {why}"), evidence);
    }
    Verdict::pass(evidence)
}

fn all_unreachable(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (dns, _) = verdict_or!(known(history));
    let files = dns.files();
    if files.iter().all(|file| file.used().is_empty()) {
        return Verdict::not_applicable("no nameserver, see ResolverConfigurationMissing");
    }
    let evidence = evidence(dns, "an answer");
    if let Some(file) = files.iter().find(|file| is_dead(dns, file) == Some(true)) {
        let is_so = |dns: &Dns| dns.files().iter().any(|file| is_dead(dns, file) == Some(true));
        let holding = history.dns.holding(is_so);
        let since = verdict_or!(confirmed(scope.standing.or_longer(holding), &evidence));
        let message = match file.used() {
            [one] => format!("{one}, the only nameserver of {}, does not answer", file.path),
            more => format!("none of the {} nameservers of {} answers", more.len(), file.path),
        };
        let at = format!("the way to {} over UDP port 53", file.used().join(" and "));
        return Verdict::fail(message, since, customer(Action::Investigate { at }), evidence);
    }
    let is_alive = |file: &&ResolverFile| is_dead(dns, file) == Some(false);
    if files.iter().filter(|file| !file.used().is_empty()).all(is_alive) {
        return Verdict::pass(evidence);
    }
    Verdict::unknown(not_asked(dns).unwrap_or_else(|| "nobody was asked".to_owned()), evidence)
}

fn unreachable(history: &NodeHistory, _: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (dns, _) = verdict_or!(known(history));
    if dns.files().iter().any(|file| is_dead(dns, file) == Some(true)) {
        return Verdict::not_applicable("a file has no other, see AllNameserversUnreachable");
    }
    by_nameserver(
        history,
        dns,
        |answer| answer.is_silent() == Some(true),
        |address, answer| {
            format!("the nameserver {address} does not answer: {answer}. Each name takes longer")
        },
    )
}

fn failing(history: &NodeHistory, _: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (dns, _) = verdict_or!(known(history));
    let verdict = by_nameserver(history, dns, NameserverAnswer::is_failing, |address, answer| {
        format!("the nameserver {address} cannot resolve the root: {answer}")
    });
    let files = dns.files();
    let is_named = |address: &String| files.iter().any(|file| file.used().contains(address));
    let mut named = dns.nameservers.iter().filter(|one| is_named(&one.address));
    match &verdict.outcome {
        Outcome::Fail { .. } if tells_of_other_names(history, dns) => {
            let why = "of the root no nameserver tells, and the API server's name was found: they \
                       may serve some names alone";
            Verdict::unknown(why, verdict.evidence)
        }
        Outcome::Pass => match named.find(|one| one.answer.is_declining()) {
            Some(one) => {
                let why = format!(
                    "the nameserver {} does not want to tell of the root ({}), and whether it \
                     tells of other names is not known",
                    one.address, one.answer
                );
                Verdict::unknown(why, verdict.evidence)
            }
            None => verdict,
        },
        _ => verdict,
    }
}

/// Whether some name was found although no nameserver tells of the root, as with forwarders
/// that serve some names alone. Where one tells, that one may have found it.
fn tells_of_other_names(history: &NodeHistory, dns: &Dns) -> bool {
    !dns.nameservers.iter().any(|one| one.answer.tells())
        && history.api_server.present().is_some_and(|api| api.is_name_resolved())
}

/// Judges each nameserver by its own row: two that are silent in turn are not one that is.
fn by_nameserver(
    history: &NodeHistory,
    dns: &Dns,
    is_so: fn(&NameserverAnswer) -> bool,
    message: impl Fn(&str, &NameserverAnswer) -> String,
) -> Verdict {
    let evidence = evidence(dns, "an answer");
    let mut longest = None::<(Holding, &str, &NameserverAnswer)>;
    let files = dns.files();
    // One that is asked because no other is named is no nameserver that somebody chose.
    let is_named = |address: &String| files.iter().any(|file| file.used().contains(address));
    let named = || dns.nameservers.iter().filter(|one| is_named(&one.address));
    for one in named().filter(|one| is_so(&one.answer)) {
        let holding = history.dns.holding(|dns| dns.answer(&one.address).is_some_and(is_so));
        if longest.is_none_or(|(other, ..)| holding.observations > other.observations) {
            longest = Some((holding, &one.address, &one.answer));
        }
    }
    if let Some((holding, address, answer)) = longest {
        let since = verdict_or!(confirmed(holding, &evidence));
        let at = format!("the nameserver {address}");
        let turn = customer(Action::Investigate { at });
        return Verdict::fail(message(address, answer), since, turn, shortened(evidence));
    }
    if named().next().is_none() {
        return Verdict::not_applicable("no nameserver, see ResolverConfigurationMissing");
    }
    match not_asked(dns) {
        Some(why) => Verdict::unknown(why, evidence),
        None => Verdict::pass(evidence),
    }
}

fn resolver_loop(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (dns, since) = verdict_or!(known(history));
    let file = match &dns.pods {
        PodResolver::File(file) => file,
        PodResolver::NoKubelet => return Verdict::not_applicable("no kubelet"),
        PodResolver::Off => return Verdict::not_applicable("the kubelet hands out no file"),
        PodResolver::Unreadable(why) => return Verdict::unknown(why, Vec::new()),
    };
    let evidence =
        vec![Evidence::new(&file.path, file.used().join(", "), "addresses that are no loopback")];
    let Some(address) = file.loopbacks().next() else { return Verdict::pass(evidence) };
    let message = format!(
        "pods that resolve as the node does are handed {address}, which is their own loopback: \
         CoreDNS on this node would ask itself"
    );
    let uplink = dns.uplink.as_ref().map_or("the file of the uplink", |file| file.path.as_str());
    let what = format!("set the kubelet's resolvConf to {uplink}");
    let action = by_hand(scope, Action::Repair { what });
    Verdict::fail(message, since, customer(action), evidence)
}

fn beyond_limit(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (dns, since) = verdict_or!(known(history));
    let files = dns.files();
    let expected = format!("at most {NAMESERVER_LIMIT}");
    let tell = |file: &&ResolverFile| {
        Evidence::new(&file.path, format!("{} nameservers", file.nameservers.len()), &expected)
    };
    let evidence: Vec<Evidence> = files.iter().map(tell).collect();
    let Some(file) = files.iter().find(|file| file.nameservers.len() > NAMESERVER_LIMIT) else {
        return match &dns.pods {
            PodResolver::Unreadable(why) => Verdict::unknown(why, evidence),
            _ => Verdict::pass(evidence),
        };
    };
    let ignored = file.nameservers[NAMESERVER_LIMIT..].join(", ");
    let message = format!(
        "{} names {} nameservers; only the first {NAMESERVER_LIMIT} are asked, and not {ignored}",
        file.path,
        file.nameservers.len()
    );
    let what = "name at most three DNS servers, for the virtual network or in the link's file";
    let action = match dns.node.path == file.path {
        true => by_hand(scope, Action::Repair { what: what.to_owned() }),
        false => Action::Repair { what: what.to_owned() },
    };
    Verdict::fail(message, since, customer(action), evidence)
}

fn local_dns_down(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    const UNIT: &str = "localdns.service";
    let (dns, _) = verdict_or!(known(history));
    let is_down = |dns: &Dns| match &dns.local_dns {
        LocalDns::NoUnit => true,
        LocalDns::Unit(state) => !state.starts_with("active "),
        LocalDns::NotUsed | LocalDns::Unreadable(_) => false,
    };
    let state = match &dns.local_dns {
        LocalDns::NotUsed => return Verdict::not_applicable("the node does not resolve by it"),
        LocalDns::Unreadable(why) => return Verdict::unknown(why, Vec::new()),
        LocalDns::NoUnit => "no such unit",
        LocalDns::Unit(state) => state,
    };
    let evidence = vec![Evidence::new(UNIT, state, "active (running)")];
    if !is_down(dns) {
        return Verdict::pass(evidence);
    }
    let holding = history.dns.holding(is_down);
    let since = verdict_or!(confirmed(scope.standing.or_longer(holding), &evidence));
    let message = format!("the node resolves by localdns, and {UNIT} is {state}");
    let action = by_hand(scope, Action::RestartUnit { unit: UNIT.to_owned() });
    Verdict::fail(message, since, customer(action), evidence)
}
