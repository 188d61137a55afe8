//! How far a file is written, for whoever reads it behind the writer.
//!
//! What was handed to the kernel is in its page cache, for every reader of the file. A check that
//! follows the writer finds it there, and has a core to itself where the writer leaves one idle.
//! So that both the file and its source are still there when the check comes by, also where the
//! memory holds neither, the writer waits for whoever follows it. The check sees no less than one
//! that begins later: a file is written from its first byte to its last, and no byte of it twice.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::Error;

/// How far the writer may be ahead of whoever follows it: what memory has room for on any machine,
/// and enough that neither waits for the other's every step.
const LEAD_BYTES: u64 = 64 << 20;

/// How much of one file is there. The writer says so, others wait for it.
#[derive(Debug, Default)]
pub struct Written {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Length of the whole file, once what stands before its frames is there.
    len: Option<u64>,
    byte_count: u64,
    is_over: bool,
    /// Who reads behind the writer, and how far the foremost of them wants to read, or has read.
    followers: u32,
    wanted: u64,
}

impl State {
    fn is_too_far_ahead(&self) -> bool {
        let is_followed = self.followers > 0 && !self.is_over;
        is_followed && self.byte_count > self.wanted.saturating_add(LEAD_BYTES)
    }
}

impl Written {
    /// Waits for all that stands before the frames, and returns how long the file will be.
    ///
    /// # Errors
    ///
    /// [`Error::Cancelled`] if it will not come.
    pub fn wait_for_start(&self) -> Result<u64, Error> {
        self.wait(|state| state.len)
    }

    /// Waits until the file reaches to `end`, or as far as it ever will.
    ///
    /// # Errors
    ///
    /// [`Error::Cancelled`] if the rest will not come.
    pub(crate) fn wait_for(&self, end: u64) -> Result<(), Error> {
        self.wants(end);
        self.wait(|state| {
            let is_there = state
                .len
                .is_some_and(|len| state.byte_count >= end.min(len));
            is_there.then_some(())
        })
    }

    fn wait<T>(&self, ready: impl Fn(&State) -> Option<T>) -> Result<T, Error> {
        let mut state = self.state();
        loop {
            if let Some(value) = ready(&state) {
                return Ok(value);
            }
            if state.is_over {
                return Err(Error::Cancelled);
            }
            let woken = self.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lets whoever waits go: nothing more will come.
    pub fn give_up(&self) {
        self.change(|state| state.is_over = true);
    }

    /// Lets the writer go on if it waits for somebody to come so far.
    fn wants(&self, end: u64) {
        let mut state = self.state();
        let did_wait = state.is_too_far_ahead();
        state.wanted = state.wanted.max(end);
        if did_wait && !state.is_too_far_ahead() {
            drop(state);
            self.changed.notify_all();
        }
    }

    fn wait_for_followers(&self) {
        let mut state = self.state();
        while state.is_too_far_ahead() {
            let woken = self.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The writer's side.
    pub(crate) fn writing(&self) -> Writing<'_> {
        Writing { written: self }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Numbers are whole whoever panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }
}

/// Says how far the file is; whoever waits is let go when it is dropped.
pub(crate) struct Writing<'a> {
    written: &'a Written,
}

impl Writing<'_> {
    /// All that stands before the frames is there; the file will have `len` bytes.
    pub(crate) fn has_start(&self, byte_count: u64, len: u64) {
        self.written.change(|state| {
            state.byte_count = byte_count;
            state.len = Some(len);
        });
    }

    /// So many bytes more are there; waits for whoever follows.
    pub(crate) fn has_more(&self, byte_count: u64) {
        self.written.change(|state| {
            state.byte_count = state.byte_count.saturating_add(byte_count);
        });
        self.written.wait_for_followers();
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.written.give_up();
    }
}

/// A file to be read, behind its writer or whole.
pub(crate) struct Readable<'a> {
    pub(crate) file: File,
    /// How long it is, or will be.
    pub(crate) len: u64,
    written: Option<&'a Written>,
}

impl<'a> Readable<'a> {
    /// Opens a file; if it is being written, as soon as all that stands before its frames is there.
    pub(crate) fn open(path: &Path, written: Option<&'a Written>) -> Result<Self, Error> {
        let will_be = written.map(Written::wait_for_start).transpose()?;
        let file = File::open(path)?;
        let len = match will_be {
            Some(len) => len,
            None => file.metadata()?.len(),
        };
        if let Some(written) = written {
            written.change(|state| state.followers = state.followers.saturating_add(1));
        }
        Ok(Self { file, len, written })
    }

