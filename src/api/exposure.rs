use actix_web::web;

use super::{
    Route, Shared, Who,
    auth::Staff,
    body::{self, Answer},
    route::route,
};
use crate::{
    service::exposure::{AskPatching, ExposurePage, ListExposure, PatchingReport},
    store::Role,
};

const LOOKING: &[Role] = &[Role::Publisher, Role::Account, Role::Support, Role::Viewer];

pub(super) const ROUTES: &[Route] = &[
    route!(
        GET,
        "/v1/exposure",
        Who::Staff(LOOKING),
        exposure,
        "Say which machines lack the fix of an advisory, since when and why, a page at a time."
    ),
    route!(
        GET,
        "/v1/exposure/patching",
        Who::Staff(LOOKING),
        patching,
        "Say how long machines took to the fix of an advisory, by tier."
    ),
];

async fn exposure(
    service: Shared,
    Staff(actor): Staff,
    question: web::Query<ListExposure>,
) -> Answer<ExposurePage> {
    body::ok(&service.exposure(&actor, question.into_inner()).await?)
}

async fn patching(
    service: Shared,
    Staff(actor): Staff,
    question: web::Query<AskPatching>,
) -> Answer<PatchingReport> {
    body::ok(&service.patching(&actor, question.into_inner()).await?)
}
