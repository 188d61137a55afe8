//! Looks for terms in finished files.

use std::path::PathBuf;

use coverslip_core::scan::{self, Encoding, Header, Term, Tiles};
use coverslip_core::{ByteRange, Scanner as CoreScanner};
use pyo3::prelude::*;

use crate::copy::{Source, TileIndex, Written, finish};
use crate::errors::into_py_err;
use crate::limits;
use crate::plan::FramePlan;
use crate::watch::PyWatch;

/// A term that is there.
#[pyclass(frozen, get_all, module = "coverslip._core")]
pub(crate) struct Hit {
    offset: u64,
    term: u32,
    encoding: &'static str,
}

impl From<&scan::Hit> for Hit {
    fn from(hit: &scan::Hit) -> Self {
        Self {
            offset: hit.offset,
            term: hit.term,
            encoding: hit.encoding.name(),
        }
    }
}

fn to_hits(hits: &[scan::Hit]) -> Vec<Hit> {
    hits.iter().map(Hit::from).collect()
}

/// What stands before the frames of an instance, as a parser of data sets found it.
#[pyclass(frozen, module = "coverslip._core")]
pub(crate) struct InstanceHeader(Header);

/// Offset and byte count.
type Range = (u64, u64);

fn to_range((offset, byte_count): Range) -> ByteRange {
    ByteRange { offset, byte_count }
}

#[pymethods]
impl InstanceHeader {
    #[new]
    #[pyo3(signature = (pixel_data_offset, *, extended_offset_table = None, numbers = vec![],
                        deflated_bytes = None))]
    fn new(
        pixel_data_offset: u64,
        extended_offset_table: Option<(Range, Range)>,
        numbers: Vec<Range>,
        deflated_bytes: Option<u64>,
    ) -> Self {
        Self(Header {
            pixel_data_offset,
            extended: extended_offset_table
                .map(|(offsets, lengths)| (to_range(offsets), to_range(lengths))),
            numbers: numbers.into_iter().map(to_range).collect(),
            deflated: deflated_bytes,
        })
    }
}

/// What was found in an instance.
#[pyclass(frozen, module = "coverslip._core")]
pub(crate) struct InstanceReport(scan::InstanceReport);

#[pymethods]
impl InstanceReport {
    #[getter]
    fn frame_count(&self) -> u64 {
        self.0.frame_count
    }

    #[getter]
    fn frames_equal(&self) -> u64 {
        self.0.frames_equal
    }

    #[getter]
    fn frames_blank(&self) -> u64 {
        self.0.frames_blank
    }

    #[getter]
    fn hits(&self) -> Vec<Hit> {
        to_hits(&self.0.hits)
    }

    #[getter]
    fn problems(&self) -> Vec<String> {
        self.0.problems.clone()
    }

    #[getter]
    fn unchecked(&self) -> Vec<String> {
        self.0.unchecked.clone()
    }
}

/// Looks for a list of terms.
#[pyclass(frozen, module = "coverslip._core")]
pub(crate) struct Scanner(CoreScanner);

#[pymethods]
#[allow(
    clippy::needless_pass_by_value,
    reason = "the conversion from Python gives values"
)]
impl Scanner {
    #[new]
    fn new(py: Python<'_>, terms: Vec<(String, bool)>) -> PyResult<Self> {
        let terms: Vec<Term> = terms
            .into_iter()
            .map(|(text, whole_word)| Term { text, whole_word })
            .collect();
        py.detach(|| CoreScanner::new(&terms, &limits::current()))
            .map(Self)
            .map_err(into_py_err)
    }

    #[classattr]
    #[pyo3(name = "ENCODINGS")]
    fn encodings() -> Vec<&'static str> {
        Encoding::ALL.map(Encoding::name).into()
    }

    #[getter]
    fn unsure_terms(&self) -> usize {
        self.0.unsure_terms()
    }

    fn scan_bytes(&self, py: Python<'_>, data: &[u8]) -> Vec<Hit> {
        to_hits(&py.detach(|| self.0.scan_bytes(data)))
    }

    #[pyo3(signature = (path, *, on_progress = None))]
    fn scan_file(
        &self,
        py: Python<'_>,
        path: PathBuf,
        on_progress: Option<Py<PyAny>>,
    ) -> PyResult<Vec<Hit>> {
        let mut watch = PyWatch::new(on_progress);
        let result = py.detach(|| self.0.scan_file(&path, &mut watch));
        finish(result, watch).map(|hits| to_hits(&hits))
    }

    #[pyo3(signature = (path, header, *, tiles = None, on_progress = None))]
    fn check_instance(
        &self,
        py: Python<'_>,
        path: PathBuf,
        header: &InstanceHeader,
        tiles: Option<(Py<Source>, Py<TileIndex>)>,
        on_progress: Option<Py<PyAny>>,
    ) -> PyResult<InstanceReport> {
        let mut watch = PyWatch::new(on_progress);
        let result = py.detach(|| {
            let tiles = tiles.as_ref().map(|(source, index)| Tiles {
                source: source.get().core(),
                index: index.get().core(),
            });
            scan::check_instance(&self.0, &path, &header.0, tiles, &mut watch)
        });
        finish(result, watch).map(InstanceReport)
    }
}

#[pyfunction]
#[pyo3(signature = (path, *, on_progress = None))]
#[allow(
    clippy::needless_pass_by_value,
    reason = "the conversion from Python gives a value"
)]
pub(crate) fn blake3_of_file(
    py: Python<'_>,
    path: PathBuf,
    on_progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    let mut watch = PyWatch::new(on_progress);
    let result = py.detach(|| coverslip_core::blake3_of_file(&path, &mut watch));
    finish(result, watch)
}

#[pyfunction]
#[pyo3(signature = (source, plan, path, header, *, scanner = None, written = None,
                    on_progress = None))]
#[allow(clippy::too_many_arguments, reason = "keyword arguments of Python")]
#[allow(
    clippy::needless_pass_by_value,
    reason = "the conversion from Python gives a value"
)]
pub(crate) fn verify_instance(
    py: Python<'_>,
    source: &Source,
    plan: &FramePlan,
    path: PathBuf,
    header: &InstanceHeader,
    scanner: Option<&Scanner>,
    written: Option<&Written>,
    on_progress: Option<Py<PyAny>>,
) -> PyResult<InstanceReport> {
    let mut watch = PyWatch::new(on_progress);
    let result = py.detach(|| {
        coverslip_core::verify_instance(
            source.core(),
            plan.core(),
            &path,
            &header.0,
            scanner.map(|scanner| &scanner.0),
            written.map(Written::core),
            &mut watch,
        )
    });
    finish(result, watch).map(InstanceReport)
}
