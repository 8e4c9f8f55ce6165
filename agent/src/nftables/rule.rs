//! One rule: what it asks of a packet, and what it does with one of which all of that holds.
//! The kernel tells it as a row of expressions, of which some load into registers and others
//! compare what is there; here each comparison names what was loaded.

use std::collections::BTreeMap;

use super::attributes::{Malformed, attributes, name, number};
use super::legacy::{self, Match};
use super::packet::{Field, NETWORK, Packet, TCP, TRANSPORT, UDP, meta};

/// Whether something holds of a packet of which only some is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    No,
    Maybe,
    Yes,
}

impl Holds {
    pub(super) const fn of(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }

    pub(super) const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Yes, Self::Yes) => Self::Yes,
            _ => Self::Maybe,
        }
    }

    pub(super) const fn or(self, other: Self) -> Self {
        self.turned(true).and(other.turned(true)).turned(true)
    }

    pub(super) const fn turned(self, is_inverted: bool) -> Self {
        match (self, is_inverted) {
            (Self::No, true) => Self::Yes,
            (Self::Yes, true) => Self::No,
            (holds, _) => holds,
        }
    }
}

/// How a field is compared, `enum nft_cmp_ops`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compared {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What a rule asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    /// A field, of which bits may be left out, compared with a value.
    Is { field: Field, mask: Option<Vec<u8>>, compared: Compared, value: Vec<u8> },
    /// A field within a range, or outside of it.
    Within { field: Field, from: Vec<u8>, to: Vec<u8>, is_inverted: bool },
    /// In the older filter's form.
    Legacy(Match),
    /// What is not understood here, by its name.
    Other(String),
}

/// What becomes of a packet of which all conditions hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Does {
    /// Nothing: the next rule has it.
    #[default]
    Nothing,
    Accepts,
    Drops,
    Rejects,
    /// To another chain, and back when that does not decide.
    Jumps(String),
    /// To another chain, without coming back to this one.
    Goes(String),
    Returns,
    /// What is not understood here.
    Other(String),
}

/// One rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rule {
    /// By which `nft` names it.
    pub(super) handle: u64,
    pub(super) conditions: Vec<Condition>,
    pub(super) does: Does,
    /// It keeps the kernel from following the connection, or has it follow it elsewhere.
    pub(super) untracks: bool,
}

/// A register of sixteen bytes has four places of four, `enum nft_registers`.
const PLACES: u32 = 4;
const FIRST_SMALL: u32 = 8;
const VERDICT: u32 = 0;

/// Verdicts, `enum nft_verdicts` and `NF_*`.
const DROP: u32 = 0;
const ACCEPT: u32 = 1;
const CONTINUE: u32 = u32::MAX;
const JUMP: u32 = u32::MAX - 2;
const GOTO: u32 = u32::MAX - 3;
const RETURN: u32 = u32::MAX - 4;

/// Keys of a connection: its state, `NFT_CT_STATE`, and where it is kept, `NFT_CT_ZONE`.
const CT_STATE: u32 = 0;
const CT_ZONE: u32 = 17;

/// What counts, writes down or marks, and lets every packet go on.
const ASIDE: [&str; 6] = ["counter", "log", "last", "dup", "ct_timeout", "ct_helper"];

/// Objects of the same kind, `NFT_OBJECT_*`: a counter, the helper, the timeout and the
/// expectations of a connection, and a mark for SELinux.
const ASIDE_OBJECTS: [u32; 5] = [1, 3, 7, 8, 9];

/// The object that answers in a server's place, `NFT_OBJECT_SYNPROXY`.
const SYNPROXY: u32 = 10;

/// Targets of the older filter that write addresses, and let go on what they wrote into.
const ADDRESS_TARGETS: [&str; 5] = ["DNAT", "MASQUERADE", "NETMAP", "REDIRECT", "SNAT"];

/// Targets of the older filter that count, write down or mark.
const ASIDE_TARGETS: [&str; 16] = [
    "AUDIT",
    "CHECKSUM",
    "CLASSIFY",
    "CONNMARK",
    "CONNSECMARK",
    "DSCP",
    "ECN",
    "HL",
    "LOG",
    "MARK",
    "NFLOG",
    "SECMARK",
    "SET",
    "TCPMSS",
    "TOS",
    "TTL",
];

/// What lies in a register.
#[derive(Debug, Clone)]
struct Loaded {
    field: Field,
    mask: Option<Vec<u8>>,
}

/// What one expression is told with, by kind.
type Told<'a> = BTreeMap<u16, &'a [u8]>;

