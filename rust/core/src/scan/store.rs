//! Keeps of a form what is needed to know it again.
//!
//! Some fifty forms are made of a term, most of them several times as long as it. A slide may have
//! thousands of terms, so their bytes are not kept: a form is known by its length and a digest of
//! 64 bits. What has the digest of a form is taken for it. Chance writes it no sooner than it
//! writes a form of [`super::SURE_BITS`], and nothing that is a form is ever overlooked.

use std::collections::TryReserveError;

use super::base64::Shared;
use super::forms::{Encoding, Form};
use crate::error::Error;

/// An odd number: a product with one can be undone, so no two words of eight bytes become one.
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

/// What is kept of a form.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    digest: u64,
    /// Which term, by its place in the list.
    pub(super) term: u32,
    len: u32,
    shared: Shared,
    /// How the term is written.
    pub(super) encoding: Encoding,
    exact: bool,
}

impl Known {
    /// # Errors
    ///
    /// [`Error::NoMemory`] for a form longer than can be counted.
    pub(super) fn new(form: &Form) -> Result<Self, Error> {
        let len = u32::try_from(form.bytes.len()).map_err(|_| no_memory(form.bytes.len()))?;
        Ok(Self {
            digest: digest(&form.bytes, form.exact),
            term: form.term,
            len,
            shared: form.shared,
            encoding: form.encoding,
            exact: form.exact,
        })
    }

    /// How many bytes it has.
    pub(super) fn len(&self) -> usize {
        usize::try_from(self.len).unwrap_or(usize::MAX)
    }

    /// Its length, and whether letters must have the case that they have in it.
    pub(super) fn size(&self) -> (u32, bool) {
        (self.len, self.exact)
    }

    pub(super) fn digest(&self) -> u64 {
        self.digest
    }

    /// The digest of as many bytes as it has, `None` if there are not so many; if it is the form's
    /// own, these are the form.
    pub(super) fn digest_of(&self, bytes: &[u8]) -> Option<u64> {
        bytes
            .get(..self.len())
            .map(|bytes| digest(bytes, self.exact))
    }

    /// Whether what stands beside the form can stand beside the term in that encoding.
    pub(super) fn fits(&self, data: &[u8], start: usize, end: usize) -> bool {
        self.shared.fit(data, start, end)
    }
}

/// A digest of bytes, of whatever case if that does not count.
fn digest(bytes: &[u8], exact: bool) -> u64 {
    let mix = |digest: u64, word: &[u8; 8]| {
        let word = if exact {
            *word
        } else {
            word.map(|byte| byte.to_ascii_lowercase())
        };
        let product = (digest ^ u64::from_le_bytes(word)).wrapping_mul(MULTIPLIER);
        product ^ product >> 32
    };
    let (words, rest) = bytes.as_chunks();
    let digest = words.iter().fold(0, mix);
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    mix(digest, &last)
}

/// Makes room for more, a quarter of what there is at least: doubling would take twice the memory.
///
/// # Errors
///
/// [`Error::NoMemory`] where the process may have no more.
pub(super) fn reserve<T>(all: &mut Vec<T>, more: usize) -> Result<(), Error> {
    if all.capacity().saturating_sub(all.len()) >= more {
        return Ok(());
    }
    let room = more.max(all.len() / 4);
    let bytes = all.len().saturating_add(room);
    let bytes = bytes.saturating_mul(size_of::<T>());
    all.try_reserve_exact(room)
        .map_err(|_: TryReserveError| no_memory(bytes))
}

pub(super) fn no_memory(bytes: usize) -> Error {
    Error::NoMemory {
        bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::forms::forms_of;

    #[test]
    fn a_form_is_known_from_all_others() {
        let forms: Vec<Form> = (0..200)
            .flat_map(|term| forms_of(term, &format!("Quillfeather-{term}")))
            .collect();
        for form in forms.iter().step_by(97) {
            let known = Known::new(form).expect("a short form");
            let is = |bytes: &[u8]| known.digest_of(bytes) == Some(known.digest());
            assert!(is(&form.bytes) && known.len() == form.bytes.len());
            assert_eq!(is(&form.bytes.to_ascii_uppercase()), !form.exact);
            for other in &forms {
                let same_len = other.bytes.len() == known.len();
                assert_eq!(same_len && is(&other.bytes), form.is(&other.bytes));
            }
        }
    }

    #[test]
    fn room_that_cannot_be_had_is_refused() {
        let mut words = vec![0_u64];
        let refused = reserve(&mut words, usize::MAX / 16);
        assert!(matches!(refused, Err(Error::NoMemory { .. })));
        assert_eq!(words, [0]);
    }
}
