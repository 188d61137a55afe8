//! A header that can be built is one that our own walker reads, free of what was dropped.

#![no_main]

use coverslip_core::jpeg::{self, Colour, Recipe};
use coverslip_core::{StreamError, blank};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&choice, tile)) = data.split_first() else {
        return;
    };
    let colour = [Colour::Rgb, Colour::Ybr, Colour::Grey][usize::from(choice % 3)];
    let recipe = Recipe {
        tables: jpeg::SharedTables::default(),
        colour,
        is_emitted: false,
        columns: 64,
        rows: 48,
    };
    let _ = jpeg::scan_entropy(tile);
    let _ = jpeg::find_eoi_at_end(tile);
    let Ok(header) = jpeg::parse_header(tile) else {
        return;
    };
    assert!(header.len <= tile.len());
    let Ok(built) = recipe.frame_header(&header) else {
        return;
    };
    let again = jpeg::parse_header(&built).expect("a built header can be read");
    assert_eq!(again.len, built.len());
    assert_eq!(again.dropped, u32::from(colour == Colour::Rgb));
    match blank::jpeg_frame(&recipe, &header) {
        Ok(blank) => assert!(blank.ends_with(&jpeg::EOI)),
        // Its Huffman tables may have no code for what a blank frame needs, and no room for one.
        Err(StreamError::Unsupported(_)) => {}
        Err(error) => panic!("a blank frame cannot be made: {error}"),
    }
});
