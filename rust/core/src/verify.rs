//! Reads a written instance back and compares it with the source.
//!
//! Nothing of the writer is used. The walk of [`crate::scan`] goes from item to item and compares
//! the offset tables with what is really there; here, headers of frames are walked for what must
//! not be in them and compared with the plan's, and the entropy-coded bytes of each frame with what
//! lies behind the scan header, or the main header, of its tile, or between the restart markers of
//! its picture.

mod frame;
mod joined;

use std::ops::Range;
use std::path::Path;

use crate::error::Error;
use crate::frame::{FramePlan, MadeOf, Tiled};
use crate::portion::Portion;
use crate::scan::{Header, InstanceReport, Original, Scanner, Tiles, Verdict, Walk};
use crate::source::Source;
use crate::watch::Watch;
use crate::written::{Readable, Written};

/// Reads an instance back; with a `scanner` all of it is searched on the way, as
/// [`crate::check_instance`] does.
///
/// `header` is what another parser found. With `written` the file is read while it is written,
/// behind the writer. `watch` counts bytes. The report holds what the search
/// found and what it could not look at; whatever else is wrong is an error.
///
/// # Errors
///
/// [`Error::Verify`] for any difference, [`Error::Frame`] for a frame that holds more than it
/// may, [`Error::Io`] and [`Error::Cancelled`], this also if the writer gave up.
pub fn verify_instance<'a>(
    source: &Source,
    frames: impl Into<Portion<'a>>,
    path: &Path,
    header: &Header,
    scanner: Option<&Scanner>,
    written: Option<&Written>,
    watch: &mut dyn Watch,
) -> Result<InstanceReport, Error> {
    let frames = frames.into();
    let plan = frames.plan();
    plan.check_source(source)?;
    if let MadeOf::Stitched(stitched) = &plan.made_of {
        joined::check_shared(source, stitched, &plan.limits)?;
    }
    let file = Readable::open(path, written)?;
    let is_read_already = file.is_behind();
    let report = Walk {
        file: &file,
        scanner,
        limits: &plan.limits,
        header,
        original: Some(&Planned {
            source,
            plan,
            first: frames.frames().start,
            is_read_already,
        }),
    }
    .run(watch)?;
    if let Some(problem) = report.problems.first() {
        return Err(differs(problem.clone()));
    }
    let frames = frames.frame_count();
    if usize::try_from(report.frame_count).ok() != Some(frames) {
        let there = report.frame_count;
        return Err(differs(format!("{there} frames in the place of {frames}")));
    }
    Ok(report)
}

fn differs(what: String) -> Error {
    Error::Verify { what }
}

/// What was planned.
struct Planned<'a> {
    source: &'a Source,
    plan: &'a FramePlan,
    /// Which frame of the plan is the first of the file.
    first: usize,
    /// Whether the writer has just read the tiles.
    is_read_already: bool,
}

impl Planned<'_> {
    /// The number in the plan of a frame of the file.
    fn of_plan(&self, index: usize) -> usize {
        index.saturating_add(self.first)
    }

    fn compare_tile(
        &self,
        tiled: &Tiled,
        index: usize,
        frame: &[u8],
        tile: &mut Vec<u8>,
    ) -> Result<Verdict, Error> {
        let Some(&range) = tiled.tiles.ranges().get(index) else {
            return Ok(Verdict::Unlike("it was not planned"));
        };
        if range.byte_count == 0 {
            return Ok(if frame == tiled.blank {
                Verdict::Blank
            } else {
                Verdict::Unlike("it is not the blank frame")
            });
        }
        tile.resize(usize::try_from(range.byte_count).unwrap_or(usize::MAX), 0);
        self.source.read_exact_at(tile, range.offset)?;
        let number = u64::try_from(index).unwrap_or(u64::MAX);
        if !frame::holds(number, frame, tile, self.plan.facts())? {
            return Ok(Verdict::Unlike(
                "its entropy-coded bytes are not those of its tile",
            ));
        }
        let pieces = self.plan.pieces(index, self.source)?;
        Ok(if frame.starts_with(&pieces.header) {
            Verdict::Equal
        } else {
            Verdict::Unlike("its header is not the planned one")
        })
    }
}

impl Original for Planned<'_> {
    fn has_offset_table(&self) -> bool {
        true
    }

    fn expect(&self, frames: Range<usize>) {
        if self.is_read_already {
            return;
        }
        let frames = self.of_plan(frames.start)..self.of_plan(frames.end);
        match &self.plan.made_of {
            MadeOf::Tiled(tiled) => {
                let (source, index) = (self.source, &tiled.tiles);
                Tiles { source, index }.expect(frames);
            }
            MadeOf::Stitched(_) => {
                for frame in frames {
                    self.plan.expect(frame, self.source);
                }
            }
        }
    }

    fn compare(
        &self,
        index: usize,
        frame: &[u8],
        _coded: &[Range<usize>],
        room: &mut Vec<u8>,
    ) -> Result<Verdict, Error> {
        let index = self.of_plan(index);
        match &self.plan.made_of {
            MadeOf::Tiled(tiled) => self.compare_tile(tiled, index, frame, room),
            MadeOf::Stitched(stitched) => {
                joined::compare(self.source, stitched, index, frame, room)
            }
        }
    }
}
