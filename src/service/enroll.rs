//! Enrolment: an activation key and a machine's own key give a machine its credential.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use mainstay_client::format::{
    ContractName, Digest,
    wire::{EnrollRequest, EnrollResponse},
};
use serde_json::{Value, json};

use super::{
    ATTEMPTS_MAX, Actor, ErrorClass, Scope, Service, ServiceError, ServiceResult,
    access::{MACHINE_TOKEN_PREFIX, Secret, one_line},
    product::text,
};
use crate::{
    clock::random_hex,
    policy::{Code, Contract, Ring, exposure::Runs},
    store::{
        ActivationKeyRecord, AuditEntry, ContractRecord, MachineChange, MachineRecord,
        MemoryRecord, PlanRecord, Role, StoreError,
    },
};

impl Service {
    /// Enrols a machine. A machine whose key is known already keeps its name and, under the same
    /// customer, its history; it gets a new credential, which puts an end to the old one.
    pub async fn enroll(
        &self,
        request: EnrollRequest,
        address: Option<String>,
    ) -> ServiceResult<EnrollResponse> {
        let host = one_line("host", &request.host, self.limits.host_chars_max)?;
        let key = self.accepted_key(&request).await?;
        let contract = self.meta.contract(&key.contract).await?;
        self.require_product(&contract, &request)?;
        let first_root = self.meta.repository_file(&request.product, "1.root.json").await?;
        let root = text(&self.file_bytes(&first_root).await?)?;

        let scope = Scope::Customers([contract.customer.clone()].into());
        let id = format!("activation key {}", key.id);
        let actor = Actor { id, role: Role::Viewer, scope, address };
        let mut attempts = 0;
        let (machine, token) = loop {
            attempts += 1;
            match self.introduce(&actor, &request, &host, &contract).await {
                // The same machine has enrolled or checked in the meantime: look again.
                Err(error) if error.class() == ErrorClass::Conflict && attempts < ATTEMPTS_MAX => {}
                introduced => break introduced?,
            }
        };
        Ok(EnrollResponse {
            machine: machine.name,
            customer: machine.customer,
            contract: machine.contract,
            token,
            root,
        })
    }

    /// Records the machine, or what has changed with it, and says its new credential.
    async fn introduce(
        &self,
        actor: &Actor,
        request: &EnrollRequest,
        host: &str,
        contract: &ContractRecord,
    ) -> ServiceResult<(MachineRecord, String)> {
        let secret = Secret::generate(MACHINE_TOKEN_PREFIX)?;
        let detail = format!("contract {}, host {host}", contract.name);
        let known = self.meta.machine_by_key(&request.product, &request.public_key).await;
        let machine = match known {
            Ok(machine) => {
                let now = self.clock.now();
                let contract_before = machine.contract.clone();
                let (before, machine) = if machine.customer == contract.customer {
                    (enrolled(&machine), machine)
                } else {
                    (history(&machine), without_history(machine, host, now))
                };
                let machine = self.returned(machine, host, &contract.name, now);
                let machine = MachineRecord {
                    customer: contract.customer.clone(),
                    contract: contract.name.clone(),
                    platform: request.platform.clone(),
                    token_sha256: secret.sha256,
                    seen_at: now,
                    ..machine
                };
                let audit = self.audit(actor, "machine.enroll_again", &machine.name);
                let detail = match &machine.clone_suspected {
                    Some(clone) => format!("{detail}; clone suspected: {}", clone.why),
                    None => detail,
                };
                let change = MachineChange {
                    machine: machine.clone(),
                    plan: None,
                    events: Vec::new(),
                    audit: Some(AuditEntry { detail, before: Some(before), ..audit }),
                };
                self.meta.change_machine(change).await?;
                self.allocations.forget(&contract_before);
                machine
            }
            Err(StoreError::NotFound(_)) => {
                let machine = self.new_machine(request, host, contract, secret.sha256)?;
                let audit = self.audit(actor, "machine.enroll", &machine.name);
                let audit = AuditEntry { detail, ..audit };
                self.meta.create_machine(machine.clone(), audit).await?;
                machine
            }
            Err(error) => return Err(error.into()),
        };
        self.allocations.forget(&contract.name);
        Ok((machine, secret.text))
    }

    /// A machine that enrols again, with the claim to a seat and the suspicions that it has then. It
    /// keeps its claim under the same contract, unless it had given it up.
    fn returned(
        &self,
        mut machine: MachineRecord,
        host: &str,
        contract: &ContractName,
        now: Timestamp,
    ) -> MachineRecord {
        if machine.retired.take().is_some() {
            host.clone_into(&mut machine.host);
            machine.clone_suspected = None;
            machine.memory = MemoryRecord::default();
            machine.seated_at = Some(now);
        }
        machine.note_host(host, now);
        if machine.contract != *contract {
            machine.seated_at = Some(now);
        }
        machine.hear_of(self.silence, now);
        machine
    }

