//! A plan says exactly what will be written, or which tile is in the way.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]
#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]

mod common;

use std::time::{Duration, Instant};

use common::*;
use coverslip_core::jpeg::Colour;
use coverslip_core::watch::Unwatched;
use coverslip_core::{
    ByteRange, Codec, Error, Kind, Limits, Source, TileIndex, Watch, jp2k, plan_frames,
};

fn codec() -> Codec {
    jpeg_codec(Colour::Ybr, &table_stream(&all_tables(3)))
}

/// A tile whose header differs from that of any other number.
fn numbered(number: u8) -> Vec<u8> {
    let entropy = vec![0x55; usize::from(number) + 1];
    Jpeg::ycc()
        .with_lead(&dqt(2, number))
        .with_entropy(&entropy)
        .bytes()
}

#[test]
fn lengths_are_those_of_the_written_frames() {
    let mut tiles: Vec<_> = (0..40).map(numbered).collect();
    tiles[3].clear();
    let len = tiles[17].len();
    tiles[17].truncate(len - 2);
    let slide = Slide::new(&tiles);

    let (_, plan) = slide.plan(codec()).unwrap();
    let frames = slide.convert(codec()).unwrap();

    let written: Vec<_> = frames
        .iter()
        .map(|frame| u64::try_from(frame.len()).unwrap())
        .collect();
    assert_eq!(plan.lengths().collect::<Vec<_>>(), written);
    assert!(written.iter().all(|len| len % 2 == 0));
    let summary = plan.summary();
    assert_eq!(summary.frame_bytes, written.iter().sum::<u64>());
    assert_eq!(plan.fragment_bytes(), summary.frame_bytes + 40 * 8);
    assert_eq!(
        (summary.copied, summary.blank, summary.truncated),
        (39, 1, 1)
    );
}

#[test]
fn tiles_unlike_the_first_are_named() {
    let first = Jpeg::ycc().with_tables();
    let mut sampled = first.clone();
    sampled.parts[0].sampling = 0x21;
    let mut renamed = first.clone();
    renamed.parts[0].id = 9;
    let jfif = first
        .clone()
        .with_lead(&segment(0xE0, b"JFIF\0\x01\x02\0\0\x01\0\x01\0\0"));
    let adobe = first
        .clone()
        .with_lead(&segment(0xEE, b"Adobe\0\x64\0\0\0\0\x01"));
    for (other, what) in [
        (
            Jpeg {
                sof: 0xC1,
                ..first.clone()
            },
            "its JPEG process",
        ),
        (sampled, "its components or their sampling"),
        (renamed, "its colour markers"),
        (jfif, "its colour markers"),
        (adobe, "its colour markers"),
    ] {
        let slide = Slide::new(&[Vec::new(), first.bytes(), first.bytes(), other.bytes()]);
        let error = slide.plan(codec()).unwrap_err();
        assert!(matches!(error, Error::Mixed { tile: 3, .. }), "{error}");
        assert!(error.to_string().contains(what), "{error}");
        assert_eq!(error.kind(), Kind::Unsupported);
    }
}

#[test]
fn a_tile_of_another_codec_is_named() {
    let slide = Slide::new(&[Jpeg::ycc().bytes(), J2k::new().bytes()]);
    assert!(matches!(
        slide.plan(codec()),
        Err(Error::Tile { tile: 1, .. })
    ));
}

/// The first chunk of tiles takes long to look at and is bad at its end, the second is bad at
/// its beginning: whoever looks at the second is done first.
#[test]
fn the_first_bad_tile_is_named_whatever_thread_sees_it() {
    let slow = Jpeg::ycc()
        .with_entropy(&vec![0xFF; 20_000])
        .with_end(&[])
        .bytes();
    let good = Jpeg::ycc().bytes();
    let bad = Jpeg::ycc().with_lead(b"junk").bytes();
    let mut slide = Slide::new(&[slow, good, bad]);
    let [slow, good, bad] = slide.ranges[..] else {
        panic!("three tiles")
    };
    slide.ranges = vec![slow; 1023];
    slide.ranges.extend([bad, bad]);
    slide.ranges.extend(vec![good; 5000]);
    let error = slide.plan(codec()).unwrap_err();
    assert!(matches!(error, Error::Tile { tile: 1023, .. }), "{error}");
}

#[test]
fn a_missing_tile_needs_a_blank_frame() {
    let slide = Slide::new(&[J2k::new().bytes(), Vec::new()]);
    let recipe = jp2k::Recipe {
        columns: 16,
        rows: 16,
        set_mct: false,
    };
    let none = Codec::Jpeg2000 {
        recipe,
        blank: None,
    };
    let error = slide.plan(none).unwrap_err();
    assert!(matches!(error, Error::NoBlankFrame { tile: 1 }), "{error}");
    let empty = Codec::Jpeg2000 {
        recipe,
        blank: Some(Vec::new()),
    };
    assert!(slide.plan(empty).is_err());
    let blank = J2k::new()
        .with_tile_parts(&[tile_part(0, &[], &[0x00])])
        .bytes();
    assert_eq!(blank.len() % 2, 1);
    let frames = slide
        .convert(Codec::Jpeg2000 {
            recipe,
            blank: Some(blank.clone()),
        })
        .unwrap();
    assert_eq!(frames[1], [blank, vec![0]].concat());
}

