//! How the MCUs of a picture fall into frames, and which of them can be read apart.

use super::Picture;
use crate::error::{Error, StreamError};
use crate::frame::Grid;
use crate::jpeg::bits::{Bits, is_restart, split_interval};
use crate::jpeg::mcu::Position;
use crate::jpeg::{Header, Recipe, malformed, marker};
use crate::limits::Limits;
use crate::source::Source;

/// Bytes that a search for restart markers reads at a time.
const SEARCH_BYTES: usize = 1 << 20;

/// The grids of a picture and of its frames, in MCUs.
#[derive(Debug)]
pub(crate) struct Rows {
    across: u32,
    down: u32,
    frame_across: u32,
    frame_down: u32,
    /// MCUs of a restart interval; all of them without DRI.
    interval: u32,
    /// Rows of frames that are read together.
    frame_rows_in_group: u32,
    /// Length of the header in front of the entropy-coded data.
    data_start: u64,
}

impl Rows {
    pub(crate) fn new(
        picture: &Picture,
        header: &Header<'_>,
        recipe: &Recipe,
    ) -> Result<Self, StreamError> {
        let facts = &header.facts;
        facts.check_process()?;
        facts.check_size(picture.columns, picture.rows)?;
        let (across, down) = facts.mcus(picture.columns, picture.rows);
        let (columns, rows) = (u32::from(recipe.columns), u32::from(recipe.rows));
        let (frame_across, frame_down) = facts.mcus(columns, rows);
        let all = across.checked_mul(down).filter(|&all| all > 0);
        let all = all.ok_or(malformed("a picture with no pixels or too many", 0))?;
        if facts.mcus(columns.saturating_add(1), rows.saturating_add(1))
            != (frame_across.saturating_add(1), frame_down.saturating_add(1))
            || frame_across.max(frame_down) == 0
        {
            return Err(StreamError::Unsupported("frames that are no whole MCUs"));
        }
        let interval = match u32::from(facts.restart_interval) {
            0 => all,
            some => some,
        };
        let mcus_in_frame_row = across.saturating_mul(frame_down);
        let is_apart = interval < all && mcus_in_frame_row.is_multiple_of(interval);
        let all_frame_rows = down.div_ceil(frame_down);
        Ok(Self {
            across,
            down,
            frame_across,
            frame_down,
            interval,
            frame_rows_in_group: if is_apart { 1 } else { all_frame_rows },
            data_start: u64::try_from(header.len).unwrap_or(u64::MAX),
        })
    }

    fn frames_across(&self) -> u32 {
        self.across.div_ceil(self.frame_across)
    }

    fn frames_down(&self) -> u32 {
        self.down.div_ceil(self.frame_down)
    }

    /// MCU rows of the picture in a row of frames.
    fn present_rows(&self, frame_row: u32) -> u32 {
        let first = frame_row.saturating_mul(self.frame_down);
        self.down.saturating_sub(first).min(self.frame_down)
    }

    /// Restart intervals in a row of MCUs, where they are whole.
    fn intervals_in_row(&self) -> u32 {
        self.across.checked_div(self.interval).unwrap_or(0)
    }

    /// Restart intervals in a row of MCUs of a frame, where they are whole.
    fn intervals_in_frame_row(&self) -> u32 {
        self.frame_across.checked_div(self.interval).unwrap_or(0)
    }

    /// Restart intervals of a frame across and down, where they are whole.
    pub(super) fn intervals(&self) -> (u32, u32) {
        (self.intervals_in_frame_row(), self.frame_down)
    }

    /// The grids in restart intervals, where they are whole.
    pub(crate) fn grid(&self) -> Grid {
        Grid {
            across: self.intervals_in_row().into(),
            down: self.down.into(),
            frame_across: self.intervals_in_frame_row().into(),
            frame_down: self.frame_down.into(),
        }
    }

    /// Length of the header in front of the entropy-coded data.
    pub(crate) fn data_start(&self) -> u64 {
        self.data_start
    }

    /// Restart intervals of a column of frames that the picture has in a row of MCUs.
    pub(super) fn present_intervals(&self, column: usize) -> u32 {
        let each = self.intervals_in_frame_row();
        let before = u32::try_from(column)
            .unwrap_or(u32::MAX)
            .saturating_mul(each);
        self.intervals_in_row().saturating_sub(before).min(each)
    }

    /// Frames in a row.
    pub(super) fn columns(&self) -> usize {
        usize::try_from(self.frames_across()).unwrap_or(usize::MAX)
    }

    /// Number of the first frame of a group.
    pub(super) fn first_frame(&self, group: u32) -> usize {
        let row = group.saturating_mul(self.frame_rows_in_group);
        let row = usize::try_from(row).unwrap_or(usize::MAX);
        row.saturating_mul(self.columns())
    }

