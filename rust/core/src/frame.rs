//! What each frame of an instance is made of, and how long it is.
//!
//! A frame is a rebuilt header, the entropy-coded bytes of a tile as they are, an end marker
//! and at most one byte of padding. A plan is a value: it can be compared, counted and tested
//! without writing anything.

use std::borrow::Cow;
use std::collections::HashMap;
use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use crate::encapsulate::ITEM_HEADER_LEN;
use crate::error::{Error, StreamError};
use crate::limits::Limits;
use crate::source::{Source, Stamp};
use crate::tiles::{ByteRange, TileIndex};
use crate::watch::Watch;
use crate::{blank, jp2k, jpeg, tiles};

/// Bytes read from the start of a tile while it is not known how long its header is.
const FIRST_READ: u64 = 1024;
/// Bytes read beyond the length of the last header, since the next one may differ a little.
const HEADER_MARGIN: u64 = 64;
/// Bytes read from the end of a tile to find its end marker over padding.
const TAIL_READ: u64 = 32;
/// Tiles that one thread takes at a time.
const CHUNK: usize = 1024;

/// EOI of JPEG and EOC of JPEG 2000 are the same two bytes, and a `00` after them pads an odd
/// frame (PS3.5 A.4).
const END_AND_PADDING: [u8; 3] = [0xFF, 0xD9, 0x00];

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
}

/// Facts by which the tiles of a level are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Facts {
    /// Of a JPEG tile.
    Jpeg(jpeg::Facts),
    /// Of a JPEG 2000 tile.
    Jpeg2000(jp2k::Facts),
}

impl Facts {
    fn difference(&self, other: &Self) -> Option<&'static str> {
        match (self, other) {
            (Self::Jpeg(mine), Self::Jpeg(theirs)) => mine.difference(theirs),
            (Self::Jpeg2000(mine), Self::Jpeg2000(theirs)) => mine.difference(theirs),
            _ => Some("its codec"),
        }
    }
}

/// Where the header of a frame comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HeaderSource {
    /// The plan's blank frame, which is whole.
    Blank,
    /// One of the headers that the plan keeps.
    Kept(u32),
    /// Built again when the frame is written; this long.
    Rebuilt(u32),
}

/// One frame. 16 bytes, since a slide may have millions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Frame {
    /// Offset of the entropy-coded bytes in the file.
    body_offset: u64,
    body_len: u32,
    header: PackedHeader,
}

/// [`HeaderSource`] in 32 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PackedHeader(u32);

impl PackedHeader {
    const BLANK: u32 = u32::MAX;
    const REBUILT: u32 = 1 << 31;

    fn pack(source: HeaderSource) -> Self {
        Self(match source {
            HeaderSource::Blank => Self::BLANK,
            HeaderSource::Kept(index) => index & !Self::REBUILT,
            HeaderSource::Rebuilt(len) => len | Self::REBUILT,
        })
    }

    fn unpack(self) -> HeaderSource {
        match self.0 {
            Self::BLANK => HeaderSource::Blank,
            bits if bits & Self::REBUILT != 0 => HeaderSource::Rebuilt(bits & !Self::REBUILT),
            index => HeaderSource::Kept(index),
        }
    }
}

/// What a level's tiles become.
#[derive(Debug)]
pub struct FramePlan {
    codec: Codec,
    facts: Facts,
    limits: Limits,
    stamp: Stamp,
    tiles: TileIndex,
    frames: Vec<Frame>,
    headers: Vec<Vec<u8>>,
    blank: Vec<u8>,
    summary: Summary,
}

/// Counts over all frames of a plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Frames that are a tile.
    pub copied: u64,
    /// Frames for tiles that the source does not have.
    pub blank: u64,
    /// Copied frames whose tile had no end marker.
    pub truncated: u64,
    /// Segments and boxes that may hold text and were left out.
    pub dropped_segments: u64,
    /// Bytes of the frames as they are stored, without item headers.
    pub frame_bytes: u64,
}

