//! A file is verified while it is written.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]
#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]

mod common;

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use common::*;
use coverslip_core::jpeg::Colour;
use coverslip_core::scan::{Header, InstanceReport};
use coverslip_core::watch::Unwatched;
use coverslip_core::{
    Error, FramePlan, OffsetTable, Source, Watch, WriteOptions, Written, verify_instance,
    write_instance,
};

/// Writes slowly, and does something at one place.
struct Slow<F: FnMut()> {
    calls: u32,
    at: u32,
    then: F,
    goes_on: bool,
}

impl<F: FnMut()> Watch for Slow<F> {
    fn go_on(&mut self, _done: u64) -> bool {
        thread::sleep(Duration::from_millis(2));
        self.calls += 1;
        if self.calls != self.at {
            return true;
        }
        (self.then)();
        self.goes_on
    }
}

/// Some batches of frames.
fn slide() -> Slide {
    let entropy = |i: usize| {
        (0..9000)
            .map(|k| u8::try_from((k + i) % 251).unwrap())
            .collect::<Vec<_>>()
    };
    let tiles: Vec<_> = (0..1200)
        .map(|i| Jpeg::ycc().with_entropy(&entropy(i)).bytes())
        .collect();
    Slide::new(&tiles)
}

fn plan(slide: &Slide) -> (Source, FramePlan) {
    let codec = jpeg_codec(Colour::Ybr, &table_stream(&all_tables(3)));
    slide.plan(codec).unwrap()
}

fn both(
    source: &Source,
    plan: &FramePlan,
    path: &Path,
    table: OffsetTable,
    slow: &mut dyn Watch,
) -> (Result<u64, Error>, Result<InstanceReport, Error>) {
    let written = Written::default();
    thread::scope(|scope| {
        let check = scope.spawn(|| {
            written.wait_for_start()?;
            let parsed = Parsed::read_start(path, table);
            let header = Header {
                pixel_data_offset: u64::try_from(parsed.pixel_data_at).unwrap(),
                extended: parsed.extended,
                ..Header::default()
            };
            verify_instance(
                source,
                plan,
                path,
                &header,
                None,
                Some(&written),
                &mut Unwatched,
            )
        });
        let options = WriteOptions {
            offset_table: Some(table),
            written: Some(&written),
            ..WriteOptions::default()
        };
        let report = write_instance(source, plan, FILE_HEADER, path, options, slow);
        (
            report.map(|report| report.byte_count),
            check.join().unwrap(),
        )
    })
}

#[test]
fn it_is_found_equal_behind_the_writer() {
    let slide = slide();
    let (source, plan) = plan(&slide);
    for table in [OffsetTable::Basic, OffsetTable::Extended] {
        let path = slide.path_for(&format!("{table:?}.dcm"));
        let mut slow = Slow {
            calls: 0,
            at: 0,
            then: || (),
            goes_on: true,
        };
        let (byte_count, report) = both(&source, &plan, &path, table, &mut slow);
        assert!(slow.calls > 20);
        let report = report.unwrap();
        assert_eq!(report, verify(&source, &plan, &path, table).unwrap());
        assert_eq!(report.frames_equal, 1200);
        assert_eq!(byte_count.unwrap(), fs::metadata(&path).unwrap().len());
    }
}

#[test]
fn it_is_let_go_when_the_writer_is_stopped_or_cannot_begin() {
    let slide = slide();
    let (source, plan) = plan(&slide);
    let path = slide.path_for("out.dcm");
    let mut slow = Slow {
        calls: 0,
        at: 5,
        then: || (),
        goes_on: false,
    };
    let (byte_count, report) = both(&source, &plan, &path, OffsetTable::Basic, &mut slow);
    assert!(matches!(byte_count, Err(Error::Cancelled)));
    assert!(matches!(report, Err(Error::Cancelled)));
    // Now the file is there already.
    let (byte_count, report) = both(&source, &plan, &path, OffsetTable::Basic, &mut slow);
    assert!(matches!(byte_count, Err(Error::Io(_))));
    assert!(matches!(report, Err(Error::Cancelled)));
}

#[test]
fn what_somebody_else_writes_meanwhile_is_found() {
    let slide = slide();
    let (source, plan) = plan(&slide);
    let (byte_count, _) = {
        let path = slide.path_for("whole.dcm");
        let report = write(&source, &plan, &path, Some(OffsetTable::Basic)).unwrap();
        (report.byte_count, path)
    };
    let change = |path: &Path, at: SeekFrom| {
        let mut file = OpenOptions::new().write(true).open(path).unwrap();
        file.seek(at).unwrap();
        file.write_all(b"?").unwrap();
    };
    // A byte of a frame that is not read yet is overwritten before it is read.
    let late = slide.path_for("late.dcm");
    let mut slow = Slow {
        calls: 0,
        at: 40,
        then: || change(&late, SeekFrom::Start(byte_count - 500)),
        goes_on: true,
    };
    // The writer overwrites it in turn, unless it is behind the end.
    let (_, report) = both(&source, &plan, &late, OffsetTable::Basic, &mut slow);
    assert!(report.is_ok());
    let behind = slide.path_for("behind.dcm");
    let mut slow = Slow {
        calls: 0,
        at: 40,
        then: || change(&behind, SeekFrom::Start(byte_count)),
        goes_on: true,
    };
    let (_, report) = both(&source, &plan, &behind, OffsetTable::Basic, &mut slow);
    let error = report.unwrap_err().to_string();
    assert!(error.contains("goes on behind its end"), "{error}");
}
