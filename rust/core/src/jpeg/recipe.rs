//! Builds the header of a stand-alone frame.

use super::header::{Header, SharedTables};
use super::tables::Tables;
use super::{Colour, Component, Facts, marker};
use crate::error::StreamError;

/// Adobe marker segment with transform 0: three components, not transformed.
const APP14_RGB: [u8; 16] = *b"\xFF\xEE\x00\x0EAdobe\x00\x64\x00\x00\x00\x00\x00";

/// How the header of each frame of a level is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// Tables of tag 347.
    pub tables: SharedTables,
    /// What the samples are.
    pub colour: Colour,
    /// Whether they are light that the specimen gives off: where there is nothing, it is black.
    pub is_emitted: bool,
    /// Frame width in pixels.
    pub columns: u16,
    /// Frame height in pixels.
    pub rows: u16,
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
        self.header_with(header, &self.tables_for(header)?)
    }

    /// The tables that are in effect for a tile: its own, else the shared ones, else the typical.
    pub(crate) fn tables_for<'a>(&'a self, header: &Header<'a>) -> Result<Tables<'a>, StreamError> {
        Ok(header
            .tables
            .or(self.tables.tables()?)
            .or(Tables::typical()))
    }

    /// Builds the header of a frame that is coded with `tables`.
    pub(crate) fn header_with(
        &self,
        header: &Header<'_>,
        tables: &Tables<'_>,
    ) -> Result<Vec<u8>, StreamError> {
        self.header_with_interval(&header.facts, tables, header.facts.restart_interval)
    }

    /// The same with another restart interval; 0 for none.
    pub(crate) fn header_with_interval(
        &self,
        facts: &Facts,
        tables: &Tables<'_>,
        restart_interval: u16,
    ) -> Result<Vec<u8>, StreamError> {
        let components = match self.colour {
            Colour::Grey => 1,
            Colour::Rgb | Colour::Ybr => 3,
        };
        if facts.components.len() != components {
            return Err(StreamError::Unsupported(
                "another number of components than declared",
            ));
        }
        let mut out = vec![0xFF, marker::SOI];
        if self.colour == Colour::Rgb {
            out.extend_from_slice(&APP14_RGB);
        }
        tables.write_used(&facts.components, &mut out)?;
        self.push_frame(&facts.components, &mut out);
        if restart_interval > 0 {
            out.extend([0xFF, marker::DRI, 0, 4]);
            out.extend(restart_interval.to_be_bytes());
        }
        self.push_scan(&facts.components, &mut out);
        Ok(out)
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
    fn push_frame(&self, components: &[Component], out: &mut Vec<u8>) {
        let count = u8::try_from(components.len()).unwrap_or(u8::MAX);
        // Process SOF1 with 8 bits and two tables of a kind is coded as the baseline is.
        out.extend([0xFF, marker::SOF0]);
        out.extend(
            u16::from(count)
                .saturating_mul(3)
                .saturating_add(8)
                .to_be_bytes(),
        );
        out.push(8);
        out.extend(self.rows.to_be_bytes());
        out.extend(self.columns.to_be_bytes());
        out.push(count);
        for (position, component) in components.iter().enumerate() {
            // With one component the factors change nothing but confuse strict decoders.
            let sampling = if count == 1 {
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

    fn push_scan(&self, components: &[Component], out: &mut Vec<u8>) {
        let count = u8::try_from(components.len()).unwrap_or(u8::MAX);
        out.extend([0xFF, marker::SOS]);
        out.extend(
            u16::from(count)
                .saturating_mul(2)
                .saturating_add(6)
                .to_be_bytes(),
        );
        out.push(count);
        for (position, component) in components.iter().enumerate() {
            let entropy = (component.dc << 4) | component.ac;
            out.extend([self.component_id(position, component.id), entropy]);
        }
        // Spectral selection and approximation: always 0, 63, 0 in a sequential process.
        out.extend([0, 63, 0]);
    }
}
