//! Which deflate streams of both payloads are opened.
//!
//! Not those that are in both payloads, bit for bit: they are copied as they are. And of the new payload only
//! those that can be closed again.

use std::{borrow::Cow, collections::HashSet};

use super::{
    compressed::streams,
    member::{Member, members, pairs},
};
use crate::delta::{
    Error, Limits, Progress, Watch,
    deflate::{Deflater, FirstBlock, Setting, inflate},
    opened::{Deflated, Openings},
    progress::tell,
};

/// A payload whose streams are opened.
pub(super) struct Payload<'a> {
    pub(super) bytes: Cow<'a, [u8]>,
    /// The files in it, and what its streams inflate to.
    pub(super) files: Vec<Member>,
}

/// Both payloads, and what was opened in them.
pub(super) struct Payloads<'a> {
    pub(super) old: Payload<'a>,
    pub(super) new: Payload<'a>,
    pub(super) openings: Openings,
}

/// Opens what is worth it.
pub(super) fn open<'a>(
    old: &'a [u8],
    new: &'a [u8],
    limits: &Limits,
    watch: Watch<'_>,
) -> Result<Payloads<'a>, Error> {
    let (old_files, new_files) = (members(old), members(new));
    let [old_streams, new_streams] = changed(
        (old, streams(old, &old_files, limits.opened_bytes_max)),
        (new, streams(new, &new_files, limits.opened_bytes_max)),
    );
    let (new, new_opened, settings) = opened_new(new, new_files, &new_streams, limits, watch)?;
    if new_opened.is_empty() {
        let old = Payload { bytes: old.into(), files: old_files };
        return Ok(Payloads { old, new, openings: Openings::default() });
    }
    // Of what the new payload keeps closed, the old one has the earlier version closed.
    let is_opened = |it: &Member| {
        new_opened.binary_search_by_key(&it.range.start, |it| it.packed.start).is_ok()
    };
    let closed: HashSet<usize> = pairs(&old_streams, &new_streams)
        .into_iter()
        .filter(|(_, new)| !is_opened(new))
        .map(|(old, _)| old.range.start)
        .collect();
    let mut opening = Opening::new(old, limits);
    for stream in old_streams.iter().filter(|it| !closed.contains(&it.range.start)) {
        tell(watch, Progress::Opening)?;
        if let Some(inflated) = opening.inflated(stream) {
            opening.open(stream, &inflated);
        }
    }
    let (old, old_opened) = opening.finish(old_files);
    let new_opened = new_opened.into_iter().zip(settings).collect();
    Ok(Payloads { old, new, openings: Openings { old: old_opened, new: new_opened } })
}

/// Opens those of the `streams` of a new payload that can be closed again, and says with which settings.
fn opened_new<'a>(
    payload: &'a [u8],
    files: Vec<Member>,
    streams: &[Member],
    limits: &Limits,
    watch: Watch<'_>,
) -> Result<(Payload<'a>, Vec<Deflated>, Vec<Setting>), Error> {
    let mut opening = Opening::new(payload, limits);
    let mut settings = Vec::new();
    for stream in streams {
        tell(watch, Progress::Opening)?;
        let Some(inflated) = opening.inflated(stream) else { continue };
        // Whoever packed one has most likely packed the next.
        let mut likely = settings.last().copied().into_iter().chain(Setting::all());
        let packed = &payload[stream.range.clone()];
        let first = FirstBlock::of(packed);
        let may_be =
            |it: &Setting| first.as_ref().is_none_or(|first| first.may_be_of(*it, &inflated));
        if let Some(setting) = likely.find(|it| may_be(it) && becomes(&inflated, *it, packed)) {
            opening.open(stream, &inflated);
            settings.push(setting);
        }
    }
    let (payload, opened) = opening.finish(files);
    Ok((payload, opened, settings))
}

