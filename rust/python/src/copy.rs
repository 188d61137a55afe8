//! Plans, writes and reads back one instance.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use coverslip_core::{
    ByteRange, Codec, Error, OffsetTable, Portion, Room, WriteOptions, codec, deflate,
    frame::Summary, jp2k, jpeg, plan_alike, plan_frames, plan_told, portions,
};
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::errors::into_py_err;
use crate::inspect::{Jpeg2000Facts, JpegFacts};
use crate::limits;
use crate::retile::{JpegFrames, Picture};
use crate::watch::PyWatch;

/// The files of a slide, opened for reading.
#[pyclass(frozen, module = "coverslip._core")]
pub(crate) struct Source(coverslip_core::Source);

impl Source {
    pub(crate) fn core(&self) -> &coverslip_core::Source {
        &self.0
    }
}

#[pymethods]
impl Source {
    #[new]
    #[pyo3(signature = (*paths))]
    #[allow(
        clippy::needless_pass_by_value,
        reason = "the conversion from Python gives a value"
    )]
    fn new(paths: Vec<PathBuf>) -> PyResult<Self> {
        coverslip_core::Source::open_all(&paths)
            .map(Self)
            .map_err(into_py_err)
    }

    /// `st_dev`, `st_ino`, `st_size` and `st_mtime_ns` of each file, to compare with another opening.
    #[getter]
    fn stamps(&self) -> Vec<(u64, u64, u64, i128)> {
        let stamps = self.0.stamps().into_iter();
        stamps
            .map(|stamp| (stamp.device, stamp.inode, stamp.len, stamp.mtime_ns))
            .collect()
    }

    #[getter]
    fn byte_count(&self) -> u64 {
        self.0.byte_count()
    }

    fn read(&self, py: Python<'_>, offset: u64, byte_count: u64) -> PyResult<Vec<u8>> {
        let limit = limits::current().tile_bytes;
        if byte_count > limit {
            return Err(into_py_err(Error::Limit {
                what: format!("a tile of {byte_count} bytes"),
                name: "tile_bytes",
                limit,
            }));
        }
        let mut buffer = vec![0; usize::try_from(byte_count).unwrap_or(0)];
        py.detach(|| self.0.read_exact_at(&mut buffer, offset))
            .map_err(into_py_err)?;
        Ok(buffer)
    }

    fn check_unchanged(&self) -> PyResult<()> {
        self.0.check_unchanged().map_err(into_py_err)
    }
}

/// The tiles of one level, checked against the file.
#[pyclass(frozen, module = "coverslip._core")]
pub(crate) struct TileIndex(coverslip_core::TileIndex);

impl TileIndex {
    pub(crate) fn core(&self) -> &coverslip_core::TileIndex {
        &self.0
    }
}

#[pymethods]
impl TileIndex {
    #[new]
    fn new(
        py: Python<'_>,
        source: &Source,
        offsets: &Bound<'_, PyAny>,
        byte_counts: &Bound<'_, PyAny>,
        private: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let tiles = ranges(py, offsets, byte_counts)?;
        let private = pairs(py, private)?;
        let extents = source.0.extents();
        py.detach(|| coverslip_core::TileIndex::new(tiles, private, extents, &limits::current()))
            .map(Self)
            .map_err(into_py_err)
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }
}

/// Copies a buffer of `uint64`, so that no thread can change it under us.
pub(crate) fn unsigned(py: Python<'_>, array: &Bound<'_, PyAny>) -> PyResult<Vec<u64>> {
    PyBuffer::<u64>::get(array)?.to_vec(py)
}

/// Ranges of an array of shape (n, 2).
pub(crate) fn pairs(py: Python<'_>, array: &Bound<'_, PyAny>) -> PyResult<Vec<ByteRange>> {
    let numbers = unsigned(py, array)?;
    let (pairs, _) = numbers.as_chunks::<2>();
    Ok(pairs
        .iter()
        .map(|&[offset, count]| to_range((offset, count)))
        .collect())
}

/// Ranges of two arrays of the same length; there may be millions, so they are copied once.
pub(crate) fn ranges(
    py: Python<'_>,
    offsets: &Bound<'_, PyAny>,
    byte_counts: &Bound<'_, PyAny>,
) -> PyResult<Vec<ByteRange>> {
    let offsets = PyBuffer::<u64>::get(offsets)?;
    let byte_counts = PyBuffer::<u64>::get(byte_counts)?;
    let contiguous = || PyValueError::new_err("arrays in one piece are needed");
    let offsets = offsets.as_slice(py).ok_or_else(contiguous)?;
    let byte_counts = byte_counts.as_slice(py).ok_or_else(contiguous)?;
    if offsets.len() != byte_counts.len() {
        return Err(PyValueError::new_err(
            "as many byte counts as offsets are needed",
        ));
    }
    let pairs = offsets.iter().zip(byte_counts);
    Ok(pairs
        .map(|(offset, count)| to_range((offset.get(), count.get())))
        .collect())
}

fn to_range((offset, byte_count): (u64, u64)) -> ByteRange {
    ByteRange { offset, byte_count }
}

