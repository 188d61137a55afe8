//! Decodes blocks of scans, Huffman-coded: all of a block at once, or bit by bit (T.81 G.1.2).

use super::arithmetic;
use super::bits::Bits;
use super::blocks::{Block, nonzero, to_usize};
use super::header::malformed;
use super::huffman::{Decoder, extend, no_code};
use super::scan_header::{Part, Scan};
use crate::error::StreamError;

/// Bits that [`Bits::load`] has for sure, and some fewer.
const LOADED: usize = 56;

/// What decodes the blocks of a scan.
pub(crate) enum Entropy {
    Huffman(Box<Huffman>),
    Arithmetic(Box<arithmetic::Decoder>),
}

impl Entropy {
    /// Begins a restart interval.
    pub(crate) fn begin(&mut self, bits: &Bits, scan: &Scan) -> Result<(), StreamError> {
        match self {
            Self::Huffman(huffman) => {
                huffman.at = 0;
                huffman.dc = [0; 3];
                huffman.blocks_left = 0;
                Ok(())
            }
            Self::Arithmetic(decoder) => decoder.begin(bits, scan),
        }
    }

    /// Decodes what a scan holds of a block.
    pub(crate) fn block(
        &mut self,
        bits: &Bits,
        scan: &Scan,
        part: &Part,
        block: &mut Block,
    ) -> Result<(), StreamError> {
        match self {
            Self::Huffman(huffman) => huffman.block(bits, scan, part, block),
            Self::Arithmetic(decoder) => decoder.block(bits, scan, part, block),
        }
    }
}

/// A place in Huffman-coded data.
pub(crate) struct Huffman {
    dc_tables: [Option<Decoder>; 4],
    ac_tables: [Option<Decoder>; 4],
    at: usize,
    dc: [i32; 3],
    /// Blocks of this band that have no coefficient any more, but bits of those that they have.
    blocks_left: u32,
}

impl Huffman {
    pub(crate) fn new(dc_tables: [Option<Decoder>; 4], ac_tables: [Option<Decoder>; 4]) -> Self {
        Self {
            dc_tables,
            ac_tables,
            at: 0,
            dc: [0; 3],
            blocks_left: 0,
        }
    }

    fn block(
        &mut self,
        bits: &Bits,
        scan: &Scan,
        part: &Part,
        block: &mut Block,
    ) -> Result<(), StreamError> {
        match (scan.band.0, scan.high) {
            (0, 0) => {
                self.first_dc(bits, scan, part, block)?;
                if !scan.is_progressive {
                    self.first_ac(bits, scan, part, block)?;
                }
            }
            (0, _) => {
                if self.take(bits, 1) == 1 {
                    refine_dc(block, scan.low);
                }
            }
            (_, 0) => self.first_ac(bits, scan, part, block)?,
            _ => self.refine_ac(bits, scan, part, block)?,
        }
        if self.at > bits.len() {
            return Err(malformed("entropy-coded data that ends inside an MCU", 0));
        }
        Ok(())
    }

    /// The next bits, at most 16.
    fn take(&mut self, bits: &Bits, len: u8) -> u32 {
        if len == 0 {
            return 0;
        }
        let value = bits.load(self.at) >> 64_u8.saturating_sub(len);
        self.at = self.at.saturating_add(len.into());
        u32::try_from(value).unwrap_or(0)
    }

    fn first_dc(
        &mut self,
        bits: &Bits,
        scan: &Scan,
        part: &Part,
        block: &mut Block,
    ) -> Result<(), StreamError> {
        let table = table(&self.dc_tables, part.dc)?;
        let (difference, len) = table.difference(bits.load(self.at))?;
        self.at = self.at.saturating_add(len);
        let last = self.dc.get_mut(part.component).ok_or_else(no_code)?;
        *last = last.wrapping_add(difference);
        set(block, 0, last.wrapping_shl(scan.low.into()))
    }

    /// The symbol at this place, taken, and the signed value behind its code.
    fn symbol(&mut self, bits: &Bits, id: u8) -> Result<(u8, u8, i32), StreamError> {
        let window = bits.load(self.at);
        let symbol = table(&self.ac_tables, id)?
            .symbol(window)
            .ok_or_else(no_code)?;
        let (run, size) = (symbol.value >> 4, symbol.value & 15);
        let value = extend(window, symbol.code_len, size);
        let len = symbol.code_len.saturating_add(size);
        self.at = self.at.saturating_add(len.into());
        Ok((run, size, value))
    }

    fn first_ac(
        &mut self,
        bits: &Bits,
        scan: &Scan,
        part: &Part,
        block: &mut Block,
    ) -> Result<(), StreamError> {
        if let Some(left) = self.blocks_left.checked_sub(1) {
            self.blocks_left = left;
            return Ok(());
        }
        let (first, last) = scan.band;
        let mut next = first.max(1);
        while next <= last {
            let (run, size, value) = self.symbol(bits, part.ac)?;
            match (run, size) {
                (15, 0) => next = next.saturating_add(16),
                (0, 0) => return Ok(()),
                (_, 0) if scan.is_progressive => {
                    self.blocks_left = self.run_of_blocks(bits, run).saturating_sub(1);
                    return Ok(());
                }
                (_, 0) => return Err(no_code()),
                _ => {
                    next = next.saturating_add(run.into());
                    if next > last {
                        return Err(too_many());
                    }
                    set(block, next, value.wrapping_shl(scan.low.into()))?;
                    next = next.saturating_add(1);
                }
            }
        }
        Ok(())
    }

