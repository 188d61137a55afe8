//! Gathers what goes to the kernel together: bytes of our own, and of the source between them.

use std::ops::Range;

use crate::error::Error;
use crate::frame::FramePlan;
use crate::plan::Checker;
use crate::source::Source;
use crate::tiles::ByteRange;

/// Bytes gathered before they are written: small enough for the second-level cache, also twice.
pub(super) const BATCH_BYTES: usize = 1 << 18;
/// Bytes between two tiles that are rather read than skipped: the headers that are left out.
const GAP_BYTES: u64 = 4096;

/// One piece of what is written.
enum Slice {
    /// Of our own bytes.
    Own { start: usize, end: usize },
    /// Of the source.
    Source { offset: u64, len: u64 },
}

/// Pieces that are read and written together.
pub(super) struct Gather<'a> {
    source: &'a Source,
    /// Of tiles that were not looked at before.
    checker: Option<Checker<'a>>,
    own: Vec<u8>,
    slices: Vec<Slice>,
    byte_count: usize,
    /// What is to be read, in the order of the slices.
    wanted: Vec<Range<u64>>,
    /// Whose tiles these are, if they must be checked.
    tiles: Vec<u64>,
    runs: Vec<Run>,
    read: Vec<u8>,
}

impl<'a> Gather<'a> {
    pub(super) fn new(source: &'a Source, plan: &'a FramePlan) -> Self {
        Self {
            source,
            checker: Checker::new(plan),
            own: Vec::new(),
            slices: Vec::new(),
            byte_count: 0,
            wanted: Vec::new(),
            tiles: Vec::new(),
            runs: Vec::new(),
            read: Vec::new(),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.byte_count >= BATCH_BYTES
    }

    pub(super) fn push_bytes(&mut self, bytes: &[u8]) {
        let start = self.own.len();
        self.own.extend_from_slice(bytes);
        self.byte_count = self.byte_count.saturating_add(bytes.len());
        match self.slices.last_mut() {
            Some(Slice::Own { end, .. }) => *end = self.own.len(),
            _ => self.slices.push(Slice::Own {
                start,
                end: self.own.len(),
            }),
        }
    }

    /// Adds bytes of a tile.
    pub(super) fn push_body(&mut self, index: usize, tile: ByteRange, body: ByteRange) {
        let read = if self.checker.is_some() { tile } else { body };
        if body.byte_count == 0 && tile.byte_count == 0 {
            return; // it is missing
        }
        let end = read.offset.saturating_add(read.byte_count);
        self.wanted.push(read.offset..end);
        self.tiles.push(u64::try_from(index).unwrap_or(u64::MAX));
        let ByteRange { offset, byte_count } = body;
        self.slices.push(Slice::Source {
            offset,
            len: byte_count,
        });
        let len = usize::try_from(byte_count).unwrap_or(usize::MAX);
        self.byte_count = self.byte_count.saturating_add(len);
    }

    /// Reads what was gathered, puts it into `out` as it stands in the file, and begins anew.
    pub(super) fn take(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.read()?;
        self.check()?;
        out.clear();
        let mut runs = self.runs.iter().peekable();
        for slice in &self.slices {
            let bytes = match *slice {
                Slice::Own { start, end } => self.own.get(start..end),
                Slice::Source { offset, len } => {
                    while runs.next_if(|run| !run.holds(offset, len)).is_some() {}
                    runs.peek()
                        .and_then(|run| run.slice(&self.read, offset, len))
                }
            };
            out.extend_from_slice(bytes.ok_or(Error::SourceChanged)?);
        }
        self.own.clear();
        self.slices.clear();
        self.byte_count = 0;
        self.wanted.clear();
        self.tiles.clear();
        self.runs.clear();
        Ok(())
    }

    /// Reads what is wanted of the source, neighbouring tiles together.
    fn read(&mut self) -> Result<(), Error> {
        for (number, wanted) in self.wanted.iter().enumerate() {
            match self.runs.last_mut() {
                Some(run)
                    if run.is_followed_by(wanted.start)
                        && self.source.are_in_one_file(run.start, wanted.start) =>
                {
                    run.end = wanted.end;
                    run.wanted.end = number.saturating_add(1);
                }
                last => {
                    let at = last.map_or(0, |run| run.at.saturating_add(run.len()));
                    self.runs.push(Run {
                        start: wanted.start,
                        end: wanted.end,
                        at,
                        wanted: number..number.saturating_add(1),
                    });
                }
            }
        }
        let len = self
            .runs
            .last()
            .map_or(0, |run| run.at.saturating_add(run.len()));
        if self.read.len() < len {
            self.read.resize(len, 0);
        }
        for run in &self.runs {
            let room = self.read.get_mut(run.at..run.at.saturating_add(run.len()));
            let room = room.ok_or(Error::SourceChanged)?;
            self.source.read_exact_at(room, run.start)?;
        }
        Ok(())
    }

    /// Compares the tiles with what they were supposed to be.
    fn check(&mut self) -> Result<(), Error> {
        let Some(checker) = &mut self.checker else {
            return Ok(());
        };
        for run in &self.runs {
            let bytes = self.read.get(run.at..run.at.saturating_add(run.len()));
            let tiles = self.tiles.get(run.wanted.clone());
            let (bytes, tiles) = bytes.zip(tiles).ok_or(Error::SourceChanged)?;
            checker.check(tiles, run.start, bytes)?;
        }
        Ok(())
    }
}

/// A piece of the source that is read in one go, and where it lies in the buffer.
struct Run {
    start: u64,
    end: u64,
    at: usize,
    wanted: Range<usize>,
}

impl Run {
    fn len(&self) -> usize {
        usize::try_from(self.end.saturating_sub(self.start)).unwrap_or(usize::MAX)
    }

    fn is_followed_by(&self, offset: u64) -> bool {
        offset
            .checked_sub(self.end)
            .is_some_and(|gap| gap <= GAP_BYTES)
    }

    fn holds(&self, offset: u64, len: u64) -> bool {
        self.start <= offset && offset.saturating_add(len) <= self.end
    }

    fn slice<'b>(&self, buffer: &'b [u8], offset: u64, len: u64) -> Option<&'b [u8]> {
        let within = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        let start = self.at.checked_add(within)?;
        buffer.get(start..start.checked_add(usize::try_from(len).ok()?)?)
    }
}
