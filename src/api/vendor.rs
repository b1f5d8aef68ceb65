use actix_web::{HttpRequest, web};
use mainstay_client::format::{
    Digest, ProductName,
    wire::{AmendMetadataRequest, CreateProductRequest, PublishRequest, RetireRequest},
};
use serde::Deserialize;

use super::{ApiResult, Shared, auth::Staff, body};
use crate::store::Role;

pub(super) fn configure(config: &mut web::ServiceConfig) {
    config
        .route("/v1/server-keys", web::get().to(server_keys))
        .route("/v1/status", web::get().to(status))
        .route("/v1/products", web::get().to(products))
        .route("/v1/products", web::post().to(create_product))
        .route("/v1/products/{product}/publishing", web::get().to(publishing_state))
        .route("/v1/products/{product}/metadata", web::post().to(amend_metadata))
        .route("/v1/products/{product}/releases", web::get().to(releases))
        .route("/v1/products/{product}/releases", web::post().to(publish))
        .route("/v1/products/{product}/retirements", web::post().to(retire))
        .route("/v1/uploads/{digest}", web::get().to(upload_state))
        .route("/v1/uploads/{digest}", web::patch().to(upload));
}

async fn server_keys(service: Shared, staff: Staff) -> ApiResult {
    staff.require(&[Role::Publisher]).await?;
    body::ok(&service.server_keys())
}

async fn status(service: Shared, staff: Staff) -> ApiResult {
    staff.require(&Role::ALL).await?;
    body::ok(&service.status().await?)
}

async fn products(service: Shared, staff: Staff) -> ApiResult {
    staff.require(&Role::ALL).await?;
    body::ok(&service.products().await?)
}

async fn create_product(service: Shared, staff: Staff, payload: web::Payload) -> ApiResult {
    let actor = staff.require(&[Role::Publisher]).await?;
    let request: CreateProductRequest = body::read(&service, payload).await?;
    body::created(&service.create_product(&actor, request).await?)
}

async fn publishing_state(
    service: Shared,
    staff: Staff,
    request: HttpRequest,
    product: web::Path<String>,
) -> ApiResult {
    staff.require(&[Role::Publisher]).await?;
    let product: ProductName = product.parse()?;
    body::ok_with_metadata(&service, &request, &service.publishing_state(&product).await?)
}

async fn amend_metadata(
    service: Shared,
    staff: Staff,
    product: web::Path<String>,
    payload: web::Payload,
) -> ApiResult {
    let actor = staff.require(&[Role::Publisher]).await?;
    let product: ProductName = product.parse()?;
    let request: AmendMetadataRequest = body::read(&service, payload).await?;
    body::created(&service.amend_metadata(&actor, &product, request).await?)
}

async fn releases(service: Shared, staff: Staff, product: web::Path<String>) -> ApiResult {
    staff.require(&Role::ALL).await?;
    let product: ProductName = product.parse()?;
    body::ok(&service.releases(&product).await?)
}

async fn publish(
    service: Shared,
    staff: Staff,
    product: web::Path<String>,
    payload: web::Payload,
) -> ApiResult {
    let actor = staff.require(&[Role::Publisher]).await?;
    let product: ProductName = product.parse()?;
    let request: PublishRequest = body::read(&service, payload).await?;
    body::created(&service.publish(&actor, &product, request).await?)
}

async fn retire(
    service: Shared,
    staff: Staff,
    product: web::Path<String>,
    payload: web::Payload,
) -> ApiResult {
    let actor = staff.require(&[Role::Publisher]).await?;
    let product: ProductName = product.parse()?;
    let request: RetireRequest = body::read(&service, payload).await?;
    body::created(&service.retire(&actor, &product, request).await?)
}

async fn upload_state(service: Shared, staff: Staff, digest: web::Path<String>) -> ApiResult {
    staff.require(&[Role::Publisher]).await?;
    let digest: Digest = digest.parse()?;
    body::ok(&service.upload_state(&digest).await?)
}

#[derive(Deserialize)]
struct Position {
    offset: u64,
    length: u64,
}

async fn upload(
    service: Shared,
    staff: Staff,
    digest: web::Path<String>,
    position: web::Query<Position>,
    payload: web::Payload,
) -> ApiResult {
    staff.require(&[Role::Publisher]).await?;
    let digest: Digest = digest.parse()?;
    let Position { offset, length } = position.into_inner();
    let content = body::pieces(payload, service.limits().body_piece_timeout);
    body::ok(&service.upload(&digest, offset, length, content).await?)
}