fn place(register: u32) -> u32 {
    match register {
        0 => VERDICT,
        1..=4 => 1 + (register - 1) * PLACES,
        small => 1 + small.saturating_sub(FIRST_SMALL),
    }
}

impl Rule {
    /// Reads the list of its expressions.
    pub(super) fn read(&mut self, list: &[u8]) -> Result<(), Malformed> {
        let mut registers: BTreeMap<u32, Loaded> = BTreeMap::new();
        for (_, expression) in attributes(list)? {
            let (mut kind, mut told) = (String::new(), Told::new());
            for (attribute, value) in attributes(expression)? {
                match attribute {
                    1 => kind = name(value),
                    2 => told = attributes(value)?.into_iter().collect(),
                    _ => {}
                }
            }
            self.expression(&kind, &told, &mut registers)?;
        }
        Ok(())
    }

    fn expression(
        &mut self,
        kind: &str,
        told: &Told<'_>,
        registers: &mut BTreeMap<u32, Loaded>,
    ) -> Result<(), Malformed> {
        let at = |attribute: u16| told.get(&attribute).map(|value| number(value)).transpose();
        // Whatever is loaded takes the place of what was there.
        let load = |registers: &mut BTreeMap<u32, Loaded>, register: Option<u32>, field| {
            if let Some(register) = register {
                registers.remove(&place(register));
                if let Some(field) = field {
                    registers.insert(place(register), Loaded { field, mask: None });
                }
            }
        };
        match kind {
            // One that writes into the packet's marks has no place that it is loaded to.
            "meta" => load(registers, at(1)?, at(2)?.map(Field::Meta)),
            "ct" => {
                // One that sets something has no place that it is loaded to.
                self.untracks |= at(1)?.is_none() && at(2)? == Some(CT_ZONE);
                let is_state = at(2)? == Some(CT_STATE);
                load(registers, at(1)?, is_state.then_some(Field::State));
            }
            "payload" => {
                let field = match (at(2)?, at(3)?, at(4)?) {
                    (Some(base), Some(offset), Some(length)) => {
                        Some(Field::Payload { base, offset, length })
                    }
                    _ => None,
                };
                load(registers, at(1)?, field);
            }
            "bitwise" => {
                let from = at(1)?.map(place).and_then(|place| registers.get(&place)).cloned();
                let to = at(2)?.map_or(VERDICT, place);
                registers.remove(&to);
                // Only bits that are left out are followed, not such as are turned or shifted.
                let is_mask = at(6)?.unwrap_or(0) == 0;
                let turned = told.get(&5).map(|value| value_of(value)).transpose()?.flatten();
                let is_plain = turned.is_none_or(|bits| bits.iter().all(|bits| *bits == 0));
                let mask = told.get(&4).map(|value| value_of(value)).transpose()?.flatten();
                if let (Some(from), Some(mask), true) = (from, mask, is_mask && is_plain)
                    && from.mask.is_none()
                {
                    registers.insert(to, Loaded { field: from.field, mask: Some(mask.to_vec()) });
                }
            }
            "cmp" => {
                let loaded = at(1)?.map(place).and_then(|place| registers.get(&place));
                let value = told.get(&3).map(|value| value_of(value)).transpose()?.flatten();
                let compared = match at(2)? {
                    Some(0) => Some(Compared::Equal),
                    Some(1) => Some(Compared::Unequal),
                    Some(2) => Some(Compared::Less),
                    Some(3) => Some(Compared::LessOrEqual),
                    Some(4) => Some(Compared::Greater),
                    Some(5) => Some(Compared::GreaterOrEqual),
                    _ => None,
                };
                self.conditions.push(match (loaded.cloned(), value, compared) {
                    (Some(Loaded { field, mask }), Some(value), Some(compared)) => {
                        Condition::Is { field, mask, compared, value: value.to_vec() }
                    }
                    _ => Condition::Other(kind.to_owned()),
                });
            }
            "range" => {
                let loaded = at(1)?.map(place).and_then(|place| registers.get(&place));
                let from = told.get(&3).map(|value| value_of(value)).transpose()?.flatten();
                let to = told.get(&4).map(|value| value_of(value)).transpose()?.flatten();
                let is_inverted = at(2)? == Some(1);
                self.conditions.push(match (loaded.cloned(), from, to) {
                    (Some(Loaded { field, mask: None }), Some(from), Some(to)) => {
                        let (from, to) = (from.to_vec(), to.to_vec());
                        Condition::Within { field, from, to, is_inverted }
                    }
                    _ => Condition::Other(kind.to_owned()),
                });
            }
            "match" => {
                let (name, revision) = (told.get(&1).map(|value| name(value)), at(2)?.unwrap_or(0));
                let (name, bytes) = (name.unwrap_or_default(), told.get(&3).copied());
                if name != "comment" {
                    self.conditions.push(
                        match legacy::read(&name, revision, bytes.unwrap_or_default()) {
                            Some(condition) => Condition::Legacy(condition),
                            None => Condition::Other(name),
                        },
                    );
                }
            }
            "target" => {
                let name = told.get(&1).map(|value| name(value)).unwrap_or_default();
                match name.as_str() {
                    "REJECT" => self.decides(Does::Rejects),
                    "NOTRACK" => self.untracks = true,
                    "CT" => self.untracks |= is_untracking(told.get(&3).copied()),
                    addresses if ADDRESS_TARGETS.contains(&addresses) => {
                        self.decides(Does::Accepts);
                    }
                    aside if ASIDE_TARGETS.contains(&aside) => {}
                    _ => self.decides(Does::Other(name)),
                }
            }
            "reject" => self.decides(Does::Rejects),
            "immediate" => match at(1)? {
                Some(VERDICT) => {
                    let verdict = told.get(&2).map(|value| verdict(value)).transpose()?;
                    self.decides(verdict.unwrap_or(Does::Other(kind.to_owned())));
                }
                register => load(registers, register, None),
            },
            "notrack" => self.untracks = true,
            "nat" | "masq" | "redir" => self.decides(Does::Accepts),
            "objref" => match at(1)? {
                Some(aside) if ASIDE_OBJECTS.contains(&aside) => {}
                Some(SYNPROXY) => self.decides(Does::Other("a synproxy".to_owned())),
                // A quota or a limit lets some packets on and others not.
                _ => self.conditions.push(Condition::Other("an object".to_owned())),
            },
            aside if ASIDE.contains(&aside) => {}
            // A set, with a verdict for each element or without: which elements it has is not
            // asked for.
            "lookup" if at(3)?.is_some() => match at(3)? {
                Some(VERDICT) => self.decides(Does::Other("a map of verdicts".to_owned())),
                register => {
                    load(registers, register, None);
                    self.conditions.push(Condition::Other("a set".to_owned()));
                }
            },
            "lookup" => self.conditions.push(Condition::Other("a set".to_owned())),
            "queue" | "tproxy" | "synproxy" | "fwd" | "flow_offload" => {
                self.decides(Does::Other(kind.to_owned()));
            }
            other => {
                // It may load into registers, or ask something: neither is understood.
                registers.clear();
                self.conditions.push(Condition::Other(other.to_owned()));
            }
        }
        Ok(())
    }

