//! What was ordered for several machines is carried out, one machine after the other.

use std::{sync::Arc, time::Duration};

use crate::service::{Service, chain};

/// How often it is looked what machines have reported, where nothing new is ordered.
const INTERVAL: Duration = Duration::from_secs(15);

/// Carries out what is ordered, and what a server before this one has left. It ends when its task is
/// aborted; what it was doing is taken up again by the next.
pub async fn run(service: Arc<Service>) {
    loop {
        if let Err(error) = service.carry_out_actions().await {
            tracing::error!(error = chain(&error), "actions could not be carried out");
        }
        let _or_after_a_while = tokio::time::timeout(INTERVAL, service.action_to_carry_out()).await;
    }
}
