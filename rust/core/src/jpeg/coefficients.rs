//! Decodes the coefficients of MCUs one symbol at a time, as T.81 F.2.2 has it.
//!
//! Used to prove what [`super::mcu`] moved, which skips several symbols at once.

use super::Facts;
use super::bits::Bits;
use super::header::malformed;
use super::huffman::{Decoder, extend, no_code};
use super::mcu::{Block, Position, blocks_of};
use super::tables::{Tables, slot};
use crate::error::StreamError;

/// Quantised coefficients of a block in zigzag order, the first one not a difference.
pub(crate) type Coefficients = [i32; 64];

/// Decodes the blocks of a scan.
#[derive(Debug)]
pub(crate) struct BlockDecoder {
    blocks: Vec<Block>,
    dc: [Option<Decoder>; 2],
    ac: [Option<Decoder>; 2],
}

impl BlockDecoder {
    pub(crate) fn new(facts: &Facts, tables: &Tables<'_>) -> Self {
        Self {
            blocks: blocks_of(facts),
            dc: [0, 1].map(|id| slot(&tables.dc, id).map(Decoder::new)),
            ac: [0, 1].map(|id| slot(&tables.ac, id).map(Decoder::new)),
        }
    }

    /// Blocks of one MCU.
    pub(crate) fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Decodes one block of the MCU at a position.
    pub(crate) fn block(
        &self,
        index: usize,
        bits: &Bits,
        position: &mut Position,
    ) -> Result<Coefficients, StreamError> {
        let missing = || malformed("a table that nobody defines", 0);
        let block = self.blocks.get(index).ok_or_else(missing)?;
        let tables = (self.dc.get(block.dc), self.ac.get(block.ac));
        let (Some(Some(dc)), Some(Some(ac))) = tables else {
            return Err(missing());
        };
        let (difference, len) = dc.difference(bits.load(position.at))?;
        position.at = position.at.wrapping_add(len);
        let value = position.dc.get_mut(block.component).ok_or_else(missing)?;
        *value = value.wrapping_add(difference);
        let mut coefficients = [0; 64];
        if let Some(dc) = coefficients.first_mut() {
            *dc = *value;
        }
        let mut next = 1_usize;
        while next < coefficients.len() {
            let window = bits.load(position.at);
            let symbol = ac.symbol(window).ok_or_else(no_code)?;
            let (run, size) = (usize::from(symbol.value >> 4), symbol.value & 15);
            let len = symbol.code_len.wrapping_add(size);
            position.at = position.at.wrapping_add(len.into());
            match (run, size) {
                (0, 0) => break,
                (15, 0) => next = next.wrapping_add(16),
                (_, 0) => return Err(no_code()),
                _ => {
                    next = next.wrapping_add(run);
                    let too_many = || malformed("a block of more than 64 coefficients", 0);
                    *coefficients.get_mut(next).ok_or_else(too_many)? =
                        extend(window, symbol.code_len, size);
                    next = next.wrapping_add(1);
                }
            }
        }
        if position.at > bits.len() {
            return Err(malformed("entropy-coded data that ends inside an MCU", 0));
        }
        Ok(coefficients)
    }
}
