//! Entropy-coded data as bits: stuffed bytes taken out, put back in, and runs of bits moved.

use super::marker;

/// Bytes of zeros behind cleared data, so that a reader may load eight bytes at its very end.
const GUARD: usize = 8;

/// Entropy-coded bits without stuffed bytes (T.81 F.1.2.3).
#[derive(Debug, Default)]
pub(crate) struct Bits {
    bytes: Vec<u8>,
    len: usize,
}

impl Bits {
    /// Takes the data between two markers; the storage of earlier data is used again.
    pub(crate) fn fill(&mut self, stuffed: &[u8]) {
        self.bytes.clear();
        let mut rest = stuffed;
        while let Some(at) = memchr::memchr(0xFF, rest) {
            let (clean, marked) = rest
                .split_at_checked(at.saturating_add(1))
                .unwrap_or_default();
            self.bytes.extend_from_slice(clean);
            rest = marked.strip_prefix(&[0]).unwrap_or(marked);
        }
        self.bytes.extend_from_slice(rest);
        self.len = self.bytes.len().saturating_mul(8);
        self.bytes.resize(self.bytes.len().saturating_add(GUARD), 0);
    }

    /// Number of bits.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// A byte of the data, 0 behind the end.
    pub(crate) fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    /// The bits from `at` on, the first one highest; at least 57, zeros behind the end.
    #[inline]
    pub(crate) fn load(&self, at: usize) -> u64 {
        let word = self
            .bytes
            .get(at >> 3..)
            .and_then(<[u8]>::first_chunk)
            .map_or(0, |eight| u64::from_be_bytes(*eight));
        word << (at & 7)
    }
}

/// Collects bits, the first one highest in its byte.
#[derive(Debug, Default)]
pub(crate) struct BitWriter {
    out: Vec<u8>,
    /// Bits that do not fill a byte yet, at the low end.
    pending: u64,
    pending_len: u32,
}

impl BitWriter {
    /// Adds the lowest `len` bits of `value`, at most 32.
    #[inline]
    pub(crate) fn push(&mut self, value: u32, len: u32) {
        let kept = u64::from(value) & (1_u64 << len).wrapping_sub(1);
        self.pending = (self.pending << len) | kept;
        self.pending_len = self.pending_len.wrapping_add(len);
        if self.pending_len >= 32 {
            self.pending_len = self.pending_len.wrapping_sub(32);
            let [.., a, b, c, d] = (self.pending >> self.pending_len).to_be_bytes();
            self.out.extend_from_slice(&[a, b, c, d]);
        }
    }

    /// Adds the bits `start..end` of cleared data.
    pub(crate) fn copy(&mut self, bits: &Bits, start: usize, end: usize) {
        let mut at = start;
        let mut left = end.saturating_sub(start);
        while left >= 32 {
            let [a, b, c, d, ..] = bits.load(at).to_be_bytes();
            self.push(u32::from_be_bytes([a, b, c, d]), 32);
            at = at.wrapping_add(32);
            left = left.wrapping_sub(32);
        }
        if left > 0 {
            let [a, b, c, d, ..] = bits.load(at).to_be_bytes();
            let len = u32::try_from(left).unwrap_or(0);
            let value = u32::from_be_bytes([a, b, c, d]);
            self.push(
                value.checked_shr(32_u32.wrapping_sub(len)).unwrap_or(0),
                len,
            );
        }
    }

    /// Fills the last byte with 1-bits and returns the data with stuffed bytes (T.81 F.1.2.3).
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let short = 8_u32.wrapping_sub(self.pending_len & 7) & 7;
        self.push(u32::MAX, short);
        while let Some(left) = self.pending_len.checked_sub(8) {
            let [.., byte] = (self.pending >> left).to_be_bytes();
            self.out.push(byte);
            self.pending_len = left;
        }
        stuffed(&self.out)
    }
}

fn stuffed(clean: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(clean.len().saturating_add(clean.len() / 128));
    let mut rest = clean;
    while let Some(at) = memchr::memchr(0xFF, rest) {
        let (before, after) = rest
            .split_at_checked(at.saturating_add(1))
            .unwrap_or_default();
        out.extend_from_slice(before);
        out.push(0);
        rest = after;
    }
    out.extend_from_slice(rest);
    out
}

/// One restart interval: the data between two `RSTn`, and what is behind it.
pub(crate) struct Interval<'a> {
    pub(crate) data: &'a [u8],
    /// Second byte of the marker behind it, and the bytes behind that; `None` at the end of all.
    pub(crate) next: Option<(u8, &'a [u8])>,
}

/// Takes the first restart interval from entropy-coded data.
pub(crate) fn split_interval(bytes: &[u8]) -> Interval<'_> {
    let mut at = 0_usize;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr(0xFF, rest)) {
        let marker_at = at.saturating_add(found);
        let behind = marker_at.saturating_add(1);
        match bytes.get(behind) {
            Some(0) => at = behind.saturating_add(1),
            // Fill bytes before a marker (T.81 B.1.1.2).
            Some(0xFF) => at = behind,
            Some(&code) => {
                let mut data = bytes.get(..marker_at).unwrap_or_default();
                while let Some(without_fill) = data.strip_suffix(&[0xFF]) {
                    data = without_fill;
                }
                let rest = bytes.get(behind.saturating_add(1)..).unwrap_or_default();
                return Interval {
                    data,
                    next: Some((code, rest)),
                };
            }
            None => break,
        }
    }
    Interval {
        data: bytes,
        next: None,
    }
}

/// Whether a byte behind `FF` is one of the eight restart markers.
pub(crate) fn is_restart(code: u8) -> bool {
    (marker::RST0..=marker::RST7).contains(&code)
}
