//! Decodes the coefficients of any DCT process with 8 bits: sequential, in one scan or several,
//! and progressive, Huffman-coded or arithmetic.

use super::arithmetic::{self, Conditioning};
use super::bits::{Bits, is_restart, split_interval};
use super::blocks::{Block, Blocks};
use super::header::{Cursor, Segment, Start, malformed, restart_interval};
use super::huffman::Decoder;
use super::progressive::{Entropy, Huffman};
use super::scan_header::{Part, Scan};
use super::tables::{Tables, slot};
use super::{Facts, SharedTables, marker, parse_start};
use crate::error::StreamError;
use crate::limits::Limits;

/// The coefficients of a tile, and what its header says of them.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// The size is that of the picture, even where the stream does not tell it.
    pub(crate) facts: Facts,
    pub(crate) blocks: Blocks,
}

/// Checks all that can be told before the first scan: the process, the depth, the components.
pub(crate) fn check_start(start: &Start<'_>) -> Result<(), StreamError> {
    let facts = &start.facts;
    match facts.sof {
        marker::SOF0 | marker::SOF1 | marker::SOF2 | marker::SOF9 | marker::SOF10 => {}
        marker::SOF3 => return Err(StreamError::Unsupported("lossless JPEG")),
        _ => {
            return Err(StreamError::Unsupported(
                "a JPEG process without a DICOM transfer syntax",
            ));
        }
    }
    if facts.precision != 8 {
        return Err(StreamError::Unsupported(
            "JPEG with more than 8 bits a sample",
        ));
    }
    if !matches!(facts.components.len(), 1 | 3) {
        return Err(StreamError::Unsupported(
            "a number of components that is neither one nor three",
        ));
    }
    Ok(())
}

/// Decodes a whole tile, no larger than `size`.
pub(crate) fn decode(
    bytes: &[u8],
    shared: &SharedTables,
    size: (u32, u32),
    limits: &Limits,
) -> Result<Decoded, StreamError> {
    let start = parse_start(bytes)?;
    check_start(&start)?;
    let own_or = |own: u16, want: u32| if own == 0 { want } else { own.into() };
    let columns = own_or(start.facts.columns, size.0);
    let rows = own_or(start.facts.rows, size.1);
    let (mcus, most) = (
        start.facts.mcus(columns, rows),
        start.facts.mcus(size.0, size.1),
    );
    if mcus.0 > most.0 || mcus.1 > most.1 {
        return Err(StreamError::Size {
            columns,
            rows,
            want_columns: size.0,
            want_rows: size.1,
        });
    }
    let mut reader = Reader {
        blocks: Blocks::new(&start.facts, mcus, limits.coefficient_bytes)?,
        facts: start.facts,
        size: (columns, rows),
        tables: start.tables.or(shared.tables()?),
        conditioning: Conditioning::default(),
        sent: [[None; 64]; 3],
        partial: Vec::new(),
        bits: Bits::default(),
    };
    if let Some(segment) = start.conditioning {
        reader.conditioning.read(segment)?;
    }
    let mut cursor = Cursor {
        bytes,
        at: start.len,
    };
    reader.scan(start.scan, &mut cursor)?;
    reader.more_scans(&mut cursor, limits)?;
    reader.finish()
}

/// A tile that is being decoded.
struct Reader<'a> {
    facts: Facts,
    blocks: Blocks,
    /// Of the picture in pixels.
    size: (u32, u32),
    tables: Tables<'a>,
    conditioning: Conditioning,
    /// How many bits the last scan of each coefficient left out, by component.
    sent: [[Option<u8>; 64]; 3],
    /// Components whose scans hold no more blocks than the picture needs.
    partial: Vec<usize>,
    bits: Bits,
}

