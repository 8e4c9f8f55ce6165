//! What becomes of a packet that meets all rules. Of a rule of which it is not known whether it
//! holds, both ways are followed: a packet is refused only where every way ends so.

use std::collections::{BTreeMap, BTreeSet};

use super::packet::{Direction, Packet, Stage};
use super::rule::{Does, Holds, Rule};
use super::{Base, Chain, Family, Ruleset, Table};

/// What becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// No rule refuses it.
    Passes,
    /// It is refused.
    Refused {
        /// The chain, with family and table: `ip filter INPUT`.
        chain: String,
        /// The rule with its handle, or that the chain refuses what no rule lets through.
        rule: String,
    },
    /// It may be: what a rule asks is not understood, or not known of such packets.
    Undecided {
        /// The chain.
        chain: String,
        /// The rule that may refuse it.
        rule: String,
    },
}

/// Hooks on the way of a packet, `enum nf_inet_hooks`.
const IN: [u32; 2] = [0, 1];
const OUT: [u32; 2] = [3, 4];

/// Hooks at a device, before and behind all others: of the family `inet`, `NF_INET_INGRESS`, and
/// of one device, `enum nf_dev_hooks`.
const AT_DEVICE: u32 = 5;
const DEVICE_IN: u32 = 0;
const DEVICE_OUT: u32 = 1;

/// Up to here connections are not known yet, `NF_IP_PRI_CONNTRACK`.
const CONNTRACK: i32 = -200;

/// The first link of every network: no bridge has it.
const LOOPBACK: &str = "lo";

/// Chains lead no deeper, `NFT_JUMP_STACK_SIZE`.
const DEPTH: usize = 16;

/// Tables of the pod network's own, and what its chains are named by. They sort out pods and
/// services, by marks that only they know.
const OWN_TABLES: [&str; 2] = ["calico", "kube-proxy"];
const OWN_CHAINS: [&str; 5] = ["AKS-", "CILIUM_", "KUBE-", "OLD_CILIUM_", "cali-"];

/// The table of iptables in which addresses are written, of services by tens of thousands of
/// rules. iptables takes no rule there that drops.
const ADDRESS_TABLE: &str = "nat";

/// kubenet's, for frames of pods that were on the bridge twice.
const PODS_FRAMES: &str = "KUBE-DEDUP";

/// What kube-proxy marks for the kubelet to drop.
const KUBE_DROP_MARK: u32 = 0x8000;

/// The ways that a packet may go on from a chain.
#[derive(Debug, Clone, Default)]
struct Ways {
    is_accepted: bool,
    is_refused: Option<Refusal>,
    returns: bool,
}

/// By whom.
#[derive(Debug, Clone)]
struct Refusal {
    chain: String,
    rule: String,
}

impl Ways {
    fn also(&mut self, other: &Self) {
        self.is_accepted |= other.is_accepted;
        if self.is_refused.is_none() {
            self.is_refused.clone_from(&other.is_refused);
        }
    }
}

impl Ruleset {
    /// What becomes of a packet.
    #[must_use]
    pub fn fate(&self, packet: &Packet) -> Fate {
        let untracked = Packet { is_tracked: false, ..packet.clone() };
        let tracked = if self.may_untrack(packet) { &untracked } else { packet };
        let (mut undecided, mut unfollowed) = (None, None);
        for ((table, name), chain) in &self.chains {
            let Some(base) = &chain.base else { continue };
            if !self.hooked.contains(table) || !base.sees(table.0, packet) {
                continue;
            }
            if base.is_elsewhere(table.0) {
                unfollowed = unfollowed.or_else(|| self.may_drop(table, name, base));
                continue;
            }
            let packet = if base.priority <= CONNTRACK { &untracked } else { tracked };
            let is_nat = base.is_nat;
            let mut ways = Walk { ruleset: self, packet, table, is_nat, seen: BTreeMap::new() }
                .through(name, chain, 0);
            if std::mem::take(&mut ways.returns) {
                match base.drops {
                    true => ways.also(&Ways {
                        is_refused: Some(by_policy(table, name)),
                        ..Ways::default()
                    }),
                    false => ways.is_accepted = true,
                }
            }
            // Packets come by a chain of addresses where the kernel follows connections, which
            // it does only once a rule asks for that.
            match (ways.is_refused, ways.is_accepted || is_nat) {
                (Some(Refusal { chain, rule }), false) => return Fate::Refused { chain, rule },
                (Some(Refusal { chain, rule }), true) => {
                    undecided.get_or_insert(Fate::Undecided { chain, rule });
                }
                (None, _) => {}
            }
        }
        let unfollowed = unfollowed.map(|Refusal { chain, rule }| Fate::Undecided { chain, rule });
        undecided.or(unfollowed).unwrap_or(Fate::Passes)
    }

