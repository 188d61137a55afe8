//! The quantised coefficients of a whole tile or frame, block by block.

use super::{Component, Facts};
use crate::error::StreamError;

/// Quantised coefficients of a block in zigzag order, the first one not a difference.
pub(crate) type Block = [i16; 64];

/// Which coefficients of a block are not zero: bit n is that of coefficient n.
///
/// Most are zero, and who walks over the others only is much faster.
#[inline]
pub(crate) fn nonzero(block: &Block) -> u64 {
    // Eight at a time, each with its own bit, is what a compiler knows how to do at once.
    const BITS: [u16; 8] = [1, 2, 4, 8, 16, 32, 64, 128];
    let (eights, _) = block.as_chunks::<8>();
    eights.iter().rev().fold(0, |mask, eight| {
        let bits = eight.iter().zip(BITS).fold(0, |bits, (&coefficient, bit)| {
            bits | if coefficient == 0 { 0 } else { bit }
        });
        mask << 8 | u64::from(bits)
    })
}

/// All blocks of one component, row by row, in whole MCUs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plane {
    pub(crate) across: usize,
    blocks: Vec<Block>,
    /// Quantisation steps in zigzag order.
    pub(crate) steps: Vec<u8>,
    /// Blocks of an MCU, across and down.
    pub(crate) factors: (usize, usize),
}

impl Plane {
    fn index(&self, x: usize, y: usize) -> Option<usize> {
        let row = y.checked_mul(self.across)?;
        (x < self.across).then(|| row.checked_add(x))?
    }

    pub(crate) fn get(&self, x: usize, y: usize) -> Option<&Block> {
        self.blocks.get(self.index(x, y)?)
    }

    pub(crate) fn get_mut(&mut self, x: usize, y: usize) -> Option<&mut Block> {
        let index = self.index(x, y)?;
        self.blocks.get_mut(index)
    }

    /// Where the blocks of an MCU are, in their order.
    pub(crate) fn places(
        &self,
        x: usize,
        y: usize,
    ) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (h, v) = self.factors;
        let (left, top) = (x.saturating_mul(h), y.saturating_mul(v));
        let rows = top..top.saturating_add(v);
        rows.flat_map(move |row| (left..left.saturating_add(h)).map(move |column| (column, row)))
    }

    pub(crate) fn down(&self) -> usize {
        self.blocks.len().checked_div(self.across).unwrap_or(0)
    }

    /// Copies a rectangle of blocks, which must be inside both.
    fn copy(
        &mut self,
        to: (usize, usize),
        other: &Self,
        from: (usize, usize),
        size: (usize, usize),
    ) {
        for row in 0..size.1 {
            let start = other.index(from.0, from.1.saturating_add(row));
            let target = self.index(to.0, to.1.saturating_add(row));
            let (Some(start), Some(target)) = (start, target) else {
                return;
            };
            let source = other.blocks.get(start..start.saturating_add(size.0));
            let blocks = self.blocks.get_mut(target..target.saturating_add(size.0));
            if let (Some(source), Some(blocks)) = (source, blocks) {
                blocks.copy_from_slice(source);
            }
        }
    }

    /// Gives blocks that are no picture the DC beside or above them.
    pub(crate) fn extend(&mut self, across: usize, down: usize) {
        for y in 0..self.down() {
            for x in 0..self.across {
                if x < across && y < down {
                    continue;
                }
                let beside = if y < down {
                    self.get(x.wrapping_sub(1), y)
                } else {
                    self.get(x, y.wrapping_sub(1))
                };
                let dc = beside.and_then(|block| block.first().copied());
                if let Some(block) = self.get_mut(x, y) {
                    *block = [0; 64];
                    if let (Some(first), Some(dc)) = (block.first_mut(), dc) {
                        *first = dc;
                    }
                }
            }
        }
    }
}

/// The coefficients of a tile or frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blocks {
    pub(crate) planes: Vec<Plane>,
    /// MCUs across and down.
    pub(crate) mcus: (usize, usize),
}

