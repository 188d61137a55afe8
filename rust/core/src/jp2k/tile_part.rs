//! Walks tile-parts.

use std::ops::Range;

use super::{malformed, marker, segment_end, u16_at, u32_at};
use crate::error::StreamError;

/// One tile-part, as far as its header tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TilePart {
    /// Length from the SOT marker to the end of its data; `None` if it goes on to the EOC.
    pub len: Option<u64>,
    /// Length of its header, SOD included.
    pub header_len: u64,
    /// The header without its comments, if it has any.
    pub cleaned: Option<Cleaned>,
}

/// The header of a tile-part whose comments were dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleaned {
    /// From SOT to SOD; the length in SOT is that of what is left.
    pub bytes: Vec<u8>,
    /// How many comments were dropped.
    pub dropped: u32,
}

/// Walks the header of the tile-part at the start of `bytes`.
///
/// # Errors
///
/// [`StreamError::Incomplete`] if `bytes` end before SOD; [`StreamError::Unsupported`] for a
/// segment other than PLT and COM; [`StreamError::Malformed`] for a header that T.800 does not allow.
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
    let (mut at, mut packets, mut comments) = (12_usize, None, Vec::new());
    loop {
        let code = u16_at(bytes, at)?;
        if code == marker::SOD {
            break;
        }
        let end = segment_end(bytes, at)?;
        match code {
            marker::PLT => {
                let payload = at.saturating_add(5);
                let lengths = bytes.get(payload..end).ok_or(StreamError::Incomplete)?;
                let sum = packet_bytes(lengths).ok_or(malformed("a PLT of wrong content", at))?;
                packets = Some(packets.unwrap_or(0_u64).saturating_add(sum));
            }
            marker::COM => comments.push(at..end),
            // It would overrule the wavelet and colour transformation of the main header.
            marker::COD
            | marker::COC
            | marker::QCD
            | marker::QCC
            | marker::RGN
            | marker::POC
            | marker::PPT => {
                return Err(StreamError::Unsupported(
                    "a coding style inside a JPEG 2000 tile-part",
                ));
            }
            _ => {
                return Err(malformed(
                    "a marker that does not belong into a tile-part header",
                    at,
                ));
            }
        }
        at = end;
    }
    let header_len = u64::try_from(at.saturating_add(2)).unwrap_or(u64::MAX);
    if len.is_some_and(|len| len < header_len) {
        return Err(malformed("a tile-part that is shorter than its header", 0));
    }
    // Lengths that do not add up are no lengths, but whatever a comment said before a bit fell.
    if packets.is_some_and(|sum| len.map(|len| len.saturating_sub(header_len)) != Some(sum)) {
        return Err(malformed(
            "a PLT whose packets are not those of its tile-part",
            0,
        ));
    }
    let header = bytes.get(..at.saturating_add(2)).unwrap_or_default();
    Ok(TilePart {
        len,
        header_len,
        cleaned: clean(header, len, &comments),
    })
}

/// Returns a header of a tile-part without its comments, and their number, if it has any.
fn clean(header: &[u8], len: Option<u64>, comments: &[Range<usize>]) -> Option<Cleaned> {
    if comments.is_empty() {
        return None;
    }
    let starts = [0].into_iter().chain(comments.iter().map(|c| c.end));
    let ends = comments.iter().map(|c| c.start).chain([header.len()]);
    let mut bytes: Vec<u8> = starts
        .zip(ends)
        .flat_map(|(start, end)| header.get(start..end).unwrap_or_default())
        .copied()
        .collect();
    let less = u64::try_from(header.len().saturating_sub(bytes.len())).unwrap_or(u64::MAX);
    if let (Some(len), Some(psot)) = (len, bytes.get_mut(6..10)) {
        let left = u32::try_from(len.saturating_sub(less)).unwrap_or(u32::MAX);
        psot.copy_from_slice(&left.to_be_bytes());
    }
    Some(Cleaned {
        bytes,
        dropped: u32::try_from(comments.len()).unwrap_or(u32::MAX),
    })
}

/// Adds up the packet lengths of a PLT: seven bits a byte, the highest bit set but in the last
/// (T.800 A.7.3). `None` if they do not end where the segment does.
fn packet_bytes(lengths: &[u8]) -> Option<u64> {
    let (mut sum, mut length, mut is_open) = (0_u64, 0_u64, false);
    for byte in lengths {
        length = length
            .checked_mul(128)?
            .checked_add(u64::from(byte & 0x7F))?;
        is_open = byte & 0x80 != 0;
        if !is_open {
            sum = sum.checked_add(length)?;
            length = 0;
        }
    }
    (!is_open).then_some(sum)
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
