//! Carries out a plan: one sequential write, nothing decoded.
//!
//! Neighbouring tiles are read together into a buffer that stays in the processor's cache, put
//! behind their new headers there, and written in one call. A mapping of the source instead of the
//! buffer was measured slower on Linux 6.18 (page faults cost more than the copy they save), and
//! would be the only unsafe code here; one kernel call for each tile is slower still, and a
//! gathered write from where the tiles were read takes 1.4 times as long as one of all together.

mod gather;

use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;

use gather::{BATCH_BYTES, Gather};

use crate::digest::Digest;
use crate::encapsulate::{self, OffsetTable, SEQUENCE_DELIMITER};
use crate::error::Error;
use crate::frame::{Part, Piece, len64};
use crate::plan::PIECE_BYTES;
use crate::portion::Portion;
use crate::sink::Sink;
use crate::source::Source;
use crate::threads::start;
use crate::tiles::ByteRange;
use crate::watch::Watch;
use crate::written::{Writing, Written};

/// Bytes behind the last fragment.
const DELIMITER_BYTES: u64 = 8;
/// Batches that are read ahead of the one that is written.
const BATCHES_IN_FLIGHT: usize = 2;

/// How an instance is written.
#[derive(Debug, Clone, Copy, Default)]
pub struct WriteOptions<'a> {
    /// Which offset table it gets; without one the length decides.
    pub offset_table: Option<OffsetTable>,
    /// Whether its BLAKE3 is computed, from the bytes as they are handed over.
    pub digest: bool,
    /// Whether it goes past the page cache, where the file system can do that: for a large file
    /// that nobody reads soon.
    pub past_cache: bool,
    /// Who is told how far it is; then it goes through the page cache, to be read there.
    pub written: Option<&'a Written>,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteReport {
    /// Length of the file.
    pub byte_count: u64,
    /// Where (7FE0,0001) or, without it, (7FE0,0010) begins.
    pub pixel_data_offset: u64,
    /// Which offset table was written.
    pub offset_table: OffsetTable,
    /// BLAKE3 of the file in hexadecimal, if it was asked for.
    pub blake3: Option<String>,
}

/// Writes one instance: `header`, offset table, fragments of all frames or some, delimiter.
///
/// `header` is a Part 10 file up to the first element of group 7FE0. The file must not exist
/// and is created for its owner only; on an error what was written of it stays for the caller
/// to remove. `watch` counts bytes.
///
/// # Errors
///
/// [`Error::Io`], [`Error::SourceChanged`] and [`Error::Cancelled`]; [`Error::Unlike`] if the plan
/// is one of [`crate::plan_alike`] and must be made anew from all tiles.
pub fn write_instance<'a>(
    source: &Source,
    frames: impl Into<Portion<'a>>,
    header: &[u8],
    path: &Path,
    options: WriteOptions<'_>,
    watch: &mut dyn Watch,
) -> Result<WriteReport, Error> {
    // From here on whoever waits is let go, whatever happens.
    let writing = options.written.map(Written::writing);
    let frames = frames.into();
    frames.plan().check_source(source)?;
    let fragment_bytes = frames.fragment_bytes();
    let offset_table = options
        .offset_table
        .unwrap_or_else(|| OffsetTable::for_byte_count(fragment_bytes));
    let mut out = Output {
        sink: Sink::create(path, options.past_cache && options.written.is_none())?,
        digest: options.digest.then(Digest::new),
        byte_count: 0,
        writing,
    };
    let mut buffered = BufWriter::with_capacity(BATCH_BYTES, &mut out);
    buffered.write_all(header)?;
    encapsulate::write_pixel_data_start(&mut buffered, || frames.lengths(), offset_table)?;
    buffered.flush()?;
    drop(buffered);
    out.has_start(fragment_bytes)?;

    copy_frames(source, frames, &mut out, watch)?;
    let byte_count = out.sink.finish()?;
    source.check_unchanged()?;
    let pixel_data_offset = u64::try_from(header.len()).unwrap_or(u64::MAX);
    Ok(WriteReport {
        byte_count,
        pixel_data_offset,
        offset_table,
        blake3: out.digest.map(Digest::finish),
    })
}

/// The file, its digest, and who is told of it.
struct Output<'a> {
    sink: Sink,
    digest: Option<Digest>,
    byte_count: u64,
    writing: Option<Writing<'a>>,
}