    /// Whether a rule may keep the kernel from following a packet's connection.
    fn may_untrack(&self, packet: &Packet) -> bool {
        let mut connection = packet.begun_by().conversation();
        if packet.link.is_none() {
            let arrived: Vec<Packet> = connection.iter().map(Packet::turned).collect();
            connection.extend(arrived);
        }
        for packet in &mut connection {
            packet.is_tracked = false;
        }
        let chains = self.chains.iter().filter(|((table, _), _)| self.hooked.contains(table));
        let rules =
            chains.flat_map(|((_, name), chain)| chain.rules.iter().map(move |rule| (name, rule)));
        // By its marks the pod network tells pods' packets.
        let mut untracking = rules.filter(|(name, rule)| {
            rule.untracks && !(is_own_chain(name) && rule.asks_mark(|_, _| true))
        });
        untracking.any(|(_, rule)| connection.iter().any(|one| rule.holds(one) != Holds::No))
    }

    /// By what a chain may drop packets, whichever they are: of one that sees them in another
    /// form than they are followed in.
    fn may_drop(&self, table: &Table, name: &str, base: &Base) -> Option<Refusal> {
        if base.drops {
            return Some(by_policy(table, name));
        }
        let (mut left, mut seen) = (vec![name], BTreeSet::from([name, PODS_FRAMES]));
        while let Some(name) = left.pop() {
            let chain = self.chains.get(&(table.clone(), name.to_owned()));
            for rule in chain.iter().flat_map(|chain| &chain.rules) {
                match &rule.does {
                    Does::Drops | Does::Rejects | Does::Other(_) => {
                        return Some(by_rule(table, name, rule));
                    }
                    Does::Jumps(to) | Does::Goes(to) => {
                        if seen.insert(to) {
                            left.push(to);
                        }
                    }
                    Does::Nothing | Does::Accepts | Does::Returns => {}
                }
            }
        }
        None
    }
}

impl Base {
    /// Whether it sees packets in another form than they are followed in: as frames.
    fn is_elsewhere(&self, family: Family) -> bool {
        matches!(family, Family::Netdev | Family::Bridge) || self.hook == AT_DEVICE
    }

    /// Whether a packet may come by.
    fn sees(&self, family: Family, packet: &Packet) -> bool {
        let is_loopback = packet.link.as_deref() == Some(LOOPBACK);
        // Of another link it is not known over which devices it leads.
        let is_over = !is_loopback
            || self.devices.is_empty()
            || self.devices.iter().any(|device| device == LOOPBACK);
        let is_in = packet.direction == Direction::In;
        match (family, self.hook) {
            (Family::Bridge, _) => !is_loopback,
            (Family::Netdev, DEVICE_IN) => is_in && is_over,
            (Family::Netdev, DEVICE_OUT) => !is_in && is_over,
            (Family::Inet, AT_DEVICE) => is_in && is_over,
            (family, hook) => {
                let hooks = if is_in { IN } else { OUT };
                let is_asked = !self.is_nat || packet.stage == Stage::First;
                hooks.contains(&hook) && is_asked && family.takes(packet.is_ipv6)
            }
        }
    }
}

/// Whether packets come by that hook on a way that is looked at.
pub(super) fn is_followed(family: Family, hook: u32) -> bool {
    match family {
        Family::Netdev | Family::Bridge => true,
        Family::Inet if hook == AT_DEVICE => true,
        Family::Inet | Family::Ip | Family::Ip6 => IN.contains(&hook) || OUT.contains(&hook),
    }
}

/// Whether a table is neither the pod network's own nor that of iptables for addresses.
pub(super) fn is_of_interest((family, name): &Table) -> bool {
    let is_of_addresses = matches!(family, Family::Ip | Family::Ip6) && name == ADDRESS_TABLE;
    !is_of_addresses && !OWN_TABLES.contains(&name.as_str())
}

fn by_policy(table: &Table, chain: &str) -> Refusal {
    Refusal {
        chain: place(table, chain),
        rule: "policy drop: no rule before lets it through".to_owned(),
    }
}

