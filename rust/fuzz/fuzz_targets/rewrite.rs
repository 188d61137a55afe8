//! Tiles that were coded anew have their coefficients, and their pixels to a decoder that is not
//! ours.
//!
//! Input: width and height of the level, shape of the grid (bits: 0-1 tiles across, 2-3 down, 4
//! colours apart, 5 tiles of 32 pixels, 6 a private range), blocks that neighbours share (bits: 0-3
//! columns, 4-7 rows), how many JPEG streams follow, two bytes of length for each, then for each
//! tile which stream it is, 0 if it is missing, two bytes of the private range's offset and two of
//! its length if there is one, then the streams. The other decoder knows no arithmetic coding:
//! there the core's own proof stands alone.

#![no_main]

use std::fs::{self, File};
use std::io::Cursor;
use std::path::Path;

use coverslip_core::jpeg::{Colour, Facts, Recipe, SharedTables};
use coverslip_core::watch::Unwatched;
use coverslip_core::{
    ByteRange, Error, Limits, Mosaic, Rewritten, Source, inspect_coded, prove_rewritten, rewrite,
};
use jpeg_decoder::{ColorTransform, Decoder, PixelFormat};
use libfuzzer_sys::fuzz_target;

const FRAME: usize = 64;

fuzz_target!(|data: &[u8]| {
    let _ = write_anew(data);
});

fn take<'a>(data: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, rest) = data.split_at_checked(len)?;
    *data = rest;
    Some(taken)
}

fn pair(bytes: &[u8]) -> u64 {
    u16::from_le_bytes([bytes[0], bytes[1]]).into()
}

/// Takes the shape of a level from the input, and leaves its file.
fn mosaic_of(data: &mut &[u8]) -> Option<Mosaic> {
    let &[columns, rows, shape, shared, count] = take(data, 5)? else {
        return None;
    };
    let lengths = take(data, 2 * usize::from(count % 5))?;
    let mut streams = vec![ByteRange {
        offset: 0,
        byte_count: 0,
    }];
    let mut offset = 0;
    for length in lengths.chunks(2).map(pair) {
        streams.push(ByteRange {
            offset,
            byte_count: length,
        });
        offset += length;
    }
    let (across, down) = (shape % 4 + 1, (shape >> 2) % 4 + 1);
    let planes = if shape & 16 == 0 { 1 } else { 3 };
    let chosen = take(data, usize::from(across * down) * planes)?;
    let mut private = Vec::new();
    if shape & 64 != 0 {
        let range = take(data, 4)?;
        private.push(ByteRange {
            offset: pair(range),
            byte_count: pair(&range[2..]),
        });
    }
    let tile = if shape & 32 == 0 { 64 } else { 32 };
    Some(Mosaic {
        ranges: chosen
            .iter()
            .map(|&number| streams[usize::from(number) % streams.len()])
            .collect(),
        across: across.into(),
        tile: (tile, tile),
        overlap: (u32::from(shared % 16) * 8, u32::from(shared / 16) * 8),
        size: (u32::from(columns) + 1, u32::from(rows) + 1),
        planes: planes as u32,
        private,
    })
}

fn write_anew(mut data: &[u8]) -> Option<()> {
    let mosaic = mosaic_of(&mut data)?;
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
    let path = dir.path().join("tile");
    fs::write(&path, data).expect("a file in memory");
    let source = Source::open(&path).expect("the file is there");
    let spool_path = dir.path().join("spool");
    let spool = File::create(&spool_path).expect("a file in memory");
    let written = rewrite(&source, &mosaic, &recipe, &spool, &limits, &mut Unwatched).ok()?;
    for range in &mosaic.private {
        assert!(
            mosaic.ranges.iter().all(|tile| is_apart(*tile, *range)),
            "a private range went out"
        );
    }

    let spool = Source::open(&spool_path).expect("the spool is there");
    let frames = (&spool, &written.ranges[..]);
    match prove_rewritten(&source, &mosaic, &recipe, frames, &limits, &mut Unwatched) {
        Ok(_) => {}
        // A tile that was copied is looked at here for the first time, and may be damaged.
        Err(error) if written.rewritten() == written.ranges.len() => {
            panic!("a frame is not what its tile is: {error}")
        }
        Err(Error::Verify { .. }) => panic!("a frame is another"),
        Err(_) => return None,
    }
    let level = Level {
        mosaic: &mosaic,
        file: data,
        facts: facts_of(&source, &mosaic, &limits)?,
    };
    level.compare(&written, &spool_path)
}

fn is_apart(one: ByteRange, other: ByteRange) -> bool {
    one.byte_count == 0
        || other.byte_count == 0
        || one.offset + one.byte_count <= other.offset
        || other.offset + other.byte_count <= one.offset
}

