//! Versions of Kubernetes components: `v1.34.9`, with whatever a builder writes behind
//! them (`v1.30.101-akslts`, `1.34.9-ubuntu22.04u1`).

/// A version of a Kubernetes component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KubernetesVersion {
    /// Always 1 so far.
    pub major: u32,
    /// Each is supported for about a year.
    pub minor: u32,
    /// Of upstream below 100.
    pub patch: u32,
}

impl KubernetesVersion {
    /// Reads a version; none when it is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let number = text.split(['-', '+', '~']).next()?;
        let mut parts = number.split('.').map(|part| {
            part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok()).flatten()
        });
        let version = Self { major: parts.next()??, minor: parts.next()??, patch: parts.next()?? };
        parts.next().is_none().then_some(version)
    }

    /// Whether AKS has patched it beyond upstream's support, which it tells by patches
    /// from 100 on.
    #[must_use]
    pub const fn is_long_term(self) -> bool {
        self.patch >= 100
    }
}

impl std::fmt::Display for KubernetesVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_three_numbers_whatever_stands_behind() {
        for (text, expected) in [
            ("v1.34.9", Some((1, 34, 9))),
            ("1.34.9-ubuntu22.04u1", Some((1, 34, 9))),
            ("v1.30.101-akslts", Some((1, 30, 101))),
            ("v1.29.3+k3s1", Some((1, 29, 3))),
            ("1.6.20~ds1", Some((1, 6, 20))),
            ("v1.34", None),
            ("1.2.3.4", None),
            ("v1.+2.3", None),
            ("v1.34.x", None),
            ("", None),
        ] {
            let parsed = KubernetesVersion::parse(text);
            assert_eq!(parsed.map(|v| (v.major, v.minor, v.patch)), expected, "{text:?}");
        }
        assert!(KubernetesVersion::parse("1.30.101").is_some_and(KubernetesVersion::is_long_term));
    }
}
