//! Connections of a process's own network, from `/proc/PID/net/tcp`, proc_pid_net(5).

use nix::errno::Errno;

use crate::host::{Host, HostError, namespace};

/// A table of ten thousands of connections, and one of its lines.
const LIMITS: (u64, u64) = (8 * 1024 * 1024, 512);

/// States of a connection, `include/net/tcp_states.h`.
const ESTABLISHED: &str = "01";
const LISTEN: &str = "0A";

/// What was seen of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// So many stand to the server's port.
    pub(super) standing: u64,
    /// Somebody listens on the health port.
    pub(super) listens: bool,
}

/// What stands to a server's port, and who listens; or why the table does not tell.
pub(super) fn read(
    host: &Host,
    pid: u32,
    server_port: u16,
    health_port: u16,
) -> Result<Result<Seen, String>, HostError> {
    // In the node's network the kubelet too has connections to that port.
    let own = host.root.read_link(&format!("/proc/{pid}/ns/net"));
    match (own, namespace(&host.root, "net")) {
        (Ok(own), Some(node)) if own != node => {}
        (Ok(_), Some(_)) => {
            return Ok(Err("it shares the node's network, where others connect too".to_owned()));
        }
        (Err(error), _) => return Ok(Err(format!("whose network it has: {error}"))),
        (_, None) => return Ok(Err("which network is the node's is not known".to_owned())),
    }
    let mut seen = Seen::default();
    for family in ["tcp", "tcp6"] {
        let path = format!("/proc/{pid}/net/{family}");
        let mut is_head = true;
        let read = host.root.each_line(&path, LIMITS, |line| {
            if !std::mem::take(&mut is_head) {
                take(&mut seen, line, server_port, health_port)?;
            }
            Ok(())
        });
        match read {
            // IPv6 is switched off.
            Err(HostError::Missing { .. }) if family == "tcp6" => {}
            Err(HostError::Missing { .. } | HostError::System { errno: Errno::ESRCH, .. }) => {
                return Ok(Err("it ended while it was looked at".to_owned()));
            }
            read => read?,
        }
        // A table always has its heading.
        if is_head && family == "tcp" {
            return Err(HostError::Malformed { path, why: "is empty".to_owned() });
        }
    }
    Ok(Ok(seen))
}

fn take(seen: &mut Seen, line: &str, server_port: u16, health_port: u16) -> Result<(), String> {
    let port = |address: &str| {
        let (_, port) = address.rsplit_once(':')?;
        u16::from_str_radix(port, 16).ok()
    };
    let mut columns = line.split_ascii_whitespace().skip(1);
    let ends = [columns.next().and_then(port), columns.next().and_then(port)];
    let ([Some(local), Some(remote)], Some(state)) = (ends, columns.next()) else {
        return Err("is no line of a table of connections".to_owned());
    };
    seen.standing += u64::from(state == ESTABLISHED && remote == server_port);
    seen.listens |= state == LISTEN && local == health_port;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_ends_and_state() {
        let mut seen = Seen::default();
        for line in [
            "   0: 0500F40A:B1C2 0A0200C0:01BB 01 00000000:00000000 00:00000000 00000000 65532 0",
            "   1: 0500F40A:B1C4 0A0200C0:01BB 02 00000000:00000000 01:00000000 00000000 65532 0",
            "   2: 0500F40A:B1C6 0A0200C0:20FB 01 00000000:00000000 00:00000000 00000000 65532 0",
            "   3: 00000000:1F9D 00000000:0000 0A 00000000:00000000 00:00000000 00000000 65532 0",
        ] {
            take(&mut seen, line, 443, 8093).expect(line);
        }
        assert_eq!(seen, Seen { standing: 1, listens: true });
        for wrong in ["", "0: a b c", "0: 0500F40A:B1C2"] {
            assert!(take(&mut seen, wrong, 443, 8093).is_err(), "{wrong:?}");
        }
    }
}
