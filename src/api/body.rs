use std::{
    fmt::Display,
    future::{Ready, ready},
    marker::PhantomData,
    time::Duration,
};

use actix_web::{
    FromRequest, HttpRequest, HttpResponse, Responder,
    body::BoxBody,
    dev,
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
    web,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use mainstay_client::{fetch::Coding, tuf::json};
use serde::{Serialize, de::DeserializeOwned};

use super::{coding, openapi::Operation, problem::ApiError};
use crate::{
    limits::Limits,
    service::{ErrorClass, Service, ServiceError, answer::Encoded},
};

/// A JSON body that is to come. The handler reads it, and so not before it is known who asks.
pub(super) struct Body<T> {
    payload: web::Payload,
    content: PhantomData<fn() -> T>,
}

/// A document as a response with a status.
pub(super) struct Json<T, const STATUS: u16> {
    response: HttpResponse,
    content: PhantomData<fn() -> T>,
}

/// A handler's outcome that is a document.
pub(super) type Answer<T> = Result<Json<T, 200>, ApiError>;

/// A handler's outcome that is the document of what was made.
pub(super) type Made<T> = Result<Json<T, 201>, ApiError>;

/// A response that says nothing but that it was done.
pub(super) struct Done;

/// A response that is not JSON, of one kind.
pub(super) struct Sent<K> {
    response: HttpResponse,
    kind: PhantomData<fn() -> K>,
}

/// A kind of response that is not JSON.
pub(super) trait SentKind {
    /// The media type.
    const CONTENT_TYPE: &str;
    /// What it is, for people.
    const DESCRIPTION: &str;

    /// What else there is to say of the operation.
    fn describe(_: &mut Operation<'_>) {}
}

/// A word in plain text.
pub(super) struct Word;

impl SentKind for Word {
    const CONTENT_TYPE: &str = "text/plain";
    const DESCRIPTION: &str = "It does.";
}

impl<K> From<HttpResponse> for Sent<K> {
    fn from(response: HttpResponse) -> Self {
        Self { response, kind: PhantomData }
    }
}

impl<T> FromRequest for Body<T> {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut dev::Payload) -> Self::Future {
        let payload = web::Payload::from_request(request, payload).into_inner();
        ready(payload.map(|payload| Self { payload, content: PhantomData }))
    }
}

impl<T: DeserializeOwned> Body<T> {
    /// Reads the body of a vendor's or technician's request.
    pub(super) async fn read(self, service: &Service) -> Result<T, ApiError> {
        let Limits { request_bytes_max, body_piece_timeout, .. } = *service.limits();
        read_at_most(pieces(self.payload, body_piece_timeout), request_bytes_max).await
    }

    /// Reads the body of a machine's request.
    pub(super) async fn read_from_machine(self, service: &Service) -> Result<T, ApiError> {
        let Limits { machine_request_bytes_max, body_piece_timeout, .. } = *service.limits();
        read_at_most(pieces(self.payload, body_piece_timeout), machine_request_bytes_max).await
    }

    /// The body of a machine's request as it came.
    pub(super) async fn bytes_from_machine(self, service: &Service) -> Result<Bytes, ApiError> {
        let Limits { machine_request_bytes_max, body_piece_timeout, .. } = *service.limits();
        whole(pieces(self.payload, body_piece_timeout), machine_request_bytes_max).await
    }

    /// What a body says.
    pub(super) fn parse(bytes: &[u8]) -> Result<T, ApiError> {
        json::from_slice(bytes)
            .map_err(|error| ServiceError::input(format!("the body is {error}")).into())
    }
}

impl<T, const STATUS: u16> Responder for Json<T, STATUS> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.response
    }
}

impl Responder for Done {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::NoContent().finish()
    }
}

impl<K> Responder for Sent<K> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.response
    }
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

/// Reads a body and parses it strictly.
async fn read_at_most<T: DeserializeOwned>(
    pieces: impl Stream<Item = Result<Bytes, String>>,
    bytes_max: usize,
) -> Result<T, ApiError> {
    Body::parse(&whole(pieces, bytes_max).await?)
}

/// Reads a body, which is counted piece by piece as it arrives, whatever it announced.
async fn whole(
    pieces: impl Stream<Item = Result<Bytes, String>>,
    bytes_max: usize,
) -> Result<Bytes, ApiError> {
    let mut pieces = std::pin::pin!(pieces);
    // A copy, for what arrives is a part of a larger buffer, which is not to be kept with it.
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
    Ok(bytes.into())
}

/// `value` as a JSON response.
pub(super) fn ok<T: Serialize>(value: &T) -> Answer<T> {
    Ok(respond(HttpResponse::Ok(), value)?)
}

/// `value`, which brings metadata, as it travels: compressed for whoever takes that.
pub(super) fn encoded_with_metadata<T: Serialize>(
    service: &Service,
    takes_zstd: bool,
    value: &T,
) -> Result<Encoded, ServiceError> {
    let body = serde_json::to_vec(value)?;
    let is_short = (body.len() as u64) < service.limits().compress_bytes_min;
    if is_short || !takes_zstd {
        return Ok(Encoded { body: body.into(), is_zstd: false });
    }
    let body = Coding::compress(&body).map_err(ServiceError::internal)?;
    Ok(Encoded { body: body.into(), is_zstd: true })
}

/// A document that brings metadata as a response.
pub(super) fn ok_encoded<T>(document: Encoded) -> Json<T, 200> {
    let Encoded { body, is_zstd } = document;
    let mut response = HttpResponse::with_body(StatusCode::OK, BoxBody::new(body));
    for (name, value) in headers_of_encoded(is_zstd) {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Json { response, content: PhantomData }
}

/// What the head says of a document that brings metadata, beside its length.
pub(super) fn headers_of_encoded(
    is_zstd: bool,
) -> impl Iterator<Item = (header::HeaderName, &'static str)> {
    let coding = is_zstd.then_some((header::CONTENT_ENCODING, Coding::ZSTD));
    [coding::VARY, (header::CONTENT_TYPE, "application/json")].into_iter().chain(coding)
}

/// `value`, which was made, as a JSON response.
pub(super) fn created<T: Serialize>(value: &T) -> Made<T> {
    Ok(respond(HttpResponse::Created(), value)?)
}

fn respond<T: Serialize, const STATUS: u16>(
    mut response: actix_web::HttpResponseBuilder,
    value: &T,
) -> Result<Json<T, STATUS>, ServiceError> {
    let body = serde_json::to_vec(value)?;
    let response = response.content_type("application/json").body(body);
    Ok(Json { response, content: PhantomData })
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
