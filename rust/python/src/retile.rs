//! Cuts pictures into frames.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use coverslip_core::{ByteRange, Error, jpeg};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::copy::{Source, finish, pairs, ranges, unsigned};
use crate::errors::into_py_err;
use crate::inspect::JpegFacts;
use crate::limits;
use crate::plan::jpeg_colour;
use crate::watch::PyWatch;

/// One JPEG stream that holds a whole level.
#[pyclass(frozen, module = "coverslip._core")]
pub(crate) struct Picture(coverslip_core::Picture);

impl Picture {
    pub(crate) fn core(&self) -> &coverslip_core::Picture {
        &self.0
    }
}

#[pymethods]
impl Picture {
    #[new]
    #[pyo3(signature = (offset, byte_count, *, width, length, private, starts = None))]
    fn new(
        py: Python<'_>,
        offset: u64,
        byte_count: u64,
        width: u32,
        length: u32,
        private: &Bound<'_, PyAny>,
        starts: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        Ok(Self(coverslip_core::Picture {
            range: ByteRange { offset, byte_count },
            columns: width,
            rows: length,
            starts: starts.map(|starts| unsigned(py, starts)).transpose()?,
            private: pairs(py, private)?,
        }))
    }
}

/// Reads what the header of a picture says, and checks that it can be cut.
#[pyfunction]
pub(crate) fn inspect_picture(
    py: Python<'_>,
    source: &Source,
    picture: &Picture,
) -> PyResult<JpegFacts> {
    py.detach(|| coverslip_core::inspect_picture(source.core(), &picture.0, &limits::current()))
        .map(|facts| JpegFacts::from(&facts))
        .map_err(into_py_err)
}

/// How the frames of a picture are made.
#[pyclass(frozen, module = "coverslip._core")]
pub(crate) struct JpegFrames(jpeg::Recipe);

impl JpegFrames {
    pub(crate) fn core(&self) -> &jpeg::Recipe {
        &self.0
    }
}

#[pymethods]
impl JpegFrames {
    #[new]
    #[pyo3(signature = (*, columns, rows, colour, jpeg_tables, is_emitted = false))]
    fn new(
        columns: u16,
        rows: u16,
        colour: &str,
        jpeg_tables: &[u8],
        is_emitted: bool,
    ) -> PyResult<Self> {
        Ok(Self(jpeg::Recipe {
            tables: jpeg::parse_shared_tables(jpeg_tables)
                .map_err(|error| into_py_err(Error::JpegTables(error)))?,
            colour: jpeg_colour(colour)?,
            is_emitted,
            columns,
            rows,
        }))
    }
}

/// Joins JPEG strips into one stream of the size of `frames`.
#[pyfunction]
#[pyo3(signature = (source, offsets, byte_counts, frames, *, rows_per_strip, private))]
pub(crate) fn stitch_strips<'py>(
    py: Python<'py>,
    source: &Source,
    offsets: &Bound<'py, PyAny>,
    byte_counts: &Bound<'py, PyAny>,
    frames: &JpegFrames,
    rows_per_strip: u32,
    private: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyBytes>> {
    let strips = coverslip_core::Strips {
        ranges: ranges(py, offsets, byte_counts)?,
        rows: rows_per_strip,
        private: pairs(py, private)?,
    };
    let limits = limits::current();
    py.detach(|| coverslip_core::stitch_strips(source.core(), &strips, &frames.0, &limits))
        .map(|bytes| PyBytes::new(py, &bytes))
        .map_err(into_py_err)
}

/// Offsets and byte counts of the frames in the spool, as little-endian `uint64`.
pub(crate) type Ranges<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>);

pub(crate) fn bytes_of<'py>(py: Python<'py>, ranges: &[ByteRange]) -> Ranges<'py> {
    let bytes = |field: fn(&ByteRange) -> u64| -> Vec<u8> {
        let numbers = ranges.iter().map(field);
        numbers.flat_map(u64::to_le_bytes).collect()
    };
    (
        PyBytes::new(py, &bytes(|range| range.offset)),
        PyBytes::new(py, &bytes(|range| range.byte_count)),
    )
}

#[pyfunction]
#[pyo3(signature = (source, picture, frames, spool, *, on_progress = None))]
#[allow(
    clippy::needless_pass_by_value,
    reason = "the conversion from Python gives a value"
)]
pub(crate) fn retile<'py>(
    py: Python<'py>,
    source: &Source,
    picture: &Picture,
    frames: &JpegFrames,
    spool: PathBuf,
    on_progress: Option<Py<PyAny>>,
) -> PyResult<Ranges<'py>> {
    let mut watch = PyWatch::new(on_progress);
    let result = py.detach(|| {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&spool)?;
        let limits = limits::current();
        coverslip_core::retile(
            source.core(),
            &picture.0,
            &frames.0,
            &file,
            &limits,
            &mut watch,
        )
    });
    Ok(bytes_of(py, &finish(result, watch)?))
}

#[pyfunction]
#[pyo3(signature = (source, picture, frames, spool, offsets, byte_counts, *, on_progress = None))]
#[allow(clippy::too_many_arguments, reason = "as the docstring has them")]
pub(crate) fn prove_retiled(
    py: Python<'_>,
    source: &Source,
    picture: &Picture,
    frames: &JpegFrames,
    spool: &Source,
    offsets: &Bound<'_, PyAny>,
    byte_counts: &Bound<'_, PyAny>,
    on_progress: Option<Py<PyAny>>,
) -> PyResult<()> {
    let ranges = ranges(py, offsets, byte_counts)?;
    let mut watch = PyWatch::new(on_progress);
    let result = py.detach(|| {
        coverslip_core::prove_retiled(
            source.core(),
            &picture.0,
            &frames.0,
            (spool.core(), &ranges),
            &limits::current(),
            &mut watch,
        )
    });
    finish(result, watch)
}
