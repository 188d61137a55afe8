//! Reads pieces of tiles, as few as tell what becomes of them.

use std::rc::Rc;

use super::{Fault, Made, to_u64, to_usize};
use crate::error::{Error, StreamError};
use crate::jpeg;
use crate::limits::Limits;
use crate::source::Source;
use crate::tiles::ByteRange;

/// Bytes read from the start of a tile while it is not known how long its header is.
pub(super) const FIRST_READ: u64 = 1024;
/// Bytes read beyond the length of the last header, since the next one may differ a little.
const HEADER_MARGIN: u64 = 64;

/// What tiles are read from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Input<'a> {
    File(&'a Source),
    /// A piece of the file that was read before, from this offset.
    Memory(u64, &'a [u8]),
}

impl<'a> From<&'a Source> for Input<'a> {
    fn from(source: &'a Source) -> Self {
        Self::File(source)
    }
}

impl Input<'_> {
    /// How many bytes can be read from an offset on.
    fn left_from(self, offset: u64) -> u64 {
        match self {
            Self::File(source) => source.left_from(offset),
            Self::Memory(start, bytes) => start
                .saturating_add(to_u64(bytes.len()))
                .saturating_sub(offset),
        }
    }

    fn read_exact_at(self, buffer: &mut [u8], offset: u64) -> Result<(), Error> {
        match self {
            Self::File(source) => source.read_exact_at(buffer, offset),
            Self::Memory(start, bytes) => {
                let from = offset.checked_sub(start).map(to_usize);
                let there = from
                    .and_then(|from| bytes.get(from..from.checked_add(buffer.len())?))
                    .ok_or(Error::SourceChanged)?;
                buffer.copy_from_slice(there);
                Ok(())
            }
        }
    }
}

/// Reads pieces of one tile into buffers that are used again for the next.
///
/// The end of a tile is read together with what is behind it, where the next one begins as a rule,
/// and a header that has the bytes of the one before is not taken apart again: a level has
/// millions of tiles.
pub(crate) struct TileReader<'a> {
    input: Input<'a>,
    pub(super) limits: &'a Limits,
    pub(crate) range: ByteRange,
    first_read: u64,
    pub(super) start: Vec<u8>,
    piece: Vec<u8>,
    /// Where `piece` lies in the file.
    piece_at: u64,
    pub(super) last: Option<Rc<Made>>,
    /// Whether all bytes of a tile are looked at, however it ends.
    pub(super) is_thorough: bool,
}

impl<'a> TileReader<'a> {
    pub(crate) fn new(input: impl Into<Input<'a>>, limits: &'a Limits) -> Self {
        let range = ByteRange {
            offset: 0,
            byte_count: 0,
        };
        Self {
            input: input.into(),
            limits,
            range,
            first_read: FIRST_READ,
            start: Vec::new(),
            piece: Vec::new(),
            piece_at: 0,
            last: None,
            is_thorough: false,
        }
    }

    /// Looks at all bytes of a tile to find its end.
    pub(crate) fn thorough(mut self, is_thorough: bool) -> Self {
        self.is_thorough = is_thorough;
        self
    }

    /// Knows what the header of a tile became that another reader took apart.
    pub(crate) fn knowing(mut self, made: Option<Rc<Made>>) -> Self {
        if let Some(made) = &made {
            self.first_read = to_u64(made.head.len()).saturating_add(HEADER_MARGIN);
        }
        self.last = made;
        self
    }

    pub(crate) fn open(&mut self, range: ByteRange) {
        self.range = range;
        self.start.clear();
    }

    /// Reads the start of the tile, and more of it as long as `parse` asks for more.
    pub(crate) fn parse_start<T>(
        &mut self,
        parse: impl Fn(&[u8]) -> Result<T, StreamError>,
    ) -> Result<T, Fault> {
        let mut want = self.first_read;
        loop {
            let len = want.min(self.range.byte_count);
            self.read_start(len)?;
            match parse(&self.start) {
                Err(StreamError::Incomplete) if len < self.range.byte_count => {
                    want = self.limits.next_header_read(want)?;
                }
                other => return other.map_err(Fault::Stream),
            }
        }
    }

