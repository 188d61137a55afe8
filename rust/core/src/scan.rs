//! Looks for terms in every byte of a finished file, in every form in which they may survive.
//!
//! A term is a text that must not be there. [`forms`] writes it in each encoding, a sieve looks
//! for all forms at once, and [`check_instance`] walks the frames of an instance, so that it is
//! known which bytes are entropy-coded.
//!
//! How sure a form is of itself is counted in bits: eight for a byte that must be the same, seven
//! for a letter in either case. Entropy-coded data are as good as random, and a slide has
//! thousands of forms and gigabytes of them. So only forms of [`SURE_BITS`] count there: one of
//! them is met by chance once in 2^56 bytes. Everywhere else all forms count.

mod base64;
mod codestream;
mod deflated;
pub mod forms;
mod instance;
mod notes;
mod offsets;
mod original;
mod reader;
mod rule;
mod sieve;
mod store;
mod stream;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

pub use forms::Encoding;
pub(crate) use instance::Walk;
pub use instance::{Header, InstanceReport, check_instance};
pub use original::Tiles;
pub(crate) use original::{Original, Verdict};

use crate::error::Error;
use crate::limits::Limits;
use crate::watch::Watch;
use forms::forms_of;
use rule::Rule;
use sieve::{Sieve, Step};
use store::{Known, reserve};

/// Bits that a form must have to count in entropy-coded data.
pub const SURE_BITS: usize = 56;
/// Bytes looked at in a piece: they stay in the processor's cache.
const PIECE_BYTES: usize = 1 << 18;
/// Bytes on both sides of a form that are looked at to tell whether it stands alone.
const CONTEXT: usize = 160;

/// A text that must not be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// The text.
    pub text: String,
    /// Whether it counts only where no letter or digit stands beside it.
    pub whole_word: bool,
}

/// A term that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    /// Where it begins: in the file, or in the bytes that were given.
    pub offset: u64,
    /// Which term, by its place in the list.
    pub term: u32,
    /// How it is written.
    pub encoding: Encoding,
}

/// Looks for a list of terms.
#[derive(Debug)]
pub struct Scanner {
    forms: Vec<Known>,
    rules: Vec<Rule>,
    /// Forms that count everywhere.
    sure: Sieve,
    /// Forms that count outside of entropy-coded data only.
    unsure: Sieve,
    unsure_terms: usize,
    longest: usize,
    limits: Limits,
}

impl Scanner {
    /// Writes every term in every form.
    ///
    /// Terms of fewer than four bytes are not looked for: they are everywhere.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] for more terms, or longer ones, than there may be, [`Error::NoMemory`] if
    /// their forms find no room.
    pub fn new(terms: &[Term], limits: &Limits) -> Result<Self, Error> {
        limits.check_terms(terms)?;
        let mut scanner = Self {
            forms: Vec::new(),
            rules: terms.iter().map(Rule::of).collect(),
            sure: Sieve::new(Step::Window),
            unsure: Sieve::new(Step::One),
            unsure_terms: 0,
            longest: 0,
            limits: limits.clone(),
        };
        for (number, term) in (0..).zip(terms) {
            let found_anywhere = scanner.add(number, &term.text)?;
            let unsure = usize::from(!found_anywhere);
            scanner.unsure_terms = scanner.unsure_terms.saturating_add(unsure);
        }
        scanner.forms.shrink_to_fit();
        scanner.sure.close(&scanner.forms)?;
        scanner.unsure.close(&scanner.forms)?;
        Ok(scanner)
    }

    /// Takes every form of a term; returns whether its text counts in entropy-coded data.
    fn add(&mut self, number: u32, text: &str) -> Result<bool, Error> {
        let forms = forms_of(number, text);
        reserve(&mut self.forms, forms.len())?;
        let mut found_anywhere = false;
        for form in &forms {
            let is_sure = form.bits() >= SURE_BITS;
            let sieve = if is_sure {
                &mut self.sure
            } else {
                &mut self.unsure
            };
            sieve.add(self.forms.len(), &form.bytes)?;
            self.forms.push(Known::new(form)?);
            self.longest = self.longest.max(form.bytes.len());
            found_anywhere |= is_sure && form.encoding == Encoding::Text;
        }
        Ok(found_anywhere)
    }

