//! Writes tiles anew as frames with the same coefficients.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use coverslip_core::ByteRange;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::copy::{Source, finish, pairs, ranges};
use crate::errors::into_py_err;
use crate::inspect::JpegFacts;
use crate::limits;
use crate::retile::{JpegFrames, Ranges, bytes_of};
use crate::watch::PyWatch;

/// Tiles of one size that make up a level.
#[pyclass(frozen, module = "coverslip._core")]
pub(crate) struct Mosaic(coverslip_core::Mosaic);

#[pymethods]
impl Mosaic {
    #[new]
    #[pyo3(signature = (offsets, byte_counts, *, across, tile, overlap, size, planes, private))]
    #[allow(clippy::too_many_arguments, reason = "keyword arguments of Python")]
    fn new(
        py: Python<'_>,
        offsets: &Bound<'_, PyAny>,
        byte_counts: &Bound<'_, PyAny>,
        across: u32,
        tile: (u32, u32),
        overlap: (u32, u32),
        size: (u32, u32),
        planes: u32,
        private: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        Ok(Self(coverslip_core::Mosaic {
            ranges: ranges(py, offsets, byte_counts)?,
            across,
            tile,
            overlap,
            size,
            planes,
            private: pairs(py, private)?,
        }))
    }
}

/// Reads what the header of a tile says, whatever its process, if its coefficients can be read.
#[pyfunction]
pub(crate) fn inspect_coded(
    py: Python<'_>,
    source: &Source,
    tile: u64,
    offset: u64,
    byte_count: u64,
) -> PyResult<JpegFacts> {
    let range = ByteRange { offset, byte_count };
    py.detach(|| coverslip_core::inspect_coded(source.core(), tile, range, &limits::current()))
        .map(|facts| JpegFacts::from(&facts))
        .map_err(into_py_err)
}

#[pyfunction]
#[pyo3(signature = (source, mosaic, frames, spool, *, on_progress = None))]
#[allow(
    clippy::needless_pass_by_value,
    reason = "the conversion from Python gives a value"
)]
pub(crate) fn rewrite<'py>(
    py: Python<'py>,
    source: &Source,
    mosaic: &Mosaic,
    frames: &JpegFrames,
    spool: PathBuf,
    on_progress: Option<Py<PyAny>>,
) -> PyResult<(Ranges<'py>, Bound<'py, PyBytes>)> {
    let mut watch = PyWatch::new(on_progress);
    let result = py.detach(|| {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&spool)?;
        coverslip_core::rewrite(
            source.core(),
            &mosaic.0,
            frames.core(),
            &file,
            &limits::current(),
            &mut watch,
        )
    });
    let written = finish(result, watch)?;
    let flags: Vec<u8> = written.is_rewritten.iter().map(|&is| is.into()).collect();
    Ok((bytes_of(py, &written.ranges), PyBytes::new(py, &flags)))
}

#[pyfunction]
#[pyo3(signature = (source, mosaic, frames, spool, offsets, byte_counts, *, on_progress = None))]
#[allow(clippy::too_many_arguments, reason = "as the docstring has them")]
pub(crate) fn prove_rewritten(
    py: Python<'_>,
    source: &Source,
    mosaic: &Mosaic,
    frames: &JpegFrames,
    spool: &Source,
    offsets: &Bound<'_, PyAny>,
    byte_counts: &Bound<'_, PyAny>,
    on_progress: Option<Py<PyAny>>,
) -> PyResult<u64> {
    let ranges = ranges(py, offsets, byte_counts)?;
    let mut watch = PyWatch::new(on_progress);
    let result = py.detach(|| {
        coverslip_core::prove_rewritten(
            source.core(),
            &mosaic.0,
            frames.core(),
            (spool.core(), &ranges),
            &limits::current(),
            &mut watch,
        )
    });
    finish(result, watch)
}
