//! How near the ends of a line and of a contract's paid time are, and what to say of that.
//!
//! What is said changes at the steps alone (180, 90 and 30 days ahead, and at the end), so that a
//! plan stays the same in between.

use jiff::{SignedDuration, Timestamp};
use mainstay_client::format::LineName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    catalogue::{Catalogue, Line, Status},
    contract::{Contract, State, Term, days_after},
    entitlement::on,
};

/// Where a line stands in its life.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum LineStatus {
    /// It gets releases.
    Supported,
    /// Its releases are for those who have bought extended support.
    PastEos,
    /// Its releases are for nobody.
    PastEol,
}

impl LineStatus {
    /// Where `line` stands at `now`.
    pub fn of(line: &Line, now: Timestamp) -> Self {
        let is_past = |end: Option<Timestamp>| end.is_some_and(|end| now >= end);
        if is_past(line.eol) {
            Self::PastEol
        } else if is_past(line.eos) {
            Self::PastEos
        } else {
            Self::Supported
        }
    }

    /// The status in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Supported => "supported",
            Self::PastEos => "past EOS",
            Self::PastEol => "past EOL",
        }
    }
}

/// What an end is the end of. The order is that in which they are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// The support of the line that runs.
    Eos(LineName),
    /// The life of the line that runs.
    Eol(LineName),
    /// The time that the contract has paid for.
    PaidTime,
}

/// How near an end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Nearness {
    /// It has so many days or less.
    WithinDays(i64),
    /// It is over.
    Over,
}

/// An end that the owner of a machine ought to know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ahead {
    /// What ends.
    pub end: End,
    /// When: the first instant that is out.
    pub at: Timestamp,
    /// How near that is.
    pub nearness: Nearness,
}

/// How many days ahead an end of a line is told.
const LINE_STEPS: [i64; 3] = [30, 90, 180];
/// How many days ahead the end of the paid time is told.
const PAID_STEPS: [i64; 2] = [30, 90];

/// The ends that are near or over at `now` for a machine on line `running`.
///
/// Where extended support was bought for the line, its end of support ends nothing; and once its
/// life is over, nothing is said of its support.
pub fn ahead(
    contract: &Contract,
    catalogue: &Catalogue,
    running: Option<LineName>,
    now: Timestamp,
) -> Vec<Ahead> {
    let mut ends = Vec::new();
    if let Some(name) = running {
        ends.extend(line_ends_ahead(&catalogue.line(name), now));
        ends.retain(
            |ahead| !matches!(ahead.end, End::Eos(line) if contract.els_lines.contains(&line)),
        );
    }
    ends.extend(paid_time_ahead(contract, now));
    ends
}

/// The ends of `line` that are near or over at `now`. Once its life is over, nothing is said of its
/// support.
pub fn line_ends_ahead(line: &Line, now: Timestamp) -> Vec<Ahead> {
    let Line { line: name, eos, eol, .. } = *line;
    let eol = eol.and_then(|at| near(End::Eol(name), at, now, &LINE_STEPS));
    let is_dead = eol.is_some_and(|eol| eol.nearness == Nearness::Over);
    let eos = eos.filter(|_| !is_dead);
    let eos = eos.and_then(|at| near(End::Eos(name), at, now, &LINE_STEPS));
    eos.into_iter().chain(eol).collect()
}

/// The end of the paid time of `contract`, where that is near or over at `now`.
pub fn paid_time_ahead(contract: &Contract, now: Timestamp) -> Option<Ahead> {
    let paid = contract.paid_until(now).filter(|_| contract.state == State::Active);
    paid.and_then(|at| near(End::PaidTime, at, now, &PAID_STEPS))
}

/// The instants at which, with time alone, `contract` comes to grant something else of `catalogue`, or
/// something else is [`ahead`], in no order.
pub fn turning_points<'a>(
    contract: &'a Contract,
    catalogue: &'a Catalogue,
) -> impl Iterator<Item = Timestamp> + 'a {
    let of_term = |term: &Term| {
        let Term { start, end } = *term;
        let [grace, tail] =
            [contract.grace_days, contract.security_tail_days].map(|days| days_after(end, days));
        [start, grace, tail].into_iter().chain(steps_to(end, &PAID_STEPS))
    };
    let ends = catalogue.lines().flat_map(|line| [line.eos, line.eol]).flatten();
    let of_lines = ends.flat_map(|end| steps_to(end, &LINE_STEPS));
    contract.terms.iter().flat_map(of_term).chain(of_lines)
}

