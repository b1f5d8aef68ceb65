use actix_web::{http::Method, web};
use mainstay_client::format::{CustomerName, OrganisationName};

use super::{ApiResult, Route, Shared, Who, auth::Staff, body};
use crate::{service::organisation::CreateOrganisation, store::Role};

const ACCOUNT: &[Role] = &[Role::Account];
const LOOKING: &[Role] = &[Role::Account, Role::Support, Role::Viewer];
const ONE: &str = "/v1/organisations/{organisation}";
const SERVED: &str = "/v1/organisations/{organisation}/customers/{customer}";

pub(super) const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/v1/organisations", Who::Vendor(LOOKING), || web::to(organisations)),
    Route::new(Method::POST, "/v1/organisations", Who::Vendor(ACCOUNT), || web::to(create)),
    Route::new(Method::GET, ONE, Who::Vendor(LOOKING), || web::to(organisation)),
    Route::new(Method::PUT, SERVED, Who::Vendor(ACCOUNT), || web::to(serve)),
    Route::new(Method::DELETE, SERVED, Who::Vendor(ACCOUNT), || web::to(stop_serving)),
];

async fn organisations(service: Shared, _: Staff) -> ApiResult {
    body::ok(&service.organisations().await?)
}

async fn create(service: Shared, Staff(actor): Staff, payload: web::Payload) -> ApiResult {
    let request: CreateOrganisation = body::read(&service, payload).await?;
    body::created(&service.create_organisation(&actor, request).await?)
}

async fn organisation(service: Shared, _: Staff, name: web::Path<String>) -> ApiResult {
    let name: OrganisationName = name.parse()?;
    body::ok(&service.organisation(&name).await?)
}

async fn serve(
    service: Shared,
    Staff(actor): Staff,
    path: web::Path<(String, String)>,
) -> ApiResult {
    let (name, customer): (OrganisationName, CustomerName) = (path.0.parse()?, path.1.parse()?);
    body::ok(&service.serve_customer(&actor, &name, customer).await?)
}

async fn stop_serving(
    service: Shared,
    Staff(actor): Staff,
    path: web::Path<(String, String)>,
) -> ApiResult {
    let (name, customer): (OrganisationName, CustomerName) = (path.0.parse()?, path.1.parse()?);
    body::ok(&service.stop_serving_customer(&actor, &name, &customer).await?)
}
