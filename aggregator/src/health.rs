//! Whether the store commits, asked by committing something: for `/readyz`, and now and
//! then for whoever watches gRPC health.

use std::time::Duration;

use tonic::server::NamedService;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::store::Store;

/// The store must commit in this time.
const LIMIT: Duration = Duration::from_secs(2);

/// It is asked this often.
const EVERY: Duration = Duration::from_secs(5);

/// Why the store does not commit; none when it does.
pub async fn trouble(store: &dyn Store) -> Option<String> {
    match tokio::time::timeout(LIMIT, store.ping()).await {
        Ok(committed) => committed.err().map(|error| error.to_string()),
        Err(_) => Some(format!("store: no commit within {} s", LIMIT.as_secs())),
    }
}

/// Says for ever whether the server as a whole and the service `S`, which commits, serve.
/// Services that answer from memory go on.
pub async fn tell<S: NamedService>(store: &dyn Store, reporter: &HealthReporter) {
    let mut serves = true;
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let trouble = trouble(store).await;
        if trouble.is_none() == serves {
            continue;
        }
        serves = trouble.is_none();
        let status = match trouble {
            None => {
                tracing::info!("the store commits again");
                ServingStatus::Serving
            }
            Some(why) => {
                tracing::error!(why, "the store does not commit: reports are not acknowledged");
                ServingStatus::NotServing
            }
        };
        reporter.set_service_status("", status).await;
        reporter.set_service_status(S::NAME, status).await;
    }
}
