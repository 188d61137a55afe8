//! Searches a picture for its restart markers.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Looked, too_few};
use crate::error::{Error, StreamError};
use crate::frame::{Places, restart_behind};
use crate::groups::for_each_group;
use crate::jpeg::bits::is_restart;
use crate::jpeg::{malformed, marker};
use crate::limits::Limits;
use crate::retile::{Picture, in_picture};
use crate::source::Source;
use crate::watch::Watch;

/// Bytes that one thread takes at a time.
const STRETCH_BYTES: u64 = 4 << 20;
/// Bytes that are read at a time, to stay in the processor's cache.
const PIECE_BYTES: u64 = 1 << 17;
/// Bytes before a piece that tell what its first ones are: `FF`, or `FF` as a fill byte before.
const BEFORE: usize = 2;

/// Finds where the intervals lie.
///
/// # Errors
///
/// [`Error::Tile`] if a marker is missing, out of order, or no restart marker; [`Error::Limit`] for
/// too many of them.
pub(super) fn places(
    source: &Source,
    picture: &Picture,
    looked: &Looked,
    limits: &Limits,
    watch: &mut dyn Watch,
) -> Result<Places, Error> {
    let begin = picture.range.offset.saturating_add(looked.data_start);
    let end = picture
        .range
        .offset
        .saturating_add(picture.range.byte_count);
    let search = Search {
        source,
        begin,
        end,
        found: AtomicU64::new(0),
        limits,
    };
    let stretches = end.saturating_sub(begin).div_ceil(STRETCH_BYTES);
    let stretches = u32::try_from(stretches).map_err(|_| in_picture(too_few()))?;
    let stretches = for_each_group(stretches, watch, |number, done| {
        search.stretch(number.into(), done)
    })?;
    let mut joined = Joined {
        starts: vec![begin],
        filled: Vec::new(),
        last: None,
        wanted: usize::try_from(looked.grid.intervals()).unwrap_or(usize::MAX),
    };
    for stretch in stretches {
        if joined.add(stretch).map_err(in_picture)? {
            break;
        }
    }
    search.places(joined)
}

/// What there is in a stretch of the picture, up to the first marker that is no restart marker.
#[derive(Debug, Default)]
struct Stretch {
    /// Where intervals begin, behind their markers, which are in order.
    starts: Vec<u64>,
    /// Number of the first of these markers.
    first: u8,
    /// Where such intervals begin that have fill bytes before their marker (T.81 B.1.1.2).
    filled: Vec<u64>,
    /// What the search came upon, and the end of it.
    stop: Option<(Stop, u64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Disorder,
    Marker(u8),
}

impl Stretch {
    /// Takes a restart marker; returns whether it is in order.
    fn push(&mut self, code: u8, start: u64, is_filled: bool) -> bool {
        let number = code & 7;
        if self.starts.is_empty() {
            self.first = number;
        }
        let before = u64::try_from(self.starts.len()).unwrap_or(u64::MAX);
        let expected = before.wrapping_add(self.first.into()) & 7;
        if u64::from(number) != expected {
            self.stop = Some((Stop::Disorder, start));
            return false;
        }
        self.starts.push(start);
        if is_filled {
            self.filled.push(start);
        }
        true
    }

    /// Looks at bytes that begin `BEFORE` those that are of this stretch; returns whether it goes on.
    fn look(&mut self, bytes: &[u8], offset: u64) -> bool {
        let inner = bytes.get(1..).unwrap_or_default();
        for at in memchr::memchr_iter(0xFF, inner) {
            // `at` counts from the second byte: before it lies `bytes[at]`, behind it `at + 2`.
            let behind = at.saturating_add(2);
            let code = match bytes.get(behind) {
                None | Some(0 | 0xFF) => continue,
                Some(&code) => code,
            };
            let is_filled = bytes.get(at) == Some(&0xFF);
            let end = u64::try_from(behind).unwrap_or(u64::MAX);
            let end = offset.saturating_add(end).saturating_add(1);
            if !is_restart(code) {
                self.stop = Some((Stop::Marker(code), end));
                return false;
            }
            if !self.push(code, end, is_filled) {
                return false;
            }
        }
        true
    }
}

/// A search that all cores have part in.
struct Search<'a> {
    source: &'a Source,
    /// The picture without its header.
    begin: u64,
    end: u64,
    /// Markers that were found.
    found: AtomicU64,
    limits: &'a Limits,
}

