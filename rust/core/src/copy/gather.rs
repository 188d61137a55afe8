//! Gathers what goes to the kernel together: bytes of our own, and of the source between them.

use std::ops::Range;

use crate::error::Error;
use crate::frame::{FramePlan, Part};
use crate::plan::{Check, checker};
use crate::source::Source;
use crate::tiles::ByteRange;

/// Bytes gathered before they are written: small enough for the second-level cache, also twice.
pub(super) const BATCH_BYTES: usize = 1 << 18;
/// The same of frames that are joined of many parts: those of neighbours lie beside each other in
/// the source, and are read together if the frames are.
const JOINED_BATCH_BYTES: usize = 1 << 20;
/// Parts of a batch, however short: what lies between them is read, too.
const BATCH_PARTS: usize = 4096;
/// Bytes between two tiles that are rather read than skipped: the headers that are left out.
const GAP_BYTES: u64 = 4096;

/// Bytes of our own, and where they are written.
struct Own {
    bytes: Range<usize>,
    at: usize,
}

/// Bytes of the source, and where they are written.
struct Wanted {
    /// What is read to have them.
    scope: ByteRange,
    part: Part,
    at: usize,
}

/// Pieces that are read and written together.
pub(super) struct Gather<'a> {
    source: &'a Source,
    /// Of what was not looked at before.
    checker: Option<Box<dyn Check + 'a>>,
    /// Bytes that are enough for a batch.
    most: usize,
    len: usize,
    bytes: Vec<u8>,
    own: Vec<Own>,
    wanted: Vec<Wanted>,
    /// One run of neighbours of the source, read together.
    read: Vec<u8>,
    run: Vec<Part>,
}

impl<'a> Gather<'a> {
    pub(super) fn new(source: &'a Source, plan: &'a FramePlan) -> Self {
        Self {
            source,
            checker: checker(plan),
            most: if plan.is_joined() {
                JOINED_BATCH_BYTES
            } else {
                BATCH_BYTES
            },
            len: 0,
            bytes: Vec::new(),
            own: Vec::new(),
            wanted: Vec::new(),
            read: Vec::new(),
            run: Vec::new(),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.len >= self.most || self.wanted.len() >= BATCH_PARTS
    }

    pub(super) fn push_bytes(&mut self, bytes: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        let end = self.bytes.len();
        let at = self.len;
        self.len = at.saturating_add(bytes.len());
        match self.own.last_mut() {
            Some(own) if own.at.saturating_add(own.bytes.len()) == at => own.bytes.end = end,
            _ => self.own.push(Own {
                bytes: start..end,
                at,
            }),
        }
    }

    /// Adds bytes of the source.
    pub(super) fn push_part(&mut self, part: Part) {
        let checker = self.checker.as_ref();
        self.wanted.push(Wanted {
            scope: checker.map_or(part.range, |checker| checker.scope(part)),
            part,
            at: self.len,
        });
        let len = usize::try_from(part.range.byte_count).unwrap_or(usize::MAX);
        self.len = self.len.saturating_add(len);
    }

    /// Reads what was gathered, puts it into `out` as it stands in the file, and begins anew.
    pub(super) fn take(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        out.resize(self.len, 0);
        for own in &self.own {
            let bytes = self.bytes.get(own.bytes.clone());
            put(out, own.at, bytes)?;
        }
        // As a rule they are in order already; restart intervals of a frame come from many rows.
        self.wanted.sort_by_key(|wanted| wanted.scope.offset);
        let mut rest = self.wanted.as_slice();
        while let Some((range, count)) = first_run(rest, self.source) {
            let (run, behind) = rest.split_at_checked(count).unwrap_or_default();
            let len = usize::try_from(range.byte_count).unwrap_or(usize::MAX);
            if self.read.len() < len {
                self.read.resize(len, 0);
            }
            let bytes = self.read.get_mut(..len).ok_or(Error::SourceChanged)?;
            self.source.read_exact_at(bytes, range.offset)?;
            if let Some(checker) = &mut self.checker {
                self.run.clear();
                self.run.extend(run.iter().map(|wanted| wanted.part));
                checker.check(&self.run, range.offset, bytes)?;
            }
            for wanted in run {
                put(out, wanted.at, wanted.part.range.slice(range.offset, bytes))?;
            }
            rest = behind;
        }
        self.len = 0;
        self.bytes.clear();
        self.own.clear();
        self.wanted.clear();
        Ok(())
    }
}

/// The first of what is wanted that is read in one go, and how many these are.
fn first_run(wanted: &[Wanted], source: &Source) -> Option<(ByteRange, usize)> {
    let start = wanted.first()?.scope.offset;
    let mut end = start;
    let mut count = 0_usize;
    for Wanted { scope, .. } in wanted {
        let follows = scope.offset.saturating_sub(end) <= GAP_BYTES
            && source.are_in_one_file(start, scope.offset);
        if count > 0 && !follows {
            break;
        }
        end = end.max(scope.offset.saturating_add(scope.byte_count));
        count = count.saturating_add(1);
    }
    let byte_count = end.saturating_sub(start);
    let offset = start;
    Some((ByteRange { offset, byte_count }, count))
}

fn put(out: &mut [u8], at: usize, bytes: Option<&[u8]>) -> Result<(), Error> {
    let bytes = bytes.ok_or(Error::SourceChanged)?;
    let room = out.get_mut(at..at.saturating_add(bytes.len()));
    room.ok_or(Error::SourceChanged)?.copy_from_slice(bytes);
    Ok(())
}
