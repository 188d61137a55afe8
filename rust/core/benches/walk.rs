//! How long the header walk, planning and writing take.
//!
//! Each result is checked once before it is timed. Throughput of writing is that of a warm
//! cache: `cp` of the same bytes on the same disk is the floor to compare with.

#![allow(missing_docs, reason = "criterion's macros make the functions")]
#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot be set up must not run"
)]

use std::fs;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::Duration;

use coverslip_core::jpeg::{self, Colour, Recipe};
use coverslip_core::scan::Header;
use coverslip_core::watch::Unwatched;
use coverslip_core::{
    ByteRange, Codec, FramePlan, Limits, Source, TileIndex, WriteOptions, jp2k, plan_frames,
    tables, verify_instance, write_instance,
};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tempfile::TempDir;

const TILE_BYTES: usize = 16 << 10;
const TILES: usize = 4096;
const TOTAL: u64 = 64 << 20;

/// A grey tile of 256 x 256 with its tables, as a scanner writes it.
fn tile() -> Vec<u8> {
    let mut tile = vec![0xFF, 0xD8];
    tile.extend([0xFF, 0xDB, 0x00, 0x43, 0x00]);
    tile.extend([3; 64]);
    for class in [0, 1] {
        let table = tables::typical(class, 0);
        let len = u16::try_from(table.len().saturating_add(3)).unwrap();
        tile.extend([0xFF, 0xC4]);
        tile.extend(len.to_be_bytes());
        tile.push(class << 4);
        tile.extend(table);
    }
    tile.extend([0xFF, 0xC0, 0x00, 0x0B, 8, 1, 0, 1, 0, 1, 1, 0x11, 0]);
    tile.extend([0xFF, 0xDA, 0x00, 0x08, 1, 1, 0x00, 0, 63, 0]);
    tile.extend(
        (0..251_u8)
            .cycle()
            .take(TILE_BYTES.saturating_sub(tile.len()).saturating_sub(2)),
    );
    tile.extend([0xFF, 0xD9]);
    tile
}

fn recipe() -> Recipe {
    let tables = jpeg::parse_shared_tables(&[]).unwrap();
    Recipe {
        tables,
        colour: Colour::Grey,
        is_emitted: false,
        columns: 256,
        rows: 256,
    }
}

/// A level of 64 MiB.
struct Level {
    dir: TempDir,
    source: Source,
    tiles: TileIndex,
}

impl Level {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("level");
        fs::write(&path, tile().repeat(TILES)).unwrap();
        let byte_count = u64::try_from(TILE_BYTES).unwrap();
        let offsets = (0..TOTAL).step_by(TILE_BYTES);
        let ranges = offsets
            .map(|offset| ByteRange { offset, byte_count })
            .collect();
        let tiles = TileIndex::new(ranges, Vec::new(), TOTAL, &Limits::default()).unwrap();
        Self {
            source: Source::open(&path).unwrap(),
            dir,
            tiles,
        }
    }

    fn plan(&self) -> FramePlan {
        let (codec, limits) = (Codec::Jpeg(recipe()), Limits::default());
        plan_frames(
            &self.source,
            self.tiles.clone(),
            codec,
            &limits,
            &mut Unwatched,
        )
        .unwrap()
    }

    fn write(&self, plan: &FramePlan) -> PathBuf {
        let path = self.dir.path().join("out");
        let options = WriteOptions::default();
        write_instance(&self.source, plan, b"", &path, options, &mut Unwatched).unwrap();
        path
    }
}

fn walk_header(criterion: &mut Criterion) {
    let tile = tile();
    let recipe = recipe();
    let header = jpeg::parse_header(&tile).unwrap();
    assert_eq!(
        recipe.frame_header(&header).unwrap(),
        tile.get(..header.len).unwrap()
    );

    criterion.bench_function("walk and rebuild one JPEG header", |bencher| {
        bencher.iter(|| {
            recipe
                .frame_header(&jpeg::parse_header(black_box(&tile)).unwrap())
                .unwrap()
        });
    });
}

/// A marker segment whose length counts itself.
fn segment(marker: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len().saturating_add(2)).unwrap();
    [&[0xFF, marker][..], &len.to_be_bytes(), payload].concat()
}

/// The beginning of a JPEG 2000 tile of 256 x 256 in three components, with a comment.
fn jpeg_2000_header() -> Vec<u8> {
    let mut siz = vec![0, 0];
    for field in [256_u32, 256, 0, 0, 256, 256, 0, 0] {
        siz.extend(field.to_be_bytes());
    }
    siz.extend([0, 3, 7, 1, 1, 7, 1, 1, 7, 1, 1]);
    [
        vec![0xFF, 0x4F],
        segment(0x51, &siz),
        segment(0x52, &[0, 0, 0, 1, 1, 5, 4, 4, 0, 0]),
        segment(0x5C, &[0x42; 33]),
        segment(0x64, b"\0\x01a comment that is left out"),
        segment(0x90, &[0, 0, 0, 0, 0, 14, 0, 1]),
        vec![0xFF, 0x93],
    ]
    .concat()
}

fn walk_jpeg_2000(criterion: &mut Criterion) {
    let tile = jpeg_2000_header();
    let recipe = jp2k::Recipe {
        columns: 256,
        rows: 256,
        set_mct: false,
    };
    let header = jp2k::parse_header(&tile).unwrap();
    assert_eq!(header.dropped, 1);
    assert!(recipe.frame_header(&header).unwrap().len() < tile.len());

    criterion.bench_function("walk and rebuild one JPEG 2000 header", |bencher| {
        bencher.iter(|| {
            recipe
                .frame_header(&jp2k::parse_header(black_box(&tile)).unwrap())
                .unwrap()
        });
    });
}

fn scan_entropy(criterion: &mut Criterion) {
    let entropy: Vec<u8> = (0..251_u8).cycle().take(1 << 20).collect();
    assert_eq!(jpeg::scan_entropy(&entropy).unwrap().len, entropy.len());

    let mut group = criterion.benchmark_group("scan");
    group.throughput(Throughput::Bytes(1 << 20));
    group.bench_function("walk entropy-coded data", |bencher| {
        bencher.iter(|| jpeg::scan_entropy(black_box(&entropy)).unwrap());
    });
    group.finish();
}

fn plan_level(criterion: &mut Criterion) {
    let level = Level::new();
    assert_eq!(level.plan().summary().copied, u64::try_from(TILES).unwrap());

    let mut group = criterion.benchmark_group("plan");
    group.throughput(Throughput::Elements(u64::try_from(TILES).unwrap()));
    group.bench_function("4096 tiles", |bencher| bencher.iter(|| level.plan()));
    group.finish();
}

fn write_level(criterion: &mut Criterion) {
    let level = Level::new();
    let plan = level.plan();
    let path = level.write(&plan);
    let report = verify_instance(
        &level.source,
        &plan,
        &path,
        &Header::default(),
        None,
        None,
        &mut Unwatched,
    )
    .unwrap();
    assert_eq!(report.frames_equal, u64::try_from(TILES).unwrap());
    fs::remove_file(&path).unwrap();

    let mut group = criterion.benchmark_group("write");
    group.throughput(Throughput::Bytes(TOTAL)).sample_size(10);
    group.measurement_time(Duration::from_secs(10));
    group.bench_function("64 MiB", |bencher| {
        bencher.iter_batched(
            || drop(fs::remove_file(&path)),
            |()| level.write(&plan),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(
    benches,
    walk_header,
    walk_jpeg_2000,
    scan_entropy,
    plan_level,
    write_level
);
criterion_main!(benches);
