//! Frames that are joined of a picture's restart intervals, with restart markers of their own.
//!
//! An interval begins with a whole byte and needs nothing of the one before (T.81 E.1.4), so that
//! its bytes may stand anywhere, as long as the markers between them count on.

use std::borrow::Cow;
use std::iter;

use super::{Body, Part, Piece, Pieces, len64};
use crate::codec::end_of_jpeg;
use crate::tiles::ByteRange;

/// `RSTn` by its number.
const RESTARTS: [&[u8; 2]; 8] = [
    b"\xFF\xD0",
    b"\xFF\xD1",
    b"\xFF\xD2",
    b"\xFF\xD3",
    b"\xFF\xD4",
    b"\xFF\xD5",
    b"\xFF\xD6",
    b"\xFF\xD7",
];
/// Length of a marker.
const MARKER: u64 = 2;

/// The marker behind an interval, by the interval's number (T.81 E.1.4).
pub(crate) fn restart_behind(interval: u64) -> &'static [u8; 2] {
    let number = usize::try_from(interval & 7).unwrap_or(0);
    RESTARTS.get(number).copied().unwrap_or(b"\xFF\xD0")
}

/// Intervals of a picture and of its frames, across and in rows of MCUs down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    pub(crate) across: u64,
    pub(crate) down: u64,
    pub(crate) frame_across: u64,
    pub(crate) frame_down: u64,
}

impl Grid {
    fn frames_across(&self) -> u64 {
        self.across.div_ceil(self.frame_across.max(1))
    }

    /// How many frames the picture becomes.
    pub(crate) fn frames(&self) -> u64 {
        let down = self.down.div_ceil(self.frame_down.max(1));
        self.frames_across().saturating_mul(down)
    }

    /// How many intervals it has.
    pub(crate) fn intervals(&self) -> u64 {
        self.across.saturating_mul(self.down)
    }

    /// Whether the picture has all intervals of its frames.
    pub(crate) fn is_full(&self) -> bool {
        let is_multiple = |all: u64, each: u64| each > 0 && all.is_multiple_of(each);
        is_multiple(self.across, self.frame_across) && is_multiple(self.down, self.frame_down)
    }

    fn intervals_in_frame(&self) -> u64 {
        self.frame_across.saturating_mul(self.frame_down)
    }

    /// Column and row of a frame's first interval.
    fn corner(&self, frame: u64) -> (u64, u64) {
        let across = self.frames_across();
        let column = frame.checked_rem(across).unwrap_or(0);
        let row = frame.checked_div(across).unwrap_or(0);
        (
            column.saturating_mul(self.frame_across),
            row.saturating_mul(self.frame_down),
        )
    }

    /// Numbers of a frame's intervals in their order, `None` for those that the picture has not.
    fn of_frame(self, frame: u64) -> impl Iterator<Item = Option<u64>> {
        let (left, top) = self.corner(frame);
        (top..top.saturating_add(self.frame_down)).flat_map(move |row| {
            (left..left.saturating_add(self.frame_across)).map(move |column| {
                let is_there = row < self.down && column < self.across;
                is_there.then(|| row.saturating_mul(self.across).saturating_add(column))
            })
        })
    }

    /// Rows of intervals of a frame that the picture has: the first of each, and how many there are.
    fn rows_of_frame(self, frame: u64) -> (impl Iterator<Item = u64>, u64) {
        let (left, top) = self.corner(frame);
        let end = top.saturating_add(self.frame_down).min(self.down);
        let count = self.across.saturating_sub(left).min(self.frame_across);
        let firsts =
            (top..end).map(move |row| row.saturating_mul(self.across).saturating_add(left));
        (firsts, count)
    }
}

/// Where the intervals of a picture lie: 8 bytes for each, since a slide may have millions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places {
    /// Where each begins, from the start of the file.
    pub(crate) starts: Vec<u64>,
    /// Where each but the last ends, if any ends before its marker does begin; else none.
    pub(crate) ends: Vec<u64>,
    /// Where the last one ends.
    pub(crate) end: u64,
}

impl Places {
    /// The bytes of an interval, without the marker behind it.
    pub(crate) fn get(&self, interval: u64) -> Option<ByteRange> {
        let index = usize::try_from(interval).ok()?;
        let offset = *self.starts.get(index)?;
        let next = self.starts.get(index.saturating_add(1));
        let end = match (self.ends.get(index), next) {
            (Some(end), Some(_)) => *end,
            (None, Some(next)) => next.saturating_sub(MARKER),
            (_, None) => self.end,
        };
        let byte_count = end.saturating_sub(offset);
        Some(ByteRange { offset, byte_count })
    }

    /// The same with all that stands before the next one.
    pub(crate) fn with_marker(&self, interval: u64) -> Option<ByteRange> {
        let ByteRange { offset, .. } = self.get(interval)?;
        let next = usize::try_from(interval.saturating_add(1)).ok();
        let end = next.and_then(|next| self.starts.get(next)).copied();
        let byte_count = end.unwrap_or(self.end).saturating_sub(offset);
        Some(ByteRange { offset, byte_count })
    }
}

/// The restart intervals of one picture, and what they become.
#[derive(Debug)]
pub(crate) struct Intervals {
    /// Where the picture lies.
    pub(crate) picture: ByteRange,
    pub(crate) grid: Grid,
    pub(crate) places: Places,
    /// Header of every frame.
    pub(crate) header: Vec<u8>,
    /// An interval for what a frame has and the picture has not.
    pub(crate) blank: Vec<u8>,
    /// Number of the first interval among those of all pictures.
    pub(crate) first: u64,
}

