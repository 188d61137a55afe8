//! Plans what a level becomes.

use std::ops::Range;
use std::sync::Arc;

use coverslip_core::{
    Codec, Portion, Room, codec, deflate, frame::Summary, jp2k, jpeg, plan_alike, plan_frames,
    plan_thoroughly, plan_told, portions,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::copy::{Source, TileIndex, finish};
use crate::errors::into_py_err;
use crate::inspect::{Jpeg2000Facts, JpegFacts};
use crate::limits;
use crate::retile::{JpegFrames, Picture};
use crate::watch::PyWatch;

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
    fn dropped_segments(&self) -> u64 {
        self.summary.dropped_segments
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
    let (tiles, limits) = (tiles.core().clone(), limits::current());
    let source = source.core();
    let result = py.detach(|| {
        if !is_sampled {
            return plan_thoroughly(source, tiles, codec, &limits, &mut watch);
        }
        match plan_alike(source, tiles.clone(), &codec, &limits)? {
            Some(plan) => Ok(plan),
            None => plan_frames(source, tiles, codec, &limits, &mut watch),
        }
    });
    finish(result, watch).map(FramePlan::new)
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
