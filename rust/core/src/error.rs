//! What can go wrong, by who must act.

use std::io;

/// Who must act on an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The slide is damaged.
    Format,
    /// The slide is right, but cannot be copied.
    Unsupported,
    /// A limit that the operator may raise.
    Limit,
    /// Disk, network, permissions.
    Io,
    /// The process may have no more memory, or threads.
    Memory,
    /// What was written is not what was planned.
    Verify,
    /// The caller asked to stop.
    Cancelled,
    /// The plan was made from too few tiles.
    Unlike,
}

/// What is wrong with the bytes of one tile, or of the shared JPEG tables.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// The bytes at hand end inside the header: more may help.
    #[error("the header goes on past the end of the data")]
    Incomplete,
    /// The header breaks a rule of T.81 or T.800.
    #[error("{what} at byte {at}")]
    Malformed {
        /// What is wrong.
        what: &'static str,
        /// Where, from the first byte of the tile.
        at: u64,
    },
    /// A valid stream that a DICOM frame cannot hold without recoding.
    #[error("{0}")]
    Unsupported(&'static str),
    /// A cap of [`crate::Limits`].
    #[error("{what} exceed the limit {name} = {limit}")]
    Limit {
        /// What there are too many of.
        what: &'static str,
        /// Name of the field of [`crate::Limits`].
        name: &'static str,
        /// Its value.
        limit: u64,
    },
    /// The picture in the tile has another size than the tiles of its level.
    #[error(
        "its picture is {columns}x{rows}, the tiles of its level are {want_columns}x{want_rows}"
    )]
    Size {
        /// Width that the stream declares.
        columns: u32,
        /// Height that the stream declares.
        rows: u32,
        /// Width of the tiles of the level.
        want_columns: u32,
        /// Height of the tiles of the level.
        want_rows: u32,
    },
}

/// Everything that the core returns instead of a result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A tile that does not lie inside the file.
    #[error(
        "tile {tile} claims {byte_count} bytes at offset {offset}, but the file has {file_len} bytes"
    )]
    TileOutsideFile {
        /// Index of the tile in its level.
        tile: u64,
        /// Where the tile claims to begin.
        offset: u64,
        /// How long it claims to be.
        byte_count: u64,
        /// What the file has.
        file_len: u64,
    },
    /// A tile that shares bytes with a picture or text that must not go out.
    #[error(
        "tile {tile} at offset {offset} shares bytes with a part of the file that is not a level"
    )]
    TileOverlapsPrivate {
        /// Index of the tile in its level.
        tile: u64,
        /// Where the tile begins.
        offset: u64,
    },
    /// The two arrays of a tile index, or the grid, do not fit together.
    #[error("the tile index has {offsets} offsets and {byte_counts} byte counts")]
    TileIndex {
        /// How many offsets there are.
        offsets: u64,
        /// How many byte counts there are.
        byte_counts: u64,
    },
    /// A level without a single tile.
    #[error("the level has no tile with data")]
    NoTiles,
    /// The compressed stream of a tile.
    #[error("tile {tile}: {error}")]
    Tile {
        /// Index of the tile in its level.
        tile: u64,
        /// What is wrong with it.
        #[source]
        error: StreamError,
    },
    /// The JPEG tables that all tiles share (tag 347).
    #[error("tag 347 JPEGTables: {0}")]
    JpegTables(#[source] StreamError),
    /// A tile that is encoded otherwise than the first one of its level.
    #[error("tile {tile} differs from the first tile of its level in {what}")]
    Mixed {
        /// Index of the tile in its level.
        tile: u64,
        /// In what it differs.
        what: &'static str,
    },
    /// A tile that is not like those that its level was planned from: all must be looked at.
    #[error("tile {tile} is not like those that were looked at")]
    Unlike {
        /// Index of the tile in its level.
        tile: u64,
    },
    /// A blank frame is needed and the caller gave none.
    #[error("tile {tile} is missing and there is no blank frame to put in its place")]
    NoBlankFrame {
        /// Index of the tile in its level.
        tile: u64,
    },
    /// A cap of [`crate::Limits`].
    #[error("{what} exceeds the limit {name} = {limit}")]
    Limit {
        /// What was met, with its number.
        what: String,
        /// Name of the field of [`crate::Limits`].
        name: &'static str,
        /// Its value.
        limit: u64,
    },
    /// The source is not what it was when it was opened.
    #[error("the source file changed while it was read")]
    SourceChanged,
    /// The read-back found a difference.
    #[error("{what}")]
    Verify {
        /// What differs, and where.
        what: String,
    },
    /// A frame that holds what must not go out, found when it was read back.
    #[error("frame {frame}: {error}")]
    Frame {
        /// Index of the frame.
        frame: u64,
        /// What is wrong with it.
        #[source]
        error: StreamError,
    },
    /// The operating system.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The operating system starts no thread.
    #[error("no thread could be started")]
    NoThread,
    /// The operating system gives no more memory.
    #[error("there is no memory for {bytes} bytes")]
    NoMemory {
        /// How many were asked for.
        bytes: u64,
    },
    /// The caller asked to stop.
    #[error("stopped on request")]
    Cancelled,
}

impl Error {
    /// Who must act.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Tile { error, .. } | Self::JpegTables(error) | Self::Frame { error, .. } => {
                match error {
                    StreamError::Unsupported(_) | StreamError::Size { .. } => Kind::Unsupported,
                    StreamError::Limit { .. } => Kind::Limit,
                    StreamError::Incomplete | StreamError::Malformed { .. } => Kind::Format,
                }
            }
            Self::TileOutsideFile { .. }
            | Self::TileOverlapsPrivate { .. }
            | Self::TileIndex { .. }
            | Self::SourceChanged
            | Self::NoTiles => Kind::Format,
            Self::Mixed { .. } | Self::NoBlankFrame { .. } => Kind::Unsupported,
            Self::Limit { .. } => Kind::Limit,
            Self::Io(_) => Kind::Io,
            Self::NoThread | Self::NoMemory { .. } => Kind::Memory,
            Self::Verify { .. } => Kind::Verify,
            Self::Cancelled => Kind::Cancelled,
            Self::Unlike { .. } => Kind::Unlike,
        }
    }
}
