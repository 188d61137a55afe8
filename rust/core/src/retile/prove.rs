//! Proves that frames hold the coefficients of a picture.

use std::sync::atomic::Ordering;

use super::rows::{Rows, Visit};
use super::{Picture, in_picture, read_header};
use crate::error::{Error, StreamError};
use crate::groups::for_each_group;
use crate::jpeg::bits::{Bits, is_restart, split_interval};
use crate::jpeg::coefficients::{BlockDecoder, Coefficients};
use crate::jpeg::mcu::Position;
use crate::jpeg::{self, Colour, Recipe, Tables, malformed, marker};
use crate::limits::Limits;
use crate::source::Source;
use crate::tiles::ByteRange;
use crate::watch::Watch;

/// Decodes picture and frames symbol by symbol and compares their coefficients.
///
/// `frames` are the ranges in `spool` that [`super::retile`] returned for the same arguments, or
/// those of the frames of an instance.
/// `watch` counts frames.
///
/// # Errors
///
/// [`Error::Verify`] with the first frame that differs; else as [`super::retile`].
pub fn prove_retiled(
    source: &Source,
    picture: &Picture,
    recipe: &Recipe,
    (spool, frames): (&Source, &[ByteRange]),
    limits: &Limits,
    watch: &mut dyn Watch,
) -> Result<(), Error> {
    let start = read_header(source, picture, limits)?;
    let header = jpeg::parse_header(&start).map_err(in_picture)?;
    let rows = Rows::new(picture, &header, recipe).map_err(in_picture)?;
    let tables = recipe.tables_for(&header).map_err(in_picture)?;
    let decoder = BlockDecoder::new(&header.facts, &tables);
    let starts = rows.starts(source, picture)?;
    for_each_group(rows.groups(), watch, |group, done| {
        let bytes = starts.read(source, group, limits)?;
        let mut walk = rows.walk(group, &bytes);
        let mut at = rows.first_frame(group);
        while !walk.is_done() {
            let ranges = frames.get(at..).unwrap_or_default().iter();
            let mut row = ProvedRow {
                decoder: &decoder,
                quantisation: used_steps(&header.facts, &tables),
                frames: Vec::new(),
                differs: None,
            };
            for range in ranges.take(rows.columns()) {
                row.frames.push(Frame::read(spool, *range, limits)?);
            }
            walk.frame_row(&mut row)
                .map_err(|error| match row.differs {
                    Some(what) => Error::Verify {
                        what: format!("the row of frames that begins with frame {at}: {what}"),
                    },
                    // Stitched bytes may be damaged in the picture already.
                    None => in_picture(error),
                })?;
            at = at.saturating_add(rows.columns());
            done.fetch_add(
                u64::try_from(rows.columns()).unwrap_or(0),
                Ordering::Relaxed,
            );
        }
        Ok(())
    })?;
    Ok(())
}

/// The quantisation steps of each component.
fn used_steps(facts: &jpeg::Facts, tables: &Tables<'_>) -> Vec<Vec<u8>> {
    let steps = |id| jpeg::slot(&tables.quantisation, id).unwrap_or_default();
    let components = facts.components.iter();
    components.map(|c| steps(c.quantisation).to_vec()).collect()
}

/// A frame that is read back.
pub(crate) struct Frame {
    colour: Colour,
    decoder: BlockDecoder,
    quantisation: Vec<Vec<u8>>,
    bytes: Vec<u8>,
    /// Where the next restart interval begins; behind the end marker there is none.
    next: Option<usize>,
    /// MCUs of an interval, and how many of the current one are left.
    interval: u32,
    left: u32,
    bits: Bits,
    position: Position,
}

