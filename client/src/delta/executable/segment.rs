/// A part of a file that is at an address when the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Segment {
    /// The address of its first byte.
    pub address: u64,
    /// Where it begins in the file.
    pub offset: u64,
    /// Bytes that it has in the file.
    pub file_bytes: u64,
    /// Bytes that it has in memory: those of the file, then zeros.
    pub memory_bytes: u64,
}

impl Segment {
    /// How far `address` is from the beginning, where it is within the segment's memory.
    fn distance_to(&self, address: u64) -> Option<u64> {
        address.checked_sub(self.address).filter(|distance| *distance < self.memory_bytes)
    }
}

/// What of a file is at which address: segments in the order of their addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segments(Vec<Segment>);

impl Segments {
    /// How many segments a file may have to be understood.
    pub const SEGMENTS_MAX: usize = 32;

    /// Takes `segments` in any order; `None` where they are none or more than
    /// [`SEGMENTS_MAX`](Self::SEGMENTS_MAX), have more bytes in the file than in memory, end beyond the
    /// last address or the last offset that there is, or overlap in the file or in memory.
    pub fn new(mut segments: Vec<Segment>) -> Option<Self> {
        segments.sort_unstable();
        let is_whole = |segment: &Segment| {
            segment.file_bytes <= segment.memory_bytes
                && segment.address.checked_add(segment.memory_bytes).is_some()
                && segment.offset.checked_add(segment.memory_bytes).is_some()
        };
        let is_understood = (1..=Self::SEGMENTS_MAX).contains(&segments.len());
        if !is_understood || !segments.iter().all(is_whole) {
            return None;
        }
        let mut in_file: Vec<_> = (segments.iter())
            .map(|segment| segment.offset..segment.offset + segment.file_bytes)
            .filter(|range| range.start < range.end)
            .collect();
        in_file.sort_unstable_by_key(|range| range.start);
        let are_apart = in_file.is_sorted_by(|one, next| one.end <= next.start)
            && segments.is_sorted_by(|one, next| one.address + one.memory_bytes <= next.address);
        are_apart.then_some(Self(segments))
    }

    /// The segments in the order of their addresses.
    pub fn as_slice(&self) -> &[Segment] {
        &self.0
    }

    /// Whether something is at `address` when the program runs.
    pub fn contain(&self, address: u64) -> bool {
        self.0.iter().any(|segment| segment.distance_to(address).is_some())
    }

    /// The address of what is at `offset` of the file.
    pub fn address_of(&self, offset: usize) -> Option<u64> {
        let offset = offset as u64;
        self.0.iter().find_map(|segment| {
            let distance = offset.checked_sub(segment.offset)?;
            (distance < segment.file_bytes).then(|| segment.address + distance)
        })
    }

    /// Where in the file the segment ends that has `offset` of the file.
    pub(super) fn end_of(&self, offset: usize) -> Option<usize> {
        let address = self.address_of(offset)?;
        let segment = self.0.iter().find(|segment| segment.distance_to(address).is_some())?;
        usize::try_from(segment.offset + segment.file_bytes).ok()
    }

    /// Where in the file is what is at `address`.
    pub fn offset_of(&self, address: u64) -> Option<usize> {
        self.0.iter().find_map(|segment| {
            let distance = segment.distance_to(address)?;
            (distance < segment.file_bytes).then_some(())?;
            usize::try_from(segment.offset + distance).ok()
        })
    }
}
