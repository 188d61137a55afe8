//! The read-back finds any byte that is not as it must be.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]
#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]

mod common;

use std::fs;
use std::path::PathBuf;

use common::*;
use coverslip_core::jpeg::Colour;
use coverslip_core::scan::{Header, InstanceReport};
use coverslip_core::watch::Unwatched;
use coverslip_core::{
    ByteRange, Codec, Error, FramePlan, Kind, OffsetTable, Source, Watch, jp2k, verify_instance,
};

/// A written instance that is as it should be.
struct Instance {
    slide: Slide,
    source: Source,
    plan: FramePlan,
    path: PathBuf,
    table: OffsetTable,
    frames_at: Vec<usize>,
    frames: Vec<Vec<u8>>,
}

impl Instance {
    fn new(tiles: &[Vec<u8>], codec: Codec, table: OffsetTable) -> Self {
        let slide = Slide::new(tiles);
        let (source, plan) = slide.plan(codec).unwrap();
        let path = slide.path_for("out.dcm");
        write(&source, &plan, &path, Some(table)).unwrap();
        verify(&source, &plan, &path, table).unwrap();
        let Parsed {
            frames, frames_at, ..
        } = Parsed::read(&path, table);
        Self {
            slide,
            source,
            plan,
            path,
            table,
            frames_at,
            frames,
        }
    }

    /// Two copied frames around a blank one.
    fn jpeg(table: OffsetTable) -> Self {
        let tile = |entropy: &[u8]| Jpeg::ycc().with_entropy(entropy).bytes();
        let tiles = [
            tile(&[0x12, 0x34, 0x56]),
            Vec::new(),
            tile(&[0x78, 0xFF, 0x00, 0x9A]),
        ];
        let codec = jpeg_codec(Colour::Ybr, &table_stream(&all_tables(3)));
        Self::new(&tiles, codec, table)
    }

    fn jpeg2000() -> Self {
        let recipe = jp2k::Recipe {
            columns: 16,
            rows: 16,
            set_mct: false,
        };
        let blank = Some(
            J2k::new()
                .with_tile_parts(&[tile_part(0, &[], &[0])])
                .bytes(),
        );
        let parts = [
            tile_part(0, &[], &[0xC0, 0x11]),
            tile_part(1, &[], &[0xC0, 0x22]),
        ];
        let tiles = [J2k::new().with_tile_parts(&parts).bytes(), Vec::new()];
        Self::new(
            &tiles,
            Codec::Jpeg2000 { recipe, blank },
            OffsetTable::Basic,
        )
    }

    fn verify_changed(&self, change: impl FnOnce(&mut Vec<u8>)) -> Result<InstanceReport, Error> {
        let changed = rewrite(&self.path, change);
        verify(&self.source, &self.plan, &changed, self.table)
    }

    /// Verifies the file with other bytes for one frame, lengths and offsets put right.
    fn verify_with_frame(&self, index: usize, frame: &[u8]) -> Result<InstanceReport, Error> {
        let mut frames = self.frames.clone();
        frames[index] = frame.to_vec();
        let item = |bytes: &[u8]| {
            let len = u32::try_from(bytes.len()).unwrap().to_le_bytes();
            [&[0xFE, 0xFF, 0x00, 0xE0][..], &len, bytes].concat()
        };
        let (mut table, mut offset) = (Vec::new(), 0_u32);
        for frame in &frames {
            table.extend(offset.to_le_bytes());
            offset += u32::try_from(frame.len()).unwrap() + 8;
        }
        let bytes = [
            FILE_HEADER,
            b"\xE0\x7F\x10\x00OB\0\0\xFF\xFF\xFF\xFF",
            &item(&table),
            &frames
                .iter()
                .map(|frame| item(frame))
                .collect::<Vec<_>>()
                .concat(),
            &[0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0],
        ]
        .concat();
        self.verify_changed(|file| *file = bytes)
    }
}

fn padded(mut frame: Vec<u8>) -> Vec<u8> {
    if frame.len() % 2 == 1 {
        frame.push(0);
    }
    frame
}