impl Output<'_> {
    /// Tells that only so many bytes of fragments, and the delimiter, are still to come.
    fn has_start(&mut self, fragment_bytes: u64) -> Result<(), Error> {
        let rest = fragment_bytes.saturating_add(DELIMITER_BYTES);
        self.sink.reserve(self.byte_count, rest)?;
        if let Some(writing) = &self.writing {
            writing.has_start(self.byte_count, self.byte_count.saturating_add(rest));
        }
        Ok(())
    }

    fn write_batch(&mut self, batch: &[u8]) -> Result<(), Error> {
        self.sink.write_all(batch)?;
        if let Some(digest) = &mut self.digest {
            // The kernel has just copied these bytes on this core: they are in its cache.
            digest.update(batch);
        }
        if let Some(writing) = &self.writing {
            writing.has_more(len64(batch));
        }
        Ok(())
    }
}

/// What stands before the frames.
impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.sink.write(bytes)?;
        self.byte_count = self
            .byte_count
            .saturating_add(u64::try_from(count).unwrap_or(0));
        if let Some(digest) = &mut self.digest {
            digest.update(bytes.get(..count).unwrap_or_default());
        }
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.sink.flush()
    }
}

/// Reads in one thread and writes in another: the kernel copies on two cores then.
fn copy_frames(
    source: &Source,
    frames: Portion<'_>,
    out: &mut Output<'_>,
    watch: &mut dyn Watch,
) -> Result<(), Error> {
    let (full, filled) = mpsc::sync_channel(BATCHES_IN_FLIGHT);
    let (empty, emptied) = mpsc::channel();
    thread::scope(|scope| {
        start(scope, move || {
            let result = Filler {
                gather: Gather::new(source, frames.plan()),
                full: &full,
                emptied: &emptied,
            }
            .fill_all(source, frames);
            if let Err(error) = result {
                // If nobody listens any more, the writer has an error of its own to tell.
                let _ = full.send(Err(error));
            }
        })?;
        let mut written = 0_u64;
        for batch in filled {
            let batch = batch?;
            out.write_batch(&batch)?;
            written = written.saturating_add(len64(&batch));
            if !watch.go_on(written) {
                return Err(Error::Cancelled);
            }
            // Nobody takes it back any more when the last one was read.
            let _ = empty.send(batch);
        }
        Ok(())
    })
}

/// Gathers batches and hands them to the writer.
struct Filler<'a> {
    gather: Gather<'a>,
    full: &'a SyncSender<Result<Vec<u8>, Error>>,
    emptied: &'a Receiver<Vec<u8>>,
}

impl Filler<'_> {
    fn fill_all(&mut self, source: &Source, frames: Portion<'_>) -> Result<(), Error> {
        let plan = frames.plan();
        for index in frames.frames() {
            plan.expect(index, source);
            let frame = plan.pieces(index, source)?;
            self.gather
                .push_bytes(&encapsulate::item_header(frame.len())?);
            self.gather.push_bytes(&frame.header);
            for piece in frame.body() {
                match piece {
                    Piece::Own(bytes) => self.gather.push_bytes(bytes),
                    Piece::Source(part) => {
                        if self.gather.is_full() {
                            self.hand_over()?;
                        }
                        self.push_part(part)?;
                    }
                }
            }
            self.gather.push_bytes(frame.tail);
            if self.gather.is_full() {
                self.hand_over()?;
            }
        }
        self.gather.push_bytes(&SEQUENCE_DELIMITER);
        self.hand_over()
    }

    /// Adds bytes of the source, in pieces that keep the buffer small whatever their length.
    fn push_part(&mut self, part: Part) -> Result<(), Error> {
        let Part {
            number,
            range: mut rest,
        } = part;
        while rest.byte_count > PIECE_BYTES {
            let range = ByteRange {
                offset: rest.offset,
                byte_count: PIECE_BYTES,
            };
            self.gather.push_part(Part { number, range });
            self.hand_over()?;
            rest.offset = rest.offset.saturating_add(PIECE_BYTES);
            rest.byte_count = rest.byte_count.saturating_sub(PIECE_BYTES);
        }
        self.gather.push_part(Part {
            number,
            range: rest,
        });
        Ok(())
    }

    fn hand_over(&mut self) -> Result<(), Error> {
        let mut batch = self.emptied.try_recv().unwrap_or_default();
        self.gather.take(&mut batch)?;
        // The writer stops listening when it failed or was told to stop.
        self.full.send(Ok(batch)).map_err(|_| Error::Cancelled)
    }
}