    /// The first decision of a rule is its only one.
    fn decides(&mut self, does: Does) {
        if self.does == Does::Nothing {
            self.does = does;
        }
    }

    /// Whether a packet is one that it decides on.
    pub(super) fn holds(&self, packet: &Packet) -> Holds {
        self.conditions.iter().map(|condition| condition.holds(packet)).fold(Holds::Yes, Holds::and)
    }

    /// Whether it asks for a mark that other rules leave, of one that says so.
    pub(super) fn asks_mark(&self, is_it: impl Fn(&[u8], &[u8]) -> bool) -> bool {
        self.conditions.iter().any(|condition| match condition {
            Condition::Is { field: Field::Meta(meta::MARK), mask, value, compared } => {
                let mask = mask.as_deref().unwrap_or(&[u8::MAX; 4]);
                *compared == Compared::Equal && is_it(value, mask)
            }
            Condition::Legacy(Match::Mark { mark, mask, is_inverted: false }) => {
                is_it(&mark.to_ne_bytes(), &mask.to_ne_bytes())
            }
            _ => false,
        })
    }

    /// Whether it asks for that, which is not understood here.
    pub(super) fn asks_other(&self, name: &str) -> bool {
        let is_it =
            |condition: &Condition| matches!(condition, Condition::Other(other) if other == name);
        self.conditions.iter().any(is_it)
    }

