//! Shared tables that are taken can stand in front of any tile.

#![no_main]

use coverslip_core::jpeg::{self, Colour, Recipe};
use libfuzzer_sys::fuzz_target;

/// A grey tile without tables: SOI, SOF0 of 8 x 8, SOS.
const TILE: &[u8] = b"\xFF\xD8\xFF\xC0\x00\x0B\x08\x00\x08\x00\x08\x01\x01\x11\x00\
    \xFF\xDA\x00\x08\x01\x01\x00\x00\x3F\x00";

fuzz_target!(|data: &[u8]| {
    let Ok(tables) = jpeg::parse_shared_tables(data) else {
        return;
    };
    assert!(tables.byte_count() <= data.len() as u64);
    let recipe = Recipe {
        tables,
        colour: Colour::Grey,
        is_emitted: false,
        columns: 8,
        rows: 8,
    };
    let tile = jpeg::parse_header(TILE).expect("the tile is good");
    let Ok(built) = recipe.frame_header(&tile) else {
        return;
    };
    let again = jpeg::parse_header(&built).expect("a built header can be read");
    assert_eq!((again.len, again.dropped), (built.len(), 0));
});