    pub(super) fn groups(&self) -> u32 {
        self.frames_down().div_ceil(self.frame_rows_in_group.max(1))
    }

    /// Intervals in one group; only meaningful if there is more than one group.
    fn intervals_in_group(&self) -> u64 {
        let mcus = u64::from(self.across)
            .saturating_mul(self.frame_down.into())
            .saturating_mul(self.frame_rows_in_group.into());
        mcus.checked_div(self.interval.into()).unwrap_or(0)
    }

    /// Where in the source each group begins, and where the picture ends.
    pub(super) fn starts(&self, source: &Source, picture: &Picture) -> Result<Starts, Error> {
        let begin = picture.range.offset.saturating_add(self.data_start);
        let end = picture
            .range
            .offset
            .saturating_add(picture.range.byte_count);
        let mut starts = vec![begin];
        if self.groups() > 1 {
            match self.hinted(source, picture)? {
                Some(hinted) => starts.extend(hinted),
                None => starts.extend(self.searched(source, begin, end)?),
            }
        }
        starts.push(end);
        Ok(Starts(starts))
    }

    /// The recorded starts, if each stands behind the right restart marker.
    fn hinted(&self, source: &Source, picture: &Picture) -> Result<Option<Vec<u64>>, Error> {
        let Some(recorded) = &picture.starts else {
            return Ok(None);
        };
        let mut starts = Vec::new();
        let mut before = self.data_start;
        for group in 1..u64::from(self.groups()) {
            let interval = group.saturating_mul(self.intervals_in_group());
            let start = usize::try_from(interval)
                .ok()
                .and_then(|index| recorded.get(index))
                .copied()
                .filter(|&start| {
                    start > before.saturating_add(1) && start < picture.range.byte_count
                });
            let Some(start) = start else {
                return Ok(None);
            };
            let mut bytes = [0; 2];
            let at = picture.range.offset.saturating_add(start);
            source.read_exact_at(&mut bytes, at.saturating_sub(2))?;
            if bytes != [0xFF, restart_before(interval)] {
                return Ok(None);
            }
            before = start;
            starts.push(at);
        }
        Ok(Some(starts))
    }

    /// Counts restart markers: in entropy-coded data FF is followed by 00 or by a marker.
    fn searched(&self, source: &Source, begin: u64, end: u64) -> Result<Vec<u64>, Error> {
        let mut buffer = vec![0; SEARCH_BYTES];
        let (mut starts, mut markers, mut at, mut is_marked) = (Vec::new(), 0_u64, begin, false);
        let groups = usize::try_from(self.groups()).unwrap_or(usize::MAX);
        while at < end && starts.len().saturating_add(1) < groups {
            let len = end
                .saturating_sub(at)
                .min(u64::try_from(SEARCH_BYTES).unwrap_or(1));
            let chunk = buffer
                .get_mut(..usize::try_from(len).unwrap_or(0))
                .unwrap_or_default();
            source.read_exact_at(chunk, at)?;
            let mut from = 0_usize;
            loop {
                if is_marked {
                    let Some(&code) = chunk.get(from) else { break };
                    is_marked = code == 0xFF;
                    from = from.saturating_add(1);
                    if is_restart(code) {
                        markers = markers.saturating_add(1);
                        if markers.is_multiple_of(self.intervals_in_group()) {
                            starts.push(at.saturating_add(u64::try_from(from).unwrap_or(0)));
                        }
                    }
                    continue;
                }
                match chunk
                    .get(from..)
                    .and_then(|rest| memchr::memchr(0xFF, rest))
                {
                    Some(found) => {
                        from = from.saturating_add(found).saturating_add(1);
                        is_marked = true;
                    }
                    None => break,
                }
            }
            at = at.saturating_add(len);
        }
        starts.truncate(groups.saturating_sub(1));
        if starts.len().saturating_add(1) < groups {
            let error = malformed("fewer restart markers than the picture needs", 0);
            return Err(Error::Tile {
                tile: super::PICTURE,
                error,
            });
        }
        Ok(starts)
    }

    /// Begins to walk one group of rows, whose bytes are at hand.
    pub(super) fn walk<'a>(&'a self, group: u32, bytes: &'a [u8]) -> Walk<'a> {
        let first = group.saturating_mul(self.frame_rows_in_group);
        Walk {
            rows: self,
            rest: Some(bytes),
            interval: u64::from(group).saturating_mul(self.intervals_in_group()),
            left: 0,
            bits: Bits::default(),
            position: Position::default(),
            frame_row: first,
            end_row: first
                .saturating_add(self.frame_rows_in_group)
                .min(self.frames_down()),
        }
    }
}

/// Where in the source the groups lie, and where the last one ends.
pub(super) struct Starts(Vec<u64>);

