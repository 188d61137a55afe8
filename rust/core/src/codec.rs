//! Takes a tile apart: the header that its frame gets, and where its entropy-coded bytes lie.

mod reader;
mod split;

pub(crate) use reader::{Input, TileReader};

use std::cell::Cell;
use std::rc::Rc;

use crate::error::{Error, StreamError};
use crate::frame::HeaderSource;
use crate::limits::Limits;
use crate::source::Source;
use crate::tiles::{self, ByteRange};
use crate::{blank, deflate, jp2k, jpeg};

/// Bytes read from the end of a tile to find its end marker over padding.
const TAIL_READ: u64 = 32;

/// How the frames of a level are made from its tiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Codec {
    /// JPEG tiles, compression 7.
    Jpeg(jpeg::Recipe),
    /// JPEG 2000 tiles, and a blank frame for missing ones.
    Jpeg2000 {
        /// How main headers are made.
        recipe: jp2k::Recipe,
        /// A whole codestream of the level's kind, if a tile is missing.
        blank: Option<Vec<u8>>,
    },
    /// Deflate tiles, and a blank frame for missing ones.
    Deflated {
        /// What they hold.
        recipe: deflate::Recipe,
        /// A bare stream of the same, if a tile is missing.
        blank: Option<Vec<u8>>,
    },
}

/// EOI of JPEG and EOC of JPEG 2000 are the same two bytes, and a `00` after them pads an odd
/// frame (PS3.5 A.4).
const END_AND_PADDING: [u8; 3] = [0xFF, 0xD9, 0x00];

/// What a JPEG or JPEG 2000 frame of a length ends with.
pub(crate) fn end_of_jpeg(len: u64) -> &'static [u8] {
    let is_odd = len % 2 == 1;
    END_AND_PADDING
        .get(..if is_odd { 3 } else { 2 })
        .unwrap_or_default()
}

/// Facts by which the tiles of a level are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Facts {
    /// Of a JPEG tile.
    Jpeg(jpeg::Facts),
    /// Of a JPEG 2000 tile.
    Jpeg2000(jp2k::Facts),
    /// Of a Deflate tile: the bytes of its samples.
    Deflated(u64),
}

impl Facts {
    pub(crate) fn difference(&self, other: &Self) -> Option<&'static str> {
        match (self, other) {
            (Self::Jpeg(mine), Self::Jpeg(theirs)) => mine.difference(theirs),
            (Self::Jpeg2000(mine), Self::Jpeg2000(theirs)) => mine.difference(theirs),
            (Self::Deflated(mine), Self::Deflated(theirs)) if mine == theirs => None,
            _ => Some("its codec"),
        }
    }
}

/// Either the tile or the operating system is at fault.
pub(crate) enum Fault {
    Stream(StreamError),
    Other(Error),
}

