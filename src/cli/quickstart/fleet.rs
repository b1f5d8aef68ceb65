use std::{
    path::{Path, PathBuf},
    process::Command,
};

use jiff::SignedDuration;
use mainstay_client::{
    client::{Client, EnrollOptions, Identity},
    format::{MachineName, ProductName, TargetPath, Version},
    install::Outcome,
};
use secrecy::SecretString;

use super::story::{Step, StepOutcome, Story};
use crate::{
    cli::{
        CliError, CliResult, Connection,
        contract::{activation_key, of_tier},
    },
    clock::Clock,
    policy::{Reopening, RollbackTarget, Term, Tier},
    service::{
        contract::{ContractView, CreateContract, CreateCustomer},
        support::{Explanation, MachineStanding, OrderRollback},
    },
    store::{CustomerRecord, OrderRecord, ReleaseRecord},
};

/// A customer of the demo, its contract and its machine.
struct Member {
    customer: &'static str,
    machine: MachineName,
    dir: PathBuf,
}

/// The demo's two customers with a machine each.
pub(super) struct Fleet<'a> {
    server: &'a Connection,
    url: &'a str,
    product: ProductName,
    in_term: Member,
    ended: Member,
}

const IN_TERM: (&str, &str) = ("northwind", "Northwind Traders");
const ENDED: (&str, &str) = ("tailspin", "Tailspin Toys");

impl<'a> Fleet<'a> {
    /// Makes the customers where they are missing, and for each a contract and a machine.
    pub(super) fn enrol(
        server: &'a Connection,
        url: &'a str,
        dir: &Path,
        product: &ProductName,
        story: &mut Story,
    ) -> Result<Self, CliError> {
        let customers: Vec<CustomerRecord> = server.get("/v1/customers")?;
        for (name, title) in [IN_TERM, ENDED] {
            if customers.iter().all(|customer| customer.name.as_str() != name) {
                let request = CreateCustomer { name: name.parse()?, title: Some(title.to_owned()) };
                let _created: CustomerRecord = server.post("/v1/customers", &request)?;
            }
        }
        let now = Clock::system().now();
        let days = |days: i64| {
            now.checked_add(SignedDuration::from_hours(24 * days))
                .map_err(|error| CliError::Input(error.to_string()))
        };
        let member = |customer: &'static str, tier, term: Term| {
            Member::enrol(server, url, dir, product, (customer, tier, term))
        };
        let in_term = Term { start: days(-100)?, end: days(265)? };
        let ended = Term { start: days(-395)?, end: days(-30)? };
        let fleet = Self {
            server,
            url,
            product: product.clone(),
            in_term: member(IN_TERM.0, Tier::Standard, in_term)?,
            ended: member(ENDED.0, Tier::Basic, ended)?,
        };
        for (member, title, what) in [
            (&fleet.in_term, IN_TERM.1, format!("a standard contract until {}", in_term.end)),
            (&fleet.ended, ENDED.1, format!("a basic contract that ended at {}", ended.end)),
        ] {
            story.tell(&format!("{title} has {what}, and the machine {}.", member.machine));
        }
        Ok(fleet)
    }

    pub(super) fn machine_dirs(&self) -> [PathBuf; 2] {
        [self.in_term.dir.clone(), self.ended.dir.clone()]
    }

    pub(super) fn first_machine(&self) -> &str {
        self.in_term.machine.as_str()
    }

    /// The story itself.
    pub(super) fn tell(
        &self,
        story: &mut Story,
        publish: &mut dyn FnMut(&mut Story, &str) -> CliResult,
    ) -> CliResult {
        let Self { in_term, ended, .. } = self;
        story.chapter("The first release");
        publish(story, "1.0.0")?;
        self.update(in_term, story)?;
        self.update(ended, story)?;

        story.chapter("A bug fix and a security fix: only who is in term gets them");
        publish(story, "1.0.1")?;
        publish(story, "1.0.2")?;
        self.update(in_term, story)?;
        self.update(ended, story)?;
        self.download_denied(ended, "1.0.2", story)?;

        story.chapter("A feature");
        publish(story, "1.1.0")?;
        self.update(in_term, story)?;
        self.update(ended, story)?;

        story.chapter("A bad bug fix: its health check fails, and it undoes itself");
        in_term.run_program(&["add", "buy milk"])?;
        publish(story, "1.1.1")?;
        self.update(in_term, story)?;
        let notes = in_term.run_program(&["list"])?;
        story.tell(&format!("              its data is what it was: {}", notes.trim()));

        story.chapter("A major upgrade, which a standard contract does not have");
        publish(story, "2.0.0")?;
        self.update(in_term, story)?;

        story.chapter("A technician orders a rollback; the machine stays there");
        self.order_rollback(in_term, "1.0.2", story)?;
        self.update(in_term, story)?;
        self.update(in_term, story)
    }

    /// Has a machine update, and tells what came of it and what it did not get.
    fn update(&self, member: &Member, story: &mut Story) -> CliResult {
        let before = self.explain(member)?;
        let mut client = Client::open(&member.dir)?;
        let update = client.update(&mut |_| {})?;
        let running = update.check.running.clone();
        let machine = &member.machine;
        match update.outcome {
            // None of the demonstration's releases puts anything off.
            None | Some(Outcome::Deferred { .. }) => story.step(Step {
                sentence: format!(
                    "{machine} runs {} and has what it may have",
                    shown(running.as_ref())
                ),
                outcome: StepOutcome::UpToDate,
                version_to: running.clone(),
                ..member.step(running.clone(), None)
            }),
            Some(Outcome::Committed { from, to } | Outcome::Probation { from, to, .. }) => {
                let next =
                    before.iter().find(|explanation| explanation.standing == MachineStanding::Next);
                story.step(Step {
                    sentence: format!("{machine} went from {} to {to}", shown(from.as_ref())),
                    outcome: StepOutcome::Installed,
                    version_to: Some(to),
                    ..member.step(from, next.map(|next| next.code.clone()))
                });
            }
            Some(Outcome::Undone { from, to, reason }) => story.step(Step {
                sentence: format!(
                    "{machine} tried {from} and runs {} again: {}",
                    shown(to.as_ref()),
                    reason.split_whitespace().collect::<Vec<_>>().join(" ")
                ),
                outcome: StepOutcome::Undone,
                version_to: to,
                ..member.step(Some(from), Some("HEALTH_CHECK_FAILED".to_owned()))
            }),
            Some(Outcome::RolledBack { from, to }) => story.step(Step {
                sentence: format!("{machine} went from {from} back to {to}"),
                outcome: StepOutcome::RolledBack,
                version_to: Some(to),
                ..member.step(Some(from), Some("ROLLBACK".to_owned()))
            }),
        }
        for withheld in update.check.plan.withheld {
            story.denied(Step {
                sentence: format!(
                    "{machine} does not get {}: {}",
                    withheld.version, withheld.message
                ),
                outcome: StepOutcome::Denied,
                version_to: Some(withheld.version),
                ..member.step(running.clone(), Some(withheld.code))
            });
        }
        Ok(())
    }

    /// Asks for an artifact by its address with the credential of a machine that may not have it.
    fn download_denied(&self, member: &Member, version: &str, story: &mut Story) -> CliResult {
        let version: Version = version.parse()?;
        let releases: Vec<ReleaseRecord> =
            self.server.get(&format!("/v1/products/{}/releases", self.product))?;
        let address = releases
            .iter()
            .find(|record| record.release.version == version)
            .and_then(|record| {
                let (platform, artifact) = record.artifacts.first_key_value()?;
                let channel = record.release.channel.into();
                let path = TargetPath::artifact(&channel, &version, platform);
                Some(format!(
                    "/repo/{}/targets/{}",
                    self.product,
                    path.consistent(&artifact.sha256)
                ))
            })
            .unwrap_or_default();
        let token_file = member.dir.join(".mainstay/token");
        let token = std::fs::read_to_string(&token_file)
            .map_err(|source| CliError::file("read", &token_file, source))?;
        let machine = Connection::new(self.url, token.trim(), None)?;
        match machine.get::<serde_json::Value>(&address) {
            Err(CliError::Server(problem)) => {
                story.step(Step {
                    sentence: format!(
                        "{} asked for the bytes of {version} all the same: {}",
                        member.machine, problem.detail
                    ),
                    outcome: StepOutcome::Refused,
                    version_to: Some(version),
                    ..member.step(None, Some(problem.code))
                });
                Ok(())
            }
            Err(error) => Err(error),
            Ok(_) => Err(CliError::Input(format!("the server gave out {version}"))),
        }
    }

    fn order_rollback(&self, member: &Member, to: &str, story: &mut Story) -> CliResult {
        let request = OrderRollback {
            to: RollbackTarget::Version(to.parse()?),
            exposure: Reopening::Refused,
            reason: "reports are slow since the update".to_owned(),
            ticket: Some("SUP-1042".to_owned()),
        };
        let path = format!("/v1/machines/{}/rollback", member.machine);
        let order: OrderRecord = self.server.post(&path, &request)?;
        story.tell(&format!(
            "  order {}     from {} to {}, ticket SUP-1042: {}",
            order.number, order.from, order.to, order.reason
        ));
        Ok(())
    }

    fn explain(&self, member: &Member) -> Result<Vec<Explanation>, CliError> {
        self.server.get(&format!("/v1/machines/{}/explain", member.machine))
    }
}

