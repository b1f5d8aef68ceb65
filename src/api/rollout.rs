use actix_web::web;
use mainstay_client::format::{ProductName, Version};

use super::{
    Route, Shared, Who,
    auth::Staff,
    body::{self, Answer, Body},
    route::route,
};
use crate::{
    service::{
        ServiceResult,
        rollout::{
            ActOnRollout, ChangeStop, PlanRollout, ProductRollouts, RolloutOutcome, RolloutPlan,
            RolloutView,
        },
    },
    store::{Role, StopRecord},
};

/// Who has a hand in what becomes of a release: whoever publishes, and whoever is awake when it is bad.
const STEERING: &[Role] = &[Role::Publisher, Role::Support];

pub(super) const ROUTES: &[Route] = &[
    route!(
        GET,
        "/v1/products/{product}/rollouts",
        Who::Vendor(&Role::ALL),
        rollouts,
        "List the rollouts of a product, and say whether all its updates are stopped."
    ),
    route!(
        GET,
        "/v1/products/{product}/rollouts/{version}",
        Who::Vendor(&Role::ALL),
        rollout,
        "Show how a release spreads, and what became of it."
    ),
    route!(
        POST,
        "/v1/products/{product}/rollouts/{version}/plan",
        Who::Vendor(&Role::ALL),
        plan_rollout,
        "Say how many machines of which customers a rollout reaches, and when. Nothing is done."
    ),
    route!(
        POST,
        "/v1/products/{product}/rollouts/{version}/actions",
        Who::Vendor(STEERING),
        act_on_rollout,
        "Start, approve, pause, resume, finish or withdraw a rollout."
    ),
    route!(
        POST,
        "/v1/products/{product}/rollouts/{version}/actions/preview",
        Who::Vendor(STEERING),
        preview_rollout_action,
        "Say what would come of an action on a rollout. Nothing is done."
    ),
    route!(
        POST,
        "/v1/products/{product}/stop",
        Who::Vendor(STEERING),
        stop_product,
        "Stop all updates of a product."
    ),
    route!(
        POST,
        "/v1/products/{product}/unstop",
        Who::Vendor(STEERING),
        unstop_product,
        "Let the updates of a product go on."
    ),
];

type OfRelease = web::Path<(String, String)>;

fn release(path: &OfRelease) -> ServiceResult<(ProductName, Version)> {
    let (product, version) = &**path;
    Ok((product.parse()?, version.parse()?))
}

async fn rollouts(
    service: Shared,
    _: Staff,
    product: web::Path<String>,
) -> Answer<ProductRollouts> {
    let product: ProductName = product.parse()?;
    body::ok(&service.rollouts(&product).await?)
}

async fn rollout(service: Shared, _: Staff, path: OfRelease) -> Answer<RolloutView> {
    let (product, version) = release(&path)?;
    body::ok(&service.rollout(&product, &version).await?)
}

async fn plan_rollout(
    service: Shared,
    Staff(actor): Staff,
    path: OfRelease,
    body: Body<PlanRollout>,
) -> Answer<RolloutPlan> {
    let (product, version) = release(&path)?;
    let request = body.read(&service).await?;
    body::ok(&service.plan_rollout(&actor, &product, &version, request).await?)
}

async fn act_on_rollout(
    service: Shared,
    Staff(actor): Staff,
    path: OfRelease,
    body: Body<ActOnRollout>,
) -> Answer<RolloutOutcome> {
    let (product, version) = release(&path)?;
    let request = body.read(&service).await?;
    body::ok(&service.act_on_rollout(&actor, &product, &version, request).await?)
}

async fn preview_rollout_action(
    service: Shared,
    Staff(actor): Staff,
    path: OfRelease,
    body: Body<ActOnRollout>,
) -> Answer<RolloutOutcome> {
    let (product, version) = release(&path)?;
    let request = body.read(&service).await?;
    body::ok(&service.preview_rollout_action(&actor, &product, &version, request).await?)
}

async fn stop_product(
    service: Shared,
    Staff(actor): Staff,
    product: web::Path<String>,
    body: Body<ChangeStop>,
) -> Answer<StopRecord> {
    let product: ProductName = product.parse()?;
    let request = body.read(&service).await?;
    body::ok(&service.stop_product(&actor, &product, request).await?)
}

async fn unstop_product(
    service: Shared,
    Staff(actor): Staff,
    product: web::Path<String>,
    body: Body<ChangeStop>,
) -> Answer<StopRecord> {
    let product: ProductName = product.parse()?;
    let request = body.read(&service).await?;
    body::ok(&service.unstop_product(&actor, &product, request).await?)
}
