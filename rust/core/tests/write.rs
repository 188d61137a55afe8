//! Writing carries out the plan byte by byte, or fails without touching what was there.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]
#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]

mod common;

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::*;
use coverslip_core::jpeg::Colour;
use coverslip_core::watch::Unwatched;
use coverslip_core::{
    ByteRange, Codec, Error, FramePlan, Limits, OffsetTable, Source, TileIndex, Watch,
    WriteOptions, plan_alike, plan_frames, write_instance,
};

fn codec() -> Codec {
    jpeg_codec(Colour::Ybr, &table_stream(&all_tables(3)))
}

fn tile(len: usize, seed: usize) -> Vec<u8> {
    let entropy: Vec<u8> = (0..len)
        .map(|i| u8::try_from((i * 31 + seed * 7) % 251).unwrap())
        .collect();
    Jpeg::ycc().with_entropy(&entropy).bytes()
}

/// What the frame of a tile without tables must be.
fn expected_frame(tile: &[u8]) -> Vec<u8> {
    let mut frame = vec![0xFF, 0xD8];
    frame.extend(all_tables(3));
    frame.extend(&tile[2..]);
    if frame.len() % 2 == 1 {
        frame.push(0);
    }
    frame
}

#[test]
fn a_file_of_two_frames_is_these_bytes() {
    let tiles = [tile(5, 1), tile(8, 2)];
    let slide = Slide::new(&tiles);
    let (source, plan) = slide.plan(codec()).unwrap();
    let path = slide.path_for("out.dcm");

    let report = write(&source, &plan, &path, None).unwrap();

    let frames: Vec<_> = tiles.iter().map(|tile| expected_frame(tile)).collect();
    let len = |frame: &[u8]| u32::try_from(frame.len()).unwrap();
    let expected = [
        FILE_HEADER,
        &[0xE0, 0x7F, 0x10, 0x00], // (7FE0,0010)
        b"OB\0\0",
        &[0xFF, 0xFF, 0xFF, 0xFF], // undefined length
        &[0xFE, 0xFF, 0x00, 0xE0], // item with the Basic Offset Table
        &[8, 0, 0, 0],
        &[0, 0, 0, 0],
        &(len(&frames[0]) + 8).to_le_bytes(),
        &[0xFE, 0xFF, 0x00, 0xE0], // item with the first frame
        &len(&frames[0]).to_le_bytes(),
        &frames[0],
        &[0xFE, 0xFF, 0x00, 0xE0], // item with the second frame
        &len(&frames[1]).to_le_bytes(),
        &frames[1],
        &[0xFE, 0xFF, 0xDD, 0xE0], // sequence delimiter
        &[0, 0, 0, 0],
    ]
    .concat();
    assert_eq!(fs::read(&path).unwrap(), expected);
    assert_eq!(report.byte_count, u64::try_from(expected.len()).unwrap());
    assert_eq!(report.pixel_data_offset, 21);
    assert_eq!(report.offset_table, OffsetTable::Basic);
}

#[test]
fn both_offset_tables_lead_to_the_frames() {
    let tiles: Vec<_> = (0..9).map(|i| tile(i * 10, i)).collect();
    let slide = Slide::new(&tiles);
    let (source, plan) = slide.plan(codec()).unwrap();
    for table in [OffsetTable::Basic, OffsetTable::Extended] {
        let path = slide.path_for(&format!("{table:?}.dcm"));
        write(&source, &plan, &path, Some(table)).unwrap();
        let parsed = Parsed::read(&path, table);
        let offsets: Vec<u64> = match &parsed.extended {
            None => entries(&parsed.basic, 4),
            Some((offsets, lengths)) => {
                assert!(parsed.basic.is_empty());
                let bytes = fs::read(&path).unwrap();
                let table = |range: &ByteRange| {
                    let start = usize::try_from(range.offset).unwrap();
                    let len = usize::try_from(range.byte_count).unwrap();
                    entries(&bytes[start..start + len], 8)
                };
                let real: Vec<_> = parsed
                    .frames
                    .iter()
                    .map(|f| u64::try_from(f.len()).unwrap())
                    .collect();
                assert_eq!(table(lengths), real);
                table(offsets)
            }
        };
        let first = parsed.frames_at[0];
        let real: Vec<_> = parsed
            .frames_at
            .iter()
            .map(|at| u64::try_from(at - first).unwrap())
            .collect();
        assert_eq!(offsets, real);
        for (frame, tile) in parsed.frames.iter().zip(&tiles) {
            assert_eq!(frame, &expected_frame(tile));
        }
    }
}

fn entries(table: &[u8], size: usize) -> Vec<u64> {
    let entry = |bytes: &[u8]| {
        bytes
            .iter()
            .rev()
            .fold(0, |value, &byte| (value << 8) | u64::from(byte))
    };
    table.chunks(size).map(entry).collect()
}

