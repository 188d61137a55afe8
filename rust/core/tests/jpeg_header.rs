//! The header of a JPEG frame holds what decoding needs, and nothing else.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]
#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]

mod common;

use common::*;
use coverslip_core::jpeg::{self, Colour};
use coverslip_core::{Error, Kind, tables};

/// A TIFF tag or comment with a name in it, and byte patterns that look like markers.
const SECRET: &[u8] = b"Exif\0\0DOE^JANE \xFF\xC0\x00\x11 \xFF\xDA\x00\x0C \xFF\xD9";

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}

#[test]
fn an_abbreviated_tile_becomes_these_bytes() {
    let shared = table_stream(&[dqt(0, 3), dht(0, 0), dht(1, 0)].concat());

    let frame = frame_of(&Jpeg::grey(), Colour::Grey, &shared).unwrap();

    let expected = [
        &[0xFF, 0xD8][..],                                         // SOI
        &[0xFF, 0xDB, 0x00, 0x43, 0x00],                           // DQT of table 0
        &[3; 64],                                                  // its steps
        &[0xFF, 0xC4, 0x00, 0x1F, 0x00],                           // DHT of DC table 0
        &[0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],        // twelve codes of four bits
        &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],                   // their categories
        &[0xFF, 0xC4, 0x00, 0x15, 0x10],                           // DHT of AC table 0
        &[1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],   // EOB and one coefficient
        &[0xFF, 0xC0, 0x00, 0x0B, 8, 0, 16, 0, 16, 1, 1, 0x11, 0], // SOF0, 16 x 16
        &[0xFF, 0xDA, 0x00, 0x08, 1, 1, 0x00, 0, 63, 0],           // SOS
        &[0x12, 0x34, 0xFF, 0x00, 0x56, 0x78, 0x9A],               // entropy-coded bytes
        &[0xFF, 0xD9],                                             // EOI
    ]
    .concat();
    let padded = [&expected[..], &[0x00]].concat();
    assert_eq!(
        frame,
        if expected.len() % 2 == 0 {
            expected
        } else {
            padded
        }
    );
}

#[test]
fn a_table_of_the_tile_replaces_the_shared_one_of_its_number() {
    let shared = table_stream(&all_tables(3));
    let tile = Jpeg::ycc().with_lead(&dqt(1, 9));

    let frame = frame_of(&tile, Colour::Ybr, &shared).unwrap();

    let steps: Vec<_> = segments(&frame)
        .into_iter()
        .filter(|(marker, _)| *marker == 0xDB)
        .map(|(_, payload)| (payload[0], payload[1]))
        .collect();
    assert_eq!(steps, [(0, 3), (1, 9)]);
}

/// A flipped bit turns APP4 into DHT: a table that nobody uses may be text.
#[test]
fn a_table_that_no_component_uses_is_not_copied() {
    let mut hidden = [b' '; 64];
    hidden[..8].copy_from_slice(b"DOE^JANE");
    let unused = segment(0xDB, &[&[2][..], &hidden].concat());

    let in_tile = Jpeg::ycc().with_tables().with_lead(&unused);
    let in_shared = table_stream(&[all_tables(3), unused.clone()].concat());

    let clean = frame_of(&Jpeg::ycc().with_tables(), Colour::Ybr, &[]).unwrap();
    assert_eq!(frame_of(&in_tile, Colour::Ybr, &[]).unwrap(), clean);
    assert_eq!(
        frame_of(&Jpeg::ycc(), Colour::Ybr, &in_shared).unwrap(),
        clean
    );
}

#[test]
fn a_huffman_table_that_is_no_prefix_code_is_an_error() {
    let twelve_of_one_bit = [&[0x10, 12][..], &[0; 15], b"DOE^JANE 1966"].concat();
    let full = [&[0x10][..], &[255; 16], &[0; 4080]].concat();
    for table in [twelve_of_one_bit, full] {
        let table = segment(0xC4, &table);
        let tile = Jpeg::ycc().with_tables().with_lead(&table);
        assert!(reason(frame_of(&tile, Colour::Ybr, &[])).contains("no prefix code"));
        assert!(jpeg::parse_shared_tables(&table_stream(&table)).is_err());
    }
}

