//! Scan headers (T.81 B.2.3) of tiles that are decoded.

use super::header::{Segment, malformed, read_scan};
use super::{Facts, marker};
use crate::error::StreamError;

/// What a scan header says (T.81 B.2.3).
#[derive(Debug, Clone)]
pub(crate) struct Scan {
    /// The components by their position, each with its tables of DC and AC.
    pub(crate) parts: Vec<Part>,
    /// First and last coefficient.
    pub(crate) band: (usize, usize),
    /// Bits that earlier scans left out, and that this one does.
    pub(crate) high: u8,
    pub(crate) low: u8,
    pub(crate) is_progressive: bool,
}

/// A component in a scan.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    pub(crate) component: usize,
    pub(crate) dc: u8,
    pub(crate) ac: u8,
}

impl Scan {
    /// Reads an SOS segment that ends at `at`.
    ///
    /// # Errors
    ///
    /// [`StreamError::Malformed`] if it names what the frame header does not, or no coefficients.
    pub(crate) fn read(
        segment: Segment<'_>,
        facts: &Facts,
        at: usize,
    ) -> Result<Self, StreamError> {
        let mut parts = Vec::new();
        for [id, tables] in read_scan(segment, at)? {
            let component = facts.components.iter().position(|c| c.id == *id);
            let part = Part {
                component: component.ok_or(malformed("an SOS with an unknown component", at))?,
                dc: tables >> 4,
                ac: tables & 15,
            };
            if parts
                .iter()
                .any(|other: &Part| other.component >= part.component)
            {
                return Err(malformed("an SOS with components out of order", at));
            }
            parts.push(part);
        }
        let is_progressive = matches!(facts.sof, marker::SOF2 | marker::SOF10);
        let &[.., first, last, bits] = segment.payload() else {
            return Err(malformed("an SOS that is too short", at));
        };
        let (high, low) = (bits >> 4, bits & 15);
        let is_right = if is_progressive {
            let is_dc = (first, last) == (0, 0);
            (is_dc || first > 0 && first <= last && last < 64 && parts.len() == 1)
                && low < 14
                && (high == 0 || high == low.wrapping_add(1))
        } else {
            true // a sequential scan always holds all, whatever it says
        };
        if parts.is_empty() || !is_right {
            return Err(malformed("an SOS with impossible coefficients", at));
        }
        let band = if is_progressive {
            (first.into(), last.into())
        } else {
            (0, 63)
        };
        let (high, low) = if is_progressive { (high, low) } else { (0, 0) };
        Ok(Self {
            parts,
            band,
            high,
            low,
            is_progressive,
        })
    }
}
