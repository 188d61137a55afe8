//! A plan from some tiles is that of all tiles, or it is found out that it is not.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]
#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]

mod common;

use std::fs;

use common::*;
use coverslip_core::jpeg::Colour;
use coverslip_core::{Codec, Error, FramePlan, Limits, Source, deflate, plan_alike};
use proptest::prelude::*;

const TILES: usize = 60;

fn jpeg() -> Codec {
    jpeg_codec(Colour::Ybr, &table_stream(&all_tables(3)))
}

fn jpeg_tile(number: usize) -> Jpeg {
    let len = 2 + number * 7 % 50;
    Jpeg::ycc().with_entropy(&vec![0x55; len])
}

fn jp2k_tile(number: usize) -> J2k {
    let data = vec![0x55; 2 + number * 7 % 50];
    J2k::new().with_tile_parts(&[tile_part(0, &[], &data), tile_part(1, &[], &data)])
}

fn jpeg_tiles() -> Vec<Vec<u8>> {
    (0..TILES).map(|number| jpeg_tile(number).bytes()).collect()
}

fn jp2k_tiles() -> Vec<Vec<u8>> {
    (0..TILES).map(|number| jp2k_tile(number).bytes()).collect()
}

fn sampled(slide: &Slide, codec: &Codec) -> Option<(Source, FramePlan)> {
    let source = slide.source();
    let plan = plan_alike(&source, slide.index(), codec, &Limits::default()).unwrap();
    plan.map(|plan| (source, plan))
}

/// What comes of the sampled plan; if it is written, the file is that of a plan of all tiles.
fn outcome(slide: &Slide, codec: &Codec) -> Option<Result<(), Error>> {
    let (source, plan) = sampled(slide, codec)?;
    let path = slide.path_for("sampled.dcm");
    let report = match write(&source, &plan, &path, None) {
        Ok(report) => report,
        Err(error) => return Some(Err(error)),
    };
    let (_, all) = slide.plan(codec.clone()).unwrap();
    assert_eq!(plan.summary(), all.summary());
    assert_eq!(plan.facts(), all.facts());
    assert_eq!(plan.blank(), all.blank());
    assert!(plan.lengths().eq(all.lengths()));
    let whole = slide.path_for("all.dcm");
    assert_eq!(write(&source, &all, &whole, None).unwrap(), report);
    assert_eq!(fs::read(&path).unwrap(), fs::read(&whole).unwrap());
    if let Err(error) = verify(&source, &plan, &path, report.offset_table) {
        // What a tile hides inside its entropy-coded bytes only the check finds.
        assert!(matches!(error, Error::Frame { .. }), "{error}");
    }
    fs::remove_file(path).unwrap();
    fs::remove_file(whole).unwrap();
    Some(Ok(()))
}

#[test]
fn a_level_of_tiles_that_are_alike_is_planned_from_some() {
    let mut missing = jpeg_tiles();
    missing[0].clear();
    missing[TILES - 1].clear();
    for (tiles, codec) in [
        (jpeg_tiles(), jpeg()),
        (missing, jpeg()),
        (jp2k_tiles(), jp2k_codec(false)),
    ] {
        outcome(&Slide::new(&tiles), &codec).unwrap().unwrap();
    }
}

#[test]
fn a_tile_unlike_the_others_is_found_wherever_it_is() {
    let eoi = [0xFF, 0xD9];
    let odd_jpeg = |number| {
        [
            jpeg_tile(number).with_lead(&dqt(2, 1)).bytes(),
            jpeg_tile(number).with_end(&[]).bytes(),
            jpeg_tile(number).with_end(&[0xFF, 0xD9, 0]).bytes(),
            jpeg_tile(number).sized(32, 16).bytes(),
            jpeg_tile(number).with_lead(&segment(0xFE, b"Doe")).bytes(),
            Jpeg::rgb().bytes(),
            eoi.to_vec(),
            b"no picture".to_vec(),
        ]
    };
    let odd_jp2k = |number| {
        [
            jp2k_tile(number)
                .with_extra(&segment(0x64, b"\0\x01Doe"))
                .bytes(),
            jp2k_tile(number).with_end(&[]).bytes(),
            jp2k_tile(number)
                .with_tile_parts(&[tile_part_of_length(1, 0, &[], b"x")])
                .bytes(),
        ]
    };
    let mut found = 0;
    for at in [1, 2, TILES / 2, TILES - 2, TILES - 1] {
        let jpegs = odd_jpeg(at)
            .into_iter()
            .map(|odd| (odd, jpeg_tiles(), jpeg()));
        let jp2ks = odd_jp2k(at)
            .into_iter()
            .map(|odd| (odd, jp2k_tiles(), jp2k_codec(false)));
        for (odd, mut tiles, codec) in jpegs.chain(jp2ks) {
            tiles[at] = odd;
            match outcome(&Slide::new(&tiles), &codec) {
                None => {} // it was one of the sample
                Some(Err(Error::Unlike { tile })) => {
                    assert_eq!(usize::try_from(tile).unwrap(), at);
                    found += 1;
                }
                Some(other) => panic!("{other:?} of tile {at}"),
            }
        }
    }
    assert!(found > 20);
}

#[test]
fn what_must_be_looked_at_as_a_whole_is_not_planned_from_some() {
    let few: Vec<_> = jpeg_tiles().into_iter().take(10).collect();
    assert!(sampled(&Slide::new(&few), &jpeg()).is_none());
    let mut large = jpeg_tiles();
    large[30] = Jpeg::ycc().with_entropy(&vec![0x55; 1 << 18]).bytes();
    assert!(sampled(&Slide::new(&large), &jpeg()).is_none());
    let recipe = deflate::Recipe {
        columns: 1,
        rows: 1,
        pixel_bytes: 1,
    };
    let codec = Codec::Deflated {
        recipe,
        blank: None,
    };
    assert!(sampled(&Slide::new(&jpeg_tiles()), &codec).is_none());
}

proptest! {
    #[test]
    fn whatever_becomes_of_a_tile_the_file_is_that_of_a_plan_of_all_tiles(
        is_jpeg in any::<bool>(),
        at in 0..TILES,
        position in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let (mut tiles, codec) = if is_jpeg {
            (jpeg_tiles(), jpeg())
        } else {
            (jp2k_tiles(), jp2k_codec(false))
        };
        let tile = &mut tiles[at];
        let position = position.index(tile.len());
        tile[position] = byte;
        if let Some(cut) = cut {
            tile.truncate(cut.index(tile.len()));
        }
        match outcome(&Slide::new(&tiles), &codec) {
            None | Some(Ok(()) | Err(Error::Unlike { .. })) => {}
            Some(Err(error)) => panic!("{error}"),
        }
    }
}
