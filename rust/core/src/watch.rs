//! How a long call tells where it is, and is told to stop.

/// Sees the progress of a long call and may end it.
pub trait Watch {
    /// Called every megabyte or so with the work done so far, in the unit of the call.
    ///
    /// Returning `false` ends the call with [`crate::Error::Cancelled`].
    fn go_on(&mut self, done: u64) -> bool;
}

/// Lets every call run to its end.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn go_on(&mut self, _done: u64) -> bool {
        true
    }
}