#[test]
fn a_good_file_is_reported() {
    for table in [OffsetTable::Basic, OffsetTable::Extended] {
        let good = Instance::jpeg(table);
        let report = verify(&good.source, &good.plan, &good.path, table).unwrap();
        assert_eq!((report.frames_equal, report.frames_blank), (2, 1));
    }
}

/// A test of the tests: the frame that others damage is good before.
#[test]
fn frames_put_together_again_are_good() {
    for instance in [Instance::jpeg(OffsetTable::Basic), Instance::jpeg2000()] {
        assert!(instance.verify_with_frame(0, &instance.frames[0]).is_ok());
    }
}

#[test]
fn no_byte_behind_the_header_can_change_unseen() {
    for instance in [
        Instance::jpeg(OffsetTable::Basic),
        Instance::jpeg(OffsetTable::Extended),
        Instance::jpeg2000(),
    ] {
        let start = Parsed::read_start(&instance.path, instance.table).pixel_data_at;
        // Behind the header of (7FE0,0001), without that of (7FE0,0002): another parser reads them.
        let (from, skip) = match instance.table {
            OffsetTable::Basic => (start, 0..0),
            OffsetTable::Extended => (FILE_HEADER.len() + 12, start - 36..start - 24),
        };
        let len = fs::metadata(&instance.path).unwrap().len();
        for at in (from..usize::try_from(len).unwrap()).filter(|at| !skip.contains(at)) {
            for bit in [0x01, 0x80] {
                let result = instance.verify_changed(|bytes| bytes[at] ^= bit);
                assert!(result.is_err(), "bit {bit:x} of byte {at} of {len}");
            }
        }
    }
}

#[test]
fn bytes_behind_the_delimiter_are_found() {
    let good = Instance::jpeg(OffsetTable::Basic);
    assert!(good.verify_changed(|bytes| bytes.push(0)).is_err());
    assert!(
        good.verify_changed(|bytes| bytes.extend(b"DOE^JANE"))
            .is_err()
    );
    for cut in [1, 8, 20, 300] {
        let error = good
            .verify_changed(|bytes| bytes.truncate(bytes.len() - cut))
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Verify);
    }
}

#[test]
fn frames_that_are_exchanged_dropped_or_doubled_are_found() {
    let good = Instance::jpeg(OffsetTable::Basic);
    assert!(good.verify_with_frame(0, &good.frames[2]).is_err());
    assert!(good.verify_with_frame(1, &good.frames[0]).is_err());
    assert!(good.verify_with_frame(0, &good.frames[1]).is_err());
    assert!(good.verify_with_frame(0, &[]).is_err());
    let first = good.frames_at[0] - 8..good.frames_at[1] - 8;
    assert!(
        good.verify_changed(|bytes| drop(bytes.drain(first.clone())))
            .is_err()
    );
    assert!(
        good.verify_changed(|bytes| {
            let item = bytes[first.clone()].to_vec();
            bytes.splice(first.start..first.start, item);
        })
        .is_err()
    );
}

#[test]
fn a_segment_that_was_put_into_a_header_is_found() {
    let good = Instance::jpeg(OffsetTable::Basic);
    let frame = &good.frames[0];
    for (marker, name) in [
        (0xFE, "comment"),
        (0xE0, "comment"),
        (0xE1, "comment"),
        (0xDB, "header"),
    ] {
        let payload = if marker == 0xDB {
            [&[3][..], &[7; 64]].concat()
        } else {
            b"DOE^JANE".to_vec()
        };
        let longer = [&frame[..2], &segment(marker, &payload), &frame[2..]].concat();
        let error = good.verify_with_frame(0, &padded(longer)).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
    let adobe = segment(0xEE, b"Adobe\0\x64\0\0\0\0\x01DOE^JANE");
    let longer = [&frame[..2], &adobe, &frame[2..]].concat();
    assert!(good.verify_with_frame(0, &padded(longer)).is_err());
}

#[test]
fn another_header_of_the_right_kind_is_found() {
    let good = Instance::jpeg(OffsetTable::Basic);
    let mut frame = good.frames[0].clone();
    frame[10] ^= 1;
    let error = good.verify_with_frame(0, &frame).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("its header is not the planned one"),
        "{error}"
    );
}

