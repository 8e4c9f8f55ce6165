//! Matches that `iptables-nft` takes over from the older filter as they were, each with a
//! structure of its own: `linux/netfilter/xt_*.h`. Numbers in them are those of the machine.

use super::packet::{CLIENT, Direction, Packet};
use super::rule::Holds;

/// A condition in the older filter's form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Match {
    /// Ports from and to, each a range that may be turned round; and flags of TCP.
    Ports { from: Range, to: Range, flags: Option<Flags> },
    /// One of several ports.
    AnyPort { places: Places, ports: Vec<(u16, u16)>, is_inverted: bool },
    /// States of the connection.
    State { mask: u32, is_inverted: bool },
    /// Users that sent it.
    User { from: u32, to: u32, is_inverted: bool },
    /// Kinds of addresses that it goes to, a bit for each.
    DestinationKind { mask: u16, is_inverted: bool },
    /// The mark that other rules left on it.
    Mark { mark: u32, mask: u32, is_inverted: bool },
}

/// A range of ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) from: u16,
    pub(super) to: u16,
    pub(super) is_inverted: bool,
}

/// Flags of TCP: which are looked at, and which of them are set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flags {
    mask: u8,
    set: u8,
    is_inverted: bool,
}

/// Which ports are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Places {
    From,
    To,
    Either,
}

/// The address is one of the machine's own, `RTN_LOCAL`.
const LOCAL: u16 = 1 << 2;

/// Which match it is; none of one that is not understood here.
pub(super) fn read(name: &str, revision: u32, bytes: &[u8]) -> Option<Match> {
    let byte = |at: usize| bytes.get(at).copied();
    let short = |at: usize| Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let long = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let range =
        |at: usize, is_inverted| Some(Range { from: short(at)?, to: short(at + 2)?, is_inverted });
    match (name, revision) {
        // Options of TCP are not looked at here.
        ("tcp", 0) if byte(8)? == 0 => {
            let inverted = byte(11)?;
            let flags = Flags { mask: byte(9)?, set: byte(10)?, is_inverted: inverted & 4 != 0 };
            Some(Match::Ports {
                from: range(0, inverted & 1 != 0)?,
                to: range(4, inverted & 2 != 0)?,
                flags: (flags.mask != 0).then_some(flags),
            })
        }
        ("udp", 0) => {
            let inverted = byte(8)?;
            Some(Match::Ports {
                from: range(0, inverted & 1 != 0)?,
                to: range(4, inverted & 2 != 0)?,
                flags: None,
            })
        }
        ("multiport", 1) => {
            const PORTS: usize = 15;
            let places = match byte(0)? {
                0 => Places::From,
                1 => Places::To,
                2 => Places::Either,
                _ => return None,
            };
            let count = usize::from(byte(1)?).min(PORTS);
            let (mut ports, mut at) = (Vec::new(), 0);
            while at < count {
                let port = short(2 + 2 * at)?;
                let begins_range = byte(2 + 2 * PORTS + at)? != 0 && at + 1 < count;
                let end = if begins_range { short(4 + 2 * at)? } else { port };
                ports.push((port, end));
                at += if begins_range { 2 } else { 1 };
            }
            Some(Match::AnyPort { places, ports, is_inverted: byte(2 + 3 * PORTS)? != 0 })
        }
        ("conntrack", 2 | 3) => {
            // Eight addresses, two times and five ports stand before it.
            const FLAGS: usize = 146;
            const STATE: u16 = 1;
            (short(FLAGS)? == STATE).then_some(Match::State {
                mask: u32::from(short(FLAGS + 4)?),
                is_inverted: short(FLAGS + 2)? & STATE != 0,
            })
        }
        ("state", 0) => Some(Match::State { mask: long(0)?, is_inverted: false }),
        ("owner", 1) => {
            const USER: u8 = 1;
            (byte(16)? == USER).then_some(Match::User {
                from: long(0)?,
                to: long(4)?,
                is_inverted: byte(17)? & USER != 0,
            })
        }
        ("mark", 1) => {
            Some(Match::Mark { mark: long(0)?, mask: long(4)?, is_inverted: byte(8)? != 0 })
        }
        // Without the kind of the source, and without a link that it is asked of.
        ("addrtype", 1) => {
            const INVERTED: u32 = 2;
            let flags = long(4)?;
            (short(0)? == 0 && flags & !INVERTED == 0).then_some(Match::DestinationKind {
                mask: short(2)?,
                is_inverted: flags & INVERTED != 0,
            })
        }
        _ => None,
    }
}

