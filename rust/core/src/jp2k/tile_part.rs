//! Walks tile-parts.

use super::{malformed, marker, segment_end, u16_at, u32_at};
use crate::error::StreamError;

/// One tile-part, as far as its header tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TilePart {
    /// Length from the SOT marker to the end of its data; `None` if it goes on to the EOC.
    pub len: Option<u64>,
    /// Length of its header, SOD included.
    pub header_len: u64,
}

/// Walks the header of the tile-part at the start of `bytes`.
///
/// # Errors
///
/// [`StreamError::Incomplete`] if `bytes` end before SOD; [`StreamError::Unsupported`] for a
/// comment, which could not be dropped without changing the tile-part's length.
pub fn parse_tile_part(bytes: &[u8]) -> Result<TilePart, StreamError> {
    if u16_at(bytes, 0)? != marker::SOT {
        return Err(malformed("no SOT where a tile-part must begin", 0));
    }
    if u16_at(bytes, 2)? != 10 {
        return Err(malformed("an SOT of wrong length", 0));
    }
    let len = match u32_at(bytes, 6)? {
        0 => None,
        len => Some(u64::from(len)),
    };
    let mut at = 12_usize;
    loop {
        match u16_at(bytes, at)? {
            marker::SOD => break,
            marker::COM => {
                return Err(StreamError::Unsupported(
                    "a comment inside a JPEG 2000 tile-part",
                ));
            }
            // They would overrule the wavelet and colour transformation of the main header.
            marker::COD | marker::COC => {
                return Err(StreamError::Unsupported(
                    "a coding style inside a JPEG 2000 tile-part",
                ));
            }
            marker::QCD | marker::QCC | marker::RGN | marker::POC | marker::PPT | marker::PLT => {}
            _ => {
                return Err(malformed(
                    "a marker that does not belong into a tile-part header",
                    at,
                ));
            }
        }
        at = segment_end(bytes, at)?;
    }
    let header_len = u64::try_from(at.saturating_add(2)).unwrap_or(u64::MAX);
    if len.is_some_and(|len| len < header_len) {
        return Err(malformed("a tile-part that is shorter than its header", 0));
    }
    Ok(TilePart { len, header_len })
}

/// Checks that packet data holds no marker but those that T.800 allows there.
///
/// In packet data `FF` is never followed by more than `8F` (T.800 B.10.1); only SOP and EPH
/// segments may stand between packets.
///
/// # Errors
///
/// [`StreamError::Malformed`] for any other marker.
pub fn check_packets(bytes: &[u8]) -> Result<(), StreamError> {
    let mut at = 0_usize;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr(0xFF, rest)) {
        let marker_at = at.saturating_add(found);
        at = match u16_at(bytes, marker_at) {
            Ok(marker::SOP) => marker_at.saturating_add(6),
            Ok(0xFF92) => marker_at.saturating_add(2),
            Ok(code) if code > 0xFF8F => {
                return Err(malformed("a marker inside packet data", marker_at));
            }
            _ => marker_at.saturating_add(1),
        };
    }
    Ok(())
}