#[test]
fn a_comment_between_entropy_coded_bytes_is_found() {
    let good = Instance::jpeg(OffsetTable::Basic);
    let frame = &good.frames[0];
    let at = frame.len() - 5;
    let longer = [&frame[..at], &segment(0xFE, b"DOE^JANE"), &frame[at..]].concat();
    let error = good.verify_with_frame(0, &padded(longer)).unwrap_err();
    assert!(matches!(error, Error::Frame { frame: 0, .. }), "{error}");
}

/// A frame whose end was cut off is a part of its tile, but not all of it.
#[test]
fn a_frame_that_lost_its_last_entropy_coded_bytes_is_found() {
    let good = Instance::jpeg(OffsetTable::Basic);
    let header = [
        &[0xFF, 0xD8][..],
        &all_tables(3),
        &Jpeg::ycc().header()[2..],
    ]
    .concat();
    for entropy in [&[][..], &[0x12], &[0x12, 0x34]] {
        let frame = padded([&header, entropy, &[0xFF, 0xD9]].concat());
        let error = good.verify_with_frame(0, &frame).unwrap_err();
        assert!(
            error.to_string().contains("its entropy-coded bytes"),
            "{error}"
        );
    }
}

#[test]
fn a_frame_that_lost_its_first_entropy_coded_bytes_is_found() {
    let good = Instance::jpeg(OffsetTable::Basic);
    let header = [
        &[0xFF, 0xD8][..],
        &all_tables(3),
        &Jpeg::ycc().header()[2..],
    ]
    .concat();
    let frame = padded([&header[..], &[0x34, 0x56, 0xFF, 0xD9]].concat());
    let error = good.verify_with_frame(0, &frame).unwrap_err();
    assert!(
        error.to_string().contains("its entropy-coded bytes"),
        "{error}"
    );
}

#[test]
fn a_codestream_that_lost_a_tile_part_is_found() {
    let good = Instance::jpeg2000();
    let parts = [
        tile_part(0, &[], &[0xC0, 0x11]),
        tile_part(1, &[], &[0xC0, 0x22]),
    ];
    for rest in [&parts[..1], &parts[1..]] {
        let frame = padded(J2k::new().with_tile_parts(rest).bytes());
        assert!(good.verify_with_frame(0, &frame).is_err());
    }
}

#[test]
fn a_comment_in_a_codestream_is_found() {
    let good = Instance::jpeg2000();
    let parts = [
        tile_part(0, &[], &[0xC0, 0x11]),
        tile_part(1, &[], &[0xC0, 0x22]),
    ];
    let tile = J2k::new()
        .with_extra(&segment(0x64, b"DOE^JANE"))
        .with_tile_parts(&parts);
    let error = good
        .verify_with_frame(0, &padded(tile.bytes()))
        .unwrap_err();
    assert!(matches!(error, Error::Frame { frame: 0, .. }), "{error}");
}

#[test]
fn bytes_behind_the_end_marker_of_a_frame_are_found() {
    for good in [Instance::jpeg(OffsetTable::Basic), Instance::jpeg2000()] {
        for junk in [&[0, 0][..], b"JD", &[0xFF, 0xD9], b"DOE^JANE"] {
            let frame = [&good.frames[0], junk].concat();
            assert!(good.verify_with_frame(0, &padded(frame)).is_err());
        }
    }
}

/// Found by fuzzing: the byte before the entropy-coded ones looks like one of them.
#[test]
fn a_tile_of_nothing_but_fill_bytes_is_compared_at_the_right_place() {
    let mut bytes = Jpeg::ycc().with_tables().header();
    *bytes.last_mut().unwrap() = 0xFF;
    bytes.extend([0xFF; 80]);
    for end in [&[][..], b"\xFF\xD9junk"] {
        let slide = Slide::one(&[&bytes, end].concat());
        assert!(slide.convert(jpeg_codec(Colour::Ybr, &[])).is_ok());
    }
}

