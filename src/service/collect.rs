//! Support bundles: asked for by technicians, sent by machines, kept for a while.

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use jiff::Timestamp;
use mainstay_client::{
    format::{BundleHeading, CollectOrder, MachineName, wire::CollectionRefusal},
    pack::Bundle,
};

use super::{ATTEMPTS_MAX, Actor, ErrorClass, Scope, Service, ServiceError, ServiceResult};
use crate::{
    limits::Limits,
    store::{
        AuditEntry, BundleRecord, CollectionRecord, CollectionState, MachineChange, MachineRecord,
        Role, StoreError, Word,
    },
};

/// How many bundles are removed in one go.
const FORGOTTEN_MAX: usize = 100;

/// Asks `machine` for a support bundle. Says what whoever asks ought to know.
pub(super) fn order(
    machine: &mut MachineRecord,
    word: &Word,
    limits: &Limits,
) -> ServiceResult<Vec<String>> {
    let lifetime = limits.collection_lifetime;
    let expires = word.at.checked_add(lifetime).map_err(ServiceError::internal)?;
    let mut cautions = Vec::new();
    if let Some(before) = machine.collection.as_deref().filter(|before| before.is_open(word.at)) {
        cautions.push(format!(
            "This takes the place of the request that {} made at {}: {}.",
            before.word.by, before.word.at, before.word.reason
        ));
    }
    cautions.push(format!(
        "It is asked for a support bundle until {expires}. Its administrator may forbid that, and must \
         approve of it unless `[support] collect` in agent.toml is `allow`."
    ));
    let (number, word) = (machine.next_order_number(), word.clone());
    machine.orders_given = number;
    let (state, answered_at) = (CollectionState::Pending, None);
    let collection = CollectionRecord { number, expires, state, answered_at, word };
    machine.collection = Some(Box::new(collection));
    Ok(cautions)
}

/// What the machine's plan says of it.
pub(super) fn planned(machine: &MachineRecord, now: Timestamp) -> Option<CollectOrder> {
    let collection = machine.collection.as_deref().filter(|collection| collection.is_open(now));
    collection.map(|CollectionRecord { number, expires, word, .. }| CollectOrder {
        number: *number,
        reason: word.reason.clone(),
        ticket: word.ticket.clone(),
        expires: *expires,
    })
}

impl Service {
    /// Takes in the support bundle that the machine was asked for by order `number`. One that is here
    /// already stays as it is.
    pub async fn take_in_bundle<E: std::fmt::Display>(
        &self,
        machine: MachineRecord,
        number: u64,
        content: impl Stream<Item = Result<Bytes, E>>,
    ) -> ServiceResult<()> {
        let Some(collection) = self.asked(&machine, number)? else { return Ok(()) };
        let bytes = self.whole_bundle(content).await?;
        let bytes = expect_bundle(bytes, &machine, number).await?;
        let sha256 = self.put_blob(&bytes).await?;
        let bundle = BundleRecord {
            machine: machine.name.clone(),
            customer: machine.customer.clone(),
            number,
            at: self.clock.now(),
            sha256,
            length: bytes.len() as u64,
            word: collection.word,
        };
        self.end_collection(machine, number, CollectionState::Collected, Some(bundle)).await
    }

    /// Takes in why the machine does not send the bundle that it was asked for by order `number`.
    pub async fn refuse_collection(
        &self,
        machine: MachineRecord,
        number: u64,
        refusal: CollectionRefusal,
    ) -> ServiceResult<()> {
        self.end_collection(machine, number, refusal.answer.into(), None).await
    }

    /// Notes what has become of a request, with the bundle where that is here.
    async fn end_collection(
        &self,
        mut machine: MachineRecord,
        number: u64,
        state: CollectionState,
        bundle: Option<BundleRecord>,
    ) -> ServiceResult<()> {
        for _ in 0..ATTEMPTS_MAX {
            machine.require_enrolled()?;
            let Some(collection) = self.asked(&machine, number)? else { return Ok(()) };
            let name = machine.name.clone();
            let audit = Some(self.answered(&machine, &collection, state));
            let answered_at = Some(self.clock.now());
            let collection = CollectionRecord { state, answered_at, ..collection };
            machine.collection = Some(Box::new(collection));
            let change = MachineChange { machine, plan: None, events: Vec::new(), audit };
            let changed = match bundle.clone() {
                Some(bundle) => self.meta.add_bundle(change, bundle).await,
                None => self.meta.change_machine(change).await,
            };
            match changed {
                // The machine has checked in the meantime.
                Err(StoreError::Conflict(_)) => machine = self.meta.machine(&name).await?,
                other => return Ok(other?),
            }
        }
        Err(ServiceError::new(
            ErrorClass::Unavailable,
            "BUSY",
            "the machine's record keeps changing; send it again",
        ))
    }

    /// The request that the machine answers; nothing where its bundle is here already.
    fn asked(
        &self,
        machine: &MachineRecord,
        number: u64,
    ) -> ServiceResult<Option<CollectionRecord>> {
        let asked = machine.collection.as_deref().filter(|collection| collection.number == number);
        match asked {
            Some(asked) if asked.state == CollectionState::Collected => Ok(None),
            Some(asked) if asked.is_open(self.clock.now()) => Ok(Some(asked.clone())),
            _ => Err(ServiceError::new(
                ErrorClass::Conflict,
                BundleHeading::UNASKED,
                format!("no support bundle is asked for by order {number}, or not any more"),
            )),
        }
    }

