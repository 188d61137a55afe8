//! Proves that frames hold the coefficients of tiles.

use std::sync::atomic::{AtomicU64, Ordering};

use super::mosaic::{Mosaic, Weaver, Woven};
use crate::error::{Error, StreamError};
use crate::groups::for_each_group;
use crate::jpeg::coefficients::Coefficients;
use crate::jpeg::{Recipe, malformed};
use crate::limits::Limits;
use crate::retile::Frame;
use crate::source::Source;
use crate::tiles::ByteRange;
use crate::watch::Watch;

/// Decodes tiles and frames and compares their coefficients.
///
/// Frames are decoded symbol by symbol, by what has no part in writing them. `frames` are the
/// ranges in `spool` that [`super::rewrite`] returned for the same arguments, or those of the
/// frames of an instance. `watch` counts frames. Returns how many were compared: frames that no
/// tile has are blank, and not compared.
///
/// # Errors
///
/// [`Error::Verify`] with the first frame that differs; else as [`super::rewrite`].
pub fn prove_rewritten(
    source: &Source,
    mosaic: &Mosaic,
    recipe: &Recipe,
    (spool, frames): (&Source, &[ByteRange]),
    limits: &Limits,
    watch: &mut dyn Watch,
) -> Result<u64, Error> {
    let compared = AtomicU64::new(0);
    let weaver = Weaver::new(source, mosaic, recipe, limits)?;
    let across = u64::from(weaver.frames_across());
    for_each_group(weaver.frames_down(), watch, |row, done| {
        for column in 0..weaver.frames_across() {
            let number = u64::from(row)
                .saturating_mul(across)
                .saturating_add(column.into());
            let differs = |what: &str| Error::Verify {
                what: format!("frame {number}: {what}"),
            };
            let range = usize::try_from(number).ok().and_then(|at| frames.get(at));
            let range = range.ok_or_else(|| differs("it is missing"))?;
            // A frame that no tile has is the blank one, which is checked elsewhere.
            if range.byte_count > 0 {
                let mut frame = Frame::read(spool, *range, limits)?;
                if let Some(woven) = weaver.frame((column, row), frame.colour())? {
                    compare(&woven, &mut frame)
                        .map_err(|_| differs("its coefficients are not those of its tiles"))?;
                    compared.fetch_add(1, Ordering::Relaxed);
                }
            }
            done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    })?;
    Ok(compared.into_inner())
}

fn compare(woven: &Woven, frame: &mut Frame) -> Result<(), StreamError> {
    let differs = || malformed("another frame", 0);
    let steps = woven.blocks.planes.iter().map(|plane| &plane.steps);
    if !steps.eq(frame.quantisation()) {
        return Err(differs());
    }
    for y in 0..woven.blocks.mcus.1 {
        for x in 0..woven.blocks.mcus.0 {
            frame.begin_mcu()?;
            let is_present = x < woven.present.0 && y < woven.present.1;
            let mut number = 0_usize;
            for plane in &woven.blocks.planes {
                for (column, row) in plane.places(x, y) {
                    let theirs = plane.get(column, row).ok_or_else(differs)?;
                    let own: Coefficients = frame.block(number)?;
                    let compared = usize::from(!is_present);
                    let theirs = theirs.iter().map(|&c| i32::from(c)).skip(compared);
                    if !theirs.eq(own.into_iter().skip(compared)) {
                        return Err(differs());
                    }
                    number = number.saturating_add(1);
                }
            }
        }
    }
    frame.end()
}
