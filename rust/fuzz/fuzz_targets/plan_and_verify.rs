//! Any file with any tile ranges is planned, written and read back, or refused.
//!
//! Input: codec, number of tiles, length of the shared tables, then two bytes of offset and two
//! of length for each tile, then the tables, then the file.

#![no_main]

use std::fs;

use coverslip_core::jpeg::{self, Colour, Recipe};
use coverslip_core::scan::Header;
use coverslip_core::watch::Unwatched;
use coverslip_core::{
    ByteRange, Codec, Error, Limits, OffsetTable, Source, TileIndex, jp2k, plan_frames,
    WriteOptions, verify_instance, write_instance,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = convert(data);
});

fn take<'a>(data: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, rest) = data.split_at_checked(len)?;
    *data = rest;
    Some(taken)
}

fn convert(mut data: &[u8]) -> Option<()> {
    let &[kind, tiles, table_len] = take(&mut data, 3)? else {
        return None;
    };
    let ranges: Vec<ByteRange> = take(&mut data, usize::from(tiles % 8) * 4)?
        .chunks(4)
        .map(|entry| ByteRange {
            offset: u64::from(u16::from_le_bytes([entry[0], entry[1]])),
            byte_count: u64::from(u16::from_le_bytes([entry[2], entry[3]])),
        })
        .collect();
    let tables = jpeg::parse_shared_tables(take(&mut data, usize::from(table_len))?).ok()?;
    let colour = [Colour::Rgb, Colour::Ybr, Colour::Grey][usize::from(kind % 3)];
    let codec = if kind < 128 {
        Codec::Jpeg(Recipe {
            tables,
            colour,
            is_emitted: false,
            columns: 16,
            rows: 16,
        })
    } else {
        let recipe = jp2k::Recipe {
            columns: 16,
            rows: 16,
            set_mct: kind & 4 != 0,
        };
        Codec::Jpeg2000 {
            recipe,
            blank: (kind & 8 != 0).then(|| b"\xFF\x4F\xFF\xD9".to_vec()),
        }
    };
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
    let tiles = TileIndex::new(ranges, Vec::new(), data.len() as u64, &limits).ok()?;
    let plan = plan_frames(&source, tiles, codec, &limits, &mut Unwatched).ok()?;
    assert!(plan.lengths().all(|len| len % 2 == 0));
    assert_eq!(plan.lengths().sum::<u64>(), plan.summary().frame_bytes);

    let out = dir.path().join("out");
    let options = WriteOptions {
        offset_table: Some(OffsetTable::Basic),
        ..WriteOptions::default()
    };
    write_instance(&source, &plan, b"", &out, options, &mut Unwatched)
        .expect("what was planned can be written");
    match verify_instance(&source, &plan, &out, &Header::default(), None, &mut Unwatched) {
        Ok(_) | Err(Error::Frame { .. }) => Some(()),
        Err(error) => panic!("what was written is not what was planned: {error}"),
    }
}
