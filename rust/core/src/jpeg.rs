//! Walks JPEG marker segments and builds the header of a stand-alone frame.
//!
//! A tile of a TIFF is an abbreviated stream whose tables may lie in tag 347 (TIFF Technical
//! Note 2, T.81 B.4 and B.5). DICOM wants the interchange format: all tables in every frame
//! (PS3.5 A.4.1). Only headers are read and written here; entropy-coded data is never touched.

use crate::error::StreamError;
use crate::tables;

/// Marker codes of T.81 Table B.1, second byte.
pub mod marker {
    #![allow(missing_docs, reason = "the names are the standard's")]
    pub const SOF0: u8 = 0xC0;
    pub const SOF1: u8 = 0xC1;
    pub const SOF2: u8 = 0xC2;
    pub const SOF3: u8 = 0xC3;
    pub const DHT: u8 = 0xC4;
    pub const JPG: u8 = 0xC8;
    pub const DAC: u8 = 0xCC;
    pub const SOF15: u8 = 0xCF;
    pub const RST0: u8 = 0xD0;
    pub const RST7: u8 = 0xD7;
    pub const SOI: u8 = 0xD8;
    pub const EOI: u8 = 0xD9;
    pub const SOS: u8 = 0xDA;
    pub const DQT: u8 = 0xDB;
    pub const DNL: u8 = 0xDC;
    pub const DRI: u8 = 0xDD;
    pub const DHP: u8 = 0xDE;
    pub const EXP: u8 = 0xDF;
    pub const APP0: u8 = 0xE0;
    pub const APP14: u8 = 0xEE;
    pub const APP15: u8 = 0xEF;
    pub const COM: u8 = 0xFE;
}

/// End of image, as bytes.
pub const EOI: [u8; 2] = [0xFF, marker::EOI];

/// Adobe marker segment with transform 0: three components, not transformed.
const APP14_RGB: [u8; 16] = *b"\xFF\xEE\x00\x0EAdobe\x00\x64\x00\x00\x00\x00\x00";

/// Numbers of table slots: quantisation 0-3, DC Huffman 0-3, AC Huffman 0-3 (T.81 B.2.4).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Slots {
    quantisation: [bool; 4],
    dc: [bool; 4],
    ac: [bool; 4],
}

/// One component of a frame header (T.81 B.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Component {
    /// Component identifier Ci.
    pub id: u8,
    /// Horizontal sampling factor Hi.
    pub horizontal: u8,
    /// Vertical sampling factor Vi.
    pub vertical: u8,
    /// Quantisation table selector Tqi.
    pub quantisation: u8,
    /// DC entropy table selector Tdj, from the scan header.
    pub dc: u8,
    /// AC entropy table selector Taj, from the scan header.
    pub ac: u8,
}

/// One marker segment, its marker and length included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment<'a> {
    marker: u8,
    bytes: &'a [u8],
}

impl<'a> Segment<'a> {
    /// What follows marker and length.
    fn payload(&self) -> &'a [u8] {
        self.bytes.get(4..).unwrap_or_default()
    }
}

/// What the header of a JPEG stream says about its samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Second byte of the SOF marker.
    pub sof: u8,
    /// Sample precision in bits.
    pub precision: u8,
    /// Number of lines Y; 0 is possible.
    pub rows: u16,
    /// Samples per line X; 0 is possible.
    pub columns: u16,
    /// The components in the order of the frame header.
    pub components: Vec<Component>,
    /// Whether an APP0 segment is a JFIF one.
    pub jfif: bool,
    /// Transform flag of an Adobe APP14 segment.
    pub adobe_transform: Option<u8>,
    /// MCUs between restart markers; 0 for none.
    pub restart_interval: u16,
}

