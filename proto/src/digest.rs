//! The digest that names a content: SHA-256 over component name, form version and
//! exactly the bytes that travel, never over a re-encoding.

use sha2::{Digest as _, Sha256};

/// The name of one content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of a content. Every part is preceded by its length, so that no two
    /// different triples run together to the same input.
    #[must_use]
    pub fn of(component: &str, form: u32, content: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update((component.len() as u64).to_be_bytes());
        hash.update(component.as_bytes());
        hash.update(form.to_be_bytes());
        hash.update((content.len() as u64).to_be_bytes());
        hash.update(content);
        Self(hash.finalize().into())
    }

    /// The digest with these bytes; none unless there are 32.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Digest({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_counts_and_parts_do_not_run_together() {
        let digest = Digest::of("kernel", 1, b"abc");
        assert_ne!(digest, Digest::of("kerne", 1, b"labc"));
        assert_ne!(digest, Digest::of("kernel", 2, b"abc"));
        assert_ne!(digest, Digest::of("kernel", 1, b"abd"));
    }

    #[test]
    fn a_digest_is_known_for_good() {
        assert_eq!(
            Digest::of("kernel", 1, b"abc").to_string(),
            "ca22ac80c9be9f98dceef22ff249764302388242b817cb22c3ca25b8e1320101"
        );
    }

    #[test]
    fn other_lengths_are_no_digest() {
        assert_eq!(Digest::from_bytes(&[0; 31]), None);
        assert_eq!(Digest::from_bytes(&[0; 33]), None);
        assert!(Digest::from_bytes(&[0; 32]).is_some());
    }
}
