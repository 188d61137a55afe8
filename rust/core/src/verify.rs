//! Reads a written instance back and compares it with the source.
//!
//! Nothing of the writer is used: offset tables are compared with the items that are really
//! there, headers are walked for what must not be in them and compared with the plan's, and the
//! entropy-coded bytes of each frame are compared with what lies behind the scan header, or the
//! main header, of its tile.

mod frame;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::encapsulate::ITEM_HEADER_LEN;
use crate::error::Error;
use crate::frame::FramePlan;
use crate::retile::for_each_group;
use crate::source::Source;
use crate::tiles::ByteRange;
use crate::watch::Watch;

const ITEM: [u8; 4] = [0xFE, 0xFF, 0x00, 0xE0];
const SEQUENCE_DELIMITER: [u8; 8] = [0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0];

/// What the read-back found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Frames whose entropy-coded bytes equal their tile's.
    pub frames_equal: u64,
    /// Blank frames, compared with the plan's.
    pub frames_blank: u64,
}

/// Reads an instance back.
///
/// `pixel_data_offset` is where (7FE0,0010) begins, and `extended` the values of (7FE0,0001)
/// and (7FE0,0002), both as another parser found them. `watch` counts frames.
///
/// # Errors
///
/// [`Error::Verify`] for any difference, [`Error::Frame`] for a frame that holds more than it
/// may, [`Error::Io`] and [`Error::Cancelled`].
pub fn verify_instance(
    source: &Source,
    plan: &FramePlan,
    path: &Path,
    pixel_data_offset: u64,
    extended: Option<(&[u8], &[u8])>,
    watch: &mut dyn Watch,
) -> Result<VerifyReport, Error> {
    plan.check_source(source)?;
    let file = File::open(path)?;
    let mut reader = Reader::new(&file, pixel_data_offset);
    if reader.take(12)? != b"\xE0\x7F\x10\x00OB\0\0\xFF\xFF\xFF\xFF" {
        return Err(differs(
            "Pixel Data is not encapsulated OB of undefined length".into(),
        ));
    }
    let table_len = reader.item()?;
    // The table is bounded by the frames that the plan has, not by what the file says.
    let frame_count = u64::try_from(plan.frame_count()).unwrap_or(u64::MAX);
    if table_len != 0 && table_len != frame_count.saturating_mul(4) {
        return Err(differs(format!(
            "a Basic Offset Table of {table_len} bytes"
        )));
    }
    let basic = reader.take(table_len)?.to_vec();
    let tables = Tables {
        basic: &basic,
        extended,
    };
    tables.check_lengths(frame_count)?;
    Comparison {
        source,
        plan,
        file: &file,
        file_len: file.metadata()?.len(),
        first_item: reader.at,
        tables,
    }
    .all(watch)
}

fn differs(what: String) -> Error {
    Error::Verify { what }
}

/// A file that is read from front to back by position.
struct Reader<'a> {
    file: &'a File,
    at: u64,
    buffer: Vec<u8>,
}

impl<'a> Reader<'a> {
    fn new(file: &'a File, at: u64) -> Self {
        let buffer = Vec::new();
        Self { file, at, buffer }
    }

    fn take(&mut self, len: u64) -> Result<&[u8], Error> {
        self.buffer
            .resize(usize::try_from(len).unwrap_or(usize::MAX), 0);
        self.file
            .read_exact_at(&mut self.buffer, self.at)
            .map_err(|_| {
                differs(format!(
                    "the file ends before byte {}",
                    self.at.saturating_add(len)
                ))
            })?;
        self.at = self.at.saturating_add(len);
        Ok(&self.buffer)
    }

    /// Reads an item and returns its length, having moved to its bytes.
    fn item(&mut self) -> Result<u64, Error> {
        let at = self.at;
        match self.take(8)? {
            [tag @ .., a, b, c, d] if tag == ITEM => {
                Ok(u64::from(u32::from_le_bytes([*a, *b, *c, *d])))
            }
            _ => Err(differs(format!("no item at byte {at}"))),
        }
    }
}

/// Frames that one thread takes at a time.
const GROUP: usize = 1024;

/// An instance beside what it must be, frame by frame, on all cores.
struct Comparison<'a> {
    source: &'a Source,
    plan: &'a FramePlan,
    file: &'a File,
    file_len: u64,
    first_item: u64,
    tables: Tables<'a>,
}

