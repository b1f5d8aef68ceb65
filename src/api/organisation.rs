use actix_web::web;
use mainstay_client::format::{CustomerName, OrganisationName};

use super::{
    Route, Shared, Who,
    auth::Staff,
    body::{self, Answer, Body, Made},
    route::route,
};
use crate::{
    service::organisation::CreateOrganisation,
    store::{OrganisationRecord, Role},
};

const ACCOUNT: &[Role] = &[Role::Account];
const LOOKING: &[Role] = &[Role::Account, Role::Support, Role::Viewer];
const ONE: &str = "/v1/organisations/{organisation}";
const SERVED: &str = "/v1/organisations/{organisation}/customers/{customer}";

pub(super) const ROUTES: &[Route] = &[
    route!(
        GET,
        "/v1/organisations",
        Who::Vendor(LOOKING),
        organisations,
        "List the organisations that support customers."
    ),
    route!(
        POST,
        "/v1/organisations",
        Who::Vendor(ACCOUNT),
        create_organisation,
        "Add an organisation."
    ),
    route!(GET, ONE, Who::Vendor(LOOKING), organisation, "Show an organisation."),
    route!(
        PUT,
        SERVED,
        Who::Vendor(ACCOUNT),
        serve_customer,
        "Let an organisation serve a customer."
    ),
    route!(
        DELETE,
        SERVED,
        Who::Vendor(ACCOUNT),
        stop_serving_customer,
        "End it that an organisation serves a customer."
    ),
];

async fn organisations(service: Shared, _: Staff) -> Answer<Vec<OrganisationRecord>> {
    body::ok(&service.organisations().await?)
}

async fn create_organisation(
    service: Shared,
    Staff(actor): Staff,
    body: Body<CreateOrganisation>,
) -> Made<OrganisationRecord> {
    let request = body.read(&service).await?;
    body::created(&service.create_organisation(&actor, request).await?)
}

async fn organisation(
    service: Shared,
    _: Staff,
    name: web::Path<String>,
) -> Answer<OrganisationRecord> {
    let name: OrganisationName = name.parse()?;
    body::ok(&service.organisation(&name).await?)
}

async fn serve_customer(
    service: Shared,
    Staff(actor): Staff,
    path: web::Path<(String, String)>,
) -> Answer<OrganisationRecord> {
    let (name, customer): (OrganisationName, CustomerName) = (path.0.parse()?, path.1.parse()?);
    body::ok(&service.serve_customer(&actor, &name, customer).await?)
}

async fn stop_serving_customer(
    service: Shared,
    Staff(actor): Staff,
    path: web::Path<(String, String)>,
) -> Answer<OrganisationRecord> {
    let (name, customer): (OrganisationName, CustomerName) = (path.0.parse()?, path.1.parse()?);
    body::ok(&service.stop_serving_customer(&actor, &name, &customer).await?)
}
