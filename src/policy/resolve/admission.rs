use jiff::Timestamp;

/// Whether a rollout has come to a machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Admission {
    /// It has, or there is none.
    #[default]
    Admitted,
    /// It has not.
    Waits(Wait),
}

/// What a machine waits for that a rollout has not come to. It says nothing of why anybody wants it so:
/// that is no affair of the machine's owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// A second person has to approve the rollout.
    Approval,
    /// The wave that the machine is in has not begun.
    Wave {
        /// Its number, from 1.
        number: usize,
        /// How many there are.
        of: usize,
        /// When it begins, if nothing comes in between; nothing where it waits for something else.
        from: Option<Timestamp>,
    },
    /// No wave reaches the machine: the rollout has to be finished first.
    Finish,
    /// Nothing new is given out at this hour.
    Closed {
        /// Until when.
        until: Option<Timestamp>,
    },
    /// The rollout is paused.
    Paused,
    /// The rollout was withdrawn.
    Withdrawn,
    /// All updates of the product are stopped.
    Stopped,
}

impl Wait {
    /// What is waited for, in words.
    pub(super) fn detail(self) -> String {
        match self {
            Self::Approval => "it has to be approved first".to_owned(),
            Self::Wave { number, of, from } => {
                let from = from.map_or_else(
                    || "begins once enough machines have confirmed it".to_owned(),
                    |from| format!("is to begin at {from}"),
                );
                format!("this machine is in wave {number} of {of}, which {from}")
            }
            Self::Finish => "its waves do not reach this machine".to_owned(),
            Self::Closed { until } => until.map_or_else(
                || "nothing new is given out at this hour".to_owned(),
                |until| format!("nothing new is given out at this hour, until {until}"),
            ),
            Self::Paused => "it is paused".to_owned(),
            Self::Withdrawn => "it was withdrawn".to_owned(),
            Self::Stopped => "all updates of the product are stopped for now".to_owned(),
        }
    }
}