    /// The activation key of the request, where it is one and the machine holds the key that it
    /// says it holds.
    async fn accepted_key(&self, request: &EnrollRequest) -> ServiceResult<ActivationKeyRecord> {
        let digest = Digest::of(request.activation_key.as_bytes());
        let key = match self.meta.activation_key(&digest).await {
            Err(StoreError::NotFound(_)) => {
                return Err(ServiceError::new(
                    ErrorClass::Unauthenticated,
                    "ACTIVATION_KEY_UNKNOWN",
                    "the activation key is not known: ask the vendor's account manager for one",
                ));
            }
            other => other?,
        };
        if let Some(expires) = key.expires_at.filter(|expires| *expires <= self.clock.now()) {
            return Err(ServiceError::new(
                ErrorClass::Unauthenticated,
                "ACTIVATION_KEY_EXPIRED",
                format!("the activation key {} expired at {expires}: ask for a new one", key.id),
            ));
        }
        let message = EnrollRequest::proof_message(
            &request.activation_key,
            &request.product,
            &request.public_key,
        );
        if !request.public_key.verify(&message, &request.proof) {
            return Err(ServiceError::new(
                ErrorClass::Unauthenticated,
                "PROOF_INVALID",
                "the proof is not the machine key's signature over this enrolment",
            ));
        }
        Ok(key)
    }

    fn require_product(
        &self,
        contract: &ContractRecord,
        request: &EnrollRequest,
    ) -> ServiceResult<()> {
        let name = &contract.name;
        let (code, message) = match Contract::at(&contract.amendments, self.clock.now()) {
            Some(now) if now.products.contains(&request.product) => return Ok(()),
            Some(_) => (
                Code::ProductNotCovered,
                format!("contract {name} does not cover {}", request.product),
            ),
            None => {
                let began_at = contract.began_at().unwrap_or(Timestamp::MAX);
                let message =
                    format!("contract {name} has not begun: expected {began_at} or later");
                (Code::NotStarted, message)
            }
        };
        Err(ServiceError::new(ErrorClass::Forbidden, code.to_string(), message))
    }

    fn new_machine(
        &self,
        request: &EnrollRequest,
        host: &str,
        contract: &ContractRecord,
        token_sha256: Digest,
    ) -> ServiceResult<MachineRecord> {
        let now = self.clock.now();
        Ok(MachineRecord {
            revision: 1,
            name: format!("m-{}", random_hex::<6>()?).parse()?,
            host: host.to_owned(),
            customer: contract.customer.clone(),
            contract: contract.name.clone(),
            product: request.product.clone(),
            platform: request.platform.clone(),
            public_key: request.public_key.clone(),
            token_sha256,
            enrolled_at: now,
            seen_at: now,
            agent: String::new(),
            ring: Ring::default(),
            running: None,
            offered: BTreeSet::new(),
            outcomes: BTreeMap::new(),
            confirmed: BTreeSet::new(),
            runs: Runs::default(),
            blocks: Vec::new(),
            order: None,
            orders_given: 0,
            retry: None,
            collection: None,
            hold: None,
            pin: None,
            plan: None,
            event_number: 0,
            event_number_before: 0,
            seated_at: None,
            retired: None,
            memory: MemoryRecord::default(),
            clone_suspected: None,
            facts: None,
            waits: None,
        })
    }
}

/// As what a machine is enrolled, for the audit trail.
fn enrolled(machine: &MachineRecord) -> Value {
    json!({ "customer": machine.customer, "contract": machine.contract, "host": machine.host })
}

/// The same, and what has happened with it under its customer, as far as no other record says so.
fn history(machine: &MachineRecord) -> Value {
    let blocked = machine.blocks.iter().map(|block| &block.block.through);
    let order = machine.order.as_ref().map(|order| {
        json!({ "number": order.number, "to": order.to, "at": order.at, "state": order.state })
    });
    let mut history = enrolled(machine);
    history["running"] = json!(machine.running);
    history["confirmed"] = json!(machine.confirmed);
    history["blocked"] = blocked.map(|version| json!(version)).collect();
    history["order"] = json!(order);
    history["ring"] = json!(machine.ring);
    history["hold"] = json!(machine.hold);
    history["pin"] = json!(machine.pin);
    history["retry"] = json!(machine.retry);
    history["collection"] = json!(machine.collection);
    history["event_number"] = json!(machine.event_number);
    history
}

/// The machine as it begins with another customer: what has happened is between it and the customer
/// before. The numbers of its plans and events go on, for the machine goes by them, and the plan that
/// it has is over.
fn without_history(machine: MachineRecord, host: &str, now: Timestamp) -> MachineRecord {
    MachineRecord {
        host: host.to_owned(),
        ring: Ring::default(),
        running: None,
        offered: BTreeSet::new(),
        outcomes: BTreeMap::new(),
        confirmed: BTreeSet::new(),
        runs: Runs::default(),
        blocks: Vec::new(),
        order: None,
        orders_given: machine.next_order_number().saturating_sub(1),
        retry: None,
        collection: None,
        hold: None,
        pin: None,
        plan: machine.plan.map(|plan| PlanRecord { expires: now, ..plan }),
        event_number_before: machine.event_number,
        clone_suspected: None,
        waits: None,
        ..machine
    }
}
