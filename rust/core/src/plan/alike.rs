//! Plans a level whose tiles are all alike from some of them, and checks the others on the way.
//!
//! Nearly every level has tiles with one and the same header and end. Then what [`plan_frames`]
//! finds out by reading all of them before the first frame is written, some tell as well; and
//! whether the rest are like them is told when their bytes are there to be copied. So each byte of
//! a level is read once, also where the memory does not hold it.
//!
//! [`plan_frames`]: crate::plan_frames

use std::rc::Rc;

use super::check::{EndCheck, are_ends_sure};
use super::{Check, blank_frame};
use crate::codec::{Codec, Input, Made, Split, TileReader};
use crate::error::Error;
use crate::frame::{FramePlan, HeaderSource, MadeOf, Part, Shape, ShapeIndex, Summary, Tiled};
use crate::limits::Limits;
use crate::source::Source;
use crate::tiles::{ByteRange, TileIndex};

/// Tiles that are looked at, evenly spread. Where a level has several kinds of tiles, as a rule
/// none of them is rare.
const SAMPLE: usize = 16;

/// Longer tiles are copied in pieces, so that there is never all of one to look at.
pub(crate) const PIECE_BYTES: u64 = 1 << 18;

/// Plans the frames of a level from some of its tiles, all others supposed to be like them.
///
/// `None` if it must be [`plan_frames`], which is true of few tiles, of tiles that are not alike or
/// that are bad, and of those that must be read as a whole anyway. [`write_instance`] compares
/// every tile with the plan and ends with [`Error::Unlike`] at one that is not as it was supposed
/// to be; otherwise the plan is equal to that of all tiles.
///
/// [`plan_frames`]: crate::plan_frames
/// [`write_instance`]: crate::write_instance
///
/// # Errors
///
/// [`Error::Io`] and [`Error::SourceChanged`].
pub fn plan_alike(
    source: &Source,
    tiles: TileIndex,
    codec: &Codec,
    limits: &Limits,
) -> Result<Option<FramePlan>, Error> {
    let ranges = tiles.ranges();
    let longest = ranges.iter().map(|range| range.byte_count).max();
    let fits = longest.is_some_and(|longest| longest <= PIECE_BYTES);
    // To inflate a tile takes longer than to copy it: all cores are needed.
    let is_short = matches!(codec, Codec::Deflated { .. });
    let Some((first, _)) = tiles.first_present().filter(|_| fits && !is_short) else {
        return Ok(None);
    };
    match look(source, &tiles, codec, limits, first) {
        Ok(found) => Ok(found.map(|found| plan(source, tiles, codec, limits, found))),
        Err(error @ (Error::Io(_) | Error::SourceChanged)) => Err(error),
        // What is wrong is told by whoever looks at all tiles.
        Err(_) => Ok(None),
    }
}

/// What the sample told.
struct Found {
    alike: Shape,
    made: Rc<Made>,
    blank: Vec<u8>,
}

fn look(
    source: &Source,
    tiles: &TileIndex,
    codec: &Codec,
    limits: &Limits,
    first: u64,
) -> Result<Option<Found>, Error> {
    codec.check_limits(limits)?;
    let present = || {
        let all = (0_u64..).zip(tiles.ranges());
        all.filter(|(_, range)| range.byte_count > 0)
    };
    let count = present().count();
    if count <= SAMPLE {
        return Ok(None);
    }
    // The last tile of a level is the likeliest to be another one.
    let sample = present()
        .step_by(count.div_ceil(SAMPLE))
        .chain(present().last());
    let mut reader = TileReader::new(source, limits);
    let mut found: Option<(Shape, Rc<Made>)> = None;
    for (tile, range) in sample {
        reader.open(*range);
        let split = codec
            .split(&mut reader)
            .map_err(|fault| fault.of_tile(tile))?;
        let Some(alike) = likeness(&split, range.byte_count) else {
            return Ok(None);
        };
        match &found {
            None => found = Some((alike, split.made)),
            Some((other, made)) if *other == alike && made.is_like(&split.made) => {}
            Some(_) => return Ok(None),
        }
    }
    let Some((alike, made)) = found else {
        return Ok(None);
    };
    if let Some(range) = tiles.first_present().map(|(_, range)| range) {
        reader.open(range);
    }
    let blank = blank_frame(codec, &mut reader, first, tiles)?;
    Ok(Some(Found { alike, made, blank }))
}

