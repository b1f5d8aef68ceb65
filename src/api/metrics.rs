use actix_web::HttpResponse;
use jiff::Timestamp;
use mainstay_client::format::ChannelName;
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
        Service, ServiceError,
        status::{OnlineKeyState, ProductStatus, RenewedBy, RoleStatus},
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
    let status = service.status().await?;
    let dead = service.dead_deliveries().await?;
    let text = encode(&service, &status, dead).map_err(ServiceError::internal)?;
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

fn encode(
    service: &Service,
    status: &[ProductStatus],
    dead_deliveries: u64,
) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    service.measures().encode(&mut text)?;
    let mut registry = expiry(status);
    let dead = Gauge::<i64>::default();
    dead.set(i64::try_from(dead_deliveries).unwrap_or(i64::MAX));
    registry.register("dead_deliveries", "Notifications that are not tried any more", dead);
    text::encode_registry(&mut text, &registry)?;
    text::encode_eof(&mut text)?;
    Ok(text)
}

/// What is looked up when somebody asks: products and their roles.
fn expiry(status: &[ProductStatus]) -> Registry {
    let expires = Family::<RoleLabels, Gauge>::default();
    let able_to_sign = Family::<ProductLabels, Gauge>::default();
    for ProductStatus { product, roles, online_keys, .. } in status {
        let product = product.to_string();
        for (role, renewed_by, at) in soonest(roles) {
            let renewed_by = match renewed_by {
                RenewedBy::Server => "server",
                RenewedBy::Vendor => "vendor",
            };
            let labels = RoleLabels { product: product.clone(), role, renewed_by };
            expires.get_or_create(&labels).set(at.as_second());
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
    registry
}

/// Each role and when it expires. There may be as many private channels as customers: they are told
/// as one, by the one of them that expires first.
fn soonest(roles: &[RoleStatus]) -> impl Iterator<Item = (String, RenewedBy, Timestamp)> {
    let (private, named): (Vec<_>, Vec<_>) = roles.iter().partition(|role| {
        let channel = role.role.parse::<ChannelName>();
        channel.is_ok_and(|channel| channel.private().is_some())
    });
    let first = private.into_iter().min_by_key(|role| role.expires);
    let told = |name: &str, role: &RoleStatus| (name.to_owned(), role.renewed_by, role.expires);
    let named = named.into_iter().map(move |role| told(&role.role, role));
    named.chain(first.map(move |role| told("private", role)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Expiry;

    fn role(name: &str, expires: i64) -> RoleStatus {
        RoleStatus {
            role: name.to_owned(),
            version: 1,
            expires: Timestamp::from_second(expires).unwrap(),
            days_left: 0,
            state: Expiry::Far,
            renewed_by: RenewedBy::Vendor,
            command: None,
        }
    }

    #[test]
    fn private_channels_are_told_as_one_by_the_first_that_expires() {
        let private = ["a", "b", "c"].map(|letter| letter.repeat(26));
        let [one, other, third] = private.each_ref().map(String::as_str);
        let roles =
            [role("root", 9), role(one, 7), role(other, 5), role("bugfix", 1), role(third, 6)];
        let told: Vec<_> = soonest(&roles).map(|(role, _, at)| (role, at.as_second())).collect();
        let expected = [("root", 9), ("bugfix", 1), ("private", 5)];
        assert_eq!(told, expected.map(|(role, at)| (role.to_owned(), at)));
        assert_eq!(soonest(&roles[..1]).count(), 1);
    }
}
