//! Blank JPEG frames, for tiles that the source does not have.
//!
//! A blank frame has the tables and sampling of its level, so that all frames of the instance
//! are alike, and only DC coefficients.

use crate::error::StreamError;
use crate::jpeg::{self, Colour, Header, Recipe, marker};
use crate::tables;

/// Quantised value that decodes to 255 for sure: 127 × 8 after the level shift (T.81 A.3.1),
/// rounded up, since decoders clamp above white but not below.
const WHITE_DC: u16 = 1016;

/// A canonical Huffman table (T.81 Annex C).
#[derive(Debug, Clone, Default)]
struct Huffman {
    codes: Vec<(u8, u16, u8)>,
}

impl Huffman {
    /// Takes the counts and symbols of a DHT segment.
    ///
    /// A count that exceeds the codes of its length ends the table: what cannot be a prefix
    /// code is not used.
    fn new(counts: &[u8], symbols: &[u8]) -> Self {
        let mut codes = Vec::new();
        let (mut code, mut symbols) = (0_u32, symbols.iter());
        for (len, &count) in (1_u8..=16).zip(counts) {
            for symbol in symbols.by_ref().take(usize::from(count)) {
                let Ok(short) = u16::try_from(code) else {
                    return Self { codes };
                };
                if code >= 1 << len {
                    return Self { codes };
                }
                codes.push((*symbol, short, len));
                code = code.saturating_add(1);
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

/// The tables that a complete frame header defines, the last of each number.
#[derive(Debug, Default)]
struct Defined {
    first_coefficient: [Option<u16>; 4],
    dc: [Huffman; 4],
    ac: [Huffman; 4],
}

impl Defined {
    fn read(header: &[u8]) -> Self {
        let mut defined = Self::default();
        jpeg::for_each_table(header, |code, payload| match code {
            marker::DQT => defined.read_quantisation(payload),
            _ => defined.read_huffman(payload),
        });
        defined
    }

    fn read_quantisation(&mut self, mut payload: &[u8]) {
        while let [first, rest @ ..] = payload {
            let (value, len) = match (first >> 4, rest) {
                (0, [low, ..]) => (u16::from(*low), 64),
                (_, [high, low, ..]) => (u16::from_be_bytes([*high, *low]), 128),
                _ => return,
            };
            if let Some(slot) = self.first_coefficient.get_mut(usize::from(first & 15)) {
                *slot = Some(value);
            }
            payload = rest.get(len..).unwrap_or_default();
        }
    }

    fn read_huffman(&mut self, mut payload: &[u8]) {
        while let Some((&first, rest)) = payload.split_first() {
            let Some((counts, rest)) = rest.split_at_checked(16) else {
                return;
            };
            let len: usize = counts.iter().map(|&count| usize::from(count)).sum();
            let Some((symbols, rest)) = rest.split_at_checked(len) else {
                return;
            };
            let tables = if first >> 4 == 0 {
                &mut self.dc
            } else {
                &mut self.ac
            };
            if let Some(slot) = tables.get_mut(usize::from(first & 15)) {
                *slot = Huffman::new(counts, symbols);
            }
            payload = rest;
        }
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
    let mut bytes = recipe.frame_header(&header.without_restarts())?;
    let codes = if let Some(codes) = blank_components(recipe, &bytes)? {
        codes
    } else {
        // Optimised tables may have no code for what a blank frame needs.
        bytes = with_typical_tables(&bytes)?;
        blank_components(recipe, &bytes)?.ok_or(StreamError::Unsupported(
            "a blank frame that its tables cannot encode",
        ))?
    };
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
    bytes: &[u8],
) -> Result<Option<Vec<BlankComponent>>, StreamError> {
    let facts = jpeg::parse_header(bytes)?.facts;
    let defined = Defined::read(bytes);
    let single = facts.components.len() == 1;
    let mut components = Vec::new();
    for (position, component) in facts.components.iter().enumerate() {
        let is_bright = recipe.colour != Colour::Ybr || position == 0;
        let step = slot(&defined.first_coefficient, component.quantisation)
            .copied()
            .flatten();
        let value = if is_bright {
            WHITE_DC.div_ceil(step.unwrap_or(1).max(1))
        } else {
            0
        };
        let codes = (
            slot(&defined.dc, component.dc).and_then(|table| dc_codes(table, value)),
            slot(&defined.dc, component.dc).and_then(|table| dc_codes(table, 0)),
            slot(&defined.ac, component.ac).and_then(|table| table.code(0x00)),
        );
        let (Some(mut first_block), Some(mut other_block), Some(end_of_block)) = codes else {
            return Ok(None);
        };
        first_block.push(end_of_block);
        other_block.push(end_of_block);
        let blocks = u32::from(component.horizontal).saturating_mul(u32::from(component.vertical));
        let blocks_in_mcu = if single { 1 } else { blocks };
        components.push(BlankComponent {
            blocks_in_mcu,
            first_block,
            other_block,
        });
    }
    Ok(Some(components))
}

fn slot<T>(tables: &[T; 4], id: u8) -> Option<&T> {
    tables.get(usize::from(id))
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

/// Puts the typical tables of T.81 Annex K in front of the scan header.
fn with_typical_tables(bytes: &[u8]) -> Result<Vec<u8>, StreamError> {
    let scan_len = jpeg::parse_header(bytes)?.scan_len();
    let (before, scan) = bytes
        .split_at_checked(bytes.len().saturating_sub(scan_len))
        .unwrap_or_default();
    let mut out = before.to_vec();
    for (class, id) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        out.extend(tables::dht_segment(class, id));
    }
    out.extend(scan);
    Ok(out)
}