impl Member {
    fn enrol(
        server: &Connection,
        url: &str,
        dir: &Path,
        product: &ProductName,
        (customer, tier, term): (&'static str, Tier, Term),
    ) -> Result<Self, CliError> {
        let name = format!("{customer}-{product}");
        let contract = CreateContract {
            name: name.parse()?,
            customer: customer.parse()?,
            at: None,
            contract: of_tier(server, tier, [product.clone()].into(), "1.0".parse()?, term)?,
        };
        let contract: ContractView = server.post("/v1/contracts", &contract)?;
        let key = activation_key(server, &contract.record.name, None)?;
        let dir = dir.join("machines").join(&name);
        let enrolment = Client::enroll(&EnrollOptions {
            root_dir: dir.clone(),
            server_url: url.to_owned(),
            product: product.clone(),
            activation_key: SecretString::from(key.activation_key),
            host: name,
            ca_file: None,
            proxy: None,
            identity: Identity::Kept,
            root_sha256: None,
        })?;
        Ok(Self { customer, machine: enrolment.machine, dir })
    }

    fn step(&self, version_from: Option<Version>, code: Option<String>) -> Step {
        Step {
            sentence: String::new(),
            customer: Some(self.customer.to_owned()),
            machine: Some(self.machine.to_string()),
            version_from,
            version_to: None,
            outcome: StepOutcome::UpToDate,
            code,
        }
    }

    /// Runs the installed demo product.
    fn run_program(&self, arguments: &[&str]) -> Result<String, CliError> {
        let program = self.dir.join("current/bin/acme-db");
        let failed = |source| CliError::file("run", &program, source);
        let data = std::path::absolute(self.dir.join("data")).map_err(failed)?;
        let output = Command::new(&program)
            .args(arguments)
            .env("MAINSTAY_DATA", data)
            .output()
            .map_err(failed)?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(failed(std::io::Error::other(message)));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

fn shown(version: Option<&Version>) -> String {
    version.map_or_else(|| "nothing".to_owned(), Version::to_string)
}
