//! Whether the system is attached to Ubuntu Pro, by the status that its client
//! (`ubuntu-pro-client`) keeps in `/var/lib/ubuntu-advantage`.

use nodeward_domain::facts::UbuntuPro;
use serde::Deserialize;

use crate::host::{HostError, HostRoot};

pub(super) const STATUS: &str = "/var/lib/ubuntu-advantage/status.json";

/// With some twenty services a real one is 20 KiB long.
const LIMIT_BYTES: u64 = 256 * 1024;

/// So many services may be enabled, and so long may a name be.
const SERVICES: usize = 64;
const NAME_LIMIT_BYTES: usize = 64;

/// What is kept of the file.
#[derive(Debug, Deserialize)]
struct Status {
    attached: bool,
    #[serde(default)]
    services: Vec<Service>,
}

/// A service. What is not attached has services without a status.
#[derive(Debug, Deserialize)]
struct Service {
    name: String,
    #[serde(default)]
    status: Option<String>,
}

/// What the file says. One that is not there is not one that could not be read.
pub(super) fn read(root: &HostRoot) -> UbuntuPro {
    match status(root) {
        Ok(pro) => pro,
        Err(HostError::Missing { .. }) => UbuntuPro::NotThere,
        Err(error) => UbuntuPro::Unreadable(format!("{STATUS}: {error}")),
    }
}

fn status(root: &HostRoot) -> Result<UbuntuPro, HostError> {
    let Status { attached, services } = root.read_json(STATUS, LIMIT_BYTES)?;
    let is_enabled = |service: &Service| service.status.as_deref() == Some("enabled");
    let mut enabled: Vec<String> =
        services.into_iter().filter(is_enabled).map(|service| service.name).collect();
    enabled.sort_unstable();
    enabled.dedup();
    if enabled.len() > SERVICES || !enabled.iter().all(|name| is_name(name)) {
        let why = "names services that are none of Ubuntu Pro".to_owned();
        return Err(HostError::Malformed { path: STATUS.to_owned(), why });
    }
    Ok(UbuntuPro::Read { attached, enabled })
}

/// Whether it has the form in which services are named: `esm-infra`, `ros-updates`.
fn is_name(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty() && name.len() <= NAME_LIMIT_BYTES && name.bytes().all(is_letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_of(status: Option<&str>) -> UbuntuPro {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join(STATUS.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        if let Some(text) = status {
            std::fs::write(path, text).expect("written");
        }
        read(&HostRoot::open(root.path()).expect("a directory"))
    }

    #[test]
    fn only_attachment_and_names_of_enabled_services_are_kept() {
        let status = r#"{"_schema_version": "0.1", "account": {"name": "somebody", "id": "a1"},
            "attached": true, "contract": {"tech_support_level": "n/a"}, "services": [
            {"name": "fips-updates", "status": "enabled", "entitled": "yes", "blocked_by": []},
            {"name": "livepatch", "status": "n/a", "entitled": "yes"},
            {"name": "esm-apps", "status": "disabled"},
            {"name": "esm-infra", "status": "enabled", "warning": null}]}"#;
        let enabled = ["esm-infra", "fips-updates"].map(str::to_owned).to_vec();
        assert_eq!(read_of(Some(status)), UbuntuPro::Read { attached: true, enabled });
    }

    #[test]
    fn one_that_is_not_attached_says_so_and_one_that_is_not_there_says_nothing() {
        let status =
            r#"{"attached": false, "services": [{"name": "esm-infra", "available": "yes"}]}"#;
        let detached = UbuntuPro::Read { attached: false, enabled: Vec::new() };
        assert_eq!(read_of(Some(status)), detached);
        assert_eq!(read_of(None), UbuntuPro::NotThere);
    }

    #[test]
    fn what_is_no_status_is_unknown_and_quotes_nothing() {
        let many: String = (0..=SERVICES)
            .map(|number| format!(r#"{{"name": "s{number}", "status": "enabled"}},"#))
            .collect();
        let many = format!(r#"{{"attached": true, "services": [{many}{{"name": "t"}}]}}"#);
        for status in [
            "",
            "{}",
            r#"{"attached": "somebody"}"#,
            r#"{"attached": true, "services": [{"name": "of somebody", "status": "enabled"}]}"#,
            r#"{"attached": true, "services": [{"status": "enabled"}]}"#,
            many.as_str(),
        ] {
            let UbuntuPro::Unreadable(why) = read_of(Some(status)) else { panic!("{status}") };
            assert!(why.starts_with(STATUS) && !why.contains("somebody"), "{why}");
        }
    }
}
