//! How far a connection got, to and from the wire.

use nodeward_domain::facts as domain;

use crate::convert::{Invalid, required, text};
use crate::v1;
use crate::v1::reach::{NoSuchName, Reach as Wire, Reached, Refused};

impl From<&domain::Reach> for v1::Reach {
    fn from(reach: &domain::Reach) -> Self {
        use domain::Reach;
        let reach = match reach.clone() {
            Reach::Reached => Wire::Reached(Reached {}),
            Reach::NoSuchName => Wire::NoSuchName(NoSuchName {}),
            Reach::NotResolved { why } => Wire::NotResolved(why),
            Reach::Refused => Wire::Refused(Refused {}),
            Reach::NoRoute { why } => Wire::NoRoute(why),
            Reach::TimedOut { after_milliseconds } => Wire::TimedOut(after_milliseconds),
            Reach::NoHandshake { after_milliseconds } => Wire::NoHandshake(after_milliseconds),
            Reach::CutOff { why } => Wire::CutOff(why),
            Reach::NotTls { why } => Wire::NotTls(why),
            Reach::NotProbed { why } => Wire::NotProbed(why),
        };
        Self { reach: Some(reach) }
    }
}

impl TryFrom<v1::Reach> for domain::Reach {
    type Error = Invalid;

    fn try_from(reach: v1::Reach) -> Result<Self, Invalid> {
        Ok(match required("reach", reach.reach)? {
            Wire::Reached(_) => Self::Reached,
            Wire::NoSuchName(_) => Self::NoSuchName,
            Wire::NotResolved(why) => Self::NotResolved { why: text(why) },
            Wire::Refused(_) => Self::Refused,
            Wire::NoRoute(why) => Self::NoRoute { why: text(why) },
            Wire::TimedOut(after_milliseconds) => Self::TimedOut { after_milliseconds },
            Wire::NoHandshake(after_milliseconds) => Self::NoHandshake { after_milliseconds },
            Wire::CutOff(why) => Self::CutOff { why: text(why) },
            Wire::NotTls(why) => Self::NotTls { why: text(why) },
            Wire::NotProbed(why) => Self::NotProbed { why: text(why) },
        })
    }
}
