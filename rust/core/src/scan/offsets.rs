//! The offset tables of an instance (PS3.5 A.4, PS3.3 C.7.6.3.1.8).

use std::slice;

/// Offset tables, compared with the items that are there as they come: there may be millions.
pub(super) struct Tables<'a> {
    basic: &'a [u8],
    extended: Option<(&'a [u8], &'a [u8])>,
    next_basic: slice::Iter<'a, [u8; 4]>,
    next_offset: slice::Iter<'a, [u8; 8]>,
    next_length: slice::Iter<'a, [u8; 8]>,
    is_basic_right: bool,
    is_extended_right: bool,
}

impl<'a> Tables<'a> {
    pub(super) fn new(basic: &'a [u8], extended: Option<(&'a [u8], &'a [u8])>) -> Self {
        let (offsets, lengths) = extended.unwrap_or_default();
        Self {
            basic,
            extended,
            next_basic: basic.as_chunks().0.iter(),
            next_offset: offsets.as_chunks().0.iter(),
            next_length: lengths.as_chunks().0.iter(),
            is_basic_right: true,
            is_extended_right: true,
        }
    }

    pub(super) fn next(&mut self, offset: u64, len: u64) {
        let basic = self.next_basic.next().copied().map(u32::from_le_bytes);
        self.is_basic_right &= basic.map(u64::from) == Some(offset);
        let extended = (
            self.next_offset.next().copied().map(u64::from_le_bytes),
            self.next_length.next().copied().map(u64::from_le_bytes),
        );
        self.is_extended_right &= extended == (Some(offset), Some(len));
    }

    /// What is wrong with them, now that there are no more than so many frames.
    pub(super) fn problems(&self, frames: u64) -> impl Iterator<Item = &'static str> {
        let is_long = |table: &[u8], entry: u64| {
            u64::try_from(table.len()).is_ok_and(|len| len == frames.saturating_mul(entry))
        };
        let is_basic_right = self.basic.is_empty() || self.is_basic_right && is_long(self.basic, 4);
        let is_extended_wrong = self.extended.is_some_and(|(offsets, lengths)| {
            !(self.is_extended_right && is_long(offsets, 8) && is_long(lengths, 8))
        });
        let are_two = self.extended.is_some() && !self.basic.is_empty();
        [
            (!is_basic_right).then_some("the Basic Offset Table is not what is there"),
            are_two.then_some("two offset tables"),
            is_extended_wrong.then_some("the Extended Offset Table is not what is there"),
        ]
        .into_iter()
        .flatten()
    }
}
