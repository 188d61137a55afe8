//! How tiles make up a level, and which of their MCUs a frame gets.

use crate::blank::{self, Nothing};
use crate::codec::TileReader;
use crate::error::{Error, StreamError};
use crate::jpeg::blocks::{Blocks, to_usize};
use crate::jpeg::scans::{self, Decoded};
use crate::jpeg::{Colour, Facts, Recipe, malformed};
use crate::limits::Limits;
use crate::rewrite::inspect_coded;
use crate::source::Source;
use crate::tiles::{self, ByteRange};

/// Tiles of one size that make up a level.
#[derive(Debug, Clone)]
pub struct Mosaic {
    /// Where they lie, row by row; where colours are apart, all of one before those of the next.
    pub ranges: Vec<ByteRange>,
    /// How many there are in a row, of one colour.
    pub across: u32,
    /// Width and height of each.
    pub tile: (u32, u32),
    /// Columns and rows that neighbours share.
    pub overlap: (u32, u32),
    /// Width and height of the level.
    pub size: (u32, u32),
    /// How many tiles lie at each place: one, or one for each colour.
    pub planes: u32,
    /// What no frame may touch.
    pub private: Vec<ByteRange>,
}

/// Coefficients of a frame.
pub(super) struct Woven {
    pub(super) facts: Facts,
    pub(super) blocks: Blocks,
    /// MCUs across and down that are of the picture; the others repeat what is beside them.
    pub(super) present: (usize, usize),
}

/// Puts frames together.
pub(super) struct Weaver<'a> {
    pub(super) source: &'a Source,
    pub(super) recipe: &'a Recipe,
    pub(super) limits: &'a Limits,
    mosaic: &'a Mosaic,
    /// What the tiles of each plane must be like.
    references: Vec<Facts>,
    /// What the frames are.
    facts: Facts,
    /// Tiles in a row and in a column.
    tiles: (u32, u32),
    /// MCUs from one tile to the next, of the level, and of a frame.
    advance: (u32, u32),
    level: (u32, u32),
    frame: (u32, u32),
    /// Whether each frame is one tile.
    is_plain: bool,
}

impl<'a> Weaver<'a> {
    pub(super) fn new(
        source: &'a Source,
        mosaic: &'a Mosaic,
        recipe: &'a Recipe,
        limits: &'a Limits,
    ) -> Result<Self, Error> {
        tiles::check_ranges(&mosaic.ranges, source.extents())?;
        tiles::check_disjoint(&mosaic.ranges, mosaic.private.clone())?;
        let per_plane = mosaic
            .ranges
            .len()
            .checked_div(to_usize(mosaic.planes))
            .unwrap_or(0);
        let references = Self::references(source, mosaic, per_plane, limits)?;
        let in_first = |error| Error::Tile { tile: 0, error };
        let facts = frame_facts(&references).ok_or(Error::NoTiles)?;
        let unit = facts.mcu_size();
        let step = |tile: u32, overlap: u32| tile.checked_sub(overlap).filter(|&step| step > 0);
        let steps = (
            step(mosaic.tile.0, mosaic.overlap.0),
            step(mosaic.tile.1, mosaic.overlap.1),
        );
        let (Some(right), Some(below)) = steps else {
            return Err(in_first(malformed("tiles that overlap as a whole", 0)));
        };
        let frame = (u32::from(recipe.columns), u32::from(recipe.rows));
        let is_plain = mosaic.overlap == (0, 0) && frame == mosaic.tile;
        let is_whole = |(x, y): (u32, u32)| x.is_multiple_of(unit.0) && y.is_multiple_of(unit.1);
        if !(is_plain || is_whole((right, below)) && is_whole(frame)) {
            return Err(in_first(StreamError::Unsupported(
                "tiles that overlap by no whole MCUs",
            )));
        }
        let down = u32::try_from(per_plane)
            .unwrap_or(u32::MAX)
            .checked_div(mosaic.across);
        Ok(Self {
            source,
            recipe,
            limits,
            mosaic,
            tiles: (mosaic.across, down.unwrap_or(0)),
            advance: facts.mcus(right, below),
            level: facts.mcus(mosaic.size.0, mosaic.size.1),
            frame: facts.mcus(frame.0, frame.1),
            is_plain,
            facts,
            references,
        })
    }

    /// Reads what the first tile of each plane says.
    fn references(
        source: &Source,
        mosaic: &Mosaic,
        per_plane: usize,
        limits: &Limits,
    ) -> Result<Vec<Facts>, Error> {
        let planes = mosaic
            .ranges
            .chunks(per_plane.max(1))
            .take(to_usize(mosaic.planes));
        let firsts = planes.map(|plane| {
            let present = (0_u64..).zip(plane).find(|(_, range)| range.byte_count > 0);
            let (tile, range) = present.ok_or(Error::NoTiles)?;
            inspect_coded(source, tile, *range, limits)
        });
        firsts.collect()
    }

