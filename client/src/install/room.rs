use super::{
    Installation,
    data::{available_bytes, copies_share_blocks},
    error::Error,
};

/// How much space a change needs, in bytes, and how much there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// What must be free: for the download, the tree, the copies of the program's data, and what is
    /// to stay free whatever is installed.
    pub needed: u64,
    /// What is free.
    pub available: u64,
}

impl Installation {
    /// The space for an update of which `bytes` are still to be written by download and unpacking.
    /// It is what the engine expects later, added up: the download stays until the update is over.
    pub fn room(&self, bytes: u64) -> Result<Room, Error> {
        // Data that cannot be copied at all are told of by the update itself.
        let data = self.engine.data_bytes_in_all().unwrap_or(0);
        let copied = if data > 0 && copies_share_blocks(&self.layout().staging()) {
            0
        } else {
            // The snapshot, and the copy of it that an undoing makes.
            data.saturating_mul(2)
        };
        let reserve = self.engine.limits.reserve_bytes;
        let needed = bytes.saturating_add(copied).saturating_add(reserve);
        Ok(Room { needed, available: available_bytes(self.layout().root())? })
    }
}
