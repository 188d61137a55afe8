//! Quantisation and Huffman tables: read one by one, written only where a component uses them.
//!
//! A table that nobody uses is as good a hiding place as a comment, so none is copied.

use super::Component;
use super::header::{Segment, malformed};
use super::marker;
use crate::error::StreamError;
use crate::tables::typical;

/// Number of steps of a quantisation table.
const STEPS: usize = 64;
/// Code lengths that DHT counts (T.81 B.2.4.2).
const LENGTHS: usize = 16;

/// The tables in effect at a scan, by their destination 0 to 3 (T.81 B.2.4).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tables<'a> {
    /// 64 steps of 8 bits in zigzag order.
    pub(crate) quantisation: [Option<&'a [u8]>; 4],
    /// Sixteen counts, then the symbols.
    pub(crate) dc: [Option<&'a [u8]>; 4],
    /// Sixteen counts, then the symbols.
    pub(crate) ac: [Option<&'a [u8]>; 4],
}

pub(crate) fn slot<T: Copy>(tables: &[Option<T>; 4], id: u8) -> Option<T> {
    tables.get(usize::from(id)).copied().flatten()
}

impl<'a> Tables<'a> {
    /// Takes the tables of a DQT or DHT segment; a later table of a number replaces an earlier.
    ///
    /// # Errors
    ///
    /// [`StreamError::Malformed`] if the tables do not fill the segment or break T.81.
    pub(crate) fn read(&mut self, segment: Segment<'a>) -> Result<(), StreamError> {
        let wrong = || malformed("a table of wrong length", 0);
        let mut rest = segment.payload();
        while let Some((&first, after)) = rest.split_first() {
            let (class, id) = (first >> 4, usize::from(first & 15));
            let (tables, len) = if segment.marker == marker::DQT {
                match class {
                    0 => (&mut self.quantisation, STEPS),
                    // T.81 B.2.4.1: a picture with 8 bits a sample has none, and no other is copied.
                    1 => return Err(StreamError::Unsupported("a quantisation table of 16 bits")),
                    _ => return Err(malformed("a quantisation table of unknown precision", 0)),
                }
            } else {
                let tables = match class {
                    0 => &mut self.dc,
                    1 => &mut self.ac,
                    _ => return Err(malformed("a table with an impossible number", 0)),
                };
                (
                    tables,
                    huffman_len(after.get(..LENGTHS).ok_or_else(wrong)?)?,
                )
            };
            let (table, next) = after.split_at_checked(len).ok_or_else(wrong)?;
            let slot = tables
                .get_mut(id)
                .ok_or_else(|| malformed("a table with an impossible number", 0))?;
            *slot = Some(table);
            rest = next;
        }
        Ok(())
    }

    /// These tables, and those of `other` in the places that are empty.
    pub(crate) fn or(self, other: Self) -> Self {
        let fill = |mine: [Option<&'a [u8]>; 4], theirs: [Option<&'a [u8]>; 4]| {
            let mut filled = mine;
            for (slot, other) in filled.iter_mut().zip(theirs) {
                *slot = slot.or(other);
            }
            filled
        };
        Self {
            quantisation: fill(self.quantisation, other.quantisation),
            dc: fill(self.dc, other.dc),
            ac: fill(self.ac, other.ac),
        }
    }

    /// The Huffman tables of T.81 Annex K.
    ///
    /// They are meant by a stream that defines none, as in motion JPEG.
    pub(crate) fn typical() -> Self {
        let both = |class| [Some(typical(class, 0)), Some(typical(class, 1)), None, None];
        Self {
            quantisation: [None; 4],
            dc: both(0),
            ac: both(1),
        }
    }

    /// Writes a DQT or DHT segment for each table that one of the components uses.
    ///
    /// # Errors
    ///
    /// [`StreamError::Malformed`] if one of them is missing, or has a step of 0.
    pub(crate) fn write_used(
        &self,
        components: &[Component],
        out: &mut Vec<u8>,
    ) -> Result<(), StreamError> {
        let quantisation = (&self.quantisation, marker::DQT, 0);
        write_each(quantisation, components, |c| c.quantisation, out)?;
        write_each((&self.dc, marker::DHT, 0x00), components, |c| c.dc, out)?;
        write_each((&self.ac, marker::DHT, 0x10), components, |c| c.ac, out)
    }
}

fn write_each(
    (tables, code, class): (&[Option<&[u8]>; 4], u8, u8),
    components: &[Component],
    selector: impl Fn(&Component) -> u8,
    out: &mut Vec<u8>,
) -> Result<(), StreamError> {
    for id in 0..=3_u8 {
        if components.iter().any(|component| selector(component) == id) {
            let table =
                slot(tables, id).ok_or_else(|| malformed("a table that nobody defines", 0))?;
            // T.81 Table B.4: strict decoders refuse it, though others multiply by it.
            if code == marker::DQT && table.contains(&0) {
                return Err(malformed("a quantisation step of 0", 0));
            }
            write_segment(code, class | id, table, out);
        }
    }
    Ok(())
}

fn write_segment(code: u8, first: u8, table: &[u8], out: &mut Vec<u8>) {
    let len = u16::try_from(table.len().saturating_add(3)).unwrap_or(u16::MAX);
    out.extend([0xFF, code]);
    out.extend(len.to_be_bytes());
    out.push(first);
    out.extend_from_slice(table);
}

/// Length of a Huffman table with these counts, which must be those of a prefix code.
fn huffman_len(counts: &[u8]) -> Result<usize, StreamError> {
    let (mut symbols, mut used) = (0_usize, 0_u32);
    for (&count, len) in counts.iter().zip(1_u32..) {
        symbols = symbols.saturating_add(usize::from(count));
        // Share of the code space in units of the longest code (T.81 C.2).
        used = used.saturating_add(u32::from(count) << 16_u32.saturating_sub(len));
    }
    if used > 1 << 16 || symbols > 256 {
        return Err(malformed("a Huffman table that is no prefix code", 0));
    }
    Ok(symbols.saturating_add(LENGTHS))
}
