use actix_web::{HttpRequest, web};
use mainstay_client::format::{
    ProductName,
    wire::{CheckRequest, CheckResponse, EnrollRequest, EnrollResponse, ReportRequest},
};

use super::{
    Route, Shared, Who,
    auth::{Caller, Machine, address},
    body::{self, Answer, Body, Done, Made, Sent},
    file::{self, File},
    problem::ApiError,
    route::route,
};
use crate::store::Role;

pub(super) const ROUTES: &[Route] = &[
    route!(
        POST,
        "/v1/check",
        Who::Machine,
        check,
        "Ask what to do: a machine says what it runs, and gets a signed plan."
    ),
    route!(POST, "/v1/report", Who::Machine, report, "Report what happened on a machine."),
    route!(POST, "/v1/enroll", Who::Anyone, enroll, "Enrol a machine by an activation key."),
    route!(
        GET,
        "/repo/{product}/{path:.*}",
        Who::MachineOrVendor(&[Role::Publisher, Role::Support]),
        repository_file,
        "Fetch a file of a TUF repository."
    ),
    route!(
        HEAD,
        "/repo/{product}/{path:.*}",
        Who::MachineOrVendor(&[Role::Publisher, Role::Support]),
        repository_file,
        "Ask for the head of a file of a TUF repository."
    ),
];

async fn check(
    service: Shared,
    machine: Machine,
    request: HttpRequest,
    body: Body<CheckRequest>,
) -> Answer<CheckResponse> {
    let question = body.read_from_machine(&service).await?;
    body::ok_with_metadata(&service, &request, &service.check(machine.0, &question).await?)
}

async fn report(
    service: Shared,
    machine: Machine,
    body: Body<ReportRequest>,
) -> Result<Done, ApiError> {
    let request = body.read_from_machine(&service).await?;
    service.report(machine.0, &request).await?;
    Ok(Done)
}

async fn enroll(
    service: Shared,
    request: HttpRequest,
    body: Body<EnrollRequest>,
) -> Made<EnrollResponse> {
    let enrollment = body.read_from_machine(&service).await?;
    body::created(&service.enroll(enrollment, address(&request)).await?)
}

async fn repository_file(
    service: Shared,
    caller: Caller,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> Result<Sent<File>, ApiError> {
    let (product, path) = path.into_inner();
    let product: ProductName = product.parse()?;
    let served = match caller {
        Caller::Machine(machine) => service.machine_file(&machine, &product, &path).await?,
        Caller::Staff => service.staff_file(&product, &path).await?,
    };
    file::send(&service, &request, served).await
}
