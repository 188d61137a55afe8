//! Walks JPEG 2000 codestreams, and takes them out of JP2 files.
//!
//! DICOM wants the bare codestream (PS3.5 A.4.4). Comments are dropped from the main header and
//! that of the first tile-part; all else is copied as it is.

mod boxes;
mod segments;
mod tile_part;

pub use tile_part::{Cleaned, TilePart, check_packets, parse_tile_part};

use crate::error::StreamError;
use boxes::{Boxes, JP2_SIGNATURE, walk_boxes};
use segments::{Styles, read_cod, read_siz};

/// Marker codes of T.800 Table A.2.
pub mod marker {
    #![allow(missing_docs, reason = "the names are the standard's")]
    pub const SOC: u16 = 0xFF4F;
    pub const CAP: u16 = 0xFF50;
    pub const SIZ: u16 = 0xFF51;
    pub const COD: u16 = 0xFF52;
    pub const COC: u16 = 0xFF53;
    pub const TLM: u16 = 0xFF55;
    pub const PLM: u16 = 0xFF57;
    pub const PLT: u16 = 0xFF58;
    pub const QCD: u16 = 0xFF5C;
    pub const QCC: u16 = 0xFF5D;
    pub const RGN: u16 = 0xFF5E;
    pub const POC: u16 = 0xFF5F;
    pub const PPM: u16 = 0xFF60;
    pub const PPT: u16 = 0xFF61;
    pub const CRG: u16 = 0xFF63;
    pub const COM: u16 = 0xFF64;
    pub const SOT: u16 = 0xFF90;
    pub const SOP: u16 = 0xFF91;
    pub const SOD: u16 = 0xFF93;
    pub const EOC: u16 = 0xFFD9;
}

/// Length of an SOT marker segment, marker included (T.800 A.4.2).
pub const SOT_LEN: u64 = 12;

/// Pcap of a codestream that uses part 15, High-Throughput JPEG 2000 (T.814).
const PART_15: u32 = 0x0002_0000;

/// One component of SIZ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Component {
    /// Bits a sample.
    pub depth: u8,
    /// Whether samples are signed.
    pub signed: bool,
    /// Horizontal separation `XRsiz`.
    pub horizontal: u8,
    /// Vertical separation `YRsiz`.
    pub vertical: u8,
}

/// What the main header says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the standard"
)]
pub struct Facts {
    /// Capabilities Rsiz.
    pub rsiz: u16,
    /// Width of the picture.
    pub columns: u32,
    /// Height of the picture.
    pub rows: u32,
    /// The components.
    pub components: Vec<Component>,
    /// Whether a multiple component transformation is used.
    pub mct: bool,
    /// Whether the wavelet is the reversible 5/3.
    pub reversible: bool,
    /// Number of decomposition levels.
    pub decompositions: u8,
    /// Number of quality layers.
    pub layers: u16,
    /// Whether any component has a coding style of its own.
    pub has_coc: bool,
    /// Whether the stream is High-Throughput JPEG 2000 (T.814).
    pub high_throughput: bool,
    /// Enumerated colour space of a JP2 file's `colr` box: 16 sRGB, 17 grey, 18 sYCC.
    pub jp2_colour: Option<u32>,
}

impl Facts {
    /// Checks that a stream has the size of a frame: nothing of it can be patched.
    ///
    /// # Errors
    ///
    /// [`StreamError::Size`].
    pub fn check_frame(&self, columns: u32, rows: u32) -> Result<(), StreamError> {
        if (self.columns, self.rows) == (columns, rows) {
            return Ok(());
        }
        Err(StreamError::Size {
            columns: self.columns,
            rows: self.rows,
            want_columns: columns,
            want_rows: rows,
        })
    }

    /// In what two tiles differ, if they cannot be frames of one instance.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<&'static str> {
        if self.components != other.components {
            Some("its components or their sampling")
        } else if (self.mct, self.jp2_colour) != (other.mct, other.jp2_colour) {
            Some("its colour transformation")
        } else if (self.reversible, self.high_throughput, self.has_coc)
            != (other.reversible, other.high_throughput, other.has_coc)
        {
            Some("its wavelet or block coder")
        } else {
            None
        }
    }
}

/// The codestream of a tile, up to its first tile-part.
#[derive(Debug, Clone)]
pub struct Header {
    /// What it says.
    pub facts: Facts,
    /// The main header without comments.
    pub bytes: Vec<u8>,
    /// Index of the multiple component transformation byte of COD in `bytes`.
    mct_at: usize,
    /// Where the first tile-part begins, from the start of the tile's data.
    pub first_tile_part: u64,
    /// Where the codestream must end, if a JP2 box says so.
    pub limit: Option<u64>,
    /// How many comments and boxes were dropped.
    pub dropped: u32,
}

/// How the main header of each frame of a level is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipe {
    /// Frame width in pixels.
    pub columns: u32,
    /// Frame height in pixels.
    pub rows: u32,
    /// Whether to switch the multiple component transformation on.
    ///
    /// Only for luminance and chrominance samples in 4:4:4 under the 9/7 wavelet, whose
    /// inverse transformation is then the colour conversion that a viewer must do.
    pub set_mct: bool,
}

impl Recipe {
    /// Builds the main header of a frame.
    ///
    /// # Errors
    ///
    /// [`StreamError`] if the stream cannot be a frame of this level.
    pub fn frame_header(&self, header: &Header) -> Result<Vec<u8>, StreamError> {
        let facts = &header.facts;
        facts.check_frame(self.columns, self.rows)?;
        let mut bytes = header.bytes.clone();
        if self.set_mct {
            // T.800 G.1: the three components are of one size and depth.
            let are_alike = facts
                .components
                .windows(2)
                .all(|pair| pair.first() == pair.last());
            if facts.has_coc || facts.reversible || facts.components.len() != 3 || !are_alike {
                return Err(StreamError::Unsupported(
                    "a colour transformation that cannot be declared",
                ));
            }
            if let Some(byte) = bytes.get_mut(header.mct_at) {
                *byte = 1;
            }
        }
        Ok(bytes)
    }
}