    pub(super) fn frames_across(&self) -> u32 {
        if self.is_plain {
            self.tiles.0
        } else {
            self.level.0.div_ceil(self.frame.0.max(1))
        }
    }

    pub(super) fn frames_down(&self) -> u32 {
        if self.is_plain {
            self.tiles.1
        } else {
            self.level.1.div_ceil(self.frame.1.max(1))
        }
    }

    /// Tells an error with the number of the tile, or of the frame where they are not the same.
    pub(super) fn in_frame(&self, column: u32, row: u32, error: StreamError) -> Error {
        let tile = u64::from(row)
            .saturating_mul(self.frames_across().into())
            .saturating_add(column.into());
        Error::Tile { tile, error }
    }

    fn range(&self, column: u32, row: u32, plane: usize) -> Option<(u64, ByteRange)> {
        let tile = to_usize(row)
            .checked_mul(to_usize(self.tiles.0))?
            .checked_add(to_usize(column))?;
        let in_plane = to_usize(self.tiles.0).checked_mul(to_usize(self.tiles.1))?;
        let at = in_plane.checked_mul(plane)?.checked_add(tile)?;
        let range = *self.mosaic.ranges.get(at)?;
        Some((u64::try_from(tile).ok()?, range))
    }

    /// The tile that is all of a frame, if it is there.
    pub(super) fn only_tile(&self, column: u32, row: u32) -> Option<(u64, ByteRange)> {
        if !self.is_plain || self.references.len() != 1 {
            return None;
        }
        self.range(column, row, 0)
            .filter(|(_, range)| range.byte_count > 0)
    }

    /// Checks that a tile is what the first one is, but for its process.
    pub(super) fn check_alike(&self, tile: u64, facts: &Facts) -> Result<(), Error> {
        self.check_plane(tile, 0, facts)
    }

    fn check_plane(&self, tile: u64, plane: usize, facts: &Facts) -> Result<(), Error> {
        let Some(reference) = self.references.get(plane) else {
            return Err(Error::NoTiles);
        };
        let same_process = Facts {
            sof: reference.sof,
            ..facts.clone()
        };
        match reference.difference(&same_process) {
            Some(what) => Err(Error::Mixed { tile, what }),
            None => Ok(()),
        }
    }

    /// Decodes a tile, its colours together; `None` if it is missing.
    fn tile(&self, column: u32, row: u32) -> Result<Option<Decoded>, Error> {
        let mut together: Option<Decoded> = None;
        for plane in 0..self.references.len() {
            let (tile, range) = self.range(column, row, plane).ok_or(Error::NoTiles)?;
            let in_tile = |error| Error::Tile { tile, error };
            if range.byte_count == 0 {
                if plane > 0 && together.is_some() {
                    return Err(in_tile(malformed(
                        "a tile that lacks one of its colours",
                        0,
                    )));
                }
                continue;
            }
            if plane > 0 && together.is_none() {
                return Err(in_tile(malformed(
                    "a tile that lacks one of its colours",
                    0,
                )));
            }
            let mut reader = TileReader::new(self.source, self.limits);
            reader.open(range);
            let bytes = reader.read_all()?;
            let shared = &self.recipe.tables;
            let decoded = scans::decode(&bytes, shared, self.mosaic.tile, self.limits);
            let decoded = decoded.map_err(in_tile)?;
            self.check_plane(tile, plane, &decoded.facts)?;
            match &mut together {
                None => together = Some(decoded),
                Some(first) if first.blocks.mcus == decoded.blocks.mcus => {
                    first.blocks.planes.extend(decoded.blocks.planes);
                }
                Some(_) => {
                    return Err(in_tile(StreamError::Unsupported(
                        "colours of different sizes",
                    )));
                }
            }
        }
        Ok(together)
    }

    fn is_frame(&self, blocks: &Blocks) -> bool {
        blocks.mcus == (to_usize(self.frame.0), to_usize(self.frame.1))
    }

