//! Answers readers, from the fleet in memory.

use std::sync::Arc;

use jiff::Timestamp;
use nodeward_domain::answer::{NodeRow, Standing};
use nodeward_feeds::causes::with_causes;
use nodeward_proto::answer::scan::{self, AskedScan};
use nodeward_proto::answer::{PAGE_LIMIT, patch_age, standing};
use nodeward_proto::report::timestamp;
use nodeward_proto::v1;
use nodeward_proto::v1::query_service_server::QueryService;
use serde::Serialize;
use tonic::{Request, Response, Status};

use crate::access::Access;
use crate::fleet::{AskedDiff, AskedSupport, Filter, Fleet, NoAnswer, NoImage, NoSupport};

/// Answers readers.
#[derive(Debug)]
pub struct Query {
    fleet: Arc<Fleet>,
    access: Arc<Access>,
}

impl Query {
    /// Answers for that fleet, to whom that lets.
    #[must_use]
    pub const fn new(fleet: Arc<Fleet>, access: Arc<Access>) -> Self {
        Self { fleet, access }
    }

    /// What is asked, and the fleet as whoever asks may see it.
    async fn asked<T>(&self, request: Request<T>) -> Result<(T, Arc<Fleet>), Status> {
        let (metadata, extensions, asked) = request.into_parts();
        let seen = self.access.may_read(&metadata, &extensions).await?;
        Ok((asked, Arc::new(self.fleet.seen_by(seen))))
    }
}

#[tonic::async_trait]
impl QueryService for Query {
    async fn list_nodes(
        &self,
        request: Request<v1::ListNodesRequest>,
    ) -> Result<Response<v1::ListNodesResponse>, Status> {
        let (request, fleet) = self.asked(request).await?;
        let standing = match request.standing.as_str() {
            "" => None,
            word => Some(
                standing("standing", word)
                    .map_err(|invalid| Status::invalid_argument(invalid.to_string()))?,
            ),
        };
        let cluster = Some(request.cluster).filter(|cluster| !cluster.is_empty());
        let after = page_start(&request.page_token)?;
        let size = page_size(request.page_size);
        let now = Timestamp::now();
        let rows = fleet.rows(&Filter { cluster, standing }, now);
        let summary = summary(&rows);
        let mut left = rows.iter().filter(|row| {
            after.is_none_or(|after| (row.cluster.as_str(), row.node.as_str()) > after)
        });
        let page: Vec<&NodeRow> = left.by_ref().take(size).collect();
        let next_page_token = match (page.last(), left.next()) {
            (Some(last), Some(_)) => format!("{}/{}", last.cluster, last.node),
            _ => String::new(),
        };
        Ok(Response::new(v1::ListNodesResponse {
            as_of: Some(timestamp(now)),
            nodes: page.into_iter().map(v1::NodeRow::from).collect(),
            next_page_token,
            summary: Some(summary),
        }))
    }

    async fn get_node(
        &self,
        request: Request<v1::GetNodeRequest>,
    ) -> Result<Response<v1::GetNodeResponse>, Status> {
        let (request, fleet) = self.asked(request).await?;
        if request.node.is_empty() {
            return Err(Status::invalid_argument("node: is missing"));
        }
        let answer = fleet
            .answer(&request.cluster, &request.node, Timestamp::now())
            .map_err(|error| no_answer(&error))?;
        Ok(Response::new(v1::GetNodeResponse { node: Some((&answer).into()) }))
    }

    async fn get_patch_age(
        &self,
        request: Request<v1::GetPatchAgeRequest>,
    ) -> Result<Response<v1::GetPatchAgeResponse>, Status> {
        let (request, fleet) = self.asked(request).await?;
        let first = match request.page_token.as_str() {
            "" => 0,
            token => token.parse().map_err(|_| {
                Status::invalid_argument("page_token: was not given by this server")
            })?,
        };
        let size = page_size(request.page_size);
        let (asked, by) = patch_age::asked(request)
            .map_err(|invalid| Status::invalid_argument(invalid.to_string()))?;
        // All nodes are gone through: not where others wait for a moment's work.
        let answer =
            tokio::task::spawn_blocking(move || fleet.patch_age(&asked, by, Timestamp::now()))
                .await
                .map_err(|error| Status::internal(error.to_string()))?;
        Ok(Response::new(patch_age::page(&answer, first, size)))
    }

