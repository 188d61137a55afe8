//! Joins restart intervals into frames by copying their bytes (route `stitch`).

use super::rows::{Rows, Walk};
use crate::error::StreamError;
use crate::jpeg::marker;
use crate::jpeg::mcu::{FrameData, Pen};

/// An interval without a picture, for what a frame has and the picture has not.
pub(super) fn blank_interval(rows: &Rows, pen: &Pen) -> Vec<u8> {
    let mut data = FrameData::default();
    data.push_blank(pen, rows.mcus_in_interval());
    data.finish()
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
