//! Decodes arithmetic-coded blocks (T.81 Annex D, F.2.4 and G.2).

use super::bits::Bits;
use super::blocks::Block;
use super::header::{Segment, malformed};
use super::progressive::{refine, refine_dc, set, too_many};
use super::scan_header::{Part, Scan};
use crate::error::StreamError;

/// Tables that a scan header can name.
const TABLES: usize = 16;
/// Estimations of DC and AC in one table (T.81 Tables F.4 and F.5).
const DC_BINS: usize = 64;
const AC_BINS: usize = 256;
/// The state that stays at one half (T.81 F.1.4.4.2).
const HALF: u8 = 113;

/// Estimated probability, next state after the less and the more probable symbol, and whether the
/// first exchanges them (T.81 Table D.3); the last one is that of a fixed half.
#[rustfmt::skip]
const STATES: [(u16, u8, u8, u8); 114] = [
    (0x5A1D, 1, 1, 1), (0x2586, 14, 2, 0), (0x1114, 16, 3, 0), (0x080B, 18, 4, 0),
    (0x03D8, 20, 5, 0), (0x01DA, 23, 6, 0), (0x00E5, 25, 7, 0), (0x006F, 28, 8, 0),
    (0x0036, 30, 9, 0), (0x001A, 33, 10, 0), (0x000D, 35, 11, 0), (0x0006, 9, 12, 0),
    (0x0003, 10, 13, 0), (0x0001, 12, 13, 0), (0x5A7F, 15, 15, 1), (0x3F25, 36, 16, 0),
    (0x2CF2, 38, 17, 0), (0x207C, 39, 18, 0), (0x17B9, 40, 19, 0), (0x1182, 42, 20, 0),
    (0x0CEF, 43, 21, 0), (0x09A1, 45, 22, 0), (0x072F, 46, 23, 0), (0x055C, 48, 24, 0),
    (0x0406, 49, 25, 0), (0x0303, 51, 26, 0), (0x0240, 52, 27, 0), (0x01B1, 54, 28, 0),
    (0x0144, 56, 29, 0), (0x00F5, 57, 30, 0), (0x00B7, 59, 31, 0), (0x008A, 60, 32, 0),
    (0x0068, 62, 33, 0), (0x004E, 63, 34, 0), (0x003B, 32, 35, 0), (0x002C, 33, 9, 0),
    (0x5AE1, 37, 37, 1), (0x484C, 64, 38, 0), (0x3A0D, 65, 39, 0), (0x2EF1, 67, 40, 0),
    (0x261F, 68, 41, 0), (0x1F33, 69, 42, 0), (0x19A8, 70, 43, 0), (0x1518, 72, 44, 0),
    (0x1177, 73, 45, 0), (0x0E74, 74, 46, 0), (0x0BFB, 75, 47, 0), (0x09F8, 77, 48, 0),
    (0x0861, 78, 49, 0), (0x0706, 79, 50, 0), (0x05CD, 48, 51, 0), (0x04DE, 50, 52, 0),
    (0x040F, 50, 53, 0), (0x0363, 51, 54, 0), (0x02D4, 52, 55, 0), (0x025C, 53, 56, 0),
    (0x01F8, 54, 57, 0), (0x01A4, 55, 58, 0), (0x0160, 56, 59, 0), (0x0125, 57, 60, 0),
    (0x00F6, 58, 61, 0), (0x00CB, 59, 62, 0), (0x00AB, 61, 63, 0), (0x008F, 61, 32, 0),
    (0x5B12, 65, 65, 1), (0x4D04, 80, 66, 0), (0x412C, 81, 67, 0), (0x37D8, 82, 68, 0),
    (0x2FE8, 83, 69, 0), (0x293C, 84, 70, 0), (0x2379, 86, 71, 0), (0x1EDF, 87, 72, 0),
    (0x1AA9, 87, 73, 0), (0x174E, 72, 74, 0), (0x1424, 72, 75, 0), (0x119C, 74, 76, 0),
    (0x0F6B, 74, 77, 0), (0x0D51, 75, 78, 0), (0x0BB6, 77, 79, 0), (0x0A40, 77, 48, 0),
    (0x5832, 80, 81, 1), (0x4D1C, 88, 82, 0), (0x438E, 89, 83, 0), (0x3BDD, 90, 84, 0),
    (0x34EE, 91, 85, 0), (0x2EAE, 92, 86, 0), (0x299A, 93, 87, 0), (0x2516, 86, 71, 0),
    (0x5570, 88, 89, 1), (0x4CA9, 95, 90, 0), (0x44D9, 96, 91, 0), (0x3E22, 97, 92, 0),
    (0x3824, 99, 93, 0), (0x32B4, 99, 94, 0), (0x2E17, 93, 86, 0), (0x56A8, 95, 96, 1),
    (0x4F46, 101, 97, 0), (0x47E5, 102, 98, 0), (0x41CF, 103, 99, 0), (0x3C3D, 104, 100, 0),
    (0x375E, 99, 93, 0), (0x5231, 105, 102, 0), (0x4C0F, 106, 103, 0), (0x4639, 107, 104, 0),
    (0x415E, 103, 99, 0), (0x5627, 105, 106, 1), (0x50E7, 108, 107, 0), (0x4B85, 109, 103, 0),
    (0x5597, 110, 109, 0), (0x504F, 111, 107, 0), (0x5A10, 110, 111, 1), (0x5522, 112, 109, 0),
    (0x59EB, 112, 111, 1), (0x5A1D, 113, 113, 0),
];

