//! Joined restart intervals are the frames that cutting makes of them, by whichever way they are
//! found, or there is an error.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]
#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]

mod common;

use std::fs::{self, File};
use std::path::PathBuf;

use common::drawn::*;
use common::*;
use coverslip_core::jpeg::{Colour, Recipe, SharedTables};
use coverslip_core::watch::Unwatched;
use coverslip_core::{
    ByteRange, Codec, Error, FramePlan, Limits, OffsetTable, Picture, Source, TileIndex,
    plan_frames, plan_stitched, plan_told, prove_retiled, retile,
};
use jpeg_encoder::SamplingFactor;
use proptest::prelude::*;

/// Columns and rows of an MCU.
fn mcu(sampling: SamplingFactor) -> (u16, u16) {
    match sampling {
        SamplingFactor::R_4_2_2 => (16, 8),
        SamplingFactor::R_4_2_0 => (16, 16),
        SamplingFactor::R_4_4_0 => (8, 16),
        _ => (8, 8),
    }
}

/// Pictures whose frames are whole restart intervals, and files that hold them.
struct Stitched {
    slide: Slide,
    pictures: Vec<Picture>,
    recipe: Recipe,
}

impl Stitched {
    fn new(streams: &[Vec<u8>], size: (u16, u16), frame: (u16, u16)) -> Self {
        let slide = Slide::new(streams);
        let picture = |&range: &ByteRange| Picture {
            range,
            columns: size.0.into(),
            rows: size.1.into(),
            starts: None,
            private: Vec::new(),
        };
        Self {
            pictures: slide.ranges.iter().map(picture).collect(),
            slide,
            recipe: Recipe {
                tables: SharedTables::default(),
                colour: Colour::Ybr,
                is_emitted: false,
                columns: frame.0,
                rows: frame.1,
            },
        }
    }

    fn of(drawn: &Drawn, frame: (u16, u16)) -> Self {
        Self::new(&[drawn.encode()], (drawn.width, drawn.height), frame)
    }

    /// One of 13 by 9 intervals of one MCU, in frames of 4 by 4.
    fn plain() -> (Drawn, Self) {
        let drawn = Drawn {
            width: 104,
            restart: 1,
            ..Drawn::plain()
        };
        let stitched = Self::of(&drawn, (32, 32));
        (drawn, stitched)
    }

    /// Tells where the intervals lie.
    fn tell(&mut self, change: impl Fn(&mut Vec<u64>)) {
        let bytes = fs::read(&self.slide.path).unwrap();
        for picture in &mut self.pictures {
            let start = usize::try_from(picture.range.offset).unwrap();
            let end = start + usize::try_from(picture.range.byte_count).unwrap();
            let mut starts = starts_of(&bytes[start..end]);
            change(&mut starts);
            picture.starts = Some(starts);
        }
    }

    fn searched(&self, source: &Source) -> Result<FramePlan, Error> {
        let limits = Limits::default();
        plan_stitched(
            source,
            &self.pictures,
            &self.recipe,
            &limits,
            &mut Unwatched,
        )
    }

    /// The plan from what is told, and the file that it is written to.
    fn told(&self, source: &Source) -> Result<Option<(FramePlan, PathBuf)>, Error> {
        let limits = Limits::default();
        let Some(plan) = plan_told(source, &self.pictures, &self.recipe, &limits)? else {
            return Ok(None);
        };
        let path = self.slide.path_for("told.dcm");
        let _ = fs::remove_file(&path);
        write(source, &plan, &path, Some(OffsetTable::Extended))?;
        Ok(Some((plan, path)))
    }

    /// The file of frames that were cut into a spool before.
    fn cut(&self) -> Result<PathBuf, Error> {
        let (source, limits) = (self.slide.source(), Limits::default());
        let spool = self.slide.path_for("spool");
        let mut ranges = Vec::new();
        for picture in &self.pictures {
            let file = File::options()
                .create(true)
                .append(true)
                .open(&spool)
                .unwrap();
            let cut = retile(
                &source,
                picture,
                &self.recipe,
                &file,
                &limits,
                &mut Unwatched,
            )?;
            let frames = Source::open(&spool).unwrap();
            prove_retiled(
                &source,
                picture,
                &self.recipe,
                (&frames, &cut),
                &limits,
                &mut Unwatched,
            )?;
            ranges.extend(cut);
        }
        let frames = Source::open(&spool).unwrap();
        let tiles = TileIndex::new(ranges, Vec::new(), frames.extents(), &limits)?;
        let codec = Codec::Jpeg(self.recipe.clone());
        let plan = plan_frames(&frames, tiles, codec, &limits, &mut Unwatched)?;
        let path = self.slide.path_for("cut.dcm");
        write(&frames, &plan, &path, Some(OffsetTable::Extended))?;
        Ok(path)
    }

