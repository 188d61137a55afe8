//! Walks the Pixel Data of an instance and looks for terms in all of its file.
//!
//! Its frames are walked in groups, on all cores: where a group begins is read off the offset
//! tables, and proved by the walk of the group before, which must end there. Where that fails, the
//! tables are wrong, and all frames are walked from front to back.

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::Ordering;

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
pub struct Header<'a> {
    /// Where (7FE0,0010) begins.
    pub pixel_data_offset: u64,
    /// The values of (7FE0,0001) and (7FE0,0002).
    pub extended: Option<(&'a [u8], &'a [u8])>,
    /// Parts of it that are numbers, sorted: they hold every short text sooner or later.
    pub numbers: Vec<ByteRange>,
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
    header: &Header<'_>,
    tiles: Option<Tiles<'_>>,
    watch: &mut dyn Watch,
) -> Result<InstanceReport, Error> {
    let file = File::open(path)?;
    Walk {
        file_len: file.metadata()?.len(),
        file: &file,
        scanner: Some(scanner),
        limits: &scanner.limits,
        header,
        original: tiles.as_ref().map(|tiles| tiles as &dyn Original),
    }
    .run(watch)
}

/// Pixel Data of an instance, to be walked.
pub(crate) struct Walk<'a> {
    pub(crate) file: &'a File,
    pub(crate) file_len: u64,
    /// What to look for; without it frames are compared only.
    pub(crate) scanner: Option<&'a Scanner>,
    pub(crate) limits: &'a Limits,
    pub(crate) header: &'a Header<'a>,
    pub(crate) original: Option<&'a dyn Original>,
}

/// What stands behind the last frame that could be walked.
struct Leftover {
    at: u64,
    problem: &'static str,
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
        let mut notes = Notes::new(self.scanner, self.limits);
        let mut reader = self.reader(0..self.file_len);
        let basic = match self.front(&mut reader, &mut notes)? {
            Ok(basic) => basic,
            Err(problem) => {
                let at = reader.at;
                notes.report.hits.extend(reader.finish(at)?);
                return self.end(notes, Some(&Leftover { at, problem }), watch);
            }
        };
        let first_item = reader.at;
        notes.report.hits.extend(reader.finish(first_item)?);
        let mut tables = Tables::new(&basic, self.header.extended);
        let starts = tables.starts(first_item, GROUP);
        let mut parts = self.parts(&tables, first_item, &starts, watch)?;
        if parts.iter().any(|part| !part.meets_next) {
            parts = self.parts(&tables, first_item, &[first_item], watch)?;
        }
        let mut leftover = None;
        for part in parts {
            tables.are_right &= part.are_tables_right;
            notes.report.add(part.report, self.limits);
            leftover = part.leftover;
        }
        for problem in tables.problems(notes.report.frame_count) {
            notes.problem(problem.into());
        }
        let has_table = !basic.is_empty() || self.header.extended.is_some();
        if !has_table && self.original.is_some_and(Original::has_offset_table) {
            notes.problem("there is no offset table".into());
        }
        self.end(notes, leftover.as_ref(), watch)
    }

    fn reader(&self, stretch: Range<u64>) -> Reader<'_> {
        // A frame may be longer than its tile by the tables that it shares with others.
        let longest = self.limits.tile_header_bytes;
        let longest = longest.saturating_add(self.limits.tile_bytes);
        Reader::new(self.file, self.file_len, self.scanner, longest, stretch)
    }

    /// Looks at all that stands before the frames; returns the Basic Offset Table or what is wrong.
    fn front(
        &self,
        reader: &mut Reader<'_>,
        notes: &mut Notes<'_>,
    ) -> Result<Result<Vec<u8>, &'static str>, Error> {
        let pixel_data = self.header.pixel_data_offset.min(self.file_len);
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
        Ok(Ok(reader.take(table_len)?.0.to_vec()))
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
            let mut reader = self.reader(start..next.unwrap_or(self.file_len));
            let mut notes = Notes::new(self.scanner, self.limits);
            let first = group.saturating_mul(GROUP);
            let count = next.map_or(usize::MAX, |_| GROUP);
            let are_tables_right = self.frames(
                first..first.saturating_add(count),
                &mut reader,
                &mut notes,
                |frame, item, len| {
                    done.fetch_add(len, Ordering::Relaxed);
                    tables.are_right_for(frame, item.saturating_sub(first_item), len)
                },
            )?;
            let leftover = match next {
                Some(_) => None,
                None => end_of_pixel_data(&mut reader)?,
            };
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

    /// Walks frames, as far as there are items; `is_right` compares place and length of each with
    /// the offset tables.
    fn frames(
        &self,
        frames: Range<usize>,
        reader: &mut Reader<'_>,
        notes: &mut Notes<'_>,
        is_right: impl Fn(usize, u64, u64) -> bool,
    ) -> Result<bool, Error> {
        let mut all_right = true;
        let mut tile = Vec::new();
        for index in frames {
            if index.is_multiple_of(GROUP)
                && let Some(original) = self.original
            {
                original.expect(index..index.saturating_add(GROUP));
            }
            let item = reader.at;
            let Some(len) = reader.item()? else {
                break;
            };
            let (bytes, offset) = reader.take(len)?;
            all_right &= is_right(index, item, len);
            notes.frame(index, bytes, offset, self.original, &mut tile)?;
        }
        Ok(all_right)
    }

    /// Looks at what was left over, and tidies up.
    fn end(
        &self,
        mut notes: Notes<'_>,
        leftover: Option<&Leftover>,
        watch: &mut dyn Watch,
    ) -> Result<InstanceReport, Error> {
        if let Some(Leftover { at, problem }) = leftover {
            notes.problem((*problem).into());
            if let Some(scanner) = self.scanner {
                let sieves = [&scanner.sure, &scanner.unsure];
                let rest = scanner.scan_pieces(self.file, *at, &sieves, watch)?;
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
