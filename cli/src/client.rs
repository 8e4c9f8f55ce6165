//! Asks the aggregator over gRPC. What comes back is validated like everything that is
//! received.

use std::time::Duration;

use jiff::Timestamp;
use nodeward_domain::address::shown;
use nodeward_domain::advisory::FeedStatus;
use nodeward_domain::answer::sysctl::SysctlAnswer;
use nodeward_domain::answer::{NodeAnswer, NodeRow, Standing};
use nodeward_domain::fixes::fleet::{Asked, By, PatchAge};
use nodeward_domain::fixes::scan::{Reported, ScanLabels};
use nodeward_domain::image::compare::ImageDiff;
use nodeward_domain::image::first_fix::FirstFixes;
use nodeward_domain::image::list::ImageList;
use nodeward_domain::image::variants::Variants;
use nodeward_domain::plan::watch::Progress;
use nodeward_domain::plan::{Check, Plan};
use nodeward_domain::support::SupportAnswer;
use nodeward_domain::why::WhyAnswer;
use nodeward_proto::MESSAGE_LIMIT_BYTES;
use nodeward_proto::answer::scan::{self, SCAN_ROWS};
use nodeward_proto::answer::{instant, patch_age};
use nodeward_proto::report::Invalid;
use nodeward_proto::v1;
use nodeward_proto::v1::plan_service_client::PlanServiceClient;
use nodeward_proto::v1::query_service_client::QueryServiceClient;
use serde::de::DeserializeOwned;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

use crate::address::{Address, Bearer};
use crate::screen::PlansAnswer;

/// A connection on which a token is shown, if there is one.
type Line = InterceptedService<Channel, Bearer>;

/// A connection must stand, and a call be answered, in this time.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const CALL_LIMIT: Duration = Duration::from_secs(10);

/// The biggest answer that is accepted: a node may lack thousands of fixes.
const ANSWER_LIMIT_BYTES: usize = 64 << 20;

