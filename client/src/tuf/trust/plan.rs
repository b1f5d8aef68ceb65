use super::{TrustedRepository, envelope, repository::not_delegated};
use crate::{
    format::{CustomerName, MachineName, PLAN_FORMAT, Plan, ProductName},
    tuf::{Envelope, Refusal, Rule},
};

/// The name of the delegated role that signs plans.
pub const DIRECTOR: &str = "director";

/// Whom a plan must be for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanBinding {
    /// The product.
    pub product: ProductName,
    /// The customer.
    pub customer: CustomerName,
    /// The machine.
    pub machine: MachineName,
    /// The version of the newest plan that the machine has seen; an older one is a replay.
    pub version_min: u64,
}

impl TrustedRepository {
    /// Verifies a plan: signed by the director that the vendor delegated to, for this machine, not
    /// older than one that was seen before, not expired.
    pub fn plan(&self, bytes: &[u8], binding: &PlanBinding) -> Result<Plan, Refusal> {
        let envelope = self.directors(bytes)?;
        let plan: Plan = envelope.document()?;
        let refuse = |rule, detail: String| Err(envelope.refusal(rule, detail));
        if plan.kind != Plan::KIND || plan.format != PLAN_FORMAT {
            let detail = format!(
                "it is `{}` of format {}: expected `{}` of format {PLAN_FORMAT}",
                plan.kind,
                plan.format,
                Plan::KIND
            );
            return refuse(Rule::Form, detail);
        }
        let found = (&plan.product, &plan.customer, &plan.machine);
        let expected = (&binding.product, &binding.customer, &binding.machine);
        if found != expected {
            let name = |(product, customer, machine)| {
                format!("product {product}, customer {customer}, machine {machine}")
            };
            let detail = format!("it is for {}: this is {}", name(found), name(expected));
            return refuse(Rule::Binding, detail);
        }
        if plan.version < binding.version_min {
            let detail = format!("version {} was seen already", binding.version_min);
            return refuse(Rule::Rollback, detail);
        }
        if plan.expires <= self.now {
            let detail = format!("it expired at {}; it is {} now", plan.expires, self.now);
            return refuse(Rule::Expired, detail);
        }
        Ok(plan)
    }

    /// The plan that was seen before, where it is signed by whoever directs now. Whether it has
    /// expired does not matter: it says below which version every plan is a replay.
    pub fn recall_plan(&self, bytes: &[u8]) -> Option<Plan> {
        self.directors(bytes).and_then(|envelope| envelope.document()).ok()
    }

    /// A document that the director has signed to whom the vendor delegates.
    fn directors(&self, bytes: &[u8]) -> Result<Envelope, Refusal> {
        let delegations = self.delegations(DIRECTOR)?;
        let role = delegations.role(DIRECTOR).ok_or_else(|| not_delegated(DIRECTOR))?;
        let envelope = envelope("plan", bytes, self.reader.limits.plan_bytes_max)?;
        envelope.verify(&delegations.keys, &role.keys)?;
        Ok(envelope)
    }
}
