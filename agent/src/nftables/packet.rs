//! A packet of which some is known: what rules ask of it, byte by byte, is told where it is
//! known and left open where it is not.

use std::net::IpAddr;

/// Which way a packet takes through the node's own network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From outside to a program of the node.
    In,
    /// From a program of the node to the outside.
    Out,
}

/// The beginnings of addresses that nobody has whose address is not known: the loopback, links
/// alone, and the agent of Azure's hosts.
const RESERVED: [&[u8]; 3] = [&[127], &[169, 254], &[168, 63, 129, 16]];

/// Protocols, as the head of a packet names them.
pub const TCP: u8 = 6;
/// The same.
pub const UDP: u8 = 17;

/// States of a connection as rules ask for them, `NF_CT_STATE_BIT`.
const ESTABLISHED: u32 = 1 << 1;
const NEW: u32 = 1 << 3;

/// Ports that the kernel gives to who asks for none, `net.ipv4.ip_local_port_range` as it is
/// without a setting.
pub(super) const CLIENT: (u16, u16) = (32_768, 60_999);

/// Where in its connection a packet stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It begins the connection.
    First,
    /// It is the first one that comes back.
    Answer,
    /// It follows, either way.
    Later,
}

/// A packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Which way it goes.
    pub direction: Direction,
    /// It is of IPv6.
    pub is_ipv6: bool,
    /// TCP or UDP.
    pub protocol: u8,
    /// The interface that it goes over; none where that is not known.
    pub link: Option<String>,
    /// Where it comes from; none where that is not known, but that it is neither the loopback
    /// nor one of the cloud's own.
    pub source: Option<IpAddr>,
    /// Where it goes to; the same.
    pub destination: Option<IpAddr>,
    /// From which port; none for one of those that the kernel gives to who asks for none.
    pub source_port: Option<u16>,
    /// To which port; the same.
    pub destination_port: Option<u16>,
    /// Where in its connection it stands.
    pub stage: Stage,
    /// The state of its connection is what such packets have; false where that is not known.
    pub is_tracked: bool,
    /// It is sent by a program of root's; false where that is not known.
    pub is_roots: bool,
}

/// What a rule looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Field {
    /// What the kernel knows besides, `enum nft_meta_keys`.
    Meta(u32),
    /// Bytes of the packet, `enum nft_payload_bases`.
    Payload { base: u32, offset: u32, length: u32 },
    /// The state of the connection.
    State,
}

/// Of `enum nft_meta_keys`.
pub(super) mod meta {
    pub(in super::super) const PROTOCOL: u32 = 1;
    pub(in super::super) const MARK: u32 = 3;
    pub(in super::super) const LINK_IN: u32 = 4;
    pub(in super::super) const LINK_OUT: u32 = 5;
    pub(in super::super) const LINK_NAME_IN: u32 = 6;
    pub(in super::super) const LINK_NAME_OUT: u32 = 7;
    pub(in super::super) const USER: u32 = 10;
    pub(in super::super) const FAMILY: u32 = 15;
    pub(in super::super) const LAYER_4: u32 = 16;
}

/// Of `enum nft_payload_bases`.
pub(super) const NETWORK: u32 = 1;
pub(super) const TRANSPORT: u32 = 2;

/// The name of a link has so many bytes, `IFNAMSIZ`.
const LINK_NAME_BYTES: usize = 16;

/// The loopback is the first link of every network.
const LOOPBACK: &str = "lo";
const LOOPBACK_NUMBER: u32 = 1;

/// Bytes, of which each may be unknown.
type Bytes = Vec<Option<u8>>;

fn known(bytes: &[u8]) -> Bytes {
    bytes.iter().copied().map(Some).collect()
}

fn put(head: &mut Bytes, at: usize, bytes: Option<&[u8]>) {
    for (place, byte) in head.iter_mut().skip(at).zip(bytes.unwrap_or_default()) {
        *place = Some(*byte);
    }
}

impl Packet {
    /// Every packet of the connection that this one begins: it and its answer, and what follows
    /// both ways where the protocol has connections. What goes out by the loopback comes in by it.
    #[must_use]
    pub fn conversation(&self) -> Vec<Self> {
        let asked = Self { stage: Stage::First, ..self.clone() };
        let answer = Self { stage: Stage::Answer, ..asked.reversed() };
        let mut all = vec![asked, answer];
        if self.protocol == TCP {
            let later = |packet: &Self| Self { stage: Stage::Later, ..packet.clone() };
            let both: Vec<Self> = all.iter().map(later).collect();
            all.extend(both);
        }
        if self.link.as_deref() == Some(LOOPBACK) {
            let arrived: Vec<Self> = all.iter().map(Self::turned).collect();
            all.extend(arrived);
        }
        all
    }

