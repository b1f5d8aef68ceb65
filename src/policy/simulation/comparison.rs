//! Many rollouts of a bad and of a good release, by several terms, side by side.

use mainstay_client::format::ParseError;
use serde::Serialize;

use super::{Course, End, FailureModel, Fleet, run};
use crate::policy::rollout::{Share, Terms, Waves};

/// How a bad and a good release fare by the same terms in the same fleets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// The waves of the terms.
    pub waves: Waves,
    /// The bad release.
    pub bad: Courses,
    /// The good one.
    pub good: Courses,
}

/// How many rollouts went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Courses {
    /// How many there were.
    pub runs: u32,
    /// How many were paused.
    pub paused: u32,
    /// How many were held for ever.
    pub held: u32,
    /// How many were paused or held before [`Comparison::GOAL`] of the machines were given the release.
    pub in_time: u32,
    /// How many machines were given the release.
    pub reached: Spread,
    /// How long it took until the end, in seconds.
    pub after_seconds: Spread,
}

/// The middle and the worst of some figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// The one in the middle.
    pub median: u32,
    /// The highest.
    pub most: u32,
}

impl Comparison {
    /// A bad release is to be stopped before so many machines have it.
    pub const GOAL: Option<Share> = Share::of_basis_points(200);
}

/// How the release that fails by `failure`, and a good one with the same background, fare by each of
/// `terms`, in `runs` fleets like `fleet`: those of its seed and of the seeds that follow.
///
/// # Errors
///
/// As [`run`].
pub fn compare(
    terms: &[Terms],
    fleet: Fleet,
    failure: &FailureModel,
    runs: u32,
) -> Result<Vec<Comparison>, ParseError> {
    let good = FailureModel::good(failure.background);
    let compared = terms.iter().map(|terms| {
        Ok(Comparison {
            waves: terms.waves.clone(),
            bad: Courses::of(terms, fleet, failure, runs)?,
            good: Courses::of(terms, fleet, &good, runs)?,
        })
    });
    compared.collect()
}

impl Courses {
    /// How the release fares in `runs` fleets.
    ///
    /// # Errors
    ///
    /// As [`run`].
    pub fn of(
        terms: &Terms,
        fleet: Fleet,
        failure: &FailureModel,
        runs: u32,
    ) -> Result<Self, ParseError> {
        let courses: Vec<Course> = (0..runs)
            .map(|number| {
                let seed = fleet.seed.wrapping_add(u64::from(number));
                run(terms, &Fleet { seed, ..fleet }, failure)
            })
            .collect::<Result<_, _>>()?;
        let count = |is_such: &dyn Fn(&Course) -> bool| {
            courses.iter().fold(0, |sum, course| sum + u32::from(is_such(course)))
        };
        let has_too_many = |course: &Course| {
            Comparison::GOAL.is_some_and(|goal| {
                goal.is_reached_by(course.reached.into(), fleet.machines.into())
            })
        };
        Ok(Self {
            runs,
            paused: count(&|course| course.end == End::Paused),
            held: count(&|course| course.end == End::Held),
            in_time: count(&|course| course.end != End::Spread && !has_too_many(course)),
            reached: Spread::of(courses.iter().map(|course| course.reached)),
            after_seconds: Spread::of(courses.iter().map(|course| course.after_seconds)),
        })
    }
}

impl Spread {
    fn of(figures: impl Iterator<Item = u32>) -> Self {
        let mut figures: Vec<_> = figures.collect();
        figures.sort_unstable();
        let median = figures.get(figures.len() / 2).copied().unwrap_or_default();
        Self { median, most: figures.last().copied().unwrap_or_default() }
    }
}