    /// Puts a frame together; `None` if none of its tiles is there.
    ///
    /// `colour` tells what is blank where some of them are missing.
    pub(super) fn frame(
        &self,
        (column, row): (u32, u32),
        colour: Colour,
    ) -> Result<Option<Woven>, Error> {
        let in_frame = |error| self.in_frame(column, row, error);
        if self.is_plain {
            match self.tile(column, row)? {
                None => return Ok(None),
                // A whole tile is a frame already.
                Some(decoded) if self.is_frame(&decoded.blocks) => {
                    return Ok(Some(Woven {
                        facts: self.facts.clone(),
                        present: decoded.blocks.mcus,
                        blocks: decoded.blocks,
                    }));
                }
                Some(_) => {}
            }
        }
        let most = self.limits.coefficient_bytes;
        let mut blocks = Blocks::new(&self.facts, self.frame, most).map_err(in_frame)?;
        let across = self.spans(column, 0);
        let down = self.spans(row, 1);
        let (mut present, mut missing) = ((0_usize, 0_usize), Vec::new());
        let mut is_blank = true;
        for &(tile_row, from_y, to_y, rows) in &down {
            for &(tile_column, from_x, to_x, columns) in &across {
                let to = (to_usize(to_x), to_usize(to_y));
                let Some(decoded) = self.tile(tile_column, tile_row)? else {
                    missing.push((to, (to_usize(columns), to_usize(rows))));
                    continue;
                };
                is_blank = false;
                let have = decoded.blocks.mcus;
                let room = |have: usize, from: u32, want: u32| {
                    have.checked_sub(to_usize(from))
                        .filter(|&have| have >= to_usize(want))
                };
                let (Some(right), Some(below)) =
                    (room(have.0, from_x, columns), room(have.1, from_y, rows))
                else {
                    return Err(in_frame(StreamError::Size {
                        columns: decoded.facts.columns.into(),
                        rows: decoded.facts.rows.into(),
                        want_columns: self.mosaic.tile.0,
                        want_rows: self.mosaic.tile.1,
                    }));
                };
                // What a tile holds beyond the level is kept where nothing else takes its place.
                let size = if self.is_plain {
                    (right, below)
                } else {
                    (to_usize(columns), to_usize(rows))
                };
                let from = (to_usize(from_x), to_usize(from_y));
                blocks
                    .copy(to, &decoded.blocks, from, size)
                    .map_err(in_frame)?;
                present.0 = present.0.max(to.0.saturating_add(size.0));
                present.1 = present.1.max(to.1.saturating_add(size.1));
            }
        }
        if is_blank {
            return Ok(None);
        }
        let nothing = Nothing {
            colour,
            is_emitted: self.recipe.is_emitted,
        };
        for (at, size) in missing {
            present.0 = present.0.max(at.0.saturating_add(size.0));
            present.1 = present.1.max(at.1.saturating_add(size.1));
            blank::fill(&mut blocks, nothing, at, size);
        }
        blocks.extend(present.0, present.1);
        Ok(Some(Woven {
            facts: self.facts.clone(),
            blocks,
            present,
        }))
    }

    /// Which tiles a frame takes along one axis: number, first MCU in the tile, first MCU in the
    /// frame, and how many.
    fn spans(&self, frame: u32, axis: usize) -> Vec<(u32, u32, u32, u32)> {
        let along = |pair: (u32, u32)| if axis == 0 { pair.0 } else { pair.1 };
        let (advance, level, size) = (
            along(self.advance).max(1),
            along(self.level),
            along(self.frame).max(1),
        );
        let last = along(self.tiles).saturating_sub(1);
        if self.is_plain {
            let begin = frame.saturating_mul(advance);
            return vec![(frame, 0, 0, level.saturating_sub(begin).min(size))];
        }
        let start = frame.saturating_mul(size);
        let end = start.saturating_add(size).min(level);
        let mut spans = Vec::new();
        let mut at = start;
        while at < end {
            let tile = at.checked_div(advance).unwrap_or(0).min(last);
            let begin = tile.saturating_mul(advance);
            let stop = if tile == last {
                end
            } else {
                begin.saturating_add(advance).min(end)
            };
            spans.push((
                tile,
                at.saturating_sub(begin),
                at.saturating_sub(start),
                stop.saturating_sub(at),
            ));
            at = stop.max(at.saturating_add(1));
        }
        spans
    }
}

/// What frames are: the components of all planes together, with table selectors of ours.
pub(super) fn frame_facts(references: &[Facts]) -> Option<Facts> {
    let mut facts = references.first()?.clone();
    if references.len() > 1 {
        facts.components = references
            .iter()
            .flat_map(|r| r.components.clone())
            .collect();
        for component in &mut facts.components {
            // Each colour was alone in its scan, which has no MCUs of several blocks.
            (component.horizontal, component.vertical) = (1, 1);
        }
    }
    for (number, component) in (0_u8..).zip(&mut facts.components) {
        (component.dc, component.ac) = (number.min(1), number.min(1));
    }
    facts.restart_interval = 0;
    Some(facts)
}
