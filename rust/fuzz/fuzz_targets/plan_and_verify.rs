//! Any file with any tile ranges is planned, written and read back, or refused.
//!
//! Input: codec, number of tiles (bits: 0-2) and of private ranges (3-4) and how often the tiles
//! come again (5-7), length of the shared tables, then for each two bytes of offset, two of length
//! and one of how far both are shifted, then the tables, then the file.

#![no_main]

use std::fs;

use coverslip_core::jpeg::{self, Colour, Recipe};
use coverslip_core::scan::Header;
use coverslip_core::watch::Unwatched;
use coverslip_core::{
    ByteRange, Codec, Error, FramePlan, Limits, OffsetTable, Source, TileIndex, WriteOptions,
    deflate, jp2k, plan_alike, plan_thoroughly, verify_instance, write_instance,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = convert(data);
});

/// Where a parser of data sets would find Pixel Data and the Extended Offset Table before it.
fn header_of(table: OffsetTable, frames: u64) -> Header {
    if table == OffsetTable::Basic {
        return Header::default();
    }
    let (element, byte_count) = (12, 8 * frames);
    let values = |offset| ByteRange { offset, byte_count };
    Header {
        pixel_data_offset: 2 * (element + byte_count),
        extended: Some((values(element), values(2 * element + byte_count))),
        ..Header::default()
    }
}

fn take<'a>(data: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, rest) = data.split_at_checked(len)?;
    *data = rest;
    Some(taken)
}

/// Offsets and lengths of up to 64 bits, in few bytes: an even shift leaves small ones small.
fn ranges_of(entries: &[u8]) -> Vec<ByteRange> {
    let value = |bytes: &[u8], shift: u8| {
        let value = u64::from(u16::from_le_bytes([bytes[0], bytes[1]]));
        value << (shift % 16 * 4).min(48)
    };
    entries
        .chunks(5)
        .map(|entry| ByteRange {
            offset: value(entry, entry[4]),
            byte_count: value(&entry[2..], entry[4] / 16),
        })
        .collect()
}

/// A codec that many tiles can be of, by its number.
fn codec_of(kind: u8, tables: jpeg::SharedTables) -> Codec {
    let has_blank = kind & 8 != 0;
    match kind {
        0..128 => Codec::Jpeg(Recipe {
            tables,
            colour: [Colour::Rgb, Colour::Ybr, Colour::Grey][usize::from(kind % 3)],
            is_emitted: false,
            columns: 16,
            rows: 16,
        }),
        128..192 => Codec::Jpeg2000 {
            recipe: jp2k::Recipe {
                columns: 16,
                rows: 16,
                set_mct: kind & 4 != 0,
            },
            blank: has_blank.then(|| b"\xFF\x4F\xFF\xD9".to_vec()),
        },
        192.. => Codec::Deflated {
            recipe: deflate::Recipe {
                columns: 2,
                rows: 2,
                pixel_bytes: 1 + kind % 4,
            },
            blank: has_blank.then(|| b"\x03\x00".to_vec()),
        },
    }
}

fn convert(mut data: &[u8]) -> Option<()> {
    let &[kind, tiles, table_len] = take(&mut data, 3)? else {
        return None;
    };
    let ranges = ranges_of(take(&mut data, usize::from(tiles % 8) * 5)?);
    let ranges = ranges.repeat(usize::from(tiles / 32) + 1);
    let private = ranges_of(take(&mut data, usize::from(tiles / 8 % 4) * 5)?);
    let tables = jpeg::parse_shared_tables(take(&mut data, usize::from(table_len))?).ok()?;
    let codec = codec_of(kind, tables);
    // Small limits, so that small inputs reach them.
    let limits = Limits {
        tile_header_bytes: 4096,
        tile_parts: 8,
        kept_header_bytes: if kind & 16 == 0 { 0 } else { 1 << 16 },
        ..Limits::default()
    };

    let dir = tempfile::Builder::new()
        .tempdir_in("/dev/shm")
        .expect("a folder in memory");
    let path = dir.path().join("slide");
    fs::write(&path, data).expect("a file in memory");
    let source = Source::open(&path).expect("the file is there");
    let tiles = TileIndex::new(ranges, private, data.len() as u64, &limits).ok()?;
    let table = if kind & 32 == 0 {
        OffsetTable::Basic
    } else {
        OffsetTable::Extended
    };
    let write = |plan: &FramePlan, name: &str| {
        let options = WriteOptions {
            offset_table: Some(table),
            ..WriteOptions::default()
        };
        let out = dir.path().join(name);
        write_instance(&source, plan, b"", &out, options, &mut Unwatched).map(|_| out)
    };
    let alike = plan_alike(&source, tiles.clone(), &codec, &limits).expect("the file can be read");
    let sampled = alike.map(|plan| {
        let out = write(&plan, "sampled");
        (plan, out)
    });
    let plan = match plan_thoroughly(&source, tiles, codec, &limits, &mut Unwatched) {
        Ok(plan) => plan,
        Err(_) => {
            let is_found = |result| matches!(result, Err(Error::Unlike { .. }));
            assert!(sampled.is_none_or(|(_, result)| is_found(result)));
            return None;
        }
    };
    assert!(plan.lengths().all(|len| len % 2 == 0));
    assert_eq!(plan.lengths().sum::<u64>(), plan.summary().frame_bytes);
    let out = write(&plan, "out").expect("what was planned can be written");
    match sampled {
        Some((sampled, Ok(path))) => {
            assert_eq!(sampled.summary(), plan.summary());
            assert!(fs::read(path).expect("a file") == fs::read(&out).expect("a file"));
        }
        Some((_, Err(error))) => assert!(matches!(error, Error::Unlike { .. }), "{error}"),
        None => {}
    }
    let header = header_of(table, plan.frame_count() as u64);
    match verify_instance(&source, &plan, &out, &header, None, None, &mut Unwatched) {
        Ok(_) | Err(Error::Frame { .. }) => Some(()),
        Err(error) => panic!("what was written is not what was planned: {error}"),
    }
}
