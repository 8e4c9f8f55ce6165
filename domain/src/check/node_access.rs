//! Checks of `node_access`: may somebody become root by guessing a password, did somebody log
//! in, and are the keys that may log in those of the pool's other nodes? Addresses that people
//! came from are not looked at. Who enters by a pod leaves no record here.

mod root;

use jiff::{SignedDuration, Timestamp};

use super::{
    Check, Evidence, PolicyLink, Reach, Scope, Severity, Verdict, by_hand, facts, of_a_provider,
    shortened, verdict_or,
};
use crate::component::Component;
use crate::facts::NodeAccess;
use crate::facts::node_access::{Account, AccountLogins, Logins, Sudo};
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};
use crate::siblings::{AGREEING, Own};

pub(super) const CHECKS: &[Check] = &[
    Check {
        reason: "SshRootLoginByPassword",
        component: Component::NodeAccess,
        scope: Reach::Node,
        severity: Severity::Warning,
        responsible: "customer",
        summary: "Whoever guesses root's password is let in by sshd, which as it ships asks root for a key",
        policy: PolicyLink::None,
        source: "https://man.openbsd.org/sshd_config",
        judge: root::by_password,
    },
    Check {
        reason: "LoginRecent",
        component: Component::NodeAccess,
        scope: Reach::Node,
        severity: Severity::Information,
        responsible: "customer",
        summary: "Somebody has logged in to the node: what was changed there by hand is not supported",
        policy: PolicyLink::Cites("node-login-discouraged"),
        source: "https://learn.microsoft.com/azure/aks/support-policies",
        judge: recent,
    },
    Check {
        reason: "AuthorisedKeysDrifted",
        component: Component::NodeAccess,
        scope: Reach::Pool,
        severity: Severity::Warning,
        responsible: "customer",
        summary: "Other keys may log in than on the pool's other nodes",
        policy: PolicyLink::None,
        source: "https://man.openbsd.org/sshd#AUTHORIZED_KEYS_FILE_FORMAT",
        judge: keys_drifted,
    },
];

/// So long a login is told of.
const RECENT: SignedDuration = SignedDuration::from_hours(30 * 24);

const ABSENT: &str = "nothing lets people in";

fn customer(scope: &Scope, action: Action) -> Turn {
    Turn { responsible: Responsible::Customer, action: by_hand(scope, action), valid_until: None }
}

fn recent(history: &NodeHistory, scope: &Scope, _: &Policy, now: Timestamp) -> Verdict {
    verdict_or!(of_a_provider(scope, "asks people to leave it alone"));
    let (access, _) = verdict_or!(facts(&history.node_access, ABSENT));
    let (files, since, accounts, beside) = match &access.logins {
        Logins::NotKept => {
            return Verdict::unknown("the node keeps no record of logins", Vec::new());
        }
        Logins::Unreadable(unread) => {
            return Verdict::unknown(format!("{}: {}", unread.path, unread.why), Vec::new());
        }
        Logins::Read { files, since, accounts, beside } => (files, since, accounts, beside),
    };
    let place = files.join(", ");
    let is_recent = |one: &&AccountLogins| now.duration_since(one.last_at) < RECENT;
    let mut found: Vec<&AccountLogins> = accounts.iter().filter(is_recent).collect();
    found.sort_by_key(|one| std::cmp::Reverse(one.last_at));
    let Some(last) = found.first() else {
        if let Some(unread) = beside {
            let why = format!("logins may be kept elsewhere: {}: {}", unread.path, unread.why);
            return Verdict::unknown(why, Vec::new());
        }
        let kept =
            since.map_or("no record".to_owned(), |since| format!("records since {since:.0}"));
        return Verdict::pass(vec![Evidence::new(place, format!("{kept}, no login of late"), "")]);
    };
    let logins = found.iter().map(|one| {
        let AccountLogins { account, last_at, count } = one;
        let times = if *count == 1 { "once".to_owned() } else { format!("{count} times") };
        Evidence::new(&place, format!("{account} logged in {times}, last {last_at:.0}"), "")
    });
    let mut evidence = shortened(logins.collect());
    // What somebody who is logged in may do.
    evidence.push(match &access.sudo {
        Sudo::Unreadable(unread) => Evidence::new(&unread.path, access.sudo.to_string(), ""),
        Sudo::NotThere | Sudo::Read(_) => Evidence::new("sudo", access.sudo.to_string(), ""),
    });
    let message = format!("{} logged in {:.0}", last.account, last.last_at);
    let at = "what was changed on the node by hand: it is lost with the next image".to_owned();
    let turn = Turn {
        responsible: Responsible::Customer,
        action: Action::Investigate { at },
        // One that is yet to come by a wrong clock is told of until it is past for so long.
        valid_until: last.last_at.checked_add(RECENT).ok(),
    };
    Verdict::fail(message, last.last_at.min(now), turn, evidence)
}

