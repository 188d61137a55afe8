//! Every cap on what a file may ask of us.

use crate::error::Error;
use crate::scan::Term;

/// Declares the caps, so that each has its name, its default and its reason in one place.
macro_rules! limits {
    ($($(#[doc = $reason:literal])+ $name:ident: $kind:ty = $default:expr;)+) => {
        /// Caps on untrusted input. An error names the field that was exceeded.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Limits {
            $($(#[doc = $reason])+ pub $name: $kind,)+
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        impl Limits {
            /// Sets a cap by its name; returns whether there is one.
            pub fn set(&mut self, name: &str, value: u64) -> bool {
                match name {
                    $(stringify!($name) => {
                        self.$name = <$kind>::try_from(value).unwrap_or(<$kind>::MAX);
                    })+
                    _ => return false,
                }
                true
            }

            /// Name, value and reason of each cap.
            #[must_use]
            pub fn all(&self) -> Vec<(&'static str, u64, &'static str)> {
                vec![$((
                    stringify!($name),
                    u64::try_from(self.$name).unwrap_or(u64::MAX),
                    concat!($($reason),+).trim_ascii(),
                ),)+]
            }
        }
    };
}

limits! {
    /// Longest header of a tile that is read before giving up.
    ///
    /// 1 MiB holds sixteen full `APPn` segments, more than a scanner writes into a tile.
    tile_header_bytes: u64 = 1 << 20;
    /// Longest tile.
    ///
    /// 64 MiB is more than 4096x4096 pixels take without any compression, and far below the
    /// 32 bits of a fragment's length (PS3.5 A.4).
    tile_bytes: u64 = 64 << 20;
    /// Pixels of one tile, 8192x8192: a blank frame is made of as many, whatever the file has.
    tile_pixels: u64 = 1 << 26;
    /// Bytes of a JPEG picture that must be read together, since no restart marker divides them.
    ///
    /// Scanners divide large levels; 256 MiB hold some 30000x30000 pixels of tissue without.
    picture_bytes: u64 = 256 << 20;
    /// Restart intervals of the pictures of a level whose frames are joined of them, 8 bytes each.
    ///
    /// A picture of 200000x200000 pixels has 5 million, if each is 1024 pixels wide.
    intervals: u64 = 8 << 20;
    /// Coefficients of one tile or frame that is coded again, 2 bytes each and held by each core.
    ///
    /// 128 MiB are 4096x4096 pixels with three components.
    coefficient_bytes: u64 = 128 << 20;
    /// Scans of one JPEG tile: encoders make ten, and a scan costs time even if it is empty.
    scans: u64 = 64;
    /// Tile-parts in one JPEG 2000 tile: one for each resolution of each quality layer is usual.
    tile_parts: u64 = 4096;
    /// Bytes kept for frame headers that differ from tile to tile.
    ///
    /// Headers beyond this are built again when their frame is written, which costs one more
    /// small read each.
    kept_header_bytes: u64 = 4 << 20;
    /// Terms that are looked for in finished files.
    ///
    /// A slide has some hundreds; each takes some kilobytes in all its forms.
    terms: usize = 20_000;
    /// Longest term, in bytes: a longer text is found by any part of it.
    term_bytes: usize = 256;
    /// Hits that are kept of one file; one is enough to fail it.
    hits: usize = 1000;
    /// Problems that are told of one file, for the same reason.
    problems: usize = 20;
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
        assert!(!limits.set("", 1));
    }

    #[test]
    fn each_limit_can_be_set_and_tells_its_reason() {
        let mut limits = Limits::default();
        for (name, value, reason) in Limits::default().all() {
            assert!(limits.set(name, value + 1), "{name}");
            assert!(
                reason.len() > 20 && !reason.contains("  "),
                "{name}: {reason}"
            );
        }
        let values = |limits: &Limits| limits.all().into_iter().map(|limit| limit.1).collect();
        let (before, after): (Vec<_>, Vec<_>) = (values(&Limits::default()), values(&limits));
        assert!(
            before
                .iter()
                .zip(&after)
                .all(|(before, after)| after == &(before + 1))
        );
    }
}
