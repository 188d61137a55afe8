//! Blank JPEG frames, for tiles that the source does not have.
//!
//! A blank frame has the tables and sampling of its level, so that all frames of the instance
//! are alike, and only DC coefficients.

use crate::error::StreamError;
use crate::jpeg::blocks::Blocks;
use crate::jpeg::mcu::{FrameData, Pen, PenTables};
use crate::jpeg::{self, Colour, Header, Recipe, slot};

/// DC of 255 for sure: 127 × 8 after the level shift (T.81 A.3.1), rounded up when it is
/// quantised, since decoders clamp above white but not below.
const WHITE_DC: i16 = 1016;
/// DC of 0: -128 × 8, rounded away from zero for the same reason.
const BLACK_DC: i16 = -1024;

/// What is where the slide shows nothing: white, or black if it glows.
#[derive(Clone, Copy)]
pub(crate) struct Nothing {
    pub(crate) colour: Colour,
    pub(crate) is_emitted: bool,
}

impl Nothing {
    /// Quantised DC of a component.
    fn dc(self, position: usize, steps: &[u8]) -> i16 {
        let wanted = match (self.colour, position) {
            (Colour::Ybr, 1..) => 0,
            _ if self.is_emitted => BLACK_DC,
            _ => WHITE_DC,
        };
        let step = steps.first().copied().map_or(1, i16::from).max(1);
        let away = step.saturating_sub(1).saturating_mul(wanted.signum());
        wanted.saturating_add(away).checked_div(step).unwrap_or(0)
    }
}

/// Makes a rectangle of MCUs blank.
pub(crate) fn fill(
    blocks: &mut Blocks,
    nothing: Nothing,
    at: (usize, usize),
    size: (usize, usize),
) {
    for (position, plane) in blocks.planes.iter_mut().enumerate() {
        let blank = nothing.dc(position, &plane.steps);
        let (h, v) = plane.factors;
        let (left, top) = (at.0.saturating_mul(h), at.1.saturating_mul(v));
        for y in top..top.saturating_add(size.1.saturating_mul(v)) {
            for x in left..left.saturating_add(size.0.saturating_mul(h)) {
                if let Some(first) = plane.get_mut(x, y).and_then(|block| block.first_mut()) {
                    *first = blank;
                }
            }
        }
    }
}

/// Builds a blank frame like the ones that the recipe makes of tiles like `header`.
///
/// The result is a whole JPEG stream, SOI to EOI.
///
/// # Errors
///
/// [`StreamError`] if the tile that serves as the pattern cannot be a frame.
pub fn jpeg_frame(recipe: &Recipe, header: &Header<'_>) -> Result<Vec<u8>, StreamError> {
    let facts = &header.facts;
    facts.check_frame(recipe.columns.into(), recipe.rows.into())?;
    let tables = recipe.tables_for(header)?;
    // Optimised tables may have no code for what a blank frame needs.
    let pen_tables = PenTables::new(&facts.components, &tables)?;
    let tables = pen_tables.tables(&tables);
    let pen = Pen::new(facts, &tables)?;
    let nothing = Nothing {
        colour: recipe.colour,
        is_emitted: recipe.is_emitted,
    };
    let mut flat = [0; 3];
    for (position, (value, component)) in flat.iter_mut().zip(&facts.components).enumerate() {
        let steps = slot(&tables.quantisation, component.quantisation);
        *value = nothing.dc(position, steps.unwrap_or_default()).into();
    }
    let (across, down) = facts.mcus(u32::from(recipe.columns), u32::from(recipe.rows));
    let mut data = FrameData::default();
    data.push_flat(&pen, flat)?;
    data.push_blank(&pen, across.saturating_mul(down).saturating_sub(1));
    let mut bytes = recipe.header_with_interval(facts, &tables, 0)?;
    bytes.extend(data.finish());
    bytes.extend(jpeg::EOI);
    Ok(bytes)
}
