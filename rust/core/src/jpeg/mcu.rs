//! Walks MCUs without decoding their coefficients, and moves whole runs of them.

use super::bits::{BitWriter, Bits};
use super::header::malformed;
use super::huffman::{Code, Decoder, Encoder, Skipper, difference, extended};
use super::tables::{Tables, slot};
use super::{Component, Facts};
use crate::error::StreamError;

/// Most components of a picture that can be a frame.
const COMPONENTS: usize = 3;
/// Largest size category of a DC difference with 8 bits a sample (T.81 Table F.1).
const LAST_CATEGORY: u8 = 11;
const END_OF_BLOCK: u8 = 0;

/// DC values by component.
pub(crate) type DcValues = [i32; COMPONENTS];

/// A block of an MCU: its component, and which of the two tables of a kind it uses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block {
    pub(crate) component: usize,
    pub(crate) dc: usize,
    pub(crate) ac: usize,
}

/// How the MCUs of a picture are coded.
#[derive(Debug)]
pub(crate) struct Scan {
    blocks: Vec<Block>,
    dc: [Option<Decoder>; 2],
    ac: [Option<Skipper>; 2],
}

/// The blocks of an MCU in their order.
pub(crate) fn blocks_of(facts: &Facts) -> Vec<Block> {
    let is_single = facts.components.len() == 1;
    let mut blocks = Vec::new();
    for (component, selectors) in facts.components.iter().enumerate() {
        let factors = selectors.horizontal.saturating_mul(selectors.vertical);
        // A scan of one component is not interleaved (T.81 A.2.2).
        for _ in 0..if is_single { 1 } else { factors } {
            blocks.push(Block {
                component,
                dc: selectors.dc.into(),
                ac: selectors.ac.into(),
            });
        }
    }
    blocks
}

/// Where the DC coefficient of a component's first block lies in a run.
#[derive(Debug, Clone, Copy, Default)]
struct First {
    start: usize,
    end: usize,
    value: i32,
    dc: usize,
}

/// Consecutive MCUs of one restart interval.
///
/// Within it every DC difference is right wherever the run is moved, but those of the first MCU.
#[derive(Debug)]
pub(crate) struct Run {
    start: usize,
    end: usize,
    firsts: [First; COMPONENTS],
    components: usize,
    last: DcValues,
}

/// A place in an interval.
#[derive(Debug, Default)]
pub(crate) struct Position {
    pub(crate) at: usize,
    pub(crate) dc: DcValues,
}

impl Scan {
    pub(crate) fn new(facts: &Facts, tables: &Tables<'_>) -> Self {
        let dc = [0, 1].map(|id| slot(&tables.dc, id).map(Decoder::new));
        let ac = [0, 1].map(|id| slot(&tables.ac, id).map(Skipper::new));
        Self {
            blocks: blocks_of(facts),
            dc,
            ac,
        }
    }

    /// Walks `mcus` MCUs from a position on, and moves it behind them.
    pub(crate) fn run(
        &self,
        bits: &Bits,
        position: &mut Position,
        mcus: u32,
    ) -> Result<Run, StreamError> {
        let start = position.at;
        let mut firsts = [First::default(); COMPONENTS];
        let mut components = 0_usize;
        for _ in 0..mcus {
            for block in &self.blocks {
                let tables = (self.dc.get(block.dc), self.ac.get(block.ac));
                let (Some(Some(dc)), Some(Some(ac))) = tables else {
                    return Err(malformed("a table that nobody defines", 0));
                };
                let (Some(value), at) = (position.dc.get_mut(block.component), position.at) else {
                    return Err(StreamError::Unsupported("more than three components"));
                };
                let (difference, len) = dc.difference(bits.load(at))?;
                *value = value.wrapping_add(difference);
                let end = at.wrapping_add(len);
                if block.component == components
                    && let Some(first) = firsts.get_mut(components)
                {
                    *first = First {
                        start: at,
                        end,
                        value: *value,
                        dc: block.dc,
                    };
                    components = components.wrapping_add(1);
                }
                position.at = ac.block(bits, end)?;
            }
            if position.at > bits.len() {
                return Err(malformed("entropy-coded data that ends inside an MCU", 0));
            }
        }
        Ok(Run {
            start,
            end: position.at,
            firsts,
            components,
            last: position.dc,
        })
    }
}

/// Codes to write what a move changes: differences of DC, and blocks that repeat the last DC.
#[derive(Debug)]
pub(crate) struct Pen {
    blocks: Vec<Block>,
    dc: [Option<Encoder>; 2],
    ac: [Option<Encoder>; 2],
    /// Codes of an MCU that repeats the DC before it.
    blank_mcu: Vec<Code>,
}

/// Tables with which a moved run can be written: those of the picture, and codes that they lack.
#[derive(Debug, Default)]
pub(crate) struct PenTables {
    dc: [Option<Vec<u8>>; 4],
    ac: [Option<Vec<u8>>; 4],
}

