//! Cuts pictures into frames.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use coverslip_core::{ByteRange, Error, Limits, Picture, jpeg};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::copy::{Source, finish, jpeg_colour, unsigned};
use crate::errors::into_py_err;
use crate::watch::PyWatch;

/// Offsets and byte counts of the frames in the spool, as little-endian `uint64`.
type Ranges<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>);

#[pyfunction]
#[pyo3(signature = (source, spool, *, picture, size, frame_size, colour, jpeg_tables,
                    starts = None, on_progress = None))]
#[allow(clippy::too_many_arguments, reason = "keyword arguments of Python")]
#[allow(
    clippy::needless_pass_by_value,
    reason = "the conversion from Python gives a value"
)]
pub(crate) fn retile<'py>(
    py: Python<'py>,
    source: &Source,
    spool: PathBuf,
    picture: (u64, u64),
    size: (u32, u32),
    frame_size: (u16, u16),
    colour: &str,
    jpeg_tables: &[u8],
    starts: Option<&Bound<'py, PyAny>>,
    on_progress: Option<Py<PyAny>>,
) -> PyResult<Ranges<'py>> {
    let recipe = jpeg::Recipe {
        tables: jpeg::parse_shared_tables(jpeg_tables)
            .map_err(|error| into_py_err(Error::JpegTables(error)))?,
        colour: jpeg_colour(colour)?,
        columns: frame_size.0,
        rows: frame_size.1,
    };
    let picture = Picture {
        range: ByteRange {
            offset: picture.0,
            byte_count: picture.1,
        },
        columns: size.0,
        rows: size.1,
        starts: starts.map(|starts| unsigned(py, starts)).transpose()?,
    };
    let mut watch = PyWatch::new(on_progress);
    let result = py.detach(|| {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&spool)?;
        let limits = Limits::default();
        coverslip_core::retile(source.core(), &picture, &recipe, &file, &limits, &mut watch)
    });
    let frames = finish(result, watch)?;
    let bytes = |field: fn(&ByteRange) -> u64| -> Vec<u8> {
        frames.iter().flat_map(|f| field(f).to_le_bytes()).collect()
    };
    Ok((
        PyBytes::new(py, &bytes(|frame| frame.offset)),
        PyBytes::new(py, &bytes(|frame| frame.byte_count)),
    ))
}
