//! Blank JPEG frames, for tiles that the source does not have.
//!
//! A blank frame has the tables and sampling of its level, so that all frames of the instance
//! are alike, and only DC coefficients.

use crate::error::StreamError;
use crate::jpeg::mcu::{FrameData, Pen, PenTables};
use crate::jpeg::{self, Colour, Header, Recipe, slot};

/// Quantised value that decodes to 255 for sure: 127 × 8 after the level shift (T.81 A.3.1),
/// rounded up, since decoders clamp above white but not below.
const WHITE_DC: u16 = 1016;

/// Builds a white frame like the ones that the recipe makes of tiles like `header`.
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
    let mut white = [0; 3];
    for (position, (value, component)) in white.iter_mut().zip(&facts.components).enumerate() {
        if recipe.colour != Colour::Ybr || position == 0 {
            let steps = slot(&tables.quantisation, component.quantisation);
            let step = steps.and_then(|steps| steps.first().copied());
            let step = step.map_or(1, u16::from);
            *value = WHITE_DC.div_ceil(step.max(1)).into();
        }
    }
    let (across, down) = facts.mcus(u32::from(recipe.columns), u32::from(recipe.rows));
    let mut data = FrameData::default();
    data.push_flat(&pen, white)?;
    data.push_blank(&pen, across.saturating_mul(down).saturating_sub(1));
    let mut bytes = recipe.header_with_interval(header, &tables, 0)?;
    bytes.extend(data.finish());
    bytes.extend(jpeg::EOI);
    Ok(bytes)
}
