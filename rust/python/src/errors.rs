//! Core errors to the exceptions of `coverslip.errors`.

use coverslip_core::{Error, Kind};
use pyo3::exceptions::{PyKeyboardInterrupt, PyMemoryError, PyOSError};
use pyo3::prelude::*;

mod exceptions {
    #![allow(missing_docs, reason = "documented in coverslip.errors")]
    use pyo3::import_exception;
    import_exception!(coverslip.errors, LimitError);
    import_exception!(coverslip.errors, SourceError);
    import_exception!(coverslip.errors, UnsupportedSlideError);
    import_exception!(coverslip.errors, UnlikeTilesError);
    import_exception!(coverslip.errors, VerificationError);
}

use exceptions::{
    LimitError, SourceError, UnlikeTilesError, UnsupportedSlideError, VerificationError,
};

/// Turns a core error into the exception for whoever must act.
///
/// An `OSError` carries number and text but no file name: the name of a slide is an identifier.
pub(crate) fn into_py_err(error: Error) -> PyErr {
    let message = error.to_string();
    match (error.kind(), error) {
        (Kind::Format, _) => SourceError::new_err(message),
        (Kind::Unsupported, _) => UnsupportedSlideError::new_err(message),
        (Kind::Limit, _) => LimitError::new_err(message),
        (Kind::Verify, _) => VerificationError::new_err(message),
        (Kind::Cancelled, _) => PyKeyboardInterrupt::new_err(()),
        (Kind::Io, Error::Io(io)) => match io.raw_os_error() {
            Some(number) => os_error(number, &io),
            None => PyOSError::new_err(message),
        },
        (Kind::Io, _) => PyOSError::new_err(message),
        (Kind::Memory, _) => PyMemoryError::new_err(message),
        (Kind::Unlike, _) => UnlikeTilesError::new_err(message),
    }
}

fn os_error(number: i32, io: &std::io::Error) -> PyErr {
    let text = io.to_string();
    // "No space left on device (os error 28)": the number goes into errno instead.
    let text = text
        .split(" (os error")
        .next()
        .unwrap_or_default()
        .to_owned();
    PyOSError::new_err((number, text))
}
