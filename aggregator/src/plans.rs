//! Plans of node image upgrades: made, kept, judged again and followed. A plan is a document of
//! the store; nothing here acts on anything.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use nodeward_domain::plan::input::{Accepted, PlanRequest, Target};
use nodeward_domain::plan::{self, Plan, watch};
use nodeward_domain::pool::Share;
use nodeward_feeds::causes::with_causes;
use nodeward_feeds::image_document::{pack, unpack};
use nodeward_proto::report::timestamp;
use nodeward_proto::v1;
use nodeward_proto::v1::plan_service_server::PlanService;
use serde::Serialize;
use tonic::{Request, Response, Status};

use crate::access::Access;
use crate::fleet::Fleet;
use crate::store::{Document, DocumentKey, Store, StoreError};

/// So many plans are kept.
const MOST_PLANS: usize = 200;

/// The longest text that a request may hold.
const LONGEST_TEXT_BYTES: usize = 4096;

/// The longest soak behind a canary: the 90 days for which the provider supports an image.
const LONGEST_SOAK_HOURS: u32 = 90 * 24;

/// The kind of documents that plans are.
const KIND: &str = "plan";

/// The plans, by name.
#[derive(Debug, Clone)]
pub struct Plans {
    fleet: Arc<Fleet>,
    store: PlanStore,
    access: Arc<Access>,
}

/// Plans in memory and in the store.
#[derive(Clone)]
struct PlanStore {
    store: Arc<dyn Store>,
    plans: Arc<RwLock<BTreeMap<String, Arc<Plan>>>>,
}

impl std::fmt::Debug for PlanStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlanStore").finish_non_exhaustive()
    }
}

impl Plans {
    /// Those of a store. A plan that cannot be read costs itself alone.
    pub async fn load(
        fleet: Arc<Fleet>,
        store: Arc<dyn Store>,
        access: Arc<Access>,
    ) -> Result<Self, StoreError> {
        let mut plans = BTreeMap::new();
        for document in store.documents().await?.documents {
            if document.key.kind != KIND {
                continue;
            }
            match read(&document) {
                // An empty one was forgotten.
                Ok(None) => {
                    plans.remove(&document.key.name);
                }
                Ok(Some(plan)) => {
                    plans.insert(document.key.name, Arc::new(plan));
                }
                Err(why) => {
                    tracing::error!(plan = document.key.name, why, "a plan cannot be read");
                }
            }
        }
        let plans = Arc::new(RwLock::new(plans));
        Ok(Self { fleet, store: PlanStore { store, plans }, access })
    }

    /// What is asked, if whoever asks may see plans: they go over all clusters.
    async fn asked<T>(&self, request: Request<T>) -> Result<T, Status> {
        let (metadata, extensions, asked) = request.into_parts();
        self.access.may_read_all(&metadata, &extensions, "plans").await?;
        Ok(asked)
    }

    /// What is told, if whoever tells it may change plans.
    async fn told<T>(&self, request: Request<T>) -> Result<T, Status> {
        let (metadata, extensions, told) = request.into_parts();
        self.access.may_plan(&metadata, &extensions).await?;
        Ok(told)
    }

    fn named(&self, name: &str) -> Result<Arc<Plan>, Status> {
        let plans = self.store.plans.read().unwrap_or_else(PoisonError::into_inner);
        let plan = plans.get(name).cloned();
        plan.ok_or_else(|| Status::not_found(format!("no plan {name:?} is kept")))
    }

    async fn keep(&self, name: &str, plan: Option<Plan>, now: Timestamp) -> Result<(), Status> {
        let content = match &plan {
            Some(plan) => serde_json::to_vec(plan)
                .map_err(|error| Status::internal(format!("the plan cannot be kept: {error}")))?,
            None => Vec::new(),
        };
        let document = Document {
            key: DocumentKey { kind: KIND.to_owned(), name: name.to_owned() },
            stored_at: now,
            file: String::new(),
            content: pack(&content),
        };
        let put = self.store.store.put_documents(vec![document]).await;
        put.map_err(|error| Status::unavailable(with_causes(&error)))?;
        let mut plans = self.store.plans.write().unwrap_or_else(PoisonError::into_inner);
        match plan {
            Some(plan) => plans.insert(name.to_owned(), Arc::new(plan)),
            None => plans.remove(name),
        };
        Ok(())
    }
}

