//! What each key can do, and what is not promised.
//!
//! Each product has a TUF repository (specification 1.0.34, consistent snapshots) of its own.
//!
//! | role | key | where | expires after |
//! |---|---|---|---|
//! | root | `root`, threshold `--root-threshold` | the vendor, offline | 1 year |
//! | targets: delegations only | `targets` | the vendor, offline | 1 year |
//! | `security`, `bugfix`, `feature`, `major` | `release`, threshold `--release-threshold` | the vendor's CI or workstation | 90 days after the last publish or renewal of the channel |
//! | snapshot | online | the server | 7 days; signed anew after half of that |
//! | timestamp | online | the server | 1 day; signed anew after half of that |
//! | `director`: plans | online | the server | 7 days; signed anew after half of that |
//!
//! # What a machine installs
//!
//! An update is installed if and only if
//!
//! 1. a plan names it: signed by the director that the vendor delegated to, for this machine,
//!    customer and product, not older than a plan that was seen before, not expired; **and**
//! 2. the product's repository, verified down from the pinned root, lists manifest and artifact in
//!    the channel's role with the plan's length and SHA-256; **and**
//! 3. the manifest is for this product, version and channel, and its artifact for this platform is the
//!    listed one; **and**
//! 4. the machine's own rules allow it: never downwards unless the plan is a rollback, never below
//!    the vendor-signed floor, never a version that failed here; **and**
//! 5. the artifact's payload has the signed length and SHA-256 and is an archive in the one canonical
//!    form, in which nothing can leave its tree.
//!
//! # What a thief can do
//!
//! | stolen | can | cannot |
//! |---|---|---|
//! | the server with its online keys | withhold updates until expiry shows it; send a machine any release that the vendor signed and that lies at or above the floor; order rollbacks above the floor; read what machines report | make a machine install bytes that the vendor did not sign; go below the floor; have the vendor sign upon forged or older metadata, or under another date |
//! | a release key (threshold 1) | sign releases; a machine takes them once the server, too, publishes them | install anything without the server or its online keys |
//! | a machine's token | see what that machine may see; report in its name | see another customer's releases; sign anything |
//! | an activation key | enrol machines under that contract until the key expires | touch machines that are enrolled |
//! | an API token | what its role may, in the audit trail, until it is revoked | sign releases |
//!
//! A server that was broken into before a machine enrolled could hand that machine a root of its own.
//! `mainstay-agent enroll --root-sha256` closes that: take the digest from `mainstay product create`.
//!
//! # Floor
//!
//! `mainstay publish --floor V` signs the lowest version that a rollback may reach. It binds a machine
//! that has installed that release or a later one, and any machine on that release's line, from the
//! moment that the machine has seen the channel's metadata, for good.
//!
//! # What customers learn
//!
//! The timestamp, snapshot and top-level targets of a product go to every machine whose contract has
//! the product: they tell the names and versions of its channels, not what is in them. A channel's
//! manifest goes to those whose contract has the channel or a grant in it; release manifests and
//! artifacts to those whose contract grants the release. Nothing is ever filtered out of a signed
//! document.
//!
//! # Not promised
//!
//! - The expiry of metadata is judged by the machine's clock. A machine whose clock is set back takes
//!   old metadata for fresh, though never metadata older than it has seen.
//! - Plain HTTP protects no secrets, so an agent speaks it to its own machine only. Configure TLS, or
//!   put the server behind something that has it, before other machines enrol.
//! - Whoever has root on a machine can do anything there.
