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

/// Checks a segment that goes out and that nothing else here reads.
///
/// # Errors
///
/// [`StreamError::Malformed`] if its length or a code in it is none of T.800 Annex A's.
pub(super) fn check_kept(
    code: u16,
    segment: &[u8],
    cod: Cod,
    at: usize,
) -> Result<(), StreamError> {
    let payload = segment.get(4..).unwrap_or_default();
    let is_right = match code {
        marker::QCD => is_quantisation(payload, cod.decompositions),
        // With fewer than 257 components their index takes one byte.
        marker::QCC => payload.split_first().is_some_and(|(component, style)| {
            *component < 3 && is_quantisation(style, MAX_DECOMPOSITIONS)
        }),
        marker::COC => match payload {
            [component, scoc, style @ ..] => {
                *component < 3 && *scoc < 2 && read_style(style, *scoc == 1).is_some()
            }
            _ => false,
        },
        _ => true,
    };
    if is_right {
        Ok(())
    } else {
        Err(malformed("a segment of wrong length or content", at))
    }
}

/// Whether a quantisation style holds the steps of at most so many decompositions, and no more
/// (T.800 A.6.4).
fn is_quantisation(bytes: &[u8], most_decompositions: u8) -> bool {
    let Some((style, steps)) = bytes.split_first() else {
        return false;
    };
    let sub_bands = |count: usize| count % 3 == 1 && count / 3 <= most_decompositions.into();
    match style & 0x1F {
        0 => sub_bands(steps.len()),
        1 => steps.len() == 2,
        2 => steps.len() % 2 == 0 && sub_bands(steps.len() / 2),
        _ => false,
    }
}
