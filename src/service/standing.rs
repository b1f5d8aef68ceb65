mod next;
mod published;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use mainstay_client::format::{
    AdvisoryId, Channel, ChannelName, ContractName, CustomerName, Notice, ProductName, Version,
};

use self::published::Published;
pub(super) use self::published::PublishedProducts;
use super::{
    ErrorClass, Service, ServiceError, ServiceResult,
    contract::ContractExplanation,
    private_channel::PrivateChannels,
    repository::{ServedFile, Target},
    rollout::Spread,
    safeguard::InForce,
};
use crate::{
    policy::{
        self, Block, Catalogue, Contract, Decision, Listing, Offer, Seat, Standing, lifecycle,
        requirement,
    },
    store::{
        ContractRecord, MachineBlock, MachineRecord, OrderState, PinEnd, ProductRecord,
        ReleaseRecord,
    },
};

/// A product with everything that has been published of it, and the contract of whoever asks. All
/// routes decide by this one value.
pub(super) struct ProductStanding {
    published: Arc<Published>,
    contract: Option<Contract>,
    private_channels: PrivateChannels,
    safeguards: InForce,
    spread: Arc<Spread>,
    now: Timestamp,
    next_amended: Option<Timestamp>,
}

impl Service {
    /// The product as the holder of `contract` stands before it.
    pub(super) async fn standing(
        &self,
        contract: &ContractName,
        product: &ProductName,
    ) -> ServiceResult<ProductStanding> {
        self.standing_with(contract, product, None).await
    }

    /// The same as if `planned` were published.
    pub(super) async fn standing_with(
        &self,
        contract: &ContractName,
        product: &ProductName,
        planned: Option<&ReleaseRecord>,
    ) -> ServiceResult<ProductStanding> {
        let ContractRecord { amendments, customer, .. } = self.meta.contract(contract).await?;
        let standing = self.product_standing_with(product, Some(&customer), planned).await?;
        let contract = Contract::at(&amendments, standing.now);
        let next_amended = Contract::next_amended(&amendments, standing.now);
        Ok(ProductStanding { contract, next_amended, ..standing })
    }

    /// The product as its vendor sees it. The decisions on it are those for `customer`, for nobody
    /// where there is none.
    pub(super) async fn product_standing(
        &self,
        product: &ProductName,
        customer: Option<&CustomerName>,
    ) -> ServiceResult<ProductStanding> {
        self.product_standing_with(product, customer, None).await
    }

    async fn product_standing_with(
        &self,
        product: &ProductName,
        customer: Option<&CustomerName>,
        planned: Option<&ReleaseRecord>,
    ) -> ServiceResult<ProductStanding> {
        let now = self.clock.now();
        let published = self.published(product).await?;
        let published = match planned {
            None => published,
            Some(planned) => Arc::new(published.with(planned.clone())?),
        };
        let private_channels = PrivateChannels::of(&published.private_channels, customer);
        let safeguards = self.safeguards_for(&published.safeguards, customer).await?;
        let spread = published.spread.clone();
        Ok(ProductStanding {
            published,
            contract: None,
            private_channels,
            safeguards,
            spread,
            now,
            next_amended: None,
        })
    }
}

impl MachineRecord {
    /// What it is called as somebody who acts.
    pub(super) fn as_actor(&self) -> String {
        format!("machine {}", self.name)
    }

    /// Closes a pending order that leaves nothing to be done: the machine runs what it was ordered
    /// to go back to, whether or not its report has come, or something lower, or nothing at all. An
    /// order that stayed open would keep every update from it.
    pub(super) fn close_order(&mut self) {
        let running = self.running.as_ref();
        if let Some(order) = &mut self.order
            && order.state == OrderState::Pending
            && running.is_none_or(|running| *running <= order.to)
        {
            order.state = OrderState::Done;
        }
    }

    /// Ends an installation that leaves nothing to be done: the machine runs something above it.
    pub(super) fn close_installation(&mut self) {
        let running = self.running.as_ref();
        self.pin.take_if(|pin| {
            pin.ends == PinEnd::OnceConfirmed && running.is_some_and(|it| *it > pin.version)
        });
    }

    /// Refuses what is about another product than the machine's.
    pub(super) fn require_product(&self, product: &ProductName) -> ServiceResult<()> {
        if self.product == *product {
            return Ok(());
        }
        Err(ServiceError::new(
            ErrorClass::Forbidden,
            "WRONG_PRODUCT",
            format!("this machine is enrolled for {}, not {product}", self.product),
        ))
    }
}

/// What a release is to one machine.
pub(super) struct Judged {
    pub(super) decision: Decision,
    pub(super) sentence: String,
}