/// Tiles longer than a batch, shorter than a gap, far apart, backwards, shared and missing.
#[test]
fn tiles_in_any_order_and_of_any_length_are_copied() {
    let mut lengths = vec![700_000, 3, 262_144, 262_143, 0, 1, 100_000, 5000];
    lengths.extend(vec![40; 3000]);
    let tiles: Vec<_> = lengths
        .iter()
        .enumerate()
        .map(|(i, &len)| tile(len, i))
        .collect();
    let mut slide = Slide::new(&tiles);
    let mut order: Vec<usize> = (0..tiles.len()).collect();
    order.reverse();
    order.extend([0, 0, 1, 7, 7, 2, 2]);
    order.extend((0..tiles.len()).step_by(97));
    slide.ranges = order.iter().map(|&i| slide.ranges[i]).collect();

    let frames = slide.convert(codec()).unwrap();

    assert_eq!(frames.len(), order.len());
    for (frame, &i) in frames.iter().zip(&order) {
        assert!(frame == &expected_frame(&tiles[i]), "tile {i}");
    }
}

#[test]
fn copied_and_missing_tiles_may_alternate() {
    let tiles: Vec<_> = (0..2000)
        .map(|i| if i % 2 == 0 { tile(i, i) } else { Vec::new() })
        .collect();
    let frames = Slide::new(&tiles).convert(codec()).unwrap();
    for (i, (frame, tile)) in frames.iter().zip(&tiles).enumerate() {
        let expected = if i % 2 == 0 {
            &expected_frame(tile)
        } else {
            &frames[1]
        };
        assert!(frame == expected, "tile {i}");
    }
}

