//! Finds where entropy-coded data ends.

use super::header::malformed;
use super::{EOI, marker};
use crate::error::StreamError;

/// How the entropy-coded data of a tile ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Length of the entropy-coded data within the searched bytes.
    pub len: usize,
    /// Whether an EOI was found.
    pub has_eoi: bool,
}

/// Finds the EOI at the end of a tile, over padding of `00` and `FF` bytes.
///
/// `tail` is the end of the tile. Returns the index of the EOI in it, or `None` if the tile
/// does not end so: then [`scan_entropy`] must look at all of it.
#[must_use]
pub fn find_eoi_at_end(tail: &[u8]) -> Option<usize> {
    let last = tail
        .iter()
        .rposition(|&byte| byte != 0x00 && byte != 0xFF)?;
    let at = last.checked_sub(1)?;
    (tail.get(at..=last)? == EOI).then_some(at)
}

/// Walks entropy-coded data to its end: the EOI, or the end of `bytes`.
///
/// # Errors
///
/// [`StreamError`] for any marker other than `RSTn` and EOI: a second scan, or a comment that
/// hides between the scans.
pub fn scan_entropy(bytes: &[u8]) -> Result<End, StreamError> {
    let mut at = 0_usize;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr(0xFF, rest)) {
        let marker_at = at.saturating_add(found);
        let next = marker_at.saturating_add(1);
        match bytes.get(next) {
            Some(0x00 | marker::RST0..=marker::RST7) => at = next.saturating_add(1),
            Some(0xFF) => at = next,
            Some(&marker::EOI) => {
                return Ok(End {
                    len: marker_at,
                    has_eoi: true,
                });
            }
            Some(&marker::SOS) => return Err(StreamError::Unsupported("more than one scan")),
            Some(&marker::DNL) => return Err(StreamError::Unsupported("a DNL segment")),
            Some(_) => return Err(malformed("a marker inside entropy-coded data", marker_at)),
            // A lone FF at the end is padding: the EOI that is put there supplies its own.
            None => {
                return Ok(End {
                    len: marker_at,
                    has_eoi: false,
                });
            }
        }
    }
    Ok(End {
        len: bytes.len(),
        has_eoi: false,
    })
}
