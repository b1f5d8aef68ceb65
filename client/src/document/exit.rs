use std::process::ExitCode;

use crate::error::{Error, ErrorKind};

/// How a verb ends: the exit code of `mainstay-agent`, and the result of the C library. The numbers are
/// stable; `mainstay-agent --help` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: anything else went wrong.
    Other,
    /// 2: the command line was not understood.
    Usage,
    /// 10: up to date, nothing changed.
    UpToDate,
    /// 11: an update is offered (`check`).
    UpdateOffered,
    /// 12: a rollback is ordered (`check`).
    RollbackOrdered,
    /// 13: installed, and on probation until it is confirmed.
    Probation,
    /// 14: the update failed its probation and was undone.
    Undone,
    /// 15: up to date, nothing changed; newer releases are withheld, and it says why.
    Withheld,
    /// 16: the release or the preflight asked to be tried again later, and nothing changed.
    Deferred,
    /// 17: the installed files are not those that were signed (`verify`).
    Modified,
    /// 18: the release cannot be installed on this machine, and nothing changed.
    Missing,
    /// 19: something is (still) wrong with the installation (`doctor`).
    Unwell,
    /// 30: the machine is not enrolled.
    NotEnrolled,
    /// 31: another agent holds the installation's lock.
    Locked,
    /// 32: the server could not be reached.
    Network,
    /// 33: the server refused.
    Server,
    /// 34: a document or an order broke a rule of this machine.
    Trust,
    /// 35: the disk, a permission, or another matter of this machine.
    Local,
    /// 36: what was asked for makes no sense.
    Input,
    /// 37: the caller ended it before it was done; what has arrived is kept.
    Cancelled,
}

impl Exit {
    /// All ways to end, in the order of their numbers.
    pub const ALL: [Self; 21] = [
        Self::Done,
        Self::Other,
        Self::Usage,
        Self::UpToDate,
        Self::UpdateOffered,
        Self::RollbackOrdered,
        Self::Probation,
        Self::Undone,
        Self::Withheld,
        Self::Deferred,
        Self::Modified,
        Self::Missing,
        Self::Unwell,
        Self::NotEnrolled,
        Self::Locked,
        Self::Network,
        Self::Server,
        Self::Trust,
        Self::Local,
        Self::Input,
        Self::Cancelled,
    ];

    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Other => 1,
            Self::Usage => 2,
            Self::UpToDate => 10,
            Self::UpdateOffered => 11,
            Self::RollbackOrdered => 12,
            Self::Probation => 13,
            Self::Undone => 14,
            Self::Withheld => 15,
            Self::Deferred => 16,
            Self::Modified => 17,
            Self::Missing => 18,
            Self::Unwell => 19,
            Self::NotEnrolled => 30,
            Self::Locked => 31,
            Self::Network => 32,
            Self::Server => 33,
            Self::Trust => 34,
            Self::Local => 35,
            Self::Input => 36,
            Self::Cancelled => 37,
        }
    }

    /// What the number says, for `--help`.
    #[cfg(any(feature = "agent", test))]
    const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Other => "anything else went wrong",
            Self::Usage => "the command line was not understood",
            Self::UpToDate => "up to date, nothing changed",
            Self::UpdateOffered => "check: an update is offered",
            Self::RollbackOrdered => "check: a rollback is ordered",
            Self::Probation => "installed, on probation until it is confirmed",
            Self::Undone => "the update failed its probation and was undone",
            Self::Withheld => {
                "up to date, nothing changed; newer releases are withheld, and it says why"
            }
            Self::Deferred => {
                "the release or the preflight asked to be tried again later; nothing changed"
            }
            Self::Modified => "verify: the installed files are not those that were signed",
            Self::Missing => {
                "the release cannot be installed on this machine, and it says what is missing"
            }
            Self::Unwell => "doctor: something is (still) wrong with the installation",
            Self::NotEnrolled => "the machine is not enrolled",
            Self::Locked => "another agent holds the installation's lock",
            Self::Network => "the server could not be reached",
            Self::Server => "the server refused",
            Self::Trust => "a document or an order broke a rule of this machine",
            Self::Local => "the disk, a permission, or another matter of this machine",
            Self::Input => "what was asked for makes no sense",
            Self::Cancelled => "ended before it was done; what has arrived is kept",
        }
    }

    /// The table of exit codes, for `--help`.
    #[cfg(any(feature = "agent", test))]
    pub(crate) fn table() -> String {
        Self::ALL.iter().fold("Exit codes:\n".to_owned(), |table, exit| {
            format!("{table}{:>4}  {}\n", exit.code(), exit.meaning())
        })
    }

    /// How an error ends it.
    pub fn of_error(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::NotEnrolled => Self::NotEnrolled,
            ErrorKind::Locked => Self::Locked,
            ErrorKind::Network => Self::Network,
            ErrorKind::Server => Self::Server,
            ErrorKind::Trust | ErrorKind::Blocked => Self::Trust,
            ErrorKind::Local => Self::Local,
            ErrorKind::Input | ErrorKind::NotFound => Self::Input,
            ErrorKind::Modified => Self::Modified,
            ErrorKind::Cancelled => Self::Cancelled,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_complete_and_ascending() {
        assert!(Exit::ALL.is_sorted_by_key(|exit| exit.code()));
        insta::assert_snapshot!(Exit::table());
    }
}
