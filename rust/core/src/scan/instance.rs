//! Walks the Pixel Data of an instance and looks for terms in all of its file.

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::offsets::Tables;
use super::stream::{self, Fault};
use super::{Hit, Piece, Scanner, add, fill, tidy};
use crate::error::Error;
use crate::source::Source;
use crate::tiles::{ByteRange, TileIndex};
use crate::watch::{Unwatched, Watch};

/// Bytes read at a time.
const WINDOW_BYTES: usize = 1 << 18;
/// How often a walk that takes longer than the scan is asked whether it is done.
const PERIOD: Duration = Duration::from_micros(200);

/// What was found in an instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InstanceReport {
    /// Items behind the Basic Offset Table.
    pub frame_count: u64,
    /// Terms, sorted by where they are.
    pub hits: Vec<Hit>,
    /// What must not be there, or is not where it must be.
    pub problems: Vec<String>,
    /// What could not be checked.
    pub unchecked: Vec<String>,
    /// Frames that were compared with their tile and hold its entropy-coded bytes.
    pub frames_equal: u64,
}

/// What stands before the frames.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header<'a> {
    /// Where (7FE0,0010) begins.
    pub pixel_data_offset: u64,
    /// The values of (7FE0,0001) and (7FE0,0002).
    pub extended: Option<(&'a [u8], &'a [u8])>,
    /// Parts of it that are numbers, sorted: they hold every short text sooner or later.
    pub numbers: Vec<ByteRange>,
}

/// The tiles that frames are compared with.
#[derive(Debug, Clone, Copy)]
pub struct Tiles<'a> {
    /// The slide.
    pub source: &'a Source,
    /// Its tiles, one for each frame.
    pub index: &'a TileIndex,
}

/// Looks at every byte of an instance.
///
/// `header` is what a parser of data sets found. `watch` counts bytes.
///
/// # Errors
///
/// [`Error::Io`] and [`Error::Cancelled`]; whatever is wrong with the file is in the report.
pub fn check_instance(
    scanner: &Scanner,
    path: &Path,
    header: &Header<'_>,
    tiles: Option<Tiles<'_>>,
    watch: &mut dyn Watch,
) -> Result<InstanceReport, Error> {
    let file = File::open(path)?;
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let walk = scope.spawn(|| {
            let mut walk = Walk {
                reader: Reader::new(&file, scanner.limits.tile_bytes)?,
                notes: Notes {
                    scanner,
                    report: InstanceReport::default(),
                },
                stop: &stop,
            };
            walk.header(header)?;
            walk.pixel_data(header.extended, tiles)?;
            Ok::<_, Error>(walk.notes.report)
        });
        let sure = scanner.scan_sure(path, watch);
        while !walk.is_finished() {
            if sure.is_err() || !watch.go_on(file.metadata()?.len()) {
                stop.store(true, Ordering::Relaxed);
            }
            thread::sleep(PERIOD);
        }
        let walked = walk.join().map_err(|_| Error::Verify {
            what: "the frames were not walked".into(),
        })?;
        let (mut hits, mut report) = (sure?, walked?);
        hits.append(&mut report.hits);
        report.hits = tidy(hits);
        Ok(report)
    })
}

/// A file that is read from front to back, a piece at a time.
struct Reader<'a> {
    file: &'a File,
    /// An item that is longer is none.
    longest_item: u64,
    file_len: u64,
    at: u64,
    window: Vec<u8>,
    window_at: u64,
}

impl<'a> Reader<'a> {
    fn new(file: &'a File, longest_item: u64) -> Result<Self, Error> {
        Ok(Self {
            file,
            longest_item,
            file_len: file.metadata()?.len(),
            at: 0,
            window: Vec::new(),
            window_at: 0,
        })
    }

    fn left(&self) -> u64 {
        self.file_len.saturating_sub(self.at)
    }

