//! Finds where the header of a tile ends, and where its entropy-coded bytes do.

use std::borrow::Cow;
use std::cell::Cell;
use std::rc::Rc;

use super::reader::FIRST_READ;
use super::{Facts, Fault, Made, Split, TAIL_READ, TileReader, to_u64};
use crate::error::{Error, StreamError};
use crate::{deflate, jp2k, jpeg};

pub(super) fn split_jpeg(recipe: &jpeg::Recipe, tile: &mut TileReader<'_>) -> Result<Split, Fault> {
    let made = match tile.made_before()? {
        Some(made) => made,
        None => make_jpeg(recipe, tile)?,
    };
    let body_start = made.body_start;
    let (body_len, truncated) = find_jpeg_end(tile, body_start)?;
    Ok(Split {
        made,
        body_start,
        body_len,
        truncated,
    })
}

fn make_jpeg(recipe: &jpeg::Recipe, tile: &mut TileReader<'_>) -> Result<Rc<Made>, Fault> {
    let (header, facts, len, dropped) = tile.parse_start(|start| {
        let parsed = jpeg::parse_header(start)?;
        Ok((
            recipe.frame_header(&parsed)?,
            parsed.facts,
            parsed.len,
            parsed.dropped,
        ))
    })?;
    let body_start = to_u64(len);
    Ok(tile.made(body_start, |head| Made {
        head,
        body_start,
        header,
        facts: Facts::Jpeg(facts),
        dropped,
        limit: None,
        kept: Cell::new(None),
    }))
}

/// Finds the end of the entropy-coded data: at the end of the tile as a rule, else, or if the
/// reader is thorough, by walking through all of it.
fn find_jpeg_end(tile: &mut TileReader<'_>, body_start: u64) -> Result<(u64, bool), Fault> {
    let body = tile.range.byte_count.saturating_sub(body_start);
    let tail_len = body.min(TAIL_READ);
    let tail_start = body.saturating_sub(tail_len);
    if !tile.is_thorough {
        let tail = tile.read(body_start.saturating_add(tail_start), tail_len)?;
        if let Some(eoi) = jpeg::find_eoi_at_end(tail) {
            return Ok((tail_start.saturating_add(to_u64(eoi)), false));
        }
    }
    let end = jpeg::scan_entropy(tile.read_rest(body_start)?)?;
    Ok((u64::try_from(end.len).unwrap_or(u64::MAX), !end.has_eoi))
}

pub(super) fn split_jpeg2000(
    recipe: &jp2k::Recipe,
    tile: &mut TileReader<'_>,
) -> Result<Split, Fault> {
    let made = match tile.made_before()? {
        Some(made) => made,
        None => make_jpeg2000(recipe, tile)?,
    };
    let limit = made.limit.unwrap_or(u64::MAX).min(tile.range.byte_count);
    let first = read_tile_part(tile, made.body_start, limit.saturating_sub(made.body_start))?;
    let (end, truncated) = find_codestream_end(tile, (made.body_start, &first), limit)?;
    let made = match &first.cleaned {
        None => made,
        Some(cleaned) => Rc::new(made.with_tile_part(&first, cleaned)),
    };
    let body_start = made.body_start;
    Ok(Split {
        made,
        body_start,
        body_len: end.saturating_sub(body_start),
        truncated,
    })
}

fn make_jpeg2000(recipe: &jp2k::Recipe, tile: &mut TileReader<'_>) -> Result<Rc<Made>, Fault> {
    let parsed = tile.parse_start(jp2k::parse_header)?;
    let header = recipe.frame_header(&parsed)?;
    let body_start = parsed.first_tile_part;
    // That nothing more belongs to the header is told by the marker behind it.
    Ok(tile.made(body_start.saturating_add(2), |head| Made {
        head,
        body_start,
        header,
        facts: Facts::Jpeg2000(parsed.facts),
        dropped: parsed.dropped,
        limit: parsed.limit,
        kept: Cell::new(None),
    }))
}

/// Inflates a tile, since nothing else tells where its stream ends.
pub(super) fn split_deflated(
    recipe: deflate::Recipe,
    tile: &mut TileReader<'_>,
) -> Result<Split, Fault> {
    let body_len = deflate::bare_len(&tile.read_all()?, recipe.frame_bytes())?;
    let made = match &tile.last {
        Some(made) => Rc::clone(made),
        None => tile.made(0, |head| Made {
            head,
            body_start: deflate::ZLIB_HEADER,
            header: Vec::new(),
            facts: Facts::Deflated(recipe.frame_bytes()),
            dropped: 0,
            limit: None,
            kept: Cell::new(None),
        }),
    };
    Ok(Split {
        body_start: made.body_start,
        made,
        body_len,
        truncated: false,
    })
}

/// Follows the tile-parts to the EOC; returns where it is, and whether it is missing.
fn find_codestream_end(
    tile: &mut TileReader<'_>,
    (start, first): (u64, &jp2k::TilePart),
    limit: u64,
) -> Result<(u64, bool), Fault> {
    let mut at = start;
    for number in 0..tile.limits.tile_parts {
        let room = limit.saturating_sub(at);
        let part = if number == 0 {
            Cow::Borrowed(first)
        } else {
            Cow::Owned(read_tile_part(tile, at, room)?)
        };
        if number > 0 && part.cleaned.is_some() {
            // A frame is a header and the rest of its tile as it stands there.
            let what = "a comment inside a JPEG 2000 tile-part that is not the first";
            return Err(Fault::Stream(StreamError::Unsupported(what)));
        }
        let Some(len) = part.len else {
            let data_start = at.saturating_add(part.header_len);
            let data = tile.read_rest(data_start)?;
            // No packet has an EOC among its bytes (T.800 B.10.1, D.4).
            return match memchr::memmem::find(data, &jpeg::EOI) {
                Some(eoc) => Ok((data_start.saturating_add(to_u64(eoc)), false)),
                None => Ok((limit, true)),
            };
        };
        if len > room {
            let what = "a JPEG 2000 tile-part that goes on past the end of its tile";
            return Err(Fault::Stream(StreamError::Malformed { what, at }));
        }
        at = at.saturating_add(len);
        let next = tile.read(at, 2.min(limit.saturating_sub(at)))?;
        match next {
            [0xFF, 0xD9] => return Ok((at, false)),
            [0xFF, 0x90] => {}
            // Nothing more, or padding: the end marker is missing.
            _ => return Ok((at, true)),
        }
    }
    Err(Fault::Other(Error::Limit {
        what: "the number of JPEG 2000 tile-parts in a tile".into(),
        name: "tile_parts",
        limit: tile.limits.tile_parts,
    }))
}

/// Reads the header of one tile-part; PLT segments can make it long.
fn read_tile_part(tile: &mut TileReader<'_>, at: u64, room: u64) -> Result<jp2k::TilePart, Fault> {
    // The first one is as a rule at hand, read together with the main header.
    let at_hand = to_u64(tile.start.len()).saturating_sub(at);
    let mut want = if at_hand >= jp2k::SOT_LEN {
        at_hand
    } else {
        FIRST_READ
    };
    loop {
        match jp2k::parse_tile_part(tile.read(at, room.min(want))?) {
            Err(StreamError::Incomplete) if want < room => {
                want = tile.limits.next_header_read(want)?;
            }
            other => return other.map_err(Fault::Stream),
        }
    }
}
