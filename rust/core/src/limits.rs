//! Every cap on what a file may ask of us.

use crate::error::Error;
use crate::scan::Term;

/// Caps on untrusted input. An error names the field that was exceeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Longest header of a tile that is read before giving up.
    ///
    /// 1 MiB holds sixteen full `APPn` segments, more than a scanner writes into a tile.
    pub tile_header_bytes: u64,
    /// Longest tile.
    ///
    /// 64 MiB is more than 4096x4096 pixels take without any compression, and far below the
    /// 32 bits of a fragment's length (PS3.5 A.4).
    pub tile_bytes: u64,
    /// Pixels of one tile, 8192x8192: a blank frame is made of as many, whatever the file has.
    pub tile_pixels: u64,
    /// Bytes of a JPEG picture that must be read together, since no restart marker divides them.
    ///
    /// Scanners divide large levels; 256 MiB hold some 30000x30000 pixels of tissue without.
    pub picture_bytes: u64,
    /// Coefficients of one tile or frame that is coded again, 2 bytes each and held by each core.
    ///
    /// 128 MiB are 4096x4096 pixels with three components.
    pub coefficient_bytes: u64,
    /// Scans of one JPEG tile: encoders make ten, and a scan costs time even if it is empty.
    pub scans: u64,
    /// Tile-parts in one JPEG 2000 tile: one for each resolution of each quality layer is usual.
    pub tile_parts: u64,
    /// Bytes kept for frame headers that differ from tile to tile.
    ///
    /// Headers beyond this are built again when their frame is written, which costs one more
    /// small read each.
    pub kept_header_bytes: u64,
    /// Terms that are looked for in finished files.
    ///
    /// A slide has some hundreds; each takes some kilobytes in all its forms.
    pub terms: usize,
    /// Longest term, in bytes: a longer text is found by any part of it.
    pub term_bytes: usize,
    /// Hits that are kept of one file; one is enough to fail it.
    pub hits: usize,
    /// Problems that are told of one file, for the same reason.
    pub problems: usize,
}

impl Limits {
    /// How much of a header to read after `len` bytes of it were too few.
    ///
    /// Grows step by step, so that a header costs a small multiple of its own length.
    pub(crate) fn next_header_read(&self, len: u64) -> Result<u64, Error> {
        if len >= self.tile_header_bytes {
            return Err(Error::Limit {
                what: format!("a tile header of more than {len} bytes"),
                name: "tile_header_bytes",
                limit: self.tile_header_bytes,
            });
        }
        Ok(len.saturating_mul(8).min(self.tile_header_bytes))
    }
}

impl Limits {
    /// Sets a cap on what a slide may ask for, by its name; returns whether there is one.
    pub fn set(&mut self, name: &str, value: u64) -> bool {
        let field = match name {
            "tile_header_bytes" => &mut self.tile_header_bytes,
            "tile_bytes" => &mut self.tile_bytes,
            "tile_pixels" => &mut self.tile_pixels,
            "picture_bytes" => &mut self.picture_bytes,
            "coefficient_bytes" => &mut self.coefficient_bytes,
            "scans" => &mut self.scans,
            "tile_parts" => &mut self.tile_parts,
            _ => return false,
        };
        *field = value;
        true
    }
}

impl Limits {
    /// Checks that a list of terms is not longer than may be, nor any of them.
    pub(crate) fn check_terms(&self, terms: &[Term]) -> Result<(), Error> {
        let exceeded = |what, name, limit| Error::Limit {
            what,
            name,
            limit: u64::try_from(limit).unwrap_or(u64::MAX),
        };
        if terms.len() > self.terms {
            return Err(exceeded(
                format!("a list of {} terms", terms.len()),
                "terms",
                self.terms,
            ));
        }
        match terms.iter().map(|term| term.text.len()).max() {
            Some(longest) if longest > self.term_bytes => Err(exceeded(
                format!("a term of {longest} bytes"),
                "term_bytes",
                self.term_bytes,
            )),
            _ => Ok(()),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tile_header_bytes: 1 << 20,
            tile_bytes: 64 << 20,
            tile_pixels: 1 << 26,
            picture_bytes: 256 << 20,
            coefficient_bytes: 128 << 20,
            scans: 64,
            tile_parts: 4096,
            kept_header_bytes: 4 << 20,
            terms: 20_000,
            term_bytes: 256,
            hits: 1000,
            problems: 20,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_set_by_the_name_that_its_error_tells() {
        let mut limits = Limits::default();
        assert!(limits.set("tile_header_bytes", 5));
        let error = limits.next_header_read(5).unwrap_err();
        assert!(
            error.to_string().contains("tile_header_bytes = 5"),
            "{error}"
        );
        assert!(!limits.set("terms", 1));
        assert!(!limits.set("", 1));
    }
}
