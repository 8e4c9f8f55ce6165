//! Serving as a relay: the same door for agents as an aggregator has, and no store behind it.

use std::future::IntoFuture as _;
use std::sync::Arc;

use nodeward_proto::MESSAGE_LIMIT_BYTES;
use nodeward_proto::v1::report_service_server::ReportServiceServer;
use tonic::service::interceptor::InterceptedService;

use super::{
    Door, STOP_LIMIT, ServeError, address, listen, look_for_ever, server_for_others,
    stopped_by_signals, told_to_stop,
};
use crate::config::{ConfigError, RelayConfig};
use crate::connections::{self, Connections};
use crate::relay::{Relay, RelayMetrics};
use crate::{access, http, tls};

/// Hands on until SIGTERM or SIGINT.
pub async fn relay(config: &RelayConfig) -> Result<(), ServeError> {
    let settings = config.way()?;
    let stopped = stopped_by_signals()?;
    let way = Arc::new(settings.open().map_err(ServeError::Way)?);
    let common = config.as_aggregator();
    let pages = listen("--http-listen", common.http_listen()).await?;
    let mut door = Door::open(&common).await?;
    let (Some(listener), Some(shown)) = (door.tls.take(), door.certificates.tls.clone()) else {
        return Err(ConfigError::RelayUnreached.into());
    };
    door.certificates.relay = Some(Arc::clone(&way));
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        cluster = way.get().cluster,
        to = settings.url,
        http = %address(&pages),
        tls = address(&listener),
        "relay starts"
    );
    let metrics = Arc::new(RelayMetrics::new(door.certificates.clone()));
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<ReportServiceServer<Relay>>().await;
    let handed_on = ReportServiceServer::new(Relay::new(way, Arc::clone(&metrics)))
        .max_decoding_message_size(MESSAGE_LIMIT_BYTES);
    let limit = connections::limit();
    let agents = server_for_others()
        .add_service(health)
        .add_service(InterceptedService::new(handed_on, access::shows_certificate))
        .add_optional_service(door.enrol())
        .serve_with_incoming_shutdown(
            tls::incoming(Connections::of(listener, limit), shown),
            told_to_stop(stopped.clone()),
        );
    let pages = axum::serve(Connections::of(pages, limit), http::relay_router(metrics))
        .with_graceful_shutdown(told_to_stop(stopped.clone()))
        .into_future();
    let served = async {
        let (agents, pages) = tokio::join!(agents, pages);
        agents.map_err(ServeError::from).and(pages.map_err(ServeError::Http))
    };
    let late = async {
        told_to_stop(stopped.clone()).await;
        tokio::time::sleep(STOP_LIMIT).await;
    };
    tokio::select! {
        result = served => result,
        () = look_for_ever(&door.certificates) => Ok(()),
        () = late => {
            tracing::warn!("connections were still open when the time to stop was over");
            Ok(())
        }
    }
}
