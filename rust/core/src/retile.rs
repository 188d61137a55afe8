//! Cuts a JPEG picture into frames without changing a coefficient (route `retile`).
//!
//! A picture of a whole level is walked code by code. Between two places where it is cut, all
//! bits are moved as they are; only the DC differences at the cuts are coded again (T.81 F.1.2.1).
//! Nothing is decoded to pixels, and the quantisation stays.
//!
//! The frames go into a spool file as stand-alone streams, and from there, as any tiles, into an
//! instance: their lengths are known only when they are there.

mod rows;

use std::fs::File;
use std::num::NonZero;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use crate::codec::TileReader;
use crate::error::{Error, StreamError};
use crate::jpeg::mcu::{Pen, PenTables, Scan};
use crate::jpeg::{self, Recipe};
use crate::limits::Limits;
use crate::source::Source;
use crate::tiles::{self, ByteRange};
use crate::watch::Watch;
use rows::Rows;

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
}

/// Number of the picture in messages: it is the only one of its level.
const PICTURE: u64 = 0;

/// Cuts a picture into frames of the recipe's size and appends them to `spool`.
///
/// Returns where each frame lies in the spool, row by row. Groups of rows are worked at by all
/// cores; `watch` counts frames.
///
/// # Errors
///
/// [`Error::Tile`] if the picture cannot be cut, [`Error::TileOutsideFile`], [`Error::Limit`],
/// [`Error::Io`] and [`Error::Cancelled`].
pub fn retile(
    source: &Source,
    picture: &Picture,
    recipe: &Recipe,
    spool: &File,
    limits: &Limits,
    watch: &mut dyn Watch,
) -> Result<Vec<ByteRange>, Error> {
    tiles::check_range(PICTURE, picture.range, source.stamp().len)?;
    let mut reader = TileReader::new(source, limits);
    reader.open(picture.range);
    let in_picture = |error| Error::Tile {
        tile: PICTURE,
        error,
    };
    let start = reader
        .read_header()
        .map_err(|fault| fault.of_tile(PICTURE))?;
    let header = jpeg::parse_header(&start).map_err(in_picture)?;
    let rows = Rows::new(picture, &header, recipe).map_err(in_picture)?;
    let tables = recipe.tables_for(&header).map_err(in_picture)?;
    let pen_tables = PenTables::new(&header.facts.components, &tables).map_err(in_picture)?;
    let out_tables = pen_tables.tables(&tables);
    let scan = Scan::new(&header.facts, &tables);
    let cutter = Cutter {
        source,
        pen: Pen::new(&header.facts, &out_tables).map_err(in_picture)?,
        header: recipe
            .header_with(&header.without_restarts(), &out_tables)
            .map_err(in_picture)?,
        starts: rows.starts(source, picture)?,
        scan,
        rows,
        limits,
        spool: Mutex::new(Spool {
            file: spool,
            len: spool.metadata()?.len(),
        }),
        done: AtomicU64::new(0),
        next: AtomicU64::new(0),
    };
    cutter.cut_all(watch)
}

/// Appends to a file.
struct Spool<'a> {
    file: &'a File,
    len: u64,
}

impl Spool<'_> {
    fn append(&mut self, bytes: &[u8]) -> Result<ByteRange, Error> {
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
    source: &'a Source,
    scan: Scan,
    pen: Pen,
    /// Header of every frame.
    header: Vec<u8>,
    rows: Rows,
    /// Where each group of rows begins in the source, and where the last one ends.
    starts: Vec<u64>,
    limits: &'a Limits,
    spool: Mutex<Spool<'a>>,
    done: AtomicU64,
    next: AtomicU64,
}

impl Cutter<'_> {
    fn cut_all(&self, watch: &mut dyn Watch) -> Result<Vec<ByteRange>, Error> {
        let groups = u64::try_from(self.starts.len().saturating_sub(1)).unwrap_or(u64::MAX);
        let threads = thread::available_parallelism()
            .map_or(1, NonZero::get)
            .min(usize::try_from(groups).unwrap_or(usize::MAX));
        let (sender, results) = mpsc::channel();
        let mut frames = vec![
            ByteRange {
                offset: 0,
                byte_count: 0
            };
            self.rows.frame_count()
        ];
        let mut worst: Option<(u64, Error)> = None;
        thread::scope(|scope| {
            for _ in 0..threads {
                let sender = sender.clone();
                scope.spawn(move || {
                    loop {
                        let group = self.next.fetch_add(1, Ordering::Relaxed);
                        if group >= groups {
                            return;
                        }
                        let result = self.cut_group(group).map_err(|error| {
                            self.next.store(groups, Ordering::Relaxed);
                            (group, error)
                        });
                        if sender.send(result).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(sender);
            loop {
                match results.recv_timeout(Duration::from_millis(50)) {
                    Ok(Ok((first, ranges))) => {
                        for (slot, range) in frames.iter_mut().skip(first).zip(ranges) {
                            *slot = range;
                        }
                    }
                    Ok(Err((group, error))) => {
                        if worst.as_ref().is_none_or(|(other, _)| group < *other) {
                            worst = Some((group, error));
                        }
                    }
                    Err(mpsc::RecvTimeoutError::Timeout) => {}
                    Err(mpsc::RecvTimeoutError::Disconnected) => break,
                }
                if !watch.go_on(self.done.load(Ordering::Relaxed)) {
                    self.next.store(groups, Ordering::Relaxed);
                    worst = Some((0, Error::Cancelled));
                }
            }
        });
        self.source.check_unchanged()?;
        worst.map_or(Ok(frames), |(_, error)| Err(error))
    }

    /// Cuts one group of rows; returns the number of its first frame, and where they lie.
    fn cut_group(&self, group: u64) -> Result<(usize, Vec<ByteRange>), Error> {
        let index = usize::try_from(group).unwrap_or(usize::MAX);
        let (start, end) = match self.starts.get(index..) {
            Some([start, end, ..]) => (*start, *end),
            _ => return Err(Error::SourceChanged),
        };
        let len = end.saturating_sub(start);
        if len > self.limits.picture_bytes {
            return Err(Error::Limit {
                what: format!("{len} bytes of JPEG data that can only be read together"),
                name: "picture_bytes",
                limit: self.limits.picture_bytes,
            });
        }
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
        self.source.read_exact_at(&mut bytes, start)?;
        let mut ranges = Vec::new();
        let mut frame = Vec::new();
        let in_picture = |error: StreamError| Error::Tile {
            tile: PICTURE,
            error,
        };
        let mut walk = self.rows.walk(index, &bytes);
        while let Some(row) = walk
            .next_frames(&self.scan, &self.pen)
            .map_err(in_picture)?
        {
            for data in row {
                frame.clear();
                frame.extend_from_slice(&self.header);
                frame.extend(data.finish());
                frame.extend(jpeg::EOI);
                let mut spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
                ranges.push(spool.append(&frame)?);
                self.done.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok((self.rows.first_frame(index), ranges))
    }
}
