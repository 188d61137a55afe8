//! Frames that were cut look like the picture to a decoder that is not ours.
//!
//! Input: two bytes of width and two of height, then the JPEG. Only pictures without subsampled
//! colours are compared: there each block is decoded for itself, so nothing may differ.

#![no_main]

use std::fs::{self, File};
use std::io::Cursor;

use coverslip_core::jpeg::{Colour, Recipe, SharedTables};
use coverslip_core::watch::Unwatched;
use coverslip_core::{ByteRange, Limits, Picture, Source, inspect_picture, retile};
use jpeg_decoder::{ColorTransform, Decoder, PixelFormat};
use libfuzzer_sys::fuzz_target;

const SIDE: usize = 256;
const FRAME: usize = 64;

fuzz_target!(|data: &[u8]| {
    let _ = cut(data);
});

fn cut(data: &[u8]) -> Option<()> {
    let (size, stream) = data.split_at_checked(4)?;
    let columns = usize::from(u16::from_le_bytes([size[0], size[1]])) % SIDE;
    let rows = usize::from(u16::from_le_bytes([size[2], size[3]])) % SIDE;
    let picture = Picture {
        range: ByteRange {
            offset: 0,
            byte_count: stream.len() as u64,
        },
        columns: columns as u32,
        rows: rows as u32,
        starts: None,
        private: Vec::new(),
    };
    let recipe = Recipe {
        tables: SharedTables::default(),
        colour: Colour::Ybr,
        is_emitted: false,
        columns: FRAME as u16,
        rows: FRAME as u16,
    };
    let limits = Limits::default();
    let dir = tempfile::Builder::new()
        .tempdir_in("/dev/shm")
        .expect("a folder in memory");
    let path = dir.path().join("picture");
    fs::write(&path, stream).expect("a file in memory");
    let source = Source::open(&path).expect("the file is there");
    let facts = inspect_picture(&source, &picture, &limits).ok()?;
    let first = facts.components.first()?;
    let sampling = (first.horizontal, first.vertical);
    if facts
        .components
        .iter()
        .any(|c| (c.horizontal, c.vertical) != sampling)
    {
        return None;
    }
    let spool_path = dir.path().join("spool");
    let spool = File::create(&spool_path).expect("a file in memory");
    let ranges = retile(&source, &picture, &recipe, &spool, &limits, &mut Unwatched).ok()?;
    let whole = pixels(stream)?;
    if (whole.columns, whole.rows) != (columns, rows) {
        return None; // the stream does not tell its size
    }
    let spool = fs::read(&spool_path).expect("the spool is there");
    let across = columns.div_ceil(FRAME);
    for (number, range) in ranges.iter().enumerate() {
        let end = range.end().expect("it is inside") as usize;
        let frame = pixels(&spool[range.offset as usize..end]).expect("a frame can be decoded");
        assert_eq!((frame.columns, frame.rows), (FRAME, FRAME));
        whole.compare(&frame, number % across * FRAME, number / across * FRAME);
    }
    Some(())
}

/// Decoded pixels, three bytes each, or one.
struct Pixels {
    columns: usize,
    rows: usize,
    bytes: usize,
    data: Vec<u8>,
}

impl Pixels {
    fn compare(&self, frame: &Self, x: usize, y: usize) {
        for row in 0..frame.rows.min(self.rows - y) {
            let width = frame.columns.min(self.columns - x) * self.bytes;
            let theirs = ((y + row) * self.columns + x) * self.bytes;
            let ours = row * frame.columns * self.bytes;
            assert_eq!(
                self.data[theirs..theirs + width],
                frame.data[ours..ours + width],
                "row {row} of the frame at {x},{y}"
            );
        }
    }
}

fn pixels(stream: &[u8]) -> Option<Pixels> {
    let mut decoder = Decoder::new(Cursor::new(stream));
    // Samples as they are: which colours they mean is told by other markers in a frame.
    if decoder.read_info().is_ok() && decoder.info()?.pixel_format == PixelFormat::RGB24 {
        decoder.set_color_transform(ColorTransform::RGB);
    }
    let data = decoder.decode().ok()?;
    let info = decoder.info()?;
    let bytes = match info.pixel_format {
        PixelFormat::L8 => 1,
        PixelFormat::RGB24 => 3,
        _ => return None,
    };
    Some(Pixels {
        columns: usize::from(info.width),
        rows: usize::from(info.height),
        bytes,
        data,
    })
}
