//! A term is found wherever it is and however it is written, and chance is not taken for one.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use aho_corasick::AhoCorasick;
use coverslip_core::scan::forms::{Form, forms_of};
use coverslip_core::scan::{Encoding, Header, Hit, InstanceReport, SURE_BITS, Term};
use coverslip_core::watch::{Unwatched, Watch};
use coverslip_core::{Error, Limits, Scanner, check_instance};
use proptest::prelude::*;
use tempfile::TempDir;

/// Two pieces of the scanner and a little more.
const LONG: usize = (1 << 19) + 5000;

fn scanner(texts: &[&str]) -> Scanner {
    let terms: Vec<_> = texts.iter().map(|text| term(text)).collect();
    Scanner::new(&terms, &Limits::default()).unwrap()
}

fn term(text: &str) -> Term {
    Term {
        text: text.into(),
        whole_word: false,
    }
}

/// Bytes that look random (xorshift).
fn noise(mut seed: u64) -> impl Iterator<Item = u8> {
    std::iter::repeat_with(move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed.to_be_bytes()[0]
    })
}

fn in_dir(data: &[u8]) -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, data).unwrap();
    (dir, path)
}

/// A grey JPEG whose entropy-coded data are given.
fn jpeg(scan: &[u8]) -> Vec<u8> {
    let mut frame = vec![0xFF, 0xD8, 0xFF, 0xDB, 0, 67, 0];
    frame.extend([1; 64]);
    for class in [0x00, 0x10] {
        frame.extend([0xFF, 0xC4, 0, 20, class, 1]);
        frame.extend([0; 16]);
    }
    frame.extend([0xFF, 0xC0, 0, 11, 8, 0, 8, 0, 8, 1, 1, 0x11, 0]);
    frame.extend([0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 63, 0]);
    frame.extend(scan);
    frame.extend([0xFF, 0xD9]);
    frame.resize(frame.len().next_multiple_of(2), 0);
    frame
}

struct Instance {
    header: Vec<u8>,
    table: Vec<u8>,
    frames: Vec<Vec<u8>>,
    behind: Vec<u8>,
}

impl Default for Instance {
    fn default() -> Self {
        Self {
            header: b"header of the instance".to_vec(),
            table: Vec::new(),
            frames: vec![jpeg(&[1, 2, 3, 4]), jpeg(&[5, 6, 7, 8])],
            behind: Vec::new(),
        }
    }
}

impl Instance {
    fn check(&self, scanner: &Scanner) -> InstanceReport {
        let mut data = self.header.clone();
        data.extend(b"\xE0\x7F\x10\x00OB\0\0\xFF\xFF\xFF\xFF");
        for item in std::iter::once(&self.table).chain(&self.frames) {
            data.extend(b"\xFE\xFF\x00\xE0");
            data.extend(u32::try_from(item.len()).unwrap().to_le_bytes());
            data.extend(item);
        }
        data.extend(b"\xFE\xFF\xDD\xE0\0\0\0\0");
        data.extend(&self.behind);
        let (_dir, path) = in_dir(&data);
        let header = Header {
            pixel_data_offset: u64::try_from(self.header.len()).unwrap(),
            ..Header::default()
        };
        check_instance(scanner, &path, &header, None, &mut Unwatched).unwrap()
    }
}

fn terms_of(hits: &[Hit]) -> BTreeSet<u32> {
    hits.iter().map(|hit| hit.term).collect()
}

#[test]
fn every_form_is_found_and_told_by_its_encoding() {
    let texts = [
        "Quillfeather",
        "Müller-Lüdenscheidt",
        "24-001234",
        "O'Neil <a@b>",
    ];
    let scanner = scanner(&texts);
    let mut encodings = BTreeSet::new();
    for (number, text) in (0..).zip(texts) {
        for form in forms_of(number, text) {
            let data = [b"\x01\x02\x03", &*form.bytes, b"\x00\xFF"].concat();
            let hits = scanner.scan_bytes(&data);
            assert!(
                hits.iter().any(|hit| hit.term == number && hit.offset == 3),
                "{form:?}"
            );
            encodings.extend(hits.iter().map(|hit| hit.encoding));
        }
    }
    assert_eq!(encodings, BTreeSet::from(Encoding::ALL));
}

