use actix_web::{HttpRequest, web};
use mainstay_client::{
    format::{
        Digest, PrivateChannelName, ProductName,
        wire::{
            AmendMetadataRequest, AmendMetadataResponse, CreateProductRequest, PublishResponse,
            PublishingState, RetireRequest, RetireResponse, ServerKeys, UploadState,
        },
    },
    pack::PayloadIdentity,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Route, Shared, Who,
    auth::Staff,
    body::{self, Answer, Body, Made},
    coding,
    route::route,
};
use crate::{
    policy::lifecycle::LineView,
    service::{
        delta::DeltaPage,
        private_channel::{CreatePrivateChannel, PrivateChannelView},
        publish::{PackedPayload, PublishRequest},
        status::ProductStatus,
    },
    store::{PrivateChannelRecord, ProductRecord, ReleaseRecord, Role},
};

const PUBLISHER: &[Role] = &[Role::Publisher];
const CHANNELS: &str = "/v1/products/{product}/channels";

pub(super) const ROUTES: &[Route] = &[
    route!(
        GET,
        "/v1/server-keys",
        Who::Vendor(PUBLISHER),
        server_keys,
        "Show the server's public keys."
    ),
    route!(
        GET,
        "/v1/status",
        Who::Vendor(&Role::ALL),
        status,
        "Say when metadata expires, and what renews it."
    ),
    route!(GET, "/v1/products", Who::Vendor(&Role::ALL), products, "List the products."),
    route!(
        POST,
        "/v1/products",
        Who::Vendor(PUBLISHER),
        create_product,
        "Register a product with its signed root and targets."
    ),
    route!(
        GET,
        "/v1/products/{product}/publishing",
        Who::Vendor(PUBLISHER),
        publishing_state,
        "Fetch what the next signed document of a product is built upon."
    ),
    route!(
        POST,
        "/v1/products/{product}/metadata",
        Who::Vendor(PUBLISHER),
        amend_metadata,
        "Submit metadata that the vendor has signed anew."
    ),
    route!(
        GET,
        "/v1/products/{product}/lines",
        Who::Vendor(&Role::ALL),
        lines,
        "List the lines of a product with their dates."
    ),
    route!(
        GET,
        "/v1/products/{product}/deltas",
        Who::Vendor(&Role::ALL),
        deltas,
        "List the deltas of a product, and what they have saved."
    ),
    route!(
        GET,
        "/v1/products/{product}/releases",
        Who::Vendor(&Role::ALL),
        releases,
        "List the releases of a product."
    ),
    route!(
        POST,
        "/v1/products/{product}/releases",
        Who::Vendor(PUBLISHER),
        publish,
        "Publish a release whose blobs are uploaded."
    ),
    route!(
        POST,
        "/v1/products/{product}/retirements",
        Who::Vendor(PUBLISHER),
        retire_releases,
        "Move releases from their channels to the archive."
    ),
    route!(
        GET,
        CHANNELS,
        Who::Vendor(&Role::ALL),
        private_channels,
        "List the private channels of a product."
    ),
    route!(
        POST,
        CHANNELS,
        Who::Vendor(PUBLISHER),
        create_private_channel,
        "Add a private channel for a customer."
    ),
    route!(
        POST,
        "/v1/products/{product}/channels/{channel}/end",
        Who::Vendor(PUBLISHER),
        end_private_channel,
        "End a private channel."
    ),
    route!(
        GET,
        "/v1/uploads/{digest}",
        Who::Vendor(PUBLISHER),
        upload_state,
        "Say how much of a blob has arrived."
    ),
    route!(
        PATCH,
        "/v1/uploads/{digest}",
        Who::Vendor(PUBLISHER),
        upload,
        "Upload a blob, or the rest of it."
    ),
];

async fn server_keys(service: Shared, _: Staff) -> Answer<ServerKeys> {
    body::ok(&service.server_keys())
}

async fn status(service: Shared, _: Staff) -> Answer<Vec<ProductStatus>> {
    body::ok(&service.status().await?)
}

async fn products(service: Shared, _: Staff) -> Answer<Vec<ProductRecord>> {
    body::ok(&service.products().await?)
}

async fn create_product(
    service: Shared,
    Staff(actor): Staff,
    body: Body<CreateProductRequest>,
) -> Made<ProductRecord> {
    let request = body.read(&service).await?;
    body::created(&service.create_product(&actor, request).await?)
}

