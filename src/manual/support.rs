//! The worst hour: a bad release runs at your customers, and what a technician does about it.
//!
//! One machine is dealt with by its name (`mainstay machine rollback m-… --to 2.4.0 …`,
//! [`operations`](super::operations)). Everything that can be wanted of one can be wanted of many: in place
//! of the machine's name say which ones.
//!
//! # Monday, 7:40: reports are slow since 2.4.1
//!
//! Nobody new is to get it, whatever the rollout says:
//!
//! ```sh
//! mainstay rollout pause --product my-app 2.4.1 --reason 'reports take minutes' --ticket SUP-1042
//! mainstay census --product my-app --version 2.4.1          # how many run it, and whose they are
//! ```
//!
//! # 7:45: those that run it go back
//!
//! ```sh
//! mainstay machine rollback --running 2.4.1 --customer acme --to-last-good \
//!     --reason 'reports take minutes' --ticket SUP-1042
//! ```
//!
//! First comes what it would be, machine by machine: what each would do at its next check, what cannot be
//! done and why (retired, gone, not granted, already so), and what others want of the same machines: their
//! holds, pins, orders, and actions that are under way. Then you are asked; `--plan` says it and does no more,
//! `--yes` does not ask.
//!
//! | which machines | |
//! |---|---|
//! | `--customer acme` | those of a customer |
//! | `--running 2.4.1` | those that report that it runs |
//! | `--platform linux-x86_64`, `--ring early` | those on it, those in it |
//! | `--machines FILE` | those whose names are in the file, one a line; `-` for standard input |
//! | `--product my-app` | with one of the others, where what is selected runs several products |
//!
//! What is asked for together must all be true. Retired machines are in no selection. An organisation's
//! technicians select among the machines of the customers that they serve, and a name of another is as one
//! that does not exist.
//!
//! What you confirm is for the machines that you were shown. Where more are selected by then it is refused
//! (exit code 4), and you look again; one that is not selected any more, or was retired, is told of as one
//! that nothing can be done to. The machines of an action stay the same from then on.
//!
//! - `--to 2.4.0` is that version on each. `--to-last-good` is for each machine the newest version below what
//!   runs that it has confirmed and may go back to, and that is neither withdrawn nor blocked on it.
//! - **Going back below a security fix.** Where the releases that are left fix advisories that the version
//!   gone back to does not, they are named, and it is refused (`EXPOSURE_NOT_ACCEPTED`, exit code 3) unless you
//!   say `--accept-exposure`. Whose fix came to an older line later counts as not in what was out before. The
//!   audit trail and the order name them. The vendor's rollback floor is never passed.
//! - A machine that goes back is kept from what it leaves and from what was out in between, until a later
//!   release.
//!
//! # 7:50: how far has it come?
//!
//! ```sh
//! mainstay action list                            # the newest first
//! mainstay action show act-6ab13b80c0de           # machine by machine, what needs a look first
//! mainstay action show act-6ab13b80c0de --watch   # until every machine has come to an end of it
//! ```
//!
//! | a machine is | when |
//! |---|---|
//! | waiting | it has not checked since |
//! | told | it has been sent the plan that says so |
//! | carried out | a rollback: it has reported that it went back. `install`, `pin`: it has confirmed the version. All else: it is recorded |
//! | refused | it has reported that it could not or would not, and why |
//! | cannot | the server could not order it: why is said |
//! | cancelled | the action was cancelled before, or somebody has wanted something else of the machine since |
//!
//! An action is done when every machine has come to an end. `--watch` exits with 8 where one has come to
//! another end than *carried out*. The server carries it out one machine after the other; one that is killed
//! goes on where it was, and does no machine twice. Each change of a machine is in the audit trail and in its
//! story as if it had been ordered of it alone, with the action's name.
//!
//! # 8:10: keep it away from the others, and give them one patch
//!
//! ```sh
//! mainstay machine block --customer acme 2.4.1 --reason 'reports take minutes' --ticket SUP-1042
//! mainstay machine hold --customer acme --ring last --until 2026-12-24T06:00:00Z --reason 'closing of the books'
//! mainstay machine install --customer acme --running 2.4.0 2.4.2 --reason 'the one patch that is needed'
//! ```
//!
//! `install` wants exactly this version, if the contract grants it, it can be delivered now, and it is above
//! what runs. Until the machine has confirmed it, it is given nothing else, as with a pin; then it is updated
//! as always. What fails on the machine is blocked there, and the wish stays until somebody ends it
//! (`mainstay machine unpin`).
//!
//! # Two technicians
//!
//! Whoever looks second is shown what the first wants: by the cautions of every preview, by the machine's
//! story, by `mainstay action list`. Of two who order something of one machine at the same time, one is told
//! that it has changed.
//!
//! ```sh
//! mainstay action cancel act-6ab13b80c0de --reason 'it was the network'
//! ```
//!
//! does nothing more for an action. What is recorded with machines by then stays: an order that a machine has
//! been given is the machine's to carry out; hold it, or order something else.
//!
//! # How far one person may go
//!
//! What touches more machines than a person may act on alone waits until another person, which is another
//! token of the role `support` or an administrator's, approves it:
//!
//! ```sh
//! mainstay action approve act-6ab13b80c0de --reason 'I have seen it' --ticket SUP-1042
//! ```
//!
//! ```
//! use mainstay::config::{Config, Overrides};
//!
//! let dir = tempfile::tempdir()?;
//! std::fs::write(
//!     dir.path().join("mainstay.toml"),
//!     r#"
//! [support.alone]
//! admin = 500         # these are what holds where nothing is said
//! support = 50
//! organisation = 50   # technicians of an organisation
//! "#,
//! )?;
//! let config = Config::load(dir.path(), &Overrides::default())?;
//! assert_eq!(config.alone, mainstay::policy::AloneLimits::default());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! With 0 a second person approves everything that is ordered for a selection. Machines of which it is known
//! beforehand that nothing can be done to them do not count. An organisation's technicians approve and cancel
//! what such technicians have ordered for customers that they serve too, and nothing else.
//!
//! # Afterwards
//!
//! ```sh
//! mainstay rollout withdraw --product my-app 2.4.1 --reason 'reports take minutes' --ticket SUP-1042
//! mainstay audit | grep SUP-1042                  # who did what, when, on which machine
//! mainstay machine unhold --customer acme --ring last --reason 'the books are closed'
//! ```
//!
//! # Known limits
//!
//! - The limit of one person is one of each action: several small ones after one another, and those on one
//!   machine, are not added up. The audit trail has them.
//! - One action goes over 10,000 machines at most, and one person can have ordered at most 100 that are
//!   under way or await approval.
//! - A machine that never comes back keeps an action open until it is retired, or the action cancelled.
//! - Of a refusal the first line of what the machine said is told; its story has all of it.
