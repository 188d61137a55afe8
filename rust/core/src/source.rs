//! The slide file, opened once and only read.

use std::fs::File;
use std::io;
use std::num::NonZero;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use rustix::fs::{Advice, fadvise};

use crate::error::Error;
use crate::tiles::ByteRange;

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

/// The slide file.
#[derive(Debug)]
pub struct Source {
    file: File,
    stamp: Stamp,
}

impl Source {
    /// Opens a file for reading.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path)?;
        let stamp = stamp(&file)?;
        Ok(Self { file, stamp })
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// What the file was when it was opened.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Checks that the file is still what it was when it was opened.
    ///
    /// # Errors
    ///
    /// [`Error::SourceChanged`] if length or time differ.
    pub fn check_unchanged(&self) -> Result<(), Error> {
        if stamp(&self.file)? == self.stamp {
            Ok(())
        } else {
            Err(Error::SourceChanged)
        }
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
            let end = range.offset.saturating_add(range.byte_count);
            while asked.end < end {
                // It is only advice: what a file system makes of it changes nothing but the time.
                let _ = fadvise(&self.file, asked.end, Some(READ_AHEAD), Advice::WillNeed);
                asked.end = asked.end.saturating_add(READ_AHEAD.get());
            }
        }
    }

    /// Fills `buffer` from `offset`; no cursor is shared.
    ///
    /// # Errors
    ///
    /// [`Error::SourceChanged`] if the file ends before the buffer is full: every range was
    /// checked against its length. [`Error::Io`] for all else.
    pub fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), Error> {
        self.file
            .read_exact_at(buffer, offset)
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
