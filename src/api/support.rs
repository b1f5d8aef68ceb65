use actix_web::web;
use mainstay_client::format::{MachineName, Version};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Route, Shared, Who,
    auth::Staff,
    body::{self, Answer, Body, Made},
    route::route,
};
use crate::{
    policy::UpgradePath,
    service::{
        Hidden,
        action::{ActOnMachine, ActionOutcome},
        census::{CensusPage, ListCensus, ListMachines, MachinePage},
        seats::RetireMachine,
        story::{MachineView, ShowMachine},
        support::{Explanation, OrderRollback},
    },
    store::{AuditHead, AuditRecord, MachineRecord, OrderRecord, Role},
};

const LOOKING: &[Role] = &[Role::Account, Role::Support, Role::Viewer];

pub(super) const ROUTES: &[Route] = &[
    route!(
        GET,
        "/v1/census",
        Who::Staff(LOOKING),
        census,
        "Say how many machines run what, a page at a time."
    ),
    route!(GET, "/v1/machines", Who::Staff(LOOKING), machines, "List machines, a page at a time."),
    route!(
        GET,
        "/v1/machines/{machine}",
        Who::Staff(LOOKING),
        machine,
        "Show a machine's story: what it runs, what happened on it, what it was and will be told, and why."
    ),
    route!(
        GET,
        "/v1/machines/{machine}/explain",
        Who::Staff(LOOKING),
        explain_machine,
        "Say for every release why a machine gets it or does not."
    ),
    route!(
        GET,
        "/v1/machines/{machine}/path",
        Who::Staff(LOOKING),
        upgrade_path,
        "Say by which hops a machine gets to a version, and what its contract lacks for them."
    ),
    route!(
        POST,
        "/v1/machines/{machine}/rollback",
        Who::Staff(&[Role::Support]),
        order_rollback,
        "Order a machine to go back to a version."
    ),
    route!(
        POST,
        "/v1/machines/{machine}/actions",
        Who::Staff(&[Role::Support]),
        act_on_machine,
        "Hold a machine, pin it, block a version on it, or end one of these; have it try a version again; \
         ask it for a support bundle."
    ),
    route!(
        POST,
        "/v1/machines/{machine}/actions/preview",
        Who::Staff(&[Role::Support]),
        preview_action,
        "Say what would come of an action on a machine. Nothing is done."
    ),
    route!(
        POST,
        "/v1/machines/{machine}/retire",
        Who::Staff(&[Role::Support, Role::Account]),
        retire_machine,
        "Retire a machine: its seat is free, its token is not accepted."
    ),
    route!(
        GET,
        "/v1/audit",
        Who::Vendor(&[Role::Support, Role::Viewer]),
        audit_trail,
        "Say who changed what, a page at a time, the oldest first."
    ),
    route!(
        GET,
        "/v1/audit/head",
        Who::Vendor(&[Role::Support, Role::Viewer]),
        audit_head,
        "Say the newest record's place in the chain of the audit trail."
    ),
];

async fn census(
    service: Shared,
    Staff(actor): Staff,
    question: web::Query<ListCensus>,
) -> Answer<CensusPage> {
    body::ok(&service.census(&actor, question.into_inner()).await?)
}

async fn machines(
    service: Shared,
    Staff(actor): Staff,
    question: web::Query<ListMachines>,
) -> Answer<MachinePage> {
    body::ok(&service.machines(&actor, question.into_inner()).await?)
}

async fn machine(
    service: Shared,
    Staff(actor): Staff,
    name: web::Path<String>,
    question: web::Query<ShowMachine>,
) -> Answer<MachineView> {
    let name: MachineName = name.parse()?;
    body::ok(&service.story(&actor, &name, question.into_inner()).await?)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ExplainMachine {
    /// Whether releases that the customer is not to know of are among them.
    #[serde(default)]
    hidden: Hidden,
}

async fn explain_machine(
    service: Shared,
    Staff(actor): Staff,
    name: web::Path<String>,
    query: web::Query<ExplainMachine>,
) -> Answer<Vec<Explanation>> {
    let name: MachineName = name.parse()?;
    body::ok(&service.explain(&actor, &name, query.hidden).await?)
}

#[derive(Deserialize, JsonSchema)]
struct To {
    /// The version to get to; the newest of the newest line that is supported where it is absent.
    to: Option<Version>,
}

async fn upgrade_path(
    service: Shared,
    Staff(actor): Staff,
    name: web::Path<String>,
    query: web::Query<To>,
) -> Answer<UpgradePath> {
    let name: MachineName = name.parse()?;
    body::ok(&service.upgrade_path(&actor, &name, query.to.as_ref()).await?)
}

async fn order_rollback(
    service: Shared,
    Staff(actor): Staff,
    name: web::Path<String>,
    body: Body<OrderRollback>,
) -> Made<OrderRecord> {
    let name: MachineName = name.parse()?;
    let request = body.read(&service).await?;
    body::created(&service.order_rollback(&actor, &name, request).await?)
}

async fn act_on_machine(
    service: Shared,
    Staff(actor): Staff,
    name: web::Path<String>,
    body: Body<ActOnMachine>,
) -> Answer<ActionOutcome> {
    let name: MachineName = name.parse()?;
    let request = body.read(&service).await?;
    body::ok(&service.act_on_machine(&actor, &name, request).await?)
}

async fn preview_action(
    service: Shared,
    Staff(actor): Staff,
    name: web::Path<String>,
    body: Body<ActOnMachine>,
) -> Answer<ActionOutcome> {
    let name: MachineName = name.parse()?;
    let request = body.read(&service).await?;
    body::ok(&service.preview_action(&actor, &name, request).await?)
}

async fn retire_machine(
    service: Shared,
    Staff(actor): Staff,
    name: web::Path<String>,
    body: Body<RetireMachine>,
) -> Answer<MachineRecord> {
    let name: MachineName = name.parse()?;
    let request = body.read(&service).await?;
    body::ok(&service.retire_machine(&actor, &name, request).await?)
}

#[derive(Deserialize, JsonSchema)]
struct After {
    /// The number of the last record of the page before; none for the first page. A page has at most
    /// 1,000 records, and an empty one is the end.
    #[serde(default)]
    after: u64,
}

async fn audit_trail(
    service: Shared,
    _: Staff,
    query: web::Query<After>,
) -> Answer<Vec<AuditRecord>> {
    body::ok(&service.audit_trail(query.after).await?)
}

async fn audit_head(service: Shared, _: Staff) -> Answer<AuditHead> {
    body::ok(&service.audit_head().await?)
}
