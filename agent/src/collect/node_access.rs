//! Collects `node_access`: what sshd was told, which accounts may log in by which keys, who
//! becomes root without a password, and who logged in. Sources: sshd_config(5), sshd(8),
//! passwd(5), sudoers(5), utmp(5). Passwords, private keys and addresses are not read; of btmp,
//! the record of failed logins, nothing is, because what was typed as a name may be a password.

mod accounts;
mod logins;
mod sshd;
mod sudo;

use std::sync::Arc;

use nodeward_domain::facts::node_access::{Logins, Sshd, SshdSettings, Sudo};
use nodeward_domain::facts::{ComponentState, NodeAccess, UnreadPlace};
use nodeward_domain::observed::State;

use super::{Collected, state};
use crate::host::{Host, HostError};
use crate::reads::Read;

/// What is read.
pub(super) const READS: &[Read] = &[
    Read::of(
        &["/usr/sbin/sshd", "/usr/local/sbin/sshd"],
        "Whether the program is there. It is not started.",
    ),
    Read::of(
        &[
            "/etc/systemd/system/**",
            "/run/systemd/**",
            "/usr/local/lib/systemd/system/**",
            "/usr/lib/systemd/system/**",
            "/lib/systemd/system/**",
        ],
        "Whether a socket of systemd's starts sshd when somebody connects.",
    ),
    Read::usually(
        &["/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d/**"],
        "`Include` in sshd's configuration",
        "Nine settings that say who is let in and how, and of each `Match` block where it \
         stands, what a connection must show, and which of them it sets.",
    ),
    Read::of(
        &["/etc/passwd"],
        "Name, number, home and shell of accounts that have a shell, or the rights of root; not \
         what people are called.",
    ),
    Read::usually(
        &[
            "/root/.ssh/authorized_keys",
            "/root/.ssh/authorized_keys2",
            "/home/{user}/.ssh/authorized_keys",
            "/home/{user}/.ssh/authorized_keys2",
        ],
        "`AuthorizedKeysFile` in sshd's configuration",
        "Of every public key its SHA-256, as `ssh-keygen -l` shows it; not what stands before or \
         behind it.",
    ),
    Read::usually(
        &["/etc/sudoers", "/etc/sudoers.d/**"],
        "`@include` and `@includedir` in it",
        "How many rules ask for no password.",
    ),
    Read::of(
        &["/var/log/wtmp", "/var/log/wtmp.1", "/var/log/wtmp-{date}"],
        "Of every login the account and when it was, of the last 1 MiB of each; not from where.",
    ),
    Read::of(&["/var/log"], "The names in it: which `wtmp` was rotated last."),
    Read::of(
        &["/var/lib/wtmpdb/wtmp.db", "/var/lib/lastlog/lastlog2.db"],
        "Whether it is there, and newer than those: then logins are kept in a form that is not \
         read.",
    ),
];

pub(super) fn collect(host: &Host) -> Collected {
    ComponentState::NodeAccess(state(read(host))).into()
}

fn read(host: &Host) -> Result<State<NodeAccess>, HostError> {
    let root = &host.root;
    let sshd = sshd::read(root)?;
    let accounts::Accounts { accounts, unread: unread_keys } = accounts::read(root, &sshd)?;
    let sudo = sudo::read(root);
    let logins = logins::read(host);
    let is_absent = sshd == Sshd::NotThere
        && accounts.is_empty()
        && unread_keys.is_empty()
        && sudo == Sudo::NotThere
        && logins == Logins::NotKept;
    if is_absent {
        return Ok(State::Absent);
    }
    Ok(State::Present(Arc::new(NodeAccess { sshd, accounts, unread_keys, sudo, logins })))
}

fn unread(error: &HostError) -> UnreadPlace {
    UnreadPlace { path: error.path().to_owned(), why: error.to_string() }
}

/// Why something else than a file's content is not known.
fn unread_at(path: &str, why: impl Into<String>) -> UnreadPlace {
    UnreadPlace { path: path.to_owned(), why: why.into() }
}

/// The settings, where they could be read.
fn setting<'a>(sshd: &'a Sshd, name: &str) -> Result<Option<&'a str>, &'a UnreadPlace> {
    match sshd {
        Sshd::There { settings: SshdSettings::Unreadable(unread), .. } => Err(unread),
        sshd => Ok(sshd.setting(name).map(|setting| setting.value.as_str())),
    }
}