impl Search<'_> {
    fn stretch(&self, number: u64, done: &AtomicU64) -> Result<Stretch, Error> {
        let mut stretch = Stretch::default();
        let mut at = self
            .begin
            .saturating_add(number.saturating_mul(STRETCH_BYTES));
        let end = at.saturating_add(STRETCH_BYTES).min(self.end);
        let mut buffer = vec![0; BEFORE.saturating_add(usize::try_from(PIECE_BYTES).unwrap_or(0))];
        if let (Some(before), true) = (buffer.get_mut(..BEFORE), at > self.begin) {
            // Stretches are longer than what is before them.
            self.source.read_exact_at(before, at.saturating_sub(2))?;
        }
        while at < end {
            let len = end.saturating_sub(at).min(PIECE_BYTES);
            let filled = BEFORE.saturating_add(usize::try_from(len).unwrap_or(0));
            let piece = buffer.get_mut(..filled).unwrap_or_default();
            if let Some(room) = piece.get_mut(BEFORE..) {
                self.source.read_exact_at(room, at)?;
            }
            let known = stretch.starts.len();
            let goes_on = stretch.look(piece, at.saturating_sub(2));
            self.count(stretch.starts.len().saturating_sub(known))?;
            done.fetch_add(len, Ordering::Relaxed);
            if !goes_on {
                break;
            }
            let last = filled.saturating_sub(BEFORE);
            buffer.copy_within(last..filled, 0);
            at = at.saturating_add(len);
        }
        Ok(stretch)
    }

    /// Counts markers, of which a hostile picture may have any number.
    fn count(&self, markers: usize) -> Result<(), Error> {
        let markers = u64::try_from(markers).unwrap_or(u64::MAX);
        let before = self.found.fetch_add(markers, Ordering::Relaxed);
        let limit = self.limits.intervals;
        if before.saturating_add(markers) > limit {
            return Err(Error::Limit {
                what: format!("a picture of more than {before} restart intervals"),
                name: "intervals",
                limit,
            });
        }
        Ok(())
    }

    fn places(&self, joined: Joined) -> Result<Places, Error> {
        let Joined {
            starts,
            filled,
            last,
            wanted,
        } = joined;
        if starts.len() < wanted {
            return Err(in_picture(too_few()));
        }
        let mut ends = Vec::new();
        if !filled.is_empty() {
            let behind = starts.iter().skip(1);
            ends.extend(behind.map(|start| start.saturating_sub(2)));
            for start in filled {
                let before = starts.partition_point(|&other| other < start);
                if let Some(end) = before.checked_sub(1).and_then(|at| ends.get_mut(at)) {
                    *end = self.without_fill(*end)?;
                }
            }
        }
        let end = last.map_or(self.end, |marker| marker.saturating_sub(2));
        let end = self.without_fill(end)?;
        Ok(Places { starts, ends, end })
    }

    /// Where data ends before fill bytes that end at `end`.
    fn without_fill(&self, mut end: u64) -> Result<u64, Error> {
        let mut buffer = [0; 256];
        loop {
            let len = end.saturating_sub(self.begin).min(256);
            let piece = buffer
                .get_mut(..usize::try_from(len).unwrap_or(0))
                .unwrap_or_default();
            let start = end.saturating_sub(len);
            self.source.read_exact_at(piece, start)?;
            let data = piece.iter().rposition(|&byte| byte != 0xFF);
            if let Some(last) = data {
                let len = u64::try_from(last).unwrap_or(0).saturating_add(1);
                return Ok(start.saturating_add(len));
            }
            if len == 0 {
                return Ok(end);
            }
            end = start;
        }
    }
}

/// All intervals, stretch by stretch.
struct Joined {
    starts: Vec<u64>,
    filled: Vec<u64>,
    /// The end of the marker behind the last one; none if the picture is cut off there.
    last: Option<u64>,
    wanted: usize,
}

impl Joined {
    /// Adds a stretch; returns whether all that is wanted is there.
    fn add(&mut self, stretch: Stretch) -> Result<bool, StreamError> {
        let disorder = Err(malformed("restart markers out of order", 0));
        let interval = u64::try_from(self.starts.len())
            .unwrap_or(0)
            .wrapping_sub(1);
        let [_, first] = *restart_behind(interval);
        if !stretch.starts.is_empty() && stretch.first != first & 7 {
            return disorder;
        }
        let more = self.wanted.saturating_sub(self.starts.len());
        self.last = stretch.starts.get(more).copied();
        self.starts.extend(stretch.starts.into_iter().take(more));
        let until = self.starts.last().copied().unwrap_or(0);
        let filled = stretch.filled.into_iter();
        self.filled.extend(filled.filter(|&start| start <= until));
        if self.last.is_some() {
            return Ok(true);
        }
        match stretch.stop {
            None => Ok(false),
            Some((Stop::Marker(marker::EOI), end)) => {
                self.last = Some(end);
                Ok(true)
            }
            Some((Stop::Disorder, _)) => disorder,
            Some((Stop::Marker(marker::SOS), _)) => {
                Err(StreamError::Unsupported("more than one scan"))
            }
            Some((Stop::Marker(marker::DNL), _)) => Err(StreamError::Unsupported("a DNL segment")),
            Some((Stop::Marker(_), _)) => Err(malformed("a marker inside entropy-coded data", 0)),
        }
    }
}