    /// It as people write it, as far as it is understood.
    pub(super) fn text(&self) -> String {
        let does = match &self.does {
            Does::Drops => "drop".to_owned(),
            Does::Rejects => "reject".to_owned(),
            Does::Accepts => "accept".to_owned(),
            Does::Nothing => String::new(),
            Does::Returns => "return".to_owned(),
            Does::Jumps(chain) | Does::Goes(chain) => format!("jump {chain}"),
            Does::Other(name) => name.clone(),
        };
        let conditions = self.conditions.iter().map(Condition::text);
        let words = conditions.chain([does]).filter(|word| !word.is_empty());
        words.collect::<Vec<_>>().join(" ")
    }
}

/// Whether the older filter's target `CT` does more than to choose a helper: flags, and the
/// zone of `struct xt_ct_target_info`.
fn is_untracking(bytes: Option<&[u8]>) -> bool {
    const NOTRACK: u16 = 1;
    match bytes {
        Some([a, b, c, d, ..]) => {
            u16::from_ne_bytes([*a, *b]) & NOTRACK != 0 || u16::from_ne_bytes([*c, *d]) != 0
        }
        _ => true,
    }
}

/// The value in `enum nft_data_attributes`.
fn value_of(bytes: &[u8]) -> Result<Option<&[u8]>, Malformed> {
    Ok(attributes(bytes)?.into_iter().find(|(kind, _)| *kind == 1).map(|(_, value)| value))
}

/// The verdict in the same, `enum nft_verdict_attributes`.
fn verdict(bytes: &[u8]) -> Result<Does, Malformed> {
    let (mut code, mut chain) = (None, String::new());
    for (kind, value) in attributes(bytes)? {
        if kind != 2 {
            continue;
        }
        for (kind, value) in attributes(value)? {
            match kind {
                1 => code = Some(number(value)?),
                2 => chain = name(value),
                _ => {}
            }
        }
    }
    Ok(match code {
        Some(DROP) => Does::Drops,
        Some(ACCEPT) => Does::Accepts,
        Some(CONTINUE) => Does::Nothing,
        Some(JUMP) => Does::Jumps(chain),
        Some(GOTO) => Does::Goes(chain),
        Some(RETURN) => Does::Returns,
        _ => Does::Other("a verdict".to_owned()),
    })
}

impl Compared {
    fn of<T: Ord>(self, left: &T, right: &T) -> bool {
        match self {
            Self::Equal => left == right,
            Self::Unequal => left != right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
        }
    }
}

impl Condition {
    fn holds(&self, packet: &Packet) -> Holds {
        match self {
            Self::Is { field, mask, compared, value } => {
                let is_equality = matches!(compared, Compared::Equal | Compared::Unequal);
                let is_inverted = *compared == Compared::Unequal;
                if is_equality
                    && mask.is_none()
                    && let Some(is_over) = packet.is_over(field, value)
                {
                    return Holds::of(is_over).turned(is_inverted);
                }
                if is_equality && mask.is_none() && packet.is_elsewhere_than(field, value) {
                    return Holds::No.turned(is_inverted);
                }
                if let (Some((least, most)), None, [a, b]) =
                    (packet.ports(field), mask, value.as_slice())
                {
                    let port = u16::from_be_bytes([*a, *b]);
                    let (low, high) = (compared.of(&least, &port), compared.of(&most, &port));
                    return match (low == high, is_equality && (least..=most).contains(&port)) {
                        (true, false) => Holds::of(low),
                        _ => Holds::Maybe,
                    };
                }
                let mut bytes = packet.field(field);
                for (byte, mask) in bytes.iter_mut().zip(mask.iter().flatten()) {
                    *byte = if *mask == 0 { Some(0) } else { byte.map(|byte| byte & mask) };
                }
                if bytes.len() < value.len() {
                    return Holds::Maybe;
                }
                if is_equality {
                    return equal(&bytes, value).turned(is_inverted);
                }
                let known: Option<Vec<u8>> = bytes.into_iter().take(value.len()).collect();
                known.map_or(Holds::Maybe, |known| Holds::of(compared.of(&known, value)))
            }
            Self::Within { field, from, to, is_inverted } => {
                if let (Some((least, most)), [a, b], [c, d]) =
                    (packet.ports(field), from.as_slice(), to.as_slice())
                {
                    let (from, to) = (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]));
                    return legacy::covers((from, to), (least, most)).turned(*is_inverted);
                }
                let bytes = packet.field(field);
                let known: Option<Vec<u8>> = bytes.into_iter().take(from.len()).collect();
                match known.filter(|known| known.len() == from.len() && known.len() == to.len()) {
                    Some(known) => Holds::of(*from <= known && known <= *to).turned(*is_inverted),
                    None => Holds::Maybe,
                }
            }
            Self::Legacy(legacy) => legacy.holds(packet),
            Self::Other(_) => Holds::Maybe,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Is { field, mask, compared, value } => {
                let not = match compared {
                    Compared::Equal => "",
                    Compared::Unequal => "! ",
                    Compared::Less => "< ",
                    Compared::LessOrEqual => "<= ",
                    Compared::Greater => "> ",
                    Compared::GreaterOrEqual => ">= ",
                };
                match (field, value_text(field, value, mask.as_deref())) {
                    (Field::State, _) => "of some states".to_owned(),
                    (Field::Meta(meta::LAYER_4), Some(value)) => format!("{not}{value}"),
                    (field, Some(value)) => format!("{} {not}{value}", field_word(field)),
                    (field, None) => field_word(field).to_owned(),
                }
            }
            Self::Within { field, from, to, is_inverted } => {
                let not = if *is_inverted { "! " } else { "" };
                match (value_text(field, from, None), value_text(field, to, None)) {
                    (Some(from), Some(to)) => format!("{} {not}{from}-{to}", field_word(field)),
                    _ => field_word(field).to_owned(),
                }
            }
            Self::Legacy(legacy) => legacy.text(),
            Self::Other(name) => format!("({name})"),
        }
    }
}