impl Summary {
    fn add(&mut self, other: &Self) {
        self.copied = self.copied.saturating_add(other.copied);
        self.blank = self.blank.saturating_add(other.blank);
        self.truncated = self.truncated.saturating_add(other.truncated);
        self.dropped_segments = self.dropped_segments.saturating_add(other.dropped_segments);
        self.frame_bytes = self.frame_bytes.saturating_add(other.frame_bytes);
    }
}

/// The pieces of one frame, ready to be written.
#[derive(Debug)]
pub struct Pieces<'a> {
    /// Everything before the entropy-coded bytes, or the whole of a blank frame.
    pub header: Cow<'a, [u8]>,
    /// The entropy-coded bytes in the source; empty for a blank frame.
    pub body: ByteRange,
    /// End marker and padding.
    pub tail: &'static [u8],
}

impl Pieces<'_> {
    /// Length of the frame as it is stored; always even.
    #[must_use]
    pub fn len(&self) -> u64 {
        len64(&self.header)
            .saturating_add(self.body.byte_count)
            .saturating_add(len64(self.tail))
    }

    /// Never true: a frame has at least a header.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn len64(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn tail(header_len: u64, body_len: u64) -> &'static [u8] {
    let is_odd = header_len.wrapping_add(body_len) % 2 == 1;
    let len = if is_odd { 3 } else { 2 };
    END_AND_PADDING.get(..len).unwrap_or(&END_AND_PADDING)
}

impl FramePlan {
    /// Checks that `source` is the file that was planned, and in the same state.
    pub(crate) fn check_source(&self, source: &Source) -> Result<(), Error> {
        if source.stamp() == self.stamp {
            Ok(())
        } else {
            Err(Error::SourceChanged)
        }
    }

    /// Number of frames.
    #[must_use]
    pub fn frame_count(&self) -> usize {
        self.frames.len()
    }

    /// What the first tile says about itself, and all others too.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Where the tiles lie.
    #[must_use]
    pub fn tiles(&self) -> &TileIndex {
        &self.tiles
    }

    /// Counts over all frames.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// The frame that stands for missing tiles; empty if none is missing.
    #[must_use]
    pub fn blank(&self) -> &[u8] {
        &self.blank
    }

    /// Length of all fragments, item headers included.
    #[must_use]
    pub fn fragment_bytes(&self) -> u64 {
        let headers = u64::try_from(self.frames.len()).unwrap_or(u64::MAX);
        self.summary
            .frame_bytes
            .saturating_add(headers.saturating_mul(ITEM_HEADER_LEN))
    }

    /// Length of each frame as it is stored, in order.
    pub fn lengths(&self) -> impl Iterator<Item = u64> + '_ {
        self.frames.iter().map(|frame| self.frame_len(frame))
    }

    fn frame_len(&self, frame: &Frame) -> u64 {
        let body = u64::from(frame.body_len);
        let header = match frame.header.unpack() {
            HeaderSource::Blank => return len64(&self.blank),
            HeaderSource::Kept(index) => len64(self.kept(index)),
            HeaderSource::Rebuilt(len) => u64::from(len),
        };
        header
            .saturating_add(body)
            .saturating_add(len64(tail(header, body)))
    }

    fn kept(&self, index: u32) -> &[u8] {
        usize::try_from(index)
            .ok()
            .and_then(|index| self.headers.get(index))
            .map_or(&[], Vec::as_slice)
    }

    /// The pieces of one frame; reads the tile's header again where the plan did not keep it.
    ///
    /// # Errors
    ///
    /// [`Error::SourceChanged`] if the tile's header is not what it was, and [`Error::Io`].
    pub fn pieces(&self, index: usize, source: &Source) -> Result<Pieces<'_>, Error> {
        let (Some(frame), Some(range)) = (self.frames.get(index), self.tiles.ranges().get(index))
        else {
            return Err(Error::Verify {
                what: format!("frame {index} is not in the plan"),
            });
        };
        let body = ByteRange {
            offset: frame.body_offset,
            byte_count: u64::from(frame.body_len),
        };
        let header = match frame.header.unpack() {
            HeaderSource::Blank => Cow::Borrowed(self.blank.as_slice()),
            HeaderSource::Kept(kept) => Cow::Borrowed(self.kept(kept)),
            HeaderSource::Rebuilt(len) => {
                let mut reader = TileReader::new(source, &self.limits);
                reader.open(*range);
                let split = self
                    .codec
                    .split(&mut reader)
                    .map_err(|_| Error::SourceChanged)?;
                if len64(&split.header) != u64::from(len) {
                    return Err(Error::SourceChanged);
                }
                Cow::Owned(split.header)
            }
        };
        let tail = match frame.header.unpack() {
            HeaderSource::Blank => &[],
            _ => tail(len64(&header), body.byte_count),
        };
        Ok(Pieces { header, body, tail })
    }
}