impl Frame {
    pub(crate) fn read(spool: &Source, range: ByteRange, limits: &Limits) -> Result<Self, Error> {
        if range.byte_count > limits.tile_bytes {
            return Err(Error::Limit {
                what: format!("a frame of {} bytes", range.byte_count),
                name: "tile_bytes",
                limit: limits.tile_bytes,
            });
        }
        let mut bytes = vec![0; usize::try_from(range.byte_count).unwrap_or(0)];
        spool.read_exact_at(&mut bytes, range.offset)?;
        let header = jpeg::parse_header(&bytes).map_err(in_picture)?;
        let interval = match u32::from(header.facts.restart_interval) {
            0 => u32::MAX,
            some => some,
        };
        Ok(Self {
            colour: match (header.facts.components.len(), header.facts.adobe_transform) {
                (1, _) => Colour::Grey,
                (_, Some(0)) => Colour::Rgb,
                _ => Colour::Ybr,
            },
            decoder: BlockDecoder::new(&header.facts, &header.tables),
            quantisation: used_steps(&header.facts, &header.tables),
            next: Some(header.len),
            interval,
            left: 0,
            bits: Bits::default(),
            position: Position::default(),
            bytes,
        })
    }

    /// Goes on to the next MCU, into the next restart interval if need be.
    pub(crate) fn begin_mcu(&mut self) -> Result<(), StreamError> {
        if self.left == 0 {
            let start = self
                .next
                .ok_or(malformed("a frame that ends too soon", 0))?;
            let part = split_interval(self.bytes.get(start..).unwrap_or_default());
            self.next = match part.next {
                Some((code, behind)) if is_restart(code) => {
                    Some(self.bytes.len().saturating_sub(behind.len()))
                }
                // An instance pads a frame to even length.
                Some((marker::EOI, [] | [0])) => None,
                _ => return Err(malformed("a frame without its end marker", 0)),
            };
            self.bits.fill(part.data);
            self.position = Position::default();
            self.left = self.interval;
        }
        self.left = self.left.saturating_sub(1);
        Ok(())
    }

    pub(crate) fn block(&mut self, index: usize) -> Result<Coefficients, StreamError> {
        self.decoder.block(index, &self.bits, &mut self.position)
    }

    /// What its header says that its samples are.
    pub(crate) fn colour(&self) -> Colour {
        self.colour
    }

    /// The quantisation steps of each component.
    pub(crate) fn quantisation(&self) -> &[Vec<u8>] {
        &self.quantisation
    }

    /// Checks that nothing is left behind the last MCU.
    pub(crate) fn end(&self) -> Result<(), StreamError> {
        match self.next {
            None => Ok(()),
            Some(_) => Err(malformed("a frame that goes on", 0)),
        }
    }
}

/// A row of frames that is compared with the picture.
struct ProvedRow<'a> {
    decoder: &'a BlockDecoder,
    quantisation: Vec<Vec<u8>>,
    frames: Vec<Frame>,
    /// In what a frame differs from the picture.
    differs: Option<&'static str>,
}

impl ProvedRow<'_> {
    /// Compares MCUs of a frame with blocks that `expected` gives, `None` for padding.
    fn compare(
        &mut self,
        column: usize,
        mcus: u32,
        mut expected: impl FnMut(usize) -> Result<Option<Coefficients>, StreamError>,
    ) -> Result<(), StreamError> {
        let mut differ = |what| {
            self.differs = Some(what);
            Err(malformed(what, 0))
        };
        let Some(frame) = self.frames.get_mut(column) else {
            return differ("a frame that is missing");
        };
        if frame.quantisation != self.quantisation {
            return differ("a frame with other quantisation");
        }
        for _ in 0..mcus {
            if frame.begin_mcu().is_err() {
                return differ("a frame that ends too soon");
            }
            for block in 0..self.decoder.blocks() {
                let theirs = expected(block)?;
                let Ok(own) = frame.block(block) else {
                    return differ("a frame that cannot be decoded");
                };
                match theirs {
                    Some(theirs) if theirs != own => {
                        return differ("a block with other coefficients");
                    }
                    None if own.iter().skip(1).any(|&coefficient| coefficient != 0) => {
                        return differ("padding that is a picture");
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

impl Visit for ProvedRow<'_> {
    fn take(
        &mut self,
        column: usize,
        bits: &Bits,
        position: &mut Position,
        mcus: u32,
    ) -> Result<(), StreamError> {
        let decoder = self.decoder;
        self.compare(column, mcus, |block| {
            decoder.block(block, bits, position).map(Some)
        })
    }

    fn pad(&mut self, column: usize, mcus: u32) -> Result<(), StreamError> {
        self.compare(column, mcus, |_| Ok(None))
    }
}
