//! Package URLs, as far as Ubuntu's VEX documents need them. Some are malformed (two
//! question marks, values that are not encoded), so they are taken apart leniently and
//! never used as keys. Source: the purl specification.

use std::borrow::Cow;

/// A package URL of dpkg's kind, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DebPurl<'a> {
    /// The distribution, such as `ubuntu`.
    pub(crate) vendor: Cow<'a, str>,
    /// The package.
    pub(crate) name: Cow<'a, str>,
    /// `arch`; `source` for source packages.
    pub(crate) architecture: Option<Cow<'a, str>>,
    /// `distro`, such as `jammy` or `esm-infra/focal`.
    pub(crate) release: Option<Cow<'a, str>>,
}

impl<'a> DebPurl<'a> {
    pub(crate) fn read(text: &'a str) -> Option<Self> {
        let rest = text.trim().strip_prefix("pkg:deb/")?;
        let (path, qualifiers) = rest.split_once('?').unwrap_or((rest, ""));
        let path = path.split_once('@').map_or(path, |(name, _)| name);
        let (vendor, name) = path.split_once('/')?;
        let mut purl = Self {
            vendor: decoded(vendor),
            name: decoded(name),
            architecture: None,
            release: None,
        };
        for pair in qualifiers.split(['&', '?']) {
            match pair.split_once('=') {
                Some(("arch", value)) => purl.architecture = Some(decoded(value)),
                Some(("distro", value)) => purl.release = Some(decoded(value)),
                _ => {}
            }
        }
        (!purl.name.is_empty()).then_some(purl)
    }

    /// Whether it names a source package.
    pub(crate) fn is_source(&self) -> bool {
        matches!(self.architecture.as_deref(), Some("source" | "src"))
    }
}

/// A text without percent-encoding. What is none stays as it is.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let code = (*first == b'%')
            .then(|| behind.get(..2))
            .flatten()
            .and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        match code {
            Some(code) => {
                bytes.push(code);
                rest = behind.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_urls_are_read_as_they_are_meant() {
        for (text, name, is_source, release) in [
            (
                "pkg:deb/ubuntu/openssh@1:8.9p1-3?arch=source&distro=jammy",
                "openssh",
                true,
                Some("jammy"),
            ),
            ("pkg:deb/ubuntu/openssh?arch=src?distro=jammy", "openssh", true, Some("jammy")),
            (
                "pkg:deb/ubuntu/eglibc@2.19?arch=source&distro=esm-infra%2Ftrusty",
                "eglibc",
                true,
                Some("esm-infra/trusty"),
            ),
            ("pkg:deb/ubuntu/libstdc%2B%2B6@1?arch=amd64", "libstdc++6", false, None),
            ("pkg:deb/ubuntu/odd%2", "odd%2", false, None),
        ] {
            let purl = DebPurl::read(text).expect("a package URL");
            assert_eq!(
                (&*purl.name, purl.is_source(), purl.release.as_deref()),
                (name, is_source, release),
                "{text}"
            );
        }
        for text in ["", "pkg:rpm/azurelinux/openssh", "pkg:deb/ubuntu", "pkg:deb/ubuntu/@1"] {
            assert_eq!(DebPurl::read(text), None, "{text}");
        }
    }
}
