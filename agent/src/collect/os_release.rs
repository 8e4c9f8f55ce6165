//! Collects `os_release`: os-release(5), the architecture, whether the marks of AKS's image
//! builder lie on disk, and whether the system is attached to Ubuntu Pro.

mod ubuntu_pro;

use std::sync::Arc;

use nodeward_domain::facts::{ComponentState, Fips, ImageName, OsRelease, UbuntuPro};
use nodeward_domain::observed::State;

use super::{Collected, state};
use crate::host::{Host, HostError, HostRoot};
use crate::reads::Read;

/// The two places of os-release(5), the first that exists counts.
const PATHS: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];

/// Paths that only AKS's image builder and provisioning write.
const PROVIDER_MARKS: [&str; 3] = [
    "/opt/azure/containers/image-bom.json",
    "/opt/azure/containers/provision.complete",
    "/opt/azure/vhd-install.complete",
];

const LIMIT_BYTES: u64 = 64 * 1024;

const FIPS: &str = "/proc/sys/crypto/fips_enabled";

/// What is read.
pub(super) const READS: &[Read] = &[
    Read::of(
        &["/etc/os-release"],
        "ID, VERSION_ID, VERSION_CODENAME, PRETTY_NAME and VARIANT_ID, os-release(5), with its \
         defaults of those that are not set.",
    ),
    Read::of(&["/usr/lib/os-release"], "The same, where the first is not there."),
    Read::of(
        &["/proc/sys/kernel/arch"],
        "The architecture. Not there before Linux 6.1: then it is the agent's own.",
    ),
    Read::of(
        &["/proc/sys/crypto/fips_enabled"],
        "Whether the kernel restricts itself to FIPS 140. Not there: it cannot.",
    ),
    Read::of(
        &PROVIDER_MARKS,
        "Whether it is there: a mark of AKS's image builder or provisioning.",
    ),
    Read::of(
        &[ubuntu_pro::STATUS],
        "Whether the system is attached to Ubuntu Pro, and names of services that are enabled, \
         byte by byte: of the rest, such as the account, nothing is kept. Not there: it has no \
         client of Ubuntu Pro, or one that never wrote.",
    ),
];

pub(super) fn collect(host: &Host) -> Collected {
    ComponentState::OsRelease(state(read(host))).into()
}

fn read(host: &Host) -> Result<State<OsRelease>, HostError> {
    let (path, text) = found(&host.root)?;
    let mut os = parse(path, &text)?;
    os.architecture = architecture(host)?;
    os.provider_marks = host.root.existing(&PROVIDER_MARKS)?;
    os.fips = fips(host);
    os.ubuntu_pro = ubuntu_pro::read(&host.root);
    Ok(State::Present(Arc::new(os)))
}

/// Where os-release(5) lies, and its text.
fn found(root: &HostRoot) -> Result<(&'static str, String), HostError> {
    for path in PATHS {
        match root.read_text(path, LIMIT_BYTES) {
            Err(HostError::Missing { .. }) => {}
            text => return Ok((path, text?)),
        }
    }
    // Every distribution of today has one: a root without is not a root we can read.
    Err(HostError::Missing { path: PATHS.join(" and ") })
}

/// What its last line of that name says, as to a shell.
fn value(text: &str, key: &str) -> Option<String> {
    let mut values = text.lines().filter_map(|line| line.trim().split_once('='));
    values.rfind(|(found, _)| *found == key).and_then(|(_, value)| unquote(value))
}

/// `/proc/sys/kernel/arch` exists since Linux 6.1; before, the agent's own tells, if
/// the host is the machine that it runs on.
fn architecture(host: &Host) -> Result<String, HostError> {
    match host.root.read_text("/proc/sys/kernel/arch", 4096) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(HostError::Missing { .. }) if host.probes.is_live() => {
            Ok(std::env::consts::ARCH.to_owned())
        }
        Err(HostError::Missing { .. }) => Ok(String::new()),
        Err(error) => Err(error),
    }
}

/// Whether the kernel restricts itself to FIPS 140.
fn fips(host: &Host) -> Fips {
    match host.root.read_text(FIPS, 4096) {
        Ok(text) => match text.trim() {
            "0" => Fips::Off,
            "1" => Fips::On,
            other => Fips::Unreadable(format!("{FIPS}: {other:?} is neither 0 nor 1")),
        },
        Err(HostError::Missing { .. }) => Fips::NotSupported,
        Err(error) => Fips::Unreadable(format!("{FIPS}: {error}")),
    }
}

