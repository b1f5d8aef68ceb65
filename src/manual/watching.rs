//! Watching a server that runs.
//!
//! # Health and measures
//!
//! `/healthz` answers while the process runs; `/readyz` while its store takes reads and writes. After
//! a failed fsync the store takes no more writes, `/readyz` answers 503, and only a restart helps:
//! what a disk did with the bytes of a failed fsync nobody knows.
//!
//! `/metrics` is what Prometheus reads. It wants a token of any role, since the names of products are
//! the vendor's affair; `viewer` is enough:
//!
//! ```yaml
//! scrape_configs:
//!   - job_name: mainstay
//!     scheme: https
//!     authorization:
//!       credentials_file: /etc/prometheus/mainstay.token
//!     static_configs:
//!       - targets: ["updates.example.com:443"]
//! ```
//!
//! | measure | labels | what |
//! |---|---|---|
//! | `mainstay_requests_total` | `route`, `status` | requests answered; `route` is `check`, `report`, `enroll`, `repository`, `staff`, `watching` or `unknown`, `status` its first digit, as in `2xx` |
//! | `mainstay_request_duration_seconds` | `route` | a histogram: how long it took until an answer began |
//! | `mainstay_machine_events_total` | `kind` | what machines reported; `undone` is an update that failed and was undone, `interrupted`, `refused` and `lost` went wrong otherwise |
//! | `mainstay_plans_signed_total` | | plans that were signed; most checks need no new one |
//! | `mainstay_repository_sent_bytes_total` | | bytes of metadata, manifests, artifacts and deltas that were sent |
//! | `mainstay_store_changes_total` | | changes made durable |
//! | `mainstay_store_commit_duration_seconds` | | a histogram: how long a group of changes took to be made durable |
//! | `mainstay_access_log_lost_lines_total` | | lines of the access log that could not be written |
//! | `mainstay_job_last_success_timestamp_seconds` | `job` | when background work last succeeded: `renewal`, `expiry_warning`, `dates`, `deltas` (when none was left to make) |
//! | `mainstay_deltas_made_total` | `outcome` | deltas that were made or tried: `kept`, `not_worth`, `failed` (also where it is tried again) |
//! | `mainstay_delta_work_seconds_total` | | how long deltas were worked on |
//! | `mainstay_deltas_kept`, `mainstay_deltas_kept_bytes` | | how many deltas are given out, and their bytes |
//! | `mainstay_delta_downloads_total`, `mainstay_delta_saved_bytes_total` | | deltas that were sent to their ends, and by how many bytes they are shorter than the artifacts |
//! | `mainstay_delivery_tries_total` | `outcome` | tries to send a notification: `delivered`, `failed` (and tried again) or `given_up` |
//! | `mainstay_dead_deliveries` | | notifications that are not tried any more ([`events`](super::events)) |
//! | `mainstay_metadata_expires_timestamp_seconds` | `product`, `role`, `renewed_by` | when machines stop trusting a role; all private channels of a product are one role, `private`, and it is the first of them that counts |
//! | `mainstay_online_keys_authorised` | `product` | 1 while the server can sign for the product |
//!
//! No label names a machine or a customer: the number of series grows with the products alone. All
//! counts are of one process and begin at 0 with it. `fixtures/alerts.yml` is an example of alerts that
//! go by these.
//!
//! # Access log
//!
//! `access.log` in the server's directory (0600) has a line for each request that was answered, of one JSON object:
//!
//! ```json
//! {"at":"2026-11-30T16:30:34Z","address":"192.0.2.7","who":"m-f11fb91ec309","method":"GET","path":"/repo/my-app/targets/bugfix/1.0.1/…","status":206,"bytes":1048576,"broken_off":true,"microseconds":81023,"user_agent":"mainstay-agent/0.1.0"}
//! ```
//!
//! | member | what |
//! |---|---|
//! | `at` | when the request came, to the second |
//! | `address` | from where the connection came; behind a proxy that is the proxy |
//! | `who` | the machine, or a token by its identifier and label (`mainstay token list`); absent where nobody was known |
//! | `method`, `path` | what was asked, the query with it; at most 1,024 bytes of it |
//! | `status` | of the answer |
//! | `bytes` | of the answer's body, as it travels: those that the connection took; 0 where an nginx in front sends the file |
//! | `broken_off` | `true` where the connection took fewer than there are; else absent |
//! | `microseconds` | from the request to the end of the answer |
//! | `user_agent` | the program, as it says; absent where it says nothing |
//!
//! No token is in it. Lines stand in the order in which answers ended. They wait in memory for a second at most, or
//! 64 KiB, and are written together; a kill takes those with it, an orderly stop does not. A file that would become
//! longer than `file_bytes` is renamed to `access.log.1`, that one to `.2`, and so on, until there are `files` of them:
//! 256 MiB in all by default. `logrotate` may move the file instead: it is made anew with the next lines. No request
//! waits for the log. Where it cannot be written, as on a full disk, that is said once on standard error, the lines
//! are lost, and counted in `mainstay_access_log_lost_lines_total`. What is no HTTP request is not in it, nor is one of
//! which the HTTP service could not read the head.
//!
//! ```sh
//! jq -r 'select(.status >= 400) | [.at, .who, .status, .path] | @tsv' access.log
//! ```