/// Either the tile or the operating system is at fault.
enum Fault {
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
    fn of_tile(self, tile: u64) -> Error {
        match self {
            Self::Stream(error) => Error::Tile { tile, error },
            Self::Other(error) => error,
        }
    }
}

/// Reads pieces of one tile into buffers that are used again for the next.
struct TileReader<'a> {
    source: &'a Source,
    limits: &'a Limits,
    range: ByteRange,
    first_read: u64,
    start: Vec<u8>,
    piece: Vec<u8>,
}

impl<'a> TileReader<'a> {
    fn new(source: &'a Source, limits: &'a Limits) -> Self {
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
        }
    }

    fn open(&mut self, range: ByteRange) {
        self.range = range;
        self.start.clear();
    }

    /// Reads the start of the tile, and more of it as long as `parse` asks for more.
    fn parse_start<T>(
        &mut self,
        parse: impl Fn(&[u8]) -> Result<T, StreamError>,
    ) -> Result<T, Fault> {
        let mut want = self.first_read;
        loop {
            let len = want.min(self.range.byte_count);
            self.start.resize(to_usize(len), 0);
            self.source
                .read_exact_at(&mut self.start, self.range.offset)?;
            match parse(&self.start) {
                Err(StreamError::Incomplete) if len < self.range.byte_count => {
                    want = self.limits.next_header_read(want)?;
                }
                other => return other.map_err(Fault::Stream),
            }
        }
    }

    /// Notes how long a header was: those of one level are alike, and short reads are cheap.
    fn expect_header(&mut self, len: u64) {
        self.first_read = len.saturating_add(HEADER_MARGIN);
    }

    /// Reads `len` bytes at an offset from the start of the tile, or what there is of them.
    fn read(&mut self, at: u64, len: u64) -> Result<&[u8], Error> {
        let len = len.min(self.range.byte_count.saturating_sub(at));
        self.piece.resize(to_usize(len), 0);
        self.source
            .read_exact_at(&mut self.piece, self.range.offset.saturating_add(at))?;
        Ok(&self.piece)
    }
}

