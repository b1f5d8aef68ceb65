//! The HTTP interface. Each handler authenticates, parses, calls one use case and encodes.
//!
//! | module | what is there |
//! |---|---|
//! | `machine` | the hot routes: check, report, enrol, the repository's files |
//! | `vendor` | products, releases, uploads |
//! | `rollout` | how releases spread |
//! | `account` | customers, contracts, tokens |
//! | `organisation` | support organisations, and whom they serve |
//! | `support` | the census, machines, rollback orders, the audit trail |
//! | `action` | what is ordered for several machines at once |
//! | `safeguard` | releases that are held back from machines on which they do harm |
//! | `exposure` | whom advisories still concern |
//! | `webhook` | where notifications are sent to, and what has become of them |
//! | `metrics` | what a monitoring system reads |
//! | `openapi` | the interface described |
//! | `route` | a route as a value: what is registered, and who may use it |
//! | `access` | answers followed to their ends, for the access log |
//! | `again` | checks that are answered as the ones before them, straight from a connection |
//! | `auth` | who asks, and whether the route is for them |
//! | `problem` | errors as RFC 9457 problem documents |
//! | `body`, `file` | bounded strict JSON in, ranges of blobs out |
//! | `coding` | who takes what compressed |

mod access;
mod account;
mod action;
mod again;
mod auth;
mod body;
mod coding;
mod collect;
mod exposure;
mod file;
mod machine;
mod metrics;
mod openapi;
mod organisation;
mod problem;
mod rollout;
mod route;
mod safeguard;
mod support;
mod vendor;
mod webhook;

use actix_web::{HttpResponse, middleware::from_fn, web};

pub use self::{
    again::{PlainCheck, check_again},
    file::SendsFiles,
    openapi::document,
    route::{Route, Who},
};
use crate::service::{ErrorClass, Service, ServiceError};
use body::{Sent, Word};
use problem::ApiError;
use route::{count, route};

/// The use cases, shared by all workers.
type Shared = web::Data<Service>;

/// Registers all routes; those that machines use all the time come first.
pub fn configure(config: &mut web::ServiceConfig) {
    config
        .app_data(web::QueryConfig::default().error_handler(|error, _| unreadable(&error).into()))
        .app_data(web::PathConfig::default().error_handler(|error, _| unreadable(&error).into()));
    for route in routes() {
        route.register(config);
    }
    let unknown = web::resource("{path:.*}").wrap(from_fn(count));
    config.service(unknown.default_service(web::to(no_such_route)));
}

const HEALTH_ROUTES: &[Route] = &[
    route!(GET, "/healthz", Who::Anyone, healthz, "Say that the process runs."),
    route!(GET, "/readyz", Who::Anyone, readyz, "Say whether requests can be served now."),
];

/// Every route, in the order in which they are tried.
pub fn routes() -> impl Iterator<Item = &'static Route> {
    let tables = [
        machine::ROUTES,
        vendor::ROUTES,
        rollout::ROUTES,
        account::ROUTES,
        organisation::ROUTES,
        support::ROUTES,
        action::ROUTES,
        collect::ROUTES,
        safeguard::ROUTES,
        exposure::ROUTES,
        webhook::ROUTES,
        metrics::ROUTES,
        openapi::ROUTES,
        HEALTH_ROUTES,
    ];
    tables.into_iter().flatten()
}

/// What actix-web could not make out of an address, as every other problem is told.
fn unreadable(error: &dyn std::fmt::Display) -> ApiError {
    ServiceError::input(format!("the address is not one of this server: {error}")).into()
}

/// The process runs.
async fn healthz() -> Sent<Word> {
    HttpResponse::Ok().content_type("text/plain").body("ok\n").into()
}

/// The store answers.
async fn readyz(service: Shared) -> Result<Sent<Word>, ApiError> {
    service.ready().await?;
    Ok(HttpResponse::Ok().content_type("text/plain").body("ready\n").into())
}

async fn no_such_route() -> Result<HttpResponse, ApiError> {
    Err(ServiceError::new(
        ErrorClass::NotFound,
        "NO_SUCH_ROUTE",
        "there is nothing at this address with this method",
    )
    .into())
}
