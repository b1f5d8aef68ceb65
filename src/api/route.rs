use actix_web::{
    Error,
    body::BoxBody,
    dev::{ServiceRequest, ServiceResponse},
    guard,
    http::Method,
    middleware::{Next, from_fn},
    web,
};

use super::{
    Shared,
    access::{Followed, answering_of, followed},
    auth,
    openapi::Operation,
    problem::ApiError,
};
use crate::{
    clock::Stopwatch,
    measures::RouteClass,
    service::{Actor, ErrorClass, Scope, denial::Denial},
    store::Role,
};

/// A route of the server: what is registered, and who may use it. Whoever authenticates a request
/// decides by this, so that there is no other place in which a handler could forget to.
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with its variable parts in braces.
    pub path: &'static str,
    /// Who may use it.
    pub who: Who,
    /// What it is for, in a line.
    pub summary: &'static str,
    /// The name of its handler, which no other route of the same method has.
    pub(super) name: &'static str,
    /// What its handler takes and gives.
    pub(super) describe: fn(&mut Operation<'_>),
    handler: fn() -> actix_web::Route,
}

/// `route!(METHOD, "path", who, handler, "summary")`. What the handler takes and gives is read off its
/// type, so that the description of the interface says nothing else.
macro_rules! route {
    ($method:ident, $path:expr, $who:expr, $handler:ident, $summary:literal) => {
        $crate::api::route::Route::new(
            actix_web::http::Method::$method,
            $path,
            $who,
            $summary,
            stringify!($handler),
            |operation| $crate::api::openapi::describe(operation, &$handler),
            || actix_web::web::to($handler),
        )
    };
}
pub(super) use route;

/// Who may use a route. An administrator may use every one that is for staff.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Anybody, with or without a token.
    Anyone,
    /// An enrolled machine.
    Machine,
    /// An enrolled machine, and the vendor's own staff with one of these roles.
    MachineOrVendor(&'static [Role]),
    /// The vendor's own staff with one of these roles.
    Vendor(&'static [Role]),
    /// Staff with one of these roles, of support organisations as well: what these see of it is what
    /// is of the customers that they serve.
    Staff(&'static [Role]),
}

impl Who {
    /// The roles that may use it, beside the administrator's.
    pub fn roles(self) -> &'static [Role] {
        match self {
            Self::Anyone | Self::Machine => &[],
            Self::MachineOrVendor(roles) | Self::Vendor(roles) | Self::Staff(roles) => roles,
        }
    }
}

impl Who {
    /// The code and sentence with which a member of staff is turned away, who may not use it.
    pub(super) fn denial(self, actor: &Actor) -> Option<(&'static str, String)> {
        let roles = self.roles();
        if actor.role != Role::Admin && !roles.contains(&actor.role) {
            let wanted: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
            let wanted = [wanted.as_slice(), &["admin"]].concat().join(" or ");
            let found = actor.role;
            let message =
                format!("a token with the role {found} may not do this: expected {wanted}");
            return Some(("ROLE_NOT_ALLOWED", message));
        }
        let is_for_organisations = matches!(self, Self::Staff(_));
        (actor.scope != Scope::Everything && !is_for_organisations).then(|| {
            let message =
                "a token of an organisation may not do this: expected one of the vendor's own";
            ("VENDOR_ONLY", message.to_owned())
        })
    }
}

impl Route {
    pub(super) const fn new(
        method: Method,
        path: &'static str,
        who: Who,
        summary: &'static str,
        name: &'static str,
        describe: fn(&mut Operation<'_>),
        handler: fn() -> actix_web::Route,
    ) -> Self {
        Self { method, path, who, summary, name, describe, handler }
    }

    /// Registers it so that another method at the same path is passed on.
    pub(super) fn register(&'static self, config: &mut web::ServiceConfig) {
        let resource = web::resource(self.path)
            .guard(guard::Method(self.method.clone()))
            .app_data(self)
            .wrap(from_fn(count))
            .route((self.handler)());
        config.service(resource);
    }
}

/// Counts a request and its answer by what it is for, and has it noted in the access log. That somebody was
/// turned away is written down before they are told.
pub(super) async fn count(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<Followed>, Error> {
    let stopwatch = Stopwatch::start();
    let service = request.app_data::<Shared>().cloned();
    let route = request.app_data::<&'static Route>();
    let class = route.map_or(RouteClass::Unknown, |route| RouteClass::of(route.path));
    let came_at = service.as_ref().map(|service| service.now());
    let answer = next.call(request).await?;
    let mut answering = None;
    if let Some((service, at)) = service.zip(came_at) {
        if let Some(denial) = denial(&answer) {
            service.record_denial(denial).await.map_err(ApiError::from)?;
        }
        service.measures().answered(class, answer.status().as_u16(), stopwatch.elapsed());
        answering = service.access_log().map(|log| answering_of(log, &answer, at, stopwatch));
    }
    Ok(followed(answer, answering))
}

/// Who was turned away from what, where somebody was.
fn denial<B>(answer: &ServiceResponse<B>) -> Option<Denial<'_>> {
    let error = answer.response().error()?.as_error::<ApiError>()?.service_error();
    let is_denial = matches!(error.class(), ErrorClass::Forbidden | ErrorClass::Unauthenticated);
    let request = answer.request();
    is_denial.then(|| Denial {
        token: auth::token(request),
        address: auth::address(request),
        request: format!("{} {}", request.method(), request.path()),
        error,
    })
}
