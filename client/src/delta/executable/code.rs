use super::{Reference, places::Places};

/// What was found in the code of a file.
#[derive(Debug)]
pub(super) struct Code {
    /// The addresses in instructions, in the order of the file.
    pub(super) references: Vec<Reference>,
    /// Where instructions begin.
    pub(super) instructions: Places,
    /// The addresses of data that the code takes, which may be those of tables.
    pub(super) taken: Vec<u64>,
}

impl Code {
    /// Nothing, in a file of `file_bytes`.
    pub(super) fn none(file_bytes: usize) -> Self {
        Self { references: Vec::new(), instructions: Places::none(file_bytes), taken: Vec::new() }
    }
}