impl Facts {
    /// In what two tiles differ, if they cannot be frames of one instance.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<&'static str> {
        let sampling = |facts: &Self| -> Vec<(u8, u8)> {
            facts
                .components
                .iter()
                .map(|c| (c.horizontal, c.vertical))
                .collect()
        };
        let ids = |facts: &Self| -> Vec<u8> { facts.components.iter().map(|c| c.id).collect() };
        if (self.sof, self.precision) != (other.sof, other.precision) {
            Some("its JPEG process")
        } else if sampling(self) != sampling(other) {
            Some("its components or their sampling")
        } else if (ids(self), self.jfif, self.adobe_transform)
            != (ids(other), other.jfif, other.adobe_transform)
        {
            Some("its colour markers")
        } else {
            None
        }
    }

    /// Checks that a stream can be a frame of JPEG Baseline (PS3.5 A.4.1, T.81 process 1).
    ///
    /// The size in the SOF may differ only where the number of MCUs stays the same: it is
    /// patched then, while otherwise a decoder would read past the data.
    ///
    /// # Errors
    ///
    /// [`StreamError::Unsupported`] with the reason, or [`StreamError::Size`].
    pub fn check_frame(&self, columns: u32, rows: u32) -> Result<(), StreamError> {
        let unsupported = |what| Err(StreamError::Unsupported(what));
        match self.sof {
            marker::SOF0 | marker::SOF1 => {}
            marker::SOF2 => return unsupported("progressive JPEG"),
            marker::SOF3 => return unsupported("lossless JPEG"),
            _ => return unsupported("a JPEG process without a DICOM transfer syntax"),
        }
        if self.precision != 8 {
            return unsupported("JPEG with more than 8 bits a sample");
        }
        if !matches!(self.components.len(), 1 | 3) {
            return unsupported("a number of components that is neither one nor three");
        }
        if self.components.iter().any(|c| c.dc > 1 || c.ac > 1) {
            return unsupported("JPEG with more than two Huffman tables of a kind");
        }
        if self.components.iter().any(|c| c.quantisation > 3) {
            return Err(malformed(
                "a quantisation table with an impossible number",
                0,
            ));
        }
        let (own_columns, own_rows) = (u32::from(self.columns), u32::from(self.rows));
        let fits = |have: u32, have_mcus: u32, want_mcus: u32| have == 0 || have_mcus == want_mcus;
        let have = self.mcus(own_columns, own_rows);
        let want = self.mcus(columns, rows);
        if fits(own_columns, have.0, want.0) && fits(own_rows, have.1, want.1) {
            Ok(())
        } else {
            Err(StreamError::Size {
                columns: own_columns,
                rows: own_rows,
                want_columns: columns,
                want_rows: rows,
            })
        }
    }

    /// Largest sampling factors, horizontal and vertical.
    fn sampling(&self) -> (u32, u32) {
        // A scan of one component is never interleaved: its MCU is one block (T.81 A.2.2).
        if self.components.len() == 1 {
            return (1, 1);
        }
        let widest = self
            .components
            .iter()
            .map(|c| c.horizontal)
            .max()
            .unwrap_or(1);
        let tallest = self
            .components
            .iter()
            .map(|c| c.vertical)
            .max()
            .unwrap_or(1);
        (u32::from(widest), u32::from(tallest))
    }

    /// Number of MCUs across and down in a picture of the given size.
    #[must_use]
    pub fn mcus(&self, columns: u32, rows: u32) -> (u32, u32) {
        let (horizontal, vertical) = self.sampling();
        (
            columns.div_ceil(horizontal.saturating_mul(8).max(1)),
            rows.div_ceil(vertical.saturating_mul(8).max(1)),
        )
    }
}

/// The header of a tile up to the first byte of entropy-coded data.
#[derive(Debug, Clone)]
pub struct Header<'a> {
    /// What it says.
    pub facts: Facts,
    /// Index of the first byte of entropy-coded data.
    pub len: usize,
    /// How many `APPn` and COM segments it holds; none of them goes out.
    pub dropped: u32,
    table_segments: Vec<Segment<'a>>,
    frame: Segment<'a>,
    restart: Option<Segment<'a>>,
    scan: Segment<'a>,
}

impl Header<'_> {
    /// The same header without a restart interval.
    pub(crate) fn without_restarts(&self) -> Self {
        Self {
            restart: None,
            ..self.clone()
        }
    }

    /// Length of the scan header, its marker included.
    pub(crate) fn scan_len(&self) -> usize {
        self.scan.bytes.len()
    }
}

/// The tables that the tiles of a level share (tag 347), cleaned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SharedTables {
    bytes: Vec<u8>,
    slots: Slots,
    /// How many segments were dropped: comments, applications, restart interval.
    pub dropped: u32,
}

impl SharedTables {
    /// Length of what is kept.
    #[must_use]
    pub fn byte_count(&self) -> u64 {
        u64::try_from(self.bytes.len()).unwrap_or(u64::MAX)
    }
}

/// What the samples of a frame are, and so how its header must say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Red, green, blue: component identifiers R, G, B and an Adobe marker.
    Rgb,
    /// Luminance and two chrominances: component identifiers 1, 2, 3 and no marker.
    Ybr,
    /// One component.
    Grey,
}

