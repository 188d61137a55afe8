//! A cut picture holds the coefficients of the picture, or there is an error that says why not.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]
#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]

mod common;

use std::fs::{self, File};

use common::drawn::*;
use common::*;
use coverslip_core::jpeg::{Colour, Recipe, SharedTables};
use coverslip_core::watch::Unwatched;
use coverslip_core::{
    ByteRange, Error, Limits, Picture, Source, Strips, prove_retiled, retile, stitch_strips,
};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use proptest::prelude::*;

const FRAME: u16 = 32;

fn recipe() -> Recipe {
    Recipe {
        tables: SharedTables::default(),
        colour: Colour::Ybr,
        is_emitted: false,
        columns: FRAME,
        rows: FRAME,
    }
}

struct Cut {
    slide: Slide,
    picture: Picture,
}

impl Cut {
    fn new(stream: &[u8], width: u16, height: u16) -> Self {
        let slide = Slide::one(stream);
        let picture = Picture {
            range: slide.ranges[0],
            columns: width.into(),
            rows: height.into(),
            starts: None,
            private: Vec::new(),
        };
        Self { slide, picture }
    }

    fn of(drawn: &Drawn) -> Self {
        Self::new(&drawn.encode(), drawn.width, drawn.height)
    }

    fn retile(&self) -> Result<Vec<ByteRange>, Error> {
        let spool = self.slide.path_for("spool");
        let file = File::create(spool).unwrap();
        let limits = Limits::default();
        retile(
            &self.slide.source(),
            &self.picture,
            &recipe(),
            &file,
            &limits,
            &mut Unwatched,
        )
    }

    fn prove(&self, ranges: &[ByteRange]) -> Result<(), Error> {
        let spool = Source::open(&self.slide.path_for("spool")).unwrap();
        prove_retiled(
            &self.slide.source(),
            &self.picture,
            &recipe(),
            (&spool, ranges),
            &Limits::default(),
            &mut Unwatched,
        )
    }

