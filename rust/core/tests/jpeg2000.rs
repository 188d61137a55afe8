//! A JPEG 2000 frame is the bare codestream without its comments.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]
#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]

mod common;

use common::*;
use coverslip_core::{Error, Kind, jp2k};

const DATA: [u8; 5] = [0xC0, 0x11, 0xFF, 0x8F, 0x33];

fn comment() -> Vec<u8> {
    segment(0x64, b"\0\x01DOE^JANE \xFF\x90\xFF\x52")
}

fn convert(tile: &[u8]) -> Result<Vec<u8>, Error> {
    Slide::one(tile)
        .convert(jp2k_codec(false))
        .map(|mut frames| frames.remove(0))
}

fn truncated(tile: &[u8]) -> u64 {
    let (_, plan) = Slide::one(tile).plan(jp2k_codec(false)).unwrap();
    plan.summary().truncated
}

fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() % 2 == 1 {
        bytes.push(0);
    }
    bytes
}

/// A box with its 32-bit length.
fn jp2_box(kind: [u8; 4], content: &[u8]) -> Vec<u8> {
    let len = u32::try_from(8 + content.len()).unwrap();
    [&len.to_be_bytes()[..], &kind, content].concat()
}

fn jp2(boxes: &[Vec<u8>]) -> Vec<u8> {
    let signature = jp2_box(*b"jP  ", &[0x0D, 0x0A, 0x87, 0x0A]);
    let file_type = jp2_box(*b"ftyp", b"jp2 \0\0\0\0jp2 ");
    [signature, file_type, boxes.concat()].concat()
}

/// A header box with an enumerated colour space.
fn jp2_header(colour: u32) -> Vec<u8> {
    let colr = [&[1, 0, 0][..], &colour.to_be_bytes()].concat();
    jp2_box(
        *b"jp2h",
        &[jp2_box(*b"ihdr", &[0; 14]), jp2_box(*b"colr", &colr)].concat(),
    )
}

#[test]
fn a_codestream_without_comments_is_copied_whole() {
    let tile = J2k::new().bytes();
    assert_eq!(convert(&tile).unwrap(), padded(tile));
}

#[test]
fn facts_are_those_of_siz_and_cod() {
    let mut tile = J2k {
        mct: 1,
        wavelet: 1,
        ..J2k::new()
    };
    tile.components = vec![[7, 1, 1], [0x8B, 2, 1], [7, 2, 2]];
    let facts = jp2k::parse_header(&tile.bytes()).unwrap().facts;
    assert_eq!((facts.columns, facts.rows), (16, 16));
    assert!(facts.mct && facts.reversible && !facts.has_coc && !facts.high_throughput);
    assert_eq!((facts.decompositions, facts.layers), (1, 1));
    let second = facts.components[1];
    assert_eq!((second.depth, second.signed), (12, true));
    assert_eq!((second.horizontal, second.vertical), (2, 1));
}

#[test]
fn capabilities_mean_high_throughput() {
    let tile = J2k::new().with_extra(&segment(0x50, &[0, 2, 0, 0, 0, 0]));
    assert!(
        jp2k::parse_header(&tile.bytes())
            .unwrap()
            .facts
            .high_throughput
    );
}

#[test]
fn capabilities_of_another_part_or_told_twice_are_refused() {
    let part_15 = segment(0x50, &[0, 2, 0, 0, 0, 0]);
    for (extra, what) in [
        (segment(0x50, &[0, 1, 0, 0, 0, 0]), "other than 15"),
        (segment(0x50, &[0, 6, 0, 0, 0, 0, 0, 0]), "other than 15"),
        (segment(0x50, &[0, 2, 0, 0]), "wrong length"),
        (
            segment(0x50, &[0, 2, 0, 0, 0, 0, b'D', b'O']),
            "wrong length",
        ),
        ([part_15.clone(), part_15].concat(), "second CAP"),
    ] {
        assert!(reason(convert(&J2k::new().with_extra(&extra).bytes())).contains(what));
    }
}

#[test]
fn comments_are_dropped_from_the_main_header() {
    let clean = J2k::new();
    let tile = clean.clone().with_extra(&[comment(), comment()].concat());

    let slide = Slide::one(&tile.bytes());
    let (_, plan) = slide.plan(jp2k_codec(false)).unwrap();

    assert_eq!(plan.summary().dropped_segments, 2);
    assert_eq!(
        slide.convert(jp2k_codec(false)).unwrap()[0],
        padded(clean.bytes())
    );
}

