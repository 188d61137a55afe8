//! Inflates streams to learn where they end; what comes out is counted and thrown away.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_PARSE_ZLIB_HEADER;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

/// Bytes that are held of what comes out: twice what a stream refers back to (RFC 1951 2).
const WINDOW: usize = 1 << 16;

/// What stands around a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrapping {
    /// Nothing: it is what RFC 1951 says.
    Bare,
    /// The header and the checksum of RFC 1950, which is compared.
    Zlib,
}

/// What came of a stream that is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Inflated {
    /// Bytes that it takes, what is around it included.
    pub(crate) taken: usize,
    /// Bytes that came out.
    pub(crate) made: u64,
}

/// Inflates the stream that `bytes` begin with, to `most` bytes at most.
///
/// Returns `None` if it is broken or cut off, or if more comes out.
pub(crate) fn inflate(bytes: &[u8], wrapping: Wrapping, most: u64) -> Option<Inflated> {
    let flags = match wrapping {
        Wrapping::Bare => 0,
        Wrapping::Zlib => TINFL_FLAG_PARSE_ZLIB_HEADER,
    };
    let mut inflater = Box::<DecompressorOxide>::default();
    let mut window = vec![0; WINDOW];
    let (mut taken, mut made, mut at) = (0_usize, 0_u64, 0_usize);
    loop {
        let rest = bytes.get(taken..)?;
        let (status, read, written) = decompress(&mut inflater, rest, &mut window, at, flags);
        taken = taken.checked_add(read)?;
        made = made.checked_add(u64::try_from(written).ok()?)?;
        if made > most {
            return None;
        }
        at = at.wrapping_add(written) % WINDOW;
        match status {
            TINFLStatus::Done => return Some(Inflated { taken, made }),
            TINFLStatus::HasMoreOutput => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stored block of RFC 1951 3.2.4 that is the last.
    const STORED: [u8; 8] = [1, 3, 0, 0xFC, 0xFF, b'a', b'b', b'c'];

    #[test]
    fn a_stream_ends_where_its_last_block_does() {
        let bytes = [&STORED[..], b"behind"].concat();
        let inflated = Inflated { taken: 8, made: 3 };
        assert_eq!(inflate(&bytes, Wrapping::Bare, 3), Some(inflated));
        assert_eq!(inflate(&bytes, Wrapping::Bare, 2), None);
    }

    #[test]
    fn every_cut_is_no_stream() {
        for len in 0..STORED.len() {
            assert_eq!(inflate(&STORED[..len], Wrapping::Bare, 99), None);
        }
    }

    #[test]
    fn checksum_of_a_wrapped_stream_counts() {
        // 1 + 'a' and so on, modulo 65521 (RFC 1950 9).
        let good = [&[0x78, 0x01], &STORED[..], &[0x02, 0x4D, 0x01, 0x27]].concat();
        let inflated = Inflated { taken: 14, made: 3 };
        assert_eq!(inflate(&good, Wrapping::Zlib, 3), Some(inflated));
        let mut bad = good.clone();
        bad[13] ^= 1;
        assert_eq!(inflate(&bad, Wrapping::Zlib, 3), None);
    }
}