    fn read_start(&mut self, len: u64) -> Result<(), Error> {
        let from = self.range.offset.checked_sub(self.piece_at).map(to_usize);
        let at_hand =
            from.and_then(|from| self.piece.get(from..from.saturating_add(to_usize(len))));
        self.start.clear();
        if let Some(bytes) = at_hand {
            self.start.extend_from_slice(bytes);
            return Ok(());
        }
        self.start.resize(to_usize(len), 0);
        self.input.read_exact_at(&mut self.start, self.range.offset)
    }

    /// Returns what the last tile's header became, if this one's has the same bytes.
    pub(super) fn made_before(&mut self) -> Result<Option<Rc<Made>>, Error> {
        let Some(last) = self.last.clone() else {
            return Ok(None);
        };
        let len = to_u64(last.head.len());
        if len > self.range.byte_count {
            return Ok(None);
        }
        self.read_start(self.first_read.max(len).min(self.range.byte_count))?;
        Ok(self.start.starts_with(&last.head).then_some(last))
    }

    /// Notes what a header became that depends on the first `len` bytes.
    pub(super) fn made(&mut self, len: u64, made: impl FnOnce(Vec<u8>) -> Made) -> Rc<Made> {
        // Headers of one level are alike, and short reads are cheap.
        self.first_read = len.saturating_add(HEADER_MARGIN);
        let head = self.start.get(..to_usize(len)).unwrap_or_default();
        let made = Rc::new(made(head.to_vec()));
        self.last = Some(Rc::clone(&made));
        made
    }

    /// The start of a JPEG tile, with all of its header.
    pub(crate) fn read_header(&mut self) -> Result<Vec<u8>, Fault> {
        let len = self.parse_start(|start| Ok(jpeg::parse_header(start)?.len))?;
        Ok(self.start.get(..len).unwrap_or_default().to_vec())
    }

    /// All of a tile from an offset on.
    pub(super) fn read_rest(&mut self, at: u64) -> Result<&[u8], Error> {
        self.check_whole()?;
        self.read(at, self.range.byte_count.saturating_sub(at))
    }

    fn check_whole(&self) -> Result<(), Error> {
        if self.range.byte_count > self.limits.tile_bytes {
            return Err(Error::Limit {
                what: format!("{} bytes in one piece", self.range.byte_count),
                name: "tile_bytes",
                limit: self.limits.tile_bytes,
            });
        }
        Ok(())
    }

    /// All of a tile.
    pub(crate) fn read_all(&mut self) -> Result<Vec<u8>, Error> {
        self.check_whole()?;
        let mut bytes = vec![0; to_usize(self.range.byte_count)];
        self.input.read_exact_at(&mut bytes, self.range.offset)?;
        Ok(bytes)
    }

    /// Reads `len` bytes at an offset from the start of the tile, or what there is of them.
    pub(crate) fn read(&mut self, at: u64, len: u64) -> Result<&[u8], Error> {
        let len = len.min(self.range.byte_count.saturating_sub(at));
        let (from, to) = (to_usize(at), to_usize(at.saturating_add(len)));
        if to <= self.start.len() {
            return Ok(self.start.get(from..to).unwrap_or_default());
        }
        let is_end = at.saturating_add(len) >= self.range.byte_count;
        let begin = self.range.offset.saturating_add(at);
        let behind = self.input.left_from(begin).saturating_sub(len);
        let ahead = if is_end {
            self.first_read.min(behind)
        } else {
            0
        };
        self.piece.resize(to_usize(len.saturating_add(ahead)), 0);
        self.piece_at = begin;
        let read = self.input.read_exact_at(&mut self.piece, begin);
        if let Err(error) = read {
            self.piece.clear();
            return Err(error);
        }
        Ok(self.piece.get(..to_usize(len)).unwrap_or_default())
    }
}