/// Conditioning values of each table (T.81 F.1.4.4.1.2 and F.1.4.4.2.1).
#[derive(Debug)]
pub(crate) struct Conditioning {
    /// Lower and upper bound of small DC differences.
    dc: [(u8, u8); TABLES],
    /// Last coefficient of low frequency.
    ac: [u8; TABLES],
}

impl Default for Conditioning {
    fn default() -> Self {
        Self {
            dc: [(0, 1); TABLES],
            ac: [5; TABLES],
        }
    }
}

impl Conditioning {
    /// Takes the values of a DAC segment (T.81 B.2.4.3).
    pub(crate) fn read(&mut self, segment: Segment<'_>) -> Result<(), StreamError> {
        let wrong = || malformed("a DAC with impossible values", 0);
        let (pairs, rest) = segment.payload().as_chunks::<2>();
        if !rest.is_empty() {
            return Err(wrong());
        }
        for &[table, value] in pairs {
            let id = usize::from(table & 15);
            match table >> 4 {
                0 if value & 15 <= value >> 4 => {
                    *self.dc.get_mut(id).ok_or_else(wrong)? = (value & 15, value >> 4);
                }
                1 if (1..64).contains(&value) => {
                    *self.ac.get_mut(id).ok_or_else(wrong)? = value;
                }
                _ => return Err(wrong()),
            }
        }
        Ok(())
    }
}

/// A place in arithmetic-coded data.
#[derive(Debug)]
pub(crate) struct Decoder {
    dc_bounds: [(u8, u8); TABLES],
    ac_bounds: [u8; TABLES],
    dc_bins: [[u8; DC_BINS]; TABLES],
    ac_bins: [[u8; AC_BINS]; TABLES],
    dc: [i32; 3],
    /// Which estimations the next DC difference of a component uses.
    contexts: [usize; 3],
    code: u32,
    interval: u32,
    shift: i32,
    at: usize,
}

/// Where the estimations of one decision lie: DC or AC, table, number.
#[derive(Clone, Copy)]
enum Bin {
    Dc(usize, usize),
    Ac(usize, usize),
    Half,
}

impl Bin {
    fn plus(self, more: usize) -> Self {
        match self {
            Self::Dc(table, at) => Self::Dc(table, at.saturating_add(more)),
            Self::Ac(table, at) => Self::Ac(table, at.saturating_add(more)),
            Self::Half => Self::Half,
        }
    }
}

impl Decoder {
    pub(crate) fn new(conditioning: &Conditioning) -> Self {
        Self {
            dc_bounds: conditioning.dc,
            ac_bounds: conditioning.ac,
            dc_bins: [[0; DC_BINS]; TABLES],
            ac_bins: [[0; AC_BINS]; TABLES],
            dc: [0; 3],
            contexts: [0; 3],
            code: 0,
            interval: 0,
            shift: 0,
            at: 0,
        }
    }

