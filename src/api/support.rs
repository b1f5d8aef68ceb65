use actix_web::{http::Method, web};
use mainstay_client::format::{MachineName, Version};
use serde::Deserialize;

use super::{ApiResult, Route, Shared, Who, auth::Staff, body};
use crate::{
    service::{seats::RetireMachine, support::OrderRollback},
    store::Role,
};

const LOOKING: &[Role] = &[Role::Account, Role::Support, Role::Viewer];

pub(super) const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/v1/machines", Who::Staff(LOOKING), || web::to(machines)),
    Route::new(Method::GET, "/v1/machines/{machine}", Who::Staff(LOOKING), || web::to(machine)),
    Route::new(Method::GET, "/v1/machines/{machine}/explain", Who::Staff(LOOKING), || {
        web::to(explain)
    }),
    Route::new(Method::GET, "/v1/machines/{machine}/path", Who::Staff(LOOKING), || {
        web::to(upgrade_path)
    }),
    Route::new(
        Method::POST,
        "/v1/machines/{machine}/rollback",
        Who::Staff(&[Role::Support]),
        || web::to(order_rollback),
    ),
    Route::new(
        Method::POST,
        "/v1/machines/{machine}/retire",
        Who::Staff(&[Role::Support, Role::Account]),
        || web::to(retire_machine),
    ),
    Route::new(Method::GET, "/v1/audit", Who::Vendor(&[Role::Support, Role::Viewer]), || {
        web::to(audit_trail)
    }),
];

async fn machines(service: Shared, Staff(actor): Staff) -> ApiResult {
    body::ok(&service.machines(&actor).await?)
}

async fn machine(service: Shared, Staff(actor): Staff, name: web::Path<String>) -> ApiResult {
    let name: MachineName = name.parse()?;
    body::ok(&service.machine(&actor, &name).await?)
}

async fn explain(service: Shared, Staff(actor): Staff, name: web::Path<String>) -> ApiResult {
    let name: MachineName = name.parse()?;
    body::ok(&service.explain(&actor, &name).await?)
}

#[derive(Deserialize)]
struct To {
    to: Option<Version>,
}

async fn upgrade_path(
    service: Shared,
    Staff(actor): Staff,
    name: web::Path<String>,
    query: web::Query<To>,
) -> ApiResult {
    let name: MachineName = name.parse()?;
    body::ok(&service.upgrade_path(&actor, &name, query.to.as_ref()).await?)
}

async fn order_rollback(
    service: Shared,
    Staff(actor): Staff,
    name: web::Path<String>,
    payload: web::Payload,
) -> ApiResult {
    let name: MachineName = name.parse()?;
    let request: OrderRollback = body::read(&service, payload).await?;
    body::created(&service.order_rollback(&actor, &name, request).await?)
}

async fn retire_machine(
    service: Shared,
    Staff(actor): Staff,
    name: web::Path<String>,
    payload: web::Payload,
) -> ApiResult {
    let name: MachineName = name.parse()?;
    let request: RetireMachine = body::read(&service, payload).await?;
    body::ok(&service.retire_machine(&actor, &name, request).await?)
}

#[derive(Deserialize)]
struct After {
    #[serde(default)]
    after: u64,
}

async fn audit_trail(service: Shared, _: Staff, query: web::Query<After>) -> ApiResult {
    body::ok(&service.audit_trail(query.after).await?)
}
