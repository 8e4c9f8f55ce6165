//! What chronyd's replies say, field by field. What is out of the protocol's own range
//! makes the whole reply unreadable.

use std::net::IpAddr;

use jiff::Timestamp;
use nodeward_domain::facts::{LeapStatus, SourceMode, SourceState};

use super::wire::{Address, Fields};

/// A reference id as people read it: the letters of a reference clock's, else its bytes.
fn letters(id: u32) -> String {
    let bytes = id.to_be_bytes();
    let letters = bytes.iter().take_while(|byte| **byte != 0);
    let rest = bytes.iter().skip_while(|byte| **byte != 0);
    let plain = letters.clone().all(u8::is_ascii_graphic) && rest.clone().all(|byte| *byte == 0);
    match plain {
        true => letters.map(|byte| char::from(*byte)).collect(),
        false => format!("{id:08X}"),
    }
}

/// What the daemon makes of the clock, as `chronyc tracking` shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Tracking {
    /// The reference, as a number.
    pub reference_id: u32,
    /// Its address, or the letters of a reference clock; empty when there is none.
    pub reference: String,
    /// How many servers lie between the reference and a clock that needs none.
    pub stratum: u16,
    /// Whether the clock is synchronised, and whether a leap second comes.
    pub leap: LeapStatus,
    /// When the clock was last updated; none when it never was.
    pub reference_time: Option<Timestamp>,
    /// So much is still to be added to the clock.
    pub correction_seconds: f64,
    /// The offset at the last update.
    pub last_offset_seconds: f64,
    /// A long-term average of the offset.
    pub rms_offset_seconds: f64,
    /// How fast the clock would be off if it were left alone, in parts per million.
    pub frequency_ppm: f64,
    /// What the reference says of that beyond what is used.
    pub residual_frequency_ppm: f64,
    /// How far the frequency may be wrong.
    pub skew_ppm: f64,
    /// The way to the clock that needs no other, and back.
    pub root_delay_seconds: f64,
    /// The dispersion over that way.
    pub root_dispersion_seconds: f64,
    /// Between the last two updates.
    pub update_interval_seconds: f64,
}

impl Tracking {
    /// Reads a reply to `Question::Tracking`.
    #[must_use]
    pub fn read(mut fields: Fields<'_>) -> Option<Self> {
        let reference_id = fields.u32()?;
        let reference = match fields.address()? {
            Address::Ip(address) => address.to_string(),
            Address::None | Address::Unresolved if reference_id == 0 => String::new(),
            Address::None | Address::Unresolved => letters(reference_id),
        };
        Some(Self {
            reference_id,
            reference,
            stratum: fields.u16()?,
            leap: match fields.u16()? {
                0 => LeapStatus::Normal,
                1 => LeapStatus::InsertSecond,
                2 => LeapStatus::DeleteSecond,
                3 => LeapStatus::Unsynchronised,
                _ => return None,
            },
            reference_time: time(&mut fields)?,
            correction_seconds: fields.float()?,
            last_offset_seconds: fields.float()?,
            rms_offset_seconds: fields.float()?,
            frequency_ppm: fields.float()?,
            residual_frequency_ppm: fields.float()?,
            skew_ppm: fields.float()?,
            root_delay_seconds: fields.float()?,
            root_dispersion_seconds: fields.float()?,
            update_interval_seconds: fields.float()?,
        })
    }
}

/// A point in time: 64 bits of seconds, the upper half marked when it is not there, and
/// nanoseconds; zero when there is none.
fn time(fields: &mut Fields<'_>) -> Option<Option<Timestamp>> {
    const NO_UPPER_HALF: u32 = 0x7fff_ffff;
    let (upper, lower, nanoseconds) = (fields.u32()?, fields.u32()?, fields.u32()?);
    let upper = if upper == NO_UPPER_HALF { 0 } else { upper };
    let seconds = (u64::from(upper) << 32) | u64::from(lower);
    if (seconds, nanoseconds) == (0, 0) {
        return Some(None);
    }
    let (seconds, nanoseconds) = (seconds.try_into().ok()?, nanoseconds.try_into().ok()?);
    Timestamp::new(seconds, nanoseconds).ok().map(Some)
}

