//! A plan may be carried out in several files, which together hold what one would.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]
#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "a test may panic"
)]

mod common;

use std::fs;

use common::*;
use coverslip_core::jpeg::Colour;
use coverslip_core::{
    Codec, Error, FramePlan, Limits, OffsetTable, Portion, Room, Source, plan_alike, portions,
};
use proptest::prelude::*;

fn codec() -> Codec {
    jpeg_codec(Colour::Ybr, &table_stream(&all_tables(3)))
}

fn tile(len: usize) -> Vec<u8> {
    Jpeg::ycc().with_entropy(&vec![0x55; len]).bytes()
}

fn room(most: u64) -> Room {
    Room {
        most,
        header: u64::try_from(FILE_HEADER.len()).unwrap(),
        beside: 0,
    }
}

/// Writes and verifies a file for each portion; returns all frames, and the longest file
/// of those that have the table which is counted.
fn written_in_parts(
    slide: &Slide,
    source: &Source,
    plan: &FramePlan,
    counts: &[usize],
) -> (Vec<Vec<u8>>, u64) {
    let (mut frames, mut longest, mut first) = (Vec::new(), 0, 0);
    for &count in counts {
        let part = Portion::of(plan, first..first + count).unwrap();
        let path = slide.path_for(&format!("part {first}"));
        // Of every second file the offset tables are those of a long one.
        let table = if first % 2 == 0 {
            OffsetTable::Basic
        } else {
            OffsetTable::Extended
        };
        let report = write(source, part, &path, Some(table)).unwrap();
        verify(source, part, &path, report.offset_table).unwrap();
        let parsed = Parsed::read(&path, report.offset_table);
        let bytes = u64::try_from(count).unwrap() * 8;
        match (table, parsed.extended) {
            (OffsetTable::Basic, None) => assert_eq!(parsed.basic[..4], [0; 4]),
            (_, Some((offsets, lengths))) => {
                assert_eq!((offsets.byte_count, lengths.byte_count), (bytes, bytes));
            }
            other => panic!("{other:?}"),
        }
        frames.extend(parsed.frames);
        if table == OffsetTable::Basic {
            longest = longest.max(report.byte_count);
        }
        first += count;
    }
    (frames, longest)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn parts_hold_the_frames_of_the_whole_and_none_is_too_large(
        lens in prop::collection::vec(0..400_usize, 1..40),
        most in 1000..8000_u64,
    ) {
        let tiles: Vec<_> = lens
            .iter()
            .map(|&len| if len < 40 && lens[0] >= 40 { Vec::new() } else { tile(len) })
            .collect();
        let slide = Slide::new(&tiles);
        let (source, plan) = slide.plan(codec()).unwrap();
        let whole = slide.convert(codec()).unwrap();

        let counts = portions(&plan, room(most)).unwrap();

        prop_assert!(counts.iter().all(|&count| count > 0));
        let (frames, longest) = written_in_parts(&slide, &source, &plan, &counts);
        prop_assert_eq!(frames, whole);
        prop_assert!(longest <= most);
        let mut first = 0;
        let (mut blank, mut bytes) = (0, 0);
        for &count in &counts {
            let summary = Portion::of(&plan, first..first + count).unwrap().summary();
            prop_assert_eq!(summary.copied + summary.blank, u64::try_from(count).unwrap());
            blank += summary.blank;
            bytes += summary.frame_bytes;
            first += count;
        }
        prop_assert_eq!((blank, bytes), (plan.summary().blank, plan.summary().frame_bytes));
    }
}

#[test]
fn a_file_is_as_full_as_it_may_be() {
    let slide = Slide::new(&vec![tile(100); 3]);
    let (source, plan) = slide.plan(codec()).unwrap();
    let path = slide.path_for("two");
    let two = Portion::of(&plan, 0..2).unwrap();
    // An empty Extended Offset Table with its lengths is what a Basic one does not need.
    let exact = write(&source, two, &path, None).unwrap().byte_count + 24;

    assert_eq!(portions(&plan, room(exact)).unwrap(), [2, 1]);
    assert_eq!(portions(&plan, room(exact - 1)).unwrap(), [1, 1, 1]);
    let wider = Room {
        beside: 1,
        ..room(exact)
    };
    assert_eq!(portions(&plan, wider).unwrap(), [1, 1, 1]);
    assert_eq!(portions(&plan, room(1 << 40)).unwrap(), [3]);
}

