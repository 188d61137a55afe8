//! Finds the codestream in a JP2 file (T.800 Annex I).

use super::{malformed, u32_at, u64_at};
use crate::error::StreamError;

/// First bytes of a JP2 file: the signature box (T.800 I.5.1).
pub(super) const JP2_SIGNATURE: [u8; 12] = *b"\0\0\0\x0CjP  \r\n\x87\n";

#[derive(Debug, Default)]
pub(super) struct Boxes {
    pub(super) codestream: usize,
    pub(super) limit: Option<u64>,
    pub(super) colour: Option<u32>,
    pub(super) dropped: u32,
}

/// Walks the boxes of a JP2 file to the one that holds the codestream (T.800 I.4).
pub(super) fn walk_boxes(bytes: &[u8]) -> Result<Boxes, StreamError> {
    let mut boxes = Boxes::default();
    let mut at = 0_usize;
    loop {
        let (kind, content, end) = read_box(bytes, at)?;
        if kind == *b"jp2c" {
            boxes.codestream = content;
            boxes.limit = end.and_then(|end| u64::try_from(end).ok());
            return Ok(boxes);
        }
        boxes.dropped = boxes.dropped.saturating_add(1);
        let Some(end) = end else {
            return Err(malformed("a JP2 file without a codestream", at));
        };
        if kind == *b"jp2h" {
            let header_box = bytes.get(content..end).ok_or(StreamError::Incomplete)?;
            // The box is whole, so more bytes do not help.
            boxes.colour =
                read_colour(header_box).map_err(|_| malformed("a damaged JP2 header", at))?;
        }
        at = end;
    }
}

/// Returns a box's type, where its content begins, and where it ends unless that is the end
/// of the file.
fn read_box(bytes: &[u8], at: usize) -> Result<([u8; 4], usize, Option<usize>), StreamError> {
    let short = u32_at(bytes, at)?;
    let kind = u32_at(bytes, at.saturating_add(4))?.to_be_bytes();
    let (header, len) = match short {
        0 => return Ok((kind, at.saturating_add(8), None)),
        1 => (16_u64, u64_at(bytes, at.saturating_add(8))?),
        _ => (8, u64::from(short)),
    };
    if len < header {
        return Err(malformed("a box that is shorter than its header", at));
    }
    let len = usize::try_from(len).map_err(|_| malformed("a box that is too long", at))?;
    let content = at.saturating_add(if short == 1 { 16 } else { 8 });
    Ok((kind, content, Some(at.saturating_add(len))))
}

/// Returns the enumerated colour space of the first `colr` box that has one (T.800 I.5.3.3).
fn read_colour(header_box: &[u8]) -> Result<Option<u32>, StreamError> {
    let mut at = 0_usize;
    while at < header_box.len() {
        let (kind, content, end) = read_box(header_box, at)?;
        if kind == *b"colr" && header_box.get(content) == Some(&1) {
            return u32_at(header_box, content.saturating_add(3)).map(Some);
        }
        at = end.unwrap_or(header_box.len());
    }
    Ok(None)
}
