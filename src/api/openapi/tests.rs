use std::{collections::BTreeSet, fmt::Write as _};

use super::*;

/// Each operation of the document: method, path, and what is said of it.
fn operations() -> Vec<(String, String, &'static Value)> {
    let paths = document()["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, operations)| {
        let operations = operations.as_object().unwrap();
        operations.iter().map(move |(method, it)| (method.to_uppercase(), path.clone(), it))
    });
    operations.collect()
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let described = operations();
    let named: BTreeSet<_> =
        described.iter().map(|(method, path, _)| format!("{method} {path}")).collect();
    let registered =
        routes().map(|route| format!("{} {}", route.method, template(route.path))).collect();
    assert_eq!(named, registered);

    let mut operation_ids = BTreeSet::new();
    for (method, path, operation) in described {
        let summary = operation["summary"].as_str().unwrap();
        assert!(summary.ends_with('.') && summary.len() > 10, "{method} {path}: {summary}");
        let answers = operation["responses"].as_object().unwrap();
        assert!(answers.keys().any(|status| status.starts_with('2')), "{method} {path}");
        assert!(
            operation_ids.insert(operation["operationId"].as_str().unwrap()),
            "{method} {path}"
        );
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let in_path: Vec<_> = parameters
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| format!("{{{}}}", parameter["name"].as_str().unwrap()))
            .collect();
        assert_eq!(in_path.len(), path.matches('{').count(), "{method} {path}");
        assert!(in_path.iter().all(|name| path.contains(name)), "{method} {path}");
    }
}

#[test]
fn every_schema_is_one_and_every_reference_leads_to_one() {
    let schemas = document()["components"]["schemas"].as_object().unwrap();
    for (name, schema) in schemas {
        let sound = jsonschema::draft202012::meta::validate(schema);
        assert!(sound.is_ok(), "{name}: {:?}", sound.err());
    }
    let mut references = BTreeSet::new();
    collect(document(), &mut references);
    for reference in &references {
        let found = document().pointer(reference.trim_start_matches('#'));
        assert!(found.is_some_and(Value::is_object), "{reference}");
    }
    // Nor is there one that nothing refers to.
    assert_eq!(references.len(), schemas.len());
}

fn collect<'a>(value: &'a Value, references: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(members) => {
            references.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|value| collect(value, references));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, references)),
        _ => {}
    }
}

#[test]
fn requests_are_described_as_strictly_as_they_are_read() {
    for (method, path, operation) in operations() {
        let Some(body) = operation["requestBody"]["content"].get("application/json") else {
            continue;
        };
        let reference = body["schema"]["$ref"].as_str().unwrap().trim_start_matches('#');
        let schema = document().pointer(reference).unwrap();
        assert_eq!(schema["additionalProperties"], false, "{method} {path}: {schema}");
    }
    // What may be left out when a contract is made is always there when it is shown.
    let schemas = &document()["components"]["schemas"];
    let required = |name: &str| schemas[name]["required"].as_array().unwrap().len();
    assert!(required("ContractInput") < required("Contract"), "{schemas:#}");
}

/// A schema by its name, as a list, or whatever it is.
fn shown(schema: &Value) -> String {
    match (schema["$ref"].as_str(), schema["type"].as_str()) {
        (Some(reference), _) => reference.rsplit('/').next().unwrap().to_owned(),
        (None, Some("array")) => format!("[{}]", shown(&schema["items"])),
        (None, kind) => kind.unwrap_or("anything").to_owned(),
    }
}

fn content(of: &Value) -> String {
    let content = of["content"].as_object().into_iter().flatten();
    let shown = content.map(|(kind, content)| match kind.as_str() {
        "application/json" => shown(&content["schema"]),
        kind => kind.to_owned(),
    });
    shown.collect()
}