#[test]
fn a_tile_with_all_its_tables_does_not_get_the_shared_ones() {
    let shared = table_stream(&all_tables(9));

    let frame = frame_of(&Jpeg::ycc().with_tables(), Colour::Ybr, &shared).unwrap();

    assert_eq!(
        markers(&frame),
        [0xDB, 0xDB, 0xC4, 0xC4, 0xC4, 0xC4, 0xC0, 0xDA]
    );
    assert_eq!(segments(&frame)[0].1[1], 3);
}

#[test]
fn restart_interval_and_comment_of_tag_347_are_dropped() {
    let extra = [
        segment(0xDD, &[0, 4]),
        segment(0xFE, SECRET),
        segment(0xE1, SECRET),
    ]
    .concat();
    let shared = table_stream(&[all_tables(3), extra].concat());

    let frame = frame_of(&Jpeg::ycc(), Colour::Ybr, &shared).unwrap();

    assert_eq!(jpeg::parse_shared_tables(&shared).unwrap().dropped, 3);
    assert!(!markers(&frame).contains(&0xDD));
    assert!(!contains(&frame, b"DOE"));
}

#[test]
fn tag_347_may_lack_its_end_and_may_be_absent() {
    let mut shared = table_stream(&all_tables(3));
    shared.truncate(shared.len() - 2);

    assert!(frame_of(&Jpeg::ycc(), Colour::Ybr, &shared).is_ok());
    assert!(frame_of(&Jpeg::ycc().with_tables(), Colour::Ybr, &[]).is_ok());
}

#[test]
fn tag_347_with_a_cut_table_or_a_picture_is_refused() {
    let shared = table_stream(&all_tables(3));
    assert!(jpeg::parse_shared_tables(&shared[..40]).is_err());
    assert!(jpeg::parse_shared_tables(&Jpeg::ycc().with_tables().bytes()).is_err());
    assert!(jpeg::parse_shared_tables(b"DOE^JANE").is_err());
}

#[test]
fn applications_and_comments_of_a_tile_are_dropped_whatever_they_hold() {
    for marker in (0xE0..=0xEF).chain([0xFE]) {
        let mut tile = Jpeg::ycc()
            .with_lead(&segment(marker, SECRET))
            .with_tables();
        tile.middle = segment(marker, SECRET);

        let slide = Slide::one(&tile.bytes());
        let (_, plan) = slide.plan(jpeg_codec(Colour::Ybr, &[])).unwrap();
        let frames = slide.convert(jpeg_codec(Colour::Ybr, &[])).unwrap();

        assert_eq!(plan.summary().dropped_segments, 2, "{marker:x}");
        assert!(!contains(&frames[0], b"DOE"), "{marker:x}");
        assert!(
            frames[0].ends_with(&[0x12, 0x34, 0xFF, 0x00, 0x56, 0x78, 0x9A, 0xFF, 0xD9, 0x00])
                || frames[0].ends_with(&[0x12, 0x34, 0xFF, 0x00, 0x56, 0x78, 0x9A, 0xFF, 0xD9])
        );
    }
}

#[test]
fn fill_bytes_before_markers_are_skipped_and_not_copied() {
    let tile = Jpeg::ycc().with_tables();
    let filled = Jpeg {
        lead: [
            &[0xFF, 0xFF][..],
            &segment(0xFE, SECRET),
            &[0xFF],
            &tile.lead,
            &[0xFF],
        ]
        .concat(),
        ..tile.clone()
    };
    let mut bytes = filled.bytes();
    bytes.insert(0, 0xFF);

    let frames = Slide::one(&bytes)
        .convert(jpeg_codec(Colour::Ybr, &[]))
        .unwrap();

    assert_eq!(frames[0], frame_of(&tile, Colour::Ybr, &[]).unwrap());
}

#[test]
fn typical_tables_stand_in_only_where_nobody_defines_any() {
    let tile = Jpeg::ycc().with_lead(&[dqt(0, 3), dqt(1, 3), dht(0, 0)].concat());

    let frame = frame_of(&tile, Colour::Ybr, &[]).unwrap();

    let tables: Vec<_> = segments(&frame)
        .into_iter()
        .filter(|(marker, _)| *marker == 0xC4)
        .map(|(_, p)| p[0])
        .collect();
    assert_eq!(tables, [0x00, 0x01, 0x10, 0x11]);
    assert_eq!(segment(0xC4, &segments(&frame)[2].1), dht(0, 0));
}

