//! Every cap on what a file may ask of us.

use crate::error::Error;

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
    /// Tile-parts in one JPEG 2000 tile: one for each resolution of each quality layer is usual.
    pub tile_parts: u64,
    /// Bytes kept for frame headers that differ from tile to tile.
    ///
    /// Headers beyond this are built again when their frame is written, which costs one more
    /// small read each.
    pub kept_header_bytes: u64,
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

impl Default for Limits {
    fn default() -> Self {
        Self {
            tile_header_bytes: 1 << 20,
            tile_bytes: 64 << 20,
            tile_pixels: 1 << 26,
            picture_bytes: 256 << 20,
            tile_parts: 4096,
            kept_header_bytes: 4 << 20,
        }
    }
}