/// What the first tile that is there says.
fn facts_of(source: &Source, mosaic: &Mosaic, limits: &Limits) -> Option<Facts> {
    let first = mosaic.ranges.iter().find(|range| range.byte_count > 0)?;
    inspect_coded(source, 0, *first, limits).ok()
}

/// A level whose pixels another decoder sees.
struct Level<'a> {
    mosaic: &'a Mosaic,
    file: &'a [u8],
    facts: Facts,
}

impl Level<'_> {
    /// Compares the pixels of each frame with those of the tiles that it is made of.
    fn compare(&self, written: &Rewritten, spool: &Path) -> Option<()> {
        let first = self.facts.components.first()?;
        let is_alike = (self.facts.components.iter())
            .all(|c| (c.horizontal, c.vertical) == (first.horizontal, first.vertical));
        let size = (self.facts.columns.into(), self.facts.rows.into());
        let is_plain = self.mosaic.overlap == (0, 0) && self.mosaic.tile == (64, 64);
        // Where colours are subsampled, what is beside a tile has a part in its edge.
        if !is_alike && !(is_plain && size == (FRAME, FRAME)) {
            return None;
        }
        let tiles: Vec<Option<Pixels>> = (self.mosaic.ranges.iter())
            .map(|range| {
                let bytes = &self.file[range.offset as usize..][..range.byte_count as usize];
                if bytes.is_empty() {
                    None
                } else {
                    Pixels::of(bytes).ok()
                }
            })
            .collect();
        let bytes = fs::read(spool).expect("the spool is there");
        let across = if is_plain {
            self.mosaic.across as usize
        } else {
            (self.mosaic.size.0 as usize).div_ceil(FRAME)
        };
        for (number, range) in written.ranges.iter().enumerate() {
            let stream = &bytes[range.offset as usize..][..range.byte_count as usize];
            if stream.is_empty() {
                continue;
            }
            let Ok(frame) = Pixels::of(stream) else {
                // What the other decoder refuses in a tile it may refuse in a frame.
                assert!(
                    tiles.iter().flatten().count() == 0,
                    "a frame cannot be decoded"
                );
                return None;
            };
            let at = (number % across * FRAME, number / across * FRAME);
            self.compare_frame(&frame, at, &tiles);
        }
        Some(())
    }

    /// Compares what lies in the level and in a tile that the other decoder reads.
    fn compare_frame(&self, frame: &Pixels, at: (usize, usize), tiles: &[Option<Pixels>]) {
        let in_plane = tiles.len() / self.mosaic.planes as usize;
        let across = self.mosaic.across as usize;
        let right = (self.mosaic.size.0 as usize).min(at.0 + FRAME);
        let below = (self.mosaic.size.1 as usize).min(at.1 + FRAME);
        for y in at.1..below {
            let (row, in_y) = self.place(
                y,
                self.mosaic.tile.1,
                self.mosaic.overlap.1,
                in_plane / across,
            );
            for x in at.0..right {
                let (column, in_x) =
                    self.place(x, self.mosaic.tile.0, self.mosaic.overlap.0, across);
                for plane in 0..self.mosaic.planes as usize {
                    let Some(tile) = &tiles[plane * in_plane + row * across + column] else {
                        continue;
                    };
                    let Some(theirs) = tile.at(in_x, in_y) else {
                        continue;
                    };
                    let ours = frame.at(x - at.0, y - at.1).expect("a frame is whole");
                    let ours = if self.mosaic.planes > 1 {
                        &ours[plane..=plane]
                    } else {
                        ours
                    };
                    assert_eq!(ours, theirs, "pixel {x},{y}");
                }
            }
        }
    }

    /// The tile along an axis that shows a pixel, and where in it: the last one begun by then.
    fn place(&self, at: usize, tile: u32, overlap: u32, tiles: usize) -> (usize, usize) {
        let step = (tile - overlap) as usize;
        let number = (at / step).min(tiles - 1);
        (number, at - number * step)
    }
}

/// Decoded samples.
struct Pixels {
    columns: usize,
    rows: usize,
    bytes: usize,
    data: Vec<u8>,
}

impl Pixels {
    fn of(stream: &[u8]) -> Result<Self, jpeg_decoder::Error> {
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
        let data = decoder.decode()?;
        let (columns, rows) = decoder
            .info()
            .map_or((0, 0), |info| (info.width.into(), info.height.into()));
        Ok(Self {
            columns,
            rows,
            bytes,
            data,
        })
    }

    fn at(&self, x: usize, y: usize) -> Option<&[u8]> {
        if x >= self.columns || y >= self.rows {
            return None;
        }
        let at = (y * self.columns + x) * self.bytes;
        self.data.get(at..at + self.bytes)
    }
}
