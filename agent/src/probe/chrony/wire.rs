//! The messages of chrony's command protocol, version 6: the four questions that read
//! and that every chronyd answers on loopback. All numbers are big-endian; a request is
//! as long as the longest answer, so that no answer is larger than its question.
//! Source: `candm.h` and `util.c` of chrony, from 2.2 (2015) to 4.8.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The version of the protocol.
const VERSION: u8 = 6;

const REQUEST: u8 = 1;
const REPLY: u8 = 2;

/// The length of every request: the longest reply that is asked for, tracking.
pub const REQUEST_BYTES: usize = 104;

/// A question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// How many sources there are.
    SourceCount,
    /// The source of that index.
    Source(u32),
    /// What the daemon makes of the clock.
    Tracking,
    /// How many sources are in which state of activity.
    Activity,
}

impl Question {
    const fn command(self) -> u16 {
        match self {
            Self::SourceCount => 14,
            Self::Source(_) => 15,
            Self::Tracking => 33,
            Self::Activity => 44,
        }
    }

    /// The form of the reply, and the length of its fields.
    const fn reply(self) -> (u16, usize) {
        match self {
            Self::SourceCount => (2, 4),
            Self::Source(_) => (3, 48),
            Self::Tracking => (5, 76),
            Self::Activity => (12, 20),
        }
    }

    /// The command of chronyc that asks it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SourceCount | Self::Source(_) => "sources",
            Self::Tracking => "tracking",
            Self::Activity => "activity",
        }
    }

    /// The request, the `attempt`th with that sequence number, counted from zero.
    #[must_use]
    pub fn request(self, sequence: u32, attempt: u16) -> [u8; REQUEST_BYTES] {
        let mut bytes = [0; REQUEST_BYTES];
        bytes[0] = VERSION;
        bytes[1] = REQUEST;
        bytes[4..6].copy_from_slice(&self.command().to_be_bytes());
        bytes[6..8].copy_from_slice(&attempt.to_be_bytes());
        bytes[8..12].copy_from_slice(&sequence.to_be_bytes());
        if let Self::Source(index) = self {
            bytes[20..24].copy_from_slice(&index.to_be_bytes());
        }
        bytes
    }

    /// What a received message is to this question.
    #[must_use]
    pub fn received(self, message: &[u8], sequence: u32) -> Received<'_> {
        let mut head = Fields(message);
        let (Some([version, kind, 0, 0]), Some(command), Some(form), Some(status)) =
            (head.bytes::<4>(), head.u16(), head.u16(), head.u16())
        else {
            return Received::Stranger;
        };
        let (Some(_), Some(echo), Some(_)) = (head.bytes::<6>(), head.u32(), head.bytes::<8>())
        else {
            return Received::Stranger;
        };
        if kind != REPLY || echo != sequence || command != self.command() {
            return Received::Stranger;
        }
        if version != VERSION {
            return Received::Refused(Refusal::Version(version));
        }
        let (expected_form, length) = self.reply();
        match status {
            0 if form == expected_form
                && head.0.len() >= length
                && message.len() <= REQUEST_BYTES =>
            {
                Received::Reply(head)
            }
            0 => Received::Stranger,
            2 => Received::Refused(Refusal::NotAuthorised),
            4 => Received::Refused(Refusal::NoSuchSource),
            status => Received::Refused(Refusal::Status(status)),
        }
    }
}

/// What a received message is to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received<'a> {
    /// The fields of a reply to it.
    Reply(Fields<'a>),
    /// The daemon does not answer it.
    Refused(Refusal),
    /// No reply to it at all: to another question, or not of this protocol.
    Stranger,
}

/// Why the daemon does not answer a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It answers that to nobody on the network, by `opencommands` of its configuration.
    #[error("not authorised")]
    NotAuthorised,
    /// There is no source of that index, any more.
    #[error("no such source")]
    NoSuchSource,
    /// It speaks another version of the protocol.
    #[error("speaks version {0} of the protocol, only {VERSION} is known here")]
    Version(u8),
    /// Another reason, by the protocol's number.
    #[error("status {0}")]
    Status(u16),
}

/// The fields of a message that have not been read yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.bytes().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.bytes().map(u32::from_be_bytes)
    }

    pub(super) fn float(&mut self) -> Option<f64> {
        self.u32().map(float)
    }

    pub(super) fn address(&mut self) -> Option<Address> {
        let bytes: [u8; 16] = self.bytes()?;
        let family = self.u16()?;
        let _padding = self.u16()?;
        let [a, b, c, d, ..] = bytes;
        Some(match family {
            0 => Address::None,
            1 => Address::Ip(Ipv4Addr::new(a, b, c, d).into()),
            2 => Address::Ip(Ipv6Addr::from(bytes).into()),
            3 => Address::Unresolved,
            _ => return None,
        })
    }
}

/// Chrony's own form of numbers: seven bits of a signed exponent, 25 bits of a signed
/// coefficient that is a fraction of 2^25. It has no infinity and nothing that is no number.
#[must_use]
pub fn float(bits: u32) -> f64 {
    // Shifting left and back spreads the sign; an exponent of seven bits is exact in f64.
    let coefficient = (bits << 7).cast_signed() >> 7;
    let exponent = bits.cast_signed() >> 25;
    f64::from(coefficient) * 2f64.powi(exponent - 25)
}

/// The address of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Address {
    /// It has none: the clock has no reference, or one that is no server.
    None,
    /// That one.
    Ip(IpAddr),
    /// Its name has not been resolved yet.
    Unresolved,
}