impl PenTables {
    pub(crate) fn new(components: &[Component], tables: &Tables<'_>) -> Result<Self, StreamError> {
        let mut own = Self::default();
        for component in components {
            let dc = (&mut own.dc, &tables.dc, component.dc, LAST_CATEGORY);
            let ac = (&mut own.ac, &tables.ac, component.ac, END_OF_BLOCK);
            for (own, tables, id, last) in [dc, ac] {
                let table = slot(tables, id).ok_or(malformed("a table that nobody defines", 0))?;
                if let Some(own) = own.get_mut(usize::from(id)) {
                    *own = Some(extended(table, 0..=last).ok_or(StreamError::Unsupported(
                        "Huffman tables without room for the codes that moved blocks need",
                    ))?);
                }
            }
        }
        Ok(own)
    }

    pub(crate) fn tables<'a>(&'a self, tables: &Tables<'a>) -> Tables<'a> {
        let each = |own: &'a [Option<Vec<u8>>; 4]| {
            let mut slices = [None; 4];
            for (slice, table) in slices.iter_mut().zip(own) {
                *slice = table.as_deref();
            }
            slices
        };
        Tables {
            quantisation: tables.quantisation,
            dc: each(&self.dc),
            ac: each(&self.ac),
        }
    }
}

impl Pen {
    /// Needs the tables of [`PenTables`].
    pub(crate) fn new(facts: &Facts, tables: &Tables<'_>) -> Result<Self, StreamError> {
        let mut pen = Self {
            blocks: blocks_of(facts),
            dc: [0, 1].map(|id| slot(&tables.dc, id).map(Encoder::new)),
            ac: [0, 1].map(|id| slot(&tables.ac, id).map(Encoder::new)),
            blank_mcu: Vec::new(),
        };
        for block in &pen.blocks {
            pen.blank_mcu.push(pen.dc_code(block.dc, 0)?);
            pen.blank_mcu.push(pen.ac_code(block.ac, END_OF_BLOCK)?);
        }
        Ok(pen)
    }

    fn dc_code(&self, table: usize, category: u8) -> Result<Code, StreamError> {
        code_of(&self.dc, table, category)
    }

    fn ac_code(&self, table: usize, symbol: u8) -> Result<Code, StreamError> {
        code_of(&self.ac, table, symbol)
    }
}

fn code_of(encoders: &[Option<Encoder>; 2], table: usize, symbol: u8) -> Result<Code, StreamError> {
    let encoder = encoders.get(table).and_then(Option::as_ref);
    encoder
        .and_then(|encoder| encoder.code(symbol))
        .ok_or_else(no_code)
}

fn no_code() -> StreamError {
    StreamError::Unsupported("a DC difference that 8 bits a sample cannot have")
}

/// The entropy-coded data of one frame, as it grows.
#[derive(Debug, Default)]
pub(crate) struct FrameData {
    writer: BitWriter,
    dc: DcValues,
}

impl FrameData {
    /// Adds a run: all its bits, but the DC differences of its first MCU.
    pub(crate) fn push(&mut self, pen: &Pen, bits: &Bits, run: &Run) -> Result<(), StreamError> {
        let mut at = run.start;
        for (first, before) in run.firsts.iter().zip(self.dc).take(run.components) {
            self.writer.copy(bits, at, first.start);
            let (category, extra) = difference(first.value.wrapping_sub(before));
            let code = pen.dc_code(first.dc, category)?;
            self.writer.push(code.bits.into(), code.len.into());
            self.writer.push(extra, category.into());
            at = first.end;
        }
        self.writer.copy(bits, at, run.end);
        self.dc = run.last;
        Ok(())
    }

    /// Adds an MCU whose blocks have one DC value for each component, and no other coefficient.
    pub(crate) fn push_flat(&mut self, pen: &Pen, values: DcValues) -> Result<(), StreamError> {
        for block in &pen.blocks {
            let value = values.get(block.component).copied().unwrap_or_default();
            let before = self.dc.get_mut(block.component);
            let before = before.ok_or(StreamError::Unsupported("more than three components"))?;
            let (category, extra) = difference(value.wrapping_sub(*before));
            *before = value;
            let code = pen.dc_code(block.dc, category)?;
            let end = pen.ac_code(block.ac, END_OF_BLOCK)?;
            self.writer.push(code.bits.into(), code.len.into());
            self.writer.push(extra, category.into());
            self.writer.push(end.bits.into(), end.len.into());
        }
        Ok(())
    }

    /// Adds MCUs that repeat the DC before them and have no other coefficient.
    pub(crate) fn push_blank(&mut self, pen: &Pen, mcus: u32) {
        for _ in 0..mcus {
            for code in &pen.blank_mcu {
                self.writer.push(code.bits.into(), code.len.into());
            }
        }
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.writer.finish()
    }
}
