//! Calls of agents: how they ended, and how long reports took. A relay counts the same ones.

use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use tonic::{Code, Status};

/// How a call of an agent ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Outcome {
    /// Committed and acknowledged.
    #[allow(non_camel_case_types)]
    acknowledged,
    /// Refused: the caller's fault.
    #[allow(non_camel_case_types)]
    refused,
    /// Not committed: our fault.
    #[allow(non_camel_case_types)]
    failed,
}

impl Outcome {
    /// How a call ended.
    pub fn of<T>(result: &Result<T, Status>) -> Self {
        match result.as_ref().map_err(Status::code) {
            Ok(_) => Self::acknowledged,
            Err(
                Code::InvalidArgument
                | Code::FailedPrecondition
                | Code::Unauthenticated
                | Code::PermissionDenied,
            ) => Self::refused,
            Err(_) => Self::failed,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    outcome: Outcome,
}

/// What is counted of them.
#[derive(Debug)]
pub struct Calls {
    reports: Family<ByOutcome, Counter>,
    contents: Family<ByOutcome, Counter>,
    report_seconds: Histogram,
}

impl Calls {
    /// At zero, shown by that registry.
    #[must_use]
    pub fn shown_by(registry: &mut Registry) -> Self {
        let reports = Family::<ByOutcome, Counter>::default();
        let contents = Family::<ByOutcome, Counter>::default();
        // From half a millisecond to some eight seconds.
        let report_seconds = Histogram::new(exponential_buckets(0.0005, 2.0, 15));
        registry.register("reports", "Reports of agents, by outcome", reports.clone());
        registry.register("contents", "Uploaded contents, by outcome", contents.clone());
        registry.register(
            "report_duration_seconds",
            "Time from the arrival of a report to its acknowledgement",
            report_seconds.clone(),
        );
        Self { reports, contents, report_seconds }
    }

    /// Counts a report.
    pub fn report(&self, outcome: Outcome, took: Duration) {
        self.reports.get_or_create(&ByOutcome { outcome }).inc();
        self.report_seconds.observe(took.as_secs_f64());
    }

    /// Counts an uploaded content.
    pub fn content(&self, outcome: Outcome) {
        self.contents.get_or_create(&ByOutcome { outcome }).inc();
    }
}