fn to_usize(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

/// A tile, taken apart.
struct Split {
    header: Vec<u8>,
    facts: Facts,
    /// Entropy-coded bytes, from the start of the tile.
    body_start: u64,
    body_len: u64,
    truncated: bool,
    dropped: u32,
}

impl Codec {
    fn split(&self, tile: &mut TileReader<'_>) -> Result<Split, Fault> {
        match self {
            Self::Jpeg(recipe) => split_jpeg(recipe, tile),
            Self::Jpeg2000 { recipe, .. } => split_jpeg2000(recipe, tile),
        }
    }

    /// Checks what every frame would repeat.
    fn check_limits(&self, limits: &Limits) -> Result<(), Error> {
        match self {
            Self::Jpeg(recipe) if recipe.tables.byte_count() > limits.tile_header_bytes => {
                Err(Error::Limit {
                    what: format!("tag 347 JPEGTables of {} bytes", recipe.tables.byte_count()),
                    name: "tile_header_bytes",
                    limit: limits.tile_header_bytes,
                })
            }
            _ => Ok(()),
        }
    }

    /// Builds the blank frame of a level whose first tile is `tile`.
    fn blank(&self, tile: &mut TileReader<'_>) -> Result<Vec<u8>, Fault> {
        let mut frame = match self {
            Self::Jpeg(recipe) => {
                tile.parse_start(|start| blank::jpeg_frame(recipe, &jpeg::parse_header(start)?))?
            }
            Self::Jpeg2000 { blank, .. } => blank.clone().unwrap_or_default(),
        };
        if frame.len() % 2 == 1 {
            frame.push(0);
        }
        Ok(frame)
    }
}

fn split_jpeg(recipe: &jpeg::Recipe, tile: &mut TileReader<'_>) -> Result<Split, Fault> {
    let (header, facts, len, dropped) = tile.parse_start(|start| {
        let parsed = jpeg::parse_header(start)?;
        Ok((
            recipe.frame_header(&parsed)?,
            parsed.facts,
            parsed.len,
            parsed.dropped,
        ))
    })?;
    let body_start = u64::try_from(len).unwrap_or(u64::MAX);
    tile.expect_header(body_start);
    let (body_len, truncated) = find_jpeg_end(tile, body_start)?;
    Ok(Split {
        header,
        facts: Facts::Jpeg(facts),
        body_start,
        body_len,
        truncated,
        dropped,
    })
}

/// Finds the end of the entropy-coded data: at the end of the tile as a rule, else by
/// walking through all of it.
fn find_jpeg_end(tile: &mut TileReader<'_>, body_start: u64) -> Result<(u64, bool), Fault> {
    let body = tile.range.byte_count.saturating_sub(body_start);
    let tail_len = body.min(TAIL_READ);
    let tail_start = body.saturating_sub(tail_len);
    let tail = tile.read(body_start.saturating_add(tail_start), tail_len)?;
    if let Some(eoi) = jpeg::find_eoi_at_end(tail) {
        return Ok((
            tail_start.saturating_add(u64::try_from(eoi).unwrap_or(u64::MAX)),
            false,
        ));
    }
    let end = jpeg::scan_entropy(tile.read(body_start, body)?)?;
    Ok((u64::try_from(end.len).unwrap_or(u64::MAX), !end.has_eoi))
}

fn split_jpeg2000(recipe: &jp2k::Recipe, tile: &mut TileReader<'_>) -> Result<Split, Fault> {
    let parsed = tile.parse_start(jp2k::parse_header)?;
    let header = recipe.frame_header(&parsed)?;
    let body_start = parsed.first_tile_part;
    tile.expect_header(body_start);
    let limit = parsed.limit.unwrap_or(u64::MAX).min(tile.range.byte_count);
    let (end, truncated) = find_codestream_end(tile, body_start, limit)?;
    Ok(Split {
        header,
        facts: Facts::Jpeg2000(parsed.facts),
        body_start,
        body_len: end.saturating_sub(body_start),
        truncated,
        dropped: parsed.dropped,
    })
}

/// Follows the tile-parts to the EOC; returns where it is, and whether it is missing.
fn find_codestream_end(
    tile: &mut TileReader<'_>,
    start: u64,
    limit: u64,
) -> Result<(u64, bool), Fault> {
    let mut at = start;
    for _ in 0..tile.limits.tile_parts {
        let room = limit.saturating_sub(at);
        let part = read_tile_part(tile, at, room)?;
        let Some(len) = part.len else {
            let tail_start = limit
                .saturating_sub(TAIL_READ)
                .max(at.saturating_add(part.header_len));
            let tail = tile.read(tail_start, limit.saturating_sub(tail_start))?;
            return match jpeg::find_eoi_at_end(tail) {
                Some(eoc) => Ok((tail_start.saturating_add(to_u64(eoc)), false)),
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
    let mut want = FIRST_READ;
    loop {
        match jp2k::parse_tile_part(tile.read(at, room.min(want))?) {
            Err(StreamError::Incomplete) if want < room => {
                want = tile.limits.next_header_read(want)?;
            }
            other => return other.map_err(Fault::Stream),
        }
    }
}

fn to_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// Headers that are kept once however many frames share them.
#[derive(Default)]
struct HeaderTable {
    kept: Vec<Vec<u8>>,
    index: HashMap<Vec<u8>, u32>,
    bytes: u64,
}

impl HeaderTable {
    fn keep(&mut self, header: Vec<u8>, limits: &Limits) -> HeaderSource {
        if let Some(&index) = self.index.get(&header) {
            return HeaderSource::Kept(index);
        }
        let bytes = self.bytes.saturating_add(len64(&header));
        match u32::try_from(self.kept.len()) {
            Ok(index) if bytes <= limits.kept_header_bytes => {
                self.bytes = bytes;
                self.index.insert(header.clone(), index);
                self.kept.push(header);
                HeaderSource::Kept(index)
            }
            _ => HeaderSource::Rebuilt(u32::try_from(header.len()).unwrap_or(u32::MAX)),
        }
    }
}

/// Looks at the header and the end of every tile and plans its frame.
///
/// Tiles are looked at by all cores; `watch` counts tiles.
///
/// # Errors
///
/// [`Error::Tile`] for the first tile that cannot be a frame, [`Error::Mixed`] for one that is
/// encoded otherwise than the first, [`Error::NoBlankFrame`], [`Error::Limit`], [`Error::Io`]
/// and [`Error::Cancelled`].
pub fn plan_frames(
    source: &Source,
    tiles: TileIndex,
    codec: Codec,
    limits: &Limits,
    watch: &mut dyn Watch,
) -> Result<FramePlan, Error> {
    let (first, range) = tiles.first_present().ok_or(Error::NoTiles)?;
    codec.check_limits(limits)?;
    let mut reader = TileReader::new(source, limits);
    reader.open(range);
    let facts = codec
        .split(&mut reader)
        .map_err(|fault| fault.of_tile(first))?
        .facts;
    let absent = (0..)
        .zip(tiles.ranges())
        .find(|(_, range)| range.byte_count == 0);
    let blank = match absent {
        None => Vec::new(),
        Some((tile, _)) => {
            let blank = codec
                .blank(&mut reader)
                .map_err(|fault| fault.of_tile(first))?;
            if blank.is_empty() {
                return Err(Error::NoBlankFrame { tile });
            }
            blank
        }
    };
    let planner = Planner {
        source,
        codec: &codec,
        limits,
        reference: &facts,
        headers: Mutex::default(),
        blank_len: len64(&blank),
        done: AtomicU64::new(0),
        stop_at: AtomicU64::new(u64::MAX),
    };
    let (frames, summary) = planner.plan_all(tiles.ranges(), watch)?;
    let headers = planner
        .headers
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .kept;
    let (limits, stamp) = (limits.clone(), source.stamp());
    Ok(FramePlan {
        codec,
        facts,
        limits,
        stamp,
        tiles,
        frames,
        headers,
        blank,
        summary,
    })
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
    tiles::check_range(tile, range, source.stamp().len)?;
    let mut reader = TileReader::new(source, limits);
    reader.open(range);
    let parse = |start: &[u8]| {
        // SOC of a codestream, or the signature box of a JP2 file.
        if start.starts_with(&[0xFF, 0x4F]) || start.starts_with(&[0, 0, 0, 12]) {
            let facts = jp2k::parse_header(start)?.facts;
            facts.check_frame(columns, rows)?;
            Ok(Facts::Jpeg2000(facts))
        } else {
            let facts = jpeg::parse_header(start)?.facts;
            facts.check_frame(columns, rows)?;
            Ok(Facts::Jpeg(facts))
        }
    };
    reader
        .parse_start(parse)
        .map_err(|fault| fault.of_tile(tile))
}

/// What the threads of one planning share.
struct Planner<'a> {
    source: &'a Source,
    codec: &'a Codec,
    limits: &'a Limits,
    reference: &'a Facts,
    headers: Mutex<HeaderTable>,
    blank_len: u64,
    done: AtomicU64,
    /// Tiles from here on need not be looked at: one of them is bad, or the caller has had enough.
    stop_at: AtomicU64,
}

impl Planner<'_> {
    fn plan_all(
        &self,
        ranges: &[ByteRange],
        watch: &mut dyn Watch,
    ) -> Result<(Vec<Frame>, Summary), Error> {
        let placeholder = Frame {
            body_offset: 0,
            body_len: 0,
            header: PackedHeader(PackedHeader::BLANK),
        };
        let mut frames = vec![placeholder; ranges.len()];
        let chunks = ranges.chunks(CHUNK).zip(frames.chunks_mut(CHUNK));
        let threads = thread::available_parallelism()
            .map_or(1, NonZero::get)
            .min(chunks.len());
        let work = Mutex::new((0_u64..).step_by(CHUNK).zip(chunks));
        let (sender, results) = mpsc::channel();
        let mut summary = Summary::default();
        let mut worst: Option<(u64, Error)> = None;
        thread::scope(|scope| {
            for _ in 0..threads {
                let (sender, work) = (sender.clone(), &work);
                scope.spawn(move || {
                    let mut reader = TileReader::new(self.source, self.limits);
                    let take = || work.lock().unwrap_or_else(PoisonError::into_inner).next();
                    while let Some((first, (ranges, frames))) = take() {
                        let result = self.plan_chunk(first, ranges, frames, &mut reader);
                        if sender.send(result).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(sender);
            loop {
                match results.recv_timeout(Duration::from_millis(50)) {
                    Ok(Ok(chunk)) => summary.add(&chunk),
                    Ok(Err((tile, error))) => {
                        // The first bad tile is the one to tell, whichever thread was faster.
                        if worst.as_ref().is_none_or(|(other, _)| tile < *other) {
                            worst = Some((tile, error));
                        }
                    }
                    Err(mpsc::RecvTimeoutError::Timeout) => {}
                    Err(mpsc::RecvTimeoutError::Disconnected) => break,
                }
                if !watch.go_on(self.done.load(Ordering::Relaxed)) {
                    self.stop_at.store(0, Ordering::Relaxed);
                    worst = Some((0, Error::Cancelled));
                }
            }
        });
        worst.map_or(Ok((frames, summary)), |(_, error)| Err(error))
    }

    fn plan_chunk(
        &self,
        first: u64,
        ranges: &[ByteRange],
        frames: &mut [Frame],
        reader: &mut TileReader<'_>,
    ) -> Result<Summary, (u64, Error)> {
        let mut summary = Summary::default();
        for ((tile, range), frame) in (first..).zip(ranges).zip(frames) {
            if tile >= self.stop_at.load(Ordering::Relaxed) {
                break;
            }
            if range.byte_count == 0 {
                summary.blank = summary.blank.saturating_add(1);
                summary.frame_bytes = summary.frame_bytes.saturating_add(self.blank_len);
                continue;
            }
            reader.open(*range);
            *frame = self
                .plan_frame(tile, reader, &mut summary)
                .map_err(|error| {
                    self.stop_at.fetch_min(tile, Ordering::Relaxed);
                    (tile, error)
                })?;
        }
        self.done
            .fetch_add(u64::try_from(ranges.len()).unwrap_or(0), Ordering::Relaxed);
        Ok(summary)
    }

    fn plan_frame(
        &self,
        tile: u64,
        reader: &mut TileReader<'_>,
        summary: &mut Summary,
    ) -> Result<Frame, Error> {
        let split = self
            .codec
            .split(reader)
            .map_err(|fault| fault.of_tile(tile))?;
        if let Some(what) = self.reference.difference(&split.facts) {
            return Err(Error::Mixed { tile, what });
        }
        let body_len = u32::try_from(split.body_len).map_err(|_| Error::Limit {
            what: format!("tile {tile} with {} entropy-coded bytes", split.body_len),
            name: "tile_bytes",
            limit: u64::from(u32::MAX),
        })?;
        let header_len = len64(&split.header);
        summary.add(&Summary {
            copied: 1,
            blank: 0,
            truncated: u64::from(split.truncated),
            dropped_segments: u64::from(split.dropped),
            frame_bytes: header_len
                .saturating_add(split.body_len)
                .saturating_add(len64(tail(header_len, split.body_len))),
        });
        let mut headers = self.headers.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Frame {
            body_offset: reader.range.offset.saturating_add(split.body_start),
            body_len,
            header: PackedHeader::pack(headers.keep(split.header, self.limits)),
        })
    }
}