    async fn list_images(
        &self,
        request: Request<v1::ListImagesRequest>,
    ) -> Result<Response<v1::ListImagesResponse>, Status> {
        let (request, fleet) = self.asked(request).await?;
        let family = Some(request.family).filter(|family| !family.is_empty());
        let answer = fleet.image_list(family.as_deref(), Timestamp::now());
        Ok(Response::new((&answer).into()))
    }

    async fn diff_images(
        &self,
        request: Request<v1::DiffImagesRequest>,
    ) -> Result<Response<v1::DiffImagesResponse>, Status> {
        let (v1::DiffImagesRequest { from, to, family, cluster, pool }, fleet) =
            self.asked(request).await?;
        let asked = AskedDiff { from, to, family, cluster, pool };
        let diff = tokio::task::spawn_blocking(move || fleet.image_diff(&asked, Timestamp::now()));
        let diff = diff.await.map_err(|error| Status::internal(error.to_string()))?;
        diff.map(|diff| Response::new((&diff).into())).map_err(|error| no_image(&error))
    }

    async fn list_image_variants(
        &self,
        request: Request<v1::ListImageVariantsRequest>,
    ) -> Result<Response<v1::ListImageVariantsResponse>, Status> {
        let (v1::ListImageVariantsRequest { image, family }, fleet) = self.asked(request).await?;
        let found = tokio::task::spawn_blocking(move || {
            fleet.image_variants(&image, &family, Timestamp::now())
        });
        let found = found.await.map_err(|error| Status::internal(error.to_string()))?;
        found.map(|found| Response::new((&found).into())).map_err(|error| no_image(&error))
    }

    async fn get_first_fix(
        &self,
        request: Request<v1::GetFirstFixRequest>,
    ) -> Result<Response<v1::GetFirstFixResponse>, Status> {
        let (v1::GetFirstFixRequest { about, family }, fleet) = self.asked(request).await?;
        if about.trim().is_empty() {
            return Err(Status::invalid_argument("about: is missing"));
        }
        let answer = tokio::task::spawn_blocking(move || {
            let family = Some(family.as_str()).filter(|family| !family.is_empty());
            v1::GetFirstFixResponse::from(&fleet.first_fix(about.trim(), family, Timestamp::now()))
        });
        Ok(Response::new(answer.await.map_err(|error| Status::internal(error.to_string()))?))
    }

    async fn list_feeds(
        &self,
        request: Request<v1::ListFeedsRequest>,
    ) -> Result<Response<v1::ListFeedsResponse>, Status> {
        let (_, fleet) = self.asked(request).await?;
        let now = Timestamp::now();
        let advisories = fleet.advisories();
        Ok(Response::new(v1::ListFeedsResponse {
            as_of: Some(timestamp(now)),
            feeds: advisories.statuses(now).iter().map(Into::into).collect(),
            generation: advisories.generation(),
        }))
    }

    async fn label_scan(
        &self,
        request: Request<v1::LabelScanRequest>,
    ) -> Result<Response<v1::LabelScanResponse>, Status> {
        let (request, fleet) = self.asked(request).await?;
        let asked = AskedScan::try_from(request)
            .map_err(|invalid| Status::invalid_argument(invalid.to_string()))?;
        let answer = tokio::task::spawn_blocking(move || {
            let labels = fleet.label_scan(asked.cluster.as_deref(), &asked.rows, Timestamp::now());
            scan::response(&labels, &asked.places)
        });
        Ok(Response::new(answer.await.map_err(|error| Status::internal(error.to_string()))?))
    }

    async fn get_sysctl(
        &self,
        request: Request<v1::GetSysctlRequest>,
    ) -> Result<Response<v1::GetSysctlResponse>, Status> {
        let (v1::GetSysctlRequest { cluster, node }, fleet) = self.asked(request).await?;
        let now = Timestamp::now();
        let answer = fleet.sysctl(&cluster, &node, now).map_err(|error| no_answer(&error))?;
        let document = document(&answer)?;
        Ok(Response::new(v1::GetSysctlResponse { as_of: Some(timestamp(now)), document }))
    }