/// What a level's tiles become, or some of them.
#[pyclass(frozen, module = "coverslip._core")]
pub(crate) struct FramePlan {
    plan: Arc<coverslip_core::FramePlan>,
    frames: Range<usize>,
    summary: Summary,
}

impl FramePlan {
    fn new(plan: coverslip_core::FramePlan) -> Self {
        Self {
            frames: 0..plan.frame_count(),
            summary: plan.summary(),
            plan: Arc::new(plan),
        }
    }

    pub(crate) fn core(&self) -> Portion<'_> {
        // A range that the plan does not have cannot be made.
        Portion::of(&self.plan, self.frames.clone()).unwrap_or_else(|| (&*self.plan).into())
    }
}

#[pymethods]
impl FramePlan {
    #[getter]
    fn frame_count(&self) -> usize {
        self.frames.len()
    }

    #[getter]
    fn copied(&self) -> u64 {
        self.summary.copied
    }

    #[getter]
    fn blank(&self) -> u64 {
        self.summary.blank
    }

    #[getter]
    fn truncated(&self) -> u64 {
        self.summary.truncated
    }

    #[getter]
    fn dropped_segments(&self) -> Option<u64> {
        (self.frames.len() == self.plan.frame_count()).then_some(self.summary.dropped_segments)
    }

    #[getter]
    fn frame_bytes(&self) -> u64 {
        self.summary.frame_bytes
    }

    fn portions(
        &self,
        py: Python<'_>,
        most: u64,
        header: u64,
        beside: u64,
    ) -> PyResult<Vec<usize>> {
        let room = Room {
            most,
            header,
            beside,
        };
        py.detach(|| portions(&self.plan, room))
            .map_err(into_py_err)
    }

    fn portion(&self, first: usize, count: usize) -> PyResult<Self> {
        let end = first.saturating_add(count);
        Portion::of(&self.plan, first..end)
            .map(|portion| Self {
                plan: Arc::clone(&self.plan),
                frames: portion.frames(),
                summary: portion.summary(),
            })
            .ok_or_else(|| PyValueError::new_err("the plan does not have all of these frames"))
    }

    #[getter]
    fn facts(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self.plan.facts() {
            codec::Facts::Jpeg(facts) => Ok(Py::new(py, JpegFacts::from(facts))?.into_any()),
            codec::Facts::Jpeg2000(facts) => {
                Ok(Py::new(py, Jpeg2000Facts::from(facts))?.into_any())
            }
            codec::Facts::Deflated(_) => Ok(py.None()),
        }
    }
}

fn plan(
    py: Python<'_>,
    source: &Source,
    tiles: &TileIndex,
    codec: Codec,
    is_sampled: bool,
    on_progress: Option<Py<PyAny>>,
) -> PyResult<FramePlan> {
    let mut watch = PyWatch::new(on_progress);
    let (tiles, limits) = (tiles.0.clone(), limits::current());
    let result = py.detach(|| {
        let alike = if is_sampled {
            plan_alike(&source.0, tiles.clone(), &codec, &limits)?
        } else {
            None
        };
        match alike {
            Some(plan) => Ok(plan),
            None => plan_frames(&source.0, tiles, codec, &limits, &mut watch),
        }
    });
    finish(result, watch).map(FramePlan::new)
}

/// The result of a watched call; what a handler raised comes first.
pub(crate) fn finish<T>(result: Result<T, coverslip_core::Error>, watch: PyWatch) -> PyResult<T> {
    match watch.into_raised() {
        Some(raised) => Err(raised),
        None => result.map_err(into_py_err),
    }
}

pub(crate) fn jpeg_colour(name: &str) -> PyResult<jpeg::Colour> {
    match name {
        "RGB" => Ok(jpeg::Colour::Rgb),
        "YBR" => Ok(jpeg::Colour::Ybr),
        "GREY" => Ok(jpeg::Colour::Grey),
        _ => Err(PyValueError::new_err("colour must be RGB, YBR or GREY")),
    }
}

#[pyfunction]
#[pyo3(signature = (source, tiles, *, columns, rows, colour, jpeg_tables,
                    is_emitted = false, is_sampled = false, on_progress = None))]
#[allow(clippy::too_many_arguments, reason = "keyword arguments of Python")]
pub(crate) fn plan_jpeg(
    py: Python<'_>,
    source: &Source,
    tiles: &TileIndex,
    columns: u16,
    rows: u16,
    colour: &str,
    jpeg_tables: &[u8],
    is_emitted: bool,
    is_sampled: bool,
    on_progress: Option<Py<PyAny>>,
) -> PyResult<FramePlan> {
    let colour = jpeg_colour(colour)?;
    let tables = jpeg::parse_shared_tables(jpeg_tables)
        .map_err(|error| into_py_err(coverslip_core::Error::JpegTables(error)))?;
    let codec = Codec::Jpeg(jpeg::Recipe {
        tables,
        colour,
        is_emitted,
        columns,
        rows,
    });
    plan(py, source, tiles, codec, is_sampled, on_progress)
}

