//! Moves the compressed tiles of a whole-slide TIFF into the frames of a DICOM file.
//!
//! The core knows byte ranges, JPEG segments and JPEG 2000 markers. It never sees a
//! description, a name or a date, does not log, does not print, and knows no Python.
//!
//! One level becomes one instance in three steps:
//!
//! 1. [`plan_frames`] looks at the header and the end of every tile and returns a
//!    [`FramePlan`]: what each frame is made of, and its exact length. [`plan_alike`] looks at some
//!    of them, and leaves it to the writing to compare the others; [`plan_thoroughly`] looks at all
//!    of their bytes. [`plan_stitched`] and
//!    [`plan_told`] do the same with the restart intervals of one JPEG that is the whole level.
//! 2. [`write_instance`] carries the plan out in one sequential write.
//! 3. [`verify_instance`] reads the file again and compares it with the source, behind the writer
//!    if it likes.
//!
//! A level that would be too large a file becomes several: [`portions`] divides the frames of its
//! plan, and a [`Portion`] of them is written and read again like all of them.
//!
//! A level that is no tiles becomes them first: [`stitch_strips`] joins JPEG strips to one picture,
//! [`retile`] cuts a picture into frames, and [`prove_retiled`] compares the two. Tiles that cannot
//! be frames as they are get there through [`rewrite`], with the same coefficients.
//!
//! [`scan`] looks at finished files for what must not be in them, and uses nothing of the above.

#![forbid(unsafe_code)]

pub mod blank;
pub mod codec;
pub mod copy;
pub mod deflate;
pub mod digest;
pub mod encapsulate;
pub mod error;
pub mod frame;
mod groups;
mod inflate;
pub mod jp2k;
pub mod jpeg;
pub mod limits;
pub mod plan;
pub mod portion;
pub mod retile;
pub mod rewrite;
pub mod scan;
mod sink;
pub mod source;
pub mod strips;
pub mod tables;
mod threads;
pub mod tiles;
pub mod verify;
pub mod watch;
pub mod written;

pub use codec::Codec;
pub use copy::{WriteOptions, WriteReport, write_instance};
pub use digest::blake3_of_file;
pub use encapsulate::OffsetTable;
pub use error::{Error, Kind, StreamError};
pub use frame::FramePlan;
pub use limits::Limits;
pub use plan::{plan_alike, plan_frames, plan_stitched, plan_thoroughly, plan_told};
pub use portion::{Portion, Room, portions};
pub use retile::{Picture, inspect_picture, prove_retiled, retile};
pub use rewrite::{Mosaic, Rewritten, inspect_coded, prove_rewritten, rewrite, rewrite_stream};
pub use scan::{Scanner, check_instance};
pub use source::Source;
pub use strips::{Strips, stitch_strips};
pub use tiles::{ByteRange, Extents, TileIndex};
pub use verify::verify_instance;
pub use watch::Watch;
pub use written::Written;