#[test]
fn coding_styles_and_quantisation_of_a_component_are_kept() {
    for (marker, payload) in [
        (0x53, &[1, 0, 1, 4, 4, 0, 1][..]),
        (0x53, &[1, 1, 1, 4, 4, 0, 1, 0x88, 0x88][..]),
        (0x5D, &[2, 0x21, 8, 8][..]),
        (0x5D, &[2, 0x22, 8, 8, 8, 8, 8, 8, 8, 8][..]),
    ] {
        let tile = J2k::new().with_extra(&segment(marker, payload));
        assert_eq!(
            convert(&tile.bytes()).unwrap(),
            padded(tile.bytes()),
            "{marker:x}"
        );
    }
}

/// Each is one or two bits away from a comment.
#[test]
fn pointers_and_hints_are_dropped_as_comments_are() {
    for marker in [0x55, 0x57, 0x63, 0x64] {
        let tile = J2k::new().with_extra(&segment(marker, b"\0\x01DOE^JANE"));
        assert_eq!(convert(&tile.bytes()).unwrap(), padded(J2k::new().bytes()));
    }
}

/// A stream with other bytes in the place of some.
fn without(stream: &[u8], bytes: &[u8], instead: &[u8]) -> Vec<u8> {
    let mut places = stream.windows(bytes.len());
    let at = places.position(|window| window == bytes).unwrap();
    [&stream[..at], instead, &stream[at + bytes.len()..]].concat()
}

#[test]
fn a_segment_with_room_for_text_is_refused() {
    for marker in [0x53, 0x5C, 0x5D, 0x5E, 0x5F, 0x60] {
        let tile = J2k::new().with_extra(&segment(marker, b"\0\x01DOE^JANE"));
        assert!(convert(&tile.bytes()).is_err(), "{marker:x}");
    }
    // A comment that one bit made a quantisation of the right length.
    let again = [
        J2k::new().qcd(),
        segment(0x5D, &[0, 0x21, b'J', b'D']).repeat(2),
        segment(0x53, &[0, 0, 1, 4, 4, 0, 0]).repeat(2),
    ];
    for segments in again {
        let tile = J2k::new().with_extra(&segments);
        assert!(reason(convert(&tile.bytes())).contains("comes twice"));
    }
    let reversible = J2k {
        wavelet: 1,
        ..J2k::new()
    };
    for tile in [reversible, J2k::new()] {
        let name = segment(0x5C, &[&tile.qcd()[4..5], b"JANE"].concat());
        let named = without(&tile.bytes(), &tile.qcd(), &name);
        assert!(reason(convert(&named)).contains("wrong length or content"));
        let none = without(&tile.bytes(), &tile.qcd(), &[]);
        assert!(reason(convert(&none)).contains("no QCD"));
    }
    let mut long = J2k::new().cod();
    long[3] += 8;
    long.extend(b"DOE^JANE");
    let changed = without(&J2k::new().bytes(), &J2k::new().cod(), &long);
    assert!(reason(convert(&changed)).contains("a COD of wrong length"));
}

#[test]
fn an_unknown_segment_in_the_main_header_is_refused() {
    let tile = J2k::new().with_extra(&segment(0x70, b"DOE^JANE"));
    assert!(reason(convert(&tile.bytes())).contains("does not belong into a main header"));
}

#[test]
fn the_codestream_is_taken_out_of_a_jp2_file() {
    let codestream = J2k::new().bytes();
    let long = u64::try_from(codestream.len() + 16).unwrap();
    let xl = [
        &1_u32.to_be_bytes()[..],
        b"jp2c",
        &long.to_be_bytes(),
        &codestream,
    ]
    .concat();
    let to_the_end = [&[0, 0, 0, 0][..], b"jp2c", &codestream].concat();
    let text = jp2_box(*b"xml ", b"<name>DOE^JANE</name>");
    for stream in [jp2_box(*b"jp2c", &codestream), xl, to_the_end] {
        let tile = jp2(&[jp2_header(18), text.clone(), stream]);
        assert_eq!(
            jp2k::parse_header(&tile).unwrap().facts.jp2_colour,
            Some(18)
        );
        assert_eq!(convert(&tile).unwrap(), padded(codestream.clone()));
    }
}

#[test]
fn boxes_behind_the_codestream_are_cut_off() {
    let codestream = J2k::new().with_end(&[]).bytes();
    let text = jp2_box(*b"xml ", b"DOE^JANE \xFF\xD9");
    let tile = jp2(&[jp2_box(*b"jp2c", &codestream), text]);
    let ended = [codestream, vec![0xFF, 0xD9]].concat();
    assert_eq!(convert(&tile).unwrap(), padded(ended));
    assert_eq!(truncated(&tile), 1);
}

