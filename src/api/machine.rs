use actix_web::{HttpRequest, HttpResponse, http::Method, web};
use mainstay_client::format::{
    ProductName,
    wire::{CheckRequest, EnrollRequest, ReportRequest},
};

use super::{
    ApiResult, Route, Shared, Who,
    auth::{Caller, Machine, address},
    body, file,
};
use crate::store::Role;

pub(super) const ROUTES: &[Route] = &[
    Route::new(Method::POST, "/v1/check", Who::Machine, || web::to(check)),
    Route::new(Method::POST, "/v1/report", Who::Machine, || web::to(report)),
    Route::new(Method::POST, "/v1/enroll", Who::Anyone, || web::to(enroll)),
    Route::new(
        Method::GET,
        "/repo/{product}/{path:.*}",
        Who::MachineOrVendor(&[Role::Publisher, Role::Support]),
        || web::to(repository_file),
    ),
    Route::new(
        Method::HEAD,
        "/repo/{product}/{path:.*}",
        Who::MachineOrVendor(&[Role::Publisher, Role::Support]),
        || web::to(repository_file),
    ),
];

async fn check(
    service: Shared,
    machine: Machine,
    request: HttpRequest,
    payload: web::Payload,
) -> ApiResult {
    let question: CheckRequest = body::read_from_machine(&service, payload).await?;
    body::ok_with_metadata(&service, &request, &service.check(machine.0, &question).await?)
}

async fn report(service: Shared, machine: Machine, payload: web::Payload) -> ApiResult {
    let request: ReportRequest = body::read_from_machine(&service, payload).await?;
    service.report(machine.0, &request).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn enroll(service: Shared, request: HttpRequest, payload: web::Payload) -> ApiResult {
    let enrollment: EnrollRequest = body::read_from_machine(&service, payload).await?;
    body::created(&service.enroll(enrollment, address(&request)).await?)
}

async fn repository_file(
    service: Shared,
    caller: Caller,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> ApiResult {
    let (product, path) = path.into_inner();
    let product: ProductName = product.parse()?;
    let served = match caller {
        Caller::Machine(machine) => service.machine_file(&machine, &product, &path).await?,
        Caller::Staff => service.staff_file(&product, &path).await?,
    };
    file::send(&service, &request, served).await
}