    /// The next bytes, without moving; fewer where the file ends.
    fn peek(&mut self, len: u64) -> Result<&[u8], Error> {
        let len = to_usize(len.min(self.left()));
        let start = to_usize(self.at.saturating_sub(self.window_at));
        let end = start.saturating_add(len);
        if self.at < self.window_at || end > self.window.len() {
            self.window.resize(len.max(WINDOW_BYTES), 0);
            let there = fill(self.file, &mut self.window, self.at)?;
            self.window.truncate(there);
            self.window_at = self.at;
            return Ok(self.window.get(..len).unwrap_or_default());
        }
        Ok(self.window.get(start..end).unwrap_or_default())
    }

    /// The next bytes, with their offset; moves behind them.
    fn take(&mut self, len: u64) -> Result<(&[u8], u64), Error> {
        let offset = self.at;
        self.peek(len)?;
        self.at = offset.saturating_add(len).min(self.file_len);
        let start = to_usize(offset.saturating_sub(self.window_at));
        let end = start.saturating_add(to_usize(self.at.saturating_sub(offset)));
        Ok((self.window.get(start..end).unwrap_or_default(), offset))
    }

    /// Moves behind the given bytes if they come next.
    fn skip(&mut self, bytes: &[u8]) -> Result<bool, Error> {
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let is_next = self.peek(len)? == bytes;
        if is_next {
            self.at = self.at.saturating_add(len);
        }
        Ok(is_next)
    }

    /// Moves behind the header of an item, if one comes next that fits into the file.
    fn item(&mut self) -> Result<Option<u64>, Error> {
        let [0xFE, 0xFF, 0x00, 0xE0, len @ ..] = self.peek(8)? else {
            return Ok(None);
        };
        let Some(len) = len.first_chunk().map(|len| u32::from_le_bytes(*len)) else {
            return Ok(None);
        };
        let len = u64::from(len);
        if len > self.left().saturating_sub(8) || len > self.longest_item {
            return Ok(None);
        }
        self.at = self.at.saturating_add(8);
        Ok(Some(len))
    }
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// An instance that is walked from front to back.
struct Walk<'a> {
    reader: Reader<'a>,
    notes: Notes<'a>,
    stop: &'a AtomicBool,
}

impl Walk<'_> {
    /// Looks at all that stands before the Pixel Data and is not a number.
    fn header(&mut self, header: &Header<'_>) -> Result<(), Error> {
        for range in &header.numbers {
            let within = |at: u64| at.min(header.pixel_data_offset);
            self.look_until(within(range.offset))?;
            let end = within(range.end().unwrap_or(u64::MAX));
            self.reader.at = self.reader.at.max(end.min(self.reader.file_len));
        }
        self.look_until(header.pixel_data_offset)
    }

    fn look_until(&mut self, end: u64) -> Result<(), Error> {
        let (bytes, offset) = self.reader.take(end.saturating_sub(self.reader.at))?;
        self.notes.look(bytes, 0..bytes.len(), offset);
        Ok(())
    }

    fn pixel_data(
        &mut self,
        extended: Option<(&[u8], &[u8])>,
        tiles: Option<Tiles<'_>>,
    ) -> Result<(), Error> {
        if !self
            .reader
            .skip(b"\xE0\x7F\x10\x00OB\0\0\xFF\xFF\xFF\xFF")?
        {
            return self.give_up("Pixel Data is not encapsulated OB of undefined length");
        }
        let Some(table_len) = self.reader.item()? else {
            return self.give_up("Pixel Data does not begin with an item");
        };
        let basic = self.reader.take(table_len)?.0.to_vec();
        let (first_item, mut frame) = (self.reader.at, 0_u64);
        let mut tables = Tables::new(&basic, extended);
        while let Some(len) = self.reader.item()? {
            let (bytes, offset) = self.reader.take(len)?;
            tables.next(offset.saturating_sub(8).saturating_sub(first_item), len);
            let coded = self.notes.frame(frame, bytes, offset);
            if let Some(tiles) = tiles {
                self.notes.compare(frame, bytes, &coded, tiles)?;
            }
            frame = frame.saturating_add(1);
            if self.stop.load(Ordering::Relaxed) {
                return Err(Error::Cancelled);
            }
        }
        self.notes.report.frame_count = frame;
        tables
            .problems(frame)
            .for_each(|what| self.notes.problem(what.into()));
        if !self.reader.skip(b"\xFE\xFF\xDD\xE0\0\0\0\0")? {
            return self.give_up("Pixel Data does not end with a sequence delimiter");
        }
        if self.reader.left() > 0 {
            return self.give_up("bytes behind the Pixel Data");
        }
        Ok(())
    }

    /// Notes a problem behind which nothing is understood, and looks at all the rest.
    fn give_up(&mut self, what: &str) -> Result<(), Error> {
        self.notes.problem(what.into());
        let scanner = self.notes.scanner;
        let rest = scanner.scan_pieces(
            self.reader.file,
            self.reader.at,
            &[&scanner.unsure],
            &mut Unwatched,
        )?;
        self.notes.report.hits.extend(rest);
        Ok(())
    }
}

