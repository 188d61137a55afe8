//! Carries out a plan: one sequential write, nothing decoded.
//!
//! Neighbouring tiles are read together into a buffer that stays in the processor's cache, and
//! leave it in one gathered write, headers between them. A mapping of the source instead of the
//! buffer was measured slower on Linux 6.18 (page faults cost more than the copy they save), and
//! would be the only unsafe code here; one kernel call for each tile is slower still.

use std::io::{BufWriter, IoSlice, Write};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;

use crate::digest::Digest;
use crate::encapsulate::{self, OffsetTable, SEQUENCE_DELIMITER};
use crate::error::Error;
use crate::frame::FramePlan;
use crate::sink::Sink;
use crate::source::Source;
use crate::tiles::ByteRange;
use crate::watch::Watch;
use crate::written::{Writing, Written};

/// Bytes gathered before they are written: small enough for the second-level cache.
const BATCH_BYTES: usize = 1 << 18;
/// Bytes between two tiles that are rather read than skipped: the headers that are left out.
const GAP_BYTES: u64 = 4096;
/// Most slices that one gathered write takes (`IOV_MAX` of Linux).
const BATCH_SLICES: usize = 1024;
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

/// Writes one instance: `header`, offset table, fragments, delimiter.
///
/// `header` is a Part 10 file up to the first element of group 7FE0. The file must not exist
/// and is created for its owner only; on an error what was written of it stays for the caller
/// to remove. `watch` counts bytes.
///
/// # Errors
///
/// [`Error::Io`], [`Error::SourceChanged`] and [`Error::Cancelled`].
pub fn write_instance(
    source: &Source,
    plan: &FramePlan,
    header: &[u8],
    path: &Path,
    options: WriteOptions<'_>,
    watch: &mut dyn Watch,
) -> Result<WriteReport, Error> {
    // From here on whoever waits is let go, whatever happens.
    let writing = options.written.map(Written::writing);
    plan.check_source(source)?;
    let offset_table = options
        .offset_table
        .unwrap_or_else(|| OffsetTable::for_byte_count(plan.fragment_bytes()));
    let mut out = Output {
        sink: Sink::create(path, options.past_cache && options.written.is_none())?,
        digest: options.digest.then(Digest::new),
        byte_count: 0,
        writing,
    };
    let mut buffered = BufWriter::with_capacity(BATCH_BYTES, &mut out);
    buffered.write_all(header)?;
    encapsulate::write_pixel_data_start(&mut buffered, || plan.lengths(), offset_table)?;
    buffered.flush()?;
    drop(buffered);
    out.has_start(plan.fragment_bytes());

    copy_frames(source, plan, &mut out, watch)?;
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
    fn has_start(&self, fragment_bytes: u64) {
        let rest = fragment_bytes.saturating_add(DELIMITER_BYTES);
        if let Some(writing) = &self.writing {
            writing.has_start(self.byte_count, self.byte_count.saturating_add(rest));
        }
    }

    fn write_batch(&mut self, batch: &Batch) -> Result<(), Error> {
        write_all_vectored(&mut self.sink, &mut batch.slices()?)?;
        if let Some(digest) = &mut self.digest {
            // The kernel has just copied these bytes on this core: they are in its cache.
            for slice in batch.slices()? {
                digest.update(&slice);
            }
        }
        if let Some(writing) = &self.writing {
            writing.has_more(u64::try_from(batch.pending).unwrap_or(0));
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

/// One slice of a gathered write.
enum Slice {
    /// Of the batch's own bytes.
    Own { start: usize, end: usize },
    /// Of the source.
    Source { offset: u64, len: u64 },
}

/// Reads in one thread and writes in another: the kernel copies on two cores then.
fn copy_frames(
    source: &Source,
    plan: &FramePlan,
    out: &mut Output<'_>,
    watch: &mut dyn Watch,
) -> Result<(), Error> {
    let (full, filled) = mpsc::sync_channel(BATCHES_IN_FLIGHT);
    let (empty, emptied) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            let result = Filler {
                source,
                batch: Batch::default(),
                full: &full,
                emptied: &emptied,
            }
            .fill_all(plan);
            if let Err(error) = result {
                // If nobody listens any more, the writer has an error of its own to tell.
                let _ = full.send(Err(error));
            }
        });
        let mut written = 0_u64;
        for batch in filled {
            let mut batch = batch?;
            out.write_batch(&batch)?;
            written = written.saturating_add(u64::try_from(batch.pending).unwrap_or(0));
            if !watch.go_on(written) {
                return Err(Error::Cancelled);
            }
            batch.clear();
            // Nobody takes it back any more when the last one was read.
            let _ = empty.send(batch);
        }
        Ok(())
    })
}

/// Fills batches and hands them to the writer.
struct Filler<'a> {
    source: &'a Source,
    batch: Batch,
    full: &'a SyncSender<Result<Batch, Error>>,
    emptied: &'a Receiver<Batch>,
}

