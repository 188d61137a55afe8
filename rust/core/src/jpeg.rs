//! Walks JPEG marker segments and builds the header of a stand-alone frame.
//!
//! A tile of a TIFF is an abbreviated stream whose tables may lie in tag 347 (TIFF Technical
//! Note 2, T.81 B.4 and B.5). DICOM wants the interchange format: all tables in every frame
//! (PS3.5 A.4.1). Only headers are read and written here; entropy-coded data is never touched.

mod arithmetic;
pub(crate) mod bits;
pub(crate) mod blocks;
pub(crate) mod coefficients;
mod entropy;
mod header;
mod huffman;
pub(crate) mod mcu;
pub(crate) mod optimal;
mod progressive;
mod recipe;
mod scan_header;
pub(crate) mod scans;
mod tables;

pub(crate) use entropy::MarkerSearch;
pub use entropy::{End, find_eoi_at_end, scan_entropy};
pub use header::{Header, SharedTables, parse_header, parse_shared_tables};
pub(crate) use huffman::has_codes_of;
pub use recipe::Recipe;
pub(crate) use tables::{Tables, slot};

use crate::error::StreamError;
pub(crate) use header::{malformed, parse_start};

/// Marker codes of T.81 Table B.1, second byte.
pub mod marker {
    #![allow(missing_docs, reason = "the names are the standard's")]
    pub const SOF0: u8 = 0xC0;
    pub const SOF1: u8 = 0xC1;
    pub const SOF2: u8 = 0xC2;
    pub const SOF3: u8 = 0xC3;
    pub const DHT: u8 = 0xC4;
    pub const JPG: u8 = 0xC8;
    pub const SOF9: u8 = 0xC9;
    pub const SOF10: u8 = 0xCA;
    pub const DAC: u8 = 0xCC;
    pub const SOF15: u8 = 0xCF;
    pub const RST0: u8 = 0xD0;
    pub const RST7: u8 = 0xD7;
    pub const SOI: u8 = 0xD8;
    pub const EOI: u8 = 0xD9;
    pub const SOS: u8 = 0xDA;
    pub const DQT: u8 = 0xDB;
    pub const DNL: u8 = 0xDC;
    pub const DRI: u8 = 0xDD;
    pub const DHP: u8 = 0xDE;
    pub const EXP: u8 = 0xDF;
    pub const APP0: u8 = 0xE0;
    pub const APP14: u8 = 0xEE;
    pub const APP15: u8 = 0xEF;
    /// Of JPEG-LS (T.87 C.1.1).
    pub const SOF55: u8 = 0xF7;
    pub const COM: u8 = 0xFE;
}

/// End of image, as bytes.
pub const EOI: [u8; 2] = [0xFF, marker::EOI];

/// One component of a frame header (T.81 B.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Component {
    /// Component identifier Ci.
    pub id: u8,
    /// Horizontal sampling factor Hi.
    pub horizontal: u8,
    /// Vertical sampling factor Vi.
    pub vertical: u8,
    /// Quantisation table selector Tqi.
    pub quantisation: u8,
    /// DC entropy table selector Tdj, from the scan header.
    pub dc: u8,
    /// AC entropy table selector Taj, from the scan header.
    pub ac: u8,
}

/// What the header of a JPEG stream says about its samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Second byte of the SOF marker.
    pub sof: u8,
    /// Sample precision in bits.
    pub precision: u8,
    /// Number of lines Y; 0 is possible.
    pub rows: u16,
    /// Samples per line X; 0 is possible.
    pub columns: u16,
    /// The components in the order of the frame header.
    pub components: Vec<Component>,
    /// Whether an APP0 segment is a JFIF one.
    pub jfif: bool,
    /// Transform flag of an Adobe APP14 segment.
    pub adobe_transform: Option<u8>,
    /// MCUs between restart markers; 0 for none.
    pub restart_interval: u16,
}

