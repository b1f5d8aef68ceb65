use actix_web::{HttpResponse, web};
use mainstay_client::format::{MachineName, wire::CollectionRefusal};

use super::{
    Route, Shared, Who,
    auth::{Machine, Staff},
    body::{self, Answer, Body, Done, Sent, SentKind},
    problem::ApiError,
    route::route,
};
use crate::store::{BundleRecord, Role};

const SUPPORTING: &[Role] = &[Role::Support];

pub(super) const ROUTES: &[Route] = &[
    route!(
        PUT,
        "/v1/collections/{order}",
        Who::Machine,
        send_bundle,
        "Send the support bundle that an order asks for."
    ),
    route!(
        POST,
        "/v1/collections/{order}/refusal",
        Who::Machine,
        refuse_collection,
        "Say why the support bundle that an order asks for is not sent."
    ),
    route!(
        GET,
        "/v1/machines/{machine}/bundles",
        Who::Staff(SUPPORTING),
        bundles,
        "List the support bundles of a machine that are kept."
    ),
    route!(
        GET,
        "/v1/machines/{machine}/bundles/{order}",
        Who::Staff(SUPPORTING),
        bundle,
        "Fetch a support bundle. The audit trail says who did."
    ),
];

/// A support bundle.
struct SupportBundle;

impl SentKind for SupportBundle {
    const CONTENT_TYPE: &str = "application/zstd";
    const DESCRIPTION: &str = "The support bundle: a tar file that is compressed by zstd.";
}

async fn send_bundle(
    service: Shared,
    Machine(machine): Machine,
    order: web::Path<u64>,
    payload: web::Payload,
) -> Result<Done, ApiError> {
    let content = body::pieces(payload, service.limits().body_piece_timeout);
    service.take_in_bundle(machine, *order, content).await?;
    Ok(Done)
}

async fn refuse_collection(
    service: Shared,
    Machine(machine): Machine,
    order: web::Path<u64>,
    body: Body<CollectionRefusal>,
) -> Result<Done, ApiError> {
    let refusal = body.read_from_machine(&service).await?;
    service.refuse_collection(machine, *order, refusal).await?;
    Ok(Done)
}

async fn bundles(
    service: Shared,
    Staff(actor): Staff,
    name: web::Path<String>,
) -> Answer<Vec<BundleRecord>> {
    let name: MachineName = name.parse()?;
    body::ok(&service.bundles(&actor, &name).await?)
}

async fn bundle(
    service: Shared,
    Staff(actor): Staff,
    path: web::Path<(String, u64)>,
) -> Result<Sent<SupportBundle>, ApiError> {
    let (name, order) = path.into_inner();
    let name: MachineName = name.parse()?;
    let bytes = service.bundle(&actor, &name, order).await?;
    let mut response = HttpResponse::Ok();
    Ok(response.content_type(SupportBundle::CONTENT_TYPE).body(bytes).into())
}
