//! Writes a term in every encoding in which it may survive.

use super::base64::{Encoded, Shared, base64};
use super::sieve::WINDOW;

/// Bytes that most escaped forms take.
const WRITTEN: usize = 96;

/// How a term is written where it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encoding {
    /// As it is, in ASCII or UTF-8.
    Text,
    /// A byte for each character.
    Latin1,
    /// Two bytes for each character, the low one first.
    Utf16Le,
    /// Two bytes for each character, the high one first.
    Utf16Be,
    /// Four bytes for each character, the low one first.
    Utf32Le,
    /// Four bytes for each character, the high one first.
    Utf32Be,
    /// Base64 of the text, whatever stands before it.
    Base64,
    /// Base64 of UTF-16.
    Base64Utf16,
    /// Two hexadecimal digits for each byte.
    Hex,
    /// Hexadecimal digits of UTF-16.
    HexUtf16,
    /// `%4A`, for each byte or where a URL needs it.
    Percent,
    /// `&#74;` and `&#x4A;`, for each character or where XML needs it.
    Entities,
    /// `\u004A`, for each character or where JSON writes it.
    Escapes,
    /// Decimal codes between dots, as in a UID.
    Codes,
}

impl Encoding {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Text,
        Self::Latin1,
        Self::Utf16Le,
        Self::Utf16Be,
        Self::Utf32Le,
        Self::Utf32Be,
        Self::Base64,
        Self::Base64Utf16,
        Self::Hex,
        Self::HexUtf16,
        Self::Percent,
        Self::Entities,
        Self::Escapes,
        Self::Codes,
    ];

    /// The name for reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Latin1 => "Latin-1",
            Self::Utf16Le => "UTF-16LE",
            Self::Utf16Be => "UTF-16BE",
            Self::Utf32Le => "UTF-32LE",
            Self::Utf32Be => "UTF-32BE",
            Self::Base64 => "Base64",
            Self::Base64Utf16 => "Base64 of UTF-16",
            Self::Hex => "hexadecimal",
            Self::HexUtf16 => "hexadecimal of UTF-16",
            Self::Percent => "percent encoding",
            Self::Entities => "XML entities",
            Self::Escapes => "JSON escapes",
            Self::Codes => "decimal codes",
        }
    }

    /// How to read the characters beside a form; `None` where they are not told apart.
    pub(super) fn unit(self) -> Option<Unit> {
        let (bytes, low) = match self {
            Self::Text | Self::Latin1 => (1, 0),
            Self::Utf16Le => (2, 0),
            Self::Utf16Be => (2, 1),
            Self::Utf32Le => (4, 0),
            Self::Utf32Be => (4, 3),
            _ => return None,
        };
        Some(Unit { bytes, low })
    }
}

/// A character of fixed width.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unit {
    pub(super) bytes: usize,
    /// Which of its bytes is the low one.
    low: usize,
}

impl Unit {
    pub(super) const BYTE: Self = Self { bytes: 1, low: 0 };

    /// The character before a place, if it is ASCII.
    pub(super) fn before(self, data: &[u8], at: usize) -> Option<u8> {
        self.after(data, at.checked_sub(self.bytes)?)
    }

    /// The character at a place, if it is ASCII.
    pub(super) fn after(self, data: &[u8], at: usize) -> Option<u8> {
        let character = data.get(at..at.checked_add(self.bytes)?)?;
        let mut high = character.iter().enumerate().filter(|(n, _)| *n != self.low);
        high.all(|(_, &byte)| byte == 0)
            .then(|| character.get(self.low).copied())?
    }
}

/// A term as it may be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// Which term, by its place in the list.
    pub term: u32,
    /// How it is written.
    pub encoding: Encoding,
    /// The bytes to look for.
    pub bytes: Vec<u8>,
    /// Whether letters must have the case that they have here.
    pub exact: bool,
    /// The characters beside it that hold some of the term's bits too.
    pub(super) shared: Shared,
}

