//! HTTP for machines: `/healthz` (the process answers), `/readyz` (the store commits
//! too), `/metrics` (OpenMetrics text).

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::health;
use crate::metrics::Metrics;
use crate::relay::RelayMetrics;
use crate::store::Store;

/// The pages' routes.
pub fn router(store: Arc<dyn Store>, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready).with_state(store))
        .route("/metrics", get(scrape).with_state(metrics))
}

/// The pages' routes of a relay, which is ready as soon as it serves: where it hands on to may
/// be away, and its nodes must hear that of it.
pub fn relay_router(metrics: Arc<RelayMetrics>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(|| async { "ok\n" }))
        .route("/metrics", get(async move || page(metrics.text())))
}

async fn ready(State(store): State<Arc<dyn Store>>) -> Response {
    match health::trouble(store.as_ref()).await {
        None => "ok\n".into_response(),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn scrape(State(metrics): State<Arc<Metrics>>) -> Response {
    page(metrics.text())
}

fn page(text: Result<String, std::fmt::Error>) -> Response {
    match text {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