impl Comparison<'_> {
    fn all(&self, watch: &mut dyn Watch) -> Result<VerifyReport, Error> {
        let starts = self.group_starts();
        let groups = u32::try_from(starts.len()).unwrap_or(u32::MAX);
        let reports = for_each_group(groups, watch, |group, done| {
            let group = usize::try_from(group).unwrap_or(usize::MAX);
            let (start, next) = (starts.get(group), starts.get(group.saturating_add(1)));
            let start = start.copied().unwrap_or(u64::MAX);
            let first = group.saturating_mul(GROUP);
            let mut reader = Reader::new(self.file, start);
            let report = self.group(first, &mut reader, done)?;
            match next {
                Some(&next) if next != reader.at => Err(differs(format!(
                    "the frames before frame {} are not as long as planned",
                    first.saturating_add(GROUP)
                ))),
                Some(_) => Ok(report),
                None => self.end(&mut reader).map(|()| report),
            }
        })?;
        let sum = |count: fn(&VerifyReport) -> u64| {
            reports.iter().map(count).fold(0, u64::saturating_add)
        };
        Ok(VerifyReport {
            frames_equal: sum(|report| report.frames_equal),
            frames_blank: sum(|report| report.frames_blank),
        })
    }

    /// Where each group of frames must begin.
    fn group_starts(&self) -> Vec<u64> {
        let mut at = self.first_item;
        let mut starts = Vec::new();
        for (frame, len) in self.plan.lengths().enumerate() {
            if frame.is_multiple_of(GROUP) {
                starts.push(at);
            }
            at = at.saturating_add(ITEM_HEADER_LEN).saturating_add(len);
        }
        starts
    }

    fn group(
        &self,
        first: usize,
        reader: &mut Reader<'_>,
        done: &AtomicU64,
    ) -> Result<VerifyReport, Error> {
        let mut report = VerifyReport::default();
        let mut tile = Vec::new();
        let ranges = self.plan.tiles().ranges().get(first..).unwrap_or_default();
        let ranges = ranges.get(..GROUP).unwrap_or(ranges);
        self.source.expect(ranges);
        for (index, &range) in (first..).zip(ranges) {
            let frame = u64::try_from(index).unwrap_or(u64::MAX);
            let offset = reader.at.saturating_sub(self.first_item);
            let len = reader.item()?;
            self.tables.check_frame(frame, offset, len)?;
            if len > self.file_len {
                return Err(differs(format!("frame {frame} claims {len} bytes")));
            }
            let bytes = reader.take(len)?;
            if range.byte_count == 0 {
                if bytes != self.plan.blank() {
                    return Err(differs(format!("frame {frame} is not the blank frame")));
                }
                report.frames_blank = report.frames_blank.saturating_add(1);
            } else {
                read_tile(self.source, range, &mut tile)?;
                frame::compare(frame, bytes, &tile, self.plan.facts())?;
                if !bytes.starts_with(&self.plan.pieces(index, self.source)?.header) {
                    return Err(differs(format!(
                        "frame {frame}: its header is not the planned one"
                    )));
                }
                report.frames_equal = report.frames_equal.saturating_add(1);
            }
            done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(report)
    }

    fn end(&self, reader: &mut Reader<'_>) -> Result<(), Error> {
        if reader.take(8)? == SEQUENCE_DELIMITER && reader.at == self.file_len {
            Ok(())
        } else {
            Err(differs(
                "the file does not end with a sequence delimiter".into(),
            ))
        }
    }
}

fn read_tile(source: &Source, range: ByteRange, buffer: &mut Vec<u8>) -> Result<(), Error> {
    buffer.resize(usize::try_from(range.byte_count).unwrap_or(usize::MAX), 0);
    source.read_exact_at(buffer, range.offset)
}

/// The offset tables of an instance.
struct Tables<'a> {
    basic: &'a [u8],
    extended: Option<(&'a [u8], &'a [u8])>,
}

impl Tables<'_> {
    fn check_lengths(&self, frames: u64) -> Result<(), Error> {
        let bytes = |table: &[u8]| u64::try_from(table.len()).unwrap_or(u64::MAX);
        match self.extended {
            Some(_) if !self.basic.is_empty() => Err(differs("two offset tables".into())),
            Some((offsets, lengths)) => {
                let want = frames.saturating_mul(8);
                if bytes(offsets) == want && bytes(lengths) == want {
                    Ok(())
                } else {
                    Err(differs("an Extended Offset Table of wrong length".into()))
                }
            }
            None if bytes(self.basic) == frames.saturating_mul(4) => Ok(()),
            None => Err(differs("no offset table".into())),
        }
    }

    fn check_frame(&self, frame: u64, offset: u64, len: u64) -> Result<(), Error> {
        let index = usize::try_from(frame).unwrap_or(usize::MAX);
        let wrong = |what: &str| differs(format!("frame {frame}: {what} is not what is there"));
        if let Some((offsets, lengths)) = self.extended {
            if entry::<8>(offsets, index).map(u64::from_le_bytes) != Some(offset) {
                return Err(wrong("its offset in (7FE0,0001)"));
            }
            if entry::<8>(lengths, index).map(u64::from_le_bytes) != Some(len) {
                return Err(wrong("its length in (7FE0,0002)"));
            }
        } else if entry::<4>(self.basic, index)
            .map(u32::from_le_bytes)
            .map(u64::from)
            != Some(offset)
        {
            return Err(wrong("its offset in the Basic Offset Table"));
        }
        Ok(())
    }
}

fn entry<const N: usize>(table: &[u8], index: usize) -> Option<[u8; N]> {
    table.get(index.checked_mul(N)?..)?.first_chunk().copied()
}
