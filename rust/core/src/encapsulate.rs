//! Fragments, offset tables and delimiters of encapsulated Pixel Data (PS3.5 A.4).

use std::io::{self, Write};

use crate::error::Error;

/// Item tag and length of a fragment, in front of its bytes.
pub const ITEM_HEADER_LEN: u64 = 8;

/// Sequence Delimitation Item (PS3.5 Table A.4-1).
pub const SEQUENCE_DELIMITER: [u8; 8] = [0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0];

/// Longest Pixel Data that the 32-bit offsets of a Basic Offset Table are used for.
///
/// 64 KiB short of what they reach, so that no reader's rounding of sums matters.
pub const BASIC_OFFSET_TABLE_REACH: u64 = (1 << 32) - (1 << 16);

/// Which of the two offset tables an instance has; never both (PS3.5 A.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetTable {
    /// 32-bit offsets in the first item.
    Basic,
    /// (7FE0,0001) and (7FE0,0002) with 64-bit offsets and lengths, and an empty first item.
    Extended,
}

impl OffsetTable {
    /// The table for fragments of this total length, item headers included.
    #[must_use]
    pub fn for_byte_count(fragments: u64) -> Self {
        if fragments < BASIC_OFFSET_TABLE_REACH {
            Self::Basic
        } else {
            Self::Extended
        }
    }
}

/// Tag and length of one item.
///
/// # Errors
///
/// [`Error::Verify`] if `len` does not fit a fragment; lengths were limited long before.
pub fn item_header(len: u64) -> Result<[u8; 8], Error> {
    // 0xFFFF_FFFF means "undefined length", which a fragment may not have; a frame is always
    // even, so it can never be that value.
    let len = u32::try_from(len).map_err(|_| Error::Verify {
        what: format!("an item of {len} bytes"),
    })?;
    let [a, b, c, d] = len.to_le_bytes();
    Ok([0xFE, 0xFF, 0x00, 0xE0, a, b, c, d])
}

/// Writes everything between the data set and the first fragment.
///
/// `lengths` yields the length of each frame as it is stored, and is walked up to three times.
///
/// # Errors
///
/// [`Error::Io`], or [`Error::Limit`] if a table is longer than its element can be.
pub fn write_pixel_data_start<I>(
    out: &mut impl Write,
    lengths: impl Fn() -> I,
    table: OffsetTable,
) -> Result<(), Error>
where
    I: Iterator<Item = u64>,
{
    let offsets = || {
        lengths().scan(0_u64, |next, len| {
            let offset = *next;
            *next = next.saturating_add(ITEM_HEADER_LEN).saturating_add(len);
            Some(offset)
        })
    };
    let frames = u64::try_from(lengths().count()).unwrap_or(u64::MAX);
    if table == OffsetTable::Extended {
        write_extended(out, 0x0001, frames, offsets())?;
        write_extended(out, 0x0002, frames, lengths())?;
    }
    // (7FE0,0010) OB with undefined length.
    out.write_all(b"\xE0\x7F\x10\x00OB\0\0\xFF\xFF\xFF\xFF")?;
    if table == OffsetTable::Extended {
        out.write_all(&item_header(0)?)?;
        return Ok(());
    }
    out.write_all(&item_header(frames.saturating_mul(4))?)?;
    for offset in offsets() {
        let offset = u32::try_from(offset).map_err(|_| too_far(offset))?;
        out.write_all(&offset.to_le_bytes())?;
    }
    Ok(())
}

fn too_far(offset: u64) -> Error {
    Error::Verify {
        what: format!("offset {offset} does not fit a Basic Offset Table"),
    }
}

/// Writes Extended Offset Table (element 0001) or its Lengths (0002), VR OV.
fn write_extended(
    out: &mut impl Write,
    element: u16,
    frames: u64,
    values: impl Iterator<Item = u64>,
) -> Result<(), Error> {
    let len = frames
        .checked_mul(8)
        .and_then(|len| u32::try_from(len).ok())
        .filter(|&len| len != u32::MAX)
        .ok_or_else(|| Error::Limit {
            what: format!("an Extended Offset Table of {frames} frames"),
            name: "element_bytes",
            limit: u64::from(u32::MAX),
        })?;
    out.write_all(&[0xE0, 0x7F])?;
    out.write_all(&element.to_le_bytes())?;
    out.write_all(b"OV\0\0")?;
    out.write_all(&len.to_le_bytes())?;
    values
        .map(u64::to_le_bytes)
        .try_for_each(|value| out.write_all(&value))
        .map_err(io_error)
}

fn io_error(error: io::Error) -> Error {
    Error::Io(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(lengths: &[u64], table: OffsetTable) -> Vec<u8> {
        let mut out = Vec::new();
        write_pixel_data_start(&mut out, || lengths.iter().copied(), table).unwrap();
        out
    }

    #[test]
    fn basic_offset_table_counts_item_headers() {
        let expected = [
            &[0xE0, 0x7F, 0x10, 0x00][..], // (7FE0,0010)
            b"OB\0\0",                     // VR and reserved
            &[0xFF, 0xFF, 0xFF, 0xFF],     // undefined length
            &[0xFE, 0xFF, 0x00, 0xE0],     // item
            &[12, 0, 0, 0],                // three offsets
            &[0, 0, 0, 0],                 // the first frame
            &[18, 0, 0, 0],                // behind 8 + 10
            &[46, 0, 0, 0],                // behind 18 + 8 + 20
        ]
        .concat();
        assert_eq!(start(&[10, 20, 4], OffsetTable::Basic), expected);
    }

    #[test]
    fn extended_offset_table_comes_with_lengths_and_an_empty_item() {
        let expected = [
            &[0xE0, 0x7F, 0x01, 0x00][..], // (7FE0,0001)
            b"OV\0\0",
            &[16, 0, 0, 0],
            &0_u64.to_le_bytes(),
            &18_u64.to_le_bytes(),
            &[0xE0, 0x7F, 0x02, 0x00], // (7FE0,0002)
            b"OV\0\0",
            &[16, 0, 0, 0],
            &10_u64.to_le_bytes(),
            &20_u64.to_le_bytes(),
            &[0xE0, 0x7F, 0x10, 0x00], // (7FE0,0010)
            b"OB\0\0",
            &[0xFF, 0xFF, 0xFF, 0xFF],
            &[0xFE, 0xFF, 0x00, 0xE0], // an empty item
            &[0, 0, 0, 0],
        ]
        .concat();
        assert_eq!(start(&[10, 20], OffsetTable::Extended), expected);
    }

    #[test]
    fn basic_offsets_end_below_four_gib() {
        assert_eq!(
            OffsetTable::for_byte_count(BASIC_OFFSET_TABLE_REACH - 1),
            OffsetTable::Basic
        );
        assert_eq!(
            OffsetTable::for_byte_count(BASIC_OFFSET_TABLE_REACH),
            OffsetTable::Extended
        );
        let far = [1 << 31, 1 << 31, 2];
        let mut out = Vec::new();
        assert!(
            write_pixel_data_start(&mut out, || far.iter().copied(), OffsetTable::Basic).is_err()
        );
    }

    #[test]
    fn item_of_four_gib_is_refused() {
        assert!(item_header(1 << 32).is_err());
    }
}
