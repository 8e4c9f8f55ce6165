//! Namespaces of the agent and of the host, namespaces(7): what the kernel shows of some
//! of them, and who answers on loopback, is the reader's own and not the machine's.

use std::path::Path;

use super::Host;

impl Host {
    /// Why what the agent sees of a namespace is not, or may not be, the host's; none when
    /// it is. `link` is the name below `/proc/PID/ns`.
    #[must_use]
    pub fn foreign_namespace(&self, link: &str) -> Option<String> {
        if !self.probes.is_live() || self.root.path() == Path::new("/") {
            return None;
        }
        let own = std::fs::read_link(format!("/proc/self/ns/{link}")).ok()?;
        // Process 1 may be closed even to root; kernel threads are in the host's namespaces.
        let theirs = ["1", "2"]
            .into_iter()
            .find_map(|pid| self.root.read_link(&format!("/proc/{pid}/ns/{link}")).ok());
        match theirs {
            Some(theirs) if own.as_os_str() == theirs.as_str() => None,
            Some(_) => Some(format!("the agent is not in the host's {link} namespace")),
            None => {
                Some(format!("whether the agent is in the host's {link} namespace is not known"))
            }
        }
    }
}