    fn answered(
        &self,
        machine: &MachineRecord,
        collection: &CollectionRecord,
        state: CollectionState,
    ) -> AuditEntry {
        let (action, detail) = match state {
            CollectionState::Collected => ("machine.collected", "the support bundle is here"),
            CollectionState::Forbidden => {
                ("machine.collect_forbidden", "forbidden by the machine's administrator")
            }
            CollectionState::AwaitsApproval | CollectionState::Pending => {
                ("machine.collect_waits", "the machine's administrator has to approve of it first")
            }
        };
        let scope = Scope::Customers([machine.customer.clone()].into());
        let actor = Actor { id: machine.as_actor(), role: Role::Viewer, scope, address: None };
        let audit = self.audit(&actor, action, &machine.name);
        let ticket = collection.word.ticket.clone();
        AuditEntry { ticket, detail: format!("order {}: {detail}", collection.number), ..audit }
    }

    /// The bytes of a bundle, which are counted as they arrive, whatever was announced.
    async fn whole_bundle<E: std::fmt::Display>(
        &self,
        content: impl Stream<Item = Result<Bytes, E>>,
    ) -> ServiceResult<Vec<u8>> {
        let max = self.limits.bundle_bytes_max;
        let mut content = std::pin::pin!(content);
        let mut bytes = Vec::new();
        while let Some(piece) = content.next().await {
            let piece = piece.map_err(|error| {
                ServiceError::input(format!("the bundle did not arrive ({error}): send it again"))
            })?;
            if bytes.len() + piece.len() > max {
                return Err(ServiceError::new(
                    ErrorClass::TooLarge,
                    "BODY_TOO_LARGE",
                    format!("the bundle is too large: expected at most {max} bytes"),
                ));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    /// The support bundles of a machine that are kept, the oldest first.
    pub async fn bundles(
        &self,
        actor: &Actor,
        name: &MachineName,
    ) -> ServiceResult<Vec<BundleRecord>> {
        let machine = self.machine_in(&actor.scope, name).await?;
        let mut bundles = self.meta.bundles(name).await?;
        // What a machine sent under another customer is no affair of this one's.
        bundles.retain(|bundle| bundle.customer == machine.customer);
        Ok(bundles)
    }

    /// One support bundle, byte for byte. Who had it is in the audit trail.
    pub async fn bundle(
        &self,
        actor: &Actor,
        name: &MachineName,
        number: u64,
    ) -> ServiceResult<Bytes> {
        let bundles = self.bundles(actor, name).await?;
        let found = bundles.into_iter().find(|bundle| bundle.number == number);
        let found = found.ok_or_else(|| {
            let message = format!("machine {name} has no support bundle {number}");
            ServiceError::new(ErrorClass::NotFound, "NOT_FOUND", message)
        })?;
        let bytes = self.blobs.bytes(&found.sha256, found.length).await?;
        let audit = self.audit(actor, "machine.bundle", name);
        let detail = format!("order {number}, SHA-256 {}", found.sha256);
        self.meta.record_audit(AuditEntry { detail, ..audit }).await?;
        Ok(bytes)
    }

    /// Removes the support bundles that have been kept for long enough.
    pub async fn forget_bundles(&self) -> ServiceResult<()> {
        let kept = self.limits.bundle_kept;
        let before = self.clock.now().checked_sub(kept).map_err(ServiceError::internal)?;
        loop {
            let old = self.meta.bundles_before(before, FORGOTTEN_MAX).await?;
            for bundle in &old {
                self.forget_bundle(bundle).await?;
            }
            if old.len() < FORGOTTEN_MAX {
                return Ok(());
            }
        }
    }

    /// Removes all support bundles of a machine.
    pub(super) async fn forget_bundles_of(&self, name: &MachineName) -> ServiceResult<()> {
        for bundle in self.meta.bundles(name).await? {
            self.forget_bundle(&bundle).await?;
        }
        Ok(())
    }

    /// The blob goes first: without its record nobody would know of it any more. Nothing else is in it,
    /// since a bundle says which machine and which order it is of.
    async fn forget_bundle(&self, bundle: &BundleRecord) -> ServiceResult<()> {
        self.blobs.remove(&bundle.sha256).await?;
        Ok(self.meta.remove_bundle(&bundle.machine, bundle.number).await?)
    }
}

/// Refuses what is no support bundle of this machine, by this order. It is looked through on a thread
/// that may take its time.
async fn expect_bundle(
    bytes: Vec<u8>,
    machine: &MachineRecord,
    number: u64,
) -> ServiceResult<Vec<u8>> {
    let looked = move || {
        let heading = Bundle::read(&bytes).and_then(|bundle| bundle.heading());
        (bytes, heading.map_err(|error| error.to_string()))
    };
    let (bytes, heading) =
        tokio::task::spawn_blocking(looked).await.map_err(ServiceError::internal)?;
    let refuse =
        |message: String| Err(ServiceError::new(ErrorClass::Refused, "BUNDLE_REFUSED", message));
    match heading {
        Ok(BundleHeading { machine: of, order: Some(order), .. })
            if of == machine.name && order == number =>
        {
            Ok(bytes)
        }
        Ok(BundleHeading { machine: of, order, .. }) => {
            let order = order.map_or_else(|| "no order".to_owned(), |it| format!("order {it}"));
            refuse(format!(
                "it is of machine {of} by {order}: expected machine {} by order {number}",
                machine.name
            ))
        }
        Err(problem) => refuse(problem),
    }
}
