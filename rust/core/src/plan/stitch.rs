//! Plans frames that are joined of the restart intervals of a picture (route `stitch`).
//!
//! Some slides tell where each interval begins. Then a few are looked at here, and all of them when
//! they are copied: each byte of the picture is read once. If it is not told, or told wrong, the
//! picture is searched for its restart markers before.

mod search;
mod told;

use crate::codec::{Codec, Facts};
use crate::error::{Error, StreamError};
use crate::frame::{FramePlan, Grid, Intervals, MadeOf, Places, Stitched, Summary};
use crate::jpeg::{self, Header, Recipe, malformed};
use crate::limits::Limits;
use crate::retile::{Picture, Rows, header_and_blank, in_picture, read_header};
use crate::source::Source;
use crate::watch::Watch;
pub(super) use told::ToldCheck;

/// Plans the frames of pictures, one for each focal plane, from what is told of their intervals.
///
/// `None` if it must be [`plan_stitched`], since nothing is told or what is told is found wrong.
/// [`write_instance`] looks at every interval and ends with [`Error::Unlike`] at one that is not
/// where it was told to be; otherwise the plan is equal to the other.
///
/// [`write_instance`]: crate::write_instance
///
/// # Errors
///
/// As [`plan_stitched`], of what can be known here.
pub fn plan_told(
    source: &Source,
    pictures: &[Picture],
    recipe: &Recipe,
    limits: &Limits,
) -> Result<Option<FramePlan>, Error> {
    let mut planned = Planned::new(source, recipe, limits, true)?;
    for picture in pictures {
        let looked = planned.look(picture)?;
        let Some(places) = told::places(source, picture, &looked)? else {
            return Ok(None);
        };
        planned.add(picture, looked, places)?;
    }
    planned.finish().map(Some)
}

/// Plans the frames of pictures, one for each focal plane, whose restart intervals are searched.
///
/// Pictures are searched by all cores; `watch` counts frames.
///
/// # Errors
///
/// [`Error::Tile`] if a picture cannot be stitched, [`Error::Mixed`] if pictures differ,
/// [`Error::TileOutsideFile`], [`Error::TileOverlapsPrivate`], [`Error::NoTiles`],
/// [`Error::Limit`], [`Error::Io`] and [`Error::Cancelled`].
pub fn plan_stitched(
    source: &Source,
    pictures: &[Picture],
    recipe: &Recipe,
    limits: &Limits,
    watch: &mut dyn Watch,
) -> Result<FramePlan, Error> {
    let mut planned = Planned::new(source, recipe, limits, false)?;
    for picture in pictures {
        let looked = planned.look(picture)?;
        let mut frames = Frames {
            watch,
            before: planned.summary.copied,
            count: looked.grid.frames(),
            bytes: picture.range.byte_count,
        };
        let places = search::places(source, picture, &looked, limits, &mut frames)?;
        planned.add(picture, looked, places)?;
    }
    source.check_unchanged()?;
    planned.finish()
}

/// Counts frames for whoever watches, while bytes of a picture are searched.
struct Frames<'a> {
    watch: &'a mut dyn Watch,
    before: u64,
    count: u64,
    bytes: u64,
}

impl Watch for Frames<'_> {
    fn go_on(&mut self, done: u64) -> bool {
        let all = u128::from(done).saturating_mul(self.count.into());
        let share = all.checked_div(self.bytes.into()).unwrap_or(0);
        let share = u64::try_from(share).unwrap_or(self.count).min(self.count);
        self.watch.go_on(self.before.saturating_add(share))
    }
}

/// What the header of a picture tells.
struct Looked {
    grid: Grid,
    /// Where the first interval begins, from the start of the picture.
    data_start: u64,
    /// Header of every frame, what it says, and segments of the picture's that are not in it.
    header: Vec<u8>,
    facts: Facts,
    dropped: u32,
    /// An interval for what a frame has and the picture has not; empty if there is no such.
    blank: Vec<u8>,
}