/// How the header of each frame of a level is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// Tables of tag 347.
    pub tables: SharedTables,
    /// What the samples are.
    pub colour: Colour,
    /// Frame width in pixels.
    pub columns: u16,
    /// Frame height in pixels.
    pub rows: u16,
}

/// A place in a header that is read from front to back.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn malformed(&self, what: &'static str) -> StreamError {
        malformed(what, self.at)
    }

    fn byte(&mut self) -> Result<u8, StreamError> {
        let byte = *self.bytes.get(self.at).ok_or(StreamError::Incomplete)?;
        self.at = self.at.saturating_add(1);
        Ok(byte)
    }

    /// Reads a marker, over any fill bytes before it (T.81 B.1.1.2).
    fn marker(&mut self) -> Result<u8, StreamError> {
        if self.byte()? != 0xFF {
            return Err(malformed(
                "no marker where one must be",
                self.at.saturating_sub(1),
            ));
        }
        loop {
            match self.byte()? {
                0xFF => {}
                0x00 => return Err(self.malformed("a stuffed byte outside entropy-coded data")),
                code => return Ok(code),
            }
        }
    }

    /// Reads the rest of the segment whose marker was just read.
    fn segment(&mut self, marker: u8) -> Result<Segment<'a>, StreamError> {
        let start = self.at.saturating_sub(2);
        let high = self.byte()?;
        let low = self.byte()?;
        let len = usize::from(u16::from_be_bytes([high, low]));
        if len < 2 {
            return Err(self.malformed("a segment length below 2"));
        }
        let end = start.saturating_add(2).saturating_add(len);
        let bytes = self.bytes.get(start..end).ok_or(StreamError::Incomplete)?;
        self.at = end;
        Ok(Segment { marker, bytes })
    }
}

fn malformed(what: &'static str, at: usize) -> StreamError {
    StreamError::Malformed {
        what,
        at: u64::try_from(at).unwrap_or(u64::MAX),
    }
}

/// Reads the tables of tag 347 and keeps DQT and DHT.
///
/// Comments and `APPn` may hold text. DRI is dropped as well: inside a TIFF each SOI resets the
/// restart interval, so it never applied to a tile.
///
/// # Errors
///
/// [`StreamError`] if it is not a table-specification stream (T.81 B.5).
pub fn parse_shared_tables(bytes: &[u8]) -> Result<SharedTables, StreamError> {
    let mut shared = SharedTables::default();
    if bytes.is_empty() {
        return Ok(shared);
    }
    let mut cursor = Cursor { bytes, at: 0 };
    if cursor.marker()? != marker::SOI {
        return Err(cursor.malformed("no SOI"));
    }
    loop {
        let code = match cursor.marker() {
            Ok(code) => code,
            // Some writers leave the EOI out; the tables before it are whole.
            Err(StreamError::Incomplete) if cursor.at >= bytes.len() => break,
            Err(error) => return Err(error),
        };
        match code {
            marker::EOI => break,
            marker::DQT | marker::DHT => {
                let segment = cursor.segment(code)?;
                read_tables(segment, &mut shared.slots)?;
                shared.bytes.extend_from_slice(segment.bytes);
            }
            marker::DRI | marker::COM | marker::APP0..=marker::APP15 => {
                cursor.segment(code)?;
                shared.dropped = shared.dropped.saturating_add(1);
            }
            _ => return Err(cursor.malformed("a marker that does not belong into tables")),
        }
    }
    Ok(shared)
}