    /// How many blocks, this one included, have no further coefficient in this band.
    fn run_of_blocks(&mut self, bits: &Bits, len: u8) -> u32 {
        let more = self.take(bits, len);
        1_u32.wrapping_shl(len.into()).saturating_add(more)
    }

    /// Adds a bit to coefficients that are there, and puts in those whose first bit it is.
    fn refine_ac(
        &mut self,
        bits: &Bits,
        scan: &Scan,
        part: &Part,
        block: &mut Block,
    ) -> Result<(), StreamError> {
        let (mut next, last) = scan.band;
        let there = nonzero(block);
        if self.blocks_left == 0 {
            while next <= last {
                let window = bits.load(self.at);
                let symbol = table(&self.ac_tables, part.ac)?
                    .symbol(window)
                    .ok_or_else(no_code)?;
                self.at = self.at.saturating_add(symbol.code_len.into());
                let (run, size) = (symbol.value >> 4, symbol.value & 15);
                let new = match (run, size) {
                    (15, 0) => None,
                    (_, 0) => {
                        self.blocks_left = self.run_of_blocks(bits, run);
                        break;
                    }
                    (_, 1) => Some(if self.take(bits, 1) == 1 { 1 } else { -1 }),
                    _ => return Err(no_code()),
                };
                next = self.pass_over(bits, scan, (block, there), next, Some(run));
                if let Some(new) = new {
                    if next > last {
                        return Err(too_many());
                    }
                    set(block, next, i32::wrapping_shl(new, scan.low.into()))?;
                }
                next = next.saturating_add(1);
            }
        }
        if let Some(left) = self.blocks_left.checked_sub(1) {
            self.blocks_left = left;
            self.pass_over(bits, scan, (block, there), next, None);
        }
        Ok(())
    }

    /// Refines coefficients up to the place behind a run of zeros, or to the end of the band.
    ///
    /// `there` are those that are not zero, see [`nonzero`].
    fn pass_over(
        &mut self,
        bits: &Bits,
        scan: &Scan,
        (block, there): (&mut Block, u64),
        from: usize,
        zeros: Option<u8>,
    ) -> usize {
        let mut zeros = zeros.map_or(usize::MAX, usize::from);
        let end = scan.band.1.saturating_add(1).min(block.len());
        let mut at = from.min(end);
        let mut window = bits.load(self.at);
        let mut used = 0_usize;
        while at < end {
            let gap = there.checked_shr(shift(at)).map_or(64, u64::trailing_zeros);
            let gap = to_usize(gap).min(end.saturating_sub(at));
            if gap > zeros {
                at = at.saturating_add(zeros);
                break;
            }
            zeros = zeros.saturating_sub(gap);
            at = at.saturating_add(gap);
            let Some(coefficient) = block.get_mut(..end).and_then(|band| band.get_mut(at)) else {
                break;
            };
            if window >> 63 == 1 {
                refine(coefficient, scan.low);
            }
            window <<= 1;
            used = used.saturating_add(1);
            if used == LOADED {
                self.at = self.at.saturating_add(used);
                window = bits.load(self.at);
                used = 0;
            }
            at = at.saturating_add(1);
        }
        self.at = self.at.saturating_add(used);
        at
    }
}

fn shift(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// Adds a bit to the size of a coefficient, unless it is there already.
pub(crate) fn refine(coefficient: &mut i16, low: u8) {
    let bit = 1_i16.wrapping_shl(low.into());
    if coefficient.unsigned_abs() & bit.unsigned_abs() == 0 {
        let step = if *coefficient < 0 {
            bit.wrapping_neg()
        } else {
            bit
        };
        *coefficient = coefficient.wrapping_add(step);
    }
}

/// Sets a bit of DC.
pub(crate) fn refine_dc(block: &mut Block, low: u8) {
    if let Some(dc) = block.first_mut() {
        *dc |= 1_i16.wrapping_shl(low.into());
    }
}

fn table(tables: &[Option<Decoder>; 4], id: u8) -> Result<&Decoder, StreamError> {
    let table = tables.get(usize::from(id)).and_then(Option::as_ref);
    table.ok_or(malformed("a table that nobody defines", 0))
}

pub(crate) fn set(block: &mut Block, at: usize, value: i32) -> Result<(), StreamError> {
    let value = i16::try_from(value).map_err(|_| malformed("a coefficient of 16 bits", 0))?;
    *block.get_mut(at).ok_or_else(too_many)? = value;
    Ok(())
}

pub(crate) fn too_many() -> StreamError {
    malformed("a block of more than 64 coefficients", 0)
}
