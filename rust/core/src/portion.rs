//! Frames of a plan that go into one file: all of them, or some where a file must not be large.

use std::ops::Range;

use crate::encapsulate::{BASIC_OFFSET_TABLE_REACH, ITEM_HEADER_LEN};
use crate::error::Error;
use crate::frame::{FramePlan, Summary};

/// What surrounds fragments and tables: three elements of group 7FE0, an item, the delimiter.
const AROUND_BYTES: u64 = 12 + 12 + 12 + 8 + 8;
/// Bytes of each frame in a Basic Offset Table, and in an Extended one with its lengths.
const TABLE_ENTRY: (u64, u64) = (4, 16);

/// Frames of a plan, one after the other.
#[derive(Debug, Clone, Copy)]
pub struct Portion<'a> {
    plan: &'a FramePlan,
    first: usize,
    count: usize,
}

impl<'a> From<&'a FramePlan> for Portion<'a> {
    fn from(plan: &'a FramePlan) -> Self {
        Self {
            plan,
            first: 0,
            count: plan.frame_count(),
        }
    }
}

impl<'a> Portion<'a> {
    /// Takes some frames, `None` if the plan does not have all of them.
    #[must_use]
    pub fn of(plan: &'a FramePlan, frames: Range<usize>) -> Option<Self> {
        let count = frames.end.checked_sub(frames.start)?;
        (frames.end <= plan.frame_count()).then_some(Self {
            plan,
            first: frames.start,
            count,
        })
    }

    /// The whole plan.
    #[must_use]
    pub fn plan(self) -> &'a FramePlan {
        self.plan
    }

    /// Number of frames.
    #[must_use]
    pub fn frame_count(self) -> usize {
        self.count
    }

    /// Which frames of the plan these are.
    #[must_use]
    pub fn frames(self) -> Range<usize> {
        self.first..self.first.saturating_add(self.count)
    }

    /// Length of each frame as it is stored, in order.
    pub fn lengths(self) -> impl Iterator<Item = u64> + 'a {
        self.plan.lengths().skip(self.first).take(self.count)
    }

    /// Counts over these frames.
    #[must_use]
    pub fn summary(self) -> Summary {
        if self.count == self.plan.frame_count() {
            return self.plan.summary();
        }
        let frame_bytes = self.lengths().fold(0, u64::saturating_add);
        Summary {
            frame_bytes,
            ..self.plan.counts(self.frames())
        }
    }

    /// Length of all fragments, item headers included.
    #[must_use]
    pub fn fragment_bytes(self) -> u64 {
        let headers = u64::try_from(self.count).unwrap_or(u64::MAX);
        self.summary()
            .frame_bytes
            .saturating_add(headers.saturating_mul(ITEM_HEADER_LEN))
    }
}

/// What a file must not be larger than, and what is in it besides frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes of a whole file.
    pub most: u64,
    /// Bytes in front of group 7FE0.
    pub header: u64,
    /// Bytes there for each frame besides.
    pub beside: u64,
}

/// Divides the frames of a plan among files: returns how many go into each, as many as fit.
///
/// # Errors
///
/// [`Error::Limit`] with the name `max_instance_size` for a frame that no file has the room for.
pub fn portions(plan: &FramePlan, room: Room) -> Result<Vec<usize>, Error> {
    let is_near = room.most < BASIC_OFFSET_TABLE_REACH;
    let entry = if is_near {
        TABLE_ENTRY.0
    } else {
        TABLE_ENTRY.1
    };
    let around = room.header.saturating_add(AROUND_BYTES);
    let each = room
        .beside
        .saturating_add(entry)
        .saturating_add(ITEM_HEADER_LEN);
    let mut counts = Vec::new();
    let (mut count, mut bytes) = (0_usize, around);
    for (frame, len) in plan.lengths().enumerate() {
        let more = each.saturating_add(len);
        if bytes.saturating_add(more) > room.most {
            let alone = around.saturating_add(more);
            if alone > room.most {
                return Err(Error::Limit {
                    what: format!("a file of {alone} bytes, which frame {frame} alone takes,"),
                    name: "max_instance_size",
                    limit: room.most,
                });
            }
            counts.push(count);
            (count, bytes) = (0, around);
        }
        count = count.saturating_add(1);
        bytes = bytes.saturating_add(more);
    }
    counts.push(count);
    Ok(counts)
}
