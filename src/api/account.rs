use actix_web::web;
use mainstay_client::format::{ContractName, CustomerName};

use super::{
    Route, Shared, Who,
    auth::Staff,
    body::{self, Answer, Body, Done, Made},
    problem::ApiError,
    route::route,
};
use crate::{
    policy::Tiers,
    service::{
        access::{CreateToken, IssuedToken},
        contract::{
            AmendContract, ContractExplanation, ContractView, CreateActivationKey, CreateContract,
            CreateCustomer, ExplainContract, IssuedActivationKey, TagCustomer,
        },
        decisions::{DecisionPage, ListDecisions},
        import::{ImportContracts, Imported},
        seats::ContractSeats,
    },
    store::{CustomerRecord, Role, TokenRecord},
};

const ACCOUNT: &[Role] = &[Role::Account];
const LOOKING: &[Role] = &[Role::Account, Role::Support, Role::Viewer];

pub(super) const ROUTES: &[Route] = &[
    route!(GET, "/v1/customers", Who::Staff(LOOKING), customers, "List the customers."),
    route!(POST, "/v1/customers", Who::Vendor(ACCOUNT), create_customer, "Add a customer."),
    route!(GET, "/v1/customers/{customer}", Who::Staff(LOOKING), customer, "Show a customer."),
    route!(
        POST,
        "/v1/customers/{customer}/tags",
        Who::Vendor(ACCOUNT),
        tag_customer,
        "Give a customer tags, or take them away."
    ),
    route!(
        GET,
        "/v1/tiers",
        Who::Vendor(LOOKING),
        tiers,
        "Say what each tier of contract stands for."
    ),
    route!(
        GET,
        "/v1/contracts",
        Who::Staff(LOOKING),
        contracts,
        "List the contracts with what they say now."
    ),
    route!(POST, "/v1/contracts", Who::Vendor(ACCOUNT), create_contract, "Make a contract."),
    route!(
        POST,
        "/v1/contracts/import",
        Who::Vendor(ACCOUNT),
        import_contracts,
        "Take over contracts from another system: all of them, or none."
    ),
    route!(
        GET,
        "/v1/contracts/{contract}",
        Who::Staff(LOOKING),
        contract,
        "Show a contract, its amendments and its seats."
    ),
    route!(
        GET,
        "/v1/contracts/{contract}/seats",
        Who::Staff(LOOKING),
        contract_seats,
        "Say which machines of a contract have a seat."
    ),
    route!(
        POST,
        "/v1/contracts/{contract}/amendments",
        Who::Vendor(ACCOUNT),
        amend_contract,
        "Amend a contract."
    ),
    route!(
        POST,
        "/v1/contracts/{contract}/explain",
        Who::Staff(LOOKING),
        explain_contract,
        "Say for every release of a product what a contract grants, and why."
    ),
    route!(
        POST,
        "/v1/contracts/{contract}/activation-keys",
        Who::Vendor(ACCOUNT),
        create_activation_key,
        "Make an activation key, by which machines enrol."
    ),
    route!(
        GET,
        "/v1/decisions",
        Who::Staff(LOOKING),
        decisions,
        "Say for every contract and release what the contract grants, and why, a page at a time."
    ),
    route!(
        GET,
        "/v1/tokens",
        Who::Vendor(&[]),
        tokens,
        "List the API tokens, without their secrets."
    ),
    route!(
        POST,
        "/v1/tokens",
        Who::Vendor(&[]),
        create_token,
        "Make an API token; its secret is shown this once."
    ),
    route!(DELETE, "/v1/tokens/{id}", Who::Vendor(&[]), revoke_token, "Revoke an API token."),
];

async fn customers(service: Shared, Staff(actor): Staff) -> Answer<Vec<CustomerRecord>> {
    body::ok(&service.customers(&actor).await?)
}

