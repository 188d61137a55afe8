//! Huffman tables as codes to write, and as look-ups that skip over coefficients.

use super::bits::Bits;
use super::header::malformed;
use crate::error::StreamError;

/// Bits of the first look-up: both AC tables of a picture then fit the first-level cache.
const LOOKUP_BITS: u32 = 11;
/// Coefficients of a block.
const BLOCK: u8 = 64;
/// End of block, and a run of sixteen zeros (T.81 F.1.2.2).
const EOB: u8 = 0x00;
const ZRL: u8 = 0xF0;

/// One symbol with its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Code {
    pub(crate) symbol: u8,
    pub(crate) bits: u16,
    pub(crate) len: u8,
}

/// The codes of a table of DHT, shortest first (T.81 Annex C).
///
/// `table` is sixteen counts and the symbols of a prefix code.
pub(crate) fn codes(table: &[u8]) -> Vec<Code> {
    let (counts, symbols) = table.split_at_checked(16).unwrap_or_default();
    let mut codes = Vec::new();
    let (mut bits, mut symbols) = (0_u16, symbols.iter());
    for (len, &count) in (1_u8..=16).zip(counts) {
        for &symbol in symbols.by_ref().take(usize::from(count)) {
            codes.push(Code { symbol, bits, len });
            bits = bits.wrapping_add(1);
        }
        bits <<= 1;
    }
    codes
}

/// Whether a table has all codes of another.
pub(crate) fn has_codes_of(table: &[u8], other: &[u8]) -> bool {
    let own = codes(table);
    table == other || codes(other).iter().all(|code| own.contains(code))
}

/// Adds codes for the symbols that a table lacks, behind those that it has: these stay as they are.
///
/// An optimised table has no code for what its picture did not need. T.81 C.2 keeps the code of
/// all 1-bits free, and room for longer codes below it. `None` if there is too little of it.
pub(crate) fn extended(table: &[u8], needed: impl IntoIterator<Item = u8>) -> Option<Vec<u8>> {
    let (counts, symbols) = table.split_at_checked(16)?;
    let missing: Vec<u8> = needed
        .into_iter()
        .filter(|symbol| !symbols.contains(symbol))
        .collect();
    if missing.is_empty() {
        return Some(table.to_vec());
    }
    let longest = counts
        .iter()
        .rposition(|&count| count > 0)
        .map_or(1, |at| at.saturating_add(1));
    let used: usize = counts
        .iter()
        .enumerate()
        .map(|(at, &count)| usize::from(count) << (15_usize.saturating_sub(at)))
        .sum();
    let free = (1_usize << 16).checked_sub(used)?;
    // The shortest codes below the free room that leave one of all 1-bits.
    let len = (longest..=16).find(|len| free >> (16_usize.saturating_sub(*len)) > missing.len())?;
    let mut table = table.to_vec();
    let count = table.get_mut(len.checked_sub(1)?)?;
    *count = count.checked_add(u8::try_from(missing.len()).ok()?)?;
    table.extend(missing);
    Some(table)
}

/// Codes by symbol, to write with.
#[derive(Debug)]
pub(crate) struct Encoder {
    codes: Vec<Code>,
}

impl Encoder {
    pub(crate) fn new(table: &[u8]) -> Self {
        Self {
            codes: codes(table),
        }
    }

    pub(crate) fn code(&self, symbol: u8) -> Option<Code> {
        self.codes
            .iter()
            .copied()
            .find(|code| code.symbol == symbol)
    }
}

/// Size category of a difference (T.81 Table F.1), and the bits behind its code (F.1.2.1).
pub(crate) fn difference(value: i32) -> (u8, u32) {
    let category = 32_u32.saturating_sub(value.unsigned_abs().leading_zeros());
    let bits = if value < 0 {
        value.wrapping_sub(1)
    } else {
        value
    };
    (
        u8::try_from(category).unwrap_or(u8::MAX),
        bits.cast_unsigned(),
    )
}

/// A symbol that was looked up.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Symbol {
    /// Length of the code; 0 if there is none.
    pub(crate) code_len: u8,
    pub(crate) value: u8,
}

/// The signed value of `size` bits behind a code at the high end of `window` (T.81 F.2.2.1).
#[inline]
pub(crate) fn extend(window: u64, code_len: u8, size: u8) -> i32 {
    if size == 0 {
        return 0;
    }
    let raw = (window << code_len) >> 64_u8.wrapping_sub(size);
    let raw = i32::try_from(raw).unwrap_or(0);
    if raw >> size.wrapping_sub(1) == 0 {
        raw.wrapping_sub(1 << size).wrapping_add(1)
    } else {
        raw
    }
}

/// Looks up one symbol at a time.
#[derive(Debug)]
pub(crate) struct Decoder {
    first: Vec<Symbol>,
    long: Vec<Code>,
}

impl Decoder {
    pub(crate) fn new(table: &[u8]) -> Self {
        let mut first = vec![Symbol::default(); 1 << LOOKUP_BITS];
        let mut long = Vec::new();
        for code in codes(table) {
            let Some(free) = LOOKUP_BITS.checked_sub(u32::from(code.len)) else {
                long.push(code);
                continue;
            };
            let start = usize::from(code.bits) << free;
            let symbol = Symbol {
                code_len: code.len,
                value: code.symbol,
            };
            if let Some(entries) = first.get_mut(start..start.saturating_add(1 << free)) {
                entries.fill(symbol);
            }
        }
        Self { first, long }
    }

