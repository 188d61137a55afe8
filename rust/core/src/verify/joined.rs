//! Compares one frame with the restart intervals that it must be joined of.
//!
//! Where the intervals lie is taken from the plan, but proven: each begins behind the marker of the
//! one before it, the first one behind the header, and there is no other marker in any. Which of
//! them a frame has is worked out anew.

use super::frame::{is_end, permitted_header};
use crate::codec::TileReader;
use crate::error::{Error, StreamError};
use crate::frame::{Intervals, Stitched};
use crate::jpeg::bits::{Bits, is_restart, split_interval};
use crate::jpeg::coefficients::BlockDecoder;
use crate::jpeg::mcu::Position;
use crate::jpeg::{self, Header, marker};
use crate::limits::Limits;
use crate::scan::Verdict;
use crate::source::Source;
use crate::tiles::ByteRange;

/// Checks what all frames of a picture share: their header, and the interval that is blank.
pub(super) fn check_shared(
    source: &Source,
    stitched: &Stitched,
    limits: &Limits,
) -> Result<(), Error> {
    let of_frame = |error| Error::Frame { frame: 0, error };
    for intervals in &stitched.pictures {
        let differs = |what: &str| Error::Verify { what: what.into() };
        let mut reader = TileReader::new(source, limits);
        reader.open(intervals.picture);
        let start = reader.read_header().map_err(|fault| fault.of_tile(0))?;
        let theirs = jpeg::parse_header(&start).map_err(of_frame)?;
        let ours = permitted_header(&intervals.header).map_err(of_frame)?;
        if !has_tables_of(&ours, &theirs) {
            return Err(differs("frames with other tables than their picture"));
        }
        let data_start = u64::try_from(theirs.len).unwrap_or(u64::MAX);
        let first = intervals.places.get(0).map(|range| range.offset);
        if first != intervals.picture.offset.checked_add(data_start) {
            return Err(differs("a first interval that is not behind the header"));
        }
        if !intervals.blank.is_empty() && !is_blank(&ours, &intervals.blank).unwrap_or(false) {
            return Err(differs("a blank interval that is a picture"));
        }
    }
    Ok(())
}

/// Whether a frame has the tables that its picture has; what the picture lacks may be added.
fn has_tables_of(frame: &Header<'_>, picture: &Header<'_>) -> bool {
    let components = picture.facts.components.iter();
    let pairs = components.zip(&frame.facts.components);
    let mut all = pairs.map(|(theirs, ours)| {
        let same_steps = {
            let steps = jpeg::slot(&picture.tables.quantisation, theirs.quantisation);
            steps.is_none() || steps == jpeg::slot(&frame.tables.quantisation, ours.quantisation)
        };
        let holds = |theirs: Option<&[u8]>, ours: Option<&[u8]>| {
            theirs.is_none_or(|theirs| ours.is_some_and(|ours| jpeg::has_codes_of(ours, theirs)))
        };
        let (dc, ac) = (&picture.tables.dc, &picture.tables.ac);
        same_steps
            && holds(
                jpeg::slot(dc, theirs.dc),
                jpeg::slot(&frame.tables.dc, ours.dc),
            )
            && holds(
                jpeg::slot(ac, theirs.ac),
                jpeg::slot(&frame.tables.ac, ours.ac),
            )
    });
    all.all(|same| same) && frame.facts.restart_interval == picture.facts.restart_interval
}

/// Whether the MCUs of an interval are there and have no coefficient.
fn is_blank(header: &Header<'_>, interval: &[u8]) -> Result<bool, StreamError> {
    let decoder = BlockDecoder::new(&header.facts, &header.tables);
    let (mut bits, mut position) = (Bits::default(), Position::default());
    bits.fill(interval);
    for _ in 0..header.facts.restart_interval {
        for block in 0..decoder.blocks() {
            let coefficients = decoder.block(block, &bits, &mut position)?;
            if coefficients.iter().any(|&coefficient| coefficient != 0) {
                return Ok(false);
            }
        }
    }
    Ok(bits.len().saturating_sub(position.at) < 8)
}