    /// Begins a restart interval.
    pub(crate) fn begin(&mut self, bits: &Bits, _: &Scan) -> Result<(), StreamError> {
        if bits.len() == 0 {
            return Err(malformed("a restart interval without data", 0));
        }
        self.dc_bins = [[0; DC_BINS]; TABLES];
        self.ac_bins = [[0; AC_BINS]; TABLES];
        (self.dc, self.contexts) = ([0; 3], [0; 3]);
        (self.code, self.interval, self.shift, self.at) = (0, 0, -16, 0);
        Ok(())
    }

    /// Decodes what a scan holds of a block.
    pub(crate) fn block(
        &mut self,
        bits: &Bits,
        scan: &Scan,
        part: &Part,
        block: &mut Block,
    ) -> Result<(), StreamError> {
        match (scan.band.0, scan.high) {
            (0, 0) => {
                self.first_dc(bits, scan, part, block)?;
                if scan.is_progressive {
                    Ok(())
                } else {
                    self.first_ac(bits, scan, part, block)
                }
            }
            (0, _) => {
                if self.decide(bits, Bin::Half)? {
                    refine_dc(block, scan.low);
                }
                Ok(())
            }
            (_, 0) => self.first_ac(bits, scan, part, block),
            _ => self.refine_ac(bits, scan, part, block),
        }
    }

    /// Decodes one decision (T.81 D.2.4, in the form that keeps code and interval aligned).
    fn decide(&mut self, bits: &Bits, bin: Bin) -> Result<bool, StreamError> {
        while self.interval < 0x8000 {
            self.shift = self.shift.wrapping_sub(1);
            if self.shift < 0 {
                self.code = (self.code << 8) | u32::from(bits.byte(self.at));
                self.at = self.at.saturating_add(1);
                self.shift = self.shift.wrapping_add(8);
                if self.shift < 0 {
                    self.shift = self.shift.wrapping_add(1);
                    if self.shift == 0 {
                        self.interval = 0x8000; // two bytes are there: begin
                    }
                }
            }
            self.interval <<= 1;
        }
        let mut half = HALF;
        let state = match bin {
            Bin::Dc(table, at) => self
                .dc_bins
                .get_mut(table)
                .and_then(|bins| bins.get_mut(at)),
            Bin::Ac(table, at) => self
                .ac_bins
                .get_mut(table)
                .and_then(|bins| bins.get_mut(at)),
            Bin::Half => Some(&mut half),
        };
        let state = state.ok_or_else(too_many)?;
        let (likely, number) = (*state & 0x80, usize::from(*state & 0x7F));
        let (estimate, after_less, after_more, exchange) =
            STATES.get(number).copied().ok_or_else(too_many)?;
        let estimate = u32::from(estimate);
        let less = (likely ^ (exchange << 7)) | after_less;
        let more = likely | after_more;
        self.interval = self.interval.wrapping_sub(estimate);
        let bound = self.interval.wrapping_shl(self.shift.cast_unsigned());
        let is_upper = self.code >= bound;
        // Where the interval of the more probable symbol is the smaller one, they are exchanged.
        let is_less = is_upper != (self.interval < estimate);
        if is_upper {
            self.code = self.code.wrapping_sub(bound);
            self.interval = estimate;
        } else if self.interval >= 0x8000 {
            return Ok(likely != 0);
        }
        *state = if is_less { less } else { more };
        Ok((likely != 0) != is_less)
    }

    /// The bits of a size below its highest one (T.81 Figure F.24), and its sign.
    fn value(&mut self, bits: &Bits, bin: Bin, size: i32, sign: bool) -> Result<i32, StreamError> {
        let (mut value, mut bit) = (size, size >> 1);
        while bit > 0 {
            if self.decide(bits, bin)? {
                value |= bit;
            }
            bit >>= 1;
        }
        let value = value.wrapping_add(1);
        Ok(if sign { value.wrapping_neg() } else { value })
    }

    /// Doubles a size as often as the data say (T.81 Figure F.23); returns where that ended.
    fn double(&mut self, bits: &Bits, from: Bin, size: i32) -> Result<(Bin, i32), StreamError> {
        let (mut bin, mut size) = (from, size);
        while self.decide(bits, bin)? {
            size <<= 1;
            if size >= 0x8000 {
                return Err(malformed("a coefficient of 16 bits", 0));
            }
            bin = bin.plus(1);
        }
        Ok((bin, size))
    }

