//! Sort keys of versions: bytes whose plain order is the order of the versions they were
//! made of, so that a version is read once and compared with thousands by `memcmp`.
//! Made by the rules of [`super::dpkg`], [`super::rpm`] and [`super::semver`].
//!
//! No key is the beginning of another one: every part ends with a byte that decides
//! against whatever may stand in its place. So a byte above all others behind a key makes
//! the least key above that version, which is how ranges are written.

use super::semver;

/// By whose rules versions are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// Debian and what is made from it.
    Dpkg,
    /// Azure Linux and other distributions of rpm.
    Rpm,
    /// Upstream projects.
    Semver,
}

/// Why a text is no version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum VersionError {
    /// Nothing stands there.
    #[error("is empty")]
    Empty,
    /// It is longer than any version that a vendor gives.
    #[error("is longer than {LONGEST} bytes")]
    TooLong,
    /// An epoch that is no number.
    #[error("has an epoch that is no number")]
    Epoch,
    /// A character that no version has.
    #[error("has a character that no version has")]
    Character,
    /// No number is in it.
    #[error("has no number")]
    NoNumber,
}

/// Longer than any version that a vendor gives.
const LONGEST: usize = 512;

/// Above every byte that a key begins with or goes on with.
const ABOVE: u8 = 0xff;

/// Where nothing follows; `~` is below, everything else above.
const END: u8 = 0x02;

/// The sort key of one version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct VersionKey {
    bytes: Vec<u8>,
    /// So many bytes are the epoch's.
    epoch_bytes: usize,
}

impl VersionKey {
    /// Reads a version. White space around it, and behind an epoch's colon, is left out:
    /// feeds have it.
    pub fn parse(order: Order, text: &str) -> Result<Self, VersionError> {
        let mut key = Self::default();
        key.read(order, text)?;
        Ok(key)
    }

