//! Walks a compressed frame: what of it is entropy-coded, and what must not be in it.
//!
//! Written from T.81 and T.800 alone; it shares nothing with the walkers of [`crate::jpeg`] and
//! [`crate::jp2k`], so that it does not share their mistakes.

#![allow(
    clippy::single_range_in_vec_init,
    reason = "lists of one range are meant"
)]

use std::ops::Range;

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
struct Bytes<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Bytes<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Fault> {
        let end = self.at.checked_add(len).ok_or(CUT)?;
        let taken = self.all.get(self.at..end).ok_or(CUT)?;
        self.at = end;
        Ok(taken)
    }

    fn number(&mut self, len: usize) -> Result<usize, Fault> {
        let bytes = self.take(len)?;
        Ok(bytes
            .iter()
            .fold(0, |value, &byte| value << 8 | usize::from(byte)))
    }

    fn marker(&mut self) -> Result<u8, Fault> {
        match self.take(2)? {
            [0xFF, marker] => Ok(*marker),
            _ => Err(Wrong("bytes between the segments of a frame")),
        }
    }

    /// The contents of a segment, its length taken first.
    fn segment(&mut self) -> Result<&'a [u8], Fault> {
        let len = self.number(2)?;
        self.take(len.checked_sub(2).ok_or(CUT)?)
    }

    fn is_empty(&self) -> bool {
        self.at >= self.all.len()
    }
}

const CUT: Fault = Wrong("a frame whose segments do not fit into it");
const TABLES: Fault = Wrong("a segment of a frame whose length is not that of its contents");
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

/// Walks a JPEG 2000 codestream (T.800 A.2) with no comment in it.
fn jpeg2000(frame: &[u8]) -> Result<Vec<Range<usize>>, Fault> {
    // A byte that makes the length even is the only thing behind the end marker.
    let padding = usize::from(frame.ends_with(&[0xFF, 0xD9, 0]));
    let len = frame.len().saturating_sub(padding);
    let frame = frame.get(..len).unwrap_or_default();
    let end = len.saturating_sub(2);
    if !frame.ends_with(&[0xFF, 0xD9]) {
        return Err(Wrong("a codestream without an end, or bytes behind it"));
    }
    let mut bytes = Bytes { all: frame, at: 2 };
    let mut components = 0;
    let mut ranges = Vec::new();
    loop {
        let start = bytes.at;
        match bytes.marker()? {
            0x90 => {
                let part = tile_part(&mut bytes, start, end)?;
                let next = part.end;
                ranges.push(part);
                if next == end {
                    return Ok(ranges);
                }
                bytes.at = next;
            }
            0x51 if components == 0 => {
                let segment = bytes.segment()?;
                components = size(segment)?;
            }
            // CAP, PRF, COD, COC, TLM, PLM, QCD, QCC, RGN, POC, PPM, CRG (T.800 table A.2)
            0x50 | 0x56 | 0x52 | 0x53 | 0x55 | 0x57 | 0x5C..=0x5F | 0x60 | 0x63
                if ranges.is_empty() && components > 0 =>
            {
                bytes.segment()?;
            }
            marker => return Err(foreign(marker)),
        }
    }
}

fn foreign(marker: u8) -> Fault {
    match marker {
        0x64 => Wrong("a comment in a codestream"),
        0x50..=0x6F | 0x74..=0x7F => Wrong("a segment in a codestream where it must not be"),
        _ => Wrong("bytes between the parts of a codestream"),
    }
}

/// SIZ (T.800 A.5.1): its length follows from the number of components, which it returns.
fn size(segment: &[u8]) -> Result<usize, Fault> {
    let mut bytes = Bytes {
        all: segment,
        at: 34,
    };
    let components = bytes.number(2)?;
    if components == 0 || segment.len() != components.saturating_mul(3).saturating_add(36) {
        return Err(TABLES);
    }
    Ok(components)
}

/// Walks the header of a tile-part that begins at `start`; returns where its packets lie.
fn tile_part(bytes: &mut Bytes<'_>, start: usize, end: usize) -> Result<Range<usize>, Fault> {
    let mut header = Bytes {
        all: bytes.segment()?,
        at: 2,
    };
    let (len, _) = (header.number(4)?, header.take(2)?);
    if !header.is_empty() {
        return Err(TABLES);
    }
    loop {
        match bytes.marker()? {
            0x93 => break,
            // COD, COC, PLT, QCD, QCC, RGN, POC, PPT
            0x52 | 0x53 | 0x58 | 0x5C..=0x5F | 0x61 => {
                bytes.segment()?;
            }
            marker => return Err(foreign(marker)),
        }
    }
    let stop = if len == 0 {
        end
    } else {
        start.checked_add(len).ok_or(CUT)?
    };
    if stop < bytes.at || stop > end {
        return Err(Wrong("a tile-part that does not end where it says"));
    }
    Ok(bytes.at..stop)
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

    /// A codestream of one component and one tile-part.
    fn codestream() -> Vec<u8> {
        let mut frame = vec![0xFF, 0x4F, 0xFF, 0x51, 0, 41];
        frame.extend([0; 34]);
        frame.extend([0, 1, 7, 1, 1]);
        frame.extend([0xFF, 0x52, 0, 4, 0, 0, 0xFF, 0x5C, 0, 3, 0]);
        frame.extend([
            0xFF, 0x90, 0, 10, 0, 0, 0, 0, 0, 18, 0, 1, 0xFF, 0x93, 1, 2, 3, 4,
        ]);
        frame.extend([0xFF, 0xD9]);
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
        let frame = codestream();
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
    fn comments_and_gaps_of_codestreams_are_faults() {
        let frame = codestream();
        let (main, part) = (45, frame.len() - 8);
        for at in [main, part] {
            assert!(matches!(
                walk(&insert(&frame, at, b"\xFF\x64\x00\x05\x00\x01x")),
                Err(Wrong(_))
            ));
            assert!(matches!(walk(&insert(&frame, at, b"abc")), Err(Wrong(_))));
        }
        for behind in [&b"abc"[..], b"\0\0", b"\xFF\xD9"] {
            assert!(matches!(
                walk(&insert(&frame, frame.len(), behind)),
                Err(Wrong(_))
            ));
        }
    }

    #[test]
    fn every_cut_is_a_fault_and_no_panic() {
        for frame in [grey(), codestream()] {
            for len in 0..frame.len() {
                assert!(walk(&frame[..len]).is_err());
            }
        }
    }
}
