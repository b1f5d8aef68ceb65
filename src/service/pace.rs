//! How often one machine may ask. A machine that runs wild, or whose token was stolen, must not keep
//! the writing thread from the others.
//!
//! It is the generic cell rate algorithm: of each machine one instant is kept, that at which everything
//! that it has asked for so far would have been due at the allowed pace. It may be ahead of that by so
//! many requests as are allowed in one go.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use mainstay_client::format::MachineName;

use super::{ErrorClass, Service, ServiceError, ServiceResult};
use crate::limits::Limits;

/// After so many machines those that are not ahead any more are forgotten.
const REMEMBERED_MIN: usize = 10_000;

/// The pace that is allowed.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// The time from one request to the next.
    interval: SignedDuration,
    /// How far ahead of its time a request may come.
    ahead_max: SignedDuration,
}

impl Pace {
    fn new(limits: &Limits) -> Self {
        let interval = SignedDuration::try_from(limits.machine_request_interval)
            .unwrap_or(SignedDuration::MAX);
        let burst = i32::try_from(limits.machine_requests_at_once).unwrap_or(i32::MAX);
        Self { interval, ahead_max: interval.saturating_mul(burst.saturating_sub(1)) }
    }

    /// Until when a machine is busy that asks at `now` and was busy until `due`; or how long it must
    /// wait before it asks again.
    fn admit(self, due: Timestamp, now: Timestamp) -> Result<Timestamp, SignedDuration> {
        let due = due.max(now);
        let ahead = due.duration_since(now);
        if ahead > self.ahead_max {
            return Err(ahead.saturating_sub(self.ahead_max));
        }
        Ok(due.checked_add(self.interval).unwrap_or(Timestamp::MAX))
    }
}

/// Until when a machine is busy with what it has asked for.
#[derive(Debug)]
pub(super) struct Busy(Mutex<Timestamp>);

impl Busy {
    /// Lets a request pass, or says how long it must wait.
    fn admit(&self, pace: Pace, now: Timestamp) -> Result<(), SignedDuration> {
        let mut until = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *until = pace.admit(*until, now)?;
        Ok(())
    }

    fn is_over(&self, now: Timestamp) -> bool {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) <= now
    }
}

/// How far each machine is ahead.
#[derive(Debug)]
pub(super) struct Paces {
    pace: Pace,
    machines: Mutex<Machines>,
}

#[derive(Debug)]
struct Machines {
    busy: HashMap<MachineName, Arc<Busy>>,
    /// With how many machines it is time to forget some.
    forget_at: usize,
}

impl Paces {
    pub(super) fn new(limits: &Limits) -> Self {
        let machines = Machines { busy: HashMap::new(), forget_at: REMEMBERED_MIN };
        Self { pace: Pace::new(limits), machines: Mutex::new(machines) }
    }

    /// How far a machine is ahead. It is not forgotten for as long as whoever asked for it has it.
    pub(super) fn of(&self, machine: &MachineName, now: Timestamp) -> Arc<Busy> {
        let mut machines = self.machines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(busy) = machines.busy.get(machine) {
            return Arc::clone(busy);
        }
        if machines.busy.len() >= machines.forget_at {
            machines.busy.retain(|_, busy| Arc::strong_count(busy) > 1 || !busy.is_over(now));
            machines.forget_at = (2 * machines.busy.len()).max(REMEMBERED_MIN);
        }
        let busy = Arc::new(Busy(Mutex::new(now)));
        machines.busy.insert(machine.clone(), Arc::clone(&busy));
        busy
    }
}

impl Service {
    /// Refuses a machine that asks too often. Others are not affected.
    pub fn require_pace(&self, machine: &MachineName) -> ServiceResult<()> {
        let now = self.clock.now();
        self.require_pace_of(machine, &self.paces.of(machine, now), now)
    }

