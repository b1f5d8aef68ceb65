//! What the server counts of itself, for a monitoring system.
//!
//! Every label has a fixed set of values, so that the number of time series does not grow with the
//! fleet. Each counter is made when the server starts: to count is an atomic addition, nothing is
//! looked up, and a monitoring system sees zeros before the first event.

use std::{fmt, time::Duration};

use mainstay_client::format::wire::EventKind;
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

/// What a request is for, as far as a monitoring system tells requests apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteClass {
    /// A machine's check.
    Check,
    /// A machine's report.
    Report,
    /// An enrolment.
    Enroll,
    /// A file of a TUF repository.
    Repository,
    /// What programs that watch the server ask.
    Watching,
    /// What people and their programs ask.
    Staff,
    /// Nothing that there is.
    Unknown,
}

impl RouteClass {
    const ALL: [Self; 7] = [
        Self::Check,
        Self::Report,
        Self::Enroll,
        Self::Repository,
        Self::Watching,
        Self::Staff,
        Self::Unknown,
    ];

    /// The class of the route with this path.
    pub fn of(path: &str) -> Self {
        match path {
            "/v1/check" => Self::Check,
            "/v1/report" => Self::Report,
            "/v1/enroll" => Self::Enroll,
            "/healthz" | "/readyz" | "/metrics" => Self::Watching,
            path if path.starts_with("/repo/") => Self::Repository,
            _ => Self::Staff,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Report => "report",
            Self::Enroll => "enroll",
            Self::Repository => "repository",
            Self::Watching => "watching",
            Self::Staff => "staff",
            Self::Unknown => "unknown",
        }
    }
}

/// Background work that is to succeed again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// Signing online metadata anew.
    Renewal,
    /// Looking at what only the vendor can renew.
    ExpiryWarning,
    /// Looking at contracts and lines that end.
    Dates,
    /// Looking which deltas are to be made, and making them.
    Deltas,
}

impl Job {
    const ALL: [Self; 4] = [Self::Renewal, Self::ExpiryWarning, Self::Dates, Self::Deltas];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Renewal => "renewal",
            Self::ExpiryWarning => "expiry_warning",
            Self::Dates => "dates",
            Self::Deltas => "deltas",
        }
    }
}

/// What came of making a delta.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Making {
    /// It is given out.
    Kept,
    /// It weighs too much.
    NotWorth,
    /// It could not be made.
    Failed,
}

impl Making {
    const ALL: [Self; 3] = [Self::Kept, Self::NotWorth, Self::Failed];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::NotWorth => "not_worth",
            Self::Failed => "failed",
        }
    }
}

/// What came of a try to send a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryOutcome {
    /// The receiver has it.
    Delivered,
    /// It is tried again.
    Failed,
    /// It is not tried any more by itself.
    GivenUp,
}

impl TryOutcome {
    const ALL: [Self; 3] = [Self::Delivered, Self::Failed, Self::GivenUp];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::GivenUp => "given_up",
        }
    }
}

/// What the store's writer counts.
#[derive(Clone, Debug)]
pub struct Commits {
    changes: Counter,
    duration: Histogram,
}

impl Default for Commits {
    fn default() -> Self {
        Self { changes: Counter::default(), duration: durations() }
    }
}

impl Commits {
    /// Notes that so many changes were made durable together, which took so long.
    pub fn note(&self, changes: usize, took: Duration) {
        self.changes.inc_by(changes as u64);
        self.duration.observe(took.as_secs_f64());
    }
}

/// Everything that is counted.
#[derive(Debug)]
pub struct Measures {
    registry: Registry,
    requests: [RouteMeasures; RouteClass::ALL.len()],
    events: [Counter; EventKind::ALL.len()],
    plans_signed: Counter,
    sent: Counter,
    jobs: [Gauge; Job::ALL.len()],
    commits: Commits,
    tries: [Counter; TryOutcome::ALL.len()],
    deltas: DeltaMeasures,
    access_lines_lost: Counter,
}

#[derive(Debug)]
struct DeltaMeasures {
    made: [Counter; Making::ALL.len()],
    seconds: Counter<f64, std::sync::atomic::AtomicU64>,
    kept: Gauge,
    kept_bytes: Gauge,
    downloads: Counter,
    saved: Counter,
}

#[derive(Debug)]
struct RouteMeasures {
    /// By the hundreds of the status.
    answers: [Counter; STATUS_CLASSES.len()],
    duration: Histogram,
}

