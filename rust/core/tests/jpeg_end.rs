//! A JPEG frame ends with its first EOI, and holds one scan.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]
#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]

mod common;

use common::*;
use coverslip_core::jpeg::{self, Colour, End};
use coverslip_core::{Error, Kind};

const ENTROPY: [u8; 7] = [0x12, 0x34, 0xFF, 0x00, 0x56, 0x78, 0x9A];

/// The end of the frame behind the scan header, and how many tiles were called truncated.
fn end_of(entropy: &[u8], end: &[u8]) -> Result<(Vec<u8>, u64), Error> {
    let tile = Jpeg::ycc()
        .with_tables()
        .with_entropy(entropy)
        .with_end(end);
    let slide = Slide::one(&tile.bytes());
    let (_, plan) = slide.plan(jpeg_codec(Colour::Ybr, &[]))?;
    let frames = slide.convert(jpeg_codec(Colour::Ybr, &[]))?;
    assert_eq!(frames[0].len() % 2, 0);
    let header = tile.header().len();
    Ok((frames[0][header..].to_vec(), plan.summary().truncated))
}

/// What is expected behind a header of the builder's length.
fn ended(entropy: &[u8]) -> Vec<u8> {
    let header = Jpeg::ycc().with_tables().header().len();
    let mut end = [entropy, &[0xFF, 0xD9]].concat();
    if (header + end.len()) % 2 == 1 {
        end.push(0);
    }
    end
}

#[test]
fn entropy_of_either_parity_is_copied_and_padded_behind_the_end_marker() {
    for len in 1..=ENTROPY.len() {
        let entropy = &ENTROPY[..len];
        if entropy.ends_with(&[0xFF]) {
            continue;
        }
        assert_eq!(end_of(entropy, &[0xFF, 0xD9]).unwrap(), (ended(entropy), 0));
    }
}

#[test]
fn padding_behind_the_end_marker_is_cut() {
    for padding in [
        &[0_u8][..],
        &[0xFF],
        &[0, 0, 0],
        &[0xFF; 29],
        &[0; 5_000],
        &[0xFF; 5_000],
    ] {
        let end = [&[0xFF, 0xD9], padding].concat();
        assert_eq!(
            end_of(&ENTROPY, &end).unwrap(),
            (ended(&ENTROPY), 0),
            "{}",
            padding.len()
        );
    }
}

#[test]
fn junk_behind_the_end_marker_is_cut() {
    for len in [1, 2, 31, 32, 33, 5_000] {
        let end = [&[0xFF, 0xD9][..], &vec![b'J'; len]].concat();
        assert_eq!(
            end_of(&ENTROPY, &end).unwrap(),
            (ended(&ENTROPY), 0),
            "{len}"
        );
    }
}

/// Planning looks for the end of a tile from behind; whether it has an earlier one is seen when its
/// bytes are copied, whole or in pieces.
#[test]
fn junk_between_two_end_markers_is_cut() {
    for len in [0, 1, 200, 300_000] {
        let entropy = [&ENTROPY[..], &vec![0x55; len]].concat();
        let junk = b"\xFF\xD9DOE^JANE\xFF\xD9";
        let expected = ended(&entropy);
        assert_eq!(end_of(&entropy, junk).unwrap(), (expected, 0), "{len}");
        let tile = Jpeg::ycc().with_tables().with_entropy(&entropy);
        let slide = Slide::one(&tile.with_end(junk).bytes());
        let (source, plan) = slide.plan(jpeg_codec(Colour::Ybr, &[])).unwrap();
        let written = write(&source, &plan, &slide.path_for("out.dcm"), None);
        assert!(matches!(written, Err(Error::Unlike { tile: 0 })));
    }
}

