//! Walks a frame that is a Deflate stream for the check; see [`super::stream`].

#![allow(
    clippy::single_range_in_vec_init,
    reason = "lists of one range are meant"
)]

use std::ops::Range;

use super::stream::Fault::{self, Wrong};
use crate::inflate::{Wrapping, inflate};

/// Inflates a frame of Deflated Image Frame Compression (PS3.5 A.4.13) to `samples` bytes.
pub(super) fn deflated(frame: &[u8], samples: u64) -> Result<Vec<Range<usize>>, Fault> {
    let stream = inflate(frame, Wrapping::Bare, samples).ok_or(Wrong(
        "a frame that does not inflate to the samples of its picture",
    ))?;
    if stream.made != samples {
        return Err(Wrong("a frame with fewer samples than its picture"));
    }
    let padding = frame.get(stream.taken..).unwrap_or_default();
    if padding.len() > stream.taken % 2 || padding.iter().any(|&byte| byte != 0) {
        return Err(Wrong("bytes behind the stream of a frame"));
    }
    Ok(vec![0..stream.taken])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stored block of three bytes, and what makes it even.
    const ODD: [u8; 10] = [1, 4, 0, 0xFB, 0xFF, 1, 2, 3, 4, 0];

    #[test]
    fn a_stream_and_its_padding_are_all_that_there_may_be() {
        assert_eq!(deflated(&ODD, 4), Ok(vec![0..9]));
        let behind = "bytes behind the stream of a frame";
        let longer = [&ODD[..], &[0]].concat();
        assert_eq!(deflated(&longer, 4), Err(Wrong(behind)));
        let mut told = ODD;
        told[9] = b'x';
        assert_eq!(deflated(&told, 4), Err(Wrong(behind)));
    }

    #[test]
    fn another_number_of_samples_is_wrong() {
        assert!(deflated(&ODD, 3).is_err());
        assert!(deflated(&ODD, 5).is_err());
    }
}
