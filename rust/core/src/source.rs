//! The slide file, opened once and only read.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use crate::error::Error;

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