async fn publishing_state(
    service: Shared,
    _: Staff,
    request: HttpRequest,
    product: web::Path<String>,
) -> Answer<PublishingState> {
    let product: ProductName = product.parse()?;
    let state = service.publishing_state(&product).await?;
    let takes_zstd = coding::takes_zstd(request.headers());
    Ok(body::ok_encoded(body::encoded_with_metadata(&service, takes_zstd, &state)?))
}

async fn amend_metadata(
    service: Shared,
    Staff(actor): Staff,
    product: web::Path<String>,
    body: Body<AmendMetadataRequest>,
) -> Made<AmendMetadataResponse> {
    let product: ProductName = product.parse()?;
    let request = body.read(&service).await?;
    body::created(&service.amend_metadata(&actor, &product, request).await?)
}

async fn lines(service: Shared, _: Staff, product: web::Path<String>) -> Answer<Vec<LineView>> {
    let product: ProductName = product.parse()?;
    body::ok(&service.lines(&product).await?)
}

async fn deltas(service: Shared, _: Staff, product: web::Path<String>) -> Answer<DeltaPage> {
    let product: ProductName = product.parse()?;
    body::ok(&service.deltas(&product).await?)
}

async fn releases(
    service: Shared,
    _: Staff,
    product: web::Path<String>,
) -> Answer<Vec<ReleaseRecord>> {
    let product: ProductName = product.parse()?;
    body::ok(&service.releases(&product).await?)
}

async fn publish(
    service: Shared,
    Staff(actor): Staff,
    product: web::Path<String>,
    body: Body<PublishRequest>,
) -> Made<PublishResponse> {
    let product: ProductName = product.parse()?;
    let request = body.read(&service).await?;
    body::created(&service.publish(&actor, &product, request).await?)
}

async fn retire_releases(
    service: Shared,
    Staff(actor): Staff,
    product: web::Path<String>,
    body: Body<RetireRequest>,
) -> Made<RetireResponse> {
    let product: ProductName = product.parse()?;
    let request = body.read(&service).await?;
    body::created(&service.retire(&actor, &product, request).await?)
}

async fn private_channels(
    service: Shared,
    _: Staff,
    product: web::Path<String>,
) -> Answer<Vec<PrivateChannelView>> {
    let product: ProductName = product.parse()?;
    body::ok(&service.private_channels(&product).await?)
}

async fn create_private_channel(
    service: Shared,
    Staff(actor): Staff,
    product: web::Path<String>,
    body: Body<CreatePrivateChannel>,
) -> Made<PrivateChannelRecord> {
    let product: ProductName = product.parse()?;
    let request = body.read(&service).await?;
    body::created(&service.create_private_channel(&actor, &product, request).await?)
}

async fn end_private_channel(
    service: Shared,
    Staff(actor): Staff,
    path: web::Path<(String, String)>,
) -> Answer<PrivateChannelRecord> {
    let (product, name): (ProductName, PrivateChannelName) = (path.0.parse()?, path.1.parse()?);
    body::ok(&service.end_private_channel(&actor, &product, &name).await?)
}

async fn upload_state(service: Shared, _: Staff, digest: web::Path<String>) -> Answer<UploadState> {
    let digest: Digest = digest.parse()?;
    body::ok(&service.upload_state(&digest).await?)
}

#[derive(Deserialize, JsonSchema)]
struct Position {
    /// Where in the blob these bytes begin: as many as have arrived.
    offset: u64,
    /// How many bytes these are.
    length: u64,
    /// Of an artifact, how many bytes it decompresses to. Where this and the two that follow are said, it may
    /// be read as it arrives, and publishing it takes less time.
    payload_length: Option<u64>,
    /// Of an artifact, the digest of those bytes.
    payload_sha256: Option<Digest>,
    /// Of an artifact, the binary logarithm of the window that decompressing takes, in bytes.
    window_log: Option<u32>,
}

impl Position {
    fn artifact(&self, sha256: Digest) -> Option<PackedPayload> {
        let payload =
            PayloadIdentity { length: self.payload_length?, sha256: self.payload_sha256? };
        Some(PackedPayload { sha256, payload, window_log: self.window_log? })
    }
}

async fn upload(
    service: Shared,
    _: Staff,
    digest: web::Path<String>,
    position: web::Query<Position>,
    payload: web::Payload,
) -> Answer<UploadState> {
    let digest: Digest = digest.parse()?;
    let Position { offset, length, .. } = *position;
    let artifact = position.artifact(digest);
    let content = body::pieces(payload, service.limits().body_piece_timeout);
    body::ok(&service.upload(&digest, offset, length, artifact, content).await?)
}