/// Checks that CAP names part 15 alone, with its one word (T.800 A.5.2).
///
/// # Errors
///
/// [`StreamError::Unsupported`] for any other part.
fn check_capabilities(segment: &[u8], at: usize) -> Result<(), StreamError> {
    if u32_at(segment, 4)? != PART_15 {
        return Err(StreamError::Unsupported(
            "JPEG 2000 with extensions of a part other than 15",
        ));
    }
    if segment.len() != 10 {
        return Err(malformed("a CAP of wrong length", at));
    }
    Ok(())
}

fn malformed(what: &'static str, at: usize) -> StreamError {
    StreamError::Malformed {
        what,
        at: u64::try_from(at).unwrap_or(u64::MAX),
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, StreamError> {
    let two = bytes
        .get(at..)
        .and_then(<[u8]>::first_chunk)
        .ok_or(StreamError::Incomplete)?;
    Ok(u16::from_be_bytes(*two))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, StreamError> {
    let four = bytes
        .get(at..)
        .and_then(<[u8]>::first_chunk)
        .ok_or(StreamError::Incomplete)?;
    Ok(u32::from_be_bytes(*four))
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64, StreamError> {
    let eight = bytes
        .get(at..)
        .and_then(<[u8]>::first_chunk)
        .ok_or(StreamError::Incomplete)?;
    Ok(u64::from_be_bytes(*eight))
}

/// A marker segment of a main or tile-part header: its code and where it ends.
fn segment_end(bytes: &[u8], at: usize) -> Result<usize, StreamError> {
    let len = usize::from(u16_at(bytes, at.saturating_add(2))?);
    if len < 2 {
        return Err(malformed("a segment length below 2", at));
    }
    Ok(at.saturating_add(2).saturating_add(len))
}

/// Walks a tile's data to its first tile-part, out of a JP2 file if it is one.
///
/// # Errors
///
/// [`StreamError::Incomplete`] if `bytes` end before that; any other [`StreamError`] if the
/// stream breaks T.800 or cannot be a frame.
pub fn parse_header(bytes: &[u8]) -> Result<Header, StreamError> {
    let boxes = if bytes.starts_with(&JP2_SIGNATURE) {
        walk_boxes(bytes)?
    } else {
        Boxes::default()
    };
    let start = boxes.codestream;
    if u16_at(bytes, start)? != marker::SOC {
        return Err(malformed("no SOC", start));
    }
    let mut at = start.saturating_add(2);
    if u16_at(bytes, at)? != marker::SIZ {
        return Err(malformed("no SIZ after SOC", at));
    }
    let mut kept = bytes.get(start..at).unwrap_or_default().to_vec();
    let (mut siz, mut cod, mut dropped) = (None, None, boxes.dropped);
    let (mut styles, mut high_throughput, mut mct_at) = (Styles::default(), false, 0_usize);
    loop {
        let code = u16_at(bytes, at)?;
        if code == marker::SOT {
            break;
        }
        let end = segment_end(bytes, at)?;
        let segment = bytes.get(at..end).ok_or(StreamError::Incomplete)?;
        let mut is_kept = true;
        match code {
            // Text; and pointers and hints that no decoder needs.
            marker::COM | marker::TLM | marker::PLM | marker::CRG => {
                dropped = dropped.saturating_add(1);
                is_kept = false;
            }
            marker::SIZ => {
                if siz.replace(segment).is_some() {
                    return Err(malformed("a second SIZ", at));
                }
            }
            marker::COD => {
                mct_at = kept.len().saturating_add(8);
                if cod.replace(segment).is_some() {
                    return Err(malformed("a second COD", at));
                }
            }
            marker::QCD | marker::QCC | marker::COC => styles.add(code, segment, at),
            marker::CAP => {
                check_capabilities(segment, at)?;
                if high_throughput {
                    return Err(malformed("a second CAP", at));
                }
                high_throughput = true;
            }
            marker::RGN | marker::POC | marker::PPM => {
                return Err(StreamError::Unsupported(
                    "JPEG 2000 with regions of interest, changes of progression order or packed \
                     headers",
                ));
            }
            _ => {
                return Err(malformed(
                    "a marker that does not belong into a main header",
                    at,
                ));
            }
        }
        if is_kept {
            kept.extend_from_slice(segment);
        }
        at = end;
    }
    let siz = read_siz(siz.ok_or(malformed("no SIZ", at))?, at)?;
    let cod = read_cod(cod.ok_or(malformed("no COD", at))?, at)?;
    styles.check(cod)?;
    if siz.rsiz & 0x8000 != 0 {
        return Err(StreamError::Unsupported(
            "JPEG 2000 with extensions of part 2",
        ));
    }
    Ok(Header {
        facts: Facts {
            rsiz: siz.rsiz,
            columns: siz.columns,
            rows: siz.rows,
            components: siz.components,
            mct: cod.mct,
            reversible: cod.reversible,
            decompositions: cod.decompositions,
            layers: cod.layers,
            has_coc: styles.has_coc(),
            high_throughput,
            jp2_colour: boxes.colour,
        },
        bytes: kept,
        mct_at,
        first_tile_part: u64::try_from(at).unwrap_or(u64::MAX),
        limit: boxes.limit,
        dropped,
    })
}