/// What whoever uses the interface relies on: a change of this list is a change for them.
#[test]
#[expect(clippy::too_many_lines, reason = "there are as many lines as operations")]
fn the_operations() {
    let mut list = String::new();
    for (method, path, operation) in operations() {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let query = parameters.filter(|parameter| parameter["in"] == "query").map(|parameter| {
            let mark = if parameter["required"] == true { "" } else { "?" };
            format!(" {}{mark}", parameter["name"].as_str().unwrap())
        });
        let query: String = query.collect();
        let taken = content(&operation["requestBody"]);
        let answers = operation["responses"].as_object().unwrap().iter();
        let given = answers
            .filter(|(status, _)| status.starts_with(['2', '3']))
            .map(|(status, answer)| format!(" {status} {}", content(answer)).trim_end().to_owned());
        let given: String = given.collect();
        let _infallible = writeln!(list, "{method} {path}{query} ({taken}) ->{given}");
    }
    insta::assert_snapshot!(list, @"
    GET /healthz () -> 200 text/plain
    GET /metrics () -> 200 application/openmetrics-text
    GET /readyz () -> 200 text/plain
    GET /repo/{product}/{path} () -> 200 application/octet-stream 206 application/octet-stream 304
    HEAD /repo/{product}/{path} () -> 200 206 304
    GET /v1/actions before? limit? () -> 200 [ActionSummary]
    POST /v1/actions (OrderAction) -> 201 ActionProgress
    POST /v1/actions/preview (WantedAction) -> 200 ActionPreview
    GET /v1/actions/{action} () -> 200 ActionProgress
    POST /v1/actions/{action}/approve (ChangeAction) -> 200 ActionProgress
    POST /v1/actions/{action}/cancel (ChangeAction) -> 200 ActionProgress
    GET /v1/audit after? () -> 200 [AuditRecord]
    GET /v1/audit/head () -> 200 AuditHead
    GET /v1/census after? customer? customers? platform? product? version? () -> 200 CensusPage
    POST /v1/check (CheckRequest) -> 200 CheckResponse
    PUT /v1/collections/{order} (application/octet-stream) -> 204
    POST /v1/collections/{order}/refusal (CollectionRefusal) -> 204
    GET /v1/contracts () -> 200 [ContractView]
    POST /v1/contracts (CreateContract) -> 201 ContractView
    POST /v1/contracts/import (ImportContracts) -> 200 Imported
    GET /v1/contracts/{contract} () -> 200 ContractView
    POST /v1/contracts/{contract}/activation-keys (CreateActivationKey) -> 201 IssuedActivationKey
    POST /v1/contracts/{contract}/amendments (AmendContract) -> 201 ContractView
    POST /v1/contracts/{contract}/explain (ExplainContract) -> 200 [ContractExplanation]
    GET /v1/contracts/{contract}/seats () -> 200 ContractSeats
    GET /v1/customers () -> 200 [CustomerRecord]
    POST /v1/customers (CreateCustomer) -> 201 CustomerRecord
    GET /v1/customers/{customer} () -> 200 CustomerRecord
    POST /v1/customers/{customer}/tags (TagCustomer) -> 200 CustomerRecord
    GET /v1/decisions after? at? customer? hidden? product? () -> 200 DecisionPage
    GET /v1/deliveries limit? state? webhook? () -> 200 [DeliveryRecord]
    POST /v1/deliveries/{delivery}/replay () -> 200 DeliveryRecord
    POST /v1/enroll (EnrollRequest) -> 201 EnrollResponse
    GET /v1/exposure advisory after? customer? limit? product? () -> 200 ExposurePage
    GET /v1/exposure/breaches customer? product? within_days? () -> 200 BreachReport
    GET /v1/exposure/components component customer? product? () -> 200 ComponentPage
    GET /v1/exposure/patching advisory customer? product? () -> 200 PatchingReport
    GET /v1/machines after? customer? limit? platform? product? retired? ring? silent? version? () -> 200 MachinePage
    GET /v1/machines/{machine} last? () -> 200 MachineView
    POST /v1/machines/{machine}/actions (ActOnMachine) -> 200 ActionOutcome
    POST /v1/machines/{machine}/actions/preview (ActOnMachine) -> 200 ActionOutcome
    GET /v1/machines/{machine}/bundles () -> 200 [BundleRecord]
    GET /v1/machines/{machine}/bundles/{order} () -> 200 application/zstd
    GET /v1/machines/{machine}/explain hidden? () -> 200 [Explanation]
    GET /v1/machines/{machine}/path to? () -> 200 UpgradePath
    POST /v1/machines/{machine}/retire (RetireMachine) -> 200 MachineRecord
    POST /v1/machines/{machine}/rollback (OrderRollback) -> 201 OrderRecord
    GET /v1/openapi.json () -> 200 anything
    GET /v1/organisations () -> 200 [OrganisationRecord]
    POST /v1/organisations (CreateOrganisation) -> 201 OrganisationRecord
    GET /v1/organisations/{organisation} () -> 200 OrganisationRecord
    DELETE /v1/organisations/{organisation}/customers/{customer} () -> 200 OrganisationRecord
    PUT /v1/organisations/{organisation}/customers/{customer} () -> 200 OrganisationRecord
    GET /v1/products () -> 200 [ProductRecord]
    POST /v1/products (CreateProductRequest) -> 201 ProductRecord
    GET /v1/products/{product}/advisories () -> 200 [AdvisoryView]
    GET /v1/products/{product}/advisories/{advisory} () -> 200 AdvisoryView
    PUT /v1/products/{product}/advisories/{advisory} (SetAdvisory) -> 200 AdvisoryRecord
    GET /v1/products/{product}/advisories/{advisory}/csaf () -> 200 anything
    GET /v1/products/{product}/channels () -> 200 [PrivateChannelView]
    POST /v1/products/{product}/channels (CreatePrivateChannel) -> 201 PrivateChannelRecord
    POST /v1/products/{product}/channels/{channel}/end () -> 200 PrivateChannelRecord
    GET /v1/products/{product}/deltas () -> 200 DeltaPage
    GET /v1/products/{product}/lines () -> 200 [LineView]
    POST /v1/products/{product}/metadata (AmendMetadataRequest) -> 201 AmendMetadataResponse
    GET /v1/products/{product}/publishing () -> 200 PublishingState
    GET /v1/products/{product}/releases () -> 200 [ReleaseRecord]
    POST /v1/products/{product}/releases (PublishRequest) -> 201 PublishResponse
    GET /v1/products/{product}/releases/{version}/sbom () -> 200 SbomRecord
    POST /v1/products/{product}/releases/{version}/sbom (AttachSbom) -> 201 SbomRecord
    GET /v1/products/{product}/releases/{version}/sbom/document () -> 200 application/octet-stream 206 application/octet-stream 304
    POST /v1/products/{product}/retirements (RetireRequest) -> 201 RetireResponse
    GET /v1/products/{product}/rollouts () -> 200 ProductRollouts
    GET /v1/products/{product}/rollouts/{version} () -> 200 RolloutView
    POST /v1/products/{product}/rollouts/{version}/actions (ActOnRollout) -> 200 RolloutOutcome
    POST /v1/products/{product}/rollouts/{version}/actions/preview (ActOnRollout) -> 200 RolloutOutcome
    POST /v1/products/{product}/rollouts/{version}/plan (PlanRollout) -> 200 RolloutPlan
    GET /v1/products/{product}/safeguards () -> 200 Safeguards
    POST /v1/products/{product}/safeguards (CreateSafeguard) -> 201 SafeguardRecord
    POST /v1/products/{product}/safeguards/preview (CreateSafeguard) -> 200 SafeguardReach
    POST /v1/products/{product}/safeguards/{number}/lift (LiftSafeguard) -> 200 SafeguardRecord
    POST /v1/products/{product}/stop (ChangeStop) -> 200 StopRecord
    POST /v1/products/{product}/unstop (ChangeStop) -> 200 StopRecord
    POST /v1/report (ReportRequest) -> 204
    GET /v1/server-keys () -> 200 ServerKeys
    GET /v1/status () -> 200 [ProductStatus]
    GET /v1/tiers () -> 200 Tiers
    GET /v1/tokens () -> 200 [TokenRecord]
    POST /v1/tokens (CreateToken) -> 201 IssuedToken
    DELETE /v1/tokens/{id} () -> 204
    GET /v1/uploads/{digest} () -> 200 UploadState
    PATCH /v1/uploads/{digest} length offset payload_length? payload_sha256? window_log? (application/octet-stream) -> 200 UploadState
    GET /v1/webhooks () -> 200 [EndpointRecord]
    POST /v1/webhooks (CreateEndpoint) -> 201 IssuedEndpoint
    DELETE /v1/webhooks/{webhook} () -> 204
    GET /v1/webhooks/{webhook} () -> 200 EndpointRecord
    POST /v1/webhooks/{webhook}/disable (DisableEndpoint) -> 200 EndpointRecord
    POST /v1/webhooks/{webhook}/enable () -> 200 EndpointRecord
    POST /v1/webhooks/{webhook}/rotate (RotateSecret) -> 200 IssuedEndpoint
    ");
}