/// The end at `at`, and so many days before it.
fn steps_to(at: Timestamp, steps: &[i64]) -> impl Iterator<Item = Timestamp> {
    let before = move |days: &i64| at.checked_sub(SignedDuration::from_hours(24 * days)).ok();
    std::iter::once(at).chain(steps.iter().filter_map(before))
}

/// The end at `at`, where it is over or one of the `steps`, the fewest days first, is reached.
fn near(end: End, at: Timestamp, now: Timestamp, steps: &[i64]) -> Option<Ahead> {
    let left = at.duration_since(now);
    let nearness = if left <= SignedDuration::ZERO {
        Nearness::Over
    } else {
        let step = steps.iter().find(|days| left <= SignedDuration::from_hours(24 * **days));
        Nearness::WithinDays(*step?)
    };
    Some(Ahead { end, at, nearness })
}

impl Ahead {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match (self.end, self.nearness) {
            (End::Eos(_), Nearness::WithinDays(_)) => "LINE_EOS_NEAR",
            (End::Eos(_), Nearness::Over) => "LINE_EOS",
            (End::Eol(_), Nearness::WithinDays(_)) => "LINE_EOL_NEAR",
            (End::Eol(_), Nearness::Over) => "LINE_EOL",
            (End::PaidTime, Nearness::WithinDays(_)) => "CONTRACT_ENDS",
            (End::PaidTime, Nearness::Over) => "CONTRACT_ENDED",
        }
    }

    /// What ends, when, and what that means, for the customer's administrator.
    pub fn sentence(&self, contract: &Contract) -> String {
        let at = on(self.at);
        let Self { end, nearness, .. } = self;
        match (end, nearness) {
            (End::Eos(line), Nearness::WithinDays(days)) => format!(
                "The support of line {line} ends on {at}, in {days} days or less; patches that come \
                 out from then on need extended support (ELS)."
            ),
            (End::Eos(line), Nearness::Over) => format!(
                "The support of line {line} ended on {at}; patches that came out since need \
                 extended support (ELS)."
            ),
            (End::Eol(line), Nearness::WithinDays(days)) => format!(
                "The life of line {line} ends on {at}, in {days} days or less; from then on it gets \
                 no patches at all."
            ),
            (End::Eol(line), Nearness::Over) => {
                format!("The life of line {line} ended on {at}; it gets no patches any more.")
            }
            (End::PaidTime, Nearness::WithinDays(days)) => format!(
                "The paid time of your contract ends on {at}, in {days} days or less. What comes out \
                 from then on is not in it{}; renew it before.",
                after_term(contract, self.at)
            ),
            (End::PaidTime, Nearness::Over) => format!(
                "The paid time of your contract ended on {at}. What came out since is not in \
                 it{}; renew it.",
                after_term(contract, self.at)
            ),
        }
    }

    /// Whether another line is the way out.
    pub const fn is_of_line(&self) -> bool {
        matches!(self.end, End::Eos(_) | End::Eol(_))
    }
}

/// What a contract still gives of what comes out after its paid time.
fn after_term(contract: &Contract, until: Timestamp) -> String {
    let mut exceptions = Vec::new();
    if contract.grace_days > 0 {
        let end = on(days_after(until, contract.grace_days));
        exceptions.push(format!("patches until {end} (grace)"));
    }
    if contract.security_tail_days > contract.grace_days {
        let end = on(days_after(until, contract.security_tail_days));
        exceptions.push(format!("security patches until {end}"));
    }
    if exceptions.is_empty() {
        String::new()
    } else {
        format!(", but for {}", exceptions.join(" and "))
    }
}

/// A line as its vendor looks at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LineView {
    /// The line and its dates.
    #[serde(flatten)]
    pub line: Line,
    /// Its newest release that is out and no pre-release.
    pub newest: Option<mainstay_client::format::Version>,
    /// Where it stands.
    pub status: LineStatus,
}

/// All lines at `now`, the lowest first.
pub fn lines(catalogue: &Catalogue, now: Timestamp) -> Vec<LineView> {
    let view = |line: &Line| {
        let mut releases = catalogue.releases().rev();
        let newest = releases.find(|release| {
            release.version.line() == line.line
                && release.status == Status::Published
                && !release.version.is_prerelease()
        });
        LineView {
            line: *line,
            newest: newest.map(|release| release.version.clone()),
            status: LineStatus::of(line, now),
        }
    };
    catalogue.lines().map(view).collect()
}

#[cfg(test)]
mod tests;
