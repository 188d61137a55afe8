//! Plans the frames of a level, on all cores.

mod alike;
mod check;
mod stitch;

pub(crate) use alike::PIECE_BYTES;
pub use alike::plan_alike;
pub(crate) use check::{Check, checker};
pub use stitch::{plan_stitched, plan_told};

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use crate::codec::{Codec, Facts, TileReader};
use crate::error::Error;
use crate::frame::{FramePlan, HeaderSource, MadeOf, Shape, ShapeIndex, Summary, Tiled, len64};
use crate::limits::Limits;
use crate::source::Source;
use crate::threads::{core_count, start_on_all_cores};
use crate::tiles::{ByteRange, TileIndex};
use crate::watch::Watch;

/// Tiles that one thread takes at a time.
const CHUNK: usize = 1024;

/// Headers that are kept once however many frames share them.
#[derive(Default)]
struct HeaderTable {
    kept: Vec<Vec<u8>>,
    index: HashMap<Vec<u8>, u32>,
    bytes: u64,
}

impl HeaderTable {
    fn keep(&mut self, header: &[u8], limits: &Limits) -> HeaderSource {
        if let Some(&index) = self.index.get(header) {
            return HeaderSource::Kept(index);
        }
        let bytes = self.bytes.saturating_add(len64(header));
        match u32::try_from(self.kept.len()) {
            Ok(index) if bytes <= limits.kept_header_bytes => {
                self.bytes = bytes;
                self.index.insert(header.to_vec(), index);
                self.kept.push(header.to_vec());
                HeaderSource::Kept(index)
            }
            _ => HeaderSource::Rebuilt(u32::try_from(header.len()).unwrap_or(u32::MAX)),
        }
    }
}

/// Shapes of frames, each once.
#[derive(Default)]
struct ShapeTable {
    shapes: Vec<Shape>,
    index: HashMap<Shape, ShapeIndex>,
}

impl ShapeTable {
    fn keep(&mut self, shape: Shape) -> ShapeIndex {
        *self.index.entry(shape).or_insert_with(|| {
            // There are no more of them than tiles, of which there may be 2^31 - 1.
            let index = u32::try_from(self.shapes.len()).unwrap_or(u32::MAX);
            self.shapes.push(shape);
            ShapeIndex(index)
        })
    }
}

/// Looks at the header and the end of every tile and plans its frame.
///
/// Tiles are looked at by all cores; `watch` counts tiles. That no tile has an end before its end
/// is told when its bytes are there to be copied: [`write_instance`] ends with [`Error::Unlike`] at
/// one that has, and [`plan_thoroughly`] finds it.
///
/// [`write_instance`]: crate::write_instance
///
/// # Errors
///
/// [`Error::Tile`] for the first tile that cannot be a frame, [`Error::Mixed`] for one that is
/// encoded otherwise than the first, [`Error::NoBlankFrame`], [`Error::Limit`], [`Error::Io`]
/// and [`Error::Cancelled`].
pub fn plan_frames(
    source: &Source,
    tiles: TileIndex,
    codec: Codec,
    limits: &Limits,
    watch: &mut dyn Watch,
) -> Result<FramePlan, Error> {
    let are_ends_sure = check::are_ends_sure(&codec);
    plan_all_tiles(source, tiles, (codec, are_ends_sure), limits, watch)
}

/// Looks at all bytes of every tile and plans its frame; what is behind the first end is left out.
///
/// # Errors
///
/// Those of [`plan_frames`].
pub fn plan_thoroughly(
    source: &Source,
    tiles: TileIndex,
    codec: Codec,
    limits: &Limits,
    watch: &mut dyn Watch,
) -> Result<FramePlan, Error> {
    plan_all_tiles(source, tiles, (codec, true), limits, watch)
}