/// A plan as it grows, picture by picture.
struct Planned<'a> {
    source: &'a Source,
    recipe: &'a Recipe,
    limits: &'a Limits,
    facts: Option<Facts>,
    stitched: Stitched,
    intervals: u64,
    summary: Summary,
}

impl<'a> Planned<'a> {
    fn new(
        source: &'a Source,
        recipe: &'a Recipe,
        limits: &'a Limits,
        are_told: bool,
    ) -> Result<Self, Error> {
        Codec::Jpeg(recipe.clone()).check_limits(limits)?;
        Ok(Self {
            source,
            recipe,
            limits,
            facts: None,
            stitched: Stitched {
                pictures: Vec::new(),
                are_told,
            },
            intervals: 0,
            summary: Summary::default(),
        })
    }

    fn look(&self, picture: &Picture) -> Result<Looked, Error> {
        let start = read_header(self.source, picture, self.limits)?;
        let header = jpeg::parse_header(&start).map_err(in_picture)?;
        let looked = look(picture, &header, self.recipe).map_err(in_picture)?;
        let intervals = looked.grid.intervals();
        if intervals.saturating_add(self.intervals) > self.limits.intervals {
            return Err(Error::Limit {
                what: format!("a level of {intervals} restart intervals or more"),
                name: "intervals",
                limit: self.limits.intervals,
            });
        }
        Ok(looked)
    }

    fn add(&mut self, picture: &Picture, looked: Looked, places: Places) -> Result<(), Error> {
        let frames = looked.grid.frames();
        let first = self.facts.get_or_insert_with(|| looked.facts.clone());
        if let Some(what) = first.difference(&looked.facts) {
            let tile = self.summary.copied;
            return Err(Error::Mixed { tile, what });
        }
        let intervals = Intervals {
            picture: picture.range,
            grid: looked.grid,
            places,
            header: looked.header,
            blank: looked.blank,
            first: self.intervals,
        };
        let mut frame_bytes = 0_u64;
        for (frame, len) in (self.summary.copied..).zip(intervals.lengths()) {
            if len > self.limits.tile_bytes {
                return Err(Error::Limit {
                    what: format!("frame {frame} with {len} bytes"),
                    name: "tile_bytes",
                    limit: self.limits.tile_bytes,
                });
            }
            frame_bytes = frame_bytes.saturating_add(len);
        }
        self.intervals = self.intervals.saturating_add(looked.grid.intervals());
        self.summary.add(&Summary {
            copied: frames,
            dropped_segments: looked.dropped.into(),
            frame_bytes,
            ..Summary::default()
        });
        self.stitched.pictures.push(intervals);
        Ok(())
    }

    fn finish(self) -> Result<FramePlan, Error> {
        Ok(FramePlan {
            facts: self.facts.ok_or(Error::NoTiles)?,
            limits: self.limits.clone(),
            stamps: self.source.stamps(),
            summary: self.summary,
            made_of: MadeOf::Stitched(self.stitched),
        })
    }
}

fn look(picture: &Picture, header: &Header<'_>, recipe: &Recipe) -> Result<Looked, StreamError> {
    let rows = Rows::new(picture, header, recipe)?;
    if !header
        .facts
        .stitches(picture.columns, recipe.columns.into())
    {
        let what = "restart intervals that do not divide the rows of frames";
        return Err(StreamError::Unsupported(what));
    }
    let grid = rows.grid();
    let data_start = rows.data_start();
    // Each interval but the last has a marker behind it.
    let markers = grid.intervals().saturating_sub(1).saturating_mul(2);
    if markers > picture.range.byte_count.saturating_sub(data_start) {
        return Err(too_few());
    }
    let (frame_header, blank) = header_and_blank(&grid, header, recipe)?;
    let facts = Facts::Jpeg(jpeg::parse_header(&frame_header)?.facts);
    Ok(Looked {
        grid,
        data_start,
        header: frame_header,
        facts,
        dropped: header.dropped,
        blank,
    })
}

fn too_few() -> StreamError {
    malformed("fewer restart intervals than the picture needs", 0)
}
