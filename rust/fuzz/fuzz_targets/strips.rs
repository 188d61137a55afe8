//! Any JPEG strips are joined to one picture with their very bytes, or refused.
//!
//! Input: two bytes of width and two of height, rows of a strip, how many strips (bits: 0-2) and a
//! private range (3, in units of 16 bytes 4-7), length of the shared tables, two bytes of length for each strip, then tables and strips.

#![no_main]

use std::fs;

use coverslip_core::jpeg::{self, Colour, Recipe};
use coverslip_core::{ByteRange, Limits, Source, Strips, stitch_strips};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = join(data);
});

fn join(data: &[u8]) -> Option<()> {
    let (size, rest) = data.split_first_chunk::<7>()?;
    let count = usize::from(size[5] % 8);
    let (lengths, rest) = rest.split_at_checked(2 * count)?;
    let (tables, file) = rest.split_at_checked(usize::from(size[6]))?;
    let mut offset = 0;
    let mut ranges = Vec::new();
    for length in lengths.chunks(2) {
        let byte_count = u64::from(u16::from_le_bytes([length[0], length[1]]));
        ranges.push(ByteRange { offset, byte_count });
        offset += byte_count;
    }
    let private = if size[5] & 8 == 0 {
        Vec::new()
    } else {
        vec![ByteRange {
            offset: u64::from(size[5] / 16) * 16,
            byte_count: 16,
        }]
    };
    let strips = Strips {
        ranges: ranges.clone(),
        rows: u32::from(size[4]),
        private: private.clone(),
    };
    let recipe = Recipe {
        tables: jpeg::parse_shared_tables(tables).ok()?,
        colour: Colour::Ybr,
        is_emitted: false,
        columns: u16::from_le_bytes([size[0], size[1]]),
        rows: u16::from_le_bytes([size[2], size[3]]) % 2048,
    };
    let dir = tempfile::Builder::new()
        .tempdir_in("/dev/shm")
        .expect("a folder in memory");
    let path = dir.path().join("slide");
    fs::write(&path, file).expect("a file in memory");
    let source = Source::open(&path).expect("the file is there");
    let joined = stitch_strips(&source, &strips, &recipe, &Limits::default()).ok()?;
    let is_apart = |tile: &ByteRange| {
        (private.iter()).all(|range| {
            tile.byte_count == 0
                || range.offset + 16 <= tile.offset
                || tile.offset + tile.byte_count <= range.offset
        })
    };
    assert!(ranges.iter().all(is_apart), "a private range went out");

    let header = jpeg::parse_header(&joined).expect("a joined header can be read");
    assert!(joined.ends_with(&jpeg::EOI));
    let body = &joined[header.len..joined.len() - 2];
    assert_eq!(without_restarts(body), entropy_of(file, &ranges));
    Some(())
}

/// The entropy-coded bytes of all strips one behind the other, restart markers aside.
fn entropy_of(file: &[u8], ranges: &[ByteRange]) -> Vec<u8> {
    let mut all = Vec::new();
    for range in ranges {
        let end = range.end().expect("it is inside") as usize;
        let strip = &file[range.offset as usize..end];
        let header = jpeg::parse_header(strip).expect("the strip was read");
        all.extend(without_restarts(&strip[header.len..]));
    }
    all
}

/// Entropy-coded bytes up to the first marker that is none of a restart.
fn without_restarts(body: &[u8]) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut at = 0;
    while let Some(&byte) = body.get(at) {
        let next = body.get(at + 1).copied();
        match (byte, next) {
            (0xFF, Some(0)) => {
                kept.extend([0xFF, 0]);
                at += 2;
            }
            (0xFF, Some(0xFF)) => at += 1, // a fill byte
            (0xFF, Some(0xD0..=0xD7)) => at += 2,
            (0xFF, _) => break,
            _ => {
                kept.push(byte);
                at += 1;
            }
        }
    }
    kept
}