fn read(document: &Document) -> Result<Option<Plan>, String> {
    let bytes = unpack(&document.key.name, &document.content).map_err(|why| with_causes(&why))?;
    if bytes.is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(&bytes).map(Some).map_err(|why| why.to_string())
}

/// Time zones by their names, as the program knows them.
#[must_use]
pub fn zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok()
}

fn answer<T: Serialize>(
    document: &T,
    as_of: Timestamp,
) -> Result<Response<v1::PlanResponse>, Status> {
    let document = serde_json::to_string(document)
        .map_err(|error| Status::internal(format!("the answer cannot be written: {error}")))?;
    Ok(Response::new(v1::PlanResponse { as_of: Some(timestamp(as_of)), document }))
}

/// What is asked of a plan, in the words of the planner, and whether it may take the place of
/// one of its name.
pub fn plan_request(
    request: v1::CreatePlanRequest,
    now: Timestamp,
) -> Result<(PlanRequest, bool), Status> {
    let v1::CreatePlanRequest {
        name,
        select,
        windows,
        max_disrupted,
        target,
        pools_at_once_per_cluster,
        canary,
        soak_hours,
        accept,
        replace,
    } = request;
    // By the names under which they were typed.
    let wrong = |option: &str, why: &str| Status::invalid_argument(format!("{option}: {why}"));
    let texts = [&name, &select, &max_disrupted, &target, &canary];
    let longest = texts.into_iter().chain(&windows).chain(&accept).map(String::len).max();
    if longest > Some(LONGEST_TEXT_BYTES) || windows.len() > 50 || accept.len() > 10 {
        return Err(wrong("request", "is too long"));
    }
    let share = |field: &str, text: &str, usual: Share| match text {
        "" => Ok(usual),
        text => match Share::parse(text) {
            None => Err(wrong(field, &format!("{text:?} is neither a number nor a share"))),
            Some(Share::Percent(101..)) => {
                Err(wrong(field, &format!("{text:?} is more than all of them")))
            }
            Some(share) => Ok(share),
        },
    };
    let usual = PlanRequest::new(&name, now);
    let target = match target.as_str() {
        "" => Target::NewestOffered,
        text => Target::parse(text).ok_or_else(|| {
            let what = "neither newest-offered, the version nor the label of an image";
            wrong("--target", &format!("{text:?} is {what}"))
        })?,
    };
    let accept = accept
        .iter()
        .map(|word| {
            Accepted::named(word).ok_or_else(|| {
                wrong("--accept", &format!("{word:?} is neither drift nor unmanaged"))
            })
        })
        .collect::<Result<_, _>>()?;
    if soak_hours > Some(LONGEST_SOAK_HOURS) {
        let why = format!("more than {LONGEST_SOAK_HOURS}: no image is supported for so long");
        return Err(wrong("--soak-hours", &why));
    }
    let request = PlanRequest {
        select,
        windows,
        max_disrupted: share("--max-disrupted", &max_disrupted, usual.max_disrupted)?,
        target,
        pools_at_once_per_cluster: match pools_at_once_per_cluster {
            0 => usual.pools_at_once_per_cluster,
            number => number,
        },
        canary: share("--canary", &canary, usual.canary)?,
        soak_hours: soak_hours.unwrap_or(usual.soak_hours),
        accept,
        ..usual
    };
    Ok((request, replace))
}

#[tonic::async_trait]
impl PlanService for Plans {
    async fn create_plan(
        &self,
        request: Request<v1::CreatePlanRequest>,
    ) -> Result<Response<v1::PlanResponse>, Status> {
        let now = Timestamp::now();
        let (request, replace) = plan_request(self.told(request).await?, now)?;
        {
            let plans = self.store.plans.read().unwrap_or_else(PoisonError::into_inner);
            let is_known = plans.contains_key(&request.name);
            if is_known && !replace {
                let why =
                    format!("plan {:?} is there already: --replace, or another name", request.name);
                return Err(Status::already_exists(why));
            }
            if !is_known && plans.len() >= MOST_PLANS {
                let why = format!("{MOST_PLANS} plans are kept: nodeward plan delete NAME");
                return Err(Status::resource_exhausted(why));
            }
        }
        let fleet = Arc::clone(&self.fleet);
        let made = tokio::task::spawn_blocking(move || {
            let inputs = fleet.plan_inputs(&request, now);
            plan::create(&request, &inputs, fleet.policy(), &zone)
        });
        let plan = made
            .await
            .map_err(|error| Status::internal(error.to_string()))?
            .map_err(|error| Status::invalid_argument(with_causes(&error)))?;
        let response = answer(&plan, now)?;
        let name = plan.request.name.clone();
        self.keep(&name, Some(plan), now).await?;
        Ok(response)
    }