/// Compares a frame; `room` is used again for the next.
pub(super) fn compare(
    source: &Source,
    stitched: &Stitched,
    index: usize,
    frame: &[u8],
    room: &mut Vec<u8>,
) -> Result<Verdict, Error> {
    let index = u64::try_from(index).unwrap_or(u64::MAX);
    let Some((intervals, number)) = stitched.of_frame(index) else {
        return Ok(Verdict::Unlike("it was not planned"));
    };
    let header = permitted_header(frame).map_err(|error| Error::Frame {
        frame: index,
        error,
    })?;
    let (own, mut rest) = frame.split_at_checked(header.len).unwrap_or_default();
    if own != intervals.header {
        return Ok(Verdict::Unlike("its header is not the planned one"));
    }
    let grid = intervals.grid;
    let columns = grid.across.div_ceil(grid.frame_across.max(1));
    let (x, y) = (number.checked_rem(columns), number.checked_div(columns));
    let left = x.unwrap_or(0).saturating_mul(grid.frame_across);
    let top = y.unwrap_or(0).saturating_mul(grid.frame_down);
    let all = grid.frame_across.saturating_mul(grid.frame_down);
    for y in 0..grid.frame_down {
        let row = top.saturating_add(y);
        let there = if row < grid.down {
            grid.across.saturating_sub(left).min(grid.frame_across)
        } else {
            0
        };
        let first = row.saturating_mul(grid.across).saturating_add(left);
        let piece = Stretch::read(source, intervals, first..first.saturating_add(there), room)?;
        for x in 0..grid.frame_across {
            let at = y.saturating_mul(grid.frame_across).saturating_add(x);
            let Some((data, behind)) = next(rest, at, at.saturating_add(1) == all) else {
                return Ok(Verdict::Unlike("its markers are not those it must have"));
            };
            let is_right = if x < there {
                piece.has(first.saturating_add(x), data)
            } else {
                data == intervals.blank
            };
            if !is_right {
                return Ok(Verdict::Unlike(
                    "its entropy-coded bytes are not those of its restart intervals",
                ));
            }
            rest = behind;
        }
    }
    Ok(Verdict::Equal)
}

/// Takes an interval from a frame, by its number there, and what must be behind it.
fn next(rest: &[u8], number: u64, is_last: bool) -> Option<(&[u8], &[u8])> {
    let interval = split_interval(rest);
    let (code, behind) = interval.next?;
    let (data, marker) = rest.split_at_checked(interval.data.len())?;
    let is_right = if is_last {
        is_end(marker)
    } else {
        // No fill bytes: the marker is right behind the data.
        code == restart(number) && marker.len() == behind.len().saturating_add(2)
    };
    is_right.then_some((data, behind))
}

/// The marker behind an interval (T.81 E.1.4).
fn restart(number: u64) -> u8 {
    let count = u8::try_from(number % 8).unwrap_or(0);
    marker::RST0.saturating_add(count)
}

/// Intervals that lie behind each other in the source.
struct Stretch<'a> {
    intervals: &'a Intervals,
    offset: u64,
    bytes: &'a [u8],
}

impl<'a> Stretch<'a> {
    fn read(
        source: &Source,
        intervals: &'a Intervals,
        numbers: std::ops::Range<u64>,
        room: &'a mut Vec<u8>,
    ) -> Result<Self, Error> {
        let places = &intervals.places;
        let first = places.get(numbers.start).filter(|_| !numbers.is_empty());
        let offset = first.map_or(0, |range| range.offset);
        let end = numbers.end.checked_sub(1).and_then(|last| {
            let scope = places.with_marker(last)?;
            // Behind the last one of all stands what is left of the picture.
            let is_last = numbers.end == intervals.grid.intervals();
            let more = if is_last { 2 } else { 0 };
            let end = scope.end()?.saturating_add(more);
            Some(end.min(intervals.picture.end()?))
        });
        let len = first.and(end).unwrap_or(offset).saturating_sub(offset);
        room.resize(usize::try_from(len).unwrap_or(usize::MAX), 0);
        source.read_exact_at(room, offset)?;
        Ok(Self {
            intervals,
            offset,
            bytes: room,
        })
    }

    fn slice(&self, ByteRange { offset, byte_count }: ByteRange) -> Option<&[u8]> {
        let from = usize::try_from(offset.checked_sub(self.offset)?).ok()?;
        let rest = self.bytes.get(from..)?;
        rest.get(..usize::try_from(byte_count).ok()?)
    }

    /// Whether an interval of the picture is these bytes, between its marker and the one before.
    fn has(&self, number: u64, data: &[u8]) -> bool {
        let places = &self.intervals.places;
        let is_last = number.saturating_add(1) == self.intervals.grid.intervals();
        let found = || {
            let range = places.get(number)?;
            let own = self.slice(range)?;
            let behind = if is_last {
                let end = usize::try_from(range.end()?.checked_sub(self.offset)?).ok()?;
                self.bytes.get(end..)?
            } else {
                self.slice(places.with_marker(number)?)?.get(own.len()..)?
            };
            Some((own, behind))
        };
        let ends_with = |behind: &[u8]| match behind.split_last() {
            Some((&code, fill)) => {
                code == restart(number) && !fill.is_empty() && fill.iter().all(|&b| b == 0xFF)
            }
            None => false,
        };
        let goes_on = |behind: &[u8]| match behind {
            // The picture is cut off.
            [] | [0xFF] => true,
            [0xFF, code] => *code == 0xFF || *code == marker::EOI || is_restart(*code),
            _ => false,
        };
        found().is_some_and(|(own, behind)| {
            let is_ended = if is_last {
                goes_on(behind)
            } else {
                ends_with(behind)
            };
            own == data && is_ended
        })
    }
}
