use actix_web::web;
use mainstay_client::format::ProductName;

use super::{
    Route, Shared, Who,
    auth::Staff,
    body::{self, Answer, Body, Made},
    route::route,
};
use crate::{
    service::safeguard::{CreateSafeguard, LiftSafeguard, SafeguardReach, Safeguards},
    store::{Role, SafeguardRecord},
};

const SAFEGUARDS: &str = "/v1/products/{product}/safeguards";
const GUARDING: &[Role] = &[Role::Publisher, Role::Support];

pub(super) const ROUTES: &[Route] = &[
    route!(
        GET,
        SAFEGUARDS,
        Who::Vendor(&Role::ALL),
        safeguards,
        "List the safeguards of a product."
    ),
    route!(
        POST,
        SAFEGUARDS,
        Who::Vendor(GUARDING),
        create_safeguard,
        "Hold releases back from machines on which they do harm."
    ),
    route!(
        POST,
        "/v1/products/{product}/safeguards/preview",
        Who::Vendor(GUARDING),
        preview_safeguard,
        "Say which machines a safeguard would reach. Nothing is done."
    ),
    route!(
        POST,
        "/v1/products/{product}/safeguards/{number}/lift",
        Who::Vendor(GUARDING),
        lift_safeguard,
        "Lift a safeguard."
    ),
];

async fn safeguards(service: Shared, _: Staff, product: web::Path<String>) -> Answer<Safeguards> {
    let product: ProductName = product.parse()?;
    body::ok(&service.safeguards(&product).await?)
}

async fn create_safeguard(
    service: Shared,
    Staff(actor): Staff,
    product: web::Path<String>,
    body: Body<CreateSafeguard>,
) -> Made<SafeguardRecord> {
    let product: ProductName = product.parse()?;
    let request = body.read(&service).await?;
    body::created(&service.create_safeguard(&actor, &product, request).await?)
}

async fn preview_safeguard(
    service: Shared,
    Staff(actor): Staff,
    product: web::Path<String>,
    body: Body<CreateSafeguard>,
) -> Answer<SafeguardReach> {
    let product: ProductName = product.parse()?;
    let request = body.read(&service).await?;
    body::ok(&service.preview_safeguard(&actor, &product, request).await?)
}

async fn lift_safeguard(
    service: Shared,
    Staff(actor): Staff,
    path: web::Path<(String, u64)>,
    body: Body<LiftSafeguard>,
) -> Answer<SafeguardRecord> {
    let (product, number): (ProductName, u64) = (path.0.parse()?, path.1);
    let request = body.read(&service).await?;
    body::ok(&service.lift_safeguard(&actor, &product, number, request).await?)
}
