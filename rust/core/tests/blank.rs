//! A blank JPEG frame looks white to a decoder that is not ours, and is coded like its level.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]
#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]

mod common;

use common::*;
use coverslip_core::blank;
use coverslip_core::jpeg::{self, Colour};
use jpeg_decoder::{Decoder, PixelFormat};

fn blank_like(tile: &Jpeg, colour: Colour, shared: &[u8], columns: u16, rows: u16) -> Vec<u8> {
    let recipe = jpeg::Recipe {
        columns,
        rows,
        ..recipe(colour, shared)
    };
    blank_of(tile, &recipe)
}

fn blank_of(tile: &Jpeg, recipe: &jpeg::Recipe) -> Vec<u8> {
    let bytes = tile.clone().sized(recipe.columns, recipe.rows).bytes();
    blank::jpeg_frame(recipe, &jpeg::parse_header(&bytes).unwrap()).unwrap()
}

fn assert_white(frame: &[u8], columns: u16, rows: u16, format: PixelFormat) {
    assert_flat(frame, columns, rows, format, 255);
}

fn assert_flat(frame: &[u8], columns: u16, rows: u16, format: PixelFormat, value: u8) {
    let mut decoder = Decoder::new(frame);
    let pixels = decoder.decode().unwrap();
    let info = decoder.info().unwrap();
    assert_eq!(
        (info.width, info.height, info.pixel_format),
        (columns, rows, format)
    );
    assert!(pixels.iter().all(|&sample| sample == value));
}

fn sampled(sampling: u8) -> Jpeg {
    let mut tile = Jpeg::ycc();
    tile.parts[0].sampling = sampling;
    tile
}

#[test]
fn every_sampling_is_white() {
    let shared = table_stream(&all_tables(7));
    for sampling in [0x11, 0x21, 0x12, 0x22, 0x41] {
        let frame = blank_like(&sampled(sampling), Colour::Ybr, &shared, 48, 40);
        assert_white(&frame, 48, 40, PixelFormat::RGB24);
    }
}

#[test]
fn rgb_and_grey_are_white() {
    let shared = table_stream(&all_tables(7));
    let rgb = blank_like(&Jpeg::rgb(), Colour::Rgb, &shared, 48, 40);
    assert_white(&rgb, 48, 40, PixelFormat::RGB24);
    let grey = blank_like(&Jpeg::grey(), Colour::Grey, &shared, 48, 40);
    assert_white(&grey, 48, 40, PixelFormat::L8);
}

#[test]
fn every_quantisation_step_is_black_where_light_is_emitted() {
    for step in 1..=255 {
        let shared = table_stream(&all_tables(step));
        for (tile, colour, format) in [
            (Jpeg::grey(), Colour::Grey, PixelFormat::L8),
            (Jpeg::ycc(), Colour::Ybr, PixelFormat::RGB24),
            (Jpeg::rgb(), Colour::Rgb, PixelFormat::RGB24),
        ] {
            let recipe = jpeg::Recipe {
                is_emitted: true,
                ..recipe(colour, &shared)
            };
            assert_flat(&blank_of(&tile, &recipe), 16, 16, format, 0);
        }
    }
}

#[test]
fn every_quantisation_step_is_white() {
    for step in 1..=255 {
        let shared = table_stream(&all_tables(step));
        let ybr = blank_like(&Jpeg::ycc(), Colour::Ybr, &shared, 16, 16);
        assert_white(&ybr, 16, 16, PixelFormat::RGB24);
        let rgb = blank_like(&Jpeg::rgb(), Colour::Rgb, &shared, 16, 16);
        assert_white(&rgb, 16, 16, PixelFormat::RGB24);
    }
}

#[test]
fn typical_tables_are_white() {
    let tile = Jpeg::ycc().with_lead(&[dqt(0, 3), dqt(1, 3)].concat());
    let frame = blank_like(&tile, Colour::Ybr, &[], 32, 32);
    assert_white(&frame, 32, 32, PixelFormat::RGB24);
}

/// A table with one code cannot say what a white block needs.
#[test]
fn optimised_tables_that_lack_codes_are_white() {
    let mut counts = [0; 16];
    counts[0] = 1;
    let poor = |class: u8, id: u8| {
        segment(
            0xC4,
            &[&[(class << 4) | id][..], &counts, &[class * 5 + 1]].concat(),
        )
    };
    let tables = [
        dqt(0, 1),
        dqt(1, 1),
        poor(0, 0),
        poor(1, 0),
        poor(0, 1),
        poor(1, 1),
    ]
    .concat();
    let frame = blank_like(&Jpeg::ycc(), Colour::Ybr, &table_stream(&tables), 32, 32);
    assert_white(&frame, 32, 32, PixelFormat::RGB24);
}

/// Zero is `1011`, EOB is `111111110`: bytes of ones come at every alignment.
#[test]
fn bytes_of_ones_are_stuffed() {
    let dc: Vec<u8> = (0..12).rev().collect();
    let dc = [&[0x00, 0, 0, 0, 12][..], &[0; 12], &dc].concat();
    let ac = [&[0x10][..], &[1; 9], &[0; 7], &[1, 2, 3, 4, 5, 6, 7, 8, 0]].concat();
    let tables = [dqt(0, 4), segment(0xC4, &dc), segment(0xC4, &ac)].concat();
    let frame = blank_like(
        &Jpeg::grey(),
        Colour::Grey,
        &table_stream(&tables),
        128,
        128,
    );
    assert!(frame.windows(2).any(|pair| pair == [0xFF, 0x00]));
    assert_white(&frame, 128, 128, PixelFormat::L8);
}

#[test]
fn restart_intervals_are_left_out() {
    let tile = Jpeg::ycc().with_lead(&segment(0xDD, &[0, 1]));
    let frame = blank_like(&tile, Colour::Ybr, &table_stream(&all_tables(1)), 64, 64);
    assert!(!markers(&frame).contains(&0xDD));
    assert_white(&frame, 64, 64, PixelFormat::RGB24);
}

#[test]
fn a_size_that_is_no_multiple_of_a_block_is_white() {
    let shared = table_stream(&all_tables(2));
    let frame = blank_like(&Jpeg::ycc(), Colour::Ybr, &shared, 17, 33);
    assert_white(&frame, 17, 33, PixelFormat::RGB24);
}

#[test]
fn missing_tiles_become_equal_even_white_frames() {
    let tile = Jpeg::ycc().bytes();
    let slide = Slide::new(&[Vec::new(), tile, Vec::new()]);
    let shared = table_stream(&all_tables(2));

    let frames = slide.convert(jpeg_codec(Colour::Ybr, &shared)).unwrap();

    assert_eq!(frames[0], frames[2]);
    assert_eq!(frames[0].len() % 2, 0);
    assert_white(&frames[0], 16, 16, PixelFormat::RGB24);
}
