//! Checks of `certificates`: do those that lie beside the kubelet's own end, and whom does the
//! system believe? Ages are told by the reader's clock, never by the node's.

use jiff::{SignedDuration, Timestamp};

use super::{
    Check, Credential, Evidence, PolicyLink, Presented, Reach, Scope, Severity, Verdict, facts,
    of_a_provider, shortened, verdict_or,
};
use crate::component::Component;
use crate::facts::kubelet::{Certificate, CertificateContent};
use crate::facts::{CertificateStore, Certificates, StoredCertificates, TrustBundle};
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};

const AKS: &str = "https://learn.microsoft.com/azure/aks/certificate-rotation";

pub(super) const CHECKS: &[Check] = &[
    Check {
        reason: "CertificateExpired",
        component: Component::Certificates,
        scope: Reach::Node,
        severity: Severity::Warning,
        responsible: "provider for its own, else customer",
        summary: "A certificate that lies beside the kubelet's own has expired",
        policy: PolicyLink::Cites("certificate-rotation"),
        source: AKS,
        judge: expired,
    },
    Check {
        reason: "CertificateExpiring",
        component: Component::Certificates,
        scope: Reach::Node,
        severity: Severity::Warning,
        responsible: "provider for its own, else customer",
        summary: "A certificate that lies beside the kubelet's own expires and was not renewed",
        policy: PolicyLink::Cites("certificate-rotation"),
        source: AKS,
        judge: expiring,
    },
    Check {
        reason: "AgentCertificateExpiring",
        component: Component::Certificates,
        scope: Reach::Node,
        severity: Severity::Warning,
        responsible: "customer",
        summary: "The certificate with which the node's agent reports ends, and was not renewed",
        policy: PolicyLink::None,
        source: "docs/identity.md",
        judge: agents,
    },
    Check {
        reason: "TrustAuthorityExpired",
        component: Component::Certificates,
        scope: Reach::Node,
        severity: Severity::Information,
        responsible: "nobody: it does no harm; an update of the list takes it away",
        summary: "Among the authorities that the system believes is one that has expired",
        policy: PolicyLink::None,
        source: "https://manpages.debian.org/bookworm/ca-certificates/update-ca-certificates.8.en.html",
        judge: authority_expired,
    },
    Check {
        reason: "TrustAdded",
        component: Component::Certificates,
        scope: Reach::Node,
        severity: Severity::Information,
        responsible: "customer",
        summary: "Authorities were added to those that the system believes",
        policy: PolicyLink::None,
        source: "https://learn.microsoft.com/azure/aks/custom-certificate-authority",
        judge: added,
    },
];

const ABSENT: &str = "no certificates lie where they are looked for";

/// So long before its end a certificate is worth a word, …
const NOTICE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// … and one that was made for less when a tenth of its time is left.
const LEFT: i32 = 10;

/// One certificate and where it lies.
type Stored<'a> = (&'a StoredCertificates, &'a Certificate);

/// The certificates of a node that are judged here: not those that somebody added, which are
/// authorities, nor those that the kubelet reports as its own.
fn judged<'a>(
    history: &'a NodeHistory,
    certificates: &'a Certificates,
) -> impl Iterator<Item = &'a StoredCertificates> {
    let kubelet = history.kubelet.present();
    let is_kubelets = move |path: &str| {
        kubelet.is_some_and(|kubelet| kubelet.certificates.iter().any(|own| own.path == path))
    };
    let stored = certificates.files.iter();
    stored.filter(move |file| file.store != CertificateStore::Added && !is_kubelets(&file.path))
}

fn all<'a>(files: &[&'a StoredCertificates]) -> Vec<Stored<'a>> {
    let pairs = files.iter().flat_map(|file| {
        file.content.certificates().iter().map(move |certificate| (*file, certificate))
    });
    pairs.collect()
}

/// What is not known of the files, where something is not.
fn unseen(certificates: &Certificates, files: &[&StoredCertificates]) -> Option<String> {
    let unreadable = files.iter().find_map(|file| match &file.content {
        CertificateContent::Unreadable(why) => Some(format!("{}: {why}", file.path)),
        CertificateContent::Certificates(_) | CertificateContent::Missing => None,
    });
    let unlisted = || {
        let place = certificates.unread.first()?;
        Some(format!("{}: {}", place.path, place.why))
    };
    let left_out = || {
        let count = certificates.left_out;
        (count > 0).then(|| format!("{count} files of certificates were left out"))
    };
    unreadable.or_else(unlisted).or_else(left_out)
}

/// From when on a certificate is worth a word.
fn noticed_from(certificate: &Certificate) -> Timestamp {
    notice(certificate.not_before, certificate.not_after)
}

fn notice(not_before: Timestamp, not_after: Timestamp) -> Timestamp {
    let notice = NOTICE.min(not_after.duration_since(not_before) / LEFT);
    not_after.checked_sub(notice).unwrap_or(Timestamp::MIN)
}

