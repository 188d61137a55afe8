//! Checks on the way what a plan took for granted: that of a level each byte is read once.

use super::alike::AlikeCheck;
use super::stitch::ToldCheck;
use crate::error::Error;
use crate::frame::{FramePlan, MadeOf, Part};
use crate::tiles::ByteRange;

/// Compares what is copied with what it was planned to be.
pub(crate) trait Check {
    /// What must be at hand to check a part.
    fn scope(&self, part: Part) -> ByteRange;

    /// Checks parts by their numbers; the scopes of all lie in bytes that were read from `offset`.
    fn check(&mut self, numbers: &[u64], offset: u64, bytes: &[u8]) -> Result<(), Error>;
}

/// What checks the parts of a plan; `None` if the plan has looked at all of them.
pub(crate) fn checker(plan: &FramePlan) -> Option<Box<dyn Check + '_>> {
    match &plan.made_of {
        MadeOf::Tiled(tiled) => AlikeCheck::new(plan, tiled).map(|check| Box::new(check) as _),
        MadeOf::Stitched(stitched) => ToldCheck::new(stitched).map(|check| Box::new(check) as _),
    }
}
