//! Cuts a JPEG picture into frames without changing a coefficient (route `retile`).
//!
//! A picture of a whole level is walked code by code. Between two places where it is cut, all
//! bits are moved as they are; only the DC differences at the cuts are coded again (T.81 F.1.2.1).
//! Nothing is decoded to pixels, and the quantisation stays. Where frames are whole restart
//! intervals, not even codes are looked at; a level that is so in all its focal planes, and lies in
//! the slide, does not come here at all (`plan::stitch`).
//!
//! The frames go into a spool file as stand-alone streams, and from there, as any tiles, into an
//! instance: their lengths are known only when they are there.

mod prove;
mod rows;
mod stitch;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use crate::codec::TileReader;
use crate::error::{Error, StreamError};
use crate::groups::for_each_group;
use crate::jpeg::bits::Bits;
use crate::jpeg::mcu::{FrameData, Pen, PenTables, Position, Scan};
use crate::jpeg::{self, Recipe};
use crate::limits::Limits;
use crate::source::Source;
use crate::tiles::{self, ByteRange};
use crate::watch::Watch;
pub(crate) use prove::Frame;
pub use prove::prove_retiled;
pub(crate) use rows::Rows;
use rows::{Visit, Walk};
pub(crate) use stitch::header_and_blank;

/// One JPEG stream that holds a whole picture.
#[derive(Debug, Clone)]
pub struct Picture {
    /// Where the stream lies in the source.
    pub range: ByteRange,
    /// Width, which the stream itself may not tell (0 in SOF).
    pub columns: u32,
    /// Height.
    pub rows: u32,
    /// Where each restart interval begins, from the start of the stream; a hint that is checked.
    pub starts: Option<Vec<u64>>,
    /// What no frame may touch.
    pub private: Vec<ByteRange>,
}

/// Number of the picture in messages: it is the only one of its level.
const PICTURE: u64 = 0;

pub(crate) fn in_picture(error: StreamError) -> Error {
    Error::Tile {
        tile: PICTURE,
        error,
    }
}

/// Reads the header of a picture.
///
/// # Errors
///
/// [`Error::TileOutsideFile`], [`Error::TileOverlapsPrivate`], [`Error::Tile`], [`Error::Limit`]
/// and [`Error::Io`].
pub(crate) fn read_header(
    source: &Source,
    picture: &Picture,
    limits: &Limits,
) -> Result<Vec<u8>, Error> {
    tiles::check_range(PICTURE, picture.range, &source.extents())?;
    tiles::check_disjoint(&[picture.range], picture.private.clone())?;
    let mut reader = TileReader::new(source, limits);
    reader.open(picture.range);
    reader.read_header().map_err(|fault| fault.of_tile(PICTURE))
}

/// Reads what the header of a picture says; its size may still be another.
///
/// # Errors
///
/// As [`retile`].
pub fn inspect_picture(
    source: &Source,
    picture: &Picture,
    limits: &Limits,
) -> Result<jpeg::Facts, Error> {
    let header = read_header(source, picture, limits)?;
    let facts = jpeg::parse_header(&header).map_err(in_picture)?.facts;
    facts.check_process().map_err(in_picture)?;
    Ok(facts)
}

