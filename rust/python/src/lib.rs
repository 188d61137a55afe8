//! The extension module `coverslip._core`: converts arguments, releases the GIL, converts errors.

mod copy;
mod errors;
mod inspect;
mod limits;
mod plan;
mod retile;
mod rewrite;
mod scan;
mod watch;

use pyo3::prelude::*;

/// Copies tiles into frames and proves it; see `_core.pyi` for the documentation.
#[pymodule(gil_used = false)]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("IS_DEBUG_BUILD", cfg!(debug_assertions))?;
    module.add_class::<copy::Source>()?;
    module.add_class::<copy::TileIndex>()?;
    module.add_class::<plan::FramePlan>()?;
    module.add_class::<copy::WriteReport>()?;
    module.add_class::<copy::Written>()?;
    module.add_class::<scan::Scanner>()?;
    module.add_class::<scan::InstanceHeader>()?;
    module.add_class::<scan::InstanceReport>()?;
    module.add_class::<scan::Hit>()?;
    module.add_class::<inspect::JpegFacts>()?;
    module.add_class::<inspect::Jpeg2000Facts>()?;
    module.add_function(wrap_pyfunction!(limits::set_limit, module)?)?;
    module.add_function(wrap_pyfunction!(inspect::inspect_any, module)?)?;
    module.add_function(wrap_pyfunction!(limits::limits, module)?)?;
    module.add_function(wrap_pyfunction!(inspect::inspect_tile, module)?)?;
    module.add_function(wrap_pyfunction!(inspect::inspect_jpeg, module)?)?;
    module.add_function(wrap_pyfunction!(inspect::join_jpeg, module)?)?;
    module.add_function(wrap_pyfunction!(plan::plan_jpeg, module)?)?;
    module.add_function(wrap_pyfunction!(plan::plan_jpeg2000, module)?)?;
    module.add_function(wrap_pyfunction!(plan::plan_deflated, module)?)?;
    module.add_function(wrap_pyfunction!(plan::plan_stitched, module)?)?;
    module.add_class::<retile::Picture>()?;
    module.add_class::<retile::JpegFrames>()?;
    module.add_function(wrap_pyfunction!(retile::inspect_picture, module)?)?;
    module.add_function(wrap_pyfunction!(retile::retile, module)?)?;
    module.add_function(wrap_pyfunction!(retile::prove_retiled, module)?)?;
    module.add_function(wrap_pyfunction!(retile::stitch_strips, module)?)?;
    module.add_class::<rewrite::Mosaic>()?;
    module.add_function(wrap_pyfunction!(rewrite::inspect_coded, module)?)?;
    module.add_function(wrap_pyfunction!(rewrite::rewrite, module)?)?;
    module.add_function(wrap_pyfunction!(rewrite::prove_rewritten, module)?)?;
    module.add_function(wrap_pyfunction!(copy::write_instance, module)?)?;
    module.add_function(wrap_pyfunction!(scan::blake3_of_file, module)?)?;
    module.add_function(wrap_pyfunction!(scan::verify_instance, module)?)?;
    Ok(())
}
