use actix_web::{HttpRequest, web};
use mainstay_client::format::{AdvisoryId, ProductName, Version};
use serde_json::Value;

use super::{
    Route, Shared, Who,
    auth::Staff,
    body::{self, Answer, Body, Made, Sent},
    file::{self, File},
    problem::ApiError,
    route::route,
};
use crate::{
    service::{
        advisory::{AdvisoryView, SetAdvisory},
        exposure::{
            AskPatching, BreachReport, ComponentPage, ExposurePage, ListBreaches, ListComponents,
            ListExposure, PatchingReport,
        },
        sbom::AttachSbom,
    },
    store::{AdvisoryRecord, Role, SbomRecord},
};

const LOOKING: &[Role] = &[Role::Publisher, Role::Account, Role::Support, Role::Viewer];

const ADVISORY: &str = "/v1/products/{product}/advisories/{advisory}";
const SBOM: &str = "/v1/products/{product}/releases/{version}/sbom";

pub(super) const ROUTES: &[Route] = &[
    route!(
        GET,
        "/v1/exposure",
        Who::Staff(LOOKING),
        exposure,
        "Say which machines lack the fix of an advisory, since when and why, a page at a time."
    ),
    route!(
        GET,
        "/v1/exposure/patching",
        Who::Staff(LOOKING),
        patching,
        "Say how long machines took to the fix of an advisory, by tier."
    ),
    route!(
        GET,
        "/v1/exposure/breaches",
        Who::Staff(LOOKING),
        breaches,
        "Say who has lacked a fix for longer than is agreed, or will have soon."
    ),
    route!(
        GET,
        "/v1/exposure/components",
        Who::Staff(LOOKING),
        components,
        "Say which releases have a component, and who runs them."
    ),
    route!(
        GET,
        "/v1/products/{product}/advisories",
        Who::Vendor(LOOKING),
        advisories,
        "List the advisories of a product that are recorded or that releases name."
    ),
    route!(GET, ADVISORY, Who::Vendor(LOOKING), advisory, "Show an advisory of a product."),
    route!(
        PUT,
        ADVISORY,
        Who::Vendor(&[Role::Publisher]),
        set_advisory,
        "Record what an advisory is about and which versions are affected."
    ),
    route!(
        GET,
        "/v1/products/{product}/advisories/{advisory}/csaf",
        Who::Vendor(LOOKING),
        csaf,
        "Say what is known of an advisory as CSAF 2.0, profile VEX."
    ),
    route!(GET, SBOM, Who::Vendor(LOOKING), sbom, "Show the bill of materials of a release."),
    route!(
        POST,
        SBOM,
        Who::Vendor(&[Role::Publisher]),
        attach_sbom,
        "Attach a bill of materials, which is uploaded already, to a release."
    ),
    route!(
        GET,
        "/v1/products/{product}/releases/{version}/sbom/document",
        Who::Vendor(LOOKING),
        sbom_document,
        "Fetch the document of the bill of materials of a release."
    ),
];

async fn exposure(
    service: Shared,
    Staff(actor): Staff,
    question: web::Query<ListExposure>,
) -> Answer<ExposurePage> {
    body::ok(&service.exposure(&actor, question.into_inner()).await?)
}

async fn patching(
    service: Shared,
    Staff(actor): Staff,
    question: web::Query<AskPatching>,
) -> Answer<PatchingReport> {
    body::ok(&service.patching(&actor, question.into_inner()).await?)
}

async fn breaches(
    service: Shared,
    Staff(actor): Staff,
    question: web::Query<ListBreaches>,
) -> Answer<BreachReport> {
    body::ok(&service.breaches(&actor, question.into_inner()).await?)
}

async fn components(
    service: Shared,
    Staff(actor): Staff,
    question: web::Query<ListComponents>,
) -> Answer<ComponentPage> {
    body::ok(&service.components(&actor, question.into_inner()).await?)
}

async fn advisories(
    service: Shared,
    _: Staff,
    product: web::Path<String>,
) -> Answer<Vec<AdvisoryView>> {
    let product: ProductName = product.parse()?;
    body::ok(&service.advisories(&product).await?)
}

async fn advisory(
    service: Shared,
    _: Staff,
    path: web::Path<(String, String)>,
) -> Answer<AdvisoryView> {
    let (product, advisory): (ProductName, AdvisoryId) = (path.0.parse()?, path.1.parse()?);
    body::ok(&service.advisory(&product, &advisory).await?)
}

async fn set_advisory(
    service: Shared,
    Staff(actor): Staff,
    path: web::Path<(String, String)>,
    body: Body<SetAdvisory>,
) -> Answer<AdvisoryRecord> {
    let (product, advisory): (ProductName, AdvisoryId) = (path.0.parse()?, path.1.parse()?);
    let request = body.read(&service).await?;
    body::ok(&service.set_advisory(&actor, (&product, advisory), request).await?)
}

async fn csaf(service: Shared, _: Staff, path: web::Path<(String, String)>) -> Answer<Value> {
    let (product, advisory): (ProductName, AdvisoryId) = (path.0.parse()?, path.1.parse()?);
    body::ok(&service.csaf(&product, &advisory).await?)
}

async fn sbom(service: Shared, _: Staff, path: web::Path<(String, String)>) -> Answer<SbomRecord> {
    let (product, version): (ProductName, Version) = (path.0.parse()?, path.1.parse()?);
    body::ok(&service.sbom(&product, &version).await?)
}

async fn attach_sbom(
    service: Shared,
    Staff(actor): Staff,
    path: web::Path<(String, String)>,
    body: Body<AttachSbom>,
) -> Made<SbomRecord> {
    let (product, version): (ProductName, Version) = (path.0.parse()?, path.1.parse()?);
    let request = body.read(&service).await?;
    body::created(&service.attach_sbom(&actor, (&product, &version), request).await?)
}

async fn sbom_document(
    service: Shared,
    _: Staff,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> Result<Sent<File>, ApiError> {
    let (product, version): (ProductName, Version) = (path.0.parse()?, path.1.parse()?);
    let document = service.sbom_file(&product, &version).await?;
    file::send(&service, &request, document).await
}