/// Plans frames so that it is known, or not, that no tile has an end before its end.
fn plan_all_tiles(
    source: &Source,
    tiles: TileIndex,
    (codec, are_ends_sure): (Codec, bool),
    limits: &Limits,
    watch: &mut dyn Watch,
) -> Result<FramePlan, Error> {
    let (first, range) = tiles.first_present().ok_or(Error::NoTiles)?;
    codec.check_limits(limits)?;
    let mut reader = TileReader::new(source, limits);
    reader.open(range);
    let facts = codec
        .split(&mut reader)
        .map_err(|fault| fault.of_tile(first))?
        .made
        .facts
        .clone();
    let blank = blank_frame(&codec, &mut reader, first, &tiles)?;
    let planner = Planner {
        source,
        codec: &codec,
        are_ends_sure,
        limits,
        reference: &facts,
        headers: Mutex::default(),
        shapes: Mutex::default(),
        blank_len: len64(&blank),
        done: AtomicU64::new(0),
        stop_at: AtomicU64::new(u64::MAX),
    };
    let (frames, summary) = planner.plan_all(tiles.ranges(), watch)?;
    let headers = planner
        .headers
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .kept;
    let shapes = planner
        .shapes
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .shapes;
    Ok(FramePlan {
        facts,
        limits: limits.clone(),
        stamps: source.stamps(),
        summary,
        made_of: MadeOf::Tiled(Tiled {
            codec,
            tiles,
            frames,
            shapes,
            headers,
            blank,
            alike: None,
            are_ends_sure,
        }),
    })
}

/// Builds the frame of missing tiles; empty if none is missing. `reader` is at the `first` tile.
fn blank_frame(
    codec: &Codec,
    reader: &mut TileReader<'_>,
    first: u64,
    tiles: &TileIndex,
) -> Result<Vec<u8>, Error> {
    let absent = (0..)
        .zip(tiles.ranges())
        .find(|(_, range)| range.byte_count == 0);
    let Some((tile, _)) = absent else {
        return Ok(Vec::new());
    };
    let blank = codec.blank(reader).map_err(|fault| fault.of_tile(first))?;
    if blank.is_empty() {
        return Err(Error::NoBlankFrame { tile });
    }
    Ok(blank)
}

/// What the threads of one planning share.
struct Planner<'a> {
    source: &'a Source,
    codec: &'a Codec,
    are_ends_sure: bool,
    limits: &'a Limits,
    reference: &'a Facts,
    headers: Mutex<HeaderTable>,
    shapes: Mutex<ShapeTable>,
    blank_len: u64,
    done: AtomicU64,
    /// Tiles from here on need not be looked at: one of them is bad, or the caller has had enough.
    stop_at: AtomicU64,
}

