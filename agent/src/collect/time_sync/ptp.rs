//! Hardware clocks of the Precision Time Protocol, below `/sys/class/ptp`, and which of
//! them a device is. A machine without any has none of these folders.

use nodeward_domain::facts::{PhcDevice, PhcTarget, PtpClock};

use crate::host::{HostError, HostRoot};

const FOLDER: &str = "/sys/class/ptp";

/// The clocks, by name.
pub(super) fn clocks(root: &HostRoot) -> Result<Vec<PtpClock>, HostError> {
    let names = match root.list(FOLDER) {
        Err(HostError::Missing { .. }) => return Ok(Vec::new()),
        names => names?,
    };
    let mut clocks = Vec::new();
    for name in names {
        match root.read_text(&format!("{FOLDER}/{name}/clock_name"), 4096) {
            Ok(text) => clocks.push(PtpClock { name, clock_name: text.trim().to_owned() }),
            // It was taken away while we looked.
            Err(HostError::Missing { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(clocks)
}

/// The clock behind a device. udev names some by a link, such as `/dev/ptp_hyperv`.
pub(super) fn device(root: &HostRoot, path: &str, clocks: &[PtpClock]) -> PhcDevice {
    let named = root.link(path).map(|target| target.unwrap_or_else(|| path.to_owned()));
    let target = match (named, root.exists(path)) {
        (Err(HostError::Missing { .. }), _) | (_, Ok(false)) => PhcTarget::Missing,
        (Err(error), _) | (_, Err(error)) => PhcTarget::Unread(error.to_string()),
        (Ok(named), Ok(true)) => {
            let name = named.rsplit('/').next().unwrap_or_default();
            match clocks.iter().any(|clock| clock.name == name) {
                true => PhcTarget::Clock(name.to_owned()),
                false => PhcTarget::Unread(format!("{named} is no clock below {FOLDER}")),
            }
        }
    };
    PhcDevice { path: path.to_owned(), target }
}