impl ProductStanding {
    pub(super) fn product(&self) -> &ProductRecord {
        &self.published.product
    }

    pub(super) fn contract(&self) -> Option<&Contract> {
        self.contract.as_ref()
    }

    pub(super) fn catalogue(&self) -> &Catalogue {
        &self.published.catalogue
    }

    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    /// The first instant after now at which something about it changes with time alone, if any does.
    pub(super) fn next_turn(&self) -> Option<Timestamp> {
        let contract = self.contract.iter();
        let turns = contract
            .flat_map(|contract| lifecycle::turning_points(contract, &self.published.catalogue));
        let turns = turns.filter(|at| *at > self.now);
        turns.chain(self.next_amended).chain(self.spread.next_turn(self.now)).min()
    }

    /// The same as if the rollout of `version` had come to everybody.
    pub(super) fn freely(mut self, version: &Version) -> Self {
        Arc::make_mut(&mut self.spread).free(version);
        self
    }

    pub(super) fn covers_product(&self) -> bool {
        self.contract
            .as_ref()
            .is_some_and(|contract| contract.products.contains(&self.published.product.name))
    }

    pub(super) fn release(&self, version: &Version) -> Option<&ReleaseRecord> {
        self.published.releases.iter().find(|release| release.release.version == *version)
    }

    /// The release, as far as the customer may know that there is such a one.
    pub(super) fn known_release(&self, version: &Version) -> Option<&ReleaseRecord> {
        let contract = self.contract.as_ref()?;
        let standing = self.before(contract, &self.published.catalogue, self.now);
        self.release(version).filter(|release| standing.shows(&release.release))
    }