impl Planner<'_> {
    fn plan_all(
        &self,
        ranges: &[ByteRange],
        watch: &mut dyn Watch,
    ) -> Result<(Vec<ShapeIndex>, Summary), Error> {
        let mut frames = vec![ShapeIndex::BLANK; ranges.len()];
        let chunks = ranges.chunks(CHUNK).zip(frames.chunks_mut(CHUNK));
        let threads = core_count().min(chunks.len());
        let mut ahead = ranges.chunks(CHUNK);
        ahead
            .by_ref()
            .take(threads)
            .for_each(|chunk| self.source.expect(chunk));
        let work = Mutex::new(((0_u64..).step_by(CHUNK).zip(chunks), ahead));
        let (sender, results) = mpsc::channel();
        let mut summary = Summary::default();
        let mut worst: Option<(u64, Error)> = None;
        thread::scope(|scope| -> Result<(), Error> {
            start_on_all_cores(scope, threads, || {
                let (sender, work) = (sender.clone(), &work);
                move || {
                    let mut worker = Worker {
                        reader: TileReader::new(self.source, self.limits)
                            .thorough(self.are_ends_sure),
                        last: None,
                    };
                    let take = || {
                        let mut work = work.lock().unwrap_or_else(PoisonError::into_inner);
                        // Under the lock, so that the disk is asked in the order of the file.
                        work.1.next().inspect(|chunk| self.source.expect(chunk));
                        work.0.next()
                    };
                    while let Some((first, (ranges, frames))) = take() {
                        let result = self.plan_chunk(first, ranges, frames, &mut worker);
                        if sender.send(result).is_err() {
                            return;
                        }
                    }
                }
            })?;
            drop(sender);
            loop {
                match results.recv_timeout(Duration::from_millis(50)) {
                    Ok(Ok(chunk)) => summary.add(&chunk),
                    Ok(Err((tile, error))) => {
                        // The first bad tile is the one to tell, whichever thread was faster.
                        if worst.as_ref().is_none_or(|(other, _)| tile < *other) {
                            worst = Some((tile, error));
                        }
                    }
                    Err(mpsc::RecvTimeoutError::Timeout) => {}
                    Err(mpsc::RecvTimeoutError::Disconnected) => break,
                }
                if !watch.go_on(self.done.load(Ordering::Relaxed)) {
                    self.stop_at.store(0, Ordering::Relaxed);
                    worst = Some((0, Error::Cancelled));
                }
            }
            Ok(())
        })?;
        worst.map_or(Ok((frames, summary)), |(_, error)| Err(error))
    }

    fn plan_chunk(
        &self,
        first: u64,
        ranges: &[ByteRange],
        frames: &mut [ShapeIndex],
        worker: &mut Worker<'_>,
    ) -> Result<Summary, (u64, Error)> {
        let mut summary = Summary::default();
        for ((tile, range), frame) in (first..).zip(ranges).zip(frames) {
            if tile >= self.stop_at.load(Ordering::Relaxed) {
                break;
            }
            if range.byte_count == 0 {
                summary.blank = summary.blank.saturating_add(1);
                summary.frame_bytes = summary.frame_bytes.saturating_add(self.blank_len);
                continue;
            }
            worker.reader.open(*range);
            *frame = self
                .plan_frame(tile, range.byte_count, worker, &mut summary)
                .map_err(|error| {
                    self.stop_at.fetch_min(tile, Ordering::Relaxed);
                    (tile, error)
                })?;
        }
        self.done
            .fetch_add(u64::try_from(ranges.len()).unwrap_or(0), Ordering::Relaxed);
        Ok(summary)
    }

    fn plan_frame(
        &self,
        tile: u64,
        byte_count: u64,
        worker: &mut Worker<'_>,
        summary: &mut Summary,
    ) -> Result<ShapeIndex, Error> {
        let split = self
            .codec
            .split(&mut worker.reader)
            .map_err(|fault| fault.of_tile(tile))?;
        let made = &split.made;
        if made.kept.get().is_none()
            && let Some(what) = self.reference.difference(&made.facts)
        {
            return Err(Error::Mixed { tile, what });
        }
        let short = |len: u64| {
            u32::try_from(len).map_err(|_| Error::Limit {
                what: format!("tile {tile} with {len} bytes in one part"),
                name: "tile_bytes",
                limit: u64::from(u32::MAX),
            })
        };
        let header_len = len64(&made.header);
        summary.add(&Summary {
            copied: 1,
            blank: 0,
            truncated: u64::from(split.truncated),
            dropped_segments: u64::from(made.dropped),
            frame_bytes: header_len
                .saturating_add(split.body_len)
                .saturating_add(len64(self.codec.tail(header_len, split.body_len))),
        });
        let header = made.kept.get().unwrap_or_else(|| {
            let mut headers = self.headers.lock().unwrap_or_else(PoisonError::into_inner);
            headers.keep(&made.header, self.limits)
        });
        made.kept.set(Some(header));
        short(split.body_len)?;
        let behind = byte_count.saturating_sub(split.body_start);
        let shape = Shape {
            body_start: short(split.body_start)?,
            behind: short(behind.saturating_sub(split.body_len))?,
            header,
            truncated: split.truncated,
            dropped: made.dropped,
        };
        Ok(match worker.last {
            Some((last, index)) if last == shape => index,
            _ => {
                let mut shapes = self.shapes.lock().unwrap_or_else(PoisonError::into_inner);
                let index = shapes.keep(shape);
                worker.last = Some((shape, index));
                index
            }
        })
    }
}

/// What one thread has.
struct Worker<'a> {
    reader: TileReader<'a>,
    /// The shape of the last frame: the next one's is likely the same, and needs no lock.
    last: Option<(Shape, ShapeIndex)>,
}