fn by_rule(table: &Table, chain: &str, rule: &Rule) -> Refusal {
    Refusal { chain: place(table, chain), rule: format!("rule {}: {}", rule.handle, rule.text()) }
}

/// Whether a rule of the pod network's that may hold is one that is known to be about no
/// traffic of the node: kubelet's for what kube-proxy marked, kube-proxy's for services without
/// endpoints, and Calico's for pods' packets with a false source.
fn is_about_pods(chain: &str, rule: &Rule) -> bool {
    match rule.does {
        Does::Rejects => chain.starts_with("KUBE-"),
        Does::Drops if chain == "KUBE-FIREWALL" => {
            let bit = KUBE_DROP_MARK.to_ne_bytes();
            rule.asks_mark(|value, mask| value == bit && mask == bit)
        }
        Does::Drops if chain.starts_with("cali-") => {
            rule.asks_other("rpfilter") && rule.asks_mark(|value, mask| value == mask)
        }
        _ => false,
    }
}

fn is_own_chain(name: &str) -> bool {
    OWN_CHAINS.iter().any(|start| name.starts_with(start))
}

fn place((family, table): &(Family, String), chain: &str) -> String {
    format!("{} {table} {chain}", family.word())
}

/// One packet's way through the chains of a table.
struct Walk<'a> {
    ruleset: &'a Ruleset,
    packet: &'a Packet,
    table: &'a Table,
    /// It goes through a chain of the type `nat`: only what drops for sure is looked for.
    is_nat: bool,
    /// Chains that it went through: the same packet takes the same ways again.
    seen: BTreeMap<&'a str, Ways>,
}

impl<'a> Walk<'a> {
    fn through(&mut self, name: &'a str, chain: &'a Chain, depth: usize) -> Ways {
        if let Some(seen) = self.seen.get(name) {
            return seen.clone();
        }
        // Where it leads back to itself, which the kernel does not take, nothing is known.
        self.seen.insert(name, Ways { returns: true, is_accepted: true, is_refused: None });
        let mut ways = Ways::default();
        for rule in &chain.rules {
            let holds = rule.holds(self.packet);
            if holds != Holds::No && self.meets(name, rule, holds, depth, &mut ways) {
                self.seen.insert(name, ways.clone());
                return ways;
            }
        }
        ways.returns = true;
        self.seen.insert(name, ways.clone());
        ways
    }

    /// What a rule does that holds or may hold; true where no way leads to the next rule.
    fn meets(
        &mut self,
        name: &str,
        rule: &'a Rule,
        holds: Holds,
        depth: usize,
        ways: &mut Ways,
    ) -> bool {
        let is_sure = holds == Holds::Yes;
        let refusal = || by_rule(self.table, name, rule);
        match &rule.does {
            Does::Nothing => false,
            Does::Accepts => {
                ways.is_accepted = true;
                is_sure
            }
            Does::Drops | Does::Rejects => {
                match (is_own_chain(name), is_sure) {
                    (true, false) if is_about_pods(name, rule) => return false,
                    // What it refuses for sure it may have its reason for.
                    (true, true) => ways.is_accepted = true,
                    _ => {}
                }
                if ways.is_refused.is_none() {
                    ways.is_refused = Some(refusal());
                }
                is_sure
            }
            Does::Returns => {
                ways.returns = true;
                is_sure
            }
            Does::Jumps(to) | Does::Goes(to) => {
                let within = self.jumped(to, depth, refusal());
                ways.also(&within);
                match (&rule.does, within.returns) {
                    (Does::Goes(_), true) => {
                        ways.returns = true;
                        is_sure
                    }
                    (_, returns) => is_sure && !returns,
                }
            }
            Does::Other(_) if self.is_nat => {
                ways.is_accepted = true;
                false
            }
            Does::Other(_) => {
                ways.also(&Ways { is_accepted: true, is_refused: Some(refusal()), returns: false });
                false
            }
        }
    }

    fn jumped(&mut self, to: &'a str, depth: usize, refusal: Refusal) -> Ways {
        let ruleset = self.ruleset;
        let there = ruleset.chains.get_key_value(&(self.table.clone(), to.to_owned()));
        match there {
            Some(((_, name), chain)) if depth < DEPTH => self.through(name, chain, depth + 1),
            // A chain that was not told, or a circle, which the kernel does not take.
            _ => Ways { is_accepted: true, is_refused: Some(refusal), returns: true },
        }
    }
}
