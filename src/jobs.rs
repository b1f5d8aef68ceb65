//! Background work.

pub mod actions;
pub mod deliveries;
pub mod deltas;

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};

use crate::{
    access_log::AccessLog,
    measures::Job,
    service::{Service, ServiceError, chain, repository::Renewals},
};

/// How often it is looked whether anything is to be done. After a computer was suspended, or its clock set,
/// machines are given what has expired for so long at the most.
const INTERVAL: Duration = Duration::from_secs(20);

/// How long lines of the access log wait for others.
const ACCESS_LOG_INTERVAL: Duration = Duration::from_secs(1);

/// How often the log is told what only the vendor can renew.
const WARNING_INTERVAL: SignedDuration = SignedDuration::from_hours(24);

/// How often it is looked which contracts and lines end and which fixes are due.
const DATES_INTERVAL: SignedDuration = SignedDuration::from_hours(1);

/// Writes down when machines were last heard of, keeps the online metadata fresh, warns of what only the vendor can renew, has contracts and lines that
/// end and fixes that are due be told, and notes which rollouts have come to their end. It ends when its task is aborted.
pub async fn run(service: Arc<Service>) {
    let (mut warned, mut looked) = (None, None);
    loop {
        warned = warn(&service, warned).await;
        looked = look_at_dates(&service, looked).await;
        tokio::time::sleep(INTERVAL).await;
        write_seen(&service).await;
        renew(&service).await;
        finish_rollouts(&service).await;
    }
}

/// Writes the access log. It ends when its task is aborted.
pub async fn write_access_log(log: Arc<AccessLog>) {
    loop {
        let _either = tokio::time::timeout(ACCESS_LOG_INTERVAL, log.until_due()).await;
        if log.has_lines() {
            let log = Arc::clone(&log);
            let _written = tokio::task::spawn_blocking(move || log.write()).await;
        }
    }
}

/// Writes down when machines were last heard of.
pub async fn write_seen(service: &Service) {
    if let Err(error) = service.write_seen().await {
        tracing::error!(error = chain(&error), "when machines were last heard of is not written");
    }
}

async fn finish_rollouts(service: &Service) {
    if let Err(error) = service.finish_rollouts().await {
        tracing::error!(error = chain(&error), "rollouts could not be noted as finished");
    }
}

/// Warns, unless that was done less than a day ago. Says when it was done last.
async fn warn(service: &Service, before: Option<Timestamp>) -> Option<Timestamp> {
    let is_due =
        before.is_none_or(|before| service.now().duration_since(before) >= WARNING_INTERVAL);
    if !is_due {
        return before;
    }
    match service.warn(before).await {
        Ok(now) => {
            service.measures().succeeded(Job::ExpiryWarning, now);
            Some(now)
        }
        Err(error) => {
            tracing::error!(error = chain(&error), "what expires could not be looked at");
            before
        }
    }
}

/// Looks which contracts and lines end and which fixes are due, and forgets what was delivered long ago and
/// support bundles that were kept for long enough, unless that was done less than an hour ago. Says when it
/// was done last.
async fn look_at_dates(service: &Service, before: Option<Timestamp>) -> Option<Timestamp> {
    let now = service.now();
    if before.is_some_and(|before| now.duration_since(before) < DATES_INTERVAL) {
        return before;
    }
    let dates = service.announce_dates().await.and(service.announce_breaches().await);
    let done = dates.and(service.forget_deliveries().await).and(service.forget_bundles().await);
    match done {
        Ok(()) => {
            service.measures().succeeded(Job::Dates, now);
            Some(now)
        }
        Err(error) => {
            tracing::error!(error = chain(&error), "what ends and what is due was not told");
            before
        }
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
            if failed.is_empty() {
                service.measures().succeeded(Job::Renewal, service.now());
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
