//! Walks the Pixel Data of an instance and looks for terms in all of its file.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::stream::{self, Fault};
use super::{Hit, Piece, Scanner, add, tidy};
use crate::error::Error;
use crate::limits::Limits;
use crate::source::Source;
use crate::tiles::{ByteRange, TileIndex};
use crate::watch::Watch;

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
pub struct Header {
    /// Where (7FE0,0010) begins.
    pub pixel_data_offset: u64,
    /// The values of (7FE0,0001) and (7FE0,0002).
    pub extended: Option<(Vec<u8>, Vec<u8>)>,
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
    header: &Header,
    tiles: Option<Tiles<'_>>,
    watch: &mut dyn Watch,
) -> Result<InstanceReport, Error> {
    let file = File::open(path)?;
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let walk = scope.spawn(|| {
            let mut walk = Walk {
                scanner,
                file: &file,
                file_len: file.metadata()?.len(),
                at: 0,
                buffer: Vec::new(),
                report: InstanceReport::default(),
                stop: &stop,
            };
            walk.header(header)?;
            walk.pixel_data(header.extended.as_ref(), tiles)?;
            Ok::<_, Error>(walk.report)
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

/// An instance that is read from front to back by position.
struct Walk<'a> {
    scanner: &'a Scanner,
    file: &'a File,
    file_len: u64,
    at: u64,
    buffer: Vec<u8>,
    report: InstanceReport,
    stop: &'a AtomicBool,
}

impl Walk<'_> {
    /// Looks at all that stands before the Pixel Data and is not a number.
    fn header(&mut self, header: &Header) -> Result<(), Error> {
        self.take(header.pixel_data_offset.min(self.file_len))?;
        let at = |offset| {
            usize::try_from(offset)
                .unwrap_or(usize::MAX)
                .min(self.buffer.len())
        };
        let starts = header
            .numbers
            .iter()
            .map(|range| at(range.end().unwrap_or(u64::MAX)));
        let ends = header.numbers.iter().map(|range| at(range.offset));
        let starts: Vec<_> = std::iter::once(0).chain(starts).collect();
        let ends: Vec<_> = ends.chain([self.buffer.len()]).collect();
        for (start, end) in starts.into_iter().zip(ends) {
            self.look(start..end, 0);
        }
        Ok(())
    }

    fn pixel_data(
        &mut self,
        extended: Option<&(Vec<u8>, Vec<u8>)>,
        tiles: Option<Tiles<'_>>,
    ) -> Result<(), Error> {
        if !self.next_is(b"\xE0\x7F\x10\x00OB\0\0\xFF\xFF\xFF\xFF")? {
            return self.give_up("Pixel Data is not encapsulated OB of undefined length");
        }
        let Some(table_len) = self.item()? else {
            return self.give_up("Pixel Data does not begin with an item");
        };
        self.take(table_len)?;
        let basic = self.buffer.clone();
        let (first_item, mut frame) = (self.at, 0_u64);
        let mut table = Vec::new();
        while let Some(len) = self.item()? {
            table.push((self.at.saturating_sub(8).saturating_sub(first_item), len));
            self.take(len)?;
            self.frame(frame);
            if let Some(tiles) = tiles {
                self.compare(frame, tiles)?;
            }
            frame = frame.saturating_add(1);
            if self.stop.load(Ordering::Relaxed) {
                return Err(Error::Cancelled);
            }
        }
        self.report.frame_count = frame;
        self.tables(&table, &basic, extended);
        if !self.next_is(b"\xFE\xFF\xDD\xE0\0\0\0\0")? {
            return self.give_up("Pixel Data does not end with a sequence delimiter");
        }
        if self.at < self.file_len {
            return self.give_up("bytes behind the Pixel Data");
        }
        Ok(())
    }

    /// Looks at one frame, which is in the buffer.
    ///
    /// If it is proved to hold nothing but what its decoder needs, all of it counts as
    /// entropy-coded: tables are numbers as well.
    fn frame(&mut self, frame: u64) {
        match stream::walk(&self.buffer) {
            Ok(_) => {}
            Err(Fault::Unknown(what)) => self.unchecked(format!("frame {frame}: {what}")),
            Err(Fault::Wrong(what)) => {
                self.problem(format!("frame {frame}: {what}"));
                let len = self.buffer.len();
                let offset = self.at.saturating_sub(u64::try_from(len).unwrap_or(0));
                self.look(0..len, offset);
            }
        }
    }

    /// Compares the frame in the buffer with its tile.
    fn compare(&mut self, frame: u64, tiles: Tiles<'_>) -> Result<(), Error> {
        let index = usize::try_from(frame).unwrap_or(usize::MAX);
        let Some(range) = tiles.index.ranges().get(index) else {
            self.problem(format!("frame {frame}: the slide has no such tile"));
            return Ok(());
        };
        if range.byte_count == 0 {
            return Ok(());
        }
        let mut tile = vec![0; usize::try_from(range.byte_count).unwrap_or(usize::MAX)];
        tiles.source.read_exact_at(&mut tile, range.offset)?;
        let Ok(entropy) = stream::walk(&self.buffer) else {
            return Ok(());
        };
        let mut behind = 0;
        for range in entropy {
            let body = self.buffer.get(range).unwrap_or_default();
            let rest = tile.get(behind..).unwrap_or_default();
            let Some(at) = memchr::memmem::find(rest, body) else {
                self.problem(format!(
                    "frame {frame}: its entropy-coded bytes are not its tile's"
                ));
                return Ok(());
            };
            behind = behind.saturating_add(at).saturating_add(body.len());
        }
        self.report.frames_equal = self.report.frames_equal.saturating_add(1);
        Ok(())
    }

    /// Compares the offset tables with the items that are there.
    fn tables(
        &mut self,
        there: &[(u64, u64)],
        basic: &[u8],
        extended: Option<&(Vec<u8>, Vec<u8>)>,
    ) {
        let offsets: Vec<u64> = there.iter().map(|&(offset, _)| offset).collect();
        let lengths: Vec<u64> = there.iter().map(|&(_, len)| len).collect();
        let (of_basic, rest) = basic.as_chunks::<4>();
        let of_basic = of_basic
            .iter()
            .map(|entry| u64::from(u32::from_le_bytes(*entry)));
        if !basic.is_empty() && (!rest.is_empty() || !of_basic.eq(offsets.iter().copied())) {
            self.problem("the Basic Offset Table is not what is there".into());
        }
        let Some((of_extended, len_extended)) = extended else {
            return;
        };
        if !basic.is_empty() {
            self.problem("two offset tables".into());
        }
        if !is_table(of_extended, &offsets) || !is_table(len_extended, &lengths) {
            self.problem("the Extended Offset Table is not what is there".into());
        }
    }

    /// Looks at a range of the buffer, which was read at `offset`, for what counts there only.
    fn look(&mut self, range: Range<usize>, offset: u64) {
        let offset = add(offset, range.start);
        let piece = Piece::whole(self.buffer.get(range).unwrap_or_default());
        let mut hits = Vec::new();
        self.scanner.look(&self.scanner.unsure, &piece, &mut hits);
        self.report.hits.extend(hits.into_iter().map(|hit| Hit {
            offset: offset.saturating_add(hit.offset),
            ..hit
        }));
        self.report.hits.truncate(Limits::default().hits);
    }

    /// Reads bytes into the buffer and moves behind them.
    fn take(&mut self, len: u64) -> Result<(), Error> {
        self.buffer
            .resize(usize::try_from(len).unwrap_or(usize::MAX), 0);
        self.file.read_exact_at(&mut self.buffer, self.at)?;
        self.at = self.at.saturating_add(len);
        Ok(())
    }

    /// Moves behind the given bytes if they come next.
    fn next_is(&mut self, bytes: &[u8]) -> Result<bool, Error> {
        let mut there = vec![0; bytes.len()];
        let end = add(self.at, bytes.len());
        if end > self.file_len {
            return Ok(false);
        }
        self.file.read_exact_at(&mut there, self.at)?;
        if there != bytes {
            return Ok(false);
        }
        self.at = end;
        Ok(true)
    }

    /// Moves behind the header of an item, if one comes next that fits into the file.
    fn item(&mut self) -> Result<Option<u64>, Error> {
        let start = self.at;
        if !self.next_is(b"\xFE\xFF\x00\xE0")? {
            return Ok(None);
        }
        let mut len = [0; 4];
        if self.file_len.saturating_sub(self.at) >= 4 {
            self.file.read_exact_at(&mut len, self.at)?;
            let len = u64::from(u32::from_le_bytes(len));
            self.at = self.at.saturating_add(4);
            if len <= self.file_len.saturating_sub(self.at) && len <= Limits::default().tile_bytes {
                return Ok(Some(len));
            }
        }
        self.at = start;
        Ok(None)
    }

    /// Notes a problem behind which nothing is understood, and looks at all the rest.
    fn give_up(&mut self, what: &str) -> Result<(), Error> {
        self.problem(what.into());
        let rest = self.scanner.scan_pieces(
            self.file,
            self.at,
            &[&self.scanner.unsure],
            &mut crate::watch::Unwatched,
        )?;
        self.report.hits.extend(rest);
        Ok(())
    }

    fn problem(&mut self, what: String) {
        if self.report.problems.len() < Limits::default().problems {
            self.report.problems.push(what);
        }
    }

    fn unchecked(&mut self, what: String) {
        if self.report.unchecked.len() < Limits::default().problems {
            self.report.unchecked.push(what);
        }
    }
}

/// Whether a table of 64-bit numbers holds these.
fn is_table(table: &[u8], numbers: &[u64]) -> bool {
    let (entries, rest) = table.as_chunks::<8>();
    let entries = entries.iter().map(|entry| u64::from_le_bytes(*entry));
    rest.is_empty() && entries.eq(numbers.iter().copied())
}