/// Cuts a picture into frames of the recipe's size and appends them to `spool`.
///
/// Returns where each frame lies in the spool, row by row. Groups of rows are worked at by all
/// cores; `watch` counts frames.
///
/// # Errors
///
/// [`Error::Tile`] if the picture cannot be cut, [`Error::TileOutsideFile`],
/// [`Error::TileOverlapsPrivate`], [`Error::Limit`], [`Error::Io`] and [`Error::Cancelled`].
pub fn retile(
    source: &Source,
    picture: &Picture,
    recipe: &Recipe,
    spool: &File,
    limits: &Limits,
    watch: &mut dyn Watch,
) -> Result<Vec<ByteRange>, Error> {
    let start = read_header(source, picture, limits)?;
    let header = jpeg::parse_header(&start).map_err(in_picture)?;
    let rows = Rows::new(picture, &header, recipe).map_err(in_picture)?;
    let tables = recipe.tables_for(&header).map_err(in_picture)?;
    let pen_tables = PenTables::new(&header.facts.components, &tables).map_err(in_picture)?;
    let out_tables = pen_tables.tables(&tables);
    // Frames that are whole restart intervals need no code to be looked at.
    let is_stitched = header
        .facts
        .stitches(picture.columns, recipe.columns.into());
    let (frame_header, blank) = if is_stitched {
        let shared = stitch::header_and_blank(&rows.grid(), &header, recipe);
        shared.map(|(header, blank)| (header, Some(blank)))
    } else {
        let header = recipe.header_with_interval(&header.facts, &out_tables, 0);
        header.map(|header| (header, None))
    }
    .map_err(in_picture)?;
    let cutter = Cutter {
        scan: Scan::new(&header.facts, &tables),
        pen: Pen::new(&header.facts, &out_tables).map_err(in_picture)?,
        header: frame_header,
        spool: Mutex::new(Spool::new(spool)?),
    };
    let starts = rows.starts(source, picture)?;
    let ranges = for_each_group(rows.groups(), watch, |group, done| {
        let bytes = starts.read(source, group, limits)?;
        let mut walk = rows.walk(group, &bytes);
        let mut ranges = Vec::new();
        while !walk.is_done() {
            let frames = match &blank {
                Some(blank) => stitch::row(&rows, &mut walk, blank).map_err(in_picture)?,
                None => cutter.row(&rows, &mut walk).map_err(in_picture)?,
            };
            for data in frames {
                ranges.push(cutter.spool(&data)?);
                done.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(ranges)
    })?;
    source.check_unchanged()?;
    Ok(ranges.into_iter().flatten().collect())
}

/// Appends to a file.
pub(crate) struct Spool<'a> {
    file: &'a File,
    len: u64,
}

impl<'a> Spool<'a> {
    pub(crate) fn new(file: &'a File) -> Result<Self, Error> {
        let len = file.metadata()?.len();
        Ok(Self { file, len })
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<ByteRange, Error> {
        self.file.write_all_at(bytes, self.len)?;
        let range = ByteRange {
            offset: self.len,
            byte_count: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        };
        self.len = self.len.saturating_add(range.byte_count);
        Ok(range)
    }
}

/// What the threads of one cutting share.
struct Cutter<'a> {
    scan: Scan,
    pen: Pen,
    /// Header of every frame.
    header: Vec<u8>,
    spool: Mutex<Spool<'a>>,
}

impl Cutter<'_> {
    /// Cuts the next row of frames; returns their entropy-coded data.
    fn row(&self, rows: &Rows, walk: &mut Walk<'_>) -> Result<Vec<Vec<u8>>, StreamError> {
        let mut row = Row {
            scan: &self.scan,
            pen: &self.pen,
            frames: (0..rows.columns()).map(|_| FrameData::default()).collect(),
        };
        walk.frame_row(&mut row)?;
        Ok(row.frames.into_iter().map(FrameData::finish).collect())
    }

    fn spool(&self, data: &[u8]) -> Result<ByteRange, Error> {
        let frame = [&self.header, data, &jpeg::EOI].concat();
        let mut spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
        spool.append(&frame)
    }
}

/// A row of frames as it grows.
struct Row<'a> {
    scan: &'a Scan,
    pen: &'a Pen,
    frames: Vec<FrameData>,
}

impl Visit for Row<'_> {
    fn take(
        &mut self,
        column: usize,
        bits: &Bits,
        position: &mut Position,
        mcus: u32,
    ) -> Result<(), StreamError> {
        let run = self.scan.run(bits, position, mcus)?;
        match self.frames.get_mut(column) {
            Some(frame) => frame.push(self.pen, bits, &run),
            None => Ok(()),
        }
    }

    fn pad(&mut self, column: usize, mcus: u32) -> Result<(), StreamError> {
        if let Some(frame) = self.frames.get_mut(column) {
            frame.push_blank(self.pen, mcus);
        }
        Ok(())
    }
}