#[test]
fn equal_headers_are_kept_once_and_rebuilt_ones_give_the_same_file() {
    let tiles: Vec<_> = (0..100).map(|number| numbered(number % 7)).collect();
    let slide = Slide::new(&tiles);
    let mut files = Vec::new();
    for kept_header_bytes in [0, 1000, 1 << 20] {
        let limits = Limits {
            kept_header_bytes,
            ..Limits::default()
        };
        let (source, plan) = slide.plan_within(codec(), &limits).unwrap();
        let path = slide.path_for(&format!("{kept_header_bytes}.dcm"));
        let report = write(&source, &plan, &path, None).unwrap();
        assert_eq!(
            verify(&source, &plan, &path, report.offset_table)
                .unwrap()
                .frames_equal,
            100
        );
        files.push(std::fs::read(&path).unwrap());
    }
    assert_eq!(files[0], files[1]);
    assert_eq!(files[0], files[2]);
}

/// Stops at a call, and notes what it was told.
struct Stopwatch {
    stop_at: usize,
    told: Vec<u64>,
}

impl Watch for Stopwatch {
    fn go_on(&mut self, done: u64) -> bool {
        self.told.push(done);
        self.told.len() < self.stop_at
    }
}

fn large_level(slide: &Slide, tiles: usize) -> (Source, TileIndex) {
    let ranges = vec![slide.ranges[0]; tiles];
    let len = std::fs::metadata(&slide.path).unwrap().len();
    (
        slide.source(),
        TileIndex::new(ranges, Vec::new(), len, &Limits::default()).unwrap(),
    )
}

#[test]
fn progress_counts_tiles_up_to_the_last() {
    let slide = Slide::one(&Jpeg::ycc().bytes());
    let (source, tiles) = large_level(&slide, 5000);
    let mut watch = Stopwatch {
        stop_at: usize::MAX,
        told: Vec::new(),
    };
    plan_frames(&source, tiles, codec(), &Limits::default(), &mut watch).unwrap();
    assert!(watch.told.is_sorted());
    assert_eq!(watch.told.last(), Some(&5000));
}

#[test]
fn cancelling_ends_planning_soon() {
    let slow = Jpeg::ycc()
        .with_entropy(&vec![0xFF; 20_000])
        .with_end(&[])
        .bytes();
    let slide = Slide::one(&slow);
    let (source, tiles) = large_level(&slide, 2_000_000);
    let mut watch = Stopwatch {
        stop_at: 1,
        told: Vec::new(),
    };
    let start = Instant::now();
    let result = plan_frames(&source, tiles, codec(), &Limits::default(), &mut watch);
    assert!(matches!(result, Err(Error::Cancelled)));
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn a_level_without_tiles_is_refused_before_anything_is_read() {
    let slide = Slide::one(&[]);
    let tiles = TileIndex::new(slide.ranges.clone(), Vec::new(), 100, &Limits::default());
    assert!(matches!(tiles, Err(Error::NoTiles)));
}

#[test]
fn a_tile_of_more_than_a_fragment_is_a_limit_and_not_a_cut() {
    let header = Jpeg::ycc().bytes();
    let slide = Slide::one(&header);
    let len = (1 << 32) + 10_000;
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(&slide.path)
        .unwrap();
    file.set_len(len).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[0x01, 0xFF, 0xD9], len - 3).unwrap();
    let limits = Limits {
        tile_bytes: u64::MAX,
        ..Limits::default()
    };
    let offset = slide.ranges[0].offset;
    let range = ByteRange {
        offset,
        byte_count: len - offset,
    };
    let tiles = TileIndex::new(vec![range], Vec::new(), len, &limits).unwrap();
    let result = plan_frames(&slide.source(), tiles, codec(), &limits, &mut Unwatched);
    assert!(matches!(
        result,
        Err(Error::Limit {
            name: "tile_bytes",
            ..
        })
    ));
}

#[test]
fn a_tile_is_inspected_by_its_first_bytes() {
    let slide = Slide::new(&[Jpeg::ycc().bytes(), J2k::new().bytes(), b"junk".to_vec()]);
    let source = slide.source();
    let inspect = |tile: u64| {
        let range = slide.ranges[usize::try_from(tile).unwrap()];
        coverslip_core::codec::inspect(&source, tile, range, (16, 16), &Limits::default())
    };
    assert!(matches!(
        inspect(0),
        Ok(coverslip_core::codec::Facts::Jpeg(_))
    ));
    assert!(matches!(
        inspect(1),
        Ok(coverslip_core::codec::Facts::Jpeg2000(_))
    ));
    let odd =
        coverslip_core::codec::inspect(&source, 0, slide.ranges[0], (48, 16), &Limits::default());
    assert_eq!(odd.unwrap_err().kind(), Kind::Unsupported);
    assert!(matches!(inspect(2), Err(Error::Tile { tile: 2, .. })));
    let outside = ByteRange {
        offset: u64::MAX,
        byte_count: 2,
    };
    let result = coverslip_core::codec::inspect(&source, 9, outside, (16, 16), &Limits::default());
    assert!(matches!(
        result,
        Err(Error::TileOutsideFile { tile: 9, .. })
    ));
}

#[test]
fn a_tile_of_more_pixels_than_a_blank_frame_may_have_names_the_limit() {
    let slide = Slide::one(&Jpeg::ycc().bytes());
    let recipe = jp2k::Recipe {
        columns: 8193,
        rows: 8192,
        set_mct: false,
    };
    let error = slide
        .plan(Codec::Jpeg2000 {
            recipe,
            blank: None,
        })
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Limit {
                name: "tile_pixels",
                ..
            }
        ),
        "{error}"
    );
}