/// Blocks of an MCU that a component has, across and down.
fn factors(component: Component, is_single: bool) -> (usize, usize) {
    if is_single {
        // A scan of one component is not interleaved (T.81 A.2.2).
        (1, 1)
    } else {
        (component.horizontal.into(), component.vertical.into())
    }
}

impl Blocks {
    /// Blocks without a picture.
    ///
    /// # Errors
    ///
    /// [`StreamError::Limit`] if they take more than `most` bytes.
    pub(crate) fn new(facts: &Facts, mcus: (u32, u32), most: u64) -> Result<Self, StreamError> {
        let too_large = StreamError::Limit {
            what: "its coefficients",
            name: "coefficient_bytes",
            limit: most,
        };
        let (across, down) = (to_usize(mcus.0), to_usize(mcus.1));
        let is_single = facts.components.len() == 1;
        let mut left = usize::try_from(most).unwrap_or(usize::MAX);
        let mut planes = Vec::new();
        for component in &facts.components {
            let factors = factors(*component, is_single);
            let (width, length) = (
                across.saturating_mul(factors.0),
                down.saturating_mul(factors.1),
            );
            let count = width.saturating_mul(length);
            left = left
                .checked_sub(count.saturating_mul(size_of::<Block>()))
                .ok_or(too_large.clone())?;
            planes.push(Plane {
                across: width,
                blocks: vec![[0; 64]; count],
                steps: Vec::new(),
                factors,
            });
        }
        Ok(Self {
            planes,
            mcus: (across, down),
        })
    }

    /// Copies a rectangle of MCUs of another picture of the same sampling and quantisation.
    ///
    /// # Errors
    ///
    /// [`StreamError::Unsupported`] if it has another quantisation.
    pub(crate) fn copy(
        &mut self,
        to: (usize, usize),
        other: &Self,
        from: (usize, usize),
        size: (usize, usize),
    ) -> Result<(), StreamError> {
        for (plane, theirs) in self.planes.iter_mut().zip(&other.planes) {
            if plane.steps.is_empty() {
                plane.steps.clone_from(&theirs.steps);
            }
            if plane.steps != theirs.steps {
                return Err(StreamError::Unsupported(
                    "tiles of different quantisation that share a frame",
                ));
            }
            let (h, v) = plane.factors;
            let scaled = |(x, y): (usize, usize)| (x.saturating_mul(h), y.saturating_mul(v));
            plane.copy(scaled(to), theirs, scaled(from), scaled(size));
        }
        Ok(())
    }

    /// Gives MCUs that are no picture, right and below, the DC beside or above them.
    pub(crate) fn extend(&mut self, across: usize, down: usize) {
        for plane in &mut self.planes {
            let (h, v) = plane.factors;
            plane.extend(across.saturating_mul(h), down.saturating_mul(v));
        }
    }

    /// Calls `visit` with each block in the order of an interleaved scan, and its component.
    pub(crate) fn try_for_each<E>(
        &self,
        mut visit: impl FnMut(usize, &Block) -> Result<(), E>,
    ) -> Result<(), E> {
        for y in 0..self.mcus.1 {
            for x in 0..self.mcus.0 {
                for (component, plane) in self.planes.iter().enumerate() {
                    for (column, row) in plane.places(x, y) {
                        if let Some(block) = plane.get(column, row) {
                            visit(component, block)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

pub(crate) fn to_usize(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
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
    fn each_coefficient_that_is_not_zero_has_its_bit() {
        for at in 0..64 {
            for value in [1, -1, i16::MAX, i16::MIN, 256] {
                let mut block = [0; 64];
                block[at] = value;
                assert_eq!(nonzero(&block), 1 << at);
            }
        }
        assert_eq!(nonzero(&[0; 64]), 0);
        assert_eq!(nonzero(&[7; 64]), u64::MAX);
    }
}
