//! Codes every coefficient of a frame anew, with the Huffman tables that make it shortest.

use super::bits::BitWriter;
use super::blocks::{Block, Blocks, nonzero, to_usize};
use super::huffman::{Code, codes, difference};
use super::{EOI, Facts, Recipe, Tables};
use crate::error::StreamError;

/// Longest code (T.81 Annex C).
const LONGEST: usize = 16;
/// Largest size categories with 8 bits a sample (T.81 Tables F.1 and F.2).
const LAST_DC: u8 = 11;
const LAST_AC: u8 = 10;
const LAST_COEFFICIENT: u32 = 63;
const ZERO_RUN: u8 = 0xF0;
const END_OF_BLOCK: u8 = 0x00;

/// How often each symbol is needed.
type Counts = [u32; 256];

/// Writes a whole frame: header, blocks, end marker.
///
/// `facts` have the table selectors 0 for the first component and 1 for the others.
///
/// # Errors
///
/// [`StreamError::Unsupported`] for coefficients that the baseline process cannot code.
pub(crate) fn write_frame(
    recipe: &Recipe,
    facts: &Facts,
    blocks: &Blocks,
) -> Result<Vec<u8>, StreamError> {
    let mut counts = [[0; 256]; 4];
    walk(blocks, |table, symbol, _, _| {
        let count = counts
            .get_mut(table)
            .and_then(|c: &mut Counts| c.get_mut(usize::from(symbol)));
        if let Some(count) = count {
            *count = count.saturating_add(1);
        }
    })?;
    let [dc0, dc1, ac0, ac1] = counts.map(|counts| table(&counts));
    let encoders = [&dc0, &dc1, &ac0, &ac1].map(|table| by_symbol(table));
    let mut tables = Tables {
        dc: [Some(&dc0), Some(&dc1), None, None],
        ac: [Some(&ac0), Some(&ac1), None, None],
        ..Tables::default()
    };
    let mut facts = facts.clone();
    for (component, plane) in facts.components.iter_mut().zip(&blocks.planes) {
        let steps = plane.steps.as_slice();
        let slots = (0_u8..).zip(&mut tables.quantisation);
        for (number, slot) in slots {
            if *slot.get_or_insert(steps) == steps {
                component.quantisation = number;
                break;
            }
        }
    }
    let mut out = recipe.header_with_interval(&facts, &tables, 0)?;
    let mut writer = BitWriter::default();
    walk(blocks, |table, symbol, extra, len| {
        let encoder = encoders.get(table);
        if let Some(code) = encoder.and_then(|codes| codes.get(usize::from(symbol))) {
            // At most 16 bits and 11.
            let extra = extra & 1_u32.wrapping_shl(len).wrapping_sub(1);
            let both = u32::from(code.bits).wrapping_shl(len) | extra;
            writer.push(both, len.wrapping_add(code.len.into()));
        }
    })?;
    out.extend(writer.finish());
    out.extend(EOI);
    Ok(out)
}

/// Calls `emit` with each symbol: number of its table (DC 0 and 1, AC 2 and 3), symbol, and the
/// bits behind its code.
fn walk(blocks: &Blocks, mut emit: impl FnMut(usize, u8, u32, u32)) -> Result<(), StreamError> {
    let mut before = [0_i32; 3];
    blocks.try_for_each(|component, block| {
        let table = component.min(1);
        let dc = block.first().copied().map_or(0, i32::from);
        let last = before.get_mut(component);
        let last = last.ok_or(StreamError::Unsupported("more than three components"))?;
        let (category, extra) = difference(dc.wrapping_sub(*last));
        if category > LAST_DC {
            return Err(too_large());
        }
        *last = dc;
        emit(table, category, extra, category.into());
        walk_ac(block, |symbol, extra, len| {
            emit(table.saturating_add(2), symbol, extra, len);
        })
    })
}

/// The same for the AC coefficients of a block (T.81 F.1.2.2).
fn walk_ac(block: &Block, mut emit: impl FnMut(u8, u32, u32)) -> Result<(), StreamError> {
    let mut left = nonzero(block) & !1;
    let mut before = 0_u32;
    while left != 0 {
        let at = left.trailing_zeros();
        left &= left.wrapping_sub(1);
        let mut run = at.wrapping_sub(before).wrapping_sub(1);
        before = at;
        while run > 15 {
            emit(ZERO_RUN, 0, 0);
            run = run.wrapping_sub(16);
        }
        let coefficient = block.get(to_usize(at)).copied().unwrap_or(0);
        let (category, extra) = difference(coefficient.into());
        if category > LAST_AC {
            return Err(too_large());
        }
        let run = u8::try_from(run).unwrap_or(0);
        emit((run << 4) | category, extra, category.into());
    }
    if before != LAST_COEFFICIENT {
        emit(END_OF_BLOCK, 0, 0);
    }
    Ok(())
}

