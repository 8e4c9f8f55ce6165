//! Where chronyd answers: `cmdport` and `bindcmdaddress` of chrony.conf(5). It answers
//! requests from loopback alone unless it is told otherwise, so that only loopback is asked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Where chronyd answers, unless its configuration says otherwise.
const PORT: u16 = 323;

/// Where chronyd can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// There.
    At(SocketAddr),
    /// Nowhere on loopback, for this reason.
    Nowhere(String),
}

/// What the directives say so far.
#[derive(Debug)]
pub(super) struct Bound {
    port: Option<u16>,
    v4: Ipv4Addr,
    v6: Ipv6Addr,
}

impl Default for Bound {
    fn default() -> Self {
        Self { port: Some(PORT), v4: Ipv4Addr::LOCALHOST, v6: Ipv6Addr::LOCALHOST }
    }
}

impl Bound {
    /// `cmdport`: zero closes it. chronyd does not start with one that is no number.
    pub(super) fn port(&mut self, value: &str) {
        if let Ok(port) = value.parse() {
            self.port = (port != 0).then_some(port);
        }
    }

    /// `bindcmdaddress`: an address of either family, or the path of a Unix socket.
    pub(super) fn address(&mut self, value: &str) {
        match value.parse() {
            Ok(IpAddr::V4(address)) => self.v4 = address,
            Ok(IpAddr::V6(address)) => self.v6 = address,
            Err(_) => {}
        }
    }

    /// The address on loopback at which the daemon can be asked.
    pub(super) fn endpoint(&self) -> Endpoint {
        let Some(port) = self.port else {
            return Endpoint::Nowhere("cmdport 0 closes chrony's command port".to_owned());
        };
        let (v4, v6) = (self.v4, self.v6);
        let address: IpAddr = if v4.is_unspecified() {
            Ipv4Addr::LOCALHOST.into()
        } else if v4.is_loopback() {
            v4.into()
        } else if v6.is_unspecified() || v6.is_loopback() {
            Ipv6Addr::LOCALHOST.into()
        } else {
            let why = format!("chrony's command port is at {v4} and {v6}, not on loopback");
            return Endpoint::Nowhere(why);
        };
        Endpoint::At((address, port).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(directives: &[(&str, &str)]) -> String {
        let mut bound = Bound::default();
        for (directive, value) in directives {
            match *directive {
                "cmdport" => bound.port(value),
                _ => bound.address(value),
            }
        }
        match bound.endpoint() {
            Endpoint::At(address) => address.to_string(),
            Endpoint::Nowhere(why) => why,
        }
    }

    #[test]
    fn it_is_asked_on_loopback_or_not_at_all() {
        for (directives, expected) in [
            (&[][..], "127.0.0.1:323"),
            (&[("cmdport", "1323")], "127.0.0.1:1323"),
            (&[("bindcmdaddress", "/run/c.sock")], "127.0.0.1:323"),
            (&[("bindcmdaddress", "0.0.0.0")], "127.0.0.1:323"),
            (&[("bindcmdaddress", "127.0.0.9")], "127.0.0.9:323"),
            (&[("bindcmdaddress", "192.0.2.1")], "[::1]:323"),
            (
                &[("bindcmdaddress", "192.0.2.1"), ("bindcmdaddress", "2001:db8::1")],
                "chrony's command port is at 192.0.2.1 and 2001:db8::1, not on loopback",
            ),
            (&[("cmdport", "0")], "cmdport 0 closes chrony's command port"),
        ] {
            assert_eq!(endpoint(directives), expected, "{directives:?}");
        }
    }
}