/// Between two questions while waiting.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The address is none.
    #[error("--aggregator {url:?}: {why}")]
    Address {
        /// What was given.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// Nobody answers there.
    #[error("the aggregator at {url} cannot be reached: {why}")]
    Unreachable {
        /// The address.
        url: String,
        /// Why.
        why: String,
    },
    /// No such node.
    #[error("{0}")]
    NoSuchNode(String),
    /// What was asked for is not there, or cannot be so.
    #[error("{0}")]
    Cannot(String),
    /// The question has several answers.
    #[error("{0}")]
    Ambiguous(String),
    /// The aggregator refuses or fails.
    #[error("the aggregator at {url} answers {code:?}: {why}")]
    Refused {
        /// The address.
        url: String,
        /// The gRPC code.
        code: Code,
        /// Its message.
        why: String,
    },
    /// The answer is none that this build understands.
    #[error("the aggregator's answer is not valid: {0}")]
    Invalid(#[from] Invalid),
    /// The node has not been reported in time.
    #[error("node {node} has not been reported within {} s: {last}", waited.as_secs())]
    NotInTime {
        /// The node.
        node: String,
        /// How long was waited.
        waited: Duration,
        /// What was last heard.
        last: String,
    },
}

/// Every node that was asked for.
#[derive(Debug)]
pub struct Nodes {
    /// For which moment.
    pub as_of: Timestamp,
    /// By cluster and name.
    pub rows: Vec<NodeRow>,
}

/// A connection to the aggregator, made with the first question.
#[derive(Debug)]
pub struct Client {
    url: String,
    service: QueryServiceClient<Line>,
    plans: PlanServiceClient<Line>,
}

impl Client {
    /// A client of the aggregator at that address.
    pub fn new(address: &Address) -> Result<Self, AskError> {
        let url = shown(&address.url).into_owned();
        let invalid = |why: String| AskError::Address { url: url.clone(), why };
        let (endpoint, bearer) = address.endpoint().map_err(invalid)?;
        let channel = endpoint.connect_timeout(CONNECT_LIMIT).timeout(CALL_LIMIT).connect_lazy();
        let plans = PlanServiceClient::with_interceptor(channel.clone(), bearer.clone())
            .max_decoding_message_size(ANSWER_LIMIT_BYTES);
        let service = QueryServiceClient::with_interceptor(channel, bearer)
            .max_decoding_message_size(ANSWER_LIMIT_BYTES);
        Ok(Self { url, service, plans })
    }

    /// All nodes that match, page by page.
    pub async fn nodes(
        &mut self,
        cluster: &str,
        standing: Option<Standing>,
    ) -> Result<Nodes, AskError> {
        let mut request = v1::ListNodesRequest {
            cluster: cluster.to_owned(),
            standing: standing.map_or_else(String::new, |standing| standing.word().to_owned()),
            ..v1::ListNodesRequest::default()
        };
        let mut rows = Vec::new();
        loop {
            let answer = self.service.list_nodes(request.clone()).await;
            let page = answer.map_err(|status| self.failed(&status))?.into_inner();
            for row in page.nodes {
                rows.push(NodeRow::try_from(row)?);
            }
            if page.next_page_token.is_empty() {
                return Ok(Nodes { as_of: instant("as_of", page.as_of)?, rows });
            }
            if page.next_page_token == request.page_token {
                return Err(same_page());
            }
            request.page_token = page.next_page_token;
        }
    }

    /// All there is to say about one node.
    pub async fn node(&mut self, cluster: &str, name: &str) -> Result<NodeAnswer, AskError> {
        let request = v1::GetNodeRequest { cluster: cluster.to_owned(), node: name.to_owned() };
        let answer = self.service.get_node(request).await;
        let node = answer.map_err(|status| self.failed(&status))?.into_inner().node;
        Ok(NodeAnswer::try_from(node.unwrap_or_default())?)
    }

    /// The same, as soon as every component of the node has been reported.
    pub async fn node_when_reported(
        &mut self,
        cluster: &str,
        name: &str,
        limit: Duration,
    ) -> Result<NodeAnswer, AskError> {
        let mut last = "no answer yet".to_owned();
        let asking = async {
            loop {
                last = match self.node(cluster, name).await {
                    Ok(answer) => {
                        match answer.components.iter().find(|one| one.state == "not_reported") {
                            None => return Ok(answer),
                            Some(lacking) => format!("{} is still to come", lacking.component),
                        }
                    }
                    Err(error @ (AskError::NoSuchNode(_) | AskError::Unreachable { .. })) => {
                        error.to_string()
                    }
                    Err(error) => return Err(error),
                };
                tokio::time::sleep(ASK_AGAIN).await;
            }
        };
        let asked = tokio::time::timeout(limit, asking).await;
        asked.unwrap_or_else(|_| {
            Err(AskError::NotInTime { node: name.to_owned(), waited: limit, last })
        })
    }

    /// The kernel parameters of one node.
    pub async fn sysctl(&mut self, cluster: &str, name: &str) -> Result<SysctlAnswer, AskError> {
        let request = v1::GetSysctlRequest { cluster: cluster.to_owned(), node: name.to_owned() };
        let answer = self.service.get_sysctl(request).await;
        let answer = answer.map_err(|status| self.failed(&status))?.into_inner();
        read_document(&answer.document)
    }

    /// Whether nodes can be supported.
    pub async fn support(
        &mut self,
        request: v1::CheckSupportRequest,
    ) -> Result<SupportAnswer, AskError> {
        let answer = self.service.check_support(request).await;
        let answer = answer.map_err(|status| self.cannot(&status))?.into_inner();
        read_document(&answer.document)
    }

    /// Why one node is ill.
    pub async fn why(&mut self, cluster: &str, name: &str) -> Result<WhyAnswer, AskError> {
        let request = v1::GetWhyRequest { cluster: cluster.to_owned(), node: name.to_owned() };
        let answer = self.service.get_why(request).await;
        let answer = answer.map_err(|status| self.failed(&status))?.into_inner();
        read_document(&answer.document)
    }

    /// The fixes that nodes lack, page by page.
    pub async fn patch_age(&mut self, asked: &Asked, by: By) -> Result<PatchAge, AskError> {
        let mut request = patch_age::request(asked, by);
        let mut answer: Option<PatchAge> = None;
        loop {
            let page = self.service.get_patch_age(request.clone()).await;
            let page = page.map_err(|status| self.failed(&status))?.into_inner();
            let next = page.next_page_token.clone();
            let page = PatchAge::try_from(page)?;
            match &mut answer {
                Some(answer) => answer.rows.extend(page.rows),
                None => answer = Some(page),
            }
            if let Some(answer) = answer.take_if(|_| next.is_empty()) {
                return Ok(answer);
            }
            if next == request.page_token {
                return Err(same_page());
            }
            request.page_token = next;
        }
    }

    /// Labels the rows of a scanner's list, one batch after the other; one label for each row,
    /// in their order.
    pub async fn label_scan(
        &mut self,
        cluster: &str,
        rows: &[Reported],
    ) -> Result<ScanLabels, AskError> {
        let mut left = rows;
        let mut answer: Option<ScanLabels> = None;
        // Also where there is no row: how the nodes and feeds stand is asked.
        while answer.is_none() || !left.is_empty() {
            let (batch, rest) = left.split_at(batch(left));
            left = rest;
            let places: Vec<u64> = (0..).take(batch.len()).collect();
            let rows = places.iter().zip(batch).map(|(place, row)| scan::reported(*place, row));
            let request =
                v1::LabelScanRequest { cluster: cluster.to_owned(), rows: rows.collect() };
            let labels = self.service.label_scan(request).await;
            let labels = labels.map_err(|status| self.failed(&status))?.into_inner();
            let labels = scan::labels(labels, &places)?;
            match &mut answer {
                None => answer = Some(labels),
                Some(answer) => {
                    answer.rows.extend(labels.rows);
                    answer.nodes = answer.nodes.max(labels.nodes);
                    // A node may have come or gone in between.
                    for (what, nodes) in labels.incomplete {
                        let known = answer.incomplete.entry(what).or_default();
                        *known = nodes.max(*known);
                    }
                }
            }
        }
        answer.ok_or_else(|| {
            AskError::Invalid(Invalid { field: "rows".to_owned(), why: "are missing".to_owned() })
        })
    }

    /// The images that are known, of one line or of all.
    pub async fn images(&mut self, family: Option<&str>) -> Result<ImageList, AskError> {
        let family = family.unwrap_or_default().to_owned();
        let answer = self.service.list_images(v1::ListImagesRequest { family }).await;
        Ok(answer.map_err(|status| self.cannot(&status))?.into_inner().try_into()?)
    }

    /// What moving from one image to another changes.
    pub async fn image_diff(
        &mut self,
        request: v1::DiffImagesRequest,
    ) -> Result<ImageDiff, AskError> {
        let answer = self.service.diff_images(request).await;
        Ok(answer.map_err(|status| self.cannot(&status))?.into_inner().try_into()?)
    }

    /// The nodes of an image, by what they have installed.
    pub async fn image_variants(
        &mut self,
        image: &str,
        family: Option<&str>,
    ) -> Result<Variants, AskError> {
        let request = v1::ListImageVariantsRequest {
            image: image.to_owned(),
            family: family.unwrap_or_default().to_owned(),
        };
        let answer = self.service.list_image_variants(request).await;
        Ok(answer.map_err(|status| self.cannot(&status))?.into_inner().try_into()?)
    }

    /// The first image of each line that runs a fix.
    pub async fn first_fix(
        &mut self,
        about: &str,
        family: Option<&str>,
    ) -> Result<FirstFixes, AskError> {
        let request = v1::GetFirstFixRequest {
            about: about.to_owned(),
            family: family.unwrap_or_default().to_owned(),
        };
        let answer = self.service.get_first_fix(request).await;
        Ok(answer.map_err(|status| self.cannot(&status))?.into_inner().try_into()?)
    }

    /// How the feeds stand, and for which moment that is.
    pub async fn feeds(&mut self) -> Result<(Timestamp, Vec<FeedStatus>), AskError> {
        let answer = self.service.list_feeds(v1::ListFeedsRequest {}).await;
        let answer = answer.map_err(|status| self.cannot(&status))?.into_inner();
        let feeds = answer.feeds.into_iter().map(FeedStatus::try_from);
        Ok((instant("as_of", answer.as_of)?, feeds.collect::<Result<_, _>>()?))
    }

    /// Makes a plan.
    pub async fn create_plan(&mut self, request: v1::CreatePlanRequest) -> Result<Plan, AskError> {
        let answer = self.plans.create_plan(request).await;
        self.document(answer)
    }

    /// The plans that are kept.
    pub async fn plans(&mut self) -> Result<PlansAnswer, AskError> {
        let answer = self.plans.list_plans(v1::ListPlansRequest {}).await;
        let answer = answer.map_err(|status| self.cannot(&status))?.into_inner();
        Ok(PlansAnswer::try_from(answer)?)
    }

    /// A plan as it was made.
    pub async fn plan(&mut self, name: &str) -> Result<Plan, AskError> {
        let answer = self.plans.get_plan(v1::GetPlanRequest { name: name.to_owned() }).await;
        self.document(answer)
    }

    /// A plan judged again.
    pub async fn check_plan(&mut self, name: &str) -> Result<Check, AskError> {
        let answer = self.plans.check_plan(v1::GetPlanRequest { name: name.to_owned() }).await;
        self.document(answer)
    }

    /// How far a plan is.
    pub async fn watch_plan(&mut self, name: &str) -> Result<Progress, AskError> {
        let answer = self.plans.watch_plan(v1::GetPlanRequest { name: name.to_owned() }).await;
        self.document(answer)
    }

    /// Forgets a plan.
    pub async fn delete_plan(&mut self, name: &str) -> Result<(), AskError> {
        let answer = self.plans.delete_plan(v1::GetPlanRequest { name: name.to_owned() }).await;
        answer.map(|_| ()).map_err(|status| self.cannot(&status))
    }

    /// What an answer about plans holds.
    fn document<T: DeserializeOwned>(
        &self,
        answer: Result<Response<v1::PlanResponse>, Status>,
    ) -> Result<T, AskError> {
        let answer = answer.map_err(|status| self.cannot(&status))?.into_inner();
        read_document(&answer.document)
    }

    /// An error of a question about images or plans, which says itself what to do.
    fn cannot(&self, status: &Status) -> AskError {
        match status.code() {
            Code::NotFound
            | Code::FailedPrecondition
            | Code::AlreadyExists
            | Code::ResourceExhausted
            | Code::InvalidArgument => AskError::Cannot(status.message().to_owned()),
            _ => self.failed(status),
        }
    }

    fn failed(&self, status: &Status) -> AskError {
        let why = status.message().to_owned();
        match status.code() {
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown => {
                AskError::Unreachable { url: self.url.clone(), why: innermost(status) }
            }
            Code::NotFound => AskError::NoSuchNode(why),
            Code::FailedPrecondition => AskError::Ambiguous(why),
            code => AskError::Refused { url: self.url.clone(), code, why },
        }
    }
}

/// So many of those rows go into one request: what the aggregator takes, in number and in
/// bytes. A row that is too long by itself is refused there.
fn batch(rows: &[Reported]) -> usize {
    /// Around each text, and the place.
    const AROUND: usize = 40;
    let mut bytes = 0_usize;
    let fits = |row: &&Reported| {
        let id = row.id.to_string().len();
        let texts = row.package.len() + row.installed.len() + row.target.len();
        bytes = bytes.saturating_add(id + texts + AROUND);
        bytes <= MESSAGE_LIMIT_BYTES / 2
    };
    rows.iter().take(SCAN_ROWS).take_while(fits).count().max(1).min(rows.len())
}

/// What a document holds, if it is one that this build understands.
fn read_document<T: DeserializeOwned>(document: &str) -> Result<T, AskError> {
    serde_json::from_str(document).map_err(|error| {
        AskError::Invalid(Invalid { field: "document".to_owned(), why: error.to_string() })
    })
}

fn same_page() -> AskError {
    AskError::Invalid(Invalid {
        field: "next_page_token".to_owned(),
        why: "names the page that was just given".to_owned(),
    })
}

/// The cause that says most: "Connection refused" rather than "transport error".
fn innermost(status: &Status) -> String {
    let mut error: &dyn std::error::Error = status;
    while let Some(source) = error.source() {
        error = source;
    }
    match error.downcast_ref::<Status>() {
        Some(status) => status.message().to_owned(),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