/// What a walk comes upon.
struct Notes<'a> {
    scanner: &'a Scanner,
    report: InstanceReport,
}

impl Notes<'_> {
    /// Looks at one frame; returns its entropy-coded ranges.
    ///
    /// If it is proved to hold nothing but what its decoder needs, all of it counts as
    /// entropy-coded: tables are numbers as well.
    fn frame(&mut self, frame: u64, bytes: &[u8], offset: u64) -> Vec<Range<usize>> {
        match stream::walk(bytes) {
            Ok(coded) => return coded,
            Err(Fault::Unknown(what)) => self.unchecked(format!("frame {frame}: {what}")),
            Err(Fault::Wrong(what)) => {
                self.problem(format!("frame {frame}: {what}"));
                self.look(bytes, 0..bytes.len(), offset);
            }
        }
        Vec::new()
    }

    /// Compares the entropy-coded ranges of a frame with its tile.
    fn compare(
        &mut self,
        frame: u64,
        bytes: &[u8],
        coded: &[Range<usize>],
        tiles: Tiles<'_>,
    ) -> Result<(), Error> {
        let Some(range) = tiles.index.ranges().get(to_usize(frame)) else {
            self.problem(format!("frame {frame}: the slide has no such tile"));
            return Ok(());
        };
        // A missing tile has a frame that the writer made; a broken frame is told already.
        if range.byte_count == 0 || coded.is_empty() {
            return Ok(());
        }
        let mut tile = vec![0; to_usize(range.byte_count)];
        tiles.source.read_exact_at(&mut tile, range.offset)?;
        let mut rest = tile.as_slice();
        for range in coded {
            let body = bytes.get(range.clone()).unwrap_or_default();
            let Some(at) = memchr::memmem::find(rest, body) else {
                self.problem(format!(
                    "frame {frame}: its entropy-coded bytes are not its tile's"
                ));
                return Ok(());
            };
            rest = rest
                .get(at.saturating_add(body.len())..)
                .unwrap_or_default();
        }
        self.report.frames_equal = self.report.frames_equal.saturating_add(1);
        Ok(())
    }

    /// Looks at a range of bytes, which were read at `offset`, for what counts there only.
    fn look(&mut self, bytes: &[u8], range: Range<usize>, offset: u64) {
        let offset = add(offset, range.start);
        let piece = Piece::whole(bytes.get(range).unwrap_or_default());
        let mut hits = Vec::new();
        self.scanner.look(&self.scanner.unsure, &piece, &mut hits);
        self.report.hits.extend(hits.into_iter().map(|hit| Hit {
            offset: offset.saturating_add(hit.offset),
            ..hit
        }));
        self.report.hits.truncate(self.scanner.limits.hits);
    }

    fn problem(&mut self, what: String) {
        if self.report.problems.len() < self.scanner.limits.problems {
            self.report.problems.push(what);
        }
    }

    fn unchecked(&mut self, what: String) {
        if self.report.unchecked.len() < self.scanner.limits.problems {
            self.report.unchecked.push(what);
        }
    }
}