    /// The file of the searched plan, verified and proven, and its frames.
    fn stitch(&self) -> Result<(PathBuf, Parsed), Error> {
        let source = self.slide.source();
        let plan = self.searched(&source)?;
        let path = self.slide.path_for("searched.dcm");
        let _ = fs::remove_file(&path);
        let report = write(&source, &plan, &path, Some(OffsetTable::Extended))?;
        verify(&source, &plan, &path, report.offset_table)?;
        let parsed = Parsed::read(&path, report.offset_table);
        let lengths = parsed.frames.iter().map(Vec::len);
        assert!(
            plan.lengths()
                .eq(lengths.map(|len| u64::try_from(len).unwrap()))
        );
        assert_eq!(plan.lengths().sum::<u64>(), plan.summary().frame_bytes);
        Ok((path, parsed))
    }

    /// Compares coefficients of the picture and of frames in a file.
    fn prove(&self, path: &std::path::Path, parsed: &Parsed) -> Result<(), Error> {
        let (source, written) = (self.slide.source(), Source::open(path).unwrap());
        let each = parsed.frames.len() / self.pictures.len();
        let ranges = parsed.frames_at.iter().zip(&parsed.frames);
        let ranges: Vec<_> = ranges
            .map(|(&at, frame)| ByteRange {
                offset: u64::try_from(at).unwrap(),
                byte_count: u64::try_from(frame.len()).unwrap(),
            })
            .collect();
        for (picture, ranges) in self.pictures.iter().zip(ranges.chunks(each)) {
            let (limits, frames) = (Limits::default(), (&written, ranges));
            let mut watch = Unwatched;
            prove_retiled(&source, picture, &self.recipe, frames, &limits, &mut watch)?;
        }
        Ok(())
    }
}

/// Where the intervals of a stream begin.
fn starts_of(stream: &[u8]) -> Vec<u64> {
    let scan = stream
        .windows(2)
        .position(|pair| pair == [0xFF, 0xDA])
        .unwrap();
    let first = scan + 2 + usize::from(stream[scan + 3]);
    let markers = (first..stream.len() - 1)
        .filter(|&at| stream[at] == 0xFF && (0xD0..=0xD7).contains(&stream[at + 1]));
    std::iter::once(first)
        .chain(markers.map(|at| at + 2))
        .map(|at| u64::try_from(at).unwrap())
        .collect()
}

/// Puts a fill byte in front of some markers of the data.
fn with_fill(stream: &[u8], every: usize) -> Vec<u8> {
    let starts = starts_of(stream);
    let mut out = Vec::new();
    let mut from = 0;
    for (number, start) in starts.iter().enumerate().skip(1) {
        let marker = usize::try_from(*start).unwrap() - 2;
        out.extend_from_slice(&stream[from..marker]);
        out.extend(vec![0xFF; if number % every == 0 { number % 3 } else { 0 }]);
        from = marker;
    }
    out.extend_from_slice(&stream[from..]);
    out
}

#[derive(Debug, Clone)]
struct Shape {
    drawn: Drawn,
    frame: (u16, u16),
}