    async fn list_plans(
        &self,
        request: Request<v1::ListPlansRequest>,
    ) -> Result<Response<v1::ListPlansResponse>, Status> {
        self.asked(request).await?;
        let plans = self.store.plans.read().unwrap_or_else(PoisonError::into_inner);
        let rows = plans.values().map(|plan| v1::PlanRow {
            name: plan.request.name.clone(),
            created_at: Some(timestamp(plan.request.created_at)),
            select: plan.request.select.clone(),
            go: plan.totals.go,
            warn: plan.totals.warn,
            blocked: plan.totals.blocked,
            on_target: plan.totals.on_target,
            ends_at_earliest: plan.totals.ends_at_earliest.map(timestamp),
        });
        let as_of = Some(timestamp(Timestamp::now()));
        Ok(Response::new(v1::ListPlansResponse { as_of, plans: rows.collect() }))
    }

    async fn get_plan(
        &self,
        request: Request<v1::GetPlanRequest>,
    ) -> Result<Response<v1::PlanResponse>, Status> {
        let plan = self.named(&self.asked(request).await?.name)?;
        answer(&*plan, Timestamp::now())
    }

    async fn check_plan(
        &self,
        request: Request<v1::GetPlanRequest>,
    ) -> Result<Response<v1::PlanResponse>, Status> {
        let plan = self.named(&self.asked(request).await?.name)?;
        let (fleet, now) = (Arc::clone(&self.fleet), Timestamp::now());
        let check = tokio::task::spawn_blocking(move || {
            let inputs = fleet.plan_inputs(&plan.request, now);
            plan::check(&plan, &inputs, fleet.policy(), now)
        });
        answer(&check.await.map_err(|error| Status::internal(error.to_string()))?, now)
    }

    async fn watch_plan(
        &self,
        request: Request<v1::GetPlanRequest>,
    ) -> Result<Response<v1::PlanResponse>, Status> {
        let plan = self.named(&self.asked(request).await?.name)?;
        let (fleet, now) = (Arc::clone(&self.fleet), Timestamp::now());
        let progress =
            tokio::task::spawn_blocking(move || watch::watch(&plan, &fleet.sightings(), now));
        answer(&progress.await.map_err(|error| Status::internal(error.to_string()))?, now)
    }

    async fn delete_plan(
        &self,
        request: Request<v1::GetPlanRequest>,
    ) -> Result<Response<v1::DeletePlanResponse>, Status> {
        let name = self.told(request).await?.name;
        self.named(&name)?;
        self.keep(&name, None, Timestamp::now()).await?;
        Ok(Response::new(v1::DeletePlanResponse {}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_plan_can_mean_is_refused_by_the_option() {
        let now = "2026-11-24T12:00:00Z".parse().expect("a moment");
        let asked = v1::CreatePlanRequest { name: "x".to_owned(), ..Default::default() };
        let refused = |request: v1::CreatePlanRequest| {
            plan_request(request, now).expect_err("odd").message().to_owned()
        };
        let share =
            |text: &str| v1::CreatePlanRequest { max_disrupted: text.to_owned(), ..asked.clone() };
        for text in ["101%", "1000%"] {
            let expected = format!("--max-disrupted: {text:?} is more than all of them");
            assert_eq!(refused(share(text)), expected);
        }
        let canary = v1::CreatePlanRequest { canary: "200%".to_owned(), ..asked.clone() };
        assert_eq!(refused(canary), "--canary: \"200%\" is more than all of them");
        let soak = v1::CreatePlanRequest { soak_hours: Some(u32::MAX), ..asked.clone() };
        assert!(refused(soak).starts_with("--soak-hours: more than 2160"));
        let target = v1::CreatePlanRequest { target: "newest".to_owned(), ..asked.clone() };
        assert!(refused(target).starts_with("--target: \"newest\" is neither newest-offered"));
        let label = "AKSUbuntu-2204gen2containerd-202611.20.0";
        let target = v1::CreatePlanRequest { target: label.to_owned(), ..asked.clone() };
        let (request, _) = plan_request(target, now).expect("a label");
        assert_eq!(request.target.to_string(), label);
        assert!(plan_request(share("100%"), now).is_ok());
    }
}