/// Walks the segments of a tile up to its entropy-coded data.
///
/// # Errors
///
/// [`StreamError::Incomplete`] if `bytes` end before that; any other [`StreamError`] if the
/// stream breaks T.81 or cannot be a frame.
pub fn parse_header(bytes: &[u8]) -> Result<Header<'_>, StreamError> {
    let mut cursor = Cursor { bytes, at: 0 };
    if cursor.marker()? != marker::SOI {
        return Err(malformed("no SOI", 0));
    }
    let mut tables = Vec::new();
    let (mut frame, mut restart) = (None, None);
    let (mut dropped, mut jfif, mut adobe_transform) = (0_u32, false, None);
    loop {
        let at = cursor.at;
        let code = cursor.marker()?;
        match code {
            marker::SOS => {
                let scan = cursor.segment(code)?;
                let frame: Segment<'_> = frame.ok_or(malformed("SOS before SOF", at))?;
                let restart_interval = restart.map_or(Ok(0), |s| restart_interval(s, at))?;
                let components = read_components(frame, scan, at)?;
                let (precision, rows, columns) = read_size(frame, at)?;
                let facts = Facts {
                    sof: frame.marker,
                    precision,
                    rows,
                    columns,
                    components,
                    jfif,
                    adobe_transform,
                    restart_interval,
                };
                let len = cursor.at;
                return Ok(Header {
                    facts,
                    len,
                    dropped,
                    table_segments: tables,
                    frame,
                    restart,
                    scan,
                });
            }
            marker::DQT | marker::DHT => tables.push(cursor.segment(code)?),
            marker::DRI => restart = Some(cursor.segment(code)?),
            marker::COM | marker::APP0..=marker::APP15 => {
                let segment = cursor.segment(code)?;
                dropped = dropped.saturating_add(1);
                jfif |= code == marker::APP0 && segment.payload().starts_with(b"JFIF\0");
                if code == marker::APP14 && segment.payload().starts_with(b"Adobe") {
                    adobe_transform = segment.payload().get(11).copied().or(adobe_transform);
                }
            }
            marker::DAC => return Err(StreamError::Unsupported("arithmetic coding")),
            marker::DNL => return Err(StreamError::Unsupported("a DNL segment")),
            marker::DHP | marker::EXP => return Err(StreamError::Unsupported("hierarchical JPEG")),
            marker::SOF0..=marker::SOF15 if code != marker::JPG => {
                if frame.replace(cursor.segment(code)?).is_some() {
                    return Err(malformed("a second SOF", at));
                }
            }
            marker::EOI => return Err(malformed("EOI before SOS", at)),
            _ => return Err(malformed("a marker that does not belong into a header", at)),
        }
    }
}

/// Calls `visit` with the marker and payload of each DQT and DHT segment of a header.
pub(crate) fn for_each_table<'a>(bytes: &'a [u8], mut visit: impl FnMut(u8, &'a [u8])) {
    let Ok(header) = parse_header(bytes) else {
        return;
    };
    for segment in header.table_segments {
        visit(segment.marker, segment.payload());
    }
}

fn restart_interval(segment: Segment<'_>, at: usize) -> Result<u16, StreamError> {
    match segment.payload() {
        [high, low] => Ok(u16::from_be_bytes([*high, *low])),
        _ => Err(malformed("a DRI of wrong length", at)),
    }
}

fn read_size(frame: Segment<'_>, at: usize) -> Result<(u8, u16, u16), StreamError> {
    match frame.payload() {
        [precision, y1, y0, x1, x0, ..] => Ok((
            *precision,
            u16::from_be_bytes([*y1, *y0]),
            u16::from_be_bytes([*x1, *x0]),
        )),
        _ => Err(malformed("an SOF that is too short", at)),
    }
}

/// Reads the components of the frame header with the table selectors of the scan header.
fn read_components(
    frame: Segment<'_>,
    scan: Segment<'_>,
    at: usize,
) -> Result<Vec<Component>, StreamError> {
    let (count, entries) = frame
        .payload()
        .get(5..)
        .and_then(<[u8]>::split_first)
        .ok_or(malformed("an SOF that is too short", at))?;
    if usize::from(*count).saturating_mul(3) != entries.len() || *count == 0 {
        return Err(malformed(
            "an SOF whose length does not fit its components",
            at,
        ));
    }
    let (scan_count, scan_entries) = scan
        .payload()
        .split_first()
        .ok_or(malformed("an SOS that is too short", at))?;
    if usize::from(*scan_count).saturating_mul(2).saturating_add(3) != scan_entries.len() {
        return Err(malformed(
            "an SOS whose length does not fit its components",
            at,
        ));
    }
    if scan_count != count {
        return Err(StreamError::Unsupported("more than one scan"));
    }
    let mut components: Vec<Component> = Vec::new();
    for (entry, selector) in entries.chunks_exact(3).zip(scan_entries.chunks_exact(2)) {
        let (&[id, sampling, quantisation], &[scan_id, entropy]) = (entry, selector) else {
            return Err(malformed("an SOF that is too short", at));
        };
        if id != scan_id {
            return Err(malformed(
                "an SOS whose components are not those of the SOF",
                at,
            ));
        }
        let component = Component {
            id,
            horizontal: sampling >> 4,
            vertical: sampling & 15,
            quantisation,
            dc: entropy >> 4,
            ac: entropy & 15,
        };
        let factors = [component.horizontal, component.vertical];
        if factors.iter().any(|factor| !(1..=4).contains(factor)) {
            return Err(malformed("a sampling factor outside 1 to 4", at));
        }
        if components.iter().any(|other| other.id == id) {
            return Err(malformed("two components with one identifier", at));
        }
        components.push(component);
    }
    Ok(components)
}

