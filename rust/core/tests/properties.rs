//! What holds for all bytes, not only for those that somebody thought of.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]
#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]

mod common;

use common::*;
use coverslip_core::jpeg::{self, Colour, Recipe};
use coverslip_core::{Codec, OffsetTable, blank, jp2k};
use proptest::collection::vec;
use proptest::prelude::*;

/// A valid JPEG tile of one of many kinds.
fn jpeg_tile() -> impl Strategy<Value = Jpeg> {
    let kind = prop_oneof![Just(Jpeg::ycc()), Just(Jpeg::rgb()), Just(Jpeg::grey())];
    (kind, any::<[bool; 4]>(), entropy()).prop_map(
        |(tile, [tables, text, restart, sof1], entropy)| {
            let mut tile = if tables { tile.with_tables() } else { tile };
            if text {
                tile = tile.with_lead(&segment(0xE1, b"Exif\0\0\xFF\xC0\xFF\xDA\xFF\xD9"));
                tile.middle = segment(0xFE, b"comment");
            }
            if restart {
                tile.middle.extend(segment(0xDD, &[0, 1]));
            }
            Jpeg {
                sof: if sof1 { 0xC1 } else { 0xC0 },
                ..tile
            }
            .with_entropy(&entropy)
        },
    )
}

/// Entropy-coded bytes: each FF is followed by 00.
fn entropy() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..300).prop_map(|bytes| {
        bytes
            .iter()
            .flat_map(|&byte| {
                if byte == 0xFF {
                    vec![0xFF, 0]
                } else {
                    vec![byte]
                }
            })
            .collect()
    })
}

fn codestream() -> impl Strategy<Value = J2k> {
    let packets = vec(0_u8..0xFF, 0..100);
    (vec(packets, 1..5), any::<[bool; 4]>()).prop_map(|(data, [comment, open, mct, reversible])| {
        let last = data.len() - 1;
        let parts: Vec<_> = (0..data.len())
            .map(|i| {
                let number = u8::try_from(i).unwrap();
                if open && i == last {
                    tile_part_of_length(0, number, &[], &data[i])
                } else {
                    tile_part(number, &[], &data[i])
                }
            })
            .collect();
        let tile = J2k {
            mct: u8::from(mct),
            wavelet: u8::from(reversible),
            ..J2k::new()
        };
        let tile = tile.with_tile_parts(&parts);
        if comment {
            tile.with_extra(&segment(0x64, b"\0\x01comment"))
        } else {
            tile
        }
    })
}

/// Bytes with some of them changed, cut out or doubled.
fn mutated(bytes: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), any::<u8>(), 0..4_u8);
    (bytes, vec(change, 1..6)).prop_map(|(mut bytes, changes)| {
        for (index, value, kind) in changes {
            if bytes.is_empty() {
                break;
            }
            let at = index.index(bytes.len());
            match kind {
                0 => bytes[at] = value,
                1 => bytes[at] ^= 1 << (value & 7),
                2 => drop(bytes.remove(at)),
                _ => bytes.truncate(at),
            }
        }
        bytes
    })
}

fn jpeg_bytes() -> impl Strategy<Value = Vec<u8>> {
    let valid = jpeg_tile().prop_map(|tile| tile.bytes());
    prop_oneof![vec(any::<u8>(), 0..200), mutated(valid)]
}

fn jp2k_bytes() -> impl Strategy<Value = Vec<u8>> {
    let valid = codestream().prop_map(|tile| tile.bytes());
    let boxed = codestream().prop_map(|tile| {
        let codestream = tile.bytes();
        let len = u32::try_from(codestream.len() + 8).unwrap().to_be_bytes();
        let header = b"\0\0\0\x16jp2h\0\0\0\x0Fcolr\x01\0\0\0\0\0\x12";
        [
            b"\0\0\0\x0CjP  \r\n\x87\n",
            &header[..],
            &len,
            b"jp2c",
            &codestream,
        ]
        .concat()
    });
    prop_oneof![vec(any::<u8>(), 0..200), mutated(valid), mutated(boxed)]
}

