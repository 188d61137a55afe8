//! How fast a finished instance is searched, beside the usual automaton for many strings.
//!
//! The instance holds noise where entropy-coded data are, 20 kB for each frame. The terms are as
//! many as a slide has. `cargo bench --bench scan`

#![allow(missing_docs, reason = "criterion's macros make the functions")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a benchmark that cannot be set up must not run"
)]

use std::fs;
use std::hint::black_box;
use std::path::PathBuf;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use coverslip_core::scan::forms::{Form, forms_of};
use coverslip_core::scan::{Header, SURE_BITS, Term};
use coverslip_core::watch::Unwatched;
use coverslip_core::{Limits, Scanner, check_instance};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tempfile::TempDir;

const FRAMES: usize = 3200;
const FRAME_BYTES: usize = 20_000;
const TERMS: usize = 300;

/// Numbers that look random (xorshift).
struct Noise(u64);

impl Iterator for Noise {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Some(self.0.to_be_bytes()[0])
    }
}

/// A grey JPEG of noise without markers.
fn frame(noise: &mut Noise) -> Vec<u8> {
    let mut frame = vec![0xFF, 0xD8, 0xFF, 0xDB, 0, 67, 0];
    frame.extend([1; 64]);
    for class in [0x00, 0x10] {
        frame.extend([0xFF, 0xC4, 0, 20, class, 1]);
        frame.extend([0; 16]);
    }
    frame.extend([0xFF, 0xC0, 0, 11, 8, 0, 8, 0, 8, 1, 1, 0x11, 0]);
    frame.extend([0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 63, 0]);
    let scan = noise.flat_map(|byte| [byte, 0].into_iter().take(1 + usize::from(byte == 0xFF)));
    frame.extend(scan.take(FRAME_BYTES - frame.len() - 3));
    frame.extend([0, 0xFF, 0xD9]);
    frame
}

fn instance(dir: &TempDir) -> PathBuf {
    let mut noise = Noise(0x2545_F491_4F6C_DD1D);
    let mut bytes = b"\xE0\x7F\x10\x00OB\0\0\xFF\xFF\xFF\xFF\xFE\xFF\x00\xE0\0\0\0\0".to_vec();
    for _ in 0..FRAMES {
        let frame = frame(&mut noise);
        bytes.extend(b"\xFE\xFF\x00\xE0");
        bytes.extend(u32::try_from(frame.len()).unwrap().to_le_bytes());
        bytes.extend(frame);
    }
    bytes.extend(b"\xFE\xFF\xDD\xE0\0\0\0\0");
    let path = dir.path().join("instance");
    fs::write(&path, bytes).unwrap();
    path
}

fn terms() -> Vec<Term> {
    let mut noise = Noise(88_172_645_463_325_252);
    let mut letter = || char::from(b'A' + noise.next().unwrap() % 26);
    (0..TERMS)
        .map(|n| Term {
            text: (0..4 + n % 12).map(|_| letter()).collect(),
            whole_word: false,
        })
        .collect()
}

fn scan(criterion: &mut Criterion) {
    let dir = TempDir::new().unwrap();
    let path = instance(&dir);
    let scanner = Scanner::new(&terms(), &Limits::default()).unwrap();
    let report = check_instance(&scanner, &path, &Header::default(), None, &mut Unwatched).unwrap();
    assert_eq!(report.frame_count, u64::try_from(FRAMES).unwrap());
    assert!(report.hits.is_empty() && report.problems.is_empty());

    let mut group = criterion.benchmark_group("scan");
    group.bench_function("make a scanner of 300 terms", |bencher| {
        bencher.iter(|| Scanner::new(&terms(), &Limits::default()).unwrap());
    });
    group
        .sample_size(10)
        .throughput(Throughput::Bytes(fs::metadata(&path).unwrap().len()));
    group.bench_function("instance, all cores", |bencher| {
        bencher.iter(|| {
            check_instance(&scanner, &path, &Header::default(), None, &mut Unwatched).unwrap()
        });
    });
    group.bench_function("any bytes", |bencher| {
        bencher.iter(|| scanner.scan_file(&path, &mut Unwatched).unwrap());
    });
    group.finish();
}

fn automaton(criterion: &mut Criterion) {
    let dir = TempDir::new().unwrap();
    let data = fs::read(instance(&dir)).unwrap();
    let forms: Vec<Form> = (0..)
        .zip(terms())
        .flat_map(|(number, term)| forms_of(number, &term.text))
        .filter(|form| form.bits() >= SURE_BITS)
        .collect();
    let build = || {
        AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .ascii_case_insensitive(true)
            .build(forms.iter().map(|form| &form.bytes))
            .unwrap()
    };

    let mut group = criterion.benchmark_group("aho-corasick");
    group.sample_size(10);
    group.bench_function("make an automaton of 300 terms", |bencher| {
        bencher.iter(build);
    });
    let automaton = build();
    group.throughput(Throughput::Bytes(u64::try_from(data.len()).unwrap()));
    group.bench_function("entropy-coded data", |bencher| {
        bencher.iter(|| automaton.find_overlapping_iter(black_box(&data)).count());
    });
    group.finish();
}

criterion_group!(benches, scan, automaton);
criterion_main!(benches);
