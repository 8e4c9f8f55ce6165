//! What becomes of a packet that meets all rules. Of a rule of which it is not known whether it
//! holds, both ways are followed: a packet is refused only where every way ends so.

use std::collections::BTreeMap;

use super::packet::{Direction, Packet};
use super::rule::{Does, Holds, Rule};
use super::{Chain, Family, Ruleset, Table};

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

/// Chains lead no deeper, `NFT_JUMP_STACK_SIZE`.
const DEPTH: usize = 16;

/// Tables of the pod network's own, and what its chains are named by. They sort out pods and
/// services, by marks that only they know.
const OWN_TABLES: [&str; 2] = ["calico", "kube-proxy"];
const OWN_CHAINS: [&str; 5] = ["AKS-", "CILIUM_", "KUBE-", "OLD_CILIUM_", "cali-"];

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
        let hooks = match packet.direction {
            Direction::In => IN,
            Direction::Out => OUT,
        };
        let mut undecided = None;
        for ((table, name), chain) in &self.chains {
            let Some(base) = &chain.base else { continue };
            let is_asked = hooks.contains(&base.hook) && table.0.takes(packet.is_ipv6);
            if !is_asked || !self.hooked.contains(table) {
                continue;
            }
            let mut ways = Walk { ruleset: self, packet, table, seen: BTreeMap::new() }
                .through(name, chain, 0);
            if std::mem::take(&mut ways.returns) {
                match base.drops {
                    true => ways.also(&Ways {
                        is_refused: Some(Refusal {
                            chain: place(table, name),
                            rule: "policy drop: no rule before lets it through".to_owned(),
                        }),
                        ..Ways::default()
                    }),
                    false => ways.is_accepted = true,
                }
            }
            match (ways.is_refused, ways.is_accepted) {
                (Some(Refusal { chain, rule }), false) => return Fate::Refused { chain, rule },
                (Some(Refusal { chain, rule }), true) => {
                    undecided.get_or_insert(Fate::Undecided { chain, rule });
                }
                (None, _) => {}
            }
        }
        undecided.unwrap_or(Fate::Passes)
    }
}

/// Whether packets come by that hook on a way that is followed.
pub(super) fn is_followed(hook: u32) -> bool {
    IN.contains(&hook) || OUT.contains(&hook)
}

/// Whether a table is the pod network's own.
pub(super) fn is_own_table((_, name): &Table) -> bool {
    OWN_TABLES.contains(&name.as_str())
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
        let refusal = || Refusal {
            chain: place(self.table, name),
            rule: format!("rule {}: {}", rule.handle, rule.text()),
        };
        match &rule.does {
            Does::Nothing => false,
            Does::Accepts => {
                ways.is_accepted = true;
                is_sure
            }
            Does::Drops | Does::Rejects => {
                match (is_own_chain(name), is_sure) {
                    // What the pod network refuses by its own marks is no traffic of the node.
                    (true, false) => return false,
                    // What it refuses for sure it may have its reason for.
                    (true, true) => ways.is_accepted = true,
                    (false, _) => {}
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
