//! Rules of the kernel's packet filter nf_tables, as it tells them over netlink, and what
//! becomes of a packet that meets them. Rules of `iptables-nft` are of it too. Sources:
//! `linux/netfilter/nf_tables.h`, `linux/netfilter/nf_tables_compat.h`, nft(8).

mod attributes;
mod fate;
mod legacy;
mod packet;
mod rule;

use std::collections::{BTreeMap, BTreeSet};

pub use attributes::Malformed;
use attributes::{attributes, name, number, wide};
pub use fate::Fate;
pub use packet::{Direction, Packet, Stage, TCP, UDP};
use rule::Rule;

/// So many rules are kept: some ten times what a node has that are asked for here.
const RULES: usize = 20_000;
/// So many chains: some ten for each of thousands of pods.
const CHAINS: usize = 50_000;

/// A message's own head, `struct nlmsghdr`, and that of a packet filter's, `struct nfgenmsg`.
const HEAD_BYTES: usize = 16;
const FAMILY_HEAD_BYTES: usize = 4;

/// Messages of nf_tables, `NFNL_SUBSYS_NFTABLES` and `enum nf_tables_msg_types`.
const SUBSYSTEM: u16 = 10 << 8;
const NEW_TABLE: u16 = SUBSYSTEM;
const NEW_CHAIN: u16 = SUBSYSTEM | 3;
const NEW_RULE: u16 = SUBSYSTEM | 6;
const NEW_GENERATION: u16 = SUBSYSTEM | 15;

/// What is asked for, in this order: tables and chains, and then the rules of those tables
/// that [`Ruleset::hooked`] names.
pub const ASKED: [u16; 2] = [SUBSYSTEM | 1, SUBSYSTEM | 4];
/// The same.
pub const RULES_ASKED: u16 = SUBSYSTEM | 7;
/// What is asked for before and after: which change of the rules was the last.
pub const GENERATION_ASKED: u16 = SUBSYSTEM | 16;

/// A table that is switched off, `NFT_TABLE_F_DORMANT`.
const DORMANT: u32 = 1;

/// Which packets a table is for, `NFPROTO_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Family {
    Inet,
    Ip,
    Netdev,
    Bridge,
    Ip6,
}

impl Family {
    /// None of packets that are not asked about: of ARP.
    const fn of(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Inet),
            2 => Some(Self::Ip),
            5 => Some(Self::Netdev),
            7 => Some(Self::Bridge),
            10 => Some(Self::Ip6),
            _ => None,
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::Inet => 1,
            Self::Ip => 2,
            Self::Netdev => 5,
            Self::Bridge => 7,
            Self::Ip6 => 10,
        }
    }

    const fn takes(self, is_ipv6: bool) -> bool {
        match self {
            Self::Inet | Self::Netdev | Self::Bridge => true,
            Self::Ip => !is_ipv6,
            Self::Ip6 => is_ipv6,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Inet => "inet",
            Self::Ip => "ip",
            Self::Netdev => "netdev",
            Self::Bridge => "bridge",
            Self::Ip6 => "ip6",
        }
    }
}

type Table = (Family, String);

/// Where a chain is hooked into the way of packets, and what it does with those that no rule
/// of it decides on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Base {
    hook: u32,
    /// Chains of one hook have packets in this order.
    priority: i32,
    drops: bool,
    /// It is of the type `nat`, which sees the first packet of a connection alone.
    is_nat: bool,
    /// The devices whose packets it sees; empty where they are not told.
    devices: Vec<String>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Chain {
    base: Option<Base>,
    rules: Vec<Rule>,
}

/// Every table, chain and rule that was told.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ruleset {
    dormant: BTreeSet<Table>,
    chains: BTreeMap<(Table, String), Chain>,
    /// Tables of which a chain sees packets that are followed.
    hooked: BTreeSet<Table>,
    rules: usize,
    generation: Option<u32>,
}

impl Ruleset {
    /// Which change of the rules was the last one, as far as it was told.
    #[must_use]
    pub const fn generation(&self) -> Option<u32> {
        self.generation
    }

    /// The tables of which rules are wanted, each with the number of its family. Addresses of
    /// services are rewritten in others, by tens of thousands of rules.
    pub fn hooked(&self) -> impl Iterator<Item = (u8, &str)> {
        self.hooked.iter().map(|(family, table)| (family.number(), table.as_str()))
    }

