//! Compares one frame with its tile.

use crate::codec::Facts;
use crate::error::{Error, StreamError};
use crate::{deflate, jp2k, jpeg};

/// Whether a frame holds the entropy-coded bytes of its tile.
pub(super) fn holds(frame: u64, bytes: &[u8], tile: &[u8], facts: &Facts) -> Result<bool, Error> {
    let bad = |error| Error::Frame { frame, error };
    let (body, lead) = match facts {
        Facts::Jpeg(_) => jpeg_body(bytes).map_err(bad)?,
        Facts::Jpeg2000(_) => {
            let body = jpeg2000_body(bytes).map_err(bad)?;
            match jpeg2000_start(tile).map_err(bad)? {
                (start, None) => (body, Lead::Header(start)),
                (start, Some(header)) => match body.strip_prefix(&header[..]) {
                    Some(body) => (body, Lead::Header(start)),
                    None => return Ok(false),
                },
            }
        }
        Facts::Deflated(frame_bytes) => {
            let body = deflate::body(bytes, *frame_bytes).map_err(bad)?;
            let at_body = usize::try_from(deflate::ZLIB_HEADER).ok();
            let in_tile = at_body.and_then(|at| tile.get(at..));
            return Ok(in_tile.is_some_and(|in_tile| in_tile.starts_with(body)));
        }
    };
    Ok(holds_body(tile, body, lead))
}

/// Where the bytes of a JPEG 2000 tile begin that are copied, and the header of its first
/// tile-part without comments, if that was made anew.
fn jpeg2000_start(tile: &[u8]) -> Result<(u64, Option<Vec<u8>>), StreamError> {
    let start = jp2k::parse_header(tile)?.first_tile_part;
    let rest = usize::try_from(start).ok().and_then(|at| tile.get(at..));
    let part = jp2k::parse_tile_part(rest.unwrap_or_default())?;
    Ok(match part.cleaned {
        None => (start, None),
        Some(cleaned) => (start.saturating_add(part.header_len), Some(cleaned.bytes)),
    })
}

/// What must stand in the tile right before the entropy-coded bytes.
#[derive(Clone, Copy)]
enum Lead {
    /// A scan header of this length.
    Scan(usize),
    /// A header that ends here, so that no tile-part can be missing.
    Header(u64),
}

impl Lead {
    /// Whether the entropy-coded bytes of a tile may end where `behind` begins.
    fn may_end_before(self, behind: &[u8]) -> bool {
        match self {
            // A lone FF is the start of an end marker that was cut off.
            Self::Scan(_) => matches!(behind, [] | [0xFF] | [0xFF, 0xD9, ..]),
            // Lengths inside tile-parts tell where they end; there must not be one more.
            Self::Header(_) => !behind.starts_with(&jp2k::marker::SOT.to_be_bytes()),
        }
    }
}

/// Whether a tile holds `body` right behind `lead`, and nothing more of its kind behind that.
///
/// Takes time in proportion to the tile: `body` holds no SOS, so that no comparison goes on
/// past the place where the next one begins.
fn holds_body(tile: &[u8], body: &[u8], lead: Lead) -> bool {
    let is_at = |at: usize| {
        let behind = tile.get(at..).and_then(|rest| rest.strip_prefix(body));
        behind.is_some_and(|behind| lead.may_end_before(behind))
    };
    match lead {
        Lead::Scan(len) => memchr::memmem::find_iter(tile, &[0xFF, jpeg::marker::SOS])
            .any(|start| is_at(start.saturating_add(len))),
        Lead::Header(end) => usize::try_from(end).is_ok_and(is_at),
    }
}

/// Reads the header of a JPEG frame: it has only the permitted segments.
pub(super) fn permitted_header(bytes: &[u8]) -> Result<jpeg::Header<'_>, StreamError> {
    let header = jpeg::parse_header(bytes)?;
    let adobe = u32::from(header.facts.adobe_transform.is_some());
    if header.dropped != adobe || header.facts.jfif {
        return Err(malformed("an application or comment segment in a frame", 0));
    }
    Ok(header)
}

/// Walks a JPEG frame: only the permitted segments, one scan, EOI, at most one byte of padding.
fn jpeg_body(bytes: &[u8]) -> Result<(&[u8], Lead), StreamError> {
    let header = permitted_header(bytes)?;
    let body = bytes.get(header.len..).unwrap_or_default();
    let end = jpeg::scan_entropy(body)?;
    let (body, rest) = body.split_at_checked(end.len).unwrap_or_default();
    check_end(rest)?;
    Ok((body, Lead::Scan(header.scan_len())))
}

/// Walks a JPEG 2000 frame: no comment anywhere, nothing behind the EOC.
fn jpeg2000_body(bytes: &[u8]) -> Result<&[u8], StreamError> {
    let header = jp2k::parse_header(bytes)?;
    if header.dropped != 0 {
        return Err(malformed("a comment in a codestream", 0));
    }
    let start = usize::try_from(header.first_tile_part).unwrap_or(usize::MAX);
    let codestream = bytes
        .strip_suffix(&[0])
        .filter(|rest| rest.ends_with(&jpeg::EOI))
        .unwrap_or(bytes);
    let end = codestream.len().saturating_sub(2);
    let mut at = start;
    while at < end {
        let part = codestream.get(at..end).unwrap_or_default();
        let tile_part = jp2k::parse_tile_part(part)?;
        if tile_part.cleaned.is_some() {
            return Err(malformed("a comment in a codestream", at));
        }
        let len = tile_part
            .len
            .and_then(|len| usize::try_from(len).ok())
            .unwrap_or(part.len());
        let data_start = usize::try_from(tile_part.header_len).unwrap_or(usize::MAX);
        let data = part
            .get(data_start..len)
            .ok_or(malformed("a tile-part that is longer than its frame", at))?;
        jp2k::check_packets(data)?;
        at = at.saturating_add(len.max(1));
    }
    check_end(bytes.get(end..).unwrap_or_default())?;
    Ok(bytes.get(start..end).unwrap_or_default())
}

/// Whether this is an end marker and at most one byte of padding.
pub(super) fn is_end(rest: &[u8]) -> bool {
    matches!(rest, [0xFF, 0xD9] | [0xFF, 0xD9, 0x00])
}

fn check_end(rest: &[u8]) -> Result<(), StreamError> {
    if is_end(rest) {
        Ok(())
    } else {
        Err(malformed("bytes behind the end marker", 0))
    }
}

fn malformed(what: &'static str, at: usize) -> StreamError {
    StreamError::Malformed {
        what,
        at: u64::try_from(at).unwrap_or(u64::MAX),
    }
}
