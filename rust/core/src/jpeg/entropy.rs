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

/// Looks for a marker among entropy-coded bytes, which come in pieces.
#[derive(Debug, Default)]
pub(crate) struct MarkerSearch {
    /// Whether the last piece ended with `FF`.
    is_after_ff: bool,
}

impl MarkerSearch {
    /// Whether the next piece has a marker other than `RSTn`, where [`scan_entropy`] would stop.
    ///
    /// Without a branch, so that many bytes are compared at a time: `FF` is too frequent in such
    /// data to be searched for.
    pub(crate) fn finds(&mut self, piece: &[u8]) -> bool {
        let (Some(&first), Some(&last)) = (piece.first(), piece.last()) else {
            return false;
        };
        let begins = u8::from(self.is_after_ff) & is_code(first);
        let pairs = piece.iter().zip(piece.iter().skip(1));
        let found = pairs.fold(begins, |found, (&byte, &behind)| {
            found | (u8::from(byte == 0xFF) & is_code(behind))
        });
        self.is_after_ff = last == 0xFF;
        found != 0
    }
}

/// 1 if a byte makes a marker of an `FF` in front of it: not one of the data, nor `RSTn`, nor fill.
fn is_code(byte: u8) -> u8 {
    u8::from(byte != 0x00) & u8::from(byte != 0xFF) & u8::from(byte & 0xF8 != marker::RST0)
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{End, MarkerSearch, scan_entropy};

    proptest! {
        #[test]
        fn a_search_in_pieces_finds_what_a_walk_through_all_of_them_does(
            bytes in prop::collection::vec(
                prop_oneof![Just(0xFF_u8), Just(0), Just(0xD0), Just(0xD7), Just(0xD8), Just(0xD9),
                            Just(0xCF), Just(0x55), any::<u8>()], 0..60),
            piece in 1_usize..20,
        ) {
            let walked = scan_entropy(&bytes);
            let mut search = MarkerSearch::default();
            let found = bytes.chunks(piece).fold(false, |found, piece| found | search.finds(piece));
            prop_assert_eq!(found, !matches!(walked, Ok(End { has_eoi: false, .. })));
        }
    }
}