fn keys_drifted(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    verdict_or!(of_a_provider(scope, "makes nodes of a pool alike"));
    let (access, since) = verdict_or!(facts(&history.node_access, ABSENT));
    let Some((siblings, pool)) = scope.outside.siblings.zip(scope.outside.pool) else {
        return Verdict::not_applicable("the other nodes of its pool are not known");
    };
    let keys = &siblings.keys;
    let others = format!("other nodes of pool {} on its image", pool.key.pool);
    if keys.others() < AGREEING {
        let count = keys.others();
        // No fault of a small pool, which would never be complete: nothing is said of it.
        return Verdict::not_applicable(format!(
            "{count} {others} tell of their keys, {AGREEING} that agree are needed"
        ));
    }
    let account = |name: &str| access.accounts.iter().find(|account| account.name == name);
    let (mut found, mut undecided) = (Vec::new(), Vec::new());
    for name in keys.names() {
        let own = match account(name) {
            Some(account) => Own::There(&account.keys),
            None if access.unread_keys.is_empty() => Own::Lacking,
            None => Own::Unknown,
        };
        match keys.most(name, &own) {
            None => undecided.push(name),
            Some(most) => {
                // An account without keys lets in nobody, as one that is not there.
                let theirs = most.form.map_or(&[][..], Vec::as_slice);
                let mine = account(name).map_or(&[][..], |account| account.keys.as_slice());
                if theirs != mine && !matches!(own, Own::Unknown) {
                    found.push(difference(
                        name,
                        account(name),
                        mine,
                        theirs,
                        (most.nodes, most.of),
                    ));
                }
            }
        }
    }
    if let Some((name, _)) = found.first() {
        let message = match found.len() {
            1 => format!("other keys may log in as {name} than on {others}"),
            count => format!("other keys may log in to {count} accounts than on {others}"),
        };
        let action = Action::Revert { change: format!("the authorised keys of {name}") };
        let evidence = found.iter().map(|(_, evidence)| evidence.clone()).collect();
        return Verdict::fail(message, since, customer(scope, action), shortened(evidence));
    }
    if let Some(unread) = access.unread_keys.first() {
        return Verdict::unknown(format!("{}: {}", unread.path, unread.why), Vec::new());
    }
    match undecided.first() {
        Some(name) => {
            let why = format!("the {others} do not agree about the keys of {name}");
            Verdict::unknown(why, Vec::new())
        }
        None => Verdict::pass(vec![Evidence::new(keys_of(access), format!("as on {others}"), "")]),
    }
}

fn keys_of(access: &NodeAccess) -> String {
    let keys: usize = access.accounts.iter().map(|account| account.keys.len()).sum();
    format!("{keys} keys of {} accounts", access.accounts.len())
}

/// How the keys of one account differ.
fn difference<'a>(
    name: &'a str,
    account: Option<&Account>,
    mine: &[String],
    theirs: &[String],
    (nodes, of): (usize, usize),
) -> (&'a str, Evidence) {
    let source = account.map(|account| account.key_files.join(", ")).unwrap_or_default();
    let source = if source.is_empty() { name.to_owned() } else { source };
    let more: Vec<&str> =
        mine.iter().filter(|key| !theirs.contains(key)).map(String::as_str).collect();
    let fewer = theirs.iter().filter(|key| !mine.contains(key)).count();
    let mut actual = format!("{name}: {} keys", mine.len());
    if !more.is_empty() {
        actual.push_str(&format!(", added {}", more.join(" ")));
    }
    if fewer > 0 {
        actual.push_str(&format!(", {fewer} lacking"));
    }
    (name, Evidence::new(source, actual, format!("{} keys, as on {nodes} of {of}", theirs.len())))
}

#[cfg(test)]
mod tests;
