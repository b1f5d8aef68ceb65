use actix_web::{HttpRequest, web};
use futures_util::FutureExt as _;
use mainstay_client::format::{
    ProductName,
    wire::{CheckRequest, CheckResponse, EnrollRequest, EnrollResponse, ReportRequest},
};

use super::{
    Route, Shared, Who,
    auth::{Asker, Caller, Machine, address, token},
    body::{self, Answer, Body, Done, Made, Sent},
    coding,
    file::{self, File},
    problem::ApiError,
    route::route,
};
use crate::{
    service::{
        Service,
        answer::{Answered, Encoded, Question},
    },
    store::{MachineRecord, Role},
};

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
    asker: Asker,
    request: HttpRequest,
    body: Body<CheckRequest>,
) -> Answer<CheckResponse> {
    let body = body.bytes_from_machine(&service).await?;
    let takes_zstd = coding::takes_zstd(request.headers());
    let question = Question { body: &body, takes_zstd };
    let machine = match asker {
        Asker::Known(last) => match service.answer_again(&last, question, service.now()) {
            Some(answer) => return Ok(body::ok_encoded(answer.written())),
            None => service.machine_that_asked(&last).boxed_local().await?,
        },
        Asker::Machine(machine) => *machine,
    };
    // On the heap, so that what most checks do not need is not moved about for each of them.
    Ok(body::ok_encoded(answer(&service, machine, token(&request), question).boxed_local().await?))
}

/// Answers a check, and keeps the answer for as long as it holds.
async fn answer(
    service: &Service,
    machine: MachineRecord,
    token: Option<&str>,
    question: Question<'_>,
) -> Result<Encoded, ApiError> {
    let asked = Body::parse(question.body)?;
    let Answered { response, holds } = service.answer_check(machine, &asked).await?;
    let answer = body::encoded_with_metadata(service, question.takes_zstd, &response)?;
    if let (Some(token), Some(holds)) = (token, holds) {
        service.keep_answer(token, question, &answer, holds);
    }
    Ok(answer)
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