#[test]
fn a_missing_end_marker_is_appended_and_counted() {
    assert_eq!(end_of(&ENTROPY, &[]).unwrap(), (ended(&ENTROPY), 1));
    assert_eq!(end_of(&ENTROPY, &[0xFF]).unwrap(), (ended(&ENTROPY), 1));
    assert_eq!(end_of(&[], &[]).unwrap(), (ended(&[]), 1));
}

#[test]
fn zeros_behind_truncated_data_stay_since_they_may_be_data() {
    let (end, truncated) = end_of(&ENTROPY, &[0, 0]).unwrap();
    assert_eq!(
        (end, truncated),
        (ended(&[&ENTROPY[..], &[0, 0]].concat()), 1)
    );
}

#[test]
fn fill_bytes_before_the_end_marker_stay() {
    let (end, truncated) = end_of(&ENTROPY, &[0xFF, 0xFF, 0xFF, 0xD9]).unwrap();
    assert_eq!(
        (end, truncated),
        (ended(&[&ENTROPY[..], &[0xFF, 0xFF]].concat()), 0)
    );
}

#[test]
fn a_second_scan_is_refused_by_name() {
    let second = segment(0xDA, &[1, 1, 0, 0, 63, 0]);
    let entropy = [&ENTROPY[..], &second, &ENTROPY].concat();
    for end in [&[][..], &[0xFF, 0xD9]] {
        let error = end_of(&entropy, end).unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported);
        assert!(error.to_string().contains("more than one scan"), "{error}");
    }
}

#[test]
fn a_number_of_lines_behind_the_scan_is_refused_by_name() {
    let entropy = [&ENTROPY[..], &segment(0xDC, &[0, 16])].concat();
    assert!(reason(end_of(&entropy, &[0xFF, 0xD9])).contains("DNL"));
    assert!(reason(end_of(&entropy, &[])).contains("DNL"));
}

#[test]
fn a_comment_or_application_behind_the_scan_header_is_refused() {
    for marker in [0xFE, 0xE1, 0xED, 0xDB, 0xC4] {
        let entropy = [&ENTROPY[..], &segment(marker, b"DOE^JANE"), &ENTROPY].concat();
        for end in [&[][..], &[0xFF, 0xD9]] {
            let error = end_of(&entropy, end).unwrap_err();
            assert!(
                error
                    .to_string()
                    .contains("a marker inside entropy-coded data"),
                "{error}"
            );
        }
    }
}

#[test]
fn restart_markers_and_stuffed_bytes_are_data() {
    let mut entropy = vec![0x00, 0xFF, 0x00, 0xFF, 0x00];
    for restart in 0xD0..=0xD7 {
        entropy.extend([0xFF, restart, 0x55]);
    }
    assert_eq!(
        jpeg::scan_entropy(&entropy),
        Ok(End {
            len: entropy.len(),
            has_eoi: false
        })
    );
    assert_eq!(
        end_of(&entropy, &[0xFF, 0xD9]).unwrap(),
        (ended(&entropy), 0)
    );
}

#[test]
fn the_end_marker_is_found_from_behind_over_padding_only() {
    assert_eq!(jpeg::find_eoi_at_end(&[1, 0xFF, 0xD9]), Some(1));
    assert_eq!(jpeg::find_eoi_at_end(&[1, 0xFF, 0xD9, 0, 0xFF, 0]), Some(1));
    assert_eq!(jpeg::find_eoi_at_end(&[0xFF, 0xD9, 1]), None);
    assert_eq!(jpeg::find_eoi_at_end(&[0xD9]), None);
    assert_eq!(jpeg::find_eoi_at_end(&[0xFF, 0x00, 0xD9]), None);
    assert_eq!(jpeg::find_eoi_at_end(&[]), None);
}

#[test]
fn a_million_fill_bytes_take_no_time_worth_telling() {
    let bytes = vec![0xFF; 1 << 20];
    assert_eq!(
        jpeg::scan_entropy(&bytes),
        Ok(End {
            len: (1 << 20) - 1,
            has_eoi: false
        })
    );
}
