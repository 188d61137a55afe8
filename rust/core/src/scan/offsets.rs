//! The offset tables of an instance (PS3.5 A.4, PS3.3 C.7.6.3.1.8).

use std::fs::File;
use std::io::ErrorKind;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use super::to_usize;
use crate::error::Error;
use crate::tiles::ByteRange;

/// Bytes of an entry of the Basic Offset Table, and of the extended ones.
const BASIC: u64 = 4;
const EXTENDED: u64 = 8;

/// Where the offset tables lie.
///
/// They stay in the file, a group of frames is read at a time: there may be millions.
pub(super) struct Tables<'a> {
    pub(super) file: &'a File,
    pub(super) basic: ByteRange,
    pub(super) extended: Option<(ByteRange, ByteRange)>,
}

impl Tables<'_> {
    pub(super) fn are_none(&self) -> bool {
        self.basic.byte_count == 0 && self.extended.is_none()
    }

    /// Where every so many frames begin in the file, if the tables are right; where the first does
    /// if there are none, or if they plainly are not.
    pub(super) fn starts(&self, first_item: u64, step: usize) -> Result<Vec<u64>, Error> {
        let (table, width) = match self.extended {
            Some((offsets, _)) => (offsets, EXTENDED),
            None => (self.basic, BASIC),
        };
        let count = to_usize(table.byte_count.checked_div(width).unwrap_or(0));
        let mut starts = Vec::new();
        for frame in (0..count).step_by(step) {
            let entry = self.read(table, width, frame..frame.saturating_add(1))?;
            let offset = number(&entry, width, 0).unwrap_or(u64::MAX);
            starts.push(offset.saturating_add(first_item));
        }
        if starts.first() == Some(&first_item) && starts.is_sorted() {
            Ok(starts)
        } else {
            Ok(vec![first_item])
        }
    }

    /// The entries of some frames, as far as there are any.
    pub(super) fn entries(&self, frames: Range<usize>) -> Result<Entries, Error> {
        let extended = match self.extended {
            None => None,
            Some((offsets, lengths)) => Some((
                self.read(offsets, EXTENDED, frames.clone())?,
                self.read(lengths, EXTENDED, frames.clone())?,
            )),
        };
        let basic = (self.basic.byte_count != 0)
            .then(|| self.read(self.basic, BASIC, frames.clone()))
            .transpose()?;
        Ok(Entries {
            first: frames.start,
            basic,
            extended,
        })
    }

    fn read(&self, table: ByteRange, width: u64, frames: Range<usize>) -> Result<Vec<u8>, Error> {
        let place = |frame: usize| {
            let within = u64::try_from(frame).unwrap_or(u64::MAX);
            within.saturating_mul(width).min(table.byte_count)
        };
        let (start, end) = (place(frames.start), place(frames.end));
        let mut bytes = vec![0; to_usize(end.saturating_sub(start))];
        match self
            .file
            .read_exact_at(&mut bytes, table.offset.saturating_add(start))
        {
            Ok(()) => Ok(bytes),
            // A table that the file does not hold says nothing that is right.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// What is wrong with them, now that it is known how many frames there are and whether all
    /// entries are theirs.
    pub(super) fn problems(
        &self,
        frames: u64,
        are_right: bool,
    ) -> impl Iterator<Item = &'static str> {
        let is_long =
            |table: ByteRange, width: u64| table.byte_count == frames.saturating_mul(width);
        let is_basic = self.basic.byte_count != 0;
        let is_basic_right = are_right && is_long(self.basic, BASIC);
        let is_extended_right = self.extended.is_none_or(|(offsets, lengths)| {
            are_right && is_long(offsets, EXTENDED) && is_long(lengths, EXTENDED)
        });
        [
            (is_basic && self.extended.is_some()).then_some("two offset tables"),
            (is_basic && !is_basic_right).then_some("the Basic Offset Table is not what is there"),
            (!is_extended_right).then_some("the Extended Offset Table is not what is there"),
        ]
        .into_iter()
        .flatten()
    }
}

/// What the tables say of a group of frames.
pub(super) struct Entries {
    first: usize,
    basic: Option<Vec<u8>>,
    extended: Option<(Vec<u8>, Vec<u8>)>,
}

impl Entries {
    /// Whether the entries of a frame say where it is, and how long.
    pub(super) fn are_right_for(&self, frame: usize, offset: u64, len: u64) -> bool {
        let Some(index) = frame.checked_sub(self.first) else {
            return false;
        };
        let says = |table: &[u8], width, value| number(table, width, index) == Some(value);
        let basic = self.basic.as_ref();
        basic.is_none_or(|table| says(table, BASIC, offset))
            && self.extended.as_ref().is_none_or(|(offsets, lengths)| {
                says(offsets, EXTENDED, offset) && says(lengths, EXTENDED, len)
            })
    }
}

/// An entry of a table of little-endian numbers.
fn number(table: &[u8], width: u64, index: usize) -> Option<u64> {
    let width = to_usize(width);
    let start = index.checked_mul(width)?;
    let entry = table.get(start..start.checked_add(width)?)?;
    Some(
        entry
            .iter()
            .rev()
            .fold(0, |value, &byte| value << 8 | u64::from(byte)),
    )
}