fn shape() -> impl Strategy<Value = Shape> {
    let interval = (sampling(), 1_u16..5, 1_u16..6);
    let frame = (1_u16..4, 1_u16..5);
    let picture = (0_u16..8, 1_u16..100, any::<u32>());
    (interval, frame, picture).prop_map(|((sampling, restart, across), (m, down), picture)| {
        let (slack, height, seed) = picture;
        let (width, rows) = mcu(sampling);
        let drawn = Drawn {
            width: across * restart * width - slack,
            height,
            sampling,
            restart,
            seed,
        };
        Shape {
            drawn,
            frame: (m * restart * width, down * rows),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn frames_are_those_that_cutting_makes(
        shape in shape(),
        planes in 1_usize..3,
        every in 1_usize..9,
        is_filled: bool,
    ) {
        let streams: Vec<_> = (0..planes)
            .map(|plane| {
                let seed = shape.drawn.seed ^ u32::try_from(plane).unwrap();
                let stream = Drawn { seed, ..shape.drawn.clone() }.encode();
                if is_filled { with_fill(&stream, every) } else { stream }
            })
            .collect();
        let size = (shape.drawn.width, shape.drawn.height);
        let mut stitched = Stitched::new(&streams, size, shape.frame);
        let expected = fs::read(stitched.cut().unwrap()).unwrap();
        let (path, parsed) = stitched.stitch().unwrap();
        prop_assert!(fs::read(&path).unwrap() == expected);
        stitched.prove(&path, &parsed).unwrap();
        if shape.drawn.sampling == SamplingFactor::R_4_4_4 && planes == 1 {
            let frame = (shape.frame.0.into(), shape.frame.1.into());
            assert_same_pixels(&shape.drawn, &parsed.frames, frame);
        }
        let source = stitched.slide.source();
        prop_assert!(stitched.told(&source).unwrap().is_none(), "nothing is told");
        stitched.tell(|_| ());
        let has_fill = streams.iter().any(|stream| stream.windows(3).any(|three| {
            three[..2] == [0xFF, 0xFF] && (0xD0..0xD8).contains(&three[2])
        }));
        match stitched.told(&source) {
            Ok(Some((plan, path))) => {
                prop_assert!(!has_fill);
                prop_assert!(fs::read(&path).unwrap() == expected);
                prop_assert_eq!(plan.summary(), stitched.searched(&source).unwrap().summary());
                verify(&source, &plan, &path, OffsetTable::Extended).unwrap();
            }
            Err(Error::Unlike { .. }) => prop_assert!(has_fill),
            other => prop_assert!(false, "{}", reason(other)),
        }
    }

    #[test]
    fn what_is_told_wrong_is_found_out(
        shape in shape(),
        at in 1_usize..200,
        by in prop_oneof![Just(1_u64), Just(2), Just(u64::MAX), 1_u64..2000, any::<u64>()],
        kind in 0..5,
    ) {
        let mut stitched = Stitched::of(&shape.drawn, shape.frame);
        let expected = fs::read(stitched.cut().unwrap()).unwrap();
        stitched.tell(|starts| {
            let at = at % starts.len();
            match kind {
                0 => starts[at] = starts[at].wrapping_add(by),
                1 => starts.truncate(at),
                2 => starts[at..].iter_mut().for_each(|start| *start = start.wrapping_add(by)),
                3 => starts.reverse(),
                _ => { starts.remove(at); }
            }
        });
        // Wrong starts are never followed: they are refused, found out, or do not matter.
        match stitched.told(&stitched.slide.source()) {
            Ok(Some((_, path))) => prop_assert!(fs::read(&path).unwrap() == expected),
            Ok(None) | Err(Error::Unlike { .. }) => {}
            other => prop_assert!(false, "{}", reason(other)),
        }
        let (path, _) = stitched.stitch().unwrap();
        prop_assert!(fs::read(&path).unwrap() == expected);
    }

    #[test]
    fn damaged_pictures_are_errors_or_what_cutting_makes(
        shape in shape(),
        at in 0_usize..6000,
        byte: u8,
        is_marker: bool,
    ) {
        let clean = shape.drawn.encode();
        let mut stream = clean.clone();
        let at = at % stream.len();
        stream[at] = byte;
        if is_marker && at > 0 {
            stream[at - 1] = 0xFF;
        }
        let size = (shape.drawn.width, shape.drawn.height);
        let mut stitched = Stitched::new(std::slice::from_ref(&stream), size, shape.frame);
        let searched = stitched.stitch();
        let cut = stitched.cut();
        if let (Ok((searched, _)), Ok(cut)) = (&searched, &cut) {
            prop_assert!(fs::read(searched).unwrap() == fs::read(cut).unwrap());
        }
        // What cutting and its proof take is never refused.
        prop_assert!(searched.is_ok() || cut.is_err(), "{}", reason(searched));
        let starts = starts_of(&clean);
        stitched.tell_all(&starts);
        let source = stitched.slide.source();
        if let Ok(Some((_, path))) = stitched.told(&source) {
            let (searched, _) = searched.unwrap();
            prop_assert!(fs::read(&path).unwrap() == fs::read(searched).unwrap());
        }
    }
}

impl Stitched {
    fn tell_all(&mut self, starts: &[u64]) {
        for picture in &mut self.pictures {
            picture.starts = Some(starts.to_vec());
        }
    }

    fn error(&self) -> String {
        reason(self.stitch())
    }
}

/// The picture of 117 intervals with some of its bytes changed.
fn changed(change: impl FnOnce(&mut Vec<u8>)) -> Stitched {
    let (drawn, _) = Stitched::plain();
    let mut stream = drawn.encode();
    change(&mut stream);
    Stitched::new(&[stream], (drawn.width, drawn.height), (32, 32))
}

fn position(stream: &[u8], pair: [u8; 2], number: usize) -> usize {
    let mut found = stream.windows(2).enumerate();
    let mut found = found.by_ref().filter(|(_, two)| *two == pair);
    found.nth(number).unwrap().0
}

#[test]
fn a_marker_that_does_not_belong_there_is_never_copied() {
    let starts = starts_of(&Stitched::plain().0.encode());
    for (marker, why) in [
        (0xD3, "restart markers out of order"),
        (0xDA, "more than one scan"),
        (0xDC, "DNL"),
        (0xFE, "a marker inside entropy-coded data"),
        (0xE1, "a marker inside entropy-coded data"),
        (0xD9, "fewer restart intervals"),
    ] {
        let mut stitched = changed(|stream| {
            let at = usize::try_from(starts[40]).unwrap() + 5;
            stream[at..at + 2].copy_from_slice(&[0xFF, marker]);
        });
        assert!(stitched.error().contains(why), "{marker:x}");
        // The starts are right, and no marker that is looked at before is wrong.
        stitched.tell_all(&starts);
        let told = stitched.told(&stitched.slide.source());
        assert!(
            matches!(told, Err(Error::Unlike { tile: 40 })),
            "{marker:x}"
        );
    }
}

#[test]
fn markers_that_are_missing_or_out_of_order_are_errors() {
    let stitched = changed(|stream| {
        let at = position(stream, [0xFF, 0xD5], 3);
        stream[at + 1] = 0;
    });
    assert!(stitched.error().contains("out of order"));
    let stitched = changed(|stream| {
        let last = *starts_of(stream).last().unwrap();
        stream.truncate(usize::try_from(last).unwrap() - 2);
    });
    assert!(stitched.error().contains("fewer restart intervals"));
}

#[test]
fn a_picture_that_is_cut_off_in_its_last_interval_is_taken_as_far_as_it_goes() {
    for tail in [&[][..], &[0xFF]] {
        let mut stitched = changed(|stream| {
            stream.truncate(stream.len() - 4);
            stream.extend_from_slice(tail);
        });
        let (path, parsed) = stitched.stitch().unwrap();
        assert_eq!(parsed.frames.len(), 12);
        stitched.tell(|_| ());
        let (_, told) = stitched.told(&stitched.slide.source()).unwrap().unwrap();
        assert!(fs::read(told).unwrap() == fs::read(path).unwrap());
    }
}

#[test]
fn a_picture_may_go_on_where_it_is_not_shown() {
    let (drawn, _) = Stitched::plain();
    let taller = Drawn {
        height: 104,
        ..drawn.clone()
    };
    let mut stream = taller.encode();
    let sof = position(&stream, [0xFF, 0xC0], 0);
    stream[sof + 5..sof + 7].copy_from_slice(&70_u16.to_be_bytes());
    let mut stitched = Stitched::new(&[stream], (104, 70), (32, 32));
    let expected = fs::read(stitched.cut().unwrap()).unwrap();
    assert!(fs::read(stitched.stitch().unwrap().0).unwrap() == expected);
    stitched.tell(|_| ());
    let (_, told) = stitched.told(&stitched.slide.source()).unwrap().unwrap();
    assert!(fs::read(told).unwrap() == expected);
}

/// A picture of noise in which no block ends before its last coefficient, and whose table has no
/// code for that, as an optimised one has not.
fn without_end_of_block(seed: u32) -> Vec<u8> {
    let mut state = seed;
    let pixels: Vec<u8> = (0..104 * 70)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if state & 0x1000_0000 == 0 { 0 } else { 255 }
        })
        .collect();
    let mut stream = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut stream, 100);
    encoder.set_restart_interval(1);
    let grey = jpeg_encoder::ColorType::Luma;
    encoder.encode(&pixels, 104, 70, grey).unwrap();
    let table = stream
        .windows(5)
        .position(|five| five[..2] == [0xFF, 0xC4] && five[4] == 0x10)
        .unwrap();
    let symbols = &mut stream[table + 21..];
    let end = symbols.iter().position(|&symbol| symbol == 0).unwrap();
    symbols[end] = 0x0B;
    // Neither has it any for long runs of zeros, the last ones: else there is no room for more.
    let len = u16::from_be_bytes([stream[table + 2], stream[table + 3]]);
    let behind = table + 2 + usize::from(len);
    stream[table + 2..table + 4].copy_from_slice(&(len - 60).to_be_bytes());
    stream[table + 20] -= 60;
    stream.drain(behind - 60..behind);
    stream
}

