//! Walks a compressed frame: what of it is entropy-coded, and what must not be in it.
//!
//! Written from T.81 and T.800 alone; it shares nothing with the walkers of [`crate::jpeg`] and
//! [`crate::jp2k`], so that it does not share their mistakes.

#![allow(
    clippy::single_range_in_vec_init,
    reason = "lists of one range are meant"
)]

use std::ops::Range;

use super::codestream::jpeg2000;

/// Why a frame does not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It holds what it must not, or is broken.
    Wrong(&'static str),
    /// It is of a kind that is not known here.
    Unknown(&'static str),
}

use Fault::{Unknown, Wrong};

/// Returns the entropy-coded ranges of a frame.
pub(super) fn walk(frame: &[u8]) -> Result<Vec<Range<usize>>, Fault> {
    match frame {
        [0xFF, 0xD8, 0xFF, 0xF7, ..] => Err(Unknown("a JPEG-LS stream")),
        [0xFF, 0xD8, ..] => jpeg(frame),
        [0xFF, 0x4F, 0xFF, 0x51, ..] => jpeg2000(frame),
        _ => Err(Unknown("a stream that is neither JPEG nor JPEG 2000")),
    }
}

/// Bytes that are taken from the front.
pub(super) struct Bytes<'a> {
    pub(super) all: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Bytes<'a> {
    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], Fault> {
        let end = self.at.checked_add(len).ok_or(CUT)?;
        let taken = self.all.get(self.at..end).ok_or(CUT)?;
        self.at = end;
        Ok(taken)
    }

    pub(super) fn number(&mut self, len: usize) -> Result<usize, Fault> {
        let bytes = self.take(len)?;
        Ok(bytes
            .iter()
            .fold(0, |value, &byte| value << 8 | usize::from(byte)))
    }

    pub(super) fn marker(&mut self) -> Result<u8, Fault> {
        match self.take(2)? {
            [0xFF, marker] => Ok(*marker),
            _ => Err(Wrong("bytes between the segments of a frame")),
        }
    }

    /// The contents of a segment, its length taken first.
    pub(super) fn segment(&mut self) -> Result<&'a [u8], Fault> {
        let len = self.number(2)?;
        self.take(len.checked_sub(2).ok_or(CUT)?)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.at >= self.all.len()
    }
}

pub(super) const CUT: Fault = Wrong("a frame whose segments do not fit into it");
pub(super) const TABLES: Fault =
    Wrong("a segment of a frame whose length is not that of its contents");
const IDLE: Fault = Wrong("a table in a frame that no component uses");

/// Tables that are there, and those that are asked for, by number.
#[derive(Default)]
struct Used {
    there: Vec<u8>,
    asked: Vec<u8>,
}

impl Used {
    fn define(&mut self, id: u8) -> Result<(), Fault> {
        if self.there.contains(&id) {
            return Err(Wrong("a table in a frame that another one replaces"));
        }
        self.there.push(id);
        Ok(())
    }

    fn check(&self) -> Result<(), Fault> {
        if self.there.iter().all(|id| self.asked.contains(id)) {
            Ok(())
        } else {
            Err(IDLE)
        }
    }
}

/// Walks a JPEG of one scan (T.81 B.2) with no more in it than its decoder needs.
fn jpeg(frame: &[u8]) -> Result<Vec<Range<usize>>, Fault> {
    let mut bytes = Bytes { all: frame, at: 2 };
    let (mut quantisation, mut huffman) = (Used::default(), Used::default());
    let mut components = None;
    loop {
        let marker = bytes.marker()?;
        match marker {
            0xDB => quantisation_tables(bytes.segment()?, &mut quantisation)?,
            0xC4 => huffman_tables(bytes.segment()?, &mut huffman)?,
            0xC0 | 0xC1 if components.is_none() => {
                components = Some(frame_header(bytes.segment()?, &mut quantisation)?);
            }
            0xC2 | 0xC3 | 0xC5..=0xC7 | 0xC9..=0xCF => {
                return Err(Unknown("a JPEG that is not sequential with Huffman codes"));
            }
            0xDD => {
                if bytes.segment()?.len() != 2 {
                    return Err(TABLES);
                }
            }
            0xEE => adobe(bytes.segment()?)?,
            0xDA => {
                scan_header(bytes.segment()?, components, &mut huffman)?;
                break;
            }
            0xE0..=0xEF => return Err(Wrong("an application segment in a frame")),
            0xFE => return Err(Wrong("a comment in a frame")),
            _ => return Err(Wrong("a segment in a frame that no decoder needs")),
        }
    }
    quantisation.check()?;
    huffman.check()?;
    let start = bytes.at;
    let scan = frame.get(start..).unwrap_or_default();
    let end = memchr::memchr_iter(0xFF, scan)
        .find(|&at| !matches!(scan.get(at.saturating_add(1)), Some(0 | 0xD0..=0xD7)))
        .ok_or(CUT)?;
    end_of_frame(scan.get(end..).unwrap_or_default())?;
    Ok(vec![start..start.saturating_add(end)])
}

fn end_of_frame(rest: &[u8]) -> Result<(), Fault> {
    match rest {
        [0xFF, 0xD9] | [0xFF, 0xD9, 0x00] => Ok(()),
        [0xFF, 0xD9, ..] => Err(Wrong("bytes behind the end marker of a frame")),
        _ => Err(Wrong(
            "a marker in the scan of a frame that does not end it",
        )),
    }
}

