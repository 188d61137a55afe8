//! The digest that certificates hold of a file.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use blake3::Hasher;

use crate::error::Error;
use crate::watch::Watch;

/// Bytes read at a time: they stay in the processor's cache while they are hashed.
const WINDOW_BYTES: usize = 1 << 18;

/// Bytes that are hashed in one go: a power of two, since the hash is a tree. With a tile at a time
/// it takes six times as long.
const BLOCK_BYTES: usize = 1 << 16;

/// The BLAKE3 digest of bytes that come in pieces.
pub(crate) struct Digest {
    hasher: Hasher,
    block: Vec<u8>,
}

impl Digest {
    pub(crate) fn new() -> Self {
        Self {
            hasher: Hasher::new(),
            block: Vec::with_capacity(BLOCK_BYTES),
        }
    }

    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = BLOCK_BYTES.saturating_sub(self.block.len());
            let (fits, rest) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
            self.block.extend_from_slice(fits);
            bytes = rest;
            if self.block.len() == BLOCK_BYTES {
                self.hasher.update(&self.block);
                self.block.clear();
            }
        }
    }

    /// In hexadecimal.
    pub(crate) fn finish(mut self) -> String {
        self.hasher.update(&self.block);
        self.hasher.finalize().to_hex().to_string()
    }
}

/// Returns the BLAKE3 digest of a file in hexadecimal; `watch` counts bytes.
///
/// # Errors
///
/// [`Error::Io`] and [`Error::Cancelled`].
pub fn blake3_of_file(path: &Path, watch: &mut dyn Watch) -> Result<String, Error> {
    let mut file = File::open(path)?;
    let mut hasher = Hasher::new();
    let mut window = vec![0; WINDOW_BYTES];
    loop {
        let count = file.read(&mut window)?;
        if count == 0 {
            return Ok(hasher.finalize().to_hex().to_string());
        }
        hasher.update(window.get(..count).unwrap_or_default());
        if !watch.go_on(hasher.count()) {
            return Err(Error::Cancelled);
        }
    }
}
