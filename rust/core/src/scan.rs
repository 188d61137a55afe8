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
mod sieve;
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
use forms::{Form, Unit, forms_of};
use sieve::{Sieve, Step};

/// Bits that a form must have to count in entropy-coded data.
pub const SURE_BITS: usize = 56;
/// Bytes looked at in a piece: they stay in the processor's cache.
const PIECE_BYTES: usize = 1 << 18;
/// Bytes on both sides of a form that are looked at to tell whether it stands alone.
const CONTEXT: usize = 160;
/// Digits in the longest number that a person writes, date and time with fraction and zone.
///
/// A UID made of a random number has up to 39 and holds every short number sooner or later.
const NUMBER_DIGITS: usize = 20;
/// Digits and points in the longest run that a person writes, date and time with fraction.
///
/// `2.25.` stands before every random UID, and is the 25th of February where a year follows.
const POINTED_CHARACTERS: usize = 30;
/// Hexadecimal digits in the longest run that a person writes; a digest has 64.
const HEX_DIGITS: usize = 31;
/// Hexadecimal digits in a digest of a certificate.
const DIGEST_DIGITS: usize = 64;
/// Digits of a term that chance does not write into a UID or a digest.
const SURE_DIGITS: usize = 14;
/// Bytes of a term that must stand alone, since longer words and codes hold it by chance.
const SHORT_BYTES: usize = 6;
/// Characters of a date with points and two digits for the year, at most.
const SHORT_DATE: usize = 8;

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

/// When a form of a term counts.
#[derive(Debug, Clone)]
struct Rule {
    whole_word: bool,
    /// What holds the term by chance if it is longer than people write.
    runs: Vec<LongRun>,
}

/// Characters of one kind in a row.
#[derive(Debug, Clone, Copy)]
struct LongRun {
    /// Characters in the longest that a person writes.
    most: usize,
    belongs: fn(&u8) -> bool,
}

/// A number does not count inside one of these.
const NUMBER: LongRun = LongRun {
    most: NUMBER_DIGITS,
    belongs: u8::is_ascii_digit,
};
/// Numbers with points between them do not count inside a UID.
const POINTED: LongRun = LongRun {
    most: POINTED_CHARACTERS,
    belongs: |byte| byte.is_ascii_digit() || *byte == b'.',
};
/// Few numbers do not count inside a UID of the standard either: `1.1.77` is in the one of WSM.
const POINTED_SHORT: LongRun = LongRun {
    most: 20,
    belongs: POINTED.belongs,
};
/// Hexadecimal digits do not count inside a digest.
const DIGEST: LongRun = LongRun {
    most: HEX_DIGITS,
    belongs: u8::is_ascii_hexdigit,
};

impl Rule {
    fn of(term: &Term) -> Self {
        let text = &term.text;
        let is_all = |run: &LongRun| text.bytes().all(|byte| (run.belongs)(&byte));
        let short = SHORT_BYTES.saturating_add(usize::from(is_all(&NUMBER)));
        let mut runs = if text.contains('.') {
            vec![if text.len() > SHORT_DATE {
                POINTED
            } else {
                POINTED_SHORT
            }]
        } else {
            vec![NUMBER, DIGEST]
        };
        runs.retain(|run| text.len() < SURE_DIGITS && is_all(run));
        Self {
            // Of other scripts than Latin, three characters are nine bytes and sure of themselves.
            whole_word: term.whole_word || text.len() < short,
            runs,
        }
    }

    /// Whether a form that begins and ends at the given places counts.
    fn allows(&self, data: &[u8], start: usize, end: usize, encoding: Encoding) -> bool {
        let run = |unit| Run {
            data,
            start,
            end,
            unit,
        };
        let Some(unit) = encoding.unit() else {
            return !is_chance(&run(Unit::BYTE), encoding);
        };
        // Four letters or digits of ASCII are two Chinese characters in UTF-16, and the other way.
        let form = data.get(start..end).unwrap_or_default();
        let is_ascii = unit.bytes > 1 && form.iter().all(u8::is_ascii_alphanumeric);
        if is_ascii && run(Unit::BYTE).count(1, u8::is_ascii_alphanumeric) > form.len() {
            return false;
        }
        if self.whole_word
            && [unit.before(data, start), unit.after(data, end)]
                .iter()
                .flatten()
                .any(u8::is_ascii_alphanumeric)
        {
            return false;
        }
        self.runs.iter().all(|long| run(unit).is_short(*long))
    }
}

/// Where a form stands, to look at what it is a part of.
struct Run<'a> {
    data: &'a [u8],
    start: usize,
    end: usize,
    unit: Unit,
}

impl Run<'_> {
    /// Whether it and the characters beside it that belong to it are no more than people write.
    fn is_short(&self, LongRun { most, belongs }: LongRun) -> bool {
        self.count(most, belongs) <= most
    }

    /// How many characters it has with those beside it that belong to it, no more than `most` on
    /// either side.
    fn count(&self, most: usize, belongs: fn(&u8) -> bool) -> usize {
        let own = self.end.saturating_sub(self.start);
        let step = |n: usize| n.saturating_mul(self.unit.bytes);
        let before = (0..most)
            .map_while(|n| {
                self.unit
                    .before(self.data, self.start.saturating_sub(step(n)))
            })
            .take_while(belongs);
        let after = (0..most)
            .map_while(|n| self.unit.after(self.data, self.end.saturating_add(step(n))))
            .take_while(belongs);
        let around = before.count().saturating_add(after.count());
        let own = own.checked_div(self.unit.bytes).unwrap_or(0);
        own.saturating_add(around)
    }
}

/// Whether an encoded form is one that digits of a UID or of a digest spell by chance.
fn is_chance(run: &Run<'_>, encoding: Encoding) -> bool {
    let form = run.data.get(run.start..run.end).unwrap_or_default();
    if form.len() >= SURE_DIGITS {
        return false;
    }
    // Few letters in hexadecimal may be digits alone, as a UID is.
    let is_number = encoding == Encoding::Hex && form.iter().all(u8::is_ascii_digit);
    let is_hex = form.iter().all(u8::is_ascii_hexdigit);
    is_number && !run.is_short(NUMBER)
        || is_hex && run.count(DIGEST_DIGITS, u8::is_ascii_hexdigit) == DIGEST_DIGITS
}

/// Looks for a list of terms.
#[derive(Debug)]
pub struct Scanner {
    forms: Vec<Form>,
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
    /// [`Error::Limit`] for more terms, or longer ones, than there may be.
    pub fn new(terms: &[Term], limits: &Limits) -> Result<Self, Error> {
        limits.check_terms(terms)?;
        let mut forms = Vec::new();
        for (number, term) in (0..).zip(terms) {
            forms.extend(forms_of(number, &term.text));
        }
        let is_sure = |form: &Form| form.bits() >= SURE_BITS;
        let sure_in_text = |form: &&Form| is_sure(form) && form.encoding == Encoding::Text;
        let mut found_anywhere: Vec<_> =
            forms.iter().filter(sure_in_text).map(|f| f.term).collect();
        found_anywhere.dedup();
        Ok(Self {
            rules: terms.iter().map(Rule::of).collect(),
            sure: Sieve::new(&forms, is_sure, Step::Window),
            unsure: Sieve::new(&forms, |form| !is_sure(form), Step::One),
            unsure_terms: terms.len().saturating_sub(found_anywhere.len()),
            longest: forms.iter().map(|form| form.bytes.len()).max().unwrap_or(0),
            forms,
            limits: limits.clone(),
        })
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
            let end = start.saturating_add(form.bytes.len());
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
