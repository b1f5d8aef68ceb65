use actix_web::web;
use mainstay_client::format::MachineName;
use serde::Deserialize;

use super::{ApiResult, Shared, auth::Staff, body};
use crate::{service::support::OrderRollback, store::Role};

pub(super) fn configure(config: &mut web::ServiceConfig) {
    config
        .route("/v1/machines", web::get().to(machines))
        .route("/v1/machines/{machine}", web::get().to(machine))
        .route("/v1/machines/{machine}/explain", web::get().to(explain))
        .route("/v1/machines/{machine}/rollback", web::post().to(order_rollback))
        .route("/v1/audit", web::get().to(audit_trail));
}

async fn machines(service: Shared, staff: Staff) -> ApiResult {
    staff.require(&[Role::Support, Role::Account, Role::Viewer]).await?;
    body::ok(&service.machines().await?)
}

async fn machine(service: Shared, staff: Staff, name: web::Path<String>) -> ApiResult {
    staff.require(&[Role::Support, Role::Account, Role::Viewer]).await?;
    let name: MachineName = name.parse()?;
    body::ok(&service.machine(&name).await?)
}

async fn explain(service: Shared, staff: Staff, name: web::Path<String>) -> ApiResult {
    staff.require(&[Role::Support, Role::Account, Role::Viewer]).await?;
    let name: MachineName = name.parse()?;
    body::ok(&service.explain(&name).await?)
}

async fn order_rollback(
    service: Shared,
    staff: Staff,
    name: web::Path<String>,
    payload: web::Payload,
) -> ApiResult {
    let actor = staff.require(&[Role::Support]).await?;
    let name: MachineName = name.parse()?;
    let request: OrderRollback = body::read(&service, payload).await?;
    body::created(&service.order_rollback(&actor, &name, request).await?)
}

#[derive(Deserialize)]
struct After {
    #[serde(default)]
    after: u64,
}

async fn audit_trail(service: Shared, staff: Staff, query: web::Query<After>) -> ApiResult {
    staff.require(&[Role::Support, Role::Viewer]).await?;
    body::ok(&service.audit_trail(query.after).await?)
}
