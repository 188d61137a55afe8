//! Walks a JPEG 2000 codestream for the check; see [`super::stream`].

#![allow(
    clippy::single_range_in_vec_init,
    reason = "lists of one range are meant"
)]

use std::ops::Range;

use super::stream::{Bytes, CUT, Fault, TABLES};
use Fault::Wrong;

/// Walks a JPEG 2000 codestream (T.800 A.2) with no comment in it.
pub(super) fn jpeg2000(frame: &[u8]) -> Result<Vec<Range<usize>>, Fault> {
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
    let mut coding = Coding::default();
    let mut ranges = Vec::new();
    loop {
        let start = bytes.at;
        match bytes.marker()? {
            0x90 if !coding.is_whole() => return Err(TABLES),
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
            0x52 if ranges.is_empty() && components > 0 => coding.style(bytes.segment()?)?,
            0x5C if ranges.is_empty() && components > 0 => coding.steps(bytes.segment()?)?,
            // CAP, PRF, COC, TLM, PLM, QCC, RGN, POC, PPM, CRG (T.800 table A.2)
            0x50 | 0x56 | 0x53 | 0x55 | 0x57 | 0x5D..=0x5F | 0x60 | 0x63
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

/// COD and QCD, of which there is one each, and no byte more than the decompositions take.
#[derive(Default)]
struct Coding {
    decompositions: Option<usize>,
    quantisation: Option<(u8, usize)>,
}

const AGAIN: Fault = Wrong("a coding style in a codestream that another one replaces");

impl Coding {
    /// COD (T.800 A.6.1).
    fn style(&mut self, segment: &[u8]) -> Result<(), Fault> {
        let mut bytes = Bytes {
            all: segment,
            at: 0,
        };
        let has_precincts = bytes.number(1)? & 1 != 0;
        bytes.take(4)?;
        let decompositions = bytes.number(1)?;
        bytes.take(4)?;
        if has_precincts {
            bytes.take(decompositions.saturating_add(1))?;
        }
        if !bytes.is_empty() {
            return Err(TABLES);
        }
        match self.decompositions.replace(decompositions) {
            None => Ok(()),
            Some(_) => Err(AGAIN),
        }
    }

    /// QCD (T.800 A.6.4).
    fn steps(&mut self, segment: &[u8]) -> Result<(), Fault> {
        let (style, steps) = segment.split_first().ok_or(TABLES)?;
        match self.quantisation.replace((style & 0x1F, steps.len())) {
            None => Ok(()),
            Some(_) => Err(AGAIN),
        }
    }

    /// Whether both are there and agree.
    fn is_whole(&self) -> bool {
        let (Some(levels), Some((style, len))) = (self.decompositions, self.quantisation) else {
            return false;
        };
        let sub_bands = levels.saturating_mul(3).saturating_add(1);
        match style {
            0 => len == sub_bands,
            1 => len == 2,
            2 => len == sub_bands.saturating_mul(2),
            _ => false,
        }
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
    use crate::scan::stream::walk;

    /// A codestream of one component and one tile-part.
    fn codestream() -> Vec<u8> {
        let mut frame = vec![0xFF, 0x4F, 0xFF, 0x51, 0, 41];
        frame.extend([0; 34]);
        frame.extend([0, 1, 7, 1, 1]);
        frame.extend([0xFF, 0x52, 0, 12, 0, 0, 0, 1, 0, 0, 4, 4, 0, 1]);
        frame.extend([0xFF, 0x5C, 0, 4, 0x40, 0x48]);
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
    fn packet_data_are_found() {
        let frame = codestream();
        let len = frame.len();
        assert_eq!(walk(&frame), Ok(vec![len - 6..len - 2]));
        assert_eq!(walk(&insert(&frame, len, &[0])), Ok(vec![len - 6..len - 2]));
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
    fn styles_that_say_more_than_once_or_too_much_are_faults() {
        let frame = codestream();
        let main = 45;
        let style = &b"\xFF\x52\x00\x0C\x00\x00\x00\x01\x00\x00\x04\x04\x00\x01"[..];
        let steps = &b"\xFF\x5C\x00\x04\x40\x48"[..];
        for again in [style, steps] {
            assert!(walk(&insert(&frame, main, again)).is_err());
        }
        for (segment, more) in [(style, 3), (steps, 3)] {
            let at = frame
                .windows(segment.len())
                .position(|window| window == segment);
            let at = at.expect("it is there");
            let mut longer = insert(&frame, at + segment.len(), b"JANE DOE ");
            longer[at + more] += 9;
            assert!(walk(&longer).is_err());
            let mut none = frame.clone();
            none.drain(at..at + segment.len());
            assert!(walk(&none).is_err());
        }
    }

    #[test]
    fn every_cut_is_a_fault_and_no_panic() {
        let frame = codestream();
        for len in 0..frame.len() {
            assert!(walk(&frame[..len]).is_err());
        }
    }
}
