//! How a release spreads, for whoever publishes, and for whoever is awake when it turns out bad.
//!
//! Every release that is published has a *rollout*: waves that reach more and more machines, and
//! thresholds that stop them. A machine that a rollout has not come to gets the highest release that
//! has come to it, so the last that was rolled out to all, and not nothing. Contracts decide before
//! that: no wave gives anybody what their contract does not.
//!
//! # Waves
//!
//! ```sh
//! mainstay publish … --waves early:4h,1%:12h,10%:1d,100%     # for this release
//! mainstay publish … --rollout rollout.toml                  # with everything that can be said
//! mainstay publish … --immediately                           # to everybody at once, at any hour
//! mainstay publish … --waves early:4h,10%:1d,100% --plan     # how many machines of which customers, when
//! ```
//!
//! A wave says how far it reaches, and how long it lasts before the next one begins (`s`, `m`, `h`, `d`).
//! Each reaches whom those before it reach, and more:
//!
//! | reach | who |
//! |---|---|
//! | `canaries` | the machines and customers that are named as canaries, and machines that are pinned to the version |
//! | `preview` | also the ring `preview` |
//! | `early` | also the ring `early` |
//! | `10%` | also that share of the ring `general`, in hundredths of a percent at the finest |
//! | `last` | also the ring `last`: everybody |
//!
//! Machines are in the ring `general` unless a technician says otherwise (`mainstay machine ring m-… early
//! --reason …`). A machine's place in `general` is a hash of product, version and machine: a larger share
//! never drops a machine, and each release begins with other ones. Where the last wave is `100%`, `last`
//! follows. The last wave needs no time; it is watched for a day, after which the rollout is *finished*.
//! Waves that end with less than all stay there until somebody finishes the rollout.
//!
//! What nobody says is as the configuration has it (below). Unless waves are asked for, these are for
//! everybody at once: the first release of a product, custom builds, and critical security releases. They
//! can be paused as all others.
//!
//! ```
//! use mainstay::policy::{RolloutRules, rollout::Waves};
//!
//! let waves: Waves = "early:4h,1%:12h,10%:1d,100%".parse()?;
//! assert_eq!(waves.to_string(), "early:4h,1%:12h,10%:1d,100%:0s,last:1d");
//!
//! // What a server does that is not told otherwise.
//! let usual = RolloutRules::default().terms;
//! assert_eq!(usual.waves.to_string(), "early:4h,1.5%:12h,5%:12h,20%:1d,100%:1d,last:1d");
//! let failure = usual.thresholds.failure.unwrap();
//! assert_eq!(failure.to_string(), "2% of at least 3, 3 or more");
//! # Ok::<(), mainstay::policy::rollout::TermsError>(())
//! ```
//!
//! # What stops a rollout
//!
//! Machines report what became of a release. Each counts once, with the last that it told: it *tried* the
//! release when it switched it on; it *succeeded* when it confirmed it; it *failed* when it undid it, or
//! went back from it, by whose wish ever. What breaks off for a reason of the machine's (a power cut, a
//! full disk) or is put off counts as nothing, and so does what a machine says of a version that it was
//! never offered.
//!
//! - Where the share of those that failed reaches the `failure` threshold, and they are at least
//!   `failed_min` (1 where nothing is said), the rollout *pauses*, in the same step that counts the report:
//!   no crash comes in between. The audit trail says so, as `server`.
//! - While the share of those that succeeded is below the `success` threshold, no further wave begins.
//!   It goes on by itself when enough have.
//!
//! Both mean nothing before so many machines have tried the release (`tried_min`). In a fleet that never
//! has so many, waves give you time, and nothing pauses by itself.
//!
//! While a rollout is paused nobody new is given the release, not even machines that were told of it and
//! have not installed it. Who has it keeps it; to take it back is another matter (`mainstay machine
//! rollback`). After a `resume` what was counted before does not pause it again: somebody has looked at it.
//!
//! # Why the usual waves are as they are
//!
//! `mainstay simulate` lets releases spread over machines that do not exist, by the same functions that a
//! server asks, and asks no server. Of its machines 0.1 % are in the ring `preview`, 0.4 % in `early`, 5 % in
//! `last`. 2 % are dead and count all the same, 5 % have a network that fails every second time, and each asks
//! once an hour. An installation takes 1 to 15 minutes, the probation 5. The bad release fails on 5 % of the
//! machines, every release on 0.2 %. *Reached* is who was given the release before the pause, installed or
//! not. The same seed gives the same table.
//!
//! `mainstay simulate --machines 1000000 --seed 1`, which are ten rollouts of a million machines and took 12
//! seconds and 28 MB on one core:
//!
//! | waves | the bad release is paused after | it reached | a good one is with everybody after |
//! |---|--:|--:|--:|
//! | **`early:4h,1.5%:12h,5%:12h,20%:1d,100%:1d,last:1d`** | 18 min | 1,374 (0.14 %) | 91 h |
//! | `100%` | 14 min | 232,187 (23.22 %) | 21 h |
//! | `10%:1d,100%` | 14 min | 23,429 (2.35 %) | 45 h |
//! | `1%:1d,10%:1d,100%` | 16 min | 3,677 (0.37 %) | 68 h |
//! | `early:4h,1%:12h,10%:1d,100%` | 18 min | 1,374 (0.14 %) | 63 h |
//!
//! In a large fleet the first wave decides: a release is given on until the first failures are reported, so
//! what is reached by then is a share of that wave. In a small fleet it is the number of machines that
//! decides: 2 % of 2,000 machines are 40, on which a release that fails on 5 % fails twice. The usual terms,
//! `mainstay simulate --machines N --runs 1000 --seed 1` (for 100,000 machines `--runs 100`):
//!
//! | machines | stopped before 2 % have it | stopped at all | reached: median | most | good releases paused |
//! |--:|--:|--:|--:|--:|--:|
//! | 50 | 0 % | 45.8 % | 96 % | 100 % | 0 % |
//! | 100 | 0 % | 90.2 % | 70 % | 100 % | 0 % |
//! | 200 | 0 % | 99.6 % | 42 % | 98.5 % | 0.2 % |
//! | 500 | 0.9 % | 100 % | 13.6 % | 89 % | 0.1 % |
//! | 1,000 | 4.9 % | 100 % | 6.7 % | 52.9 % | 0.6 % |
//! | 2,000 | 26.8 % | 100 % | 3.2 % | 19.6 % | 0.5 % |
//! | 5,000 | 83.4 % | 100 % | 1.34 % | 9.8 % | 0.6 % |
//! | 7,500 | 97.0 % | 100 % | 0.98 % | 4.5 % | 0.2 % |
//! | 10,000 | 98.9 % | 100 % | 0.76 % | 4.9 % | 0.3 % |
//! | 20,000 | 99.9 % | 100 % | 0.38 % | 2.6 % | 0.4 % |
//! | 100,000 | 100 % | 100 % | 0.16 % | 0.37 % | 0 % |
//!
//! So the usual terms stop a release that fails on 5 % of the machines before 2 % have it, from about 10,000
//! machines on. From there down no threshold can promise it and leave good releases alone: of 20 machines
//! not one fails in 36 % of all cases, and to pause at the first failure would pause good releases as well.
//! What fails on every machine is stopped in every fleet: of 50 machines it reaches 4 (median), 9 at most
//! (`--machines 50 --runs 300 --failure 100%`).
//!
//! What follows from the tables:
//!
//! - *Three failures, and 2 %.* A good release has one failure among the first 50 machines in one case of ten.
//!   A rule of 2 % of at least 20, however few fail, pauses 8.8 % of good releases (10,000 machines, 1,000
//!   runs, `--failed-min 1 --tried-min 20 --waves early:4h,1%:12h,10%:1d,100%:1d`); with three failures it is
//!   0.2 to 0.6 %. No more machines need to have tried than three: what fails everywhere need not wait.
//! - *1.5 % first.* With the ring `early` of such a fleet that is just below 2 %, so that as much is known as
//!   can be before more get it. **If more than 0.5 % of your machines are in `preview` and `early`, or named as
//!   canaries, those alone may be more than 2 %.**
//! - *5 % and 20 % then.* They cost half a day more than 10 % and keep a release that slipped through from half
//!   as many machines in fleets of 500.
//!
//! What nothing here stops:
//!
//! - A release that is bad on a small part of the fleet. Failing on 3 % of a platform that has 60 % of the
//!   machines is 2 % of all: of 20,000 machines it is stopped in 92 of 100 runs, in 71 before 2 % have it. On a
//!   platform that has 10 % it is 0.3 % of all, and never stopped: outcomes are not counted a platform
//!   (`--machines 20000 --runs 100 --failure 3% --platform linux-x86_64`, or `linux-aarch64`).
//! - A release that takes machines down, so that they report nothing. The `success` threshold is for that, and
//!   there is none unless you say so. With `success = { share = "90%", tried_min = 20 }` a release that
//!   silences 20 % of 5,000 machines is held in 100 of 100 runs, in 94 before 2 % have it; one that silences
//!   5 % is not (`--machines 5000 --runs 100 --silent --failure 20% --hold-below 90%`). It is not usual, because
//!   where a wave begins many machines are on probation, and the rollout is held and let go by turns.
//!
//! Try your own: `--waves` (several times), `--failure`, `--platform`, `--silent`, `--background`, `--poll`,
//! `--pause-at`, `--failed-min`, `--tried-min`, `--hold-below`; with `--json` for a program.
//!
//! # Schedules
//!
//! A schedule is hours of the week in a time zone, for example not on Friday evening:
//! `{ zone = "Europe/Berlin", open = "mon-thu, fri 00:00-16:00" }`. Outside of them no wave begins, and no
//! machine is told of the release that was not told before. The time of a wave goes on meanwhile. The
//! time zones are those of this program's release.
//!
//! # By hand
//!
//! ```sh
//! mainstay rollout list --product my-app                     # all of them, and whether everything is stopped
//! mainstay rollout show --product my-app 2.5.1               # waves, outcomes, whose word it is
//! mainstay rollout plan --product my-app 2.5.1               # how many machines of which customers, when
//! mainstay rollout pause --product my-app 2.5.1 --reason 'SAP is down' --ticket SUP-1042
//! mainstay rollout resume --product my-app 2.5.1 --reason 'it was the network'
//! mainstay rollout finish --product my-app 2.5.1 --reason 'needed everywhere'     # to all, now
//! mainstay rollout withdraw --product my-app 2.5.1 --reason 'deletes data'        # final
//! mainstay rollout start --product my-app 2.4.0 --waves 10%:1d,100% --reason …    # of a release that has none
//! mainstay rollout stop my-app --reason 'deletes data'       # EVERYTHING of the product
//! mainstay rollout unstop my-app --reason 'withdrawn'
//! ```
//!
//! Each that changes something shows first what it would do, and asks; `--plan` does no more than that,
//! `--yes` does not ask. All want a reason. A rollout carries a revision: of two people who act on what
//! they have both seen, the second is refused (409, exit code 4) and told who did what, when and why.
//! `--revision` names what you have seen if that was earlier.
//!
//! A release that is *withdrawn* is given to nobody any more (`WITHDRAWN`); machines that had it may keep
//! it and go back to it. That cannot be undone: publish a higher version.
//!
//! The *emergency stop* of a product keeps every release of it from every machine, until it is lifted.
//! Orders to go back are carried out all the same. What is being rolled out is paused with it, what is
//! published meanwhile begins paused, and both stay so until somebody resumes them: otherwise the next waves
//! would come with the end of the stop, and nobody would have tried the release in between.
//!
//! Publishers and support technicians may do all of this; everybody of the vendor's may look. Customers
//! see of their machines which wave they are in and when it begins, never why somebody paused.
//!
//! # Configuration
//!
//! ```
//! use mainstay::config::{Config, Overrides};
//!
//! let dir = tempfile::tempdir()?;
//! std::fs::write(
//!     dir.path().join("mainstay.toml"),
//!     r#"
//! [rollout]
//! waves = "canaries:4h,early:1d,1%:1d,10%:2d,100%"
//! canaries = { customers = ["our-own-shop"], machines = ["m-0123456789ab"] }
//! schedule = { zone = "Europe/Berlin", open = "mon-thu, fri 00:00-16:00" }
//! failure = { share = "2%", tried_min = 50, failed_min = 4 }
//! success = { share = "80%", tried_min = 50 }
//! approval = "second_person"          # or "none", as it is without this line
//! critical_security = "in_waves"      # or "at_once", as it is without this line
//!
//! [rollout.channels.security]
//! waves = "10%:4h,100%"
//!
//! [rollout.channels.bugfix]
//! pace = "at_once"
//! "#,
//! )?;
//! let rules = Config::load(dir.path(), &Overrides::default())?.rollouts;
//! assert_eq!(rules.terms.canaries.count(), 2);
//! assert_eq!(rules.channels.len(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What a channel does not say is as `[rollout]` says, and what that does not is as above. A file for
//! `--rollout` has the same members without `approval`, `critical_security` and `channels`. A share is more
//! than 0% and at most 100%. A change of the configuration counts for rollouts that start afterwards.
//!
//! With `approval = "second_person"` a release goes to nobody until somebody approves it who bears another
//! token than whoever published it: `mainstay rollout approve --product my-app 2.5.1 --reason 'tried it'`.
//!
//! # What it does not do
//!
//! - Two people are two tokens. Who has two of them can approve what they published.
//! - Approval is for the beginning. To pause, resume or finish is one person's word.
//! - A plan looks at every machine of the product, one by one, and at the releases once for each contract.
//! - `publish --plan` does not look at what a release requires of machines; `rollout plan` does.
//! - A stop on the way (`--min-from`) waits for its own rollout, on the way to a pinned version and to a critical
//!   security release too: finish its rollout, or publish the fix for the line that machines are on as well.
//! - A schedule that is wished for a critical security release, a custom build or a product's first release
//!   alone, without waves, is not heeded: these are for everybody at once.
//! - Each check reads the rollouts that are not finished, those that were withdrawn among them.
//! - A machine that tries a release and is never heard of again has tried it, and no more: the `success`
//!   threshold is for that.
//! - Releases that were published before there were rollouts have none: everybody may have them.
