//! A file that is read from front to back, a piece at a time, and searched on the way.

use std::ops::Range;

use super::{CONTEXT, Hit, Piece, Scanner, to_usize};
use crate::error::Error;
use crate::written::Readable;

/// Bytes read at a time: they stay in the processor's cache while they are looked at.
const WINDOW_BYTES: u64 = 1 << 18;

/// A stretch of a file.
///
/// Every byte of it is searched for forms that count everywhere while it is there to be walked, so
/// that a file is read once and not twice.
pub(super) struct Reader<'a> {
    file: &'a Readable<'a>,
    scanner: Option<&'a Scanner>,
    /// An item that is longer is none.
    longest_item: u64,
    pub(super) at: u64,
    window: Vec<u8>,
    window_at: u64,
    /// Forms that begin here were not looked for yet; what lies behind is another stretch.
    unsearched: Range<u64>,
    hits: Vec<Hit>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        file: &'a Readable<'a>,
        scanner: Option<&'a Scanner>,
        longest_item: u64,
        stretch: Range<u64>,
    ) -> Self {
        // Where a stretch lies may be what a wrong offset table says.
        let stretch = stretch.start.min(file.len)..stretch.end.min(file.len);
        Self {
            file,
            scanner,
            longest_item,
            at: stretch.start,
            window: Vec::new(),
            window_at: 0,
            unsearched: stretch,
            hits: Vec::new(),
        }
    }

    pub(super) fn left(&self) -> u64 {
        self.file.len.saturating_sub(self.at)
    }

    /// The next bytes, without moving; fewer where the file ends.
    fn peek(&mut self, len: u64) -> Result<&[u8], Error> {
        let len = len.min(self.left());
        while !self.holds(len) {
            self.fill(len)?;
        }
        Ok(self.slice(self.at, len))
    }

    fn holds(&self, len: u64) -> bool {
        let window_len = u64::try_from(self.window.len()).unwrap_or(0);
        self.window_at <= self.at
            && self.at.saturating_add(len) <= self.window_at.saturating_add(window_len)
    }

    fn slice(&self, offset: u64, len: u64) -> &[u8] {
        let start = to_usize(offset.saturating_sub(self.window_at));
        let end = start.saturating_add(to_usize(len));
        self.window.get(start..end).unwrap_or_default()
    }

    /// Reads on from where neither the walk nor the search has been.
    fn fill(&mut self, len: u64) -> Result<(), Error> {
        let (mut from, mut around, mut ahead) = (self.at, 0, 0);
        if let Some(scanner) = self.scanner.filter(|_| !self.unsearched.is_empty()) {
            from = from.min(self.unsearched.start);
            around = CONTEXT;
            ahead = CONTEXT.saturating_add(scanner.longest);
        }
        let width = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
        let needed = if from == self.at { len } else { 0 };
        let end = from
            .saturating_add(needed.max(WINDOW_BYTES))
            .saturating_add(width(ahead))
            .min(self.file.len);
        self.window_at = from.saturating_sub(width(around));
        let room = to_usize(end.saturating_sub(self.window_at));
        self.window.resize(room, 0);
        self.file.read_exact_at(&mut self.window, self.window_at)?;
        // Behind the last byte there is nothing that a form could go on with.
        let searched = if end == self.file.len {
            end
        } else {
            end.saturating_sub(width(ahead))
        };
        self.search(searched.min(self.unsearched.end));
        Ok(())
    }

    fn search(&mut self, end: u64) {
        let Some(scanner) = self.scanner else {
            return;
        };
        if end <= self.unsearched.start {
            return;
        }
        let within = |at: u64| to_usize(at.saturating_sub(self.window_at));
        let piece = Piece {
            data: &self.window,
            offset: self.window_at,
            first_start: within(self.unsearched.start),
            end_start: within(end),
        };
        scanner.look(&scanner.sure, &piece, &mut self.hits);
        self.hits.truncate(scanner.limits.hits);
        self.unsearched.start = end;
    }

    /// Searches all that is left of the stretch up to an offset, and returns what was found.
    pub(super) fn finish(mut self, end: u64) -> Result<Vec<Hit>, Error> {
        self.unsearched.end = self.unsearched.end.min(end).min(self.file.len);
        while self.scanner.is_some() && !self.unsearched.is_empty() {
            self.at = self.unsearched.start;
            self.fill(0)?;
        }
        Ok(self.hits)
    }

    /// The next bytes, with their offset; moves behind them.
    pub(super) fn take(&mut self, len: u64) -> Result<(&[u8], u64), Error> {
        let offset = self.at;
        let len = len.min(self.left());
        self.peek(len)?;
        self.at = offset.saturating_add(len);
        Ok((self.slice(offset, len), offset))
    }

    /// Moves behind the given bytes if they come next.
    pub(super) fn skip(&mut self, bytes: &[u8]) -> Result<bool, Error> {
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let is_next = self.peek(len)? == bytes;
        if is_next {
            self.at = self.at.saturating_add(len);
        }
        Ok(is_next)
    }

    /// Moves behind the header of an item, if one comes next that fits into the file.
    pub(super) fn item(&mut self) -> Result<Option<u64>, Error> {
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