    /// The symbol at the high end of `window` and the length of its code.
    #[inline]
    pub(crate) fn symbol(&self, window: u64) -> Option<Symbol> {
        let index = usize::try_from(window >> (64 - LOOKUP_BITS)).unwrap_or(usize::MAX);
        match self.first.get(index) {
            Some(symbol) if symbol.code_len > 0 => Some(*symbol),
            _ => self.long_symbol(window),
        }
    }

    #[cold]
    fn long_symbol(&self, window: u64) -> Option<Symbol> {
        self.long
            .iter()
            .find(|code| {
                let shift = 64_u32.saturating_sub(u32::from(code.len));
                window >> shift == u64::from(code.bits)
            })
            .map(|code| Symbol {
                code_len: code.len,
                value: code.symbol,
            })
    }

    /// The DC difference at the high end of `window`, and the bits that it takes.
    #[inline]
    pub(crate) fn difference(&self, window: u64) -> Result<(i32, usize), StreamError> {
        let symbol = self.symbol(window).ok_or_else(no_code)?;
        if symbol.value > 15 {
            return Err(malformed("a DC difference of more than 15 bits", 0));
        }
        let len = symbol.code_len.wrapping_add(symbol.value);
        Ok((
            extend(window, symbol.code_len, symbol.value),
            usize::from(len),
        ))
    }
}

pub(crate) fn no_code() -> StreamError {
    malformed("a code that its Huffman table does not have", 0)
}

/// What the bits of one look-up tell about the coefficients there.
#[derive(Debug, Clone, Copy, Default)]
struct Skip {
    /// Length of all symbols whose codes are in the window, with their values.
    bits: u8,
    /// Coefficients that they stand for.
    coefficients: u8,
    /// Whether the last of them ends the block.
    ends: bool,
    /// Coefficients already there with which they still fit the block.
    room: u8,
    /// The first symbol alone; 0 bits if its code is longer than the window.
    first_bits: u8,
    first_coefficients: u8,
}

/// Skips AC coefficients, several at a look-up.
#[derive(Debug)]
pub(crate) struct Skipper {
    table: Vec<Skip>,
    single: Decoder,
}

impl Skipper {
    pub(crate) fn new(table: &[u8]) -> Self {
        let single = Decoder::new(table);
        let table = (0..1_u64 << LOOKUP_BITS)
            .map(|index| skip(&single, index << (64 - LOOKUP_BITS)))
            .collect();
        Self { table, single }
    }

    /// Skips the AC coefficients of a block that begin at bit `at`, and returns where they end.
    #[inline]
    pub(crate) fn block(&self, bits: &Bits, mut at: usize) -> Result<usize, StreamError> {
        let mut next = 1_u8;
        while next < BLOCK {
            let window = bits.load(at);
            let index = usize::try_from(window >> (64 - LOOKUP_BITS)).unwrap_or(usize::MAX);
            let skip = self.table.get(index).copied().unwrap_or_default();
            if next <= skip.room {
                at = at.wrapping_add(usize::from(skip.bits));
                next = next.wrapping_add(skip.coefficients);
                if skip.ends {
                    return Ok(at);
                }
                continue;
            }
            // A block that is full ends without a code for it: what follows is the next block's.
            let (taken, coefficients) = if skip.first_bits > 0 {
                (skip.first_bits, skip.first_coefficients)
            } else {
                self.long(window)?
            };
            at = at.wrapping_add(usize::from(taken));
            if coefficients == 0 {
                return Ok(at);
            }
            next = next.wrapping_add(coefficients);
            if next > BLOCK {
                return Err(malformed("a block of more than 64 coefficients", 0));
            }
        }
        Ok(at)
    }

    #[cold]
    fn long(&self, window: u64) -> Result<(u8, u8), StreamError> {
        let symbol = self.single.symbol(window).ok_or_else(no_code)?;
        let (bits, coefficients) = step(symbol).ok_or_else(no_code)?;
        Ok((bits, coefficients))
    }
}

/// Bits and coefficients of one AC symbol, no coefficients for the end of the block.
fn step(symbol: Symbol) -> Option<(u8, u8)> {
    let (run, size) = (symbol.value >> 4, symbol.value & 15);
    let bits = symbol.code_len.wrapping_add(size);
    match symbol.value {
        EOB => Some((bits, 0)),
        ZRL => Some((bits, 16)),
        _ => (size > 0).then_some((bits, run.wrapping_add(1))),
    }
}

fn skip(single: &Decoder, window: u64) -> Skip {
    let mut skip = Skip::default();
    let mut bits = 0_u32;
    while bits < LOOKUP_BITS {
        let symbol = match single.symbol(window << bits) {
            Some(symbol) if u32::from(symbol.code_len).wrapping_add(bits) <= LOOKUP_BITS => symbol,
            _ => break,
        };
        let Some((taken, coefficients)) = step(symbol) else {
            break;
        };
        bits = bits.wrapping_add(u32::from(taken));
        if skip.first_bits == 0 {
            (skip.first_bits, skip.first_coefficients) = (taken, coefficients);
        }
        skip.bits = u8::try_from(bits).unwrap_or(u8::MAX);
        skip.coefficients = skip.coefficients.wrapping_add(coefficients);
        skip.ends = coefficients == 0;
        if skip.ends || skip.coefficients >= BLOCK {
            break;
        }
    }
    let most = if skip.ends { BLOCK - 1 } else { BLOCK };
    skip.room = if skip.bits == 0 {
        0
    } else {
        most.saturating_sub(skip.coefficients)
    };
    skip
}
