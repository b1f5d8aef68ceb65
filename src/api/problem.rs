use actix_web::{
    HttpResponse, ResponseError,
    http::{StatusCode, header},
};
use mainstay_client::format::{ParseError, wire::Problem};

use crate::service::{ErrorClass, ServiceError, chain};

/// A use case's error as an HTTP response.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct ApiError(#[from] ServiceError);

impl ApiError {
    /// What the use case said.
    pub(super) fn service_error(&self) -> &ServiceError {
        &self.0
    }
}

impl From<ParseError> for ApiError {
    fn from(error: ParseError) -> Self {
        Self(error.into())
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        match self.0.class() {
            ErrorClass::Input => StatusCode::BAD_REQUEST,
            ErrorClass::Unauthenticated => StatusCode::UNAUTHORIZED,
            ErrorClass::Forbidden => StatusCode::FORBIDDEN,
            ErrorClass::NotFound => StatusCode::NOT_FOUND,
            ErrorClass::Conflict => StatusCode::CONFLICT,
            ErrorClass::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorClass::TooMany => StatusCode::TOO_MANY_REQUESTS,
            ErrorClass::Refused => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorClass::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorClass::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let error = &self.0;
        let status = self.status_code();
        if status.is_server_error() {
            tracing::error!(error = chain(error), "a request failed");
        }
        let problem = Problem {
            kind: format!("urn:mainstay:problem:{}", error.code()),
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            status: status.as_u16(),
            code: error.code().to_owned(),
            detail: error.message().to_owned(),
            problems: error.problems().to_vec(),
        };
        let mut response = HttpResponse::build(status);
        if status == StatusCode::UNAUTHORIZED {
            response.insert_header(("WWW-Authenticate", "Bearer"));
        }
        if let Some(wait) = error.retry_after() {
            response.insert_header((header::RETRY_AFTER, wait.as_secs()));
        }
        response
            .content_type("application/problem+json")
            .body(serde_json::to_vec(&problem).unwrap_or_default())
    }
}
