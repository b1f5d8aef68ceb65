use actix_web::{HttpResponse, web};
use futures_util::StreamExt as _;
use mainstay_client::tuf::json;
use serde::{Serialize, de::DeserializeOwned};

use super::{ApiResult, problem::ApiError};
use crate::service::{ErrorClass, ServiceError};

/// Reads a JSON body of at most `bytes_max` bytes. It is counted piece by piece as it arrives,
/// whatever it announced, and parsed strictly.
pub(super) async fn read<T: DeserializeOwned>(
    mut payload: web::Payload,
    bytes_max: usize,
) -> Result<T, ApiError> {
    let mut bytes = Vec::new();
    while let Some(piece) = payload.next().await {
        let piece = piece
            .map_err(|error| ServiceError::input(format!("the body did not arrive: {error}")))?;
        if bytes.len() + piece.len() > bytes_max {
            return Err(ServiceError::new(
                ErrorClass::TooLarge,
                "BODY_TOO_LARGE",
                format!("the body is too large: expected at most {bytes_max} bytes"),
            )
            .into());
        }
        bytes.extend_from_slice(&piece);
    }
    json::from_slice(&bytes)
        .map_err(|error| ServiceError::input(format!("the body is {error}")).into())
}

/// `value` as a JSON response.
pub(super) fn ok(value: &impl Serialize) -> ApiResult {
    respond(HttpResponse::Ok(), value)
}

/// `value`, which was made, as a JSON response.
pub(super) fn created(value: &impl Serialize) -> ApiResult {
    respond(HttpResponse::Created(), value)
}

fn respond(mut response: actix_web::HttpResponseBuilder, value: &impl Serialize) -> ApiResult {
    let body = serde_json::to_vec(value).map_err(ServiceError::from)?;
    Ok(response.content_type("application/json").body(body))
}
