//! Starts threads, which the system may refuse.

use std::num::NonZero;
use std::thread::{self, Scope};

use crate::error::Error;

/// Starts as many threads as there are cores, but no more than `most`.
///
/// It does with fewer if the system has no more: address space, or what a container may start.
///
/// # Errors
///
/// [`Error::NoThread`] if not even one could be started where one was wanted.
pub(crate) fn start_on_all_cores<'scope, Work>(
    scope: &'scope Scope<'scope, '_>,
    most: usize,
    mut work: impl FnMut() -> Work,
) -> Result<(), Error>
where
    Work: FnOnce() + Send + 'scope,
{
    let wanted = core_count().min(most);
    for started in 0..wanted {
        match start(scope, work()) {
            Ok(()) => {}
            Err(_) if started > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Starts a thread.
///
/// # Errors
///
/// [`Error::NoThread`] if the system has none. `Scope::spawn` would panic.
pub(crate) fn start<'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() + Send + 'scope,
) -> Result<(), Error> {
    match thread::Builder::new().spawn_scoped(scope, work) {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::NoThread),
    }
}

/// How many cores this process may use.
pub(crate) fn core_count() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}