const STATUS_CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AnswerLabels {
    route: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabel {
    route: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct JobLabel {
    job: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// From half a millisecond to eight seconds.
fn durations() -> Histogram {
    Histogram::new(exponential_buckets(0.0005, 2.0, 15))
}

impl Default for Measures {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("mainstay");
        let requests = request_measures(&mut registry);
        let events = Family::<KindLabel, Counter>::default();
        let counted = EventKind::ALL
            .map(|kind| events.get_or_create_owned(&KindLabel { kind: kind.as_str() }));
        registry.register("machine_events", "What machines reported, by its kind", events);
        let plans_signed = Counter::default();
        registry.register("plans_signed", "Plans that were signed", plans_signed.clone());
        let sent = Counter::default();
        let help = "Of files of repositories, what was sent";
        registry.register_with_unit("repository_sent", help, Unit::Bytes, sent.clone());
        let jobs = Family::<JobLabel, Gauge>::default();
        let ended = Job::ALL.map(|job| jobs.get_or_create_owned(&JobLabel { job: job.as_str() }));
        let help = "When background work last succeeded, since the epoch; 0 for not yet";
        registry.register_with_unit("job_last_success_timestamp", help, Unit::Seconds, jobs);
        let commits = Commits::default();
        let help = "Changes that the store has made durable";
        registry.register("store_changes", help, commits.changes.clone());
        let help = "How long it took to make a group of changes durable";
        let duration = commits.duration.clone();
        registry.register_with_unit("store_commit_duration", help, Unit::Seconds, duration);
        let tries = try_measures(&mut registry);
        let deltas = delta_measures(&mut registry);
        let access_lines_lost = Counter::default();
        let help = "Lines of the access log that could not be written";
        registry.register("access_log_lost_lines", help, access_lines_lost.clone());
        Self {
            registry,
            requests,
            events: counted,
            plans_signed,
            sent,
            jobs: ended,
            commits,
            tries,
            deltas,
            access_lines_lost,
        }
    }
}

fn request_measures(registry: &mut Registry) -> [RouteMeasures; RouteClass::ALL.len()] {
    let answers = Family::<AnswerLabels, Counter>::default();
    let duration = Family::<RouteLabel, Histogram>::new_with_constructor(durations);
    let requests = RouteClass::ALL.map(|class| {
        let route = class.as_str();
        RouteMeasures {
            answers: STATUS_CLASSES
                .map(|status| answers.get_or_create_owned(&AnswerLabels { route, status })),
            duration: duration.get_or_create_owned(&RouteLabel { route }),
        }
    });
    registry.register("requests", "Requests that were answered", answers);
    let help = "How long it took until an answer began";
    registry.register_with_unit("request_duration", help, Unit::Seconds, duration);
    requests
}

fn try_measures(registry: &mut Registry) -> [Counter; TryOutcome::ALL.len()] {
    let tries = Family::<OutcomeLabel, Counter>::default();
    let counted = TryOutcome::ALL
        .map(|outcome| tries.get_or_create_owned(&OutcomeLabel { outcome: outcome.as_str() }));
    let help = "Tries to send a notification to an endpoint";
    registry.register("delivery_tries", help, tries);
    counted
}

fn delta_measures(registry: &mut Registry) -> DeltaMeasures {
    let made = Family::<OutcomeLabel, Counter>::default();
    let measures = DeltaMeasures {
        made: Making::ALL
            .map(|outcome| made.get_or_create_owned(&OutcomeLabel { outcome: outcome.as_str() })),
        seconds: Counter::default(),
        kept: Gauge::default(),
        kept_bytes: Gauge::default(),
        downloads: Counter::default(),
        saved: Counter::default(),
    };
    registry.register("deltas_made", "Deltas that were made, or tried", made);
    let help = "How long deltas were worked on";
    registry.register_with_unit("delta_work", help, Unit::Seconds, measures.seconds.clone());
    registry.register("deltas_kept", "Deltas that are given out", measures.kept.clone());
    let help = "How many bytes deltas have together that are given out";
    registry.register_with_unit("deltas_kept", help, Unit::Bytes, measures.kept_bytes.clone());
    let help = "Deltas that were sent to their ends";
    registry.register("delta_downloads", help, measures.downloads.clone());
    let help = "By how many bytes deltas that were sent to their ends are shorter than artifacts";
    registry.register_with_unit("delta_saved", help, Unit::Bytes, measures.saved.clone());
    measures
}

impl Measures {
    /// Notes that a request was answered with `status`, which took so long to begin.
    pub fn answered(&self, class: RouteClass, status: u16, took: Duration) {
        // The classes are in the order of their discriminants.
        let Some(route) = self.requests.get(class as usize) else { return };
        let hundreds = usize::from(status / 100).saturating_sub(1);
        if let Some(answers) = route.answers.get(hundreds) {
            answers.inc();
        }
        route.duration.observe(took.as_secs_f64());
    }

    /// Notes what a machine reported.
    pub fn reported(&self, kind: EventKind) {
        let place = EventKind::ALL.iter().position(|it| *it == kind);
        if let Some(events) = place.and_then(|place| self.events.get(place)) {
            events.inc();
        }
    }

    /// Notes that a plan was signed.
    pub fn signed_plan(&self) {
        self.plans_signed.inc();
    }

    /// Counts the bytes of files of repositories that are sent.
    pub fn sent(&self) -> Counter {
        self.sent.clone()
    }

    /// Notes that background work has succeeded.
    pub fn succeeded(&self, job: Job, at: jiff::Timestamp) {
        if let Some(gauge) = self.jobs.get(job as usize) {
            gauge.set(at.as_second());
        }
    }

    /// Notes what came of a try to send a notification.
    pub fn tried(&self, outcome: TryOutcome) {
        if let Some(tries) = self.tries.get(outcome as usize) {
            tries.inc();
        }
    }

    /// Notes what came of making a delta.
    pub fn made_delta(&self, outcome: Making) {
        if let Some(made) = self.deltas.made.get(outcome as usize) {
            made.inc();
        }
    }

    /// Notes that a delta was worked on for so long.
    pub fn spent_on_deltas(&self, took: Duration) {
        self.deltas.seconds.inc_by(took.as_secs_f64());
    }

    /// Notes how many deltas are given out, and how many bytes they have together.
    pub fn deltas_kept(&self, count: usize, bytes: u64) {
        self.deltas.kept.set(i64::try_from(count).unwrap_or(i64::MAX));
        self.deltas.kept_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Count the deltas that are sent to their ends, and the bytes by which they are shorter than
    /// artifacts.
    pub fn delta_downloads(&self) -> [Counter; 2] {
        [self.deltas.downloads.clone(), self.deltas.saved.clone()]
    }

    /// Counts the lines of the access log that could not be written.
    pub fn access_lines_lost(&self) -> Counter {
        self.access_lines_lost.clone()
    }

    /// What the store's writer counts.
    pub fn commits(&self) -> &Commits {
        &self.commits
    }

    /// Appends everything in the text form of `OpenMetrics`, without its end.
    pub fn encode(&self, text: &mut String) -> fmt::Result {
        text::encode_registry(text, &self.registry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(measures: &Measures) -> String {
        let mut text = String::new();
        measures.encode(&mut text).unwrap();
        text
    }

    #[test]
    fn what_is_noted_is_counted_where_it_belongs() {
        let measures = Measures::default();
        measures.answered(RouteClass::Check, 200, Duration::from_millis(3));
        measures.answered(RouteClass::Unknown, 404, Duration::ZERO);
        measures.answered(RouteClass::Unknown, 999, Duration::ZERO);
        measures.reported(EventKind::Undone);
        measures.signed_plan();
        measures.sent().inc_by(17);
        measures.succeeded(Job::ExpiryWarning, jiff::Timestamp::from_second(5).unwrap());
        measures.commits().note(3, Duration::from_millis(3));
        measures.made_delta(Making::NotWorth);
        measures.spent_on_deltas(Duration::from_millis(1500));
        measures.deltas_kept(4, 70);
        let [downloads, saved] = measures.delta_downloads();
        downloads.inc();
        saved.inc_by(900);
        measures.access_lines_lost().inc();
        let text = text(&measures);
        for line in [
            "mainstay_requests_total{route=\"check\",status=\"2xx\"} 1\n",
            "mainstay_requests_total{route=\"unknown\",status=\"4xx\"} 1\n",
            "mainstay_requests_total{route=\"unknown\",status=\"5xx\"} 0\n",
            "mainstay_request_duration_seconds_bucket{le=\"0.002\",route=\"check\"} 0\n",
            "mainstay_request_duration_seconds_bucket{le=\"0.004\",route=\"check\"} 1\n",
            "mainstay_machine_events_total{kind=\"undone\"} 1\n",
            "mainstay_machine_events_total{kind=\"lost\"} 0\n",
            "mainstay_plans_signed_total 1\n",
            "mainstay_repository_sent_bytes_total 17\n",
            "mainstay_job_last_success_timestamp_seconds{job=\"expiry_warning\"} 5\n",
            "mainstay_job_last_success_timestamp_seconds{job=\"renewal\"} 0\n",
            "mainstay_deltas_made_total{outcome=\"not_worth\"} 1\n",
            "mainstay_deltas_made_total{outcome=\"kept\"} 0\n",
            "mainstay_delta_work_seconds_total 1.5\n",
            "mainstay_deltas_kept 4\n",
            "mainstay_deltas_kept_bytes 70\n",
            "mainstay_delta_downloads_total 1\n",
            "mainstay_delta_saved_bytes_total 900\n",
            "mainstay_access_log_lost_lines_total 1\n",
            "mainstay_store_changes_total 3\n",
            "mainstay_store_commit_duration_seconds_count 1\n",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }

    #[test]
    fn each_class_and_job_is_at_its_place() {
        for (place, class) in RouteClass::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, place, "{class:?}");
        }
        for (place, outcome) in Making::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, place, "{outcome:?}");
        }
        for (place, outcome) in TryOutcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, place, "{outcome:?}");
        }
        for (place, job) in Job::ALL.into_iter().enumerate() {
            assert_eq!(job as usize, place, "{job:?}");
        }
    }
}
