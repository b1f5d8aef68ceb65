use actix_web::{HttpResponse, web};
use mainstay_client::format::{ContractName, CustomerName};

use super::{ApiResult, Shared, auth::Staff, body};
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

pub(super) fn configure(config: &mut web::ServiceConfig) {
    config
        .route("/v1/customers", web::get().to(customers))
        .route("/v1/customers", web::post().to(create_customer))
        .route("/v1/customers/{customer}", web::get().to(customer))
        .route("/v1/tiers", web::get().to(tiers))
        .route("/v1/contracts", web::get().to(contracts))
        .route("/v1/contracts", web::post().to(create_contract))
        .route("/v1/contracts/import", web::post().to(import_contracts))
        .route("/v1/contracts/{contract}", web::get().to(contract))
        .route("/v1/contracts/{contract}/amendments", web::post().to(amend_contract))
        .route("/v1/contracts/{contract}/explain", web::post().to(explain_contract))
        .route("/v1/contracts/{contract}/activation-keys", web::post().to(create_activation_key))
        .route("/v1/tokens", web::get().to(tokens))
        .route("/v1/tokens", web::post().to(create_token))
        .route("/v1/tokens/{id}", web::delete().to(revoke_token));
}

async fn customers(service: Shared, staff: Staff) -> ApiResult {
    staff.require(&[Role::Account, Role::Support, Role::Viewer]).await?;
    body::ok(&service.customers().await?)
}

async fn create_customer(service: Shared, staff: Staff, payload: web::Payload) -> ApiResult {
    let actor = staff.require(&[Role::Account]).await?;
    let request: CreateCustomer = body::read(&service, payload).await?;
    body::created(&service.create_customer(&actor, request).await?)
}

async fn customer(service: Shared, staff: Staff, name: web::Path<String>) -> ApiResult {
    staff.require(&[Role::Account, Role::Support, Role::Viewer]).await?;
    let name: CustomerName = name.parse()?;
    body::ok(&service.customer(&name).await?)
}

async fn tiers(service: Shared, staff: Staff) -> ApiResult {
    staff.require(&[Role::Account, Role::Support, Role::Viewer]).await?;
    body::ok(service.tiers())
}

async fn contracts(service: Shared, staff: Staff) -> ApiResult {
    staff.require(&[Role::Account, Role::Support, Role::Viewer]).await?;
    body::ok(&service.contracts().await?)
}

async fn create_contract(service: Shared, staff: Staff, payload: web::Payload) -> ApiResult {
    let actor = staff.require(&[Role::Account]).await?;
    let request: CreateContract = body::read(&service, payload).await?;
    body::created(&service.create_contract(&actor, request).await?)
}

async fn import_contracts(service: Shared, staff: Staff, payload: web::Payload) -> ApiResult {
    let actor = staff.require(&[Role::Account]).await?;
    let request: ImportContracts = body::read(&service, payload).await?;
    body::ok(&service.import_contracts(&actor, request).await?)
}

async fn contract(service: Shared, staff: Staff, name: web::Path<String>) -> ApiResult {
    staff.require(&[Role::Account, Role::Support, Role::Viewer]).await?;
    let name: ContractName = name.parse()?;
    body::ok(&service.contract(&name).await?)
}

async fn amend_contract(
    service: Shared,
    staff: Staff,
    name: web::Path<String>,
    payload: web::Payload,
) -> ApiResult {
    let actor = staff.require(&[Role::Account]).await?;
    let name: ContractName = name.parse()?;
    let request: AmendContract = body::read(&service, payload).await?;
    body::created(&service.amend_contract(&actor, &name, request).await?)
}

async fn explain_contract(
    service: Shared,
    staff: Staff,
    name: web::Path<String>,
    payload: web::Payload,
) -> ApiResult {
    staff.require(&[Role::Account, Role::Support, Role::Viewer]).await?;
    let name: ContractName = name.parse()?;
    let question: ExplainContract = body::read(&service, payload).await?;
    body::ok(&service.explain_contract(&name, question).await?)
}

async fn create_activation_key(
    service: Shared,
    staff: Staff,
    name: web::Path<String>,
    payload: web::Payload,
) -> ApiResult {
    let actor = staff.require(&[Role::Account]).await?;
    let name: ContractName = name.parse()?;
    let request: CreateActivationKey = body::read(&service, payload).await?;
    body::created(&service.create_activation_key(&actor, name, request).await?)
}

async fn tokens(service: Shared, staff: Staff) -> ApiResult {
    staff.require(&[]).await?;
    body::ok(&service.tokens().await?)
}

async fn create_token(service: Shared, staff: Staff, payload: web::Payload) -> ApiResult {
    let actor = staff.require(&[]).await?;
    let request: CreateToken = body::read(&service, payload).await?;
    body::created(&service.create_token(&actor, request).await?)
}

async fn revoke_token(service: Shared, staff: Staff, id: web::Path<String>) -> ApiResult {
    let actor = staff.require(&[]).await?;
    service.revoke_token(&actor, &id).await?;
    Ok(HttpResponse::NoContent().finish())
}