    /// One that goes back to where it came from.
    fn reversed(&self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
            source_port: self.destination_port,
            destination_port: self.source_port,
            ..self.turned()
        }
    }

    /// It on the other half of its way through the loopback.
    #[must_use]
    pub fn turned(&self) -> Self {
        let direction = match self.direction {
            Direction::In => Direction::Out,
            Direction::Out => Direction::In,
        };
        Self { direction, ..self.clone() }
    }

    /// The one that began its connection.
    pub(super) fn begun_by(&self) -> Self {
        match self.stage {
            Stage::First | Stage::Later => self.clone(),
            Stage::Answer => self.reversed(),
        }
    }

    /// The state of its connection; none where that is not known.
    pub(super) const fn state(&self) -> Option<u32> {
        match self.stage {
            _ if !self.is_tracked => None,
            Stage::First => Some(NEW),
            Stage::Answer | Stage::Later => Some(ESTABLISHED),
        }
    }

    /// The flags of TCP's head; none of another protocol.
    pub(super) const fn flags(&self) -> Option<u8> {
        const SYN: u8 = 0x02;
        const ACK: u8 = 0x10;
        match self.stage {
            _ if self.protocol != TCP => None,
            Stage::First => Some(SYN),
            Stage::Answer => Some(SYN | ACK),
            Stage::Later => Some(ACK),
        }
    }

    /// The least and the highest port that it may have, where a rule looks at one that is not
    /// known.
    pub(super) const fn ports(&self, field: &Field) -> Option<(u16, u16)> {
        let port = match field {
            Field::Payload { base: TRANSPORT, offset: 0, length: 2 } => self.source_port,
            Field::Payload { base: TRANSPORT, offset: 2, length: 2 } => self.destination_port,
            _ => return None,
        };
        if port.is_none() { Some(CLIENT) } else { None }
    }

    /// The link that it comes in by, as far as it does.
    fn link(&self, direction: Direction) -> Option<&str> {
        // What goes out has come in by none, and what comes in goes out by none.
        if self.direction == direction { self.link.as_deref() } else { Some("") }
    }

    /// What a rule sees that looks there. No bytes where nothing is known, not even how many.
    pub(super) fn field(&self, field: &Field) -> Bytes {
        match field {
            Field::State => self.state().map_or(Vec::new(), |state| known(&state.to_ne_bytes())),
            Field::Meta(meta::PROTOCOL) => {
                known(&if self.is_ipv6 { [0x86, 0xdd] } else { [0x08, 0x00] })
            }
            Field::Meta(meta::FAMILY) => known(&[if self.is_ipv6 { 10 } else { 2 }]),
            Field::Meta(meta::LAYER_4) => known(&[self.protocol]),
            Field::Meta(meta::USER) if self.is_roots && self.direction == Direction::Out => {
                known(&0_u32.to_ne_bytes())
            }
            Field::Meta(meta::LINK_NAME_IN) => self.link_name(Direction::In),
            Field::Meta(meta::LINK_NAME_OUT) => self.link_name(Direction::Out),
            Field::Meta(meta::LINK_IN) => self.link_number(Direction::In),
            Field::Meta(meta::LINK_OUT) => self.link_number(Direction::Out),
            Field::Meta(_) => Vec::new(),
            Field::Payload { base, offset, length } => {
                let head = match *base {
                    NETWORK => self.network_head(),
                    TRANSPORT => self.transport_head(),
                    _ => Vec::new(),
                };
                let (Ok(offset), Ok(length)) = (usize::try_from(*offset), usize::try_from(*length))
                else {
                    return Vec::new();
                };
                head.into_iter().skip(offset).take(length).collect()
            }
        }
    }

    fn link_name(&self, direction: Direction) -> Bytes {
        let Some(link) = self.link(direction) else { return Vec::new() };
        let mut name = vec![Some(0); LINK_NAME_BYTES];
        put(&mut name, 0, Some(link.as_bytes()));
        name
    }

    fn link_number(&self, direction: Direction) -> Bytes {
        match self.link(direction) {
            Some("") => known(&0_u32.to_ne_bytes()),
            Some(LOOPBACK) => known(&LOOPBACK_NUMBER.to_ne_bytes()),
            // Which number another link has is not known.
            _ => Vec::new(),
        }
    }

    /// Whether it goes over a link of that number, as far as that is known.
    pub(super) fn is_over(&self, field: &Field, number: &[u8]) -> Option<bool> {
        let direction = match field {
            Field::Meta(meta::LINK_IN) => Direction::In,
            Field::Meta(meta::LINK_OUT) => Direction::Out,
            _ => return None,
        };
        let is_loopback = number == LOOPBACK_NUMBER.to_ne_bytes();
        match self.link(direction)? {
            LOOPBACK => Some(is_loopback),
            _ if is_loopback => Some(false),
            _ => None,
        }
    }

    /// Whether what a rule compares there is an address that is not known, with one that it
    /// cannot be.
    pub(super) fn is_elsewhere_than(&self, field: &Field, address: &[u8]) -> bool {
        let is_unknown = match field {
            Field::Payload { base: NETWORK, offset: 12, .. } => self.source.is_none(),
            Field::Payload { base: NETWORK, offset: 16, .. } => self.destination.is_none(),
            _ => false,
        };
        let is_reserved = RESERVED.iter().any(|start| address.starts_with(start));
        is_unknown && !self.is_ipv6 && is_reserved
    }

    /// The head of RFC 791 or RFC 8200.
    fn network_head(&self) -> Bytes {
        let bytes = |address: Option<IpAddr>| match address {
            Some(IpAddr::V4(address)) => Some(address.octets().to_vec()),
            Some(IpAddr::V6(address)) => Some(address.octets().to_vec()),
            None => None,
        };
        let (source, destination) = (bytes(self.source), bytes(self.destination));
        let (mut head, protocol, from, to) = match self.is_ipv6 {
            true => (vec![None; 40], 6, 8, 24),
            false => (vec![None; 20], 9, 12, 16),
        };
        put(&mut head, protocol, Some(&[self.protocol]));
        put(&mut head, from, source.as_deref());
        put(&mut head, to, destination.as_deref());
        head
    }

    /// The head of RFC 9293, or as much as UDP has in common with it.
    fn transport_head(&self) -> Bytes {
        const FLAGS_AT: usize = 13;
        let mut head = vec![None; 20];
        put(&mut head, 0, self.source_port.map(u16::to_be_bytes).as_ref().map(|b| &b[..]));
        put(&mut head, 2, self.destination_port.map(u16::to_be_bytes).as_ref().map(|b| &b[..]));
        put(&mut head, FLAGS_AT, self.flags().map(|flags| [flags]).as_ref().map(|b| &b[..]));
        head
    }
}