    /// Refuses a machine that asks too often, of which it is known how far it is ahead.
    pub(super) fn require_pace_of(
        &self,
        machine: &MachineName,
        busy: &Busy,
        now: Timestamp,
    ) -> ServiceResult<()> {
        busy.admit(self.paces.pace, now).map_err(|wait| {
            // The clock tells whole seconds, and so does the header.
            let seconds = wait.as_secs().unsigned_abs() + 1;
            let Limits {
                machine_requests_at_once: at_once,
                machine_request_interval: interval,
                ..
            } = self.limits;
            let message = format!(
                "machine {machine} asks too often: expected at most {at_once} requests at once and \
                 then one each {} ms; ask again in {seconds} s",
                interval.as_millis()
            );
            ServiceError::new(ErrorClass::TooMany, "TOO_MANY_REQUESTS", message)
                .asked_again_after(Duration::from_secs(seconds))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AT_ONCE: u32 = 5;
    const INTERVAL: i64 = 100;

    fn paces() -> Paces {
        Paces::new(&Limits {
            machine_requests_at_once: AT_ONCE,
            machine_request_interval: Duration::from_millis(100),
            ..Limits::DEFAULT
        })
    }

    impl Paces {
        fn admit(&self, machine: &MachineName, now: Timestamp) -> Result<(), SignedDuration> {
            self.of(machine, now).admit(self.pace, now)
        }
    }

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(1_790_000_000_000 + milliseconds).unwrap()
    }

    fn machine(number: usize) -> MachineName {
        format!("m-{number}").parse().unwrap()
    }

    #[test]
    fn so_many_at_once_and_then_one_after_another() {
        let (paces, wild, other) = (paces(), machine(1), machine(2));
        for _ in 0..AT_ONCE {
            assert_eq!(paces.admit(&wild, at(0)), Ok(()));
        }
        for _ in 0..9 {
            let wait = paces.admit(&wild, at(0)).unwrap_err();
            assert_eq!(wait, SignedDuration::from_millis(INTERVAL), "a refusal costs nothing");
        }
        assert_eq!(paces.admit(&other, at(0)), Ok(()), "others are not affected");
        assert!(paces.admit(&wild, at(INTERVAL - 1)).is_err());
        assert_eq!(paces.admit(&wild, at(INTERVAL)), Ok(()));
        assert!(paces.admit(&wild, at(INTERVAL)).is_err());
        for _ in 0..AT_ONCE {
            assert_eq!(paces.admit(&wild, at(100 * INTERVAL)), Ok(()), "after a rest");
        }
        assert!(paces.admit(&wild, at(100 * INTERVAL)).is_err());
    }

    #[test]
    fn machines_that_rest_are_forgotten() {
        let paces = paces();
        for number in 0..3 * REMEMBERED_MIN {
            paces.admit(&machine(number), at(i64::try_from(number).unwrap())).unwrap();
        }
        assert!(paces.machines.lock().unwrap().busy.len() <= REMEMBERED_MIN);
    }

    #[test]
    fn a_machine_is_remembered_while_somebody_holds_how_far_it_is_ahead() {
        let paces = paces();
        let held = paces.of(&machine(0), at(0));
        for number in 1..3 * REMEMBERED_MIN {
            paces.admit(&machine(number), at(i64::try_from(number).unwrap())).unwrap();
        }
        let later = at(i64::try_from(3 * REMEMBERED_MIN).unwrap());
        assert!(Arc::ptr_eq(&held, &paces.of(&machine(0), later)));
    }

    proptest! {
        /// In no span of time are there more than what is allowed at once and one for each interval;
        /// and who waits as long as it is told to is let pass.
        #[test]
        fn no_span_has_more_than_is_allowed(steps in prop::collection::vec(0..150_i64, 1..80)) {
            let (paces, wild) = (paces(), machine(1));
            let mut now = 0;
            let mut admitted = Vec::new();
            for step in steps {
                now += step;
                match paces.admit(&wild, at(now)) {
                    Ok(()) => admitted.push(now),
                    Err(wait) => {
                        now += i64::try_from(wait.as_millis()).unwrap();
                        prop_assert_eq!(paces.admit(&wild, at(now)), Ok(()));
                        admitted.push(now);
                    }
                }
            }
            for (first, start) in admitted.iter().enumerate() {
                for (last, end) in admitted.iter().enumerate().skip(first) {
                    let allowed = i64::from(AT_ONCE) + (end - start) / INTERVAL;
                    let count = i64::try_from(last - first + 1).unwrap();
                    prop_assert!(count <= allowed, "{} of {}", count, allowed);
                }
            }
        }
    }
}
