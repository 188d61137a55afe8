//! Frames that are tiles: a header made anew, the entropy-coded bytes, an end marker.

use std::borrow::Cow;
use std::ops::Range;

use super::{Body, Part, Pieces, Summary, len64};
use crate::codec::{Codec, TileReader};
use crate::error::Error;
use crate::limits::Limits;
use crate::source::Source;
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
    /// Segments and boxes of the tile that are left out.
    pub(crate) dropped: u32,
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

/// The tiles of a level, and what each becomes.
#[derive(Debug)]
pub(crate) struct Tiled {
    pub(crate) codec: Codec,
    pub(crate) tiles: TileIndex,
    pub(crate) frames: Vec<ShapeIndex>,
    pub(crate) shapes: Vec<Shape>,
    pub(crate) headers: Vec<Vec<u8>>,
    pub(crate) blank: Vec<u8>,
    /// What the tiles must be found to be like when they are copied, if not all were looked at.
    pub(crate) alike: Option<Shape>,
    /// Whether no tile can end before the plan has it end.
    pub(crate) are_ends_sure: bool,
}

impl Tiled {
    pub(super) fn lengths(&self) -> impl Iterator<Item = u64> + '_ {
        let tiles = self.tiles.ranges().iter();
        self.frames
            .iter()
            .zip(tiles)
            .map(|(&frame, &tile)| self.frame_len(frame, tile))
    }

    /// What some frames are; their bytes are not counted.
    pub(super) fn counts(&self, frames: Range<usize>) -> Summary {
        let mut counts = Summary::default();
        for &frame in self.frames.get(frames).unwrap_or_default() {
            match self.shape(frame) {
                None => counts.blank = counts.blank.saturating_add(1),
                Some(shape) => {
                    counts.copied = counts.copied.saturating_add(1);
                    counts.truncated = counts.truncated.saturating_add(shape.truncated.into());
                    counts.dropped_segments =
                        counts.dropped_segments.saturating_add(shape.dropped.into());
                }
            }
        }
        counts
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

    /// The pieces of one frame, `None` if there is no such one.
    pub(super) fn pieces(
        &self,
        index: usize,
        source: &Source,
        limits: &Limits,
    ) -> Result<Option<Pieces<'_>>, Error> {
        let (Some(&frame), Some(&tile)) = (self.frames.get(index), self.tiles.ranges().get(index))
        else {
            return Ok(None);
        };
        let Some(shape) = self.shape(frame) else {
            return Ok(Some(Pieces {
                header: Cow::Borrowed(&self.blank),
                body: Body::None,
                tail: &[],
            }));
        };
        let header = match shape.header {
            HeaderSource::Kept(kept) => Cow::Borrowed(self.kept(kept)),
            HeaderSource::Rebuilt(len) => Cow::Owned(self.rebuilt(tile, len, source, limits)?),
        };
        let range = shape.body(tile);
        let tail = self.codec.tail(len64(&header), range.byte_count);
        let number = u64::try_from(index).unwrap_or(u64::MAX);
        Ok(Some(Pieces {
            header,
            body: Body::Whole(Part { number, range }),
            tail,
        }))
    }

    /// The header of a tile's frame, made again; it must be as long as it was.
    fn rebuilt(
        &self,
        tile: ByteRange,
        len: u32,
        source: &Source,
        limits: &Limits,
    ) -> Result<Vec<u8>, Error> {
        let mut reader = TileReader::new(source, limits);
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