fn colour() -> impl Strategy<Value = Colour> {
    prop_oneof![Just(Colour::Rgb), Just(Colour::Ybr), Just(Colour::Grey)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_the_jpeg_walker_panic(bytes in jpeg_bytes(), shared in jpeg_bytes(), colour in colour()) {
        let tables = jpeg::parse_shared_tables(&shared).unwrap_or_default();
        let recipe = Recipe { tables, colour, is_emitted: false, columns: 16, rows: 16 };
        if let Ok(header) = jpeg::parse_header(&bytes) {
            prop_assert!(header.len <= bytes.len());
            if let Ok(built) = recipe.frame_header(&header) {
                let again = jpeg::parse_header(&built).unwrap();
                prop_assert_eq!(again.len, built.len());
                prop_assert_eq!((again.facts.columns, again.facts.rows), (16, 16));
                prop_assert_eq!(again.dropped, u32::from(colour == Colour::Rgb));
                prop_assert!(blank::jpeg_frame(&recipe, &header).is_ok());
            }
        }
    }

    #[test]
    fn no_bytes_make_the_end_of_a_tile_panic(bytes in jpeg_bytes()) {
        if let Ok(end) = jpeg::scan_entropy(&bytes) {
            prop_assert!(end.len <= bytes.len());
            prop_assert_eq!(end.has_eoi, bytes[end.len..].starts_with(&jpeg::EOI));
        }
        if let Some(at) = jpeg::find_eoi_at_end(&bytes) {
            prop_assert!(bytes[at..].starts_with(&jpeg::EOI));
        }
    }

    #[test]
    fn no_bytes_make_the_jpeg_2000_walker_panic(bytes in jp2k_bytes(), skip in 0_usize..80) {
        if let Ok(header) = jp2k::parse_header(&bytes) {
            prop_assert!(header.first_tile_part <= u64::try_from(bytes.len()).unwrap());
            prop_assert!(header.bytes.len() <= bytes.len());
        }
        let rest = &bytes[skip.min(bytes.len())..];
        if let Ok(part) = jp2k::parse_tile_part(rest) {
            prop_assert!(part.header_len <= u64::try_from(rest.len()).unwrap());
            prop_assert!(part.len.is_none_or(|len| len >= part.header_len));
        }
        let _ = jp2k::check_packets(rest);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn entropy_coded_bytes_of_frames_are_those_of_the_tiles(
        pattern in jpeg_tile(),
        all_entropy in vec(proptest::option::of(entropy()), 1..12),
        ends in vec(prop_oneof![Just(vec![0xFF, 0xD9]), Just(vec![0xFF, 0xD9, 0, 0, 0]), Just(vec![])], 12),
        extended in any::<bool>(),
    ) {
        prop_assume!(all_entropy.iter().any(Option::is_some));
        let colour = match pattern.parts.len() {
            1 => Colour::Grey,
            _ if pattern.parts[0].sampling == 0x11 => Colour::Rgb,
            _ => Colour::Ybr,
        };
        let tiles: Vec<Vec<u8>> = all_entropy
            .iter()
            .zip(&ends)
            .map(|(entropy, end)| {
                let tile = |entropy: &Vec<u8>| pattern.clone().with_entropy(entropy).with_end(end);
                entropy.as_ref().map_or_else(Vec::new, |entropy| tile(entropy).bytes())
            })
            .collect();
        let slide = Slide::new(&tiles);
        let (source, plan) = slide.plan(jpeg_codec(colour, &table_stream(&all_tables(5)))).unwrap();
        let table = if extended { OffsetTable::Extended } else { OffsetTable::Basic };
        let path = slide.path_for("out.dcm");
        write(&source, &plan, &path, Some(table)).unwrap();
        verify(&source, &plan, &path, table).unwrap();

        let frames = Parsed::read(&path, table).frames;
        let lengths: Vec<_> = frames.iter().map(|frame| u64::try_from(frame.len()).unwrap()).collect();
        prop_assert_eq!(plan.lengths().collect::<Vec<_>>(), lengths.clone());
        prop_assert_eq!(plan.summary().frame_bytes, lengths.iter().sum::<u64>());
        prop_assert!(lengths.iter().all(|len| len % 2 == 0));
        for (frame, entropy) in frames.iter().zip(&all_entropy) {
            let Some(entropy) = entropy else { continue };
            let header: usize = 2 + segments(frame).iter().map(|(_, payload)| payload.len() + 4).sum::<usize>();
            prop_assert!(frame[header..].starts_with(entropy));
            let end = frame[header..].strip_prefix(&entropy[..]).unwrap();
            // Padding of a tile without end marker may be data, and stays.
            let end = end.strip_suffix(&[0]).unwrap_or(end);
            prop_assert!(end.ends_with(&[0xFF, 0xD9]));
        }
    }

    #[test]
    fn packets_of_frames_are_those_of_the_tiles(tiles in vec(codestream(), 1..6)) {
        let first = tiles[0].clone();
        let tiles: Vec<_> = tiles
            .into_iter()
            .map(|tile| J2k { mct: first.mct, wavelet: first.wavelet, ..tile })
            .collect();
        let bytes: Vec<_> = tiles.iter().map(J2k::bytes).collect();
        let frames = Slide::new(&bytes).convert(jp2k_codec(false)).unwrap();
        for (frame, tile) in frames.iter().zip(tiles) {
            let clean = J2k { extra: Vec::new(), ..tile }.bytes();
            prop_assert!(frame.starts_with(&clean));
            prop_assert!(frame.len() <= clean.len() + 1);
        }
    }

    /// What can be written and is then refused is refused with a reason, and never by a panic.
    #[test]
    fn damaged_tiles_are_refused_or_copied_whole(
        damaged in vec(prop_oneof![jpeg_bytes(), jp2k_bytes()], 1..4),
        first in jpeg_tile(),
        is_jpeg in any::<bool>(),
    ) {
        let first = if is_jpeg { first.bytes() } else { J2k::new().bytes() };
        let slide = Slide::new(&[vec![first], damaged].concat());
        let recipe = jp2k::Recipe { columns: 16, rows: 16, set_mct: false };
        let blank = Some(J2k::new().bytes());
        let codec = if is_jpeg {
            jpeg_codec(Colour::Ybr, &table_stream(&all_tables(5)))
        } else {
            Codec::Jpeg2000 { recipe, blank }
        };
        if let Ok((source, plan)) = slide.plan(codec) {
            let path = slide.path_for("out.dcm");
            let report = write(&source, &plan, &path, None).unwrap();
            let lengths: Vec<_> = plan.lengths().collect();
            let frames = Parsed::read(&path, report.offset_table).frames;
            let written: Vec<_> = frames.iter().map(|frame| u64::try_from(frame.len()).unwrap()).collect();
            prop_assert_eq!(lengths, written);
            if let Err(error) = verify(&source, &plan, &path, report.offset_table) {
                prop_assert!(matches!(error, coverslip_core::Error::Frame { .. }), "{}", error);
            }
        }
    }
}