    /// Fills `buffer` from `offset`, once the file reaches so far.
    pub(crate) fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), Error> {
        if let Some(written) = self.written {
            let len = u64::try_from(buffer.len()).unwrap_or(u64::MAX);
            written.wait_for(offset.saturating_add(len))?;
        }
        self.file
            .read_exact_at(buffer, offset)
            .map_err(|error| match error.kind() {
                ErrorKind::UnexpectedEof => became_shorter(),
                _ => Error::Io(error),
            })
    }

    /// Waits until the file is whole, and checks that it is as long as was said.
    pub(crate) fn check_whole(&self) -> Result<(), Error> {
        if let Some(written) = self.written {
            written.wait_for(self.len)?;
        }
        match self.file.metadata()?.len() {
            len if len < self.len => Err(became_shorter()),
            len if len > self.len => Err(Error::Verify {
                what: "the file goes on behind its end".into(),
            }),
            _ => Ok(()),
        }
    }

    /// Whether it is read while it is written.
    pub(crate) fn is_behind(&self) -> bool {
        self.written.is_some()
    }
}

impl Drop for Readable<'_> {
    fn drop(&mut self) {
        if let Some(written) = self.written {
            written.change(|state| state.followers = state.followers.saturating_sub(1));
        }
    }
}

fn became_shorter() -> Error {
    Error::Verify {
        what: "the file became shorter while it was checked".into(),
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn reader_waits_for_the_start_and_for_each_byte() {
        let written = Written::default();
        thread::scope(|scope| {
            let writing = written.writing();
            let reader = scope.spawn(|| {
                assert_eq!(written.wait_for_start().unwrap(), 30);
                written.wait_for(20).unwrap();
                written.wait_for(31).unwrap(); // as far as it ever will reach
                written.state().byte_count
            });
            writing.has_start(10, 30);
            writing.has_more(10);
            writing.has_more(10);
            assert_eq!(reader.join().unwrap(), 30);
        });
    }

    #[test]
    fn writer_waits_for_who_follows_and_only_for_them() {
        let written = Written::default();
        let len = 5 * LEAD_BYTES;
        let path = std::env::temp_dir().join(format!("coverslip-lead-{}", std::process::id()));
        File::create(&path).unwrap();
        thread::scope(|scope| {
            let writing = written.writing();
            writing.has_start(10, len);
            writing.has_more(2 * LEAD_BYTES); // nobody follows
            let follower = Readable::open(&path, Some(&written)).unwrap();
            let wrote = scope.spawn(move || {
                writing.has_more(1);
                writing.has_more(LEAD_BYTES);
                writing.has_more(LEAD_BYTES);
                writing.has_more(LEAD_BYTES - 11);
            });
            written.wait_for(LEAD_BYTES).unwrap();
            let is_ahead = |state: &State| (state.byte_count > LEAD_BYTES).then_some(());
            written.wait(is_ahead).unwrap();
            thread::sleep(std::time::Duration::from_millis(20));
            assert_eq!(written.state().byte_count, 2 * LEAD_BYTES + 11);
            // Whatever somebody waits for is written, be it further away than the lead.
            written.wait_for(4 * LEAD_BYTES).unwrap();
            drop(follower);
            wrote.join().unwrap();
        });
        std::fs::remove_file(path).unwrap();
        written.wait_for(len).unwrap();
    }

    #[test]
    fn reader_is_let_go_when_the_writer_gives_up() {
        let written = Written::default();
        thread::scope(|scope| {
            let writing = written.writing();
            let reader = scope.spawn(|| written.wait_for(20));
            writing.has_start(10, 30);
            drop(writing);
            assert!(matches!(reader.join().unwrap(), Err(Error::Cancelled)));
        });
        assert!(matches!(written.wait_for(11), Err(Error::Cancelled)));
        written.wait_for(10).unwrap();
    }

    #[test]
    fn reader_is_let_go_when_nothing_was_written() {
        let written = Written::default();
        drop(written.writing());
        assert!(matches!(written.wait_for_start(), Err(Error::Cancelled)));
    }
}