impl Facts {
    /// In what two tiles differ, if they cannot be frames of one instance.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<&'static str> {
        let sampling = |facts: &Self| -> Vec<(u8, u8)> {
            facts
                .components
                .iter()
                .map(|c| (c.horizontal, c.vertical))
                .collect()
        };
        let ids = |facts: &Self| -> Vec<u8> { facts.components.iter().map(|c| c.id).collect() };
        if (self.sof, self.precision) != (other.sof, other.precision) {
            Some("its JPEG process")
        } else if sampling(self) != sampling(other) {
            Some("its components or their sampling")
        } else if (ids(self), self.jfif, self.adobe_transform)
            != (ids(other), other.jfif, other.adobe_transform)
        {
            Some("its colour markers")
        } else {
            None
        }
    }

    /// Checks that a stream can be a frame of JPEG Baseline (PS3.5 A.4.1, T.81 process 1).
    ///
    /// The size in the SOF may differ only where the number of MCUs stays the same: it is
    /// patched then, while otherwise a decoder would read past the data.
    ///
    /// # Errors
    ///
    /// [`StreamError::Unsupported`] with the reason, or [`StreamError::Size`].
    pub fn check_frame(&self, columns: u32, rows: u32) -> Result<(), StreamError> {
        self.check_process()?;
        self.check_size(columns, rows)
    }

    /// Checks all but the size.
    pub(crate) fn check_process(&self) -> Result<(), StreamError> {
        let unsupported = |what| Err(StreamError::Unsupported(what));
        match self.sof {
            marker::SOF0 | marker::SOF1 => {}
            marker::SOF2 => return unsupported("progressive JPEG"),
            marker::SOF3 => return unsupported("lossless JPEG"),
            _ => return unsupported("a JPEG process without a DICOM transfer syntax"),
        }
        if self.precision != 8 {
            return unsupported("JPEG with more than 8 bits a sample");
        }
        if !matches!(self.components.len(), 1 | 3) {
            return unsupported("a number of components that is neither one nor three");
        }
        if self.components.iter().any(|c| c.dc > 1 || c.ac > 1) {
            return unsupported("JPEG with more than two Huffman tables of a kind");
        }
        if self.components.iter().any(|c| c.quantisation > 3) {
            return Err(malformed(
                "a quantisation table with an impossible number",
                0,
            ));
        }
        Ok(())
    }

    /// Checks that a picture of the given size has as many MCUs.
    pub(crate) fn check_size(&self, columns: u32, rows: u32) -> Result<(), StreamError> {
        let (own_columns, own_rows) = (u32::from(self.columns), u32::from(self.rows));
        let fits = |have: u32, have_mcus: u32, want_mcus: u32| have == 0 || have_mcus == want_mcus;
        let have = self.mcus(own_columns, own_rows);
        let want = self.mcus(columns, rows);
        if fits(own_columns, have.0, want.0) && fits(own_rows, have.1, want.1) {
            Ok(())
        } else {
            Err(StreamError::Size {
                columns: own_columns,
                rows: own_rows,
                want_columns: columns,
                want_rows: rows,
            })
        }
    }

    /// Whether frames of a width are whole restart intervals of a picture of a width, in each row
    /// of MCUs: then they can be stitched of its bytes.
    #[must_use]
    pub fn stitches(&self, columns: u32, frame_columns: u32) -> bool {
        let interval = u32::from(self.restart_interval);
        let (across, _) = self.mcus(columns, 1);
        let (frame_across, _) = self.mcus(frame_columns, 1);
        interval > 0 && across.is_multiple_of(interval) && frame_across.is_multiple_of(interval)
    }

    /// Largest sampling factors, horizontal and vertical.
    pub(crate) fn sampling(&self) -> (u32, u32) {
        // A scan of one component is never interleaved: its MCU is one block (T.81 A.2.2).
        if self.components.len() == 1 {
            return (1, 1);
        }
        let widest = self
            .components
            .iter()
            .map(|c| c.horizontal)
            .max()
            .unwrap_or(1);
        let tallest = self
            .components
            .iter()
            .map(|c| c.vertical)
            .max()
            .unwrap_or(1);
        (u32::from(widest), u32::from(tallest))
    }

    /// Width and height of an MCU in pixels.
    pub(crate) fn mcu_size(&self) -> (u32, u32) {
        let (horizontal, vertical) = self.sampling();
        (
            horizontal.saturating_mul(8).max(1),
            vertical.saturating_mul(8).max(1),
        )
    }

    /// Number of MCUs across and down in a picture of the given size.
    #[must_use]
    pub fn mcus(&self, columns: u32, rows: u32) -> (u32, u32) {
        let (width, height) = self.mcu_size();
        (columns.div_ceil(width), rows.div_ceil(height))
    }
}

/// Counts the components of a stream of any process.
///
/// # Errors
///
/// [`StreamError`] if it has no readable header.
pub fn count_components(bytes: &[u8]) -> Result<usize, StreamError> {
    Ok(parse_start(bytes)?.facts.components.len())
}

/// What the samples of a frame are, and so how its header must say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Red, green, blue: component identifiers R, G, B and an Adobe marker.
    Rgb,
    /// Luminance and two chrominances: component identifiers 1, 2, 3 and no marker.
    Ybr,
    /// One component.
    Grey,
}
