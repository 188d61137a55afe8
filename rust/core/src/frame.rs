//! What each frame of an instance is made of, and how long it is.
//!
//! A frame is a rebuilt header, the entropy-coded bytes of a tile as they are, an end marker
//! and at most one byte of padding. A plan is a value: it can be compared, counted and tested
//! without writing anything.

use std::borrow::Cow;
use std::ops::Range;

use crate::codec::{Codec, Facts, TileReader};
use crate::encapsulate::ITEM_HEADER_LEN;
use crate::error::Error;
use crate::limits::Limits;
use crate::source::{Source, Stamp};
use crate::tiles::{ByteRange, TileIndex};

/// Where the header of a frame comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum HeaderSource {
    /// One of the headers that the plan keeps.
    Kept(u32),
    /// Built again when the frame is written; this long.
    Rebuilt(u32),
}

/// How a frame lies in its tile: the same for most tiles of a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Shape {
    /// Where the entropy-coded bytes begin, from the start of the tile.
    pub(crate) body_start: u32,
    /// Bytes of the tile behind the entropy-coded ones: its end marker, and what follows it.
    pub(crate) behind: u32,
    pub(crate) header: HeaderSource,
    /// Whether the tile has no end marker.
    pub(crate) truncated: bool,
}

impl Shape {
    /// The entropy-coded bytes of a tile.
    fn body(&self, tile: ByteRange) -> ByteRange {
        let around = u64::from(self.body_start).saturating_add(self.behind.into());
        ByteRange {
            offset: tile.offset.saturating_add(self.body_start.into()),
            byte_count: tile.byte_count.saturating_sub(around),
        }
    }
}

/// The shape of one frame, by its place in the list. 4 bytes, since a slide may have millions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShapeIndex(pub(crate) u32);

impl ShapeIndex {
    /// Of a blank frame, which has none.
    pub(crate) const BLANK: Self = Self(u32::MAX);
}

/// What all tiles of a level are like, if they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Alike {
    pub(crate) shape: Shape,
    /// Segments of each that are left out.
    pub(crate) dropped: u32,
}

/// What a level's tiles become.
#[derive(Debug)]
pub struct FramePlan {
    pub(crate) codec: Codec,
    pub(crate) facts: Facts,
    pub(crate) limits: Limits,
    pub(crate) stamps: Vec<Stamp>,
    pub(crate) tiles: TileIndex,
    pub(crate) frames: Vec<ShapeIndex>,
    pub(crate) shapes: Vec<Shape>,
    pub(crate) headers: Vec<Vec<u8>>,
    pub(crate) blank: Vec<u8>,
    pub(crate) summary: Summary,
    /// What the tiles must be found to be like when they are copied, if not all were looked at.
    pub(crate) alike: Option<Alike>,
}

/// Counts over all frames of a plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Frames that are a tile.
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

/// The pieces of one frame, ready to be written.
#[derive(Debug)]
pub struct Pieces<'a> {
    /// Everything before the entropy-coded bytes, or the whole of a blank frame.
    pub header: Cow<'a, [u8]>,
    /// The entropy-coded bytes in the source; empty for a blank frame.
    pub body: ByteRange,
    /// End marker and padding.
    pub tail: &'static [u8],
}

impl Pieces<'_> {
    /// Length of the frame as it is stored; always even.
    #[must_use]
    pub fn len(&self) -> u64 {
        len64(&self.header)
            .saturating_add(self.body.byte_count)
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
        self.frames.len()
    }

    /// What the first tile says about itself, and all others too.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Where the tiles lie.
    #[must_use]
    pub fn tiles(&self) -> &TileIndex {
        &self.tiles
    }

    /// Counts over all frames.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// What some frames are; their bytes and the segments that were left out are not counted.
    pub(crate) fn counts(&self, frames: Range<usize>) -> Summary {
        let mut counts = Summary::default();
        for &frame in self.frames.get(frames).unwrap_or_default() {
            match self.shape(frame) {
                None => counts.blank = counts.blank.saturating_add(1),
                Some(shape) => {
                    counts.copied = counts.copied.saturating_add(1);
                    counts.truncated = counts.truncated.saturating_add(shape.truncated.into());
                }
            }
        }
        counts
    }

    /// The frame that stands for missing tiles; empty if none is missing.
    #[must_use]
    pub fn blank(&self) -> &[u8] {
        &self.blank
    }

    /// Length of all fragments, item headers included.
    #[must_use]
    pub fn fragment_bytes(&self) -> u64 {
        let headers = u64::try_from(self.frames.len()).unwrap_or(u64::MAX);
        self.summary
            .frame_bytes
            .saturating_add(headers.saturating_mul(ITEM_HEADER_LEN))
    }

    /// Length of each frame as it is stored, in order.
    pub fn lengths(&self) -> impl Iterator<Item = u64> + '_ {
        let tiles = self.tiles.ranges().iter();
        self.frames
            .iter()
            .zip(tiles)
            .map(|(&frame, &tile)| self.frame_len(frame, tile))
    }

    fn frame_len(&self, frame: ShapeIndex, tile: ByteRange) -> u64 {
        let Some(shape) = self.shape(frame) else {
            return len64(&self.blank);
        };
        let header = match shape.header {
            HeaderSource::Kept(index) => len64(self.kept(index)),
            HeaderSource::Rebuilt(len) => u64::from(len),
        };
        let body = shape.body(tile).byte_count;
        header
            .saturating_add(body)
            .saturating_add(len64(self.codec.tail(header, body)))
    }

    /// How a frame lies in its tile; a blank one does not.
    fn shape(&self, frame: ShapeIndex) -> Option<&Shape> {
        usize::try_from(frame.0)
            .ok()
            .and_then(|index| self.shapes.get(index))
    }

    fn kept(&self, index: u32) -> &[u8] {
        usize::try_from(index)
            .ok()
            .and_then(|index| self.headers.get(index))
            .map_or(&[], Vec::as_slice)
    }

    /// The pieces of one frame; reads the tile's header again where the plan did not keep it.
    ///
    /// # Errors
    ///
    /// [`Error::SourceChanged`] if the tile's header is not what it was, and [`Error::Io`].
    pub fn pieces(&self, index: usize, source: &Source) -> Result<Pieces<'_>, Error> {
        let (Some(&frame), Some(&tile)) = (self.frames.get(index), self.tiles.ranges().get(index))
        else {
            return Err(Error::Verify {
                what: format!("frame {index} is not in the plan"),
            });
        };
        let Some(shape) = self.shape(frame) else {
            return Ok(Pieces {
                header: Cow::Borrowed(&self.blank),
                body: ByteRange {
                    byte_count: 0,
                    ..tile
                },
                tail: &[],
            });
        };
        let header = match shape.header {
            HeaderSource::Kept(kept) => Cow::Borrowed(self.kept(kept)),
            HeaderSource::Rebuilt(len) => Cow::Owned(self.rebuilt(tile, len, source)?),
        };
        let body = shape.body(tile);
        let tail = self.codec.tail(len64(&header), body.byte_count);
        Ok(Pieces { header, body, tail })
    }

    /// The header of a tile's frame, made again; it must be as long as it was.
    fn rebuilt(&self, tile: ByteRange, len: u32, source: &Source) -> Result<Vec<u8>, Error> {
        let mut reader = TileReader::new(source, &self.limits);
        reader.open(tile);
        let split = self
            .codec
            .split(&mut reader)
            .map_err(|_| Error::SourceChanged)?;
        if len64(&split.made.header) != u64::from(len) {
            return Err(Error::SourceChanged);
        }
        Ok(split.made.header.clone())
    }
}
