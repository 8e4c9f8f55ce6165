//! Who must act, and what that is, to and from the wire.

use nodeward_domain::responsibility::{Action, Automation, Responsible};

use super::optional_timestamp;
use crate::convert::{Invalid, required, timestamp_in, timestamp_out};
use crate::v1;

impl From<&Responsible> for v1::Responsible {
    fn from(responsible: &Responsible) -> Self {
        use v1::responsible::{Customer, Provider, Vendor, Who};
        let who = match responsible {
            Responsible::Customer => Who::Customer(Customer {}),
            Responsible::Provider => Who::Provider(Provider {}),
            Responsible::Automation { by: Automation::AutoRepair } => {
                Who::Automation("auto_repair".to_owned())
            }
            Responsible::Automation { by: Automation::Kured } => {
                Who::Automation("kured".to_owned())
            }
            Responsible::Automation { by: Automation::NodeOsChannel } => {
                Who::Automation("node_os_channel".to_owned())
            }
            Responsible::Automation { by: Automation::NodeAutoProvisioning } => {
                Who::Automation("node_auto_provisioning".to_owned())
            }
            Responsible::Vendor => Who::Vendor(Vendor {}),
            Responsible::NobodyYet { until } => Who::NobodyUntil(timestamp_out(*until)),
            Responsible::Unknown { missing } => Who::Unknown(missing.clone()),
        };
        Self { who: Some(who) }
    }
}

impl TryFrom<v1::Responsible> for Responsible {
    type Error = Invalid;

    fn try_from(responsible: v1::Responsible) -> Result<Self, Invalid> {
        use v1::responsible::Who;
        Ok(match required("responsible.who", responsible.who)? {
            Who::Customer(_) => Self::Customer,
            Who::Provider(_) => Self::Provider,
            Who::Automation(by) if by == "auto_repair" => {
                Self::Automation { by: Automation::AutoRepair }
            }
            Who::Automation(by) if by == "kured" => Self::Automation { by: Automation::Kured },
            Who::Automation(by) if by == "node_os_channel" => {
                Self::Automation { by: Automation::NodeOsChannel }
            }
            Who::Automation(by) if by == "node_auto_provisioning" => {
                Self::Automation { by: Automation::NodeAutoProvisioning }
            }
            Who::Automation(by) => {
                return Err(Invalid::new(
                    "responsible.automation",
                    format!("{by:?} is not known here"),
                ));
            }
            Who::Vendor(_) => Self::Vendor,
            Who::NobodyUntil(until) => {
                Self::NobodyYet { until: timestamp_in("responsible.nobody_until", Some(until))? }
            }
            Who::Unknown(missing) => Self::Unknown { missing },
        })
    }
}

impl From<&Action> for v1::Action {
    fn from(action: &Action) -> Self {
        use v1::action::{
            Action as Wire, HandIn, MigrateOsSku, Reboot, Reimage, Ticket, UpdatePackage,
            UpgradeImage, Wait,
        };
        let action = match action.clone() {
            Action::Wait { until } => Wire::Wait(Wait { until: until.map(timestamp_out) }),
            Action::Ticket => Wire::Ticket(Ticket {}),
            Action::Reboot => Wire::Reboot(Reboot {}),
            Action::MigrateOsSku => Wire::MigrateOsSku(MigrateOsSku {}),
            Action::Reimage => Wire::Reimage(Reimage {}),
            Action::RestartUnit { unit } => Wire::RestartUnit(unit),
            Action::Revert { change } => Wire::Revert(change),
            Action::Repair { what } => Wire::Repair(what),
            Action::Investigate { at } => Wire::Investigate(at),
            Action::HandIn => Wire::HandIn(HandIn {}),
            Action::UpdatePackage { package, to } => {
                Wire::UpdatePackage(UpdatePackage { package, to })
            }
            Action::UpgradeImage { to } => Wire::UpgradeImage(UpgradeImage { to }),
        };
        Self { action: Some(action) }
    }
}

impl TryFrom<v1::Action> for Action {
    type Error = Invalid;

    fn try_from(action: v1::Action) -> Result<Self, Invalid> {
        use v1::action::Action as Wire;
        Ok(match required("action.action", action.action)? {
            Wire::Wait(wait) => {
                Self::Wait { until: optional_timestamp("action.wait.until", wait.until)? }
            }
            Wire::Ticket(_) => Self::Ticket,
            Wire::Reboot(_) => Self::Reboot,
            Wire::MigrateOsSku(_) => Self::MigrateOsSku,
            Wire::Reimage(_) => Self::Reimage,
            Wire::RestartUnit(unit) => Self::RestartUnit { unit },
            Wire::Revert(change) => Self::Revert { change },
            Wire::Repair(what) => Self::Repair { what },
            Wire::Investigate(at) => Self::Investigate { at },
            Wire::HandIn(_) => Self::HandIn,
            Wire::UpdatePackage(wire) => Self::UpdatePackage { package: wire.package, to: wire.to },
            Wire::UpgradeImage(wire) => Self::UpgradeImage { to: wire.to },
        })
    }
}