/// The independent decoder knows the typical tables too, and uses them in motion JPEG frames.
#[test]
fn typical_tables_are_those_of_an_independent_decoder() {
    let decode = |stream: &[u8]| jpeg_decoder::Decoder::new(stream).decode().ok();
    let mut decoded = 0;
    for seed in 1..200_u32 {
        let noise: Vec<u8> = (1..200_u32)
            .map(|i| {
                u8::try_from((i.wrapping_mul(2_654_435_761).wrapping_mul(seed) >> 24) & 0x7F)
                    .unwrap()
            })
            .collect();
        let steps = [dqt(0, 1), dqt(1, 1)].concat();
        let mut tile = Jpeg::ycc()
            .sized(8, 8)
            .with_lead(&segment(0xE0, b"AVI1\0\0\0\0"))
            .with_lead(&steps);
        tile.parts[0].sampling = 0x11;
        let tile = tile.with_entropy(&noise);
        let recipe = jpeg::Recipe {
            columns: 8,
            rows: 8,
            ..recipe(Colour::Ybr, &[])
        };
        let bytes = tile.bytes();
        let header = jpeg::parse_header(&bytes).unwrap();

        let frame = [
            recipe.frame_header(&header).unwrap(),
            noise,
            vec![0xFF, 0xD9],
        ]
        .concat();

        let picture = decode(&bytes);
        decoded += u32::from(picture.is_some());
        assert_eq!(decode(&frame), picture);
    }
    assert!(decoded > 20, "only {decoded} streams could be decoded");
}

#[test]
fn typical_tables_have_as_many_symbols_as_the_standard_lists() {
    for (class, id, symbols) in [(0, 0, 12), (0, 1, 12), (1, 0, 162), (1, 1, 162)] {
        let (counts, values) = tables::typical(class, id).split_at(16);
        let counted: usize = counts.iter().map(|&count| usize::from(count)).sum();
        let mut sorted = values.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(
            (counted, sorted.len(), values.len()),
            (symbols, symbols, symbols)
        );
    }
}

#[test]
fn a_quantisation_table_that_nobody_defines_is_an_error() {
    let tile = Jpeg::ycc().with_lead(&dqt(0, 3));
    assert!(reason(frame_of(&tile, Colour::Ybr, &[])).contains("a table that nobody defines"));
}

#[test]
fn a_table_of_wrong_length_is_an_error() {
    let cut = segment(0xDB, &[0; 60]);
    let tile = Jpeg::ycc().with_tables().with_lead(&cut);
    assert!(reason(frame_of(&tile, Colour::Ybr, &[])).contains("a table of wrong length"));
}

/// T.81 B.2.4.1 allows 16-bit steps in the extended process with 12 bits only.
#[test]
fn a_quantisation_table_of_16_bits_is_refused_by_name() {
    let wide = segment(0xDB, &[&[0x10][..], &[1; 128]].concat());
    let tile = Jpeg {
        sof: 0xC1,
        ..Jpeg::ycc().with_tables().with_lead(&wide)
    };
    assert!(reason(frame_of(&tile, Colour::Ybr, &[])).contains("quantisation table of 16 bits"));
}

/// Found by the fuzz target `rewrite`: strict decoders refuse such a frame (T.81 Table B.4).
#[test]
fn a_quantisation_step_of_0_is_an_error_where_it_is_used() {
    let used = Jpeg::ycc().with_tables().with_lead(&dqt(0, 0));
    let unused = Jpeg::ycc().with_tables().with_lead(&dqt(3, 0));
    assert!(frame_of(&unused, Colour::Ybr, &[]).is_ok());
    assert!(reason(frame_of(&used, Colour::Ybr, &[])).contains("a quantisation step of 0"));
}

#[test]
fn extended_process_with_8_bits_is_called_baseline() {
    let tile = Jpeg {
        sof: 0xC1,
        ..Jpeg::ycc().with_tables()
    };
    let baseline = frame_of(&Jpeg::ycc().with_tables(), Colour::Ybr, &[]).unwrap();
    assert_eq!(frame_of(&tile, Colour::Ybr, &[]).unwrap(), baseline);
}