fn too_large() -> StreamError {
    StreamError::Unsupported("coefficients that 8 bits a sample cannot have")
}

fn by_symbol(table: &[u8]) -> Vec<Code> {
    let none = Code {
        symbol: 0,
        bits: 0,
        len: 0,
    };
    let mut by_symbol = vec![none; 256];
    for code in codes(table) {
        if let Some(slot) = by_symbol.get_mut(usize::from(code.symbol)) {
            *slot = code;
        }
    }
    by_symbol
}

/// Symbols that stand together in a node, and how often they are needed; `None` for no symbol,
/// which takes the code of all 1-bits that T.81 C.2 keeps free.
type Node = (u64, Vec<Option<u8>>);

/// The shortest code with no code longer than 16 bits, as DHT holds it.
///
/// Packages are merged (Larmore and Hirschberg, 1990): each time a symbol is in one of the chosen
/// packages its code gets one bit longer.
fn table(counts: &Counts) -> Vec<u8> {
    let mut leaves: Vec<Node> = (0_u8..=255)
        .zip(counts)
        .filter(|(_, count)| **count > 0)
        .map(|(symbol, &count)| (count.into(), vec![Some(symbol)]))
        .collect();
    leaves.push((0, vec![None]));
    leaves.sort();
    if leaves.len() == 1 {
        // A table that nobody uses is not written, but one must be there.
        leaves.push((0, vec![Some(0)]));
    }
    let mut list = leaves.clone();
    for _ in 1..LONGEST {
        let (pairs, _) = list.as_chunks::<2>();
        let mut next = leaves.clone();
        next.extend(pairs.iter().map(|[one, other]| {
            let symbols = one.1.iter().chain(&other.1).copied().collect();
            (one.0.saturating_add(other.0), symbols)
        }));
        next.sort_by_key(|(count, _)| *count);
        list = next;
    }
    let chosen = leaves.len().saturating_mul(2).saturating_sub(2);
    let mut lengths = [0_u8; 256];
    for symbol in list
        .iter()
        .take(chosen)
        .flat_map(|(_, symbols)| symbols)
        .flatten()
    {
        if let Some(len) = lengths.get_mut(usize::from(*symbol)) {
            *len = len.saturating_add(1);
        }
    }
    let mut sorted: Vec<(u8, u8)> = lengths.into_iter().zip(0_u8..=255).collect();
    sorted.retain(|(len, _)| *len > 0);
    sorted.sort_unstable();
    let mut table = vec![0; LONGEST];
    for (len, _) in &sorted {
        if let Some(count) = table.get_mut(usize::from(len.saturating_sub(1))) {
            *count = u8::saturating_add(*count, 1);
        }
    }
    table.extend(sorted.iter().map(|(_, symbol)| symbol));
    table
}

#[cfg(test)]
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_no_longer_than_16_bits_and_never_all_ones() {
        // Counts that grow as Fibonacci's numbers make an unlimited code one bit longer each.
        let mut counts = [0; 256];
        let (mut one, mut other) = (1, 1);
        for count in counts.iter_mut().take(40) {
            *count = one;
            (one, other) = (other, one + other);
        }
        let table = table(&counts);
        let codes = codes(&table);
        assert_eq!(codes.len(), 40);
        assert!(codes.iter().all(|code| code.len <= 16));
        assert!(
            codes
                .iter()
                .all(|code| u32::from(code.bits) != (1_u32 << code.len) - 1)
        );
        let share: u32 = codes.iter().map(|code| 1 << (16 - code.len)).sum();
        assert!(share < 1 << 16);
    }

    #[test]
    fn frequent_symbols_get_short_codes() {
        let mut counts = [0; 256];
        (counts[3], counts[7], counts[9]) = (100, 10, 1);
        let lengths: Vec<_> = codes(&table(&counts))
            .iter()
            .map(|c| (c.symbol, c.len))
            .collect();
        assert_eq!(lengths, [(3, 1), (7, 2), (9, 3)]);
    }
}
