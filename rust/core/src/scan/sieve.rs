//! Looks for thousands of forms at once.
//!
//! Every form is cut into windows of four bytes, and a bitmap says which windows occur in any. Data
//! are looked at through a window that moves by a [`Step`]; the few that the bitmap lets through are
//! compared with the forms that hold them. Each form must be long enough to hold a window that
//! begins at a multiple of the step, wherever the form lies.
//!
//! An automaton that takes every byte (Aho-Corasick) is ten times slower on that many forms, and
//! takes longer to build than a small slide takes to convert: `benches/scan.rs` has both, and the
//! tests compare what they find.

use super::store::{Known, no_memory, reserve};
use crate::error::Error;

/// Bytes of a window.
pub(super) const WINDOW: usize = 4;
/// Bits of the bitmap for each window in it, of which two are set.
///
/// So one in 32 windows of noise passes the first look, and one in a thousand the second.
const SPARSE: usize = 64;
/// Bits of the largest bitmap, 16 MiB: of millions of windows, more than one in a thousand pass.
const MOST_BITS: usize = 1 << 27;
/// Odd numbers: the upper bits of a product with one depend on all bits of the window.
const MULTIPLIERS: [u32; 2] = [0x9E37_79B9, 0x85EB_CA6B];

/// Sets the bit that tells small letters from capitals, in whatever byte.
const FOLD: u32 = 0x2020_2020;

/// How far the window moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// By one byte.
    One,
    /// By its own width: four times as fast, for forms of at least seven bytes.
    Window,
}

impl Step {
    fn bytes(self) -> usize {
        match self {
            Self::One => 1,
            Self::Window => WINDOW,
        }
    }
}

/// A window, the index of its form, and where in the form it lies, in one number: a slide has some
/// hundred thousand, which are sorted before anything is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry(u64);

impl Entry {
    /// Bits for where in a form a window lies: it begins at one of four places.
    const AT_BITS: u32 = 2;

    /// `None` for a place or an index beyond what a list of terms can have.
    fn new(window: u32, form: usize, at: usize) -> Option<Self> {
        let (form, at) = (u32::try_from(form).ok()?, u32::try_from(at).ok()?);
        let is_small = form < 1 << (32 - Self::AT_BITS) && at < 1 << Self::AT_BITS;
        let low = form.wrapping_shl(Self::AT_BITS) | at;
        is_small.then_some(Self(u64::from(window) << 32 | u64::from(low)))
    }

    fn window(self) -> u32 {
        u32::try_from(self.0 >> 32).unwrap_or(u32::MAX)
    }

    fn form(self) -> usize {
        let low = self.0 & u64::from(u32::MAX);
        usize::try_from(low >> Self::AT_BITS).unwrap_or(usize::MAX)
    }

    fn at(self) -> usize {
        usize::try_from(self.0 & ((1 << Self::AT_BITS) - 1)).unwrap_or(0)
    }

    /// Its form among all of them.
    fn of(self, forms: &[Known]) -> Option<&Known> {
        forms.get(self.form())
    }
}

/// The windows of a set of forms.
#[derive(Debug)]
pub(super) struct Sieve {
    step: Step,
    bitmap: Vec<u64>,
    /// How far a hash is shifted to be a place in the bitmap.
    shift: u32,
    /// Sorted by window; those of one by where in the form it lies, and by size and digest of that.
    entries: Vec<Entry>,
}

impl Sieve {
    /// A sieve without forms.
    pub(super) fn new(step: Step) -> Self {
        Self {
            step,
            bitmap: Vec::new(),
            shift: 0,
            entries: Vec::new(),
        }
    }

    /// Takes a form, by its place in the list; it is at least `step` and three bytes long.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`].
    pub(super) fn add(&mut self, form: usize, bytes: &[u8]) -> Result<(), Error> {
        reserve(&mut self.entries, self.step.bytes())?;
        for (at, bytes) in bytes.windows(WINDOW).take(self.step.bytes()).enumerate() {
            if let Some(bytes) = bytes.first_chunk() {
                let entry = Entry::new(folded(*bytes), form, at);
                self.entries.push(entry.ok_or_else(|| no_memory(form))?);
            }
        }
        Ok(())
    }

