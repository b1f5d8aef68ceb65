use std::{
    future::{Future, Ready, ready},
    pin::Pin,
    sync::Arc,
};

use actix_web::{FromRequest, HttpMessage as _, HttpRequest, dev::Payload, http::header, web};
use futures_util::future::Either;

use super::{Route, access::Asks, problem::ApiError};
use crate::{
    service::{
        Actor, ErrorClass, Service, ServiceError,
        access::{MACHINE_TOKEN_PREFIX, TOKEN_PREFIX},
        answer::LastAnswer,
    },
    store::MachineRecord,
};

/// The machine that asks, and does so no more often than it may.
pub(super) struct Machine(pub(super) MachineRecord);

/// The machine that asks for its plan, and does so no more often than it may.
pub(super) enum Asker {
    /// One to which an answer was given that holds still.
    Known(Arc<LastAnswer>),
    /// Any other.
    Machine(Box<MachineRecord>),
}

/// The member of the vendor's or a support organisation's staff who asks, for whom the route is.
pub(super) struct Staff(pub(super) Actor);

/// Whoever asks.
pub(super) enum Caller {
    /// A machine.
    Machine(Box<MachineRecord>),
    /// A member of staff.
    Staff,
}

/// Who bears the token of a request. What a member of staff may is not known yet.
enum Bearer {
    Machine(Box<MachineRecord>),
    Staff(Actor),
}

/// Lets pass whom the route is for.
fn admit(actor: Actor, request: &HttpRequest) -> Result<Staff, ApiError> {
    let route = request
        .app_data::<&'static Route>()
        .ok_or_else(|| ServiceError::internal("the route says not whom it is for".to_owned()))?;
    match route.who.denial(&actor) {
        None => Ok(Staff(actor)),
        Some((code, message)) => {
            Err(ServiceError::new(ErrorClass::Forbidden, code, message).into())
        }
    }
}

/// The address that a request comes from.
pub(super) fn address(request: &HttpRequest) -> Option<String> {
    request.peer_addr().map(|address| address.ip().to_string())
}

fn service(request: &HttpRequest) -> Result<&web::Data<Service>, ApiError> {
    let service = request.app_data::<web::Data<Service>>();
    Ok(service.ok_or_else(|| ServiceError::internal("the service is not registered".to_owned()))?)
}

/// The token that a request bears.
pub(super) fn token(request: &HttpRequest) -> Option<&str> {
    borne_token(request.headers().get(header::AUTHORIZATION)?.to_str().ok()?)
}

/// The token that is in the value of `Authorization`.
pub(super) fn borne_token(authorization: &str) -> Option<&str> {
    authorization.strip_prefix("Bearer ")
}

/// Notes who asks, for the access log.
fn note_asker(request: &HttpRequest, who: &str) {
    request.extensions_mut().insert(Asks(who.to_owned()));
}

async fn bearer(request: &HttpRequest) -> Result<Bearer, ApiError> {
    let unauthenticated =
        |message: &str| ServiceError::new(ErrorClass::Unauthenticated, "UNAUTHENTICATED", message);
    let service = service(request)?;
    let token = token(request).ok_or_else(|| {
        unauthenticated("no token: expected the header `Authorization: Bearer <token>`")
    })?;
    if token.starts_with(MACHINE_TOKEN_PREFIX) {
        let machine = service.authenticate_machine(token).await?;
        note_asker(request, machine.name.as_str());
        return Ok(Bearer::Machine(Box::new(machine)));
    }
    if !token.starts_with(TOKEN_PREFIX) {
        return Err(unauthenticated("the token is not one of this server").into());
    }
    let actor = service.authenticate(token, address(request)).await?;
    note_asker(request, &actor.id);
    Ok(Bearer::Staff(actor))
}

type Extraction<T> = Pin<Box<dyn Future<Output = Result<T, ApiError>>>>;

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            match bearer(&request).await? {
                Bearer::Machine(machine) => Ok(Self::Machine(machine)),
                Bearer::Staff(actor) => admit(actor, &request).map(|_| Self::Staff),
            }
        })
    }
}

impl FromRequest for Asker {
    type Error = ApiError;
    type Future = Either<Ready<Result<Self, ApiError>>, Extraction<Self>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        match known(request) {
            Ok(Some(answer)) => Either::Left(ready(Ok(Self::Known(answer)))),
            Err(error) => Either::Left(ready(Err(error))),
            Ok(None) => {
                let machine = Machine::from_request(request, payload);
                Either::Right(Box::pin(async { Ok(Self::Machine(Box::new(machine.await?.0))) }))
            }
        }
    }
}

/// The last answer to whoever asks, where it holds still.
fn known(request: &HttpRequest) -> Result<Option<Arc<LastAnswer>>, ApiError> {
    let service = service(request)?;
    let now = service.now();
    let last = token(request).and_then(|token| service.last_answer(token, now));
    if let Some(answer) = &last {
        note_asker(request, answer.machine().as_str());
        service.require_pace_again(answer, now)?;
    }
    Ok(last)
}

impl FromRequest for Machine {
    type Error = ApiError;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            match bearer(&request).await? {
                Bearer::Machine(machine) => {
                    service(&request)?.require_pace(&machine.name)?;
                    Ok(Self(*machine))
                }
                Bearer::Staff(_) => Err(ServiceError::new(
                    ErrorClass::Forbidden,
                    "MACHINE_ONLY",
                    "only an enrolled machine may do this: expected a machine's token",
                )
                .into()),
            }
        })
    }
}

impl FromRequest for Staff {
    type Error = ApiError;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            match bearer(&request).await? {
                Bearer::Staff(actor) => admit(actor, &request),
                Bearer::Machine(_) => Err(ServiceError::new(
                    ErrorClass::Forbidden,
                    "STAFF_ONLY",
                    "a machine may not do this: expected an API token",
                )
                .into()),
            }
        })
    }
}