    fn first_dc(
        &mut self,
        bits: &Bits,
        scan: &Scan,
        part: &Part,
        block: &mut Block,
    ) -> Result<(), StreamError> {
        let table = usize::from(part.dc);
        let context = self.contexts.get(part.component).copied().unwrap_or(0);
        let start = Bin::Dc(table, context);
        let (mut difference, mut next) = (0, 0);
        if self.decide(bits, start)? {
            let sign = self.decide(bits, start.plus(1))?;
            let mut bin = start.plus(if sign { 3 } else { 2 });
            let mut size = i32::from(self.decide(bits, bin)?);
            if size > 0 {
                (bin, size) = self.double(bits, Bin::Dc(table, 20), size)?;
            }
            let (low, high) = self.dc_bounds.get(table).copied().unwrap_or((0, 1));
            next = if size < (1_i32 << low) >> 1 {
                0
            } else if size > (1_i32 << high) >> 1 {
                if sign { 16 } else { 12 }
            } else {
                if sign { 8 } else { 4 }
            };
            difference = self.value(bits, bin.plus(14), size, sign)?;
        }
        if let Some(context) = self.contexts.get_mut(part.component) {
            *context = next;
        }
        let last = self.dc.get_mut(part.component).ok_or_else(too_many)?;
        *last = last.wrapping_add(difference);
        set(block, 0, last.wrapping_shl(scan.low.into()))
    }

    fn first_ac(
        &mut self,
        bits: &Bits,
        scan: &Scan,
        part: &Part,
        block: &mut Block,
    ) -> Result<(), StreamError> {
        let table = usize::from(part.ac);
        let (first, last) = scan.band;
        let mut at = first.max(1);
        while at <= last {
            if self.decide(bits, bin_of(table, at))? {
                break; // end of block
            }
            while !self.decide(bits, bin_of(table, at).plus(1))? {
                at = at.saturating_add(1);
                if at > last {
                    return Err(too_many());
                }
            }
            let sign = self.decide(bits, Bin::Half)?;
            let mut bin = bin_of(table, at).plus(2);
            let mut size = i32::from(self.decide(bits, bin)?);
            if size > 0 && self.decide(bits, bin)? {
                let low = self.ac_bounds.get(table).copied().unwrap_or(5);
                let start = if at <= usize::from(low) { 189 } else { 217 };
                (bin, size) = self.double(bits, Bin::Ac(table, start), 2)?;
            }
            let value = self.value(bits, bin.plus(14), size, sign)?;
            set(block, at, value.wrapping_shl(scan.low.into()))?;
            at = at.saturating_add(1);
        }
        Ok(())
    }

    fn refine_ac(
        &mut self,
        bits: &Bits,
        scan: &Scan,
        part: &Part,
        block: &mut Block,
    ) -> Result<(), StreamError> {
        let table = usize::from(part.ac);
        let (first, last) = scan.band;
        let known = block
            .iter()
            .take(last.saturating_add(1))
            .rposition(|&c| c != 0)
            .unwrap_or(0);
        let mut at = first;
        while at <= last {
            if at > known && self.decide(bits, bin_of(table, at))? {
                break; // end of block
            }
            loop {
                let bin = bin_of(table, at);
                let coefficient = block.get_mut(at).ok_or_else(too_many)?;
                if *coefficient != 0 {
                    if self.decide(bits, bin.plus(2))? {
                        refine(coefficient, scan.low);
                    }
                    break;
                }
                if self.decide(bits, bin.plus(1))? {
                    let bit = 1_i16.wrapping_shl(scan.low.into());
                    let sign = self.decide(bits, Bin::Half)?;
                    *coefficient = if sign { bit.wrapping_neg() } else { bit };
                    break;
                }
                at = at.saturating_add(1);
                if at > last {
                    return Err(too_many());
                }
            }
            at = at.saturating_add(1);
        }
        Ok(())
    }
}

/// The first of the three estimations of an AC coefficient.
fn bin_of(table: usize, coefficient: usize) -> Bin {
    Bin::Ac(table, coefficient.saturating_sub(1).saturating_mul(3))
}
