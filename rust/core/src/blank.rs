//! Blank JPEG frames, for tiles that the source does not have.
//!
//! A blank frame has the tables and sampling of its level, so that all frames of the instance
//! are alike, and only DC coefficients.

use crate::error::StreamError;
use crate::jpeg::{self, Colour, Header, Recipe, Tables, slot};

/// Quantised value that decodes to 255 for sure: 127 × 8 after the level shift (T.81 A.3.1),
/// rounded up, since decoders clamp above white but not below.
const WHITE_DC: u16 = 1016;

/// A canonical Huffman table (T.81 Annex C).
#[derive(Debug, Clone, Default)]
struct Huffman {
    codes: Vec<(u8, u16, u8)>,
}

impl Huffman {
    /// Takes the counts and symbols of a DHT segment, which are those of a prefix code.
    fn new(table: &[u8]) -> Self {
        let (counts, symbols) = table.split_at_checked(16).unwrap_or_default();
        let mut codes = Vec::new();
        let (mut code, mut symbols) = (0_u16, symbols.iter());
        for (len, &count) in (1_u8..=16).zip(counts) {
            for symbol in symbols.by_ref().take(usize::from(count)) {
                codes.push((*symbol, code, len));
                code = code.wrapping_add(1);
            }
            code <<= 1;
        }
        Self { codes }
    }

    fn code(&self, symbol: u8) -> Option<(u16, u8)> {
        self.codes
            .iter()
            .find(|(own, ..)| *own == symbol)
            .map(|&(_, code, len)| (code, len))
    }
}

/// How one component of a blank frame is coded.
struct BlankComponent {
    blocks_in_mcu: u32,
    first_block: Vec<(u16, u8)>,
    other_block: Vec<(u16, u8)>,
}

/// Packs codes into entropy-coded bytes (T.81 F.1.2.3).
#[derive(Default)]
struct BitWriter {
    out: Vec<u8>,
    pending: u32,
    bits: u8,
}

impl BitWriter {
    fn push(&mut self, (code, len): (u16, u8)) {
        self.pending = (self.pending << len) | u32::from(code);
        self.bits = self.bits.saturating_add(len);
        while let Some(left) = self.bits.checked_sub(8) {
            let [.., byte] = (self.pending >> left).to_be_bytes();
            self.out.push(byte);
            if byte == 0xFF {
                self.out.push(0);
            }
            self.bits = left;
            self.pending &= !(u32::MAX << left);
        }
    }

    /// Fills the last byte with 1-bits.
    fn finish(mut self) -> Vec<u8> {
        let short = 8_u8.saturating_sub(self.bits);
        if short < 8 {
            self.push(((1_u16 << short).saturating_sub(1), short));
        }
        self.out
    }
}

/// Builds a white frame like the ones that the recipe makes of tiles like `header`.
///
/// The result is a whole JPEG stream, SOI to EOI.
///
/// # Errors
///
/// [`StreamError`] if the tile that serves as the pattern cannot be a frame.
pub fn jpeg_frame(recipe: &Recipe, header: &Header<'_>) -> Result<Vec<u8>, StreamError> {
    let mut tables = recipe.tables_for(header)?;
    let codes = if let Some(codes) = blank_components(recipe, header, &tables) {
        codes
    } else {
        // Optimised tables may have no code for what a blank frame needs.
        tables = tables.with_typical_huffman();
        blank_components(recipe, header, &tables).ok_or(StreamError::Unsupported(
            "a blank frame that its tables cannot encode",
        ))?
    };
    let mut bytes = recipe.header_with(&header.without_restarts(), &tables)?;
    let (across, down) = header
        .facts
        .mcus(u32::from(recipe.columns), u32::from(recipe.rows));
    bytes.extend(entropy(&codes, across.saturating_mul(down)));
    bytes.extend(jpeg::EOI);
    Ok(bytes)
}

fn entropy(components: &[BlankComponent], mcus: u32) -> Vec<u8> {
    let mut writer = BitWriter::default();
    for mcu in 0..mcus {
        for component in components {
            for block in 0..component.blocks_in_mcu {
                let first = mcu == 0 && block == 0;
                let codes = if first {
                    &component.first_block
                } else {
                    &component.other_block
                };
                for &code in codes {
                    writer.push(code);
                }
            }
        }
    }
    writer.finish()
}

/// Looks up the codes that a blank frame needs; `None` if a table lacks one.
fn blank_components(
    recipe: &Recipe,
    header: &Header<'_>,
    tables: &Tables<'_>,
) -> Option<Vec<BlankComponent>> {
    let components = &header.facts.components;
    let single = components.len() == 1;
    let mut blank = Vec::new();
    for (position, component) in components.iter().enumerate() {
        let is_bright = recipe.colour != Colour::Ybr || position == 0;
        let step = slot(&tables.quantisation, component.quantisation)
            .and_then(|steps| steps.first().copied())
            .map_or(1, u16::from);
        let value = if is_bright {
            WHITE_DC.div_ceil(step.max(1))
        } else {
            0
        };
        let dc = slot(&tables.dc, component.dc).map(Huffman::new)?;
        let ac = slot(&tables.ac, component.ac).map(Huffman::new)?;
        let end_of_block = ac.code(0x00)?;
        let mut first_block = dc_codes(&dc, value)?;
        let mut other_block = dc_codes(&dc, 0)?;
        first_block.push(end_of_block);
        other_block.push(end_of_block);
        let blocks = u32::from(component.horizontal).saturating_mul(u32::from(component.vertical));
        let blocks_in_mcu = if single { 1 } else { blocks };
        blank.push(BlankComponent {
            blocks_in_mcu,
            first_block,
            other_block,
        });
    }
    Some(blank)
}

/// The code of a DC difference: its size category, then its bits (T.81 F.1.2.1).
fn dc_codes(table: &Huffman, value: u16) -> Option<Vec<(u16, u8)>> {
    let category = u8::try_from(16_u32.saturating_sub(value.leading_zeros())).ok()?;
    let mut codes = vec![table.code(category)?];
    if category > 0 {
        codes.push((value, category));
    }
    Some(codes)
}
