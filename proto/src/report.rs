//! The envelope of a report, validated. A fault here refuses the whole report and
//! names the field; a fault inside a content is that component's alone.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use nodeward_domain::measured::Measurements;
use nodeward_domain::with_measurements;

use crate::convert::{
    duration_in, duration_out, name, required, text, timestamp_in, timestamp_out,
};
use crate::digest::Digest;
use crate::{CONTENT_LIMIT_BYTES, v1};

pub use crate::convert::Invalid;

/// More components than this are no report of ours.
const COMPONENTS: usize = 128;

/// A valid report.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Boot id of the kernel that the agent runs on.
    pub boot_id: String,
    /// CLOCK_BOOTTIME in milliseconds at the start of the round.
    pub seq: u64,
    /// The node's clock when it sent the report.
    pub sent_at: Timestamp,
    /// Values that move without a change of state.
    pub measurements: Measurements,
    /// The components, in the order in which they were reported.
    pub components: Vec<Reported>,
    /// Version of the agent.
    pub agent_version: String,
    /// How the agent resolves paths below the host root.
    pub path_resolution: String,
}

/// One component of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// The component's name.
    pub component: String,
    /// Version of the form of its content.
    pub form: u32,
    /// The name of its content.
    pub digest: Digest,
    /// The content itself, when it came along. Its digest has been verified.
    pub content: Option<Vec<u8>>,
    /// When the collector finished, by the node's clock.
    pub observed_at: Timestamp,
    /// How long the collector took.
    pub took: Duration,
}

impl TryFrom<v1::ReportRequest> for Report {
    type Error = Invalid;

    fn try_from(report: v1::ReportRequest) -> Result<Self, Invalid> {
        if report.components.len() > COMPONENTS {
            return Err(Invalid::new(
                "components",
                format!(
                    "has {} entries, at most {COMPONENTS} are accepted",
                    report.components.len()
                ),
            ));
        }
        if report.components.is_empty() {
            return Err(Invalid::new("components", "is empty"));
        }
        let mut components = Vec::with_capacity(report.components.len());
        let mut seen = BTreeSet::new();
        for (index, component) in report.components.into_iter().enumerate() {
            let reported = Reported::try_from(component)
                .map_err(|invalid| invalid.within(format_args!("components[{index}]")))?;
            if !seen.insert(reported.component.clone()) {
                return Err(Invalid::new(
                    format!("components[{index}].component"),
                    format!("{} stands twice", reported.component),
                ));
            }
            components.push(reported);
        }
        let boot_id = name("boot_id", report.boot_id)?;
        if boot_id.len() > 64 || !boot_id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-') {
            return Err(Invalid::new("boot_id", "is not a boot id"));
        }
        if report.seq == 0 {
            return Err(Invalid::new("seq", "is missing"));
        }
        Ok(Self {
            boot_id,
            seq: report.seq,
            sent_at: timestamp_in("sent_at", report.sent_at)?,
            measurements: measurements_in(required("measurements", report.measurements)?)?,
            components,
            agent_version: text(report.agent_version),
            path_resolution: text(report.path_resolution),
        })
    }
}

impl TryFrom<v1::ComponentReport> for Reported {
    type Error = Invalid;

    fn try_from(report: v1::ComponentReport) -> Result<Self, Invalid> {
        let component = name("component", report.component)?;
        if component.len() > 64
            || !component.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        {
            return Err(Invalid::new("component", "is not a component's name"));
        }
        let digest = Digest::from_bytes(&report.digest).ok_or_else(|| {
            Invalid::new("digest", format!("is {} bytes long, not 32", report.digest.len()))
        })?;
        if let Some(content) = &report.content {
            if content.len() > CONTENT_LIMIT_BYTES {
                return Err(Invalid::new(
                    "content",
                    format!(
                        "is {} bytes long, at most {CONTENT_LIMIT_BYTES} are accepted",
                        content.len()
                    ),
                ));
            }
            if Digest::of(&component, report.form, content) != digest {
                return Err(Invalid::new("digest", "is not the digest of the content"));
            }
        }
        Ok(Self {
            component,
            form: report.form,
            digest,
            content: report.content,
            observed_at: timestamp_in("observed_at", report.observed_at)?,
            took: duration_in("took", report.took)?,
        })
    }
}

impl From<&Reported> for v1::ComponentReport {
    fn from(reported: &Reported) -> Self {
        Self {
            component: reported.component.clone(),
            form: reported.form,
            digest: reported.digest.as_bytes().to_vec(),
            content: reported.content.clone(),
            observed_at: Some(timestamp_out(reported.observed_at)),
            took: Some(duration_out(reported.took)),
        }
    }
}

/// A number from the wire, of that kind.
macro_rules! kind {
    (quantity, $name:ident, $value:expr) => {
        number(stringify!($name), $value, 0.0)?
    };
    (signed, $name:ident, $value:expr) => {
        number(stringify!($name), $value, f64::MIN)?
    };
    (count, $name:ident, $value:expr) => {
        $value
    };
}

macro_rules! convert {
    ($($(#[$what:meta])* $name:ident: $kind:ident,)*) => {
        fn measurements_in(measured: v1::Measurements) -> Result<Measurements, Invalid> {
            Ok(Measurements { $($name: kind!($kind, $name, measured.$name),)* })
        }

        /// Measurements as they travel.
        #[must_use]
        pub fn measurements(measured: Measurements) -> v1::Measurements {
            v1::Measurements { $($name: measured.$name,)* }
        }
    };
}

with_measurements!(convert);

/// The number, unless it is none or smaller than it may be.
fn number(field: &str, value: Option<f64>, smallest: f64) -> Result<Option<f64>, Invalid> {
    match value {
        Some(value) if !value.is_finite() || value < smallest => {
            Err(Invalid::new(format!("measurements.{field}"), "is not a quantity"))
        }
        value => Ok(value),
    }
}

/// A point in time as it travels.
#[must_use]
pub fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    timestamp_out(at)
}

/// A stretch of time as it travels.
#[must_use]
pub fn duration(length: Duration) -> prost_types::Duration {
    duration_out(length)
}