    /// Reads another version into the same memory. After an error the key means nothing.
    pub fn read(&mut self, order: Order, text: &str) -> Result<(), VersionError> {
        self.bytes.clear();
        self.epoch_bytes = 0;
        // White space is rare, and looking for every kind of it takes its time.
        let is_plain = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_graphic);
        let bytes = text.as_bytes();
        let text = match is_plain(bytes.first()) && is_plain(bytes.last()) {
            true => text,
            false => text.trim(),
        };
        if text.is_empty() {
            return Err(VersionError::Empty);
        }
        if text.len() > LONGEST {
            return Err(VersionError::TooLong);
        }
        match order {
            Order::Dpkg => self.read_dpkg(text),
            Order::Rpm => self.read_rpm(text),
            Order::Semver => self.read_semver(text),
        }
    }

    /// All of it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// All but the epoch, for feeds that write none.
    #[must_use]
    pub fn without_epoch(&self) -> &[u8] {
        self.bytes.get(self.epoch_bytes..).unwrap_or_default()
    }

    fn read_dpkg(&mut self, text: &str) -> Result<(), VersionError> {
        let (epoch, rest) = match text.bytes().position(|byte| byte == b':') {
            Some(colon) => (&text[..colon], text[colon + 1..].trim()),
            None => ("", text),
        };
        if epoch.bytes().any(|byte| !byte.is_ascii_digit()) {
            return Err(VersionError::Epoch);
        }
        let mut has_number = false;
        for byte in rest.bytes() {
            match byte {
                b'0'..=b'9' => has_number = true,
                b'a'..=b'z' | b'A'..=b'Z' | b'.' | b'+' | b'-' | b'~' | b':' => {}
                _ => return Err(VersionError::Character),
            }
        }
        if !has_number {
            return Err(VersionError::NoNumber);
        }
        let (upstream, revision) = match rest.bytes().rposition(|byte| byte == b'-') {
            Some(hyphen) => (&rest[..hyphen], &rest[hyphen + 1..]),
            None => (rest, ""),
        };
        self.bytes.reserve(3 * text.len() + 16);
        self.digits(epoch);
        self.epoch_bytes = self.bytes.len();
        self.dpkg_part(upstream);
        self.dpkg_part(revision);
        Ok(())
    }

    /// Text and digits by turns. The first turn is always there, so that no text before a
    /// number can be taken for the end of the part.
    fn dpkg_part(&mut self, mut part: &str) {
        loop {
            let text = leading(part, |byte| !byte.is_ascii_digit());
            for byte in text.bytes() {
                match byte {
                    b'~' => self.bytes.push(0x01),
                    letter if letter.is_ascii_alphabetic() => self.bytes.push(letter),
                    // Above all letters, each by its own code.
                    other => self.bytes.extend([0x80, other]),
                }
            }
            self.bytes.push(END);
            let rest = &part[text.len()..];
            let digits = leading(rest, |byte| byte.is_ascii_digit());
            self.digits(digits);
            part = &rest[digits.len()..];
            if part.is_empty() {
                self.bytes.push(END);
                return;
            }
        }
    }

    fn read_rpm(&mut self, text: &str) -> Result<(), VersionError> {
        let (epoch, rest) = match text.split_once(':') {
            Some((epoch, rest)) if epoch.bytes().all(|byte| byte.is_ascii_digit()) => {
                (epoch, rest.trim())
            }
            Some(_) => return Err(VersionError::Epoch),
            None => ("", text),
        };
        if !rest.bytes().any(|byte| byte.is_ascii_alphanumeric()) {
            return Err(VersionError::NoNumber);
        }
        if !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(VersionError::Character);
        }
        self.digits(epoch);
        self.epoch_bytes = self.bytes.len();
        match rest.rsplit_once('-') {
            Some((version, release)) => {
                self.rpm_segments(version);
                self.bytes.push(0x01);
                self.rpm_segments(release);
            }
            // Without a release it sorts before all that have one.
            None => {
                self.rpm_segments(rest);
                self.bytes.push(0x00);
            }
        }
        Ok(())
    }

    fn rpm_segments(&mut self, mut text: &str) {
        loop {
            text = text.trim_start_matches(|letter: char| {
                !letter.is_ascii_alphanumeric() && !matches!(letter, '~' | '^')
            });
            let Some(first) = text.bytes().next() else {
                self.bytes.push(END);
                return;
            };
            let length = match first {
                b'~' => {
                    self.bytes.push(0x01);
                    1
                }
                b'^' => {
                    self.bytes.push(0x03);
                    1
                }
                digit if digit.is_ascii_digit() => {
                    let digits = leading(text, |byte| byte.is_ascii_digit());
                    self.bytes.push(0x05);
                    self.digits(digits);
                    digits.len()
                }
                _ => {
                    let letters = leading(text, |byte| byte.is_ascii_alphabetic());
                    self.bytes.push(0x04);
                    self.bytes.extend_from_slice(letters.as_bytes());
                    self.bytes.push(0x00);
                    letters.len()
                }
            };
            text = &text[length..];
        }
    }

    fn read_semver(&mut self, text: &str) -> Result<(), VersionError> {
        let (core, pre_release) = semver::split(text);
        let mut parts: Vec<&str> = core.split('.').collect();
        if parts.iter().any(|part| !semver::is_number(part)) {
            return Err(VersionError::Character);
        }
        while parts.last().is_some_and(|part| semver::significant(part).is_empty()) {
            parts.pop();
        }
        for part in parts {
            self.bytes.push(0x05);
            self.digits(part);
        }
        self.bytes.push(END);
        let Some(pre_release) = pre_release else {
            self.bytes.push(0x7f);
            return Ok(());
        };
        for identifier in pre_release.split('.') {
            if semver::is_number(identifier) {
                self.bytes.push(0x05);
                self.digits(identifier);
            } else if identifier.bytes().all(|byte| byte.is_ascii_graphic()) {
                self.bytes.push(0x06);
                self.bytes.extend_from_slice(identifier.as_bytes());
                self.bytes.push(0x00);
            } else {
                return Err(VersionError::Character);
            }
        }
        self.bytes.push(END);
        Ok(())
    }

    /// A number by its value, however long it is: its length, then its digits.
    fn digits(&mut self, digits: &str) {
        let digits = digits.as_bytes();
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        let digits = digits.get(zeros..).unwrap_or_default();
        match u8::try_from(digits.len()) {
            // Nearly all there are.
            Ok(1) => self.bytes.extend([1, digits[0]]),
            Ok(length) if length < 0xf0 => {
                self.bytes.push(length);
                self.bytes.extend_from_slice(digits);
            }
            // Not longer than a version may be.
            _ => {
                let length = u16::try_from(digits.len()).unwrap_or(u16::MAX);
                self.bytes.push(0xf0);
                self.bytes.extend(length.to_be_bytes());
                self.bytes.extend_from_slice(digits);
            }
        }
    }
}

/// The longest beginning whose bytes all satisfy `wanted`.
fn leading(text: &str, wanted: impl Fn(u8) -> bool) -> &str {
    let end = text.bytes().position(|byte| !wanted(byte)).unwrap_or(text.len());
    // Only ASCII gets here, so that every index is between two characters.
    &text[..end]
}

