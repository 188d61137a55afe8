//! Walks the Pixel Data of an instance and looks for terms in all of its file.
//!
//! Its frames are walked in groups, on all cores: where a group begins is read off the offset
//! tables, and proved by the walk of the group before, which must end there. Where that fails, the
//! tables are wrong, and all frames are walked from front to back.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::notes::Notes;
use super::offsets::Tables;
use super::original::{Original, Tiles};
use super::reader::Reader;
use super::{Hit, Scanner, tidy, to_usize};
use crate::error::Error;
use crate::groups::for_each_group;
use crate::limits::Limits;
use crate::tiles::ByteRange;
use crate::watch::Watch;
use crate::written::Readable;

/// Frames that one thread takes at a time.
const GROUP: usize = 1024;

/// What was found in an instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InstanceReport {
    /// Items behind the Basic Offset Table.
    pub frame_count: u64,
    /// Terms, sorted by where they are.
    pub hits: Vec<Hit>,
    /// What must not be there, or is not where it must be.
    pub problems: Vec<String>,
    /// What could not be checked.
    pub unchecked: Vec<String>,
    /// Frames that were compared with their tile and hold its entropy-coded bytes.
    pub frames_equal: u64,
    /// Frames that stand for tiles that are not there.
    pub frames_blank: u64,
}

impl InstanceReport {
    fn add(&mut self, other: Self, limits: &Limits) {
        self.frame_count = self.frame_count.saturating_add(other.frame_count);
        self.frames_equal = self.frames_equal.saturating_add(other.frames_equal);
        self.frames_blank = self.frames_blank.saturating_add(other.frames_blank);
        self.hits.extend(other.hits);
        self.problems.extend(other.problems);
        self.unchecked.extend(other.unchecked);
        self.hits.truncate(limits.hits);
        self.problems.truncate(limits.problems);
        self.unchecked.truncate(limits.problems);
    }
}

/// What stands before the frames.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header {
    /// Where (7FE0,0010) begins.
    pub pixel_data_offset: u64,
    /// Where the values of (7FE0,0001) and (7FE0,0002) lie.
    pub extended: Option<(ByteRange, ByteRange)>,
    /// Parts of it that are numbers, sorted: they hold every short text sooner or later.
    pub numbers: Vec<ByteRange>,
    /// Bytes of the samples of a frame, if frames are Deflate streams.
    pub deflated: Option<u64>,
}

/// Looks at every byte of an instance.
///
/// `header` is what a parser of data sets found. `watch` counts bytes.
///
/// # Errors
///
/// [`Error::Io`] and [`Error::Cancelled`]; whatever is wrong with the file is in the report.
pub fn check_instance(
    scanner: &Scanner,
    path: &Path,
    header: &Header,
    tiles: Option<Tiles<'_>>,
    watch: &mut dyn Watch,
) -> Result<InstanceReport, Error> {
    Walk {
        file: &Readable::open(path, None)?,
        scanner: Some(scanner),
        limits: &scanner.limits,
        header,
        original: tiles.as_ref().map(|tiles| tiles as &dyn Original),
    }
    .run(watch)
}

/// Pixel Data of an instance, to be walked.
pub(crate) struct Walk<'a> {
    pub(crate) file: &'a Readable<'a>,
    /// What to look for; without it frames are compared only.
    pub(crate) scanner: Option<&'a Scanner>,
    pub(crate) limits: &'a Limits,
    pub(crate) header: &'a Header,
    pub(crate) original: Option<&'a dyn Original>,
}

/// What stands behind the last frame that could be walked.
struct Leftover {
    at: u64,
    problem: &'static str,
}

/// Where a walk is, and what must be there.
struct Place<'a, 'b> {
    reader: Reader<'a>,
    tables: &'b Tables<'b>,
    /// What offsets in the tables are counted from.
    first_item: u64,
}

/// What became of one group of frames.
struct Part {
    report: InstanceReport,
    are_tables_right: bool,
    /// Whether the next group begins where this one ends.
    meets_next: bool,
    leftover: Option<Leftover>,
}