fn plan(
    source: &Source,
    tiles: TileIndex,
    codec: &Codec,
    limits: &Limits,
    found: Found,
) -> FramePlan {
    let Found { alike, made, blank } = found;
    let is_blank = |range: &ByteRange| range.byte_count == 0;
    let frames: Vec<_> = tiles
        .ranges()
        .iter()
        .map(|range| {
            if is_blank(range) {
                ShapeIndex::BLANK
            } else {
                ShapeIndex(0)
            }
        })
        .collect();
    let blanks = tiles
        .ranges()
        .iter()
        .filter(|range| is_blank(range))
        .count();
    let copied = u64::try_from(frames.len().saturating_sub(blanks)).unwrap_or(u64::MAX);
    let mut plan = FramePlan {
        facts: made.facts.clone(),
        limits: limits.clone(),
        stamps: source.stamps(),
        made_of: MadeOf::Tiled(Tiled {
            codec: codec.clone(),
            tiles,
            frames,
            shapes: vec![alike],
            headers: vec![made.header.clone()],
            blank,
            alike: Some(alike),
            are_ends_sure: are_ends_sure(codec),
        }),
        summary: Summary {
            copied,
            blank: u64::try_from(blanks).unwrap_or(u64::MAX),
            truncated: 0,
            dropped_segments: copied.saturating_mul(alike.dropped.into()),
            frame_bytes: 0,
        },
    };
    plan.summary.frame_bytes = plan.lengths().fold(0, u64::saturating_add);
    plan
}

/// What a tile of `byte_count` bytes is like; `None` if no other is like it.
fn likeness(split: &Split, byte_count: u64) -> Option<Shape> {
    let behind = byte_count
        .checked_sub(split.body_start)?
        .checked_sub(split.body_len)?;
    let shape = Shape {
        body_start: u32::try_from(split.body_start).ok()?,
        behind: u32::try_from(behind).ok()?,
        header: HeaderSource::Kept(0),
        truncated: false,
        dropped: split.made.dropped,
    };
    (!split.truncated).then_some(shape)
}

/// Compares tiles with what they were supposed to be like.
pub(super) struct AlikeCheck<'a> {
    plan: &'a FramePlan,
    tiled: &'a Tiled,
    alike: Shape,
    /// The last header that was found to be the right one.
    last: Option<Rc<Made>>,
}

impl<'a> AlikeCheck<'a> {
    /// `None` if the plan has looked at every tile.
    pub(super) fn new(plan: &'a FramePlan, tiled: &'a Tiled) -> Option<Self> {
        let alike = tiled.alike?;
        Some(Self {
            plan,
            tiled,
            alike,
            last: None,
        })
    }

    fn tile(&self, number: u64) -> Option<ByteRange> {
        let index = usize::try_from(number).ok()?;
        self.tiled.tiles.ranges().get(index).copied()
    }

    fn has_right_header(&self, made: &Made) -> bool {
        self.tiled.headers.first() == Some(&made.header)
            && self.plan.facts.difference(&made.facts).is_none()
    }
}

impl Check for AlikeCheck<'_> {
    /// All of the tile.
    fn scope(&self, part: Part) -> ByteRange {
        self.tile(part.number).unwrap_or(part.range)
    }

    fn check(&mut self, parts: &[Part], offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let input = Input::Memory(offset, bytes);
        let mut reader = TileReader::new(input, &self.plan.limits).knowing(self.last.take());
        for part in parts {
            let tile = part.number;
            let range = self.tile(tile).ok_or(Error::Unlike { tile })?;
            reader.open(range);
            let Ok(split) = self.tiled.codec.split(&mut reader) else {
                return Err(Error::Unlike { tile });
            };
            let is_known = self
                .last
                .as_ref()
                .is_some_and(|last| Rc::ptr_eq(last, &split.made));
            let is_alike = likeness(&split, range.byte_count) == Some(self.alike)
                && (is_known || self.has_right_header(&split.made));
            if !is_alike {
                return Err(Error::Unlike { tile });
            }
            if !self.tiled.are_ends_sure {
                let body = part.range.slice(offset, bytes);
                let body = body.ok_or(Error::Unlike { tile })?;
                EndCheck::default().body(tile, part.range.offset, body)?;
            }
            self.last = Some(split.made);
        }
        Ok(())
    }
}
