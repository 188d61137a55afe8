//! Builds the header of a stand-alone frame.

use super::header::{Header, SharedTables, Slots, malformed, read_tables};
use super::{Colour, Facts, marker};
use crate::error::StreamError;
use crate::tables;

/// Adobe marker segment with transform 0: three components, not transformed.
const APP14_RGB: [u8; 16] = *b"\xFF\xEE\x00\x0EAdobe\x00\x64\x00\x00\x00\x00\x00";

/// How the header of each frame of a level is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// Tables of tag 347.
    pub tables: SharedTables,
    /// What the samples are.
    pub colour: Colour,
    /// Frame width in pixels.
    pub columns: u16,
    /// Frame height in pixels.
    pub rows: u16,
}

/// Which of the tables that a stream refers to are defined by neither set.
fn missing(facts: &Facts, slots: &Slots) -> Slots {
    let mut missing = Slots::default();
    let lacks =
        |defined: &[bool; 4], id: u8| !defined.get(usize::from(id)).copied().unwrap_or(false);
    let mut mark = |defined: &[bool; 4], id: u8, which: fn(&mut Slots) -> &mut [bool; 4]| {
        if lacks(defined, id)
            && let Some(slot) = which(&mut missing).get_mut(usize::from(id))
        {
            *slot = true;
        }
    };
    for component in &facts.components {
        mark(&slots.quantisation, component.quantisation, |s| {
            &mut s.quantisation
        });
        mark(&slots.dc, component.dc, |s| &mut s.dc);
        mark(&slots.ac, component.ac, |s| &mut s.ac);
    }
    missing
}

impl Recipe {
    /// Builds the header of a stand-alone frame, SOI to SOS.
    ///
    /// # Errors
    ///
    /// [`StreamError`] if the stream lacks a quantisation table, or cannot be a frame.
    pub fn frame_header(&self, header: &Header<'_>) -> Result<Vec<u8>, StreamError> {
        header
            .facts
            .check_frame(u32::from(self.columns), u32::from(self.rows))?;
        let components = match self.colour {
            Colour::Grey => 1,
            Colour::Rgb | Colour::Ybr => 3,
        };
        if header.facts.components.len() != components {
            return Err(StreamError::Unsupported(
                "another number of components than declared",
            ));
        }
        let mut out = vec![0xFF, marker::SOI];
        if self.colour == Colour::Rgb {
            out.extend_from_slice(&APP14_RGB);
        }
        self.push_tables(header, &mut out)?;
        self.push_frame(header, &mut out);
        if let Some(restart) = header.restart {
            out.extend_from_slice(restart.bytes);
        }
        self.push_scan(header, &mut out);
        Ok(out)
    }

    /// Shared tables first, then the tile's own, which override equal numbers.
    fn push_tables(&self, header: &Header<'_>, out: &mut Vec<u8>) -> Result<(), StreamError> {
        let mut slots = Slots::default();
        for segment in &header.table_segments {
            read_tables(*segment, &mut slots)?;
        }
        if missing(&header.facts, &slots) != Slots::default() {
            out.extend_from_slice(&self.tables.bytes);
            for (mine, shared) in [
                (&mut slots.quantisation, &self.tables.slots.quantisation),
                (&mut slots.dc, &self.tables.slots.dc),
                (&mut slots.ac, &self.tables.slots.ac),
            ] {
                for (slot, &defined) in mine.iter_mut().zip(shared) {
                    *slot |= defined;
                }
            }
        }
        for segment in &header.table_segments {
            out.extend_from_slice(segment.bytes);
        }
        let missing = missing(&header.facts, &slots);
        if missing.quantisation.contains(&true) {
            return Err(malformed("a quantisation table that nobody defines", 0));
        }
        // A stream without Huffman tables means those of T.81 Annex K, as motion JPEG does.
        for (id, _) in (0_u8..).zip(missing.dc).filter(|(_, absent)| *absent) {
            out.extend(tables::dht_segment(0, id));
        }
        for (id, _) in (0_u8..).zip(missing.ac).filter(|(_, absent)| *absent) {
            out.extend(tables::dht_segment(1, id));
        }
        Ok(())
    }

    fn component_id(&self, position: usize, own: u8) -> u8 {
        let ids: &[u8] = match self.colour {
            Colour::Rgb => b"RGB",
            Colour::Ybr => &[1, 2, 3],
            Colour::Grey => &[1],
        };
        ids.get(position).copied().unwrap_or(own)
    }

    /// SOF0 with the frame's size and the component identifiers of its colour.
    fn push_frame(&self, header: &Header<'_>, out: &mut Vec<u8>) {
        // Process SOF1 with 8 bits and two tables of a kind is coded as the baseline is.
        out.extend([0xFF, marker::SOF0]);
        out.extend(header.frame.bytes.iter().skip(2).take(3));
        out.extend(self.rows.to_be_bytes());
        out.extend(self.columns.to_be_bytes());
        out.extend(header.frame.bytes.iter().skip(9).take(1));
        let single = header.facts.components.len() == 1;
        for (position, component) in header.facts.components.iter().enumerate() {
            // With one component the factors change nothing but confuse strict decoders.
            let sampling = if single {
                0x11
            } else {
                (component.horizontal << 4) | component.vertical
            };
            out.extend([
                self.component_id(position, component.id),
                sampling,
                component.quantisation,
            ]);
        }
    }

    fn push_scan(&self, header: &Header<'_>, out: &mut Vec<u8>) {
        out.extend(header.scan.bytes.iter().take(5));
        for (position, component) in header.facts.components.iter().enumerate() {
            let entropy = (component.dc << 4) | component.ac;
            out.extend([self.component_id(position, component.id), entropy]);
        }
        // Spectral selection and approximation: always 0, 63, 0 in a sequential process.
        out.extend([0, 63, 0]);
    }
}
