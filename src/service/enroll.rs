//! Enrolment: an activation key and a machine's own key give a machine its credential.

use jiff::Timestamp;
use mainstay_client::format::{
    ContractName, Digest,
    wire::{EnrollRequest, EnrollResponse},
};
use serde_json::json;

use super::{
    ATTEMPTS_MAX, Actor, ErrorClass, Scope, Service, ServiceError, ServiceResult,
    access::{MACHINE_TOKEN_PREFIX, Secret, one_line},
    product::text,
};
use crate::{
    clock::random_hex,
    policy::Contract,
    store::{
        ActivationKeyRecord, AuditEntry, ContractRecord, MachineChange, MachineRecord,
        MemoryRecord, Role, StoreError,
    },
};

impl Service {
    /// Enrols a machine. A machine whose key is known already keeps its name and history and gets
    /// a new credential, which puts an end to the old one.
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
                let before = json!({
                    "customer": machine.customer,
                    "contract": machine.contract,
                    "host": machine.host,
                });
                let now = self.clock.now();
                let contract_before = machine.contract.clone();
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
        let covered = Contract::at(&contract.amendments, self.clock.now())
            .is_some_and(|now| now.products.contains(&request.product));
        if covered {
            return Ok(());
        }
        Err(ServiceError::new(
            ErrorClass::Forbidden,
            "PRODUCT_NOT_COVERED",
            format!("contract {} does not cover {}", contract.name, request.product),
        ))
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
            running: None,
            offered: std::collections::BTreeSet::new(),
            confirmed: std::collections::BTreeSet::new(),
            blocks: Vec::new(),
            order: None,
            plan: None,
            event_number: 0,
            seated_at: None,
            retired: None,
            memory: MemoryRecord::default(),
            clone_suspected: None,
            facts: None,
        })
    }
}
