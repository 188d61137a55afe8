//! A frame that was coded anew holds the coefficients of its tile, or there is an error.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]
#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]

use std::fs::{self, File};

use coverslip_core::jpeg::{Colour, Recipe, SharedTables};
use coverslip_core::watch::Unwatched;
use coverslip_core::{
    ByteRange, Error, Limits, Mosaic, Rewritten, Source, prove_rewritten, rewrite,
};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use proptest::prelude::*;

const TILE: u16 = 64;

/// A tile of noise on a slope, encoded by somebody else.
fn encode(size: (u16, u16), sampling: SamplingFactor, is_progressive: bool, seed: u32) -> Vec<u8> {
    let mut state = seed | 1;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        u8::try_from(state >> 24).unwrap()
    };
    let pixels: Vec<u8> = (0..usize::from(size.0) * usize::from(size.1))
        .flat_map(|at| {
            let slope = u8::try_from(at % 251).unwrap();
            [slope, noise(), slope / 2 + noise() / 8]
        })
        .collect();
    let mut stream = Vec::new();
    let mut encoder = Encoder::new(&mut stream, 90);
    encoder.set_sampling_factor(sampling);
    encoder.set_progressive(is_progressive);
    encoder
        .encode(&pixels, size.0, size.1, ColorType::Rgb)
        .unwrap();
    stream
}

fn decode(stream: &[u8]) -> Vec<u8> {
    jpeg_decoder::Decoder::new(stream).decode().unwrap()
}

struct Case {
    _folder: tempfile::TempDir,
    result: Result<Rewritten, Error>,
    proven: Result<u64, Error>,
    spool: Vec<u8>,
}

/// Writes tiles into a file, rewrites them and proves it.
fn run(tiles: &[Vec<u8>], change: impl FnOnce(&mut Mosaic)) -> Case {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiles");
    fs::write(&path, tiles.concat()).unwrap();
    let mut offset = 0;
    let ranges = tiles.iter().map(|tile| {
        let byte_count = u64::try_from(tile.len()).unwrap();
        offset += byte_count;
        ByteRange {
            offset: offset - byte_count,
            byte_count,
        }
    });
    let mut mosaic = Mosaic {
        ranges: ranges.collect(),
        across: u32::try_from(tiles.len()).unwrap(),
        tile: (TILE.into(), TILE.into()),
        overlap: (0, 0),
        size: (
            u32::from(TILE) * u32::try_from(tiles.len()).unwrap(),
            TILE.into(),
        ),
        planes: 1,
        private: Vec::new(),
    };
    change(&mut mosaic);
    let recipe = Recipe {
        tables: SharedTables::default(),
        colour: Colour::Ybr,
        is_emitted: false,
        columns: TILE,
        rows: TILE,
    };
    let source = Source::open(&path).unwrap();
    let spool_path = folder.path().join("spool");
    let spool = File::create(&spool_path).unwrap();
    let limits = Limits::default();
    let result = rewrite(&source, &mosaic, &recipe, &spool, &limits, &mut Unwatched);
    let ranges = result
        .as_ref()
        .map_or(Vec::new(), |written| written.ranges.clone());
    let written = Source::open(&spool_path).unwrap();
    let frames = (&written, &ranges[..]);
    let proven = prove_rewritten(&source, &mosaic, &recipe, frames, &limits, &mut Unwatched);
    Case {
        spool: fs::read(&spool_path).unwrap(),
        _folder: folder,
        result,
        proven,
    }
}

fn frame(case: &Case, number: usize) -> &[u8] {
    let range = case.result.as_ref().unwrap().ranges[number];
    let start = usize::try_from(range.offset).unwrap();
    &case.spool[start..start + usize::try_from(range.byte_count).unwrap()]
}

#[test]
fn progressive_tiles_become_frames_that_decode_alike() {
    for sampling in [
        SamplingFactor::R_4_4_4,
        SamplingFactor::R_4_2_2,
        SamplingFactor::R_4_2_0,
    ] {
        let tile = encode((TILE, TILE), sampling, true, 3);
        let case = run(std::slice::from_ref(&tile), |_| {});
        case.proven.as_ref().unwrap();
        assert_eq!(case.result.as_ref().unwrap().rewritten(), 1);
        assert_eq!(decode(frame(&case, 0)), decode(&tile));
    }
}

