//! A tile that was coded anew has its coefficients, and its pixels to a decoder that is not ours.
//!
//! Input: width and height of the level, one byte each, then the JPEG, which is its only tile. The
//! other decoder knows no arithmetic coding: there the core's own proof stands alone.

#![no_main]

use std::fs::{self, File};
use std::io::Cursor;

use coverslip_core::jpeg::{Colour, Facts, Recipe, SharedTables};
use coverslip_core::watch::Unwatched;
use coverslip_core::{
    ByteRange, Error, Limits, Mosaic, Source, inspect_coded, prove_rewritten, rewrite,
};
use jpeg_decoder::{ColorTransform, Decoder, PixelFormat};
use libfuzzer_sys::fuzz_target;

const FRAME: u16 = 64;

fuzz_target!(|data: &[u8]| {
    let _ = write_anew(data);
});

fn write_anew(data: &[u8]) -> Option<()> {
    let (&size, stream) = data.split_first_chunk::<2>()?;
    let [columns, rows] = size.map(|side| u32::from(side) % u32::from(FRAME) + 1);
    let range = ByteRange {
        offset: 0,
        byte_count: stream.len() as u64,
    };
    let mosaic = Mosaic {
        ranges: vec![range],
        across: 1,
        tile: (FRAME.into(), FRAME.into()),
        overlap: (0, 0),
        size: (columns, rows),
        planes: 1,
        private: Vec::new(),
    };
    let recipe = Recipe {
        tables: SharedTables::default(),
        colour: Colour::Ybr,
        is_emitted: false,
        columns: FRAME,
        rows: FRAME,
    };
    let limits = Limits::default();
    let dir = tempfile::Builder::new()
        .tempdir_in("/dev/shm")
        .expect("a folder in memory");
    let path = dir.path().join("tile");
    fs::write(&path, stream).expect("a file in memory");
    let source = Source::open(&path).expect("the file is there");
    let spool_path = dir.path().join("spool");
    let spool = File::create(&spool_path).expect("a file in memory");
    let written = rewrite(&source, &mosaic, &recipe, &spool, &limits, &mut Unwatched).ok()?;

    let spool = Source::open(&spool_path).expect("the file is there");
    let frames = (&spool, &written.ranges[..]);
    match prove_rewritten(&source, &mosaic, &recipe, frames, &limits, &mut Unwatched) {
        Ok(_) => {}
        // A tile that was copied is looked at here for the first time, and may be damaged.
        Err(error) if written.rewritten > 0 => {
            panic!("a frame is not what its tile is: {error}")
        }
        Err(Error::Verify { .. }) => panic!("a frame that was copied is another"),
        Err(_) => return None,
    }
    let facts = inspect_coded(&source, 0, range, &limits).expect("the tile was read");
    let bytes = fs::read(&spool_path).expect("the spool is there");
    compare(&facts, stream, &bytes)
}

/// Compares the pixels of the tile with those of its frame.
fn compare(facts: &Facts, tile: &[u8], frame: &[u8]) -> Option<()> {
    let (columns, rows) = (usize::from(facts.columns), usize::from(facts.rows));
    let first = facts.components.first()?;
    let is_alike = facts
        .components
        .iter()
        .all(|c| (c.horizontal, c.vertical) == (first.horizontal, first.vertical));
    // Where colours are subsampled, what is beside the picture has a part in its edge.
    if !is_alike && (facts.columns, facts.rows) != (FRAME, FRAME) {
        return None;
    }
    let (theirs, bytes) = pixels(tile).ok()?;
    let (ours, _) = pixels(frame).expect("a frame can be decoded");
    for row in 0..rows {
        let width = columns * bytes;
        let at = row * usize::from(FRAME) * bytes;
        assert_eq!(
            ours[at..at + width],
            theirs[row * width..row * width + width],
            "row {row}"
        );
    }
    Some(())
}

/// Samples and how many bytes a pixel has.
fn pixels(stream: &[u8]) -> Result<(Vec<u8>, usize), jpeg_decoder::Error> {
    let mut decoder = Decoder::new(Cursor::new(stream));
    decoder.read_info()?;
    // Samples as they are: which colours they mean is told by other markers in a frame.
    let bytes = match decoder.info().map(|info| info.pixel_format) {
        Some(PixelFormat::RGB24) => 3,
        _ => 1,
    };
    if bytes == 3 {
        decoder.set_color_transform(ColorTransform::RGB);
    }
    Ok((decoder.decode()?, bytes))
}
