//! Where a kubelet serves its health: flag, configuration file, or its default of
//! 127.0.0.1:10248, as in the kubelet's own order.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::Deserialize;

use super::super::flag::flag;
use crate::host::{HostError, HostRoot};

/// Where the configuration lies when no flag names it: upstream's place, AKS's place.
const CONFIGURATIONS: [&str; 2] =
    ["/var/lib/kubelet/config.yaml", "/etc/default/kubeletconfig.json"];

const LIMIT_BYTES: u64 = 1024 * 1024;

/// What is of interest in a `KubeletConfiguration`.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Healthz {
    kind: String,
    healthz_bind_address: Option<String>,
    healthz_port: Option<i64>,
}

/// The address of the health endpoint; none when the kubelet is told not to serve it.
pub(super) fn healthz(
    root: &HostRoot,
    arguments: &[String],
) -> Result<Option<SocketAddr>, HostError> {
    let (path, configured) = configuration(root, flag(arguments, "config"))?;
    let (source, address) = match flag(arguments, "healthz-bind-address") {
        Some(address) => ("--healthz-bind-address", Some(address.to_owned())),
        None => (path, configured.healthz_bind_address),
    };
    let address = address.map_or(Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)), |address| {
        address.parse().map_err(|_| malformed(source, format!("{address:?} is not an address")))
    })?;
    let (source, port) = match flag(arguments, "healthz-port") {
        Some(port) => ("--healthz-port", port.to_owned()),
        None => (path, configured.healthz_port.unwrap_or(10248).to_string()),
    };
    let port: u16 =
        port.parse().map_err(|_| malformed(source, format!("{port:?} is not a port")))?;
    Ok((port != 0).then_some(SocketAddr::new(on_this_machine(address), port)))
}

/// An address for "all" is asked on loopback.
const fn on_this_machine(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(any) if any.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(any) if any.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        one => one,
    }
}

/// The configuration file that counts, with its path. None is needed.
fn configuration<'a>(
    root: &HostRoot,
    named: Option<&'a str>,
) -> Result<(&'a str, Healthz), HostError> {
    let candidates = named.as_ref().map_or(&CONFIGURATIONS[..], std::slice::from_ref);
    for &path in candidates {
        match root.read_text(path, LIMIT_BYTES) {
            Ok(text) => {
                return read(&text).map(|read| (path, read)).map_err(|why| malformed(path, why));
            }
            Err(HostError::Missing { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(("", Healthz::default()))
}

fn malformed(path: &str, why: String) -> HostError {
    HostError::Malformed { path: path.to_owned(), why }
}

/// A configuration in JSON or YAML. Of another kind the kubelet would take none.
fn read(text: &str) -> Result<Healthz, String> {
    let read = match text.trim_start().starts_with('{') {
        true => serde_json::from_str(text).map_err(|error| error.to_string())?,
        false => read_yaml(text)?,
    };
    match read.kind.as_str() {
        "KubeletConfiguration" => Ok(read),
        kind => Err(format!("its kind is {kind:?}, not \"KubeletConfiguration\"")),
    }
}

/// Plain values at the top level are all that is needed of YAML here.
fn read_yaml(text: &str) -> Result<Healthz, String> {
    let mut read = Healthz::default();
    for (number, line) in (1..).zip(text.lines()) {
        let Some((key, value)) = line.split_once(':') else { continue };
        let value = value.split(" #").next().unwrap_or_default().trim().trim_matches(['"', '\'']);
        match key {
            "kind" => value.clone_into(&mut read.kind),
            "healthzBindAddress" => read.healthz_bind_address = Some(value.to_owned()),
            "healthzPort" => {
                let port = value
                    .parse()
                    .map_err(|_| format!("line {number}: healthzPort {value:?} is not a number"))?;
                read.healthz_port = Some(port);
            }
            _ => {}
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(address: &str, port: i64) -> Healthz {
        Healthz {
            kind: "KubeletConfiguration".to_owned(),
            healthz_bind_address: Some(address.to_owned()),
            healthz_port: Some(port),
        }
    }

    #[test]
    fn json_of_any_indentation_is_read_at_its_top_level() {
        for indent in ["", "  ", "    ", "\t"] {
            let json = format!(
                "{{\n{indent}\"kind\": \"KubeletConfiguration\",\n{indent}\"healthzPort\": 1,\n{indent}\"healthzBindAddress\": \"::1\",\n\
                 {indent}\"a\": {{\n{indent}{indent}\"healthzPort\": 2\n{indent}}}\n}}"
            );
            assert_eq!(read(&json), Ok(of("::1", 1)), "{json}");
        }
    }

    #[test]
    fn yaml_is_read_at_its_top_level() {
        let yaml = "kind: KubeletConfiguration\nhealthzPort: 10999 # moved\n\
                    healthzBindAddress: \"0.0.0.0\"\nnested:\n  healthzPort: 1\n";
        assert_eq!(read(yaml), Ok(of("0.0.0.0", 10999)));
    }

    #[test]
    fn a_fault_names_its_line() {
        assert_eq!(
            read("a: b\nhealthzPort: x\n"),
            Err("line 2: healthzPort \"x\" is not a number".to_owned())
        );
        assert!(read("{\n  \"healthzPort\": ").is_err());
        assert_eq!(read("").expect_err("empty"), "its kind is \"\", not \"KubeletConfiguration\"");
    }
}
