//! Facts of `node_access` to and from the wire.

use nodeward_domain::facts as domain;
use nodeward_domain::facts::node_access::{
    Account, AccountLogins, Logins, Sshd, SshdBlock, SshdCriterion, SshdSetting, SshdSettings, Sudo,
};

use super::files::PLACES;
use crate::convert::{
    Invalid, list, name, optional_timestamp, required, text, texts, timestamp_in, timestamp_out,
};
use crate::v1;
use crate::v1::node_access as wire;

const ACCOUNTS: usize = 1024;
const KEYS: usize = 1024;
const SETTINGS: usize = 64;
const BLOCKS: usize = 256;
const CRITERIA: usize = 64;

impl From<&domain::NodeAccess> for v1::NodeAccess {
    fn from(access: &domain::NodeAccess) -> Self {
        Self {
            sshd: match &access.sshd {
                Sshd::NotThere => None,
                Sshd::There { runs, starts_on_connect, settings } => {
                    Some(sshd_out(*runs, *starts_on_connect, settings))
                }
            },
            accounts: access.accounts.iter().map(account_out).collect(),
            unread_keys: access.unread_keys.iter().map(Into::into).collect(),
            sudo: Some(match &access.sudo {
                Sudo::NotThere => wire::Sudo::NoSudo(wire::NoSudo {}),
                Sudo::Unreadable(unread) => wire::Sudo::SudoUnread(unread.into()),
                Sudo::Read(count) => wire::Sudo::SudoWithoutPassword(*count),
            }),
            logins: Some(match &access.logins {
                Logins::NotKept => wire::Logins::NotKept(wire::NotKept {}),
                Logins::Unreadable(unread) => wire::Logins::LoginsUnread(unread.into()),
                Logins::Read { files, since, accounts, beside } => {
                    wire::Logins::LoginsRead(wire::LoginRecords {
                        files: files.clone(),
                        since: since.map(timestamp_out),
                        accounts: accounts.iter().map(logins_out).collect(),
                        beside: beside.as_ref().map(Into::into),
                    })
                }
            }),
        }
    }
}

impl TryFrom<v1::NodeAccess> for domain::NodeAccess {
    type Error = Invalid;

    fn try_from(access: v1::NodeAccess) -> Result<Self, Invalid> {
        Ok(Self {
            sshd: match access.sshd {
                None => Sshd::NotThere,
                Some(sshd) => sshd_in(sshd).map_err(|invalid| invalid.within("sshd"))?,
            },
            accounts: list("accounts", access.accounts, ACCOUNTS, account_in)?,
            unread_keys: list("unread_keys", access.unread_keys, ACCOUNTS, TryInto::try_into)?,
            sudo: match required("sudo", access.sudo)? {
                wire::Sudo::NoSudo(_) => Sudo::NotThere,
                wire::Sudo::SudoUnread(unread) => Sudo::Unreadable(unread.try_into()?),
                wire::Sudo::SudoWithoutPassword(count) => Sudo::Read(count),
            },
            logins: match required("logins", access.logins)? {
                wire::Logins::NotKept(_) => Logins::NotKept,
                wire::Logins::LoginsUnread(unread) => Logins::Unreadable(unread.try_into()?),
                wire::Logins::LoginsRead(logins) => Logins::Read {
                    files: texts("logins.files", logins.files, PLACES)?,
                    since: optional_timestamp("logins.since", logins.since)?,
                    accounts: list("logins.accounts", logins.accounts, ACCOUNTS, logins_in)?,
                    beside: logins.beside.map(TryInto::try_into).transpose()?,
                },
            },
        })
    }
}

fn sshd_out(runs: bool, starts_on_connect: bool, settings: &SshdSettings) -> wire::Sshd {
    let mut sshd = wire::Sshd { runs, starts_on_connect, ..wire::Sshd::default() };
    match settings {
        SshdSettings::Unreadable(unread) => sshd.unread = Some(unread.into()),
        SshdSettings::Read { settings, blocks, match_blocks } => {
            sshd.settings = settings.iter().map(setting_out).collect();
            sshd.blocks = blocks.iter().map(block_out).collect();
            sshd.match_blocks = *match_blocks;
        }
    }
    sshd
}

fn setting_out(setting: &SshdSetting) -> wire::Setting {
    wire::Setting {
        name: setting.name.clone(),
        value: setting.value.clone(),
        source: setting.source.clone(),
    }
}

fn block_out(block: &SshdBlock) -> wire::Block {
    let criterion = |one: &SshdCriterion| wire::Criterion {
        name: one.name.clone(),
        patterns: one.patterns.clone(),
    };
    wire::Block {
        place: block.place.clone(),
        criteria: block.criteria.iter().map(criterion).collect(),
        settings: block.settings.iter().map(setting_out).collect(),
    }
}

fn sshd_in(sshd: wire::Sshd) -> Result<Sshd, Invalid> {
    let settings = match sshd.unread {
        Some(unread) => SshdSettings::Unreadable(unread.try_into()?),
        None => SshdSettings::Read {
            settings: list("settings", sshd.settings, SETTINGS, setting_in)?,
            blocks: list("blocks", sshd.blocks, BLOCKS, block_in)?,
            match_blocks: sshd.match_blocks,
        },
    };
    Ok(Sshd::There { runs: sshd.runs, starts_on_connect: sshd.starts_on_connect, settings })
}

fn setting_in(setting: wire::Setting) -> Result<SshdSetting, Invalid> {
    Ok(SshdSetting {
        name: name("name", setting.name)?,
        value: text(setting.value),
        source: text(setting.source),
    })
}

fn block_in(block: wire::Block) -> Result<SshdBlock, Invalid> {
    Ok(SshdBlock {
        place: name("place", block.place)?,
        criteria: list("criteria", block.criteria, CRITERIA, |one| {
            Ok(SshdCriterion { name: name("name", one.name)?, patterns: text(one.patterns) })
        })?,
        settings: list("settings", block.settings, SETTINGS, setting_in)?,
    })
}

fn account_out(account: &Account) -> wire::Account {
    wire::Account {
        name: account.name.clone(),
        uid: account.uid,
        shell: account.shell.clone(),
        keys: account.keys.clone(),
        key_files: account.key_files.clone(),
    }
}

fn account_in(account: wire::Account) -> Result<Account, Invalid> {
    Ok(Account {
        name: name("name", account.name)?,
        uid: account.uid,
        shell: text(account.shell),
        keys: texts("keys", account.keys, KEYS)?,
        key_files: texts("key_files", account.key_files, PLACES)?,
    })
}

fn logins_out(logins: &AccountLogins) -> wire::AccountLogins {
    wire::AccountLogins {
        account: logins.account.clone(),
        last_at: Some(timestamp_out(logins.last_at)),
        count: logins.count,
    }
}

fn logins_in(logins: wire::AccountLogins) -> Result<AccountLogins, Invalid> {
    Ok(AccountLogins {
        account: name("account", logins.account)?,
        last_at: timestamp_in("last_at", logins.last_at)?,
        count: logins.count,
    })
}
