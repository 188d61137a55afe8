//! Deflate tiles become frames without their wrapping, and nothing else.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]
#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]

mod common;

use common::*;
use coverslip_core::{Codec, Error, deflate};

const HEADER: [u8; 2] = [0x78, 0x01];

/// A stored block of RFC 1951 3.2.4.
fn bare(samples: &[u8]) -> Vec<u8> {
    let len = u16::try_from(samples.len()).unwrap();
    let lengths = [len.to_le_bytes(), (!len).to_le_bytes()].concat();
    [&[1], &lengths[..], samples].concat()
}

/// RFC 1950 9, as it stands there.
fn adler32(samples: &[u8]) -> [u8; 4] {
    let (mut s1, mut s2) = (1_u32, 0_u32);
    for &byte in samples {
        s1 = (s1 + u32::from(byte)) % 65521;
        s2 = (s2 + s1) % 65521;
    }
    (s2 << 16 | s1).to_be_bytes()
}

fn tile(samples: &[u8]) -> Vec<u8> {
    [&HEADER[..], &bare(samples), &adler32(samples)].concat()
}

fn codec(blank: Option<Vec<u8>>) -> Codec {
    let recipe = deflate::Recipe {
        columns: 4,
        rows: 2,
        pixel_bytes: 1,
    };
    Codec::Deflated { recipe, blank }
}

fn samples(seed: u8) -> Vec<u8> {
    (seed..seed + 8).collect()
}

#[test]
fn frames_are_the_bare_streams_made_even() {
    let slide = Slide::new(&[tile(&samples(1)), tile(&samples(20))]);
    let frames = slide.convert(codec(None)).unwrap();
    for (frame, seed) in frames.iter().zip([1, 20]) {
        assert_eq!(*frame, [&bare(&samples(seed))[..], &[0]].concat());
    }
}

#[test]
fn what_stands_behind_the_checksum_stays_behind() {
    let padded = [&tile(&samples(1))[..], b"a name"].concat();
    let frames = Slide::one(&padded).convert(codec(None)).unwrap();
    assert_eq!(frames, [[&bare(&samples(1))[..], &[0]].concat()]);
}

#[test]
fn missing_tiles_become_the_blank_frame() {
    let blank = bare(&[255; 8]);
    let slide = Slide::new(&[tile(&samples(1)), Vec::new()]);
    let frames = slide.convert(codec(Some(blank.clone()))).unwrap();
    assert_eq!(frames[1], [&blank[..], &[0]].concat());
    let error = slide.plan(codec(None)).unwrap_err();
    assert!(matches!(error, Error::NoBlankFrame { tile: 1 }), "{error}");
}

#[test]
fn every_byte_of_a_tile_that_is_changed_or_cut_off_is_noticed() {
    let good = tile(&samples(1));
    for len in 1..good.len() {
        let error = Slide::one(&good[..len]).plan(codec(None)).unwrap_err();
        assert!(matches!(error, Error::Tile { tile: 0, .. }), "{error}");
    }
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 2;
        assert!(Slide::one(&bad).plan(codec(None)).is_err(), "{at}");
    }
}

#[test]
fn another_number_of_samples_is_an_error() {
    for len in [0_u8, 1, 7, 9] {
        let samples: Vec<u8> = (0..len).collect();
        let result = Slide::one(&tile(&samples)).plan(codec(None));
        assert!(reason(result).contains("a Deflate stream that is"));
    }
}

#[test]
fn a_frame_that_was_changed_is_found_when_it_is_read_back() {
    let slide = Slide::one(&tile(&samples(1)));
    let (source, plan) = slide.plan(codec(None)).unwrap();
    let path = slide.path_for("out.dcm");
    let table = write(&source, &plan, &path, None).unwrap().offset_table;
    let at = Parsed::read(&path, table).frames_at[0];
    for byte in 0..14 {
        let changed = rewrite(&path, |bytes| bytes[at + byte] ^= 0x10);
        assert!(verify(&source, &plan, &changed, table).is_err(), "{byte}");
    }
}
