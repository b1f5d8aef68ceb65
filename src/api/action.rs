use actix_web::web;

use super::{
    Route, Shared, Who,
    auth::Staff,
    body::{self, Answer, Body, Made},
    problem::ApiError,
    route::route,
};
use crate::{
    service::{
        ServiceError,
        actions::{
            ActionPreview, ActionProgress, ActionSummary, ChangeAction, ListActions, OrderAction,
            WantedAction,
        },
    },
    store::{ActionId, Role},
};

const LOOKING: &[Role] = &[Role::Account, Role::Support, Role::Viewer];
const ACTING: &[Role] = &[Role::Support];

pub(super) const ROUTES: &[Route] = &[
    route!(
        GET,
        "/v1/actions",
        Who::Staff(LOOKING),
        actions,
        "List what was ordered for several machines at once, the newest first."
    ),
    route!(
        POST,
        "/v1/actions",
        Who::Staff(ACTING),
        order_action,
        "Order an action over the machines that were shown."
    ),
    route!(
        POST,
        "/v1/actions/preview",
        Who::Staff(ACTING),
        preview_actions,
        "Say what would come of an action over several machines. Nothing is done."
    ),
    route!(
        GET,
        "/v1/actions/{action}",
        Who::Staff(LOOKING),
        action,
        "Show how far an action over several machines has come, machine by machine."
    ),
    route!(
        POST,
        "/v1/actions/{action}/approve",
        Who::Staff(ACTING),
        approve_action,
        "Agree to an action over many machines that somebody else has ordered."
    ),
    route!(
        POST,
        "/v1/actions/{action}/cancel",
        Who::Staff(ACTING),
        cancel_action,
        "Have nothing more done for an action over several machines."
    ),
];

async fn actions(
    service: Shared,
    Staff(actor): Staff,
    question: web::Query<ListActions>,
) -> Answer<Vec<ActionSummary>> {
    body::ok(&service.actions(&actor, question.into_inner()).await?)
}

async fn order_action(
    service: Shared,
    Staff(actor): Staff,
    body: Body<OrderAction>,
) -> Made<ActionProgress> {
    let request = body.read(&service).await?;
    body::created(&service.order_action(&actor, request).await?)
}

async fn preview_actions(
    service: Shared,
    Staff(actor): Staff,
    body: Body<WantedAction>,
) -> Answer<ActionPreview> {
    let request = body.read(&service).await?;
    body::ok(&service.preview_actions(&actor, request).await?)
}

async fn action(
    service: Shared,
    Staff(actor): Staff,
    id: web::Path<String>,
) -> Answer<ActionProgress> {
    body::ok(&service.action_progress(&actor, &named(&id)?).await?)
}

async fn approve_action(
    service: Shared,
    Staff(actor): Staff,
    id: web::Path<String>,
    body: Body<ChangeAction>,
) -> Answer<ActionProgress> {
    let id = named(&id)?;
    let request = body.read(&service).await?;
    body::ok(&service.approve_action(&actor, &id, request).await?)
}

async fn cancel_action(
    service: Shared,
    Staff(actor): Staff,
    id: web::Path<String>,
    body: Body<ChangeAction>,
) -> Answer<ActionProgress> {
    let id = named(&id)?;
    let request = body.read(&service).await?;
    body::ok(&service.cancel_action(&actor, &id, request).await?)
}

fn named(id: &str) -> Result<ActionId, ApiError> {
    id.parse().map_err(|problem: String| ServiceError::input(problem).into())
}
