//! Looks into a few tiles.

use coverslip_core::{ByteRange, Error, codec, jp2k, jpeg};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::copy::Source;
use crate::errors::into_py_err;
use crate::limits;

#[pyclass(frozen, module = "coverslip._core")]
pub(crate) struct JpegFacts {
    #[pyo3(get)]
    sof: u8,
    #[pyo3(get)]
    precision: u8,
    #[pyo3(get)]
    rows: u16,
    #[pyo3(get)]
    columns: u16,
    #[pyo3(get)]
    component_ids: Vec<u8>,
    #[pyo3(get)]
    sampling: Vec<(u8, u8)>,
    #[pyo3(get)]
    jfif: bool,
    #[pyo3(get)]
    adobe_transform: Option<u8>,
    #[pyo3(get)]
    restart_interval: u16,
    facts: jpeg::Facts,
}

#[pymethods]
impl JpegFacts {
    /// Whether frames of a width are whole restart intervals of a picture of a width.
    fn stitches(&self, width: u32, frame_width: u32) -> bool {
        self.facts.stitches(width, frame_width)
    }
}

impl From<&jpeg::Facts> for JpegFacts {
    fn from(facts: &jpeg::Facts) -> Self {
        Self {
            sof: facts.sof,
            precision: facts.precision,
            rows: facts.rows,
            columns: facts.columns,
            component_ids: facts.components.iter().map(|c| c.id).collect(),
            sampling: facts
                .components
                .iter()
                .map(|c| (c.horizontal, c.vertical))
                .collect(),
            jfif: facts.jfif,
            adobe_transform: facts.adobe_transform,
            restart_interval: facts.restart_interval,
            facts: facts.clone(),
        }
    }
}

#[pyclass(frozen, get_all, module = "coverslip._core")]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Jpeg2000Facts {
    rows: u32,
    columns: u32,
    depths: Vec<u8>,
    is_signed: bool,
    separations: Vec<(u8, u8)>,
    mct: bool,
    reversible: bool,
    decompositions: u8,
    layers: u16,
    has_coc: bool,
    high_throughput: bool,
    jp2_colour: Option<u32>,
}

impl From<&jp2k::Facts> for Jpeg2000Facts {
    fn from(facts: &jp2k::Facts) -> Self {
        Self {
            rows: facts.rows,
            columns: facts.columns,
            depths: facts.components.iter().map(|c| c.depth).collect(),
            is_signed: facts.components.iter().any(|c| c.signed),
            separations: facts
                .components
                .iter()
                .map(|c| (c.horizontal, c.vertical))
                .collect(),
            mct: facts.mct,
            reversible: facts.reversible,
            decompositions: facts.decompositions,
            layers: facts.layers,
            has_coc: facts.has_coc,
            high_throughput: facts.high_throughput,
            jp2_colour: facts.jp2_colour,
        }
    }
}

/// Reads the header of one tile and checks that it can be a frame of the given size.
#[pyfunction]
pub(crate) fn inspect_tile(
    py: Python<'_>,
    source: &Source,
    tile: u64,
    offset: u64,
    byte_count: u64,
    columns: u32,
    rows: u32,
) -> PyResult<Py<PyAny>> {
    let range = ByteRange { offset, byte_count };
    let size = (columns, rows);
    let facts = py
        .detach(|| codec::inspect(source.core(), tile, range, size, &limits::current()))
        .map_err(into_py_err)?;
    into_py(py, &facts)
}

/// Reads the header of one tile of any process and size.
#[pyfunction]
pub(crate) fn inspect_any(
    py: Python<'_>,
    source: &Source,
    tile: u64,
    offset: u64,
    byte_count: u64,
) -> PyResult<Py<PyAny>> {
    let range = ByteRange { offset, byte_count };
    let facts = py
        .detach(|| codec::inspect_any(source.core(), tile, range, &limits::current()))
        .map_err(into_py_err)?;
    into_py(py, &facts)
}

fn into_py(py: Python<'_>, facts: &codec::Facts) -> PyResult<Py<PyAny>> {
    match facts {
        codec::Facts::Jpeg(facts) => Ok(Py::new(py, JpegFacts::from(facts))?.into_any()),
        codec::Facts::Jpeg2000(facts) => Ok(Py::new(py, Jpeg2000Facts::from(facts))?.into_any()),
        codec::Facts::Deflated(_) => Ok(py.None()),
    }
}

/// Reads the header of a JPEG that lies in memory.
#[pyfunction]
pub(crate) fn inspect_jpeg(stream: &[u8]) -> PyResult<JpegFacts> {
    match jpeg::parse_header(stream) {
        Ok(header) => Ok(JpegFacts::from(&header.facts)),
        Err(error) => Err(into_py_err(Error::Tile { tile: 0, error })),
    }
}

/// Returns a tile as a stream that any JPEG decoder reads, its samples not transformed.
#[pyfunction]
pub(crate) fn join_jpeg<'py>(
    py: Python<'py>,
    tile: &[u8],
    jpeg_tables: &[u8],
    columns: u16,
    rows: u16,
) -> PyResult<Bound<'py, PyBytes>> {
    let join = || -> Result<Vec<u8>, Error> {
        let tables = jpeg::parse_shared_tables(jpeg_tables).map_err(Error::JpegTables)?;
        let in_tile = |error| Error::Tile { tile: 0, error };
        let recipe = jpeg::Recipe {
            tables,
            colour: match jpeg::count_components(tile).map_err(in_tile)? {
                1 => jpeg::Colour::Grey,
                _ => jpeg::Colour::Rgb,
            },
            is_emitted: false,
            columns,
            rows,
        };
        coverslip_core::rewrite_stream(tile, &recipe, &limits::current()).map_err(in_tile)
    };
    join()
        .map(|bytes| PyBytes::new(py, &bytes))
        .map_err(into_py_err)
}
