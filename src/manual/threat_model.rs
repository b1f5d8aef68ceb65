//! What each key can do, and what is not promised.
//!
//! Each product has a TUF repository (specification 1.0.34, consistent snapshots) of its own.
//!
//! | role | key | where | expires after |
//! |---|---|---|---|
//! | root | `root`, threshold `--root-threshold` | the vendor, offline | 1 year |
//! | targets: delegations only | `targets` | the vendor, offline | 1 year |
//! | `security`, `bugfix`, `feature`, `major` | `release`, threshold `--release-threshold` | the vendor's CI or workstation | 90 days after the last publish or renewal of the channel |
//! | `archive`: retired releases | as the channels | as the channels | 90 days after the last retirement or renewal |
//! | private channels: custom builds for one customer | `--release-key` of `channel create`, threshold `--release-threshold` | as the channels | as the channels |
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
//!    the channel's role, or of a retired release the archive's, with the plan's length and SHA-256;
//!    **and**
//! 3. the manifest is for this product, version and channel (of a custom build, the private one), and its artifact for this platform is the
//!    listed one; **and**
//! 4. the machine's own rules allow it: never downwards unless the plan is a rollback, never below
//!    the vendor-signed floor, never a version that failed here; **and**
//! 5. the artifact's payload has the signed length and SHA-256 and is an archive in the one canonical
//!    form, in which nothing can leave its tree.
//!
//! A delta gives away both releases, so a machine is given it only if it may have both, or had the old one from
//! this server; what it says that it runs opens nothing. A delta need not be trusted, so nobody but the director signs anything about it. The plan's length and digest
//! bound what is fetched; nothing is made before the old payload is the one that the delta is for; never more
//! comes out than the release manifest has signed, and of that nothing stays unless it has the signed digest. A
//! hostile delta costs the machine time and, since the artifact is fetched then, bytes
//! (`client/src/client/tests/deltas/attacks.rs`, `socket.rs`).
//!
//! # What a thief of keys can do
//!
//! The keys are in the hands of somebody through whose server the machine goes: he may withhold, replay
//! and mix whatever was signed before. *Freeze*: have what is old taken for the newest that there is.
//! *Steer*: send the machine to another release that the vendor signed, up or down. *Install*: have bytes
//! installed that the vendor did not sign. What it takes:
//!
//! | wanted | the least that must be stolen | shown by |
//! |---|---|---|
//! | freeze for a day, until the timestamp expires | nothing | `stolen_keys::freezing_beyond_a_day` |
//! | freeze for a week, until snapshot and plan expire | timestamp | `stolen_keys::freezing_beyond_a_day`, and where it ends `stolen_keys::freezing_beyond_a_week` |
//! | freeze for up to a year, until the targets expire | timestamp, snapshot, director | `stolen_keys::freezing_beyond_a_week`, and where it ends `stolen_keys::freezing_beyond_a_year` |
//! | freeze until the root expires | timestamp, snapshot, targets | `stolen_keys::freezing_beyond_a_year` |
//! | steer | director; or timestamp, snapshot, targets | `stolen_keys::steering` |
//! | install | timestamp, snapshot, director and the release threshold; or timestamp, snapshot, targets | `stolen_keys::installing_with_no_release_key`, `stolen_keys::installing_with_one_release_key_of_two`, `stolen_keys::installing_with_the_release_threshold` |
//! | go below the floor | no set of keys does | `stolen_keys::going_below_the_floor` |
//! | everything but that | the root threshold | `stolen_keys::the_root_threshold` |
//!
//! Whoever has one of these sets has what stands beside it, and whoever has none of them has not: each
//! test lets the thief of each of the sixteen sets of timestamp, snapshot, director and targets try, and
//! `installing_…` so with no release key, one of two and both. Two of three root keys and two of three
//! release keys must sign here; with a threshold of 1 one stolen key is the threshold. One root key of two
//! is worth nothing, whatever else is stolen with it: the sets of the table alone count
//! (`stolen_keys::one_root_key_of_two`). The targets key stands for the director's and the release keys
//! together, because targets name them; root keys for all others.
//!
//! A freeze ends for whoever holds none of these when the next document expires
//! (`replay::a_frozen_repository_is_noticed_when_a_document_of_it_expires`).
//!
//! The server itself has timestamp, snapshot and director: who breaks into it can freeze until the targets
//! expire, and steer.
//!
//! No set of keys leads below a floor that a machine knows, for the machine keeps it for itself and
//! asks nobody; who can *install* can sign old bytes under a new version, though. And who has the
//! release threshold can sign a floor as high as the highest version, after which nothing can be
//! rolled back.
//!
//! The server's online keys alone neither install unsigned bytes nor lead below the floor, not even
//! where the server keeps the channel that signs the floor from the machine:
//! `stolen_keys::the_online_keys_cannot_withhold_the_floor_of_what_runs`.
//!
//! A thief of online keys can also number his documents as high as numbers go, so that nothing
//! honest is new to the machine any more. The vendor who gives the roles new keys, in root and
//! targets, undoes it; of timestamp and snapshot one new key is enough, for a machine forgets both
//! documents where a new root changes who signs either:
//! `replay::fast_forward_is_undone_by_new_keys`, `replay::fast_forward_is_undone_by_one_new_key`,
//! `replay::a_fast_forwarded_plan_is_undone_by_a_new_director`,
//! `replay::a_fast_forwarded_order_is_undone_by_a_new_director`.
//!
//! Who has the director's key can also order a machine to try a version again that failed there
//! (`retry`), and can ask for a support bundle (`collect`). The first is a release that the vendor signed and
//! that the plan names by all the rules above; at most the machine tries it once more, undoes it and puts its
//! data back, five times for each version, and then not again before somebody at the machine says `unblock`:
//! another director begins anew with its numbers and not with that count. A window, an approval and the
//! preflight command hold as for any update. The numbers of orders bind as those of rollbacks do: a plan that
//! was sent before lifts nothing a second time. The second leaves a machine only where its administrator
//! allows it or approves of that very order, goes to the machine's own server alone, and has no key, no
//! credential and none of the program's data in it ([`machines`](super::machines#what-support-may-have)); who
//! has the server has what machines send it.
//!
//! The keys of a private channel are release keys as all others: a machine cannot tell whose a channel of
//! an opaque name is. Keep them as the others.
//!
//! | stolen | can | shown by |
//! |---|---|---|
//! | the threshold of a private channel | nothing | `private_channels::a_private_channels_key_alone_installs_nothing` |
//! | the same and all online keys | **install** on any machine of the product | `private_channels::a_private_channels_key_and_the_servers_keys_install_anything_on_any_machine` |
//! | all online keys | steer any machine to a custom build that the vendor signed for somebody else | `private_channels::the_servers_keys_steer_a_machine_to_somebody_elses_custom_build` |
//!
//! What else can be stolen:
//!
//! | stolen | can | cannot |
//! |---|---|---|
//! | the server | also read what machines report | have the vendor sign upon forged or older metadata, or under another date |
//! | the mail in which a proposal travels | withhold it | have anybody sign what they were not shown, upon something older than they have seen, or a second document of a version; say how a release spreads, for that is said at `trust submit` |
//! | a machine's token | see what that machine may see; report in its name | see another customer's releases; sign anything |
//! | a machine's `machine.key` | together with an activation key for the product, enrol in that machine's place in the records, under that key's contract: the machine's own token is worth nothing until it enrols again, and both are in the audit trail | enrol without an activation key; sign anything that a machine installs |
//! | a support organisation's token | see the customers that it serves; with the role `support`, act on their machines (roll back, pin, hold, block), on more than `[support.alone]` says at once only with a second token | see other customers, or releases that are kept from those served; publish, make tokens |
//! | `keys/webhooks.key` of the server | sign webhooks as the server | read or withhold any |
//! | an activation key | enrol machines under that contract until the key expires | touch machines that are enrolled |
//! | the memory of the server while it runs | use the online keys, and the tokens of machines that have just checked; records and files have their digests alone | sign releases |
//! | an API token | what its role may, in the audit trail, until it is revoked | sign releases |
//!
//! A server that was broken into before a machine enrolled could hand that machine a root of its own.
//! One that enrols again takes the root that it has pinned and no other, unless it is told which. `mainstay-agent enroll --root-sha256` closes that: take the digest
//! from `mainstay product create`.
//!
//! # Attacks
//!
//! Each is made on the real agent, by a server that does nothing else (`tests/e2e/attack`). Each time
//! the agent says which rule was broken and by what, ends with the documented exit code, leaves what
//! runs and what is trusted as it was, and takes the next honest answer.
//!
//! | attack | what is in its way | shown by |
//! |---|---|---|
//! | arbitrary installation | plan and channel must name the same bytes, and release keys sign the channel | `releases::a_release_that_nobody_signed`, `releases::a_release_that_somebody_else_signed`, `releases::a_plan_that_names_other_bytes_than_the_vendor_signed` |
//! | endless data | a limit for each role, target and answer, and for the head of an answer | `transfer::endless_files`, `transfer::endless_answers`, `transfer::endless_heads`, `transfer::an_endless_answer_to_enrolment`, `transfer::documents_that_are_too_long_for_their_role` |
//! | slow retrieval | a least rate, then the next try; after the last one it is given up (`--rate-min`, `--rate-window`); a time for the answer to begin (`--answer-timeout`) | `transfer::what_is_slow_is_asked_for_again`, `transfer::a_head_that_is_slow_is_asked_for_again_and_given_up_where_it_stays_so`, `transfer::a_check_that_stays_slow_is_given_up`, `transfer::a_manifest_that_stays_slow_is_given_up`, `transfer::an_artifact_that_stays_slow_is_given_up` |
//! | extraneous dependencies | a plan names one release, and that one artifact | `releases::extraneous_dependencies`, `transfer::files_that_nobody_asked_for` |
//! | fast-forward | new keys for the role | see above |
//! | indefinite freeze | everything expires; a plan is for one machine, and only newer ones count | `replay::a_frozen_repository_is_noticed_when_a_document_of_it_expires`, `replay::a_server_that_withholds_everything_new_is_noticed_when_the_timestamp_expires`, `replay::an_older_plan`, `replay::another_machines_customers_or_products_plan`, `replay::an_empty_plan` |
//! | mix-and-match | the snapshot names the version of each role, and its digest | `replay::documents_that_were_never_together`, `replay::an_older_document_among_newer_ones` |
//! | rollback | no document is older than one that was seen, and no role disappears | `replay::an_older_version_that_is_announced`, `replay::a_root_that_is_no_successor`, `replay::a_channel_that_has_disappeared`, `releases::a_release_that_leads_downwards` |
//! | rollback by deleting local state | what runs and the floor are kept elsewhere; the first root is known by its digest, the newest by its version | `replay::deleting_what_is_trusted_does_not_lead_downwards`, `replay::deleting_what_is_trusted_does_not_lead_below_the_floor`, `replay::deleting_the_journal_does_not_lead_downwards`, `replay::deleting_the_root_does_not_let_another_one_in`, `replay::deleting_the_root_does_not_let_an_older_one_in` |
//! | malicious mirror | it holds no key, and is told no credential | `transfer::a_mirror_that_changes_a_bit`, `transfer::a_mirror_that_adds_a_byte`, `transfer::a_mirror_that_sends_elsewhere`, `transfer::an_artifact_that_is_cut_each_time`, `transfer::an_agent_that_is_killed_while_it_unpacks_leaves_no_tree_and_goes_on_with_the_part`, `transfer::files_that_are_not_there` |
//! | wrong software | plans and manifests say for whom and what they are, and every document of which product it is | `replay::another_products_documents`, `releases::another_platforms_artifact`, `releases::another_products_release`, `releases::another_versions_release`, `replay::another_machines_customers_or_products_plan` |
//! | decompression bomb | the signed length of the payload, the limit of each document, and a limit of the window | `releases::a_decompression_bomb`, `transfer::documents_that_decompress_to_too_much`, `transfer::a_document_that_takes_much_memory_to_decompress`, `transfer::documents_that_do_not_decompress`, `transfer::documents_may_come_compressed_and_artifacts_come_as_they_are` |
//! | path traversal | names are of one form each, and archives of the one canonical form | `documents::a_target_path_that_leads_outside`, `documents::a_channel_name_or_version_that_leads_outside`, `documents::role_names_and_targets_that_lead_outside_are_passed_over`, `releases::an_archive_entry_that_leads_outside`, `releases::a_link_in_an_archive_that_leads_outside`, `trees::a_signed_tree_that_does_harm` |
//! | duplicate members, keys and signatures | each is refused, or counts once | `documents::a_member_that_stands_twice`, `documents::a_key_that_is_listed_twice_in_a_role`, `documents::a_signature_that_stands_twice`, `documents::one_key_under_two_names` |
//! | thresholds and versions out of range | integers from 1, of 64 bits | `documents::thresholds_below_one`, `documents::version_zero`, `documents::versions_below_the_first_and_fractions`, `documents::versions_beyond_64_bits` |
//! | a clock that is moved | ahead, updates stop and nothing else; behind, nothing older than what was seen | `replay::a_clock_that_is_ahead_stops_updates_and_nothing_else`, `replay::a_clock_that_is_behind_does_not_bring_back_what_is_older` |
//! | eavesdropping | TLS, without which an agent speaks to its own machine alone; that an update comes, and how large it is, anybody on the line can see | `fetch::http::tests::only_this_machine_is_reached_without_tls` |
//! | dropped requests | what is not answered is asked for again, and the timestamp expires; reports are kept until the server has them | `transfer::files_that_are_not_there`, `replay::a_server_that_withholds_everything_new_is_noticed_when_the_timestamp_expires` |
//! | partial bundle installation | does not apply: a release is one tree in one artifact, and is there as a whole or not at all, whenever the machine stops | `client/src/install/tests/crash.rs` |
//! | mixed bundles | does not apply: a plan names one release of one product, and no other part of the machine is installed with it | `releases::extraneous_dependencies` |
//! | a false root or false names at enrolment | the digest that the vendor told, or that was pinned before; a root signs itself | `enrolment::a_root_that_is_not_the_vendors`, `enrolment::another_root_than_the_one_that_was_pinned`, `enrolment::a_root_that_is_none`, `enrolment::names_and_credentials_that_are_none` |
//!
//! # Floor
//!
//! `mainstay publish --floor V` signs the lowest version that a rollback may reach. It binds a machine
//! that has installed that release or a later one, and any machine on that release's line, from the
//! moment that the machine has seen the channel's metadata, for good.
//!
//! A release that sets a floor is retired only where another one that stays in its channel sets it too,
//! for machines that it concerns as well: who retires, each who signs that, and the server all check
//! it, so a machine that never looks into the archive learns the same floors as before
//! (`policy::retirement`).
//!
//! # What customers learn
//!
//! The timestamp, snapshot and top-level targets of a product go to every machine whose contract has
//! the product: they tell the names and versions of its channels, not what is in them. A channel's
//! manifest goes to those whose contract has the channel or a grant in it; release manifests and
//! artifacts to those whose contract grants the release. The archive goes to those who have a grant in
//! it, such as a release that the machine has confirmed, or whose contract has every channel that
//! something in it comes from. Nothing is ever filtered out of a signed
//! document.
//!
//! Of a **private channel** all customers of the product learn what the top-level targets and the snapshot
//! cannot do without: a name of 26 random letters and digits, the public keys that sign it, and the number
//! of its manifest's version, which rises with every custom build and every renewal. So they learn **how
//! many** private channels a product has, when each was made (in which version of the targets it first
//! stood), and how often something is published in one; not how much, for the snapshot leaves out length
//! and digest; and not whose it is, for that is written in the server's records alone. A key of its own
//! tells nothing more; one that signs two channels tells that they belong together. Manifest, artifacts
//! and the channel's own document are to everybody else's machines, by whatever path, what was never
//! there: the same answer to the byte. No answer to another customer or who supports it has a custom
//! build in it, and none is other than it would be without one: decisions, plans, what is withheld, ways
//! up, floors (`policy::resolve::tests`, `private::a_custom_build_reaches_its_customer_and_nobody_else_learns_of_it`).
//! How long an answer takes is not evened out. The vendor's own people see all of it.
//!
//! Who supports customers without being of the vendor learns what is of those that the organisation
//! serves ([operations](super::operations)); of what is not, neither that it exists.
//!
//! # Not promised
//!
//! - The expiry of metadata is judged by the machine's clock. A machine whose clock is set back takes
//!   old metadata for fresh, though never metadata older than it has seen.
//! - Plain HTTP protects no secrets, so an agent speaks it to its own machine only. Configure TLS, or
//!   put the server behind something that has it, before other machines enrol.
//! - Whoever has root on a machine can do anything there.
