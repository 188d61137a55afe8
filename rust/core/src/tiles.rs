//! Where the tiles of a level lie, checked against the file.

use std::sync::Arc;

use crate::error::Error;
use crate::limits::Limits;

/// A piece of the source file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteRange {
    /// First byte, from the start of the file.
    pub offset: u64,
    /// Length; 0 means that the tile is missing.
    pub byte_count: u64,
}

impl ByteRange {
    /// One past the last byte, or `None` if that overflows.
    #[must_use]
    pub fn end(self) -> Option<u64> {
        self.offset.checked_add(self.byte_count)
    }

    /// Its bytes, of those that were read from an offset.
    pub(crate) fn slice(self, offset: u64, bytes: &[u8]) -> Option<&[u8]> {
        let from = usize::try_from(self.offset.checked_sub(offset)?).ok()?;
        let len = usize::try_from(self.byte_count).ok()?;
        bytes.get(from..from.checked_add(len)?)
    }
}

/// Where the files of a slide end, which lie one behind the other; most slides are one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extents(Vec<u64>);

impl Extents {
    /// Takes the ends in their order.
    #[must_use]
    pub fn new(ends: Vec<u64>) -> Self {
        Self(ends)
    }

    /// Where the file ends that has the byte at `offset`; the last one, if none has it.
    fn end_of(&self, offset: u64) -> u64 {
        let file = self.0.partition_point(|&end| end <= offset);
        let end = self.0.get(file).or(self.0.last());
        end.copied().unwrap_or_default()
    }
}

impl From<u64> for Extents {
    /// Of one file of a length.
    fn from(len: u64) -> Self {
        Self(vec![len])
    }
}

/// The tiles of one level in row-major order, every one inside the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TileIndex {
    /// Shared, since a plan needs them as well and there may be millions.
    ranges: Arc<Vec<ByteRange>>,
}

impl TileIndex {
    /// Checks the ranges and takes them.
    ///
    /// # Errors
    ///
    /// [`Error::TileOutsideFile`] for the first tile that is not inside the file,
    /// [`Error::TileOverlapsPrivate`] for the first that shares a byte with `private`,
    /// [`Error::Limit`] for one that no fragment can hold, and [`Error::NoTiles`].
    pub fn new(
        ranges: Vec<ByteRange>,
        private: Vec<ByteRange>,
        extents: impl Into<Extents>,
        limits: &Limits,
    ) -> Result<Self, Error> {
        check_ranges(&ranges, extents)?;
        check_lengths(&ranges, limits)?;
        check_disjoint(&ranges, private)?;
        if ranges.iter().all(|range| range.byte_count == 0) {
            return Err(Error::NoTiles);
        }
        let ranges = Arc::new(ranges);
        Ok(Self { ranges })
    }

    /// The ranges, one for each tile.
    #[must_use]
    pub fn ranges(&self) -> &[ByteRange] {
        &self.ranges
    }

    /// How many tiles the level's grid has, missing ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether the grid is empty; never true for an index that [`TileIndex::new`] made.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The first tile that has data, with its index.
    #[must_use]
    pub fn first_present(&self) -> Option<(u64, ByteRange)> {
        (0..)
            .zip(self.ranges())
            .find(|(_, range)| range.byte_count > 0)
            .map(|(i, range)| (i, *range))
    }
}

/// Checks that every tile lies inside the file, or inside one of a slide's files.
///
/// An offset or length that overflows counts as outside.
///
/// # Errors
///
/// [`Error::TileOutsideFile`] for the first tile that does not.
pub fn check_ranges(ranges: &[ByteRange], extents: impl Into<Extents>) -> Result<(), Error> {
    let extents = extents.into();
    (0..)
        .zip(ranges)
        .try_for_each(|(tile, &range)| check_range(tile, range, &extents))
}

/// Checks that one tile lies inside the file.
pub(crate) fn check_range(tile: u64, range: ByteRange, extents: &Extents) -> Result<(), Error> {
    let file_len = extents.end_of(range.offset);
    if range.end().is_none_or(|end| end > file_len) {
        let ByteRange { offset, byte_count } = range;
        return Err(Error::TileOutsideFile {
            tile,
            offset,
            byte_count,
            file_len,
        });
    }
    Ok(())
}

fn check_lengths(ranges: &[ByteRange], limits: &Limits) -> Result<(), Error> {
    for (tile, range) in ranges.iter().enumerate() {
        if range.byte_count > limits.tile_bytes {
            return Err(Error::Limit {
                what: format!("tile {tile} with {} bytes", range.byte_count),
                name: "tile_bytes",
                limit: limits.tile_bytes,
            });
        }
    }
    Ok(())
}

