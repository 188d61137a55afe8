//! What each frame of an instance is made of, and how long it is.
//!
//! A frame is a header, a body and an end marker, which may be followed by a byte of padding. The
//! header is made anew; the body is entropy-coded bytes as they are: those of a tile in one piece,
//! or restart intervals of a picture with markers of ours between them. A plan is a value: it can
//! be compared, counted and tested without writing anything.

mod stitched;
mod tiled;

use std::borrow::Cow;
use std::ops::Range;

pub(crate) use stitched::{Grid, Intervals, Places, Stitched, restart_behind};
pub(crate) use tiled::{HeaderSource, Shape, ShapeIndex, Tiled};

use crate::codec::Facts;
use crate::encapsulate::ITEM_HEADER_LEN;
use crate::error::Error;
use crate::limits::Limits;
use crate::source::{Source, Stamp};
use crate::tiles::ByteRange;

/// What the frames of a level are made of.
#[derive(Debug)]
pub(crate) enum MadeOf {
    Tiled(Tiled),
    Stitched(Stitched),
}

/// What a level becomes.
#[derive(Debug)]
pub struct FramePlan {
    pub(crate) facts: Facts,
    pub(crate) limits: Limits,
    pub(crate) stamps: Vec<Stamp>,
    pub(crate) summary: Summary,
    pub(crate) made_of: MadeOf,
}

/// Counts over all frames of a plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Frames that hold bytes of the source.
    pub copied: u64,
    /// Frames for tiles that the source does not have.
    pub blank: u64,
    /// Copied frames whose tile had no end marker.
    pub truncated: u64,
    /// Segments and boxes that may hold text and were left out.
    pub dropped_segments: u64,
    /// Bytes of the frames as they are stored, without item headers.
    pub frame_bytes: u64,
}

impl Summary {
    pub(crate) fn add(&mut self, other: &Self) {
        self.copied = self.copied.saturating_add(other.copied);
        self.blank = self.blank.saturating_add(other.blank);
        self.truncated = self.truncated.saturating_add(other.truncated);
        self.dropped_segments = self.dropped_segments.saturating_add(other.dropped_segments);
        self.frame_bytes = self.frame_bytes.saturating_add(other.frame_bytes);
    }
}

/// Bytes of the source in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Number of the tile, or of the restart interval, that has them.
    pub number: u64,
    /// Where they are.
    pub range: ByteRange,
}

/// A piece of a frame's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Bytes of our own.
    Own(&'a [u8]),
    /// Bytes of the source.
    Source(Part),
}

/// What is between header and end marker of a frame.
#[derive(Debug, Clone, Copy)]
enum Body<'a> {
    /// Nothing: a blank frame is all header.
    None,
    /// Bytes of a tile.
    Whole(Part),
    /// Restart intervals.
    Joined(stitched::Joined<'a>),
}

/// The pieces of one frame, ready to be written.
#[derive(Debug)]
pub struct Pieces<'a> {
    /// Everything before the entropy-coded bytes, or the whole of a blank frame.
    pub header: Cow<'a, [u8]>,
    body: Body<'a>,
    /// End marker and padding.
    pub tail: &'static [u8],
}

impl<'a> Pieces<'a> {
    /// The entropy-coded bytes, in their order.
    pub fn body(&self) -> impl Iterator<Item = Piece<'a>> + use<'a> {
        let (whole, joined) = match self.body {
            Body::None => (None, None),
            Body::Whole(part) => (Some(Piece::Source(part)), None),
            Body::Joined(joined) => (None, Some(joined.pieces())),
        };
        whole.into_iter().chain(joined.into_iter().flatten())
    }

    /// Length of the frame as it is stored; always even.
    #[must_use]
    pub fn len(&self) -> u64 {
        let body = match self.body {
            Body::None => 0,
            Body::Whole(part) => part.range.byte_count,
            Body::Joined(joined) => joined.len(),
        };
        len64(&self.header)
            .saturating_add(body)
            .saturating_add(len64(self.tail))
    }

    /// Never true: a frame has at least a header.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

pub(crate) fn len64(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

impl FramePlan {
    /// Checks that `source` is what was planned, and in the same state.
    pub(crate) fn check_source(&self, source: &Source) -> Result<(), Error> {
        if source.stamps() == self.stamps {
            Ok(())
        } else {
            Err(Error::SourceChanged)
        }
    }

    /// Number of frames.
    #[must_use]
    pub fn frame_count(&self) -> usize {
        match &self.made_of {
            MadeOf::Tiled(tiled) => tiled.frames.len(),
            MadeOf::Stitched(stitched) => usize::try_from(stitched.frames()).unwrap_or(usize::MAX),
        }
    }

    /// What the first frame says about itself, and all others too.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Counts over all frames.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// What some frames are; their bytes are not counted, nor what was left out of the header of a
    /// picture that they are stitched of: it is no frame's own.
    pub(crate) fn counts(&self, frames: Range<usize>) -> Summary {
        match &self.made_of {
            MadeOf::Tiled(tiled) => tiled.counts(frames),
            MadeOf::Stitched(_) => Summary {
                copied: u64::try_from(frames.len()).unwrap_or(u64::MAX),
                ..Summary::default()
            },
        }
    }

    /// The frame that stands for missing tiles; empty if none is missing.
    #[must_use]
    pub fn blank(&self) -> &[u8] {
        match &self.made_of {
            MadeOf::Tiled(tiled) => &tiled.blank,
            MadeOf::Stitched(_) => &[],
        }
    }

    /// Length of all fragments, item headers included.
    #[must_use]
    pub fn fragment_bytes(&self) -> u64 {
        let headers = u64::try_from(self.frame_count()).unwrap_or(u64::MAX);
        self.summary
            .frame_bytes
            .saturating_add(headers.saturating_mul(ITEM_HEADER_LEN))
    }

    /// Length of each frame as it is stored, in order.
    pub fn lengths(&self) -> impl Iterator<Item = u64> + '_ {
        let (tiled, stitched) = match &self.made_of {
            MadeOf::Tiled(tiled) => (Some(tiled.lengths()), None),
            MadeOf::Stitched(stitched) => (None, Some(stitched.lengths())),
        };
        let tiled = tiled.into_iter().flatten();
        tiled.chain(stitched.into_iter().flatten())
    }

    /// The pieces of one frame; reads the tile's header again where the plan did not keep it.
    ///
    /// # Errors
    ///
    /// [`Error::SourceChanged`] if the tile's header is not what it was, and [`Error::Io`].
    pub fn pieces(&self, index: usize, source: &Source) -> Result<Pieces<'_>, Error> {
        let pieces = match &self.made_of {
            MadeOf::Tiled(tiled) => tiled.pieces(index, source, &self.limits)?,
            MadeOf::Stitched(stitched) => stitched.pieces(u64::try_from(index).unwrap_or(u64::MAX)),
        };
        pieces.ok_or_else(|| Error::Verify {
            what: format!("frame {index} is not in the plan"),
        })
    }

    /// Whether a frame has many parts.
    pub(crate) fn is_joined(&self) -> bool {
        matches!(self.made_of, MadeOf::Stitched(_))
    }

    /// Asks the system to read what frames behind one are made of, where it cannot guess that:
    /// a frame takes its restart intervals from rows that lie apart.
    pub(crate) fn expect(&self, index: usize, source: &Source) {
        if let MadeOf::Stitched(stitched) = &self.made_of {
            let frame = u64::try_from(index).unwrap_or(u64::MAX);
            for range in stitched.expected_at(frame) {
                source.expect_all(range);
            }
        }
    }
}