impl Form {
    /// How unlikely chance writes it, as the negative logarithm to base 2.
    #[must_use]
    pub fn bits(&self) -> usize {
        let letters = self.bytes.iter().filter(|byte| byte.is_ascii_alphabetic());
        let free = if self.exact { 0 } else { letters.count() };
        self.bytes.len().saturating_mul(8).saturating_sub(free)
    }

    /// Whether these bytes are the form.
    #[must_use]
    pub fn is(&self, bytes: &[u8]) -> bool {
        if self.exact {
            bytes == self.bytes
        } else {
            bytes.eq_ignore_ascii_case(&self.bytes)
        }
    }
}

/// Collects the forms of one term, each once.
struct Forms {
    term: u32,
    all: Vec<Form>,
}

impl Forms {
    fn add(&mut self, encoding: Encoding, bytes: Vec<u8>, exact: bool) {
        self.push(Form {
            term: self.term,
            encoding,
            bytes,
            exact,
            shared: Shared::NONE,
        });
    }

    fn add_base64(&mut self, encoding: Encoding, encoded: Encoded) {
        self.push(Form {
            term: self.term,
            encoding,
            bytes: encoded.characters,
            exact: true,
            shared: encoded.shared,
        });
    }

    fn push(&mut self, form: Form) {
        if form.bytes.len() >= WINDOW {
            self.all.push(form);
        }
    }

    /// Leaves each form once, under the name that it got first.
    fn tidy(mut self) -> Vec<Form> {
        self.all
            .sort_by(|one, other| (&one.bytes, one.exact).cmp(&(&other.bytes, other.exact)));
        self.all.dedup_by(|next, first| {
            (next.exact, next.shared, &next.bytes) == (first.exact, first.shared, &first.bytes)
        });
        self.all
    }

    /// Adds what differs from the text itself, which is looked for anyway.
    fn add_escaped(&mut self, encoding: Encoding, text: &str, escaped: Vec<u8>) {
        if escaped != text.as_bytes() {
            self.add(encoding, escaped, false);
        }
    }

    /// Encodings in which a letter of either case is the same byte but for one bit.
    fn add_foldable(&mut self, text: &str) {
        let utf16 = |bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect();
        let utf32 =
            |bytes: fn(u32) -> [u8; 4]| text.chars().flat_map(|c| bytes(u32::from(c))).collect();
        self.add(Encoding::Text, text.into(), false);
        let latin: Result<Vec<u8>, _> = text.chars().map(u8::try_from).collect();
        if let Ok(latin) = latin {
            self.add(Encoding::Latin1, latin, false);
        }
        self.add(Encoding::Utf16Le, utf16(u16::to_le_bytes), false);
        self.add(Encoding::Utf16Be, utf16(u16::to_be_bytes), false);
        self.add(Encoding::Utf32Le, utf32(u32::to_le_bytes), false);
        self.add(Encoding::Utf32Be, utf32(u32::to_be_bytes), false);
    }