#[test]
fn blank_intervals_are_coded_where_the_tables_of_the_picture_lack_codes() {
    let proven = (1..100).find_map(|seed| {
        let stream = without_end_of_block(seed);
        let mut stitched = Stitched::new(&[stream], (104, 70), (32, 32));
        stitched.recipe.colour = Colour::Grey;
        let (path, parsed) = stitched.stitch().unwrap();
        match stitched.prove(&path, &parsed) {
            // This one needs the code that was taken away.
            Err(Error::Tile { .. }) => None,
            proof => Some((stitched, path, parsed, proof)),
        }
    });
    let (stitched, path, parsed, proof) = proven.unwrap();
    proof.unwrap();
    assert!(fs::read(stitched.cut().unwrap()).unwrap() == fs::read(path).unwrap());
    let (width, last) = decode(&parsed.frames[11]);
    assert!(last[..8].iter().any(|&grey| grey == 0 || grey == 255));
    assert!(last[width * 31..].iter().all(|&grey| grey == 128));
}

#[test]
fn more_intervals_than_the_limit_are_refused() {
    let (_, stitched) = Stitched::plain();
    let source = stitched.slide.source();
    let refused = |intervals| {
        let limits = Limits {
            intervals,
            ..Limits::default()
        };
        let (pictures, recipe) = (&stitched.pictures, &stitched.recipe);
        reason(plan_stitched(
            &source,
            pictures,
            recipe,
            &limits,
            &mut Unwatched,
        ))
    };
    assert!(refused(116).contains("intervals = 116"));
    assert_eq!(refused(117), "no error");
}

