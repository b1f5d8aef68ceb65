use actix_web::web;

use super::{
    Route, Shared, Who,
    auth::Staff,
    body::{self, Answer, Body, Done, Made},
    problem::ApiError,
    route::route,
};
use crate::{
    service::{
        ServiceError,
        webhook::{CreateEndpoint, DisableEndpoint, IssuedEndpoint, ListDeliveries, RotateSecret},
    },
    store::{DeliveryRecord, EndpointRecord, Role},
};

const LOOKING: &[Role] = &[Role::Account, Role::Support, Role::Viewer];
const ONE: &str = "/v1/webhooks/{webhook}";

pub(super) const ROUTES: &[Route] = &[
    route!(
        GET,
        "/v1/webhooks",
        Who::Vendor(LOOKING),
        webhooks,
        "List where notifications are sent to."
    ),
    route!(
        POST,
        "/v1/webhooks",
        Who::Vendor(&[]),
        create_webhook,
        "Add an endpoint: an address that takes webhooks, or a mailbox."
    ),
    route!(GET, ONE, Who::Vendor(LOOKING), webhook, "Show an endpoint."),
    route!(
        DELETE,
        ONE,
        Who::Vendor(&[]),
        delete_webhook,
        "Remove an endpoint with its deliveries."
    ),
    route!(
        POST,
        "/v1/webhooks/{webhook}/disable",
        Who::Vendor(&[]),
        disable_webhook,
        "Send nothing to an endpoint until it is enabled."
    ),
    route!(
        POST,
        "/v1/webhooks/{webhook}/enable",
        Who::Vendor(&[]),
        enable_webhook,
        "Send to an endpoint again."
    ),
    route!(
        POST,
        "/v1/webhooks/{webhook}/rotate",
        Who::Vendor(&[]),
        rotate_webhook,
        "Give an endpoint a new secret, which is shown this once."
    ),
    route!(
        GET,
        "/v1/deliveries",
        Who::Vendor(LOOKING),
        deliveries,
        "Say what has become of notifications, the newest first."
    ),
    route!(
        POST,
        "/v1/deliveries/{delivery}/replay",
        Who::Vendor(&[Role::Support]),
        replay_delivery,
        "Have a delivery tried again from the beginning."
    ),
];

async fn webhooks(service: Shared, _: Staff) -> Answer<Vec<EndpointRecord>> {
    body::ok(&service.endpoints().await?)
}

async fn create_webhook(
    service: Shared,
    Staff(actor): Staff,
    body: Body<CreateEndpoint>,
) -> Made<IssuedEndpoint> {
    let request = body.read(&service).await?;
    body::created(&service.create_endpoint(&actor, request).await?)
}

async fn webhook(service: Shared, _: Staff, id: web::Path<String>) -> Answer<EndpointRecord> {
    body::ok(&service.endpoint(&id).await?)
}

async fn delete_webhook(
    service: Shared,
    Staff(actor): Staff,
    id: web::Path<String>,
) -> Result<Done, ApiError> {
    service.delete_endpoint(&actor, &id).await?;
    Ok(Done)
}

async fn disable_webhook(
    service: Shared,
    Staff(actor): Staff,
    id: web::Path<String>,
    body: Body<DisableEndpoint>,
) -> Answer<EndpointRecord> {
    let request = body.read(&service).await?;
    body::ok(&service.disable_endpoint(&actor, &id, request).await?)
}

async fn enable_webhook(
    service: Shared,
    Staff(actor): Staff,
    id: web::Path<String>,
) -> Answer<EndpointRecord> {
    body::ok(&service.enable_endpoint(&actor, &id).await?)
}

async fn rotate_webhook(
    service: Shared,
    Staff(actor): Staff,
    id: web::Path<String>,
    body: Body<RotateSecret>,
) -> Answer<IssuedEndpoint> {
    let request = body.read(&service).await?;
    body::ok(&service.rotate_secret(&actor, &id, request).await?)
}

async fn deliveries(
    service: Shared,
    _: Staff,
    query: web::Query<ListDeliveries>,
) -> Answer<Vec<DeliveryRecord>> {
    body::ok(&service.deliveries(&query).await?)
}

async fn replay_delivery(
    service: Shared,
    Staff(actor): Staff,
    number: web::Path<String>,
) -> Answer<DeliveryRecord> {
    let number = number.parse().map_err(|_| {
        let shown = number.chars().take(80).collect::<String>();
        ServiceError::input(format!(
            "delivery `{}` is not valid: expected the number of one",
            shown.escape_debug()
        ))
    })?;
    body::ok(&service.replay_delivery(&actor, number).await?)
}