/// DQT (T.81 B.2.4.1): each table 64 values of one byte or two.
fn quantisation_tables(segment: &[u8], used: &mut Used) -> Result<(), Fault> {
    let mut bytes = Bytes {
        all: segment,
        at: 0,
    };
    while !bytes.is_empty() {
        let [head] = *bytes.take(1)? else {
            return Err(CUT);
        };
        let values = match head >> 4 {
            0 => 64,
            1 => 128,
            _ => return Err(TABLES),
        };
        bytes.take(values)?;
        used.define(head & 15)?;
    }
    Ok(())
}

/// DHT (T.81 B.2.4.2): sixteen counts, then as many symbols.
fn huffman_tables(segment: &[u8], used: &mut Used) -> Result<(), Fault> {
    let mut bytes = Bytes {
        all: segment,
        at: 0,
    };
    while !bytes.is_empty() {
        let [head] = *bytes.take(1)? else {
            return Err(CUT);
        };
        let counts = bytes.take(16)?;
        let symbols = counts.iter().map(|&count| usize::from(count)).sum();
        let symbols = bytes.take(symbols)?;
        let mut seen = [false; 256];
        for &symbol in symbols {
            let seen = seen.get_mut(usize::from(symbol));
            if seen.is_none_or(|seen| std::mem::replace(seen, true)) {
                return Err(Wrong("a Huffman table in a frame with a symbol twice"));
            }
        }
        used.define(head)?;
    }
    Ok(())
}

/// SOF (T.81 B.2.2); returns the number of components.
fn frame_header(segment: &[u8], used: &mut Used) -> Result<u8, Fault> {
    let [_, _, _, _, _, count, components @ ..] = segment else {
        return Err(CUT);
    };
    let (components, rest) = components.as_chunks::<3>();
    if !rest.is_empty() || components.len() != usize::from(*count) {
        return Err(TABLES);
    }
    used.asked
        .extend(components.iter().map(|[_, _, table]| *table));
    Ok(*count)
}

/// SOS (T.81 B.2.3): all components, all coefficients, in one scan.
fn scan_header(segment: &[u8], components: Option<u8>, used: &mut Used) -> Result<(), Fault> {
    let [count, selectors @ .., 0, 63, 0] = segment else {
        return Err(TABLES);
    };
    let (selectors, rest) = selectors.as_chunks::<2>();
    if !rest.is_empty() || selectors.len() != usize::from(*count) || Some(*count) != components {
        return Err(TABLES);
    }
    for [_, tables] in selectors {
        used.asked.push(tables >> 4);
        used.asked.push(0x10 | (tables & 15));
    }
    Ok(())
}

/// APP14 as Adobe defined it, and not a byte more: it says what the colours are.
fn adobe(segment: &[u8]) -> Result<(), Fault> {
    match segment {
        [
            b'A',
            b'd',
            b'o',
            b'b',
            b'e',
            0,
            100 | 101,
            0,
            0,
            0,
            0,
            0..=2,
        ] => Ok(()),
        _ => Err(Wrong(
            "an APP14 segment in a frame that says more than the colours",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A grey JPEG of one scan with four bytes of entropy-coded data.
    fn grey() -> Vec<u8> {
        let mut frame = vec![0xFF, 0xD8, 0xFF, 0xDB, 0, 67, 0];
        frame.extend([1; 64]);
        for class in [0x00, 0x10] {
            frame.extend([0xFF, 0xC4, 0, 20, class, 1]);
            frame.extend([0; 15]);
            frame.push(0);
        }
        frame.extend([0xFF, 0xC0, 0, 11, 8, 0, 8, 0, 8, 1, 1, 0x11, 0]);
        frame.extend([0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 63, 0]);
        frame.extend([1, 0xFF, 0, 2, 0xFF, 0xD9]);
        frame
    }

    fn insert(frame: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
        let mut frame = frame.to_vec();
        frame.splice(at..at, bytes.iter().copied());
        frame
    }

    #[test]
    fn entropy_coded_bytes_are_found() {
        let frame = grey();
        let len = frame.len();
        assert_eq!(walk(&frame), Ok(vec![len - 6..len - 2]));
        assert_eq!(walk(&insert(&frame, len, &[0])), Ok(vec![len - 6..len - 2]));
    }

    #[test]
    fn whatever_a_decoder_does_not_need_is_a_fault() {
        let mut other_table = vec![0xFF, 0xDB, 0, 67, 1];
        other_table.extend([7; 64]);
        let adobe = b"\xFF\xEE\x00\x0EAdobe\x00\x64\x01\x00\x00\x00\x00";
        for segment in [
            &b"\xFF\xFE\x00\x05abc"[..],
            b"\xFF\xE0\x00\x05abc",
            b"\xFF\xE1\x00\x05abc",
            adobe,
            &other_table,
            b"\xFF\xF0\x00\x05abc",
            b"\xFF",
            b"abc",
        ] {
            assert!(matches!(walk(&insert(&grey(), 2, segment)), Err(Wrong(_))));
        }
        let frame = grey();
        for behind in [&b"abc"[..], b"\0\0", b"\xFF\xD9"] {
            assert!(matches!(
                walk(&insert(&frame, frame.len(), behind)),
                Err(Wrong(_))
            ));
        }
    }

    #[test]
    fn every_cut_is_a_fault_and_no_panic() {
        let frame = grey();
        for len in 0..frame.len() {
            assert!(walk(&frame[..len]).is_err());
        }
    }
}