/// The first moment at which a certificate is not valid any more.
fn end(certificate: &Certificate) -> Timestamp {
    certificate.not_after.checked_add(SignedDuration::from_secs(1)).unwrap_or(Timestamp::MAX)
}

fn shown((file, certificate): &Stored<'_>) -> Evidence {
    let until = format!("{} valid until {:.0}", certificate.subject, certificate.not_after);
    Evidence::new(&file.path, until, "")
}

/// Who renews it.
fn turn((file, _): &Stored<'_>, valid_until: Option<Timestamp>) -> Turn {
    let (responsible, action) = match file.store {
        CertificateStore::Provider => (Responsible::Provider, Action::Ticket),
        CertificateStore::Kubeadm | CertificateStore::Added => {
            let what = "kubeadm certs renew, then restart what shows them".to_owned();
            (Responsible::Customer, Action::Repair { what })
        }
    };
    Turn { responsible, action, valid_until }
}

fn expired(history: &NodeHistory, _: &Scope<'_>, _: &Policy, now: Timestamp) -> Verdict {
    let (certificates, _) = verdict_or!(facts(&history.certificates, ABSENT));
    let files: Vec<&StoredCertificates> = judged(history, certificates).collect();
    let mut all = all(&files);
    all.sort_by_key(|(file, certificate)| (certificate.not_after, &file.path));
    let (found, good): (Vec<Stored<'_>>, Vec<Stored<'_>>) =
        all.into_iter().partition(|(_, certificate)| now >= end(certificate));
    let next = good.first().map(|(_, certificate)| end(certificate));
    if let Some(first) = found.first() {
        let message = match found.len() {
            1 => format!("{} has expired {:.0}", first.0.path, first.1.not_after),
            count => format!("{count} certificates have expired, first {}", first.0.path),
        };
        let evidence = shortened(found.iter().map(shown).collect());
        return Verdict::fail(message, end(first.1), turn(first, next), evidence);
    }
    open_or_pass(certificates, &files, &good, next)
}

fn expiring(history: &NodeHistory, _: &Scope<'_>, _: &Policy, now: Timestamp) -> Verdict {
    let (certificates, _) = verdict_or!(facts(&history.certificates, ABSENT));
    let files: Vec<&StoredCertificates> = judged(history, certificates).collect();
    // Of one that has ended the other check tells.
    let mut all = all(&files);
    all.retain(|(_, certificate)| now < end(certificate));
    all.sort_by_key(|(file, certificate)| (certificate.not_after, &file.path));
    let (found, good): (Vec<Stored<'_>>, Vec<Stored<'_>>) =
        all.into_iter().partition(|(_, certificate)| now >= noticed_from(certificate));
    let noticed = good.iter().map(|(_, certificate)| noticed_from(certificate)).min();
    if let Some(first) = found.first() {
        let message = match found.len() {
            1 => format!("{} ends {:.0} and was not renewed", first.0.path, first.1.not_after),
            count => format!("{count} certificates end soon, first {}", first.0.path),
        };
        let since = found.iter().map(|(_, certificate)| noticed_from(certificate)).min();
        let until = noticed.into_iter().chain([end(first.1)]).min();
        let evidence = shortened(found.iter().map(shown).collect());
        return Verdict::fail(message, since.unwrap_or(now), turn(first, until), evidence);
    }
    open_or_pass(certificates, &files, &good, noticed)
}

/// The agent's own. After its end no report comes, and the node is silent.
fn agents(history: &NodeHistory, scope: &Scope<'_>, _: &Policy, now: Timestamp) -> Verdict {
    let Credential { not_before, not_after } = match scope.outside.presented {
        Presented::Certificate(credential) => credential,
        Presented::Nothing if history.certificates.newest().is_some() => {
            let why = "its agent's reports came with no certificate of its own";
            return Verdict::not_applicable(why);
        }
        Presented::Nothing | Presented::NotSeen => {
            return Verdict::unknown("no report has come yet".to_owned(), Vec::new());
        }
    };
    let noticed = notice(not_before, not_after);
    let shown = Evidence::new("the agent's connection", format!("valid until {not_after:.0}"), "");
    if now < noticed {
        return Verdict { valid_until: Some(noticed), ..Verdict::pass(vec![shown]) };
    }
    let what = "issue it anew with nodeward ca; where it enrols, its log says why it does not \
                renew"
        .to_owned();
    let turn = Turn {
        responsible: Responsible::Customer,
        action: Action::Repair { what },
        valid_until: None,
    };
    let message = format!("the agent's certificate ends {not_after:.0} and was not renewed");
    Verdict::fail(message, noticed, turn, vec![shown])
}