#[test]
fn a_jp2_file_that_contradicts_itself_is_an_error() {
    let short = [&[0, 0, 0, 7][..], b"free", &[0; 8]].concat();
    let endless = [&[0, 0, 0, 0][..], b"free", &[0; 8]].concat();
    let huge = [&1_u32.to_be_bytes()[..], b"free", &u64::MAX.to_be_bytes()].concat();
    let damaged = jp2_box(*b"jp2h", &jp2_box(*b"colr", &[1, 0, 0, 0]));
    for boxes in [short, endless, huge, damaged] {
        let tile = jp2(&[boxes, jp2_box(*b"jp2c", &J2k::new().bytes())]);
        assert_eq!(convert(&tile).unwrap_err().kind(), Kind::Format);
    }
}

#[test]
fn tile_parts_are_followed_to_the_end_marker() {
    let parts = [
        tile_part(0, &[], &DATA),
        tile_part(1, &[], &[]),
        tile_part(2, &[], &DATA),
    ];
    let tile = J2k::new().with_tile_parts(&parts);
    let junk = [&[0xFF, 0xD9][..], &[b'J'; 100], &[0xFF, 0xD9]].concat();
    assert_eq!(convert(&tile.bytes()).unwrap(), padded(tile.bytes()));
    assert_eq!(
        convert(&tile.clone().with_end(&junk).bytes()).unwrap(),
        padded(tile.bytes())
    );
}

#[test]
fn a_missing_end_marker_is_appended_and_counted() {
    let tile = J2k::new();
    for end in [&[][..], &[0, 0, 0], b"junk"] {
        let open = tile.clone().with_end(end).bytes();
        assert_eq!(convert(&open).unwrap(), padded(tile.bytes()));
        assert_eq!(truncated(&open), 1);
    }
}

#[test]
fn a_last_tile_part_may_leave_its_length_open() {
    let parts = [
        tile_part(0, &[], &DATA),
        tile_part_of_length(0, 1, &[], &DATA),
    ];
    let tile = J2k::new().with_tile_parts(&parts);
    assert_eq!(convert(&tile.bytes()).unwrap(), padded(tile.bytes()));
    assert_eq!(truncated(&tile.bytes()), 0);
    let padding = tile.clone().with_end(&[0xFF, 0xD9, 0, 0, 0, 0]);
    assert_eq!(convert(&padding.bytes()).unwrap(), padded(tile.bytes()));
    let open = tile.clone().with_end(&[]);
    assert_eq!(convert(&open.bytes()).unwrap(), padded(tile.bytes()));
    assert_eq!(truncated(&open.bytes()), 1);
}

#[test]
fn what_is_behind_an_end_marker_in_open_data_is_left_out() {
    let open = |data: &[u8]| {
        let parts = [tile_part_of_length(0, 0, &[], data)];
        J2k::new().with_tile_parts(&parts).bytes()
    };
    let data = [&DATA[..], &[0xFF, 0xD9], b"DOE^JANE"].concat();
    assert_eq!(convert(&open(&data)).unwrap(), padded(open(&DATA)));
}

#[test]
fn markers_between_packets_are_data_and_all_others_are_not() {
    let packets = [0xC0, 0xFF, 0x91, 0x00, 0x04, 0xFF, 0x64, 0xFF, 0x92, 0xFF];
    assert_eq!(jp2k::check_packets(&packets), Ok(()));
    for marker in [0x90, 0x93, 0xD9, 0xFF] {
        assert!(
            jp2k::check_packets(&[0xC0, 0xFF, marker, 0x00]).is_err(),
            "{marker:x}"
        );
    }
}

#[test]
fn comments_are_dropped_from_the_first_tile_part() {
    let lengths = segment(0x58, &[0, 5]);
    let with = [comment(), lengths.clone(), comment()].concat();
    for last in [
        tile_part(1, &[], &DATA),
        tile_part_of_length(0, 1, &[], &DATA),
    ] {
        let clean = J2k::new().with_tile_parts(&[tile_part(0, &lengths, &DATA), last.clone()]);
        let tile = J2k::new().with_tile_parts(&[tile_part(0, &with, &DATA), last]);
        let slide = Slide::one(&tile.bytes());
        let (_, plan) = slide.plan(jp2k_codec(false)).unwrap();
        assert_eq!(plan.summary().dropped_segments, 2);
        let frames = slide.convert(jp2k_codec(false)).unwrap();
        assert_eq!(frames[0], padded(clean.bytes()));
    }
    let open = |header: &[u8]| {
        let part = tile_part_of_length(0, 0, header, &DATA);
        J2k::new().with_tile_parts(&[part]).bytes()
    };
    assert_eq!(convert(&open(&comment())).unwrap(), padded(open(&[])));
}

