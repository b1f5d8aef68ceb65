//! What other systems are told at once: webhooks and mail.
//!
//! ```sh
//! mainstay webhook create --url https://example.com/hooks/mainstay --label 'the pager' \
//!   --type machine.rolled_back --type machine.update_failed
//! mainstay webhook create --mail ops@example.com --label 'operations' --customer acme
//! mainstay webhook list
//! mainstay webhook deliveries                 # what has become of notifications, the newest first
//! mainstay webhook deliveries --dead          # what is not tried any more
//! mainstay webhook replay 4711                # try that again from the beginning
//! mainstay webhook rotate hook-1a2b3c4d       # a new secret; the old one signs beside it for 24 hours
//! mainstay webhook disable hook-1a2b3c4d --reason 'moving house'    # enable, delete
//! ```
//!
//! An *endpoint* is an address that takes webhooks, or a mailbox. Administrators add endpoints, 100 at
//! most; a technician may have a delivery replayed; all of it is in the audit trail. An endpoint gets
//! what it was added for: all types or those that `--type` names, about all products or one, of all
//! customers or one. With `--customer` it gets what is that customer's affair alone, and so nothing of
//! rollouts and lines.
//!
//! # Types
//!
//! The body of a webhook is JSON: `type`, `timestamp` and `data`
//! ([`Notification`](crate::policy::Notification)). More members may come: pass over what you do not know.
//!
//! | type | when | `data` |
//! |---|---|---|
//! | `machine.update_failed` | a machine reported `interrupted`, `refused` or `lost`, or could not carry out a rollback order | [`MachineNews`](crate::policy::notification::MachineNews) |
//! | `machine.rolled_back` | a machine went back: by itself after an update failed (`automatic`), by an order, or by the wish of somebody at it | [`MachineNews`](crate::policy::notification::MachineNews) |
//! | `rollout.paused` | a rollout was stopped | [`RolloutNews`](crate::policy::notification::RolloutNews) |
//! | `contract.ending` | a contract's paid time ends in 90 or 30 days or less, or has ended | [`ContractNews`](crate::policy::notification::ContractNews) |
//! | `line.end_of_support`, `line.end_of_life` | a line's EOS or EOL is 180, 90 or 30 days ahead or less, or has come | [`LineNews`](crate::policy::notification::LineNews) |
//! | `exposure.breach_ahead`, `exposure.breached` | machines of a customer lack a fix and will soon have done so, or have done so, for longer than is agreed: once each for a customer, product and advisory ([`exposure`](super::exposure)) | [`ExposureNews`](crate::policy::notification::ExposureNews) |
//!
//! ```
//! use mainstay::policy::{Notification, NotificationType};
//!
//! let notification: Notification = serde_json::from_str(r#"{
//!   "type": "machine.rolled_back",
//!   "timestamp": "2026-11-29T17:20:00Z",
//!   "data": {
//!     "machine": "m-4f1c2a9b7d3e", "host": "db-7", "customer": "acme", "contract": "acme-2026",
//!     "product": "acme-db", "kind": "undone", "automatic": true, "from": "2.4.0", "to": "2.4.1",
//!     "order": null, "event": 12, "detail": "the health check ended with 1"
//!   }
//! }"#)?;
//! assert_eq!(notification.kind(), NotificationType::RolledBack);
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! What a machine reports is written down to be told in the same transaction as the report. So a crash
//! loses no notification and invents none; it may have a receiver get one twice, with the same
//! `webhook-id`. Dates are looked at once an hour; each step is told once, also where nobody listened. What
//! ended more than 30 days before is not told. The order in which notifications arrive is not promised.
//!
//! # Receiving webhooks
//!
//! Webhooks are sent as Standard Webhooks 1.0 (<https://www.standardwebhooks.com>) has it, so its libraries
//! verify them: a `POST` with the headers
//!
//! | header | what |
//! |---|---|
//! | `webhook-id` | the notification's identifier, the same at every try: what you have had you may pass over |
//! | `webhook-timestamp` | when this try was signed, in seconds since the epoch: refuse what is older than some minutes |
//! | `webhook-signature` | `v1,` and the base64 of the HMAC-SHA256 over `ID.TIMESTAMP.BODY`; two of them, with a space between, while a secret is rotated |
//!
//! The secret, `whsec_…`, is shown when the endpoint is added and when it is rotated, and never again. Its
//! base64 part, decoded, is the key of the HMAC. The server stores no secret: each is derived (HMAC-SHA256)
//! from `keys/webhooks.key` in its directory (mode 0600, made on first start), the endpoint's identifier and
//! the number of the rotation. Whoever has that file can sign as the server; whoever has the records alone
//! cannot. Where the file is lost, a new one is made, deliveries fail and say so, and each endpoint is
//! rotated.
//!
//! Answer with any status of 200 to 299, within 20 seconds, and do the work afterwards. Nothing else of the
//! answer counts: its body is not read, and redirects are not followed. With 410 the endpoint is disabled
//! until somebody enables it.
//!
//! # When a try fails
//!
//! Any other status, no answer in time, a certificate that does not verify, a name that is not found: the
//! same is sent again after 5 seconds, 5 and 30 minutes, and 2, 5, 10, 14, 20 and 24 hours, each wait made
//! longer by up to a fifth. `Retry-After`, as seconds or a date, makes a wait longer, up to 24 hours. After
//! the tenth try the delivery is *dead*: it stays until somebody replays it or removes the endpoint, and
//! `/metrics` counts it. Deliveries that came to their end are forgotten after 30 days.
//!
//! To each endpoint one delivery is sent after the other, to 32 endpoints at the same time: a receiver that
//! hangs holds up its own notifications alone. What waits for an endpoint that is disabled goes on waiting;
//! what happens in the meantime is not for it.
//!
//! # What the server connects to
//!
//! Whoever may add an endpoint has the server connect to an address from inside its network. So each address
//! that a name stands for is looked at, when the endpoint is added and at every try, and the connection is
//! made to the address that was looked at. Refused is what is not of the public internet, in every way of
//! writing it: loopback, private and link-local networks, shared address space, multicast, the metadata
//! services of clouds, addresses of IPv4 inside IPv6. What you run inside is allowed by name:
//!
//! ```toml
//! [webhooks]
//! allow_networks = ["10.20.0.0/16", "fd12::/16"]
//! authorities = "ca.pem"          # PEM: whom receivers' certificates come from, in place of the public ones
//! timeout_seconds = 20            # 1 to 60: how long a try may take in all
//! retry_seconds = [5, 300, 3600]  # the waits, 20 at most; mail goes by them as well
//! ```
//!
//! `http://` is for these networks alone. No proxy is used.
//!
//! # Mail
//!
//! ```toml
//! [mail]
//! server = "smtp.example.com"
//! port = 587                      # 465 for tls, 587 for starttls and 25 for none unless you say so
//! encryption = "starttls"         # tls, starttls or none; tls unless you say so
//! from = "updates@example.com"
//! user = "updates"
//! password_file = "smtp.password"
//! authorities = "ca.pem"          # one more authority, beside the public ones
//! ```
//!
//! Each mailbox gets a message of its own: a sentence, and the JSON that a webhook would bring. Its
//! `Message-ID` holds the notification's identifier. A password is sent over TLS alone. The SMTP server is
//! named by whoever runs this one, and may be anywhere.
//!
//! # Known limits
//!
//! - A receiver that answers slowly and always fails gets its notifications late: one at a time, each by the
//!   schedule.
//! - A receiver that verifies with a clock that is wrong refuses everything; the dead letters say so by its
//!   status alone, since its words are not read.
//! - What a mail server takes and does not deliver is not noticed.
//! - Endpoints are the vendor's; a customer's own people cannot add any.