impl Match {
    /// Whether it holds of a packet.
    pub(super) fn holds(&self, packet: &Packet) -> Holds {
        match self {
            Self::Ports { from, to, flags } => from
                .holds(packet.source_port)
                .and(to.holds(packet.destination_port))
                .and(flags.as_ref().map_or(Holds::Yes, |flags| flags.holds(packet))),
            Self::AnyPort { places, ports, is_inverted } => {
                let of = |port: Option<u16>| {
                    let each = ports.iter().map(|(from, to)| within(*from, *to, port));
                    each.fold(Holds::No, Holds::or)
                };
                let (from, to) = (of(packet.source_port), of(packet.destination_port));
                let holds = match places {
                    Places::From => from,
                    Places::To => to,
                    Places::Either => from.or(to),
                };
                holds.turned(*is_inverted)
            }
            Self::State { mask, is_inverted } => match packet.state() {
                Some(state) => Holds::of(mask & state != 0).turned(*is_inverted),
                None => Holds::Maybe,
            },
            Self::User { from, to, is_inverted } => match packet.direction {
                Direction::Out if packet.is_roots => {
                    Holds::of((*from..=*to).contains(&0)).turned(*is_inverted)
                }
                Direction::In | Direction::Out => Holds::Maybe,
            },
            Self::DestinationKind { mask, is_inverted } => match packet.direction {
                Direction::In => Holds::of(mask & LOCAL != 0).turned(*is_inverted),
                Direction::Out => Holds::Maybe,
            },
            Self::Mark { .. } => Holds::Maybe,
        }
    }

    /// It as people write it.
    pub(super) fn text(&self) -> String {
        let ports = |word: &str, from: u16, to: u16, is_inverted: bool| {
            let not = if is_inverted { "! " } else { "" };
            match from == to {
                true => format!("{word} {not}{from}"),
                false => format!("{word} {not}{from}-{to}"),
            }
        };
        match self {
            Self::Ports { from, to, .. } => {
                let told = |word, range: &Range| {
                    let is_any = range.from == 0 && range.to == u16::MAX;
                    (!is_any).then(|| ports(word, range.from, range.to, range.is_inverted))
                };
                let both: Vec<String> =
                    told("sport", from).into_iter().chain(told("dport", to)).collect();
                both.join(" ")
            }
            Self::AnyPort { places, ports: all, is_inverted } => {
                let word = match places {
                    Places::From => "sports",
                    Places::To => "dports",
                    Places::Either => "ports",
                };
                let all: Vec<String> = all
                    .iter()
                    .map(|(a, b)| if a == b { a.to_string() } else { format!("{a}-{b}") })
                    .collect();
                format!("{word} {}{}", if *is_inverted { "! " } else { "" }, all.join(","))
            }
            Self::State { .. } => "of some states".to_owned(),
            Self::User { .. } => "of some users".to_owned(),
            Self::DestinationKind { .. } => "to addresses of a kind".to_owned(),
            Self::Mark { .. } => "(mark)".to_owned(),
        }
    }
}

impl Range {
    fn holds(&self, port: Option<u16>) -> Holds {
        if self.from == 0 && self.to == u16::MAX {
            return Holds::of(!self.is_inverted);
        }
        within(self.from, self.to, port).turned(self.is_inverted)
    }
}

/// Whether a port is one of those.
fn within(from: u16, to: u16, port: Option<u16>) -> Holds {
    covers((from, to), port.map_or(CLIENT, |port| (port, port)))
}

/// Whether one of a range, of which nobody knows which one, lies within another.
pub(super) fn covers((from, to): (u16, u16), (least, most): (u16, u16)) -> Holds {
    match (from <= least && most <= to, from <= most && least <= to) {
        (true, _) => Holds::Yes,
        (false, true) => Holds::Maybe,
        (false, false) => Holds::No,
    }
}

impl Flags {
    fn holds(&self, packet: &Packet) -> Holds {
        match packet.flags() {
            Some(flags) => Holds::of(flags & self.mask == self.set).turned(self.is_inverted),
            None => Holds::Maybe,
        }
    }
}