    /// Encodings in which the case of a letter changes the bytes.
    fn add_unfoldable(&mut self, text: &str) {
        let plain = text.as_bytes();
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        if plain.len() == super::SURE_BITS / 8 {
            // Sure enough for entropy-coded data only if the case is the same.
            self.add(Encoding::Text, plain.into(), true);
        }
        for phase in 0..3 {
            for encoded in base64(plain, phase) {
                self.add_base64(Encoding::Base64, encoded);
            }
            for encoded in base64(&wide, phase) {
                self.add_base64(Encoding::Base64Utf16, encoded);
            }
        }
        self.add(
            Encoding::Hex,
            written(plain.iter().copied(), push_hex),
            false,
        );
        self.add(
            Encoding::HexUtf16,
            written(wide.iter().copied(), push_hex),
            false,
        );

        // As certificates, dumps and network tools write it.
        for separator in [b' ', b':'] {
            let pairs = |out: &mut String, byte: u8| {
                push_hex(out, byte);
                out.push(char::from(separator));
            };
            let mut bytes = written(plain.iter().copied(), pairs);
            bytes.pop();
            self.add(Encoding::Hex, bytes, false);
        }

        let percent = |out: &mut String, byte: u8| {
            out.push('%');
            push_hex(out, byte);
        };
        let decimal = |out: &mut String, c: char| {
            out.extend(["&#", &u32::from(c).to_string(), ";"]);
        };
        let hexadecimal = |out: &mut String, c: char| {
            out.extend(["&#x", &format!("{:x}", u32::from(c)), ";"]);
        };
        let escape = |out: &mut String, c: char| {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str("\\u");
                unit.to_be_bytes()
                    .into_iter()
                    .for_each(|byte| push_hex(out, byte));
            }
        };
        self.add(
            Encoding::Percent,
            written(plain.iter().copied(), percent),
            false,
        );
        self.add(Encoding::Entities, written(text.chars(), decimal), false);
        self.add(
            Encoding::Entities,
            written(text.chars(), hexadecimal),
            false,
        );
        self.add(Encoding::Escapes, written(text.chars(), escape), false);
        let codes: Vec<_> = plain.iter().map(u8::to_string).collect();
        self.add(Encoding::Codes, codes.join(".").into_bytes(), false);

        // As programs write them: only the characters that would mean something else.
        let in_url = |out: &mut String, byte: u8| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                out.push(char::from(byte));
            } else {
                percent(out, byte);
            }
        };
        self.add_escaped(
            Encoding::Percent,
            text,
            written(plain.iter().copied(), in_url),
        );
        for is_decimal in [true, false] {
            let in_xml = |out: &mut String, c: char| match c {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '"' => out.push_str("&quot;"),
                '\'' => out.push_str("&apos;"),
                c if c.is_ascii() => out.push(c),
                c if is_decimal => decimal(out, c),
                c => hexadecimal(out, c),
            };
            self.add_escaped(Encoding::Entities, text, written(text.chars(), in_xml));
        }
        let in_json = |out: &mut String, c: char| match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_ascii() => out.push(c),
            c => escape(out, c),
        };
        self.add_escaped(Encoding::Escapes, text, written(text.chars(), in_json));
    }
}

fn written<T>(parts: impl IntoIterator<Item = T>, write: impl Fn(&mut String, T)) -> Vec<u8> {
    let mut out = String::with_capacity(WRITTEN);
    for part in parts {
        write(&mut out, part);
    }
    out.into_bytes()
}

fn push_hex(out: &mut String, byte: u8) {
    for digit in [byte >> 4, byte & 15] {
        out.push(char::from(if digit < 10 {
            digit.saturating_add(b'0')
        } else {
            digit.saturating_add(b'a' - 10)
        }));
    }
}

/// Returns every form of a term.
#[must_use]
pub fn forms_of(term: u32, text: &str) -> Vec<Form> {
    let mut forms = Forms {
        term,
        all: Vec::new(),
    };
    if text.len() < WINDOW {
        return forms.all;
    }
    let spellings = spellings(text);
    for spelling in &spellings {
        // Letters beyond ASCII are compared as they are, so both cases are needed.
        if spelling == text || !text.is_ascii() {
            forms.add_foldable(spelling);
        }
    }
    for spelling in &spellings {
        forms.add_unfoldable(spelling);
    }
    forms.tidy()
}

/// A text as it is, in capitals, in small letters, and with a capital for each word.
fn spellings(text: &str) -> Vec<String> {
    let mut title = String::with_capacity(text.len());
    let mut in_word = false;
    for character in text.chars() {
        if in_word {
            title.extend(character.to_lowercase());
        } else {
            title.extend(character.to_uppercase());
        }
        in_word = character.is_alphabetic();
    }
    let mut all = vec![text.to_owned()];
    for spelling in [text.to_uppercase(), text.to_lowercase(), title] {
        if !all.contains(&spelling) {
            all.push(spelling);
        }
    }
    all
}