#[test]
fn a_blank_frame_with_another_picture_is_found() {
    let good = Instance::jpeg(OffsetTable::Basic);
    let mut frame = good.frames[1].clone();
    let at = frame.len() - 4;
    frame[at] ^= 0x10;
    let error = good.verify_with_frame(1, &frame).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("frame 1: it is not the blank frame"),
        "{error}"
    );
}

#[test]
fn two_offset_tables_or_none_are_found() {
    let basic = Instance::jpeg(OffsetTable::Basic);
    let at = u64::try_from(FILE_HEADER.len()).unwrap();
    // Zeros, in the place of tables.
    let zeros = |byte_count| ByteRange {
        offset: 0,
        byte_count,
    };
    let table = zeros(24);
    let extended = Some((table, table));
    let check = |path, pixel_data_offset, extended| {
        let header = Header {
            pixel_data_offset,
            extended,
            numbers: Vec::new(),
            deflated: None,
        };
        let (source, plan) = (&basic.source, &basic.plan);
        reason(verify_instance(
            source,
            plan,
            path,
            &header,
            None,
            None,
            &mut Unwatched,
        ))
    };
    assert!(check(&basic.path, at, extended).contains("two offset tables"));
    let extended = basic.slide.path_for("extended.dcm");
    write(
        &basic.source,
        &basic.plan,
        &extended,
        Some(OffsetTable::Extended),
    )
    .unwrap();
    let at = at + 2 * (12 + 24);
    assert!(check(&extended, at, None).contains("no offset table"));
    for wrong in [(zeros(23), table), (table, table), (table, zeros(1 << 40))] {
        let wrong = check(&extended, at, Some(wrong));
        assert!(
            wrong.contains("the Extended Offset Table is not"),
            "{wrong}"
        );
    }
    assert!(check(&extended, at + 1, Some((table, table))).contains("not encapsulated"));
    assert!(check(&extended, u64::MAX, Some((table, table))).contains("not encapsulated"));
}

#[test]
fn an_item_that_claims_more_than_the_file_has_is_not_allocated() {
    let good = Instance::jpeg(OffsetTable::Basic);
    for at in [good.frames_at[0] - 4, FILE_HEADER.len() + 16] {
        let huge = good.verify_changed(|bytes| bytes[at..at + 4].copy_from_slice(&[0xFF; 4]));
        assert_eq!(huge.unwrap_err().kind(), Kind::Verify);
    }
}

#[test]
fn another_source_than_the_planned_one_is_refused() {
    let good = Instance::jpeg(OffsetTable::Basic);
    let other = Instance::jpeg(OffsetTable::Basic);
    let result = verify(&other.source, &good.plan, &good.path, good.table);
    assert!(matches!(result, Err(Error::SourceChanged)));
}

struct StopAtOnce;

impl Watch for StopAtOnce {
    fn go_on(&mut self, _done: u64) -> bool {
        false
    }
}

#[test]
fn cancelling_ends_the_read_back() {
    let good = Instance::jpeg(OffsetTable::Basic);
    let header = Header {
        pixel_data_offset: u64::try_from(FILE_HEADER.len()).unwrap(),
        ..Header::default()
    };
    let result = verify_instance(
        &good.source,
        &good.plan,
        &good.path,
        &header,
        None,
        None,
        &mut StopAtOnce,
    );
    assert!(matches!(result, Err(Error::Cancelled)));
}

#[test]
fn a_file_that_is_not_there_is_an_error_of_the_system() {
    let good = Instance::jpeg(OffsetTable::Basic);
    let nowhere = good.slide.path_for("nowhere");
    let result = verify_instance(
        &good.source,
        &good.plan,
        &nowhere,
        &Header::default(),
        None,
        None,
        &mut Unwatched,
    );
    assert!(matches!(result, Err(Error::Io(_))));
}