    /// How many terms are too short to be looked for as text in entropy-coded data.
    #[must_use]
    pub fn unsure_terms(&self) -> usize {
        self.unsure_terms
    }

    /// Looks at bytes none of which are entropy-coded.
    #[must_use]
    pub fn scan_bytes(&self, data: &[u8]) -> Vec<Hit> {
        let mut hits = Vec::new();
        let piece = Piece::whole(data);
        self.look(&self.sure, &piece, &mut hits);
        self.look(&self.unsure, &piece, &mut hits);
        tidy(hits)
    }

    /// Looks at a file none of whose bytes are entropy-coded; `watch` counts bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] and [`Error::Cancelled`].
    pub fn scan_file(&self, path: &Path, watch: &mut dyn Watch) -> Result<Vec<Hit>, Error> {
        self.scan_pieces(&File::open(path)?, 0, &[&self.sure, &self.unsure], watch)
    }

    /// Looks at a file from `start` on, a piece at a time.
    fn scan_pieces(
        &self,
        file: &File,
        start: u64,
        sieves: &[&Sieve],
        watch: &mut dyn Watch,
    ) -> Result<Vec<Hit>, Error> {
        let ahead = self.longest.saturating_add(CONTEXT);
        let mut buffer = vec![0; PIECE_BYTES.saturating_add(ahead).saturating_add(CONTEXT)];
        let (mut hits, mut offset, mut first_start) = (Vec::new(), start, 0);
        loop {
            let len = fill(file, &mut buffer, offset)?;
            let is_last = len < buffer.len();
            let data = buffer.get(..len).unwrap_or_default();
            let end_start = if is_last {
                len
            } else {
                len.saturating_sub(ahead)
            };
            let piece = Piece {
                data,
                offset,
                first_start,
                end_start,
            };
            for sieve in sieves {
                self.look(sieve, &piece, &mut hits);
            }
            hits.truncate(self.limits.hits);
            if is_last {
                return Ok(tidy(hits));
            }
            // The next piece begins a little before the first place not yet looked at.
            first_start = CONTEXT;
            offset = add(offset, end_start.saturating_sub(CONTEXT));
            if !watch.go_on(offset) {
                return Err(Error::Cancelled);
            }
        }
    }

    /// Notes every form of a sieve that begins in a piece and counts.
    fn look(&self, sieve: &Sieve, piece: &Piece<'_>, hits: &mut Vec<Hit>) {
        sieve.find(piece.data, &self.forms, |start, form| {
            let end = start.saturating_add(form.len());
            let rule = usize::try_from(form.term)
                .ok()
                .and_then(|at| self.rules.get(at));
            if (piece.first_start..piece.end_start).contains(&start)
                && form.fits(piece.data, start, end)
                && rule.is_some_and(|rule| rule.allows(piece.data, start, end, form.encoding))
            {
                hits.push(Hit {
                    offset: add(piece.offset, start),
                    term: form.term,
                    encoding: form.encoding,
                });
            }
        });
    }
}

/// A stretch of a file.
struct Piece<'a> {
    data: &'a [u8],
    /// Where it begins in the file.
    offset: u64,
    /// Where forms may begin: what lies before and behind is only there to be compared.
    first_start: usize,
    end_start: usize,
}

impl<'a> Piece<'a> {
    fn whole(data: &'a [u8]) -> Self {
        Self {
            data,
            offset: 0,
            first_start: 0,
            end_start: data.len(),
        }
    }
}

/// Reads until the buffer is full or the file ends; returns how many bytes there were.
fn fill(file: &File, buffer: &mut [u8], offset: u64) -> Result<usize, Error> {
    let mut len = 0;
    while let Some(rest) = buffer.get_mut(len..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, add(offset, len))? {
            0 => break,
            count => len = len.saturating_add(count),
        }
    }
    Ok(len)
}

fn add(offset: u64, count: usize) -> u64 {
    offset.saturating_add(u64::try_from(count).unwrap_or(u64::MAX))
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Sorts hits and keeps one of each term at each place.
fn tidy(mut hits: Vec<Hit>) -> Vec<Hit> {
    hits.sort_unstable();
    hits.dedup_by_key(|hit| (hit.offset, hit.term));
    hits
}
