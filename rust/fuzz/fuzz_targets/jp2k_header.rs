//! A main header without its comments is one that our own walker reads as the same.

#![no_main]

use coverslip_core::jp2k::{self, Recipe};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = jp2k::check_packets(data);
    if let Ok(part) = jp2k::parse_tile_part(data) {
        assert!(part.header_len <= data.len() as u64);
        assert!(part.len.is_none_or(|len| len >= part.header_len));
    }
    let Ok(header) = jp2k::parse_header(data) else {
        return;
    };
    assert!(header.first_tile_part <= data.len() as u64);
    let (columns, rows) = (header.facts.columns, header.facts.rows);
    for set_mct in [false, true] {
        let Ok(mut built) = Recipe {
            columns,
            rows,
            set_mct,
        }
        .frame_header(&header) else {
            continue;
        };
        built.extend([0xFF, 0x90]);
        let again = jp2k::parse_header(&built).expect("a built header can be read");
        assert_eq!(again.dropped, 0);
        assert_eq!(again.facts.mct, header.facts.mct || set_mct);
        assert_eq!(again.facts.components, header.facts.components);
    }
});
