//! What the frames of an instance were made of.

use std::ops::Range;

use super::to_usize;
use crate::error::Error;
use crate::source::Source;
use crate::tiles::TileIndex;

/// What came of comparing a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It holds the entropy-coded bytes that it was made of.
    Equal,
    /// It stands for a tile that is not there, and is what it must be.
    Blank,
    /// There is nothing to compare it with.
    NotCompared,
    /// It is something else.
    Unlike(&'static str),
}

/// Knows what each frame must be.
pub(crate) trait Original: Sync {
    /// Whether the instance must have an offset table.
    fn has_offset_table(&self) -> bool;

    /// Says that frames are compared next, so that they can be read in one go.
    fn expect(&self, frames: Range<usize>);

    /// Compares a frame whose entropy-coded ranges are known; `tile` is room to read into.
    fn compare(
        &self,
        index: usize,
        frame: &[u8],
        coded: &[Range<usize>],
        tile: &mut Vec<u8>,
    ) -> Result<Verdict, Error>;
}

/// The tiles that frames are compared with.
#[derive(Debug, Clone, Copy)]
pub struct Tiles<'a> {
    /// The slide.
    pub source: &'a Source,
    /// Its tiles, one for each frame.
    pub index: &'a TileIndex,
}

impl Original for Tiles<'_> {
    fn has_offset_table(&self) -> bool {
        false
    }

    fn expect(&self, frames: Range<usize>) {
        let ranges = self.index.ranges();
        let end = frames.end.min(ranges.len());
        self.source
            .expect(ranges.get(frames.start..end).unwrap_or_default());
    }

    /// Looks for the entropy-coded ranges in the tile, in their order.
    fn compare(
        &self,
        index: usize,
        frame: &[u8],
        coded: &[Range<usize>],
        tile: &mut Vec<u8>,
    ) -> Result<Verdict, Error> {
        let Some(range) = self.index.ranges().get(index) else {
            return Ok(Verdict::Unlike("the slide has no such tile"));
        };
        // A missing tile has a frame that the writer made; a broken frame is told already.
        if range.byte_count == 0 || coded.is_empty() {
            return Ok(Verdict::NotCompared);
        }
        tile.resize(to_usize(range.byte_count), 0);
        self.source.read_exact_at(tile, range.offset)?;
        let mut rest = tile.as_slice();
        for range in coded {
            let body = frame.get(range.clone()).unwrap_or_default();
            let Some(at) = memchr::memmem::find(rest, body) else {
                return Ok(Verdict::Unlike(
                    "its entropy-coded bytes are not its tile's",
                ));
            };
            rest = rest
                .get(at.saturating_add(body.len())..)
                .unwrap_or_default();
        }
        Ok(Verdict::Equal)
    }
}
