//! Works at groups of frames, or of a picture, on all cores.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::error::Error;
use crate::threads::start_on_all_cores;
use crate::watch::Watch;

/// Calls `work` for each group and returns the results in their order.
///
/// `work` adds to the counter that `watch` sees. After an error no further group is begun; of
/// several errors that of the first group is returned.
pub(crate) fn for_each_group<T: Send>(
    groups: u32,
    watch: &mut dyn Watch,
    work: impl Fn(u32, &AtomicU64) -> Result<T, Error> + Sync,
) -> Result<Vec<T>, Error> {
    let count = usize::try_from(groups).unwrap_or(usize::MAX);
    let (next, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let (sender, results) = mpsc::channel();
    let mut finished: Vec<Option<T>> = (0..count).map(|_| None).collect();
    let mut worst: Option<(usize, Error)> = None;
    let stop = || next.store(u64::from(groups), Ordering::Relaxed);
    thread::scope(|scope| -> Result<(), Error> {
        start_on_all_cores(scope, count, || {
            let (sender, next, done, work) = (sender.clone(), &next, &done, &work);
            move || {
                let take = || u32::try_from(next.fetch_add(1, Ordering::Relaxed)).ok();
                while let Some(group) = take().filter(|&group| group < groups) {
                    if sender.send((group, work(group, done))).is_err() {
                        return;
                    }
                }
            }
        })?;
        drop(sender);
        loop {
            match results.recv_timeout(Duration::from_millis(50)) {
                Ok((group, result)) => {
                    let index = usize::try_from(group).unwrap_or(usize::MAX);
                    match result {
                        Ok(value) => {
                            if let Some(slot) = finished.get_mut(index) {
                                *slot = Some(value);
                            }
                        }
                        Err(error) => {
                            stop();
                            if worst.as_ref().is_none_or(|(other, _)| index < *other) {
                                worst = Some((index, error));
                            }
                        }
                    }
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
            if !watch.go_on(done.load(Ordering::Relaxed)) {
                stop();
                worst = Some((0, Error::Cancelled));
            }
        }
        Ok(())
    })?;
    match worst {
        Some((_, error)) => Err(error),
        None => Ok(finished.into_iter().flatten().collect()),
    }
}
