//! Joins restart intervals into frames by copying their bytes, where they must go into a spool.

use super::rows::{Rows, Walk};
use crate::error::StreamError;
use crate::frame::Grid;
use crate::jpeg::mcu::{FrameData, Pen, PenTables};
use crate::jpeg::{Header, Recipe, marker};

/// The header of a frame, and an interval without a picture if there is need for it.
pub(crate) fn header_and_blank(
    grid: &Grid,
    header: &Header<'_>,
    recipe: &Recipe,
) -> Result<(Vec<u8>, Vec<u8>), StreamError> {
    let (facts, tables) = (&header.facts, recipe.tables_for(header)?);
    let own = recipe.header_with(header, &tables)?;
    if grid.is_full() {
        return Ok((own, Vec::new()));
    }
    let blank = |pen: &Pen| {
        let mut data = FrameData::default();
        data.push_blank(pen, facts.restart_interval.into());
        data.finish()
    };
    if let Ok(pen) = Pen::new(facts, &tables) {
        return Ok((own, blank(&pen)));
    }
    // Codes that the tables lack are added behind those that they have.
    let more = PenTables::new(&facts.components, &tables)?;
    let tables = more.tables(&tables);
    let pen = Pen::new(facts, &tables)?;
    Ok((recipe.header_with(header, &tables)?, blank(&pen)))
}

/// Stitches the next row of frames; returns their entropy-coded data.
pub(super) fn row(
    rows: &Rows,
    walk: &mut Walk<'_>,
    blank: &[u8],
) -> Result<Vec<Vec<u8>>, StreamError> {
    let (across, down) = rows.intervals();
    let mut frames = vec![Stitched::default(); rows.columns()];
    for _ in 0..walk.begin_frame_row() {
        for (column, frame) in frames.iter_mut().enumerate() {
            let present = rows.present_intervals(column);
            for _ in 0..present {
                frame.push(walk.next_data()?);
            }
            for _ in present..across {
                frame.push(blank);
            }
        }
    }
    for frame in &mut frames {
        while frame.intervals < across.saturating_mul(down) {
            frame.push(blank);
        }
    }
    Ok(frames.into_iter().map(|frame| frame.data).collect())
}

/// The entropy-coded data of one frame, as it grows.
#[derive(Debug, Clone, Default)]
struct Stitched {
    data: Vec<u8>,
    intervals: u32,
}

impl Stitched {
    fn push(&mut self, data: &[u8]) {
        if let Some(before) = self.intervals.checked_sub(1) {
            let number = u8::try_from(before & 7).unwrap_or(0);
            self.data
                .extend([0xFF, marker::RST0.saturating_add(number)]);
        }
        self.data.extend_from_slice(data);
        self.intervals = self.intervals.saturating_add(1);
    }
}
