//! Where a kubelet serves its health, by its settings.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use nodeward_domain::facts::kubelet::{Configuration, FileState};

/// The address of the health endpoint; else why nobody is asked there.
pub(super) fn healthz(configuration: &Configuration) -> Result<SocketAddr, String> {
    address(of(configuration, "healthzBindAddress")?, of(configuration, "healthzPort")?)?
        .ok_or_else(|| "the kubelet is configured without a health endpoint".to_owned())
}

/// The address of the secure port; else why nobody is asked there.
pub(super) fn secure(configuration: &Configuration) -> Result<SocketAddr, String> {
    address(of(configuration, "address")?, of(configuration, "port")?)?
        .filter(|_| of(configuration, "enableServer") == Ok("true"))
        .ok_or_else(|| "the kubelet is configured without a server".to_owned())
}

fn of<'a>(configuration: &'a Configuration, key: &str) -> Result<&'a str, String> {
    configuration.setting(key).map(|setting| setting.value.as_str()).ok_or_else(|| {
        let unusable = configuration.files.iter().find(|file| file.state != FileState::Good);
        let path = unusable.map_or("its configuration", |file| file.path.as_str());
        format!("where it is served is not known without {path}")
    })
}

/// An address of this machine; none for the port 0, which stands for not serving.
pub(super) fn address(address: &str, port: &str) -> Result<Option<SocketAddr>, String> {
    let address: IpAddr = address.parse().map_err(|_| format!("{address:?} is not an address"))?;
    let port: u16 = port.parse().map_err(|_| format!("{port:?} is not a port"))?;
    Ok((port != 0).then(|| SocketAddr::new(on_this_machine(address), port)))
}

/// An address for "all" is asked on loopback.
const fn on_this_machine(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(any) if any.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(any) if any.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        one => one,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_asked_on_this_machine() {
        let at = |text: &str| Ok(text.parse().ok());
        assert_eq!(address("127.0.0.1", "10248"), at("127.0.0.1:10248"));
        assert_eq!(address("0.0.0.0", "1"), at("127.0.0.1:1"));
        assert_eq!(address("::", "1"), at("[::1]:1"));
        assert_eq!(address("10.224.0.4", "10250"), at("10.224.0.4:10250"));
        assert_eq!(address("127.0.0.1", "0"), Ok(None));
        assert!(address("localhost", "1").is_err() && address("127.0.0.1", "-1").is_err());
    }
}
