//! Facts of `node_access`: who may log in to the node, and who did. Sources: sshd_config(5),
//! authorized_keys in sshd(8), passwd(5), sudoers(5), utmp(5). Names of accounts are told;
//! people's own names and the addresses they came from are not, for nothing is judged by them.

use jiff::Timestamp;
use serde::Serialize;

use super::Headline;
use super::files::UnreadPlace;

/// Who may log in, and who did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeAccess {
    /// The daemon that lets people in over the network.
    pub sshd: Sshd,
    /// Accounts that may log in, by name.
    pub accounts: Vec<Account>,
    /// Where keys could not be read, by path.
    pub unread_keys: Vec<UnreadPlace>,
    /// Who may become root without a password.
    pub sudo: Sudo,
    /// Who logged in.
    pub logins: Logins,
}

/// The daemon that lets people in over the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sshd {
    /// There is none.
    NotThere,
    /// There is.
    There {
        /// Whether one runs.
        runs: bool,
        /// Whether systemd starts one when somebody connects.
        starts_on_connect: bool,
        /// What its files say, or why that is not known.
        settings: SshdSettings,
    },
}

/// What sshd was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SshdSettings {
    /// It could not be read.
    Unreadable(UnreadPlace),
    /// Those that are looked for, by name.
    Read {
        /// Each of them, those that nothing sets too, as it holds where no block says otherwise.
        settings: Vec<SshdSetting>,
        /// `Match` blocks, in the order in which they count: what they set takes the place of
        /// what is set outside, for the connections that they are about.
        blocks: Vec<SshdBlock>,
        /// How many blocks there are; more than are told where they are too many, or where the
        /// agent does not tell of any.
        match_blocks: u32,
    },
}

/// A `Match` block, sshd_config(5).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct SshdBlock {
    /// The file and the line where it begins, `FILE:LINE`.
    pub place: String,
    /// What a connection must show, all of it; none for every connection.
    pub criteria: Vec<SshdCriterion>,
    /// What it sets of what is looked for, the first value of each.
    pub settings: Vec<SshdSetting>,
}

/// One thing that a connection must show.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct SshdCriterion {
    /// Which, in lower case: `user`, `group`, `host`, `address` and others.
    pub name: String,
    /// The patterns, as they are written; empty for those that have none.
    pub patterns: String,
}

/// One setting, as it is in force for every connection that no `Match` block is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct SshdSetting {
    /// The keyword, in its manual's spelling.
    pub name: String,
    /// Its value; several are separated by blanks.
    pub value: String,
    /// The file that sets it; empty for the default.
    pub source: String,
}

/// An account that may log in: one with a shell, or with the rights of root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its number; zero has the rights of root.
    pub uid: u32,
    /// Its shell.
    pub shell: String,
    /// The keys that may log in to it: SHA-256 of each, as `ssh-keygen -l` shows it, sorted.
    pub keys: Vec<String>,
    /// Where these stand; those that are there.
    pub key_files: Vec<String>,
}

/// Who may become root without a password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sudo {
    /// There is no sudo.
    NotThere,
    /// Its files could not be read.
    Unreadable(UnreadPlace),
    /// How many of its rules ask for no password (`NOPASSWD`).
    Read(u32),
}

/// Who logged in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Logins {
    /// No file of them is kept.
    NotKept,
    /// The file could not be read.
    Unreadable(UnreadPlace),
    /// By the files of utmp(5).
    Read {
        /// Those files.
        files: Vec<String>,
        /// The oldest record that was read, by the node's clock; none without any.
        since: Option<Timestamp>,
        /// Accounts that logged in, by name.
        accounts: Vec<AccountLogins>,
        /// What is kept beside those files, is newer than they are or may be, and is not
        /// read; none where they are all.
        beside: Option<UnreadPlace>,
    },
}

/// Logins to one account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct AccountLogins {
    /// The account.
    pub account: String,
    /// When the last one was, by the node's clock.
    pub last_at: Timestamp,
    /// How many there were.
    pub count: u32,
}

impl Sshd {
    /// The `Match` blocks that are told.
    #[must_use]
    pub fn blocks(&self) -> &[SshdBlock] {
        match self {
            Self::There { settings: SshdSettings::Read { blocks, .. }, .. } => blocks,
            Self::NotThere | Self::There { .. } => &[],
        }
    }

    /// How many `Match` blocks there are of which nothing is told.
    #[must_use]
    pub fn untold_blocks(&self) -> usize {
        match self {
            Self::There { settings: SshdSettings::Read { blocks, match_blocks, .. }, .. } => {
                usize::try_from(*match_blocks).unwrap_or(usize::MAX).saturating_sub(blocks.len())
            }
            Self::NotThere | Self::There { .. } => 0,
        }
    }

    /// The value of a setting.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&SshdSetting> {
        match self {
            Self::There { settings: SshdSettings::Read { settings, .. }, .. } => {
                settings.iter().find(|setting| setting.name == name)
            }
            Self::NotThere | Self::There { .. } => None,
        }
    }

    /// Whether somebody who connects is answered.
    #[must_use]
    pub const fn answers(&self) -> bool {
        matches!(self, Self::There { runs: true, .. } | Self::There { starts_on_connect: true, .. })
    }
}

impl std::fmt::Display for Sudo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotThere => f.write_str("no sudo"),
            Self::Unreadable(_) => f.write_str("rules of sudo could not be read"),
            Self::Read(0) => f.write_str("sudo asks everybody for a password"),
            Self::Read(1) => f.write_str("1 rule of sudo asks for no password"),
            Self::Read(rules) => write!(f, "{rules} rules of sudo ask for no password"),
        }
    }
}

impl Headline for NodeAccess {
    fn headline(&self) -> String {
        let sshd = match &self.sshd {
            Sshd::NotThere => "no sshd",
            Sshd::There { runs: true, .. } => "sshd runs",
            Sshd::There { starts_on_connect: true, .. } => "sshd starts on connect",
            Sshd::There { .. } => "sshd does not run",
        };
        let keys: usize = self.accounts.iter().map(|account| account.keys.len()).sum();
        let accounts = match self.accounts.len() {
            1 => "1 account".to_owned(),
            count => format!("{count} accounts"),
        };
        let keys = match keys {
            1 => "1 key".to_owned(),
            count => format!("{count} keys"),
        };
        let logins = match &self.logins {
            Logins::NotKept => "no record of logins".to_owned(),
            Logins::Unreadable(_) => "logins could not be read".to_owned(),
            Logins::Read { accounts, .. } => {
                match accounts.iter().map(|account| account.last_at).max() {
                    Some(last) => format!("last login {last:.0}"),
                    None => "no login recorded".to_owned(),
                }
            }
        };
        format!("{sshd}, {accounts} with {keys}, {}, {logins}", self.sudo)
    }
}
