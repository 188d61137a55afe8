//! A term is found wherever it is written plainly, and any bytes can be an instance.
//!
//! Input: where the Pixel Data begin, length of the term (bits: 0-5) and of an Extended Offset Table
//! (6-7, in frames, from byte 12), the term, then the file.

#![no_main]

use std::fs;

use coverslip_core::scan::{Encoding, Header, Scanner, Term};
use coverslip_core::watch::Unwatched;
use coverslip_core::{ByteRange, Limits, check_instance};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = look(data);
});

fn look(data: &[u8]) -> Option<()> {
    let (&[offset, length], rest) = data.split_first_chunk::<2>()?;
    let (term, file) = rest.split_at_checked(usize::from(length % 64))?;
    let text = std::str::from_utf8(term).ok()?;
    let terms = [Term {
        text: text.to_owned(),
        whole_word: false,
    }];
    let scanner = Scanner::new(&terms, &Limits::default()).ok()?;
    let hits = scanner.scan_bytes(file);
    assert!(hits.iter().all(|hit| hit.offset < file.len() as u64));
    check_found(&scanner, text, file);

    let dir = tempfile::Builder::new()
        .tempdir_in("/dev/shm")
        .expect("a folder in memory");
    let path = dir.path().join("instance");
    fs::write(&path, file).expect("a file in memory");
    let byte_count = u64::from(length / 64) * 8;
    let values = |offset| ByteRange { offset, byte_count };
    let header = Header {
        extended: (byte_count > 0).then(|| (values(12), values(24 + byte_count))),
        pixel_data_offset: u64::from(offset),
        ..Header::default()
    };
    let report = check_instance(&scanner, &path, &header, None, &mut Unwatched)
        .expect("whatever is wrong with the file is in the report");
    assert_eq!(report.frames_equal, 0);
    Some(())
}

/// A long term between two bytes that are no letters is found as text and as UTF-16.
fn check_found(scanner: &Scanner, text: &str, file: &[u8]) {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphabetic());
    if !is_plain || text.len() < 8 || file.len() > 4096 {
        return;
    }
    let middle = file.len() / 2;
    let wide: Vec<u8> = text.bytes().flat_map(|byte| [byte, 0]).collect();
    for (written, encoding) in [
        (text.as_bytes(), Encoding::Text),
        (&wide, Encoding::Utf16Le),
    ] {
        let mut planted = file[..middle].to_vec();
        planted.extend(b"\0\0\0\0");
        let at = planted.len() as u64;
        planted.extend(written);
        planted.extend(b"\0\0\0\0");
        planted.extend(&file[middle..]);
        let hits = scanner.scan_bytes(&planted);
        assert!(
            hits.iter()
                .any(|hit| hit.offset == at && hit.encoding == encoding)
        );
    }
}