/// Those of the streams that are not in both payloads.
fn changed(
    (old, mut old_streams): (&[u8], Vec<Member>),
    (new, mut new_streams): (&[u8], Vec<Member>),
) -> [Vec<Member>; 2] {
    let in_old = packed(old, &old_streams);
    let in_new = packed(new, &new_streams);
    old_streams.retain(|it| !in_new.contains(&old[it.range.clone()]));
    new_streams.retain(|it| !in_old.contains(&new[it.range.clone()]));
    [old_streams, new_streams]
}

fn packed<'a>(payload: &'a [u8], streams: &[Member]) -> HashSet<&'a [u8]> {
    streams.iter().map(|it| &payload[it.range.clone()]).collect()
}

/// Whether `inflated` deflates to `packed`.
fn becomes(inflated: &[u8], setting: Setting, packed: &[u8]) -> bool {
    const CHUNK_BYTES: usize = 16 << 10;
    let mut deflater = Deflater::new(setting);
    let mut rest = packed;
    for chunk in inflated.chunks(CHUNK_BYTES) {
        deflater.push(chunk);
        match rest.strip_prefix(deflater.take().as_slice()) {
            Some(left) => rest = left,
            None => return false,
        }
    }
    deflater.finish();
    deflater.take() == rest
}

/// A payload whose streams are being opened, in their order.
struct Opening<'a> {
    payload: &'a [u8],
    streams_max: usize,
    bytes: Vec<u8>,
    streams: Vec<Deflated>,
    paths: Vec<Vec<u8>>,
    /// How many bytes more may be inflated.
    left: usize,
}

impl<'a> Opening<'a> {
    const fn new(payload: &'a [u8], limits: &Limits) -> Self {
        Self {
            payload,
            streams_max: limits.opened_max,
            bytes: Vec::new(),
            streams: Vec::new(),
            paths: Vec::new(),
            left: limits.opened_bytes_max,
        }
    }

    /// What `stream` inflates to; `None` where it is not sound, or too much.
    fn inflated(&self, stream: &Member) -> Option<Vec<u8>> {
        let packed = &self.payload[stream.range.clone()];
        let mut inflated = Vec::new();
        let used = inflate(packed, self.left, &mut inflated).ok()?;
        let is_all = used == packed.len() as u64 && !inflated.is_empty();
        (is_all && self.streams.len() < self.streams_max).then_some(inflated)
    }

    fn open(&mut self, stream: &Member, inflated: &[u8]) {
        let packed_end = self.streams.last().map_or(0, |it| it.packed.end);
        self.bytes.extend_from_slice(&self.payload[packed_end..stream.range.start]);
        let start = self.bytes.len();
        self.bytes.extend_from_slice(inflated);
        let (packed, opened) = (stream.range.clone(), start..self.bytes.len());
        self.streams.push(Deflated { packed, opened });
        self.paths.push(stream.path.clone());
        self.left -= inflated.len();
    }

    fn finish(mut self, mut files: Vec<Member>) -> (Payload<'a>, Vec<Deflated>) {
        let Some(last) = self.streams.last() else {
            return (Payload { bytes: self.payload.into(), files }, Vec::new());
        };
        self.bytes.extend_from_slice(&self.payload[last.packed.end..]);
        for file in &mut files {
            file.range = self.opened(file.range.start)..self.opened(file.range.end);
        }
        let inflated = self.paths.iter().zip(&self.streams);
        files.extend(
            inflated.map(|(path, it)| Member { path: path.clone(), range: it.opened.clone() }),
        );
        files.sort_by_key(|it| it.range.start);
        (Payload { bytes: self.bytes.into(), files }, self.streams)
    }

    /// Where in the opened payload `place` is, which is in no stream.
    fn opened(&self, place: usize) -> usize {
        let before = self.streams.partition_point(|it| it.packed.end <= place).checked_sub(1);
        let before = before.map(|it| &self.streams[it]);
        before.map_or(place, |it| place - it.packed.end + it.opened.end)
    }
}