/// Notes which tables a DQT or DHT segment defines, and checks its length.
fn read_tables(segment: Segment<'_>, slots: &mut Slots) -> Result<(), StreamError> {
    let wrong = || malformed("a table of wrong length", 0);
    let mut rest = segment.payload();
    while let Some((&first, after)) = rest.split_first() {
        let (class, id) = (first >> 4, usize::from(first & 15));
        let (slot, len) = if segment.marker == marker::DQT {
            match class {
                0 => (slots.quantisation.get_mut(id), 64),
                // T.81 B.2.4.1: a picture with 8 bits a sample has none, and no other is copied.
                1 => return Err(StreamError::Unsupported("a quantisation table of 16 bits")),
                _ => return Err(malformed("a quantisation table of unknown precision", 0)),
            }
        } else {
            let counts = after.get(..16).ok_or_else(wrong)?;
            let symbols: usize = counts.iter().map(|&count| usize::from(count)).sum();
            let slot = match class {
                0 => slots.dc.get_mut(id),
                1 => slots.ac.get_mut(id),
                _ => None,
            };
            (slot, symbols.saturating_add(16))
        };
        *slot.ok_or_else(|| malformed("a table with an impossible number", 0))? = true;
        rest = after.get(len..).ok_or_else(wrong)?;
    }
    Ok(())
}

/// Which of the tables that a stream refers to are defined by neither set.
fn missing(facts: &Facts, slots: &Slots) -> Slots {
    let mut missing = Slots::default();
    let lacks =
        |defined: &[bool; 4], id: u8| !defined.get(usize::from(id)).copied().unwrap_or(false);
    let mut mark = |defined: &[bool; 4], id: u8, which: fn(&mut Slots) -> &mut [bool; 4]| {
        if lacks(defined, id)
            && let Some(slot) = which(&mut missing).get_mut(usize::from(id))
        {
            *slot = true;
        }
    };
    for component in &facts.components {
        mark(&slots.quantisation, component.quantisation, |s| {
            &mut s.quantisation
        });
        mark(&slots.dc, component.dc, |s| &mut s.dc);
        mark(&slots.ac, component.ac, |s| &mut s.ac);
    }
    missing
}

impl Recipe {
    /// Builds the header of a stand-alone frame, SOI to SOS.
    ///
    /// # Errors
    ///
    /// [`StreamError`] if the stream lacks a quantisation table, or cannot be a frame.
    pub fn frame_header(&self, header: &Header<'_>) -> Result<Vec<u8>, StreamError> {
        header
            .facts
            .check_frame(u32::from(self.columns), u32::from(self.rows))?;
        let components = match self.colour {
            Colour::Grey => 1,
            Colour::Rgb | Colour::Ybr => 3,
        };
        if header.facts.components.len() != components {
            return Err(StreamError::Unsupported(
                "another number of components than declared",
            ));
        }
        let mut out = vec![0xFF, marker::SOI];
        if self.colour == Colour::Rgb {
            out.extend_from_slice(&APP14_RGB);
        }
        self.push_tables(header, &mut out)?;
        self.push_frame(header, &mut out);
        if let Some(restart) = header.restart {
            out.extend_from_slice(restart.bytes);
        }
        self.push_scan(header, &mut out);
        Ok(out)
    }

    /// Shared tables first, then the tile's own, which override equal numbers.
    fn push_tables(&self, header: &Header<'_>, out: &mut Vec<u8>) -> Result<(), StreamError> {
        let mut slots = Slots::default();
        for segment in &header.table_segments {
            read_tables(*segment, &mut slots)?;
        }
        if missing(&header.facts, &slots) != Slots::default() {
            out.extend_from_slice(&self.tables.bytes);
            for (mine, shared) in [
                (&mut slots.quantisation, &self.tables.slots.quantisation),
                (&mut slots.dc, &self.tables.slots.dc),
                (&mut slots.ac, &self.tables.slots.ac),
            ] {
                for (slot, &defined) in mine.iter_mut().zip(shared) {
                    *slot |= defined;
                }
            }
        }
        for segment in &header.table_segments {
            out.extend_from_slice(segment.bytes);
        }
        let missing = missing(&header.facts, &slots);
        if missing.quantisation.contains(&true) {
            return Err(malformed("a quantisation table that nobody defines", 0));
        }
        // A stream without Huffman tables means those of T.81 Annex K, as motion JPEG does.
        for (id, _) in (0_u8..).zip(missing.dc).filter(|(_, absent)| *absent) {
            out.extend(tables::dht_segment(0, id));
        }
        for (id, _) in (0_u8..).zip(missing.ac).filter(|(_, absent)| *absent) {
            out.extend(tables::dht_segment(1, id));
        }
        Ok(())
    }

