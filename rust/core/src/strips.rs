//! Joins JPEG strips into one picture by copying their entropy-coded bytes (route `stitch`).
//!
//! Each strip is a stream of its own, so its first DC differences start from zero, as they do
//! behind a restart marker: a marker between two strips is all that is missing (T.81 E.1.4).

use crate::codec::TileReader;
use crate::error::{Error, StreamError};
use crate::jpeg::bits::{is_restart, split_interval};
use crate::jpeg::{self, EOI, Header, Recipe, malformed, marker};
use crate::limits::Limits;
use crate::source::Source;
use crate::tiles::{self, ByteRange};

/// Strips that lie one above the other, all of one width.
#[derive(Debug, Clone)]
pub struct Strips {
    /// Where they lie in the source, from top to bottom.
    pub ranges: Vec<ByteRange>,
    /// Height of each but the last.
    pub rows: u32,
    /// What no frame may touch.
    pub private: Vec<ByteRange>,
}

/// Joins strips into one stand-alone JPEG stream of the recipe's size.
///
/// # Errors
///
/// [`Error::Tile`] with the number of the first strip that does not fit the others,
/// [`Error::TileOutsideFile`], [`Error::TileOverlapsPrivate`], [`Error::Limit`] and [`Error::Io`].
pub fn stitch_strips(
    source: &Source,
    strips: &Strips,
    recipe: &Recipe,
    limits: &Limits,
) -> Result<Vec<u8>, Error> {
    tiles::check_ranges(&strips.ranges, source.extents())?;
    tiles::check_disjoint(&strips.ranges, strips.private.clone())?;
    let total =
        (strips.ranges.iter()).fold(0_u64, |sum, range| sum.saturating_add(range.byte_count));
    if total > limits.picture_bytes {
        return Err(Error::Limit {
            what: format!("strips of {total} bytes"),
            name: "picture_bytes",
            limit: limits.picture_bytes,
        });
    }
    let mut reader = TileReader::new(source, limits);
    let mut joined: Option<Joined> = None;
    let mut rows_left = u32::from(recipe.rows);
    for (strip, &range) in (0_u64..).zip(&strips.ranges) {
        let in_strip = |error| Error::Tile { tile: strip, error };
        reader.open(range);
        let bytes = reader.read_all()?;
        let header = jpeg::parse_header(&bytes).map_err(in_strip)?;
        let rows = rows_left.min(strips.rows);
        rows_left = rows_left.saturating_sub(rows);
        let strip = Strip {
            header: &header,
            size: (u32::from(recipe.columns), rows),
            is_last: rows_left == 0,
            body: bytes.get(header.len..).unwrap_or_default(),
        };
        if joined.is_none() {
            joined = Some(Joined::new(&strip, recipe).map_err(in_strip)?);
        }
        if let Some(joined) = &mut joined {
            joined.add(&strip, recipe).map_err(in_strip)?;
        }
    }
    match joined {
        Some(joined) if rows_left == 0 => Ok(joined.finish()),
        _ => Err(Error::NoTiles),
    }
}

/// One strip, taken apart.
struct Strip<'a> {
    header: &'a Header<'a>,
    size: (u32, u32),
    is_last: bool,
    body: &'a [u8],
}

impl Strip<'_> {
    fn mcus(&self) -> u32 {
        let (across, down) = self.header.facts.mcus(self.size.0, self.size.1);
        across.saturating_mul(down)
    }

    /// Checks that the strip below begins a row of MCUs and a restart interval.
    fn check_below(&self, interval: u32) -> Result<(), StreamError> {
        let (columns, rows) = self.size;
        let facts = &self.header.facts;
        let ends_row = facts.mcus(columns, rows.saturating_add(1)) != facts.mcus(columns, rows);
        if self.is_last || ends_row && self.mcus().is_multiple_of(interval) {
            return Ok(());
        }
        Err(StreamError::Unsupported(
            "strips that are no whole rows of MCUs or of restart intervals",
        ))
    }
}

/// A picture as it grows.
struct Joined {
    out: Vec<u8>,
    /// Header that a strip must have to be joined, but for its height.
    pattern: Vec<u8>,
    interval: u32,
    /// Restart intervals so far.
    intervals: u64,
}

impl Joined {
    fn new(first: &Strip<'_>, recipe: &Recipe) -> Result<Self, StreamError> {
        let own = u32::from(first.header.facts.restart_interval);
        let interval = if own == 0 { first.mcus() } else { own };
        let short = u16::try_from(interval)
            .map_err(|_| StreamError::Unsupported("strips of more than 65535 MCUs"))?;
        let tables = recipe.tables_for(first.header)?;
        Ok(Self {
            out: recipe.header_with_interval(&first.header.facts, &tables, short)?,
            pattern: recipe.header_with(first.header, &tables)?,
            interval: interval.max(1),
            intervals: 0,
        })
    }

    fn add(&mut self, strip: &Strip<'_>, recipe: &Recipe) -> Result<(), StreamError> {
        let facts = &strip.header.facts;
        facts.check_process()?;
        facts.check_size(strip.size.0, strip.size.1)?;
        let tables = recipe.tables_for(strip.header)?;
        if recipe.header_with(strip.header, &tables)? != self.pattern {
            return Err(StreamError::Unsupported(
                "strips that are encoded differently",
            ));
        }
        strip.check_below(self.interval)?;
        let mut left = strip.mcus().div_ceil(self.interval);
        let mut rest = Some(strip.body);
        while let Some(bytes) = rest {
            let part = split_interval(bytes);
            left = left
                .checked_sub(1)
                .ok_or(malformed("more restart intervals than the strip has", 0))?;
            if self.intervals > 0 {
                let number = u8::try_from(self.intervals.wrapping_sub(1) & 7).unwrap_or(0);
                self.out.extend([0xFF, marker::RST0.saturating_add(number)]);
            }
            self.out.extend_from_slice(part.data);
            self.intervals = self.intervals.saturating_add(1);
            rest = match part.next {
                Some((code, behind)) if is_restart(code) => Some(behind),
                Some((marker::EOI, _)) | None => None,
                Some((marker::SOS, _)) => {
                    return Err(StreamError::Unsupported("more than one scan"));
                }
                Some(_) => return Err(malformed("a marker inside entropy-coded data", 0)),
            };
        }
        if left > 0 {
            return Err(malformed("fewer restart intervals than the strip needs", 0));
        }
        Ok(())
    }

    fn finish(mut self) -> Vec<u8> {
        self.out.extend(EOI);
        self.out
    }
}