impl Intervals {
    /// How many bytes a frame has between its header and its end marker.
    fn body_len(&self, frame: u64) -> u64 {
        let all = self.grid.intervals_in_frame();
        let (firsts, count) = self.grid.rows_of_frame(frame);
        let (mut present, mut bytes) = (0_u64, 0_u64);
        for first in firsts {
            present = present.saturating_add(count);
            for interval in first..first.saturating_add(count) {
                let range = self.places.get(interval);
                bytes = bytes.saturating_add(range.map_or(0, |range| range.byte_count));
            }
        }
        let blank = all.saturating_sub(present);
        bytes
            .saturating_add(blank.saturating_mul(len64(&self.blank)))
            .saturating_add(all.saturating_sub(1).saturating_mul(MARKER))
    }

    /// How long each frame is as it is stored.
    pub(crate) fn lengths(&self) -> impl Iterator<Item = u64> + '_ {
        (0..self.grid.frames()).map(|frame| self.frame_len(frame))
    }

    fn frame_len(&self, frame: u64) -> u64 {
        let len = len64(&self.header).saturating_add(self.body_len(frame));
        len.saturating_add(len64(end_of_jpeg(len)))
    }

    fn pieces(&self, frame: u64) -> Pieces<'_> {
        let joined = Joined {
            intervals: self,
            frame,
        };
        let len = len64(&self.header).saturating_add(self.body_len(frame));
        Pieces {
            header: Cow::Borrowed(&self.header),
            body: Body::Joined(joined),
            tail: end_of_jpeg(len),
        }
    }

    /// What lies between the first and the last interval of the row of frames that a frame is in.
    fn row_of_frames(&self, frame: u64) -> Option<ByteRange> {
        let (_, top) = self.grid.corner(frame);
        let end = top.saturating_add(self.grid.frame_down).min(self.grid.down);
        let of_row = |row: u64| row.saturating_mul(self.grid.across);
        let begin = self.places.get(of_row(top))?;
        let last = self.places.get(of_row(end).checked_sub(1)?)?;
        let byte_count = last.end()?.saturating_sub(begin.offset);
        Some(ByteRange {
            byte_count,
            ..begin
        })
    }

    /// What is wanted soon where a frame is wanted now: with the first of a row, the next row.
    fn expected_at(&self, frame: u64) -> impl Iterator<Item = ByteRange> {
        let across = self.grid.frames_across();
        let begins_row = frame.checked_rem(across) == Some(0);
        let own = (frame == 0).then(|| self.row_of_frames(frame));
        let next = begins_row.then(|| self.row_of_frames(frame.saturating_add(across)));
        own.into_iter().chain(next).flatten()
    }
}

/// What a frame is joined of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Joined<'a> {
    intervals: &'a Intervals,
    frame: u64,
}

impl<'a> Joined<'a> {
    /// Its intervals in their order, blank ones too, and the markers between them.
    pub(super) fn pieces(self) -> impl Iterator<Item = Piece<'a>> {
        let Self { intervals, frame } = self;
        let numbers = intervals.grid.of_frame(frame);
        (0_u64..).zip(numbers).flat_map(move |(at, interval)| {
            let before = at.checked_sub(1).map(restart_behind);
            let marker = before.map(|marker| Piece::Own(&marker[..]));
            let range = interval.and_then(|interval| intervals.places.get(interval));
            let piece = match (interval, range) {
                (Some(interval), Some(range)) => Piece::Source(Part {
                    number: intervals.first.saturating_add(interval),
                    range,
                }),
                _ => Piece::Own(&intervals.blank),
            };
            marker.into_iter().chain(iter::once(piece))
        })
    }

    pub(super) fn len(self) -> u64 {
        self.intervals.body_len(self.frame)
    }
}

/// The pictures of a level, one for each focal plane, whose intervals are joined.
#[derive(Debug)]
pub(crate) struct Stitched {
    pub(crate) pictures: Vec<Intervals>,
    /// Whether it was only told where the intervals lie: then it is found out when they are copied.
    pub(crate) are_told: bool,
}

impl Stitched {
    pub(super) fn frames(&self) -> u64 {
        let frames = self.pictures.iter().map(|picture| picture.grid.frames());
        frames.fold(0, u64::saturating_add)
    }

    /// The picture that a frame is of, and the frame's number among those of the picture.
    pub(crate) fn of_frame(&self, frame: u64) -> Option<(&Intervals, u64)> {
        let mut left = frame;
        self.pictures.iter().find_map(|picture| {
            let frames = picture.grid.frames();
            let found = (left < frames).then_some((picture, left));
            left = left.saturating_sub(frames);
            found
        })
    }

    /// The picture that an interval is of, and the interval's number in it.
    pub(crate) fn of_interval(&self, number: u64) -> Option<(&Intervals, u64)> {
        let next = self.pictures.partition_point(|one| one.first <= number);
        let picture = self.pictures.get(next.checked_sub(1)?)?;
        Some((picture, number.checked_sub(picture.first)?))
    }

    pub(super) fn lengths(&self) -> impl Iterator<Item = u64> + '_ {
        self.pictures.iter().flat_map(Intervals::lengths)
    }

    pub(super) fn pieces(&self, frame: u64) -> Option<Pieces<'_>> {
        let (picture, frame) = self.of_frame(frame)?;
        Some(picture.pieces(frame))
    }

    /// What is wanted soon where a frame is wanted now.
    pub(super) fn expected_at(&self, frame: u64) -> impl Iterator<Item = ByteRange> {
        let picture = self.of_frame(frame).into_iter();
        picture.flat_map(|(picture, frame)| picture.expected_at(frame))
    }
}
