//! Tiles that are Deflate streams without a predictor: their samples are what a frame of Deflated
//! Image Frame Compression holds (PS3.5 A.4.13), in another wrapping.

use crate::error::StreamError;
use crate::inflate::{Inflated, Wrapping, inflate};

/// Bytes of the header of RFC 1950, which is no part of a frame.
pub(crate) const ZLIB_HEADER: u64 = 2;
const CHECKSUM: u64 = 4;

/// What a tile must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipe {
    /// Width of a frame.
    pub columns: u32,
    /// Height of a frame.
    pub rows: u32,
    /// Bytes of one pixel.
    pub pixel_bytes: u8,
}

impl Recipe {
    /// Bytes of the samples of a frame.
    #[must_use]
    pub fn frame_bytes(&self) -> u64 {
        let pixels = u64::from(self.columns).saturating_mul(self.rows.into());
        pixels.saturating_mul(self.pixel_bytes.into())
    }
}

/// Length of the bare stream in a tile, which is inflated for that and its checksum compared.
///
/// # Errors
///
/// [`StreamError::Malformed`] for a stream that is not whole, or holds not as many bytes as it must.
pub fn bare_len(tile: &[u8], frame_bytes: u64) -> Result<u64, StreamError> {
    let whole = inflate(tile, Wrapping::Zlib, frame_bytes).ok_or(malformed(
        "a Deflate stream that is broken, cut off, or longer than its tile",
    ))?;
    check_made(whole, frame_bytes)?;
    let around = ZLIB_HEADER.saturating_add(CHECKSUM);
    Ok(u64::try_from(whole.taken)
        .unwrap_or(u64::MAX)
        .saturating_sub(around))
}

/// The bare stream of a frame, behind which there is nothing but a byte that makes it even.
pub(crate) fn body(frame: &[u8], frame_bytes: u64) -> Result<&[u8], StreamError> {
    let stream = inflate(frame, Wrapping::Bare, frame_bytes).ok_or(malformed(
        "a Deflate stream that is broken, cut off, or longer than its frame",
    ))?;
    check_made(stream, frame_bytes)?;
    let (body, rest) = frame.split_at_checked(stream.taken).unwrap_or_default();
    match (body.len() % 2, rest) {
        (0, []) | (1, [0]) => Ok(body),
        _ => Err(malformed("bytes behind a Deflate stream")),
    }
}

fn check_made(stream: Inflated, frame_bytes: u64) -> Result<(), StreamError> {
    if stream.made == frame_bytes {
        Ok(())
    } else {
        Err(malformed("a Deflate stream that is shorter than its tile"))
    }
}

fn malformed(what: &'static str) -> StreamError {
    StreamError::Malformed { what, at: 0 }
}