/// The versions from a lower to an upper bound, as sort keys: those with
/// `lower <= key < upper`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyRange {
    /// The least key inside.
    pub lower: Vec<u8>,
    /// The least key above.
    pub upper: Vec<u8>,
}

impl KeyRange {
    /// Every version.
    #[must_use]
    pub fn all() -> Self {
        Self { lower: Vec::new(), upper: vec![ABOVE] }
    }

    /// Whether a key is inside.
    #[must_use]
    pub fn holds(&self, key: &[u8]) -> bool {
        self.lower.as_slice() <= key && key < self.upper.as_slice()
    }
}

/// The least key above a version.
#[must_use]
pub(crate) fn just_above(key: &[u8]) -> Vec<u8> {
    let mut bound = key.to_vec();
    bound.push(ABOVE);
    bound
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use proptest::prelude::*;

    use super::*;
    use crate::version::{dpkg, rpm};

    /// Both orders say the same, where both take the texts for versions.
    fn agree(order: Order, compare: fn(&str, &str) -> Ordering, a: &str, b: &str) {
        let (Ok(left), Ok(right)) = (VersionKey::parse(order, a), VersionKey::parse(order, b))
        else {
            return;
        };
        assert_eq!(left.bytes().cmp(right.bytes()), compare(a, b), "{a} {b}");
        let same_epoch = |text: &str| text.split_once(':').map_or("0", |(epoch, _)| epoch) == "0";
        if same_epoch(a) && same_epoch(b) {
            assert_eq!(left.without_epoch().cmp(right.without_epoch()), compare(a, b), "{a} {b}");
        }
        // A bound just above lets the version itself in and nothing greater.
        let bound = just_above(right.bytes());
        assert_eq!(left.bytes() < bound.as_slice(), compare(a, b).is_le(), "{a} <= {b}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn keys_are_ordered_like_dpkg_versions(
            a in "([0-2]:)?[0-3a-cAZ~+.-]{0,10}", b in "([0-2]:)?[0-3a-cAZ~+.-]{0,10}",
        ) {
            agree(Order::Dpkg, dpkg::compare, &a, &b);
        }

        #[test]
        fn keys_are_ordered_like_rpm_versions(
            a in "([0-2]:)?[0-3a-cA~^+._-]{0,10}", b in "([0-2]:)?[0-3a-cA~^+._-]{0,10}",
        ) {
            agree(Order::Rpm, rpm::compare, &a, &b);
        }

        #[test]
        fn keys_are_ordered_like_semantic_versions(
            a in "v?[0-2]{1,2}(\\.[0-2]{1,2}){0,3}(-[0-2a-c.-]{0,6})?",
            b in "v?[0-2]{1,2}(\\.[0-2]{1,2}){0,3}(-[0-2a-c.-]{0,6})?",
        ) {
            agree(Order::Semver, semver::compare, &a, &b);
        }

        #[test]
        fn any_text_is_a_version_or_a_reason(text in "\\PC{0,20}") {
            for order in [Order::Dpkg, Order::Rpm, Order::Semver] {
                let _ = VersionKey::parse(order, &text);
            }
        }
    }

    #[test]
    fn numbers_of_any_length_have_a_key() {
        let long = |digit: &str, times: usize| digit.repeat(times);
        for (a, b) in [(239, 240), (240, 241), (10, 500)] {
            agree(Order::Dpkg, dpkg::compare, &long("9", a), &long("1", b));
            agree(Order::Rpm, rpm::compare, &long("9", a), &long("1", b));
        }
        assert_eq!(
            VersionKey::parse(Order::Dpkg, &long("1", LONGEST + 1)),
            Err(VersionError::TooLong)
        );
    }

    #[test]
    fn what_is_no_version_is_refused_with_the_reason() {
        for (order, text, why) in [
            (Order::Dpkg, " ", VersionError::Empty),
            (Order::Dpkg, "a:1", VersionError::Epoch),
            (Order::Dpkg, "1.0 2", VersionError::Character),
            (Order::Dpkg, "none", VersionError::NoNumber),
            (Order::Rpm, "a:1", VersionError::Epoch),
            (Order::Rpm, "-", VersionError::NoNumber),
            (Order::Semver, "latest", VersionError::Character),
        ] {
            assert_eq!(VersionKey::parse(order, text), Err(why), "{text}");
        }
    }

    #[test]
    fn white_space_behind_an_epoch_is_left_out() {
        let dirty = VersionKey::parse(Order::Rpm, "0: 1.20.10-1.azl3").expect("a version");
        let clean = VersionKey::parse(Order::Rpm, "1.20.10-1.azl3").expect("a version");
        assert_eq!(dirty, clean);
    }
}