impl<'a> Reader<'a> {
    /// Goes on behind the first scan.
    fn more_scans(&mut self, cursor: &mut Cursor<'a>, limits: &Limits) -> Result<(), StreamError> {
        let mut left = limits.scans;
        loop {
            let at = cursor.at;
            if at >= cursor.bytes.len() && self.is_sequential_and_whole() {
                return Ok(());
            }
            match cursor.marker()? {
                marker::EOI => return Ok(()),
                marker::SOS => {
                    left = left.checked_sub(1).ok_or(StreamError::Limit {
                        what: "its scans",
                        name: "scans",
                        limit: limits.scans,
                    })?;
                    let segment = cursor.segment(marker::SOS)?;
                    self.scan(segment, cursor)?;
                }
                code @ (marker::DHT | marker::DQT) => {
                    self.tables.read(cursor.segment(code)?)?;
                    self.check_steps(at)?;
                }
                marker::DRI => {
                    let segment = cursor.segment(marker::DRI)?;
                    self.facts.restart_interval = restart_interval(segment, at)?;
                }
                marker::DAC => self.conditioning.read(cursor.segment(marker::DAC)?)?,
                code @ (marker::COM | marker::APP0..=marker::APP15) => {
                    cursor.segment(code)?;
                }
                marker::DNL => return Err(StreamError::Unsupported("a DNL segment")),
                _ => return Err(malformed("a marker that does not belong between scans", at)),
            }
        }
    }

    /// Whether an end marker is all that can be missing.
    fn is_sequential_and_whole(&self) -> bool {
        let is_sequential = !matches!(self.facts.sof, marker::SOF2 | marker::SOF10);
        is_sequential
            && self
                .blocks
                .planes
                .iter()
                .all(|plane| !plane.steps.is_empty())
    }

    fn finish(mut self) -> Result<Decoded, StreamError> {
        if self
            .blocks
            .planes
            .iter()
            .any(|plane| plane.steps.is_empty())
        {
            return Err(malformed("a component without a scan", 0));
        }
        let partial: Vec<_> = self
            .partial
            .iter()
            .map(|&c| (c, self.real_blocks(c)))
            .collect();
        for (component, (across, down)) in partial {
            if let Some(plane) = self.blocks.planes.get_mut(component) {
                plane.extend(across, down);
            }
        }
        Ok(Decoded {
            facts: self.facts,
            blocks: self.blocks,
        })
    }

    /// Blocks of a component that hold a part of the picture (T.81 A.2.2).
    fn real_blocks(&self, component: usize) -> (usize, usize) {
        let (widest, tallest) = self.facts.sampling();
        let factors = self
            .blocks
            .planes
            .get(component)
            .map_or((1, 1), |plane| plane.factors);
        let blocks = |pixels: u32, factor: usize, largest: u32| {
            let samples = u64::from(pixels)
                .saturating_mul(u64::try_from(factor).unwrap_or(1))
                .div_ceil(u64::from(largest.max(1)));
            usize::try_from(samples.div_ceil(8)).unwrap_or(0)
        };
        (
            blocks(self.size.0, factors.0, widest),
            blocks(self.size.1, factors.1, tallest),
        )
    }

    /// Checks that each bit of a coefficient comes once, and in order (T.81 G.1.1.1.2).
    ///
    /// Where it does not, decoders show different pictures.
    fn check_order(&mut self, scan: &Scan, at: usize) -> Result<(), StreamError> {
        for part in &scan.parts {
            let sent = self.sent.get_mut(part.component);
            let band = sent.and_then(|sent| sent.get_mut(scan.band.0..=scan.band.1));
            for left_out in band.into_iter().flatten() {
                let is_next = match *left_out {
                    None => scan.high == 0,
                    Some(left_out) => left_out > 0 && scan.high == left_out,
                };
                if !is_next {
                    return Err(malformed("a scan that sends coefficients out of order", at));
                }
                *left_out = Some(scan.low);
            }
        }
        Ok(())
    }

    /// Checks that components with scans to come keep their quantisation (T.81 B.2.2, Tq).
    ///
    /// Where they do not, decoders show different pictures.
    fn check_steps(&self, at: usize) -> Result<(), StreamError> {
        let is_progressive = matches!(self.facts.sof, marker::SOF2 | marker::SOF10);
        let mut begun = (self.facts.components.iter().zip(&self.blocks.planes))
            .filter(|(_, plane)| is_progressive && !plane.steps.is_empty());
        if begun.all(|(component, plane)| {
            slot(&self.tables.quantisation, component.quantisation) == Some(&plane.steps)
        }) {
            return Ok(());
        }
        Err(malformed("a quantisation that changes between scans", at))
    }