impl From<StreamError> for Fault {
    fn from(error: StreamError) -> Self {
        Self::Stream(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl Fault {
    pub(crate) fn of_tile(self, tile: u64) -> Error {
        match self {
            Self::Stream(error) => Error::Tile { tile, error },
            Self::Other(error) => error,
        }
    }
}

fn to_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

fn to_usize(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

/// What a tile's header is made into.
pub(crate) struct Made {
    /// All the bytes that it depends on.
    head: Vec<u8>,
    /// Entropy-coded bytes, from the start of the tile.
    body_start: u64,
    pub(crate) header: Vec<u8>,
    pub(crate) facts: Facts,
    pub(crate) dropped: u32,
    /// Where a codestream in a JP2 file ends, from the start of the tile.
    limit: Option<u64>,
    /// Where the plan keeps the header.
    pub(crate) kept: Cell<Option<HeaderSource>>,
}

impl Made {
    /// Whether another tile's header became the same.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.header == other.header && self.facts.difference(&other.facts).is_none()
    }

    /// The same for a tile whose first tile-part has comments: its header is made anew, too.
    fn with_tile_part(&self, part: &jp2k::TilePart, cleaned: &jp2k::Cleaned) -> Self {
        Self {
            // It is of this tile alone.
            head: Vec::new(),
            body_start: self.body_start.saturating_add(part.header_len),
            header: [&self.header[..], &cleaned.bytes].concat(),
            facts: self.facts.clone(),
            dropped: self.dropped.saturating_add(cleaned.dropped),
            limit: self.limit,
            kept: Cell::new(None),
        }
    }
}

/// A tile, taken apart.
pub(crate) struct Split {
    pub(crate) made: Rc<Made>,
    /// Entropy-coded bytes, from the start of the tile.
    pub(crate) body_start: u64,
    pub(crate) body_len: u64,
    pub(crate) truncated: bool,
}

impl Codec {
    pub(crate) fn split(&self, tile: &mut TileReader<'_>) -> Result<Split, Fault> {
        match self {
            Self::Jpeg(recipe) => split::split_jpeg(recipe, tile),
            Self::Jpeg2000 { recipe, .. } => split::split_jpeg2000(recipe, tile),
            Self::Deflated { recipe, .. } => split::split_deflated(*recipe, tile),
        }
    }

    /// What a frame ends with behind bytes of its tile: an end marker, and what makes it even.
    pub(crate) fn tail(&self, header_len: u64, body_len: u64) -> &'static [u8] {
        let len = header_len.saturating_add(body_len);
        match self {
            // It has no end marker, but may be padded.
            Self::Deflated { .. } => end_of_jpeg(len).get(2..).unwrap_or_default(),
            _ => end_of_jpeg(len),
        }
    }

    /// Checks what every frame would repeat.
    pub(crate) fn check_limits(&self, limits: &Limits) -> Result<(), Error> {
        let (columns, rows, tables) = match self {
            Self::Jpeg(recipe) => {
                let (columns, rows) = (recipe.columns.into(), recipe.rows.into());
                (columns, rows, recipe.tables.byte_count())
            }
            Self::Jpeg2000 { recipe, .. } => (recipe.columns, recipe.rows, 0),
            Self::Deflated { recipe, .. } => (recipe.columns, recipe.rows, 0),
        };
        if tables > limits.tile_header_bytes {
            return Err(Error::Limit {
                what: format!("tag 347 JPEGTables of {tables} bytes"),
                name: "tile_header_bytes",
                limit: limits.tile_header_bytes,
            });
        }
        if u64::from(columns).saturating_mul(rows.into()) > limits.tile_pixels {
            return Err(Error::Limit {
                what: format!("a tile of {columns}x{rows} pixels"),
                name: "tile_pixels",
                limit: limits.tile_pixels,
            });
        }
        Ok(())
    }

    /// Builds the blank frame of a level whose first tile is `tile`.
    pub(crate) fn blank(&self, tile: &mut TileReader<'_>) -> Result<Vec<u8>, Fault> {
        let mut frame = match self {
            Self::Jpeg(recipe) => {
                tile.parse_start(|start| blank::jpeg_frame(recipe, &jpeg::parse_header(start)?))?
            }
            Self::Jpeg2000 { recipe, blank } => match blank {
                Some(blank) => clean_codestream(recipe, blank)?,
                None => Vec::new(),
            },
            Self::Deflated { blank, .. } => blank.clone().unwrap_or_default(),
        };
        if frame.len() % 2 == 1 {
            frame.push(0);
        }
        Ok(frame)
    }
}

/// A whole codestream without the comments of its encoder.
fn clean_codestream(recipe: &jp2k::Recipe, codestream: &[u8]) -> Result<Vec<u8>, StreamError> {
    let parsed = jp2k::parse_header(codestream)?;
    let mut clean = recipe.frame_header(&parsed)?;
    let body = usize::try_from(parsed.first_tile_part).unwrap_or(usize::MAX);
    clean.extend_from_slice(codestream.get(body..).unwrap_or_default());
    Ok(clean)
}

/// Reads the header of one tile, JPEG or JPEG 2000 by its first bytes, and checks that it can
/// be a frame of the given size.
///
/// # Errors
///
/// [`Error::TileOutsideFile`], [`Error::Tile`] and [`Error::Io`].
pub fn inspect(
    source: &Source,
    tile: u64,
    range: ByteRange,
    (columns, rows): (u32, u32),
    limits: &Limits,
) -> Result<Facts, Error> {
    read_facts(source, tile, range, limits, |start| {
        if is_jpeg2000(start) {
            let facts = jp2k::parse_header(start)?.facts;
            facts.check_frame(columns, rows)?;
            Ok(Facts::Jpeg2000(facts))
        } else {
            let facts = jpeg::parse_header(start)?.facts;
            facts.check_frame(columns, rows)?;
            Ok(Facts::Jpeg(facts))
        }
    })
}

/// Reads the header of one tile, JPEG or JPEG 2000 by its first bytes, of any process and size: it
/// need not be fit for a frame.
///
/// # Errors
///
/// [`Error::TileOutsideFile`], [`Error::Tile`] and [`Error::Io`].
pub fn inspect_any(
    source: &Source,
    tile: u64,
    range: ByteRange,
    limits: &Limits,
) -> Result<Facts, Error> {
    read_facts(source, tile, range, limits, |start| {
        if is_jpeg2000(start) {
            Ok(Facts::Jpeg2000(jp2k::parse_header(start)?.facts))
        } else {
            Ok(Facts::Jpeg(jpeg::parse_start(start)?.facts))
        }
    })
}

/// SOC of a codestream, or the signature box of a JP2 file.
fn is_jpeg2000(start: &[u8]) -> bool {
    start.starts_with(&[0xFF, 0x4F]) || start.starts_with(&[0, 0, 0, 12])
}

fn read_facts(
    source: &Source,
    tile: u64,
    range: ByteRange,
    limits: &Limits,
    parse: impl Fn(&[u8]) -> Result<Facts, StreamError>,
) -> Result<Facts, Error> {
    tiles::check_range(tile, range, &source.extents())?;
    let mut reader = TileReader::new(source, limits);
    reader.open(range);
    reader
        .parse_start(parse)
        .map_err(|fault| fault.of_tile(tile))
}
