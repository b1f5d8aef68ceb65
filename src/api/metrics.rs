use actix_web::HttpResponse;
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use super::{
    Route, Shared, Who,
    auth::Staff,
    body::{Sent, SentKind},
    problem::ApiError,
    route::route,
};
use crate::{
    service::{
        ServiceError,
        status::{OnlineKeyState, ProductStatus, RenewedBy},
    },
    store::Role,
};

pub(super) const ROUTES: &[Route] = &[route!(
    GET,
    "/metrics",
    Who::Vendor(&Role::ALL),
    metrics,
    "Measures for a monitoring system."
)];

/// What a monitoring system reads. Product names are the vendor's affair, so it bears a token.
async fn metrics(service: Shared, _: Staff) -> Result<Sent<Metrics>, ApiError> {
    let text = encode(&service.status().await?).map_err(ServiceError::internal)?;
    let content_type = format!("{}; version=1.0.0; charset=utf-8", Metrics::CONTENT_TYPE);
    Ok(HttpResponse::Ok().content_type(content_type).body(text).into())
}

struct Metrics;

impl SentKind for Metrics {
    const CONTENT_TYPE: &str = "application/openmetrics-text";
    const DESCRIPTION: &str = "The measures, as OpenMetrics has them.";
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RoleLabels {
    product: String,
    role: String,
    renewed_by: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProductLabels {
    product: String,
}

fn encode(status: &[ProductStatus]) -> Result<String, std::fmt::Error> {
    let expires = Family::<RoleLabels, Gauge>::default();
    let able_to_sign = Family::<ProductLabels, Gauge>::default();
    for ProductStatus { product, roles, online_keys, .. } in status {
        let product = product.to_string();
        for role in roles {
            let renewed_by = match role.renewed_by {
                RenewedBy::Server => "server",
                RenewedBy::Vendor => "vendor",
            };
            let labels =
                RoleLabels { product: product.clone(), role: role.role.clone(), renewed_by };
            expires.get_or_create(&labels).set(role.expires.as_second());
        }
        let is_able = *online_keys != OnlineKeyState::Lost;
        able_to_sign.get_or_create(&ProductLabels { product }).set(is_able.into());
    }
    let mut registry = Registry::with_prefix("mainstay");
    registry.register_with_unit(
        "metadata_expires_timestamp",
        "When machines stop trusting a role's metadata, since the epoch",
        Unit::Seconds,
        expires,
    );
    registry.register(
        "online_keys_authorised",
        "Whether the server holds the online keys that the vendor has authorised",
        able_to_sign,
    );
    let mut text = String::new();
    text::encode(&mut text, &registry)?;
    Ok(text)
}
