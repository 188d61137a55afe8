//! The files of a slide, opened once and only read, as if they were one.
//!
//! They lie one behind the other in one space of offsets, so that nothing else has to know that
//! there are several. What begins in one never goes on in the next.

use std::fs::File;
use std::io;
use std::num::NonZero;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use rustix::fs::{Advice, fadvise};

use crate::error::Error;
use crate::tiles::{ByteRange, Extents};

/// Larger tiles are read one by one: up to about here a disk passes over what lies between two
/// headers no faster than it reads it.
const SMALL_TILE_BYTES: u64 = 64 << 10;

/// What one call may ask for: the kernel reads no more than its read-ahead, 128 KiB unless set.
const READ_AHEAD: NonZero<u64> = match NonZero::new(128 << 10) {
    Some(len) => len,
    None => NonZero::<u64>::MIN,
};

/// What tells one state of a file from another, without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Device number.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
    /// Length in bytes.
    pub len: u64,
    /// Time of the last change, in nanoseconds since 1970.
    pub mtime_ns: i128,
}

/// The files of a slide.
#[derive(Debug)]
pub struct Source {
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    file: File,
    stamp: Stamp,
    /// Where it begins and ends among all.
    start: u64,
    end: u64,
}

impl Source {
    /// Opens a file for reading.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::open_all(&[path])
    }

    /// Opens the files of a slide, to be read one behind the other.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if one cannot be opened.
    pub fn open_all<P: AsRef<Path>>(paths: &[P]) -> Result<Self, Error> {
        let mut parts = Vec::with_capacity(paths.len());
        let mut start = 0;
        for path in paths {
            let file = File::open(path)?;
            let stamp = stamp(&file)?;
            let end = stamp.len.saturating_add(start);
            parts.push(Part {
                file,
                stamp,
                start,
                end,
            });
            start = end;
        }
        Ok(Self { parts })
    }

    /// What the files were when they were opened.
    #[must_use]
    pub fn stamps(&self) -> Vec<Stamp> {
        self.parts.iter().map(|part| part.stamp).collect()
    }

    /// How many bytes all files have together.
    #[must_use]
    pub fn byte_count(&self) -> u64 {
        self.parts.last().map_or(0, |part| part.end)
    }

    /// Where each file ends.
    #[must_use]
    pub fn extents(&self) -> Extents {
        Extents::new(self.parts.iter().map(|part| part.end).collect())
    }

    /// How many bytes there are from `offset` to the end of the file that has it.
    pub(crate) fn left_from(&self, offset: u64) -> u64 {
        let end = self.part_at(offset).map_or(0, |part| part.end);
        end.saturating_sub(offset)
    }

    /// Whether one file has the bytes at both offsets, so that they may be read together.
    pub(crate) fn are_in_one_file(&self, first: u64, second: u64) -> bool {
        let end = self.part_at(first).map_or(0, |part| part.end);
        second < end && first <= second
    }

    /// The file that has the byte at `offset`; the last one, if none has it.
    fn part_at(&self, offset: u64) -> Option<&Part> {
        let number = self.parts.partition_point(|part| part.end <= offset);
        self.parts.get(number).or(self.parts.last())
    }

    /// Checks that every file is still what it was when it was opened.
    ///
    /// # Errors
    ///
    /// [`Error::SourceChanged`] if length or time differ.
    pub fn check_unchanged(&self) -> Result<(), Error> {
        for part in &self.parts {
            if stamp(&part.file)? != part.stamp {
                return Err(Error::SourceChanged);
            }
        }
        Ok(())
    }

    /// Asks the system to read what small tiles lie on, before their headers are asked for.
    ///
    /// Without it each header is a request of its own, in the order in which several threads come
    /// by: a spinning disk seeks for each, a network share answers each.
    pub fn expect(&self, tiles: &[ByteRange]) {
        let count = u64::try_from(tiles.len()).unwrap_or(u64::MAX);
        let sum = tiles
            .iter()
            .fold(0_u64, |sum, range| sum.saturating_add(range.byte_count));
        if sum > count.saturating_mul(SMALL_TILE_BYTES) {
            return;
        }
        let mut asked = 0..0;
        for range in tiles.iter().filter(|range| range.byte_count != 0) {
            if !asked.contains(&range.offset) {
                asked = range.offset..range.offset;
            }
            self.ask_up_to(range.offset.saturating_add(range.byte_count), &mut asked);
        }
    }

    /// Asks the system to read all of a range, whose bytes are wanted in another order.
    pub(crate) fn expect_all(&self, range: ByteRange) {
        let mut asked = range.offset..range.offset;
        self.ask_up_to(range.offset.saturating_add(range.byte_count), &mut asked);
    }

    fn ask_up_to(&self, end: u64, asked: &mut Range<u64>) {
        let Some(part) = self.part_at(asked.start) else {
            return;
        };
        while asked.end < end {
            let at = asked.end.saturating_sub(part.start);
            // It is only advice: what a file system makes of it changes nothing but the time.
            let _ = fadvise(&part.file, at, Some(READ_AHEAD), Advice::WillNeed);
            asked.end = asked.end.saturating_add(READ_AHEAD.get());
        }
    }

    /// Fills `buffer` from `offset`; no cursor is shared.
    ///
    /// # Errors
    ///
    /// [`Error::SourceChanged`] if the file ends before the buffer is full, whether another one
    /// lies behind it or not: every range was checked against its length. [`Error::Io`] for all
    /// else.
    pub fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), Error> {
        let part = self.part_at(offset).ok_or(Error::SourceChanged)?;
        let end = u64::try_from(buffer.len())
            .ok()
            .and_then(|len| offset.checked_add(len));
        if end.is_none_or(|end| end > part.end) {
            return Err(Error::SourceChanged);
        }
        part.file
            .read_exact_at(buffer, offset.saturating_sub(part.start))
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => Error::SourceChanged,
                _ => Error::Io(error),
            })
    }
}

fn stamp(file: &File) -> Result<Stamp, Error> {
    let meta = file.metadata()?;
    let seconds = i128::from(meta.mtime()).saturating_mul(1_000_000_000);
    Ok(Stamp {
        device: meta.dev(),
        inode: meta.ino(),
        len: meta.len(),
        mtime_ns: seconds.saturating_add(i128::from(meta.mtime_nsec())),
    })
}