    /// The contract, which is one of the customer's, before a catalogue.
    fn before<'a>(
        &'a self,
        contract: &'a Contract,
        catalogue: &'a Catalogue,
        now: Timestamp,
    ) -> Standing<'a> {
        Standing::new(contract, catalogue, now).with_private_channels(&self.private_channels.own)
    }

    /// Whether a release is a custom build for another customer.
    fn is_anothers(&self, release: &policy::Release) -> bool {
        let private_channel = release.private_channel.as_ref();
        private_channel.is_some_and(|channel| !self.private_channels.own.contains(channel))
    }

    /// What lists a release. Of a channel that has ended the releases are as retired ones: no machine
    /// is updated to them, and those that ran one can go back to it.
    pub(super) fn listing(&self, release: &ReleaseRecord) -> Listing {
        match &release.release.private_channel {
            Some(channel) if self.private_channels.ended.contains(channel) => Listing::Archive,
            _ => release.listing(),
        }
    }

    /// The decision on every release for a machine that has confirmed the versions in `history`,
    /// the lowest version first; nothing where no contract is in force.
    pub(super) fn judge(&self, history: &BTreeSet<Version>) -> Vec<Judged> {
        let Some(contract) = &self.contract else { return Vec::new() };
        let standing = self.before(contract, &self.published.catalogue, self.now);
        standing
            .decide_all(history)
            .into_iter()
            .map(|decision| Judged { sentence: standing.explain(&decision), decision })
            .collect()
    }

    /// What `contract` grants at `at` of the releases that were out by then, the lowest version
    /// first.
    pub(super) fn explain_contract(
        &self,
        contract: &Contract,
        at: Timestamp,
    ) -> ServiceResult<Vec<ContractExplanation>> {
        let catalogue = self.catalogue_at(at)?;
        Ok(explanations(self.before(contract, &catalogue, at)).collect())
    }

    /// The releases that were out at `at`.
    pub(super) fn catalogue_at(&self, at: Timestamp) -> ServiceResult<Catalogue> {
        let releases =
            self.published.catalogue.releases().filter(|release| release.published_at <= at);
        let lines = policy::Line::signed(&self.published.product.repository.lines);
        Catalogue::new(self.published.product.name.clone(), lines, releases.cloned())
            .map_err(ServiceError::internal)
    }

    /// Lets a version pass that is granted, and says why another is not.
    pub(super) fn require_grant(
        &self,
        version: &Version,
        history: &BTreeSet<Version>,
    ) -> ServiceResult<()> {
        let decided = self.contract.as_ref().and_then(|contract| {
            let standing = self.before(contract, &self.published.catalogue, self.now);
            Some((standing, standing.decide(self.published.catalogue.release(version)?, history)))
        });
        match decided {
            Some((_, decision)) if decision.is_grant() => Ok(()),
            Some((standing, decision)) if decision.code != policy::Code::NotFound => {
                let (code, sentence) = (decision.code.to_string(), standing.explain(&decision));
                Err(ServiceError::new(ErrorClass::Forbidden, code, sentence))
            }
            _ => Err(ServiceError::new(
                ErrorClass::NotFound,
                "NOT_FOUND",
                format!("{} has no release {version}", self.published.product.name),
            )),
        }
    }

    /// Whether a channel's manifest may be seen: the contract has the channel, or a grant in it.
    ///
    /// A private channel's may be seen by its customer alone.
    ///
    /// The archive takes in what the channels listed, so it may also be seen where the contract has
    /// every channel that something in it comes from.
    pub(super) fn may_see_channel(
        &self,
        channel: &ChannelName,
        history: &BTreeSet<Version>,
    ) -> bool {
        if let Some(private) = channel.private() {
            return self.private_channels.own.contains(&private);
        }
        let covers = |covered: Channel| {
            self.contract.as_ref().is_some_and(|contract| contract.channels.contains(&covered))
        };
        let mut listed =
            self.published.releases.iter().filter(|release| release.role() == *channel);
        let is_covered = if channel.is_archive() {
            listed.all(|release| covers(release.release.channel))
        } else {
            channel.as_str().parse().is_ok_and(covers)
        };
        is_covered
            || self.judge(history).iter().any(|judged| {
                judged.decision.is_grant()
                    && self
                        .release(&judged.decision.version)
                        .is_some_and(|release| release.role() == *channel)
            })
    }

    /// The release and file that a target path names, as far as a machine may know of it.
    pub(super) fn known_target(&self, target: &Target) -> Option<(&ReleaseRecord, ServedFile)> {
        self.target(target).filter(|(release, _)| !self.is_anothers(&release.release))
    }

    /// The release and file that a target path names.
    pub(super) fn target(&self, target: &Target) -> Option<(&ReleaseRecord, ServedFile)> {
        self.published.releases.iter().find_map(|release| {
            let file = release
                .files()
                .find(|file| file.path == target.path && file.sha256 == target.sha256)?;
            Some((release, ServedFile::target(file.sha256, file.length)))
        })
    }

    /// What a machine with such a seat is to do.
    pub(super) fn resolve(&self, machine: &MachineRecord, seat: Seat) -> policy::Resolution {
        let Some(contract) = &self.contract else {
            return policy::Resolution {
                action: policy::Action::Stay,
                target: None,
                reached: Vec::new(),
                withheld: Vec::new(),
                order_refusal: None,
            };
        };
        let standing = self.before(contract, &self.published.catalogue, self.now);
        let decisions = standing.decide_all(&machine.confirmed);
        let offers = self.offers(machine);
        let machine = policy::Machine { seat, ..self.policy_machine(machine) };
        policy::resolve(&standing, &decisions, &offers, &machine)
    }

    /// What the machine's owner ought to know of ends that are near or over, and of the way up.
    pub(super) fn notices(&self, machine: &MachineRecord) -> Vec<Notice> {
        let Some(contract) = &self.contract else {
            return vec![Notice {
                code: policy::Code::NotStarted.to_string(),
                message: format!("contract {} has not begun", machine.contract),
            }];
        };
        let line = machine.running.as_ref().map(Version::line);
        let ahead = lifecycle::ahead(contract, &self.published.catalogue, line, self.now);
        let is_of_line = ahead.iter().any(lifecycle::Ahead::is_of_line);
        let way_up = if is_of_line { self.way_up(machine) } else { String::new() };
        let notice = |ahead: &lifecycle::Ahead| {
            let sentence = ahead.sentence(contract);
            let message =
                if ahead.is_of_line() { format!("{sentence} {way_up}") } else { sentence };
            Notice { code: ahead.code().to_owned(), message }
        };
        ahead.iter().map(notice).collect()
    }

    /// Where a machine can go from a line that ends, in a sentence.
    fn way_up(&self, machine: &MachineRecord) -> String {
        let line = machine.running.as_ref().map(Version::line);
        match self.path(machine, None) {
            Some(Ok(path)) if Some(path.to.line()) > line => {
                format!("The way up: {}.", path.line())
            }
            _ if self.is_kept_on_custom_build(machine) => {
                "A custom build runs, in whose place come \
                custom builds alone: the way up is the next one, or the end of its channel."
                    .to_owned()
            }
            _ => "There is no newer line to go to yet.".to_owned(),
        }
    }

    fn is_kept_on_custom_build(&self, machine: &MachineRecord) -> bool {
        self.contract.as_ref().is_some_and(|contract| {
            let standing = self.before(contract, &self.published.catalogue, self.now);
            policy::kept_build(&standing, &self.policy_machine(machine)).is_some()
        })
    }

    /// The way up from what a machine runs; nothing where no contract is in force.
    pub(super) fn path(
        &self,
        machine: &MachineRecord,
        to: Option<&Version>,
    ) -> Option<Result<policy::UpgradePath, policy::NoPath>> {
        let standing = self.before(self.contract.as_ref()?, &self.published.catalogue, self.now);
        let decisions = standing.decide_all(&machine.confirmed);
        let (offers, machine) = (self.offers(machine), self.policy_machine(machine));
        Some(policy::upgrade_path(&standing, &decisions, &offers, &machine, to))
    }

    /// How each release can be delivered to a machine.
    fn offers(&self, machine: &MachineRecord) -> BTreeMap<Version, Offer> {
        let safeguards = self.safeguards.reasons(machine);
        self.published
            .releases
            .iter()
            .map(|release| {
                let artifact = release.artifacts.get(&machine.platform);
                let requires = artifact.map(|artifact| &artifact.requires);
                let offer = Offer {
                    platforms: release.artifacts.keys().cloned().collect(),
                    listing: self.listing(release),
                    min_from: release.min_from.clone(),
                    admission: self.spread.admission(
                        (&self.published.product.name, &release.release.version),
                        machine,
                        self.now,
                    ),
                    requirement_unmet: requires
                        .and_then(|requires| requirement::unmet(requires, machine.facts.as_ref())),
                    safeguard: safeguards
                        .get(&release.release.version)
                        .map(|reason| (*reason).to_owned()),
                };
                (release.release.version.clone(), offer)
            })
            .collect()
    }

    fn policy_machine(&self, machine: &MachineRecord) -> policy::Machine {
        let hold = machine.hold.as_ref().filter(|hold| self.now < hold.until);
        let pin = machine.pin.as_ref();
        policy::Machine {
            hold: hold.map(|hold| format!("until {}: {}", hold.until, hold.word.reason)),
            pin: pin.map(|pin| policy::Pin {
                version: pin.version.clone(),
                reason: pin.word.reason.clone(),
            }),
            blocks: machine.blocks.iter().flat_map(|block| self.blocked(block)).collect(),
            rollback: machine.pending_order().map(|order| order.to.clone()),
            floor: machine.running.as_ref().and_then(|running| self.floor(running)),
            ring: machine.ring,
            ..policy::Machine::new(machine.running.clone(), machine.platform.clone())
        }
    }

    /// The releases that a block keeps from a machine, one by one: the one that was left or failed,
    /// and those below it that were out by then. A technician who rolls back knows nothing against
    /// a patch that comes out later, even where its version lies below what was left.
    fn blocked(&self, block: &MachineBlock) -> impl Iterator<Item = Block> {
        let releases = self.published.releases.iter().map(|release| &release.release);
        releases
            .filter(|release| {
                let is_named = release.version == block.block.through;
                block.block.covers(&release.version)
                    && (is_named || release.published_at <= block.at)
            })
            .map(|release| Block {
                over: None,
                through: release.version.clone(),
                reason: block.block.reason.clone(),
            })
    }

    /// Whether a version is kept from a machine.
    pub(super) fn keeps(&self, machine: &MachineRecord, version: &Version) -> bool {
        let mut blocks = machine.blocks.iter().flat_map(|block| self.blocked(block));
        blocks.any(|block| block.covers(version))
    }

    /// The advisories that open again on a machine that goes back, as far as its customer may know of
    /// the releases that fix them.
    pub(super) fn opened(&self, from: &Version, to: &Version) -> BTreeSet<AdvisoryId> {
        let Some(contract) = &self.contract else { return BTreeSet::new() };
        let standing = self.before(contract, &self.published.catalogue, self.now);
        policy::exposure::reopened(
            &self.published.catalogue,
            |release| standing.shows(release),
            from,
            to,
        )
    }

    /// The lowest version that a machine which runs `running` may be rolled back to: the highest
    /// floor among the releases up to what runs and those of its line. The client computes the
    /// same from the signed channels.
    pub(super) fn floor(&self, running: &Version) -> Option<Version> {
        self.published
            .releases
            .iter()
            .filter(|release| !self.is_anothers(&release.release))
            .filter(|release| {
                let version = &release.release.version;
                version <= running || version.line() == running.line()
            })
            .filter_map(|release| release.floor.clone())
            .max()
    }
}

/// What a contract grants of a catalogue, the lowest version first.
pub(super) fn explanations(standing: Standing<'_>) -> impl Iterator<Item = ContractExplanation> {
    standing.catalogue().releases().map(move |release| ContractExplanation {
        explained: standing.explained(standing.decide(release, &BTreeSet::new())),
        channel: release.channel,
        status: release.status,
        published_at: release.published_at,
    })
}