#[test]
fn what_no_transfer_syntax_holds_is_refused_by_name() {
    let tile = Jpeg::ycc().with_tables();
    let with_sof = |sof| Jpeg {
        sof,
        ..tile.clone()
    };
    let mut four = tile.clone();
    four.parts.push(Part {
        id: 4,
        sampling: 0x11,
        quantisation: 0,
        entropy: 0,
    });
    let mut third_table = tile.clone();
    third_table.parts[1].entropy = 0x22;
    let with_marker = |marker, payload: &[u8]| tile.clone().with_lead(&segment(marker, payload));
    for (tile, name) in [
        (with_sof(0xC2), "progressive"),
        (with_sof(0xC3), "lossless"),
        (with_sof(0xC9), "without a DICOM transfer syntax"),
        (with_marker(0xCC, &[0, 0]), "arithmetic"),
        (with_marker(0xDC, &[0, 16]), "DNL"),
        (with_marker(0xDE, &[8]), "hierarchical"),
        (
            Jpeg {
                sof: 0xC1,
                precision: 12,
                ..tile.clone()
            },
            "more than 8 bits",
        ),
        (four, "neither one nor three"),
        (third_table, "more than two Huffman tables"),
        (Jpeg::grey().with_tables(), "another number of components"),
    ] {
        let error = Slide::one(&tile.bytes())
            .plan(jpeg_codec(Colour::Ybr, &[]))
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported, "{name}: {error}");
        assert!(error.to_string().contains(name), "{name}: {error}");
    }
}

#[test]
fn a_scan_without_all_components_is_more_than_one_scan() {
    let mut bytes = Jpeg::ycc().with_tables().header();
    bytes.truncate(bytes.len() - 14);
    bytes.extend(segment(0xDA, &[1, 1, 0, 0, 63, 0]));
    bytes.extend([0x12, 0xFF, 0xD9]);
    let slide = Slide::one(&bytes);
    assert!(reason(slide.plan(jpeg_codec(Colour::Ybr, &[]))).contains("more than one scan"));
}

#[test]
fn headers_that_contradict_themselves_are_errors() {
    let tile = Jpeg::ycc().with_tables();
    let mut twins = tile.clone();
    twins.parts[2].id = 2;
    let mut zero_sampling = tile.clone();
    zero_sampling.parts[0].sampling = 0x02;
    let two_frames = tile
        .clone()
        .with_lead(&segment(0xC0, &[8, 0, 16, 0, 16, 1, 1, 0x11, 0]));
    let long_restart = tile.clone().with_lead(&segment(0xDD, &[0, 0, 4]));
    for (tile, name) in [
        (twins, "two components with one identifier"),
        (zero_sampling, "a sampling factor outside"),
        (two_frames, "a second SOF"),
        (long_restart, "a DRI of wrong length"),
        (tile.clone().with_lead(&[0xFF, 0xD9]), "EOI before SOS"),
        (
            tile.clone().with_lead(&[0xFF, 0xD0]),
            "does not belong into a header",
        ),
        (
            tile.clone().with_lead(b"DOE"),
            "no marker where one must be",
        ),
    ] {
        let error = Slide::one(&tile.bytes())
            .plan(jpeg_codec(Colour::Ybr, &[]))
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Format, "{name}: {error}");
        assert!(error.to_string().contains(name), "{name}: {error}");
    }
}

fn size_in(frame: &[u8]) -> (u16, u16) {
    let sof = segments(frame)
        .into_iter()
        .find(|(marker, _)| *marker == 0xC0)
        .unwrap()
        .1;
    (
        u16::from_be_bytes([sof[3], sof[4]]),
        u16::from_be_bytes([sof[1], sof[2]]),
    )
}

#[test]
fn the_size_is_patched_where_the_number_of_mcus_stays() {
    for (columns, rows) in [(16, 16), (9, 16), (16, 1), (0, 16), (16, 0)] {
        let tile = Jpeg::ycc().with_tables().sized(columns, rows);
        let frame = frame_of(&tile, Colour::Ybr, &[]).unwrap();
        assert_eq!(size_in(&frame), (16, 16), "{columns} x {rows}");
    }
}

#[test]
fn a_tile_with_another_number_of_mcus_is_refused() {
    for (tile, columns, rows) in [
        (Jpeg::ycc(), 17, 16),
        (Jpeg::ycc(), 16, 32),
        (Jpeg::rgb(), 8, 16),
        (Jpeg::rgb(), 16, 17),
    ] {
        let colour = if tile.parts[0].sampling == 0x22 {
            Colour::Ybr
        } else {
            Colour::Rgb
        };
        let tile = tile.with_tables().sized(columns, rows);
        let error = frame_of(&tile, colour, &[]).unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported);
        assert!(
            error.to_string().contains(&format!("{columns}x{rows}")),
            "{error}"
        );
    }
}