/// Checks that no tile shares a byte with what must not go out.
pub(crate) fn check_disjoint(ranges: &[ByteRange], private: Vec<ByteRange>) -> Result<(), Error> {
    let private = merge(private);
    for (tile, &range) in (0..).zip(ranges) {
        let end = range.offset.saturating_add(range.byte_count);
        // The merged ranges are sorted and apart, so only the last one that begins before the
        // tile's end can reach into the tile.
        let before = private.partition_point(|hidden| hidden.offset < end);
        let reaches_in = before
            .checked_sub(1)
            .and_then(|last| private.get(last))
            .is_some_and(|hidden| hidden.offset.saturating_add(hidden.byte_count) > range.offset);
        if range.byte_count > 0 && reaches_in {
            return Err(Error::TileOverlapsPrivate {
                tile,
                offset: range.offset,
            });
        }
    }
    Ok(())
}

fn merge(mut ranges: Vec<ByteRange>) -> Vec<ByteRange> {
    ranges.retain(|range| range.byte_count > 0);
    ranges.sort_unstable();
    let mut merged: Vec<ByteRange> = Vec::new();
    for range in ranges {
        let end = range.offset.saturating_add(range.byte_count);
        match merged.last_mut() {
            Some(last) if range.offset <= last.offset.saturating_add(last.byte_count) => {
                last.byte_count = last.byte_count.max(end.saturating_sub(last.offset));
            }
            _ => merged.push(range),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range(offset: u64, byte_count: u64) -> ByteRange {
        ByteRange { offset, byte_count }
    }

    fn index(
        ranges: &[ByteRange],
        private: &[ByteRange],
        file_len: u64,
    ) -> Result<TileIndex, Error> {
        TileIndex::new(
            ranges.to_vec(),
            private.to_vec(),
            file_len,
            &Limits::default(),
        )
    }

    #[test]
    fn offset_that_overflows_is_outside() {
        assert!(matches!(
            check_ranges(&[range(u64::MAX, 2)], 100),
            Err(Error::TileOutsideFile {
                tile: 0,
                offset: u64::MAX,
                byte_count: 2,
                file_len: 100
            })
        ));
    }

    #[test]
    fn tile_that_ends_with_the_file_is_inside() {
        assert!(check_ranges(&[range(90, 10)], 100).is_ok());
        assert!(check_ranges(&[range(90, 11)], 100).is_err());
    }

    #[test]
    fn tile_that_goes_on_in_the_next_file_is_outside() {
        let ends = || Extents::new(vec![100, 100, 250]);
        for (offset, byte_count) in [(0, 100), (100, 150), (249, 1), (100, 0)] {
            assert!(check_ranges(&[range(offset, byte_count)], ends()).is_ok());
        }
        for (offset, byte_count) in [(99, 2), (0, 250), (249, 2), (250, 1), (251, 0)] {
            assert!(matches!(
                check_ranges(&[range(offset, byte_count)], ends()),
                Err(Error::TileOutsideFile { tile: 0, .. })
            ));
        }
    }

    #[test]
    fn a_level_without_data_is_refused() {
        assert!(matches!(
            index(&[range(0, 0)], &[], 100),
            Err(Error::NoTiles)
        ));
        assert!(matches!(index(&[], &[], 100), Err(Error::NoTiles)));
    }

    #[test]
    fn a_tile_longer_than_a_fragment_names_the_limit() {
        let long = Limits::default().tile_bytes + 1;
        let error = index(&[range(0, long)], &[], u64::MAX).unwrap_err();
        assert!(error.to_string().contains("tile_bytes"), "{error}");
    }

    #[test]
    fn a_long_private_range_is_seen_behind_a_short_one_inside_it() {
        let private = [range(10, 80), range(12, 2)];
        assert!(matches!(
            index(&[range(50, 5)], &private, 100),
            Err(Error::TileOverlapsPrivate {
                tile: 0,
                offset: 50
            })
        ));
    }

    proptest! {
        #[test]
        fn a_tile_is_refused_exactly_when_it_shares_a_byte(
            tile in (0_u64..60, 1_u64..20),
            private in proptest::collection::vec((0_u64..60, 0_u64..20), 0..6),
        ) {
            let shares = private.iter().any(|&(offset, count)| {
                let end = tile.0.saturating_add(tile.1);
                (offset..offset.saturating_add(count)).any(|byte| (tile.0..end).contains(&byte))
            });
            let private: Vec<_> = private.iter().map(|&(o, c)| range(o, c)).collect();
            prop_assert_eq!(index(&[range(tile.0, tile.1)], &private, 100).is_err(), shares);
        }
    }
}
