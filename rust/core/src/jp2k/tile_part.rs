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
/// segment other than PLT; [`StreamError::Malformed`] for a header that T.800 does not allow.
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
    let (mut at, mut packets) = (12_usize, None);
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
            // A comment could not be dropped without changing the tile-part's length; a coding
            // style would overrule the wavelet and colour transformation of the main header.
            marker::COM
            | marker::COD
            | marker::COC
            | marker::QCD
            | marker::QCC
            | marker::RGN
            | marker::POC
            | marker::PPT => {
                return Err(StreamError::Unsupported(
                    "a comment or coding style inside a JPEG 2000 tile-part",
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
    Ok(TilePart { len, header_len })
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