    async fn check_support(
        &self,
        request: Request<v1::CheckSupportRequest>,
    ) -> Result<Response<v1::CheckSupportResponse>, Status> {
        let (v1::CheckSupportRequest { cluster, pool, node, policy }, fleet) =
            self.asked(request).await?;
        let asked = AskedSupport { cluster, pool, node, policy };
        let now = Timestamp::now();
        // Every node is judged: not where others wait for a moment's work.
        let answer = tokio::task::spawn_blocking(move || fleet.support(&asked, now));
        let answer = answer.await.map_err(|error| Status::internal(error.to_string()))?;
        let answer = answer.map_err(|error| match error {
            NoSupport::Policy(why) => Status::invalid_argument(format!("policy: {why}")),
            NoSupport::NoNode(_) => Status::not_found(error.to_string()),
        })?;
        let document = document(&answer)?;
        Ok(Response::new(v1::CheckSupportResponse { as_of: Some(timestamp(now)), document }))
    }

    async fn get_why(
        &self,
        request: Request<v1::GetWhyRequest>,
    ) -> Result<Response<v1::GetWhyResponse>, Status> {
        let (v1::GetWhyRequest { cluster, node }, fleet) = self.asked(request).await?;
        let now = Timestamp::now();
        // The others of its pool and image are judged too.
        let answer = tokio::task::spawn_blocking(move || fleet.why(&cluster, &node, now));
        let answer = answer.await.map_err(|error| Status::internal(error.to_string()))?;
        let document = document(&answer.map_err(|error| no_answer(&error))?)?;
        Ok(Response::new(v1::GetWhyResponse { as_of: Some(timestamp(now)), document }))
    }
}

/// Why there is no answer about a node, as whoever asked may mend it.
fn no_answer(error: &NoAnswer) -> Status {
    match error {
        NoAnswer::Unknown(_) => Status::not_found(error.to_string()),
        NoAnswer::Ambiguous { .. } => Status::failed_precondition(error.to_string()),
    }
}

/// An answer as a document.
fn document<T: Serialize>(answer: &T) -> Result<String, Status> {
    serde_json::to_string(answer)
        .map_err(|error| Status::internal(format!("the answer cannot be written: {error}")))
}

/// Why there is no answer about images, as whoever asked may mend it.
fn no_image(error: &NoImage) -> Status {
    let text = with_causes(error);
    match error {
        NoImage::NoName(_) => Status::invalid_argument(text),
        NoImage::Unknown { .. } | NoImage::NoNode { .. } | NoImage::NoPool { .. } => {
            Status::not_found(text)
        }
        NoImage::Patch(_) | NoImage::NotComparable(_) | NoImage::Ambiguous { .. } => {
            Status::failed_precondition(text)
        }
    }
}

/// Rows of one page: as many as are asked for, up to the most.
fn page_size(asked: u32) -> usize {
    match asked as usize {
        0 => PAGE_LIMIT,
        size => size.min(PAGE_LIMIT),
    }
}

/// Cluster and node after which a page begins. Neither has a slash in its name.
fn page_start(token: &str) -> Result<Option<(&str, &str)>, Status> {
    match token {
        "" => Ok(None),
        token => token
            .split_once('/')
            .filter(|(cluster, node)| !cluster.is_empty() && !node.is_empty())
            .map(Some)
            .ok_or_else(|| Status::invalid_argument("page_token: was not given by this server")),
    }
}

fn summary(rows: &[NodeRow]) -> v1::FleetSummary {
    let with =
        |standing: Standing| rows.iter().filter(|row| row.standing == standing).count() as u64;
    v1::FleetSummary {
        nodes: rows.len() as u64 - with(Standing::Gone),
        with_findings: with(Standing::Findings),
        incomplete: with(Standing::Incomplete),
        clean: with(Standing::Clean),
        gone: with(Standing::Gone),
        oldest_report_at: rows.iter().filter_map(|row| row.last_report_at).min().map(timestamp),
    }
}
