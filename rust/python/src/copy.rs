//! Opens a slide and writes instances of it.

use std::path::PathBuf;

use coverslip_core::{ByteRange, Error, OffsetTable, WriteOptions};
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::errors::into_py_err;
use crate::limits;
use crate::plan::FramePlan;
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

/// The result of a watched call; what a handler raised comes first.
pub(crate) fn finish<T>(result: Result<T, coverslip_core::Error>, watch: PyWatch) -> PyResult<T> {
    match watch.into_raised() {
        Some(raised) => Err(raised),
        None => result.map_err(into_py_err),
    }
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