/// One source, as `chronyc sources` shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Its address, the letters of a reference clock; empty for a name not yet resolved.
    pub name: String,
    /// What it is.
    pub mode: SourceMode,
    /// What the daemon makes of it.
    pub state: SourceState,
    /// How many servers lie between it and a clock that needs none.
    pub stratum: u16,
    /// The interval at which it is asked, as a power of two in seconds.
    pub poll: i16,
    /// Which of the last eight questions it answered, the newest in the lowest bit.
    /// chronyc prints it as an octal number: 377 is all of them.
    pub reach: u16,
    /// How long ago the last good answer came; none when none ever did.
    pub sample_age_seconds: Option<u32>,
    /// The offset that it then showed, adjusted for what has been corrected since.
    pub offset_seconds: f64,
    /// The offset as it was measured.
    pub measured_offset_seconds: f64,
    /// How far that may be wrong.
    pub error_seconds: f64,
}

impl Source {
    /// Reads a reply to `Question::Source`.
    #[must_use]
    pub fn read(mut fields: Fields<'_>) -> Option<Self> {
        // The letters of a reference clock lie where a server has its address.
        let id = fields.clone().u32()?;
        let address = fields.address()?;
        let poll = fields.u16()?.cast_signed();
        let stratum = fields.u16()?;
        let state = match fields.u16()? {
            0 => SourceState::Selected,
            1 => SourceState::Unselectable,
            2 => SourceState::Falseticker,
            3 => SourceState::Jittery,
            4 | 5 => SourceState::Selectable,
            _ => return None,
        };
        let mode = match fields.u16()? {
            0 => SourceMode::Server,
            1 => SourceMode::Peer,
            2 => SourceMode::ReferenceClock,
            _ => return None,
        };
        let _flags = fields.u16()?;
        let reach = fields.u16()?;
        let age = fields.u32()?;
        // A power that no interval has would make one that no number holds.
        (-16..=24).contains(&poll).then_some(())?;
        Some(Self {
            name: match address {
                // A reference clock has its id in the place of an address.
                Address::Ip(IpAddr::V4(_)) if mode == SourceMode::ReferenceClock => letters(id),
                Address::Ip(address) => address.to_string(),
                Address::None | Address::Unresolved => String::new(),
            },
            mode,
            state,
            stratum,
            poll,
            reach,
            sample_age_seconds: (age != u32::MAX).then_some(age),
            measured_offset_seconds: fields.float()?,
            offset_seconds: fields.float()?,
            error_seconds: fields.float()?,
        })
    }

    /// Whether it stands for a name that has not been resolved yet.
    #[must_use]
    pub const fn is_unresolved(&self) -> bool {
        self.name.is_empty()
    }
}

/// How many sources are in which state of activity, as `chronyc activity` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Activity {
    /// They are asked.
    pub online: u32,
    /// They are not, by command.
    pub offline: u32,
    /// Their names have not been resolved.
    pub unresolved: u32,
}

impl Activity {
    /// Reads a reply to `Question::Activity`.
    #[must_use]
    pub fn read(mut fields: Fields<'_>) -> Option<Self> {
        let (online, offline) = (fields.u32()?, fields.u32()?);
        let (burst_online, burst_offline) = (fields.u32()?, fields.u32()?);
        Some(Self {
            online: online.saturating_add(burst_online),
            offline: offline.saturating_add(burst_offline),
            unresolved: fields.u32()?,
        })
    }
}

/// Reads a reply to `Question::SourceCount`.
#[must_use]
pub fn source_count(mut fields: Fields<'_>) -> Option<u32> {
    fields.u32()
}