/// One component is coded block by block whatever its factors say (T.81 A.2.2).
#[test]
fn the_blocks_of_a_single_component_are_counted_without_its_factors() {
    let tile = Jpeg::grey().with_tables().sized(8, 16);
    assert!(frame_of(&tile, Colour::Grey, &[]).is_err());
}

#[test]
fn rgb_frames_have_an_adobe_marker_and_the_letters_as_identifiers() {
    let frame = frame_of(&Jpeg::rgb().with_tables(), Colour::Rgb, &[]).unwrap();
    let found = segments(&frame);
    assert_eq!(
        segment(0xEE, &found[0].1),
        [
            &[0xFF, 0xEE, 0x00, 0x0E][..], // APP14
            b"Adobe",
            &[0x00, 0x64],             // version 100
            &[0x00, 0x00, 0x00, 0x00], // flags
            &[0x00],                   // no transform
        ]
        .concat()
    );
    assert_eq!(identifiers(&frame), (b"RGB".to_vec(), b"RGB".to_vec()));
}

#[test]
fn ybr_frames_have_no_marker_and_the_identifiers_of_jfif() {
    let mut tile = Jpeg::ycc().with_tables();
    for (part, id) in tile.parts.iter_mut().zip([200, 5, 0]) {
        part.id = id;
    }
    let frame = frame_of(&tile, Colour::Ybr, &[]).unwrap();
    assert!(
        !markers(&frame)
            .iter()
            .any(|marker| (0xE0..=0xEF).contains(marker))
    );
    assert_eq!(identifiers(&frame), (vec![1, 2, 3], vec![1, 2, 3]));
}

#[test]
fn grey_frames_have_the_sampling_that_strict_decoders_expect() {
    let frame = frame_of(&Jpeg::grey().with_tables(), Colour::Grey, &[]).unwrap();
    let sof = segments(&frame)
        .into_iter()
        .find(|(marker, _)| *marker == 0xC0)
        .unwrap()
        .1;
    assert_eq!(sof[6..], [1, 0x11, 0]);
}

/// Component identifiers in SOF and SOS.
fn identifiers(frame: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let found = segments(frame);
    let sof = &found.iter().find(|(marker, _)| *marker == 0xC0).unwrap().1;
    let sos = &found.last().unwrap().1;
    let of_sof = sof[6..].chunks(3).map(|entry| entry[0]).collect();
    (of_sof, sos[1..7].chunks(2).map(|entry| entry[0]).collect())
}

#[test]
fn the_restart_interval_of_a_tile_is_kept() {
    let mut tile = Jpeg::ycc().with_tables().with_lead(&segment(0xDD, &[0, 9]));
    tile.middle = segment(0xDD, &[0, 1]);
    let frame = frame_of(
        &tile.with_entropy(&[0x12, 0xFF, 0xD0, 0x34]),
        Colour::Ybr,
        &[],
    )
    .unwrap();
    let intervals: Vec<_> = segments(&frame)
        .into_iter()
        .filter(|(marker, _)| *marker == 0xDD)
        .map(|(_, p)| p)
        .collect();
    assert_eq!(intervals, [[0, 1]]);
}

#[test]
fn a_header_longer_than_the_first_read_is_found() {
    let long = segment(0xE2, &vec![0x41; 60_000]);
    let tile = Jpeg::ycc()
        .with_lead(&[long.clone(), long].concat())
        .with_tables();
    assert_eq!(
        frame_of(&tile, Colour::Ybr, &[]).unwrap(),
        frame_of(&Jpeg::ycc().with_tables(), Colour::Ybr, &[]).unwrap()
    );
}

#[test]
fn a_header_beyond_the_limit_names_it() {
    let tile = Jpeg::ycc()
        .with_lead(&segment(0xE2, &vec![0x41; 60_000]).repeat(18))
        .with_tables();
    let error = frame_of(&tile, Colour::Ybr, &[]).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Limit {
                name: "tile_header_bytes",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn shared_tables_beyond_the_limit_name_it() {
    let shared = table_stream(&dqt(0, 3).repeat(16_000));
    let error = frame_of(&Jpeg::ycc().with_tables(), Colour::Ybr, &shared).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Limit {
                name: "tile_header_bytes",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_tile_that_ends_inside_its_header_is_damaged() {
    let header = Jpeg::ycc().with_tables().header();
    for len in [1, 2, 3, 30, header.len() - 1] {
        let error = Slide::one(&header[..len])
            .plan(jpeg_codec(Colour::Ybr, &[]))
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Format, "{len}: {error}");
    }
}