impl Starts {
    /// Reads the entropy-coded data of a group.
    pub(super) fn read(
        &self,
        source: &Source,
        group: u32,
        limits: &Limits,
    ) -> Result<Vec<u8>, Error> {
        let index = usize::try_from(group).unwrap_or(usize::MAX);
        let (start, end) = match self.0.get(index..) {
            Some([start, end, ..]) => (*start, *end),
            _ => return Err(Error::SourceChanged),
        };
        let len = end.saturating_sub(start);
        if len > limits.picture_bytes {
            return Err(Error::Limit {
                what: format!("{len} bytes of JPEG data that can only be read together"),
                name: "picture_bytes",
                limit: limits.picture_bytes,
            });
        }
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
        source.read_exact_at(&mut bytes, start)?;
        Ok(bytes)
    }
}

/// The marker in front of an interval (T.81 E.1.4).
fn restart_before(interval: u64) -> u8 {
    let number = u8::try_from(interval.wrapping_sub(1) & 7).unwrap_or(0);
    marker::RST0.saturating_add(number)
}

/// Goes through the intervals of a group of rows.
pub(super) struct Walk<'a> {
    rows: &'a Rows,
    /// What is behind the current interval; `None` behind the last.
    rest: Option<&'a [u8]>,
    /// Number of the next interval in the picture.
    interval: u64,
    /// MCUs left in the current interval.
    left: u32,
    bits: Bits,
    position: Position,
    frame_row: u32,
    end_row: u32,
}

/// What is done with the MCUs of a row of frames, from left to right and from top to bottom.
pub(super) trait Visit {
    /// Takes `mcus` MCUs at a position and moves it behind them; they belong into one frame.
    fn take(
        &mut self,
        column: usize,
        bits: &Bits,
        position: &mut Position,
        mcus: u32,
    ) -> Result<(), StreamError>;

    /// Is told that a frame goes on with `mcus` MCUs that the picture does not have.
    fn pad(&mut self, column: usize, mcus: u32) -> Result<(), StreamError>;
}

impl<'a> Walk<'a> {
    /// Whether every row of frames of the group was gone through.
    pub(super) fn is_done(&self) -> bool {
        self.frame_row >= self.end_row
    }

    /// Goes through the next row of frames.
    pub(super) fn frame_row(&mut self, visit: &mut impl Visit) -> Result<(), StreamError> {
        let rows = self.rows;
        let present = self.begin_frame_row();
        for _ in 0..present {
            self.row(visit)?;
        }
        let missing = rows.frame_down.saturating_sub(present);
        for column in 0..rows.columns() {
            visit.pad(column, missing.saturating_mul(rows.frame_across))?;
        }
        Ok(())
    }

    fn row(&mut self, visit: &mut impl Visit) -> Result<(), StreamError> {
        let rows = self.rows;
        let mut left_in_row = rows.across;
        for column in 0..rows.columns() {
            let present = left_in_row.min(rows.frame_across);
            let mut left_in_frame = present;
            while left_in_frame > 0 {
                if self.left == 0 {
                    self.next_interval()?;
                }
                let mcus = left_in_frame.min(self.left);
                visit.take(column, &self.bits, &mut self.position, mcus)?;
                self.left = self.left.saturating_sub(mcus);
                left_in_frame = left_in_frame.saturating_sub(mcus);
            }
            visit.pad(column, rows.frame_across.saturating_sub(present))?;
            left_in_row = left_in_row.saturating_sub(present);
        }
        Ok(())
    }

    /// MCU rows of the picture in the next row of frames, which is gone through somewhere else.
    pub(super) fn begin_frame_row(&mut self) -> u32 {
        let present = self.rows.present_rows(self.frame_row);
        self.frame_row = self.frame_row.saturating_add(1);
        present
    }

    fn next_interval(&mut self) -> Result<(), StreamError> {
        let data = self.next_data()?;
        self.bits.fill(data);
        self.position = Position::default();
        self.left = self.rows.interval;
        Ok(())
    }

    /// The bytes of the next restart interval.
    pub(super) fn next_data(&mut self) -> Result<&'a [u8], StreamError> {
        let rest = self.rest.ok_or(malformed(
            "fewer restart intervals than the picture needs",
            0,
        ))?;
        let interval = split_interval(rest);
        self.interval = self.interval.saturating_add(1);
        self.rest = match interval.next {
            Some((code, behind)) if is_restart(code) => {
                if code != restart_before(self.interval) {
                    return Err(malformed("restart markers out of order", 0));
                }
                Some(behind)
            }
            Some((marker::EOI, _)) | None => None,
            Some((marker::SOS, _)) => return Err(StreamError::Unsupported("more than one scan")),
            Some((marker::DNL, _)) => return Err(StreamError::Unsupported("a DNL segment")),
            Some(_) => return Err(malformed("a marker inside entropy-coded data", 0)),
        };
        Ok(interval.data)
    }
}