impl Filler<'_> {
    fn fill_all(&mut self, plan: &FramePlan) -> Result<(), Error> {
        for index in 0..plan.frame_count() {
            let frame = plan.pieces(index, self.source)?;
            self.batch
                .push_bytes(&encapsulate::item_header(frame.len())?);
            self.batch.push_bytes(&frame.header);
            self.push_source(frame.body)?;
            self.batch.push_bytes(frame.tail);
            if self.batch.is_full() {
                self.hand_over()?;
            }
        }
        self.batch.push_bytes(&SEQUENCE_DELIMITER);
        self.hand_over()
    }

    /// Adds bytes of the source, in pieces that keep the buffer small whatever a tile's length.
    fn push_source(&mut self, body: ByteRange) -> Result<(), Error> {
        let ByteRange {
            mut offset,
            byte_count: mut len,
        } = body;
        while len > 0 {
            let piece = len.min(u64::try_from(BATCH_BYTES).unwrap_or(u64::MAX));
            self.batch.push_source(offset, piece);
            offset = offset.saturating_add(piece);
            len = len.saturating_sub(piece);
            if len > 0 {
                self.hand_over()?;
            }
        }
        Ok(())
    }

    fn hand_over(&mut self) -> Result<(), Error> {
        self.batch.read(self.source)?;
        let next = self.emptied.try_recv().unwrap_or_default();
        let batch = std::mem::replace(&mut self.batch, next);
        // The writer stops listening when it failed or was told to stop.
        self.full.send(Ok(batch)).map_err(|_| Error::Cancelled)
    }
}

/// Pieces that go to the kernel together.
#[derive(Default)]
struct Batch {
    own: Vec<u8>,
    read: Vec<u8>,
    slices: Vec<Slice>,
    runs: Vec<Run>,
    pending: usize,
}

impl Batch {
    fn is_full(&self) -> bool {
        // A frame adds up to three slices.
        self.pending >= BATCH_BYTES || self.slices.len().saturating_add(3) > BATCH_SLICES
    }

    fn push_bytes(&mut self, bytes: &[u8]) {
        let start = self.own.len();
        self.own.extend_from_slice(bytes);
        self.pending = self.pending.saturating_add(bytes.len());
        match self.slices.last_mut() {
            Some(Slice::Own { end, .. }) => *end = self.own.len(),
            _ => self.slices.push(Slice::Own {
                start,
                end: self.own.len(),
            }),
        }
    }

    fn push_source(&mut self, offset: u64, len: u64) {
        self.slices.push(Slice::Source { offset, len });
        self.pending = self
            .pending
            .saturating_add(usize::try_from(len).unwrap_or(usize::MAX));
    }

    /// Reads what the slices need of the source, neighbouring tiles together.
    fn read(&mut self, source: &Source) -> Result<(), Error> {
        for slice in &self.slices {
            let Slice::Source { offset, len } = *slice else {
                continue;
            };
            let end = offset.saturating_add(len);
            match self.runs.last_mut() {
                Some(run)
                    if run.is_followed_by(offset) && source.are_in_one_file(run.start, offset) =>
                {
                    run.end = end;
                }
                last => {
                    let at = last.map_or(0, |run| run.at.saturating_add(run.len()));
                    self.runs.push(Run {
                        start: offset,
                        end,
                        at,
                    });
                }
            }
        }
        let len = self
            .runs
            .last()
            .map_or(0, |run| run.at.saturating_add(run.len()));
        if self.read.len() < len {
            self.read.resize(len, 0);
        }
        for run in &self.runs {
            let room = self.read.get_mut(run.at..run.at.saturating_add(run.len()));
            source.read_exact_at(room.ok_or(Error::SourceChanged)?, run.start)?;
        }
        Ok(())
    }

    /// The bytes of the batch, once they are read.
    fn slices(&self) -> Result<Vec<IoSlice<'_>>, Error> {
        let mut runs = self.runs.iter().peekable();
        let mut gathered = Vec::with_capacity(self.slices.len());
        for slice in &self.slices {
            let bytes = match *slice {
                Slice::Own { start, end } => self.own.get(start..end),
                Slice::Source { offset, len } => {
                    while runs.next_if(|run| !run.holds(offset, len)).is_some() {}
                    runs.peek()
                        .and_then(|run| run.slice(&self.read, offset, len))
                }
            };
            gathered.push(IoSlice::new(bytes.ok_or(Error::SourceChanged)?));
        }
        Ok(gathered)
    }

    /// Empties the batch and keeps its memory.
    fn clear(&mut self) {
        self.own.clear();
        self.slices.clear();
        self.runs.clear();
        self.pending = 0;
    }
}

/// A piece of the source that is read in one go, and where it lies in the buffer.
struct Run {
    start: u64,
    end: u64,
    at: usize,
}

impl Run {
    fn len(&self) -> usize {
        usize::try_from(self.end.saturating_sub(self.start)).unwrap_or(usize::MAX)
    }

    fn is_followed_by(&self, offset: u64) -> bool {
        offset
            .checked_sub(self.end)
            .is_some_and(|gap| gap <= GAP_BYTES)
    }

    fn holds(&self, offset: u64, len: u64) -> bool {
        self.start <= offset && offset.saturating_add(len) <= self.end
    }

    fn slice<'b>(&self, buffer: &'b [u8], offset: u64, len: u64) -> Option<&'b [u8]> {
        let within = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        let start = self.at.checked_add(within)?;
        buffer.get(start..start.checked_add(usize::try_from(len).ok()?)?)
    }
}

fn write_all_vectored(out: &mut Sink, mut slices: &mut [IoSlice<'_>]) -> Result<(), Error> {
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        match out.write_vectored(slices) {
            Ok(0) => return Err(Error::Io(std::io::ErrorKind::WriteZero.into())),
            Ok(count) => IoSlice::advance_slices(&mut slices, count),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::Io(error)),
        }
    }
    Ok(())
}
