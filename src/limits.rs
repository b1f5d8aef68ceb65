//! How much the server is willing to take in.

use std::time::Duration;

/// Every limit of the server. What a document may contain is limited by the document's own type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A JSON body of a vendor's or technician's request, in bytes. A publish carries a whole
    /// channel role.
    pub request_bytes_max: usize,
    /// A JSON body of a machine's request, in bytes.
    pub machine_request_bytes_max: usize,
    /// A blob, in bytes.
    pub blob_bytes_max: u64,
    /// The shortest document that is worth compressing, in bytes.
    pub compress_bytes_min: u64,
    /// How much compressed metadata is kept in memory, in bytes.
    pub compressed_bytes_max: usize,
    /// How long a request's head may take to arrive.
    pub request_head_timeout: Duration,
    /// How long the next piece of a body may take to arrive.
    pub body_piece_timeout: Duration,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// How long whoever is sent something may take none of it, where the system can tell (Linux).
    pub send_stall_timeout: Duration,
    /// How long requests under way may take to end when the server is told to stop.
    pub shutdown_timeout: Duration,
    /// How many releases a plan lists as withheld; the nearest ones.
    pub withheld_max: usize,
    /// How many bytes of JSON they may come to in all, so that the plan fits into a record.
    pub withheld_bytes_max: usize,
    /// How far a publisher's stamp may lie ahead of the server's clock.
    pub published_ahead_max: Duration,
    /// How far a publisher's stamp may lie behind the server's clock: packing and uploading take
    /// their time, and signatures may have to be collected.
    pub published_behind_max: Duration,
    /// How long a root or top-level targets may be good for from its submission on.
    pub offline_lifetime_max: Duration,
    /// How long a channel may be good for from its submission on.
    pub channel_lifetime_max: Duration,
    /// How many customers an organisation serves.
    pub customers_served_max: usize,
    /// A reason or ticket, in characters.
    pub remark_chars_max: usize,
    /// What a machine's owner calls it, in characters.
    pub host_chars_max: usize,
    /// How many targets a channel lists: one for each release, and one for each of its artifacts.
    /// Machines fetch a channel whole; what is retired moves to the archive, which has no such
    /// limit but the bytes of a targets role.
    pub channel_targets_max: usize,
    /// With how many targets a publisher is warned that the channel is nearly full.
    pub channel_targets_warned: usize,
    /// Of how many contracts it is kept in memory who has a seat.
    pub allocations_max: usize,
    /// How much memory the answers to checks take that are given again, in bytes.
    pub answers_bytes_max: usize,
    /// How many records one page of a listing has.
    pub page_records_max: usize,
    /// How many denied attempts of one actor are written down in ten minutes, of a machine in a day.
    pub denials_of_actor_max: usize,
    /// Of how many people denied attempts are written down in ten minutes, and of how many machines in a
    /// day.
    pub denied_actors_max: usize,
    /// Over how many machines one action goes.
    pub action_machines_max: usize,
    /// How many actions over several machines that one person has ordered are under way or await approval
    /// at a time.
    pub open_actions_max: usize,
    /// How many endpoints notifications are sent to.
    pub endpoints_max: usize,
    /// How many notifications are being sent at the same time, each to another endpoint.
    pub tries_parallel_max: usize,
    /// A support bundle, in bytes.
    pub bundle_bytes_max: usize,
    /// For how long a machine that is asked for a support bundle may send it.
    pub collection_lifetime: Duration,
    /// For how long a support bundle is kept.
    pub bundle_kept: Duration,
    /// How many checks and reports one machine may send in one go. An agent sends a few with each
    /// update, and one each quarter of an hour otherwise.
    pub machine_requests_at_once: u32,
    /// The time from one check or report of a machine to the next, once it has sent as many as it may in
    /// one go. A server takes in thousands each second, so that many machines that run wild do not keep it
    /// from the others.
    pub machine_request_interval: Duration,
}

impl Limits {
    /// The limits in force unless a test sets others.
    pub const DEFAULT: Self = Self {
        request_bytes_max: 8 << 20,
        machine_request_bytes_max: 512 << 10,
        blob_bytes_max: 64 << 30,
        compress_bytes_min: 1 << 10,
        compressed_bytes_max: 16 << 20,
        request_head_timeout: Duration::from_secs(10),
        body_piece_timeout: Duration::from_secs(30),
        keep_alive: Duration::from_secs(75),
        send_stall_timeout: Duration::from_mins(1),
        shutdown_timeout: Duration::from_secs(10),
        withheld_max: 100,
        withheld_bytes_max: 24 << 10,
        published_ahead_max: Duration::from_mins(5),
        published_behind_max: Duration::from_hours(7 * 24),
        offline_lifetime_max: Duration::from_hours(10 * 366 * 24),
        channel_lifetime_max: Duration::from_hours(366 * 24),
        customers_served_max: 500,
        remark_chars_max: 500,
        host_chars_max: 128,
        channel_targets_max: 1000,
        channel_targets_warned: 900,
        allocations_max: 10_000,
        answers_bytes_max: 32 << 20,
        page_records_max: 1000,
        denials_of_actor_max: 100,
        denied_actors_max: 1000,
        action_machines_max: 10_000,
        open_actions_max: 100,
        endpoints_max: 100,
        tries_parallel_max: 32,
        bundle_bytes_max: 4 << 20,
        collection_lifetime: Duration::from_hours(7 * 24),
        bundle_kept: Duration::from_hours(30 * 24),
        machine_requests_at_once: 600,
        machine_request_interval: Duration::from_millis(100),
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