    fn frames(&self) -> Vec<Vec<u8>> {
        let ranges = self.retile().unwrap();
        self.prove(&ranges).unwrap();
        let spool = fs::read(self.slide.path_for("spool")).unwrap();
        let slice = |range: &ByteRange| {
            let start = usize::try_from(range.offset).unwrap();
            spool[start..start + usize::try_from(range.byte_count).unwrap()].to_vec()
        };
        ranges.iter().map(slice).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn every_picture_is_cut_into_frames_with_its_coefficients(
        width in 1_u16..150,
        height in 1_u16..150,
        sampling in sampling(),
        restart in prop_oneof![Just(0), 1_u16..40],
        seed: u32,
    ) {
        let drawn = Drawn { width, height, sampling, restart, seed };
        let frames = Cut::of(&drawn).frames();
        if sampling == SamplingFactor::R_4_4_4 {
            assert_same_pixels(&drawn, &frames, (FRAME.into(), FRAME.into()));
        }
    }

    #[test]
    fn damaged_pictures_are_errors_or_proven(at in 0_usize..6000, bit in 0_u8..8, restart in 0_u16..9) {
        let mut stream = Drawn { restart, ..Drawn::plain() }.encode();
        let at = at % stream.len();
        stream[at] ^= 1 << bit;
        let cut = Cut::new(&stream, 100, 70);
        if let Ok(ranges) = cut.retile() {
            // Bytes that were stitched may have been damaged before.
            let proof = cut.prove(&ranges);
            prop_assert!(!matches!(proof, Err(Error::Verify { .. })), "{proof:?}");
        }
    }

    #[test]
    fn recorded_starts_change_nothing(
        restart in prop_oneof![Just(4_u16), Just(13), Just(52)],
        shift in prop_oneof![Just(0_u64), Just(1), Just(u64::MAX / 2)],
    ) {
        let drawn = Drawn { restart, ..Drawn::plain() };
        let stream = drawn.encode();
        let mut cut = Cut::new(&stream, drawn.width, drawn.height);
        let plain = cut.frames();
        let scan = stream.windows(2).position(|pair| pair == [0xFF, 0xDA]).unwrap();
        let first = scan + 2 + usize::from(stream[scan + 3]);
        let mut starts = vec![u64::try_from(first).unwrap()];
        for at in first..stream.len() - 1 {
            if stream[at] == 0xFF && (0xD0..=0xD7).contains(&stream[at + 1]) {
                starts.push(u64::try_from(at + 2).unwrap().wrapping_add(shift));
            }
        }
        cut.picture.starts = Some(starts);
        prop_assert_eq!(cut.frames(), plain);
    }
}

#[test]
fn whole_restart_intervals_are_stitched_of_their_bytes() {
    let drawn = Drawn {
        width: 104,
        restart: 1,
        ..Drawn::plain()
    };
    let stream = drawn.encode();
    let frames = Cut::of(&drawn).frames();
    let intervals = |bytes: &[u8]| -> Vec<Vec<u8>> {
        let scan = bytes
            .windows(2)
            .position(|pair| pair == [0xFF, 0xDA])
            .unwrap();
        let body = &bytes[scan + 14..bytes.len() - 2];
        let mut found = vec![Vec::new()];
        let mut at = 0;
        while at < body.len() {
            if body[at] == 0xFF && (0xD0..=0xD7).contains(&body[at + 1]) {
                assert_eq!(
                    body[at + 1],
                    0xD0 + u8::try_from((found.len() - 1) % 8).unwrap()
                );
                found.push(Vec::new());
                at += 2;
            } else {
                found.last_mut().unwrap().push(body[at]);
                at += 1;
            }
        }
        found
    };
    let whole = intervals(&stream);
    assert_eq!(whole.len(), 13 * 9);
    // Frame 1 of the first row: MCUs 4 to 7 of the first four rows.
    let second = intervals(&frames[1]);
    let expected: Vec<_> = (0..4)
        .flat_map(|row| whole[row * 13 + 4..row * 13 + 8].to_vec())
        .collect();
    assert_eq!(second, expected);
    assert_eq!(intervals(&frames[3]).len(), 16);
}

fn picture_error(cut: &Cut) -> String {
    cut.retile().unwrap_err().to_string()
}

#[test]
fn restart_markers_out_of_order_are_an_error() {
    let mut stream = Drawn {
        restart: 4,
        ..Drawn::plain()
    }
    .encode();
    let second = stream
        .windows(2)
        .position(|pair| pair == [0xFF, 0xD1])
        .unwrap();
    stream[second + 1] = 0xD5;
    let error = picture_error(&Cut::new(&stream, 100, 70));
    assert!(error.contains("restart markers out of order"), "{error}");
}

#[test]
fn data_that_ends_too_soon_is_an_error() {
    for restart in [0, 4] {
        let stream = Drawn {
            restart,
            ..Drawn::plain()
        }
        .encode();
        let error = picture_error(&Cut::new(&stream[..stream.len() / 2], 100, 70));
        assert!(
            error.contains("ends inside an MCU") || error.contains("fewer restart"),
            "{error}"
        );
    }
}

#[test]
fn a_picture_of_another_size_is_an_error() {
    let stream = Drawn::plain().encode();
    assert!(picture_error(&Cut::new(&stream, 100, 90)).contains("its picture is 100x70"));
}

#[test]
fn frames_that_are_no_whole_mcus_are_refused() {
    let drawn = Drawn {
        sampling: SamplingFactor::R_4_2_0,
        ..Drawn::plain()
    };
    let cut = Cut::of(&drawn);
    let odd = Recipe {
        columns: 24,
        ..recipe()
    };
    let file = File::create(cut.slide.path_for("spool")).unwrap();
    let limits = Limits::default();
    let source = cut.slide.source();
    let result = retile(&source, &cut.picture, &odd, &file, &limits, &mut Unwatched);
    assert!(reason(result).contains("no whole MCUs"));
}

#[test]
fn a_picture_that_shares_bytes_with_something_private_is_refused() {
    let mut cut = Cut::of(&Drawn::plain());
    cut.picture.private = vec![ByteRange {
        offset: cut.picture.range.offset + 900,
        byte_count: 1,
    }];
    assert!(picture_error(&cut).contains("shares bytes"));
}

#[test]
fn more_data_than_the_limit_is_not_read_at_once() {
    let cut = Cut::of(&Drawn::plain());
    let file = File::create(cut.slide.path_for("spool")).unwrap();
    let limits = Limits {
        picture_bytes: 1000,
        ..Limits::default()
    };
    let source = cut.slide.source();
    let result = retile(
        &source,
        &cut.picture,
        &recipe(),
        &file,
        &limits,
        &mut Unwatched,
    );
    assert!(reason(result).contains("picture_bytes"));
}

/// One bit of one frame, wherever it lies behind the header, changes a coefficient or breaks it.
#[test]
fn a_changed_bit_in_a_frame_is_found() {
    let cut = Cut::of(&Drawn::plain());
    let ranges = cut.retile().unwrap();
    let spool = cut.slide.path_for("spool");
    let whole = fs::read(&spool).unwrap();
    let header = whole
        .windows(2)
        .position(|pair| pair == [0xFF, 0xDA])
        .unwrap();
    for at in (header + 14..usize::try_from(ranges[0].byte_count).unwrap() - 3).step_by(7) {
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        fs::write(&spool, &changed).unwrap();
        assert!(cut.prove(&ranges).is_err(), "byte {at}");
    }
}

/// Cuts a drawn picture into strips, each a stream of its own.
fn strips(drawn: &Drawn, rows: u16) -> Vec<Vec<u8>> {
    let pixels = drawn.pixels();
    let row_bytes = usize::from(drawn.width) * 3;
    pixels
        .chunks(row_bytes * usize::from(rows))
        .map(|strip| {
            let height = u16::try_from(strip.len() / row_bytes).unwrap();
            let mut out = Vec::new();
            let mut encoder = Encoder::new(&mut out, 60);
            encoder.set_sampling_factor(drawn.sampling);
            if drawn.restart > 0 {
                encoder.set_restart_interval(drawn.restart);
            }
            encoder
                .encode(strip, drawn.width, height, ColorType::Rgb)
                .unwrap();
            out
        })
        .collect()
}

fn stitch(drawn: &Drawn, strips: &[Vec<u8>], rows: u32) -> Result<Vec<u8>, Error> {
    let slide = Slide::new(strips);
    let whole = Strips {
        ranges: slide.ranges.clone(),
        rows,
        private: Vec::new(),
    };
    let recipe = Recipe {
        columns: drawn.width,
        rows: drawn.height,
        ..recipe()
    };
    stitch_strips(&slide.source(), &whole, &recipe, &Limits::default())
}

/// What an independent decoder makes of the entropy-coded bytes, strip by strip and as a whole.
#[test]
fn stitched_strips_show_what_the_strips_show() {
    for restart in [0, 13] {
        let drawn = Drawn {
            restart,
            ..Drawn::plain()
        };
        let parts = strips(&drawn, 16);
        assert_eq!(parts.len(), 5);
        let (_, whole) = decode(&stitch(&drawn, &parts, 16).unwrap());
        let apart: Vec<u8> = parts.iter().flat_map(|part| decode(part).1).collect();
        assert_eq!(whole, apart);
    }
}

#[test]
fn stitched_strips_hold_the_entropy_coded_bytes_of_the_strips() {
    let drawn = Drawn::plain();
    let parts = strips(&drawn, 8);
    let whole = stitch(&drawn, &parts, 8).unwrap();
    let body = |stream: &[u8]| {
        let scan = stream.windows(2).position(|pair| pair == [0xFF, 0xDA]);
        stream[scan.unwrap() + 14..stream.len() - 2].to_vec()
    };
    let mut expected = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        if number > 0 {
            expected.extend([0xFF, 0xD0 + u8::try_from((number - 1) % 8).unwrap()]);
        }
        expected.extend(body(part));
    }
    assert_eq!(body(&whole), expected);
}

#[test]
fn strips_that_cannot_be_one_picture_are_refused() {
    let drawn = Drawn::plain();
    let odd = stitch(&drawn, &strips(&drawn, 12), 12);
    assert!(reason(odd).contains("no whole rows of MCUs"));

    let split = Drawn {
        restart: 9,
        ..Drawn::plain()
    };
    assert!(reason(stitch(&split, &strips(&split, 16), 16)).contains("restart intervals"));

    let mut mixed = strips(&drawn, 16);
    let other = Drawn {
        sampling: SamplingFactor::R_4_2_2,
        ..Drawn::plain()
    };
    mixed[2] = strips(&other, 16)[2].clone();
    assert!(reason(stitch(&drawn, &mixed, 16)).contains("encoded differently"));

    let few = &strips(&drawn, 16)[..4];
    assert!(stitch(&drawn, few, 16).is_err());
}
