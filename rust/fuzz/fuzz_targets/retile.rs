//! Any JPEG is cut into frames with its very coefficients, or refused; joined of its restart
//! intervals, wherever they are told to be, the frames are the same.
//!
//! Input: two bytes of width and two of height, what else there is (bits: 0-3 how many starts of
//! restart intervals are told, 4 a private range), two bytes for each start, two of the range's
//! offset and two of its length, then the JPEG.

#![no_main]

use std::fs::{self, File};
use std::path::Path;

use coverslip_core::jpeg::{Colour, Recipe, SharedTables};
use coverslip_core::scan::Header;
use coverslip_core::watch::Unwatched;
use coverslip_core::{
    ByteRange, Error, FramePlan, Limits, OffsetTable, Picture, Source, WriteOptions, plan_stitched,
    plan_told, prove_retiled, retile, verify_instance, write_instance,
};
use libfuzzer_sys::fuzz_target;

/// As large as pictures may be here, so that no input is slow for its size.
const SIDE: u32 = 512;

fuzz_target!(|data: &[u8]| {
    let _ = cut(data);
});

fn pair(bytes: &[u8]) -> u64 {
    u16::from_le_bytes([bytes[0], bytes[1]]).into()
}

fn cut(data: &[u8]) -> Option<()> {
    let (size, rest) = data.split_first_chunk::<5>()?;
    let told = usize::from(size[4] % 16);
    let (starts, rest) = rest.split_at_checked(2 * told)?;
    let (private, stream) = rest.split_at_checked(if size[4] & 16 == 0 { 0 } else { 4 })?;
    let picture = Picture {
        range: ByteRange {
            offset: 0,
            byte_count: stream.len() as u64,
        },
        columns: u32::from(u16::from_le_bytes([size[0], size[1]])) % SIDE,
        rows: u32::from(u16::from_le_bytes([size[2], size[3]])) % SIDE,
        starts: (told > 0).then(|| starts.chunks(2).map(pair).collect()),
        private: private
            .chunks(4)
            .map(|range| ByteRange {
                offset: pair(range),
                byte_count: pair(&range[2..]),
            })
            .collect(),
    };
    let recipe = Recipe {
        tables: SharedTables::default(),
        colour: Colour::Ybr,
        is_emitted: false,
        columns: 64,
        rows: 64,
    };
    let limits = Limits::default();
    let dir = tempfile::Builder::new()
        .tempdir_in("/dev/shm")
        .expect("a folder in memory");
    let path = dir.path().join("picture");
    fs::write(&path, stream).expect("a file in memory");
    let source = Source::open(&path).expect("the file is there");
    let stitched = stitch(&source, &picture, &recipe, dir.path());
    let spool_path = dir.path().join("spool");
    let spool = File::create(&spool_path).expect("a file in memory");
    let ranges = retile(&source, &picture, &recipe, &spool, &limits, &mut Unwatched).ok()?;
    for range in &picture.private {
        let end = range.offset + range.byte_count;
        assert!(
            range.byte_count == 0 || range.offset >= stream.len() as u64 || end == 0,
            "a private range went out"
        );
    }
    // Told starts may lead over what does not belong there, and a lone FF is left out.
    let is_plain = told == 0 && !stream.ends_with(&[0xFF]);
    if let Some(stitched) = stitched.filter(|_| is_plain) {
        let spool = fs::read(&spool_path).expect("the file is there");
        let cut = ranges
            .iter()
            .map(|range| &spool[range.offset as usize..][..range.byte_count as usize]);
        assert!(
            stitched.iter().map(Vec::as_slice).eq(cut),
            "a stitched frame is another one"
        );
    }
    let spool = Source::open(&spool_path).expect("the file is there");
    let frames = (&spool, &ranges[..]);
    match prove_retiled(&source, &picture, &recipe, frames, &limits, &mut Unwatched) {
        // Stitched bytes are not looked at, so they may be damaged in the picture already.
        Ok(()) | Err(Error::Tile { .. }) => Some(()),
        Err(error) => panic!("a frame is not what it was cut from: {error}"),
    }
}

/// The frames that are joined of the picture's restart intervals, without what pads them.
fn stitch(source: &Source, picture: &Picture, recipe: &Recipe, dir: &Path) -> Option<Vec<Vec<u8>>> {
    let (limits, pictures) = (Limits::default(), std::slice::from_ref(picture));
    let told = plan_told(source, pictures, recipe, &limits);
    let told = told
        .ok()
        .flatten()
        .map(|plan| written(source, &plan, &dir.join("told")));
    let plan = match plan_stitched(source, pictures, recipe, &limits, &mut Unwatched) {
        Ok(plan) => plan,
        Err(_) => {
            let is_found = |result| matches!(result, Err(Error::Unlike { .. }));
            assert!(told.is_none_or(is_found), "told intervals that are none");
            return None;
        }
    };
    let path = dir.join("searched");
    let bytes = written(source, &plan, &path).expect("what was planned can be written");
    match told {
        Some(Ok(told)) => assert!(told == bytes, "told intervals are other ones"),
        Some(Err(error)) => assert!(matches!(error, Error::Unlike { .. }), "{error}"),
        None => {}
    }
    let header = Header::default();
    match verify_instance(source, &plan, &path, &header, None, None, &mut Unwatched) {
        Ok(_) => {}
        Err(error) => panic!("what was written is not what was planned: {error}"),
    }
    // Pixel Data of undefined length, the offset table, then an item for each frame.
    let mut at = 12 + 8 + 4 * plan.frame_count();
    let mut frames = Vec::new();
    for len in plan.lengths() {
        at += 8;
        let frame = &bytes[at..][..len as usize];
        at += len as usize;
        let end = frame.len() - usize::from(frame.ends_with(&[0xFF, 0xD9, 0]));
        frames.push(frame[..end].to_vec());
    }
    Some(frames)
}

fn written(source: &Source, plan: &FramePlan, path: &Path) -> Result<Vec<u8>, Error> {
    let options = WriteOptions {
        offset_table: Some(OffsetTable::Basic),
        ..WriteOptions::default()
    };
    write_instance(source, plan, b"", path, options, &mut Unwatched)?;
    Ok(fs::read(path).expect("the file is there"))
}