#[test]
fn more_intervals_than_the_file_can_have_are_refused_before_there_is_room_for_them() {
    let (drawn, _) = Stitched::plain();
    let mut stream = drawn.encode();
    let sof = position(&stream, [0xFF, 0xC0], 0);
    stream[sof + 5..sof + 9].fill(0);
    let stitched = Stitched::new(&[stream], (60_000, 60_000), (32, 32));
    assert!(stitched.error().contains("fewer restart intervals"));
}

#[test]
fn intervals_that_do_not_divide_the_frames_are_refused() {
    let drawn = Drawn {
        restart: 3,
        width: 96,
        ..Drawn::plain()
    };
    let stitched = Stitched::of(&drawn, (32, 32));
    assert!(stitched.error().contains("do not divide"));
}

#[test]
fn a_picture_that_shares_bytes_with_something_private_is_refused() {
    let (_, mut stitched) = Stitched::plain();
    stitched.pictures[0].private = vec![ByteRange {
        offset: stitched.pictures[0].range.offset + 900,
        byte_count: 1,
    }];
    assert!(stitched.error().contains("shares bytes"));
}

/// One bit of any frame, header or data, marker or padding.
#[test]
fn a_changed_bit_in_an_instance_is_found() {
    let (_, stitched) = Stitched::plain();
    let (path, parsed) = stitched.stitch().unwrap();
    let source = stitched.slide.source();
    let plan = stitched.searched(&source).unwrap();
    for frame in [0, 3, 11] {
        let start = parsed.frames_at[frame];
        for at in (start..start + parsed.frames[frame].len()).step_by(3) {
            let changed = rewrite(&path, |bytes| bytes[at] ^= 0x10);
            let found = verify(&source, &plan, &changed, OffsetTable::Extended);
            assert!(found.is_err(), "frame {frame}, byte {}", at - start);
        }
    }
}

#[test]
fn frames_in_another_order_are_found() {
    let (drawn, _) = Stitched::plain();
    let stitched = Stitched::of(&drawn, (8, 8));
    let (path, parsed) = stitched.stitch().unwrap();
    let source = stitched.slide.source();
    let plan = stitched.searched(&source).unwrap();
    let same = |a: usize, b: usize| parsed.frames[a].len() == parsed.frames[b].len();
    let (a, b) = (0..117)
        .flat_map(|a| (a + 1..117).map(move |b| (a, b)))
        .find(|&(a, b)| same(a, b) && parsed.frames[a] != parsed.frames[b])
        .unwrap();
    let swapped = rewrite(&path, |bytes| {
        for (from, to) in [(a, b), (b, a)] {
            let at = parsed.frames_at[to];
            bytes[at..at + parsed.frames[to].len()].copy_from_slice(&parsed.frames[from]);
        }
    });
    let found = reason(verify(&source, &plan, &swapped, OffsetTable::Extended));
    assert!(found.contains("restart intervals"), "{found}");
}
