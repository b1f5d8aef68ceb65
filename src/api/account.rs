use actix_web::{HttpResponse, http::Method, web};
use mainstay_client::format::{ContractName, CustomerName};

use super::{ApiResult, Route, Shared, Who, auth::Staff, body};
use crate::{
    service::{
        access::CreateToken,
        contract::{
            AmendContract, CreateActivationKey, CreateContract, CreateCustomer, ExplainContract,
        },
        import::ImportContracts,
    },
    store::Role,
};

const ACCOUNT: &[Role] = &[Role::Account];
const LOOKING: &[Role] = &[Role::Account, Role::Support, Role::Viewer];

pub(super) const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/v1/customers", Who::Staff(LOOKING), || web::to(customers)),
    Route::new(Method::POST, "/v1/customers", Who::Vendor(ACCOUNT), || web::to(create_customer)),
    Route::new(Method::GET, "/v1/customers/{customer}", Who::Staff(LOOKING), || web::to(customer)),
    Route::new(Method::GET, "/v1/tiers", Who::Vendor(LOOKING), || web::to(tiers)),
    Route::new(Method::GET, "/v1/contracts", Who::Staff(LOOKING), || web::to(contracts)),
    Route::new(Method::POST, "/v1/contracts", Who::Vendor(ACCOUNT), || web::to(create_contract)),
    Route::new(Method::POST, "/v1/contracts/import", Who::Vendor(ACCOUNT), || {
        web::to(import_contracts)
    }),
    Route::new(Method::GET, "/v1/contracts/{contract}", Who::Staff(LOOKING), || web::to(contract)),
    Route::new(Method::GET, "/v1/contracts/{contract}/seats", Who::Staff(LOOKING), || {
        web::to(contract_seats)
    }),
    Route::new(Method::POST, "/v1/contracts/{contract}/amendments", Who::Vendor(ACCOUNT), || {
        web::to(amend_contract)
    }),
    Route::new(Method::POST, "/v1/contracts/{contract}/explain", Who::Staff(LOOKING), || {
        web::to(explain_contract)
    }),
    Route::new(
        Method::POST,
        "/v1/contracts/{contract}/activation-keys",
        Who::Vendor(ACCOUNT),
        || web::to(create_activation_key),
    ),
    Route::new(Method::GET, "/v1/tokens", Who::Vendor(&[]), || web::to(tokens)),
    Route::new(Method::POST, "/v1/tokens", Who::Vendor(&[]), || web::to(create_token)),
    Route::new(Method::DELETE, "/v1/tokens/{id}", Who::Vendor(&[]), || web::to(revoke_token)),
];

async fn customers(service: Shared, Staff(actor): Staff) -> ApiResult {
    body::ok(&service.customers(&actor).await?)
}

async fn create_customer(service: Shared, Staff(actor): Staff, payload: web::Payload) -> ApiResult {
    let request: CreateCustomer = body::read(&service, payload).await?;
    body::created(&service.create_customer(&actor, request).await?)
}

async fn customer(service: Shared, Staff(actor): Staff, name: web::Path<String>) -> ApiResult {
    let name: CustomerName = name.parse()?;
    body::ok(&service.customer(&actor, &name).await?)
}

async fn tiers(service: Shared, _: Staff) -> ApiResult {
    body::ok(service.tiers())
}

async fn contracts(service: Shared, Staff(actor): Staff) -> ApiResult {
    body::ok(&service.contracts(&actor).await?)
}

async fn create_contract(service: Shared, Staff(actor): Staff, payload: web::Payload) -> ApiResult {
    let request: CreateContract = body::read(&service, payload).await?;
    body::created(&service.create_contract(&actor, request).await?)
}

async fn import_contracts(
    service: Shared,
    Staff(actor): Staff,
    payload: web::Payload,
) -> ApiResult {
    let request: ImportContracts = body::read(&service, payload).await?;
    body::ok(&service.import_contracts(&actor, request).await?)
}

async fn contract(service: Shared, Staff(actor): Staff, name: web::Path<String>) -> ApiResult {
    let name: ContractName = name.parse()?;
    body::ok(&service.contract(&actor, &name).await?)
}

async fn contract_seats(
    service: Shared,
    Staff(actor): Staff,
    name: web::Path<String>,
) -> ApiResult {
    let name: ContractName = name.parse()?;
    body::ok(&service.contract_seats(&actor, &name).await?)
}

async fn amend_contract(
    service: Shared,
    Staff(actor): Staff,
    name: web::Path<String>,
    payload: web::Payload,
) -> ApiResult {
    let name: ContractName = name.parse()?;
    let request: AmendContract = body::read(&service, payload).await?;
    body::created(&service.amend_contract(&actor, &name, request).await?)
}

async fn explain_contract(
    service: Shared,
    Staff(actor): Staff,
    name: web::Path<String>,
    payload: web::Payload,
) -> ApiResult {
    let name: ContractName = name.parse()?;
    let question: ExplainContract = body::read(&service, payload).await?;
    body::ok(&service.explain_contract(&actor, &name, question).await?)
}

async fn create_activation_key(
    service: Shared,
    Staff(actor): Staff,
    name: web::Path<String>,
    payload: web::Payload,
) -> ApiResult {
    let name: ContractName = name.parse()?;
    let request: CreateActivationKey = body::read(&service, payload).await?;
    body::created(&service.create_activation_key(&actor, name, request).await?)
}

async fn tokens(service: Shared, _: Staff) -> ApiResult {
    body::ok(&service.tokens().await?)
}

async fn create_token(service: Shared, Staff(actor): Staff, payload: web::Payload) -> ApiResult {
    let request: CreateToken = body::read(&service, payload).await?;
    body::created(&service.create_token(&actor, request).await?)
}

async fn revoke_token(service: Shared, Staff(actor): Staff, id: web::Path<String>) -> ApiResult {
    service.revoke_token(&actor, &id).await?;
    Ok(HttpResponse::NoContent().finish())
}