    /// Takes a message of the kernel's. One of another kind is passed over.
    ///
    /// # Errors
    /// When it is none, or there are more of them than are kept.
    pub fn take(&mut self, message: &[u8]) -> Result<(), Malformed> {
        let kind = message.get(4..6).and_then(|kind| kind.try_into().ok());
        let kind = kind.map(u16::from_ne_bytes).ok_or(Malformed::Short)?;
        let body = message.get(HEAD_BYTES..).ok_or(Malformed::Short)?;
        let family = *body.first().ok_or(Malformed::Short)?;
        let body = body.get(FAMILY_HEAD_BYTES..).ok_or(Malformed::Short)?;
        if kind == NEW_GENERATION {
            return self.took_generation(body);
        }
        let Some(family) = Family::of(family) else { return Ok(()) };
        match kind {
            NEW_TABLE => self.table(family, body),
            NEW_CHAIN => self.chain(family, body),
            NEW_RULE => self.rule(family, body),
            _ => Ok(()),
        }
    }

    /// `enum nft_gen_attributes`.
    fn took_generation(&mut self, body: &[u8]) -> Result<(), Malformed> {
        let told = attributes(body)?.into_iter().find(|(kind, _)| *kind == 1);
        self.generation = told.map(|(_, value)| number(value)).transpose()?;
        Ok(())
    }

    /// `enum nft_table_attributes`.
    fn table(&mut self, family: Family, body: &[u8]) -> Result<(), Malformed> {
        let (mut table, mut flags) = (String::new(), 0);
        for (kind, value) in attributes(body)? {
            match kind {
                1 => table = name(value),
                2 => flags = number(value)?,
                _ => {}
            }
        }
        if flags & DORMANT != 0 {
            self.dormant.insert((family, table));
        }
        Ok(())
    }

    /// `enum nft_chain_attributes`.
    fn chain(&mut self, family: Family, body: &[u8]) -> Result<(), Malformed> {
        let (mut table, mut chain, mut kind_of_base) = (String::new(), String::new(), None);
        let (mut hook, mut priority, mut policy, mut devices) = (None, 0, 1, Vec::new());
        for (kind, value) in attributes(body)? {
            match kind {
                1 => table = name(value),
                3 => chain = name(value),
                4 => {
                    for (kind, value) in attributes(value)? {
                        match kind {
                            1 => hook = Some(number(value)?),
                            2 => priority = number(value)?.cast_signed(),
                            3 => devices.push(name(value)),
                            4 => devices = devices_of(value)?,
                            _ => {}
                        }
                    }
                }
                5 => policy = number(value)?,
                7 => kind_of_base = Some(name(value)),
                _ => {}
            }
        }
        let is_nat = kind_of_base.as_deref() == Some("nat");
        let drops = policy == 0;
        let base = hook.map(|hook| Base { hook, priority, drops, is_nat, devices });
        let table = (family, table);
        let is_off = self.dormant.contains(&table);
        match &base {
            // What the pod network has in tables of its own, and iptables in its own for
            // addresses, which takes no rule that drops, are not looked into unless by policy
            // they drop, which neither of those does.
            _ if !fate::is_of_interest(&table) && !drops => {
                return Ok(());
            }
            Some(base) if !is_off && fate::is_followed(family, base.hook) => {
                self.hooked.insert(table.clone());
            }
            _ => {}
        }
        if self.chains.len() >= CHAINS {
            return Err(Malformed::TooMany { what: "chains", most: CHAINS });
        }
        let chain = self.chains.entry((table, chain)).or_default();
        chain.base = base;
        Ok(())
    }

    /// `enum nft_rule_attributes`.
    fn rule(&mut self, family: Family, body: &[u8]) -> Result<(), Malformed> {
        let (mut table, mut chain, mut rule) = (String::new(), String::new(), Rule::default());
        let told = attributes(body)?;
        for (kind, value) in &told {
            match kind {
                1 => table = name(value),
                2 => chain = name(value),
                3 => rule.handle = wide(value)?,
                _ => {}
            }
        }
        let table = (family, table);
        if !self.hooked.contains(&table) {
            return Ok(());
        }
        for (_, value) in told.iter().filter(|(kind, _)| *kind == 4) {
            rule.read(value)?;
        }
        self.rules += 1;
        if self.rules > RULES {
            return Err(Malformed::TooMany { what: "rules", most: RULES });
        }
        // A rule comes after its chain: one without is of a chain that was made meanwhile.
        if let Some(chain) = self.chains.get_mut(&(table, chain)) {
            chain.rules.push(rule);
        }
        Ok(())
    }
}

/// The devices that a chain is hooked to; none where some are named by their beginning alone.
fn devices_of(list: &[u8]) -> Result<Vec<String>, Malformed> {
    const NAME: u16 = 1;
    let all = attributes(list)?;
    Ok(match all.iter().all(|(kind, _)| *kind == NAME) {
        true => all.iter().map(|(_, value)| name(value)).collect(),
        false => Vec::new(),
    })
}

#[cfg(test)]
mod tests;
