//! The limits of this process, which the operator may change before the first slide.

use std::sync::{PoisonError, RwLock};

use coverslip_core::Limits;
use pyo3::prelude::*;

static CHANGED: RwLock<Option<Limits>> = RwLock::new(None);

/// The limits that hold now.
pub(crate) fn current() -> Limits {
    let changed = CHANGED.read().unwrap_or_else(PoisonError::into_inner);
    changed.clone().unwrap_or_default()
}

/// Name, value and reason of each limit that holds now.
#[pyfunction]
pub(crate) fn limits() -> Vec<(&'static str, u64, &'static str)> {
    current().all()
}

/// Sets a limit for this process; returns whether there is one of this name.
#[pyfunction]
pub(crate) fn set_limit(name: &str, value: u64) -> bool {
    let mut changed = CHANGED.write().unwrap_or_else(PoisonError::into_inner);
    changed.get_or_insert_default().set(name, value)
}
