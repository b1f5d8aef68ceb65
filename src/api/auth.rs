use std::{future::Future, pin::Pin};

use actix_web::{FromRequest, HttpRequest, dev::Payload, http::header, web};

use super::problem::ApiError;
use crate::{
    service::{
        Actor, ErrorClass, Service, ServiceError,
        access::{MACHINE_TOKEN_PREFIX, TOKEN_PREFIX},
    },
    store::{MachineRecord, Role},
};

/// The machine that asks.
pub(super) struct Machine(pub(super) MachineRecord);

/// The member of the vendor's or support's staff who asks.
pub(super) struct Staff {
    actor: Actor,
    service: web::Data<Service>,
    action: String,
}

/// Whoever asks.
pub(super) enum Caller {
    /// A machine.
    Machine(Box<MachineRecord>),
    /// A member of staff.
    Staff(Staff),
}

impl Staff {
    /// Lets `roles` pass, and an administrator always. A denial is written down.
    pub(super) async fn require(self, roles: &[Role]) -> Result<Actor, ApiError> {
        let Self { actor, service, action } = self;
        if actor.role == Role::Admin || roles.contains(&actor.role) {
            return Ok(actor);
        }
        service.record_denial(&actor, &action).await?;
        let wanted: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
        Err(ServiceError::new(
            ErrorClass::Forbidden,
            "ROLE_NOT_ALLOWED",
            format!(
                "a token with the role {} may not do this: expected {}",
                actor.role,
                [wanted.as_slice(), &["admin"]].concat().join(" or ")
            ),
        )
        .into())
    }
}

/// The address that a request comes from.
pub(super) fn address(request: &HttpRequest) -> Option<String> {
    request.peer_addr().map(|address| address.ip().to_string())
}

async fn caller(request: HttpRequest) -> Result<Caller, ApiError> {
    let unauthenticated =
        |message: &str| ServiceError::new(ErrorClass::Unauthenticated, "UNAUTHENTICATED", message);
    let service = request
        .app_data::<web::Data<Service>>()
        .cloned()
        .ok_or_else(|| ServiceError::internal("the service is not registered".to_owned()))?;
    let token = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or_else(|| {
            unauthenticated("no token: expected the header `Authorization: Bearer <token>`")
        })?;
    if token.starts_with(MACHINE_TOKEN_PREFIX) {
        let machine = service.authenticate_machine(token).await?;
        return Ok(Caller::Machine(Box::new(machine)));
    }
    if !token.starts_with(TOKEN_PREFIX) {
        return Err(unauthenticated("the token is not one of this server").into());
    }
    let actor = service.authenticate(token, address(&request)).await?;
    let action = format!("{} {}", request.method(), request.path());
    Ok(Caller::Staff(Staff { actor, service, action }))
}

type Extraction<T> = Pin<Box<dyn Future<Output = Result<T, ApiError>>>>;

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        Box::pin(caller(request.clone()))
    }
}

impl FromRequest for Machine {
    type Error = ApiError;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = caller(request.clone());
        Box::pin(async {
            match caller.await? {
                Caller::Machine(machine) => Ok(Self(*machine)),
                Caller::Staff(_) => Err(ServiceError::new(
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
        let caller = caller(request.clone());
        Box::pin(async {
            match caller.await? {
                Caller::Staff(staff) => Ok(staff),
                Caller::Machine(_) => Err(ServiceError::new(
                    ErrorClass::Forbidden,
                    "STAFF_ONLY",
                    "a machine may not do this: expected an API token",
                )
                .into()),
            }
        })
    }
}
