//! Deltas are made, one at a time, for what machines run.

use std::{sync::Arc, time::Duration};

use crate::{
    measures::Job,
    service::{Service, chain, delta::DeltaTurn},
};

/// How often it is looked whether there is something to do, where nothing is published. Other servers
/// may have made some meanwhile.
const INTERVAL: Duration = Duration::from_secs(20);
/// How long it is waited after something went wrong.
const INTERVAL_AFTER_ERROR: Duration = Duration::from_mins(1);

/// Makes deltas until the server stops. What it was making when it is aborted is made again by the next.
pub async fn run(service: Arc<Service>) {
    if let Err(error) = service.take_back_deltas().await {
        tracing::error!(error = chain(&error), "deltas of before could not be looked at");
    }
    loop {
        let pause = match service.work_on_deltas().await {
            Ok(DeltaTurn::Stopping) => return,
            Ok(DeltaTurn::Done) => continue,
            Ok(DeltaTurn::Idle) => {
                service.measures().succeeded(Job::Deltas, service.now());
                INTERVAL
            }
            Err(error) => {
                tracing::error!(error = chain(&error), "deltas could not be worked on");
                INTERVAL_AFTER_ERROR
            }
        };
        let _or_after_a_while = tokio::time::timeout(pause, service.delta_to_make()).await;
    }
}