/// What os-release(5) says of the image that a system was made from, where it says so.
pub(super) fn image(root: &HostRoot) -> Result<Option<ImageName>, HostError> {
    let (path, text) = match found(root) {
        Err(HostError::Missing { .. }) => return Ok(None),
        found => found?,
    };
    let version = value(&text, "IMAGE_VERSION").filter(|version| !version.is_empty());
    let sku = || value(&text, "IMAGE_ID").unwrap_or_default();
    Ok(version.map(|version| ImageName { path: path.to_owned(), sku: sku(), version }))
}

/// The distribution and those that it is like, as words of os-release(5).
pub(super) fn families(root: &HostRoot) -> Result<Vec<String>, HostError> {
    let (_, text) = found(root)?;
    let words = ["ID", "ID_LIKE"].map(|key| value(&text, key).unwrap_or_default());
    Ok(words.iter().flat_map(|words| words.split_whitespace()).map(str::to_owned).collect())
}

fn parse(path: &str, text: &str) -> Result<OsRelease, HostError> {
    let malformed = |why: String| HostError::Malformed { path: path.to_owned(), why };
    let mut os = OsRelease {
        path: path.to_owned(),
        id: String::new(),
        version_id: String::new(),
        version_codename: String::new(),
        pretty_name: String::new(),
        variant_id: String::new(),
        architecture: String::new(),
        provider_marks: Vec::new(),
        fips: Fips::NotSupported,
        ubuntu_pro: UbuntuPro::NotThere,
    };
    let mut is_empty = true;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            return Err(malformed(format!("line {}: no `=`", index + 1)));
        };
        is_empty = false;
        let field = match key {
            "ID" => &mut os.id,
            "VERSION_ID" => &mut os.version_id,
            "VERSION_CODENAME" => &mut os.version_codename,
            "PRETTY_NAME" => &mut os.pretty_name,
            "VARIANT_ID" => &mut os.variant_id,
            _ => continue,
        };
        *field = unquote(value)
            .ok_or_else(|| malformed(format!("line {}: quote does not end", index + 1)))?;
    }
    // What os-release(5) says of fields that are not set would hold of such a file too; one
    // that was emptied is likelier.
    if is_empty {
        return Err(malformed("has no line".to_owned()));
    }
    for (field, default) in [(&mut os.id, "linux"), (&mut os.pretty_name, "Linux")] {
        if field.is_empty() {
            default.clone_into(field);
        }
    }
    Ok(os)
}

/// A value as the shell would read it. None when a quote does not end.
fn unquote(value: &str) -> Option<String> {
    let quote = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => quote,
        _ => return Some(value.to_owned()),
    };
    let mut plain = String::new();
    let mut letters = value[1..].chars();
    loop {
        match letters.next()? {
            letter if letter == quote => return Some(plain),
            '\\' if quote == '"' => plain.push(letters.next()?),
            letter => plain.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_the_shell_does() {
        for (value, plain) in [
            ("debian", Some("debian")),
            ("\"22.04\"", Some("22.04")),
            ("'x y'", Some("x y")),
            (r#""a \"b\" \$c""#, Some(r#"a "b" $c"#)),
            ("\"half", None),
            ("", Some("")),
        ] {
            assert_eq!(unquote(value).as_deref(), plain, "{value}");
        }
    }

    #[test]
    fn a_fault_names_its_line() {
        let error = parse("/etc/os-release", "ID=debian\nPRETTY_NAME=\"Deb").expect_err("cut");
        assert_eq!(error.to_string(), "line 2: quote does not end");
        for empty in ["", "# ID=debian\n\n"] {
            assert_eq!(parse("/x", empty).expect_err("empty").to_string(), "has no line");
        }
    }

    #[test]
    fn fields_that_are_not_set_have_their_defaults_and_the_last_of_two_counts() {
        let os = parse("/x", "VERSION_ID=1\nPRETTY_NAME=\n").expect("an os-release");
        assert_eq!((os.id.as_str(), os.pretty_name.as_str()), ("linux", "Linux"));
        assert_eq!((os.version_id.as_str(), os.variant_id.as_str()), ("1", ""));
        let text = "ID=debian\nID=ubuntu\nIMAGE_VERSION=1\nIMAGE_VERSION='2'\n";
        assert_eq!(parse("/x", text).expect("an os-release").id, "ubuntu");
        assert_eq!(value(text, "IMAGE_VERSION").as_deref(), Some("2"));
    }
}
