//! What a walk through an instance comes upon.

use std::ops::Range;

use super::deflated::deflated;
use super::instance::InstanceReport;
use super::original::{Original, Verdict};
use super::stream::{self, Fault};
use super::{Hit, Piece, Scanner};
use crate::error::Error;
use crate::limits::Limits;

/// What one walk has found so far.
pub(super) struct Notes<'a> {
    scanner: Option<&'a Scanner>,
    limits: &'a Limits,
    deflated: Option<u64>,
    pub(super) report: InstanceReport,
}

impl<'a> Notes<'a> {
    /// `deflated` is how many bytes each frame inflates to, if they are Deflate streams.
    pub(super) fn new(
        scanner: Option<&'a Scanner>,
        limits: &'a Limits,
        deflated: Option<u64>,
    ) -> Self {
        Self {
            scanner,
            limits,
            deflated,
            report: InstanceReport::default(),
        }
    }

    /// Looks at one frame, which was read at `offset`, and compares it with its original.
    pub(super) fn frame(
        &mut self,
        index: usize,
        bytes: &[u8],
        offset: u64,
        original: Option<&dyn Original>,
        tile: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let coded = match self.scanner {
            Some(_) => self.walk(index, bytes, offset),
            None => Vec::new(),
        };
        let report = &mut self.report;
        report.frame_count = report.frame_count.saturating_add(1);
        match original.map(|original| original.compare(index, bytes, &coded, tile)) {
            None => {}
            Some(verdict) => match verdict? {
                Verdict::Equal => report.frames_equal = report.frames_equal.saturating_add(1),
                Verdict::Blank => report.frames_blank = report.frames_blank.saturating_add(1),
                Verdict::NotCompared => {}
                Verdict::Unlike(what) => self.problem(format!("frame {index}: {what}")),
            },
        }
        Ok(())
    }

    /// Walks a frame and returns its entropy-coded ranges.
    ///
    /// If it is proved to hold nothing but what its decoder needs, all of it counts as
    /// entropy-coded: tables are numbers as well.
    fn walk(&mut self, index: usize, bytes: &[u8], offset: u64) -> Vec<Range<usize>> {
        let walked = match self.deflated {
            Some(samples) => deflated(bytes, samples),
            None => stream::walk(bytes),
        };
        match walked {
            Ok(coded) => return coded,
            Err(Fault::Unknown(what)) => self.unchecked(format!("frame {index}: {what}")),
            Err(Fault::Wrong(what)) => {
                self.problem(format!("frame {index}: {what}"));
                self.look(bytes, offset);
            }
        }
        Vec::new()
    }

    /// Looks at bytes, which were read at `offset`, for what counts there only.
    pub(super) fn look(&mut self, bytes: &[u8], offset: u64) {
        let Some(scanner) = self.scanner else {
            return;
        };
        let mut hits = Vec::new();
        scanner.look(&scanner.unsure, &Piece::whole(bytes), &mut hits);
        self.report.hits.extend(hits.into_iter().map(|hit| Hit {
            offset: offset.saturating_add(hit.offset),
            ..hit
        }));
        self.report.hits.truncate(self.limits.hits);
    }

    pub(super) fn problem(&mut self, what: String) {
        if self.report.problems.len() < self.limits.problems {
            self.report.problems.push(what);
        }
    }

    fn unchecked(&mut self, what: String) {
        if self.report.unchecked.len() < self.limits.problems {
            self.report.unchecked.push(what);
        }
    }
}
