//! Takes a tile apart: the header that its frame gets, and where its entropy-coded bytes lie.

mod split;

use std::cell::Cell;
use std::rc::Rc;

use crate::error::{Error, StreamError};
use crate::frame::HeaderSource;
use crate::limits::Limits;
use crate::source::Source;
use crate::tiles::{self, ByteRange};
use crate::{blank, deflate, jp2k, jpeg};

/// Bytes read from the start of a tile while it is not known how long its header is.
const FIRST_READ: u64 = 1024;
/// Bytes read beyond the length of the last header, since the next one may differ a little.
const HEADER_MARGIN: u64 = 64;
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

/// Reads pieces of one tile into buffers that are used again for the next.
///
/// The end of a tile is read together with what is behind it, where the next one begins as a rule,
/// and a header that has the bytes of the one before is not taken apart again: a level has
/// millions of tiles.
pub(crate) struct TileReader<'a> {
    source: &'a Source,
    limits: &'a Limits,
    pub(crate) range: ByteRange,
    first_read: u64,
    start: Vec<u8>,
    piece: Vec<u8>,
    /// Where `piece` lies in the file.
    piece_at: u64,
    last: Option<Rc<Made>>,
}

impl<'a> TileReader<'a> {
    pub(crate) fn new(source: &'a Source, limits: &'a Limits) -> Self {
        let range = ByteRange {
            offset: 0,
            byte_count: 0,
        };
        Self {
            source,
            limits,
            range,
            first_read: FIRST_READ,
            start: Vec::new(),
            piece: Vec::new(),
            piece_at: 0,
            last: None,
        }
    }

    pub(crate) fn open(&mut self, range: ByteRange) {
        self.range = range;
        self.start.clear();
    }

    /// Reads the start of the tile, and more of it as long as `parse` asks for more.
    pub(crate) fn parse_start<T>(
        &mut self,
        parse: impl Fn(&[u8]) -> Result<T, StreamError>,
    ) -> Result<T, Fault> {
        let mut want = self.first_read;
        loop {
            let len = want.min(self.range.byte_count);
            self.read_start(len)?;
            match parse(&self.start) {
                Err(StreamError::Incomplete) if len < self.range.byte_count => {
                    want = self.limits.next_header_read(want)?;
                }
                other => return other.map_err(Fault::Stream),
            }
        }
    }

    fn read_start(&mut self, len: u64) -> Result<(), Error> {
        let from = self.range.offset.checked_sub(self.piece_at).map(to_usize);
        let at_hand =
            from.and_then(|from| self.piece.get(from..from.saturating_add(to_usize(len))));
        self.start.clear();
        if let Some(bytes) = at_hand {
            self.start.extend_from_slice(bytes);
            return Ok(());
        }
        self.start.resize(to_usize(len), 0);
        self.source
            .read_exact_at(&mut self.start, self.range.offset)
    }

    /// Returns what the last tile's header became, if this one's has the same bytes.
    fn made_before(&mut self) -> Result<Option<Rc<Made>>, Error> {
        let Some(last) = self.last.clone() else {
            return Ok(None);
        };
        let len = to_u64(last.head.len());
        if len > self.range.byte_count {
            return Ok(None);
        }
        self.read_start(self.first_read.max(len).min(self.range.byte_count))?;
        Ok(self.start.starts_with(&last.head).then_some(last))
    }

    /// Notes what a header became that depends on the first `len` bytes.
    fn made(&mut self, len: u64, made: impl FnOnce(Vec<u8>) -> Made) -> Rc<Made> {
        // Headers of one level are alike, and short reads are cheap.
        self.first_read = len.saturating_add(HEADER_MARGIN);
        let head = self.start.get(..to_usize(len)).unwrap_or_default();
        let made = Rc::new(made(head.to_vec()));
        self.last = Some(Rc::clone(&made));
        made
    }

    /// The start of a JPEG tile, with all of its header.
    pub(crate) fn read_header(&mut self) -> Result<Vec<u8>, Fault> {
        let len = self.parse_start(|start| Ok(jpeg::parse_header(start)?.len))?;
        Ok(self.start.get(..len).unwrap_or_default().to_vec())
    }

    /// All of a tile.
    pub(crate) fn read_all(&mut self) -> Result<Vec<u8>, Error> {
        if self.range.byte_count > self.limits.tile_bytes {
            return Err(Error::Limit {
                what: format!("{} bytes in one piece", self.range.byte_count),
                name: "tile_bytes",
                limit: self.limits.tile_bytes,
            });
        }
        let mut bytes = vec![0; to_usize(self.range.byte_count)];
        self.source.read_exact_at(&mut bytes, self.range.offset)?;
        Ok(bytes)
    }

    /// Reads `len` bytes at an offset from the start of the tile, or what there is of them.
    pub(crate) fn read(&mut self, at: u64, len: u64) -> Result<&[u8], Error> {
        let len = len.min(self.range.byte_count.saturating_sub(at));
        let (from, to) = (to_usize(at), to_usize(at.saturating_add(len)));
        if to <= self.start.len() {
            return Ok(self.start.get(from..to).unwrap_or_default());
        }
        let is_end = at.saturating_add(len) >= self.range.byte_count;
        let begin = self.range.offset.saturating_add(at);
        let behind = self.source.left_behind(begin).saturating_sub(len);
        let ahead = if is_end {
            self.first_read.min(behind)
        } else {
            0
        };
        self.piece.resize(to_usize(len.saturating_add(ahead)), 0);
        self.piece_at = begin;
        let read = self.source.read_exact_at(&mut self.piece, begin);
        if let Err(error) = read {
            self.piece.clear();
            return Err(error);
        }
        Ok(self.piece.get(..to_usize(len)).unwrap_or_default())
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
        let is_odd = header_len.wrapping_add(body_len) % 2 == 1;
        let (from, to) = match self {
            Self::Deflated { .. } => (2, 2),
            _ => (0, 2),
        };
        END_AND_PADDING
            .get(from..if is_odd { 3 } else { to })
            .unwrap_or_default()
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
