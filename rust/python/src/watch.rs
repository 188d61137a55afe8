//! Progress and Ctrl-C for calls that run without the GIL.

use std::time::{Duration, Instant};

use coverslip_core::Watch;
use pyo3::prelude::*;

/// How often Python is asked for signals and told of progress.
const PERIOD: Duration = Duration::from_millis(100);

/// Re-attaches now and then to run signal handlers and the progress callback.
pub(crate) struct PyWatch {
    on_progress: Option<Py<PyAny>>,
    last: Instant,
    raised: Option<PyErr>,
}

impl PyWatch {
    pub(crate) fn new(on_progress: Option<Py<PyAny>>) -> Self {
        Self {
            on_progress,
            last: Instant::now(),
            raised: None,
        }
    }

    /// The exception that ended the call, if a handler or the callback raised one.
    pub(crate) fn into_raised(self) -> Option<PyErr> {
        self.raised
    }

    fn ask(&self, done: u64) -> PyResult<()> {
        Python::attach(|py| {
            py.check_signals()?;
            if let Some(callback) = &self.on_progress {
                callback.call1(py, (done,))?;
            }
            Ok(())
        })
    }
}

impl Watch for PyWatch {
    fn go_on(&mut self, done: u64) -> bool {
        if self.raised.is_some() {
            return false;
        }
        if self.last.elapsed() < PERIOD {
            return true;
        }
        self.last = Instant::now();
        match self.ask(done) {
            Ok(()) => true,
            Err(error) => {
                self.raised = Some(error);
                false
            }
        }
    }
}
