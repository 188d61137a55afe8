//! Writes a term in Base64, whatever stands before and behind it (RFC 4648).

/// The alphabets of MIME and of URLs (RFC 4648 sections 4 and 5).
const ALPHABETS: [&[u8; 64]; 2] = [
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
];

/// Characters of its own that are enough to tell a term, six bits each.
const ENOUGH: usize = 6;

/// A term in Base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Encoded {
    /// The characters that depend on the term alone.
    pub(super) characters: Vec<u8>,
    /// What the characters beside them must be.
    pub(super) shared: Shared,
}

/// The bits that the characters on both sides of a short form must have.
///
/// A short term has four characters of its own at some phases, and random names and digests hold
/// any four letters sooner or later; all bits of the term together they do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Shared {
    before: Bits,
    behind: Bits,
}

/// Some of the six bits of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Bits {
    mask: u8,
    value: u8,
}

impl Shared {
    pub(super) const NONE: Self = Self {
        before: Bits { mask: 0, value: 0 },
        behind: Bits { mask: 0, value: 0 },
    };

    /// Whether the characters before `start` and from `end` on have the bits.
    pub(super) fn fit(self, data: &[u8], start: usize, end: usize) -> bool {
        let before = start.checked_sub(1).and_then(|at| data.get(at));
        self.before.fit(before) && self.behind.fit(data.get(end))
    }
}

impl Bits {
    fn fit(self, character: Option<&u8>) -> bool {
        let sextet = match character.copied() {
            _ if self.mask == 0 => return true,
            Some(capital @ b'A'..=b'Z') => capital.wrapping_sub(b'A'),
            Some(small @ b'a'..=b'z') => small.wrapping_sub(b'a').wrapping_add(26),
            Some(digit @ b'0'..=b'9') => digit.wrapping_sub(b'0').wrapping_add(52),
            Some(b'+' | b'-') => 62,
            Some(b'/' | b'_') => 63,
            _ => return false,
        };
        sextet & self.mask == self.value
    }
}

/// Writes `bytes` behind `phase` bytes of anything, in the alphabet of MIME, and in that of URLs.
pub(super) fn base64(bytes: &[u8], phase: usize) -> [Encoded; 2] {
    let (mut sextets, mut masks) = (Vec::new(), Vec::new());
    let (mut value, mut known, mut bits) = (0_u32, 0_u32, 0_u32);
    let foreign = std::iter::repeat_n((0, 0), phase);
    // Two bytes of zeros behind the term give its last bits a character of their own.
    let behind = std::iter::repeat_n((0, 0), 2);
    let own = bytes.iter().map(|&byte| (byte, 0xFF));
    for (byte, mask) in foreign.chain(own).chain(behind) {
        value = value << 8 | u32::from(byte);
        known = known << 8 | mask;
        bits = bits.saturating_add(8);
        while let Some(rest) = bits.checked_sub(6) {
            sextets.push(sextet(value, rest));
            masks.push(sextet(known, rest));
            bits = rest;
        }
    }
    let first = phase.saturating_mul(8).div_ceil(6);
    let last = phase
        .saturating_add(bytes.len())
        .saturating_mul(8)
        .checked_div(6)
        .unwrap_or(0);
    let beside = |at: Option<usize>| {
        let at = at.unwrap_or(usize::MAX);
        Bits {
            mask: masks.get(at).copied().unwrap_or(0),
            value: sextets.get(at).copied().unwrap_or(0),
        }
    };
    let shared = if last.saturating_sub(first) < ENOUGH {
        Shared {
            before: beside(first.checked_sub(1)),
            behind: beside(Some(last)),
        }
    } else {
        Shared::NONE
    };
    let own = sextets.get(first..last).unwrap_or_default();
    ALPHABETS.map(|alphabet| Encoded {
        characters: own
            .iter()
            .filter_map(|&sextet| alphabet.get(usize::from(sextet)).copied())
            .collect(),
        shared,
    })
}

fn sextet(value: u32, shift: u32) -> u8 {
    u8::try_from(value.wrapping_shr(shift) & 63).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_in(term: &[u8], text: &[u8]) -> bool {
        (0..3).flat_map(|phase| base64(term, phase)).any(|form| {
            let len = form.characters.len();
            text.windows(len).enumerate().any(|(at, window)| {
                let end = at.saturating_add(len);
                window == form.characters && form.shared.fit(text, at, end)
            })
        })
    }

    #[test]
    fn a_term_is_found_whatever_stands_beside_it() {
        // printf 'both', 'both of', 'a both', 'ab both.', 'abcboth' | base64
        for text in [
            "Ym90aA==",
            "Ym90aCBvZg==",
            "YSBib3Ro",
            "YWIgYm90aC4=",
            "YWJjYm90aA==",
        ] {
            assert!(is_in(b"both", text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn its_own_characters_alone_are_not_enough() {
        let [form, _] = base64(b"both", 1);
        assert_eq!(form.characters.len(), 4);
        let inside = |before: &str, behind: &str| {
            let middle = String::from_utf8(form.characters.clone()).expect("Base64");
            is_in(b"both", format!("{before}{middle}{behind}").as_bytes())
        };
        assert!(inside("IG", "g="));
        for (before, behind) in [("", ""), ("IA", "g"), ("IG", "z"), (".", "g")] {
            assert!(!inside(before, behind), "{before} {behind}");
        }
    }

    #[test]
    fn a_term_of_nothing_is_written_as_nothing() {
        for phase in 0..3 {
            assert_eq!(base64(b"", phase)[0].characters, b"");
        }
    }
}