#[test]
fn tiles_that_can_be_frames_keep_their_entropy_coded_bytes() {
    let plain = encode((TILE, TILE), SamplingFactor::R_4_4_4, false, 3);
    let cut = encode((40, 24), SamplingFactor::R_4_4_4, false, 4);
    let case = run(&[plain.clone(), cut], |mosaic| mosaic.size = (104, 24));
    case.proven.as_ref().unwrap();
    assert_eq!(case.result.as_ref().unwrap().rewritten(), 1);
    let tail = &plain[plain.len() - 500..];
    assert!(frame(&case, 0).ends_with(tail));
}

#[test]
fn cut_tiles_are_refused_where_the_level_goes_on() {
    let cut = encode((40, 24), SamplingFactor::R_4_4_4, false, 4);
    let case = run(&[cut.clone(), cut], |_| {});
    assert!(matches!(case.result, Err(Error::Tile { tile: 0, .. })));
}

#[test]
fn missing_tiles_are_left_to_the_plan() {
    let tile = encode((TILE, TILE), SamplingFactor::R_4_2_0, true, 9);
    let case = run(&[tile.clone(), Vec::new(), tile], |_| {});
    case.proven.as_ref().unwrap();
    let written = case.result.as_ref().unwrap();
    assert_eq!((written.ranges[1].byte_count, written.rewritten()), (0, 2));
}

#[test]
fn overlaps_are_cut_off_and_partly_missing_frames_are_white_there() {
    let tile = |seed| encode((TILE, TILE), SamplingFactor::R_4_4_4, true, seed);
    let case = run(&[tile(1), Vec::new(), tile(3)], |mosaic| {
        mosaic.overlap = (16, 0);
        mosaic.size = (160, 64);
    });
    case.proven.as_ref().unwrap();
    let shown = decode(frame(&case, 0));
    let at = |x: usize| &shown[3 * (5 * usize::from(TILE) + x)..][..3];
    assert_eq!(
        at(20),
        &decode(&tile(1))[3 * (5 * usize::from(TILE) + 20)..][..3]
    );
    assert!(at(60).iter().all(|&sample| sample > 250));
    assert_eq!(case.result.as_ref().unwrap().ranges.len(), 3);
}

#[test]
fn overlap_of_no_whole_mcus_is_refused() {
    let tile = encode((TILE, TILE), SamplingFactor::R_4_2_0, false, 1);
    let case = run(&[tile.clone(), tile], |mosaic| mosaic.overlap = (8, 0));
    let error = case.result.unwrap_err().to_string();
    assert!(error.contains("no whole MCUs"), "{error}");
}

#[test]
fn tiles_of_another_sampling_are_refused() {
    let one = encode((TILE, TILE), SamplingFactor::R_4_2_0, true, 1);
    let other = encode((TILE, TILE), SamplingFactor::R_4_4_4, true, 1);
    let case = run(&[one, other], |_| {});
    assert!(matches!(case.result, Err(Error::Mixed { tile: 1, .. })));
}

#[test]
fn a_changed_frame_is_not_proven() {
    let tile = encode((TILE, TILE), SamplingFactor::R_4_4_4, true, 5);
    let other = encode((TILE, TILE), SamplingFactor::R_4_4_4, true, 6);
    let folder = tempfile::tempdir().unwrap();
    let mosaic = |byte_count| Mosaic {
        ranges: vec![ByteRange {
            offset: 0,
            byte_count,
        }],
        across: 1,
        tile: (TILE.into(), TILE.into()),
        overlap: (0, 0),
        size: (TILE.into(), TILE.into()),
        planes: 1,
        private: Vec::new(),
    };
    let recipe = Recipe {
        tables: SharedTables::default(),
        colour: Colour::Ybr,
        is_emitted: false,
        columns: TILE,
        rows: TILE,
    };
    let spool_path = folder.path().join("spool");
    let wrong = run(&[other], |_| {});
    fs::write(&spool_path, frame(&wrong, 0)).unwrap();
    let path = folder.path().join("tile");
    fs::write(&path, &tile).unwrap();
    let spool = Source::open(&spool_path).unwrap();
    let all = [ByteRange {
        offset: 0,
        byte_count: spool.byte_count(),
    }];
    let proven = prove_rewritten(
        &Source::open(&path).unwrap(),
        &mosaic(u64::try_from(tile.len()).unwrap()),
        &recipe,
        (&spool, &all),
        &Limits::default(),
        &mut Unwatched,
    );
    assert!(matches!(proven, Err(Error::Verify { .. })));
}

