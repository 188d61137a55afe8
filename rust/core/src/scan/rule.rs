//! When a form of a term counts: not where chance writes it, inside longer words and numbers.

use super::Term;
use super::forms::{Encoding, Unit};

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

/// When a form of a term counts.
#[derive(Debug, Clone)]
pub(super) struct Rule {
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
    pub(super) fn of(term: &Term) -> Self {
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
    pub(super) fn allows(&self, data: &[u8], start: usize, end: usize, encoding: Encoding) -> bool {
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
