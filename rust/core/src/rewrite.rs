//! Writes tiles that cannot be frames as they are anew, without changing a coefficient (route
//! `retile`).
//!
//! Such tiles are progressive or arithmetic-coded, have several scans, are cut off at the edge of
//! the level, overlap by whole MCUs, or hold one colour each. Their coefficients are decoded, put
//! together, and coded as the baseline process does. A tile that can be a frame keeps its
//! entropy-coded bytes.
//!
//! As in [`crate::retile`], the frames go into a spool file as stand-alone streams.

mod mosaic;
mod prove;

use std::fs::File;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use crate::codec::{self, Codec, Fault, TileReader};
use crate::error::{Error, StreamError};
use crate::groups::for_each_group;
use crate::jpeg::blocks::Blocks;
use crate::jpeg::{self, EOI, Facts, Recipe, optimal, parse_start, scans};
use crate::limits::Limits;
use crate::retile::Spool;
use crate::source::Source;
use crate::tiles::{self, ByteRange};
use crate::watch::Watch;
pub use mosaic::Mosaic;
use mosaic::Weaver;
pub use prove::prove_rewritten;

/// Frames in the spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    /// Where each lies, row by row; byte count 0 where the level has no tile.
    pub ranges: Vec<ByteRange>,
    /// Which were coded anew; the others hold the bytes of their tiles.
    pub is_rewritten: Vec<bool>,
}

impl Rewritten {
    /// How many were coded anew.
    #[must_use]
    pub fn rewritten(&self) -> usize {
        self.is_rewritten.iter().filter(|&&is| is).count()
    }
}

/// Reads what the header of a tile says, whatever its process, if its coefficients can be read.
///
/// # Errors
///
/// [`Error::TileOutsideFile`], [`Error::Tile`] and [`Error::Io`].
pub fn inspect_coded(
    source: &Source,
    tile: u64,
    range: ByteRange,
    limits: &Limits,
) -> Result<Facts, Error> {
    tiles::check_range(tile, range, &source.extents())?;
    let mut reader = TileReader::new(source, limits);
    reader.open(range);
    let facts = reader.parse_start(|bytes| {
        let start = parse_start(bytes)?;
        scans::check_start(&start)?;
        Ok(start.facts)
    });
    facts.map_err(|fault| fault.of_tile(tile))
}

/// Returns a stream as one that any decoder reads, padded to the size of the recipe.
///
/// Its entropy-coded bytes stay where they can.
///
/// # Errors
///
/// [`StreamError`] if its coefficients cannot be read, or are too many for the recipe.
pub fn rewrite_stream(
    bytes: &[u8],
    recipe: &Recipe,
    limits: &Limits,
) -> Result<Vec<u8>, StreamError> {
    let as_it_is = jpeg::parse_header(bytes).and_then(|header| {
        let body = bytes.get(header.len..).unwrap_or_default();
        Ok([recipe.frame_header(&header)?.as_slice(), body].concat())
    });
    if !matches!(
        as_it_is,
        Err(StreamError::Unsupported(_) | StreamError::Size { .. })
    ) {
        return as_it_is;
    }
    let size = (recipe.columns.into(), recipe.rows.into());
    let decoded = scans::decode(bytes, &recipe.tables, size, limits)?;
    let facts = mosaic::frame_facts(&[decoded.facts]).ok_or(StreamError::Incomplete)?;
    let have = decoded.blocks.mcus;
    let mut blocks = Blocks::new(&facts, facts.mcus(size.0, size.1), limits.coefficient_bytes)?;
    blocks.copy((0, 0), &decoded.blocks, (0, 0), have)?;
    blocks.extend(have.0, have.1);
    optimal::write_frame(recipe, &facts, &blocks)
}

/// Writes the frames of a mosaic and appends them to `spool`; `watch` counts frames.
///
/// # Errors
///
/// [`Error::Tile`] for a tile whose coefficients cannot be read or coded, [`Error::Mixed`] for one
/// that is encoded otherwise than the first, [`Error::TileOutsideFile`],
/// [`Error::TileOverlapsPrivate`], [`Error::NoTiles`], [`Error::Limit`], [`Error::Io`] and
/// [`Error::Cancelled`].
pub fn rewrite(
    source: &Source,
    mosaic: &Mosaic,
    recipe: &Recipe,
    spool: &File,
    limits: &Limits,
    watch: &mut dyn Watch,
) -> Result<Rewritten, Error> {
    let weaver = Weaver::new(source, mosaic, recipe, limits)?;
    let spool = Mutex::new(Spool::new(spool)?);
    let frames = for_each_group(weaver.frames_down(), watch, |row, done| {
        let mut frames = Vec::new();
        for column in 0..weaver.frames_across() {
            let (bytes, is_rewritten) = match copied(&weaver, (column, row))? {
                Some(bytes) => (bytes, false),
                None => match weaver.frame((column, row), recipe.colour)? {
                    Some(woven) => {
                        let written = optimal::write_frame(recipe, &woven.facts, &woven.blocks);
                        let bytes = written.map_err(|error| weaver.in_frame(column, row, error))?;
                        (bytes, true)
                    }
                    None => (Vec::new(), false),
                },
            };
            let mut spool = spool.lock().unwrap_or_else(PoisonError::into_inner);
            frames.push((spool.append(&bytes)?, is_rewritten));
            done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(frames)
    })?;
    source.check_unchanged()?;
    let (ranges, is_rewritten) = frames.into_iter().flatten().unzip();
    Ok(Rewritten {
        ranges,
        is_rewritten,
    })
}

/// The frame of a tile that can be one as it is.
fn copied(weaver: &Weaver<'_>, frame: (u32, u32)) -> Result<Option<Vec<u8>>, Error> {
    let Some((tile, range)) = weaver.only_tile(frame.0, frame.1) else {
        return Ok(None);
    };
    let codec = Codec::Jpeg(weaver.recipe.clone());
    let mut reader = TileReader::new(weaver.source, weaver.limits);
    reader.open(range);
    let split = match codec.split(&mut reader) {
        Ok(split) => split,
        Err(Fault::Stream(StreamError::Unsupported(_) | StreamError::Size { .. })) => {
            return Ok(None);
        }
        Err(fault) => return Err(fault.of_tile(tile)),
    };
    if let codec::Facts::Jpeg(facts) = &split.made.facts {
        weaver.check_alike(tile, facts)?;
    }
    let body = reader.read(split.body_start, split.body_len)?;
    // A scan behind the first one cannot be told from its header.
    match jpeg::scan_entropy(body) {
        Ok(_) => Ok(Some([&split.made.header[..], body, &EOI].concat())),
        Err(StreamError::Unsupported(_)) => Ok(None),
        Err(error) => Err(Error::Tile { tile, error }),
    }
}
