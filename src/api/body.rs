use std::{fmt::Display, time::Duration};

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use mainstay_client::{fetch::Coding, tuf::json};
use serde::{Serialize, de::DeserializeOwned};

use super::{ApiResult, coding, problem::ApiError};
use crate::{
    limits::Limits,
    service::{ErrorClass, Service, ServiceError},
};

/// Reads the JSON body of a vendor's or technician's request.
pub(super) async fn read<T: DeserializeOwned>(
    service: &Service,
    payload: web::Payload,
) -> Result<T, ApiError> {
    let Limits { request_bytes_max, body_piece_timeout, .. } = *service.limits();
    read_at_most(pieces(payload, body_piece_timeout), request_bytes_max).await
}

/// Reads the JSON body of a machine's request.
pub(super) async fn read_from_machine<T: DeserializeOwned>(
    service: &Service,
    payload: web::Payload,
) -> Result<T, ApiError> {
    let Limits { machine_request_bytes_max, body_piece_timeout, .. } = *service.limits();
    read_at_most(pieces(payload, body_piece_timeout), machine_request_bytes_max).await
}

/// The pieces of a body as they arrive. One that takes longer than `timeout` ends the body.
pub(super) fn pieces<E: Display>(
    payload: impl Stream<Item = Result<Bytes, E>> + Unpin,
    timeout: Duration,
) -> impl Stream<Item = Result<Bytes, String>> {
    stream::unfold(Some(payload), move |payload| async move {
        let mut payload = payload?;
        match tokio::time::timeout(timeout, payload.next()).await {
            Ok(None) => None,
            Ok(Some(Ok(piece))) => Some((Ok(piece), Some(payload))),
            Ok(Some(Err(error))) => Some((Err(error.to_string()), None)),
            Err(_) => Some((Err(format!("nothing arrived for {} s", timeout.as_secs())), None)),
        }
    })
}

/// Reads a body, which is counted piece by piece as it arrives, whatever it announced, and parsed
/// strictly.
async fn read_at_most<T: DeserializeOwned>(
    pieces: impl Stream<Item = Result<Bytes, String>>,
    bytes_max: usize,
) -> Result<T, ApiError> {
    let mut pieces = std::pin::pin!(pieces);
    let mut bytes = Vec::new();
    while let Some(piece) = pieces.next().await {
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

/// `value`, which brings metadata, as a JSON response: compressed for whoever takes that.
pub(super) fn ok_with_metadata(
    service: &Service,
    request: &HttpRequest,
    value: &impl Serialize,
) -> ApiResult {
    let body = serde_json::to_vec(value).map_err(ServiceError::from)?;
    let mut response = HttpResponse::Ok();
    response.content_type("application/json").insert_header(coding::VARY);
    let is_short = (body.len() as u64) < service.limits().compress_bytes_min;
    if is_short || !coding::takes_zstd(request.headers()) {
        return Ok(response.body(body));
    }
    let body = Coding::compress(&body).map_err(ServiceError::internal)?;
    Ok(response.insert_header((header::CONTENT_ENCODING, Coding::ZSTD)).body(body))
}

/// `value`, which was made, as a JSON response.
pub(super) fn created(value: &impl Serialize) -> ApiResult {
    respond(HttpResponse::Created(), value)
}

fn respond(mut response: actix_web::HttpResponseBuilder, value: &impl Serialize) -> ApiResult {
    let body = serde_json::to_vec(value).map_err(ServiceError::from)?;
    Ok(response.content_type("application/json").body(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Piece = Result<Bytes, String>;

    #[tokio::test]
    async fn a_sender_who_falls_silent_ends_the_body() {
        let begun = stream::iter([Piece::Ok(Bytes::from_static(b"{"))]);
        let silent = Box::pin(begun.chain(stream::pending()));
        let pieces: Vec<Piece> = pieces(silent, Duration::ZERO).collect().await;
        assert_eq!(pieces, [Ok(Bytes::from_static(b"{")), Err("nothing arrived for 0 s".into())]);
    }

    #[tokio::test]
    async fn a_body_is_counted_as_it_arrives() {
        let endless = stream::repeat_with(|| Piece::Ok(Bytes::from_static(b" ")));
        let error = read_at_most::<u32>(endless, 1000).await.unwrap_err();
        assert!(error.to_string().contains("expected at most 1000 bytes"), "{error}");
    }
}
