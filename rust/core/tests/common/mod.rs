//! Builders of tiles and slides, and the way of a slide through plan, write and read-back.

#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod drawn;

use std::fs;
use std::path::{Path, PathBuf};

use coverslip_core::jpeg::{self, Colour};
use coverslip_core::scan::{Header, InstanceReport};
use coverslip_core::watch::Unwatched;
use coverslip_core::{
    ByteRange, Codec, Error, FramePlan, Limits, OffsetTable, Portion, Source, TileIndex,
    WriteOptions, WriteReport, jp2k, plan_frames, plan_thoroughly, verify_instance, write_instance,
};
use tempfile::TempDir;

/// Stands for the Part 10 header, which the core does not look into.
pub(crate) const FILE_HEADER: &[u8] = b"header of 21 bytes ..";

/// A JPEG marker segment.
pub(crate) fn segment(marker: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len() + 2).unwrap();
    [&[0xFF, marker][..], &len.to_be_bytes(), payload].concat()
}

/// A DQT segment with one 8-bit table of equal steps.
pub(crate) fn dqt(id: u8, step: u8) -> Vec<u8> {
    segment(0xDB, &[&[id][..], &[step; 64]].concat())
}

/// A DHT segment whose symbols are what DC differences and a flat block need.
///
/// Class 0 has twelve codes of four bits for the categories 0 to 11, class 1 the two codes `0`
/// for EOB and `10` for 01.
pub(crate) fn dht(class: u8, id: u8) -> Vec<u8> {
    let mut payload = vec![(class << 4) | id];
    if class == 0 {
        payload.extend([0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        payload.extend(0..12);
    } else {
        payload.extend([1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        payload.extend([0x00, 0x01]);
    }
    segment(0xC4, &payload)
}

/// Tables 0 and 1 of each kind, in the order in which frames hold them.
pub(crate) fn all_tables(step: u8) -> Vec<u8> {
    [
        dqt(0, step),
        dqt(1, step),
        dht(0, 0),
        dht(0, 1),
        dht(1, 0),
        dht(1, 1),
    ]
    .concat()
}

/// The value of tag 347 with the given segments.
pub(crate) fn table_stream(segments: &[u8]) -> Vec<u8> {
    [&[0xFF, 0xD8], segments, &[0xFF, 0xD9]].concat()
}

/// One component of a JPEG stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    pub(crate) id: u8,
    pub(crate) sampling: u8,
    pub(crate) quantisation: u8,
    pub(crate) entropy: u8,
}

/// A JPEG tile, to be taken apart and put together.
#[derive(Debug, Clone)]
pub(crate) struct Jpeg {
    /// Segments between SOI and SOF: tables, comments, applications.
    pub(crate) lead: Vec<u8>,
    pub(crate) sof: u8,
    pub(crate) precision: u8,
    pub(crate) columns: u16,
    pub(crate) rows: u16,
    pub(crate) parts: Vec<Part>,
    /// Segments between SOF and SOS.
    pub(crate) middle: Vec<u8>,
    pub(crate) entropy: Vec<u8>,
    pub(crate) end: Vec<u8>,
}

impl Jpeg {
    /// Three components in 4:2:0, 16 x 16, without tables.
    pub(crate) fn ycc() -> Self {
        let part = |id, sampling, table: u8| Part {
            id,
            sampling,
            quantisation: table,
            entropy: table * 0x11,
        };
        Self {
            lead: Vec::new(),
            sof: 0xC0,
            precision: 8,
            columns: 16,
            rows: 16,
            parts: vec![part(1, 0x22, 0), part(2, 0x11, 1), part(3, 0x11, 1)],
            middle: Vec::new(),
            entropy: vec![0x12, 0x34, 0xFF, 0x00, 0x56, 0x78, 0x9A],
            end: vec![0xFF, 0xD9],
        }
    }

    /// Three components in 4:4:4 that use the first tables only.
    pub(crate) fn rgb() -> Self {
        let part = |id| Part {
            id,
            sampling: 0x11,
            quantisation: 0,
            entropy: 0,
        };
        Self {
            parts: vec![part(0), part(1), part(2)],
            ..Self::ycc()
        }
    }

    /// One component with sampling factors that mean nothing.
    pub(crate) fn grey() -> Self {
        let part = Part {
            id: 7,
            sampling: 0x22,
            quantisation: 0,
            entropy: 0,
        };
        Self {
            parts: vec![part],
            ..Self::ycc()
        }
    }

    pub(crate) fn with_tables(mut self) -> Self {
        self.lead.extend(all_tables(3));
        self
    }

    pub(crate) fn with_lead(mut self, segments: &[u8]) -> Self {
        self.lead.extend_from_slice(segments);
        self
    }

    pub(crate) fn with_entropy(mut self, entropy: &[u8]) -> Self {
        self.entropy = entropy.to_vec();
        self
    }

    pub(crate) fn with_end(mut self, end: &[u8]) -> Self {
        self.end = end.to_vec();
        self
    }

    pub(crate) fn sized(mut self, columns: u16, rows: u16) -> Self {
        (self.columns, self.rows) = (columns, rows);
        self
    }

    /// SOI to SOS.
    pub(crate) fn header(&self) -> Vec<u8> {
        let count = u8::try_from(self.parts.len()).unwrap();
        let mut sof = vec![self.precision];
        sof.extend(self.rows.to_be_bytes());
        sof.extend(self.columns.to_be_bytes());
        sof.push(count);
        let mut sos = vec![count];
        for part in &self.parts {
            sof.extend([part.id, part.sampling, part.quantisation]);
            sos.extend([part.id, part.entropy]);
        }
        sos.extend([0, 63, 0]);
        let (sof, sos) = (segment(self.sof, &sof), segment(0xDA, &sos));
        [&[0xFF, 0xD8][..], &self.lead, &sof, &self.middle, &sos].concat()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        [self.header(), self.entropy.clone(), self.end.clone()].concat()
    }
}

/// A recipe for 16 x 16 frames with the given value of tag 347.
pub(crate) fn recipe(colour: Colour, shared: &[u8]) -> jpeg::Recipe {
    let tables = jpeg::parse_shared_tables(shared).unwrap();
    jpeg::Recipe {
        tables,
        colour,
        is_emitted: false,
        columns: 16,
        rows: 16,
    }
}

pub(crate) fn jpeg_codec(colour: Colour, shared: &[u8]) -> Codec {
    Codec::Jpeg(recipe(colour, shared))
}

/// The marker segments of a JPEG stream up to SOS: second byte of the marker, payload.
pub(crate) fn segments(stream: &[u8]) -> Vec<(u8, Vec<u8>)> {
    assert_eq!(stream[..2], [0xFF, 0xD8]);
    let (mut at, mut found) = (2, Vec::new());
    loop {
        assert_eq!(stream[at], 0xFF, "a marker at {at}");
        let marker = stream[at + 1];
        let len = usize::from(u16::from_be_bytes([stream[at + 2], stream[at + 3]]));
        found.push((marker, stream[at + 4..at + 2 + len].to_vec()));
        at += 2 + len;
        if marker == 0xDA {
            return found;
        }
    }
}

/// The markers of a JPEG header in order.
pub(crate) fn markers(stream: &[u8]) -> Vec<u8> {
    segments(stream)
        .into_iter()
        .map(|(marker, _)| marker)
        .collect()
}

/// A JPEG 2000 codestream, to be taken apart and put together.
#[derive(Debug, Clone)]
pub(crate) struct J2k {
    pub(crate) rsiz: u16,
    pub(crate) columns: u32,
    pub(crate) rows: u32,
    /// `Ssiz`, `XRsiz` and `YRsiz` of each component.
    pub(crate) components: Vec<[u8; 3]>,
    pub(crate) mct: u8,
    /// 0 for 9/7, 1 for 5/3.
    pub(crate) wavelet: u8,
    /// Segments behind QCD.
    pub(crate) extra: Vec<u8>,
    pub(crate) tile_parts: Vec<Vec<u8>>,
    pub(crate) end: Vec<u8>,
}

impl J2k {
    /// Three components of 8 bits without a colour transformation, under the 9/7 wavelet.
    pub(crate) fn new() -> Self {
        Self {
            rsiz: 0,
            columns: 16,
            rows: 16,
            components: vec![[7, 1, 1]; 3],
            mct: 0,
            wavelet: 0,
            extra: Vec::new(),
            tile_parts: vec![tile_part(0, &[], &[0xC0, 0x11, 0x22, 0x33])],
            end: vec![0xFF, 0xD9],
        }
    }

    pub(crate) fn with_extra(mut self, segments: &[u8]) -> Self {
        self.extra.extend_from_slice(segments);
        self
    }

    pub(crate) fn with_tile_parts(mut self, parts: &[Vec<u8>]) -> Self {
        self.tile_parts = parts.to_vec();
        self
    }

    pub(crate) fn with_end(mut self, end: &[u8]) -> Self {
        self.end = end.to_vec();
        self
    }

    pub(crate) fn siz(&self) -> Vec<u8> {
        let mut siz = self.rsiz.to_be_bytes().to_vec();
        for field in [self.columns, self.rows, 0, 0, self.columns, self.rows, 0, 0] {
            siz.extend(field.to_be_bytes());
        }
        siz.extend(u16::try_from(self.components.len()).unwrap().to_be_bytes());
        siz.extend(self.components.concat());
        segment(0x51, &siz)
    }

    pub(crate) fn cod(&self) -> Vec<u8> {
        // Scod, progression, two bytes of layers, MCT, levels, code block 64 x 64, style, wavelet.
        segment(0x52, &[0, 0, 0, 1, self.mct, 1, 4, 4, 0, self.wavelet])
    }

    pub(crate) fn qcd(&self) -> Vec<u8> {
        match self.wavelet {
            1 => segment(0x5C, &[0x40, 0x48, 0x48, 0x48, 0x50]),
            _ => segment(
                0x5C,
                &[0x42, 0x70, 0x00, 0x68, 0x00, 0x68, 0x00, 0x68, 0x00],
            ),
        }
    }

    /// SOC up to the first SOT.
    pub(crate) fn main_header(&self) -> Vec<u8> {
        [
            vec![0xFF, 0x4F],
            self.siz(),
            self.cod(),
            self.qcd(),
            self.extra.clone(),
        ]
        .concat()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        [
            self.main_header(),
            self.tile_parts.concat(),
            self.end.clone(),
        ]
        .concat()
    }
}

/// A tile-part of tile 0 with its right length.
pub(crate) fn tile_part(number: u8, header: &[u8], data: &[u8]) -> Vec<u8> {
    let len = u32::try_from(12 + header.len() + 2 + data.len()).unwrap();
    tile_part_of_length(len, number, header, data)
}

/// A tile-part that says a length of its own.
pub(crate) fn tile_part_of_length(psot: u32, number: u8, header: &[u8], data: &[u8]) -> Vec<u8> {
    let [a, b, c, d] = psot.to_be_bytes();
    let sot = segment(0x90, &[0, 0, a, b, c, d, number, 0]);
    [&sot, header, &[0xFF, 0x93], data].concat()
}

pub(crate) fn jp2k_codec(set_mct: bool) -> Codec {
    let recipe = jp2k::Recipe {
        columns: 16,
        rows: 16,
        set_mct,
    };
    Codec::Jpeg2000 {
        recipe,
        blank: None,
    }
}

/// Tiles in a file, with a few bytes between them that belong to nobody.
pub(crate) struct Slide {
    dir: TempDir,
    pub(crate) path: PathBuf,
    pub(crate) ranges: Vec<ByteRange>,
}

impl Slide {
    pub(crate) fn new(tiles: &[Vec<u8>]) -> Self {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("slide.tif");
        let (mut bytes, mut ranges) = (b"II*\0....".to_vec(), Vec::new());
        for tile in tiles {
            let offset = u64::try_from(bytes.len()).unwrap();
            let byte_count = u64::try_from(tile.len()).unwrap();
            let offset = if tile.is_empty() { 0 } else { offset };
            ranges.push(ByteRange { offset, byte_count });
            bytes.extend_from_slice(tile);
            bytes.extend_from_slice(b"gap");
        }
        fs::write(&path, bytes).unwrap();
        Self { dir, path, ranges }
    }

    pub(crate) fn one(tile: &[u8]) -> Self {
        Self::new(&[tile.to_vec()])
    }

    /// A path in the slide's folder that nobody has used.
    pub(crate) fn path_for(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn source(&self) -> Source {
        Source::open(&self.path).unwrap()
    }

    pub(crate) fn index(&self) -> TileIndex {
        let len = fs::metadata(&self.path).unwrap().len();
        TileIndex::new(self.ranges.clone(), Vec::new(), len, &Limits::default()).unwrap()
    }

    pub(crate) fn plan(&self, codec: Codec) -> Result<(Source, FramePlan), Error> {
        self.plan_within(codec, &Limits::default())
    }

    pub(crate) fn plan_within(
        &self,
        codec: Codec,
        limits: &Limits,
    ) -> Result<(Source, FramePlan), Error> {
        let source = self.source();
        let plan = plan_frames(&source, self.index(), codec, limits, &mut Unwatched)?;
        Ok((source, plan))
    }

    /// The frames that the slide becomes, as a written file holds them after it was verified.
    ///
    /// As callers do, it plans anew where tiles turn out to be other than they seemed.
    pub(crate) fn convert(&self, codec: Codec) -> Result<Vec<Vec<u8>>, Error> {
        let (source, mut plan) = self.plan(codec.clone())?;
        let path = self.path_for("converted.dcm");
        let report = match write(&source, &plan, &path, None) {
            Err(Error::Unlike { .. }) => {
                let limits = Limits::default();
                plan = plan_thoroughly(&source, self.index(), codec, &limits, &mut Unwatched)?;
                fs::remove_file(&path)?;
                write(&source, &plan, &path, None)?
            }
            other => other?,
        };
        verify(&source, &plan, &path, report.offset_table)?;
        Ok(Parsed::read(&path, report.offset_table).frames)
    }
}

/// The one frame that a JPEG tile becomes.
pub(crate) fn frame_of(tile: &Jpeg, colour: Colour, shared: &[u8]) -> Result<Vec<u8>, Error> {
    let mut frames = Slide::one(&tile.bytes()).convert(jpeg_codec(colour, shared))?;
    assert_eq!(frames.len(), 1);
    Ok(frames.remove(0))
}

pub(crate) fn write<'a>(
    source: &Source,
    plan: impl Into<Portion<'a>>,
    path: &Path,
    offset_table: Option<OffsetTable>,
) -> Result<WriteReport, Error> {
    let options = WriteOptions {
        offset_table,
        ..WriteOptions::default()
    };
    write_instance(source, plan, FILE_HEADER, path, options, &mut Unwatched)
}

/// Verifies a file with the positions and offset tables that the test's own parser finds.
pub(crate) fn verify<'a>(
    source: &Source,
    plan: impl Into<Portion<'a>>,
    path: &Path,
    table: OffsetTable,
) -> Result<InstanceReport, Error> {
    let parsed = Parsed::read_start(path, table);
    let header = Header {
        pixel_data_offset: u64::try_from(parsed.pixel_data_at).unwrap(),
        extended: parsed.extended,
        numbers: Vec::new(),
        deflated: None,
    };
    verify_instance(source, plan, path, &header, None, None, &mut Unwatched)
}

/// What the test's own parser finds in a written file.
pub(crate) struct Parsed {
    pub(crate) extended: Option<(ByteRange, ByteRange)>,
    pub(crate) pixel_data_at: usize,
    pub(crate) basic: Vec<u8>,
    pub(crate) frames: Vec<Vec<u8>>,
    /// Where the bytes of each frame begin.
    pub(crate) frames_at: Vec<usize>,
}

impl Parsed {
    pub(crate) fn read(path: &Path, table: OffsetTable) -> Self {
        let bytes = fs::read(path).unwrap();
        let mut parsed = Self::read_start(path, table);
        let mut at = parsed.pixel_data_at + 12;
        parsed.basic = item(&bytes, &mut at).to_vec();
        while bytes[at..at + 4] == [0xFE, 0xFF, 0x00, 0xE0] {
            parsed.frames_at.push(at + 8);
            parsed.frames.push(item(&bytes, &mut at).to_vec());
        }
        assert_eq!(bytes[at..], [0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0]);
        parsed
    }

    /// Everything up to (7FE0,0010), for files that are damaged behind it.
    pub(crate) fn read_start(path: &Path, table: OffsetTable) -> Self {
        let bytes = fs::read(path).unwrap();
        let mut at = FILE_HEADER.len();
        assert_eq!(&bytes[..at], FILE_HEADER);
        let extended = (table == OffsetTable::Extended).then(|| {
            let offsets = element(&bytes, &mut at, b"\xE0\x7F\x01\x00OV\0\0");
            (offsets, element(&bytes, &mut at, b"\xE0\x7F\x02\x00OV\0\0"))
        });
        let (basic, frames, frames_at) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            extended,
            pixel_data_at: at,
            basic,
            frames,
            frames_at,
        }
    }
}

fn u32_le(bytes: &[u8]) -> usize {
    usize::try_from(u32::from_le_bytes(bytes[..4].try_into().unwrap())).unwrap()
}

fn item<'a>(bytes: &'a [u8], at: &mut usize) -> &'a [u8] {
    assert_eq!(bytes[*at..*at + 4], [0xFE, 0xFF, 0x00, 0xE0]);
    let start = *at + 8;
    *at = start + u32_le(&bytes[*at + 4..]);
    &bytes[start..*at]
}

/// Where the value of an element lies.
fn element(bytes: &[u8], at: &mut usize, start: &[u8]) -> ByteRange {
    assert!(bytes[*at..].starts_with(start));
    let (value, len) = (*at + start.len() + 4, u32_le(&bytes[*at + start.len()..]));
    *at = value + len;
    ByteRange {
        offset: u64::try_from(value).unwrap(),
        byte_count: u64::try_from(len).unwrap(),
    }
}

/// A file's copy with other bytes, beside it.
pub(crate) fn rewrite(path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> PathBuf {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    let changed = path.with_extension("changed");
    fs::write(&changed, bytes).unwrap();
    changed
}

/// The text of an error, for tests that look for a reason in it.
pub(crate) fn reason<T>(result: Result<T, Error>) -> String {
    match result {
        Ok(_) => "no error".into(),
        Err(error) => error.to_string(),
    }
}