/// Nothing was found among those that could be read.
fn open_or_pass(
    certificates: &Certificates,
    files: &[&StoredCertificates],
    good: &[Stored<'_>],
    valid_until: Option<Timestamp>,
) -> Verdict {
    if let Some(why) = unseen(certificates, files) {
        return Verdict { valid_until, ..Verdict::unknown(why, Vec::new()) };
    }
    if good.is_empty() {
        return Verdict::not_applicable("no certificate lies there beside the kubelet's own");
    }
    let evidence = shortened(good.iter().map(shown).collect());
    Verdict { valid_until, ..Verdict::pass(evidence) }
}

fn authority_expired(history: &NodeHistory, _: &Scope<'_>, _: &Policy, now: Timestamp) -> Verdict {
    let (certificates, _) = verdict_or!(facts(&history.certificates, ABSENT));
    let (path, authorities, newest, first_to_end) = match &certificates.trust {
        TrustBundle::NotThere => return Verdict::not_applicable("no list of authorities is there"),
        TrustBundle::Unreadable(unread) => {
            return Verdict::unknown(format!("{}: {}", unread.path, unread.why), Vec::new());
        }
        TrustBundle::Read { path, authorities, newest, first_to_end } => {
            (path, authorities, newest, first_to_end)
        }
    };
    let of = format!("{authorities} authorities, the newest valid from {newest:.0}");
    let mut evidence = vec![Evidence::new(path, of, "")];
    if let Some(package) = bundle_package(history) {
        evidence.push(package);
    }
    let (ended, good): (Vec<&Certificate>, Vec<&Certificate>) =
        first_to_end.iter().partition(|one| now >= end(one));
    let valid_until = good.first().map(|one| end(one));
    let Some(first) = ended.first() else {
        return Verdict { valid_until, ..Verdict::pass(evidence) };
    };
    let message = match ended.len() {
        1 => format!("{} has expired {:.0}", first.subject, first.not_after),
        count if count == first_to_end.len() => format!("{count} authorities or more have expired"),
        count => format!("{count} authorities have expired, {} first", first.subject),
    };
    evidence.extend(ended.iter().map(|one| {
        Evidence::new(path, format!("{} valid until {:.0}", one.subject, one.not_after), "")
    }));
    // What it signed ends no later than it: nothing breaks by its being believed.
    let at = "whether an update of the list is missing".to_owned();
    let turn = Turn {
        responsible: Responsible::Customer,
        action: Action::Investigate { at },
        valid_until,
    };
    Verdict::fail(message, end(first), turn, shortened(evidence))
}

/// The package that brings the list.
fn bundle_package(history: &NodeHistory) -> Option<Evidence> {
    let packages = history.packages.present()?;
    let names = ["ca-certificates", "prebuilt-ca-certificates"];
    let package = packages.installed.iter().find(|one| names.contains(&one.name.as_str()))?;
    Some(Evidence::new(&packages.path, format!("{} {}", package.name, package.version), ""))
}

fn added(history: &NodeHistory, scope: &Scope<'_>, _: &Policy, _: Timestamp) -> Verdict {
    verdict_or!(of_a_provider(scope, "decides whom its nodes believe"));
    let (certificates, since) = verdict_or!(facts(&history.certificates, ABSENT));
    let added = certificates.files.iter().filter(|file| file.store == CertificateStore::Added);
    let added: Vec<&StoredCertificates> = added.collect();
    let evidence = added.iter().map(|file| match file.content.certificates().first() {
        Some(first) => shown(&(file, first)),
        None => Evidence::new(&file.path, "could not be read as certificates", ""),
    });
    // Somebody may think that it counts.
    let ignored = certificates.ignored.iter().map(|path| {
        let why = "is no authority: tools that add them pass over this name";
        Evidence::new(path, why, "")
    });
    let message = match added.as_slice() {
        [] => {
            if let Some(why) = unseen(certificates, &[]) {
                return Verdict::unknown(why, Vec::new());
            }
            let none = Evidence::new("", "no authority was added", "");
            return Verdict::pass(shortened([none].into_iter().chain(ignored).collect()));
        }
        [one] => format!("{} was added to the authorities", one.path),
        more => format!("{} files were added to the authorities", more.len()),
    };
    let at = "whether they are meant: traffic that they sign for is believed".to_owned();
    let turn = Turn {
        responsible: Responsible::Customer,
        action: Action::Investigate { at },
        valid_until: None,
    };
    Verdict::fail(message, since, turn, shortened(evidence.chain(ignored).collect()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::check::{Outcome, find};
    use crate::facts::ComponentState;
    use crate::facts::files::UnreadPlace;
    use crate::observed::State;
    use crate::platform::Platform;
    use crate::policy::DEFAULT_EDITION;

    fn day(day: i64) -> Timestamp {
        Timestamp::from_second(1_780_000_000 + day * 86_400).expect("a time of our days")
    }

    fn certificate(from: i64, until: i64) -> Certificate {
        Certificate {
            subject: "CN=a".to_owned(),
            issuer: "CN=b".to_owned(),
            not_before: day(from),
            not_after: day(until),
        }
    }

    fn stored(path: &str, store: CertificateStore, days: (i64, i64)) -> StoredCertificates {
        let content = CertificateContent::Certificates(vec![certificate(days.0, days.1)]);
        StoredCertificates { path: path.to_owned(), store, content }
    }

    fn of(files: Vec<StoredCertificates>) -> Certificates {
        Certificates {
            files,
            left_out: 0,
            unread: Vec::new(),
            ignored: Vec::new(),
            trust: TrustBundle::Read {
                path: "/etc/ssl/certs/ca-certificates.crt".to_owned(),
                authorities: 2,
                newest: day(-10),
                first_to_end: vec![certificate(-1000, 50), certificate(-10, 5000)],
            },
        }
    }

    fn judged(reason: &str, certificates: Certificates, now: Timestamp) -> Verdict {
        let mut history = NodeHistory::default();
        let state = State::Present(Arc::new(certificates));
        history.observe(ComponentState::Certificates(state), day(0), Duration::ZERO);
        let scope = Scope {
            outside: Default::default(),
            platform: Platform::Aks,
            standing: Default::default(),
        };
        let policy = Policy::edition(DEFAULT_EDITION).expect("a shipped edition");
        (find(reason).expect("a check").judge)(&history, &scope, &policy, now)
    }

    #[test]
    fn one_of_the_providers_is_the_providers_and_one_of_kubeadms_the_customers() {
        for (store, responsible) in [
            (CertificateStore::Provider, Responsible::Provider),
            (CertificateStore::Kubeadm, Responsible::Customer),
        ] {
            let files = || of(vec![stored("/a", store, (-365, 10)), stored("/b", store, (0, 900))]);
            let word = |reason, now| judged(reason, files(), now).outcome.word();
            assert_eq!(word("CertificateExpiring", day(-21)), "pass");
            assert_eq!(word("CertificateExpiring", day(-20)), "fail");
            assert_eq!(word("CertificateExpired", day(10)), "pass");
            assert_eq!(word("CertificateExpiring", day(11)), "pass");
            let verdict = judged("CertificateExpired", files(), day(11));
            let Outcome::Fail { responsible: told, .. } = verdict.outcome else { panic!("fails") };
            assert_eq!(told, responsible);
            assert_eq!(verdict.evidence.len(), 1);
        }
        let pass = judged(
            "CertificateExpiring",
            of(vec![stored("/a", CertificateStore::Provider, (-365, 10))]),
            day(-30),
        );
        assert_eq!(pass.valid_until, Some(day(-20)), "judged again when it is worth a word");
    }

    #[test]
    fn what_was_not_read_is_not_taken_for_good() {
        let mut unread = of(vec![stored("/a", CertificateStore::Provider, (0, 900))]);
        unread.files[0].content = CertificateContent::Unreadable("EACCES".to_owned());
        for reason in ["CertificateExpired", "CertificateExpiring"] {
            assert_eq!(judged(reason, unread.clone(), day(1)).outcome.word(), "unknown");
            assert_eq!(judged(reason, of(Vec::new()), day(1)).outcome.word(), "not_applicable");
        }
        let mut unlisted = of(Vec::new());
        unlisted.unread.push(UnreadPlace { path: "/opt/certs".to_owned(), why: "E".to_owned() });
        assert_eq!(judged("TrustAdded", unlisted, day(1)).outcome.word(), "unknown");
        let mut none = of(Vec::new());
        let (path, why) = ("/a".to_owned(), "E".to_owned());
        none.trust = TrustBundle::Unreadable(UnreadPlace { path, why });
        assert_eq!(judged("TrustAuthorityExpired", none, day(1)).outcome.word(), "unknown");
    }

    #[test]
    fn the_list_of_authorities_is_told_of_when_one_has_ended_or_was_added() {
        assert_eq!(judged("TrustAuthorityExpired", of(Vec::new()), day(50)).outcome, Outcome::Pass);
        let ended = judged("TrustAuthorityExpired", of(Vec::new()), day(51));
        assert_eq!(ended.outcome.word(), "fail");
        assert_eq!(judged("TrustAdded", of(Vec::new()), day(0)).outcome, Outcome::Pass);
        let added = of(vec![stored("/opt/certs/a.crt", CertificateStore::Added, (0, 1))]);
        assert_eq!(judged("TrustAdded", added.clone(), day(0)).outcome.word(), "fail");
        // One that was added is an authority: whether it ended is another question.
        let word = judged("CertificateExpired", added, day(9)).outcome.word();
        assert_eq!(word, "not_applicable");
    }
}