    fn component_id(&self, position: usize, own: u8) -> u8 {
        let ids: &[u8] = match self.colour {
            Colour::Rgb => b"RGB",
            Colour::Ybr => &[1, 2, 3],
            Colour::Grey => &[1],
        };
        ids.get(position).copied().unwrap_or(own)
    }

    /// SOF0 with the frame's size and the component identifiers of its colour.
    fn push_frame(&self, header: &Header<'_>, out: &mut Vec<u8>) {
        // Process SOF1 with 8 bits and two tables of a kind is coded as the baseline is.
        out.extend([0xFF, marker::SOF0]);
        out.extend(header.frame.bytes.iter().skip(2).take(3));
        out.extend(self.rows.to_be_bytes());
        out.extend(self.columns.to_be_bytes());
        out.extend(header.frame.bytes.iter().skip(9).take(1));
        let single = header.facts.components.len() == 1;
        for (position, component) in header.facts.components.iter().enumerate() {
            // With one component the factors change nothing but confuse strict decoders.
            let sampling = if single {
                0x11
            } else {
                (component.horizontal << 4) | component.vertical
            };
            out.extend([
                self.component_id(position, component.id),
                sampling,
                component.quantisation,
            ]);
        }
    }

    fn push_scan(&self, header: &Header<'_>, out: &mut Vec<u8>) {
        out.extend(header.scan.bytes.iter().take(5));
        for (position, component) in header.facts.components.iter().enumerate() {
            let entropy = (component.dc << 4) | component.ac;
            out.extend([self.component_id(position, component.id), entropy]);
        }
        // Spectral selection and approximation: always 0, 63, 0 in a sequential process.
        out.extend([0, 63, 0]);
    }
}

/// How the entropy-coded data of a tile ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Length of the entropy-coded data within the searched bytes.
    pub len: usize,
    /// Whether an EOI was found.
    pub has_eoi: bool,
}

/// Finds the EOI at the end of a tile, over padding of `00` and `FF` bytes.
///
/// `tail` is the end of the tile. Returns the index of the EOI in it, or `None` if the tile
/// does not end so: then [`scan_entropy`] must look at all of it.
#[must_use]
pub fn find_eoi_at_end(tail: &[u8]) -> Option<usize> {
    let last = tail
        .iter()
        .rposition(|&byte| byte != 0x00 && byte != 0xFF)?;
    let at = last.checked_sub(1)?;
    (tail.get(at..=last)? == EOI).then_some(at)
}

/// Walks entropy-coded data to its end: the EOI, or the end of `bytes`.
///
/// # Errors
///
/// [`StreamError`] for any marker other than `RSTn` and EOI: a second scan, or a comment that
/// hides between the scans.
pub fn scan_entropy(bytes: &[u8]) -> Result<End, StreamError> {
    let mut at = 0_usize;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr(0xFF, rest)) {
        let marker_at = at.saturating_add(found);
        let next = marker_at.saturating_add(1);
        match bytes.get(next) {
            Some(0x00 | marker::RST0..=marker::RST7) => at = next.saturating_add(1),
            Some(0xFF) => at = next,
            Some(&marker::EOI) => {
                return Ok(End {
                    len: marker_at,
                    has_eoi: true,
                });
            }
            Some(&marker::SOS) => return Err(StreamError::Unsupported("more than one scan")),
            Some(&marker::DNL) => return Err(StreamError::Unsupported("a DNL segment")),
            Some(_) => return Err(malformed("a marker inside entropy-coded data", marker_at)),
            // A lone FF at the end is padding: the EOI that is put there supplies its own.
            None => {
                return Ok(End {
                    len: marker_at,
                    has_eoi: false,
                });
            }
        }
    }
    Ok(End {
        len: bytes.len(),
        has_eoi: false,
    })
}