#[test]
fn a_frame_that_no_file_has_room_for_is_named() {
    let slide = Slide::new(&[tile(10), tile(3000), tile(10)]);
    let (_, plan) = slide.plan(codec()).unwrap();

    let result = portions(&plan, room(2000));

    let Err(Error::Limit { what, name, limit }) = result else {
        panic!("{result:?}");
    };
    assert!(what.contains("frame 1 alone"), "{what}");
    assert_eq!((name, limit), ("max_instance_size", 2000));
}

#[test]
fn truncated_tiles_are_counted_where_they_are() {
    let mut tiles: Vec<_> = (0..6).map(|len| tile(50 + len)).collect();
    for number in [1, 4] {
        let len = tiles[number].len();
        tiles[number].truncate(len - 2);
    }
    let slide = Slide::new(&tiles);
    let (_, plan) = slide.plan(codec()).unwrap();
    let truncated = |frames| Portion::of(&plan, frames).unwrap().summary().truncated;
    assert_eq!(
        [truncated(0..1), truncated(1..3), truncated(3..6)],
        [0, 1, 1]
    );
}

#[test]
fn segments_that_are_left_out_are_counted_where_they_are() {
    let tiles: Vec<_> = (0..40)
        .map(|number: usize| {
            // Not in the order of the frames, and missing where there is none.
            let lead = segment(0xFE, b"who").repeat(number * 7 % 5);
            if number == 9 {
                return Vec::new();
            }
            Jpeg::ycc()
                .with_lead(&lead)
                .with_entropy(&[0x55; 60])
                .bytes()
        })
        .collect();
    let slide = Slide::new(&tiles);
    let (_, plan) = slide.plan(codec()).unwrap();
    let dropped = |frames| {
        let portion = Portion::of(&plan, frames).unwrap();
        portion.summary().dropped_segments
    };
    let expected = |frames: std::ops::Range<usize>| -> u64 {
        let present = frames.filter(|&number| number != 9);
        present
            .map(|number| u64::try_from(number * 7 % 5).unwrap())
            .sum()
    };
    for frames in [0..1, 1..10, 9..10, 10..40, 0..40] {
        assert_eq!(dropped(frames.clone()), expected(frames));
    }
}

#[test]
fn segments_of_tiles_that_are_alike_are_counted_in_parts_too() {
    let lead = segment(0xFE, b"who").repeat(3);
    let tiles = (0..40).map(|len| {
        let entropy = vec![0x55; 100 + len];
        Jpeg::ycc().with_lead(&lead).with_entropy(&entropy).bytes()
    });
    let slide = Slide::new(&tiles.collect::<Vec<_>>());
    let source = slide.source();
    let plan = plan_alike(&source, slide.index(), &codec(), &Limits::default()).unwrap();
    let plan = plan.unwrap();
    assert_eq!(plan.summary().dropped_segments, 120);
    let part = Portion::of(&plan, 30..40).unwrap();
    assert_eq!(part.summary().dropped_segments, 30);
}

#[test]
fn frames_that_a_plan_does_not_have_are_none() {
    let slide = Slide::new(&[tile(10), tile(20)]);
    let (_, plan) = slide.plan(codec()).unwrap();
    assert!(Portion::of(&plan, 1..3).is_none());
    #[allow(clippy::reversed_empty_ranges, reason = "what nobody should ask for")]
    let reversed = 2..1;
    assert!(Portion::of(&plan, reversed).is_none());
}

#[test]
fn a_part_of_tiles_that_are_alike_is_compared_with_its_own() {
    let slide = Slide::new(&(0..40).map(|len| tile(100 + len)).collect::<Vec<_>>());
    let source = slide.source();
    let limits = Limits::default();
    let plan = plan_alike(&source, slide.index(), &codec(), &limits).unwrap();
    let plan = plan.unwrap();
    let (frames, _) = written_in_parts(&slide, &source, &plan, &[7, 30, 3]);
    assert_eq!(frames, slide.convert(codec()).unwrap());
}

#[test]
fn a_part_with_the_frames_of_another_is_found() {
    let slide = Slide::new(&(0..8).map(|len| tile(100 + len)).collect::<Vec<_>>());
    let (source, plan) = slide.plan(codec()).unwrap();
    let path = slide.path_for("first");
    let first = Portion::of(&plan, 0..4).unwrap();
    write(&source, first, &path, None).unwrap();
    assert!(fs::metadata(&path).is_ok());

    let other = Portion::of(&plan, 4..8).unwrap();
    assert!(verify(&source, other, &path, OffsetTable::Basic).is_err());
    let longer = Portion::of(&plan, 0..5).unwrap();
    assert!(verify(&source, longer, &path, OffsetTable::Basic).is_err());
}