#[test]
fn well_known_encodings_are_among_the_forms() {
    let forms = forms_of(0, "Zoë Quill");
    let has = |bytes: &[u8]| forms.iter().any(|form| form.is(bytes));
    assert!(has("ZOË QUILL".as_bytes()));
    assert!(has(b"zo\xEB quill"));
    assert!(has(b"Z\0o\0\xEB\0 \0Q\0u\0i\0l\0l\0"));
    assert!(has(
        b"\0\0\0Z\0\0\0o\0\0\0\xEB\0\0\0 \0\0\0Q\0\0\0u\0\0\0i\0\0\0l\0\0\0l"
    ));
    assert!(has(b"Wm/DqyBRdWlsb")); // the rest depends on what follows
    assert!(has(b"Wm_DqyBRdWlsb"));
    assert!(has(b"5A6FC3AB205175696C6C"));
    assert!(has(b"Zo%C3%AB%20Quill"));
    assert!(has(b"Zo&#235; Quill"));
    assert!(has(b"Zo&#xEB; Quill"));
    assert!(has(b"Zo\\u00eb Quill"));
    assert!(has(b"90.111.195.171.32.81.117.105.108.108"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_term_is_found_at_any_offset(
        offset in prop_oneof![0..LONG, (1_usize << 18) - 300..(1 << 18) + 900, LONG - 400..LONG],
        form in any::<prop::sample::Index>(),
        seed in 1..u64::MAX,
    ) {
        let forms = forms_of(0, "Quillfeather");
        let form = form.get(&forms);
        let mut data: Vec<u8> = noise(seed).take(LONG).collect();
        data.splice(offset.., form.bytes.iter().copied());
        let (_dir, path) = in_dir(&data);
        let hits = scanner(&["Quillfeather"]).scan_file(&path, &mut Unwatched).unwrap();
        prop_assert!(hits.iter().any(|hit| hit.offset == u64::try_from(offset).unwrap()));
    }

    #[test]
    fn what_is_found_is_what_an_automaton_finds(
        texts in prop_oneof![
            prop::collection::btree_set("[a-zé]{8,12}", 1..6),
            prop::collection::btree_set("seen[ab]{4,6}", 1..20), // which begin alike
        ],
        picks in prop::collection::vec((any::<prop::sample::Index>(), 0..9_usize), 1..30),
        seed in 1..u64::MAX,
    ) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let forms: Vec<Form> =
            (0..).zip(&texts).flat_map(|(number, text)| forms_of(number, text)).collect();
        let mut noise = noise(seed);
        let mut data = Vec::new();
        for (pick, cut) in picks {
            let form = pick.get(&forms);
            data.extend(form.bytes.iter().skip(cut / 4));
            data.extend(noise.by_ref().take(cut));
        }

        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(forms.iter().map(|form| &form.bytes))
            .unwrap();
        let expected: BTreeSet<_> = automaton
            .find_overlapping_iter(&data)
            .map(|found| (found, &forms[found.pattern()]))
            .filter(|(found, form)| form.is(&data[found.range()]))
            .map(|(found, form)| (u64::try_from(found.start()).unwrap(), form.term))
            .collect();
        let hits = scanner(&texts).scan_bytes(&data);
        let found: BTreeSet<_> = hits.iter().map(|hit| (hit.offset, hit.term)).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn any_bytes_give_a_report(data in prop::collection::vec(any::<u8>(), 0..400)) {
        let (_dir, path) = in_dir(&data);
        let scanner = scanner(&["Quillfeather"]);
        for pixel_data_offset in [0, 10, u64::MAX] {
            let header = Header { pixel_data_offset, ..Header::default() };
            let report = check_instance(&scanner, &path, &header, None, &mut Unwatched).unwrap();
            prop_assert!(!report.problems.is_empty());
        }
    }
}

#[test]
fn a_term_in_the_scan_of_a_frame_counts_if_it_is_long() {
    let scanner = scanner(&["Quillfeather", "24001234", "Doe-X", "Marlow"]);
    let frames = vec![
        jpeg(b"Quillfeather"),
        jpeg(b"-24001234-"),
        jpeg(b" Doe-X Marlow "),
    ];
    let report = Instance {
        frames,
        ..Instance::default()
    }
    .check(&scanner);
    assert_eq!(report.problems, Vec::<String>::new());
    assert_eq!(terms_of(&report.hits), BTreeSet::from([0, 1]));
}

#[test]
fn a_short_term_counts_everywhere_else() {
    let scanner = scanner(&["Doe-X"]);
    let mut comment = jpeg(&[1, 2, 3, 4]);
    comment.splice(2..2, *b"\xFF\xFE\x00\x07Doe-X");
    let instances = [
        Instance {
            header: b"for Doe-X.".to_vec(),
            ..Instance::default()
        },
        Instance {
            frames: vec![jpeg(&[1]), comment],
            ..Instance::default()
        },
        Instance {
            behind: b"Doe-X".to_vec(),
            ..Instance::default()
        },
        Instance {
            frames: vec![[&jpeg(&[1])[..], b"Doe-X"].concat()],
            ..Instance::default()
        },
    ];
    for instance in instances {
        assert_eq!(
            terms_of(&instance.check(&scanner).hits),
            BTreeSet::from([0])
        );
    }
}

#[test]
fn numbers_of_the_header_hold_short_terms_by_chance() {
    let (_dir, path) = in_dir(b"table of Doe-X numbers");
    let scanner = scanner(&["Doe-X", "Quillfeather"]);
    let range = |offset, byte_count| coverslip_core::ByteRange { offset, byte_count };
    for (numbers, found) in [(vec![], 1), (vec![range(0, 3)], 1), (vec![range(8, 7)], 0)] {
        let header = Header {
            pixel_data_offset: 22,
            numbers,
            ..Header::default()
        };
        let report = check_instance(&scanner, &path, &header, None, &mut Unwatched).unwrap();
        assert_eq!(report.hits.len(), found);
    }
}

#[test]
fn a_short_term_is_no_part_of_a_word() {
    let scanner = scanner(&["Marl", "12345", "Quill"]);
    for (data, found) in [
        (&b"Marl"[..], true),
        (b" marl^", true),
        (b"\x00MARL\x01", true),
        (b"Marlow", false),
        (b"P-7MARLX", false),
        (b"\x00M\x00a\x00r\x00l\x00^", true),
        (b"\x00M\x00a\x00r\x00l\x00o\x00w", false),
        (b"no 12345.", true),
        (b"no 123456", false),
        (b"2.25.12345", true),
    ] {
        assert_eq!(!scanner.scan_bytes(data).is_empty(), found, "{data:?}");
    }
}

#[test]
fn a_term_of_whole_words_counts_only_as_one() {
    let term = Term {
        text: "Bright".into(),
        whole_word: true,
    };
    let scanner = Scanner::new(&[term], &Limits::default()).unwrap();
    assert!(scanner.scan_bytes(b"Brightfield illumination").is_empty());
    assert_eq!(scanner.scan_bytes(b"Bright^Anna").len(), 1);
}

#[test]
fn a_number_does_not_count_inside_one_that_is_longer_than_people_write() {
    let scanner = scanner(&["24001234"]);
    assert_eq!(scanner.scan_bytes(b"2.25.24001234").len(), 1);
    assert_eq!(scanner.scan_bytes(b"1.2.840.24001234.7").len(), 1);
    assert_eq!(scanner.scan_bytes(b"20240315240012341111").len(), 1);
    let in_uid = b"1.2.840.113619.2.24001234.20130225.1.12";
    assert_eq!(scanner.scan_bytes(in_uid).len(), 1);
    assert!(
        scanner
            .scan_bytes(b"2.25.8824001234567890123456789012345678")
            .is_empty()
    );
}

#[test]
fn letters_in_hexadecimal_do_not_count_inside_a_digest() {
    let scanner = scanner(&["Mawa"]);
    let digits = "6abe7f4d415741661f429c316c3b3";
    let digest = format!("{digits}{}", "0".repeat(64 - digits.len()));
    let found = |data: &str| !scanner.scan_bytes(data.as_bytes()).is_empty();
    assert!(found("4d617761"));
    let in_digest = format!("4d617761{}", &digest[8..]);
    assert!(!found(&format!("\"{in_digest}\"")));
    // A text of another length than a digest.
    assert!(found(&format!("{in_digest}ab")));
    assert!(found(&in_digest[..62]));
}

#[test]
fn a_date_with_points_does_not_count_inside_a_uid() {
    let scanner = scanner(&["2.25.2013"]);
    let found = |data: &str| !scanner.scan_bytes(data.as_bytes()).is_empty();
    assert!(!found("2.25.201303914233926749769092036747575802235\0"));
    assert!(found("2.25.2013"));
    assert!(found("scanned 2.25.2013.12.30.59.123456 by"));
    assert!(found("1.2.25.2013"));
}

#[test]
fn a_short_date_with_points_does_not_count_inside_a_uid_of_the_standard() {
    let scanner = scanner(&["1.1.77", "2.4.50"]);
    let found = |data: &str| !scanner.scan_bytes(data.as_bytes()).is_empty();
    assert!(!found("1.2.840.10008.5.1.4.1.1.77.1.6\0"));
    assert!(!found("1.2.840.10008.1.2.4.50\0"));
    assert!(found("born 1.1.77, "));
    assert!(found("born 1.1.77 10:30"));
}

#[test]
fn names_of_few_characters_count_by_their_bytes() {
    let scanner = scanner(&["王小明", "王明", "Öö"]);
    let utf16: Vec<u8> = "王小明".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(terms_of(&scanner.scan_bytes(&utf16)), BTreeSet::from([0]));
    for (text, term) in [("Patient王小明1956", 0), ("x王明", 1), ("a Öö.", 2)] {
        let hits = scanner.scan_bytes(text.as_bytes());
        assert_eq!(terms_of(&hits), BTreeSet::from([term]), "{text}");
    }
    // As short as four letters of ASCII, so it is no part of a word.
    assert!(scanner.scan_bytes("xÖöy".as_bytes()).is_empty());
    let report = Instance {
        frames: vec![jpeg("Wang 王小明".as_bytes()), jpeg("王明".as_bytes())],
        ..Instance::default()
    }
    .check(&scanner);
    assert_eq!(terms_of(&report.hits), BTreeSet::from([0]));
}

#[test]
fn letters_of_a_digest_are_no_chinese_name() {
    let scanner = scanner(&["慢戳"]); // "abb3" in UTF-16BE
    let found = |data: &str| !scanner.scan_bytes(data.as_bytes()).is_empty();
    assert!(!found("9f86aba2abb3d081"));
    assert!(!found("abb3d081"));
    assert!(found("慢戳"));
}

#[test]
fn hexadecimal_may_have_spaces_or_colons_in_it() {
    let scanner = scanner(&["Doe-X"]);
    for data in ["446f652d58", "44 6F 65 2D 58", "44:6f:65:2d:58"] {
        let hits = scanner.scan_bytes(format!("id {data}.").as_bytes());
        assert_eq!(hits.len(), 1, "{data}");
        assert_eq!(hits[0].encoding, Encoding::Hex);
    }
}

#[test]
fn letters_that_are_digits_in_hexadecimal_do_not_count_inside_a_uid() {
    let scanner = scanner(&["wrap"]);
    let hexadecimal = b"77726170";
    let uid = b"2.25.33887509531519477726170286027260106086";
    assert!(scanner.scan_bytes(uid).is_empty());
    assert_eq!(scanner.scan_bytes(hexadecimal).len(), 1);
    assert_eq!(scanner.scan_bytes(b"0a77726170ff").len(), 1);
}

#[test]
fn a_code_does_not_count_inside_a_digest() {
    let scanner = scanner(&["C0FFEE", "7654321"]);
    assert_eq!(scanner.scan_bytes(b"case c0ffee and 7654321").len(), 2);
    assert_eq!(scanner.scan_bytes(b"no. B7654321A, xc0ffee").len(), 2);
    let digest = b"sha256: 9f86d081c0ffee7d659a2feaa0c55ad015a37654321b0b822cd15d6c15b0f00a";
    assert!(scanner.scan_bytes(digest).is_empty());
}

#[test]
fn noise_gives_no_alarm() {
    let mut letters = noise(7).map(|byte| char::from(b'A' + byte % 26));
    let texts: Vec<String> = (0..300)
        .map(|n| letters.by_ref().take(4 + n % 9).collect())
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut noise = noise(99).map(|byte| if byte == 0xFF { 0xFE } else { byte });
    let frames = (0..200).map(|_| jpeg(&noise.by_ref().take(20_000).collect::<Vec<_>>()));
    let instance = Instance {
        frames: frames.collect(),
        ..Instance::default()
    };
    let report = instance.check(&scanner(&texts));
    assert_eq!((report.hits, report.problems), (vec![], vec![]));
    assert_eq!(report.frame_count, 200);
}

#[test]
fn offset_tables_are_compared_with_the_items() {
    let scanner = scanner(&["Quillfeather"]);
    let len = u32::try_from(jpeg(&[1, 2, 3, 4]).len()).unwrap();
    let table = |second: u32| [0_u32.to_le_bytes(), second.to_le_bytes()].concat();
    let right = Instance {
        table: table(len + 8),
        ..Instance::default()
    }
    .check(&scanner);
    assert_eq!(right.problems, Vec::<String>::new());
    for table in [
        table(len),
        [&table(len + 8)[..], b"gap "].concat(),
        b"abc".to_vec(),
    ] {
        let wrong = Instance {
            table,
            ..Instance::default()
        }
        .check(&scanner);
        assert_eq!(
            wrong.problems,
            ["the Basic Offset Table is not what is there"]
        );
    }
}

/// Frames are walked in groups that begin where the offset table says.
#[test]
fn a_table_tells_where_groups_begin_and_changes_nothing_that_is_found() {
    let scanner = scanner(&["Quillfeather", "Doe-X"]);
    let mut frames = vec![jpeg(&[1, 2, 3]); 2500];
    for (at, text) in [
        (0, "Quillfeather"),
        (1023, "Quillfeather"),
        (1024, "Quillfeather"),
    ] {
        frames[at] = jpeg(text.as_bytes());
    }
    frames[2047] = [&frames[2047][..], b"Doe-X "].concat();
    let mut offset = 0_u32;
    let mut table = Vec::new();
    for frame in &frames {
        table.extend(offset.to_le_bytes());
        offset += u32::try_from(frame.len()).unwrap() + 8;
    }
    // Of the first entry, of the first of a group, of one between, and one entry too many.
    let wrong = [0, 4 * 1024, 4 * 1500]
        .map(|at: usize| {
            let mut wrong = table.clone();
            wrong[at + 1] ^= 1;
            wrong
        })
        .into_iter()
        .chain([[&table[..], &table[..4]].concat(), table[4..].to_vec()])
        .chain([[&table[..4 * 2048], &[0xFF; 4], &table[4 * 2049..]].concat()]);
    let check = |table: &[u8]| {
        let (frames, table) = (frames.clone(), table.to_vec());
        Instance {
            table,
            frames,
            ..Instance::default()
        }
        .check(&scanner)
    };
    let offsets = |table: &[u8]| {
        let hits = check(table).hits;
        let first = hits.first().map_or(0, |hit| hit.offset);
        hits.iter()
            .map(|hit| (hit.offset - first, hit.term))
            .collect::<Vec<_>>()
    };

    let without = check(&[]);
    assert_eq!((without.frame_count, without.hits.len()), (2500, 4));
    assert_eq!(
        without.problems,
        ["frame 2047: bytes behind the end marker of a frame"]
    );
    assert_eq!(check(&table).problems, without.problems);
    assert_eq!(offsets(&table), offsets(&[]));
    for wrong in wrong {
        let report = check(&wrong);
        assert_eq!(report.problems.len(), 2, "{:?}", report.problems);
        assert_eq!(report.frame_count, 2500);
        assert_eq!(offsets(&wrong), offsets(&[]));
    }
}

#[test]
fn frames_of_unknown_kinds_are_told_and_not_passed() {
    let frames = vec![b"RIFFxxxxWEBP".to_vec(), b"\xFF\xD8\xFF\xF7ab".to_vec()];
    let report = Instance {
        frames,
        ..Instance::default()
    }
    .check(&scanner(&["Quillfeather"]));
    assert_eq!(report.unchecked.len(), 2);
}

#[test]
fn more_or_longer_terms_than_the_limit_are_refused() {
    let limits = Limits {
        terms: 2,
        term_bytes: 8,
        ..Limits::default()
    };
    let refused = |texts: &[&str]| {
        let terms: Vec<_> = texts.iter().map(|text| term(text)).collect();
        Scanner::new(&terms, &limits).unwrap_err().to_string()
    };
    assert!(refused(&["a", "b", "c"]).ends_with("the limit terms = 2"));
    assert!(refused(&["Quillfeather"]).ends_with("the limit term_bytes = 8"));
}

#[test]
fn a_scan_stops_on_request() {
    struct Stop;
    impl Watch for Stop {
        fn go_on(&mut self, _done: u64) -> bool {
            false
        }
    }
    let (_dir, path) = in_dir(&vec![7; LONG]);
    let scanner = scanner(&["Quillfeather"]);
    let stopped = scanner.scan_file(&path, &mut Stop);
    assert!(matches!(stopped, Err(Error::Cancelled)));
    let stopped = check_instance(&scanner, &path, &Header::default(), None, &mut Stop);
    assert!(matches!(stopped, Err(Error::Cancelled)));
}

#[test]
fn sure_forms_have_seven_exact_bytes_or_eight_letters() {
    assert!(forms_of(0, "abc").is_empty());
    for (text, is_sure) in [
        ("abcdefgh", true),
        ("abcdefg", true),
        ("abcdef", false),
        ("1234567", true),
    ] {
        let forms = forms_of(0, text);
        let in_text = forms.iter().filter(|form| form.encoding == Encoding::Text);
        assert_eq!(
            in_text.map(Form::bits).max() >= Some(SURE_BITS),
            is_sure,
            "{text}"
        );
    }
}