    /// Keeps the quantisation of components whose first scan this is.
    fn begin(&mut self, scan: &Scan) -> Result<(), StreamError> {
        for part in &scan.parts {
            let component = self.facts.components.get(part.component);
            let steps = component.and_then(|c| slot(&self.tables.quantisation, c.quantisation));
            let steps = steps.ok_or(malformed("a table that nobody defines", 0))?;
            if let Some(plane) = self.blocks.planes.get_mut(part.component)
                && plane.steps.is_empty()
            {
                plane.steps = steps.to_vec();
                if scan.parts.len() == 1 {
                    self.partial.push(part.component);
                }
            }
        }
        Ok(())
    }

    /// Decodes a scan, and moves the cursor to the marker behind it.
    fn scan(&mut self, segment: Segment<'_>, cursor: &mut Cursor<'a>) -> Result<(), StreamError> {
        let scan = Scan::read(segment, &self.facts, cursor.at)?;
        self.check_order(&scan, cursor.at)?;
        self.begin(&scan)?;
        let is_arithmetic = matches!(self.facts.sof, marker::SOF9 | marker::SOF10);
        let tables = self.tables.or(Tables::typical());
        let mut entropy = if is_arithmetic {
            Entropy::Arithmetic(Box::new(arithmetic::Decoder::new(&self.conditioning)))
        } else {
            let used = |tables: [Option<&[u8]>; 4], id: fn(&Part) -> u8| {
                [0, 1, 2, 3].map(|number| {
                    let is_used = scan.parts.iter().any(|part| id(part) == number);
                    slot(&tables, number).filter(|_| is_used).map(Decoder::new)
                })
            };
            let dc = used(tables.dc, |part| part.dc);
            let ac = used(tables.ac, |part| part.ac);
            Entropy::Huffman(Box::new(Huffman::new(dc, ac)))
        };
        let units = self.units(&scan);
        let interval = match usize::from(self.facts.restart_interval) {
            0 => usize::MAX,
            some => some,
        };
        let (mut unit, mut x, mut y) = (0_usize, 0_usize, 0_usize);
        let end = units.0.saturating_mul(units.1);
        let mut rest = cursor.bytes.get(cursor.at..).unwrap_or_default();
        loop {
            let part = split_interval(rest);
            self.bits.fill(part.data);
            entropy.begin(&self.bits, &scan)?;
            let stop = unit.saturating_add(interval).min(end);
            while unit < stop {
                self.unit(&scan, (x, y), &mut entropy)?;
                unit = unit.wrapping_add(1);
                x = x.wrapping_add(1);
                if x == units.0 {
                    (x, y) = (0, y.wrapping_add(1));
                }
            }
            match part.next {
                Some((code, behind)) if is_restart(code) && unit < end => rest = behind,
                Some((_, behind)) if unit >= end => {
                    let marker_len = behind.len().saturating_add(2);
                    cursor.at = cursor.bytes.len().saturating_sub(marker_len);
                    return Ok(());
                }
                None if unit >= end => {
                    cursor.at = cursor.bytes.len();
                    return Ok(());
                }
                _ => {
                    return Err(malformed(
                        "fewer restart intervals than the picture needs",
                        0,
                    ));
                }
            }
        }
    }

    /// What a scan is made of, across and down: MCUs, or the blocks of its only component.
    fn units(&self, scan: &Scan) -> (usize, usize) {
        match scan.parts.as_slice() {
            [only] => self.real_blocks(only.component),
            _ => self.blocks.mcus,
        }
    }

    fn unit(
        &mut self,
        scan: &Scan,
        (x, y): (usize, usize),
        entropy: &mut Entropy,
    ) -> Result<(), StreamError> {
        let outside = || malformed("a block outside its picture", 0);
        let bits = &self.bits;
        let mut decode = |part: &Part, block: &mut Block| entropy.block(bits, scan, part, block);
        if let [only] = scan.parts.as_slice() {
            let plane = self.blocks.planes.get_mut(only.component);
            return decode(
                only,
                plane.and_then(|p| p.get_mut(x, y)).ok_or_else(outside)?,
            );
        }
        for part in &scan.parts {
            let plane = self
                .blocks
                .planes
                .get_mut(part.component)
                .ok_or_else(outside)?;
            for (column, row) in plane.places(x, y) {
                decode(part, plane.get_mut(column, row).ok_or_else(outside)?)?;
            }
        }
        Ok(())
    }
}