#[pyfunction]
#[pyo3(signature = (source, tiles, *, columns, rows, set_mct, blank = None,
                    is_sampled = false, on_progress = None))]
#[allow(clippy::too_many_arguments, reason = "keyword arguments of Python")]
pub(crate) fn plan_jpeg2000(
    py: Python<'_>,
    source: &Source,
    tiles: &TileIndex,
    columns: u32,
    rows: u32,
    set_mct: bool,
    blank: Option<Vec<u8>>,
    is_sampled: bool,
    on_progress: Option<Py<PyAny>>,
) -> PyResult<FramePlan> {
    let recipe = jp2k::Recipe {
        columns,
        rows,
        set_mct,
    };
    plan(
        py,
        source,
        tiles,
        Codec::Jpeg2000 { recipe, blank },
        is_sampled,
        on_progress,
    )
}

#[pyfunction]
#[pyo3(signature = (source, tiles, *, columns, rows, pixel_bytes, blank = None, on_progress = None))]
#[allow(clippy::too_many_arguments, reason = "keyword arguments of Python")]
pub(crate) fn plan_deflated(
    py: Python<'_>,
    source: &Source,
    tiles: &TileIndex,
    columns: u32,
    rows: u32,
    pixel_bytes: u8,
    blank: Option<Vec<u8>>,
    on_progress: Option<Py<PyAny>>,
) -> PyResult<FramePlan> {
    let recipe = deflate::Recipe {
        columns,
        rows,
        pixel_bytes,
    };
    let codec = Codec::Deflated { recipe, blank };
    plan(py, source, tiles, codec, false, on_progress)
}

/// Plans frames that are joined of the restart intervals of pictures.
#[pyfunction]
#[pyo3(signature = (source, pictures, frames, *, is_sampled = false, on_progress = None))]
#[allow(
    clippy::needless_pass_by_value,
    reason = "the conversion from Python gives a value"
)]
pub(crate) fn plan_stitched(
    py: Python<'_>,
    source: &Source,
    pictures: Vec<PyRef<'_, Picture>>,
    frames: &JpegFrames,
    is_sampled: bool,
    on_progress: Option<Py<PyAny>>,
) -> PyResult<FramePlan> {
    let mut watch = PyWatch::new(on_progress);
    let pictures: Vec<_> = pictures.iter().map(|one| one.core().clone()).collect();
    let (source, frames, limits) = (source.core(), frames.core(), limits::current());
    let result = py.detach(|| {
        let told = if is_sampled {
            plan_told(source, &pictures, frames, &limits)?
        } else {
            None
        };
        match told {
            Some(plan) => Ok(plan),
            None => coverslip_core::plan_stitched(source, &pictures, frames, &limits, &mut watch),
        }
    });
    finish(result, watch).map(FramePlan::new)
}

/// What was written.
#[pyclass(frozen, get_all, module = "coverslip._core")]
pub(crate) struct WriteReport {
    byte_count: u64,
    pixel_data_offset: u64,
    has_extended_offset_table: bool,
    blake3: Option<String>,
}

/// How far a file is written, for a check that follows its writer.
#[pyclass(frozen, module = "coverslip._core")]
#[derive(Default)]
pub(crate) struct Written(coverslip_core::Written);

impl Written {
    pub(crate) fn core(&self) -> &coverslip_core::Written {
        &self.0
    }
}

#[pymethods]
impl Written {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    fn wait_for_start(&self, py: Python<'_>) -> PyResult<u64> {
        py.detach(|| self.0.wait_for_start()).map_err(into_py_err)
    }

    fn give_up(&self) {
        self.0.give_up();
    }
}

#[pyfunction]
#[pyo3(signature = (source, plan, header, path, *, extended_offset_table = None,
                    digest = false, past_cache = false, written = None, on_progress = None))]
#[allow(clippy::too_many_arguments, reason = "keyword arguments of Python")]
#[allow(
    clippy::needless_pass_by_value,
    reason = "the conversion from Python gives a value"
)]
pub(crate) fn write_instance(
    py: Python<'_>,
    source: &Source,
    plan: &FramePlan,
    header: Vec<u8>,
    path: PathBuf,
    extended_offset_table: Option<bool>,
    digest: bool,
    past_cache: bool,
    written: Option<&Written>,
    on_progress: Option<Py<PyAny>>,
) -> PyResult<WriteReport> {
    let offset_table = extended_offset_table.map(|extended| {
        if extended {
            OffsetTable::Extended
        } else {
            OffsetTable::Basic
        }
    });
    let options = WriteOptions {
        offset_table,
        digest,
        past_cache,
        written: written.map(Written::core),
    };
    let mut watch = PyWatch::new(on_progress);
    let result = py.detach(|| {
        coverslip_core::write_instance(&source.0, plan.core(), &header, &path, options, &mut watch)
    });
    let report = finish(result, watch)?;
    Ok(WriteReport {
        byte_count: report.byte_count,
        pixel_data_offset: report.pixel_data_offset,
        has_extended_offset_table: report.offset_table == OffsetTable::Extended,
        blake3: report.blake3,
    })
}
