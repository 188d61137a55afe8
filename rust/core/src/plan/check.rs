//! Checks on the way what a plan took for granted: that of a level each byte is read once.

use super::alike::AlikeCheck;
use super::stitch::ToldCheck;
use crate::codec::Codec;
use crate::error::Error;
use crate::frame::{FramePlan, MadeOf, Part};
use crate::jpeg::MarkerSearch;
use crate::tiles::ByteRange;

/// Compares what is copied with what it was planned to be.
pub(crate) trait Check {
    /// What must be at hand to check a part.
    fn scope(&self, part: Part) -> ByteRange;

    /// Checks parts; the scopes of all lie in bytes that were read from `offset`.
    fn check(&mut self, parts: &[Part], offset: u64, bytes: &[u8]) -> Result<(), Error>;
}

/// What checks the parts of a plan; `None` if the plan has looked at all of their bytes.
pub(crate) fn checker(plan: &FramePlan) -> Option<Box<dyn Check + '_>> {
    match &plan.made_of {
        MadeOf::Tiled(tiled) => match AlikeCheck::new(plan, tiled) {
            Some(check) => Some(Box::new(check)),
            None if tiled.are_ends_sure => None,
            None => Some(Box::<EndCheck>::default()),
        },
        MadeOf::Stitched(stitched) => ToldCheck::new(stitched).map(|check| Box::new(check) as _),
    }
}

/// Whether the ends of a codec's tiles are known without a look at all of their bytes.
///
/// An EOI at the end of a JPEG tile need not be its first one; what tile-parts and Deflate streams
/// say of their lengths was followed.
pub(super) fn are_ends_sure(codec: &Codec) -> bool {
    !matches!(codec, Codec::Jpeg(_))
}

/// Looks whether tiles end where they do as a rule, or earlier: what is behind must not go out.
#[derive(Debug, Default)]
pub(super) struct EndCheck {
    search: MarkerSearch,
    /// Where the last part ended: a long tile has several, one behind the other.
    at: Option<u64>,
}

impl EndCheck {
    /// Looks at entropy-coded bytes of a tile that lie at an offset.
    pub(super) fn body(&mut self, tile: u64, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        if self.at != Some(offset) {
            self.search = MarkerSearch::default();
        }
        self.at = offset.checked_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if self.search.finds(bytes) {
            return Err(Error::Unlike { tile });
        }
        Ok(())
    }
}

impl Check for EndCheck {
    fn scope(&self, part: Part) -> ByteRange {
        part.range
    }

    fn check(&mut self, parts: &[Part], offset: u64, bytes: &[u8]) -> Result<(), Error> {
        for Part { number, range } in parts {
            let body = range.slice(offset, bytes).ok_or(Error::SourceChanged)?;
            self.body(*number, range.offset, body)?;
        }
        Ok(())
    }
}
