//! Reads the marker segments of a main header, and checks every byte of those that go out.
//!
//! A segment whose length does not follow from its fields has room for text, and one flipped bit
//! turns a comment into such a segment: so a length must be exactly what T.800 Annex A says.

use super::{Component, malformed, marker, u16_at, u32_at};
use crate::error::StreamError;

/// Most decomposition levels that COD may declare (T.800 Table A.15).
const MAX_DECOMPOSITIONS: u8 = 32;
/// Codes of progression orders run from 0 to this (T.800 Table A.16).
const LAST_PROGRESSION: u8 = 4;

/// What SIZ says (T.800 A.5.1).
pub(super) struct Siz {
    pub(super) rsiz: u16,
    pub(super) columns: u32,
    pub(super) rows: u32,
    pub(super) components: Vec<Component>,
}

/// What COD says (T.800 A.6.1).
#[derive(Clone, Copy)]
pub(super) struct Cod {
    pub(super) layers: u16,
    pub(super) mct: bool,
    pub(super) decompositions: u8,
    pub(super) reversible: bool,
}

pub(super) fn read_siz(segment: &[u8], at: usize) -> Result<Siz, StreamError> {
    let wrong = |_| malformed("an SIZ that is too short", at);
    let field = |offset: usize| u32_at(segment, offset).map_err(wrong);
    let extent = |end: u32, start: u32| {
        end.checked_sub(start)
            .filter(|&size| size > 0)
            .ok_or_else(|| malformed("an SIZ without a picture", at))
    };
    let count = u16_at(segment, 38).map_err(wrong)?;
    let entries = segment.get(40..).unwrap_or_default();
    if count == 0 || usize::from(count).saturating_mul(3) != entries.len() {
        return Err(malformed(
            "an SIZ whose length does not fit its components",
            at,
        ));
    }
    let components = entries
        .chunks_exact(3)
        .map(|entry| match *entry {
            [ssiz, horizontal, vertical] if horizontal > 0 && vertical > 0 => Ok(Component {
                depth: (ssiz & 0x7F).saturating_add(1),
                signed: ssiz & 0x80 != 0,
                horizontal,
                vertical,
            }),
            _ => Err(malformed("an SIZ with a sample separation of 0", at)),
        })
        .collect::<Result<_, _>>()?;
    Ok(Siz {
        rsiz: u16_at(segment, 4).map_err(wrong)?,
        columns: extent(field(6)?, field(14)?)?,
        rows: extent(field(10)?, field(18)?)?,
        components,
    })
}

pub(super) fn read_cod(segment: &[u8], at: usize) -> Result<Cod, StreamError> {
    let wrong = || malformed("a COD of wrong length or content", at);
    let [
        _,
        _,
        _,
        _,
        scod,
        progression,
        layers1,
        layers0,
        mct,
        style @ ..,
    ] = segment
    else {
        return Err(wrong());
    };
    if *progression > LAST_PROGRESSION || *scod > 7 {
        return Err(wrong());
    }
    let style = read_style(style, scod & 1 != 0).ok_or_else(wrong)?;
    Ok(Cod {
        layers: u16::from_be_bytes([*layers1, *layers0]),
        mct: flag(*mct)?,
        decompositions: style.decompositions,
        reversible: flag(style.wavelet)?,
    })
}

/// Values above 1 belong to the extensions of part 2.
fn flag(value: u8) -> Result<bool, StreamError> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(StreamError::Unsupported(
            "JPEG 2000 with extensions of part 2",
        )),
    }
}

/// The parameters of COD and COC from the decompositions on (T.800 A.6.1).
struct Style {
    decompositions: u8,
    wavelet: u8,
}

fn read_style(bytes: &[u8], has_precincts: bool) -> Option<Style> {
    let [decompositions, width, height, _, wavelet, precincts @ ..] = bytes else {
        return None;
    };
    let want = if has_precincts {
        usize::from(*decompositions).saturating_add(1)
    } else {
        0
    };
    let is_right = *decompositions <= MAX_DECOMPOSITIONS
        && precincts.len() == want
        // A code block has at most 4096 samples (T.800 Table A.18).
        && width.saturating_add(*height) <= 8;
    is_right.then_some(Style {
        decompositions: *decompositions,
        wavelet: *wavelet,
    })
}