    /// Makes it ready to be looked through, when all forms are there.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`].
    pub(super) fn close(&mut self, forms: &[Known]) -> Result<(), Error> {
        self.entries.shrink_to_fit();
        self.entries.sort_unstable();
        let mut windows = 0_usize;
        let alike = |one: &Entry, other: &Entry| one.window() == other.window();
        for entries in self.entries.chunk_by_mut(alike) {
            windows = windows.saturating_add(1);
            entries.sort_unstable_by_key(|entry| {
                let known = entry.of(forms);
                (
                    entry.at(),
                    known.map(|known| (known.size(), known.digest())),
                )
            });
        }
        let size = windows.saturating_mul(SPARSE).next_power_of_two();
        let size = size.clamp(1 << 12, MOST_BITS);
        reserve(&mut self.bitmap, size / 64)?;
        self.bitmap.resize(size / 64, 0);
        self.shift = 32_u32.saturating_sub(size.ilog2());
        for at in 0..self.entries.len() {
            let window = self.entries.get(at).map_or(0, |entry| entry.window());
            for multiplier in MULTIPLIERS {
                let (word, bit) = self.place(window, multiplier);
                if let Some(word) = self.bitmap.get_mut(word) {
                    *word |= bit;
                }
            }
        }
        Ok(())
    }

    /// Calls `found` with where each form begins, in no particular order.
    pub(super) fn find<'f>(
        &self,
        data: &[u8],
        forms: &'f [Known],
        mut found: impl FnMut(usize, &'f Known),
    ) {
        if self.entries.is_empty() {
            return;
        }
        let mut look = |at: usize, bytes: [u8; WINDOW]| {
            let window = folded(bytes);
            if self.may_hold(window) {
                self.compare(data, at, window, forms, &mut found);
            }
        };
        if self.step == Step::Window {
            for (number, bytes) in data.as_chunks().0.iter().enumerate() {
                look(number.saturating_mul(WINDOW), *bytes);
            }
        } else {
            for (at, bytes) in data.windows(WINDOW).enumerate() {
                if let Some(bytes) = bytes.first_chunk() {
                    look(at, *bytes);
                }
            }
        }
    }

    #[cold]
    fn compare<'f>(
        &self,
        data: &[u8],
        at: usize,
        window: u32,
        forms: &'f [Known],
        found: &mut impl FnMut(usize, &'f Known),
    ) {
        let first = self
            .entries
            .partition_point(|entry| entry.window() < window);
        let rest = self.entries.get(first..).unwrap_or_default();
        let count = rest.partition_point(|entry| entry.window() == window);
        let mut rest = rest.get(..count).unwrap_or_default();
        // Thousands of terms may begin alike: all of one size are looked up by one digest.
        while let Some((entry, known)) = rest.first().and_then(|one| Some((one, one.of(forms)?))) {
            let kin = (entry.at(), known.size());
            let is_kin = |one: &Entry| one.of(forms).is_some_and(|of| (one.at(), of.size()) == kin);
            let (kindred, others) = rest.split_at(rest.partition_point(is_kin).max(1));
            rest = others;
            let Some(start) = at.checked_sub(entry.at()) else {
                continue;
            };
            let Some(digest) = known.digest_of(data.get(start..).unwrap_or_default()) else {
                continue;
            };
            let begins =
                kindred.partition_point(|one| one.of(forms).is_some_and(|of| of.digest() < digest));
            let same = kindred.iter().skip(begins).map_while(|one| one.of(forms));
            for form in same.take_while(|form| form.digest() == digest) {
                found(start, form);
            }
        }
    }

    #[inline]
    fn may_hold(&self, window: u32) -> bool {
        MULTIPLIERS.iter().all(|&multiplier| {
            let (word, bit) = self.place(window, multiplier);
            self.bitmap.get(word).is_some_and(|word| word & bit != 0)
        })
    }

    /// Word and bit of a window in the bitmap, by one of its hashes.
    #[inline]
    fn place(&self, window: u32, multiplier: u32) -> (usize, u64) {
        let hash = window.wrapping_mul(multiplier).wrapping_shr(self.shift);
        let word = usize::try_from(hash / 64).unwrap_or(0);
        (word, 1_u64.wrapping_shl(hash % 64))
    }
}

#[inline]
fn folded(bytes: [u8; WINDOW]) -> u32 {
    u32::from_le_bytes(bytes) | FOLD
}