/// Tiles with and without them, in any order: the header of one is not taken for that of the next.
#[test]
fn comments_in_some_tile_parts_leave_the_other_tiles_alone() {
    let clean = J2k::new().with_tile_parts(&[tile_part(0, &[], &DATA)]);
    let tile = J2k::new().with_tile_parts(&[tile_part(0, &comment(), &DATA)]);
    for order in [[0, 1, 0, 1], [1, 1, 0, 0]] {
        let tiles = order.map(|which| [&clean, &tile][which].bytes());
        let frames = Slide::new(&tiles).convert(jp2k_codec(false)).unwrap();
        assert_eq!(frames, vec![padded(clean.bytes()); 4]);
    }
}

#[test]
fn a_comment_inside_a_later_tile_part_is_refused() {
    let parts = [tile_part(0, &[], &DATA), tile_part(1, &comment(), &DATA)];
    let tile = J2k::new().with_tile_parts(&parts);
    assert!(reason(convert(&tile.bytes())).contains("that is not the first"));
}

/// T.800 A.6.1: it would overrule the main header, and so what the data set says.
#[test]
fn a_coding_style_inside_a_tile_part_is_refused() {
    for segment in [
        J2k {
            mct: 1,
            ..J2k::new()
        }
        .cod(),
        segment(0x53, &[0, 0, 1, 4, 4, 0, 1]),
    ] {
        let tile = J2k::new().with_tile_parts(&[tile_part(0, &segment, &DATA)]);
        assert!(reason(convert(&tile.bytes())).contains("coding style inside"));
    }
}

