//! Proves that frames hold the coefficients of a picture.

use std::sync::atomic::Ordering;

use super::groups::for_each_group;
use super::rows::{Rows, Visit};
use super::{Picture, in_picture, read_header};
use crate::error::{Error, StreamError};
use crate::jpeg::bits::{Bits, split_interval};
use crate::jpeg::coefficients::BlockDecoder;
use crate::jpeg::mcu::Position;
use crate::jpeg::{self, Recipe, Tables, malformed, marker};
use crate::limits::Limits;
use crate::source::Source;
use crate::tiles::ByteRange;
use crate::watch::Watch;

/// Decodes picture and frames symbol by symbol and compares their coefficients.
///
/// `frames` are the ranges in `spool` that [`super::retile`] returned for the same arguments.
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
            };
            for range in ranges.take(rows.columns()) {
                row.frames.push(Frame::read(spool, *range, limits)?);
            }
            walk.frame_row(&mut row).map_err(|error| Error::Verify {
                what: format!("the row of frames that begins with frame {at}: {error}"),
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
struct Frame {
    decoder: BlockDecoder,
    quantisation: Vec<Vec<u8>>,
    bits: Bits,
    position: Position,
}

impl Frame {
    fn read(spool: &Source, range: ByteRange, limits: &Limits) -> Result<Self, Error> {
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
        let tables = header.tables;
        let data = split_interval(bytes.get(header.len..).unwrap_or_default());
        if !matches!(data.next, Some((marker::EOI, []))) {
            return Err(in_picture(malformed("a frame without its end marker", 0)));
        }
        let mut bits = Bits::default();
        bits.fill(data.data);
        Ok(Self {
            decoder: BlockDecoder::new(&header.facts, &tables),
            quantisation: used_steps(&header.facts, &tables),
            bits,
            position: Position::default(),
        })
    }
}

/// A row of frames that is compared with the picture.
struct ProvedRow<'a> {
    decoder: &'a BlockDecoder,
    quantisation: Vec<Vec<u8>>,
    frames: Vec<Frame>,
}

impl ProvedRow<'_> {
    fn frame(&mut self, column: usize) -> Result<&mut Frame, StreamError> {
        let frame = self.frames.get_mut(column);
        frame.ok_or(malformed("a frame that is missing", 0))
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
        let is_alike = self
            .frames
            .get(column)
            .is_some_and(|frame| frame.quantisation == self.quantisation);
        if !is_alike {
            return Err(malformed("a frame with other quantisation", 0));
        }
        let frame = self.frame(column)?;
        for _ in 0..mcus {
            for block in 0..decoder.blocks() {
                let theirs = decoder.block(block, bits, position)?;
                let own = frame
                    .decoder
                    .block(block, &frame.bits, &mut frame.position)?;
                if own != theirs {
                    return Err(malformed("a block with other coefficients", 0));
                }
            }
        }
        Ok(())
    }

    fn pad(&mut self, column: usize, mcus: u32) -> Result<(), StreamError> {
        let blocks = self.decoder.blocks();
        let frame = self.frame(column)?;
        for _ in 0..mcus {
            for block in 0..blocks {
                let own = frame
                    .decoder
                    .block(block, &frame.bits, &mut frame.position)?;
                if own.iter().skip(1).any(|&coefficient| coefficient != 0) {
                    return Err(malformed("padding that is a picture", 0));
                }
            }
        }
        Ok(())
    }
}
