//! Where the intervals of a picture lie as the slide tells it, and whether that is true.

use super::Looked;
use crate::error::Error;
use crate::frame::{Part, Places, Stitched, restart_behind};
use crate::jpeg::bits::{is_restart, split_interval};
use crate::jpeg::marker;
use crate::plan::{Check, PIECE_BYTES};
use crate::retile::Picture;
use crate::source::Source;
use crate::tiles::ByteRange;

/// Intervals that are looked at, evenly spread: a table that is wrong is as a rule so from a place
/// on.
const SAMPLE: usize = 16;
/// Length of a marker.
const MARKER: usize = 2;

/// The places that are told; `None` if there are too few, or wrong ones among those looked at.
pub(super) fn places(
    source: &Source,
    picture: &Picture,
    looked: &Looked,
) -> Result<Option<Places>, Error> {
    let Some(starts) = starts(picture, looked) else {
        return Ok(None);
    };
    let step = starts.len().div_ceil(SAMPLE).max(1);
    for (before, start) in (0_u64..).zip(starts.iter().skip(1)).step_by(step) {
        let mut bytes = [0; MARKER];
        source.read_exact_at(&mut bytes, start.saturating_sub(2))?;
        if bytes != *restart_behind(before) {
            return Ok(None);
        }
    }
    let end = match starts.last() {
        Some(&last) => end_of_last(source, picture, last, looked.grid.intervals())?,
        None => None,
    };
    Ok(end.map(|end| Places {
        starts,
        ends: Vec::new(),
        end,
    }))
}

/// From the start of the file where each interval begins; `None` if that cannot be right.
fn starts(picture: &Picture, looked: &Looked) -> Option<Vec<u64>> {
    let recorded = picture.starts.as_ref()?;
    let count = usize::try_from(looked.grid.intervals()).ok()?;
    let recorded = recorded.get(1..count)?;
    let mut starts = Vec::with_capacity(count);
    let mut before = looked.data_start;
    starts.push(picture.range.offset.checked_add(before)?);
    for &start in recorded {
        let len = start.checked_sub(before)?;
        // Longer ones are copied in pieces, so that there is never all of one to look at.
        if !(2..=PIECE_BYTES).contains(&len) || start >= picture.range.byte_count {
            return None;
        }
        starts.push(picture.range.offset.checked_add(start)?);
        before = start;
    }
    Some(starts)
}

/// Where the last of `count` intervals ends; `None` if it does not as it should.
fn end_of_last(
    source: &Source,
    picture: &Picture,
    start: u64,
    count: u64,
) -> Result<Option<u64>, Error> {
    let end = picture
        .range
        .offset
        .saturating_add(picture.range.byte_count);
    let len = end.saturating_sub(start).min(PIECE_BYTES);
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    source.read_exact_at(&mut bytes, start)?;
    let interval = split_interval(&bytes);
    let is_end = match interval.next {
        Some((marker::EOI, _)) => true,
        // A picture may go on where it is not shown.
        Some((code, _)) if is_restart(code) => {
            *restart_behind(count.saturating_sub(1)) == [0xFF, code]
        }
        Some(_) => false,
        None => start.saturating_add(len) == end,
    };
    let data = interval.data.iter().rposition(|&byte| byte != 0xFF);
    let data = data.map_or(0, |last| last.saturating_add(1));
    let data = u64::try_from(data).unwrap_or(0);
    Ok(is_end.then(|| start.saturating_add(data)))
}

/// Looks whether intervals lie where it was told.
pub(in crate::plan) struct ToldCheck<'a>(&'a Stitched);

impl<'a> ToldCheck<'a> {
    /// `None` if the plan has looked at every interval.
    pub(in crate::plan) fn new(stitched: &'a Stitched) -> Option<Self> {
        stitched.are_told.then_some(Self(stitched))
    }

    fn is_right(&self, interval: u64, (offset, bytes): (u64, &[u8])) -> Option<bool> {
        let (picture, number) = self.0.of_interval(interval)?;
        let scope = picture.places.with_marker(number)?;
        let bytes = scope.slice(offset, bytes)?;
        if number.saturating_add(1) == picture.grid.intervals() {
            // Where it ends was looked at.
            return Some(is_without_marker(bytes));
        }
        let (data, marker) = bytes.split_at_checked(bytes.len().checked_sub(MARKER)?)?;
        Some(marker == restart_behind(number) && is_without_marker(data))
    }
}

impl Check for ToldCheck<'_> {
    /// The interval and the marker behind it.
    fn scope(&self, part: Part) -> ByteRange {
        let found = self.0.of_interval(part.number);
        let scope = found.and_then(|(picture, number)| picture.places.with_marker(number));
        scope.unwrap_or(part.range)
    }

    fn check(&mut self, parts: &[Part], offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let wrong = |part: &&Part| self.is_right(part.number, (offset, bytes)) != Some(true);
        match parts.iter().find(wrong) {
            Some(part) => Err(Error::Unlike { tile: part.number }),
            None => Ok(()),
        }
    }
}

/// Whether each `FF` is one of the data, with `00` behind it.
///
/// Without a branch, so that many bytes are compared at a time: `FF` is too frequent in such data to
/// be searched for.
fn is_without_marker(data: &[u8]) -> bool {
    let pairs = data.iter().zip(data.iter().skip(1));
    let marked = pairs.fold(0_u8, |marked, (&byte, &behind)| {
        marked | (u8::from(byte == 0xFF) & u8::from(behind != 0))
    });
    marked == 0 && data.last() != Some(&0xFF)
}
