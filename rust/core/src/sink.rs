//! Where an instance is written: through the page cache, or past it straight to the disk.
//!
//! A file that is read back at once belongs in the cache. One that is not would only push other
//! things out of it, cost a copy of every byte and the kernel's search for memory, and still has
//! to reach the disk before it gets its name: written past the cache it is there when it is whole.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, JoinHandle};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

/// Bytes that go to the disk in one call. Below a megabyte the disk waits for the processor;
/// beyond four nothing is gained.
const BLOCK_BYTES: usize = 4 << 20;
/// What addresses, offsets and lengths must be multiples of; the largest that disks ask for.
const ALIGNMENT: usize = 4096;
/// Blocks that are full and wait for the disk.
const BLOCKS_IN_FLIGHT: usize = 1;

/// A new file that is written from its first byte to its last.
#[derive(Debug)]
pub(crate) enum Sink {
    /// Through the page cache.
    Cached(File),
    /// Past it.
    Direct(Direct),
}

impl Sink {
    /// Creates the file, for its owner only; it must not exist.
    ///
    /// Where the file system does not write past its cache, `past_cache` does nothing.
    pub(crate) fn create(path: &Path, past_cache: bool) -> io::Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        match open_direct(path).filter(|_| past_cache) {
            Some(direct) => Ok(Self::Direct(Direct::new(file, direct)?)),
            None => Ok(Self::Cached(file)),
        }
    }

    /// Takes the room for `byte_count` bytes from `offset`, where the file system can do that ahead.
    ///
    /// With its blocks given out at once and not one by one, a file is written in 0.6 times the
    /// time (ext4); and where there is no room it is found now.
    pub(crate) fn reserve(&self, offset: u64, byte_count: u64) -> io::Result<()> {
        let file = match self {
            Self::Cached(file) => file,
            Self::Direct(direct) => &direct.reserving,
        };
        match fallocate(file, FallocateFlags::KEEP_SIZE, offset, byte_count) {
            Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => Err(error.into()),
            // Many file systems cannot, each in its own words.
            _ => Ok(()),
        }
    }

    /// Waits until all was handed to the kernel, and returns the length of the file.
    pub(crate) fn finish(self) -> io::Result<u64> {
        match self {
            Self::Cached(file) => Ok(file.metadata()?.len()),
            Self::Direct(direct) => direct.finish(),
        }
    }
}

#[cfg(target_os = "linux")]
fn open_direct(path: &Path) -> Option<File> {
    OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_DIRECT | libc::O_NOFOLLOW)
        .open(path)
        .ok()
}

#[cfg(not(target_os = "linux"))]
fn open_direct(_path: &Path) -> Option<File> {
    None
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Cached(file) => file.write(bytes),
            Self::Direct(direct) => direct.take(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Fills one block while a thread of its own hands the one before to the disk.
#[derive(Debug)]
pub(crate) struct Direct {
    block: Block,
    /// The file, for what is not writing.
    reserving: File,
    full: Option<SyncSender<Block>>,
    emptied: Receiver<Block>,
    writer: Option<JoinHandle<io::Result<u64>>>,
}

impl Direct {
    fn new(cached: File, direct: File) -> io::Result<Self> {
        let (full, filled) = mpsc::sync_channel::<Block>(BLOCKS_IN_FLIGHT);
        let (empty, emptied) = mpsc::channel();
        let reserving = cached.try_clone()?;
        let mut target = Target {
            cached,
            direct: Some(direct),
            at: 0,
        };
        let writer = thread::Builder::new().spawn(move || {
            for mut block in filled {
                target.write(block.bytes())?;
                block.len = 0;
                // Nobody takes it back any more when the last one is written.
                let _ = empty.send(block);
            }
            Ok(target.at)
        })?;
        Ok(Self {
            block: Block::new(),
            reserving,
            full: Some(full),
            emptied,
            writer: Some(writer),
        })
    }

    /// Takes as many bytes as the block has room for.
    fn take(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.block.fill(bytes);
        if self.block.is_full() {
            let next = self.emptied.try_recv().unwrap_or_else(|_| Block::new());
            let block = std::mem::replace(&mut self.block, next);
            self.hand_over(block)?;
        }
        Ok(count)
    }

    fn hand_over(&mut self, block: Block) -> io::Result<()> {
        match self.full.as_ref().map(|full| full.send(block)) {
            Some(Ok(())) => Ok(()),
            // The writer has failed and tells why.
            _ => Err(self.join().err().unwrap_or_else(died)),
        }
    }

    fn join(&mut self) -> io::Result<u64> {
        self.full = None;
        let writer = self.writer.take().map(JoinHandle::join);
        writer.and_then(Result::ok).unwrap_or_else(|| Err(died()))
    }

    fn finish(mut self) -> io::Result<u64> {
        let block = std::mem::replace(&mut self.block, Block::empty());
        self.hand_over(block)?;
        self.join()
    }
}

impl Drop for Direct {
    fn drop(&mut self) {
        // Whoever removes a file that was given up must find nobody still writing to it.
        let _ = self.join();
    }
}

fn died() -> io::Error {
    io::Error::other("the thread that writes has died")
}

/// The file, opened twice.
struct Target {
    cached: File,
    direct: Option<File>,
    at: u64,
}

impl Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let whole = bytes.len().saturating_sub(bytes.len() % ALIGNMENT);
        let (blocks, rest) = bytes.split_at_checked(whole).unwrap_or((bytes, &[]));
        self.write_blocks(blocks)?;
        // Only the end of a file is no whole block.
        self.cached.write_all_at(rest, self.at)?;
        self.advance(rest);
        Ok(())
    }

    fn write_blocks(&mut self, blocks: &[u8]) -> io::Result<()> {
        let written = match &self.direct {
            Some(direct) => direct.write_all_at(blocks, self.at),
            None => self.cached.write_all_at(blocks, self.at),
        };
        match written {
            // Some file systems open a file so and then ask for more than is promised above.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput && self.direct.is_some() => {
                self.direct = None;
                self.write_blocks(blocks)
            }
            other => {
                self.advance(blocks);
                other
            }
        }
    }

    fn advance(&mut self, bytes: &[u8]) {
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.at = self.at.saturating_add(len);
    }
}

/// Memory that begins where the disk wants it.
#[derive(Debug)]
struct Block {
    memory: Vec<u8>,
    start: usize,
    len: usize,
}

impl Block {
    fn new() -> Self {
        let memory = vec![0; BLOCK_BYTES.saturating_add(ALIGNMENT)];
        let start = memory.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Self {
            memory,
            start,
            len: 0,
        }
    }

    fn empty() -> Self {
        Self {
            memory: Vec::new(),
            start: 0,
            len: 0,
        }
    }

    fn is_full(&self) -> bool {
        self.len >= BLOCK_BYTES
    }

    fn fill(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(BLOCK_BYTES.saturating_sub(self.len));
        let at = self.start.saturating_add(self.len);
        let room = self.memory.get_mut(at..at.saturating_add(count));
        match (room, bytes.get(..count)) {
            (Some(room), Some(bytes)) => room.copy_from_slice(bytes),
            _ => return 0,
        }
        self.len = self.len.saturating_add(count);
        count
    }

    fn bytes(&self) -> &[u8] {
        let end = self.start.saturating_add(self.len);
        self.memory.get(self.start..end).unwrap_or_default()
    }
}