#[test]
fn an_existing_file_is_refused_and_left_alone() {
    let slide = Slide::one(&tile(5, 1));
    let (source, plan) = slide.plan(codec()).unwrap();
    let path = slide.path_for("out.dcm");
    fs::write(&path, b"precious").unwrap();
    let link = slide.path_for("link.dcm");
    std::os::unix::fs::symlink(slide.path_for("elsewhere"), &link).unwrap();
    for target in [&path, &link] {
        match write(&source, &plan, target, None) {
            Err(Error::Io(error)) => assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    assert!(!slide.path_for("elsewhere").exists());
}

#[test]
fn only_the_owner_may_read_the_file() {
    let slide = Slide::one(&tile(5, 1));
    let (source, plan) = slide.plan(codec()).unwrap();
    let path = slide.path_for("out.dcm");
    write(&source, &plan, &path, None).unwrap();
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

fn write_after(change: impl FnOnce(&Slide)) -> Error {
    let tiles: Vec<_> = (0..50).map(|i| tile(20_000, i)).collect();
    let slide = Slide::new(&tiles);
    let (source, plan) = slide.plan(codec()).unwrap();
    change(&slide);
    write(&source, &plan, &slide.path_for("out.dcm"), None).unwrap_err()
}

fn open_for_writing(path: &Path) -> fs::File {
    fs::OpenOptions::new().write(true).open(path).unwrap()
}

#[test]
fn a_source_that_shrinks_is_an_error_and_no_signal() {
    for len in [0, 1, 4096, 500_000] {
        let error = write_after(|slide| open_for_writing(&slide.path).set_len(len).unwrap());
        assert!(matches!(error, Error::SourceChanged), "{len}: {error}");
    }
}

#[test]
fn a_source_that_changes_in_place_is_an_error() {
    let error = write_after(|slide| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        open_for_writing(&slide.path)
            .write_all_at(b"?", 600_000)
            .unwrap();
    });
    assert!(matches!(error, Error::SourceChanged), "{error}");
}

#[test]
fn a_plan_is_not_carried_out_on_another_file() {
    let slide = Slide::one(&tile(5, 1));
    let (_, plan) = slide.plan(codec()).unwrap();
    let other = Slide::one(&tile(5, 1));
    let path = slide.path_for("out.dcm");
    let result = write(&other.source(), &plan, &path, None);
    assert!(matches!(result, Err(Error::SourceChanged)));
    assert!(!path.exists());
}

#[test]
fn a_source_replaced_under_its_name_does_not_mix_into_the_output() {
    let slide = Slide::one(&tile(5, 1));
    let (source, plan) = slide.plan(codec()).unwrap();
    let replacement = slide.path_for("new.tif");
    fs::write(&replacement, b"another slide").unwrap();
    fs::rename(&replacement, &slide.path).unwrap();
    let path = slide.path_for("out.dcm");
    let report = write(&source, &plan, &path, None).unwrap();
    assert_eq!(
        Parsed::read(&path, report.offset_table).frames,
        [expected_frame(&tile(5, 1))]
    );
}

struct StopAtOnce(Vec<u64>);

impl Watch for StopAtOnce {
    fn go_on(&mut self, done: u64) -> bool {
        self.0.push(done);
        false
    }
}

#[test]
fn cancelling_ends_writing_at_the_next_batch() {
    let tiles: Vec<_> = (0..50).map(|i| tile(200_000, i)).collect();
    let slide = Slide::new(&tiles);
    let (source, plan) = slide.plan(codec()).unwrap();
    let path = slide.path_for("out.dcm");
    let mut watch = StopAtOnce(Vec::new());

    let result = write_instance(
        &source,
        &plan,
        FILE_HEADER,
        &path,
        WriteOptions::default(),
        &mut watch,
    );

    assert!(matches!(result, Err(Error::Cancelled)));
    assert_eq!(watch.0.len(), 1);
    assert!(watch.0[0] < 2_000_000, "{}", watch.0[0]);
}

#[test]
fn a_folder_that_does_not_exist_is_an_error_of_the_system() {
    let slide = Slide::one(&tile(5, 1));
    let (source, plan) = slide.plan(codec()).unwrap();
    let path = slide.path_for("nowhere").join("out.dcm");
    let result = write(&source, &plan, &path, None);
    assert!(matches!(result, Err(Error::Io(_))));
}

/// Needs the right to mount; says so where it does not have it.
#[test]
fn a_full_disk_is_an_error_of_the_system() {
    let tiles: Vec<_> = (0..50).map(|i| tile(100_000, i)).collect();
    let slide = Slide::new(&tiles);
    let small = slide.path_for("small");
    fs::create_dir(&small).unwrap();
    let mount = ["-t", "tmpfs", "-o", "size=1m", "none"];
    let mounted = Command::new("mount").args(mount).arg(&small).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no right to mount a small disk");
        return;
    }
    let (source, plan) = slide.plan(codec()).unwrap();

    let result = write(&source, &plan, &small.join("out.dcm"), None);

    assert!(
        Command::new("umount")
            .arg(&small)
            .status()
            .unwrap()
            .success()
    );
    match result {
        Err(Error::Io(error)) => assert_eq!(error.kind(), std::io::ErrorKind::StorageFull),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_extended_table_is_written_where_32_bits_do_not_reach() {
    let header = tile(5, 1);
    let slide = Slide::one(&header);
    let (_, plan) = slide.plan(codec()).unwrap();
    assert_eq!(
        OffsetTable::for_byte_count(plan.fragment_bytes()),
        OffsetTable::Basic
    );
    assert_eq!(OffsetTable::for_byte_count(1 << 32), OffsetTable::Extended);
}

#[test]
fn past_the_cache_or_through_it_the_bytes_are_the_same() {
    // One batch and many blocks, and ends on and beside the borders of blocks.
    for count in [1, 7, 90] {
        let tiles: Vec<_> = (0..count).map(|i| tile(150_000, i)).collect();
        let slide = Slide::new(&tiles);
        let (source, plan) = slide.plan(codec()).unwrap();
        let written = [false, true].map(|past_cache| {
            let options = WriteOptions {
                offset_table: None,
                digest: past_cache,
                past_cache,
                written: None,
            };
            let path = slide.path_for(&format!("{count}-{past_cache}"));
            let report =
                write_instance(&source, &plan, FILE_HEADER, &path, options, &mut Unwatched);
            let (report, file) = (report.unwrap(), fs::read(&path).unwrap());
            assert_eq!(report.byte_count, fs::metadata(&path).unwrap().len());
            let digest = blake3::hash(&file).to_hex().to_string();
            assert_eq!(report.blake3, past_cache.then_some(digest));
            file
        });
        assert!(written[0] == written[1]);
    }
}

#[test]
fn slide_in_two_files_gives_the_same_bytes() {
    let tiles: Vec<_> = (0..20).map(|seed| tile(40 + seed, seed)).collect();
    let slide = Slide::new(&tiles);
    let (source, plan) = slide.plan(codec()).unwrap();
    let path = slide.path_for("one.dcm");
    write(&source, &plan, &path, None).unwrap();

    // Where a tile begins, and where one ends: nothing but the end of its file is between.
    let whole = fs::read(&slide.path).unwrap();
    let files = ["first", "second"].map(|name| slide.path_for(name));
    let other = slide.path_for("two.dcm");
    for at in [slide.ranges[4].offset, slide.ranges[4].end().unwrap()] {
        let (first, second) = whole.split_at(usize::try_from(at).unwrap());
        fs::write(&files[0], first).unwrap();
        fs::write(&files[1], second).unwrap();
        let (source, plans) = plans_of(&slide, &files);
        for plan in plans {
            write(&source, &plan, &other, None).unwrap();
            assert_eq!(fs::read(&path).unwrap(), fs::read(&other).unwrap());
            verify(&source, &plan, &other, OffsetTable::Basic).unwrap();
            fs::remove_file(&other).unwrap();
        }
    }

    let (source, [plan, _]) = plans_of(&slide, &files);
    fs::write(&files[1], b"shorter").unwrap();
    assert!(matches!(
        write(&source, &plan, &slide.path_for("three.dcm"), None),
        Err(Error::SourceChanged)
    ));
}

/// Of all tiles, and of some.
fn plans_of(slide: &Slide, files: &[PathBuf]) -> (Source, [FramePlan; 2]) {
    let source = Source::open_all(files).unwrap();
    let limits = Limits::default();
    let index =
        TileIndex::new(slide.ranges.clone(), Vec::new(), source.extents(), &limits).unwrap();
    let some = plan_alike(&source, index.clone(), &codec(), &limits).unwrap();
    let all = plan_frames(&source, index, codec(), &limits, &mut Unwatched).unwrap();
    (source, [all, some.unwrap()])
}