/// The coding styles and quantisations of a main header, each of which may stand there once.
///
/// A second one would say nothing that a decoder needs: it is what a comment became when one bit
/// of its marker fell.
#[derive(Default)]
pub(super) struct Styles<'a> {
    found: Vec<(u16, &'a [u8], usize)>,
}

impl<'a> Styles<'a> {
    /// Notes a QCD, QCC or COC segment that begins at `at`.
    pub(super) fn add(&mut self, code: u16, segment: &'a [u8], at: usize) {
        self.found.push((code, segment, at));
    }

    /// Whether a component has a coding style of its own.
    pub(super) fn has_coc(&self) -> bool {
        self.found.iter().any(|(code, _, _)| *code == marker::COC)
    }

    /// Checks every byte of them.
    ///
    /// # Errors
    ///
    /// [`StreamError::Malformed`] if one comes twice, the QCD is missing, or the length of one or
    /// a code in it is none of T.800 Annex A's.
    pub(super) fn check(&self, cod: Cod) -> Result<(), StreamError> {
        let of_all = (cod.decompositions, cod.reversible);
        let (mut styles, mut quantised) = ([of_all; MAX_COMPONENTS], [false; MAX_COMPONENTS]);
        let mut own_styles = [false; MAX_COMPONENTS];
        let mut has_qcd = false;
        let in_order = |code| self.found.iter().filter(move |found| found.0 == code);
        for &(_, segment, at) in in_order(marker::COC) {
            let (component, rest) = component_of(segment, at)?;
            once(own_styles.get_mut(component), at)?;
            let style = match rest {
                [scoc @ 0..=1, style @ ..] => read_style(style, *scoc == 1),
                _ => None,
            };
            let (slot, style) = styles.get_mut(component).zip(style).ok_or(wrong(at))?;
            *slot = (style.decompositions, flag(style.wavelet)?);
        }
        for &(_, segment, at) in in_order(marker::QCC) {
            let (component, steps) = component_of(segment, at)?;
            once(quantised.get_mut(component), at)?;
            let style = styles.get(component).ok_or(wrong(at))?;
            if !is_quantisation(steps, *style) {
                return Err(wrong(at));
            }
        }
        for &(_, segment, at) in in_order(marker::QCD) {
            once(Some(&mut has_qcd), at)?;
            if !is_quantisation(segment.get(4..).unwrap_or_default(), of_all) {
                return Err(wrong(at));
            }
        }
        if has_qcd {
            Ok(())
        } else {
            Err(malformed("no QCD", 0))
        }
    }
}

/// Most components that a frame may have: their index takes one byte.
const MAX_COMPONENTS: usize = 3;

fn wrong(at: usize) -> StreamError {
    malformed("a segment of wrong length or content", at)
}

fn once(seen: Option<&mut bool>, at: usize) -> Result<(), StreamError> {
    let is_again = seen.is_none_or(|seen| std::mem::replace(seen, true));
    if is_again {
        Err(malformed("a segment that comes twice", at))
    } else {
        Ok(())
    }
}

fn component_of(segment: &[u8], at: usize) -> Result<(usize, &[u8]), StreamError> {
    match segment.get(4..) {
        Some([component, rest @ ..]) if usize::from(*component) < MAX_COMPONENTS => {
            Ok((usize::from(*component), rest))
        }
        _ => Err(wrong(at)),
    }
}

/// Whether a quantisation style holds the steps of all sub-bands, and no more (T.800 A.6.4).
///
/// The reversible wavelet has steps of 1, of which only the exponent is told, in five of eight
/// bits.
fn is_quantisation(bytes: &[u8], (decompositions, reversible): (u8, bool)) -> bool {
    let Some((style, steps)) = bytes.split_first() else {
        return false;
    };
    let sub_bands = usize::from(decompositions)
        .saturating_mul(3)
        .saturating_add(1);
    match (style & 0x1F, reversible) {
        (0, true) => {
            steps.len() == sub_bands && steps.iter().all(|step| step.trailing_zeros() >= 3)
        }
        (1, false) => steps.len() == 2,
        (2, false) => steps.len() == sub_bands.saturating_mul(2),
        _ => false,
    }
}
