//! Any JPEG is cut into frames with its very coefficients, or refused.
//!
//! Input: two bytes of width and two of height, then the JPEG.

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

fn cut(data: &[u8]) -> Option<()> {
    let (size, stream) = data.split_at_checked(4)?;
    let picture = Picture {
        range: ByteRange {
            offset: 0,
            byte_count: stream.len() as u64,
        },
        columns: u32::from(u16::from_le_bytes([size[0], size[1]])) % SIDE,
        rows: u32::from(u16::from_le_bytes([size[2], size[3]])) % SIDE,
        starts: None,
        private: Vec::new(),
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
    let spool = Source::open(&spool_path).expect("the file is there");
    let frames = (&spool, &ranges[..]);
    match prove_retiled(&source, &picture, &recipe, frames, &limits, &mut Unwatched) {
        // Stitched bytes are not looked at, so they may be damaged in the picture already.
        Ok(()) | Err(Error::Tile { .. }) => Some(()),
        Err(error) => panic!("a frame is not what it was cut from: {error}"),
    }
}