#[test]
fn scans_without_end_and_coefficients_without_bound_are_refused() {
    let tile = encode((TILE, TILE), SamplingFactor::R_4_4_4, true, 5);
    let scan = tile
        .windows(2)
        .rposition(|pair| pair == [0xFF, 0xDA])
        .unwrap();
    let mut endless = tile[..tile.len() - 2].to_vec();
    for _ in 0..200 {
        endless.extend_from_slice(&tile[scan..tile.len() - 2]);
    }
    endless.extend([0xFF, 0xD9]);
    assert!(run(&[endless], |_| {}).result.is_err());
    let frame = tile
        .windows(2)
        .position(|pair| pair == [0xFF, 0xC2])
        .unwrap();
    let mut large = tile;
    large[frame + 5..frame + 9].copy_from_slice(&[0xFF, 0xFF, 0xFF, 0xFF]);
    let case = run(&[large], |mosaic| mosaic.tile = (65535, 65535));
    assert!(case.result.is_err());
}

/// Found by the fuzz target `rewrite`: decoders do not agree what such a tile shows.
#[test]
fn a_scan_that_comes_twice_is_refused() {
    for is_progressive in [false, true] {
        let tile = encode((TILE, TILE), SamplingFactor::R_4_2_0, is_progressive, 5);
        let is_scan = |pair: &[u8]| pair == [0xFF, 0xDA];
        let scan = tile.windows(2).rposition(is_scan).unwrap();
        let twice = [&tile[..tile.len() - 2], &tile[scan..]].concat();
        let error = run(&[twice], |_| {}).result.unwrap_err().to_string();
        assert!(error.contains("out of order"), "{error}");
    }
}

/// Found by the fuzz target `rewrite`: T.81 B.2.2 forbids it, and decoders show what they like.
#[test]
fn a_quantisation_that_changes_between_scans_is_refused() {
    let tile = encode((TILE, TILE), SamplingFactor::R_4_2_0, true, 5);
    let find = |marker: u8| move |pair: &[u8]| pair == [0xFF, marker];
    let table = tile.windows(2).position(find(0xDB)).unwrap();
    let scan = tile.windows(2).rposition(find(0xDA)).unwrap();
    let len = 2 + usize::from(u16::from_be_bytes([tile[table + 2], tile[table + 3]]));
    let mut again = tile[table..table + len].to_vec();
    let with = |again: &[u8]| [&tile[..scan], again, &tile[scan..]].concat();
    assert!(run(&[with(&again)], |_| {}).result.is_ok());
    again[20] ^= 1;
    let error = run(&[with(&again)], |_| {}).result.unwrap_err().to_string();
    assert!(error.contains("changes between scans"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn damaged_tiles_give_an_error_or_a_proven_frame(
        seed in any::<u32>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        is_progressive in any::<bool>(),
        process in prop::option::of(0xC0_u8..=0xCF),
    ) {
        let mut tile = encode((48, 40), SamplingFactor::R_4_2_0, is_progressive, seed);
        for (at, value) in changes {
            let at = at.index(tile.len());
            tile[at] = value;
        }
        if let (Some(process), Some(frame)) = (
            process,
            tile.windows(2).position(|pair| matches!(pair, [0xFF, 0xC0 | 0xC2])),
        ) {
            tile[frame + 1] = process;
        }
        let case = run(&[tile], |mosaic| mosaic.size = (48, 40));
        if case.result.is_ok() {
            prop_assert!(!matches!(case.proven, Err(Error::Verify { .. })), "{:?}", case.proven);
        }
    }
}