impl Walk<'_> {
    /// Walks all frames; `watch` counts bytes.
    pub(crate) fn run(&self, watch: &mut dyn Watch) -> Result<InstanceReport, Error> {
        let mut notes = Notes::new(self.scanner, self.limits, self.header.deflated);
        let mut reader = self.reader(0..self.file.len);
        let tables = match self.front(&mut reader, &mut notes)? {
            Ok(tables) => tables,
            Err(problem) => {
                let at = reader.at;
                notes.report.hits.extend(reader.finish(at)?);
                return self.end(notes, Some(&Leftover { at, problem }), watch);
            }
        };
        let first_item = reader.at;
        notes.report.hits.extend(reader.finish(first_item)?);
        let starts = tables.starts(first_item, GROUP)?;
        let mut parts = self.parts(&tables, first_item, &starts, watch)?;
        if parts.iter().any(|part| !part.meets_next) {
            parts = self.parts(&tables, first_item, &[first_item], watch)?;
        }
        let (mut leftover, mut are_tables_right) = (None, true);
        for part in parts {
            are_tables_right &= part.are_tables_right;
            notes.report.add(part.report, self.limits);
            leftover = part.leftover;
        }
        for problem in tables.problems(notes.report.frame_count, are_tables_right) {
            notes.problem(problem.into());
        }
        if tables.are_none() && self.original.is_some_and(Original::has_offset_table) {
            notes.problem("there is no offset table".into());
        }
        self.end(notes, leftover.as_ref(), watch)
    }

    fn reader(&self, stretch: Range<u64>) -> Reader<'_> {
        // A frame may be longer than its tile by the tables that it shares with others.
        let longest = self.limits.tile_header_bytes;
        let longest = longest.saturating_add(self.limits.tile_bytes);
        Reader::new(self.file, self.scanner, longest, stretch)
    }

    /// Looks at all that stands before the frames; returns the offset tables or what is wrong.
    fn front(
        &self,
        reader: &mut Reader<'_>,
        notes: &mut Notes<'_>,
    ) -> Result<Result<Tables<'_>, &'static str>, Error> {
        let pixel_data = self.header.pixel_data_offset.min(self.file.len);
        for range in &self.header.numbers {
            self.look_until(range.offset.min(pixel_data), reader, notes)?;
            let end = range.end().unwrap_or(u64::MAX).min(pixel_data);
            reader.at = reader.at.max(end);
        }
        self.look_until(pixel_data, reader, notes)?;
        if !reader.skip(b"\xE0\x7F\x10\x00OB\0\0\xFF\xFF\xFF\xFF")? {
            return Ok(Err("Pixel Data is not encapsulated OB of undefined length"));
        }
        let Some(table_len) = reader.item()? else {
            return Ok(Err("Pixel Data does not begin with an item"));
        };
        let basic = ByteRange {
            offset: reader.at,
            byte_count: table_len,
        };
        reader.at = reader.at.saturating_add(table_len);
        Ok(Ok(Tables {
            file: &self.file.file,
            basic,
            extended: self.header.extended,
        }))
    }

    fn look_until(
        &self,
        end: u64,
        reader: &mut Reader<'_>,
        notes: &mut Notes<'_>,
    ) -> Result<(), Error> {
        if self.scanner.is_some() {
            let (bytes, offset) = reader.take(end.saturating_sub(reader.at))?;
            notes.look(bytes, offset);
        }
        reader.at = reader.at.max(end);
        Ok(())
    }

    /// Walks groups of frames that begin at the given offsets.
    fn parts(
        &self,
        tables: &Tables<'_>,
        first_item: u64,
        starts: &[u64],
        watch: &mut dyn Watch,
    ) -> Result<Vec<Part>, Error> {
        let groups = u32::try_from(starts.len()).unwrap_or(u32::MAX);
        for_each_group(groups, watch, |group, done| {
            let group = to_usize(group.into());
            let start = starts.get(group).copied().unwrap_or(u64::MAX);
            let next = starts.get(group.saturating_add(1)).copied();
            let mut at = Place {
                reader: self.reader(start..next.unwrap_or(self.file.len)),
                tables,
                first_item,
            };
            let mut notes = Notes::new(self.scanner, self.limits, self.header.deflated);
            let first = group.saturating_mul(GROUP);
            let count = next.map_or(usize::MAX, |_| GROUP);
            let are_tables_right = self.frames(
                first..first.saturating_add(count),
                &mut at,
                &mut notes,
                done,
            )?;
            let leftover = match next {
                Some(_) => None,
                None => end_of_pixel_data(&mut at.reader)?,
            };
            let reader = at.reader;
            let at = reader.at;
            let walked = notes.report.frame_count;
            notes.report.hits.extend(reader.finish(at)?);
            Ok(Part {
                report: notes.report,
                are_tables_right,
                meets_next: next.is_none_or(|next| {
                    next == at && usize::try_from(walked).is_ok_and(|walked| walked == GROUP)
                }),
                leftover,
            })
        })
    }

    /// Walks frames, as far as there are items; returns whether the offset tables are right.
    fn frames(
        &self,
        frames: Range<usize>,
        at: &mut Place<'_, '_>,
        notes: &mut Notes<'_>,
        done: &AtomicU64,
    ) -> Result<bool, Error> {
        let mut are_right = true;
        let mut entries = at.tables.entries(0..0)?;
        let mut tile = Vec::new();
        for index in frames {
            if index.is_multiple_of(GROUP) {
                let group = index..index.saturating_add(GROUP);
                entries = at.tables.entries(group.clone())?;
                if let Some(original) = self.original {
                    original.expect(group);
                }
            }
            let offset = at.reader.at.saturating_sub(at.first_item);
            let Some(len) = at.reader.item()? else {
                break;
            };
            are_right &= entries.are_right_for(index, offset, len);
            let (bytes, offset) = at.reader.take(len)?;
            notes.frame(index, bytes, offset, self.original, &mut tile)?;
            done.fetch_add(len, Ordering::Relaxed);
        }
        Ok(are_right)
    }

    /// Looks at what was left over, and tidies up.
    fn end(
        &self,
        mut notes: Notes<'_>,
        leftover: Option<&Leftover>,
        watch: &mut dyn Watch,
    ) -> Result<InstanceReport, Error> {
        self.file.check_whole()?;
        if let Some(Leftover { at, problem }) = leftover {
            notes.problem((*problem).into());
            if let Some(scanner) = self.scanner {
                let sieves = [&scanner.sure, &scanner.unsure];
                let rest = scanner.scan_pieces(&self.file.file, *at, &sieves, watch)?;
                notes.report.hits.extend(rest);
            }
        }
        notes.report.hits = tidy(notes.report.hits);
        Ok(notes.report)
    }
}

/// Moves behind the delimiter; returns what stands there or in its place.
fn end_of_pixel_data(reader: &mut Reader<'_>) -> Result<Option<Leftover>, Error> {
    let problem = if !reader.skip(b"\xFE\xFF\xDD\xE0\0\0\0\0")? {
        "Pixel Data does not end with a sequence delimiter"
    } else if reader.left() > 0 {
        "bytes behind the Pixel Data"
    } else {
        return Ok(None);
    };
    let at = reader.at;
    Ok(Some(Leftover { at, problem }))
}