#[test]
fn packet_lengths_in_a_tile_part_are_copied_however_long() {
    // The first byte is the index of the segment, each other byte a length of 0.
    let lengths = segment(0x58, &vec![0; 60_000]);
    let of_data = segment(0x58, &[0, 0x80, 5]);
    for count in [0, 1, 17] {
        let header = [&lengths.repeat(count)[..], &of_data].concat();
        let tile = J2k::new().with_tile_parts(&[tile_part(0, &header, &DATA)]);
        assert_eq!(convert(&tile.bytes()).unwrap(), padded(tile.bytes()));
    }
    let tile = J2k::new().with_tile_parts(&[tile_part(0, &lengths.repeat(18), &DATA)]);
    let error = convert(&tile.bytes()).unwrap_err();
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
fn packet_lengths_that_do_not_add_up_are_an_error() {
    for lengths in [&b"\0DOE^JANE"[..], &[0, 4], &[0, 6], &[0, 0x85], &[0; 3]] {
        let header = segment(0x58, lengths);
        let tile = J2k::new().with_tile_parts(&[tile_part(0, &header, &DATA)]);
        assert!(
            reason(convert(&tile.bytes())).contains("PLT"),
            "{lengths:?}"
        );
    }
}

#[test]
fn more_tile_parts_than_the_limit_name_it() {
    let tile = J2k::new().with_tile_parts(&vec![tile_part(0, &[], &[]); 4097]);
    let error = convert(&tile.bytes()).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Limit {
                name: "tile_parts",
                limit: 4096,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn tile_parts_with_impossible_lengths_are_errors() {
    for psot in [1, 13, 20_000, u32::MAX] {
        let tile = J2k::new().with_tile_parts(&[tile_part_of_length(psot, 0, &[], &DATA)]);
        assert_eq!(
            convert(&tile.bytes()).unwrap_err().kind(),
            Kind::Format,
            "{psot}"
        );
    }
}

#[test]
fn a_picture_of_another_size_is_refused() {
    for (columns, rows) in [(15, 16), (16, 17), (u32::MAX, 16)] {
        let tile = J2k {
            columns,
            rows,
            ..J2k::new()
        };
        let error = convert(&tile.bytes()).unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported);
        assert!(
            error.to_string().contains(&format!("{columns}x{rows}")),
            "{error}"
        );
    }
}

#[test]
fn a_size_that_underflows_or_has_no_components_is_an_error() {
    let good = J2k::new().bytes();
    let xsiz = 2 + 6;
    for (at, bytes) in [
        (xsiz, [0, 0, 0, 0]),
        (xsiz + 8, [0, 0, 0, 16]),
        (xsiz + 8, [0xFF; 4]),
    ] {
        let mut tile = good.clone();
        tile[at..at + 4].copy_from_slice(&bytes);
        assert!(reason(convert(&tile)).contains("an SIZ without a picture"));
    }
    let no_components = J2k {
        components: Vec::new(),
        ..J2k::new()
    };
    let no_separation = J2k {
        components: vec![[7, 0, 1]],
        ..J2k::new()
    };
    for tile in [no_components, no_separation] {
        assert_eq!(convert(&tile.bytes()).unwrap_err().kind(), Kind::Format);
    }
}

#[test]
fn headers_without_siz_or_with_two_are_errors() {
    let tile = J2k::new();
    let second_siz = tile.clone().with_extra(&tile.siz());
    let second_cod = tile.clone().with_extra(&tile.cod());
    for (tile, name) in [(second_siz, "a second SIZ"), (second_cod, "a second COD")] {
        assert!(reason(convert(&tile.bytes())).contains(name));
    }
    let no_siz = [vec![0xFF, 0x4F], tile.cod(), tile.siz()].concat();
    assert!(reason(convert(&no_siz)).contains("no SIZ after SOC"));
    assert!(reason(convert(b"DOE^JANE")).contains("no SOC"));
}

#[test]
fn extensions_of_part_2_are_refused() {
    for tile in [
        J2k {
            rsiz: 0x8000,
            ..J2k::new()
        },
        J2k {
            mct: 2,
            ..J2k::new()
        },
        J2k {
            wavelet: 2,
            ..J2k::new()
        },
    ] {
        assert!(reason(convert(&tile.bytes())).contains("part 2"));
    }
}

#[test]
fn switching_the_colour_transformation_on_changes_one_byte() {
    let tile = J2k::new().with_extra(&comment());
    let plain = Slide::one(&tile.bytes())
        .convert(jp2k_codec(false))
        .unwrap()
        .remove(0);

    let switched = Slide::one(&tile.bytes())
        .convert(jp2k_codec(true))
        .unwrap()
        .remove(0);

    let differences: Vec<_> = (0..plain.len())
        .filter(|&at| plain[at] != switched[at])
        .collect();
    let mct_at = 2 + tile.siz().len() + 8;
    assert_eq!((plain.len(), differences), (switched.len(), vec![mct_at]));
    assert_eq!((plain[mct_at], switched[mct_at]), (0, 1));
    assert!(jp2k::parse_header(&switched).unwrap().facts.mct);
}

#[test]
fn a_colour_transformation_that_would_be_wrong_is_not_switched_on() {
    let coc = segment(0x53, &[1, 0, 1, 4, 4, 0, 0]);
    let with = |components: &[[u8; 3]]| J2k {
        components: components.to_vec(),
        ..J2k::new()
    };
    for tile in [
        J2k {
            wavelet: 1,
            ..J2k::new()
        },
        J2k::new().with_extra(&coc),
        with(&[[7, 1, 1]]),
        with(&[[7, 1, 1]; 4]),
        with(&[[7, 1, 1], [7, 2, 1], [7, 2, 1]]),
        with(&[[7, 1, 1], [7, 1, 1], [9, 1, 1]]),
    ] {
        assert!(convert(&tile.bytes()).is_ok());
        let error = Slide::one(&tile.bytes())
            .convert(jp2k_codec(true))
            .unwrap_err();
        assert!(
            error
                .to_string()
                .contains("a colour transformation that cannot be declared")
        );
    }
}

#[test]
fn tiles_with_another_coding_than_the_first_are_named() {
    let first = J2k::new();
    let coc = segment(0x53, &[1, 0, 1, 4, 4, 0, 1]);
    for (other, what) in [
        (
            J2k {
                components: vec![[7, 1, 1]],
                ..first.clone()
            },
            "components",
        ),
        (
            J2k {
                components: vec![[7, 1, 1], [7, 2, 1], [7, 2, 1]],
                ..first.clone()
            },
            "sampling",
        ),
        (
            J2k {
                mct: 1,
                ..first.clone()
            },
            "colour transformation",
        ),
        (
            J2k {
                wavelet: 1,
                ..first.clone()
            },
            "wavelet",
        ),
        (first.clone().with_extra(&coc), "wavelet"),
        (
            first
                .clone()
                .with_extra(&segment(0x50, &[0, 2, 0, 0, 0, 0])),
            "block coder",
        ),
    ] {
        let slide = Slide::new(&[first.bytes(), first.bytes(), other.bytes()]);
        let error = slide.plan(jp2k_codec(false)).unwrap_err();
        assert!(matches!(error, Error::Mixed { tile: 2, .. }), "{error}");
        assert!(error.to_string().contains(what), "{error}");
    }
}