async fn create_customer(
    service: Shared,
    Staff(actor): Staff,
    body: Body<CreateCustomer>,
) -> Made<CustomerRecord> {
    let request = body.read(&service).await?;
    body::created(&service.create_customer(&actor, request).await?)
}

async fn customer(
    service: Shared,
    Staff(actor): Staff,
    name: web::Path<String>,
) -> Answer<CustomerRecord> {
    let name: CustomerName = name.parse()?;
    body::ok(&service.customer(&actor, &name).await?)
}

async fn tag_customer(
    service: Shared,
    Staff(actor): Staff,
    customer: web::Path<String>,
    body: Body<TagCustomer>,
) -> Answer<CustomerRecord> {
    let customer: CustomerName = customer.parse()?;
    let request = body.read(&service).await?;
    body::ok(&service.tag_customer(&actor, &customer, request).await?)
}

async fn tiers(service: Shared, _: Staff) -> Answer<Tiers> {
    body::ok(service.tiers())
}

async fn contracts(service: Shared, Staff(actor): Staff) -> Answer<Vec<ContractView>> {
    body::ok(&service.contracts(&actor).await?)
}

async fn create_contract(
    service: Shared,
    Staff(actor): Staff,
    body: Body<CreateContract>,
) -> Made<ContractView> {
    let request = body.read(&service).await?;
    body::created(&service.create_contract(&actor, request).await?)
}

async fn import_contracts(
    service: Shared,
    Staff(actor): Staff,
    body: Body<ImportContracts>,
) -> Answer<Imported> {
    let request = body.read(&service).await?;
    body::ok(&service.import_contracts(&actor, request).await?)
}

async fn contract(
    service: Shared,
    Staff(actor): Staff,
    name: web::Path<String>,
) -> Answer<ContractView> {
    let name: ContractName = name.parse()?;
    body::ok(&service.contract(&actor, &name).await?)
}

async fn contract_seats(
    service: Shared,
    Staff(actor): Staff,
    name: web::Path<String>,
) -> Answer<ContractSeats> {
    let name: ContractName = name.parse()?;
    body::ok(&service.contract_seats(&actor, &name).await?)
}

async fn amend_contract(
    service: Shared,
    Staff(actor): Staff,
    name: web::Path<String>,
    body: Body<AmendContract>,
) -> Made<ContractView> {
    let name: ContractName = name.parse()?;
    let request = body.read(&service).await?;
    body::created(&service.amend_contract(&actor, &name, request).await?)
}

async fn explain_contract(
    service: Shared,
    Staff(actor): Staff,
    name: web::Path<String>,
    body: Body<ExplainContract>,
) -> Answer<Vec<ContractExplanation>> {
    let name: ContractName = name.parse()?;
    let question = body.read(&service).await?;
    body::ok(&service.explain_contract(&actor, &name, question).await?)
}

async fn decisions(
    service: Shared,
    Staff(actor): Staff,
    question: web::Query<ListDecisions>,
) -> Answer<DecisionPage> {
    body::ok(&service.decisions(&actor, question.into_inner()).await?)
}

async fn create_activation_key(
    service: Shared,
    Staff(actor): Staff,
    name: web::Path<String>,
    body: Body<CreateActivationKey>,
) -> Made<IssuedActivationKey> {
    let name: ContractName = name.parse()?;
    let request = body.read(&service).await?;
    body::created(&service.create_activation_key(&actor, name, request).await?)
}

async fn tokens(service: Shared, _: Staff) -> Answer<Vec<TokenRecord>> {
    body::ok(&service.tokens().await?)
}

async fn create_token(
    service: Shared,
    Staff(actor): Staff,
    body: Body<CreateToken>,
) -> Made<IssuedToken> {
    let request = body.read(&service).await?;
    body::created(&service.create_token(&actor, request).await?)
}

async fn revoke_token(
    service: Shared,
    Staff(actor): Staff,
    id: web::Path<String>,
) -> Result<Done, ApiError> {
    service.revoke_token(&actor, &id).await?;
    Ok(Done)
}
