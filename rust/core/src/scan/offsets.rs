//! The offset tables of an instance (PS3.5 A.4, PS3.3 C.7.6.3.1.8).

/// Offset tables, compared with the items that are there as they come: there may be millions.
pub(super) struct Tables<'a> {
    basic: &'a [u8],
    extended: Option<(&'a [u8], &'a [u8])>,
    /// Whether all entries that were looked at are right.
    pub(super) are_right: bool,
}

impl<'a> Tables<'a> {
    pub(super) fn new(basic: &'a [u8], extended: Option<(&'a [u8], &'a [u8])>) -> Self {
        Self {
            basic,
            extended,
            are_right: true,
        }
    }

    /// Where every so many frames begin in the file, if the tables are right; where the first does
    /// if there are none, or if they plainly are not.
    pub(super) fn starts(&self, first_item: u64, step: usize) -> Vec<u64> {
        let basic = self.basic.as_chunks().0.iter().step_by(step);
        let extended = self.extended.map_or(&[][..], |(offsets, _)| offsets);
        let extended = extended.as_chunks().0.iter().step_by(step);
        let offsets = basic
            .map(|entry| u64::from(u32::from_le_bytes(*entry)))
            .chain(extended.map(|entry| u64::from_le_bytes(*entry)));
        let starts: Vec<u64> = offsets
            .map(|offset| offset.saturating_add(first_item))
            .collect();
        if starts.first() == Some(&first_item) && starts.is_sorted() {
            starts
        } else {
            vec![first_item]
        }
    }

    /// Whether the entries of a frame say where it is, and how long.
    pub(super) fn are_right_for(&self, frame: usize, offset: u64, len: u64) -> bool {
        let basic = entry(self.basic, frame).map(u32::from_le_bytes);
        let is_basic_right = self.basic.is_empty() || basic.map(u64::from) == Some(offset);
        is_basic_right
            && self.extended.is_none_or(|(offsets, lengths)| {
                entry(offsets, frame).map(u64::from_le_bytes) == Some(offset)
                    && entry(lengths, frame).map(u64::from_le_bytes) == Some(len)
            })
    }

    /// What is wrong with them, now that there are no more than so many frames.
    pub(super) fn problems(&self, frames: u64) -> impl Iterator<Item = &'static str> {
        let is_long = |table: &[u8], entry: u64| {
            u64::try_from(table.len()).is_ok_and(|len| len == frames.saturating_mul(entry))
        };
        let is_basic = !self.basic.is_empty();
        let is_basic_right = self.are_right && is_long(self.basic, 4);
        let is_extended_right = self.extended.is_none_or(|(offsets, lengths)| {
            self.are_right && is_long(offsets, 8) && is_long(lengths, 8)
        });
        [
            (is_basic && self.extended.is_some()).then_some("two offset tables"),
            (is_basic && !is_basic_right).then_some("the Basic Offset Table is not what is there"),
            (!is_extended_right).then_some("the Extended Offset Table is not what is there"),
        ]
        .into_iter()
        .flatten()
    }
}

fn entry<const N: usize>(table: &[u8], index: usize) -> Option<[u8; N]> {
    table.get(index.checked_mul(N)?..)?.first_chunk().copied()
}
