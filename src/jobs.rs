//! Background work.

use std::{sync::Arc, time::Duration};

use crate::service::Service;

/// How often it is looked whether anything is to be done.
const INTERVAL: Duration = Duration::from_mins(5);

/// Keeps the online metadata fresh. It ends when its task is aborted.
pub async fn run(service: Arc<Service>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match service.renew_repositories().await {
            Ok(0) => {}
            Ok(renewed) => tracing::info!(renewed, "signed online metadata anew"),
            Err(error) => {
                let source = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(%error, source, "online metadata could not be signed anew");
            }
        }
    }
}
