//! Background work.

use std::{sync::Arc, time::Duration};

use crate::service::{Service, ServiceError, chain, repository::Renewals};

/// How often it is looked whether anything is to be done.
const INTERVAL: Duration = Duration::from_mins(5);

/// Keeps the online metadata fresh. It ends when its task is aborted.
pub async fn run(service: Arc<Service>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        renew(&service).await;
    }
}

/// Signs anew what is due. A server does this before it listens, too: after a long rest its
/// timestamps have expired, and no machine should get one of those.
pub async fn renew(service: &Service) {
    match service.renew_repositories().await {
        Ok(Renewals { renewed, failed }) => {
            if renewed > 0 {
                tracing::info!(renewed, "signed online metadata anew");
            }
            for (product, error) in failed {
                tell(Some(product.as_str()), &error);
            }
        }
        Err(error) => tell(None, &error),
    }
}

fn tell(product: Option<&str>, error: &ServiceError) {
    tracing::error!(product, error = chain(error), "online metadata could not be signed anew");
}