/// Whether bytes of which some are known are these.
fn equal(bytes: &[Option<u8>], value: &[u8]) -> Holds {
    let all = bytes.iter().zip(value).map(|(byte, value)| match byte {
        Some(byte) => Holds::of(byte == value),
        None => Holds::Maybe,
    });
    all.fold(Holds::Yes, Holds::and)
}

/// Where addresses and ports stand, by the length of an address.
const fn field_word(field: &Field) -> &'static str {
    match field {
        Field::Meta(meta::LINK_NAME_IN | meta::LINK_IN) => "in",
        Field::Meta(meta::LINK_NAME_OUT | meta::LINK_OUT) => "out",
        Field::Meta(meta::USER) => "user",
        Field::Meta(_) => "(meta)",
        Field::State => "state",
        Field::Payload { base: TRANSPORT, offset: 0, .. } => "sport",
        Field::Payload { base: TRANSPORT, offset: 2, .. } => "dport",
        Field::Payload { base: NETWORK, offset: 12 | 8, .. } => "from",
        Field::Payload { base: NETWORK, offset: 16 | 24, .. } => "to",
        Field::Payload { .. } => "(payload)",
    }
}

fn value_text(field: &Field, value: &[u8], mask: Option<&[u8]>) -> Option<String> {
    match (field, value) {
        (Field::Meta(meta::LINK_NAME_IN | meta::LINK_NAME_OUT), name_bytes) => {
            let is_start = !name_bytes.contains(&0);
            Some(format!("{}{}", name(name_bytes), if is_start { "+" } else { "" }))
        }
        (Field::Meta(meta::LINK_IN | meta::LINK_OUT | meta::USER), [a, b, c, d]) => {
            Some(u32::from_ne_bytes([*a, *b, *c, *d]).to_string())
        }
        (Field::Meta(meta::LAYER_4), [TCP]) => Some("tcp".to_owned()),
        (Field::Meta(meta::LAYER_4), [UDP]) => Some("udp".to_owned()),
        (Field::Meta(meta::LAYER_4), [other]) => Some(format!("protocol {other}")),
        (Field::Payload { base: TRANSPORT, offset: 0 | 2, .. }, [a, b]) => {
            Some(u16::from_be_bytes([*a, *b]).to_string())
        }
        // Of a net, only as many bytes as it has may be compared.
        (Field::Payload { base: NETWORK, offset: 12 | 16, .. }, bytes) if bytes.len() <= 4 => {
            let mut address = [0; 4];
            address[..bytes.len()].copy_from_slice(bytes);
            let ones = mask.map_or(8 * bytes.len(), |mask| {
                mask.iter().map(|byte| byte.count_ones() as usize).sum()
            });
            let address = std::net::Ipv4Addr::from(address);
            Some(if ones == 32 { address.to_string() } else { format!("{address}/{ones}") })
        }
        (Field::Payload { base: NETWORK, offset: 8 | 24, .. }, bytes) if bytes.len() <= 16 => {
            let mut address = [0; 16];
            address[..bytes.len()].copy_from_slice(bytes);
            let address = std::net::Ipv6Addr::from(address);
            Some(if bytes.len() == 16 {
                address.to_string()
            } else {
                format!("{address}/{}", 8 * bytes.len())
            })
        }
        _ => None,
    }
}
