use actix_web::{HttpRequest, http::Method, web};
use mainstay_client::format::{
    Digest, ProductName,
    wire::{AmendMetadataRequest, CreateProductRequest, PublishRequest, RetireRequest},
};
use serde::Deserialize;

use super::{ApiResult, Route, Shared, Who, auth::Staff, body};
use crate::store::Role;

const PUBLISHER: &[Role] = &[Role::Publisher];

pub(super) const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/v1/server-keys", Who::Vendor(PUBLISHER), || web::to(server_keys)),
    Route::new(Method::GET, "/v1/status", Who::Vendor(&Role::ALL), || web::to(status)),
    Route::new(Method::GET, "/v1/products", Who::Vendor(&Role::ALL), || web::to(products)),
    Route::new(Method::POST, "/v1/products", Who::Vendor(PUBLISHER), || web::to(create_product)),
    Route::new(Method::GET, "/v1/products/{product}/publishing", Who::Vendor(PUBLISHER), || {
        web::to(publishing_state)
    }),
    Route::new(Method::POST, "/v1/products/{product}/metadata", Who::Vendor(PUBLISHER), || {
        web::to(amend_metadata)
    }),
    Route::new(Method::GET, "/v1/products/{product}/lines", Who::Vendor(&Role::ALL), || {
        web::to(lines)
    }),
    Route::new(Method::GET, "/v1/products/{product}/releases", Who::Vendor(&Role::ALL), || {
        web::to(releases)
    }),
    Route::new(Method::POST, "/v1/products/{product}/releases", Who::Vendor(PUBLISHER), || {
        web::to(publish)
    }),
    Route::new(Method::POST, "/v1/products/{product}/retirements", Who::Vendor(PUBLISHER), || {
        web::to(retire)
    }),
    Route::new(Method::GET, "/v1/uploads/{digest}", Who::Vendor(PUBLISHER), || {
        web::to(upload_state)
    }),
    Route::new(Method::PATCH, "/v1/uploads/{digest}", Who::Vendor(PUBLISHER), || web::to(upload)),
];

async fn server_keys(service: Shared, _: Staff) -> ApiResult {
    body::ok(&service.server_keys())
}

async fn status(service: Shared, _: Staff) -> ApiResult {
    body::ok(&service.status().await?)
}

async fn products(service: Shared, _: Staff) -> ApiResult {
    body::ok(&service.products().await?)
}

async fn create_product(service: Shared, Staff(actor): Staff, payload: web::Payload) -> ApiResult {
    let request: CreateProductRequest = body::read(&service, payload).await?;
    body::created(&service.create_product(&actor, request).await?)
}

async fn publishing_state(
    service: Shared,
    _: Staff,
    request: HttpRequest,
    product: web::Path<String>,
) -> ApiResult {
    let product: ProductName = product.parse()?;
    body::ok_with_metadata(&service, &request, &service.publishing_state(&product).await?)
}

async fn amend_metadata(
    service: Shared,
    Staff(actor): Staff,
    product: web::Path<String>,
    payload: web::Payload,
) -> ApiResult {
    let product: ProductName = product.parse()?;
    let request: AmendMetadataRequest = body::read(&service, payload).await?;
    body::created(&service.amend_metadata(&actor, &product, request).await?)
}

async fn lines(service: Shared, _: Staff, product: web::Path<String>) -> ApiResult {
    let product: ProductName = product.parse()?;
    body::ok(&service.lines(&product).await?)
}

async fn releases(service: Shared, _: Staff, product: web::Path<String>) -> ApiResult {
    let product: ProductName = product.parse()?;
    body::ok(&service.releases(&product).await?)
}

async fn publish(
    service: Shared,
    Staff(actor): Staff,
    product: web::Path<String>,
    payload: web::Payload,
) -> ApiResult {
    let product: ProductName = product.parse()?;
    let request: PublishRequest = body::read(&service, payload).await?;
    body::created(&service.publish(&actor, &product, request).await?)
}

async fn retire(
    service: Shared,
    Staff(actor): Staff,
    product: web::Path<String>,
    payload: web::Payload,
) -> ApiResult {
    let product: ProductName = product.parse()?;
    let request: RetireRequest = body::read(&service, payload).await?;
    body::created(&service.retire(&actor, &product, request).await?)
}

async fn upload_state(service: Shared, _: Staff, digest: web::Path<String>) -> ApiResult {
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
    _: Staff,
    digest: web::Path<String>,
    position: web::Query<Position>,
    payload: web::Payload,
) -> ApiResult {
    let digest: Digest = digest.parse()?;
    let Position { offset, length } = position.into_inner();
    let content = body::pieces(payload, service.limits().body_piece_timeout);
    body::ok(&service.upload(&digest, offset, length, content).await?)
}
