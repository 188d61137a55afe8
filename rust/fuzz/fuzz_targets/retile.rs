//! Any JPEG is cut into frames with its very coefficients, or refused.
//!
//! Input: two bytes of width and two of height, what else there is (bits: 0-3 how many starts of
//! restart intervals are told, 4 a private range), two bytes for each start, two of the range's
//! offset and two of its length, then the JPEG.

#![no_main]

use std::fs::{self, File};

use coverslip_core::jpeg::{Colour, Recipe, SharedTables};
use coverslip_core::watch::Unwatched;
use coverslip_core::{ByteRange, Error, Limits, Picture, Source, prove_retiled, retile};
use libfuzzer_sys::fuzz_target;

/// As large as pictures may be here, so that no input is slow for its size.
const SIDE: u32 = 512;

fuzz_target!(|data: &[u8]| {
    let _ = cut(data);
});

fn pair(bytes: &[u8]) -> u64 {
    u16::from_le_bytes([bytes[0], bytes[1]]).into()
}

fn cut(data: &[u8]) -> Option<()> {
    let (size, rest) = data.split_first_chunk::<5>()?;
    let told = usize::from(size[4] % 16);
    let (starts, rest) = rest.split_at_checked(2 * told)?;
    let (private, stream) = rest.split_at_checked(if size[4] & 16 == 0 { 0 } else { 4 })?;
    let picture = Picture {
        range: ByteRange {
            offset: 0,
            byte_count: stream.len() as u64,
        },
        columns: u32::from(u16::from_le_bytes([size[0], size[1]])) % SIDE,
        rows: u32::from(u16::from_le_bytes([size[2], size[3]])) % SIDE,
        starts: (told > 0).then(|| starts.chunks(2).map(pair).collect()),
        private: private
            .chunks(4)
            .map(|range| ByteRange {
                offset: pair(range),
                byte_count: pair(&range[2..]),
            })
            .collect(),
    };
    let recipe = Recipe {
        tables: SharedTables::default(),
        colour: Colour::Ybr,
        is_emitted: false,
        columns: 64,
        rows: 64,
    };
    let limits = Limits::default();
    let dir = tempfile::Builder::new()
        .tempdir_in("/dev/shm")
        .expect("a folder in memory");
    let path = dir.path().join("picture");
    fs::write(&path, stream).expect("a file in memory");
    let source = Source::open(&path).expect("the file is there");
    let spool_path = dir.path().join("spool");
    let spool = File::create(&spool_path).expect("a file in memory");
    let ranges = retile(&source, &picture, &recipe, &spool, &limits, &mut Unwatched).ok()?;
    for range in &picture.private {
        let end = range.offset + range.byte_count;
        assert!(
            range.byte_count == 0 || range.offset >= stream.len() as u64 || end == 0,
            "a private range went out"
        );
    }
    let spool = Source::open(&spool_path).expect("the file is there");
    let frames = (&spool, &ranges[..]);
    match prove_retiled(&source, &picture, &recipe, frames, &limits, &mut Unwatched) {
        // Stitched bytes are not looked at, so they may be damaged in the picture already.
        Ok(()) | Err(Error::Tile { .. }) => Some(()),
        Err(error) => panic!("a frame is not what it was cut from: {error}"),
    }
}
